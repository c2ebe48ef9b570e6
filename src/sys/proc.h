/* SPDX-License-Identifier: BSD-2-Clause */
/* What /proc says of other processes. Any thread. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * Has the process ended, or is it about to? *ret_signal: the signal that killed it; 0: none, or the
 * kernel does not tell us (proc(5), exit_code).
 */
bool proc_ended(pid_t pid, int *ret_signal);
