/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the bridge into RX rings. A buffer that nobody else has is handed over as it is; otherwise
 * its bytes are copied. A program sees plain frames with complete checksums: GSO frames are shown
 * as their segments, and core/regroup.h keeps the whole one.
 */
#include <assert.h>
#include <string.h>

#include "daemon/inspect_internal.h"

enum shown {
	SHOWN,   /* the ring, or somebody else, has its reference now */
	NO_ROOM, /* the caller has it */
};

/* A frame that must end here, counted where it came in. */
static enum shown drop(struct inspect *in, struct frame *f, enum drop_reason reason)
{
	struct bport *p = bridge_port(in->wb->br, f->in_port);

	if (p)
		bport_drop(p, reason, 1);
	buf_put_one(in->bufs, f->buf);
	return SHOWN;
}

/*
 * Puts one frame that lies in a region buffer of its own. False: there is no room. The buffer that
 * was lent with the slot before is ours again if the program did not swap it away.
 */
static bool put_slot(struct inspect *in, struct inspect_ring *r, const struct frame *f,
		     const struct origin *o)
{
	const struct ring_slot s = {
		.buf = f->buf,
		.len = (uint16_t)f->len,
		.offset = (uint32_t)(f->data - buf_data(in->bufs, f->buf)),
	};
	const uint32_t before = r->rc.lent[r->rc.pos].buf;

	if (ringcheck_rx_put(&r->rc, in->bufs, &s, 1) == 0)
		return false;
	if (before && buf_meta(in->bufs, before)->owner != r->rc.owner)
		origins_release(in->origins[r->side], before);
	origins_lend(in->origins[r->side], f, o);
	r->counters.n_frames++;
	return true;
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
		return show_chain(in, r, f, &o);
	return show_plain(in, r, f, &o);
}

static void show_list(struct inspect *in, struct inspect_ring *r, struct egress *e,
		      struct egress_list *l, uint64_t now_ns)
{
	struct frame *refused[EGRESS_MAX];
	const bool was_empty = r && ringcheck_rx_waiting(&r->rc) == 0;
	const uint64_t before = r ? r->rc.n_slots : 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n; i++)
		if (!r || show_one(in, r, l->frames[i], now_ns) == NO_ROOM)
			refused[n++] = l->frames[i];
	if (r) {
		if (was_empty)
			r->moved_ns = now_ns;
		r->counters.n_full += n;
		r->burst -= r->burst / 16;
		r->burst = (uint32_t)max_of(r->burst, r->rc.n_slots - before);
		inspect_publish(in, r);
	}
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
