/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The FDB against a naive array: the same random operations on both, everything compared after
 * each. Small tables, few addresses, ports and VLANs, so that limits, moves and ageing meet. Where
 * the contract leaves the choice (which entry makes way), the model checks that the choice was
 * allowed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "core/fdb.h"

#define N_TABLES    60u
#define N_STEPS     3000u
#define N_MACS      48u
#define N_VIDS      3u
#define N_PORTS     6u
#define ENTRIES_MAX (N_MACS * N_VIDS)

struct naive {
	struct fdb_entry e[ENTRIES_MAX]; /* age_s is not used */
	uint32_t seen_s[ENTRIES_MAX];
	uint32_t n, now_s, ageing_s, capacity, limit;
	uint32_t port_limit[N_PORTS];
	bool refused[N_PORTS]; /* in this second */
};

static uint64_t seed, rng_state;
static uint32_t table_no, step_no;

#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			die(#cond, __LINE__);                                                      \
	} while (0)

static void __attribute__((noreturn)) die(const char *what, int line)
{
	printf("line %d: not so: %s (table %u, step %u); repeat with VIADUCT_SEED=%llu\n", line,
	       what, table_no, step_no, (unsigned long long)seed);
	exit(1);
}

static uint32_t rnd(uint32_t n)
{
	uint64_t x = rng_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((x ^ x >> 31) % n);
}

static bool ages(const struct fdb_entry *e)
{
	return e->kind == FDB_DYNAMIC || (e->kind == FDB_STICKY && !e->added_by_user);
}

static bool learned(const struct fdb_entry *e)
{
	return ages(e) && !e->added_by_user;
}

static bool too_old(const struct naive *m, uint32_t i)
{
	return ages(&m->e[i]) && (m->ageing_s == 0 || m->now_s - m->seen_s[i] > m->ageing_s);
}

static int find(const struct naive *m, uint64_t mac, uint16_t vid)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->e[i].mac == mac && m->e[i].vid == vid)
			return (int)i;
	return -1;
}

static void drop(struct naive *m, uint32_t i)
{
	m->n--;
	m->e[i] = m->e[m->n];
	m->seen_s[i] = m->seen_s[m->n];
}

/* Local in VLAN 0, thus in every VLAN without an entry. */
static bool is_local(const struct naive *m, uint64_t mac)
{
	int i = find(m, mac, 0);

	return i >= 0 && m->e[i].kind == FDB_LOCAL;
}

/* As find(), but what is too old goes. */
static int find_live(struct naive *m, uint64_t mac, uint16_t vid)
{
	int i = find(m, mac, vid);

	if (i < 0 || !too_old(m, (uint32_t)i))
		return i;
	drop(m, (uint32_t)i);
	return -1;
}

static uint32_t count(const struct naive *m, int port)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->n; i++)
		n += learned(&m->e[i]) && (port < 0 || m->e[i].port == port);
	return n;
}

static uint32_t most(const struct naive *m)
{
	uint32_t n = 0;

	for (uint16_t p = 0; p < N_PORTS; p++)
		n = max_of(n, count(m, p));
	return n;
}

static void put(struct naive *m, uint64_t mac, uint16_t vid, uint16_t port, enum fdb_kind kind,
		bool by_user)
{
	m->e[m->n] = (struct fdb_entry){.mac = mac,
					.vid = vid,
					.port = port,
					.kind = (uint8_t)kind,
					.added_by_user = by_user};
	m->seen_s[m->n++] = m->now_s;
}

static bool same(const struct fdb_entry *a, const struct fdb_entry *b)
{
	return a->mac == b->mac && a->vid == b->vid && a->port == b->port && a->kind == b->kind &&
	       a->added_by_user == b->added_by_user;
}

/* Every entry of one is in the other, once, and the counts agree. */
static void compare(const struct naive *m, const struct fdb *f)
{
	struct fdb_entry got[11];
	struct fdb_stats s;
	uint32_t cursor = 0, n, n_got = 0, n_live = 0;
	uint8_t seen[ENTRIES_MAX] = {0};

	while ((n = fdb_dump(f, &cursor, got, 1 + step_no % 11)) > 0) {
		for (uint32_t k = 0; k < n; k++) {
			int i = find(m, got[k].mac, got[k].vid);

			check(i >= 0);
			check(same(&m->e[i], &got[k]));
			check(got[k].age_s == m->now_s - m->seen_s[i]);
			check(!too_old(m, (uint32_t)i));
			check(!seen[i]++);
		}
		n_got += n;
	}
	for (uint32_t i = 0; i < m->n; i++)
		n_live += !too_old(m, i);
	check(n_got == n_live);
	fdb_stats(f, &s);
	check(s.n_learned == count(m, -1));
	check(s.n_fixed == m->n - count(m, -1));
	for (uint16_t p = 0; p < N_PORTS; p++)
		check(fdb_port_learned(f, p) == count(m, p));
}

/* May entry i make way for a new address of the port (FDB_PORTS: for a command)? */
static bool may_go(const struct naive *m, uint32_t i, uint16_t port)
{
	const struct fdb_entry *e = &m->e[i];
	uint32_t own = port < FDB_PORTS ? count(m, port) : 0;

	if (!learned(e))
		return false;
	if (too_old(m, i))
		return true;
	if (port == FDB_PORTS || most(m) >= own + 2)
		return count(m, e->port) == most(m);
	return e->port == port && m->seen_s[i] != m->now_s;
}

/*
 * The table was full before a new address came. Finds which entry made way for it, if any, and
 * checks that it might. False if none did.
 */
static bool follow_victim(struct naive *m, const struct fdb *f, uint16_t port)
{
	uint32_t n_gone = 0, gone = 0;
	struct fdb_entry e;

	for (uint32_t i = 0; i < m->n; i++) {
		if (fdb_get(f, m->e[i].mac, m->e[i].vid, &e))
			continue;
		gone = i;
		n_gone++;
	}
	check(n_gone <= 1);
	if (n_gone == 0)
		return false;
	check(may_go(m, gone, port));
	drop(m, gone);
	return true;
}

static bool is_full(const struct naive *m)
{
	return count(m, -1) >= m->limit || m->n >= m->capacity;
}

/* Which of several aged entries makes way cannot be seen from outside: take them out before. */
static void sweep_both(struct naive *m, struct fdb *f)
{
	fdb_sweep(f, UINT32_MAX);
	for (uint32_t i = m->n; i-- > 0;)
		if (too_old(m, i))
			drop(m, i);
}

/* No entry made way for a new address of this port: was that right? */
static void check_refusal(struct naive *m, uint16_t port)
{
	uint32_t n_new = 0;

	check(count(m, -1) == 0 || most(m) < count(m, port) + 2);
	for (uint32_t i = 0; i < m->n; i++)
		n_new += learned(&m->e[i]) && m->e[i].port == port && m->seen_s[i] == m->now_s;
	if (n_new > 0 || m->now_s == UINT32_MAX)
		m->refused[port] = true;
	check(m->refused[port] || count(m, port) == 0);
}

static void learned_new(struct naive *m, struct fdb *f, const struct fdb_entry *e,
			enum fdb_learn_result r)
{
	bool full = is_full(m);

	if (count(m, e->port) >= m->port_limit[e->port]) {
		check(r == FDB_FULL);
		return;
	}
	if (full && !follow_victim(m, f, e->port)) {
		check(r == FDB_FULL);
		check_refusal(m, e->port);
		return;
	}
	check(r == (is_full(m) ? FDB_FULL : FDB_NEW));
	if (r == FDB_NEW)
		put(m, e->mac, e->vid, e->port, (enum fdb_kind)e->kind, false);
}

static void op_learn(struct naive *m, struct fdb *f, uint64_t mac, uint16_t vid)
{
	uint16_t port = (uint16_t)(1 + rnd(N_PORTS - 1)), old = 0xffff;
	bool sticky = rnd(10) == 0;
	struct fdb_entry *e;
	enum fdb_learn_result r;
	int i;

	if (is_full(m))
		sweep_both(m, f);
	r = fdb_learn(f, mac, vid, fdb_hash(f, mac, vid), port, sticky, &old);
	if (m->ageing_s == 0) {
		check(r == FDB_DISABLED);
		return;
	}
	i = find_live(m, mac, vid);
	if (i < 0 && is_local(m, mac)) {
		check(r == FDB_KEPT);
		return;
	}
	if (i < 0) {
		const struct fdb_entry fresh = {.mac = mac,
						.vid = vid,
						.port = port,
						.kind = sticky ? FDB_STICKY : FDB_DYNAMIC};

		learned_new(m, f, &fresh, r);
		return;
	}
	e = &m->e[i];
	if (e->kind == FDB_LOCAL || (e->port != port && e->kind != FDB_DYNAMIC)) {
		check(r == FDB_KEPT);
		return;
	}
	if (e->port != port && learned(e) && count(m, port) >= m->port_limit[port]) {
		check(r == FDB_FULL);
		return;
	}
	check(r == (e->port == port ? FDB_KNOWN : FDB_MOVED));
	check(old == (r == FDB_MOVED ? e->port : 0xffff));
	if (sticky && learned(e))
		e->kind = FDB_STICKY;
	e->port = port;
	m->seen_s[i] = m->now_s;
}

static void op_lookup(struct naive *m, struct fdb *f, uint64_t mac, uint16_t vid)
{
	enum fdb_kind kind = FDB_KIND_N;
	int port = fdb_lookup(f, mac, vid, fdb_hash(f, mac, vid), &kind);
	int i = find(m, mac, vid);

	if ((i < 0 || too_old(m, (uint32_t)i)) && is_local(m, mac))
		i = find(m, mac, 0);
	if (i < 0 || too_old(m, (uint32_t)i)) {
		check(port == -1);
		return;
	}
	check(port == m->e[i].port);
	check(kind == m->e[i].kind);
}

static void op_add(struct naive *m, struct fdb *f, uint64_t mac, uint16_t vid)
{
	uint16_t port = (uint16_t)rnd(N_PORTS);
	enum fdb_kind kind = (enum fdb_kind)rnd(FDB_KIND_N);
	bool replace = rnd(2);
	int r, i;

	if (is_full(m))
		sweep_both(m, f);
	i = find_live(m, mac, vid);
	r = fdb_add(f, mac, vid, port, kind, replace);
	if (i >= 0 && !replace) {
		check(r == FDB_E_EXISTS);
		return;
	}
	if (i >= 0) {
		check(r == 0);
		drop(m, (uint32_t)i);
	} else if (m->n >= m->capacity && !follow_victim(m, f, FDB_PORTS)) {
		check(r == FDB_E_FULL);
		check(count(m, -1) == 0);
		return;
	}
	check(r == 0);
	put(m, mac, vid, port, kind, kind != FDB_LOCAL);
}

static void op_del(struct naive *m, struct fdb *f, uint64_t mac, uint16_t vid)
{
	uint16_t port = (uint16_t)rnd(N_PORTS);
	int r = fdb_del(f, mac, vid, port);
	int i = find_live(m, mac, vid);

	if (i < 0 || (port && m->e[i].port != port)) {
		check(r == FDB_E_NOT_FOUND);
		return;
	}
	check(r == 0);
	drop(m, (uint32_t)i);
}

static void op_flush(struct naive *m, struct fdb *f)
{
	const struct fdb_flush what = {.port = (int)rnd(N_PORTS + 1) - 1,
				       .vid = (int)rnd(N_VIDS + 1) - 1,
				       .vid_last = (int)rnd(N_VIDS),
				       .all_kinds = rnd(2)};
	const int last = max_of(what.vid, what.vid_last);
	uint32_t n = 0;

	for (uint32_t i = m->n; i-- > 0;) {
		const struct fdb_entry *e = &m->e[i];

		if ((what.port >= 0 && e->port != what.port) ||
		    (what.vid >= 0 && (e->vid < what.vid || e->vid > last)) ||
		    (!what.all_kinds && !ages(e)))
			continue;
		n += !too_old(m, i);
		drop(m, i);
	}
	check(fdb_flush(f, &what) == n);
}

static void on_gone(void *ctx, const struct fdb_entry *e)
{
	struct naive *m = ctx;
	int i = find(m, e->mac, e->vid);

	check(i >= 0);
	check(same(&m->e[i], e));
	check(too_old(m, (uint32_t)i));
	drop(m, (uint32_t)i);
}

static void op_sweep(struct naive *m, struct fdb *f)
{
	fdb_on_gone(f, on_gone, m);
	fdb_sweep(f, rnd(fdb_n_buckets(f)));
	fdb_on_gone(f, NULL, NULL);
}

static void op_time(struct naive *m, struct fdb *f)
{
	uint32_t step = rnd(3) ? rnd(4) : rnd(40);

	if (step > 0)
		memset(m->refused, 0, sizeof(m->refused));
	m->now_s += step;
	fdb_set_now(f, m->now_s);
}

static void op_settings(struct naive *m, struct fdb *f)
{
	uint16_t port = (uint16_t)(1 + rnd(N_PORTS - 1));
	uint32_t n = rnd(3) ? 0 : 1 + rnd(20);

	switch (rnd(3)) {
	case 0:
		m->ageing_s = rnd(5) ? 1 + rnd(30) : 0;
		fdb_set_ageing(f, m->ageing_s);
		check(fdb_ageing(f) == m->ageing_s);
		break;
	case 1:
		m->limit = n ? min_of(n, m->capacity) : m->capacity;
		fdb_set_limit(f, n);
		break;
	default:
		m->port_limit[port] = n ? n : UINT32_MAX;
		fdb_set_port_limit(f, port, n);
		break;
	}
}

static void step(struct naive *m, struct fdb *f)
{
	uint64_t mac = 0x020000000000ULL + rnd(N_MACS);
	uint16_t vid = (uint16_t)rnd(N_VIDS);
	uint32_t dice = rnd(1000);

	if (dice < 600)
		op_learn(m, f, mac, vid);
	else if (dice < 750)
		op_lookup(m, f, mac, vid);
	else if (dice < 790)
		op_add(m, f, mac, vid);
	else if (dice < 840)
		op_del(m, f, mac, vid);
	else if (dice < 845)
		op_flush(m, f);
	else if (dice < 880)
		op_sweep(m, f);
	else if (dice < 990)
		op_time(m, f);
	else
		op_settings(m, f);
	compare(m, f);
}

static void run_table(void)
{
	struct naive m = {.ageing_s = FDB_AGEING_DEFAULT_S,
			  .capacity = rnd(3) ? 5 + rnd(60) : ENTRIES_MAX};
	uint8_t key[16];
	struct fdb *f;

	for (uint32_t i = 0; i < 16; i++)
		key[i] = (uint8_t)rnd(256);
	f = fdb_new(m.capacity, key);
	check(f);
	m.limit = m.capacity;
	for (uint16_t p = 0; p < N_PORTS; p++)
		m.port_limit[p] = UINT32_MAX;
	/* Half of the runs cross the wrap of the clock. */
	m.now_s = rnd(2) ? 0 : UINT32_MAX - rnd(2000);
	fdb_set_now(f, m.now_s);
	for (step_no = 0; step_no < N_STEPS; step_no++)
		step(&m, f);
	fdb_free(f);
}

int main(void)
{
	const char *text = getenv("VIADUCT_SEED");

	seed = text ? strtoull(text, NULL, 0) : (unsigned long long)time(NULL);
	rng_state = seed;
	printf("VIADUCT_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (table_no = 0; table_no < N_TABLES; table_no++)
		run_table();
	printf("%u steps in %u tables agree\n", N_STEPS * N_TABLES, N_TABLES);
	return 0;
}
