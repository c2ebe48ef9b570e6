/* SPDX-License-Identifier: BSD-2-Clause */
/* From rings back into the bridge. */
#include <string.h>

#include "base/probe.h"
#include "daemon/capture.h"
#include "daemon/inspect_internal.h"

#define AHEAD 4u /* slots whose records are on their way */

/* ---- the batch ---- */

void inspect_begin(struct inspect *in, enum intercept_side side, bool withdrawing, uint64_t now_ns)
{
	in->side = side;
	in->withdrawing = withdrawing;
	in->batch->n = 0;
	in->batch->now_ns = now_ns;
}

void inspect_end(struct inspect *in)
{
	struct bridge *br = in->wb->br;

	if (in->batch->n == 0)
		return;
	if (unlikely(in->wb->captures) && !in->withdrawing)
		capture_after(in->wb->captures, in->side, in->batch, in->batch_origins);
	if (in->withdrawing)
		bridge_withdraw(br, in->side, in->batch, in->batch_origins);
	else if (in->side == INTERCEPT_NIC)
		bridge_inject(br, in->batch, in->batch_origins);
	else
		bridge_inject_host(br, in->batch, in->batch_origins);
	worker_forward(in->w, in->wb);
	in->batch->n = 0;
}

static void emit(void *ctx, const struct frame *f, const struct origin *o)
{
	struct inspect *in = ctx;

	if (in->batch->n == BATCH_MAX)
		inspect_end(in);
	in->batch_origins[in->batch->n] = *o;
	in->batch->frames[in->batch->n++] = *f;
}

struct regroup_sink inspect_sink(struct inspect *in)
{
	return (struct regroup_sink){.ctx = in, .emit = emit};
}

/* ---- frames of slots ---- */

/* Slots of the frame that starts at s. The last of a series may lack its end. */
static uint32_t frame_slots(const struct ring_slot *s, uint32_t n)
{
	uint32_t k = 0;

	while (k + 1 < n && s[k].flags & NS_MOREFRAG)
		k++;
	return k + 1;
}

static void give_back(struct inspect *in, const struct ring_slot *s, uint32_t k)
{
	for (uint32_t i = 0; i < k; i++)
		buf_put_one(in->bufs, s[i].buf);
}

/* A frame of several slots, copied together; its first buffer is its name among origins. */
static bool gather(struct inspect *in, const struct ring_slot *s, uint32_t k, struct frame *ret)
{
	uint32_t len = 0;
	uint8_t *to;

	for (uint32_t i = 0; i < k; i++)
		len += s[i].len;
	ret->buf = in->buf_ops->get(in->buf_ops->ctx, len, &to);
	if (!ret->buf)
		return false;
	ret->data = to;
	ret->len = len;
	for (uint32_t i = 0; i < k; i++) {
		memcpy(to, buf_data(in->bufs, s[i].buf) + s[i].offset, s[i].len);
		to += s[i].len;
	}
	return true;
}

/*
 * Makes one frame of k slots, whose buffers are ours. *ret_name: the buffer it was known by. False:
 * no buffer is large enough, or none is left; all buffers were given back.
 */
static bool make_frame(struct inspect *in, const struct ring_slot *s, uint32_t k, struct frame *ret,
		       uint32_t *ret_name)
{
	bool ok = true;

	memset(ret, 0, sizeof(*ret));
	*ret_name = s->buf;
	if (likely(k == 1)) {
		ret->buf = s->buf;
		ret->data = buf_data(in->bufs, s->buf) + s->offset;
		ret->len = s->len;
		return true;
	}
	ok = gather(in, s, k, ret);
	give_back(in, s, k);
	return ok;
}

/* ---- what programs sent ---- */

/* A frame at the end of the batch that may be a segment, or come in the middle of some. */
static void regroup(struct inspect *in, uint64_t now_ns)
{
	const struct regroup_sink sink = inspect_sink(in);
	/* The batch gets what was held before. */
	const struct frame f = in->batch->frames[in->batch->n];
	const struct origin o = in->batch_origins[in->batch->n];

	regroup_return(in->groups[in->side], &f, &o, now_ns, &sink);
}

/*
 * Frame and origin are made where the batch has them: each copy reads in large pieces what was just
 * written in small ones, and waits for them.
 */
static void come_back(struct inspect *in, struct inspect_ring *r, const struct ring_slot *s,
		      uint32_t k, uint64_t now_ns)
{
	struct frame *f;
	struct origin *o;
	uint32_t name, buf;

	if (in->batch->n == BATCH_MAX)
		inspect_end(in);
	f = &in->batch->frames[in->batch->n];
	o = &in->batch_origins[in->batch->n];
	/* Never synced, so it goes on only if it is a frame that the program was lent. */
	if (unlikely(r->closing) && !origins_withdraw(in->origins[r->side], s->buf, o)) {
		give_back(in, s, k);
		return;
	}
	if (!make_frame(in, s, k, f, &name)) {
		r->counters.n_refused++;
		return;
	}
	if (likely(r->rc.tx))
		r->counters.n_frames++;
	else
		r->counters.n_forwarded++;
	if (!frame_parse(f)) { /* its end is bridge_inject()'s to decide */
		if (!r->closing)
			*o = (struct origin){.how = ORIGIN_UNKNOWN};
		in->batch->n++;
		return;
	}
	buf = f->buf;
	f->buf = name;
	if (likely(!r->closing))
		origins_match(in->origins[r->side], f, now_ns, o);
	f->buf = buf;
	if (likely(!o->group && !regroup_open(in->groups[r->side])))
		in->batch->n++;
	else
		regroup(in, now_ns);
}

/* Nothing goes back by the end of a mirror; what was never synced was not even sent. */
static void refuse_all(struct inspect *in, const struct inspect_ring *r, const struct ring_slot *s,
		       uint32_t n)
{
	uint32_t n_frames = 0;

	for (uint32_t i = 0; i < n; i += frame_slots(s + i, n - i))
		n_frames++;
	give_back(in, s, n);
	if (!r->closing)
		in->sink->drops.n[DROP_SPAN] += n_frames;
}

static void come_back_all(struct inspect *in, struct inspect_ring *r, const struct ring_slot *s,
			  uint32_t n, uint64_t now_ns)
{
	if (unlikely(in->sink)) {
		refuse_all(in, r, s, n);
		return;
	}
	inspect_begin(in, (enum intercept_side)r->side, false, now_ns);
	for (uint32_t i = 0; i < n;) {
		const uint32_t k = frame_slots(s + i, n - i);

		if (likely(i + AHEAD < n))
			origins_prefetch(in->origins[r->side], s[i + AHEAD].buf);
		come_back(in, r, s + i, k, now_ns);
		i += k;
	}
	inspect_end(in);
}

uint32_t inspect_take(struct inspect *in, struct inspect_ring *r, uint64_t now_ns)
{
	struct ring_slot slots[RINGCHECK_BATCH];
	uint32_t n = ringcheck_tx_take(&r->rc, in->bufs, slots, RINGCHECK_BATCH);

	if (n == 0) {
		inspect_publish(in, r); /* slots that were passed over */
		return 0;
	}
	PROBE(ring_take, bridge_name(in->wb->br), r->side, r->index, n);
	come_back_all(in, r, slots, n, now_ns);
	inspect_publish(in, r);
	return n;
}

uint32_t inspect_forward(struct inspect *in, struct inspect_ring *r, uint64_t now_ns)
{
	struct ring_slot slots[RINGCHECK_BATCH];
	uint32_t n = ringcheck_rx_forward(&r->rc, in->bufs, slots, RINGCHECK_BATCH);

	if (n > 0) {
		PROBE(ring_take, bridge_name(in->wb->br), r->side, r->index, n);
		come_back_all(in, r, slots, n, now_ns);
	}
	return n;
}

/* ---- what programs did not take ---- */

static void go_round(struct inspect *in, struct inspect_ring *r, const struct ring_slot *s,
		     uint32_t k, uint64_t now_ns)
{
	const struct regroup_sink sink = inspect_sink(in);
	struct origin o = {.how = ORIGIN_UNKNOWN};
	struct frame f;
	uint32_t name;

	/* Without a record it has come back already, as a copy. */
	if (!origins_withdraw(in->origins[r->side], s->buf, &o)) {
		give_back(in, s, k);
		return;
	}
	if (!make_frame(in, s, k, &f, &name)) {
		r->counters.n_refused++;
		return;
	}
	if (frame_parse(&f))
		regroup_return(in->groups[r->side], &f, &o, now_ns, &sink);
	else
		sink.emit(sink.ctx, &f, &o);
}

void inspect_withdraw(struct inspect *in, struct inspect_ring *r, enum ringcheck_which which,
		      uint64_t now_ns)
{
	const struct regroup_sink sink = inspect_sink(in);
	uint32_t n = ringcheck_rx_withdraw(&r->rc, in->bufs, which, in->slots);

	inspect_begin(in, (enum intercept_side)r->side, true, now_ns);
	for (uint32_t i = 0; i < n;) {
		const uint32_t k = frame_slots(in->slots + i, n - i);

		go_round(in, r, in->slots + i, k, now_ns);
		i += k;
	}
	if (which == RINGCHECK_UNRELEASED)
		regroup_released(in->groups[r->side], r->index, UINT64_MAX, now_ns, &sink);
	inspect_end(in);
}
