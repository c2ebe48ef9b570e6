/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GSO frames and netmap programs: a program is shown a GSO frame as its segments, and the frame is
 * kept. When all segments come back in order and unchanged, the kept frame goes on, whole; else
 * those that came back go on alone. It does not matter whether the program swaps buffers or copies.
 *
 * A group ends ("is flushed": what came back goes on alone) when a segment comes back changed or
 * out of order, when another frame of its flow and port comes back, when the program has released
 * past its last segment and nothing more is on its way, or REGROUP_WAIT_NS after its first segment
 * came back. Segments that come later go on alone as well.
 *
 * Owner: the worker. The number of groups is fixed; nothing is allocated after regroup_new().
 */
#pragma once

#include "core/batch.h"
#include "core/origin.h"

#define REGROUP_WAIT_NS      1000000u
#define REGROUP_SEGMENTS_MAX 128u   /* of a frame that is kept */
#define REGROUP_HEADERS_SIZE 16384u /* bytes of all its segments' headers */

struct regroup;

/*
 * How frames leave: in order, with the origin they have. The callee takes over one reference of
 * f->buf; f and o are valid during the call.
 */
struct regroup_sink {
	void *ctx;
	void (*emit)(void *ctx, const struct frame *f, const struct origin *o);
};

struct regroup_stats {
	uint64_t n_kept, n_whole, n_broken; /* frames; broken: flushed before all came back */
	uint64_t n_refused;                 /* not kept: no group free, or too many segments */
	uint32_t n_now;
};

/* n_groups: frames kept at a time, below 65,535. NULL when there is no memory. */
struct regroup *regroup_new(uint32_t n_groups, const struct buf_ops *bufs);
/* Gives the buffers of what is still kept back. */
struct regroup *regroup_free(struct regroup *rg);

/*
 * Keeps a GSO frame whose n segments (as offload_segment() made them) are about to be shown. o is
 * the frame's origin; end the position in ring o->ring behind its last segment, in slots since the
 * ring began. Returns the group for origin.group of each segment (origin.segment: 0, 1, …), and
 * the frame's reference is regroup's. 0: not kept, the reference stays the caller's, and segments
 * go on alone.
 */
uint32_t regroup_keep(struct regroup *rg, const struct frame *f, const struct origin *o,
		      const struct frame *segments, uint32_t n, uint64_t end);
/*
 * A frame came back, its reference with it, and o is what origins_match() found. Emits it, or holds
 * it, or emits what it completes; before it, whatever of its flow was held. f is parsed.
 */
void regroup_return(struct regroup *rg, const struct frame *f, const struct origin *o,
		    uint64_t now_ns, const struct regroup_sink *sink);
/* Are segments held? If not, a frame of no group need not be given to regroup_return(). */
bool regroup_open(const struct regroup *rg);
/* The program has released its RX ring up to that position, and its TX rings are empty. */
void regroup_released(struct regroup *rg, uint32_t ring, uint64_t released, uint64_t now_ns,
		      const struct regroup_sink *sink);
/* Flushes what has waited long enough. Returns when to call again, UINT64_MAX for never. */
uint64_t regroup_tick(struct regroup *rg, uint64_t now_ns, const struct regroup_sink *sink);
/* Flushes all groups, for the program is gone. */
void regroup_flush(struct regroup *rg, const struct regroup_sink *sink);
void regroup_stats(const struct regroup *rg, struct regroup_stats *ret);
