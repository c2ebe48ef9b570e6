/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of programs, one NIOCCTRL each: what they mean, and their answers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/access.h"
#include "daemon/adopt.h"
#include "daemon/bridges.h"
#include "daemon/endpoint_internal.h"
#include "daemon/events.h"
#include "daemon/mirror_end.h"
#include "sys/clock.h"

LOG_MODULE("daemon/endpoint_request");

/* ---- rights ---- */

bool endpoint_may_open(const struct nm_client *c, const struct vbridge *vb)
{
	const struct daemon *d = c->es->d;

	/* Who may see a bridge may see what it mirrors. */
	if (vb && vb->end_of)
		vb = vb->end_of;
	if (c->peer.uid == 0 || c->peer.uid == geteuid())
		return true;
	if (vb && vb->access)
		return access_permits(vb->access, c->fd, &c->peer);
	if (d->group && c->peer.in_group)
		return true;
	if (!vb)
		for_each_bridge(b, d) if (b->access &&
					  access_permits(b->access, c->fd, &c->peer)) return true;
	return false;
}

/* One line for the operator, with the command that lets it in. */
static void log_refused(struct nm_client *c, const struct vbridge *vb, const char *name)
{
	char more[48] = "", before[16] = "";
	uint64_t n;

	if (!limit_take(&c->es->limit, clock_now_ns(), &n))
		return;
	if (n)
		snprintf(more, sizeof(more), " (%llu more not shown)", (unsigned long long)n);
	/* A list takes the place of the daemon's group. */
	if (c->es->d->group)
		snprintf(before, sizeof(before), "@%u,", (unsigned int)c->es->d->group);
	if (vb)
		log_warn("bridge %s: program %s pid=%d uid=%u may not open it: `viaduct intercept "
			 "%s access %s%s%u` would let it%s",
			 vb->name, c->program, (int)c->peer.pid, (unsigned int)c->peer.uid,
			 vb->name, vb->access ? access_text(vb->access) : "",
			 vb->access ? "," : before, (unsigned int)c->peer.uid, more);
	else
		log_warn("netmap: program %s pid=%d uid=%u may not open %s: no bridge has it on "
			 "its list, see `viaduct intercept BR access`%s",
			 c->program, (int)c->peer.pid, (unsigned int)c->peer.uid,
			 *name ? name : "netmap memory", more);
}

/* What netmap ports of that name belong to: a bridge, or the endpoint of a mirror. */
static struct vbridge *find(struct daemon *d, const char *name)
{
	struct vbridge *vb = bridges_find(d, name);

	return vb ? vb : mirror_end_find(d, name);
}

/* 0 or -EACCES. */
static int check_access(struct nm_client *c, const struct attach_msg *m)
{
	const struct vbridge *vb = find(c->es->d, m->h.name);

	if (endpoint_may_open(c, vb) || (m->h.nr_reqtype == ATTACH_STATE && c->registered))
		return 0;
	log_refused(c, vb && vb->end_of ? vb->end_of : vb, m->h.name);
	return -EACCES;
}

/* May the user have one more netmap port open? 0 or -EMFILE. */
static int check_ports(struct nm_client *c, const struct vbridge *vb)
{
	const uint32_t most = c->es->d->uid_limits.ports;
	uint32_t n = 0;
	uint64_t more;

	if (c->peer.uid == 0)
		return 0;
	list_for_each (i, &c->es->ports) {
		const struct nm_port *p = list_entry(i, struct nm_port, node);
		bool has = false;

		list_for_each (k, &c->es->clients) {
			const struct nm_client *o = list_entry(k, struct nm_client, node);

			has = has || (o->port == p && o->peer.uid == c->peer.uid);
		}
		if (has && p->vb == vb)
			return 0;
		n += has;
	}
	if (n < most)
		return 0;
	if (limit_take(&c->es->limit, clock_now_ns(), &more))
		log_warn(
			"bridge %s: program %s pid=%d uid=%u may not open it: the user has %u open "
			"(uid-ports in viaduct.yaml)",
			vb->name, c->program, (int)c->peer.pid, (unsigned int)c->peer.uid, n);
	return -EMFILE;
}

/* ---- rings ---- */

static uint64_t all_of(uint32_t n)
{
	return n >= 64 ? ~0ULL : (1ULL << n) - 1;
}

/* Ring `id` in both directions; where there is none of that number, ring 0. 0 or -EINVAL. */
static int choose_one(const uint16_t n[2], uint16_t id, uint64_t ret[2])
{
	if (id >= n[0] && id >= n[1])
		return -EINVAL;
	for (int tx = 0; tx < 2; tx++)
		ret[tx] = 1ULL << (id < n[tx] ? id : 0);
	return 0;
}

/* Which rings the request means. 0 or -EINVAL. */
static int choose_rings(const struct nmreq_register *req, const struct ring_counts *c,
			uint64_t ret[2][2])
{
	uint64_t rings[2][2] = {{0, 0}, {0, 0}};
	int r = 0;

	switch (req->nr_mode) {
	case NR_REG_ALL_NIC:
	case NR_REG_SW:
	case NR_REG_NIC_SW:
		for (int tx = 0; tx < 2; tx++) {
			rings[0][tx] = req->nr_mode == NR_REG_SW ? 0 : all_of(c->n[0][tx]);
			rings[1][tx] = req->nr_mode == NR_REG_ALL_NIC ? 0 : all_of(c->n[1][tx]);
		}
		break;
	case NR_REG_ONE_NIC:
		r = choose_one(c->n[0], req->nr_ringid, rings[0]);
		break;
	case NR_REG_ONE_SW:
		r = choose_one(c->n[1], req->nr_ringid, rings[1]);
		break;
	default:
		r = -EINVAL;
	}
	for (int tx = 0; tx < 2 && !r; tx++) {
		const bool unwanted = req->nr_flags & (tx ? NR_RX_RINGS_ONLY : NR_TX_RINGS_ONLY);

		ret[0][tx] = unwanted ? 0 : rings[0][tx];
		ret[1][tx] = unwanted ? 0 : rings[1][tx];
	}
	return r;
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

/* The errno that a program gets for a sentence of the daemon's. */
static int errno_of(const struct ctl_error *err)
{
	switch (err->code) {
	case CTL_E_DEV_NONE:
		return -ENXIO;
	case CTL_E_PRIVILEGE:
		return -EPERM;
	case CTL_E_DEV_BUSY:
	case CTL_E_PORT_MEMBER:
		return -EBUSY;
	case CTL_E_DEV_KIND:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

/*
 * What a name means, in the order of netmap(4): null port, monitor, pipe, VALE, interface. 0 and
 * *ret, NULL for an interface of the kernel that nobody has adopted yet; or -errno.
 */
static int resolve(struct endpoints *es, const char *name, uint64_t flags, struct vbridge **ret)
{
	struct netlink_link l;
	struct ctl_error err;
	int r;

	if (flags & (NR_MONITOR_TX | NR_MONITOR_RX | NR_ZCOPY_MON))
		return -EOPNOTSUPP;
	if (strpbrk(name, "{}"))
		return -EOPNOTSUPP;
	if (!strncmp(name, "vale", 4))
		return -EOPNOTSUPP;
	*ret = find(es->d, name);
	if (*ret)
		return 0;
	r = adopt_check(es->d, name, &l, &err);
	if (r && err.code != CTL_E_DEV_NONE)
		log_warn("netmap: %s", err.text);
	return r ? errno_of(&err) : 0;
}

static bool may_adopt(const struct nm_client *c)
{
	const struct daemon *d = c->es->d;

	if (d->adopters == DAEMON_ADOPT_NO)
		return false;
	return c->peer.uid == 0 ||
	       (d->adopters == DAEMON_ADOPT_GROUP && d->group && c->peer.in_group);
}

static void log_may_not_adopt(struct nm_client *c, const char *name)
{
	static const char *const who[] = {
		[DAEMON_ADOPT_ROOT] = "only programs of root do",
		[DAEMON_ADOPT_GROUP] = "only programs of root and the daemon's group do",
		[DAEMON_ADOPT_NO] = "no program does",
	};
	uint64_t n;

	if (limit_take(&c->es->limit, clock_now_ns(), &n))
		log_warn("netmap: %s: program %s pid=%d uid=%u may not adopt it by opening, %s "
			 "(adopt-on-open in viaduct.yaml): `viaduct adopt %s` before",
			 name, c->program, (int)c->peer.pid, (unsigned int)c->peer.uid,
			 who[c->es->d->adopters], name);
}

/* As resolve(), and adopts what is the kernel's. */
static int resolve_to_open(struct nm_client *c, const char *name, uint64_t flags,
			   struct vbridge **ret)
{
	struct ctl_error err;
	int r = resolve(c->es, name, flags, ret);

	if (r || *ret)
		return r;
	if (!may_adopt(c)) {
		log_may_not_adopt(c, name);
		return -EPERM;
	}
	r = adopt_add(c->es->d, name, true, ret, &err);
	if (r)
		log_warn("netmap: %s", err.text);
	return r ? errno_of(&err) : 0;
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

/* Of the port, or that it will have when it is opened. */
static struct ring_counts rings_of(const struct endpoints *es, const struct vbridge *vb)
{
	const struct nm_port *p = vb ? endpoint_port_find(es, vb) : NULL;
	const uint16_t n = vb ? (uint16_t)(vb->end_of ? vb->end_of : vb)->n_rings : 1;

	return p ? p->counts : (struct ring_counts){{{n, n}, {n, n}}};
}

static int port_info(struct nm_client *c, const struct attach_msg *m, struct nm_reply *ret)
{
	struct endpoints *es = c->es;
	struct nmreq_port_info_get info;
	struct ring_counts n;
	struct vbridge *vb;
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
		n = rings_of(es, vb);
		info.nr_tx_slots = info.nr_rx_slots = ENDPOINT_SLOTS;
		info.nr_tx_rings = n.n[0][1];
		info.nr_rx_rings = n.n[0][0];
		info.nr_host_tx_rings = n.n[1][1];
		info.nr_host_rx_rings = n.n[1][0];
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

/*
 * Rings that a loop in the kernel serves need their indexes in the program's memory (CSB). That is
 * an option which we do not have, so who asks for a loop has not asked for it.
 */
static int kloop(const struct nm_client *c, const struct attach_msg *m)
{
	struct nmreq_sync_kloop_start start;

	switch (m->h.nr_reqtype) {
	case NETMAP_REQ_CSB_ENABLE:
		return endpoint_options_find(m, NETMAP_REQ_OPT_CSB) ? -EOPNOTSUPP : -EINVAL;
	case NETMAP_REQ_SYNC_KLOOP_STOP: /* there is none */
		return c->registered ? 0 : -ENXIO;
	default:
		memcpy(&start, m->body, sizeof(start));
		return c->registered || start.sleep_us > 1000000 ? -EINVAL : -ENXIO;
	}
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
			.shadow = endpoint_shadow_index(p, host, tx, i),
			.n_slots = ENDPOINT_SLOTS,
			.ring_id = (uint16_t)(host ? p->counts.n[0][tx] + i : i),
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
static int register_null(struct nm_client *c, struct attach_msg *m, struct nmreq_register *req)
{
	static const uint64_t none[2];
	const struct nmobj_if_params ip = {.name = m->h.name, .rings = none};
	int r;

	if (req->nr_mem_id != c->es->d->region.id)
		return -EINVAL;
	r = endpoint_options_register(c, m);
	if (!r)
		r = nmobj_if_new(c->es->objects, &ip, &c->if_ofs);
	if (r)
		return r;
	c->n_extra = endpoint_grant_extra(c->es, c, req->nr_extra_bufs);
	req->nr_tx_rings = req->nr_rx_rings = 0;
	req->nr_host_tx_rings = req->nr_host_rx_rings = 0;
	req->nr_tx_slots = req->nr_rx_slots = 0;
	return 0;
}

/*
 * Who opens the port first says how many host rings it has; who says so later is not heard. It is
 * as many as NIC rings if nobody says. 0 or -ENOMEM.
 */
static int count_host_rings(const struct nmreq_register *req, struct ring_counts *n)
{
	if (req->nr_host_tx_rings > RINGS_MAX || req->nr_host_rx_rings > RINGS_MAX)
		return -ENOMEM;
	if (req->nr_host_tx_rings)
		n->n[1][1] = req->nr_host_tx_rings;
	if (req->nr_host_rx_rings)
		n->n[1][0] = req->nr_host_rx_rings;
	return 0;
}

static int register_bridge(struct nm_client *c, struct vbridge *vb, struct attach_msg *m,
			   struct nmreq_register *req)
{
	struct nm_port *p = endpoint_port_find(c->es, vb);
	struct ring_counts n = rings_of(c->es, vb);
	int r = p ? 0 : count_host_rings(req, &n);

	if (!r)
		r = choose_rings(req, &n, c->ic.rings);
	if (!r && p)
		r = check_exclusive(p, c);
	if (!r)
		r = endpoint_options_register(c, m);
	if (!r)
		r = check_ports(c, vb);
	if (!r && !p)
		r = endpoint_port_new(c->es, vb, &n, &p);
	if (r)
		return r;
	r = endpoint_bind(p, c, req->nr_extra_bufs);
	if (r) {
		if (r == -EBUSY)
			endpoint_options_busy(m);
		if (p->n_clients == 0)
			endpoint_port_close(p);
		return r;
	}
	req->nr_tx_slots = req->nr_rx_slots = ENDPOINT_SLOTS;
	req->nr_tx_rings = n.n[0][1];
	req->nr_rx_rings = n.n[0][0];
	req->nr_host_tx_rings = n.n[1][1];
	req->nr_host_rx_rings = n.n[1][0];
	return 0;
}

/* A bridge of the kernel that was adopted beforehand has nothing attached while it is not open. */
static int use_adopted(struct vbridge *vb)
{
	struct ctl_error err;

	if (!adopt_use(vb, &err))
		return 0;
	log_warn("netmap: %s", err.text);
	return errno_of(&err);
}

static int register_any(struct nm_client *c, struct attach_msg *m, struct nmreq_register *req)
{
	struct vbridge *vb = NULL;
	int r;

	if (req->nr_mode == NR_REG_NULL)
		return register_null(c, m, req);
	r = check_mem_id(c->es, req->nr_mem_id);
	if (!r)
		r = resolve_to_open(c, m->h.name, req->nr_flags, &vb);
	if (r)
		return r;
	r = use_adopted(vb);
	if (!r)
		r = register_bridge(c, vb, m, req);
	if (r && !endpoint_port_find(c->es, vb))
		adopt_unused(vb);
	return r;
}

/* What the program has as errno, in words, for whoever looks for the reason in the log. */
static void log_failed(struct nm_client *c, const struct attach_msg *m, int r)
{
	const char *why = r == -ENXIO        ? "there is no such bridge or interface"
			  : r == -EBUSY      ? "it is in use: exclusively, or by something else"
			  : r == -EINVAL     ? "no such mode, ring number or memory id"
			  : r == -EOPNOTSUPP ? "ports of that kind are not supported"
			  : r == -ENOMEM     ? "no memory for its rings"
					     : strerror(-r);
	uint64_t more;

	if (r != -EMFILE && limit_take(&c->es->limit, clock_now_ns(), &more))
		log_info("netmap: program %s pid=%d cannot open %s: %s", c->program,
			 (int)c->peer.pid, m->h.name, why);
}

static int do_register(struct nm_client *c, const struct domain_proc *from, struct attach_msg *m,
		       struct nm_reply *ret)
{
	struct nmreq_register req;
	char text[96];
	int r;

	if (c->registered)
		return -EBUSY;
	memcpy(&req, m->body, sizeof(req));
	c->exclusive = req.nr_flags & NR_EXCLUSIVE;
	c->mode = req.nr_mode;
	r = endpoint_join(c, from);
	if (r)
		return r;
	r = register_any(c, m, &req);
	if (r) {
		memset(c->ic.rings, 0, sizeof(c->ic.rings));
		endpoint_leave(c);
		log_failed(c, m, r);
		return r;
	}
	/* commit */
	c->registered = c->has_if = true;
	c->since = clock_wall_s();
	answer(c, &req, ret);
	endpoint_options_done(c, m, ret);
	endpoint_describe(c, text, sizeof(text));
	log_info("%s %s: opened %s", c->port ? endpoint_noun(c->port->vb) : "null port", m->h.name,
		 text);
	if (c->port)
		events_program(c->es->d, "attach", c->port->vb, endpoint_event(c));
	return 0;
}

static int dispatch(struct nm_client *c, const struct domain_proc *from, struct attach_msg *m,
		    struct nm_reply *ret)
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
	r = endpoint_options_check(m);
	if (r)
		return r;
	switch (t) {
	case NETMAP_REQ_REGISTER:
		return do_register(c, from, m, ret);
	case NETMAP_REQ_PORT_INFO_GET:
		return port_info(c, m, ret);
	case NETMAP_REQ_POOLS_INFO_GET:
		return pools_info(c, m, ret);
	case NETMAP_REQ_PORT_HDR_GET:
	case NETMAP_REQ_PORT_HDR_SET:
		return port_hdr(c, m, ret);
	case NETMAP_REQ_SYNC_KLOOP_START:
	case NETMAP_REQ_SYNC_KLOOP_STOP:
	case NETMAP_REQ_CSB_ENABLE:
		return kloop(c, m);
	default: /* VALE switches */
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

void endpoint_request(struct nm_client *c, const struct domain_proc *from, struct attach_msg *m,
		      struct nm_reply *ret)
{
	int r;

	endpoint_reap(c->es);
	r = wrong_netns(c, m) ? -ENXIO : check_access(c, m);

	if (!r && c->registered)
		r = endpoint_meet(c, from);
	if (!r)
		r = dispatch(c, from, m, ret);
	log_debug("netmap: pid=%d request %u %s: %d", (int)from->pid, m->h.nr_reqtype, m->h.name,
		  -r);
	ret->h.error = -r;
	if (r)
		ret->h.body_size = 0;
	else if (m->h.nr_reqtype != ATTACH_STATE)
		ret->h.body_size = m->h.body_size;
}
