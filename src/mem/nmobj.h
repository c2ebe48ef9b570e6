/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The objects of a netmap region that programs see: struct netmap_if, struct netmap_ring with its
 * slots, and lists of extra buffers. Takes them from the region's pools, fills them in as netmap
 * does, and frees them again, whatever a program has written into them meanwhile: what was granted
 * is remembered here, in private memory, and only buffers that still are the owner's are freed.
 *
 * Objects are named by their offset in bytes from the start of the region.
 *
 * Main thread. A ring is freed when no worker uses it any more. Worker and main thread may work on
 * different rings of one owner at the same time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mem/bufowner.h"
#include "net/netmap.h"

struct nmobj;

/* The allocator of the region that owners' pool belongs to. owners outlives it. NULL: no memory. */
struct nmobj *nmobj_new(struct bufowner *owners);
struct nmobj *nmobj_free(struct nmobj *o);

struct nmobj_ring_params {
	uint16_t owner; /* of the buffers */
	uint16_t ringid;
	bool tx;
	uint32_t n_slots;        /* at least 2 */
	uint64_t offset_mask;    /* 0 = no data offsets */
	uint64_t initial_offset; /* in each slot's ptr */
	uint64_t buf_align;
};

/*
 * A ring with a buffer in each slot. 0, or -ENOMEM: no ring object left, one is too small for so
 * many slots, or no buffers left; nothing is taken then. -EINVAL: fewer than 2 slots.
 */
int nmobj_ring_new(struct nmobj *o, const struct nmobj_ring_params *p, uint64_t *ret_ofs);
struct netmap_ring *nmobj_ring(const struct nmobj *o, uint64_t ofs);
/* A ring that is in use gets offsets; what stands in its slots stays. */
void nmobj_ring_set_offsets(struct nmobj *o, uint64_t ofs, uint64_t mask);
uint32_t nmobj_ring_slots(const struct nmobj *o, uint64_t ofs); /* as granted */

/* What freeing found. */
struct nmobj_freed {
	uint32_t n_bufs; /* freed */
	uint32_t n_bad;  /* no buffer of this owner: out of range, foreign, or freed just before */
};

/* Frees the ring and the buffers in its slots. owner: the domain now (it may have been merged). */
struct nmobj_freed nmobj_ring_free(struct nmobj *o, uint64_t ofs, uint16_t owner);

struct nmobj_if_params {
	const char *name;              /* cut to 15 characters */
	uint32_t n_tx, n_rx;           /* NIC rings */
	uint32_t n_host_tx, n_host_rx; /* 0 is shown as 1, not bound */
	/* Offsets of rings in the region: tx, host tx, rx, host rx as counted above; 0 = not bound
	 * to this descriptor. */
	const uint64_t *rings;
	bool private_mem; /* not the global region */
};

/* 0, or -ENOMEM: no object left, or too small for so many rings. */
int nmobj_if_new(struct nmobj *o, const struct nmobj_if_params *p, uint64_t *ret_ofs);
struct netmap_if *nmobj_if(const struct nmobj *o, uint64_t ofs);

/*
 * Gives the interface a list of up to n extra buffers of this owner: head in ni_bufs_head, the next
 * in the first four bytes of each buffer, 0 at the end. Returns how many there were. Once per
 * interface.
 */
uint32_t nmobj_extra_new(struct nmobj *o, uint64_t if_ofs, uint16_t owner, uint32_t n);

/* Frees the interface and the list that it finds at ni_bufs_head, up to the first entry that is not
 * this owner's. Owner 0: it has no list. */
struct nmobj_freed nmobj_if_free(struct nmobj *o, uint64_t ofs, uint16_t owner);

struct nmobj_stats {
	uint32_t n_ifs, n_rings;             /* in use */
	uint32_t n_ifs_total, n_rings_total; /* of the region */
};
void nmobj_stats(const struct nmobj *o, struct nmobj_stats *ret);
