/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon may do: it needs four capabilities and gives all others up, and a seccomp filter
 * takes away system calls that no part of it uses. Main thread, before other threads start.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Are all needed capabilities there? 0, or -EPERM with the names of the missing ones in ret_missing
 * ("CAP_NET_RAW, CAP_IPC_LOCK").
 */
int privs_check(char *ret_missing, size_t size);
/* Gives up all capabilities but the needed ones, for good. 0 or -errno. */
int privs_drop(void);
/*
 * Denies (EPERM) calls that start programs, load code into the kernel, mount, trace or change the
 * machine. Also sets no_new_privs. 0 or -errno.
 */
int privs_seccomp(void);
/*
 * Gives up everything, for good: user and group of root, all capabilities, new privileges, and with
 * filter_calls all system calls but those of a program that waits, reads and writes what it has
 * open. 0 or -errno.
 */
int privs_give_up(bool filter_calls);
