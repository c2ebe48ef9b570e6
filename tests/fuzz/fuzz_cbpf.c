/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any instructions at all: what cbpf_translate() accepts it writes into the room it was given, as
 * the verifier wants it (forward jumps to instructions, all of them reached, no foreign helper),
 * and running that says of a frame what the classic program says.
 *
 * Input: room in units of 8 instructions (8 bits), length of the frame (8), flags (8: 1 = a tag
 * beside it), then instructions as in struct sock_filter, little-endian.
 */
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sys/cbpf.h"

#define HEAD  3u
#define IN_N  (CBPF_IN_MAX + 2u)
#define SLOT  7u
#define FD    5
#define STALE 0xdeadbeefdeadbeefu

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t frame[256];

static void expect(bool ok)
{
	if (!ok)
		abort();
}

/* n bytes of the frame, big-endian; false beyond its end. */
static bool frame_get(uint32_t len, uint64_t at, uint32_t n, uint32_t *ret_v)
{
	uint32_t v = 0;

	if (at + n > len)
		return false;
	while (n--)
		v = v << 8 | frame[at++];
	*ret_v = v;
	return true;
}

/* ---- classic ---- */

static bool classic_alu(int op, uint32_t *a, uint32_t v)
{
	if ((op == BPF_DIV || op == BPF_MOD) && v == 0)
		return false;
	switch (op) {
	case BPF_ADD:
		*a += v;
		break;
	case BPF_SUB:
		*a -= v;
		break;
	case BPF_MUL:
		*a *= v;
		break;
	case BPF_DIV:
		*a /= v;
		break;
	case BPF_MOD:
		*a %= v;
		break;
	case BPF_AND:
		*a &= v;
		break;
	case BPF_OR:
		*a |= v;
		break;
	case BPF_XOR:
		*a ^= v;
		break;
	case BPF_LSH:
		*a = v > 31 ? 0 : *a << v;
		break;
	case BPF_RSH:
		*a = v > 31 ? 0 : *a >> v;
		break;
	case BPF_NEG:
		*a = -*a;
		break;
	default:
		abort();
	}
	return true;
}

static bool classic_jump(int op, uint32_t a, uint32_t v)
{
	return op == BPF_JEQ ? a == v : op == BPF_JGT ? a > v : op == BPF_JGE ? a >= v : a & v;
}

/* false: no match */
static bool classic_load(const struct sock_filter *f, uint32_t len, const uint32_t *m, uint32_t x,
			 uint32_t *ret_v)
{
	const int size = BPF_SIZE(f->code);
	const uint32_t n = size == BPF_W ? 4 : size == BPF_H ? 2 : 1;

	switch (BPF_MODE(f->code)) {
	case BPF_IMM:
		*ret_v = f->k;
		return true;
	case BPF_LEN:
		*ret_v = len;
		return true;
	case BPF_MEM:
		*ret_v = m[f->k];
		return true;
	case BPF_ABS:
		return frame_get(len, f->k, n, ret_v);
	case BPF_IND:
		return frame_get(len, (uint64_t)x + f->k, n, ret_v);
	default:
		if (!frame_get(len, f->k, 1, ret_v))
			return false;
		*ret_v = (*ret_v & 0xf) * 4;
		return true;
	}
}

static bool classic(const struct sock_filter *f, uint32_t len)
{
	uint32_t a = 0, x = 0, m[BPF_MEMWORDS] = {0};

	for (;; f++) {
		const uint32_t v = BPF_SRC(f->code) == BPF_X ? x : f->k;
		bool r = true;

		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
			r = classic_load(f, len, m, x, &a);
			break;
		case BPF_LDX:
			r = classic_load(f, len, m, x, &x);
			break;
		case BPF_ST:
			m[f->k] = a;
			break;
		case BPF_STX:
			m[f->k] = x;
			break;
		case BPF_ALU:
			r = classic_alu(BPF_OP(f->code), &a, v);
			break;
		case BPF_RET:
			return BPF_RVAL(f->code) == BPF_A ? a : f->k;
		case BPF_MISC:
			if (BPF_MISCOP(f->code) == BPF_TAX)
				x = a;
			else
				a = x;
			break;
		default:
			if (BPF_OP(f->code) == BPF_JA)
				f += f->k;
			else
				f += classic_jump(BPF_OP(f->code), a, v) ? f->jt : f->jf;
		}
		if (!r)
			return false;
	}
}

/* ---- generated ---- */

struct machine {
	uint64_t r[11];
	uint8_t stack[72];
	struct __sk_buff skb;
	bool written[72];
};

static uint8_t *stack_at(struct machine *m, int64_t off, uint32_t n)
{
	expect(off < 0 && off + (int64_t)n <= 0 && off >= -(int64_t)sizeof(m->stack));
	return m->stack + sizeof(m->stack) + off;
}

static void mem_op(struct machine *m, const struct bpf_insn *i)
{
	const uint32_t n = BPF_SIZE(i->code) == BPF_W ? 4 : BPF_SIZE(i->code) == BPF_H ? 2 : 1;
	uint32_t v = 0;

	if (BPF_CLASS(i->code) == BPF_LDX && i->src_reg == 6) {
		expect(n == 4 && m->r[6] == (uintptr_t)&m->skb);
		expect(i->off == offsetof(struct __sk_buff, len) ||
		       i->off == offsetof(struct __sk_buff, vlan_present));
		memcpy(&v, (uint8_t *)&m->skb + i->off, 4);
		m->r[i->dst_reg] = v;
	} else if (BPF_CLASS(i->code) == BPF_LDX) {
		expect(i->src_reg == 10);
		memcpy(&v, stack_at(m, i->off, n), n);
		for (uint32_t k = 0; k < n; k++)
			expect(m->written[(int)sizeof(m->stack) + i->off + (int)k]);
		m->r[i->dst_reg] = n == 4 ? v : n == 2 ? (uint16_t)v : (uint8_t)v;
	} else {
		expect(n == 4 && i->dst_reg == 10);
		v = BPF_CLASS(i->code) == BPF_ST ? (uint32_t)i->imm : (uint32_t)m->r[i->src_reg];
		memcpy(stack_at(m, i->off, n), &v, n);
		memset(m->written + (int)sizeof(m->stack) + i->off, 1, n);
	}
}

static void alu64(struct machine *m, const struct bpf_insn *i)
{
	const uint64_t v = BPF_SRC(i->code) == BPF_X ? m->r[i->src_reg] : (uint64_t)(int64_t)i->imm;

	expect(BPF_OP(i->code) == BPF_MOV || BPF_OP(i->code) == BPF_ADD);
	m->r[i->dst_reg] = v + (BPF_OP(i->code) == BPF_ADD ? m->r[i->dst_reg] : 0);
}

static void alu32(struct machine *m, const struct bpf_insn *i)
{
	const int op = BPF_OP(i->code);
	uint32_t v = BPF_SRC(i->code) == BPF_X ? (uint32_t)m->r[i->src_reg] : (uint32_t)i->imm;
	uint32_t d = (uint32_t)m->r[i->dst_reg];

	if (op == BPF_END) {
		expect(i->imm == 16 || i->imm == 32);
		d = i->imm == 16 ? __builtin_bswap16((uint16_t)d) : __builtin_bswap32(d);
		if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
			d = (uint32_t)m->r[i->dst_reg];
	} else if (op == BPF_MOV) {
		d = v;
	} else {
		if (op == BPF_LSH || op == BPF_RSH) {
			expect(BPF_SRC(i->code) == BPF_X || v < 32);
			v %= 32;
		}
		expect(classic_alu(op, &d, v)); /* a division by 0 is caught before */
	}
	m->r[i->dst_reg] = d;
}

static bool jumps(const struct machine *m, const struct bpf_insn *i)
{
	uint64_t a = m->r[i->dst_reg];
	uint64_t v = BPF_SRC(i->code) == BPF_X ? m->r[i->src_reg] : (uint64_t)(int64_t)i->imm;

	if (BPF_CLASS(i->code) == BPF_JMP32) {
		a = (uint32_t)a;
		v = (uint32_t)v;
	}
	switch (BPF_OP(i->code)) {
	case BPF_JA:
		return true;
	case BPF_JEQ:
		return a == v;
	case BPF_JNE:
		return a != v;
	case BPF_JGT:
		return a > v;
	case BPF_JLE:
		return a <= v;
	case BPF_JGE:
		return a >= v;
	case BPF_JLT:
		return a < v;
	case BPF_JSET:
		return a & v;
	default:
		abort();
	}
}

/* bpf_skb_load_bytes(): its offset has 32 bits. */
static void load_bytes(struct machine *m)
{
	const uint32_t at = (uint32_t)m->r[2], n = (uint32_t)m->r[4];
	const int64_t off = (int64_t)(m->r[3] - m->r[10]);
	bool ok = at <= INT32_MAX && (uint64_t)at + n <= m->skb.len;

	expect(m->r[1] == (uintptr_t)&m->skb && (n == 1 || n == 2 || n == 4));
	memset(stack_at(m, off, n), 0, n);
	if (ok)
		memcpy(stack_at(m, off, n), frame + at, n);
	memset(m->written + (int64_t)sizeof(m->stack) + off, 1, n);
	m->r[0] = ok ? 0 : (uint64_t)-14;
	for (int r = 1; r <= 5; r++)
		m->r[r] = STALE;
}

static bool generated(const struct bpf_insn *i, uint32_t len, bool tagged)
{
	struct machine m = {.skb = {.len = len, .vlan_present = tagged}};

	for (int r = 0; r <= 9; r++)
		m.r[r] = STALE;
	m.r[1] = (uintptr_t)&m.skb;
	m.r[10] = (uintptr_t)(m.stack + sizeof(m.stack));
	for (;; i++) {
		switch (BPF_CLASS(i->code)) {
		case BPF_LD:
			m.r[i->dst_reg] = (uint64_t)i->imm;
			i++; /* it takes two */
			break;
		case BPF_ALU:
			alu32(&m, i);
			break;
		case BPF_ALU64:
			alu64(&m, i);
			break;
		case BPF_LDX:
		case BPF_ST:
		case BPF_STX:
			mem_op(&m, i);
			break;
		default:
			if (i->code == (BPF_JMP | BPF_EXIT)) {
				expect((int32_t)m.r[0] == TC_ACT_UNSPEC);
				return true;
			}
			if (i->code != (BPF_JMP | BPF_CALL)) {
				i += jumps(&m, i) ? i->off : 0;
			} else if (i->imm == BPF_FUNC_tail_call) {
				expect(m.r[1] == (uintptr_t)&m.skb && m.r[2] == FD &&
				       m.r[3] == SLOT);
				return false;
			} else {
				load_bytes(&m);
			}
		}
	}
}

/* As the verifier looks at the whole, before it looks at values. */
static void check_shape(const struct bpf_insn *p, uint32_t n)
{
	bool *reached = calloc(n + 1, 1);

	expect(reached);
	reached[0] = true;
	for (uint32_t i = 0; i < n; i++) {
		const bool exits = p[i].code == (BPF_JMP | BPF_EXIT);
		const int class = BPF_CLASS(p[i].code);

		expect(reached[i] && p[i].dst_reg <= 10 && p[i].src_reg <= 10);
		if (class == BPF_LD) {
			expect(p[i].code == (BPF_LD | BPF_IMM | BPF_DW) && p[i].imm == FD &&
			       p[i].src_reg == BPF_PSEUDO_MAP_FD && i + 1 < n);
			i++;
			expect(!reached[i] && p[i].code == 0);
		} else if (p[i].code == (BPF_JMP | BPF_CALL)) {
			expect(p[i].imm == BPF_FUNC_tail_call ||
			       p[i].imm == BPF_FUNC_skb_load_bytes);
		} else if (!exits && (class == BPF_JMP || class == BPF_JMP32)) {
			expect(p[i].off >= 0 && i + 1 + (uint32_t)p[i].off < n);
			reached[i + 1 + (uint32_t)p[i].off] = true;
		}
		if (!exits && p[i].code != (BPF_JMP | BPF_JA))
			reached[i + 1] = true;
	}
	expect(!reached[n]);
	free(reached);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sock_filter in[IN_N];
	const struct cbpf_target t = {.map_fd = FD, .index = SLOT};
	uint32_t room, n = 0, n_out = 0;
	struct bpf_insn *out;
	bool match, tagged;
	int r;

	if (size < HEAD)
		return 0;
	for (uint32_t i = 0; i < sizeof(frame); i++) /* small numbers, mostly */
		frame[i] = (uint8_t)(i % 5 ? i % 16 : i * 37);
	for (size_t at = HEAD; at + 8 <= size && n < IN_N; at += 8, n++) {
		const uint8_t *p = data + at;

		in[n] = (struct sock_filter){
			.code = (uint16_t)(p[0] | p[1] << 8),
			.jt = p[2],
			.jf = p[3],
			.k = p[4] | (uint32_t)p[5] << 8 | (uint32_t)p[6] << 16 |
			     (uint32_t)p[7] << 24,
		};
	}
	room = data[0] == 255 ? CBPF_ROOM_MAX : data[0] * 8u;
	tagged = data[2] & 1;
	out = malloc(room ? room * sizeof(*out) : 1);
	r = cbpf_translate(in, n, &t, out, room, &n_out);
	if (r == 0) {
		expect(n_out > 0 && n_out <= room);
		check_shape(out, n_out);
		match = classic(in, data[1]);
		expect(generated(out, data[1], tagged) == (match && !tagged));
	} else {
		expect(r >= CBPF_E_END && r <= CBPF_E_JUMP && n_out == 0);
	}
	free(out);
	return 0;
}
