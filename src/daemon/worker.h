/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker: one thread that runs the packet loop for its bridges and their ports.
 *
 * Threads: a struct worker_bridge and its worker_ports belong to the worker from
 * worker_bridge_add() to worker_bridge_del(). The main thread changes them only through
 * worker_call(), which runs a function in the worker between two batches. Functions marked W are
 * for such functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/bridge.h"
#include "mem/bufpool.h"
#include "port/driver.h"

struct worker;
struct worker_bridge;

/*
 * A port in the loop. Embedded in the daemon's port object. Of a trunk (port/trunk.h) one receives
 * for all: it has no bp; the others have drivers without rx.
 */
struct worker_port {
	struct port *port; /* NULL while the device is away */
	struct bport *bp;
	struct worker_bridge *bridge;
	struct offload_counters offload; /* what the worker did to frames for this port */
	uint32_t slot;                   /* in the worker's array; valid while port is set */
	uint32_t n_errors; /* wakeups in a row that were an error and brought no frame */
	bool ready;        /* look at it in the next round */
	bool touched;      /* to be flushed at the end of the round */
	bool quiet;        /* its descriptor only reports errors: not waited for */
	bool held;         /* not looked at in this round: a program has to catch up */
};

struct captures;
struct inspect;

struct worker_bridge {
	struct bridge *br;
	struct worker_port *by_no[PORTS_MAX];
	uint64_t next_tick_ns;     /* 0 = now */
	struct inspect *inspect;   /* rings of netmap programs; NULL: none */
	struct captures *captures; /* who copies frames; NULL: nobody */
	/* Called in each round, to see what changed for the kernel's part; NULL: nobody. W */
	void (*follow)(struct worker_bridge *wb);
};

/* A descriptor that the worker waits for besides ports. Embedded, as the first member. */
struct worker_bell {
	int fd;
	void (*ring)(struct worker_bell *b); /* it is readable, or hung up. W */
};

struct worker_stats {
	uint64_t rounds, sleeps;
	uint64_t sleep_ns, run_ns; /* since the start */
	uint32_t n_bridges;
};

/* spin_ns: how long to look for more frames after the last one. NULL on failure, errno set. */
struct worker *worker_start(uint32_t id, struct bufpool *pool, uint64_t spin_ns);
/* Ends the thread. It has no bridges left. Returns NULL; NULL is fine. */
struct worker *worker_stop(struct worker *w);

uint32_t worker_id(const struct worker *w);
/* The stock that ports of this worker use, and buffer operations for its bridges. */
struct bufcache *worker_bufs(struct worker *w);
const struct buf_ops *worker_buf_ops(const struct worker *w);

typedef void worker_fn(void *arg);
/* Runs fn(arg) in the worker between batches and waits for it. Main thread; or such a function of
 * another worker, so that all of them stand still. */
void worker_call(struct worker *w, worker_fn *fn, void *arg);

/* W. Hands the bridge to the worker; takes it back (its ports are detached already). */
int worker_bridge_add(struct worker *w, struct worker_bridge *wb);
void worker_bridge_del(struct worker *w, struct worker_bridge *wb);
/* W. Starts and stops moving frames of wp->port; wp->bp and wp->bridge are set. 0 or -errno. */
int worker_port_attach(struct worker *w, struct worker_port *wp);
void worker_port_detach(struct worker *w, struct worker_port *wp);
/* W. Moves frames of wp until it has none. */
void worker_port_drain(struct worker *w, struct worker_port *wp);
/* W. Waits for the port's descriptor again, if worker gave up on it. */
void worker_port_wake(struct worker *w, struct worker_port *wp);
/* W. Waits for the descriptor as well. 0 or -errno. */
int worker_bell_add(struct worker *w, struct worker_bell *b);
void worker_bell_del(struct worker *w, struct worker_bell *b);
/* W. The worker's batch, for frames that come from no port; free between two batches. */
struct batch *worker_batch(struct worker *w);
/* W. Pass 2 of that batch, and out. */
void worker_forward(struct worker *w, struct worker_bridge *wb);
/* W. Sends a frame of the bridge's own on one port. */
void worker_send(struct worker *w, struct worker_bridge *wb, struct bport *bp, const uint8_t *data,
		 uint32_t len);
/* W. */
void worker_set_spin(struct worker *w, uint64_t spin_ns);
void worker_get_stats(struct worker *w, struct worker_stats *ret);
