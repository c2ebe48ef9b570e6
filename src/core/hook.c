/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/hook.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "core/decision.h"
#include "core/program.h"

static const char *const names[] = {
#define X(id, name) name,
	HOOK_LIST(X)
#undef X
};
_Static_assert(array_size(names) == HOOK_N, "a name for each hook");

static const char *const verdicts[] = {"accept", "drop", "mirror", "mark"};
_Static_assert(array_size(verdicts) == HOOK_VERDICT_N, "a name for each verdict");

const char *hook_name(enum hook h)
{
	return h < HOOK_N ? names[h] : NULL;
}

const char *hook_verdict_name(enum hook_verdict v)
{
	return v < HOOK_VERDICT_N ? verdicts[v] : NULL;
}

struct hook_set *hook_set_new(uint32_t n)
{
	struct hook_set *s = calloc(1, sizeof(*s) + n * sizeof(s->rules[0]));

	if (!s)
		return NULL;
	s->n = n;
	for (uint32_t i = 0; i < n; i++) {
		s->rules[i].vlan = HOOK_ANY_VLAN;
		s->rules[i].inherits = -1;
	}
	return s;
}

void hook_set_finish(struct hook_set *s)
{
	decision_free(s->decision);
	s->decision = decision_new(s);
}

struct hook_set *hook_set_free(struct hook_set *s)
{
	if (!s)
		return NULL;
	for (uint32_t i = 0; i < s->n; i++)
		program_free(s->rules[i].filter);
	decision_free(s->decision);
	free(s);
	return NULL;
}

void hook_set_inherit(struct hook_set *s, const struct hook_set *old)
{
	for (uint32_t i = 0; old && i < s->n; i++) {
		struct hook_rule *r = &s->rules[i];

		if (r->inherits < 0 || (uint32_t)r->inherits >= old->n)
			continue;
		r->packets = old->rules[r->inherits].packets;
		r->bytes = old->rules[r->inherits].bytes;
	}
}

void hook_set_bind(struct hook_set *s, hook_number_fn *port, hook_number_fn *mirror,
		   const void *ctx)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct hook_rule *r = &s->rules[i];

		r->in = r->in_name[0] ? port(ctx, r->in_name) : 0;
		r->out = r->out_name[0] ? port(ctx, r->out_name) : 0;
		if (r->verdict == HOOK_MIRROR)
			r->mirror = (uint8_t)mirror(ctx, r->mirror_name);
	}
	if (s->decision)
		decision_bind(s->decision, s);
}

bool hook_rule_matches(const struct hook_rule *r, const struct hook_frame *h)
{
	return hook_rule_meets(r, h) && (!r->filter || program_match(r->filter, h->f));
}

bool hook_run(struct hook_set *s, struct hook_frame *h)
{
	if (likely(s->decision))
		return decision_run(s->decision, s, h);
	for (uint32_t i = 0; i < s->n; i++) {
		struct hook_rule *r = &s->rules[i];

		if (hook_rule_matches(r, h) && hook_rule_hit(r, h))
			return r->verdict != HOOK_DROP;
	}
	return true;
}
