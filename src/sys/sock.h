/* SPDX-License-Identifier: BSD-2-Clause */
/* AF_UNIX sockets, peers' credentials, and messages to systemd. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Who connected, as the kernel says (SO_PEERCRED, SO_PEERGROUPS). */
struct sock_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	bool in_group; /* gid, or one of the supplementary groups, is the one asked for */
};

/*
 * A listening, non-blocking stream socket at path, replacing a stale one; mode 0660. group:
 * (gid_t)-1 = leave it. Descriptor or -errno. The caller makes sure that nobody else listens there.
 */
int sock_listen(const char *path, gid_t group);
/*
 * The same for packets (SOCK_SEQPACKET); without a group for the owner only: mode 0600. Each packet
 * comes with the credentials of its sender (SCM_CREDENTIALS).
 */
int sock_listen_packets(const char *path, gid_t group);
/* The next connection, non-blocking and close-on-exec; -EAGAIN when there is none. */
int sock_accept(int fd);
int sock_peer(int fd, gid_t group, struct sock_peer *ret);
/* Is the peer of a connection in the group, or was when it connected? */
bool sock_peer_is_in(int fd, const struct sock_peer *p, gid_t group);

/* Sends bytes of a stream and up to SOCK_FDS_MAX descriptors with the first of them, without
 * waiting. Bytes sent, or -errno. */
#define SOCK_FDS_MAX 4
ssize_t sock_send_fds(int fd, const void *data, size_t len, const int *fds, uint32_t n);

/*
 * Tells the service manager (NOTIFY_SOCKET, also abstract) a state such as "READY=1". Nothing
 * happens without a manager. 0 or -errno. Documented in sd_notify(3).
 */
int sock_notify(const char *state);
/* How often the service manager wants "WATCHDOG=1", in milliseconds; 0 = not at all. */
uint64_t sock_watchdog_ms(void);
