// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The trunk (port/trunk.h): frames leave the kernel's path at a place, go up through the trunk to
 * the worker, and come down through it to where they were.
 *
 * Up, at a place: a tag that says where, and on to the trunk. Down, at the egress of the trunk:
 * back to the place, flagged as seen. Up or down is not decided by the mark, which any local sender
 * can set, but by the tag beside the frame (no socket can send one) and by the socket that sent it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/tag.h"
#include "bpf/trunk.h"

#define BELL_NS 1000000000ull

/* Set before loading. */
const volatile __u32 vd_trunk;  /* ifindex of the trunk */
const volatile __u64 vd_cookie; /* of the socket that puts frames back */
const volatile __u16 vd_seen;   /* tc_index of a frame that was put back; random, not 0 */
const volatile __u16 vd_passed; /* of one that a place of a closed bridge let pass; another */

struct trunk_shared vd_shared;
struct trunk_place vd_places[TRUNK_PLACES];

/* Number of the place at a device's ingress or egress, by TRUNK_KEY(). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TRUNK_PLACES);
	__type(key, __u32);
	__type(value, __u32);
} vd_numbers SEC(".maps");

/* VLANs that never leave the kernel. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TRUNK_VLANS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u8);
} vd_vlans SEC(".maps");

/* TRUNK_SLOT_EXEMPT is empty while there is no expression; it goes on to the other if need be. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, TRUNK_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} vd_slots SEC(".maps");

static __always_inline void count(unsigned long long *n)
{
	__sync_fetch_and_add(n, 1);
}

static __always_inline int push(struct __sk_buff *skb, __u32 tci)
{
	return bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021AD), tci);
}

/* 01:80:C2:00:00:0X: 0 (spanning tree) and 1 (pause) are always the kernel's. */
static __always_inline int is_reserved(struct __sk_buff *skb)
{
	__u8 d[6];

	if (bpf_skb_load_bytes(skb, 0, d, sizeof(d)) || d[0] != 0x01)
		return 0;
	if (d[1] != 0x80 || d[2] != 0xc2 || d[3] || d[4] || d[5] & 0xf0)
		return 0;
	return d[5] <= 1 || !vd_shared.take_reserved;
}

/* The VLAN of a device on top of this one. */
static __always_inline int is_exempt(struct __sk_buff *skb)
{
	__u32 tpid = skb->protocol, vid;
	__u64 key;
	__be16 tci;

	if (skb->vlan_present) {
		tpid = skb->vlan_proto;
		vid = skb->vlan_tci & 0xfff;
	} else {
		if (tpid != bpf_htons(ETH_P_8021Q) && tpid != bpf_htons(ETH_P_8021AD))
			return 0;
		if (bpf_skb_load_bytes(skb, 14, &tci, sizeof(tci)))
			return 0;
		vid = bpf_ntohs(tci) & 0xfff;
	}
	key = TRUNK_VLAN_KEY(skb->ifindex, tpid, vid);
	return bpf_map_lookup_elem(&vd_vlans, &key) != NULL;
}

/* Wakes a worker that may sleep although it has something to read: a frame was lost on its way. */
static __always_inline void ring_bell(struct __sk_buff *skb, __u64 now_ns)
{
	if (now_ns - vd_shared.bell_ns < BELL_NS)
		return;
	vd_shared.bell_ns = now_ns;
	if (push(skb, 0))
		return;
	bpf_clone_redirect(skb, vd_trunk, 0);
	bpf_skb_vlan_pop(skb);
}

/*
 * Looks at the age of the oldest frame that was not read, and makes this one the oldest if there is
 * none.
 */
static __always_inline int worker_hangs(struct __sk_buff *skb)
{
	__u64 oldest_ns = vd_shared.oldest_ns, hang_ns = vd_shared.hang_ns, now_ns;

	if (!hang_ns)
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (!oldest_ns) {
		vd_shared.oldest_ns = now_ns;
		return 0;
	}
	if ((__s64)(now_ns - oldest_ns) <= (__s64)hang_ns)
		return 0;
	ring_bell(skb, now_ns);
	return 1;
}

/* On it goes. A gate further on asks whether we said so; a place further on looks for itself. */
static __always_inline int pass(struct __sk_buff *skb)
{
	if (vd_shared.closed)
		skb->tc_index = vd_passed;
	return TC_ACT_UNSPEC;
}

static __always_inline int drop(struct trunk_place *p)
{
	count(&p->dropped);
	return TC_ACT_SHOT;
}

static __always_inline int take(struct __sk_buff *skb, struct trunk_place *p, __u32 no)
{
	if (worker_hangs(skb)) {
		if (vd_shared.closed)
			return drop(p);
		count(&p->hung);
		return TC_ACT_UNSPEC;
	}
	if (push(skb, no)) {
		count(&p->refused);
		return TC_ACT_SHOT;
	}
	count(&p->taken);
	return bpf_redirect(vd_trunk, 0);
}

static __always_inline int copy(struct __sk_buff *skb, struct trunk_place *p, __u32 no)
{
	if (worker_hangs(skb)) {
		count(&p->hung);
		return pass(skb);
	}
	if (push(skb, no | TRUNK_TAG_COPY))
		return pass(skb);
	count(&p->copied);
	bpf_clone_redirect(skb, vd_trunk, 0);
	if (bpf_skb_vlan_pop(skb)) {
		count(&p->refused);
		return TC_ACT_SHOT;
	}
	return pass(skb);
}

/* Nothing is to be done at such a place. */
static __always_inline int is_idle(__u32 what)
{
	return what == TRUNK_DO_PASS || (what == TRUNK_DO_NOTHING_YET && !vd_shared.closed);
}

static __always_inline int divert(struct __sk_buff *skb, struct trunk_place *p, __u32 no)
{
	const __u32 what = p->what;

	/* A gate further on is not to think that it was let pass. */
	skb->tc_index = 0;
	if (what == TRUNK_DO_TAKE)
		return take(skb, p, no);
	if (what == TRUNK_DO_COPY)
		return copy(skb, p, no);
	return is_idle(what) ? pass(skb) : drop(p);
}

/* The rest of at_place(), when an expression did not match: by tail call, so it looks again. */
SEC("tc")
int vd_take(struct __sk_buff *skb)
{
	__u32 key = TRUNK_KEY(skb->ifindex, skb->cb[0] & 1);
	__u32 *no = bpf_map_lookup_elem(&vd_numbers, &key);

	if (!no || *no >= TRUNK_PLACES)
		return vd_shared.closed ? TC_ACT_SHOT : TC_ACT_UNSPEC;
	return divert(skb, &vd_places[*no], *no);
}

static __always_inline int at_place(struct __sk_buff *skb, __u32 egress)
{
	__u32 key = TRUNK_KEY(skb->ifindex, egress), *no = bpf_map_lookup_elem(&vd_numbers, &key);
	struct trunk_place *p;
	__u32 what;

	if (!no || *no >= TRUNK_PLACES)
		return vd_shared.closed ? TC_ACT_SHOT : TC_ACT_UNSPEC; /* being closed */
	p = &vd_places[*no];
	if (skb->tc_index == vd_seen) {
		skb->tc_index = 0;
		count(&p->returned);
		return pass(skb);
	}
	what = p->what;
	if (is_idle(what))
		return pass(skb);
	if (is_reserved(skb)) {
		count(&p->reserved);
		return pass(skb);
	}
	if (is_exempt(skb)) {
		count(&p->exempt);
		return pass(skb);
	}
	/* What it matches goes on from there. */
	skb->cb[0] = egress;
	pass(skb);
	bpf_tail_call(skb, &vd_slots, TRUNK_SLOT_EXEMPT);
	return divert(skb, p, *no);
}

SEC("tc")
int vd_place_in(struct __sk_buff *skb)
{
	return at_place(skb, 0);
}

SEC("tc")
int vd_place_out(struct __sk_buff *skb)
{
	return at_place(skb, 1);
}

/*
 * Egress of the trunk. What goes up is left to the packet sockets, which look at what leaves the
 * device behind this. What comes down, from our socket, goes to the device that its mark names.
 */
SEC("tc")
int vd_trunk_out(struct __sk_buff *skb)
{
	__u32 to = skb->mark;

	if (skb->vlan_present && skb->vlan_proto == bpf_htons(ETH_P_8021AD))
		return TC_ACT_UNSPEC;
	if (bpf_get_socket_cookie(skb) != vd_cookie)
		return TC_ACT_SHOT;
	skb->mark = 0;
	skb->tc_index = vd_seen;
	if (tag_move_beside(skb))
		return TC_ACT_SHOT;
	return bpf_redirect(to & ~TRUNK_MARK_INGRESS, to & TRUNK_MARK_INGRESS ? BPF_F_INGRESS : 0);
}

/* Where frames leave a closed bridge, or reach its host: port/trunk.h. */
SEC("tc")
int vd_gate(struct __sk_buff *skb)
{
	if (skb->tc_index == vd_passed || skb->tc_index == vd_seen) {
		skb->tc_index = 0;
		return TC_ACT_UNSPEC;
	}
	if (is_reserved(skb) || is_exempt(skb))
		return TC_ACT_UNSPEC;
	count(&vd_shared.gated);
	return TC_ACT_SHOT;
}

/* Filter of the trunk's own queue, which nobody reads: the packet sockets have had their copy. */
SEC("socket")
int vd_trunk_end(struct __sk_buff *skb)
{
	return 0;
}

char vd_license[] SEC("license") = "Dual BSD/GPL";
