/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* VLAN tags, for tc programs. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/*
 * Moves the outermost tag from the frame's bytes to beside it, where a device adds it itself or
 * keeps it out of its MTU check. 0, or -1 when the kernel could not.
 */
static __always_inline int tag_move_beside(struct __sk_buff *skb)
{
	__be16 tag[2]; /* protocol, tci */

	if (skb->vlan_present || bpf_skb_load_bytes(skb, 12, tag, sizeof(tag)) != 0 ||
	    (tag[0] != bpf_htons(ETH_P_8021Q) && tag[0] != bpf_htons(ETH_P_8021AD)))
		return 0;
	if (bpf_skb_vlan_pop(skb) || bpf_skb_vlan_push(skb, tag[0], bpf_ntohs(tag[1])))
		return -1;
	return 0;
}
