/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"

static void permits(void **state)
{
	const struct sock_peer root = {.uid = 0, .gid = 0}, one = {.uid = 1234, .gid = 500},
			       other = {.uid = 1235, .gid = 501}, daemon = {.uid = 1, .gid = 77};
	char why[96];
	struct access *a = access_new("1234,daemon,@501", why, sizeof(why));

	assert_non_null(a);
	assert_string_equal(access_text(a), "1234,daemon,@501");
	assert_true(access_permits(a, -1, &root));
	assert_true(access_permits(a, -1, &one));
	assert_true(access_permits(a, -1, &other));  /* by its group */
	assert_true(access_permits(a, -1, &daemon)); /* by name: uid 1 everywhere */
	access_free(a);
	a = access_new("root", why, sizeof(why));
	assert_true(access_permits(a, -1, &root));
	assert_false(access_permits(a, -1, &one));
	assert_false(access_permits(a, -1, &daemon));
	access_free(a);
	a = access_new("@1234", why, sizeof(why)); /* a group is no user */
	assert_false(access_permits(a, -1, &one));
	access_free(a);
}

static void wrong(void **state)
{
	static const char *const bad[][2] = {
		{"nosuchuser", "no user \"nosuchuser\""},
		{"root,@nosuchgroup", "no group \"nosuchgroup\""},
		{"root,", "no user \"\""},
		{"@", "no group \"\""},
		{"4294967295", "no user \"4294967295\""},
		{"-1", "no user \"-1\""},
		{"12x", "no user \"12x\""},
	};
	char why[96], many[400] = "1";

	for (size_t i = 0; i < array_size(bad); i++) {
		assert_null(access_new(bad[i][0], why, sizeof(why)));
		assert_string_equal(why, bad[i][1]);
	}
	for (int i = 1; i < ACCESS_MAX; i++)
		strcat(many, ",1");
	access_free(access_new(many, why, sizeof(why)));
	strcat(many, ",1");
	assert_null(access_new(many, why, sizeof(why)));
	assert_string_equal(why, "more than 64 users and groups");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permits),
		cmocka_unit_test(wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
