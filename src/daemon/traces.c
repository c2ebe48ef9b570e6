/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * One `struct trace` of the engine per bridge, from its first watch to its last. It calls done() in
 * the worker; that copies the journey into the queue, or counts it as lost for its watches, and
 * rings the bell when the queue was empty. Watches have numbers; one is given back only after
 * the queue was emptied, so a journey in it is never taken for one of a later watch.
 *
 * A tick looks at what does not ring: that the time is over, that frames were missed, that a
 * program has had a frame for long.
 */
#include "daemon/traces.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/explain.h"
#include "daemon/bridges.h"
#include "daemon/endpoint.h"
#include "daemon/expression.h"
#include "daemon/ports.h"
#include "daemon/trace_text.h"
#include "sys/clock.h"
#include "sys/loop.h"

#define QUEUE_SIZE 256u /* journeys; a power of two */
#define TICK_MS    100u
/* A frame that a program has had for so long is told as being there. */
#define PROGRAM_NS (2 * CLOCK_SECOND_NS)

struct traces_watch {
	struct traced *t;
	uint32_t no; /* of the engine */
	struct traces_request req;
	uint64_t until_ns;
	uint32_t generation;      /* of the port */
	uint64_t taken, lost;     /* journeys */
	struct trace_stats stats; /* as of the last tick */
};

struct traced {
	struct vbridge *vb;
	struct trace *trace; /* the worker's */
	struct loop_source *bell, *timer;
	uint32_t n_watches;
	struct traces_watch *watches[TRACE_WATCHES_MAX];
	pthread_mutex_t lock; /* for the rest */
	uint32_t head, tail;
	uint64_t overrun[TRACE_WATCHES_MAX];
	struct journey queue[QUEUE_SIZE];
};

/* ---- in the worker ---- */

static uint64_t now(void *ctx)
{
	return clock_now_ns();
}

/* Only the records that there are. */
static void copy_journey(struct journey *to, const struct journey *from)
{
	memcpy(to, from, offsetof(struct journey, records) + from->n * sizeof(from->records[0]));
}

static void done(void *ctx, const struct journey *j)
{
	struct traced *t = ctx;
	bool first = false;

	pthread_mutex_lock(&t->lock);
	if (t->head - t->tail < QUEUE_SIZE) {
		first = t->head == t->tail;
		copy_journey(&t->queue[t->head++ % QUEUE_SIZE], j);
	} else {
		for (uint32_t i = 0; i < TRACE_WATCHES_MAX; i++)
			t->overrun[i] += j->watches >> i & 1;
	}
	pthread_mutex_unlock(&t->lock);
	if (first)
		loop_ring(t->bell);
}

struct watch_job {
	struct traces_watch *w;
	struct trace_watch how;
};

static void begin(void *arg)
{
	struct watch_job *job = arg;
	struct traced *t = job->w->t;

	job->w->no = trace_add(t->trace, &job->how);
	bridge_set_trace(t->vb->br, t->trace);
}

static void finish(void *arg)
{
	struct traces_watch *w = arg;
	struct traced *t = w->t;

	w->stats = trace_stats(t->trace, w->no);
	trace_del(t->trace, w->no);
	if (!trace_has_watches(t->trace))
		bridge_set_trace(t->vb->br, NULL);
}

static void look(void *arg)
{
	struct traced *t = arg;
	const uint64_t now_ns = clock_now_ns();

	trace_expire(t->trace, now_ns > PROGRAM_NS ? now_ns - PROGRAM_NS : 0);
	for (uint32_t i = 0; i < TRACE_WATCHES_MAX; i++)
		if (t->watches[i])
			t->watches[i]->stats = trace_stats(t->trace, i);
}

/* ---- names ---- */

static const char *port_name(void *ctx, uint16_t no)
{
	const struct vbridge *vb = ctx;
	/* Ports come and go only by calls from this thread: reading needs none. */
	const struct bport *p = bridge_port(vb->br, no);

	return p ? p->name : NULL;
}

static bool program_name(void *ctx, uint16_t list, char *buf, size_t size)
{
	const struct vbridge *vb = ctx;
	const bool host = EGRESS_SIDE_OF(list) == INTERCEPT_HOST;
	const struct nm_port *p = endpoint_port_find(vb->d->endpoints, vb);

	list_for_each (i, endpoints_clients(vb->d->endpoints)) {
		const struct nm_client *c = list_entry(i, struct nm_client, node);

		if (!p || c->port != p || !(c->ic.rings[host][false] >> EGRESS_RING_OF(list) & 1))
			continue;
		snprintf(buf, size, "%s[%d]", c->program, (int)c->peer.pid);
		return true;
	}
	return false;
}

static struct trace_names names_of(struct vbridge *vb)
{
	return (struct trace_names){
		.bridge = vb->name,
		.kernel = vb->adopted != NULL,
		.host_port = vb->host && !vb->adopted ? vb->host->wp.bp->no : 0,
		.time = clock_wall_s(),
		.ctx = vb,
		.port = port_name,
		.program = program_name,
	};
}

/* ---- the queue ---- */

static void hand_out(struct traced *t, const struct journey *j)
{
	struct trace_names names = names_of(t->vb);
	json_t *told;

	names.time -= (double)(clock_now_ns() - j->start_ns) / (double)CLOCK_SECOND_NS;
	told = trace_text(j, &names);
	for (uint32_t i = 0; i < TRACE_WATCHES_MAX; i++) {
		struct traces_watch *w = t->watches[i];

		if (!w || !(j->watches >> i & 1))
			continue;
		if (told && w->req.journey(w->req.ctx, json_incref(told)))
			w->taken++;
		else
			w->lost++;
	}
	json_decref(told);
}

/* The oldest journey that waits, of those before `end`; NULL: none. Counts what found no room. */
static const struct journey *oldest(struct traced *t, uint32_t end)
{
	const struct journey *j = NULL;

	pthread_mutex_lock(&t->lock);
	if (t->tail != end)
		j = &t->queue[t->tail % QUEUE_SIZE];
	for (uint32_t i = 0; i < TRACE_WATCHES_MAX; i++) {
		if (t->watches[i])
			t->watches[i]->lost += t->overrun[i];
		t->overrun[i] = 0;
	}
	pthread_mutex_unlock(&t->lock);
	return j;
}

/* What waits now; what comes meanwhile has its turn after others. Only this thread moves the tail,
 * so the journey there stays as it is. */
static void drain(struct traced *t)
{
	const struct journey *j;
	uint32_t end;
	bool more;

	pthread_mutex_lock(&t->lock);
	end = t->head;
	pthread_mutex_unlock(&t->lock);
	while ((j = oldest(t, end))) {
		hand_out(t, j);
		pthread_mutex_lock(&t->lock);
		t->tail++;
		pthread_mutex_unlock(&t->lock);
	}
	pthread_mutex_lock(&t->lock);
	more = t->tail != t->head;
	pthread_mutex_unlock(&t->lock);
	if (more)
		loop_ring(t->bell);
}

/* ---- the end ---- */

static void traced_free(struct traced *t)
{
	t->vb->traced = NULL;
	loop_del(t->bell);
	loop_del(t->timer);
	trace_free(t->trace);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void traces_stop(struct traces_watch *w, bool tell)
{
	struct traced *t = w->t;
	struct traces_sum sum;

	worker_call(t->vb->w, finish, w);
	drain(t);
	t->watches[w->no] = NULL;
	sum.matched = w->stats.chosen;
	sum.missed = w->stats.missed;
	sum.lost = w->stats.chosen - w->stats.missed - w->taken;
	if (--t->n_watches == 0)
		traced_free(t);
	if (tell)
		w->req.ended(w->req.ctx, &sum);
	expression_free(w->req.filter);
	free(w);
}

/* Another port may get the number of one that has left. */
static bool has_port(const struct traces_watch *w)
{
	const struct bport *p = bridge_port(w->t->vb->br, w->req.port);

	return w->req.port == 0 || (p && p->generation == w->generation);
}

static bool is_over(const struct traces_watch *w, uint64_t now_ns)
{
	return now_ns >= w->until_ns || !has_port(w) ||
	       w->taken + w->lost + w->stats.missed >= w->req.count;
}

/* t may be gone afterwards. */
static void end_what_is_over(struct traced *t)
{
	const uint64_t now_ns = clock_now_ns();

	for (uint32_t i = 0; i < TRACE_WATCHES_MAX; i++) {
		struct traces_watch *w = t->watches[i];
		const bool last = t->n_watches == 1;

		if (!w || !is_over(w, now_ns))
			continue;
		traces_stop(w, true);
		if (last)
			return;
	}
}

static void on_bell(void *ctx, unsigned int events)
{
	drain(ctx);
	end_what_is_over(ctx);
}

static void on_tick(void *ctx, unsigned int events)
{
	struct traced *t = ctx;

	worker_call(t->vb->w, look, t);
	drain(t);
	end_what_is_over(t);
}

uint32_t traces_count(const struct vbridge *vb)
{
	return vb->traced ? vb->traced->n_watches : 0;
}

void traces_bridge_gone(struct vbridge *vb)
{
	for (uint32_t i = 0; i < TRACE_WATCHES_MAX && vb->traced; i++)
		if (vb->traced->watches[i])
			traces_stop(vb->traced->watches[i], true);
}

/* ---- the beginning ---- */

static struct traced *traced_new(struct vbridge *vb)
{
	struct traced *t = calloc(1, sizeof(*t));
	const struct trace_config cfg = {
		.clock = now, .done = done, .ctx = t, .serial = vb->n_traced};

	if (!t)
		return NULL;
	t->vb = vb;
	pthread_mutex_init(&t->lock, NULL);
	t->trace = trace_new(&cfg);
	t->bell = loop_bell(vb->d->loop, on_bell, t);
	t->timer = loop_timer(vb->d->loop, TICK_MS, TICK_MS, on_tick, t);
	if (!t->trace || !t->bell || !t->timer) {
		traced_free(t);
		return NULL;
	}
	vb->n_traced++;
	vb->traced = t;
	return t;
}

static int no_memory(const struct vbridge *vb, struct ctl_error *err)
{
	return ctl_fail(err, CTL_E_INTERNAL, "bridge %s: no memory for a trace", vb->name);
}

static int check_room(const struct vbridge *vb, struct ctl_error *err)
{
	if (!vb->traced || vb->traced->n_watches < TRACE_WATCHES_MAX)
		return 0;
	return ctl_fail(
		err, CTL_E_TRACE_BUSY,
		"bridge %s: %u traces run already, and there may be no more; wait until one ends",
		vb->name, TRACE_WATCHES_MAX);
}

static int start(struct vbridge *vb, struct traces_watch *w, struct ctl_error *err)
{
	struct watch_job job = {.w = w,
				.how = {.port = w->req.port,
					.every = w->req.every,
					.count = w->req.count,
					.match = w->req.filter ? expression_match : NULL,
					.ctx = w->req.filter}};

	w->t = vb->traced ? vb->traced : traced_new(vb);
	if (!w->t)
		return no_memory(vb, err);
	if (w->req.port)
		w->generation = bridge_port(vb->br, w->req.port)->generation;
	w->until_ns = clock_now_ns() + w->req.seconds * CLOCK_SECOND_NS;
	worker_call(vb->w, begin, &job);
	w->t->watches[w->no] = w;
	w->t->n_watches++;
	return 0;
}

int traces_start(struct vbridge *vb, const struct traces_request *req, struct traces_watch **ret,
		 struct ctl_error *err)
{
	struct traces_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w) {
		expression_free(req->filter);
		return no_memory(vb, err);
	}
	w->req = *req;
	r = check_room(vb, err);
	if (!r)
		r = start(vb, w, err);
	if (r) {
		expression_free(req->filter);
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

/* ---- explain ---- */

struct explain_job {
	struct vbridge *vb;
	uint16_t port;
	const uint8_t *data;
	uint32_t len;
	struct journey j;
	int r;
};

static void explain(void *arg)
{
	struct explain_job *job = arg;
	const struct bport *in = bridge_port(job->vb->br, job->port);

	job->r = bridge_explain(job->vb->br, in, job->data, job->len, clock_now_ns(), &job->j);
}

json_t *traces_explain(struct vbridge *vb, uint16_t port, const uint8_t *data, uint32_t len)
{
	struct explain_job *job = calloc(1, sizeof(*job));
	struct trace_names names = names_of(vb);
	json_t *told = NULL;

	if (!job)
		return NULL;
	*job = (struct explain_job){.vb = vb, .port = port, .data = data, .len = len};
	worker_call(vb->w, explain, job);
	names.dry = true;
	if (!job->r)
		told = trace_text(&job->j, &names);
	free(job);
	return told;
}
