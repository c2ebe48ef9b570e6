/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port as the engine sees it: number, flags, state, counters. Names and defaults are those of the
 * Linux bridge (ip-link(8), "bridge_slave"). Owner: the bridge; changed only by its worker.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "core/drop.h"
#include "core/vlan.h"

#define BPORT_NAME_SIZE 16 /* IFNAMSIZ */

/* As BR_STATE_* of <linux/if_bridge.h>, numbers included. */
enum bport_state {
	BPORT_DISABLED = 0,
	BPORT_LISTENING = 1,
	BPORT_LEARNING = 2,
	BPORT_FORWARDING = 3,
	BPORT_BLOCKING = 4,
	BPORT_STATE_N
};

/* X(enum suffix, name in commands and JSON, brport sysfs name, default) */
#define BPORT_FLAG_LIST(X)                                                                         \
	X(LEARNING, "learning", "learning", true)                                                  \
	X(FLOOD, "flood", "unicast_flood", true)                                                   \
	X(MCAST_FLOOD, "mcast_flood", "multicast_flood", true)                                     \
	X(BCAST_FLOOD, "bcast_flood", "broadcast_flood", true)                                     \
	X(HAIRPIN, "hairpin", "hairpin_mode", false)                                               \
	X(ISOLATED, "isolated", "isolated", false)                                                 \
	X(STICKY, "sticky", "sticky", false)

enum bport_flag_bit {
#define X(id, name, sysfs, def) BPORT_FLAG_BIT_##id,
	BPORT_FLAG_LIST(X)
#undef X
		BPORT_FLAG_N
};

enum bport_flag {
#define X(id, name, sysfs, def) BPORT_##id##_FLAG = 1 << BPORT_FLAG_BIT_##id,
	BPORT_FLAG_LIST(X)
#undef X
};

struct bport_counters {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t rx_multicast; /* group destinations, broadcast included, as in the kernel */
	struct drop_counters drops;
};

struct bport {
	/* hot: read for each frame */
	uint16_t no;   /* 1 to PORTS_MAX - 1 */
	uint8_t state; /* enum bport_state; DISABLED while the link is down */
	uint8_t flags; /* enum bport_flag */
	bool host;     /* the bridge's own interface */
	bool self;     /* of a bridge of the kernel's: see struct bport_config */
	bool span;     /* a mirror's destination: DISABLED, takes copies only */
	bool lazy; /* without a link nobody listens there: mirrors to it rest, nothing is lost */
	uint8_t mirror_rx, mirror_tx; /* bit per mirror: core/mirror.h */
	bool link_up;            /* device up with carrier; a port without is skipped by floods */
	uint16_t group_fwd_mask; /* bit X: let 01:80:C2:00:00:0X pass; never bit 1 */
	uint32_t max_len; /* longest frame it sends, the first tag not counted: bport_max_len() */
	uint32_t generation; /* no other port of this bridge has or had it, unlike the number */
	struct bport_counters counters _cacheline_;
	/* cold */
	char name[BPORT_NAME_SIZE];
	uint64_t mac;                        /* own address: a local FDB entry */
	uint32_t mtu;                        /* bytes of payload */
	uint32_t fdb_max_learned;            /* 0 = no limit */
	void *owner;                         /* the daemon's object for this port; opaque here */
	struct drop_log *drop_log;           /* the bridge's */
	struct vlan_counters *vlan_counters; /* VLAN_N of them; NULL: not counted per port */
	struct vlan_set vlans _cacheline_;   /* one line of it is hot while VLANs are filtered */
};

/*
 * Longest frame for a device of that MTU, the first VLAN tag not counted. The kernel's bridge
 * (is_skb_forwardable) allows MTU + header + one tag, with the outermost tag kept beside the frame;
 * so an untagged frame may exceed the MTU by 4 bytes there, and a double-tagged one of full size
 * passes. Same here, for what the kernel bridges must not be lost here.
 */
static inline uint32_t bport_max_len(uint32_t mtu)
{
	return mtu + 14 + 4;
}

/* "learning" and the like; NULL past the end. */
const char *bport_flag_name(enum bport_flag_bit bit);
const char *bport_flag_sysfs_name(enum bport_flag_bit bit);
/* The flag called name, 0 if there is none. */
enum bport_flag bport_flag_parse(const char *name);
uint8_t bport_flags_default(void);
/* "disabled", "listening", "learning", "forwarding", "blocking" */
const char *bport_state_name(enum bport_state s);
