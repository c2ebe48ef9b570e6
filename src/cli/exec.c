/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `viaduct exec`: runs a netmap program with libnetmap preloaded, so that "/dev/netmap" is the
 * daemon's. Only the environment changes; the program replaces this one.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "wire/msg.h"

#define LIBRARY "libnetmap.so.0"

/* From the directory of this program: build tree, lib/ beside bin/. */
static const char *const beside[] = {"", "../lib/", "../lib64/", "../lib/" MULTIARCH "/"};

/* NULL: none found. */
static const char *find_library(char *buf, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < array_size(beside); i++) {
		snprintf(buf, size, "%.*s/%s%s", (int)(slash - self), self, beside[i], LIBRARY);
		if (access(buf, R_OK) == 0)
			return buf;
	}
	snprintf(buf, size, "%s/%s", LIBDIR, LIBRARY);
	return access(buf, R_OK) == 0 ? buf : NULL;
}

/* Does anybody answer to netmap programs? */
static bool has_daemon(const struct cli *c)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool yes;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/netmap.sock", viaduct_run_dir(c->run_dir));
	yes = fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0;
	if (fd >= 0)
		close(fd);
	/* Not permitted, or too many: somebody is there. */
	return yes || (errno != ENOENT && errno != ECONNREFUSED);
}

/* A program of root may open what the kernel has, without any command before. */
static int start_daemon(struct cli *c)
{
	int r = geteuid() != 0 || has_daemon(c) ? CLI_OK : cli_connect(c, true);

	c->conn = viaduct_close(c->conn);
	return r;
}

int exec_program(struct cli *c, char **argv)
{
	const char *before = getenv("LD_PRELOAD"), *lib;
	char path[PATH_MAX + 64], all[2 * PATH_MAX];
	int r;

	if (argv[0] && !strcmp(argv[0], "--"))
		argv++;
	if (!argv[0])
		return cli_usage(c, NULL, CTL_E_ARGS, "exec: PROGRAM is missing",
				 "viaduct help exec");
	lib = find_library(path, sizeof(path));
	if (!lib)
		return cli_fail(c, VIADUCT_E_INTERNAL, NULL,
				LIBRARY ": neither beside this program nor in " LIBDIR);
	if (strpbrk(lib, ": "))
		return cli_fail(c, VIADUCT_E_INTERNAL, NULL,
				"%s: cannot be preloaded: its path has a blank or a colon", lib);
	r = start_daemon(c);
	if (r)
		return r;
	snprintf(all, sizeof(all), "%s%s%s", before && *before ? before : "",
		 before && *before ? ":" : "", lib);
	if (setenv("LD_PRELOAD", all, 1) < 0 ||
	    setenv("VIADUCT_RUN_DIR", viaduct_run_dir(c->run_dir), 1) < 0)
		return cli_fail(c, VIADUCT_E_INTERNAL, NULL, "environment: %s", strerror(errno));
	fflush(NULL);
	execvp(argv[0], argv);
	return cli_fail(c, CTL_E_ARGS, NULL, "%s: %s", argv[0], strerror(errno));
}

/* From a batch, where words are JSON already. */
int cmd_exec(struct cli *c, const struct command *cmd, json_t *args)
{
	const json_t *rest = json_object_get(args, "args");
	size_t n = json_array_size(rest);
	char **argv = calloc(n + 2, sizeof(*argv));
	int r;

	if (!argv)
		return cli_fail(c, VIADUCT_E_INTERNAL, NULL, "no memory");
	argv[0] = (char *)json_string_value(json_object_get(args, "program"));
	for (size_t i = 0; i < n; i++)
		argv[i + 1] = (char *)json_string_value(json_array_get(rest, i));
	r = exec_program(c, argv);
	free(argv);
	return r;
}
