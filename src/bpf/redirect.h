/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What redirect.bpf.c and the packet driver agree on. */
#pragma once

/* Longest frame of the small-frame ring: what fits into a region buffer's 1,792 bytes after a tag
 * from beside the frame has been put back. */
#define REDIRECT_SMALL_MAX 1788u

/* Arrival counters of large frames, one cache line each, at ifindex modulo their number. */
#define REDIRECT_COUNTERS 1024u

struct redirect_counter {
	unsigned long long n;
	unsigned long long pad[7];
};
