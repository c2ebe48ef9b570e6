/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "daemon/expression.h"

/* IPv4, UDP, port 53 to 1024. */
static uint8_t udp[60] = {2, 0, 0, 0,  0,  1, 2, 0,  0, 0, 0, 2,  8, 0, 0x45, 0, 0,  46, 0,
			  0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,    0, 53, 4,  0};

static void test_match(void **state)
{
	char why[128];
	struct expression *e = expression_new("udp port 53", why, sizeof(why));
	struct frame f = {.data = udp, .len = sizeof(udp)};

	assert_non_null(e);
	assert_string_equal(expression_text(e), "udp port 53");
	assert_true(expression_match(e, &f));
	udp[23] = 6;
	assert_false(expression_match(e, &f));
	udp[23] = 17;
	f.len = 20; /* cut before the ports */
	assert_false(expression_match(e, &f));
	expression_free(e);
}

static void test_wrong(void **state)
{
	char why[128];

	assert_null(expression_new("udp prt 53", why, sizeof(why)));
	assert_true(strlen(why) > 0);
	assert_null(strchr(why, '\n'));
}

static void where_it_is_wrong(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"tcp prt 80", "column 5: syntax error at \"prt\""},
		{"foo", "column 1: syntax error at \"foo\""},
		{"tcp port", "column 9: syntax error, it ends too soon"},
		{"tcp port 80 and", "column 16: syntax error, it ends too soon"},
		{"udp and (tcp port 5", "column 20: syntax error, it ends too soon"},
		{"tcp port 80 )", "column 13: syntax error at \")\""},
		{"tcp port 80 foo", "column 13: syntax error at \"foo\""},
		{"ip and @", "column 8: syntax error at \"@\""},
		{"ip ip", "column 4: syntax error at \"ip\""},
		{"ip[0", "column 5: syntax error, it ends too soon"},
		{"ip[0] & 5", "column 10: syntax error, it ends too soon"},
		{"ip[0:1] && & 5", "column 9: syntax error at \"&&\""},
		{"(tcp port 80 or (udp port 53) and net 10.0.0.0/8) and no host 10.0.0.1",
		 "column 55: syntax error at \"no\""},
		{"ether src 00:01:02:03:04:05 port", "column 29: syntax error at \"port\""},
		{"net 10.0.0.0 mask 255.0.0.0 mask", "column 29: syntax error at \"mask\""},
		{"src or dst port 5 and len 7", "column 27: syntax error at \"7\""},
		{"tcp or udp port x or arp", "column 17: unknown port 'x'"},
		{"tcp port 80 and tcp host 1.2.3.4", "column 26: 'tcp' modifier applied to host"},
		{"host 1.2.3.400", "column 6: invalid IPv4 address '1.2.3.400'"},
		{"port 70000 or arp", "column 6: illegal port number 70000 > 65535"},
		{"arp or tcp[0:3] = 1", "column 14: data size must be 1, 2, or 4"},
		{"tcp and udp", "column 9: expression rejects all packets"},
		{"arp or ip protochain 6",
		 "column 11: protochain needs a loop, and frames wait for none"},
		{"\u00e4 ip", "column 1: syntax error at \"\u00e4\""},
	};
	char why[128];

	for (size_t i = 0; i < array_size(rows); i++) {
		if (expression_new(rows[i].text, why, sizeof(why)))
			fail_msg("%s: compiled", rows[i].text);
		if (strcmp(why, rows[i].why))
			fail_msg("%s: %s", rows[i].text, why);
	}
}

static void too_long(void **state)
{
	char text[64 * 1024] = "ether[0:4] = 0", why[128];

	for (uint32_t i = 1; i < 2500; i++)
		sprintf(text + strlen(text), " or ether[%u:4] = %u", i % 64, i * 7);
	assert_null(expression_new(text, why, sizeof(why)));
	assert_memory_equal(why, "too long: ", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(where_it_is_wrong),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
