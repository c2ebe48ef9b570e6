/* SPDX-License-Identifier: BSD-2-Clause */
#include "ktrace/symbols.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct symbols *read_text(const char *text)
{
	FILE *f = fmemopen((void *)text, strlen(text), "r");
	struct symbols *s;

	assert_non_null(f);
	s = symbols_read(f);
	fclose(f);
	assert_non_null(s);
	return s;
}

static void expect(const struct symbols *s, uint64_t address, const char *want)
{
	char name[64], rest[64], both[128];

	symbols_find(s, address, name, sizeof(name), rest, sizeof(rest));
	snprintf(both, sizeof(both), "%s%s", name, rest);
	assert_string_equal(both, want);
}

static void test_find(void **state)
{
	struct symbols *s = read_text("ffffffff81000300 t br_flood\t[bridge]\n"
				      "ffffffff81000100 T nf_hook_slow\n"
				      "ffffffff81000180 d some_data\n"
				      "nonsense\n"
				      "ffffffff81000200 W weak_one\n");

	assert_int_equal(symbols_count(s), 3);
	expect(s, 0xffffffff81000100, "nf_hook_slow+0x0");
	expect(s, 0xffffffff8100019e, "nf_hook_slow+0x9e"); /* data is no code */
	expect(s, 0xffffffff81000210, "weak_one+0x10");
	expect(s, 0xffffffff81000305, "br_flood+0x5 [bridge]");
	expect(s, 0xffffffff810000ff, "");
	expect(s, 0xffffffff91000000, ""); /* far behind the last */
	symbols_free(s);
}

/* What the kernel shows to who may not know. */
static void test_hidden(void **state)
{
	struct symbols *s = read_text("0000000000000000 T nf_hook_slow\n"
				      "0000000000000000 T br_flood\n");

	assert_int_equal(symbols_count(s), 0);
	expect(s, 0xffffffff81000100, "");
	symbols_free(s);
}

static void test_many(void **state)
{
	static char text[1 << 20];
	size_t n = 0;
	struct symbols *s;

	for (unsigned int i = 0; i < 20000; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%016x T f%u\n",
				      0x1000000 + (20000 - i) * 16, i);
	s = read_text(text);
	assert_int_equal(symbols_count(s), 20000);
	expect(s, 0x1000000 + 20000 * 16 + 3, "f0+0x3");
	expect(s, 0x1000000 + 16 + 15, "f19999+0xf");
	symbols_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
