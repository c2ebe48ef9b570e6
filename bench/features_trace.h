/* SPDX-License-Identifier: BSD-2-Clause */
/* Traces for bench_features: as the daemon has them, but that nobody reads the journeys. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bridge;
struct egress_list;
struct bport;
struct trace;

enum traced_frames {
	TRACED_NONE,   /* all are asked, none matches */
	TRACED_1_1000, /* each thousandth */
	TRACED_ALL,    /* of each batch as many as there may be */
};

/* Ends the program if there is no memory. */
struct trace *tracing_set_up(struct bridge *br, enum traced_frames which);
/* Frames of a list were handed to the driver of p: what daemon/xmit.c does then. */
void tracing_sent(struct trace *t, const struct bport *p, const struct egress_list *l, uint32_t n);
