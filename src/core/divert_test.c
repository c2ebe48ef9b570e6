/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which frames a program gets: DESIGN 4.1 frame class by frame class in each mode, what is never
 * shown, rings that are not live, expressions, overflow. What happens on return is in
 * inject_test.c, except that each row here ends with the frame having been given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/intercept_testkit.h"

#define NONE  INTERCEPT_NONE
#define ALL   INTERCEPT_ALL
#define LOCAL INTERCEPT_LOCAL
#define COPY  INTERCEPT_COPY

static void set_reserved(struct ilab *l, enum intercept_reserved r)
{
	struct intercept_settings s = l->ic->set;

	s.reserved = (uint8_t)r;
	intercept_set(l->ic, &s);
}

/* From a port: who gets it at once, and who when the program has given it back. */
struct row {
	enum { TO_A = 1, TO_BRIDGE, TO_PORT_MAC } special;
	uint64_t dst;
	struct {
		const char *now, *later;
	} all, local, copy;
};

static const struct row rows[] = {
	{TO_BRIDGE, 0, {"n", "h"}, {"n", "h"}, {"hn", ""}},
	{TO_PORT_MAC, 0, {"n", "h"}, {"n", "h"}, {"hn", ""}},
	{0, BB, {"n", "b"}, {"b", ""}, {"bn", ""}},
	{0, AA, {"", ""}, {"", ""}, {"", ""}}, /* behind its own port */
	{0, XX, {"n", "bc"}, {"bc", ""}, {"bcn", ""}},
	{0, MAC_BROADCAST, {"n", "bch"}, {"bcn", "h"}, {"bchn", ""}},
	{0, MCAST, {"n", "bch"}, {"bcn", "h"}, {"bchn", ""}},
	{0, BPDU, {"n", "bch"}, {"bcn", "h"}, {"bchn", ""}}, /* spanning tree is off */
	{0, MAC_RESERVED_BASE + 1, {"", ""}, {"", ""}, {"", ""}},
};

static uint64_t dst_of(struct ilab *l, const struct row *r)
{
	if (r->special == TO_BRIDGE)
		return bridge_mac(l->k->br);
	return r->special == TO_PORT_MAC ? l->b->mac : r->dst;
}

static void run_row(struct ilab *l, const struct row *r, enum intercept_mode mode, enum give how)
{
	const char *now = mode == ALL ? r->all.now : mode == LOCAL ? r->local.now : r->copy.now;
	const char *later = mode == ALL     ? r->all.later
			    : mode == LOCAL ? r->local.later
					    : r->copy.later;
	uint64_t swallowed = ilab_drops(l, DROP_COPY_RETURN);

	ilab_set(l, mode, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, dst_of(l, r));
	assert_got(l, now);
	ilab_give(l, INTERCEPT_NIC, how);
	assert_got(l, later);
	swallowed = ilab_drops(l, DROP_COPY_RETURN) - swallowed;
	assert_int_equal(swallowed, mode == COPY && strchr(now, 'n') ? 1 : 0);
}

static void truth_table_of_ports(void **state)
{
	struct ilab *l = *state;

	for (unsigned i = 0; i < array_size(rows); i++) {
		for (int how = SWAPPED; how <= COPIED; how++) {
			run_row(l, &rows[i], ALL, how);
			run_row(l, &rows[i], LOCAL, how);
			run_row(l, &rows[i], COPY, how);
		}
	}
	assert_int_equal(ilab_drops(l, DROP_SAME_PORT), 6);
	assert_int_equal(ilab_drops(l, DROP_PAUSE), 6);
	assert_int_equal(l->ic->sides[INTERCEPT_NIC].counters.copied, 14);
}

static void auto_is_all_while_somebody_gives_back(void **state)
{
	struct ilab *l = *state;

	ilab_set(l, INTERCEPT_AUTO, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "n");
	ilab_forget(l);
	intercept_set_tx(l->ic, INTERCEPT_NIC, false);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "bn");
	ilab_send(l, l->host, XX, BB); /* the other direction is another question */
	assert_got(l, "H");
	intercept_set_tx(l->ic, INTERCEPT_HOST, false);
	ilab_send(l, l->host, XX, BB);
	assert_got(l, "bH");
	ilab_rings(l, 0);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "b");
	assert_int_equal(l->ic->sides[INTERCEPT_NIC].counters.uninspected, 0);
}

static void the_hosts_frames_by_mode(void **state)
{
	static const struct {
		uint64_t dst;
		const char *take, *later, *copy;
	} host_rows[] = {
		{BB, "H", "b", "bH"},
		{XX, "H", "abc", "abcH"},
		{MAC_BROADCAST, "H", "abc", "abcH"},
		{MCAST, "H", "abc", "abcH"},
		{BPDU, "H", "abc", "abcH"},
		{MAC_RESERVED_BASE + 1, "", "", ""},
		{KIT_MAC, "", "", ""}, /* its own */
	};
	static const enum intercept_mode modes[] = {ALL, LOCAL, COPY, NONE};
	struct ilab *l = *state;

	for (unsigned i = 0; i < array_size(host_rows); i++) {
		for (unsigned m = 0; m < array_size(modes); m++) {
			bool takes = modes[m] == ALL || modes[m] == LOCAL;

			ilab_set(l, modes[m], INTERCEPT_OPEN);
			ilab_send(l, l->host, XX + 1, host_rows[i].dst);
			assert_got(l, takes              ? host_rows[i].take
				      : modes[m] == COPY ? host_rows[i].copy
							 : host_rows[i].later);
			ilab_give(l, INTERCEPT_HOST, SWAPPED);
			assert_got(l, takes ? host_rows[i].later : "");
		}
	}
}

static void reserved_addresses_by_setting(void **state)
{
	struct ilab *l = *state;
	enum intercept_mode modes[] = {ALL, LOCAL};

	for (unsigned i = 0; i < 2; i++) {
		ilab_set(l, modes[i], INTERCEPT_OPEN);
		set_reserved(l, INTERCEPT_HIDE);
		ilab_send(l, l->a, AA, LLDP);
		assert_got(l, "h");
		set_reserved(l, INTERCEPT_SHOW);
		ilab_send(l, l->a, AA, LLDP);
		assert_got(l, "hn");
		ilab_give(l, INTERCEPT_NIC, SWAPPED);
		assert_got(l, "");
		set_reserved(l, INTERCEPT_TAKE);
		ilab_send(l, l->a, AA, LLDP);
		assert_got(l, "n");
		ilab_give(l, INTERCEPT_NIC, COPIED);
		assert_got(l, "h");
		ilab_send(l, l->host, XX, LLDP);
		assert_got(l, "H");
		ilab_give(l, INTERCEPT_HOST, SWAPPED);
		assert_got(l, "abc");
	}
	ilab_set(l, COPY, INTERCEPT_OPEN);
	set_reserved(l, INTERCEPT_HIDE);
	ilab_send(l, l->a, AA, LLDP);
	assert_got(l, "hn");
	ilab_set(l, NONE, INTERCEPT_OPEN);
	set_reserved(l, INTERCEPT_TAKE);
	ilab_send(l, l->a, AA, LLDP);
	assert_got(l, "h");
}

/* group_fwd_mask lets it pass as multicast; on return it still does. */
static void a_reserved_address_that_is_forwarded(void **state)
{
	struct ilab *l = *state;
	struct bridge_settings s = *bridge_settings(l->k->br);

	s.group_fwd_mask = 1 << 0xe;
	bridge_set(l->k->br, &s);
	ilab_set(l, ALL, INTERCEPT_OPEN);
	set_reserved(l, INTERCEPT_TAKE);
	ilab_send(l, l->a, AA, LLDP);
	assert_got(l, "n");
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "bch");
}

/* What the bridge would not have forwarded: dropped with its reason, not shown, in no mode. */
static void not_shown(struct ilab *l, uint64_t dst, enum drop_reason r)
{
	static const enum intercept_mode modes[] = {ALL, LOCAL, COPY};

	for (unsigned i = 0; i < array_size(modes); i++) {
		uint64_t before = ilab_drops(l, r);

		ilab_set(l, modes[i], INTERCEPT_OPEN);
		ilab_send(l, l->a, AA, dst);
		assert_got(l, "");
		assert_int_equal(ilab_drops(l, r), before + 1);
	}
}

static void what_is_not_forwarded_is_not_shown(void **state)
{
	struct ilab *l = *state;
	struct bridge *br = l->k->br;
	struct bridge_settings s = *bridge_settings(br);

	bridge_port_set_flags(br, l->a, BPORT_ISOLATED_FLAG, BPORT_ISOLATED_FLAG);
	bridge_port_set_flags(br, l->b, BPORT_ISOLATED_FLAG, BPORT_ISOLATED_FLAG);
	not_shown(l, BB, DROP_ISOLATED);
	bridge_port_set_flags(br, l->a, BPORT_ISOLATED_FLAG, 0);
	fdb_add(bridge_fdb(br), BB, 0, l->b->no, FDB_STATIC, true);
	bridge_port_set_state(br, l->b, BPORT_BLOCKING);
	not_shown(l, BB, DROP_EGRESS_STATE);
	bridge_port_link(br, l->b, l->b->mac, 1500, false);
	not_shown(l, BB, DROP_TX_DOWN);
	bridge_port_set_flags(br, l->c, BPORT_FLOOD_FLAG, 0);
	not_shown(l, XX, DROP_NO_EGRESS);
	bridge_port_link(br, l->host, l->host->mac, 1500, false);
	not_shown(l, bridge_mac(br), DROP_HOST_DOWN);
	bridge_port_set_state(br, l->a, BPORT_LEARNING);
	not_shown(l, MAC_BROADCAST, DROP_LEARNING_STATE);
	bridge_port_set_state(br, l->a, BPORT_BLOCKING);
	not_shown(l, MAC_BROADCAST, DROP_INGRESS_STATE);
	bridge_port_set_state(br, l->a, BPORT_DISABLED);
	not_shown(l, MAC_BROADCAST, DROP_PORT_DISABLED);
	s.monitor = true;
	bridge_set(br, &s);
	not_shown(l, MAC_BROADCAST, DROP_MONITOR);
}

/* Only a flood with nobody but the host: in `local` nothing is left for the ports. */
static void a_group_frame_for_the_host_alone(void **state)
{
	struct ilab *l = *state;

	bridge_port_del(l->k->br, l->b);
	bridge_port_del(l->k->br, l->c);
	l->b = l->c = NULL;
	ilab_set(l, LOCAL, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, MAC_BROADCAST);
	assert_got(l, "n");
	assert_int_equal(ilab_drops(l, DROP_NO_EGRESS), 0);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "h");
}

static void a_promiscuous_host_changes_nothing(void **state)
{
	struct ilab *l = *state;
	struct bridge_settings s = *bridge_settings(l->k->br);

	s.promisc = true;
	bridge_set(l->k->br, &s);
	ilab_set(l, ALL, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "n");
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "bh");
	ilab_set(l, LOCAL, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "bh");
}

static void frames_without_a_live_reader_follow_fail(void **state)
{
	static const uint8_t states[] = {0, INTERCEPT_BOUND, INTERCEPT_SYNCED,
					 LIVE | INTERCEPT_STALLED};
	struct ilab *l = *state;
	uint64_t n = 0;

	for (unsigned i = 0; i < array_size(states); i++) {
		ilab_rings(l, states[i]);
		ilab_set(l, INTERCEPT_AUTO, INTERCEPT_OPEN);
		ilab_send(l, l->a, AA, BB);
		assert_got(l, "b");
		ilab_set(l, ALL, INTERCEPT_OPEN);
		ilab_send(l, l->a, AA, MAC_BROADCAST);
		assert_got(l, "bch");
		assert_int_equal(l->ic->sides[INTERCEPT_NIC].counters.uninspected, 2 * (i + 1));
		ilab_set(l, INTERCEPT_AUTO, INTERCEPT_CLOSED);
		ilab_send(l, l->a, AA, BB);
		assert_got(l, "");
		assert_int_equal(kit_drops(l->a, DROP_NOT_INSPECTED), ++n);
		ilab_send(l, l->host, XX, BB);
		assert_got(l, "");
		assert_int_equal(kit_drops(l->host, DROP_NOT_INSPECTED), i + 1);
		/* local: only the host's share is held back */
		ilab_set(l, LOCAL, INTERCEPT_CLOSED);
		ilab_send(l, l->a, AA, MAC_BROADCAST);
		assert_got(l, "bc");
		assert_int_equal(kit_drops(l->a, DROP_NOT_INSPECTED), ++n);
		ilab_send(l, l->a, AA, BB);
		assert_got(l, "b");
		ilab_set(l, COPY, INTERCEPT_CLOSED);
		ilab_send(l, l->a, AA, BB);
		assert_got(l, "b");
	}
}

static bool is_to(void *ctx, const struct frame *f)
{
	return f->dst == *(uint64_t *)ctx;
}

static void filter_narrows_and_exempt_spares(void **state)
{
	struct ilab *l = *state;
	struct intercept_settings s = l->ic->set;
	uint64_t bb = BB, xx = XX;

	s.mode = ALL;
	s.fail = INTERCEPT_CLOSED; /* what is not to be inspected goes on all the same */
	s.filter = (struct intercept_match){is_to, &bb};
	intercept_set(l->ic, &s);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "n");
	ilab_send(l, l->a, AA, XX);
	assert_got(l, "bc");
	s.filter = (struct intercept_match){NULL, NULL};
	s.exempt = (struct intercept_match){is_to, &xx};
	intercept_set(l->ic, &s);
	ilab_send(l, l->a, AA, XX);
	assert_got(l, "bc");
	ilab_send(l, l->host, AA + 1, XX);
	assert_got(l, "abc");
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "n");
	s.mode = COPY;
	intercept_set(l->ic, &s);
	ilab_send(l, l->a, AA, XX);
	assert_got(l, "bc");
	assert_int_equal(l->ic->sides[INTERCEPT_NIC].counters.exempted, 3);
	assert_int_equal(l->ic->sides[INTERCEPT_HOST].counters.exempted, 1);
}

static void send_long(struct ilab *l, bool gso)
{
	struct frame *f = kit_frame(l->k, AA, BB, 3000);

	if (gso) {
		f->gso = FRAME_GSO_UDP_L4;
		f->gso_size = 1000;
		f->csum_start = 34;
	}
	kit_run(l->k, l->a);
	ilab_take(l);
}

static void frames_longer_than_a_slot_by_setting(void **state)
{
	struct ilab *l = *state;
	struct intercept_settings s = l->ic->set;

	bridge_port_link(l->k->br, l->b, l->b->mac, 9000, true);
	s.mode = ALL;
	intercept_set(l->ic, &s);
	send_long(l, false);
	assert_got(l, "b");
	assert_int_equal(l->ic->sides[INTERCEPT_NIC].counters.oversize, 1);
	send_long(l, true); /* its segments fit */
	assert_got(l, "n");
	s.oversize = INTERCEPT_OVERSIZE_MULTISLOT;
	intercept_set(l->ic, &s);
	send_long(l, false);
	assert_got(l, "n");
	s.oversize = INTERCEPT_OVERSIZE_DROP;
	intercept_set(l->ic, &s);
	send_long(l, false);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_RING_OVERSIZE), 1);
	s.mode = COPY;
	intercept_set(l->ic, &s);
	send_long(l, false);
	assert_got(l, "b");
}

/* The ring takes nothing: all of its list is refused. */
static void refuse_all(struct ilab *l)
{
	struct egress *e = l->k->out;

	for (uint32_t i = 0; i < e->n_used; i++) {
		struct egress_list *list = &e->lists[e->used[i]];

		if (!EGRESS_IS_RING(e->used[i]))
			continue;
		bridge_intercept_refused(l->k->br, list->frames, list->n, e);
		list->n = 0;
	}
}

static void refused(struct ilab *l, enum intercept_mode mode, uint64_t dst, const char *got)
{
	ilab_set(l, mode, INTERCEPT_OPEN);
	kit_send(l->k, l->a, AA, dst);
	refuse_all(l);
	assert_got(l, got);
}

static void a_full_ring_drops_or_lets_pass(void **state)
{
	struct ilab *l = *state;
	struct intercept_settings s = l->ic->set;
	const struct intercept_counters *c = &l->ic->sides[INTERCEPT_NIC].counters;

	refused(l, ALL, BB, "");
	refused(l, ALL, MAC_BROADCAST, "");
	refused(l, LOCAL, MAC_BROADCAST, "bc");
	assert_int_equal(kit_drops(l->a, DROP_RING_FULL), 3);
	refused(l, COPY, MAC_BROADCAST, "bch");
	assert_int_equal(c->copies_lost, 1);
	s.overflow = INTERCEPT_OVERFLOW_PASS;
	s.reserved = INTERCEPT_TAKE;
	intercept_set(l->ic, &s);
	refused(l, ALL, BB, "b");
	refused(l, ALL, XX, "bc");
	refused(l, ALL, MAC_BROADCAST, "bch");
	refused(l, ALL, bridge_mac(l->k->br), "h");
	refused(l, ALL, LLDP, "h");
	refused(l, LOCAL, MAC_BROADCAST, "bch");
	refused(l, COPY, BB, "b");
	assert_int_equal(c->overflow_pass, 6);
	assert_int_equal(c->copies_lost, 2);
	assert_int_equal(kit_drops(l->a, DROP_RING_FULL), 3);
	kit_send(l->k, l->host, XX, BB);
	ilab_set(l, ALL, INTERCEPT_OPEN);
	kit_send(l->k, l->host, XX, MAC_BROADCAST);
	refuse_all(l);
	assert_got(l, "abc");
}

/* Rings by flow: both directions in one, and a batch spreads. */
static void both_directions_share_a_ring(void **state)
{
	struct ilab *l = *state;
	struct intercept_settings s = l->ic->set;
	uint64_t seen = 0;

	s.mode = ALL;
	s.n_rings[INTERCEPT_NIC] = s.n_rings[INTERCEPT_HOST] = 64;
	intercept_set(l->ic, &s);
	ilab_rings(l, LIVE);
	for (uint64_t i = 0; i < 64; i++) {
		uint8_t there, back;

		ilab_send(l, l->a, AA, BB + (i << 8));
		there = l->origins[0].ring;
		ilab_forget(l);
		ilab_send(l, l->b, BB + (i << 8), AA);
		back = l->origins[0].ring;
		ilab_forget(l);
		assert_int_equal(there, back);
		seen |= 1ULL << there;
	}
	assert_in_range(__builtin_popcountll(seen), 30, 64);
}

/* Host frames spread over as many rings as that side has. */
static void host_frames_have_their_own_rings(void **state)
{
	struct ilab *l = *state;
	struct intercept_settings s = l->ic->set;
	uint64_t seen[INTERCEPT_SIDE_N] = {0};

	s.mode = ALL;
	s.n_rings[INTERCEPT_NIC] = 8;
	s.n_rings[INTERCEPT_HOST] = 2;
	intercept_set(l->ic, &s);
	ilab_rings(l, LIVE);
	for (uint64_t i = 0; i < 64; i++) {
		ilab_send(l, l->a, AA, BB + (i << 8));
		seen[INTERCEPT_NIC] |= 1ULL << l->origins[0].ring;
		ilab_forget(l);
		ilab_send(l, l->host, XX, BB + (i << 8));
		seen[INTERCEPT_HOST] |= 1ULL << l->origins[0].ring;
		ilab_forget(l);
	}
	assert_int_equal(seen[INTERCEPT_NIC], 0xff);
	assert_int_equal(seen[INTERCEPT_HOST], 0x3);
}

/* With one ring only GSO frames are asked for their flow. */
static void one_ring_needs_no_flow(void **state)
{
	struct ilab *l = *state;

	ilab_set(l, ALL, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(l->origins[0].flow_hash, 0);
	ilab_forget(l);
	send_long(l, true);
	assert_int_not_equal(l->origins[0].flow_hash, 0);
}

static void learning_counters_and_generations(void **state)
{
	struct ilab *l = *state;
	uint64_t rx = l->a->counters.rx_packets;
	uint32_t n_new = l->k->n_events[BRIDGE_FDB_NEW];

	l->k->now_ns = 12345;
	ilab_set(l, ALL, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA + 256, BB);
	assert_int_equal(l->k->n_events[BRIDGE_FDB_NEW], n_new + 1);
	assert_got(l, "n");
	assert_int_equal(l->origins[0].port, l->a->no);
	assert_int_equal(l->origins[0].generation, l->a->generation);
	assert_int_equal(l->origins[0].time_ns, 12345);
	assert_int_not_equal(l->a->generation, l->b->generation);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "b");
	assert_int_equal(l->a->counters.rx_packets, rx + 1);
	assert_int_equal(l->k->n_events[BRIDGE_FDB_NEW], n_new + 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, ilab_setup, ilab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(truth_table_of_ports),
		T(auto_is_all_while_somebody_gives_back),
		T(the_hosts_frames_by_mode),
		T(reserved_addresses_by_setting),
		T(a_reserved_address_that_is_forwarded),
		T(what_is_not_forwarded_is_not_shown),
		T(a_group_frame_for_the_host_alone),
		T(a_promiscuous_host_changes_nothing),
		T(frames_without_a_live_reader_follow_fail),
		T(filter_narrows_and_exempt_spares),
		T(frames_longer_than_a_slot_by_setting),
		T(a_full_ring_drops_or_lets_pass),
		T(both_directions_share_a_ring),
		T(host_frames_have_their_own_rings),
		T(one_ring_needs_no_flow),
		T(learning_counters_and_generations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
