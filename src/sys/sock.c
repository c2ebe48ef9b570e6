/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys/sock.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

#define GROUPS_MAX 1024

/* Binds with the final mode from the start: the umask applies to the socket file. */
static int bind_private(int fd, const char *path, const struct sockaddr_un *addr, gid_t group,
			mode_t mode)
{
	mode_t old = umask(0177);
	int r = bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? -errno : 0;

	umask(old);
	if (r)
		return error_origin(r);
	if (group != (gid_t)-1 && chown(path, (uid_t)-1, group))
		return error_origin(-errno);
	if (chmod(path, mode))
		return error_origin(-errno);
	return listen(fd, 64) ? error_origin(-errno) : 0;
}

static int listen_at(const char *path, int type, gid_t group, mode_t mode)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const int on = 1;
	int fd, r = 0;

	if (strlen(path) >= sizeof(addr.sun_path))
		return error_origin(-ENAMETOOLONG);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_origin(-errno);
	unlink(path);
	/* Before anybody can connect: connections inherit it. */
	if (type == SOCK_SEQPACKET && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		r = error_origin(-errno);
	if (!r)
		r = bind_private(fd, path, &addr, group, mode);
	if (r) {
		close(fd);
		return error_trace(r);
	}
	return fd;
}

int sock_listen(const char *path, gid_t group)
{
	return listen_at(path, SOCK_STREAM, group, 0660);
}

int sock_listen_packets(const char *path, gid_t group)
{
	return listen_at(path, SOCK_SEQPACKET, group, group == (gid_t)-1 ? 0600 : 0660);
}

int sock_accept(int fd)
{
	int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (c < 0)
		return -errno;
	return c;
}

static bool peer_in_group(int fd, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size))
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

int sock_peer(int fd, gid_t group, struct sock_peer *ret)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size))
		return error_origin(-errno);
	ret->pid = cred.pid;
	ret->uid = cred.uid;
	ret->gid = cred.gid;
	ret->in_group = cred.gid == group || peer_in_group(fd, group);
	return 0;
}

bool sock_peer_is_in(int fd, const struct sock_peer *p, gid_t group)
{
	return p->gid == group || peer_in_group(fd, group);
}

ssize_t sock_send_fds(int fd, const void *data, size_t len, const int *fds, uint32_t n)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(SOCK_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {(void *)data, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t r;

	if (n == 0 || n > SOCK_FDS_MAX)
		return error_origin(-EINVAL);
	memset(&control, 0, sizeof(control));
	m.msg_control = &control;
	m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	control.h.cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(&control.h), fds, n * sizeof(int));
	r = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	return r < 0 ? -errno : r;
}

int sock_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	socklen_t size;
	int fd, r = 0;

	if (!path || !path[0])
		return 0;
	if (strlen(path) >= sizeof(addr.sun_path))
		return error_origin(-ENAMETOOLONG);
	memcpy(addr.sun_path, path, strlen(path));
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	/* '@' stands for the NUL of an abstract address; its length counts, there is no terminator.
	 */
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_origin(-errno);
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&addr, size) < 0)
		r = error_origin(-errno);
	close(fd);
	return r;
}

uint64_t sock_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	return strtoull(usec, NULL, 10) / 1000;
}
