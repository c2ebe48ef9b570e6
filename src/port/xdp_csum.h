/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds unfinished L4 checksums in frames of which nobody says whether they are. A local sender on
 * a virtual device (veth) leaves only the sum of the pseudo header in the field and notes that
 * beside the frame, where AF_XDP loses it. So: a TCP or UDP field that holds exactly that sum is
 * unfinished. A finished field looks like it once in 65,536 frames; to finish it again then gives
 * the same value. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Looks at a frame from its Ethernet header on, through up to four VLAN tags, IPv6 extension
 * headers, and tunnels two deep (IPIP, GRE, VXLAN, Geneve), outermost first. True with where the
 * sum starts and the field's offset from there, as struct virtio_net_hdr has them. Never reads
 * past len; each byte is read once, so memory that changes meanwhile does no harm.
 */
bool xdp_csum_partial(const uint8_t *p, uint32_t len, uint16_t *ret_start, uint16_t *ret_offset);
