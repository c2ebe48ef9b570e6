/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/vlan.h"

#include <assert.h>
#include <string.h>

struct vlan_settings vlan_settings_default(void)
{
	return (struct vlan_settings){.protocol = FRAME_TAG_8021Q, .default_pvid = 1};
}

/* ---- sets ---- */

static void set_bit(uint64_t *word, uint16_t vid, bool on)
{
	const uint64_t bit = 1ULL << (vid % 64);

	*word = on ? *word | bit : *word & ~bit;
}

unsigned int vlan_flags_of(const struct vlan_set *s, uint16_t vid)
{
	return (s->pvid == vid ? VLAN_PVID : 0) | (vlan_is_untagged(s, vid) ? VLAN_UNTAGGED : 0);
}

uint32_t vlan_add(struct vlan_set *s, uint16_t first, uint16_t last, unsigned int flags)
{
	uint32_t n = 0;

	assert(first >= 1 && first <= last && last <= VLAN_ID_MAX);
	assert(!(flags & VLAN_PVID) || first == last);
	for (uint32_t i = first; i <= last; i++) {
		const uint16_t vid = (uint16_t)i;
		struct vlan_word *w = &s->words[vid / 64];

		if (vlan_has(s, vid) && vlan_flags_of(s, vid) == flags)
			continue;
		set_bit(&w->member, vid, true);
		set_bit(&w->untagged, vid, flags & VLAN_UNTAGGED);
		if (flags & VLAN_PVID)
			s->pvid = vid;
		else if (s->pvid == vid)
			s->pvid = 0;
		n++;
	}
	return n;
}

uint32_t vlan_del(struct vlan_set *s, uint16_t first, uint16_t last)
{
	uint32_t n = 0;

	assert(first >= 1 && first <= last && last <= VLAN_ID_MAX);
	for (uint32_t i = first; i <= last; i++) {
		const uint16_t vid = (uint16_t)i;
		struct vlan_word *w = &s->words[vid / 64];

		n += vlan_has(s, vid);
		set_bit(&w->member, vid, false);
		set_bit(&w->untagged, vid, false);
		if (s->pvid == vid)
			s->pvid = 0;
	}
	return n;
}

bool vlan_next(const struct vlan_set *s, struct vlan_range *r)
{
	uint32_t vid = r->last + 1u;

	while (vid <= VLAN_ID_MAX && !vlan_has(s, (uint16_t)vid))
		vid++;
	if (vid > VLAN_ID_MAX)
		return false;
	r->first = r->last = (uint16_t)vid;
	r->flags = vlan_flags_of(s, r->first);
	while (r->last < VLAN_ID_MAX && vlan_has(s, (uint16_t)(r->last + 1)) &&
	       vlan_flags_of(s, (uint16_t)(r->last + 1)) == r->flags)
		r->last++;
	return true;
}

/* ---- frames ---- */

enum drop_reason vlan_refuses(const struct vlan_set *s, uint16_t protocol, const struct frame *f)
{
	if (f->ethertype == protocol && !f->n_tags)
		return DROP_RUNT;
	if (vlan_tagged(f, protocol) && vlan_tag(f) & (VLAN_N - 1))
		return DROP_VLAN_INGRESS;
	assert(!s->pvid);
	return DROP_VLAN_NO_PVID;
}

static void write_tag(uint8_t *frame, uint16_t protocol, uint16_t tci)
{
	const uint32_t v = __builtin_bswap32((uint32_t)protocol << 16 | tci);

	memcpy(frame + VLAN_ADDRESSES, &v, sizeof(v));
}

/* The frame begins earlier or later by a tag. */
static void move_addresses(struct frame *f, int32_t by)
{
	uint8_t a[VLAN_ADDRESSES]; /* read whole before any is written, and without a call */

	memcpy(a, f->data, sizeof(a));
	f->data += by;
	memcpy(f->data, a, sizeof(a));
}

/* What the descriptor says of the bytes, after they have changed. */
static void follow(struct frame *f, enum vlan_edit e)
{
	const int32_t by = vlan_growth(e);

	f->len = (uint32_t)((int32_t)f->len + by);
	if (f->flags & FRAME_CSUM_PARTIAL || f->gso)
		f->csum_start = (uint16_t)(f->csum_start + by);
	if (f->hdr_len)
		f->hdr_len = (uint16_t)(f->hdr_len + by);
	f->n_tags = (uint8_t)(f->n_tags + by / (int32_t)FRAME_TAG_SIZE);
	/* More than two tags, or half of one, were not looked through: not by this then. */
	if (unlikely(f->n_tags > FRAME_TAGS_MAX || frame_is_tag(f->ethertype)))
		(void)frame_parse(f);
}

/* Four bytes between addresses and EtherType: by moving what is in front, else what is behind. */
static bool make_room(struct frame *f, const struct buf_ops *bufs)
{
	uint32_t before, from;

	bufs->room(bufs->ctx, f->buf, f->data, &before, &from);
	if (before >= FRAME_TAG_SIZE) {
		move_addresses(f, -(int32_t)FRAME_TAG_SIZE);
		return true;
	}
	if (from < f->len + FRAME_TAG_SIZE)
		return false;
	memmove(f->data + VLAN_ADDRESSES + FRAME_TAG_SIZE, f->data + VLAN_ADDRESSES,
		f->len - VLAN_ADDRESSES);
	return true;
}

bool vlan_edit(struct frame *f, enum vlan_edit e, uint16_t protocol, const struct buf_ops *bufs)
{
	switch (e) {
	case VLAN_POP:
		move_addresses(f, FRAME_TAG_SIZE);
		break;
	case VLAN_PUSH:
		if (!make_room(f, bufs))
			return false;
		write_tag(f->data, protocol, f->vid);
		break;
	case VLAN_SET:
		write_tag(f->data, protocol, (uint16_t)(vlan_tag(f) | f->vid));
		return true;
	default:
		return true;
	}
	follow(f, e);
	return true;
}

bool vlan_edit_copy(const struct frame *f, enum vlan_edit e, uint16_t protocol,
		    const struct buf_ops *bufs, struct frame *ret)
{
	/* Where the rest of the frame goes on, in the one and in the other. */
	const uint32_t from = VLAN_ADDRESSES + (e == VLAN_POP ? FRAME_TAG_SIZE : 0);
	const uint32_t to = VLAN_ADDRESSES + (e == VLAN_PUSH ? FRAME_TAG_SIZE : 0);
	uint8_t *data;
	uint32_t buf = bufs->get(bufs->ctx, f->len - from + to, &data);

	if (!buf)
		return false;
	memcpy(data, f->data, VLAN_ADDRESSES);
	memcpy(data + to, f->data + from, f->len - from);
	if (e == VLAN_PUSH)
		write_tag(data, protocol, f->vid);
	else if (e == VLAN_SET)
		write_tag(data, protocol, (uint16_t)(vlan_tag(f) | f->vid));
	*ret = *f;
	ret->data = data;
	ret->buf = buf;
	follow(ret, e);
	return true;
}
