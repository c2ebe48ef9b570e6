/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about single frames: trace.start, explain.run. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "core/explain.h"
#include "daemon/cmd.h"
#include "daemon/expression.h"
#include "daemon/ports.h"
#include "daemon/server.h"
#include "daemon/traces.h"

#define COUNT_DEFAULT   10
#define SECONDS_DEFAULT 10

static const struct key start_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"port", KEY_STRING, KEY_PLAIN, 0, 0},
	{"count", KEY_INT, KEY_PLAIN, 1, TRACES_COUNT_MAX},
	{"seconds", KEY_INT, KEY_PLAIN, 1, TRACES_SECONDS_MAX},
	{"every", KEY_INT, KEY_PLAIN, 1, INT32_MAX},
	{"filter", KEY_STRING, KEY_PLAIN, 0, 0},
};
static const struct key explain_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"port", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"frame", KEY_STRING, KEY_REQUIRED, 0, 0},
};

/* The bridge, and the number of the port that frames come in on, 0 without one. The bridge's own
 * name: what the host sends. */
static int need_port(struct cmd_call *c, struct vbridge **ret_vb, uint16_t *ret_no)
{
	const char *name = cmd_arg(c, "port");
	struct vport *vp = NULL;
	int r = bridges_need(c->d, cmd_arg(c, "bridge"), ret_vb, &c->err);

	*ret_no = 0;
	if (r || !name)
		return r;
	if (!strcmp(name, (*ret_vb)->name))
		vp = (*ret_vb)->host;
	if (!vp)
		r = ports_need(c->d, *ret_vb, name, &vp, &c->err);
	if (!r)
		*ret_no = vp->wp.bp->no;
	return r;
}

/* ---- trace.start ---- */

/* A client that follows frames. */
struct follower {
	struct cmd_live live;
	struct server_conn *conn;
	struct traces_watch *watch;
};

static bool on_journey(void *ctx, json_t *journey)
{
	struct follower *f = ctx;

	return server_live_send(f->conn, journey);
}

static void on_ended(void *ctx, const struct traces_sum *sum)
{
	struct follower *f = ctx;

	server_live_end(f->conn,
			json_pack("{s:I, s:I, s:I}", "matched", (json_int_t)sum->matched, "missed",
				  (json_int_t)sum->missed, "lost", (json_int_t)sum->lost));
	free(f);
}

static void stop(struct cmd_live *l)
{
	traces_stop(((struct follower *)l)->watch, true);
}

static void gone(struct cmd_live *l)
{
	traces_stop(((struct follower *)l)->watch, false);
	free(l);
}

static int need_filter(struct cmd_call *c, const struct vbridge *vb, struct expression **ret)
{
	const char *text = cmd_arg(c, "filter");
	char why[256];

	*ret = NULL;
	if (!text || !*text)
		return 0;
	*ret = expression_new(text, why, sizeof(why));
	if (*ret)
		return 0;
	return ctl_fail(&c->err, CTL_E_VALUE, "bridge %s: trace: filter: %s", vb->name, why);
}

static int trace_start(struct cmd_call *c)
{
	struct traces_request req = {
		.count = (uint64_t)cmd_arg_int(c, "count", COUNT_DEFAULT),
		.seconds = (uint32_t)cmd_arg_int(c, "seconds", SECONDS_DEFAULT),
		.every = (uint32_t)cmd_arg_int(c, "every", 1),
		.journey = on_journey,
		.ended = on_ended,
	};
	struct vbridge *vb;
	struct follower *f;
	int r = need_port(c, &vb, &req.port);

	if (!r && !c->conn)
		r = ctl_fail(&c->err, CTL_E_ARGS, "trace.start: needs a connection");
	if (!r)
		r = need_filter(c, vb, &req.filter);
	if (r)
		return r;
	f = calloc(1, sizeof(*f));
	if (!f) {
		expression_free(req.filter);
		return ctl_fail(&c->err, CTL_E_INTERNAL, "bridge %s: no memory", vb->name);
	}
	*f = (struct follower){.live = {.stop = stop, .gone = gone}, .conn = c->conn};
	req.ctx = f;
	r = traces_start(vb, &req, &f->watch, &c->err);
	if (r)
		free(f);
	else
		c->live = &f->live;
	return r;
}

/* ---- explain.run ---- */

static int digit_of(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Hexadecimal bytes, blanks and colons between them as one likes. buf has room for half as many
 * bytes as the text has characters. */
static int parse_frame(const char *text, uint8_t *buf, uint32_t *ret_len, struct ctl_error *err)
{
	size_t n = 0; /* digits */

	for (const char *p = text; *p; p++) {
		if (isspace((unsigned char)*p) || *p == ':')
			continue;
		if (!isxdigit((unsigned char)*p))
			return ctl_fail(err, CTL_E_FRAME,
					"frame: column %zu: not a hexadecimal digit",
					(size_t)(p - text) + 1);
		buf[n / 2] = (uint8_t)(n % 2 ? buf[n / 2] << 4 | digit_of(*p) : digit_of(*p));
		n++;
	}
	if (n == 0)
		return ctl_fail(err, CTL_E_FRAME, "frame: it has no bytes");
	if (n % 2)
		return ctl_fail(err, CTL_E_FRAME, "frame: half a byte at its end (%zu digits)", n);
	if (n / 2 > EXPLAIN_LEN_MAX)
		return ctl_fail(err, CTL_E_FRAME,
				"frame: %zu bytes, more than the %u of the longest", n / 2,
				EXPLAIN_LEN_MAX);
	*ret_len = (uint32_t)(n / 2);
	return 0;
}

static int explain_run(struct cmd_call *c)
{
	const char *text = cmd_arg(c, "frame");
	struct vbridge *vb;
	uint8_t *data;
	uint32_t len = 0;
	uint16_t port;
	int r = need_port(c, &vb, &port);

	if (r)
		return r;
	data = malloc(strlen(text) / 2 + 1);
	if (!data)
		return ctl_fail(&c->err, CTL_E_INTERNAL, "bridge %s: no memory", vb->name);
	r = parse_frame(text, data, &len, &c->err);
	if (!r) {
		c->result = traces_explain(vb, port, data, len);
		if (!c->result)
			r = ctl_fail(&c->err, CTL_E_INTERNAL, "bridge %s: no memory", vb->name);
	}
	free(data);
	return r;
}

static const struct cmd cmds[] = {
	{"trace.start", trace_start, CMD_WRITE, KEY_TABLE(start_args), NULL},
	{"explain.run", explain_run, 0, KEY_TABLE(explain_args), NULL},
};
const struct cmd_table cmds_trace = {cmds, array_size(cmds)};
