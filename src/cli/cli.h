/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One run of the command: what the global options said, the connection, where output goes. Owned by
 * main(); every command gets it. Commands print what went wrong themselves and return an exit code.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/compiler.h"
#include "viaduct.h"

/* Exit codes, as viaduct(8) lists them; `doctor` has its own (doctor.h). */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,    /* the command failed: the daemon said no */
	CLI_USAGE = 2,     /* not understood */
	CLI_NO_DAEMON = 3, /* no daemon reachable */
};

struct command;

struct cli {
	const struct command *table; /* all commands */
	const char *run_dir;         /* --run-dir, or NULL */
	const char *netns;           /* -n, or NULL */
	const char *batch;           /* -b, or NULL; "-" = standard input */
	bool json, pretty, stats, details, force;
	double watch_s;        /* --watch: seconds from one look to the next; 0: look once */
	bool color, color_err; /* resolved, for out and for stderr */
	FILE *out;             /* stdout; a test's buffer */
	struct viaduct *conn;  /* opened by the first command that needs it */
};

/*
 * Connects unless connected, and compares the network namespaces. may_start: starts viaductd when
 * none runs. Prints what fails. Returns enum cli_exit.
 */
int cli_connect(struct cli *c, bool may_start);

/* One request; the result object is the caller's. args is taken over. Prints errors. */
int cli_request(struct cli *c, const char *request, json_t *args, json_t **ret_result);
/* One request with rows, collected. */
int cli_rows(struct cli *c, const char *request, json_t *args, json_t **ret_rows);
/* One request with rows as they come. */
int cli_stream(struct cli *c, const char *request, json_t *args, viaduct_row_fn *on_row, void *ctx);

/* Prints an error and its hint, as sentences on stderr or as JSON on out; returns the exit code. */
int cli_error(struct cli *c, const struct viaduct_error *err);
/* The same for an error that is born here. hint may be NULL. */
int cli_fail(struct cli *c, int code, const char *hint, const char *fmt, ...) _printf_(4, 5);
/* A usage error: one sentence and the command's usage line (cmd may be NULL). CLI_USAGE. */
int cli_usage(struct cli *c, const struct command *cmd, int code, const char *text,
	      const char *hint);
/* A remark on stderr for people; nothing with -j. */
void cli_note(struct cli *c, const char *fmt, ...) _printf_(2, 3);

/* Prints one JSON document and a newline, pretty with -p. */
void cli_json(struct cli *c, const json_t *value);
/* Prints rows as an array and releases them. */
int cli_json_rows(struct cli *c, json_t *rows);

/* Runs one command line, without global options. */
int cli_run(struct cli *c, int argc, char **argv);
