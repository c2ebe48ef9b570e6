/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receiving from a device through AF_PACKET with vnet headers, for the packet driver and the trunk:
 * two sockets, one for small frames and one for the others; afpacket_rx.c has the theory. Owner:
 * the port. open and close: main thread, the rest: the port's worker.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "port/afpacket_large.h"
#include "port/afpacket_ring.h"
#include "port/driver.h"
#include "port/env.h"

/* Which frames, and what a VLAN tag beside one means. */
enum afpacket_what {
	AFPACKET_INCOMING, /* what the device receives; the tag goes back into the frame */
	AFPACKET_TRUNK,    /* what is sent on it; the tag is a place: bpf/trunk.h */
};

struct afpacket_rx {
	struct afpacket_ring ring;
	struct afpacket_large large;
	enum afpacket_what what;
	int fd;              /* epoll set of both sockets: readable (level) when there is a frame */
	int ring_fd;         /* the ring's socket */
	int queue_fd;        /* the queue's; the owner may send on it */
	bool listening;      /* the sockets are in the epoll set */
	bool armed;          /* arm said that we may sleep, rx was not called since */
	uint32_t productive; /* batches since arm */
	uint32_t fruitless;  /* wake-ups in a row that brought nothing */
};

/* For afpacket_rx_close() of one that was never opened. */
void afpacket_rx_init(struct afpacket_rx *r);
/*
 * p->ifindex is set, port_env_load() was called. 0 or -errno with a fragment; afpacket_rx_close()
 * is due in both cases.
 */
int afpacket_rx_open(struct afpacket_rx *r, const struct port *p, enum afpacket_what what,
		     struct port_env *env, const char **ret_why);
void afpacket_rx_close(struct afpacket_rx *r, struct bufcache *bufs);

/* As in struct port_driver; counted in p->stats and p->drops. */
uint32_t afpacket_rx(struct afpacket_rx *r, struct port *p, struct batch *b);
bool afpacket_rx_arm(struct afpacket_rx *r, struct port *p);
/* Frames that the kernel had no room for, since the last call. */
uint32_t afpacket_rx_overruns(struct afpacket_rx *r);

/* True when rx has something to do. */
static inline bool afpacket_rx_pending(const struct afpacket_rx *r)
{
	return afpacket_ring_peek(&r->ring) || r->large.next < r->large.n ||
	       afpacket_large_pending(&r->large);
}
