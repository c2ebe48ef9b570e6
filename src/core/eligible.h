/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may get a frame: the rules of the Linux bridge (should_deliver, br_flood,
 * is_skb_forwardable), asked by pass 2 and, before a program is shown a frame, by pass 1. Files of
 * the bridge only.
 */
#pragma once

#include "base/mac.h"
#include "core/bridge_internal.h"

/* The length that counts for a frame longer than a port sends (forward.c). */
uint32_t bridge_wire_len(const struct frame *f);

/* How f has to be changed for p, whose VLANs are filtered if f has one. */
static inline enum vlan_edit edit_for(const struct bridge *br, const struct bport *p,
				      const struct frame *f)
{
	return unlikely(f->vid) ? vlan_edit_for(&p->vlans, br->vlan.set.protocol, f) : VLAN_KEEP;
}

/* False when f is of a VLAN that p is not in. */
static inline bool in_vlan_of(const struct bport *p, const struct frame *f)
{
	return likely(!f->vid) || vlan_has(&p->vlans, f->vid);
}

/* True when f as it would leave is too long for p. Not asked for the host's port: there is no limit
 * upwards, as in Linux. */
static inline bool exceeds_mtu(const struct bridge *br, const struct bport *p,
			       const struct frame *f)
{
	int64_t limit = p->max_len;
	int32_t by;

	if (likely(f->len + FRAME_TAG_SIZE <= limit)) /* with and without a tag */
		return false;
	by = vlan_growth(edit_for(br, p, f));
	limit += (f->n_tags * (int32_t)FRAME_TAG_SIZE + by > 0 ? (int32_t)FRAME_TAG_SIZE : 0) - by;
	return unlikely(f->len > limit) && bridge_wire_len(f) > limit;
}

static inline bool both_isolated(const struct bport *in, const struct bport *p)
{
	return in->flags & p->flags & BPORT_ISOLATED_FLAG;
}

/* The flag that a port needs to be flooded with f; 0: none, for what the host itself sends. */
static inline uint8_t flood_flag(const struct frame *f)
{
	if (!mac_is_group(f->dst))
		return BPORT_FLOOD_FLAG;
	if (f->flags & FRAME_LOCAL)
		return 0;
	return f->dst == MAC_BROADCAST ? BPORT_BCAST_FLOOD_FLAG : BPORT_MCAST_FLOOD_FLAG;
}

/* Whether a flood reaches p at all; the frame's length is another question. A port without a link
 * is not forwarding. */
static inline bool floods_to(const struct bport *p, const struct bport *in, const struct frame *f,
			     uint8_t need)
{
	return p->state == BPORT_FORWARDING && (p->flags & need) == need &&
	       (p != in || p->flags & BPORT_HAIRPIN_FLAG) && !both_isolated(in, p) &&
	       in_vlan_of(p, f);
}

/* A promiscuous host gets frames of VLANs that it is not in as well, with their tag, as in Linux.
 */
static inline bool host_in_vlan(const struct bridge *br, const struct frame *f)
{
	return br->set.promisc || in_vlan_of(br->host, f);
}

/*
 * Whether a flood of f goes up to the host: groups do, and unknown addresses of a frame of which
 * nobody knows the origin, for the host may be who it is meant for.
 */
static inline bool floods_to_host(const struct bridge *br, const struct bport *in,
				  const struct frame *f)
{
	if (!br->host || !br->host->link_up || f->flags & (FRAME_LOCAL | FRAME_NO_HOST) ||
	    !host_in_vlan(br, f))
		return false;
	return mac_is_group(f->dst) || br->set.promisc || in == &br->nowhere;
}

/* Why p, no host's port, does not take a frame for a known address; DROP_N: it does. */
static inline enum drop_reason port_refuses(const struct bridge *br, const struct bport *in,
					    const struct bport *p, const struct frame *f)
{
	if (unlikely(!p))
		return DROP_NO_EGRESS;
	if (unlikely(!p->link_up))
		return DROP_TX_DOWN;
	if (unlikely(p->state != BPORT_FORWARDING))
		return DROP_EGRESS_STATE;
	if (unlikely(both_isolated(in, p)))
		return DROP_ISOLATED;
	if (unlikely(!in_vlan_of(p, f)))
		return DROP_VLAN_EGRESS;
	if (exceeds_mtu(br, p, f))
		return DROP_EGRESS_MTU;
	return DROP_N;
}

/* The port at which such a refusal counts. */
static inline struct bport *refused_at(struct bport *in, struct bport *p, enum drop_reason r)
{
	return r == DROP_TX_DOWN || r == DROP_EGRESS_MTU ? p : in;
}

/* Why the host does not take f; DROP_N: it does. */
static inline enum drop_reason host_refuses(const struct bridge *br, const struct frame *f)
{
	if (likely(br->host && br->host->link_up))
		return likely(host_in_vlan(br, f)) ? DROP_N : DROP_VLAN_EGRESS;
	return !br->host && mac_is_reserved(f->dst) ? DROP_RESERVED : DROP_HOST_DOWN;
}
