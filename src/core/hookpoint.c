/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the bridge calls its hooks, as the Linux bridge does:
 *
 *	from port to port    PRE_ROUTING, then for each copy FORWARD, POST_ROUTING
 *	from port to host    PRE_ROUTING, LOCAL_IN
 *	from the host        for each copy LOCAL_OUT, POST_ROUTING
 *	reserved addresses that are not bridged   LOCAL_IN only
 *
 * PRE_ROUTING comes after interception: a frame that goes to a program has it when it is back. So
 * each frame passes each hook once, whoever saw it in between. The mark is the frame's up to there;
 * in pass 2 each copy goes on with its own.
 */
#include <string.h>

#include "core/bridge_internal.h"

enum {
	STEP_MIRROR_TX = 1 << HOOK_N, /* some port's egress is mirrored */
};

/* ---- settings ---- */

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

/* ---- frames ---- */

/* False: dropped. */
static inline bool ask(struct bridge *br, enum hook h, struct hook_frame *hf, struct frame *f)
{
	bool goes_on;

	if (!br->hooks[h])
		return true;
	hf->mirrors = 0;
	goes_on = hook_run(br->hooks[h], hf);
	if (unlikely(hf->mirrors))
		mirror_chosen(br, hf->mirrors, f);
	return goes_on;
}

bool bridge_pre_routing_one(struct bridge *br, const struct bport *in, struct frame *f)
{
	struct hook_frame hf = {.f = f, .in = in->no, .vlan = hook_vlan(f), .mark = f->mark};
	bool goes_on;

	if (unlikely(mac_is_reserved(f->dst)) && !reserved_passes(br, in, f->dst))
		return true;
	goes_on = ask(br, HOOK_PRE_ROUTING, &hf, f);
	f->mark = hf.mark;
	return goes_on;
}

void bridge_pre_routing(struct bridge *br, struct bport *in, struct batch *b, struct drop_set *d)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct frame *f = &b->frames[i];

		if (f->verdict == FRAME_DROP || f->verdict == FRAME_RING ||
		    bridge_pre_routing_one(br, in, f))
			continue;
		if ((f->flags & FRAME_ENGINE_FLAGS) == FRAME_SHOWN) {
			/* The program's copy came before the rule; only that is left. */
			bport_drop(in, DROP_RULE, 1);
			f->verdict = FRAME_RING;
			continue;
		}
		if (f->flags & FRAME_NO_HOST) /* the host's share goes with the rest */
			br->intercept.sides[INTERCEPT_NIC].counters.taken--;
		drop_set_add(d, in, f, DROP_RULE);
	}
}

bool bridge_leaves(struct bridge *br, struct bport *in, const struct bport *p, struct frame *f)
{
	struct hook_frame hf = {
		.f = f,
		.in = in->no,
		.out = p->no,
		.vlan = hook_vlan(f),
		.mark = f->mark,
	};
	const enum hook first = p->host                  ? HOOK_LOCAL_IN
				: f->flags & FRAME_LOCAL ? HOOK_LOCAL_OUT
							 : HOOK_FORWARD;

	if (!ask(br, first, &hf, f) || (!p->host && !ask(br, HOOK_POST_ROUTING, &hf, f))) {
		bport_drop(in, DROP_RULE, 1);
		return false;
	}
	if (p->mirror_tx)
		mirror_tx(br, p, f);
	return true;
}
