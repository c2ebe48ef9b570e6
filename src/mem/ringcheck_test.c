/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/ringcheck.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem/nmobj.h"
#include "mem/nmsync.h"

#define N_BUFS  1000u
#define N_SLOTS 128u
#define TID     1u /* lives */

/* One ring, both sides of it. */
struct fixture {
	struct region region;
	struct bufpool *pool;
	struct bufowner *owners;
	struct nmobj *o;
	struct bufcache b;
	struct shadow_ring s;
	struct ringcheck rc;
	struct nmsync_ring app;
	struct netmap_ring *ring;
	uint64_t ofs;
	uint16_t owner;
};

static int start(void **state, bool tx)
{
	const struct mem_params m = {.buf_num = N_BUFS, .ring_num = 4, .if_num = 10};
	struct fixture *f = aligned_alloc(128, (sizeof(*f) + 127) / 128 * 128);
	struct ringcheck_params p = {.n_slots = N_SLOTS, .buf_size = 2048, .tx = tx};
	struct nmobj_ring_params rp = {.n_slots = N_SLOTS, .tx = tx};
	const char *why;

	memset(f, 0, sizeof(*f));
	if (region_init(&f->region, &m, 1, &why) < 0)
		return -1;
	f->pool = bufpool_new(&f->region, 1);
	f->owners = bufowner_new(f->pool);
	f->o = nmobj_new(f->owners);
	bufcache_init(&f->b, f->pool);
	f->owner = rp.owner = p.owner = bufowner_add(f->owners);
	if (nmobj_ring_new(f->o, &rp, &f->ofs) < 0)
		return -1;
	f->ring = p.ring = nmobj_ring(f->o, f->ofs);
	p.shadow = &f->s;
	if (ringcheck_init(&f->rc, &p) < 0)
		return -1;
	nmsync_init(&f->app, f->ring, &f->s, N_BUFS);
	*state = f;
	return 0;
}

static int setup_tx(void **state)
{
	return start(state, true);
}

static int setup_rx(void **state)
{
	return start(state, false);
}

/* Whatever happened: the owner has what it was granted, and in the end everything is free. */
static int teardown(void **state)
{
	struct fixture *f = *state;
	struct bufpool_stats s;
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_BUFS; i++)
		n += f->b.meta[i].owner == f->owner;
	assert_int_equal(n, N_SLOTS);
	ringcheck_deinit(&f->rc);
	bufcache_deinit(&f->b);
	nmobj_ring_free(f->o, f->ofs, f->owner);
	bufowner_remove(f->owners, f->owner);
	bufpool_stats(f->pool, &s);
	assert_int_equal(s.n_free, s.n_total);
	nmobj_free(f->o);
	bufowner_free(f->owners);
	bufpool_free(f->pool);
	region_deinit(&f->region);
	free(f);
	return 0;
}

/* The program fills the next k slots with frames numbered from tag on, without a sync. */
static void fill(struct fixture *f, uint32_t k, uint8_t tag, uint16_t flags)
{
	for (uint32_t i = 0; i < k; i++) {
		struct netmap_slot *s = &f->ring->slot[f->ring->head];

		s->len = (uint16_t)(60 + i);
		s->flags = flags;
		*region_buf(&f->region, s->buf_idx) = (uint8_t)(tag + i);
		f->ring->head = f->ring->cur = ring_next(f->ring->head, N_SLOTS);
	}
}

static uint8_t tag_of(struct fixture *f, const struct ring_slot *s)
{
	return *buf_data(&f->b, s->buf);
}

static void put_back(struct fixture *f, const struct ring_slot *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		buf_put_one(&f->b, s[i].buf);
}

static void test_tx(void **state)
{
	struct fixture *f = *state;
	struct ring_slot got[RINGCHECK_BATCH];
	const uint32_t first = f->ring->slot[0].buf_idx;

	fill(f, 3, 10, NS_REPORT);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 0); /* no sync yet */
	assert_int_equal(nmsync_tx(&f->app, TID), 0);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 3);
	assert_true(f->rc.synced);
	assert_int_equal(got[0].buf, first); /* the program's own buffer, no copy */
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(tag_of(f, &got[i]), 10 + i);
		assert_int_equal(got[i].len, 60 + i);
		assert_int_equal(got[i].flags, 0);
		assert_int_equal(got[i].offset, 0);
		assert_int_equal(buf_refs(&f->b, got[i].buf), 1);
		assert_int_equal(f->b.meta[got[i].buf].owner, BUF_DAEMON);
		assert_int_not_equal(f->ring->slot[i].buf_idx, got[i].buf);
		assert_int_equal(f->ring->slot[i].flags, NS_BUF_CHANGED);
		assert_int_equal(f->ring->slot[i].len, 60 + i);
		assert_int_equal(f->b.meta[f->ring->slot[i].buf_idx].owner, f->owner);
	}
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got + 3, 64), 0);
	put_back(f, got, 3);
	assert_int_equal(f->ring->tail, N_SLOTS - 1);
	assert_false(ringcheck_publish(&f->rc, 0));
	assert_int_equal(nmsync_tx(&f->app, TID), 0);
	assert_int_equal(f->ring->tail, 2); /* everything is sent */
}

/* More than one batch, across the end of the ring. */
static void test_tx_batches(void **state)
{
	struct fixture *f = *state;
	struct ring_slot got[RINGCHECK_BATCH];

	for (int round = 0; round < 5; round++) {
		fill(f, N_SLOTS - 1, 0, 0);
		nmsync_tx(&f->app, TID);
		assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 100), 100);
		assert_int_equal(tag_of(f, &got[99]), 99);
		put_back(f, got, 100);
		assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 100), N_SLOTS - 101);
		assert_int_equal(tag_of(f, &got[0]), 100);
		put_back(f, got, N_SLOTS - 101);
		ringcheck_publish(&f->rc, 0);
		assert_int_equal(nmsync_tx(&f->app, TID), 0);
	}
	assert_int_equal(f->rc.n_slots, 5 * (N_SLOTS - 1));
}

/* Each bad slot is passed over, the good ones between them go out, the program hears of it. */
static void test_tx_bad_slots(void **state)
{
	struct fixture *f = *state;
	struct ring_slot got[RINGCHECK_BATCH];
	uint32_t mine = 0, foreign;
	uint16_t other = bufowner_add(f->owners);

	buf_get(&f->b, &mine, 1);
	assert_true(bufowner_get(f->owners, other, &foreign, 1));
	fill(f, 10, 0, 0);
	f->ring->slot[0].buf_idx = 0;
	f->ring->slot[1].buf_idx = N_BUFS;
	f->ring->slot[2].buf_idx = UINT32_MAX;
	f->ring->slot[4].buf_idx = f->ring->slot[3].buf_idx; /* twice */
	f->ring->slot[5].buf_idx = mine;                     /* the daemon's */
	f->ring->slot[6].buf_idx = foreign;                  /* another program's */
	f->ring->slot[7].len = 2049;
	f->ring->slot[8].len = UINT16_MAX;
	nmsync_tx(&f->app, TID);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 2);
	assert_int_equal(tag_of(f, &got[0]), 3);
	assert_int_equal(tag_of(f, &got[1]), 9);
	assert_int_equal(f->rc.n_bad, 8);
	assert_int_equal(f->ring->slot[7].flags, 0); /* not touched */
	put_back(f, got, 2);
	ringcheck_publish(&f->rc, 0);
	assert_int_equal(nmsync_tx(&f->app, TID), NMSYNC_BAD);
	assert_int_equal(f->ring->tail, 9);
	assert_int_equal(nmsync_tx(&f->app, TID), 0);
	buf_put_one(&f->b, mine);
	assert_int_equal(bufowner_remove(f->owners, other), 1);
}

static void test_tx_bad_heads(void **state)
{
	struct fixture *f = *state;
	struct ring_slot got[RINGCHECK_BATCH];
	static const uint32_t bad[] = {N_SLOTS, UINT32_MAX, 1};

	fill(f, 2, 0, 0);
	nmsync_tx(&f->app, TID);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 2);
	put_back(f, got, 2);
	for (uint32_t i = 0; i < array_size(bad); i++) {
		f->s.prog.head = bad[i]; /* beyond the ring, or backwards */
		assert_false(ringcheck_poll(&f->rc));
		assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 0);
		assert_int_equal(f->rc.n_errors, i + 1); /* once, though read twice */
		assert_true(ringcheck_sleep(&f->rc));    /* and no reason to stay awake */
	}
}

/* Frames of several slots come whole, with the flag in all but the last. */
static void test_tx_chains(void **state)
{
	struct fixture *f = *state;
	struct ring_slot got[RINGCHECK_BATCH];

	fill(f, 2, 0, NS_MOREFRAG);
	nmsync_tx(&f->app, TID);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 0); /* waits for its end */
	fill(f, 1, 2, 0);
	fill(f, 1, 3, 0);
	nmsync_tx(&f->app, TID);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(tag_of(f, &got[i]), i);
		assert_int_equal(got[i].flags, i < 2 ? NS_MOREFRAG : 0);
	}
	put_back(f, got, 4);
	/* One bad slot, and the frame is not taken at all. */
	fill(f, 2, 4, NS_MOREFRAG);
	f->ring->slot[f->ring->head].len = 0;
	fill(f, 1, 6, 0);
	f->ring->slot[6].buf_idx = 1;
	fill(f, 1, 7, 0);
	nmsync_tx(&f->app, TID);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 1);
	assert_int_equal(tag_of(f, &got[0]), 7);
	assert_int_equal(f->rc.n_bad, 3);
	put_back(f, got, 1);
}

/* 64 slots are a frame, 65 are refused to the last, and what follows is taken. */
static void test_tx_long_chains(void **state)
{
	struct fixture *f = *state;
	struct ring_slot got[RINGCHECK_BATCH];

	fill(f, 63, 0, NS_MOREFRAG);
	fill(f, 1, 63, 0);
	nmsync_tx(&f->app, TID);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 64);
	put_back(f, got, 64);
	ringcheck_publish(&f->rc, 0);
	nmsync_tx(&f->app, TID);
	for (uint32_t max = 64; max <= 128; max += 64) {
		fill(f, 64, 0, NS_MOREFRAG);
		fill(f, 1, 64, 0);
		fill(f, 1, 99, 0);
		nmsync_tx(&f->app, TID);
		while (ringcheck_tx_take(&f->rc, &f->b, got, max) == 0)
			assert_int_not_equal(f->rc.pos, f->rc.head);
		assert_int_equal(tag_of(f, &got[0]), 99);
		put_back(f, got, 1);
		ringcheck_publish(&f->rc, 0);
		assert_int_equal(nmsync_tx(&f->app, TID), NMSYNC_BAD);
	}
	/* A ring full of one frame without end does not stay so. */
	fill(f, N_SLOTS - 1, 0, NS_MOREFRAG);
	nmsync_tx(&f->app, TID);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 0);
	assert_int_equal(f->rc.pos, f->rc.head);
}

static void test_tx_offsets(void **state)
{
	struct fixture *f = *state;
	struct ring_slot got[RINGCHECK_BATCH];

	ringcheck_set_offsets(&f->rc, 0xffff, 2048);
	fill(f, 3, 0, 0);
	f->ring->slot[0].ptr = 0xabcd00000000 | 64;
	f->ring->slot[1].ptr = 2048 - 61;
	f->ring->slot[2].ptr = 2048 - 61;
	nmsync_tx(&f->app, TID);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 2);
	assert_int_equal(got[0].offset, 64);
	assert_int_equal(got[1].offset, 2048 - 61);
	put_back(f, got, 2);
	ringcheck_set_offsets(&f->rc, UINT64_MAX, 128);
	fill(f, 3, 0, 0);
	f->ring->slot[3].ptr = UINT64_MAX - 10;
	f->ring->slot[4].ptr = 128;
	f->ring->slot[5].ptr = 129;
	nmsync_tx(&f->app, TID);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 1);
	assert_int_equal(got[0].offset, 128);
	put_back(f, got, 1);
	assert_int_equal(f->rc.n_bad, 3);
}

/* A program that is gone: what it put in after its last sync can be had, if it makes sense. */
static void test_tx_finish(void **state)
{
	struct fixture *f = *state;
	struct ring_slot got[RINGCHECK_BATCH];

	fill(f, 2, 0, 0);
	nmsync_tx(&f->app, TID);
	assert_false(ringcheck_tx_finish(&f->rc)); /* take that first */
	fill(f, 3, 2, 0);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 2);
	put_back(f, got, 2);
	assert_true(ringcheck_tx_finish(&f->rc));
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 3);
	assert_int_equal(tag_of(f, &got[0]), 2);
	assert_int_equal(f->rc.n_errors, 0);
	put_back(f, got, 3);
}

static void test_tx_finish_bad(void **state)
{
	struct fixture *f = *state;

	f->ring->head = N_SLOTS - 1; /* the last one that it could */
	f->rc.tail = N_SLOTS - 2;
	assert_false(ringcheck_tx_finish(&f->rc));
	f->ring->head = UINT32_MAX;
	assert_false(ringcheck_tx_finish(&f->rc));
	assert_int_equal(f->rc.head, 0);
}

/* Nothing to swap in: the frames wait, none is lost. */
static void test_tx_without_buffers(void **state)
{
	struct fixture *f = *state;
	struct ring_slot got[RINGCHECK_BATCH];
	uint32_t all[N_BUFS], n;

	n = buf_get(&f->b, all, N_BUFS);
	fill(f, 5, 0, 0);
	nmsync_tx(&f->app, TID);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 0);
	buf_put(&f->b, all, 2);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 2);
	put_back(f, got, 2);
	buf_put(&f->b, all + 2, n - 2);
	assert_int_equal(ringcheck_tx_take(&f->rc, &f->b, got, 64), 3);
	assert_int_equal(tag_of(f, &got[0]), 2);
	put_back(f, got, 3);
	assert_int_equal(f->rc.n_errors, 0);
}

/* n frames of the daemon's, numbered from tag on. */
static void make(struct fixture *f, struct ring_slot *ret, uint32_t n, uint8_t tag)
{
	for (uint32_t i = 0; i < n; i++) {
		ret[i] = (struct ring_slot){.len = (uint16_t)(60 + i)};
		assert_int_equal(buf_get(&f->b, &ret[i].buf, 1), 1);
		*buf_data(&f->b, ret[i].buf) = (uint8_t)(tag + i);
	}
}

static void release(struct fixture *f, uint32_t n)
{
	f->ring->head = f->ring->cur = ring_add(f->ring->head, n, N_SLOTS);
	assert_int_equal(nmsync_rx(&f->app, TID), 0);
}

static void test_rx(void **state)
{
	struct fixture *f = *state;
	struct ring_slot in[4];

	nmsync_rx(&f->app, TID);
	assert_int_equal(ringcheck_rx_space(&f->rc), N_SLOTS - 1);
	make(f, in, 4, 20);
	in[2].flags = NS_MOREFRAG;
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, in, 4), 4);
	assert_int_equal(ringcheck_rx_waiting(&f->rc), 4);
	nmsync_rx(&f->app, TID);
	assert_int_equal(f->ring->tail, 0); /* not published */
	assert_true(shadow_want_wakeup(&f->s));
	assert_true(ringcheck_publish(&f->rc, 3000007));
	assert_false(ringcheck_publish(&f->rc, 3000007));
	assert_int_equal(f->ring->tail, 0); /* not synced */
	assert_int_equal(nmsync_rx(&f->app, TID), 0);
	assert_int_equal(f->ring->tail, 4);
	assert_int_equal(f->ring->ts.tv_usec, 7);
	for (uint32_t i = 0; i < 4; i++) {
		const struct netmap_slot *s = &f->ring->slot[i];

		assert_int_equal(s->buf_idx, in[i].buf); /* no copy */
		assert_int_equal(f->b.meta[s->buf_idx].owner, f->owner);
		assert_int_equal(s->len, 60 + i);
		assert_int_equal(s->flags, i == 2 ? NS_MOREFRAG : 0);
		assert_int_equal(*region_buf(&f->region, s->buf_idx), 20 + i);
	}
	release(f, 3);
	assert_true(ringcheck_poll(&f->rc));
	assert_false(ringcheck_poll(&f->rc));
	assert_int_equal(ringcheck_rx_waiting(&f->rc), 1);
}

/* A frame lies where the program left the slot's offset, never behind the largest. */
static void test_rx_offsets(void **state)
{
	struct fixture *f = *state;
	struct ring_slot in[3], out[N_SLOTS];

	f->ring->slot[0].ptr = 0xabcd00000000 | 64;
	f->ring->slot[1].ptr = 5000;
	assert_int_equal(ringcheck_rx_offset(&f->rc, 0), 0); /* there are none yet */
	ringcheck_set_offsets(&f->rc, 0xffff, 128);
	assert_int_equal(ringcheck_rx_offset(&f->rc, 0), 64);
	assert_int_equal(ringcheck_rx_offset(&f->rc, 1), 128);
	assert_int_equal(ringcheck_rx_offset(&f->rc, 2), 0);
	make(f, in, 3, 1);
	in[0].offset = 64;
	in[1].offset = 128;
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, in, 3), 3);
	ringcheck_publish(&f->rc, 0);
	assert_int_equal(f->ring->slot[0].ptr, 0xabcd00000000 | 64);
	assert_int_equal(f->ring->slot[1].ptr, 128);
	assert_int_equal(ringcheck_rx_offset(&f->rc, N_SLOTS - 3), 64); /* round the corner */
	/* Frames that are taken back still know where they are. */
	f->ring->slot[0].ptr = 0;
	assert_int_equal(ringcheck_rx_withdraw(&f->rc, &f->b, RINGCHECK_UNRELEASED, out), 3);
	assert_int_equal(out[0].offset, 64);
	assert_int_equal(out[1].offset, 128);
	put_back(f, out, 3);
}

/* Marked frames come back when their slots are released, whole; their slots wait for that. */
static void test_rx_forward(void **state)
{
	struct fixture *f = *state;
	struct ring_slot in[N_SLOTS], got[RINGCHECK_BATCH];

	make(f, in, 8, 1);
	in[3].flags = in[5].flags = NS_MOREFRAG; /* frames: 0 1 2 3+4 5+6 7 */
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, in, 8), 8);
	ringcheck_publish(&f->rc, 1);
	nmsync_rx(&f->app, TID);
	f->ring->flags = NR_FORWARD;
	f->ring->slot[1].flags |= NS_FORWARD;
	f->ring->slot[3].flags |= NS_FORWARD; /* its first slot says it */
	f->ring->slot[6].flags |= NS_FORWARD; /* and no other */
	f->ring->slot[7].flags |= NS_FORWARD;
	release(f, 7);
	assert_true(ringcheck_rx_forwards(&f->rc));
	assert_int_equal(ringcheck_rx_waiting(&f->rc), 1);
	assert_int_equal(ringcheck_rx_space(&f->rc), N_SLOTS - 1 - 8); /* not looked at */
	assert_int_equal(ringcheck_rx_forward(&f->rc, &f->b, got, 64), 3);
	assert_int_equal(tag_of(f, &got[0]), 2);
	assert_int_equal(tag_of(f, &got[1]), 4);
	assert_int_equal(tag_of(f, &got[2]), 5);
	assert_int_equal(got[0].len, 61);
	assert_int_equal(got[1].flags, NS_MOREFRAG);
	assert_int_equal(got[2].flags, 0);
	assert_int_not_equal(f->ring->slot[1].buf_idx, in[1].buf);
	assert_int_equal(f->ring->slot[0].buf_idx, in[0].buf);
	assert_int_equal(ringcheck_rx_space(&f->rc), N_SLOTS - 1 - 1);
	assert_int_equal(ringcheck_rx_forward(&f->rc, &f->b, got + 3, 64), 0);
	assert_int_equal(f->rc.n_errors, 0);
	put_back(f, got, 3);
}

/* What cannot be a frame is passed over, and nothing goes without buffers to swap in. */
static void test_rx_forward_bad(void **state)
{
	struct fixture *f = *state;
	struct ring_slot in[N_SLOTS], got[RINGCHECK_BATCH];
	uint32_t all[N_BUFS], n;

	make(f, in, 6, 1);
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, in, 6), 6);
	ringcheck_publish(&f->rc, 1);
	f->ring->flags = NR_FORWARD;
	nmsync_rx(&f->app, TID);
	for (uint32_t i = 0; i < 6; i++)
		f->ring->slot[i].flags |= NS_FORWARD;
	f->ring->slot[0].buf_idx = in[1].buf; /* twice: the second is refused */
	f->ring->slot[2].buf_idx = 1;
	f->ring->slot[3].len = 2049;
	f->ring->slot[5].flags |= NS_MOREFRAG; /* without an end */
	release(f, 6);
	n = buf_get(&f->b, all, N_BUFS);
	assert_int_equal(ringcheck_rx_forward(&f->rc, &f->b, got, 64), 0);
	assert_true(f->rc.starved);
	buf_put(&f->b, all, n);
	assert_int_equal(ringcheck_rx_forward(&f->rc, &f->b, got, 64), 2);
	assert_false(f->rc.starved);
	assert_int_equal(got[0].buf, in[1].buf);
	assert_int_equal(got[1].buf, in[4].buf);
	assert_int_equal(f->rc.n_errors, 4);
	assert_int_equal(f->rc.scan, f->rc.head);
	put_back(f, got, 2);
}

/* A full ring takes no more; a frame of several slots goes in whole or not at all. */
static void test_rx_full(void **state)
{
	struct fixture *f = *state;
	struct ring_slot in[N_SLOTS];

	make(f, in, N_SLOTS, 0);
	in[N_SLOTS - 2].flags = NS_MOREFRAG;
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, in, N_SLOTS), N_SLOTS - 2);
	in[N_SLOTS - 2].flags = 0;
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, in + N_SLOTS - 2, 2), 1);
	assert_int_equal(ringcheck_rx_space(&f->rc), 0);
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, in + N_SLOTS - 1, 1), 0);
	ringcheck_publish(&f->rc, 0);
	nmsync_rx(&f->app, TID);
	release(f, 1);
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, in + N_SLOTS - 1, 1), 1);
}

/* A slot that gives no buffer back stops the ring, until the program puts it right. */
static void test_rx_bad_slot(void **state)
{
	struct fixture *f = *state;
	const uint32_t idx = f->ring->slot[1].buf_idx;
	struct ring_slot in[4];

	f->ring->slot[1].buf_idx = f->ring->slot[0].buf_idx;
	make(f, in, 4, 0);
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, in, 4), 1);
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, in + 1, 3), 0);
	assert_int_equal(f->rc.n_errors, 1);
	ringcheck_publish(&f->rc, 0);
	assert_int_equal(nmsync_rx(&f->app, TID), NMSYNC_BAD);
	assert_int_equal(f->ring->tail, 1);
	/* A frame across the bad slot leaves the good ones as they were. */
	f->ring->slot[1].buf_idx = idx;
	f->ring->slot[2].buf_idx ^= 0x80000000;
	in[1].flags = in[2].flags = NS_MOREFRAG;
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, in + 1, 3), 0);
	f->ring->slot[2].buf_idx ^= 0x80000000;
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, in + 1, 3), 3);
}

static void test_withdraw_unseen(void **state)
{
	struct fixture *f = *state;
	struct ring_slot in[6], out[N_SLOTS];

	make(f, in, 6, 0);
	ringcheck_rx_put(&f->rc, &f->b, in, 2);
	ringcheck_publish(&f->rc, 0);
	nmsync_rx(&f->app, TID); /* has seen 2 */
	ringcheck_rx_put(&f->rc, &f->b, in + 2, 3);
	ringcheck_publish(&f->rc, 0);
	ringcheck_rx_put(&f->rc, &f->b, in + 5, 1); /* not published */
	assert_int_equal(ringcheck_rx_withdraw(&f->rc, &f->b, RINGCHECK_UNSEEN, out), 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(tag_of(f, &out[i]), 2 + i);
		assert_int_equal(out[i].len, in[2 + i].len);
	}
	assert_int_equal(nmsync_rx(&f->app, TID), 0);
	assert_int_equal(f->ring->tail, 2);
	assert_int_equal(ringcheck_rx_withdraw(&f->rc, &f->b, RINGCHECK_UNSEEN, out + 4), 0);
	/* It wakes up and gets what came after that. */
	assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, out, 4), 4);
	ringcheck_publish(&f->rc, 0);
	release(f, 2);
	assert_int_equal(f->ring->tail, 6);
	assert_int_equal(ringcheck_rx_waiting(&f->rc), 4);
}

/* The program is gone: what it had not released comes back, but not what it sent itself. */
static void test_withdraw_all(void **state)
{
	struct fixture *f = *state;
	struct ring_slot in[5], out[N_SLOTS];

	make(f, in, 5, 0);
	ringcheck_rx_put(&f->rc, &f->b, in, 5);
	ringcheck_publish(&f->rc, 0);
	nmsync_rx(&f->app, TID);
	release(f, 1);
	/* Swapped into a TX ring, sent, freed, and next to be handed out. */
	f->ring->slot[2].buf_idx = UINT32_MAX;
	assert_true(buf_take(&f->b, in[2].buf, f->owner));
	buf_put_one(&f->b, in[2].buf);
	assert_int_equal(ringcheck_rx_withdraw(&f->rc, &f->b, RINGCHECK_UNRELEASED, out), 3);
	assert_int_equal(out[0].buf, in[1].buf);
	assert_int_equal(out[1].buf, in[3].buf);
	assert_int_equal(out[2].buf, in[4].buf);
	put_back(f, out, 3);
	assert_int_equal(buf_get(&f->b, &in[0].buf, 1), 1); /* what a TX slot would have got */
	buf_give(&f->b, in[0].buf, f->owner);
}

/* `shown` out of range counts as: the program has seen everything. */
static void test_withdraw_hostile(void **state)
{
	struct fixture *f = *state;
	struct ring_slot in[3], out[N_SLOTS];

	make(f, in, 3, 0);
	ringcheck_rx_put(&f->rc, &f->b, in, 3);
	ringcheck_publish(&f->rc, 0);
	f->s.prog.shown = UINT32_MAX;
	assert_int_equal(ringcheck_rx_withdraw(&f->rc, &f->b, RINGCHECK_UNSEEN, out), 0);
	f->s.prog.shown = 0;
	f->ring->slot[1].buf_idx = 0;
	assert_int_equal(ringcheck_rx_withdraw(&f->rc, &f->b, RINGCHECK_UNSEEN, out), 2);
	put_back(f, out, 2);
}

/* A program that reads, and a daemon that puts frames and takes unseen ones back, all the time. */
#define N_STRESS 100000u

struct stress {
	struct fixture *f;
	bool stop;
	uint32_t n_read;
	bool ok;
};

static uint32_t number_at(struct fixture *f, uint32_t buf)
{
	uint32_t v;

	memcpy(&v, region_buf(&f->region, buf), sizeof(v));
	return v;
}

static void *read_all(void *arg)
{
	struct stress *t = arg;
	struct netmap_ring *ring = t->f->ring;
	uint32_t last = 0;
	bool stop = false;

	while (!stop || ring->head != ring->tail) {
		stop = __atomic_load_n(&t->stop, __ATOMIC_ACQUIRE); /* before the last sync */
		while (ring->head != ring->tail) {
			uint32_t v = number_at(t->f, ring->slot[ring->head].buf_idx);

			if (v <= last)
				t->ok = false;
			last = v;
			__atomic_fetch_add(&t->n_read, 1, __ATOMIC_RELAXED);
			ring->head = ring->cur = ring_next(ring->head, N_SLOTS);
		}
		if (nmsync_rx(&t->f->app, TID))
			t->ok = false;
		if (ring->head == ring->tail)
			sched_yield(); /* there may be one processor for both */
	}
	return NULL;
}

static void test_withdraw_while_reading(void **state)
{
	struct fixture *f = *state;
	struct stress t = {.f = f, .ok = true};
	struct ring_slot s = {.len = 60}, out[N_SLOTS];
	uint32_t next = 1, n_back = 0, n;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, read_all, &t), 0);
	/* Until both have happened: on a busy machine the reader may start late. */
	while (next <= N_STRESS || !n_back || !__atomic_load_n(&t.n_read, __ATOMIC_RELAXED)) {
		for (uint32_t k = next % 7; k && ringcheck_rx_space(&f->rc); k--, next++) {
			assert_int_equal(buf_get(&f->b, &s.buf, 1), 1);
			memcpy(buf_data(&f->b, s.buf), &next, sizeof(next));
			assert_int_equal(ringcheck_rx_put(&f->rc, &f->b, &s, 1), 1);
		}
		ringcheck_publish(&f->rc, next);
		if (next % 3 && ringcheck_rx_space(&f->rc))
			continue;
		n = ringcheck_rx_withdraw(&f->rc, &f->b, RINGCHECK_UNSEEN, out);
		n_back += n;
		put_back(f, out, n);
		next += next % 7 == 0; /* never stuck on a round that puts nothing */
	}
	__atomic_store_n(&t.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_true(t.ok);
	/* Each frame was read, or taken back, or is still there: never two of them. */
	assert_int_equal(t.n_read + n_back + ringcheck_rx_waiting(&f->rc), f->rc.n_slots);
}

/* A ring that is full and released at the same moment takes no more than it was given. */
static void test_put_while_reading(void **state)
{
	struct fixture *f = *state;
	struct stress t = {.f = f, .ok = true};
	struct ring_slot s[2] = {{.len = 60}, {.buf = UINT32_MAX}};
	uint32_t next = 1, n_full = 0, n;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, read_all, &t), 0);
	while (next <= 4 * N_STRESS || !n_full) {
		assert_int_equal(buf_get(&f->b, &s[0].buf, 1), 1);
		memcpy(buf_data(&f->b, s[0].buf), &next, sizeof(next));
		for (; !(n = ringcheck_rx_put(&f->rc, &f->b, s, 1)); n_full++)
			sched_yield();
		assert_int_equal(n, 1);
		ringcheck_publish(&f->rc, next++);
	}
	__atomic_store_n(&t.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_true(t.ok);
	assert_int_equal(t.n_read, next - 1);
}

int main(void)
{
#define TX(f) cmocka_unit_test_setup_teardown(f, setup_tx, teardown)
#define RX(f) cmocka_unit_test_setup_teardown(f, setup_rx, teardown)
	const struct CMUnitTest tests[] = {
		TX(test_tx),
		TX(test_tx_batches),
		TX(test_tx_bad_slots),
		TX(test_tx_bad_heads),
		TX(test_tx_chains),
		TX(test_tx_long_chains),
		TX(test_tx_offsets),
		TX(test_tx_finish),
		TX(test_tx_finish_bad),
		TX(test_tx_without_buffers),
		RX(test_rx),
		RX(test_rx_offsets),
		RX(test_rx_forward),
		RX(test_rx_forward_bad),
		RX(test_rx_full),
		RX(test_rx_bad_slot),
		RX(test_withdraw_unseen),
		RX(test_withdraw_all),
		RX(test_withdraw_hostile),
		RX(test_withdraw_while_reading),
		RX(test_put_while_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
