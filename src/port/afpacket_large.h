/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue of a packet port's large and GSO frames: an ordinary packet socket, read by recvmmsg
 * straight into large buffers, a few frames ahead of the caller. Owner: the port; one thread.
 */
#pragma once

#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bpf/redirect.h"
#include "port/driver.h"

/* Frames read in one call: what a sender makes in the time we need for as many, and 1 MB of it
 * still fits into the second-level cache. */
#define AFPACKET_LARGE_MAX 16u

struct afpacket_large {
	int fd;
	const struct redirect_counter *arrived; /* by a BPF program before the kernel queues one */
	uint64_t seen;                          /* arrivals that have been asked for */
	bool trunk;
	bool unsure;      /* ask the kernel whatever the counter says */
	uint32_t next, n; /* of the frames read, those in [next, n) are not handed over yet */
	struct frame frames[AFPACKET_LARGE_MAX];
	uint64_t stamp_ns[AFPACKET_LARGE_MAX]; /* arrival, as in the ring's slots */

	struct virtio_net_hdr hdrs[AFPACKET_LARGE_MAX];
	struct iovec iovs[AFPACKET_LARGE_MAX][2];
	struct mmsghdr msgs[AFPACKET_LARGE_MAX];
	uint8_t control[AFPACKET_LARGE_MAX][CMSG_SPACE(sizeof(struct tpacket_auxdata)) +
					    CMSG_SPACE(16)] __attribute__((aligned(8)));
};

/* trunk: the tag beside a frame is the place it was taken at (afpacket_place.h). */
void afpacket_large_init(struct afpacket_large *l, int fd, const struct redirect_counter *arrived,
			 bool trunk);
/* Frames read ahead go home. */
void afpacket_large_deinit(struct afpacket_large *l, struct bufcache *bufs);

/* True when a frame arrived that nobody asked for yet. */
static inline bool afpacket_large_pending(const struct afpacket_large *l)
{
	return __atomic_load_n(&l->arrived->n, __ATOMIC_ACQUIRE) != l->seen || l->unsure;
}

/* One system call; only when all frames read before are handed over. */
void afpacket_large_read(struct afpacket_large *l, struct port *p);
