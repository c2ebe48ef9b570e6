/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/vlans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"

static void ranges(void **state)
{
	static const struct {
		const char *text, *error; /* NULL: good */
		uint16_t first, last;
	} rows[] = {
		{"1", NULL, 1, 1},
		{"4094", NULL, 4094, 4094},
		{"10-20", NULL, 10, 20},
		{"7-7", NULL, 7, 7},
		{"0", "p: vlan 0 is out of range 1 to 4094", 0, 0},
		{"4095", "p: vlan 4095 is out of range 1 to 4094", 0, 0},
		{"1-4095", "p: vlan 1-4095 is out of range 1 to 4094", 0, 0},
		{"0-5", "p: vlan 0-5 is out of range 1 to 4094", 0, 0},
		{"99999999999999", "p: vlan 99999999999999 is out of range 1 to 4094", 0, 0},
		{"20-10", "p: vlan 20-10: the range is reversed", 0, 0},
		{"", "p: vlan : neither a number nor a range", 0, 0},
		{"-", "p: vlan -: neither a number nor a range", 0, 0},
		{"10-", "p: vlan 10-: neither a number nor a range", 0, 0},
		{"-10", "p: vlan -10: neither a number nor a range", 0, 0},
		{"1-2-3", "p: vlan 1-2-3: neither a number nor a range", 0, 0},
		{"ten", "p: vlan ten: neither a number nor a range", 0, 0},
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		uint16_t first = 0, last = 0;
		struct ctl_error err;
		int r = vlans_parse_range(rows[i].text, "p", &first, &last, &err);

		assert_int_equal(r, rows[i].error ? CTL_E_VALUE : 0);
		assert_int_equal(first, rows[i].first);
		assert_int_equal(last, rows[i].last);
		if (rows[i].error)
			assert_string_equal(err.text, rows[i].error);
	}
}

static void one_spelling(const char *text, const char *want)
{
	struct vlan_set s, again;
	struct ctl_error err;
	json_t *v;

	assert_int_equal(vlans_parse(text, "p", &s, &err), 0);
	v = vlans_text(&s);
	assert_string_equal(json_string_value(v), want);
	assert_int_equal(vlans_parse(json_string_value(v), "p", &again, &err), 0);
	assert_memory_equal(&s, &again, sizeof(s));
	json_decref(v);
}

static void sets_have_one_spelling(void **state)
{
	one_spelling("", "");
	one_spelling("  ", "");
	one_spelling("1 pvid untagged", "1 pvid untagged");
	one_spelling("1 untagged pvid,10-20 ,\t30 untagged", "1 pvid untagged, 10-20, 30 untagged");
	one_spelling("20,10-19,1-9", "1-20");
	one_spelling("1-4094 untagged, 7 pvid", "1-6 untagged, 7 pvid, 8-4094 untagged");
}

static void the_longest_set_fits(void **state)
{
	struct vlan_set s = {0}, again;
	struct ctl_error err;
	json_t *v;

	for (uint16_t vid = 1; vid <= VLAN_ID_MAX; vid++)
		vlan_add(&s, vid, vid, vid % 2 ? VLAN_UNTAGGED : 0);
	v = vlans_text(&s);
	assert_int_equal(vlans_parse(json_string_value(v), "p", &again, &err), 0);
	assert_memory_equal(&s, &again, sizeof(s));
	json_decref(v);
}

static void nonsense_is_said_so(void **state)
{
	static const char *const rows[][2] = {
		{"1, ,2", "p: vlans: an empty item"},
		{"1,", "p: vlans: an empty item"},
		{"10 tagged", "p: vlan 10: no word \"tagged\" (pvid, untagged)"},
		{"10-12 pvid", "p: vlan 10-12: a PVID is one VLAN, not a range"},
		{"10 pvid, 11 pvid", "p: vlan 11: 10 is the PVID already"},
		{"10, 0", "p: vlan 0 is out of range 1 to 4094"},
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct vlan_set s = {.pvid = 77};
		struct ctl_error err;

		assert_int_equal(vlans_parse(rows[i][0], "p", &s, &err), CTL_E_VALUE);
		assert_string_equal(err.text, rows[i][1]);
		assert_int_equal(s.pvid, 77);
	}
}

static void defaults_and_protocols(void **state)
{
	json_t *v = vlans_default_text(1);

	assert_string_equal(json_string_value(v), "1 pvid untagged");
	json_decref(v);
	v = vlans_default_text(0);
	assert_string_equal(json_string_value(v), "");
	json_decref(v);
	assert_int_equal(vlans_protocol("802.1Q"), 0x8100);
	assert_int_equal(vlans_protocol("802.1ad"), 0x88a8);
	assert_int_equal(vlans_protocol("802.1x"), 0);
	assert_string_equal(vlans_protocol_name(0x88a8), "802.1ad");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),
		cmocka_unit_test(sets_have_one_spelling),
		cmocka_unit_test(the_longest_set_fits),
		cmocka_unit_test(nonsense_is_said_so),
		cmocka_unit_test(defaults_and_protocols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
