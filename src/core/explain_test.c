/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * That explain tells what trace tells is the simulator's to check, in all its scenarios (--look);
 * here: that it is the real thing with nothing done, and frames that only it can be asked about.
 */
#include "core/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/intercept_testkit.h"

struct lab {
	struct ilab *i;
	struct journey j;
	uint8_t bytes[FRAME_SIZE_MAX];
};

static int setup(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));

	l->i = ilab_new_kind(BRIDGE_OWN);
	*state = l;
	return 0;
}

static int teardown(void **state)
{
	struct lab *l = *state;

	ilab_free(l->i);
	free(l);
	return 0;
}

static enum journey_outcome explain(struct lab *l, const struct bport *in, uint64_t src,
				    uint64_t dst, uint32_t len, enum drop_reason *ret)
{
	enum drop_reason r = DROP_N;

	mac_store(l->bytes, dst);
	mac_store(l->bytes + 6, src);
	assert_int_equal(bridge_explain(l->i->k->br, in, l->bytes, len, l->i->k->now_ns, &l->j), 0);
	return journey_outcome(&l->j, l->i->host->no, ret ? ret : &r);
}

static void the_source_is_not_learned(void **state)
{
	struct lab *l = *state;
	struct fdb_entry e;
	uint32_t n = l->i->k->n_events[BRIDGE_FDB_NEW];

	assert_int_equal(explain(l, l->i->a, XX, BB, 60, NULL), OUTCOME_SENT);
	assert_int_equal(l->j.records[3].step, TRACE_LEARN);
	assert_int_equal(l->j.records[3].result, FDB_NEW);
	assert_false(fdb_get(bridge_fdb(l->i->k->br), XX, 0, &e));
	assert_int_equal(l->i->k->n_events[BRIDGE_FDB_NEW], n);
	explain(l, l->i->b, AA, BB, 60, NULL);
	assert_int_equal(l->j.records[3].result, FDB_MOVED);
	assert_true(fdb_get(bridge_fdb(l->i->k->br), AA, 0, &e));
	assert_int_equal(e.port, l->i->a->no);
}

/* It would be known by the time it is looked up. */
static void to_itself(void **state)
{
	struct lab *l = *state;
	enum drop_reason r;

	assert_int_equal(explain(l, l->i->a, XX, XX, 60, &r), OUTCOME_DROPPED);
	assert_int_equal(r, DROP_SAME_PORT);
}

static void nothing_is_counted(void **state)
{
	struct lab *l = *state;
	const struct bport_counters a = l->i->a->counters, b = l->i->b->counters;
	uint32_t n_live = l->i->k->n_live;

	explain(l, l->i->a, AA, BB, 60, NULL);
	explain(l, l->i->a, AA, AA, 60, NULL);
	explain(l, l->i->a, AA, MAC_BROADCAST, 60, NULL);
	assert_memory_equal(&a, &l->i->a->counters, sizeof(a));
	assert_memory_equal(&b, &l->i->b->counters, sizeof(b));
	assert_int_equal(l->i->k->n_live, n_live);
	assert_int_equal(kit_got_all(l->i->k), 0);
	assert_null(bridge_trace(l->i->k->br));
}

static void short_and_long(void **state)
{
	struct lab *l = *state;
	enum drop_reason r;

	assert_int_equal(explain(l, l->i->a, AA, BB, 13, &r), OUTCOME_DROPPED);
	assert_int_equal(r, DROP_RUNT);
	assert_int_equal(explain(l, l->i->a, AA, BB, 1, &r), OUTCOME_DROPPED);
	assert_int_equal(r, DROP_RUNT);
	assert_int_equal(explain(l, l->i->a, AA, BB, EXPLAIN_LEN_MAX, &r), OUTCOME_DROPPED);
	assert_int_equal(r, DROP_EGRESS_MTU);
	assert_int_equal(explain(l, l->i->a, AA, MAC_BROADCAST, EXPLAIN_LEN_MAX, &r),
			 OUTCOME_DELIVERED); /* nothing is too long for the host */
}

static void a_bpdu_changes_nothing(void **state)
{
	struct lab *l = *state;
	struct stp *stp = bridge_stp(l->i->k->br);
	struct stp_settings s = *stp_settings(stp);
	enum drop_reason r;

	s.enabled = true;
	stp_set(stp, &s);
	assert_int_equal(explain(l, l->i->a, AA, BPDU, 60, &r), OUTCOME_DROPPED);
	assert_int_equal(r, DROP_BPDU_MALFORMED);
}

/* It comes back, and the rest of the way is told too. */
static void through_a_program(void **state)
{
	struct lab *l = *state;
	uint32_t n_egress = 0, n_return = 0;

	ilab_rings(l->i, LIVE);
	ilab_tx(l->i, true);
	assert_int_equal(explain(l, l->i->a, AA, BB, 60, NULL), OUTCOME_SENT);
	for (uint32_t i = 0; i < l->j.n; i++) {
		n_return += l->j.records[i].step == TRACE_RETURN;
		n_egress += l->j.records[i].step == TRACE_EGRESS;
	}
	assert_int_equal(n_return, 1);
	assert_int_equal(n_egress, 1);
	assert_int_equal(l->i->ic->sides[INTERCEPT_NIC].counters.taken, 0);
}

static void rules_and_mirrors_do_not_count(void **state)
{
	struct lab *l = *state;
	struct hook_set *s = hook_set_new(1);
	struct mirror *m = mirror_new("span", "c", 1);
	enum drop_reason r;

	s->rules[0].verdict = HOOK_DROP;
	hook_set_finish(s);
	bridge_set_hook(l->i->k->br, HOOK_PRE_ROUTING, s);
	strcpy(m->sources[0].port, "a");
	m->sources[0].dirs = MIRROR_RX;
	assert_int_equal(bridge_mirror_add(l->i->k->br, m), 0);
	assert_int_equal(explain(l, l->i->a, AA, BB, 60, &r), OUTCOME_DROPPED);
	assert_int_equal(r, DROP_RULE);
	assert_int_equal(s->rules[0].packets, 0);
	assert_int_equal(m->counters.packets, 0);
}

/* Each form needs a buffer: of a frame without room as well. */
static void with_other_tags(void **state)
{
	struct lab *l = *state;
	struct vlan_settings v = *bridge_vlan_settings(l->i->k->br);

	v.filtering = v.stats = v.stats_per_port = true;
	assert_int_equal(bridge_vlan_set(l->i->k->br, &v), 0);
	bridge_vlan_add(l->i->k->br, l->i->b, 1, 1, 0);
	assert_int_equal(explain(l, l->i->a, AA, MAC_BROADCAST, 60, NULL), OUTCOME_SENT);
	assert_int_equal(l->j.records[l->j.n - 1].step, TRACE_EGRESS);
	assert_string_equal(l->j.records[l->j.n - 1].name, "b");
	assert_int_equal(bridge_vlan_counters(l->i->k->br, l->i->a, 1).rx_packets, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_source_is_not_learned),
		T(to_itself),
		T(nothing_is_counted),
		T(short_and_long),
		T(a_bpdu_changes_nothing),
		T(through_a_program),
		T(rules_and_mirrors_do_not_count),
		T(with_other_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
