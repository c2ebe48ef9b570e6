/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pass 1 for frames from netmap programs. The program may have written anything, so they are parsed
 * again; only their origin comes from records. What has changed meanwhile counts: state of the
 * port, settings, FDB. What does not: the link of the port (it had received the frame), the FDB
 * entry of the source, whether the source is valid at all.
 */
#include "core/inject.h"

#include <assert.h>

#include "core/bridge_internal.h"
#include "core/eligible.h"

static const struct origin unknown = {.how = ORIGIN_UNKNOWN};

struct injection {
	struct bridge *br;
	struct intercept_side_state *state;
	enum intercept_side side;
	bool withdrawn;
	struct drop_set drops;
};

/*
 * The port that the frame comes from. NULL: it has left the bridge. Addresses are no proof, so a
 * port that was only guessed by one does not matter when it has left.
 */
static inline struct bport *find_ingress(struct injection *j, const struct origin *o)
{
	struct bridge *br = j->br;
	struct bport *p;

	if (j->side == INTERCEPT_HOST)
		return br->host ? br->host : &br->nowhere;
	if (o->port == 0)
		return &br->nowhere;
	p = port_by_no(br, o->port);
	if (likely(p && p->generation == o->generation))
		return p->host ? &br->nowhere : p;
	return o->how == ORIGIN_SOURCE ? &br->nowhere : NULL;
}

static inline void drop(struct injection *j, struct bport *at, struct frame *f, enum drop_reason r)
{
	drop_set_add(&j->drops, at, f, r);
}

/* Given back without being a drop: the frame itself went on long ago. */
static _cold_ void give_back(struct injection *j, const struct origin *o, struct frame *f)
{
	j->state->counters.copies_lost += (o->flags & ORIGIN_COPY) != 0;
	f->verdict = FRAME_DROP;
	j->drops.bufs[j->drops.n++] = f->buf;
}

/* A frame that must not go on, whatever it says. True when it is dealt with. */
static _cold_ bool settle_marked(struct injection *j, struct bport *in, struct frame *f,
				 const struct origin *o)
{
	if (j->withdrawn)
		give_back(j, o, f);
	else
		drop(j, in, f, o->flags & ORIGIN_STALE ? DROP_STALE_RETURN : DROP_COPY_RETURN);
	return true;
}

/* Everything but the destination. True when the frame may go on. */
static inline bool accept(struct injection *j, struct frame *f, uint32_t i, const struct origin *o)
{
	struct bport *in = find_ingress(j, o);
	struct bport *at = in ? in : &j->br->nowhere;

	f->in_port = at->no;
	f->vid = 0;
	f->flags = (f->flags & (uint8_t) ~(FRAME_STALE_FLAGS | FRAME_LOCAL)) |
		   (j->side == INTERCEPT_HOST ? FRAME_LOCAL : 0);
	f->verdict = FRAME_FLOOD;
	f->origin = (o->how ? o->how : ORIGIN_UNKNOWN) & 7;
	f->mark = 0;
	f->mirrored = o->mirrored;
	if (TRACED) {
		trace_resume(j->br->trace, at, f, i, o);
		STEP(j->br, f, in, RETURN, .result = j->withdrawn ? ORIGIN_PORT : o->how,
		     .value = EGRESS_RING(j->side, o->ring));
	}
	if (unlikely(o->flags & (ORIGIN_STALE | ORIGIN_COPY)) && settle_marked(j, at, f, o))
		return false;
	if (unlikely(!frame_parse(f))) {
		drop(j, at, f, DROP_RUNT);
		return false;
	}
	if (unlikely(!in)) {
		drop(j, at, f, DROP_ORIGIN_GONE);
		return false;
	}
	if (unlikely(j->br->set.monitor)) {
		drop(j, at, f, DROP_MONITOR);
		return false;
	}
	STEP(j->br, f, NULL, PARSE, .result = f->n_tags, .value = f->ethertype,
	     .vid = frame_tag_vid(f));
	if (unlikely(j->br->vlan.on))
		vlan_ingress(j->br, in, f);
	if (unlikely(j->br->mirrors.n) && o->how == ORIGIN_SOURCE)
		mirror_returned(j->br, at, f);
	if (likely(!j->withdrawn))
		return true;
	if (j->br->intercept.set.fail == INTERCEPT_CLOSED) {
		drop(j, at, f, DROP_NOT_INSPECTED);
		return false;
	}
	j->state->counters.uninspected++;
	STEP(j->br, f, NULL, INTERCEPT, .result = TRACE_INTERCEPT_WITHDRAWN);
	return true;
}

/*
 * Pause never passes; others if the frame was lent with that very address, or programs may send
 * there at all. None of them gets to a spanning tree: only input.c hands BPDUs to it.
 */
static _cold_ bool reserved_refused(struct injection *j, struct bport *in, struct frame *f,
				    const struct origin *o)
{
	unsigned x = f->dst & 0xf;

	if (x == 1) {
		drop(j, in, f, DROP_PAUSE);
		return true;
	}
	if (x == 0 && stp_is_on(j->br->stp)) {
		drop(j, in, f, DROP_BPDU_SENT);
		return true;
	}
	if (j->br->intercept.set.reserved_tx || o->reserved == x + 1)
		return false;
	drop(j, in, f, DROP_RESERVED_SENT);
	return true;
}

/* As decide_batch() in input.c, for a frame that is not to be learned. */
static inline void decide(struct bridge *br, struct bport *in, struct frame *f, struct drop_set *d)
{
	if (unlikely(br->kind != BRIDGE_OWN)) {
		through_decide(br, in, f);
		return;
	}
	if (unlikely(mac_is_reserved(f->dst)) && !(f->flags & FRAME_LOCAL) &&
	    !reserved_passes(br, in, f->dst)) {
		STEP(br, f, br->host, LOOKUP, .mac = f->dst, .result = TRACE_LOOKUP_LINK);
		f->vid = 0;
		f->verdict = FRAME_HOST;
		return;
	}
	STEP(br, f, in, STATE, .result = in->state);
	if (unlikely(in->state != BPORT_FORWARDING && in->link_up)) {
		drop_set_add(d, in, f, state_refuses(in));
		return;
	}
	if (unlikely(br->vlan.on))
		STEP(br, f, in, VLAN, .vid = f->vid);
	if (vlan_refused(br, f))
		drop_set_add(d, in, f, vlan_refuses(&in->vlans, br->vlan.set.protocol, f));
	else
		look_up(br, in, f, d);
}

static inline void inject(struct injection *j, struct frame *f, const struct origin *o)
{
	struct bport *in = ingress_of(j->br, f);

	if (unlikely(mac_is_reserved(f->dst)) && reserved_refused(j, in, f, o))
		return;
	/* The host's share of a group frame: the rules had the frame when the rest went on. */
	if (unlikely(j->br->hooks[HOOK_PRE_ROUTING]) && j->side == INTERCEPT_NIC &&
	    !(o->flags & ORIGIN_HOST_ONLY) && !bridge_pre_routing_one(j->br, in, f)) {
		drop(j, in, f, DROP_RULE);
		return;
	}
	if (unlikely(o->flags & ORIGIN_HOST_ONLY) && mac_is_group(f->dst) &&
	    !vlan_refused(j->br, f)) {
		STEP(j->br, f, j->br->host, LOOKUP, .mac = f->dst, .result = TRACE_LOOKUP_LOCAL);
		f->verdict = FRAME_HOST;
	} else {
		decide(j->br, in, f, &j->drops);
	}
}

/* Two loops, as in input.c: buckets of the FDB come while other frames are parsed. */
static void inject_batch(struct injection *j, struct batch *b, const struct origin *o)
{
	struct bridge *br = j->br;

	assert(br);
	j->state = &br->intercept.sides[j->side];
	drop_set_init(&j->drops, br);
	b->n_shown = 0;
	b->alone = false; /* groups of segments are kept, too */
	bridge_set_now(br, b->now_ns);
	mirror_begin(br);
	for (uint32_t i = 0; i < b->n; i++) {
		struct frame *f = &b->frames[i];

		if (!accept(j, f, i, o ? &o[i] : &unknown) || mac_is_group(f->dst))
			continue;
		f->dst_hash = fdb_hash(br->fdb, f->dst, f->vid);
		fdb_prefetch(br->fdb, f->dst_hash);
	}
	for (uint32_t i = 0; i < b->n; i++) {
		if (likely(b->frames[i].verdict != FRAME_DROP))
			inject(j, &b->frames[i], o ? &o[i] : &unknown);
	}
	drop_set_put(&j->drops);
}

static inline bool is_traced(const struct bridge *br, const struct batch *b, const struct origin *o)
{
	return !TRACED && unlikely(br->trace) && trace_select_returns(br->trace, b, o);
}

void bridge_inject(struct bridge *br, struct batch *b, const struct origin *o)
{
	struct injection j;

	if (is_traced(br, b, o)) {
		bridge_inject_traced(br, b, o);
		return;
	}
	j.br = br;
	j.side = INTERCEPT_NIC;
	j.withdrawn = false;
	inject_batch(&j, b, o);
	j.state->counters.returned += b->n;
}

void bridge_inject_host(struct bridge *br, struct batch *b, const struct origin *o)
{
	struct injection j;

	if (is_traced(br, b, o)) {
		bridge_inject_host_traced(br, b, o);
		return;
	}
	j.br = br;
	j.side = INTERCEPT_HOST;
	j.withdrawn = false;
	inject_batch(&j, b, o);
	j.state->counters.returned += b->n;
}

void bridge_withdraw(struct bridge *br, enum intercept_side side, struct batch *b,
		     const struct origin *o)
{
	struct injection j;

	if (is_traced(br, b, o)) {
		bridge_withdraw_traced(br, side, b, o);
		return;
	}
	j.br = br;
	j.side = side;
	j.withdrawn = true;
	inject_batch(&j, b, o);
}

/* One frame that did not fit and may go on. */
static void pass_on(struct bridge *br, struct frame *f, struct egress *out)
{
	struct bport *in = ingress_of(br, f);
	struct drop_set d;

	drop_set_init(&d, br);
	f->verdict = FRAME_FLOOD;
	if (f->flags & FRAME_NO_HOST) {
		f->verdict = FRAME_HOST;
	} else if (br->hooks[HOOK_PRE_ROUTING] && !in->host && !bridge_pre_routing_one(br, in, f)) {
		drop_set_add(&d, in, f, DROP_RULE);
	} else {
		f->dst_hash = fdb_hash(br->fdb, f->dst, f->vid);
		decide(br, in, f, &d);
	}
	drop_set_put(&d);
	bridge_forward_one(br, f, out);
}

void bridge_intercept_refused(struct bridge *br, struct frame *const *frames, uint32_t n,
			      struct egress *out)
{
	const bool pass = br->intercept.set.overflow == INTERCEPT_OVERFLOW_PASS;

	if (round_is_traced(br)) {
		bridge_intercept_refused_traced(br, frames, n, out);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct frame *f = frames[i];
		struct bport *in = ingress_of(br, f);
		struct intercept_counters *c = &br->intercept.sides[in->host].counters;

		if ((f->flags & FRAME_ENGINE_FLAGS) == FRAME_SHOWN) {
			c->copies_lost++;
		} else if (pass) {
			c->overflow_pass++;
			STEP(br, f, NULL, INTERCEPT, .result = TRACE_INTERCEPT_OVERFLOW);
			pass_on(br, f, out);
			continue;
		} else {
			count_drop(br, in, f, DROP_RING_FULL);
		}
		br->bufs.put(br->bufs.ctx, &f->buf, 1);
	}
}
