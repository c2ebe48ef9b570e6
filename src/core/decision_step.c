/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a rule asks next, from a place in its program, and what follows from an answer. X is only
 * ever the length of an IPv4 header, for that is all that libpcap uses it for but arithmetic.
 */
#include "core/decision_internal.h"

#include <string.h>

/* ---- values and tests ---- */

static uint8_t value_of(struct maker *m, struct value v)
{
	for (uint32_t i = 0; i < m->n_values; i++) {
		const struct value *o = &m->values[i];

		if (o->kind == v.kind && o->base == v.base && o->ofs == v.ofs && o->mask == v.mask)
			return (uint8_t)i;
	}
	if (m->n_values == VALUES_MAX)
		return NONE;
	m->values[m->n_values] = v;
	return (uint8_t)m->n_values++;
}

static int test_of(struct maker *m, uint8_t value, enum op op, uint32_t k)
{
	for (uint32_t i = 0; i < m->n_tests; i++) {
		const struct test *o = &m->tests[i];

		if (o->value == value && o->op == op && o->k == k)
			return (int)i;
	}
	if (m->n_tests == TESTS_MAX || value == NONE)
		return -1;
	m->tests[m->n_tests] = (struct test){value, (uint8_t)op, k};
	return (int)m->n_tests++;
}

static bool same_place(const struct value *a, const struct value *b)
{
	return a->kind == b->kind && a->base == b->base && a->ofs == b->ofs;
}

/* The answer of o that follows from a value being v: 0 or 1. */
static bool answer(const struct test *o, uint32_t v)
{
	switch (o->op) {
	case OP_EQ:
		return v == o->k;
	case OP_GT:
		return v > o->k;
	case OP_GE:
		return v >= o->k;
	default:
		return v & o->k;
	}
}

/* What follows for o from the answer `is` of t, a test of the same value: 0, 1, or -1. */
static int follows_order(const struct test *t, bool is, const struct test *o)
{
	/* The value is at least `low`, or at most `high`. */
	uint64_t low = 0, high = UINT32_MAX;

	if (t->op != OP_GT && t->op != OP_GE)
		return -1;
	if (is)
		low = (uint64_t)t->k + (t->op == OP_GT);
	else
		high = t->op == OP_GT ? t->k : (uint64_t)t->k - 1;
	switch (o->op) {
	case OP_EQ:
		return o->k < low || o->k > high ? 0 : -1;
	case OP_GT:
		return low > o->k ? 1 : high <= o->k ? 0 : -1;
	case OP_GE:
		return low >= o->k ? 1 : high < o->k ? 0 : -1;
	default:
		return -1;
	}
}

static int follows(const struct maker *m, const struct test *t, bool is, const struct test *o)
{
	const struct value *v = &m->values[t->value], *w = &m->values[o->value];

	if (t->op == OP_REACHES || o->op == OP_REACHES) {
		const uint64_t end = (uint64_t)v->ofs + size_of(v->kind);
		const uint64_t end_o = (uint64_t)w->ofs + size_of(w->kind);

		if (t->op != o->op || v->base != w->base ||
		    (v->kind <= K_ABS32) != (w->kind <= K_ABS32))
			return -1;
		return is && end_o <= end ? 1 : !is && end_o >= end ? 0 : -1;
	}
	if (!same_place(v, w))
		return -1;
	if (t->op == OP_EQ && is && !(w->mask & ~v->mask))
		return answer(o, t->k & w->mask);
	return t->value == o->value ? follows_order(t, is, o) : -1;
}

void decision_learn(const struct maker *m, struct facts *f, uint32_t i, bool is)
{
	for (uint32_t j = 0; j < m->n_tests; j++) {
		int r = j == i ? is : follows(m, &m->tests[i], is, &m->tests[j]);

		if (r < 0)
			continue;
		set_bit(f->known, j);
		if (r)
			set_bit(f->is, j);
		else
			f->is[j / 64] &= ~(1ULL << j % 64);
	}
}

/* ---- instructions ---- */

static enum step load(struct maker *m, const struct sock_filter *i, struct place *at,
		      struct asked *ret)
{
	const int size = BPF_SIZE(i->code) == BPF_W ? 2 : BPF_SIZE(i->code) == BPF_H ? 1 : 0;
	struct value v = {.ofs = i->k, .mask = UINT32_MAX};

	ret->yes = *at;
	ret->yes.pc++;
	ret->no_ends = true;
	switch (BPF_MODE(i->code)) {
	case BPF_LEN:
		at->a = value_of(m, (struct value){.kind = K_LEN, .mask = UINT32_MAX});
		at->pc++;
		return at->a == NONE ? STEP_CANNOT : STEP_GO_ON;
	case BPF_ABS:
		v.kind = (uint8_t)(K_ABS8 + size);
		break;
	case BPF_IND:
		if (at->x == NONE || i->k > UINT16_MAX)
			return STEP_CANNOT;
		v.kind = (uint8_t)(K_IND8 + size);
		v.base = m->values[at->x].ofs;
		break;
	default:
		return STEP_CANNOT;
	}
	ret->yes.a = value_of(m, v);
	ret->test = test_of(m, ret->yes.a, OP_REACHES, 0);
	return ret->test < 0 ? STEP_CANNOT : STEP_ASK;
}

/* X is only ever the length of an IPv4 header: a value of one byte stands for it. */
static enum step load_index(struct maker *m, const struct sock_filter *i, struct place *at,
			    struct asked *ret)
{
	const struct value v = {.kind = K_ABS8, .ofs = i->k, .mask = UINT32_MAX};

	if (BPF_MODE(i->code) != BPF_MSH || i->k > UINT16_MAX)
		return STEP_CANNOT;
	ret->yes = *at;
	ret->yes.pc++;
	ret->yes.x = value_of(m, v);
	ret->no_ends = true;
	ret->test = test_of(m, ret->yes.x, OP_REACHES, 0);
	return ret->test < 0 ? STEP_CANNOT : STEP_ASK;
}

static enum step jump(struct maker *m, const struct sock_filter *i, struct place *at,
		      struct asked *ret)
{
	static const uint8_t ops[] = {
		[BPF_JEQ >> 4] = OP_EQ,
		[BPF_JGT >> 4] = OP_GT,
		[BPF_JGE >> 4] = OP_GE,
		[BPF_JSET >> 4] = OP_SET,
	};

	if (BPF_OP(i->code) == BPF_JA) {
		at->pc = (int16_t)(at->pc + 1 + (int)i->k);
		return STEP_GO_ON;
	}
	if (BPF_SRC(i->code) != BPF_K || at->a == NONE)
		return STEP_CANNOT;
	ret->test = test_of(m, at->a, ops[BPF_OP(i->code) >> 4], i->k);
	ret->yes = ret->no = *at;
	ret->yes.pc = (int16_t)(at->pc + 1 + i->jt);
	ret->no.pc = (int16_t)(at->pc + 1 + i->jf);
	ret->no_ends = false;
	return ret->test < 0 ? STEP_CANNOT : STEP_ASK;
}

static enum step mask(struct maker *m, const struct sock_filter *i, struct place *at)
{
	struct value v;

	if (i->code != (BPF_ALU | BPF_AND | BPF_K) || at->a == NONE)
		return STEP_CANNOT;
	v = m->values[at->a];
	v.mask &= i->k;
	at->a = value_of(m, v);
	at->pc++;
	return at->a == NONE ? STEP_CANNOT : STEP_GO_ON;
}

static enum step step_insn(struct maker *m, struct place *at, struct asked *ret)
{
	const struct program *p = m->set->rules[at->rule].filter;
	const struct sock_filter *i;
	uint32_t n;

	i = program_insns(p, &n) + at->pc;
	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
		return load(m, i, at, ret);
	case BPF_LDX:
		return load_index(m, i, at, ret);
	case BPF_ALU:
		return mask(m, i, at);
	case BPF_JMP:
		return jump(m, i, at, ret);
	case BPF_RET:
		if (BPF_RVAL(i->code) != BPF_K)
			return STEP_CANNOT;
		return i->k ? STEP_MATCH : STEP_NO_MATCH;
	default:
		return STEP_CANNOT;
	}
}

/* ---- conditions ---- */

/* The rule that has the port name of rule i first. */
static uint32_t first_with(const struct hook_set *s, uint32_t i, bool out)
{
	const char *name = out ? s->rules[i].out_name : s->rules[i].in_name;
	uint32_t j = 0;

	while (strcmp(name, out ? s->rules[j].out_name : s->rules[j].in_name))
		j++;
	return j;
}

/* The conditions of a rule beside its filter, in places before its first instruction. */
static enum step step_condition(struct maker *m, struct place *at, struct asked *ret)
{
	const struct hook_rule *r = &m->set->rules[at->rule];
	struct value v = {.mask = UINT32_MAX};
	bool has = false;
	uint32_t k = 0;

	switch (at->pc) {
	case -4:
		v.kind = K_IN;
		has = r->in_name[0];
		k = has ? first_with(m->set, at->rule, false) : 0;
		break;
	case -3:
		v.kind = K_OUT;
		has = r->out_name[0];
		k = has ? first_with(m->set, at->rule, true) : 0;
		break;
	case -2:
		v.kind = K_VLAN;
		has = r->vlan != HOOK_ANY_VLAN;
		k = (uint32_t)r->vlan;
		break;
	default:
		v.kind = K_MARK;
		has = r->has_mark;
		k = r->mark;
	}
	if (!has) {
		at->pc++;
		return STEP_GO_ON;
	}
	ret->yes = *at;
	ret->yes.pc++;
	ret->no_ends = true;
	ret->test = test_of(m, value_of(m, v), OP_EQ, k);
	return ret->test < 0 ? STEP_CANNOT : STEP_ASK;
}

enum step decision_step(struct maker *m, struct place *at, struct asked *ret)
{
	if (at->pc < 0)
		return step_condition(m, at, ret);
	if (!m->set->rules[at->rule].filter)
		return STEP_MATCH;
	return step_insn(m, at, ret);
}
