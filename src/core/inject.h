/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames between the bridge and netmap programs: what the owner of the rings (daemon/endpoint.c)
 * calls. A round with interception:
 *
 *	bridge_input(br, in, b);
 *	bridge_forward(br, b, out);
 *	for each list in out of a ring (EGRESS_IS_RING): show its frames; of each that a ring took,
 *		bridge_origin() then origins_lend(); the others go to bridge_intercept_refused(),
 *		which may add to lists of ports;
 *	then transmit the lists of ports; egress_reset(out);
 *
 * and for frames that programs sent, a batch at a time with an origin for each:
 *
 *	origins_match(), core/regroup.h;
 *	bridge_inject(br, b, origins);  or bridge_inject_host(), bridge_withdraw()
 *	bridge_forward(br, b, out); transmit
 *
 * Per frame, data, len, buf and the offload fields are to be set (as for bridge_input). Nothing is
 * learned, counted as received or shown to a program again. All in the bridge's worker.
 */
#pragma once

#include "core/bridge.h"
#include "core/origin.h"

/* What is to be remembered of a frame on a ring's list; now_ns: when its batch came in. */
void bridge_origin(const struct bridge *br, const struct frame *f, uint64_t now_ns,
		   struct origin *ret);

/*
 * Frames of a ring's list that the ring had no room for: dropped (RING_FULL) or, if `overflow` is
 * pass, sent on as if they had come back at once. Takes over their references; of copies only the
 * copy is lost. Before the batch they came in is used again.
 */
void bridge_intercept_refused(struct bridge *br, struct frame *const *frames, uint32_t n,
			      struct egress *out);

/*
 * Pass 1 for what came from host TX rings: frames continue where the NIC side took them out. o[i]
 * is the origin of frame i, of records of the NIC side; o NULL: all unknown. A frame of unknown
 * origin goes to the host if it has an own address, to the port of a known address, else to all
 * ports and the host.
 */
void bridge_inject(struct bridge *br, struct batch *b, const struct origin *o);
/*
 * The same for NIC TX rings: as if the host had sent them through the bridge's interface. Origins
 * are of records of the host side.
 */
void bridge_inject_host(struct bridge *br, struct batch *b, const struct origin *o);
/*
 * The same for frames that the program never took, or still had when it died: they go on
 * uninspected or are dropped (NOT_INSPECTED), as `fail` says. Copies and frames that were passed on
 * already are only given back.
 */
void bridge_withdraw(struct bridge *br, enum intercept_side side, struct batch *b,
		     const struct origin *o);
