/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_steps(void **state)
{
	assert_int_equal(ring_next(0, 4), 1);
	assert_int_equal(ring_next(3, 4), 0);
	assert_int_equal(ring_prev(0, 4), 3);
	assert_int_equal(ring_prev(3, 4), 2);
	assert_int_equal(ring_add(3, 0, 4), 3);
	assert_int_equal(ring_add(3, 1, 4), 0);
	assert_int_equal(ring_add(3, 4, 4), 3);
}

/* Against counting in steps, for each pair. */
static void test_distance(void **state)
{
	const uint32_t n = 5;

	for (uint32_t from = 0; from < n; from++)
		for (uint32_t k = 0, i = from; k < n; k++, i = ring_next(i, n)) {
			assert_int_equal(ring_distance(from, i, n), k);
			assert_int_equal(ring_add(from, k, n), i);
		}
}

/* Against walking from one end to the other. */
static void test_between(void **state)
{
	const uint32_t n = 5;

	for (uint32_t from = 0; from < n; from++)
		for (uint32_t to = 0; to < n; to++) {
			bool in[8] = {false};

			for (uint32_t i = from; !in[to]; i = ring_next(i, n))
				in[i] = true;
			for (uint32_t i = 0; i < array_size(in); i++)
				assert_int_equal(ring_between(from, i, to, n), in[i]);
			assert_false(ring_between(from, UINT32_MAX, to, n));
		}
}

static void test_slot_words(void **state)
{
	struct netmap_slot s = {.buf_idx = 7, .len = 60, .flags = NS_MOREFRAG, .ptr = 5};
	struct ring_head h = ring_read_slot(&s);

	assert_int_equal(h.buf_idx, 7);
	assert_int_equal(h.len, 60);
	assert_int_equal(h.flags, NS_MOREFRAG);
	ring_write_slot(&s, (struct ring_head){.buf_idx = 9, .len = 1500, .flags = 1});
	assert_int_equal(s.buf_idx, 9);
	assert_int_equal(s.len, 1500);
	assert_int_equal(s.flags, 1);
	assert_int_equal(s.ptr, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_between),
		cmocka_unit_test(test_slot_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
