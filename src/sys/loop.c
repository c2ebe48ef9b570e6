/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys/loop.h"

#include <stdlib.h>

#include <uv.h>

struct loop {
	uv_loop_t uv;
};

struct loop_source {
	union {
		uv_handle_t handle;
		uv_poll_t poll;
		uv_timer_t timer;
		uv_signal_t signal;
		uv_async_t async;
	} u;
	loop_fn *fn; /* NULL after loop_del() */
	void *ctx;
};

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l && uv_loop_init(&l->uv)) {
		free(l);
		return NULL;
	}
	return l;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void close_handle(uv_handle_t *h, void *ctx)
{
	if (!uv_is_closing(h))
		uv_close(h, on_closed);
}

struct loop *loop_free(struct loop *l)
{
	if (!l)
		return NULL;
	uv_walk(&l->uv, close_handle, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	uv_loop_close(&l->uv);
	free(l);
	return NULL;
}

void loop_run(struct loop *l)
{
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

static struct loop_source *source_new(loop_fn *fn, void *ctx)
{
	struct loop_source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->fn = fn;
	s->ctx = ctx;
	s->u.handle.data = s;
	return s;
}

static void source_fire(struct loop_source *s, unsigned int events)
{
	if (s->fn)
		s->fn(s->ctx, events);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	unsigned int e = 0;

	if (status < 0)
		e = LOOP_READ | LOOP_WRITE;
	if (events & (UV_READABLE | UV_DISCONNECT))
		e |= LOOP_READ;
	if (events & UV_WRITABLE)
		e |= LOOP_WRITE;
	source_fire(h->data, e);
}

static int poll_start(struct loop_source *s, unsigned int events)
{
	int e = 0;

	if (events & LOOP_READ)
		e |= UV_READABLE;
	if (events & LOOP_WRITE)
		e |= UV_WRITABLE;
	return e ? uv_poll_start(&s->u.poll, e, on_poll) : uv_poll_stop(&s->u.poll);
}

struct loop_source *loop_fd(struct loop *l, int fd, unsigned int events, loop_fn *fn, void *ctx)
{
	struct loop_source *s = source_new(fn, ctx);

	if (!s)
		return NULL;
	if (uv_poll_init(&l->uv, &s->u.poll, fd)) {
		free(s);
		return NULL;
	}
	if (poll_start(s, events))
		return loop_del(s);
	return s;
}

void loop_fd_events(struct loop_source *s, unsigned int events)
{
	poll_start(s, events);
}

static void on_timer(uv_timer_t *h)
{
	source_fire(h->data, 0);
}

struct loop_source *loop_timer(struct loop *l, uint64_t after_ms, uint64_t repeat_ms, loop_fn *fn,
			       void *ctx)
{
	struct loop_source *s = source_new(fn, ctx);

	if (!s)
		return NULL;
	uv_timer_init(&l->uv, &s->u.timer);
	uv_timer_start(&s->u.timer, on_timer, after_ms, repeat_ms);
	return s;
}

void loop_timer_again(struct loop_source *s, uint64_t after_ms)
{
	uv_timer_start(&s->u.timer, on_timer, after_ms, 0);
}

static void on_signal(uv_signal_t *h, int signum)
{
	source_fire(h->data, 0);
}

struct loop_source *loop_signal(struct loop *l, int signum, loop_fn *fn, void *ctx)
{
	struct loop_source *s = source_new(fn, ctx);

	if (!s)
		return NULL;
	if (uv_signal_init(&l->uv, &s->u.signal)) {
		free(s);
		return NULL;
	}
	if (uv_signal_start(&s->u.signal, on_signal, signum))
		return loop_del(s);
	return s;
}

static void on_async(uv_async_t *h)
{
	source_fire(h->data, 0);
}

struct loop_source *loop_bell(struct loop *l, loop_fn *fn, void *ctx)
{
	struct loop_source *s = source_new(fn, ctx);

	if (!s)
		return NULL;
	if (uv_async_init(&l->uv, &s->u.async, on_async)) {
		free(s);
		return NULL;
	}
	s->u.handle.data = s;
	return s;
}

void loop_ring(struct loop_source *s)
{
	uv_async_send(&s->u.async);
}

struct loop_source *loop_del(struct loop_source *s)
{
	if (!s)
		return NULL;
	s->fn = NULL;
	if (!uv_is_closing(&s->u.handle))
		uv_close(&s->u.handle, on_closed);
	return NULL;
}
