/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A group holds the kept frame, a copy of each segment's headers (they differ from one to the
 * next), and the segments that came back so far. Unchanged means: headers equal to the copy,
 * payload equal to the kept frame's, byte for byte. Held segments are the program's bytes and are
 * sent as they are when the group is flushed; the kept frame is what is sent when it is complete.
 *
 * Groups with held segments are on the list `open`. Mostly there is none or one, because a program
 * that works in order returns one frame's segments in a row; so a walk along it finds a flow's.
 *
 * A group's name is its index + 1 and, in the upper half, a generation, so that a segment of a
 * frame long gone finds nothing.
 *
 * A group of which nothing came back does not wait for ever, for large buffers are few: when the
 * program has released past it, it goes to the list `leaving` for REGROUP_WAIT_NS (the program may
 * have copied the segments and still send them), or until a newer one needs its place. Frames that
 * the program still has are never evicted: with more of them than groups, none would get through
 * whole.
 */
#include "core/regroup.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

struct segment {
	uint32_t buf;
	uint8_t *data;
};

struct group {
	struct list link;  /* in `idle`, `shown`, `open` or `leaving` */
	uint64_t since_ns; /* when it came to `open` or `leaving` */
	struct frame kept;
	struct origin origin;
	uint64_t end;        /* behind its last segment in the ring */
	uint32_t generation; /* the lower 16 bits are in its name */
	uint32_t hdr_len;    /* of each segment */
	uint32_t last_len;   /* payload of the last one; the others have kept.gso_size */
	uint32_t n, n_held;
	bool used;
	struct segment held[REGROUP_SEGMENTS_MAX];
	uint8_t headers[REGROUP_HEADERS_SIZE];
};

struct regroup {
	struct buf_ops bufs;
	struct list idle;    /* free */
	struct list shown;   /* nothing came back yet */
	struct list open;    /* some came back; oldest first */
	struct list leaving; /* released, nothing came back; oldest first */
	uint32_t n_groups;
	struct regroup_stats stats;
	struct group groups[];
};

struct regroup *regroup_new(uint32_t n_groups, const struct buf_ops *bufs)
{
	struct regroup *rg;

	assert(n_groups < UINT16_MAX);
	rg = calloc(1, sizeof(*rg) + n_groups * sizeof(rg->groups[0]));
	if (!rg)
		return NULL;
	rg->bufs = *bufs;
	rg->n_groups = n_groups;
	list_init(&rg->idle);
	list_init(&rg->shown);
	list_init(&rg->open);
	list_init(&rg->leaving);
	for (uint32_t i = 0; i < n_groups; i++)
		list_append(&rg->idle, &rg->groups[i].link);
	return rg;
}

static void move(struct group *g, struct list *to)
{
	list_del(&g->link);
	list_append(to, &g->link);
}

/* Lets go of everything that the group holds. */
static void free_group(struct regroup *rg, struct group *g)
{
	rg->bufs.put(rg->bufs.ctx, &g->kept.buf, 1);
	for (uint32_t i = 0; i < g->n_held; i++)
		rg->bufs.put(rg->bufs.ctx, &g->held[i].buf, 1);
	g->used = false;
	g->n_held = 0;
	g->generation++;
	rg->stats.n_now--;
	move(g, &rg->idle);
}

struct regroup *regroup_free(struct regroup *rg)
{
	if (!rg)
		return NULL;
	for (uint32_t i = 0; i < rg->n_groups; i++) {
		if (rg->groups[i].used)
			free_group(rg, &rg->groups[i]);
	}
	free(rg);
	return NULL;
}

/* ---- keeping ---- */

/*
 * Whether the segments are what the group would compare returned ones with: equal headers in
 * length, payloads that make up the frame's.
 */
static bool segments_fit(const struct frame *f, const struct frame *segments, uint32_t n)
{
	uint32_t hdr_len, left;

	if (n < 2 || n > REGROUP_SEGMENTS_MAX || segments[0].len <= f->gso_size)
		return false;
	hdr_len = segments[0].len - f->gso_size;
	if (hdr_len >= f->len || n * hdr_len > REGROUP_HEADERS_SIZE)
		return false;
	left = f->len - hdr_len;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t want = min_of(left, f->gso_size);

		if (want == 0 || segments[i].len != hdr_len + want)
			return false;
		left -= want;
	}
	return left == 0;
}

static struct group *free_place(struct regroup *rg)
{
	if (list_empty(&rg->idle) && !list_empty(&rg->leaving)) {
		rg->stats.n_broken++;
		free_group(rg, list_entry(rg->leaving.next, struct group, link));
	}
	return list_empty(&rg->idle) ? NULL : list_entry(rg->idle.next, struct group, link);
}

static uint32_t group_name(const struct regroup *rg, const struct group *g)
{
	return (uint32_t)(g - rg->groups) + 1 + (g->generation << 16);
}

uint32_t regroup_keep(struct regroup *rg, const struct frame *f, const struct origin *o,
		      const struct frame *segments, uint32_t n, uint64_t end)
{
	struct group *g = segments_fit(f, segments, n) ? free_place(rg) : NULL;

	if (!g) {
		rg->stats.n_refused++;
		return 0;
	}
	g->kept = *f;
	g->origin = *o;
	g->origin.group = 0;
	g->end = end;
	g->n = n;
	g->hdr_len = segments[0].len - f->gso_size;
	g->last_len = segments[n - 1].len - g->hdr_len;
	for (uint32_t i = 0; i < n; i++)
		memcpy(g->headers + i * g->hdr_len, segments[i].data, g->hdr_len);
	g->used = true;
	move(g, &rg->shown);
	rg->stats.n_kept++;
	rg->stats.n_now++;
	return group_name(rg, g);
}

/* ---- coming back ---- */

static struct group *find_group(struct regroup *rg, const struct origin *o)
{
	uint32_t i = (o->group & 0xffff) - 1;
	struct group *g;

	if (o->group == 0 || i >= rg->n_groups)
		return NULL;
	g = &rg->groups[i];
	return g->used && group_name(rg, g) == o->group ? g : NULL;
}

static uint32_t payload_of(const struct group *g, uint32_t i)
{
	return i + 1 == g->n ? g->last_len : g->kept.gso_size;
}

/* The next segment of the group, and as it was shown. */
static bool is_next(const struct group *g, const struct frame *f, const struct origin *o)
{
	const uint32_t i = g->n_held, payload = payload_of(g, i);
	const uint8_t *want = g->kept.data + g->hdr_len + i * g->kept.gso_size;

	return o->segment == i && !(o->flags & ORIGIN_STALE) && f->len == g->hdr_len + payload &&
	       memcmp(f->data, g->headers + i * g->hdr_len, g->hdr_len) == 0 &&
	       memcmp(f->data + g->hdr_len, want, payload) == 0;
}

/* What came back of the group goes on alone, and the group ends. */
static _cold_ void flush_group(struct regroup *rg, struct group *g, const struct regroup_sink *sink)
{
	uint32_t n = g->n_held;

	g->n_held = 0; /* references go with the frames */
	for (uint32_t i = 0; i < n; i++) {
		struct frame f = {
			.data = g->held[i].data,
			.len = g->hdr_len + payload_of(g, i),
			.buf = g->held[i].buf,
		};

		frame_parse(&f);
		sink->emit(sink->ctx, &f, &g->origin);
	}
	rg->stats.n_broken++;
	free_group(rg, g);
}

/* All of it came back. */
static void complete(struct regroup *rg, struct group *g, const struct regroup_sink *sink)
{
	rg->bufs.ref(rg->bufs.ctx, g->kept.buf, 1);
	sink->emit(sink->ctx, &g->kept, &g->origin);
	rg->stats.n_whole++;
	free_group(rg, g);
}

/* Unknown (0) is any. */
static bool same_flow(const struct origin *a, const struct origin *b)
{
	return a->port == b->port &&
	       (a->flow_hash == b->flow_hash || !a->flow_hash || !b->flow_hash);
}

/* Order within a flow: what is held of it goes before anything else that comes back. */
static void flush_flow(struct regroup *rg, const struct origin *o, const struct group *but,
		       const struct regroup_sink *sink)
{
	list_for_each_safe (i, &rg->open) {
		struct group *g = list_entry(i, struct group, link);

		if (g != but && same_flow(&g->origin, o))
			flush_group(rg, g, sink);
	}
}

static void hold(struct regroup *rg, struct group *g, const struct frame *f, const struct origin *o,
		 uint64_t now_ns)
{
	if (g->n_held == 0) {
		g->origin.how = o->how;
		g->since_ns = now_ns;
		move(g, &rg->open);
	}
	g->held[g->n_held++] = (struct segment){f->buf, f->data};
}

void regroup_return(struct regroup *rg, const struct frame *f, const struct origin *o,
		    uint64_t now_ns, const struct regroup_sink *sink)
{
	struct group *g = find_group(rg, o);

	if (unlikely(!list_empty(&rg->open)))
		flush_flow(rg, o, g, sink);
	if (g && is_next(g, f, o)) {
		hold(rg, g, f, o, now_ns);
		if (g->n_held == g->n)
			complete(rg, g, sink);
		return;
	}
	if (g)
		flush_group(rg, g, sink);
	sink->emit(sink->ctx, f, o);
}

bool regroup_open(const struct regroup *rg)
{
	return !list_empty(&rg->open);
}

void regroup_released(struct regroup *rg, uint32_t ring, uint64_t released, uint64_t now_ns,
		      const struct regroup_sink *sink)
{
	list_for_each_safe (i, &rg->open) {
		struct group *g = list_entry(i, struct group, link);

		if (g->origin.ring == ring && g->end <= released)
			flush_group(rg, g, sink);
	}
	list_for_each_safe (i, &rg->shown) {
		struct group *g = list_entry(i, struct group, link);

		if (g->origin.ring != ring || g->end > released)
			continue;
		g->since_ns = now_ns;
		move(g, &rg->leaving);
	}
}

/* Flushes the oldest groups of a list; when the next one is due. */
static uint64_t tick_list(struct regroup *rg, struct list *l, uint64_t now_ns,
			  const struct regroup_sink *sink)
{
	while (!list_empty(l)) {
		struct group *g = list_entry(l->next, struct group, link);

		if (g->since_ns + REGROUP_WAIT_NS > now_ns)
			return g->since_ns + REGROUP_WAIT_NS;
		flush_group(rg, g, sink);
	}
	return UINT64_MAX;
}

uint64_t regroup_tick(struct regroup *rg, uint64_t now_ns, const struct regroup_sink *sink)
{
	uint64_t a = tick_list(rg, &rg->open, now_ns, sink);
	uint64_t b = tick_list(rg, &rg->leaving, now_ns, sink);

	return min_of(a, b);
}

void regroup_flush(struct regroup *rg, const struct regroup_sink *sink)
{
	tick_list(rg, &rg->open, UINT64_MAX, sink);
	tick_list(rg, &rg->leaving, UINT64_MAX, sink);
	tick_list(rg, &rg->shown, UINT64_MAX, sink);
}

void regroup_stats(const struct regroup *rg, struct regroup_stats *ret)
{
	*ret = rg->stats;
}
