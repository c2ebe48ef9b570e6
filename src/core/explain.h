/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What would become of a frame: the passes as they are, on a copy of the bridge that shares only
 * what they read (the FDB, filters of rules, the spanning tree). Nothing is sent, learned or
 * counted. A frame that a netmap program would get is taken to come back from it unchanged.
 */
#pragma once

#include "core/bridge.h"
#include "core/trace.h"

#define EXPLAIN_LEN_MAX FRAME_SIZE_MAX

/*
 * len bytes from data on, 1 to EXPLAIN_LEN_MAX, as if they had come in on `in` at now_ns. The
 * journey has no times. 0 or -ENOMEM. Allocates. In the worker, between batches.
 */
int bridge_explain(const struct bridge *br, const struct bport *in, const uint8_t *data,
		   uint32_t len, uint64_t now_ns, struct journey *ret);
