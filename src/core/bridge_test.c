/* SPDX-License-Identifier: BSD-2-Clause */
/* The object: ports, address and MTU rules, local entries, settings, ticks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/testkit.h"

#define AA     0x0200000000aaULL
#define BB     0x0200000000bbULL
#define SECOND 1000000000ULL

static int setup(void **state)
{
	*state = kit_new(1024);
	return 0;
}

static int teardown(void **state)
{
	kit_free(*state);
	return 0;
}

static struct bport *port_with(struct kit *k, uint64_t mac, uint32_t mtu)
{
	struct bport_config cfg = {.name = "p", .mac = mac, .mtu = mtu, .link_up = true};
	struct bport *p = NULL;

	assert_int_equal(bridge_port_add(k->br, &cfg, &p), 0);
	return p;
}

/* Port of the local entry of mac; -1 if there is none. */
static int local(struct kit *k, uint64_t mac)
{
	struct fdb_entry e;

	if (!fdb_get(bridge_fdb(k->br), mac, 0, &e) || e.kind != FDB_LOCAL)
		return -1;
	return e.port;
}

static bool known(struct kit *k, uint64_t mac)
{
	struct fdb_entry e;

	return fdb_get(bridge_fdb(k->br), mac, 0, &e);
}

static void starts_as_configured(void **state)
{
	struct kit *k = *state;
	const struct bridge_settings *s = bridge_settings(k->br);

	assert_string_equal(bridge_name(k->br), "br0");
	assert_true(bridge_mac(k->br) == KIT_MAC);
	assert_int_equal(bridge_mtu(k->br), 1500);
	assert_int_equal(local(k, KIT_MAC), 0);
	assert_int_equal(s->ageing_time_s, 300);
	assert_false(s->monitor || s->promisc || s->mac_set || s->mtu_set);
	assert_null(bridge_port_next(k->br, NULL));
}

static void long_names_are_cut_not_overrun(void **state)
{
	struct bridge_config cfg = {.mac = KIT_MAC};
	struct bridge *br;

	memset(cfg.name, 'x', sizeof(cfg.name));
	br = bridge_new(&cfg, NULL, &(struct buf_ops){0});
	assert_non_null(br);
	assert_int_equal(strlen(bridge_name(br)), BPORT_NAME_SIZE - 1);
	bridge_free(br);
	assert_null(bridge_free(NULL));
}

static void ports_take_the_lowest_free_number(void **state)
{
	struct kit *k = *state;
	struct bport *p[3];

	for (int i = 0; i < 3; i++) {
		p[i] = kit_port(k, "p", false);
		assert_int_equal(p[i]->no, i + 1);
		assert_int_equal(p[i]->state, BPORT_FORWARDING);
		assert_int_equal(p[i]->flags, bport_flags_default());
	}
	bridge_port_del(k->br, p[1]);
	assert_null(bridge_port(k->br, 2));
	assert_int_equal(kit_port(k, "q", false)->no, 2);
	assert_int_equal(kit_port(k, "r", false)->no, 4);
}

static void a_port_may_join_without_a_link(void **state)
{
	struct kit *k = *state;
	struct bport_config cfg = {.name = "p", .mac = AA, .mtu = 1500};
	struct bport *a = kit_port(k, "a", false), *p;

	assert_int_equal(bridge_port_add(k->br, &cfg, &p), 0);
	assert_int_equal(p->state, BPORT_DISABLED);
	kit_send(k, a, BB, MAC_BROADCAST);
	assert_int_equal(kit_got(k, p), 0);
	bridge_port_link(k->br, p, AA, 1500, true);
	kit_send(k, a, BB, MAC_BROADCAST);
	assert_int_equal(kit_got(k, p), 1);
}

static void one_host_port_with_the_highest_number(void **state)
{
	struct kit *k = *state;
	struct bport_config cfg = {.name = "br0", .host = true, .mtu = 1500};
	struct bport *p = NULL;

	assert_int_equal(bridge_port_add(k->br, &cfg, &p), 0);
	assert_int_equal(p->no, PORTS_MAX - 1);
	assert_int_equal(bridge_port_add(k->br, &cfg, &p), BRIDGE_E_FULL);
	assert_int_equal(kit_port(k, "a", false)->no, 1);
	bridge_port_del(k->br, p);
	assert_int_equal(bridge_port_add(k->br, &cfg, &p), 0);
}

static void a_bridge_holds_1023_ports(void **state)
{
	struct kit *k = *state;
	struct bport_config cfg = {.name = "p", .mtu = 1500, .mac = AA};
	struct bport *p = NULL;
	uint32_t n = 0;

	kit_port(k, "br0", true);
	while (bridge_port_add(k->br, &cfg, &p) == 0) {
		cfg.mac++;
		n++;
	}
	assert_int_equal(n + 1, 1023);
	assert_int_equal(bridge_port_add(k->br, &cfg, &p), BRIDGE_E_FULL);
	n = 0;
	for (p = bridge_port_next(k->br, NULL); p; p = bridge_port_next(k->br, p))
		assert_int_equal(p->no, ++n);
	assert_int_equal(n, 1023);
	bridge_port_del(k->br, bridge_port(k->br, 500));
	assert_int_equal(bridge_port_add(k->br, &cfg, &p), 0);
	assert_int_equal(p->no, 500);
}

static void numbers_out_of_range_are_no_ports(void **state)
{
	struct kit *k = *state;

	assert_null(bridge_port(k->br, 0));
	assert_null(bridge_port(k->br, PORTS_MAX));
	assert_null(bridge_port(k->br, 65535));
}

static void address_is_the_lowest_of_the_ports(void **state)
{
	struct kit *k = *state;
	struct bport *b = port_with(k, BB, 1500), *a;

	assert_true(bridge_mac(k->br) == BB);
	assert_int_equal(k->n_events[BRIDGE_MAC_CHANGED], 1);
	a = port_with(k, AA, 1500);
	assert_true(bridge_mac(k->br) == AA);
	assert_true(k->last.mac == AA);
	kit_port(k, "br0", true); /* does not count */
	assert_true(bridge_mac(k->br) == AA);
	bridge_port_del(k->br, a);
	assert_true(bridge_mac(k->br) == BB);
	bridge_port_link(k->br, b, BB + 1, 1500, true);
	assert_true(bridge_mac(k->br) == BB + 1);
	bridge_port_del(k->br, b);
	assert_true(bridge_mac(k->br) == KIT_MAC);
	assert_int_equal(local(k, KIT_MAC), 0);
}

static void an_address_that_was_set_stays(void **state)
{
	struct kit *k = *state;

	bridge_set_mac(k->br, 0x020000000001ULL);
	port_with(k, AA, 1500);
	assert_true(bridge_mac(k->br) == 0x020000000001ULL);
	assert_true(bridge_settings(k->br)->mac_set);
	assert_int_equal(local(k, 0x020000000001ULL), 0);
	assert_int_equal(local(k, KIT_MAC), -1);
	bridge_set_mac(k->br, 0);
	assert_true(bridge_mac(k->br) == AA);
	assert_false(bridge_settings(k->br)->mac_set);
	assert_int_equal(local(k, 0x020000000001ULL), -1);
}

static void mtu_is_the_smallest_of_the_ports(void **state)
{
	struct kit *k = *state;
	struct bport *a = port_with(k, AA, 9000), *b;

	assert_int_equal(bridge_mtu(k->br), 9000);
	kit_port(k, "br0", true); /* 1500, does not count */
	assert_int_equal(bridge_mtu(k->br), 9000);
	b = port_with(k, BB, 1400);
	assert_int_equal(bridge_mtu(k->br), 1400);
	assert_int_equal(k->n_events[BRIDGE_MTU_CHANGED], 2);
	assert_int_equal(k->last.mtu, 1400);
	bridge_port_link(k->br, b, BB, 1300, true);
	assert_int_equal(bridge_mtu(k->br), 1300);
	bridge_set_mtu(k->br, 1280);
	bridge_port_del(k->br, b);
	assert_int_equal(bridge_mtu(k->br), 1280);
	bridge_set_mtu(k->br, 0);
	assert_int_equal(bridge_mtu(k->br), 9000);
	bridge_port_del(k->br, a);
	assert_int_equal(bridge_mtu(k->br), 1500);
}

static void settings_may_freeze_and_release_both(void **state)
{
	struct kit *k = *state;
	struct bridge_settings s = *bridge_settings(k->br);

	s.mac_set = s.mtu_set = true;
	bridge_set(k->br, &s);
	port_with(k, AA, 9000);
	assert_true(bridge_mac(k->br) == KIT_MAC);
	assert_int_equal(bridge_mtu(k->br), 1500);
	s.mac_set = s.mtu_set = false;
	bridge_set(k->br, &s);
	assert_true(bridge_mac(k->br) == AA);
	assert_int_equal(bridge_mtu(k->br), 9000);
}

static void port_addresses_are_local_entries(void **state)
{
	struct kit *k = *state;
	struct bport *a = port_with(k, AA, 1500), *b = port_with(k, BB, 1500);

	assert_int_equal(local(k, AA), a->no);
	assert_int_equal(local(k, BB), b->no);
	assert_int_equal(local(k, KIT_MAC), -1);
	bridge_port_link(k->br, b, BB + 1, 1500, true);
	assert_int_equal(local(k, BB), -1);
	assert_int_equal(local(k, BB + 1), b->no);
	bridge_port_del(k->br, b);
	assert_int_equal(local(k, BB + 1), -1);
	assert_int_equal(local(k, AA), a->no);
}

static void a_shared_address_stays_local_until_the_last_has_left(void **state)
{
	struct kit *k = *state;
	struct bport *a = port_with(k, AA, 1500), *b = port_with(k, AA, 1500);
	struct bport *host = kit_port(k, "br0", true);

	assert_int_equal(local(k, AA), a->no);
	bridge_port_del(k->br, a);
	assert_int_equal(local(k, AA), b->no);
	bridge_set_mac(k->br, AA);
	bridge_port_del(k->br, b);
	assert_int_equal(local(k, AA), 0);
	bridge_set_mac(k->br, BB);
	assert_int_equal(local(k, AA), 0); /* the host's port still has it */
	bridge_port_link(k->br, host, BB, 1500, true);
	assert_int_equal(local(k, AA), -1);
	assert_int_equal(local(k, BB), 0);
	bridge_port_del(k->br, host);
	assert_int_equal(local(k, BB), 0);
}

static void a_port_that_takes_the_bridges_address_owns_the_entry(void **state)
{
	struct kit *k = *state;
	struct bport *p = port_with(k, KIT_MAC, 1500);

	assert_int_equal(local(k, KIT_MAC), p->no);
	bridge_port_del(k->br, p);
	assert_int_equal(local(k, KIT_MAC), 0);
}

static void a_learned_address_becomes_local(void **state)
{
	struct kit *k = *state;
	struct bport *a = port_with(k, AA, 1500), *b;

	kit_send(k, a, BB, AA + 1);
	assert_true(known(k, BB));
	b = port_with(k, BB, 1500);
	assert_int_equal(local(k, BB), b->no);
}

static void a_port_leaves_with_all_its_entries(void **state)
{
	struct kit *k = *state;
	struct bport *a = kit_port(k, "a", false), *b = kit_port(k, "b", false);
	uint16_t no = a->no;

	kit_send(k, a, AA, BB);
	kit_send(k, b, BB, AA);
	assert_int_equal(fdb_add(bridge_fdb(k->br), AA + 1, 0, a->no, FDB_STATIC, false), 0);
	bridge_port_set_fdb_limit(k->br, a, 1);
	bridge_port_del(k->br, a);
	assert_false(known(k, AA));
	assert_false(known(k, AA + 1));
	assert_true(known(k, BB));
	a = kit_port(k, "again", false);
	assert_int_equal(a->no, no);
	kit_send(k, a, AA, BB); /* the limit has gone with the old port */
	kit_send(k, a, AA + 1, BB);
	assert_true(known(k, AA + 1));
}

static void link_down_flushes_what_was_learned(void **state)
{
	struct kit *k = *state;
	struct bport *a = kit_port(k, "a", false), *b = kit_port(k, "b", false);

	kit_send(k, a, AA, BB);
	kit_send(k, b, BB, AA);
	assert_int_equal(fdb_add(bridge_fdb(k->br), AA + 1, 0, a->no, FDB_STATIC, false), 0);
	bridge_port_link(k->br, a, a->mac, 1500, false);
	assert_int_equal(a->state, BPORT_DISABLED);
	assert_false(known(k, AA));
	assert_true(known(k, AA + 1));
	assert_true(known(k, BB));
	assert_int_equal(local(k, a->mac), a->no);
	bridge_port_set_state(k->br, a, BPORT_FORWARDING); /* not without a link */
	assert_int_equal(a->state, BPORT_DISABLED);
	bridge_port_link(k->br, a, a->mac, 1500, true);
	assert_int_equal(a->state, BPORT_FORWARDING);
}

static void an_mtu_change_leaves_state_and_entries_alone(void **state)
{
	struct kit *k = *state;
	struct bport *a = kit_port(k, "a", false);

	kit_send(k, a, AA, BB);
	bridge_port_set_state(k->br, a, BPORT_LEARNING);
	bridge_port_link(k->br, a, a->mac, 9000, true);
	assert_int_equal(a->state, BPORT_LEARNING);
	assert_int_equal(a->max_len, 9018);
	assert_true(known(k, AA));
	bridge_port_set_state(k->br, a, BPORT_BLOCKING);
	assert_false(known(k, AA));
}

static void flags_change_by_mask(void **state)
{
	struct kit *k = *state;
	struct bport *a = kit_port(k, "a", false);

	bridge_port_set_flags(k->br, a, BPORT_FLOOD_FLAG | BPORT_STICKY_FLAG, BPORT_STICKY_FLAG);
	assert_int_equal(a->flags, (bport_flags_default() & ~BPORT_FLOOD_FLAG) | BPORT_STICKY_FLAG);
	bridge_port_set_flags(k->br, a, 0, 0xff);
	assert_int_equal(a->flags, (bport_flags_default() & ~BPORT_FLOOD_FLAG) | BPORT_STICKY_FLAG);
}

static void ageing_time_zero_learns_nothing(void **state)
{
	struct kit *k = *state;
	struct bport *a = kit_port(k, "a", false);
	struct bridge_settings s = *bridge_settings(k->br);

	s.ageing_time_s = 0;
	bridge_set(k->br, &s);
	kit_send(k, a, AA, BB);
	assert_false(known(k, AA));
	assert_int_equal(bridge_tick(k->br, SECOND), 2 * SECOND);
}

static void the_bridges_limit_is_the_fdbs(void **state)
{
	struct kit *k = *state;
	struct bport *a = kit_port(k, "a", false);
	struct bridge_settings s = *bridge_settings(k->br);
	struct fdb_stats st;

	s.fdb_max_learned = 3;
	bridge_set(k->br, &s);
	for (uint32_t i = 0; i < 10; i++)
		kit_send(k, a, AA + i * 256, BB);
	fdb_stats(bridge_fdb(k->br), &st);
	assert_int_equal(st.n_learned, 3);
	assert_true(k->n_events[BRIDGE_FDB_FULL] > 0);
}

static void ticks_report_what_aged(void **state)
{
	struct kit *k = *state;
	struct bport *a = kit_port(k, "a", false);
	uint64_t t = 0;

	kit_send(k, a, AA, BB);
	while (t < 299 * SECOND)
		t = bridge_tick(k->br, t);
	assert_int_equal(k->n_events[BRIDGE_FDB_GONE], 0);
	while (t < 340 * SECOND)
		t = bridge_tick(k->br, t);
	assert_int_equal(k->n_events[BRIDGE_FDB_GONE], 1);
	assert_true(k->last.mac == AA);
	assert_int_equal(k->last.port, a->no);
}

static void what_leaves_with_a_link_or_a_port_is_reported(void **state)
{
	struct kit *k = *state;
	struct bport *a = kit_port(k, "a", false), *b = kit_port(k, "b", false);
	const struct fdb_flush all = {.port = -1, .vid = -1};

	kit_send(k, a, AA, BB);
	bridge_port_link(k->br, a, a->mac, a->mtu, false);
	assert_int_equal(k->n_events[BRIDGE_FDB_GONE], 1);
	assert_true(k->last.mac == AA);

	kit_send(k, b, BB, AA);
	fdb_flush(bridge_fdb(k->br), &all);
	assert_int_equal(k->n_events[BRIDGE_FDB_GONE], 2);

	/* the port is still in the bridge when it is told, so that its name can be */
	kit_send(k, b, BB, AA);
	bridge_port_del(k->br, b);
	assert_int_equal(k->n_events[BRIDGE_FDB_GONE], 3);
	assert_true(k->last.mac == BB || k->last.kind != BRIDGE_FDB_GONE);
}

static void ticks_ask_for_one_call_a_second_at_most(void **state)
{
	struct kit *k = *state;
	uint64_t t = bridge_tick(k->br, 5 * SECOND);

	assert_int_equal(t, 6 * SECOND);
	assert_int_equal(bridge_tick(k->br, t - 1), t); /* early: nothing to do */
}

static void a_big_table_is_swept_in_shares(void **state)
{
	struct bridge_config cfg = {.name = "big", .fdb_capacity = 1 << 20, .mac = KIT_MAC};
	struct bridge *br = bridge_new(&cfg, NULL, &(struct buf_ops){0});
	uint64_t t;

	assert_non_null(br);
	t = bridge_tick(br, 0);
	assert_true(t >= SECOND / 100 && t < SECOND);
	/* all of it several times per ageing time, some thousand buckets each */
	assert_true(300 * SECOND / t * 4096 / fdb_n_buckets(bridge_fdb(br)) >= 9);
	bridge_free(br);
}

static void without_an_owner_events_go_nowhere(void **state)
{
	struct bridge_config cfg = {.name = "mute", .mac = KIT_MAC};
	struct bridge *br = bridge_new(&cfg, NULL, &(struct buf_ops){0});
	struct bport_config p = {.name = "p", .mac = AA, .mtu = 1400, .link_up = true};
	struct bport *ret;

	assert_int_equal(bridge_port_add(br, &p, &ret), 0);
	assert_true(bridge_mac(br) == AA);
	bridge_free(br);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_leaves_with_a_link_or_a_port_is_reported),
		T(starts_as_configured),
		cmocka_unit_test(long_names_are_cut_not_overrun),
		T(ports_take_the_lowest_free_number),
		T(a_port_may_join_without_a_link),
		T(one_host_port_with_the_highest_number),
		T(a_bridge_holds_1023_ports),
		T(numbers_out_of_range_are_no_ports),
		T(address_is_the_lowest_of_the_ports),
		T(an_address_that_was_set_stays),
		T(mtu_is_the_smallest_of_the_ports),
		T(settings_may_freeze_and_release_both),
		T(port_addresses_are_local_entries),
		T(a_shared_address_stays_local_until_the_last_has_left),
		T(a_port_that_takes_the_bridges_address_owns_the_entry),
		T(a_learned_address_becomes_local),
		T(a_port_leaves_with_all_its_entries),
		T(link_down_flushes_what_was_learned),
		T(an_mtu_change_leaves_state_and_entries_alone),
		T(flags_change_by_mask),
		T(ageing_time_zero_learns_nothing),
		T(the_bridges_limit_is_the_fdbs),
		T(ticks_report_what_aged),
		T(ticks_ask_for_one_call_a_second_at_most),
		cmocka_unit_test(a_big_table_is_swept_in_shares),
		cmocka_unit_test(without_an_owner_events_go_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
