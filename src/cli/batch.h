/* SPDX-License-Identifier: BSD-2-Clause */
/* Command lines from a file, and splitting a line into words. */
#pragma once

#include <stddef.h>

struct cli;

/*
 * Splits line in place at blanks. 'single' and "double" quotes keep blanks, a backslash the next
 * character, # begins a comment. Returns the number of words, at most max, or -1: a quote is open
 * or there are more.
 */
int batch_split(char *line, char **words, size_t max);
/* Runs each line of c->batch. Stops at the first that fails, unless c->force. Returns enum
 * cli_exit. */
int batch_run(struct cli *c);
