/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "cli/fmt.h"

static const struct table_column cols[] = {{"name"}, {"n", true}, {"end"}};

static void columns_align(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct table *t = table_new(f, false, true, cols, 3);

	table_cell(t, STYLE_PLAIN, "a");
	table_cell(t, STYLE_BAD, "%d", 12345);
	table_cell(t, STYLE_PLAIN, "x");
	table_line(t, STYLE_DIM, "a line much longer than any column of it");
	table_cell(t, STYLE_PLAIN, "longer");
	table_cell(t, STYLE_PLAIN, "1");
	table_cell(t, STYLE_PLAIN, "%s", "");
	assert_int_equal(table_rows(t), 3);
	table_end(t);
	fclose(f);
	/* No blanks at line ends. */
	assert_string_equal(text, "name        n  end\n"
				  "a       12345  x\n"
				  "a line much longer than any column of it\n"
				  "longer      1\n");
	free(text);
}

static void colour_does_not_shift(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct table *t = table_new(f, true, false, cols, 3);

	table_cell(t, STYLE_GOOD, "ab");
	table_cell(t, STYLE_PLAIN, "1");
	table_cell(t, STYLE_PLAIN, "x");
	table_cell(t, STYLE_PLAIN, "abc");
	table_cell(t, STYLE_PLAIN, "22");
	table_cell(t, STYLE_PLAIN, "y");
	table_end(t);
	fclose(f);
	assert_string_equal(text, "\033[32mab\033[0m    1  x\nabc  22  y\n");
	free(text);
}

static void hostile_names_are_harmless(void **state)
{
	char buf[32];

	assert_string_equal(text_safe("a\033[2Jb\n\x7f", buf, sizeof(buf)), "a?[2Jb??");
	assert_string_equal(text_safe("\xc2\x9b"
				      "2J",
				      buf, sizeof(buf)),
			    "?2J");
	assert_string_equal(text_safe("gr\xc3\xbc\xc3\x9f", buf, sizeof(buf)),
			    "gr\xc3\xbc\xc3\x9f");
	assert_string_equal(text_safe("cut here", buf, 4), "cut");
}

/* More rows than wait for the widths: the later ones come out as well. */
static void long_tables_stream(void **state)
{
	char *text = NULL;
	size_t size, lines = 0;
	FILE *f = open_memstream(&text, &size);
	struct table *t = table_new(f, false, true, cols, 3);

	for (int i = 0; i < 10000; i++) {
		table_cell(t, STYLE_PLAIN, "name");
		table_cell(t, STYLE_PLAIN, "%d", i);
		table_cell(t, STYLE_PLAIN, "e");
	}
	fflush(f);
	assert_true(size > 9000 * 10); /* before the end of the table */
	table_end(t);
	fclose(f);
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 10001);
	assert_non_null(strstr(text, "\nname  9999  e\n"));
	free(text);
}

static void values(void **state)
{
	char b[32];

	assert_string_equal(fmt_age(0, b, sizeof(b)), "0s");
	assert_string_equal(fmt_age(59.9, b, sizeof(b)), "59s");
	assert_string_equal(fmt_age(192, b, sizeof(b)), "3m12s");
	assert_string_equal(fmt_age(7500, b, sizeof(b)), "2h05m");
	assert_string_equal(fmt_age(4 * 86400 + 3 * 3600, b, sizeof(b)), "4d03h");
	assert_string_equal(fmt_age(-1, b, sizeof(b)), "-");
	assert_string_equal(fmt_bytes(512, b, sizeof(b)), "512 B");
	assert_string_equal(fmt_bytes(33.5 * 1024 * 1024, b, sizeof(b)), "33.5 MiB");
	assert_string_equal(fmt_count(0, b, sizeof(b)), "0");
	assert_string_equal(fmt_count(999, b, sizeof(b)), "999");
	assert_string_equal(fmt_count(1234567, b, sizeof(b)), "1,234,567");
	assert_string_equal(fmt_count(-1000, b, sizeof(b)), "-1,000");
	assert_string_equal(fmt_plural(1, "port", "ports", b, sizeof(b)), "1 port");
	assert_string_equal(fmt_plural(0, "port", "ports", b, sizeof(b)), "0 ports");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_align),
		cmocka_unit_test(colour_does_not_shift),
		cmocka_unit_test(hostile_names_are_harmless),
		cmocka_unit_test(long_tables_stream),
		cmocka_unit_test(values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
