/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/nmdev.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/nmreal.h"
#include "net/netmap.h"
#include "wire/attach.h"

#define NS_PER_S      1000000000ull
#define SLOW_NS       10000000ull /* between two errors of a daemon that is gone */
#define IDLE_CHECK    1024u       /* syncs in a row without result, then we look at the socket */
#define DRAIN_AT_ONCE 8u

__thread uint32_t nmdev_tid_;

uint32_t nmdev_tid_slow(void)
{
	nmdev_tid_ = (uint32_t)syscall(SYS_gettid);
	return nmdev_tid_;
}

/* A child's thread has another number. */
static void forget_tid(void)
{
	nmdev_tid_ = 0;
}

__attribute__((constructor)) static void follow_forks(void)
{
	pthread_atfork(NULL, NULL, forget_tid);
}

uint64_t nmdev_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void dev_release(struct nmfd *f)
{
	struct nmdev *d = container_of(f, struct nmdev, file);

	shadow_deinit(&d->shadow);
	nmfd_lock();
	nmregion_put(d->region);
	nmfd_unlock();
	free(d->tx);
	free(d);
}

static struct nmdev *dev_new(int fd)
{
	struct nmdev *d = calloc(1, sizeof(*d));
	struct stat st;

	if (!d || fstat(fd, &st) < 0) {
		free(d);
		return NULL;
	}
	d->file.kind = NMFD_DEV;
	d->file.release = dev_release;
	d->shadow.fd = -1;
	d->ino = st.st_ino;
	return d;
}

int nmdev_open(int flags)
{
	int fd = nmwire_connect(flags);
	struct nmdev *d;

	if (fd < 0)
		return -1;
	d = dev_new(fd);
	if (d)
		d->asked = true; /* nobody else can have registered it */
	if (d && nmfd_set(fd, &d->file))
		return fd;
	nmreal()->close(fd);
	errno = d ? EMFILE : ENOMEM;
	free(d);
	return -1;
}

static bool peer_is_daemon(int fd)
{
	static const char name[] = "/netmap.sock";
	struct sockaddr_un a;
	socklen_t size = sizeof(a), len = sizeof(int);
	int type = 0;
	size_t n;

	memset(&a, 0, sizeof(a));
	if (getpeername(fd, (struct sockaddr *)&a, &size) < 0 || size > sizeof(a) ||
	    a.sun_family != AF_UNIX || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET)
		return false;
	n = strnlen(a.sun_path, sizeof(a.sun_path));
	return n >= sizeof(name) - 1 && n < sizeof(a.sun_path) &&
	       strcmp(a.sun_path + n - (sizeof(name) - 1), name) == 0;
}

struct nmdev *nmdev_recognise(int fd)
{
	int saved = errno;
	struct nmdev *d = NULL;
	struct nmfd *f;

	if (fd >= 0 && fd < NMFD_MAX && peer_is_daemon(fd))
		d = dev_new(fd);
	if (d) {
		f = nmfd_offer(fd, &d->file);
		if (f != &d->file) {
			free(d);
			d = nmdev_get(fd);
		}
	}
	errno = saved;
	return d;
}

bool nmdev_ask_state(struct nmdev *d, int fd)
{
	struct nmctl q = {.version = NETMAP_API, .type = ATTACH_STATE};

	if (d->asked)
		return false;
	d->asked = true;
	return nmwire_request(d, fd, &q) == 0;
}

/* Was the number closed behind our back and given to something else? */
static bool still_ours(const struct nmdev *d, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == d->ino;
}

static void announce(struct nmdev *d, int fd)
{
	struct nmctl q = {.version = NETMAP_API, .type = ATTACH_STATE};

	if (__atomic_load_n(&d->registered, __ATOMIC_ACQUIRE) && still_ours(d, fd))
		nmwire_request(d, fd, &q);
}

void nmdev_announce(void)
{
	static pid_t announced;
	const pid_t me = getpid();

	if (announced == me)
		return;
	announced = me;
	for (int fd = 0; nmfd_any() && fd < NMFD_MAX; fd++) {
		struct nmdev *d = nmdev_get(fd);

		if (d)
			announce(d, fd);
	}
}

void nmdev_slow_down(struct nmdev *d)
{
	uint64_t now = nmdev_now_ns(), since = now - d->error_ns;
	struct timespec t = {.tv_nsec = (long)(SLOW_NS - since)};
	int saved = errno;

	if (since < SLOW_NS)
		nanosleep(&t, NULL);
	d->error_ns = since < SLOW_NS ? now + SLOW_NS - since : now;
	errno = saved;
}

void nmdev_ring(struct nmdev *d, int fd)
{
	const char bell = ATTACH_DOORBELL;
	int saved = errno;

	if (!still_ours(d, fd))
		nmfd_clear(fd);
	else if (send(fd, &bell, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
		 errno != EINTR)
		d->gone = true;
	errno = saved;
}

void nmdev_drain(struct nmdev *d, int fd)
{
	char bytes[DRAIN_AT_ONCE][4];
	struct iovec iov[DRAIN_AT_ONCE];
	struct mmsghdr m[DRAIN_AT_ONCE];
	int saved = errno, n;

	memset(m, 0, sizeof(m));
	for (unsigned int i = 0; i < DRAIN_AT_ONCE; i++) {
		iov[i] = (struct iovec){&bytes[i], sizeof(bytes[i])};
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	do {
		n = recvmmsg(fd, m, DRAIN_AT_ONCE, MSG_DONTWAIT, NULL);
		if ((n < 0 && errno != EAGAIN && errno != EINTR) ||
		    (n > 0 && m[n - 1].msg_len == 0))
			d->gone = true;
	} while (n == DRAIN_AT_ONCE && !d->gone);
	errno = saved;
}

void nmdev_idle_check(struct nmdev *d, int fd)
{
	struct pollfd p = {.fd = fd};
	int saved = errno;

	if (++d->n_idle < IDLE_CHECK)
		return;
	d->n_idle = 0;
	if (nmreal()->poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
		d->gone = true;
	errno = saved;
}

/* After the syncs of an ioctl. */
static int sync_result(struct nmdev *d, int fd, unsigned int found, bool moved)
{
	if (unlikely(found & NMSYNC_DOORBELL))
		nmdev_ring(d, fd);
	if (moved)
		d->n_idle = 0;
	else
		nmdev_idle_check(d, fd);
	if (unlikely(found & NMSYNC_STOPPED)) {
		errno = EIO;
		return -1;
	}
	return 0;
}

static int sync_tx(struct nmdev *d, int fd)
{
	const uint32_t tid = nmdev_tid();
	unsigned int found = 0;
	bool moved = false;

	for (uint32_t i = 0; i < d->n_tx; i++) {
		struct nmsync_ring *r = &d->tx[i];
		const uint32_t tail = ring_read(&r->ring->tail);

		moved |= nmsync_tx_pending(r);
		found |= nmsync_tx(r, tid);
		moved |= ring_read(&r->ring->tail) != tail;
	}
	return sync_result(d, fd, found, moved);
}

static int sync_rx(struct nmdev *d, int fd)
{
	const uint32_t tid = nmdev_tid();
	unsigned int found = 0;
	bool moved = false;

	for (uint32_t i = 0; i < d->n_rx; i++) {
		struct nmsync_ring *r = &d->rx[i];
		const uint32_t tail = ring_read(&r->ring->tail);

		found |= nmsync_rx(r, tid);
		moved |= ring_read(&r->ring->tail) != tail;
	}
	return sync_result(d, fd, found, moved);
}

static int fail(int err)
{
	errno = err;
	return -1;
}

static int result(int err)
{
	return err ? fail(err) : 0;
}

int nmdev_ioctl(struct nmdev *d, int fd, uint32_t cmd, void *arg)
{
	if (likely(cmd == NIOCTXSYNC || cmd == NIOCRXSYNC)) {
		if (unlikely(!nmdev_registered(d, fd)))
			return fail(ENXIO);
		if (unlikely(d->gone)) {
			nmdev_slow_down(d);
			return fail(EIO);
		}
		return cmd == NIOCTXSYNC ? sync_tx(d, fd) : sync_rx(d, fd);
	}
	switch (cmd) {
	case (uint32_t)NIOCCTRL:
		return result(nmdev_ctl(d, fd, arg));
	case (uint32_t)NIOCREGIF:
	case (uint32_t)NIOCGINFO:
		return result(nmdev_legacy(d, fd, cmd, arg));
	case FIOCLEX: /* these two concern the number, not the device */
	case FIONCLEX:
		return nmreal()->ioctl(fd, cmd, arg);
	default:
		return fail(EOPNOTSUPP);
	}
}
