/* SPDX-License-Identifier: BSD-2-Clause */
/* The control client: see viaduct.h. wire/msg.h has the messages, this file the socket. */
#include "viaduct.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "wire/msg.h"

#define TIMEOUT_MS          30000
#define GREETING_TIMEOUT_MS 5000
#define FDS_MAX             4u /* descriptors that come with an answer */

/* The public header repeats a few numbers of the protocol. */
static_assert(VIADUCT_PROTOCOL == CTL_PROTOCOL, "protocol version");
static_assert(VIADUCT_E_NOT_YET == CTL_E_NOT_YET, "code");
static_assert(VIADUCT_E_INTERNAL == CTL_E_INTERNAL, "code");
static_assert(VIADUCT_E_NETNS == CTL_E_NETNS, "code");
static_assert(VIADUCT_E_NO_DAEMON == CTL_E_NO_DAEMON, "code");
static_assert(VIADUCT_E_BRIDGE_NONE == CTL_E_BRIDGE_NONE, "code");

struct viaduct {
	int fd;
	int timeout_ms;
	int64_t next_id;
	int64_t watch_id; /* request that events belong to; 0 = none */
	struct ctl_lines lines;
	struct viaduct_info info;
	int fds[FDS_MAX]; /* that came, and that nobody has asked for yet */
	unsigned int n_fds;
};

/* Outcomes of wait_reply() beside 0 and an error code (which are positive). */
#define WAIT_TIMEOUT (-1)

static _printf_(3, 4) int fail(struct viaduct_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	memset(err, 0, sizeof(*err));
	err->code = code;
	snprintf(err->name, sizeof(err->name), "%s", ctl_code_name(code));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

/* An error of the daemon's, as it is. */
static int fail_reply(struct viaduct_error *err, const struct ctl_error *e)
{
	fail(err, e->code, "%s", e->text);
	if (err)
		memcpy(err->hint, e->hint, sizeof(err->hint));
	return e->code;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const char *viaduct_run_dir(const char *run_dir)
{
	const char *env;

	if (run_dir && *run_dir)
		return run_dir;
	env = secure_getenv("VIADUCT_RUN_DIR");
	return env && *env ? env : CTL_RUN_DIR;
}

uint64_t viaduct_netns(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) < 0 ? 0 : st.st_ino;
}

static int gone(struct viaduct *v, struct viaduct_error *err)
{
	return fail(err, CTL_E_NO_DAEMON, "%s: the daemon closed the connection", v->info.socket);
}

/* Waits for bytes. 0, WAIT_TIMEOUT (also when a signal came and interruptible is set), or a code.
 */
static int wait_readable(struct viaduct *v, int64_t deadline_ms, bool interruptible,
			 struct viaduct_error *err)
{
	struct pollfd p = {.fd = v->fd, .events = POLLIN};

	for (;;) {
		int64_t left = deadline_ms < 0 ? -1 : deadline_ms - now_ms();
		int n;

		if (deadline_ms >= 0 && left < 0)
			left = 0;
		n = poll(&p, 1, (int)left);
		if (n > 0)
			return 0;
		if (n == 0 || (errno == EINTR && interruptible))
			return WAIT_TIMEOUT;
		if (errno != EINTR)
			return fail(err, CTL_E_INTERNAL, "%s: %s", v->info.socket, strerror(errno));
	}
}

/* Keeps the first descriptors, closes others. */
static void take_fds(struct viaduct *v, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0);
		     at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
			if (v->n_fds < FDS_MAX)
				v->fds[v->n_fds++] = fd;
			else
				close(fd);
		}
	}
}

static void close_fds(struct viaduct *v)
{
	while (v->n_fds > 0)
		close(v->fds[--v->n_fds]);
}

static ssize_t receive(struct viaduct *v, char *p, size_t room)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {p, room};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(v->fd, &m, MSG_CMSG_CLOEXEC);

	if (n >= 0)
		take_fds(v, &m);
	return n;
}

static int read_some(struct viaduct *v, struct viaduct_error *err)
{
	size_t room;
	ssize_t n;
	char *p;
	int r = ctl_lines_room(&v->lines, &p, &room);

	if (r < 0)
		return fail(err, CTL_E_INTERNAL, "%s: out of memory", v->info.socket);
	if (r > 0)
		return fail(err, CTL_E_SYNTAX, "%s: the daemon sent a line of more than %u bytes",
			    v->info.socket, CTL_REPLY_MAX);
	n = receive(v, p, room);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return gone(v, err);
	if (n < 0)
		return errno == EINTR ? 0
				      : fail(err, CTL_E_INTERNAL, "%s: %s", v->info.socket,
					     strerror(errno));
	ctl_lines_filled(&v->lines, (size_t)n);
	return 0;
}

/* The next message. Its root is the caller's. 0, WAIT_TIMEOUT or a code. */
static int wait_reply(struct viaduct *v, int timeout_ms, bool interruptible,
		      struct ctl_reply_msg *ret, struct viaduct_error *err)
{
	int64_t deadline_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
	size_t len;
	char *line;
	int r;

	while (!(line = ctl_lines_next(&v->lines, &len))) {
		r = wait_readable(v, deadline_ms, interruptible, err);
		if (r)
			return r;
		r = read_some(v, err);
		if (r)
			return r;
	}
	r = ctl_reply_parse(line, len, ret);
	if (r < 0)
		return fail(err, CTL_E_SYNTAX,
			    "%s: what answers there does not speak the control protocol",
			    v->info.socket);
	return 0;
}

static int no_answer(struct viaduct *v, int timeout_ms, struct viaduct_error *err)
{
	return fail(err, CTL_E_INTERNAL, "%s: the daemon did not answer for %d seconds",
		    v->info.socket, timeout_ms / 1000);
}

static int take_greeting(struct viaduct *v, struct viaduct_error *err)
{
	struct ctl_reply_msg m;
	int r = wait_reply(v, GREETING_TIMEOUT_MS, false, &m, err);

	if (r == WAIT_TIMEOUT)
		return no_answer(v, GREETING_TIMEOUT_MS, err);
	if (r)
		return r;
	if (m.kind == CTL_ERROR) {
		r = fail_reply(err, &m.err);
	} else if (m.kind != CTL_GREETING) {
		r = fail(err, CTL_E_SYNTAX, "%s: no greeting", v->info.socket);
	} else {
		snprintf(v->info.version, sizeof(v->info.version), "%s",
			 json_string_value(json_object_get(m.body, "viaduct")));
		v->info.protocol = (int)json_integer_value(json_object_get(m.body, "protocol"));
		v->info.pid = (int)json_integer_value(json_object_get(m.body, "pid"));
		v->info.netns = (uint64_t)json_integer_value(json_object_get(m.body, "netns"));
		if (v->info.protocol != CTL_PROTOCOL)
			r = fail(err, CTL_E_SYNTAX,
				 "%s: viaductd %s speaks protocol %d, this client %d",
				 v->info.socket, v->info.version, v->info.protocol, CTL_PROTOCOL);
	}
	json_decref(m.root);
	return r;
}

static int connect_socket(struct viaduct *v, const struct sockaddr_un *sa,
			  struct viaduct_error *err)
{
	v->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (v->fd < 0)
		return fail(err, CTL_E_INTERNAL, "control socket: %s", strerror(errno));
	if (connect(v->fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
		return 0;
	if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
		return fail(err, CTL_E_NO_DAEMON, "no daemon is running (%s: %s)", sa->sun_path,
			    strerror(errno));
	if (errno == EACCES || errno == EPERM)
		return fail(err, CTL_E_DENIED,
			    "%s: permission denied; reading is for root and the daemon's group",
			    sa->sun_path);
	return fail(err, CTL_E_INTERNAL, "%s: %s", sa->sun_path, strerror(errno));
}

int viaduct_open(const char *run_dir, struct viaduct **ret, struct viaduct_error *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct viaduct *v;
	int n, r;

	run_dir = viaduct_run_dir(run_dir);
	n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/" CTL_SOCKET_NAME, run_dir);
	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return fail(err, CTL_E_VALUE,
			    "run directory %s: too long, a socket's path has at most %zu bytes",
			    run_dir, sizeof(sa.sun_path) - 1);
	v = calloc(1, sizeof(*v));
	if (!v)
		return fail(err, CTL_E_INTERNAL, "out of memory");
	ctl_lines_init(&v->lines, CTL_REPLY_MAX);
	memcpy(v->info.socket, sa.sun_path, sizeof(v->info.socket));
	v->timeout_ms = TIMEOUT_MS;
	r = connect_socket(v, &sa, err);
	if (!r)
		r = take_greeting(v, err);
	if (r) {
		viaduct_close(v);
		return r;
	}
	*ret = v;
	return 0;
}

struct viaduct *viaduct_close(struct viaduct *v)
{
	if (!v)
		return NULL;
	if (v->fd >= 0)
		close(v->fd);
	close_fds(v);
	ctl_lines_deinit(&v->lines);
	free(v);
	return NULL;
}

const struct viaduct_info *viaduct_info(const struct viaduct *v)
{
	return &v->info;
}

int viaduct_fd(const struct viaduct *v)
{
	return v->fd;
}

void viaduct_set_timeout(struct viaduct *v, int timeout_ms)
{
	v->timeout_ms = timeout_ms;
}

/* Steals args. */
static int send_request(struct viaduct *v, int64_t id, const char *cmd, json_t *args,
			struct viaduct_error *err)
{
	size_t len = 0, done = 0;
	char *line = ctl_encode(ctl_request(id, cmd, args), &len);
	int r = 0;

	if (!line)
		return fail(err, CTL_E_ARGS, "%s: an argument is not valid UTF-8", cmd);
	if (len > CTL_LINE_MAX)
		r = fail(err, CTL_E_SYNTAX, "%s: the request is longer than %u bytes", cmd,
			 CTL_LINE_MAX);
	while (!r && done < len) {
		ssize_t n = send(v->fd, line + done, len - done, MSG_NOSIGNAL);

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EPIPE || errno == ECONNRESET)
			r = gone(v, err);
		else if (errno != EINTR)
			r = fail(err, CTL_E_INTERNAL, "%s: %s", v->info.socket, strerror(errno));
	}
	free(line);
	return r;
}

/* One message of the request. 0: more to come; *ret_done is set with the last. */
static int take_answer(struct ctl_reply_msg *m, viaduct_row_fn **on_row, void *ctx,
		       json_t **ret_result, bool *ret_done, struct viaduct_error *err)
{
	switch (m->kind) {
	case CTL_ROW:
		if (*on_row && (*on_row)(ctx, m->body))
			*on_row = NULL;
		return 0;
	case CTL_RESULT:
		if (ret_result)
			*ret_result = json_incref(m->body);
		*ret_done = true;
		return 0;
	case CTL_END:
		*ret_done = true;
		return 0;
	case CTL_ERROR:
		return fail_reply(err, &m->err);
	default:
		return 0; /* an event or a late greeting: not ours */
	}
}

int viaduct_call(struct viaduct *v, const char *cmd, json_t *args, viaduct_row_fn *on_row,
		 void *ctx, json_t **ret_result, struct viaduct_error *err)
{
	int64_t id = ++v->next_id;
	bool done = false;
	int r = send_request(v, id, cmd, args, err);

	if (ret_result)
		*ret_result = NULL;
	while (!r && !done) {
		struct ctl_reply_msg m;

		r = wait_reply(v, v->timeout_ms, false, &m, err);
		if (r == WAIT_TIMEOUT)
			return no_answer(v, v->timeout_ms, err);
		if (r)
			return r;
		/* Id 0: the daemon could not read which request it was. */
		if (m.id == id || (m.id == 0 && m.kind == CTL_ERROR))
			r = take_answer(&m, &on_row, ctx, ret_result, &done, err);
		json_decref(m.root);
	}
	return r;
}

static int collect(void *ctx, json_t *row)
{
	return json_array_append(ctx, row);
}

int viaduct_rows(struct viaduct *v, const char *cmd, json_t *args, json_t **ret_rows,
		 struct viaduct_error *err)
{
	json_t *rows = json_array();
	int r = viaduct_call(v, cmd, args, collect, rows, NULL, err);

	if (r) {
		json_decref(rows);
		return r;
	}
	*ret_rows = rows;
	return 0;
}

int viaduct_call_fds(struct viaduct *v, const char *cmd, json_t *args, json_t **ret_result,
		     int *ret_fds, unsigned int *n, struct viaduct_error *err)
{
	int r;

	close_fds(v);
	r = viaduct_call(v, cmd, args, NULL, NULL, ret_result, err);
	*n = r ? 0 : min_of(*n, v->n_fds);
	for (unsigned int i = 0; i < *n; i++)
		ret_fds[i] = v->fds[i];
	for (unsigned int i = *n; i < v->n_fds; i++)
		close(v->fds[i]);
	v->n_fds = 0;
	return r;
}

int viaduct_watch(struct viaduct *v, const char *const *groups, struct viaduct_error *err)
{
	json_t *list = json_array();

	for (; *groups; groups++)
		json_array_append_new(list, json_string(*groups));
	v->watch_id = ++v->next_id;
	return send_request(v, v->watch_id, "monitor", json_pack("{s:o}", "groups", list), err);
}

int viaduct_event(struct viaduct *v, int timeout_ms, json_t **ret_event, struct viaduct_error *err)
{
	struct ctl_reply_msg m;
	int r;

	*ret_event = NULL;
	for (;;) {
		r = wait_reply(v, timeout_ms, true, &m, err);
		if (r == WAIT_TIMEOUT)
			return 0;
		if (r)
			return r;
		if (m.kind == CTL_ERROR)
			r = fail_reply(err, &m.err);
		else if (m.kind == CTL_EVENT)
			*ret_event = json_incref(m.body);
		json_decref(m.root);
		if (r || *ret_event)
			return r;
	}
}

int viaduct_start(struct viaduct *v, const char *cmd, json_t *args, struct viaduct_error *err)
{
	v->watch_id = ++v->next_id;
	return send_request(v, v->watch_id, cmd, args, err);
}

int viaduct_next(struct viaduct *v, int timeout_ms, json_t **ret_event, json_t **ret_result,
		 struct viaduct_error *err)
{
	*ret_event = *ret_result = NULL;
	for (;;) {
		struct ctl_reply_msg m;
		int r = wait_reply(v, timeout_ms, true, &m, err);

		if (r)
			return r == WAIT_TIMEOUT ? 0 : r;
		/* Id 0: the daemon could not read which request it was. */
		if (m.kind == CTL_ERROR && (m.id == v->watch_id || m.id == 0))
			r = fail_reply(err, &m.err);
		else if (m.kind == CTL_EVENT && m.id == v->watch_id)
			*ret_event = json_incref(m.body);
		else if (m.kind == CTL_RESULT && m.id == v->watch_id)
			*ret_result = json_incref(m.body);
		json_decref(m.root);
		if (r || *ret_event || *ret_result)
			return r;
	}
}
