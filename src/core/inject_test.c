/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that programs send. The lists of ways in which FreeBSD's bridge loses or misplaces a frame
 * on its way back, and of what it does with each class of frame a program writes, row by row: here
 * each must arrive, from the port it came from, counted once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/intercept_testkit.h"

#define NIC  INTERCEPT_NIC
#define HOST INTERCEPT_HOST
#define GONE 0x0200000000eeULL

/* Something happens while the program has the frame: it arrives all the same, as if nothing had. */
static void passes_with(struct ilab *l, uint64_t dst, void (*happens)(struct ilab *l),
			const char *got)
{
	for (int how = SWAPPED; how <= COPIED; how++) {
		ilab_send(l, l->a, AA, dst);
		assert_got(l, "n");
		happens(l);
		ilab_give(l, NIC, how);
		assert_got(l, got);
	}
}

static void nothing(struct ilab *l)
{
}

/* ---- ways to be lost ---- */

static void with_learning_off(void **state)
{
	struct ilab *l = *state;

	bridge_port_set_flags(l->k->br, l->a, BPORT_LEARNING_FLAG, 0);
	fdb_flush(bridge_fdb(l->k->br), &(struct fdb_flush){.port = l->a->no, .vid = -1});
	passes_with(l, BB, nothing, "b");
	passes_with(l, XX, nothing, "bc");
}

static void with_a_full_table(void **state)
{
	struct ilab *l = *state;
	struct bridge_settings s = *bridge_settings(l->k->br);

	s.fdb_max_learned = 1;
	bridge_set(l->k->br, &s);
	for (int how = SWAPPED; how <= COPIED; how++) {
		ilab_send(l, l->a, GONE + (uint64_t)how * 256, XX);
		assert_got(l, "n");
		ilab_give(l, NIC, how);
		assert_got(l, "bc");
	}
}

static void at_the_ports_limit(void **state)
{
	struct ilab *l = *state;

	bridge_port_set_fdb_limit(l->k->br, l->a, 1);
	ilab_send(l, l->a, GONE, BB);
	assert_got(l, "n");
	ilab_give(l, NIC, COPIED);
	assert_got(l, "b");
}

static void flush(struct ilab *l)
{
	fdb_flush(bridge_fdb(l->k->br), &(struct fdb_flush){.port = l->a->no, .vid = -1});
}

static void age(struct ilab *l)
{
	struct bridge *br = l->k->br;

	l->k->now_ns += 400 * 1000000000ULL;
	bridge_tick(br, l->k->now_ns);
	fdb_add(bridge_fdb(br), BB, 0, l->b->no, FDB_STATIC, true);
}

static void link_down(struct ilab *l)
{
	bridge_port_link(l->k->br, l->a, l->a->mac, 1500, false);
}

static void with_the_entry_aged_or_flushed(void **state)
{
	struct ilab *l = *state;

	passes_with(l, BB, flush, "b");
	passes_with(l, BB, age, "b");
	passes_with(l, XX, age, "bc");
}

/* It had been received; the ingress gets none of a flood, though its entry is gone. */
static void with_the_link_lost(void **state)
{
	struct ilab *l = *state;

	ilab_send(l, l->a, AA, BB);
	ilab_send(l, l->a, AA, MAC_BROADCAST);
	l->n_held[NIC] = 0;
	link_down(l);
	ilab_give(l, NIC, SWAPPED);
	assert_int_equal(kit_got(l->k, l->b), 2);
	assert_int_equal(kit_got(l->k, l->c), 1);
	assert_int_equal(kit_got(l->k, l->host), 1);
	assert_int_equal(kit_got(l->k, l->a), 0);
}

static void with_the_source_rewritten(void **state)
{
	static const uint64_t sources[] = {
		0x030000000001ULL, /* a group */
		0,                 /* zero */
		BB,                /* another port's station */
		GONE,              /* nobody's */
	};
	struct ilab *l = *state;

	for (unsigned i = 0; i < array_size(sources); i++) {
		ilab_send(l, l->a, AA, XX);
		assert_got(l, "n");
		mac_store(l->held[0].data + 6, sources[i]);
		ilab_give(l, NIC, SWAPPED);
		assert_got(l, "bc"); /* not a, where it came from */
	}
	ilab_send(l, l->a, AA, BB);
	mac_store(l->held[0].data + 6, bridge_mac(l->k->br));
	assert_got(l, "n");
	ilab_give(l, NIC, SWAPPED);
	assert_got(l, "b");
	assert_int_equal(l->k->n_events[BRIDGE_FDB_MOVED], 0); /* nothing is learned */
	assert_int_equal(l->k->n_events[BRIDGE_OWN_SOURCE], 0);
	ilab_send(l, l->a, AA, XX); /* rewritten in a copy: a program's frame, to everybody */
	mac_store(l->held[0].data + 6, GONE);
	assert_got(l, "n");
	ilab_give(l, NIC, COPIED);
	assert_got(l, "abch");
}

/* The station moved to c while the frame was out: it is still a frame of a. */
static void with_the_station_moved(void **state)
{
	struct ilab *l = *state;

	for (int how = SWAPPED; how <= COPIED; how++) {
		ilab_send(l, l->a, GONE, XX);
		assert_got(l, "n");
		intercept_set_tx(l->ic, NIC, false);
		ilab_set(l, INTERCEPT_NONE, INTERCEPT_OPEN);
		kit_send(l->k, l->c, GONE, BB);
		ilab_set(l, INTERCEPT_AUTO, INTERCEPT_OPEN);
		intercept_set_tx(l->ic, NIC, true);
		ilab_give(l, NIC, how);
		assert_got(l, "bc");
	}
}

static void with_tags(void **state)
{
	struct ilab *l = *state;

	for (int n = 1; n <= 2; n++) {
		for (int how = SWAPPED; how <= COPIED; how++) {
			struct frame *f = kit_frame(l->k, AA, BB, 80);

			memcpy(f->data + 12, n == 2 ? "\x88\xa8\0\x05\x81\0\0\x07" : "\x81\0\0\x05",
			       (size_t)n * 4);
			kit_run(l->k, l->a);
			ilab_take(l);
			assert_got(l, "n");
			assert_memory_equal(l->held[0].data + 12,
					    n == 2 ? "\x88\xa8\0\x05" : "\x81\0\0\x05", 4);
			ilab_give(l, NIC, how);
			assert_got(l, "b");
			assert_int_equal(l->k->out->lists[l->b->no].frames[0]->len, 80);
		}
	}
}

/* The program was restarted or held it for long: no record, but the address is remembered. */
static void with_the_record_gone(void **state)
{
	struct ilab *l = *state;

	ilab_send(l, l->a, AA, XX);
	assert_got(l, "n");
	origins_forget(l->os[NIC]);
	ilab_give(l, NIC, COPIED);
	assert_got(l, "bc");
	assert_int_equal(l->k->done->frames[0].origin, ORIGIN_SOURCE);
}

/* ---- what a program makes itself ---- */

struct class
{
	uint64_t dst;
	enum { PLAIN, OWN_MAC, PORT_MAC } kind;
	const char *known, *unknown, *nic; /* source behind a; source unknown; to a NIC TX ring */
	enum drop_reason drop;             /* where nobody gets it */
};

static void truth_table_of_programs(void **state)
{
	static const struct class rows[] = {
		{0, OWN_MAC, "h", "h", "", DROP_SAME_PORT},
		{0, PORT_MAC, "h", "h", "", DROP_SAME_PORT},
		{BB, PLAIN, "b", "b", "b", DROP_N},
		{AA, PLAIN, "", "a", "a", DROP_SAME_PORT}, /* behind its own port */
		{XX, PLAIN, "bc", "abch", "abc", DROP_N},
		{MAC_BROADCAST, PLAIN, "bch", "abch", "abc", DROP_N},
		{MCAST, PLAIN, "bch", "abch", "abc", DROP_N},
		{LLDP, PLAIN, "", "", "", DROP_RESERVED_SENT},
		{BPDU, PLAIN, "", "", "", DROP_RESERVED_SENT},
		{MAC_RESERVED_BASE + 1, PLAIN, "", "", "", DROP_PAUSE},
	};
	struct ilab *l = *state;

	ilab_send(l, l->a, GONE, MAC_BROADCAST); /* so that a is known for it */
	ilab_forget(l);
	l->n_held[NIC] = 0;
	for (unsigned i = 0; i < array_size(rows); i++) {
		const struct class *r = &rows[i];
		uint64_t dst = r->kind == OWN_MAC    ? bridge_mac(l->k->br)
			       : r->kind == PORT_MAC ? l->b->mac
						     : r->dst;
		uint64_t drops = r->drop < DROP_N ? ilab_drops(l, r->drop) : 0, n = 0;

		ilab_make(l, GONE, dst);
		ilab_give(l, NIC, SWAPPED);
		assert_got(l, r->known);
		n += !*r->known;
		ilab_make(l, XX + 9, dst);
		ilab_give(l, NIC, SWAPPED);
		assert_got(l, r->unknown);
		n += !*r->unknown;
		ilab_make(l, XX + 9, dst);
		ilab_give(l, HOST, SWAPPED);
		assert_got(l, r->nic);
		n += !*r->nic;
		if (r->drop < DROP_N)
			assert_int_equal(ilab_drops(l, r->drop), drops + n);
	}
	assert_int_equal(l->k->n_events[BRIDGE_FDB_NEW], 3); /* AA, BB, GONE: none from it */
}

/* Not even flags of ports that hold unknown addresses back drop what is of unknown origin. */
static void the_host_is_always_asked(void **state)
{
	struct ilab *l = *state;

	for (struct bport *p = NULL; (p = bridge_port_next(l->k->br, p));)
		bridge_port_set_flags(l->k->br, p, BPORT_FLOOD_FLAG, 0);
	ilab_make(l, XX + 1, XX);
	ilab_give(l, NIC, SWAPPED);
	assert_got(l, "h");
}

static void reserved_addresses_if_allowed(void **state)
{
	struct ilab *l = *state;
	struct intercept_settings s = l->ic->set;

	s.reserved_tx = true;
	intercept_set(l->ic, &s);
	ilab_make(l, XX, LLDP);
	ilab_give(l, NIC, SWAPPED);
	assert_got(l, "h");
	ilab_make(l, XX, LLDP);
	ilab_give(l, HOST, SWAPPED);
	assert_got(l, "abc");
	ilab_make(l, XX, MAC_RESERVED_BASE + 1);
	ilab_give(l, HOST, SWAPPED);
	assert_got(l, "");
	assert_int_equal(ilab_drops(l, DROP_PAUSE), 1);
}

/* A lent frame whose destination the program has changed to a reserved one, and another one. */
static void a_lent_frame_is_no_pass_for_forged_ones(void **state)
{
	struct ilab *l = *state;
	struct intercept_settings s = l->ic->set;

	ilab_send(l, l->a, AA, BB);
	mac_store(l->held[0].data, BPDU);
	assert_got(l, "n");
	ilab_give(l, NIC, SWAPPED);
	assert_got(l, "");
	s.reserved = INTERCEPT_TAKE;
	intercept_set(l->ic, &s);
	ilab_send(l, l->a, AA, LLDP);
	mac_store(l->held[0].data, BPDU);
	assert_got(l, "n");
	ilab_give(l, NIC, SWAPPED);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_RESERVED_SENT), 2);
}

/* ---- state that changed meanwhile ---- */

static void returned_into(struct ilab *l, enum bport_state state, enum drop_reason r)
{
	ilab_send(l, l->a, AA, BB);
	ilab_send(l, l->a, AA, MAC_BROADCAST);
	l->n_held[NIC] = 0;
	bridge_port_set_state(l->k->br, l->a, state);
	ilab_give(l, NIC, SWAPPED);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, r), 2);
	bridge_port_set_state(l->k->br, l->a, BPORT_FORWARDING);
}

static void the_state_of_the_ingress_counts(void **state)
{
	struct ilab *l = *state;

	returned_into(l, BPORT_BLOCKING, DROP_INGRESS_STATE);
	returned_into(l, BPORT_LEARNING, DROP_LEARNING_STATE);
	returned_into(l, BPORT_DISABLED, DROP_PORT_DISABLED);
}

static void the_state_of_the_egress_counts(void **state)
{
	struct ilab *l = *state;

	ilab_send(l, l->a, AA, MAC_BROADCAST);
	assert_got(l, "n");
	bridge_port_set_state(l->k->br, l->b, BPORT_BLOCKING);
	ilab_give(l, NIC, SWAPPED);
	assert_got(l, "ch");
}

static void the_port_has_left(void **state)
{
	struct ilab *l = *state;

	ilab_send(l, l->a, AA, BB);
	bridge_port_del(l->k->br, l->a);
	l->a = kit_port(l->k, "new", false); /* the same number */
	assert_got(l, "n");
	ilab_give(l, NIC, SWAPPED);
	assert_got(l, "");
	assert_int_equal(bridge_nowhere(l->k->br)->counters.drops.n[DROP_ORIGIN_GONE], 1);
	ilab_make(l, AA, BB); /* what the program makes is not lost for an old address */
	ilab_give(l, NIC, SWAPPED);
	assert_got(l, "b");
}

static void monitor_mode_lets_nothing_through(void **state)
{
	struct ilab *l = *state;
	struct bridge_settings s = *bridge_settings(l->k->br);

	ilab_send(l, l->a, AA, BB);
	s.monitor = true;
	bridge_set(l->k->br, &s);
	assert_got(l, "n");
	ilab_give(l, NIC, SWAPPED);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_MONITOR), 1);
}

static void shortened_to_nothing(void **state)
{
	struct ilab *l = *state;
	struct batch *b = l->k->in;

	kit_frame(l->k, AA, BB, 13);
	bridge_inject(l->k->br, b, NULL);
	bridge_forward(l->k->br, b, l->k->out);
	b->n = 0;
	assert_int_equal(bridge_nowhere(l->k->br)->counters.drops.n[DROP_RUNT], 1);
}

static void stale_frames_do_not_go_out_twice(void **state)
{
	struct ilab *l = *state;

	for (int how = SWAPPED; how <= COPIED; how++) {
		ilab_send(l, l->a, AA, BB);
		assert_got(l, "n");
		origins_revoke(l->os[NIC], l->origins[0].ring);
		ilab_give(l, NIC, how);
		assert_got(l, "");
	}
	assert_int_equal(kit_drops(l->a, DROP_STALE_RETURN), 2);
}

static void frames_of_the_other_side_are_the_programs_own(void **state)
{
	struct ilab *l = *state;
	struct origin host = {.port = l->host->no, .how = ORIGIN_BUFFER};
	struct batch *b = l->k->in;

	host.generation = l->host->generation;
	kit_sent(l->k);
	kit_frame(l->k, XX, MAC_BROADCAST, 60);
	bridge_inject(l->k->br, b, &host);
	bridge_forward(l->k->br, b, l->k->out);
	assert_got(l, "abch");
	kit_sent(l->k);
	b->n = 0;
}

/* Seen once: not received, learned or shown again, from whichever ring. */
static void nothing_counts_twice(void **state)
{
	struct ilab *l = *state;
	uint64_t rx = l->a->counters.rx_packets, rx_host = l->host->counters.rx_packets;
	uint64_t taken = l->ic->sides[NIC].counters.taken;

	ilab_send(l, l->a, AA, BB);
	ilab_give(l, NIC, SWAPPED);
	assert_int_equal(l->k->done->frames[0].origin, ORIGIN_BUFFER);
	ilab_make(l, GONE, BB);
	ilab_give(l, HOST, SWAPPED);
	assert_int_equal(l->a->counters.rx_packets, rx + 1);
	assert_int_equal(l->host->counters.rx_packets, rx_host);
	assert_int_equal(l->ic->sides[NIC].counters.taken, taken + 1);
	assert_int_equal(l->ic->sides[HOST].counters.taken, 0);
	assert_int_equal(l->ic->sides[NIC].counters.returned, 1);
	assert_int_equal(l->ic->sides[HOST].counters.returned, 1);
	assert_int_equal(l->k->n_events[BRIDGE_FDB_NEW], 2);
}

static void a_bridge_without_a_host(void **state)
{
	struct ilab *l = *state;

	bridge_port_del(l->k->br, l->host);
	l->host = NULL;
	ilab_make(l, XX + 1, MAC_BROADCAST);
	ilab_give(l, HOST, SWAPPED);
	assert_got(l, "abc");
	ilab_make(l, XX + 1, bridge_mac(l->k->br));
	ilab_give(l, NIC, SWAPPED);
	assert_got(l, "");
	assert_int_equal(bridge_nowhere(l->k->br)->counters.drops.n[DROP_HOST_DOWN], 1);
}

/* ---- frames that the program never gave back ---- */

static void withdraw(struct ilab *l, enum intercept_side side)
{
	struct batch *b = l->k->in;

	kit_sent(l->k);
	for (b->n = 0; b->n < l->n; b->n++) {
		assert_true(origins_withdraw(l->os[side], l->held[b->n].buf, &l->origins[b->n]));
		b->frames[b->n] = l->held[b->n];
	}
	l->n = 0;
	l->n_held[0] = l->n_held[1] = 0;
	bridge_withdraw(l->k->br, side, b, l->origins);
	bridge_forward(l->k->br, b, l->k->out);
	l->k->in = l->k->done;
	l->k->in->n = 0;
	l->k->done = b;
}

static void withdrawn_frames_follow_fail(void **state)
{
	struct ilab *l = *state;
	struct intercept_settings s = l->ic->set;

	s.reserved = INTERCEPT_TAKE;
	intercept_set(l->ic, &s);
	ilab_send(l, l->a, AA, BB);
	withdraw(l, NIC);
	assert_got(l, "b");
	ilab_send(l, l->a, AA, LLDP); /* the program never had it */
	withdraw(l, NIC);
	assert_got(l, "h");
	ilab_send(l, l->host, XX, MAC_BROADCAST);
	withdraw(l, HOST);
	assert_got(l, "abc");
	assert_int_equal(l->ic->sides[NIC].counters.uninspected, 2);
	assert_int_equal(l->ic->sides[HOST].counters.uninspected, 1);
	ilab_set(l, INTERCEPT_LOCAL, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, MAC_BROADCAST);
	withdraw(l, NIC);
	assert_got(l, "h");
	ilab_set(l, INTERCEPT_AUTO, INTERCEPT_CLOSED);
	ilab_send(l, l->a, AA, BB);
	withdraw(l, NIC);
	assert_got(l, "");
	assert_int_equal(kit_drops(l->a, DROP_NOT_INSPECTED), 1);
}

static void withdrawn_copies_and_stale_frames_are_given_back(void **state)
{
	struct ilab *l = *state;

	ilab_set(l, INTERCEPT_COPY, INTERCEPT_CLOSED);
	ilab_send(l, l->a, AA, BB);
	withdraw(l, NIC);
	assert_got(l, "");
	assert_int_equal(l->ic->sides[NIC].counters.copies_lost, 1);
	ilab_set(l, INTERCEPT_ALL, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, BB);
	origins_revoke(l->os[NIC], l->origins[0].ring);
	withdraw(l, NIC);
	assert_got(l, "");
	assert_int_equal(ilab_drops(l, DROP_COPY_RETURN) + ilab_drops(l, DROP_STALE_RETURN), 0);
	assert_int_equal(l->ic->sides[NIC].counters.copies_lost, 1);
}

/* A whole batch of mixed origins keeps its order at each port. */
static void order_is_kept(void **state)
{
	struct ilab *l = *state;
	struct egress_list *list = &l->k->out->lists[l->b->no];

	for (uint32_t i = 0; i < 40; i++) {
		if (i % 5 == 4)
			ilab_make(l, XX + 1, BB);
		else
			ilab_send(l, i & 1 ? l->a : l->c, AA + (i & 1) * 256, BB);
		l->held[i].data[50] = (uint8_t)i;
	}
	ilab_give(l, NIC, SWAPPED);
	assert_int_equal(list->n, 40);
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(list->frames[i]->data[50], i);
}

#define T(f) cmocka_unit_test_setup_teardown(f, ilab_setup, ilab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(with_learning_off),
		T(with_a_full_table),
		T(at_the_ports_limit),
		T(with_the_entry_aged_or_flushed),
		T(with_the_link_lost),
		T(with_the_source_rewritten),
		T(with_the_station_moved),
		T(with_tags),
		T(with_the_record_gone),
		T(truth_table_of_programs),
		T(the_host_is_always_asked),
		T(reserved_addresses_if_allowed),
		T(a_lent_frame_is_no_pass_for_forged_ones),
		T(the_state_of_the_ingress_counts),
		T(the_state_of_the_egress_counts),
		T(the_port_has_left),
		T(monitor_mode_lets_nothing_through),
		T(shortened_to_nothing),
		T(stale_frames_do_not_go_out_twice),
		T(frames_of_the_other_side_are_the_programs_own),
		T(nothing_counts_twice),
		T(a_bridge_without_a_host),
		T(withdrawn_frames_follow_fail),
		T(withdrawn_copies_and_stale_frames_are_given_back),
		T(order_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
