/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll sets with netmap descriptors. These are kept beside the kernel's set, not in it: its events
 * carry only the program's own data, so a doorbell could not be told from another event. A wait is
 * a poll on the members and on the set itself, which is readable when it has events.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nmdev.h"
#include "lib/nmpoll.h"
#include "lib/nmreal.h"

#define MEMBERS_MAX 63 /* of one set; with the set itself they fit nmpoll()'s stack */

struct member {
	int fd;
	struct nmfd *dev; /* to notice when fd is another one now */
	struct epoll_event ev;
	bool spent;    /* EPOLLONESHOT, reported */
	uint32_t told; /* EPOLLET: events reported last, and for which tails */
	uint64_t tails;
};

struct nmepoll {
	struct nmfd file;
	uint32_t n; /* under the lock, as the members */
	struct member members[MEMBERS_MAX];
};

static void epoll_release(struct nmfd *f)
{
	free(container_of(f, struct nmepoll, file));
}

static struct nmepoll *set_of(int ep)
{
	struct nmfd *f = nmfd_get(ep);

	return f && f->kind == NMFD_EPOLL ? container_of(f, struct nmepoll, file) : NULL;
}

static struct nmepoll *set_new(int ep)
{
	struct nmepoll *s = calloc(1, sizeof(*s));
	struct nmfd *f;

	if (!s)
		return NULL;
	s->file.kind = NMFD_EPOLL;
	s->file.release = epoll_release;
	f = nmfd_offer(ep, &s->file);
	if (f != &s->file)
		free(s);
	return set_of(ep);
}

/* Is ep an epoll set, and may fd be in it? The kernel's own answer. */
static int check(int ep, int fd)
{
	struct epoll_event none = {0};
	int r = nmreal()->epoll_ctl(ep, EPOLL_CTL_ADD, fd, &none);

	if (r == 0)
		nmreal()->epoll_ctl(ep, EPOLL_CTL_DEL, fd, &none);
	return r;
}

/* Under the lock. Members whose descriptor was closed are gone, as in the kernel. */
static void forget_closed(struct nmepoll *s)
{
	for (uint32_t i = 0; i < s->n;) {
		if (nmfd_get(s->members[i].fd) == s->members[i].dev)
			i++;
		else
			s->members[i] = s->members[--s->n];
	}
}

static int change(struct nmepoll *s, int op, int fd, const struct epoll_event *ev)
{
	struct member *m = NULL;

	forget_closed(s);
	for (uint32_t i = 0; i < s->n && !m; i++)
		m = s->members[i].fd == fd ? &s->members[i] : NULL;
	switch (op) {
	case EPOLL_CTL_ADD:
		if (m)
			return EEXIST;
		if (s->n == MEMBERS_MAX)
			return ENOSPC;
		m = &s->members[s->n++];
		break;
	case EPOLL_CTL_MOD:
		if (!m)
			return ENOENT;
		break;
	case EPOLL_CTL_DEL:
		if (!m)
			return ENOENT;
		*m = s->members[--s->n];
		return 0;
	default:
		return EINVAL;
	}
	*m = (struct member){.fd = fd, .dev = nmfd_get(fd), .ev = *ev};
	return 0;
}

int nmepoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	struct nmepoll *s = set_of(ep);
	int err, saved = errno;

	if (!s && check(ep, fd) < 0)
		return -1;
	if (!s)
		s = set_new(ep);
	if (!s || (!ev && op != EPOLL_CTL_DEL)) {
		errno = s ? EFAULT : ENOMEM;
		return -1;
	}
	nmfd_lock();
	err = change(s, op, fd, ev);
	nmfd_unlock();
	errno = err ? err : saved;
	return err ? -1 : 0;
}

/* Changes whenever a tail does. */
static uint64_t tails_of(const struct nmdev *d)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < d->n_tx + d->n_rx; i++)
		sum = sum * 31 + ring_read(&d->tx[i].ring->tail);
	return sum;
}

/* What to wait for; what EPOLLET has reported already is asked for, but not ready. */
static nfds_t to_poll(struct nmepoll *s, int ep, struct pollfd *p)
{
	nfds_t n = 0;

	nmfd_lock();
	forget_closed(s);
	for (uint32_t i = 0; i < s->n; i++) {
		const struct member *m = &s->members[i];

		p[n++] = (struct pollfd){.fd = m->spent ? -1 : m->fd,
					 .events = (short)(m->ev.events & 0x7fff)};
	}
	nmfd_unlock();
	p[n++] = (struct pollfd){.fd = ep, .events = POLLIN};
	return n;
}

/* Has the edge been reported? Under the lock. */
static bool is_old(struct member *m, uint32_t events)
{
	const struct nmdev *d = nmdev_get(m->fd);
	const uint64_t tails = d && d->registered ? tails_of(d) : 0;
	bool old = m->ev.events & EPOLLET && !(events & ~m->told) && tails == m->tails;

	m->told = events;
	m->tails = tails;
	return old;
}

static int collect(struct nmepoll *s, const struct pollfd *p, nfds_t n, struct epoll_event *ev,
		   int max)
{
	int found = 0;

	nmfd_lock();
	for (nfds_t i = 0; i + 1 < n && found < max; i++) {
		struct member *m = i < s->n ? &s->members[i] : NULL;
		const uint32_t events = (uint32_t)(uint16_t)p[i].revents;

		if (!m || m->fd != p[i].fd || !events || is_old(m, events))
			continue;
		m->spent = m->ev.events & EPOLLONESHOT;
		ev[found].events = events;
		ev[found++].data = m->ev.data;
	}
	nmfd_unlock();
	return found;
}

static bool has_edges(const struct nmepoll *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->members[i].ev.events & EPOLLET)
			return true;
	return false;
}

/* Edges already told keep poll from sleeping: wait a little by ourselves, on the kernel's set. */
static int wait_round(struct nmepoll *s, int ep, struct epoll_event *ev, int max,
		      const struct timespec *timeout, const sigset_t *mask)
{
	struct pollfd p[MEMBERS_MAX + 1];
	nfds_t n = to_poll(s, ep, p);
	int r = nmpoll(p, n, timeout, mask), found, others = 0;

	if (r <= 0)
		return r;
	found = collect(s, p, n, ev, max);
	if (p[n - 1].revents && found < max)
		others = nmreal()->epoll_wait(ep, ev + found, max - found, 0);
	return others < 0 && !found ? -1 : found + (others > 0 ? others : 0);
}

int nmepoll_wait(int ep, struct epoll_event *ev, int max, const struct timespec *timeout,
		 const sigset_t *mask)
{
	struct nmepoll *s = set_of(ep);
	struct timespec slice = {.tv_nsec = 1000000};
	uint64_t end = UINT64_MAX;
	int r, saved = errno;

	if (!s || max <= 0)
		return nmreal()->epoll_wait(ep, ev, max, 0);
	if (timeout)
		end = nmdev_now_ns() + (uint64_t)timeout->tv_sec * 1000000000u +
		      (uint64_t)timeout->tv_nsec;
	for (;;) {
		struct timespec left = {0};
		const uint64_t now = timeout ? nmdev_now_ns() : 0;

		if (timeout && now < end) {
			left.tv_sec = (time_t)((end - now) / 1000000000u);
			left.tv_nsec = (long)((end - now) % 1000000000u);
		}
		r = wait_round(s, ep, ev, max, timeout ? &left : NULL, mask);
		if (r != 0 || (timeout && nmdev_now_ns() >= end))
			break;
		if (has_edges(s)) { /* a level that was told: not again until something moves */
			struct pollfd p = {.fd = ep, .events = POLLIN};

			if (nmreal()->ppoll(&p, 1, &slice, mask) < 0)
				return -1;
		}
	}
	if (r >= 0)
		errno = saved;
	return r;
}
