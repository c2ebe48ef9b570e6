/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about netmap programs: rings.show, intercept.set, intercept.show. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "daemon/bridges.h"
#include "daemon/cmd.h"
#include "daemon/diversion.h"
#include "daemon/endpoint.h"
#include "daemon/mirror_end.h"

static const struct key bridge_opt[] = {{"bridge", KEY_STRING, KEY_PLAIN, 0, 0}};
static const struct key set_args[] = {{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0}};

static int intercept_set_cmd(struct cmd_call *c)
{
	struct vbridge *vb;
	int r = bridges_need(c->d, cmd_arg(c, "bridge"), &vb, &c->err);
	json_t *note;

	if (!r)
		r = diversion_set(vb, c->args, &c->err);
	if (r)
		return r;
	note = json_object_get(c->args, "rings") ? diversion_pending(vb) : NULL;
	if (note)
		c->result = json_pack("{s:o}", "note", note);
	return 0;
}

static json_t *intercept_row(const struct vbridge *vb)
{
	json_t *row = diversion_get(vb);

	json_object_set_new(row, "ifname", json_string(vb->name));
	return row;
}

static int intercept_show(struct cmd_call *c)
{
	const char *name = cmd_arg(c, "bridge");
	struct vbridge *one = NULL;
	int r = name ? bridges_need(c->d, name, &one, &c->err) : 0;

	if (r)
		return r;
	for_each_bridge(vb, c->d) if (!one || vb == one) cmd_row(c, intercept_row(vb));
	return 0;
}

/* ---- rings.show ---- */

static const char *ring_state(const struct inspect_ring *r)
{
	if (!r->bound)
		return "stopped";
	if (r->rc.tx)
		return "live";
	if (r->state & INTERCEPT_STALLED)
		return "stalled";
	return r->state & INTERCEPT_SYNCED ? "live" : "unread";
}

struct ring_job {
	struct nm_ring *nr;
	json_t *row;
};

/* Reads what the worker writes. */
static void read_ring(void *arg)
{
	struct ring_job *job = arg;
	struct inspect_ring *r = &job->nr->r;
	const struct inspect_counters *n = &r->counters;
	const uint32_t lag = r->rc.tx ? 0 : ringcheck_rx_waiting(&r->rc);

	job->row =
		json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "state",
			  ring_state(r), "lag", (int)lag, "frames", (json_int_t)n->n_frames,
			  "segments", (json_int_t)n->n_segments, "copied", (json_int_t)n->n_copied,
			  "full", (json_int_t)n->n_full, "refused", (json_int_t)n->n_refused,
			  "forwarded", (json_int_t)n->n_forwarded, "bad", (json_int_t)r->rc.n_bad,
			  "stalls", (json_int_t)n->n_stalls, "doorbells", (json_int_t)n->n_bells);
}

static void ring_row(struct cmd_call *c, const struct nm_client *cl, bool host, bool tx, uint32_t i)
{
	struct nm_port *p = cl->port;
	struct ring_job job = {.nr = p->rings[host][tx][i]};
	char name[16];

	snprintf(name, sizeof(name), "%s%u", host ? "host" : "nic", i);
	if (p->vb)
		worker_call(p->vb->w, read_ring, &job);
	else
		read_ring(&job);
	json_object_update_new(
		job.row, json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:i, s:f, s:i, s:i}", "kind",
				   "ring", "ifname", p->name, "ring", name, "dir", tx ? "tx" : "rx",
				   "pid", (int)cl->peer.pid, "program", cl->program, "uid",
				   (int)cl->peer.uid, "since", cl->since, "users",
				   (int)job.nr->users, "domain", (int)job.nr->r.rc.owner));
	cmd_row(c, job.row);
}

static void client_rows(struct cmd_call *c, const struct nm_client *cl)
{
	for (int host = 0; host < 2; host++)
		for (int tx = 0; tx < 2; tx++)
			for (uint32_t i = 0; i < RINGS_MAX; i++)
				if (cl->ic.rings[host][tx] >> i & 1)
					ring_row(c, cl, host, tx, i);
}

struct side_job {
	struct nm_port *p;
	struct origins_stats origins[INTERCEPT_SIDE_N];
	struct regroup_stats groups[INTERCEPT_SIDE_N];
	struct intercept_counters counters[INTERCEPT_SIDE_N];
};

static void read_sides(void *arg)
{
	struct side_job *job = arg;

	inspect_stats(job->p->in, job->origins, job->groups);
	for (int i = 0; i < INTERCEPT_SIDE_N; i++)
		job->counters[i] = bridge_intercept(job->p->vb->br)->sides[i].counters;
}

static void side_row(struct cmd_call *c, const struct side_job *job, int side)
{
	const struct origins_stats *o = &job->origins[side];
	const struct regroup_stats *g = &job->groups[side];
	const struct intercept_counters *n = &job->counters[side];
	json_t *row = json_pack(
		"{s:s, s:s, s:s, s:{s:I, s:I, s:I, s:I}, s:I, s:I, s:I, s:b}", "kind", "side",
		"ifname", job->p->name, "side", side == INTERCEPT_HOST ? "host" : "nic", "origins",
		"buffer", (json_int_t)o->n_by[ORIGIN_BUFFER], "digest",
		(json_int_t)o->n_by[ORIGIN_DIGEST], "source", (json_int_t)o->n_by[ORIGIN_SOURCE],
		"unknown", (json_int_t)o->n_by[ORIGIN_UNKNOWN], "lent", (json_int_t)o->n_lent,
		"stale", (json_int_t)o->n_stale, "evicted", (json_int_t)o->n_evicted, "copies",
		o->copies);

	json_object_set_new(row, "gso",
			    json_pack("{s:I, s:I, s:I, s:I, s:i}", "kept", (json_int_t)g->n_kept,
				      "whole", (json_int_t)g->n_whole, "broken",
				      (json_int_t)g->n_broken, "refused", (json_int_t)g->n_refused,
				      "now", (int)g->n_now));
	json_object_update_new(
		row, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "taken",
			       (json_int_t)n->taken, "copied", (json_int_t)n->copied, "uninspected",
			       (json_int_t)n->uninspected, "oversize", (json_int_t)n->oversize,
			       "exempted", (json_int_t)n->exempted, "overflow_pass",
			       (json_int_t)n->overflow_pass, "copies_lost",
			       (json_int_t)n->copies_lost, "returned", (json_int_t)n->returned));
	cmd_row(c, row);
}

static void port_rows(struct cmd_call *c, struct nm_port *p)
{
	struct side_job job = {.p = p};

	list_for_each (i, endpoints_clients(c->d->endpoints)) {
		const struct nm_client *cl = list_entry(i, struct nm_client, node);

		if (cl->port == p)
			client_rows(c, cl);
	}
	if (!p->vb)
		return;
	worker_call(p->vb->w, read_sides, &job);
	for (int side = 0; side < INTERCEPT_SIDE_N; side++)
		side_row(c, &job, side);
}

static int rings_show(struct cmd_call *c)
{
	const char *name = cmd_arg(c, "bridge");
	struct vbridge *vb;
	const bool is_end = name && mirror_end_find(c->d, name);
	int r = name && !is_end ? bridges_need(c->d, name, &vb, &c->err) : 0;

	if (r)
		return r;
	list_for_each (i, endpoints_ports(c->d->endpoints)) {
		struct nm_port *p = list_entry(i, struct nm_port, node);

		if (!name || !strcmp(name, p->name))
			port_rows(c, p);
	}
	return 0;
}

static const struct cmd cmds[] = {
	{"rings.show", rings_show, CMD_ROWS, KEY_TABLE(bridge_opt), NULL},
	{"intercept.set", intercept_set_cmd, CMD_WRITE, KEY_TABLE(set_args), &keys_intercept},
	{"intercept.show", intercept_show, CMD_ROWS, KEY_TABLE(bridge_opt), NULL},
};
const struct cmd_table cmds_netmap = {cmds, array_size(cmds)};
