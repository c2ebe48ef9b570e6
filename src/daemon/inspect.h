/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of a bridge to and from the rings of netmap programs: lists of the engine into RX rings,
 * TX rings into the engine, what becomes of frames when a program dies or hangs. Descriptors, names
 * and rights are endpoint.h's.
 *
 * Threads: made and freed by the main thread; all else runs in the worker of the bridge (W).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "core/inject.h"
#include "core/regroup.h"
#include "daemon/worker.h"
#include "mem/ringcheck.h"
#include "port/ring.h"

struct inspect;

struct inspect_counters {
	uint64_t n_frames;    /* shown or taken */
	uint64_t n_segments;  /* RX: of them segments of GSO frames */
	uint64_t n_copied;    /* RX: of them copied, because others have the buffer too */
	uint64_t n_full;      /* RX: frames that found no room */
	uint64_t n_refused;   /* longer than any buffer, or no buffer for them */
	uint64_t n_forwarded; /* RX: released with NS_FORWARD */
	uint64_t n_stalls;    /* RX */
	uint64_t n_bells;     /* doorbells rung */
};

/* One app-visible ring. Embedded in the endpoint's object. */
struct inspect_ring {
	struct ringcheck rc;
	uint8_t side;  /* RX: whose frames it shows; TX: whose frames come back. enum intercept_side
			*/
	uint8_t index; /* below RINGS_MAX */
	bool host;     /* a host ring */
	uint32_t gap;  /* RX: bytes behind a frame that are left alone */
	bool bound;    /* the worker uses it */
	bool closing;  /* TX: what is left in it was never synced */
	bool forwards; /* RX: frames go on from it, by NR_FORWARD */
	uint8_t state; /* RX: enum intercept_ring_state */
	bool bell_due; /* RX: frames that its program was not woken for yet */
	uint32_t head, n_syncs; /* RX: as the last round saw them */
	uint32_t burst;         /* RX: slots that a batch wants, the most of late */
	uint64_t moved_ns;      /* RX: when its head last moved, or the first frame came */
	uint64_t bell_ns;       /* RX: when it was rung last */
	uint64_t behind_ns;     /* RX: since when it lacks room for a burst, 0: it has */
	uint64_t still_ns;      /* RX: how long its head had not moved, at the last event */
	uint64_t released;      /* RX: slots since the start that the program gave back */
	struct inspect_counters counters;
};

/* A descriptor that is bound to rings. Embedded in the endpoint's object. */
struct inspect_client {
	struct worker_bell bell;
	struct list node;
	struct inspect *in;
	uint64_t rings[2][2]; /* bits by [host][tx] */
	bool listening;       /* in the worker's epoll set */
};

enum inspect_event { INSPECT_READER, INSPECT_STALL, INSPECT_RETURN };

struct inspect_ops {
	void *ctx;
	/* Something happened to an RX ring. W. */
	void (*event)(void *ctx, enum inspect_event e, const struct inspect_ring *r);
	/* The client's descriptor has a request, or hung up; it is not listened to any more. W. */
	void (*request)(void *ctx, struct inspect_client *c);
};

/* How many rings there are, by [host][tx]. Each at least 1. */
struct ring_counts {
	uint16_t n[2][2];
};

struct inspect_config {
	struct worker *w;
	struct worker_bridge *wb;
	struct ring_counts counts;
	uint32_t n_slots; /* of the largest ring */
	struct inspect_ops ops;
	uint8_t hash_key[16];   /* random */
	struct ring_sink *sink; /* a mirror's endpoint; NULL: of a bridge */
};

/* NULL when there is no memory. */
struct inspect *inspect_new(const struct inspect_config *cfg);
/* After inspect_stop() and without rings. Returns NULL; NULL is fine. */
struct inspect *inspect_free(struct inspect *in);

/* W. The bridge's frames come here from now on; and no more. */
void inspect_start(struct inspect *in);
void inspect_stop(struct inspect *in);

/* W. A ring that ringcheck_init() was called for; side, index and host are set. */
void inspect_ring_add(struct inspect *in, struct inspect_ring *r);
/* W. From now on frames may lie elsewhere than at the start of their buffers. */
void inspect_ring_offsets(struct inspect *in, struct inspect_ring *r, uint64_t mask, uint32_t max,
			  uint32_t gap);
/* W. The ring has no user any more: its frames go on or are dropped, as `fail` says. */
void inspect_ring_del(struct inspect *in, struct inspect_ring *r);
/* W. bell.fd and rings are set. 0 or -errno. */
int inspect_client_add(struct inspect *in, struct inspect_client *c);
void inspect_client_del(struct inspect *in, struct inspect_client *c);
/* W. Listens to the client's descriptor again. */
void inspect_client_listen(struct inspect_client *c);
/* W. The port is gone: syncs of all rings fail from now on, and clients are woken. */
void inspect_shut(struct inspect *in);

/* W, by the worker. Lists of rings in e: shows what they hold; what finds no room may go on. */
void inspect_show(struct inspect *in, struct egress *e, uint64_t now_ns);
/*
 * W. Copies of a mirror for whoever has its endpoint open; one reference each is given away. What
 * finds no room, and what programs send there, counts among the sink's drops.
 */
void inspect_copy(struct inspect *in, struct frame *const *frames, uint32_t n);
/*
 * May the worker take frames from a port of that side? False for a moment when the program that
 * takes them has fallen behind: they wait in the driver's queue, and the program needs the
 * processor.
 */
bool inspect_has_room(const struct inspect *in, bool host);
/* One round: what programs sent, rings that began to be read or stopped. True: there was work. */
bool inspect_poll(struct inspect *in, uint64_t now_ns);
/* Before the worker sleeps: false if there is work; else when to call inspect_poll() at the latest.
 */
bool inspect_sleep(struct inspect *in, uint64_t now_ns, uint64_t *ret_until_ns);
/* After it slept. */
void inspect_wake(struct inspect *in);

/* W. */
void inspect_stats(const struct inspect *in, struct origins_stats ret[INTERCEPT_SIDE_N],
		   struct regroup_stats ret_groups[INTERCEPT_SIDE_N]);
