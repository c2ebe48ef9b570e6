/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
