/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about netmap programs: rings, intercept. */
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/table.h"

static void number(struct table *t, json_int_t n, bool bad)
{
	char buf[32];

	table_cell(t, n && bad ? STYLE_WARN : STYLE_PLAIN, "%s", fmt_count(n, buf, sizeof(buf)));
}

static void ring_cells(struct table *t, const json_t *row)
{
	const char *state = row_text(row, "state");
	/* Whole seconds: one that began just now is not in the future. */
	const double age = (double)time(NULL) -
			   (double)(time_t)json_number_value(json_object_get(row, "since"));
	char buf[32];

	table_cell(t, STYLE_PLAIN, "%s", row_text(row, "ifname"));
	table_cell(t, STYLE_PLAIN, "%s %s", row_text(row, "ring"), row_text(row, "dir"));
	table_cell(t, STYLE_PLAIN, "%s", text_safe(row_text(row, "program"), buf, sizeof(buf)));
	table_cell(t, STYLE_PLAIN, "%lld", (long long)row_int(row, "pid"));
	table_cell(t, !strcmp(state, "live") ? STYLE_GOOD : STYLE_WARN, "%s", state);
	table_cell(t, STYLE_PLAIN, "%lld", (long long)row_int(row, "uid"));
	table_cell(t, STYLE_PLAIN, "%s ago", fmt_age(age, buf, sizeof(buf)));
	number(t, row_int(row, "frames"), false);
	number(t, row_int(row, "lag"), false);
	number(t, row_int(row, "full") + row_int(row, "refused"), true);
	number(t, row_int(row, "bad"), true);
	number(t, row_int(row, "stalls"), true);
}

static void side_cells(struct table *t, const json_t *row)
{
	static const char *const origins[] = {"buffer", "digest", "source", "unknown"};

	table_cell(t, STYLE_PLAIN, "%s", row_text(row, "ifname"));
	table_cell(t, STYLE_PLAIN, "%s", row_text(row, "side"));
	number(t, row_int(row, "taken"), false);
	number(t, row_int(row, "copied"), false);
	number(t, row_int(row, "returned"), false);
	for (size_t i = 0; i < array_size(origins); i++)
		number(t, row_int(json_object_get(row, "origins"), origins[i]), i == 3);
	number(t, row_int(json_object_get(row, "gso"), "whole"), false);
	number(t, row_int(json_object_get(row, "gso"), "broken"), true);
	number(t, row_int(row, "uninspected"), true);
}

static void print_rows(struct cli *c, const json_t *rows, const char *kind,
		       const struct table_column *cols, size_t n_cols,
		       void (*cells)(struct table *t, const json_t *row))
{
	struct table *t = table_new(c->out, c->color, true, cols, n_cols);
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (!strcmp(row_text(row, "kind"), kind))
			cells(t, row);
	}
	table_end(t);
}

int cmd_rings(struct cli *c, const struct command *cmd, json_t *args)
{
	static const struct table_column rings[] = {
		{"bridge"},    {"ring"},          {"program"},   {"pid", true},
		{"state"},     {"uid", true},     {"since"},     {"frames", true},
		{"lag", true}, {"dropped", true}, {"bad", true}, {"stalls", true}};
	static const struct table_column sides[] = {{"bridge"},          {"side"},
						    {"taken", true},     {"copied", true},
						    {"returned", true},  {"by buffer", true},
						    {"by digest", true}, {"by source", true},
						    {"unknown", true},   {"gso whole", true},
						    {"gso cut", true},   {"uninspected", true}};
	json_t *rows;
	int r = cli_rows(c, "rings.show", json_incref(args), &rows);

	if (r)
		return r;
	if (c->json) {
		cli_json(c, rows);
	} else if (json_array_size(rows) == 0) {
		fputs("no netmap program\n", c->out);
	} else {
		print_rows(c, rows, "ring", rings, array_size(rings), ring_cells);
		fputs("\nWhat became of frames that ports received (nic) and that the host sent "
		      "(host),\nand by what those that came back were recognised:\n",
		      c->out);
		print_rows(c, rows, "side", sides, array_size(sides), side_cells);
	}
	json_decref(rows);
	return CLI_OK;
}

static void print_settings(struct cli *c, const json_t *row)
{
	static const char *const words[][2] = {{"mode", "mode"},         {"fail", "fail"},
					       {"overflow", "overflow"}, {"reserved", "reserved"},
					       {"oversize", "oversize"}, {"filter", "filter"},
					       {"exempt", "exempt"},     {"access", "access"}};
	char buf[512];

	fprintf(c->out, "%s: rings %lld stall-ms %lld reserved-tx %s", row_text(row, "ifname"),
		(long long)row_int(row, "rings"), (long long)row_int(row, "stall_ms"),
		row_bool(row, "reserved_tx") ? "on" : "off");
	for (size_t i = 0; i < array_size(words); i++) {
		const char *v = row_text(row, words[i][0]);

		if (*v)
			fprintf(c->out, strchr(v, ' ') ? " %s '%s'" : " %s %s", words[i][1],
				text_safe(v, buf, sizeof(buf)));
	}
	fputc('\n', c->out);
}

static int change_settings(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *result;
	int r = cli_request(c, cmd->request, json_incref(args), &result);

	if (r)
		return r;
	if (c->json)
		cli_json(c, result);
	else if (*row_text(result, "note"))
		cli_note(c, "%s", row_text(result, "note"));
	json_decref(result);
	return CLI_OK;
}

int cmd_intercept(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *rows, *row;
	size_t i;
	int r;

	if (json_object_size(args) > 1)
		return change_settings(c, cmd, args);
	r = cli_rows(c, "intercept.show", json_incref(args), &rows);
	if (r)
		return r;
	if (c->json)
		cli_json(c, rows);
	else
		json_array_foreach(rows, i, row) print_settings(c, row);
	json_decref(rows);
	return CLI_OK;
}
