/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many 60-byte frames a second one core forwards: a bridge with two `mem` ports that are joined
 * by a cable, so what leaves one arrives at the other, in buffers of a region. Each round is what
 * the worker does: rx, bridge_input (parse, learn, look up), bridge_forward, tx. On arrival every
 * frame gets new random addresses, half of them living behind each port; that is part of the time
 * measured, as are the ports.
 *
 *   bench_forward [--json] [--runs N] [--seconds S] [ADDRESSES...]
 *
 * Prints million frames a second, the median of the runs.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/mac.h"
#include "core/bridge.h"
#include "mem/bufpool.h"
#include "port/bufops.h"
#include "port/driver.h"
#include "port/mem.h"

#define FRAME_LEN    60u
#define IN_FLIGHT    128u /* frames on the cable in each direction */
#define CLOCK_ROUNDS 64u  /* between two looks at the clock */
#define RUNS_MAX     99u

struct side {
	struct port *port;
	struct bport *bport;
	uint64_t mac;       /* of the first station behind it */
	uint64_t mac_other; /* of the first one behind the other side */
};

struct bench {
	struct region region;
	struct bufpool *pool;
	struct bufcache bufs;
	struct bridge *br;
	struct batch batch;
	struct egress *out;
	struct side sides[2];
	uint32_t mask; /* stations per side - 1 */
	uint64_t random;
};

static void fail(const char *what)
{
	fprintf(stderr, "bench_forward: %s\n", what);
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void add_side(struct bench *b, unsigned i)
{
	struct side *s = &b->sides[i];
	struct port_config pc = {.name = i ? "b" : "a", .bufs = &b->bufs, .pool = b->pool};
	struct bport_config bc = {.mtu = 1500, .link_up = true, .mac = 0x02ff00000000ULL + i};
	const char *why = "";

	if (port_driver_mem.open(&pc, &s->port, &why) < 0)
		fail(why);
	snprintf(bc.name, sizeof(bc.name), "%s", pc.name);
	bc.owner = s->port;
	if (bridge_port_add(b->br, &bc, &s->bport) != 0)
		fail("no bridge port");
	s->mac = 0x020000000000ULL + ((uint64_t)i << 32);
	s->mac_other = 0x020000000000ULL + ((uint64_t)!i << 32);
}

static void open_bench(struct bench *b, uint32_t n_addresses)
{
	struct mem_params params = {.buf_num = 4096};
	struct bridge_config cfg = {
		.name = "bench",
		.fdb_capacity = n_addresses + 16,
		.hash_key = "bench_forward",
		.mac = 0x02ff000000ffULL,
	};
	struct buf_ops ops = bufops_init(&b->bufs);
	const char *why = "";

	memset(b, 0, sizeof(*b));
	b->mask = n_addresses / 2 - 1;
	b->random = 88172645463325252ULL;
	if (region_init(&b->region, &params, 1, &why) < 0)
		fail(why);
	b->pool = bufpool_new(&b->region, 1);
	b->out = aligned_alloc(64, (sizeof(*b->out) + 63) & ~63ul);
	if (!b->pool || !b->out)
		fail("no memory");
	memset(b->out, 0, sizeof(*b->out));
	bufcache_init(&b->bufs, b->pool);
	b->br = bridge_new(&cfg, NULL, &ops);
	if (!b->br)
		fail("no bridge");
	add_side(b, 0);
	add_side(b, 1);
	mem_pair(b->sides[0].port, b->sides[1].port);
	for (unsigned i = 0; i < 2 * IN_FLIGHT; i++) {
		static const uint8_t blank[FRAME_LEN] = {[12] = 0x08};

		if (mem_inject_bytes(b->sides[i & 1].port, blank, FRAME_LEN) < 0)
			fail("no buffer");
	}
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

static inline uint64_t next_random(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

/* One round of a worker for one port. Returns frames handed over. */
static inline uint32_t run_round(struct bench *b, struct side *s)
{
	uint32_t n = 0;

	b->batch.n = 0;
	port_driver_mem.rx(s->port, &b->batch);
	for (uint32_t i = 0; i < b->batch.n; i++) {
		uint64_t r = next_random(b);
		uint8_t *d = b->batch.frames[i].data;

		mac_store(d, s->mac_other + ((uint32_t)(r >> 32) & b->mask));
		mac_store(d + 6, s->mac + ((uint32_t)r & b->mask));
	}
	bridge_input(b->br, s->bport, &b->batch);
	bridge_forward(b->br, &b->batch, b->out);
	for (uint32_t i = 0; i < b->out->n_used; i++) {
		struct egress_list *l = &b->out->lists[b->out->used[i]];
		struct bport *p = bridge_port(b->br, b->out->used[i]);
		uint32_t took = port_driver_mem.tx(p->owner, l->frames, l->n);

		bridge_tx_done(p, took, (uint64_t)took * FRAME_LEN);
		n += took;
	}
	egress_reset(b->out);
	return n;
}

/* Makes every address known before time counts. */
static void learn_all(struct bench *b)
{
	struct fdb *fdb = bridge_fdb(b->br);

	for (unsigned i = 0; i < 2; i++) {
		for (uint64_t n = 0; n <= b->mask; n++) {
			uint64_t mac = b->sides[i].mac + n;
			uint16_t old;

			fdb_learn(fdb, mac, 0, fdb_hash(fdb, mac, 0), b->sides[i].bport->no, false,
				  &old);
		}
	}
}

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
	return (double)n * 1e3 / (double)(now - start);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void check(struct bench *b)
{
	struct fdb_stats st;

	fdb_stats(bridge_fdb(b->br), &st);
	if (st.n_learned != 2 * (b->mask + 1) || st.n_moved || st.n_full)
		fail("the table does not hold what was to be measured");
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned r = 0; r < DROP_N; r++) {
			if (b->sides[i].bport->counters.drops.n[r])
				fail(drop_text(r));
		}
	}
}

static double measure(uint32_t n_addresses, uint32_t runs, double seconds)
{
	static struct bench b;
	double rates[RUNS_MAX];

	assert(runs > 0);
	open_bench(&b, n_addresses);
	b.batch.now_ns = now_ns();
	run_round(&b, &b.sides[0]); /* tells the FDB the time */
	learn_all(&b);
	run(&b, seconds / 4);
	for (uint32_t i = 0; i < runs; i++)
		rates[i] = run(&b, seconds);
	check(&b);
	close_bench(&b);
	qsort(rates, runs, sizeof(rates[0]), by_value);
	return rates[runs / 2];
}

static void describe_machine(void)
{
	struct utsname u;
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "model name", 10) == 0) {
			printf("cpu%s", strchr(line, ':'));
			break;
		}
	}
	if (f)
		fclose(f);
	if (uname(&u) == 0)
		printf("kernel: %s %s\n", u.release, u.machine);
#ifdef NDEBUG
	puts("build: " BUILD_TYPE ", without assertions, compiler " __VERSION__);
#else
	puts("build: " BUILD_TYPE ", with assertions, compiler " __VERSION__);
#endif
}

int main(int argc, char **argv)
{
	uint32_t sizes[16] = {2, 8192, 1048576}, n_sizes = 3, runs = 5;
	double seconds = 0.5;
	bool json = false, given = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
			runs = (uint32_t)strtoul(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
			seconds = strtod(argv[++i], NULL);
		} else {
			uint32_t n = (uint32_t)strtoul(argv[i], NULL, 10);

			if (n < 2 || n > 1u << 24 || n & (n - 1))
				fail("a number of addresses is a power of two from 2 to 2^24");
			n_sizes = given ? n_sizes : 0;
			given = true;
			if (n_sizes < 16)
				sizes[n_sizes++] = n;
		}
	}
	if (runs < 1 || runs > RUNS_MAX || !(seconds > 0))
		fail("runs are 1 to 99, seconds more than 0");
	if (!json)
		describe_machine();
	for (uint32_t i = 0; i < n_sizes; i++) {
		double r = measure(sizes[i], runs, seconds);

		if (json)
			printf("%s\"%u\": %.2f", i ? ", " : "{\"forward\": {", sizes[i], r);
		else
			printf("%9u addresses: %6.2f M frames/s\n", sizes[i], r);
		fflush(stdout);
	}
	if (json)
		puts("}}");
	return 0;
}
