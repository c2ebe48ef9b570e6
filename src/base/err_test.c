/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void values_pass_unchanged(void **state)
{
	assert_int_equal(error_origin(-EINVAL), -EINVAL);
	assert_int_equal(error_trace(-ENODEV), -ENODEV);
	assert_int_equal(error_trace(0), 0);
	assert_int_equal(error_trace(7), 7);
}

static void text_for_negative_and_positive(void **state)
{
	assert_string_equal(err_text(-ENODEV), strerror(ENODEV));
	assert_string_equal(err_text(ENODEV), strerror(ENODEV));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_pass_unchanged),
		cmocka_unit_test(text_for_negative_and_positive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
