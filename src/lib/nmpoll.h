/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll and its relatives on sets that contain netmap descriptors.
 *
 * What poll means for one (netmap(4), "select and poll"): TX rings with something to send are
 * synced, unless NR_NO_TX_POLL; with POLLOUT all of them, until one has room. With POLLIN each RX
 * ring is synced. Ready is a ring whose cur is not its tail. Nothing ready: ask the daemon for a
 * doorbell on these rings, sleep in the kernel's poll on all descriptors together, look again, with
 * the time that is left.
 *
 * Each function does what its namesake does, also for sets without netmap descriptors, but callers
 * send those to libc at once. errno is kept on success.
 */
#pragma once

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

struct nmdev;

/* timeout NULL: for ever. */
int nmpoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);
/* Is a netmap descriptor among them? */
bool nmpoll_concerns(const struct pollfd *fds, nfds_t n);

/* timeout is not changed. */
int nmpoll_select(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout,
		  const sigset_t *mask);
bool nmpoll_select_concerns(int n, const fd_set *r, const fd_set *w, const fd_set *x);

/* The syncs of one descriptor, without sleeping: its revents. */
short nmpoll_sync(struct nmdev *d, int fd, short events);

/* nmepoll.c */
/* epoll_ctl on netmap descriptor fd. */
int nmepoll_ctl(int ep, int op, int fd, struct epoll_event *ev);
/* epoll_wait on a set that has netmap descriptors. */
int nmepoll_wait(int ep, struct epoll_event *ev, int max, const struct timespec *timeout,
		 const sigset_t *mask);

/* Milliseconds as poll has them: *t and t, or NULL for a negative number. */
static inline const struct timespec *nmpoll_ms(int ms, struct timespec *t)
{
	t->tv_sec = ms / 1000;
	t->tv_nsec = (long)(ms % 1000) * 1000000;
	return ms < 0 ? (const struct timespec *)0 : t;
}
