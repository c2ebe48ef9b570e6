/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define ADDRESSES 0x02, 1, 2, 3, 4, 5, 0x02, 0x11, 0x12, 0x13, 0x14, 0x15

/* Parses the bytes from a block of exactly their length, so that ASan sees a read too far. */
static struct frame parsed(const uint8_t *bytes, uint32_t len, bool expect)
{
	struct frame f = {.len = len, .n_tags = 3};

	f.data = malloc(len ? len : 1);
	assert_non_null(f.data);
	memcpy(f.data, bytes, len);
	assert_int_equal(frame_parse(&f), expect);
	free(f.data);
	f.data = NULL;
	return f;
}

static void reads_addresses_and_type(void **state)
{
	const uint8_t d[] = {ADDRESSES, 0x08, 0x06};
	struct frame f = parsed(d, sizeof(d), true);

	assert_true(f.dst == 0x020102030405ULL);
	assert_true(f.src == 0x021112131415ULL);
	assert_int_equal(f.ethertype, 0x0806);
	assert_int_equal(f.n_tags, 0);
}

static void a_runt_is_refused(void **state)
{
	const uint8_t d[] = {ADDRESSES, 0x08};

	for (uint32_t len = 0; len <= sizeof(d); len++)
		parsed(d, len, false);
}

static void looks_through_one_tag(void **state)
{
	const uint8_t d[] = {ADDRESSES, 0x81, 0, 0x20, 5, 0x86, 0xdd};
	struct frame f = parsed(d, sizeof(d), true);

	assert_int_equal(f.n_tags, 1);
	assert_int_equal(f.ethertype, 0x86dd);
	assert_int_equal(f.vid, 0); /* no VLAN filtering: the tag is payload */
}

static void looks_through_two_tags_not_three(void **state)
{
	const uint8_t d[] = {ADDRESSES, 0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 8, 0};
	struct frame f = parsed(d, sizeof(d), true);

	assert_int_equal(f.n_tags, 2);
	assert_int_equal(f.ethertype, 0x8100);
}

static void a_tag_cut_off_is_no_tag(void **state)
{
	const uint8_t d[] = {ADDRESSES, 0x81, 0, 0, 1, 0x88, 0xa8, 0, 2, 8, 0};

	for (uint32_t len = 14; len < 18; len++) {
		struct frame f = parsed(d, len, true);

		assert_int_equal(f.n_tags, 0);
		assert_int_equal(f.ethertype, 0x8100);
	}
	for (uint32_t len = 18; len < 22; len++) {
		struct frame f = parsed(d, len, true);

		assert_int_equal(f.n_tags, 1);
		assert_int_equal(f.ethertype, 0x88a8);
	}
	assert_int_equal(parsed(d, 22, true).ethertype, 0x0800);
}

static void other_tag_types_are_payload(void **state)
{
	const uint8_t d[] = {ADDRESSES, 0x91, 0, 0, 1, 8, 0};
	struct frame f = parsed(d, sizeof(d), true);

	assert_int_equal(f.n_tags, 0);
	assert_int_equal(f.ethertype, 0x9100);
}

static void lengths_of_8023_stay_lengths(void **state)
{
	const uint8_t d[] = {ADDRESSES, 0, 38, 0x42, 0x42, 3};

	assert_int_equal(parsed(d, sizeof(d), true).ethertype, 38);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_addresses_and_type),
		cmocka_unit_test(a_runt_is_refused),
		cmocka_unit_test(looks_through_one_tag),
		cmocka_unit_test(looks_through_two_tags_not_three),
		cmocka_unit_test(a_tag_cut_off_is_no_tag),
		cmocka_unit_test(other_tag_types_are_payload),
		cmocka_unit_test(lengths_of_8023_stay_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
