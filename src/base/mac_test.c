/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/mac.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/compiler.h"

static void load_store_is_network_order(void **state)
{
	const uint8_t wire[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
	uint8_t back[6];

	assert_int_equal(mac_load(wire), 0x021122334455ULL);
	mac_store(back, 0x021122334455ULL);
	assert_memory_equal(wire, back, 6);
}

static void classes(void **state)
{
	assert_true(mac_is_group(MAC_BROADCAST));
	assert_true(mac_is_group(0x01005e000001ULL));
	assert_false(mac_is_group(0x021122334455ULL));
	assert_true(mac_is_reserved(0x0180c2000000ULL));
	assert_true(mac_is_reserved(0x0180c200000fULL));
	assert_false(mac_is_reserved(0x0180c2000010ULL));
	assert_false(mac_is_valid_source(0));
	assert_false(mac_is_valid_source(MAC_BROADCAST));
	assert_true(mac_is_valid_source(2));
}

static void parse_accepts_and_refuses(void **state)
{
	static const char *const bad[] = {"",
					  "02",
					  "02:00:00:00:00",
					  "02:00:00:00:00:01:02",
					  "02:00:00:00:00:0g",
					  "02:00:00:00:00:001",
					  "02:00-00:00:00:01",
					  " 02:00:00:00:00:01",
					  "02:00:00:00:00:01 ",
					  "::::::",
					  "020000000001"};
	uint64_t mac = 42;

	for (size_t i = 0; i < array_size(bad); i++) {
		assert_int_equal(mac_parse(bad[i], &mac), -EINVAL);
		assert_int_equal(mac, 42);
	}
	assert_int_equal(mac_parse("02:AB:cd:0:00:1", &mac), 0);
	assert_int_equal(mac, 0x02abcd000001ULL);
	assert_int_equal(mac_parse("02-ab-cd-00-00-01", &mac), 0);
	assert_int_equal(mac, 0x02abcd000001ULL);
}

static void format_round_trips(void **state)
{
	char text[MAC_TEXT_SIZE];
	uint64_t mac;

	assert_string_equal(mac_format(0x02abcd000001ULL, text), "02:ab:cd:00:00:01");
	assert_int_equal(mac_parse(text, &mac), 0);
	assert_int_equal(mac, 0x02abcd000001ULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(load_store_is_network_order),
		cmocka_unit_test(classes),
		cmocka_unit_test(parse_accepts_and_refuses),
		cmocka_unit_test(format_round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
