/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arithmetic on ring indexes, and the one place where memory shared with another process is read
 * and written in order.
 *
 * Theory of operation. A netmap ring has n slots; head, cur and tail are slot numbers below n. The
 * slots head .. tail - 1 belong to the program, tail .. head - 1 to the device, all modulo n. One
 * slot always stays empty, so head == tail means that the program has none.
 *
 * Memory order. The side that writes slots or buffers then publishes an index with ring_publish();
 * the other side reads the index with ring_load() before it looks at them. Both are sequentially
 * consistent, because each side goes to sleep by "set my flag, then look at the index", and the
 * other wakes it by "publish the index, then look at the flag": with weaker orders both could look
 * before they see the other's store (x86 reorders exactly that), and the wake-up would be lost. On
 * x86 this makes ring_publish() a locked exchange of about 6 ns, and ring_load() a plain load.
 *
 * Everything here is safe on any values; indexes from a peer are checked with ring_between() before
 * they select a slot.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "net/netmap.h"

static inline uint32_t ring_next(uint32_t i, uint32_t n)
{
	return unlikely(i + 1 == n) ? 0 : i + 1;
}

static inline uint32_t ring_prev(uint32_t i, uint32_t n)
{
	return unlikely(i == 0) ? n - 1 : i - 1;
}

/* i + k for k up to n. */
static inline uint32_t ring_add(uint32_t i, uint32_t k, uint32_t n)
{
	i += k;
	return i >= n ? i - n : i;
}

/* Slots from one index to another: 0 to n - 1. Both are below n. */
static inline uint32_t ring_distance(uint32_t from, uint32_t to, uint32_t n)
{
	return to >= from ? to - from : to + n - from;
}

/* Is index i, any number, a slot of the ring and from <= i <= to, modulo n? */
static inline bool ring_between(uint32_t from, uint32_t i, uint32_t to, uint32_t n)
{
	return i < n && ring_distance(from, i, n) <= ring_distance(from, to, n);
}

/* Reads an index that the other side publishes; what was written before it is visible. */
static inline uint32_t ring_load(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

/* Publishes an index or a flag after everything written so far, and before every later load. */
static inline void ring_publish(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

/* Reads once what the other side may be changing: the compiler neither repeats nor splits it. */
static inline uint32_t ring_read(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void ring_write(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/* A slot's first eight bytes, as they were at one moment. */
struct ring_head {
	uint32_t buf_idx;
	uint16_t len;
	uint16_t flags;
};
_Static_assert(offsetof(struct netmap_slot, len) == 4 && offsetof(struct netmap_slot, flags) == 6 &&
		       offsetof(struct netmap_slot, ptr) == 8,
	       "the words of a slot");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "buf_idx is the low half of the word");

/* Put together by shifts: through memory, three small stores before one large load cost 4 ns. */
static inline struct ring_head ring_read_slot(const struct netmap_slot *s)
{
	const uint64_t w = __atomic_load_n((const uint64_t *)s, __ATOMIC_RELAXED);

	return (struct ring_head){
		.buf_idx = (uint32_t)w, .len = (uint16_t)(w >> 32), .flags = (uint16_t)(w >> 48)};
}

static inline void ring_write_slot(struct netmap_slot *s, struct ring_head h)
{
	const uint64_t w = h.buf_idx | (uint64_t)h.len << 32 | (uint64_t)h.flags << 48;

	__atomic_store_n((uint64_t *)s, w, __ATOMIC_RELAXED);
}
