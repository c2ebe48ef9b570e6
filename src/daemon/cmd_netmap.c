/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about netmap programs: rings.show, intercept.set, intercept.show. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "daemon/adopt.h"
#include "daemon/bridges.h"
#include "daemon/cmd.h"
#include "daemon/endpoint.h"
#include "daemon/expression.h"

static const struct key bridge_opt[] = {{"bridge", KEY_STRING, KEY_PLAIN, 0, 0}};
static const struct key set_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"mode", KEY_STRING, KEY_PLAIN, 0, 0},
	{"fail", KEY_STRING, KEY_PLAIN, 0, 0},
	{"overflow", KEY_STRING, KEY_PLAIN, 0, 0},
	{"reserved", KEY_STRING, KEY_PLAIN, 0, 0},
	{"oversize", KEY_STRING, KEY_PLAIN, 0, 0},
	{"reserved_tx", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"stall_ms", KEY_INT, KEY_PLAIN, 1, 3600000},
	{"rings", KEY_INT, KEY_PLAIN, 1, ENDPOINT_RINGS_MAX},
	{"filter", KEY_STRING, KEY_PLAIN, 0, 0},
	{"exempt", KEY_STRING, KEY_PLAIN, 0, 0},
};

/* Names of a setting's values, in the order of their enum. */
struct choice {
	const char *key;
	const char *const names[INTERCEPT_MODE_N + 1];
	size_t ofs; /* in struct intercept_settings */
};

static const struct choice choices[] = {
	{"mode",
	 {"auto", "all", "local", "copy", "none"},
	 offsetof(struct intercept_settings, mode)},
	{"fail", {"open", "closed"}, offsetof(struct intercept_settings, fail)},
	{"overflow", {"drop", "pass"}, offsetof(struct intercept_settings, overflow)},
	{"reserved", {"hide", "copy", "take"}, offsetof(struct intercept_settings, reserved)},
	{"oversize", {"pass", "multislot", "drop"}, offsetof(struct intercept_settings, oversize)},
};

static int set_choice(struct cmd_call *c, const struct choice *ch, struct intercept_settings *s)
{
	const char *v = cmd_arg(c, ch->key);
	char list[80] = "";

	if (!v)
		return 0;
	for (uint8_t i = 0; ch->names[i]; i++) {
		if (!strcmp(v, ch->names[i])) {
			((uint8_t *)s)[ch->ofs] = i;
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
			 ch->names[i]);
	}
	return ctl_fail(&c->err, CTL_E_VALUE, "bridge %s: %s %.32s: not one of %s",
			cmd_arg(c, "bridge"), ch->key, v, list);
}

/* ---- expressions ---- */

/* An expression argument: *ret is the new one, NULL for "none"; *ret_given whether there is one. */
static int parse_expression(struct cmd_call *c, const char *key, struct expression **ret,
			    bool *ret_given)
{
	const char *text = cmd_arg(c, key);
	char why[256];

	*ret = NULL;
	*ret_given = text;
	if (!text || !text[0] || !strcmp(text, "none"))
		return 0;
	*ret = expression_new(text, why, sizeof(why));
	if (!*ret)
		return ctl_fail(&c->err, CTL_E_VALUE, "bridge %s: %s: %s", cmd_arg(c, "bridge"),
				key, why);
	return 0;
}

static struct intercept_match match_of(struct expression *e)
{
	return (struct intercept_match){.fn = e ? expression_match : NULL, .ctx = e};
}

/* ---- intercept.set ---- */

struct set_job {
	struct vbridge *vb;
	struct intercept_settings s;
};

static void set_in_worker(void *arg)
{
	const struct set_job *job = arg;

	intercept_set(bridge_intercept(job->vb->br), &job->s);
}

/* Keeps new expressions in place of old ones. */
static void swap_expression(struct expression **at, struct expression *e)
{
	expression_free(*at);
	*at = e;
}

static int intercept_set_cmd(struct cmd_call *c)
{
	struct expression *filter = NULL, *exempt = NULL;
	bool has_filter = false, has_exempt = false;
	struct set_job job;
	int r = bridges_need(c->d, cmd_arg(c, "bridge"), &job.vb, &c->err);

	if (r)
		return r;
	/* Settings change only by worker_call() from this thread: reading them needs none. */
	job.s = bridge_intercept(job.vb->br)->set;
	for (size_t i = 0; i < array_size(choices) && !r; i++)
		r = set_choice(c, &choices[i], &job.s);
	if (!r)
		r = parse_expression(c, "filter", &filter, &has_filter);
	if (!r)
		r = parse_expression(c, "exempt", &exempt, &has_exempt);
	if (r) {
		expression_free(filter);
		return r;
	}
	job.s.stall_ms = (uint32_t)cmd_arg_int(c, "stall_ms", job.s.stall_ms);
	if (json_object_get(c->args, "reserved_tx"))
		job.s.reserved_tx = cmd_arg_bool(c, "reserved_tx");
	if (has_filter)
		job.s.filter = match_of(filter);
	if (has_exempt)
		job.s.exempt = match_of(exempt);
	/* commit */
	job.vb->n_rings = (uint32_t)cmd_arg_int(c, "rings", job.vb->n_rings);
	worker_call(job.vb->w, set_in_worker, &job);
	if (has_filter)
		swap_expression(&job.vb->filter, filter);
	if (has_exempt)
		swap_expression(&job.vb->exempt, exempt);
	if (job.vb->adopted)
		adopt_follow_fail(job.vb);
	return 0;
}

static json_t *intercept_row(const struct vbridge *vb)
{
	const struct intercept_settings *s = &bridge_intercept(vb->br)->set;
	json_t *row =
		json_pack("{s:s, s:i, s:i, s:b}", "ifname", vb->name, "stall_ms", (int)s->stall_ms,
			  "rings", (int)vb->n_rings, "reserved_tx", s->reserved_tx);

	for (size_t i = 0; i < array_size(choices); i++)
		json_object_set_new(
			row, choices[i].key,
			json_string(choices[i].names[((const uint8_t *)s)[choices[i].ofs]]));
	json_object_set_new(row, "filter",
			    json_string(vb->filter ? expression_text(vb->filter) : ""));
	json_object_set_new(row, "exempt",
			    json_string(vb->exempt ? expression_text(vb->exempt) : ""));
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
	json_object_update_new(job.row, json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:i, s:f, s:i}",
						  "kind", "ring", "ifname", p->name, "ring", name,
						  "dir", tx ? "tx" : "rx", "pid", (int)cl->peer.pid,
						  "program", cl->program, "uid", (int)cl->peer.uid,
						  "since", cl->since, "users", (int)job.nr->users));
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
	int r = name ? bridges_need(c->d, name, &vb, &c->err) : 0;

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
	{"intercept.set", intercept_set_cmd, CMD_WRITE, KEY_TABLE(set_args), NULL},
	{"intercept.show", intercept_show, CMD_ROWS, KEY_TABLE(bridge_opt), NULL},
};
const struct cmd_table cmds_netmap = {cmds, array_size(cmds)};
