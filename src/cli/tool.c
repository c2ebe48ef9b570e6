/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"

#define CHUNK 65536

const char *tool_find(const char *name, char *buf, size_t size)
{
	const char *path = getenv("PATH");
	char all[4096], *rest = NULL;

	snprintf(all, sizeof(all), "%s:/usr/sbin:/sbin:/usr/bin:/bin", path ? path : "");
	for (char *dir = strtok_r(all, ":", &rest); dir; dir = strtok_r(NULL, ":", &rest)) {
		snprintf(buf, size, "%s/%s", dir, name);
		if (access(buf, X_OK) == 0)
			return buf;
	}
	return NULL;
}

static _Noreturn void become(const char *path, const char *const *argv, int out)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDERR_FILENO);
	}
	dup2(out, STDOUT_FILENO);
	execv(path, (char *const *)argv);
	_exit(127);
}

static int left_ms(const struct timespec *start, int timeout_ms)
{
	struct timespec now;
	long ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
	return ms < timeout_ms ? (int)(timeout_ms - ms) : 0;
}

/* All that comes until the end; NULL when it is too much, too late, or there is no memory. */
static char *collect(int fd, size_t limit, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char *text = NULL, *more;
	size_t len = 0;
	struct timespec start;
	ssize_t n = 1;
	int r = 1;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (r > 0 && n != 0 && len <= limit) {
		more = realloc(text, len + CHUNK + 1);
		if (!more)
			break;
		text = more;
		r = poll(&p, 1, left_ms(&start, timeout_ms));
		n = r > 0 ? read(fd, text + len, CHUNK) : 0;
		if (n < 0)
			break;
		len += (size_t)n;
		text[len] = '\0';
	}
	if (r > 0 && n == 0 && len <= limit)
		return text;
	free(text);
	return NULL;
}

char *tool_read(const char *const *argv, size_t limit, int timeout_ms)
{
	char path[PATH_MAX], *text;
	int out[2], status = -1;
	pid_t pid;

	if (!tool_find(argv[0], path, sizeof(path)) || pipe2(out, O_CLOEXEC) < 0)
		return NULL;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		become(path, argv, out[1]);
	close(out[1]);
	text = pid > 0 ? collect(out[0], limit, timeout_ms) : NULL;
	close(out[0]);
	if (pid > 0 && !text)
		kill(pid, SIGKILL);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (text && status != 0) {
		free(text);
		text = NULL;
	}
	return text;
}
