/* SPDX-License-Identifier: BSD-2-Clause */
#include "ktrace/why.h"

#include <linux/if_bridge.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct why_device veth2 = {
	.name = "veth2", .member = true, .state = BR_STATE_FORWARDING, .mtu = 1500};

static void expect_at(const struct why_device *d, const char *reason, const char *function,
		      const char *want)
{
	char buf[160];

	assert_string_equal(why_text(reason, function, d, 3000, buf, sizeof(buf)), want);
}

static void expect(const char *reason, const char *function, const char *want)
{
	expect_at(&veth2, reason, function, want);
}

static void test_text(void **state)
{
	expect("QDISC_OVERLIMIT", "anything", "the queue of veth2 is full");
	expect("NOT_SPECIFIED", "br_handle_vlan", "its VLAN may not go out");
	/* parts that a compiler makes of a function, and others that only begin alike */
	expect("NOT_SPECIFIED", "br_flood.part.0", "no port may send it");
	expect("NOT_SPECIFIED", "br_flood_ex", "");
	expect("NOT_SPECIFIED", "", "");
	/* the reason says more */
	expect("BRIDGE_INGRESS_STP_STATE", "br_handle_frame_finish", "port veth2 does not forward");
}

static void test_ports(void **state)
{
	struct why_device d = veth2;

	d.state = BR_STATE_BLOCKING;
	expect_at(&d, "NOT_SPECIFIED", "br_handle_frame_finish",
		  "port veth2 does not forward: its state is blocking");
	expect_at(&d, "BRIDGE_INGRESS_STP_STATE", "",
		  "port veth2 does not forward: its state is blocking");
	expect_at(&d, "NETFILTER_DROP", "nf_hook_slow",
		  "a rule or policy of netfilter (iptables, nftables) dropped it");
	d.state = BR_STATE_FORWARDING;
	d.isolated = true;
	expect_at(&d, "NO_TX_TARGET", "br_flood",
		  "port veth2 is isolated, and so are those that would send it");
	d.isolated = false;
	d.locked = true;
	expect_at(&d, "NOT_SPECIFIED", "br_handle_frame_finish",
		  "port veth2 is locked, and has no entry for its source address");
	d.member = false; /* nothing is known of it */
	expect_at(&d, "NOT_SPECIFIED", "br_flood", "no port may send it");
}

static void test_length(void **state)
{
	struct why_device d = veth2;

	expect("NOT_SPECIFIED", "br_dev_queue_push_xmit",
	       "its 2986 bytes behind the header are more than the MTU of veth2, 1500");
	d.mtu = 9000; /* it is something else, then */
	expect_at(&d, "NOT_SPECIFIED", "br_dev_queue_push_xmit",
		  "it is longer than the MTU of veth2, or veth2 is down");
}

static void test_short_buffer(void **state)
{
	const struct why_device d = {.name = "a-long-device0"};
	char buf[12];

	assert_string_equal(why_text("FULL_RING", "", &d, 60, buf, sizeof(buf)), "the ring of");
	assert_string_equal(why_text("DEV_READY", "", &d, 60, buf, sizeof(buf)), "a-long-devi");
}

static void test_kinds(void **state)
{
	assert_true(why_is_listener("packet_rcv"));
	assert_true(why_is_listener("tpacket_rcv"));
	assert_true(why_is_listener("skb_queue_purge_reason"));
	assert_false(why_is_listener("nf_hook_slow"));
	assert_false(why_is_listener(""));
	assert_true(why_is_bpdu("br_stp_rcv"));
	assert_true(why_is_bpdu("stp_pdu_rcv"));
	assert_false(why_is_bpdu("br_handle_frame"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),   cmocka_unit_test(test_ports),
		cmocka_unit_test(test_length), cmocka_unit_test(test_short_buffer),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
