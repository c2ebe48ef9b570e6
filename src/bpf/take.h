/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What take.bpf.c and take_tag.bpf.c share: the XDP program of one place (port/take.h). It takes
 * only what the tc program behind it would take as well, by the same state, and what an AF_XDP
 * socket can carry. All others it passes, and the tc program decides: copies, drops, reserved
 * addresses, a worker that hangs.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/put_tag.h"
#include "bpf/trunk.h"

#define PROTO_SCTP 132

/* Set before loading. */
const volatile __u32 vd_shared_ofs; /* of struct trunk_shared in the trunk's state */
const volatile __u32 vd_place_ofs;  /* of struct trunk_place of this place */
const volatile __u32 vd_len_max;    /* bytes of a frame that a socket takes */

__u64 vd_restored; /* tags put back; read by the daemon */
__u64 vd_lost;     /* frames dropped because there was no room for their tag */

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1); /* the loader makes it as large as the device has queues */
	__type(key, __u32);
	__type(value, __u32);
} vd_xsks SEC(".maps");

/* The trunk's own variables: the loader puts its map here. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} vd_state SEC(".maps");

/* What the expression of exempt frames decides, and who goes on; as vd_slots of the trunk. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, TRUNK_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} vd_take_slots SEC(".maps");

/* The trunk's vd_vlans. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TRUNK_VLANS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u8);
} vd_take_vlans SEC(".maps");

/* The tag beside a frame, if any. */
struct beside {
	__be16 proto; /* 0: none */
	__u16 tci;
};

static __always_inline int is_kernels(const __u8 *d, const struct trunk_shared *s)
{
	if (d[0] != 0x01 || d[1] != 0x80 || d[2] != 0xc2 || d[3] || d[4] || d[5] & 0xf0)
		return 0;
	return d[5] <= 1 || !s->take_reserved;
}

/* The VLAN of a device on top of this one. */
static __always_inline int is_exempt_vlan(const struct xdp_md *ctx, __be16 tpid, __u32 tci)
{
	const __u64 key = TRUNK_VLAN_KEY(ctx->ingress_ifindex, tpid, tci & 0xfff);

	return bpf_map_lookup_elem(&vd_take_vlans, &key) != NULL;
}

/*
 * The kernel lets the daemon add no more than constants to a pointer into the frame, and the
 * compiler joins two such sums to one with a variable, unless it is kept from that.
 */
#define APART(v) asm volatile("" : "+r"(v))

/* A local sender may have left its checksum to a device; only the kernel can finish it. */
static __always_inline int is_sctp(const __u8 *ip, const void *end, __be16 type)
{
	__u32 proto = 0;

	if (type == bpf_htons(ETH_P_IP) && (const void *)(ip + 10) <= end) {
		proto = ip[9];
		APART(proto);
	} else if (type == bpf_htons(ETH_P_IPV6) && (const void *)(ip + 7) <= end) {
		proto = ip[6];
		APART(proto);
	}
	return proto == PROTO_SCTP;
}

/* Is it of a kind that stays in the kernel, or that only a tc program can take? */
static __always_inline int is_for_tc(const struct xdp_md *ctx, const struct trunk_shared *s,
				     const struct beside *tag)
{
	const __u8 *d = (void *)(long)ctx->data;
	const void *end = (void *)(long)ctx->data_end;
	__be16 type;

	if ((const void *)(d + ETH_HLEN) > end)
		return 1;
	if (is_kernels(d, s))
		return 1;
	if (tag->proto && is_exempt_vlan(ctx, tag->proto, tag->tci))
		return 1;
	type = *(const __be16 *)(d + ADDRS_SIZE);
	d += ETH_HLEN;
	for (int i = 0; i < 2; i++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if ((const void *)(d + TAG_SIZE) > end)
			return 1;
		if (i == 0 && !tag->proto &&
		    is_exempt_vlan(ctx, type, bpf_ntohs(*(const __be16 *)d)))
			return 1;
		type = *(const __be16 *)(d + 2);
		d += TAG_SIZE;
		APART(d);
	}
	return is_sctp(d, end, type);
}

/* As in trunk.bpf.c, by the same note; there the bell is rung. */
static __always_inline int is_hung(struct trunk_shared *s)
{
	const __u64 oldest_ns = s->oldest_ns, hang_ns = s->hang_ns;
	__u64 now_ns;

	if (!hang_ns)
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (!oldest_ns) {
		s->oldest_ns = now_ns;
		return 0;
	}
	return (__s64)(now_ns - oldest_ns) > (__s64)hang_ns;
}

/* To the socket, if the frame's queue has one and the worker reads. */
static __always_inline int take(struct xdp_md *ctx, struct trunk_shared *s, struct trunk_place *p,
				const struct beside *tag)
{
	__u32 queue = ctx->rx_queue_index;

	if (!bpf_map_lookup_elem(&vd_xsks, &queue) || is_hung(s))
		return XDP_PASS;
	if (tag->proto) {
		if (put_tag(ctx, tag->proto, tag->tci)) {
			__sync_fetch_and_add(&vd_lost, 1);
			return XDP_DROP;
		}
		__sync_fetch_and_add(&vd_restored, 1);
	}
	__sync_fetch_and_add(&p->by_xdp, 1);
	/* It may have a tag too many for the kernel now. */
	return (int)bpf_redirect_map(&vd_xsks, queue, XDP_DROP);
}

/* slots: may this program call others? The kernel decides, when it loads it. */
static __always_inline int at_device(struct xdp_md *ctx, const struct beside *tag, int slots)
{
	const __u32 zero = 0;
	char *state = bpf_map_lookup_elem(&vd_state, &zero);
	struct trunk_shared *s;
	struct trunk_place *p;

	if (!state)
		return XDP_PASS;
	s = (void *)(state + vd_shared_ofs);
	p = (void *)(state + vd_place_ofs);
	if (p->what != TRUNK_DO_TAKE || bpf_xdp_get_buff_len(ctx) > vd_len_max)
		return XDP_PASS;
	if (is_for_tc(ctx, s, tag))
		return XDP_PASS;
	/* With a tag beside it user space decides, as behind tc. */
	if (s->exempt_expr && !tag->proto) {
		if (slots)
			bpf_tail_call(ctx, &vd_take_slots, TRUNK_SLOT_EXEMPT);
		return XDP_PASS;
	}
	return take(ctx, s, p, tag);
}

/* The rest of at_device(), when an expression did not match: by tail call, so it looks again. */
static __always_inline int rest(struct xdp_md *ctx)
{
	const struct beside none = {0};
	const __u32 zero = 0;
	char *state = bpf_map_lookup_elem(&vd_state, &zero);

	if (!state)
		return XDP_PASS;
	return take(ctx, (void *)(state + vd_shared_ofs), (void *)(state + vd_place_ofs), &none);
}
