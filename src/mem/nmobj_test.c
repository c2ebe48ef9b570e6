/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/nmobj.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define N_BUFS   1000u
#define N_USABLE (N_BUFS - 3)
#define N_SLOTS  64u

struct fixture {
	struct region region;
	struct bufpool *pool;
	struct bufowner *owners;
	struct nmobj *o;
	uint16_t owner;
};

static int setup(void **state)
{
	const struct mem_params m = {.buf_num = N_BUFS, .ring_num = 4, .if_num = 10};
	struct fixture *f = calloc(1, sizeof(*f));
	const char *why;

	if (region_init(&f->region, &m, 1, &why) < 0)
		return -1;
	f->pool = bufpool_new(&f->region, 1);
	f->owners = bufowner_new(f->pool);
	f->o = nmobj_new(f->owners);
	f->owner = bufowner_add(f->owners);
	*state = f;
	return 0;
}

static uint32_t n_free(struct fixture *f)
{
	struct bufpool_stats s;

	bufpool_stats(f->pool, &s);
	return s.n_free;
}

/* After each test nothing is in use any more. */
static int teardown(void **state)
{
	struct fixture *f = *state;
	struct nmobj_stats s;

	nmobj_stats(f->o, &s);
	assert_int_equal(s.n_rings, 0);
	assert_int_equal(s.n_ifs, 0);
	bufowner_remove(f->owners, f->owner);
	assert_int_equal(n_free(f), N_USABLE);
	nmobj_free(f->o);
	bufowner_free(f->owners);
	bufpool_free(f->pool);
	region_deinit(&f->region);
	free(f);
	return 0;
}

static uint64_t new_ring(struct fixture *f, bool tx)
{
	const struct nmobj_ring_params p = {
		.owner = f->owner, .ringid = 3, .tx = tx, .n_slots = N_SLOTS};
	uint64_t ofs = 0;

	assert_int_equal(nmobj_ring_new(f->o, &p, &ofs), 0);
	return ofs;
}

static uint8_t *buf_of(struct netmap_ring *ring, uint32_t idx)
{
	return (uint8_t *)ring + ring->buf_ofs + (size_t)idx * ring->nr_buf_size;
}

static void check_ring(struct fixture *f, uint64_t ofs, bool tx)
{
	struct netmap_ring *ring = nmobj_ring(f->o, ofs);
	uint8_t seen[N_BUFS] = {0};

	assert_int_equal(ring->num_slots, N_SLOTS);
	assert_int_equal(ring->nr_buf_size, 2048);
	assert_int_equal(ring->ringid, 3);
	assert_int_equal(ring->dir, tx ? 0 : 1);
	assert_int_equal(ring->head, 0);
	assert_int_equal(ring->cur, 0);
	assert_int_equal(ring->tail, tx ? N_SLOTS - 1 : 0);
	for (uint32_t i = 0; i < N_SLOTS; i++) {
		const struct netmap_slot *s = &ring->slot[i];

		/* Any buffer but the first two and the last, each once. */
		assert_in_range(s->buf_idx, 2, N_BUFS - 2);
		assert_int_equal(seen[s->buf_idx]++, 0);
		assert_ptr_equal(buf_of(ring, s->buf_idx), region_buf(&f->region, s->buf_idx));
		assert_int_equal(s->len, 2048);
		assert_int_equal(s->flags, 0);
		assert_int_equal(s->ptr, 0);
	}
}

static void test_rings(void **state)
{
	struct fixture *f = *state;
	uint64_t tx = new_ring(f, true), rx = new_ring(f, false);
	struct nmobj_freed freed;

	check_ring(f, tx, true);
	check_ring(f, rx, false);
	assert_int_equal(nmobj_ring_slots(f->o, tx), N_SLOTS);
	assert_int_equal(bufowner_count(f->owners, f->owner), 2 * N_SLOTS);
	freed = nmobj_ring_free(f->o, tx, f->owner);
	assert_int_equal(freed.n_bufs, N_SLOTS);
	assert_int_equal(freed.n_bad, 0);
	nmobj_ring_free(f->o, rx, f->owner);
	assert_int_equal(bufowner_count(f->owners, f->owner), 0);
	assert_int_equal(n_free(f), N_USABLE);
}

/* Data offsets: each slot starts with the initial one. */
static void test_offsets(void **state)
{
	struct fixture *f = *state;
	const struct nmobj_ring_params p = {.owner = f->owner,
					    .n_slots = 4,
					    .offset_mask = 0xffff,
					    .initial_offset = 64,
					    .buf_align = 8};
	struct netmap_ring *ring;
	uint64_t ofs = 0;

	assert_int_equal(nmobj_ring_new(f->o, &p, &ofs), 0);
	ring = nmobj_ring(f->o, ofs);
	assert_int_equal(ring->offset_mask, 0xffff);
	assert_int_equal(ring->buf_align, 8);
	assert_int_equal(ring->slot[0].ptr, 64);
	assert_int_equal(ring->slot[3].ptr, 64);
	nmobj_ring_set_offsets(f->o, ofs, 0xff);
	assert_int_equal(ring->offset_mask, 0xff);
	assert_int_equal(ring->slot[3].ptr, 64);
	nmobj_ring_free(f->o, ofs, f->owner);
}

/* Whatever a program wrote into the ring, only its own buffers are freed, each once. */
static void test_hostile_slots(void **state)
{
	struct fixture *f = *state;
	uint16_t other = bufowner_add(f->owners);
	uint64_t ofs = new_ring(f, true);
	struct netmap_ring *ring = nmobj_ring(f->o, ofs);
	struct nmobj_freed freed;
	uint32_t foreign;

	assert_true(bufowner_get(f->owners, other, &foreign, 1));
	memset(ring, 0xff, sizeof(*ring)); /* num_slots and all */
	ring->slot[0].buf_idx = 0;
	ring->slot[1].buf_idx = 1;
	ring->slot[2].buf_idx = ring->slot[3].buf_idx;
	ring->slot[4].buf_idx = foreign;
	ring->slot[5].buf_idx = UINT32_MAX;
	ring->slot[6].buf_idx = N_BUFS;
	ring->slot[7].buf_idx = N_BUFS - 1;
	freed = nmobj_ring_free(f->o, ofs, f->owner);
	assert_int_equal(freed.n_bufs, N_SLOTS - 7);
	assert_int_equal(freed.n_bad, 7);
	assert_int_equal(bufowner_count(f->owners, other), 1);
	assert_int_equal(bufowner_count(f->owners, f->owner), 7); /* lost by the program */
	assert_int_equal(bufowner_remove(f->owners, other), 1);
}

static void test_ring_limits(void **state)
{
	struct fixture *f = *state;
	struct nmobj_ring_params p = {.owner = f->owner, .n_slots = 1};
	uint64_t ofs[5];
	uint32_t n = 0;

	assert_int_equal(nmobj_ring_new(f->o, &p, ofs), -EINVAL);
	p.n_slots = (36864 - 256) / 16 + 1;
	assert_int_equal(nmobj_ring_new(f->o, &p, ofs), -ENOMEM); /* object too small */
	p.n_slots = UINT32_MAX;
	assert_int_equal(nmobj_ring_new(f->o, &p, ofs), -ENOMEM);
	p.n_slots = N_BUFS - 2;
	assert_int_equal(nmobj_ring_new(f->o, &p, ofs), -ENOMEM); /* buffers */
	assert_int_equal(bufowner_count(f->owners, f->owner), 0);
	assert_int_equal(n_free(f), N_USABLE);
	p.n_slots = 2;
	while (nmobj_ring_new(f->o, &p, &ofs[n]) == 0)
		n++;
	assert_int_equal(n, 4); /* objects */
	assert_int_equal(bufowner_count(f->owners, f->owner), 8);
	while (n--)
		nmobj_ring_free(f->o, ofs[n], f->owner);
}

static void test_interface(void **state)
{
	struct fixture *f = *state;
	uint64_t tx = new_ring(f, true), rx = new_ring(f, false), ofs = 0;
	const uint64_t rings[] = {0, tx, 0, rx}; /* 2 tx, 2 rx; ring 1 is bound */
	const struct nmobj_if_params p = {
		.name = "a-name-longer-than-15", .n_tx = 2, .n_rx = 2, .rings = rings};
	struct netmap_if *nifp;

	assert_int_equal(nmobj_if_new(f->o, &p, &ofs), 0);
	nifp = nmobj_if(f->o, ofs);
	assert_string_equal(nifp->ni_name, "a-name-longer-t");
	assert_int_equal(nifp->ni_version, 0);
	assert_int_equal(nifp->ni_flags, 0);
	assert_int_equal(nifp->ni_tx_rings, 2);
	assert_int_equal(nifp->ni_rx_rings, 2);
	assert_int_equal(nifp->ni_host_tx_rings, 1);
	assert_int_equal(nifp->ni_host_rx_rings, 1);
	assert_int_equal(nifp->ni_bufs_head, 0);
	assert_int_equal(nifp->ring_ofs[0], 0);
	assert_ptr_equal((char *)nifp + nifp->ring_ofs[1], nmobj_ring(f->o, tx));
	assert_int_equal(nifp->ring_ofs[2], 0); /* host tx that does not exist */
	assert_int_equal(nifp->ring_ofs[3], 0);
	assert_ptr_equal((char *)nifp + nifp->ring_ofs[4], nmobj_ring(f->o, rx));
	assert_int_equal(nifp->ring_ofs[5], 0);
	assert_int_equal(nmobj_if_free(f->o, ofs, f->owner).n_bufs, 0);
	nmobj_ring_free(f->o, tx, f->owner);
	nmobj_ring_free(f->o, rx, f->owner);
}

static void test_interface_with_host_rings(void **state)
{
	struct fixture *f = *state;
	uint64_t tx = new_ring(f, true), htx = new_ring(f, true), ofs = 0;
	uint64_t rx = new_ring(f, false), hrx = new_ring(f, false);
	const uint64_t rings[] = {tx, htx, rx, hrx};
	const struct nmobj_if_params p = {.name = "br0",
					  .n_tx = 1,
					  .n_rx = 1,
					  .n_host_tx = 1,
					  .n_host_rx = 1,
					  .rings = rings,
					  .private_mem = true};
	struct netmap_if *nifp;

	assert_int_equal(nmobj_if_new(f->o, &p, &ofs), 0);
	nifp = nmobj_if(f->o, ofs);
	assert_int_equal(nifp->ni_flags, NI_PRIV_MEM);
	for (int i = 0; i < 4; i++) {
		assert_ptr_equal((char *)nifp + nifp->ring_ofs[i], nmobj_ring(f->o, rings[i]));
		nmobj_ring_free(f->o, rings[i], f->owner);
	}
	nmobj_if_free(f->o, ofs, f->owner);
}

static void test_interface_limits(void **state)
{
	struct fixture *f = *state;
	uint64_t rings[200] = {0}, ofs[11];
	struct nmobj_if_params p = {.name = "x", .n_tx = 61, .n_rx = 60, .rings = rings};
	uint32_t n = 0;

	assert_int_equal(nmobj_if_new(f->o, &p, ofs), -ENOMEM); /* 121 entries fit, not 123 */
	p.n_tx = UINT32_MAX;
	assert_int_equal(nmobj_if_new(f->o, &p, ofs), -ENOMEM);
	p.n_tx = 59;
	while (nmobj_if_new(f->o, &p, &ofs[n]) == 0)
		n++;
	assert_int_equal(n, 10);
	while (n--)
		nmobj_if_free(f->o, ofs[n], f->owner);
}

static uint64_t new_if(struct fixture *f)
{
	const struct nmobj_if_params p = {.name = "x"};
	uint64_t ofs = 0;

	assert_int_equal(nmobj_if_new(f->o, &p, &ofs), 0);
	return ofs;
}

/* The list as programs walk it. */
static uint32_t list(struct fixture *f, uint64_t ofs, uint32_t *ret)
{
	uint32_t n = 0;

	for (uint32_t b = nmobj_if(f->o, ofs)->ni_bufs_head; b;
	     b = *(uint32_t *)region_buf(&f->region, b))
		ret[n++] = b;
	return n;
}

static void test_extra_buffers(void **state)
{
	struct fixture *f = *state;
	uint64_t ofs = new_if(f), rest = new_if(f);
	uint32_t bufs[N_BUFS];
	struct nmobj_freed freed;

	assert_int_equal(nmobj_extra_new(f->o, ofs, f->owner, 8), 8);
	assert_int_equal(list(f, ofs, bufs), 8);
	assert_int_equal(bufowner_count(f->owners, f->owner), 8);
	/* Fewer than wished for are fine. */
	assert_int_equal(nmobj_extra_new(f->o, rest, f->owner, 5000), N_USABLE - 8);
	assert_int_equal(list(f, rest, bufs), N_USABLE - 8);
	freed = nmobj_if_free(f->o, ofs, f->owner);
	assert_int_equal(freed.n_bufs, 8);
	assert_int_equal(freed.n_bad, 0);
	assert_int_equal(nmobj_if_free(f->o, rest, f->owner).n_bufs, N_USABLE - 8);
	assert_int_equal(n_free(f), N_USABLE);
}

static void test_hostile_lists(void **state)
{
	struct fixture *f = *state;
	static const uint32_t bad[] = {1, N_BUFS - 1, N_BUFS, UINT32_MAX};
	uint32_t bufs[N_BUFS], lost = 0;
	struct nmobj_freed freed;
	uint64_t ofs = new_if(f);

	/* Bites its tail. */
	assert_int_equal(nmobj_extra_new(f->o, ofs, f->owner, 5), 5);
	list(f, ofs, bufs);
	*(uint32_t *)region_buf(&f->region, bufs[4]) = bufs[1];
	freed = nmobj_if_free(f->o, ofs, f->owner);
	assert_int_equal(freed.n_bufs, 5);
	assert_int_equal(freed.n_bad, 1);
	/* Leads nowhere. */
	for (uint32_t i = 0; i < array_size(bad); i++) {
		ofs = new_if(f);
		assert_int_equal(nmobj_extra_new(f->o, ofs, f->owner, 3), 3);
		list(f, ofs, bufs);
		*(uint32_t *)region_buf(&f->region, bufs[0]) = bad[i];
		freed = nmobj_if_free(f->o, ofs, f->owner);
		assert_int_equal(freed.n_bufs, 1);
		assert_int_equal(freed.n_bad, 1);
		lost += 2;
		assert_int_equal(bufowner_count(f->owners, f->owner), lost);
	}
	/* An interface that was given none has no list. */
	ofs = new_if(f);
	nmobj_if(f->o, ofs)->ni_bufs_head = 5;
	assert_int_equal(nmobj_if_free(f->o, ofs, 0).n_bad, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_rings),
		T(test_offsets),
		T(test_hostile_slots),
		T(test_ring_limits),
		T(test_interface),
		T(test_interface_with_host_rings),
		T(test_interface_limits),
		T(test_extra_buffers),
		T(test_hostile_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
