/* SPDX-License-Identifier: BSD-2-Clause */
/* What became of a captured frame, in words. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "wire/capring.h"

/* What is needed for that. */
struct capture_names {
	const json_t *reasons; /* of the daemon: [{"reason", "text"}, ...] */
	char ports[CAPRING_PORTS][CAPRING_NAME];
};

#define CAPTURE_TEXT_SIZE 512

/* "forwarded", "dropped": for machines; "" where the point says it all. */
const char *capture_verdict(const struct capring_record *r);
/* "same-port" of a frame that was dropped; NULL: none. */
const char *capture_reason(const struct capture_names *n, const struct capring_record *r);
const char *capture_port(const struct capture_names *n, uint16_t no, char *buf, size_t size);
/* "in: forwarded to veth2". Returns buf. */
const char *capture_text(const struct capture_names *n, const struct capring_record *r, char *buf,
			 size_t size);
