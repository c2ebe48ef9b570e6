/* SPDX-License-Identifier: BSD-2-Clause */
#include "ktrace/journey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS    1000000ull
#define VETH1 11u
#define VETH2 12u
#define VETH3 13u
#define BR0   10u
#define TRUNK 99u

/* What was handed out. */
struct fixture {
	struct journeys *js;
	struct journey last[2 * JOURNEY_MAX];
	size_t n;
	uint64_t now_ns;
	uint8_t want; /* the first byte that a frame must have, 0: any */
};

static void on_done(void *ctx, const struct journey *j)
{
	struct fixture *f = ctx;

	assert_true(f->n < 2 * JOURNEY_MAX);
	f->last[f->n++] = *j;
}

static bool match(void *ctx, const uint8_t *data, uint32_t caplen, uint32_t len)
{
	const struct fixture *f = ctx;

	assert_true(caplen <= len);
	return caplen > 0 && data[0] == f->want;
}

static struct fixture *begin(uint32_t from, uint64_t count, uint8_t want)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct journeys_options o = {.from = from,
				     .count = count,
				     .match = want ? match : NULL,
				     .done = on_done,
				     .ctx = f};

	assert_non_null(f);
	f->want = want;
	f->now_ns = 5000 * MS;
	f->js = journeys_new(&o);
	assert_non_null(f->js);
	return f;
}

static void finish(struct fixture *f)
{
	journeys_free(f->js);
	free(f);
}

static struct ktrace_event event(struct fixture *f, uint32_t what, uint32_t ifindex, uint64_t skb,
				 uint64_t head)
{
	struct ktrace_event e = {
		.time_ns = f->now_ns += 1000,
		.skb = skb,
		.head = head,
		.what = what,
		.ifindex = ifindex,
		.role = ifindex == BR0     ? KTRACE_BRIDGE
			: ifindex == TRUNK ? KTRACE_FOREIGN
					   : KTRACE_MEMBER,
		.len = 60,
		.caplen = 60,
	};

	memset(e.data, (int)(head & 0xff), 60);
	return e;
}

static void happens(struct fixture *f, uint32_t what, uint32_t ifindex, uint64_t skb, uint64_t head)
{
	struct ktrace_event e = event(f, what, ifindex, skb, head);

	journeys_event(f->js, &e);
}

/* Time passes. */
static void wait_ms(struct fixture *f, unsigned int ms)
{
	f->now_ns += ms * MS;
	journeys_tick(f->js, f->now_ns);
}

static void test_sent(void **state)
{
	struct fixture *f = begin(0, 0, 0);

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	happens(f, KTRACE_QUEUE, VETH2, 0x100, 0x201);
	happens(f, KTRACE_START, VETH2, 0x100, 0x201);
	happens(f, KTRACE_SENT, VETH2, 0x100, 0);
	wait_ms(f, 20);
	assert_int_equal(f->n, 0);
	wait_ms(f, 20);
	assert_int_equal(f->n, 1);
	assert_int_equal(journey_end(&f->last[0]), JOURNEY_SENT);
	assert_int_equal(f->last[0].ifindex, VETH1);
	assert_int_equal(f->last[0].n_sent, 1);
	assert_int_equal(f->last[0].n_queued, 0);
	assert_int_equal(f->last[0].n_steps, 3);
	assert_int_equal(f->last[0].id, 1);
	assert_null(journey_drop(&f->last[0]));
	/* What happens to that address afterwards is somebody else's. */
	happens(f, KTRACE_DROP, VETH2, 0x900, 0x902);
	wait_ms(f, 40);
	assert_int_equal(f->n, 2);
	assert_int_equal(f->last[1].id, 2);
	finish(f);
}

static void test_dropped(void **state)
{
	struct fixture *f = begin(0, 0, 0);
	struct ktrace_event e;

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	e = event(f, KTRACE_DROP, VETH2, 0x100, 0x201);
	e.reason = 7;
	e.location = 0xabc;
	journeys_event(f->js, &e);
	wait_ms(f, 40);
	assert_int_equal(f->n, 1);
	assert_int_equal(journey_end(&f->last[0]), JOURNEY_DROPPED);
	assert_int_equal(journey_drop(&f->last[0])->reason, 7);
	assert_int_equal(journey_drop(&f->last[0])->location, 0xabc);
	finish(f);
}

/* Clones share the bytes; the last port gets the frame itself. Copies have only the same contents.
 */
static void test_flooded(void **state)
{
	struct fixture *f = begin(0, 0, 0);
	struct ktrace_event copy;

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	happens(f, KTRACE_START, VETH2, 0x101, 0x201);
	happens(f, KTRACE_SENT, VETH2, 0x101, 0);
	copy = event(f, KTRACE_START, VETH3, 0x102, 0x201);
	copy.head = 0x777;
	journeys_event(f->js, &copy);
	happens(f, KTRACE_RECEIVE, BR0, 0x100, 0x201);
	happens(f, KTRACE_CONSUME, BR0, 0x100, 0x201);
	wait_ms(f, 40);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->last[0].n_sent, 2);
	assert_true(f->last[0].up);
	assert_int_equal(journey_end(&f->last[0]), JOURNEY_SENT);
	finish(f);
}

static void test_up(void **state)
{
	struct fixture *f = begin(0, 0, 0);

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	happens(f, KTRACE_RECEIVE, BR0, 0x100, 0x201);
	happens(f, KTRACE_CONSUME, BR0, 0x100, 0x201);
	happens(f, KTRACE_RECEIVE, VETH1, 0x110, 0x211);
	happens(f, KTRACE_RECEIVE, BR0, 0x110, 0x211);
	happens(f, KTRACE_DROP, BR0, 0x110, 0x211); /* by the host's own stack */
	wait_ms(f, 40);
	assert_int_equal(f->n, 2);
	assert_int_equal(journey_end(&f->last[0]), JOURNEY_DELIVERED);
	assert_int_equal(journey_end(&f->last[1]), JOURNEY_DROPPED);
	finish(f);
}

static void test_from_the_host(void **state)
{
	struct fixture *f = begin(0, 0, 0);

	happens(f, KTRACE_START, BR0, 0x100, 0x201);
	happens(f, KTRACE_START, VETH1, 0x100, 0x201);
	wait_ms(f, 40);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->last[0].ifindex, BR0);
	assert_int_equal(f->last[0].n_sent, 1);
	finish(f);
}

/* The tag is among the bytes when it comes in, beside them afterwards, and may be left out. */
static void test_tag_moves(void **state)
{
	struct fixture *f = begin(0, 0, 0);
	struct ktrace_event in, out;

	in = event(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	memcpy(in.data + 12, "\x81\x00\x00\x07\x08\x00", 6);
	in.len = 64;
	in.caplen = 64;
	memset(in.data + 18, 5, 46);
	journeys_event(f->js, &in);
	out = event(f, KTRACE_START, VETH2, 0x101, 0x201);
	memcpy(out.data + 12, "\x08\x00", 2);
	memset(out.data + 14, 5, 46);
	out.vlan_tpid = 0x8100;
	out.vlan_tci = 7;
	journeys_event(f->js, &out);
	out.skb = 0x102;
	out.vlan_tpid = 0;
	journeys_event(f->js, &out);
	out.skb = 0x103;
	out.data[59] = 6; /* another one */
	journeys_event(f->js, &out);
	wait_ms(f, 40);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->last[0].n_sent, 2);
	finish(f);
}

/* Its end was missed, and another frame has its address, in the host or another namespace. */
static void test_stale_address(void **state)
{
	struct fixture *f = begin(0, 0, 0);
	struct ktrace_event other;

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	other = event(f, KTRACE_DROP, TRUNK, 0x100, 0x301);
	memset(other.data, 0xee, 60);
	journeys_event(f->js, &other);
	other.what = KTRACE_CONSUME;
	journeys_event(f->js, &other);
	wait_ms(f, 1100);
	assert_int_equal(journey_end(&f->last[0]), JOURNEY_LOST_SIGHT);
	/* The frame itself, at a device above the bridge, cut to what IP says it is. */
	happens(f, KTRACE_RECEIVE, VETH1, 0x110, 0x211);
	other = event(f, KTRACE_DROP, TRUNK, 0x110, 0x211);
	other.len = other.caplen = 50;
	journeys_event(f->js, &other);
	wait_ms(f, 40);
	assert_int_equal(journey_end(&f->last[1]), JOURNEY_DROPPED);
	finish(f);
}

/* Where a frame's bytes were is another frame's now, which a device of the bridge sends itself. */
static void test_reused_bytes(void **state)
{
	struct fixture *f = begin(0, 0, 0);
	struct ktrace_event other;

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	happens(f, KTRACE_START, VETH2, 0x101, 0x201);
	happens(f, KTRACE_SENT, VETH2, 0x101, 0);
	happens(f, KTRACE_CONSUME, VETH1, 0x100, 0x201);
	other = event(f, KTRACE_START, VETH2, 0x101, 0x201);
	memset(other.data, 0xee, 60);
	journeys_event(f->js, &other);
	wait_ms(f, 40);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->last[0].n_sent, 1);
	finish(f);
}

/* The driver drops what it was to send: the peer is down, for example. */
static void test_dropped_by_driver(void **state)
{
	struct fixture *f = begin(0, 0, 0);

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	happens(f, KTRACE_START, VETH2, 0x100, 0x201);
	happens(f, KTRACE_DROP, VETH2, 0x100, 0x201);
	happens(f, KTRACE_SENT, VETH2, 0x100, 0);
	wait_ms(f, 40);
	assert_int_equal(journey_end(&f->last[0]), JOURNEY_DROPPED);
	assert_int_equal(f->last[0].n_sent, 0);
	assert_true(f->last[0].steps[1].failed);
	finish(f);
}

/* One copy is dropped where the frame came in, while another has left on the same port. */
static void test_drop_of_another_copy(void **state)
{
	struct fixture *f = begin(0, 0, 0);

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	happens(f, KTRACE_START, VETH1, 0x101, 0x201); /* hairpin */
	happens(f, KTRACE_DROP, VETH1, 0x100, 0x201);
	wait_ms(f, 40);
	assert_int_equal(journey_end(&f->last[0]), JOURNEY_SENT);
	assert_int_equal(f->last[0].n_sent, 1);
	assert_non_null(journey_drop(&f->last[0]));
	finish(f);
}

static void test_queues(void **state)
{
	struct fixture *f = begin(0, 0, 0);

	/* It waits, and then leaves. */
	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	happens(f, KTRACE_QUEUE, VETH2, 0x100, 0x201);
	wait_ms(f, 500);
	assert_int_equal(f->n, 0);
	happens(f, KTRACE_START, VETH2, 0x100, 0x201);
	wait_ms(f, 40);
	assert_int_equal(f->n, 1);
	assert_int_equal(journey_end(&f->last[0]), JOURNEY_SENT);
	/* It waits too long. */
	happens(f, KTRACE_RECEIVE, VETH1, 0x110, 0x211);
	happens(f, KTRACE_QUEUE, VETH2, 0x110, 0x211);
	wait_ms(f, 1100);
	assert_int_equal(journey_end(&f->last[1]), JOURNEY_QUEUED);
	/* It is cut into segments, and these are other frames. */
	happens(f, KTRACE_RECEIVE, VETH1, 0x120, 0x221);
	happens(f, KTRACE_QUEUE, VETH2, 0x120, 0x221);
	happens(f, KTRACE_CONSUME, VETH2, 0x120, 0x221);
	wait_ms(f, 40);
	assert_int_equal(journey_end(&f->last[2]), JOURNEY_SENT);
	finish(f);
}

static void test_redirected(void **state)
{
	struct fixture *f = begin(0, 0, 0);

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	happens(f, KTRACE_START, TRUNK, 0x100, 0x201);
	/* What returns has other addresses and comes in again. */
	happens(f, KTRACE_RECEIVE, VETH1, 0x110, 0x301);
	happens(f, KTRACE_START, VETH2, 0x110, 0x301);
	wait_ms(f, 40);
	assert_int_equal(f->n, 2);
	assert_int_equal(journey_end(&f->last[0]), JOURNEY_REDIRECTED);
	assert_int_equal(journey_end(&f->last[1]), JOURNEY_SENT);
	finish(f);
}

static void test_lost_sight(void **state)
{
	struct fixture *f = begin(0, 0, 0);

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	wait_ms(f, 900);
	assert_int_equal(f->n, 0);
	wait_ms(f, 200);
	assert_int_equal(f->n, 1);
	assert_int_equal(journey_end(&f->last[0]), JOURNEY_LOST_SIGHT);
	/* Nobody waits for it any more. */
	happens(f, KTRACE_START, VETH2, 0x100, 0x201);
	wait_ms(f, 40);
	assert_int_equal(f->n, 1);
	finish(f);
}

/* An address that is used again is another frame. */
static void test_reused_address(void **state)
{
	struct fixture *f = begin(0, 0, 0);

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x202);
	happens(f, KTRACE_START, VETH2, 0x100, 0x202);
	wait_ms(f, 40);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->last[0].id, 2);
	wait_ms(f, 1100);
	assert_int_equal(journey_end(&f->last[1]), JOURNEY_LOST_SIGHT);
	assert_int_equal(f->last[1].id, 1);
	finish(f);
}

static void test_from_and_filter(void **state)
{
	struct fixture *f = begin(VETH2, 0, 0x42);

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x242); /* another port */
	happens(f, KTRACE_RECEIVE, VETH2, 0x110, 0x243); /* another frame */
	happens(f, KTRACE_RECEIVE, VETH2, 0x120, 0x342);
	happens(f, KTRACE_DROP, VETH2, 0x130, 0x442); /* where it came in is not known */
	happens(f, KTRACE_START, VETH1, 0x120, 0x342);
	wait_ms(f, 40);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->last[0].ifindex, VETH2);
	assert_int_equal(journeys_seen(f->js), 3);
	assert_int_equal(journeys_matched(f->js), 1);
	finish(f);
}

/* A drop of a frame that nobody saw come in is a journey by itself. */
static void test_only_a_drop(void **state)
{
	struct fixture *f = begin(0, 0, 0x42);

	happens(f, KTRACE_DROP, VETH2, 0x100, 0x242);
	happens(f, KTRACE_DROP, VETH2, 0x110, 0x243);  /* not wanted */
	happens(f, KTRACE_DROP, TRUNK, 0x120, 0x342);  /* not ours */
	happens(f, KTRACE_START, VETH2, 0x130, 0x444); /* sent past the bridge */
	wait_ms(f, 40);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->last[0].ifindex, 0);
	assert_int_equal(journey_end(&f->last[0]), JOURNEY_DROPPED);
	finish(f);
}

static void test_count(void **state)
{
	struct fixture *f = begin(0, 2, 0);

	for (unsigned int i = 0; i < 5; i++)
		happens(f, KTRACE_RECEIVE, VETH1, 0x100 + i, 0x200 + i);
	happens(f, KTRACE_DROP, VETH1, 0x104, 0x204);
	happens(f, KTRACE_START, VETH2, 0x100, 0x200);
	assert_false(journeys_finished(f->js));
	wait_ms(f, 40);
	assert_false(journeys_finished(f->js));
	happens(f, KTRACE_START, VETH2, 0x101, 0x201);
	wait_ms(f, 40);
	assert_true(journeys_finished(f->js));
	assert_int_equal(f->n, 2);
	assert_int_equal(journeys_seen(f->js), 5);
	finish(f);
}

/* Room for so many: the oldest have to end. They come out in order. */
static void test_too_many(void **state)
{
	struct fixture *f = begin(0, 0, 0);
	const unsigned int more = 10;

	for (unsigned int i = 0; i < JOURNEY_MAX + more; i++)
		happens(f, KTRACE_RECEIVE, VETH1, 0x1000 + i, 0x20000 + i);
	assert_int_equal(f->n, more);
	assert_int_equal(journeys_hurried(f->js), more);
	journeys_flush(f->js);
	assert_int_equal(f->n, JOURNEY_MAX + more);
	for (unsigned int i = 0; i < f->n; i++)
		assert_int_equal(f->last[i].id, i + 1);
	finish(f);
}

/* References are given back: a long run finds the last frame as well as the first. */
static void test_long_run(void **state)
{
	struct fixture *f = begin(0, 0, 0);

	for (unsigned int i = 0; i < 50000; i++) {
		happens(f, KTRACE_RECEIVE, VETH1, 0x1000 + i, 0x100000 + i);
		happens(f, KTRACE_START, VETH2, 0x1000 + i, 0x100000 + i);
		wait_ms(f, 40);
		assert_int_equal(f->n, 1);
		assert_int_equal(journey_end(&f->last[0]), JOURNEY_SENT);
		f->n = 0;
	}
	finish(f);
}

static void test_many_steps(void **state)
{
	struct fixture *f = begin(0, 0, 0);

	happens(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);
	for (unsigned int i = 0; i < 100; i++)
		happens(f, KTRACE_START, 1000 + i, 0x101 + i, 0x201);
	wait_ms(f, 40);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->last[0].n_steps, JOURNEY_STEPS);
	assert_int_equal(f->last[0].n_more, 101 - JOURNEY_STEPS);
	assert_int_equal(f->last[0].n_sent, 100);
	finish(f);
}

/* The tag that is beside a frame is put into it. */
static void test_tag(void **state)
{
	struct fixture *f = begin(0, 0, 0);
	static const uint8_t want[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0x81, 0, 0x20, 10, 1, 1};
	struct ktrace_event e = event(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);

	e.vlan_tpid = 0x8100;
	e.vlan_tci = 0x200a;
	journeys_event(f->js, &e);
	e = event(f, KTRACE_RECEIVE, VETH1, 0x110, 0x202);
	e.caplen = 5; /* too short for one */
	e.vlan_tpid = 0x8100;
	journeys_event(f->js, &e);
	journeys_flush(f->js);
	assert_int_equal(f->last[0].len, 64);
	assert_int_equal(f->last[0].caplen, 64);
	assert_memory_equal(f->last[0].data, want, sizeof(want));
	assert_int_equal(f->last[1].caplen, 5);
	finish(f);
}

/* Numbers that no kernel writes. */
static void test_nonsense(void **state)
{
	struct fixture *f = begin(0, 0, 0);
	struct ktrace_event e = event(f, KTRACE_RECEIVE, VETH1, 0x100, 0x201);

	e.caplen = 65535;
	journeys_event(f->js, &e);
	e.what = 77;
	journeys_event(f->js, &e);
	journeys_flush(f->js);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->last[0].caplen, KTRACE_DATA);
	finish(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sent),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_flooded),
		cmocka_unit_test(test_tag_moves),
		cmocka_unit_test(test_stale_address),
		cmocka_unit_test(test_reused_bytes),
		cmocka_unit_test(test_up),
		cmocka_unit_test(test_from_the_host),
		cmocka_unit_test(test_dropped_by_driver),
		cmocka_unit_test(test_drop_of_another_copy),
		cmocka_unit_test(test_queues),
		cmocka_unit_test(test_redirected),
		cmocka_unit_test(test_lost_sight),
		cmocka_unit_test(test_reused_address),
		cmocka_unit_test(test_from_and_filter),
		cmocka_unit_test(test_only_a_drop),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_long_run),
		cmocka_unit_test(test_many_steps),
		cmocka_unit_test(test_tag),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
