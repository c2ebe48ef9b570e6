/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flow hash: the same for both directions of a flow, so that one ring of a program sees both. Looks
 * past up to two VLAN tags at IPv4 or IPv6 addresses and the ports of TCP, UDP and SCTP. Fragments
 * count by addresses alone, the first one too, so that all of a datagram go the same way. What is
 * no IP, or is cut off before its addresses end, counts by its two MAC addresses and its EtherType.
 *
 * Keyed, because whoever sends frames chooses what goes in.
 */
#pragma once

#include "core/frame.h"

struct flowhash_key {
	uint64_t k[4]; /* k[1] and k[3] are odd */
};

/* Makes a key of 16 random bytes. */
void flowhash_init(struct flowhash_key *key, const uint8_t random[16]);
/*
 * Hash of a frame that frame_parse() accepted (dst, src, n_tags, ethertype are used). Never reads
 * past f->len. About 6 ns for UDP over IPv4. Any thread that owns the frame.
 */
uint32_t flowhash(const struct flowhash_key *key, const struct frame *f);
