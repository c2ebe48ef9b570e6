/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `viaduct run`: a bridge for as long as the command runs. A daemon of its own with a private run
 * directory, then the ordinary commands, each shown as one would type it; on ctrl-C the bridge is
 * removed, the daemon ended and the directory deleted.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/spawn.h"
#include "cli/table.h"
#include "cli/watch.h"

#define DIR_PREFIX "viaduct-run-"
#define STALE_S    60
#define READY_MS   10000
#define END_MS     10000
#define STEP_MS    10

struct run {
	struct cli *c;
	char dir[PATH_MAX]; /* private run directory */
	int dir_fd;         /* locked: the directory is in use */
	pid_t daemon;       /* 0 = none */
	bool bridge_made;
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = 1;
}

static void pause_ms(long ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* Reaps the daemon if it has ended. */
static bool daemon_ended(struct run *r)
{
	if (r->daemon && waitpid(r->daemon, NULL, WNOHANG) == r->daemon)
		r->daemon = 0;
	return r->daemon == 0;
}

/*
 * What the daemon has left in a run directory, and the directory. port-* and place-* are its notes
 * to put back what it changed, there only if it was killed: no other daemon reads them in a
 * directory of this kind.
 */
static int remove_dir(const char *dir)
{
	static const char *const files[] = {"control.sock", "netmap.sock", "viaductd.pid",
					    "viaductd.log", "port-*",      "place-*"};
	char pattern[PATH_MAX + 32];
	glob_t found;

	for (size_t i = 0; i < array_size(files); i++) {
		snprintf(pattern, sizeof(pattern), "%s/%s", dir, files[i]);
		if (glob(pattern, GLOB_NOSORT, NULL, &found))
			continue;
		for (size_t k = 0; k < found.gl_pathc; k++)
			unlink(found.gl_pathv[k]);
		globfree(&found);
	}
	return rmdir(dir);
}

/*
 * Directories of commands that were killed. Each holds a lock on its own while it lives; a new one
 * has a moment to take it.
 */
static void remove_stale(const char *parent)
{
	char pattern[PATH_MAX];
	glob_t found;
	struct stat st;

	snprintf(pattern, sizeof(pattern), "%s/" DIR_PREFIX "??????", parent);
	if (glob(pattern, GLOB_NOSORT, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		int fd = open(found.gl_pathv[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			continue;
		if (!fstat(fd, &st) && st.st_uid == geteuid() &&
		    st.st_mtime + STALE_S < time(NULL) && !flock(fd, LOCK_EX | LOCK_NB))
			(void)remove_dir(found.gl_pathv[i]);
		close(fd);
	}
	globfree(&found);
}

static int make_dir(struct run *r)
{
	const char *const parents[] = {"/run", "/tmp"};

	for (size_t i = 0; i < array_size(parents); i++) {
		remove_stale(parents[i]);
		snprintf(r->dir, sizeof(r->dir), "%s/" DIR_PREFIX "XXXXXX", parents[i]);
		if (!mkdtemp(r->dir))
			continue;
		r->dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (r->dir_fd >= 0)
			flock(r->dir_fd, LOCK_EX);
		return CLI_OK;
	}
	return cli_fail(r->c, VIADUCT_E_INTERNAL, NULL, "run directory %s: %s", r->dir,
			strerror(errno));
}

/* Starts the daemon and connects to it. */
static int start(struct run *r)
{
	struct viaduct_error err;
	int code = spawn_foreground(r->c, r->dir, &r->daemon);

	if (code)
		return code;
	for (int ms = 0; ms < READY_MS && !stopped; ms += STEP_MS) {
		if (daemon_ended(r))
			return cli_fail(r->c, VIADUCT_E_NO_DAEMON, NULL, "viaductd: did not start");
		if (viaduct_open(r->dir, &r->c->conn, &err) == 0)
			return CLI_OK;
		if (err.code != VIADUCT_E_NO_DAEMON)
			return cli_error(r->c, &err);
		pause_ms(STEP_MS);
	}
	if (stopped)
		return CLI_OK;
	return cli_fail(r->c, VIADUCT_E_NO_DAEMON, NULL, "viaductd: not ready after %d seconds",
			READY_MS / 1000);
}

/* "+ viaduct addif br0 veth10": what is done, as one would type it. */
static void show_step(struct run *r, const char *verb, const char *bridge, const char *dev,
		      const char *driver)
{
	if (r->c->json)
		return;
	fprintf(r->c->out, "%s+ viaduct %s %s%s%s%s%s%s\n", style_on(r->c->color, STYLE_BOLD), verb,
		bridge, dev ? " " : "", dev ? dev : "", driver ? " driver " : "",
		driver ? driver : "", style_off(r->c->color, STYLE_BOLD));
	fflush(r->c->out);
}

static int build(struct run *r, json_t *args)
{
	const char *bridge = row_text(args, "bridge");
	const char *driver = json_string_value(json_object_get(args, "driver"));
	json_t *dev, *one, *result;
	size_t i;
	int code;

	show_step(r, "addbr", bridge, NULL, NULL);
	code = cli_request(r->c, "bridge.add", json_pack("{s:s}", "bridge", bridge), &result);
	if (code)
		return code;
	json_decref(result);
	r->bridge_made = true;
	json_array_foreach(json_object_get(args, "ports"), i, dev)
	{
		show_step(r, "addif", bridge, json_string_value(dev), driver);
		one = json_pack("{s:s, s:[O], s:s*}", "bridge", bridge, "ports", dev, "driver",
				driver);
		r->c->details = true;
		code = cmd_addif(r->c, NULL, one);
		json_decref(one);
		if (code || stopped)
			return code;
	}
	return CLI_OK;
}

/* Events until a signal, or until the daemon ends by itself. */
static int follow(struct run *r)
{
	static const char *const groups[] = {"link", NULL};
	struct viaduct *events = NULL;
	struct viaduct_error err;
	json_t *event;
	int code = viaduct_open(r->dir, &events, &err);

	if (!code)
		code = viaduct_watch(events, groups, &err);
	while (!code && !stopped) {
		code = viaduct_event(events, 500, &event, &err);
		if (code || !event)
			continue;
		if (r->c->json)
			cli_json(r->c, event);
		else
			watch_print(r->c, event);
		fflush(r->c->out);
		json_decref(event);
	}
	viaduct_close(events);
	return code && !stopped ? cli_error(r->c, &err) : CLI_OK;
}

static void end_daemon(struct run *r)
{
	kill(r->daemon, SIGTERM);
	for (int ms = 0; ms < END_MS && !daemon_ended(r); ms += STEP_MS)
		pause_ms(STEP_MS);
	if (r->daemon == 0)
		return;
	cli_note(r->c, "viaductd (pid %d) did not end in %d seconds and was killed", (int)r->daemon,
		 END_MS / 1000);
	kill(r->daemon, SIGKILL);
	waitpid(r->daemon, NULL, 0);
	r->daemon = 0;
}

static int undo(struct run *r, const char *bridge)
{
	json_t *result;
	int code = CLI_OK;

	if (r->bridge_made && r->c->conn && !daemon_ended(r)) {
		show_step(r, "delbr", bridge, NULL, NULL);
		code = cli_request(r->c, "bridge.del", json_pack("{s:s}", "bridge", bridge),
				   &result);
		if (!code)
			json_decref(result);
	}
	r->c->conn = viaduct_close(r->c->conn);
	if (r->daemon && !daemon_ended(r))
		end_daemon(r);
	return code;
}

/* What the daemon complained of; what went well the steps and events have told. */
static void show_log(struct run *r)
{
	char path[PATH_MAX + 32], line[512], safe[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/viaductd.log", r->dir);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "info:", 5) != 0 && strncmp(line, "debug:", 6) != 0)
			cli_note(r->c, "viaductd: %s", text_safe(line, safe, sizeof(safe)));
	}
	if (f)
		fclose(f);
}

int cmd_run(struct cli *c, const struct command *cmd, json_t *args)
{
	const char *bridge = row_text(args, "bridge");
	struct run r = {.c = c};
	struct sigaction sa = {.sa_handler = stop};
	int code, end;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	c->conn = viaduct_close(c->conn);
	code = make_dir(&r);
	if (code)
		return code;
	code = start(&r);
	if (!code && !stopped)
		code = build(&r, args);
	if (!code && !stopped && !c->json) {
		fprintf(c->out,
			"%s is up. Look: viaduct --run-dir %s show (or stats, drops, monitor)\n"
			"ctrl-C removes it.\n",
			bridge, r.dir);
		fflush(c->out);
	}
	if (!code && !stopped)
		code = follow(&r);
	end = undo(&r, bridge);
	show_log(&r);
	if (remove_dir(r.dir) < 0)
		cli_note(c, "run directory %s: %s", r.dir, strerror(errno));
	close(r.dir_fd);
	return code ? code : end;
}
