/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libnetmap: contexts. One mutex serves all contexts that lock: what it protects, lists of mapped
 * regions, is touched only when ports open and close.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "libnetmap.h"

#define MESSAGE_MAX 1024

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void print_error(struct nmctx *ctx, const char *text)
{
	fprintf(stderr, "%s\n", text);
}

static void lock_all(struct nmctx *ctx, int lock)
{
	if (lock)
		pthread_mutex_lock(&mutex);
	else
		pthread_mutex_unlock(&mutex);
}

static struct nmctx first = {.error = print_error, .lock = lock_all};
static struct nmctx *current = &first;

int nmctx_threadsafe = 1;

struct nmctx *nmctx_get(void)
{
	return __atomic_load_n(&current, __ATOMIC_ACQUIRE);
}

struct nmctx *nmctx_set_default(struct nmctx *ctx)
{
	return __atomic_exchange_n(&current, ctx, __ATOMIC_ACQ_REL);
}

void nmctx_set_threadsafe(void)
{
	struct nmctx *ctx = nmctx_get();

	if (!ctx->lock)
		ctx->lock = lock_all;
}

void nmctx_ferror(struct nmctx *ctx, const char *fmt, ...)
{
	int saved = errno;
	char text[MESSAGE_MAX];
	va_list ap;

	if (!ctx->error)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++) /* names are somebody else's text, and stderr a terminal */
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	errno = saved; /* the callback may want it */
	ctx->error(ctx, text);
	errno = saved;
}

void *nmctx_malloc(struct nmctx *ctx, size_t size)
{
	return ctx->malloc ? ctx->malloc(ctx, size) : malloc(size);
}

void nmctx_free(struct nmctx *ctx, void *p)
{
	if (!p)
		return;
	if (ctx->free)
		ctx->free(ctx, p);
	else
		free(p);
}

void nmctx_lock(struct nmctx *ctx)
{
	if (ctx->lock)
		ctx->lock(ctx, 1);
}

void nmctx_unlock(struct nmctx *ctx)
{
	if (ctx->lock)
		ctx->lock(ctx, 0);
}
