/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending for the packet driver and the trunk: one sendmmsg per run of frames, straight from their
 * buffers, on the port's own socket or, each with a mark, on that of a helper device: the outbox
 * (port/env.h), or the trunk, where all frames go that way.
 */
#pragma once

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "port/driver.h"
#include "port/env.h"

#define AFPACKET_TX_MAX 128u /* messages of one call */

struct afpacket_tx {
	int sock;     /* for questions about the device */
	int box_fd;   /* of the helper device */
	bool box_all; /* nothing goes out directly */
	uint32_t mtu; /* of the device; refreshed when the kernel calls a frame too long */
	struct virtio_net_hdr hdrs[AFPACKET_TX_MAX];
	struct iovec iovs[AFPACKET_TX_MAX][2];
	struct mmsghdr msgs[AFPACKET_TX_MAX];
	uint8_t mark[CMSG_SPACE(sizeof(uint32_t))] __attribute__((aligned(8)));
};

/* What does not go out directly goes through the outbox. p->ifindex is set. */
void afpacket_tx_init(struct afpacket_tx *t, const struct port *p, struct port_env *env);
/* Everything goes out on box_fd with this mark. */
void afpacket_tx_init_marked(struct afpacket_tx *t, int sock, int box_fd, uint32_t mark);
/* port_driver.tx on the port's own socket fd (-1 if box_all); counts in p->stats and p->drops. */
uint32_t afpacket_tx(struct afpacket_tx *t, struct port *p, int fd, struct frame *const *frames,
		     uint32_t n);
/* The reason that stands for an errno of sending. */
enum drop_reason afpacket_tx_reason(int err);
/* Whether the frame has to go through the outbox of a device with this MTU. */
bool afpacket_tx_wants_outbox(const struct frame *f, uint32_t mtu);
