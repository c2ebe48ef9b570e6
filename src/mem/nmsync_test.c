/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/nmsync.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_SLOTS 8u
#define N_BUFS  100u
#define TID     1u /* lives */

struct fixture {
	struct nmsync_ring r;
	struct shadow_ring s;
	struct netmap_ring *ring;
};

static int start(void **state, bool tx)
{
	struct fixture *f = aligned_alloc(128, (sizeof(*f) + 127) / 128 * 128);
	const size_t size = sizeof(struct netmap_ring) + N_SLOTS * sizeof(struct netmap_slot);
	struct netmap_ring start = {.num_slots = N_SLOTS, .nr_buf_size = 2048};

	memset(f, 0, sizeof(*f));
	f->ring = aligned_alloc(128, size);
	start.tail = tx ? N_SLOTS - 1 : 0;
	memset(f->ring, 0, size);
	memcpy(f->ring, &start, sizeof(start));
	for (uint32_t i = 0; i < N_SLOTS; i++)
		f->ring->slot[i] = (struct netmap_slot){.buf_idx = 2 + i, .len = 2048};
	shadow_reset(&f->s, tx, N_SLOTS);
	nmsync_init(&f->r, f->ring, &f->s, N_BUFS);
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

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->s.prog.lock, 0);
	free(f->ring);
	free(f);
	return 0;
}

static void check_indexes(struct fixture *f, uint32_t head, uint32_t cur, uint32_t tail)
{
	assert_int_equal(f->ring->head, head);
	assert_int_equal(f->ring->cur, cur);
	assert_int_equal(f->ring->tail, tail);
}

static void test_tx(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(nmsync_tx(&f->r, TID), 0);
	check_indexes(f, 0, 0, 7);
	assert_true(nmsync_ready(&f->r));
	f->ring->head = f->ring->cur = 3;
	assert_true(nmsync_tx_pending(&f->r));
	assert_int_equal(f->s.prog.head, 0); /* not before the sync */
	assert_int_equal(nmsync_tx(&f->r, TID), 0);
	assert_false(nmsync_tx_pending(&f->r));
	assert_int_equal(f->s.prog.head, 3);
	check_indexes(f, 3, 3, 7);
	shadow_publish_tail(&f->s, 2, 0); /* all sent; 3 wraps round to 2 */
	check_indexes(f, 3, 3, 7);        /* not before the sync */
	assert_int_equal(nmsync_tx(&f->r, TID), 0);
	check_indexes(f, 3, 3, 2);
	assert_int_equal(f->s.prog.shown, 2);
	f->ring->head = 2; /* all 7, cur behind head is wrong, at tail it is not */
	f->ring->cur = 2;
	assert_int_equal(nmsync_tx(&f->r, TID), 0);
	assert_int_equal(f->s.prog.head, 2);
	assert_false(nmsync_ready(&f->r));
}

static void test_rx(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(nmsync_rx(&f->r, TID), 0);
	check_indexes(f, 0, 0, 0);
	assert_false(nmsync_ready(&f->r));
	shadow_publish_tail(&f->s, 5, 1234567890123456);
	check_indexes(f, 0, 0, 0);
	assert_int_equal(f->ring->ts.tv_sec, 0);
	assert_int_equal(nmsync_rx(&f->r, TID), 0);
	check_indexes(f, 0, 0, 5);
	assert_int_equal(f->ring->ts.tv_sec, 1234567890);
	assert_int_equal(f->ring->ts.tv_usec, 123456);
	f->ring->head = 2;
	f->ring->cur = 5; /* wake me on more */
	assert_int_equal(nmsync_rx(&f->r, TID), 0);
	assert_int_equal(f->s.prog.head, 2);
	assert_int_equal(f->s.prog.cur, 5);
	assert_false(nmsync_ready(&f->r));
	shadow_publish_tail(&f->s, 1, 0); /* full */
	assert_int_equal(nmsync_rx(&f->r, TID), 0);
	check_indexes(f, 2, 5, 1);
	assert_true(nmsync_ready(&f->r));
}

/* The daemon sleeps: the first sync and each that moves head owe a doorbell, others do not. */
static void test_doorbell(void **state)
{
	struct fixture *f = *state;

	assert_true(shadow_daemon_sleep(&f->s, 0, false));
	assert_int_equal(nmsync_tx(&f->r, TID), NMSYNC_DOORBELL);
	assert_true(shadow_daemon_sleep(&f->s, 0, true));
	assert_int_equal(nmsync_tx(&f->r, TID), 0);
	f->ring->head = f->ring->cur = 1;
	assert_int_equal(nmsync_tx(&f->r, TID), NMSYNC_DOORBELL);
	f->ring->head = f->ring->cur = 2;
	assert_int_equal(nmsync_tx(&f->r, TID), 0);
	f->s.prog.n_syncs = UINT32_MAX;
	assert_int_equal(nmsync_tx(&f->r, TID), 0);
	assert_true(shadow_synced(&f->s));
}

/* Each triple of indexes, right or wrong, against the rule written out in steps. */
static void test_rules(void **state)
{
	struct fixture *f = *state;
	const uint32_t hw = 6, tail = 3; /* the program has 6 7 0 1 2 */
	static const uint32_t order[] = {6, 7, 0, 1, 2, 3};

	for (uint32_t head = 0; head < N_SLOTS + 2; head++)
		for (uint32_t cur = 0; cur < N_SLOTS + 2; cur++) {
			int at_head = -1, at_cur = -1;
			bool ok;

			for (int i = 0; i < 6; i++) {
				at_head = order[i] == head ? i : at_head;
				at_cur = order[i] == cur ? i : at_cur;
			}
			ok = at_head >= 0 && at_cur >= at_head;
			f->s.prog.head = hw;
			f->s.prog.shown = f->s.daemon.tail = f->ring->tail = tail;
			f->ring->head = head;
			f->ring->cur = cur;
			assert_int_equal(nmsync_tx(&f->r, TID), ok ? 0 : NMSYNC_BAD);
			assert_int_equal(f->s.prog.head, ok ? head : hw);
			if (head >= N_SLOTS || cur >= N_SLOTS)
				check_indexes(f, hw, hw, tail); /* put back */
			else
				check_indexes(f, head, cur, tail);
		}
}

static void test_tail_is_restored(void **state)
{
	struct fixture *f = *state;

	f->ring->head = f->ring->cur = 2;
	f->ring->tail = 99;
	assert_int_equal(nmsync_tx(&f->r, TID), 0);
	check_indexes(f, 2, 2, 7);
	f->ring->tail = 4;
	assert_int_equal(nmsync_tx(&f->r, TID), 0);
	check_indexes(f, 2, 2, 7);
}

/* Wrong indexes: buffers that cannot be and lengths that none has become 0; the rest stays. */
static void test_reinit_slots(void **state)
{
	struct fixture *f = *state;

	f->ring->slot[0] = (struct netmap_slot){.buf_idx = 1, .len = 60};
	f->ring->slot[1] = (struct netmap_slot){.buf_idx = N_BUFS, .len = 60, .ptr = 3};
	f->ring->slot[2] = (struct netmap_slot){.buf_idx = N_BUFS - 1, .len = 2049};
	f->ring->slot[3] = (struct netmap_slot){.buf_idx = 5, .len = 2048, .flags = 1};
	f->ring->head = UINT32_MAX;
	assert_int_equal(nmsync_tx(&f->r, TID), NMSYNC_BAD);
	assert_int_equal(f->ring->slot[0].buf_idx, 0);
	assert_int_equal(f->ring->slot[0].len, 0);
	assert_int_equal(f->ring->slot[1].buf_idx, 0);
	assert_int_equal(f->ring->slot[1].ptr, 3);
	assert_int_equal(f->ring->slot[2].buf_idx, N_BUFS - 1);
	assert_int_equal(f->ring->slot[2].len, 0);
	assert_int_equal(f->ring->slot[3].buf_idx, 5);
	assert_int_equal(f->ring->slot[3].len, 2048);
	check_indexes(f, 0, 0, 7);
	assert_int_equal(nmsync_tx(&f->r, TID), 0);
}

/* An RX ring takes in what came, even if the program's head is wrong. */
static void test_rx_goes_on(void **state)
{
	struct fixture *f = *state;

	shadow_publish_tail(&f->s, 4, 5000001);
	f->ring->head = f->ring->cur = 2;
	assert_int_equal(nmsync_rx(&f->r, TID), NMSYNC_BAD);
	check_indexes(f, 2, 2, 4);
	assert_int_equal(f->ring->ts.tv_sec, 5);
	assert_int_equal(f->s.prog.head, 0);
	assert_int_equal(nmsync_rx(&f->r, TID), 0); /* by now the head is right */
	assert_int_equal(f->s.prog.head, 2);
	f->ring->head = 1; /* backwards */
	assert_int_equal(nmsync_rx(&f->r, TID), NMSYNC_BAD);
	assert_int_equal(f->s.prog.head, 2);
}

/* Marks count if the ring's flag was on when their slots were released. */
static void test_forward(void **state)
{
	struct fixture *f = *state;

	shadow_publish_tail(&f->s, 6, 1);
	nmsync_rx(&f->r, TID);
	for (uint32_t i = 0; i < 6; i++)
		f->ring->slot[i].flags = NS_FORWARD | NS_MOREFRAG;
	f->ring->head = f->ring->cur = 1;
	assert_int_equal(nmsync_rx(&f->r, TID), 0);
	assert_int_equal(f->s.prog.forward, 0); /* nobody looks */
	f->ring->flags = NR_FORWARD;
	f->ring->head = f->ring->cur = 3;
	assert_int_equal(nmsync_rx(&f->r, TID), 0);
	assert_int_equal(f->s.prog.forward, SHADOW_FORWARD_USED | SHADOW_FORWARD_ON);
	assert_int_equal(f->ring->slot[2].flags, NS_FORWARD | NS_MOREFRAG);
	f->ring->flags = 0;
	f->ring->head = f->ring->cur = 5;
	assert_int_equal(nmsync_rx(&f->r, TID), 0);
	assert_int_equal(f->s.prog.forward, SHADOW_FORWARD_USED);
	assert_int_equal(f->ring->slot[2].flags, NS_FORWARD | NS_MOREFRAG); /* before that */
	assert_int_equal(f->ring->slot[3].flags, NS_MOREFRAG);
	assert_int_equal(f->ring->slot[4].flags, NS_MOREFRAG);
	assert_int_equal(f->ring->slot[5].flags, NS_FORWARD | NS_MOREFRAG); /* not released */
}

/* What the daemon found wrong is told once, and wakes nobody twice. */
static void test_errors_are_told_once(void **state)
{
	struct fixture *f = *state;

	f->ring->slot[0].len = 65535;
	f->s.daemon.errors = 2;
	assert_int_equal(nmsync_tx(&f->r, TID), NMSYNC_BAD);
	assert_int_equal(f->ring->slot[0].len, 0);
	assert_int_equal(nmsync_tx(&f->r, TID), 0);
	assert_true(shadow_want_wakeup(&f->s));
}

static void test_stopped_and_busy(void **state)
{
	struct fixture *f = *state;

	f->ring->head = f->ring->cur = 1;
	assert_true(shadow_trylock(&f->s, 1));
	assert_int_equal(nmsync_tx(&f->r, 2), NMSYNC_BUSY);
	assert_int_equal(nmsync_rx(&f->r, 2), NMSYNC_BUSY);
	shadow_unlock(&f->s);
	shadow_set_state(&f->s, SHADOW_STOPPED);
	assert_int_equal(nmsync_tx(&f->r, TID), NMSYNC_STOPPED);
	assert_int_equal(nmsync_rx(&f->r, TID), NMSYNC_STOPPED);
	assert_int_equal(f->s.prog.head, 0);
}

/* A program that scribbles on its shadow ring gets no slot that its ring does not have. */
static void test_scribbled_shadow(void **state)
{
	struct fixture *f = *state;

	memset(&f->s.daemon, 0x5a, sizeof(f->s.daemon));
	f->s.daemon.state = SHADOW_OK;
	assert_true(nmsync_rx(&f->r, TID) & NMSYNC_BAD);
	assert_int_equal(f->ring->tail, 0);
	memset(&f->s, 0x5a, sizeof(f->s));
	f->s.daemon.state = SHADOW_OK;
	f->s.prog.lock = 0;
	f->ring->head = N_SLOTS;
	assert_true(nmsync_rx(&f->r, TID) & NMSYNC_BAD);
	assert_true(nmsync_tx(&f->r, TID) & NMSYNC_BAD);
	assert_true(f->ring->head < N_SLOTS && f->ring->cur < N_SLOTS && f->ring->tail < N_SLOTS);
}

int main(void)
{
#define TX(f) cmocka_unit_test_setup_teardown(f, setup_tx, teardown)
#define RX(f) cmocka_unit_test_setup_teardown(f, setup_rx, teardown)
	const struct CMUnitTest tests[] = {
		TX(test_tx),
		RX(test_rx),
		TX(test_doorbell),
		TX(test_rules),
		TX(test_tail_is_restored),
		TX(test_reinit_slots),
		RX(test_rx_goes_on),
		RX(test_forward),
		TX(test_errors_are_told_once),
		TX(test_stopped_and_busy),
		RX(test_scribbled_shadow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
