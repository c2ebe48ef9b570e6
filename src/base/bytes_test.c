/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void reads_in_order(void **state)
{
	const uint8_t d[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
	struct bytes b;

	bytes_init(&b, d, sizeof(d));
	assert_int_equal(bytes_u8(&b), 1);
	assert_int_equal(bytes_be16(&b), 0x0203);
	assert_int_equal(bytes_be32(&b), 0x04050607);
	assert_int_equal(bytes_mac(&b), 0x08090a0b0c0dULL);
	assert_int_equal(bytes_left(&b), 0);
	assert_false(b.failed);
}

static void past_the_end_fails_and_stays_failed(void **state)
{
	const uint8_t d[] = {1, 2, 3};
	struct bytes b;

	bytes_init(&b, d, sizeof(d));
	assert_int_equal(bytes_be16(&b), 0x0102);
	assert_int_equal(bytes_be16(&b), 0);
	assert_true(b.failed);
	assert_int_equal(bytes_u8(&b), 0);
	assert_true(b.failed);
	bytes_init(&b, d, 0);
	bytes_skip(&b, 1);
	assert_true(b.failed);
}

static uint16_t slow_sum(const uint8_t *p, size_t size, uint32_t sum)
{
	for (size_t i = 0; i < size; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void sum_equals_the_plain_definition(void **state)
{
	uint8_t d[1501];

	srand(1);
	for (size_t i = 0; i < sizeof(d); i++)
		d[i] = (uint8_t)rand();
	for (size_t n = 0; n < sizeof(d); n += n < 40 ? 1 : 37)
		assert_int_equal(bytes_sum(d, n, 0x1234), slow_sum(d, n, 0x1234));
}

/* Every word at its largest, so that each carry is taken; every alignment. */
static void sum_of_ones_and_of_unaligned_bytes(void **state)
{
	static uint8_t d[70000];

	for (size_t i = 0; i < sizeof(d); i++)
		d[i] = 0xff;
	assert_int_equal(bytes_sum(d, sizeof(d), 0), 0xffff);
	assert_int_equal(bytes_sum(d, 65535, 0), slow_sum(d, 65535, 0));
	assert_int_equal(bytes_sum(d, 63, UINT32_MAX), slow_sum(d, 63, 0xffff));
	srand(2);
	for (size_t i = 0; i < 2000; i++)
		d[i] = (uint8_t)rand();
	for (size_t ofs = 0; ofs < 64; ofs++)
		assert_int_equal(bytes_sum(d + ofs, 1448, 7), slow_sum(d + ofs, 1448, 7));
	for (size_t i = 0; i < 300; i++)
		d[i] = 0;
	assert_int_equal(bytes_sum(d, 300, 0), 0);
	assert_int_equal(bytes_sum(d, 0, 0xffff0000), 0xffff);
}

/* Every length around the blocks, every alignment; nothing is written behind the copy. */
static void sum_of_what_is_copied(void **state)
{
	uint8_t d[1501], to[1600];

	srand(3);
	for (size_t i = 0; i < sizeof(d); i++)
		d[i] = (uint8_t)rand();
	for (size_t n = 0; n + 16 < sizeof(d); n += n < 200 ? 1 : 37) {
		memset(to, 0xa5, sizeof(to));
		assert_int_equal(bytes_copy_sum(to + n % 32, d + n % 16, n),
				 slow_sum(d + n % 16, n, 0));
		assert_memory_equal(to + n % 32, d + n % 16, n);
		assert_int_equal(to[n % 32 + n], 0xa5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_in_order),
		cmocka_unit_test(past_the_end_fails_and_stays_failed),
		cmocka_unit_test(sum_equals_the_plain_definition),
		cmocka_unit_test(sum_of_ones_and_of_unaligned_bytes),
		cmocka_unit_test(sum_of_what_is_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
