/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/bport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void defaults_are_those_of_linux(void **state)
{
	assert_int_equal(bport_flags_default(), BPORT_LEARNING_FLAG | BPORT_FLOOD_FLAG |
							BPORT_MCAST_FLOOD_FLAG |
							BPORT_BCAST_FLOOD_FLAG);
}

static void flag_names_go_both_ways(void **state)
{
	for (unsigned i = 0; i < BPORT_FLAG_N; i++)
		assert_int_equal(bport_flag_parse(bport_flag_name(i)), 1u << i);
	assert_int_equal(bport_flag_parse("mcast_flood"), BPORT_MCAST_FLOOD_FLAG);
	assert_int_equal(bport_flag_parse("Learning"), 0);
	assert_int_equal(bport_flag_parse("learn"), 0);
	assert_int_equal(bport_flag_parse(""), 0);
}

static void sysfs_names_differ_where_linux_has_it_so(void **state)
{
	assert_string_equal(bport_flag_sysfs_name(BPORT_FLAG_BIT_FLOOD), "unicast_flood");
	assert_string_equal(bport_flag_sysfs_name(BPORT_FLAG_BIT_HAIRPIN), "hairpin_mode");
	assert_string_equal(bport_flag_sysfs_name(BPORT_FLAG_BIT_ISOLATED), "isolated");
}

static void past_the_end_there_is_no_name(void **state)
{
	assert_null(bport_flag_name(BPORT_FLAG_N));
	assert_null(bport_flag_sysfs_name(BPORT_FLAG_N));
}

static void states_have_the_numbers_of_the_kernel(void **state)
{
	assert_string_equal(bport_state_name(0), "disabled");
	assert_string_equal(bport_state_name(1), "listening");
	assert_string_equal(bport_state_name(2), "learning");
	assert_string_equal(bport_state_name(3), "forwarding");
	assert_string_equal(bport_state_name(4), "blocking");
}

static void longest_frame_leaves_room_for_a_tag(void **state)
{
	assert_int_equal(bport_max_len(1500), 1518);
	assert_int_equal(bport_max_len(9000), 9018);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_linux),
		cmocka_unit_test(flag_names_go_both_ways),
		cmocka_unit_test(sysfs_names_differ_where_linux_has_it_so),
		cmocka_unit_test(past_the_end_there_is_no_name),
		cmocka_unit_test(states_have_the_numbers_of_the_kernel),
		cmocka_unit_test(longest_frame_leaves_room_for_a_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
