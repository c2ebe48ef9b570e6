/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: connections, who may do what, requests in, answers out. Main thread.
 * Protocol: docs/control.md.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"

struct cmd_call;
struct daemon;
struct server;
struct server_conn;
struct sock_peer;

/* SERVER_ALL: an event for every monitor, whatever it asked for. */
enum server_group {
	SERVER_FDB = 1,
	SERVER_LINK = 2,
	SERVER_STP = 4,
	SERVER_CONFIG = 8,
	SERVER_ALL = 15
};

/* Listens at path. NULL after a sentence in the log. */
struct server *server_new(struct daemon *d, const char *path);
/* Closes all connections, sending what the sockets still take, and removes the socket. */
struct server *server_free(struct server *s);

/*
 * Sends an event to all monitors of the group; steals it. One that is too far behind does not get
 * it, and is told later how many it has missed.
 */
void server_event(struct server *s, enum server_group group, json_t *event);
/*
 * Makes the connection a monitor of these groups (enum server_group), as request `id`. False: there
 * are too many monitors.
 */
bool server_monitor(struct server_conn *c, unsigned int groups, int64_t id);
/* Queues one message; steals it. */
void server_send(struct server_conn *c, json_t *msg);
/* May the client change things? */
bool server_may_write(const struct server_conn *c);
/*
 * For an answer that goes on (struct cmd_live): an event (steals it; false: the client does not
 * keep up, it is thrown away), and the end with its result (steals it).
 */
bool server_live_send(struct server_conn *c, json_t *event);
void server_live_end(struct server_conn *c, json_t *result);
/*
 * Sends the answer and n descriptors with it, which stay the caller's; steals it. Only while
 * nothing waits for the client (server_backlog).
 */
void server_send_fds(struct server_conn *c, json_t *msg, const int *fds, uint32_t n);
/* Who is connected; *ret_fd: its socket. */
const struct sock_peer *server_peer(const struct server_conn *c, int *ret_fd);
/* What lives as long as the connection: gone() is called once when that ends. Embedded. */
struct server_owned {
	struct list node;
	void (*gone)(struct server_owned *o);
};
void server_own(struct server_conn *c, struct server_owned *o);
/* Bytes that wait for the client. */
size_t server_backlog(const struct server_conn *c);
uint32_t server_n_conns(const struct server *s);
