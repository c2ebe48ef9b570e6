/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/bport.h"

#include <string.h>

static const struct {
	const char *name, *sysfs;
	bool on;
} flags[] = {
#define X(id, name, sysfs, def) {name, sysfs, def},
	BPORT_FLAG_LIST(X)
#undef X
};
_Static_assert(array_size(flags) == BPORT_FLAG_N, "a row for each flag");
_Static_assert(BPORT_FLAG_N <= 8, "flags fit in struct bport's uint8_t");

static const char *const states[] = {
	[BPORT_DISABLED] = "disabled", [BPORT_LISTENING] = "listening",
	[BPORT_LEARNING] = "learning", [BPORT_FORWARDING] = "forwarding",
	[BPORT_BLOCKING] = "blocking",
};
_Static_assert(array_size(states) == BPORT_STATE_N, "a name for each state");

const char *bport_flag_name(enum bport_flag_bit bit)
{
	return bit < BPORT_FLAG_N ? flags[bit].name : NULL;
}

const char *bport_flag_sysfs_name(enum bport_flag_bit bit)
{
	return bit < BPORT_FLAG_N ? flags[bit].sysfs : NULL;
}

enum bport_flag bport_flag_parse(const char *name)
{
	for (unsigned i = 0; i < BPORT_FLAG_N; i++) {
		if (strcmp(flags[i].name, name) == 0)
			return 1u << i;
	}
	return 0;
}

uint8_t bport_flags_default(void)
{
	uint8_t r = 0;

	for (unsigned i = 0; i < BPORT_FLAG_N; i++) {
		if (flags[i].on)
			r |= (uint8_t)(1u << i);
	}
	return r;
}

const char *bport_state_name(enum bport_state s)
{
	return states[s];
}
