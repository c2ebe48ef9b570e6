/* SPDX-License-Identifier: BSD-2-Clause */
/* What a trunk refuses, and what is left of it when it is closed or its daemon dies. Needs what
 * trunk_test.c needs. */
#include "port/trunk_testkit.h"

static void refusals_are_said(void **state)
{
	struct world *w = *state;
	struct port *p = NULL;
	const char *why = "?";

	assert_int_equal(trunk_place_open(w->trunk, 99999, TRUNK_INGRESS, 5, &p, &why), -ENODEV);
	assert_string_equal(why, "no such device");
	assert_int_equal(
		trunk_place_open(w->trunk, if_nametoindex("m0"), TRUNK_INGRESS, 5, &p, &why),
		-EEXIST);
	assert_string_equal(why, "its frames are taken already");
	assert_null(p);
	/* A member that is down, or goes away. */
	plan(w, TRUNK_TAKE);
	send_one(w);
	run("ip link set m0 down");
	assert_int_equal(serve_n(w, 1), 1);
	assert_int_equal(w->place[10]->drops.n[DROP_TX_DOWN], 1);
	run("ip link set m0 up; ip link del m0");
	trunk_place_close(w->place[10]);
	w->place[10] = NULL;
}

static void close_leaves_everything_as_it_was(void **state)
{
	struct world *w = *state;

	plan(w, TRUNK_TAKE);
	trunk_plan(add_place(w, "br0", TRUNK_EGRESS, NO_BR0), TRUNK_COPY);
	shell(w, "nsenter -t %d -n ping -q -c 1 -W 1 10.7.0.2 >/dev/null", w->ns[0]);
	assert_false(as_before(w, false));
	w->trunk = trunk_close(w->trunk);
	wait_until_as_before(w);
	send_one(w);
	assert_true(arrives(w));
}

/* A daemon that has a trunk at m0 and m1 and at both sides of br0, and is killed. */
static void die_with_a_trunk(struct world *w)
{
	const pid_t child = fork();
	const char *why;
	int status;

	if (child == 0) {
		/* Another daemon than the test itself. */
		if (port_env_new(w->run_dir, &w->env, &why))
			_exit(1);
		open_trunk(w, false, NO_HANG_MS);
		trunk_plan(add_place(w, "br0", TRUNK_EGRESS, NO_BR0), TRUNK_TAKE);
		trunk_plan(add_place(w, "br0", TRUNK_INGRESS, NO_BR0 + 1), TRUNK_TAKE);
		plan(w, TRUNK_TAKE);
		if (w->no_janitor)
			janitor_stop(&w->env->janitor);
		kill(getpid(), SIGKILL);
	}
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* A daemon that dies takes everything with it. */
static void nothing_is_left_of_a_dead_daemon(void **state)
{
	struct world *w = *state;

	w->trunk = trunk_close(w->trunk);
	die_with_a_trunk(w);
	wait_until_as_before(w);
}

/* As on a kernel before 6.6: the filters stay, and somebody else takes them away. */
static void clsact_is_cleaned_up_by_the_janitor(void **state)
{
	struct world *w = *state;

	w->trunk = trunk_close(w->trunk);
	sys_bpf_allow_tcx(false);
	die_with_a_trunk(w);
	sys_bpf_allow_tcx(true);
	wait_until_as_before(w);
	assert_int_equal(rmdir(w->run_dir), 0); /* no note is left */
	assert_int_equal(mkdir(w->run_dir, 0700), 0);
}

/* The janitor was killed as well. */
static void clsact_is_cleaned_up_at_the_next_start(void **state)
{
	struct world *w = *state;

	w->trunk = trunk_close(w->trunk);
	sys_bpf_allow_tcx(false);
	w->no_janitor = true;
	die_with_a_trunk(w);
	sys_bpf_allow_tcx(true);
	run("test -n \"$(tc filter show dev m0 ingress)\"");
	port_env_recover(w->env);
	wait_until_as_before(w);
}

/* Frames go the same way, and closing leaves nothing. */
static void clsact_works_as_tcx_does(void **state)
{
	struct world *w = *state;

	w->trunk = trunk_close(w->trunk);
	sys_bpf_allow_tcx(false);
	open_trunk(w, false, NO_HANG_MS);
	add_place(w, "br0", TRUNK_EGRESS, NO_BR0);
	add_place(w, "br0", TRUNK_INGRESS, NO_BR0 + 1);
	sys_bpf_allow_tcx(true);
	assert_string_equal(w->place[10]->mode, "clsact");
	plan(w, TRUNK_TAKE);
	send_one(w);
	assert_false(arrives(w));
	assert_int_equal(serve_n(w, 1), 1);
	assert_true(arrives(w));
	w->trunk = trunk_close(w->trunk);
	wait_until_as_before(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(refusals_are_said),
		T(close_leaves_everything_as_it_was),
		T(nothing_is_left_of_a_dead_daemon),
		T(clsact_works_as_tcx_does),
		T(clsact_is_cleaned_up_by_the_janitor),
		T(clsact_is_cleaned_up_at_the_next_start),
	};

	if (!trunk_tests_can_run())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
