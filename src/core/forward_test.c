/* SPDX-License-Identifier: BSD-2-Clause */
/* Pass 2: each row of the rules for eligibility and flooding, and references of buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/testkit.h"

#define AA    0x0200000000aaULL
#define BB    0x0200000000bbULL
#define MCAST 0x01005e000001ULL

static void flag(struct kit_lab *l, struct bport *p, enum bport_flag f, bool on)
{
	bridge_port_set_flags(l->k->br, p, (uint8_t)f, on ? (uint8_t)f : 0);
}

static void add(struct kit_lab *l, uint64_t mac, const struct bport *p)
{
	assert_int_equal(fdb_add(bridge_fdb(l->k->br), mac, 0, p->no, FDB_STATIC, true), 0);
}

static void set_promisc(struct kit_lab *l)
{
	struct bridge_settings s = *bridge_settings(l->k->br);

	s.promisc = true;
	bridge_set(l->k->br, &s);
}

static void link_down(struct kit_lab *l, struct bport *p)
{
	bridge_port_link(l->k->br, p, p->mac, p->mtu, false);
}

/* Who got the latest frame: letters of abch, h for the host. */
static void assert_got(struct kit_lab *l, const char *who)
{
	assert_int_equal(kit_got(l->k, l->a), strchr(who, 'a') ? 1 : 0);
	assert_int_equal(kit_got(l->k, l->b), strchr(who, 'b') ? 1 : 0);
	assert_int_equal(kit_got(l->k, l->c), strchr(who, 'c') ? 1 : 0);
	assert_int_equal(kit_got(l->k, l->host), strchr(who, 'h') ? 1 : 0);
}

static void floods_obey_the_flags_of_their_class(void **state)
{
	static const struct {
		uint64_t dst;
		bool from_host;
		enum bport_flag flag;
		const char *got; /* with that flag off at port c */
	} rows[] = {
		{BB, false, BPORT_FLOOD_FLAG, "b"},
		{BB, false, BPORT_MCAST_FLOOD_FLAG, "bc"},
		{BB, false, BPORT_BCAST_FLOOD_FLAG, "bc"},
		{MCAST, false, BPORT_FLOOD_FLAG, "bch"},
		{MCAST, false, BPORT_MCAST_FLOOD_FLAG, "bh"},
		{MCAST, false, BPORT_BCAST_FLOOD_FLAG, "bch"},
		{MAC_BROADCAST, false, BPORT_FLOOD_FLAG, "bch"},
		{MAC_BROADCAST, false, BPORT_MCAST_FLOOD_FLAG, "bch"},
		{MAC_BROADCAST, false, BPORT_BCAST_FLOOD_FLAG, "bh"},
		/* What the host itself sends to groups is not held back, as in Linux. */
		{BB, true, BPORT_FLOOD_FLAG, "ab"},
		{MCAST, true, BPORT_MCAST_FLOOD_FLAG, "abc"},
		{MAC_BROADCAST, true, BPORT_BCAST_FLOOD_FLAG, "abc"},
	};
	struct kit_lab *l = *state;

	for (unsigned i = 0; i < array_size(rows); i++) {
		flag(l, l->c, rows[i].flag, false);
		kit_send(l->k, rows[i].from_host ? l->host : l->a, AA, rows[i].dst);
		assert_got(l, rows[i].got);
		flag(l, l->c, rows[i].flag, true);
	}
}

static void flood_flags_do_not_hold_known_addresses_back(void **state)
{
	struct kit_lab *l = *state;

	add(l, BB, l->b);
	flag(l, l->b, BPORT_FLOOD_FLAG, false);
	kit_send(l->k, l->a, AA, BB);
	assert_got(l, "b");
}

static void floods_go_to_forwarding_ports_with_a_link(void **state)
{
	struct kit_lab *l = *state;

	for (unsigned s = 0; s < BPORT_STATE_N; s++) {
		bridge_port_set_state(l->k->br, l->c, s);
		kit_send(l->k, l->a, AA, MCAST);
		assert_got(l, s == BPORT_FORWARDING ? "bch" : "bh");
	}
	bridge_port_set_state(l->k->br, l->c, BPORT_FORWARDING);
	link_down(l, l->b);
	kit_send(l->k, l->a, AA, BB);
	assert_got(l, "c");
}

static void hairpin_floods_back(void **state)
{
	struct kit_lab *l = *state;

	flag(l, l->a, BPORT_HAIRPIN_FLAG, true);
	kit_send(l->k, l->a, AA, MCAST);
	assert_got(l, "abch");
	kit_send(l->k, l->b, BB, MCAST);
	assert_got(l, "ach");
}

static void isolated_ports_do_not_reach_each_other(void **state)
{
	struct kit_lab *l = *state;

	flag(l, l->a, BPORT_ISOLATED_FLAG, true);
	flag(l, l->b, BPORT_ISOLATED_FLAG, true);
	add(l, BB, l->b);
	kit_send(l->k, l->a, AA, BB);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_ISOLATED), 1);
	kit_send(l->k, l->a, AA, MAC_BROADCAST);
	assert_got(l, "ch");
	kit_send(l->k, l->c, AA + 1, MAC_BROADCAST);
	assert_got(l, "abh");
	kit_send(l->k, l->c, AA + 1, BB);
	assert_got(l, "b");
	kit_send(l->k, l->host, bridge_mac(l->k->br), MAC_BROADCAST);
	assert_got(l, "abc");
}

static void the_host_port_has_no_flags_to_change(void **state)
{
	struct kit_lab *l = *state;

	flag(l, l->host, BPORT_ISOLATED_FLAG, true);
	flag(l, l->a, BPORT_ISOLATED_FLAG, true);
	kit_send(l->k, l->a, AA, bridge_mac(l->k->br));
	assert_got(l, "h");
	kit_send(l->k, l->host, bridge_mac(l->k->br), MCAST);
	assert_got(l, "abc");
}

static void known_address_on_a_port_that_does_not_forward(void **state)
{
	struct kit_lab *l = *state;

	add(l, BB, l->b);
	bridge_port_set_state(l->k->br, l->b, BPORT_BLOCKING);
	kit_send(l->k, l->a, AA, BB);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_EGRESS_STATE), 1);
	link_down(l, l->b);
	kit_send(l->k, l->a, AA, BB);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->b, DROP_TX_DOWN), 1);
	assert_int_equal(kit_drops(l->a, DROP_EGRESS_STATE), 1);
}

static void an_entry_without_a_port_is_no_egress(void **state)
{
	struct kit_lab *l = *state;

	assert_int_equal(fdb_add(bridge_fdb(l->k->br), BB, 0, 77, FDB_STATIC, false), 0);
	kit_send(l->k, l->a, AA, BB);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_NO_EGRESS), 1);
}

static void nobody_to_flood_to(void **state)
{
	struct kit_lab *l = *state;

	flag(l, l->b, BPORT_FLOOD_FLAG, false);
	flag(l, l->c, BPORT_FLOOD_FLAG, false);
	kit_send(l->k, l->a, AA, BB);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_NO_EGRESS), 1);
}

static void an_entry_on_the_host_port_goes_up(void **state)
{
	struct kit_lab *l = *state;

	add(l, BB, l->host);
	set_promisc(l);
	kit_frame(l->k, AA, BB, 60000);
	kit_run(l->k, l->a);
	assert_got(l, "h");
	link_down(l, l->host);
	kit_send(l->k, l->a, AA, BB);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_HOST_DOWN), 1);
}

static void host_down(void **state)
{
	struct kit_lab *l = *state;

	link_down(l, l->host);
	kit_send(l->k, l->a, AA, bridge_mac(l->k->br));
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_HOST_DOWN), 1);
	kit_send(l->k, l->a, AA, MAC_RESERVED_BASE + 14);
	assert_int_equal(kit_drops(l->a, DROP_HOST_DOWN), 2);
	kit_send(l->k, l->a, AA, MAC_BROADCAST);
	assert_got(l, "bc");
	set_promisc(l);
	kit_send(l->k, l->a, AA, BB);
	assert_got(l, "bc");
	add(l, BB, l->b);
	kit_send(l->k, l->a, AA, BB);
	assert_got(l, "b");
}

static void no_host_port(void **state)
{
	struct kit_lab *l = *state;
	uint64_t mac;

	bridge_port_del(l->k->br, l->host);
	mac = bridge_mac(l->k->br);
	kit_send(l->k, l->a, AA, MAC_RESERVED_BASE + 14);
	assert_int_equal(kit_drops(l->a, DROP_RESERVED), 1);
	kit_send(l->k, l->a, AA, mac);
	assert_int_equal(kit_drops(l->a, DROP_HOST_DOWN), 1);
	kit_send(l->k, l->a, AA, MAC_BROADCAST);
	assert_int_equal(kit_got_all(l->k), 2);
	set_promisc(l);
	kit_send(l->k, l->a, AA, BB);
	assert_int_equal(kit_got_all(l->k), 2);
	add(l, BB, l->b);
	kit_send(l->k, l->a, AA, BB);
	assert_int_equal(kit_got_all(l->k), 1);
}

static void promisc_copies_forwarded_frames_up_once(void **state)
{
	struct kit_lab *l = *state;

	add(l, BB, l->b);
	set_promisc(l);
	kit_send(l->k, l->a, AA, BB);
	assert_got(l, "bh");
	kit_send(l->k, l->a, AA, BB + 1);
	assert_got(l, "bch");
	kit_send(l->k, l->a, AA, MAC_BROADCAST);
	assert_got(l, "bch");
	kit_send(l->k, l->a, AA, bridge_mac(l->k->br));
	assert_got(l, "h");
	kit_send(l->k, l->host, bridge_mac(l->k->br), BB);
	assert_got(l, "b");
	kit_send(l->k, l->host, bridge_mac(l->k->br), BB + 1);
	assert_got(l, "abc");
}

/* Sends a frame of len bytes with n_tags tags and returns whether port b got it. */
static bool passes(struct kit_lab *l, uint32_t len, unsigned n_tags)
{
	struct frame *f = kit_frame(l->k, AA, BB, len);

	for (unsigned i = 0; i < n_tags; i++)
		memcpy(f->data + 12 + 4 * i, i ? "\x81\x00" : "\x88\xa8", 2);
	kit_run(l->k, l->a);
	return kit_got(l->k, l->b) == 1;
}

static void the_mtu_rule_is_the_kernels(void **state)
{
	struct kit_lab *l = *state;

	add(l, BB, l->b);
	assert_true(passes(l, 1514, 0));
	assert_true(passes(l, 1518, 0)); /* room for a tag, whether there is one or not */
	assert_false(passes(l, 1519, 0));
	assert_true(passes(l, 1518, 1));
	assert_true(passes(l, 1522, 1));
	assert_false(passes(l, 1523, 1));
	assert_true(passes(l, 1522, 2)); /* full size with two tags */
	assert_false(passes(l, 1523, 2));
	assert_int_equal(kit_drops(l->b, DROP_EGRESS_MTU), 3);
	assert_int_equal(kit_drops(l->a, DROP_EGRESS_MTU), 0);
	bridge_port_link(l->k->br, l->b, l->b->mac, 9000, true);
	assert_true(passes(l, 9018, 0));
	assert_false(passes(l, 9019, 0));
}

static void gso_frames_count_by_segment(void **state)
{
	static const struct {
		uint8_t gso;
		uint16_t csum_start, gso_size;
		uint8_t doff; /* TCP header in 32-bit words */
		bool passes;
	} rows[] = {
		{FRAME_GSO_TCPV4, 34, 1448, 8, true},
		{FRAME_GSO_TCPV4, 34, 1460, 5, true},
		{FRAME_GSO_TCPV4, 34, 1464, 5, true}, /* the slack of 4 bytes */
		{FRAME_GSO_TCPV4, 34, 1465, 5, false},
		{FRAME_GSO_TCPV4, 34, 8948, 8, false},
		{FRAME_GSO_TCPV6, 54, 1428, 8, true},
		{FRAME_GSO_TCPV6, 54, 1444, 8, false},
		{FRAME_GSO_UDP_L4, 34, 1472, 0, true},
		{FRAME_GSO_UDP_L4, 34, 1477, 0, false},
		/* contradictory headers are for offload and driver to refuse */
		{FRAME_GSO_TCPV4, 65000, 1448, 0, true},
	};
	struct kit_lab *l = *state;

	add(l, BB, l->b);
	for (unsigned i = 0; i < array_size(rows); i++) {
		struct frame *f = kit_frame(l->k, AA, BB, 60000);

		f->gso = rows[i].gso;
		f->gso_size = rows[i].gso_size;
		f->csum_start = rows[i].csum_start;
		f->hdr_len = 60000; /* as kernels give it: the linear part */
		f->flags = FRAME_CSUM_PARTIAL;
		if (rows[i].csum_start < 100)
			f->data[rows[i].csum_start + 12] = (uint8_t)(rows[i].doff << 4);
		kit_run(l->k, l->a);
		assert_int_equal(kit_got(l->k, l->b), rows[i].passes);
	}
	assert_int_equal(kit_drops(l->b, DROP_EGRESS_MTU), 4);
}

static void a_gso_frame_of_one_segment_counts_as_it_is(void **state)
{
	struct kit_lab *l = *state;
	struct frame *f = kit_frame(l->k, AA, BB, 1600);

	add(l, BB, l->b);
	f->gso = FRAME_GSO_UDP_L4;
	f->gso_size = 60000;
	f->csum_start = 34;
	kit_run(l->k, l->a);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->b, DROP_EGRESS_MTU), 1);
}

static void a_flood_leaves_out_ports_it_is_too_long_for(void **state)
{
	struct kit_lab *l = *state;

	bridge_port_link(l->k->br, l->c, l->c->mac, 9000, true);
	kit_frame(l->k, AA, MAC_BROADCAST, 5000);
	kit_run(l->k, l->a);
	assert_got(l, "ch"); /* the host takes any length */
	assert_int_equal(kit_drops(l->b, DROP_EGRESS_MTU), 1);
	kit_frame(l->k, AA, BB, 10000);
	kit_run(l->k, l->a);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->b, DROP_EGRESS_MTU), 2);
	assert_int_equal(kit_drops(l->c, DROP_EGRESS_MTU), 1);
	assert_int_equal(kit_drops(l->a, DROP_NO_EGRESS), 0); /* one reason each */
}

static void a_flood_takes_one_reference_per_taker(void **state)
{
	struct kit_lab *l = *state;
	uint32_t buf = kit_frame(l->k, AA, MAC_BROADCAST, 60)->buf;

	kit_run(l->k, l->a);
	assert_int_equal(kit_refs(l->k, buf), 3);
	assert_ptr_equal(l->k->out->lists[l->b->no].frames[0],
			 l->k->out->lists[l->host->no].frames[0]);
	kit_sent(l->k);
	assert_int_equal(l->k->n_live, 0);
}

static void a_full_batch_of_floods_balances(void **state)
{
	struct kit_lab *l = *state;

	set_promisc(l);
	for (uint32_t i = 0; i < BATCH_MAX; i++)
		kit_frame(l->k, AA, i & 1 ? MAC_BROADCAST : BB, 60);
	kit_run(l->k, l->a);
	assert_int_equal(kit_got_all(l->k), 3 * BATCH_MAX);
	assert_int_equal(l->k->n_live, BATCH_MAX);
	kit_sent(l->k);
	assert_int_equal(l->k->n_live, 0);
	assert_int_equal(l->k->out->n_used, 0);
}

static void mixed_batch_sorts_by_port_and_keeps_order(void **state)
{
	struct kit_lab *l = *state;
	uint64_t dst[] = {BB, BB + 1, bridge_mac(l->k->br)};

	add(l, BB, l->b);
	add(l, BB + 1, l->c);
	for (uint32_t i = 0; i < 60; i++)
		kit_frame(l->k, AA, dst[i % 3], 60 + i);
	kit_run(l->k, l->a);
	assert_int_equal(l->k->out->n_used, 3);
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(l->k->out->lists[l->b->no].frames[i]->len, 60 + 3 * i);
		assert_int_equal(l->k->out->lists[l->c->no].frames[i]->len, 61 + 3 * i);
		assert_int_equal(l->k->out->lists[l->host->no].frames[i]->len, 62 + 3 * i);
	}
}

static void flood_to_1023_ports(void **state)
{
	struct kit_lab *l = *state;

	for (uint32_t i = 4; i < PORTS_MAX - 1; i++)
		kit_port(l->k, "x", false);
	kit_frame(l->k, AA, MAC_BROADCAST, 60);
	kit_frame(l->k, AA, BB, 60);
	kit_run(l->k, l->a);
	assert_int_equal(kit_got_all(l->k), (PORTS_MAX - 2) + (PORTS_MAX - 3));
	assert_int_equal(kit_got(l->k, bridge_port(l->k->br, PORTS_MAX - 2)), 2);
	assert_int_equal(kit_got(l->k, l->host), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, kit_lab_setup, kit_lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(floods_obey_the_flags_of_their_class),
		T(flood_flags_do_not_hold_known_addresses_back),
		T(floods_go_to_forwarding_ports_with_a_link),
		T(hairpin_floods_back),
		T(isolated_ports_do_not_reach_each_other),
		T(the_host_port_has_no_flags_to_change),
		T(known_address_on_a_port_that_does_not_forward),
		T(an_entry_without_a_port_is_no_egress),
		T(nobody_to_flood_to),
		T(an_entry_on_the_host_port_goes_up),
		T(host_down),
		T(no_host_port),
		T(promisc_copies_forwarded_frames_up_once),
		T(the_mtu_rule_is_the_kernels),
		T(gso_frames_count_by_segment),
		T(a_gso_frame_of_one_segment_counts_as_it_is),
		T(a_flood_leaves_out_ports_it_is_too_long_for),
		T(a_flood_takes_one_reference_per_taker),
		T(a_full_batch_of_floods_balances),
		T(mixed_batch_sorts_by_port_and_keeps_order),
		T(flood_to_1023_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
