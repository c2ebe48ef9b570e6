/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile program: whatever it writes into its rings, its interface, its buffers and the shadow
 * indexes, between operations of the daemon, the daemon never crashes or reads out of bounds, an
 * owner's buffers stay as many as it was granted, those of another program stay untouched, and in
 * the end all are back. ASan watches private memory; what lies in the region is compared.
 *
 * The input is a list of operations; each takes what it needs from the front, zeros when it has
 * ended.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "mem/nmobj.h"
#include "mem/nmsync.h"
#include "mem/ringcheck.h"

#define N_BUFS    400u
#define N_SLOTS   70u /* more than the longest frame */
#define N_EXTRA   4u
#define N_VICTIM  5u
#define STEPS_MAX 1000u
#define TID       1u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct side {
	struct shadow_ring *s;
	struct ringcheck rc;
	struct nmsync_ring app;
	uint64_t ofs;
};

struct fuzz {
	struct bytes in;
	struct region region;
	struct bufpool *pool;
	struct bufowner *owners;
	struct nmobj *o;
	struct bufcache b;
	struct side tx, rx;
	struct shadow shadow;
	uint16_t owner, victim;
	uint32_t victims[N_VICTIM];
	uint64_t if_ofs;
};

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static void side_open(struct fuzz *z, struct side *d, uint32_t no, bool tx, uint64_t mask)
{
	const struct nmobj_ring_params rp = {
		.owner = z->owner, .tx = tx, .n_slots = N_SLOTS, .offset_mask = mask};
	struct ringcheck_params p = {.n_slots = N_SLOTS,
				     .buf_size = 2048,
				     .offset_mask = mask,
				     .max_offset = mask ? 2048 : 0,
				     .owner = z->owner,
				     .tx = tx};

	expect(nmobj_ring_new(z->o, &rp, &d->ofs) == 0);
	p.ring = nmobj_ring(z->o, d->ofs);
	p.shadow = d->s = &z->shadow.rings[no];
	expect(ringcheck_init(&d->rc, &p) == 0);
	nmsync_init(&d->app, p.ring, d->s, N_BUFS);
}

static void open_all(struct fuzz *z)
{
	const struct nmobj_if_params ip = {.name = "fuzz"};
	const uint64_t mask = bytes_u8(&z->in) % 4 == 0 ? UINT64_MAX : 0;

	side_open(z, &z->tx, 0, true, mask);
	side_open(z, &z->rx, 1, false, mask);
	expect(nmobj_if_new(z->o, &ip, &z->if_ofs) == 0);
	expect(nmobj_extra_new(z->o, z->if_ofs, z->owner, N_EXTRA) == N_EXTRA);
}

static uint32_t owned(const struct fuzz *z, uint16_t owner)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_BUFS; i++)
		n += z->b.meta[i].owner == owner;
	return n;
}

static void put_all(struct fuzz *z, const struct ring_slot *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		/* What the daemon will read of the frame lies in its buffer. */
		expect((uint64_t)s[i].offset + s[i].len <= 2048);
		buf_put_one(&z->b, s[i].buf);
	}
}

static void withdraw(struct fuzz *z, enum ringcheck_which which)
{
	struct ring_slot out[N_SLOTS];

	put_all(z, out, ringcheck_rx_withdraw(&z->rx.rc, &z->b, which, out));
}

/* What it lost is counted as lost, and found when the owner goes. */
static void close_all(struct fuzz *z)
{
	uint32_t left = 2 * N_SLOTS + N_EXTRA;

	withdraw(z, RINGCHECK_UNRELEASED);
	ringcheck_deinit(&z->tx.rc);
	ringcheck_deinit(&z->rx.rc);
	left -= nmobj_if_free(z->o, z->if_ofs, z->owner).n_bufs;
	left -= nmobj_ring_free(z->o, z->tx.ofs, z->owner).n_bufs;
	left -= nmobj_ring_free(z->o, z->rx.ofs, z->owner).n_bufs;
	expect(bufowner_count(z->owners, z->owner) == left);
	expect(owned(z, z->owner) == left);
	expect(bufowner_remove(z->owners, z->owner) == left);
	expect(owned(z, z->owner) == 0);
}

static void take(struct fuzz *z)
{
	struct ring_slot got[RINGCHECK_BATCH];
	const uint32_t n = ringcheck_tx_take(&z->tx.rc, &z->b, got, 64 + bytes_u8(&z->in) % 100);
	uint32_t chain = 0;

	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < N_VICTIM; k++)
			expect(got[i].buf != z->victims[k]);
		chain = got[i].flags & NS_MOREFRAG ? chain + 1 : 0;
		expect(chain < NETMAP_MAX_FRAGS);
	}
	expect(chain == 0);
	put_all(z, got, n);
}

/* What it released with NS_FORWARD. */
static void forward(struct fuzz *z)
{
	struct ring_slot got[RINGCHECK_BATCH];
	const uint32_t n = ringcheck_rx_forward(&z->rx.rc, &z->b, got, RINGCHECK_BATCH);

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < N_VICTIM; k++)
			expect(got[i].buf != z->victims[k]);
	expect(n == 0 || !(got[n - 1].flags & NS_MOREFRAG));
	put_all(z, got, n);
	expect(z->rx.rc.scan == z->rx.rc.head);
}

static void put(struct fuzz *z)
{
	struct ring_slot in[32] = {0};
	const uint32_t n = bytes_u8(&z->in) % array_size(in);
	const uint8_t frags = bytes_u8(&z->in);

	for (uint32_t i = 0; i < n; i++) {
		expect(buf_get(&z->b, &in[i].buf, 1) == 1);
		in[i].len = 60;
		in[i].flags = frags >> (i % 8) & 1 && i + 1 < n ? NS_MOREFRAG : 0;
	}
	for (uint32_t i = ringcheck_rx_put(&z->rx.rc, &z->b, in, n); i < n; i++)
		buf_put_one(&z->b, in[i].buf);
}

static uint32_t number(struct fuzz *z)
{
	const uint8_t n = bytes_u8(&z->in);

	if (n < 128)
		return n;
	return n < 192 ? bytes_be16(&z->in) : bytes_be32(&z->in);
}

/* Single members at places that matter, or any byte at all. */
static void scribble(struct fuzz *z)
{
	struct side *d = bytes_u8(&z->in) & 1 ? &z->tx : &z->rx;
	struct netmap_ring *ring = d->app.ring;
	struct netmap_slot *s = &ring->slot[bytes_u8(&z->in) % N_SLOTS];

	switch (bytes_u8(&z->in) % 10) {
	case 0:
		ring->head = number(z);
		break;
	case 1:
		ring->cur = ring->tail = number(z);
		break;
	case 2:
		s->buf_idx = number(z);
		break;
	case 3:
		s->len = (uint16_t)number(z);
		break;
	case 4:
		s->flags = (uint16_t)number(z);
		break;
	case 5:
		s->ptr = (uint64_t)number(z) << (bytes_u8(&z->in) % 33);
		break;
	case 6: /* all slots go on */
		for (uint32_t i = 0; i < N_SLOTS; i++)
			ring->slot[i].flags |= NS_MOREFRAG;
		break;
	case 7:
		((uint8_t *)ring)[bytes_be16(&z->in) % (sizeof(*ring) + 16 * N_SLOTS)] =
			bytes_u8(&z->in);
		break;
	case 8:
		((uint32_t *)d->s)[bytes_u8(&z->in) % (sizeof(*d->s) / 4)] = number(z);
		break;
	default:
		nmobj_if(z->o, z->if_ofs)->ni_bufs_head = number(z);
		*(uint32_t *)(void *)region_buf(&z->region, number(z) % N_BUFS) = number(z);
		break;
	}
}

/* A well-behaved program now and then, so that there is traffic at all. */
static void behave(struct fuzz *z)
{
	struct side *d = bytes_u8(&z->in) & 1 ? &z->tx : &z->rx;
	struct netmap_ring *ring = d->app.ring;
	const uint32_t k = bytes_u8(&z->in) % N_SLOTS, head = ring->head % N_SLOTS;
	const uint32_t space = ring_distance(head, ring->tail % N_SLOTS, N_SLOTS);

	ring->head = ring->cur = ring_add(head, min_of(k, space), N_SLOTS);
	d->s->daemon.state = SHADOW_OK;
	d->s->prog.lock = 0;
	if (d == &z->tx)
		nmsync_tx(&d->app, TID);
	else
		nmsync_rx(&d->app, TID);
}

static void step(struct fuzz *z)
{
	switch (bytes_u8(&z->in) % 9) {
	case 0:
	case 1:
	case 2:
		scribble(z);
		break;
	case 3:
	case 4:
		behave(z);
		break;
	case 5:
		take(z);
		forward(z);
		break;
	case 6:
		put(z);
		break;
	case 7:
		withdraw(z, RINGCHECK_UNSEEN);
		break;
	default:
		ringcheck_publish(&z->tx.rc, 1);
		ringcheck_publish(&z->rx.rc, 1);
		ringcheck_sleep(&z->tx.rc);
		break;
	}
	expect(owned(z, z->owner) == 2 * N_SLOTS + N_EXTRA);
	expect(owned(z, z->victim) == N_VICTIM);
	expect(owned(z, BUF_DAEMON) == 0);
	expect(z->tx.rc.head < N_SLOTS && z->rx.rc.head < N_SLOTS);
	expect(ring_between(z->rx.rc.head, z->rx.rc.tail, z->rx.rc.pos, N_SLOTS));
	expect(ring_between(z->rx.rc.scan, z->rx.rc.head, z->rx.rc.pos, N_SLOTS));
}

static void fuzz_init(struct fuzz *z)
{
	const struct mem_params m = {.buf_num = N_BUFS, .ring_num = 2, .if_num = 10};
	const char *why;

	expect(region_init(&z->region, &m, 1, &why) == 0);
	expect(shadow_init(&z->shadow, 2) == 0);
	z->pool = bufpool_new(&z->region, 1);
	z->owners = bufowner_new(z->pool);
	z->o = nmobj_new(z->owners);
	bufcache_init(&z->b, z->pool);
	z->victim = bufowner_add(z->owners);
	expect(bufowner_get(z->owners, z->victim, z->victims, N_VICTIM));
	z->owner = bufowner_add(z->owners);
}

static void fuzz_deinit(struct fuzz *z)
{
	struct bufpool_stats s;

	bufcache_deinit(&z->b);
	expect(bufowner_remove(z->owners, z->victim) == N_VICTIM);
	bufpool_stats(z->pool, &s);
	expect(s.n_free == s.n_total);
	nmobj_free(z->o);
	bufowner_free(z->owners);
	bufpool_free(z->pool);
	shadow_deinit(&z->shadow);
	region_deinit(&z->region);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz z = {0};

	bytes_init(&z.in, data, size);
	fuzz_init(&z);
	open_all(&z);
	for (uint32_t i = 0; i < STEPS_MAX && bytes_left(&z.in); i++)
		step(&z);
	close_all(&z);
	fuzz_deinit(&z);
	return 0;
}
