/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that change something: mostly one request each. */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "wire/msg.h"

#define IFNAME_MAX     15
#define SHUTDOWN_STEPS 2000 /* of 5 ms */

static json_t *copy_without(const json_t *args, const char *const *keys)
{
	json_t *copy = json_copy((json_t *)args);

	for (; *keys; keys++)
		json_object_del(copy, *keys);
	return copy;
}

/* One request; with -j its result. Steals args. */
static int request(struct cli *c, const char *name, json_t *args)
{
	json_t *result;
	int r = cli_request(c, name, args, &result);

	if (!r && c->json)
		cli_json(c, result);
	if (!r)
		json_decref(result);
	return r;
}

int cmd_simple(struct cli *c, const struct command *cmd, json_t *args)
{
	return request(c, cmd->request, json_incref(args));
}

/* The daemon answers first and ends then; its pid file goes last. */
int cmd_shutdown(struct cli *c, const struct command *cmd, json_t *args)
{
	const struct timespec step = {.tv_nsec = 5000000};
	const char *socket, *slash;
	char path[PATH_MAX];
	int r = request(c, cmd->request, NULL);

	if (r || !c->conn)
		return r;
	socket = viaduct_info(c->conn)->socket;
	slash = strrchr(socket, '/');
	snprintf(path, sizeof(path), "%.*s/viaductd.pid", slash ? (int)(slash - socket) : 0,
		 socket);
	c->conn = viaduct_close(c->conn);
	for (int i = 0; i < SHUTDOWN_STEPS && access(path, F_OK) == 0; i++)
		nanosleep(&step, NULL);
	return r;
}

int cmd_log(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *req = json_copy(args);

	/* No module is every module. */
	if (!strcmp(row_text(args, "module"), "all"))
		json_object_del(req, "module");
	return request(c, cmd->request, req);
}

/* ---- joining and leaving ---- */

/* A port's name from a file's: no folder, no ending, what an interface name allows, 15 bytes. */
static void name_from_file(const char *file, char *buf)
{
	const char *base = strrchr(file, '/');
	size_t n = 0;

	base = base ? base + 1 : file;
	for (; *base && *base != '.' && n < IFNAME_MAX; base++)
		buf[n++] = isalnum((unsigned char)*base) || *base == '-' ? *base : '_';
	if (n == 0)
		buf[n++] = 'p';
	buf[n] = '\0';
}

/* Arguments of port.add for "veth0", "tap:vm0" or "pcap:/tmp/x.pcap". */
static json_t *join_args(const char *bridge, const char *dev, const char *driver)
{
	json_t *args = json_pack("{s:s}", "bridge", bridge);
	char name[IFNAME_MAX + 1], path[PATH_MAX];

	if (strncmp(dev, "tap:", 4) == 0) {
		json_object_set_new(args, "port", json_string(dev + 4));
		json_object_set_new(args, "tap", json_true());
	} else if (strncmp(dev, "pcap:", 5) == 0) {
		name_from_file(dev + 5, name);
		json_object_set_new(args, "port", json_string(name));
		/* The daemon has another working directory; what is not there it shall say. */
		json_object_set_new(args, "file",
				    json_string(realpath(dev + 5, path) ? path : dev + 5));
		driver = "pcap";
	} else {
		json_object_set_new(args, "port", json_string(dev));
	}
	if (driver)
		json_object_set_new(args, "driver", json_string(driver));
	return args;
}

static void say_joined(struct cli *c, const json_t *result)
{
	if (c->details && !c->json)
		fprintf(c->out, "%s: driver %s%s%s%s%s\n", row_text(result, "port"),
			row_text(result, "driver"), *row_text(result, "mode") ? ", " : "",
			row_text(result, "mode"), *row_text(result, "reason") ? ": " : "",
			row_text(result, "reason"));
}

int cmd_addif(struct cli *c, const struct command *cmd, json_t *args)
{
	const char *bridge = row_text(args, "bridge");
	const char *driver = json_string_value(json_object_get(args, "driver"));
	json_t *dev, *result, *results = json_array();
	size_t i;
	int r = CLI_OK;

	json_array_foreach(json_object_get(args, "ports"), i, dev)
	{
		r = cli_request(c, "port.add", join_args(bridge, json_string_value(dev), driver),
				&result);
		if (r)
			break;
		say_joined(c, result);
		json_array_append_new(results, result);
	}
	if (!r && c->json)
		cli_json(c, results);
	json_decref(results);
	return r;
}

int cmd_delif(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *dev, *result;
	size_t i;
	int r = CLI_OK;

	json_array_foreach(json_object_get(args, "ports"), i, dev)
	{
		const char *name = json_string_value(dev);

		name += strncmp(name, "tap:", 4) == 0 ? 4 : 0;
		r = cli_request(
			c, "port.del",
			json_pack("{s:s, s:s}", "bridge", row_text(args, "bridge"), "port", name),
			&result);
		if (r)
			return r;
		json_decref(result);
	}
	if (c->json)
		fputs("{}\n", c->out);
	return r;
}

/* ---- link ---- */

int cmd_link_add(struct cli *c, const struct command *cmd, json_t *args)
{
	static const char *const ours[] = {"type", NULL};

	return request(c, "bridge.add", copy_without(args, ours));
}

int cmd_link_del(struct cli *c, const struct command *cmd, json_t *args)
{
	static const char *const ours[] = {"type", NULL};

	return request(c, "bridge.del", copy_without(args, ours));
}

/* Settings that only a bridge has: with them DEV is a bridge even without "type bridge". */
static bool has_bridge_setting(const json_t *args)
{
	static const char *const only[] = {"ageing_time",
					   "no_linklocal_learn",
					   "monitor",
					   "address",
					   "mtu",
					   "vlan_filtering",
					   "vlan_protocol",
					   "vlan_default_pvid",
					   "vlan_stats_enabled",
					   "vlan_stats_per_port",
					   "stp_state",
					   "stp_version",
					   "hello_time",
					   "max_age",
					   "forward_delay",
					   "tx_hold_count",
					   "path_cost_method"};

	for (size_t i = 0; i < array_size(only); i++)
		if (json_object_get(args, only[i]))
			return true;
	return false;
}

/* master and nomaster. *ret_done is set when that was all there was to do. */
static int link_set_master(struct cli *c, const json_t *args, size_t n_settings)
{
	const char *dev = row_text(args, "name"), *br = row_text(args, "master");
	const char *driver = json_string_value(json_object_get(args, "driver"));
	json_t *result;
	int r;

	if (*br)
		r = cli_request(c, "port.add", join_args(br, dev, driver), &result);
	else
		r = cli_request(c, "port.del", json_pack("{s:s}", "port", dev), &result);
	if (r)
		return r;
	if (*br)
		say_joined(c, result);
	if (c->json && n_settings == 0)
		cli_json(c, result);
	json_decref(result);
	return CLI_OK;
}

/* Of a device, up and down belong to the kernel; the port and the bridge follow. */
static int use_ip(struct cli *c, const json_t *args)
{
	const char *name = row_text(args, "name");
	const char *way = json_object_get(args, "up") ? "up" : "down";
	char hint[64];

	snprintf(hint, sizeof(hint), "ip link set %.20s %s", name, way);
	cli_fail(c, CTL_E_ARGS, hint, "%s: viaduct follows the state of a device, ip sets it",
		 name);
	return CLI_USAGE;
}

int cmd_link_set(struct cli *c, const struct command *cmd, json_t *args)
{
	static const char *const ours[] = {"name", "type", "master", "nomaster", "driver", NULL};
	bool is_bridge = !strcmp(row_text(args, "type"), "bridge") || has_bridge_setting(args);
	bool moves = json_object_get(args, "master") || json_object_get(args, "nomaster");
	json_t *settings = copy_without(args, ours);
	int r = CLI_OK;

	if (json_object_get(args, "up") || json_object_get(args, "down")) {
		json_decref(settings);
		return use_ip(c, args);
	}
	if (!moves && json_object_size(settings) == 0) {
		json_decref(settings);
		return cli_usage(c, cmd, CTL_E_ARGS, "link set: nothing to set", NULL);
	}
	if (moves)
		r = link_set_master(c, args, json_object_size(settings));
	if (r || json_object_size(settings) == 0) {
		json_decref(settings);
		return r;
	}
	json_object_set(settings, is_bridge ? "bridge" : "port", json_object_get(args, "name"));
	return request(c, is_bridge ? "bridge.set" : "port.set", settings);
}

/* ---- fdb ---- */

int cmd_fdb_add(struct cli *c, const struct command *cmd, json_t *args)
{
	static const char *const ours[] = {"master", NULL};
	json_t *req = copy_without(args, ours);

	if (!json_object_get(req, "kind"))
		json_object_set_new(req, "kind", json_string("static"));
	if (strstr(cmd->name, "replace"))
		json_object_set_new(req, "replace", json_true());
	return request(c, cmd->request, req);
}

int cmd_fdb_del(struct cli *c, const struct command *cmd, json_t *args)
{
	static const char *const ours[] = {"master", NULL};

	return request(c, cmd->request, copy_without(args, ours));
}

int cmd_fdb_flush(struct cli *c, const struct command *cmd, json_t *args)
{
	const char *port = row_text(args, "port");
	json_t *req = json_copy(args), *rows = NULL, *result;
	char text[32];
	int r;

	if (*port) {
		/* The request wants the bridge as well. */
		r = cli_rows(c, "port.show", json_pack("{s:s}", "port", port), &rows);
		if (r) {
			json_decref(req);
			return r;
		}
		json_object_set(req, "bridge", json_object_get(json_array_get(rows, 0), "master"));
		json_decref(rows);
	}
	r = cli_request(c, cmd->request, req, &result);
	if (r)
		return r;
	if (c->json)
		cli_json(c, result);
	else
		fprintf(c->out, "%s flushed\n",
			fmt_plural(row_int(result, "flushed"), "entry", "entries", text,
				   sizeof(text)));
	json_decref(result);
	return CLI_OK;
}
