/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction set is that of McCanne and Jacobson's paper with the kernel's additions MOD and
 * XOR; what the kernel adds by negative offsets (tags beside the frame and so on) does not exist
 * here: tags are in the frame. Numbers are as libpcap's own interpreter has them: a shift by an X
 * of 32 or more gives 0.
 */
#include "core/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/err.h"

struct program {
	uint32_t n;
	bool has_memory; /* some instruction touches M[] */
	struct sock_filter insns[];
};

/* ---- checking ---- */

static int check_load(const struct sock_filter *i, bool index)
{
	const int mode = BPF_MODE(i->code), size = BPF_SIZE(i->code);

	switch (mode) {
	case BPF_IMM:
	case BPF_LEN:
		return size == BPF_W ? 0 : PROGRAM_E_CODE;
	case BPF_MEM:
		if (size != BPF_W)
			return PROGRAM_E_CODE;
		return i->k < BPF_MEMWORDS ? 0 : PROGRAM_E_MEMORY;
	case BPF_ABS:
	case BPF_IND:
		return !index && size <= BPF_B ? 0 : PROGRAM_E_CODE;
	case BPF_MSH:
		return index && size == BPF_B ? 0 : PROGRAM_E_CODE;
	default:
		return PROGRAM_E_CODE;
	}
}

static int check_alu(const struct sock_filter *i)
{
	const int op = BPF_OP(i->code);

	if (op == BPF_NEG)
		return i->code == (BPF_ALU | BPF_NEG) ? 0 : PROGRAM_E_CODE;
	if (op > BPF_XOR)
		return PROGRAM_E_CODE;
	if ((op == BPF_DIV || op == BPF_MOD) && BPF_SRC(i->code) == BPF_K && i->k == 0)
		return PROGRAM_E_ZERO;
	if ((op == BPF_LSH || op == BPF_RSH) && BPF_SRC(i->code) == BPF_K && i->k > 31)
		return PROGRAM_E_SHIFT;
	return 0;
}

/* left: instructions behind this one. */
static int check_jump(const struct sock_filter *i, uint32_t left)
{
	switch (BPF_OP(i->code)) {
	case BPF_JA:
		if (i->code != (BPF_JMP | BPF_JA))
			return PROGRAM_E_CODE;
		return i->k < left ? 0 : PROGRAM_E_JUMP;
	case BPF_JEQ:
	case BPF_JGT:
	case BPF_JGE:
	case BPF_JSET:
		return i->jt < left && i->jf < left ? 0 : PROGRAM_E_JUMP;
	default:
		return PROGRAM_E_CODE;
	}
}

static int check_insn(const struct sock_filter *i, uint32_t left)
{
	if (i->code > 0xff)
		return PROGRAM_E_CODE;
	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
		return check_load(i, false);
	case BPF_LDX:
		return check_load(i, true);
	case BPF_ST:
	case BPF_STX:
		if (i->code != BPF_CLASS(i->code))
			return PROGRAM_E_CODE;
		return i->k < BPF_MEMWORDS ? 0 : PROGRAM_E_MEMORY;
	case BPF_ALU:
		return check_alu(i);
	case BPF_JMP:
		return check_jump(i, left);
	case BPF_RET:
		return i->code == (BPF_RET | BPF_K) || i->code == (BPF_RET | BPF_A)
			       ? 0
			       : PROGRAM_E_CODE;
	default:
		return i->code == (BPF_MISC | BPF_TAX) || i->code == (BPF_MISC | BPF_TXA)
			       ? 0
			       : PROGRAM_E_CODE;
	}
}

static bool touches_memory(const struct sock_filter *i)
{
	const int class = BPF_CLASS(i->code);

	return class == BPF_ST || class == BPF_STX ||
	       (class <= BPF_LDX && BPF_MODE(i->code) == BPF_MEM);
}

int program_new(const struct sock_filter *insns, uint32_t n, struct program **ret)
{
	struct program *p;
	int r;

	if (n == 0 || n > PROGRAM_INSNS_MAX)
		return PROGRAM_E_SIZE;
	for (uint32_t i = 0; i < n; i++) {
		r = check_insn(&insns[i], n - 1 - i);
		if (r)
			return r;
	}
	if (BPF_CLASS(insns[n - 1].code) != BPF_RET)
		return PROGRAM_E_END;
	p = malloc(sizeof(*p) + n * sizeof(insns[0]));
	if (!p)
		return error_origin(-ENOMEM);
	p->n = n;
	p->has_memory = false;
	memcpy(p->insns, insns, n * sizeof(insns[0]));
	for (uint32_t i = 0; i < n; i++)
		p->has_memory |= touches_memory(&insns[i]);
	*ret = p;
	return 0;
}

struct program *program_free(struct program *p)
{
	free(p);
	return NULL;
}

const struct sock_filter *program_insns(const struct program *p, uint32_t *ret_n)
{
	*ret_n = p->n;
	return p->insns;
}

/* ---- running ---- */

static inline uint32_t be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

/* Are n bytes at a 64-bit offset inside? Offsets are sums of two 32-bit numbers. */
#define INSIDE(at, size) likely((uint64_t)(at) + (size) <= len)

/*
 * One switch over the instructions, and therefore long.
 * NOLINTBEGIN(misc-redundant-expression, readability-function-size): several of the parts are 0
 */
uint32_t program_run(const struct program *p, const uint8_t *data, uint32_t len)
{
	uint32_t a = 0, x = 0, m[BPF_MEMWORDS];
	uint64_t at;

	if (unlikely(p->has_memory))
		memset(m, 0, sizeof(m));
	for (const struct sock_filter *i = p->insns;; i++) {
		switch (i->code) {
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_RET | BPF_A:
			return a;
		case BPF_LD | BPF_W | BPF_ABS:
			if (!INSIDE(i->k, 4))
				return 0;
			a = be32(data + i->k);
			break;
		case BPF_LD | BPF_H | BPF_ABS:
			if (!INSIDE(i->k, 2))
				return 0;
			a = frame_be16(data + i->k);
			break;
		case BPF_LD | BPF_B | BPF_ABS:
			if (!INSIDE(i->k, 1))
				return 0;
			a = data[i->k];
			break;
		case BPF_LD | BPF_W | BPF_IND:
			at = (uint64_t)x + i->k;
			if (!INSIDE(at, 4))
				return 0;
			a = be32(data + at);
			break;
		case BPF_LD | BPF_H | BPF_IND:
			at = (uint64_t)x + i->k;
			if (!INSIDE(at, 2))
				return 0;
			a = frame_be16(data + at);
			break;
		case BPF_LD | BPF_B | BPF_IND:
			at = (uint64_t)x + i->k;
			if (!INSIDE(at, 1))
				return 0;
			a = data[at];
			break;
		case BPF_LDX | BPF_B | BPF_MSH:
			if (!INSIDE(i->k, 1))
				return 0;
			x = (data[i->k] & 0xfu) * 4;
			break;
		case BPF_LD | BPF_W | BPF_LEN:
			a = len;
			break;
		case BPF_LDX | BPF_W | BPF_LEN:
			x = len;
			break;
		case BPF_LD | BPF_IMM:
			a = i->k;
			break;
		case BPF_LDX | BPF_IMM:
			x = i->k;
			break;
		case BPF_LD | BPF_MEM:
			a = m[i->k];
			break;
		case BPF_LDX | BPF_MEM:
			x = m[i->k];
			break;
		case BPF_ST:
			m[i->k] = a;
			break;
		case BPF_STX:
			m[i->k] = x;
			break;
		case BPF_JMP | BPF_JA:
			i += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			i += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			i += a > i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			i += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			i += a & i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JEQ | BPF_X:
			i += a == x ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_X:
			i += a > x ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_X:
			i += a >= x ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_X:
			i += a & x ? i->jt : i->jf;
			break;
		case BPF_ALU | BPF_ADD | BPF_K:
			a += i->k;
			break;
		case BPF_ALU | BPF_ADD | BPF_X:
			a += x;
			break;
		case BPF_ALU | BPF_SUB | BPF_K:
			a -= i->k;
			break;
		case BPF_ALU | BPF_SUB | BPF_X:
			a -= x;
			break;
		case BPF_ALU | BPF_MUL | BPF_K:
			a *= i->k;
			break;
		case BPF_ALU | BPF_MUL | BPF_X:
			a *= x;
			break;
		case BPF_ALU | BPF_DIV | BPF_K:
			a /= i->k;
			break;
		case BPF_ALU | BPF_DIV | BPF_X:
			if (x == 0)
				return 0;
			a /= x;
			break;
		case BPF_ALU | BPF_MOD | BPF_K:
			a %= i->k;
			break;
		case BPF_ALU | BPF_MOD | BPF_X:
			if (x == 0)
				return 0;
			a %= x;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_ALU | BPF_AND | BPF_X:
			a &= x;
			break;
		case BPF_ALU | BPF_OR | BPF_K:
			a |= i->k;
			break;
		case BPF_ALU | BPF_OR | BPF_X:
			a |= x;
			break;
		case BPF_ALU | BPF_XOR | BPF_K:
			a ^= i->k;
			break;
		case BPF_ALU | BPF_XOR | BPF_X:
			a ^= x;
			break;
		case BPF_ALU | BPF_LSH | BPF_K:
			a <<= i->k;
			break;
		case BPF_ALU | BPF_LSH | BPF_X:
			a = x < 32 ? a << x : 0;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			a >>= i->k;
			break;
		case BPF_ALU | BPF_RSH | BPF_X:
			a = x < 32 ? a >> x : 0;
			break;
		case BPF_ALU | BPF_NEG:
			a = -a;
			break;
		case BPF_MISC | BPF_TAX:
			x = a;
			break;
		case BPF_MISC | BPF_TXA:
			a = x;
			break;
		default: /* nothing else passes program_new() */
			return 0;
		}
	}
}
/* NOLINTEND(misc-redundant-expression, readability-function-size) */
