/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/drop.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void names_are_distinct_words(void **state)
{
	for (unsigned i = 0; i < DROP_N; i++) {
		const char *name = drop_name(i);

		assert_true(strlen(name) > 2);
		for (const char *c = name; *c; c++)
			assert_true(islower(*c) || isdigit(*c) || *c == '-');
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(name, drop_name(j));
	}
}

static void each_reason_has_a_sentence_of_its_own(void **state)
{
	for (unsigned i = 0; i < DROP_N; i++) {
		assert_non_null(strchr(drop_text(i), ' '));
		assert_true(strlen(drop_text(i)) < 80);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(drop_text(i), drop_text(j));
	}
}

static void name_and_sentence_belong_together(void **state)
{
	assert_string_equal(drop_name(DROP_SAME_PORT), "same-port");
	assert_non_null(strstr(drop_text(DROP_SAME_PORT), "behind the port"));
	assert_string_equal(drop_name(DROP_GSO_MALFORMED), "gso-malformed");
	assert_non_null(strstr(drop_text(DROP_GSO_MALFORMED), "GSO"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_distinct_words),
		cmocka_unit_test(each_reason_has_a_sentence_of_its_own),
		cmocka_unit_test(name_and_sentence_belong_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
