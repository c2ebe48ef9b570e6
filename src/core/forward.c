/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pass 2: from verdicts to lists of frames per egress port, with the rules of the Linux bridge
 * (should_deliver, br_flood, is_skb_forwardable).
 *
 * A frame that came in owns one reference of its buffer. Each list entry needs one: the first takes
 * over the frame's own, further ones are taken together when all takers are known.
 */
#include "base/mac.h"
#include "core/bridge_internal.h"
#include "core/eligible.h"

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
_cold_ uint32_t bridge_wire_len(const struct frame *f)
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
	enum drop_reason r = host_refuses(s->br, f);

	if (likely(r == DROP_N))
		egress_add(s->out, s->br->host->no, f);
	else
		drop(s, in, f, r);
}

/* A known address. Its entry may point to a port that cannot send: static ones stay. */
static inline void to_port(struct pass *s, struct bport *in, struct frame *f)
{
	struct bport *p = port_by_no(s->br, f->out_port);
	enum drop_reason r;

	if (unlikely(p && p->host)) {
		to_host(s, in, f);
		return;
	}
	r = port_refuses(in, p, f);
	if (unlikely(r != DROP_N)) {
		drop(s, refused_at(in, p, r), f, r);
		return;
	}
	egress_add(s->out, p->no, f);
	if (unlikely(s->br->set.promisc))
		copy_to_host(s, f);
}

/* Everywhere: all eligible ports, and up to the host what is for groups. */
static void flood(struct pass *s, struct bport *in, struct frame *f)
{
	const struct bridge *br = s->br;
	const uint8_t need = flood_flag(f);
	const bool up = floods_to_host(br, in, f);
	uint32_t n = 0, n_long = 0;

	for (uint32_t i = 0; i < br->n_ports; i++) {
		struct bport *p = br->ports[i];

		if (p->host) {
			if (!up || !p->link_up)
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
	else if (n == 0 && n_long == 0 && !(f->flags & FRAME_NO_HOST))
		drop(s, in, f, DROP_NO_EGRESS);
	else if (n == 0) /* counted where it was too long, or the host's share is dealt with */
		s->drops.bufs[s->drops.n++] = f->buf;
}

/* Frames that go on and are shown to a program as well. */
static _cold_ void show(struct pass *s, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct frame *f = &b->frames[i];

		if (f->verdict == FRAME_DROP || f->verdict == FRAME_RING ||
		    !(f->flags & FRAME_SHOWN))
			continue;
		s->br->bufs.ref(s->br->bufs.ctx, f->buf, 1);
		egress_add(s->out, (uint16_t)f->ring, f);
	}
}

static inline void forward(struct pass *s, struct frame *f)
{
	struct bport *in = ingress_of(s->br, f);

	if (unlikely(s->br->kind != BRIDGE_OWN)) {
		through_forward(s->br, in, f, s->out, &s->drops);
		return;
	}
	switch (f->verdict) {
	case FRAME_UNICAST:
		to_port(s, in, f);
		break;
	case FRAME_FLOOD:
		flood(s, in, f);
		break;
	case FRAME_HOST:
		to_host(s, in, f);
		break;
	case FRAME_RING:
		egress_add(s->out, (uint16_t)f->ring, f);
		break;
	default: /* dropped in pass 1 */
		break;
	}
}

void bridge_forward(struct bridge *br, struct batch *b, struct egress *out)
{
	struct pass s;

	s.br = br;
	s.out = out;
	s.drops.n = 0;
	if (unlikely(b->n_shown))
		show(&s, b);
	for (uint32_t i = 0; i < b->n; i++)
		forward(&s, &b->frames[i]);
	drop_set_put(&s.drops, br);
}

void bridge_forward_one(struct bridge *br, struct frame *f, struct egress *out)
{
	struct pass s;

	s.br = br;
	s.out = out;
	s.drops.n = 0;
	forward(&s, f);
	drop_set_put(&s.drops, br);
}
