/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP devices with vnet headers (Linux, networking/tuntap): the bridge's own interface, VMs, a
 * device to move into a namespace. GSO frames pass whole both ways. One read or write a frame; the
 * kernel has no call for more.
 *
 * Receive: one readv scatters into {header, region buffer, large buffer behind the same offset}, so
 * small frames land where they stay, and of a large one only the first part is moved.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/err.h"
#include "port/driver.h"
#include "port/env.h"
#include "port/netdev.h"
#include "port/tap.h"
#include "port/vnet.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20 /* kernel 6.2 */
#define TUN_F_USO6 0x40
#endif

struct tap_port {
	struct port head;
	uint32_t small, large; /* buffers waiting for the next frame; 0 = none */
};

/* What is wrong with the name or the device behind it, from the errno of TUNSETIFF. */
static const char *attach_why(int err)
{
	switch (err) {
	case EBUSY:
		return "another process holds this TAP device";
	case EINVAL:
		return "a device of that name exists and is no TAP device";
	case EPERM:
		return "needs CAP_NET_ADMIN to make or open a TAP device";
	default:
		return "the kernel refuses to make the TAP device";
	}
}

static int attach(struct tap_port *p, const struct port_config *cfg, const char **ret_why)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	const int size = VNET_SIZE;

	p->head.fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (p->head.fd < 0) {
		*ret_why = errno == EACCES || errno == EPERM ? "needs access to /dev/net/tun"
							     : "cannot open /dev/net/tun";
		return error_origin(-errno);
	}
	strncpy(ifr.ifr_name, cfg->name, IFNAMSIZ - 1);
	if (ioctl(p->head.fd, TUNSETIFF, &ifr) < 0) {
		*ret_why = attach_why(errno);
		return error_origin(-errno);
	}
	p->head.ifindex = if_nametoindex(cfg->name);
	if (ioctl(p->head.fd, TUNSETVNETHDRSZ, &size) < 0) {
		*ret_why = "the kernel refuses vnet headers on it";
		return error_origin(-errno);
	}
	return 0;
}

/* What the device may hand us, and with that what we can hand it. */
static void set_offload(struct tap_port *p)
{
	const unsigned int base = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	const uint32_t caps = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_TSO_ECN;

	if (ioctl(p->head.fd, TUNSETOFFLOAD, base | TUN_F_USO4 | TUN_F_USO6) == 0)
		p->head.caps = caps | OFFLOAD_USO;
	else if (ioctl(p->head.fd, TUNSETOFFLOAD, base) == 0)
		p->head.caps = caps;
	else
		p->head.caps = OFFLOAD_CSUM;
}

static int configure(struct tap_port *p, const struct port_config *cfg, bool created,
		     const char **ret_why)
{
	int r = 0;

	set_offload(p);
	if (cfg->mac && created)
		r = netdev_set_mac(cfg->env->sock, cfg->name, cfg->mac);
	if (r) {
		*ret_why = "cannot set the TAP device's address";
		return error_trace(r);
	}
	if (cfg->mtu && created)
		r = netdev_set_mtu(cfg->env->sock, cfg->name, cfg->mtu);
	if (r) {
		*ret_why = "cannot set the TAP device's MTU";
		return error_trace(r);
	}
	if (cfg->persist && ioctl(p->head.fd, TUNSETPERSIST, 1) < 0) {
		*ret_why = "cannot make the TAP device persistent";
		return error_origin(-errno);
	}
	return 0;
}

static void tap_close(struct port *head)
{
	struct tap_port *p = container_of(head, struct tap_port, head);

	if (p->small)
		buf_put_one(head->bufs, p->small);
	if (p->large)
		buf_put_one(head->bufs, p->large);
	if (head->fd >= 0)
		close(head->fd);
	free(p);
}

static int tap_open(const struct port_config *cfg, struct port **ret, const char **ret_why)
{
	bool there = if_nametoindex(cfg->name) != 0;
	struct tap_port *p;
	int r;

	if (!there && !cfg->create) {
		*ret_why = "no such device";
		return error_origin(-ENODEV);
	}
	p = calloc(1, sizeof(*p));
	if (!p) {
		*ret_why = "no memory";
		return error_origin(-ENOMEM);
	}
	p->head = (struct port){
		.driver = &port_driver_tap, .bufs = cfg->bufs, .fd = -1, .mode = "vnet header"};
	strncpy(p->head.name, cfg->name, sizeof(p->head.name) - 1);
	r = attach(p, cfg, ret_why);
	if (r == 0)
		r = configure(p, cfg, !there, ret_why);
	if (r) {
		tap_close(&p->head);
		return error_trace(r);
	}
	*ret = &p->head;
	return 0;
}

/*
 * Puts the frame of a scattered read of size bytes together: f gets the small buffer when all of it
 * is there, else the large one with the first room bytes moved in front of the rest.
 */
bool tap_join(struct frame *f, uint32_t size, uint8_t *small, uint32_t room, uint8_t *large)
{
	f->len = size;
	f->data = small;
	if (size <= room)
		return false;
	memcpy(large, small, room);
	f->data = large;
	return true;
}

static bool supply(struct tap_port *p)
{
	if (!p->small && !buf_get(p->head.bufs, &p->small, 1))
		return false;
	if (!p->large)
		p->large = buf_get_big(p->head.bufs);
	return p->large != 0;
}

/* Reads one frame into f. False: there is none, or no buffer. A bad frame is counted, f->buf 0. */
static bool read_frame(struct tap_port *p, struct frame *f)
{
	struct bufcache *c = p->head.bufs;
	struct virtio_net_hdr h;
	uint8_t *small, *large;
	struct iovec iov[3];
	uint32_t room, *used;
	ssize_t n;
	int reason;

	if (!supply(p))
		return false;
	small = buf_data(c, p->small);
	large = buf_data(c, p->large);
	room = buf_room(c, p->small);
	iov[0] = (struct iovec){&h, VNET_SIZE};
	iov[1] = (struct iovec){small, room};
	iov[2] = (struct iovec){large + room, buf_room(c, p->large) - room};
	n = readv(p->head.fd, iov, 3);
	p->head.stats.rx_calls++;
	if (n < 0)
		return false;
	*f = (struct frame){0};
	if (n < (ssize_t)(VNET_SIZE + FRAME_HEADER_SIZE)) {
		n = max_of(n - (ssize_t)VNET_SIZE, 0);
		port_drop(&p->head, DROP_RUNT, small, (uint32_t)n, (uint32_t)n);
		return true;
	}
	used = tap_join(f, (uint32_t)n - VNET_SIZE, small, room, large) ? &p->large : &p->small;
	reason = vnet_to_frame(&h, 0, f);
	if (reason) {
		port_drop_frame(&p->head, (enum drop_reason)reason, f);
		return true;
	}
	f->buf = *used;
	*used = 0;
	return true;
}

static uint32_t tap_rx(struct port *head, struct batch *b)
{
	struct tap_port *p = container_of(head, struct tap_port, head);
	const uint32_t before = b->n;

	for (uint32_t i = before; i < BATCH_MAX; i++) {
		struct frame *f = &b->frames[b->n];

		if (!read_frame(p, f))
			break;
		if (!f->buf)
			continue;
		head->stats.rx_bytes += f->len;
		b->n++;
	}
	head->stats.rx_packets += b->n - before;
	return b->n - before;
}

static enum drop_reason write_reason(int err)
{
	switch (err) {
	case EIO:    /* the device is down */
	case EBADFD: /* or was deleted */
		return DROP_TX_DOWN;
	case EAGAIN:
	case ENOBUFS:
		return DROP_TX_FULL;
	case ENOMEM:
		return DROP_NO_BUFFER;
	default:
		return DROP_TX_REFUSED;
	}
}

static uint32_t tap_tx(struct port *head, struct frame *const *frames, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct virtio_net_hdr h;
		const struct iovec iov[2] = {{&h, VNET_SIZE}, {frames[i]->data, frames[i]->len}};

		vnet_from_frame(frames[i], &h);
		head->stats.tx_calls++;
		if (writev(head->fd, iov, 2) < 0) {
			port_drop_frame(head, write_reason(errno), frames[i]);
		} else {
			head->stats.tx_packets++;
			head->stats.tx_bytes += frames[i]->len;
		}
		buf_put_one(head->bufs, frames[i]->buf);
	}
	return n;
}

const struct port_driver port_driver_tap = {
	.name = "tap",
	.alone = true,
	.open = tap_open,
	.close = tap_close,
	.rx = tap_rx,
	.tx = tap_tx,
};
