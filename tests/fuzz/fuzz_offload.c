/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame and its offload state, both made up. Input: GSO type, flags, gso_size, csum_start,
 * csum_offset, hdr_len (16 bits each, little-endian, but the first two: 8), then the frame.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/offload.h"

#define STATE_SIZE 10u
#define SEGS_MAX   256u

static uint8_t *bufs[SEGS_MAX + 1];
static uint32_t n_live;

/* Exactly as large as asked for, so that the sanitizer sees each byte too many. */
static uint32_t get(void *ctx, uint32_t size, uint8_t **ret_data)
{
	uint32_t buf = n_live + 1;

	if (n_live == *(uint32_t *)ctx)
		return 0;
	n_live++;
	*ret_data = bufs[buf] = malloc(size ? size : 1);
	return buf;
}

static void put(void *ctx, const uint32_t *list, uint32_t n)
{
	for (; n--; list++) {
		assert(bufs[*list]);
		free(bufs[*list]);
		bufs[*list] = NULL;
		n_live--;
	}
}

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/* The segments carry the frame's payload, all of it, in order, and nothing else. */
static void check_payload(const struct frame *f, const struct frame *segs, uint32_t n)
{
	const uint32_t hdr = n > 1 ? segs[0].len - f->gso_size : 0;
	uint32_t at = hdr;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t size = segs[i].len - hdr;

		assert(segs[i].len >= hdr && segs[i].len <= f->len && !segs[i].flags &&
		       !segs[i].gso);
		assert(n == 1 || memcmp(segs[i].data + hdr, f->data + at, size) == 0);
		at += size;
	}
	assert(at == f->len);
}

static void cut(const struct frame *f, uint32_t room)
{
	struct buf_ops ops = {.ctx = &room, .get = get, .put = put};
	struct frame segs[SEGS_MAX];
	int n = offload_segment(f, &ops, segs, SEGS_MAX);

	if (n < 0) {
		assert(-n < DROP_N && n_live == 0);
		return;
	}
	assert(n > 0 && (uint32_t)n == n_live);
	check_payload(f, segs, (uint32_t)n);
	while (n-- > 0)
		put(NULL, &segs[n].buf, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame f = {0};
	bool fits;

	if (size < STATE_SIZE || size > STATE_SIZE + FRAME_SIZE_MAX + 8)
		return 0;
	f.gso = data[0];
	f.flags = data[1] & (FRAME_CSUM_PARTIAL | FRAME_CSUM_VALID | FRAME_GSO_ECN);
	f.gso_size = le16(data + 2);
	f.csum_start = le16(data + 4);
	f.csum_offset = le16(data + 6);
	f.hdr_len = le16(data + 8);
	f.len = (uint32_t)(size - STATE_SIZE);
	f.data = malloc(f.len ? f.len : 1);
	memcpy(f.data, data + STATE_SIZE, f.len);
	frame_parse(&f);

	fits = offload_fits(&f, UINT32_MAX);
	assert(!fits || offload_fits(&f, OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 |
						 OFFLOAD_TSO_ECN | OFFLOAD_USO));
	cut(&f, SEGS_MAX);
	cut(&f, 1);
	if (f.gso == FRAME_GSO_NONE && f.flags & FRAME_CSUM_PARTIAL)
		assert(offload_finish_csum(&f) == (fits ? 0 : DROP_CSUM_RANGE));
	free(f.data);
	return 0;
}
