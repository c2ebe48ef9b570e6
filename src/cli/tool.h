/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking other programs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Where a program lies: PATH, then the folders of administration. NULL: nowhere. Returns buf. */
const char *tool_find(const char *name, char *buf, size_t size);

/*
 * Runs argv (argv[0] as tool_find() wants it) and collects what it prints on standard output; its
 * standard error is discarded. NULL when it cannot run, fails, prints more than limit bytes, or
 * takes longer than timeout_ms, after which it is killed. The caller's, ended by a NUL.
 */
char *tool_read(const char *const *argv, size_t limit, int timeout_ms);
