/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules at the five places that the Linux bridge calls its hooks. A hook has an ordered set of
 * rules; a frame meets them one after the other until one accepts or drops it, and goes on if none
 * does. Where the bridge asks which hook: core/hookpoint.c and docs/hooks.md.
 *
 * A set is made whole by the main thread and then belongs to the bridge (bridge_set_hook), whose
 * worker is the only one to touch it; only counters and port numbers change there.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/bport.h"
#include "core/frame.h"

#define HOOK_RULES_MAX 256u /* of one hook */
#define HOOK_NAME_SIZE 32u
#define HOOK_NO_PORT   0xffffu /* what a port is that is not there */
#define HOOK_ANY_VLAN  (-1)

/* X(enum suffix, name that users see) */
#define HOOK_LIST(X)                                                                               \
	X(PRE_ROUTING, "pre_routing")                                                              \
	X(LOCAL_IN, "local_in")                                                                    \
	X(FORWARD, "forward")                                                                      \
	X(LOCAL_OUT, "local_out")                                                                  \
	X(POST_ROUTING, "post_routing")

enum hook {
#define X(id, name) HOOK_##id,
	HOOK_LIST(X)
#undef X
		HOOK_N
};

enum hook_verdict {
	HOOK_ACCEPT, /* the frame goes on; no rule behind this one is asked */
	HOOK_DROP,
	HOOK_MIRROR, /* a copy to a mirror; then the next rule */
	HOOK_MARK,   /* set the frame's mark; then the next rule */
	HOOK_VERDICT_N
};

struct program;

struct hook_rule {
	/* hot */
	uint64_t packets, bytes; /* that matched */
	struct program *filter;  /* the set's; NULL: any frame */
	uint32_t mark;           /* that the frame must have, with has_mark */
	uint32_t set_mark;       /* HOOK_MARK */
	uint16_t in, out;        /* port numbers, 0: any; follow the names (hook_set_bind) */
	int16_t vlan;            /* 0 to 4094, 0: without a tag; HOOK_ANY_VLAN */
	uint8_t verdict;         /* enum hook_verdict */
	bool has_mark;
	uint8_t mirror; /* HOOK_MIRROR: number of the mirror; follows mirror_name */
	/* cold */
	char name[HOOK_NAME_SIZE];
	char in_name[BPORT_NAME_SIZE], out_name[BPORT_NAME_SIZE]; /* "": any */
	char mirror_name[HOOK_NAME_SIZE];
	int32_t inherits; /* rule of the set before it whose counters go on here; -1: none */
};

struct decision;

struct hook_set {
	uint32_t n;
	struct decision *decision; /* owned: hook_set_finish() */
	struct hook_rule rules[];
};

/* A frame at a hook. */
struct hook_frame {
	const struct frame *f;
	uint16_t in, out; /* port numbers; 0: none */
	uint16_t vlan;
	uint32_t mark;   /* in and out */
	uint8_t mirrors; /* out: bit per mirror that gets a copy */
};

/* n rules that match anything and accept it; NULL: no memory. */
struct hook_set *hook_set_new(uint32_t n);
/*
 * All rules are filled in but for port numbers: makes one graph of questions of them, so that they
 * are not asked one by one (core/decision.h). Optional.
 */
void hook_set_finish(struct hook_set *s);
/* Frees the rules' filters, too. Returns NULL; NULL is fine. */
struct hook_set *hook_set_free(struct hook_set *s);
/* Takes over counters, as `inherits` says. old may be NULL. */
void hook_set_inherit(struct hook_set *s, const struct hook_set *old);
/* What the bridge calls a port or mirror; HOOK_NO_PORT: not there. */
typedef uint16_t hook_number_fn(const void *ctx, const char *name);
/* Ports or mirrors have come, gone or changed their names. */
void hook_set_bind(struct hook_set *s, hook_number_fn *port, hook_number_fn *mirror,
		   const void *ctx);
/* False: the frame is dropped. Counts. */
bool hook_run(struct hook_set *s, struct hook_frame *h);

/* Whether the rule says something about the frame. Does not count. */
bool hook_rule_matches(const struct hook_rule *r, const struct hook_frame *h);

/* Whether everything but the filter fits. */
static inline bool hook_rule_meets(const struct hook_rule *r, const struct hook_frame *h)
{
	return (r->in == 0 || r->in == h->in) && (r->out == 0 || r->out == h->out) &&
	       (r->vlan == HOOK_ANY_VLAN || r->vlan == h->vlan) &&
	       (!r->has_mark || r->mark == h->mark);
}

/* The rule matches: counts, does what it says. True when the frame's way through the set ends. */
static inline bool hook_rule_hit(struct hook_rule *r, struct hook_frame *h)
{
	r->packets++;
	r->bytes += h->f->len;
	switch (r->verdict) {
	case HOOK_MARK:
		h->mark = r->set_mark;
		return false;
	case HOOK_MIRROR:
		h->mirrors |= r->mirror < 8 ? (uint8_t)(1u << r->mirror) : 0;
		return false;
	default:
		return true;
	}
}

/* "pre_routing"; NULL past the end. */
const char *hook_name(enum hook h);
/* "accept"; NULL past the end. */
const char *hook_verdict_name(enum hook_verdict v);

/* The VLAN of a frame: what the bridge found, else that of the tag in front; 0: none. */
static inline uint16_t hook_vlan(const struct frame *f)
{
	return f->vid ? f->vid : frame_tag_vid(f);
}
