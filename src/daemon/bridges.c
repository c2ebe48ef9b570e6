/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/bridges.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mac.h"
#include "daemon/access.h"
#include "daemon/adopt.h"
#include "daemon/cmd_capture.h"
#include "daemon/endpoint.h"
#include "daemon/events.h"
#include "daemon/expression.h"
#include "daemon/keys.h"
#include "daemon/mirrors.h"
#include "daemon/netmap_sock.h"
#include "daemon/ports.h"
#include "daemon/rules.h"
#include "daemon/snapshot.h"
#include "daemon/traces.h"
#include "daemon/tree.h"
#include "daemon/tree_keep.h"
#include "daemon/vlans.h"
#include "sys/netlink.h"

LOG_MODULE("daemon/bridges");

#define FDB_SIZE_DEFAULT 65536u
#define FDB_SIZE_NONE    16u /* of what never learns */

struct vbridge *bridges_find(struct daemon *d, const char *name)
{
	for_each_bridge(vb, d) if (!strcmp(vb->name, name)) return vb;
	return NULL;
}

int bridges_need(struct daemon *d, const char *name, struct vbridge **ret, struct ctl_error *err)
{
	struct vbridge *vb = bridges_find(d, name);
	struct netlink_link l;

	if (vb) {
		*ret = vb;
		return 0;
	}
	if (netlink_get(d->nl, name, &l) == 0 && !strcmp(l.kind, "bridge"))
		return ctl_fail(err, CTL_E_KERNEL_BRIDGE,
				"bridge %.64s: a bridge of the kernel, not of viaduct", name);
	return ctl_fail(err, CTL_E_BRIDGE_NONE, "bridge %.64s: no such bridge", name);
}

int bridges_need_own(struct daemon *d, const char *name, struct vbridge **ret,
		     struct ctl_error *err)
{
	struct vbridge *vb = NULL;
	int r = bridges_need(d, name, &vb, err);

	if (r || !vb)
		return r;
	if (!vb->adopted) {
		*ret = vb;
		return 0;
	}
	ctl_fail(err, CTL_E_KERNEL_BRIDGE, "%.64s: adopted: it stays the kernel's to configure",
		 name);
	return ctl_hint(err, "ip link, bridge");
}

static struct worker *least_loaded(struct daemon *d)
{
	uint32_t load[DAEMON_WORKERS_MAX] = {0}, best = 0;

	for_each_bridge(vb, d) load[worker_id(vb->w)]++;
	for (uint32_t i = 1; i < d->n_workers; i++)
		if (load[i] < load[best])
			best = i;
	return d->workers[best];
}

static void random_bytes(void *p, size_t size)
{
	/* Up to 256 bytes never come short once the kernel's generator is ready. */
	while (getrandom(p, size, 0) != (ssize_t)size)
		;
}

static uint64_t random_mac(void)
{
	uint64_t mac;

	random_bytes(&mac, sizeof(mac));
	/* Individual, locally administered. */
	return (mac & 0xfcffffffffffULL) | 0x020000000000ULL;
}

/* May a bridge of that name be made? *ret_mac: address of an interface to take over, or 0. */
static int check_new(struct daemon *d, const char *name, uint64_t *ret_mac, struct ctl_error *err)
{
	struct netlink_link l;
	int r = key_check_ifname("bridge", name, err);

	if (r)
		return r;
	*ret_mac = 0;
	if (bridges_find(d, name))
		return ctl_fail(err, CTL_E_BRIDGE_EXISTS, "bridge %s: exists already", name);
	r = netlink_get(d->nl, name, &l);
	if (r == -ENODEV)
		return 0;
	if (r)
		return ctl_fail(err, CTL_E_INTERNAL, "bridge %s: netlink: %s", name, err_text(r));
	if (!strcmp(l.kind, "tun") && !strcmp(l.alias, BRIDGE_ALIAS)) {
		*ret_mac = l.mac;
		return 0;
	}
	if (!strcmp(l.kind, "bridge"))
		return ctl_fail(err, CTL_E_BRIDGE_EXISTS,
				"bridge %s: a bridge of the kernel with that name exists", name);
	return ctl_fail(err, CTL_E_BRIDGE_EXISTS, "bridge %s: a device of that name exists", name);
}

static void attach(void *arg)
{
	struct vbridge *vb = arg;

	/* Cannot fail half-way: on failure the caller sees that the worker does not have it. */
	if (worker_bridge_add(vb->w, &vb->wb))
		vb->wb.br = NULL;
}

static void detach(void *arg)
{
	struct vbridge *vb = arg;

	worker_bridge_del(vb->w, &vb->wb);
}

static void send_own(void *ctx, struct bport *port, const uint8_t *data, uint32_t len)
{
	struct vbridge *vb = ctx;

	worker_send(vb->w, &vb->wb, port, data, len);
}

static struct vbridge *vbridge_new(struct daemon *d, struct worker *w, const char *name,
				   uint32_t fdb_size, uint64_t mac, enum bridge_kind kind)
{
	struct vbridge *vb = calloc(1, sizeof(*vb));
	struct bridge_ops ops = {.ctx = vb, .event = events_push, .send = send_own};
	struct bridge_config cfg = {.kind = kind, .fdb_capacity = fdb_size, .mac = mac};

	if (!vb)
		return NULL;
	random_bytes(cfg.hash_key, sizeof(cfg.hash_key));
	snprintf(cfg.name, sizeof(cfg.name), "%s", name);
	snprintf(vb->name, sizeof(vb->name), "%s", name);
	vb->d = d;
	vb->w = w;
	vb->fdb_size = fdb_size;
	vb->n_rings = 1;
	list_init(&vb->ports);
	list_init(&vb->node);
	vb->br = bridge_new(&cfg, &ops, worker_buf_ops(vb->w));
	vb->wb.br = vb->br;
	if (vb->br)
		worker_call(vb->w, attach, vb);
	if (!vb->wb.br) {
		bridge_free(vb->br);
		free(vb);
		return NULL;
	}
	return vb;
}

static void vbridge_free(struct vbridge *vb)
{
	traces_bridge_gone(vb);
	worker_call(vb->w, detach, vb);
	events_drain(vb->d->events);
	list_del(&vb->node);
	snapshot_drop(vb, false);
	tree_keep_drop(vb);
	bridge_free(vb->br);
	expression_free(vb->filter);
	expression_free(vb->exempt);
	adopt_free(vb->adopted);
	access_free(vb->access);
	rules_free(vb);
	mirrors_drop(vb);
	netmap_sock_follow(vb->d->netmap_sock);
	free(vb);
}

static void set_mode(void *arg, enum intercept_mode mode)
{
	struct intercept *ic = bridge_intercept(arg);
	struct intercept_settings s = ic->set;

	s.mode = (uint8_t)mode;
	intercept_set(ic, &s);
}

/* Opening a device takes all of its frames, as with netmap. */
static void take_all(void *arg)
{
	set_mode(arg, INTERCEPT_ALL);
}

static void only_copies(void *arg)
{
	set_mode(arg, INTERCEPT_COPY);
}

struct vbridge *bridges_new_end(struct vbridge *of, const char *name, struct ring_sink *sink)
{
	struct vbridge *vb = vbridge_new(of->d, of->w, name, FDB_SIZE_NONE, 0, BRIDGE_NETDEV);

	if (!vb)
		return NULL;
	vb->end_of = of;
	vb->sink = sink;
	worker_call(vb->w, only_copies, vb->br);
	list_append(&of->d->mirror_ends, &vb->node);
	return vb;
}

struct vbridge *bridges_new_kernel(struct daemon *d, const char *name, bool is_bridge)
{
	/* Local entries only: an address per member, and the interface's. */
	struct vbridge *vb = vbridge_new(d, least_loaded(d), name, 2 * PORTS_MAX, 0,
					 is_bridge ? BRIDGE_ADOPTED : BRIDGE_NETDEV);

	if (!vb)
		return NULL;
	if (!is_bridge)
		worker_call(vb->w, take_all, vb->br);
	list_append(&d->bridges, &vb->node);
	return vb;
}

static int add_host(struct vbridge *vb, struct ctl_error *err)
{
	struct port_request req = {.name = vb->name, .driver = "tap", .host = true};
	int r = ports_add(vb, &req, &vb->host, err);

	if (r)
		return r;
	r = netlink_set_alias(vb->d->nl, vb->host->ifindex, BRIDGE_ALIAS);
	if (r)
		log_warn("bridge %s: its interface will not be taken over after a restart: %s",
			 vb->name, err_text(r));
	return 0;
}

static int tree_check_new(const char *name, const json_t *values, struct ctl_error *err)
{
	char object[32];

	snprintf(object, sizeof(object), "bridge %.16s", name);
	return tree_check(NULL, values, object, err);
}

int bridges_add(struct daemon *d, const char *name, const json_t *values, struct ctl_error *err)
{
	json_int_t fdb_size = json_integer_value(json_object_get(values, "fdb_size"));
	struct vbridge *vb;
	uint64_t mac;
	int r = check_new(d, name, &mac, err);

	if (!r)
		r = tree_check_new(name, values, err);
	if (r)
		return r;
	vb = vbridge_new(d, least_loaded(d), name,
			 fdb_size > 0 ? (uint32_t)fdb_size : FDB_SIZE_DEFAULT,
			 mac ? mac : random_mac(), BRIDGE_OWN);
	if (!vb)
		return ctl_fail(err, CTL_E_INTERNAL, "bridge %s: no memory", name);
	/* Known before its interface appears: no pattern may take that for a port. */
	list_append(&d->bridges, &vb->node);
	tree_keep_load(vb);
	r = add_host(vb, err);
	if (r) {
		vbridge_free(vb);
		return r;
	}
	r = values ? bridges_set(vb, values, err) : 0;
	if (r) {
		bridges_del(vb);
		return r;
	}
	/* commit */
	snapshot_load(vb);
	log_info("bridge %s: %s worker=%u fdb_size=%u", name,
		 mac ? "its interface was there and is used again" : "made", worker_id(vb->w),
		 vb->fdb_size);
	events_link(d, "bridge-add", vb, NULL);
	return 0;
}

static void close_ports(struct vbridge *vb)
{
	capture_bridge_gone(vb);
	endpoint_bridge_gone(vb->d, vb);
	if (vb->adopted) {
		adopt_detach(vb);
		return;
	}
	list_for_each_safe (i, &vb->ports) {
		struct vport *vp = list_entry(i, struct vport, node);

		if (!vp->host)
			ports_del(vp);
	}
	if (vb->host)
		ports_del(vb->host);
	vb->host = NULL;
}

void bridges_close(struct vbridge *vb)
{
	close_ports(vb);
	vbridge_free(vb);
}

void bridges_del(struct vbridge *vb)
{
	uint32_t ifindex = vb->host ? vb->host->ifindex : 0;
	int r;

	close_ports(vb);
	events_drain(vb->d->events); /* what the ports' leaving changed is told first */
	log_info("bridge %s: removed", vb->name);
	events_link(vb->d, "bridge-del", vb, NULL);
	r = ifindex ? netlink_del(vb->d->nl, ifindex) : 0;
	if (r && r != -ENODEV)
		log_err("bridge %s: its interface cannot be removed: %s", vb->name, err_text(r));
	snapshot_drop(vb, true);
	vbridge_free(vb);
}

/* ---- settings ---- */

struct set_job {
	struct vbridge *vb;
	const json_t *values;
	int r;
};

static void set_bool(const json_t *values, const char *name, bool *to)
{
	const json_t *v = json_object_get(values, name);

	if (v)
		*to = json_is_true(v);
}

/* Settings of VLANs: the only ones that may find no memory. */
static int set_vlans(struct vbridge *vb, const json_t *values)
{
	struct vlan_settings s = *bridge_vlan_settings(vb->br);
	const json_t *protocol = json_object_get(values, "vlan_protocol");
	const json_t *pvid = json_object_get(values, "vlan_default_pvid");
	const char *vlans = json_string_value(json_object_get(values, "vlans"));
	struct vlan_set set;
	struct ctl_error err;
	int r;

	set_bool(values, "vlan_filtering", &s.filtering);
	set_bool(values, "vlan_stats_enabled", &s.stats);
	set_bool(values, "vlan_stats_per_port", &s.stats_per_port);
	if (protocol)
		s.protocol = vlans_protocol(json_string_value(protocol));
	if (pvid)
		s.default_pvid = (uint16_t)json_integer_value(pvid);
	r = bridge_vlan_set(vb->br, &s);
	/* Checked long ago: it is well-formed. */
	if (!r && vlans && vb->host && vlans_parse(vlans, vb->name, &set, &err) == 0)
		bridge_vlan_replace(vb->br, vb->host->wp.bp, &set);
	return r;
}

static void set_in_worker(void *arg)
{
	struct set_job *job = arg;
	struct bridge *br = job->vb->br;
	struct bridge_settings s = *bridge_settings(br);
	const json_t *v;
	uint64_t mac = 0;

	job->r = set_vlans(job->vb, job->values);
	if (job->r)
		return;
	v = json_object_get(job->values, "ageing_time");
	if (v)
		s.ageing_time_s = (uint32_t)json_integer_value(v);
	v = json_object_get(job->values, "fdb_max_learned");
	if (v)
		s.fdb_max_learned = (uint32_t)json_integer_value(v);
	v = json_object_get(job->values, "group_fwd_mask");
	if (v)
		s.group_fwd_mask = (uint16_t)json_integer_value(v);
	set_bool(job->values, "no_linklocal_learn", &s.no_linklocal_learn);
	set_bool(job->values, "monitor", &s.monitor);
	bridge_set(br, &s);
	tree_set(job->vb, job->values);
	v = json_object_get(job->values, "address");
	if (v) {
		if (mac_parse(json_string_value(v), &mac))
			mac = 0; /* "auto": follow the ports */
		bridge_set_mac(br, mac);
	}
	v = json_object_get(job->values, "mtu");
	if (v)
		bridge_set_mtu(br, (uint32_t)json_integer_value(v));
}

int bridges_set(struct vbridge *vb, const json_t *values, struct ctl_error *err)
{
	struct set_job job = {vb, values, 0};
	json_t *before = bridges_get(vb);

	worker_call(vb->w, set_in_worker, &job);
	events_drain(vb->d->events);
	events_changed(vb->d, "bridge", vb, NULL, before, bridges_get(vb));
	if (!job.r)
		return 0;
	return ctl_fail(err, CTL_E_INTERNAL, "bridge %s: VLAN counters: %s", vb->name,
			err_text(job.r));
}

void bridges_get_vlans(struct vbridge *vb, json_t *to)
{
	const struct vlan_settings *s = bridge_vlan_settings(vb->br);

	json_object_set_new(to, "vlan_filtering", json_boolean(s->filtering));
	json_object_set_new(to, "vlan_protocol", json_string(vlans_protocol_name(s->protocol)));
	json_object_set_new(to, "vlan_default_pvid", json_integer(s->default_pvid));
	json_object_set_new(to, "vlan_stats_enabled", json_boolean(s->stats));
	json_object_set_new(to, "vlan_stats_per_port", json_boolean(s->stats_per_port));
}

json_t *bridges_get(struct vbridge *vb)
{
	/* Settings change only by worker_call() from this thread: reading them needs none. */
	const struct bridge_settings *s = bridge_settings(vb->br);
	char mac[MAC_TEXT_SIZE];
	json_t *o;

	o = json_pack("{s:i, s:i, s:i, s:b, s:b, s:s, s:i}", "ageing_time", (int)s->ageing_time_s,
		      "fdb_max_learned", (int)s->fdb_max_learned, "group_fwd_mask",
		      s->group_fwd_mask, "no_linklocal_learn", s->no_linklocal_learn, "monitor",
		      s->monitor, "address",
		      s->mac_set ? mac_format(bridge_mac(vb->br), mac) : "auto", "mtu",
		      s->mtu_set ? (int)bridge_mtu(vb->br) : 0);
	bridges_get_vlans(vb, o);
	if (vb->host)
		json_object_set_new(o, "vlans", vlans_text(&vb->host->wp.bp->vlans));
	if (bridge_stp(vb->br))
		tree_put(o, stp_settings(bridge_stp(vb->br)));
	return o;
}

void bridges_follow(struct vbridge *vb)
{
	struct vport *host = vb->host;
	uint64_t mac = bridge_mac(vb->br);
	uint32_t mtu = bridge_mtu(vb->br);
	int r = 0;

	if (!host || !host->ifindex || vb->adopted)
		return;
	if (echo_last(&host->mac_echo) != mac) {
		echo_write(&host->mac_echo, mac);
		r = netlink_set_mac(vb->d->nl, host->ifindex, mac);
	}
	if (!r && echo_last(&host->mtu_echo) != mtu) {
		echo_write(&host->mtu_echo, mtu);
		r = netlink_set_mtu(vb->d->nl, host->ifindex, mtu);
	}
	if (r)
		log_warn("bridge %s: its interface does not take address and MTU: %s", vb->name,
			 err_text(r));
}
