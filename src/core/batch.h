/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames that travel together: one batch comes from one port; egress is a list per port. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/frame.h"

#define BATCH_MAX 64
#define PORTS_MAX 1024 /* port numbers of a bridge are 1 to 1023, as in Linux; 0 is no port */
/* A port's list holds a whole batch and what the bridge itself sends (BPDUs) in the same round. */
#define EGRESS_MAX (BATCH_MAX + 16)

/*
 * RX rings of netmap programs have lists like ports, under numbers that no port has: first those of
 * the NIC rings (what ports received), then those of the host rings (what the host sends).
 */
#define RINGS_MAX          64u
#define EGRESS_RING(s, n)  ((uint16_t)(PORTS_MAX + (uint32_t)(s)*RINGS_MAX + (n)))
#define EGRESS_N           (PORTS_MAX + 2 * RINGS_MAX)
#define EGRESS_IS_RING(no) ((no) >= PORTS_MAX)
/* Of such a number: enum intercept_side, and the ring. */
#define EGRESS_SIDE_OF(no) (((no)-PORTS_MAX) / RINGS_MAX)
#define EGRESS_RING_OF(no) (((no)-PORTS_MAX) % RINGS_MAX)

struct batch {
	uint32_t n;       /* frames in use */
	uint32_t n_shown; /* of them with FRAME_SHOWN; set by pass 1 */
	uint16_t in_port; /* a driver of many ports: number of the one they came from; else 0 */
	/*
	 * Of what a driver received: nobody else has the buffer of any of the frames, and at least
	 * BATCH_ROOM bytes of it from the frame's data on may be written to. False: unknown.
	 */
	bool alone;
	uint64_t now_ns; /* monotonic time of reception, set by the worker */
	struct frame frames[BATCH_MAX];
};

#define BATCH_ROOM 128u

/*
 * Frames for one port or ring, in order. The owner transmits after each bridge_forward(), so a list
 * never holds frames of two batches. Each entry owns one reference of the frame's buffer.
 */
struct egress_list {
	uint32_t n;
	struct frame *frames[EGRESS_MAX];
};

/* Two forms with other VLAN tags of each frame, and one more for the host's share if that was with
 * a program. */
#define EGRESS_FORMS_MAX (3 * BATCH_MAX)

/*
 * What bridge_forward() produced. Only lists of ports named in used[0..n_used-1] hold frames; the
 * caller sets n of those to 0 when it has transmitted them (egress_reset). Frame descriptors stay
 * valid until then, and until the batch they came in is reused.
 */
struct egress {
	uint32_t n_used;
	uint32_t n_forms;
	struct frame forms[EGRESS_FORMS_MAX]; /* of frames of the batch, with bytes of their own */
	uint16_t used[EGRESS_N];
	struct egress_list lists[EGRESS_N]; /* by port number; allocate once, not on the stack */
};

static inline void egress_add(struct egress *e, uint16_t port, struct frame *f)
{
	struct egress_list *l = &e->lists[port];

	assert(l->n < EGRESS_MAX);
	if (l->n == 0)
		e->used[e->n_used++] = port;
	l->frames[l->n++] = f;
}

static inline void egress_reset(struct egress *e)
{
	for (uint32_t i = 0; i < e->n_used; i++)
		e->lists[e->used[i]].n = 0;
	e->n_used = 0;
	e->n_forms = 0;
}

/* How the engine handles buffers without knowing where they live. Owner: the worker. */
struct buf_ops {
	void *ctx;
	/* n further references to a buffer that has at least one. */
	void (*ref)(void *ctx, uint32_t buf, uint32_t n);
	/* Gives one reference of each of n buffers back. */
	void (*put)(void *ctx, const uint32_t *bufs, uint32_t n);
	/* References that a buffer has. */
	uint32_t (*refs)(void *ctx, uint32_t buf);
	/*
	 * A buffer of at least size bytes from *ret_data on; one reference. Returns the handle, or
	 * 0 when there is none (handle 0 is never given out).
	 */
	uint32_t (*get)(void *ctx, uint32_t size, uint8_t **ret_data);
	/*
	 * How many bytes of a buffer may be written to in front of data, and how many from data on.
	 * In front of where a region's buffer starts there are none, for a program may have them.
	 */
	void (*room)(void *ctx, uint32_t buf, const uint8_t *data, uint32_t *ret_before,
		     uint32_t *ret_from);
};
