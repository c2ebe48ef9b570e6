/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A round looks at each port once, in turn, and takes at most one batch from it, so no port starves
 * another. A batch goes through the engine and out at once: its descriptors are reused for the next
 * port. At the end of the round each port that got something is flushed, one system call each.
 *
 * After the last frame the worker looks for more for at most spin_ns. Then it arms all ports
 * and sleeps in epoll_wait(), its only place to wait: for ports, for the main thread's calls, and
 * for the next tick of a bridge that has learned addresses or has a spanning tree. Neither, no
 * tick: an idle daemon sleeps for good.
 *
 * With few ports a round simply tries them all. With many that would be a system call each for
 * nothing, so then only those are tried that had frames last time or that epoll reports.
 *
 * Calls of the main thread: it puts one call down, wakes the worker, and waits until it was done.
 * Invariant: `call` is set only by the main thread and cleared only by the worker, under `lock`.
 */
#include "daemon/worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/probe.h"
#include "daemon/capture.h"
#include "daemon/inspect.h"
#include "daemon/xmit.h"
#include "port/bufops.h"
#include "sys/clock.h"

LOG_MODULE("daemon/worker");

#define FEW_PORTS      8u /* up to this many are tried in each round */
#define N_EVENTS       64
#define ERRORS_MAX     64u /* fruitless wakeups with an error, until the port is left alone */
#define POLL_PERIOD_MS 1   /* for ports without a descriptor */
#define NEVER          UINT64_MAX
#define BELL           1u /* lowest bit of an epoll entry: a bell, not a port */

struct worker {
	uint32_t id;
	pthread_t thread;
	int epoll_fd, event_fd;
	uint64_t spin_ns;
	struct bufcache bufs;
	struct buf_ops buf_ops;

	struct worker_bridge **bridges;
	uint32_t n_bridges;
	struct worker_port **ports;
	uint32_t n_ports;
	uint32_t n_without_fd;
	uint32_t n_held; /* ports that the round passed over, for a program that is behind */

	struct worker_port **touched;
	uint32_t n_touched;
	struct batch batch;
	struct egress *egress;
	struct xmit xmit;
	struct worker_stats stats;
	uint64_t start_ns;

	pthread_mutex_t lock;
	pthread_cond_t done;
	worker_fn *call; /* under lock */
	void *arg;
	_Atomic bool called; /* hint: look at call */
	bool stopping;       /* worker's own */
};

/* ---- the loop ---- */

static void transmit(struct worker *w, struct worker_bridge *wb)
{
	struct egress *e = w->egress;

	if (unlikely(wb->inspect))
		inspect_show(wb->inspect, e, w->batch.now_ns);
	xmit_begin(&w->xmit, wb->br, wb->captures);
	for (uint32_t i = 0; i < e->n_used; i++) {
		uint16_t no = e->used[i];
		struct worker_port *wp;
		struct bport *bp;
		bool was_touched;

		if (EGRESS_IS_RING(no))
			continue;
		wp = wb->by_no[no];
		bp = bridge_port(wb->br, no);
		was_touched = wp && wp->touched;
		xmit_send(&w->xmit, wp, bp, e->lists[no].frames, e->lists[no].n);
		if (wp && wp->touched && !was_touched && wp->port->driver->flush)
			w->touched[w->n_touched++] = wp;
	}
	xmit_end(&w->xmit);
	if (unlikely(wb->captures))
		capture_done(wb->captures, &w->batch, e);
	egress_reset(e);
}

struct batch *worker_batch(struct worker *w)
{
	return &w->batch;
}

void worker_forward(struct worker *w, struct worker_bridge *wb)
{
	bridge_forward(wb->br, &w->batch, w->egress);
	transmit(w, wb);
}

void worker_send(struct worker *w, struct worker_bridge *wb, struct bport *bp, const uint8_t *data,
		 uint32_t len)
{
	struct worker_port *wp = wb->by_no[bp->no];
	bool was_touched = wp && wp->touched;
	struct frame f = {.len = len}, *list = &f;

	f.buf = w->buf_ops.get(w->buf_ops.ctx, len, &f.data);
	if (!f.buf) {
		f.data = (uint8_t *)data; /* only read */
		bport_drop(bp, DROP_NO_BUFFER, &f);
		return;
	}
	memcpy(f.data, data, len);
	xmit_begin(&w->xmit, wb->br, wb->captures);
	xmit_send(&w->xmit, wp, bp, &list, 1);
	if (wp && wp->touched && !was_touched && wp->port->driver->flush)
		w->touched[w->n_touched++] = wp;
}

/* One batch of one port, from its driver to other ports' drivers. Returns frames received. */
static uint32_t serve(struct worker *w, struct worker_port *wp, uint64_t now_ns)
{
	struct worker_bridge *wb = wp->bridge;
	struct bport *bp;
	uint32_t n;

	w->batch.n = 0;
	w->batch.in_port = 0;
	w->batch.alone = wp->port->driver->alone;
	w->batch.now_ns = now_ns;
	bridge_drop_log(wb->br)->now_ns = now_ns; /* drivers drop, too */
	n = wp->port->driver->rx(wp->port, &w->batch);
	if (n == 0)
		return 0;
	PROBE(rx, wp->port->name, n);
	bp = likely(wp->bp) ? wp->bp : bridge_port(wb->br, w->batch.in_port);
	if (unlikely(!bp)) {
		bridge_disown(wb->br, &w->batch);
		return n;
	}
	if (unlikely(wb->captures))
		capture_in(wb->captures, bp, &w->batch);
	bridge_input(wb->br, bp, &w->batch);
	worker_forward(w, wb);
	return n;
}

/* Frames that programs sent. */
static bool serve_programs(struct worker *w, uint64_t now_ns)
{
	bool worked = false;

	for (uint32_t i = 0; i < w->n_bridges; i++) {
		struct worker_bridge *wb = w->bridges[i];

		if (wb->inspect)
			worked |= inspect_poll(wb->inspect, now_ns);
		if (wb->follow)
			wb->follow(wb);
	}
	return worked;
}

static void flush_touched(struct worker *w)
{
	for (uint32_t i = 0; i < w->n_touched; i++) {
		struct worker_port *wp = w->touched[i];

		wp->touched = false;
		if (!wp->port || !wp->port->driver->flush)
			continue;
		PROBE(flush, wp->port->name);
		wp->port->driver->flush(wp->port);
	}
	w->n_touched = 0;
}

/* A descriptor that is nothing but an error would keep us awake: after a while it is left alone. */
static void note_error(struct worker *w, struct worker_port *wp)
{
	int err;
	socklen_t size = sizeof(err);

	/* Reading a socket's error clears it (AF_PACKET: ENETDOWN when the device goes down). */
	getsockopt(wp->port->fd, SOL_SOCKET, SO_ERROR, &err, &size);
	if (++wp->n_errors < ERRORS_MAX || wp->quiet)
		return;
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, wp->port->fd, NULL);
	wp->quiet = true;
	log_debug("port %s: its descriptor reports nothing but errors", wp->port->name);
}

static void drain_event_fd(struct worker *w)
{
	uint64_t n;

	if (read(w->event_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_warn("worker %u: eventfd: %s", w->id, err_text(-errno));
}

/* Marks ports that epoll reports. */
static void wait_events(struct worker *w, int timeout_ms)
{
	struct epoll_event events[N_EVENTS];
	int n = epoll_wait(w->epoll_fd, events, N_EVENTS, timeout_ms);

	for (int i = 0; i < n; i++) {
		const uintptr_t entry = (uintptr_t)events[i].data.ptr;
		struct worker_port *wp = events[i].data.ptr;

		if (entry & BELL) {
			struct worker_bell *b = (struct worker_bell *)(entry & ~(uintptr_t)BELL);

			b->ring(b);
			continue;
		}
		if (!wp) {
			drain_event_fd(w);
			continue;
		}
		wp->ready = true;
		if (events[i].events & (EPOLLERR | EPOLLHUP))
			note_error(w, wp);
	}
}

/* Are frames of the port to wait, for the program that takes them has fallen behind? */
static inline bool is_held(const struct worker_port *wp)
{
	const struct inspect *in = wp->bridge->inspect;

	if (likely(!in))
		return false;
	if (likely(wp->bp))
		return !inspect_has_room(in, wp->bp->host);
	return !inspect_has_room(in, false) || !inspect_has_room(in, true); /* a trunk has both */
}

static bool serve_ports(struct worker *w, uint64_t now_ns)
{
	bool all = w->n_ports <= FEW_PORTS, worked = false;

	w->n_held = 0;
	if (!all)
		wait_events(w, 0);
	for (uint32_t i = 0; i < w->n_ports; i++) {
		struct worker_port *wp = w->ports[i];

		if (!all && !wp->ready && wp->port->fd >= 0)
			continue;
		wp->held = is_held(wp);
		if (unlikely(wp->held)) {
			w->n_held++;
			wp->ready = true;
			continue;
		}
		wp->ready = serve(w, wp, now_ns) > 0;
		if (wp->ready)
			wp->n_errors = 0;
		worked |= wp->ready;
	}
	worked |= serve_programs(w, now_ns);
	flush_touched(w);
	return worked;
}

static uint64_t tick_bridges(struct worker *w, uint64_t now_ns)
{
	uint64_t next = NEVER;

	for (uint32_t i = 0; i < w->n_bridges; i++) {
		struct worker_bridge *wb = w->bridges[i];

		if (wb->next_tick_ns <= now_ns)
			wb->next_tick_ns = bridge_tick(wb->br, now_ns);
		next = min_of(next, wb->next_tick_ns);
	}
	return next;
}

/* Nothing learned, no spanning tree: then nobody needs to wake up. */
static uint64_t next_needed_tick(struct worker *w)
{
	uint64_t next = NEVER;

	for (uint32_t i = 0; i < w->n_bridges; i++) {
		if (w->bridges[i]->next_tick_ns >= next)
			continue;
		if (bridge_needs_ticks(w->bridges[i]->br))
			next = w->bridges[i]->next_tick_ns;
	}
	return next;
}

/* True when a port has work already. */
static bool arm_ports(struct worker *w)
{
	bool work = false;

	for (uint32_t i = 0; i < w->n_ports; i++) {
		struct worker_port *wp = w->ports[i];

		if (!wp->held && wp->port->driver->arm && wp->port->driver->arm(wp->port)) {
			wp->ready = true;
			work = true;
		}
	}
	return work;
}

/* False when a program has sent something. *until_ns is lowered to when a ring is to be looked at.
 */
static bool arm_programs(struct worker *w, uint64_t now_ns, uint64_t *until_ns)
{
	for (uint32_t i = 0; i < w->n_bridges; i++) {
		struct inspect *in = w->bridges[i]->inspect;
		uint64_t until = NEVER;

		if (in && !inspect_sleep(in, now_ns, &until))
			return false;
		*until_ns = min_of(*until_ns, until);
	}
	return true;
}

static void wake_programs(struct worker *w)
{
	for (uint32_t i = 0; i < w->n_bridges; i++)
		if (w->bridges[i]->inspect)
			inspect_wake(w->bridges[i]->inspect);
}

static int sleep_timeout_ms(const struct worker *w, uint64_t until_ns, uint64_t now_ns)
{
	uint64_t ms;

	if (w->n_without_fd > 0)
		return POLL_PERIOD_MS;
	if (until_ns == NEVER)
		return -1;
	if (until_ns <= now_ns)
		return 0;
	ms = (until_ns - now_ns + 999999) / 1000000;
	return (int)min_of(ms, 60000u);
}

/* Returns the time after waking up. */
static uint64_t sleep_for_work(struct worker *w, uint64_t now_ns)
{
	uint64_t woke_ns, until_ns = next_needed_tick(w);
	int timeout_ms;

	if (w->stopping || arm_ports(w) || !arm_programs(w, now_ns, &until_ns) ||
	    atomic_load(&w->called)) {
		wake_programs(w);
		return clock_now_ns();
	}
	w->stats.sleeps++;
	timeout_ms = sleep_timeout_ms(w, until_ns, now_ns);
	PROBE(worker_sleep, w->id, timeout_ms);
	wait_events(w, timeout_ms);
	if (unlikely(w->n_held)) /* its port may have woken us, and not the program */
		sched_yield();
	wake_programs(w);
	woke_ns = clock_now_ns();
	w->stats.sleep_ns += woke_ns - now_ns;
	PROBE(worker_wake, w->id, woke_ns - now_ns);
	return woke_ns;
}

static void run_call(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	if (w->call)
		w->call(w->arg);
	w->call = NULL;
	atomic_store(&w->called, false);
	pthread_cond_signal(&w->done);
	pthread_mutex_unlock(&w->lock);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	uint64_t now_ns = clock_now_ns(), last_ns = now_ns, tick_ns = 0;
	bool worked;

	w->start_ns = now_ns;
	for (;;) {
		if (atomic_load_explicit(&w->called, memory_order_acquire)) {
			run_call(w);
			tick_ns = 0; /* bridges may have come */
			if (w->stopping)
				break;
		}
		w->stats.rounds++;
		/* First: after a long stop the spanning tree closes ports before frames pass. */
		if (now_ns >= tick_ns)
			tick_ns = tick_bridges(w, now_ns);
		worked = serve_ports(w, now_ns);
		now_ns = clock_now_ns();
		if (worked) /* and look once more: a program's ring may hold more than a batch */
			last_ns = now_ns;
		if (now_ns - last_ns >= w->spin_ns || (unlikely(w->n_held) && !worked))
			now_ns = sleep_for_work(w, now_ns);
	}
	return NULL;
}

/* ---- start, stop, calls ---- */

static int watch(struct worker *w, int op, int fd, struct worker_port *wp)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = wp};

	return epoll_ctl(w->epoll_fd, op, fd, &e) ? error_origin(-errno) : 0;
}

static struct worker *worker_free(struct worker *w)
{
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->event_fd >= 0)
		close(w->event_fd);
	bufcache_deinit(&w->bufs);
	free(w->egress);
	free(w->bridges);
	free(w->ports);
	free(w->touched);
	free(w);
	return NULL;
}

static int thread_start(struct worker *w)
{
	sigset_t all, old;
	char name[16];
	int r;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return error_origin(-r);
	snprintf(name, sizeof(name), "worker-%u", w->id);
	pthread_setname_np(w->thread, name);
	return 0;
}

struct worker *worker_start(uint32_t id, struct bufpool *pool, uint64_t spin_ns)
{
	struct worker *w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->id = id;
	w->spin_ns = spin_ns;
	bufcache_init(&w->bufs, pool);
	w->buf_ops = bufops_init(&w->bufs);
	w->egress = calloc(1, sizeof(*w->egress));
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->done, NULL);
	if (!w->egress || w->epoll_fd < 0 || w->event_fd < 0)
		return worker_free(w);
	xmit_init(&w->xmit, &w->buf_ops, &w->batch, w->egress);
	if (watch(w, EPOLL_CTL_ADD, w->event_fd, NULL) || thread_start(w))
		return worker_free(w);
	return w;
}

static void stop_here(void *arg)
{
	((struct worker *)arg)->stopping = true;
}

struct worker *worker_stop(struct worker *w)
{
	if (!w)
		return NULL;
	worker_call(w, stop_here, w);
	pthread_join(w->thread, NULL);
	return worker_free(w);
}

uint32_t worker_id(const struct worker *w)
{
	return w->id;
}

struct bufcache *worker_bufs(struct worker *w)
{
	return &w->bufs;
}

const struct buf_ops *worker_buf_ops(const struct worker *w)
{
	return &w->buf_ops;
}

void worker_call(struct worker *w, worker_fn *fn, void *arg)
{
	static const uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	w->call = fn;
	w->arg = arg;
	atomic_store(&w->called, true);
	/* Fails only when the counter is full, and then the worker is awake anyway. */
	if (write(w->event_fd, &one, sizeof(one)) < 0)
		log_debug("worker %u: eventfd: %s", w->id, err_text(-errno));
	while (w->call)
		pthread_cond_wait(&w->done, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

int worker_bell_add(struct worker *w, struct worker_bell *b)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uintptr_t)b | BELL};

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, b->fd, &e) ? error_origin(-errno) : 0;
}

void worker_bell_del(struct worker *w, struct worker_bell *b)
{
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, b->fd, NULL);
}

/* ---- bridges and ports ---- */

/* Makes an array of pointers one longer. */
static int grow(void *array, uint32_t n)
{
	void **p = realloc(*(void **)array, (n + 1) * sizeof(void *));

	if (!p)
		return error_origin(-ENOMEM);
	*(void **)array = p;
	return 0;
}

int worker_bridge_add(struct worker *w, struct worker_bridge *wb)
{
	int r = grow(&w->bridges, w->n_bridges);

	if (r)
		return error_trace(r);
	w->bridges[w->n_bridges++] = wb;
	return 0;
}

void worker_bridge_del(struct worker *w, struct worker_bridge *wb)
{
	for (uint32_t i = 0; i < w->n_bridges; i++)
		if (w->bridges[i] == wb) {
			w->bridges[i] = w->bridges[--w->n_bridges];
			return;
		}
}

/* Frames find the port by its number, and drops of its driver are the port's. */
static void bind_port(struct worker_port *wp)
{
	wp->bridge->by_no[wp->bp->no] = wp;
	wp->port->drop_port = wp->bp->generation;
	if (wp->bridge->captures)
		capture_port(wp->bridge->captures, wp->bp);
}

int worker_port_attach(struct worker *w, struct worker_port *wp)
{
	int r;

	wp->touched = wp->quiet = false;
	wp->port->drop_log = bridge_drop_log(wp->bridge->br);
	wp->port->drop_port = 0;
	if (!wp->port->driver->rx) {
		bind_port(wp);
		return 0;
	}
	r = grow(&w->ports, w->n_ports);
	if (!r)
		r = grow(&w->touched, w->n_ports);
	if (!r && wp->port->fd >= 0)
		r = watch(w, EPOLL_CTL_ADD, wp->port->fd, wp);
	if (r)
		return error_trace(r);
	wp->n_errors = 0;
	wp->ready = true;
	wp->slot = w->n_ports;
	w->ports[w->n_ports++] = wp;
	w->n_without_fd += wp->port->fd < 0;
	if (wp->bp)
		bind_port(wp);
	return 0;
}

void worker_port_detach(struct worker *w, struct worker_port *wp)
{
	if (wp->bp)
		wp->bridge->by_no[wp->bp->no] = NULL;
	if (!wp->port->driver->rx) {
		wp->port = NULL;
		return;
	}
	if (wp->port->fd >= 0 && !wp->quiet)
		epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, wp->port->fd, NULL);
	w->n_without_fd -= wp->port->fd < 0;
	w->ports[wp->slot] = w->ports[--w->n_ports];
	w->ports[wp->slot]->slot = wp->slot;
	wp->port = NULL;
}

void worker_port_drain(struct worker *w, struct worker_port *wp)
{
	while (serve(w, wp, clock_now_ns()) > 0)
		;
	flush_touched(w);
}

void worker_port_wake(struct worker *w, struct worker_port *wp)
{
	if (!wp->port || !wp->port->driver->rx)
		return;
	wp->n_errors = 0;
	wp->ready = true;
	if (wp->quiet && !watch(w, EPOLL_CTL_ADD, wp->port->fd, wp))
		wp->quiet = false;
}

void worker_set_spin(struct worker *w, uint64_t spin_ns)
{
	w->spin_ns = spin_ns;
}

void worker_get_stats(struct worker *w, struct worker_stats *ret)
{
	*ret = w->stats;
	ret->run_ns = clock_now_ns() - w->start_ns;
	ret->n_bridges = w->n_bridges;
}
