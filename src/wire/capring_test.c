/* SPDX-License-Identifier: BSD-2-Clause */
#include "wire/capring.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 4096u

struct fixture {
	void *base;
	struct capring p;
	struct capring_reader c;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->base = aligned_alloc(4096, CAPRING_DATA + SIZE);
	memset(f->base, 0, CAPRING_DATA + SIZE);
	capring_init(&f->p, f->base, SIZE);
	capring_open(&f->c, f->base, SIZE);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	free(f->base);
	free(f);
	return 0;
}

static bool put(struct fixture *f, uint32_t n, uint8_t fill)
{
	struct capring_record *r = capring_reserve(&f->p, CAPRING_PACKET, n);

	if (!r)
		return false;
	r->caplen = r->len = n;
	r->port = 1;
	memset(r->data, fill, n);
	return true;
}

static const struct capring_record *take(struct fixture *f)
{
	const struct capring_record *r;

	assert_int_equal(capring_next(&f->c, &r), 0);
	return r;
}

/* Nothing is seen before it is published; all lengths go round the end many times. */
static void test_round(void **state)
{
	struct fixture *f = *state;

	assert_null(take(f));
	for (uint32_t i = 0; i < 3000; i++) {
		const uint32_t n = i * 7 % 601;
		const struct capring_record *r;

		assert_true(put(f, n, (uint8_t)i));
		assert_null(take(f));
		assert_false(capring_publish(&f->p));
		r = take(f);
		assert_non_null(r);
		assert_int_equal(r->caplen, n);
		assert_int_equal(r->verdict, 0);
		if (n) {
			assert_int_equal(r->data[0], (uint8_t)i);
			assert_int_equal(r->data[n - 1], (uint8_t)i);
		}
		assert_null(take(f));
		capring_release(&f->c);
	}
}

static void test_full(void **state)
{
	struct fixture *f = *state;
	uint32_t n = 0, got = 0;

	while (put(f, 100, 1))
		n++;
	assert_int_equal(n, SIZE / 152);
	capring_publish(&f->p);
	while (take(f))
		got++;
	assert_int_equal(got, n);
	assert_false(put(f, 100, 1)); /* taken, but not released */
	capring_release(&f->c);
	assert_true(put(f, 100, 1));
	assert_false(put(f, SIZE, 1));
}

static void test_skipped(void **state)
{
	struct fixture *f = *state;
	struct capring_record *r = capring_reserve(&f->p, CAPRING_PACKET, 10);

	r->type = CAPRING_SKIP;
	capring_publish(&f->p);
	assert_null(take(f));
	assert_true(capring_sleep(&f->c));
	assert_int_equal(f->c.shared->tail, f->c.shared->head);
}

static void test_bell(void **state)
{
	struct fixture *f = *state;

	assert_true(capring_sleep(&f->c));
	assert_true(put(f, 1, 1));
	assert_true(capring_publish(&f->p));
	assert_false(capring_publish(&f->p));
	assert_true(put(f, 1, 1));
	assert_false(capring_publish(&f->p)); /* it was rung already */
	assert_false(capring_sleep(&f->c));
	assert_non_null(take(f));
	assert_non_null(take(f));
	capring_end(&f->p, CAPRING_BRIDGE_GONE);
	assert_false(capring_sleep(&f->c));
	assert_int_equal(capring_ended(&f->c), CAPRING_BRIDGE_GONE);
}

/* Whatever the client writes, the producer stays in its memory and does not wait. */
static void test_hostile_client(void **state)
{
	static const uint64_t tails[] = {
		1, 7, SIZE - 1, SIZE, SIZE * 2, UINT64_MAX, UINT64_MAX / 2, UINT64_MAX - SIZE + 1};
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 10000; i++) {
		f->p.shared->tail = tails[i % 8] + (i % 3 ? f->p.head : 0);
		put(f, i % 700, 9);
		assert_true((f->p.head & 7) == 0);
		capring_publish(&f->p);
		memset(f->p.data, (int)i, SIZE);
	}
}

/* The consumer believes no size. */
static void test_hostile_memory(void **state)
{
	struct fixture *f = *state;
	const struct capring_record *r;
	struct capring_record *first;
	unsigned seed = 1;

	for (uint32_t i = 0; i < 20000; i++) {
		uint8_t *bytes = f->p.data;

		const uint64_t start = i * 8 % SIZE;

		capring_init(&f->p, f->base, SIZE);
		f->p.head = f->p.tail = f->p.published = f->p.shared->tail = start;
		capring_open(&f->c, f->base, SIZE);
		first = capring_reserve(&f->p, CAPRING_PACKET, 64);
		first->caplen = first->len = 64;
		put(f, 200, 3);
		capring_publish(&f->p);
		for (int k = 0; k < 3; k++)
			bytes[(start + (unsigned)rand_r(&seed) % 48) % SIZE] =
				(uint8_t)rand_r(&seed);
		if (i % 2)
			f->p.shared->head = start + (uint64_t)rand_r(&seed) % SIZE / 8 * 8;
		while (capring_next(&f->c, &r) == 0 && r) {
			assert_true((const uint8_t *)r >= f->p.data);
			assert_true((const uint8_t *)r + r->size <= f->p.data + SIZE);
			if (r->type == CAPRING_PACKET)
				assert_true(r->data + r->caplen <= f->p.data + SIZE);
		}
	}
	f->p.shared->head = 12;
	capring_open(&f->c, f->base, SIZE);
	assert_int_equal(capring_next(&f->c, &r), -EPROTO);
}

#define MANY 200000u

static void *produce(void *arg)
{
	struct fixture *f = arg;

	for (uint32_t i = 0; i < MANY;) {
		struct capring_record *r = capring_reserve(&f->p, CAPRING_PACKET, i % 333);

		if (!r)
			continue;
		r->caplen = i % 333;
		r->len = i + 1000;
		capring_publish(&f->p);
		i++;
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	struct fixture *f = *state;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, produce, f), 0);
	for (uint32_t i = 0; i < MANY;) {
		const struct capring_record *r = take(f);

		if (!r)
			continue;
		if (r->len != i + 1000 || r->caplen != i % 333)
			fail_msg("record %u is another", i);
		capring_release(&f->c);
		i++;
	}
	pthread_join(t, NULL);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_round),       TEST(test_full),           TEST(test_skipped),
		TEST(test_bell),        TEST(test_hostile_client), TEST(test_hostile_memory),
		TEST(test_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
