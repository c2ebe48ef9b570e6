/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child that outlives this process by as long as it takes to clean up: for what the kernel keeps
 * when the daemon is killed (tc filters before kernel 6.6). Main thread.
 */
#pragma once

#include <sys/types.h>

struct janitor {
	pid_t pid; /* 0: there is none */
};

/*
 * Forks. When this process is gone, however it ended, the child calls clean(arg) and exits. It has
 * arg as it is now, the same namespaces and capabilities, no descriptors and no shared memory.
 * Harmless when there is one already. 0 or -errno.
 */
int janitor_start(struct janitor *j, void (*clean)(const void *arg), const void *arg);
/* Sends it home. Harmless when there is none. */
void janitor_stop(struct janitor *j);
