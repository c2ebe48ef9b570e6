/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int check(const char *text, struct ctl_error *err)
{
	json_t *values = json_loads(text, 0, NULL);
	int r;

	assert_non_null(values);
	r = tree_check(NULL, values, "bridge br0", err);
	json_decref(values);
	return r;
}

static void settings_that_do_not_fit_get_one_sentence(void **state)
{
	struct ctl_error err;

	assert_int_equal(check("{}", &err), 0);
	assert_int_equal(check("{\"forward_delay\": 8, \"max_age\": 14}", &err), 0);
	assert_int_equal(check("{\"forward_delay\": 8}", &err), CTL_E_VALUE);
	assert_string_equal(err.text, "bridge br0: max_age is more than 2 * (forward_delay - 1 s)");
	assert_int_equal(check("{\"priority\": 100}", &err), CTL_E_VALUE);
	assert_int_equal(check("{\"hello_time\": 5}", &err), CTL_E_VALUE);
	assert_int_equal(check("{\"hello_time\": 5, \"stp_version\": \"stp\"}", &err), 0);
}

static void settings_are_written_as_they_are_read(void **state)
{
	struct stp_settings s;
	struct stp_port_settings p;
	struct ctl_error err;
	json_t *o = json_object();

	stp_settings_default(&s);
	s.enabled = s.short_costs = true;
	tree_put(o, &s);
	assert_int_equal(tree_check(NULL, o, "bridge br0", &err), 0);
	assert_string_equal(json_string_value(json_object_get(o, "path_cost_method")), "short");
	assert_string_equal(json_string_value(json_object_get(o, "stp_version")), "rstp");
	assert_true(json_is_true(json_object_get(o, "stp_state")));
	stp_port_settings_default(&p);
	tree_put_port(o, &p);
	assert_string_equal(json_string_value(json_object_get(o, "edge")), "auto");
	assert_int_equal(json_integer_value(json_object_get(o, "priority")), 32);
	json_decref(o);
}

static void identifiers_look_as_in_brctl(void **state)
{
	char buf[TREE_ID_SIZE];

	assert_string_equal(tree_id(0x8000020000000001ULL, buf), "8000.020000000001");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_that_do_not_fit_get_one_sentence),
		cmocka_unit_test(settings_are_written_as_they_are_read),
		cmocka_unit_test(identifiers_look_as_in_brctl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
