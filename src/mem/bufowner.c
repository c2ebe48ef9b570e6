/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/bufowner.h"

#include <stdlib.h>

struct bufowner {
	struct bufcache cache; /* empty between calls from outside */
	struct {
		uint32_t n_bufs;
		bool used;
	} owners[BUFOWNER_N];
};

struct bufowner *bufowner_new(struct bufpool *pool)
{
	struct bufowner *o = calloc(1, sizeof(*o));

	if (o)
		bufcache_init(&o->cache, pool);
	return o;
}

struct bufowner *bufowner_free(struct bufowner *o)
{
	if (o)
		bufcache_deinit(&o->cache);
	free(o);
	return NULL;
}

struct bufpool *bufowner_pool(const struct bufowner *o)
{
	return o->cache.pool;
}

uint16_t bufowner_add(struct bufowner *o)
{
	for (uint16_t i = BUF_OWNER_FIRST; i < BUFOWNER_N; i++) {
		if (o->owners[i].used)
			continue;
		o->owners[i].used = true;
		o->owners[i].n_bufs = 0;
		return i;
	}
	return 0;
}

uint32_t bufowner_count(const struct bufowner *o, uint16_t owner)
{
	assert(owner < BUFOWNER_N && o->owners[owner].used);
	return o->owners[owner].n_bufs;
}

uint32_t bufowner_remove(struct bufowner *o, uint16_t owner)
{
	const uint32_t left = bufowner_count(o, owner);

	/* 163,840 words: 0.1 ms, and only when a program lost buffers. */
	for (uint32_t i = MEM_BUF_FIRST; o->owners[owner].n_bufs && i < o->cache.n_bufs; i++)
		bufowner_put(o, owner, i);
	bufowner_flush(o);
	assert(o->owners[owner].n_bufs == 0);
	o->owners[owner].used = false;
	return left;
}

uint32_t bufowner_merge(struct bufowner *o, uint16_t from, uint16_t to)
{
	const uint32_t n = bufowner_count(o, from);
	uint32_t left = n;

	assert(from != to && o->owners[to].used);
	for (uint32_t i = MEM_BUF_FIRST; left && i < o->cache.n_bufs; i++) {
		if (!buf_take(&o->cache, i, from))
			continue;
		buf_give(&o->cache, i, to);
		left--;
	}
	assert(left == 0);
	o->owners[to].n_bufs += n;
	o->owners[from].n_bufs = 0;
	o->owners[from].used = false;
	return n;
}

bool bufowner_get(struct bufowner *o, uint16_t owner, uint32_t *ret, uint32_t n)
{
	const uint32_t got = buf_get(&o->cache, ret, n);

	assert(owner < BUFOWNER_N && o->owners[owner].used);
	if (got < n) {
		buf_put(&o->cache, ret, got);
		return false;
	}
	for (uint32_t i = 0; i < n; i++)
		buf_give(&o->cache, ret[i], owner);
	o->owners[owner].n_bufs += n;
	return true;
}

bool bufowner_put(struct bufowner *o, uint16_t owner, uint32_t buf)
{
	assert(owner < BUFOWNER_N && o->owners[owner].used);
	if (!buf_take(&o->cache, buf, owner))
		return false;
	buf_put_one(&o->cache, buf);
	assert(o->owners[owner].n_bufs);
	o->owners[owner].n_bufs--;
	return true;
}

void bufowner_flush(struct bufowner *o)
{
	struct bufpool *p = o->cache.pool;

	bufcache_deinit(&o->cache);
	bufcache_init(&o->cache, p);
}
