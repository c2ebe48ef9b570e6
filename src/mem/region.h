/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shared memory object: a sealed memfd with a netmap layout, mapped once by the daemon.
 * Pages are allocated when touched.
 */
#pragma once

#include <stdint.h>

#include "mem/layout.h"

struct region {
	struct mem_layout layout;
	uint8_t *base; /* mapping of layout.file_size bytes */
	int fd;        /* memfd, sealed against shrinking, growing and further seals; CLOEXEC */
	uint16_t id;   /* netmap memory id; 1 is the global region */
};

/* 0 or -errno; nothing is left behind on failure. */
int region_init(struct region *r, const struct mem_params *p, uint16_t id, const char **ret_why);
void region_deinit(struct region *r);

/* First byte of the UMEM, page-aligned, and its size in bytes. */
static inline uint8_t *region_umem(const struct region *r)
{
	return r->base + r->layout.buf_ofs;
}

static inline uint64_t region_umem_size(const struct region *r)
{
	return (uint64_t)r->layout.params.buf_num * r->layout.params.buf_size;
}

/* Where a frame in buffer k starts. k is below buf_num. */
static inline uint8_t *region_buf(const struct region *r, uint32_t k)
{
	return r->base + mem_buf(&r->layout, k);
}
