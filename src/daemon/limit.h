/* SPDX-License-Identifier: BSD-2-Clause */
/* Rate limit for log lines that frames can trigger: a burst, then one a second. One owner. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_BURST 5u

struct limit {
	uint64_t last_ns;    /* when `spent` was last reduced */
	uint32_t spent;      /* of the burst */
	uint64_t suppressed; /* since the last time that limit_take() said yes */
};

/* May one more line be written now? Then *ret_suppressed says how many were not before it. */
bool limit_take(struct limit *l, uint64_t now_ns, uint64_t *ret_suppressed);
