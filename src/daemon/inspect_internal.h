/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of inspect share: inspect.c (rings, rounds), show.c (to programs), take.c (back).
 */
#pragma once

#include "daemon/inspect.h"
#include "daemon/xmit.h"

struct inspect {
	struct worker *w;
	struct worker_bridge *wb;
	struct bufcache *bufs;
	const struct buf_ops *buf_ops;
	struct batch *batch; /* the worker's, for frames that come back */
	struct inspect_ops ops;
	struct ring_sink *sink; /* a mirror's endpoint: copies in, nothing back; else NULL */
	struct list clients;
	struct ring_counts counts;
	struct inspect_ring *rings[2][2][RINGS_MAX]; /* by [host][tx] */
	struct origins *origins[INTERCEPT_SIDE_N];
	struct regroup *groups[INTERCEPT_SIDE_N];
	uint64_t next_group_ns;                /* when a group has waited long enough */
	bool behind[INTERCEPT_SIDE_N];         /* a program does not keep up: let it */
	uint64_t parting_ns[INTERCEPT_SIDE_N]; /* until when frames go behind those that nobody can
						  give back any more; 0: there are none */

	/* of the batch that is being put together */
	enum intercept_side side;
	bool withdrawing;
	struct origin batch_origins[BATCH_MAX];

	struct ring_slot *slots; /* as many as the largest ring has */
	struct frame segments[REGROUP_SEGMENTS_MAX];
};

#define for_each_ring(in, r, host, tx)                                                             \
	for (uint32_t i_ = 0; i_ < (in)->counts.n[host][tx]; i_++)                                 \
		for (struct inspect_ring *r = (in)->rings[host][tx][i_]; r; r = NULL)

/* RX: the longest frame in one slot of the ring; 0: offsets leave no room at all. */
uint32_t inspect_room(const struct inspect *in, const struct inspect_ring *r);

/* Makes what was done to the ring visible and wakes whoever waits for it. */
void inspect_publish(struct inspect *in, struct inspect_ring *r);

/* Begins a batch of frames that come back, or are withdrawn. */
void inspect_begin(struct inspect *in, enum intercept_side side, bool withdrawing, uint64_t now_ns);
/* Where frames go after regrouping: into that batch. */
struct regroup_sink inspect_sink(struct inspect *in);
/* Sends the rest of it. */
void inspect_end(struct inspect *in);

/* Takes what a TX ring holds; returns the number of slots. */
uint32_t inspect_take(struct inspect *in, struct inspect_ring *r, uint64_t now_ns);
/* Takes what an RX ring's program released with NS_FORWARD; returns the number of slots. */
uint32_t inspect_forward(struct inspect *in, struct inspect_ring *r, uint64_t now_ns);
/* Takes frames back from an RX ring; they go on uninspected, or are dropped. */
void inspect_withdraw(struct inspect *in, struct inspect_ring *r, enum ringcheck_which which,
		      uint64_t now_ns);
