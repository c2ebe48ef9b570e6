/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/log.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/plan.h"
#include "wire/msg.h"

static const char usage[] =
	"usage: viaductd [options]\n"
	"  -c, --config FILE   configuration (default " DAEMON_CONFIG_PATH ", if it exists)\n"
	"      --check FILE    only say whether FILE is a good configuration\n"
	"  -r, --run-dir DIR   sockets and pid file (default $VIADUCT_RUN_DIR, " CTL_RUN_DIR ")\n"
	"  -g, --group GROUP   group that may read the control socket (default root)\n"
	"  -w, --workers N     threads that forward frames, 1 to 64 (default 1)\n"
	"  -s, --spin-us N     microseconds to look for more frames before sleeping (default 20)\n"
	"  -d, --daemonize     go to the background when ready; log to DIR/viaductd.log\n"
	"      --no-seccomp    do not filter system calls (for debuggers)\n"
	"  -h, --help          this text\n"
	"  -V, --version       version\n";

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"run-dir", required_argument, NULL, 'r'},
	{"group", required_argument, NULL, 'g'},
	{"workers", required_argument, NULL, 'w'},
	{"spin-us", required_argument, NULL, 's'},
	{"daemonize", no_argument, NULL, 'd'},
	{"check", required_argument, NULL, 'C'},
	{"no-seccomp", no_argument, NULL, 'S'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static int number(const char *what, int min, int max)
{
	char *end;
	long v = strtol(optarg, &end, 10);

	if (*end || end == optarg || v < min || v > max) {
		fprintf(stderr, "viaductd: %s %s: not a number from %d to %d\n", what, optarg, min,
			max);
		exit(2);
	}
	return (int)v;
}

static void parse_options(int argc, char **argv, struct daemon_options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:r:g:w:s:dhV", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config_path = optarg;
			break;
		case 'C':
			o->check_path = optarg;
			break;
		case 'r':
			o->run_dir = optarg;
			break;
		case 'g':
			o->group = optarg;
			break;
		case 'w':
			o->n_workers = number("--workers", 1, DAEMON_WORKERS_MAX);
			break;
		case 's':
			o->spin_us = number("--spin-us", 0, 100000);
			break;
		case 'd':
			o->daemonize = true;
			break;
		case 'S':
			o->seccomp = false;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'V':
			puts("viaductd " DAEMON_VERSION);
			exit(0);
		default:
			fputs("hint: viaductd --help\n", stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "viaductd: %s: unexpected argument\n", argv[optind]);
		exit(2);
	}
}

/* The parent waits in here and ends with the child's word; the child returns the pipe. */
static int fork_child(void)
{
	int p[2];
	char status = 1;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) || (pid = fork()) < 0) {
		fprintf(stderr, "viaductd: %s\n", strerror(errno));
		exit(1);
	}
	if (pid == 0) {
		close(p[0]);
		setsid();
		return p[1];
	}
	close(p[1]);
	if (read(p[0], &status, 1) != 1)
		status = 1;
	exit(status);
}

/* What is logged before there is a log file; trouble is for the terminal too. */
static struct {
	FILE *to;
	char *text;
	size_t size;
} early;

static void hold(void *ctx, enum log_level level, const char *line)
{
	if (level <= LOG_WARN)
		fprintf(stderr, "%s: %s\n", log_level_name(level), line);
	if (early.to)
		fprintf(early.to, "%s: %s\n", log_level_name(level), line);
}

static void release(void)
{
	log_set_sink(NULL, NULL);
	if (!early.to)
		return;
	fclose(early.to);
	fputs(early.text, stderr);
	free(early.text);
}

/* In the background from now on. */
static void detach(const struct daemon *d, int pipe_fd)
{
	char path[160];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), log;

	snprintf(path, sizeof(path), "%s/viaductd.log", d->run_dir);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(log >= 0 ? log : null, STDERR_FILENO);
	release();
	if (write(pipe_fd, "\0", 1) != 1)
		exit(1);
	close(pipe_fd);
}

/* --check: what the daemon would say to the file, without starting. */
static int check(const char *path)
{
	struct ctl_error err;
	struct config *c;
	int r = config_load(path, &c, &err);

	if (!r) {
		r = plan_check(NULL, c, &err);
		config_free(c);
	}
	if (r)
		fprintf(stderr, "%s\n", err.text);
	return r ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct daemon_options opt = {.n_workers = -1, .spin_us = -1, .seccomp = true};
	static struct daemon d;
	int pipe_fd = -1, r;

	parse_options(argc, argv, &opt);
	if (opt.check_path)
		return check(opt.check_path);
	if (opt.daemonize) {
		pipe_fd = fork_child();
		early.to = open_memstream(&early.text, &early.size);
		log_set_sink(hold, NULL);
	}
	r = daemon_start(&d, &opt);
	if (!r && pipe_fd >= 0)
		detach(&d, pipe_fd);
	if (!r)
		daemon_run(&d);
	daemon_stop(&d);
	return r ? 1 : 0;
}
