// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Watches frames of one bridge of the kernel, at tracepoints of the kernel's network code: what its
 * devices receive and send, and what is dropped. It changes nothing; what there is goes into a ring
 * (ktrace.h), and the program that reads it (src/ktrace) joins events to journeys.
 *
 * Types of the kernel are named here with the members that are read; where these lie in the running
 * kernel is found when the program is loaded, from its BTF.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/ktrace.h"

/*
 * Records are submitted with BPF_RB_NO_WAKEUP: the reader looks every 5 ms. To wake it for a frame
 * would cost more than all the rest.
 */

/* A redirected frame is there in microseconds, unless something comes between. */
#define REDIRECT_NS 20000000ull

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct ns_common {
	unsigned int inum;
};
struct net {
	struct ns_common ns;
};
typedef struct {
	struct net *net;
} possible_net_t;
struct net_device {
	int ifindex;
	possible_net_t nd_net;
};
struct sk_buff {
	struct net_device *dev;
	unsigned int len, data_len;
	__be16 vlan_proto;
	__u16 vlan_tci;
	__u16 mac_header;
	unsigned char *head, *data;
};
/* Before Linux 6.2 a bit says whether there is a tag. */
struct sk_buff___with_bit {
	__u8 vlan_present : 1;
};
#pragma clang attribute pop

/* Set before loading: the inode of the network namespace. */
const volatile __u32 vd_netns;

__u64 vd_lost; /* events for which the ring had no room */
__u64 vd_on;   /* all programs are attached; before that none does anything */

/* ifindex: enum ktrace_role */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KTRACE_DEVS);
	__type(key, __u32);
	__type(value, __u32);
} vd_devs SEC(".maps");

/* Frames between the devices, by their address. */
struct seen {
	__u64 time_ns;
	__u32 cpu;
	__u32 received; /* by a member, and nothing else has happened */
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct seen);
} vd_seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, KTRACE_RING);
} vd_ring SEC(".maps");

/* A device, and where it is. */
struct where {
	__u32 ifindex, netns, role;
};

static __always_inline void find(const struct net_device *dev, struct where *w)
{
	__u32 *role;

	w->ifindex = w->netns = 0;
	w->role = KTRACE_FOREIGN;
	if (!dev || !vd_on)
		return;
	w->ifindex = BPF_CORE_READ(dev, ifindex);
	w->netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
	if (w->netns != vd_netns)
		return;
	role = bpf_map_lookup_elem(&vd_devs, &w->ifindex);
	if (role)
		w->role = *role;
}

static __always_inline int has_tag(const struct sk_buff *skb)
{
	const struct sk_buff___with_bit *old = (const void *)skb;

	if (bpf_core_field_exists(old->vlan_present))
		return BPF_CORE_READ_BITFIELD_PROBED(old, vlan_present);
	return BPF_CORE_READ(skb, vlan_proto) != 0;
}

/* From its Ethernet header on, wherever the kernel has got to with it. */
static __always_inline void copy_bytes(struct ktrace_event *e, const struct sk_buff *skb)
{
	__u64 data = (__u64)BPF_CORE_READ(skb, data);
	__u64 mac = e->head + BPF_CORE_READ(skb, mac_header);
	__u32 len = BPF_CORE_READ(skb, len);
	__u64 n;

	/* No header was noted (all ones), or it is elsewhere. */
	if (mac > data || data - mac > KTRACE_DATA)
		mac = data;
	n = len - BPF_CORE_READ(skb, data_len) + (__u32)(data - mac);
	barrier_var(n); /* the verifier must see the limit in the register that it is about */
	if (n > KTRACE_DATA)
		n = KTRACE_DATA;
	e->len = len + (__u32)(data - mac);
	e->caplen = n;
	if (bpf_probe_read_kernel(e->data, n, (const void *)mac))
		e->caplen = 0;
	if (has_tag(skb)) {
		e->vlan_tpid = bpf_ntohs(BPF_CORE_READ(skb, vlan_proto));
		e->vlan_tci = BPF_CORE_READ(skb, vlan_tci);
	}
}

static __always_inline struct ktrace_event *begin(const struct sk_buff *skb, const struct where *w,
						  enum ktrace_what what)
{
	struct ktrace_event *e = bpf_ringbuf_reserve(&vd_ring, sizeof(*e), 0);

	if (!e) {
		__sync_fetch_and_add(&vd_lost, 1);
		return NULL;
	}
	e->time_ns = bpf_ktime_get_ns();
	e->skb = (__u64)skb;
	e->head = 0;
	e->location = 0;
	e->what = what;
	e->role = w->role;
	e->ifindex = w->ifindex;
	e->netns = w->netns;
	e->reason = 0;
	e->len = 0;
	e->caplen = e->vlan_tpid = e->vlan_tci = e->pad = 0;
	return e;
}

static __always_inline void tell(const struct sk_buff *skb, const struct where *w,
				 enum ktrace_what what, __u64 location, __u32 reason)
{
	struct ktrace_event *e = begin(skb, w, what);

	if (!e)
		return;
	e->location = location;
	e->reason = reason;
	e->head = (__u64)BPF_CORE_READ(skb, head);
	copy_bytes(e, skb);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

static __always_inline void remember(const struct sk_buff *skb, __u32 received)
{
	__u64 key = (__u64)skb;
	struct seen s = {
		.time_ns = bpf_ktime_get_ns(),
		.cpu = bpf_get_smp_processor_id(),
		.received = received,
	};

	bpf_map_update_elem(&vd_seen, &key, &s, BPF_ANY);
}

/* Was it seen? It is not from now on. */
static __always_inline int forget(const struct sk_buff *skb)
{
	__u64 key = (__u64)skb;

	return bpf_map_delete_elem(&vd_seen, &key) == 0;
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(vd_receive, struct sk_buff *skb)
{
	struct where w;

	find(BPF_CORE_READ(skb, dev), &w);
	if (w.role == KTRACE_FOREIGN)
		return 0;
	remember(skb, w.role == KTRACE_MEMBER);
	tell(skb, &w, KTRACE_RECEIVE, 0, 0);
	return 0;
}

/* On a device that is not the bridge's: a program at a member's ingress has sent it there. */
static __always_inline int was_redirected(const struct sk_buff *skb)
{
	__u64 key = (__u64)skb;
	struct seen *s = bpf_map_lookup_elem(&vd_seen, &key);

	return s && s->received && s->cpu == bpf_get_smp_processor_id() &&
	       bpf_ktime_get_ns() - s->time_ns < REDIRECT_NS;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(vd_queue, struct sk_buff *skb)
{
	struct where w;

	find(BPF_CORE_READ(skb, dev), &w);
	if (w.role == KTRACE_MEMBER)
		tell(skb, &w, KTRACE_QUEUE, 0, 0);
	return 0;
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(vd_start, const struct sk_buff *skb, const struct net_device *dev)
{
	struct where w;

	find(dev, &w);
	if (w.role == KTRACE_BRIDGE)
		remember(skb, 0);
	else if (w.role == KTRACE_MEMBER)
		forget(skb);
	else if (!was_redirected(skb) || !forget(skb))
		return 0;
	tell(skb, &w, KTRACE_START, 0, 0);
	return 0;
}

/* The frame may be gone: only its address is told. */
SEC("tp_btf/net_dev_xmit")
int BPF_PROG(vd_sent, struct sk_buff *skb, int rc, struct net_device *dev)
{
	struct ktrace_event *e;
	struct where w;

	find(dev, &w);
	if (w.role != KTRACE_MEMBER)
		return 0;
	e = begin(skb, &w, KTRACE_SENT);
	if (!e)
		return 0;
	e->reason = (__u32)rc;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(vd_drop, struct sk_buff *skb, void *location, __u32 reason)
{
	int seen = forget(skb);
	struct where w;

	find(BPF_CORE_READ(skb, dev), &w);
	if (seen || w.role != KTRACE_FOREIGN)
		tell(skb, &w, KTRACE_DROP, (__u64)location, reason);
	return 0;
}

SEC("tp_btf/consume_skb")
int BPF_PROG(vd_consume, struct sk_buff *skb)
{
	struct where w;

	if (!forget(skb))
		return 0;
	find(BPF_CORE_READ(skb, dev), &w);
	tell(skb, &w, KTRACE_CONSUME, 0, 0);
	return 0;
}

char vd_license[] SEC("license") = "Dual BSD/GPL";
