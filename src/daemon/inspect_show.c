/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the bridge into RX rings. A buffer that nobody else has is handed over as it is; otherwise
 * its bytes are copied. A program sees plain frames with complete checksums: GSO frames are shown
 * as their segments, and core/regroup.h keeps the whole one.
 */
#include <assert.h>
#include <string.h>

#include "base/probe.h"
#include "core/trace.h"
#include "daemon/capture.h"
#include "daemon/inspect_internal.h"

enum shown {
	SHOWN,   /* the ring, or somebody else, has its reference now */
	NO_ROOM, /* the caller has it */
};

/* f, or a copy of it, is in the ring from that slot on. */
static inline void step_shown(struct inspect *in, const struct inspect_ring *r,
			      const struct frame *f, const struct origin *o, uint32_t slot)
{
	if (unlikely(f->flags & FRAME_TRACED))
		trace_step(bridge_trace(in->wb->br), f, NULL,
			   (struct trace_record){.step = TRACE_RING,
						 .result = (o->flags & ORIGIN_COPY) != 0,
						 .value = EGRESS_RING(r->side, r->index),
						 .value2 = slot});
}

/* A frame that must end here, counted where it came in. */
static enum shown drop(struct inspect *in, struct frame *f, enum drop_reason reason)
{
	struct bport *p = bridge_port(in->wb->br, f->in_port);

	if (in->sink)
		in->sink->drops.n[reason]++;
	else if (p)
		bport_drop(p, reason, f);
	bridge_tell_drop(in->wb->br, p, f, reason);
	buf_put_one(in->bufs, f->buf);
	return SHOWN;
}

/*
 * Puts n frames that lie in region buffers of their own, and returns how many found room. A buffer
 * that was lent with a slot before is ours again if the program did not swap it away.
 */
static uint32_t put_slots(struct inspect *in, struct inspect_ring *r, struct frame *const *frames,
			  const struct origin *o, uint32_t n)
{
	struct origins *os = in->origins[r->side];
	struct ring_slot s[EGRESS_MAX];
	uint32_t before[EGRESS_MAX], at = r->rc.pos, put;

	for (uint32_t i = 0; i < n; i++, at = ring_next(at, r->rc.n)) {
		const struct frame *f = frames[i];

		s[i] = (struct ring_slot){
			.buf = f->buf,
			.len = (uint16_t)f->len,
			.offset = (uint32_t)(f->data - buf_data(in->bufs, f->buf)),
		};
		before[i] = r->rc.lent[at].buf;
	}
	put = ringcheck_rx_put(&r->rc, in->bufs, s, n);
	assert(put <= n && n <= EGRESS_MAX);
	for (uint32_t i = 0; i < put && !in->sink; i++) {
		if (before[i] && buf_meta(in->bufs, before[i])->owner != r->rc.owner)
			origins_release(os, before[i]);
		origins_lend(os, frames[i], &o[i]);
	}
	r->counters.n_frames += put;
	return put;
}

static bool put_slot(struct inspect *in, struct inspect_ring *r, struct frame *f,
		     const struct origin *o)
{
	return put_slots(in, r, &f, o, 1) == 1;
}

/* f in a region buffer, ofs bytes from its start: 0, or a reason. */
static int copy_small(struct inspect *in, const struct frame *f, uint32_t ofs, struct frame *ret)
{
	uint32_t buf;

	if (!buf_get(in->bufs, &buf, 1))
		return DROP_NO_BUFFER;
	*ret = *f;
	ret->buf = buf;
	ret->data = buf_data(in->bufs, buf) + ofs;
	memcpy(ret->data, f->data, f->len);
	return 0;
}

static bool can_hand_over(const struct inspect *in, const struct frame *f)
{
	return !(f->buf & BUF_BIG) && buf_refs(in->bufs, f->buf) == 1 &&
	       f->data == buf_data(in->bufs, f->buf);
}

static enum shown show_plain(struct inspect *in, struct inspect_ring *r, struct frame *f,
			     const struct origin *o)
{
	const uint32_t ofs = ringcheck_rx_offset(&r->rc, 0);
	const uint32_t slot = r->rc.pos;
	struct frame copy, *g = f;
	int why = 0;

	if (ofs || !can_hand_over(in, f)) {
		why = copy_small(in, f, ofs, &copy);
		g = &copy;
	}
	if (why)
		return drop(in, f, (enum drop_reason)why);
	if (g->flags & FRAME_CSUM_PARTIAL)
		why = offload_finish_csum(g);
	if (!why && put_slot(in, r, g, o)) {
		step_shown(in, r, f, o, slot);
		if (g == f)
			return SHOWN;
		r->counters.n_copied++;
		buf_put_one(in->bufs, f->buf);
		return SHOWN;
	}
	if (g != f)
		buf_put_one(in->bufs, g->buf);
	return why ? drop(in, f, (enum drop_reason)why) : NO_ROOM;
}

static void put_segments(struct inspect *in, uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i < n; i++)
		buf_put_one(in->bufs, in->segments[i].buf);
}

/* Segments in region buffers? When those are out, large ones come instead. */
static bool segments_fit(const struct inspect *in, const struct inspect_ring *r, uint32_t n)
{
	const uint32_t room = inspect_room(in, r);

	for (uint32_t i = 0; i < n; i++)
		if (in->segments[i].buf & BUF_BIG || in->segments[i].len > room)
			return false;
	return true;
}

/* A segment has its buffer to itself. */
static bool put_segment(struct inspect *in, struct inspect_ring *r, struct frame *s,
			const struct origin *o)
{
	const uint32_t ofs = ringcheck_rx_offset(&r->rc, 0);

	if (ofs) {
		memmove(s->data + ofs, s->data, s->len);
		s->data += ofs;
	}
	return frame_parse(s) && put_slot(in, r, s, o);
}

/* All segments or nothing; only a hostile ring stops half-way. */
static enum shown show_gso(struct inspect *in, struct inspect_ring *r, struct frame *f,
			   struct origin *o)
{
	int n;

	if (ringcheck_rx_space(&r->rc) < f->len / f->gso_size + 1)
		return NO_ROOM;
	n = offload_segment(f, in->buf_ops, in->segments, REGROUP_SEGMENTS_MAX);
	if (n <= 0)
		return drop(in, f, n < 0 ? (enum drop_reason) - n : DROP_GSO_MALFORMED);
	if (!segments_fit(in, r, (uint32_t)n) || ringcheck_rx_space(&r->rc) < (uint32_t)n) {
		put_segments(in, 0, (uint32_t)n);
		return NO_ROOM;
	}
	step_shown(in, r, f, o, r->rc.pos);
	if (!(o->flags & ORIGIN_COPY))
		o->group = regroup_keep(in->groups[r->side], f, o, in->segments, (uint32_t)n,
					r->rc.n_slots + (uint32_t)n);
	if (o->group == 0)
		buf_put_one(in->bufs, f->buf);
	for (int i = 0; i < n; i++) {
		struct frame *s = &in->segments[i];

		o->segment = (uint16_t)i;
		if (!put_segment(in, r, s, o)) {
			put_segments(in, (uint32_t)i, (uint32_t)n);
			break;
		}
		r->counters.n_segments++;
	}
	return SHOWN;
}

/* A frame longer than a slot, in several. */
static enum shown show_chain(struct inspect *in, struct inspect_ring *r, struct frame *f,
			     const struct origin *o)
{
	const uint32_t room = inspect_room(in, r);
	const uint32_t k = room ? (f->len + room - 1) / room : UINT32_MAX;
	struct ring_slot s[NETMAP_MAX_FRAGS];
	const uint32_t slot = r->rc.pos;
	uint32_t bufs[NETMAP_MAX_FRAGS], got;
	struct frame first = *f;

	assert(k > 0); /* the frame is longer than a slot */
	if (k > NETMAP_MAX_FRAGS)
		return drop(in, f, DROP_RING_OVERSIZE);
	if (f->flags & FRAME_CSUM_PARTIAL) {
		/* Rare, and the frame is copied anyway. A shared one is not ours to change. */
		int why = buf_refs(in->bufs, f->buf) == 1 ? offload_finish_csum(f)
							  : DROP_RING_OVERSIZE;
		if (why)
			return drop(in, f, (enum drop_reason)why);
	}
	got = ringcheck_rx_space(&r->rc) < k ? 0 : buf_get(in->bufs, bufs, k);
	if (got == k) {
		for (uint32_t i = 0; i < k; i++) {
			const uint32_t len = min_of(f->len - i * room, room);
			const uint32_t ofs = ringcheck_rx_offset(&r->rc, i);

			memcpy(buf_data(in->bufs, bufs[i]) + ofs, f->data + i * room, len);
			s[i] = (struct ring_slot){.buf = bufs[i],
						  .len = (uint16_t)len,
						  .flags = i + 1 < k ? NS_MOREFRAG : 0,
						  .offset = ofs};
		}
		if (ringcheck_rx_put(&r->rc, in->bufs, s, k) == k) {
			first.buf = bufs[0];
			origins_lend(in->origins[r->side], &first, o);
			step_shown(in, r, f, o, slot);
			r->counters.n_frames++;
			r->counters.n_copied++;
			buf_put_one(in->bufs, f->buf);
			return SHOWN;
		}
	}
	buf_put(in->bufs, bufs, got);
	return NO_ROOM;
}

static enum shown show_one(struct inspect *in, struct inspect_ring *r, struct frame *f,
			   uint64_t now_ns)
{
	struct origin o;

	bridge_origin(in->wb->br, f, now_ns, &o);
	if (f->gso)
		return show_gso(in, r, f, &o);
	if (unlikely(f->len > inspect_room(in, r)))
		return in->sink ? drop(in, f, DROP_RING_OVERSIZE) : show_chain(in, r, f, &o);
	return show_plain(in, r, f, &o);
}

/*
 * Frames that the program gets as they are, which is most of them. room: of a slot; 0 on a ring
 * with offsets, where each slot has its own.
 */
static inline bool is_easy(const struct inspect *in, const struct frame *f, uint32_t room)
{
	return !f->gso && !(f->flags & FRAME_CSUM_PARTIAL) && f->len <= room &&
	       can_hand_over(in, f);
}

/* Shows the frames of a list in order, easy ones together; returns how many found no room. */
static uint32_t show_frames(struct inspect *in, struct inspect_ring *r, const struct egress_list *l,
			    uint64_t now_ns, struct frame **ret_refused)
{
	const uint32_t room = r->rc.offset_mask ? 0 : inspect_room(in, r);
	struct origin o[EGRESS_MAX];
	uint32_t n_refused = 0, n, put, slot;

	for (uint32_t i = 0; i < l->n; i += n) {
		for (n = 0; i + n < l->n && is_easy(in, l->frames[i + n], room); n++)
			bridge_origin(in->wb->br, l->frames[i + n], now_ns, &o[n]);
		if (n > 0) {
			slot = r->rc.pos;
			put = put_slots(in, r, l->frames + i, o, n);
			for (uint32_t k = 0; k < put; k++, slot = ring_next(slot, r->rc.n))
				step_shown(in, r, l->frames[i + k], &o[k], slot);
			for (; put < n; put++)
				ret_refused[n_refused++] = l->frames[i + put];
		} else {
			n = 1;
			if (show_one(in, r, l->frames[i], now_ns) == NO_ROOM)
				ret_refused[n_refused++] = l->frames[i];
		}
	}
	return n_refused;
}

/* show_frames(), and what the ring has to know about it. */
static uint32_t fill(struct inspect *in, struct inspect_ring *r, const struct egress_list *l,
		     uint64_t now_ns, struct frame **ret_refused)
{
	const uint64_t before = r->rc.n_slots;
	const uint32_t waiting = ringcheck_rx_waiting(&r->rc);
	uint32_t n;

	if (unlikely(in->wb->captures))
		capture_show(in->wb->captures, EGRESS_RING(r->side, r->index), l->frames, l->n);
	n = show_frames(in, r, l, now_ns, ret_refused);
	PROBE(ring_put, bridge_name(in->wb->br), r->side, r->index, l->n - n, n,
	      waiting + (uint32_t)(r->rc.n_slots - before));
	if (unlikely(in->wb->captures))
		capture_shown(in->wb->captures, ret_refused, n);
	if (waiting == 0)
		r->moved_ns = now_ns;
	r->counters.n_full += n;
	r->burst -= r->burst / 16;
	r->burst = (uint32_t)max_of(r->burst, r->rc.n_slots - before);
	inspect_publish(in, r);
	return n;
}

static void show_list(struct inspect *in, struct inspect_ring *r, struct egress *e,
		      struct egress_list *l, uint64_t now_ns)
{
	struct frame *refused[EGRESS_MAX];
	uint32_t n;

	if (!r) {
		bridge_intercept_refused(in->wb->br, l->frames, l->n, e);
		return;
	}
	n = fill(in, r, l, now_ns, refused);
	bridge_intercept_refused(in->wb->br, refused, n, e);
}

void inspect_show(struct inspect *in, struct egress *e, uint64_t now_ns)
{
	const uint32_t n = e->n_used; /* refused frames add lists of ports */

	for (uint32_t i = 0; i < n; i++) {
		const uint16_t no = e->used[i];

		if (EGRESS_IS_RING(no))
			show_list(in, in->rings[EGRESS_SIDE_OF(no)][0][EGRESS_RING_OF(no)], e,
				  &e->lists[no], now_ns);
	}
}

/* ---- the end of a mirror ---- */

/* Frames for one ring, in descriptors of our own: those that tx() gets are not ours to change. */
struct run {
	struct inspect_ring *r;
	struct egress_list list;
	struct frame frames[BATCH_MAX];
};

static void refuse(struct inspect *in, struct frame *const *frames, uint32_t n)
{
	in->sink->drops.n[DROP_RING_FULL] += n;
	for (uint32_t i = 0; i < n; i++)
		buf_put_one(in->bufs, frames[i]->buf);
}

static void end_run(struct inspect *in, struct run *run)
{
	struct frame *refused[EGRESS_MAX];

	if (run->list.n > 0)
		refuse(in, refused, fill(in, run->r, &run->list, in->batch->now_ns, refused));
	run->list.n = 0;
}

static struct inspect_ring *ring_of(const struct inspect *in, const struct frame *f)
{
	const struct intercept *ic = bridge_intercept(in->wb->br);
	const uint32_t n = ic->set.n_rings[INTERCEPT_NIC];

	return in->rings[0][0][n > 1 ? (uint64_t)flowhash(&ic->key, f) * n >> 32 : 0];
}

void inspect_copy(struct inspect *in, struct frame *const *frames, uint32_t n)
{
	struct run run;

	run.list.n = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct inspect_ring *r = ring_of(in, frames[i]);
		struct frame *f;

		if (run.list.n == BATCH_MAX || (run.list.n > 0 && run.r != r))
			end_run(in, &run);
		if (!r) { /* nobody has that ring open */
			buf_put_one(in->bufs, frames[i]->buf);
			continue;
		}
		if (r->state & INTERCEPT_STALLED) {
			refuse(in, frames + i, 1);
			continue;
		}
		run.r = r;
		f = &run.frames[run.list.n];
		*f = *frames[i];
		f->flags |= FRAME_SHOWN; /* a copy: segments need not be put together again */
		f->in_port = 0;
		run.list.frames[run.list.n++] = f;
	}
	end_run(in, &run);
}
