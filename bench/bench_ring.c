/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What rings cost, in nanoseconds, one core: a program's sync with nothing to do and with one
 * frame, and the daemon's side per slot, both ways. `bench_ring --json` prints one JSON object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "mem/nmobj.h"
#include "mem/nmsync.h"
#include "mem/ringcheck.h"

#define N_SLOTS  1024u
#define BATCH    64u
#define N_ROUNDS 300000u
#define N_REPEAT 7u
#define TID      1u

struct side {
	struct shadow_ring s;
	struct ringcheck rc;
	struct nmsync_ring app;
	struct netmap_ring *ring;
};

static struct region region;
static struct bufcache stock;
static struct side tx, rx;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "bench_ring: %s\n", what);
	exit(1);
}

static void side_init(struct side *d, struct nmobj *o, uint16_t owner, bool is_tx)
{
	const struct nmobj_ring_params rp = {.owner = owner, .tx = is_tx, .n_slots = N_SLOTS};
	struct ringcheck_params p = {
		.n_slots = N_SLOTS, .buf_size = 2048, .owner = owner, .tx = is_tx};
	uint64_t ofs;

	if (nmobj_ring_new(o, &rp, &ofs) < 0)
		die("no ring");
	d->ring = p.ring = nmobj_ring(o, ofs);
	p.shadow = &d->s;
	if (ringcheck_init(&d->rc, &p) < 0)
		die("no memory");
	nmsync_init(&d->app, d->ring, &d->s, region.layout.params.buf_num);
}

static void idle_tx(void)
{
	nmsync_tx(&tx.app, TID);
}

static void idle_rx(void)
{
	nmsync_rx(&rx.app, TID);
}

static void release(struct netmap_ring *r, uint32_t n)
{
	r->head = r->cur = ring_add(r->head, n, N_SLOTS);
}

/* A program that syncs for each frame, and the daemon that takes it. */
static void tx_single(void)
{
	struct ring_slot got[BATCH];

	release(tx.ring, 1);
	nmsync_tx(&tx.app, TID);
	if (ringcheck_tx_take(&tx.rc, &stock, got, BATCH) != 1)
		die("tx: not one frame");
	ringcheck_publish(&tx.rc, 0);
	buf_put_one(&stock, got[0].buf);
}

static void tx_batch(void)
{
	struct ring_slot got[BATCH];

	release(tx.ring, BATCH);
	nmsync_tx(&tx.app, TID);
	if (ringcheck_tx_take(&tx.rc, &stock, got, BATCH) != BATCH)
		die("tx: not one batch");
	ringcheck_publish(&tx.rc, 0);
	for (uint32_t i = 0; i < BATCH; i++)
		buf_put_one(&stock, got[i].buf);
}

static void rx_batch(void)
{
	struct ring_slot s[BATCH];
	uint32_t bufs[BATCH];

	if (buf_get(&stock, bufs, BATCH) != BATCH)
		die("no buffers");
	for (uint32_t i = 0; i < BATCH; i++)
		s[i] = (struct ring_slot){.buf = bufs[i], .len = 60};
	if (ringcheck_rx_put(&rx.rc, &stock, s, BATCH) != BATCH)
		die("rx: not one batch");
	ringcheck_publish(&rx.rc, 0);
	nmsync_rx(&rx.app, TID);
	release(rx.ring, BATCH);
	nmsync_rx(&rx.app, TID);
}

/* Buffers out of the pool and back: what the two above contain besides. */
static void pool_batch(void)
{
	uint32_t bufs[BATCH];

	if (buf_get(&stock, bufs, BATCH) != BATCH)
		die("no buffers");
	buf_put(&stock, bufs, BATCH);
}

static const struct {
	const char *name;
	void (*fn)(void);
	uint32_t per; /* frames of one call */
} cases[] = {
	{"sync_tx_idle", idle_tx, 1},     {"sync_rx_idle", idle_rx, 1},
	{"tx_one_frame", tx_single, 1},   {"tx_batch_64", tx_batch, BATCH},
	{"rx_batch_64", rx_batch, BATCH}, {"pool_batch_64", pool_batch, BATCH},
};

/* The best of several runs: the others were disturbed. */
static double measure(void (*fn)(void), uint32_t per)
{
	const uint32_t rounds = N_ROUNDS / per + 1;
	double best = 1e9;

	for (uint32_t k = 0; k < N_REPEAT; k++) {
		const uint64_t start = now_ns();
		double ns;

		for (uint32_t i = 0; i < rounds; i++)
			fn();
		ns = (double)(now_ns() - start) / rounds / per;
		best = min_of(best, ns);
	}
	return best;
}

int main(int argc, char **argv)
{
	const bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
	const struct mem_params params = {0};
	struct bufowner *owners;
	struct bufpool *pool;
	struct nmobj *o;
	uint16_t owner;
	const char *why;

	if (region_init(&region, &params, 1, &why) < 0)
		die(why);
	pool = bufpool_new(&region, 0);
	owners = pool ? bufowner_new(pool) : NULL;
	o = owners ? nmobj_new(owners) : NULL;
	if (!o)
		die("no memory");
	bufcache_init(&stock, pool);
	owner = bufowner_add(owners);
	side_init(&tx, o, owner, true);
	side_init(&rx, o, owner, false);
	for (uint32_t i = 0; i < array_size(cases); i++) {
		const double ns = measure(cases[i].fn, cases[i].per);

		printf(json ? "%s\"%s_ns\": %.2f" : "%s%-16s %6.2f ns", json ? i ? ", " : "{" : "",
		       cases[i].name, ns);
		if (!json)
			printf(cases[i].per > 1 ? " a frame\n" : "\n");
	}
	if (json)
		printf("}\n");
	return 0;
}
