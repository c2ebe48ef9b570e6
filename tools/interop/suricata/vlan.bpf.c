/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A VLAN interface of two tc programs, for kernels that have none: what a veth gets goes out of
 * the cable with a tag, what the cable gets with this tag goes to the veth. GSO frames stay whole.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TAG 5

/* At ingress of the veth's other end; CABLE is the ifindex. */
SEC("push")
int push_tag(struct __sk_buff *skb)
{
	if (bpf_skb_vlan_push(skb, bpf_htons(0x8100), TAG))
		return TC_ACT_SHOT;
	return bpf_redirect(CABLE, 0);
}

/* At ingress of the cable; INNER is the veth's other end. */
SEC("pop")
int pop_tag(struct __sk_buff *skb)
{
	if (!skb->vlan_present || (skb->vlan_tci & 0xfff) != TAG)
		return TC_ACT_OK;
	if (bpf_skb_vlan_pop(skb))
		return TC_ACT_SHOT;
	return bpf_redirect(INNER, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
