/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VLAN filtering (IEEE 802.1Q), with the rules and defaults of the Linux bridge (br_vlan.c): the
 * set of VLANs of a port, to which VLAN a frame belongs that comes in, and which tag it has when it
 * leaves. Pure: what the bridge does with it is in input.c, forward.c and bridge_vlan.c; the page
 * is docs/vlan.md.
 *
 * A frame's tag is its outermost one, and only if it is of the bridge's protocol; any other is
 * payload. VLAN 0 stands for "none": a tag with it carries a priority only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/batch.h"
#include "core/drop.h"
#include "core/frame.h"

#define VLAN_N      4096u
#define VLAN_ID_MAX 4094u /* 4095 is reserved */

enum vlan_flags {
	VLAN_PVID = 1 << 0,     /* frames without a VLAN belong to it */
	VLAN_UNTAGGED = 1 << 1, /* its frames leave without a tag */
};

/* The VLANs of a port. 64 of them share a line with what they look like, for one load. */
struct vlan_set {
	struct vlan_word {
		uint64_t member, untagged;
	} words[VLAN_N / 64];
	uint16_t pvid; /* 0: none; else a member */
};

/* Settings of a bridge, Linux names. */
struct vlan_settings {
	bool filtering;        /* vlan_filtering: off */
	bool stats;            /* vlan_stats_enabled: off */
	bool stats_per_port;   /* vlan_stats_per_port: off */
	uint16_t protocol;     /* vlan_protocol: FRAME_TAG_8021Q */
	uint16_t default_pvid; /* vlan_default_pvid, of new ports: 1; 0: none */
};

/* Of one VLAN. Whole frames, without FCS. */
struct vlan_counters {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
};

struct vlan_settings vlan_settings_default(void);

static inline bool vlan_has(const struct vlan_set *s, uint16_t vid)
{
	return s->words[vid / 64].member >> (vid % 64) & 1;
}

static inline bool vlan_is_untagged(const struct vlan_set *s, uint16_t vid)
{
	return s->words[vid / 64].untagged >> (vid % 64) & 1;
}

/*
 * Makes first to last (1 to VLAN_ID_MAX) members with these flags, or gives them these if they
 * were. VLAN_PVID only with one VLAN: it takes the place of another PVID, which stays a member.
 * Without VLAN_PVID a PVID in the range is none any more. Returns how many VLANs are not as before.
 */
uint32_t vlan_add(struct vlan_set *s, uint16_t first, uint16_t last, unsigned int flags);
/* Takes VLANs out; with the PVID's goes the PVID. Returns how many were there. */
uint32_t vlan_del(struct vlan_set *s, uint16_t first, uint16_t last);
/* enum vlan_flags of a member. */
unsigned int vlan_flags_of(const struct vlan_set *s, uint16_t vid);

/* VLANs in a row with the same flags. */
struct vlan_range {
	uint16_t first, last;
	unsigned int flags;
};
/* The range after *r (zeros: the first); the PVID stands alone. False at the end. */
bool vlan_next(const struct vlan_set *s, struct vlan_range *r);

/* The outermost tag of a parsed frame that has one: protocol and TCI. */
static inline uint32_t vlan_tag(const struct frame *f)
{
	uint32_t v;

	memcpy(&v, f->data + FRAME_HEADER_SIZE - 2, sizeof(v));
	return __builtin_bswap32(v);
}

/* Is f's outermost tag one of that protocol? f is parsed. */
static inline bool vlan_tagged(const struct frame *f, uint16_t protocol)
{
	return f->n_tags && vlan_tag(f) >> 16 == protocol;
}

/* The VLAN of a parsed frame that comes in on a port with these; 0: it may not, see below. */
static inline uint16_t vlan_of(const struct vlan_set *s, uint16_t protocol, const struct frame *f)
{
	uint32_t tag;
	uint16_t vid;

	if (!f->n_tags) /* what begins like a tag and is cut off has no VLAN at all */
		return unlikely(f->ethertype == protocol) ? 0 : s->pvid;
	tag = vlan_tag(f);
	vid = tag & (VLAN_N - 1);
	if (unlikely(tag >> 16 != protocol || !vid))
		return s->pvid;
	return vlan_has(s, vid) ? vid : 0;
}

/* Why vlan_of() was 0. */
enum drop_reason vlan_refuses(const struct vlan_set *s, uint16_t protocol, const struct frame *f);

/* What has to be done to a frame so that a port can send it. */
enum vlan_edit {
	VLAN_KEEP,
	VLAN_POP,  /* take the tag away */
	VLAN_PUSH, /* give it one */
	VLAN_SET,  /* fill the VLAN into a tag that only had a priority */
	VLAN_EDIT_N
};

/* For a frame of VLAN f->vid (not 0) and a port with these; one that is no member sends tagged. */
static inline enum vlan_edit vlan_edit_for(const struct vlan_set *s, uint16_t protocol,
					   const struct frame *f)
{
	const bool untagged = vlan_is_untagged(s, f->vid);
	uint32_t tag;

	if (!f->n_tags)
		return untagged ? VLAN_KEEP : VLAN_PUSH;
	tag = vlan_tag(f);
	if (unlikely(tag >> 16 != protocol))
		return untagged ? VLAN_KEEP : VLAN_PUSH;
	if (untagged)
		return VLAN_POP;
	return likely(tag & (VLAN_N - 1)) ? VLAN_KEEP : VLAN_SET;
}

/* By how much an edit makes a frame longer. */
static inline int32_t vlan_growth(enum vlan_edit e)
{
	return e == VLAN_PUSH ? (int32_t)FRAME_TAG_SIZE
			      : (e == VLAN_POP ? -(int32_t)FRAME_TAG_SIZE : 0);
}

/* Neither offload fields that say where something is, nor tags that were not looked through. */
static inline bool vlan_is_plain(const struct frame *f)
{
	return likely(!((f->flags & FRAME_CSUM_PARTIAL) | f->gso | f->hdr_len) &&
		      f->n_tags < FRAME_TAGS_MAX && !frame_is_tag(f->ethertype));
}

#define VLAN_ADDRESSES 12u /* bytes in front of a tag */
#define VLAN_SHORT     64u /* bytes behind them that are moved without a call */
_Static_assert(VLAN_ADDRESSES + FRAME_TAG_SIZE + VLAN_SHORT <= BATCH_ROOM, "room to move them");

/* A frame whose EtherType comes 4 bytes earlier; it begins later by as much. */
static inline void vlan_pop_plain(struct frame *f)
{
	uint64_t a;
	uint32_t b;

	memcpy(&a, f->data, sizeof(a));
	memcpy(&b, f->data + sizeof(a), sizeof(b));
	f->data += FRAME_TAG_SIZE;
	memcpy(f->data, &a, sizeof(a));
	memcpy(f->data + sizeof(a), &b, sizeof(b));
	f->len -= FRAME_TAG_SIZE;
	f->n_tags--;
}

static inline void vlan_push_plain(struct frame *f, uint16_t protocol)
{
	const uint32_t tag = __builtin_bswap32((uint32_t)protocol << 16 | f->vid);
	uint8_t *p = f->data + VLAN_ADDRESSES, rest[VLAN_SHORT];

	memcpy(rest, p, sizeof(rest));
	memcpy(p + FRAME_TAG_SIZE, rest, sizeof(rest));
	memcpy(p, &tag, sizeof(tag));
	f->len += FRAME_TAG_SIZE;
	f->n_tags++;
}

/*
 * vlan_edit() for most frames, in a buffer of which batch.alone holds: plain ones that are short or
 * lose their tag. False, and nothing is done: ask vlan_edit(). Inline and without a call, which is
 * 3 of the 37 ns that a frame took (bench_features, vlan_mixed); two thirds of that are the
 * question whether others have the buffer.
 */
static inline bool vlan_edit_plain(struct frame *f, enum vlan_edit e, uint16_t protocol)
{
	if (unlikely(e == VLAN_SET || !vlan_is_plain(f)))
		return false;
	if (e == VLAN_POP)
		vlan_pop_plain(f);
	else if (f->len <= VLAN_ADDRESSES + VLAN_SHORT)
		vlan_push_plain(f, protocol);
	else
		return false;
	return true;
}

/*
 * Does the edit in f's own buffer, which has one reference. Offload fields follow. False, and f is
 * as before, when a tag has no room there.
 */
bool vlan_edit(struct frame *f, enum vlan_edit e, uint16_t protocol, const struct buf_ops *bufs);
/* The same into a buffer of *ret's own, with one reference. False: no buffer. */
bool vlan_edit_copy(const struct frame *f, enum vlan_edit e, uint16_t protocol,
		    const struct buf_ops *bufs, struct frame *ret);
