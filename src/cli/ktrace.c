/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/ktrace.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "cli/cli.h"
#include "cli/fmt.h"
#include "cli/ktrace_cause.h"
#include "cli/spawn.h"
#include "wire/msg.h"

#define START_MS 30000 /* for the kernel to take the programs, on a slow machine */
#define END_MS   2000  /* to end when it is told to, or its time is up */

struct ktrace {
	pid_t pid;
	int fd;
	struct ctl_lines lines;
	struct ktrace_cause *cause;
	int64_t until_ms; /* when it has to have ended by itself; 0 = it need not */
	json_t *end;      /* its last line */
	bool ended;
};

/* ---- lines ---- */

/* Takes in what there is, after up to timeout_ms. False at the end. */
static bool fill(struct ktrace *k, int timeout_ms)
{
	struct pollfd p = {.fd = k->fd, .events = POLLIN};
	size_t room;
	ssize_t n;
	char *at;

	if (poll(&p, 1, timeout_ms) <= 0)
		return true;
	if (ctl_lines_room(&k->lines, &at, &room))
		return false;
	n = read(k->fd, at, room);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	ctl_lines_filled(&k->lines, (size_t)n);
	return true;
}

/* The next object, NULL if there is none yet. What is no JSON is passed over. */
static json_t *next_object(struct ktrace *k)
{
	json_t *o;
	size_t len;
	char *line;

	while ((line = ctl_lines_next(&k->lines, &len))) {
		o = json_loads(line, 0, NULL);
		if (json_is_object(o))
			return o;
		json_decref(o);
	}
	return NULL;
}

/* ---- starting ---- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static int print_error(struct cli *c, const json_t *e)
{
	struct viaduct_error err = {.code = (int)row_int(e, "code")};

	snprintf(err.name, sizeof(err.name), "%s", row_text(e, "name"));
	snprintf(err.text, sizeof(err.text), "%s", row_text(e, "text"));
	snprintf(err.hint, sizeof(err.hint), "%s", row_text(e, "hint"));
	return cli_error(c, &err);
}

/* Its first line says whether it could. */
static int wait_ready(struct cli *c, struct ktrace *k, const char *bridge)
{
	const int64_t until = now_ms() + START_MS;
	bool open = true;
	json_t *o = NULL, *e;
	int r = CLI_OK;

	while (open && !o && now_ms() < until) {
		open = fill(k, (int)(until - now_ms()));
		o = next_object(k);
	}
	e = json_object_get(o, "error");
	if (e)
		r = print_error(c, e);
	else if (!o)
		r = cli_fail(
			c, VIADUCT_E_INTERNAL, NULL,
			"bridge %s: viaduct-ktrace, which follows frames through the kernel, %s",
			bridge, open ? "does not get ready" : "ended before it was ready");
	json_decref(o);
	return r;
}

static struct ktrace *ktrace_free(struct ktrace *k)
{
	ktrace_cause_free(k->cause);
	ctl_lines_deinit(&k->lines);
	json_decref(k->end);
	free(k);
	return NULL;
}

static int spawn_it(struct cli *c, const struct ktrace_options *o, struct ktrace *k)
{
	char count[24], seconds[24];
	const char *argv[12] = {NULL,  "--bridge",  o->bridge, "--count",
				count, "--seconds", seconds};
	size_t n = 7;

	snprintf(count, sizeof(count), "%llu", (unsigned long long)o->count);
	snprintf(seconds, sizeof(seconds), "%llu", (unsigned long long)o->seconds);
	if (o->from) {
		argv[n++] = "--from";
		argv[n++] = o->from;
	}
	if (o->filter) {
		argv[n++] = "--filter";
		argv[n++] = o->filter;
	}
	return spawn_ktrace(c, argv, &k->fd, &k->pid);
}

int ktrace_start(struct cli *c, const struct ktrace_options *o, struct ktrace **ret)
{
	struct ktrace *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return cli_fail(c, VIADUCT_E_INTERNAL, NULL, "no memory");
	ctl_lines_init(&k->lines, CTL_LINE_MAX);
	k->cause = ktrace_cause_new(o->bridge);
	r = spawn_it(c, o, k);
	if (r) {
		ktrace_free(k);
		return r;
	}
	r = wait_ready(c, k, o->bridge);
	if (r) {
		k->end = json_object(); /* the error was its last word */
		ktrace_stop(c, k, NULL);
		return r;
	}
	if (o->seconds)
		k->until_ms = now_ms() + (int64_t)o->seconds * 1000 + END_MS;
	*ret = k;
	return CLI_OK;
}

/* ---- running ---- */

int ktrace_fd(const struct ktrace *k)
{
	return k->fd;
}

static void take(struct ktrace *k, json_t *o, ktrace_fn *fn, void *ctx)
{
	json_t *end = json_object_get(o, "end");

	/* A journey has an end, too, and steps. */
	if (json_object_get(o, "steps")) {
		ktrace_cause_explain(k->cause, o);
		fn(ctx, o);
	} else if (end) {
		json_decref(k->end);
		k->end = json_incref(end);
	}
	json_decref(o);
}

int ktrace_read(struct ktrace *k, int timeout_ms, ktrace_fn *fn, void *ctx)
{
	json_t *o;

	/* What was read while it got ready comes first. */
	while ((o = next_object(k)))
		take(k, o, fn, ctx);
	if (k->ended)
		return KTRACE_E_ENDED;
	k->ended = !fill(k, timeout_ms) || (k->until_ms && now_ms() > k->until_ms);
	while ((o = next_object(k)))
		take(k, o, fn, ctx);
	return k->ended ? KTRACE_E_ENDED : KTRACE_GOES_ON;
}

void ktrace_finish(struct ktrace *k)
{
	const int64_t until_ms = now_ms() + END_MS;

	kill(k->pid, SIGTERM);
	if (!k->until_ms || k->until_ms > until_ms)
		k->until_ms = until_ms;
}

/* It ends by itself when nobody reads; if it hangs nevertheless it is ended. */
static void reap(pid_t pid)
{
	const int64_t until = now_ms() + END_MS;

	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (now_ms() > until) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			return;
		}
		poll(NULL, 0, 5);
	}
}

int ktrace_stop(struct cli *c, struct ktrace *k, json_t **ret_totals)
{
	const bool died = k->ended && !k->end;
	const bool hangs = k->until_ms && now_ms() > k->until_ms;

	close(k->fd);
	reap(k->pid);
	if (ret_totals)
		*ret_totals = k->end ? json_incref(k->end) : json_object();
	ktrace_free(k);
	if (died)
		return cli_fail(c, VIADUCT_E_INTERNAL, NULL,
				"viaduct-ktrace, which follows frames through the kernel, %s",
				hangs ? "does not answer" : "was ended");
	return CLI_OK;
}
