/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports follow their devices: link, address, MTU, name; a device that vanishes, and comes back. */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mac.h"
#include "daemon/adopt.h"
#include "daemon/events.h"
#include "daemon/plan.h"
#include "daemon/ports_internal.h"
#include "daemon/tree.h"

LOG_MODULE("daemon/ports");

static void vanish(struct vport *vp)
{
	struct port *port = vp->port;

	if (!port)
		return;
	vp->up = false;
	worker_call(vp->vb->w, vport_unplug, vp);
	vp->port = NULL;
	vp->ifindex = 0;
	vport_close_driver(vp->vb->d, port);
	log_warn("port %s: its device has vanished, %s goes on without it", vp->name, vp->vb->name);
	events_link(vp->vb->d, "vanished", vp->vb, vp->name);
}

static void come_back(struct vport *vp, const struct netlink_link *l)
{
	struct join_job job = {.vp = vp};
	struct ctl_error err;
	int r = vport_check_device(l, &err);

	if (!r)
		r = vport_open_driver(vp, NULL, &err);
	if (r) {
		if (strcmp(vp->why, err.text))
			log_warn("%s", err.text);
		snprintf(vp->why, sizeof(vp->why), "%.95s", err.text);
		return;
	}
	vp->why[0] = '\0';
	vport_learn_link(vp);
	worker_call(vp->vb->w, vport_plug, &job);
	if (job.r) {
		log_err("port %s: %s", vp->name, err_text(job.r));
		vport_close_driver(vp->vb->d, vp->port);
		vp->port = NULL;
		vp->ifindex = 0;
		return;
	}
	tree_follow_speed(vp);
	log_info("port %s: its device is back driver=%s", vp->name, vp->port->driver->name);
	events_link_more(
		vp->vb->d, "returned", vp->vb, vp->name,
		json_pack("{s:s, s:s}", "driver", vp->port->driver->name, "mode", vp->port->mode));
}

void vport_follow_name(struct vport *vp, const struct netlink_link *l)
{
	if (!strcmp(vp->name, l->name))
		return;
	if (vp->host || vp->self) {
		log_warn("bridge %s: its interface was renamed to %s; the bridge keeps its name",
			 vp->name, l->name);
		return;
	}
	log_info("port %s: renamed to %s", vp->name, l->name);
	events_link_more(vp->vb->d, "renamed", vp->vb, l->name,
			 json_pack("{s:s}", "old_ifname", vp->name));
	memset(vp->name, 0, sizeof(vp->name));
	memcpy(vp->name, l->name, strlen(l->name));
	worker_call(vp->vb->w, vport_change_name, vp);
}

struct host_job {
	struct vbridge *vb;
	bool promisc;
	uint64_t mac; /* 0 = not set by an administrator */
	uint32_t mtu;
};

static void follow_host_in_worker(void *arg)
{
	const struct host_job *job = arg;
	struct bridge_settings s = *bridge_settings(job->vb->br);

	if (s.promisc != job->promisc) {
		s.promisc = job->promisc;
		bridge_set(job->vb->br, &s);
	}
	if (job->mac)
		bridge_set_mac(job->vb->br, job->mac);
	if (job->mtu)
		bridge_set_mtu(job->vb->br, job->mtu);
}

/* What an administrator does to the bridge's interface is meant for the bridge. */
static void follow_host(struct vport *vp, const struct netlink_link *l)
{
	struct host_job job = {
		.vb = vp->vb,
		.promisc = l->promiscuity > 0 || (l->flags & IFF_PROMISC),
	};

	if (echo_foreign(&vp->mac_echo, l->mac))
		job.mac = l->mac;
	if (echo_foreign(&vp->mtu_echo, l->mtu))
		job.mtu = l->mtu;
	if (job.mac || job.mtu || job.promisc != bridge_settings(vp->vb->br)->promisc)
		worker_call(vp->vb->w, follow_host_in_worker, &job);
}

static void follow_device(struct vport *vp, const struct netlink_link *l)
{
	bool up = vport_link_is_up(vp, l), was_up = vp->up;
	uint64_t mac = vp->mac;
	uint32_t mtu = vp->mtu;
	char text[MAC_TEXT_SIZE];

	vport_follow_name(vp, l);
	if (vp->host)
		follow_host(vp, l);
	if (up == was_up && l->mac == mac && l->mtu == mtu)
		return;
	vport_take_link(vp, l);
	worker_call(vp->vb->w, vport_change_link, vp);
	tree_follow_speed(vp);
	if (up != was_up) {
		log_info("port %s: %s", vp->name, up ? "up" : "down");
		events_link(vp->vb->d, up ? "up" : "down", vp->vb, vp->name);
	}
	if (l->mac != mac && !vp->host)
		events_link_more(vp->vb->d, "address", vp->vb, vp->name,
				 json_pack("{s:s}", "address", mac_format(l->mac, text)));
	if (l->mtu != mtu && !vp->host)
		events_link_more(vp->vb->d, "mtu", vp->vb, vp->name,
				 json_pack("{s:i}", "mtu", (int)l->mtu));
}

static struct vport *find_by_index(struct daemon *d, uint32_t ifindex)
{
	for_each_bridge(vb, d)
	{
		if (vb->adopted) /* follows by itself, and has several ports on one device */
			continue;
		for_each_port(vp, vb) if (vp->ifindex == ifindex) return vp;
	}
	return NULL;
}

static void follow_gone(struct vport *vp, const struct netlink_link *l)
{
	if (l->moved && vp->tap && !vp->host) {
		/* Its descriptor still works: a TAP made for somebody else's namespace. */
		log_info("port %s: moved to another network namespace", vp->name);
		events_link(vp->vb->d, "netns", vp->vb, vp->name);
		vp->moved = true;
		vp->ifindex = 0;
		vp->up = true;
		worker_call(vp->vb->w, vport_change_link, vp);
		return;
	}
	vanish(vp);
}

/*
 * Keeps the list of devices that are there. True when this one has appeared or has a new name: only
 * then may the configuration join it, or what somebody took out by hand would be back at once.
 */
static bool has_appeared(struct daemon *d, bool gone, const struct netlink_link *l)
{
	const char *name;
	char key[16];

	snprintf(key, sizeof(key), "%u", l->ifindex);
	if (gone) {
		json_object_del(d->seen, key);
		return false;
	}
	name = json_string_value(json_object_get(d->seen, key));
	if (name && !strcmp(name, l->name))
		return false;
	if (d->planning) {
		d->missed_link = true;
		return false;
	}
	json_object_set_new(d->seen, key, json_string(l->name));
	return true;
}

static void note_link(void *ctx, bool gone, const struct netlink_link *l)
{
	has_appeared(ctx, gone, l);
}

void ports_note_links(struct daemon *d)
{
	netlink_links(d->nl, note_link, d);
}

void ports_follow_link(struct daemon *d, bool gone, const struct netlink_link *l)
{
	struct vport *vp = find_by_index(d, l->ifindex);
	bool appeared = has_appeared(d, gone, l);

	adopt_follow_link(d, gone, l);
	if (vp && gone) {
		follow_gone(vp, l);
		return;
	}
	if (vp) {
		follow_device(vp, l);
		return;
	}
	if (gone)
		return;
	vp = ports_find(d, NULL, l->name);
	if (vp && vp->vb->adopted)
		return;
	if (vp && !vp->port && !vp->tap)
		come_back(vp, l);
	else if (!vp && appeared)
		plan_follow_link(d, l);
}

struct snapshot {
	struct netlink_link *links;
	size_t n, cap;
};

static void collect(void *ctx, bool gone, const struct netlink_link *l)
{
	struct snapshot *s = ctx;

	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct netlink_link *p = realloc(s->links, cap * sizeof(*p));

		if (!p)
			return;
		s->links = p;
		s->cap = cap;
	}
	s->links[s->n++] = *l;
}

static bool snapshot_has(const struct snapshot *s, uint32_t ifindex)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->links[i].ifindex == ifindex)
			return true;
	return false;
}

void ports_follow_all(struct daemon *d)
{
	struct snapshot s = {0};
	int r = netlink_links(d->nl, collect, &s);

	if (r) {
		log_err("netlink: no list of devices: %s", err_text(r));
		free(s.links);
		return;
	}
	for_each_bridge(vb, d)
	{
		if (vb->adopted)
			continue;
		for_each_port(vp, vb) if (vp->ifindex && !snapshot_has(&s, vp->ifindex)) vanish(vp);
	}
	adopt_follow_all(d, s.links, s.n);
	for (size_t i = 0; i < s.n; i++)
		ports_follow_link(d, false, &s.links[i]);
	free(s.links);
}
