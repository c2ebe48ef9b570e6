/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * As xsk.bpf.c, for devices whose driver may keep a VLAN tag beside the frame: XDP shows the frame
 * without it, so the tag is asked for (kernel 6.8; the program is bound to its device) and written
 * back before the frame goes to the socket.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/put_tag.h"

extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *proto, __u16 *tci) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1); /* the loader makes it as large as the device has queues */
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

__u64 n_restored; /* tags put back; read by the daemon */
__u64 n_lost;     /* frames dropped because there was no room for their tag */

SEC("xdp")
int vd_xsk_tag(struct xdp_md *ctx)
{
	__be16 proto = 0;
	__u16 tci = 0;

	if (bpf_xdp_metadata_rx_vlan_tag(ctx, &proto, &tci) == 0) {
		if (put_tag(ctx, proto, tci)) {
			__sync_fetch_and_add(&n_lost, 1);
			return XDP_DROP;
		}
		__sync_fetch_and_add(&n_restored, 1);
	}
	return (int)bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
}

char _license[] SEC("license") = "Dual BSD/GPL";
