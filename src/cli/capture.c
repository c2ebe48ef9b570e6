/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture: takes frames from the daemon's ring and writes them, as pcapng or as lines. The file is
 * opened here, with the rights of who types the command. While this process waits for its output
 * frames are lost, and the bridge notices nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "cli/capture_text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/pcapng.h"
#include "cli/table.h"
#include "wire/capring.h"
#include "wire/msg.h"
#include "wire/summary.h"

#define TURN          256u /* records until others are looked at */
#define WAIT_MS       1000 /* a signal between test and poll() is noticed then */
#define SNAP_FOR_TEXT 256  /* is enough for a line */
#define SAID          64u

/* Why it ended; 0: it goes on. */
enum ending { GOING, DONE, OUTPUT_GONE, OUTPUT_FAILED, BRIDGE_GONE, DAEMON_GONE, BROKEN };

struct interface {
	uint16_t port;
	struct capring_counters base; /* of that number, when it became this port's */
	uint64_t delivered;
};

/* Most frames are told in the words of one before them. */
struct said {
	struct capring_record about; /* its verdict; size 0: empty */
	char text[CAPTURE_TEXT_SIZE];
};

struct session {
	struct cli *c;
	const char *bridge, *file; /* NULL: lines */
	const char *filter;
	uint32_t snaplen;
	void *memory;
	size_t memory_size;
	struct capring_reader ring;
	int fds[2]; /* memory, bell */
	int out_fd; /* -1: none */
	bool out_hangs_up;
	struct pcapng png;
	struct capture_names names;
	struct said said[SAID];
	struct interface *ifs;
	uint32_t n_ifs;
	uint32_t if_of[CAPRING_PORTS]; /* index + 1 */
	uint64_t n, count;             /* frames so far; 0: no end */
	uint64_t start_ns, deadline_ms;
	enum ending ending;
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = 1;
}

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- records ---- */

static void take_port(struct session *s, const struct capring_record *r)
{
	const struct capring_port *p = (const struct capring_port *)r->data;
	char name[CAPRING_NAME + 1] = "", text[sizeof(p->text) + 1] = "";
	struct interface *grown = realloc(s->ifs, (s->n_ifs + 1) * sizeof(*grown));
	const struct pcapng_if i = {name, text, s->filter, p->mac, s->snaplen};
	uint32_t id;

	if (!grown) {
		s->ending = BROKEN;
		return;
	}
	s->ifs = grown;
	memcpy(name, p->name, sizeof(p->name));
	memcpy(text, p->text, sizeof(p->text));
	snprintf(s->names.ports[r->port], CAPRING_NAME, "%.15s", name);
	memset(s->said, 0, sizeof(s->said)); /* ports have other names now */
	/* The first owner of a number has all that was counted before its name came. */
	s->ifs[s->n_ifs] = (struct interface){.port = r->port};
	if (s->if_of[r->port])
		s->ifs[s->n_ifs].base = s->ring.shared->ports[r->port];
	s->if_of[r->port] = ++s->n_ifs;
	if (s->file)
		pcapng_interface(&s->png, &i, &id);
}

static enum pcapng_direction direction(const struct capring_record *r)
{
	if (r->point == CAPRING_OUT || r->flags & CAPRING_EGRESS)
		return PCAPNG_OUTBOUND;
	return PCAPNG_INBOUND;
}

static void print_time(struct session *s, uint64_t ns)
{
	const time_t sec = (time_t)(ns / 1000000000);
	char text[16];
	struct tm tm;

	if (!localtime_r(&sec, &tm))
		return;
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	fprintf(s->c->out, "%s%s.%09u%s ", style_on(s->c->color, STYLE_DIM), text,
		(unsigned int)(ns % 1000000000), style_off(s->c->color, STYLE_DIM));
}

static void print_line(struct session *s, const struct capring_record *r, const char *summary,
		       const char *text)
{
	const bool bad = r->n_dropped > 0;
	FILE *out = s->c->out;
	char port[32];

	print_time(s, r->time_ns);
	fprintf(out, "%s  %s  %s%s%s\n", capture_port(&s->names, r->port, port, sizeof(port)),
		summary, style_on(s->c->color && bad, STYLE_BAD), text,
		style_off(s->c->color && bad, STYLE_BAD));
}

static void print_json(struct session *s, const struct capring_record *r, const char *summary,
		       const char *text)
{
	const char *reason = capture_reason(&s->names, r), *verdict = capture_verdict(r);
	char port[32];
	json_t *j =
		json_pack("{s:f, s:s, s:s, s:i, s:i, s:s, s:s}", "time", (double)r->time_ns / 1e9,
			  "point", capring_point_name(r->point), "ifname",
			  capture_port(&s->names, r->port, port, sizeof(port)), "len", (int)r->len,
			  "caplen", (int)r->caplen, "text", text, "summary", summary);

	if (*verdict)
		json_object_set_new(j, "verdict", json_string(verdict));
	if (r->verdict == CAPRING_UNICAST)
		json_object_set_new(
			j, "to",
			json_string(capture_port(&s->names, r->to_port, port, sizeof(port))));
	if (reason)
		json_object_set_new(j, "reason", json_string(reason));
	json_dumpf(j, s->c->out, JSON_COMPACT);
	fputc('\n', s->c->out);
	json_decref(j);
}

/* What capture_text() goes by: all but sizes, time and the port where the frame was seen. */
static bool same_words(const struct capring_record *a, const struct capring_record *b)
{
	const size_t from = offsetof(struct capring_record, to_port);

	return a->size && a->point == b->point && a->verdict == b->verdict &&
	       a->flags == b->flags &&
	       !memcmp((const char *)a + from, (const char *)b + from, sizeof(*a) - from);
}

static const char *text_of(struct session *s, const struct capring_record *r)
{
	struct said *t = &s->said[(r->to_port * 7u + r->in_port * 3u + r->verdict + r->gso_size +
				   r->point * 5u + r->flags) %
				  SAID];

	if (same_words(&t->about, r))
		return t->text;
	memcpy(&t->about, r, sizeof(t->about));
	return capture_text(&s->names, r, t->text, sizeof(t->text));
}

static void take_packet(struct session *s, const struct capring_record *r)
{
	char summary[FRAME_SUMMARY_SIZE];
	const uint32_t i = s->if_of[r->port];
	const char *text;

	if (i == 0) { /* its port was told before, or the memory is not the daemon's any more */
		s->ending = BROKEN;
		return;
	}
	text = text_of(s, r);
	s->n++;
	s->ifs[i - 1].delivered++;
	if (s->file) {
		pcapng_packet(&s->png, &(struct pcapng_packet){.interface = i - 1,
							       .time_ns = r->time_ns,
							       .data = r->data,
							       .caplen = r->caplen,
							       .len = r->len,
							       .direction = direction(r),
							       .comment = text});
		return;
	}
	frame_summary(r->data, r->caplen, r->len, summary, sizeof(summary));
	if (s->c->json)
		print_json(s, r, summary, text);
	else
		print_line(s, r, summary, text);
}

static void look_at_output(struct session *s)
{
	if (s->ending)
		return;
	if (s->file && s->png.error)
		s->ending = s->png.error == -EPIPE ? OUTPUT_GONE : OUTPUT_FAILED;
	else if (!s->file && ferror(s->c->out))
		s->ending = OUTPUT_GONE;
}

/* A turn. True: there may be more. */
static bool drain(struct session *s)
{
	const struct capring_record *r = NULL;
	uint32_t n;

	for (n = 0; n < TURN && !s->ending; n++) {
		if (capring_next(&s->ring, &r)) {
			s->ending = BROKEN;
			break;
		}
		if (!r)
			break;
		if (r->type == CAPRING_PORT)
			take_port(s, r);
		else
			take_packet(s, r);
		capring_release(&s->ring);
		look_at_output(s);
		if (s->count && s->n == s->count && !s->ending)
			s->ending = DONE;
	}
	return r && !s->ending;
}

static void flush(struct session *s)
{
	if (s->file)
		pcapng_flush(&s->png);
	else
		fflush(s->c->out);
	look_at_output(s);
}

/* ---- the loop ---- */

static bool is_over(const struct session *s)
{
	return stopped || (s->deadline_ms && now_ms() >= s->deadline_ms);
}

/* Waits for the bell, the daemon's end, or that of the reader of our output. */
static void wait_for_bell(struct session *s)
{
	struct pollfd p[] = {{.fd = s->fds[1], .events = POLLIN},
			     {.fd = viaduct_fd(s->c->conn), .events = POLLIN},
			     {.fd = s->out_hangs_up ? s->out_fd : -1, .events = 0}};
	int timeout = WAIT_MS;
	uint64_t n;

	if (s->deadline_ms) {
		const uint64_t now = now_ms();

		timeout = s->deadline_ms <= now ? 0 : (int)min_of(s->deadline_ms - now, WAIT_MS);
	}
	if (poll(p, array_size(p), timeout) <= 0)
		return;
	if (p[0].revents && read(s->fds[1], &n, sizeof(n)) < 0 && errno != EAGAIN)
		s->ending = BROKEN;
	if (p[2].revents & (POLLERR | POLLHUP | POLLNVAL))
		s->ending = OUTPUT_GONE;
	/* Nothing is said on this connection any more, but for its end. */
	if (p[1].revents && !s->ending)
		s->ending = DAEMON_GONE;
}

static void run(struct session *s)
{
	while (!s->ending && !is_over(s)) {
		if (drain(s))
			continue;
		flush(s);
		if (s->ending || capring_sleep(&s->ring))
			wait_for_bell(s);
		else if (capring_ended(&s->ring) && s->ring.tail == s->ring.shared->head)
			s->ending = BRIDGE_GONE;
	}
	/* What came until now; a bridge at full speed does not keep us. */
	for (uint32_t i = 0; !s->ending && i < CAPRING_SIZE / 64 / TURN && drain(s); i++)
		;
}

static struct capring_counters counters_of(const struct session *s, uint32_t i)
{
	const struct capring_counters *now = &s->ring.shared->ports[s->ifs[i].port];
	struct capring_counters r = s->ifs[i].base;

	/* A later port of that number goes on counting from there. */
	for (uint32_t k = i + 1; k < s->n_ifs; k++)
		if (s->ifs[k].port == s->ifs[i].port) {
			now = &s->ifs[k].base;
			break;
		}
	r.seen = now->seen - r.seen;
	r.accepted = now->accepted - r.accepted;
	r.lost = now->lost - r.lost;
	return r;
}

static uint64_t n_lost(const struct session *s)
{
	uint64_t n = 0;

	for (uint32_t no = 0; no < CAPRING_PORTS; no++)
		n += s->ring.shared->ports[no].lost;
	return n;
}

static void end_file(struct session *s)
{
	const uint64_t end_ns = wall_ns();

	for (uint32_t i = 0; i < s->n_ifs; i++) {
		const struct capring_counters n = counters_of(s, i);

		pcapng_stats(&s->png,
			     &(struct pcapng_stats){i, end_ns, s->start_ns, end_ns, n.seen,
						    n.accepted, n.lost, s->ifs[i].delivered});
	}
	pcapng_flush(&s->png);
	look_at_output(s);
}

/* ---- start and end ---- */

/* Whether the output can lose its reader. */
static void watch_output(struct session *s)
{
	struct stat st;

	if (fstat(s->out_fd, &st) == 0)
		s->out_hangs_up = S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode);
}

/* 0 or an exit code after a sentence. */
static int open_output(struct session *s)
{
	if (!s->file) {
		s->out_fd = fileno(s->c->out);
		watch_output(s);
		return CLI_OK;
	}
	s->out_fd = STDOUT_FILENO;
	fflush(s->c->out);
	if (strcmp(s->file, "-") != 0)
		s->out_fd = open(s->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	else if (isatty(STDOUT_FILENO))
		return cli_fail(s->c, CTL_E_ARGS, "viaduct capture BR -w - | wireshark -k -i -",
				"capture: standard output is a terminal, and a capture no text");
	if (s->out_fd < 0)
		return cli_fail(s->c, CTL_E_ARGS, NULL, "%s: %s", s->file, strerror(errno));
	watch_output(s);
	if (pcapng_init(&s->png, s->out_fd))
		return cli_fail(s->c, CTL_E_INTERNAL, NULL, "capture: no memory");
	pcapng_section(&s->png, "viaduct");
	return CLI_OK;
}

static int map_ring(struct session *s, const json_t *result)
{
	const json_int_t size = row_int(result, "size");

	if (row_int(result, "layout") != CAPRING_LAYOUT || size < 4096 || (size & (size - 1)))
		return cli_fail(s->c, CTL_E_INTERNAL, NULL,
				"capture: the daemon has another layout of rings than this "
				"command: they are of different versions");
	s->memory_size = CAPRING_DATA + (size_t)size;
	s->memory = mmap(NULL, s->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fds[0], 0);
	if (s->memory == MAP_FAILED) {
		s->memory = NULL;
		return cli_fail(s->c, CTL_E_INTERNAL, NULL, "capture: %s", strerror(errno));
	}
	capring_open(&s->ring, s->memory, (uint64_t)size);
	return CLI_OK;
}

/* What capture.start wants of the command's words. */
static json_t *request_of(struct session *s, const json_t *args)
{
	static const char *const same[] = {"bridge", "points", "port", "filter"};
	json_t *req = json_pack("{s:i}", "snaplen", (int)s->snaplen);

	for (size_t i = 0; i < array_size(same); i++)
		if (json_object_get(args, same[i]))
			json_object_set(req, same[i], json_object_get(args, same[i]));
	return req;
}

static int start(struct session *s, const json_t *args, json_t **ret_result)
{
	struct viaduct_error err;
	unsigned int n = 2;
	int r = cli_connect(s->c, false);

	if (r)
		return r;
	if (viaduct_call_fds(s->c->conn, "capture.start", request_of(s, args), ret_result, s->fds,
			     &n, &err))
		return cli_error(s->c, &err);
	if (n != 2)
		return cli_fail(s->c, CTL_E_INTERNAL, NULL,
				"capture: the daemon's answer came without its ring");
	s->names.reasons = json_object_get(*ret_result, "reasons");
	if (row_bool(*ret_result, "adopted"))
		cli_note(s->c,
			 "%s stays the kernel's bridge: frames are seen while a netmap program has "
			 "it open",
			 s->bridge);
	return map_ring(s, *ret_result);
}

static void catch_signals(void)
{
	/* A second one ends a process that hangs in its output. */
	struct sigaction sa = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};

	stopped = 0;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

static int report(struct session *s)
{
	const uint64_t n = s->file ? s->png.n_written : s->n;
	const char *name = !s->file ? s->bridge : !strcmp(s->file, "-") ? "stdout" : s->file;
	char frames[64];

	fmt_plural((json_int_t)n, "frame", "frames", frames, sizeof(frames));
	switch (s->ending) {
	case OUTPUT_FAILED:
		return cli_fail(s->c, CTL_E_ARGS, NULL,
				"%s: %s; the capture ends after %s, all of them whole", name,
				strerror(-s->png.error), frames);
	case BRIDGE_GONE:
		return cli_fail(s->c, CTL_E_BRIDGE_NONE, NULL,
				"bridge %s: was removed; the capture ends after %s", s->bridge,
				frames);
	case DAEMON_GONE:
		return cli_fail(s->c, CTL_E_NO_DAEMON, NULL,
				"the daemon has ended, and the capture of %s with it, after %s",
				s->bridge, frames);
	case BROKEN:
		return cli_fail(s->c, CTL_E_INTERNAL, NULL,
				"capture: what the ring holds makes no sense; it ends after %s",
				frames);
	default:
		cli_note(s->c, "%s: %s, %llu lost because this command was too slow", name, frames,
			 (unsigned long long)n_lost(s));
		return CLI_OK;
	}
}

static void session_end(struct session *s)
{
	if (s->file)
		pcapng_deinit(&s->png);
	if (s->file && s->out_fd >= 0 && s->out_fd != STDOUT_FILENO)
		close(s->out_fd);
	if (s->memory)
		munmap(s->memory, s->memory_size);
	for (int i = 0; i < 2; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	free(s->ifs);
	/* The capture is the connection's. */
	s->c->conn = viaduct_close(s->c->conn);
}

int cmd_capture(struct cli *c, const struct command *cmd, json_t *args)
{
	static struct session s;
	const json_t *snaplen = json_object_get(args, "snaplen");
	json_t *result = NULL;
	int r;

	s = (struct session){
		.c = c, .bridge = row_text(args, "bridge"), .fds = {-1, -1}, .out_fd = -1};
	if (json_object_get(args, "file"))
		s.file = row_text(args, "file");
	if (json_object_get(args, "filter"))
		s.filter = row_text(args, "filter");
	s.count = (uint64_t)row_int(args, "count");
	s.snaplen = snaplen  ? (uint32_t)min_of(json_integer_value(snaplen), INT32_MAX)
		    : s.file ? CAPRING_SNAP_MAX
			     : SNAP_FOR_TEXT;
	catch_signals();
	r = start(&s, args, &result);
	if (!r)
		r = open_output(&s);
	if (!r) {
		s.start_ns = wall_ns();
		if (row_int(args, "seconds"))
			s.deadline_ms = now_ms() + (uint64_t)row_int(args, "seconds") * 1000;
		run(&s);
		if (s.file)
			end_file(&s);
		else
			flush(&s);
		r = report(&s);
	}
	session_end(&s);
	json_decref(result);
	return r;
}
