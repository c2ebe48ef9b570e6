/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/trace_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "core/fdb.h"
#include "core/hook.h"
#include "core/intercept.h"
#include "core/origin.h"
#include "core/vlan.h"

#define START 1000000u
#define HOST  1023u
#define A     1u
#define B     2u
#define MAC   0x02000000000aULL
#define GROUP 0x01005e000001ULL
#define RING0 EGRESS_RING(INTERCEPT_NIC, 0)

static const char *port_name(void *ctx, uint16_t no)
{
	return no == A ? "veth1" : no == B ? "veth2" : NULL;
}

static bool program_name(void *ctx, uint16_t list, char *buf, size_t size)
{
	snprintf(buf, size, "suricata[123]");
	return list == RING0;
}

static struct trace_names names = {.bridge = "br0",
				   .host_port = HOST,
				   .time = 1764108000.5,
				   .port = port_name,
				   .program = program_name};

static struct journey j;

static int setup(void **state)
{
	static const uint8_t frame[] = {2, 0, 0, 0, 0, 0xa, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 10, 8, 6};

	names.dry = names.kernel = false;
	memset(&j, 0, sizeof(j));
	j.id = 3;
	j.start_ns = START;
	j.in_port = A;
	snprintf(j.in_name, sizeof(j.in_name), "veth1");
	j.len = 60;
	j.n_bytes = sizeof(frame);
	memcpy(j.bytes, frame, sizeof(frame));
	return 0;
}

/* A record 100 ns after the one before, of a port called as the tests call it. */
static struct trace_record *add(enum trace_step step, uint16_t port, uint8_t result)
{
	struct trace_record *r = &j.records[j.n++];

	*r = (struct trace_record){
		.ns = START + 100 * j.n, .step = (uint8_t)step, .port = port, .result = result};
	if (port)
		snprintf(r->name, sizeof(r->name), "%s",
			 port == HOST ? "br0" : port_name(NULL, port));
	return r;
}

static json_t *told;

static json_t *tell(void)
{
	json_decref(told);
	told = trace_text(&j, &names);
	assert_non_null(told);
	return told;
}

static json_t *step(size_t i)
{
	return json_array_get(json_object_get(tell(), "steps"), i);
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "(none)";
}

/* The only record so far. */
static void expect_step(const char *name, const char *want)
{
	const json_t *s = step(0);

	assert_string_equal(text(s, "step"), name);
	assert_string_equal(text(s, "text"), want);
	j.n = 0;
}

static void expect_end(const char *what, const char *want)
{
	const json_t *end = json_object_get(tell(), "end");

	assert_string_equal(text(end, "what"), what);
	assert_string_equal(text(end, "text"), want);
}

static void times(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {{0, "0 ns"},          {999, "999 ns"},      {1800, "1.8 us"},
		     {999900, "999.9 us"}, {1200000, "1.20 ms"}, {2040000000, "2.0 s"}};
	char buf[24];

	for (size_t i = 0; i < array_size(cases); i++)
		assert_string_equal(trace_text_time(cases[i].ns, buf, sizeof(buf)), cases[i].text);
}

static void the_frame_and_its_times(void **state)
{
	const json_t *frame;

	add(TRACE_RX, A, 0)->value = 60;
	add(TRACE_STATE, A, BPORT_FORWARDING);
	tell();
	frame = json_object_get(told, "frame");
	assert_string_equal(text(told, "bridge"), "br0");
	assert_string_equal(text(told, "ifname"), "veth1");
	assert_int_equal(json_integer_value(json_object_get(told, "id")), 3);
	assert_string_equal(text(frame, "dst"), "02:00:00:00:00:0a");
	assert_string_equal(text(frame, "src"), "02:00:00:00:00:01");
	assert_string_equal(text(frame, "ethertype"), "0x0806");
	assert_int_equal(json_integer_value(json_object_get(frame, "vlan")), 10);
	assert_non_null(strstr(text(frame, "summary"), "vlan 10"));
	assert_int_equal(json_integer_value(json_object_get(step(1), "at_ns")), 200);
	assert_int_equal(json_integer_value(json_object_get(step(1), "ns")), 100);
	assert_int_equal(json_integer_value(json_object_get(step(1), "depth")), 1);
	names.dry = true;
	tell();
	assert_null(json_object_get(told, "id"));
	assert_null(json_object_get(step(1), "ns"));
	j.n_bytes = 3; /* a runt has no addresses */
	assert_null(json_object_get(json_object_get(tell(), "frame"), "dst"));
}

static void steps_at_ingress(void **state)
{
	struct trace_record *r;

	add(TRACE_RX, A, 0)->value = 60;
	expect_step("rx", "came in on veth1, 60 bytes");
	add(TRACE_PARSE, 0, 0)->value = 0x0800;
	expect_step("parse", "untagged, IPv4");
	r = add(TRACE_PARSE, 0, 2);
	r->value = 0x88b5;
	r->vid = 10;
	expect_step("parse", "tagged with VLAN 10 (2 tags), EtherType 0x88b5");
	add(TRACE_PARSE, 0, 1)->value = 38;
	expect_step("parse", "tagged with a priority only, 802.3 of 38 bytes");
	add(TRACE_STATE, A, BPORT_BLOCKING);
	expect_step("state", "veth1 is blocking");
	add(TRACE_STP, A, 0);
	expect_step("stp", "handed to the spanning tree");
	add(TRACE_VLAN, A, 0)->vid = 10;
	expect_step("vlan", "belongs to VLAN 10");
	add(TRACE_VLAN, A, 0);
	expect_step("vlan", "of no VLAN that veth1 is in");
	snprintf(add(TRACE_MIRROR, B, 0)->name, TRACE_NAME_SIZE, "ids");
	expect_step("mirror", "mirror 'ids': a copy to veth2");
}

static void what_is_learned(void **state)
{
	static const struct {
		uint8_t result;
		const char *name, *text;
	} cases[] = {
		{FDB_KNOWN, "known", "02:00:00:00:00:0a in VLAN 10 is known on veth1"},
		{FDB_NEW, "new", "02:00:00:00:00:0a in VLAN 10 is new, learned on veth1"},
		{FDB_MOVED, "moved", "02:00:00:00:00:0a in VLAN 10 moved from veth2 to veth1"},
		{FDB_KEPT, "kept",
		 "02:00:00:00:00:0a in VLAN 10 stays where it is: its entry does not move to "
		 "veth1"},
		{FDB_FULL, "full",
		 "02:00:00:00:00:0a in VLAN 10 not learned: the table or a limit is full"},
		{FDB_DISABLED, "disabled",
		 "02:00:00:00:00:0a in VLAN 10 not learned: ageing_time is 0"},
		{TRACE_LEARN_OFF, "off",
		 "02:00:00:00:00:0a in VLAN 10 not learned: veth1 does not learn"},
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct trace_record *r = add(TRACE_LEARN, A, cases[i].result);

		r->mac = MAC;
		r->vid = 10;
		r->value = B;
		assert_string_equal(text(step(0), "result"), cases[i].name);
		expect_step("learn", cases[i].text);
	}
	/* A port that has left meanwhile has a number. */
	add(TRACE_LEARN, A, FDB_MOVED)->value = 7;
	assert_string_equal(text(step(0), "old_ifname"), "port 7");
}

static void what_is_found(void **state)
{
	static const struct {
		uint8_t result;
		uint64_t mac;
		const char *name, *text;
	} cases[] = {
		{TRACE_LOOKUP_UNKNOWN, MAC, "unknown", "02:00:00:00:00:0a is not known: flooded"},
		{TRACE_LOOKUP_GROUP, GROUP, "group",
		 "01:00:5e:00:00:01 is a group address: flooded"},
		{TRACE_LOOKUP_DYNAMIC, MAC, "dynamic",
		 "02:00:00:00:00:0a is on veth2 (dynamic, seen 3 s ago)"},
		{TRACE_LOOKUP_STATIC, MAC, "static", "02:00:00:00:00:0a is on veth2 (static)"},
		{TRACE_LOOKUP_STICKY, MAC, "sticky",
		 "02:00:00:00:00:0a is on veth2 (sticky, seen 3 s ago)"},
		{TRACE_LOOKUP_LOCAL, MAC, "local",
		 "02:00:00:00:00:0a is an address of the bridge: to the host"},
		{TRACE_LOOKUP_LOCAL, GROUP, "local",
		 "01:00:5e:00:00:01 is a group address: the host's share of it"},
		{TRACE_LOOKUP_LINK, 0x0180c200000eULL, "link",
		 "01:80:c2:00:00:0e is for this link alone: to the host"},
		{TRACE_LOOKUP_KERNEL, MAC, "kernel", "the kernel decides where it goes"},
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct trace_record *r = add(TRACE_LOOKUP, B, cases[i].result);

		r->mac = cases[i].mac;
		r->value = 3;
		assert_string_equal(text(step(0), "result"), cases[i].name);
		expect_step("lookup", cases[i].text);
	}
}

static void programs(void **state)
{
	static const char *const texts[] = {
		"taken for ring 0",
		"the host's share is taken for ring 0",
		"it goes on, a copy is for ring 0",
		"not for the program: exempt, or not in its filter",
		"no program reads: goes on uninspected",
		"longer than a slot: goes on uninspected",
		"the ring is full: goes on uninspected",
		"the program did not take it: goes on uninspected",
	};
	struct trace_record *r;

	_Static_assert(array_size(texts) == TRACE_INTERCEPT_N, "all of them");
	for (uint8_t i = 0; i < TRACE_INTERCEPT_N; i++) {
		add(TRACE_INTERCEPT, 0, i)->value = RING0;
		expect_step("intercept", texts[i]);
	}
	r = add(TRACE_RING, 0, 0);
	r->value = RING0;
	r->value2 = 17;
	assert_string_equal(text(step(0), "ring"), "nic0");
	assert_string_equal(text(step(0), "program"), "suricata[123]");
	expect_step("ring", "into ring 0 slot 17 of the program suricata[123]");
	r = add(TRACE_RING, 0, 1);
	r->value = EGRESS_RING(INTERCEPT_HOST, 2);
	r->value2 = 5;
	expect_step("ring", "a copy into host ring 2 slot 5");
}

static void time_in_the_program(void **state)
{
	static const char *const texts[] = {
		[ORIGIN_PORT] = "taken back from the program after 12.3 us",
		[ORIGIN_BUFFER] = "came back after 12.3 us, known by its buffer",
		[ORIGIN_DIGEST] = "came back after 12.3 us, known by its length and first bytes",
		[ORIGIN_SOURCE] = "came back after 12.3 us, known by its source address",
		[ORIGIN_UNKNOWN] = "came back after 12.3 us, nobody knows from where",
	};

	for (uint8_t i = 0; i < ORIGIN_N; i++) {
		j.n = 0;
		add(TRACE_RING, 0, 0)->value = RING0;
		add(TRACE_RETURN, A, i)->ns = START + 100 + 12345;
		assert_string_equal(text(step(1), "text"), texts[i]);
		assert_int_equal(json_integer_value(json_object_get(step(1), "program_ns")), 12345);
		assert_int_equal(json_integer_value(json_object_get(step(1), "depth")), 2);
	}
	names.dry = true;
	assert_string_equal(text(step(1), "text"), "taken to come back unchanged");
	assert_string_equal(text(step(0), "text"), "into ring 0 of the program suricata[123]");
}

static struct trace_record *add_rule(enum hook_verdict v, const char *name, uint32_t pos)
{
	struct trace_record *r = add(TRACE_HOOK, 0, (uint8_t)v);

	r->value = HOOK_FORWARD;
	r->value2 = pos;
	r->port = B;
	snprintf(r->name, sizeof(r->name), "%s", name);
	return r;
}

static void rules(void **state)
{
	add_rule(HOOK_DROP, "no-dhcp", 2);
	assert_string_equal(text(step(0), "rule"), "no-dhcp");
	assert_string_equal(text(step(0), "hook"), "forward");
	expect_step("hook", "FORWARD to veth2: rule 'no-dhcp' (2): drop");
	add_rule(HOOK_MARK, "m", 1)->mac = 7;
	expect_step("hook", "FORWARD to veth2: rule 'm' (1): mark 7");
	add_rule(HOOK_MIRROR, "m", 1);
	expect_step("hook", "FORWARD to veth2: rule 'm' (1): mirror");
	add_rule(HOOK_ACCEPT, "", 0);
	expect_step("hook", "FORWARD to veth2: no rule decides, it goes on");
	add(TRACE_HOOK, 0, HOOK_ACCEPT)->value = HOOK_PRE_ROUTING;
	expect_step("hook", "PRE_ROUTING: no rule decides, it goes on");
}

static void steps_at_egress(void **state)
{
	add(TRACE_EGRESS, B, 0);
	expect_step("egress", "for veth2");
	add(TRACE_TAG, B, VLAN_POP)->vid = 10;
	expect_step("tag", "for veth2 without its tag of VLAN 10");
	add(TRACE_TAG, B, VLAN_PUSH)->vid = 10;
	expect_step("tag", "for veth2 with a tag of VLAN 10");
	add(TRACE_TAG, B, VLAN_SET)->vid = 10;
	expect_step("tag", "for veth2 with VLAN 10 in its tag");
	add(TRACE_OFFLOAD, B, TRACE_OFFLOAD_CSUM);
	expect_step("offload", "checksum finished for veth2");
	add(TRACE_OFFLOAD, B, TRACE_OFFLOAD_SEGMENT)->value = 45;
	expect_step("offload", "cut into 45 segments for veth2");
	add(TRACE_TX, B, 0)->value = 98;
	expect_step("tx", "sent on veth2, 98 bytes");
	names.kernel = true;
	add(TRACE_EGRESS, B, 0);
	expect_step("egress", "to go on in the kernel at veth2");
}

static void every_reason_of_a_drop(void **state)
{
	for (enum drop_reason i = 0; i < DROP_N; i++) {
		char want[256];

		snprintf(want, sizeof(want), "%s (%s)", drop_text(i), drop_name(i));
		add(TRACE_DROP, A, (uint8_t)i);
		assert_string_equal(text(json_object_get(tell(), "end"), "reason"), drop_name(i));
		assert_string_equal(text(step(0), "reason"), drop_name(i));
		expect_step("drop", want);
	}
}

/* What is done for a port stands below its egress, unless other ports are between them. */
static void the_picture(void **state)
{
	static const int one[] = {0, 1, 1, 2, 2, 1}, flood[] = {1, 1, 1, 1};

	add(TRACE_RX, A, 0);
	add(TRACE_LOOKUP, B, TRACE_LOOKUP_DYNAMIC);
	add(TRACE_EGRESS, B, 0);
	add(TRACE_OFFLOAD, B, TRACE_OFFLOAD_CSUM);
	add(TRACE_TX, B, 0);
	add(TRACE_DROP, A, DROP_RULE);
	for (size_t i = 0; i < array_size(one); i++)
		assert_int_equal(json_integer_value(json_object_get(step(i), "depth")), one[i]);
	j.n = 0;
	add(TRACE_EGRESS, A, 0);
	add(TRACE_EGRESS, B, 0);
	add(TRACE_TX, A, 0);
	add(TRACE_TX, B, 0);
	for (size_t i = 0; i < array_size(flood); i++)
		assert_int_equal(json_integer_value(json_object_get(step(i), "depth")), flood[i]);
}

static void sent(void **state)
{
	add(TRACE_EGRESS, B, 0);
	expect_end("sent", "sent on veth2, 100 ns after it came in");
	add(TRACE_EGRESS, A, 0);
	expect_end("sent", "sent on veth2 and veth1, 200 ns after it came in");
	add(TRACE_EGRESS, HOST, 0);
	expect_end("sent",
		   "sent on veth2 and veth1, and delivered to the host, 300 ns after it came in");
	add(TRACE_DROP, B, DROP_TX_FULL);
	expect_end("sent",
		   "sent on veth1, and delivered to the host, 400 ns after it came in; a copy was "
		   "dropped: the egress port's queue is full (tx-full)");
	assert_int_equal(json_array_size(json_object_get(json_object_get(told, "end"), "ifnames")),
			 1);
	add_rule(HOOK_DROP, "x", 1);
	add(TRACE_DROP, A, DROP_RULE);
	expect_end("sent",
		   "sent on veth1, and delivered to the host, 600 ns after it came in; 2 copies "
		   "were dropped, the last: rule 'x' of FORWARD (rule)");
	j.n = 0;
	for (int i = 0; i < 9; i++)
		add(TRACE_EGRESS, B, 0);
	expect_end("sent",
		   "sent on veth2, veth2, veth2, veth2, veth2, veth2 and 3 more, 900 ns after it "
		   "came in");
}

static void other_ends(void **state)
{
	expect_end("lost-sight", "no copy of it went anywhere");
	add(TRACE_RING, 0, 1)->value = RING0;
	expect_end("lost-sight", "only a copy for the program");
	j.n_lost = 4;
	expect_end("lost-sight", "lost sight of it: 4 more steps found no room");
	j.n_lost = j.n = 0;
	add(TRACE_EGRESS, HOST, 0);
	expect_end("delivered", "delivered to the host, 100 ns after it came in");
	names.dry = true;
	expect_end("delivered", "would be delivered to the host");
	names.dry = false;
	j.n = 0;
	add(TRACE_EGRESS, B, 0);
	add(TRACE_DROP, B, DROP_TX_FULL);
	expect_end("dropped", "dropped: the egress port's queue is full (tx-full)");
	add_rule(HOOK_DROP, "no-dhcp", 2);
	add(TRACE_DROP, A, DROP_RULE);
	expect_end("dropped", "dropped: rule 'no-dhcp' of FORWARD (rule)");
	j.n = 0;
	add(TRACE_STP, A, 0);
	expect_end("consumed", "consumed by the spanning tree");
	j.n = 0;
	j.end = JOURNEY_LENT;
	add(TRACE_RING, 0, 0)->value = RING0;
	expect_end("with-program", "still with the program");
	j.end = JOURNEY_ENDED;
	names.kernel = true;
	add(TRACE_EGRESS, A, 0);
	expect_end("sent", "goes on in the kernel at veth1, 200 ns after it came in");
}

static void names_that_are_no_text(void **state)
{
	snprintf(j.in_name, sizeof(j.in_name), "\xff\xfe");
	snprintf(add(TRACE_RX, A, 0)->name, TRACE_NAME_SIZE, "\xff");
	assert_string_equal(text(tell(), "ifname"), "?");
	assert_string_equal(text(step(0), "text"), "?");
}

static int teardown(void **state)
{
	json_decref(told);
	told = NULL;
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(times),
		TEST(the_frame_and_its_times),
		TEST(steps_at_ingress),
		TEST(what_is_learned),
		TEST(what_is_found),
		TEST(programs),
		TEST(time_in_the_program),
		TEST(rules),
		TEST(steps_at_egress),
		TEST(every_reason_of_a_drop),
		TEST(the_picture),
		TEST(sent),
		TEST(other_ends),
		TEST(names_that_are_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
