// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * As take.bpf.c, for devices whose driver may keep a VLAN tag beside the frame (xsk_tag.bpf.c). The
 * program is bound to its device. Not every kernel lets such a program call others by slots (6.18
 * does): where not, the second one leaves frames to the tc program while there is an expression.
 */
#include "bpf/take.h"

extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *proto, __u16 *tci) __ksym;

static __always_inline void read_tag(struct xdp_md *ctx, struct beside *tag)
{
	tag->proto = 0;
	tag->tci = 0;
	if (bpf_xdp_metadata_rx_vlan_tag(ctx, &tag->proto, &tag->tci))
		tag->proto = 0;
}

SEC("xdp")
int vd_take_xdp_tag(struct xdp_md *ctx)
{
	struct beside tag;

	read_tag(ctx, &tag);
	return at_device(ctx, &tag, 1);
}

SEC("xdp")
int vd_take_xdp_alone(struct xdp_md *ctx)
{
	struct beside tag;

	read_tag(ctx, &tag);
	return at_device(ctx, &tag, 0);
}

char vd_license[] SEC("license") = "Dual BSD/GPL";
