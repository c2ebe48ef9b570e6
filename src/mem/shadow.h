/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The indexes behind an app-visible ring. A program reads and writes head, cur and tail of its
 * netmap_ring as it likes; only a sync, run in its own process (mem/nmsync.h), publishes head here
 * and takes tail from here, and the daemon works on what is published and on nothing else.
 *
 * One memory object per set of rings, apart from the region: an array of struct shadow_ring, each
 * with a half that the program writes and a half that the daemon writes, on cache lines of their
 * own (128 bytes apart, for processors that fetch lines in pairs).
 *
 * Theory of operation. Single producer, single consumer; no side ever waits for the other.
 * - Going to sleep: set the own flag (want, asleep), then look at the other's index again, and only
 *   sleep when it has not moved. Waking: publish the index, then look at the other's flag. All four
 *   accesses are sequentially consistent (mem/ring.h), so at least one side sees the other. Who
 *   finds the flag set clears it and owes one doorbell, so one sleep costs one doorbell.
 * - The daemon may take back frames that it published but the program has not shown to its
 *   application yet (a stalled program). The same handshake decides which those are: the program
 *   writes `shown` and then looks at `withdrawing` and tail; the daemon sets `withdrawing`, reads
 *   `shown`, and lowers tail no further. Lowering tail first and looking afterwards is not enough:
 *   indexes are modulo the ring, so a tail behind head looks like one far ahead of it.
 * - Threads and processes that share a descriptor exclude each other by the lock word, which holds
 *   the thread id of its owner. Nobody waits for it: netmap skips a busy ring. If the owner died
 *   inside, the next one takes the lock over.
 *
 * The daemon trusts nothing here: it never reads back its own half, and checks each value of the
 * program's half after reading it once (mem/ringcheck.h). A program that scribbles harms itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mem/ring.h"

#define SHADOW_RINGS_MAX 2048u /* in one object: 512 KiB */

/* prog.forward */
#define SHADOW_FORWARD_USED 1u /* released slots may be marked; never taken back */
#define SHADOW_FORWARD_ON   2u /* they may be at the moment */

enum shadow_state {
	SHADOW_OK,
	SHADOW_STOPPED, /* the port is gone: syncs answer EIO, poll POLLERR */
};

struct shadow_ring {
	/* Written by the program. */
	struct {
		_Alignas(128) uint32_t head; /* published head */
		uint32_t cur;         /* the application's, at the last sync; for the daemon only
					 to show */
		uint32_t shown;       /* tail as the application has it */
		uint32_t want;        /* 1: wake me when tail, errors or state change */
		uint32_t n_syncs;     /* 0: never synced */
		uint32_t errors_seen; /* of the daemon's errors, told to the application */
		uint32_t lock;        /* thread id of the owner, 0 = free */
		uint32_t forward;     /* RX: SHADOW_FORWARD_*: NR_FORWARD, at the syncs so far */
	} prog;
	/* Written by the daemon; the program only ever clears asleep. */
	struct {
		_Alignas(128) uint32_t tail;
		uint32_t state;       /* enum shadow_state */
		uint32_t errors;      /* times that the daemon found a slot or an index wrong */
		uint32_t asleep;      /* 1: ring when head changes, or at the first sync */
		uint32_t withdrawing; /* 1: frames are being taken back, show nothing new */
		uint64_t ts_us;       /* wall clock of the last batch, microseconds since 1970 */
	} daemon;
};
_Static_assert(sizeof(struct shadow_ring) == 256, "two halves");

struct shadow {
	struct shadow_ring *rings;
	uint32_t n;
	int fd; /* -1 once closed, and in programs */
};

/* Daemon: a sealed memory object with n rings. 0, -EINVAL for n of 0 or too many, or -errno. The
 * descriptor is sent to the program and may be closed afterwards. */
int shadow_init(struct shadow *s, uint32_t n);
/* Program: maps the daemon's object; fd stays the caller's and may be closed at once. 0, -EINVAL
 * when it is not that large, or -errno. */
int shadow_attach(struct shadow *s, int fd, uint32_t n);
/* Both; s may be half-built or zero. */
void shadow_deinit(struct shadow *s);

/* Daemon, before the program maps it: an empty ring of n slots, tx: all free for the program. */
void shadow_reset(struct shadow_ring *r, bool tx, uint32_t n);

/*
 * Program. The caller holds the lock, except for the three functions on sleeping, which any thread
 * may call at any time.
 */

/* Takes the lock for thread tid (gettid(), cached by the caller, anew after fork). False: another
 * thread is in its sync; do as if the ring had nothing new. 6 ns. */
bool shadow_lock_slow(struct shadow_ring *r, uint32_t tid, uint32_t owner);

static inline bool shadow_trylock(struct shadow_ring *r, uint32_t tid)
{
	uint32_t owner = 0;

	if (likely(__atomic_compare_exchange_n(&r->prog.lock, &owner, tid, false, __ATOMIC_ACQUIRE,
					       __ATOMIC_RELAXED)))
		return true;
	return shadow_lock_slow(r, tid, owner);
}

static inline void shadow_unlock(struct shadow_ring *r)
{
	__atomic_store_n(&r->prog.lock, 0, __ATOMIC_RELEASE);
}

/* Publishes head; slots up to it are the daemon's. True: the caller sends one doorbell. */
static inline bool shadow_publish_head(struct shadow_ring *r, uint32_t head)
{
	ring_publish(&r->prog.head, head);
	if (likely(!ring_load(&r->daemon.asleep)))
		return false;
	return __atomic_exchange_n(&r->daemon.asleep, 0, __ATOMIC_SEQ_CST);
}

/* The daemon's tail now, any value: check it before use. Nothing is shown yet. */
static inline uint32_t shadow_take_tail(const struct shadow_ring *r)
{
	return ring_load(&r->daemon.tail);
}

/*
 * Tail, settled: frames before it stay the application's. Any value when the daemon's half is
 * scribbled on: check it. While the daemon takes frames back, nothing new is shown.
 */
static inline uint32_t shadow_show_tail(struct shadow_ring *r)
{
	const uint32_t settled = ring_read(&r->prog.shown);
	uint32_t tail = ring_load(&r->daemon.tail);

	while (tail != ring_read(&r->prog.shown)) {
		uint32_t again;

		ring_publish(&r->prog.shown, tail);
		if (unlikely(ring_load(&r->daemon.withdrawing))) {
			ring_publish(&r->prog.shown, settled);
			return settled;
		}
		again = ring_load(&r->daemon.tail);
		if (likely(again == tail))
			break;
		tail = again; /* the daemon has just taken some back, or added some */
	}
	return tail;
}

/*
 * Before sleeping. True: nothing new since the last sync, a doorbell will come. False: sync again.
 * Several rings: call it for each, sleep if all are true.
 */
static inline bool shadow_want_wakeup(struct shadow_ring *r)
{
	ring_publish(&r->prog.want, 1);
	return ring_load(&r->daemon.tail) == ring_read(&r->prog.shown) &&
	       ring_load(&r->daemon.errors) == ring_read(&r->prog.errors_seen) &&
	       ring_load(&r->daemon.state) == SHADOW_OK;
}

/* After sleeping, so that the daemon need not ring any more. */
static inline void shadow_no_wakeup(struct shadow_ring *r)
{
	ring_write(&r->prog.want, 0);
}

/*
 * Daemon: the worker that the ring belongs to.
 */

/* The published head, any value: check it. */
static inline uint32_t shadow_take_head(const struct shadow_ring *r)
{
	return ring_load(&r->prog.head);
}

/* Tail as the application has it, any value: check it. */
static inline uint32_t shadow_shown(const struct shadow_ring *r)
{
	return ring_load(&r->prog.shown);
}

/* Did the program ever sync this ring? Then it is a reader (or a writer). */
static inline bool shadow_synced(const struct shadow_ring *r)
{
	return ring_read(&r->prog.n_syncs) != 0;
}

/* Does somebody sleep until this ring changes? Clears the flag: the caller owes one doorbell. */
static inline bool shadow_needs_doorbell(struct shadow_ring *r)
{
	if (likely(!ring_load(&r->prog.want)))
		return false;
	return __atomic_exchange_n(&r->prog.want, 0, __ATOMIC_SEQ_CST);
}

/* Publishes tail and the batch's time; the caller asks shadow_needs_doorbell(), soon or later. */
static inline void shadow_set_tail(struct shadow_ring *r, uint32_t tail, uint64_t ts_us)
{
	__atomic_store_n(&r->daemon.ts_us, ts_us, __ATOMIC_RELAXED);
	ring_publish(&r->daemon.tail, tail);
}

/* Both at once. True: the caller sends one doorbell. */
static inline bool shadow_publish_tail(struct shadow_ring *r, uint32_t tail, uint64_t ts_us)
{
	shadow_set_tail(r, tail, ts_us);
	return shadow_needs_doorbell(r);
}

static inline bool shadow_set_state(struct shadow_ring *r, enum shadow_state state)
{
	ring_publish(&r->daemon.state, state);
	return shadow_needs_doorbell(r);
}

/*
 * Before sleeping, for each ring whose head matters (not a full RX ring that nobody fills). known:
 * the head taken last; synced: what shadow_synced() said. False: it has moved, do not sleep.
 */
static inline bool shadow_daemon_sleep(struct shadow_ring *r, uint32_t known, bool synced)
{
	ring_publish(&r->daemon.asleep, 1);
	return ring_load(&r->prog.head) == known && (ring_load(&r->prog.n_syncs) != 0) == synced;
}

static inline void shadow_daemon_awake(struct shadow_ring *r)
{
	ring_write(&r->daemon.asleep, 0);
}
