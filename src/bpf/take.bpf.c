// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The XDP program of a place on a device that leaves VLAN tags in the frame: bpf/take.h. */
#include "bpf/take.h"

SEC("xdp")
int vd_take_xdp(struct xdp_md *ctx)
{
	const struct beside none = {0};

	return at_device(ctx, &none, 1);
}

/* What is left when an expression did not match; take_tag.bpf.c's programs call it as well. */
SEC("xdp")
int vd_take_rest(struct xdp_md *ctx)
{
	return rest(ctx);
}

char vd_license[] SEC("license") = "Dual BSD/GPL";
