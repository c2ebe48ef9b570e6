/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/bufowner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define N_BUFS 700u

struct fixture {
	struct region region;
	struct bufpool *pool;
	struct bufowner *o;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *why;

	if (region_init(&f->region, &(struct mem_params){.buf_num = N_BUFS}, 1, &why) < 0)
		return -1;
	f->pool = bufpool_new(&f->region, 1);
	f->o = bufowner_new(f->pool);
	*state = f;
	return 0;
}

static uint32_t n_free(struct fixture *f)
{
	struct bufpool_stats s;

	bufowner_flush(f->o);
	bufpool_stats(f->pool, &s);
	return s.n_free;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(n_free(f), N_BUFS - 3);
	assert_null(bufowner_free(f->o));
	bufpool_free(f->pool);
	region_deinit(&f->region);
	free(f);
	return 0;
}

static void test_get_put(void **state)
{
	struct fixture *f = *state;
	uint16_t a = bufowner_add(f->o), b = bufowner_add(f->o);
	uint32_t bufs[10];

	assert_true(a >= BUF_OWNER_FIRST && b >= BUF_OWNER_FIRST && a != b);
	assert_ptr_equal(bufowner_pool(f->o), f->pool);
	assert_true(bufowner_get(f->o, a, bufs, 10));
	assert_int_equal(bufowner_count(f->o, a), 10);
	assert_int_equal(bufowner_count(f->o, b), 0);
	assert_false(bufowner_put(f->o, b, bufs[0])); /* not b's */
	assert_false(bufowner_put(f->o, a, 0));
	assert_false(bufowner_put(f->o, a, UINT32_MAX));
	for (int i = 0; i < 10; i++)
		assert_true(bufowner_put(f->o, a, bufs[i]));
	assert_false(bufowner_put(f->o, a, bufs[3])); /* twice */
	assert_int_equal(bufowner_count(f->o, a), 0);
	assert_int_equal(bufowner_remove(f->o, a), 0);
	assert_int_equal(bufowner_remove(f->o, b), 0);
}

static void test_all_or_none(void **state)
{
	struct fixture *f = *state;
	uint16_t a = bufowner_add(f->o);
	uint32_t bufs[N_BUFS];

	assert_false(bufowner_get(f->o, a, bufs, N_BUFS - 2));
	assert_int_equal(bufowner_count(f->o, a), 0);
	assert_int_equal(n_free(f), N_BUFS - 3);
	assert_true(bufowner_get(f->o, a, bufs, N_BUFS - 3));
	assert_int_equal(n_free(f), 0);
	assert_int_equal(bufowner_remove(f->o, a), N_BUFS - 3);
}

/* What a program lost comes back with its last member; other owners keep theirs. */
static void test_remove_finds_what_was_lost(void **state)
{
	struct fixture *f = *state;
	uint16_t a = bufowner_add(f->o), b = bufowner_add(f->o);
	uint32_t bufs[600];

	assert_true(bufowner_get(f->o, a, bufs, 300));
	assert_true(bufowner_get(f->o, b, bufs + 300, 300));
	assert_int_equal(bufowner_remove(f->o, a), 300);
	assert_int_equal(bufowner_count(f->o, b), 300);
	assert_int_equal(n_free(f), N_BUFS - 3 - 300);
	assert_int_equal(bufowner_remove(f->o, b), 300);
}

static void test_merge(void **state)
{
	struct fixture *f = *state;
	uint16_t a = bufowner_add(f->o), b = bufowner_add(f->o);
	uint32_t bufs[30];

	assert_true(bufowner_get(f->o, a, bufs, 20));
	assert_true(bufowner_get(f->o, b, bufs + 20, 10));
	assert_int_equal(bufowner_merge(f->o, a, b), 20);
	assert_int_equal(bufowner_count(f->o, b), 30);
	for (int i = 0; i < 30; i++)
		assert_true(bufowner_put(f->o, b, bufs[i]));
	assert_int_equal(bufowner_remove(f->o, b), 0);
}

static void test_numbers_run_out(void **state)
{
	struct fixture *f = *state;
	uint16_t owner, n = 0;

	while ((owner = bufowner_add(f->o)))
		n++;
	assert_int_equal(n, BUFOWNER_N - BUF_OWNER_FIRST);
	assert_int_equal(bufowner_remove(f->o, BUFOWNER_N / 2), 0);
	assert_int_equal(bufowner_add(f->o), BUFOWNER_N / 2);
	assert_null(bufowner_free(NULL));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_get_put), T(test_all_or_none),     T(test_remove_finds_what_was_lost),
		T(test_merge),   T(test_numbers_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
