/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * struct virtio_net_hdr (virtio 1.2, 5.1.6) to and from a frame's offload fields, and VLAN tags
 * that arrive beside the frame. Shared by the drivers that speak vnet headers; pure.
 */
#pragma once

#include <linux/virtio_net.h>
#include <stdint.h>
#include <string.h>

#include "core/drop.h"
#include "core/frame.h"

#define VNET_SIZE     10u /* sizeof(struct virtio_net_hdr), what the kernel reads and writes */
#define VNET_TAG_SIZE 4u

/*
 * Sets the offload fields of f from h. added: bytes put in front of the network header since the
 * kernel made h (a restored tag). 0, or the reason why the frame must be dropped: GSO_KIND, or
 * CSUM_RANGE when the checksum field lies outside the f->len bytes.
 */
int vnet_to_frame(const struct virtio_net_hdr *h, uint16_t added, struct frame *f);

/* The header to send f with. */
void vnet_from_frame(const struct frame *f, struct virtio_net_hdr *ret);

/* EtherType 802.1Q or 802.1ad at a frame's offset 12. The frame has 14 bytes. */
static inline bool vnet_is_tagged(const uint8_t *data)
{
	return (data[12] == 0x81 && data[13] == 0x00) || (data[12] == 0x88 && data[13] == 0xa8);
}

/* Writes addresses and tag: the first 16 bytes of a frame whose first 12 are at from, which may
 * overlap (to == from - 4). */
static inline void vnet_put_tag(uint8_t *to, const uint8_t *from, uint16_t tpid, uint16_t tci)
{
	memmove(to, from, 12);
	to[12] = (uint8_t)(tpid >> 8);
	to[13] = (uint8_t)tpid;
	to[14] = (uint8_t)(tci >> 8);
	to[15] = (uint8_t)tci;
}
