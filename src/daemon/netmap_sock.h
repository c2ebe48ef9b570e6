/* SPDX-License-Identifier: BSD-2-Clause */
/* netmap.sock: who may connect, packets in and out. Protocol: wire/attach.h. Main thread. */
#pragma once

#include "daemon/daemon.h"

#define NETMAP_SOCKET_NAME "netmap.sock"

struct netmap_sock;

/* Binds the socket at path; netmap_sock_follow() says for whom. NULL after a sentence
 * in the log. Nobody is let in before netmap_sock_start(). */
struct netmap_sock *netmap_sock_new(struct daemon *d, const char *path);
/* d->endpoints is there. 0 or -errno. */
int netmap_sock_start(struct netmap_sock *s);
/*
 * The access of some bridge changed: without a group and lists the socket is the owner's (0600),
 * with a group also its members' (0660), with a list anybody's (0666), and the daemon looks at each
 * peer. NULL is fine.
 */
void netmap_sock_follow(struct netmap_sock *s);
/* Closes all descriptors. Returns NULL; NULL is fine. */
struct netmap_sock *netmap_sock_free(struct netmap_sock *s);
