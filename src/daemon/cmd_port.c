/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about ports: port.add, .del, .set, .show, and their counters: stats. */
#include <string.h>

#include "base/compiler.h"
#include "base/mac.h"
#include "daemon/bridges.h"
#include "daemon/cmd.h"
#include "daemon/ports.h"
#include "daemon/tree.h"

static const struct key add_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0}, {"port", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"driver", KEY_STRING, KEY_PLAIN, 0, 0},    {"file", KEY_STRING, KEY_PLAIN, 0, 0},
	{"tap", KEY_BOOL, KEY_PLAIN, 0, 0},
};
static const struct key port_args[] = {
	{"port", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"bridge", KEY_STRING, KEY_PLAIN, 0, 0},
};
static const struct key show_args[] = {
	{"bridge", KEY_STRING, KEY_PLAIN, 0, 0},
	{"port", KEY_STRING, KEY_PLAIN, 0, 0},
};
static int port_add(struct cmd_call *c)
{
	struct port_request req = {
		.name = cmd_arg(c, "port"),
		.driver = cmd_arg(c, "driver"),
		.file = cmd_arg(c, "file"),
		.tap = cmd_arg_bool(c, "tap"),
	};
	struct vbridge *vb;
	struct vport *vp;
	int r = bridges_need_own(c->d, cmd_arg(c, "bridge"), &vb, &c->err);

	/* "tap:NAME" as people write it. */
	if (!strncmp(req.name, "tap:", 4)) {
		req.name += 4;
		req.tap = true;
	}
	if (!r)
		r = ports_add(vb, &req, &vp, &c->err);
	if (r)
		return r;
	c->result = json_pack("{s:s, s:s, s:s, s:s}", "port", vp->name, "driver",
			      vp->port->driver->name, "mode", vp->port->mode, "reason",
			      vp->reason ? vp->reason : "asked for");
	return 0;
}

/* The port that the arguments name. */
static int need_port(struct cmd_call *c, struct vport **ret)
{
	const char *bridge = cmd_arg(c, "bridge"), *name = cmd_arg(c, "port");
	struct vbridge *vb = NULL;
	int r = bridge ? bridges_need_own(c->d, bridge, &vb, &c->err) : 0;

	if (r)
		return r;
	if (!strncmp(name, "tap:", 4))
		name += 4;
	r = ports_need(c->d, vb, name, ret, &c->err);
	if (!r && (*ret)->vb->adopted)
		r = bridges_need_own(c->d, (*ret)->vb->name, &vb, &c->err);
	return r;
}

static int port_del(struct cmd_call *c)
{
	struct vport *vp;
	int r = need_port(c, &vp);

	if (!r)
		ports_del(vp);
	return r;
}

static int port_set(struct cmd_call *c)
{
	struct vport *vp;
	json_t *values;
	int r = need_port(c, &vp);

	if (r)
		return r;
	values = cmd_settings(c, &keys_port);
	ports_set(vp, values);
	json_decref(values);
	return 0;
}

static void check_migration(void *arg)
{
	const struct vport *vp = arg;

	stp_port_mcheck(bridge_stp(vp->vb->br), vp->wp.bp->no);
}

static int port_mcheck(struct cmd_call *c)
{
	struct vport *vp;
	int r = need_port(c, &vp);

	if (!r)
		worker_call(vp->vb->w, check_migration, vp);
	return r;
}

/* ---- rows ---- */

struct port_job {
	struct vport *vp;
	uint32_t n_learned;
	struct bport_counters counters;
	struct offload_counters offload;
	struct port_stats stats;
	struct drop_counters drops; /* engine's and driver's */
};

static void read_port(void *arg)
{
	struct port_job *job = arg;
	struct worker_port *wp = &job->vp->wp;

	job->n_learned = fdb_port_learned(bridge_fdb(job->vp->vb->br), wp->bp->no);
	job->counters = wp->bp->counters;
	job->offload = wp->offload;
	job->drops = wp->bp->counters.drops;
	if (!wp->port)
		return;
	if (wp->port->driver->update_stats)
		wp->port->driver->update_stats(wp->port);
	job->stats = wp->port->stats;
	for (int i = 0; i < DROP_N; i++)
		job->drops.n[i] += wp->port->drops.n[i];
}

static void read_job(struct port_job *job, struct vport *vp)
{
	memset(job, 0, sizeof(*job));
	job->vp = vp;
	worker_call(vp->vb->w, read_port, job);
}

static json_t *port_row(struct vport *vp)
{
	const struct bport *bp = vp->wp.bp;
	struct port_job job;
	char mac[MAC_TEXT_SIZE];
	json_t *data = vp->vb->adopted ? json_object() : ports_get(vp); /* else the kernel's */

	read_job(&job, vp);
	json_object_set_new(data, "state", json_string(bport_state_name(bp->state)));
	if (bp->span)
		json_object_set_new(data, "span", json_true());
	if (!vp->vb->adopted)
		json_object_set_new(data, "fdb_n_learned", json_integer(job.n_learned));
	tree_show_port(vp, data);
	return json_pack("{s:s, s:i, s:s, s:i, s:s, s:s, s:s, s:i, s:s, s:b, s:s, s:{s:s, s:o}}",
			 "ifname", vp->name, "ifindex", (int)vp->ifindex, "master", vp->vb->name,
			 "port_no", bp->no, "driver",
			 vp->port ? vp->port->driver->name : vp->want_driver, "mode",
			 vp->port ? vp->port->mode : "", "address", mac_format(vp->mac, mac), "mtu",
			 (int)vp->mtu, "operstate", ports_operstate(vp), "host", vp->host, "state",
			 bport_state_name(bp->state), "linkinfo", "info_slave_kind", "bridge",
			 "info_slave_data", data);
}

/* What the worker and the driver did for one port. */
static json_t *offload_row(const struct offload_counters *w, const struct offload_counters *d)
{
	const uint64_t csum_finished = w->csum_finished + d->csum_finished;
	const uint64_t gso_segmented = w->gso_segmented + d->gso_segmented;
	const uint64_t gso_segments = w->gso_segments + d->gso_segments;
	const uint64_t gso_passed = w->gso_passed + d->gso_passed;
	const uint64_t tags_restored = w->tags_restored + d->tags_restored;

	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "csum_finished", (json_int_t)csum_finished,
			 "gso_segmented", (json_int_t)gso_segmented, "gso_segments",
			 (json_int_t)gso_segments, "gso_passed", (json_int_t)gso_passed,
			 "tags_restored", (json_int_t)tags_restored);
}

static json_t *stats_row(struct vport *vp)
{
	const struct bport_counters *n;
	uint64_t rx_dropped = 0, tx_dropped = 0;
	struct port_job job;

	read_job(&job, vp);
	n = &job.counters;
	for (int i = 0; i < DROP_N; i++) {
		if (i == DROP_EGRESS_MTU || i == DROP_TX_FULL || i == DROP_TX_DOWN ||
		    i == DROP_TX_REFUSED || i == DROP_OVERSIZE || i == DROP_HOST_DOWN)
			tx_dropped += job.drops.n[i];
		else
			rx_dropped += job.drops.n[i];
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:{s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I}},"
			 " s:{s:I, s:I, s:I}, s:o}",
			 "ifname", vp->name, "bridge", vp->vb->name, "driver",
			 vp->port ? vp->port->driver->name : vp->want_driver, "mode",
			 vp->port ? vp->port->mode : "", "stats64", "rx", "packets",
			 (json_int_t)n->rx_packets, "bytes", (json_int_t)n->rx_bytes, "multicast",
			 (json_int_t)n->rx_multicast, "dropped", (json_int_t)rx_dropped, "tx",
			 "packets", (json_int_t)n->tx_packets, "bytes", (json_int_t)n->tx_bytes,
			 "dropped", (json_int_t)tx_dropped, "driver_stats", "rx_calls",
			 (json_int_t)job.stats.rx_calls, "tx_calls", (json_int_t)job.stats.tx_calls,
			 "wakeups", (json_int_t)job.stats.wakeups, "offload",
			 offload_row(&job.offload, &job.stats.offload));
}

int cmd_each_port(struct cmd_call *c, void (*fn)(struct cmd_call *c, struct vport *vp))
{
	const char *bridge = cmd_arg(c, "bridge"), *name = cmd_arg(c, "port");
	struct vbridge *only = NULL;
	bool found = false;
	int r = bridge ? bridges_need(c->d, bridge, &only, &c->err) : 0;

	if (r)
		return r;
	for_each_bridge(vb, c->d)
	{
		if (only && vb != only)
			continue;
		for_each_port(vp, vb)
		{
			if (name && strcmp(vp->name, name))
				continue;
			found = true;
			fn(c, vp);
		}
	}
	if (name && !found)
		return ctl_fail(&c->err, CTL_E_PORT_NONE, "port %.64s: not a port of %s", name,
				bridge ? bridge : "any bridge");
	return 0;
}

static void show_one(struct cmd_call *c, struct vport *vp)
{
	cmd_row(c, port_row(vp));
}

static void stats_one(struct cmd_call *c, struct vport *vp)
{
	cmd_row(c, stats_row(vp));
}

static int port_show(struct cmd_call *c)
{
	return cmd_each_port(c, show_one);
}

static int stats(struct cmd_call *c)
{
	return cmd_each_port(c, stats_one);
}

static const struct cmd cmds[] = {
	{"port.add", port_add, CMD_WRITE, KEY_TABLE(add_args), NULL},
	{"port.del", port_del, CMD_WRITE, KEY_TABLE(port_args), NULL},
	{"port.set", port_set, CMD_WRITE, KEY_TABLE(port_args), &keys_port},
	{"port.mcheck", port_mcheck, CMD_WRITE, KEY_TABLE(port_args), NULL},
	{"port.show", port_show, CMD_ROWS, KEY_TABLE(show_args), NULL},
	{"stats", stats, CMD_ROWS, KEY_TABLE(show_args), NULL},
};
const struct cmd_table cmds_port = {cmds, array_size(cmds)};
