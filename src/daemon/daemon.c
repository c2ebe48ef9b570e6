/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start-up in an order in which each step has what it needs, and rights are given up as early as
 * possible: run directory and lock, configuration (it has the sizes), socket (its group needs
 * CAP_CHOWN), capabilities, seccomp (before there are threads), memory, workers, bridges.
 * daemon_stop() is the reverse and copes with a start that ended half-way.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "daemon/bridges.h"
#include "daemon/config.h"
#include "daemon/endpoint.h"
#include "daemon/events.h"
#include "daemon/netmap_sock.h"
#include "daemon/plan.h"
#include "daemon/ports.h"
#include "daemon/server.h"
#include "daemon/snapshot.h"
#include "port/driver.h"
#include "sys/clock.h"
#include "sys/loop.h"
#include "sys/netlink.h"
#include "sys/privs.h"
#include "sys/sock.h"

LOG_MODULE("daemon/daemon");

#define PID_FILE "viaductd.pid"

/* ---- run directory ---- */

/* The directory and its parents, for everyone to enter. */
static int make_run_dir(const char *path)
{
	char part[sizeof(((struct daemon *)0)->run_dir)];

	snprintf(part, sizeof(part), "%s", path);
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, 0755) && errno != EEXIST)
			return error_origin(-errno);
		*p = '/';
	}
	return mkdir(part, 0755) && errno != EEXIST ? error_origin(-errno) : 0;
}

static bool is_at(int fd, const char *path)
{
	struct stat here, there;

	return !fstat(fd, &here) && !stat(path, &there) && here.st_ino == there.st_ino &&
	       here.st_dev == there.st_dev;
}

/* While it is still locked, so that no other daemon's is removed. */
static void unlock_run_dir(struct daemon *d)
{
	char path[160];

	if (d->lock_fd < 0)
		return;
	snprintf(path, sizeof(path), "%s/%s", d->run_dir, PID_FILE);
	unlink(path);
	close(d->lock_fd);
	d->lock_fd = -1;
}

static void say_running(const struct daemon *d)
{
	char pid[16] = "";

	if (read(d->lock_fd, pid, sizeof(pid) - 1) < 0)
		pid[0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	log_err("viaductd: already running as pid %s in %s", pid[0] ? pid : "?", d->run_dir);
}

/* Opens and locks the pid file. 0, -errno, or 1 after a word about the daemon that holds it. */
static int take_lock(struct daemon *d, const char *path)
{
	for (;;) {
		d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (d->lock_fd < 0)
			return -errno;
		if (flock(d->lock_fd, LOCK_EX | LOCK_NB)) {
			say_running(d);
			close(d->lock_fd);
			d->lock_fd = -1;
			return 1;
		}
		if (is_at(d->lock_fd, path))
			return 0;
		close(d->lock_fd); /* its daemon ended just now, and removed it */
	}
}

/* One daemon per run directory: the lock goes with the process, whatever ends it. */
static int lock_run_dir(struct daemon *d)
{
	char path[160], pid[16];
	int r;

	snprintf(path, sizeof(path), "%s/%s", d->run_dir, PID_FILE);
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	r = take_lock(d, path);
	if (!r && (ftruncate(d->lock_fd, 0) || pwrite(d->lock_fd, pid, strlen(pid), 0) < 0))
		r = -errno;
	if (r < 0)
		log_err("run directory %s: %s", d->run_dir, err_text(r));
	return r ? -1 : 0;
}

static int prepare_run_dir(struct daemon *d)
{
	const char *dir = d->opt.run_dir;
	int r;

	if (!dir)
		dir = getenv("VIADUCT_RUN_DIR");
	if (!dir || !dir[0])
		dir = CTL_RUN_DIR;
	/* The longest name in it must fit a socket's address. */
	if (strlen(dir) + sizeof("/" CTL_SOCKET_NAME) > sizeof(d->run_dir)) {
		log_err("run directory %s: the name is too long", dir);
		return -1;
	}
	memcpy(d->run_dir, dir, strlen(dir) + 1);
	r = make_run_dir(d->run_dir);
	if (r) {
		log_err("run directory %s: %s", d->run_dir, err_text(r));
		return -1;
	}
	return lock_run_dir(d);
}

/* ---- options and configuration ---- */

/* *ret is parsed and not yet applied; NULL without a file. */
static int read_config(struct daemon *d, struct config **ret)
{
	const char *path = d->opt.config_path;
	struct ctl_error err;

	*ret = NULL;
	if (!path && access(DAEMON_CONFIG_PATH, F_OK) == 0)
		path = DAEMON_CONFIG_PATH;
	if (!path)
		return 0;
	/* Absolute, for a daemon that changes its directory. */
	d->config_path = realpath(path, NULL);
	if (!d->config_path)
		d->config_path = strdup(path);
	if (config_load(path, ret, &err)) {
		log_err("%s", err.text);
		return -1;
	}
	return 0;
}

/* Command line first, then configuration, then default. */
static int64_t setting(const struct config *c, const char *key, int option, int64_t otherwise)
{
	const json_t *v = c ? json_object_get(json_object_get(c->root, "daemon"), key) : NULL;

	if (option >= 0)
		return option;
	return v ? json_integer_value(v) : otherwise;
}

static int find_group(struct daemon *d, const struct config *c)
{
	const json_t *v = c ? json_object_get(json_object_get(c->root, "daemon"), "group") : NULL;
	const char *name = d->opt.group ? d->opt.group : json_string_value(v);
	const struct group *g;

	d->group = 0;
	if (!name || !strcmp(name, "root"))
		return 0;
	g = getgrnam(name);
	if (!g) {
		log_err("group %s: no such group", name);
		return -1;
	}
	d->group = g->gr_gid;
	return 0;
}

/* ---- rights ---- */

static int check_rights(void)
{
	char missing[128];

	if (privs_check(missing, sizeof(missing)) == 0)
		return 0;
	log_err("viaductd: needs %s, which this user does not have: start it as root", missing);
	return -1;
}

static int reduce_rights(struct daemon *d)
{
	struct rlimit lim;
	int r;

	/* A port is several descriptors. */
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	r = privs_drop();
	if (!r && d->opt.seccomp)
		r = privs_seccomp();
	if (r)
		log_err("viaductd: cannot give up rights: %s", err_text(r));
	return r;
}

/* ---- parts ---- */

static int start_memory(struct daemon *d, const struct config *c)
{
	struct mem_params params = mem_params_default();
	const char *why = NULL;
	int r;

	params.buf_num = (uint32_t)setting(c, "buffers", -1, params.buf_num);
	params.buf_size = (uint32_t)setting(c, "buf-size", -1, params.buf_size);
	r = region_init(&d->region, &params, 1, &why);
	if (r) {
		log_err("memory region: %s", why ? why : err_text(r));
		return -1;
	}
	d->have_region = true;
	d->pool = bufpool_new(&d->region, 0);
	if (!d->pool) {
		log_err("buffer pool: no memory");
		return -1;
	}
	bufcache_init(&d->bufs, d->pool);
	r = port_env_new(d->run_dir, &d->env, &why);
	if (r) {
		log_err("ports: %s", why ? why : err_text(r));
		return -1;
	}
	port_env_recover(d->env);
	return 0;
}

static int start_workers(struct daemon *d, const struct config *c)
{
	int64_t n = setting(c, "workers", d->opt.n_workers, 1);
	int64_t spin_us = setting(c, "spin-us", d->opt.spin_us, DAEMON_SPIN_US);

	for (d->n_workers = 0; d->n_workers < n; d->n_workers++) {
		struct worker *w = worker_start(d->n_workers, d->pool, (uint64_t)spin_us * 1000);

		if (!w) {
			log_err("worker %u: %s", d->n_workers, err_text(-errno));
			return -1;
		}
		d->workers[d->n_workers] = w;
	}
	return 0;
}

static void on_link(void *ctx, bool gone, const struct netlink_link *l)
{
	ports_follow_link(ctx, gone, l);
}

static void on_netlink(void *ctx, unsigned int events)
{
	struct daemon *d = ctx;
	int r = netlink_events(d->nl, on_link, d);

	if (r == -ENOBUFS) {
		log_warn("netlink: events were lost, all devices are looked at again");
		ports_follow_all(d);
	} else if (r) {
		log_err("netlink: %s", err_text(r));
	}
}

static int start_netlink(struct daemon *d)
{
	int r = netlink_open(&d->nl);

	if (!r)
		d->nl_source = loop_fd(d->loop, netlink_fd(d->nl), LOOP_READ, on_netlink, d);
	if (r || !d->nl_source) {
		log_err("netlink: %s", r ? err_text(r) : "cannot be watched");
		return -1;
	}
	d->seen = json_object();
	ports_note_links(d);
	return 0;
}

static int start_server(struct daemon *d)
{
	char path[sizeof(d->run_dir) + sizeof(CTL_SOCKET_NAME)];

	snprintf(path, sizeof(path), "%s/%s", d->run_dir, CTL_SOCKET_NAME);
	d->server = server_new(d, path);
	if (!d->server)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", d->run_dir, NETMAP_SOCKET_NAME);
	d->netmap_sock = netmap_sock_new(d, path);
	return d->netmap_sock ? 0 : -1;
}

/* Programs may come from now on. */
static int start_endpoints(struct daemon *d)
{
	d->endpoints = endpoints_new(d);
	if (!d->endpoints || netmap_sock_start(d->netmap_sock)) {
		log_err("netmap socket: cannot be watched");
		return -1;
	}
	return 0;
}

/* ---- signals and the service manager ---- */

static void on_end(void *ctx, unsigned int events)
{
	daemon_shutdown(ctx);
}

static void on_hup(void *ctx, unsigned int events)
{
	struct daemon *d = ctx;
	struct ctl_error err;
	struct config *c;

	if (!d->config_path) {
		log_warn("config: no file to read again");
		return;
	}
	if (config_load(d->config_path, &c, &err)) {
		log_err("%s; nothing was changed", err.text);
		events_config(d, "reload-failed", NULL, NULL, json_pack("{s:s}", "text", err.text));
	} else if (plan_apply(d, c, NULL, &err)) {
		log_err("%s; nothing was changed", err.text);
	} else {
		log_info("config: %s applied", d->config_path);
	}
}

static void do_nothing(void *arg)
{
}

/* A worker that hangs keeps this from returning, and the service manager acts. */
static void on_watchdog(void *ctx, unsigned int events)
{
	struct daemon *d = ctx;

	for (uint32_t i = 0; i < d->n_workers; i++)
		worker_call(d->workers[i], do_nothing, NULL);
	sock_notify("WATCHDOG=1");
}

static void start_signals(struct daemon *d)
{
	uint64_t watchdog_ms = sock_watchdog_ms();

	signal(SIGPIPE, SIG_IGN);
	d->signals[0] = loop_signal(d->loop, SIGTERM, on_end, d);
	d->signals[1] = loop_signal(d->loop, SIGINT, on_end, d);
	d->signals[2] = loop_signal(d->loop, SIGHUP, on_hup, d);
	if (watchdog_ms)
		d->watchdog = loop_timer(d->loop, watchdog_ms / 2, watchdog_ms / 2, on_watchdog, d);
}

/* ---- start and stop ---- */

static int start_loop(struct daemon *d)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st) == 0)
		d->netns = st.st_ino;
	d->loop = loop_new();
	d->events = d->loop ? events_new(d) : NULL;
	if (!d->events) {
		log_err("event loop: %s", err_text(-errno));
		return -1;
	}
	start_signals(d);
	return start_netlink(d);
}

static int apply_config(struct daemon *d, struct config *c)
{
	struct ctl_error err;

	if (c && plan_apply(d, c, NULL, &err)) {
		log_err("%s", err.text);
		return -1;
	}
	return 0;
}

static int start_parts(struct daemon *d, struct config *c)
{
	int r = find_group(d, c);

	if (!r)
		r = start_loop(d);
	if (!r)
		r = start_server(d);
	if (!r)
		r = reduce_rights(d);
	if (!r)
		r = start_memory(d, c);
	if (!r)
		r = start_workers(d, c);
	if (!r)
		r = start_endpoints(d);
	if (!r)
		snapshot_start(d);
	if (r) {
		config_free(c);
		return r;
	}
	return apply_config(d, c);
}

int daemon_start(struct daemon *d, const struct daemon_options *opt)
{
	struct config *c = NULL;
	int r;

	memset(d, 0, sizeof(*d));
	d->opt = *opt;
	d->lock_fd = -1;
	d->uid_limits = (struct daemon_limits){DAEMON_UID_DESCRIPTORS, DAEMON_UID_PORTS,
					       DAEMON_UID_EXTRA_BUFFERS};
	d->silent_s = DAEMON_SILENT_S;
	d->start_ns = clock_now_ns();
	list_init(&d->bridges);
	list_init(&d->mirror_ends);
	list_init(&d->captures);
	r = check_rights();
	if (!r)
		r = prepare_run_dir(d);
	if (!r)
		r = read_config(d, &c);
	if (!r)
		r = start_parts(d, c);
	if (r)
		return -1;
	log_info("viaductd %s: ready pid=%d run_dir=%s workers=%u", DAEMON_VERSION, (int)getpid(),
		 d->run_dir, d->n_workers);
	sock_notify("READY=1");
	return 0;
}

void daemon_run(struct daemon *d)
{
	loop_run(d->loop);
	log_info("viaductd: ending, devices are put back");
	events_daemon(d, "stop", json_pack("{s:i}", "pid", (int)getpid()));
}

void daemon_shutdown(struct daemon *d)
{
	loop_stop(d->loop);
}

static void stop_parts(struct daemon *d)
{
	snapshot_stop(d);
	d->netmap_sock = netmap_sock_free(d->netmap_sock);
	d->endpoints = endpoints_free(d->endpoints);
	list_for_each_safe (i, &d->bridges)
		bridges_close(list_entry(i, struct vbridge, node));
	for (uint32_t i = 0; i < d->n_workers; i++)
		worker_stop(d->workers[i]);
	d->env = port_env_free(d->env);
	if (d->pool)
		bufcache_deinit(&d->bufs);
	d->pool = bufpool_free(d->pool);
	if (d->have_region)
		region_deinit(&d->region);
	d->server = server_free(d->server);
	d->config = config_free(d->config);
}

void daemon_stop(struct daemon *d)
{
	sock_notify("STOPPING=1");
	stop_parts(d);
	loop_del(d->nl_source);
	loop_del(d->watchdog);
	for (size_t i = 0; i < array_size(d->signals); i++)
		loop_del(d->signals[i]);
	d->events = events_free(d->events);
	d->loop = loop_free(d->loop);
	d->nl = netlink_close(d->nl);
	json_decref(d->seen);
	free(d->config_path);
	unlock_run_dir(d);
}
