/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of rules by themselves; where the bridge asks them is in hookpoint_test.c. */
#include "core/hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "core/program.h"

static uint8_t bytes[60] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
static struct frame frame = {.data = bytes, .len = sizeof(bytes)};

/* Matches when byte `at` is `v`. */
static struct program *byte_is(uint32_t at, uint8_t v)
{
	const struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct program *p = NULL;

	assert_int_equal(program_new(insns, array_size(insns), &p), 0);
	return p;
}

static bool run(struct hook_set *s, struct hook_frame *h)
{
	frame_parse(&frame);
	h->f = &frame;
	return hook_run(s, h);
}

static void first_terminal_verdict_counts(void **state)
{
	struct hook_set *s = hook_set_new(4);
	struct hook_frame h = {0};

	s->rules[0].filter = byte_is(20, 1);
	s->rules[0].verdict = HOOK_DROP;
	s->rules[1].filter = byte_is(20, 2);
	s->rules[2].verdict = HOOK_DROP;
	s->rules[2].filter = byte_is(21, 7);
	s->rules[3].verdict = HOOK_DROP;
	bytes[20] = 1;
	assert_false(run(s, &h));
	bytes[20] = 2;
	assert_true(run(s, &h));
	bytes[20] = 3;
	assert_false(run(s, &h));
	bytes[21] = 7;
	assert_false(run(s, &h));
	bytes[20] = bytes[21] = 0;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(s->rules[i].packets, 1);
		assert_int_equal(s->rules[i].bytes, 60);
	}
	hook_set_free(s);
}

static void nothing_matches_nothing_happens(void **state)
{
	struct hook_set *none = hook_set_new(0), *s = hook_set_new(1);
	struct hook_frame h = {.mark = 9};

	s->rules[0].filter = byte_is(100, 0); /* beyond the frame */
	s->rules[0].verdict = HOOK_DROP;
	assert_true(run(none, &h));
	assert_true(run(s, &h));
	assert_int_equal(h.mark, 9);
	assert_int_equal(s->rules[0].packets, 0);
	hook_set_free(s);
	hook_set_free(none);
	assert_null(hook_set_free(NULL));
}

static void conditions(void **state)
{
	static const struct {
		uint16_t in, out, vlan;
		uint32_t mark;
		uint32_t who; /* bit per rule below that matches */
	} rows[] = {
		{1, 2, 0, 0, 0x01 | 0x02 | 0x10 | 0x80},
		{2, 1, 0, 0, 0x01 | 0x10 | 0x80},
		{2, 3, 5, 0, 0x01 | 0x04 | 0x08 | 0x80},
		{0, 0, 5, 6, 0x01 | 0x08 | 0x20},
	};
	struct hook_set *s = hook_set_new(8);

	for (uint32_t i = 0; i < s->n; i++)
		s->rules[i].verdict = HOOK_MIRROR; /* none of them ends it */
	s->rules[1].in = 1;
	s->rules[2].out = 3;
	s->rules[3].vlan = 5;
	s->rules[4].vlan = 0;
	s->rules[5].has_mark = true;
	s->rules[5].mark = 6;
	s->rules[6].in = HOOK_NO_PORT;
	s->rules[7].has_mark = true;
	for (uint32_t i = 0; i < s->n; i++)
		s->rules[i].mirror = (uint8_t)i;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct hook_frame h = {.in = rows[i].in,
				       .out = rows[i].out,
				       .vlan = rows[i].vlan,
				       .mark = rows[i].mark};

		assert_true(run(s, &h));
		if (h.mirrors != rows[i].who)
			fail_msg("row %zu: %x", i, h.mirrors);
	}
	hook_set_free(s);
}

static void marks_are_for_later_rules(void **state)
{
	struct hook_set *s = hook_set_new(4);
	struct hook_frame h = {.mark = 1};

	s->rules[0].has_mark = true;
	s->rules[0].mark = 0xffffffff;
	s->rules[0].verdict = HOOK_DROP; /* not yet */
	s->rules[1].verdict = HOOK_MARK;
	s->rules[1].set_mark = 0xffffffff;
	s->rules[2].has_mark = true;
	s->rules[2].mark = 1;
	s->rules[2].verdict = HOOK_DROP; /* no more */
	s->rules[3].has_mark = true;
	s->rules[3].mark = 0xffffffff;
	assert_true(run(s, &h));
	assert_int_equal(h.mark, 0xffffffff);
	assert_int_equal(s->rules[0].packets, 0);
	assert_int_equal(s->rules[2].packets, 0);
	assert_int_equal(s->rules[3].packets, 1);
	hook_set_free(s);
}

static void counters_are_inherited(void **state)
{
	struct hook_set *old = hook_set_new(2), *s = hook_set_new(3);

	old->rules[0].packets = 5;
	old->rules[0].bytes = 50;
	old->rules[1].packets = 7;
	s->rules[0].inherits = 1;
	s->rules[1].inherits = 0;
	s->rules[2].inherits = 2; /* there is none */
	hook_set_inherit(s, NULL);
	assert_int_equal(s->rules[0].packets, 0);
	hook_set_inherit(s, old);
	assert_int_equal(s->rules[0].packets, 7);
	assert_int_equal(s->rules[1].packets, 5);
	assert_int_equal(s->rules[1].bytes, 50);
	assert_int_equal(s->rules[2].packets, 0);
	hook_set_free(old);
	hook_set_free(s);
}

static uint16_t number(const void *ctx, const char *name)
{
	return strcmp(name, ctx) ? HOOK_NO_PORT : 3;
}

static void names_become_numbers(void **state)
{
	struct hook_set *s = hook_set_new(2);

	strcpy(s->rules[0].in_name, "a");
	strcpy(s->rules[0].out_name, "b");
	s->rules[1].verdict = HOOK_MIRROR;
	strcpy(s->rules[1].mirror_name, "a");
	hook_set_bind(s, number, number, "a");
	assert_int_equal(s->rules[0].in, 3);
	assert_int_equal(s->rules[0].out, HOOK_NO_PORT);
	assert_int_equal(s->rules[1].in, 0);
	assert_int_equal(s->rules[1].mirror, 3);
	hook_set_bind(s, number, number, "b");
	assert_int_equal(s->rules[0].in, HOOK_NO_PORT);
	assert_int_equal(s->rules[0].out, 3);
	hook_set_free(s);
}

static void names(void **state)
{
	assert_string_equal(hook_name(HOOK_PRE_ROUTING), "pre_routing");
	assert_string_equal(hook_name(HOOK_POST_ROUTING), "post_routing");
	assert_null(hook_name(HOOK_N));
	assert_string_equal(hook_verdict_name(HOOK_MARK), "mark");
	assert_null(hook_verdict_name(HOOK_VERDICT_N));
}

static void vlan_of_a_frame(void **state)
{
	uint8_t d[18] = {[12] = 0x81, [14] = 0xe0, [15] = 7};
	struct frame f = {.data = d, .len = sizeof(d)};

	assert_true(frame_parse(&f));
	assert_int_equal(hook_vlan(&f), 7);
	f.vid = 9;
	assert_int_equal(hook_vlan(&f), 9);
	frame_parse(&frame);
	assert_int_equal(hook_vlan(&frame), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_terminal_verdict_counts),
		cmocka_unit_test(nothing_matches_nothing_happens),
		cmocka_unit_test(conditions),
		cmocka_unit_test(marks_are_for_later_rules),
		cmocka_unit_test(counters_are_inherited),
		cmocka_unit_test(names_become_numbers),
		cmocka_unit_test(names),
		cmocka_unit_test(vlan_of_a_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
