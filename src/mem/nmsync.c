/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/nmsync.h"

#define US_PER_S 1000000u

void nmsync_init(struct nmsync_ring *r, struct netmap_ring *ring, struct shadow_ring *shadow,
		 uint32_t n_bufs)
{
	*r = (struct nmsync_ring){
		.ring = ring,
		.shadow = shadow,
		.n_slots = ring->num_slots,
		.n_bufs = n_bufs,
		.buf_size = ring->nr_buf_size,
	};
}

/* Buffers that cannot be and lengths that no buffer has become 0. */
static _cold_ void clean_slots(struct nmsync_ring *r)
{
	for (uint32_t i = 0; i < r->n_slots; i++) {
		struct netmap_slot *s = &r->ring->slot[i];
		struct ring_head h = ring_read_slot(s);

		if (h.buf_idx < 2 || h.buf_idx >= r->n_bufs) {
			h.buf_idx = 0;
			h.len = 0;
		} else if (h.len > r->buf_size) {
			h.len = 0;
		} else {
			continue;
		}
		ring_write_slot(s, h);
	}
}

/* The application's indexes are wrong: puts the ring back if one of them is no slot. */
static _cold_ void reinit(struct nmsync_ring *r)
{
	struct netmap_ring *ring = r->ring;
	uint32_t head = ring_read(&r->shadow->prog.head);

	if (head >= r->n_slots) /* scribbled on, too */
		head = 0;
	clean_slots(r);
	if (ring_read(&ring->head) < r->n_slots && ring_read(&ring->cur) < r->n_slots &&
	    ring_read(&ring->tail) < r->n_slots)
		return;
	ring_write(&ring->head, head);
	ring_write(&ring->cur, head);
}

/* The daemon found a slot that it could not use; told to the application once. */
static _cold_ unsigned int note_errors(struct nmsync_ring *r, uint32_t errors)
{
	ring_write(&r->shadow->prog.errors_seen, errors);
	clean_slots(r);
	return NMSYNC_BAD;
}

/* First sync: says that this ring has a user, and wakes the daemon if that is of interest. */
static void count_sync(struct shadow_ring *s, bool *ret_first)
{
	const uint32_t n = ring_read(&s->prog.n_syncs);

	*ret_first = unlikely(n == 0);
	if (*ret_first)
		ring_publish(&s->prog.n_syncs, 1);
	else
		ring_write(&s->prog.n_syncs, n + 1 ? n + 1 : 1); /* never 0 again */
}

/*
 * Slots from .. to - 1 of an RX ring are about to be released. The daemon looks for marks whenever
 * NR_FORWARD was on once: those made without it must not stay.
 */
static _cold_ void settle_forward(struct nmsync_ring *r, uint32_t from, uint32_t to)
{
	const bool on = ring_read(&r->ring->flags) & NR_FORWARD;

	ring_write(&r->shadow->prog.forward, SHADOW_FORWARD_USED | (on ? SHADOW_FORWARD_ON : 0));
	if (on || from >= r->n_slots) /* scribbled on */
		return;
	for (uint32_t at = from; at != to; at = ring_next(at, r->n_slots)) {
		struct ring_head h = ring_read_slot(&r->ring->slot[at]);

		h.flags &= (uint16_t)~NS_FORWARD;
		ring_write_slot(&r->ring->slot[at], h);
	}
}

/*
 * Takes what the application released or filled, if its indexes are as they should be. shown: the
 * tail that it was given last.
 */
static inline unsigned int take_head(struct nmsync_ring *r, uint32_t shown, bool rx)
{
	struct shadow_ring *s = r->shadow;
	const uint32_t head = ring_read(&r->ring->head), cur = ring_read(&r->ring->cur);
	const uint32_t published = ring_read(&s->prog.head);
	bool first;

	if (unlikely(!ring_between(published, head, shown, r->n_slots) ||
		     !ring_between(head, cur, shown, r->n_slots))) {
		reinit(r);
		return NMSYNC_BAD;
	}
	if (rx && unlikely(ring_read(&r->ring->flags) & NR_FORWARD || ring_read(&s->prog.forward)))
		settle_forward(r, published, head);
	ring_write(&s->prog.cur, cur);
	count_sync(s, &first);
	if (head == published && likely(!first))
		return 0;
	return shadow_publish_head(s, head) ? NMSYNC_DOORBELL : 0;
}

static inline unsigned int check_errors(struct nmsync_ring *r)
{
	const uint32_t errors = ring_read(&r->shadow->daemon.errors);

	if (likely(errors == ring_read(&r->shadow->prog.errors_seen)))
		return 0;
	return note_errors(r, errors);
}

/* Gives the application its tail; one that is no slot (the daemon's half was scribbled on) is not
 * handed on. */
static inline unsigned int give_tail(struct nmsync_ring *r, uint32_t tail)
{
	if (unlikely(tail >= r->n_slots))
		return NMSYNC_BAD;
	if (ring_read(&r->ring->tail) != tail)
		ring_write(&r->ring->tail, tail);
	return 0;
}

unsigned int nmsync_tx(struct nmsync_ring *r, uint32_t tid)
{
	struct shadow_ring *s = r->shadow;
	unsigned int found;
	uint32_t shown;

	if (unlikely(ring_load(&s->daemon.state) != SHADOW_OK))
		return NMSYNC_STOPPED;
	if (!shadow_trylock(s, tid))
		return NMSYNC_BUSY;
	shown = ring_read(&s->prog.shown);
	if (unlikely(shown >= r->n_slots))
		shown = ring_read(&s->prog.head);
	found = take_head(r, shown, false);
	if (unlikely(found & NMSYNC_BAD)) {
		found |= give_tail(r, shown);
	} else {
		const uint32_t tail = shadow_take_tail(s);

		found |= check_errors(r) | give_tail(r, tail);
		if (tail != shown && tail < r->n_slots)
			ring_write(&s->prog.shown, tail);
	}
	shadow_unlock(s);
	return found;
}

static inline void set_time(struct nmsync_ring *r)
{
	const uint64_t us = __atomic_load_n(&r->shadow->daemon.ts_us, __ATOMIC_RELAXED);

	if (us == r->ts_us)
		return;
	r->ts_us = us;
	r->ring->ts.tv_sec = (time_t)(us / US_PER_S);
	r->ring->ts.tv_usec = (suseconds_t)(us % US_PER_S);
}

unsigned int nmsync_rx(struct nmsync_ring *r, uint32_t tid)
{
	struct shadow_ring *s = r->shadow;
	unsigned int found;
	uint32_t shown;

	if (unlikely(ring_load(&s->daemon.state) != SHADOW_OK))
		return NMSYNC_STOPPED;
	if (!shadow_trylock(s, tid))
		return NMSYNC_BUSY;
	shown = ring_read(&s->prog.shown);
	if (unlikely(shown >= r->n_slots))
		shown = ring_read(&s->prog.head);
	found = take_head(r, shown, true) | check_errors(r);
	found |= give_tail(r, shadow_show_tail(s));
	set_time(r);
	shadow_unlock(s);
	return found;
}
