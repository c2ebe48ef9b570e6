/* SPDX-License-Identifier: BSD-2-Clause */
/* What passes the check, and what single instructions do; the model test has the rest. */
#include "core/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"

#define RET(k)     BPF_STMT(BPF_RET | BPF_K, k)
#define N(program) (program), (uint32_t)array_size(program)

static int check(const struct sock_filter *insns, uint32_t n)
{
	struct program *p = NULL;
	int r = program_new(insns, n, &p);

	assert_true(r == 0 ? p != NULL : p == NULL);
	program_free(p);
	return r;
}

static void refused(void **state)
{
	static const struct {
		struct sock_filter first;
		int why;
	} rows[] = {
		{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4000000000u), 0},
		{BPF_STMT(BPF_LD | BPF_MEM, 15), 0},
		{BPF_STMT(BPF_LD | BPF_MEM, 16), PROGRAM_E_MEMORY},
		{BPF_STMT(BPF_STX, 16), PROGRAM_E_MEMORY},
		{BPF_STMT(BPF_LD | BPF_H | BPF_MEM, 1), PROGRAM_E_CODE},
		{BPF_STMT(BPF_LD | BPF_B | BPF_MSH, 14), PROGRAM_E_CODE},
		{BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14), 0},
		{BPF_STMT(BPF_LDX | BPF_W | BPF_ABS, 14), PROGRAM_E_CODE},
		{BPF_STMT(BPF_LD | 0x18 | BPF_ABS, 0), PROGRAM_E_CODE},
		{BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), PROGRAM_E_ZERO},
		{BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 0), PROGRAM_E_ZERO},
		{BPF_STMT(BPF_ALU | BPF_MOD | BPF_X, 0), 0},
		{BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 31), 0},
		{BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), PROGRAM_E_SHIFT},
		{BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 32), PROGRAM_E_SHIFT},
		{BPF_STMT(BPF_ALU | 0xb0, 0), PROGRAM_E_CODE},
		{BPF_STMT(BPF_ALU | BPF_NEG | BPF_X, 0), PROGRAM_E_CODE},
		{BPF_STMT(BPF_RET | BPF_X, 0), PROGRAM_E_CODE},
		{BPF_STMT(BPF_MISC | 0x40, 0), PROGRAM_E_CODE},
		{BPF_STMT(0x100 | BPF_RET, 0), PROGRAM_E_CODE},
		{BPF_STMT(BPF_JMP | BPF_JA, 0), 0},
		{BPF_STMT(BPF_JMP | BPF_JA, 1), PROGRAM_E_JUMP},
		{BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), PROGRAM_E_JUMP}, /* back to itself */
		{BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), PROGRAM_E_JUMP},
		{BPF_JUMP(BPF_JMP | BPF_JSET | BPF_X, 0, 1, 0), PROGRAM_E_JUMP},
		{BPF_JUMP(BPF_JMP | 0x50, 0, 0, 0), PROGRAM_E_CODE},
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		const struct sock_filter p[] = {rows[i].first, RET(1)};

		if (check(N(p)) != rows[i].why)
			fail_msg("row %zu: %d", i, check(N(p)));
	}
}

static void sizes_and_ends(void **state)
{
	static struct sock_filter p[PROGRAM_INSNS_MAX + 1];

	for (uint32_t i = 0; i < array_size(p); i++)
		p[i] = (struct sock_filter)RET(1);
	assert_int_equal(check(p, 0), PROGRAM_E_SIZE);
	assert_int_equal(check(p, PROGRAM_INSNS_MAX), 0);
	assert_int_equal(check(p, PROGRAM_INSNS_MAX + 1), PROGRAM_E_SIZE);
	p[1] = (struct sock_filter)BPF_STMT(BPF_MISC | BPF_TAX, 0);
	assert_int_equal(check(p, 2), PROGRAM_E_END);
}

static uint32_t run(const struct sock_filter *insns, uint32_t n, const void *data, uint32_t len)
{
	struct program *p = NULL;
	uint32_t r;

	assert_int_equal(program_new(insns, n, &p), 0);
	r = program_run(p, data, len);
	program_free(p);
	return r;
}

static void loads_stop_at_the_end(void **state)
{
	static const struct {
		uint16_t code;
		uint32_t x, k, size;
	} rows[] = {
		{BPF_LD | BPF_W | BPF_ABS, 0, 2, 4},
		{BPF_LD | BPF_H | BPF_ABS, 0, 2, 2},
		{BPF_LD | BPF_B | BPF_ABS, 0, 2, 1},
		{BPF_LD | BPF_W | BPF_IND, 1, 1, 4},
		{BPF_LD | BPF_H | BPF_IND, 1, 1, 2},
		{BPF_LD | BPF_B | BPF_IND, 2, 0, 1},
		{BPF_LDX | BPF_B | BPF_MSH, 0, 2, 1},
		/* sums of 32 bits must not come round to the start */
		{BPF_LD | BPF_B | BPF_IND, 0xffffffff, 3, 0},
		{BPF_LD | BPF_W | BPF_ABS, 0, 0xffffffff, 0},
	};
	const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8};

	for (size_t i = 0; i < array_size(rows); i++) {
		const struct sock_filter p[] = {
			BPF_STMT(BPF_LDX | BPF_IMM, rows[i].x),
			BPF_STMT(rows[i].code, rows[i].k),
			RET(7),
		};
		const uint32_t end = 2 + rows[i].size;

		if (rows[i].size == 0) {
			assert_int_equal(run(N(p), data, sizeof(data)), 0);
			continue;
		}
		assert_int_equal(run(N(p), data, end), 7);
		assert_int_equal(run(N(p), data, end - 1), 0);
	}
	assert_int_equal(run((struct sock_filter[]){BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 1),
						    BPF_STMT(BPF_RET | BPF_A, 0)},
			     2, data, 8),
			 0x02030405);
}

static void words_begin_as_zero(void **state)
{
	const struct sock_filter p[] = {
		BPF_STMT(BPF_LD | BPF_MEM, 3),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 5),
		BPF_STMT(BPF_ST, 15),
		BPF_STMT(BPF_LDX | BPF_MEM, 15),
		BPF_STMT(BPF_MISC | BPF_TXA, 0),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};

	assert_int_equal(run(N(p), "", 0), 5);
}

static void division_by_nothing(void **state)
{
	const struct sock_filter div[] = {
		BPF_STMT(BPF_LD | BPF_IMM, 8),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
		RET(1),
	};
	const struct sock_filter mod[] = {
		BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_X, 0),
		RET(1),
	};

	assert_int_equal(run(N(div), "", 0), 0);
	assert_int_equal(run(N(mod), "a", 0), 0);
	assert_int_equal(run(N(mod), "a", 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(sizes_and_ends),
		cmocka_unit_test(loads_stop_at_the_end),
		cmocka_unit_test(words_begin_as_zero),
		cmocka_unit_test(division_by_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
