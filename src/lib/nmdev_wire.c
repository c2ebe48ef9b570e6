/* SPDX-License-Identifier: BSD-2-Clause */
/* The library's end of wire/attach.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/nmdev.h"
#include "lib/nmreal.h"
#include "net/netmap.h"
#include "wire/attach.h"

#define ANSWER_S 10 /* after which a daemon that does not answer is an EIO */

static int socket_name(struct sockaddr_un *a)
{
	const char *dir = getenv("VIADUCT_RUN_DIR");
	int n;

	if (!dir || !*dir)
		dir = "/run/viaduct";
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	n = snprintf(a->sun_path, sizeof(a->sun_path), "%s/netmap.sock", dir);
	return n < (int)sizeof(a->sun_path) ? 0 : ENOENT;
}

int nmwire_connect(int flags)
{
	struct sockaddr_un a;
	int saved = errno, err = socket_name(&a);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | (flags & O_CLOEXEC ? SOCK_CLOEXEC : 0), 0);

	if (fd < 0)
		return -1;
	if (!err && connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		err = errno == ECONNREFUSED || errno == ENOTDIR ? ENOENT : errno;
	if (!err && flags & O_NONBLOCK)
		nmreal()->fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	if (err)
		nmreal()->close(fd);
	errno = err ? err : saved;
	return err ? -1 : fd;
}

static uint64_t own_netns(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) < 0 ? 0 : st.st_ino;
}

static int send_request(int fd, const struct nmctl *q, int reply_fd)
{
	struct attach_request req = {.magic = ATTACH_MAGIC,
				     .nr_version = q->version,
				     .nr_reqtype = q->type,
				     .body_size = q->body_size,
				     .options_size = q->options_size,
				     .netns = own_netns()};
	struct iovec iov[3] = {{&req, sizeof(req)},
			       {(void *)q->body, q->body_size},
			       {(void *)q->options, q->options_size}};
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} c;
	struct msghdr m = {
		.msg_iov = iov, .msg_iovlen = 3, .msg_control = &c, .msg_controllen = sizeof(c)};
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	memcpy(req.name, q->name, sizeof(req.name));
	snprintf(req.program, sizeof(req.program), "%.15s", program_invocation_short_name);
	memset(&c, 0, sizeof(c));
	c.h = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(&c.h), &reply_fd, sizeof(int));
	while (sendmsg(fd, &m, MSG_NOSIGNAL) < 0) {
		if (errno != EINTR && errno != EAGAIN)
			return EIO;
		if (errno == EAGAIN && nmreal()->poll(&p, 1, ANSWER_S * 1000) <= 0)
			return EIO;
	}
	return 0;
}

struct answer {
	struct attach_reply head;
	const uint8_t *body, *options;
	const uint8_t *rings; /* struct attach_ring, perhaps not aligned */
	int fds[2];           /* region, shadow; -1 = none */
	uint8_t *packet;
};

static void free_answer(struct answer *a)
{
	for (int i = 0; i < 2; i++)
		if (a->fds[i] >= 0)
			nmreal()->close(a->fds[i]);
	free(a->packet);
}

static void take_fds(struct msghdr *m, struct answer *a)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(a->fds, CMSG_DATA(c), (n > 2 ? 2 : n) * sizeof(int));
	}
}

/* Do its parts fill the packet? */
static int split(struct answer *a, size_t n)
{
	struct attach_reply *h = &a->head;
	const uint8_t *at = a->packet + sizeof(*h);

	if (n < sizeof(*h))
		return EIO;
	memcpy(h, a->packet, sizeof(*h));
	if (h->magic != ATTACH_MAGIC || h->error < 0 || h->body_size > ATTACH_BODY_MAX ||
	    h->options_size > ATTACH_OPTIONS_MAX || h->n_rings > ATTACH_RINGS_MAX ||
	    n < sizeof(*h) + h->body_size + h->options_size +
			    h->n_rings * sizeof(struct attach_ring))
		return EIO;
	a->body = at;
	a->options = at + h->body_size;
	a->rings = a->options + h->options_size;
	return 0;
}

static int receive(int fd, struct answer *a)
{
	struct iovec iov = {NULL, ATTACH_PACKET_MAX};
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} c;
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	struct timeval patience = {.tv_sec = ANSWER_S};
	ssize_t n;

	a->fds[0] = a->fds[1] = -1;
	a->packet = iov.iov_base = malloc(ATTACH_PACKET_MAX);
	if (!a->packet)
		return ENOMEM;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return EIO;
	take_fds(&m, a);
	return split(a, (size_t)n);
}

/* Is ring r, as described, inside a region of that size? */
static bool ring_fits(const struct answer *a, const struct attach_ring *r)
{
	return r->shadow < a->head.n_shadow && r->ofs < a->head.region_size && r->n_slots >= 2 &&
	       a->head.region_size - r->ofs >=
		       sizeof(struct netmap_ring) + r->n_slots * sizeof(struct netmap_slot);
}

/* Buffers of the region, as far as the program's part of it goes. */
static uint32_t count_bufs(const struct nmdev *d, const struct attach_ring *r)
{
	struct netmap_ring *ring = (void *)(d->region->base + r->ofs);
	uint64_t first = r->ofs + (uint64_t)ring->buf_ofs;

	return first < d->memsize && r->buf_size ? (uint32_t)((d->memsize - first) / r->buf_size)
						 : 0;
}

static int bind_rings(struct nmdev *d, const struct answer *a)
{
	struct nmsync_ring *all = calloc(a->head.n_rings + 1, sizeof(*all));
	uint32_t n_tx = 0, n_rx = 0;

	if (!all)
		return ENOMEM;
	for (uint32_t i = 0; i < a->head.n_rings; i++) {
		struct attach_ring r;

		memcpy(&r, a->rings + i * sizeof(r), sizeof(r));
		if (!ring_fits(a, &r)) {
			free(all);
			return EIO;
		}
		n_tx += r.tx != 0;
	}
	d->tx = all;
	d->rx = all + n_tx;
	n_tx = 0;
	for (uint32_t i = 0; i < a->head.n_rings; i++) {
		struct attach_ring r;
		struct nmsync_ring *s;

		memcpy(&r, a->rings + i * sizeof(r), sizeof(r));
		s = r.tx ? &d->tx[n_tx++] : &d->rx[n_rx++];
		nmsync_init(s, (void *)(d->region->base + r.ofs), &d->shadow.rings[r.shadow],
			    count_bufs(d, &r));
		s->n_slots = r.n_slots;
		s->buf_size = r.buf_size;
	}
	d->n_tx = n_tx;
	d->n_rx = n_rx;
	return 0;
}

static int bind_locked(struct nmdev *d, const struct nmctl *q, const struct answer *a)
{
	struct nmreq_register reg;
	int err;

	if (d->registered)
		return 0; /* another thread was faster */
	memcpy(&reg, a->body, sizeof(reg));
	if (reg.nr_memsize > a->head.region_size)
		return EIO;
	d->region = nmregion_get(a->head.region_token, a->head.region_size, a->fds[0]);
	if (!d->region)
		return errno;
	d->memsize = reg.nr_memsize;
	d->flags = reg.nr_flags;
	memcpy(d->name, q->name, sizeof(d->name));
	err = a->head.n_shadow ? -shadow_attach(&d->shadow, a->fds[1], a->head.n_shadow) : 0;
	if (!err)
		err = bind_rings(d, a);
	if (err) {
		shadow_deinit(&d->shadow);
		nmregion_put(d->region);
		d->region = NULL;
		return err;
	}
	__atomic_store_n(&d->registered, true, __ATOMIC_RELEASE);
	return 0;
}

static int use_answer(struct nmdev *d, struct nmctl *q, const struct answer *a)
{
	const struct attach_reply *h = &a->head;
	int err = h->error;

	if (h->options_size == q->options_size)
		memcpy(q->options, a->options, h->options_size);
	if (err)
		return err;
	if (d && (q->type == ATTACH_STATE || q->type == NETMAP_REQ_REGISTER)) {
		if (h->body_size != sizeof(struct nmreq_register))
			return EIO;
		nmfd_lock();
		err = bind_locked(d, q, a);
		nmfd_unlock();
	}
	if (h->body_size && h->body_size <= sizeof(q->body))
		memcpy(q->body, a->body, h->body_size);
	return err;
}

int nmwire_request(struct nmdev *d, int fd, struct nmctl *q)
{
	struct answer a = {.fds = {-1, -1}};
	int pair[2], err, saved = errno;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return errno;
	err = send_request(fd, q, pair[1]);
	nmreal()->close(pair[1]);
	if (!err)
		err = receive(pair[0], &a);
	nmreal()->close(pair[0]);
	if (!err)
		err = use_answer(d, q, &a);
	free_answer(&a);
	errno = saved;
	return err;
}

bool nmwire_serves(const char *name)
{
	struct nmctl q = {.version = NETMAP_API,
			  .type = NETMAP_REQ_PORT_INFO_GET,
			  .body_size = sizeof(struct nmreq_port_info_get)};
	int fd, err, saved = errno;

	fd = nmwire_connect(O_CLOEXEC);
	if (fd < 0) {
		errno = saved;
		return false;
	}
	snprintf(q.name, sizeof(q.name), "%.15s", name);
	err = nmwire_request(NULL, fd, &q);
	nmreal()->close(fd);
	errno = saved;
	return err == 0;
}
