/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of a bridge, and the ports and mirrors that they name; where they are asked: hookpoint.c.
 */
#include <string.h>

#include "core/bridge_internal.h"

enum {
	STEP_MIRROR_TX = 1 << HOOK_N, /* some port's egress is mirrored */
};

uint16_t bridge_port_number(const void *ctx, const char *name)
{
	const struct bridge *br = ctx;

	for (uint32_t i = 0; i < br->n_ports; i++)
		if (!strcmp(br->ports[i]->name, name))
			return br->ports[i]->no;
	return HOOK_NO_PORT;
}

void bridge_bind(struct bridge *br)
{
	br->steps = mirrors_bind(br) ? STEP_MIRROR_TX : 0;
	for (int h = 0; h < HOOK_N; h++) {
		if (!br->hooks[h])
			continue;
		hook_set_bind(br->hooks[h], bridge_port_number, mirror_number, br);
		if (h != HOOK_PRE_ROUTING)
			br->steps |= (uint8_t)(1u << h);
	}
}

struct hook_set *bridge_set_hook(struct bridge *br, enum hook h, struct hook_set *s)
{
	struct hook_set *old = br->hooks[h];

	if (s && s->n > 0)
		hook_set_inherit(s, old);
	br->hooks[h] = s;
	bridge_bind(br);
	return old;
}

const struct hook_set *bridge_hook(const struct bridge *br, enum hook h)
{
	return br->hooks[h];
}

void hooks_free(struct bridge *br)
{
	for (int h = 0; h < HOOK_N; h++)
		hook_set_free(br->hooks[h]);
}
