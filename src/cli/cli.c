/* SPDX-License-Identifier: BSD-2-Clause */
/* Talking to the daemon, and saying what went wrong: the functions of cli.h that commands share. */
#include "cli/cli.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/netns.h"
#include "cli/spawn.h"
#include "cli/table.h"
#include "wire/msg.h"

#define USAGE_MAX   1024
#define USAGE_SHORT 96

/* ---- output ---- */

void cli_json(struct cli *c, const json_t *value)
{
	json_dumpf(value, c->out, c->pretty ? JSON_INDENT(4) : JSON_COMPACT);
	fputc('\n', c->out);
}

int cli_json_rows(struct cli *c, json_t *rows)
{
	cli_json(c, rows);
	json_decref(rows);
	return CLI_OK;
}

static void json_error(struct cli *c, const struct viaduct_error *err)
{
	char text[sizeof(err->text)], hint[sizeof(err->hint)];
	json_t *e = json_pack("{s:i, s:s, s:s}", "code", err->code, "name", err->name, "text",
			      text_safe(err->text, text, sizeof(text)));

	/* The sentence may quote bytes that are not UTF-8. */
	if (!e)
		e = json_pack("{s:i, s:s, s:s}", "code", err->code, "name", err->name, "text",
			      ctl_code_text(err->code));
	if (err->hint[0])
		json_object_set_new(e, "hint",
				    json_string(text_safe(err->hint, hint, sizeof(hint))));
	e = json_pack("{s:o}", "error", e);
	cli_json(c, e);
	json_decref(e);
}

/* On stderr; with -j the object is on stdout too, for programs. */
static void say(struct cli *c, const struct viaduct_error *err, const char *usage)
{
	char safe[sizeof(err->text)];

	if (c->json) {
		json_error(c, err);
		return;
	}
	fflush(c->out);
	fprintf(stderr, "%sviaduct:%s %s\n", style_on(c->color_err, STYLE_BAD),
		style_off(c->color_err, STYLE_BAD), text_safe(err->text, safe, sizeof(safe)));
	if (usage)
		fprintf(stderr, "usage: viaduct %s\n", usage);
	if (err->hint[0])
		fprintf(stderr, "hint: %s\n", text_safe(err->hint, safe, sizeof(safe)));
}

int cli_error(struct cli *c, const struct viaduct_error *err)
{
	say(c, err, NULL);
	return err->code == VIADUCT_E_NO_DAEMON ? CLI_NO_DAEMON : CLI_FAILED;
}

static void error_fill(struct viaduct_error *err, int code, const char *hint)
{
	memset(err, 0, sizeof(*err));
	err->code = code;
	snprintf(err->name, sizeof(err->name), "%s", ctl_code_name(code));
	snprintf(err->hint, sizeof(err->hint), "%s", hint ? hint : "");
}

int cli_fail(struct cli *c, int code, const char *hint, const char *fmt, ...)
{
	struct viaduct_error err;
	va_list ap;

	error_fill(&err, code, hint);
	va_start(ap, fmt);
	vsnprintf(err.text, sizeof(err.text), fmt, ap);
	va_end(ap);
	return cli_error(c, &err);
}

/* A usage line of one line: what does not fit is left to `viaduct help`. */
static const char *short_usage(const struct command *cmd, char *buf, size_t size)
{
	char *cut = NULL;

	parse_usage(cmd, buf, size);
	for (char *p = strstr(buf, " ["); p && p - buf < USAGE_SHORT; p = strstr(p + 1, " ["))
		cut = p;
	if (strlen(buf) > USAGE_SHORT && cut)
		snprintf(cut, size - (size_t)(cut - buf), " ... (see viaduct help %s)", cmd->name);
	return buf;
}

int cli_usage(struct cli *c, const struct command *cmd, int code, const char *text,
	      const char *hint)
{
	struct viaduct_error err;
	char usage[USAGE_MAX];

	error_fill(&err, code, hint);
	snprintf(err.text, sizeof(err.text), "%s", text);
	say(c, &err, cmd ? short_usage(cmd, usage, sizeof(usage)) : NULL);
	return CLI_USAGE;
}

void cli_note(struct cli *c, const char *fmt, ...)
{
	va_list ap;

	if (c->json)
		return;
	fflush(c->out);
	fputs("viaduct: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* ---- connection ---- */

static int check_netns(struct cli *c)
{
	const struct viaduct_info *info = viaduct_info(c->conn);
	char name[NAME_MAX + 1], hint[NAME_MAX + 64];
	uint64_t mine = viaduct_netns();

	if (!info->netns || !mine || info->netns == mine)
		return CLI_OK;
	if (netns_name(info->netns, name, sizeof(name)))
		snprintf(hint, sizeof(hint), "viaduct -n %s ...", name);
	else
		snprintf(hint, sizeof(hint), "viaduct -n /proc/%d/ns/net ...", info->pid);
	cli_fail(
		c, VIADUCT_E_NETNS, hint,
		"%s: viaductd (pid %d) lives in another network namespace (%llu) than this command "
		"(%llu)",
		info->socket, info->pid, (unsigned long long)info->netns, (unsigned long long)mine);
	c->conn = viaduct_close(c->conn);
	return CLI_FAILED;
}

/* No daemon, or it does not let us in. */
static int cannot_connect(struct cli *c, struct viaduct_error *err)
{
	size_t len = strlen(err->text);

	if (err->code == VIADUCT_E_NO_DAEMON)
		snprintf(err->text + len, sizeof(err->text) - len,
			 "; `viaduct addbr br0` starts one");
	cli_error(c, err);
	return err->code == CTL_E_DENIED || err->code == CTL_E_BUSY ? CLI_FAILED : CLI_NO_DAEMON;
}

int cli_connect(struct cli *c, bool may_start)
{
	struct viaduct_error err;
	int r;

	if (c->conn)
		return CLI_OK;
	r = viaduct_open(c->run_dir, &c->conn, &err);
	if (r == VIADUCT_E_NO_DAEMON && may_start) {
		r = spawn_background(c);
		if (r)
			return r;
		r = viaduct_open(c->run_dir, &c->conn, &err);
	}
	return r ? cannot_connect(c, &err) : check_netns(c);
}

/* After a lost connection the next command of a batch starts afresh. */
static int failed(struct cli *c, const struct viaduct_error *err)
{
	if (err->code == VIADUCT_E_NO_DAEMON)
		c->conn = viaduct_close(c->conn);
	return cli_error(c, err);
}

int cli_request(struct cli *c, const char *request, json_t *args, json_t **ret_result)
{
	struct viaduct_error err;
	int r = cli_connect(c, false);

	if (r) {
		json_decref(args);
		return r;
	}
	if (viaduct_call(c->conn, request, args, NULL, NULL, ret_result, &err))
		return failed(c, &err);
	return CLI_OK;
}

int cli_rows(struct cli *c, const char *request, json_t *args, json_t **ret_rows)
{
	struct viaduct_error err;
	int r = cli_connect(c, false);

	if (r) {
		json_decref(args);
		return r;
	}
	if (viaduct_rows(c->conn, request, args, ret_rows, &err))
		return failed(c, &err);
	return CLI_OK;
}

int cli_stream(struct cli *c, const char *request, json_t *args, viaduct_row_fn *on_row, void *ctx)
{
	struct viaduct_error err;
	int r = cli_connect(c, false);

	if (r) {
		json_decref(args);
		return r;
	}
	if (viaduct_call(c->conn, request, args, on_row, ctx, NULL, &err))
		return failed(c, &err);
	return CLI_OK;
}

/* ---- running ---- */

int cli_run(struct cli *c, int argc, char **argv)
{
	const struct command *cmd;
	struct parse_error err;
	json_t *args;
	int used, r;

	cmd = parse_command(c->table, argc, argv, &used, &err);
	if (!cmd)
		return cli_usage(c, err.cmd, CTL_E_COMMAND, err.text,
				 err.hint[0] ? err.hint : "viaduct help");
	if (c->watch_s > 0 && cmd->run != cmd_drops)
		return cli_usage(c, cmd, CTL_E_ARGS, "option --watch: only drops can be watched",
				 NULL);
	args = parse_args(cmd, argc - used, argv + used, &err);
	if (!args)
		return cli_usage(c, cmd, CTL_E_ARGS, err.text, err.hint);
	r = cmd->starts_daemon ? cli_connect(c, true) : CLI_OK;
	if (!r)
		r = cmd->run(c, cmd, args);
	json_decref(args);
	return r;
}
