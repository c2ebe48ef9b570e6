/* SPDX-License-Identifier: BSD-2-Clause */
/* The sending half of the xdp driver; theory of operation in xdp.c. */
#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/frame.h"
#include "port/netdev.h"
#include "port/xdp_internal.h"

/* Takes home what the kernel has sent. */
void xdp_reap(struct xdp_port *x)
{
	struct xdp_ring *comp = &tx_sock(x)->comp;
	uint32_t list[BATCH_MAX], n;

	while (x->in_flight && (n = xdp_ring_ready(comp, BATCH_MAX)) > 0) {
		for (uint32_t i = 0; i < n; i++) {
			list[i] = xdp_chunk(xdp_ring_addr_at(comp, i), x->shift);
			x->held[list[i]]--;
		}
		xdp_ring_pop(comp, n);
		x->in_flight -= n;
		buf_put(x->port.bufs, list, n);
	}
}

/* Descriptors that may be queued now: each needs a place in the completion ring as well. */
static uint32_t tx_room(struct xdp_port *x, uint32_t want)
{
	return xdp_ring_space(&tx_sock(x)->tx, min_of(want, TX_SIZE - x->in_flight));
}

static void queue_desc(struct xdp_port *x, uint32_t buf, uint64_t addr, uint32_t len, uint32_t opt)
{
	*xdp_ring_desc(&tx_sock(x)->tx, 0) = (struct xdp_desc){addr, len, opt};
	xdp_ring_push(&tx_sock(x)->tx, 1);
	x->held[buf]++;
	x->in_flight++;
}

/* True when the kernel can send the frame from where it is. */
static bool sends_in_place(const struct xdp_port *x, const struct frame *f)
{
	uint64_t addr = (uint64_t)(f->data - x->umem);

	return f->len > 0 && f->len <= x->plain_max && !(f->buf & BUF_BIG) &&
	       xdp_chunk(addr, x->shift) == f->buf &&
	       xdp_chunk(addr + f->len - 1, x->shift) == f->buf &&
	       (x->held[f->buf] & HELD_TX_MASK) < HELD_TX_MASK;
}

static void drop_tx(struct xdp_port *x, const struct frame *f, enum drop_reason reason)
{
	port_drop_frame(&x->port, reason, f);
	buf_put(x->port.bufs, &f->buf, 1);
}

/* Queues a copy in fresh buffers. False: no room in the ring now; else the frame is dealt with. */
static bool send_copy(struct xdp_port *x, const struct frame *f)
{
	uint32_t n = (f->len + x->room - 1) / x->room, list[DESCS_MAX];

	if (n == 0 || n > DESCS_MAX || (n > 1 && !x->sg)) {
		drop_tx(x, f, n == 0 ? DROP_RUNT : DROP_OVERSIZE);
		return true;
	}
	if (tx_room(x, n) < n)
		return false;
	uint32_t got = buf_get(x->port.bufs, list, n);

	if (got < n) {
		buf_put(x->port.bufs, list, got);
		drop_tx(x, f, DROP_NO_BUFFER);
		return true;
	}
	for (uint32_t i = 0, ofs = 0; i < n; i++, ofs += x->room) {
		uint32_t len = min_of(f->len - ofs, x->room);
		uint64_t addr = ((uint64_t)list[i] << x->shift) + MEM_BUF_OFFSET;

		memcpy(x->umem + addr, f->data + ofs, len);
		queue_desc(x, list[i], addr, len, i + 1 < n ? XDP_PKT_CONTD : 0);
	}
	buf_put(x->port.bufs, &f->buf, 1);
	x->port.stats.tx_packets++;
	x->port.stats.tx_bytes += f->len;
	return true;
}

/* One send call. True when another one makes sense at once. */
static bool kick_once(struct xdp_port *x)
{
	uint32_t before = xdp_ring_pending(&tx_sock(x)->tx), after;
	int r = (int)sendto(tx_sock(x)->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);

	if (r < 0)
		r = -errno;
	x->port.stats.tx_calls++;
	x->down = r == -ENETDOWN;
	x->gone |= r == -ENXIO || r == -ENODEV;
	if (x->gone) /* what is queued never leaves; its buffers go home in close() */
		x->port.drops.n[DROP_TX_DOWN] += before;
	if (x->down || x->gone)
		return false;
	/* Copy mode: the frame's buffer comes back, but the device did not take the frame. */
	if (r == -EBUSY && x->copy)
		x->port.drops.n[DROP_TX_REFUSED]++;
	after = xdp_ring_pending(&tx_sock(x)->tx);
	return x->copy && after > 0 && (after < before || r == -EBUSY);
}

void xdp_flush(struct port *p)
{
	struct xdp_port *x = to_xdp(p);

	if (!x->kick || x->down || x->gone)
		return;
	if (xdp_ring_needs_wakeup(&tx_sock(x)->tx)) {
		for (int i = 0; i < KICKS_MAX && kick_once(x); i++)
			;
	}
	/* The rest, if any, in the next round; a device that is down is asked in tx(). */
	x->kick = !x->down && xdp_ring_pending(&tx_sock(x)->tx) > 0;
	xdp_reap(x);
}

/*
 * veth refuses a frame longer than MTU + 18, which two tags inside the frame make of a full-sized
 * one; with the first tag beside the frame it passes. AF_XDP cannot say that, the outbox can.
 */
static bool needs_outbox(struct xdp_port *x, const struct frame *f)
{
	if (likely(f->len <= x->plain_max))
		return false;
	x->plain_max = netdev_mtu(x->env->sock, x->port.ifindex) + PLAIN_EXTRA;
	return f->len > x->plain_max && f->n_tags > 0;
}

static void send_outbox(struct xdp_port *x, const struct frame *f)
{
	struct virtio_net_hdr vnet = {0};
	struct iovec iov[2] = {{&vnet, sizeof(vnet)}, {f->data, f->len}};
	uint8_t mark[CMSG_SPACE(sizeof(uint32_t))] __attribute__((aligned(8))) = {0};
	struct msghdr m = {.msg_iov = iov,
			   .msg_iovlen = 2,
			   .msg_control = mark,
			   .msg_controllen = sizeof(mark)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SO_MARK;
	c->cmsg_len = CMSG_LEN(sizeof(uint32_t));
	memcpy(CMSG_DATA(c), &x->port.ifindex, sizeof(uint32_t));
	x->port.stats.tx_calls++;
	if (sendmsg(x->env->outbox.fd, &m, MSG_DONTWAIT) < 0) {
		drop_tx(x, f, DROP_TX_REFUSED);
		return;
	}
	buf_put(x->port.bufs, &f->buf, 1);
	x->port.stats.tx_packets++;
	x->port.stats.tx_bytes += f->len;
}

/* A frame that cannot just be queued. False: no room now; otherwise it is dealt with. */
static bool send_odd(struct xdp_port *x, const struct frame *f)
{
	if (!needs_outbox(x, f))
		return send_copy(x, f);
	/* Behind those queued before it. */
	xdp_ring_publish(&tx_sock(x)->tx);
	x->kick = true;
	xdp_flush(&x->port);
	send_outbox(x, f);
	return true;
}

uint32_t xdp_tx(struct port *p, struct frame *const *frames, uint32_t n)
{
	struct xdp_port *x = to_xdp(p);
	uint32_t room, i;

	xdp_reap(x);
	if (unlikely(x->down)) /* is it up again? */
		kick_once(x);
	if (unlikely(x->down || x->gone)) {
		for (i = 0; i < n; i++)
			drop_tx(x, frames[i], DROP_TX_DOWN);
		return n;
	}
	room = tx_room(x, n);
	for (i = 0; i < n; i++) {
		const struct frame *f = frames[i];

		if (unlikely(!sends_in_place(x, f))) {
			if (!send_odd(x, f))
				break;
			room = tx_room(x, n - i);
			continue;
		}
		if (room == 0)
			break;
		room--;
		queue_desc(x, f->buf, (uint64_t)(f->data - x->umem), f->len, 0);
		p->stats.tx_packets++;
		p->stats.tx_bytes += f->len;
	}
	xdp_ring_publish(&tx_sock(x)->tx);
	x->kick = true;
	return i;
}
