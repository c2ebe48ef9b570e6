/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/drop.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void names_are_distinct_words(void **state)
{
	for (unsigned i = 0; i < DROP_N; i++) {
		const char *name = drop_name(i);

		assert_true(strlen(name) > 2);
		for (const char *c = name; *c; c++)
			assert_true(islower(*c) || isdigit(*c) || *c == '-');
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(name, drop_name(j));
	}
}

static void each_reason_has_a_sentence_of_its_own(void **state)
{
	for (unsigned i = 0; i < DROP_N; i++) {
		assert_non_null(strchr(drop_text(i), ' '));
		assert_true(strlen(drop_text(i)) < 80);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(drop_text(i), drop_text(j));
	}
}

static void name_and_sentence_belong_together(void **state)
{
	assert_string_equal(drop_name(DROP_SAME_PORT), "same-port");
	assert_non_null(strstr(drop_text(DROP_SAME_PORT), "behind the port"));
	assert_string_equal(drop_name(DROP_GSO_MALFORMED), "gso-malformed");
	assert_non_null(strstr(drop_text(DROP_GSO_MALFORMED), "GSO"));
}

static void last_frame_is_noted(void **state)
{
	static struct drop_log log;
	uint8_t bytes[200];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	log.now_ns = 7;
	drop_note(&log, 3, DROP_PAUSE, bytes, sizeof(bytes), 1500);
	assert_int_equal(log.last[DROP_PAUSE].time_ns, 7);
	assert_int_equal(log.last[DROP_PAUSE].port, 3);
	assert_int_equal(log.last[DROP_PAUSE].len, 1500);
	assert_int_equal(log.last[DROP_PAUSE].caplen, DROP_BYTES);
	assert_memory_equal(log.last[DROP_PAUSE].data, bytes, DROP_BYTES);
	assert_int_equal(log.last[DROP_RULE].time_ns, 0);
	/* A shorter one leaves what was behind it, but does not count it. */
	log.now_ns = 8;
	drop_note(&log, 4, DROP_PAUSE, bytes + 100, 60, 60);
	assert_int_equal(log.last[DROP_PAUSE].time_ns, 8);
	assert_int_equal(log.last[DROP_PAUSE].caplen, 60);
	assert_memory_equal(log.last[DROP_PAUSE].data, bytes + 100, 60);
	for (uint32_t n = 0; n <= sizeof(bytes); n++) { /* exactly that many are read */
		uint8_t *exact = malloc(n + 1);

		memcpy(exact, bytes, n);
		memset(log.last[DROP_PAUSE].data, 0xee, DROP_BYTES);
		drop_note(&log, 4, DROP_PAUSE, exact, n, n);
		assert_int_equal(log.last[DROP_PAUSE].caplen, n < DROP_BYTES ? n : DROP_BYTES);
		assert_memory_equal(log.last[DROP_PAUSE].data, bytes, log.last[DROP_PAUSE].caplen);
		free(exact);
	}
	/* Without its bytes, and without a log. */
	drop_note(&log, 0, DROP_OVERSIZE, NULL, 0, 9000);
	assert_int_equal(log.last[DROP_OVERSIZE].len, 9000);
	assert_int_equal(log.last[DROP_OVERSIZE].caplen, 0);
	drop_note(NULL, 1, DROP_PAUSE, bytes, 60, 60);
}

static void rate_is_that_of_the_last_second(void **state)
{
	static struct drop_log log;
	const struct drop_last *l = &log.last[DROP_RULE];
	const uint64_t period = 1ULL << DROP_PERIOD_LOG;
	const uint8_t bytes[60] = {0};

	assert_true(drop_rate(l, 100 * period) == 0);
	log.now_ns = 10 * period;
	for (int i = 0; i < 1000; i++)
		drop_note(&log, 1, DROP_RULE, bytes, 60, 60);
	assert_true(drop_rate(l, 10 * period + 5) == 0); /* the period before had none */
	assert_true(drop_rate(l, 11 * period) > 931 && drop_rate(l, 11 * period) < 932);
	assert_true(drop_rate(l, 12 * period) == 0);
	log.now_ns = 11 * period;
	drop_note(&log, 1, DROP_RULE, bytes, 60, 60);
	assert_true(drop_rate(l, 11 * period + 5) > 931); /* not the one that has just begun */
	assert_true(drop_rate(l, 12 * period) < 1);
	log.now_ns = 13 * period; /* a gap */
	drop_note(&log, 1, DROP_RULE, bytes, 60, 60);
	assert_true(drop_rate(l, 13 * period + 5) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_distinct_words),
		cmocka_unit_test(each_reason_has_a_sentence_of_its_own),
		cmocka_unit_test(name_and_sentence_belong_together),
		cmocka_unit_test(last_frame_is_noted),
		cmocka_unit_test(rate_is_that_of_the_last_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
