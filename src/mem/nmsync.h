/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program's sync of one ring, run in the program's process by ioctl(NIOCTXSYNC, NIOCRXSYNC), poll
 * and their relatives: netmap's rules for head, cur and tail on one side, mem/shadow.h on the
 * other. No system call, no wait, no allocation; 10 ns when there is nothing to do (bench_ring).
 *
 * Only these functions write to the application's part of a ring, so between two syncs nothing in
 * it changes.
 *
 * What applications may rely on (as with the netmap module):
 * - head must lie between what was published and tail, cur between head and tail (modulo slots).
 *   Otherwise nothing is published, and if one of the three is no slot at all, the ring is put
 * back: head = cur = published head, and each slot whose buffer cannot be, gets buffer and length
 * 0, each length above the buffer size becomes 0. An RX ring still takes in what came.
 * - tail, if overwritten, is restored. ts is set by each RX sync.
 * - Slots of RX rings that are released with NS_FORWARD go to the other side if NR_FORWARD stands
 * in the ring's flags at that sync; otherwise the mark is removed.
 * - A ring that another thread is syncing is left alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mem/shadow.h"

/* What a sync found; bits, so that the caller can collect them over rings. */
enum nmsync_result {
	NMSYNC_DOORBELL = 1 << 0, /* the daemon sleeps: send one doorbell (one for all rings) */
	NMSYNC_BAD = 1 << 1,      /* indexes, or a slot sent before: ioctl 0, poll POLLERR */
	NMSYNC_STOPPED = 1 << 2,  /* the port is gone: ioctl EIO, poll POLLERR */
	NMSYNC_BUSY = 1 << 3,     /* another thread is at it: ioctl 0, poll: not ready */
};

/* One ring as bound by a descriptor. In the program, plain data; the pointers are the caller's. */
struct nmsync_ring {
	struct netmap_ring *ring;
	struct shadow_ring *shadow;
	uint32_t n_slots;  /* ring->num_slots at the time of binding */
	uint32_t n_bufs;   /* of the region; indexes are below */
	uint32_t buf_size; /* largest length of a slot */
	uint64_t ts_us;    /* time in ring->ts */
};

/* num_slots and nr_buf_size are taken from the ring; n_bufs is the region's number of buffers. */
void nmsync_init(struct nmsync_ring *r, struct netmap_ring *ring, struct shadow_ring *shadow,
		 uint32_t n_bufs);

/* tid: gettid() of this thread, cached by the caller. Result: enum nmsync_result, 0 = fine. */
unsigned int nmsync_tx(struct nmsync_ring *r, uint32_t tid);
unsigned int nmsync_rx(struct nmsync_ring *r, uint32_t tid);

/* poll's question after a sync: is there something from cur on? */
static inline bool nmsync_ready(const struct nmsync_ring *r)
{
	return ring_read(&r->ring->cur) != ring_read(&r->ring->tail);
}

/* TX: does the application have slots that a sync would publish? Any thread. */
static inline bool nmsync_tx_pending(const struct nmsync_ring *r)
{
	return ring_read(&r->ring->head) != ring_read(&r->shadow->prog.head);
}
