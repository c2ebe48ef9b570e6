/* SPDX-License-Identifier: BSD-2-Clause */
/* What ports.c can do without a device: telling our own changes from other people's. */
#include "daemon/ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void own_values_come_back_late(void **state)
{
	struct echo e;

	echo_init(&e, 1);
	echo_write(&e, 2);
	echo_write(&e, 3);
	assert_int_equal(echo_last(&e), 3);
	assert_false(echo_foreign(&e, 1)); /* an event from before */
	assert_false(echo_foreign(&e, 2));
	assert_false(echo_foreign(&e, 2)); /* another change, same value */
	assert_int_equal(echo_last(&e), 3);
	assert_false(echo_foreign(&e, 3));
	assert_int_equal(echo_last(&e), 3);
}

static void one_event_for_two_writes(void **state)
{
	struct echo e;

	echo_init(&e, 1);
	echo_write(&e, 2);
	echo_write(&e, 3);
	assert_false(echo_foreign(&e, 3));
	assert_true(echo_foreign(&e, 2)); /* not ours any more */
}

static void others_are_told(void **state)
{
	struct echo e;

	echo_init(&e, 1);
	assert_true(echo_foreign(&e, 7));
	assert_int_equal(echo_last(&e), 7);
	assert_false(echo_foreign(&e, 7));
	echo_write(&e, 2);
	assert_true(echo_foreign(&e, 9));
	assert_int_equal(echo_last(&e), 9);
}

static void many_writes_without_an_answer(void **state)
{
	struct echo e;

	echo_init(&e, 0);
	for (uint64_t i = 1; i <= 3 * ECHO_SIZE; i++)
		echo_write(&e, i);
	assert_int_equal(echo_last(&e), 3 * ECHO_SIZE);
	assert_false(echo_foreign(&e, 3 * ECHO_SIZE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_values_come_back_late),
		cmocka_unit_test(one_event_for_two_writes),
		cmocka_unit_test(others_are_told),
		cmocka_unit_test(many_writes_without_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
