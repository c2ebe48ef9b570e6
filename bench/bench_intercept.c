/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What interception adds to forwarding: two `mem` ports joined by a cable, as in bench_forward,
 * with an echo in place of rings and program that gives each frame back at once. 60-byte UDP
 * frames, one core.
 *
 *   bench_intercept [--json] [--runs N] [--seconds S] [ADDRESSES]
 *
 *   off    nobody intercepts
 *   pass   rings without a live reader, fail open: the step alone
 *   swap   each frame is lent and comes back in its buffer
 *   copy   each frame is lent and comes back as a copy, in another buffer (the copying included)
 *
 * Prints nanoseconds of CPU time per frame, the best of the runs, taken in turns so that a busy
 * machine hurts all alike, and what each adds to `off`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mac.h"
#include "core/inject.h"
#include "mem/bufpool.h"
#include "port/bufops.h"
#include "port/driver.h"
#include "port/mem.h"

#define FRAME_LEN    60u
#define IN_FLIGHT    128u /* frames on the cable in each direction */
#define CLOCK_ROUNDS 64u  /* between two looks at the clock */

enum kind { OFF, PASS, SWAP, COPY, KIND_N };

static const char *const kind_names[] = {"off", "pass", "swap", "copy"};
_Static_assert(array_size(kind_names) == KIND_N, "a name for each kind");

struct side {
	struct port *port;
	struct bport *bport;
};

struct bench {
	struct region region;
	struct bufpool *pool;
	struct bufcache bufs;
	struct bridge *br;
	struct batch batch, back;
	struct origin origins[BATCH_MAX];
	struct origins *os;
	struct egress *out;
	struct side sides[2];
	uint32_t mask; /* stations per side - 1 */
	uint64_t random;
	enum kind kind;
};

static void fail(const char *what)
{
	fprintf(stderr, "bench_intercept: %s\n", what);
	exit(2);
}

/* Of this thread, so that what else the machine does counts less. */
static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
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
}

/* Stations of side i are 02:00:0i:...; all are known before time counts. */
static uint64_t station(unsigned i, uint32_t n)
{
	return 0x020000000000ULL + ((uint64_t)i << 32) + n;
}

static void learn_all(struct bench *b)
{
	for (unsigned i = 0; i < 2; i++) {
		for (uint32_t n = 0; n <= b->mask; n++)
			fdb_add(bridge_fdb(b->br), station(i, n), 0, b->sides[i].bport->no,
				FDB_DYNAMIC, true);
	}
}

static void fill_cable(struct bench *b)
{
	static const uint8_t blank[FRAME_LEN] = {
		[12] = 0x08, [14] = 0x45, [23] = 17, [26] = 10, [30] = 10, [34] = 4, [36] = 5};

	for (unsigned i = 0; i < 2 * IN_FLIGHT; i++) {
		if (mem_inject_bytes(b->sides[i & 1].port, blank, FRAME_LEN) < 0)
			fail("no buffer");
	}
}

static void open_bench(struct bench *b, uint32_t n_addresses)
{
	struct mem_params params = {.buf_num = 4096};
	struct bridge_config cfg = {
		.name = "bench",
		.fdb_capacity = n_addresses + 16,
		.hash_key = "bench_intercept",
		.mac = 0x02ff000000ffULL,
	};
	struct origins_config oc = {1, 4096, 8192, 300, "bench_intercept"};
	struct buf_ops ops = bufops_init(&b->bufs);
	const char *why = "";

	b->mask = n_addresses / 2 - 1;
	b->random = 88172645463325252ULL;
	if (region_init(&b->region, &params, 1, &why) < 0)
		fail(why);
	b->pool = bufpool_new(&b->region, 1);
	b->out = aligned_alloc(64, (sizeof(*b->out) + 63) & ~63ul);
	b->os = origins_new(&oc);
	if (!b->pool || !b->out || !b->os)
		fail("no memory");
	memset(b->out, 0, sizeof(*b->out));
	bufcache_init(&b->bufs, b->pool);
	b->br = bridge_new(&cfg, NULL, &ops);
	if (!b->br)
		fail("no bridge");
	add_side(b, 0);
	add_side(b, 1);
	mem_pair(b->sides[0].port, b->sides[1].port);
	fill_cable(b);
	learn_all(b);
}

static void set_kind(struct bench *b, enum kind kind)
{
	struct intercept *ic = bridge_intercept(b->br);
	struct intercept_settings s = ic->set;

	s.mode = kind == OFF ? INTERCEPT_NONE : INTERCEPT_ALL;
	intercept_set(ic, &s);
	intercept_set_ring(ic, INTERCEPT_NIC, 0,
			   kind == PASS ? INTERCEPT_BOUND : INTERCEPT_BOUND | INTERCEPT_SYNCED);
	b->kind = kind;
}

/* What the program does to a frame that it copies: another buffer has the bytes. */
static void copy_frame(struct bench *b, struct frame *f)
{
	uint32_t buf;
	uint8_t *data;

	if (buf_get(&b->bufs, &buf, 1) != 1)
		fail("no buffer for a copy");
	data = buf_data(&b->bufs, buf);
	memcpy(data, f->data, f->len);
	origins_release(b->os, f->buf);
	buf_put(&b->bufs, &f->buf, 1);
	f->buf = buf;
	f->data = data;
}

/* Lends each frame of a ring's list, and takes it back. */
static void echo(struct bench *b, const struct egress_list *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		struct frame *f = &b->back.frames[i];
		struct origin o;

		bridge_origin(b->br, l->frames[i], b->batch.now_ns, &o);
		origins_lend(b->os, l->frames[i], &o);
		f->data = l->frames[i]->data;
		f->len = l->frames[i]->len;
		f->buf = l->frames[i]->buf;
		f->gso_size = f->gso = f->flags = 0;
	}
	b->back.n = l->n;
	b->back.now_ns = b->batch.now_ns;
	for (uint32_t i = 0; i < b->back.n; i++) {
		struct frame *f = &b->back.frames[i];

		if (b->kind == COPY)
			copy_frame(b, f);
		origins_match(b->os, f, b->back.now_ns, &b->origins[i]);
	}
	egress_reset(b->out);
	bridge_inject(b->br, &b->back, b->origins);
	bridge_forward(b->br, &b->back, b->out);
}

static uint32_t transmit(struct bench *b)
{
	uint32_t n = 0;

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

/* One round of a worker for side i. Returns frames handed over. */
static uint32_t run_round(struct bench *b, unsigned i)
{
	b->batch.n = 0;
	port_driver_mem.rx(b->sides[i].port, &b->batch);
	for (uint32_t j = 0; j < b->batch.n; j++) {
		uint64_t r = b->random;
		uint8_t *d = b->batch.frames[j].data;

		b->random ^= b->random << 13;
		b->random ^= b->random >> 7;
		b->random ^= b->random << 17;
		mac_store(d, station(!i, (uint32_t)(r >> 32) & b->mask));
		mac_store(d + 6, station(i, (uint32_t)r & b->mask));
		memcpy(d + 28, &r, 2); /* flows: addresses of stations differ as theirs do */
	}
	bridge_input(b->br, b->sides[i].bport, &b->batch);
	bridge_forward(b->br, &b->batch, b->out);
	if (b->out->n_used == 1 && EGRESS_IS_RING(b->out->used[0]))
		echo(b, &b->out->lists[b->out->used[0]]);
	return transmit(b);
}

/* Nanoseconds per frame. */
static double run(struct bench *b, enum kind kind, double seconds)
{
	uint64_t start, end, now, n = 0;

	set_kind(b, kind);
	start = now_ns();
	end = start + (uint64_t)(seconds * 1e9);
	b->batch.now_ns = start;
	do {
		for (uint32_t i = 0; i < CLOCK_ROUNDS; i++)
			n += run_round(b, 0) + run_round(b, 1);
		now = now_ns();
		b->batch.now_ns = now;
	} while (now < end);
	return (double)(now - start) / (double)n;
}

/* Every frame was lent and matched in the way that was to be measured, and none was lost. */
static void check(struct bench *b)
{
	const struct intercept_counters *c = &bridge_intercept(b->br)->sides[0].counters;
	struct origins_stats st;

	origins_stats(b->os, &st);
	if (c->taken == 0 || c->taken != c->returned || !c->uninspected)
		fail("not all frames came back");
	/* the first copies after a long time of swapping have no digest */
	if (st.n_by[ORIGIN_SOURCE] + st.n_by[ORIGIN_UNKNOWN] > st.n_by[ORIGIN_DIGEST] / 100)
		fail("digests did not match");
	for (unsigned r = 0; r < DROP_N; r++) {
		if (b->sides[0].bport->counters.drops.n[r] +
		    b->sides[1].bport->counters.drops.n[r] +
		    bridge_nowhere(b->br)->counters.drops.n[r])
			fail(drop_text(r));
	}
}

static void close_bench(struct bench *b)
{
	port_driver_mem.close(b->sides[0].port);
	port_driver_mem.close(b->sides[1].port);
	bridge_free(b->br);
	origins_free(b->os);
	free(b->out);
	bufcache_deinit(&b->bufs);
	bufpool_free(b->pool);
	region_deinit(&b->region);
}

static void print(const double *best, uint32_t n_addresses, bool json)
{
	if (json)
		printf("{\"intercept\": {\"addresses\": %u", n_addresses);
	else
		printf("%u addresses, build " BUILD_TYPE ", compiler " __VERSION__ "\n",
		       n_addresses);
	for (int i = 0; i < KIND_N; i++) {
		if (json)
			printf(", \"%s\": %.2f", kind_names[i], best[i]);
		else
			printf("%-5s %6.1f ns a frame, %+6.1f\n", kind_names[i], best[i],
			       best[i] - best[OFF]);
	}
	if (json)
		puts("}}");
}

int main(int argc, char **argv)
{
	static struct bench b;
	uint32_t n_addresses = 8192, runs = 7;
	double seconds = 0.2, best[KIND_N];
	bool json = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
			runs = (uint32_t)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
			seconds = strtod(argv[++i], NULL);
		else
			n_addresses = (uint32_t)strtoul(argv[i], NULL, 10);
	}
	if (n_addresses < 2 || n_addresses > 1u << 20 || n_addresses & (n_addresses - 1))
		fail("the number of addresses is a power of two from 2 to 2^20");
	if (runs < 1 || !(seconds > 0))
		fail("runs are 1 or more, seconds more than 0");
	open_bench(&b, n_addresses);
	for (uint32_t r = 0; r <= runs; r++) { /* the first time does not count */
		for (int i = 0; i < KIND_N; i++) {
			double ns = run(&b, i, seconds);

			best[i] = r <= 1 || ns < best[i] ? ns : best[i];
		}
	}
	check(&b);
	print(best, n_addresses, json);
	close_bench(&b);
	return 0;
}
