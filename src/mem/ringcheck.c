/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/ringcheck.h"

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"

int ringcheck_init(struct ringcheck *rc, const struct ringcheck_params *p)
{
	*rc = (struct ringcheck){
		.ring = p->ring,
		.shadow = p->shadow,
		.n = p->n_slots,
		.buf_size = p->buf_size,
		.offset_mask = p->offset_mask,
		.max_offset = p->max_offset,
		.owner = p->owner,
		.tx = p->tx,
		.tail = p->tx ? p->n_slots - 1 : 0,
	};
	if (!p->tx) {
		rc->lent = calloc(p->n_slots, sizeof(*rc->lent));
		if (!rc->lent)
			return error_origin(-ENOMEM);
	}
	shadow_reset(p->shadow, p->tx, p->n_slots);
	return 0;
}

void ringcheck_deinit(struct ringcheck *rc)
{
	free(rc->lent);
	*rc = (struct ringcheck){0};
}

static _cold_ void note_error(struct ringcheck *rc)
{
	rc->n_errors++;
}

bool ringcheck_poll(struct ringcheck *rc)
{
	const uint32_t head = shadow_take_head(rc->shadow);
	const bool is_first = unlikely(!rc->synced) && shadow_synced(rc->shadow);

	rc->synced |= is_first;
	if (head == rc->head_seen)
		return is_first;
	rc->head_seen = head;
	/* Only what was the program's part of the ring can have been given back. */
	if (unlikely(!ring_between(rc->head, head, rc->tail, rc->n))) {
		note_error(rc);
		return is_first;
	}
	/* Written before the head. */
	if (unlikely(ring_read(&rc->shadow->prog.forward)))
		rc->forward = true;
	rc->head = head;
	if (likely(!rc->forward))
		rc->scan = head;
	return true;
}

static inline struct netmap_slot *slot_at(struct ringcheck *rc, uint32_t i)
{
	return &rc->ring->slot[i];
}

/* The one reading of a slot that the program filled. Nothing is checked yet. */
static inline struct ring_slot read_slot(struct ringcheck *rc, uint32_t at, uint16_t flags)
{
	const struct netmap_slot *s = slot_at(rc, at);
	const struct ring_head h = ring_read_slot(s);
	uint64_t ofs = 0;

	if (unlikely(rc->offset_mask))
		ofs = __atomic_load_n(&s->ptr, __ATOMIC_RELAXED) & rc->offset_mask;
	return (struct ring_slot){
		.buf = h.buf_idx,
		.len = h.len,
		.flags = h.flags & flags,
		.offset = ofs > UINT32_MAX ? UINT32_MAX : (uint32_t)ofs,
	};
}

/* n TX slots from pos on. */
static void read_slots(struct ringcheck *rc, struct bufcache *b, struct ring_slot *ret, uint32_t n)
{
	for (uint32_t i = 0, at = rc->pos; i < n; i++, at = ring_next(at, rc->n)) {
		ret[i] = read_slot(rc, at, NS_MOREFRAG | NS_NO_LEARN);
		if (likely(ret[i].buf < b->n_bufs))
			prefetch(&b->meta[ret[i].buf]);
	}
}

/* Slots of the frame that starts at s, of n: 0 when its last slot is not among them. */
static inline uint32_t frame_slots(const struct ring_slot *s, uint32_t n)
{
	uint32_t k = 0;

	while (k < n && s[k].flags & NS_MOREFRAG)
		k++;
	return k < n ? k + 1 : 0;
}

static inline bool slot_fits(const struct ringcheck *rc, const struct ring_slot *s)
{
	return s->offset <= rc->max_offset && (uint64_t)s->offset + s->len <= rc->buf_size;
}

/* Takes the buffers of a frame's k slots: all or none. */
static inline bool take_frame(struct ringcheck *rc, struct bufcache *b, const struct ring_slot *s,
			      uint32_t k)
{
	uint32_t done = 0;

	if (unlikely(k > NETMAP_MAX_FRAGS))
		return false;
	while (done < k && slot_fits(rc, &s[done]) && buf_take(b, s[done].buf, rc->owner))
		done++;
	if (likely(done == k))
		return true;
	while (done--)
		buf_give(b, s[done].buf, rc->owner);
	return false;
}

/* Puts free buffers into the k slots from pos on. */
static inline void swap_in(struct ringcheck *rc, struct bufcache *b, const struct ring_slot *s,
			   const uint32_t *fresh, uint32_t k)
{
	for (uint32_t i = 0; i < k; i++) {
		const struct ring_head h = {
			.buf_idx = fresh[i], .len = s[i].len, .flags = NS_BUF_CHANGED};

		buf_give(b, fresh[i], rc->owner);
		ring_write_slot(slot_at(rc, rc->pos), h);
		rc->pos = ring_next(rc->pos, rc->n);
	}
}

/* Passes over k slots that nothing was taken from. */
static _cold_ void pass_over(struct ringcheck *rc, uint32_t k)
{
	rc->pos = ring_add(rc->pos, k, rc->n);
	rc->n_bad += k;
}

/* Slots to pass over at the start of n: what belongs to a frame that was refused before. */
static uint32_t skip_rest(struct ringcheck *rc, const struct ring_slot *s, uint32_t n)
{
	uint32_t k;

	if (likely(!rc->skipping))
		return 0;
	k = frame_slots(s, n);
	if (k)
		rc->skipping = false;
	else
		k = n;
	pass_over(rc, k);
	return k;
}

/*
 * A frame whose end is not among the n slots in hand. more: there are further slots in the ring.
 * True: it is too long, or fills the ring, and is refused; false: wait for its end.
 */
static bool endless(struct ringcheck *rc, uint32_t n, bool more)
{
	if (n < NETMAP_MAX_FRAGS && (more || n < rc->n - 1))
		return false;
	note_error(rc);
	rc->skipping = true;
	pass_over(rc, n);
	return true;
}

uint32_t ringcheck_tx_take(struct ringcheck *rc, struct bufcache *b, struct ring_slot *ret,
			   uint32_t max)
{
	uint32_t fresh[RINGCHECK_BATCH];
	uint32_t n, n_all, n_fresh, used = 0, done = 0, at;

	assert(rc->tx && max >= NETMAP_MAX_FRAGS);
	ringcheck_poll(rc);
	n_all = ring_distance(rc->pos, rc->head, rc->n);
	n = min_of(n_all, min_of(max, RINGCHECK_BATCH));
	if (n == 0)
		return 0;
	n_fresh = buf_get_cold(b, fresh, n);
	n = n_fresh;
	read_slots(rc, b, ret, n);
	at = skip_rest(rc, ret, n);
	while (at < n) {
		const uint32_t k = frame_slots(ret + at, n - at);

		if (unlikely(k == 0)) {
			endless(rc, n - at, n < n_all);
			break;
		}
		if (likely(take_frame(rc, b, ret + at, k))) {
			swap_in(rc, b, ret + at, fresh + used, k);
			if (unlikely(at != done))
				memmove(ret + done, ret + at, k * sizeof(*ret));
			used += k;
			done += k;
		} else {
			note_error(rc);
			pass_over(rc, k);
		}
		at += k;
	}
	if (unlikely(used < n_fresh))
		buf_put_cold(b, fresh + used, n_fresh - used);
	rc->n_slots += done;
	return done;
}

bool ringcheck_tx_finish(struct ringcheck *rc)
{
	const uint32_t head = ring_read(&rc->ring->head);

	assert(rc->tx);
	ringcheck_poll(rc);
	if (head == rc->head || !ring_between(rc->head, head, rc->tail, rc->n))
		return false;
	/* What stands in the shadow is behind that, and not looked at any more. */
	rc->head = head;
	return true;
}

void ringcheck_set_offsets(struct ringcheck *rc, uint64_t mask, uint32_t max)
{
	rc->offset_mask = mask;
	rc->max_offset = max;
}

uint32_t ringcheck_rx_offset(const struct ringcheck *rc, uint32_t i)
{
	const struct netmap_slot *s = &rc->ring->slot[ring_add(rc->pos, i, rc->n)];
	uint64_t ofs;

	if (likely(!rc->offset_mask))
		return 0;
	ofs = __atomic_load_n(&s->ptr, __ATOMIC_RELAXED) & rc->offset_mask;
	return ofs < rc->max_offset ? (uint32_t)ofs : rc->max_offset;
}

uint32_t ringcheck_rx_space(struct ringcheck *rc)
{
	assert(!rc->tx);
	ringcheck_poll(rc);
	return rc->n - 1 - ring_distance(rc->scan, rc->pos, rc->n);
}

uint32_t ringcheck_rx_waiting(struct ringcheck *rc)
{
	ringcheck_poll(rc);
	return ring_distance(rc->head, rc->pos, rc->n);
}

bool ringcheck_rx_blocked(struct ringcheck *rc, struct bufcache *b)
{
	uint32_t buf;

	if (likely(!rc->blocked))
		return false;
	buf = ring_read_slot(slot_at(rc, rc->pos)).buf_idx;
	if (!buf_take(b, buf, rc->owner))
		return true;
	buf_give(b, buf, rc->owner);
	rc->blocked = false;
	return false;
}

/* Takes the old buffers of k slots from pos on: all or none. */
static inline bool take_old(struct ringcheck *rc, struct bufcache *b, uint32_t *ret, uint32_t k)
{
	uint32_t done = 0;

	for (uint32_t at = rc->pos; done < k; at = ring_next(at, rc->n), done++) {
		ret[done] = ring_read_slot(slot_at(rc, at)).buf_idx;
		if (unlikely(!buf_take(b, ret[done], rc->owner)))
			break;
	}
	if (likely(done == k))
		return true;
	while (done--)
		buf_give(b, ret[done], rc->owner);
	return false;
}

/* The other bits of ptr are the program's. */
static _cold_ void write_offset(const struct ringcheck *rc, struct netmap_slot *s, uint32_t offset)
{
	const uint64_t ptr = __atomic_load_n(&s->ptr, __ATOMIC_RELAXED);

	__atomic_store_n(&s->ptr, (ptr & ~rc->offset_mask) | offset, __ATOMIC_RELAXED);
}

/*
 * The state of buffers that slots give for frames is all over the place. A hint and no more: the
 * slots are read again when it counts.
 */
static void prefetch_old(struct ringcheck *rc, struct bufcache *b, uint32_t n)
{
	for (uint32_t i = 0, at = rc->pos; i < n; i++, at = ring_next(at, rc->n)) {
		const uint32_t buf = ring_read_slot(slot_at(rc, at)).buf_idx;

		if (likely(buf < b->n_bufs))
			prefetch(&b->meta[buf]);
	}
}

static inline void put_frame(struct ringcheck *rc, struct bufcache *b, const struct ring_slot *s,
			     uint32_t k)
{
	for (uint32_t i = 0; i < k; i++) {
		const struct ring_head h = {
			.buf_idx = s[i].buf, .len = s[i].len, .flags = s[i].flags};

		buf_give(b, s[i].buf, rc->owner);
		ring_write_slot(slot_at(rc, rc->pos), h);
		if (unlikely(rc->offset_mask))
			write_offset(rc, slot_at(rc, rc->pos), s[i].offset);
		rc->lent[rc->pos] = s[i];
		rc->pos = ring_next(rc->pos, rc->n);
	}
}

uint32_t ringcheck_rx_put(struct ringcheck *rc, struct bufcache *b, const struct ring_slot *slots,
			  uint32_t n)
{
	uint32_t old[NETMAP_MAX_FRAGS];
	const uint32_t free = ringcheck_rx_space(rc); /* may grow at any time: looked at once */
	const uint32_t space = min_of(free, n);
	uint32_t done = 0;

	if (space > 1)
		prefetch_old(rc, b, space);
	while (done < space) {
		const uint32_t k = frame_slots(slots + done, space - done);

		if (k == 0) /* the rest of it does not fit */
			break;
		assert(k <= NETMAP_MAX_FRAGS);
		if (unlikely(!take_old(rc, b, old, k))) {
			if (!rc->blocked)
				note_error(rc);
			rc->blocked = true;
			break;
		}
		rc->blocked = false;
		put_frame(rc, b, slots + done, k);
		buf_put_cold(b, old, k);
		done += k;
	}
	rc->n_slots += done;
	return done;
}

/* The slots of the released frame at scan; at most 64, of n. */
static uint32_t read_released(struct ringcheck *rc, struct ring_slot *ret, uint32_t n)
{
	uint32_t k = 0, at = rc->scan;

	do {
		ret[k] = read_slot(rc, at, NS_MOREFRAG | NS_NO_LEARN | NS_FORWARD);
		at = ring_next(at, rc->n);
	} while (ret[k++].flags & NS_MOREFRAG && k < n);
	return k;
}

/* Swaps free buffers into the k slots of a marked frame at scan. False: there are none left. */
static bool take_released(struct ringcheck *rc, struct bufcache *b, struct ring_slot *s, uint32_t k,
			  uint32_t *ret_taken)
{
	uint32_t fresh[NETMAP_MAX_FRAGS];
	const uint32_t got = buf_get(b, fresh, k);

	*ret_taken = 0;
	if (got < k) {
		buf_put(b, fresh, got);
		return false;
	}
	if (s[k - 1].flags & NS_MOREFRAG || !take_frame(rc, b, s, k)) {
		note_error(rc);
		buf_put(b, fresh, k);
		return true;
	}
	for (uint32_t i = 0, at = rc->scan; i < k; i++, at = ring_next(at, rc->n)) {
		buf_give(b, fresh[i], rc->owner);
		ring_write_slot(slot_at(rc, at), (struct ring_head){.buf_idx = fresh[i]});
		s[i].flags &= (uint16_t)~NS_FORWARD;
	}
	*ret_taken = k;
	return true;
}

uint32_t ringcheck_rx_forward(struct ringcheck *rc, struct bufcache *b, struct ring_slot *ret,
			      uint32_t max)
{
	uint32_t done = 0;

	assert(!rc->tx && max >= NETMAP_MAX_FRAGS);
	ringcheck_poll(rc);
	while (unlikely(rc->scan != rc->head)) {
		const uint32_t left = ring_distance(rc->scan, rc->head, rc->n);
		const uint32_t n = min_of(left, NETMAP_MAX_FRAGS);
		uint32_t k, taken = 0;

		if (max - done < n)
			break;
		k = read_released(rc, ret + done, n);

		rc->starved = ret[done].flags & NS_FORWARD &&
			      !take_released(rc, b, ret + done, k, &taken);
		if (rc->starved)
			break;
		done += taken;
		rc->scan = ring_add(rc->scan, k, rc->n);
	}
	return done;
}

/*
 * From where on frames can be taken back, and makes that the tail. `withdrawing` is set before
 * `shown` is read: a sync that shows more either is seen here and keeps what it shows, or sees the
 * flag or the lower tail and shows nothing of it. So tail is never behind what was shown.
 */
static uint32_t lower_tail(struct ringcheck *rc, enum ringcheck_which which)
{
	uint32_t from = rc->head;

	ring_publish(&rc->shadow->daemon.withdrawing, 1);
	if (which == RINGCHECK_UNSEEN) {
		const uint32_t shown = shadow_shown(rc->shadow);

		/* All is kept if it makes no sense. */
		from = ring_between(rc->head, shown, rc->tail, rc->n) ? shown : rc->tail;
	}
	ring_publish(&rc->shadow->daemon.tail, from);
	ring_publish(&rc->shadow->daemon.withdrawing, 0);
	return from;
}

/*
 * Takes one lent buffer back and leaves a free one in its slot. A slot that shows another buffer
 * was swapped by the program: the lent one may have been sent, freed and be the program's again by
 * now, with something else in it.
 */
static bool withdraw_one(struct ringcheck *rc, struct bufcache *b, uint32_t at,
			 struct ring_slot *ret)
{
	const struct ring_slot l = rc->lent[at];
	uint32_t fresh;

	if (ring_read_slot(slot_at(rc, at)).buf_idx != l.buf || !buf_take(b, l.buf, rc->owner))
		return false;
	if (buf_get(b, &fresh, 1) == 0) {
		buf_give(b, l.buf, rc->owner);
		return false;
	}
	buf_give(b, fresh, rc->owner);
	ring_write_slot(slot_at(rc, at), (struct ring_head){.buf_idx = fresh});
	*ret = l;
	return true;
}

uint32_t ringcheck_rx_withdraw(struct ringcheck *rc, struct bufcache *b, enum ringcheck_which which,
			       struct ring_slot *ret)
{
	uint32_t from, done = 0;

	assert(!rc->tx);
	ringcheck_poll(rc);
	from = lower_tail(rc, which);
	for (uint32_t at = from; at != rc->pos; at = ring_next(at, rc->n))
		done += withdraw_one(rc, b, at, &ret[done]);
	rc->pos = from;
	rc->tail = from;
	return done;
}

bool ringcheck_publish_quietly(struct ringcheck *rc, uint64_t ts_us)
{
	const uint32_t tail = rc->tx ? ring_prev(rc->pos, rc->n) : rc->pos;
	const bool failed = rc->n_errors != rc->n_errors_published;

	if (unlikely(failed)) {
		rc->n_errors_published = rc->n_errors;
		ring_publish(&rc->shadow->daemon.errors, rc->n_errors);
	}
	if (tail == rc->tail)
		return failed;
	rc->tail = tail;
	shadow_set_tail(rc->shadow, tail, ts_us);
	return true;
}

bool ringcheck_needs_bell(struct ringcheck *rc)
{
	return shadow_needs_doorbell(rc->shadow);
}

bool ringcheck_publish(struct ringcheck *rc, uint64_t ts_us)
{
	return ringcheck_publish_quietly(rc, ts_us) && ringcheck_needs_bell(rc);
}

bool ringcheck_sleep(struct ringcheck *rc)
{
	return shadow_daemon_sleep(rc->shadow, rc->head_seen, rc->synced);
}
