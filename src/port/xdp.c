/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Port driver xdp: AF_XDP sockets, one for each RX queue, over the region's buffers.
 *
 * Theory of operation
 *
 * The UMEM is the region's buffer pool, so a UMEM chunk is a netmap buffer and a descriptor's
 * address says which one. Each socket registers the pool as a UMEM of its own: sockets stay
 * independent of each other's device and mode.
 *
 * A buffer that the kernel has is in one of two places. Given for reception (fill ring, driver, RX
 * ring), it has one reference, ours. Given for transmission (TX ring, driver, completion ring), it
 * carries one reference that tx() was handed, and other ports may send from the same buffer at the
 * same time: nobody writes. held[] notes both per buffer, so that close() finds what the kernel
 * still had.
 *
 * All frames leave through the socket of queue 0; the others only receive. Frames that lie in one
 * chunk of their own are sent where they are. What does not (large buffers, a program's frame
 * longer than what is left of the chunk) is copied into fresh buffers, several descriptors if need
 * be (XDP_USE_SG; set up when the device's MTU is larger than a chunk).
 *
 * System calls: one sendto() a round and port that sent something. Reception needs none in copy
 * mode; a zero-copy driver asks for one by the fill ring's flag. Completed buffers are taken home
 * in tx() and flush(); those of the last round stay with the kernel while it is quiet.
 *
 * Checksums: what a local sender left unfinished is found by xdp_csum.h and marked.
 *
 * Figures: veth - port - port - veth, 60-byte frames from a sendmmsg sender as fast as it can,
 * 2-core VM, kernel 6.18, alternating with the kernel's bridge, sender and softirq on one CPU,
 * worker on the other: 0.47 to 0.60 M/s (the kernel's bridge 0.41 to 0.50), the sender's CPU being
 * the limit in both; its time for sending, veth and delivery is 1.65 to 2.1 us a frame (2.0
 * to 2.4). With both CPUs taken by others the worker is late and the ring overflows at half of
 * that. Rings of 512 and 1,024 lose frames when the worker is late, 4,096 are not faster. One TCP
 * stream with default offloads: 1.7 to 1.9 Gbit/s, 2.5 with an MTU of 9,000 (a veth with XDP takes
 * no GSO frames).
 *
 * The host's stack sees no frame that a socket takes; it keeps from sending its own (IPv6 off).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "core/frame.h"
#include "port/driver.h"
#include "port/xdp_csum.h"
#include "port/xdp_internal.h"

LOG_MODULE("port/xdp");

/* --- buffers for reception --- */

/* Gives the kernel buffers up to a full ring. False when there are none and it has few. */
static bool refill(struct xdp_port *x, struct queue *q, struct bufcache *bufs)
{
	while (q->n_fill < RX_SIZE) {
		uint32_t list[BATCH_MAX];
		uint32_t want = min_of(RX_SIZE - q->n_fill, (uint32_t)BATCH_MAX);
		uint32_t n = xdp_ring_space(&q->sock.fill, want);

		n = buf_get(bufs, list, n);
		if (n == 0)
			break;
		for (uint32_t i = 0; i < n; i++) {
			x->held[list[i]] |= HELD_RX;
			*xdp_ring_addr(&q->sock.fill, i) = (uint64_t)list[i] << x->shift;
		}
		xdp_ring_push(&q->sock.fill, n);
		q->n_fill += n;
	}
	xdp_ring_publish(&q->sock.fill);
	q->starved |= q->n_fill < FILL_LOW;
	return q->n_fill >= FILL_LOW;
}

/* --- receive --- */

static void add_frame(struct xdp_port *x, struct batch *b, uint32_t buf, uint8_t *data,
		      uint32_t len)
{
	struct frame *f = &b->frames[b->n++];

	memset(f, 0, sizeof(*f));
	f->data = data;
	f->len = len;
	f->buf = buf;
	if (xdp_csum_partial(data, len, &f->csum_start, &f->csum_offset))
		f->flags = FRAME_CSUM_PARTIAL;
	x->port.stats.rx_bytes += len;
}

/* Appends one piece of a frame to its large buffer; the last piece makes it a frame. */
static void gather_piece(struct xdp_port *x, struct queue *q, struct batch *b, uint32_t buf,
			 const uint8_t *data, const struct xdp_desc *d)
{
	struct gather *g = &q->gather;

	if (!g->buf && !g->skip) {
		g->buf = buf_get_big(x->port.bufs);
		g->len = 0;
		if (!g->buf) {
			g->skip = true;
			x->port.drops.n[DROP_NO_BUFFER]++;
		}
	}
	if (g->buf && d->len > buf_room(x->port.bufs, g->buf) - g->len) {
		buf_put(x->port.bufs, &g->buf, 1);
		g->buf = 0;
		g->skip = true;
		x->port.drops.n[DROP_OVERSIZE]++;
	}
	if (g->buf) {
		memcpy(buf_data(x->port.bufs, g->buf) + g->len, data, d->len);
		g->len += d->len;
	}
	buf_put(x->port.bufs, &buf, 1);
	if (d->options & XDP_PKT_CONTD)
		return;
	if (g->buf)
		add_frame(x, b, g->buf, buf_data(x->port.bufs, g->buf), g->len);
	*g = (struct gather){0};
}

static void rx_one(struct xdp_port *x, struct queue *q, struct batch *b, const struct xdp_desc *d)
{
	uint32_t buf = xdp_chunk(d->addr, x->shift);
	uint8_t *data = x->umem + d->addr;
	uint8_t *home = x->umem + ((uint64_t)buf << x->shift) + MEM_BUF_OFFSET;

	x->held[buf] &= (uint8_t)~HELD_RX;
	if (unlikely((d->options & XDP_PKT_CONTD) || q->gather.buf || q->gather.skip)) {
		gather_piece(x, q, b, buf, data, d);
		return;
	}
	/* A tag put back in zero-copy mode moves the start; programs look for it at home. */
	if (unlikely(data != home) && d->len <= x->room) {
		memmove(home, data, d->len);
		data = home;
	}
	add_frame(x, b, buf, data, d->len);
}

static void rx_queue(struct xdp_port *x, struct queue *q, struct batch *b)
{
	uint32_t n = xdp_ring_ready(&q->sock.rx, BATCH_MAX - b->n);

	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		rx_one(x, q, b, xdp_ring_desc_at(&q->sock.rx, i));
	xdp_ring_pop(&q->sock.rx, n);
	q->n_fill -= min_of(n, q->n_fill);
	refill(x, q, x->port.bufs);
	if (xdp_ring_needs_wakeup(&q->sock.fill)) {
		(void)recvfrom(q->sock.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
		x->port.stats.rx_calls++;
	}
}

/*
 * While frames flow nobody waits for the sockets. A socket that is watched calls its watchers at
 * each frame even if nobody sleeps, on the sender's CPU: 2.31 us there for each frame with, 2.05
 * without (medians of 5; see the figures at the top).
 */
static void listen_stop(struct xdp_port *x)
{
	for (uint32_t i = 0; i < x->n_queues; i++)
		epoll_ctl(x->port.fd, EPOLL_CTL_DEL, x->queues[i].sock.fd, NULL);
	x->listening = false;
}

/* Frames that are there already make the descriptor readable at once. */
static void listen_start(struct xdp_port *x)
{
	for (uint32_t i = 0; i < x->n_queues; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};

		epoll_ctl(x->port.fd, EPOLL_CTL_ADD, x->queues[i].sock.fd, &ev);
	}
	x->listening = true;
}

uint32_t xdp_rx(struct port *p, struct batch *b)
{
	struct xdp_port *x = to_xdp(p);
	uint32_t before = b->n;

	for (uint32_t i = 0; i < x->n_queues && b->n < BATCH_MAX; i++)
		rx_queue(x, &x->queues[(x->next + i) % x->n_queues], b);
	if (b->n == before)
		return 0;
	if (x->listening)
		listen_stop(x);
	x->next = (x->next + 1) % x->n_queues;
	p->stats.rx_packets += b->n - before;
	return b->n - before;
}

/* --- sleep --- */

/* Has the worker woken a little later although no frame comes. */
static void arm_timer(struct xdp_port *x)
{
	struct itimerspec its = {.it_value.tv_nsec = RETRY_NS};

	timerfd_settime(x->timer_fd, 0, &its, NULL);
	x->timer_armed = true;
}

static void disarm_timer(struct xdp_port *x)
{
	uint64_t n;

	if (x->timer_armed && read(x->timer_fd, &n, sizeof(n)) == sizeof(n))
		x->timer_armed = false;
}

bool xdp_arm(struct port *p)
{
	struct xdp_port *x = to_xdp(p);
	bool starved = false;

	disarm_timer(x);
	if (x->gone)
		return false;
	xdp_reap(x);
	for (uint32_t i = 0; i < x->n_queues; i++) {
		struct queue *q = &x->queues[i];

		if (xdp_ring_ready(&q->sock.rx, 1)) {
			p->stats.wakeups++;
			return true;
		}
		starved |= q->n_fill < FILL_LOW && !refill(x, q, p->bufs);
	}
	xdp_flush(p);
	if ((x->kick || starved) && !x->timer_armed)
		arm_timer(x);
	if (!x->listening)
		listen_start(x);
	return false;
}

/* --- counters --- */

static void update_queue(struct xdp_port *x, struct queue *q)
{
	struct xdp_statistics st;
	uint64_t *drops = x->port.drops.n, dropped, empty;

	if (xdp_sock_statistics(&q->sock, &st) < 0)
		return;
	dropped = st.rx_dropped - q->seen.rx_dropped;
	empty = st.rx_fill_ring_empty_descs - q->seen.rx_fill_ring_empty_descs;
	drops[DROP_RX_RING_FULL] += st.rx_ring_full - q->seen.rx_ring_full;
	/*
	 * A frame dropped for want of a buffer counts in both: the worker was late, or the pool is
	 * empty. The rest was longer than a buffer, or found too few of them (frames in pieces).
	 */
	empty = min_of(empty, dropped);
	drops[q->starved ? DROP_NO_BUFFER : DROP_RX_RING_FULL] += empty;
	drops[x->sg ? DROP_RX_RING_FULL : DROP_OVERSIZE] += dropped - empty;
	q->starved = q->n_fill < FILL_LOW;
	drops[DROP_TX_REFUSED] += st.tx_invalid_descs - q->seen.tx_invalid_descs;
	q->seen = st;
}

void xdp_update_stats(struct port *p)
{
	struct xdp_port *x = to_xdp(p);
	uint64_t restored, lost;

	for (uint32_t i = 0; i < x->n_queues; i++)
		update_queue(x, &x->queues[i]);
	xdp_prog_counters(&x->prog, &restored, &lost);
	p->stats.offload.tags_restored += restored - x->seen_restored;
	p->drops.n[DROP_RX_TRUNCATED] += lost - x->seen_lost;
	x->seen_restored = restored;
	x->seen_lost = lost;
}

/* --- open and close --- */

static int bind_failed(int r, bool sg, const char **ret_why)
{
	switch (r) {
	case -EBUSY:
		*ret_why = "another AF_XDP socket uses a queue of this device";
		break;
	case -EPERM:
		*ret_why = "binding an AF_XDP socket needs CAP_NET_RAW";
		break;
	default:
		*ret_why =
			sg ? "its MTU needs frames of several buffers, which the kernel (6.6) or "
			     "the device does not support with AF_XDP: use driver packet"
			   : "the device does not support AF_XDP";
	}
	return error_origin(r);
}

static int open_socket(struct xdp_port *x, uint32_t i, const char **ret_why)
{
	struct xdp_sock_config cfg = {
		.umem = x->umem,
		.umem_size = x->umem_size,
		.chunk_size = 1u << x->shift,
		.rx_size = RX_SIZE,
		.fill_size = RX_SIZE,
		.tx_size = i == 0 && !x->take ? TX_SIZE : 0,
	};
	struct xdp_sock *s = &x->queues[i].sock;
	int r = xdp_sock_open(s, &cfg, ret_why), size = SNDBUF;

	if (r < 0)
		return error_trace(r);
	if (setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		log_debug("port %s: keeps the default send buffer", x->port.name);
	return 0;
}

static int bind_socket(struct xdp_port *x, uint32_t i, struct bufcache *bufs, const char **ret_why)
{
	struct queue *q = &x->queues[i];
	/* Without a flag the kernel takes zero-copy if the driver can, else it copies. */
	uint16_t flags = (uint16_t)(XDP_USE_NEED_WAKEUP | (x->prog.native ? 0 : XDP_COPY) |
				    (x->sg ? XDP_USE_SG : 0));
	int r;

	if (!refill(x, q, bufs)) {
		*ret_why = "not enough free buffers in the region";
		return error_origin(-ENOBUFS);
	}
	r = xdp_sock_bind(&q->sock, x->dev.ifindex, i, flags);
	if (r < 0)
		return bind_failed(r, x->sg, ret_why);
	r = xdp_prog_set_socket(&x->prog, i, q->sock.fd);
	if (r < 0)
		*ret_why = "the XDP program does not take the socket";
	return error_trace(r);
}

static int make_fds(struct xdp_port *x, const char **ret_why)
{
	struct epoll_event ev = {.events = EPOLLIN};

	*ret_why = "no descriptors";
	x->port.fd = epoll_create1(EPOLL_CLOEXEC);
	x->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (x->port.fd < 0 || x->timer_fd < 0)
		return error_origin(-errno);
	ev.data.fd = x->timer_fd;
	if (epoll_ctl(x->port.fd, EPOLL_CTL_ADD, x->timer_fd, &ev) < 0)
		return error_origin(-errno);
	if (x->take)
		return 0;
	x->promisc_fd = xdp_dev_promisc(x->dev.ifindex);
	if (x->promisc_fd < 0)
		*ret_why = "cannot be made promiscuous";
	return x->promisc_fd < 0 ? error_trace(x->promisc_fd) : 0;
}

/* Sockets first (slow), then the program, then what makes frames flow. */
static int start(struct xdp_port *x, const char **ret_why)
{
	const char *why = "";
	struct bufcache bufs;
	int r = make_fds(x, ret_why);

	if (r == 0 && x->env)
		r = env_claim(x->env, &x->claim, x->port.name, x->port.ifindex, ret_why);

	for (uint32_t i = 0; r == 0 && i < x->n_queues; i++)
		r = open_socket(x, i, ret_why);
	if (r == 0)
		r = xdp_prog_attach(&x->prog, &x->dev, x->sg, x->take, ret_why);
	/* The worker's cache is its own: this runs in the main thread. */
	bufcache_init(&bufs, x->pool);
	for (uint32_t i = 0; r == 0 && i < x->n_queues; i++)
		r = bind_socket(x, i, &bufs, ret_why);
	bufcache_deinit(&bufs);
	if (r < 0)
		return error_trace(r);
	x->copy = !xdp_sock_zero_copy(tx_sock(x));
	if (x->env && x->dev.has_peer && port_env_prepare(x->env, &why) < 0) {
		log_warn("port %s: no outbox, full-sized frames with two tags are refused: %s",
			 x->port.name, why);
		x->plain_max = UINT32_MAX;
	}
	listen_start(x);
	snprintf(x->port.mode, sizeof(x->port.mode), "%s",
		 !x->prog.native ? "generic"
		 : x->copy       ? "native"
				 : "zero-copy");
	return 0;
}

/* Bytes of a frame that fit a buffer in its own chunk. */
static uint32_t chunk_room(const struct bufpool *pool)
{
	return bufpool_region(pool)->layout.params.buf_size - MEM_BUF_OFFSET;
}

static struct xdp_port *xdp_new(const struct port_config *cfg, const struct xdp_dev *dev, bool sg)
{
	const struct region *region = bufpool_region(cfg->pool);
	struct xdp_port *x = calloc(1, sizeof(*x) + dev->n_queues * sizeof(struct queue));

	if (!x)
		return NULL;
	x->port.driver = &port_driver_xdp;
	x->port.bufs = cfg->bufs;
	x->port.ifindex = dev->ifindex;
	strncpy(x->port.name, cfg->name, sizeof(x->port.name) - 1);
	x->pool = cfg->pool;
	x->env = cfg->env;
	x->umem = region_umem(region);
	x->umem_size = region_umem_size(region);
	x->shift = (uint32_t)__builtin_ctz(region->layout.params.buf_size);
	x->room = chunk_room(cfg->pool);
	x->n_bufs = region->layout.params.buf_num;
	x->dev = *dev;
	x->sg = sg;
	x->plain_max = cfg->env && dev->has_peer ? dev->mtu + PLAIN_EXTRA : UINT32_MAX;
	x->port.fd = x->timer_fd = x->promisc_fd = -1;
	x->n_queues = dev->n_queues;
	for (uint32_t i = 0; i < x->n_queues; i++)
		x->queues[i].sock.fd = -1;
	x->held = calloc(x->n_bufs, 1);
	if (!x->held) {
		free(x);
		return NULL;
	}
	return x;
}

int xdp_check_config(const struct port_config *cfg, const struct xdp_dev *dev, const char **ret_why)
{
	uint32_t buf_size = bufpool_region(cfg->pool)->layout.params.buf_size;

	if (dev->loopback)
		*ret_why = "a loopback device has no frames for a bridge";
	else if (buf_size > MEM_PAGE)
		*ret_why = "AF_XDP takes buffers of 2,048 or 4,096 bytes: change buf-size or use "
			   "driver packet";
	else if (dev->n_queues > QUEUES_MAX)
		*ret_why = "has more than 256 queues: reduce them with ethtool -L";
	else
		return 0;
	return error_origin(-EINVAL);
}

/* What the kernel had when its sockets closed. */
static void take_back(struct xdp_port *x)
{
	struct bufcache bufs;

	bufcache_init(&bufs, x->pool);
	for (uint32_t i = 0; i < x->n_bufs; i++) {
		uint32_t n = (x->held[i] & HELD_RX ? 1 : 0) + (x->held[i] & HELD_TX_MASK);

		while (n--)
			buf_put(&bufs, &i, 1);
	}
	for (uint32_t i = 0; i < x->n_queues; i++) {
		if (x->queues[i].gather.buf)
			buf_put(&bufs, &x->queues[i].gather.buf, 1);
	}
	bufcache_deinit(&bufs);
}

void xdp_close(struct port *p)
{
	struct xdp_port *x = to_xdp(p);
	bool zero_copy = strcmp(p->mode, "zero-copy") == 0;

	xdp_prog_detach(&x->prog);
	for (uint32_t i = 0; i < x->n_queues; i++)
		xdp_sock_close(&x->queues[i].sock);
	/*
	 * A zero-copy driver lets go of its buffers in deferred work, of which nobody tells; until
	 * then the device may still write into them.
	 */
	if (zero_copy)
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	take_back(x);
	if (x->env && x->claim.ifindex)
		env_release(x->env, &x->claim);
	if (x->promisc_fd >= 0)
		close(x->promisc_fd);
	if (x->timer_fd >= 0)
		close(x->timer_fd);
	if (p->fd >= 0)
		close(p->fd);
	free(x->held);
	free(x);
}

int xdp_open_as(const struct port_config *cfg, const struct xdp_dev *dev, bool sg,
		const struct take_config *take, struct port **ret, const char **ret_why)
{
	struct xdp_port *x = xdp_new(cfg, dev, sg);
	int r;

	if (!x) {
		*ret_why = "no memory";
		return error_origin(-ENOMEM);
	}
	x->take = take;
	r = start(x, ret_why);
	x->take = NULL;
	if (r < 0) {
		xdp_close(&x->port);
		return error_trace(r);
	}
	*ret = &x->port;
	return 0;
}

/* Errors that have nothing to do with frames in pieces. */
static bool is_final(int r)
{
	return r == -EPERM || r == -EBUSY || r == -EEXIST || r == -ENOMEM || r == -ENODEV ||
	       r == -ENOBUFS;
}

static int xdp_open(const struct port_config *cfg, struct port **ret, const char **ret_why)
{
	struct xdp_dev dev;
	bool need_sg, want_sg;
	const char *why;
	int r = xdp_dev_query(cfg->name, &dev, ret_why);

	if (r < 0)
		return error_trace(r);
	r = xdp_check_config(cfg, &dev, ret_why);
	if (r < 0)
		return error_trace(r);
	/*
	 * Frames in pieces where the MTU needs them, and on virtual devices, whose peer may change
	 * its MTU (veth refuses a program without, -ERANGE, when the peer's is too large). Not on
	 * other NICs: there it may cost zero-copy.
	 */
	need_sg = dev.mtu + FRAME_HEADER_SIZE + TAGS_SIZE > chunk_room(cfg->pool);
	want_sg = need_sg || dev.has_peer;
	r = xdp_open_as(cfg, &dev, want_sg, NULL, ret, ret_why);
	if (r < 0 && !is_final(r) && !need_sg &&
	    xdp_open_as(cfg, &dev, !want_sg, NULL, ret, &why) == 0)
		return 0;
	return error_trace(r);
}

const struct port_driver port_driver_xdp = {
	.name = "xdp",
	.alone = true,
	.open = xdp_open,
	.close = xdp_close,
	.rx = xdp_rx,
	.tx = xdp_tx,
	.flush = xdp_flush,
	.arm = xdp_arm,
	.update_stats = xdp_update_stats,
};
