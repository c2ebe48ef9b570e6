/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The graph of a set of rules: what is asked once, what is not taken apart, what becomes too large.
 * That it answers as the rules one by one is the model test's (tests/model/model_program.c).
 */
#include "core/decision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "core/hook.h"
#include "core/program.h"

static uint8_t bytes[64];
static struct frame frame = {.data = bytes, .len = sizeof(bytes)};

static struct program *program(const struct sock_filter *insns, uint32_t n)
{
	struct program *p = NULL;

	assert_int_equal(program_new(insns, n, &p), 0);
	return p;
}

/* EtherType IPv4, and byte `at` is v. */
static struct program *ipv4_and(uint32_t at, uint8_t v)
{
	const struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x800, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return program(insns, array_size(insns));
}

/* Needs a sum, which is not taken apart. */
static struct program *sum_is(uint32_t v)
{
	const struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 5),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return program(insns, array_size(insns));
}

static bool run(struct hook_set *s, struct hook_frame *h)
{
	h->f = &frame;
	return hook_run(s, h);
}

static void what_is_known_is_not_asked_again(void **state)
{
	struct hook_set *s = hook_set_new(8);
	struct hook_frame h = {0};

	for (uint8_t i = 0; i < 8; i++) {
		s->rules[i].filter = ipv4_and(23, i);
		s->rules[i].verdict = HOOK_DROP;
	}
	hook_set_finish(s);
	assert_non_null(s->decision);
	/* IPv4?, eight values, eight hits, the end; not 8 times EtherType, or lengths apart. */
	assert_true(decision_size(s->decision) <= 18);
	memcpy(bytes + 12, "\x08\x00", 2);
	bytes[23] = 5;
	assert_false(run(s, &h));
	assert_int_equal(s->rules[5].packets, 1);
	bytes[23] = 9;
	assert_true(run(s, &h));
	memcpy(bytes + 12, "\x08\x06", 2);
	bytes[23] = 5;
	assert_true(run(s, &h));
	hook_set_free(s);
}

static void short_frames_match_nothing(void **state)
{
	struct hook_set *s = hook_set_new(2);
	struct hook_frame h = {0};

	s->rules[0].filter = ipv4_and(40, 0);
	s->rules[0].verdict = HOOK_DROP;
	s->rules[1].filter = ipv4_and(15, 7);
	s->rules[1].verdict = HOOK_DROP;
	hook_set_finish(s);
	memcpy(bytes + 12, "\x08\x00\x00\x07", 4);
	for (frame.len = 0; frame.len < 60; frame.len++)
		assert_int_equal(run(s, &h), frame.len < 16);
	frame.len = sizeof(bytes);
	/* The first rule from 41 bytes on, the second from 16 on. */
	assert_int_equal(s->rules[0].packets, 60 - 41);
	assert_int_equal(s->rules[1].packets, 41 - 16);
	hook_set_free(s);
}

static void what_cannot_be_taken_apart_is_run(void **state)
{
	struct hook_set *s = hook_set_new(3);
	struct hook_frame h = {.in = 4};

	s->rules[0].filter = sum_is(6);
	s->rules[0].verdict = HOOK_DROP;
	strcpy(s->rules[0].in_name, "p");
	s->rules[0].in = 4;
	s->rules[1].filter = sum_is(7);
	s->rules[1].verdict = HOOK_DROP;
	s->rules[2].verdict = HOOK_MARK;
	s->rules[2].set_mark = 3;
	hook_set_finish(s);
	assert_non_null(s->decision);
	bytes[20] = 1;
	assert_false(run(s, &h));
	h.in = 5;
	assert_true(run(s, &h));
	assert_int_equal(h.mark, 3);
	bytes[20] = 2;
	assert_false(run(s, &h));
	hook_set_free(s);
}

static void marks_on_the_way(void **state)
{
	struct hook_set *s = hook_set_new(5);
	struct hook_frame h = {.mark = 9};

	s->rules[0].has_mark = true;
	s->rules[0].mark = 1;
	s->rules[0].verdict = HOOK_DROP;
	s->rules[1].verdict = HOOK_MARK;
	s->rules[1].set_mark = 1;
	s->rules[1].vlan = 0;
	s->rules[2].has_mark = true;
	s->rules[2].mark = 9;
	s->rules[2].verdict = HOOK_DROP; /* other VLANs only */
	s->rules[3].has_mark = true;
	s->rules[3].mark = 1;
	s->rules[3].verdict = HOOK_MIRROR;
	s->rules[3].mirror = 2;
	s->rules[4].verdict = HOOK_DROP;
	hook_set_finish(s);
	assert_false(run(s, &h));
	assert_int_equal(h.mark, 1);
	assert_int_equal(h.mirrors, 4);
	assert_int_equal(s->rules[4].packets, 1);
	h = (struct hook_frame){.mark = 9, .vlan = 7};
	assert_false(run(s, &h));
	assert_int_equal(s->rules[2].packets, 1);
	hook_set_free(s);
}

static uint16_t number_p(const void *ctx, const char *name)
{
	return strcmp(name, "p") ? HOOK_NO_PORT : *(const uint16_t *)ctx;
}

static void ports_follow(void **state)
{
	struct hook_set *s = hook_set_new(2);
	struct hook_frame h = {.in = 7, .out = 8};
	uint16_t no = 7;

	for (int i = 0; i < 2; i++) {
		s->rules[i].verdict = HOOK_DROP;
		strcpy(i ? s->rules[i].out_name : s->rules[i].in_name, "p");
	}
	hook_set_finish(s);
	hook_set_bind(s, number_p, number_p, &no);
	assert_false(run(s, &h));
	assert_int_equal(s->rules[0].packets, 1);
	no = 8;
	hook_set_bind(s, number_p, number_p, &no);
	assert_false(run(s, &h));
	assert_int_equal(s->rules[1].packets, 1);
	no = 9;
	hook_set_bind(s, number_p, number_p, &no);
	assert_true(run(s, &h));
	hook_set_free(s);
}

/* 40 bytes, each asked by two rules far apart: 2^40 states if all were remembered. */
static void it_does_not_explode(void **state)
{
	struct hook_set *s = hook_set_new(80);
	struct hook_frame h = {0};

	for (uint32_t i = 0; i < 80; i++) {
		s->rules[i].filter = ipv4_and(14 + i % 40, i < 40 ? 1 : 2);
		s->rules[i].verdict = HOOK_MIRROR;
	}
	hook_set_finish(s);
	assert_non_null(s->decision);
	assert_true(decision_size(s->decision) < 8192);
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes + 12, "\x08\x00", 2);
	bytes[14 + 3] = 1;
	bytes[14 + 5] = 2;
	assert_true(run(s, &h));
	for (uint32_t i = 0; i < 80; i++)
		assert_int_equal(s->rules[i].packets, i == 3 || i == 45);
	hook_set_free(s);
}

static void a_set_of_the_largest_size(void **state)
{
	struct hook_set *s = hook_set_new(HOOK_RULES_MAX);
	struct hook_frame h = {0};

	for (uint32_t i = 0; i < s->n; i++) {
		s->rules[i].filter = ipv4_and(23 + i % 2, (uint8_t)i);
		s->rules[i].verdict = HOOK_DROP;
	}
	hook_set_finish(s);
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes + 12, "\x08\x00", 2);
	bytes[23] = 1; /* even ones look there */
	bytes[24] = 255;
	assert_false(run(s, &h));
	assert_int_equal(s->rules[255].packets, 1);
	hook_set_free(s);
	assert_null(decision_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_known_is_not_asked_again),
		cmocka_unit_test(short_frames_match_nothing),
		cmocka_unit_test(what_cannot_be_taken_apart_is_run),
		cmocka_unit_test(marks_on_the_way),
		cmocka_unit_test(ports_follow),
		cmocka_unit_test(it_does_not_explode),
		cmocka_unit_test(a_set_of_the_largest_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
