/* SPDX-License-Identifier: BSD-2-Clause */
/* viaduct: finds the command, runs it. The commands are in commands.c. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/batch.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "wire/msg.h"

#ifndef VIADUCT_VERSION
#define VIADUCT_VERSION "unknown"
#endif

/* A namespace's name, path, or the pid of a process in it. */
static int open_netns(const char *netns)
{
	char path[PATH_MAX];
	int fd;

	assert(netns);
	if (strchr(netns, '/'))
		return open(netns, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && netns[strspn(netns, "0123456789")] == '\0') {
		snprintf(path, sizeof(path), "/proc/%s/ns/net", netns);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd;
}

static int enter_netns(struct cli *c)
{
	int fd = open_netns(c->netns), r = CLI_OK;

	if (fd < 0)
		return cli_fail(c, CTL_E_NETNS, NULL, "network namespace %s: %s", c->netns,
				errno == ENOENT ? "no such namespace" : strerror(errno));
	if (setns(fd, CLONE_NEWNET) < 0)
		r = cli_fail(c, errno == EPERM ? CTL_E_PRIVILEGE : CTL_E_NETNS, NULL,
			     "network namespace %s: cannot be entered: %s", c->netns,
			     errno == EPERM ? "CAP_SYS_ADMIN is missing" : strerror(errno));
	close(fd);
	return r;
}

/* `viaduct COMMAND -h` is `viaduct help COMMAND`. */
static int run_help(struct cli *c, int argc, char **argv)
{
	char *words[4] = {(char *)"help"};
	int n = 1;

	for (int i = 0; i < argc && n < 3; i++)
		words[n++] = argv[i];
	return cli_run(c, n, words);
}

/* `viaduct complete WORD...`: what the last word may become. Options before it count. */
static int complete(struct cli *c, int argc, char **argv)
{
	char *typed = argc ? argv[argc - 1] : NULL, text[256];
	int n = argc ? argc - 1 : 0;

	if (options_take(c, &n, argv, text, sizeof(text)) || (c->netns && enter_netns(c)))
		return CLI_OK;
	argv[n] = typed; /* it may look like an option */
	return complete_words(c, argc ? n + 1 : 0, argv);
}

static int run(struct cli *c, int argc, char **argv)
{
	char text[256];
	int outcome;

	if (argc > 0 && !strcmp(argv[0], "complete"))
		return complete(c, argc - 1, argv + 1);
	outcome = options_take(c, &argc, argv, text, sizeof(text));
	switch (outcome) {
	case OPTIONS_E_BAD:
		return cli_usage(c, NULL, CTL_E_ARGS, text, "viaduct help");
	case OPTIONS_VERSION:
		fprintf(c->out, "viaduct %s, protocol %d\n", VIADUCT_VERSION, VIADUCT_PROTOCOL);
		return CLI_OK;
	case OPTIONS_HELP:
		return run_help(c, argc, argv);
	}
	if (c->netns && enter_netns(c))
		return CLI_FAILED;
	if (c->batch)
		return batch_run(c);
	if (argc > 1 && !strcmp(argv[0], "exec")) { /* any bytes, so not through JSON */
		argv[argc] = NULL;                  /* options have been taken out */
		return exec_program(c, argv + 1);
	}
	if (argc > 0)
		return cli_run(c, argc, argv);
	run_help(c, 0, NULL);
	return CLI_USAGE;
}

int main(int argc, char **argv)
{
	struct cli c = {.table = commands, .out = stdout};
	int r = run(&c, argc - 1, argv + 1);

	viaduct_close(c.conn);
	/* A full disk or a closed pipe is a failure too. */
	if (fflush(stdout) == EOF && !r && errno != EPIPE) {
		fprintf(stderr, "viaduct: standard output: %s\n", strerror(errno));
		r = CLI_FAILED;
	}
	return r;
}
