/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pass 1: what happens to frames between a port's rx and the choice of where they go. The order of
 * the steps is that of the Linux bridge (br_handle_frame, br_handle_frame_finish), with FreeBSD's
 * monitor flag in front; docs/frame.md maps them.
 *
 * Two plain loops over the batch. The first touches the frames' bytes and starts loading the FDB
 * buckets they need; the second learns and looks up, with the buckets on their way. Interleaved, a
 * table of a million addresses would cost two cache misses a frame, one after the other. The bytes
 * of frames need no prefetch: parsing one does not depend on the one before, so the processor loads
 * several at a time by itself (bench_forward: no gain with 2 to 16 frames ahead).
 */
#include "core/bridge_internal.h"

#include "base/mac.h"
#include "base/probe.h"

/* vlans: whether the bridge filters them; one copy of the loop for each answer. */
static inline void parse_frames(struct bridge *br, struct bport *in, struct batch *b,
				struct drop_set *d, const bool vlans)
{
	const uint8_t flags = in->host ? FRAME_LOCAL : 0;
	uint64_t bytes = 0, n_group = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		struct frame *f = &b->frames[i];

		bytes += f->len;
		f->in_port = in->no;
		f->vid = 0;
		f->flags = (f->flags & (uint8_t)~FRAME_STALE_FLAGS) | flags;
		f->origin = 0;
		f->mark = 0;
		f->mirrored = 0;
		f->verdict = FRAME_FLOOD;
		if (TRACED)
			trace_begin(br->trace, in, f, i);
		if (unlikely(!frame_parse(f))) {
			drop_set_add(d, in, f, DROP_RUNT);
			continue;
		}
		STEP(br, f, NULL, PARSE, .result = f->n_tags, .value = f->ethertype,
		     .vid = frame_tag_vid(f));
		if (vlans)
			vlan_ingress(br, in, f);
		f->src_hash = fdb_hash(br->fdb, f->src, f->vid);
		fdb_prefetch(br->fdb, f->src_hash);
		if (unlikely(mac_is_group(f->dst))) {
			n_group++;
			continue;
		}
		f->dst_hash = fdb_hash(br->fdb, f->dst, f->vid);
		fdb_prefetch(br->fdb, f->dst_hash);
	}
	in->counters.rx_packets += b->n;
	in->counters.rx_bytes += bytes;
	in->counters.rx_multicast += n_group;
}

static void parse_batch(struct bridge *br, struct bport *in, struct batch *b, struct drop_set *d)
{
	if (unlikely(br->vlan.on))
		parse_frames(br, in, b, d, true);
	else
		parse_frames(br, in, b, d, false);
}

/* An address that is not simply refreshed: new, moved, refused, or one of our own. */
static _cold_ void learned(struct bridge *br, const struct bport *in, const struct frame *f,
			   enum fdb_learn_result r, uint16_t old_port)
{
	struct bridge_event e = {.mac = f->src, .vid = f->vid, .port = in->no};
	enum fdb_kind kind;

	switch (r) {
	case FDB_NEW:
		e.kind = BRIDGE_FDB_NEW;
		break;
	case FDB_MOVED:
		e.kind = BRIDGE_FDB_MOVED;
		e.old_port = old_port;
		break;
	case FDB_FULL:
		e.kind = BRIDGE_FDB_FULL;
		break;
	case FDB_KEPT:
		if (fdb_lookup(br->fdb, f->src, f->vid, f->src_hash, &kind) < 0 ||
		    kind != FDB_LOCAL)
			return;
		e.kind = BRIDGE_OWN_SOURCE;
		break;
	default:
		return;
	}
	if (r == FDB_NEW || r == FDB_MOVED)
		PROBE(learn, br->name, in->name, f->src, f->vid, r == FDB_MOVED);
	bridge_emit(br, &e);
}

static inline void learn(struct bridge *br, const struct bport *in, const struct frame *f)
{
	uint16_t old_port = 0;
	enum fdb_learn_result r;

	if (unlikely(!(in->flags & BPORT_LEARNING_FLAG))) {
		STEP(br, f, in, LEARN, .mac = f->src, .vid = f->vid, .result = TRACE_LEARN_OFF);
		return;
	}
	if (TRACED && br->dry)
		r = fdb_would_learn(br->fdb, f->src, f->vid, in->no, &old_port);
	else
		r = fdb_learn(br->fdb, f->src, f->vid, f->src_hash, in->no,
			      in->flags & BPORT_STICKY_FLAG, &old_port);
	STEP(br, f, in, LEARN, .mac = f->src, .vid = f->vid, .result = (uint8_t)r,
	     .value = old_port);
	if (TRACED && br->dry) {
		br->dry_learned = r == FDB_NEW || r == FDB_MOVED;
		return;
	}
	if (unlikely(r != FDB_KNOWN))
		learned(br, in, f, r, old_port);
}

static inline bool state_learns(const struct bport *in)
{
	return in->state == BPORT_FORWARDING || in->state == BPORT_LEARNING;
}

/* VLAN ingress, decided in parse_frames(). State comes first: a port that is blocked is no matter
 * of VLANs. */
static inline bool admit_vlan(struct bridge *br, struct bport *in, struct frame *f,
			      struct drop_set *d)
{
	if (unlikely(in->state != BPORT_FORWARDING && in->state != BPORT_LEARNING))
		return true; /* and it is dropped for that */
	STEP(br, f, in, VLAN, .vid = f->vid);
	if (unlikely(vlan_refused(br, f))) {
		drop_set_add(d, in, f, vlan_refuses(&in->vlans, br->vlan.set.protocol, f));
		return false;
	}
	vlan_count_rx(br, in, f);
	return true;
}

/*
 * Reserved group addresses (IEEE 802.1Q table 8-1). True when the frame is dealt with: pause goes
 * nowhere; others that may not pass are for the host alone, where LLDP and LACP daemons listen, and
 * they get there in any state of the port but disabled.
 */
static _cold_ bool input_reserved(struct bridge *br, struct bport *in, struct frame *f,
				  struct drop_set *d)
{
	if ((f->dst & 0xf) == 1) {
		drop_set_add(d, in, f, DROP_PAUSE);
		return true;
	}
	if ((f->dst & 0xf) == 0 && stp_is_on(br->stp)) {
		STEP(br, f, in, STP, .result = in->state);
		bridge_stp_input(br, in, f, d);
		return true;
	}
	if (in->host || reserved_passes(br, in, f->dst))
		return false;
	if (in->state == BPORT_DISABLED) {
		drop_set_add(d, in, f, state_refuses(in));
		return true;
	}
	STEP(br, f, in, STATE, .result = in->state);
	if (!br->set.no_linklocal_learn && state_learns(in) && !vlan_refused(br, f))
		learn(br, in, f);
	STEP(br, f, br->host, LOOKUP, .mac = f->dst, .result = TRACE_LOOKUP_LINK);
	f->vid = 0; /* for this link, and of no VLAN */
	f->verdict = FRAME_HOST;
	return true;
}

/* Everything a frame must pass before its addresses count. True when it may go on. */
static inline bool admit(struct bridge *br, struct bport *in, struct frame *f, struct drop_set *d)
{
	if (unlikely(mac_is_reserved(f->dst)) && input_reserved(br, in, f, d))
		return false;
	STEP(br, f, in, STATE, .result = in->state);
	if (unlikely(br->vlan.on) && !admit_vlan(br, in, f, d))
		return false;
	if (likely(in->state == BPORT_FORWARDING))
		return true;
	if (in->state == BPORT_LEARNING)
		learn(br, in, f);
	drop_set_add(d, in, f, state_refuses(in));
	return false;
}

static void decide_batch(struct bridge *br, struct bport *in, struct batch *b, struct drop_set *d)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct frame *f = &b->frames[i];

		if (unlikely(f->verdict == FRAME_DROP))
			continue;
		if (unlikely(!mac_is_valid_source(f->src))) {
			drop_set_add(d, in, f, DROP_INVALID_SOURCE);
			continue;
		}
		if (!admit(br, in, f, d))
			continue;
		learn(br, in, f);
		look_up(br, in, f, d);
	}
}

/* What the host sends is neither checked for its source nor learned, as in br_dev_xmit(). */
static void decide_host_batch(struct bridge *br, struct bport *in, struct batch *b,
			      struct drop_set *d)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct frame *f = &b->frames[i];

		if (f->verdict == FRAME_DROP)
			continue;
		if (admit(br, in, f, d))
			look_up(br, in, f, d);
	}
}

static void drop_all(struct bport *in, struct batch *b, struct drop_set *d, enum drop_reason r)
{
	for (uint32_t i = 0; i < b->n; i++) {
		if (b->frames[i].verdict != FRAME_DROP)
			drop_set_add(d, in, &b->frames[i], r);
	}
}

void bridge_input(struct bridge *br, struct bport *in, struct batch *b)
{
	struct drop_set d;

	if (!TRACED)
		PROBE(input, br->name, in->name, b->n);
	if (!TRACED && unlikely(br->trace) && trace_select(br->trace, in, b)) {
		bridge_input_traced(br, in, b);
		return;
	}
	drop_set_init(&d, br);
	b->n_shown = 0;
	bridge_set_now(br, b->now_ns);
	parse_batch(br, in, b, &d);
	if (unlikely(br->mirrors.n)) {
		mirror_begin(br);
		mirror_rx(br, in, b);
	}
	if (unlikely(br->set.monitor))
		drop_all(in, b, &d, DROP_MONITOR);
	else if (unlikely(br->kind != BRIDGE_OWN))
		through_input(br, in, b, &d);
	else if (in->host)
		decide_host_batch(br, in, b, &d);
	else
		decide_batch(br, in, b, &d);
	if (unlikely(intercept_is_on(&br->intercept, in->host ? INTERCEPT_HOST : INTERCEPT_NIC)))
		bridge_divert(br, in, b, &d);
	if (unlikely(br->hooks[HOOK_PRE_ROUTING]) && !in->host)
		bridge_pre_routing(br, in, b, &d);
	drop_set_put(&d);
}
