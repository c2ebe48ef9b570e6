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
 * the worker that holds the buffer and are not atomic.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "mem/region.h"

#define BUF_BIG	       0x80000000u
#define BUF_BIG_SIZE   69632u /* 68 KiB: 64 bytes headroom, Ethernet, two tags, 65,535, rounded */
#define BUF_HEADROOM   64u    /* bytes in front of a large buffer's frame */
#define BUFCACHE_SIZE  512u

/* Who holds a buffer. The daemon's own use is OWNER_DAEMON; programs get numbers above. */
enum buf_owner { BUF_FREE, BUF_DAEMON, BUF_OWNER_FIRST };

struct bufpool;

/* n_big large buffers (0: 256). NULL when there is no memory. The region outlives the pool. */
struct bufpool *bufpool_new(struct region *region, uint32_t n_big);
struct bufpool *bufpool_free(struct bufpool *p);
struct region *bufpool_region(const struct bufpool *p);

struct bufpool_stats {
	uint32_t n_total, n_free, n_big_total, n_big_free; /* caches count as not free */
};
void bufpool_stats(struct bufpool *p, struct bufpool_stats *ret);

/* A worker's stock. */
struct bufcache {
	struct bufpool *pool;
	uint32_t n, n_big;
	uint32_t bufs[BUFCACHE_SIZE];
	uint32_t big[BUFCACHE_SIZE / 8];
};
void bufcache_init(struct bufcache *c, struct bufpool *p);
/* Returns the stock to the pool. */
void bufcache_deinit(struct bufcache *c);

/* Takes up to n region buffers (one reference each, owner BUF_DAEMON); returns how many. */
uint32_t buf_get(struct bufcache *c, uint32_t *ret, uint32_t n);
/* A large buffer, or 0. */
uint32_t buf_get_big(struct bufcache *c);
/* Gives back one reference of each; buffers without references are free again. */
void buf_put(struct bufcache *c, const uint32_t *bufs, uint32_t n);
void buf_ref(struct bufcache *c, uint32_t buf, uint32_t n);
uint32_t buf_refs(const struct bufcache *c, uint32_t buf);

/* Where a frame in this buffer starts (large ones: behind BUF_HEADROOM), and how long it may be:
 * region buffers buf_size - 256 (so that it stays inside its UMEM chunk), large ones the rest. */
uint8_t *buf_data(const struct bufcache *c, uint32_t buf);
uint32_t buf_room(const struct bufcache *c, uint32_t buf);
