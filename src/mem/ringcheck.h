/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's side of an app-visible ring, and the only place where the daemon reads what a
 * program wrote into one. Each published index and each slot is read once, into private memory,
 * checked there, and only the copy is used afterwards.
 *
 * Theory of operation. All state that decides anything is in struct ringcheck, which programs do
 * not see. Invariants, whatever a program writes:
 * - A buffer is used only after buf_take() has changed its owner from the program to the daemon. So
 *   an index that is out of range, not the program's, or named twice, is refused.
 * - Buffers are swapped one for one: a TX slot whose buffer is taken gets a free one (and
 *   NS_BUF_CHANGED, because programs that keep frames in their TX slots look at it), an RX slot
 *   gives its old buffer for the frame's. An owner never has more or fewer than it was granted.
 * - A bad TX slot is passed over: nothing is taken from it and nothing put into it. A bad RX slot
 *   stops its ring until the program puts it right. Both are counted and make the program's next
 *   sync of that ring fail (mem/nmsync.h); nothing else happens.
 * - RX slots that a program released with NS_FORWARD (netmap(4), NR_FORWARD) are taken like TX
 *   slots, before anything else is put into them.
 * - Frames that take several slots (NS_MOREFRAG, at most 64) are taken whole or not at all, and put
 *   whole or not at all.
 *
 * Thread: the worker that the ring belongs to; b is its stock of buffers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mem/bufpool.h"
#include "mem/shadow.h"

/* Most slots of one call of ringcheck_tx_take(). */
#define RINGCHECK_BATCH 256u

/* One slot as both sides agreed on it: a buffer that is the daemon's. */
struct ring_slot {
	uint32_t buf;
	uint16_t len;    /* bytes of the frame in this buffer, from offset */
	uint16_t flags;  /* NS_MOREFRAG: the frame goes on in the next slot; NS_NO_LEARN */
	uint32_t offset; /* of the frame from the start of the buffer; offset + len fits */
};

struct ringcheck {
	struct netmap_ring *ring;   /* shared, hostile */
	struct shadow_ring *shadow; /* shared, hostile */
	struct ring_slot *lent;     /* RX: per slot, what it was given; owned */
	uint32_t n;                 /* slots */
	uint32_t buf_size;          /* largest offset + len of a slot */
	uint64_t offset_mask;       /* of slot.ptr; 0: frames start where buffers do */
	uint32_t max_offset;
	uint16_t owner; /* of the ring's buffers */
	bool tx;

	uint32_t head;      /* the last good one: slots before it are the daemon's */
	uint32_t head_seen; /* as read last, good or not */
	uint32_t pos;       /* TX: next slot to take; RX: next slot to fill */
	uint32_t scan;      /* RX: released slots from here to head may be marked NS_FORWARD */
	uint32_t tail;      /* as published */
	bool skipping;      /* TX: the rest of a frame that was refused */
	bool blocked;       /* RX: slot pos holds no buffer of the program's */
	bool synced;        /* the program has synced this ring at least once */
	bool forward;       /* RX: the program has used NR_FORWARD */
	bool starved;       /* RX: marked slots wait for buffers to swap in */

	uint64_t n_slots;  /* taken or put */
	uint64_t n_bad;    /* TX slots passed over */
	uint32_t n_errors; /* occasions on which something was wrong */
	uint32_t n_errors_published;
};

struct ringcheck_params {
	struct netmap_ring *ring;
	struct shadow_ring *shadow;
	uint32_t n_slots; /* as granted; what stands in the ring is not looked at */
	uint32_t buf_size;
	uint64_t offset_mask;
	uint32_t max_offset; /* a TX slot with a larger one is bad */
	uint16_t owner;
	bool tx;
};

/* For a ring from nmobj_ring_new(); resets the shadow ring. 0 or -ENOMEM. Main thread. */
int ringcheck_init(struct ringcheck *rc, const struct ringcheck_params *p);
void ringcheck_deinit(struct ringcheck *rc);

/*
 * Looks at what the program has published: rc->head, rc->synced. True if either has changed (a
 * reader has come, a stalled one takes frames again). The functions below do the same.
 */
bool ringcheck_poll(struct ringcheck *rc);

/*
 * TX: takes up to max slots (at least 64, at most RINGCHECK_BATCH are looked at), whole frames
 * only: ret holds each slot of a frame in turn. Their buffers are the caller's, as from buf_get().
 * Returns how many; 0 when there are none or the pool has no buffers to swap in (the program's
 * frames wait). The slots go back to the program with ringcheck_publish().
 */
uint32_t ringcheck_tx_take(struct ringcheck *rc, struct bufcache *b, struct ring_slot *ret,
			   uint32_t max);

/*
 * TX, when the program is gone: what it had put into the ring after its last sync can be taken,
 * too. False: there is nothing, or it makes no sense. netmap discards that; frames that were taken
 * out of traffic must not get lost with it.
 */
bool ringcheck_tx_finish(struct ringcheck *rc);

/* From now on frames of this ring may lie anywhere up to max in their buffers. The worker. */
void ringcheck_set_offsets(struct ringcheck *rc, uint64_t mask, uint32_t max);
/* RX: where in its buffer the program wants the frame that is put i slots from now; at most
 * max_offset. */
uint32_t ringcheck_rx_offset(const struct ringcheck *rc, uint32_t i);

/* RX: slots that frames can be put into now. */
uint32_t ringcheck_rx_space(struct ringcheck *rc);

/*
 * RX: puts n slots; frames of several slots have NS_MOREFRAG in all but their last, and other flags
 * are passed on. Buffers are region buffers with one reference that the caller holds (copy others
 * first); those of the accepted slots are the program's afterwards. Returns how many slots were
 * accepted, whole frames only; the rest stays the caller's. The program sees them after
 * ringcheck_publish().
 */
uint32_t ringcheck_rx_put(struct ringcheck *rc, struct bufcache *b, const struct ring_slot *slots,
			  uint32_t n);

/*
 * RX: takes frames that the program released with NS_FORWARD, as ringcheck_tx_take() does: whole,
 * checked, their buffers the caller's, max at least 64. 0 when there are none. Until it is called,
 * released slots of a ring that uses NR_FORWARD are not filled again.
 */
uint32_t ringcheck_rx_forward(struct ringcheck *rc, struct bufcache *b, struct ring_slot *ret,
			      uint32_t max);
/* RX: does the program use NR_FORWARD at the moment? */
static inline bool ringcheck_rx_forwards(const struct ringcheck *rc)
{
	return ring_read(&rc->shadow->prog.forward) & SHADOW_FORWARD_ON;
}

enum ringcheck_which {
	RINGCHECK_UNSEEN,     /* what no sync has shown to the application yet */
	RINGCHECK_UNRELEASED, /* all that it has not released; when it is gone */
};

/*
 * RX: takes frames back, oldest first, into ret, which has room for all slots of the ring. Returns
 * how many slots; their buffers are the caller's again. A frame that the program has swapped out of
 * its slot (and maybe sent), or for which the pool has no replacement, is left out. A frame of
 * several slots may come back in part when the program is hostile: check NS_MOREFRAG. Publishes; no
 * doorbell is owed.
 */
uint32_t ringcheck_rx_withdraw(struct ringcheck *rc, struct bufcache *b, enum ringcheck_which which,
			       struct ring_slot *ret);

/* RX: slots that the program has not released, shown or not. Stalled: some, and rc->head unmoved.
 */
uint32_t ringcheck_rx_waiting(struct ringcheck *rc);
/* RX: nothing can be put in, because the next slot holds no buffer of the program's. Looks again.
 */
bool ringcheck_rx_blocked(struct ringcheck *rc, struct bufcache *b);

/*
 * Makes what was done since the last call visible to the program's next sync. ts_us: wall clock of
 * the batch in microseconds. True: the program sleeps, send it a doorbell. Once per batch.
 */
bool ringcheck_publish(struct ringcheck *rc, uint64_t ts_us);
/*
 * The same in two steps, for who rings less often than he publishes. True: something changed, so
 * ask ringcheck_needs_bell(), at the latest before the worker sleeps.
 */
bool ringcheck_publish_quietly(struct ringcheck *rc, uint64_t ts_us);
/* True: the program sleeps and there is something for it, send it a doorbell. */
bool ringcheck_needs_bell(struct ringcheck *rc);

/* Before the worker sleeps: false when the program has published something new. */
bool ringcheck_sleep(struct ringcheck *rc);
