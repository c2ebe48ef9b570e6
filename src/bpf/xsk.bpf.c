/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Steers what a device receives to the AF_XDP socket of its queue. Where a queue has no socket
 * (while a port is opened or closed) the frame takes its usual way into the kernel: the device is
 * then no port of ours, and must not go deaf. Frames whose socket has no room are dropped and
 * counted by the socket.
 *
 * For devices that may keep a VLAN tag beside the frame there is xsk_tag.bpf.c.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1); /* the loader makes it as large as the device has queues */
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

SEC("xdp")
int vd_xsk(struct xdp_md *ctx)
{
	return (int)bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
}

char _license[] SEC("license") = "Dual BSD/GPL";
