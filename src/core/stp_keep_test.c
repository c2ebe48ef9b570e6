/* SPDX-License-Identifier: BSD-2-Clause */
/* A bridge that goes on where an earlier one has stopped, and when it must not. */
#include "core/stp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/testkit.h"

#define SECOND 1000000000ULL

struct memory {
	struct stp_memory m;
	struct stp_port_memory ports[STP_PORTS];
};

static struct stp *tree(const struct kit_lab *l)
{
	return bridge_stp(l->k->br);
}

static void turn_on(const struct kit_lab *l)
{
	struct stp_settings s = *stp_settings(tree(l));

	s.enabled = true;
	stp_set(tree(l), &s);
}

/* The root is behind a. */
static void hear(const struct kit_lab *l, const struct bport *at, uint8_t priority)
{
	struct frame *f = kit_frame(l->k, 0x02000000aaaaULL, MAC_RESERVED_BASE, BPDU_FRAME_SIZE);
	const struct bpdu b = {
		.kind = BPDU_RST,
		.role = BPDU_ROLE_DESIGNATED,
		.flags = BPDU_PROPOSAL,
		.root = (uint64_t)priority << 56 | 0x020000000abcULL,
		.bridge = (uint64_t)priority << 56 | 0x020000000abcULL,
		.port = 0x8001,
		.times = {0, 20 * BPDU_SECOND, 2 * BPDU_SECOND, 15 * BPDU_SECOND},
	};

	bpdu_build(&b, 0x02000000aaaaULL, f->data);
	kit_run(l->k, (struct bport *)at);
}

static struct stp_port_status status(const struct kit_lab *l, const struct bport *p)
{
	struct stp_port_status st;

	assert_true(stp_port_status(tree(l), p->no, &st));
	return st;
}

/* a is the root port, b an alternate, c has found out that it is an edge. */
static struct kit_lab *settled(struct memory *ret)
{
	void *p;
	struct kit_lab *l;

	kit_lab_setup(&p);
	l = p;
	turn_on(l);
	for (uint64_t s = 1; s < 5; s++) {
		hear(l, l->a, 0x10);
		hear(l, l->b, 0x10);
		bridge_tick(l->k->br, s * SECOND);
	}
	assert_int_equal(status(l, l->a).role, STP_ROOT);
	assert_int_equal(status(l, l->b).role, STP_ALTERNATE);
	assert_int_equal(l->a->state, BPORT_FORWARDING);
	assert_int_equal(l->c->state, BPORT_FORWARDING);
	if (ret) {
		assert_true(stp_save(tree(l), &ret->m, ret->ports));
		assert_true(stp_memory_is_sane(&ret->m, ret->ports));
		assert_int_equal(ret->m.n_ports, 3);
	}
	return l;
}

/* As the next process has it: held, then ports, then on. */
static struct kit_lab *next(bool on)
{
	struct kit_lab *l = calloc(1, sizeof(*l));

	l->k = kit_new(1024);
	stp_hold(tree(l));
	l->host = kit_port(l->k, "br0", true);
	l->a = kit_port(l->k, "a", false);
	if (on)
		turn_on(l);
	l->b = kit_port(l->k, "b", false);
	l->c = kit_port(l->k, "c", false);
	return l;
}

static void drop(struct kit_lab *l)
{
	void *p = l;

	kit_lab_teardown(&p);
}

static void what_is_saved_stays_true(void **state)
{
	struct memory m;
	struct kit_lab *l = settled(&m);
	const uint32_t n = l->k->n_own;

	assert_int_equal(l->a->state, BPORT_DISABLED);
	hear(l, l->c, 0x00);
	bridge_tick(l->k->br, 100 * SECOND);
	bridge_port_del(l->k->br, l->a);
	assert_int_equal(l->k->n_own, n);
	assert_int_equal(l->c->state, BPORT_DISABLED);
	assert_false(stp_save(tree(l), &m.m, m.ports));
	drop(l);
}

static void neighbours_have_a_last_word(void **state)
{
	struct kit_lab *l = settled(NULL);
	uint32_t n = l->k->n_own;
	struct memory m;

	assert_true(stp_save(tree(l), &m.m, m.ports));
	assert_int_equal(l->k->n_own, n + 1);
	assert_int_equal(l->k->own_port, l->c->no);
	drop(l);
}

static void it_goes_on_at_once(void **state)
{
	struct memory m;
	struct kit_lab *l = settled(&m), *n;
	uint32_t n_own;

	drop(l);
	n = next(true);
	assert_int_equal(n->a->state, BPORT_DISABLED);
	hear(n, n->a, 0x10);
	bridge_tick(n->k->br, SECOND);
	assert_int_equal(n->k->n_own, 0);
	assert_true(stp_restore(tree(n), &m.m, m.ports, 3000, true));
	assert_int_equal(status(n, n->a).role, STP_ROOT);
	assert_int_equal(status(n, n->b).role, STP_ALTERNATE);
	assert_int_equal(status(n, n->c).role, STP_DESIGNATED);
	assert_int_equal(n->a->state, BPORT_FORWARDING);
	assert_int_equal(n->b->state, BPORT_BLOCKING);
	assert_int_equal(n->c->state, BPORT_FORWARDING);
	assert_true(status(n, n->c).edge);
	assert_int_equal(n->k->n_events[BRIDGE_STP_TOPOLOGY_CHANGE], 0);
	n_own = n->k->n_own;
	assert_int_equal(n_own, 1); /* on c */
	/* and goes on as if nothing had been: the same word again changes nothing */
	hear(n, n->a, 0x10);
	assert_int_equal(n->a->state, BPORT_FORWARDING);
	/* what was heard before ages as it would have: 6 s in all */
	for (uint64_t s = 2; s < 5; s++)
		bridge_tick(n->k->br, s * SECOND);
	assert_int_equal(status(n, n->b).role, STP_DESIGNATED);
	assert_int_equal(status(n, n->a).role, STP_ROOT);
	drop(n);
}

static void no_word_is_older_than_it_may_be(void **state)
{
	struct memory m;
	struct kit_lab *n;

	drop(settled(&m));
	n = next(true);
	/* heard 1 s before, good for 6 s by a clock that may be off by one */
	assert_int_equal(m.ports[0].rcvdInfoWhile, 5);
	assert_false(stp_restore(tree(n), &m.m, m.ports, 4000, true));
	assert_int_equal(n->a->state, BPORT_DISABLED);
	assert_true(stp_restore(tree(n), &m.m, m.ports, 3999, true));
	drop(n);
	/* we are the root: neighbours wait 5 s for us */
	n = next(true);
	for (unsigned i = 0; i < 3; i++) {
		m.ports[i].role = STP_DESIGNATED;
		m.ports[i].rcvdInfoWhile = 0;
		m.ports[i].flags &= (uint16_t)~STP_MEMORY_EDGE;
		m.ports[i].helloWhen = 2;
	}
	assert_true(stp_memory_is_sane(&m.m, m.ports));
	assert_false(stp_restore(tree(n), &m.m, m.ports, 5000, true));
	m.ports[1].helloWhen = 0;
	assert_false(stp_restore(tree(n), &m.m, m.ports, 3000, true));
	assert_true(stp_restore(tree(n), &m.m, m.ports, 2999, true));
	drop(n);
}

static void other_settings_are_another_bridge(void **state)
{
	struct memory good, m;
	struct kit_lab *n;
	struct stp_port_settings ps;

	drop(settled(&good));
	n = next(true);
#define REFUSED(change) (m = good, (void)(change), !stp_restore(tree(n), &m.m, m.ports, 0, true))
	assert_true(REFUSED(m.m.bridge ^= 1));
	assert_true(REFUSED(m.m.version = STP_VERSION_STP));
	assert_true(REFUSED(m.m.hello = 1));
	assert_true(REFUSED(m.m.max_age = 19));
	assert_true(REFUSED(m.m.forward_delay = 16));
	assert_true(REFUSED(m.ports[0].path_cost++));
	assert_true(REFUSED(m.ports[1].priority = 0));
	assert_true(REFUSED(m.ports[2].p2p = 0));
	assert_true(REFUSED(m.ports[2].no = 9));
	ps = *stp_port_settings(tree(n), n->a->no);
	ps.root_block = true;
	stp_port_set(tree(n), n->a->no, &ps);
	assert_true(REFUSED(0));
	ps.root_block = false;
	stp_port_set(tree(n), n->a->no, &ps);
	hear(n, n->c, 0x80); /* who is no edge any longer */
	assert_true(REFUSED(0));
	assert_int_equal(n->k->n_own, 0);
	stp_release(tree(n));
	assert_int_equal(n->a->state, BPORT_LISTENING);
	assert_int_equal(n->k->n_own, 3);
	assert_true(REFUSED(0)); /* no longer held */
	drop(n);
}

static void a_port_may_be_missing_in_the_end(void **state)
{
	struct memory m;
	struct kit_lab *n;

	drop(settled(&m));
	n = next(true);
	bridge_port_link(n->k->br, n->a, n->a->mac, 1500, false);
	assert_false(stp_restore(tree(n), &m.m, m.ports, 1000, true));
	assert_true(stp_restore(tree(n), &m.m, m.ports, 1000, false));
	assert_int_equal(status(n, n->a).role, STP_DISABLED);
	assert_int_equal(status(n, n->b).role, STP_ROOT);
	assert_int_equal(n->b->state, BPORT_FORWARDING);
	drop(n);
}

static void a_new_port_begins_closed(void **state)
{
	struct memory m;
	struct kit_lab *n;
	struct bport *d;

	drop(settled(&m));
	n = next(true);
	d = kit_port(n->k, "d", false);
	assert_true(stp_restore(tree(n), &m.m, m.ports, 1000, true));
	assert_int_equal(n->a->state, BPORT_FORWARDING);
	assert_int_equal(d->state, BPORT_LISTENING);
	drop(n);
}

static void off_it_is_not_kept(void **state)
{
	struct memory m;
	struct kit_lab *n;

	drop(settled(&m));
	n = next(false);
	assert_int_equal(n->a->state, BPORT_FORWARDING);
	assert_false(stp_restore(tree(n), &m.m, m.ports, 0, true));
	assert_false(stp_save(tree(n), &m.m, m.ports));
	turn_on(n);
	assert_int_equal(n->a->state, BPORT_DISABLED);
	assert_true(stp_restore(tree(n), &m.m, m.ports, 0, true));
	drop(n);
}

static void values_have_limits(void **state)
{
	struct memory good, m;

	drop(settled(&good));
#define INSANE(change) (m = good, (void)(change), !stp_memory_is_sane(&m.m, m.ports))
	assert_false(INSANE(0));
	assert_true(INSANE(m.m.n_ports = 0));
	assert_true(INSANE(m.m.n_ports = STP_PORTS));
	assert_true(INSANE(m.m.version = 1));
	assert_true(INSANE(m.m.hello = 0));
	assert_true(INSANE(m.m.bridge |= 1ULL << 48));
	assert_true(INSANE(m.ports[0].no = 0));
	assert_true(INSANE(m.ports[1].no = m.ports[0].no));
	assert_true(INSANE(m.ports[2].no = STP_PORTS));
	assert_true(INSANE(m.ports[0].role = STP_DISABLED));
	assert_true(INSANE(m.ports[0].role = STP_ROLE_N));
	assert_true(INSANE(m.ports[1].role = STP_ROOT)); /* two */
	assert_true(INSANE(m.ports[1].flags |= STP_MEMORY_LEARN));
	assert_true(INSANE(m.ports[0].flags &= (uint16_t)~STP_MEMORY_LEARN));
	assert_true(INSANE(m.ports[0].flags |= STP_MEMORY_EDGE));
	assert_true(INSANE(m.ports[0].flags |= STP_MEMORY_ALL + 1));
	assert_true(INSANE(m.ports[0].priority = 64));
	assert_true(INSANE(m.ports[0].path_cost = 0));
	assert_true(INSANE(m.ports[0].p2p = 2));
	assert_true(INSANE(m.ports[0].rcvdInfoWhile = 0));
	assert_true(INSANE(m.ports[0].rcvdInfoWhile = 31));
	assert_true(INSANE(m.ports[2].rcvdInfoWhile = 1));
	assert_true(INSANE(m.ports[2].fdWhile = 41));
	assert_true(INSANE(m.ports[2].rrWhile = 31));
	assert_true(INSANE(m.ports[2].rbWhile = 21));
	assert_true(INSANE(m.ports[2].tcWhile = 71));
	assert_true(INSANE(m.ports[2].edgeDelayWhile = 41));
	assert_true(INSANE(m.ports[2].helloWhen = 11));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_saved_stays_true),
		cmocka_unit_test(neighbours_have_a_last_word),
		cmocka_unit_test(it_goes_on_at_once),
		cmocka_unit_test(no_word_is_older_than_it_may_be),
		cmocka_unit_test(other_settings_are_another_bridge),
		cmocka_unit_test(a_port_may_be_missing_in_the_end),
		cmocka_unit_test(a_new_port_begins_closed),
		cmocka_unit_test(off_it_is_not_kept),
		cmocka_unit_test(values_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
