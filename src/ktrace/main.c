/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * viaduct-ktrace: follows frames through a bridge of the kernel, for `viaduct trace`, which starts
 * it and reads its standard output, one JSON object a line:
 *
 *   {"ready": true, ...}     attached; all privileges are given up
 *   {"bridge": "br0", ...}   a journey
 *   {"end": {...}}           the last line: why, and how many frames there were
 *   {"error": {...}}         instead of all that
 *
 * It ends when so many frames were followed, when the time is up, on SIGTERM or SIGINT, and when
 * nobody reads any more. A reader that is slow loses journeys, which are counted; nothing waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <pcap/pcap.h>

#include "base/compiler.h"
#include "base/err.h"
#include "ktrace/devices.h"
#include "ktrace/journey.h"
#include "ktrace/probe.h"
#include "ktrace/reasons.h"
#include "ktrace/report.h"
#include "ktrace/symbols.h"
#include "ktrace/why.h"
#include "sys/bpf.h"
#include "sys/clock.h"
#include "sys/filter.h"
#include "sys/privs.h"
#include "wire/msg.h"

#define TICK_MS     5
#define END_WAIT_MS 1000 /* for a reader, with the last line */
#define SECONDS_MAX 1000000u

static const char usage[] =
	"usage: viaduct-ktrace --bridge BR [--from DEV] [--count N] [--seconds S] [--filter EXPR]\n"
	"Started by `viaduct trace BR`; prints journeys of frames through a kernel bridge as "
	"JSON.\n";

struct ktrace {
	const char *bridge, *from, *filter;
	uint64_t count, seconds;
	struct devices devices;
	struct symbols *symbols;
	struct reasons *reasons;
	struct bpf_program prog;
	bool has_prog;
	bool all_calls; /* no filter of system calls */
	struct report report;
	struct journeys *journeys;
	struct probe *probe;
	uint64_t start_ns;
	uint64_t n_unread; /* journeys that the reader had no room for */
	bool reader_gone;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = 1;
}

/* ---- output ---- */

/* Waits up to wait_ms for room; false: not written, or not wholly. */
static bool write_all(struct ktrace *k, const char *data, size_t len, int wait_ms)
{
	while (len > 0) {
		struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			k->reader_gone = true;
			return false;
		}
		if (poll(&p, 1, wait_ms) <= 0)
			return false;
	}
	return true;
}

/* One line; steals o. A line is never cut: it fits into an empty pipe, and is written at once. */
static void say(struct ktrace *k, json_t *o, int wait_ms)
{
	char *line = o ? json_dumps(o, JSON_COMPACT) : NULL;
	size_t len = line ? strlen(line) : 0;

	json_decref(o);
	if (!line)
		return;
	line[len] = '\n'; /* in place of the end */
	if (!write_all(k, line, len + 1, wait_ms))
		k->n_unread++;
	free(line);
}

static int say_error(struct ktrace *k, const struct ctl_error *err)
{
	json_t *e = json_pack("{s:i, s:s, s:s}", "code", err->code, "name",
			      ctl_code_name(err->code), "text", err->text);

	if (e && err->hint[0])
		json_object_set_new(e, "hint", json_string(err->hint));
	say(k, json_pack("{s:o}", "error", e), END_WAIT_MS);
	return 1;
}

/* ---- events ---- */

static void on_journey(void *ctx, const struct journey *j)
{
	struct ktrace *k = ctx;

	k->report.wall_offset_s = clock_wall_s() - (double)clock_now_ns() / 1e9;
	say(k, report_journey(&k->report, j), 0);
}

static void on_event(void *ctx, const struct ktrace_event *e)
{
	struct ktrace *k = ctx;
	char function[64], rest[64];

	if (e->what == KTRACE_DROP) {
		symbols_find(k->symbols, e->location, function, sizeof(function), rest,
			     sizeof(rest));
		if (why_is_listener(function))
			return;
	}
	journeys_event(k->journeys, e);
}

static bool matches(void *ctx, const uint8_t *data, uint32_t caplen, uint32_t len)
{
	const struct ktrace *k = ctx;
	const struct pcap_pkthdr h = {.caplen = caplen, .len = len};

	return pcap_offline_filter(&k->prog, &h, data) != 0;
}

/* ---- the start ---- */

static int compile(struct ktrace *k, struct ctl_error *err)
{
	char why[256];

	if (!k->filter)
		return 0;
	if (filter_compile(k->filter, &k->prog, why, sizeof(why)))
		return ctl_fail(err, CTL_E_VALUE, "filter '%s': %s", k->filter, why);
	k->has_prog = true;
	return 0;
}

static int find_from(const struct ktrace *k, uint32_t *ret, struct ctl_error *err)
{
	const struct device *d = k->from ? devices_named(&k->devices, k->from) : NULL;

	*ret = d ? d->ifindex : 0;
	if (!k->from || (d && d->role != KTRACE_FOREIGN))
		return 0;
	return ctl_fail(err, CTL_E_PORT_NONE, "port %s: %s", k->from,
			d ? "not a port of this bridge" : "no such device");
}

/* Names for numbers, which only root can read. */
static int read_names(struct ktrace *k, struct ctl_error *err)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	int r;

	/* Without the file, or with its addresses hidden, functions have no names. */
	k->symbols = symbols_read(f);
	if (f)
		fclose(f);
	if (!k->symbols)
		return ctl_fail(err, CTL_E_INTERNAL, "bridge %s: no memory", k->bridge);
	r = reasons_read(&k->reasons);
	if (r)
		return ctl_fail(err, CTL_E_NOT_YET,
				"bridge %s: this kernel has no drop reasons in its BTF "
				"(CONFIG_DEBUG_INFO_BTF, Linux 5.17): %s",
				k->bridge, err_text(r));
	return 0;
}

static int start(struct ktrace *k, struct ctl_error *err)
{
	struct journeys_options o = {.count = k->count, .done = on_journey, .ctx = k};
	int r = compile(k, err);

	if (!r)
		r = devices_read(&k->devices, k->bridge, err);
	if (!r)
		r = find_from(k, &o.from, err);
	if (r)
		return r;
	o.match = k->has_prog ? matches : NULL;
	k->journeys = journeys_new(&o);
	if (!k->journeys)
		return ctl_fail(err, CTL_E_INTERNAL, "bridge %s: no memory", k->bridge);
	r = read_names(k, err);
	if (!r)
		r = probe_open(k->bridge, &k->devices, on_event, k, &k->probe, err);
	if (r)
		return r;
	k->report = (struct report){.bridge = k->bridge,
				    .devices = &k->devices,
				    .reasons = k->reasons,
				    .symbols = k->symbols};
	return 0;
}

/* In this order: libraries open files when they are used first. */
static int settle(struct ktrace *k, struct ctl_error *err)
{
	struct sigaction sa = {.sa_handler = on_signal};
	json_t *ports = json_array(), *ready;
	int flags = fcntl(STDOUT_FILENO, F_GETFL), r;

	for (size_t i = 0; i < k->devices.n; i++)
		if (k->devices.list[i].role == KTRACE_MEMBER)
			json_array_append_new(ports, json_string(k->devices.list[i].name));
	ready = json_pack("{s:b, s:s, s:o}", "ready", 1, "bridge", k->bridge, "ports", ports);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (flags >= 0)
		fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK);
	clock_now_ns();
	clock_wall_s();
	r = privs_give_up(!k->all_calls);
	if (r) {
		json_decref(ready);
		return ctl_fail(err, CTL_E_INTERNAL, "bridge %s: cannot give up privileges: %s",
				k->bridge, err_text(r));
	}
	k->start_ns = clock_now_ns();
	probe_start(k->probe);
	say(k, ready, END_WAIT_MS);
	return 0;
}

/* ---- the loop ---- */

static const char *why_stop(const struct ktrace *k, uint64_t now_ns)
{
	if (journeys_finished(k->journeys))
		return "count";
	if (k->reader_gone)
		return "reader";
	if (stopped)
		return "signal";
	if (k->seconds && now_ns >= k->start_ns + k->seconds * CLOCK_SECOND_NS)
		return "time";
	return NULL;
}

static const char *loop(struct ktrace *k)
{
	struct pollfd p[] = {{.fd = STDOUT_FILENO, .events = 0},
			     {.fd = devices_fd(&k->devices), .events = POLLIN}};
	const char *why = NULL;

	while (!why) {
		poll(p, array_size(p), TICK_MS);
		if (p[0].revents & (POLLERR | POLLHUP | POLLNVAL))
			k->reader_gone = true;
		if (probe_read(k->probe))
			return "error";
		if (p[1].revents)
			devices_update(&k->devices);
		journeys_tick(k->journeys, clock_now_ns());
		why = why_stop(k, clock_now_ns());
	}
	return why;
}

static void say_end(struct ktrace *k, const char *why)
{
	const double s = (double)(clock_now_ns() - k->start_ns) / 1e9;

	say(k,
	    json_pack("{s:{s:s, s:I, s:I, s:I, s:I, s:I, s:f}}", "end", "why", why, "seen",
		      (json_int_t)journeys_seen(k->journeys), "matched",
		      (json_int_t)journeys_matched(k->journeys), "lost_events",
		      (json_int_t)probe_lost(k->probe), "hurried",
		      (json_int_t)journeys_hurried(k->journeys), "unread", (json_int_t)k->n_unread,
		      "seconds", s),
	    END_WAIT_MS);
}

static void stop(struct ktrace *k)
{
	probe_close(k->probe);
	journeys_free(k->journeys);
	symbols_free(k->symbols);
	reasons_free(k->reasons);
	devices_free(&k->devices);
	if (k->has_prog)
		pcap_freecode(&k->prog);
}

static bool number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno;
}

static bool parse_options(struct ktrace *k, int argc, char **argv)
{
	static const struct option options[] = {{"bridge", required_argument, NULL, 'b'},
						{"from", required_argument, NULL, 'f'},
						{"count", required_argument, NULL, 'c'},
						{"seconds", required_argument, NULL, 's'},
						{"filter", required_argument, NULL, 'F'},
						{"no-seccomp", no_argument, NULL, 'S'},
						{NULL, 0, NULL, 0}};
	bool good = true;
	int c;

	while (good && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'b':
			k->bridge = optarg;
			break;
		case 'f':
			k->from = optarg;
			break;
		case 'F':
			k->filter = optarg;
			break;
		case 'S':
			k->all_calls = true;
			break;
		case 'c':
			good = number(optarg, &k->count);
			break;
		case 's':
			good = number(optarg, &k->seconds) && k->seconds <= SECONDS_MAX;
			break;
		default:
			good = false;
		}
	}
	return good && k->bridge && optind == argc;
}

int main(int argc, char **argv)
{
	struct ktrace k = {0};
	struct ctl_error err = {0};
	int r;

	if (!parse_options(&k, argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	sys_bpf_init();
	r = start(&k, &err);
	if (!r)
		r = settle(&k, &err);
	if (r) {
		r = say_error(&k, &err);
	} else {
		const char *why = loop(&k);

		journeys_flush(k.journeys);
		say_end(&k, why);
	}
	stop(&k);
	return r;
}
