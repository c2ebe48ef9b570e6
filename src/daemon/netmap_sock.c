/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection is a netmap descriptor. Until it is registered the main thread listens to it, then
 * the worker of its port does, for doorbells; what is no doorbell comes here through on_request().
 * A packet that breaks the protocol costs the program its descriptor.
 */
#include "daemon/netmap_sock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/bridges.h"
#include "daemon/endpoint.h"
#include "sys/clock.h"
#include "sys/loop.h"
#include "sys/sock.h"

LOG_MODULE("daemon/netmap_sock");

#define CLIENTS_MAX   1024u
#define STRANGERS_MAX 16u /* descriptors of users that may open nothing: to be told so */
#define FDS_MAX       4u

struct netmap_sock {
	struct daemon *d;
	struct loop_source *source;
	struct loop_source *timer; /* while somebody has not said anything yet */
	struct limit limit;
	uint32_t n_clients;
	int fd;
	char *path;
};

static void client_free(struct nm_client *c)
{
	endpoint_release(c);
	loop_del(c->source);
	list_del(&c->node);
	c->es = NULL;
	close(c->fd);
	free(c);
}

static uint32_t count_clients(struct daemon *d, uid_t uid, bool any)
{
	uint32_t n = 0;

	list_for_each (i, endpoints_clients(d->endpoints))
		n += any || list_entry(i, struct nm_client, node)->peer.uid == uid;
	return n;
}

/* ---- packets ---- */

struct packet {
	uint8_t data[sizeof(struct attach_request) + ATTACH_BODY_MAX + ATTACH_OPTIONS_MAX];
	ssize_t len;             /* larger than data: it was cut; or -errno */
	int reply_fd;            /* the first descriptor that came with it, -1: none */
	struct domain_proc from; /* who sent it */
};

/* Descriptors but the first are closed. */
static void take_fds(const struct cmsghdr *c, struct packet *p)
{
	for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
		int got;

		memcpy(&got, CMSG_DATA(c) + at, sizeof(got));
		if (p->reply_fd < 0)
			p->reply_fd = got;
		else
			close(got);
	}
}

static void receive(const struct nm_client *cl, struct packet *p)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {p->data, sizeof(p->data)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	struct ucred cred;

	p->len = recvmsg(cl->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	p->reply_fd = -1;
	p->from = (struct domain_proc){cl->peer.pid, cl->peer.uid};
	if (p->len < 0) {
		p->len = -errno;
		return;
	}
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_RIGHTS)
			take_fds(c, p);
		if (c->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&cred, CMSG_DATA(c), sizeof(cred));
		p->from = (struct domain_proc){cred.pid, cred.uid};
	}
	if (m.msg_flags & MSG_TRUNC)
		p->len = (ssize_t)sizeof(p->data) + 1;
}

/* What the reply socket does not take is lost: the program sees it closed. */
static void send_reply(int fd, const void *buf, size_t len, const struct nm_reply *rep)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec iov = {(void *)buf, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	memset(&control, 0, sizeof(control));
	if (rep->n_fds > 0) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(rep->n_fds * sizeof(int));
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(rep->n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.h), rep->fds, rep->n_fds * sizeof(int));
	}
	if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("netmap: a reply was not taken: %s", strerror(errno));
}

/* Names go into the log. */
static void make_readable(char *name)
{
	for (; *name; name++)
		if (*name < ' ' || *name > '~')
			*name = '?';
}

/* A request, whole. 0, or -EPROTO. */
static int on_packet(struct nm_client *c, const struct packet *p)
{
	static struct attach_msg m;
	static struct nm_reply rep;
	static uint8_t out[ATTACH_PACKET_MAX];
	size_t len;

	if (p->len > (ssize_t)sizeof(p->data) || p->reply_fd < 0 ||
	    attach_parse(p->data, (size_t)p->len, &m))
		return -EPROTO;
	memset(&rep, 0, sizeof(rep));
	make_readable(m.h.program);
	make_readable(m.h.name);
	c->spoke = true;
	if (!c->registered)
		snprintf(c->program, sizeof(c->program), "%s", m.h.program);
	endpoint_request(c, &p->from, &m, &rep);
	len = attach_build(out, &rep.h, rep.body, &m, rep.rings);
	send_reply(p->reply_fd, out, len, &rep);
	return 0;
}

/* Reads what there is. False: the descriptor is gone, or its end. */
static bool drain(struct nm_client *c)
{
	static struct packet p;

	for (int turns = 0; turns < 16; turns++) {
		int r = 0;

		receive(c, &p);
		if (p.len == -EAGAIN || p.len == -EINTR)
			return true;
		if (p.len > 1 || (p.len == 1 && p.data[0] != ATTACH_DOORBELL))
			r = on_packet(c, &p);
		if (p.reply_fd >= 0)
			close(p.reply_fd);
		if (r)
			log_warn("netmap: pid=%d uid=%u sent what is no request, closed",
				 (int)c->peer.pid, (unsigned int)c->peer.uid);
		if (p.len <= 0 || r)
			return false;
	}
	return true;
}

static void on_readable(void *ctx, unsigned int events);

/* Who listens from now on: the worker to registered descriptors, the main thread to others. */
static void listen_again(struct nm_client *c)
{
	if (c->port && c->port->vb) {
		c->source = loop_del(c->source);
		endpoint_listen(c);
	} else if (!c->source) {
		c->source = loop_fd(c->es_loop, c->fd, LOOP_READ, on_readable, c);
		if (!c->source)
			client_free(c);
	}
}

static void on_request(struct nm_client *c)
{
	if (drain(c))
		listen_again(c);
	else
		client_free(c);
}

static void on_readable(void *ctx, unsigned int events)
{
	on_request(ctx);
}

/* ---- connections ---- */

/* Who may open nothing is let in as well, to get an EACCES and a line in the log. */
static const char *refused(struct netmap_sock *s, const struct nm_client *c)
{
	const uint32_t most =
		endpoint_may_open(c, NULL) ? s->d->uid_limits.descriptors : STRANGERS_MAX;

	if (count_clients(s->d, 0, true) >= CLIENTS_MAX)
		return "too many descriptors";
	if (c->peer.uid != 0 && count_clients(s->d, c->peer.uid, false) >= most)
		return "too many descriptors of this user (uid-descriptors in viaduct.yaml)";
	return NULL;
}

/* ---- those that say nothing ---- */

static void on_timer(void *ctx, unsigned int events)
{
	struct netmap_sock *s = ctx;
	const uint64_t now_ns = clock_now_ns(), age_ns = s->d->silent_s * CLOCK_SECOND_NS;
	uint64_t next_ns = UINT64_MAX;

	list_for_each_safe (i, endpoints_clients(s->d->endpoints)) {
		struct nm_client *c = list_entry(i, struct nm_client, node);

		if (c->spoke)
			continue;
		if (now_ns < c->accepted_ns + age_ns) {
			next_ns = min_of(next_ns, c->accepted_ns + age_ns);
			continue;
		}
		log_info("netmap: pid=%d uid=%u asked for nothing in %u s, closed",
			 (int)c->peer.pid, (unsigned int)c->peer.uid, s->d->silent_s);
		client_free(c);
	}
	s->timer = loop_del(s->timer);
	if (next_ns != UINT64_MAX)
		s->timer = loop_timer(s->d->loop, (next_ns - now_ns) / 1000000 + 1, 0, on_timer, s);
}

static void watch_silence(struct netmap_sock *s)
{
	if (!s->timer && s->d->silent_s > 0)
		s->timer = loop_timer(s->d->loop, s->d->silent_s * 1000ULL, 0, on_timer, s);
}

/* ---- accept ---- */

static struct nm_client *client_new(struct netmap_sock *s, int fd)
{
	struct nm_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->es = s->d->endpoints;
	c->es_loop = s->d->loop;
	c->fd = fd;
	c->accepted_ns = clock_now_ns();
	list_init(&c->ic.node);
	list_init(&c->node);
	return c;
}

static void on_accept(void *ctx, unsigned int events)
{
	struct netmap_sock *s = ctx;
	const char *why = "no memory";
	struct nm_client *c;
	uint64_t more;
	int fd = sock_accept(s->fd);

	if (fd < 0)
		return;
	c = client_new(s, fd);
	if (c)
		why = sock_peer(fd, s->d->group, &c->peer) ? "unknown peer" : refused(s, c);
	if (why) {
		if (limit_take(&s->limit, clock_now_ns(), &more))
			log_warn("netmap: pid=%d uid=%u refused: %s", c ? (int)c->peer.pid : 0,
				 c ? (unsigned int)c->peer.uid : 0, why);
		free(c);
		close(fd);
		return;
	}
	list_append(endpoints_clients(c->es), &c->node);
	listen_again(c);
	watch_silence(s);
}

void netmap_sock_follow(struct netmap_sock *s)
{
	mode_t mode = s && s->d->group ? 0660 : 0600;

	if (!s)
		return;
	for_each_bridge(vb, s->d) if (vb->access) mode = 0666;
	if (chmod(s->path, mode))
		log_err("netmap socket %s: %s", s->path, strerror(errno));
}

struct netmap_sock *netmap_sock_new(struct daemon *d, const char *path)
{
	struct netmap_sock *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->d = d;
	s->path = strdup(path);
	s->fd = s->path ? sock_listen_packets(path, d->group ? d->group : (gid_t)-1) : -ENOMEM;
	if (s->fd < 0) {
		log_err("netmap socket %s: %s", path, strerror(-s->fd));
		free(s->path);
		free(s);
		return NULL;
	}
	return s;
}

int netmap_sock_start(struct netmap_sock *s)
{
	endpoints_set_request(s->d->endpoints, on_request);
	s->source = loop_fd(s->d->loop, s->fd, LOOP_READ, on_accept, s);
	return s->source ? 0 : -ENOMEM;
}

struct netmap_sock *netmap_sock_free(struct netmap_sock *s)
{
	if (!s)
		return NULL;
	if (s->d->endpoints)
		list_for_each_safe (i, endpoints_clients(s->d->endpoints))
			client_free(list_entry(i, struct nm_client, node));
	loop_del(s->timer);
	loop_del(s->source);
	close(s->fd);
	unlink(s->path);
	free(s->path);
	free(s);
	return NULL;
}
