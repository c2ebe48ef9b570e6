/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Buffers of frames: those of a region (netmap buffer indexes) and large ones for GSO frames,
 * private to the daemon. Per buffer an owner and a reference count, in memory that only the daemon
 * sees.
 *
 * A handle is a netmap buffer index, or BUF_BIG plus the index of a large buffer. 0 is no buffer.
 *
 * Threads: the pool is shared and locked; each worker takes and returns through its own
 * struct bufcache, without a lock while the cache has room. A buffer's count and owner belong to
 * the worker that holds the buffer and are not atomic; a program's buffer belongs to nobody until
 * buf_take() has succeeded, which is.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "mem/region.h"

#define BUF_BIG       0x80000000u
#define BUF_BIG_SIZE  69632u /* 68 KiB: 64 bytes headroom, Ethernet, two tags, 65,535, rounded */
#define BUF_HEADROOM  64u    /* bytes in front of a large buffer's frame */
#define BUFCACHE_SIZE 512u

/* Who holds a buffer. The daemon's own use is OWNER_DAEMON; programs get numbers above. */
enum buf_owner { BUF_FREE, BUF_DAEMON, BUF_OWNER_FIRST };

struct bufpool;

/*
 * n_big large buffers (0: 256). NULL when there is no memory. The region outlives the pool, the
 * pool its caches. Main thread.
 */
struct bufpool *bufpool_new(struct region *region, uint32_t n_big);
struct bufpool *bufpool_free(struct bufpool *p);
struct region *bufpool_region(const struct bufpool *p);

struct bufpool_stats {
	uint32_t n_total, n_free, n_big_total, n_big_free; /* caches count as not free */
};
void bufpool_stats(struct bufpool *p, struct bufpool_stats *ret);

/* Daemon-private state of one buffer. Aligned so that buf_take() can exchange it whole. */
struct buf_meta {
	_Alignas(uint32_t) uint16_t refs;
	uint16_t owner; /* enum buf_owner, or a program's number */
};
_Static_assert(sizeof(struct buf_meta) == 4 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "one word, owner in its high half");

/*
 * A worker's stock, last in first out so that buffers stay in the CPU's cache, and what the hot
 * functions below need of the pool.
 *
 * What comes out of a ring that a program has released is apart: those buffers were last touched a
 * whole ring ago, and serve best as what a program gets in exchange for others. In the common stock
 * they would be the next to be written to, and frames would wander through all of a program's
 * buffers. 8 GSO frames of 64 KB at a time, written into 352 slots, swapped, taken and compared:
 * 6.5 us each, now 3.8 (rings of 1,024 slots, 2 MB of second level cache).
 */
struct bufcache {
	struct buf_meta *meta;     /* of region buffers, by index */
	struct buf_meta *meta_big; /* of large buffers */
	uint8_t *frame0;           /* where a frame in region buffer 0 would start */
	uint8_t *big0;             /* the same for large buffer 0 */
	uint32_t buf_shift;        /* log2 of the region's buffer size */
	uint32_t n_bufs, n_bigs;   /* of the pool; handles are below */
	uint32_t n, n_cold, n_big; /* in stock */
	struct bufpool *pool;
	uint32_t bufs[BUFCACHE_SIZE];
	uint32_t cold[BUFCACHE_SIZE];
	uint32_t big[BUFCACHE_SIZE / 8];
};
void bufcache_init(struct bufcache *c, struct bufpool *p);
/* Returns the stock to the pool. */
void bufcache_deinit(struct bufcache *c);

/* Slow halves of buf_get() and buf_put(): with the pool's lock. Not to be called otherwise. */
uint32_t bufcache_refill(struct bufcache *c, uint32_t want);
void bufcache_spill(struct bufcache *c);
void bufcache_free_big(struct bufcache *c, uint32_t buf);

/* Freed frames are overwritten, so that a use after free shows up in debug builds. */
#if !defined(NDEBUG) && (!defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__))
#define BUF_POISON 1
#else
#define BUF_POISON 0
#endif
#define BUF_POISON_BYTE 0xa5
#define BUF_POISON_SIZE 64u

/* The functions below are inline because they run per frame: 1 to 3 ns instead of 4 to 6. */

/* Where a frame in this buffer starts (large ones: behind BUF_HEADROOM), and how long it may be:
 * region buffers buf_size - 256 (so that it stays inside its UMEM chunk), large ones the rest. */
static inline uint8_t *buf_data(const struct bufcache *c, uint32_t buf)
{
	if (unlikely(buf & BUF_BIG))
		return c->big0 + (size_t)(buf & ~BUF_BIG) * BUF_BIG_SIZE;
	return c->frame0 + ((size_t)buf << c->buf_shift);
}

static inline uint32_t buf_room(const struct bufcache *c, uint32_t buf)
{
	return buf & BUF_BIG ? BUF_BIG_SIZE - BUF_HEADROOM : (1u << c->buf_shift) - MEM_BUF_OFFSET;
}

/* A handle that is out of range is a bug of ours, so is the count of a free buffer. */
static inline struct buf_meta *buf_meta(const struct bufcache *c, uint32_t buf)
{
	if (unlikely(buf & BUF_BIG)) {
		assert((buf & ~BUF_BIG) < c->n_bigs);
		return &c->meta_big[buf & ~BUF_BIG];
	}
	assert(buf >= MEM_BUF_FIRST && buf < c->n_bufs);
	return &c->meta[buf];
}

static inline void buf_ref(struct bufcache *c, uint32_t buf, uint32_t n)
{
	struct buf_meta *m = buf_meta(c, buf);

	assert(m->refs && n <= UINT16_MAX - (uint32_t)m->refs);
	m->refs += (uint16_t)n;
}

/* References of a buffer; 0 when it is free. */
static inline uint32_t buf_refs(const struct bufcache *c, uint32_t buf)
{
	return buf_meta(c, buf)->refs;
}

/* Takes up to n region buffers (one reference each, owner BUF_DAEMON); returns how many. */
static inline uint32_t buf_get(struct bufcache *c, uint32_t *ret, uint32_t n)
{
	uint32_t done = 0;

	while (done < n) {
		if (unlikely(!c->n) && !bufcache_refill(c, n - done))
			break;
		for (; done < n && c->n; done++) {
			uint32_t buf = c->bufs[--c->n];

			c->meta[buf] = (struct buf_meta){.refs = 1, .owner = BUF_DAEMON};
			ret[done] = buf;
		}
	}
	return done;
}

/* The same, of those that were not used for longest, for somebody who will not write to them. */
static inline uint32_t buf_get_cold(struct bufcache *c, uint32_t *ret, uint32_t n)
{
	uint32_t done = 0;

	for (; done < n && c->n_cold; done++) {
		ret[done] = c->cold[--c->n_cold];
		c->meta[ret[done]] = (struct buf_meta){.refs = 1, .owner = BUF_DAEMON};
	}
	return done < n ? done + buf_get(c, ret + done, n - done) : n;
}

/* A large buffer, or 0. */
uint32_t buf_get_big(struct bufcache *c);

/* Gives back one reference; a buffer without references is free again. */
static inline void buf_put_one(struct bufcache *c, uint32_t buf)
{
	struct buf_meta *m = buf_meta(c, buf);

	assert(m->refs);
	if (--m->refs)
		return;
	m->owner = BUF_FREE;
	if (BUF_POISON)
		memset(buf_data(c, buf), BUF_POISON_BYTE, BUF_POISON_SIZE);
	if (unlikely(buf & BUF_BIG)) {
		bufcache_free_big(c, buf);
		return;
	}
	if (unlikely(c->n == BUFCACHE_SIZE))
		bufcache_spill(c);
	c->bufs[c->n++] = buf;
}

/* The same for n buffers. */
static inline void buf_put(struct bufcache *c, const uint32_t *bufs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		buf_put_one(c, bufs[i]);
}

/* Gives back n region buffers with one reference, which were not used for long. */
static inline void buf_put_cold(struct bufcache *c, const uint32_t *bufs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (unlikely(c->n_cold == BUFCACHE_SIZE)) {
			buf_put(c, bufs + i, n - i);
			return;
		}
		assert(!(bufs[i] & BUF_BIG) && buf_meta(c, bufs[i])->refs == 1);
		*buf_meta(c, bufs[i]) = (struct buf_meta){.refs = 0, .owner = BUF_FREE};
		if (BUF_POISON)
			memset(buf_data(c, bufs[i]), BUF_POISON_BYTE, BUF_POISON_SIZE);
		c->cold[c->n_cold++] = bufs[i];
	}
}

/*
 * Between the daemon and programs. A program's buffer has one reference and the program's owner
 * number; who takes it holds it as if it came from buf_get(). Because taking changes the owner, an
 * index that a program names twice, or that is not its own, is found out by the same comparison.
 */

/* One reference and this owner as one word; by shifts, for the reason given in mem/ring.h. */
static inline uint32_t buf_meta_word(uint16_t owner)
{
	return 1 | (uint32_t)owner << 16;
}

/* Hands a region buffer with one reference to a program. */
static inline void buf_give(struct bufcache *c, uint32_t buf, uint16_t owner)
{
	uint32_t *m = (uint32_t *)buf_meta(c, buf);

	assert(!(buf & BUF_BIG) && *m == buf_meta_word(BUF_DAEMON));
	assert(owner >= BUF_OWNER_FIRST);
	__atomic_store_n(m, buf_meta_word(owner), __ATOMIC_RELEASE);
}

/*
 * Takes a program's buffer: true when buf, any number at all, is a buffer of this owner. It is
 * atomic because the program may name one buffer in the rings of two workers at once.
 */
static inline bool buf_take(struct bufcache *c, uint32_t buf, uint16_t owner)
{
	uint32_t want = buf_meta_word(owner);
	uint32_t *m;

	if (unlikely(buf < MEM_BUF_FIRST || buf >= c->n_bufs))
		return false;
	m = (uint32_t *)&c->meta[buf];
	/* Looking first keeps wrong guesses from writing to a line that others use. */
	if (unlikely(__atomic_load_n(m, __ATOMIC_RELAXED) != want))
		return false;
	return __atomic_compare_exchange_n(m, &want, buf_meta_word(BUF_DAEMON), false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}
