/* SPDX-License-Identifier: BSD-2-Clause */
#include "wire/msg.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void feed(struct ctl_lines *l, const char *bytes, size_t n)
{
	while (n > 0) {
		size_t room;
		char *p;

		assert_int_equal(ctl_lines_room(l, &p, &room), 0);
		room = min_of(room, n);
		memcpy(p, bytes, room);
		ctl_lines_filled(l, room);
		bytes += room;
		n -= room;
	}
}

static void lines_split_anywhere(void **state)
{
	static const char text[] = "one\ntwo\r\n\nfour";
	struct ctl_lines l;
	size_t len;

	ctl_lines_init(&l, 64);
	for (size_t i = 0; i < 4; i++) {
		assert_false(ctl_lines_pending(&l));
		assert_null(ctl_lines_next(&l, &len));
		feed(&l, &text[i], 1);
	}
	assert_true(ctl_lines_pending(&l));
	assert_string_equal(ctl_lines_next(&l, &len), "one");
	feed(&l, text + 4, sizeof(text) - 5);
	assert_string_equal(ctl_lines_next(&l, &len), "two");
	assert_int_equal(len, 3);
	assert_string_equal(ctl_lines_next(&l, &len), "");
	assert_false(ctl_lines_pending(&l));
	assert_null(ctl_lines_next(&l, &len));
	feed(&l, "th\n", 3);
	assert_true(ctl_lines_pending(&l));
	assert_string_equal(ctl_lines_next(&l, &len), "fourth");
	ctl_lines_deinit(&l);
}

static void lines_limit(void **state)
{
	struct ctl_lines l;
	char a[100];
	size_t room, len;
	char *p;

	memset(a, 'a', sizeof(a));
	ctl_lines_init(&l, 100);
	feed(&l, a, 99);
	feed(&l, "\n", 1);
	assert_non_null(ctl_lines_next(&l, &len));
	assert_int_equal(len, 99);
	feed(&l, a, 100);
	assert_null(ctl_lines_next(&l, &len));
	assert_int_equal(ctl_lines_room(&l, &p, &room), CTL_LINES_E_LONG);
	ctl_lines_deinit(&l);
}

static void lines_grow_to_the_limit_only(void **state)
{
	struct ctl_lines l;
	char *big = malloc(CTL_LINE_MAX);
	size_t len;

	memset(big, 'b', CTL_LINE_MAX - 1);
	big[CTL_LINE_MAX - 1] = '\n';
	ctl_lines_init(&l, CTL_LINE_MAX);
	for (int i = 0; i < 3; i++) {
		feed(&l, big, CTL_LINE_MAX);
		assert_non_null(ctl_lines_next(&l, &len));
		assert_int_equal(len, CTL_LINE_MAX - 1);
	}
	assert_true(l.cap <= CTL_LINE_MAX);
	ctl_lines_deinit(&l);
	free(big);
}

static void request_round_trip(void **state)
{
	struct ctl_request_msg m;
	struct ctl_error err;
	size_t len;
	char *line =
		ctl_encode(ctl_request(7, "port.add", json_pack("{s:s}", "bridge", "br0")), &len);

	assert_int_equal(line[len - 1], '\n');
	assert_null(memchr(line, '\n', len - 1));
	assert_int_equal(ctl_request_parse(line, len, &m, &err), 0);
	assert_int_equal(m.id, 7);
	assert_string_equal(m.cmd, "port.add");
	assert_string_equal(json_string_value(json_object_get(m.args, "bridge")), "br0");
	json_decref(m.root);
	free(line);

	line = ctl_encode(ctl_request(8, "status", NULL), &len);
	assert_int_equal(ctl_request_parse(line, len, &m, &err), 0);
	assert_null(m.args);
	json_decref(m.root);
	free(line);
}

static void request_errors(void **state)
{
	static const struct {
		const char *line;
		int code;
		int64_t id;
	} bad[] = {
		{"", CTL_E_SYNTAX, 0},
		{"{", CTL_E_SYNTAX, 0},
		{"[1]", CTL_E_SYNTAX, 0},
		{"\xff\xfe", CTL_E_SYNTAX, 0},
		{"{\"id\":1,\"id\":2,\"cmd\":\"x\"}", CTL_E_SYNTAX, 0},
		{"{\"id\":1,\"cmd\":\"x\"} trailing", CTL_E_SYNTAX, 0},
		{"{\"id\":4}", CTL_E_ARGS, 4},
		{"{\"id\":\"4\",\"cmd\":\"x\"}", CTL_E_ARGS, 0},
		{"{\"id\":5,\"cmd\":3}", CTL_E_ARGS, 5},
		{"{\"id\":6,\"cmd\":\"x\",\"args\":[]}", CTL_E_ARGS, 6},
		{"{\"id\":7,\"cmd\":\"x\",\"arg\":{}}", CTL_E_ARGS, 7},
	};

	for (size_t i = 0; i < array_size(bad); i++) {
		struct ctl_request_msg m;
		struct ctl_error err;

		assert_int_equal(ctl_request_parse(bad[i].line, strlen(bad[i].line), &m, &err),
				 bad[i].code);
		assert_int_equal(err.code, bad[i].code);
		assert_int_equal(m.id, bad[i].id);
		assert_null(m.root);
		assert_true(strlen(err.text) > 10);
	}
}

static void parse_reply(json_t *msg, struct ctl_reply_msg *ret)
{
	size_t len;
	char *line = ctl_encode(msg, &len);

	assert_non_null(line);
	assert_int_equal(ctl_reply_parse(line, len, ret), 0);
	free(line);
}

static void reply_round_trip(void **state)
{
	struct ctl_reply_msg m;
	struct ctl_error err;

	parse_reply(ctl_greeting("0.1.0", 812, 4026531840u), &m);
	assert_int_equal(m.kind, CTL_GREETING);
	assert_int_equal(json_integer_value(json_object_get(m.body, "netns")), 4026531840u);
	json_decref(m.root);

	parse_reply(ctl_result(3, NULL), &m);
	assert_int_equal(m.kind, CTL_RESULT);
	assert_int_equal(m.id, 3);
	assert_int_equal(json_object_size(m.body), 0);
	json_decref(m.root);

	parse_reply(ctl_row(4, json_pack("{s:i}", "a", 1)), &m);
	assert_int_equal(m.kind, CTL_ROW);
	assert_int_equal(json_integer_value(json_object_get(m.body, "a")), 1);
	json_decref(m.root);

	parse_reply(ctl_end(4, 17), &m);
	assert_int_equal(m.kind, CTL_END);
	assert_int_equal(m.rows, 17);
	json_decref(m.root);

	parse_reply(ctl_event(5, json_object()), &m);
	assert_int_equal(m.kind, CTL_EVENT);
	json_decref(m.root);

	ctl_fail(&err, CTL_E_PORT_MEMBER, "port %s: already a member of br0", "veth10");
	assert_int_equal(ctl_hint(&err, "viaduct delif br0 veth10"), CTL_E_PORT_MEMBER);
	parse_reply(ctl_error_reply(9, &err), &m);
	assert_int_equal(m.kind, CTL_ERROR);
	assert_int_equal(m.err.code, 211);
	assert_string_equal(m.err.text, err.text);
	assert_string_equal(m.err.hint, err.hint);
	assert_string_equal(json_string_value(json_object_get(m.body, "name")), "E_PORT_MEMBER");
	json_decref(m.root);
}

static void reply_garbage(void **state)
{
	static const char *const bad[] = {
		"",
		"null",
		"{}",
		"{\"id\":1}",
		"[]",
		"{\"result\":1}",
		"{\"error\":{}}",
		"{\"end\":1}",
		"{\"viaduct\":1}",
		"{\"error\":{\"code\":-1}}",
		"{\"row\":[]}",
		"{\"error\":{\"code\":99999999999}}",
	};

	for (size_t i = 0; i < array_size(bad); i++) {
		struct ctl_reply_msg m;

		assert_int_equal(ctl_reply_parse(bad[i], strlen(bad[i]), &m), -EPROTO);
		assert_null(m.root);
	}
}

static void error_text_that_is_not_utf8(void **state)
{
	struct ctl_reply_msg m;
	struct ctl_error err;

	ctl_fail(&err, CTL_E_NAME, "bridge \xc3(: not usable as an interface name");
	parse_reply(ctl_error_reply(1, &err), &m);
	assert_string_equal(m.err.text, "bridge ?(: not usable as an interface name");
	json_decref(m.root);
}

static void code_names(void **state)
{
	assert_string_equal(ctl_code_name(100), "E_SYNTAX");
	assert_string_equal(ctl_code_name(240), "E_CONFIG");
	assert_string_equal(ctl_code_name(12345), "E_INTERNAL");
	assert_string_equal(ctl_code_text(210), "no such port");
}

static void nearest(void **state)
{
	static const char *const keys[] = {"ageing_time", "address", "mtu", "monitor", "ports"};

	assert_string_equal(ctl_nearest("agein_time", keys, array_size(keys)), "ageing_time");
	assert_string_equal(ctl_nearest("AGEING_TIME", keys, array_size(keys)), "ageing_time");
	assert_string_equal(ctl_nearest("mut", keys, array_size(keys)), "mtu");
	assert_string_equal(ctl_nearest("port", keys, array_size(keys)), "ports");
	assert_null(ctl_nearest("zebra", keys, array_size(keys)));
	assert_null(ctl_nearest("", keys, array_size(keys)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_split_anywhere),
		cmocka_unit_test(lines_limit),
		cmocka_unit_test(lines_grow_to_the_limit_only),
		cmocka_unit_test(request_round_trip),
		cmocka_unit_test(request_errors),
		cmocka_unit_test(reply_round_trip),
		cmocka_unit_test(reply_garbage),
		cmocka_unit_test(error_text_that_is_not_utf8),
		cmocka_unit_test(code_names),
		cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
