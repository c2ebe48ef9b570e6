/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/journey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"

static char *drawn;

/* The journey that the text is, as a picture. */
static const char *draw(const char *text, struct cli *c)
{
	json_t *journey = json_loads(text, 0, NULL);
	size_t size;

	free(drawn);
	assert_non_null(journey);
	c->out = open_memstream(&drawn, &size);
	journey_print(c, journey);
	fclose(c->out);
	json_decref(journey);
	return drawn;
}

#define HEAD(id, steps, what, end)                                                                 \
	"{\"bridge\":\"br0\"," id "\"time\":0,\"ifname\":\"a\",\"frame\":{\"summary\":\"S\"},"     \
	"\"steps\":[" steps "],\"end\":{\"what\":\"" what "\",\"text\":\"" end "\"}}"
#define STEP(name, depth, ns, text)                                                                \
	"{\"step\":\"" name "\",\"depth\":" #depth ",\"at_ns\":" #ns ",\"ns\":" #ns                \
	",\"text\":\"" text "\"}"

static void times_marks_and_braces(void **state)
{
	struct cli c = {0};

	setenv("TZ", "UTC", 1);
	assert_string_equal(
		draw(HEAD("\"id\":3,",
			  STEP("rx", 0, 0, "in") "," STEP("intercept", 1, 9999, "taken") "," STEP(
				  "ring", 2, 10000,
				  "into") "," STEP("return", 2, 123456,
						   "back") "," STEP("hook", 1, 2000000000,
								    "late") "," STEP("egress", 1, 1,
										     "for b") "," STEP("tx",
												       2,
												       2,
												       "sent"),
			  "sent", "sent on b"),
		     &c),
		"br0 #3  00:00:00.000000  from a\n"
		"  S\n"
		"             | rx         in {\n"
		"    9,999 ns |   intercept  taken {\n"
		"+  10,000 ns |     ring       into\n"
		"! 123,456 ns |     return     back\n"
		"             |   }\n"
		"!    2.00 s  |   hook       late\n"
		"        1 ns |   egress     for b {\n"
		"        2 ns |     tx         sent\n"
		"             |   }\n"
		"             | }\n"
		"                = sent on b\n"
		"\n");
}

static void without_times(void **state)
{
	struct cli c = {0};

	assert_string_equal(draw(HEAD("",
				      "{\"step\":\"rx\",\"depth\":0,\"text\":\"in\"},"
				      "{\"step\":\"drop\",\"depth\":1,\"text\":\"why\"}",
				      "dropped", "would be dropped"),
				 &c),
			    "br0  from a\n"
			    "  S\n"
			    "   rx         in {\n"
			    "     drop       why\n"
			    "   }\n"
			    "  = would be dropped\n"
			    "\n");
}

static void colors_of_ends(void **state)
{
	static const char *const ends[][2] = {
		{HEAD("", "", "sent", "END"), "\033[32mEND"},
		{HEAD("", "", "consumed", "END"), "\033[32mEND"},
		{HEAD("", "", "dropped", "END"), "\033[31mEND"},
		{HEAD("", "", "with-program", "END"), "\033[33mEND"},
		{HEAD("", "", "lost-sight", "END"), "\033[33mEND"},
	};
	struct cli c = {.color = true};

	for (size_t i = 0; i < array_size(ends); i++)
		assert_non_null(strstr(draw(ends[i][0], &c), ends[i][1]));
}

/* Names and depths are somebody else's: nothing moves the cursor, nothing indents without end. */
static void hostile_journeys(void **state)
{
	struct cli c = {0};
	const char *text = draw(HEAD("",
				     "{\"step\":\"\\u001b[2J\",\"depth\":-5,\"text\":\"a\\nb\"},"
				     "{\"step\":\"x\",\"depth\":1000000,\"text\":\"c\"},7",
				     "\\u001b[0m", "\\u001b[1m"),
				&c);

	assert_null(strchr(text, '\033'));
	assert_null(strstr(text, "a\nb"));
	assert_true(strlen(text) < 400);
	assert_non_null(draw("{}", &c));
	assert_non_null(draw("{\"steps\":7,\"end\":[],\"frame\":\"\"}", &c));
}

static void as_json(void **state)
{
	struct cli c = {.json = true};

	assert_string_equal(draw("{\"bridge\": \"br0\", \"steps\": []}", &c),
			    "{\"bridge\":\"br0\",\"steps\":[]}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_marks_and_braces),
		cmocka_unit_test(without_times),
		cmocka_unit_test(colors_of_ends),
		cmocka_unit_test(hostile_journeys),
		cmocka_unit_test(as_json),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	free(drawn);
	return r;
}
