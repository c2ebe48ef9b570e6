/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/nmpoll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nmdev.h"
#include "lib/nmreal.h"
#include "net/netmap.h"

#define IN_EVENTS  (POLLIN | POLLRDNORM)
#define OUT_EVENTS (POLLOUT | POLLWRNORM)
#define ON_STACK   64 /* descriptors of a set that need no malloc */
#define NS_PER_S   1000000000ull
#define FOREVER    UINT64_MAX
/* Threads that sleep on one descriptor take each other's doorbells; so they look now and then. */
#define SHARED_NS 20000000ull

static unsigned int tx_phase(struct nmdev *d, bool wanted, bool *ret_ready)
{
	const uint32_t tid = nmdev_tid();
	unsigned int found = 0;
	bool ready = false;

	for (uint32_t i = 0; i < d->n_tx; i++) {
		struct nmsync_ring *r = &d->tx[i];

		if ((wanted && !ready) || nmsync_tx_pending(r)) {
			const unsigned int f = nmsync_tx(r, tid);

			found |= f;
			ready |= !(f & NMSYNC_BUSY) && nmsync_ready(r);
		}
	}
	*ret_ready = wanted && ready;
	return found;
}

static unsigned int rx_phase(struct nmdev *d, bool *ret_ready)
{
	const uint32_t tid = nmdev_tid();
	unsigned int found = 0;
	bool ready = false;

	for (uint32_t i = 0; i < d->n_rx; i++) {
		const unsigned int f = nmsync_rx(&d->rx[i], tid);

		found |= f;
		ready |= !(f & NMSYNC_BUSY) && nmsync_ready(&d->rx[i]);
	}
	*ret_ready = ready;
	return found;
}

short nmpoll_sync(struct nmdev *d, int fd, short events)
{
	const bool out = events & OUT_EVENTS, in = events & IN_EVENTS;
	unsigned int found = 0;
	bool ready = false;
	short revents = 0;

	if (unlikely(!nmdev_registered(d, fd)))
		return POLLERR;
	if (unlikely(d->gone)) {
		nmdev_slow_down(d);
		return POLLERR;
	}
	if (out || !(d->flags & NR_NO_TX_POLL))
		found = tx_phase(d, out, &ready);
	if (ready)
		revents |= events & OUT_EVENTS;
	if (in) {
		found |= rx_phase(d, &ready);
		if (ready)
			revents |= events & IN_EVENTS;
	}
	if (unlikely(found & NMSYNC_DOORBELL))
		nmdev_ring(d, fd);
	if (unlikely(found & (NMSYNC_BAD | NMSYNC_STOPPED)))
		revents |= POLLERR;
	if (!revents)
		nmdev_idle_check(d, fd);
	return revents;
}

/* Asks for a doorbell on what is waited for; false: something has just come. */
static bool arm(struct nmdev *d, short events)
{
	bool sleep = true;

	for (uint32_t i = 0; events & IN_EVENTS && i < d->n_rx; i++)
		sleep &= shadow_want_wakeup(d->rx[i].shadow);
	for (uint32_t i = 0; events & OUT_EVENTS && i < d->n_tx; i++)
		sleep &= shadow_want_wakeup(d->tx[i].shadow);
	return sleep;
}

/* Only where nobody else may be waiting on the same rings. */
static void disarm(struct nmdev *d, short events)
{
	if (__atomic_load_n(&d->sleepers, __ATOMIC_RELAXED) > 1)
		return;
	for (uint32_t i = 0; events & IN_EVENTS && i < d->n_rx; i++)
		shadow_no_wakeup(d->rx[i].shadow);
	for (uint32_t i = 0; events & OUT_EVENTS && i < d->n_tx; i++)
		shadow_no_wakeup(d->tx[i].shadow);
}

/* All netmap descriptors of the set. How many are ready; *ret_others: how many are not ours. */
static int sync_all(struct pollfd *fds, nfds_t n, nfds_t *ret_others)
{
	int ready = 0;

	*ret_others = 0;
	for (nfds_t i = 0; i < n; i++) {
		struct nmdev *d = nmdev_get(fds[i].fd);

		if (!d) {
			*ret_others += fds[i].fd >= 0;
			fds[i].revents = 0;
			continue;
		}
		fds[i].revents = nmpoll_sync(d, fds[i].fd, fds[i].events);
		ready += fds[i].revents != 0;
	}
	return ready;
}

/* A copy for the kernel: ours as sockets (or not at all), the others as they are. */
static void copy_set(struct pollfd *to, const struct pollfd *fds, nfds_t n, bool with_ours)
{
	for (nfds_t i = 0; i < n; i++) {
		to[i] = fds[i];
		to[i].revents = 0;
		if (!nmdev_get(fds[i].fd))
			continue;
		to[i].events = POLLIN;
		if (!with_ours)
			to[i].fd = -1;
	}
}

/* What the kernel said of the others. How many. */
static int take_others(struct pollfd *fds, const struct pollfd *from, nfds_t n)
{
	int ready = 0;

	for (nfds_t i = 0; i < n; i++) {
		if (nmdev_get(fds[i].fd))
			continue;
		fds[i].revents = fds[i].fd < 0 ? 0 : from[i].revents;
		ready += fds[i].revents != 0;
	}
	return ready;
}

struct wait {
	uint64_t end_ns; /* FOREVER */
	const sigset_t *mask;
	bool shared; /* another thread sleeps on one of the descriptors */
};

static const struct timespec *time_left(const struct wait *w, struct timespec *t)
{
	const uint64_t now = w->end_ns == FOREVER ? 0 : nmdev_now_ns();
	uint64_t left = w->end_ns == FOREVER ? FOREVER : w->end_ns > now ? w->end_ns - now : 0;

	if (w->shared && left > SHARED_NS)
		left = SHARED_NS;
	if (left == FOREVER)
		return NULL;
	*t = (struct timespec){(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
	return t;
}

static bool arm_all(const struct pollfd *fds, nfds_t n, struct wait *w)
{
	bool sleep = true;

	w->shared = false;
	for (nfds_t i = 0; i < n; i++) {
		struct nmdev *d = nmdev_get(fds[i].fd);

		if (!d)
			continue;
		w->shared |= __atomic_add_fetch(&d->sleepers, 1, __ATOMIC_RELAXED) > 1;
		sleep &= arm(d, fds[i].events);
	}
	return sleep;
}

/* polled: the set as it came back from the kernel, or NULL. */
static void disarm_all(const struct pollfd *fds, const struct pollfd *polled, nfds_t n)
{
	for (nfds_t i = 0; i < n; i++) {
		struct nmdev *d = nmdev_get(fds[i].fd);

		if (!d)
			continue;
		disarm(d, fds[i].events);
		if (__atomic_sub_fetch(&d->sleepers, 1, __ATOMIC_RELAXED) > UINT32_MAX / 2)
			d->sleepers = 0; /* the number meant something else before */
		if (!polled)
			continue;
		if (polled[i].revents & (POLLHUP | POLLERR))
			d->gone = true;
		else if (polled[i].revents & POLLIN)
			nmdev_drain(d, fds[i].fd);
	}
}

/* One round of sleep. -1: errno; 0: look again; otherwise others are ready. */
static int sleep_once(struct pollfd *fds, struct pollfd *copy, nfds_t n, struct wait *w)
{
	struct timespec t;
	int r = 0, err;

	if (!arm_all(fds, n, w)) {
		disarm_all(fds, NULL, n);
		return 0;
	}
	copy_set(copy, fds, n, true);
	r = nmreal()->ppoll(copy, n, time_left(w, &t), w->mask);
	err = errno;
	disarm_all(fds, r > 0 ? copy : NULL, n);
	errno = err;
	return r <= 0 ? r : take_others(fds, copy, n);
}

/* Something of ours is ready, or there is no time: what of the others is? */
static int ask_others(struct pollfd *fds, struct pollfd *copy, nfds_t n, const sigset_t *mask)
{
	const struct timespec zero = {0};
	int r;

	copy_set(copy, fds, n, false);
	r = nmreal()->ppoll(copy, n, &zero, mask);
	return r <= 0 ? r : take_others(fds, copy, n);
}

static int poll_loop(struct pollfd *fds, struct pollfd *copy, nfds_t n,
		     const struct timespec *timeout, const sigset_t *mask)
{
	struct wait w = {.end_ns = FOREVER, .mask = mask};
	const bool at_once = timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
	nfds_t n_others;
	int ready = sync_all(fds, n, &n_others), others;

	if (timeout && !at_once && !ready)
		w.end_ns = nmdev_now_ns() + (uint64_t)timeout->tv_sec * NS_PER_S +
			   (uint64_t)timeout->tv_nsec;
	for (;;) {
		if (ready || at_once) {
			others = n_others || (mask && !ready) ? ask_others(fds, copy, n, mask) : 0;
			return others < 0 && !ready ? -1 : ready + (others > 0 ? others : 0);
		}
		others = sleep_once(fds, copy, n, &w);
		if (others < 0)
			return -1;
		if (others > 0) {
			nfds_t i = 0;

			/* The others stay as they were found. */
			for (; i < n; i++) {
				struct nmdev *d = nmdev_get(fds[i].fd);

				if (d) {
					fds[i].revents = nmpoll_sync(d, fds[i].fd, fds[i].events);
					others += fds[i].revents != 0;
				}
			}
			return others;
		}
		ready = sync_all(fds, n, &n_others);
		if (!ready && w.end_ns != FOREVER && nmdev_now_ns() >= w.end_ns)
			return 0;
	}
}

bool nmpoll_concerns(const struct pollfd *fds, nfds_t n)
{
	if (!nmfd_any() || !fds)
		return false;
	for (nfds_t i = 0; i < n; i++)
		if (nmdev_get(fds[i].fd))
			return true;
	return false;
}

int nmpoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	struct pollfd few[ON_STACK], *copy = few;
	int saved = errno, r;

	if (timeout &&
	    (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= (long)NS_PER_S)) {
		errno = EINVAL;
		return -1;
	}
	if (n > ON_STACK) {
		copy = malloc(n * sizeof(*copy));
		if (!copy) {
			errno = ENOMEM;
			return -1;
		}
	}
	r = poll_loop(fds, copy, n, timeout, mask);
	if (r >= 0)
		errno = saved;
	if (copy != few)
		free(copy);
	return r;
}

bool nmpoll_select_concerns(int n, const fd_set *r, const fd_set *w, const fd_set *x)
{
	if (!nmfd_any())
		return false;
	for (int fd = 0; fd < n && fd < NMFD_MAX; fd++)
		if (nmdev_get(fd) &&
		    ((r && FD_ISSET(fd, r)) || (w && FD_ISSET(fd, w)) || (x && FD_ISSET(fd, x))))
			return true;
	return false;
}

static nfds_t sets_to_poll(int n, const fd_set *r, const fd_set *w, const fd_set *x,
			   struct pollfd *ret)
{
	nfds_t k = 0;

	for (int fd = 0; fd < n; fd++) {
		short events = 0;

		if (r && FD_ISSET(fd, r))
			events |= POLLIN | POLLRDNORM | POLLRDBAND;
		if (w && FD_ISSET(fd, w))
			events |= POLLOUT | POLLWRNORM | POLLWRBAND;
		if (x && FD_ISSET(fd, x))
			events |= POLLPRI;
		if (events)
			ret[k++] = (struct pollfd){.fd = fd, .events = events};
	}
	return k;
}

/* Leaves in one set what is ready; how many. */
static int poll_to_set(const struct pollfd *p, nfds_t k, fd_set *set, short asked, short means)
{
	int n = 0;

	for (nfds_t i = 0; set && i < k; i++) {
		if (!(p[i].events & asked))
			continue;
		if (p[i].revents & means)
			n++;
		else
			FD_CLR(p[i].fd, set);
	}
	return n;
}

/* An error is something to read and something to write. */
static int poll_to_sets(const struct pollfd *p, nfds_t k, fd_set *r, fd_set *w, fd_set *x)
{
	for (nfds_t i = 0; i < k; i++)
		if (p[i].revents & POLLNVAL) {
			errno = EBADF;
			return -1;
		}
	return poll_to_set(p, k, r, POLLIN, POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR) +
	       poll_to_set(p, k, w, POLLOUT, POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR) +
	       poll_to_set(p, k, x, POLLPRI, POLLPRI);
}

int nmpoll_select(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout,
		  const sigset_t *mask)
{
	struct pollfd few[ON_STACK], *p = few;
	nfds_t k;
	int found;

	if (n > ON_STACK)
		p = malloc((size_t)n * sizeof(*p));
	if (!p) {
		errno = ENOMEM;
		return -1;
	}
	k = sets_to_poll(n, r, w, x, p);
	found = nmpoll(p, k, timeout, mask);
	if (found >= 0)
		found = poll_to_sets(p, k, r, w, x);
	if (p != few)
		free(p);
	return found;
}
