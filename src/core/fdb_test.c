/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/fdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mac.h"

#define MILLION 1048576u

static const uint8_t key[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/* Different for different i below 2^40, looks random, unicast. */
static uint64_t address(uint64_t i)
{
	return 0x020000000000ULL | (i * 0x9e3779b97fULL & 0xffffffffffULL);
}

static enum fdb_learn_result learn(struct fdb *f, uint64_t mac, uint16_t port)
{
	uint16_t old;

	return fdb_learn(f, mac, 0, fdb_hash(f, mac, 0), port, false, &old);
}

static int where(const struct fdb *f, uint64_t mac)
{
	enum fdb_kind kind;

	return fdb_lookup(f, mac, 0, fdb_hash(f, mac, 0), &kind);
}

static struct fdb_stats stats(const struct fdb *f)
{
	struct fdb_stats s;

	fdb_stats(f, &s);
	return s;
}

static uint32_t dump_count(const struct fdb *f)
{
	struct fdb_entry e[7];
	uint32_t cursor = 0, n, sum = 0;

	while ((n = fdb_dump(f, &cursor, e, 7)) > 0)
		sum += n;
	return sum;
}

static uint32_t flush(struct fdb *f, int port, int vid, bool all_kinds)
{
	const struct fdb_flush what = {.port = port, .vid = vid, .all_kinds = all_kinds};

	return fdb_flush(f, &what);
}

static int setup(void **state)
{
	*state = fdb_new(1024, key);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	fdb_free(*state);
	return 0;
}

static void new_refuses_sizes(void **state)
{
	assert_null(fdb_new(0, key));
	assert_null(fdb_new(FDB_CAPACITY_MAX + 1, key));
	assert_null(fdb_free(NULL));
}

static void empty_knows_nobody(void **state)
{
	struct fdb *f = *state;
	struct fdb_entry e;

	/* A free slot must not look like the address 0. */
	assert_int_equal(where(f, 0), -1);
	assert_int_equal(where(f, MAC_BROADCAST), -1);
	assert_false(fdb_get(f, 0, 0, &e));
	assert_int_equal(dump_count(f), 0);
	assert_int_equal(fdb_del(f, 1, 0, 0), FDB_E_NOT_FOUND);
	assert_int_equal(flush(f, -1, -1, true), 0);
}

static void learns_and_finds(void **state)
{
	struct fdb *f = *state;
	struct fdb_entry e;

	assert_int_equal(learn(f, address(1), 3), FDB_NEW);
	assert_int_equal(learn(f, address(1), 3), FDB_KNOWN);
	assert_int_equal(where(f, address(1)), 3);
	assert_int_equal(where(f, address(2)), -1);
	assert_true(fdb_get(f, address(1), 0, &e));
	assert_int_equal(e.mac, address(1));
	assert_int_equal(e.port, 3);
	assert_int_equal(e.vid, 0);
	assert_int_equal(e.kind, FDB_DYNAMIC);
	assert_false(e.added_by_user);
	assert_int_equal(stats(f).n_learned, 1);
	assert_int_equal(stats(f).n_new, 1);
	assert_int_equal(fdb_port_learned(f, 3), 1);
}

static void vlans_are_apart(void **state)
{
	struct fdb *f = *state;
	uint64_t mac = address(1);
	enum fdb_kind kind;
	struct fdb_entry e;
	uint16_t old;

	for (uint16_t vid = 0; vid < 4096; vid += 195)
		assert_int_equal(
			fdb_learn(f, mac, vid, fdb_hash(f, mac, vid), vid / 195 + 1, false, &old),
			FDB_NEW);
	for (uint16_t vid = 0; vid < 4096; vid += 195) {
		assert_int_equal(fdb_lookup(f, mac, vid, fdb_hash(f, mac, vid), &kind),
				 vid / 195 + 1);
		assert_true(fdb_get(f, mac, vid, &e));
		assert_int_equal(e.vid, vid);
		assert_int_equal(e.mac, mac);
	}
	assert_int_equal(fdb_lookup(f, mac, 1, fdb_hash(f, mac, 1), &kind), -1);
}

static void moves(void **state)
{
	struct fdb *f = *state;
	uint64_t mac = address(1);
	uint16_t old = 99;

	learn(f, mac, 3);
	assert_int_equal(fdb_learn(f, mac, 0, fdb_hash(f, mac, 0), 4, false, &old), FDB_MOVED);
	assert_int_equal(old, 3);
	assert_int_equal(where(f, mac), 4);
	assert_int_equal(fdb_port_learned(f, 3), 0);
	assert_int_equal(fdb_port_learned(f, 4), 1);
	assert_int_equal(stats(f).n_moved, 1);
}

static void static_stays(void **state)
{
	struct fdb *f = *state;
	uint64_t mac = address(1);
	struct fdb_entry e;

	assert_int_equal(fdb_add(f, mac, 0, 3, FDB_STATIC, false), 0);
	assert_int_equal(learn(f, mac, 4), FDB_KEPT);
	assert_int_equal(learn(f, mac, 3), FDB_KNOWN);
	fdb_set_now(f, 1000000);
	assert_int_equal(where(f, mac), 3);
	assert_true(fdb_get(f, mac, 0, &e));
	assert_true(e.added_by_user);
	assert_int_equal(e.age_s, 1000000);
	assert_int_equal(stats(f).n_fixed, 1);
	assert_int_equal(stats(f).n_learned, 0);
}

static void local_is_never_learned(void **state)
{
	struct fdb *f = *state;
	enum fdb_kind kind;
	struct fdb_entry e;

	assert_int_equal(fdb_add(f, address(1), 0, 0, FDB_LOCAL, false), 0);
	assert_int_equal(fdb_add(f, address(2), 0, 2, FDB_LOCAL, false), 0);
	assert_int_equal(learn(f, address(1), 4), FDB_KEPT);
	/* Not even from its own port: that is a loop, not a station. */
	assert_int_equal(learn(f, address(2), 2), FDB_KEPT);
	assert_int_equal(fdb_lookup(f, address(1), 0, fdb_hash(f, address(1), 0), &kind), 0);
	assert_int_equal(kind, FDB_LOCAL);
	assert_true(fdb_get(f, address(2), 0, &e));
	assert_false(e.added_by_user);
}

static void local_holds_in_every_vlan(void **state)
{
	struct fdb *f = *state;
	uint64_t mac = address(1);
	enum fdb_kind kind = FDB_DYNAMIC;
	struct fdb_entry e;
	uint16_t old;

	fdb_add(f, mac, 0, 2, FDB_LOCAL, false);
	assert_int_equal(fdb_lookup(f, mac, 4094, fdb_hash(f, mac, 4094), &kind), 2);
	assert_int_equal(kind, FDB_LOCAL);
	assert_int_equal(fdb_learn(f, mac, 7, fdb_hash(f, mac, 7), 3, false, &old), FDB_KEPT);
	assert_false(fdb_get(f, mac, 7, &e)); /* there is one entry all the same */
	/* An entry of that VLAN comes first, and other kinds hold in theirs alone. */
	fdb_add(f, mac, 7, 3, FDB_STATIC, false);
	assert_int_equal(fdb_lookup(f, mac, 7, fdb_hash(f, mac, 7), &kind), 3);
	fdb_add(f, address(2), 0, 2, FDB_STATIC, false);
	assert_int_equal(fdb_lookup(f, address(2), 7, fdb_hash(f, address(2), 7), &kind), -1);
	fdb_add(f, address(3), 5, 2, FDB_LOCAL, false);
	assert_int_equal(fdb_lookup(f, address(3), 7, fdb_hash(f, address(3), 7), &kind), -1);
}

static void sticky_never_moves_but_ages(void **state)
{
	struct fdb *f = *state;
	uint64_t mac = address(1);
	uint32_t hash = fdb_hash(f, mac, 0);
	enum fdb_kind kind;
	uint16_t old;

	assert_int_equal(fdb_learn(f, mac, 0, hash, 3, true, &old), FDB_NEW);
	assert_int_equal(fdb_lookup(f, mac, 0, hash, &kind), 3);
	assert_int_equal(kind, FDB_STICKY);
	assert_int_equal(learn(f, mac, 4), FDB_KEPT);
	assert_int_equal(fdb_port_learned(f, 3), 1);
	fdb_set_now(f, 301);
	assert_int_equal(where(f, mac), -1);
	assert_int_equal(learn(f, mac, 4), FDB_NEW);
	/* The flag came later: it holds from the next frame on. */
	assert_int_equal(fdb_learn(f, mac, 0, hash, 4, true, &old), FDB_KNOWN);
	assert_int_equal(learn(f, mac, 5), FDB_KEPT);
	assert_int_equal(stats(f).n_learned, 1);
}

static void sticky_of_a_user_does_not_age(void **state)
{
	struct fdb *f = *state;

	fdb_add(f, address(1), 0, 3, FDB_STICKY, false);
	fdb_set_now(f, 301);
	assert_int_equal(where(f, address(1)), 3);
	assert_int_equal(learn(f, address(1), 4), FDB_KEPT);
	assert_int_equal(stats(f).n_learned, 0);
}

static void dynamic_of_a_user_ages_moves_and_does_not_count(void **state)
{
	struct fdb *f = *state;
	struct fdb_entry e;

	fdb_set_port_limit(f, 4, 1);
	learn(f, address(9), 4);
	fdb_add(f, address(1), 0, 3, FDB_DYNAMIC, false);
	assert_int_equal(stats(f).n_learned, 1);
	assert_int_equal(learn(f, address(1), 4), FDB_MOVED);
	assert_true(fdb_get(f, address(1), 0, &e));
	assert_true(e.added_by_user);
	assert_int_equal(fdb_port_learned(f, 4), 1);
	fdb_set_now(f, 301);
	assert_int_equal(where(f, address(1)), -1);
	fdb_sweep(f, UINT32_MAX);
	assert_int_equal(stats(f).n_fixed, 0);
	assert_int_equal(stats(f).n_aged, 2);
}

static void add_exists_and_replaces(void **state)
{
	struct fdb *f = *state;
	struct fdb_entry e;

	learn(f, address(1), 3);
	assert_int_equal(fdb_add(f, address(1), 0, 5, FDB_STATIC, false), FDB_E_EXISTS);
	assert_int_equal(where(f, address(1)), 3);
	assert_int_equal(fdb_add(f, address(1), 0, 5, FDB_STATIC, true), 0);
	assert_true(fdb_get(f, address(1), 0, &e));
	assert_int_equal(e.kind, FDB_STATIC);
	assert_int_equal(e.port, 5);
	assert_int_equal(stats(f).n_learned, 0);
	assert_int_equal(fdb_port_learned(f, 3), 0);
	/* The port's counts moved along: its flush finds it. */
	assert_int_equal(flush(f, 5, -1, true), 1);
	/* What is too old is not there. */
	learn(f, address(2), 3);
	fdb_set_now(f, 301);
	assert_int_equal(fdb_add(f, address(2), 0, 5, FDB_STATIC, false), 0);
}

static void del_minds_the_port(void **state)
{
	struct fdb *f = *state;

	learn(f, address(1), 3);
	fdb_add(f, address(2), 0, 4, FDB_LOCAL, false);
	assert_int_equal(fdb_del(f, address(1), 0, 4), FDB_E_NOT_FOUND);
	assert_int_equal(fdb_del(f, address(1), 7, 3), FDB_E_NOT_FOUND);
	assert_int_equal(fdb_del(f, address(1), 0, 3), 0);
	assert_int_equal(fdb_del(f, address(1), 0, 3), FDB_E_NOT_FOUND);
	assert_int_equal(fdb_del(f, address(2), 0, 0), 0);
	assert_int_equal(where(f, address(1)), -1);
	assert_int_equal(stats(f).n_learned + stats(f).n_fixed, 0);
	learn(f, address(1), 3);
	fdb_set_now(f, 301);
	assert_int_equal(fdb_del(f, address(1), 0, 3), FDB_E_NOT_FOUND);
}

static void ages_without_sweeping(void **state)
{
	struct fdb *f = *state;
	struct fdb_entry e;

	learn(f, address(1), 3);
	fdb_set_now(f, 300);
	assert_int_equal(where(f, address(1)), 3);
	assert_true(fdb_get(f, address(1), 0, &e));
	assert_int_equal(e.age_s, 300);
	fdb_set_now(f, 301);
	assert_int_equal(where(f, address(1)), -1);
	assert_false(fdb_get(f, address(1), 0, &e));
	assert_int_equal(dump_count(f), 0);
	assert_int_equal(stats(f).n_learned, 1);
	/* On another port it is new, not moved. */
	assert_int_equal(learn(f, address(1), 4), FDB_NEW);
	assert_int_equal(stats(f).n_aged, 1);
	assert_int_equal(stats(f).n_learned, 1);
}

static void refreshing_keeps_alive(void **state)
{
	struct fdb *f = *state;

	for (uint32_t t = 0; t < 3000; t += 300) {
		fdb_set_now(f, t);
		assert_int_equal(learn(f, address(1), 3), t ? FDB_KNOWN : FDB_NEW);
	}
}

static void time_wraps_around(void **state)
{
	struct fdb *f = *state;

	fdb_set_now(f, UINT32_MAX - 10);
	learn(f, address(1), 3);
	fdb_set_now(f, 289);
	assert_int_equal(where(f, address(1)), 3);
	fdb_set_now(f, 290);
	assert_int_equal(where(f, address(1)), -1);
}

static void ageing_time_changes_at_once(void **state)
{
	struct fdb *f = *state;

	assert_int_equal(fdb_ageing(f), FDB_AGEING_DEFAULT_S);
	learn(f, address(1), 3);
	fdb_add(f, address(2), 0, 3, FDB_STATIC, false);
	fdb_set_now(f, 50);
	fdb_set_ageing(f, 49);
	assert_int_equal(where(f, address(1)), -1);
	fdb_set_ageing(f, UINT32_MAX);
	assert_int_equal(fdb_ageing(f), UINT32_MAX);
	assert_int_equal(where(f, address(1)), 3);
	fdb_set_ageing(f, 0);
	assert_int_equal(fdb_ageing(f), 0);
	assert_int_equal(where(f, address(1)), -1);
	assert_int_equal(where(f, address(2)), 3);
	assert_int_equal(learn(f, address(1), 3), FDB_DISABLED);
	assert_int_equal(learn(f, address(5), 3), FDB_DISABLED);
}

static void count_gone(void *ctx, const struct fdb_entry *e)
{
	uint32_t *n = ctx;

	assert_int_equal(e->port, 3);
	assert_true(e->age_s > 300);
	(*n)++;
}

static void sweeps_in_shares(void **state)
{
	struct fdb *f = *state;
	uint32_t n = 0, share = fdb_n_buckets(f) / 10 + 1, before;

	for (uint32_t i = 0; i < 500; i++)
		learn(f, address(i), 3);
	fdb_set_now(f, 200);
	for (uint32_t i = 500; i < 600; i++)
		learn(f, address(i), 4);
	fdb_set_now(f, 301);
	fdb_on_gone(f, count_gone, &n);
	fdb_sweep(f, share);
	assert_in_range(n, 10, 200);
	for (uint32_t i = 1; i < 10; i++) {
		before = n;
		fdb_sweep(f, share);
		assert_true(n > before);
	}
	assert_int_equal(n, 500);
	assert_int_equal(stats(f).n_learned, 100);
	assert_int_equal(stats(f).n_aged, 500);
	assert_int_equal(dump_count(f), 100);
}

static void restores_with_its_age(void **state)
{
	struct fdb *f = *state;
	struct fdb_entry e;

	fdb_set_now(f, 10); /* less than the ages: a machine that has just started */
	assert_true(fdb_restore(f, address(1), 0, 3, 100));
	assert_true(fdb_get(f, address(1), 0, &e));
	assert_int_equal(e.port, 3);
	assert_int_equal(e.kind, FDB_DYNAMIC);
	assert_int_equal(e.age_s, 100);
	fdb_set_now(f, 10 + FDB_AGEING_DEFAULT_S - 100);
	assert_true(fdb_get(f, address(1), 0, &e));
	fdb_set_now(f, 10 + FDB_AGEING_DEFAULT_S - 99);
	assert_false(fdb_get(f, address(1), 0, &e));
}

static void restores_nothing_old_known_or_too_many(void **state)
{
	struct fdb *f = *state;
	struct fdb_entry e;

	assert_false(fdb_restore(f, address(1), 0, 3, FDB_AGEING_DEFAULT_S + 1));
	assert_true(fdb_restore(f, address(1), 0, 3, 1));
	assert_false(fdb_restore(f, address(1), 0, 4, 0));
	assert_true(fdb_get(f, address(1), 0, &e));
	assert_int_equal(e.port, 3);
	fdb_set_port_limit(f, 3, 1);
	assert_false(fdb_restore(f, address(2), 0, 3, 1));
	assert_int_equal(fdb_port_learned(f, 3), 1);
	fdb_set_limit(f, 1);
	assert_false(fdb_restore(f, address(2), 0, 4, 1));
}

static void flush_kinds(void **state)
{
	struct fdb *f = *state;
	uint16_t old;

	for (uint16_t port = 1; port <= 3; port++) {
		for (uint16_t vid = 0; vid < 4; vid++) {
			uint64_t mac = address(port * 10u + vid);

			fdb_learn(f, mac, vid, fdb_hash(f, mac, vid), port, false, &old);
		}
		fdb_add(f, address(100u + port), 1, port, FDB_STATIC, false);
		fdb_add(f, address(200u + port), 1, port, FDB_LOCAL, false);
		fdb_add(f, address(300u + port), 1, port, FDB_STICKY, false);
		fdb_add(f, address(400u + port), 1, port, FDB_DYNAMIC, false);
	}
	assert_int_equal(flush(f, 2000, -1, true), 0);
	assert_int_equal(flush(f, 9, -1, true), 0);
	assert_int_equal(flush(f, 1, 0, false), 1);
	assert_int_equal(fdb_flush(f, &(struct fdb_flush){.port = 3, .vid = 2, .vid_last = 4094}),
			 2);
	fdb_learn(f, address(32), 2, fdb_hash(f, address(32), 2), 3, false, &old);
	fdb_learn(f, address(33), 3, fdb_hash(f, address(33), 3), 3, false, &old);
	assert_int_equal(flush(f, 1, -1, false), 4);
	assert_int_equal(flush(f, -1, 1, false), 4);
	assert_int_equal(flush(f, 2, -1, true), 6);
	assert_int_equal(dump_count(f), 9);
	assert_int_equal(flush(f, -1, -1, false), 3);
	assert_int_equal(dump_count(f), 6);
	assert_int_equal(flush(f, -1, -1, true), 6);
	assert_int_equal(stats(f).n_flushed, 26);
	assert_int_equal(stats(f).n_learned + stats(f).n_fixed, 0);
}

static void flush_does_not_count_the_aged(void **state)
{
	struct fdb *f = *state;

	learn(f, address(1), 1);
	fdb_set_now(f, 301);
	learn(f, address(2), 1);
	assert_int_equal(flush(f, 1, -1, false), 1);
	assert_int_equal(stats(f).n_learned, 0);
	assert_int_equal(stats(f).n_aged, 1);
}

struct last_gone {
	uint32_t n;
	struct fdb_entry e;
};

static void note_gone(void *ctx, const struct fdb_entry *e)
{
	struct last_gone *g = ctx;

	g->n++;
	g->e = *e;
}

static void gone_is_told_whatever_the_cause(void **state)
{
	struct fdb *f = *state;
	struct last_gone g = {0};

	fdb_on_gone(f, note_gone, &g);
	fdb_add(f, address(1), 7, 2, FDB_STATIC, false);
	fdb_del(f, address(1), 7, 2);
	assert_int_equal(g.n, 1);
	assert_true(g.e.mac == address(1) && g.e.vid == 7 && g.e.port == 2);
	assert_int_equal(g.e.kind, FDB_STATIC);

	for (uint32_t i = 2; i < 12; i++)
		learn(f, address(i), 3);
	flush(f, 3, -1, false);
	assert_int_equal(g.n, 11);

	/* replaced: the oldest of the port that has most */
	fdb_set_limit(f, 3);
	for (uint32_t i = 2; i < 5; i++)
		learn(f, address(i), 3);
	assert_int_equal(learn(f, address(20), 4), FDB_NEW);
	assert_int_equal(g.n, 12);
	assert_int_equal(g.e.port, 3);

	/* found too old when it comes back on another port */
	fdb_set_now(f, 1000);
	assert_int_equal(learn(f, address(20), 5), FDB_NEW);
	assert_int_equal(g.n, 13);
	assert_true(g.e.mac == address(20) && g.e.port == 4);

	/* a move is none */
	assert_int_equal(learn(f, address(20), 6), FDB_MOVED);
	assert_int_equal(g.n, 13);
}

static void port_limit(void **state)
{
	struct fdb *f = *state;

	fdb_set_port_limit(f, 1, 2);
	learn(f, address(1), 1);
	learn(f, address(2), 1);
	assert_int_equal(learn(f, address(3), 1), FDB_FULL);
	assert_int_equal(learn(f, address(3), 2), FDB_NEW);
	/* Nor may it take addresses over. */
	assert_int_equal(learn(f, address(3), 1), FDB_FULL);
	assert_int_equal(where(f, address(3)), 2);
	assert_int_equal(learn(f, address(1), 1), FDB_KNOWN);
	assert_int_equal(fdb_add(f, address(4), 0, 1, FDB_STATIC, false), 0);
	assert_int_equal(stats(f).n_full, 2);
	fdb_set_port_limit(f, 1, 0);
	assert_int_equal(learn(f, address(3), 1), FDB_MOVED);
}

static void table_limit_replaces_own_older(void **state)
{
	struct fdb *f = *state;

	fdb_set_limit(f, 3);
	assert_int_equal(stats(f).max_learned, 3);
	for (uint32_t i = 0; i < 3; i++) {
		fdb_set_now(f, i);
		learn(f, address(i), 1);
	}
	assert_int_equal(learn(f, address(3), 1), FDB_NEW);
	assert_int_equal(stats(f).n_evicted, 1);
	assert_int_equal(where(f, address(0)), -1);
	assert_int_equal(where(f, address(1)), 1);
	/* All seen in this second: none is older. */
	for (uint32_t i = 1; i < 4; i++)
		learn(f, address(i), 1);
	assert_int_equal(learn(f, address(4), 1), FDB_FULL);
	/* But another port gets its share, of the port that has most. */
	assert_int_equal(learn(f, address(5), 2), FDB_NEW);
	assert_int_equal(fdb_port_learned(f, 1), 2);
	assert_int_equal(learn(f, address(6), 2), FDB_FULL);
	assert_int_equal(stats(f).n_learned, 3);
	/* Static entries are outside. */
	assert_int_equal(fdb_add(f, address(7), 0, 1, FDB_STATIC, false), 0);
	fdb_set_limit(f, 0);
	assert_int_equal(stats(f).max_learned, 1024);
	assert_int_equal(learn(f, address(6), 2), FDB_NEW);
}

static void lowered_limit_is_reached_step_by_step(void **state)
{
	struct fdb *f = *state;

	for (uint32_t i = 0; i < 10; i++)
		learn(f, address(i), 1);
	fdb_set_limit(f, 8);
	assert_int_equal(stats(f).n_learned, 10);
	fdb_set_now(f, 1);
	assert_int_equal(learn(f, address(20), 1), FDB_FULL);
	assert_int_equal(learn(f, address(20), 1), FDB_FULL);
	assert_int_equal(learn(f, address(20), 1), FDB_NEW);
	assert_int_equal(stats(f).n_learned, 8);
}

static void commands_find_room_in_a_flooded_table(void **state)
{
	struct fdb *f = fdb_new(20, key);

	for (uint32_t i = 0; i < 40; i++)
		learn(f, address(i), 1);
	assert_int_equal(stats(f).n_learned, 20);
	for (uint32_t i = 100; i < 120; i++)
		assert_int_equal(fdb_add(f, address(i), 0, 2, FDB_STATIC, false), 0);
	assert_int_equal(stats(f).n_learned, 0);
	assert_int_equal(fdb_add(f, address(120), 0, 2, FDB_STATIC, false), FDB_E_FULL);
	assert_int_equal(learn(f, address(1), 1), FDB_FULL);
	fdb_free(f);
}

/* limit: of learned entries, 0 = the capacity. Ten ports with 100 stations each, then the flood. */
static void flood(uint32_t limit, bool in_time)
{
	struct fdb *f = fdb_new(8192, key);

	fdb_set_limit(f, limit);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(learn(f, address(i), (uint16_t)(1 + i / 100)), FDB_NEW);
	for (uint32_t i = 0; i < 10 * 8192; i++) {
		if (in_time && i % 1000 == 0)
			fdb_set_now(f, 1 + i / 1000);
		learn(f, address(10000 + i), 11);
	}
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(where(f, address(i)), 1 + i / 100);
	assert_int_equal(fdb_port_learned(f, 11), (limit ? limit : 8192) - 1000);
	assert_int_equal(stats(f).n_evicted == 0, !in_time);
	/* A newcomer elsewhere has a place. */
	assert_int_equal(learn(f, address(5000), 12), FDB_NEW);
	assert_int_equal(fdb_port_learned(f, 11), (limit ? limit : 8192) - 1001);
	fdb_free(f);
}

static void flood_leaves_the_others(void **state)
{
	flood(0, false);
	flood(0, true);
	flood(2000, false);
	flood(2000, true);
}

static void small_limit_in_a_large_table_is_fair(void **state)
{
	struct fdb *f = fdb_new(65536, key);

	fdb_set_limit(f, 10);
	for (uint32_t i = 0; i < 100; i++)
		learn(f, address(i), 1);
	for (uint16_t port = 2; port < 11; port++)
		assert_int_equal(learn(f, address(1000u + port), port), FDB_NEW);
	for (uint16_t port = 1; port < 11; port++)
		assert_int_equal(fdb_port_learned(f, port), 1);
	assert_int_equal(learn(f, address(1011), 11), FDB_FULL);
	fdb_free(f);
}

static void aged_entries_make_way_first(void **state)
{
	struct fdb *f = *state;

	fdb_set_limit(f, 4);
	learn(f, address(1), 1);
	fdb_set_now(f, 301);
	for (uint32_t i = 2; i < 5; i++)
		learn(f, address(i), 2);
	assert_int_equal(learn(f, address(5), 2), FDB_NEW);
	assert_int_equal(stats(f).n_evicted, 0);
	assert_int_equal(stats(f).n_aged, 1);
	assert_int_equal(fdb_port_learned(f, 2), 4);
}

/* Entries that stay are dumped exactly once, whatever else comes and goes between two calls. */
static void dump_is_complete_during_changes(void **state)
{
	struct fdb *f = *state;
	uint8_t seen[300] = {0};
	struct fdb_entry e[5];
	uint32_t cursor = 0, n, turn = 0;

	for (uint32_t i = 0; i < 300; i++)
		learn(f, (uint64_t)i << 8 | 2, 1);
	while ((n = fdb_dump(f, &cursor, e, 5)) > 0) {
		for (uint32_t i = 0; i < n; i++)
			if (e[i].port == 1)
				seen[e[i].mac >> 8]++;
		for (uint32_t i = 0; i < 10; i++)
			learn(f, address(turn * 10 + i), 2);
		if (turn % 3 == 2)
			flush(f, 2, -1, false);
		turn++;
	}
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(fdb_dump(f, &cursor, e, 5), 0);
}

static void a_million_entries_fit(void **state)
{
	struct fdb *f = fdb_new(MILLION, key);

	assert_non_null(f);
	for (uint32_t i = 0; i < MILLION; i++)
		if (learn(f, address(i), (uint16_t)(1 + i % 1000)) != FDB_NEW)
			fail_msg("entry %u did not fit", i);
	for (uint32_t i = 0; i < MILLION; i++)
		if (where(f, address(i)) != (int)(1 + i % 1000))
			fail_msg("entry %u is lost", i);
	assert_int_equal(where(f, address(MILLION)), -1);
	assert_true(stats(f).memory <= 32ULL * MILLION);
	assert_int_equal(flush(f, 7, -1, false), (MILLION + 1000 - 7) / 1000);
	assert_int_equal(flush(f, -1, -1, false), MILLION - (MILLION + 1000 - 7) / 1000);
	fdb_free(f);
}

static void memory_is_bounded(void **state)
{
	for (uint32_t capacity = 16384; capacity <= MILLION; capacity *= 2) {
		struct fdb *f = fdb_new(capacity, key);

		assert_int_equal(stats(f).capacity, capacity);
		assert_true(stats(f).memory <= 32ULL * capacity);
		fdb_free(f);
	}
}

/* Invariants 1 and 2 of fdb.c, and the bits of occupied buckets. */
static void check_invariants(const struct fdb *f)
{
	const struct fdb_hot *hot = (const struct fdb_hot *)f;
	const struct fdb_bucket *b = hot->buckets;
	uint32_t n = fdb_n_buckets(f);
	const uint64_t *bits = (const uint64_t *)&b[n];
	uint8_t *passed = calloc(n, 1);

	for (uint32_t i = 0; i < n; i++) {
		bool occupied = false;

		for (uint32_t k = 0; k < FDB_SLOTS; k++) {
			const struct fdb_slot *s = &b[i].slots[k];

			if (!s->word)
				continue;
			occupied = true;
			assert_true(s->dist < FDB_REACH && s->dist <= i);
			assert_true(i - s->dist < hot->n_home);
			for (uint32_t d = 1; d <= s->dist; d++)
				passed[i - d]++;
		}
		assert_int_equal(bits[i / 64] >> (i % 64) & 1, occupied);
	}
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(b[i].slots[0].passed, passed[i]);
	free(passed);
}

static void invariants_hold_after_churn(void **state)
{
	struct fdb *f = *state;

	for (uint32_t i = 0; i < 20000; i++) {
		fdb_set_now(f, i / 100);
		learn(f, address(i * 7 % 3000), (uint16_t)(1 + i % 5));
		if (i % 3 == 0)
			fdb_del(f, address(i * 11 % 3000), 0, 0);
		if (i % 1000 == 999) {
			check_invariants(f);
			flush(f, (int)(i / 1000 % 7), -1, false);
			check_invariants(f);
		}
	}
	assert_true(stats(f).n_evicted > 0);
	flush(f, -1, -1, true);
	check_invariants(f);
}

/* The same addresses under another key have other hashes; bits of the input reach all of it. */
static void hash_is_keyed(void **state)
{
	const uint8_t other[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17};
	struct fdb *f = *state, *g = fdb_new(1024, other);
	uint32_t same = 0;

	for (uint32_t i = 0; i < 1000; i++)
		same += fdb_hash(f, address(i), 0) == fdb_hash(g, address(i), 0);
	assert_true(same <= 1);
	for (uint32_t bit = 0; bit < 60; bit++) {
		uint32_t flips = 0;

		for (uint32_t i = 0; i < 1000; i++) {
			uint64_t mac = address(i);
			uint64_t mac2 = bit < 48 ? mac ^ 1ULL << bit : mac;
			uint16_t vid2 = bit < 48 ? 0 : (uint16_t)(1 << (bit - 48));

			flips += (uint32_t)__builtin_popcount(fdb_hash(f, mac, 0) ^
							      fdb_hash(f, mac2, vid2));
		}
		assert_in_range(flips, 15000, 17000);
	}
	fdb_free(g);
}

#define with_table(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_refuses_sizes),
		with_table(empty_knows_nobody),
		with_table(learns_and_finds),
		with_table(vlans_are_apart),
		with_table(moves),
		with_table(static_stays),
		with_table(local_is_never_learned),
		with_table(local_holds_in_every_vlan),
		with_table(sticky_never_moves_but_ages),
		with_table(sticky_of_a_user_does_not_age),
		with_table(dynamic_of_a_user_ages_moves_and_does_not_count),
		with_table(add_exists_and_replaces),
		with_table(del_minds_the_port),
		with_table(ages_without_sweeping),
		with_table(refreshing_keeps_alive),
		with_table(time_wraps_around),
		with_table(ageing_time_changes_at_once),
		with_table(sweeps_in_shares),
		with_table(restores_with_its_age),
		with_table(restores_nothing_old_known_or_too_many),
		with_table(flush_kinds),
		with_table(flush_does_not_count_the_aged),
		with_table(gone_is_told_whatever_the_cause),
		with_table(port_limit),
		with_table(table_limit_replaces_own_older),
		with_table(lowered_limit_is_reached_step_by_step),
		cmocka_unit_test(commands_find_room_in_a_flooded_table),
		cmocka_unit_test(flood_leaves_the_others),
		cmocka_unit_test(small_limit_in_a_large_table_is_fair),
		with_table(aged_entries_make_way_first),
		with_table(dump_is_complete_during_changes),
		cmocka_unit_test(a_million_entries_fit),
		cmocka_unit_test(memory_is_bounded),
		with_table(invariants_hold_after_churn),
		with_table(hash_is_keyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
