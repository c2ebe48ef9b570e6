/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys/proc.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A child that is gone, and not waited for. */
static pid_t dead_child(int sig)
{
	pid_t pid = fork();
	siginfo_t info;

	if (pid == 0) {
		if (sig)
			raise(sig);
		_exit(3);
	}
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	return pid;
}

static void ends(void **state)
{
	int sig = 99;
	pid_t pid;

	assert_false(proc_ended(getpid(), &sig));
	assert_int_equal(sig, 0);
	pid = dead_child(SIGKILL);
	assert_true(proc_ended(pid, &sig));
	assert_int_equal(sig, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(proc_ended(pid, &sig)); /* nobody is there any more */
	assert_int_equal(sig, 0);
	pid = dead_child(0);
	assert_true(proc_ended(pid, &sig));
	assert_int_equal(sig, 0);
	waitpid(pid, NULL, 0);
}

/* A child's parent is known, and one that has the same number later began later. */
static void looks(void **state)
{
	struct proc_info me, other;
	pid_t pid = dead_child(0);

	assert_true(proc_look(getpid(), &me));
	assert_int_equal(me.parent, getppid());
	assert_true(me.start > 0);
	assert_true(proc_look(pid, &other)); /* not waited for */
	assert_int_equal(other.parent, getpid());
	assert_true(other.start >= me.start);
	waitpid(pid, NULL, 0);
	assert_false(proc_look(pid, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends),
		cmocka_unit_test(looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
