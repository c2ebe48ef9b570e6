/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libviaduct: the control client of viaductd. One object is one connection to the daemon's control
 * socket; requests and answers are the JSON objects of docs/control.md, as jansson values.
 *
 * Functions that can fail return 0, or a positive error code of docs/control.md, and then fill *err
 * with the sentence to show (err may be NULL). No globals: any thread, one at a time per object.
 * Nothing here raises SIGPIPE.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct json_t; /* json_t of <jansson.h> */
struct viaduct;

/* Version of the protocol that this library speaks. */
#define VIADUCT_PROTOCOL 1

/* Codes that callers treat apart; docs/control.md lists all. */
#define VIADUCT_E_NOT_YET     104
#define VIADUCT_E_INTERNAL    105
#define VIADUCT_E_NETNS       106
#define VIADUCT_E_NO_DAEMON   107
#define VIADUCT_E_BRIDGE_NONE 200

struct viaduct_error {
	int code;       /* 0 = none */
	char name[32];  /* "E_PORT_MEMBER" */
	char text[512]; /* one sentence, the object first, no full stop */
	char hint[256]; /* a command to type; may be empty */
};

/* What the daemon said in its greeting. */
struct viaduct_info {
	char version[32];
	int protocol;     /* of the daemon */
	int pid;          /* in the daemon's pid namespace */
	uint64_t netns;   /* inode of its network namespace; 0 = it did not say */
	char socket[108]; /* where it was reached */
};

/*
 * The run directory to use: run_dir if it is not NULL or empty, else VIADUCT_RUN_DIR of the
 * environment, else "/run/viaduct". Borrowed from the argument, the environment or static.
 */
const char *viaduct_run_dir(const char *run_dir);

/*
 * Connects to the daemon of a run directory (NULL: as viaduct_run_dir()) and takes its greeting in.
 * VIADUCT_E_NO_DAEMON when nothing listens there, E_DENIED when the socket is closed to the caller.
 * *ret is owned by the caller.
 */
int viaduct_open(const char *run_dir, struct viaduct **ret, struct viaduct_error *err);
/* Closes and frees; NULL is fine. Returns NULL. */
struct viaduct *viaduct_close(struct viaduct *v);

/* The greeting; lives as long as v. */
const struct viaduct_info *viaduct_info(const struct viaduct *v);
/* The socket, for poll(): readable when viaduct_event() may have something. Owned by v. */
int viaduct_fd(const struct viaduct *v);
/* How long a request may stay without any answer, in milliseconds; -1 = for ever. At first 30 s. */
void viaduct_set_timeout(struct viaduct *v, int timeout_ms);

/* Takes one row of a list; borrowed, json_incref() to keep it. Nonzero: skip the rest. */
typedef int viaduct_row_fn(void *ctx, struct json_t *row);

/*
 * Sends one request and waits for its end. args (may be NULL) is taken over, also on failure. Rows
 * go to on_row as they come (NULL: ignored). *ret_result (may be NULL) gets the result object,
 * owned by the caller, or NULL when the answer was rows.
 */
int viaduct_call(struct viaduct *v, const char *cmd, struct json_t *args, viaduct_row_fn *on_row,
		 void *ctx, struct json_t **ret_result, struct viaduct_error *err);
/* As viaduct_call(), with the rows collected in a new array. */
int viaduct_rows(struct viaduct *v, const char *cmd, struct json_t *args, struct json_t **ret_rows,
		 struct viaduct_error *err);

/*
 * As viaduct_call() without rows; up to *n descriptors that come with the answer go to ret_fds, and
 * are the caller's. *n is then how many; 0 after an error. Others are closed.
 */
int viaduct_call_fds(struct viaduct *v, const char *cmd, struct json_t *args,
		     struct json_t **ret_result, int *ret_fds, unsigned int *n,
		     struct viaduct_error *err);

/*
 * Asks for events of the groups, a NULL-terminated list ("fdb", "link", "all"). From now on the
 * connection is for viaduct_event() only.
 */
int viaduct_watch(struct viaduct *v, const char *const *groups, struct viaduct_error *err);
/*
 * The next event, owned by the caller. *ret_event is NULL when timeout_ms (-1: for ever) passed or
 * a signal came. VIADUCT_E_NO_DAEMON: the daemon closed the connection.
 */
int viaduct_event(struct viaduct *v, int timeout_ms, struct json_t **ret_event,
		  struct viaduct_error *err);

/*
 * Sends a request whose answer goes on: events, and then a result ("trace.start"). args is taken
 * over. What comes is read with viaduct_next(); the next request may follow the result.
 */
int viaduct_start(struct viaduct *v, const char *cmd, struct json_t *args,
		  struct viaduct_error *err);
/*
 * The next event, or the result, after which nothing comes: one of the two is set and owned by the
 * caller; none when timeout_ms (-1: for ever) passed or a signal came.
 */
int viaduct_next(struct viaduct *v, int timeout_ms, struct json_t **ret_event,
		 struct json_t **ret_result, struct viaduct_error *err);

/* Inode of the caller's network namespace, to compare with viaduct_info; 0 if it cannot be read. */
uint64_t viaduct_netns(void);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
