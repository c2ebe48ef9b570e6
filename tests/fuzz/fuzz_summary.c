/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a frame, its summary in buffers of several sizes. It is text of one line, fits where
 * the header says it does, and a shorter buffer gets its beginning.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wire/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static char *summary_of(const uint8_t *data, size_t size, uint32_t len, size_t room)
{
	char *text = malloc(room ? room : 1);

	check(frame_summary(data, (uint32_t)size, len, text, room) == text);
	return text;
}

/* caplen bytes and no more, so that a read behind them is seen. */
static void check_prefix(const uint8_t *data, size_t size, size_t room)
{
	uint8_t *bytes = malloc(size ? size : 1);
	char *whole, *part;

	memcpy(bytes, data, size);
	whole = summary_of(bytes, size, UINT32_MAX, FRAME_SUMMARY_SIZE);
	check(strlen(whole) < FRAME_SUMMARY_SIZE - 1);
	for (const char *p = whole; *p; p++)
		check(*p >= ' ' && *p <= '~');
	part = summary_of(bytes, size, UINT32_MAX, room);
	if (room > 0) {
		check(strlen(part) < room);
		check(strncmp(part, whole, strlen(part)) == 0);
	}
	free(part);
	free(whole);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_prefix(data, size, size % 97);
	check_prefix(data, size, FRAME_SUMMARY_SIZE);
	return 0;
}
