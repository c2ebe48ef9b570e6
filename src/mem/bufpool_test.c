/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/bufpool.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define N_BUFS   2000u
#define N_USABLE (N_BUFS - 3) /* 0, 1 and the last one are never handed out */
#define N_BIG    100u

struct fixture {
	struct region region;
	struct bufpool *pool;
	struct bufcache c;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *why;

	if (region_init(&f->region, &(struct mem_params){.buf_num = N_BUFS}, 1, &why) < 0)
		return -1;
	f->pool = bufpool_new(&f->region, N_BIG);
	bufcache_init(&f->c, f->pool);
	*state = f;
	return 0;
}

/* Whatever a test did, everything is free in the end and nothing is free twice. */
static int teardown(void **state)
{
	struct fixture *f = *state;
	struct bufpool_stats s;
	uint32_t bufs[N_BUFS];
	uint8_t seen[N_BUFS] = {0};
	uint32_t n;

	bufcache_deinit(&f->c);
	bufpool_stats(f->pool, &s);
	assert_int_equal(s.n_free, s.n_total);
	assert_int_equal(s.n_big_free, N_BIG);
	bufcache_init(&f->c, f->pool);
	n = buf_get(&f->c, bufs, N_BUFS);
	assert_int_equal(n, N_USABLE);
	while (n--)
		assert_int_equal(seen[bufs[n]]++, 0);
	bufpool_free(f->pool);
	region_deinit(&f->region);
	free(f);
	return 0;
}

static void test_get_put(void **state)
{
	struct fixture *f = *state;
	uint32_t b[3];

	assert_int_equal(buf_get(&f->c, b, 3), 3);
	for (int i = 0; i < 3; i++) {
		assert_in_range(b[i], 2, N_BUFS - 2);
		assert_int_equal(buf_refs(&f->c, b[i]), 1);
		assert_int_equal(f->c.meta[b[i]].owner, BUF_DAEMON);
		assert_ptr_equal(buf_data(&f->c, b[i]), region_buf(&f->region, b[i]));
		assert_int_equal(buf_room(&f->c, b[i]), 1792);
	}
	buf_put(&f->c, b, 3);
	assert_int_equal(buf_refs(&f->c, b[0]), 0);
	assert_int_equal(f->c.meta[b[0]].owner, BUF_FREE);
}

/* Debug builds spoil what a forgotten pointer would read; others leave it alone. */
static void test_poison(void **state)
{
	struct fixture *f = *state;
	uint32_t b = 0;

	buf_get(&f->c, &b, 1);
	memset(buf_data(&f->c, b), 0x11, 65);
	buf_put(&f->c, &b, 1);
	assert_int_equal(buf_data(&f->c, b)[0], BUF_POISON ? BUF_POISON_BYTE : 0x11);
	assert_int_equal(buf_data(&f->c, b)[63], BUF_POISON ? BUF_POISON_BYTE : 0x11);
	assert_int_equal(buf_data(&f->c, b)[64], 0x11);
}

static void test_last_in_first_out(void **state)
{
	struct fixture *f = *state;
	uint32_t a[2], b = 0;

	buf_get(&f->c, a, 2);
	buf_put(&f->c, a, 2);
	buf_get(&f->c, &b, 1);
	assert_int_equal(b, a[1]);
	buf_put(&f->c, &b, 1);
}

/* Cold buffers are apart from the others, and are the last resort of those. */
static void test_cold(void **state)
{
	struct fixture *f = *state;
	uint32_t bufs[N_BUFS], b[2] = {0}, n;

	buf_get(&f->c, bufs, 2);
	buf_put_cold(&f->c, bufs, 1);
	assert_int_equal(buf_refs(&f->c, bufs[0]), 0);
	assert_int_equal(f->c.meta[bufs[0]].owner, BUF_FREE);
	buf_put(&f->c, bufs + 1, 1);
	buf_get(&f->c, b, 1);
	assert_int_equal(b[0], bufs[1]);
	assert_int_equal(buf_get_cold(&f->c, b + 1, 1), 1);
	assert_int_equal(b[1], bufs[0]);
	assert_int_equal(buf_refs(&f->c, b[1]), 1);
	assert_int_equal(f->c.meta[b[1]].owner, BUF_DAEMON);
	buf_put(&f->c, b, 2);
	n = buf_get_cold(&f->c, bufs, N_BUFS); /* none of them is cold */
	assert_int_equal(n, N_USABLE);
	buf_put_cold(&f->c, bufs, n); /* more than there is room for */
	assert_int_equal(f->c.n_cold, BUFCACHE_SIZE);
	assert_int_equal(buf_get(&f->c, bufs, N_BUFS), N_USABLE);
	buf_put_cold(&f->c, bufs, n);
}

static void test_references(void **state)
{
	struct fixture *f = *state;
	uint32_t b = 0, other = 0;

	buf_get(&f->c, &b, 1);
	buf_ref(&f->c, b, 2);
	buf_put(&f->c, &b, 1);
	buf_put(&f->c, &b, 1);
	assert_int_equal(buf_refs(&f->c, b), 1);
	buf_get(&f->c, &other, 1);
	assert_int_not_equal(other, b);
	buf_put(&f->c, &other, 1);
	buf_put(&f->c, &b, 1);
	assert_int_equal(buf_refs(&f->c, b), 0);
}

/* More than a cache holds, all there are, and not one more. */
static void test_exhaustion(void **state)
{
	struct fixture *f = *state;
	uint32_t bufs[N_BUFS], none = 0;
	struct bufpool_stats s;
	uint32_t n = buf_get(&f->c, bufs, N_BUFS);

	assert_int_equal(n, N_USABLE);
	assert_int_equal(buf_get(&f->c, &none, 1), 0);
	bufpool_stats(f->pool, &s);
	assert_int_equal(s.n_free, 0);
	assert_int_equal(s.n_total, N_USABLE);
	buf_put(&f->c, bufs, n);
	bufpool_stats(f->pool, &s);
	assert_int_equal(s.n_free + f->c.n, N_USABLE);
	assert_true(f->c.n <= BUFCACHE_SIZE);
	assert_int_equal(buf_get(&f->c, &none, 1), 1);
	buf_put(&f->c, &none, 1);
}

static void test_big(void **state)
{
	struct fixture *f = *state;
	uint32_t big[N_BIG];

	for (uint32_t i = 0; i < N_BIG; i++) {
		big[i] = buf_get_big(&f->c);
		assert_true(big[i] & BUF_BIG);
		assert_int_equal(buf_refs(&f->c, big[i]), 1);
		memset(buf_data(&f->c, big[i]) - BUF_HEADROOM, (int)i, BUF_BIG_SIZE);
	}
	assert_int_equal(buf_get_big(&f->c), 0);
	assert_true(buf_room(&f->c, big[0]) >= 65549 + 8);
	for (uint32_t i = 0; i < N_BIG; i++) {
		uint8_t *d = buf_data(&f->c, big[i]);

		assert_int_equal(d[-(int)BUF_HEADROOM], i);
		assert_int_equal(d[buf_room(&f->c, big[i]) - 1], i);
	}
	buf_put(&f->c, big, N_BIG);
}

#define PROGRAM (BUF_OWNER_FIRST + 7)

/* What is a program's can be taken once, by its own number, and nothing else can. */
static void test_give_and_take(void **state)
{
	struct fixture *f = *state;
	uint32_t b[2];

	assert_int_equal(buf_get(&f->c, b, 2), 2);
	assert_false(buf_take(&f->c, b[0], PROGRAM));
	buf_give(&f->c, b[0], PROGRAM);
	assert_int_equal(f->c.meta[b[0]].owner, PROGRAM);
	assert_false(buf_take(&f->c, b[0], PROGRAM + 1));
	assert_false(buf_take(&f->c, b[1], PROGRAM));
	assert_true(buf_take(&f->c, b[0], PROGRAM));
	assert_false(buf_take(&f->c, b[0], PROGRAM));
	assert_int_equal(buf_refs(&f->c, b[0]), 1);
	buf_put(&f->c, b, 2);
	assert_false(buf_take(&f->c, b[0], BUF_FREE));
	assert_false(buf_take(&f->c, 0, PROGRAM));
	assert_false(buf_take(&f->c, 1, PROGRAM));
	assert_false(buf_take(&f->c, N_BUFS, PROGRAM));
	assert_false(buf_take(&f->c, UINT32_MAX, PROGRAM));
	assert_false(buf_take(&f->c, BUF_BIG, PROGRAM));
}

static void *churn(void *arg)
{
	struct fixture *f = arg;
	struct bufcache c;
	uint32_t bufs[600];

	bufcache_init(&c, f->pool);
	for (int round = 0; round < 2000; round++) {
		uint32_t n = buf_get(&c, bufs, (uint32_t)(round * 37 % 600) + 1);
		uint32_t big = buf_get_big(&c);

		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(buf_refs(&c, bufs[i]), 1);
		buf_put(&c, bufs, n);
		if (big)
			buf_put(&c, &big, 1);
	}
	bufcache_deinit(&c);
	return NULL;
}

/* Two workers share a pool that is too small for both. */
static void test_two_workers(void **state)
{
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn, *state), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

/* True when f(c, buf) in a child process ends in a failed assertion. */
static bool aborts(struct fixture *f, uint32_t buf)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		signal(SIGABRT, SIG_DFL); /* cmocka catches it */
		close(STDERR_FILENO);
		buf_put(&f->c, &buf, 1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_own_bugs_are_caught(void **state)
{
	struct fixture *f = *state;
	uint32_t b = 0;

#ifdef NDEBUG
	skip(); /* no assertions */
#endif
	buf_get(&f->c, &b, 1);
	assert_false(aborts(f, b));
	buf_put(&f->c, &b, 1);
	assert_true(aborts(f, b)); /* twice */
	assert_true(aborts(f, 0));
	assert_true(aborts(f, 1)); /* reserved */
	assert_true(aborts(f, N_BUFS));
	assert_true(aborts(f, BUF_BIG | N_BIG));
	assert_true(aborts(f, BUF_BIG));
}

static void test_no_memory(void **state)
{
	struct fixture *f = *state;

	assert_null(bufpool_new(&f->region, UINT32_MAX));
	assert_null(bufpool_free(NULL));
	assert_ptr_equal(bufpool_region(f->pool), &f->region);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_get_put),
		T(test_poison),
		T(test_last_in_first_out),
		T(test_cold),
		T(test_references),
		T(test_exhaustion),
		T(test_big),
		T(test_two_workers),
		T(test_no_memory),
		T(test_own_bugs_are_caught),
		T(test_give_and_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
