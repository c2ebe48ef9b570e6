/* SPDX-License-Identifier: BSD-2-Clause */
/* Origin records: each way of matching, consumption, order, staleness, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mac.h"
#include "core/origin.h"

#define SECOND    1000000000ULL
#define N_RECORDS 64u
#define AA        0x0200000000aaULL

struct lab {
	struct origins *os;
	uint64_t now_ns;
};

static int setup(void **state)
{
	static const struct origins_config cfg = {
		.n_rings = 2,
		.n_records = N_RECORDS,
		.n_sources = 64,
		.source_age_s = 300,
		.hash_key = {7},
	};
	struct lab *l = calloc(1, sizeof(*l));

	l->os = origins_new(&cfg);
	assert_non_null(l->os);
	*state = l;
	return 0;
}

static int teardown(void **state)
{
	struct lab *l = *state;

	origins_free(l->os);
	free(l);
	return 0;
}

/* A frame whose bytes depend on what; in a heap block of its length. */
static struct frame make(uint32_t buf, uint64_t src, uint32_t len, uint8_t what)
{
	struct frame f = {.data = malloc(len), .len = len, .buf = buf};

	memset(f.data, what, len);
	mac_store(f.data, 0x020000000001ULL);
	mac_store(f.data + 6, src);
	memcpy(f.data + 12, "\x08\x00", 2);
	assert_true(frame_parse(&f));
	return f;
}

static void lend(struct lab *l, const struct frame *f, uint16_t port, uint8_t ring)
{
	struct origin o = {
		.time_ns = l->now_ns,
		.generation = port * 10u,
		.flow_hash = 77,
		.group = port * 3u,
		.segment = 4,
		.port = port,
		.reserved = 2,
		.ring = ring,
	};

	origins_lend(l->os, f, &o);
}

static struct origin match(struct lab *l, const struct frame *f)
{
	struct origin o;

	origins_match(l->os, f, l->now_ns, &o);
	return o;
}

static uint64_t count(struct lab *l, enum origin_how how)
{
	struct origins_stats st;

	origins_stats(l->os, &st);
	return st.n_by[how];
}

static void by_buffer_once(void **state)
{
	struct lab *l = *state;
	struct frame f = make(100, AA, 60, 1);
	struct origin o;

	l->now_ns = 5;
	lend(l, &f, 3, 1);
	l->now_ns = 99;
	f.data[40] ^= 1; /* edited in place */
	o = match(l, &f);
	assert_int_equal(o.how, ORIGIN_BUFFER);
	assert_int_equal(o.port, 3);
	assert_int_equal(o.generation, 30);
	assert_int_equal(o.flow_hash, 77);
	assert_int_equal(o.group, 9);
	assert_int_equal(o.segment, 4);
	assert_int_equal(o.reserved, 2);
	assert_int_equal(o.ring, 1);
	assert_int_equal(o.time_ns, 5);
	o = match(l, &f); /* the program uses the buffer again: only its address is known */
	assert_int_equal(o.how, ORIGIN_SOURCE);
	assert_int_equal(o.group, 0);
	assert_int_equal(count(l, ORIGIN_BUFFER), 1);
	free(f.data);
}

static void by_digest_when_copied(void **state)
{
	struct lab *l = *state;
	static const uint32_t lens[] = {14, 15, 29, 60, 127, 128, 129, 1514};

	for (unsigned i = 0; i < array_size(lens); i++) {
		struct frame f = make(100, AA, lens[i], 1), copy = make(7, AA, lens[i], 1);
		struct origin o;

		lend(l, &f, 4, 0);
		origins_release(l->os, 100); /* the slot was released before the copy was sent */
		o = match(l, &copy);
		assert_int_equal(o.how, ORIGIN_DIGEST);
		assert_int_equal(o.port, 4);
		assert_int_equal(match(l, &copy).how, ORIGIN_SOURCE);
		free(f.data);
		free(copy.data);
	}
}

static void each_of_the_first_bytes_and_the_length_count(void **state)
{
	struct lab *l = *state;
	struct frame f = make(100, AA, 140, 1);

	lend(l, &f, 4, 0);
	for (uint32_t i = 0; i < 128; i++) {
		struct frame copy = make(7, AA, 140, 1);

		copy.data[i] ^= 0x10;
		assert_int_not_equal(match(l, &copy).how, ORIGIN_DIGEST);
		free(copy.data);
	}
	f.buf = 7;
	f.len--;
	assert_int_not_equal(match(l, &f).how, ORIGIN_DIGEST);
	f.len++;
	f.data[130] ^= 1; /* beyond: does not count */
	assert_int_equal(match(l, &f).how, ORIGIN_DIGEST);
	free(f.data);
}

/* Identical frames from several ports: each copy takes the oldest that is left. */
static void equal_frames_match_oldest_first(void **state)
{
	struct lab *l = *state;
	struct frame f = make(100, AA, 60, 1);

	for (uint16_t i = 0; i < 50; i++, f.buf++)
		lend(l, &f, (uint16_t)(i + 1), i & 1);
	f.buf = 110;
	assert_int_equal(match(l, &f).port, 11); /* one from the middle, by its buffer */
	f.buf = 7;
	for (uint16_t i = 0; i < 50; i++) {
		if (i != 10)
			assert_int_equal(match(l, &f).port, i + 1);
	}
	assert_int_equal(match(l, &f).how, ORIGIN_SOURCE);
	free(f.data);
}

static void by_source_and_tag_when_edited(void **state)
{
	struct lab *l = *state;
	struct frame a = make(100, AA, 60, 1), b = make(101, AA, 60, 2), c;
	struct origin o;

	memcpy(b.data + 12, "\x81\x00\x00\x07\x08\x00", 6); /* the same station, VLAN 7 */
	frame_parse(&b);
	lend(l, &a, 1, 0);
	lend(l, &b, 2, 0);
	c = make(7, AA, 61, 3);
	o = match(l, &c);
	assert_int_equal(o.how, ORIGIN_SOURCE);
	assert_int_equal(o.port, 1);
	assert_int_equal(o.generation, 10);
	memcpy(c.data + 12, "\x81\x00\x60\x07\x08\x00", 6); /* priority does not matter */
	frame_parse(&c);
	assert_int_equal(match(l, &c).port, 2);
	memcpy(c.data + 12, "\x81\x00\x00\x08\x08\x00", 6);
	assert_int_equal(match(l, &c).how, ORIGIN_UNKNOWN);
	free(a.data);
	free(b.data);
	free(c.data);
}

static void a_record_knows_its_vlan(void **state)
{
	struct lab *l = *state;
	struct frame f = make(100, AA, 60, 1);

	memcpy(f.data + 12, "\x88\xa8\xe1\x23\x08\x00", 6);
	frame_parse(&f);
	lend(l, &f, 1, 0);
	assert_int_equal(match(l, &f).vid, 0x123);
	free(f.data);
}

static void addresses_age_and_move(void **state)
{
	struct lab *l = *state;
	struct frame f = make(100, AA, 60, 1), c = make(7, AA, 64, 2);

	lend(l, &f, 1, 0);
	l->now_ns = 299 * SECOND;
	assert_int_equal(match(l, &c).port, 1);
	lend(l, &f, 2, 0);
	assert_int_equal(match(l, &c).port, 2);
	l->now_ns = 700 * SECOND;
	assert_int_equal(match(l, &c).how, ORIGIN_UNKNOWN);
	assert_int_equal(match(l, &c).port, 0);
	free(f.data);
	free(c.data);
}

/* More addresses than fit: the table stays bounded, and the latest ones are known. */
static void many_addresses_push_out_old_ones(void **state)
{
	struct lab *l = *state;
	uint32_t n = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		struct frame f = make(100, AA + i * 256, 60, 1);

		l->now_ns = i * 4 * SECOND / 10;
		lend(l, &f, 1, 0);
		free(f.data);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		struct frame c = make(7, AA + i * 256, 64, 2);

		n += match(l, &c).how == ORIGIN_SOURCE;
		if (i == 999)
			assert_int_equal(match(l, &c).how, ORIGIN_SOURCE);
		free(c.data);
	}
	assert_in_range(n, 30, 64);
}

static void a_full_ring_forgets_its_oldest(void **state)
{
	struct lab *l = *state;
	struct origins_stats st;
	struct frame f = make(1000, AA, 60, 9), other = make(50, AA + 1, 60, 8);

	lend(l, &other, 9, 1);
	for (uint32_t i = 0; i <= N_RECORDS; i++, f.buf++)
		lend(l, &f, (uint16_t)(1 + i), 0);
	f.buf = 1000;
	assert_int_equal(match(l, &f).port, 2); /* 1 is gone; by digest the oldest is 2 */
	f.buf = 1001 + 1;
	assert_int_equal(match(l, &f).port, 3);
	assert_int_equal(match(l, &other).port, 9); /* the other ring keeps its own */
	origins_stats(l->os, &st);
	assert_int_equal(st.n_evicted, 1);
	free(f.data);
	free(other.data);
}

static void a_buffer_lent_again_means_the_new_frame(void **state)
{
	struct lab *l = *state;
	struct frame a = make(100, AA, 60, 1), b = make(100, AA + 1, 60, 2);

	lend(l, &a, 1, 0);
	lend(l, &b, 2, 0); /* nobody said that 100 was released */
	assert_int_equal(match(l, &b).port, 2);
	a.buf = 7;
	assert_int_equal(match(l, &a).how, ORIGIN_DIGEST);
	free(a.data);
	free(b.data);
}

static void revoked_frames_are_stale(void **state)
{
	struct lab *l = *state;
	struct frame a = make(100, AA, 60, 1), b = make(101, AA, 60, 2), c = make(102, AA, 60, 3);
	struct origins_stats st;

	lend(l, &a, 1, 0);
	lend(l, &b, 1, 0);
	lend(l, &c, 1, 1);
	origins_revoke(l->os, 0);
	assert_int_equal(match(l, &a).flags, ORIGIN_STALE);
	b.buf = 7;
	assert_int_equal(match(l, &b).flags, ORIGIN_STALE);
	assert_int_equal(match(l, &c).flags, 0);
	lend(l, &a, 1, 0); /* back in the path */
	assert_int_equal(match(l, &a).flags, 0);
	origins_stats(l->os, &st);
	assert_int_equal(st.n_stale, 2);
	free(a.data);
	free(b.data);
	free(c.data);
}

static void withdrawn_and_forgotten(void **state)
{
	struct lab *l = *state;
	struct frame a = make(100, AA, 60, 1), b = make(101, AA, 60, 2);
	struct origin o;

	lend(l, &a, 5, 0);
	lend(l, &b, 6, 1);
	assert_true(origins_withdraw(l->os, 100, &o));
	assert_int_equal(o.port, 5);
	assert_false(origins_withdraw(l->os, 100, &o));
	assert_int_equal(match(l, &a).how, ORIGIN_SOURCE);
	origins_forget(l->os);
	assert_false(origins_withdraw(l->os, 101, &o));
	assert_int_equal(match(l, &b).how, ORIGIN_SOURCE);
	lend(l, &b, 6, 1);
	assert_int_equal(match(l, &b).how, ORIGIN_BUFFER);
	free(a.data);
	free(b.data);
}

/* Digests stop for a program that swaps, and start again with the first that it copied. */
static void digests_are_made_as_needed(void **state)
{
	struct lab *l = *state;
	struct frame f = make(100, AA, 60, 1);
	struct origins_stats st;

	for (uint32_t i = 0; i < 5000; i++) {
		lend(l, &f, 1, 0);
		assert_int_equal(match(l, &f).how, ORIGIN_BUFFER);
	}
	origins_stats(l->os, &st);
	assert_false(st.copies);
	lend(l, &f, 1, 0);
	origins_release(l->os, 100);
	f.buf = 7;
	assert_int_equal(match(l, &f).how, ORIGIN_SOURCE);
	origins_stats(l->os, &st);
	assert_true(st.copies);
	f.buf = 100;
	lend(l, &f, 1, 0);
	origins_release(l->os, 100);
	f.buf = 7;
	assert_int_equal(match(l, &f).how, ORIGIN_DIGEST);
	free(f.data);
}

/* Random use against a plain array: what is out and by which buffer. */
static void agrees_with_an_array(void **state)
{
	struct lab *l = *state;
	struct frame f[64];
	uint16_t out[64] = {0}; /* port, 0: not out */
	uint32_t seed = 1, n_evicted = 0;
	struct origins_stats st;

	for (uint32_t i = 0; i < 64; i++)
		f[i] = make(200 + i, AA + i, 60 + i, (uint8_t)i);
	for (uint32_t n = 0; n < 50000; n++) {
		uint32_t i = (seed = seed * 1664525 + 1013904223) >> 26, op = seed >> 8 & 3;
		struct origin o;

		if (op == 0 && !out[i]) {
			out[i] = (uint16_t)(1 + (seed >> 12 & 7));
			lend(l, &f[i], out[i], 0);
		} else if (op == 1 && out[i]) {
			uint32_t buf = f[i].buf;

			f[i].buf = seed >> 16 & 1 ? buf : 7;
			o = match(l, &f[i]);
			f[i].buf = buf;
			if (o.how == ORIGIN_BUFFER || o.how == ORIGIN_DIGEST)
				assert_int_equal(o.port, out[i]);
			else
				n_evicted++;
			out[i] = 0;
		}
	}
	origins_stats(l->os, &st);
	assert_true(n_evicted <= st.n_evicted && st.n_evicted < st.n_lent / 2);
	for (uint32_t i = 0; i < 64; i++)
		free(f[i].data);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(by_buffer_once),
		T(by_digest_when_copied),
		T(each_of_the_first_bytes_and_the_length_count),
		T(equal_frames_match_oldest_first),
		T(by_source_and_tag_when_edited),
		T(a_record_knows_its_vlan),
		T(addresses_age_and_move),
		T(many_addresses_push_out_old_ones),
		T(a_full_ring_forgets_its_oldest),
		T(a_buffer_lent_again_means_the_new_frame),
		T(revoked_frames_are_stale),
		T(withdrawn_and_forgotten),
		T(digests_are_made_as_needed),
		T(agrees_with_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
