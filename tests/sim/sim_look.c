/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * With --look each frame is explained before a bridge gets it, and traced on its way: both must
 * tell the same story, and looking must not change what happens.
 */
#include "core/explain.h"
#include "sim.h"

static void done(void *ctx, const struct journey *j)
{
	struct bridge_sim *b = ctx;

	if (j->records[0].step == TRACE_RETURN) {
		b->made = *j;
		return;
	}
	b->traced = *j;
	b->n_traced++;
}

void look_at_bridge(struct bridge_sim *b)
{
	const struct trace_config cfg = {.done = done, .ctx = b};
	const struct trace_watch all = {.count = UINT64_MAX};

	b->trace = trace_new(&cfg);
	kit_check(b->trace != NULL, "out of memory");
	trace_add(b->trace, &all);
	bridge_set_trace(b->k->br, b->trace);
}

/* Everything that the state of a bridge is to an outsider. */
static uint64_t state_of(struct kit *k)
{
	struct fdb_stats st;
	struct bport *p = NULL;
	uint64_t n = 0;

	fdb_stats(bridge_fdb(k->br), &st);
	n = st.n_learned + 31 * (st.n_new + st.n_moved);
	while ((p = bridge_port_next(k->br, p))) {
		const uint64_t *c = (const uint64_t *)&p->counters;

		for (size_t i = 0; i < sizeof(p->counters) / sizeof(*c); i++)
			n = n * 31 + c[i];
		n = n * 31 + p->state;
	}
	for (int i = 0; i < BRIDGE_EVENT_N; i++)
		n = n * 31 + k->n_events[i];
	for (enum hook h = 0; h < HOOK_N; h++) {
		const struct hook_set *s = bridge_hook(k->br, h);

		for (uint32_t i = 0; s && i < s->n; i++)
			n = n * 31 + s->rules[i].packets;
	}
	return n * 31 + k->n_live;
}

void look_before(struct bridge_sim *b, const struct bport *in, const struct frame *f)
{
	uint64_t before;

	b->explained.n = b->made.n = 0;
	b->n_traced = 0;
	if (f->gso || f->len == 0) /* only bytes can be described */
		return;
	before = state_of(b->k);
	kit_check(bridge_explain(b->k->br, in, f->data, f->len, b->k->now_ns, &b->explained) == 0,
		  "out of memory");
	if (state_of(b->k) != before)
		fail(b->s, "explaining a frame has changed the bridge");
}

static void print(const char *title, const struct journey *j)
{
	fprintf(stderr, "%s:\n", title);
	for (uint32_t i = 0; i < j->n; i++) {
		const struct trace_record *r = &j->records[i];

		fprintf(stderr, "  %-9s result=%u port=%u vid=%u value=%u value2=%u %s\n",
			trace_step_name(r->step), r->result, r->port, r->vid, r->value, r->value2,
			r->name);
	}
}

static bool same(const struct trace_record *a, const struct trace_record *b)
{
	return a->step == b->step && a->result == b->result && a->port == b->port &&
	       a->vid == b->vid && a->mac == b->mac && a->value == b->value &&
	       a->value2 == b->value2 && !strcmp(a->name, b->name);
}

void look_after(struct bridge_sim *b)
{
	const struct journey *x = &b->explained, *t = &b->traced;

	if (b->n_traced != 1)
		fail(b->s, "%u journeys of one frame", b->n_traced);
	for (uint32_t i = 0; x->n && i < max_of(x->n, t->n); i++) {
		if (i < x->n && i < t->n && same(&x->records[i], &t->records[i]))
			continue;
		print("explain", x);
		print("trace", t);
		fail(b->s, "explain and trace differ in step %u", i + 1);
	}
}

static bool has_drop(const struct journey *j, enum drop_reason r)
{
	for (uint32_t i = 0; i < j->n; i++)
		if (j->records[i].step == TRACE_DROP && j->records[i].result == r)
			return true;
	return false;
}

void look_for_drop(struct bridge_sim *b, enum drop_reason r)
{
	if (has_drop(&b->traced, r) || has_drop(&b->made, r))
		return;
	print("trace", &b->traced);
	fail(b->s, "the trace has no drop %s", drop_name(r));
}
