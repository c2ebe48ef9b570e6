/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pass 2: from verdicts to lists of frames per egress port, with the rules of the Linux bridge
 * (should_deliver, br_flood, is_skb_forwardable).
 *
 * A frame that came in owns one reference of its buffer. Each list entry needs one: the first takes
 * over the frame's own, further ones are taken together when all takers are known.
 */
#include "core/bridge_internal.h"

#include "base/mac.h"

struct pass {
	struct bridge *br;
	struct egress *out;
	struct drop_set drops;
};

/*
 * The length that counts when f is longer than a port sends: its own, or a segment's if it is
 * GSO. hdr_len is no help there: kernels put the length of the first fragment in it. Headers that
 * contradict the GSO type are not judged here: the egress side drops those as GSO_MALFORMED.
 */
static _cold_ uint32_t wire_len(const struct frame *f)
{
	uint32_t hdr = f->csum_start;

	switch (f->gso) {
	case FRAME_GSO_TCPV4:
	case FRAME_GSO_TCPV6:
		if (hdr + 20 > f->len)
			return 0;
		hdr += (f->data[hdr + 12] >> 4) * 4u;
		break;
	case FRAME_GSO_UDP_L4:
		hdr += 8;
		break;
	default:
		return f->len;
	}
	return hdr + f->gso_size;
}

static inline uint32_t tag_allowance(const struct frame *f)
{
	return f->n_tags > 0 ? FRAME_TAG_SIZE : 0;
}

/* True when f is too long for p. Not asked for the host's port: there is no limit upwards, as in
 * Linux. */
static inline bool exceeds_mtu(const struct bport *p, const struct frame *f)
{
	uint32_t limit = p->max_len + tag_allowance(f);

	return unlikely(f->len > limit) && wire_len(f) > limit;
}

static inline bool both_isolated(const struct bport *in, const struct bport *p)
{
	return in->flags & p->flags & BPORT_ISOLATED_FLAG;
}

static _cold_ void drop(struct pass *s, struct bport *at, struct frame *f, enum drop_reason r)
{
	drop_set_add(&s->drops, at, f, r);
}

/* A copy for the host while its interface is promiscuous; the frame is on one list already. */
static void copy_to_host(struct pass *s, struct frame *f)
{
	struct bport *host = s->br->host;

	if (!host || !host->link_up || f->flags & FRAME_LOCAL)
		return;
	s->br->bufs.ref(s->br->bufs.ctx, f->buf, 1);
	egress_add(s->out, host->no, f);
}

static void to_host(struct pass *s, struct bport *in, struct frame *f)
{
	struct bport *host = s->br->host;

	if (likely(host && host->link_up))
		egress_add(s->out, host->no, f);
	else if (!host && mac_is_reserved(f->dst))
		drop(s, in, f, DROP_RESERVED);
	else
		drop(s, in, f, DROP_HOST_DOWN);
}

/* A known address. Its entry may point to a port that cannot send: static ones stay. */
static inline void to_port(struct pass *s, struct bport *in, struct frame *f)
{
	struct bport *p = port_by_no(s->br, f->out_port);

	if (unlikely(!p)) {
		drop(s, in, f, DROP_NO_EGRESS);
	} else if (unlikely(p->host)) {
		to_host(s, in, f);
	} else if (unlikely(!p->link_up)) {
		drop(s, p, f, DROP_TX_DOWN);
	} else if (unlikely(p->state != BPORT_FORWARDING)) {
		drop(s, in, f, DROP_EGRESS_STATE);
	} else if (unlikely(both_isolated(in, p))) {
		drop(s, in, f, DROP_ISOLATED);
	} else if (exceeds_mtu(p, f)) {
		drop(s, p, f, DROP_EGRESS_MTU);
	} else {
		egress_add(s->out, p->no, f);
		if (unlikely(s->br->set.promisc))
			copy_to_host(s, f);
	}
}

/* The flag that a port needs to be flooded with f; 0: none, for what the host itself sends. */
static uint8_t flood_flag(const struct frame *f)
{
	if (!mac_is_group(f->dst))
		return BPORT_FLOOD_FLAG;
	if (f->flags & FRAME_LOCAL)
		return 0;
	return f->dst == MAC_BROADCAST ? BPORT_BCAST_FLOOD_FLAG : BPORT_MCAST_FLOOD_FLAG;
}

/* Whether a flood reaches p at all; the frame's length is another question. A port without a link
 * is not forwarding. */
static inline bool floods_to(const struct bport *p, const struct bport *in, uint8_t need)
{
	return p->state == BPORT_FORWARDING && (p->flags & need) == need &&
	       (p != in || p->flags & BPORT_HAIRPIN_FLAG) && !both_isolated(in, p);
}

/* Everywhere: all eligible ports, and up to the host what is for groups. */
static void flood(struct pass *s, struct bport *in, struct frame *f)
{
	const struct bridge *br = s->br;
	const uint8_t need = flood_flag(f);
	const bool up = mac_is_group(f->dst) || br->set.promisc;
	uint32_t n = 0, n_long = 0;

	for (uint32_t i = 0; i < br->n_ports; i++) {
		struct bport *p = br->ports[i];

		if (p->host) {
			if (!up || p == in || !p->link_up)
				continue;
		} else if (!floods_to(p, in, need)) {
			continue;
		} else if (exceeds_mtu(p, f)) {
			bport_drop(p, DROP_EGRESS_MTU, 1);
			n_long++;
			continue;
		}
		egress_add(s->out, p->no, f);
		n++;
	}
	if (n > 1)
		br->bufs.ref(br->bufs.ctx, f->buf, n - 1);
	else if (n == 0 && n_long == 0)
		drop(s, in, f, DROP_NO_EGRESS);
	else if (n == 0) /* counted at the ports that it was too long for */
		s->drops.bufs[s->drops.n++] = f->buf;
}

void bridge_forward(struct bridge *br, struct batch *b, struct egress *out)
{
	struct pass s;

	s.br = br;
	s.out = out;
	s.drops.n = 0;
	for (uint32_t i = 0; i < b->n; i++) {
		struct frame *f = &b->frames[i];
		struct bport *in = br->by_no[f->in_port];

		switch (f->verdict) {
		case FRAME_UNICAST:
			to_port(&s, in, f);
			break;
		case FRAME_FLOOD:
			flood(&s, in, f);
			break;
		case FRAME_HOST:
			to_host(&s, in, f);
			break;
		default: /* dropped in pass 1 */
			break;
		}
	}
	drop_set_put(&s.drops, br);
}
