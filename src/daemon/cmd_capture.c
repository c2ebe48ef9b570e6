/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command capture.start. A capture belongs to the connection that asked for it, and ends with
 * it. The client gets the ring's memory and its bell with the answer; it opens the file itself,
 * with its own rights, and what it does not read in time is lost and counted.
 */
#include "daemon/cmd_capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/access.h"
#include "daemon/bridges.h"
#include "daemon/capture.h"
#include "daemon/cmd.h"
#include "daemon/expression.h"
#include "daemon/ports.h"
#include "daemon/server.h"

LOG_MODULE("daemon/capture");

#define MEMORY (CAPRING_DATA + CAPRING_SIZE)
#define SEALS  (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) /* no client can make us fault */

static const struct key start_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"points", KEY_STRINGS, KEY_PLAIN, 0, 0},
	{"snaplen", KEY_INT, KEY_PLAIN, 1, CAPRING_SNAP_MAX},
	{"port", KEY_STRING, KEY_PLAIN, 0, 0},
	{"filter", KEY_STRING, KEY_PLAIN, 0, 0},
};

struct capture_client {
	struct list node; /* of the daemon's */
	struct server_owned owned;
	struct vbridge *vb; /* NULL: it is gone */
	struct captures *set;
	struct expression *filter;
	void *memory; /* NULL: none */
	int fd;
	pid_t pid;
	struct capture c;
};

/* ---- life ---- */

static struct capture_client *client_free(struct capture_client *cl)
{
	if (cl->memory)
		munmap(cl->memory, MEMORY);
	if (cl->fd >= 0)
		close(cl->fd);
	if (cl->c.bell_fd >= 0)
		close(cl->c.bell_fd);
	expression_free(cl->filter);
	list_del(&cl->node);
	free(cl);
	return NULL;
}

/* Memory and bell. 0 or -errno. */
static int make_ring(struct capture_client *cl)
{
	cl->fd = memfd_create("viaduct-capture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	cl->c.bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (cl->fd < 0 || cl->c.bell_fd < 0)
		return error_origin(-errno);
	if (ftruncate(cl->fd, MEMORY) || fcntl(cl->fd, F_ADD_SEALS, SEALS))
		return error_origin(-errno);
	cl->memory =
		mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, cl->fd, 0);
	if (cl->memory == MAP_FAILED) {
		cl->memory = NULL;
		return error_origin(-errno);
	}
	capring_init(&cl->c.ring, cl->memory, CAPRING_SIZE);
	return 0;
}

static struct capture_client *client_new(struct daemon *d)
{
	struct capture_client *cl = calloc(1, sizeof(*cl));

	if (!cl)
		return NULL;
	cl->fd = cl->c.bell_fd = -1;
	list_append(&d->captures, &cl->node);
	return cl;
}

/* ---- in the worker ---- */

static void add_in_worker(void *arg)
{
	struct capture_client *cl = arg;

	captures_add(cl->set, &cl->c);
}

struct del_job {
	struct capture_client *cl;
	bool last;
};

static void del_in_worker(void *arg)
{
	struct del_job *job = arg;

	job->last = captures_del(job->cl->set, &job->cl->c);
}

static void stop(struct capture_client *cl)
{
	struct del_job job = {.cl = cl};

	if (!cl->vb)
		return;
	worker_call(cl->vb->w, del_in_worker, &job);
	if (job.last)
		captures_free(cl->set);
	log_info("bridge %s: capture of pid=%d ended", cl->vb->name, (int)cl->pid);
	cl->vb = NULL;
}

void capture_bridge_gone(struct vbridge *vb)
{
	static const uint64_t one = 1;

	list_for_each (i, &vb->d->captures) {
		struct capture_client *cl = list_entry(i, struct capture_client, node);

		if (cl->vb != vb)
			continue;
		stop(cl);
		capring_end(&cl->c.ring, CAPRING_BRIDGE_GONE);
		if (write(cl->c.bell_fd, &one, sizeof(one)) < 0)
			log_debug("capture: eventfd: %s", err_text(-errno));
	}
}

static void on_gone(struct server_owned *o)
{
	struct capture_client *cl = container_of(o, struct capture_client, owned);

	stop(cl);
	client_free(cl);
}

/* ---- the command ---- */

/* Whoever may open the bridge sees all its traffic anyway. */
static bool is_permitted(const struct cmd_call *c, const struct vbridge *vb)
{
	const struct sock_peer *p;
	int fd;

	p = server_peer(c->conn, &fd);
	if (p->uid == 0 || p->uid == geteuid())
		return true;
	if (vb->access)
		return access_permits(vb->access, fd, p);
	return c->d->group && p->in_group;
}

static uint32_t n_captures(struct daemon *d)
{
	uint32_t n = 0;

	list_for_each (i, &d->captures)
		n++;
	return n;
}

static int take_points(struct cmd_call *c, struct capture *to)
{
	json_t *list = json_object_get(c->args, "points"), *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		enum capring_point p = 0;

		while (p < CAPRING_POINT_N &&
		       strcmp(capring_point_name(p), json_string_value(v)) != 0)
			p++;
		if (p == CAPRING_POINT_N)
			return ctl_fail(&c->err, CTL_E_VALUE,
					"point %.32s: none of in, out, drop, before, after",
					json_string_value(v));
		to->points |= 1U << p;
	}
	if (!to->points)
		to->points = 1U << CAPRING_IN;
	return 0;
}

static int take_args(struct cmd_call *c, struct vbridge *vb, struct capture_client *cl)
{
	const char *port = cmd_arg(c, "port"), *filter = cmd_arg(c, "filter");
	struct vport *vp;
	char why[256];
	int r = take_points(c, &cl->c);

	/* The bridge's own interface is a port as well. */
	if (!r && port && strcmp(port, vb->name) != 0)
		r = ports_need(c->d, vb, port, &vp, &c->err);
	if (r)
		return r;
	snprintf(cl->c.port_name, sizeof(cl->c.port_name), "%s", port ? port : "");
	cl->c.snaplen = (uint32_t)cmd_arg_int(c, "snaplen", CAPRING_SNAP_MAX);
	if (!filter || !*filter)
		return 0;
	cl->filter = expression_new(filter, why, sizeof(why));
	if (!cl->filter)
		return ctl_fail(&c->err, CTL_E_VALUE, "filter: %s", why);
	cl->c.filter = expression_program(cl->filter);
	return 0;
}

/* What is needed to read the ring: its size, and the names of reasons, by number. */
static json_t *describe(const struct capture_client *cl)
{
	json_t *reasons = json_array(), *points = json_array();

	for (enum drop_reason r = 0; r < DROP_N; r++)
		json_array_append_new(reasons, json_pack("{s:s, s:s}", "reason", drop_name(r),
							 "text", drop_text(r)));
	for (enum capring_point p = 0; p < CAPRING_POINT_N; p++)
		if (cl->c.points >> p & 1)
			json_array_append_new(points, json_string(capring_point_name(p)));
	return json_pack("{s:i, s:i, s:o, s:o, s:b}", "size", (int)CAPRING_SIZE, "layout",
			 CAPRING_LAYOUT, "points", points, "reasons", reasons, "adopted",
			 cl->vb->adopted != NULL);
}

/* The set of the bridge's captures: there may be others. */
static struct captures *set_of(struct vbridge *vb)
{
	list_for_each (i, &vb->d->captures) {
		const struct capture_client *cl = list_entry(i, struct capture_client, node);

		if (cl->vb == vb)
			return cl->set;
	}
	return captures_new(&vb->wb);
}

static int start(struct cmd_call *c, struct vbridge *vb, struct capture_client *cl)
{
	int r = take_args(c, vb, cl), fd;

	if (r)
		return r;
	r = make_ring(cl);
	cl->set = r ? NULL : set_of(vb);
	if (!cl->set)
		return ctl_fail(&c->err, CTL_E_INTERNAL, "bridge %s: no ring for a capture: %s",
				vb->name, err_text(r ? r : -ENOMEM));
	/* commit */
	cl->vb = vb;
	cl->pid = server_peer(c->conn, &fd)->pid;
	cl->owned.gone = on_gone;
	server_own(c->conn, &cl->owned);
	worker_call(vb->w, add_in_worker, cl);
	log_info("bridge %s: capture for pid=%d uid=%u", vb->name, (int)cl->pid,
		 (unsigned int)server_peer(c->conn, &fd)->uid);
	c->result = describe(cl);
	c->fds[0] = cl->fd;
	c->fds[1] = cl->c.bell_fd;
	c->n_fds = 2;
	return 0;
}

static int capture_start(struct cmd_call *c)
{
	struct capture_client *cl;
	struct vbridge *vb;
	int r = bridges_need(c->d, cmd_arg(c, "bridge"), &vb, &c->err);

	if (r)
		return r;
	if (!c->conn || server_backlog(c->conn) > 0)
		return ctl_fail(&c->err, CTL_E_ARGS,
				"capture: take the answers of earlier requests first");
	if (!is_permitted(c, vb))
		return ctl_fail(&c->err, CTL_E_DENIED,
				"bridge %s: capturing is for root and those who may open it with a "
				"netmap program",
				vb->name);
	if (n_captures(c->d) >= CAPRING_MAX)
		return ctl_fail(&c->err, CTL_E_VALUE,
				"bridge %s: %u captures are running already, no more are possible",
				vb->name, CAPRING_MAX);
	cl = client_new(c->d);
	if (!cl)
		return ctl_fail(&c->err, CTL_E_INTERNAL, "bridge %s: no memory", vb->name);
	r = start(c, vb, cl);
	if (r)
		client_free(cl);
	return r;
}

static const struct cmd cmds[] = {
	{"capture.start", capture_start, 0, KEY_TABLE(start_args), NULL},
};
const struct cmd_table cmds_capture = {cmds, array_size(cmds)};
