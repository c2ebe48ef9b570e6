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
#include "core/program.h"

/* For journeys: the rules that say something about the frame, asked one by one. */
static _cold_ void step_hook(struct bridge *br, enum hook h, struct hook_frame hf,
			     const struct frame *f)
{
	const struct hook_set *s = br->hooks[h];
	const struct bport *out = port_by_no(br, hf.out);
	struct trace_record r = {.step = TRACE_HOOK, .value = (uint32_t)h};

	_Static_assert(HOOK_NAME_SIZE <= TRACE_NAME_SIZE, "a record has room for the name");
	for (uint32_t i = 0; i < s->n; i++) {
		const struct hook_rule *rule = &s->rules[i];

		if (!hook_rule_matches(rule, &hf))
			continue;
		memcpy(r.name, rule->name, sizeof(rule->name));
		r.result = rule->verdict;
		r.value2 = i + 1;
		r.mac = rule->verdict == HOOK_MARK ? rule->set_mark : 0;
		r.port = out ? out->no : 0;
		trace_step(br->trace, f, NULL, r);
		if (rule->verdict == HOOK_ACCEPT || rule->verdict == HOOK_DROP)
			return;
		if (rule->verdict == HOOK_MARK)
			hf.mark = rule->set_mark;
	}
	STEP(br, f, NULL, HOOK, .value = (uint32_t)h, .port = hf.out, .result = HOOK_ACCEPT);
}

/* False: dropped. */
static inline bool ask(struct bridge *br, enum hook h, struct hook_frame *hf, struct frame *f)
{
	bool goes_on;

	if (!br->hooks[h])
		return true;
	hf->mirrors = 0;
	if (TRACED && f->flags & FRAME_TRACED)
		step_hook(br, h, *hf, f);
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
			count_drop(br, in, f, DROP_RULE);
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
		count_drop(br, in, f, DROP_RULE);
		return false;
	}
	if (p->mirror_tx)
		mirror_tx(br, p, f);
	return true;
}
