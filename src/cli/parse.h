/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grammar of commands as data. One table (commands.c) says which words each command takes; from
 * it come the parser, the usage lines, `viaduct help`, shell completion, and the check that the
 * manual is complete.
 *
 * A command is one or two words ("addbr", "fdb add"); each may be shortened to a unique prefix, as
 * with ip(8). What was parsed is a JSON object, mostly under the names of the control protocol.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct cli;

enum arg_kind {
	ARG_BRIDGE, /* name of a bridge of ours */
	ARG_ANY,    /* name of a bridge of ours or of the kernel */
	ARG_PORT,   /* name of a port or bridge that exists */
	ARG_DEV,    /* a device to join, tap:NAME, pcap:FILE */
	ARG_NEW,    /* a name that is new */
	ARG_MAC,
	ARG_UINT,   /* 0 and up, decimal or 0x… */
	ARG_ONOFF,  /* a boolean */
	ARG_CHOICE, /* one of the words in `values` */
	ARG_FLAG,   /* the word alone: true */
	ARG_FILE,
	ARG_COMMAND, /* words of a command, for help */
	ARG_TEXT,
};

enum arg_flag {
	ARG_REQUIRED = 1 << 0,
	ARG_MANY = 1 << 1,   /* several words, gives an array; with a word, that before each */
	ARG_BARE = 1 << 2,   /* its introducing word may be left out */
	ARG_OR = 1 << 3,     /* excludes the argument before it */
	ARG_HIDDEN = 1 << 4, /* understood, in order to say what to type instead */
};

struct arg_spec {
	const char *key;  /* member in the parsed object; NULL ends a list */
	const char *word; /* word that introduces it; NULL: positional, or a bare choice */
	enum arg_kind kind;
	unsigned int flags; /* enum arg_flag */
	const char *meta;   /* placeholder in usage lines: "BR" */
	const char *values; /* of ARG_CHOICE: "static|sticky" */
};

/* Runs a command with what was parsed (borrowed). Returns enum cli_exit. */
struct command;
typedef int command_fn(struct cli *c, const struct command *cmd, json_t *args);

struct command {
	const char *name;    /* "fdb add"; NULL ends the table */
	const char *aliases; /* other last words, "delete|rm", or NULL */
	const struct arg_spec *args;
	command_fn *run;
	const char *request; /* of the control protocol, for commands that are one request */
	const char *summary; /* one line */
	const char *more;    /* a paragraph for `help COMMAND`, or NULL */
	bool hidden;         /* for scripts, in no list */
	bool starts_daemon;
};

/* Why words were not understood. */
struct parse_error {
	char text[256];
	char hint[128];            /* the nearest word, or empty */
	const struct command *cmd; /* whose usage helps; NULL = unknown command */
};

/*
 * Finds the command that argv begins with. *ret_used: how many words it took. NULL and *err filled
 * when there is none or several.
 */
const struct command *parse_command(const struct command *table, int argc, char **argv,
				    int *ret_used, struct parse_error *err);

/* Parses the words after the command. A new object, or NULL and *err filled. */
json_t *parse_args(const struct command *cmd, int argc, char **argv, struct parse_error *err);

/* Writes "addif BR DEV... [driver auto|packet]" to buf and returns it. */
const char *parse_usage(const struct command *cmd, char *buf, size_t size);

/*
 * Completion: calls word() with each word that may stand at argv[argc - 1], and value() with the
 * kind when a name or file may stand there. All before it is taken as typed; nonsense gives
 * nothing.
 */
struct complete_ops {
	void *ctx;
	void (*word)(void *ctx, const char *word, size_t len);
	void (*value)(void *ctx, enum arg_kind kind);
};
void parse_complete(const struct command *table, int argc, char **argv,
		    const struct complete_ops *ops);
