/* SPDX-License-Identifier: BSD-2-Clause */
/* GSO groups: whole or alone, never both, never twice; order; ends; limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/offload.h"
#include "core/offload_testkit.h"
#include "core/regroup.h"
#include "core/testkit.h"

#define N_GROUPS 4u
#define MSS      1000u
#define N_SEG    5u /* the last one is shorter */

struct out {
	uint32_t buf, len, group_flags;
	uint8_t gso, how;
	uint16_t port;
	uint32_t last; /* last four bytes */
};

struct lab {
	struct kit *k; /* for its buffers */
	struct buf_ops bufs;
	struct regroup *rg;
	struct regroup_sink sink;
	struct out out[64];
	uint32_t n_out;
	uint64_t now_ns;
};

/* A frame that was kept and its segments as shown. */
struct shown {
	struct frame kept, seg[16];
	struct origin o[16];
	uint32_t n, group;
};

static void emit(void *ctx, const struct frame *f, const struct origin *o)
{
	struct lab *l = ctx;
	struct out *out = &l->out[l->n_out++];

	assert_true(l->n_out <= array_size(l->out));
	*out = (struct out){f->buf, f->len, o->group, f->gso, o->how, o->port, 0};
	memcpy(&out->last, f->data + f->len - 4, 4);
	kit_put(l->k, &f->buf, 1);
}

static int setup(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));

	l->k = kit_new(16);
	l->bufs = (struct buf_ops){l->k, kit_ref, kit_put, kit_refs, kit_get, kit_room};
	l->rg = regroup_new(N_GROUPS, &l->bufs);
	l->sink = (struct regroup_sink){l, emit};
	assert_non_null(l->rg);
	*state = l;
	return 0;
}

static int teardown(void **state)
{
	struct lab *l = *state;

	regroup_free(l->rg);
	kit_free(l->k); /* fails if a buffer was lost */
	free(l);
	return 0;
}

/* A TCP frame of flow hash `flow` from port 3, kept and cut. */
static struct shown show(struct lab *l, uint32_t flow, uint64_t end)
{
	struct pkt *p = pkt_new();
	struct shown s = {.n = 0};
	struct origin o = {.flow_hash = flow, .port = 3, .how = ORIGIN_PORT, .time_ns = 9};
	int n;

	eth(p, 0, 0x0800);
	ipv4(p, 6, 0);
	tcp(p, 0x18, 12);
	complete(p, FRAME_GSO_TCPV4, MSS, (N_SEG - 1) * MSS + 300 + flow);
	s.kept = p->f;
	s.kept.buf = kit_get(l->k, p->f.len, &s.kept.data);
	memcpy(s.kept.data, p->f.data, p->f.len);
	n = offload_segment(&s.kept, &l->bufs, s.seg, array_size(s.seg));
	assert_int_equal(n, N_SEG);
	s.n = (uint32_t)n;
	s.group = regroup_keep(l->rg, &s.kept, &o, s.seg, s.n, end);
	if (!s.group)
		kit_put(l->k, &s.kept.buf, 1);
	for (uint32_t i = 0; i < s.n; i++) {
		frame_parse(&s.seg[i]);
		s.o[i] = o;
		s.o[i].group = s.group;
		s.o[i].segment = (uint16_t)i;
		s.o[i].how = ORIGIN_BUFFER;
	}
	pkt_free(p);
	return s;
}

static void give(struct lab *l, struct shown *s, uint32_t i)
{
	regroup_return(l->rg, &s->seg[i], &s->o[i], l->now_ns, &l->sink);
}

static void lose(struct lab *l, struct shown *s, uint32_t i)
{
	kit_put(l->k, &s->seg[i].buf, 1);
}

static struct regroup_stats stats(struct lab *l)
{
	struct regroup_stats st;

	regroup_stats(l->rg, &st);
	return st;
}

/* What came out are the segments from..to-1 of s, in order. */
static void assert_alone(struct lab *l, uint32_t at, const struct shown *s, uint32_t from,
			 uint32_t to)
{
	for (uint32_t i = from; i < to; i++, at++) {
		assert_true(at < l->n_out);
		assert_int_equal(l->out[at].buf, s->seg[i].buf);
		assert_int_equal(l->out[at].len, s->seg[i].len);
		assert_int_equal(l->out[at].gso, FRAME_GSO_NONE);
		assert_int_equal(l->out[at].port, 3);
		assert_int_equal(l->out[at].how, ORIGIN_BUFFER);
	}
}

static void assert_whole(struct lab *l, uint32_t at, const struct shown *s)
{
	assert_true(at < l->n_out);
	assert_int_equal(l->out[at].buf, s->kept.buf);
	assert_int_equal(l->out[at].len, s->kept.len);
	assert_int_equal(l->out[at].gso, FRAME_GSO_TCPV4);
	assert_int_equal(l->out[at].port, 3);
	assert_int_equal(l->out[at].how, ORIGIN_BUFFER);
	assert_int_equal(l->out[at].group_flags, 0);
}

static void all_in_order_go_on_as_one(void **state)
{
	struct lab *l = *state;

	for (uint32_t n = 0; n < 20; n++) {
		struct shown s = show(l, 1, n);

		l->n_out = 0;
		for (uint32_t i = 0; i < s.n; i++) {
			assert_int_equal(l->n_out, 0);
			give(l, &s, i);
		}
		assert_int_equal(l->n_out, 1);
		assert_whole(l, 0, &s);
	}
	assert_int_equal(stats(l).n_whole, 20);
	assert_int_equal(stats(l).n_broken, 0);
	assert_int_equal(stats(l).n_now, 0);
}

static void copies_count_as_unchanged(void **state)
{
	struct lab *l = *state;
	struct shown s = show(l, 1, 0), copy = s;

	for (uint32_t i = 0; i < s.n; i++) {
		copy.seg[i].buf = kit_get(l->k, s.seg[i].len, &copy.seg[i].data);
		memcpy(copy.seg[i].data, s.seg[i].data, s.seg[i].len);
		lose(l, &s, i);
		give(l, &copy, i);
	}
	assert_int_equal(l->n_out, 1);
	assert_whole(l, 0, &s);
}

/* Any byte of any segment: header, first and last of the payload. */
static void a_changed_segment_breaks_the_group(void **state)
{
	struct lab *l = *state;

	for (uint32_t k = 0; k < N_SEG; k++) {
		for (uint32_t where = 0; where < 5; where++) {
			struct shown s = show(l, 1, 0);
			const uint32_t hdr = s.seg[0].len - MSS;
			const uint32_t at[] = {0, hdr - 1, hdr, hdr + 7, s.seg[k].len - 1};

			l->n_out = 0;
			s.seg[k].data[at[where]] ^= 0x80;
			for (uint32_t i = 0; i < s.n; i++)
				give(l, &s, i);
			assert_int_equal(l->n_out, s.n);
			assert_alone(l, 0, &s, 0, s.n);
		}
	}
	assert_int_equal(stats(l).n_whole, 0);
	assert_int_equal(stats(l).n_broken, N_SEG * 5);
}

static void a_shortened_segment_breaks_the_group(void **state)
{
	struct lab *l = *state;
	struct shown s = show(l, 1, 0);

	s.seg[2].len--;
	for (uint32_t i = 0; i < s.n; i++)
		give(l, &s, i);
	assert_int_equal(l->n_out, s.n);
	assert_alone(l, 0, &s, 0, s.n);
}

static void a_missing_or_moved_segment_breaks_the_group(void **state)
{
	struct lab *l = *state;
	struct shown s = show(l, 1, 0);

	give(l, &s, 0);
	give(l, &s, 1);
	lose(l, &s, 2);
	give(l, &s, 3);
	assert_int_equal(l->n_out, 3);
	assert_alone(l, 0, &s, 0, 2);
	assert_alone(l, 2, &s, 3, 4);
	give(l, &s, 4);
	assert_alone(l, 3, &s, 4, 5);

	s = show(l, 1, 0);
	l->n_out = 0;
	give(l, &s, 1);
	give(l, &s, 0);
	assert_int_equal(l->n_out, 2);
	assert_alone(l, 0, &s, 1, 2);
	assert_alone(l, 1, &s, 0, 1);
	for (uint32_t i = 2; i < s.n; i++)
		lose(l, &s, i);
}

static void a_segment_twice_is_not_the_next(void **state)
{
	struct lab *l = *state;
	struct shown s = show(l, 1, 0);
	struct frame again = s.seg[0];

	again.buf = kit_get(l->k, again.len, &again.data);
	memcpy(again.data, s.seg[0].data, again.len);
	give(l, &s, 0);
	regroup_return(l->rg, &again, &s.o[0], 0, &l->sink);
	assert_int_equal(l->n_out, 2);
	for (uint32_t i = 1; i < s.n; i++)
		lose(l, &s, i);
}

static void stale_segments_are_no_part_of_it(void **state)
{
	struct lab *l = *state;
	struct shown s = show(l, 1, 0);

	for (uint32_t i = 0; i < s.n; i++) {
		s.o[i].flags = ORIGIN_STALE;
		give(l, &s, i);
	}
	assert_int_equal(l->n_out, s.n);
	assert_alone(l, 0, &s, 0, s.n);
}

static void order_within_a_flow(void **state)
{
	struct lab *l = *state;
	struct shown a = show(l, 1, 0), b = show(l, 1, 0), other = show(l, 2, 0);
	struct frame plain = {.buf = kit_get(l->k, 60, &plain.data), .len = 60};
	struct origin reverse = {.flow_hash = 1, .port = 4, .how = ORIGIN_BUFFER};

	memset(plain.data, 0, 60);
	frame_parse(&plain);
	for (uint32_t i = 0; i + 1 < a.n; i++)
		give(l, &a, i);
	lose(l, &a, a.n - 1);
	for (uint32_t i = 0; i < 3; i++) /* another flow does not matter */
		give(l, &other, i);
	regroup_return(l->rg, &plain, &reverse, 0, &l->sink); /* nor the other direction */
	assert_int_equal(l->n_out, 1);
	for (uint32_t i = 0; i < b.n; i++)
		give(l, &b, i);
	assert_int_equal(l->n_out, 1 + a.n - 1 + 1);
	assert_alone(l, 1, &a, 0, a.n - 1);
	assert_whole(l, a.n, &b);
	for (uint32_t i = 3; i < other.n; i++)
		give(l, &other, i);
	assert_whole(l, a.n + 1, &other);
}

/* A frame whose flow was not asked for may be of any; of the same port, that is. */
static void order_without_a_flow(void **state)
{
	struct lab *l = *state;
	struct shown a = show(l, 1, 0);
	struct frame plain = {.buf = kit_get(l->k, 60, &plain.data), .len = 60};
	struct origin o = {.port = 3, .how = ORIGIN_BUFFER};

	memset(plain.data, 0, 60);
	frame_parse(&plain);
	for (uint32_t i = 0; i < 3; i++)
		give(l, &a, i);
	assert_int_equal(l->n_out, 0);
	assert_true(regroup_open(l->rg));
	regroup_return(l->rg, &plain, &o, 0, &l->sink);
	assert_false(regroup_open(l->rg));
	assert_int_equal(l->n_out, 4);
	assert_alone(l, 0, &a, 0, 3);
	for (uint32_t i = 3; i < a.n; i++)
		lose(l, &a, i);
}

static void released_past_it(void **state)
{
	struct lab *l = *state;
	struct shown a = show(l, 1, 100), b = show(l, 2, 200);

	give(l, &a, 0);
	give(l, &b, 0);
	regroup_released(l->rg, 1, 500, 0, &l->sink); /* another ring */
	regroup_released(l->rg, 0, 99, 0, &l->sink);
	assert_int_equal(l->n_out, 0);
	regroup_released(l->rg, 0, 100, 0, &l->sink);
	assert_int_equal(l->n_out, 1);
	assert_alone(l, 0, &a, 0, 1);
	give(l, &a, 1); /* late: alone */
	assert_alone(l, 1, &a, 1, 2);
	for (uint32_t i = 1; i < b.n; i++)
		give(l, &b, i);
	assert_whole(l, 2, &b);
	for (uint32_t i = 2; i < a.n; i++)
		lose(l, &a, i);
}

static void after_a_millisecond(void **state)
{
	struct lab *l = *state;
	struct shown a = show(l, 1, 0), b = show(l, 2, 0);

	assert_true(regroup_tick(l->rg, 0, &l->sink) == UINT64_MAX);
	l->now_ns = 5000;
	give(l, &a, 0);
	l->now_ns = 6000;
	give(l, &b, 0);
	assert_int_equal(regroup_tick(l->rg, 6000, &l->sink), 5000 + REGROUP_WAIT_NS);
	assert_int_equal(l->n_out, 0);
	assert_int_equal(regroup_tick(l->rg, 5000 + REGROUP_WAIT_NS, &l->sink),
			 6000 + REGROUP_WAIT_NS);
	assert_int_equal(l->n_out, 1);
	regroup_tick(l->rg, 6000 + REGROUP_WAIT_NS, &l->sink);
	assert_int_equal(l->n_out, 2);
	for (uint32_t i = 1; i < a.n; i++) {
		lose(l, &a, i);
		lose(l, &b, i);
	}
}

/* The program released the slots and sends copies a moment later: still whole. */
static void released_before_it_was_sent(void **state)
{
	struct lab *l = *state;
	struct shown a = show(l, 1, 10), b = show(l, 2, 20);

	regroup_released(l->rg, 0, 20, 1000, &l->sink);
	for (uint32_t i = 0; i < a.n; i++)
		give(l, &a, i);
	assert_whole(l, 0, &a);
	regroup_tick(l->rg, 1000 + REGROUP_WAIT_NS, &l->sink);
	assert_int_equal(stats(l).n_now, 0); /* b was dropped by the program */
	give(l, &b, 0);
	assert_alone(l, 1, &b, 0, 1);
	for (uint32_t i = 1; i < b.n; i++)
		lose(l, &b, i);
}

static void no_more_than_there_is_room_for(void **state)
{
	struct lab *l = *state;
	struct shown s[N_GROUPS + 2];

	for (uint32_t i = 0; i <= N_GROUPS; i++)
		s[i] = show(l, i, i + 1);
	assert_int_equal(s[N_GROUPS].group, 0);
	assert_int_equal(stats(l).n_refused, 1);
	regroup_released(l->rg, 0, 1, 0, &l->sink); /* the oldest makes way */
	s[N_GROUPS + 1] = show(l, 9, 9);
	assert_int_not_equal(s[N_GROUPS + 1].group, 0);
	for (uint32_t i = 0; i < N_GROUPS + 2; i++) {
		l->n_out = 0;
		for (uint32_t j = 0; j < N_SEG; j++)
			give(l, &s[i], j);
		assert_int_equal(l->n_out, i == 0 || i == N_GROUPS ? N_SEG : 1);
	}
}

static void what_cannot_be_compared_is_not_kept(void **state)
{
	struct lab *l = *state;
	struct shown s = show(l, 1, 0);
	struct origin o = {.port = 1};
	struct frame seg[16];

	memcpy(seg, s.seg, sizeof(seg));
	assert_int_equal(regroup_keep(l->rg, &s.kept, &o, seg, 1, 0), 0);
	assert_int_equal(regroup_keep(l->rg, &s.kept, &o, seg, s.n - 1, 0), 0);
	seg[1].len--;
	assert_int_equal(regroup_keep(l->rg, &s.kept, &o, seg, s.n, 0), 0);
	seg[1].len++;
	seg[0].len = MSS;
	assert_int_equal(regroup_keep(l->rg, &s.kept, &o, seg, s.n, 0), 0);
	assert_int_equal(stats(l).n_refused, 4);
	for (uint32_t i = 0; i < s.n; i++)
		lose(l, &s, i);
}

static void invented_groups_are_none(void **state)
{
	struct lab *l = *state;
	struct shown s = show(l, 1, 0);
	const uint32_t names[] = {N_GROUPS + 1, 0xffff, s.group + 0x10000, UINT32_MAX};

	for (uint32_t i = 0; i < 4; i++) {
		s.o[i].group = names[i];
		give(l, &s, i);
		assert_alone(l, i, &s, i, i + 1);
	}
	lose(l, &s, 4);
}

static void the_end_of_the_program(void **state)
{
	struct lab *l = *state;
	struct shown a = show(l, 1, 10), b = show(l, 2, 20), c = show(l, 3, 30);

	give(l, &a, 0);
	regroup_released(l->rg, 0, 10, 0, &l->sink);
	give(l, &b, 0);
	give(l, &b, 1);
	regroup_flush(l->rg, &l->sink);
	assert_int_equal(l->n_out, 3);
	assert_alone(l, 1, &b, 0, 2);
	assert_int_equal(stats(l).n_now, 0);
	for (uint32_t i = 0; i < N_SEG; i++) {
		if (i > 0)
			lose(l, &a, i);
		if (i > 1)
			lose(l, &b, i);
		lose(l, &c, i);
	}
	a = show(l, 1, 10); /* freed with something held: teardown counts */
	give(l, &a, 0);
	for (uint32_t i = 1; i < N_SEG; i++)
		lose(l, &a, i);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_in_order_go_on_as_one),
		T(copies_count_as_unchanged),
		T(a_changed_segment_breaks_the_group),
		T(a_shortened_segment_breaks_the_group),
		T(a_missing_or_moved_segment_breaks_the_group),
		T(a_segment_twice_is_not_the_next),
		T(stale_segments_are_no_part_of_it),
		T(order_within_a_flow),
		T(order_without_a_flow),
		T(released_past_it),
		T(after_a_millisecond),
		T(released_before_it_was_sent),
		T(no_more_than_there_is_room_for),
		T(what_cannot_be_compared_is_not_kept),
		T(invented_groups_are_none),
		T(the_end_of_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
