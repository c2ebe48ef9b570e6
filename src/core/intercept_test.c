/* SPDX-License-Identifier: BSD-2-Clause */
/* The plan that follows from settings and rings, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/intercept.h"

#define BOUND INTERCEPT_BOUND
#define LIVE  (INTERCEPT_BOUND | INTERCEPT_SYNCED)
#define STALL (LIVE | INTERCEPT_STALLED)
#define NIC   INTERCEPT_NIC
#define HOST  INTERCEPT_HOST

static const uint8_t random_key[16] = {1};

static struct intercept make(enum intercept_mode mode, enum intercept_fail fail, uint16_t n_rings)
{
	struct intercept ic;
	struct intercept_settings s;

	intercept_init(&ic, random_key);
	intercept_settings_init(&s);
	s.mode = (uint8_t)mode;
	s.fail = (uint8_t)fail;
	s.n_rings[NIC] = s.n_rings[HOST] = n_rings;
	intercept_set(&ic, &s);
	return ic;
}

static void modes_and_rings_make_the_plan(void **state)
{
	enum { NO = INTERCEPT_DO_NOTHING, COPY, LOCAL, TAKE };
	static const struct {
		enum intercept_mode mode;
		bool tx;
		uint8_t ring, open, closed;
		bool live; /* if it fails open */
	} rows[] = {
		{INTERCEPT_NONE, true, LIVE, NO, NO, true},
		{INTERCEPT_COPY, false, 0, NO, NO, false},
		{INTERCEPT_COPY, true, BOUND, NO, NO, false},
		{INTERCEPT_COPY, true, LIVE, COPY, COPY, true},
		{INTERCEPT_COPY, true, STALL, NO, NO, false},
		{INTERCEPT_AUTO, false, 0, NO, TAKE, false},
		{INTERCEPT_AUTO, false, BOUND, NO, TAKE, false},
		{INTERCEPT_AUTO, false, LIVE, COPY, TAKE, true},
		{INTERCEPT_AUTO, true, 0, TAKE, TAKE, false},
		{INTERCEPT_AUTO, true, BOUND, TAKE, TAKE, false},
		{INTERCEPT_AUTO, true, LIVE, TAKE, TAKE, true},
		{INTERCEPT_AUTO, true, STALL, TAKE, TAKE, false},
		{INTERCEPT_ALL, false, 0, TAKE, TAKE, false},
		{INTERCEPT_ALL, false, LIVE, TAKE, TAKE, true},
		{INTERCEPT_LOCAL, false, 0, LOCAL, LOCAL, false},
		{INTERCEPT_LOCAL, false, LIVE, LOCAL, LOCAL, true},
	};

	for (unsigned i = 0; i < array_size(rows); i++) {
		for (int side = 0; side < INTERCEPT_SIDE_N; side++) {
			struct intercept o = make(rows[i].mode, INTERCEPT_OPEN, 1);
			struct intercept c = make(rows[i].mode, INTERCEPT_CLOSED, 1);

			intercept_set_ring(&o, side, 0, rows[i].ring);
			intercept_set_tx(&o, side, rows[i].tx);
			intercept_set_tx(&c, side, rows[i].tx);
			intercept_set_ring(&c, side, 0, rows[i].ring);
			assert_int_equal(o.sides[side].action, rows[i].open);
			assert_int_equal(c.sides[side].action, rows[i].closed);
			assert_int_equal(o.sides[side].live, rows[i].live);
			assert_int_equal(intercept_is_on(&o, side), rows[i].open != NO);
		}
	}
}

/* A closed bridge that nobody can give frames back to lets none by, reader or not. */
static void closed_auto_needs_somebody_who_gives_back(void **state)
{
	struct intercept ic = make(INTERCEPT_AUTO, INTERCEPT_CLOSED, 2);

	intercept_set_ring(&ic, NIC, 0, LIVE);
	assert_int_equal(ic.sides[NIC].live, 0);
	intercept_set_tx(&ic, NIC, true);
	assert_int_equal(ic.sides[NIC].live, 1);
	intercept_set_tx(&ic, NIC, false);
	assert_int_equal(ic.sides[NIC].live, 0);
}

static void sides_do_not_mix(void **state)
{
	struct intercept ic = make(INTERCEPT_AUTO, INTERCEPT_OPEN, 1);

	intercept_set_ring(&ic, NIC, 0, LIVE);
	intercept_set_tx(&ic, NIC, true);
	assert_false(intercept_is_on(&ic, HOST));
	intercept_set_ring(&ic, HOST, 0, LIVE);
	assert_int_equal(ic.sides[HOST].action, INTERCEPT_DO_COPY);
	intercept_set_tx(&ic, HOST, true);
	assert_int_equal(ic.sides[HOST].action, INTERCEPT_DO_TAKE);
}

static void each_ring_lives_by_itself(void **state)
{
	struct intercept ic = make(INTERCEPT_ALL, INTERCEPT_OPEN, 64);

	intercept_set_ring(&ic, NIC, 0, LIVE);
	intercept_set_ring(&ic, NIC, 5, LIVE);
	intercept_set_ring(&ic, NIC, 6, BOUND);
	intercept_set_ring(&ic, NIC, 63, LIVE);
	intercept_set_ring(&ic, NIC, 64, LIVE); /* there is no such ring */
	assert_true(ic.sides[NIC].live == (1ULL << 63 | 1 << 5 | 1));
	intercept_set_ring(&ic, NIC, 5, 0);
	assert_true(ic.sides[NIC].live == (1ULL << 63 | 1));
}

/* As many rings as a side has, whatever the other side has. */
static void sides_have_their_own_rings(void **state)
{
	struct intercept ic = make(INTERCEPT_ALL, INTERCEPT_OPEN, 4);
	struct intercept_settings s = ic.set;

	s.n_rings[HOST] = 2;
	intercept_set(&ic, &s);
	for (uint32_t i = 0; i < 4; i++) {
		intercept_set_ring(&ic, NIC, i, INTERCEPT_BOUND | INTERCEPT_SYNCED);
		intercept_set_ring(&ic, HOST, i, INTERCEPT_BOUND | INTERCEPT_SYNCED);
	}
	assert_int_equal(ic.sides[NIC].live, 0xf);
	assert_int_equal(ic.sides[HOST].live, 0x3);
}

static void settings_out_of_range_are_the_defaults(void **state)
{
	struct intercept ic = make(INTERCEPT_ALL, INTERCEPT_OPEN, 65);
	struct intercept_settings s;

	assert_int_equal(ic.set.n_rings[NIC], 1);
	assert_int_equal(ic.set.n_rings[HOST], 1);
	memset(&s, 0xff, sizeof(s));
	s.n_rings[NIC] = s.n_rings[HOST] = 0;
	s.stall_ms = s.slot_len = 0;
	s.reserved_tx = false;
	s.filter.fn = s.exempt.fn = NULL;
	intercept_set(&ic, &s);
	assert_int_equal(ic.set.mode, INTERCEPT_AUTO);
	assert_int_equal(ic.set.fail, INTERCEPT_OPEN);
	assert_int_equal(ic.set.overflow, INTERCEPT_OVERFLOW_DROP);
	assert_int_equal(ic.set.reserved, INTERCEPT_HIDE);
	assert_int_equal(ic.set.oversize, INTERCEPT_OVERSIZE_PASS);
	assert_int_equal(ic.set.n_rings[NIC], 1);
	assert_int_equal(ic.set.n_rings[HOST], 1);
	assert_int_equal(ic.set.stall_ms, 1000);
	assert_int_equal(ic.set.slot_len, 2048);
}

static void modes_have_names(void **state)
{
	assert_string_equal(intercept_mode_name(INTERCEPT_AUTO), "auto");
	assert_string_equal(intercept_mode_name(INTERCEPT_NONE), "none");
	assert_null(intercept_mode_name(INTERCEPT_MODE_N));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes_and_rings_make_the_plan),
		cmocka_unit_test(closed_auto_needs_somebody_who_gives_back),
		cmocka_unit_test(sides_do_not_mix),
		cmocka_unit_test(each_ring_lives_by_itself),
		cmocka_unit_test(sides_have_their_own_rings),
		cmocka_unit_test(settings_out_of_range_are_the_defaults),
		cmocka_unit_test(modes_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
