/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/intercept_testkit.h"
#include "core/trace.h"

#define NIC     INTERCEPT_NIC
#define SEEN    64u
#define FOREVER UINT64_MAX

/* A bridge with a trace. */
struct lab {
	struct ilab *i;
	struct trace *t;
	struct journey seen[SEEN];
	uint32_t n;
	uint64_t clock;
};

static uint64_t clock_of(void *ctx)
{
	return ++((struct lab *)ctx)->clock;
}

static void done(void *ctx, const struct journey *j)
{
	struct lab *l = ctx;

	assert_true(l->n < SEEN);
	l->seen[l->n++] = *j;
}

static int setup(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));
	const struct trace_config cfg = {.clock = clock_of, .done = done, .ctx = l};

	l->i = ilab_new_kind(BRIDGE_OWN);
	l->t = trace_new(&cfg);
	bridge_set_trace(l->i->k->br, l->t);
	*state = l;
	return 0;
}

static int teardown(void **state)
{
	struct lab *l = *state;

	bridge_set_trace(l->i->k->br, NULL);
	trace_free(l->t);
	ilab_free(l->i);
	free(l);
	return 0;
}

static uint32_t watch(struct lab *l, const struct trace_watch *w)
{
	return trace_add(l->t, w);
}

static uint32_t watch_all(struct lab *l)
{
	return watch(l, &(struct trace_watch){.count = FOREVER});
}

static void send(struct lab *l, struct bport *in, uint64_t src, uint64_t dst, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		kit_frame(l->i->k, src, dst, 60);
	kit_run(l->i->k, in);
	trace_round_end(l->t);
}

/* The steps of the latest journey, a letter each. */
static const char *steps(const struct lab *l)
{
	static const char letters[] = {
		[TRACE_RX] = 'r',     [TRACE_PARSE] = 'p',  [TRACE_STATE] = 's',
		[TRACE_STP] = 'b',    [TRACE_VLAN] = 'v',   [TRACE_LEARN] = 'l',
		[TRACE_LOOKUP] = 'u', [TRACE_HOOK] = 'h',   [TRACE_INTERCEPT] = 'i',
		[TRACE_RING] = 'o',   [TRACE_RETURN] = 'R', [TRACE_MIRROR] = 'm',
		[TRACE_EGRESS] = 'e', [TRACE_TAG] = 't',    [TRACE_DROP] = 'D',
	};
	static char text[TRACE_RECORDS_MAX + 1];
	const struct journey *j = &l->seen[l->n - 1];

	assert_true(l->n > 0);
	for (uint32_t i = 0; i < j->n; i++)
		text[i] = letters[j->records[i].step];
	text[j->n] = 0;
	return text;
}

static const struct trace_record *record(const struct lab *l, enum trace_step s)
{
	const struct journey *j = &l->seen[l->n - 1];

	for (uint32_t i = 0; i < j->n; i++)
		if (j->records[i].step == s)
			return &j->records[i];
	fail_msg("no step %s", trace_step_name(s));
	return NULL;
}

static enum journey_outcome outcome(const struct lab *l, enum drop_reason *ret)
{
	enum drop_reason r = DROP_N;
	enum journey_outcome o =
		journey_outcome(&l->seen[l->n - 1], l->i->host->no, ret ? ret : &r);

	return o;
}

/* ---- which frames ---- */

static void nothing_is_chosen_without_a_watch(void **state)
{
	struct lab *l = *state;

	send(l, l->i->a, AA, BB, 3);
	assert_int_equal(l->n, 0);
	assert_false(trace_has_watches(l->t));
}

static void every_nth_over_batches(void **state)
{
	struct lab *l = *state;
	uint32_t w = watch(l, &(struct trace_watch){.every = 10, .count = FOREVER});

	for (int i = 0; i < 10; i++)
		send(l, l->i->a, AA, BB, 7);
	assert_int_equal(l->n, 7); /* the 1st, 11th, ... 61st of 70 */
	assert_int_equal(trace_stats(l->t, w).chosen, 7);
	assert_int_equal(trace_stats(l->t, w).missed, 0);
}

static void no_more_than_count(void **state)
{
	struct lab *l = *state;

	watch(l, &(struct trace_watch){.count = 2});
	send(l, l->i->a, AA, BB, 5);
	send(l, l->i->a, AA, BB, 5);
	assert_int_equal(l->n, 2);
	assert_int_equal(l->seen[1].id, 2);
}

static void of_one_port(void **state)
{
	struct lab *l = *state;

	watch(l, &(struct trace_watch){.port = l->i->b->no, .count = FOREVER});
	send(l, l->i->a, AA, BB, 1);
	assert_int_equal(l->n, 0);
	send(l, l->i->b, BB, AA, 1);
	assert_int_equal(l->n, 1);
	assert_string_equal(l->seen[0].in_name, "b");
}

static bool has_length(void *ctx, const struct frame *f)
{
	return f->len == *(uint32_t *)ctx;
}

static void what_matches_and_of_that_every_second(void **state)
{
	struct lab *l = *state;
	uint32_t len = 99;

	watch(l, &(struct trace_watch){
			 .match = has_length, .ctx = &len, .every = 2, .count = FOREVER});
	for (uint32_t i = 0; i < 12; i++)
		kit_frame(l->i->k, AA, BB, i % 3 ? 60 : 99);
	kit_run(l->i->k, l->i->a);
	trace_round_end(l->t);
	assert_int_equal(l->n, 2);
	assert_int_equal(l->seen[0].len, 99);
}

static void as_many_watches_as_fit(void **state)
{
	struct lab *l = *state;

	for (uint32_t i = 0; i < TRACE_WATCHES_MAX; i++)
		assert_int_equal(watch_all(l), i);
	assert_int_equal(watch_all(l), TRACE_WATCHES_MAX);
	trace_del(l->t, 3);
	assert_int_equal(watch_all(l), 3);
	send(l, l->i->a, AA, BB, 1);
	assert_int_equal(l->n, 1); /* one journey, for all of them */
	assert_int_equal(l->seen[0].watches, 0xff);
}

static void more_than_journeys_at_a_time(void **state)
{
	struct lab *l = *state;
	uint32_t w = watch_all(l);

	send(l, l->i->a, AA, BB, 40);
	assert_int_equal(l->n, TRACE_JOURNEYS_MAX);
	assert_int_equal(trace_stats(l->t, w).chosen, 40);
	assert_int_equal(trace_stats(l->t, w).missed, 40 - TRACE_JOURNEYS_MAX);
}

/* ---- what they say ---- */

static void from_port_to_port(void **state)
{
	struct lab *l = *state;

	watch_all(l);
	send(l, l->i->a, AA, BB, 1);
	assert_string_equal(steps(l), "rpslue");
	assert_string_equal(record(l, TRACE_EGRESS)->name, "b");
	assert_int_equal(record(l, TRACE_LEARN)->result, FDB_KNOWN);
	assert_int_equal(record(l, TRACE_LOOKUP)->result, TRACE_LOOKUP_DYNAMIC);
	assert_int_equal(record(l, TRACE_LOOKUP)->mac, BB);
	assert_int_equal(outcome(l, NULL), OUTCOME_SENT);
	assert_int_equal(l->seen[0].n_bytes, 60);
	for (uint32_t i = 1; i < l->seen[0].n; i++)
		assert_true(l->seen[0].records[i].ns > l->seen[0].records[i - 1].ns);
}

static void a_flood_and_the_host(void **state)
{
	struct lab *l = *state;

	watch_all(l);
	send(l, l->i->a, AA, MAC_BROADCAST, 1);
	assert_string_equal(steps(l), "rpslueee");
	assert_int_equal(outcome(l, NULL), OUTCOME_SENT);
	send(l, l->i->a, AA, bridge_mac(l->i->k->br), 1);
	assert_string_equal(steps(l), "rpslue");
	assert_int_equal(record(l, TRACE_LOOKUP)->result, TRACE_LOOKUP_LOCAL);
	assert_int_equal(outcome(l, NULL), OUTCOME_DELIVERED);
}

static void a_drop_has_its_reason(void **state)
{
	struct lab *l = *state;
	enum drop_reason r = DROP_N;

	watch_all(l);
	send(l, l->i->a, AA, AA, 1);
	assert_string_equal(steps(l), "rpsluD");
	assert_int_equal(outcome(l, &r), OUTCOME_DROPPED);
	assert_int_equal(r, DROP_SAME_PORT);
	kit_frame(l->i->k, AA, BB, 8);
	kit_run(l->i->k, l->i->a);
	trace_round_end(l->t);
	assert_string_equal(steps(l), "rD");
	assert_int_equal(outcome(l, &r), OUTCOME_DROPPED);
	assert_int_equal(r, DROP_RUNT);
}

/* The device refused it after it was on a list: then it was not sent. */
static void a_drop_at_the_egress(void **state)
{
	struct lab *l = *state;
	const struct frame *f;
	enum drop_reason r = DROP_N;

	watch_all(l);
	kit_frame(l->i->k, AA, BB, 60);
	kit_run(l->i->k, l->i->a);
	f = l->i->k->out->lists[l->i->b->no].frames[0];
	bport_drop(l->i->b, DROP_TX_FULL, f);
	bridge_tell_drop(l->i->k->br, l->i->b, f, DROP_TX_FULL);
	trace_round_end(l->t);
	assert_string_equal(steps(l), "rpslueD");
	assert_int_equal(outcome(l, &r), OUTCOME_DROPPED);
	assert_int_equal(r, DROP_TX_FULL);
	/* Another port sends it all the same. */
	kit_frame(l->i->k, AA, MAC_BROADCAST, 60);
	kit_run(l->i->k, l->i->a);
	f = l->i->k->out->lists[l->i->b->no].frames[0];
	bport_drop(l->i->b, DROP_TX_FULL, f);
	bridge_tell_drop(l->i->k->br, l->i->b, f, DROP_TX_FULL);
	trace_round_end(l->t);
	assert_int_equal(outcome(l, &r), OUTCOME_SENT);
}

static void rules_by_name(void **state)
{
	struct lab *l = *state;
	struct hook_set *s = hook_set_new(3);

	strcpy(s->rules[0].name, "colour");
	s->rules[0].verdict = HOOK_MARK;
	s->rules[0].set_mark = 7;
	strcpy(s->rules[1].name, "not-this");
	strcpy(s->rules[1].in_name, "b");
	strcpy(s->rules[2].name, "stop");
	s->rules[2].verdict = HOOK_DROP;
	s->rules[2].has_mark = true;
	s->rules[2].mark = 7;
	hook_set_finish(s);
	bridge_set_hook(l->i->k->br, HOOK_FORWARD, s);
	watch_all(l);
	send(l, l->i->a, AA, BB, 1);
	assert_string_equal(steps(l), "rpsluhhD");
	assert_string_equal(l->seen[0].records[5].name, "colour");
	assert_int_equal(l->seen[0].records[5].mac, 7);
	assert_string_equal(l->seen[0].records[6].name, "stop");
	assert_int_equal(l->seen[0].records[6].value2, 3);
	assert_int_equal(s->rules[2].packets, 1); /* once, though looked at twice */
	send(l, l->i->b, BB, AA, 1);
	assert_string_equal(steps(l), "rpsluhhe");
	assert_string_equal(l->seen[1].records[6].name, "not-this");
}

static void a_mirror_by_name(void **state)
{
	struct lab *l = *state;
	struct mirror *m = mirror_new("span", "c", 1);

	strcpy(m->sources[0].port, "a");
	m->sources[0].dirs = MIRROR_RX;
	assert_int_equal(bridge_mirror_add(l->i->k->br, m), 0);
	watch_all(l);
	send(l, l->i->a, AA, BB, 1);
	assert_string_equal(steps(l), "rpmslue");
	assert_string_equal(record(l, TRACE_MIRROR)->name, "span");
	assert_int_equal(record(l, TRACE_MIRROR)->port, l->i->c->no);
}

static void another_form_is_the_same_journey(void **state)
{
	struct lab *l = *state;
	struct vlan_settings v = *bridge_vlan_settings(l->i->k->br);

	v.filtering = true;
	assert_int_equal(bridge_vlan_set(l->i->k->br, &v), 0);
	bridge_vlan_add(l->i->k->br, l->i->b, 1, 1, 0); /* tagged there, untagged at c */
	watch_all(l);
	send(l, l->i->a, AA, MAC_BROADCAST, 1);
	/* c and the host at once, b when its form is made */
	assert_string_equal(steps(l), "rpsvlueete");
	assert_int_equal(record(l, TRACE_TAG)->result, VLAN_PUSH);
	assert_string_equal(record(l, TRACE_TAG)->name, "b");
	assert_int_equal(record(l, TRACE_VLAN)->vid, 1);
}

static void more_records_than_fit(void **state)
{
	struct lab *l = *state;
	char name[16];

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		kit_port(l->i->k, name, false);
	}
	watch_all(l);
	send(l, l->i->a, AA, MAC_BROADCAST, 1);
	assert_int_equal(l->seen[0].n, TRACE_RECORDS_MAX);
	assert_int_equal(l->seen[0].n_lost, 5 + 203 - TRACE_RECORDS_MAX);
	assert_int_equal(outcome(l, NULL), OUTCOME_SENT);
}

static uint32_t n_told;
static enum drop_reason told;

static void on_drop(void *ctx, const struct bport *at, const struct frame *f, enum drop_reason r)
{
	assert_ptr_equal(ctx, at);
	assert_int_equal(f->len, 60);
	told = r;
	n_told++;
}

static void drops_are_told_without_a_journey(void **state)
{
	struct lab *l = *state;
	struct drop_log *log = bridge_drop_log(l->i->k->br);
	const uint8_t bytes[60] = {2};

	l->i->k->others_told = true;
	n_told = 0;
	bridge_on_drop(l->i->k->br, on_drop, l->i->a);
	send(l, l->i->a, AA, AA, 3);
	assert_int_equal(n_told, 3);
	assert_int_equal(told, DROP_SAME_PORT);
	/* A driver's. */
	log->tell(log->tell_ctx, l->i->a->generation, DROP_TX_REFUSED, bytes, sizeof(bytes));
	assert_int_equal(n_told, 4);
	assert_int_equal(told, DROP_TX_REFUSED);
	n_told = 3;
	bridge_on_drop(l->i->k->br, NULL, NULL);
	assert_null(log->tell);
	send(l, l->i->a, AA, AA, 3);
	assert_int_equal(n_told, 3);
}

/* ---- with a program ---- */

/* The program's turn: what it is shown gets its ring record, as the owner of rings makes it. */
static void show(struct lab *l, uint8_t copy)
{
	struct egress_list *list = &l->i->k->out->lists[EGRESS_RING(NIC, 0)];

	for (uint32_t i = 0; i < list->n; i++)
		trace_step(l->t, list->frames[i], NULL,
			   (struct trace_record){.step = TRACE_RING, .result = copy, .value2 = 5});
}

static void lend(struct lab *l, struct origin *o, struct frame *f)
{
	struct kit *k = l->i->k;
	struct egress_list *list = &k->out->lists[EGRESS_RING(NIC, 0)];

	kit_frame(k, AA, BB, 60);
	kit_run(k, l->i->a);
	assert_int_equal(list->n, 1);
	bridge_origin(k->br, list->frames[0], k->now_ns, o);
	show(l, 0);
	*f = *list->frames[0];
	kit_ref(k, f->buf, 1);
	kit_sent(k);
	trace_round_end(l->t);
}

static void give(struct lab *l, struct origin *o, const struct frame *f)
{
	struct kit *k = l->i->k;

	o->how = ORIGIN_BUFFER;
	k->in->n = 1;
	k->in->frames[0] = *f;
	bridge_inject(k->br, k->in, o);
	bridge_forward(k->br, k->in, k->out);
	k->in->n = 0;
	kit_sent(k);
	trace_round_end(l->t);
}

static void program(struct lab *l)
{
	ilab_rings(l->i, LIVE);
	ilab_tx(l->i, true);
}

static void out_and_back(void **state)
{
	struct lab *l = *state;
	struct origin o;
	struct frame f;

	program(l);
	watch_all(l);
	lend(l, &o, &f);
	assert_int_equal(l->n, 0); /* not over */
	assert_true(o.journey != 0);
	give(l, &o, &f);
	assert_int_equal(l->n, 1);
	assert_string_equal(steps(l), "rpsluioRpsue");
	assert_int_equal(record(l, TRACE_RING)->value2, 5);
	assert_int_equal(record(l, TRACE_RETURN)->result, ORIGIN_BUFFER);
	assert_string_equal(record(l, TRACE_RETURN)->name, "a");
	assert_int_equal(outcome(l, NULL), OUTCOME_SENT);
}

static void a_program_that_keeps_it(void **state)
{
	struct lab *l = *state;
	struct origin o;
	struct frame f;

	program(l);
	watch_all(l);
	lend(l, &o, &f);
	trace_expire(l->t, 1);
	assert_int_equal(l->n, 0);
	trace_expire(l->t, FOREVER);
	assert_int_equal(l->n, 1);
	assert_int_equal(outcome(l, NULL), OUTCOME_LENT);
	give(l, &o, &f); /* later: it goes on, of course, and its journey is over */
	assert_int_equal(l->n, 1);
}

static void its_watch_ends_meanwhile(void **state)
{
	struct lab *l = *state;
	struct origin o;
	struct frame f;
	uint32_t w;

	program(l);
	w = watch_all(l);
	lend(l, &o, &f);
	trace_del(l->t, w);
	assert_int_equal(l->n, 1);
	assert_int_equal(l->seen[0].watches, 1u << w);
	give(l, &o, &f);
	assert_int_equal(l->n, 1);
}

/* The number of its journey is another frame's when it comes back. */
static void a_late_return_is_nobody_elses(void **state)
{
	struct lab *l = *state;
	struct origin o[2];
	struct frame f[2];

	program(l);
	watch_all(l);
	lend(l, &o[0], &f[0]);
	trace_expire(l->t, FOREVER);
	lend(l, &o[1], &f[1]);
	assert_int_not_equal(o[0].journey, o[1].journey);
	give(l, &o[0], &f[0]);
	assert_int_equal(l->n, 1);
	give(l, &o[1], &f[1]);
	assert_int_equal(l->n, 2);
	assert_int_equal(l->seen[1].id, 2);
}

static void a_copy_does_not_hold_it_up(void **state)
{
	struct lab *l = *state;
	struct kit *k = l->i->k;

	ilab_set(l->i, INTERCEPT_COPY, INTERCEPT_OPEN);
	program(l);
	watch_all(l);
	kit_frame(k, AA, BB, 60);
	kit_run(k, l->i->a);
	show(l, 1);
	kit_sent(k);
	trace_round_end(l->t);
	assert_int_equal(l->n, 1);
	assert_string_equal(steps(l), "rpsluieo");
	assert_int_equal(record(l, TRACE_INTERCEPT)->result, TRACE_INTERCEPT_COPIED);
}

static void a_full_ring(void **state)
{
	struct lab *l = *state;
	struct kit *k = l->i->k;
	struct egress_list *list = &k->out->lists[EGRESS_RING(NIC, 0)];
	enum drop_reason r = DROP_N;

	program(l);
	watch_all(l);
	kit_frame(k, AA, BB, 60);
	kit_run(k, l->i->a);
	bridge_intercept_refused(k->br, list->frames, list->n, k->out);
	list->n = 0;
	kit_sent(k);
	trace_round_end(l->t);
	assert_string_equal(steps(l), "rpsluiD");
	assert_int_equal(outcome(l, &r), OUTCOME_DROPPED);
	assert_int_equal(r, DROP_RING_FULL);
}

/* What a program sends of its own can be looked at; what is only back cannot, if nobody chose it.
 */
static void frames_that_a_program_made(void **state)
{
	struct lab *l = *state;
	struct origin o;
	struct frame f;

	program(l);
	lend(l, &o, &f);
	watch_all(l);
	give(l, &o, &f);
	assert_int_equal(l->n, 0);
	f = *kit_frame(l->i->k, XX, BB, 60);
	give(l, &(struct origin){.how = 0}, &f); /* give() says that it is known */
	assert_int_equal(l->n, 0);
	f = *kit_frame(l->i->k, XX, BB, 60);
	l->i->k->in->n = 1;
	bridge_inject(l->i->k->br, l->i->k->in, NULL);
	bridge_forward(l->i->k->br, l->i->k->in, l->i->k->out);
	l->i->k->in->n = 0;
	kit_sent(l->i->k);
	trace_round_end(l->t);
	assert_int_equal(l->n, 1);
	assert_string_equal(steps(l), "Rpsue");
	assert_int_equal(l->seen[0].in_port, 0);
	assert_int_equal(record(l, TRACE_RETURN)->result, ORIGIN_UNKNOWN);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_is_chosen_without_a_watch),
		T(every_nth_over_batches),
		T(no_more_than_count),
		T(of_one_port),
		T(what_matches_and_of_that_every_second),
		T(as_many_watches_as_fit),
		T(more_than_journeys_at_a_time),
		T(from_port_to_port),
		T(a_flood_and_the_host),
		T(a_drop_has_its_reason),
		T(a_drop_at_the_egress),
		T(rules_by_name),
		T(a_mirror_by_name),
		T(another_form_is_the_same_journey),
		T(more_records_than_fit),
		T(drops_are_told_without_a_journey),
		T(out_and_back),
		T(a_program_that_keeps_it),
		T(its_watch_ends_meanwhile),
		T(a_late_return_is_nobody_elses),
		T(a_copy_does_not_hold_it_up),
		T(a_full_ring),
		T(frames_that_a_program_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
