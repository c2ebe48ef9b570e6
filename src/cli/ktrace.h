/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames through a bridge of the kernel: starts viaduct-ktrace, which needs privileges and soon
 * gives them up, and reads the journeys that it prints. No daemon takes part.
 *
 *   r = ktrace_start(c, &options, &k);         errors are printed
 *   while (!ktrace_read(k, 1000, on_journey, ctx))
 *           if (stopped)
 *                   ktrace_finish(k);          it ends soon, with what it still knows
 *   r = ktrace_stop(c, k, &totals);
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

struct cli;
struct ktrace;

struct ktrace_options {
	const char *bridge;
	const char *from;   /* a member, or the bridge: from the host; NULL: all */
	const char *filter; /* an expression of pcap-filter(7), or NULL */
	uint64_t count;     /* so many frames; 0 = no limit */
	uint64_t seconds;   /* so long at most; 0 = no limit */
};

/* A frame's journey (borrowed), in the shape that all journeys have. */
typedef void ktrace_fn(void *ctx, const json_t *journey);

enum ktrace_outcome {
	KTRACE_GOES_ON = 0,
	KTRACE_E_ENDED = 1, /* count, time, ktrace_finish(), or it died */
};

/*
 * Returns when it follows frames: what is sent from then on is seen. Prints what fails. enum
 * cli_exit.
 */
int ktrace_start(struct cli *c, const struct ktrace_options *o, struct ktrace **ret);
/* Readable when there is something to read. */
int ktrace_fd(const struct ktrace *k);
/* Waits up to timeout_ms for something, and hands over what has come; a signal ends the waiting. */
int ktrace_read(struct ktrace *k, int timeout_ms, ktrace_fn *fn, void *ctx);
/* Ends it soon: journeys that are under way still come. */
void ktrace_finish(struct ktrace *k);
/*
 * Ends it now, if it has not ended, and frees k. ret_totals (may be NULL): "seen", "matched", "why"
 * (count, time, signal), "seconds", "lost_events", "hurried", "unread"; the caller's. If it died it
 * prints an error. enum cli_exit.
 */
int ktrace_stop(struct cli *c, struct ktrace *k, json_t **ret_totals);
