/* SPDX-License-Identifier: BSD-2-Clause */
/* drops: why frames were dropped, how many, and the last one of each reason. */
#include <string.h>

#include "base/compiler.h"
#include "daemon/bridges.h"
#include "daemon/cmd.h"
#include "daemon/ports.h"
#include "daemon/server.h"
#include "sys/clock.h"
#include "wire/summary.h"

static const struct key drops_args[] = {
	{"bridge", KEY_STRING, KEY_PLAIN, 0, 0},
	{"port", KEY_STRING, KEY_PLAIN, 0, 0},
	{"all", KEY_BOOL, KEY_PLAIN, 0, 0},
};

/* What the worker knows of one port, or of frames without one. */
struct drops_job {
	struct bridge *br;
	struct worker_port *wp; /* NULL: of frames without a port */
	struct drop_counters drops;
	uint32_t generation;
	struct drop_log log;
};

static void read_drops(void *arg)
{
	struct drops_job *job = arg;
	struct port *port = job->wp ? job->wp->port : NULL;
	const struct bport *bp = job->wp ? job->wp->bp : bridge_nowhere(job->br);

	job->drops = bp->counters.drops;
	job->generation = bp->generation;
	job->log = *bridge_drop_log(job->br);
	if (!port)
		return;
	if (port->driver->update_stats)
		port->driver->update_stats(port);
	for (int i = 0; i < DROP_N; i++)
		job->drops.n[i] += port->drops.n[i];
}

static void to_hex(const uint8_t *data, uint32_t n, char *buf)
{
	static const char digits[] = "0123456789abcdef";

	for (uint32_t i = 0; i < n; i++) {
		*buf++ = digits[data[i] >> 4];
		*buf++ = digits[data[i] & 15];
	}
	*buf = '\0';
}

/* The bytes themselves are for who may open the bridge and see all of it. */
static json_t *last_frame(const struct cmd_call *c, const struct drop_last *l)
{
	const uint64_t now_ns = clock_now_ns();
	const double age_s = (double)(now_ns - l->time_ns) / CLOCK_SECOND_NS;
	char summary[FRAME_SUMMARY_SIZE], hex[2 * DROP_BYTES + 1];
	json_t *j;

	frame_summary(l->data, l->caplen, l->len, summary, sizeof(summary));
	j = json_pack("{s:f, s:f, s:f, s:i, s:s}", "time", clock_wall_s() - age_s, "age", age_s,
		      "rate", drop_rate(l, now_ns), "len", (int)l->len, "summary", summary);
	if (c->conn && server_may_write(c->conn)) {
		to_hex(l->data, l->caplen, hex);
		json_object_set_new(j, "bytes", json_string(hex));
	}
	return j;
}

static void drop_rows(struct cmd_call *c, const char *bridge, const char *port,
		      const struct drops_job *job)
{
	const bool all = cmd_arg_bool(c, "all");

	for (int i = 0; i < DROP_N; i++) {
		const struct drop_last *l = &job->log.last[i];
		json_t *row;

		if (!all && !job->drops.n[i])
			continue;
		row = json_pack("{s:s, s:s, s:s, s:s, s:I}", "bridge", bridge, "port", port,
				"reason", drop_name(i), "text", drop_text(i), "count",
				(json_int_t)job->drops.n[i]);
		if (l->time_ns && l->port == job->generation)
			json_object_set_new(row, "last", last_frame(c, l));
		cmd_row(c, row);
	}
}

static void drops_one(struct cmd_call *c, struct vport *vp)
{
	struct drops_job job = {.br = vp->vb->br, .wp = &vp->wp};

	worker_call(vp->vb->w, read_drops, &job);
	drop_rows(c, vp->vb->name, vp->name, &job);
}

/* Frames that a program made up, or whose port has left, came in by no port. */
static void drops_nowhere(struct cmd_call *c)
{
	const char *bridge = cmd_arg(c, "bridge");

	for_each_bridge(vb, c->d)
	{
		struct drops_job job = {.br = vb->br};

		if (bridge && strcmp(vb->name, bridge))
			continue;
		worker_call(vb->w, read_drops, &job);
		drop_rows(c, vb->name, "-", &job);
	}
}

static int drops(struct cmd_call *c)
{
	int r = cmd_each_port(c, drops_one);

	if (!r && !cmd_arg(c, "port"))
		drops_nowhere(c);
	return r;
}

static const struct cmd cmds[] = {
	{"drops", drops, CMD_ROWS, KEY_TABLE(drops_args), NULL},
};
const struct cmd_table cmds_drops = {cmds, array_size(cmds)};
