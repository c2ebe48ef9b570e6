/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pass 2: from verdicts to lists of frames per egress port, with the rules of the Linux bridge
 * (should_deliver, br_flood, is_skb_forwardable).
 *
 * A frame that came in owns one reference of its buffer. Each list entry needs one: the first takes
 * over the frame's own, further ones are taken together when all takers are known.
 *
 * While VLANs are filtered, ports may want the frame with another tag than it has. They wait until
 * all takers are known, for what nobody else wants is changed where it is; otherwise each form is
 * copied once, whoever gets it.
 */
#include <assert.h>

#include "base/mac.h"
#include "base/probe.h"
#include "core/bridge_internal.h"
#include "core/eligible.h"

struct pass {
	struct bridge *br;
	struct egress *out;
	bool alone; /* of the batch, but mirrors and programs may have some of it by now */
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

/* Takers of one frame that want another form. At most two differ: a tag that only has a priority
 * loses it here and gets a VLAN there. */
struct forms {
	uint32_t n_keep; /* on their lists already */
	uint32_t n[VLAN_EDIT_N];
	struct bport *takers[2][PORTS_MAX];
};

static inline struct bport **takers_of(struct forms *w, enum vlan_edit e)
{
	return w->takers[e == VLAN_SET];
}

static void forms_init(struct forms *w)
{
	w->n_keep = 0;
	for (int e = 0; e < VLAN_EDIT_N; e++)
		w->n[e] = 0;
}

static _cold_ void drop(struct pass *s, struct bport *at, struct frame *f, enum drop_reason r)
{
	drop_set_add(&s->drops, at, f, r);
}

static inline void put_on(struct pass *s, const struct bport *p, struct frame *f)
{
	STEP(s->br, f, p, EGRESS);
	egress_add(s->out, p->no, f);
}

/* ---- VLANs ---- */

static void count_tx(struct vlan_counters *c, const struct frame *f, enum vlan_edit e)
{
	c->tx_packets++;
	c->tx_bytes += (uint32_t)((int32_t)f->len + vlan_growth(e));
}

/* What p needs of f, which has a VLAN, and counts it. */
static inline enum vlan_edit edit_counted(const struct pass *s, const struct bport *p,
					  const struct frame *f)
{
	const enum vlan_edit e = vlan_edit_for(&p->vlans, s->br->vlan.set.protocol, f);

	if (unlikely(s->br->vlan.counters)) {
		count_tx(&s->br->vlan.counters[f->vid], f, e);
		if (p->vlan_counters)
			count_tx(&p->vlan_counters[f->vid], f, e);
	}
	return e;
}

/* p takes f, as one of several. */
static void give(struct pass *s, struct bport *p, struct frame *f, struct forms *w)
{
	const enum vlan_edit e = edit_counted(s, p, f);

	if (e == VLAN_KEEP) {
		w->n_keep++;
		put_on(s, p, f);
	} else {
		takers_of(w, e)[w->n[e]++] = p;
	}
}

/* A form of f with its own bytes; NULL: no buffer. */
static struct frame *copy_form(struct pass *s, const struct frame *f, enum vlan_edit e)
{
	struct egress *out = s->out;
	struct frame *form = &out->forms[out->n_forms];

	assert(out->n_forms < EGRESS_FORMS_MAX);
	if (!vlan_edit_copy(f, e, s->br->vlan.set.protocol, &s->br->bufs, form))
		return NULL;
	out->n_forms++;
	if (TRACED && f->flags & FRAME_TRACED)
		trace_alias(s->br->trace, f, form->buf);
	return form;
}

/* Edits f itself if `free`: nobody else has its bytes. Returns what is to be sent, or NULL. */
static struct frame *make_form(struct pass *s, struct frame *f, enum vlan_edit e, bool free)
{
	if (free && vlan_edit(f, e, s->br->vlan.set.protocol, &s->br->bufs))
		return f;
	return copy_form(s, f, e);
}

/* Gives a form to all who want it. True if it is f itself, whose reference is used up then. */
static bool give_form(struct pass *s, struct frame *f, struct forms *w, enum vlan_edit e, bool free)
{
	struct frame *form = make_form(s, f, e, free);

	for (uint32_t i = 0; i < w->n[e]; i++) {
		struct bport *p = takers_of(w, e)[i];

		if (form) {
			STEP(s->br, form, p, TAG, .result = (uint8_t)e, .vid = f->vid);
			put_on(s, p, form);
		} else {
			count_drop(s->br, p, f, DROP_NO_BUFFER);
		}
	}
	if (form && w->n[e] > 1)
		s->br->bufs.ref(s->br->bufs.ctx, form->buf, w->n[e] - 1);
	return form == f;
}

/* All takers are known, and there is at least one. */
static void give_forms(struct pass *s, struct frame *f, struct forms *w)
{
	const struct buf_ops *bufs = &s->br->bufs;
	bool used = w->n_keep > 0;

	if (w->n_keep > 1)
		bufs->ref(bufs->ctx, f->buf, w->n_keep - 1);
	/* SET before POP: that finds a tag either way. */
	for (enum vlan_edit e = VLAN_SET; e > VLAN_KEEP; e--) {
		if (w->n[e] > 0)
			used |= give_form(s, f, w, e, !used && bufs->refs(bufs->ctx, f->buf) == 1);
	}
	if (!used)
		s->drops.bufs[s->drops.n++] = f->buf;
}

/* ---- takers ---- */

static void send_edited(struct pass *s, struct bport *p, struct frame *f, enum vlan_edit e)
{
	const struct buf_ops *bufs = &s->br->bufs;
	struct frame *form = make_form(s, f, e, bufs->refs(bufs->ctx, f->buf) == 1);

	if (unlikely(!form)) {
		drop(s, p, f, DROP_NO_BUFFER);
		return;
	}
	if (form != f)
		s->drops.bufs[s->drops.n++] = f->buf;
	STEP(s->br, form, p, TAG, .result = (uint8_t)e, .vid = form->vid);
	put_on(s, p, form);
}

/* May f, whose only taker is known, be changed where it is? False: perhaps. */
static inline bool is_alone(const struct pass *s, const struct frame *f)
{
	return s->alone && likely(!f->mirrored && !(f->flags & FRAME_SHOWN));
}

/* Hands f over to p alone: its reference goes with it. */
static inline void send(struct pass *s, struct bport *p, struct frame *f)
{
	enum vlan_edit e;

	if (unlikely(f->vid)) {
		e = edit_counted(s, p, f);
		if (e != VLAN_KEEP &&
		    !(is_alone(s, f) && vlan_edit_plain(f, e, s->br->vlan.set.protocol))) {
			send_edited(s, p, f, e);
			return;
		}
		if (e != VLAN_KEEP)
			STEP(s->br, f, p, TAG, .result = (uint8_t)e, .vid = f->vid);
	}
	put_on(s, p, f);
}

/* ---- rules ---- */

/* True when a copy of f may go out on p: rules may drop it (counted). */
static inline bool leaves(struct pass *s, struct bport *in, const struct bport *p, struct frame *f)
{
	return likely(!s->br->steps) || bridge_leaves(s->br, in, p, f);
}

/* Nobody takes f, and that is counted already. */
static void let_go(struct pass *s, struct frame *f)
{
	s->drops.bufs[s->drops.n++] = f->buf;
}

/* To a port and, while its interface is promiscuous, to the host as well. */
static _cold_ void send_promisc(struct pass *s, struct bport *in, struct bport *p, struct frame *f)
{
	struct bport *host = s->br->host;
	const bool to_p = leaves(s, in, p, f);
	const bool up =
		host && host->link_up && !(f->flags & FRAME_LOCAL) && leaves(s, in, host, f);
	struct forms w;

	if (!to_p && !up) {
		let_go(s, f);
	} else if (!to_p || !up) {
		send(s, to_p ? p : host, f);
	} else if (!f->vid) {
		put_on(s, p, f);
		s->br->bufs.ref(s->br->bufs.ctx, f->buf, 1);
		put_on(s, host, f);
	} else {
		forms_init(&w);
		give(s, p, f, &w);
		give(s, host, f, &w);
		give_forms(s, f, &w);
	}
}

static void to_host(struct pass *s, struct bport *in, struct frame *f)
{
	enum drop_reason r = host_refuses(s->br, f);

	if (unlikely(r != DROP_N))
		drop(s, in, f, r);
	else if (likely(leaves(s, in, s->br->host, f)))
		send(s, s->br->host, f);
	else
		let_go(s, f);
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
	r = port_refuses(s->br, in, p, f);
	if (unlikely(r != DROP_N)) {
		drop(s, refused_at(in, p, r), f, r);
		return;
	}
	if (unlikely(s->br->set.promisc))
		send_promisc(s, in, p, f);
	else if (likely(leaves(s, in, p, f)))
		send(s, p, f);
	else
		let_go(s, f);
}

/* Everywhere: all eligible ports, and up to the host what is for groups. */
static void flood(struct pass *s, struct bport *in, struct frame *f)
{
	const struct bridge *br = s->br;
	const uint8_t need = flood_flag(f);
	const bool up = floods_to_host(br, in, f), edits = f->vid != 0;
	uint32_t n = 0, n_refused = 0;
	struct forms w;

	if (unlikely(edits))
		forms_init(&w);
	for (uint32_t i = 0; i < br->n_ports; i++) {
		struct bport *p = br->ports[i];

		if (p->host) {
			if (!up)
				continue;
		} else if (!floods_to(p, in, f, need)) {
			continue;
		} else if (exceeds_mtu(br, p, f)) {
			count_drop(s->br, p, f, DROP_EGRESS_MTU);
			n_refused++;
			continue;
		}
		if (unlikely(!leaves(s, in, p, f))) {
			n_refused++;
			continue;
		}
		n++;
		if (likely(!edits))
			put_on(s, p, f);
		else
			give(s, p, f, &w);
	}
	if (unlikely(edits) && n > 0)
		give_forms(s, f, &w);
	else if (n > 1)
		br->bufs.ref(br->bufs.ctx, f->buf, n - 1);
	else if (n == 0 && n_refused == 0 && !(f->flags & FRAME_NO_HOST))
		drop(s, in, f, DROP_NO_EGRESS);
	else if (n == 0) /* counted where it was refused, or the host's share is dealt with */
		let_go(s, f);
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

	if (!TRACED)
		PROBE(forward, br->name, b->n);
	if (round_is_traced(br)) {
		bridge_forward_traced(br, b, out);
		return;
	}
	s.br = br;
	s.out = out;
	s.alone = b->alone;
	drop_set_init(&s.drops, br);
	if (unlikely(b->n_shown))
		show(&s, b);
	for (uint32_t i = 0; i < b->n; i++)
		forward(&s, &b->frames[i]);
	if (unlikely(br->mirrors.n))
		mirror_flush(br, out);
	drop_set_put(&s.drops);
}

void bridge_forward_one(struct bridge *br, struct frame *f, struct egress *out)
{
	struct pass s;

	s.br = br;
	s.out = out;
	s.alone = false;
	drop_set_init(&s.drops, br);
	forward(&s, f);
	if (unlikely(br->mirrors.n))
		mirror_flush(br, out);
	drop_set_put(&s.drops);
}
