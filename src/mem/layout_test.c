/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/layout.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"

static int init(struct mem_layout *l, struct mem_params p)
{
	const char *why = NULL;
	int r = mem_layout_init(l, &p, &why);

	assert_true((r < 0) == (why != NULL));
	return r;
}

/* What the netmap module reports for its global region. */
static void test_default_is_netmaps(void **state)
{
	struct mem_layout l;

	assert_int_equal(init(&l, (struct mem_params){0}), 0);
	assert_int_equal(l.size, 343019520);
	assert_int_equal(l.if_ofs, 0);
	assert_int_equal(l.ring_ofs, 102400);
	assert_int_equal(l.buf_ofs, 102400 + 200 * 36864);
	assert_int_equal(l.file_size, l.size + 4096);
	assert_int_equal(mem_buf(&l, 0), l.buf_ofs + 256);
	assert_int_equal(mem_buf(&l, 3) - mem_buf(&l, 2), 2048);
}

static void test_pools_are_page_aligned(void **state)
{
	struct mem_layout l;

	assert_int_equal(init(&l, (struct mem_params){.if_num = 11,
						      .if_size = 57,
						      .ring_num = 3,
						      .ring_size = 300,
						      .buf_num = 5}),
			 0);
	assert_int_equal(l.params.if_size, 64);
	assert_int_equal(l.params.ring_size, 320);
	assert_int_equal(l.ring_ofs, 4096);
	assert_int_equal(l.buf_ofs, 8192);
	assert_int_equal(l.size, 8192 + 12288);
	/* The last buffer ends inside the object. */
	assert_true(mem_buf(&l, 4) + 2048 <= l.file_size);
}

static void test_limits(void **state)
{
	static const struct mem_params bad[] = {
		{.if_num = 9},        {.if_num = 10001},     {.if_size = 55},
		{.if_size = 4097},    {.ring_num = 1},       {.ring_num = 1025},
		{.ring_size = 255},   {.ring_size = 131073}, {.buf_num = 3},
		{.buf_num = 1000001}, {.buf_size = 64},      {.buf_size = 1024},
		{.buf_size = 3072},   {.buf_size = 131072},  {.buf_size = UINT32_MAX},
	};
	struct mem_layout l;

	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(init(&l, bad[i]), -EINVAL);
}

static void test_largest(void **state)
{
	struct mem_layout l;

	assert_int_equal(init(&l, (struct mem_params){10000, 4096, 1024, 131072, 1000000, 65536}),
			 0);
	assert_true(l.size == 10000ull * 4096 + 1024ull * 131072 + 1000000ull * 65536);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_is_netmaps),
		cmocka_unit_test(test_pools_are_page_aligned),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
