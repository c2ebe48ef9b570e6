/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control protocol of docs/control.md: one JSON object a line, both ways. This module frames
 * lines, builds messages and takes them apart; it knows nothing of commands or sockets.
 *
 * No globals: any thread, one at a time per object. JSON values are jansson's; "steals" means that
 * the function takes over the caller's reference, also when it fails.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define CTL_PROTOCOL    1
#define CTL_SOCKET_NAME "control.sock"
#define CTL_RUN_DIR     "/run/viaduct"
#define CTL_LINE_MAX    (1u << 20) /* bytes of a line from client to daemon, newline included */
#define CTL_REPLY_MAX   (8u << 20) /* bytes of a line from daemon to client */
#define CTL_BACKLOG_MAX (8u << 20) /* bytes that may wait for a client that does not read */

/* X(code, name, meaning): docs/control.md has the same table. */
#define CTL_ERROR_LIST(X)                                                                          \
	X(100, E_SYNTAX, "the line is not a JSON object, or too long")                             \
	X(101, E_COMMAND, "unknown command; the hint has the nearest")                             \
	X(102, E_ARGS, "missing, unknown or mistyped argument")                                    \
	X(103, E_DENIED, "the peer may not do that")                                               \
	X(104, E_NOT_YET, "planned, not built yet")                                                \
	X(105, E_INTERNAL, "unexpected failure, with the errno's text")                            \
	X(106, E_NETNS, "client and daemon live in different network namespaces")                  \
	X(107, E_NO_DAEMON, "no daemon answers (said by clients, never by the daemon)")            \
	X(108, E_BUSY, "the daemon has as many clients, or monitors, as it takes")                 \
	X(200, E_BRIDGE_NONE, "no such bridge")                                                    \
	X(201, E_BRIDGE_EXISTS, "a bridge or device of that name exists")                          \
	X(202, E_NAME, "not usable as an interface name")                                          \
	X(203, E_BRIDGE_BUSY, "the bridge cannot go now")                                          \
	X(204, E_KERNEL_BRIDGE, "it is a bridge of the kernel, not of viaduct")                    \
	X(210, E_PORT_NONE, "no such port")                                                        \
	X(211, E_PORT_MEMBER, "already a member of a bridge")                                      \
	X(212, E_DEV_NONE, "no such device")                                                       \
	X(213, E_DEV_KIND, "a device that cannot be a port: loopback, not Ethernet, a bridge")     \
	X(214, E_DRIVER, "no such driver, or it cannot run on this device")                        \
	X(215, E_PORT_FULL, "no port number left")                                                 \
	X(216, E_PRIVILEGE, "a capability is missing; the text names it")                          \
	X(217, E_DEV_BUSY, "the device or its name is used by something else")                     \
	X(220, E_FDB_NONE, "no such FDB entry")                                                    \
	X(221, E_FDB_EXISTS, "the FDB entry exists")                                               \
	X(222, E_FDB_FULL, "the FDB is full")                                                      \
	X(223, E_MAC, "not a MAC address, or not one that an entry can have")                      \
	X(230, E_VALUE, "a value out of range; the text has the range")                            \
	X(240, E_CONFIG, "the configuration file has an error; the text starts with FILE:LINE:")   \
	X(260, E_RULE_NONE, "no such rule")                                                        \
	X(261, E_MIRROR_NONE, "no such mirror")                                                    \
	X(262, E_MIRROR_EXISTS, "a mirror of that name exists")                                    \
	X(263, E_MIRROR_LOOP, "a mirror's destination would be mirrored")                          \
	X(264, E_MIRROR_BUSY, "a rule copies to the mirror")                                       \
	X(270, E_TRACE_BUSY, "as many traces run on the bridge as there may be")                   \
	X(271, E_FRAME, "no frame: not hexadecimal, empty, or longer than a frame can be")

enum ctl_code {
	CTL_OK = 0,
#define X(code, name, text) CTL_##name = code,
	CTL_ERROR_LIST(X)
#undef X
};

/* "E_ARGS"; "E_INTERNAL" for a number that is not in the list. */
const char *ctl_code_name(int code);
/* What the code means, for documentation and for texts that are missing. */
const char *ctl_code_text(int code);

/* An error as users see it: one sentence that names the object, and what to do about it. */
struct ctl_error {
	int code; /* enum ctl_code; a newer daemon may send others */
	char text[512];
	char hint[256]; /* a command to type, or empty */
};

/* Fills *err and returns its code, so that a command can `return ctl_fail(...)`. */
int ctl_fail(struct ctl_error *err, enum ctl_code code, const char *fmt, ...) _printf_(3, 4);
/* Adds the hint. Returns err->code. */
int ctl_hint(struct ctl_error *err, const char *fmt, ...) _printf_(2, 3);

/* ---- lines ---- */

/* Bytes that came in and the lines in them. Owner: one connection. */
struct ctl_lines {
	char *buf;
	size_t start;   /* first byte not yet handed out */
	size_t end;     /* one past the last byte */
	size_t scanned; /* no newline before this */
	size_t cap;     /* bytes allocated */
	size_t max;     /* longest line, newline included */
};

enum ctl_lines_error {
	CTL_LINES_E_LONG = 1, /* more than max bytes without a newline; nothing more is taken */
};

/* max: CTL_LINE_MAX in the daemon, CTL_REPLY_MAX in a client. */
void ctl_lines_init(struct ctl_lines *l, size_t max);
void ctl_lines_deinit(struct ctl_lines *l);
/*
 * Room for the next read(): at least one byte at *ret_p, *ret_room of them. 0, -ENOMEM, or
 * CTL_LINES_E_LONG when the unfinished line is as long as a line may be.
 */
int ctl_lines_room(struct ctl_lines *l, char **ret_p, size_t *ret_room);
/* n bytes were read into that room. */
void ctl_lines_filled(struct ctl_lines *l, size_t n);
/*
 * The next whole line without its newline (and without a carriage return), NUL behind it; NULL if
 * there is none yet. Valid until the next call of ctl_lines_room().
 */
char *ctl_lines_next(struct ctl_lines *l, size_t *ret_len);
/* Is there a whole line that ctl_lines_next() would give? */
bool ctl_lines_pending(const struct ctl_lines *l);

/* ---- building; each returns a new message, NULL when there is no memory ---- */

json_t *ctl_greeting(const char *version, int64_t pid, uint64_t netns);
/* Steals args, which may be NULL. */
json_t *ctl_request(int64_t id, const char *cmd, json_t *args);
/* Steals body; NULL becomes {}. */
json_t *ctl_result(int64_t id, json_t *body);
json_t *ctl_row(int64_t id, json_t *row);
json_t *ctl_end(int64_t id, uint64_t rows);
json_t *ctl_error_reply(int64_t id, const struct ctl_error *err);
json_t *ctl_event(int64_t id, json_t *event);

/* One compact line with its newline, to be freed; steals msg. NULL without memory. */
char *ctl_encode(json_t *msg, size_t *ret_len);

/* ---- taking apart ---- */

struct ctl_request_msg {
	int64_t id;      /* 0 if the request has none */
	const char *cmd; /* into root */
	json_t *args;    /* object, or NULL; borrowed from root */
	json_t *root;    /* owned; json_decref */
};

/*
 * 0, or an error code with *err filled: CTL_E_SYNTAX (not a JSON object) or CTL_E_ARGS (a member
 * that is missing, unknown or mistyped). *ret->id is set as far as it could be read, so that the
 * error can name it; ret->root is NULL after an error.
 */
int ctl_request_parse(const char *line, size_t len, struct ctl_request_msg *ret,
		      struct ctl_error *err);

enum ctl_reply_kind {
	CTL_GREETING,
	CTL_RESULT,
	CTL_ROW,
	CTL_END,
	CTL_ERROR,
	CTL_EVENT,
};

struct ctl_reply_msg {
	enum ctl_reply_kind kind;
	int64_t id;
	json_t *body;         /* result, row or event; the whole message of a greeting; borrowed */
	uint64_t rows;        /* of CTL_END */
	struct ctl_error err; /* of CTL_ERROR */
	json_t *root;         /* owned; json_decref */
};

/* 0, or -EPROTO when the line is none of these messages (then ret->root is NULL). */
int ctl_reply_parse(const char *line, size_t len, struct ctl_reply_msg *ret);

/* ---- small things for both sides ---- */

/*
 * The string among n that is nearest to `word` by edit distance (insertions, deletions,
 * substitutions, neighbours swapped), NULL if none is near enough to be meant.
 */
const char *ctl_nearest(const char *word, const char *const *among, size_t n);
