/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND 1000000000ULL

static void burst_then_one_a_second(void **state)
{
	struct limit l = {0};
	uint64_t now = 1000 * SECOND, n;

	for (unsigned int i = 0; i < LIMIT_BURST; i++) {
		assert_true(limit_take(&l, now, &n));
		assert_int_equal(n, 0);
	}
	for (int i = 0; i < 100; i++)
		assert_false(limit_take(&l, now + SECOND / 2, &n));
	assert_true(limit_take(&l, now + SECOND, &n));
	assert_int_equal(n, 100);
	assert_false(limit_take(&l, now + SECOND + SECOND / 2, &n));
	assert_true(limit_take(&l, now + 2 * SECOND, &n));
	assert_int_equal(n, 1);
}

static void quiet_time_restores_the_burst_and_no_more(void **state)
{
	struct limit l = {0};
	uint64_t now = 1000 * SECOND, n;

	for (unsigned int i = 0; i < 2 * LIMIT_BURST; i++)
		limit_take(&l, now, &n);
	assert_false(limit_take(&l, now, &n));
	now += 3600 * SECOND;
	for (unsigned int i = 0; i < LIMIT_BURST; i++)
		assert_true(limit_take(&l, now, &n));
	assert_false(limit_take(&l, now, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(burst_then_one_a_second),
		cmocka_unit_test(quiet_time_restores_the_burst_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
