/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting viaductd and viaduct-ktrace: beside this program, in the usual places, or in PATH. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct cli;

/* Starts a daemon in the background and waits until it is ready. Prints errors; enum cli_exit. */
int spawn_background(struct cli *c);
/* Lets viaductd judge a configuration file, without a daemon. Prints errors; enum cli_exit. */
int spawn_check(struct cli *c, const char *file);
/*
 * Starts a daemon in the foreground of its own process group, with a private run directory in which
 * it logs to viaductd.log. It gets SIGTERM when this process dies. *ret_pid is a child of the
 * caller. Prints errors; enum cli_exit.
 */
int spawn_foreground(struct cli *c, const char *run_dir, pid_t *ret_pid);
/*
 * Starts viaduct-ktrace with argv, of which the first is filled in here. *ret_fd reads its standard
 * output; it gets SIGTERM when this process dies. Prints errors; enum cli_exit.
 */
int spawn_ktrace(struct cli *c, const char **argv, int *ret_fd, pid_t *ret_pid);
