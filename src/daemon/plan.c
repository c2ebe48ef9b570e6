/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * What runs is compared with what is written, and each difference becomes a control command, run at
 * once, with the command that undoes it kept. The first failure runs those in reverse order. What
 * takes something away for good (removing a bridge) cannot fail and comes last.
 *
 * What a former configuration did not say is nobody's business here: a port or flag that somebody
 * changed by hand stays, unless the new text says otherwise. What a former text said and the new
 * one does not goes back to its default.
 */
#include "daemon/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/bridges.h"
#include "daemon/cmd.h"
#include "daemon/config.h"
#include "daemon/diversion.h"
#include "daemon/events.h"
#include "daemon/keys.h"
#include "daemon/plan_internal.h"
#include "daemon/ports.h"
#include "daemon/tree.h"
#include "daemon/vlans.h"
#include "sys/clock.h"
#include "sys/netlink.h"

LOG_MODULE("daemon/plan");

const char *plan_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* ---- steps ---- */

void plan_push_undo(struct plan *p, const char *cmd, json_t *args)
{
	json_array_append_new(p->undo, json_pack("{s:s, s:o}", "cmd", cmd, "args", args));
}

void plan_note(struct plan *p, json_t *sentence)
{
	log_info("config: %s", json_string_value(sentence));
	json_array_append_new(p->changes, sentence);
}

static void note_settings(struct plan *p, const char *kind, const char *name, json_t *values)
{
	const char *key;
	json_t *v;

	json_object_foreach(values, key, v)
	{
		char *text = json_dumps(v, JSON_ENCODE_ANY);

		plan_note(p, json_sprintf("%s %s: %s %s", kind, name, key, text ? text : "?"));
		free(text);
	}
}

int plan_step(struct plan *p, const json_t *item, const char *cmd, json_t *args)
{
	int r = cmd_exec(p->d, cmd, args, p->err);

	return r ? config_error_at(p->new, item, p->err) : 0;
}

static void roll_back(struct plan *p)
{
	for (size_t i = json_array_size(p->undo); i-- > 0;) {
		const json_t *u = json_array_get(p->undo, i);
		struct ctl_error err;

		if (cmd_exec(p->d, plan_text(u, "cmd"), json_incref(json_object_get(u, "args")),
			     &err))
			log_err("config: going back failed: %s", err.text);
	}
}

/* The members of `of` that `keys` has. */
static json_t *restrict_to(const json_t *of, const json_t *keys)
{
	json_t *o = json_object(), *v;
	const char *key;

	json_object_foreach((json_t *)keys, key, v)
		json_object_set(o, key, json_object_get(of, key));
	return o;
}

/* ---- bridges ---- */

/* want: the values that are written, for what follows from another. */
static json_t *bridge_defaults(const json_t *want)
{
	const struct vlan_settings s = vlan_settings_default();
	const json_t *pvid = json_object_get(want, "vlan_default_pvid");
	struct stp_settings stp;
	json_t *o = json_pack(
		"{s:i, s:i, s:i, s:b, s:b, s:s, s:i, s:b, s:s, s:i, s:b, s:b, s:o}", "ageing_time",
		300, "fdb_max_learned", 0, "group_fwd_mask", 0, "no_linklocal_learn", 0, "monitor",
		0, "address", "auto", "mtu", 0, "vlan_filtering", s.filtering, "vlan_protocol",
		vlans_protocol_name(s.protocol), "vlan_default_pvid", s.default_pvid,
		"vlan_stats_enabled", s.stats, "vlan_stats_per_port", s.stats_per_port, "vlans",
		vlans_default_text(pvid ? (uint16_t)json_integer_value(pvid) : s.default_pvid));

	stp_settings_default(&stp);
	tree_put(o, &stp);
	return o;
}

static int make_bridge(struct plan *p, const json_t *b)
{
	const char *name = plan_text(b, "name");
	json_t *args = json_copy(json_object_get(b, "values"));
	int r;

	json_object_set_new(args, "bridge", json_string(name));
	r = plan_step(p, b, "bridge.add", args);
	if (r)
		return r;
	plan_push_undo(p, "bridge.del", json_pack("{s:s}", "bridge", name));
	plan_note(p, json_sprintf("addbr %s", name));
	return 0;
}

static int change_bridge(struct plan *p, const json_t *b, struct vbridge *vb)
{
	const json_t *before = config_bridge(p->old, vb->name);
	const json_t *want = json_object_get(b, "values");
	json_t *now = bridges_get(vb), *defaults = bridge_defaults(want);
	json_t *diff = config_difference(now, json_object_get(before, "values"), want, defaults);
	const json_t *size = json_object_get(want, "fdb_size");
	json_t *args, *undo;
	int r = 0;

	if (size && json_integer_value(size) != vb->fdb_size)
		plan_note(p, json_sprintf("bridge %s: fdb_size is for a new bridge, it stays %u",
					  vb->name, vb->fdb_size));
	if (diff) {
		undo = restrict_to(now, diff);
		args = json_copy(diff);
		json_object_set_new(undo, "bridge", json_string(vb->name));
		json_object_set_new(args, "bridge", json_string(vb->name));
		r = plan_step(p, b, "bridge.set", args);
		if (r)
			json_decref(undo);
		else
			plan_push_undo(p, "bridge.set", undo);
		if (!r)
			note_settings(p, "bridge", vb->name, diff);
	}
	json_decref(diff);
	json_decref(now);
	json_decref(defaults);
	return r;
}

static const json_t *intercept_values(const json_t *bridge)
{
	return json_object_get(json_object_get(bridge, "intercept"), "values");
}

int plan_intercept(struct plan *p, const json_t *b, const json_t *before)
{
	struct vbridge *vb = bridges_find(p->d, plan_text(b, "name"));
	json_t *now = diversion_get(vb), *defaults = diversion_defaults(vb), *args, *undo, *pending;
	json_t *diff =
		config_difference(now, intercept_values(before), intercept_values(b), defaults);
	int r = 0;

	if (diff) {
		undo = restrict_to(now, diff);
		args = json_copy(diff);
		json_object_set_new(undo, "bridge", json_string(vb->name));
		json_object_set_new(args, "bridge", json_string(vb->name));
		r = plan_step(p, b, "intercept.set", args);
		if (r)
			json_decref(undo);
		else
			plan_push_undo(p, "intercept.set", undo);
		if (!r)
			note_settings(p, "intercept", vb->name, diff);
		pending = !r && json_object_get(diff, "rings") ? diversion_pending(vb) : NULL;
		if (pending)
			plan_note(p, pending);
	}
	json_decref(diff);
	json_decref(now);
	json_decref(defaults);
	return r;
}

static int do_bridges(struct plan *p)
{
	const json_t *list = json_object_get(p->new->root, "bridges");
	int r = 0;

	for (size_t i = 0; i < json_array_size(list) && !r; i++) {
		const json_t *b = json_array_get(list, i);
		struct vbridge *vb = bridges_find(p->d, plan_text(b, "name"));

		r = vb ? change_bridge(p, b, vb) : make_bridge(p, b);
		if (!r)
			r = plan_intercept(p, b, config_bridge(p->old, plan_text(b, "name")));
	}
	return r;
}

/* Those that only the former text has. */
static int drop_bridges(struct plan *p)
{
	const json_t *list = p->old ? json_object_get(p->old->root, "bridges") : NULL;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = plan_text(json_array_get(list, i), "name");
		struct vbridge *vb = bridges_find(p->d, name);

		if (!vb || vb->adopted || config_bridge(p->new, name))
			continue;
		bridges_del(vb);
		plan_note(p, json_sprintf("delbr %s", name));
	}
	return 0;
}

/* ---- ports ---- */

static json_t *port_defaults(const struct vport *vp)
{
	const struct vlan_settings *s = bridge_vlan_settings(vp->vb->br);
	json_t *o = json_pack("{s:i, s:i, s:o}", "group_fwd_mask", 0, "fdb_max_learned", 0, "vlans",
			      vlans_default_text(s->default_pvid));
	struct stp_port_settings stp;

	stp_port_settings_default(&stp);
	tree_put_port(o, &stp);

	for (int i = 0; i < BPORT_FLAG_N; i++)
		json_object_set_new(o, bport_flag_name(i),
				    json_boolean(bport_flags_default() & (1 << i)));
	return o;
}

static json_t *port_add_args(const char *bridge, const char *name, const json_t *port)
{
	json_t *args = json_pack("{s:s, s:s}", "bridge", bridge, "port", name);

	for (size_t i = 0; i < 3; i++) {
		static const char *const keys[] = {"driver", "file", "tap"};
		json_t *v = json_object_get(port, keys[i]);

		if (v)
			json_object_set(args, keys[i], v);
	}
	return args;
}

/* Undoing the removal of a port: joins again with the values that it has now. */
static void push_undo_port_del(struct plan *p, struct vport *vp)
{
	json_t *values = ports_get(vp);
	json_t *add = json_pack("{s:s, s:s, s:b}", "bridge", vp->vb->name, "port", vp->name, "tap",
				vp->tap);

	if (!vp->tap)
		json_object_set_new(add, "driver", json_string(vp->want_driver));
	if (vp->arg)
		json_object_set_new(add, "file", json_string(vp->arg));
	json_object_set_new(values, "port", json_string(vp->name));
	/* In reverse order: first it joins, then it gets its values. */
	plan_push_undo(p, "port.set", values);
	plan_push_undo(p, "port.add", add);
}

/* Does another bridge of the new text name this port, or is it to be adopted? */
static bool moves(const struct plan *p, const struct vport *vp)
{
	const json_t *list = json_object_get(p->new->root, "bridges");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *b = json_array_get(list, i), *c = config_port(b, vp->name);

		if (strcmp(plan_text(b, "name"), vp->vb->name) && c && plan_text(c, "name"))
			return true;
	}
	return config_adopt(p->new, vp->name);
}

/*
 * Ports that a former text brought in and that the new one has no place for in their bridge. Those
 * that move to another bridge have to leave before they can join it; all others when nothing can
 * fail any more: a TAP that is gone does not come back as it was.
 */
static void drop_ports(struct plan *p, bool moving)
{
	for_each_bridge(vb, p->d)
	{
		const json_t *b = config_bridge(p->new, vb->name);

		list_for_each_safe (i, &vb->ports) {
			struct vport *vp = list_entry(i, struct vport, node);

			if (vp->host || !vp->from_config || (b && config_port(b, vp->name)))
				continue;
			if (moving != moves(p, vp))
				continue;
			push_undo_port_del(p, vp);
			plan_note(p, json_sprintf("delif %s %s", vb->name, vp->name));
			ports_del(vp);
		}
	}
}

static int set_port(struct plan *p, const json_t *port, const json_t *before, struct vport *vp)
{
	json_t *now = ports_get(vp), *defaults = port_defaults(vp), *args, *undo;
	json_t *diff = config_difference(now, json_object_get(before, "values"),
					 json_object_get(port, "values"), defaults);
	int r = 0;

	if (diff) {
		undo = restrict_to(now, diff);
		args = json_copy(diff);
		json_object_set_new(undo, "port", json_string(vp->name));
		json_object_set_new(args, "port", json_string(vp->name));
		r = plan_step(p, port, "port.set", args);
		if (r)
			json_decref(undo);
		else
			plan_push_undo(p, "port.set", undo);
		if (!r)
			note_settings(p, "port", vp->name, diff);
	}
	json_decref(diff);
	json_decref(now);
	json_decref(defaults);
	return r;
}

static int join_port(struct plan *p, const json_t *b, const json_t *port, const char *name)
{
	const char *bridge = plan_text(b, "name");
	struct vport *vp;
	int r = plan_step(p, port, "port.add", port_add_args(bridge, name, port));

	if (r)
		return r;
	plan_push_undo(p, "port.del", json_pack("{s:s}", "port", name));
	plan_note(p, json_sprintf("addif %s %s", bridge, name));
	vp = ports_find(p->d, NULL, name);
	vp->from_config = true;
	return set_port(p, port, NULL, vp);
}

static bool needs_device(const json_t *port)
{
	const char *driver = plan_text(port, "driver");

	return !json_object_get(port, "tap") && (!driver || strcmp(driver, "pcap"));
}

static int named_port(struct plan *p, const json_t *b, const json_t *port, const char *name)
{
	const json_t *old = config_bridge(p->old, plan_text(b, "name"));
	struct vport *vp = ports_find(p->d, NULL, name);
	struct netlink_link l;

	if (vp && !strcmp(vp->vb->name, plan_text(b, "name"))) {
		vp->from_config = true;
		return set_port(p, port, old ? config_port(old, name) : NULL, vp);
	}
	/* A device that is not there joins when it appears. */
	if (!vp && needs_device(port) && netlink_get(p->d->nl, name, &l))
		return 0;
	return join_port(p, b, port, name);
}

/* All names of devices, as keys. */
static void collect_name(void *ctx, bool gone, const struct netlink_link *l)
{
	json_object_set_new(ctx, l->name, json_true());
}

/* Devices that patterns of the bridge match. Their troubles are theirs: a line in the log. */
static int matched_ports(struct plan *p, const json_t *b, json_t *names)
{
	const json_t *old = config_bridge(p->old, plan_text(b, "name"));
	const char *name;
	json_t *v;
	int r = 0;

	json_object_foreach(names, name, v)
	{
		const json_t *port = config_port(b, name);
		struct vport *vp = ports_find(p->d, NULL, name);
		struct port_request req = {.name = name,
					   .driver = port ? plan_text(port, "driver") : 0};
		struct ctl_error err;

		if (!port || !json_object_get(port, "match"))
			continue;
		if (vp && !strcmp(vp->vb->name, plan_text(b, "name")))
			r = set_port(p, port, old ? config_port(old, name) : NULL, vp);
		else if (ports_check(p->d, NULL, &req, NULL, &err) == 0)
			r = join_port(p, b, port, name);
		if (r)
			break;
	}
	return r;
}

static int do_ports(struct plan *p)
{
	const json_t *list = json_object_get(p->new->root, "bridges");
	json_t *names = json_object();
	int r = 0;

	for (size_t i = 0; i < json_array_size(list) && !r; i++) {
		const json_t *b = json_array_get(list, i), *ports = json_object_get(b, "ports");

		for (size_t j = 0; j < json_array_size(ports) && !r; j++) {
			const json_t *port = json_array_get(ports, j);

			if (plan_text(port, "name"))
				r = named_port(p, b, port, plan_text(port, "name"));
		}
	}
	netlink_links(p->d->nl, collect_name, names);
	for (size_t i = 0; i < json_array_size(list) && !r; i++)
		r = matched_ports(p, json_array_get(list, i), names);
	json_decref(names);
	return r;
}

/* ---- FDB ---- */

static json_t *fdb_args(const char *bridge, const json_t *e)
{
	json_t *args = json_copy((json_t *)e);

	json_object_del(args, "line");
	json_object_set_new(args, "bridge", json_string(bridge));
	return args;
}

/* Both absent, or both there and equal. */
static bool same(const json_t *a, const json_t *b, const char *key)
{
	const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);

	return (!x && !y) || json_equal(x, y);
}

static bool has_entry(const json_t *bridge, const json_t *e)
{
	const json_t *list = json_object_get(bridge, "fdb");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);

		if (!strcasecmp(plan_text(o, "mac"), plan_text(e, "mac")) && same(o, e, "vlan") &&
		    same(o, e, "port") && same(o, e, "kind"))
			return true;
	}
	return false;
}

/* Can the entry be made now, or does its port come later? */
static bool entry_ready(struct plan *p, const char *bridge, const json_t *e)
{
	const char *port = plan_text(e, "port");

	return !port || !strcmp(port, bridge) || ports_find(p->d, bridges_find(p->d, bridge), port);
}

/* Was it made by the former text, and is it still there? */
static bool entry_stands(struct plan *p, const char *bridge, const json_t *e)
{
	struct ctl_error err;
	json_t *args;

	if (!has_entry(config_bridge(p->old, bridge), e))
		return false;
	args = json_pack("{s:s, s:O}", "bridge", bridge, "mac", json_object_get(e, "mac"));
	if (json_object_get(e, "vlan"))
		json_object_set(args, "vlan", json_object_get(e, "vlan"));
	return cmd_exec(p->d, "fdb.get", args, &err) == 0;
}

static int add_entries(struct plan *p, const json_t *b)
{
	const json_t *list = json_object_get(b, "fdb");
	const char *bridge = plan_text(b, "name");
	int r = 0;

	for (size_t i = 0; i < json_array_size(list) && !r; i++) {
		const json_t *e = json_array_get(list, i);
		json_t *args;

		if (!entry_ready(p, bridge, e) || entry_stands(p, bridge, e))
			continue;
		args = fdb_args(bridge, e);
		json_object_set_new(args, "replace", json_true());
		r = plan_step(p, e, "fdb.add", args);
		if (r)
			break;
		args = fdb_args(bridge, e);
		json_object_del(args, "kind");
		plan_push_undo(p, "fdb.del", args);
		plan_note(p, json_sprintf("fdb add %s on %s", plan_text(e, "mac"), bridge));
	}
	return r;
}

static void del_entries(struct plan *p, const json_t *b)
{
	const char *bridge = plan_text(b, "name");
	const json_t *list = json_object_get(config_bridge(p->old, bridge), "fdb");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *e = json_array_get(list, i);
		struct ctl_error err;
		json_t *args;

		if (has_entry(b, e) || !entry_ready(p, bridge, e))
			continue;
		args = fdb_args(bridge, e);
		json_object_del(args, "kind");
		/* Gone already is as good. */
		if (cmd_exec(p->d, "fdb.del", args, &err) == 0) {
			plan_note(p, json_sprintf("fdb del %s on %s", plan_text(e, "mac"), bridge));
			args = fdb_args(bridge, e);
			plan_push_undo(p, "fdb.add", args);
		}
	}
}

static int do_entries(struct plan *p)
{
	const json_t *list = json_object_get(p->new->root, "bridges");
	int r = 0;

	for (size_t i = 0; i < json_array_size(list) && !r; i++) {
		del_entries(p, json_array_get(list, i));
		r = add_entries(p, json_array_get(list, i));
	}
	return r;
}

/* ---- the daemon's own settings ---- */

struct spin_job {
	struct worker *w;
	uint64_t spin_ns;
};

static void set_spin(void *arg)
{
	const struct spin_job *job = arg;

	worker_set_spin(job->w, job->spin_ns);
}

/* A key of the configuration's `daemon`, or its default. */
static uint32_t number_of(const struct plan *p, const char *key, uint32_t otherwise)
{
	const json_t *v = json_object_get(json_object_get(p->new->root, "daemon"), key);

	return v ? (uint32_t)json_integer_value(v) : otherwise;
}

static void set_limits(struct plan *p)
{
	p->d->uid_limits = (struct daemon_limits){
		.descriptors = number_of(p, "uid-descriptors", DAEMON_UID_DESCRIPTORS),
		.ports = number_of(p, "uid-ports", DAEMON_UID_PORTS),
		.extra_buffers = number_of(p, "uid-extra-buffers", DAEMON_UID_EXTRA_BUFFERS),
	};
	p->d->silent_s = number_of(p, "silent-s", DAEMON_SILENT_S);
}

static void set_adopters(struct plan *p)
{
	const struct key *k = key_find(&keys_daemon, 1, "adopt-on-open");
	const char *word = plan_text(json_object_get(p->new->root, "daemon"), k->name);

	p->d->adopters = DAEMON_ADOPT_ROOT;
	for (int i = 0; word && k->choices[i]; i++)
		if (!strcmp(word, k->choices[i]))
			p->d->adopters = (enum daemon_adopters)i;
}

/* Does a key need another start? */
static bool is_for_start(const char *key)
{
	return strcmp(key, "spin-us") && strncmp(key, "uid-", 4) && strcmp(key, "silent-s") &&
	       strcmp(key, "adopt-on-open");
}

static void do_daemon(struct plan *p)
{
	const json_t *old = p->old ? json_object_get(p->old->root, "daemon") : NULL;
	const json_t *spin = json_object_get(json_object_get(p->new->root, "daemon"), "spin-us");
	json_t *v;
	const char *key;

	if (spin && p->d->opt.spin_us < 0)
		for (uint32_t i = 0; i < p->d->n_workers; i++) {
			struct spin_job job = {p->d->workers[i],
					       (uint64_t)json_integer_value(spin) * 1000};

			worker_call(job.w, set_spin, &job);
		}
	set_limits(p);
	set_adopters(p);
	if (!p->old)
		return;
	json_object_foreach(json_object_get(p->new->root, "daemon"), key,
			    v) if (!json_equal(json_object_get(old, key), v))
		plan_note(p, json_sprintf(is_for_start(key)
						  ? "daemon %s: takes effect with the next start"
						  : "daemon %s",
					  key));
}

/* ---- entry points ---- */

/* An error has the line of the value. */
static int check_intercept(const struct config *c, const json_t *b, struct ctl_error *err)
{
	const json_t *lines = json_object_get(json_object_get(b, "intercept"), "lines");
	char object[32];
	const char *key;
	json_t *at;

	snprintf(object, sizeof(object), "bridge %s", plan_text(b, "name"));
	if (!diversion_check(intercept_values(b), object, &key, err))
		return 0;
	at = json_pack("{s:O}", "line", json_object_get(lines, key));
	config_error_at(c, at, err);
	json_decref(at);
	return err->code;
}

int plan_check(struct daemon *d, const struct config *c, struct ctl_error *err)
{
	const json_t *list = json_object_get(c->root, "adopt");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (check_intercept(c, json_array_get(list, i), err))
			return err->code;
	list = json_object_get(c->root, "bridges");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *b = json_array_get(list, i), *ports = json_object_get(b, "ports");

		if (check_intercept(c, b, err) || plan_check_rules(c, b, err))
			return err->code;
		for (size_t j = 0; j < json_array_size(ports); j++) {
			const json_t *port = json_array_get(ports, j);
			struct port_request req = {
				.name = plan_text(port, "name"),
				.driver = plan_text(port, "driver"),
				.file = plan_text(port, "file"),
			};

			if (!req.name)
				req.name = plan_text(port, "match");
			if (ports_check_driver(&req, err))
				return config_error_at(c, port, err);
		}
	}
	return 0;
}

/* All steps that can fail, in order. */
static int do_steps(struct plan *p)
{
	int r = plan_check(p->d, p->new, p->err);

	if (!r) {
		drop_ports(p, true);
		plan_release(p, true);
		r = plan_adopt(p); /* before patterns take them for ports */
	}
	if (!r)
		r = do_bridges(p);
	if (!r)
		r = do_ports(p);
	if (!r)
		r = do_entries(p);
	if (!r)
		r = plan_rules(p);
	return r;
}

int plan_apply(struct daemon *d, struct config *c, json_t **ret_changes, struct ctl_error *err)
{
	struct plan p = {.d = d, .old = d->config, .new = c, .err = err};
	int r;

	p.changes = json_array();
	p.undo = json_array();
	d->planning = true;
	r = do_steps(&p);
	if (r) {
		roll_back(&p);
		config_free(c);
		events_config(d, "reload-failed", NULL, NULL,
			      json_pack("{s:s}", "text", err->text));
	} else {
		/* commit */
		drop_ports(&p, false);
		drop_bridges(&p);
		plan_release(&p, false);
		do_daemon(&p);
		config_free(d->config);
		d->config = c;
		events_config(d, "reload", NULL, NULL, json_pack("{s:O}", "changes", p.changes));
	}
	d->planning = false;
	if (d->missed_link) {
		d->missed_link = false;
		ports_follow_all(d);
	}
	json_decref(p.undo);
	if (!r && ret_changes)
		*ret_changes = p.changes;
	else
		json_decref(p.changes);
	return r;
}

/* One that is to be adopted. True: that is what it is for. */
static bool adopt_appeared(struct daemon *d, const struct netlink_link *l)
{
	const json_t *a = config_adopt(d->config, l->name);
	struct ctl_error err;
	struct plan p = {.d = d, .old = d->config, .new = d->config, .err = &err};
	uint64_t n;

	if (!a || bridges_find(d, l->name))
		return a;
	p.changes = json_array();
	p.undo = json_array();
	if (plan_adopt_one(&p, a) && limit_take(&d->join_limit, clock_now_ns(), &n))
		log_warn("%s", err.text);
	json_decref(p.changes);
	json_decref(p.undo);
	return true;
}

void plan_follow_link(struct daemon *d, const struct netlink_link *l)
{
	const json_t *list = d->config ? json_object_get(d->config->root, "bridges") : NULL;

	if (adopt_appeared(d, l))
		return;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *b = json_array_get(list, i), *port = config_port(b, l->name);
		struct port_request req = {.name = l->name};
		struct ctl_error err;
		/* Entries of ports that are there already stand; those of the new one do not. */
		struct plan p = {.d = d, .old = d->config, .new = d->config, .err = &err};
		uint64_t n;
		int r;

		if (!port || !bridges_find(d, plan_text(b, "name")) ||
		    ports_check(d, NULL, &req, NULL, &err))
			continue;
		p.changes = json_array();
		p.undo = json_array();
		r = join_port(&p, b, port, l->name);
		if (!r)
			r = add_entries(&p, b);
		if (r && limit_take(&d->join_limit, clock_now_ns(), &n))
			log_warn("%s", err.text);
		json_decref(p.changes);
		json_decref(p.undo);
		return;
	}
}
