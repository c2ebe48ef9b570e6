/* SPDX-License-Identifier: BSD-2-Clause */
/* Collects the pictures: from the daemon, if there is one for this namespace, and the kernel. */
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/fmt.h"
#include "cli/links.h"
#include "cli/neigh.h"
#include "cli/netns.h"
#include "cli/programs.h"
#include "wire/msg.h"

/* What changes, asked twice. */
struct sample {
	json_t *links;
	json_t *rows;  /* of bridge.show; NULL without a daemon */
	json_t *drops; /* rows of the daemon */
};

/* Everything that was told; pictures are cut out of it. */
struct look {
	struct cli *c;
	struct doctor *d;
	struct sample before, now;
	json_t *vlans, *moves; /* of the kernel's bridges */
	json_t *ports, *rings, *intercept, *status;
	int seconds;
	char elsewhere[NAME_MAX + 16]; /* the namespace of a daemon that is not in ours */
};

/* ---- the daemon ---- */

/* The daemon serves another namespace: what it has is not here. */
static void say_elsewhere(struct look *l, const char *bridge)
{
	const struct viaduct_info *info = viaduct_info(l->c->conn);

	if (!netns_name(info->netns, l->elsewhere, sizeof(l->elsewhere)))
		snprintf(l->elsewhere, sizeof(l->elsewhere), "/proc/%d/ns/net", info->pid);
	doctor_say(l->d, DOCTOR_WARNING, "viaductd",
		   "it (pid %d) lives in another network namespace, %s, and so do its bridges",
		   info->pid, l->elsewhere);
	doctor_hint(l->d, "viaduct -n %s doctor%s%s", l->elsewhere, *bridge ? " " : "", bridge);
}

/* False: no daemon that could be asked; said unless there is none. */
static bool reach_daemon(struct look *l, const char *bridge)
{
	struct viaduct_error err;
	int r = l->c->conn ? 0 : viaduct_open(l->c->run_dir, &l->c->conn, &err);
	uint64_t mine = viaduct_netns();

	if (r == VIADUCT_E_NO_DAEMON)
		return false;
	if (r) {
		doctor_say(l->d, DOCTOR_UNKNOWN, "viaductd",
			   "it cannot be asked about its bridges (%s)", err.text);
		doctor_hint(l->d, "be root, or a member of the daemon's group");
		return false;
	}
	if (!viaduct_info(l->c->conn)->netns || viaduct_info(l->c->conn)->netns == mine)
		return true;
	say_elsewhere(l, bridge);
	l->c->conn = viaduct_close(l->c->conn);
	return false;
}

/* Rows of a request; an empty array, and a finding, if it fails. */
static json_t *rows(struct look *l, const char *request)
{
	struct viaduct_error err;
	json_t *list = NULL;

	if (viaduct_rows(l->c->conn, request, NULL, &list, &err) == 0)
		return list;
	doctor_say(l->d, DOCTOR_UNKNOWN, "viaductd", "%s failed (%s)", request, err.text);
	return json_array();
}

static json_t *find(const json_t *list, const char *key, const char *value)
{
	json_t *row;
	size_t i;

	json_array_foreach(list, i, row) if (!strcmp(row_text(row, key), value)) return row;
	return NULL;
}

/* Those of a list that belong to the bridge. A new array. */
static json_t *of_bridge(const json_t *list, const char *key, const char *bridge)
{
	json_t *some = json_array(), *row;
	size_t i;

	json_array_foreach(list, i, row)
	{
		if (!strcmp(row_text(row, key), bridge))
			json_array_append(some, row);
	}
	return some;
}

/* ---- samples ---- */

static void take(struct look *l, struct sample *s)
{
	s->links = links_look();
	if (!l->c->conn)
		return;
	s->rows = rows(l, "bridge.show");
	s->drops = rows(l, "drops");
}

static void drop(struct sample *s)
{
	json_decref(s->links);
	json_decref(s->rows);
	json_decref(s->drops);
}

static void wait_for(int seconds)
{
	struct timespec left = {.tv_sec = seconds};

	nanosleep(&left, NULL);
}

/* Reads everything; twice what may grow, if there is time. */
static void collect(struct look *l)
{
	struct neigh *n = l->seconds > 0 ? neigh_open() : NULL;

	if (l->seconds > 0) {
		take(l, &l->before);
		wait_for(l->seconds);
	}
	take(l, &l->now);
	l->moves = neigh_close(n);
	l->vlans = links_vlans();
	if (!l->c->conn)
		return;
	l->ports = rows(l, "port.show");
	l->rings = rows(l, "rings.show");
	l->intercept = rows(l, "intercept.show");
	viaduct_call(l->c->conn, "status", NULL, NULL, NULL, &l->status, NULL);
}

static void forget(struct look *l)
{
	drop(&l->before);
	drop(&l->now);
	json_decref(l->vlans);
	json_decref(l->moves);
	json_decref(l->ports);
	json_decref(l->rings);
	json_decref(l->intercept);
	json_decref(l->status);
}

/* ---- what grew ---- */

static json_int_t info_grown(const struct look *l, const char *bridge, const char *key)
{
	const json_t *a = find(l->before.rows, "ifname", bridge);
	const json_t *b = find(l->now.rows, "ifname", bridge);

	return a && b ? row_int(row_at(b, "linkinfo.info_data"), key) -
				row_int(row_at(a, "linkinfo.info_data"), key)
		      : 0;
}

static json_int_t drops_before(const struct look *l, const json_t *row)
{
	json_t *old;
	size_t i;

	json_array_foreach(l->before.drops, i, old)
	{
		if (!strcmp(row_text(old, "bridge"), row_text(row, "bridge")) &&
		    !strcmp(row_text(old, "port"), row_text(row, "port")) &&
		    !strcmp(row_text(old, "reason"), row_text(row, "reason")))
			return row_int(old, "count");
	}
	return 0;
}

static json_t *drops_grown(const struct look *l, const char *bridge)
{
	json_t *grown = json_array(), *row, *copy;
	size_t i;

	json_array_foreach(l->now.drops, i, row)
	{
		const json_int_t n = row_int(row, "count") - drops_before(l, row);

		if (strcmp(row_text(row, "bridge"), bridge) != 0 || n <= 0)
			continue;
		copy = json_copy(row);
		json_object_set_new(copy, "count", json_integer(n));
		json_array_append_new(grown, copy);
	}
	return grown;
}

static json_t *device_grown(const struct look *l, const char *name)
{
	const json_t *a = json_object_get(json_object_get(l->before.links, name), "counters");
	json_t *b = json_object_get(json_object_get(l->now.links, name), "counters");
	json_t *grown = json_object(), *v;
	const char *key;

	json_object_foreach(b, key, v)
	{
		if (a)
			json_object_set_new(grown, key,
					    json_integer(json_integer_value(v) - row_int(a, key)));
	}
	return grown;
}

static json_t *grown(const struct look *l, const char *bridge, const json_t *link,
		     const json_t *ports)
{
	json_t *devices = json_object(), *port;
	char key[16];
	json_int_t moved;
	size_t i;

	json_array_foreach(ports, i, port) json_object_set_new(
		devices, row_text(port, "ifname"), device_grown(l, row_text(port, "ifname")));
	snprintf(key, sizeof(key), "%lld", (long long)row_int(link, "ifindex"));
	moved = row_int(l->moves, key) + info_grown(l, bridge, "n_moved");
	return json_pack("{s:i, s:I, s:I, s:I, s:o, s:o}", "seconds", l->seconds, "moved", moved,
			 "own_source", info_grown(l, bridge, "n_own_source"), "full",
			 info_grown(l, bridge, "n_full"), "drops", drops_grown(l, bridge),
			 "devices", devices);
}

/* ---- pictures ---- */

static json_t *port_picture(const struct look *l, const char *bridge, const char *name)
{
	json_t *link = json_object_get(l->now.links, name), *port, *row = NULL, *list;
	const json_int_t id = row_int(json_object_get(link, "xdp"), "id");
	char program[32];

	list = of_bridge(l->ports, "master", bridge);
	row = find(list, "ifname", name);
	port = json_pack("{s:s, s:O*, s:O*, s:O*}", "ifname", name, "row", row, "link", link,
			 "vlans", json_object_get(l->vlans, name));
	json_decref(list);
	if (link) {
		json_object_set_new(port, "features", programs_features(name));
		/* Whose a program is, only root is told. */
		if (geteuid() == 0)
			json_object_set_new(port, "tc", programs_tc((int)row_int(link, "ifindex")));
		json_object_set_new(
			port, "program",
			json_string(programs_name((unsigned int)id, program, sizeof(program))));
	} else {
		json_object_set_new(port, "elsewhere", netns_with_device(name));
	}
	return port;
}

static json_t *picture(const struct look *l, const char *bridge, const char *kind, json_t *row,
		       const json_t *names)
{
	json_t *link = json_object_get(l->now.links, bridge), *ports = json_array(), *p, *name;
	size_t i;

	json_array_foreach(names, i, name)
		json_array_append_new(ports, port_picture(l, bridge, json_string_value(name)));
	p = json_pack("{s:s, s:s, s:O*, s:O*, s:o}", "bridge", bridge, "kind", kind, "row", row,
		      "link", link, "ports", ports);
	if (l->seconds > 0)
		json_object_set_new(p, "grown", grown(l, bridge, link, ports));
	if (!row)
		return p;
	json_object_set_new(p, "rings", of_bridge(l->rings, "ifname", bridge));
	json_object_set(p, "intercept", find(l->intercept, "ifname", bridge));
	json_object_set(p, "state", find(json_object_get(l->status, "bridges"), "ifname", bridge));
	json_object_set(p, "memory", json_object_get(l->status, "memory"));
	json_object_set(p, "pid", json_object_get(l->status, "pid"));
	return p;
}

/* A bridge that the daemon has: its own, or one of the kernel's that it has adopted. */
static json_t *daemons_picture(const struct look *l, json_t *row)
{
	const char *name = row_text(row, "ifname");
	const bool adopted = row_bool(row, "adopted");
	const bool device =
		!strcmp(row_text(json_object_get(row, "linkinfo"), "info_kind"), "netdev");
	json_t *alone = json_pack("[s]", name), *p;

	p = picture(l, name,
		    device    ? "device"
		    : adopted ? "adopted"
			      : "own",
		    row, device ? alone : json_object_get(row, "ports"));
	json_decref(alone);
	return p;
}

static json_t *kernels_picture(const struct look *l, const json_t *link)
{
	json_t *names = json_array(), *other, *p;
	const char *name;

	json_object_foreach(l->now.links, name, other)
	{
		if (row_int(other, "master") == row_int(link, "ifindex"))
			json_array_append_new(names, json_string(name));
	}
	p = picture(l, row_text(link, "ifname"), "kernel", NULL, names);
	json_decref(names);
	return p;
}

static json_t *pictures(const struct look *l, const char *bridge)
{
	json_t *list = json_array(), *row, *link;
	const char *name;
	size_t i;

	json_array_foreach(l->now.rows, i, row)
	{
		if (*bridge && strcmp(row_text(row, "ifname"), bridge) != 0)
			continue;
		if (!row_bool(row, "kernel") || row_bool(row, "adopted"))
			json_array_append_new(list, daemons_picture(l, row));
	}
	json_object_foreach(l->now.links, name, link)
	{
		if (strcmp(row_text(link, "kind"), "bridge") != 0 || find(list, "bridge", name) ||
		    (*bridge && strcmp(name, bridge) != 0))
			continue;
		json_array_append_new(list, kernels_picture(l, link));
	}
	return list;
}

/* ---- nothing to look at ---- */

/* Which bridge a device is a port of, by the kernel or the daemon; "" if none. */
static const char *master_of(const struct look *l, const char *device)
{
	const json_int_t master = row_int(json_object_get(l->now.links, device), "master");
	json_t *link;
	const char *name;

	json_object_foreach(l->now.links, name, link)
	{
		if (master && row_int(link, "ifindex") == master &&
		    !strcmp(row_text(link, "kind"), "bridge"))
			return name;
	}
	return row_text(find(l->ports, "ifname", device), "master");
}

/* Where else there is such a device, the daemon's namespace before others; "" if nowhere. */
static void find_elsewhere(const struct look *l, const char *bridge, char *buf, size_t size)
{
	json_t *names = netns_with_device(bridge), *name;
	size_t i;

	buf[0] = '\0';
	json_array_foreach(names, i, name)
	{
		if (i == 0 || !strcmp(json_string_value(name), l->elsewhere))
			snprintf(buf, size, "%s", json_string_value(name));
	}
	json_decref(names);
}

/* Why there is no picture of it. Exit code 3: it cannot be looked at. */
static int say_none(struct look *l, const char *bridge)
{
	const char *master = master_of(l, bridge);
	const json_t *finding = json_array_get(l->d->findings, 0), *hints;
	char where[NAME_MAX + 1], hint[NAME_MAX + 300] = "";

	find_elsewhere(l, bridge, where, sizeof(where));
	if (*master) {
		snprintf(hint, sizeof(hint), "%s doctor %s", l->d->viaduct, master);
		cli_fail(l->c, CTL_E_BRIDGE_NONE, hint, "%s: no bridge, but a port of %s", bridge,
			 master);
	} else if (*where) {
		snprintf(hint, sizeof(hint), "viaduct -n %s doctor %s", where, bridge);
		cli_fail(l->c, CTL_E_NETNS, hint,
			 "bridge %s: not in this network namespace, but there is such a device in "
			 "%s",
			 bridge, where);
	} else if (finding) {
		hints = json_object_get(finding, "hints");
		cli_fail(l->c, CTL_E_BRIDGE_NONE, json_string_value(json_array_get(hints, 0)),
			 "bridge %s: not here; %s", bridge, row_text(finding, "text"));
	} else {
		cli_fail(l->c, CTL_E_BRIDGE_NONE, "viaduct show", "bridge %s: no such bridge",
			 bridge);
	}
	return doctor_exit(DOCTOR_UNKNOWN);
}

int doctor_look(struct cli *c, const char *bridge, int wait_s, struct doctor *d,
		json_t **ret_pictures)
{
	struct look l = {.c = c, .d = d, .seconds = wait_s};
	int r = CLI_OK;

	reach_daemon(&l, bridge);
	collect(&l);
	*ret_pictures = pictures(&l, bridge);
	if (json_array_size(*ret_pictures) == 0 && *bridge) {
		r = say_none(&l, bridge);
	} else if (json_array_size(*ret_pictures) == 0 && json_array_size(d->findings) == 0) {
		doctor_say(d, DOCTOR_UNKNOWN, "bridges",
			   "there is none in this network namespace, and no daemon runs");
		doctor_hint(d, "%s addbr br0", d->viaduct);
	} else if (*bridge && *l.elsewhere) {
		/* The bridge is here: a daemon elsewhere has nothing to do with it. */
		json_array_clear(d->findings);
	}
	forget(&l);
	return r;
}
