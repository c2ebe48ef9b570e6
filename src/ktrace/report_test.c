/* SPDX-License-Identifier: BSD-2-Clause */
#include "ktrace/report.h"

#include <linux/if_bridge.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ktrace/devices.h"
#include "ktrace/journey.h"
#include "ktrace/symbols.h"

#define NETNS 4711u
#define MS    1000000ull

static struct device list[] = {
	{.ifindex = 1, .role = KTRACE_BRIDGE, .name = "lan0", .kind = "bridge"},
	{.ifindex = 2, .role = KTRACE_MEMBER, .name = "p1", .state = BR_STATE_FORWARDING},
	{.ifindex = 3, .role = KTRACE_MEMBER, .name = "p2", .state = BR_STATE_FORWARDING},
	{.ifindex = 4, .role = KTRACE_FOREIGN, .name = "vdt-0"},
	{.ifindex = 5, .role = KTRACE_FOREIGN, .name = "ifb0"},
};
static const struct devices devices = {.list = list, .n = 5, .n_ours = 3, .netns = NETNS};

static int setup(void **state)
{
	static const char text[] = "1000 T nf_hook_slow\n2000 t br_stp_rcv\t[bridge]\n";
	static struct report r = {.bridge = "lan0", .devices = &devices, .wall_offset_s = 1000};
	FILE *f = fmemopen((void *)text, sizeof(text) - 1, "r");

	r.symbols = symbols_read(f);
	fclose(f);
	*state = &r;
	return r.symbols ? 0 : -1;
}

static int teardown(void **state)
{
	struct report *r = *state;

	symbols_free((struct symbols *)r->symbols);
	return 0;
}

/* An IPv4 frame that p1 received at second 5. */
static struct journey received(void)
{
	struct journey j = {
		.id = 3, .start_ns = 5000 * MS, .ifindex = 2, .len = 1000, .caplen = 60};

	j.data[5] = 2;
	j.data[11] = 1;
	j.data[12] = 8;
	j.steps[j.n_steps++] = (struct journey_step){
		.time_ns = j.start_ns, .role = KTRACE_MEMBER, .ifindex = 2, .netns = NETNS};
	return j;
}

static struct journey_step *then(struct journey *j, uint32_t what, uint32_t ifindex)
{
	struct journey_step *s = &j->steps[j->n_steps++];

	*s = (struct journey_step){.time_ns = j->steps[j->n_steps - 2].time_ns + 2000,
				   .what = what,
				   .ifindex = ifindex,
				   .netns = NETNS,
				   .role = KTRACE_FOREIGN};
	for (size_t i = 0; i < devices.n; i++)
		if (list[i].ifindex == ifindex)
			s->role = list[i].role;
	j->last_ns = s->time_ns;
	return s;
}

static const char *text_of(const json_t *o, const char *member)
{
	const char *text = json_string_value(json_object_get(o, member));

	return text ? text : "";
}

static void expect_end(const struct report *r, const struct journey *j, const char *what,
		       const char *ifname, const char *text)
{
	json_t *o = report_journey(r, j), *end = json_object_get(o, "end");
	const json_t *names = json_object_get(end, "ifnames");

	assert_non_null(end);
	assert_string_equal(text_of(end, "what"), what);
	assert_string_equal(text_of(end, "text"), text);
	if (ifname)
		assert_string_equal(json_string_value(json_array_get(names, 0)), ifname);
	else
		assert_int_equal(json_array_size(names), 0);
	json_decref(o);
}

static void test_sent(void **state)
{
	const struct report *r = *state;
	struct journey j = received();
	json_t *o, *steps, *s;

	then(&j, KTRACE_QUEUE, 3);
	then(&j, KTRACE_START, 3);
	j.n_sent = 1;
	expect_end(r, &j, "sent", "p2", "sent on p2, 4.0 us after it came in");
	o = report_journey(r, &j);
	assert_string_equal(text_of(o, "ifname"), "p1");
	assert_int_equal(json_integer_value(json_object_get(o, "id")), 3);
	assert_true(json_number_value(json_object_get(o, "time")) == 1005);
	assert_string_equal(text_of(json_object_get(o, "frame"), "dst"), "00:00:00:00:00:02");
	assert_string_equal(text_of(json_object_get(o, "frame"), "ethertype"), "0x0800");
	assert_null(json_object_get(json_object_get(o, "frame"), "vlan"));
	/* A queue that is passed at once is no step; times are since the step that is shown. */
	steps = json_object_get(o, "steps");
	assert_int_equal(json_array_size(steps), 2);
	s = json_array_get(steps, 1);
	assert_string_equal(text_of(s, "step"), "transmit");
	assert_string_equal(text_of(s, "where"), "kernel");
	assert_int_equal(json_integer_value(json_object_get(s, "at_ns")), 4000);
	assert_int_equal(json_integer_value(json_object_get(s, "ns")), 4000);
	json_decref(o);
}

static void test_waited_and_cut(void **state)
{
	struct journey j = received();

	then(&j, KTRACE_QUEUE, 3);
	j.n_sent = 1;
	j.consumed = true; /* segments left */
	expect_end(*state, &j, "sent", "p2", "sent on p2, 2.0 us after it came in");
	j.n_sent = 0;
	j.consumed = false;
	j.n_queued = 1;
	expect_end(*state, &j, "lost-sight", NULL, "it still waits in a queue");
}

static void test_dropped(void **state)
{
	struct journey j = received();
	struct journey_step *s = then(&j, KTRACE_DROP, 3);

	s->reason = 12;
	s->location = 0x107d;
	j.n_dropped = 1;
	expect_end(*state, &j, "dropped", NULL,
		   "dropped in the kernel: reason 12 in nf_hook_slow: "
		   "a rule or policy of netfilter (iptables, nftables) dropped it");
	j.up = true;
	s->role = KTRACE_BRIDGE;
	s->location = 0xffffffff00; /* a place without a name */
	expect_end(*state, &j, "dropped", NULL, "dropped by the host: reason 12 in 0xffffffff00");
}

/* One copy left, another did not; what the host drops of its own copy is no matter here. */
static void test_dropped_copy(void **state)
{
	struct journey j = received();
	struct journey_step *s;

	then(&j, KTRACE_START, 3);
	s = then(&j, KTRACE_DROP, 2);
	s->location = 0x1001;
	j.n_sent = j.n_dropped = 1;
	expect_end(*state, &j, "sent", "p2",
		   "sent on p2, 2.0 us after it came in; a copy was dropped: reason 0 in "
		   "nf_hook_slow: a rule or policy of netfilter (iptables, nftables) dropped it");
	s->role = KTRACE_BRIDGE;
	j.up = true;
	expect_end(*state, &j, "sent", "p2",
		   "sent on p2 and up to the host, 2.0 us after it came in");
	/* The driver dropped it: that was not sent. */
	j.steps[1].failed = true;
	j.n_sent = 0;
	j.up = false;
	s->role = KTRACE_MEMBER;
	expect_end(*state, &j, "dropped", NULL,
		   "dropped in the kernel: reason 0 in nf_hook_slow: "
		   "a rule or policy of netfilter (iptables, nftables) dropped it");
}

static void test_bpdu(void **state)
{
	struct journey j = received();

	then(&j, KTRACE_DROP, 2)->location = 0x2010;
	j.n_dropped = 1;
	expect_end(*state, &j, "consumed", NULL, "a BPDU, read by the kernel's spanning tree");
}

static void test_redirected(void **state)
{
	struct journey j = received();

	then(&j, KTRACE_START, 4);
	j.redirected = true;
	expect_end(*state, &j, "with-program", "vdt-0",
		   "taken out for a netmap program, by viaductd (vdt-0)");
	j.steps[1].ifindex = 5;
	expect_end(*state, &j, "sent", "ifb0",
		   "redirected to ifb0 in front of the bridge, by a tc filter or program");
	j.steps[1].ifindex = 77;
	j.steps[1].netns = 1;
	expect_end(*state, &j, "sent", "device 77 of another namespace",
		   "redirected to device 77 of another namespace in front of the bridge, by a tc "
		   "filter or program");
}

static void test_lost_sight(void **state)
{
	struct journey j = received();

	expect_end(*state, &j, "lost-sight", NULL,
		   "nothing more was seen of it: something holds it, or took it and does not say");
	j.consumed = true;
	expect_end(*state, &j, "consumed", NULL, "the kernel took it for itself");
	j.up = true;
	expect_end(*state, &j, "delivered", "lan0", "up to the host, on lan0");
}

/* Bytes that are missing, and more steps than there is room for. */
static void test_cut(void **state)
{
	const struct report *r = *state;
	struct journey j = received();
	json_t *o, *f;

	j.caplen = 0;
	j.n_more = 5;
	o = report_journey(r, &j);
	f = json_object_get(o, "frame");
	assert_int_equal(json_integer_value(json_object_get(f, "len")), 1000);
	assert_null(json_object_get(f, "dst"));
	assert_int_equal(json_array_size(json_object_get(o, "steps")), 2);
	json_decref(o);
	/* A tag whose EtherType is cut off. */
	j = received();
	j.data[12] = 0x81;
	j.data[15] = 7;
	j.caplen = 17;
	o = report_journey(r, &j);
	f = json_object_get(o, "frame");
	assert_null(json_object_get(f, "vlan"));
	json_decref(o);
	j.caplen = 18;
	o = report_journey(r, &j);
	f = json_object_get(o, "frame");
	assert_int_equal(json_integer_value(json_object_get(f, "vlan")), 7);
	json_decref(o);
}

/* Its drop was one step too many: what is left is said. */
static void test_drop_without_step(void **state)
{
	struct journey j = received();

	j.n_dropped = j.n_more = 1;
	expect_end(*state, &j, "dropped", NULL, "dropped in the kernel");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sent),
		cmocka_unit_test(test_waited_and_cut),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_dropped_copy),
		cmocka_unit_test(test_bpdu),
		cmocka_unit_test(test_redirected),
		cmocka_unit_test(test_lost_sight),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_drop_without_step),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
