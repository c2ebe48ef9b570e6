/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about hooks and mirrors: rule, mirror. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/batch.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/table.h"
#include "wire/msg.h"

#define LINE_MAX_BYTES 8192
#define WORDS_MAX      64

/* The request, and what the daemon remarks. shown: member of the result to print, or NULL. */
static int change(struct cli *c, const char *request, json_t *args, const char *shown)
{
	json_t *result;
	int r = cli_request(c, request, args, &result);

	if (r)
		return r;
	if (c->json)
		cli_json(c, result);
	else if (shown && *row_text(result, shown))
		fprintf(c->out, "%s\n", row_text(result, shown));
	if (*row_text(result, "note"))
		cli_note(c, "%s", row_text(result, "note"));
	json_decref(result);
	return CLI_OK;
}

/* Adding a rule says its name if none was given. */
int cmd_rule_add(struct cli *c, const struct command *cmd, json_t *args)
{
	return change(c, cmd->request, json_incref(args),
		      json_object_get(args, "name") ? NULL : "name");
}

int cmd_mirror_add(struct cli *c, const struct command *cmd, json_t *args)
{
	return change(c, cmd->request, json_incref(args), NULL);
}

/* ---- replace ---- */

static const struct command *command_named(const char *name)
{
	const struct command *cmd = commands;

	while (strcmp(cmd->name, name))
		cmd++;
	return cmd;
}

/* A line is what stands behind `rule add BR HOOK`. NULL after an error that was said. */
static json_t *rule_of(struct cli *c, const json_t *args, const char *file, unsigned n, char *line)
{
	char *words[WORDS_MAX] = {(char *)row_text(args, "bridge"), (char *)row_text(args, "hook")};
	const int got = batch_split(line, words + 2, WORDS_MAX - 2);
	struct parse_error err = {.text = "a quote is open, or there are too many words"};
	json_t *rule;

	rule = got < 0 ? NULL : parse_args(command_named("rule add"), got + 2, words, &err);
	if (rule && json_object_get(rule, "pos")) {
		json_decref(rule);
		rule = NULL;
		snprintf(err.text, sizeof(err.text), "pos: rules stand in the order of the lines");
	}
	if (!rule) {
		cli_fail(c, CTL_E_ARGS, err.hint[0] ? err.hint : NULL, "%s:%u: %s", file, n,
			 err.text);
		return NULL;
	}
	json_object_del(rule, "bridge");
	json_object_del(rule, "hook");
	return rule;
}

/* All rules of the file, or NULL after an error that was said. */
static json_t *read_rules(struct cli *c, const json_t *args, const char *file, FILE *f)
{
	char line[LINE_MAX_BYTES];
	json_t *rules = json_array();
	unsigned n = 0;

	while (rules && fgets(line, sizeof(line), f)) {
		json_t *rule;

		n++;
		line[strcspn(line, "\n")] = '\0';
		if (line[strspn(line, " \t\r")] == '\0' || line[strspn(line, " \t\r")] == '#')
			continue;
		rule = rule_of(c, args, file, n, line);
		if (rule) {
			json_array_append_new(rules, rule);
		} else {
			json_decref(rules);
			rules = NULL;
		}
	}
	return rules;
}

int cmd_rule_replace(struct cli *c, const struct command *cmd, json_t *args)
{
	const char *file = row_text(args, "file");
	bool is_stdin = !strcmp(file, "-");
	FILE *f = is_stdin ? stdin : fopen(file, "re");
	json_t *rules;

	if (!f)
		return cli_fail(c, CTL_E_ARGS, NULL, "%s: %s", file, strerror(errno));
	rules = read_rules(c, args, is_stdin ? "stdin" : file, f);
	if (!is_stdin)
		fclose(f);
	if (!rules)
		return CLI_USAGE;
	return change(c, cmd->request,
		      json_pack("{s:O, s:O, s:o}", "bridge", json_object_get(args, "bridge"),
				"hook", json_object_get(args, "hook"), "rules", rules),
		      NULL);
}

/* ---- show ---- */

static void number(struct table *t, json_int_t n, bool bad)
{
	char buf[32];

	table_cell(t, n && bad ? STYLE_WARN : STYLE_PLAIN, "%s", fmt_count(n, buf, sizeof(buf)));
}

static bool is_absent(const json_t *row, const char *name)
{
	json_t *list = json_object_get(row, "absent"), *v;
	size_t i;

	json_array_foreach(list, i, v) if (!strcmp(json_string_value(v), name)) return true;
	return false;
}

/* One word and its value, as one types them. */
static void add_word(char *to, size_t size, const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);
	const size_t n = strlen(to);

	if (json_is_integer(v))
		snprintf(to + n, size - n, "%s%s %lld", n ? " " : "", key,
			 (long long)json_integer_value(v));
	else if (json_is_string(v))
		snprintf(to + n, size - n,
			 strchr(json_string_value(v), ' ') ? "%s%s '%s'" : "%s%s %s", n ? " " : "",
			 key, json_string_value(v));
	else
		return;
	if (json_is_string(v) && is_absent(row, json_string_value(v)))
		snprintf(to + strlen(to), size - strlen(to), " (not there)");
}

static const char *words_of(const json_t *row, const char *const *keys, size_t n, char *buf,
			    size_t size)
{
	char text[1024] = "";

	for (size_t i = 0; i < n; i++)
		add_word(text, sizeof(text), row, keys[i]);
	return text_safe(text, buf, size);
}

static void rule_cells(struct table *t, const json_t *row)
{
	static const char *const keys[] = {"in", "out", "vlan", "mark", "filter"};
	static const char *const then[] = {"set", "to"};
	const char *verdict = row_text(row, "verdict");
	char buf[1024];

	table_cell(t, STYLE_PLAIN, "%s", row_text(row, "bridge"));
	table_cell(t, STYLE_PLAIN, "%s", row_text(row, "hook"));
	table_cell(t, STYLE_PLAIN, "%lld", (long long)row_int(row, "pos"));
	table_cell(t, STYLE_BOLD, "%s", row_text(row, "name"));
	number(t, row_int(row, "packets"), false);
	number(t, row_int(row, "bytes"), false);
	words_of(row, then, array_size(then), buf, sizeof(buf));
	table_cell(t, !strcmp(verdict, "drop") ? STYLE_WARN : STYLE_PLAIN, "%s%s%s", verdict,
		   *buf ? " " : "", buf);
	table_cell(t, json_array_size(json_object_get(row, "absent")) ? STYLE_WARN : STYLE_PLAIN,
		   "%s", words_of(row, keys, array_size(keys), buf, sizeof(buf)));
}

static void mirror_cells(struct table *t, const json_t *row)
{
	static const char *const keys[] = {"rx", "tx", "both", "vlan", "snap", "filter"};
	const char *state = row_text(row, "state");
	char buf[1024];

	table_cell(t, STYLE_PLAIN, "%s", row_text(row, "bridge"));
	table_cell(t, STYLE_BOLD, "%s", row_text(row, "name"));
	table_cell(t, STYLE_PLAIN, "%s", row_text(row, "to"));
	table_cell(t, !strcmp(state, "up") ? STYLE_GOOD : STYLE_WARN, "%s", state);
	number(t, row_int(row, "packets"), false);
	number(t, row_int(row, "bytes"), false);
	number(t, row_int(row, "cut"), false);
	number(t, row_int(row, "lost"), true);
	table_cell(t, STYLE_PLAIN, "%s", words_of(row, keys, array_size(keys), buf, sizeof(buf)));
}

static int show(struct cli *c, const char *request, json_t *args, const struct table_column *cols,
		size_t n_cols, void (*cells)(struct table *t, const json_t *row), const char *none)
{
	struct table *t;
	json_t *rows, *row;
	size_t i;
	int r = cli_rows(c, request, json_incref(args), &rows);

	if (r)
		return r;
	if (c->json)
		return cli_json_rows(c, rows);
	if (json_array_size(rows) == 0) {
		fputs(none, c->out);
	} else {
		t = table_new(c->out, c->color, true, cols, n_cols);
		json_array_foreach(rows, i, row) cells(t, row);
		table_end(t);
	}
	json_decref(rows);
	return CLI_OK;
}

int cmd_rule_show(struct cli *c, const struct command *cmd, json_t *args)
{
	static const struct table_column cols[] = {{"bridge"},  {"hook"},          {"pos", true},
						   {"name"},    {"packets", true}, {"bytes", true},
						   {"verdict"}, {"of frames"}};

	return show(c, cmd->request, args, cols, array_size(cols), rule_cells, "no rules\n");
}

int cmd_mirror_show(struct cli *c, const struct command *cmd, json_t *args)
{
	static const struct table_column cols[] = {
		{"bridge"},      {"mirror"},    {"to"},         {"state"}, {"packets", true},
		{"bytes", true}, {"cut", true}, {"lost", true}, {"from"}};

	return show(c, cmd->request, args, cols, array_size(cols), mirror_cells, "no mirrors\n");
}
