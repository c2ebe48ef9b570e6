/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/bufpool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#define BIG_DEFAULT 256u
#define BIG_MAX     65536u /* 4.5 GB of address space */
#define BIG_CACHED  (BUFCACHE_SIZE / 8)
#define REFILL      (BUFCACHE_SIZE / 2)
#define REFILL_BIG  8u

/* A stack of free handles. */
struct stack {
	uint32_t *items;
	uint32_t n;
};

struct bufpool {
	struct region *region;
	uint8_t *big_base; /* n_big times BUF_BIG_SIZE, pages come when touched */
	uint32_t n_big;
	struct buf_meta *meta, *meta_big;
	pthread_mutex_t lock; /* of the stacks */
	struct stack free, free_big;
};

/* Fills the stack so that the lowest handle is taken first. */
static bool stack_init(struct stack *s, uint32_t first, uint32_t n)
{
	s->items = calloc(n, sizeof(*s->items));
	if (!s->items)
		return false;
	for (uint32_t i = 0; i < n; i++)
		s->items[i] = first + n - 1 - i;
	s->n = n;
	return true;
}

/* Moves at most n handles from the top; order stays. Returns how many. */
static uint32_t stack_pop(struct stack *s, uint32_t *ret, uint32_t n)
{
	n = min_of(n, s->n);
	s->n -= n;
	memcpy(ret, s->items + s->n, n * sizeof(*ret));
	return n;
}

static void stack_push(struct stack *s, const uint32_t *items, uint32_t n)
{
	memcpy(s->items + s->n, items, n * sizeof(*items));
	s->n += n;
}

static bool big_init(struct bufpool *p, uint32_t n_big)
{
	void *base = mmap(NULL, (size_t)n_big * BUF_BIG_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return false;
	p->big_base = base;
	p->n_big = n_big;
	p->meta_big = calloc(n_big, sizeof(*p->meta_big));
	return p->meta_big && stack_init(&p->free_big, BUF_BIG, n_big);
}

struct bufpool *bufpool_new(struct region *region, uint32_t n_big)
{
	const uint32_t n = region->layout.params.buf_num;
	struct bufpool *p;

	if (n_big > BIG_MAX)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->region = region;
	pthread_mutex_init(&p->lock, NULL);
	p->meta = calloc(n, sizeof(*p->meta));
	if (!p->meta || !stack_init(&p->free, MEM_BUF_FIRST, mem_buf_usable(&region->layout)) ||
	    !big_init(p, n_big ? n_big : BIG_DEFAULT))
		return bufpool_free(p);
	return p;
}

struct bufpool *bufpool_free(struct bufpool *p)
{
	if (!p)
		return NULL;
	if (p->big_base)
		munmap(p->big_base, (size_t)p->n_big * BUF_BIG_SIZE);
	pthread_mutex_destroy(&p->lock);
	free(p->free.items);
	free(p->free_big.items);
	free(p->meta);
	free(p->meta_big);
	free(p);
	return NULL;
}

struct region *bufpool_region(const struct bufpool *p)
{
	return p->region;
}

void bufpool_stats(struct bufpool *p, struct bufpool_stats *ret)
{
	pthread_mutex_lock(&p->lock);
	*ret = (struct bufpool_stats){
		.n_total = mem_buf_usable(&p->region->layout),
		.n_free = p->free.n,
		.n_big_total = p->n_big,
		.n_big_free = p->free_big.n,
	};
	pthread_mutex_unlock(&p->lock);
}

void bufcache_init(struct bufcache *c, struct bufpool *p)
{
	const struct mem_params *m = &p->region->layout.params;

	*c = (struct bufcache){
		.pool = p,
		.meta = p->meta,
		.meta_big = p->meta_big,
		.frame0 = region_buf(p->region, 0),
		.big0 = p->big_base + BUF_HEADROOM,
		.buf_shift = (uint32_t)__builtin_ctz(m->buf_size),
		.n_bufs = m->buf_num,
		.n_bigs = p->n_big,
	};
}

void bufcache_deinit(struct bufcache *c)
{
	struct bufpool *p = c->pool;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	stack_push(&p->free, c->bufs, c->n);
	stack_push(&p->free, c->cold, c->n_cold);
	stack_push(&p->free_big, c->big, c->n_big);
	pthread_mutex_unlock(&p->lock);
	*c = (struct bufcache){0};
}

uint32_t bufcache_refill(struct bufcache *c, uint32_t want)
{
	struct bufpool *p = c->pool;
	uint32_t n = min_of(max_of(want, REFILL), BUFCACHE_SIZE - c->n);

	pthread_mutex_lock(&p->lock);
	n = stack_pop(&p->free, c->bufs + c->n, n);
	pthread_mutex_unlock(&p->lock);
	if (unlikely(n == 0)) { /* the last ones */
		n = min_of(c->n_cold, BUFCACHE_SIZE - c->n);
		c->n_cold -= n;
		memcpy(c->bufs + c->n, c->cold + c->n_cold, n * sizeof(*c->bufs));
	}
	c->n += n;
	return n;
}

/* Moves the coldest n of the *count items to the pool. */
static void spill(struct bufpool *p, struct stack *to, uint32_t *items, uint32_t *count, uint32_t n)
{
	pthread_mutex_lock(&p->lock);
	stack_push(to, items, n);
	pthread_mutex_unlock(&p->lock);
	*count -= n;
	memmove(items, items + n, *count * sizeof(*items));
}

void bufcache_spill(struct bufcache *c)
{
	spill(c->pool, &c->pool->free, c->bufs, &c->n, REFILL);
}

uint32_t buf_get_big(struct bufcache *c)
{
	struct bufpool *p = c->pool;
	uint32_t buf;

	if (!c->n_big) {
		pthread_mutex_lock(&p->lock);
		c->n_big = stack_pop(&p->free_big, c->big, REFILL_BIG);
		pthread_mutex_unlock(&p->lock);
		if (!c->n_big)
			return 0;
	}
	buf = c->big[--c->n_big];
	c->meta_big[buf & ~BUF_BIG] = (struct buf_meta){.refs = 1, .owner = BUF_DAEMON};
	return buf;
}

void bufcache_free_big(struct bufcache *c, uint32_t buf)
{
	if (c->n_big == BIG_CACHED)
		spill(c->pool, &c->pool->free_big, c->big, &c->n_big, BIG_CACHED / 2);
	c->big[c->n_big++] = buf;
}
