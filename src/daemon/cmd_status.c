/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about the daemon itself: status, monitor, log.set, debug.objects, shutdown. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/log.h"
#include "base/mac.h"
#include "daemon/adopt.h"
#include "daemon/bridges.h"
#include "daemon/cmd.h"
#include "daemon/events.h"
#include "daemon/ports.h"
#include "daemon/server.h"
#include "daemon/traces.h"
#include "port/trunk.h"
#include "sys/bpf.h"
#include "sys/clock.h"
#include "sys/netlink.h"

static const struct key monitor_args[] = {{"groups", KEY_STRINGS, KEY_PLAIN, 0, 0}};
static const struct key log_args[] = {
	{"module", KEY_STRING, KEY_PLAIN, 0, 0},
	{"level", KEY_STRING, KEY_REQUIRED, 0, 0},
};

struct stats_job {
	struct worker *w;
	struct worker_stats st;
};

static void read_stats(void *arg)
{
	struct stats_job *job = arg;

	worker_get_stats(job->w, &job->st);
}

static json_t *worker_row(struct worker *w)
{
	struct stats_job job = {.w = w};
	double busy;

	worker_call(w, read_stats, &job);
	/* Share of the time since the start that it was not asleep. */
	busy = job.st.run_ns ? 1 - (double)job.st.sleep_ns / (double)job.st.run_ns : 0;
	return json_pack("{s:i, s:i, s:f, s:I, s:I}", "id", (int)worker_id(w), "bridges",
			 (int)job.st.n_bridges, "busy", busy < 0 ? 0 : busy, "rounds",
			 (json_int_t)job.st.rounds, "sleeps", (json_int_t)job.st.sleeps);
}

static json_t *workers(struct daemon *d)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < d->n_workers; i++)
		json_array_append_new(a, worker_row(d->workers[i]));
	return a;
}

static json_t *memory(struct daemon *d)
{
	struct bufpool_stats st;

	bufpool_stats(d->pool, &st);
	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:i}", "id", d->region.id, "size",
			 (json_int_t)d->region.layout.file_size, "buffers", (json_int_t)st.n_total,
			 "buffers_free", (json_int_t)st.n_free, "big", (json_int_t)st.n_big_total,
			 "big_free", (json_int_t)st.n_big_free, "slot_size",
			 (int)(d->region.layout.params.buf_size - MEM_BUF_OFFSET));
}

/* What is attached where, and what others have there: their tools do not list tcx. */
static void note_attached(json_t *to, const struct vport *vp, bool egress, bool place, bool gate)
{
	const char *how = vp->port ? vp->port->mode : "";
	const uint32_t all = sys_bpf_tcx_count(vp->ifindex, egress);
	const uint32_t ours = !strcmp(how, "tcx") ? (uint32_t)place + gate : 0;

	if (vp->port && (place || gate))
		json_array_append_new(to, json_pack("{s:s, s:s, s:s, s:b, s:i}", "ifname", vp->name,
						    "where", egress ? "egress" : "ingress", "how",
						    how, "gate", gate, "others",
						    (int)(all - min_of(ours, all))));
}

/* How a member's frames are taken in front of tc, or why they are not; nothing with `via tc`. */
static void note_xdp(json_t *to, const struct vport *vp)
{
	const char *mode = vp->port ? trunk_xdp_mode(vp->port) : NULL;
	const char *why = vp->port ? trunk_xdp_why(vp->port) : "";
	struct trunk_counts n;
	char how[40];

	if (!mode) {
		if (*why)
			json_object_set_new(json_array_get(to, json_array_size(to) - 1), "no_xdp",
					    json_string(why));
		return;
	}
	trunk_place_counts(vp->port, &n);
	snprintf(how, sizeof(how), "xdp %s", mode);
	json_array_append_new(to, json_pack("{s:s, s:s, s:s, s:b, s:i, s:I}", "ifname", vp->name,
					    "where", "ingress", "how", how, "gate", 0, "others", 0,
					    "taken", (json_int_t)n.by_xdp));
}

static json_t *attached(struct vbridge *vb)
{
	const bool gated = vb->adopted->gated;
	json_t *a = json_array();

	for_each_port(vp, vb)
	{
		const bool member = !vp->host && !vp->self;

		note_attached(a, vp, false, !vp->host, vp->self && gated);
		note_xdp(a, vp);
		note_attached(a, vp, true, vp->host, member && gated);
	}
	return a;
}

static json_t *bridges(struct daemon *d)
{
	json_t *a = json_array();

	for_each_bridge(vb, d)
	{
		int n = 0;

		for_each_port(vp, vb) n += !vp->host && !vp->self;
		json_array_append_new(a, json_pack("{s:s, s:i, s:b}", "ifname", vb->name, "ports",
						   n, "adopted", vb->adopted != NULL));
		if (vb->adopted)
			json_object_update_new(json_array_get(a, json_array_size(a) - 1),
					       json_pack("{s:s, s:o}", "state",
							 adopt_state(vb->adopted), "attached",
							 attached(vb)));
	}
	return a;
}

struct kernel_job {
	struct daemon *d;
	json_t *names;
};

static void kernel_bridge(void *ctx, bool gone, const struct netlink_link *l)
{
	struct kernel_job *job = ctx;

	if (!strcmp(l->kind, "bridge") && !bridges_find(job->d, l->name))
		json_array_append_new(job->names, json_string(l->name));
}

static int status(struct cmd_call *c)
{
	struct daemon *d = c->d;
	struct kernel_job kernel = {d, json_array()};

	netlink_links(d->nl, kernel_bridge, &kernel);
	c->result = json_pack(
		"{s:s, s:i, s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:i, s:I}", "version",
		DAEMON_VERSION, "pid", (int)getpid(), "uptime_s",
		(json_int_t)((clock_now_ns() - d->start_ns) / CLOCK_SECOND_NS), "netns",
		(json_int_t)d->netns, "run_dir", d->run_dir, "workers", workers(d), "memory",
		memory(d), "bridges", bridges(d), "kernel_bridges", kernel.names, "clients",
		(int)server_n_conns(d->server), "events_lost", (json_int_t)events_lost(d->events));
	return 0;
}

static int monitor(struct cmd_call *c)
{
	const json_t *names = json_object_get(c->args, "groups");
	unsigned int groups = 0;

	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *g = json_string_value(json_array_get(names, i));

		if (!strcmp(g, "fdb"))
			groups |= SERVER_FDB;
		else if (!strcmp(g, "link"))
			groups |= SERVER_LINK;
		else if (!strcmp(g, "stp"))
			groups |= SERVER_STP;
		else if (!strcmp(g, "config"))
			groups |= SERVER_CONFIG;
		else if (!strcmp(g, "all"))
			groups |= SERVER_ALL;
		else
			return ctl_fail(&c->err, CTL_E_VALUE,
					"monitor: no group %.32s (fdb, link, stp, config, all)", g);
	}
	if (c->conn && !server_monitor(c->conn, groups ? groups : SERVER_ALL, c->id))
		return ctl_fail(&c->err, CTL_E_BUSY,
				"monitor: the daemon has as many monitors as it takes");
	c->monitor = true;
	return 0;
}

static int no_module(struct cmd_call *c, const char *module)
{
	char list[400] = "";
	const char *name;

	for (unsigned int i = 0; (name = log_module_name(i)); i++) {
		size_t len = strlen(list);

		snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "", name);
	}
	return ctl_fail(&c->err, CTL_E_VALUE, "log: no module %.64s (%s)", module, list);
}

static int log_set(struct cmd_call *c)
{
	const char *module = cmd_arg(c, "module");
	int level = log_level_parse(cmd_arg(c, "level"));

	if (level < 0)
		return ctl_fail(&c->err, CTL_E_VALUE,
				"log: no level %.32s (err, warn, info, debug)",
				cmd_arg(c, "level"));
	if (log_set_level(module, (enum log_level)level))
		return no_module(c, module);
	events_config(c->d, "log", NULL, NULL,
		      json_pack("{s:s, s:s}", "module", module ? module : "all", "level",
				cmd_arg(c, "level")));
	return 0;
}

/* ---- debug.objects ---- */

static void line(struct cmd_call *c, const char *fmt, ...) _printf_(2, 3);

static void line(struct cmd_call *c, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cmd_row(c, json_pack("{s:s}", "text", text));
}

static void bridge_lines(struct cmd_call *c, struct vbridge *vb)
{
	char mac[MAC_TEXT_SIZE];

	line(c, "  bridge %s worker=%u address=%s mtu=%u fdb_size=%u", vb->name, worker_id(vb->w),
	     mac_format(bridge_mac(vb->br), mac), bridge_mtu(vb->br), vb->fdb_size);
	for_each_port(vp, vb)
		line(c, "    port %s no=%u driver=%s ifindex=%u %s%s%s%s", vp->name, vp->wp.bp->no,
		     vp->port ? vp->port->driver->name : "-", vp->ifindex, ports_operstate(vp),
		     vp->host ? " host" : "", vp->tap ? " ours" : "", vp->moved ? " moved" : "");
	if (traces_count(vb))
		line(c, "    traces=%u", traces_count(vb));
}

/* A worker's own buffers, read in the worker. */
struct stock {
	struct worker *w;
	uint32_t n, n_big;
};

static void read_stock(void *arg)
{
	struct stock *s = arg;

	s->n = worker_bufs(s->w)->n + worker_bufs(s->w)->n_cold;
	s->n_big = worker_bufs(s->w)->n_big;
}

static int debug_objects(struct cmd_call *c)
{
	struct daemon *d = c->d;
	struct bufpool_stats st;

	bufpool_stats(d->pool, &st);
	line(c, "daemon pid=%d run_dir=%s", (int)getpid(), d->run_dir);
	line(c, "  region id=%u size=%llu buffers=%u free=%u big=%u big_free=%u", d->region.id,
	     (unsigned long long)d->region.layout.file_size, st.n_total, st.n_free, st.n_big_total,
	     st.n_big_free);
	for (uint32_t i = 0; i < d->n_workers; i++) {
		struct stock s = {.w = d->workers[i]};

		worker_call(s.w, read_stock, &s);
		line(c, "  worker %u stock=%u stock_big=%u", i, s.n, s.n_big);
	}
	for_each_bridge(vb, d) bridge_lines(c, vb);
	line(c, "  server clients=%u", server_n_conns(d->server));
	return 0;
}

static int shut_down(struct cmd_call *c)
{
	daemon_shutdown(c->d);
	return 0;
}

static const struct cmd cmds[] = {
	{"status", status, 0, {NULL, 0}, NULL},
	{"monitor", monitor, CMD_ROWS, KEY_TABLE(monitor_args), NULL},
	{"log.set", log_set, CMD_WRITE, KEY_TABLE(log_args), NULL},
	{"debug.objects", debug_objects, CMD_ROWS, {NULL, 0}, NULL},
	{"shutdown", shut_down, CMD_WRITE, {NULL, 0}, NULL},
};
const struct cmd_table cmds_status = {cmds, array_size(cmds)};
