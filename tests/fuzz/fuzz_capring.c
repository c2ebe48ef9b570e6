/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of a capture: any bytes as the memory of a ring, records of which are made into
 * text. Input: eight bytes where the ring begins, eight where it ends, then the memory.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/capture_text.h"

#define SIZE 4096u

static struct capture_names names;

static void look(const struct capring_record *r, const uint8_t *data)
{
	char text[CAPTURE_TEXT_SIZE];

	if ((const uint8_t *)r < data || (const uint8_t *)r + r->size > data + SIZE)
		abort();
	if (r->type == CAPRING_PORT) {
		memcpy(names.ports[r->port], r->data, CAPRING_NAME - 1);
		return;
	}
	if (r->data + r->caplen > (const uint8_t *)r + r->size)
		abort();
	capture_text(&names, r, text, sizeof(text));
	if (strlen(text) >= sizeof(text))
		abort();
	capture_verdict(r);
	capture_reason(&names, r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct capring_shared *shared = aligned_alloc(4096, CAPRING_DATA + SIZE);
	uint8_t *bytes = (uint8_t *)shared + CAPRING_DATA;
	const struct capring_record *r;
	struct capring_reader ring;
	uint64_t ends[2] = {0};

	if (!names.reasons)
		names.reasons = json_pack("[{s:s, s:s}]", "reason", "runt", "text", "short");
	memset(shared, 0, CAPRING_DATA + SIZE);
	memcpy(ends, data, size < sizeof(ends) ? size : sizeof(ends));
	if (size > sizeof(ends)) {
		data += sizeof(ends);
		size -= sizeof(ends);
		memcpy(bytes, data, size < SIZE ? size : SIZE);
	}
	shared->tail = ends[0] & ~7ULL;
	shared->head = shared->tail + (ends[1] & 0x1fff);
	capring_open(&ring, shared, SIZE);
	for (unsigned int n = 0; n < 2 * SIZE && capring_next(&ring, &r) == 0 && r; n++) {
		look(r, bytes);
		capring_release(&ring);
	}
	free(shared);
	return 0;
}
