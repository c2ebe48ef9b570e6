/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `viaduct trace`: follows frames. Of a bridge of ours the daemon tells; of one of the kernel's a
 * helper that listens to the kernel; of an adopted one both, each its part of the way.
 */
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/journey.h"
#include "cli/ktrace.h"
#include "wire/msg.h"

#define COUNT_DEFAULT   10
#define SECONDS_DEFAULT 10
#define SLICE_MS        500 /* signals and broken pipes are seen so often */
#define GRACE_S         15  /* for a daemon that is slow to say that the time is over */

enum where {
	WHERE_DAEMON,  /* a bridge of ours, or one that nobody knows: the daemon will say so */
	WHERE_ADOPTED, /* the kernel's, and programs may open it */
	WHERE_KERNEL,
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = 1;
}

/* ---- where it is ---- */

static enum where where_in(const json_t *rows, const char *bridge)
{
	json_t *row;
	size_t i;

	json_array_foreach((json_t *)rows, i, row)
	{
		if (strcmp(row_text(row, "ifname"), bridge) != 0)
			continue;
		if (row_bool(row, "adopted"))
			return WHERE_ADOPTED;
		return row_bool(row, "kernel") ? WHERE_KERNEL : WHERE_DAEMON;
	}
	return WHERE_DAEMON;
}

/* Without a daemon it can only be the kernel's. Prints errors. */
static int find_out(struct cli *c, const char *bridge, enum where *ret)
{
	struct viaduct *v = NULL;
	json_t *rows = NULL;
	int r;

	*ret = WHERE_KERNEL;
	if (!c->conn && viaduct_open(c->run_dir, &v, NULL) == VIADUCT_E_NO_DAEMON)
		return CLI_OK;
	viaduct_close(v);
	r = cli_rows(c, "bridge.show", NULL, &rows);
	if (!r)
		*ret = where_in(rows, bridge);
	json_decref(rows);
	return r;
}

/* ---- the daemon's side ---- */

struct follow {
	struct cli *c;
	const json_t *args;
	const char *bridge;
	json_int_t seconds;
	uint64_t n; /* journeys */
	enum where where;
};

static const char *advice(const struct follow *f, char *buf, size_t size)
{
	const char *port = row_text(f->args, "port");

	if (*row_text(f->args, "filter"))
		snprintf(buf, size,
			 "try it without the filter; an expression sees VLAN tags: `vlan and ...`");
	else
		snprintf(buf, size, "`viaduct stats %s` says whether frames come in",
			 *port ? port : f->bridge);
	return buf;
}

/* The last words, and the exit code. */
static int sum_up(const struct follow *f, const json_t *result)
{
	const json_int_t missed = row_int(result, "missed"), lost = row_int(result, "lost");
	char text[256];

	if (missed)
		cli_note(f->c, "%s: %lld more matched while too many were on their way", f->bridge,
			 (long long)missed);
	if (lost)
		cli_note(f->c, "%s: %lld journeys were lost, they came faster than they were read",
			 f->bridge, (long long)lost);
	if (f->n > 0)
		return CLI_OK;
	if (stopped)
		cli_note(f->c, "%s: nothing matched", f->bridge);
	else if (!missed && !lost)
		cli_note(f->c, "%s: nothing matched in %lld s; %s", f->bridge,
			 (long long)f->seconds, advice(f, text, sizeof(text)));
	return CLI_FAILED;
}

static int64_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* Prints what comes until the result does, the user had enough, or nobody reads. */
static int follow(struct follow *f, const char *request)
{
	const int64_t until = now_s() + f->seconds + GRACE_S;
	json_t *event, *result = NULL;
	struct viaduct_error err;
	int r = viaduct_start(f->c->conn, request, json_incref((json_t *)f->args), &err);

	while (!r && !result && !stopped && !ferror(f->c->out) && now_s() < until) {
		r = viaduct_next(f->c->conn, SLICE_MS, &event, &result, &err);
		if (r || !event)
			continue;
		f->n++;
		journey_print(f->c, event);
		json_decref(event);
	}
	if (!result) /* it ends with the connection */
		f->c->conn = viaduct_close(f->c->conn);
	if (r)
		return cli_error(f->c, &err);
	if (!result && !stopped && !ferror(f->c->out))
		return cli_fail(f->c, VIADUCT_E_INTERNAL, NULL,
				"%s: the daemon does not say that the time is over", f->bridge);
	r = sum_up(f, result);
	json_decref(result);
	return r;
}

static int trace_daemon(struct follow *f, const struct command *cmd)
{
	int r = cli_connect(f->c, false);

	if (r)
		return r;
	if (isatty(STDERR_FILENO))
		cli_note(f->c, "%s: for %lld s, ctrl-C ends it", f->bridge, (long long)f->seconds);
	return follow(f, cmd->request);
}

/* ---- the kernel's side ---- */

static void on_kernel_journey(void *ctx, const json_t *journey)
{
	struct follow *f = ctx;

	f->n++;
	journey_print(f->c, journey);
}

static int start_kernel(struct follow *f, struct ktrace **ret)
{
	const json_t *count = json_object_get(f->args, "count");
	const struct ktrace_options o = {
		.bridge = f->bridge,
		.from = json_string_value(json_object_get(f->args, "port")),
		.filter = json_string_value(json_object_get(f->args, "filter")),
		.count = count ? (uint64_t)json_integer_value(count) : COUNT_DEFAULT,
		.seconds = (uint64_t)f->seconds,
	};

	if (json_object_get(f->args, "every"))
		return cli_fail(f->c, CTL_E_KERNEL_BRIDGE, NULL,
				"bridge %s: a bridge of the kernel: `every` is for viaduct's own",
				f->bridge);
	return ktrace_start(f->c, &o, ret);
}

/* What the daemon has to say so far of what programs took. */
static void take_daemons(struct follow *f)
{
	json_t *event = NULL, *result = NULL;
	struct viaduct_error err;

	while (f->c->conn && !result) {
		if (viaduct_next(f->c->conn, 0, &event, &result, &err)) {
			f->c->conn = viaduct_close(f->c->conn);
			break;
		}
		if (!event)
			break;
		journey_print(f->c, event);
		json_decref(event);
	}
	json_decref(result);
}

static int end_kernel(struct follow *f, struct ktrace *k)
{
	json_t *totals = NULL;
	int r = ktrace_stop(f->c, k, &totals);
	const json_int_t lost = row_int(totals, "lost_events") + row_int(totals, "unread");

	if (!r && lost)
		cli_note(f->c, "bridge %s: %lld events were lost, too much happens", f->bridge,
			 (long long)lost);
	if (!r && f->n == 0) {
		cli_note(f->c, "bridge %s: nothing matched in %.0f s, of %lld frames that came in",
			 f->bridge, json_number_value(json_object_get(totals, "seconds")),
			 (long long)row_int(totals, "seen"));
		r = CLI_FAILED;
	}
	json_decref(totals);
	return r;
}

static int trace_kernel(struct follow *f, const struct command *cmd)
{
	struct viaduct_error err;
	struct ktrace *k = NULL;
	int r = start_kernel(f, &k);

	if (r)
		return r;
	/* Who sends frames for it has to know: the kernel takes its time. */
	cli_note(f->c, "bridge %s: following frames", f->bridge);
	if (f->where == WHERE_ADOPTED && !cli_connect(f->c, false) &&
	    viaduct_start(f->c->conn, cmd->request, json_incref((json_t *)f->args), &err))
		cli_error(f->c, &err);
	while (!ktrace_read(k, f->c->conn ? SLICE_MS / 10 : SLICE_MS, on_kernel_journey, f)) {
		take_daemons(f);
		if (stopped || ferror(f->c->out))
			ktrace_finish(k);
	}
	take_daemons(f);
	f->c->conn = viaduct_close(f->c->conn); /* ends its part */
	return end_kernel(f, k);
}

int cmd_trace(struct cli *c, const struct command *cmd, json_t *args)
{
	const json_t *seconds = json_object_get(args, "seconds");
	struct follow f = {.c = c,
			   .args = args,
			   .bridge = row_text(args, "bridge"),
			   .seconds = seconds ? json_integer_value(seconds) : SECONDS_DEFAULT};
	struct sigaction sa = {.sa_handler = stop}, old[2];
	int r = find_out(c, f.bridge, &f.where);

	if (r)
		return r;
	stopped = 0;
	sigaction(SIGINT, &sa, &old[0]);
	sigaction(SIGTERM, &sa, &old[1]);
	r = f.where == WHERE_DAEMON ? trace_daemon(&f, cmd) : trace_kernel(&f, cmd);
	sigaction(SIGINT, &old[0], NULL);
	sigaction(SIGTERM, &old[1], NULL);
	return r;
}
