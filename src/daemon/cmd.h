/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands: one file per noun, each a table. A command gets checked arguments, does its work in the
 * main thread, and answers by its return value, its rows, or a stream.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/daemon.h"
#include "daemon/keys.h"
#include "wire/msg.h"

struct server_conn;
struct vport;

/*
 * An answer that is too long to wait in memory: next() adds some rows and says whether there are
 * more; it is called again when the client has read them.
 */
struct cmd_stream {
	bool (*next)(struct cmd_stream *s);
	void (*free)(struct cmd_stream *s);
};

/*
 * An answer that goes on: events as they happen, until the command ends it by server_live_end()
 * with a result. Meanwhile the client can only say that it wants no more, by sending anything.
 */
struct cmd_live {
	void (*stop)(struct cmd_live *l); /* the client said so: end it now */
	void (*gone)(struct cmd_live *l); /* the client left: free everything */
};

/* One execution. Lives until the answer is complete. */
struct cmd_call {
	struct daemon *d;
	struct server_conn *conn; /* NULL: run by the configuration; rows go nowhere */
	int64_t id;
	json_t *args;   /* object, borrowed */
	json_t *result; /* set by the command; NULL = {} */
	uint64_t rows;
	struct cmd_stream *stream;
	struct cmd_live *live;
	int fds[2]; /* that go with the result, if n_fds; the command's */
	uint32_t n_fds;
	bool monitor; /* answers are events from now on, nothing else */
	struct ctl_error err;
};

/* 0, or an error code with c->err filled. */
typedef int cmd_fn(struct cmd_call *c);

enum cmd_flags {
	CMD_WRITE = 1, /* changes something: root */
	CMD_ROWS = 2,  /* answers with rows */
};

struct cmd {
	const char *name;
	cmd_fn *fn;
	unsigned int flags;
	struct key_table args;            /* its own */
	const struct key_table *settings; /* shared ones, or NULL */
};

struct cmd_table {
	const struct cmd *cmds;
	size_t n;
};

extern const struct cmd_table cmds_bridge, cmds_port, cmds_fdb, cmds_vlan, cmds_status, cmds_config,
	cmds_netmap, cmds_adopt, cmds_rule, cmds_drops, cmds_trace, cmds_capture;

/* The command called name; NULL with CTL_E_COMMAND in *err. */
const struct cmd *cmd_find(const char *name, struct ctl_error *err);
/* Checks arguments and runs it. Engine events that it caused are handled before it returns. */
int cmd_run(const struct cmd *cmd, struct cmd_call *c);
/* As a client would: by name, with args (stolen). 0 or a code with *err filled. */
int cmd_exec(struct daemon *d, const char *name, json_t *args, struct ctl_error *err);

/* For commands. */
const char *cmd_arg(const struct cmd_call *c, const char *name); /* string or NULL */
bool cmd_arg_bool(const struct cmd_call *c, const char *name);   /* false if absent */
int64_t cmd_arg_int(const struct cmd_call *c, const char *name, int64_t otherwise);
/*
 * Calls fn for each port that bridge and port of the arguments select; hosts' ports too. 0 or an
 * error.
 */
int cmd_each_port(struct cmd_call *c, void (*fn)(struct cmd_call *c, struct vport *vp));
/* Sends a row; steals it. */
void cmd_row(struct cmd_call *c, json_t *row);
/* The members of args that are keys of the table; new object. */
json_t *cmd_settings(const struct cmd_call *c, const struct key_table *table);
