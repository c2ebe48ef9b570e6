/* SPDX-License-Identifier: BSD-2-Clause */
/* Pass 1: each reason to drop, the order of the checks, what is learned and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/testkit.h"

#define AA          0x0200000000aaULL
#define BB          0x0200000000bbULL
#define MCAST       0x01005e000001ULL
#define RESERVED(x) (MAC_RESERVED_BASE + (x))

static bool knows(struct kit_lab *l, uint64_t mac, const struct bport *p)
{
	struct fdb_entry e;

	return fdb_get(bridge_fdb(l->k->br), mac, 0, &e) && e.port == p->no;
}

static void set(struct kit_lab *l, void (*change)(struct bridge_settings *s))
{
	struct bridge_settings s = *bridge_settings(l->k->br);

	change(&s);
	bridge_set(l->k->br, &s);
}

/* The frame was dropped for that reason, at p, and for no other. */
static void assert_dropped(struct kit_lab *l, const struct bport *p, enum drop_reason r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < DROP_N; i++)
		n += p->counters.drops.n[i];
	assert_int_equal(n, 1);
	assert_int_equal(kit_drops(p, r), 1);
	assert_int_equal(kit_got_all(l->k), 0);
}

static void unknown_is_flooded_and_source_learned(void **state)
{
	struct kit_lab *l = *state;

	kit_send(l->k, l->a, AA, BB);
	assert_int_equal(kit_got(l->k, l->a), 0);
	assert_int_equal(kit_got(l->k, l->b), 1);
	assert_int_equal(kit_got(l->k, l->c), 1);
	assert_int_equal(kit_got(l->k, l->host), 0);
	assert_true(knows(l, AA, l->a));
	assert_int_equal(l->k->n_events[BRIDGE_FDB_NEW], 1);
	assert_true(l->k->last.mac == AA);
	assert_int_equal(l->k->last.port, l->a->no);
}

static void known_goes_to_its_port_only(void **state)
{
	struct kit_lab *l = *state;

	kit_send(l->k, l->b, BB, AA);
	kit_send(l->k, l->a, AA, BB);
	assert_int_equal(kit_got(l->k, l->b), 1);
	assert_int_equal(kit_got_all(l->k), 1);
}

static void a_move_is_followed_and_told(void **state)
{
	struct kit_lab *l = *state;

	kit_send(l->k, l->a, AA, BB);
	kit_send(l->k, l->b, AA, MCAST);
	assert_true(knows(l, AA, l->b));
	assert_int_equal(l->k->n_events[BRIDGE_FDB_MOVED], 1);
	assert_int_equal(l->k->last.old_port, l->a->no);
	assert_int_equal(l->k->last.port, l->b->no);
}

static void within_a_batch_the_first_frame_teaches_the_second(void **state)
{
	struct kit_lab *l = *state;

	kit_send(l->k, l->b, BB, AA);
	for (int i = 0; i < BATCH_MAX; i++)
		kit_frame(l->k, AA + (unsigned)i * 256, BB, 60);
	kit_run(l->k, l->a);
	assert_int_equal(kit_got(l->k, l->b), BATCH_MAX);
	assert_int_equal(kit_got_all(l->k), BATCH_MAX);
	kit_frame(l->k, AA, BB, 60);
	kit_frame(l->k, BB, AA, 60); /* AA is behind this very port */
	kit_run(l->k, l->a);
	assert_int_equal(kit_got(l->k, l->b), 1);
	assert_int_equal(kit_drops(l->a, DROP_SAME_PORT), 1);
	assert_true(knows(l, BB, l->a));
}

static void empty_batch_does_nothing(void **state)
{
	struct kit_lab *l = *state;

	kit_run(l->k, l->a);
	assert_int_equal(kit_got_all(l->k), 0);
	assert_int_equal(l->a->counters.rx_packets, 0);
}

static void order_is_kept(void **state)
{
	struct kit_lab *l = *state;

	for (uint32_t i = 0; i < BATCH_MAX; i++)
		kit_frame(l->k, AA, i % 3 ? BB : MCAST, 60 + i);
	kit_run(l->k, l->a);
	assert_int_equal(kit_got(l->k, l->b), BATCH_MAX);
	for (uint32_t i = 0; i < BATCH_MAX; i++)
		assert_int_equal(l->k->out->lists[l->b->no].frames[i]->len, 60 + i);
}

static void counters_count_all_that_came_in(void **state)
{
	struct kit_lab *l = *state;

	kit_frame(l->k, AA, BB, 60);
	kit_frame(l->k, AA, MCAST, 100);
	kit_frame(l->k, AA, MAC_BROADCAST, 200);
	kit_frame(l->k, AA, BB, 13);
	kit_run(l->k, l->a);
	assert_int_equal(l->a->counters.rx_packets, 4);
	assert_int_equal(l->a->counters.rx_bytes, 373);
	assert_int_equal(l->a->counters.rx_multicast, 2);
	kit_sent(l->k);
	assert_int_equal(l->b->counters.tx_packets, 3);
	assert_int_equal(l->b->counters.tx_bytes, 360);
	assert_int_equal(l->host->counters.tx_packets, 2);
}

static void runts_are_dropped(void **state)
{
	struct kit_lab *l = *state;

	kit_frame(l->k, AA, BB, 13);
	kit_run(l->k, l->a);
	assert_dropped(l, l->a, DROP_RUNT);
	kit_frame(l->k, AA, BB, 0);
	kit_frame(l->k, AA, BB, 14);
	kit_run(l->k, l->a);
	assert_int_equal(kit_drops(l->a, DROP_RUNT), 2);
	assert_int_equal(kit_got(l->k, l->b), 1);
}

static void zero_or_group_source_is_dropped(void **state)
{
	struct kit_lab *l = *state;

	kit_send(l->k, l->a, 0, BB);
	assert_dropped(l, l->a, DROP_INVALID_SOURCE);
	kit_send(l->k, l->a, MCAST, BB);
	kit_send(l->k, l->a, MAC_BROADCAST, RESERVED(14));
	assert_int_equal(kit_drops(l->a, DROP_INVALID_SOURCE), 3);
	assert_int_equal(l->k->n_events[BRIDGE_FDB_NEW], 0);
}

static void set_monitor(struct bridge_settings *s)
{
	s->monitor = true;
}

static void a_monitoring_bridge_counts_and_forwards_nothing(void **state)
{
	struct kit_lab *l = *state;

	set(l, set_monitor);
	kit_send(l->k, l->a, AA, BB);
	assert_dropped(l, l->a, DROP_MONITOR);
	assert_int_equal(l->a->counters.rx_packets, 1);
	assert_false(knows(l, AA, l->a));
	kit_frame(l->k, AA, BB, 5);
	kit_frame(l->k, 0, BB, 60);
	kit_run(l->k, l->a);
	assert_int_equal(kit_drops(l->a, DROP_RUNT), 1);
	assert_int_equal(kit_drops(l->a, DROP_MONITOR), 2);
	kit_send(l->k, l->host, bridge_mac(l->k->br), MAC_BROADCAST);
	assert_dropped(l, l->host, DROP_MONITOR);
}

static void port_states_gate_the_ingress(void **state)
{
	static const struct {
		enum bport_state state;
		enum drop_reason why;
		bool learns;
	} rows[] = {
		{BPORT_DISABLED, DROP_PORT_DISABLED, false},
		{BPORT_LISTENING, DROP_INGRESS_STATE, false},
		{BPORT_BLOCKING, DROP_INGRESS_STATE, false},
		{BPORT_LEARNING, DROP_LEARNING_STATE, true},
	};
	struct kit_lab *l = *state;

	for (unsigned i = 0; i < array_size(rows); i++) {
		uint64_t before = kit_drops(l->a, rows[i].why);

		bridge_port_set_state(l->k->br, l->a, rows[i].state);
		kit_send(l->k, l->a, AA, BB);
		assert_int_equal(kit_got_all(l->k), 0);
		assert_int_equal(kit_drops(l->a, rows[i].why), before + 1);
		assert_int_equal(knows(l, AA, l->a), rows[i].learns);
	}
	bridge_port_set_state(l->k->br, l->a, BPORT_FORWARDING);
	kit_send(l->k, l->a, AA, BB);
	assert_int_equal(kit_got_all(l->k), 2);
}

static void pause_never_passes(void **state)
{
	struct kit_lab *l = *state;

	kit_send(l->k, l->a, AA, RESERVED(1));
	assert_dropped(l, l->a, DROP_PAUSE);
	assert_false(knows(l, AA, l->a));
	l->a->group_fwd_mask = 0xffff;
	kit_send(l->k, l->a, AA, RESERVED(1));
	assert_int_equal(kit_drops(l->a, DROP_PAUSE), 2);
	kit_send(l->k, l->host, bridge_mac(l->k->br), RESERVED(1));
	assert_dropped(l, l->host, DROP_PAUSE);
}

static void bpdus_pass_while_stp_is_off(void **state)
{
	struct kit_lab *l = *state;

	kit_send(l->k, l->a, AA, RESERVED(0));
	assert_int_equal(kit_got_all(l->k), 3);
	assert_int_equal(kit_got(l->k, l->host), 1);
}

static void other_reserved_go_to_the_host_only_and_teach(void **state)
{
	struct kit_lab *l = *state;

	for (unsigned x = 2; x < 16; x++) {
		kit_send(l->k, l->a, AA + x, RESERVED(x));
		assert_int_equal(kit_got_all(l->k), 1);
		assert_int_equal(kit_got(l->k, l->host), 1);
		assert_true(knows(l, AA + x, l->a));
	}
	kit_send(l->k, l->a, AA, RESERVED(16)); /* one past the range: any multicast */
	assert_int_equal(kit_got_all(l->k), 3);
}

static void set_masks(struct bridge_settings *s)
{
	s->group_fwd_mask = 0xffff;
}

static void masks_let_reserved_pass(void **state)
{
	struct kit_lab *l = *state;

	l->b->group_fwd_mask = 1 << 14;
	kit_send(l->k, l->b, AA, RESERVED(14));
	assert_int_equal(kit_got_all(l->k), 3);
	kit_send(l->k, l->a, AA, RESERVED(14)); /* the mask of the ingress port counts */
	assert_int_equal(kit_got_all(l->k), 1);
	set(l, set_masks);
	assert_int_equal(bridge_settings(l->k->br)->group_fwd_mask, 0xfff8);
	kit_send(l->k, l->a, AA, RESERVED(14));
	assert_int_equal(kit_got_all(l->k), 3);
	kit_send(l->k, l->a, AA, RESERVED(2)); /* not for the whole bridge, as in Linux */
	assert_int_equal(kit_got_all(l->k), 1);
	l->a->group_fwd_mask = 1 << 2;
	kit_send(l->k, l->a, AA, RESERVED(2));
	assert_int_equal(kit_got_all(l->k), 3);
}

static void reserved_reach_the_host_through_a_blocked_port(void **state)
{
	struct kit_lab *l = *state;

	bridge_port_set_state(l->k->br, l->a, BPORT_BLOCKING);
	kit_send(l->k, l->a, AA, RESERVED(14));
	assert_int_equal(kit_got(l->k, l->host), 1);
	assert_false(knows(l, AA, l->a));
	bridge_port_set_state(l->k->br, l->a, BPORT_LEARNING);
	kit_send(l->k, l->a, AA, RESERVED(14));
	assert_int_equal(kit_got(l->k, l->host), 1);
	assert_true(knows(l, AA, l->a));
	bridge_port_set_state(l->k->br, l->a, BPORT_DISABLED);
	kit_send(l->k, l->a, AA, RESERVED(14));
	assert_dropped(l, l->a, DROP_PORT_DISABLED);
}

static void set_no_linklocal_learn(struct bridge_settings *s)
{
	s->no_linklocal_learn = true;
}

static void no_linklocal_learn_is_obeyed(void **state)
{
	struct kit_lab *l = *state;

	set(l, set_no_linklocal_learn);
	kit_send(l->k, l->a, AA, RESERVED(14));
	assert_int_equal(kit_got(l->k, l->host), 1);
	assert_false(knows(l, AA, l->a));
}

static void without_the_learning_flag_nothing_is_learned(void **state)
{
	struct kit_lab *l = *state;

	bridge_port_set_flags(l->k->br, l->a, BPORT_LEARNING_FLAG, 0);
	kit_send(l->k, l->a, AA, BB);
	assert_int_equal(kit_got_all(l->k), 2);
	assert_false(knows(l, AA, l->a));
}

static void sticky_addresses_do_not_move(void **state)
{
	struct kit_lab *l = *state;

	bridge_port_set_flags(l->k->br, l->a, BPORT_STICKY_FLAG, BPORT_STICKY_FLAG);
	kit_send(l->k, l->a, AA, BB);
	kit_send(l->k, l->b, AA, BB);
	assert_true(knows(l, AA, l->a));
	assert_int_equal(l->k->n_events[BRIDGE_FDB_MOVED], 0);
	assert_int_equal(l->k->n_events[BRIDGE_OWN_SOURCE], 0);
}

static void limits_stop_learning_not_traffic(void **state)
{
	struct kit_lab *l = *state;

	bridge_port_set_fdb_limit(l->k->br, l->a, 2);
	for (unsigned i = 0; i < 4; i++) {
		kit_send(l->k, l->a, AA + i * 256, BB);
		assert_int_equal(kit_got_all(l->k), 2);
	}
	assert_int_equal(l->k->n_events[BRIDGE_FDB_FULL], 2);
	assert_int_equal(fdb_port_learned(bridge_fdb(l->k->br), l->a->no), 2);
}

static void own_addresses_as_source_are_reported_not_learned(void **state)
{
	struct kit_lab *l = *state;
	uint64_t own[] = {bridge_mac(l->k->br), l->a->mac, l->b->mac};

	for (unsigned i = 0; i < array_size(own); i++) {
		struct fdb_entry e;

		kit_send(l->k, l->a, own[i], BB);
		assert_int_equal(kit_got_all(l->k), 2); /* forwarded all the same, as in Linux */
		assert_int_equal(l->k->n_events[BRIDGE_OWN_SOURCE], i + 1);
		assert_true(l->k->last.mac == own[i]);
		assert_int_equal(l->k->last.port, l->a->no);
		assert_true(fdb_get(bridge_fdb(l->k->br), own[i], 0, &e));
		assert_int_equal(e.kind, FDB_LOCAL);
	}
}

static void own_addresses_are_for_the_host(void **state)
{
	struct kit_lab *l = *state;
	uint64_t own[] = {bridge_mac(l->k->br), l->a->mac, l->b->mac, l->c->mac};

	for (unsigned i = 0; i < array_size(own); i++) {
		kit_send(l->k, l->a, AA, own[i]);
		assert_int_equal(kit_got_all(l->k), 1);
		assert_int_equal(kit_got(l->k, l->host), 1);
	}
}

static void same_port_is_dropped_unless_hairpin(void **state)
{
	struct kit_lab *l = *state;

	kit_send(l->k, l->a, BB, MCAST);
	kit_send(l->k, l->a, AA, BB);
	assert_dropped(l, l->a, DROP_SAME_PORT);
	bridge_port_set_flags(l->k->br, l->a, BPORT_HAIRPIN_FLAG, BPORT_HAIRPIN_FLAG);
	kit_send(l->k, l->a, AA, BB);
	assert_int_equal(kit_got(l->k, l->a), 1);
	assert_int_equal(kit_got_all(l->k), 1);
}

static void the_host_is_not_learned(void **state)
{
	struct kit_lab *l = *state;
	struct fdb_entry e;

	kit_send(l->k, l->host, AA, BB);
	assert_int_equal(kit_got_all(l->k), 3);
	assert_int_equal(kit_got(l->k, l->host), 0);
	assert_false(fdb_get(bridge_fdb(l->k->br), AA, 0, &e));
	kit_send(l->k, l->host, bridge_mac(l->k->br), BB);
	assert_int_equal(l->k->n_events[BRIDGE_OWN_SOURCE], 0);
	assert_int_equal(l->k->n_events[BRIDGE_FDB_NEW], 0);
}

static void the_host_finds_known_addresses(void **state)
{
	struct kit_lab *l = *state;

	kit_send(l->k, l->b, BB, AA);
	kit_send(l->k, l->host, bridge_mac(l->k->br), BB);
	assert_int_equal(kit_got(l->k, l->b), 1);
	assert_int_equal(kit_got_all(l->k), 1);
}

static void the_host_may_send_to_reserved_addresses(void **state)
{
	struct kit_lab *l = *state;

	kit_send(l->k, l->host, bridge_mac(l->k->br), RESERVED(14));
	assert_int_equal(kit_got_all(l->k), 3);
	assert_int_equal(kit_got(l->k, l->host), 0);
}

static void the_host_to_itself_is_dropped(void **state)
{
	struct kit_lab *l = *state;

	kit_send(l->k, l->host, AA, bridge_mac(l->k->br));
	assert_dropped(l, l->host, DROP_SAME_PORT);
	kit_send(l->k, l->host, AA, l->b->mac);
	assert_int_equal(kit_drops(l->host, DROP_SAME_PORT), 2);
}

static void the_host_is_off_while_its_interface_is_down(void **state)
{
	struct kit_lab *l = *state;

	bridge_port_link(l->k->br, l->host, l->host->mac, 1500, false);
	kit_send(l->k, l->host, AA, BB);
	assert_dropped(l, l->host, DROP_PORT_DISABLED);
	kit_frame(l->k, AA, BB, 3);
	kit_run(l->k, l->host);
	assert_int_equal(kit_drops(l->host, DROP_RUNT), 1);
}

static void ageing_follows_the_batches_clock(void **state)
{
	struct kit_lab *l = *state;

	kit_send(l->k, l->b, BB, AA);
	l->k->now_ns = 299 * 1000000000ULL;
	kit_send(l->k, l->a, AA, BB);
	assert_int_equal(kit_got_all(l->k), 1);
	l->k->now_ns = 302 * 1000000000ULL;
	kit_send(l->k, l->a, AA, BB);
	assert_int_equal(kit_got_all(l->k), 2);
}

/* The reason's last frame, wherever it was dropped; nothing for frames that pass. */
static void the_last_dropped_frame_is_kept(void **state)
{
	struct kit_lab *l = *state;
	const struct drop_last *last = bridge_drop_log(l->k->br)->last;
	uint8_t first[12];

	kit_send(l->k, l->b, BB, AA);
	for (int r = 0; r < DROP_N; r++)
		assert_int_equal(last[r].time_ns, 0);
	l->k->now_ns = 5000;
	kit_send(l->k, l->b, AA, BB); /* back to where it came from */
	assert_int_equal(last[DROP_SAME_PORT].time_ns, 5000);
	assert_int_equal(last[DROP_SAME_PORT].port, l->b->generation);
	assert_int_equal(last[DROP_SAME_PORT].len, 60);
	assert_int_equal(last[DROP_SAME_PORT].caplen, 60);
	mac_store(first, BB);
	mac_store(first + 6, AA);
	assert_memory_equal(last[DROP_SAME_PORT].data, first, 12);
	/* In pass 2, at the port that it is too long for. */
	l->k->now_ns = 6000;
	kit_frame(l->k, AA, BB, 1600);
	kit_run(l->k, l->a);
	assert_int_equal(last[DROP_EGRESS_MTU].port, l->b->generation);
	assert_int_equal(last[DROP_EGRESS_MTU].len, 1600);
	assert_int_equal(last[DROP_EGRESS_MTU].caplen, DROP_BYTES);
	assert_int_equal(last[DROP_SAME_PORT].time_ns, 5000);
}

static void tagged_frames_keep_their_bytes(void **state)
{
	static const uint8_t tags[] = {0x88, 0xa8, 0x20, 1, 0x81, 0, 0, 2, 0x08, 0};
	struct kit_lab *l = *state;
	struct frame *f = kit_frame(l->k, AA, BB, 68), *out;
	uint8_t before[68];

	memcpy(f->data + 12, tags, sizeof(tags));
	memcpy(before, f->data, sizeof(before));
	kit_run(l->k, l->a);
	assert_int_equal(kit_got(l->k, l->b), 1);
	out = l->k->out->lists[l->b->no].frames[0];
	assert_int_equal(out->n_tags, 2);
	assert_int_equal(out->len, 68);
	assert_memory_equal(out->data, before, sizeof(before));
}

#define T(f) cmocka_unit_test_setup_teardown(f, kit_lab_setup, kit_lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(unknown_is_flooded_and_source_learned),
		T(known_goes_to_its_port_only),
		T(a_move_is_followed_and_told),
		T(within_a_batch_the_first_frame_teaches_the_second),
		T(empty_batch_does_nothing),
		T(order_is_kept),
		T(counters_count_all_that_came_in),
		T(runts_are_dropped),
		T(zero_or_group_source_is_dropped),
		T(a_monitoring_bridge_counts_and_forwards_nothing),
		T(port_states_gate_the_ingress),
		T(pause_never_passes),
		T(bpdus_pass_while_stp_is_off),
		T(other_reserved_go_to_the_host_only_and_teach),
		T(masks_let_reserved_pass),
		T(reserved_reach_the_host_through_a_blocked_port),
		T(no_linklocal_learn_is_obeyed),
		T(without_the_learning_flag_nothing_is_learned),
		T(sticky_addresses_do_not_move),
		T(limits_stop_learning_not_traffic),
		T(own_addresses_as_source_are_reported_not_learned),
		T(own_addresses_are_for_the_host),
		T(same_port_is_dropped_unless_hairpin),
		T(the_host_is_not_learned),
		T(the_host_finds_known_addresses),
		T(the_host_may_send_to_reserved_addresses),
		T(the_host_to_itself_is_dropped),
		T(the_host_is_off_while_its_interface_is_down),
		T(ageing_follows_the_batches_clock),
		T(the_last_dropped_frame_is_kept),
		T(tagged_frames_keep_their_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
