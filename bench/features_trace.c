/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/features_trace.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/bridge.h"
#include "core/trace.h"

#define QUEUE 256u

/* The queue that the worker copies journeys into. */
static struct journey queue[QUEUE];
static uint32_t at;

static uint64_t now(void *ctx)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void done(void *ctx, const struct journey *j)
{
	memcpy(&queue[at++ % QUEUE], j,
	       offsetof(struct journey, records) + j->n * sizeof(j->records[0]));
}

/* As long as a filter for a port takes at least: a look at the EtherType. */
static bool never(void *ctx, const struct frame *f)
{
	return f->len > FRAME_HEADER_SIZE && f->data[12] == 0xff;
}

struct trace *tracing_set_up(struct bridge *br, enum traced_frames which)
{
	const struct trace_config cfg = {.clock = now, .done = done};
	const struct trace_watch w = {.every = which == TRACED_1_1000 ? 1000 : 1,
				      .count = UINT64_MAX,
				      .match = which == TRACED_NONE ? never : NULL};
	struct trace *t = trace_new(&cfg);

	if (!t) {
		fprintf(stderr, "bench_features: no memory\n");
		exit(2);
	}
	trace_add(t, &w);
	bridge_set_trace(br, t);
	return t;
}

void tracing_sent(struct trace *t, const struct bport *p, const struct egress_list *l, uint32_t n)
{
	if (!trace_is_live(t))
		return;
	for (uint32_t i = 0; i < n; i++)
		if (l->frames[i]->flags & FRAME_TRACED)
			trace_step(t, l->frames[i], p,
				   (struct trace_record){.step = TRACE_TX,
							 .value = l->frames[i]->len});
}
