/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a packet on netmap.sock. What is accepted must lie inside the packet, and the answer
 * to it inside the largest answer.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wire/attach.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct attach_msg m;
	static uint8_t out[ATTACH_PACKET_MAX];
	struct attach_reply h = {.error = 0};

	if (attach_parse(data, size, &m))
		return 0;
	check(strlen(m.h.name) < sizeof(m.h.name) && strlen(m.h.program) < sizeof(m.h.program));
	check(m.n_options <= ATTACH_OPTIONS_N);
	for (uint32_t i = 0; i < m.n_options; i++) {
		check(m.options[i].data >= data);
		check(m.options[i].data + m.options[i].size <= data + size);
	}
	h.body_size = m.h.body_size;
	check(attach_build(out, &h, m.body, &m, NULL) <= sizeof(out));
	return 0;
}
