/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mac.h"
#include "daemon/worker.h"
#include "sys/clock.h"

_Static_assert(CAPRING_PORTS == PORTS_MAX, "a counter for each port number");
_Static_assert(DROP_N < UINT16_MAX, "reasons fit a record");
_Static_assert((int)FRAME_GSO_TCPV4 == 1 && (int)FRAME_GSO_UDP_L4 == 3, "numbers of records");

/* Drops of a frame of the batch, or of copies of it. */
struct note {
	uint16_t n_early, n_late; /* by the bridge; on the way out */
	uint16_t reason, port;    /* of the first */
};

struct captures {
	struct worker_bridge *wb;
	struct capture *list[CAPRING_MAX];
	uint32_t n;
	uint32_t points; /* that somebody wants */
	bool open;       /* a batch is on its way: its records are not final */
	uint64_t now_ns;
	const struct frame *first; /* of that batch */
	uint32_t n_frames;
	struct note notes[BATCH_MAX];
	uint16_t takers[BATCH_MAX];
	struct frame *const *shown; /* list that is being shown */
	uint32_t n_list;            /* of it, or of the one being sent */
	uint16_t host_no;           /* of the host's port, when it was asked for last */
};

static bool wants(const struct capture *c, enum capring_point p)
{
	return c->points >> p & 1;
}

/* ---- ports ---- */

/* An interface for the port in the client's file; once. False: no room now. */
static bool tell_port(struct captures *cs, struct capture *c, const struct bport *bp)
{
	const struct worker_port *wp = cs->wb->by_no[bp->no];
	struct capring_record *r;
	struct capring_port *p;

	if (c->told[bp->no])
		return true;
	r = capring_reserve(&c->ring, CAPRING_PORT, sizeof(*p));
	if (!r)
		return false;
	c->told[bp->no] = true;
	r->port = bp->no;
	p = (struct capring_port *)r->data;
	memset(p, 0, sizeof(*p));
	if (bp->no == 0) {
		snprintf(p->name, sizeof(p->name), "program");
		snprintf(p->text, sizeof(p->text),
			 "frames of netmap programs that came by no port");
		return true;
	}
	snprintf(p->name, sizeof(p->name), "%s", bp->name);
	snprintf(p->text, sizeof(p->text), "%s %u of %s%s%s", bp->host ? "the host's port" : "port",
		 bp->no, bridge_name(cs->wb->br), wp && wp->port ? ", driver " : "",
		 wp && wp->port ? wp->port->driver->name : "");
	for (int i = 0; i < 6; i++)
		p->mac[i] = (uint8_t)(bp->mac >> (40 - 8 * i));
	return true;
}

/* Whether frames at that port are wanted. A number may have become another port's. */
static bool is_wanted(struct capture *c, const struct bport *bp)
{
	if (unlikely(c->known[bp->no] != bp->generation + 1)) {
		c->known[bp->no] = bp->generation + 1;
		c->told[bp->no] = false;
		c->wanted[bp->no] = !c->port_name[0] || !strcmp(c->port_name, bp->name);
	}
	return c->wanted[bp->no];
}

static void ring_bell(const struct capture *c)
{
	static const uint64_t one = 1;

	/* Fails only when it has been rung more often than anybody can count. */
	if (write(c->bell_fd, &one, sizeof(one)) < 0)
		return;
}

static void publish(struct captures *cs)
{
	if (cs->open)
		return;
	for (uint32_t i = 0; i < cs->n; i++)
		if (capring_publish(&cs->list[i]->ring))
			ring_bell(cs->list[i]);
}

void capture_port(struct captures *cs, const struct bport *bp)
{
	for (uint32_t i = 0; i < cs->n; i++)
		if (is_wanted(cs->list[i], bp))
			tell_port(cs, cs->list[i], bp);
	publish(cs);
}

/* ---- records ---- */

static uint8_t flags_of(const struct frame *f)
{
	return (f->flags & FRAME_CSUM_PARTIAL ? CAPRING_CSUM_PARTIAL : 0) |
	       (f->flags & FRAME_LOCAL ? CAPRING_LOCAL : 0);
}

/* A record of f, seen at `at`; NULL: not wanted, or lost. */
static struct capring_record *record(struct captures *cs, struct capture *c, enum capring_point p,
				     const struct bport *at, const struct frame *f)
{
	struct capring_counters *n = &c->ring.shared->ports[at->no];
	struct capring_record *r = NULL;

	if (!is_wanted(c, at))
		return NULL;
	n->seen++;
	if (c->filter && !program_match(c->filter, f))
		return NULL;
	n->accepted++;
	if (likely(tell_port(cs, c, at)))
		r = capring_reserve(&c->ring, CAPRING_PACKET, min_of(f->len, c->snaplen));
	if (unlikely(!r)) {
		n->lost++;
		return NULL;
	}
	r->point = (uint8_t)p;
	r->flags = flags_of(f);
	r->time_ns = cs->now_ns;
	r->caplen = min_of(f->len, c->snaplen);
	r->len = f->len;
	r->port = at->no;
	r->in_port = f->in_port;
	r->gso = f->gso;
	r->gso_size = f->gso ? f->gso_size : 0;
	if (likely(r->caplen))
		memcpy(r->data, f->data, r->caplen);
	return r;
}

/* ---- drops ---- */

static void note(struct captures *cs, const struct bport *at, const struct frame *f,
		 enum drop_reason reason)
{
	struct note *n;

	if (!cs->open || f < cs->first || f >= cs->first + cs->n_frames)
		return;
	n = &cs->notes[f - cs->first];
	if (n->n_early + n->n_late == 0) {
		n->reason = (uint16_t)reason;
		n->port = at->no;
	}
	if (drop_is_late(reason))
		n->n_late++;
	else
		n->n_early++;
}

/* Not shown after all. */
static void unshow(struct captures *cs, const struct frame *f)
{
	for (uint32_t k = 0; k < cs->n_list; k++) {
		if (cs->shown[k] != f)
			continue;
		for (uint32_t i = 0; i < cs->n; i++)
			if (cs->list[i]->sent[k])
				cs->list[i]->sent[k]->type = CAPRING_SKIP;
	}
}

/* Reasons at the port where the frame would have gone out, whoever tells: a driver does not know
 * where it had come in. */
static bool is_egress(enum drop_reason r)
{
	return r == DROP_TX_FULL || r == DROP_TX_DOWN || r == DROP_TX_REFUSED ||
	       r == DROP_OVERSIZE || r == DROP_EGRESS_MTU;
}

static void dropped(void *ctx, const struct bport *at, const struct frame *f, enum drop_reason why)
{
	struct captures *cs = ctx;

	if (!at)
		at = bridge_nowhere(cs->wb->br);
	note(cs, at, f, why);
	if (cs->shown)
		unshow(cs, f);
	if (!(cs->points >> CAPRING_DROP & 1))
		return;
	cs->now_ns = clock_wall_ns();
	for (uint32_t i = 0; i < cs->n; i++) {
		struct capring_record *r;

		if (!wants(cs->list[i], CAPRING_DROP))
			continue;
		r = record(cs, cs->list[i], CAPRING_DROP, at, f);
		if (!r)
			continue;
		r->verdict = CAPRING_DROPPED;
		r->reason = (uint16_t)why;
		r->n_dropped = 1;
		if (at->no != f->in_port || is_egress(why))
			r->flags |= CAPRING_EGRESS;
	}
	publish(cs);
}

/* ---- batches ---- */

static void open_batch(struct captures *cs, const struct batch *b)
{
	cs->open = true;
	cs->now_ns = clock_wall_ns();
	cs->first = b->frames;
	cs->n_frames = b->n;
	memset(cs->notes, 0, b->n * sizeof(cs->notes[0]));
}

void capture_in(struct captures *cs, const struct bport *in, const struct batch *b)
{
	if (!(cs->points >> CAPRING_IN & 1))
		return;
	open_batch(cs, b);
	for (uint32_t i = 0; i < cs->n; i++) {
		struct capture *c = cs->list[i];

		for (uint32_t k = 0; k < b->n; k++)
			c->pending[k] = wants(c, CAPRING_IN)
						? record(cs, c, CAPRING_IN, in, &b->frames[k])
						: NULL;
	}
}

/* The host's port, or none. */
static const struct bport *host_port(struct captures *cs)
{
	const struct bport *p = bridge_port(cs->wb->br, cs->host_no);

	for (uint16_t no = 1; (!p || !p->host) && no < PORTS_MAX; no++) {
		p = bridge_port(cs->wb->br, no);
		cs->host_no = no;
	}
	return p && p->host ? p : bridge_nowhere(cs->wb->br);
}

/* The port that a program's frame goes on from, as bridge_inject() will find. */
static const struct bport *returns_at(struct captures *cs, enum intercept_side side,
				      const struct origin *o)
{
	const struct bport *p;

	if (side == INTERCEPT_HOST)
		return host_port(cs);
	p = o->port ? bridge_port(cs->wb->br, o->port) : NULL;
	return p && p->generation == o->generation ? p : bridge_nowhere(cs->wb->br);
}

void capture_after(struct captures *cs, enum intercept_side side, const struct batch *b,
		   const struct origin *o)
{
	if (!(cs->points >> CAPRING_AFTER & 1))
		return;
	open_batch(cs, b);
	for (uint32_t i = 0; i < cs->n; i++) {
		struct capture *c = cs->list[i];

		for (uint32_t k = 0; k < b->n; k++) {
			c->pending[k] = NULL;
			if (!wants(c, CAPRING_AFTER))
				continue;
			c->pending[k] = record(cs, c, CAPRING_AFTER, returns_at(cs, side, &o[k]),
					       &b->frames[k]);
			if (c->pending[k] && o[k].how == ORIGIN_UNKNOWN)
				c->pending[k]->flags |= CAPRING_MADE;
		}
	}
}

/* On how many ports' lists each frame of the batch is. */
static void count_takers(struct captures *cs, const struct egress *e)
{
	memset(cs->takers, 0, cs->n_frames * sizeof(cs->takers[0]));
	for (uint32_t i = 0; i < e->n_used; i++) {
		const struct egress_list *l = &e->lists[e->used[i]];

		if (EGRESS_IS_RING(e->used[i]))
			continue;
		for (uint32_t k = 0; k < l->n; k++) {
			const struct frame *f = l->frames[k];

			if (f >= cs->first && f < cs->first + cs->n_frames)
				cs->takers[f - cs->first]++;
		}
	}
}

/* No copy of frame i got away, and that was told. Forms with other tags are not counted. */
static bool is_dropped(const struct captures *cs, uint32_t i, const struct egress *e)
{
	const struct note *n = &cs->notes[i];
	const struct frame *f = cs->first + i;

	if (n->n_early + n->n_late == 0)
		return false;
	if (f->verdict == FRAME_DROP || (f->verdict == FRAME_UNICAST && n->n_early))
		return true;
	return e->n_forms == 0 && cs->takers[i] <= n->n_late;
}

static enum capring_verdict verdict_of(const struct captures *cs, uint32_t i,
				       const struct egress *e, uint16_t *ret_port)
{
	const struct frame *f = cs->first + i;
	struct bridge *br = cs->wb->br;
	const struct bport *p;

	if (is_dropped(cs, i, e))
		return CAPRING_DROPPED;
	*ret_port = f->out_port;
	switch (f->verdict) {
	case FRAME_UNICAST:
		if (bridge_kind(br) != BRIDGE_OWN)
			return CAPRING_KERNEL;
		p = bridge_port(br, f->out_port);
		return p && p->host ? CAPRING_HOST : CAPRING_UNICAST;
	case FRAME_FLOOD:
		return bridge_kind(br) == BRIDGE_OWN ? CAPRING_FLOOD : CAPRING_KERNEL;
	case FRAME_HOST:
		return CAPRING_HOST;
	case FRAME_RING:
		return f->flags & FRAME_SHOWN ? CAPRING_COPY : CAPRING_PROGRAM;
	default:
		return mac_is_reserved(f->dst) && !(f->flags & FRAME_COPY) && !f->origin
			       ? CAPRING_CONSUMED
			       : CAPRING_COPY;
	}
}

static void settle(const struct captures *cs, struct capring_record *r, uint32_t i,
		   const struct egress *e)
{
	const struct frame *f = cs->first + i;
	const struct note *n = &cs->notes[i];

	r->verdict = (uint8_t)verdict_of(cs, i, e, &r->to_port);
	r->in_port = f->in_port;
	r->flags |= f->flags & FRAME_SHOWN ? CAPRING_SHOWN : 0;
	r->flags |= f->flags & FRAME_LOCAL ? CAPRING_LOCAL : 0;
	if (f->verdict == FRAME_RING || f->flags & FRAME_SHOWN)
		r->ring = (uint8_t)EGRESS_RING_OF(f->ring);
	r->reason = n->reason;
	r->drop_port = n->port;
	r->n_dropped = (uint16_t)(n->n_early + n->n_late);
	r->n_takers = e->n_forms ? 0 : cs->takers[i];
}

void capture_done(struct captures *cs, const struct batch *b, const struct egress *e)
{
	if (cs->open) {
		cs->n_frames = min_of(cs->n_frames, b->n);
		count_takers(cs, e);
		for (uint32_t i = 0; i < cs->n; i++)
			for (uint32_t k = 0; k < cs->n_frames; k++)
				if (cs->list[i]->pending[k])
					settle(cs, cs->list[i]->pending[k], k, e);
	}
	cs->open = false;
	publish(cs);
}

/* ---- lists ---- */

static void record_list(struct captures *cs, enum capring_point p, const struct bport *bp,
			struct frame *const *frames, uint32_t n)
{
	cs->now_ns = clock_wall_ns();
	for (uint32_t i = 0; i < cs->n; i++) {
		struct capture *c = cs->list[i];

		for (uint32_t k = 0; k < n; k++) {
			const struct bport *at = bp;

			c->sent[k] = NULL;
			if (!wants(c, p))
				continue;
			if (!at)
				at = bridge_port(cs->wb->br, frames[k]->in_port);
			if (!at)
				at = bridge_nowhere(cs->wb->br);
			c->sent[k] = record(cs, c, p, at, frames[k]);
		}
	}
}

void capture_show(struct captures *cs, uint16_t list_no, struct frame *const *frames, uint32_t n)
{
	if (!(cs->points >> CAPRING_BEFORE & 1))
		return;
	record_list(cs, CAPRING_BEFORE, NULL, frames, n);
	cs->shown = frames;
	cs->n_list = n;
	for (uint32_t i = 0; i < cs->n; i++)
		for (uint32_t k = 0; k < n; k++) {
			struct capring_record *r = cs->list[i]->sent[k];

			if (!r)
				continue;
			r->ring = (uint8_t)EGRESS_RING_OF(list_no);
			r->verdict = CAPRING_PROGRAM;
			r->flags |= frames[k]->flags & FRAME_SHOWN ? CAPRING_SHOWN : 0;
		}
}

void capture_shown(struct captures *cs, struct frame *const *refused, uint32_t n)
{
	if (!cs->shown)
		return;
	for (uint32_t i = 0; i < n; i++)
		unshow(cs, refused[i]);
	cs->shown = NULL;
	publish(cs);
}

void capture_tx(struct captures *cs, const struct bport *bp, struct frame *const *frames,
		uint32_t n)
{
	if (!(cs->points >> CAPRING_OUT & 1))
		return;
	record_list(cs, CAPRING_OUT, bp, frames, n);
	cs->n_list = n;
	for (uint32_t i = 0; i < cs->n; i++)
		for (uint32_t k = 0; k < n; k++)
			if (cs->list[i]->sent[k] && frames[k]->origin)
				cs->list[i]->sent[k]->flags |= CAPRING_MADE;
}

void capture_tx_done(struct captures *cs, uint32_t sent)
{
	if (!(cs->points >> CAPRING_OUT & 1))
		return;
	for (uint32_t i = 0; i < cs->n; i++)
		for (uint32_t k = sent; k < cs->n_list; k++)
			if (cs->list[i]->sent[k])
				cs->list[i]->sent[k]->type = CAPRING_SKIP;
	publish(cs);
}

/* ---- the set ---- */

struct captures *captures_new(struct worker_bridge *wb)
{
	struct captures *cs = calloc(1, sizeof(*cs));

	if (cs)
		cs->wb = wb;
	return cs;
}

struct captures *captures_free(struct captures *cs)
{
	free(cs);
	return NULL;
}

static void update(struct captures *cs)
{
	cs->points = 0;
	for (uint32_t i = 0; i < cs->n; i++)
		cs->points |= cs->list[i]->points;
	cs->wb->captures = cs->n ? cs : NULL;
	bridge_on_drop(cs->wb->br, cs->n ? dropped : NULL, cs);
}

void captures_add(struct captures *cs, struct capture *c)
{
	cs->list[cs->n++] = c;
	update(cs);
	for (uint16_t no = 1; no < PORTS_MAX; no++) {
		const struct bport *bp = bridge_port(cs->wb->br, no);

		if (bp && is_wanted(c, bp))
			tell_port(cs, c, bp);
	}
	publish(cs);
}

bool captures_del(struct captures *cs, struct capture *c)
{
	for (uint32_t i = 0; i < cs->n; i++)
		if (cs->list[i] == c) {
			cs->list[i] = cs->list[--cs->n];
			break;
		}
	update(cs);
	return cs->n == 0;
}
