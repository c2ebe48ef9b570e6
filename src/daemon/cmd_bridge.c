/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about bridges: bridge.add, .del, .set, .show. */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/mac.h"
#include "daemon/bridges.h"
#include "daemon/cmd.h"
#include "daemon/diversion.h"
#include "daemon/ports.h"
#include "daemon/tree.h"
#include "sys/netlink.h"

static const struct key bridge_arg[] = {{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0}};
static const struct key bridge_opt[] = {{"bridge", KEY_STRING, KEY_PLAIN, 0, 0}};
static const struct key add_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"fdb_size", KEY_INT, KEY_PLAIN, 16, 1 << 26},
};

static int bridge_add(struct cmd_call *c)
{
	return bridges_add(c->d, cmd_arg(c, "bridge"), c->args, &c->err);
}

static int bridge_del(struct cmd_call *c)
{
	struct vbridge *vb;
	int r = bridges_need_own(c->d, cmd_arg(c, "bridge"), &vb, &c->err);

	if (r)
		return r;
	bridges_del(vb);
	return 0;
}

static int bridge_set_cmd(struct cmd_call *c)
{
	struct vbridge *vb;
	char object[32];
	int r = bridges_need_own(c->d, cmd_arg(c, "bridge"), &vb, &c->err);

	if (r)
		return r;
	snprintf(object, sizeof(object), "bridge %s", vb->name);
	r = tree_check(stp_settings(bridge_stp(vb->br)), c->args, object, &c->err);
	if (r)
		return r;
	return bridges_set(vb, c->args, &c->err);
}

/* ---- show ---- */

struct stats_job {
	struct vbridge *vb;
	struct fdb_stats st;
	uint64_t n_events[BRIDGE_EVENT_N];
};

static void read_stats(void *arg)
{
	struct stats_job *job = arg;

	fdb_stats(bridge_fdb(job->vb->br), &job->st);
	memcpy(job->n_events, job->vb->n_events, sizeof(job->n_events));
}

static json_t *info_data(struct vbridge *vb)
{
	const struct bridge_settings *s = bridge_settings(vb->br);
	struct stats_job job = {.vb = vb};
	json_t *intercept, *o;

	worker_call(vb->w, read_stats, &job);
	intercept = diversion_get(vb);
	o = json_pack("{s:i, s:i, s:I, s:I, s:i, s:b, s:b, s:b, s:I, s:I, s:I, s:o}", "ageing_time",
		      (int)s->ageing_time_s, "fdb_max_learned", (int)s->fdb_max_learned,
		      "fdb_n_learned", (json_int_t)job.st.n_learned, "fdb_size",
		      (json_int_t)vb->fdb_size, "group_fwd_mask", s->group_fwd_mask,
		      "no_linklocal_learn", s->no_linklocal_learn, "monitor", s->monitor, "promisc",
		      s->promisc, "n_moved", (json_int_t)job.n_events[BRIDGE_FDB_MOVED], "n_full",
		      (json_int_t)job.n_events[BRIDGE_FDB_FULL], "n_own_source",
		      (json_int_t)job.n_events[BRIDGE_OWN_SOURCE], "intercept", intercept);
	tree_show(vb, o);
	if (!vb->adopted)
		bridges_get_vlans(vb, o);
	return o;
}

static json_t *port_names(struct vbridge *vb)
{
	json_t *a = json_array();

	for_each_port(vp, vb) if (!vp->host && !vp->self)
		json_array_append_new(a, json_string(vp->name));
	return a;
}

static json_t *flag_names(const struct vport *host)
{
	json_t *a = json_array();

	if (!host || !host->port)
		return a;
	json_array_append_new(a, json_string("BROADCAST"));
	json_array_append_new(a, json_string("MULTICAST"));
	if (host->up) {
		json_array_append_new(a, json_string("UP"));
		json_array_append_new(a, json_string("LOWER_UP"));
	}
	return a;
}

static json_t *bridge_row(struct vbridge *vb)
{
	static const char *const kinds[] = {"viaduct", "bridge", "netdev"};
	char mac[MAC_TEXT_SIZE];

	return json_pack(
		"{s:s, s:i, s:s, s:i, s:s, s:b, s:b, s:i, s:o, s:{s:s, s:o}, s:o}", "ifname",
		vb->name, "ifindex", vb->host ? (int)vb->host->ifindex : 0, "address",
		mac_format(vb->adopted && vb->host ? vb->host->mac : bridge_mac(vb->br), mac),
		"mtu", vb->adopted && vb->host ? (int)vb->host->mtu : (int)bridge_mtu(vb->br),
		"operstate", vb->host ? ports_operstate(vb->host) : "NOTPRESENT", "kernel",
		vb->adopted != NULL, "adopted", vb->adopted != NULL, "worker",
		(int)worker_id(vb->w), "ports", port_names(vb), "linkinfo", "info_kind",
		kinds[bridge_kind(vb->br)], "info_data",
		vb->adopted ? json_object() : info_data(vb), "flags", flag_names(vb->host));
}

/* Kernel bridges and their members, from one snapshot. */
struct kernel_job {
	struct daemon *d;
	const char *only;
	json_t *bridges; /* by ifindex as text */
	bool members;    /* second pass */
};

static void kernel_link(void *ctx, bool gone, const struct netlink_link *l)
{
	struct kernel_job *job = ctx;
	char key[16], mac[MAC_TEXT_SIZE];
	json_t *row;

	if (job->members) {
		snprintf(key, sizeof(key), "%u", l->master);
		row = l->master ? json_object_get(job->bridges, key) : NULL;
		if (row)
			json_array_append_new(json_object_get(row, "ports"), json_string(l->name));
		return;
	}
	if (strcmp(l->kind, "bridge") || (job->only && strcmp(job->only, l->name)) ||
	    bridges_find(job->d, l->name))
		return;
	snprintf(key, sizeof(key), "%u", l->ifindex);
	row = json_pack("{s:s, s:i, s:s, s:i, s:s, s:[], s:b, s:b, s:{s:s}}", "ifname", l->name,
			"ifindex", (int)l->ifindex, "address", mac_format(l->mac, mac), "mtu",
			(int)l->mtu, "operstate", l->flags & IFF_RUNNING ? "UP" : "DOWN", "ports",
			"kernel", 1, "adopted", 0, "linkinfo", "info_kind", "bridge");
	json_object_set_new(job->bridges, key, row);
}

/* Returns how many there were. */
static uint64_t show_kernel(struct cmd_call *c, const char *only)
{
	struct kernel_job job = {.d = c->d, .only = only, .bridges = json_object()};
	uint64_t before = c->rows;
	const char *key;
	json_t *row;

	netlink_links(c->d->nl, kernel_link, &job);
	job.members = true;
	netlink_links(c->d->nl, kernel_link, &job);
	json_object_foreach(job.bridges, key, row) cmd_row(c, json_incref(row));
	json_decref(job.bridges);
	return c->rows - before;
}

static int bridge_show(struct cmd_call *c)
{
	const char *name = cmd_arg(c, "bridge");
	struct vbridge *one;

	if (name && !bridges_find(c->d, name)) {
		if (show_kernel(c, name) > 0)
			return 0;
		return bridges_need(c->d, name, &one, &c->err);
	}
	for_each_bridge(vb, c->d) if (!name || !strcmp(vb->name, name)) cmd_row(c, bridge_row(vb));
	if (!name)
		show_kernel(c, NULL);
	return 0;
}

static const struct cmd cmds[] = {
	{"bridge.add", bridge_add, CMD_WRITE, KEY_TABLE(add_args), &keys_bridge},
	{"bridge.del", bridge_del, CMD_WRITE, KEY_TABLE(bridge_arg), NULL},
	{"bridge.set", bridge_set_cmd, CMD_WRITE, KEY_TABLE(bridge_arg), &keys_bridge},
	{"bridge.show", bridge_show, CMD_ROWS, KEY_TABLE(bridge_opt), NULL},
};
const struct cmd_table cmds_bridge = {cmds, array_size(cmds)};
