/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/ruleset.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/compiler.h"

#define DEPTH_MAX  16    /* nft's own limit of jumps */
#define VISITS_MAX 50000 /* rules looked at from one hook: chains may be called again and again */

static const char *const hook_names[RULESET_HOOK_N] = {
	"", "prerouting", "forward", "postrouting", "ingress", "egress",
};

void ruleset_init(struct ruleset *rs, const char *bridge)
{
	*rs = (struct ruleset){.bridge = bridge};
}

static void free_chain(struct ruleset_chain *chain)
{
	for (size_t i = 0; i < chain->n_rules; i++) {
		free(chain->rules[i].target);
		free(chain->rules[i].text);
	}
	free(chain->rules);
	free(chain->table);
	free(chain->name);
	free(chain->devices);
}

void ruleset_deinit(struct ruleset *rs)
{
	for (size_t i = 0; i < rs->n_chains; i++)
		free_chain(&rs->chains[i]);
	free(rs->chains);
	ruleset_init(rs, NULL);
}

enum ruleset_hook ruleset_hook_parse(const char *name)
{
	for (int h = RULESET_NO_HOOK + 1; h < RULESET_HOOK_N; h++)
		if (!strcasecmp(name, hook_names[h]))
			return (enum ruleset_hook)h;
	return RULESET_NO_HOOK;
}

const char *ruleset_hook_name(enum ruleset_hook hook)
{
	return hook_names[hook];
}

bool ruleset_name_fits(const char *pattern, char wild, const char *name)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == wild)
		return !strncmp(pattern, name, len - 1);
	return !strcmp(pattern, name);
}

static struct ruleset_chain *find(const struct ruleset *rs, const char *table, const char *name)
{
	for (size_t i = 0; i < rs->n_chains; i++)
		if (!strcmp(rs->chains[i].name, name) && !strcmp(rs->chains[i].table, table))
			return &rs->chains[i];
	return NULL;
}

struct ruleset_chain *ruleset_chain(struct ruleset *rs, const char *table, const char *name)
{
	struct ruleset_chain *chain = find(rs, table, name), *more;

	if (chain)
		return chain;
	more = reallocarray(rs->chains, rs->n_chains + 1, sizeof(*more));
	if (!more)
		return NULL;
	rs->chains = more;
	chain = &more[rs->n_chains];
	*chain = (struct ruleset_chain){
		.table = strdup(table), .name = strdup(name), .devices = strdup("")};
	if (!chain->table || !chain->name || !chain->devices) {
		free_chain(chain);
		return NULL;
	}
	rs->n_chains++;
	return chain;
}

struct ruleset_rule *ruleset_rule(struct ruleset_chain *chain)
{
	struct ruleset_rule *more =
		reallocarray(chain->rules, chain->n_rules + 1, sizeof(*chain->rules));

	if (!more)
		return NULL;
	chain->rules = more;
	more[chain->n_rules] = (struct ruleset_rule){0};
	return &more[chain->n_rules++];
}

/* ---- what becomes of frames ---- */

/* One way of the frames through one base chain. */
struct walk {
	const struct ruleset *rs;
	const struct ruleset_chain *base;
	ruleset_drop_fn *fn;
	void *ctx;
	unsigned int n_accepts; /* rules that may have accepted some of them */
	unsigned int n_visits;
};

enum outcome {
	GOES_ON, /* some come to the end of the chain */
	ENDS,    /* none does: accepted or dropped */
};

static enum outcome walk_chain(struct walk *w, const struct ruleset_chain *chain, bool maybe,
			       int depth);

static void report(struct walk *w, const struct ruleset_chain *chain,
		   const struct ruleset_rule *rule, bool maybe)
{
	struct ruleset_drop d = {.hook = w->base->hook,
				 .base = w->base,
				 .chain = chain,
				 .rule = rule,
				 .n_before = w->n_accepts,
				 .how = RULESET_DROPS_SOME};

	if (!maybe)
		d.how = w->n_accepts ? RULESET_DROPS_REST : RULESET_DROPS_ALL;
	w->fn(w->ctx, &d);
}

static enum outcome jump(struct walk *w, const struct ruleset_chain *from,
			 const struct ruleset_rule *rule, bool maybe, int depth)
{
	const struct ruleset_chain *to = find(w->rs, from->table, rule->target);

	return to && depth < DEPTH_MAX ? walk_chain(w, to, maybe, depth + 1) : GOES_ON;
}

/*
 * maybe: only some of the frames come here. A rule after one that may have returned is for some
 * only, too.
 */
static enum outcome walk_chain(struct walk *w, const struct ruleset_chain *chain, bool maybe,
			       int depth)
{
	for (size_t i = 0; i < chain->n_rules && w->n_visits < VISITS_MAX; i++) {
		const struct ruleset_rule *rule = &chain->rules[i];
		const bool some = maybe || rule->match == RULESET_MAYBE;
		enum outcome o = GOES_ON;

		w->n_visits++;
		if (rule->match == RULESET_NO || rule->verdict == RULESET_NEXT)
			continue;
		if (rule->verdict == RULESET_ACCEPT && some)
			w->n_accepts++;
		else if (rule->verdict == RULESET_ACCEPT)
			return ENDS;
		else if (rule->verdict == RULESET_DROP)
			report(w, chain, rule, some);
		else if (rule->verdict != RULESET_RETURN)
			o = jump(w, chain, rule, some, depth);
		if (!some && (o == ENDS || rule->verdict == RULESET_DROP))
			return ENDS;
		if (rule->verdict == RULESET_RETURN || rule->verdict == RULESET_GOTO) {
			if (rule->match == RULESET_YES)
				return GOES_ON;
			maybe = true;
		}
	}
	return GOES_ON;
}

void ruleset_drops(const struct ruleset *rs, ruleset_drop_fn *fn, void *ctx)
{
	for (size_t i = 0; i < rs->n_chains; i++) {
		const struct ruleset_chain *base = &rs->chains[i];
		struct walk w = {.rs = rs, .base = base, .fn = fn, .ctx = ctx};

		if (base->hook == RULESET_NO_HOOK)
			continue;
		if (walk_chain(&w, base, false, 0) == GOES_ON && base->policy_drop)
			report(&w, base, NULL, false);
	}
}
