/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a frame was dropped. Every drop anywhere in the daemon has exactly one of these reasons; it
 * is counted at the port where the frame came in (or, for tx reasons, where it would have gone
 * out). tests/style/drops.py wants each name to occur in a test.
 *
 * X(enum suffix, name that users see, sentence)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define DROP_LIST(X)                                                                               \
	X(RUNT, "runt", "shorter than its Ethernet header, or than its VLAN tag")                  \
	X(INVALID_SOURCE, "invalid-source", "the source address is zero or a group address")       \
	X(PORT_DISABLED, "port-disabled", "the ingress port is disabled: no link, or by command")  \
	X(INGRESS_STATE, "ingress-state", "the ingress port is blocking or listening")             \
	X(LEARNING_STATE, "learning-state", "the ingress port is learning, not yet forwarding")    \
	X(MONITOR, "monitor", "the bridge is in monitor mode and forwards nothing")                \
	X(PAUSE, "pause", "pause frames never pass a bridge (IEEE 802.3 annex 31B)")               \
	X(RESERVED, "reserved",                                                                    \
	  "reserved group address that may not pass, and no host port to take it")                 \
	X(VLAN_INGRESS, "vlan-ingress", "tagged with a VLAN that the ingress port is not in")      \
	X(VLAN_NO_PVID, "vlan-no-pvid", "of no VLAN, and the ingress port has no PVID")            \
	X(VLAN_EGRESS, "vlan-egress", "of a VLAN that the egress port is not in")                  \
	X(SAME_PORT, "same-port", "the destination is behind the port the frame came from")        \
	X(ISOLATED, "isolated", "both ingress and egress port are isolated")                       \
	X(EGRESS_STATE, "egress-state", "the egress port is not forwarding")                       \
	X(NO_EGRESS, "no-egress", "no port is eligible to send it")                                \
	X(EGRESS_MTU, "egress-mtu", "longer than the egress port's MTU allows")                    \
	X(HOST_DOWN, "host-down", "for the host, but the bridge's interface is down")              \
	X(TX_FULL, "tx-full", "the egress port's queue is full")                                   \
	X(TX_DOWN, "tx-down", "the egress device is down or gone")                                 \
	X(TX_REFUSED, "tx-refused", "the kernel refused the frame")                                \
	X(NO_BUFFER, "no-buffer", "no free buffer")                                                \
	X(OVERSIZE, "oversize", "longer than any buffer that the egress port can send from")       \
	X(RX_TRUNCATED, "rx-truncated", "the kernel delivered only a part of the frame")           \
	X(RX_RING_FULL, "rx-ring-full", "the kernel had no room to hand the frame over")           \
	X(CSUM_RANGE, "csum-range", "its checksum field lies outside the frame")                   \
	X(GSO_KIND, "gso-kind", "a GSO frame whose kind cannot be expressed or segmented")         \
	X(GSO_MALFORMED, "gso-malformed", "a GSO frame whose headers contradict its GSO type")     \
	X(NOT_INSPECTED, "not-inspected",                                                          \
	  "no program can inspect it, and the bridge fails closed")                                \
	X(RING_FULL, "ring-full", "the netmap program's ring is full")                             \
	X(RING_OVERSIZE, "ring-oversize", "longer than a slot of the netmap program's ring")       \
	X(STALE_RETURN, "stale-return",                                                            \
	  "a program gave it back after the bridge had passed it on")                              \
	X(COPY_RETURN, "copy-return", "a program gave back a copy; the frame itself went on")      \
	X(ORIGIN_GONE, "origin-gone", "its port left the bridge while a program had it")           \
	X(RESERVED_SENT, "reserved-sent", "a program may not send to reserved group addresses")    \
	X(BPDU_MALFORMED, "bpdu-malformed", "sent to the spanning tree, but no whole BPDU")        \
	X(BPDU_AGE, "bpdu-age", "a BPDU that is as old as it may become")                          \
	X(BPDU_OWN, "bpdu-own", "a BPDU that this very port has sent")                             \
	X(BPDU_GUARD, "bpdu-guard", "a BPDU where BPDU guard allows none")                         \
	X(BPDU_FILTER, "bpdu-filter", "a BPDU on a port with a BPDU filter")                       \
	X(BPDU_RATE, "bpdu-rate", "more BPDUs in a second than a port takes")                      \
	X(BPDU_SENT, "bpdu-sent",                                                                  \
	  "only the bridge itself sends BPDUs while its spanning tree is on")                      \
	X(RULE, "rule", "a rule of a hook dropped it (viaduct rule show)")                         \
	X(SPAN, "span", "the ingress port is the destination of a mirror and only takes copies")

enum drop_reason {
#define X(id, name, text) DROP_##id,
	DROP_LIST(X)
#undef X
		DROP_N
};

/* Counters of one port. One writer (its worker), read by the same thread. */
struct drop_counters {
	uint64_t n[DROP_N];
};

/*
 * The last frame that was dropped for each reason, and how many were of late. One bridge has one;
 * its worker writes it, and only when a frame is dropped.
 */
#define DROP_BYTES      96u /* kept of a frame: two tags, IPv6 and the headers behind it */
#define DROP_PERIOD_LOG 30  /* frames are counted in periods of 2^30 ns, about a second */

struct drop_last {
	uint64_t time_ns;  /* of the batch, monotonic; 0: no such frame yet */
	uint32_t period;   /* time_ns >> DROP_PERIOD_LOG */
	uint32_t n;        /* frames dropped in that period */
	uint32_t n_before; /* in the one before it */
	uint32_t len;      /* of the frame */
	uint32_t port;     /* generation of the port where it is counted; 0: came in by none */
	uint16_t caplen;   /* bytes in data */
	uint8_t data[DROP_BYTES];
};
_Static_assert(sizeof(struct drop_last) == 128, "two cache lines");

struct drop_log {
	uint64_t now_ns; /* what a frame that is dropped now gets as its time */
	/* Told by drivers of what they drop, as drop_note(); NULL: nobody listens. The bridge's. */
	void (*tell)(void *ctx, uint32_t port, enum drop_reason r, const uint8_t *data,
		     uint32_t caplen);
	void *tell_ctx;
	struct drop_last last[DROP_N];
};

/* Notes a dropped frame, of which caplen bytes are there. log NULL: nobody asks. */
void drop_note(struct drop_log *log, uint32_t port, enum drop_reason r, const uint8_t *data,
	       uint32_t caplen, uint32_t len);

/* Frames a second that were dropped for the reason in the last whole period before now_ns. */
double drop_rate(const struct drop_last *l, uint64_t now_ns);

/*
 * Reasons for which a copy is dropped that was on a port's list already. (NO_BUFFER is one before
 * that, too, when a copy with another tag cannot be made.)
 */
bool drop_is_late(enum drop_reason r);

/* "same-port" */
const char *drop_name(enum drop_reason r);
/* "the destination is behind the port the frame came from" */
const char *drop_text(enum drop_reason r);
