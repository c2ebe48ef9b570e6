/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An inline netmap program whose descriptors travel before it passes frames.
 *
 *	nmfds BRIDGE poll|epoll|edge|dup|fork|exec|scm|child|orphan|both
 *
 * dup: on copies of the descriptors, the originals closed. fork: in the child, the parent gone.
 * exec: after execve(). scm: in a program that got them over a socket, the opener gone.
 *
 * Two processes that open one each: child: the parent first, then the child, which passes frames.
 * orphan: the same, when the parent is gone. both: two that are strangers until one gives the other
 * its descriptor. The opener, where it is alive, ends with the one that passes frames.
 *
 * Prints its process id when it passes frames.
 */
#include <err.h>
#include <fcntl.h>
#include <libnetmap.h>
#include <net/netmap_user.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What another process needs to know of a port besides the descriptor. */
struct port {
	size_t mem_size;
	uint32_t if_ofs;
	uint16_t rx, tx;
	int fd;
};

static struct netmap_if *ifs[2];

static void open_port(struct port *p, struct netmap_if **nifp, const char *name)
{
	struct nmport_d *d = nmport_open(name);

	if (!d)
		err(1, "%s", name);
	*nifp = d->nifp;
	*p = (struct port){.mem_size = d->reg.nr_memsize,
			   .if_ofs = (uint32_t)d->reg.nr_offset,
			   .rx = d->first_rx_ring,
			   .tx = d->first_tx_ring,
			   .fd = d->fd};
}

/* As a program does that got a descriptor of somebody else's. */
static void map_port(const struct port *p, struct netmap_if **nifp)
{
	void *mem = mmap(NULL, p->mem_size, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);

	if (mem == MAP_FAILED)
		err(1, "mmap");
	*nifp = NETMAP_IF(mem, p->if_ofs);
}

static void pass(const struct port p[2], int from)
{
	struct netmap_ring *rx = NETMAP_RXRING(ifs[from], p[from].rx);
	struct netmap_ring *tx = NETMAP_TXRING(ifs[!from], p[!from].tx);

	while (!nm_ring_empty(rx) && !nm_ring_empty(tx)) {
		struct netmap_slot *r = &rx->slot[rx->head], *t = &tx->slot[tx->head];
		const uint32_t buf = t->buf_idx;

		t->buf_idx = r->buf_idx;
		t->len = r->len;
		r->buf_idx = buf;
		t->flags = r->flags = NS_BUF_CHANGED;
		rx->head = rx->cur = nm_ring_next(rx, rx->head);
		tx->head = tx->cur = nm_ring_next(tx, tx->head);
	}
}

static int make_epoll(const struct port p[2], uint32_t events)
{
	int ep = epoll_create1(0);

	for (int i = 0; i < 2; i++) {
		struct epoll_event e = {.events = events};

		if (epoll_ctl(ep, EPOLL_CTL_ADD, p[i].fd, &e))
			err(1, "epoll_ctl");
	}
	return ep;
}

static void run(const struct port p[2], int ep)
{
	for (int first = 1;; first = 0) {
		struct pollfd fds[2] = {{p[0].fd, POLLIN, 0}, {p[1].fd, POLLIN, 0}};
		struct epoll_event e[2];
		int n = ep < 0 ? poll(fds, 2, first ? 0 : 2000)
			       : epoll_wait(ep, e, 2, first ? 0 : 2000);

		if (n < 0)
			err(1, "wait");
		pass(p, 0);
		pass(p, 1);
		for (int i = 0; i < 2; i++)
			if (ioctl(p[i].fd, NIOCTXSYNC, NULL) || ioctl(p[i].fd, NIOCRXSYNC, NULL))
				err(1, "sync");
		if (first)
			printf("%d\n", (int)getpid());
		fflush(stdout);
	}
}

static void exec_self(const char *program, const struct port p[2])
{
	char text[256];

	snprintf(text, sizeof(text), "%zu %u %u %u %d %zu %u %u %u %d", p[0].mem_size, p[0].if_ofs,
		 p[0].rx, p[0].tx, p[0].fd, p[1].mem_size, p[1].if_ofs, p[1].rx, p[1].tx, p[1].fd);
	for (int i = 0; i < 2; i++)
		fcntl(p[i].fd, F_SETFD, 0);
	execl(program, program, "mapped", text, NULL);
	err(1, "exec");
}

static void run_mapped(const char *text)
{
	struct port p[2];

	if (sscanf(text, "%zu %u %hu %hu %d %zu %u %hu %hu %d", &p[0].mem_size, &p[0].if_ofs,
		   &p[0].rx, &p[0].tx, &p[0].fd, &p[1].mem_size, &p[1].if_ofs, &p[1].rx, &p[1].tx,
		   &p[1].fd) != 10)
		errx(2, "what?");
	map_port(&p[0], &ifs[0]);
	map_port(&p[1], &ifs[1]);
	run(p, -1);
}

/* Both ends of a message with two descriptors. */
static void hand_over(int sock, struct port p[2], int sending)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} c = {.h = {CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {p, 2 * sizeof(*p)};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	int fds[2] = {p[0].fd, p[1].fd};

	memcpy(CMSG_DATA(&c.h), fds, sizeof(fds));
	if ((sending ? sendmsg(sock, &m, 0) : recvmsg(sock, &m, 0)) != (ssize_t)iov.iov_len)
		err(1, "message");
	memcpy(fds, CMSG_DATA(&c.h), sizeof(fds));
	p[0].fd = fds[0];
	p[1].fd = fds[1];
}

/* The receiver exists before anything is open. */
static void travel(const char *program, const char *bridge_nic, const char *bridge_host)
{
	struct port p[2] = {{0}};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		err(1, "socketpair");
	if (fork() == 0) {
		close(pair[0]);
		hand_over(pair[1], p, 0);
		exec_self(program, p);
	}
	open_port(&p[0], &ifs[0], bridge_nic);
	open_port(&p[1], &ifs[1], bridge_host);
	hand_over(pair[0], p, 1);
	_exit(0);
}

/* The parent waits for the child, or is gone before it opens anything. */
static void run_child(const char *bridge_nic, const char *bridge_host, int orphan)
{
	struct port p[2];
	int gone[2];
	char byte;

	if (pipe(gone))
		err(1, "pipe");
	open_port(&p[0], &ifs[0], bridge_nic);
	if (fork() > 0) {
		if (!orphan)
			wait(NULL);
		_exit(0);
	}
	close(gone[1]);
	if (orphan && read(gone[0], &byte, 1))
		err(1, "read");
	open_port(&p[1], &ifs[1], bridge_host);
	run(p, -1);
}

static void run_both(const char *bridge_nic, const char *bridge_host)
{
	struct port p[2] = {{0}}, got[2];
	char byte = 0;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		err(1, "socketpair");
	if (fork() > 0) {
		close(pair[0]);
		/* Before: the child must not open as the child of one that has something open. */
		if (read(pair[1], &byte, 1) != 1)
			err(1, "read");
		open_port(&p[0], &ifs[0], bridge_nic);
		p[1].fd = p[0].fd;
		hand_over(pair[1], p, 1);
		wait(NULL);
		_exit(0);
	}
	close(pair[1]);
	open_port(&p[1], &ifs[1], bridge_host);
	if (write(pair[0], &byte, 1) != 1)
		err(1, "write");
	hand_over(pair[0], got, 0);
	close(got[1].fd);
	p[0] = got[0];
	map_port(&p[0], &ifs[0]);
	run(p, -1);
}

int main(int argc, char **argv)
{
	char nic[64], host[64];
	struct port p[2];
	const char *how;

	if (argc < 3)
		return 2;
	how = argv[2];
	if (!strcmp(argv[1], "mapped"))
		run_mapped(how);
	snprintf(nic, sizeof(nic), "netmap:%s", argv[1]);
	snprintf(host, sizeof(host), "netmap:%s^", argv[1]);
	if (!strcmp(how, "scm"))
		travel(argv[0], nic, host);
	if (!strcmp(how, "child") || !strcmp(how, "orphan"))
		run_child(nic, host, how[0] == 'o');
	if (!strcmp(how, "both"))
		run_both(nic, host);
	open_port(&p[0], &ifs[0], nic);
	open_port(&p[1], &ifs[1], host);
	if (!strcmp(how, "exec"))
		exec_self(argv[0], p);
	if (!strcmp(how, "fork") && fork() > 0)
		_exit(0);
	for (int i = 0; i < 2 && !strcmp(how, "dup"); i++) {
		int fd = fcntl(p[i].fd, F_DUPFD, 100 + i);

		close(p[i].fd);
		p[i].fd = fd;
	}
	run(p, !strcmp(how, "epoll")  ? make_epoll(p, EPOLLIN)
	       : !strcmp(how, "edge") ? make_epoll(p, EPOLLIN | EPOLLET)
				      : -1);
	return 0;
}
