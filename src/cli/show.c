/* SPDX-License-Identifier: BSD-2-Clause */
/* Bridges, ports and the daemon, as tables. */
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/kbridge.h"
#include "cli/table.h"
#include "wire/msg.h"

static const struct table_column brctl_columns[] = {
	{"bridge name"}, {"bridge id"}, {"STP enabled"}, {"interfaces"}};

static enum style state_style(const char *state)
{
	if (!strcmp(state, "forwarding") || !strcmp(state, "UP"))
		return STYLE_GOOD;
	if (!strcmp(state, "learning") || !strcmp(state, "listening") || !strcmp(state, "UNKNOWN"))
		return STYLE_WARN;
	return STYLE_BAD;
}

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

/* ---- show ---- */

/* "8000.020000000001", as brctl writes it: without colons. */
static void brctl_id(const json_t *row, char *buf, size_t size)
{
	const char *id = row_text(row_at(row, "linkinfo.info_data"), "bridge_id");
	size_t n = 0;

	for (; *id && n + 1 < size; id++)
		if (*id != ':')
			buf[n++] = *id;
	buf[n] = '\0';
}

static void brctl_row(struct table *t, const json_t *row)
{
	const json_t *ports = json_object_get(row, "ports");
	size_t n = json_array_size(ports);
	char id[64];

	brctl_id(row, id, sizeof(id));
	for (size_t i = 0; i < max_of(n, 1u); i++) {
		const char *port = json_string_value(json_array_get(ports, i));
		bool stp = row_int(row_at(row, "linkinfo.info_data"), "stp_state") != 0;

		table_cell(t, STYLE_PLAIN, "%s", i ? "" : row_text(row, "ifname"));
		table_cell(t, STYLE_PLAIN, "%s", i ? "" : id);
		table_cell(t, STYLE_PLAIN, "%s", i ? "" : stp ? "yes" : "no");
		table_cell(t, STYLE_PLAIN, "%s", port ? port : "");
	}
}

/* The rows of the kernel's bridges and devices that are adopted, or not. */
static void show_kernel(struct table *t, const json_t *rows, bool adopted)
{
	bool first = true;
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (!row_bool(row, "kernel") || row_bool(row, "adopted") != adopted)
			continue;
		if (first) {
			table_line(t, STYLE_PLAIN, "");
			table_line(t, STYLE_DIM,
				   adopted ? "adopted (of the kernel):"
					   : "not adopted (bridges of the kernel):");
		}
		first = false;
		brctl_row(t, row);
	}
}

/* Our bridges in brctl's columns, the kernel's below, so that scripts do not mix them up. */
static void show_tables(struct cli *c, const json_t *rows)
{
	struct table *t = table_new(c->out, c->color, true, brctl_columns, 4);
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) if (!row_bool(row, "kernel")) brctl_row(t, row);
	show_kernel(t, rows, true);
	show_kernel(t, rows, false);
	table_end(t);
}

/* Rows whose name is in names, or all without names. A new array. */
static json_t *pick(const json_t *rows, const json_t *names)
{
	json_t *picked = json_array(), *row, *name;
	size_t i, j;

	json_array_foreach(rows, i, row)
	{
		bool take = json_array_size(names) == 0;

		json_array_foreach(names, j, name) take =
			take || !strcmp(row_text(row, "ifname"), json_string_value(name));
		if (take)
			json_array_append(picked, row);
	}
	return picked;
}

/* The first of names that no row has; NULL if all are there. */
static const char *missing(const json_t *rows, const json_t *names)
{
	json_t *row, *name;
	size_t i, j;

	json_array_foreach(names, j, name)
	{
		bool found = false;

		json_array_foreach(rows, i, row) found =
			found || !strcmp(row_text(row, "ifname"), json_string_value(name));
		if (!found)
			return json_string_value(name);
	}
	return NULL;
}

/* The daemon only names the kernel's bridges; their ids and ports are the kernel's to tell. */
static void complete_kernel_rows(json_t *rows)
{
	json_t *kernel = kbridge_rows(), *row, *k;
	size_t i, j;

	json_array_foreach(rows, i, row) json_array_foreach(
		kernel, j, k) if (row_bool(row, "kernel") &&
				  !strcmp(row_text(row, "ifname"), row_text(k, "ifname")))
	{
		json_object_set_new(k, "adopted", json_boolean(row_bool(row, "adopted")));
		json_object_update(row, k);
	}
	json_decref(kernel);
}

/*
 * Bridge rows; without a daemon those of the kernel. *ret_running says which. The exit code is of
 * the connection: rows are there unless it is CLI_FAILED.
 */
static int bridge_rows(struct cli *c, json_t **ret_rows, bool *ret_running)
{
	struct viaduct_error err;
	int r = CLI_OK;

	*ret_running = true;
	if (!c->conn && viaduct_open(c->run_dir, &c->conn, &err) == VIADUCT_E_NO_DAEMON) {
		*ret_running = false;
		*ret_rows = kbridge_rows();
		return CLI_NO_DAEMON;
	}
	/* Checks the namespace, and says why when it could not connect for another reason. */
	viaduct_close(c->conn);
	c->conn = NULL;
	r = cli_connect(c, false);
	r = r ? r : cli_rows(c, "bridge.show", NULL, ret_rows);
	if (!r)
		complete_kernel_rows(*ret_rows);
	return r;
}

static void say_not_running(struct cli *c)
{
	cli_note(c, "no daemon is running (%s/control.sock); `viaduct addbr br0` starts one",
		 viaduct_run_dir(c->run_dir));
}

int cmd_show(struct cli *c, const struct command *cmd, json_t *args)
{
	const json_t *names = json_object_get(args, "bridges");
	const char *none;
	json_t *all = NULL, *rows;
	bool running;
	int r = bridge_rows(c, &all, &running);

	if (!all)
		return r;
	none = missing(all, names);
	if (none && running) {
		r = cli_fail(c, CTL_E_BRIDGE_NONE, NULL, "bridge %s: no such bridge", none);
		json_decref(all);
		return r;
	}
	rows = pick(all, names);
	if (c->json)
		cli_json(c, rows);
	else if (running || json_array_size(rows))
		show_tables(c, rows);
	if (!running)
		say_not_running(c);
	json_decref(rows);
	json_decref(all);
	return r;
}

/* ---- link show ---- */

/* A bridge and its own port are one link: what the port row knows more is added. */
static void merge_host_port(json_t *bridge, const json_t *port)
{
	static const char *const keys[] = {"port_no", "driver", "mode", "state", "host", "stats64"};

	for (size_t i = 0; i < array_size(keys); i++) {
		json_t *v = json_object_get(port, keys[i]);

		if (v && !json_object_get(bridge, keys[i]))
			json_object_set(bridge, keys[i], v);
	}
}

static json_t *find_row(const json_t *rows, const char *ifname)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) if (!strcmp(row_text(row, "ifname"), ifname)) return row;
	return NULL;
}

static int add_stats(struct cli *c, json_t *ports)
{
	json_t *stats, *row, *s;
	size_t i;
	int r = cli_rows(c, "stats", NULL, &stats);

	if (r)
		return r;
	json_array_foreach(ports, i, row)
	{
		s = find_row(stats, row_text(row, "ifname"));
		if (s)
			json_object_set(row, "stats64", json_object_get(s, "stats64"));
	}
	json_decref(stats);
	return CLI_OK;
}

/* Our bridges, each followed by its ports. A new array, or NULL after an error that was said. */
static json_t *link_rows(struct cli *c, int *ret_exit)
{
	json_t *bridges = NULL, *ports = NULL, *links = json_array(), *br, *port;
	size_t i, j;

	*ret_exit = cli_rows(c, "bridge.show", NULL, &bridges);
	if (!*ret_exit)
		*ret_exit = cli_rows(c, "port.show", NULL, &ports);
	if (!*ret_exit && c->stats)
		*ret_exit = add_stats(c, ports);
	json_array_foreach(*ret_exit ? NULL : bridges, i, br)
	{
		if (row_bool(br, "kernel") && !row_bool(br, "adopted"))
			continue;
		json_array_append(links, br);
		json_array_foreach(ports, j, port)
		{
			if (strcmp(row_text(port, "master"), row_text(br, "ifname")) != 0)
				continue;
			if (row_bool(port, "host"))
				merge_host_port(br, port);
			else
				json_array_append(links, port);
		}
	}
	json_decref(bridges);
	json_decref(ports);
	if (*ret_exit) {
		json_decref(links);
		links = NULL;
	}
	return links;
}

static void link_table(struct cli *c, const json_t *rows)
{
	static const struct table_column cols[] = {{"dev"},  {"master"},    {"no", true},
						   {"link"}, {"state"},     {"driver"},
						   {"mode"}, {"mtu", true}, {"address"}};
	struct table *t = table_new(c->out, c->color, true, cols, array_size(cols));
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *link = row_text(row, "operstate"), *state = row_text(row, "state");

		table_cell(t, STYLE_PLAIN, "%s", row_text(row, "ifname"));
		table_cell(t, STYLE_PLAIN, "%s", or_dash(row_text(row, "master")));
		table_cell(t, STYLE_PLAIN, "%d", (int)row_int(row, "port_no"));
		table_cell(t, state_style(link), "%s", or_dash(link));
		table_cell(t, *state ? state_style(state) : STYLE_PLAIN, "%s", or_dash(state));
		table_cell(t, STYLE_PLAIN, "%s", or_dash(row_text(row, "driver")));
		table_cell(t, STYLE_PLAIN, "%s", or_dash(row_text(row, "mode")));
		table_cell(t, STYLE_PLAIN, "%d", (int)row_int(row, "mtu"));
		table_cell(t, STYLE_PLAIN, "%s", or_dash(row_text(row, "address")));
	}
	table_end(t);
}

/* Names of netlink and JSON, and of the files under /sys/class/net/DEV/brport. */
static const char *sysfs_name(const char *key)
{
	static const char *const names[][2] = {
		{"flood", "unicast_flood"},
		{"mcast_flood", "multicast_flood"},
		{"bcast_flood", "broadcast_flood"},
		{"hairpin", "hairpin_mode"},
	};

	for (size_t i = 0; i < array_size(names); i++)
		if (!strcmp(key, names[i][0]))
			return names[i][1];
	return key;
}

static void attr_cell(struct cli *c, const char *key, const json_t *v)
{
	fprintf(c->out, "    %-20s ", key);
	if (json_is_boolean(v))
		fprintf(c->out, "%d\n", json_is_true(v));
	else if (json_is_string(v))
		fprintf(c->out, "%s\n", json_string_value(v));
	else
		fprintf(c->out, "%lld\n", (long long)json_integer_value(v));
}

static void print_stats(struct cli *c, const json_t *row)
{
	static const char *const dirs[] = {"rx", "tx"};
	char path[32];

	for (size_t i = 0; i < array_size(dirs); i++) {
		const json_t *s;

		snprintf(path, sizeof(path), "stats64.%s", dirs[i]);
		s = row_at(row, path);
		if (s)
			fprintf(c->out, "    %s %lld packets, %lld bytes, %lld dropped\n", dirs[i],
				(long long)row_int(s, "packets"), (long long)row_int(s, "bytes"),
				(long long)row_int(s, "dropped"));
	}
}

static void link_block(struct cli *c, const json_t *row)
{
	bool port = row_at(row, "linkinfo.info_slave_data") != NULL;
	json_t *data = row_at(row, port ? "linkinfo.info_slave_data" : "linkinfo.info_data");
	const char *link = row_text(row, "operstate");
	const char *key;
	json_t *v;

	fprintf(c->out, "%s%s%s: ", style_on(c->color, STYLE_BOLD), row_text(row, "ifname"),
		style_off(c->color, STYLE_BOLD));
	if (port)
		fprintf(c->out, "port %d of %s", (int)row_int(row, "port_no"),
			row_text(row, "master"));
	else
		fprintf(c->out, "bridge");
	fprintf(c->out, ", %s%s%s, mtu %d, address %s", style_on(c->color, state_style(link)), link,
		style_off(c->color, state_style(link)), (int)row_int(row, "mtu"),
		row_text(row, "address"));
	if (*row_text(row, "driver"))
		fprintf(c->out, ", driver %s", row_text(row, "driver"));
	if (*row_text(row, "mode"))
		fprintf(c->out, " (%s)", row_text(row, "mode"));
	fputc('\n', c->out);
	if (c->stats)
		print_stats(c, row);
	if (!c->details)
		return;
	if (port)
		fprintf(c->out, "    %-20s 0x%x\n", "port_no", (unsigned)row_int(row, "port_no"));
	json_object_foreach(data, key, v) attr_cell(c, port ? sysfs_name(key) : key, v);
}

int cmd_link_show(struct cli *c, const struct command *cmd, json_t *args)
{
	const char *name = row_text(args, "name");
	json_t *names = *name ? json_pack("[s]", name) : json_array();
	json_t *all, *rows, *row;
	size_t i;
	int r;

	all = link_rows(c, &r);
	rows = all ? pick(all, names) : NULL;
	if (rows && *name && json_array_size(rows) == 0)
		r = cli_fail(c, CTL_E_PORT_NONE, NULL, "%s: no bridge or port of viaduct", name);
	else if (rows && c->json)
		cli_json(c, rows);
	else if (rows && (c->details || c->stats))
		json_array_foreach(rows, i, row) link_block(c, row);
	else if (rows)
		link_table(c, rows);
	json_decref(names);
	json_decref(all);
	json_decref(rows);
	return r;
}

/* ---- status ---- */

static const char *joined_names(const json_t *list, char *buf, size_t size)
{
	size_t i, n = 0;
	json_t *v;

	buf[0] = '\0';
	json_array_foreach(list, i, v)
	{
		const char *s = json_is_object(v) ? row_text(v, "ifname") : json_string_value(v);

		if (s && n < size)
			n += (size_t)snprintf(buf + n, size - n, "%s%s", i ? " " : "", s);
	}
	return buf;
}

static void status_line(struct cli *c, const char *what, const char *text)
{
	fprintf(c->out, "%s%-15s%s %s\n", style_on(c->color, STYLE_BOLD), what,
		style_off(c->color, STYLE_BOLD), text);
}

static void status_kernel(struct cli *c, const json_t *names)
{
	char list[1024], text[1100];

	if (json_array_size(names) == 0)
		return;
	snprintf(text, sizeof(text), "%s (not adopted)", joined_names(names, list, sizeof(list)));
	status_line(c, "kernel bridges", text);
}

/* "p1 ingress tcx" and the like, a line each. */
static void status_attached(struct cli *c, const json_t *attached)
{
	char text[256], others[32], taken[48];
	const json_t *a;
	size_t i;

	json_array_foreach(attached, i, a)
	{
		const json_int_t n = row_int(a, "others");
		const char *no_xdp = row_text(a, "no_xdp");

		snprintf(others, sizeof(others), n ? ", %lld of others" : "", (long long)n);
		snprintf(taken, sizeof(taken), json_object_get(a, "taken") ? ", took %lld" : "",
			 (long long)row_int(a, "taken"));
		snprintf(text, sizeof(text), "  %s %s: %s%s%s%s%s%s", row_text(a, "ifname"),
			 row_text(a, "where"), row_text(a, "how"),
			 row_bool(a, "gate") ? ", gate" : "", others, taken,
			 *no_xdp ? "; no XDP: " : "", no_xdp);
		status_line(c, "", text);
	}
}

/* Why there is nothing to list; NULL: it is no bridge of the kernel, or there is. */
static const char *nothing_attached(const json_t *bridge)
{
	const char *state = row_text(bridge, "state");

	if (!strcmp(state, "idle"))
		return "  nothing attached: no program has it open";
	if (!strcmp(state, "away"))
		return "  nothing attached: there is no such device now";
	if (!strcmp(state, "failed"))
		return "  nothing attached: the log says why";
	return NULL;
}

static void status_bridges(struct cli *c, const json_t *bridges)
{
	char text[128], count[32];
	const json_t *br;
	size_t i;

	if (json_array_size(bridges) == 0)
		status_line(c, "bridges", "none; `viaduct addbr br0` makes one");
	json_array_foreach(bridges, i, br)
	{
		/* The number of ports, or their names. */
		const json_t *ports = json_object_get(br, "ports");
		json_int_t n = json_is_array(ports) ? (json_int_t)json_array_size(ports)
						    : json_integer_value(ports);

		snprintf(text, sizeof(text), "%s, %s%s", row_text(br, "ifname"),
			 fmt_plural(n, "port", "ports", count, sizeof(count)),
			 row_bool(br, "adopted") ? ", adopted" : "");
		status_line(c, i ? "" : "bridges", text);
		status_attached(c, json_object_get(br, "attached"));
		if (nothing_attached(br))
			status_line(c, "", nothing_attached(br));
	}
}

static void status_memory(struct cli *c, const json_t *mem)
{
	char size[32], have[32], all[32], text[160];

	if (!mem)
		return;
	snprintf(text, sizeof(text), "%s, %s of %s buffers free, %lld of %lld large",
		 fmt_bytes((double)row_int(mem, "size"), size, sizeof(size)),
		 fmt_count(row_int(mem, "buffers_free"), have, sizeof(have)),
		 fmt_count(row_int(mem, "buffers"), all, sizeof(all)),
		 (long long)row_int(mem, "big_free"), (long long)row_int(mem, "big"));
	status_line(c, "memory", text);
}

static void status_workers(struct cli *c, const json_t *workers)
{
	char name[32], bridges[32], rounds[32], sleeps[32], text[160];
	json_t *w;
	size_t i;

	json_array_foreach(workers, i, w)
	{
		const json_t *b = json_object_get(w, "bridges");
		json_int_t n =
			json_is_array(b) ? (json_int_t)json_array_size(b) : json_integer_value(b);

		snprintf(name, sizeof(name), "worker %lld", (long long)row_int(w, "id"));
		snprintf(text, sizeof(text), "%s, busy %.1f %%, %s rounds, %s sleeps",
			 fmt_plural(n, "bridge", "bridges", bridges, sizeof(bridges)),
			 json_number_value(json_object_get(w, "busy")) * 100,
			 fmt_count(row_int(w, "rounds"), rounds, sizeof(rounds)),
			 fmt_count(row_int(w, "sleeps"), sleeps, sizeof(sleeps)));
		status_line(c, name, text);
	}
}

static void status_text(struct cli *c, const json_t *s)
{
	char age[32], text[512];

	snprintf(text, sizeof(text), "%srunning%s, version %s, pid %lld, up %s",
		 style_on(c->color, STYLE_GOOD), style_off(c->color, STYLE_GOOD),
		 row_text(s, "version"), (long long)row_int(s, "pid"),
		 fmt_age((double)row_int(s, "uptime_s"), age, sizeof(age)));
	status_line(c, "viaductd", text);
	snprintf(text, sizeof(text), "%s, network namespace %lld", row_text(s, "run_dir"),
		 (long long)row_int(s, "netns"));
	status_line(c, "run directory", text);
	status_bridges(c, json_object_get(s, "bridges"));
	status_kernel(c, json_object_get(s, "kernel_bridges"));
	status_memory(c, json_object_get(s, "memory"));
	status_workers(c, json_object_get(s, "workers"));
}

static int status_without_daemon(struct cli *c, json_t *kernel)
{
	json_t *names = json_array(), *row, *s;
	size_t i;

	json_array_foreach(kernel, i, row) json_array_append(names, json_object_get(row, "ifname"));
	json_decref(kernel);
	if (c->json) {
		s = json_pack("{s:b, s:s, s:[], s:O}", "running", 0, "run_dir",
			      viaduct_run_dir(c->run_dir), "bridges", "kernel_bridges", names);
		cli_json(c, s);
		json_decref(s);
	} else {
		status_kernel(c, names);
	}
	say_not_running(c);
	json_decref(names);
	return CLI_NO_DAEMON;
}

int cmd_status(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *s, *bridges = NULL;
	bool running;
	int r = bridge_rows(c, &bridges, &running);

	if (!running)
		return status_without_daemon(c, bridges);
	json_decref(bridges);
	if (r)
		return r;
	r = cli_request(c, "status", NULL, &s);
	if (r)
		return r;
	if (c->json)
		cli_json(c, s);
	else
		status_text(c, s);
	json_decref(s);
	return CLI_OK;
}
