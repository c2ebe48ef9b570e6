/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A forked child has everything of ours: descriptors, and mappings that keep sockets and BPF maps
 * alive (a mapped packet ring is its socket, and with it a device's promiscuous mode). All that is
 * given up first, so that what the daemon closes is closed. No exec: seccomp forbids it by then.
 */
#include "sys/janitor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/err.h"

#define MAPPINGS_MAX 4096

/* Shared mappings of the process. Read first, unmapped after, so that the list is of one piece. */
static void unmap_shared(void)
{
	static struct {
		uintptr_t start, end;
	} maps[MAPPINGS_MAX];
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512], perms[5];
	uint32_t n = 0;

	while (f && n < MAPPINGS_MAX && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %4s", &maps[n].start, &maps[n].end, perms) == 3 &&
		    perms[3] == 's')
			n++;
	if (f)
		fclose(f);
	for (uint32_t i = 0; i < n; i++)
		munmap((void *)maps[i].start, maps[i].end - maps[i].start);
}

/* Everything but fd, which becomes 3; 0 to 2 lead nowhere that anybody waits for. */
static int close_others(int fd)
{
	if (fd != 3 && dup2(fd, 3) < 0)
		return -errno;
	close_range(4, ~0u, 0);
	return 3;
}

_Noreturn static void child(int fd, void (*clean)(const void *arg), const void *arg)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
	struct pollfd p = {.fd = close_others(fd), .events = POLLIN};
	sigset_t none;

	for (size_t i = 0; i < array_size(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_NAME, "viaduct-janitor");
	unmap_shared();
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	clean(arg);
	_exit(0);
}

int janitor_start(struct janitor *j, void (*clean)(const void *arg), const void *arg)
{
	int fd;

	if (j->pid)
		return 0;
	fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (fd < 0)
		return error_origin(-errno);
	j->pid = fork();
	if (j->pid == 0)
		child(fd, clean, arg);
	close(fd);
	if (j->pid < 0) {
		j->pid = 0;
		return error_origin(-errno);
	}
	return 0;
}

void janitor_stop(struct janitor *j)
{
	if (!j->pid)
		return;
	kill(j->pid, SIGKILL);
	waitpid(j->pid, NULL, 0);
	j->pid = 0;
}
