/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/layout.h"

#include <errno.h>
#include <stdbool.h>

#include "base/err.h"

#define OBJECT_ALIGN 64u /* netmap rounds the sizes of interfaces and rings to a cache line */

/* The netmap module's limits for one pool; sizes in bytes. */
struct pool_limits {
	uint32_t num_min, num_max, size_min, size_max;
	const char *why;
};

static const struct pool_limits if_limits = {
	10, 10000, 56, 4096, "interface pool: 10 to 10,000 objects of 56 to 4,096 bytes"};
static const struct pool_limits ring_limits = {
	2, 1024, 256, 32 * MEM_PAGE, "ring pool: 2 to 1,024 objects of 256 to 131,072 bytes"};
/* Smaller netmap buffers exist, but a UMEM chunk has at least 2,048 bytes. */
static const struct pool_limits buf_limits = {
	4, 1000000, 2048, 65536, "buffer pool: 4 to 1,000,000 buffers of 2,048 to 65,536 bytes"};

static uint64_t round_up(uint64_t v, uint32_t to)
{
	return (v + to - 1) / to * to;
}

static uint64_t pool_size(uint32_t num, uint32_t size)
{
	return round_up((uint64_t)num * size, MEM_PAGE);
}

static bool pool_ok(const struct pool_limits *l, uint32_t num, uint32_t size, const char **ret_why)
{
	if (num >= l->num_min && num <= l->num_max && size >= l->size_min && size <= l->size_max)
		return true;
	*ret_why = l->why;
	return false;
}

static uint32_t or_default(uint32_t v, uint32_t def)
{
	return v ? v : def;
}

struct mem_params mem_params_default(void)
{
	return (struct mem_params){
		.if_num = 100,
		.if_size = 1024,
		.ring_num = 200,
		.ring_size = 36864,
		.buf_num = 163840,
		.buf_size = 2048,
	};
}

int mem_layout_init(struct mem_layout *l, const struct mem_params *p, const char **ret_why)
{
	const struct mem_params def = mem_params_default();
	struct mem_params m = {
		.if_num = or_default(p->if_num, def.if_num),
		.if_size = or_default(p->if_size, def.if_size),
		.ring_num = or_default(p->ring_num, def.ring_num),
		.ring_size = or_default(p->ring_size, def.ring_size),
		.buf_num = or_default(p->buf_num, def.buf_num),
		.buf_size = or_default(p->buf_size, def.buf_size),
	};

	if (!pool_ok(&if_limits, m.if_num, m.if_size, ret_why) ||
	    !pool_ok(&ring_limits, m.ring_num, m.ring_size, ret_why) ||
	    !pool_ok(&buf_limits, m.buf_num, m.buf_size, ret_why))
		return error_origin(-EINVAL);
	if (m.buf_size & (m.buf_size - 1)) {
		*ret_why = "buffer size: not a power of two, as AF_XDP needs it";
		return error_origin(-EINVAL);
	}
	m.if_size = (uint32_t)round_up(m.if_size, OBJECT_ALIGN);
	m.ring_size = (uint32_t)round_up(m.ring_size, OBJECT_ALIGN);

	l->params = m;
	l->if_ofs = 0;
	l->ring_ofs = pool_size(m.if_num, m.if_size);
	l->buf_ofs = l->ring_ofs + pool_size(m.ring_num, m.ring_size);
	l->size = l->buf_ofs + pool_size(m.buf_num, m.buf_size);
	l->file_size = l->size + MEM_PAGE;
	return 0;
}
