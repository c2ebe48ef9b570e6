/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One Ethernet frame on its way through the engine. The bytes lie in a buffer that `buf` names
 * (mem/bufpool.h); drivers receive into buffers and transmit from them, the engine moves this
 * 64-byte descriptor and never the bytes.
 *
 * Offload state means what struct virtio_net_hdr means (virtio 1.2, 5.1.6), in host byte order:
 * a frame may arrive with its L4 checksum unfinished and as a GSO frame longer than the MTU.
 * VLAN tags are always inside the frame's bytes; a driver that gets one beside the frame puts it
 * back before rx() returns and adjusts csum_start and hdr_len.
 *
 * A frame may be on the lists of several ports at once (flooding): after bridge_input() everything
 * but the owner's own fields is read-only, and who wants to change bytes first checks that the
 * buffer has one reference, else copies (struct buf_ops).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

#define FRAME_HEADER_SIZE 14u /* destination, source, EtherType */
#define FRAME_SIZE_MAX                                                                             \
	65549u /* 65,535 bytes behind an Ethernet header; two tags fit in a GSO buffer */

enum frame_gso {
	FRAME_GSO_NONE,
	FRAME_GSO_TCPV4,
	FRAME_GSO_TCPV6,
	FRAME_GSO_UDP_L4, /* UDP segmentation (USO); not UFO, which the kernel no longer makes */
	FRAME_GSO_N
};

enum frame_flags {
	FRAME_CSUM_PARTIAL = 1 << 0, /* L4 checksum field holds the pseudo-header sum only */
	FRAME_CSUM_VALID = 1 << 1,   /* the sender's kernel vouches for the checksum */
	FRAME_GSO_ECN = 1 << 2,      /* CWR is set in the first segment only (RFC 3168, TSO rule) */
	FRAME_LOCAL = 1 << 3,        /* sent by the host through the bridge's own interface */
	FRAME_SHOWN = 1 << 4,        /* goes on, and to a program's ring as well */
	FRAME_NO_HOST = 1 << 5,      /* the host's share is with a program, or was dropped */
	FRAME_COPY = 1 << 6,         /* set by a driver: the kernel goes on with the frame itself */
	FRAME_TRACED = 1 << 7,       /* has a journey: core/trace.h; of this round only */
};

struct frame {
	uint8_t *data; /* first byte of the destination address */
	uint64_t dst;  /* set by frame_parse() */
	uint64_t src;  /* set by frame_parse() */
	uint32_t len;  /* bytes from data, without FCS */
	uint32_t buf;  /* buffer handle, see mem/bufpool.h */

	uint16_t gso_size;    /* payload bytes per segment, 0 = not GSO */
	uint16_t csum_start;  /* from data; valid with FRAME_CSUM_PARTIAL */
	uint16_t csum_offset; /* from csum_start */
	uint16_t hdr_len;     /* all headers, from data; a hint, checked before use */
	uint8_t gso : 3;      /* enum frame_gso */
	uint8_t n_tags : 2; /* VLAN tags in front of the EtherType, at most 2 are looked through */
	uint8_t origin : 3; /* enum origin_how of what a program gave back; 0 = from a port */
	uint8_t flags;      /* enum frame_flags */

	uint8_t verdict;    /* enum frame_verdict; owner: the engine */
	uint8_t mirrored;   /* bit per destination of mirrors that is done with it: core/mirror.h */
	uint16_t ethertype; /* behind the tags; below 1536: 802.3 length */
	uint16_t vid;       /* its VLAN; 0: they are not filtered, or it is for this link alone */
	uint16_t in_port;   /* number of the ingress port */
	uint16_t out_port;  /* number of the egress port when the verdict is one port */
	union {
		uint32_t dst_hash;  /* of {dst, vid} for the FDB; between the engine's loops */
		uint32_t flow_hash; /* after interception: core/flowhash.h */
	};
	union {
		uint32_t src_hash; /* of {src, vid}, likewise */
		uint32_t ring;     /* after interception: number of its list, EGRESS_RING() */
	};
	uint32_t mark; /* by rules, for rules: core/hook.h */
};
_Static_assert(sizeof(struct frame) == 64, "one cache line");

enum frame_verdict {
	FRAME_DROP,    /* already counted and its buffer put back */
	FRAME_UNICAST, /* to out_port */
	FRAME_FLOOD,   /* to all eligible ports; to the host as well if it is a group address */
	FRAME_HOST,    /* to the host's port only */
	FRAME_RING,    /* to a program's RX ring and nowhere else until it comes back */
	FRAME_VERDICT_N
};

/* The EtherTypes that the Linux bridge takes for VLAN tags; 0x9100 is payload here as there. */
#define FRAME_TAG_8021Q  0x8100u
#define FRAME_TAG_8021AD 0x88a8u
#define FRAME_TAG_SIZE   4u
#define FRAME_TAGS_MAX   2u

/* Two octets in network order. */
static inline uint16_t frame_be16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

/* A MAC address of which the caller knows that two more octets follow: one load, not two. */
static inline uint64_t frame_mac(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v) >> 16;
}

static inline bool frame_is_tag(uint16_t type)
{
	return type == FRAME_TAG_8021Q || type == FRAME_TAG_8021AD;
}

/*
 * Reads addresses, tags and EtherType from f->data and fills dst, src, n_tags and ethertype.
 * False when there are fewer than FRAME_HEADER_SIZE bytes. Never reads past f->len. A tag that is
 * cut off, or a third one, stays in ethertype. Any thread that owns the frame.
 *
 * Inline: it is the first thing done to each frame; a call costs 0.7 of 26 ns (bench_forward).
 */
static inline bool frame_parse(struct frame *f)
{
	uint32_t at = FRAME_HEADER_SIZE - 2;

	if (unlikely(f->len < FRAME_HEADER_SIZE))
		return false;
	f->dst = frame_mac(f->data);
	f->src = frame_mac(f->data + 6);
	f->n_tags = 0;
	f->ethertype = frame_be16(f->data + at);
	while (unlikely(frame_is_tag(f->ethertype)) && f->n_tags < FRAME_TAGS_MAX &&
	       f->len >= at + FRAME_TAG_SIZE + 2) {
		at += FRAME_TAG_SIZE;
		f->n_tags++;
		f->ethertype = frame_be16(f->data + at);
	}
	return true;
}

/* The VLAN in the tag in front of a parsed frame; 0: none. */
static inline uint16_t frame_tag_vid(const struct frame *f)
{
	return f->n_tags ? frame_be16(f->data + FRAME_HEADER_SIZE) & 0xfff : 0;
}
