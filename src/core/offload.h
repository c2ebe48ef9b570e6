/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checksum and segmentation offload in software, between the engine and a driver's tx: what the
 * egress port cannot take as it is, is finished or cut here. Pure: works on frames and buffers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/batch.h"
#include "core/drop.h"

/* What a port can send; its driver declares them in struct port. */
enum offload_caps {
	OFFLOAD_CSUM = 1 << 0,    /* FRAME_CSUM_PARTIAL is passed on */
	OFFLOAD_TSO4 = 1 << 1,    /* FRAME_GSO_TCPV4 */
	OFFLOAD_TSO6 = 1 << 2,    /* FRAME_GSO_TCPV6 */
	OFFLOAD_TSO_ECN = 1 << 3, /* with FRAME_GSO_ECN */
	OFFLOAD_USO = 1 << 4,     /* FRAME_GSO_UDP_L4, IPv4 and IPv6 */
};

struct offload_counters {
	uint64_t csum_finished; /* partial checksums completed */
	uint64_t gso_segmented; /* GSO frames cut */
	uint64_t gso_segments;  /* frames that came out of that */
	uint64_t gso_passed;    /* GSO frames handed on whole */
	uint64_t tags_restored; /* VLAN tags put back into the frame by a driver */
};

/*
 * True when a port with these caps can send f as it is. csum_start beyond the outermost L4 header
 * (tunnels) makes a GSO frame one that must be segmented here: virtio_net_hdr cannot describe it.
 */
bool offload_fits(const struct frame *f, uint32_t caps);

/*
 * Completes the L4 checksum in place (RFC 1071; UDP zero becomes 0xffff, RFC 768) and clears
 * FRAME_CSUM_PARTIAL. The buffer must have one reference. 0, or DROP_CSUM_RANGE.
 */
int offload_finish_csum(struct frame *f);

/*
 * Cuts a GSO frame into at most max plain frames with finished checksums, in buffers from bufs;
 * headers of every layer (outer ones of VXLAN, GRE, Geneve, IPIP tunnels too: lengths, IPv4 id,
 * checksums, TCP sequence and flags) are what the kernel's skb_segment would make. Returns the
 * number, or -DROP_* (then nothing is left allocated). The original keeps its references.
 */
int offload_segment(const struct frame *f, const struct buf_ops *bufs, struct frame *ret,
		    uint32_t max);
