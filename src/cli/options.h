/* SPDX-License-Identifier: BSD-2-Clause */
/* Global options. They may stand anywhere before "--", as -x, -word or --word. */
#pragma once

#include <stddef.h>

struct cli;

enum options_outcome {
	OPTIONS_OK = 0,
	OPTIONS_HELP = 1,    /* -h */
	OPTIONS_VERSION = 2, /* -V */
	OPTIONS_E_BAD = 3,   /* text says what */
};

/*
 * Takes the options out of argv (argv[0] is the first word after the program's name) and stores
 * them in c. *argc becomes the number of words left. Returns enum options_outcome.
 */
int options_take(struct cli *c, int *argc, char **argv, char *text, size_t size);
