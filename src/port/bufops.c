/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/bufops.h"

static void ref(void *ctx, uint32_t buf, uint32_t n)
{
	buf_ref(ctx, buf, n);
}

static void put(void *ctx, const uint32_t *bufs, uint32_t n)
{
	buf_put(ctx, bufs, n);
}

static uint32_t refs(void *ctx, uint32_t buf)
{
	return buf_refs(ctx, buf);
}

/* The smallest kind of buffer that holds size bytes; a large one also when the small ones are out.
 */
static uint32_t get(void *ctx, uint32_t size, uint8_t **ret_data)
{
	struct bufcache *c = ctx;
	uint32_t buf = 0;

	if (size <= (1u << c->buf_shift) - MEM_BUF_OFFSET && !buf_get(c, &buf, 1))
		buf = 0;
	if (!buf && size <= BUF_BIG_SIZE - BUF_HEADROOM)
		buf = buf_get_big(c);
	if (!buf)
		return 0;
	*ret_data = buf_data(c, buf);
	return buf;
}

/* In front of a region's buffer lies the end of the one before, which a program may have. */
static void room(void *ctx, uint32_t buf, const uint8_t *data, uint32_t *ret_before,
		 uint32_t *ret_from)
{
	const struct bufcache *c = ctx;
	const int64_t at = data - buf_data(c, buf), end = buf_room(c, buf);
	const int64_t first = buf & BUF_BIG ? -(int64_t)BUF_HEADROOM : 0;

	*ret_before = (uint32_t)max_of(at - first, 0);
	*ret_from = (uint32_t)max_of(end - at, 0);
}

struct buf_ops bufops_init(struct bufcache *c)
{
	return (struct buf_ops){
		.ctx = c, .ref = ref, .put = put, .refs = refs, .get = get, .room = room};
}
