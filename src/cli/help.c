/* SPDX-License-Identifier: BSD-2-Clause */
/* Help and shell completion, from the table that parses. */
#include <net/if.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/kbridge.h"
#include "cli/table.h"
#include "wire/msg.h"

#define USAGE_MAX  1024
#define LINE_WIDTH 96
#define NAME_WIDTH 16

/* ---- help ---- */

/* Breaks text at spaces; lines after the first are indented. */
static void print_wrapped(FILE *out, const char *text, size_t start, size_t indent)
{
	size_t col = start;

	while (*text) {
		size_t len = strcspn(text, " ");

		/* "[word VALUE]" stays in one line. */
		if (*text == '[')
			len = strcspn(text, "]") + (strchr(text, ']') != NULL);
		if (col > indent && col + 1 + len > LINE_WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			col = indent;
		} else if (col > start || start == 0) {
			col += col > indent || col > start;
			if (col > start && col > 1)
				fputc(' ', out);
		}
		fprintf(out, "%.*s", (int)len, text);
		col += len;
		text += len;
		while (*text == ' ')
			text++;
	}
	fputc('\n', out);
}

static const char *const sections[][2] = {
	/* first command of a section, its title */
	{"addbr", "Bridges and ports, in brctl's words:"},
	{"link show", "In iproute2's words:"},
	{"stats", "Looking inside:"},
	{"run", "The daemon:"},
};

static const char *section_title(const struct command *cmd)
{
	for (size_t i = 0; i < array_size(sections); i++)
		if (!strcmp(cmd->name, sections[i][0]))
			return sections[i][1];
	return NULL;
}

static void help_overview(struct cli *c)
{
	const char *on = style_on(c->color, STYLE_BOLD), *off = style_off(c->color, STYLE_BOLD);

	fprintf(c->out, "%susage: viaduct [OPTIONS] COMMAND%s\n", on, off);
	for (const struct command *cmd = c->table; cmd->name; cmd++) {
		if (cmd->hidden)
			continue;
		if (section_title(cmd))
			fprintf(c->out, "\n%s%s%s\n", on, section_title(cmd), off);
		fprintf(c->out, "  %-*s %s\n", NAME_WIDTH, cmd->name, cmd->summary);
	}
	fprintf(c->out,
		"\n%sOptions:%s\n"
		"  -j -p            JSON, pretty JSON\n"
		"  -d -s            details, statistics\n"
		"  -n NETNS         act in a network namespace (name, path or pid)\n"
		"  -b FILE          commands from a file, one a line (- is standard input);\n"
		"                   -force goes on after an error\n"
		"  -c[=WHEN]        colour: auto, always, never\n"
		"  --watch [N]      drops: again every N seconds, with rates\n"
		"  --run-dir DIR    the daemon to talk to (VIADUCT_RUN_DIR, /run/viaduct)\n"
		"  -V -h            version, help\n"
		"\nWords may be shortened: `viaduct f s` is `viaduct fdb show`. `viaduct help "
		"COMMAND` says\n"
		"more, viaduct(8) all. A first try: viaduct run br0 DEV1 DEV2\n",
		on, off);
}

static void help_command(struct cli *c, const struct command *cmd)
{
	char usage[USAGE_MAX];

	fprintf(c->out, "%susage:%s viaduct ", style_on(c->color, STYLE_BOLD),
		style_off(c->color, STYLE_BOLD));
	print_wrapped(c->out, parse_usage(cmd, usage, sizeof(usage)), 15, 15);
	fprintf(c->out, "  %s\n", cmd->summary);
	if (cmd->more) {
		fputs("  ", c->out);
		print_wrapped(c->out, cmd->more, 2, 2);
	}
}

int cmd_help(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *words = json_object_get(args, "words"), *w;
	char *argv[8] = {NULL};
	const struct command *found;
	struct parse_error err;
	int used, argc = 0, n = 0;
	size_t i, group;

	json_array_foreach(words, i, w) if (argc < 7) argv[argc++] = (char *)json_string_value(w);
	if (argc == 0) {
		help_overview(c);
		return CLI_OK;
	}
	/* One word of a group: all its commands. */
	group = strlen(argv[0]);
	for (const struct command *k = c->table; argc == 1 && k->name; k++) {
		if (strncmp(k->name, argv[0], group) || k->name[group] != ' ' || k->hidden)
			continue;
		if (n++)
			fputc('\n', c->out);
		help_command(c, k);
	}
	if (n)
		return CLI_OK;
	found = parse_command(c->table, argc, argv, &used, &err);
	if (!found)
		return cli_usage(c, NULL, CTL_E_COMMAND, err.text, err.hint);
	help_command(c, found);
	return CLI_OK;
}

/* ---- completion ---- */

struct completion {
	struct cli *c;
	const char *typed; /* the word so far */
};

static void offer_word(void *ctx, const char *word, size_t len)
{
	struct completion *k = ctx;

	fprintf(k->c->out, "%.*s\n", (int)len, word);
}

static void offer_name(struct completion *k, const char *name)
{
	if (!strncmp(name, k->typed, strlen(k->typed)))
		offer_word(k, name, strlen(name));
}

static void offer_devices(struct completion *k)
{
	struct if_nameindex *list = if_nameindex();

	for (struct if_nameindex *i = list; i && i->if_name; i++)
		if (strcmp(i->if_name, "lo") != 0 && strncmp(i->if_name, "vdo-", 4) != 0)
			offer_name(k, i->if_name);
	if_freenameindex(list);
	offer_name(k, "tap:");
	offer_name(k, "pcap:");
}

/* Bridges of the kernel, which need no daemon. */
static void offer_kernel(struct completion *k)
{
	json_t *rows = kbridge_rows(), *row;
	size_t i;

	json_array_foreach(rows, i, row) offer_name(k, row_text(row, "ifname"));
	json_decref(rows);
}

/* Names that the daemon knows; silence when none answers. */
static void offer_rows(struct completion *k, const char *request)
{
	struct cli *c = k->c;
	json_t *rows, *row;
	size_t i;

	if (!c->conn && viaduct_open(c->run_dir, &c->conn, NULL))
		return;
	viaduct_set_timeout(c->conn, 1000);
	if (viaduct_rows(c->conn, request, NULL, &rows, NULL))
		return;
	json_array_foreach(rows, i, row) if (!row_bool(row, "kernel") && !row_bool(row, "host"))
		offer_name(k, row_text(row, "ifname"));
	json_decref(rows);
}

static void offer_kind(void *ctx, enum arg_kind kind)
{
	switch (kind) {
	case ARG_BRIDGE:
		offer_rows(ctx, "bridge.show");
		break;
	case ARG_ANY:
		offer_rows(ctx, "bridge.show");
		offer_kernel(ctx);
		break;
	case ARG_PORT:
		offer_rows(ctx, "bridge.show");
		offer_rows(ctx, "port.show");
		break;
	case ARG_DEV:
		offer_devices(ctx);
		break;
	default:
		break; /* no candidates: the shell offers files */
	}
}

int complete_words(struct cli *c, int argc, char **argv)
{
	struct completion k = {.c = c, .typed = argc ? argv[argc - 1] : ""};
	const struct complete_ops ops = {.ctx = &k, .word = offer_word, .value = offer_kind};

	parse_complete(c->table, argc, argv, &ops);
	return CLI_OK;
}
