/* SPDX-License-Identifier: BSD-2-Clause */
#include "fakedaemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mem/nmobj.h"
#include "mem/ringcheck.h"
#include "wire/attach.h"

#define N_CONNS  32
#define MAX_NIC  2u
#define MAX_PAIR (MAX_NIC + 1) /* and a host ring */
#define AWAKE    200           /* rounds without work until it sleeps */

struct conn {
	int fd; /* -1 = free */
	bool registered, sink;
	uint32_t n_pairs, n_nic;
	struct ringcheck tx[MAX_PAIR], rx[MAX_PAIR];
	uint64_t tx_ofs[MAX_PAIR], rx_ofs[MAX_PAIR], nifp;
	bool bound_tx[MAX_PAIR], bound_rx[MAX_PAIR];
	struct shadow shadow;
	struct nmreq_register reg;
};

/* Shared with the test. */
static struct stats {
	unsigned int states, bells, open;
} * stats;

static char dir[64];
static pid_t child;

static struct region region;
static struct bufowner *owners;
static struct nmobj *objs;
static struct bufcache cache;
static uint16_t owner;
static struct conn conns[N_CONNS];
static uint64_t feed_at;
static bool awake;

static uint64_t now_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void make_ring(struct conn *c, uint32_t i, bool tx)
{
	struct nmobj_ring_params p = {
		.owner = owner, .ringid = (uint16_t)i, .tx = tx, .n_slots = FAKED_SLOTS};
	uint64_t *ofs = tx ? &c->tx_ofs[i] : &c->rx_ofs[i];
	struct ringcheck_params rp = {.shadow = &c->shadow.rings[2 * i + !tx],
				      .n_slots = FAKED_SLOTS,
				      .buf_size = 2048,
				      .owner = owner,
				      .tx = tx};

	if (nmobj_ring_new(objs, &p, ofs) < 0)
		_exit(3);
	rp.ring = nmobj_ring(objs, *ofs);
	if (ringcheck_init(tx ? &c->tx[i] : &c->rx[i], &rp) < 0)
		_exit(4);
}

static bool binds(const struct nmreq_register *r, uint32_t i, uint32_t n_nic)
{
	switch (r->nr_mode) {
	case NR_REG_ALL_NIC:
		return i < n_nic;
	case NR_REG_SW:
		return i == n_nic;
	case NR_REG_NIC_SW:
		return true;
	case NR_REG_ONE_NIC:
		return i == r->nr_ringid;
	default:
		return i == n_nic && r->nr_ringid == 0;
	}
}

static int do_register(struct conn *c, const char *name, struct nmreq_register *reg)
{
	uint64_t rings[2 * MAX_PAIR] = {0};
	struct nmobj_if_params p = {.name = name, .n_host_tx = 1, .n_host_rx = 1, .rings = rings};

	c->n_nic = strcmp(name, "two") == 0 ? 2 : 1;
	if (c->registered)
		return EBUSY;
	if (reg->nr_mode == 0 || reg->nr_mode > NR_REG_ONE_SW ||
	    reg->nr_mode == NR_REG_PIPE_MASTER || reg->nr_mode == NR_REG_PIPE_SLAVE ||
	    reg->nr_mode == NR_REG_NULL ||
	    (reg->nr_mode == NR_REG_ONE_NIC && reg->nr_ringid >= c->n_nic) ||
	    (reg->nr_mode == NR_REG_ONE_SW && reg->nr_ringid > 0))
		return EINVAL;
	c->n_pairs = c->n_nic + 1;
	c->sink = strcmp(name, "sink") == 0;
	p.n_tx = p.n_rx = c->n_nic;
	if (shadow_init(&c->shadow, 2 * c->n_pairs) < 0)
		return ENOMEM;
	for (uint32_t i = 0; i < c->n_pairs; i++) {
		make_ring(c, i, true);
		make_ring(c, i, false);
		c->bound_tx[i] = binds(reg, i, c->n_nic) && !(reg->nr_flags & NR_RX_RINGS_ONLY);
		c->bound_rx[i] = binds(reg, i, c->n_nic) && !(reg->nr_flags & NR_TX_RINGS_ONLY);
		rings[i] = c->bound_tx[i] ? c->tx_ofs[i] : 0;
		rings[c->n_pairs + i] = c->bound_rx[i] ? c->rx_ofs[i] : 0;
	}
	if (nmobj_if_new(objs, &p, &c->nifp) < 0)
		_exit(5);
	reg->nr_extra_bufs = nmobj_extra_new(objs, c->nifp, owner, reg->nr_extra_bufs);
	reg->nr_offset = c->nifp;
	reg->nr_memsize = region.layout.size;
	reg->nr_tx_slots = reg->nr_rx_slots = FAKED_SLOTS;
	reg->nr_tx_rings = reg->nr_rx_rings = (uint16_t)c->n_nic;
	reg->nr_host_tx_rings = reg->nr_host_rx_rings = 1;
	reg->nr_mem_id = 1;
	c->reg = *reg;
	c->registered = true;
	return 0;
}

static void stop_rings(void)
{
	for (struct conn *c = conns; c < conns + N_CONNS; c++)
		for (uint32_t i = 0; c->fd >= 0 && i < 2 * c->n_pairs; i++)
			if (shadow_set_state(&c->shadow.rings[i], SHADOW_STOPPED))
				send(c->fd, "D", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int do_info(const char *name, struct nmreq_port_info_get *info)
{
	if (strcmp(name, "!die") == 0)
		_exit(0);
	if (strcmp(name, "!stop") == 0)
		stop_rings();
	if (strcmp(name, "!feed") == 0)
		feed_at = now_us(CLOCK_MONOTONIC) + 30000;
	if (strcmp(name, "!awake") == 0 || strcmp(name, "!rest") == 0)
		awake = name[1] == 'a';
	*info = (struct nmreq_port_info_get){.nr_memsize = region.layout.size,
					     .nr_tx_slots = FAKED_SLOTS,
					     .nr_rx_slots = FAKED_SLOTS,
					     .nr_tx_rings = 1,
					     .nr_rx_rings = 1,
					     .nr_host_tx_rings = 1,
					     .nr_host_rx_rings = 1,
					     .nr_mem_id = 1};
	return 0;
}

/* OFFSETS is served, nothing else. */
static int do_options(uint8_t *at, uint32_t size)
{
	int err = 0;

	for (uint32_t used = 0; used + sizeof(struct attach_option) <= size;) {
		struct attach_option *o = (void *)(at + used);

		o->status = o->reqtype == NETMAP_REQ_OPT_OFFSETS ? 0 : EOPNOTSUPP;
		if (o->status)
			err = EOPNOTSUPP;
		used += (uint32_t)sizeof(*o) + (o->size + 7) / 8 * 8;
	}
	return err;
}

static int run_request(struct conn *c, const struct attach_request *q, uint8_t *body,
		       uint32_t *size, uint8_t *options)
{
	int err;

	if (q->name[0] && strcmp(q->name, "nosuch") == 0)
		return ENXIO;
	switch (q->nr_reqtype) {
	case NETMAP_REQ_REGISTER:
		err = c->registered ? EBUSY : do_options(options, q->options_size);
		return err ? err : do_register(c, q->name, (void *)body);
	case NETMAP_REQ_PORT_INFO_GET:
		return do_info(q->name, (void *)body);
	case NETMAP_REQ_PORT_HDR_GET:
		return 0;
	case ATTACH_STATE:
		stats->states++;
		memcpy(body, &c->reg, sizeof(c->reg));
		*size = sizeof(c->reg);
		return c->registered ? 0 : ENXIO;
	default:
		return EOPNOTSUPP;
	}
}

static uint32_t list_rings(const struct conn *c, struct attach_ring *ret)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 2 * c->n_pairs; i++) {
		const bool tx = i % 2 == 0;
		const uint32_t k = i / 2;

		if (tx ? c->bound_tx[k] : c->bound_rx[k])
			ret[n++] = (struct attach_ring){.ofs = tx ? c->tx_ofs[k] : c->rx_ofs[k],
							.shadow = i,
							.n_slots = FAKED_SLOTS,
							.ring_id = (uint16_t)k,
							.tx = tx,
							.host = k == c->n_nic,
							.buf_size = 2048};
	}
	return n;
}

static void answer(struct conn *c, uint8_t *packet, int reply_fd)
{
	const struct attach_request *q = (const void *)packet;
	uint8_t body[ATTACH_BODY_MAX] = {0}, *options = packet + sizeof(*q) + q->body_size;
	struct attach_ring rings[2 * MAX_PAIR];
	struct attach_reply a = {.magic = ATTACH_MAGIC, .options_size = q->options_size};
	int fds[2] = {region.fd, -1};
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(fds))];
	} ctl = {.h = {CMSG_LEN(sizeof(fds)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov[4] = {{&a, sizeof(a)}, {body, 0}, {options, q->options_size}, {rings, 0}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 4};

	memcpy(body, packet + sizeof(*q), q->body_size);
	a.body_size = q->body_size;
	a.error = run_request(c, q, body, &a.body_size, options);
	if (a.error)
		a.body_size = 0;
	iov[1].iov_len = a.body_size;
	if (!a.error && (q->nr_reqtype == NETMAP_REQ_REGISTER || q->nr_reqtype == ATTACH_STATE)) {
		a.n_rings = list_rings(c, rings);
		a.n_shadow = 2 * c->n_pairs;
		a.region_token = 4711;
		a.region_size = region.layout.file_size;
		a.nifp_ofs = c->nifp;
		iov[3].iov_len = a.n_rings * sizeof(rings[0]);
		fds[1] = c->shadow.fd;
		memcpy(CMSG_DATA(&ctl.h), fds, sizeof(fds));
		m.msg_control = &ctl;
		m.msg_controllen = sizeof(ctl);
	}
	sendmsg(reply_fd, &m, MSG_NOSIGNAL);
}

static void close_conn(struct conn *c)
{
	close(c->fd);
	if (c->registered) {
		nmobj_if_free(objs, c->nifp, owner);
		for (uint32_t i = 0; i < c->n_pairs; i++) {
			nmobj_ring_free(objs, c->tx_ofs[i], owner);
			nmobj_ring_free(objs, c->rx_ofs[i], owner);
			ringcheck_deinit(&c->tx[i]);
			ringcheck_deinit(&c->rx[i]);
		}
		shadow_deinit(&c->shadow);
	}
	memset(c, 0, sizeof(*c));
	c->fd = -1;
	stats->open--;
}

static void serve(struct conn *c)
{
	static _Alignas(8) uint8_t packet[16384];
	struct iovec iov = {packet, sizeof(packet)};
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &ctl,
			   .msg_controllen = sizeof(ctl)};
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			close_conn(c);
	} else if (n == 1) {
		stats->bells++;
	} else if (CMSG_FIRSTHDR(&m)) {
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
		answer(c, packet, fd);
		close(fd);
	}
}

static void accept_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	for (struct conn *c = conns; c < conns + N_CONNS && fd >= 0; c++)
		if (c->fd < 0) {
			c->fd = fd;
			stats->open++;
			return;
		}
	close(fd);
}

/* What one pair sent comes back on it. */
static uint32_t turn(struct conn *c, uint32_t i, bool feed)
{
	struct ring_slot slots[RINGCHECK_BATCH];
	const uint64_t ts = now_us(CLOCK_REALTIME);
	uint32_t n, put = 0, buf;
	bool ring;

	n = c->sink || ringcheck_rx_space(&c->rx[i])
		    ? ringcheck_tx_take(&c->tx[i], &cache, slots, FAKED_SLOTS)
		    : 0;
	if (!c->sink)
		put = ringcheck_rx_put(&c->rx[i], &cache, slots, n);
	for (uint32_t k = put; k < n; k++)
		buf_put_one(&cache, slots[k].buf);
	if (feed && buf_get(&cache, &buf, 1)) {
		struct ring_slot s = {.buf = buf, .len = 60};

		if (!ringcheck_rx_put(&c->rx[i], &cache, &s, 1))
			buf_put_one(&cache, buf);
	}
	ring = ringcheck_publish(&c->tx[i], ts);
	ring |= ringcheck_publish(&c->rx[i], ts);
	if (ring)
		send(c->fd, "D", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n;
}

static uint32_t turn_all(void)
{
	const bool feed = feed_at && now_us(CLOCK_MONOTONIC) >= feed_at;
	uint32_t n = 0;

	for (struct conn *c = conns; c < conns + N_CONNS; c++)
		for (uint32_t i = 0; c->fd >= 0 && i < c->n_pairs; i++)
			n += turn(c, i, feed);
	if (feed)
		feed_at = 0;
	return n;
}

static bool may_sleep(void)
{
	bool sleep = true;

	for (struct conn *c = conns; c < conns + N_CONNS; c++)
		for (uint32_t i = 0; c->fd >= 0 && i < c->n_pairs; i++) {
			sleep &= ringcheck_sleep(&c->tx[i]);
			sleep &= ringcheck_sleep(&c->rx[i]);
		}
	return sleep;
}

static _Noreturn void run(int listener)
{
	struct pollfd p[N_CONNS + 1];
	int idle = 0;

	for (;;) {
		bool sleep;

		idle = turn_all() ? 0 : idle + 1;
		sleep = idle > AWAKE && !feed_at && !awake && may_sleep();
		p[0] = (struct pollfd){.fd = listener, .events = POLLIN};
		for (int i = 0; i < N_CONNS; i++)
			p[i + 1] = (struct pollfd){.fd = conns[i].fd, .events = POLLIN};
		if (poll(p, N_CONNS + 1, sleep ? 20000 : 0) > 0)
			idle = 0;
		if (p[0].revents)
			accept_one(listener);
		for (int i = 0; i < N_CONNS; i++)
			if (p[i + 1].fd >= 0 && p[i + 1].revents)
				serve(&conns[i]);
	}
}

static void make_memory(void)
{
	const struct mem_params m = {
		.buf_num = 8000, .ring_num = 100, .ring_size = 4096, .if_num = 50};
	const char *why;

	if (region_init(&region, &m, 1, &why) < 0)
		_exit(2);
	owners = bufowner_new(bufpool_new(&region, 1));
	objs = nmobj_new(owners);
	bufcache_init(&cache, bufowner_pool(owners));
	owner = bufowner_add(owners);
	for (int i = 0; i < N_CONNS; i++)
		conns[i].fd = -1;
}

int faked_start(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	stats = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	strcpy(dir, "/tmp/vt-device-XXXXXX");
	if (!mkdtemp(dir) || stats == MAP_FAILED)
		return -1;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/netmap.sock", dir);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 32) < 0)
		return -1;
	setenv("VIADUCT_RUN_DIR", dir, 1);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		make_memory();
		run(fd);
	}
	close(fd);
	return child > 0 ? 0 : -1;
}

void faked_stop(void)
{
	char path[96];

	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	snprintf(path, sizeof(path), "%s/netmap.sock", dir);
	unlink(path);
	rmdir(dir);
	munmap(stats, 4096);
}

unsigned int faked_states(void)
{
	return __atomic_load_n(&stats->states, __ATOMIC_SEQ_CST);
}

unsigned int faked_bells(void)
{
	return __atomic_load_n(&stats->bells, __ATOMIC_SEQ_CST);
}

unsigned int faked_open(void)
{
	return __atomic_load_n(&stats->open, __ATOMIC_SEQ_CST);
}
