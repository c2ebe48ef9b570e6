/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Requests come in here one by one; whatever they change in rings that a worker uses is done by
 * worker_call(). The worker has two things to say in return, an event of a ring and "this
 * descriptor wants you": it notes them under `lock` and rings a bell.
 *
 * Whose buffers they are that programs may put into rings: endpoint_domain.c.
 */
#include "daemon/endpoint.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "daemon/adopt.h"
#include "daemon/bridges.h"
#include "daemon/endpoint_internal.h"
#include "daemon/events.h"
#include "daemon/mirror_end.h"
#include "sys/clock.h"
#include "sys/loop.h"
#include "sys/proc.h"

LOG_MODULE("daemon/endpoint");

/* ---- from the worker ---- */

/* In the worker. What becomes of the frames of a ring that nobody reads now. */
static enum effect effect_on(const struct nm_port *p, int side)
{
	const struct intercept *ic = bridge_intercept(p->vb->br);

	if (ic->sides[side].action < INTERCEPT_DO_LOCAL)
		return EFFECT_NONE;
	return ic->set.fail == INTERCEPT_CLOSED ? EFFECT_DROPPED : EFFECT_ROUND;
}

static void note_event(void *ctx, enum inspect_event e, const struct inspect_ring *r)
{
	struct nm_port *p = ctx;
	struct endpoints *es = p->es;
	const enum effect effect = effect_on(p, r->side);

	pthread_mutex_lock(&es->lock);
	if (es->n_notes < N_NOTES)
		es->notes[es->n_notes++] = (struct note){
			p, e, r->host, r->index, effect, (uint32_t)(r->still_ns / 1000000)};
	pthread_mutex_unlock(&es->lock);
	loop_ring(es->bell);
}

static void note_request(void *ctx, struct inspect_client *ic)
{
	struct nm_port *p = ctx;
	struct nm_client *c = (struct nm_client *)((uint8_t *)ic - offsetof(struct nm_client, ic));

	atomic_store(&c->asked, true);
	loop_ring(p->es->bell);
}

/* The program that reads a ring, for people. */
static const struct nm_client *reader_of(const struct endpoints *es, const struct note *n)
{
	list_for_each (i, &es->clients) {
		const struct nm_client *c = list_entry(i, struct nm_client, node);

		if (c->port == n->port && c->ic.rings[n->host][0] >> n->index & 1)
			return c;
	}
	return NULL;
}

/* "nic0-3,host0-3": the rings that the client binds. */
static void name_rings(const struct nm_client *c, char *to, size_t size)
{
	to[0] = '\0';
	for (int host = 0; host < 2; host++) {
		const uint64_t m = c->ic.rings[host][0] | c->ic.rings[host][1];
		const int first = __builtin_ffsll((long long)m) - 1;
		const size_t at = strlen(to);

		if (m && m >> first > 1)
			snprintf(to + at, size - at, "%s%s%d-%d", at ? "," : "",
				 host ? "host" : "nic", first, 63 - __builtin_clzll(m));
		else if (m)
			snprintf(to + at, size - at, "%s%s%d", at ? "," : "", host ? "host" : "nic",
				 first);
	}
}

const char *endpoint_noun(const struct vbridge *vb)
{
	return vb->end_of ? "mirror port" : "bridge";
}

json_t *endpoint_event(const struct nm_client *c)
{
	char rings[48];

	name_rings(c, rings, sizeof(rings));
	return json_pack("{s:s, s:i, s:i, s:s}", "program", c->program, "pid", (int)c->peer.pid,
			 "uid", (int)c->peer.uid, "ring", rings);
}

/* Settings change only by worker_call() from this thread: reading them needs none. */
static const char *fail_word(const struct vbridge *vb)
{
	return bridge_intercept(vb->br)->set.fail == INTERCEPT_CLOSED ? "closed" : "open";
}

/* What it means for traffic when a ring stalls or is back. */
static const char *effect_text(const struct note *n)
{
	if (n->event != INSPECT_STALL)
		return n->effect == EFFECT_NONE ? "it gets copies" : "it gets the traffic";
	return n->effect == EFFECT_DROPPED ? "traffic is dropped"
	       : n->effect == EFFECT_ROUND ? "traffic goes round it"
					   : "traffic goes on, it gets no more copies";
}

static void tell(struct endpoints *es, const struct note *n)
{
	static const char *const kinds[] = {"inspect", "stall", "return"};
	const struct nm_client *c = reader_of(es, n);
	struct vbridge *vb = n->port->vb;
	char ring[16], reason[64] = "reads for the first time";
	json_t *more;

	if (!vb)
		return;
	snprintf(ring, sizeof(ring), "%s%u", n->host ? "host" : "nic", n->index);
	if (n->event != INSPECT_READER)
		snprintf(reason, sizeof(reason),
			 n->event == INSPECT_STALL ? "took no frame for %u ms"
						   : "takes frames again after %u ms",
			 n->still_ms);
	log_info("%s %s: program %s %s, %s ring=%s pid=%d", endpoint_noun(vb), vb->name,
		 c ? c->program : "?", reason, effect_text(n), ring, c ? (int)c->peer.pid : 0);
	more = c ? endpoint_event(c) : json_object();
	json_object_update_new(more,
			       json_pack("{s:s, s:s, s:s, s:s}", "ring", ring, "reason", reason,
					 "effect", effect_text(n), "fail", fail_word(vb)));
	if (n->event != INSPECT_READER)
		json_object_set_new(more, "ms", json_integer(n->still_ms));
	events_program(es->d, kinds[n->event], vb, more);
}

static void tell_all(struct endpoints *es)
{
	struct note notes[N_NOTES];
	uint32_t n;

	pthread_mutex_lock(&es->lock);
	n = es->n_notes;
	memcpy(notes, es->notes, n * sizeof(notes[0]));
	es->n_notes = 0;
	pthread_mutex_unlock(&es->lock);
	for (uint32_t i = 0; i < n; i++)
		tell(es, &notes[i]);
}

static void on_bell(void *ctx, unsigned int events)
{
	struct endpoints *es = ctx;

	tell_all(es);
	list_for_each_safe (i, &es->clients) {
		struct nm_client *c = list_entry(i, struct nm_client, node);

		if (atomic_exchange(&c->asked, false))
			es->request(c);
	}
}

/* ---- ports ---- */

struct nm_port *endpoint_port_find(const struct endpoints *es, const struct vbridge *vb)
{
	list_for_each (i, &es->ports) {
		struct nm_port *p = list_entry(i, struct nm_port, node);

		if (p->vb == vb)
			return p;
	}
	return NULL;
}

static void start_port(void *arg)
{
	struct nm_port *p = arg;

	inspect_start(p->in);
}

static void port_free(struct nm_port *p)
{
	list_del(&p->node);
	inspect_free(p->in);
	shadow_deinit(&p->shadow);
	free(p);
}

static uint32_t count_rings(const struct ring_counts *c)
{
	return c->n[0][0] + c->n[0][1] + c->n[1][0] + c->n[1][1];
}

int endpoint_port_new(struct endpoints *es, struct vbridge *vb, const struct ring_counts *n,
		      struct nm_port **ret)
{
	struct nm_port *p = calloc(1, sizeof(*p));
	struct inspect_config cfg = {.w = vb->w, .wb = &vb->wb, .n_slots = ENDPOINT_SLOTS};
	int r = -ENOMEM;

	if (!p)
		return -ENOMEM;
	list_init(&p->node);
	p->es = es;
	p->vb = vb;
	p->counts = *n;
	snprintf(p->name, sizeof(p->name), "%s", vb->name);
	cfg.counts = *n;
	cfg.sink = vb->sink;
	cfg.ops = (struct inspect_ops){.ctx = p, .event = note_event, .request = note_request};
	while (getrandom(cfg.hash_key, sizeof(cfg.hash_key), 0) != sizeof(cfg.hash_key))
		;
	p->shadow.fd = -1;
	p->in = inspect_new(&cfg);
	if (p->in)
		r = shadow_init(&p->shadow, count_rings(n));
	if (r) {
		port_free(p);
		return r;
	}
	list_append(&es->ports, &p->node);
	worker_call(vb->w, start_port, p);
	if (vb->sink)
		mirror_end_follow(vb, true);
	*ret = p;
	return 0;
}

static void stop_port(void *arg)
{
	struct nm_port *p = arg;

	inspect_stop(p->in);
}

/* Nobody has it open. */
void endpoint_port_close(struct nm_port *p)
{
	struct endpoints *es = p->es;

	if (p->vb && p->vb->sink)
		mirror_end_follow(p->vb, false);
	if (p->vb)
		worker_call(p->vb->w, stop_port, p);
	tell_all(es); /* no note names it any more */
	port_free(p);
}

/* ---- rings ---- */

uint32_t endpoint_shadow_index(const struct nm_port *p, bool host, bool tx, uint32_t i)
{
	const uint32_t kind = (uint32_t)host * 2 + tx;

	for (uint32_t k = 0; k < kind; k++)
		i += p->counts.n[k / 2][k % 2];
	return i;
}

/* Ports receive into the same pool: some of it is not for programs. */
static bool enough_buffers(struct endpoints *es)
{
	struct bufpool_stats st;

	bufpool_stats(es->d->pool, &st);
	return st.n_free >= ENDPOINT_SLOTS + st.n_total / 16;
}

static int ring_new(struct nm_port *p, const struct nm_client *c, bool host, bool tx, uint32_t i)
{
	struct endpoints *es = p->es;
	struct nm_ring *nr = calloc(1, sizeof(*nr));
	const struct nmobj_ring_params np = {
		.owner = c->domain->owner,
		.ringid = (uint16_t)(host ? p->counts.n[0][tx] + i : i),
		.tx = tx,
		.n_slots = ENDPOINT_SLOTS,
		.offset_mask = c->offsets.mask,
		.initial_offset = c->offsets.initial,
	};
	struct ringcheck_params cp = {
		.shadow = &p->shadow.rings[endpoint_shadow_index(p, host, tx, i)],
		.n_slots = ENDPOINT_SLOTS,
		.buf_size = es->d->region.layout.params.buf_size,
		.offset_mask = c->offsets.mask,
		.max_offset = c->offsets.max,
		.owner = c->domain->owner,
		.tx = tx,
	};
	int r = -ENOMEM;

	if (nr && enough_buffers(es))
		r = nmobj_ring_new(es->objects, &np, &nr->ofs);
	if (r) {
		free(nr);
		return r;
	}
	cp.ring = nmobj_ring(es->objects, nr->ofs);
	r = ringcheck_init(&nr->r.rc, &cp);
	if (r) {
		nmobj_ring_free(es->objects, nr->ofs, np.owner);
		free(nr);
		return r;
	}
	nr->r.host = host;
	nr->r.index = (uint8_t)i;
	nr->r.gap = c->offsets.gap;
	/* NIC RX shows what ports received, host RX what the host sends; TX rings take back the
	 * other. */
	nr->r.side = (tx ? !host : host) ? INTERCEPT_HOST : INTERCEPT_NIC;
	p->rings[host][tx][i] = nr;
	return 0;
}

/* The worker has let go of it. */
static void ring_free(struct nm_port *p, bool host, bool tx, uint32_t i)
{
	struct nm_ring *nr = p->rings[host][tx][i];
	const uint16_t owner = nr->r.rc.owner;

	p->rings[host][tx][i] = NULL;
	ringcheck_deinit(&nr->r.rc);
	nmobj_ring_free(p->es->objects, nr->ofs, owner);
	free(nr);
}

/* Gives up the client's use of rings: those without users go. The worker does not use new ones. */
static void put_rings(struct nm_port *p, struct nm_client *c)
{
	for_each_bound(host, tx, i, c)
	{
		struct nm_ring *nr = p->rings[host][tx][i];

		if (nr && --nr->users == 0)
			ring_free(p, host, tx, i);
		else if (nr)
			nr->exclusive = false;
	}
}

/* A ring that others have: it must allow what the client wants. The client gets what it allows. */
static int agree_on_offsets(const struct nm_ring *nr, struct nm_offsets *o)
{
	const struct ringcheck *rc = &nr->r.rc;

	if (!o->mask || !rc->offset_mask)
		return 0;
	if (o->mask & ~rc->offset_mask || o->max > rc->max_offset)
		return -EBUSY;
	o->mask = rc->offset_mask;
	o->max = rc->max_offset;
	return 0;
}

static int get_rings(struct nm_port *p, struct nm_client *c)
{
	uint64_t want[2][2];
	int r;

	memcpy(want, c->ic.rings, sizeof(want));
	memset(c->ic.rings, 0, sizeof(c->ic.rings));
	for (int host = 0; host < 2; host++)
		for (int tx = 0; tx < 2; tx++)
			for_each_bit(i, want[host][tx])
			{
				struct nm_ring *nr = p->rings[host][tx][i];

				r = nr ? agree_on_offsets(nr, &c->offsets)
				       : ring_new(p, c, host, tx, i);
				if (r) {
					put_rings(p, c);
					return r;
				}
				c->ic.rings[host][tx] |= 1ULL << i;
				p->rings[host][tx][i]->users++;
				p->rings[host][tx][i]->exclusive = c->exclusive;
			}
	return 0;
}

/* The client's netmap_if with the offsets of its rings. */
static int make_if(struct nm_port *p, struct nm_client *c)
{
	static uint64_t ofs[4 * RINGS_MAX];
	const struct nmobj_if_params ip = {
		.name = p->name,
		.n_tx = p->counts.n[0][1],
		.n_rx = p->counts.n[0][0],
		.n_host_tx = p->counts.n[1][1],
		.n_host_rx = p->counts.n[1][0],
		.rings = ofs,
	};
	uint64_t *o = ofs;

	for (int tx = 1; tx >= 0; tx--)
		for (int host = 0; host < 2; host++)
			for (uint32_t i = 0; i < p->counts.n[host][tx]; i++)
				*o++ = c->ic.rings[host][tx] >> i & 1 ? p->rings[host][tx][i]->ofs
								      : 0;
	return nmobj_if_new(p->es->objects, &ip, &c->if_ofs);
}

/* ---- binding and releasing ---- */

struct bind_job {
	struct nm_port *p;
	struct nm_client *c;
	int r;
	enum effect effect; /* of a release */
};

static void bind_in_worker(void *arg)
{
	struct bind_job *job = arg;
	const struct nm_offsets *o = &job->c->offsets;

	job->r = inspect_client_add(job->p->in, &job->c->ic);
	if (job->r)
		return;
	for_each_bound(host, tx, i, job->c)
	{
		struct nm_ring *nr = job->p->rings[host][tx][i];

		if (!nr->r.bound) {
			inspect_ring_add(job->p->in, &nr->r);
		} else if (o->mask && !nr->r.rc.offset_mask) {
			nmobj_ring_set_offsets(job->p->es->objects, nr->ofs, o->mask);
			inspect_ring_offsets(job->p->in, &nr->r, o->mask, o->max, o->gap);
		}
	}
}

/* In the worker. What becomes of traffic with those that are left. */
static enum effect effect_left(const struct nm_port *p)
{
	const struct intercept *ic = bridge_intercept(p->vb->br);
	enum effect worst = EFFECT_NONE;

	for (int side = 0; side < INTERCEPT_SIDE_N; side++) {
		enum effect e = effect_on(p, side);

		if (e != EFFECT_NONE && ic->sides[side].live)
			e = EFFECT_INSPECTED;
		worst = max_of(worst, e);
	}
	return worst;
}

static void release_in_worker(void *arg)
{
	struct bind_job *job = arg;

	inspect_client_del(job->p->in, &job->c->ic);
	/* TX rings first: what they hold may complete what RX rings are asked for. */
	for (int tx = 1; tx >= 0; tx--)
		for (int host = 0; host < 2; host++)
			for_each_bit(
				i,
				job->c->ic.rings[host][tx]) if (job->p->rings[host][tx][i]->users ==
								1)
				inspect_ring_del(job->p->in, &job->p->rings[host][tx][i]->r);
	job->effect = effect_left(job->p);
}

/* How many extra buffers the user may still get. */
static uint32_t extra_left(const struct endpoints *es, uid_t uid)
{
	uint32_t left = es->d->uid_limits.extra_buffers;

	list_for_each (i, &es->clients) {
		const struct nm_client *c = list_entry(i, struct nm_client, node);

		if (c->registered && c->peer.uid == uid)
			left -= min_of(left, c->n_extra);
	}
	return left;
}

/* Extra buffers: never more than half of what is free, for ports need some, too. */
uint32_t endpoint_grant_extra(struct endpoints *es, struct nm_client *c, uint32_t want)
{
	struct bufpool_stats st;

	bufpool_stats(es->d->pool, &st);
	want = min_of(want, st.n_free / 2);
	if (c->peer.uid != 0)
		want = min_of(want, extra_left(es, c->peer.uid));
	return want ? nmobj_extra_new(es->objects, c->if_ofs, c->domain->owner, want) : 0;
}

int endpoint_bind(struct nm_port *p, struct nm_client *c, uint32_t extra)
{
	struct bind_job job = {p, c, 0, EFFECT_NONE};
	int r = get_rings(p, c);

	if (r)
		return r;
	r = make_if(p, c);
	if (r) {
		put_rings(p, c);
		return r;
	}
	c->n_extra = endpoint_grant_extra(p->es, c, extra);
	c->ic.bell.fd = c->fd;
	worker_call(p->vb->w, bind_in_worker, &job);
	if (job.r) {
		nmobj_if_free(p->es->objects, c->if_ofs, c->domain->owner);
		put_rings(p, c);
		return job.r;
	}
	p->n_clients++;
	c->port = p;
	endpoint_meet_rings(c);
	return 0;
}

void endpoint_describe(struct nm_client *c, char *to, size_t size)
{
	static const char *const modes[] = {[NR_REG_ALL_NIC] = "nic",
					    [NR_REG_SW] = "host",
					    [NR_REG_NIC_SW] = "nic+host",
					    [NR_REG_ONE_NIC] = "one-nic",
					    [NR_REG_ONE_SW] = "one-host"};

	snprintf(to, size, "program=%s pid=%d uid=%u mode=%s", c->program, (int)c->peer.pid,
		 (unsigned int)c->peer.uid,
		 c->mode < array_size(modes) && modes[c->mode] ? modes[c->mode] : "null");
}

/* Why the descriptor is gone: the kernel does not say, but the process may be ending. */
static void end_reason(const struct nm_client *c, char *to, size_t size, const char **ret_cause)
{
	int sig;

	if (!proc_ended(c->peer.pid, &sig)) {
		snprintf(to, size, "closed by the program");
		*ret_cause = "closed";
	} else if (sig) {
		snprintf(to, size, "killed by signal %d", sig);
		*ret_cause = "killed";
	} else {
		snprintf(to, size, "the program ended or was killed");
		*ret_cause = "ended";
	}
}

static void tell_release(struct nm_client *c, struct nm_port *p, enum effect effect)
{
	static const char *const effects[] = {
		[EFFECT_NONE] = "traffic goes on without it",
		[EFFECT_INSPECTED] = "other programs inspect",
		[EFFECT_ROUND] = "traffic goes on without it",
		[EFFECT_DROPPED] = "traffic is dropped",
	};
	char who[96], reason[48];
	const char *cause;
	json_t *more;

	endpoint_describe(c, who, sizeof(who));
	if (!p->vb) {
		log_info("bridge %s: released %s", p->name, who);
		return;
	}
	end_reason(c, reason, sizeof(reason), &cause);
	log_info("%s %s: released %s: %s, %s", endpoint_noun(p->vb), p->name, who, reason,
		 effects[effect]);
	more = endpoint_event(c);
	json_object_update_new(more,
			       json_pack("{s:s, s:s, s:s, s:s}", "reason", reason, "cause", cause,
					 "effect", effects[effect], "fail", fail_word(p->vb)));
	events_program(c->es->d, "detach", p->vb, more);
}

void endpoint_release(struct nm_client *c)
{
	struct endpoints *es = c->es;
	struct nm_port *p = c->port;
	struct bind_job job = {p, c, 0, EFFECT_NONE};
	struct vbridge *unused = NULL;

	if (!c->registered)
		return;
	c->registered = false;
	if (p && p->vb)
		worker_call(p->vb->w, release_in_worker, &job);
	atomic_store(&c->asked, false);
	if (c->has_if && nmobj_if_free(es->objects, c->if_ofs, c->domain->owner).n_bad)
		log_info("netmap: program %s pid=%d left a buffer that is not its own in the list "
			 "of "
			 "extra buffers, which ends there",
			 c->program, (int)c->peer.pid);
	if (p) {
		tell_all(es); /* what happened before */
		tell_release(c, p, job.effect);
		put_rings(p, c);
		if (--p->n_clients == 0) {
			unused = p->vb;
			endpoint_port_close(p);
		}
	}
	c->port = NULL;
	endpoint_leave(c);
	if (unused)
		adopt_unused(unused);
}

static bool hung_up(const struct nm_client *c)
{
	struct pollfd p = {.fd = c->fd};

	return poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
}

void endpoint_reap(struct endpoints *es)
{
	list_for_each (i, &es->clients) {
		struct nm_client *c = list_entry(i, struct nm_client, node);

		if (!c->registered || !hung_up(c))
			continue;
		endpoint_release(c);
		/* The rest of it is freed in its turn. */
		atomic_store(&c->asked, true);
		loop_ring(es->bell);
	}
}

static void shut_in_worker(void *arg)
{
	struct nm_port *p = arg;

	inspect_shut(p->in);
	for (int tx = 1; tx >= 0; tx--)
		for (int host = 0; host < 2; host++)
			for (uint32_t i = 0; i < p->counts.n[host][tx]; i++)
				if (p->rings[host][tx][i])
					inspect_ring_del(p->in, &p->rings[host][tx][i]->r);
	list_for_each (i, &p->es->clients) {
		struct nm_client *c = list_entry(i, struct nm_client, node);

		if (c->port == p)
			inspect_client_del(p->in, &c->ic);
	}
	inspect_stop(p->in);
}

void endpoint_bridge_gone(struct daemon *d, struct vbridge *vb)
{
	struct endpoints *es = d->endpoints;
	struct nm_port *p = es ? endpoint_port_find(es, vb) : NULL;

	if (!p)
		return;
	worker_call(vb->w, shut_in_worker, p);
	tell_all(es);
	p->vb = NULL;
	/* The main thread waits for their end now. */
	list_for_each_safe (i, &es->clients) {
		struct nm_client *c = list_entry(i, struct nm_client, node);

		if (c->port == p)
			es->request(c);
	}
}

struct listen_job {
	struct inspect_client *ic;
};

static void listen_in_worker(void *arg)
{
	inspect_client_listen(((struct listen_job *)arg)->ic);
}

void endpoint_listen(struct nm_client *c)
{
	struct listen_job job = {&c->ic};

	if (c->port && c->port->vb)
		worker_call(c->port->vb->w, listen_in_worker, &job);
}

/* ---- life ---- */

struct endpoints *endpoints_new(struct daemon *d)
{
	struct endpoints *es = calloc(1, sizeof(*es));

	if (es) {
		es->d = d;
		list_init(&es->ports);
		list_init(&es->clients);
		pthread_mutex_init(&es->lock, NULL);
		es->owners = bufowner_new(d->pool);
		es->objects = es->owners ? nmobj_new(es->owners) : NULL;
		es->domains = domains_new(es->owners, proc_look);
		es->bell = loop_bell(d->loop, on_bell, es);
		while (getrandom(&es->token, sizeof(es->token), 0) != sizeof(es->token))
			;
		if (es->objects && es->domains && es->bell)
			return es;
	}
	log_err("netmap: no memory");
	return endpoints_free(es);
}

struct endpoints *endpoints_free(struct endpoints *es)
{
	if (!es)
		return NULL;
	loop_del(es->bell);
	domains_free(es->domains);
	if (es->objects)
		nmobj_free(es->objects);
	if (es->owners)
		bufowner_free(es->owners);
	free(es);
	return NULL;
}

void endpoints_set_request(struct endpoints *es, void (*fn)(struct nm_client *c))
{
	es->request = fn;
}

struct list *endpoints_ports(struct endpoints *es)
{
	return &es->ports;
}

struct list *endpoints_clients(struct endpoints *es)
{
	return &es->clients;
}
