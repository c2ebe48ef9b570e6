/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * What is taken where follows from the settings of interception and from who reads which ring:
 *
 *	side and plan          members, or the device   interface (bridge)   host
 *	NIC: take or copy      take or copy             -                    .
 *	NIC: local             -                        take                 .
 *	host: take or copy     .                        .                    take or copy
 *
 * and only while a ring of the side is read; otherwise frames pass, or are dropped where `fail`
 * says closed. The worker compares that with what the places were told once a round and tells them
 * what changed, so a program that stops is out of the kernel's path with the next round.
 *
 * A member that spanning tree does not let forward is left to the kernel.
 *
 * A program in the kernel costs each frame something even if it takes none. So the trunk is there
 * only while somebody has the bridge open, or while it fails closed; else the bridge, its members
 * and settings are known and nothing is attached.
 *
 * The interface may go and come back under its name; programs keep their descriptors meanwhile.
 */
#include "daemon/adopt.h"

#include <errno.h>
#include <linux/if_bridge.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "daemon/adopt_via.h"
#include "daemon/adopt_vlan.h"
#include "daemon/endpoint.h"
#include "daemon/events.h"
#include "daemon/expression.h"
#include "daemon/ports.h"
#include "port/trunk.h"
#include "sys/bpf.h"
#include "sys/loop.h"

LOG_MODULE("daemon/adopt");

#define REPLACE_MAX 5u

/* ---- what is taken: in the worker ---- */

static uint8_t action_of(const struct intercept *ic, enum intercept_side side)
{
	const struct intercept_side_state *s = &ic->sides[side];

	if (s->action == INTERCEPT_DO_NOTHING)
		return TRUNK_PASS;
	if (s->action == INTERCEPT_DO_COPY)
		return s->live ? TRUNK_COPY : TRUNK_PASS;
	if (s->live)
		return TRUNK_TAKE;
	return ic->set.fail == INTERCEPT_CLOSED ? TRUNK_DROP : TRUNK_PASS;
}

/* Only what goes up to the host is to be taken from a bridge. */
static bool is_local(const struct intercept *ic)
{
	return ic->sides[INTERCEPT_NIC].action == INTERCEPT_DO_LOCAL;
}

static bool is_closed(const struct worker_bridge *wb)
{
	return bridge_intercept(wb->br)->set.fail == INTERCEPT_CLOSED;
}

static void tell_places(struct worker_bridge *wb, const struct adopted *ad)
{
	const bool closed = is_closed(wb);

	for (struct bport *p = NULL; (p = bridge_port_next(wb->br, p));) {
		struct worker_port *wp = wb->by_no[p->no];
		uint8_t a = p->host ? ad->host : p->self ? ad->self : ad->member;

		/* If the kernel forwards already and we have not heard of it, a gate is told
		 * nothing. */
		if (!p->host && !p->self && p->state != BPORT_FORWARDING)
			a = closed ? TRUNK_DROP : TRUNK_PASS;
		if (wp && wp->port)
			trunk_plan(wp->port, (enum trunk_action)a);
	}
}

/* struct worker_bridge.follow */
static void follow_plan(struct worker_bridge *wb)
{
	struct adopted *ad = container_of(wb, struct vbridge, wb)->adopted;
	const struct intercept *ic = bridge_intercept(wb->br);
	const bool bridge = bridge_kind(wb->br) == BRIDGE_ADOPTED, local = is_local(ic);
	const uint8_t nic = action_of(ic, INTERCEPT_NIC), host = action_of(ic, INTERCEPT_HOST);
	const uint8_t member = local ? TRUNK_PASS : nic;
	const uint8_t self = !bridge || local ? nic : TRUNK_PASS;
	const bool reserved = ic->set.reserved != INTERCEPT_HIDE || nic == TRUNK_COPY;

	if (likely(!ad->dirty && member == ad->member && self == ad->self && host == ad->host &&
		   reserved == ad->reserved))
		return;
	ad->dirty = false;
	ad->member = member;
	ad->self = self;
	ad->host = host;
	if (reserved != ad->reserved)
		trunk_set_reserved(ad->trunk, reserved);
	ad->reserved = reserved;
	tell_places(wb, ad);
}

static void mark_dirty(void *arg)
{
	((struct adopted *)arg)->dirty = true;
}

struct rx_job {
	struct adopted *ad;
	int r;
};

static void attach_rx(void *arg)
{
	struct rx_job *job = arg;
	struct adopted *ad = job->ad;

	job->r = worker_port_attach(ad->vb->w, &ad->rx);
	if (job->r)
		return;
	ad->dirty = true;
	ad->vb->wb.follow = follow_plan;
}

/* Nothing is taken any more. */
static void let_go(void *arg)
{
	struct adopted *ad = arg;

	ad->vb->wb.follow = NULL;
	ad->member = ad->self = ad->host =
		ad->replacing && is_closed(&ad->vb->wb) ? TRUNK_DROP : TRUNK_PASS;
	tell_places(&ad->vb->wb, ad);
}

/* What was taken goes on. */
static void drain_rx(void *arg)
{
	struct adopted *ad = arg;

	worker_port_drain(ad->vb->w, &ad->rx);
}

static void detach_rx(void *arg)
{
	struct adopted *ad = arg;

	worker_port_detach(ad->vb->w, &ad->rx);
}

struct state_job {
	struct vport *vp;
	bool forwarding;
};

static void set_state(void *arg)
{
	struct state_job *job = arg;
	struct vbridge *vb = job->vp->vb;

	bridge_port_set_state(vb->br, job->vp->wp.bp,
			      job->forwarding ? BPORT_FORWARDING : BPORT_BLOCKING);
	vb->adopted->dirty = true;
}

/* ---- checks ---- */

static int fail_errno(int r, const char *name, const char *why, struct ctl_error *err)
{
	enum ctl_code code = CTL_E_DRIVER;

	if (r == -EPERM || r == -EACCES)
		code = CTL_E_PRIVILEGE;
	else if (r == -EBUSY)
		code = CTL_E_DEV_BUSY;
	else if (r == -ENODEV)
		code = CTL_E_DEV_NONE;
	return ctl_fail(err, code, "%.64s: cannot be adopted: %s", name, why ? why : err_text(r));
}

static bool is_bridge(const struct netlink_link *l)
{
	return !strcmp(l->kind, "bridge");
}

/* The adopted bridge that the device is a member of. */
static struct vbridge *adopted_master(struct daemon *d, const struct netlink_link *l)
{
	for_each_bridge(vb, d) if (vb->adopted && l->master &&
				   vb->adopted->ifindex == l->master) return vb;
	return NULL;
}

int adopt_check(struct daemon *d, const char *name, struct netlink_link *ret_link,
		struct ctl_error *err)
{
	struct vport *vp = ports_find(d, NULL, name);
	struct vbridge *vb = bridges_find(d, name);
	int r = netlink_get(d->nl, name, ret_link);

	if (vb)
		return ctl_fail(err, CTL_E_BRIDGE_EXISTS, "%.64s: %s", name,
				vb->adopted ? "adopted already" : "a bridge of viaduct's own");
	if (r == -ENODEV)
		return ctl_fail(err, CTL_E_DEV_NONE, "%.64s: no such device", name);
	if (r)
		return ctl_fail(err, CTL_E_INTERNAL, "%.64s: netlink: %s", name, err_text(r));
	vb = adopted_master(d, ret_link);
	if (vb)
		return ctl_fail(err, CTL_E_PORT_MEMBER,
				"%.64s: a member of %s, which is adopted: open that instead", name,
				vb->name);
	if (vp)
		return ctl_fail(err, CTL_E_PORT_MEMBER, "%.64s: a port of %s: open that instead",
				name, vp->vb->name);
	if (ret_link->flags & IFF_LOOPBACK || ret_link->type != ARPHRD_ETHER)
		return ctl_fail(err, CTL_E_DEV_KIND, "%.64s: not an Ethernet device", name);
	if (!strcmp(ret_link->kind, "tun") &&
	    (!strncmp(name, PORT_ENV_OUTBOX, strlen(PORT_ENV_OUTBOX)) ||
	     !strncmp(name, PORT_ENV_TRUNK, strlen(PORT_ENV_TRUNK))))
		return ctl_fail(err, CTL_E_DEV_KIND, "%.64s: viaduct's own helper device", name);
	return 0;
}

/* ---- places ---- */

static bool is_forwarding(const struct netlink_link *l)
{
	return !l->brport || l->brport_state == BR_STATE_FORWARDING;
}

/* A number that no place had for as long as possible: frames of the last one may be on their way.
 */
static uint16_t choose_no(struct adopted *ad)
{
	for (uint32_t turns = 0; turns < PORTS_MAX; turns++) {
		bool taken = false;
		uint16_t no = ad->next_no;

		ad->next_no = (uint16_t)(no + 1 < PORTS_MAX - 1 ? no + 1 : 1);
		for_each_port(vp, ad->vb) taken |= vp->wp.bp->no == no;
		if (!taken)
			return no;
	}
	return 0;
}

/* From now on it may take frames. */
static int open_place(struct adopted *ad, struct vport *vp, struct ctl_error *err)
{
	const char *why = NULL;
	struct port *port;
	int r = trunk_place_open(ad->trunk, vp->ifindex, vp->host ? TRUNK_EGRESS : TRUNK_INGRESS,
				 vp->wp.bp->no, &port, &why);

	if (r)
		return fail_errno(r, vp->name, why, err);
	ports_plug_place(vp, port);
	adopt_via_open(vp);
	worker_call(ad->vb->w, mark_dirty, ad);
	return 0;
}

static int add_place(struct adopted *ad, const struct netlink_link *l, bool host, bool self,
		     struct ctl_error *err)
{
	struct place_request req = {
		.l = l, .host = host, .self = self, .blocked = !host && !self && !is_forwarding(l)};
	struct vport *vp;
	int r;

	req.no = host ? PORTS_MAX - 1 : choose_no(ad);
	if (!req.no)
		return ctl_fail(err, CTL_E_PORT_FULL, "%s: no place number left for %s",
				ad->vb->name, l->name);
	r = ports_add_place(ad->vb, &req, &vp, err);
	if (!r && ad->trunk)
		r = open_place(ad, vp, err);
	return r;
}

/* ---- gates ---- */

static void set_gate(struct adopted *ad, uint32_t ifindex, enum trunk_where where, const char *name)
{
	const char *why = NULL;
	int r;

	if (!ad->gated) {
		trunk_gate_close(ad->trunk, ifindex, where);
		return;
	}
	r = trunk_gate_open(ad->trunk, ifindex, where, &why);
	if (r < 0)
		log_warn("bridge %s: fails closed, but %s has no gate: %s", ad->vb->name, name,
			 why);
	else if (r == TRUNK_E_UNPINNED && where == TRUNK_INGRESS) /* said once */
		log_warn("bridge %s: fails open when the daemon ends: %s", ad->vb->name, why);
}

static void set_gates(struct adopted *ad)
{
	for_each_port(vp, ad->vb)
	{
		if (vp->self)
			set_gate(ad, vp->ifindex, TRUNK_INGRESS, vp->name);
		else if (!vp->host)
			set_gate(ad, vp->ifindex, TRUNK_EGRESS, vp->name);
	}
}

static void follow_fail(struct adopted *ad)
{
	struct vbridge *vb = ad->vb;
	const bool closed = is_closed(&vb->wb);

	worker_call(vb->w, mark_dirty, ad);
	/* Gates come after the trunk is closed, and go before it is open. */
	if (closed)
		trunk_set_fail(ad->trunk, true, ADOPT_HANG_MS);
	/* A device has no way out that is not a way in. */
	if (bridge_kind(vb->br) == BRIDGE_ADOPTED && closed != ad->gated) {
		ad->gated = closed;
		set_gates(ad);
	}
	if (!closed)
		trunk_set_fail(ad->trunk, false, ADOPT_HANG_MS);
}

struct left_job {
	uint32_t master;
	bool any;
};

static void open_left(void *ctx, bool gone, const struct netlink_link *l)
{
	struct left_job *job = ctx;

	if (l->master != job->master || !trunk_gate_left(l->ifindex, TRUNK_EGRESS))
		return;
	trunk_gate_close(NULL, l->ifindex, TRUNK_EGRESS);
	job->any = true;
}

bool adopt_open_gates(struct daemon *d, const struct netlink_link *bridge)
{
	struct left_job job = {bridge->ifindex, trunk_gate_left(bridge->ifindex, TRUNK_INGRESS)};

	trunk_gate_close(NULL, bridge->ifindex, TRUNK_INGRESS);
	netlink_links(d->nl, open_left, &job);
	return job.any;
}

/* ---- members ---- */

static struct vport *find_member(struct vbridge *vb, uint32_t ifindex)
{
	for_each_port(vp, vb) if (!vp->host && !vp->self && vp->ifindex == ifindex) return vp;
	return NULL;
}

static void follow_state(struct vport *vp, const struct netlink_link *l)
{
	struct state_job job = {vp, is_forwarding(l)};

	if ((vp->wp.bp->state == BPORT_FORWARDING) == job.forwarding)
		return;
	worker_call(vp->vb->w, set_state, &job);
	log_info("port %s: the kernel's spanning tree %s it", vp->name,
		 job.forwarding ? "opened" : "closed");
	events_state(vp->vb->d, vp->vb, vp->name, vp->wp.bp->state);
}

static void warn_uninspected(const struct adopted *ad, const char *member,
			     const struct ctl_error *err)
{
	log_warn("bridge %s: member %s is not inspected: %s", ad->vb->name, member, err->text);
}

static void add_member(struct adopted *ad, const struct netlink_link *l)
{
	struct ctl_error err;

	if (add_place(ad, l, false, false, &err))
		warn_uninspected(ad, l->name, &err);
	adopt_vlan_all(ad);
	if (ad->gated && ad->trunk && find_member(ad->vb, l->ifindex))
		set_gate(ad, l->ifindex, TRUNK_EGRESS, l->name);
}

/* It left, or is gone. */
static void del_member(struct adopted *ad, struct vport *vp)
{
	if (ad->gated)
		trunk_gate_close(ad->trunk, vp->ifindex, TRUNK_EGRESS);
	adopt_via_stop(ad->vb, vp);
	ports_del(vp);
}

static void join_if_member(void *ctx, bool gone, const struct netlink_link *l)
{
	struct adopted *ad = ctx;

	if (l->master == ad->ifindex && !find_member(ad->vb, l->ifindex))
		add_member(ad, l);
}

/* A program that the kernel does not take is no loss: the engine looks at each frame, too. */
void adopt_follow_exempt(struct vbridge *vb)
{
	const struct sock_filter *prog = NULL;
	const char *why = NULL;
	uint32_t n = 0;

	if (!vb->adopted->trunk)
		return;
	if (vb->exempt)
		prog = program_insns(expression_program(vb->exempt), &n);
	if (trunk_set_exempt(vb->adopted->trunk, prog, n, &why))
		log_info(
			"%s: exempt frames come to the daemon and go on from there: the expression "
			"%s",
			vb->name, why);
	adopt_via_exempt(vb);
}

/* ---- attaching and detaching ---- */

static void close_trunk(struct adopted *ad)
{
	struct daemon *d = ad->vb->d;

	trunk_port(ad->trunk)->bufs = &d->bufs;
	ad->trunk = trunk_close(ad->trunk);
	bufcache_deinit(&d->bufs);
	bufcache_init(&d->bufs, d->pool);
}

static int open_trunk(struct adopted *ad, struct ctl_error *err)
{
	struct vbridge *vb = ad->vb;
	const struct trunk_config cfg = {
		.name = vb->name,
		.env = vb->d->env,
		.bufs = &vb->d->bufs,
		.hang_ms = ADOPT_HANG_MS,
		.closed = is_closed(&vb->wb),
	};
	struct rx_job job = {ad, 0};
	const char *why = NULL;
	int r = trunk_open(&cfg, &ad->trunk, &why);

	if (r)
		return fail_errno(r, vb->name, why, err);
	ad->reserved = false;
	ad->rx = (struct worker_port){.port = trunk_port(ad->trunk), .bridge = &vb->wb};
	ad->rx.port->bufs = worker_bufs(vb->w);
	worker_call(vb->w, attach_rx, &job);
	if (job.r) {
		close_trunk(ad);
		return fail_errno(job.r, vb->name, NULL, err);
	}
	return 0;
}

static void detach(struct adopted *ad)
{
	struct vbridge *vb = ad->vb;

	if (!ad->trunk)
		return;
	adopt_via_stop(vb, NULL);
	worker_call(vb->w, let_go, ad);
	sys_bpf_synchronize(); /* one that began before may still take a frame */
	worker_call(vb->w, drain_rx, ad);
	for_each_port(vp, vb) ports_unplug_place(vp);
	worker_call(vb->w, detach_rx, ad);
	close_trunk(ad);
}

static int attach(struct adopted *ad, struct ctl_error *err)
{
	int r = open_trunk(ad, err);

	if (r)
		return r;
	for_each_port(vp, ad->vb)
	{
		r = open_place(ad, vp, err);
		if (r && (vp->host || vp->self)) {
			detach(ad);
			return r;
		}
		if (r)
			warn_uninspected(ad, vp->name, err);
	}
	adopt_vlan_all(ad);
	ad->gated = false;
	follow_fail(ad);
	adopt_follow_exempt(ad->vb);
	return 0;
}

static bool is_needed(const struct vbridge *vb)
{
	const struct endpoints *es = vb->d->endpoints;

	/* A device may lose frames when XDP comes or goes: not each time that a program ends. */
	return vb->adopted->xdp || is_closed(&vb->wb) || (es && endpoint_port_find(es, vb));
}

const char *adopt_state(const struct adopted *ad)
{
	if (ad->trunk)
		return "attached";
	if (!ad->ifindex)
		return "away";
	return is_needed(ad->vb) ? "failed" : "idle";
}

int adopt_use(struct vbridge *vb, struct ctl_error *err)
{
	struct adopted *ad = vb->adopted;

	if (!ad || ad->trunk || !ad->ifindex)
		return 0;
	return attach(ad, err);
}

void adopt_follow_fail(struct vbridge *vb)
{
	struct adopted *ad = vb->adopted;

	if (!ad->trunk)
		return;
	follow_fail(ad);
	if (!is_needed(vb))
		detach(ad);
}

void adopt_detach(struct vbridge *vb)
{
	detach(vb->adopted);
	list_for_each_safe (i, &vb->ports)
		ports_del(list_entry(i, struct vport, node));
	vb->host = NULL;
	vb->adopted->ifindex = 0;
}

/* The interface is there. */
static int appear(struct adopted *ad, const struct netlink_link *l, struct ctl_error *err)
{
	int r;

	ad->ifindex = l->ifindex;
	ad->gated = false; /* attach() sees to gates */
	r = add_place(ad, l, false, true, err);
	if (!r)
		r = add_place(ad, l, true, false, err);
	if (!r && is_bridge(l))
		netlink_links(ad->vb->d->nl, join_if_member, ad);
	if (!r && is_needed(ad->vb))
		r = attach(ad, err);
	if (r)
		adopt_detach(ad->vb);
	return r;
}

void adopt_free(struct adopted *ad)
{
	if (ad)
		loop_del(ad->confirm);
	free(ad);
}

int adopt_add(struct daemon *d, const char *name, bool by_open, struct vbridge **ret,
	      struct ctl_error *err)
{
	struct adopted *ad;
	struct netlink_link l;
	struct vbridge *vb;
	int r = adopt_check(d, name, &l, err);

	if (r)
		return r;
	ad = calloc(1, sizeof(*ad));
	vb = ad ? bridges_new_kernel(d, name, is_bridge(&l)) : NULL;
	if (!vb) {
		free(ad);
		return ctl_fail(err, CTL_E_INTERNAL, "%.64s: no memory", name);
	}
	ad->vb = vb;
	ad->by_open = by_open;
	ad->next_no = 1;
	vb->adopted = ad;
	r = appear(ad, &l, err);
	if (r) {
		bridges_close(vb);
		return r;
	}
	/* commit */
	log_info("%s %s: adopted%s", is_bridge(&l) ? "bridge" : "device", name,
		 by_open ? " for a program" : "");
	events_link(d, "adopt", vb, NULL);
	*ret = vb;
	return 0;
}

void adopt_release(struct vbridge *vb)
{
	struct adopted *ad = vb->adopted;

	events_link(vb->d, "release", vb, NULL);
	if (ad->gated) {
		ad->gated = false;
		set_gates(ad);
	}
	bridges_close(vb);
}

void adopt_unused(struct vbridge *vb)
{
	struct adopted *ad = vb->adopted;

	if (!ad)
		return;
	if (ad->by_open) {
		log_info("%s: released, for no program has it open", vb->name);
		adopt_release(vb);
	} else if (!is_needed(vb)) {
		detach(ad);
	}
}

/* ---- following ---- */

static void went_away(struct adopted *ad)
{
	log_warn("%s: gone; programs wait for it to come back", ad->vb->name);
	adopt_detach(ad->vb);
	events_link(ad->vb->d, "vanished", ad->vb, NULL);
}

static void came_back(struct adopted *ad, const struct netlink_link *l)
{
	struct ctl_error err;

	if (appear(ad, l, &err)) {
		log_warn("%s", err.text);
		return;
	}
	log_info("%s: back, and adopted again", ad->vb->name);
	events_link(ad->vb->d, "returned", ad->vb, NULL);
}

/* Whether an interface that went meanwhile is missed is known from its own event. */
static void attach_if_needed(struct adopted *ad)
{
	struct netlink_link l;
	struct ctl_error err;

	if (!ad->trunk && is_needed(ad->vb) &&
	    netlink_get_index(ad->vb->d->nl, ad->ifindex, &l) == 0 && attach(ad, &err))
		log_warn("%s", err.text);
}

void adopt_set_via(struct vbridge *vb, bool xdp)
{
	struct adopted *ad = vb->adopted;

	ad->xdp = xdp;
	if (ad->trunk && !is_needed(vb))
		detach(ad);
	else if (ad->trunk)
		adopt_via_set(vb, xdp);
	else
		attach_if_needed(ad);
}

/* The trunk's device was deleted by somebody, or is of no use any more: another one. */
static void replace_trunk(struct adopted *ad, const char *trunk)
{
	log_warn("%s: somebody deleted or changed its helper device %s; making another",
		 ad->vb->name, trunk);
	ad->replacing = true;
	detach(ad);
	ad->replacing = false;
	attach_if_needed(ad);
}

/* Events may be older than the device's last change, even than its making: ask. */
static void follow_trunk(struct adopted *ad, bool gone, const struct netlink_link *event)
{
	struct netlink_link l;

	if (!gone) {
		if (netlink_get_index(ad->vb->d->nl, event->ifindex, &l) ||
		    trunk_fits(ad->trunk, l.flags & IFF_UP, l.mtu))
			return;
		/* Whoever does it each time wins in the end. */
		if (ad->n_replaced >= REPLACE_MAX)
			return;
		ad->n_replaced++;
	}
	replace_trunk(ad, event->name);
}

static void follow_one(struct adopted *ad, bool gone, const struct netlink_link *l)
{
	struct vport *vp = find_member(ad->vb, l->ifindex);
	struct ctl_error err;

	adopt_vlan_follow(ad, gone, l);
	if (ad->trunk && l->ifindex == trunk_port(ad->trunk)->ifindex) {
		follow_trunk(ad, gone, l);
		return;
	}
	if (l->ifindex == ad->ifindex) {
		if (gone) {
			went_away(ad);
			return;
		}
		for_each_port(p, ad->vb) if (p->host || p->self)
		{
			adopt_via_follow(p, l->mtu);
			ports_follow_place(p, l);
		}
		attach_if_needed(ad); /* if it failed before */
		return;
	}
	if (vp && (gone || l->master != ad->ifindex)) {
		del_member(ad, vp);
	} else if (vp) {
		adopt_via_follow(vp, l->mtu);
		ports_follow_place(vp, l);
		follow_state(vp, l);
		if (ad->trunk && !vp->port && !open_place(ad, vp, &err)) /* it failed before */
			adopt_vlan_all(ad);
	} else if (!gone && ad->ifindex && l->master == ad->ifindex) {
		add_member(ad, l);
	} else if (!gone && !ad->ifindex && !strcmp(l->name, ad->vb->name) &&
		   is_bridge(l) == (bridge_kind(ad->vb->br) == BRIDGE_ADOPTED)) {
		came_back(ad, l);
	}
}

void adopt_follow_link(struct daemon *d, bool gone, const struct netlink_link *l)
{
	for_each_bridge(vb, d) if (vb->adopted) follow_one(vb->adopted, gone, l);
}

static bool is_listed(uint32_t ifindex, const struct netlink_link *links, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (links[i].ifindex == ifindex)
			return true;
	return false;
}

static void follow_vanished(struct adopted *ad, const struct netlink_link *links, size_t n)
{
	if (ad->ifindex && !is_listed(ad->ifindex, links, n)) {
		went_away(ad);
		return;
	}
	if (ad->trunk && !is_listed(trunk_port(ad->trunk)->ifindex, links, n)) {
		replace_trunk(ad, PORT_ENV_TRUNK "*");
		return;
	}
	list_for_each_safe (i, &ad->vb->ports) {
		struct vport *vp = list_entry(i, struct vport, node);

		if (!is_listed(vp->ifindex, links, n))
			del_member(ad, vp);
	}
}

void adopt_follow_all(struct daemon *d, const struct netlink_link *links, size_t n)
{
	for_each_bridge(vb, d) if (vb->adopted) follow_vanished(vb->adopted, links, n);
}
