/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/watch.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/table.h"

static void print_time(struct cli *c, const json_t *event)
{
	double when = json_number_value(json_object_get(event, "time"));
	time_t s = (time_t)when;
	char text[16];
	struct tm tm;

	if (!localtime_r(&s, &tm))
		return;
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	fprintf(c->out, "%s%s.%03d%s  ", style_on(c->color, STYLE_DIM), text,
		(int)((when - (double)s) * 1000), style_off(c->color, STYLE_DIM));
}

static enum style kind_style(const char *kind)
{
	if (!strcmp(kind, "down") || !strcmp(kind, "vanished") || !strcmp(kind, "full") ||
	    !strcmp(kind, "own-source") || !strcmp(kind, "stall") || !strcmp(kind, "lost") ||
	    !strcmp(kind, "stop") || !strcmp(kind, "reload-failed"))
		return STYLE_BAD;
	if (!strcmp(kind, "up") || !strcmp(kind, "returned") || !strcmp(kind, "return"))
		return STYLE_GOOD;
	return !strcmp(kind, "moved") ? STYLE_WARN : STYLE_PLAIN;
}

/* Who, with which ring, why, and what it means: of events about netmap programs. */
static void print_program(struct cli *c, const json_t *event)
{
	static const char *const parts[][2] = {{"reason", ": "}, {"effect", "; "}};
	char safe[128];

	fprintf(c->out, "  %s pid %lld", text_safe(row_text(event, "program"), safe, sizeof(safe)),
		(long long)row_int(event, "pid"));
	fprintf(c->out, " ring %s", text_safe(row_text(event, "ring"), safe, sizeof(safe)));
	for (size_t i = 0; i < array_size(parts); i++) {
		const char *text = row_text(event, parts[i][0]);

		if (*text)
			fprintf(c->out, "%s%s", parts[i][1], text_safe(text, safe, sizeof(safe)));
	}
}

/* One member; an object as its members, an array as its elements. */
static void print_member(struct cli *c, const char *key, json_t *v)
{
	char safe[256];
	const char *inner;
	json_t *of;
	size_t i;

	if (json_is_string(v))
		fprintf(c->out, " %s=%s", key, text_safe(json_string_value(v), safe, sizeof(safe)));
	else if (json_is_integer(v))
		fprintf(c->out, " %s=%lld", key, (long long)json_integer_value(v));
	else if (json_is_boolean(v))
		fprintf(c->out, " %s=%s", key, json_is_true(v) ? "on" : "off");
	else if (json_is_object(v))
		json_object_foreach(v, inner, of) print_member(c, inner, of);
	else
		json_array_foreach(v, i, of) print_member(c, key, of);
}

/* What else the event says: every member that has no place of its own in the line. */
static void print_rest(struct cli *c, json_t *event)
{
	static const char *const placed[] = {"time", "group",  "kind",      "bridge",
					     "mac",  "ifname", "old_ifname"};
	const char *key;
	json_t *v;

	json_object_foreach(event, key, v)
	{
		bool done = false;

		for (size_t i = 0; i < array_size(placed); i++)
			done = done || !strcmp(key, placed[i]);
		if (!done && !(json_is_integer(v) && json_integer_value(v) == 0))
			print_member(c, key, v);
	}
}

void watch_print(struct cli *c, const json_t *event)
{
	const char *kind = row_text(event, "kind"), *mac = row_text(event, "mac");
	const char *ifname = row_text(event, "ifname"), *old = row_text(event, "old_ifname");
	char safe[64];

	print_time(c, event);
	fprintf(c->out, "%-6s  %-8s  ", row_text(event, "group"),
		text_safe(row_text(event, "bridge"), safe, sizeof(safe)));
	fprintf(c->out, "%s%-10s%s", style_on(c->color, kind_style(kind)), kind,
		style_off(c->color, kind_style(kind)));
	if (*mac)
		fprintf(c->out, "  %s", mac);
	if (*row_text(event, "program"))
		print_program(c, event);
	else if (*ifname)
		fprintf(c->out, "  %s", text_safe(ifname, safe, sizeof(safe)));
	if (*old)
		fprintf(c->out, " (was %s)", text_safe(old, safe, sizeof(safe)));
	if (!*row_text(event, "program"))
		print_rest(c, (json_t *)event);
	fputc('\n', c->out);
	fflush(c->out);
}

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = 1;
}

int cmd_monitor(struct cli *c, const struct command *cmd, json_t *args)
{
	const char *group = row_text(args, "group");
	const char *const groups[] = {*group ? group : "all", NULL};
	struct sigaction sa = {.sa_handler = stop};
	struct viaduct_error err;
	json_t *event;
	int r = cli_connect(c, false);

	if (r)
		return r;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	r = viaduct_watch(c->conn, groups, &err);
	while (!r && !stopped && !ferror(c->out)) {
		/* The timeout catches a signal between the test and poll(). */
		r = viaduct_event(c->conn, 1000, &event, &err);
		if (r || !event)
			continue;
		if (c->json) {
			json_dumpf(event, c->out, JSON_COMPACT);
			fputc('\n', c->out);
			fflush(c->out);
		} else {
			watch_print(c, event);
		}
		json_decref(event);
	}
	/* This connection is for events now. */
	c->conn = viaduct_close(c->conn);
	return r ? cli_error(c, &err) : CLI_OK;
}
