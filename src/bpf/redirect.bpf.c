// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Programs of the packet driver: two socket filters that split what a port receives between its
 * ring and its queue (port/packet.c says why), the tc program that keeps the host's stack from
 * seeing a port's frames, and the outbox.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/redirect.h"
#include "bpf/tag.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, REDIRECT_COUNTERS);
	__type(key, __u32);
	__type(value, struct redirect_counter);
} vd_large SEC(".maps");

/*
 * Frames for the ring. GSO frames must never get there: when virtio_net_hdr cannot say their kind,
 * TPACKET_V2 loses the ring's head slot for good (tpacket_rcv leaves its bit in rx_owner_map).
 */
static __always_inline int is_small(struct __sk_buff *skb)
{
	return skb->gso_size == 0 && skb->len <= REDIRECT_SMALL_MAX;
}

SEC("socket")
int vd_small_only(struct __sk_buff *skb)
{
	return is_small(skb) ? -1 : 0;
}

SEC("socket")
int vd_large_only(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex % REDIRECT_COUNTERS;
	struct redirect_counter *c;

	if (is_small(skb))
		return 0;
	c = bpf_map_lookup_elem(&vd_large, &key);
	if (c)
		__sync_fetch_and_add(&c->n, 1);
	return -1;
}

/* Ingress of a port: packet sockets have had their copy by now; the host gets none. */
SEC("tc")
int vd_steal(struct __sk_buff *skb)
{
	return TC_ACT_SHOT;
}

/* Egress of the outbox: the outermost tag moves beside the frame, then on to the port that the mark
 * names. */
SEC("tc")
int vd_outbox(struct __sk_buff *skb)
{
	__u32 port = skb->mark; /* ifindex */

	if (port == 0)
		return TC_ACT_SHOT;
	skb->mark = 0;
	return tag_move_beside(skb) ? TC_ACT_SHOT : bpf_redirect(port, 0);
}

char vd_license[] SEC("license") = "Dual BSD/GPL";
