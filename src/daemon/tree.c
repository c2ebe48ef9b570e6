/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/tree.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "daemon/bridges.h"
#include "daemon/ports.h"
#include "sys/ethtool.h"

static const char *const choices[] = {[STP_OFF] = "off", [STP_ON] = "on", [STP_AUTO] = "auto"};

const char *tree_id(uint64_t id, char buf[TREE_ID_SIZE])
{
	snprintf(buf, TREE_ID_SIZE, "%04x.%012llx", (unsigned)(id >> 48),
		 (unsigned long long)(id & 0xffffffffffffULL));
	return buf;
}

/* ---- settings ---- */

/* Values that do not fit in the field were refused by the key's range. */
static void take_u8(const json_t *values, const char *name, uint8_t *to)
{
	const json_t *v = json_object_get(values, name);

	if (v)
		*to = (uint8_t)json_integer_value(v);
}

static void take_bool(const json_t *values, const char *name, bool *to)
{
	const json_t *v = json_object_get(values, name);

	if (v)
		*to = json_is_true(v);
}

static void take_choice(const json_t *values, const char *name, uint8_t *to)
{
	const char *v = json_string_value(json_object_get(values, name));

	for (uint8_t i = 0; v && i < array_size(choices); i++)
		if (!strcmp(v, choices[i]))
			*to = i;
}

static void take(const json_t *values, struct stp_settings *s)
{
	const char *version = json_string_value(json_object_get(values, "stp_version"));
	const char *method = json_string_value(json_object_get(values, "path_cost_method"));
	const json_t *priority = json_object_get(values, "priority");

	take_bool(values, "stp_state", &s->enabled);
	take_u8(values, "hello_time", &s->hello);
	take_u8(values, "max_age", &s->max_age);
	take_u8(values, "forward_delay", &s->forward_delay);
	take_u8(values, "tx_hold_count", &s->tx_hold_count);
	if (priority)
		s->priority = (uint16_t)json_integer_value(priority);
	if (version)
		s->version = strcmp(version, "stp") ? STP_VERSION_RSTP : STP_VERSION_STP;
	if (method)
		s->short_costs = !strcmp(method, "short");
}

int tree_check(const struct stp_settings *now, const json_t *values, const char *object,
	       struct ctl_error *err)
{
	struct stp_settings s;
	const char *why;

	stp_settings_default(&s);
	if (now)
		s = *now;
	take(values, &s);
	why = stp_settings_check(&s);
	return why ? ctl_fail(err, CTL_E_VALUE, "%.80s: %s", object, why) : 0;
}

void tree_set(struct vbridge *vb, const json_t *values)
{
	struct stp *stp = bridge_stp(vb->br);
	struct stp_settings s;

	if (!stp)
		return;
	s = *stp_settings(stp);
	take(values, &s);
	stp_set(stp, &s);
	vb->wb.next_tick_ns = 0; /* it may be due earlier now */
}

void tree_set_port(struct vport *vp, const json_t *values)
{
	struct stp *stp = bridge_stp(vp->vb->br);
	const uint16_t no = vp->wp.bp->no;
	const json_t *cost = json_object_get(values, "cost");
	struct stp_port_settings s;

	if (!stp || !stp_port_settings(stp, no))
		return;
	s = *stp_port_settings(stp, no);
	if (cost)
		s.cost = (uint32_t)json_integer_value(cost);
	take_u8(values, "priority", &s.priority);
	take_choice(values, "edge", &s.edge);
	take_choice(values, "p2p", &s.p2p);
	take_bool(values, "guard", &s.bpdu_guard);
	take_bool(values, "root_block", &s.root_block);
	take_bool(values, "bpdu_filter", &s.bpdu_filter);
	stp_port_set(stp, no, &s);
	if (json_object_get(values, "guard"))
		stp_port_guard_clear(stp, no);
}

void tree_put(json_t *to, const struct stp_settings *s)
{
	json_object_set_new(to, "stp_state", json_boolean(s->enabled));
	json_object_set_new(to, "stp_version",
			    json_string(s->version == STP_VERSION_STP ? "stp" : "rstp"));
	json_object_set_new(to, "priority", json_integer(s->priority));
	json_object_set_new(to, "hello_time", json_integer(s->hello));
	json_object_set_new(to, "max_age", json_integer(s->max_age));
	json_object_set_new(to, "forward_delay", json_integer(s->forward_delay));
	json_object_set_new(to, "tx_hold_count", json_integer(s->tx_hold_count));
	json_object_set_new(to, "path_cost_method", json_string(s->short_costs ? "short" : "long"));
}

void tree_put_port(json_t *to, const struct stp_port_settings *s)
{
	json_object_set_new(to, "cost", json_integer(s->cost));
	json_object_set_new(to, "priority", json_integer(s->priority));
	json_object_set_new(to, "edge", json_string(choices[s->edge]));
	json_object_set_new(to, "p2p", json_string(choices[s->p2p]));
	json_object_set_new(to, "guard", json_boolean(s->bpdu_guard));
	json_object_set_new(to, "root_block", json_boolean(s->root_block));
	json_object_set_new(to, "bpdu_filter", json_boolean(s->bpdu_filter));
}

/* ---- state ---- */

struct show_job {
	const struct stp *stp;
	uint16_t no;
	bool found;
	struct stp_status st;
	struct stp_port_status port;
};

static void read_status(void *arg)
{
	struct show_job *job = arg;

	stp_status(job->stp, &job->st);
	job->found = job->no && stp_port_status(job->stp, job->no, &job->port);
}

void tree_show(struct vbridge *vb, json_t *to)
{
	struct show_job job = {.stp = bridge_stp(vb->br)};
	const struct stp_status *st = &job.st;
	char id[TREE_ID_SIZE], root[TREE_ID_SIZE];

	worker_call(vb->w, read_status, &job);
	tree_put(to, stp_settings(job.stp));
	json_object_set_new(to, "stp_state", json_integer(stp_is_on(job.stp)));
	json_object_update_new(
		to,
		json_pack("{s:s, s:s, s:i, s:I, s:b, s:b, s:i, s:i, s:i, s:i, s:i, s:i, s:i}",
			  "bridge_id", tree_id(st->bridge, id), "root_id", tree_id(st->root, root),
			  "root_port", st->root_port, "root_path_cost", (json_int_t)st->root_cost,
			  "topology_change", st->topology_change, "topology_change_detected",
			  st->topology_change_detected, "n_topology_changes",
			  (int)st->n_topology_changes, "hello_timer", st->hello_timer, "tcn_timer",
			  st->tcn_timer, "topology_change_timer", st->topology_change_timer,
			  "root_max_age", st->times.max_age / (int)BPDU_SECOND, "root_hello_time",
			  st->times.hello / (int)BPDU_SECOND, "root_forward_delay",
			  st->times.forward_delay / (int)BPDU_SECOND));
}

static void show_counters(json_t *to, const struct stp_port_counters *n)
{
	json_object_set_new(to, "stp_xstats",
			    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rx_bpdu",
				      (json_int_t)n->rx_bpdu, "tx_bpdu", (json_int_t)n->tx_bpdu,
				      "rx_tcn", (json_int_t)n->rx_tcn, "tx_tcn",
				      (json_int_t)n->tx_tcn, "rx_bad", (json_int_t)n->rx_bad,
				      "transition_fwd", (json_int_t)n->transition_fwd,
				      "transition_blk", (json_int_t)n->transition_blk));
}

void tree_show_port(struct vport *vp, json_t *to)
{
	struct show_job job = {.stp = bridge_stp(vp->vb->br), .no = vp->wp.bp->no};
	const struct stp_port_status *st = &job.port;
	char bridge[TREE_ID_SIZE], root[TREE_ID_SIZE], id[8];

	if (!job.stp)
		return;
	worker_call(vp->vb->w, read_status, &job);
	if (!job.found)
		return;
	snprintf(id, sizeof(id), "0x%04x", st->id);
	json_object_update_new(
		to,
		json_pack("{s:s, s:s, s:i, s:I, s:I, s:i, s:i, s:s, s:s, s:i, s:i, s:i, s:b, s:b, "
			  "s:b, s:b, s:b, s:b, s:s}",
			  "role", stp_role_name(st->role), "id", id, "no", job.no, "cost",
			  (json_int_t)st->cost, "admin_cost",
			  (json_int_t)stp_port_settings(job.stp, job.no)->cost, "designated_port",
			  st->designated_port, "designated_cost", (int)st->designated_cost,
			  "bridge_id", tree_id(st->designated_bridge, bridge), "root_id",
			  tree_id(st->root, root), "hold_timer", st->hold_timer,
			  "message_age_timer", st->message_age_timer, "forward_delay_timer",
			  st->forward_delay_timer, "topology_change_ack", st->topology_change_ack,
			  "config_pending", st->config_pending, "oper_edge", st->edge, "oper_p2p",
			  st->p2p, "guarded", st->guarded, "root_blocked", st->root_blocked,
			  "protocol", st->rstp ? "rstp" : "stp"));
	show_counters(to, &st->counters);
}

/* ---- speed ---- */

struct speed_job {
	struct vport *vp;
	uint32_t mbps;
	bool full_duplex;
};

static void set_speed(void *arg)
{
	const struct speed_job *job = arg;
	const struct vport *vp = job->vp;

	stp_port_speed(bridge_stp(vp->vb->br), vp->wp.bp->no, job->mbps, job->full_duplex);
}

void tree_follow_speed(struct vport *vp)
{
	struct speed_job job = {.vp = vp, .full_duplex = true};

	if (vp->host || !vp->up || !bridge_stp(vp->vb->br))
		return;
	/* A TAP says 10 Mb/s whatever it does, a file nothing: both count as 10 Gb/s. */
	if (vp->ifindex && !vp->tap)
		ethtool_link(vp->name, &job.mbps, &job.full_duplex);
	worker_call(vp->vb->w, set_speed, &job);
}
