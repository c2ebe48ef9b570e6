/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A netmap program without libnetmap, for tests of the daemon: speaks wire/attach.h itself.
 *
 *	nmpass SOCKET BRIDGE [copy] [read] [swallow] [scribble] [slow] [host-rings=N]
 *
 * Passes frames between the NIC and the host rings of a bridge by swapping buffers, or copies them
 * (copy). read: opens the NIC rings only and reads. swallow: passes nothing on. scribble: writes
 * random values into rings, slots and shadow rings all the time. slow: so that it is in
 * the middle of something when it is killed. host-rings: asks for N of them. Prints "ready", and
 * the number of frames when it is told to end by SIGTERM.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "mem/nmsync.h"
#include "mem/ring.h"
#include "wire/attach.h"

#define RINGS_MAX 64

struct port {
	int fd;
	struct nmsync_ring rx[RINGS_MAX], tx[RINGS_MAX];
	uint32_t n_rx, n_tx;
};

static uint8_t *region;
static uint32_t tid;
static volatile sig_atomic_t stop;
static bool slow;
static uint64_t seed = 88172645463325252ULL; /* VIADUCT_SEED */

static void die(const char *what)
{
	fprintf(stderr, "nmpass: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(path);
	return fd;
}

static void send_request(int fd, const char *name, const struct nmreq_register *reg, int reply)
{
	struct {
		struct attach_request h;
		struct nmreq_register reg;
	} p = {.h = {.magic = ATTACH_MAGIC,
		     .nr_version = 14,
		     .nr_reqtype = NETMAP_REQ_REGISTER,
		     .body_size = sizeof(p.reg),
		     .program = "nmpass"},
	       .reg = *reg};
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} c = {.h = {.cmsg_len = CMSG_LEN(sizeof(int)),
		     .cmsg_level = SOL_SOCKET,
		     .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {&p, sizeof(p)};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};

	snprintf(p.h.name, sizeof(p.h.name), "%s", name);
	memcpy(CMSG_DATA(&c.h), &reply, sizeof(reply));
	if (sendmsg(fd, &m, 0) < 0)
		die("sendmsg");
}

/* Maps what came and sets up the rings. */
static void take_reply(struct port *p, int from)
{
	static uint8_t buf[ATTACH_PACKET_MAX];
	struct attach_reply *h = (struct attach_reply *)buf;
	struct attach_ring ring;
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} c;
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	ssize_t n = recvmsg(from, &m, 0);
	struct shadow shadow;
	uint32_t n_bufs;
	int fds[2];

	if (n < (ssize_t)sizeof(*h))
		die("no reply");
	errno = h->error;
	if (h->error)
		die("register");
	memcpy(fds, CMSG_DATA(&c.h), sizeof(fds));
	if (!region)
		region = mmap(NULL, h->region_size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
	if (region == MAP_FAILED || shadow_attach(&shadow, fds[1], h->n_shadow))
		die("mmap");
	n_bufs = (uint32_t)(h->region_size / 2048);
	for (uint32_t i = 0; i < h->n_rings; i++) {
		struct nmsync_ring *r;

		memcpy(&ring, buf + sizeof(*h) + h->body_size + i * sizeof(ring), sizeof(ring));
		r = ring.tx ? &p->tx[p->n_tx++] : &p->rx[p->n_rx++];
		nmsync_init(r, (struct netmap_ring *)(region + ring.ofs),
			    &shadow.rings[ring.shadow], n_bufs);
	}
	close(fds[0]);
	close(fds[1]);
}

static void open_port(struct port *p, const char *path, const char *name,
		      const struct nmreq_register *reg)
{
	int pair[2];

	memset(p, 0, sizeof(*p));
	p->fd = connect_to(path);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		die("socketpair");
	send_request(p->fd, name, reg, pair[1]);
	close(pair[1]);
	take_reply(p, pair[0]);
	close(pair[0]);
}

static void doorbell(struct port *p, unsigned int found)
{
	const uint8_t b = ATTACH_DOORBELL;

	if (found & (NMSYNC_BAD | NMSYNC_STOPPED))
		fprintf(stderr, "nmpass: sync: %x\n", found);
	if (found & NMSYNC_STOPPED)
		stop = 1;
	if (found & NMSYNC_DOORBELL && send(p->fd, &b, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    errno != EAGAIN)
		stop = 1;
}

static void *buffer(const struct netmap_ring *r, uint32_t i)
{
	return (uint8_t *)r + r->buf_ofs + (uint64_t)i * r->nr_buf_size;
}

/* Its work takes a while. */
static void dawdle(unsigned int us)
{
	if (slow)
		usleep(us);
}

static uint64_t move(struct netmap_ring *rx, struct netmap_ring *tx, bool copy)
{
	uint64_t n = 0;

	while (rx->head != rx->tail && (!tx || tx->head != tx->tail)) {
		struct netmap_slot *rs = &rx->slot[rx->head], *ts;

		if (tx) {
			ts = &tx->slot[tx->head];
			ts->len = rs->len;
			ts->flags = rs->flags & NS_MOREFRAG;
			if (copy) {
				memcpy(buffer(tx, ts->buf_idx), buffer(rx, rs->buf_idx), rs->len);
			} else {
				uint32_t idx = ts->buf_idx;

				ts->buf_idx = rs->buf_idx;
				rs->buf_idx = idx;
				ts->flags |= NS_BUF_CHANGED;
				rs->flags = NS_BUF_CHANGED;
			}
			tx->head = tx->cur = ring_next(tx->head, tx->num_slots);
		}
		rx->head = rx->cur = ring_next(rx->head, rx->num_slots);
		n++;
		dawdle(10);
	}
	return n;
}

static uint64_t pass(struct port *from, struct port *to, bool copy)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < from->n_rx; i++) {
		struct nmsync_ring *tx = to ? &to->tx[i % to->n_tx] : NULL;

		doorbell(from, nmsync_rx(&from->rx[i], tid));
		n += move(from->rx[i].ring, tx ? tx->ring : NULL, copy);
		if (tx)
			doorbell(to, nmsync_tx(tx, tid));
		dawdle(3000);
	}
	return n;
}

static bool may_sleep(struct port *p)
{
	bool ok = true;

	for (uint32_t i = 0; i < p->n_rx; i++)
		ok &= shadow_want_wakeup(p->rx[i].shadow);
	return ok;
}

static void drain(struct port *p)
{
	char buf[64];

	while (recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

/* A byte or a word somewhere in what the program can write to. */
static void scribble_ring(struct nmsync_ring *r)
{
	static uint64_t x;
	uint32_t *word;

	if (!x)
		x = seed;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	switch (x >> 60) {
	case 0 ... 3: /* an index of the ring */
		word = &r->ring->head + (x >> 32) % 4;
		*word = (uint32_t)x % (x & 1 << 20 ? 1100 : UINT32_MAX);
		break;
	case 4 ... 11: /* a slot */
		word = (uint32_t *)&r->ring->slot[(x >> 32) % r->n_slots] + (x >> 50) % 4;
		*word = (uint32_t)x % (x & 1 << 20 ? 200000 : UINT32_MAX);
		break;
	default: /* both halves of the shadow */
		word = (uint32_t *)r->shadow + (x >> 32) % (sizeof(*r->shadow) / 4);
		*word = (uint32_t)x % (x & 1 << 20 ? 1100 : UINT32_MAX);
	}
}

static void scribble(struct port *p)
{
	for (uint32_t i = 0; i < p->n_rx; i++) {
		scribble_ring(&p->rx[i]);
		scribble_ring(&p->tx[i % p->n_tx]);
	}
}

/* Goes on for ever; what it passes on is luck. */
static void run_wild(struct port *nic, struct port *host)
{
	const uint8_t b = ATTACH_DOORBELL;

	fclose(stderr);
	for (uint64_t n = 0;; n++) {
		scribble(nic);
		scribble(host);
		for (uint32_t i = 0; i < nic->n_rx; i++) {
			nmsync_rx(&nic->rx[i], tid);
			nmsync_tx(&host->tx[i % host->n_tx], tid);
			nmsync_rx(&host->rx[i % host->n_rx], tid);
			nmsync_tx(&nic->tx[i], tid);
		}
		if (n % 64 == 0) {
			send(nic->fd, &b, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
			send(host->fd, &b, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
			usleep(100);
		}
	}
}

static void on_term(int sig)
{
	stop = 1;
}

int main(int argc, char **argv)
{
	bool copy = false, reader = false, swallow = false, wild = false;
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	static struct port nic, host;
	uint64_t n = 0;

	for (int i = 3; i < argc; i++) {
		copy |= !strcmp(argv[i], "copy");
		reader |= !strcmp(argv[i], "read");
		swallow |= !strcmp(argv[i], "swallow");
		wild |= !strcmp(argv[i], "scribble");
		slow |= !strcmp(argv[i], "slow");
		if (!strncmp(argv[i], "host-rings=", 11))
			reg.nr_host_tx_rings = reg.nr_host_rx_rings = (uint16_t)atoi(argv[i] + 11);
	}
	if (getenv("VIADUCT_SEED"))
		seed += strtoull(getenv("VIADUCT_SEED"), NULL, 0);
	tid = (uint32_t)syscall(SYS_gettid);
	signal(SIGTERM, on_term);
	open_port(&nic, argv[1], argv[2], &reg);
	reg = (struct nmreq_register){.nr_mode = NR_REG_SW};
	if (!reader)
		open_port(&host, argv[1], argv[2], &reg);
	pass(&nic, swallow || reader ? NULL : &host, copy);
	printf("ready\n");
	fflush(stdout);
	if (wild)
		run_wild(&nic, &host);
	while (!stop) {
		struct pollfd fds[2] = {{.fd = nic.fd, .events = POLLIN},
					{.fd = host.fd, .events = POLLIN}};
		uint64_t got = pass(&nic, swallow || reader ? NULL : &host, copy);

		if (!reader)
			got += pass(&host, swallow ? NULL : &nic, copy);
		n += got;
		if (got || !may_sleep(&nic) || (!reader && !may_sleep(&host)))
			continue;
		if (poll(fds, reader ? 1 : 2, 1000) > 0 &&
		    ((fds[0].revents | fds[1].revents) & (POLLHUP | POLLERR)))
			break;
		drain(&nic);
		if (!reader)
			drain(&host);
	}
	printf("%llu\n", (unsigned long long)n);
	return 0;
}
