/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The step `intercept` of pass 1: after everything that pass 1 decides, when some program takes
 * frames of that side. A frame that pass 2 would drop keeps its verdict, so that it is dropped
 * there with its reason and never shown.
 */
#include "core/bridge_internal.h"
#include "core/eligible.h"
#include "core/inject.h"

struct diversion {
	struct bridge *br;
	struct bport *in;
	struct batch *b;
	struct drop_set *drops;
	struct intercept_side_state *side;
	enum intercept_side no;
};

/* Somebody gets a flood of f: a port that it fits, or the host. */
static bool floods_anywhere(const struct bridge *br, const struct bport *in, const struct frame *f)
{
	const uint8_t need = flood_flag(f);

	if (floods_to_host(br, in, f))
		return true;
	for (uint32_t i = 0; i < br->n_ports; i++) {
		const struct bport *p = br->ports[i];

		if (!p->host && floods_to(p, in, f, need) && !exceeds_mtu(br, p, f))
			return true;
	}
	return false;
}

/* Whether pass 2 would send f to anybody. */
static inline bool goes_on(const struct bridge *br, const struct bport *in, const struct frame *f)
{
	const struct bport *p;

	if (unlikely(br->kind != BRIDGE_OWN)) /* the kernel will see */
		return true;
	if (unlikely(f->verdict == FRAME_FLOOD))
		return floods_anywhere(br, in, f);
	if (unlikely(f->verdict == FRAME_HOST))
		return host_refuses(br, f) == DROP_N;
	p = port_by_no(br, f->out_port);
	if (unlikely(p && p->host))
		return host_refuses(br, f) == DROP_N;
	return port_refuses(br, in, p, f) == DROP_N;
}

/*
 * Spanning tree, when it is on, consumes 00 before this step; with it off, 00 is multicast like any
 * other, and pause has been dropped. Mode `copy` shows the others: nobody is cut off by that.
 */
static _cold_ enum intercept_action wanted_reserved(const struct diversion *v)
{
	if (v->side->action == INTERCEPT_DO_COPY)
		return INTERCEPT_DO_COPY;
	switch (v->br->intercept.set.reserved) {
	case INTERCEPT_SHOW:
		return INTERCEPT_DO_COPY;
	case INTERCEPT_TAKE:
		return INTERCEPT_DO_TAKE;
	default:
		return INTERCEPT_DO_NOTHING;
	}
}

/*
 * Mode `local`: what the host gets. Copies for a promiscuous host do not count. Of a bridge of the
 * kernel only what the host gets is taken in the first place.
 */
static enum intercept_action wanted_local(const struct diversion *v, const struct frame *f)
{
	const struct bport *p;

	if (v->br->kind != BRIDGE_OWN)
		return INTERCEPT_DO_TAKE;
	if (v->no == INTERCEPT_HOST || f->verdict == FRAME_HOST)
		return INTERCEPT_DO_TAKE;
	if (f->verdict == FRAME_FLOOD)
		return mac_is_group(f->dst) && host_refuses(v->br, f) == DROP_N
			       ? INTERCEPT_DO_LOCAL
			       : INTERCEPT_DO_NOTHING;
	p = port_by_no(v->br, f->out_port);
	return p && p->host ? INTERCEPT_DO_TAKE : INTERCEPT_DO_NOTHING;
}

static inline enum intercept_action wanted(const struct diversion *v, const struct frame *f)
{
	if (unlikely(mac_is_reserved(f->dst) && (f->dst & 0xf) != 0))
		return wanted_reserved(v);
	if (unlikely(v->side->action == INTERCEPT_DO_LOCAL))
		return wanted_local(v, f);
	return (enum intercept_action)v->side->action;
}

/* What the user's expressions leave out. */
static inline bool excepted(const struct intercept_settings *s, const struct frame *f)
{
	return (unlikely(s->exempt.fn) && s->exempt.fn(s->exempt.ctx, f)) ||
	       (unlikely(s->filter.fn) && !s->filter.fn(s->filter.ctx, f));
}

static inline bool is_oversize(const struct intercept_settings *s, const struct frame *f)
{
	return unlikely(f->len > s->slot_len) && bridge_wire_len(f) > s->slot_len;
}

/* Not to be inspected, by whatever reason: dropped, or the host's share of it. */
static _cold_ void refuse(struct diversion *v, struct frame *f, enum intercept_action a,
			  enum drop_reason r)
{
	if (a == INTERCEPT_DO_LOCAL) {
		count_drop(v->br, v->in, f, r);
		f->flags |= FRAME_NO_HOST;
	} else {
		drop_set_add(v->drops, v->in, f, r);
	}
}

/* A frame too long for a slot. True when that settles it. */
static _cold_ bool settle_oversize(struct diversion *v, struct frame *f, enum intercept_action a)
{
	if (v->br->intercept.set.oversize == INTERCEPT_OVERSIZE_MULTISLOT)
		return false;
	if (v->br->intercept.set.oversize == INTERCEPT_OVERSIZE_PASS || a == INTERCEPT_DO_COPY) {
		v->side->counters.oversize++;
		STEP(v->br, f, NULL, INTERCEPT, .result = TRACE_INTERCEPT_OVERSIZE);
	} else {
		refuse(v, f, a, DROP_RING_OVERSIZE);
	}
	return true;
}

static inline void show(struct diversion *v, struct frame *f, uint8_t flags)
{
	f->flags |= FRAME_SHOWN | flags;
	v->b->n_shown++;
}

/* With one ring, only those ask for the flow of a frame that put segments together (regroup.c). */
static inline uint32_t flow_of(const struct diversion *v, const struct frame *f)
{
	const struct intercept *ic = &v->br->intercept;

	return ic->set.n_rings[v->no] > 1 || f->gso ? flowhash(&ic->key, f) : 0;
}

/* Chooses f's ring; false when nobody is there. */
static inline bool choose_ring(struct diversion *v, struct frame *f)
{
	const struct intercept *ic = &v->br->intercept;
	uint32_t hash = flow_of(v, f);
	uint32_t ring = (uint32_t)((uint64_t)hash * ic->set.n_rings[v->no] >> 32);

	if (unlikely(!(v->side->live >> ring & 1)))
		return false;
	f->flow_hash = hash;
	f->ring = EGRESS_RING(v->no, ring);
	return true;
}

/* A copy that a driver made: to a ring, or nowhere. */
static _cold_ void divert_copy(struct diversion *v, struct frame *f)
{
	const struct intercept_settings *s = &v->br->intercept.set;

	if (wanted(v, f) == INTERCEPT_DO_NOTHING || excepted(s, f) ||
	    (is_oversize(s, f) && s->oversize != INTERCEPT_OVERSIZE_MULTISLOT) ||
	    !choose_ring(v, f)) {
		give_copy_back(v->side, f, v->drops);
		return;
	}
	v->side->counters.copied++;
	STEP(v->br, f, NULL, INTERCEPT, .result = TRACE_INTERCEPT_COPIED, .value = f->ring);
	f->flags |= FRAME_SHOWN;
	f->verdict = FRAME_RING;
}

static inline void divert(struct diversion *v, struct frame *f, enum intercept_action a)
{
	const struct intercept *ic = &v->br->intercept;
	bool live = choose_ring(v, f);

	if (a == INTERCEPT_DO_COPY && !live)
		return;
	if (unlikely(!live)) {
		if (ic->set.fail == INTERCEPT_CLOSED) {
			refuse(v, f, a, DROP_NOT_INSPECTED);
			return;
		}
		v->side->counters.uninspected++;
		STEP(v->br, f, NULL, INTERCEPT, .result = TRACE_INTERCEPT_NOBODY);
		return;
	}
	if (a == INTERCEPT_DO_COPY) {
		v->side->counters.copied++;
		STEP(v->br, f, NULL, INTERCEPT, .result = TRACE_INTERCEPT_COPIED, .value = f->ring);
		show(v, f, 0);
		return;
	}
	v->side->counters.taken++;
	STEP(v->br, f, NULL, INTERCEPT, .value = f->ring,
	     .result = a == INTERCEPT_DO_LOCAL ? TRACE_INTERCEPT_LOCAL : TRACE_INTERCEPT_TAKEN);
	if (a == INTERCEPT_DO_LOCAL)
		show(v, f, FRAME_NO_HOST);
	else
		f->verdict = FRAME_RING;
}

void bridge_divert(struct bridge *br, struct bport *in, struct batch *b, struct drop_set *d)
{
	const struct intercept_settings *s = &br->intercept.set;
	struct diversion v = {br, in, b, d, NULL, in->host ? INTERCEPT_HOST : INTERCEPT_NIC};

	v.side = &br->intercept.sides[v.no];
	for (uint32_t i = 0; i < b->n; i++) {
		struct frame *f = &b->frames[i];
		enum intercept_action a;

		if (unlikely(f->verdict == FRAME_DROP))
			continue;
		if (unlikely(f->flags & FRAME_COPY)) {
			divert_copy(&v, f);
			continue;
		}
		a = wanted(&v, f);
		if (a == INTERCEPT_DO_NOTHING || !goes_on(br, in, f))
			continue;
		if (unlikely(excepted(s, f))) {
			v.side->counters.exempted++;
			STEP(br, f, NULL, INTERCEPT, .result = TRACE_INTERCEPT_EXEMPT);
			continue;
		}
		if (unlikely(is_oversize(s, f)) && settle_oversize(&v, f, a))
			continue;
		divert(&v, f, a);
	}
}

void bridge_origin(const struct bridge *br, const struct frame *f, uint64_t now_ns,
		   struct origin *ret)
{
	const struct bport *in = port_by_no(br, f->in_port);

	*ret = (struct origin){
		.time_ns = now_ns,
		.generation = in ? in->generation : 0,
		.flow_hash = f->flow_hash,
		.port = f->in_port,
		.ring = (uint8_t)EGRESS_RING_OF(f->ring),
		.mirrored = f->mirrored,
	};
	if (unlikely(f->flags & FRAME_TRACED) && br->trace)
		ret->journey = trace_ticket(br->trace, f);
	if (f->flags & FRAME_SHOWN)
		ret->flags = f->flags & FRAME_NO_HOST ? ORIGIN_HOST_ONLY : ORIGIN_COPY;
	if (unlikely(mac_is_reserved(f->dst)))
		ret->reserved = (uint8_t)(1 + (f->dst & 0xf));
}
