/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Requests come in here one by one; whatever they change in rings that a worker uses is done by
 * worker_call(). The worker has two things to say in return, an event of a ring and "this
 * descriptor wants you": it notes them under `lock` and rings a bell.
 *
 * All programs of the region are one domain of buffers (mem/bufowner.h): they may swap buffers
 * between any two ports of it. It is made for the first and removed with the last of them, and
 * whatever they lost meanwhile is free again then.
 */
#include "daemon/endpoint.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "daemon/bridges.h"
#include "daemon/events.h"
#include "sys/clock.h"
#include "sys/loop.h"

LOG_MODULE("daemon/endpoint");

#define N_NOTES 64u

struct note {
	struct nm_port *port;
	enum inspect_event event;
	bool host;
	uint8_t index;
};

struct endpoints {
	struct daemon *d;
	struct list ports, clients;
	struct bufowner *owners;
	struct nmobj *objects;
	uint16_t owner; /* 0: no program has memory */
	uint32_t n_members;
	uint64_t token;
	void (*request)(struct nm_client *c);
	struct loop_source *bell;
	pthread_mutex_t lock; /* for the rest */
	struct note notes[N_NOTES];
	uint32_t n_notes;
};

/* ---- from the worker ---- */

static void note_event(void *ctx, enum inspect_event e, const struct inspect_ring *r)
{
	struct nm_port *p = ctx;
	struct endpoints *es = p->es;

	pthread_mutex_lock(&es->lock);
	if (es->n_notes < N_NOTES)
		es->notes[es->n_notes++] = (struct note){p, e, r->host, r->index};
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

static void tell(struct endpoints *es, const struct note *n)
{
	static const char *const kinds[] = {"inspect", "stall", "return"};
	static const char *const texts[] = {
		"reads", "does not take frames any more: the bridge goes round it",
		"takes frames again"};
	const struct nm_client *c = reader_of(es, n);
	struct vbridge *vb = n->port->vb;

	if (!vb)
		return;
	log_info("bridge %s: program %s %s ring=%s%u pid=%d", vb->name, c ? c->program : "?",
		 texts[n->event], n->host ? "host" : "nic", n->index, c ? (int)c->peer.pid : 0);
	events_link(es->d, kinds[n->event], vb, NULL);
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

/* ---- memory ---- */

/* A program that has memory of the region comes, or goes. */
static bool join(struct endpoints *es)
{
	if (es->n_members == 0)
		es->owner = bufowner_add(es->owners);
	if (!es->owner)
		return false;
	es->n_members++;
	return true;
}

static void leave(struct endpoints *es)
{
	uint32_t n;

	if (--es->n_members > 0)
		return;
	n = bufowner_remove(es->owners, es->owner);
	bufowner_flush(es->owners);
	es->owner = 0;
	if (n > 0)
		log_info("memory region %u: %u buffers taken back that programs had lost",
			 es->d->region.id, n);
}

/* ---- ports ---- */

static struct nm_port *find_port(const struct endpoints *es, const struct vbridge *vb)
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

static int port_new(struct endpoints *es, struct vbridge *vb, struct nm_port **ret)
{
	struct nm_port *p = calloc(1, sizeof(*p));
	struct inspect_config cfg = {.w = vb->w, .wb = &vb->wb, .n_slots = ENDPOINT_SLOTS};
	int r = -ENOMEM;

	if (!p)
		return -ENOMEM;
	list_init(&p->node);
	p->es = es;
	p->vb = vb;
	p->n_rings = vb->n_rings;
	snprintf(p->name, sizeof(p->name), "%s", vb->name);
	cfg.n_rings = p->n_rings;
	cfg.ops = (struct inspect_ops){.ctx = p, .event = note_event, .request = note_request};
	while (getrandom(cfg.hash_key, sizeof(cfg.hash_key), 0) != sizeof(cfg.hash_key))
		;
	p->shadow.fd = -1;
	p->in = inspect_new(&cfg);
	if (p->in)
		r = shadow_init(&p->shadow, 4 * p->n_rings);
	if (r) {
		port_free(p);
		return r;
	}
	list_append(&es->ports, &p->node);
	worker_call(vb->w, start_port, p);
	*ret = p;
	return 0;
}

static void stop_port(void *arg)
{
	struct nm_port *p = arg;

	inspect_stop(p->in);
}

/* Nobody has it open. */
static void port_close(struct nm_port *p)
{
	struct endpoints *es = p->es;

	if (p->vb)
		worker_call(p->vb->w, stop_port, p);
	tell_all(es); /* no note names it any more */
	port_free(p);
}

/* ---- rings ---- */

static uint32_t shadow_index(const struct nm_port *p, bool host, bool tx, uint32_t i)
{
	return ((uint32_t)host * 2 + tx) * p->n_rings + i;
}

/* Ports receive into the same pool: some of it is not for programs. */
static bool enough_buffers(struct endpoints *es)
{
	struct bufpool_stats st;

	bufpool_stats(es->d->pool, &st);
	return st.n_free >= ENDPOINT_SLOTS + st.n_total / 16;
}

static int ring_new(struct nm_port *p, bool host, bool tx, uint32_t i)
{
	struct endpoints *es = p->es;
	struct nm_ring *nr = calloc(1, sizeof(*nr));
	const struct nmobj_ring_params np = {
		.owner = es->owner,
		.ringid = (uint16_t)(host ? p->n_rings + i : i),
		.tx = tx,
		.n_slots = ENDPOINT_SLOTS,
	};
	struct ringcheck_params cp = {
		.shadow = &p->shadow.rings[shadow_index(p, host, tx, i)],
		.n_slots = ENDPOINT_SLOTS,
		.buf_size = es->d->region.layout.params.buf_size,
		.owner = es->owner,
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
		nmobj_ring_free(es->objects, nr->ofs, es->owner);
		free(nr);
		return r;
	}
	nr->r.host = host;
	nr->r.index = (uint8_t)i;
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

	p->rings[host][tx][i] = NULL;
	ringcheck_deinit(&nr->r.rc);
	nmobj_ring_free(p->es->objects, nr->ofs, p->es->owner);
	free(nr);
}

#define for_each_bit(i, mask)                                                                      \
	for (uint32_t i = 0; i < RINGS_MAX; i++)                                                   \
		if ((mask) >> i & 1)

/* Calls fn for each ring of the client, in the order of shadow indexes. */
#define for_each_bound(host, tx, i, c)                                                             \
	for (int host = 0; host < 2; host++)                                                       \
		for (int tx = 0; tx < 2; tx++)                                                     \
	for_each_bit(i, (c)->ic.rings[host][tx])

/* Which rings the request means. 0 or -EINVAL. */
static int choose_rings(const struct nmreq_register *req, uint32_t n, uint64_t ret[2][2])
{
	const uint64_t all = n == 64 ? ~0ULL : (1ULL << n) - 1;
	uint64_t nic = 0, host = 0;

	switch (req->nr_mode) {
	case NR_REG_ALL_NIC:
		nic = all;
		break;
	case NR_REG_SW:
		host = all;
		break;
	case NR_REG_NIC_SW:
		nic = host = all;
		break;
	case NR_REG_ONE_NIC:
	case NR_REG_ONE_SW:
		if (req->nr_ringid >= n)
			return -EINVAL;
		*(req->nr_mode == NR_REG_ONE_NIC ? &nic : &host) = 1ULL << req->nr_ringid;
		break;
	default:
		return -EINVAL;
	}
	for (int tx = 0; tx < 2; tx++) {
		const bool unwanted = req->nr_flags & (tx ? NR_RX_RINGS_ONLY : NR_TX_RINGS_ONLY);

		ret[0][tx] = unwanted ? 0 : nic;
		ret[1][tx] = unwanted ? 0 : host;
	}
	return 0;
}

static int check_exclusive(const struct nm_port *p, const struct nm_client *c)
{
	for_each_bound(host, tx, i, c)
	{
		const struct nm_ring *nr = p->rings[host][tx][i];

		if (nr && (nr->exclusive || c->exclusive))
			return -EBUSY;
	}
	return 0;
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
				r = p->rings[host][tx][i] ? 0 : ring_new(p, host, tx, i);
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
		.n_tx = p->n_rings,
		.n_rx = p->n_rings,
		.n_host_tx = p->n_rings,
		.n_host_rx = p->n_rings,
		.rings = ofs,
	};
	uint64_t *o = ofs;

	for (int tx = 1; tx >= 0; tx--)
		for (int host = 0; host < 2; host++)
			for (uint32_t i = 0; i < p->n_rings; i++)
				*o++ = c->ic.rings[host][tx] >> i & 1 ? p->rings[host][tx][i]->ofs
								      : 0;
	return nmobj_if_new(p->es->objects, &ip, &c->if_ofs);
}

/* ---- binding and releasing ---- */

struct bind_job {
	struct nm_port *p;
	struct nm_client *c;
	int r;
};

static void bind_in_worker(void *arg)
{
	struct bind_job *job = arg;

	job->r = inspect_client_add(job->p->in, &job->c->ic);
	if (job->r)
		return;
	for_each_bound(host, tx, i, job->c) if (!job->p->rings[host][tx][i]->r.bound)
		inspect_ring_add(job->p->in, &job->p->rings[host][tx][i]->r);
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
}

/* Extra buffers: never more than half of what is free, for ports need some, too. */
static uint32_t grant_extra(struct endpoints *es, struct nm_client *c, uint32_t want)
{
	struct bufpool_stats st;

	bufpool_stats(es->d->pool, &st);
	want = min_of(want, st.n_free / 2);
	return want ? nmobj_extra_new(es->objects, c->if_ofs, es->owner, want) : 0;
}

static int bind_client(struct nm_port *p, struct nm_client *c, uint32_t extra)
{
	struct bind_job job = {p, c, 0};
	int r = get_rings(p, c);

	if (r)
		return r;
	r = make_if(p, c);
	if (r) {
		put_rings(p, c);
		return r;
	}
	c->n_extra = grant_extra(p->es, c, extra);
	c->ic.bell.fd = c->fd;
	worker_call(p->vb->w, bind_in_worker, &job);
	if (job.r) {
		nmobj_if_free(p->es->objects, c->if_ofs, p->es->owner);
		put_rings(p, c);
		return job.r;
	}
	p->n_clients++;
	c->port = p;
	return 0;
}

static void describe(struct nm_client *c, char *to, size_t size)
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

void endpoint_release(struct nm_client *c)
{
	struct endpoints *es = c->es;
	struct nm_port *p = c->port;
	struct bind_job job = {p, c, 0};
	char text[96];

	if (!c->registered)
		return;
	c->registered = false;
	if (p && p->vb)
		worker_call(p->vb->w, release_in_worker, &job);
	atomic_store(&c->asked, false);
	if (c->has_if)
		nmobj_if_free(es->objects, c->if_ofs, es->owner);
	if (p) {
		describe(c, text, sizeof(text));
		log_info("bridge %s: released %s", p->name, text);
		put_rings(p, c);
		if (p->vb)
			events_link(es->d, "detach", p->vb, NULL);
		if (--p->n_clients == 0)
			port_close(p);
	}
	c->port = NULL;
	leave(es);
}

static void shut_in_worker(void *arg)
{
	struct nm_port *p = arg;

	inspect_shut(p->in);
	for (int tx = 1; tx >= 0; tx--)
		for (int host = 0; host < 2; host++)
			for (uint32_t i = 0; i < p->n_rings; i++)
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
	struct nm_port *p = es ? find_port(es, vb) : NULL;

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

/* ---- requests ---- */

/* The size of each request's body. */
static const uint32_t body_sizes[] = {
	[NETMAP_REQ_REGISTER] = sizeof(struct nmreq_register),
	[NETMAP_REQ_PORT_INFO_GET] = sizeof(struct nmreq_port_info_get),
	[NETMAP_REQ_VALE_ATTACH] = sizeof(struct nmreq_vale_attach),
	[NETMAP_REQ_VALE_DETACH] = sizeof(struct nmreq_vale_detach),
	[NETMAP_REQ_VALE_LIST] = sizeof(struct nmreq_vale_list),
	[NETMAP_REQ_PORT_HDR_SET] = sizeof(struct nmreq_port_hdr),
	[NETMAP_REQ_PORT_HDR_GET] = sizeof(struct nmreq_port_hdr),
	[NETMAP_REQ_VALE_NEWIF] = sizeof(struct nmreq_vale_newif),
	[NETMAP_REQ_VALE_DELIF] = 0,
	[NETMAP_REQ_VALE_POLLING_ENABLE] = sizeof(struct nmreq_vale_polling),
	[NETMAP_REQ_VALE_POLLING_DISABLE] = sizeof(struct nmreq_vale_polling),
	[NETMAP_REQ_POOLS_INFO_GET] = sizeof(struct nmreq_pools_info),
	[NETMAP_REQ_SYNC_KLOOP_START] = sizeof(struct nmreq_sync_kloop_start),
	[NETMAP_REQ_SYNC_KLOOP_STOP] = 0,
	[NETMAP_REQ_CSB_ENABLE] = 0,
};

/* Options: none is supported yet. 0, -EINVAL or, for REGISTER only, -EOPNOTSUPP. */
static int check_options(struct attach_msg *m)
{
	int r = 0;

	for (uint32_t i = 0; i < m->n_options; i++) {
		struct attach_opt *o = &m->options[i];

		o->status = EOPNOTSUPP;
		if (o->reqtype == 0) {
			o->status = EINVAL;
			r = -EINVAL;
		}
		for (uint32_t k = 0; k < i; k++)
			if (m->options[k].reqtype == o->reqtype) {
				m->options[k].status = o->status = EINVAL;
				r = -EINVAL;
			}
	}
	if (!r && m->n_options && m->h.nr_reqtype == NETMAP_REQ_REGISTER)
		r = -EOPNOTSUPP;
	return r;
}

/*
 * What a name means, in the order of netmap(4): null port, monitor, pipe, VALE, interface. Only
 * bridges of ours are there so far. 0 and *ret, or -errno.
 */
static int resolve(struct endpoints *es, const char *name, uint64_t flags, struct vbridge **ret)
{
	if (flags & (NR_MONITOR_TX | NR_MONITOR_RX | NR_ZCOPY_MON))
		return -EOPNOTSUPP;
	if (strpbrk(name, "{}"))
		return -EOPNOTSUPP;
	if (!strncmp(name, "vale", 4))
		return -EOPNOTSUPP;
	*ret = bridges_find(es->d, name);
	return *ret ? 0 : -ENXIO;
}

static uint64_t memory_size(const struct endpoints *es)
{
	return es->d->region.layout.size;
}

/* Region 1, and whatever is asked for when that is 0. */
static int check_mem_id(const struct endpoints *es, uint16_t id)
{
	return id == 0 || id == es->d->region.id ? 0 : -EINVAL;
}

static uint32_t rings_of(const struct endpoints *es, const struct vbridge *vb)
{
	const struct nm_port *p = find_port(es, vb);

	return p ? p->n_rings : vb->n_rings;
}

static int port_info(struct nm_client *c, const struct attach_msg *m, struct nm_reply *ret)
{
	struct endpoints *es = c->es;
	struct nmreq_port_info_get info;
	struct vbridge *vb;
	uint16_t n;
	int r;

	memcpy(&info, m->body, sizeof(info));
	r = check_mem_id(es, info.nr_mem_id);
	if (r)
		return r;
	info.nr_memsize = memory_size(es);
	info.nr_mem_id = es->d->region.id;
	if (m->h.name[0]) {
		r = resolve(es, m->h.name, 0, &vb);
		if (r)
			return r;
		n = (uint16_t)rings_of(es, vb);
		info.nr_tx_slots = info.nr_rx_slots = ENDPOINT_SLOTS;
		info.nr_tx_rings = info.nr_rx_rings = n;
		info.nr_host_tx_rings = info.nr_host_rx_rings = n;
	}
	memcpy(ret->body, &info, sizeof(info));
	return 0;
}

static int pools_info(struct nm_client *c, const struct attach_msg *m, struct nm_reply *ret)
{
	struct endpoints *es = c->es;
	const struct mem_layout *l = &es->d->region.layout;
	struct nmreq_pools_info info;
	struct vbridge *vb;
	int r = resolve(es, m->h.name, 0, &vb);

	if (r)
		return r;
	memcpy(&info, m->body, sizeof(info));
	r = check_mem_id(es, info.nr_mem_id);
	if (r)
		return r;
	info.nr_memsize = l->size;
	info.nr_mem_id = es->d->region.id;
	info.nr_if_pool_offset = l->if_ofs;
	info.nr_if_pool_objtotal = l->params.if_num;
	info.nr_if_pool_objsize = l->params.if_size;
	info.nr_ring_pool_offset = l->ring_ofs;
	info.nr_ring_pool_objtotal = l->params.ring_num;
	info.nr_ring_pool_objsize = l->params.ring_size;
	info.nr_buf_pool_offset = mem_buf(l, 0);
	info.nr_buf_pool_objtotal = l->params.buf_num;
	info.nr_buf_pool_objsize = l->params.buf_size;
	memcpy(ret->body, &info, sizeof(info));
	return 0;
}

static int port_hdr(struct nm_client *c, const struct attach_msg *m, struct nm_reply *ret)
{
	struct nmreq_port_hdr h;
	struct vbridge *vb;
	int r = resolve(c->es, m->h.name, 0, &vb);

	if (r)
		return r;
	memcpy(&h, m->body, sizeof(h));
	if (m->h.nr_reqtype == NETMAP_REQ_PORT_HDR_SET)
		return h.nr_hdr_len == 0 || h.nr_hdr_len == 10 || h.nr_hdr_len == 12 ? -ENXIO
										     : -EINVAL;
	h.nr_hdr_len = 0;
	memcpy(ret->body, &h, sizeof(h));
	return 0;
}

/* ---- REGISTER ---- */

static void list_rings(const struct nm_client *c, struct nm_reply *ret)
{
	const struct nm_port *p = c->port;

	for_each_bound(host, tx, i, c)
	{
		const struct nm_ring *nr = p->rings[host][tx][i];

		ret->rings[ret->h.n_rings++] = (struct attach_ring){
			.ofs = nr->ofs,
			.shadow = shadow_index(p, host, tx, i),
			.n_slots = ENDPOINT_SLOTS,
			.ring_id = (uint16_t)(host ? p->n_rings + i : i),
			.tx = (uint8_t)tx,
			.host = (uint8_t)host,
			.buf_size = c->es->d->region.layout.params.buf_size,
		};
	}
	ret->h.n_shadow = p->shadow.n;
	ret->fds[ret->n_fds++] = p->shadow.fd;
}

/* The parts of the answer that all kinds of ports share. */
static void answer(struct nm_client *c, struct nmreq_register *req, struct nm_reply *ret)
{
	struct endpoints *es = c->es;

	req->nr_offset = c->if_ofs;
	req->nr_memsize = memory_size(es);
	req->nr_mem_id = es->d->region.id;
	req->nr_extra_bufs = c->n_extra;
	c->answer = *req;
	memcpy(ret->body, req, sizeof(*req));
	ret->h.body_size = sizeof(*req);
	ret->fds[ret->n_fds++] = es->d->region.fd;
	ret->h.region_token = es->token;
	ret->h.region_size = es->d->region.layout.file_size;
	ret->h.nifp_ofs = c->if_ofs;
	if (c->port)
		list_rings(c, ret);
}

/* No rings, only memory: a netmap_if for extra buffers. */
static int register_null(struct nm_client *c, const char *name, struct nmreq_register *req)
{
	static const uint64_t none[2];
	const struct nmobj_if_params ip = {.name = name, .rings = none};
	int r;

	if (req->nr_mem_id != c->es->d->region.id)
		return -EINVAL;
	r = nmobj_if_new(c->es->objects, &ip, &c->if_ofs);
	if (r)
		return r;
	c->n_extra = grant_extra(c->es, c, req->nr_extra_bufs);
	req->nr_tx_rings = req->nr_rx_rings = 0;
	req->nr_host_tx_rings = req->nr_host_rx_rings = 0;
	req->nr_tx_slots = req->nr_rx_slots = 0;
	return 0;
}

static int register_bridge(struct nm_client *c, struct vbridge *vb, struct nmreq_register *req)
{
	struct nm_port *p = find_port(c->es, vb);
	int r = choose_rings(req, rings_of(c->es, vb), c->ic.rings);

	if (!r && p)
		r = check_exclusive(p, c);
	if (!r && !p)
		r = port_new(c->es, vb, &p);
	if (r)
		return r;
	r = bind_client(p, c, req->nr_extra_bufs);
	if (r) {
		if (p->n_clients == 0)
			port_close(p);
		return r;
	}
	req->nr_tx_slots = req->nr_rx_slots = ENDPOINT_SLOTS;
	req->nr_tx_rings = req->nr_rx_rings = (uint16_t)p->n_rings;
	req->nr_host_tx_rings = req->nr_host_rx_rings = (uint16_t)p->n_rings;
	return 0;
}

static int register_any(struct nm_client *c, const struct attach_msg *m, struct nmreq_register *req)
{
	struct vbridge *vb = NULL;
	int r;

	if (req->nr_mode == NR_REG_NULL)
		return register_null(c, m->h.name, req);
	r = resolve(c->es, m->h.name, req->nr_flags, &vb);
	if (!r)
		r = check_mem_id(c->es, req->nr_mem_id);
	return r ? r : register_bridge(c, vb, req);
}

static int do_register(struct nm_client *c, const struct attach_msg *m, struct nm_reply *ret)
{
	struct nmreq_register req;
	char text[96];
	int r;

	if (c->registered)
		return -EBUSY;
	memcpy(&req, m->body, sizeof(req));
	c->exclusive = req.nr_flags & NR_EXCLUSIVE;
	c->mode = req.nr_mode;
	if (!join(c->es))
		return -ENOMEM;
	r = register_any(c, m, &req);
	if (r) {
		memset(c->ic.rings, 0, sizeof(c->ic.rings));
		leave(c->es);
		return r;
	}
	/* commit */
	c->registered = c->has_if = true;
	c->since = clock_wall_s();
	answer(c, &req, ret);
	describe(c, text, sizeof(text));
	log_info("%s %s: opened %s", c->port ? "bridge" : "null port", m->h.name, text);
	if (c->port)
		events_link(c->es->d, "attach", c->port->vb, NULL);
	return 0;
}

static int dispatch(struct nm_client *c, struct attach_msg *m, struct nm_reply *ret)
{
	const uint16_t t = m->h.nr_reqtype;
	int r;

	if (t == ATTACH_STATE) {
		struct nmreq_register again = c->answer;

		if (!c->registered)
			return -ENXIO;
		answer(c, &again, ret);
		return 0;
	}
	if (m->h.nr_version < NETMAP_MIN_API || m->h.nr_version > NETMAP_MAX_API)
		return -EINVAL;
	if (t < NETMAP_REQ_REGISTER || t >= array_size(body_sizes) ||
	    m->h.body_size != body_sizes[t])
		return -EINVAL;
	r = check_options(m);
	if (r)
		return r;
	switch (t) {
	case NETMAP_REQ_REGISTER:
		return do_register(c, m, ret);
	case NETMAP_REQ_PORT_INFO_GET:
		return port_info(c, m, ret);
	case NETMAP_REQ_POOLS_INFO_GET:
		return pools_info(c, m, ret);
	case NETMAP_REQ_PORT_HDR_GET:
	case NETMAP_REQ_PORT_HDR_SET:
		return port_hdr(c, m, ret);
	default: /* VALE switches, CSB and kernel loops */
		return -EOPNOTSUPP;
	}
}

static bool wrong_netns(const struct nm_client *c, const struct attach_msg *m)
{
	const struct daemon *d = c->es->d;

	if (m->h.netns == 0 || m->h.netns == d->netns)
		return false;
	log_warn("netmap: program %s pid=%d asks for %s from network namespace %llu, the daemon is "
		 "in "
		 "%llu",
		 c->program, (int)c->peer.pid, m->h.name, (unsigned long long)m->h.netns,
		 (unsigned long long)d->netns);
	return true;
}

void endpoint_request(struct nm_client *c, struct attach_msg *m, struct nm_reply *ret)
{
	int r = wrong_netns(c, m) ? -ENXIO : dispatch(c, m, ret);

	log_debug("netmap: pid=%d request %u %s: %d", (int)c->peer.pid, m->h.nr_reqtype, m->h.name,
		  -r);
	ret->h.error = -r;
	if (r)
		ret->h.body_size = 0;
	else if (m->h.nr_reqtype != ATTACH_STATE)
		ret->h.body_size = m->h.body_size;
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
		es->bell = loop_bell(d->loop, on_bell, es);
		while (getrandom(&es->token, sizeof(es->token), 0) != sizeof(es->token))
			;
		if (es->objects && es->bell)
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
