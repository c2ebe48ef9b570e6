/* SPDX-License-Identifier: BSD-2-Clause */
/* What /proc says of other processes. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Has the process ended, or is it about to? *ret_signal: the signal that killed it; 0: none, or the
 * kernel does not tell us (proc(5), exit_code).
 */
bool proc_ended(pid_t pid, int *ret_signal);

struct proc_info {
	pid_t parent;   /* 0: none that we can see */
	uint64_t start; /* when it began, in clock ticks since boot: tells a pid's users apart */
};

/* False: there is no such process. All 0 where /proc hides those of others. */
bool proc_look(pid_t pid, struct proc_info *ret);
