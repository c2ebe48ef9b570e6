/* SPDX-License-Identifier: BSD-2-Clause */
/* Ring arithmetic against a kernel played by the test, in plain memory. */
#include "port/xdp_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 8u

/* A mapping as the kernel lays it out: index words on cache lines of their own, then entries. */
struct fake_map {
	uint32_t prod, pad1[15], cons, pad2[15], flags, pad3[15];
	union {
		uint64_t addr[SIZE];
		struct xdp_desc desc[SIZE];
	};
};

static const struct xdp_ring_offset offsets = {
	.producer = offsetof(struct fake_map, prod),
	.consumer = offsetof(struct fake_map, cons),
	.flags = offsetof(struct fake_map, flags),
	.desc = offsetof(struct fake_map, addr),
};

static void start_at(struct fake_map *m, struct xdp_ring *r, uint32_t index)
{
	memset(m, 0, sizeof(*m));
	m->prod = m->cons = index;
	xdp_ring_init(r, m, &offsets, SIZE);
}

static void producer_fills_and_waits_for_the_kernel(void **state)
{
	struct fake_map m;
	struct xdp_ring r;

	start_at(&m, &r, 0);
	assert_int_equal(xdp_ring_space(&r, 5), 5);
	assert_int_equal(xdp_ring_space(&r, 100), SIZE);
	for (uint32_t i = 0; i < SIZE; i++)
		*xdp_ring_addr(&r, i) = 100 + i;
	xdp_ring_push(&r, SIZE);
	assert_int_equal(m.prod, 0); /* not yet visible */
	xdp_ring_publish(&r);
	assert_int_equal(m.prod, SIZE);
	assert_int_equal(m.addr[3], 103);
	assert_int_equal(xdp_ring_space(&r, 1), 0);
	assert_int_equal(xdp_ring_pending(&r), SIZE);
	m.cons = 3;
	assert_int_equal(xdp_ring_pending(&r), SIZE - 3);
	assert_int_equal(xdp_ring_space(&r, SIZE), 3);
}

static void consumer_sees_what_the_kernel_published(void **state)
{
	struct fake_map m;
	struct xdp_ring r;

	start_at(&m, &r, 0);
	assert_int_equal(xdp_ring_ready(&r, 64), 0);
	for (uint32_t i = 0; i < 4; i++)
		m.desc[i] = (struct xdp_desc){.addr = i, .len = 60 + i};
	m.prod = 4;
	assert_int_equal(xdp_ring_ready(&r, 3), 3);
	assert_int_equal(xdp_ring_desc_at(&r, 2)->len, 62);
	xdp_ring_pop(&r, 3);
	assert_int_equal(m.cons, 3);
	m.prod = 6;
	assert_int_equal(xdp_ring_ready(&r, 64), 1); /* what it knew of comes first */
	assert_int_equal(xdp_ring_ready_now(&r, 64), 3);
	xdp_ring_pop(&r, 3);
	assert_int_equal(xdp_ring_ready(&r, 64), 0);
}

static void indexes_wrap(void **state)
{
	struct fake_map m;
	struct xdp_ring r;

	start_at(&m, &r, UINT32_MAX - 2);
	assert_int_equal(xdp_ring_space(&r, 6), 6);
	for (uint32_t i = 0; i < 6; i++)
		*xdp_ring_addr(&r, i) = i;
	xdp_ring_push(&r, 6);
	xdp_ring_publish(&r);
	assert_int_equal(m.prod, 3);
	assert_int_equal(m.addr[(UINT32_MAX - 2) & (SIZE - 1)], 0);
	assert_int_equal(m.addr[2], 5);
	assert_int_equal(xdp_ring_pending(&r), 6);
	assert_int_equal(xdp_ring_space(&r, 6), 2);

	start_at(&m, &r, UINT32_MAX);
	m.addr[(UINT32_MAX) & (SIZE - 1)] = 7;
	m.addr[0] = 8;
	m.prod = 1;
	assert_int_equal(xdp_ring_ready(&r, 64), 2);
	assert_int_equal(xdp_ring_addr_at(&r, 0), 7);
	assert_int_equal(xdp_ring_addr_at(&r, 1), 8);
	xdp_ring_pop(&r, 2);
	assert_int_equal(m.cons, 1);
}

/* Many rounds of both ends with the same numbers: nothing is lost, doubled or reordered. */
static void long_run(void **state)
{
	struct fake_map m;
	struct xdp_ring p, c;
	uint64_t sent = 0, got = 0;

	start_at(&m, &p, UINT32_MAX - 1000);
	xdp_ring_init(&c, &m, &offsets, SIZE);
	for (uint32_t round = 0; round < 5000; round++) {
		uint32_t n = xdp_ring_space(&p, round % 7);

		for (uint32_t i = 0; i < n; i++)
			*xdp_ring_addr(&p, i) = sent++;
		xdp_ring_push(&p, n);
		xdp_ring_publish(&p);
		n = xdp_ring_ready(&c, round % 5);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(xdp_ring_addr_at(&c, i), got++);
		xdp_ring_pop(&c, n);
		assert_true(sent - got <= SIZE);
	}
	assert_true(got > 5000);
}

static void wakeup_flag(void **state)
{
	struct fake_map m;
	struct xdp_ring r;

	start_at(&m, &r, 0);
	assert_false(xdp_ring_needs_wakeup(&r));
	m.flags = XDP_RING_NEED_WAKEUP;
	assert_true(xdp_ring_needs_wakeup(&r));
}

static void chunks(void **state)
{
	assert_int_equal(xdp_chunk(5 * 2048 + 256, 11), 5);
	assert_int_equal(xdp_desc_count(5 * 2048 + 256, 60, 11), 1);
	assert_int_equal(xdp_desc_count(5 * 2048 + 256, 1792, 11), 1);
	assert_int_equal(xdp_desc_count(5 * 2048 + 256, 1793, 11), 2);
	assert_int_equal(xdp_desc_count(5 * 2048 + 256, 2048, 11), 2);
	assert_int_equal(xdp_desc_count(5 * 2048, 2048, 11), 1);
	assert_int_equal(xdp_desc_count(5 * 4096 + 256, 3840, 12), 1);
	assert_int_equal(xdp_desc_count(5 * 2048 + 256, 0, 11), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(producer_fills_and_waits_for_the_kernel),
		cmocka_unit_test(consumer_sees_what_the_kernel_published),
		cmocka_unit_test(indexes_wrap),
		cmocka_unit_test(long_run),
		cmocka_unit_test(wakeup_flag),
		cmocka_unit_test(chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
