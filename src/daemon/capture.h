/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Captures of a bridge, the worker's side: frames at the points that a capture asks for are copied
 * into its ring (wire/capring.h). Who may, filters and clients are cmd_capture.c's.
 *
 * Frames `in` and `after` are copied before the bridge sees them, for then they are as they came;
 * what becomes of them is filled in when the batch has been sent. Only then is anything published.
 *
 * Threads: made and freed by the main thread; all else runs in the worker of the bridge (W).
 */
#pragma once

#include "core/bridge.h"
#include "core/inject.h"
#include "core/program.h"
#include "wire/capring.h"

struct worker_bridge;

/* One. Embedded in the client's object. */
struct capture {
	struct capring ring;
	int bell_fd;
	uint32_t points; /* bit per enum capring_point */
	uint32_t snaplen;
	const struct program *filter;    /* NULL: all */
	char port_name[BPORT_NAME_SIZE]; /* only frames there; empty: anywhere */
	/* the worker's, zero at first */
	uint32_t known[PORTS_MAX]; /* generation + 1 of the port that has the number */
	bool wanted[PORTS_MAX], told[PORTS_MAX];
	struct capring_record *pending[BATCH_MAX]; /* of the batch on its way */
	struct capring_record *sent[EGRESS_MAX];   /* of the list that is being sent or shown */
};

struct captures;

/* Main thread. NULL: no memory. Returns NULL; NULL is fine. */
struct captures *captures_new(struct worker_bridge *wb);
struct captures *captures_free(struct captures *cs);

/* W. At most CAPRING_MAX. Tells it of all ports. */
void captures_add(struct captures *cs, struct capture *c);
/* W. True: there are no others. */
bool captures_del(struct captures *cs, struct capture *c);
/* W. A port is there. */
void capture_port(struct captures *cs, const struct bport *bp);

/* W. A batch that came in on `in`, before pass 1. */
void capture_in(struct captures *cs, const struct bport *in, const struct batch *b);
/* W. A batch that programs gave back; o: one for each frame. */
void capture_after(struct captures *cs, enum intercept_side side, const struct batch *b,
		   const struct origin *o);
/* W. The batch has been sent; its frames and lists are still as pass 2 left them. */
void capture_done(struct captures *cs, const struct batch *b, const struct egress *e);

/* W. A list that is about to be shown in a ring, and those of it that were not. */
void capture_show(struct captures *cs, uint16_t list_no, struct frame *const *frames, uint32_t n);
void capture_shown(struct captures *cs, struct frame *const *refused, uint32_t n);
/* W. A list that is about to be sent on the port, and how many of it were taken. */
void capture_tx(struct captures *cs, const struct bport *bp, struct frame *const *frames,
		uint32_t n);
void capture_tx_done(struct captures *cs, uint32_t sent);
