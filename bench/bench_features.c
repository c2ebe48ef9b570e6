/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a feature of the engine costs a frame: the bridge of bench_forward with 8,192 addresses,
 * once as it is and once with each feature, in turns, so that a busy machine hits all rows alike.
 *
 *   bench_features [--json] [--runs N] [--seconds S] [ROW...]
 *
 * Prints nanoseconds of processor time a frame, the median of the runs, and the median of the
 * differences to `plain` in the same round. Each row also brings frames into the form in which they
 * arrive (a tag written or cut off), which is part of its time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "base/mac.h"
#include "bench/features_rules.h"
#include "bench/features_trace.h"
#include "core/bridge.h"
#include "core/trace.h"
#include "mem/bufpool.h"
#include "port/bufops.h"
#include "port/driver.h"
#include "port/mem.h"

#define FRAME_LEN    60u
#define ADDRESSES    8192u
#define IN_FLIGHT    128u
#define CLOCK_ROUNDS 64u
#define RUNS_MAX     99u
#define MASK         (ADDRESSES / 2 - 1)
#define VID          10u

struct bench;

/*
 * A row. set_up() may be NULL; vlan[i]: frames arrive at side i with this tag, 0: none. A row with
 * undo() has no bridge of its own: both are called around each run with that of `plain`, for what
 * is so cheap that where things lie in memory would count more.
 */
struct feature {
	const char *name, *text;
	void (*set_up)(struct bench *b);
	uint16_t vlan[2];
	void (*undo)(struct bench *b);
};

struct side {
	struct port *port;
	struct bport *bport;
	uint64_t mac, mac_other;
	uint16_t vlan;
	uint8_t type[6]; /* tag and EtherType, or EtherType and payload */
};

struct bench {
	struct region region;
	struct bufpool *pool;
	struct bufcache bufs;
	struct bridge *br;
	struct batch batch;
	struct egress *out;
	struct side sides[2];
	struct trace *trace; /* NULL: none */
	uint64_t random;
};

static void fail(const char *what)
{
	fprintf(stderr, "bench_features: %s\n", what);
	exit(2);
}

/* Of this thread on a processor: others may be busy there too. */
static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- features ---- */

static void filter(struct bench *b, unsigned flags_a, unsigned flags_b, bool stats)
{
	struct vlan_settings s = vlan_settings_default();
	const unsigned flags[] = {flags_a, flags_b};

	s.filtering = true;
	s.stats = stats;
	if (bridge_vlan_set(b->br, &s) < 0)
		fail("no memory");
	for (int i = 0; i < 2; i++) {
		bridge_vlan_del(b->br, b->sides[i].bport, 1, 1);
		bridge_vlan_add(b->br, b->sides[i].bport, VID, VID, flags[i]);
	}
}

static void access_access(struct bench *b)
{
	filter(b, VLAN_PVID | VLAN_UNTAGGED, VLAN_PVID | VLAN_UNTAGGED, false);
}

static void trunk_trunk(struct bench *b)
{
	filter(b, 0, 0, false);
}

static void access_trunk(struct bench *b)
{
	filter(b, VLAN_PVID | VLAN_UNTAGGED, 0, false);
}

static void counted(struct bench *b)
{
	filter(b, VLAN_PVID | VLAN_UNTAGGED, VLAN_PVID | VLAN_UNTAGGED, true);
}

static void rules_first(struct bench *b)
{
	rules_set_up(b->br, RULES_FIRST);
}

static void rules_last(struct bench *b)
{
	rules_set_up(b->br, RULES_LAST);
}

static void rules_none(struct bench *b)
{
	rules_set_up(b->br, RULES_NONE);
}

static void rules_ports(struct bench *b)
{
	rules_set_up(b->br, RULES_PORTS);
}

static void rules_all(struct bench *b)
{
	rules_set_up(b->br, RULES_ALL_HOOKS);
}

static void mirrored(struct bench *b)
{
	rules_mirror(b->br);
}

static void trace_none(struct bench *b)
{
	b->trace = tracing_set_up(b->br, TRACED_NONE);
}

static void trace_1000(struct bench *b)
{
	b->trace = tracing_set_up(b->br, TRACED_1_1000);
}

static void trace_all(struct bench *b)
{
	b->trace = tracing_set_up(b->br, TRACED_ALL);
}

static void trace_end(struct bench *b)
{
	bridge_set_trace(b->br, NULL);
	b->trace = trace_free(b->trace);
}

/* The same as plain: how far two equal rows differ. */
static void nothing(struct bench *b)
{
}

static const struct feature features[] = {
	{"plain", "no feature", NULL, {0}},
	{"plain_tagged", "no feature, tagged frames", NULL, {VID, VID}},
	{"vlan_access", "vlan_filtering, both ports untagged", access_access, {0}},
	{"vlan_trunk", "vlan_filtering, both ports tagged", trunk_trunk, {VID, VID}},
	{"vlan_mixed", "vlan_filtering, a tag for each second frame", access_trunk, {0, VID}},
	{"vlan_stats", "vlan_filtering, vlan_stats_enabled", counted, {0}},
	{"rule_1", "one rule, which matches", rules_first, {0}},
	{"rules_16", "16 rules, the last one matches", rules_last, {0}},
	{"rules_16_none", "16 rules, none matches", rules_none, {0}},
	{"rules_16_ports", "16 rules for other ports", rules_ports, {0}},
	{"rules_5x4", "4 rules at each hook, none matches", rules_all, {0}},
	{"mirror_idle", "a mirror of another port", mirrored, {0}},
	{"again", "no feature, once more", nothing, {0}, nothing},
	{"trace_none", "a trace that no frame matches", trace_none, {0}, trace_end},
	{"trace_1000", "a trace of each thousandth frame", trace_1000, {0}, trace_end},
	{"trace_all", "a trace of 31 frames of each batch", trace_all, {0}, trace_end},
};
#define N_FEATURES array_size(features)

static double ns_of[N_FEATURES][RUNS_MAX]; /* results by row */

/* ---- the bridge ---- */

static void add_side(struct bench *b, unsigned i)
{
	struct side *s = &b->sides[i];
	struct port_config pc = {.name = i ? "b" : "a", .bufs = &b->bufs, .pool = b->pool};
	struct bport_config bc = {.mtu = 1500, .link_up = true, .mac = 0x02ff00000000ULL + i};
	const char *why = "";

	if (port_driver_mem.open(&pc, &s->port, &why) < 0)
		fail(why);
	bc.name[0] = pc.name[0];
	bc.owner = s->port;
	if (bridge_port_add(b->br, &bc, &s->bport) != 0)
		fail("no bridge port");
	s->mac = 0x020000000000ULL + ((uint64_t)i << 32);
	s->mac_other = 0x020000000000ULL + ((uint64_t)!i << 32);
}

static void open_bench(struct bench *b, const struct feature *f)
{
	/* UDP over IPv4, so that filters have something to look at. */
	static const uint8_t blank[FRAME_LEN] =
		{[12] = 0x08, [14] = 0x45, [17] = 46,   [22] = 64,   [23] = 17,
		 [26] = 10,   [30] = 10,   [34] = 0x20, [36] = 0x30, [39] = 26},
			     tag[] = {0x81, 0, 0, VID, 0x08, 0};
	struct mem_params params = {.buf_num = 4096};
	struct bridge_config cfg = {
		.name = "bench", .fdb_capacity = ADDRESSES + 16, .hash_key = "bench_features"};
	struct buf_ops ops = bufops_init(&b->bufs);
	const char *why = "";

	b->random = 88172645463325252ULL;
	if (region_init(&b->region, &params, 1, &why) < 0)
		fail(why);
	b->pool = bufpool_new(&b->region, 1);
	b->out = calloc(1, sizeof(*b->out));
	if (!b->pool || !b->out)
		fail("no memory");
	bufcache_init(&b->bufs, b->pool);
	b->br = bridge_new(&cfg, NULL, &ops);
	if (!b->br)
		fail("no bridge");
	for (unsigned i = 0; i < 2; i++) {
		add_side(b, i);
		b->sides[i].vlan = f->vlan[i];
		memcpy(b->sides[i].type, f->vlan[i] ? tag : blank + 12, sizeof(tag));
	}
	mem_pair(b->sides[0].port, b->sides[1].port);
	for (unsigned i = 0; i < 2 * IN_FLIGHT; i++) {
		if (mem_inject_bytes(b->sides[i & 1].port, blank, FRAME_LEN) < 0)
			fail("no buffer");
	}
	if (f->set_up)
		f->set_up(b);
}

static void close_bench(struct bench *b)
{
	port_driver_mem.close(b->sides[0].port);
	port_driver_mem.close(b->sides[1].port);
	bridge_free(b->br);
	free(b->out);
	bufcache_deinit(&b->bufs);
	bufpool_free(b->pool);
	region_deinit(&b->region);
}

/* ---- frames ---- */

static inline uint64_t next_random(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

/* As a frame arrives at that side, with random addresses. */
static inline void dress(struct bench *b, const struct side *s, struct frame *f)
{
	const uint64_t r = next_random(b);

	f->data = buf_data(&b->bufs, f->buf); /* where drivers put them */
	f->len = FRAME_LEN + (s->vlan ? FRAME_TAG_SIZE : 0);
	memcpy(f->data + 12, s->type, sizeof(s->type));
	mac_store(f->data, s->mac_other + ((uint32_t)(r >> 32) & MASK));
	mac_store(f->data + 6, s->mac + ((uint32_t)r & MASK));
}

/* One round of a worker for one port. Returns frames handed over. */
static inline uint32_t run_round(struct bench *b, struct side *s)
{
	uint32_t n = 0;

	b->batch.n = 0;
	b->batch.alone = true; /* as drivers of devices have it; nothing is flooded here */
	port_driver_mem.rx(s->port, &b->batch);
	for (uint32_t i = 0; i < b->batch.n; i++)
		dress(b, s, &b->batch.frames[i]);
	bridge_input(b->br, s->bport, &b->batch);
	bridge_forward(b->br, &b->batch, b->out);
	for (uint32_t i = 0; i < b->out->n_used; i++) {
		struct egress_list *l = &b->out->lists[b->out->used[i]];
		struct bport *p = bridge_port(b->br, b->out->used[i]);
		uint32_t took = port_driver_mem.tx(p->owner, l->frames, l->n);

		if (b->trace)
			tracing_sent(b->trace, p, l, took);
		bridge_tx_done(p, took, (uint64_t)took * FRAME_LEN);
		n += took;
	}
	egress_reset(b->out);
	if (b->trace)
		trace_round_end(b->trace);
	return n;
}

/* Makes every address known before time counts. */
static void learn_all(struct bench *b)
{
	const uint16_t vid = bridge_vlan_settings(b->br)->filtering ? VID : 0;
	struct fdb *fdb = bridge_fdb(b->br);
	uint16_t old;

	for (unsigned i = 0; i < 2; i++) {
		for (uint64_t n = 0; n <= MASK; n++) {
			const uint64_t mac = b->sides[i].mac + n;

			fdb_learn(fdb, mac, vid, fdb_hash(fdb, mac, vid), b->sides[i].bport->no,
				  false, &old);
		}
	}
}

/* Nanoseconds a frame. */
static double run(struct bench *b, double seconds)
{
	uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), now, n = 0;

	b->batch.now_ns = start;
	do {
		for (uint32_t i = 0; i < CLOCK_ROUNDS; i++) {
			n += run_round(b, &b->sides[0]);
			n += run_round(b, &b->sides[1]);
		}
		now = now_ns();
		b->batch.now_ns = now;
	} while (now < end);
	return n ? (double)(now - start) / (double)n : 0;
}

static void check(const struct bench *b)
{
	struct fdb_stats st;

	fdb_stats(bridge_fdb(b->br), &st);
	if (st.n_learned != ADDRESSES || st.n_moved || st.n_full)
		fail("the table does not hold what was to be measured");
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned r = 0; r < DROP_N; r++) {
			if (b->sides[i].bport->counters.drops.n[r])
				fail(drop_text(r));
		}
	}
}

/* ---- results ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values, uint32_t n)
{
	double sorted[RUNS_MAX] = {0};

	memcpy(sorted, values, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), by_value);
	return sorted[n / 2];
}

static double median_difference(const double *ns, const double *plain, uint32_t n)
{
	double d[RUNS_MAX] = {0};

	for (uint32_t i = 0; i < n; i++)
		d[i] = ns[i] - plain[i];
	return median(d, n);
}

static void print(const bool *wanted, uint32_t runs, bool json)
{
	const char *comma = "";

	if (json)
		printf("{\"features\": {");
	for (size_t i = 0; i < N_FEATURES; i++) {
		if (!wanted[i])
			continue;
		const double ns = median(ns_of[i], runs);
		const double more = median_difference(ns_of[i], ns_of[0], runs);

		if (json)
			printf("%s\"%s\": {\"ns\": %.2f, \"more\": %.2f}", comma, features[i].name,
			       ns, more);
		else
			printf("%-14s %6.2f ns a frame  %+6.2f  %s\n", features[i].name, ns, more,
			       features[i].text);
		comma = ", ";
	}
	if (json)
		puts("}}");
}

static void want(bool *wanted, const char *name)
{
	for (size_t i = 0; i < N_FEATURES; i++) {
		if (!strcmp(features[i].name, name)) {
			wanted[i] = true;
			return;
		}
	}
	fail("no such row");
}

static void prepare(struct bench *b, const struct feature *f, double seconds)
{
	open_bench(b, f);
	b->batch.now_ns = now_ns();
	run_round(b, &b->sides[0]); /* tells the FDB the time */
	learn_all(b);
	run(b, seconds);
}

static double run_row(struct bench *benches, size_t row, double seconds)
{
	const struct feature *f = &features[row];
	double ns;

	if (!f->undo)
		return run(&benches[row], seconds);
	f->set_up(&benches[0]);
	ns = run(&benches[0], seconds);
	f->undo(&benches[0]);
	return ns;
}

int main(int argc, char **argv)
{
	static struct bench benches[N_FEATURES];
	bool wanted[N_FEATURES] = {true}, json = false, all = true;
	uint32_t runs = 15;
	double seconds = 0.1;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
			runs = (uint32_t)strtoul(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
			seconds = strtod(argv[++i], NULL);
		} else {
			want(wanted, argv[i]);
			all = false;
		}
	}
	if (runs < 1 || runs > RUNS_MAX || !(seconds > 0))
		fail("runs are 1 to 99, seconds more than 0");
	for (size_t i = 0; i < N_FEATURES; i++) {
		wanted[i] |= all;
		if (wanted[i] && !features[i].undo)
			prepare(&benches[i], &features[i], seconds);
	}
	for (uint32_t r = 0; r < runs; r++) {
		for (size_t i = 0; i < N_FEATURES; i++) {
			if (wanted[i])
				ns_of[i][r] = run_row(benches, i, seconds);
		}
	}
	print(wanted, runs, json);
	for (size_t i = 0; i < N_FEATURES; i++) {
		if (!wanted[i] || features[i].undo)
			continue;
		check(&benches[i]);
		close_bench(&benches[i]);
	}
	return 0;
}
