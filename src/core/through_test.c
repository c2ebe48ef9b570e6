/* SPDX-License-Identifier: BSD-2-Clause */
/* Bridges and devices of the kernel: a is a member, c the interface itself, h what the host sends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/intercept_testkit.h"

static int setup_kind(void **state, enum bridge_kind kind)
{
	struct ilab *l = ilab_new_kind(kind);

	ilab_rings(l, LIVE);
	ilab_tx(l, true);
	*state = l;
	return 0;
}

static int setup_adopted(void **state)
{
	return setup_kind(state, BRIDGE_ADOPTED);
}

static int setup_netdev(void **state)
{
	return setup_kind(state, BRIDGE_NETDEV);
}

/* A copy that a driver made. */
static void send_copy(struct ilab *l, struct bport *in, uint64_t src, uint64_t dst)
{
	kit_frame(l->k, src, dst, 60)->flags = FRAME_COPY;
	kit_run(l->k, in);
	ilab_take(l);
}

static void without_programs_frames_go_on_where_they_came_in(void **state)
{
	struct ilab *l = *state;

	ilab_rings(l, 0);
	ilab_tx(l, false);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "a");
	ilab_send(l, l->b, BB, MAC_BROADCAST);
	assert_got(l, "b");
	ilab_send(l, l->c, BB, l->host->mac);
	assert_got(l, "c");
	ilab_send(l, l->host, l->host->mac, AA);
	assert_got(l, "h");
}

/* Whatever the bridge of the kernel will do with it. */
static void all_that_is_taken_is_shown_and_goes_back_to_its_port(void **state)
{
	static const uint64_t to[] = {AA, BB, XX, MAC_BROADCAST, MCAST};
	struct ilab *l = *state;

	for (uint32_t i = 0; i < array_size(to); i++)
		for (int how = SWAPPED; how <= COPIED; how++) {
			ilab_send(l, l->a, AA, to[i]);
			assert_got(l, "n");
			ilab_give(l, INTERCEPT_NIC, (enum give)how);
			assert_got(l, "a");
		}
	ilab_send(l, l->host, l->host->mac, BB);
	assert_got(l, "H");
	ilab_give(l, INTERCEPT_HOST, SWAPPED);
	assert_got(l, "h");
}

static void nothing_is_learned(void **state)
{
	struct ilab *l = *state;
	struct fdb_stats st;

	ilab_send(l, l->a, AA, BB);
	ilab_forget(l);
	fdb_stats(bridge_fdb(l->k->br), &st);
	assert_int_equal(st.n_learned, 0);
}

/* First frame of a new host, through a program that changed it beyond recognition. */
static void the_port_of_a_source_is_known_from_its_first_frame(void **state)
{
	struct ilab *l = *state;

	ilab_send(l, l->b, XX, AA);
	assert_got(l, "n");
	ilab_forget(l);
	ilab_make(l, XX, BB);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "b");
}

static void frames_of_the_program_go_on_as_the_interface_would_receive_them(void **state)
{
	struct ilab *l = *state;

	ilab_make(l, 0x020000009999ULL, l->host->mac);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "c");
	ilab_make(l, 0x020000009999ULL, l->a->mac);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "c");
	ilab_make(l, 0x020000009999ULL, BB);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "h");
	ilab_make(l, 0x020000009999ULL, MAC_BROADCAST);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "ch");
	ilab_make(l, 0x020000009999ULL, BB);
	ilab_give(l, INTERCEPT_HOST, SWAPPED);
	assert_got(l, "h");
}

static void a_device_has_only_the_host_behind_it(void **state)
{
	static const uint64_t to[] = {AA, MAC_BROADCAST};
	struct ilab *l = *state;

	for (uint32_t i = 0; i < array_size(to); i++) {
		ilab_make(l, 0x020000009999ULL, to[i]);
		ilab_give(l, INTERCEPT_NIC, SWAPPED);
		assert_got(l, "c");
		ilab_make(l, 0x020000009999ULL, to[i]);
		ilab_give(l, INTERCEPT_HOST, SWAPPED);
		assert_got(l, "h");
	}
}

static void a_copy_is_shown_and_goes_nowhere_else(void **state)
{
	struct ilab *l = *state;

	ilab_set(l, INTERCEPT_COPY, INTERCEPT_OPEN);
	send_copy(l, l->a, AA, BB);
	assert_got(l, "n");
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "");
	assert_int_equal(ilab_drops(l, DROP_COPY_RETURN), 1);
	assert_int_equal(l->ic->sides[INTERCEPT_NIC].counters.copied, 1);
}

/* The settings changed while it was on its way. */
static void a_copy_is_never_taken_for_the_frame(void **state)
{
	struct ilab *l = *state;

	ilab_set(l, INTERCEPT_ALL, INTERCEPT_OPEN);
	send_copy(l, l->a, AA, BB);
	assert_got(l, "n");
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "");
	ilab_set(l, INTERCEPT_NONE, INTERCEPT_OPEN);
	send_copy(l, l->a, AA, BB);
	assert_got(l, "");
	ilab_set(l, INTERCEPT_ALL, INTERCEPT_CLOSED);
	ilab_rings(l, 0);
	send_copy(l, l->a, AA, BB);
	assert_got(l, "");
	assert_int_equal(l->ic->sides[INTERCEPT_NIC].counters.copies_lost, 2);
	assert_int_equal(ilab_drops(l, DROP_NOT_INSPECTED), 0);
}

/* And the other way round: it was taken, so it goes on. */
static void a_frame_is_never_taken_for_a_copy(void **state)
{
	struct ilab *l = *state;

	ilab_set(l, INTERCEPT_COPY, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "an");
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "");
}

static void local_takes_what_the_interface_receives(void **state)
{
	struct ilab *l = *state;

	ilab_set(l, INTERCEPT_LOCAL, INTERCEPT_OPEN);
	ilab_send(l, l->c, AA, MAC_BROADCAST);
	assert_got(l, "n");
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "c");
}

static void fail_says_what_happens_without_a_reader(void **state)
{
	struct ilab *l = *state;

	ilab_rings(l, INTERCEPT_BOUND);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "a");
	ilab_set(l, INTERCEPT_ALL, INTERCEPT_CLOSED);
	ilab_send(l, l->a, AA, BB);
	assert_got(l, "");
	assert_int_equal(ilab_drops(l, DROP_NOT_INSPECTED), 1);
}

static void a_port_that_left_takes_its_frames_along(void **state)
{
	struct ilab *l = *state;

	ilab_send(l, l->a, AA, BB);
	bridge_port_del(l->k->br, l->a);
	l->a = NULL;
	l->n_held[INTERCEPT_NIC] = 0;
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_got(l, "");
	assert_int_equal(ilab_drops(l, DROP_ORIGIN_GONE), 1);
}

static void what_does_not_fit_is_dropped_or_goes_on(void **state)
{
	struct ilab *l = *state;
	struct intercept_settings s = l->ic->set;
	struct frame *f;

	for (int pass = 0; pass < 2; pass++) {
		s.overflow = pass ? INTERCEPT_OVERFLOW_PASS : INTERCEPT_OVERFLOW_DROP;
		intercept_set(l->ic, &s);
		kit_frame(l->k, AA, BB, 60);
		kit_run(l->k, l->a);
		f = l->k->out->lists[EGRESS_RING(0, 0)].frames[0];
		l->k->out->lists[EGRESS_RING(0, 0)].n = 0;
		bridge_intercept_refused(l->k->br, &f, 1, l->k->out);
		assert_got(l, pass ? "a" : "");
	}
	assert_int_equal(ilab_drops(l, DROP_RING_FULL), 1);
}

#define on_bridge(t) cmocka_unit_test_setup_teardown(t, setup_adopted, ilab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_bridge(without_programs_frames_go_on_where_they_came_in),
		on_bridge(all_that_is_taken_is_shown_and_goes_back_to_its_port),
		on_bridge(nothing_is_learned),
		on_bridge(the_port_of_a_source_is_known_from_its_first_frame),
		on_bridge(frames_of_the_program_go_on_as_the_interface_would_receive_them),
		cmocka_unit_test_setup_teardown(a_device_has_only_the_host_behind_it, setup_netdev,
						ilab_teardown),
		on_bridge(a_copy_is_shown_and_goes_nowhere_else),
		on_bridge(a_copy_is_never_taken_for_the_frame),
		on_bridge(a_frame_is_never_taken_for_a_copy),
		on_bridge(local_takes_what_the_interface_receives),
		on_bridge(fail_says_what_happens_without_a_reader),
		on_bridge(a_port_that_left_takes_its_frames_along),
		on_bridge(what_does_not_fit_is_dropped_or_goes_on),
	};

	return cmocka_run_group_tests_name("core/through", tests, NULL, NULL);
}
