/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where things are in a netmap region: [netmap_if pool][ring pool][buffer pool], each page-aligned
 * (netmap(4), "memory allocator"). Pure arithmetic, all in bytes from the start of the region.
 *
 * The buffer pool is also an AF_XDP UMEM whose chunks are as large as a buffer; the kernel puts a
 * received frame at chunk + 256 (XDP_PACKET_HEADROOM), so buffer k starts at
 * pool + k * buf_size + 256 and the memory object is one page longer than the region that programs
 * are told about. With 2,048-byte buffers 1,792 bytes of a buffer lie inside its chunk; the rest is
 * the headroom of the next one.
 */
#pragma once

#include <stdint.h>

#define MEM_BUF_OFFSET 256u /* of a buffer from its UMEM chunk */
#define MEM_BUF_FIRST  2u   /* buffers 0 and 1 are reserved */
#define MEM_PAGE       4096u

/* Limits and defaults of the netmap module: if_num, ring_num, buf_num and so on. */
struct mem_params {
	uint32_t if_num, if_size;     /* 100 x 1,024 */
	uint32_t ring_num, ring_size; /* 200 x 36,864 */
	uint32_t buf_num, buf_size;   /* 163,840 x 2,048 */
};

struct mem_layout {
	struct mem_params params; /* as used, after rounding */
	uint64_t if_ofs, ring_ofs;
	uint64_t buf_ofs;   /* UMEM base, page-aligned */
	uint64_t size;      /* of the region, as programs are told (nr_memsize) */
	uint64_t file_size; /* of the memory object: one page more */
};

struct mem_params mem_params_default(void);
/*
 * Computes offsets. Zero members take defaults; buf_size must be a power of two from 2,048 to
 * 65,536 (UMEM chunks), the rest within netmap's limits. 0 or -EINVAL with *ret_why a sentence.
 */
int mem_layout_init(struct mem_layout *l, const struct mem_params *p, const char **ret_why);

/* Byte offset of buffer k from the start of the region. */
static inline uint64_t mem_buf(const struct mem_layout *l, uint32_t k)
{
	return l->buf_ofs + (uint64_t)k * l->params.buf_size + MEM_BUF_OFFSET;
}

/*
 * How many buffers can be handed out: all but the two reserved ones and the last, whose final
 * MEM_BUF_OFFSET bytes lie outside what programs map.
 */
static inline uint32_t mem_buf_usable(const struct mem_layout *l)
{
	return l->params.buf_num - MEM_BUF_FIRST - 1;
}
