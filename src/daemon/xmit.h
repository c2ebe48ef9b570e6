/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's way out: brings frames into a form that a port can send (checksum, segments), hands
 * them to its driver, and counts what is refused. Owner: one worker.
 */
#pragma once

#include "core/batch.h"
#include "core/offload.h"
#include "core/trace.h"
#include "daemon/worker.h"

#define XMIT_SEGMENTS                                                                              \
	512u /* of one GSO frame; one of 64 KiB with the smallest usual MSS has 123                \
	      */

/* Frames that may be on several lists: those of the batch, and their forms with other tags. */
#define XMIT_SHARED (BATCH_MAX + EGRESS_FORMS_MAX)

struct captures;

struct xmit {
	struct buf_ops bufs;
	const struct batch *batch; /* the one being forwarded */
	const struct egress *out;  /* where its frames are now */
	struct bridge *br;         /* of the lists that are being sent */
	struct trace *trace;       /* of it, if some of these frames have journeys; else NULL */
	struct captures *captures; /* of it; NULL: nobody copies */
	/* Copies with finished checksums of those, made once for all ports. */
	struct frame finished[XMIT_SHARED];
	uint64_t has_finished[XMIT_SHARED / 64]; /* bit per frame */
	struct frame segments[XMIT_SEGMENTS];
	struct frame *segment_list[XMIT_SEGMENTS];
};

void xmit_init(struct xmit *x, const struct buf_ops *bufs, const struct batch *batch,
	       const struct egress *out);
/* Before frames of that bridge are sent. captures: its, or NULL. */
void xmit_begin(struct xmit *x, struct bridge *br, struct captures *captures);
/* Sends n frames in order, one reference of each is given away. wp NULL or without a port: drops.
 */
void xmit_send(struct xmit *x, struct worker_port *wp, struct bport *bp,
	       struct frame *const *frames, uint32_t n);
/* After the last list of a batch: lets go of the copies; journeys end. */
void xmit_end(struct xmit *x);
