/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/nmobj.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/err.h"
#include "mem/ring.h"

/* One pool of equal objects in the region. */
struct pool {
	uint64_t ofs; /* of the first */
	uint32_t size, n, n_used;
	uint32_t *in_use; /* 0 = free; rings: slots, interfaces: 1 */
};

struct nmobj {
	struct bufowner *owners;
	struct region *region;
	struct pool ifs, rings;
};

static bool pool_init(struct pool *p, uint64_t ofs, uint32_t size, uint32_t n)
{
	*p = (struct pool){.ofs = ofs, .size = size, .n = n};
	p->in_use = calloc(n, sizeof(*p->in_use));
	return p->in_use;
}

/* The lowest free object, or UINT32_MAX. At most 10,000, and only when a program comes. */
static uint32_t pool_find(const struct pool *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (!p->in_use[i])
			return i;
	return UINT32_MAX;
}

static uint32_t pool_index(const struct pool *p, uint64_t ofs)
{
	const uint64_t i = (ofs - p->ofs) / p->size;

	assert(ofs >= p->ofs && i < p->n && p->ofs + i * p->size == ofs && p->in_use[i]);
	return (uint32_t)i;
}

static uint64_t pool_take(struct pool *p, uint32_t i, uint32_t mark)
{
	p->in_use[i] = mark;
	p->n_used++;
	return p->ofs + (uint64_t)i * p->size;
}

static void pool_release(struct pool *p, uint32_t i)
{
	p->in_use[i] = 0;
	p->n_used--;
}

struct nmobj *nmobj_new(struct bufowner *owners)
{
	struct nmobj *o = calloc(1, sizeof(*o));
	const struct mem_layout *l;

	if (!o)
		return NULL;
	o->owners = owners;
	o->region = bufpool_region(bufowner_pool(owners));
	l = &o->region->layout;
	if (!pool_init(&o->ifs, l->if_ofs, l->params.if_size, l->params.if_num) ||
	    !pool_init(&o->rings, l->ring_ofs, l->params.ring_size, l->params.ring_num))
		return nmobj_free(o);
	return o;
}

struct nmobj *nmobj_free(struct nmobj *o)
{
	if (!o)
		return NULL;
	free(o->ifs.in_use);
	free(o->rings.in_use);
	free(o);
	return NULL;
}

void nmobj_stats(const struct nmobj *o, struct nmobj_stats *ret)
{
	*ret = (struct nmobj_stats){
		.n_ifs = o->ifs.n_used,
		.n_rings = o->rings.n_used,
		.n_ifs_total = o->ifs.n,
		.n_rings_total = o->rings.n,
	};
}

struct netmap_ring *nmobj_ring(const struct nmobj *o, uint64_t ofs)
{
	pool_index(&o->rings, ofs);
	return (struct netmap_ring *)(o->region->base + ofs);
}

void nmobj_ring_set_offsets(struct nmobj *o, uint64_t ofs, uint64_t mask)
{
	/* Constant for programs only. */
	memcpy((uint8_t *)nmobj_ring(o, ofs) + offsetof(struct netmap_ring, offset_mask), &mask,
	       sizeof(mask));
}

uint32_t nmobj_ring_slots(const struct nmobj *o, uint64_t ofs)
{
	return o->rings.in_use[pool_index(&o->rings, ofs)];
}

/* Members that are constant for programs are written once, here. */
static void ring_fill(const struct nmobj *o, uint64_t ofs, const struct nmobj_ring_params *p,
		      const uint32_t *bufs)
{
	const struct mem_layout *l = &o->region->layout;
	struct netmap_ring *ring = (struct netmap_ring *)(o->region->base + ofs);
	const struct netmap_ring start = {
		.buf_ofs = (int64_t)(mem_buf(l, 0) - ofs),
		.num_slots = p->n_slots,
		.nr_buf_size = l->params.buf_size,
		.ringid = p->ringid,
		.dir = p->tx ? 0 : 1,
		.tail = p->tx ? p->n_slots - 1 : 0,
		.offset_mask = p->offset_mask,
		.buf_align = p->buf_align,
	};

	memset(ring, 0, l->params.ring_size);
	memcpy(ring, &start, sizeof(start));
	for (uint32_t i = 0; i < p->n_slots; i++)
		ring->slot[i] = (struct netmap_slot){
			.buf_idx = bufs[i],
			.len = (uint16_t)min_of(l->params.buf_size, UINT16_MAX),
			.ptr = p->initial_offset,
		};
}

int nmobj_ring_new(struct nmobj *o, const struct nmobj_ring_params *p, uint64_t *ret_ofs)
{
	const uint64_t size =
		sizeof(struct netmap_ring) + (uint64_t)p->n_slots * sizeof(struct netmap_slot);
	const uint32_t i = pool_find(&o->rings);
	uint32_t *bufs;
	bool got;

	if (p->n_slots < 2)
		return error_origin(-EINVAL);
	if (size > o->rings.size || i == UINT32_MAX)
		return error_origin(-ENOMEM);
	bufs = malloc(p->n_slots * sizeof(*bufs));
	if (!bufs)
		return error_origin(-ENOMEM);
	got = bufowner_get(o->owners, p->owner, bufs, p->n_slots);
	if (got) {
		*ret_ofs = pool_take(&o->rings, i, p->n_slots);
		ring_fill(o, *ret_ofs, p, bufs);
	}
	bufowner_flush(o->owners);
	free(bufs);
	return got ? 0 : error_origin(-ENOMEM);
}

struct nmobj_freed nmobj_ring_free(struct nmobj *o, uint64_t ofs, uint16_t owner)
{
	const uint32_t i = pool_index(&o->rings, ofs), n = o->rings.in_use[i];
	const struct netmap_ring *ring = nmobj_ring(o, ofs);
	struct nmobj_freed freed = {0};

	for (uint32_t k = 0; k < n; k++) {
		if (bufowner_put(o->owners, owner, ring_read_slot(&ring->slot[k]).buf_idx))
			freed.n_bufs++;
		else
			freed.n_bad++;
	}
	bufowner_flush(o->owners);
	pool_release(&o->rings, i);
	return freed;
}

struct netmap_if *nmobj_if(const struct nmobj *o, uint64_t ofs)
{
	pool_index(&o->ifs, ofs);
	return (struct netmap_if *)(o->region->base + ofs);
}

/* Ring offsets count from the interface. A host ring that does not exist has an entry, too. */
static void if_fill_rings(ssize_t *ret, uint64_t if_ofs, const struct nmobj_if_params *p)
{
	const uint32_t counts[] = {p->n_tx, p->n_host_tx, p->n_rx, p->n_host_rx};
	const uint64_t *ring = p->rings;

	for (uint32_t kind = 0; kind < array_size(counts); kind++) {
		for (uint32_t i = 0; i < counts[kind]; i++, ring++)
			*ret++ = *ring ? (ssize_t)(*ring - if_ofs) : 0;
		if (counts[kind] == 0 && kind % 2)
			*ret++ = 0;
	}
}

int nmobj_if_new(struct nmobj *o, const struct nmobj_if_params *p, uint64_t *ret_ofs)
{
	const uint32_t n_host_tx = max_of(p->n_host_tx, 1u), n_host_rx = max_of(p->n_host_rx, 1u);
	const uint64_t n = (uint64_t)p->n_tx + n_host_tx + p->n_rx + n_host_rx;
	const uint64_t size = sizeof(struct netmap_if) + n * sizeof(ssize_t);
	const uint32_t i = pool_find(&o->ifs);
	const struct netmap_if start = {
		.ni_flags = p->private_mem ? NI_PRIV_MEM : 0,
		.ni_tx_rings = p->n_tx,
		.ni_rx_rings = p->n_rx,
		.ni_host_tx_rings = n_host_tx,
		.ni_host_rx_rings = n_host_rx,
	};
	uint8_t *at;

	if (size > o->ifs.size || i == UINT32_MAX)
		return error_origin(-ENOMEM);
	*ret_ofs = pool_take(&o->ifs, i, 1);
	at = o->region->base + *ret_ofs;
	memset(at, 0, o->ifs.size);
	memcpy(at, &start, sizeof(start));
	memcpy(at, p->name, strnlen(p->name, sizeof(start.ni_name) - 1));
	if_fill_rings((ssize_t *)(at + offsetof(struct netmap_if, ring_ofs)), *ret_ofs, p);
	return 0;
}

uint32_t nmobj_extra_new(struct nmobj *o, uint64_t if_ofs, uint16_t owner, uint32_t n)
{
	struct netmap_if *nifp = nmobj_if(o, if_ofs);
	uint32_t head = 0, done = 0, buf;

	/* From the end, so that each new one points to the one before. */
	for (; done < n && bufowner_get(o->owners, owner, &buf, 1); done++) {
		memcpy(region_buf(o->region, buf), &head, sizeof(head));
		head = buf;
	}
	nifp->ni_bufs_head = head;
	bufowner_flush(o->owners);
	return done;
}

struct nmobj_freed nmobj_if_free(struct nmobj *o, uint64_t ofs, uint16_t owner)
{
	struct netmap_if *nifp = nmobj_if(o, ofs);
	uint32_t buf = owner ? ring_read(&nifp->ni_bufs_head) : 0;
	struct nmobj_freed freed = {0};

	/* Each round frees a buffer, so a list that bites its tail ends there. */
	while (buf) {
		uint32_t next = 0;

		if (buf >= MEM_BUF_FIRST && buf < o->region->layout.params.buf_num)
			next = ring_read((const uint32_t *)region_buf(o->region, buf));
		if (!bufowner_put(o->owners, owner, buf)) {
			freed.n_bad++;
			break;
		}
		freed.n_bufs++;
		buf = next;
	}
	bufowner_flush(o->owners);
	pool_release(&o->ifs, pool_index(&o->ifs, ofs));
	return freed;
}
