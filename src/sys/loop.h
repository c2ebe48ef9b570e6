/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The main thread's event loop: descriptors, timers, signals and a bell for other threads; a thin
 * layer over libuv, so that the rest of the daemon knows neither its handles nor their
 * asynchronous closing.
 *
 * Theory of operation
 *
 * A loop owns its sources. Each source is made by loop_fd(), loop_timer(), loop_signal() or
 * loop_bell(), and given back by loop_del(), which may be called from any callback, the source's
 * own included: the callback is not called again, the memory goes when libuv has let go of it. A
 * descriptor is never closed here: delete the source, then close the descriptor.
 *
 * Threads: all of it is the main thread's, except loop_ring().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_source;

enum loop_events { LOOP_READ = 1, LOOP_WRITE = 2 };

/* events: what happened (enum loop_events; both after an error); 0 for other sources. */
typedef void loop_fn(void *ctx, unsigned int events);

/* NULL when there is no memory or descriptor. */
struct loop *loop_new(void);
/* Deletes all sources. */
struct loop *loop_free(struct loop *l);
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* Each returns NULL when it cannot (no memory, a descriptor that cannot be polled). */
struct loop_source *loop_fd(struct loop *l, int fd, unsigned int events, loop_fn *fn, void *ctx);
/* Changes what is waited for; 0 = nothing for now. */
void loop_fd_events(struct loop_source *s, unsigned int events);
/* First after `after_ms`, then each `repeat_ms`; 0 = once, and loop_timer_again() restarts it. */
struct loop_source *loop_timer(struct loop *l, uint64_t after_ms, uint64_t repeat_ms, loop_fn *fn,
			       void *ctx);
void loop_timer_again(struct loop_source *s, uint64_t after_ms);
struct loop_source *loop_signal(struct loop *l, int signum, loop_fn *fn, void *ctx);
/* fn runs in the main thread some time after loop_ring(); several rings may become one call. */
struct loop_source *loop_bell(struct loop *l, loop_fn *fn, void *ctx);
/* Any thread, and from signal handlers; cheap when the bell is already ringing. */
void loop_ring(struct loop_source *s);

/* NULL is fine. Returns NULL. */
struct loop_source *loop_del(struct loop_source *s);
