/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/afpacket_tx.h"

#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "port/netdev.h"
#include "port/vnet.h"

void afpacket_tx_init_marked(struct afpacket_tx *t, int sock, int box_fd, uint32_t mark)
{
	struct cmsghdr *c = (struct cmsghdr *)t->mark;

	t->sock = sock;
	t->box_fd = box_fd;
	t->box_all = true;
	t->mtu = 0;
	*c = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SO_MARK, .cmsg_len = CMSG_LEN(sizeof(mark))};
	memcpy(CMSG_DATA(c), &mark, sizeof(mark));
	for (uint32_t i = 0; i < AFPACKET_TX_MAX; i++) {
		t->iovs[i][0] = (struct iovec){&t->hdrs[i], VNET_SIZE};
		t->msgs[i].msg_hdr.msg_iov = t->iovs[i];
		t->msgs[i].msg_hdr.msg_iovlen = 2;
	}
}

void afpacket_tx_init(struct afpacket_tx *t, const struct port *p, struct port_env *env)
{
	afpacket_tx_init_marked(t, env->sock, env->outbox.fd, p->ifindex);
	t->box_all = false;
	t->mtu = netdev_mtu(env->sock, p->ifindex);
}

enum drop_reason afpacket_tx_reason(int err)
{
	switch (err) {
	case ENETDOWN:
	case ENXIO:
	case ENODEV:
		return DROP_TX_DOWN;
	case EMSGSIZE:
		return DROP_EGRESS_MTU;
	case ENOBUFS:
	case EAGAIN:
		return DROP_TX_FULL;
	case ENOMEM:
		return DROP_NO_BUFFER;
	default:
		return DROP_TX_REFUSED;
	}
}

/*
 * packet_snd lets a frame be 4 bytes longer than the MTU when its first tag is 802.1Q, and refuses
 * 802.1ad and second tags, which the kernel's bridge passes. GSO frames have no such check, but
 * with an inline tag the kernel cuts them before the device: beside the frame they stay whole.
 */
bool afpacket_tx_wants_outbox(const struct frame *f, uint32_t mtu)
{
	if (likely(!vnet_is_tagged(f->data)))
		return false;
	if (f->gso != FRAME_GSO_NONE)
		return true;
	return f->len > FRAME_HEADER_SIZE + mtu + (f->data[12] == 0x81 ? VNET_TAG_SIZE : 0);
}

/* Messages first to first + n - 1. */
static void count_drop(const struct afpacket_tx *t, struct port *p, enum drop_reason r,
		       uint32_t first, uint32_t n)
{
	const struct iovec *last = &t->iovs[first + n - 1][1];

	p->drops.n[r] += n - 1;
	port_drop(p, r, last->iov_base, (uint32_t)last->iov_len, (uint32_t)last->iov_len);
}

/* The kernel refused message first of `left`; returns how many messages that settles. */
static uint32_t refused(struct afpacket_tx *t, struct port *p, int err, uint32_t first,
			uint32_t left)
{
	enum drop_reason r = afpacket_tx_reason(err);

	if (r == DROP_EGRESS_MTU)
		t->mtu = netdev_mtu(t->sock, p->ifindex);
	/* A device that is down or a full queue will refuse the rest of the run as well. */
	if (r != DROP_TX_DOWN && r != DROP_TX_FULL)
		left = 1;
	count_drop(t, p, r, first, left);
	return left;
}

/* Sends messages first to end - 1. */
static void send_run(struct afpacket_tx *t, struct port *p, int fd, uint32_t first, uint32_t end)
{
	bool again = true;

	while (first < end) {
		int r = sendmmsg(fd, t->msgs + first, end - first, 0);

		p->stats.tx_calls++;
		if (r <= 0) {
			/* Once a device is up again its socket still reports that it went down. */
			if (errno == ENETDOWN && again && netdev_is_up(t->sock, p->ifindex)) {
				again = false;
				continue;
			}
			first += refused(t, p, errno, first, end - first);
			continue;
		}
		for (uint32_t i = first; i < first + (uint32_t)r; i++)
			p->stats.tx_bytes += t->iovs[i][1].iov_len;
		p->stats.tx_packets += (uint32_t)r;
		first += (uint32_t)r;
	}
}

/* What goes through a helper vanishes without an error when the device is down: ask before. */
static void send_box(struct afpacket_tx *t, struct port *p, uint32_t first, uint32_t end)
{
	if (netdev_is_up(t->sock, p->ifindex))
		send_run(t, p, t->box_fd, first, end);
	else
		count_drop(t, p, DROP_TX_DOWN, first, end - first);
}

static void prepare(struct afpacket_tx *t, uint32_t i, const struct frame *f, bool box)
{
	struct msghdr *m = &t->msgs[i].msg_hdr;

	vnet_from_frame(f, &t->hdrs[i]);
	t->iovs[i][1] = (struct iovec){f->data, f->len};
	m->msg_control = box ? t->mark : NULL;
	m->msg_controllen = box ? sizeof(t->mark) : 0;
}

/* Up to AFPACKET_TX_MAX frames, in runs of the same way out. */
static void send_some(struct afpacket_tx *t, struct port *p, int fd, struct frame *const *frames,
		      uint32_t n)
{
	bool box = false;
	uint32_t first = 0;

	for (uint32_t i = 0; i <= n; i++) {
		bool next = i < n && (t->box_all || afpacket_tx_wants_outbox(frames[i], t->mtu));

		if (i == n || next != box) {
			if (box)
				send_box(t, p, first, i);
			else
				send_run(t, p, fd, first, i);
			first = i;
			box = next;
		}
		if (i < n)
			prepare(t, i, frames[i], next);
	}
}

uint32_t afpacket_tx(struct afpacket_tx *t, struct port *p, int fd, struct frame *const *frames,
		     uint32_t n)
{
	for (uint32_t done = 0; done < n; done += AFPACKET_TX_MAX)
		send_some(t, p, fd, frames + done, min_of(n - done, AFPACKET_TX_MAX));
	for (uint32_t i = 0; i < n; i++)
		buf_put_one(p->bufs, frames[i]->buf);
	return n;
}
