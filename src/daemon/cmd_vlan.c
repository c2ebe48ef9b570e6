/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about VLANs: vlan.add, .del, .show, with the words of bridge(8). */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "daemon/bridges.h"
#include "daemon/cmd.h"
#include "daemon/events.h"
#include "daemon/ports.h"
#include "daemon/vlans.h"

static const struct key add_args[] = {
	{"port", KEY_STRING, KEY_REQUIRED, 0, 0}, {"bridge", KEY_STRING, KEY_PLAIN, 0, 0},
	{"vid", KEY_STRING, KEY_REQUIRED, 0, 0},  {"pvid", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"untagged", KEY_BOOL, KEY_PLAIN, 0, 0},  {"self", KEY_BOOL, KEY_PLAIN, 0, 0},
};
static const struct key del_args[] = {
	{"port", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"bridge", KEY_STRING, KEY_PLAIN, 0, 0},
	{"vid", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"self", KEY_BOOL, KEY_PLAIN, 0, 0},
};
static const struct key show_args[] = {
	{"bridge", KEY_STRING, KEY_PLAIN, 0, 0},
	{"port", KEY_STRING, KEY_PLAIN, 0, 0},
	{"stats", KEY_BOOL, KEY_PLAIN, 0, 0},
};

/* ---- changes ---- */

/* The bridge's own interface is meant by `self` and its name, as in bridge(8). verb: for the hint.
 */
static int need_self(struct cmd_call *c, const char *verb, struct vbridge *vb, struct vport **ret)
{
	if (!cmd_arg_bool(c, "self")) {
		ctl_fail(&c->err, CTL_E_ARGS,
			 "%s: a bridge; the VLANs of its own interface need the word self",
			 vb->name);
		return ctl_hint(&c->err, "viaduct vlan %s dev %s vid %.16s self", verb, vb->name,
				cmd_arg(c, "vid"));
	}
	*ret = vb->host;
	return 0;
}

/* The port that the arguments name, of a bridge of ours. */
static int need_port(struct cmd_call *c, const char *verb, struct vport **ret)
{
	const char *bridge = cmd_arg(c, "bridge"), *name = cmd_arg(c, "port");
	struct vbridge *vb = NULL, *own = bridges_find(c->d, name);
	int r = bridge ? bridges_need_own(c->d, bridge, &vb, &c->err) : 0;

	if (!r && own) {
		r = bridges_need_own(c->d, name, &vb, &c->err);
		return r ? r : need_self(c, verb, vb, ret);
	}
	if (!strncmp(name, "tap:", 4))
		name += 4;
	if (!r)
		r = ports_need(c->d, vb, name, ret, &c->err);
	if (!r)
		r = bridges_need_own(c->d, (*ret)->vb->name, &vb, &c->err);
	if (!r && cmd_arg_bool(c, "self"))
		r = ctl_fail(&c->err, CTL_E_ARGS,
			     "port %s: self is for the interface of a bridge, this is a port of %s",
			     name, vb->name);
	return r;
}

struct change {
	struct vport *vp;
	uint16_t first, last;
	unsigned int flags;
	uint32_t n;
};

static void add_in_worker(void *arg)
{
	struct change *ch = arg;

	ch->n = bridge_vlan_add(ch->vp->vb->br, ch->vp->wp.bp, ch->first, ch->last, ch->flags);
}

static void del_in_worker(void *arg)
{
	struct change *ch = arg;

	ch->n = bridge_vlan_del(ch->vp->vb->br, ch->vp->wp.bp, ch->first, ch->last);
}

static void run_change(struct change *ch, worker_fn *fn)
{
	const struct vport *vp = ch->vp;

	worker_call(vp->vb->w, fn, ch);
	if (ch->n > 0)
		events_config(
			vp->vb->d, vp->host ? "bridge" : "port", vp->vb, vp->name,
			json_pack("{s:{s:o}}", "changed", "vlans", vlans_text(&vp->wp.bp->vlans)));
}

static int parse_change(struct cmd_call *c, const char *verb, struct change *ch)
{
	char object[32];
	int r = need_port(c, verb, &ch->vp);

	if (r)
		return r;
	assert(ch->vp);
	snprintf(object, sizeof(object), "%s %s", ch->vp->host ? "bridge" : "port", ch->vp->name);
	r = vlans_parse_range(cmd_arg(c, "vid"), object, &ch->first, &ch->last, &c->err);
	if (!r && cmd_arg_bool(c, "pvid") && ch->first != ch->last)
		r = ctl_fail(&c->err, CTL_E_VALUE,
			     "%s: vlan %u-%u: a PVID is one VLAN, not a range", object, ch->first,
			     ch->last);
	return r;
}

static int vlan_add_cmd(struct cmd_call *c)
{
	struct change ch = {0};
	int r = parse_change(c, "add", &ch);

	if (r)
		return r;
	ch.flags = (cmd_arg_bool(c, "pvid") ? VLAN_PVID : 0) |
		   (cmd_arg_bool(c, "untagged") ? VLAN_UNTAGGED : 0);
	run_change(&ch, add_in_worker);
	c->result = json_pack("{s:i}", "changed", (int)ch.n);
	return 0;
}

static int vlan_del_cmd(struct cmd_call *c)
{
	struct change ch = {0};
	int r = parse_change(c, "del", &ch);

	if (r)
		return r;
	run_change(&ch, del_in_worker);
	c->result = json_pack("{s:i}", "changed", (int)ch.n);
	return 0;
}

/* ---- show ---- */

struct counters_job {
	const struct vport *vp;
	struct vlan_counters of[VLAN_N];
};

static void read_counters(void *arg)
{
	struct counters_job *job = arg;

	for (uint16_t vid = 1; vid <= VLAN_ID_MAX; vid++)
		job->of[vid] = bridge_vlan_counters(job->vp->vb->br, job->vp->wp.bp, vid);
}

static json_t *vlan_row(const struct vlan_range *r, const struct vlan_counters *n)
{
	json_t *row = json_pack("{s:i}", "vlan", r->first), *flags = json_array();

	if (r->last > r->first)
		json_object_set_new(row, "vlanEnd", json_integer(r->last));
	if (r->flags & VLAN_PVID)
		json_array_append_new(flags, json_string("PVID"));
	if (r->flags & VLAN_UNTAGGED)
		json_array_append_new(flags, json_string("Egress Untagged"));
	if (json_array_size(flags) > 0)
		json_object_set(row, "flags", flags);
	json_decref(flags);
	if (!n)
		return row;
	json_object_set_new(row, "rx_bytes", json_integer((json_int_t)n->rx_bytes));
	json_object_set_new(row, "rx_packets", json_integer((json_int_t)n->rx_packets));
	json_object_set_new(row, "tx_bytes", json_integer((json_int_t)n->tx_bytes));
	json_object_set_new(row, "tx_packets", json_integer((json_int_t)n->tx_packets));
	return row;
}

/* Sets change only by worker_call() from this thread: reading them needs none. */
static void show_port(struct cmd_call *c, const struct vport *vp, struct counters_job *job)
{
	json_t *vlans = json_array();
	struct vlan_range r = {0};

	if (job) {
		job->vp = vp;
		worker_call(vp->vb->w, read_counters, job);
	}
	while (vlan_next(&vp->wp.bp->vlans, &r)) {
		struct vlan_range one = r;

		if (!job)
			json_array_append_new(vlans, vlan_row(&r, NULL));
		for (uint32_t vid = r.first; job && vid <= r.last; vid++) {
			one.first = one.last = (uint16_t)vid;
			json_array_append_new(vlans, vlan_row(&one, &job->of[vid]));
		}
	}
	cmd_row(c, json_pack("{s:s, s:s, s:o}", "ifname", vp->name, "master", vp->vb->name, "vlans",
			     vlans));
}

static int vlan_show(struct cmd_call *c)
{
	const char *bridge = cmd_arg(c, "bridge"), *name = cmd_arg(c, "port");
	struct counters_job *counters = NULL;
	struct vbridge *only = NULL;
	bool found = false;
	int r = bridge ? bridges_need_own(c->d, bridge, &only, &c->err) : 0;

	if (r)
		return r;
	if (cmd_arg_bool(c, "stats")) {
		counters = malloc(sizeof(*counters));
		if (!counters)
			return ctl_fail(&c->err, CTL_E_INTERNAL, "vlan: no memory");
	}
	for_each_bridge(vb, c->d)
	{
		if (vb->adopted || (only && vb != only))
			continue;
		for_each_port(vp, vb)
		{
			if (name && strcmp(vp->name, name))
				continue;
			found = true;
			show_port(c, vp, counters);
		}
	}
	free(counters);
	if (name && !found)
		return ctl_fail(&c->err, CTL_E_PORT_NONE, "port %.64s: not a port of %s", name,
				bridge ? bridge : "any bridge of viaduct");
	return 0;
}

static const struct cmd cmds[] = {
	{"vlan.add", vlan_add_cmd, CMD_WRITE, KEY_TABLE(add_args), NULL},
	{"vlan.del", vlan_del_cmd, CMD_WRITE, KEY_TABLE(del_args), NULL},
	{"vlan.show", vlan_show, CMD_ROWS, KEY_TABLE(show_args), NULL},
};
const struct cmd_table cmds_vlan = {cmds, array_size(cmds)};
