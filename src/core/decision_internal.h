/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the decision share: decision.c (the graph), decision_step.c (what a rule asks
 * next, and what follows from an answer). Nobody else includes this.
 */
#pragma once

#include "core/decision.h"

#include "base/compiler.h"
#include "core/hook.h"
#include "core/program.h"

#define VALUES_MAX 254u
#define TESTS_MAX  512u
#define NODES_MAX  8192u
#define INSNS_MAX  2048u /* of all rules together that are taken apart; it bounds recursion */
#define STATES_MAX 512u  /* of one program in collect() */
#define WORDS      (TESTS_MAX / 64u)
#define HASH_SIZE  16384u /* power of two */
#define NONE       0xffu

enum kind {
	K_ABS8,
	K_ABS16,
	K_ABS32,
	K_IND8,
	K_IND16,
	K_IND32,
	K_LEN,
	K_IN,
	K_OUT,
	K_VLAN,
	K_MARK,
	/* of nodes only */
	K_RUN,    /* does the program of rule k match? */
	K_HIT,    /* rule k matches: count, do; then `yes` if it does not end there */
	K_ACCEPT, /* the end */
};

enum op { OP_EQ, OP_GT, OP_GE, OP_SET, OP_REACHES };

/* A value; kinds without a place have zeros there. */
struct value {
	uint8_t kind;
	uint32_t base; /* IND: offset of the byte that has the header's length */
	uint32_t ofs, mask;
};

struct test {
	uint8_t value, op;
	uint32_t k; /* ports: rule that has the name first */
};

struct node {
	uint8_t kind, op;
	union {
		uint16_t base; /* IND: where the byte is that has the header's length */
		uint16_t rule; /* IN, OUT: one that has the port's name */
	};
	uint32_t ofs, mask, k;
	uint16_t yes, no, beyond;       /* beyond: the frame does not reach to the word */
	bool yes_near : 1, no_near : 1; /* that node is the one right behind */
	uint8_t shift : 6;              /* of four bytes at the place, to the word */
};

struct decision {
	uint32_t n;
	struct node nodes[]; /* the first one is the start */
};

/* What is known: bit per test. */
struct facts {
	uint64_t known[WORDS], is[WORDS];
};

/* Where make() is. pc: instruction; conditions before the program are negative. */
struct place {
	uint16_t rule;
	int16_t pc;
	uint8_t a, x; /* values; NONE */
};

struct state {
	struct place at;
	uint16_t node;
	int32_t next; /* in its bucket; -1 */
	struct facts facts;
};

struct maker {
	const struct hook_set *set;
	struct value values[VALUES_MAX];
	struct test tests[TESTS_MAX];
	uint32_t n_values, n_tests, n_insns;
	uint64_t later[HOOK_RULES_MAX + 1][WORDS]; /* tests of this rule and those behind it */
	uint16_t n_rules_with[TESTS_MAX];
	uint64_t kept[WORDS];      /* tests remembered from rule to rule */
	bool runs[HOOK_RULES_MAX]; /* the program is not taken apart */
	struct node nodes[NODES_MAX];
	uint32_t n_nodes;
	struct state states[NODES_MAX];
	uint32_t n_states;
	int32_t buckets[HASH_SIZE];
	bool full;
	/* collect() */
	struct place seen[STATES_MAX];
	uint32_t n_seen;
};

/* Conditions of a rule beside its filter, which have places before its first instruction. */
#define N_CONDITIONS 4

enum step {
	STEP_GO_ON, /* *at is the next place */
	STEP_ASK,   /* test *ret: yes goes to at_yes, no to at_no */
	STEP_MATCH,
	STEP_NO_MATCH,
	STEP_CANNOT, /* the program has to be run */
};

struct asked {
	int test;
	struct place yes, no;
	bool no_ends; /* no: the program does not match */
};

static inline bool bit(const uint64_t *set, uint32_t i)
{
	return set[i / 64] >> i % 64 & 1;
}

static inline void set_bit(uint64_t *set, uint32_t i)
{
	set[i / 64] |= 1ULL << i % 64;
}

static inline uint32_t size_of(enum kind kind)
{
	static const uint8_t sizes[] = {1, 2, 4, 1, 2, 4};

	return kind <= K_IND32 ? sizes[kind] : 0;
}

/* What is to be done at a place: decision_step.c. */
enum step decision_step(struct maker *m, struct place *at, struct asked *ret);
/* Notes the answer of test i and all that follows from it. */
void decision_learn(const struct maker *m, struct facts *f, uint32_t i, bool is);
