/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection reads while it has nothing long to say: while a stream (a long answer) runs,
 * requests wait in the socket. A stream is continued when less than STREAM_LOW bytes wait, so a
 * dump of a million rows needs little memory. A client that sends requests and does not read the
 * answers finds that nobody reads its requests, either. An answer of more than CTL_BACKLOG_MAX
 * means that the client is considered gone. While events of an answer that goes on come (struct
 * cmd_live), what the client sends ends it; events that find LIVE_MAX bytes waiting are lost.
 *
 * Events come unasked: for a monitor that does not read they are counted instead when more than
 * EVENTS_BACKLOG wait, and it is told so before the next one. So a thousand of them cannot eat the
 * daemon's memory.
 *
 * Connections that are one too many get a sentence. Others than monitors are short, so monitors
 * cannot take all places; and only root can take the last ones.
 */
#include "daemon/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/probe.h"
#include "daemon/cmd.h"
#include "daemon/events.h"
#include "sys/clock.h"
#include "sys/loop.h"
#include "sys/sock.h"
#include "wire/msg.h"

LOG_MODULE("daemon/server");

#define CONNS_MAX      256u
#define CONNS_ROOT     16u /* of them only for those who may change something */
#define MONITORS_MAX   192u
#define STREAM_LOW     65536u
#define LIVE_MAX       (1u << 20) /* bytes of events that may wait for a client */
#define EVENTS_BACKLOG 262144u
#define READ_TURN      262144u /* bytes of one client before others get their turn */

struct server {
	struct daemon *d;
	struct loop_source *source;
	struct list conns;
	uint32_t n_conns, n_monitors;
	struct limit refused; /* of complaints about clients that were refused */
	int fd;
	char *path;
};

struct server_conn {
	struct list node;
	struct server *s;
	struct loop_source *source;
	struct sock_peer peer;
	struct ctl_lines in;
	char *out;
	size_t out_start, out_end, out_cap;
	struct cmd_call call; /* the request that a stream answers */
	struct list owned;    /* of struct server_owned */
	unsigned int groups;  /* monitor of these */
	int64_t monitor_id;
	uint64_t n_lost; /* events that it was not sent, and was not told of */
	int fd;
	bool closing; /* when out is empty */
	bool broken;  /* now */
};

/* ---- sending ---- */

size_t server_backlog(const struct server_conn *c)
{
	return c->out_end - c->out_start;
}

static int out_room(struct server_conn *c, size_t len)
{
	size_t cap = c->out_cap ? c->out_cap : 4096;
	char *p;

	if (c->out_start > 0) {
		memmove(c->out, c->out + c->out_start, server_backlog(c));
		c->out_end -= c->out_start;
		c->out_start = 0;
	}
	while (cap < c->out_end + len)
		cap *= 2;
	if (cap == c->out_cap)
		return 0;
	p = realloc(c->out, cap);
	if (!p)
		return -ENOMEM;
	c->out = p;
	c->out_cap = cap;
	return 0;
}

void server_send(struct server_conn *c, json_t *msg)
{
	size_t len;
	char *line = ctl_encode(msg, &len);

	if (line && !c->broken && server_backlog(c) + len > CTL_BACKLOG_MAX) {
		log_warn("client pid=%d: does not read its answers, closed", (int)c->peer.pid);
		c->broken = true;
	}
	c->broken = c->broken || !line || (c->out_cap - c->out_end < len && out_room(c, len));
	if (!c->broken) {
		memcpy(c->out + c->out_end, line, len);
		c->out_end += len;
	}
	free(line);
}

void server_send_fds(struct server_conn *c, json_t *msg, const int *fds, uint32_t n)
{
	size_t len;
	char *line = ctl_encode(msg, &len);
	ssize_t sent =
		line && server_backlog(c) == 0 ? sock_send_fds(c->fd, line, len, fds, n) : -1;

	c->broken = c->broken || sent < 0;
	if (!c->broken && (size_t)sent < len) {
		c->broken = out_room(c, len) != 0;
		if (!c->broken) {
			memcpy(c->out, line + sent, len - (size_t)sent);
			c->out_end = len - (size_t)sent;
		}
	}
	free(line);
}

const struct sock_peer *server_peer(const struct server_conn *c, int *ret_fd)
{
	*ret_fd = c->fd;
	return &c->peer;
}

void server_own(struct server_conn *c, struct server_owned *o)
{
	list_append(&c->owned, &o->node);
}

/* Writes what the socket takes. */
static void flush(struct server_conn *c)
{
	while (c->out_end > c->out_start && !c->broken) {
		ssize_t n = send(c->fd, c->out + c->out_start, server_backlog(c), MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			c->broken = true;
		else
			c->out_start += (size_t)n;
	}
	if (c->out_start < c->out_end)
		return;
	c->out_start = c->out_end = 0;
	if (c->out_cap > STREAM_LOW) {
		free(c->out);
		c->out = NULL;
		c->out_cap = 0;
	}
}

/* ---- requests ---- */

static bool is_root(const struct sock_peer *peer)
{
	/* In a user namespace without a mapping for root, the daemon's own user is root. */
	return peer->uid == 0 || peer->uid == geteuid();
}

bool server_may_write(const struct server_conn *c)
{
	return is_root(&c->peer);
}

static bool may_read(const struct server_conn *c)
{
	return server_may_write(c) || c->peer.in_group;
}

static void finish_call(struct server_conn *c, const struct cmd *cmd, int r)
{
	struct cmd_call *call = &c->call;

	if (r)
		server_send(c, ctl_error_reply(call->id, &call->err));
	else if (call->monitor)
		log_debug("client pid=%d: monitors", (int)c->peer.pid);
	else if (call->n_fds)
		server_send_fds(c, ctl_result(call->id, json_incref(call->result)), call->fds,
				call->n_fds);
	else if (cmd && !(cmd->flags & CMD_ROWS))
		server_send(c, ctl_result(call->id, json_incref(call->result)));
	else
		server_send(c, ctl_end(call->id, call->rows));
	json_decref(call->result);
	json_decref(call->args);
	memset(call, 0, sizeof(*call));
}

static int run_request(struct server_conn *c, const struct ctl_request_msg *m,
		       const struct cmd **ret_cmd)
{
	struct cmd_call *call = &c->call;
	const struct cmd *cmd = cmd_find(m->cmd, &call->err);
	int r;

	*ret_cmd = cmd;
	if (!cmd)
		return call->err.code;
	if (!may_read(c) || ((cmd->flags & CMD_WRITE) && !server_may_write(c)))
		return ctl_fail(&call->err, CTL_E_DENIED, "%s: not permitted for uid %u", cmd->name,
				(unsigned int)c->peer.uid);
	PROBE(command_begin, cmd->name, c->peer.pid, c->peer.uid);
	r = cmd_run(cmd, call);
	PROBE(command_end, cmd->name, c->peer.pid, r);
	return r;
}

static void on_line(struct server_conn *c, const char *line, size_t len)
{
	const struct cmd *cmd = NULL;
	struct ctl_request_msg m;
	int r;

	c->call = (struct cmd_call){.d = c->s->d, .conn = c};
	r = ctl_request_parse(line, len, &m, &c->call.err);
	c->call.id = m.id;
	if (!r) {
		c->call.args = m.args ? json_incref(m.args) : json_object();
		r = run_request(c, &m, &cmd);
	}
	json_decref(m.root);
	if (!r && (c->call.stream || c->call.live))
		return; /* goes on in pump(), or when something happens */
	finish_call(c, cmd, r);
}

static void run_stream(struct server_conn *c)
{
	struct cmd_stream *s = c->call.stream;

	while (server_backlog(c) < STREAM_LOW && !c->broken) {
		if (s->next(s))
			continue;
		s->free(s);
		c->call.stream = NULL;
		finish_call(c, NULL, 0);
		return;
	}
}

/* The last answer: what follows cannot be understood, or never comes. */
static void give_up(struct server_conn *c, bool too_long)
{
	struct ctl_error err;

	if (too_long)
		ctl_fail(&err, CTL_E_SYNTAX, "request: longer than %u bytes", CTL_LINE_MAX);
	else
		ctl_fail(&err, CTL_E_SYNTAX, "request: ended in the middle of a line");
	server_send(c, ctl_error_reply(0, &err));
	c->closing = true;
}

/* The next request may run: the answers before it have nearly been read. */
static bool may_serve(const struct server_conn *c)
{
	return !c->call.stream && !c->call.live && !c->broken && server_backlog(c) < STREAM_LOW;
}

/* Is it of interest what the client sends? */
static bool listens(const struct server_conn *c)
{
	return c->call.live ? !c->broken : may_serve(c);
}

/* Reads at most a turn's worth. */
static void receive(struct server_conn *c)
{
	size_t total = 0;

	while (total < READ_TURN && !c->closing && listens(c)) {
		size_t room, len;
		char *p, *line;
		ssize_t n;
		int r = ctl_lines_room(&c->in, &p, &room);

		if (r) {
			give_up(c, true);
			return;
		}
		n = read(c->fd, p, room);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n == 0 && c->in.end > c->in.start && !c->call.live) {
			give_up(c, false);
			return;
		}
		if (n <= 0) {
			c->broken = n < 0 || c->call.live;
			c->closing = true;
			return;
		}
		total += (size_t)n;
		ctl_lines_filled(&c->in, (size_t)n);
		if (c->call.live)
			c->call.live->stop(c->call.live);
		while (may_serve(c) && (line = ctl_lines_next(&c->in, &len)))
			on_line(c, line, len);
	}
}

/* ---- connections ---- */

static void update_wanted(struct server *s)
{
	unsigned int groups = 0;

	list_for_each (i, &s->conns)
		groups |= list_entry(i, struct server_conn, node)->groups;
	events_want_fdb(s->d->events, groups & SERVER_FDB);
}

static void conn_free(struct server_conn *c)
{
	struct server *s = c->s;

	loop_del(c->source);
	list_del(&c->node);
	s->n_conns--;
	list_for_each_safe (i, &c->owned) {
		struct server_owned *o = list_entry(i, struct server_owned, node);

		list_del(&o->node);
		o->gone(o);
	}
	if (c->call.stream)
		c->call.stream->free(c->call.stream);
	if (c->call.live)
		c->call.live->gone(c->call.live);
	json_decref(c->call.args);
	json_decref(c->call.result);
	ctl_lines_deinit(&c->in);
	free(c->out);
	close(c->fd);
	if (c->groups) {
		s->n_monitors--;
		update_wanted(s);
	}
	free(c);
}

/* Lines that came in while a stream ran. */
static void catch_up(struct server_conn *c)
{
	size_t len;
	char *line;

	while (may_serve(c) && (line = ctl_lines_next(&c->in, &len)))
		on_line(c, line, len);
}

/* A message about events that were not sent. */
static void tell_lost(struct server_conn *c)
{
	const uint64_t n = c->n_lost;

	c->n_lost = 0;
	server_send(c, ctl_event(c->monitor_id,
				 json_pack("{s:f, s:s, s:s, s:s, s:I}", "time", clock_wall_s(),
					   "group", "daemon", "kind", "lost", "where", "client",
					   "count", (json_int_t)n)));
}

/* Something that can go on now, and has not. */
static bool has_more(const struct server_conn *c)
{
	if (c->broken || server_backlog(c) >= STREAM_LOW)
		return false;
	return c->call.stream || ctl_lines_pending(&c->in);
}

/* Everything that can be done without waiting. May free c. */
static void pump(struct server_conn *c)
{
	unsigned int wanted = 0;

	do {
		if (c->call.stream)
			run_stream(c);
		if (!c->call.stream)
			catch_up(c);
		flush(c);
		if (c->n_lost && server_backlog(c) == 0 && !c->broken) {
			tell_lost(c);
			flush(c);
		}
	} while (has_more(c));
	if (c->broken || (c->closing && server_backlog(c) == 0 && !c->call.stream)) {
		conn_free(c);
		return;
	}
	if (!c->closing && listens(c))
		wanted |= LOOP_READ;
	if (server_backlog(c) > 0)
		wanted |= LOOP_WRITE;
	loop_fd_events(c->source, wanted);
}

static void on_conn(void *ctx, unsigned int events)
{
	struct server_conn *c = ctx;

	if (events & LOOP_READ)
		receive(c);
	pump(c);
}

static void greet(struct server_conn *c)
{
	server_send(c, ctl_greeting(DAEMON_VERSION, getpid(), c->s->d->netns));
	pump(c);
}

/* Why this peer gets no connection; NULL: it gets one. */
static const char *refuses(const struct server *s, const struct sock_peer *peer)
{
	if (s->n_conns >= CONNS_MAX)
		return "as many clients as it takes are connected";
	if (s->n_conns >= CONNS_MAX - CONNS_ROOT && !is_root(peer))
		return "the last connections are for root";
	return NULL;
}

/* One line instead of the greeting, as far as the socket takes it, and that was it. */
static void refuse(struct server *s, int fd, const struct sock_peer *peer, const char *why)
{
	struct ctl_error err;
	uint64_t suppressed;
	size_t len;
	char *line;

	ctl_fail(&err, CTL_E_BUSY, "viaductd: %s (%u)", why, s->n_conns);
	ctl_hint(&err, "end a `viaduct monitor` that nobody reads");
	line = ctl_encode(ctl_error_reply(0, &err), &len);
	if (line && send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("client pid=%d: %s", (int)peer->pid, err_text(-errno));
	free(line);
	close(fd);
	if (limit_take(&s->refused, clock_now_ns(), &suppressed))
		log_warn("control socket: client pid=%d uid=%u was refused, %s (%llu more before)",
			 (int)peer->pid, (unsigned int)peer->uid, why,
			 (unsigned long long)suppressed);
}

static void on_accept(void *ctx, unsigned int events)
{
	struct server *s = ctx;
	struct server_conn *c;
	struct sock_peer peer = {0};
	int fd = sock_accept(s->fd);
	const char *why;

	if (fd < 0)
		return;
	if (sock_peer(fd, s->d->group, &peer)) {
		close(fd);
		return;
	}
	why = refuses(s, &peer);
	c = why ? NULL : calloc(1, sizeof(*c));
	if (!c) {
		refuse(s, fd, &peer, why ? why : "no memory");
		return;
	}
	c->s = s;
	c->fd = fd;
	c->peer = peer;
	list_init(&c->owned);
	ctl_lines_init(&c->in, CTL_LINE_MAX);
	list_append(&s->conns, &c->node);
	s->n_conns++;
	c->source = loop_fd(s->d->loop, fd, LOOP_READ, on_conn, c);
	if (!c->source)
		conn_free(c);
	else
		greet(c);
}

struct server *server_new(struct daemon *d, const char *path)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->d = d;
	list_init(&s->conns);
	s->path = strdup(path);
	s->fd = sock_listen(path, d->opt.group || d->group ? d->group : (gid_t)-1);
	if (s->fd < 0) {
		log_err("control socket %s: %s", path, err_text(s->fd));
		free(s->path);
		free(s);
		return NULL;
	}
	s->source = loop_fd(d->loop, s->fd, LOOP_READ, on_accept, s);
	return s;
}

struct server *server_free(struct server *s)
{
	if (!s)
		return NULL;
	list_for_each_safe (i, &s->conns) {
		struct server_conn *c = list_entry(i, struct server_conn, node);

		flush(c);
		conn_free(c);
	}
	loop_del(s->source);
	close(s->fd);
	unlink(s->path);
	free(s->path);
	free(s);
	return NULL;
}

/* How many events somebody misses who does not get this one. */
static uint64_t missed_with(const json_t *event)
{
	const char *kind = json_string_value(json_object_get(event, "kind"));

	if (strcmp(kind, "lost"))
		return 1;
	return (uint64_t)json_integer_value(json_object_get(event, "count"));
}

void server_event(struct server *s, enum server_group group, json_t *event)
{
	list_for_each_safe (i, &s->conns) {
		struct server_conn *c = list_entry(i, struct server_conn, node);

		if (!(c->groups & group))
			continue;
		if (server_backlog(c) >= EVENTS_BACKLOG) {
			c->n_lost += missed_with(event);
			continue;
		}
		if (c->n_lost)
			tell_lost(c);
		server_send(c, ctl_event(c->monitor_id, json_incref(event)));
		/* Not pumped here: that could free the connection whose command caused the event.
		 */
		loop_fd_events(c->source, LOOP_READ | LOOP_WRITE);
	}
	json_decref(event);
}

bool server_monitor(struct server_conn *c, unsigned int groups, int64_t id)
{
	if (!c->groups && c->s->n_monitors >= MONITORS_MAX)
		return false;
	c->s->n_monitors += !c->groups;
	c->groups |= groups;
	c->monitor_id = id;
	update_wanted(c->s);
	return true;
}

bool server_live_send(struct server_conn *c, json_t *event)
{
	if (server_backlog(c) > LIVE_MAX || c->broken) {
		json_decref(event);
		return false;
	}
	server_send(c, ctl_event(c->call.id, event));
	loop_fd_events(c->source, LOOP_READ | LOOP_WRITE);
	return true;
}

void server_live_end(struct server_conn *c, json_t *result)
{
	server_send(c, ctl_result(c->call.id, result));
	json_decref(c->call.args);
	memset(&c->call, 0, sizeof(c->call));
	loop_fd_events(c->source, LOOP_READ | LOOP_WRITE);
}

uint32_t server_n_conns(const struct server *s)
{
	return s->n_conns;
}
