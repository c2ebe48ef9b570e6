/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules of a packet filter, as one tool lists them for one protocol family, and what becomes of
 * the frames of one bridge in them. Pure: netfilter.c runs the tools.
 *
 * What a rule asks for is known (yes, no) where it is about interfaces or about being bridged, and
 * otherwise "maybe": which frames come is not known. So a chain drops all frames of the bridge, the
 * rest that no earlier rule may have accepted, or some.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum ruleset_hook {
	RULESET_NO_HOOK, /* a chain that others jump to, or a hook that bridged frames do not pass
			  */
	RULESET_PREROUTING,
	RULESET_FORWARD,
	RULESET_POSTROUTING,
	RULESET_INGRESS, /* of a device, as the next one */
	RULESET_EGRESS,
	RULESET_HOOK_N
};

enum ruleset_match { RULESET_NO, RULESET_MAYBE, RULESET_YES };

enum ruleset_verdict {
	RULESET_NEXT, /* goes on with the next rule */
	RULESET_ACCEPT,
	RULESET_DROP,
	RULESET_RETURN,
	RULESET_JUMP,
	RULESET_GOTO,
};

struct ruleset_rule {
	enum ruleset_match match; /* do frames of the bridge fit? */
	enum ruleset_verdict verdict;
	unsigned int handle; /* nft's number of it, or 0 */
	char *target;        /* of a jump */
	char *text;
};

struct ruleset_chain {
	char *table, *name;
	char *devices; /* "p1,p2" of ingress and egress; else empty */
	enum ruleset_hook hook;
	bool policy_drop;
	struct ruleset_rule *rules;
	size_t n_rules;
};

struct ruleset {
	const char *bridge; /* whose frames; borrowed */
	struct ruleset_chain *chains;
	size_t n_chains;
};

enum ruleset_how {
	RULESET_DROPS_ALL,
	RULESET_DROPS_REST, /* what no rule before may have accepted */
	RULESET_DROPS_SOME,
};

/* A place where frames of the bridge are dropped. Pointers into the ruleset. */
struct ruleset_drop {
	enum ruleset_how how;
	enum ruleset_hook hook;
	const struct ruleset_chain *base;  /* the chain that the hook calls */
	const struct ruleset_chain *chain; /* where the rule stands; base for a policy */
	const struct ruleset_rule *rule;   /* NULL: the policy of base */
	unsigned int n_before;             /* rules that may accept before */
};

typedef void ruleset_drop_fn(void *ctx, const struct ruleset_drop *drop);

/* An empty ruleset about the frames of a bridge. */
void ruleset_init(struct ruleset *rs, const char *bridge);
/* Frees what it holds. */
void ruleset_deinit(struct ruleset *rs);

/*
 * Adds what iptables-save, ip6tables-save, arptables-save printed. Lines that are none of its are
 * passed over. text is taken apart.
 */
void ruleset_read_save(struct ruleset *rs, char *text);

/*
 * Adds what `nft -j list ruleset` printed: the tables of family ("ip", "ip6", "bridge", "netdev";
 * those of "inet" belong to the first two). skip_iptables: without those that iptables-nft keeps,
 * whose matches nft cannot print. False when it is no such listing.
 */
bool ruleset_read_nft(struct ruleset *rs, const json_t *listing, const char *family,
		      bool skip_iptables);

/* Calls fn for each place that drops frames of the bridge, chain by chain. */
void ruleset_drops(const struct ruleset *rs, ruleset_drop_fn *fn, void *ctx);

/* For the readers: the chain of that name, made if it is not there; NULL without memory. */
struct ruleset_chain *ruleset_chain(struct ruleset *rs, const char *table, const char *name);
/* A new last rule, all zero; NULL without memory. */
struct ruleset_rule *ruleset_rule(struct ruleset_chain *chain);
/* "forward", as nft says it, in any case; RULESET_NO_HOOK for others. */
enum ruleset_hook ruleset_hook_parse(const char *name);
/* "forward" */
const char *ruleset_hook_name(enum ruleset_hook hook);
/* Does a pattern that may end in wild ('+' or '*') mean the name? */
bool ruleset_name_fits(const char *pattern, char wild, const char *name);
