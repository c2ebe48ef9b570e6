/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TPACKET_V2 receive ring with vnet headers (Linux, networking/packet_mmap): slots of 2 KB that
 * the kernel fills in the sender's own context. The kernel's slot headers are trusted for what
 * they say, the frame is not. Owner: the port; one thread.
 */
#pragma once

#include <linux/if_packet.h>
#include <stdint.h>

#include "base/compiler.h"

#define AFPACKET_SLOT_SIZE 2048u

struct afpacket_ring {
	uint8_t *base; /* NULL: no ring */
	uint32_t mask; /* slots - 1 */
	uint32_t head; /* next slot to read, counting up */
};

/* Makes a ring of n_slots (power of two, at least 32) on an unbound socket. 0 or -errno. */
int afpacket_ring_init(struct afpacket_ring *r, int fd, uint32_t n_slots);
void afpacket_ring_deinit(struct afpacket_ring *r);

static inline struct tpacket2_hdr *afpacket_ring_slot(const struct afpacket_ring *r, uint32_t i)
{
	return (struct tpacket2_hdr *)(r->base + (size_t)(i & r->mask) * AFPACKET_SLOT_SIZE);
}

/* The oldest frame's slot, NULL when there is none. It stays ours until afpacket_ring_pop(). */
static inline const struct tpacket2_hdr *afpacket_ring_peek(const struct afpacket_ring *r)
{
	struct tpacket2_hdr *h = afpacket_ring_slot(r, r->head);

	return __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER ? h : NULL;
}

/* Gives the slot back to the kernel. */
static inline void afpacket_ring_pop(struct afpacket_ring *r)
{
	struct tpacket2_hdr *h = afpacket_ring_slot(r, r->head++);

	__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}
