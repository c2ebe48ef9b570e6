/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joins events (bpf/ktrace.h) to journeys of frames. No system calls; time comes with the events.
 *
 * A journey begins when a member of the bridge receives a frame, or the host sends one on the
 * bridge. Later events belong to it if they are about the same frame by its address in the kernel,
 * else if its bytes lie at the same address and begin alike, as those of clones of a flooded frame
 * do, else if they only begin alike, for copies. It is over when something has become of the frame
 * and then nothing has happened for JOURNEY_QUIET_NS; or after JOURNEY_EXPIRE_NS, whatever has
 * become of it.
 *
 * At most JOURNEY_MAX are under way: one more ends the oldest of them early. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/ktrace.h"

#define JOURNEY_MAX       512u
#define JOURNEY_STEPS     32u
#define JOURNEY_QUIET_NS  30000000ull
#define JOURNEY_EXPIRE_NS 1000000000ull

struct journey_step {
	uint64_t time_ns, location;
	uint32_t what; /* enum ktrace_what */
	uint32_t role; /* enum ktrace_role of the device */
	uint32_t ifindex, netns, reason;
	bool failed; /* KTRACE_START: but the driver dropped it */
};

struct journey {
	uint64_t id; /* from 1 */
	uint64_t start_ns, last_ns;
	uint32_t ifindex; /* where it came in; the bridge: from the host; 0: it was dropped, and not
			     seen before */
	uint32_t len;     /* with its VLAN tag */
	uint32_t caplen;
	uint8_t data[KTRACE_DATA + 4];
	uint32_t n_steps, n_more; /* steps, and how many there was no room for */
	struct journey_step steps[JOURNEY_STEPS];
	uint32_t n_sent, n_queued; /* copies that left; that wait in a queue */
	uint32_t n_dropped;
	bool up;         /* to the host */
	bool redirected; /* in front of the bridge, to another device */
	bool consumed;
};

enum journey_end {
	JOURNEY_SENT,
	JOURNEY_DELIVERED,
	JOURNEY_DROPPED,
	JOURNEY_REDIRECTED,
	JOURNEY_CONSUMED,
	JOURNEY_QUEUED,     /* it waits in the queue of a device */
	JOURNEY_LOST_SIGHT, /* nothing is known */
};

struct journeys_options {
	uint32_t from;  /* ifindex; 0: wherever they come from */
	uint64_t count; /* 0: no limit */
	/* Is the frame wanted? NULL: every one. len is that of the whole frame. */
	bool (*match)(void *ctx, const uint8_t *data, uint32_t caplen, uint32_t len);
	void (*done)(void *ctx, const struct journey *j); /* one is over */
	void *ctx;
};

struct journeys;

/* NULL: no memory. */
struct journeys *journeys_new(const struct journeys_options *o);
struct journeys *journeys_free(struct journeys *js);
void journeys_event(struct journeys *js, const struct ktrace_event *e);
/* Ends what is over at this moment; at least every 20 ms. */
void journeys_tick(struct journeys *js, uint64_t now_ns);
/* Ends all that are under way. */
void journeys_flush(struct journeys *js);

/* As many as were wanted have begun, and all are over. */
bool journeys_finished(const struct journeys *js);
uint64_t journeys_seen(const struct journeys *js);    /* frames that came in */
uint64_t journeys_matched(const struct journeys *js); /* that were followed */
uint64_t journeys_hurried(const struct journeys *js); /* ended early for want of room */

/* What became of it. */
enum journey_end journey_end(const struct journey *j);
/* The step at which it was dropped, rather by the bridge than in the host; NULL if it was not. */
const struct journey_step *journey_drop(const struct journey *j);
