/* SPDX-License-Identifier: BSD-2-Clause */
/* A frame of a trunk: the tag beside it says where it was taken (bpf/trunk.h). Pure. */
#pragma once

#include "bpf/trunk.h"
#include "port/vnet.h"

#define AFPACKET_NOT_OURS (-1) /* not taken anywhere: a bell, or a stranger's on our device */

/*
 * Sets the offload fields, in_port and FRAME_COPY of f from its vnet header and the tag (0: none).
 * 0, or the reason to drop it (enum drop_reason), or AFPACKET_NOT_OURS.
 */
static inline int afpacket_from_trunk(const struct virtio_net_hdr *h, uint16_t tci, struct frame *f)
{
	int reason;

	f->in_port = tci & TRUNK_TAG_NO;
	if (unlikely(f->in_port == 0))
		return AFPACKET_NOT_OURS;
	reason = vnet_to_frame(h, 0, f);
	if (tci & TRUNK_TAG_COPY)
		f->flags |= FRAME_COPY;
	return reason;
}
