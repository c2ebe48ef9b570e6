/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the bridge share: bridge.c (the object), input.c (pass 1), divert.c (its step
 * to netmap programs), inject.c (back from there), forward.c (pass 2), bridge_stp.c (between the
 * bridge and its spanning tree). Nobody else includes this.
 */
#pragma once

#include "base/mac.h"
#include "core/bridge.h"
#include "core/trace.h"

/* VLAN filtering of a bridge. */
struct vlans {
	struct vlan_settings set;
	struct vlan_counters *counters; /* VLAN_N of them; NULL: nothing is counted */
	bool on;                        /* set.filtering, and the bridge is ours */
	uint16_t group_fwd_required;    /* reserved addresses that a provider bridge lets pass */
};

struct bridge {
	/* hot: read for each frame or batch */
	struct fdb *fdb;
	struct bport *host; /* the bridge's own interface; NULL: none */
	struct bport *self; /* kernel's bridges: what that receives; NULL: none */
	enum bridge_kind kind;
	uint32_t n_ports;
	uint32_t now_s; /* what the FDB was told last */
	struct bridge_settings set;
	struct buf_ops bufs;
	struct bridge_ops ops;
	struct vlans vlan;
	struct intercept intercept;
	struct stp *stp;                /* NULL: a bridge of the kernel */
	uint8_t steps;                  /* what pass 2 asks of each copy: hookpoint.c; 0: nothing */
	struct hook_set *hooks[HOOK_N]; /* NULL: no rules */
	struct mirrors mirrors;
	struct trace *trace; /* NULL: nobody looks */
	bool dry;         /* core/explain.c: nothing is to change but this struct and its ports */
	bool dry_learned; /* and the source of the frame would be known now */
	struct bport nowhere; /* ingress of frames without one; number 0, flags 0 */
	struct bport *by_no[PORTS_MAX] _cacheline_; /* by port number; NULL: free */
	struct bport *ports[PORTS_MAX]; /* the same, n_ports of them, ascending: for floods */
	/* cold */
	char name[BPORT_NAME_SIZE];
	uint64_t mac, own_mac; /* in force; of the configuration, while there are no ports */
	uint32_t mtu;
	uint32_t generation; /* of the latest port */
	uint64_t next_tick_ns;
	bridge_dropped_fn *dropped; /* NULL: nobody listens */
	void *dropped_ctx;
	struct drop_log drop_log; /* its ports point to it */
};

/*
 * The files of the passes are compiled twice, the second time with core/traced.h in front: there
 * TRACED is true, functions have other names, and STEP() adds a record to the journey of a frame
 * that has one. Fields of the record as in core/trace.h.
 */
#ifdef CORE_TRACED
#define TRACED true
#else
#define TRACED false
#endif
#define STEP(br, f, at, what, ...)                                                                 \
	do {                                                                                       \
		if (TRACED && unlikely((f)->flags & FRAME_TRACED))                                 \
			trace_step((br)->trace, (f), (at),                                         \
				   (struct trace_record){.step = TRACE_##what, __VA_ARGS__});      \
	} while (0)

void bridge_input_traced(struct bridge *br, struct bport *in, struct batch *b);
void bridge_forward_traced(struct bridge *br, struct batch *b, struct egress *out);
void bridge_inject_traced(struct bridge *br, struct batch *b, const struct origin *o);
void bridge_inject_host_traced(struct bridge *br, struct batch *b, const struct origin *o);
void bridge_withdraw_traced(struct bridge *br, enum intercept_side side, struct batch *b,
			    const struct origin *o);
void bridge_intercept_refused_traced(struct bridge *br, struct frame *const *frames, uint32_t n,
				     struct egress *out);

/* Whether the round is one for the second instance. */
static inline bool round_is_traced(const struct bridge *br)
{
	return !TRACED && unlikely(br->trace) && trace_is_live(br->trace);
}

/* Counts a copy of f that ends here, whose buffer is somebody else's care. */
static inline void count_drop(struct bridge *br, struct bport *at, const struct frame *f,
			      enum drop_reason r)
{
	bport_drop(at, r, f);
	if (unlikely(br->trace || br->dropped))
		bridge_tell_drop(br, at, f, r);
}

/* Frames dropped in one pass: their buffers go back together. */
struct drop_set {
	struct bridge *br;
	uint32_t n;
	uint32_t bufs[BATCH_MAX];
};

static inline void drop_set_init(struct drop_set *d, struct bridge *br)
{
	d->br = br;
	d->n = 0;
}

/* Counts the frame at port `at` and notes its buffer for drop_set_put(). */
static inline void drop_set_add(struct drop_set *d, struct bport *at, struct frame *f,
				enum drop_reason r)
{
	count_drop(d->br, at, f, r);
	f->verdict = FRAME_DROP;
	d->bufs[d->n++] = f->buf;
}

static inline void drop_set_put(const struct drop_set *d)
{
	if (d->n > 0)
		d->br->bufs.put(d->br->bufs.ctx, d->bufs, d->n);
}

/* Port by number, NULL if there is none or the number is out of range. */
static inline struct bport *port_by_no(const struct bridge *br, uint16_t no)
{
	return no < PORTS_MAX ? br->by_no[no] : NULL;
}

/* The VLAN of a frame that comes in on `in`, into f->vid: 0 if it may not, or VLANs do not matter.
 */
static inline void vlan_ingress(const struct bridge *br, const struct bport *in, struct frame *f)
{
	f->vid = vlan_of(&in->vlans, br->vlan.set.protocol, f);
}

/* Whether VLAN ingress says no to f. */
static inline bool vlan_refused(const struct bridge *br, const struct frame *f)
{
	return unlikely(br->vlan.on) && !f->vid;
}

/* Counts f, which has been accepted. */
static inline void vlan_count_rx(const struct bridge *br, const struct bport *in,
				 const struct frame *f)
{
	if (likely(!br->vlan.counters))
		return;
	br->vlan.counters[f->vid].rx_packets++;
	br->vlan.counters[f->vid].rx_bytes += f->len;
	if (!in->vlan_counters)
		return;
	in->vlan_counters[f->vid].rx_packets++;
	in->vlan_counters[f->vid].rx_bytes += f->len;
}

/* A new port: its VLANs and counters. 0 or -ENOMEM. bridge_vlan.c */
int bridge_vlan_port(const struct bridge *br, struct bport *p);
/* An address is local from now on: whoever had it in some VLAN does not any more. bridge_vlan.c */
void bridge_vlan_own(struct bridge *br, uint64_t mac);

/* Tells the owner, if it listens. */
void bridge_emit(const struct bridge *br, const struct bridge_event *e);
/* Lets the FDB know the time of a batch or tick. */
void bridge_set_now(struct bridge *br, uint64_t now_ns);

/* The port that a frame came in on, also when there is none. */
static inline struct bport *ingress_of(struct bridge *br, const struct frame *f)
{
	struct bport *in = br->by_no[f->in_port];

	return likely(in) ? in : &br->nowhere;
}

/* Whether a reserved address passes like any other group address. STP off: 00 does, as in Linux,
 * so that somebody else's spanning tree still finds loops through us. */
static inline bool reserved_passes(const struct bridge *br, const struct bport *in, uint64_t dst)
{
	unsigned x = dst & 0xf;

	return (x == 0 && !stp_is_on(br->stp)) ||
	       ((br->set.group_fwd_mask | in->group_fwd_mask | br->vlan.group_fwd_required) >> x &
		1);
}

/* Why frames may not come in through a port that does not forward. */
static inline enum drop_reason state_refuses(const struct bport *in)
{
	if (in->state == BPORT_LEARNING)
		return DROP_LEARNING_STATE;
	if (in->span)
		return DROP_SPAN;
	return in->state == BPORT_DISABLED ? DROP_PORT_DISABLED : DROP_INGRESS_STATE;
}

/* For journeys. port: number, or -1 for an address that is not known. */
static inline void step_look_up(struct bridge *br, const struct frame *f, int port,
				enum fdb_kind kind)
{
	struct fdb_entry e = {0};

	if (port >= 0)
		fdb_get(br->fdb, f->dst, f->vid, &e);
	STEP(br, f, port >= 0 ? port_by_no(br, (uint16_t)port) : NULL, LOOKUP, .mac = f->dst,
	     .vid = f->vid, .value = e.age_s,
	     .result = mac_is_group(f->dst) ? TRACE_LOOKUP_GROUP
		       : port < 0           ? TRACE_LOOKUP_UNKNOWN
					    : (uint8_t)(TRACE_LOOKUP_DYNAMIC + kind));
}

/* Destination to verdict, FRAME_FLOOD before. */
static inline void look_up(struct bridge *br, struct bport *in, struct frame *f, struct drop_set *d)
{
	enum fdb_kind kind = FDB_DYNAMIC;
	int port = -1;

	if (likely(!mac_is_group(f->dst)))
		port = fdb_lookup(br->fdb, f->dst, f->vid, f->dst_hash, &kind);
	if (TRACED && br->dry_learned && f->dst == f->src)
		port = in->no;
	if (TRACED && unlikely(f->flags & FRAME_TRACED))
		step_look_up(br, f, port, kind);
	if (unlikely(port < 0))
		return;
	if (unlikely(kind == FDB_LOCAL)) {
		if (in->host)
			drop_set_add(d, in, f, DROP_SAME_PORT);
		else
			f->verdict = FRAME_HOST;
		return;
	}
	if (unlikely(port == in->no && !(in->flags & BPORT_HAIRPIN_FLAG))) {
		drop_set_add(d, in, f, DROP_SAME_PORT);
		return;
	}
	f->out_port = (uint16_t)port;
	f->verdict = FRAME_UNICAST;
}

/* Flags that only the engine sets; a descriptor may come with those of its last journey. */
#define FRAME_ENGINE_FLAGS (FRAME_SHOWN | FRAME_NO_HOST)
#define FRAME_STALE_FLAGS  (FRAME_ENGINE_FLAGS | FRAME_TRACED)

/* Bridges of the kernel (through.c): pass 1, the choice in it, and pass 2 for one frame. */
void through_input(struct bridge *br, struct bport *in, struct batch *b, struct drop_set *d);
void through_decide(struct bridge *br, struct bport *in, struct frame *f);
void through_forward(struct bridge *br, struct bport *in, struct frame *f, struct egress *out,
		     struct drop_set *d);

/* A copy that nobody wants: no drop, for the frame itself goes on. */
static inline void give_copy_back(struct intercept_side_state *s, struct frame *f,
				  struct drop_set *d)
{
	s->counters.copies_lost++;
	f->verdict = FRAME_DROP;
	d->bufs[d->n++] = f->buf;
}

/* Spanning tree (bridge_stp.c). 0 or -ENOMEM. */
int bridge_stp_init(struct bridge *br);
/* A frame to its address while it is on: it ends here. */
void bridge_stp_input(struct bridge *br, struct bport *in, struct frame *f, struct drop_set *d);
/* Whether spanning tree sees a link at p: never at a span port. */
static inline bool takes_part(const struct bport *p)
{
	return p->link_up && !p->span;
}
/* The state that a port gets with its link. */
static inline enum bport_state state_with_link(const struct bridge *br, const struct bport *p)
{
	if (!p->link_up)
		return BPORT_DISABLED;
	return stp_is_on(br->stp) && !p->host ? BPORT_BLOCKING : BPORT_FORWARDING;
}

/* hookpoint.c. Number of a port for rules; HOOK_NO_PORT. */
uint16_t bridge_port_number(const void *br, const char *name);
void hooks_free(struct bridge *br);
/* The step PRE_ROUTING of pass 1, for what stays; for one frame: false if a rule drops it. */
void bridge_pre_routing(struct bridge *br, struct bport *in, struct batch *b, struct drop_set *d);
bool bridge_pre_routing_one(struct bridge *br, const struct bport *in, struct frame *f);
/* The other hooks and mirrors, for a copy of f that is about to go out on p; with `steps` only.
 * False: a rule dropped it (counted). */
bool bridge_leaves(struct bridge *br, struct bport *in, const struct bport *p, struct frame *f);

/* mirror.c. A round: begin; what is received, or came back without a record that says who has it;
 * copies; flush. */
void mirror_begin(struct bridge *br);
void mirror_rx(struct bridge *br, struct bport *in, struct batch *b);
void mirror_returned(struct bridge *br, const struct bport *in, struct frame *f);
void mirror_tx(struct bridge *br, const struct bport *p, struct frame *f);
/* By rules; bit per mirror. */
void mirror_chosen(struct bridge *br, uint8_t mirrors, struct frame *f);
void mirror_flush(struct bridge *br, struct egress *out);
/* Ports or mirrors changed. True if some port's egress is mirrored. */
bool mirrors_bind(struct bridge *br);
uint16_t mirror_number(const void *br, const char *name);
void mirrors_free(struct bridge *br);
/* Mirrors that count and queue in copies of their own; filters and sources are shared. False: no
 * memory, and what was copied is to be freed. */
bool mirrors_copy(const struct mirrors *of, struct mirrors *ret);
void mirrors_free_copy(struct mirrors *copy);

/* The step `intercept` of pass 1 (divert.c). */
void bridge_divert(struct bridge *br, struct bport *in, struct batch *b, struct drop_set *d);
/* Pass 2 for one frame that pass 1 decided (forward.c). */
void bridge_forward_one(struct bridge *br, struct frame *f, struct egress *out);
