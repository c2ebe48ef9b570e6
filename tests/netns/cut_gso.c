/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/offload for test_segments.py: reads records {32-bit length, virtio_net_hdr, frame} from
 * stdin and writes for each {32-bit count or -DROP_*, then per segment 32-bit length and bytes}.
 * Integers in host byte order, length without the header.
 */
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/offload.h"

#define SEGS_MAX 512u

static uint32_t get(void *ctx, uint32_t size, uint8_t **ret_data)
{
	*ret_data = malloc(size);
	return *ret_data ? 1 : 0;
}

static void put(void *ctx, const uint32_t *bufs, uint32_t n)
{
}

static uint8_t gso_of(uint8_t type)
{
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return FRAME_GSO_TCPV4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return FRAME_GSO_TCPV6;
	case 5: /* VIRTIO_NET_HDR_GSO_UDP_L4, missing from old headers */
		return FRAME_GSO_UDP_L4;
	default:
		return FRAME_GSO_NONE;
	}
}

static void write_int(int32_t v)
{
	fwrite(&v, sizeof(v), 1, stdout);
}

int main(void)
{
	static const struct buf_ops ops = {.get = get, .put = put};
	static struct frame segs[SEGS_MAX];
	static uint8_t bytes[FRAME_SIZE_MAX + 8];
	struct virtio_net_hdr h;
	uint32_t len;

	while (fread(&len, sizeof(len), 1, stdin) == 1) {
		struct frame f = {.data = bytes, .len = len};
		int n;

		if (len > sizeof(bytes) || fread(&h, sizeof(h), 1, stdin) != 1 ||
		    fread(bytes, len, 1, stdin) != 1)
			return 1;
		f.gso = gso_of(h.gso_type);
		f.gso_size = h.gso_size;
		f.hdr_len = h.hdr_len;
		f.csum_start = h.csum_start;
		f.csum_offset = h.csum_offset;
		f.flags = h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? FRAME_CSUM_PARTIAL : 0;
		frame_parse(&f);
		n = offload_segment(&f, &ops, segs, SEGS_MAX);
		write_int(n);
		for (int i = 0; i < n; i++) {
			write_int((int32_t)segs[i].len);
			fwrite(segs[i].data, segs[i].len, 1, stdout);
			free(segs[i].data);
		}
	}
	return 0;
}
