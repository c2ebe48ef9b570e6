/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/keys.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/compiler.h"
#include "base/mac.h"
#include "daemon/vlans.h"

#define IFNAME_MAX  15
#define MTU_MIN     68
#define MTU_MAX     65521
#define NEAREST_MAX 64
#define LABEL_MAX   31
#define TEXT_SHOWN  "%.64s"

static const char *const vlan_protocols[] = {"802.1Q", "802.1ad", NULL};
static const char *const stp_versions[] = {"rstp", "stp", NULL};
static const char *const cost_methods[] = {"long", "short", NULL};
static const char *const on_off_auto[] = {"auto", "on", "off", NULL};
static const struct key bridge_keys[] = {
	{"ageing_time", KEY_INT, KEY_PLAIN, 0, 1000000},
	{"fdb_max_learned", KEY_INT, KEY_PLAIN, 0, 1 << 26},
	{"group_fwd_mask", KEY_INT, KEY_MASK_BRIDGE, 0, 0xffff},
	{"no_linklocal_learn", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"monitor", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"address", KEY_STRING, KEY_MAC_OR_AUTO, 0, 0},
	{"mtu", KEY_INT, KEY_MTU, 0, MTU_MAX},
	{"vlan_filtering", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"vlan_protocol", KEY_STRING, KEY_PLAIN, 0, 0, vlan_protocols},
	{"vlan_default_pvid", KEY_INT, KEY_PLAIN, 0, VLAN_ID_MAX},
	{"vlan_stats_enabled", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"vlan_stats_per_port", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"vlans", KEY_STRING, KEY_VLANS, 0, 0},
	{"stp_state", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"stp_version", KEY_STRING, KEY_PLAIN, 0, 0, stp_versions},
	{"priority", KEY_INT, KEY_PLAIN, 0, 61440},
	{"hello_time", KEY_INT, KEY_PLAIN, 1, 10},
	{"max_age", KEY_INT, KEY_PLAIN, 6, 40},
	{"forward_delay", KEY_INT, KEY_PLAIN, 4, 30},
	{"tx_hold_count", KEY_INT, KEY_PLAIN, 1, 10},
	{"path_cost_method", KEY_STRING, KEY_PLAIN, 0, 0, cost_methods},
};
const struct key_table keys_bridge = {bridge_keys, array_size(bridge_keys)};

static const struct key port_keys[] = {
	{"learning", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"flood", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"mcast_flood", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"bcast_flood", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"hairpin", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"isolated", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"sticky", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"group_fwd_mask", KEY_INT, KEY_MASK_PORT, 0, 0xffff},
	{"fdb_max_learned", KEY_INT, KEY_PLAIN, 0, 1 << 26},
	{"vlans", KEY_STRING, KEY_VLANS, 0, 0},
	{"cost", KEY_INT, KEY_PLAIN, 0, 200000000},
	{"priority", KEY_INT, KEY_PLAIN, 0, 63},
	{"edge", KEY_STRING, KEY_PLAIN, 0, 0, on_off_auto},
	{"p2p", KEY_STRING, KEY_PLAIN, 0, 0, on_off_auto},
	{"guard", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"root_block", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"bpdu_filter", KEY_BOOL, KEY_PLAIN, 0, 0},
};
const struct key_table keys_port = {port_keys, array_size(port_keys)};

static const char *const modes[] = {"auto", "all", "local", "copy", "none", NULL};
static const char *const fails[] = {"open", "closed", NULL};
static const char *const overflows[] = {"drop", "pass", NULL};
static const char *const reserved[] = {"hide", "copy", "take", NULL};
static const char *const oversizes[] = {"pass", "multislot", "drop", NULL};
static const struct key intercept_keys[] = {
	{"mode", KEY_STRING, KEY_PLAIN, 0, 0, modes},
	{"fail", KEY_STRING, KEY_PLAIN, 0, 0, fails},
	{"overflow", KEY_STRING, KEY_PLAIN, 0, 0, overflows},
	{"reserved", KEY_STRING, KEY_PLAIN, 0, 0, reserved},
	{"oversize", KEY_STRING, KEY_PLAIN, 0, 0, oversizes},
	{"reserved_tx", KEY_BOOL, KEY_PLAIN, 0, 0},
	{"stall_ms", KEY_INT, KEY_PLAIN, 1, 3600000},
	{"rings", KEY_INT, KEY_PLAIN, 1, 30}, /* ENDPOINT_RINGS_MAX */
	{"filter", KEY_STRING, KEY_PLAIN, 0, 0},
	{"exempt", KEY_STRING, KEY_PLAIN, 0, 0},
	{"access", KEY_STRING, KEY_PLAIN, 0, 0},
};
const struct key_table keys_intercept = {intercept_keys, array_size(intercept_keys)};

static const char *const verdicts[] = {"accept", "drop", "mirror", "mark", NULL};
static const struct key rule_keys[] = {
	{"name", KEY_STRING, KEY_LABEL, 0, 0},
	{"verdict", KEY_STRING, KEY_REQUIRED, 0, 0, verdicts},
	{"in", KEY_STRING, KEY_PLAIN, 0, 0},
	{"out", KEY_STRING, KEY_PLAIN, 0, 0},
	{"vlan", KEY_INT, KEY_PLAIN, 0, 4094},
	{"mark", KEY_INT, KEY_PLAIN, 0, UINT32_MAX},
	{"set", KEY_INT, KEY_PLAIN, 0, UINT32_MAX},
	{"to", KEY_STRING, KEY_PLAIN, 0, 0},
	{"filter", KEY_STRING, KEY_PLAIN, 0, 0},
};
const struct key_table keys_rule = {rule_keys, array_size(rule_keys)};

static const struct key mirror_keys[] = {
	{"name", KEY_STRING, KEY_NAMED, 0, 0},   {"to", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"rx", KEY_STRING, KEY_PLAIN, 0, 0},     {"tx", KEY_STRING, KEY_PLAIN, 0, 0},
	{"both", KEY_STRING, KEY_PLAIN, 0, 0},   {"vlan", KEY_STRING, KEY_PLAIN, 0, 0},
	{"filter", KEY_STRING, KEY_PLAIN, 0, 0}, {"snap", KEY_INT, KEY_PLAIN, 14, 65535},
};
const struct key_table keys_mirror = {mirror_keys, array_size(mirror_keys)};

static const char *const adopters[] = {"root", "group", "no", NULL}; /* enum daemon_adopters */
static const struct key daemon_keys[] = {
	{"workers", KEY_INT, KEY_PLAIN, 1, 64},
	{"spin-us", KEY_INT, KEY_PLAIN, 0, 100000},
	{"group", KEY_STRING, KEY_PLAIN, 0, 0},
	{"buffers", KEY_INT, KEY_PLAIN, 1024, 4 << 20},
	{"buf-size", KEY_INT, KEY_BUF_SIZE, 2048, 65536},
	{"uid-descriptors", KEY_INT, KEY_PLAIN, 1, 1024},
	{"uid-ports", KEY_INT, KEY_PLAIN, 1, 1024},
	{"uid-extra-buffers", KEY_INT, KEY_PLAIN, 0, 4 << 20},
	{"silent-s", KEY_INT, KEY_PLAIN, 0, 86400},
	{"adopt-on-open", KEY_STRING, KEY_PLAIN, 0, 0, adopters},
};
const struct key_table keys_daemon = {daemon_keys, array_size(daemon_keys)};

const struct key *key_find(const struct key_table *tables, size_t n, const char *name)
{
	for (size_t t = 0; t < n; t++)
		for (size_t i = 0; i < tables[t].n; i++)
			if (!strcmp(tables[t].keys[i].name, name))
				return &tables[t].keys[i];
	return NULL;
}

const char *key_nearest(const struct key_table *tables, size_t n, const char *name)
{
	const char *names[NEAREST_MAX];
	size_t n_names = 0;

	for (size_t t = 0; t < n; t++)
		for (size_t i = 0; i < tables[t].n && n_names < NEAREST_MAX; i++)
			names[n_names++] = tables[t].keys[i].name;
	return ctl_nearest(name, names, n_names);
}

static bool type_fits(enum key_type type, const json_t *v)
{
	switch (type) {
	case KEY_BOOL:
		return json_is_boolean(v);
	case KEY_INT:
		return json_is_integer(v);
	case KEY_STRING:
		return json_is_string(v);
	case KEY_STRINGS:
		if (!json_is_array(v))
			return false;
		for (size_t i = 0; i < json_array_size(v); i++)
			if (!json_is_string(json_array_get(v, i)))
				return false;
		return true;
	case KEY_OBJECTS:
		if (!json_is_array(v))
			return false;
		for (size_t i = 0; i < json_array_size(v); i++)
			if (!json_is_object(json_array_get(v, i)))
				return false;
		return true;
	}
	return false;
}

static const char *type_text(enum key_type type)
{
	static const char *const texts[] = {
		[KEY_BOOL] = "true or false",        [KEY_INT] = "an integer",
		[KEY_STRING] = "a string",           [KEY_STRINGS] = "a list of strings",
		[KEY_OBJECTS] = "a list of objects",
	};

	return texts[type];
}

static int check_mac(const struct key *k, const char *text, const char *object,
		     struct ctl_error *err)
{
	uint64_t mac;

	if (k->rule == KEY_MAC_OR_AUTO && !strcmp(text, "auto"))
		return 0;
	if (mac_parse(text, &mac))
		return ctl_fail(err, CTL_E_MAC, "%s: %s " TEXT_SHOWN ": not a MAC address", object,
				k->name, text);
	if (mac == 0)
		return ctl_fail(err, CTL_E_MAC, "%s: %s %s: the zero address belongs to nobody",
				object, k->name, text);
	if (mac_is_group(mac))
		return ctl_fail(err, CTL_E_MAC, "%s: %s %s: a group address, not one of a station",
				object, k->name, text);
	return 0;
}

static int check_int(const struct key *k, int64_t v, const char *object, struct ctl_error *err)
{
	if (v < k->min || v > k->max)
		return ctl_fail(err, CTL_E_VALUE, "%s: %s %lld is out of range %lld to %lld",
				object, k->name, (long long)v, (long long)k->min,
				(long long)k->max);
	if (k->rule == KEY_MTU && v != 0 && v < MTU_MIN)
		return ctl_fail(err, CTL_E_VALUE,
				"%s: mtu %lld is out of range %d to %d (0: follow the ports)",
				object, (long long)v, MTU_MIN, MTU_MAX);
	if (k->rule == KEY_MASK_BRIDGE && (v & 7))
		return ctl_fail(
			err, CTL_E_VALUE,
			"%s: group_fwd_mask 0x%llx has one of the bits 0, 1, 2 (spanning tree, "
			"pause, LACP), which a bridge never forwards",
			object, (long long)v);
	if (k->rule == KEY_MASK_PORT && (v & 2))
		return ctl_fail(
			err, CTL_E_VALUE,
			"%s: group_fwd_mask 0x%llx has bit 1 (pause), which no port forwards",
			object, (long long)v);
	if (k->rule == KEY_BUF_SIZE && (v & (v - 1)))
		return ctl_fail(err, CTL_E_VALUE, "%s: %s %lld is not a power of two", object,
				k->name, (long long)v);
	return 0;
}

static int check_choice(const struct key *k, const char *text, const char *object,
			struct ctl_error *err)
{
	char list[80] = "";

	for (size_t i = 0; k->choices[i]; i++) {
		if (!strcmp(text, k->choices[i]))
			return 0;
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
			 k->choices[i]);
	}
	return ctl_fail(err, CTL_E_VALUE, "%s: %s %.32s: not one of %s", object, k->name, text,
			list);
}

/* Names of rules and mirrors: words that need no quotes anywhere. */
static int check_label(const struct key *k, const char *text, const char *object,
		       struct ctl_error *err)
{
	const size_t len = strlen(text);

	if (len == 0 || len > LABEL_MAX || !strcmp(text, "all"))
		return ctl_fail(err, CTL_E_VALUE,
				"%s: %s \"" TEXT_SHOWN "\": not 1 to %d characters, or \"all\"",
				object, k->name, text, LABEL_MAX);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
			return ctl_fail(
				err, CTL_E_VALUE,
				"%s: %s %s: only letters, digits, \".\", \"_\" and \"-\" are "
				"possible",
				object, k->name, text);
	return 0;
}

int key_check(const struct key *k, const json_t *value, const char *object, struct ctl_error *err)
{
	struct vlan_set vlans;

	if (!type_fits(k->type, value))
		return ctl_fail(err, CTL_E_ARGS, "%s: %s must be %s", object, k->name,
				type_text(k->type));
	if (k->type == KEY_INT)
		return check_int(k, json_integer_value(value), object, err);
	if (k->type == KEY_STRING && (k->rule == KEY_MAC || k->rule == KEY_MAC_OR_AUTO))
		return check_mac(k, json_string_value(value), object, err);
	if (k->rule == KEY_VLANS)
		return vlans_parse(json_string_value(value), object, &vlans, err);
	if (k->rule == KEY_LABEL || k->rule == KEY_NAMED)
		return check_label(k, json_string_value(value), object, err);
	if (k->choices)
		return check_choice(k, json_string_value(value), object, err);
	return 0;
}

int keys_check(const struct key_table *tables, size_t n, json_t *obj, const char *object,
	       struct ctl_error *err)
{
	const char *name;
	json_t *value;

	json_object_foreach(obj, name, value)
	{
		const struct key *k = key_find(tables, n, name);
		const char *near = k ? NULL : key_nearest(tables, n, name);
		int r;

		if (!k && near)
			return ctl_fail(err, CTL_E_ARGS,
					"%s: unknown argument \"" TEXT_SHOWN
					"\", did you mean \"%s\"?",
					object, name, near);
		if (!k)
			return ctl_fail(err, CTL_E_ARGS, "%s: unknown argument \"" TEXT_SHOWN "\"",
					object, name);
		r = key_check(k, value, object, err);
		if (r)
			return r;
	}
	for (size_t t = 0; t < n; t++)
		for (size_t i = 0; i < tables[t].n; i++)
			if ((tables[t].keys[i].rule == KEY_REQUIRED ||
			     tables[t].keys[i].rule == KEY_NAMED) &&
			    !json_object_get(obj, tables[t].keys[i].name))
				return ctl_fail(err, CTL_E_ARGS, "%s: %s is missing", object,
						tables[t].keys[i].name);
	return 0;
}

json_t *key_value_parse(const struct key *k, const char *text)
{
	static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no",
									       "off"};
	long long v;
	char *end;

	switch (k->type) {
	case KEY_BOOL:
		for (size_t i = 0; i < array_size(yes); i++) {
			if (!strcasecmp(text, yes[i]))
				return json_true();
			if (!strcasecmp(text, no[i]))
				return json_false();
		}
		return NULL;
	case KEY_INT:
		errno = 0;
		v = strtoll(text, &end, strncasecmp(text, "0x", 2) ? 10 : 16);
		return errno || end == text || *end ? NULL : json_integer(v);
	case KEY_STRING:
		return json_string(text);
	case KEY_STRINGS:
	case KEY_OBJECTS:
		return NULL;
	}
	return NULL;
}

int key_check_ifname(const char *what, const char *name, struct ctl_error *err)
{
	static const char *const taken[] = {".", "..", "all", "default", "lo"};
	size_t len = strlen(name);

	if (len == 0)
		return ctl_fail(err, CTL_E_NAME, "%s \"\": an empty name", what);
	if (len > IFNAME_MAX)
		return ctl_fail(err, CTL_E_NAME,
				"%s " TEXT_SHOWN
				": the name has %zu characters, at most %d are possible",
				what, name, len, IFNAME_MAX);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] <= ' ' || (unsigned char)name[i] >= 0x7f ||
		    strchr("/:%\"\\", name[i]))
			return ctl_fail(err, CTL_E_NAME,
					"%s %s: a name may not have spaces, \"/\", \":\", \"%%\", "
					"quotes or "
					"characters outside ASCII",
					what, name);
	for (size_t i = 0; i < array_size(taken); i++)
		if (!strcmp(name, taken[i]))
			return ctl_fail(err, CTL_E_NAME, "%s %s: that name has another meaning",
					what, name);
	return 0;
}
