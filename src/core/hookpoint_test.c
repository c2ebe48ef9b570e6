/* SPDX-License-Identifier: BSD-2-Clause */
/* Which frame meets which hook, how often, with and without a program in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/intercept_testkit.h"

/* One rule that matches everything, at each hook; they count. */
static void count_all(struct ilab *l)
{
	for (int h = 0; h < HOOK_N; h++) {
		struct hook_set *s = hook_set_new(2);

		s->rules[0].verdict = HOOK_MARK;
		s->rules[0].set_mark = 1;
		assert_null(bridge_set_hook(l->k->br, h, s));
	}
}

/* The rule to come first at a hook; the set stays with the bridge. */
static struct hook_rule *only_rule(struct ilab *l, enum hook h, enum hook_verdict v)
{
	struct hook_set *s = hook_set_new(1);

	s->rules[0].verdict = (uint8_t)v;
	hook_set_free(bridge_set_hook(l->k->br, h, s));
	return &s->rules[0];
}

/* Checks how often each hook was called since the last time, in their order. */
static void expect_calls(struct ilab *l, const char *counts)
{
	char got[HOOK_N + 1] = "";

	for (int h = 0; h < HOOK_N; h++) {
		struct hook_set *s = (struct hook_set *)bridge_hook(l->k->br, h);

		got[h] = (char)('0' + s->rules[0].packets);
		s->rules[0].packets = 0;
	}
	assert_string_equal(got, counts);
}

static void off(struct ilab *l)
{
	ilab_set(l, INTERCEPT_NONE, INTERCEPT_OPEN);
}

/* Between a, b, c and the host; PRE_ROUTING, LOCAL_IN, FORWARD, LOCAL_OUT, POST_ROUTING. */
static const struct {
	uint64_t src, dst;
	bool from_host;
	const char *calls;
} ways[] = {
	{AA, BB, false, "10101"},
	{AA, KIT_MAC, false, "11000"},
	{AA, XX, false, "10202"},
	{AA, MCAST, false, "11202"},
	{AA, LLDP, false, "01000"},
	{AA, BPDU, false, "11202"}, /* no spanning tree: multicast like any other */
	{KIT_MAC, BB, true, "00011"},
	{KIT_MAC, XX, true, "00033"},
	{KIT_MAC, MAC_BROADCAST, true, "00033"},
};

static void each_way_has_its_hooks(void **state)
{
	struct ilab *l = *state;

	off(l);
	bridge_set_mac(l->k->br, KIT_MAC);
	count_all(l);
	for (size_t i = 0; i < array_size(ways); i++) {
		ilab_send(l, ways[i].from_host ? l->host : l->a, ways[i].src, ways[i].dst);
		expect_calls(l, ways[i].calls);
	}
	ilab_send(l, l->a, AA, AA); /* goes nowhere, so no rule has it */
	expect_calls(l, "00000");
}

/* The same with a program that gives back what it gets. */
static void a_program_changes_nothing(void **state)
{
	static const enum intercept_mode modes[] = {INTERCEPT_ALL, INTERCEPT_LOCAL, INTERCEPT_COPY};
	struct ilab *l = *state;

	bridge_set_mac(l->k->br, KIT_MAC);
	count_all(l);
	for (size_t m = 0; m < 2 * array_size(modes); m++) {
		ilab_set(l, modes[m / 2], INTERCEPT_OPEN);
		for (size_t i = 0; i < array_size(ways); i++) {
			ilab_send(l, ways[i].from_host ? l->host : l->a, ways[i].src, ways[i].dst);
			ilab_give(l, ways[i].from_host ? INTERCEPT_HOST : INTERCEPT_NIC,
				  m & 1 ? COPIED : SWAPPED);
			expect_calls(l, ways[i].calls);
		}
	}
}

static void a_program_comes_first(void **state)
{
	struct ilab *l = *state;
	struct hook_rule *r = only_rule(l, HOOK_PRE_ROUTING, HOOK_DROP);

	ilab_send(l, l->a, AA, BB);
	assert_got(l, "n");
	assert_int_equal(r->packets, 0);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "");
	assert_int_equal(r->packets, 1);
	assert_int_equal(kit_drops(l->a, DROP_RULE), 1);
}

static void copies_are_shown_before_rules_drop(void **state)
{
	struct ilab *l = *state;

	only_rule(l, HOOK_PRE_ROUTING, HOOK_DROP);
	ilab_set(l, INTERCEPT_COPY, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "n");
	assert_int_equal(kit_drops(l->a, DROP_RULE), 1);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_COPY_RETURN), 1);
}

static void the_hosts_share_goes_with_the_rest(void **state)
{
	struct ilab *l = *state;

	only_rule(l, HOOK_PRE_ROUTING, HOOK_DROP);
	ilab_set(l, INTERCEPT_LOCAL, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, MCAST);
	assert_got(l, "");
	assert_int_equal(l->ic->sides[INTERCEPT_NIC].counters.taken, 0);
	assert_int_equal(kit_drops(l->a, DROP_RULE), 1);
}

static void what_does_not_fit_has_its_rules(void **state)
{
	struct ilab *l = *state;
	struct intercept_settings s = l->ic->set;
	struct egress_list *list = &l->k->out->lists[EGRESS_RING(INTERCEPT_NIC, 0)];

	count_all(l);
	s.mode = INTERCEPT_ALL;
	s.overflow = INTERCEPT_OVERFLOW_PASS;
	intercept_set(l->ic, &s);
	kit_send(l->k, l->a, AA, BB);
	expect_calls(l, "00000");
	bridge_intercept_refused(l->k->br, list->frames, list->n, l->k->out);
	list->n = 0;
	expect_calls(l, "10101");
	kit_sent(l->k);
	only_rule(l, HOOK_PRE_ROUTING, HOOK_DROP);
	kit_send(l->k, l->a, AA, BB);
	bridge_intercept_refused(l->k->br, list->frames, list->n, l->k->out);
	list->n = 0;
	assert_int_equal(kit_drops(l->a, DROP_RULE), 1);
	assert_got(l, "");
}

static void withdrawn_frames_have_their_rules(void **state)
{
	struct ilab *l = *state;
	struct batch *b;
	struct origin o;

	count_all(l);
	ilab_set(l, INTERCEPT_ALL, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, BB);
	b = l->k->in;
	kit_sent(l->k);
	assert_true(origins_withdraw(l->os[INTERCEPT_NIC], l->held[0].buf, &o));
	b->frames[b->n++] = l->held[--l->n];
	bridge_withdraw(l->k->br, INTERCEPT_NIC, b, &o);
	bridge_forward(l->k->br, b, l->k->out);
	expect_calls(l, "10101");
	kit_sent(l->k);
	b->n = 0;
}

static void frames_without_a_port(void **state)
{
	struct ilab *l = *state;
	struct hook_rule *r;

	count_all(l);
	ilab_make(l, XX, BB);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	expect_calls(l, "10101");
	r = only_rule(l, HOOK_FORWARD, HOOK_DROP);
	strcpy(r->in_name, "a");
	bridge_bind(l->k->br);
	ilab_make(l, XX, BB);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "b");
}

static void copies_are_dropped_one_by_one(void **state)
{
	struct ilab *l = *state;
	struct hook_rule *r;

	off(l);
	r = only_rule(l, HOOK_FORWARD, HOOK_DROP);
	strcpy(r->out_name, "b");
	bridge_bind(l->k->br);
	ilab_send(l, l->a, AA, MCAST);
	assert_got(l, "ch");
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_RULE), 2);
	assert_int_equal(kit_drops(l->a, DROP_NO_EGRESS), 0);
	r = only_rule(l, HOOK_LOCAL_IN, HOOK_DROP);
	ilab_send(l, l->a, AA, MCAST);
	assert_got(l, "c");
	only_rule(l, HOOK_POST_ROUTING, HOOK_DROP);
	ilab_send(l, l->a, AA, MCAST);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_NO_EGRESS), 0);
	ilab_send(l, l->host, KIT_MAC, BB);
	assert_int_equal(kit_drops(l->host, DROP_RULE), 1);
}

static void a_listening_host_has_its_own_hook(void **state)
{
	struct ilab *l = *state;
	struct bridge_settings s = *bridge_settings(l->k->br);

	off(l);
	s.promisc = true;
	bridge_set(l->k->br, &s);
	count_all(l);
	ilab_send(l, l->a, AA, BB);
	expect_calls(l, "11101");
	assert_got(l, "bh");
	only_rule(l, HOOK_FORWARD, HOOK_DROP);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "h");
	only_rule(l, HOOK_LOCAL_IN, HOOK_DROP);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "");
}

static void marks_of_copies_are_their_own(void **state)
{
	struct ilab *l = *state;
	struct hook_set *s = hook_set_new(2);
	struct hook_rule *r;

	off(l);
	/* PRE_ROUTING marks all; FORWARD marks what goes to b; POST_ROUTING drops that. */
	r = only_rule(l, HOOK_PRE_ROUTING, HOOK_MARK);
	r->set_mark = 7;
	s->rules[0].has_mark = true;
	s->rules[0].mark = 7;
	s->rules[0].verdict = HOOK_MARK;
	s->rules[0].set_mark = 8;
	strcpy(s->rules[0].out_name, "b");
	s->rules[1].has_mark = true;
	s->rules[1].mark = 0;
	s->rules[1].verdict = HOOK_DROP; /* the mark of PRE_ROUTING was not lost */
	bridge_set_hook(l->k->br, HOOK_FORWARD, s);
	r = only_rule(l, HOOK_POST_ROUTING, HOOK_DROP);
	r->has_mark = true;
	r->mark = 8;
	ilab_send(l, l->a, AA, MCAST);
	assert_got(l, "ch");
}

static void rules_follow_ports(void **state)
{
	struct ilab *l = *state;
	struct hook_rule *r;
	struct bport *p;

	off(l);
	r = only_rule(l, HOOK_PRE_ROUTING, HOOK_DROP);
	strcpy(r->in_name, "x");
	bridge_bind(l->k->br);
	p = kit_port(l->k, "x", false);
	ilab_send(l, p, XX, BB);
	assert_got(l, "");
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "b");
	strcpy(p->name, "y");
	bridge_bind(l->k->br);
	ilab_send(l, p, XX, BB);
	assert_got(l, "b");
	strcpy(p->name, "x");
	bridge_bind(l->k->br);
	kit_sent(l->k);
	bridge_port_del(l->k->br, p);
	p = kit_port(l->k, "z", false); /* the same number */
	ilab_send(l, p, XX, BB);
	assert_got(l, "b");
}

static void a_set_is_replaced_as_a_whole(void **state)
{
	struct ilab *l = *state;
	struct hook_set *s = hook_set_new(1), *old;

	off(l);
	only_rule(l, HOOK_PRE_ROUTING, HOOK_DROP);
	ilab_send(l, l->a, AA, BB);
	s->rules[0].inherits = 0;
	old = bridge_set_hook(l->k->br, HOOK_PRE_ROUTING, s);
	assert_int_equal(old->rules[0].packets, 1);
	hook_set_free(old);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "b");
	assert_int_equal(s->rules[0].packets, 2);
	hook_set_free(bridge_set_hook(l->k->br, HOOK_PRE_ROUTING, NULL));
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "b");
}

int main(void)
{
#define LAB(f) cmocka_unit_test_setup_teardown(f, ilab_setup, ilab_teardown)
	const struct CMUnitTest tests[] = {
		LAB(each_way_has_its_hooks),
		LAB(a_program_changes_nothing),
		LAB(a_program_comes_first),
		LAB(copies_are_shown_before_rules_drop),
		LAB(the_hosts_share_goes_with_the_rest),
		LAB(what_does_not_fit_has_its_rules),
		LAB(withdrawn_frames_have_their_rules),
		LAB(frames_without_a_port),
		LAB(copies_are_dropped_one_by_one),
		LAB(a_listening_host_has_its_own_hook),
		LAB(marks_of_copies_are_their_own),
		LAB(rules_follow_ports),
		LAB(a_set_is_replaced_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
