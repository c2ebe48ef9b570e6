/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/bridge_internal.h"
#include "core/inject.h"

#define BUFS_MAX 8u  /* the frame, and forms of it with other tags */
#define HEADROOM 64u /* room for tags */

struct explain {
	struct bridge br; /* the copy */
	struct bport *ports;
	struct hook_set *hooks[HOOK_N];
	struct batch *b;
	struct egress *out;
	struct trace *trace;
	struct journey *ret;
	struct {
		uint8_t *block;
		uint32_t size, refs;
	} bufs[BUFS_MAX]; /* handles are from 1 on */
};

/* ---- buffers ---- */

static void buf_ref(void *ctx, uint32_t buf, uint32_t n)
{
	struct explain *x = ctx;

	x->bufs[buf - 1].refs += n;
}

static void buf_put(void *ctx, const uint32_t *bufs, uint32_t n)
{
	struct explain *x = ctx;

	for (uint32_t i = 0; i < n; i++)
		x->bufs[bufs[i] - 1].refs--; /* freed at the end */
}

static uint32_t buf_refs(void *ctx, uint32_t buf)
{
	return ((struct explain *)ctx)->bufs[buf - 1].refs;
}

static uint32_t buf_get(void *ctx, uint32_t size, uint8_t **ret_data)
{
	struct explain *x = ctx;

	for (uint32_t i = 0; i < BUFS_MAX; i++) {
		if (x->bufs[i].block)
			continue;
		x->bufs[i].block = malloc(HEADROOM + size);
		if (!x->bufs[i].block)
			return 0;
		x->bufs[i].size = HEADROOM + size;
		x->bufs[i].refs = 1;
		*ret_data = x->bufs[i].block + HEADROOM;
		return i + 1;
	}
	return 0;
}

static void buf_room(void *ctx, uint32_t buf, const uint8_t *data, uint32_t *ret_before,
		     uint32_t *ret_from)
{
	struct explain *x = ctx;

	*ret_before = (uint32_t)(data - x->bufs[buf - 1].block);
	*ret_from = x->bufs[buf - 1].size - *ret_before;
}

/* ---- the copy ---- */

static void done(void *ctx, const struct journey *j)
{
	*((struct explain *)ctx)->ret = *j;
}

static struct explain *explain_free(struct explain *x)
{
	if (!x)
		return NULL;
	for (uint32_t i = 0; i < BUFS_MAX; i++)
		free(x->bufs[i].block);
	for (int h = 0; h < HOOK_N; h++)
		free(x->hooks[h]);
	mirrors_free_copy(&x->br.mirrors);
	trace_free(x->trace);
	free(x->out);
	free(x->b);
	free(x->ports);
	free(x);
	return NULL;
}

static void *aligned_copy(const void *of, size_t size)
{
	void *p = aligned_alloc(64, (size + 63) & ~(size_t)63);

	if (p && of)
		memcpy(p, of, size);
	else if (p)
		memset(p, 0, size);
	return p;
}

/* Rules count in what they are given, so they get a copy; filters and the graph are shared. */
static bool copy_hooks(struct explain *x)
{
	for (int h = 0; h < HOOK_N; h++) {
		const struct hook_set *s = x->br.hooks[h];

		if (!s)
			continue;
		x->hooks[h] = aligned_copy(s, sizeof(*s) + s->n * sizeof(s->rules[0]));
		if (!x->hooks[h])
			return false;
		x->br.hooks[h] = x->hooks[h];
	}
	return true;
}

static void copy_ports(struct explain *x)
{
	struct bridge *br = &x->br;

	for (uint32_t i = 0; i < br->n_ports; i++) {
		struct bport *p = &x->ports[i];

		*p = *br->ports[i];
		p->vlan_counters = NULL;
		p->drop_log = &br->drop_log;
		if (br->host == br->ports[i])
			br->host = p;
		if (br->self == br->ports[i])
			br->self = p;
		br->ports[i] = p;
		br->by_no[p->no] = p;
	}
}

static struct explain *explain_new(const struct bridge *br, struct journey *ret)
{
	struct explain *x = aligned_copy(NULL, sizeof(*x));
	const struct trace_config cfg = {.done = done, .ctx = x};

	if (!x)
		return NULL;
	x->ret = ret;
	x->br = *br;
	memset(&x->br.mirrors, 0, sizeof(x->br.mirrors));
	x->ports = aligned_copy(NULL, max_of(br->n_ports, 1u) * sizeof(*x->ports));
	x->b = aligned_copy(NULL, sizeof(*x->b));
	x->out = aligned_copy(NULL, sizeof(*x->out));
	x->trace = trace_new(&cfg);
	if (!x->ports || !x->b || !x->out || !x->trace || !copy_hooks(x) ||
	    !mirrors_copy(&br->mirrors, &x->br.mirrors))
		return explain_free(x);
	copy_ports(x);
	x->br.vlan.counters = NULL;
	x->br.nowhere.drop_log = &x->br.drop_log;
	memset(&x->br.ops, 0, sizeof(x->br.ops));
	x->br.bufs = (struct buf_ops){.ctx = x,
				      .ref = buf_ref,
				      .put = buf_put,
				      .refs = buf_refs,
				      .get = buf_get,
				      .room = buf_room};
	x->br.trace = x->trace;
	x->br.dropped = NULL;
	x->br.dry = true;
	return x;
}

/* ---- the way ---- */

/* What a program would get comes back at once. */
static void come_back(struct explain *x, uint16_t list)
{
	struct egress_list *l = &x->out->lists[list];
	struct frame f = *l->frames[0];
	struct origin o;

	bridge_origin(&x->br, &f, x->b->now_ns, &o);
	trace_step(x->trace, &f, NULL,
		   (struct trace_record){.step = TRACE_RING,
					 .value = list,
					 .result = (o.flags & ORIGIN_COPY) != 0});
	if (o.flags & ORIGIN_COPY)
		return;
	trace_round_end(x->trace);
	o.how = ORIGIN_BUFFER;
	egress_reset(x->out);
	x->b->n = 1;
	x->b->frames[0] = f;
	if (EGRESS_SIDE_OF(list) == INTERCEPT_NIC)
		bridge_inject(&x->br, x->b, &o);
	else
		bridge_inject_host(&x->br, x->b, &o);
	bridge_forward(&x->br, x->b, x->out);
}

static void go(struct explain *x, struct bport *in)
{
	bridge_input(&x->br, in, x->b);
	bridge_forward(&x->br, x->b, x->out);
	for (uint32_t i = 0; i < x->out->n_used; i++) {
		const uint16_t list = x->out->used[i];

		if (!EGRESS_IS_RING(list))
			continue;
		come_back(x, list);
		break;
	}
	trace_round_end(x->trace);
}

int bridge_explain(const struct bridge *br, const struct bport *in, const uint8_t *data,
		   uint32_t len, uint64_t now_ns, struct journey *ret)
{
	const struct trace_watch all = {.count = 1};
	struct explain *x = explain_new(br, ret);
	struct frame *f;

	if (!x)
		return error_origin(-ENOMEM);
	f = &x->b->frames[0];
	f->buf = buf_get(x, len, &f->data);
	if (!f->buf) {
		explain_free(x);
		return error_origin(-ENOMEM);
	}
	memcpy(f->data, data, len);
	f->len = len;
	x->b->n = 1;
	x->b->now_ns = now_ns;
	trace_add(x->trace, &all);
	go(x, x->br.by_no[in->no]);
	explain_free(x);
	return 0;
}
