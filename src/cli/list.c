/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses and counters: lists that may be long. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/table.h"
#include "wire/msg.h"

/* ---- long JSON arrays, row by row ---- */

struct json_list {
	struct cli *c;
	size_t n;
};

/* As an element of an indented array. */
static void json_indented(FILE *out, const json_t *row)
{
	char *text = json_dumps(row, JSON_INDENT(4)), *line, *rest = text;

	while (rest && (line = strsep(&rest, "\n")))
		fprintf(out, "\n    %s", line);
	free(text);
}

static int json_list_row(void *ctx, json_t *row)
{
	struct json_list *l = ctx;

	fputs(l->n++ ? "," : "[", l->c->out);
	if (l->c->pretty)
		json_indented(l->c->out, row);
	else
		json_dumpf(row, l->c->out, JSON_COMPACT);
	return ferror(l->c->out);
}

/* Prints the rows of one request as an array. Steals args. */
static int json_stream(struct cli *c, const char *request, json_t *args)
{
	struct json_list l = {.c = c};
	int r = cli_connect(c, false);

	if (r) {
		json_decref(args);
		return r;
	}
	r = cli_stream(c, request, args, json_list_row, &l);
	if (!r && l.n == 0)
		fputc('[', c->out);
	if (!r || l.n)
		fputs(c->pretty && l.n ? "\n]\n" : "]\n", c->out);
	return r;
}

/* ---- names ---- */

int resolve_name(struct cli *c, const char *name, json_t **ret_args)
{
	struct viaduct_error err;
	json_t *rows;
	bool bridge = false;
	int r;

	*ret_args = NULL;
	if (!*name)
		return CLI_OK;
	r = cli_connect(c, false);
	if (r)
		return r;
	r = viaduct_rows(c->conn, "bridge.show", json_pack("{s:s}", "bridge", name), &rows, &err);
	if (!r) {
		bridge = json_array_size(rows) > 0;
		json_decref(rows);
	} else if (r == VIADUCT_E_NO_DAEMON) {
		return cli_error(c, &err);
	}
	*ret_args = json_pack("{s:s}", bridge ? "bridge" : "port", name);
	return CLI_OK;
}

/* ---- showmacs ---- */

static int by_mac(const void *a, const void *b)
{
	return strcmp(row_text(*(json_t *const *)a, "mac"), row_text(*(json_t *const *)b, "mac"));
}

/* {port name: number} of a bridge. */
static json_t *port_numbers(const json_t *ports)
{
	json_t *numbers = json_object(), *row;
	size_t i;

	json_array_foreach(ports, i, row)
		json_object_set(numbers, row_text(row, "ifname"), json_object_get(row, "port_no"));
	return numbers;
}

static void brctl_mac(struct table *t, const json_t *row, const json_t *numbers)
{
	bool local = !strcmp(row_text(row, "state"), "permanent");

	table_cell(t, STYLE_PLAIN, "%d", (int)row_int(numbers, row_text(row, "ifname")));
	table_cell(t, STYLE_PLAIN, "%s", row_text(row, "mac"));
	table_cell(t, STYLE_PLAIN, "%s", local ? "yes" : "no");
	table_cell(t, STYLE_PLAIN, "%.2f",
		   local ? 0.0 : json_number_value(json_object_get(row, "age")));
}

static void showmacs_table(struct cli *c, const json_t *rows, const json_t *numbers)
{
	static const struct table_column cols[] = {
		{"port no", true}, {"mac addr"}, {"is local?"}, {"ageing timer", true}};
	struct table *t = table_new(c->out, c->color, true, cols, array_size(cols));
	size_t n = json_array_size(rows);
	const json_t **sorted = calloc(n + 1, sizeof(const json_t *));

	for (size_t i = 0; sorted && i < n; i++)
		sorted[i] = json_array_get(rows, i);
	if (sorted)
		qsort(sorted, n, sizeof(const json_t *), by_mac);
	for (size_t i = 0; sorted && i < n; i++)
		brctl_mac(t, sorted[i], numbers);
	free(sorted);
	table_end(t);
}

int cmd_showmacs(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *rows, *ports, *numbers;
	int r;

	if (c->json)
		return json_stream(c, "fdb.show", json_incref(args));
	r = cli_rows(c, "port.show", json_incref(args), &ports);
	if (r)
		return r;
	r = cli_rows(c, "fdb.show", json_incref(args), &rows);
	if (!r) {
		numbers = port_numbers(ports);
		showmacs_table(c, rows, numbers);
		json_decref(numbers);
		json_decref(rows);
	}
	json_decref(ports);
	return r;
}

/* ---- fdb ---- */

static const struct table_column fdb_columns[] = {{"address"},    {"dev"},   {"bridge"},
						  {"vlan", true}, {"state"}, {"seen", true}};

static const char *fdb_state(const json_t *row)
{
	const char *state = row_text(row, "state");
	json_t *flag;
	size_t i;

	json_array_foreach(json_object_get(row, "flags"), i,
			   flag) if (json_string_value(flag) &&
				     !strcmp(json_string_value(flag), "sticky")) return "sticky";
	if (!strcmp(state, "permanent"))
		return "local";
	return *state ? state : "learned";
}

static int fdb_row(void *ctx, json_t *row)
{
	struct table *t = ctx;
	const char *state = fdb_state(row);
	bool learned = !strcmp(state, "learned");
	json_int_t vlan = row_int(row, "vlan");
	char age[32] = "";

	if (learned)
		fmt_age(json_number_value(json_object_get(row, "age")), age, sizeof(age));
	table_cell(t, STYLE_PLAIN, "%s", row_text(row, "mac"));
	table_cell(t, STYLE_PLAIN, "%s", row_text(row, "ifname"));
	table_cell(t, STYLE_PLAIN, "%s", row_text(row, "master"));
	if (vlan)
		table_cell(t, STYLE_PLAIN, "%d", (int)vlan);
	else
		table_cell(t, STYLE_PLAIN, "-");
	table_cell(t, learned ? STYLE_PLAIN : STYLE_WARN, "%s", state);
	table_cell(t, STYLE_PLAIN, "%s%s", age, *age ? " ago" : "");
	return 0;
}

int cmd_fdb_show(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *req = json_copy(args), *dev;
	struct table *t;
	int r;

	dev = json_object_get(req, "dev") ? json_object_get(req, "dev")
					  : json_object_get(req, "brport");
	if (dev)
		json_object_set(req, "port", dev);
	json_object_del(req, "dev");
	json_object_del(req, "brport");
	/* The table says "learned" where bridge(8) and the protocol say "dynamic". */
	if (!strcmp(row_text(req, "kind"), "learned"))
		json_object_set_new(req, "kind", json_string("dynamic"));
	if (c->json)
		return json_stream(c, "fdb.show", req);
	r = cli_connect(c, false);
	if (r) {
		json_decref(req);
		return r;
	}
	t = table_new(c->out, c->color, true, fdb_columns, array_size(fdb_columns));
	r = cli_stream(c, "fdb.show", req, fdb_row, t);
	if (r && table_rows(t) == 0)
		table_drop(t);
	else
		table_end(t);
	return r;
}

int cmd_fdb_get(struct cli *c, const struct command *cmd, json_t *args)
{
	struct table *t;
	json_t *row;
	int r = cli_request(c, cmd->request, json_incref(args), &row);

	if (r)
		return r;
	if (c->json)
		return cli_json_rows(c, json_pack("[o]", row));
	t = table_new(c->out, c->color, true, fdb_columns, array_size(fdb_columns));
	fdb_row(t, row);
	table_end(t);
	json_decref(row);
	return CLI_OK;
}

/* ---- stats ---- */

/* One request about what NAME means. *ret_rows is NULL when -j has printed it. */
static int counter_rows(struct cli *c, const char *request, json_t *args, json_t **ret_rows)
{
	json_t *req;
	int r = resolve_name(c, row_text(args, "name"), &req);

	*ret_rows = NULL;
	if (r)
		return r;
	return c->json ? json_stream(c, request, req) : cli_rows(c, request, req, ret_rows);
}

static void count_cell(struct table *t, json_int_t n, bool bad)
{
	char text[32];

	table_cell(t,
		   bad && n ? STYLE_BAD
		   : n      ? STYLE_PLAIN
			    : STYLE_DIM,
		   "%s", fmt_count(n, text, sizeof(text)));
}

static void stats_table(struct cli *c, const json_t *rows)
{
	static const struct table_column cols[] = {{"dev"},
						   {"bridge"},
						   {"driver"},
						   {"rx packets", true},
						   {"rx bytes", true},
						   {"rx dropped", true},
						   {"tx packets", true},
						   {"tx bytes", true},
						   {"tx dropped", true}};
	struct table *t = table_new(c->out, c->color, true, cols, array_size(cols));
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const json_t *rx = row_at(row, "stats64.rx"), *tx = row_at(row, "stats64.tx");

		table_cell(t, STYLE_PLAIN, "%s", row_text(row, "ifname"));
		table_cell(t, STYLE_PLAIN, "%s", row_text(row, "bridge"));
		table_cell(t, STYLE_PLAIN, "%s", row_text(row, "driver"));
		count_cell(t, row_int(rx, "packets"), false);
		count_cell(t, row_int(rx, "bytes"), false);
		count_cell(t, row_int(rx, "dropped"), true);
		count_cell(t, row_int(tx, "packets"), false);
		count_cell(t, row_int(tx, "bytes"), false);
		count_cell(t, row_int(tx, "dropped"), true);
	}
	table_end(t);
}

/* What a daemon counts may grow: every member of the object, by its name. */
static void print_members(struct cli *c, const char *what, json_t *obj)
{
	char text[32];
	const char *key;
	json_t *v;
	int n = 0;

	json_object_foreach(obj, key, v)
	{
		if (n++ == 0)
			fprintf(c->out, "    %-9s ", what);
		fprintf(c->out, "%s%s %s", n > 1 ? ", " : "", key,
			fmt_count(json_integer_value(v), text, sizeof(text)));
	}
	if (n)
		fputc('\n', c->out);
}

static void stats_details(struct cli *c, const json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		fprintf(c->out, "%s%s%s\n", style_on(c->color, STYLE_BOLD), row_text(row, "ifname"),
			style_off(c->color, STYLE_BOLD));
		print_members(c, "received", row_at(row, "stats64.rx"));
		print_members(c, "sent", row_at(row, "stats64.tx"));
		print_members(c, "driver", json_object_get(row, "driver_stats"));
		print_members(c, "offload", json_object_get(row, "offload"));
	}
}

int cmd_stats(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *rows;
	int r = counter_rows(c, "stats", args, &rows);

	if (rows && c->details)
		stats_details(c, rows);
	else if (rows)
		stats_table(c, rows);
	json_decref(rows);
	return r;
}

/* ---- debug objects ---- */

static int object_line(void *ctx, json_t *row)
{
	struct cli *c = ctx;
	char safe[1024];
	const char *key;
	json_t *v;

	/* Rows are {"line": "…"} or the like; the first text in it counts. */
	json_object_foreach(row, key, v) if (json_is_string(v))
	{
		fprintf(c->out, "%s\n", text_safe(json_string_value(v), safe, sizeof(safe)));
		break;
	}
	return ferror(c->out);
}

int cmd_debug_objects(struct cli *c, const struct command *cmd, json_t *args)
{
	if (c->json)
		return json_stream(c, "debug.objects", NULL);
	return cli_stream(c, "debug.objects", NULL, object_line, c);
}
