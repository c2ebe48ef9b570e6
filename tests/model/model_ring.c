/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program with a TX and an RX ring against obvious queues: the same random operations on both.
 * Frames are numbers. The program writes, swaps buffers between its rings, syncs and releases as it
 * likes; the daemon takes, puts and withdraws. Each frame arrives once, in order; between two syncs
 * nothing changes in the program's part; an owner's buffers stay as many as it was granted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "mem/nmobj.h"
#include "mem/nmsync.h"
#include "mem/ringcheck.h"

#define N_RUNS    60u
#define N_STEPS   3000u
#define N_BUFS    500u
#define SLOTS_MAX 100u
#define QUEUE     1024u
#define N_EXTRA   5u
#define TID       1u

/* First in, first out; the back can be taken off, too. */
struct queue {
	uint32_t items[QUEUE], first, n;
};

struct world {
	struct region region;
	struct bufpool *pool;
	struct bufowner *owners;
	struct nmobj *o;
	struct bufcache b;
	uint16_t owner;
	uint64_t if_ofs, tx_ofs, rx_ofs;
	struct shadow_ring tx_s, rx_s;
	struct ringcheck tx_rc, rx_rc;
	struct nmsync_ring tx, rx;
	uint32_t n_slots, n_granted, next_id;

	struct queue tx_written, tx_synced;          /* slots of the program's frames */
	struct queue rx_put, rx_published, rx_shown; /* slots of the daemon's frames */
};

static uint64_t seed, rng_state;
static uint32_t run_no, step_no, n_taken, n_read, n_back;

#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			die(#cond, __LINE__);                                                      \
	} while (0)

static void __attribute__((noreturn)) die(const char *what, int line)
{
	printf("line %d: not so: %s (run %u, step %u); repeat with VIADUCT_SEED=%llu\n", line, what,
	       run_no, step_no, (unsigned long long)seed);
	exit(1);
}

static uint32_t rnd(uint32_t n)
{
	uint64_t x = rng_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((x ^ x >> 31) % n);
}

static void push(struct queue *q, uint32_t v)
{
	check(q->n < QUEUE);
	q->items[(q->first + q->n++) % QUEUE] = v;
}

static uint32_t pop(struct queue *q)
{
	check(q->n);
	q->n--;
	return q->items[q->first++ % QUEUE];
}

static void move(struct queue *from, struct queue *to)
{
	while (from->n)
		push(to, pop(from));
}

static uint32_t *word(struct world *w, uint32_t buf)
{
	return (uint32_t *)(void *)region_buf(&w->region, buf);
}

/* A frame's number and whether it goes on, as the queues keep them. */
static uint32_t entry(uint32_t id, uint16_t flags)
{
	return id << 1 | !!(flags & NS_MOREFRAG);
}

/* What the program may look at without a sync: all slots that it has not given back by one. */
struct view {
	uint32_t n, tail;
	struct netmap_slot slots[SLOTS_MAX];
	uint32_t words[SLOTS_MAX];
	struct timeval ts;
};

static void look(struct world *w, const struct nmsync_ring *r, struct view *v)
{
	const struct netmap_ring *ring = r->ring;

	memset(v, 0, sizeof(*v));
	v->tail = ring->tail;
	v->ts = ring->ts;
	for (uint32_t i = r->shadow->prog.head; i != ring->tail; i = ring_next(i, w->n_slots)) {
		v->slots[v->n] = ring->slot[i];
		v->words[v->n++] = *word(w, ring->slot[i].buf_idx);
	}
}

static void open_rings(struct world *w)
{
	struct nmobj_ring_params rp = {.owner = w->owner, .tx = true, .n_slots = w->n_slots};
	struct ringcheck_params p = {.shadow = &w->tx_s,
				     .n_slots = w->n_slots,
				     .buf_size = 2048,
				     .owner = w->owner,
				     .tx = true};
	const struct nmobj_if_params ip = {.name = "model"};

	check(nmobj_ring_new(w->o, &rp, &w->tx_ofs) == 0);
	rp.tx = false;
	check(nmobj_ring_new(w->o, &rp, &w->rx_ofs) == 0);
	check(nmobj_if_new(w->o, &ip, &w->if_ofs) == 0);
	check(nmobj_extra_new(w->o, w->if_ofs, w->owner, N_EXTRA) == N_EXTRA);
	p.ring = nmobj_ring(w->o, w->tx_ofs);
	check(ringcheck_init(&w->tx_rc, &p) == 0);
	nmsync_init(&w->tx, p.ring, p.shadow, N_BUFS);
	p.ring = nmobj_ring(w->o, w->rx_ofs);
	p.shadow = &w->rx_s;
	p.tx = false;
	check(ringcheck_init(&w->rx_rc, &p) == 0);
	nmsync_init(&w->rx, p.ring, p.shadow, N_BUFS);
	w->n_granted = 2 * w->n_slots + N_EXTRA;
}

static uint32_t count_owned(const struct world *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_BUFS; i++)
		n += w->b.meta[i].owner == w->owner;
	return n;
}

static void free_slots(struct world *w, const struct ring_slot *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		buf_put_one(&w->b, s[i].buf);
}

/* The program is gone; what it had not released comes back first, oldest first. */
static void close_rings(struct world *w)
{
	struct ring_slot out[SLOTS_MAX];
	const uint32_t held = ring_distance(w->rx_rc.head, w->rx.ring->head, w->n_slots);
	uint32_t n = ringcheck_rx_withdraw(&w->rx_rc, &w->b, RINGCHECK_UNRELEASED, out);

	/* The model has forgotten what was read but not released. */
	check(n <= held + w->rx_shown.n + w->rx_published.n + w->rx_put.n);
	check(n >= w->rx_shown.n + w->rx_published.n + w->rx_put.n);
	free_slots(w, out, n);
	ringcheck_deinit(&w->tx_rc);
	ringcheck_deinit(&w->rx_rc);
	check(nmobj_ring_free(w->o, w->tx_ofs, w->owner).n_bad == 0);
	check(nmobj_ring_free(w->o, w->rx_ofs, w->owner).n_bad == 0);
	check(nmobj_if_free(w->o, w->if_ofs, w->owner).n_bufs == N_EXTRA);
	check(bufowner_count(w->owners, w->owner) == 0);
	check(count_owned(w) == 0);
	w->tx_written = w->tx_synced = w->rx_put = w->rx_published = w->rx_shown =
		(struct queue){0};
}

/* Puts an extra buffer into a slot, and the slot's onto the list. */
static void swap_extra(struct world *w, struct netmap_slot *s)
{
	struct netmap_if *nifp = nmobj_if(w->o, w->if_ofs);
	const uint32_t b = nifp->ni_bufs_head;

	*word(w, s->buf_idx) = *word(w, b);
	nifp->ni_bufs_head = s->buf_idx;
	s->buf_idx = b;
	s->flags = NS_BUF_CHANGED;
}

static void op_write(struct world *w)
{
	struct netmap_ring *ring = w->tx.ring;
	uint32_t space = ring_distance(ring->head, ring->tail, w->n_slots);
	uint32_t k = 1 + rnd(4);

	if (k > space)
		return;
	while (k--) {
		struct netmap_slot *s = &ring->slot[ring->head];

		if (rnd(4) == 0)
			swap_extra(w, s);
		s->len = (uint16_t)(60 + rnd(1989));
		s->flags = k ? NS_MOREFRAG : 0;
		*word(w, s->buf_idx) = w->next_id;
		push(&w->tx_written, entry(w->next_id++, s->flags));
		ring->head = ring->cur = ring_next(ring->head, w->n_slots);
	}
}

static void check_rx_slot(struct world *w, const struct netmap_slot *s)
{
	check(entry(*word(w, s->buf_idx), s->flags) == pop(&w->rx_shown));
	n_read++;
}

static void op_read(struct world *w)
{
	struct netmap_ring *ring = w->rx.ring;

	for (uint32_t k = rnd(8); k && ring->head != ring->tail; k--) {
		check_rx_slot(w, &ring->slot[ring->head]);
		ring->head = ring->cur = ring_next(ring->head, w->n_slots);
	}
}

/* Zero copy: the received buffer goes into the TX ring, the TX slot's into the RX ring. */
static void op_forward(struct world *w)
{
	struct netmap_ring *in = w->rx.ring, *out = w->tx.ring;

	for (uint32_t k = rnd(8); k && in->head != in->tail && out->head != out->tail; k--) {
		struct netmap_slot *from = &in->slot[in->head], *to = &out->slot[out->head];
		const uint32_t buf = to->buf_idx;

		if (from->flags & NS_MOREFRAG) /* chains are left to op_read() */
			return;
		check_rx_slot(w, from);
		to->buf_idx = from->buf_idx;
		to->len = from->len;
		to->flags = from->flags = NS_BUF_CHANGED;
		from->buf_idx = buf;
		push(&w->tx_written, entry(*word(w, to->buf_idx), 0));
		in->head = in->cur = ring_next(in->head, w->n_slots);
		out->head = out->cur = ring_next(out->head, w->n_slots);
	}
}

static void op_sync_tx(struct world *w)
{
	check(nmsync_tx(&w->tx, TID) == 0);
	check(w->tx_s.prog.head == w->tx.ring->head);
	move(&w->tx_written, &w->tx_synced);
	check(w->tx.ring->tail == w->tx_rc.tail);
}

static void op_sync_rx(struct world *w)
{
	struct netmap_ring *ring = w->rx.ring;

	check(nmsync_rx(&w->rx, TID) == 0);
	move(&w->rx_published, &w->rx_shown);
	check(ring_distance(ring->head, ring->tail, w->n_slots) == w->rx_shown.n);
}

static void op_take(struct world *w)
{
	struct ring_slot got[RINGCHECK_BATCH];
	uint32_t n = ringcheck_tx_take(&w->tx_rc, &w->b, got, 64 + rnd(200));

	/* The pool is large enough, and chains are short: everything comes, or a batch of it. */
	check(n == w->tx_synced.n || n >= 61);
	for (uint32_t i = 0; i < n; i++)
		check(entry(*word(w, got[i].buf), got[i].flags) == pop(&w->tx_synced));
	check(n == 0 || !(got[n - 1].flags & NS_MOREFRAG));
	n_taken += n;
	free_slots(w, got, n);
	if (rnd(4))
		ringcheck_publish(&w->tx_rc, step_no);
}

static void op_put(struct world *w)
{
	struct ring_slot in[16] = {0};
	const uint32_t n = 1 + rnd(array_size(in)), space = ringcheck_rx_space(&w->rx_rc);
	uint32_t done;

	for (uint32_t i = 0; i < n; i++) {
		check(buf_get(&w->b, &in[i].buf, 1) == 1);
		in[i].len = (uint16_t)(60 + rnd(1700));
		in[i].flags = i + 1 < n && rnd(4) == 0 ? NS_MOREFRAG : 0;
		*word(w, in[i].buf) = w->next_id++;
	}
	done = ringcheck_rx_put(&w->rx_rc, &w->b, in, n);
	check(done <= space && (done == n || done + 16 > space));
	check(done == 0 || !(in[done - 1].flags & NS_MOREFRAG));
	for (uint32_t i = 0; i < done; i++)
		push(&w->rx_put, entry(*word(w, in[i].buf), in[i].flags));
	free_slots(w, in + done, n - done);
	if (rnd(4) == 0)
		return;
	ringcheck_publish(&w->rx_rc, step_no);
	move(&w->rx_put, &w->rx_published);
}

static void op_withdraw(struct world *w)
{
	struct ring_slot out[SLOTS_MAX];
	uint32_t n = ringcheck_rx_withdraw(&w->rx_rc, &w->b, RINGCHECK_UNSEEN, out);

	move(&w->rx_put, &w->rx_published);
	check(n == w->rx_published.n);
	for (uint32_t i = 0; i < n; i++)
		check(entry(*word(w, out[i].buf), out[i].flags) == pop(&w->rx_published));
	n_back += n;
	free_slots(w, out, n);
}

/* Nothing that the daemon does is visible before the program's next sync. */
static void daemon_op(struct world *w, void (*op)(struct world *))
{
	struct view before[2], after[2];

	look(w, &w->tx, &before[0]);
	look(w, &w->rx, &before[1]);
	op(w);
	look(w, &w->tx, &after[0]);
	look(w, &w->rx, &after[1]);
	check(memcmp(before, after, sizeof(before)) == 0);
}

static void step(struct world *w)
{
	const uint32_t dice = rnd(1000);

	if (dice < 150)
		op_write(w);
	else if (dice < 250)
		op_read(w);
	else if (dice < 400)
		op_forward(w);
	else if (dice < 550)
		op_sync_tx(w);
	else if (dice < 700)
		op_sync_rx(w);
	else if (dice < 840)
		daemon_op(w, op_take);
	else if (dice < 970)
		daemon_op(w, op_put);
	else if (dice < 997)
		daemon_op(w, op_withdraw);
	else {
		close_rings(w);
		open_rings(w);
	}
	check(count_owned(w) == w->n_granted);
	check(w->tx_rc.n_errors == 0 && w->rx_rc.n_errors == 0);
}

static void run(struct world *w)
{
	const struct mem_params m = {.buf_num = N_BUFS, .ring_num = 2, .if_num = 10};
	struct bufpool_stats s;
	const char *why;

	memset(w, 0, sizeof(*w));
	check(region_init(&w->region, &m, 1, &why) == 0);
	w->pool = bufpool_new(&w->region, 1);
	w->owners = bufowner_new(w->pool);
	w->o = nmobj_new(w->owners);
	bufcache_init(&w->b, w->pool);
	w->owner = bufowner_add(w->owners);
	w->n_slots = rnd(2) ? 8 + rnd(8) : SLOTS_MAX;
	open_rings(w);
	for (step_no = 0; step_no < N_STEPS; step_no++)
		step(w);
	close_rings(w);
	bufcache_deinit(&w->b);
	check(bufowner_remove(w->owners, w->owner) == 0);
	bufpool_stats(w->pool, &s);
	check(s.n_free == s.n_total);
	nmobj_free(w->o);
	bufowner_free(w->owners);
	bufpool_free(w->pool);
	region_deinit(&w->region);
}

int main(void)
{
	const char *text = getenv("VIADUCT_SEED");
	struct world *w = aligned_alloc(128, (sizeof(*w) + 127) / 128 * 128);

	seed = text ? strtoull(text, NULL, 0) : (unsigned long long)time(NULL);
	rng_state = seed;
	printf("VIADUCT_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (run_no = 0; run_no < N_RUNS; run_no++)
		run(w);
	check(n_taken > 0 && n_read > 0 && n_back > 0);
	printf("%u steps agree: %u slots sent, %u read, %u withdrawn\n", N_RUNS * N_STEPS, n_taken,
	       n_read, n_back);
	free(w);
	return 0;
}
