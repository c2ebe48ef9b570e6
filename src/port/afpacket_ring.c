/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/afpacket_ring.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/err.h"

#define BLOCK_SIZE 65536u

int afpacket_ring_init(struct afpacket_ring *r, int fd, uint32_t n_slots)
{
	const int version = TPACKET_V2;
	const struct tpacket_req req = {
		.tp_block_size = BLOCK_SIZE,
		.tp_block_nr = n_slots / (BLOCK_SIZE / AFPACKET_SLOT_SIZE),
		.tp_frame_size = AFPACKET_SLOT_SIZE,
		.tp_frame_nr = n_slots,
	};
	void *base;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0)
		return error_origin(-errno);
	base = mmap(NULL, (size_t)n_slots * AFPACKET_SLOT_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, fd, 0);
	if (base == MAP_FAILED)
		return error_origin(-errno);
	*r = (struct afpacket_ring){.base = base, .mask = n_slots - 1};
	return 0;
}

void afpacket_ring_deinit(struct afpacket_ring *r)
{
	if (r->base)
		munmap(r->base, (size_t)(r->mask + 1) * AFPACKET_SLOT_SIZE);
	*r = (struct afpacket_ring){0};
}
