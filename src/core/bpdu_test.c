/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/bpdu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mac.h"

#define SOURCE 0x020000000001ULL
#define PDU    17 /* first byte of the BPDU in a frame */

static struct bpdu example(enum bpdu_kind kind)
{
	return (struct bpdu){
		.kind = (uint8_t)kind,
		.role = BPDU_ROLE_DESIGNATED,
		.flags = BPDU_TC,
		.root = 0x1000020000000011ULL,
		.cost = 0x00010203,
		.bridge = 0x8000020000000022ULL,
		.port = 0x8003,
		.times = {256, 20 * 256, 2 * 256, 15 * 256},
	};
}

static void a_config_bpdu_looks_like_the_standards(void **state)
{
	static const uint8_t want[] = {
		0x01, 0x80, 0xc2, 0,    0,    0, 0x02, 0,    0,    0, 0, 1, /* addresses */
		0,    38,   0x42, 0x42, 3,                                  /* length, LLC */
		0,    0,    0,    0,    0x01, /* protocol, version, type, flags */
		0x10, 0,    0x02, 0,    0,    0, 0,    0x11, 0,    1, 2, 3, /* root, cost */
		0x80, 0,    0x02, 0,    0,    0, 0,    0x22, 0x80, 3,       /* bridge, port */
		1,    0,    20,   0,    2,    0, 15,   0,                   /* times */
	};
	struct bpdu b = example(BPDU_CONFIG);
	uint8_t f[BPDU_FRAME_SIZE];

	bpdu_build(&b, SOURCE, f);
	assert_memory_equal(f, want, sizeof(want));
	for (size_t i = sizeof(want); i < sizeof(f); i++)
		assert_int_equal(f[i], 0);
}

static void rst_and_tcn_have_their_lengths_and_types(void **state)
{
	struct bpdu b = example(BPDU_RST);
	uint8_t f[BPDU_FRAME_SIZE];

	b.role = BPDU_ROLE_ROOT;
	b.flags = BPDU_AGREEMENT | BPDU_FORWARDING | BPDU_LEARNING;
	bpdu_build(&b, SOURCE, f);
	assert_int_equal(f[13], 3 + 36);
	assert_memory_equal(f + PDU, "\0\0\2\2\x78", 5);
	b.kind = BPDU_TCN;
	bpdu_build(&b, SOURCE, f);
	assert_int_equal(f[13], 3 + 4);
	assert_memory_equal(f + PDU, "\0\0\0\x80\0\0", 6);
}

static void what_was_built_is_read_back(void **state)
{
	for (unsigned kind = BPDU_CONFIG; kind <= BPDU_RST; kind++) {
		struct bpdu b = example(kind), r = {0};
		uint8_t f[BPDU_FRAME_SIZE];

		if (kind == BPDU_RST)
			b.role = BPDU_ROLE_ALTERNATE;
		bpdu_build(&b, SOURCE, f);
		assert_int_equal(bpdu_parse(f, sizeof(f), &r), 0);
		assert_memory_equal(&r.times, &b.times, sizeof(b.times));
		assert_true(r.root == b.root && r.bridge == b.bridge && r.port == b.port);
		assert_true(r.cost == b.cost && r.flags == b.flags && r.role == b.role);
		assert_int_equal(r.kind, kind);
	}
}

/* Every length that is too short, in a block of exactly that length. */
static void what_is_cut_short_is_refused(void **state)
{
	static const uint32_t sizes[] = {BPDU_TCN_SIZE, BPDU_CONFIG_SIZE, BPDU_RST_SIZE};

	for (unsigned kind = BPDU_TCN; kind <= BPDU_RST; kind++) {
		struct bpdu b = example(kind), r;
		uint8_t f[BPDU_FRAME_SIZE];

		bpdu_build(&b, SOURCE, f);
		for (uint32_t len = 0; len <= PDU + sizes[kind]; len++) {
			uint8_t *exact = malloc(len ? len : 1);

			memcpy(exact, f, len);
			assert_int_equal(bpdu_parse(exact, len, &r),
					 len == PDU + sizes[kind] ? 0 : BPDU_E_MALFORMED);
			free(exact);
		}
		/* the length field is what counts, not the padding behind */
		f[13] = (uint8_t)(3 + sizes[kind] - 1);
		assert_int_equal(bpdu_parse(f, sizeof(f), &r), BPDU_E_MALFORMED);
		f[13] = 47; /* more than there is */
		assert_int_equal(bpdu_parse(f, sizeof(f), &r), BPDU_E_MALFORMED);
		f[12] = 0x81; /* a tag: BPDUs have none */
		assert_int_equal(bpdu_parse(f, sizeof(f), &r), BPDU_E_MALFORMED);
	}
}

static void other_protocols_and_types_are_refused(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
		int want;
	} cases[] = {
		{14, 0x43, BPDU_E_MALFORMED},
		{15, 0xaa, BPDU_E_MALFORMED},
		{16, 0x00, BPDU_E_MALFORMED},
		{PDU + 1, 1, BPDU_E_MALFORMED},
		{PDU, 1, BPDU_E_MALFORMED},
		{PDU + 3, 3, BPDU_E_MALFORMED},
		{PDU + 3, 0x81, BPDU_E_MALFORMED},
		{PDU + 2, 1, BPDU_E_MALFORMED},
		{PDU + 2, 3, 0}, /* MSTP: its common part */
		{PDU + 2, 255, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bpdu b = example(BPDU_RST), r;
		uint8_t f[BPDU_FRAME_SIZE];

		bpdu_build(&b, SOURCE, f);
		f[cases[i].at] = cases[i].value;
		assert_int_equal(bpdu_parse(f, sizeof(f), &r), cases[i].want);
	}
}

static void age_is_below_max_age(void **state)
{
	struct bpdu b = example(BPDU_CONFIG), r;
	uint8_t f[BPDU_FRAME_SIZE];

	b.times.message_age = b.times.max_age - 1;
	bpdu_build(&b, SOURCE, f);
	assert_int_equal(bpdu_parse(f, sizeof(f), &r), 0);
	b.times.message_age = b.times.max_age;
	bpdu_build(&b, SOURCE, f);
	assert_int_equal(bpdu_parse(f, sizeof(f), &r), BPDU_E_AGE);
}

static void an_unknown_role_is_that_of_a_config_bpdu(void **state)
{
	struct bpdu b = example(BPDU_RST), r;
	uint8_t f[BPDU_FRAME_SIZE];

	b.role = BPDU_ROLE_UNKNOWN;
	b.flags = BPDU_TC | BPDU_PROPOSAL | BPDU_AGREEMENT | BPDU_LEARNING;
	bpdu_build(&b, SOURCE, f);
	assert_int_equal(bpdu_parse(f, sizeof(f), &r), 0);
	assert_int_equal(r.role, BPDU_ROLE_DESIGNATED);
	assert_int_equal(r.flags, BPDU_TC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_config_bpdu_looks_like_the_standards),
		cmocka_unit_test(rst_and_tcn_have_their_lengths_and_types),
		cmocka_unit_test(what_was_built_is_read_back),
		cmocka_unit_test(what_is_cut_short_is_refused),
		cmocka_unit_test(other_protocols_and_types_are_refused),
		cmocka_unit_test(age_is_below_max_age),
		cmocka_unit_test(an_unknown_role_is_that_of_a_config_bpdu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
