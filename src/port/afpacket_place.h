/* SPDX-License-Identifier: BSD-2-Clause */
/* A frame of a trunk: the tag beside it says where it was taken (bpf/trunk.h). Pure. */
#pragma once

#include "bpf/trunk.h"
#include "port/vnet.h"

#define AFPACKET_NOT_OURS (-1) /* not taken anywhere: a bell, or a stranger's on our device */

/*
 * The tag as it is when the kernel could not leave it beside the frame: before some kernel between
 * 6.1 and 6.18 those that encapsulate (VXLAN) have it in their bytes. Nobody else's frame gets here
 * with such a tag: the program at the trunk's egress has seen to that. Takes it out.
 */
static inline bool afpacket_take_tag(struct virtio_net_hdr *h, struct frame *f, uint16_t *ret_tci)
{
	if (f->len < FRAME_HEADER_SIZE + VNET_TAG_SIZE ||
	    frame_be16(f->data + 12) != FRAME_TAG_8021AD)
		return false;
	*ret_tci = frame_be16(f->data + 14);
	f->len -= VNET_TAG_SIZE;
	memmove(f->data + 12, f->data + 12 + VNET_TAG_SIZE, f->len - 12);
	h->csum_start -= VNET_TAG_SIZE; /* vnet_to_frame() checks it */
	h->hdr_len -= min_of(h->hdr_len, (uint16_t)VNET_TAG_SIZE);
	return true;
}

/*
 * Sets the offload fields, in_port and FRAME_COPY of f from its vnet header and the tag beside it
 * (beside: there is one). 0, or the reason to drop it (enum drop_reason), or AFPACKET_NOT_OURS.
 */
static inline int afpacket_from_trunk(struct virtio_net_hdr *h, bool beside, uint16_t tci,
				      struct frame *f)
{
	int reason;

	if (unlikely(!beside) && !afpacket_take_tag(h, f, &tci))
		return AFPACKET_NOT_OURS;
	f->in_port = tci & TRUNK_TAG_NO;
	if (unlikely(f->in_port == 0))
		return AFPACKET_NOT_OURS;
	reason = vnet_to_frame(h, 0, f);
	if (tci & TRUNK_TAG_COPY)
		f->flags |= FRAME_COPY;
	return reason;
}
