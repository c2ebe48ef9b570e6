/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/limit.h"

#include "base/compiler.h"

#define SECOND_NS 1000000000ULL

bool limit_take(struct limit *l, uint64_t now_ns, uint64_t *ret_suppressed)
{
	uint64_t earned = (now_ns - l->last_ns) / SECOND_NS;

	if (earned > 0) {
		l->spent -= (uint32_t)min_of(earned, (uint64_t)l->spent);
		l->last_ns += earned * SECOND_NS;
	}
	if (l->spent >= LIMIT_BURST) {
		l->suppressed++;
		return false;
	}
	l->spent++;
	*ret_suppressed = l->suppressed;
	l->suppressed = 0;
	return true;
}
