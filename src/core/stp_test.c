/* SPDX-License-Identifier: BSD-2-Clause */
/* One bridge and its spanning tree. Networks of them: tests/sim/scenarios/stp-*.sim, model_stp. */
#include "core/stp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/inject.h"
#include "core/testkit.h"

#define SECOND  1000000000ULL
#define BPDU_TO MAC_RESERVED_BASE
#define MILLION 1000000u

static void turn_on(struct kit *k)
{
	struct stp_settings s = *stp_settings(bridge_stp(k->br));

	s.enabled = true;
	stp_set(bridge_stp(k->br), &s);
}

static struct bpdu superior(void)
{
	return (struct bpdu){
		.kind = BPDU_RST,
		.role = BPDU_ROLE_DESIGNATED,
		.flags = BPDU_PROPOSAL,
		.root = 0x1000020000000abcULL,
		.bridge = 0x1000020000000abcULL,
		.port = 0x8001,
		.times = {0, 20 * BPDU_SECOND, 2 * BPDU_SECOND, 15 * BPDU_SECOND},
	};
}

/* The BPDU arrives with len bytes, of which one may be changed. */
static void arrives(struct kit_lab *l, const struct bpdu *b, uint32_t len, int at, uint8_t value)
{
	struct frame *f = kit_frame(l->k, 0x02000000aaaaULL, BPDU_TO, len);
	uint8_t bytes[BPDU_FRAME_SIZE];

	bpdu_build(b, 0x02000000aaaaULL, bytes);
	if (at >= 0)
		bytes[at] = value;
	memcpy(f->data, bytes, min_of(len, sizeof(bytes)));
	kit_run(l->k, l->a);
}

static uint8_t role(const struct kit_lab *l, const struct bport *p)
{
	struct stp_port_status st;

	assert_true(stp_port_status(bridge_stp(l->k->br), p->no, &st));
	return st.role;
}

static void it_is_off_and_then_bpdus_pass(void **state)
{
	struct kit_lab *l = *state;
	struct bpdu b = superior();

	assert_false(stp_is_on(bridge_stp(l->k->br)));
	arrives(l, &b, BPDU_FRAME_SIZE, -1, 0);
	assert_int_equal(kit_got(l->k, l->b), 1);
	assert_int_equal(l->k->n_own, 0);
	assert_int_equal(bridge_tick(l->k->br, SECOND), bridge_tick(l->k->br, SECOND));
	assert_false(bridge_needs_ticks(l->k->br) &&
		     fdb_port_learned(bridge_fdb(l->k->br), 1) == 0);
}

static void bpdus_end_here_and_leave_with_the_ports_address(void **state)
{
	struct kit_lab *l = *state;
	struct bpdu b = superior();

	turn_on(l->k);
	assert_true(bridge_needs_ticks(l->k->br));
	assert_int_equal(l->k->n_own, 3);
	assert_int_equal(l->a->state, BPORT_LISTENING);
	assert_int_equal(l->host->state, BPORT_FORWARDING);
	arrives(l, &b, BPDU_FRAME_SIZE, -1, 0);
	assert_int_equal(kit_got_all(l->k), 0);
	assert_int_equal(l->a->state, BPORT_FORWARDING); /* agreed at once */
	assert_int_equal(role(l, l->a), STP_ROOT);
	assert_true(mac_load(l->k->own) == BPDU_TO);
	assert_true(mac_load(l->k->own + 6) == bridge_port(l->k->br, l->k->own_port)->mac);
}

static void what_is_no_bpdu_changes_nothing(void **state)
{
	static const struct {
		uint32_t len;
		int at;
		uint8_t value;
	} cases[] = {
		{14, -1, 0}, {17, -1, 0}, {52, -1, 0},    {60, 13, 38}, {60, 13, 48},
		{60, 12, 8}, {60, 14, 0}, {60, 16, 0xf},  {60, 17, 1},  {60, 19, 0},
		{60, 20, 9}, {60, 13, 2}, {60, 12, 0x81},
	};
	struct kit_lab *l = *state;
	struct bpdu b = superior();

	turn_on(l->k);
	for (unsigned i = 0; i < array_size(cases); i++) {
		uint32_t n = l->k->n_own, n_events = l->k->n_events[BRIDGE_STP_ROLE];

		arrives(l, &b, cases[i].len, cases[i].at, cases[i].value);
		assert_int_equal(kit_drops(l->a, DROP_BPDU_MALFORMED), i + 1);
		assert_int_equal(role(l, l->a), STP_DESIGNATED);
		assert_int_equal(l->k->n_own, n);
		assert_int_equal(l->k->n_events[BRIDGE_STP_ROLE], n_events);
		assert_int_equal(kit_got_all(l->k), 0);
	}
}

/* All 256 values of each byte of a BPDU, and no port ends where it must not. */
static void any_byte_may_be_anything(void **state)
{
	struct kit_lab *l = *state;
	struct bpdu b = superior();
	uint64_t now_ns = 0;

	turn_on(l->k);
	for (int at = 12; at < 53; at++) {
		for (unsigned v = 0; v < 256; v++) {
			if (v % 64 == 0) /* as many as a port takes in a second */
				bridge_tick(l->k->br, now_ns += SECOND);
			arrives(l, &b, BPDU_FRAME_SIZE, at, (uint8_t)v);
			assert_int_equal(kit_got_all(l->k), 0);
			assert_int_not_equal(role(l, l->b), STP_ROOT);
		}
	}
}

static void a_flood_of_bpdus_is_cut_off(void **state)
{
	struct kit_lab *l = *state;
	struct bpdu b = superior();
	struct stp_port_status st;

	turn_on(l->k);
	bridge_tick(l->k->br, SECOND);
	for (unsigned i = 0; i < 1000; i++) {
		b.cost = i & 1;
		arrives(l, &b, BPDU_FRAME_SIZE, -1, 0);
	}
	assert_true(stp_port_status(bridge_stp(l->k->br), l->a->no, &st));
	assert_int_equal(st.counters.rx_bpdu, 128);
	assert_int_equal(kit_drops(l->a, DROP_BPDU_RATE), 1000 - 128);
	bridge_tick(l->k->br, 2 * SECOND);
	arrives(l, &b, BPDU_FRAME_SIZE, -1, 0);
	assert_int_equal(kit_drops(l->a, DROP_BPDU_RATE), 1000 - 128);
}

/* Even a program that may send to reserved addresses, on either side, with a frame from anywhere.
 */
static void programs_cannot_send_bpdus(void **state)
{
	struct kit_lab *l = *state;
	struct intercept *ic = bridge_intercept(l->k->br);
	struct intercept_settings set = ic->set;
	struct bpdu b = superior();

	set.reserved_tx = true;
	intercept_set(ic, &set);
	for (unsigned on = 0; on < 2; on++) {
		for (unsigned host = 0; host < 2; host++) {
			struct frame *f = kit_frame(l->k, 0, 0, BPDU_FRAME_SIZE);

			bpdu_build(&b, 0x02000000aaaaULL, f->data);
			(host ? bridge_inject_host : bridge_inject)(l->k->br, l->k->in, NULL);
			bridge_forward(l->k->br, l->k->in, l->k->out);
			assert_int_equal(kit_got_all(l->k) > 0, !on);
			kit_sent(l->k);
			l->k->in->n = 0;
		}
		turn_on(l->k);
	}
	assert_int_equal(kit_drops(bridge_nowhere(l->k->br), DROP_BPDU_SENT) +
				 kit_drops(l->host, DROP_BPDU_SENT),
			 2);
	assert_int_equal(role(l, l->a), STP_DESIGNATED);
}

/* Costs of 802.1D-2004, table 17-3, and of Linux. */
static void costs_follow_the_speed(void **state)
{
	static const uint32_t table[][3] = {
		{10, 2000000, 100}, {100, 200000, 19},  {1000, 20000, 5}, {2500, 8000, 4},
		{10000, 2000, 2},   {100000, 200, 2},   {1000000, 20, 2}, {0, 2000, 2},
		{1, 20000000, 100}, {UINT32_MAX, 1, 2},
	};

	for (unsigned i = 0; i < array_size(table); i++) {
		assert_int_equal(stp_cost_of_speed(table[i][0], false), table[i][1]);
		assert_int_equal(stp_cost_of_speed(table[i][0], true), table[i][2]);
	}
}

static void settings_must_fit_together(void **state)
{
	struct stp_settings s, ok;

	stp_settings_default(&ok);
	assert_null(stp_settings_check(&ok));
#define REFUSED(field, value) (s = ok, s.field = (value), stp_settings_check(&s) != NULL)
	assert_true(REFUSED(priority, 1));
	assert_false(REFUSED(priority, 61440));
	assert_true(REFUSED(hello, 0));
	assert_true(REFUSED(hello, 3));
	assert_true(REFUSED(max_age, 5)); /* below 6, and below 2 * (hello + 1) */
	assert_false(REFUSED(max_age, 6));
	assert_false(REFUSED(max_age, 28)); /* 2 * (15 - 1) */
	assert_true(REFUSED(max_age, 29));
	assert_true(REFUSED(forward_delay, 10));
	assert_false(REFUSED(forward_delay, 11));
	assert_true(REFUSED(forward_delay, 31));
	assert_true(REFUSED(tx_hold_count, 0));
	assert_true(REFUSED(tx_hold_count, 11));
	ok.version = STP_VERSION_STP;
	assert_false(REFUSED(hello, 9));
	assert_true(REFUSED(hello, 10)); /* 2 * (10 + 1) > 20 */
	ok.max_age = 6;
	assert_true(REFUSED(hello, 3));
}

/* The process was stopped: others may have opened ports meanwhile. */
static void a_very_late_tick_begins_anew(void **state)
{
	struct kit_lab *l = *state;

	turn_on(l->k);
	for (uint64_t s = 1; s < 5; s++)
		bridge_tick(l->k->br, s * SECOND);
	assert_int_equal(l->b->state, BPORT_FORWARDING);
	bridge_tick(l->k->br, 7 * SECOND);
	assert_int_equal(l->b->state, BPORT_FORWARDING);
	bridge_tick(l->k->br, 12 * SECOND);
	assert_int_equal(l->b->state, BPORT_LISTENING);
}

static void ports_come_and_go(void **state)
{
	struct kit_lab *l = *state;
	struct bpdu b = superior();
	struct bport *d;

	turn_on(l->k);
	arrives(l, &b, BPDU_FRAME_SIZE, -1, 0);
	d = kit_port(l->k, "d", false);
	assert_int_equal(d->state, BPORT_LISTENING);
	assert_int_equal(role(l, d), STP_DESIGNATED);
	bridge_port_del(l->k->br, l->a);
	assert_int_equal(role(l, l->b), STP_DESIGNATED);
	bridge_port_link(l->k->br, d, d->mac, 1500, false);
	assert_int_equal(role(l, d), STP_DISABLED);
	assert_int_equal(d->state, BPORT_DISABLED);
	bridge_port_link(l->k->br, d, d->mac, 1500, true);
	assert_int_equal(d->state, BPORT_LISTENING);
}

/* A topology change with a million addresses: constant time, and they are gone. */
static void a_million_addresses_are_forgotten_at_once(void **state)
{
	struct kit *k = kit_new(MILLION);
	struct bport *ports[4];
	struct fdb *fdb = bridge_fdb(k->br);
	enum fdb_kind kind;
	uint16_t old;
	uint64_t t = SECOND;

	for (unsigned i = 0; i < 4; i++)
		ports[i] = kit_port(k, "p", false);
	for (uint32_t i = 0; i < MILLION - 8; i++) {
		uint64_t mac = 0x020100000000ULL + i;

		fdb_learn(fdb, mac, 0, fdb_hash(fdb, mac, 0), ports[i % 4]->no, false, &old);
	}
	for (unsigned i = 1; i < 4; i++)
		fdb_flush_port(fdb, ports[i]->no);
	for (uint32_t i = 0; i < 4000; i++) {
		uint64_t mac = 0x020100000000ULL + i;
		int want = i % 4 ? -1 : ports[0]->no;

		assert_int_equal(fdb_lookup(fdb, mac, 0, fdb_hash(fdb, mac, 0), &kind), want);
	}
	assert_int_equal(k->n_events[BRIDGE_FDB_GONE], 0);
	/* known again, and told of later: all but the one that came back */
	fdb_learn(fdb, 0x020100000001ULL, 0, fdb_hash(fdb, 0x020100000001ULL, 0), ports[1]->no,
		  false, &old);
	while (t < 20 * SECOND)
		t = bridge_tick(k->br, t);
	assert_int_equal(k->n_events[BRIDGE_FDB_GONE], (MILLION - 8) / 4 * 3);
	assert_int_equal(fdb_port_learned(fdb, ports[1]->no), 1);
	assert_int_equal(fdb_port_learned(fdb, ports[0]->no), (MILLION - 8) / 4);
	kit_free(k);
}

/* More flushes than there are generations, with nothing swept between: none comes back. */
static void generations_do_not_come_round(void **state)
{
	struct fdb *fdb = fdb_new(4096, (const uint8_t[16]){7});
	enum fdb_kind kind;
	uint16_t old;

	for (uint32_t round = 0; round < 200; round++) {
		uint64_t first = 0x020100000000ULL + round;

		for (uint32_t i = 0; i < 1500; i++) { /* of another port: the table is not small */
			uint64_t mac = 0x020200000000ULL + i;

			fdb_learn(fdb, mac, 0, fdb_hash(fdb, mac, 0), 2, false, &old);
		}
		fdb_learn(fdb, first, 0, fdb_hash(fdb, first, 0), 1, false, &old);
		fdb_flush_port(fdb, 1);
		for (uint64_t mac = 0x020100000000ULL; mac <= first; mac++)
			assert_int_equal(fdb_lookup(fdb, mac, 0, fdb_hash(fdb, mac, 0), &kind), -1);
	}
	assert_int_equal(fdb_port_learned(fdb, 2), 1500);
	fdb_free(fdb);
}

#define T(f) cmocka_unit_test_setup_teardown(f, kit_lab_setup, kit_lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_is_off_and_then_bpdus_pass),
		T(bpdus_end_here_and_leave_with_the_ports_address),
		T(what_is_no_bpdu_changes_nothing),
		T(any_byte_may_be_anything),
		T(a_flood_of_bpdus_is_cut_off),
		T(programs_cannot_send_bpdus),
		cmocka_unit_test(costs_follow_the_speed),
		cmocka_unit_test(settings_must_fit_together),
		T(a_very_late_tick_begins_anew),
		T(ports_come_and_go),
		cmocka_unit_test(a_million_addresses_are_forgotten_at_once),
		cmocka_unit_test(generations_do_not_come_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
