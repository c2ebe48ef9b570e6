/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Putting a VLAN tag back into a frame whose driver keeps it beside: XDP programs only. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TAG_SIZE   4
#define ADDRS_SIZE 12 /* both Ethernet addresses */

/* Opens four bytes behind the addresses and writes the tag there. */
static __always_inline int put_tag(struct xdp_md *ctx, __be16 proto, __u16 tci)
{
	__u32 *p;
	__u16 *tag;

	if (bpf_xdp_adjust_head(ctx, -TAG_SIZE))
		return -1;
	p = (void *)(long)ctx->data;
	if ((void *)p + ADDRS_SIZE + TAG_SIZE > (void *)(long)ctx->data_end)
		return -1;
	p[0] = p[1];
	p[1] = p[2];
	p[2] = p[3];
	tag = (__u16 *)&p[3];
	tag[0] = proto;
	tag[1] = bpf_htons(tci);
	return 0;
}
