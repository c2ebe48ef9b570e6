/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers: r6 the skb, r7 A, r8 X, all three kept over helper calls; A and X are written by
 * 32-bit instructions only, so their upper halves are zero. r0 to r5 are scratch. Stack: 8 bytes
 * for a load, below them M[].
 *
 * Two equal passes over the instructions: the first counts and notes where each one begins, the
 * second writes, and finds there where to jump. What cannot be reached is left out: the verifier
 * refuses programs that have such parts.
 */
#include "sys/cbpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/err.h"

#define CTX BPF_REG_6
#define A   BPF_REG_7
#define X   BPF_REG_8

#define SCRATCH  (-8)
#define MEM(k)   (SCRATCH - 4 * BPF_MEMWORDS + 4 * (int)(k))
#define SKB(m)   ((int16_t)offsetof(struct __sk_buff, m))
#define EQUAL(c) (BPF_JMP32 | BPF_JEQ | (c))

struct code {
	const struct sock_filter *in;
	uint32_t n_in;
	const struct cbpf_target *target;
	struct bpf_insn *out; /* NULL: only count */
	uint32_t n;
	uint32_t words;                   /* bit k: M[k] is read */
	bool matches;                     /* some RET says so */
	bool takes;                       /* something jumps to the end that takes */
	bool reached[CBPF_IN_MAX];        /* by instruction of in */
	uint32_t begin[CBPF_IN_MAX + 2u]; /* likewise; then the two ends */
};

/* What the two ends are called in begin[]. */
static uint32_t end_match(const struct code *c)
{
	return c->n_in;
}

static uint32_t end_take(const struct code *c)
{
	return c->n_in + 1;
}

static bool is_cond_jump(uint16_t code)
{
	return BPF_CLASS(code) == BPF_JMP && BPF_OP(code) != BPF_JA;
}

/* 0 or CBPF_E_* for one instruction; left: how many come after it. */
static int check(const struct sock_filter *f, uint32_t left)
{
	switch (f->code) {
	/* NOLINTBEGIN(misc-redundant-expression): several of the parts are 0 */
	case BPF_LD | BPF_ABS | BPF_W:
	case BPF_LD | BPF_ABS | BPF_H:
	case BPF_LD | BPF_ABS | BPF_B:
	case BPF_LD | BPF_IND | BPF_W:
	case BPF_LD | BPF_IND | BPF_H:
	case BPF_LD | BPF_IND | BPF_B:
	case BPF_LDX | BPF_MSH | BPF_B:
		return f->k > INT32_MAX ? CBPF_E_OPERAND : 0;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return f->k >= BPF_MEMWORDS ? CBPF_E_OPERAND : 0;
	case BPF_ALU | BPF_DIV | BPF_K:
	case BPF_ALU | BPF_MOD | BPF_K:
		return f->k == 0 ? CBPF_E_OPERAND : 0;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return f->k > 31 ? CBPF_E_OPERAND : 0;
	case BPF_JMP | BPF_JA:
		return f->k >= left ? CBPF_E_JUMP : 0;
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JEQ | BPF_X:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_X:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_X:
		return f->jt >= left || f->jf >= left ? CBPF_E_JUMP : 0;
	case BPF_LD | BPF_IMM:
	case BPF_LD | BPF_LEN:
	case BPF_LDX | BPF_IMM:
	case BPF_LDX | BPF_LEN:
	case BPF_ALU | BPF_ADD | BPF_K:
	case BPF_ALU | BPF_ADD | BPF_X:
	case BPF_ALU | BPF_SUB | BPF_K:
	case BPF_ALU | BPF_SUB | BPF_X:
	case BPF_ALU | BPF_MUL | BPF_K:
	case BPF_ALU | BPF_MUL | BPF_X:
	case BPF_ALU | BPF_DIV | BPF_X:
	case BPF_ALU | BPF_MOD | BPF_X:
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_ALU | BPF_AND | BPF_X:
	case BPF_ALU | BPF_OR | BPF_K:
	case BPF_ALU | BPF_OR | BPF_X:
	case BPF_ALU | BPF_XOR | BPF_K:
	case BPF_ALU | BPF_XOR | BPF_X:
	case BPF_ALU | BPF_LSH | BPF_X:
	case BPF_ALU | BPF_RSH | BPF_X:
	case BPF_ALU | BPF_NEG:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
		return 0;
	/* NOLINTEND(misc-redundant-expression) */
	default:
		return CBPF_E_OPCODE;
	}
}

/* Checks all, then follows the jumps, which only go forward, from the first instruction. */
static int survey(struct code *c)
{
	for (uint32_t i = 0; i < c->n_in; i++) {
		int r = check(&c->in[i], c->n_in - 1 - i);

		if (r)
			return r;
	}
	if (BPF_CLASS(c->in[c->n_in - 1].code) != BPF_RET)
		return CBPF_E_END;
	c->reached[0] = true;
	for (uint32_t i = 0; i < c->n_in; i++) {
		const struct sock_filter *f = &c->in[i];

		if (!c->reached[i])
			continue;
		if (f->code == (BPF_LD | BPF_MEM) || f->code == (BPF_LDX | BPF_MEM))
			c->words |= 1u << f->k;
		if (f->code == (BPF_JMP | BPF_JA)) {
			c->reached[i + 1 + f->k] = true;
		} else if (is_cond_jump(f->code)) {
			c->reached[i + 1 + f->jt] = true;
			c->reached[i + 1 + f->jf] = true;
		} else if (BPF_CLASS(f->code) == BPF_RET) {
			c->matches |= f->code == (BPF_RET | BPF_A) || f->k != 0;
		} else {
			c->reached[i + 1] = true;
		}
	}
	return 0;
}

static void put(struct code *c, struct bpf_insn insn)
{
	if (c->out)
		c->out[c->n] = insn;
	c->n++;
}

/* dst = dst OP imm */
static void put_imm(struct code *c, int op, uint8_t dst, uint32_t imm)
{
	put(c,
	    (struct bpf_insn){.code = (uint8_t)(op | BPF_K), .dst_reg = dst, .imm = (int32_t)imm});
}

/* dst = dst OP src */
static void put_reg(struct code *c, int op, uint8_t dst, uint8_t src)
{
	put(c, (struct bpf_insn){.code = (uint8_t)(op | BPF_X), .dst_reg = dst, .src_reg = src});
}

/* dst = *(size *)(src + off) */
static void put_ldx(struct code *c, int size, uint8_t dst, uint8_t src, int off)
{
	put(c, (struct bpf_insn){.code = (uint8_t)(BPF_LDX | BPF_MEM | size),
				 .dst_reg = dst,
				 .src_reg = src,
				 .off = (int16_t)off});
}

static void put_call(struct code *c, int32_t helper)
{
	put(c, (struct bpf_insn){.code = BPF_JMP | BPF_CALL, .imm = helper});
}

/* Goes to an instruction of in, or to an end, if dst OP imm (src for BPF_X). */
static void put_jump(struct code *c, struct bpf_insn insn, uint32_t to)
{
	insn.off = (int16_t)(c->begin[to] - c->n - 1); /* wrong while counting */
	c->takes |= to == end_take(c);
	put(c, insn);
}

static void put_goto(struct code *c, uint32_t to)
{
	put_jump(c, (struct bpf_insn){.code = BPF_JMP | BPF_JA}, to);
}

/* dst = the bytes at offset r2 of the frame, in host order; beyond its end: no match. */
static void put_frame_load(struct code *c, int size, uint8_t dst)
{
	const uint32_t bytes = size == BPF_W ? 4 : size == BPF_H ? 2 : 1;

	put_reg(c, BPF_ALU64 | BPF_MOV, BPF_REG_1, CTX);
	put_reg(c, BPF_ALU64 | BPF_MOV, BPF_REG_3, BPF_REG_10);
	put_imm(c, BPF_ALU64 | BPF_ADD, BPF_REG_3, (uint32_t)SCRATCH);
	put_imm(c, BPF_ALU | BPF_MOV, BPF_REG_4, bytes);
	put_call(c, c->target->xdp ? BPF_FUNC_xdp_load_bytes : BPF_FUNC_skb_load_bytes);
	put_jump(c, (struct bpf_insn){.code = BPF_JMP | BPF_JNE, .dst_reg = BPF_REG_0},
		 end_take(c));
	put_ldx(c, size, dst, BPF_REG_10, SCRATCH);
	if (bytes > 1)
		put(c, (struct bpf_insn){.code = BPF_ALU | BPF_END | BPF_TO_BE,
					 .dst_reg = dst,
					 .imm = (int32_t)(8 * bytes)});
}

/* dst = the length of the frame */
static void put_len(struct code *c, uint8_t dst)
{
	if (!c->target->xdp) {
		put_ldx(c, BPF_W, dst, CTX, SKB(len));
		return;
	}
	put_reg(c, BPF_ALU64 | BPF_MOV, BPF_REG_1, CTX);
	put_call(c, BPF_FUNC_xdp_get_buff_len);
	put_reg(c, BPF_ALU | BPF_MOV, dst, BPF_REG_0);
}

/* LD and LDX. dst: A or X. */
static void put_load(struct code *c, const struct sock_filter *f, uint8_t dst)
{
	switch (BPF_MODE(f->code)) {
	case BPF_IMM:
		put_imm(c, BPF_ALU | BPF_MOV, dst, f->k);
		break;
	case BPF_LEN:
		put_len(c, dst);
		break;
	case BPF_MEM:
		put_ldx(c, BPF_W, dst, BPF_REG_10, MEM(f->k));
		break;
	case BPF_ABS:
		put_imm(c, BPF_ALU | BPF_MOV, BPF_REG_2, f->k);
		put_frame_load(c, BPF_SIZE(f->code), dst);
		break;
	case BPF_IND: /* the helper would cut the sum to 32 bits */
		put_reg(c, BPF_ALU | BPF_MOV, BPF_REG_2, X);
		put_imm(c, BPF_ALU64 | BPF_ADD, BPF_REG_2, f->k);
		put_jump(c,
			 (struct bpf_insn){
				 .code = BPF_JMP | BPF_JGT, .dst_reg = BPF_REG_2, .imm = INT32_MAX},
			 end_take(c));
		put_frame_load(c, BPF_SIZE(f->code), dst);
		break;
	case BPF_MSH:
		put_imm(c, BPF_ALU | BPF_MOV, BPF_REG_2, f->k);
		put_frame_load(c, BPF_B, dst);
		put_imm(c, BPF_ALU | BPF_AND, dst, 0xf);
		put_imm(c, BPF_ALU | BPF_LSH, dst, 2);
		break;
	}
}

static void put_store(struct code *c, const struct sock_filter *f, uint8_t src)
{
	put(c, (struct bpf_insn){.code = BPF_STX | BPF_MEM | BPF_W,
				 .dst_reg = BPF_REG_10,
				 .src_reg = src,
				 .off = (int16_t)MEM(f->k)});
}

/* The operations have the same codes in both languages. */
static void put_alu(struct code *c, const struct sock_filter *f)
{
	const int op = BPF_OP(f->code);

	if (BPF_SRC(f->code) == BPF_K) {
		put_imm(c, BPF_ALU | op, A, op == BPF_NEG ? 0 : f->k);
		return;
	}
	if (op == BPF_DIV || op == BPF_MOD)
		put_jump(c, (struct bpf_insn){.code = EQUAL(BPF_K), .dst_reg = X}, end_take(c));
	put_reg(c, BPF_ALU | op, A, X);
	if (op == BPF_LSH || op == BPF_RSH) { /* took X modulo 32 */
		put(c, (struct bpf_insn){
			       .code = BPF_JMP32 | BPF_JLE, .dst_reg = X, .off = 1, .imm = 31});
		put_imm(c, BPF_ALU | BPF_MOV, A, 0);
	}
}

/* The operation that jumps when op does not, or 0. */
static int opposite(int op)
{
	return op == BPF_JEQ ? BPF_JNE : op == BPF_JGT ? BPF_JLE : op == BPF_JGE ? BPF_JLT : 0;
}

static void put_cond(struct code *c, const struct sock_filter *f, uint32_t next)
{
	const int op = BPF_OP(f->code), opp = opposite(op);
	const bool reg = BPF_SRC(f->code) == BPF_X;
	struct bpf_insn insn = {.dst_reg = A};

	if (reg)
		insn.src_reg = X;
	else
		insn.imm = (int32_t)f->k;
	if (f->jt == 0 && f->jf != 0 && opp) {
		insn.code = (uint8_t)(BPF_JMP32 | opp | BPF_SRC(f->code));
		put_jump(c, insn, next + f->jf);
		return;
	}
	insn.code = (uint8_t)(BPF_JMP32 | op | BPF_SRC(f->code));
	put_jump(c, insn, next + f->jt);
	if (f->jf != 0)
		put_goto(c, next + f->jf);
}

static void put_ret(struct code *c, const struct sock_filter *f)
{
	if (BPF_RVAL(f->code) == BPF_K) {
		put_goto(c, f->k ? end_match(c) : end_take(c));
		return;
	}
	put_jump(c, (struct bpf_insn){.code = BPF_JMP32 | BPF_JNE, .dst_reg = A}, end_match(c));
	put_goto(c, end_take(c));
}

static void put_one(struct code *c, uint32_t i)
{
	const struct sock_filter *f = &c->in[i];

	switch (BPF_CLASS(f->code)) {
	case BPF_LD:
	case BPF_LDX:
		put_load(c, f, BPF_CLASS(f->code) == BPF_LD ? A : X);
		break;
	case BPF_ST:
	case BPF_STX:
		put_store(c, f, BPF_CLASS(f->code) == BPF_ST ? A : X);
		break;
	case BPF_ALU:
		put_alu(c, f);
		break;
	case BPF_JMP:
		if (is_cond_jump(f->code))
			put_cond(c, f, i + 1);
		else
			put_goto(c, i + 1 + f->k);
		break;
	case BPF_RET:
		put_ret(c, f);
		break;
	case BPF_MISC:
		if (BPF_MISCOP(f->code) == BPF_TAX)
			put_reg(c, BPF_ALU | BPF_MOV, X, A);
		else
			put_reg(c, BPF_ALU | BPF_MOV, A, X);
		break;
	}
}

static void put_start(struct code *c)
{
	put_reg(c, BPF_ALU64 | BPF_MOV, CTX, BPF_REG_1);
	put_imm(c, BPF_ALU | BPF_MOV, A, 0);
	put_imm(c, BPF_ALU | BPF_MOV, X, 0);
	if (!c->target->xdp) {
		put_ldx(c, BPF_W, BPF_REG_0, CTX, SKB(vlan_present));
		put_jump(c, (struct bpf_insn){.code = BPF_JMP | BPF_JNE, .dst_reg = BPF_REG_0},
			 end_take(c));
	}
	for (uint32_t k = 0; k < BPF_MEMWORDS; k++)
		if (c->words & 1u << k)
			put(c, (struct bpf_insn){.code = BPF_ST | BPF_MEM | BPF_W,
						 .dst_reg = BPF_REG_10,
						 .off = (int16_t)MEM(k)});
}

static void put_return(struct code *c, int act)
{
	put_imm(c, BPF_ALU | BPF_MOV, BPF_REG_0, (uint32_t)act);
	put(c, (struct bpf_insn){.code = BPF_JMP | BPF_EXIT});
}

static void put_ends(struct code *c)
{
	c->begin[end_match(c)] = c->n;
	if (c->matches)
		put_return(c, c->target->xdp ? XDP_PASS : TC_ACT_UNSPEC);
	c->begin[end_take(c)] = c->n;
	if (!c->takes)
		return;
	put_reg(c, BPF_ALU64 | BPF_MOV, BPF_REG_1, CTX);
	put(c, (struct bpf_insn){.code = BPF_LD | BPF_IMM | BPF_DW,
				 .dst_reg = BPF_REG_2,
				 .src_reg = BPF_PSEUDO_MAP_FD,
				 .imm = c->target->map_fd});
	put(c, (struct bpf_insn){0}); /* the upper half of it */
	put_imm(c, BPF_ALU | BPF_MOV, BPF_REG_3, c->target->index);
	put_call(c, BPF_FUNC_tail_call);
	put_return(c, c->target->xdp ? XDP_PASS : TC_ACT_SHOT);
}

static void pass(struct code *c, struct bpf_insn *out)
{
	c->out = out;
	c->n = 0;
	put_start(c);
	for (uint32_t i = 0; i < c->n_in; i++) {
		c->begin[i] = c->n;
		if (c->reached[i])
			put_one(c, i);
	}
	put_ends(c);
}

int cbpf_translate(const struct sock_filter *in, uint32_t n, const struct cbpf_target *t,
		   struct bpf_insn *out, uint32_t room, uint32_t *ret_n)
{
	struct code c = {.in = in, .n_in = n, .target = t};
	int r;

	if (n == 0)
		return CBPF_E_END;
	if (n > CBPF_IN_MAX)
		return CBPF_E_LONG;
	r = survey(&c);
	if (r)
		return r;
	pass(&c, NULL);
	if (c.n > room || c.n > CBPF_ROOM_MAX)
		return CBPF_E_LONG;
	pass(&c, out);
	*ret_n = c.n;
	return 0;
}

const char *cbpf_text(int e)
{
	static const char *const text[] = {
		[CBPF_E_END] = "ends without a verdict",
		[CBPF_E_LONG] =
			"is too long for the kernel (4096 instructions, fewer with many reads)",
		[CBPF_E_OPCODE] = "uses an instruction that is not libpcap's",
		[CBPF_E_OPERAND] = "reads what only a kernel socket has, or has a bad operand",
		[CBPF_E_JUMP] = "jumps backwards, as protochain does, or out of itself",
	};

	if (e <= 0 || (size_t)e >= sizeof(text) / sizeof(text[0]))
		return "cannot be translated";
	return text[e];
}

int cbpf_load(const struct sock_filter *in, uint32_t n, const struct cbpf_target *t,
	      const char **ret_why)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_XDP_HAS_FRAGS,
		    .expected_attach_type = BPF_XDP);
	struct bpf_insn *insns = calloc(CBPF_ROOM_MAX, sizeof(*insns));
	uint32_t n_insns;
	int r;

	if (!insns) {
		*ret_why = "needs more memory than there is";
		return error_origin(-ENOMEM);
	}
	r = cbpf_translate(in, n, t, insns, CBPF_ROOM_MAX, &n_insns);
	if (r) {
		free(insns);
		*ret_why = cbpf_text(r);
		return error_origin(r == CBPF_E_LONG ? -E2BIG : -EOPNOTSUPP);
	}
	r = bpf_prog_load(t->xdp ? BPF_PROG_TYPE_XDP : BPF_PROG_TYPE_SCHED_CLS, "vd_exempt",
			  "Dual BSD/GPL", insns, n_insns, t->xdp ? &opts : NULL);
	free(insns);
	if (r >= 0)
		return r;
	if (r == -EPERM)
		*ret_why = "loading it into the kernel needs CAP_BPF and CAP_NET_ADMIN";
	else if (r == -E2BIG)
		*ret_why = "is too complex for the kernel's verifier";
	else
		*ret_why = "is refused by the kernel's verifier";
	return error_origin(r);
}
