/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of what a bridge knows and does: spanning tree, VLANs, addresses, drops. */
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/fmt.h"

#define MOVES_MIN  3 /* while it looked: a guest that migrates moves once */
#define LOSSES_MIN 5 /* frames that a device lost: some protocols of others nobody takes */

static const json_t *ports(const struct doctor *d)
{
	return json_object_get(d->picture, "ports");
}

/* What the bridge says about itself, whoever's it is. */
static const json_t *info(const struct doctor *d)
{
	const json_t *kernel = row_at(d->picture, "link.bridge");

	return doctor_is_kernel(d) ? kernel : row_at(d->picture, "row.linkinfo.info_data");
}

static const json_t *port_data(const json_t *port)
{
	return row_at(port, "row.linkinfo.info_slave_data");
}

/* ---- spanning tree ---- */

/* The state of a port by name, or "" if it is not known. */
static const char *port_state(const struct doctor *d, const json_t *port)
{
	static const char *const states[] = {"disabled", "listening", "learning", "forwarding",
					     "blocking"};
	const json_t *of_kernel = row_at(port, "link.port");
	const json_int_t n = row_int(of_kernel, "state");

	if (!doctor_is_kernel(d))
		return row_text(port_data(port), "state");
	return of_kernel && n >= 0 && n < (json_int_t)array_size(states) ? states[n] : "";
}

static void stp_command(struct doctor *d, const char *name)
{
	if (doctor_is_kernel(d))
		doctor_hint(d, "%sbridge -d link show dev %s", d->prefix, name);
	else
		doctor_hint(d, "%s showstp %s", d->viaduct, d->bridge);
}

static void waiting(struct doctor *d, const char *name, const char *state)
{
	doctor_say(d, DOCTOR_WARNING, name,
		   "the spanning tree has this port of %s %s: it forwards after the forward delay, "
		   "not yet",
		   d->bridge, state);
	if (doctor_is_kernel(d))
		doctor_hint(d, "wait, or where no bridge is behind it: %sbrctl setfd %s 2",
			    d->prefix, d->bridge);
	else
		doctor_hint(d, "wait, or where no bridge is behind it: %s link set %s edge on",
			    d->viaduct, name);
}

static void without_tree(struct doctor *d, const char *name, const char *state)
{
	doctor_say(d, DOCTOR_WARNING, name,
		   "this port of %s is %s, though no spanning tree runs that could change it",
		   d->bridge, state);
	if (doctor_is_kernel(d))
		doctor_hint(d, "%sbridge link set dev %s state 3", d->prefix, name);
	else
		doctor_hint(d, "%s delif %s %s && %s addif %s %s", d->viaduct, d->bridge, name,
			    d->viaduct, d->bridge, name);
}

static void check_port_stp(struct doctor *d, const json_t *port, bool tree)
{
	const json_t *data = port_data(port), *link = json_object_get(port, "link");
	const char *name = row_text(port, "ifname"), *state = port_state(d, port);

	if (row_bool(data, "guarded")) {
		doctor_say(d, DOCTOR_PROBLEM, name,
			   "BPDU guard has shut this port of %s: a bridge is behind it", d->bridge);
		doctor_hint(d, "take that bridge away, then: %s link set %s guard on", d->viaduct,
			    name);
		return;
	}
	if (row_bool(data, "root_blocked")) {
		doctor_say(d, DOCTOR_WARNING, name,
			   "root guard blocks this port of %s: a better root is behind it",
			   d->bridge);
		doctor_hint(d, "%s setbridgeprio %s 4096 makes this one better", d->viaduct,
			    d->bridge);
		return;
	}
	/* Without a link it has no state that says more. */
	if (!*state || !strcmp(state, "forwarding") || !row_bool(link, "up") ||
	    !row_bool(link, "carrier"))
		return;
	if (!tree) {
		without_tree(d, name, state);
	} else if (!strcmp(state, "listening") || !strcmp(state, "learning")) {
		waiting(d, name, state);
	} else if (!strcmp(state, "disabled")) {
		doctor_say(d, DOCTOR_WARNING, name, "the spanning tree has shut this port of %s",
			   d->bridge);
		stp_command(d, name);
	} else {
		doctor_say(d, DOCTOR_OK, name,
			   "the spanning tree blocks this port of %s, for there is another way to "
			   "the root",
			   d->bridge);
		stp_command(d, name);
	}
}

void doctor_check_stp(struct doctor *d)
{
	const bool tree = row_int(info(d), "stp_state") != 0;
	json_t *port;
	size_t i;

	json_array_foreach(ports(d), i, port)
	{
		/* A port that only takes copies of a mirror is shut for that. */
		if (!row_bool(port_data(port), "span"))
			check_port_stp(d, port, tree);
	}
}

/* ---- VLANs ---- */

/* How many VLANs, and is one of them for frames without a tag? */
static void read_vlans(const struct doctor *d, const json_t *port, bool *ret_any, bool *ret_pvid)
{
	const char *text = row_text(port_data(port), "vlans");
	const json_t *of_kernel = json_object_get(port, "vlans");

	if (doctor_is_kernel(d)) {
		*ret_any = row_int(of_kernel, "vlans") > 0;
		*ret_pvid = row_int(of_kernel, "pvid") > 0;
	} else {
		*ret_any = *text;
		*ret_pvid = strstr(text, " pvid") != NULL;
	}
}

static void vlan_command(struct doctor *d, const char *name)
{
	if (doctor_is_kernel(d))
		doctor_hint(d, "%sbridge vlan add dev %s vid 1 pvid untagged", d->prefix, name);
	else
		doctor_hint(d, "%s vlan add dev %s vid 1 pvid untagged", d->viaduct, name);
}

void doctor_check_vlan(struct doctor *d)
{
	const json_t *filtering = json_object_get(info(d), "vlan_filtering");
	bool any, pvid;
	json_t *port;
	size_t i;

	if (!json_is_true(filtering) && json_integer_value(filtering) == 0)
		return;
	json_array_foreach(ports(d), i, port)
	{
		const char *name = row_text(port, "ifname");

		if (row_bool(port_data(port), "span") || (!doctor_is_kernel(d) && !port_data(port)))
			continue;
		read_vlans(d, port, &any, &pvid);
		if (!any)
			doctor_say(d, DOCTOR_WARNING, name,
				   "%s filters VLANs, and this port is in none: nothing passes it",
				   d->bridge);
		else if (!pvid)
			doctor_say(
				d, DOCTOR_OK, name,
				"%s filters VLANs, and this port has no PVID: frames that come in "
				"without a tag are dropped",
				d->bridge);
		if (!any || !pvid)
			vlan_command(d, name);
	}
}

/* ---- flags ---- */

/* Is a flag of a port set, whoever's it is? if_absent: what counts if it is not told. */
static bool port_flag(const struct doctor *d, const json_t *port, const char *flag, bool if_absent)
{
	const json_t *of_kernel = row_at(port, "link.port"), *of_ours = port_data(port);
	const json_t *v = json_object_get(doctor_is_kernel(d) ? of_kernel : of_ours, flag);

	return v ? json_is_true(v) || json_integer_value(v) != 0 : if_absent;
}

static void say_flag(struct doctor *d, const char *name, const char *flag, const char *other,
		     const char *effect)
{
	doctor_say(d, DOCTOR_OK, name, "this port of %s %s", d->bridge, effect);
	if (doctor_is_kernel(d))
		doctor_hint(d, "%sbridge link set dev %s %s %s", d->prefix, name, flag, other);
	else
		doctor_hint(d, "%s link set %s %s %s", d->viaduct, name, flag, other);
}

/* Set by somebody, and forgotten: nothing wrong, but it explains much. */
void doctor_check_flags(struct doctor *d)
{
	size_t i, n_isolated = 0;
	json_t *port;

	json_array_foreach(ports(d), i, port) n_isolated += port_flag(d, port, "isolated", false);
	json_array_foreach(ports(d), i, port)
	{
		const char *name = row_text(port, "ifname");

		if (n_isolated > 1 && port_flag(d, port, "isolated", false))
			say_flag(d, name, "isolated", "off",
				 "is isolated, and does not reach other isolated ones");
		if (port_flag(d, port, "locked", false))
			say_flag(d, name, "locked", "off",
				 "is locked: frames from addresses without an entry are dropped");
		if (!port_flag(d, port, "learning", true))
			say_flag(d, name, "learning", "on",
				 "does not learn: frames to hosts behind it are flooded");
		if (!port_flag(d, port, "flood", true))
			say_flag(d, name, "flood", "on",
				 "gets no frames to addresses that the bridge does not know");
	}
}

/* ---- addresses ---- */

static void check_limit(struct doctor *d, const char *object, const json_t *data, const char *type)
{
	const json_int_t n = row_int(data, "fdb_n_learned"), max = row_int(data, "fdb_max_learned");

	if (max == 0 || n < max)
		return;
	doctor_say(
		d, DOCTOR_WARNING, object,
		"%lld learned addresses, as many as fdb_max_learned allows: frames to others are "
		"flooded",
		(long long)n);
	if (doctor_is_kernel(d))
		doctor_hint(d, "%sip link set %s type bridge fdb_max_learned %lld", d->prefix,
			    object, (long long)max * 2);
	else
		doctor_hint(d, "%s link set %s%s fdb_max_learned %lld", d->viaduct, object, type,
			    (long long)max * 2);
}

void doctor_check_fdb(struct doctor *d)
{
	const json_t *data = info(d), *grown = json_object_get(d->picture, "grown");
	const json_int_t size = row_int(data, "fdb_size"), n = row_int(data, "fdb_n_learned");
	const json_int_t lost = row_int(grown, "full");
	json_t *port;
	size_t i;

	check_limit(d, d->bridge, data, " type bridge");
	json_array_foreach(ports(d), i, port)
		check_limit(d, row_text(port, "ifname"), port_data(port), "");
	if (size && (n * 100 >= size * 95 || lost)) {
		doctor_say(
			d, DOCTOR_WARNING, d->bridge,
			"its table of addresses is full (%lld learned, room for %lld): frames to "
			"others are flooded",
			(long long)n, (long long)size);
		doctor_hint(d, "%s fdb flush br %s", d->viaduct, d->bridge);
		doctor_hint(d, "%s delbr %s; %s link add %s type bridge fdb_size %lld", d->viaduct,
			    d->bridge, d->viaduct, d->bridge, (long long)size * 4);
	} else if (row_int(data, "n_full")) {
		doctor_say(
			d, DOCTOR_OK, d->bridge,
			"%lld times an address found no room in its table, but there is room now",
			(long long)row_int(data, "n_full"));
		doctor_hint(d, "%s fdb show br %s", d->viaduct, d->bridge);
	}
}

void doctor_check_moves(struct doctor *d)
{
	const json_t *grown = json_object_get(d->picture, "grown");
	const json_int_t moved = row_int(grown, "moved"), own = row_int(grown, "own_source");
	const long long s = (long long)row_int(grown, "seconds");

	if (moved >= MOVES_MIN) {
		doctor_say(d, DOCTOR_WARNING, d->bridge,
			   "addresses moved between its ports %lld times in %lld s: a loop, or an "
			   "address that two have",
			   (long long)moved, s);
		if (doctor_is_kernel(d))
			doctor_hint(d, "%sbridge monitor fdb", d->prefix);
		else
			doctor_hint(d, "%s monitor fdb", d->viaduct);
	}
	if (own) {
		doctor_say(d, DOCTOR_PROBLEM, d->bridge,
			   "%lld frames came in with an address of the bridge itself in %lld s: a "
			   "loop, or its address is in use elsewhere",
			   (long long)own, s);
		doctor_hint(d, "%s monitor fdb; against loops: %s stp %s on", d->viaduct,
			    d->viaduct, d->bridge);
	} else if (row_int(info(d), "n_own_source")) {
		doctor_say(d, DOCTOR_OK, d->bridge,
			   "%lld frames have come in with an address of the bridge itself, none of "
			   "them now",
			   (long long)row_int(info(d), "n_own_source"));
		doctor_hint(d, "%s monitor fdb", d->viaduct);
	}
}

/* ---- drops ---- */

/* What cures a reason; the hint has %s for the port. Reasons that are not here: viaduct drops. */
static const struct {
	const char *reason;
	enum doctor_severity severity; /* DOCTOR_OK: as it should be, not said */
	const char *hint;              /* of our own command */
	const char *offloads;          /* for ethtool -K */
} reasons[] = {
	{"same-port", DOCTOR_OK, NULL},
	{"isolated", DOCTOR_OK, NULL},
	{"pause", DOCTOR_OK, NULL},
	{"reserved", DOCTOR_OK, NULL},
	{"no-egress", DOCTOR_OK, NULL},
	{"rule", DOCTOR_OK, NULL},
	{"span", DOCTOR_OK, NULL},
	{"monitor", DOCTOR_OK, NULL},
	{"copy-return", DOCTOR_OK, NULL},
	{"bpdu-filter", DOCTOR_OK, NULL},
	{"host-down", DOCTOR_OK, NULL},     /* said of the interface */
	{"ingress-state", DOCTOR_OK, NULL}, /* said of the port, as the next */
	{"learning-state", DOCTOR_OK, NULL},
	{"egress-state", DOCTOR_OK, NULL},
	{"not-inspected", DOCTOR_PROBLEM, "rings"},
	{"ring-full", DOCTOR_WARNING, "rings"},
	{"ring-oversize", DOCTOR_WARNING, "rings"},
	{"vlan-ingress", DOCTOR_WARNING, "vlan show"},
	{"vlan-no-pvid", DOCTOR_WARNING, "vlan show"},
	{"vlan-egress", DOCTOR_WARNING, "vlan show"},
	{"egress-mtu", DOCTOR_WARNING, "link show"},
	{"gso-kind", DOCTOR_WARNING, NULL, "gro off lro off"},
	{"gso-malformed", DOCTOR_WARNING, NULL, "gro off lro off"},
};

static void say_drop(struct doctor *d, const json_t *drop, long long seconds)
{
	const char *reason = row_text(drop, "reason"), *port = row_text(drop, "port");
	enum doctor_severity severity = DOCTOR_WARNING;
	const char *command = NULL, *offloads = NULL;

	for (size_t i = 0; i < array_size(reasons); i++) {
		if (strcmp(reason, reasons[i].reason) != 0)
			continue;
		severity = reasons[i].severity;
		command = reasons[i].hint;
		offloads = reasons[i].offloads;
	}
	if (severity == DOCTOR_OK)
		return;
	doctor_say(d, severity, strcmp(port, "-") ? port : d->bridge,
		   "%lld frames were dropped in %lld s (%s): %s", (long long)row_int(drop, "count"),
		   seconds, reason, row_text(drop, "text"));
	if (command)
		doctor_hint(d, "%s %s", d->viaduct, command);
	if (offloads)
		doctor_hint(d,
			    "%sethtool -K %s %s; of a veth pair, at the other end: tso off gso off",
			    d->prefix, port, offloads);
	doctor_hint(d, "%s drops %s", d->viaduct, d->bridge);
}

/* What the kernel counted at a device. */
static void say_losses(struct doctor *d, const char *name, const json_t *losses, long long seconds)
{
	static const char *const kinds[][2] = {
		{"rx_dropped", "frames that it received were dropped"},
		{"tx_dropped", "frames that it was to send were dropped"},
		{"rx_errors", "frames that it received were broken"},
		{"tx_errors", "frames could not be sent by it"},
	};

	for (size_t i = 0; i < array_size(kinds); i++) {
		const json_int_t n = row_int(losses, kinds[i][0]);

		if (n < LOSSES_MIN)
			continue;
		doctor_say(d, DOCTOR_WARNING, name, "%lld %s by the kernel in %lld s (%s)",
			   (long long)n, kinds[i][1], seconds, kinds[i][0]);
		doctor_hint(d, "%sip -s -s link show %s", d->prefix, name);
		doctor_hint(d, "%sethtool -S %s", d->prefix, name);
	}
}

void doctor_check_drops(struct doctor *d)
{
	const json_t *grown = json_object_get(d->picture, "grown");
	const long long s = (long long)row_int(grown, "seconds");
	json_t *drop, *port;
	size_t i;

	json_array_foreach(json_object_get(grown, "drops"), i, drop) say_drop(d, drop, s);
	json_array_foreach(ports(d), i, port)
	{
		const char *name = row_text(port, "ifname");

		/* What a TAP of ours receives is what the bridge sent to the host, who may ignore
		 * it. */
		if (!strcmp(row_text(json_object_get(port, "row"), "driver"), "tap"))
			continue;
		say_losses(d, name, json_object_get(json_object_get(grown, "devices"), name), s);
	}
}
