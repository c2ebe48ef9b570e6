/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a file of learned addresses. What is accepted lies inside it, and its addresses are
 * such as stations have.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mac.h"
#include "daemon/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *bytes = malloc(size); /* aligned, and what is read beyond it is noticed */
	struct snapshot_image s;

	if (size)
		memcpy(bytes, data, size);
	if (snapshot_parse(bytes, size, &s)) {
		check((const uint8_t *)(s.entries + s.head->n_entries) == (uint8_t *)bytes + size);
		for (uint32_t i = 0; i < s.head->n_ports; i++)
			check(strlen(s.ports[i]) < BPORT_NAME_SIZE);
		for (uint32_t i = 0; i < s.head->n_entries; i++)
			check(s.entries[i].port < s.head->n_ports && s.entries[i].vid < 4095 &&
			      mac_is_valid_source(s.entries[i].mac));
	}
	free(bytes);
	return 0;
}
