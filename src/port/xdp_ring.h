/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_XDP sockets without a library: a socket, its UMEM registration and its four rings, as
 * Documentation/networking/af_xdp.rst and <linux/if_xdp.h> describe them. What the kernel consumes
 * (fill, tx) and what it produces (rx, completion) are the same kind of ring seen from two ends.
 *
 * Threads: a socket is opened and closed by the main thread and used by one worker.
 */
#pragma once

#include <linux/if_xdp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Newer than Debian 12's headers. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4) /* bind flag, kernel 6.6: frames of several descriptors */
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0) /* descriptor option: the frame goes on in the next descriptor */
#endif
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9 /* kernel 6.17: frames per send call in copy mode, 32 before */
#endif

/*
 * One ring in memory shared with the kernel. Indexes run freely and wrap at 2^32; an entry is at
 * index & mask. The cached pair is ours alone: what we last saw of the kernel's index and how far
 * we went ourselves.
 */
struct xdp_ring {
	uint32_t *prod;        /* shared */
	uint32_t *cons;        /* shared */
	const uint32_t *flags; /* shared, written by the kernel */
	void *entries;         /* uint64_t (fill, completion) or struct xdp_desc (rx, tx) */
	uint32_t mask;         /* size - 1 */
	uint32_t size;         /* entries, a power of two; 0 = the ring does not exist */
	uint32_t cached_prod;
	uint32_t cached_cons;
};

/* Lays a ring of size entries over a mapping of the kernel's. */
void xdp_ring_init(struct xdp_ring *r, void *map, const struct xdp_ring_offset *ofs, uint32_t size);

/* Producer: free entries, at most want; looks at the kernel's index only when it has to. */
static inline uint32_t xdp_ring_space(struct xdp_ring *r, uint32_t want)
{
	uint32_t n = r->size - (r->cached_prod - r->cached_cons);

	if (n < want) {
		r->cached_cons = __atomic_load_n(r->cons, __ATOMIC_ACQUIRE);
		n = r->size - (r->cached_prod - r->cached_cons);
	}
	return min_of(n, want);
}

/* Producer: entry i behind those already written; 0 is the next one. */
static inline uint64_t *xdp_ring_addr(struct xdp_ring *r, uint32_t i)
{
	return (uint64_t *)r->entries + ((r->cached_prod + i) & r->mask);
}

static inline struct xdp_desc *xdp_ring_desc(struct xdp_ring *r, uint32_t i)
{
	return (struct xdp_desc *)r->entries + ((r->cached_prod + i) & r->mask);
}

/* Producer: n entries are written; the kernel sees them after xdp_ring_publish(). */
static inline void xdp_ring_push(struct xdp_ring *r, uint32_t n)
{
	r->cached_prod += n;
}

static inline void xdp_ring_publish(struct xdp_ring *r)
{
	__atomic_store_n(r->prod, r->cached_prod, __ATOMIC_RELEASE);
}

/* Producer: entries that the kernel has not taken yet. */
static inline uint32_t xdp_ring_pending(struct xdp_ring *r)
{
	r->cached_cons = __atomic_load_n(r->cons, __ATOMIC_ACQUIRE);
	return r->cached_prod - r->cached_cons;
}

/* Consumer: entries to take, at most want. */
static inline uint32_t xdp_ring_ready(struct xdp_ring *r, uint32_t want)
{
	uint32_t n = r->cached_prod - r->cached_cons;

	if (n == 0) {
		r->cached_prod = __atomic_load_n(r->prod, __ATOMIC_ACQUIRE);
		n = r->cached_prod - r->cached_cons;
	}
	return min_of(n, want);
}

/* Consumer: looks again at the kernel's index, also when some entries are left. */
static inline uint32_t xdp_ring_ready_now(struct xdp_ring *r, uint32_t want)
{
	r->cached_prod = __atomic_load_n(r->prod, __ATOMIC_ACQUIRE);
	return xdp_ring_ready(r, want);
}

/* Consumer: entry i of those ready; 0 is the oldest. */
static inline uint64_t xdp_ring_addr_at(const struct xdp_ring *r, uint32_t i)
{
	return ((const uint64_t *)r->entries)[(r->cached_cons + i) & r->mask];
}

static inline const struct xdp_desc *xdp_ring_desc_at(const struct xdp_ring *r, uint32_t i)
{
	return (const struct xdp_desc *)r->entries + ((r->cached_cons + i) & r->mask);
}

/* Consumer: n entries are done with; the kernel may use them again. */
static inline void xdp_ring_pop(struct xdp_ring *r, uint32_t n)
{
	r->cached_cons += n;
	__atomic_store_n(r->cons, r->cached_cons, __ATOMIC_RELEASE);
}

/* The kernel asks for a system call before it looks at this ring again. */
static inline bool xdp_ring_needs_wakeup(const struct xdp_ring *r)
{
	return __atomic_load_n(r->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP;
}

/*
 * Where a descriptor lies: UMEM chunk (= netmap buffer index) and offset in it. Chunks are
 * 1 << shift bytes; the upper 16 bits carry an offset only in unaligned mode, which we do not use.
 */
static inline uint32_t xdp_chunk(uint64_t addr, uint32_t shift)
{
	return (uint32_t)(addr >> shift);
}

/* How a piece of memory divides into descriptors: none may cross a chunk. */
static inline uint32_t xdp_desc_count(uint64_t addr, uint32_t len, uint32_t shift)
{
	return len == 0 ? 0 : xdp_chunk(addr + len - 1, shift) - xdp_chunk(addr, shift) + 1;
}

struct xdp_sock_config {
	uint8_t *umem;               /* page-aligned */
	uint64_t umem_size;          /* bytes, a multiple of chunk_size */
	uint32_t chunk_size;         /* 2,048 or 4,096 */
	uint32_t rx_size, fill_size; /* entries, powers of two */
	uint32_t tx_size;            /* 0: receives only; the completion ring is as large */
};

struct xdp_sock {
	int fd; /* -1: not open */
	struct xdp_ring rx, tx, fill, comp;
	struct {
		void *p;
		size_t size;
	} maps[4];
};

/*
 * Opens a socket, registers the UMEM and makes the rings; not bound yet. The first registration of
 * a region pins its pages: 0.4 to 1 s. 0 or -errno with a sentence fragment; nothing is left.
 */
int xdp_sock_open(struct xdp_sock *s, const struct xdp_sock_config *cfg, const char **ret_why);
/* Binds to a queue with XDP_COPY, XDP_USE_SG and so on. 0 or -errno as bind(2) has it. */
int xdp_sock_bind(struct xdp_sock *s, uint32_t ifindex, uint32_t queue, uint16_t flags);
/* True when the driver reads and writes the UMEM itself. Bound sockets. */
bool xdp_sock_zero_copy(const struct xdp_sock *s);
/* 0 or -errno. */
int xdp_sock_statistics(const struct xdp_sock *s, struct xdp_statistics *ret);
/* Unmaps the rings and closes the socket. Fine on one that is not open. */
void xdp_sock_close(struct xdp_sock *s);
