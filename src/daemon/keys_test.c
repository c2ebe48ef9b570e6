/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"

static const struct key own[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"groups", KEY_STRINGS, KEY_PLAIN, 0, 0},
};

static int check(const char *json, struct ctl_error *err)
{
	const struct key_table tables[] = {KEY_TABLE(own), keys_bridge};
	json_t *obj = json_loads(json, 0, NULL);
	int r = keys_check(tables, 2, obj, "bridge.set", err);

	json_decref(obj);
	return r;
}

static void arguments(void **state)
{
	struct ctl_error err;

	assert_int_equal(check("{\"bridge\":\"br0\",\"groups\":[\"a\"],\"mtu\":0}", &err), 0);
	assert_int_equal(check("{\"mtu\":1500}", &err), CTL_E_ARGS);
	assert_string_equal(err.text, "bridge.set: bridge is missing");
	assert_int_equal(check("{\"bridge\":5}", &err), CTL_E_ARGS);
	assert_string_equal(err.text, "bridge.set: bridge must be a string");
	assert_int_equal(check("{\"bridge\":\"b\",\"montor\":true}", &err), CTL_E_ARGS);
	assert_string_equal(err.text,
			    "bridge.set: unknown argument \"montor\", did you mean \"monitor\"?");
	assert_int_equal(check("{\"bridge\":\"b\",\"groups\":[1]}", &err), CTL_E_ARGS);
	assert_int_equal(check("{\"bridge\":\"b\",\"mtu\":67}", &err), CTL_E_VALUE);
	assert_int_equal(check("{\"bridge\":\"b\",\"group_fwd_mask\":1}", &err), CTL_E_VALUE);
	assert_int_equal(check("{\"bridge\":\"b\",\"group_fwd_mask\":8}", &err), 0);
	assert_int_equal(check("{\"bridge\":\"b\",\"address\":\"auto\"}", &err), 0);
	assert_int_equal(check("{\"bridge\":\"b\",\"address\":\"x\"}", &err), CTL_E_MAC);
	assert_int_equal(check("{\"bridge\":\"b\",\"address\":\"00:00:00:00:00:00\"}", &err),
			 CTL_E_MAC);
}

static void choices(void **state)
{
	json_t *obj = json_pack("{s:s}", "fail", "closed");
	struct ctl_error err;

	assert_int_equal(keys_check(&keys_intercept, 1, obj, "bridge br0", &err), 0);
	json_object_set_new(obj, "fail", json_string("close"));
	assert_int_equal(keys_check(&keys_intercept, 1, obj, "bridge br0", &err), CTL_E_VALUE);
	assert_string_equal(err.text, "bridge br0: fail close: not one of open, closed");
	json_decref(obj);
}

static int label(const char *name, struct ctl_error *err)
{
	json_t *obj = json_pack("{s:s, s:s}", "verdict", "drop", "name", name);
	int r = keys_check(&keys_rule, 1, obj, "rule 1", err);

	json_decref(obj);
	return r;
}

static void names_of_rules(void **state)
{
	struct ctl_error err;

	assert_int_equal(label("no-telnet_2.0", &err), 0);
	assert_int_equal(label("0123456789012345678901234567890", &err), 0);
	assert_int_equal(label("01234567890123456789012345678901", &err), CTL_E_VALUE);
	assert_int_equal(label("", &err), CTL_E_VALUE);
	assert_int_equal(label("all", &err), CTL_E_VALUE);
	assert_int_equal(label("a b", &err), CTL_E_VALUE);
	assert_string_equal(err.text, "rule 1: name a b: only letters, digits, \".\", \"_\" and "
				      "\"-\" are possible");
}

static void names_of_devices(void **state)
{
	static const char *const bad[] = {
		"",
		".",
		"..",
		"a b",
		"a/b",
		"a:b",
		"all",
		"default",
		"lo",
		"abcdefghijklmnop",
		"caf\xc3\xa9",
		"a%d",
		"\n",
		"a\"b",
	};
	static const char *const good[] = {"br0", "abcdefghijklmno", "eth0.100", "a-b_c", "1"};
	struct ctl_error err;

	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(key_check_ifname("bridge", bad[i], &err), CTL_E_NAME);
	for (size_t i = 0; i < array_size(good); i++)
		assert_int_equal(key_check_ifname("bridge", good[i], &err), 0);
}

static void text_to_values(void **state)
{
	static const struct key b = {"b", KEY_BOOL, KEY_PLAIN, 0, 0},
				n = {"n", KEY_INT, KEY_PLAIN, 0, 9};
	json_t *v;

	assert_true(json_is_true(key_value_parse(&b, "On")));
	assert_true(json_is_false(key_value_parse(&b, "no")));
	assert_null(key_value_parse(&b, "maybe"));
	v = key_value_parse(&n, "0x10");
	assert_int_equal(json_integer_value(v), 16);
	json_decref(v);
	v = key_value_parse(&n, "010");
	assert_int_equal(json_integer_value(v), 10);
	json_decref(v);
	assert_null(key_value_parse(&n, "1x"));
	assert_null(key_value_parse(&n, ""));
	assert_null(key_value_parse(&n, "99999999999999999999"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments),      cmocka_unit_test(choices),
		cmocka_unit_test(names_of_rules), cmocka_unit_test(names_of_devices),
		cmocka_unit_test(text_to_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
