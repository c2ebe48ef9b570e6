/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port's life: checked, opened (main thread), joined (worker), followed, detached (worker),
 * closed (main thread). While its device is away only `port` is missing: flags, number and static
 * FDB entries stay for when it returns.
 */
#include "daemon/ports_internal.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "daemon/events.h"
#include "daemon/keys.h"
#include "daemon/mirror_end.h"
#include "daemon/snapshot.h"
#include "daemon/tree.h"
#include "daemon/vlans.h"

LOG_MODULE("daemon/ports");

#define MTU_NO_DEVICE 1500u

/* ---- echo ---- */

void echo_init(struct echo *e, uint64_t value)
{
	e->seen = value;
	e->n = 0;
}

void echo_write(struct echo *e, uint64_t value)
{
	if (e->n == ECHO_SIZE) {
		memmove(e->written, e->written + 1, sizeof(e->written) - sizeof(e->written[0]));
		e->n--;
	}
	e->written[e->n++] = value;
}

bool echo_foreign(struct echo *e, uint64_t value)
{
	if (value == e->seen)
		return false;
	e->seen = value;
	for (uint32_t i = 0; i < e->n; i++) {
		if (e->written[i] != value)
			continue;
		e->n -= i + 1;
		memmove(e->written, e->written + i + 1, e->n * sizeof(e->written[0]));
		return false;
	}
	e->n = 0;
	return true;
}

uint64_t echo_last(const struct echo *e)
{
	return e->n ? e->written[e->n - 1] : e->seen;
}

/* ---- finding ---- */

struct vport *ports_find(struct daemon *d, struct vbridge *in, const char *name)
{
	for_each_bridge(vb, d)
	{
		if (in && vb != in)
			continue;
		for_each_port(vp, vb) if (!vp->host && !strcmp(vp->name, name)) return vp;
	}
	return NULL;
}

int ports_need(struct daemon *d, struct vbridge *vb, const char *name, struct vport **ret,
	       struct ctl_error *err)
{
	struct vport *vp = ports_find(d, vb, name);

	if (vp) {
		*ret = vp;
		return 0;
	}
	if (vb)
		return ctl_fail(err, CTL_E_PORT_NONE, "port %.64s: not a port of %s", name,
				vb->name);
	return ctl_fail(err, CTL_E_PORT_NONE, "port %.64s: not a port of any bridge", name);
}

const char *ports_operstate(const struct vport *vp)
{
	if (!vp->port && !vp->vb->adopted)
		return "NOTPRESENT";
	return vp->up ? "UP" : "DOWN";
}

/* ---- checks ---- */

int vport_check_device(const struct netlink_link *l, struct ctl_error *err)
{
	char master[IF_NAMESIZE];

	if (l->flags & IFF_LOOPBACK)
		return ctl_fail(err, CTL_E_DEV_KIND, "port %s: a loopback device cannot be a port",
				l->name);
	if (!strcmp(l->kind, "bridge"))
		return ctl_fail(err, CTL_E_DEV_KIND, "port %s: a bridge cannot be a port", l->name);
	/* Frames would leave through it and come in again; "v*" and "*" match it, too. */
	if (!strcmp(l->kind, "tun") &&
	    (!strncmp(l->name, PORT_ENV_OUTBOX, strlen(PORT_ENV_OUTBOX)) ||
	     !strncmp(l->name, PORT_ENV_TRUNK, strlen(PORT_ENV_TRUNK))))
		return ctl_fail(err, CTL_E_DEV_KIND,
				"port %s: viaduct's own helper device cannot be a port", l->name);
	if (l->type != ARPHRD_ETHER)
		return ctl_fail(err, CTL_E_DEV_KIND, "port %s: not an Ethernet device", l->name);
	if (!l->master)
		return 0;
	if (!if_indextoname(l->master, master))
		snprintf(master, sizeof(master), "#%u", l->master);
	ctl_fail(err, CTL_E_PORT_MEMBER, "port %s: already a member of %s", l->name, master);
	return ctl_hint(err, "ip link set %s nomaster", l->name);
}

static int check_membership(struct daemon *d, struct vbridge *vb, const char *name,
			    struct ctl_error *err)
{
	struct vport *vp = ports_find(d, NULL, name);

	if (vb && !strcmp(name, vb->name))
		return ctl_fail(err, CTL_E_DEV_KIND, "port %s: a bridge cannot be its own port",
				name);
	if (bridges_find(d, name))
		return ctl_fail(err, CTL_E_DEV_KIND,
				"port %s: the interface of a bridge cannot be a port", name);
	if (!vp)
		return 0;
	ctl_fail(err, CTL_E_PORT_MEMBER, "port %s: already a member of %s", name, vp->vb->name);
	return ctl_hint(err, "viaduct delif %s %s", vp->vb->name, name);
}

int ports_check_driver(const struct port_request *req, struct ctl_error *err)
{
	if (!req->driver || !strcmp(req->driver, "auto"))
		return 0;
	/* "mem" is for tests inside one process: nothing could ever come out of it here. */
	if (!port_driver_find(req->driver) || !strcmp(req->driver, "mem") ||
	    (!strcmp(req->driver, "ring") && !req->end))
		return ctl_fail(err, CTL_E_DRIVER,
				"port %.64s: no driver %.32s (auto, packet, xdp, tap, pcap)",
				req->name, req->driver);
	if (!strcmp(req->driver, "pcap") && !req->file)
		return ctl_fail(err, CTL_E_ARGS, "port %.64s: driver pcap needs a file", req->name);
	return 0;
}

/* Is the port without a device? */
static bool has_no_device(const struct port_request *req)
{
	return req->end || (req->driver && !strcmp(req->driver, "pcap"));
}

int ports_check(struct daemon *d, struct vbridge *vb, const struct port_request *req,
		struct netlink_link *ret_link, struct ctl_error *err)
{
	struct netlink_link l = {0};
	int r = ports_check_driver(req, err);

	if (!r)
		r = check_membership(d, vb, req->name, err);
	if (!r && (req->tap || has_no_device(req)))
		r = key_check_ifname("port", req->name, err);
	if (r)
		return r;
	if (!has_no_device(req)) {
		r = netlink_get(d->nl, req->name, &l);
		if (r == -ENODEV && !req->tap)
			return ctl_fail(err, CTL_E_DEV_NONE, "port %.64s: no such device",
					req->name);
		if (r && r != -ENODEV)
			return ctl_fail(err, CTL_E_INTERNAL, "port %.64s: netlink: %s", req->name,
					err_text(r));
		if (!r && req->tap && strcmp(l.kind, "tun"))
			return ctl_fail(err, CTL_E_DEV_BUSY,
					"port %s: a device of that name exists and is not a TAP",
					req->name);
		r = r ? 0 : vport_check_device(&l, err);
	}
	if (!r && ret_link)
		*ret_link = l;
	return r;
}

/* ---- opening ---- */

static int open_error(const struct vport *vp, const struct port_driver *drv, int r, const char *why,
		      struct ctl_error *err)
{
	enum ctl_code code = CTL_E_DRIVER;

	if (r == -EPERM || r == -EACCES)
		code = CTL_E_PRIVILEGE;
	else if (r == -EBUSY)
		code = CTL_E_DEV_BUSY;
	else if (r == -ENODEV)
		code = CTL_E_DEV_NONE;
	return ctl_fail(err, code, "port %s: driver %s: %s", vp->name, drv->name,
			why ? why : err_text(r));
}

/* Opens the device by its driver. 0 or an error code. */
int vport_open_driver(struct vport *vp, struct ring_sink *sink, struct ctl_error *err)
{
	struct daemon *d = vp->vb->d;
	const struct port_driver *drv;
	const char *why = NULL;
	struct port_config cfg = {
		.name = vp->name,
		.arg = vp->arg,
		.bufs = &d->bufs,
		.pool = d->pool,
		.env = d->env,
		.sink = sink,
		.mac = vp->host ? bridge_mac(vp->vb->br) : 0,
		.mtu = vp->host ? bridge_mtu(vp->vb->br) : 0,
		.create = vp->tap,
		.persist = vp->host,
		.host = vp->host,
	};
	int r;

	vp->reason = NULL;
	if (vp->tap)
		drv = port_driver_find("tap");
	else if (!strcmp(vp->want_driver, "auto"))
		drv = port_driver_auto(vp->name, &vp->reason);
	else
		drv = port_driver_find(vp->want_driver);
	if (!drv)
		return ctl_fail(err, CTL_E_DRIVER, "port %s: no driver for this device: %s",
				vp->name, vp->reason ? vp->reason : "none fits");
	r = drv->open(&cfg, &vp->port, &why);
	if (r) {
		vp->port = NULL;
		return open_error(vp, drv, r, why, err);
	}
	/* From now on it is the worker's. */
	vp->port->bufs = worker_bufs(vp->vb->w);
	return 0;
}

/* Buffers that the port still has go home by the main thread's stock. */
void vport_close_driver(struct daemon *d, struct port *port)
{
	port->bufs = &d->bufs;
	port->driver->close(port);
	bufcache_deinit(&d->bufs);
	bufcache_init(&d->bufs, d->pool);
}

bool vport_link_is_up(const struct vport *vp, const struct netlink_link *l)
{
	/* The host's port is up when an administrator says so; it has no carrier of its own. */
	if (vp->host)
		return l->flags & IFF_UP;
	return (l->flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

/*
 * The port's own address in the engine: a local entry. The end of a TAP that the kernel shows is
 * not ours, its address is that of a station there; a file has none.
 */
static uint64_t own_mac(const struct vport *vp)
{
	bool other_end = !vp->host && vp->port && !strcmp(vp->port->driver->name, "tap");

	return other_end ? 0 : vp->mac;
}

void vport_take_link(struct vport *vp, const struct netlink_link *l)
{
	vp->ifindex = l->ifindex;
	vp->mac = l->mac;
	vp->mtu = l->mtu;
	vp->up = vport_link_is_up(vp, l);
}

/* With its header and one tag more than others allow, a frame fills a slot of a ring. */
static uint32_t ring_mtu(const struct daemon *d)
{
	return buf_room(&d->bufs, MEM_BUF_FIRST) - bport_max_len(0) - FRAME_TAG_SIZE;
}

/* After opening: what the device is like now. A port without one has no address. */
void vport_learn_link(struct vport *vp)
{
	struct netlink_link l;

	if (!vp->port->ifindex) {
		vp->mac = 0;
		vp->mtu = vp->end ? ring_mtu(vp->vb->d) : MTU_NO_DEVICE;
		vp->up = !vp->end; /* has a link while a program has it open */
		return;
	}
	if (netlink_get(vp->vb->d->nl, vp->name, &l) == 0)
		vport_take_link(vp, &l);
	echo_init(&vp->mac_echo, vp->mac);
	echo_init(&vp->mtu_echo, vp->mtu);
}

static struct vport *vport_new(struct vbridge *vb, const struct port_request *req)
{
	struct vport *vp = calloc(1, sizeof(*vp));

	if (!vp)
		return NULL;
	list_init(&vp->node);
	vp->vb = vb;
	vp->host = req->host;
	vp->tap = req->tap || req->host;
	vp->end = req->end;
	snprintf(vp->name, sizeof(vp->name), "%s", req->name);
	snprintf(vp->want_driver, sizeof(vp->want_driver), "%s",
		 vp->tap       ? "tap"
		 : req->driver ? req->driver
			       : "auto");
	vp->arg = req->file ? strdup(req->file) : NULL;
	return vp;
}

static void vport_free(struct vport *vp)
{
	if (vp->port)
		vport_close_driver(vp->vb->d, vp->port);
	list_del(&vp->node);
	free(vp->arg);
	free(vp);
}

/* ---- in the worker ---- */

static void join(void *arg)
{
	struct join_job *job = arg;
	struct vport *vp = job->vp;
	struct bport_config cfg = {
		.mac = own_mac(vp),
		.mtu = vp->mtu,
		.host = vp->host,
		.self = vp->self,
		.lazy = vp->end != NULL,
		.no = vp->vb->adopted && !vp->host ? job->no : 0,
		.link_up = vp->up,
		.owner = vp,
	};

	snprintf(cfg.name, sizeof(cfg.name), "%s", vp->name);
	vp->wp.port = vp->port;
	vp->wp.bridge = &vp->vb->wb;
	job->r = bridge_port_add(vp->vb->br, &cfg, &vp->wp.bp);
	if (job->r)
		return;
	if (job->blocked)
		bridge_port_set_state(vp->vb->br, vp->wp.bp, BPORT_BLOCKING);
	if (vp->port)
		job->r = worker_port_attach(vp->vb->w, &vp->wp);
	if (job->r)
		bridge_port_del(vp->vb->br, vp->wp.bp);
}

static void leave(void *arg)
{
	struct vport *vp = arg;

	if (vp->wp.port)
		worker_port_detach(vp->vb->w, &vp->wp);
	bridge_port_del(vp->vb->br, vp->wp.bp);
}

void vport_unplug(void *arg)
{
	struct vport *vp = arg;

	worker_port_detach(vp->vb->w, &vp->wp);
	bridge_port_link(vp->vb->br, vp->wp.bp, own_mac(vp), vp->mtu, false);
}

void vport_plug(void *arg)
{
	struct join_job *job = arg;
	struct vport *vp = job->vp;

	vp->wp.port = vp->port;
	job->r = worker_port_attach(vp->vb->w, &vp->wp);
	if (job->r)
		vp->wp.port = NULL;
	else
		bridge_port_link(vp->vb->br, vp->wp.bp, own_mac(vp), vp->mtu, vp->up);
}

void vport_change_link(void *arg)
{
	struct vport *vp = arg;

	bridge_port_link(vp->vb->br, vp->wp.bp, own_mac(vp), vp->mtu, vp->up);
	worker_port_wake(vp->vb->w, &vp->wp);
}

void vport_change_name(void *arg)
{
	struct vport *vp = arg;

	memcpy(vp->wp.bp->name, vp->name, sizeof(vp->wp.bp->name));
	if (vp->wp.port)
		memcpy(vp->wp.port->name, vp->name, sizeof(vp->wp.port->name));
	bridge_bind(vp->vb->br);
}

/* ---- adding and removing ---- */

static int join_error(const struct vport *vp, int r, struct ctl_error *err)
{
	if (r == BRIDGE_E_FULL)
		return ctl_fail(err, CTL_E_PORT_FULL, "port %s: %s has no port number left",
				vp->name, vp->vb->name);
	return ctl_fail(err, CTL_E_INTERNAL, "port %s: %s", vp->name, err_text(r));
}

static void follow_event(void *ctx, bool gone, const struct netlink_link *l)
{
	ports_follow_link(ctx, gone, l);
}

int ports_add(struct vbridge *vb, const struct port_request *req, struct vport **ret,
	      struct ctl_error *err)
{
	struct join_job job = {0};
	struct vport *vp;
	int r = req->host ? 0 : ports_check(vb->d, vb, req, NULL, err);

	if (r)
		return r;
	vp = vport_new(vb, req);
	if (!vp)
		return ctl_fail(err, CTL_E_INTERNAL, "port %s: no memory", req->name);
	r = vport_open_driver(vp, req->sink, err);
	if (r) {
		vport_free(vp);
		return r;
	}
	/* What the kernel says about the time before the TAP had its address is history. */
	if (vp->host)
		netlink_events(vb->d->nl, follow_event, vb->d);
	vport_learn_link(vp);
	job.vp = vp;
	worker_call(vb->w, join, &job);
	if (job.r) {
		r = join_error(vp, job.r, err);
		vport_free(vp);
		return r;
	}
	/* commit */
	list_append(&vb->ports, &vp->node);
	*ret = vp;
	if (vp->host)
		return 0;
	tree_follow_speed(vp);
	log_info("port %s: joined %s driver=%s mode=\"%s\" no=%u", vp->name, vb->name,
		 vp->port->driver->name, vp->port->mode, vp->wp.bp->no);
	snapshot_restore(vp);
	events_link_more(
		vb->d, "port-add", vb, vp->name,
		json_pack("{s:s, s:s}", "driver", vp->port->driver->name, "mode", vp->port->mode));
	return 0;
}

int ports_add_place(struct vbridge *vb, const struct place_request *req, struct vport **ret,
		    struct ctl_error *err)
{
	const struct port_request pr = {.name = req->l->name, .driver = "trunk"};
	struct vport *vp = vport_new(vb, &pr);
	struct join_job job = {.vp = vp, .no = req->no, .blocked = req->blocked};
	int r;

	if (!vp)
		return ctl_fail(err, CTL_E_INTERNAL, "port %s: no memory", req->l->name);
	vp->host = req->host;
	vp->self = req->self;
	vport_take_link(vp, req->l);
	vp->up = true; /* what was taken may go back, whatever the link is now */
	worker_call(vb->w, join, &job);
	if (job.r) {
		r = join_error(vp, job.r, err);
		vport_free(vp);
		return r;
	}
	/* commit */
	list_append(&vb->ports, &vp->node);
	*ret = vp;
	if (vp->host)
		vb->host = vp;
	if (vp->host || vp->self)
		return 0;
	log_info("port %s: known as a member of %s no=%u", vp->name, vb->name, vp->wp.bp->no);
	events_link(vb->d, "port-add", vb, vp->name);
	return 0;
}

static void plug_place(void *arg)
{
	struct vport *vp = arg;

	vp->wp.port = vp->port;
	worker_port_attach(vp->vb->w, &vp->wp); /* cannot fail without rx() */
}

/* What the driver dropped stays on record. */
static void unplug_place(void *arg)
{
	struct vport *vp = arg;
	struct port *port = vp->wp.port;

	port->driver->update_stats(port);
	for (int i = 0; i < DROP_N; i++)
		vp->wp.bp->counters.drops.n[i] += port->drops.n[i];
	worker_port_detach(vp->vb->w, &vp->wp);
}

void ports_plug_place(struct vport *vp, struct port *place)
{
	vp->port = place;
	place->bufs = worker_bufs(vp->vb->w);
	worker_call(vp->vb->w, plug_place, vp);
}

void ports_unplug_place(struct vport *vp)
{
	struct port *place = vp->port;

	if (!place)
		return;
	worker_call(vp->vb->w, unplug_place, vp);
	vp->port = NULL;
	vport_close_driver(vp->vb->d, place);
}

void ports_follow_place(struct vport *vp, const struct netlink_link *l)
{
	vport_follow_name(vp, l);
	if (l->mac == vp->mac && l->mtu == vp->mtu)
		return;
	vport_take_link(vp, l);
	vp->up = true;
	worker_call(vp->vb->w, vport_change_link, vp);
}

void ports_del(struct vport *vp)
{
	struct mirror_end *end = vp->end;

	if (!vp->host && !vp->self) {
		log_info("port %s: left %s", vp->name, vp->vb->name);
		events_link(vp->vb->d, "port-del", vp->vb, vp->name);
	}
	worker_call(vp->vb->w, leave, vp);
	vport_free(vp);
	mirror_end_free(end);
}

void ports_set_up(struct vport *vp, bool up)
{
	if (vp->up == up)
		return;
	vp->up = up;
	worker_call(vp->vb->w, vport_change_link, vp);
	log_info("port %s: %s", vp->name, up ? "up" : "down");
	events_link(vp->vb->d, up ? "up" : "down", vp->vb, vp->name);
}

/* ---- settings ---- */

struct set_job {
	struct vport *vp;
	const json_t *values;
};

static void set_in_worker(void *arg)
{
	const struct set_job *job = arg;
	struct bport *bp = job->vp->wp.bp;
	uint8_t mask = 0, flags = 0;
	struct vlan_set vlans;
	struct ctl_error err;
	const json_t *v;
	const char *name;

	json_object_foreach((json_t *)job->values, name, v)
	{
		enum bport_flag f = bport_flag_parse(name);

		mask |= f;
		flags |= json_is_true(v) ? f : 0;
	}
	bridge_port_set_flags(job->vp->vb->br, bp, mask, flags);
	v = json_object_get(job->values, "group_fwd_mask");
	if (v)
		bp->group_fwd_mask = (uint16_t)json_integer_value(v);
	v = json_object_get(job->values, "fdb_max_learned");
	if (v)
		bridge_port_set_fdb_limit(job->vp->vb->br, bp, (uint32_t)json_integer_value(v));
	v = json_object_get(job->values, "vlans");
	/* Checked long ago: it is well-formed. */
	if (v && vlans_parse(json_string_value(v), job->vp->name, &vlans, &err) == 0)
		bridge_vlan_replace(job->vp->vb->br, bp, &vlans);
	tree_set_port(job->vp, job->values);
}

void ports_set(struct vport *vp, const json_t *values)
{
	struct set_job job = {vp, values};
	json_t *before = ports_get(vp);

	worker_call(vp->vb->w, set_in_worker, &job);
	events_changed(vp->vb->d, "port", vp->vb, vp->name, before, ports_get(vp));
}

json_t *ports_get(struct vport *vp)
{
	const struct bport *bp = vp->wp.bp;
	json_t *o = json_object();

	for (int i = 0; i < BPORT_FLAG_N; i++)
		json_object_set_new(o, bport_flag_name(i), json_boolean(bp->flags & (1 << i)));
	json_object_set_new(o, "group_fwd_mask", json_integer(bp->group_fwd_mask));
	json_object_set_new(o, "fdb_max_learned", json_integer(bp->fdb_max_learned));
	json_object_set_new(o, "vlans", vlans_text(&bp->vlans));
	if (bridge_stp(vp->vb->br) && !vp->host)
		tree_put_port(o, stp_port_settings(bridge_stp(vp->vb->br), bp->no));
	return o;
}
