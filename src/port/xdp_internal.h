/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the xdp driver share; theory of operation in xdp.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "port/driver.h"
#include "port/env.h"
#include "port/xdp_dev.h"
#include "port/xdp_prog.h"
#include "port/xdp_ring.h"

#define RX_SIZE     2048u /* entries of a queue's RX and fill ring */
#define TX_SIZE     2048u
#define FILL_LOW    (RX_SIZE / 2)
#define SNDBUF      (16 << 20) /* bytes of sk_buffs in flight; else some 200 frames */
#define KICKS_MAX   16         /* send calls in one flush: 32 frames each before kernel 6.17 */
#define DESCS_MAX   17u        /* of one frame: the linear part and MAX_SKB_FRAGS in copy mode */
#define RETRY_NS    1000000    /* looks after what the kernel did not take, while asleep */
#define QUEUES_MAX  256u
#define TAGS_SIZE   8u
#define PLAIN_EXTRA 18u /* that veth lets a frame be longer than the MTU: header and one tag */

#define HELD_RX      0x80u /* of held[]: given for reception */
#define HELD_TX_MASK 0x7fu /* of held[]: times given for transmission */

/* A frame that comes in several descriptors, until its last one. */
struct gather {
	uint32_t buf; /* large buffer, 0 = none */
	uint32_t len;
	bool skip; /* throw the rest of this frame away */
};

struct queue {
	struct xdp_sock sock;
	struct gather gather;
	uint32_t n_fill;            /* buffers that the kernel has for reception */
	bool starved;               /* refill() found too few since the last statistics */
	struct xdp_statistics seen; /* what is in port.drops already */
};

/* Owner: the worker between open() and close(). */
struct xdp_port {
	struct port port;
	struct bufpool *pool;
	uint8_t *umem;
	uint64_t umem_size;
	uint32_t shift; /* log2 of the chunk size */
	uint32_t room;  /* bytes of a chunk behind MEM_BUF_OFFSET */
	uint8_t *held;  /* per buffer: HELD_* */
	uint32_t n_bufs;

	struct xdp_prog prog;
	struct xdp_dev dev;
	int promisc_fd;
	int timer_fd;

	const struct take_config *take; /* while it is opened: a place of a trunk; see xdp_take.c */
	struct port_env *env;           /* NULL: no outbox */
	struct env_claim claim;
	uint32_t plain_max; /* bytes of the longest frame that needs no outbox */

	uint32_t in_flight; /* TX descriptors whose completion is to come */
	uint32_t next;      /* queue that rx() looks at first */
	bool sg;            /* frames of several descriptors */
	bool copy;          /* the kernel copies: EBUSY means one frame sent in vain */
	bool listening;     /* the sockets are in the set of port.fd */
	bool kick;          /* tx() queued something since the last flush */
	bool timer_armed;
	bool down; /* ENETDOWN at the last send */
	bool gone; /* the device has vanished */
	uint64_t seen_restored, seen_lost;

	uint32_t n_queues;
	struct queue queues[];
};

static inline struct xdp_port *to_xdp(struct port *p)
{
	return container_of(p, struct xdp_port, port);
}

/* The socket that sends. */
static inline struct xdp_sock *tx_sock(struct xdp_port *x)
{
	return &x->queues[0].sock;
}

/* The driver's functions, for xdp_take.c. take: opened for a place of a trunk; NULL: as a port. */
uint32_t xdp_rx(struct port *p, struct batch *b);
bool xdp_arm(struct port *p);
void xdp_update_stats(struct port *p);
void xdp_close(struct port *p);
int xdp_check_config(const struct port_config *cfg, const struct xdp_dev *dev,
		     const char **ret_why);
int xdp_open_as(const struct port_config *cfg, const struct xdp_dev *dev, bool sg,
		const struct take_config *take, struct port **ret, const char **ret_why);

/* The sending half (xdp_tx.c): tx and flush of struct port_driver. */
uint32_t xdp_tx(struct port *p, struct frame *const *frames, uint32_t n);
void xdp_flush(struct port *p);
/* Takes home what the kernel has sent. */
void xdp_reap(struct xdp_port *x);
