/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why frames were dropped. A look shows what was counted since the start, the last frame of each
 * reason, and how many the daemon saw in the last second; --watch looks again and again and has the
 * exact rate of each counter in between.
 */
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/table.h"

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = 1;
}

static json_t *row_like(const json_t *rows, const json_t *row)
{
	static const char *const key[] = {"bridge", "port", "reason"};
	json_t *r;
	size_t i;

	json_array_foreach(rows, i, r)
	{
		size_t same = 0;

		while (same < array_size(key) &&
		       !strcmp(row_text(r, key[same]), row_text(row, key[same])))
			same++;
		if (same == array_size(key))
			return r;
	}
	return NULL;
}

/* Adds "rate", per second, to rows that can have one. A counter that is new began with 0. */
static void add_rates(json_t *rows, const json_t *before, double seconds)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const json_int_t was = row_int(row_like(before, row), "count");
		const json_int_t n = row_int(row, "count");

		if (n >= was) /* else the daemon began anew */
			json_object_set_new(row, "rate", json_real((double)(n - was) / seconds));
	}
}

/* "3/s", or "0.5/s"; a few frames a second are more than none. */
static const char *rate_text(double rate, char *buf, size_t size)
{
	char count[32];

	if (rate > 0 && rate < 9.95)
		snprintf(buf, size, "%.1f/s", rate);
	else
		snprintf(buf, size, "%s/s",
			 fmt_count((json_int_t)(rate + 0.5), count, sizeof(count)));
	return buf;
}

static void rate_cell(struct table *t, const json_t *row)
{
	const double rate = json_real_value(json_object_get(row, "rate"));
	char text[40];

	if (!json_object_get(row, "rate"))
		table_cell(t, STYLE_DIM, "-");
	else
		table_cell(t, rate > 0 ? STYLE_BAD : STYLE_DIM, "%s",
			   rate_text(rate, text, sizeof(text)));
}

/* "3s ago", or "0s ago, 12/s" while they go on; with --watch there is a better rate beside it. */
static void last_cell(struct table *t, const json_t *last, bool with_rate)
{
	const double age_s = json_number_value(json_object_get(last, "age"));
	const double rate = json_number_value(json_object_get(last, "rate"));
	char age[32], text[40];

	if (!last)
		table_cell(t, STYLE_DIM, "-");
	else if (rate > 0 && with_rate)
		table_cell(t, STYLE_BAD, "%s ago, %s", fmt_age(age_s, age, sizeof(age)),
			   rate_text(rate, text, sizeof(text)));
	else
		table_cell(t, STYLE_PLAIN, "%s ago", fmt_age(age_s, age, sizeof(age)));
}

static void print_table(struct cli *c, const json_t *rows)
{
	static const struct table_column cols[] = {{"bridge"},      {"port"},       {"reason"},
						   {"count", true}, {"rate", true}, {"last", true},
						   {"meaning"}};
	static const struct table_column cols_once[] = {
		{"bridge"}, {"port"}, {"reason"}, {"count", true}, {"last", true}, {"meaning"}};
	const bool rates = c->watch_s > 0;
	struct table *t = table_new(c->out, c->color, true, rates ? cols : cols_once,
				    rates ? array_size(cols) : array_size(cols_once));
	char line[512], safe[512], count[32];
	const json_t *last;
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		last = json_object_get(row, "last");
		table_cell(t, STYLE_PLAIN, "%s", row_text(row, "bridge"));
		table_cell(t, STYLE_PLAIN, "%s", row_text(row, "port"));
		table_cell(t, STYLE_PLAIN, "%s", row_text(row, "reason"));
		table_cell(t, row_int(row, "count") ? STYLE_BAD : STYLE_DIM, "%s",
			   fmt_count(row_int(row, "count"), count, sizeof(count)));
		if (rates)
			rate_cell(t, row);
		last_cell(t, last, !rates);
		table_cell(t, STYLE_DIM, "%s", row_text(row, "text"));
		if (!last)
			continue;
		snprintf(line, sizeof(line), "    %s",
			 text_safe(row_text(last, "summary"), safe, sizeof(safe)));
		table_line(t, STYLE_PLAIN, line);
	}
	table_end(t);
}

static void print_rows(struct cli *c, const json_t *rows)
{
	if (c->json)
		cli_json(c, rows);
	else if (json_array_size(rows) == 0)
		fputs("no drops\n", c->out);
	else
		print_table(c, rows);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void wait_s(double seconds)
{
	struct timespec t = {.tv_sec = (time_t)seconds};

	t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
	nanosleep(&t, NULL); /* a signal ends it early */
}

/* A screen redraws in place; in a pipe or file one look follows the other. */
static void begin_screen(struct cli *c)
{
	char when[32];
	time_t now = time(NULL);
	struct tm tm;

	if (c->json)
		return;
	if (isatty(fileno(c->out)))
		fputs("\033[H\033[2J", c->out);
	strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&now, &tm));
	fprintf(c->out, "drops at %s, every %g s\n", when, c->watch_s);
}

static int watch(struct cli *c, const json_t *req)
{
	struct sigaction sa = {.sa_handler = stop};
	json_t *before = NULL, *rows;
	double then = 0;
	int r = CLI_OK;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	while (!stopped && !ferror(c->out)) {
		const double now = now_s();

		r = cli_rows(c, "drops", json_deep_copy(req), &rows);
		if (r)
			break;
		if (before)
			add_rates(rows, before, now - then);
		begin_screen(c);
		print_rows(c, rows);
		fflush(c->out);
		json_decref(before);
		before = rows;
		then = now;
		wait_s(c->watch_s);
	}
	json_decref(before);
	return r;
}

int cmd_drops(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *req = NULL, *rows;
	const char *name = row_text(args, "name"), *port = row_text(args, "port");
	int r = *port ? CLI_OK : resolve_name(c, name, &req);

	if (r)
		return r;
	if (*port)
		req = json_pack("{s:s, s:s}", "bridge", name, "port", port);
	req = req ? req : json_object();
	if (json_object_get(args, "all"))
		json_object_set_new(req, "all", json_true());
	if (c->watch_s > 0) {
		r = watch(c, req);
		json_decref(req);
		return r;
	}
	r = cli_rows(c, "drops", req, &rows);
	if (r)
		return r;
	print_rows(c, rows);
	json_decref(rows);
	return CLI_OK;
}
