/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/vnet.h"

#include <errno.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* kernel 6.2 */
#endif

static const uint8_t gso_of[] = {
	[VIRTIO_NET_HDR_GSO_TCPV4] = FRAME_GSO_TCPV4,
	[VIRTIO_NET_HDR_GSO_TCPV6] = FRAME_GSO_TCPV6,
	[VIRTIO_NET_HDR_GSO_UDP_L4] = FRAME_GSO_UDP_L4,
};

static const uint8_t virtio_of[] = {
	[FRAME_GSO_NONE] = VIRTIO_NET_HDR_GSO_NONE,
	[FRAME_GSO_TCPV4] = VIRTIO_NET_HDR_GSO_TCPV4,
	[FRAME_GSO_TCPV6] = VIRTIO_NET_HDR_GSO_TCPV6,
	[FRAME_GSO_UDP_L4] = VIRTIO_NET_HDR_GSO_UDP_L4,
};
_Static_assert(array_size(virtio_of) == FRAME_GSO_N, "a virtio type for each kind");

static int csum_to_frame(const struct virtio_net_hdr *h, uint16_t added, struct frame *f)
{
	uint32_t start = (uint32_t)h->csum_start + added;

	if (start + h->csum_offset + 2 > f->len || start > UINT16_MAX)
		return DROP_CSUM_RANGE;
	f->csum_start = (uint16_t)start;
	f->csum_offset = h->csum_offset;
	f->flags |= FRAME_CSUM_PARTIAL;
	return 0;
}

static int gso_to_frame(const struct virtio_net_hdr *h, uint16_t added, struct frame *f)
{
	uint8_t type = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	if (type >= array_size(gso_of) || gso_of[type] == FRAME_GSO_NONE || !h->gso_size)
		return DROP_GSO_KIND;
	f->gso = gso_of[type];
	f->gso_size = h->gso_size;
	f->hdr_len = (uint16_t)min_of((uint32_t)h->hdr_len + added, (uint32_t)UINT16_MAX);
	if (h->gso_type & VIRTIO_NET_HDR_GSO_ECN)
		f->flags |= FRAME_GSO_ECN;
	return 0;
}

int vnet_to_frame(const struct virtio_net_hdr *h, uint16_t added, struct frame *f)
{
	int r = 0;

	f->gso = FRAME_GSO_NONE;
	f->flags = 0;
	f->gso_size = f->csum_start = f->csum_offset = f->hdr_len = 0;
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		r = csum_to_frame(h, added, f);
	else if (h->flags & VIRTIO_NET_HDR_F_DATA_VALID)
		f->flags |= FRAME_CSUM_VALID;
	if (r == 0 && h->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		r = gso_to_frame(h, added, f);
	return r;
}

void vnet_from_frame(const struct frame *f, struct virtio_net_hdr *ret)
{
	*ret = (struct virtio_net_hdr){0};
	if (f->flags & FRAME_CSUM_PARTIAL) {
		ret->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		ret->csum_start = f->csum_start;
		ret->csum_offset = f->csum_offset;
	}
	if (f->gso == FRAME_GSO_NONE)
		return;
	ret->gso_type = virtio_of[f->gso];
	if (f->flags & FRAME_GSO_ECN)
		ret->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	ret->gso_size = f->gso_size;
	/* The kernel refuses a hint beyond the frame (EINVAL). */
	ret->hdr_len = (uint16_t)min_of((uint32_t)f->hdr_len, f->len);
}
