/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"

struct image {
	struct snapshot_head head;
	char ports[2][BPORT_NAME_SIZE];
	struct snapshot_entry entries[3];
};

static struct image good(void)
{
	return (struct image){
		{"viaduct1", 1000, 2, 3},
		{"veth10", "veth30"},
		{{0x020000000001, 0, 0, 0},
		 {0x020000000002, 299, 4094, 1},
		 {0x020000000003, 5, 1, 1}},
	};
}

static void good_file(void **state)
{
	const struct image f = good();
	struct snapshot_image s;

	assert_true(snapshot_parse(&f, sizeof(f), &s));
	assert_int_equal(s.head->saved_s, 1000);
	assert_string_equal(s.ports[1], "veth30");
	assert_int_equal(s.entries[1].age_s, 299);
	assert_int_equal(s.entries[2].mac, 0x020000000003);
}

static void empty_table(void **state)
{
	const struct snapshot_head h = {"viaduct1", 1000, 0, 0};
	struct snapshot_image s;

	assert_true(snapshot_parse(&h, sizeof(h), &s));
}

static void sizes_must_fit(void **state)
{
	struct image f = good();
	struct snapshot_image s;

	for (size_t n = 0; n < sizeof(f); n++)
		assert_false(snapshot_parse(&f, n, &s));
	f.head.n_entries = 2;
	assert_false(snapshot_parse(&f, sizeof(f), &s));
	f.head.n_entries = UINT32_MAX;
	assert_false(snapshot_parse(&f, sizeof(f), &s));
	f = good();
	f.head.n_ports = UINT32_MAX;
	assert_false(snapshot_parse(&f, sizeof(f), &s));
}

static void contents_must_fit(void **state)
{
	const struct snapshot_entry bad[] = {
		{0, 0, 1, 0},               /* nobody's address */
		{0x010000000001, 0, 1, 0},  /* a group's */
		{0x1020000000001, 0, 1, 0}, /* longer than an address */
		{0x020000000001, 0, 4095, 0},
		{0x020000000001, 0, 1, 2}, /* no such name */
	};
	struct image f = good();
	struct snapshot_image s;

	for (size_t i = 0; i < array_size(bad); i++) {
		f.entries[2] = bad[i];
		assert_false(snapshot_parse(&f, sizeof(f), &s));
	}
	f = good();
	f.head.magic[7] = '2';
	assert_false(snapshot_parse(&f, sizeof(f), &s));
	f = good();
	memset(f.ports[0], 'x', sizeof(f.ports[0])); /* no end */
	assert_false(snapshot_parse(&f, sizeof(f), &s));
	f = good();
	f.ports[0][0] = '\0';
	assert_false(snapshot_parse(&f, sizeof(f), &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_file),
		cmocka_unit_test(empty_table),
		cmocka_unit_test(sizes_must_fit),
		cmocka_unit_test(contents_must_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
