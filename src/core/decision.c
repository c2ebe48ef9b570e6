/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A question is a test of a value: a word of the frame at a place (fixed, or behind an IPv4 header
 * whose length is read), masked; its length; port, VLAN, mark. Or whether the frame reaches to that
 * word at all, for a load beyond the end ends a program without a match. The programs that libpcap
 * makes consist of such tests and jumps between them, but for arithmetic; a rule with more (scratch
 * words, sums) is one question of its own: its program is run.
 *
 * collect() walks through each program, all ways, with A and X as names of values, and notes the
 * tests. make() then walks through all rules at once. Its state is the place (rule, instruction, A,
 * X) and what is known of each test; a test whose answer follows is passed over, another becomes a
 * node with a successor for either answer. States that are equal in what still matters (tests of
 * this rule and later ones) share their node, so the graph does not become a tree.
 *
 * It may become too large all the same. Then less is remembered from rule to rule: only tests that
 * many rules ask, in the end none, which is the rules one after the other.
 *
 * Invariants: a node's successors are made before itself, so there is no loop.
 * Every load of decision_run() is checked against the frame's length, whatever the graph says.
 */
#include "core/decision_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- collect ---- */

static bool was_seen(struct maker *m, const struct place *at)
{
	for (uint32_t i = 0; i < m->n_seen; i++) {
		const struct place *o = &m->seen[i];

		if (o->pc == at->pc && o->a == at->a && o->x == at->x)
			return true;
	}
	return false;
}

static void uses(struct maker *m, uint32_t rule, uint32_t test)
{
	if (bit(m->later[rule], test))
		return;
	set_bit(m->later[rule], test);
	m->n_rules_with[test]++;
}

/* All that a rule may ask from there on. False: its program has to be run. */
static bool collect(struct maker *m, struct place at)
{
	struct asked q = {0};
	enum step s;

	while ((s = decision_step(m, &at, &q)) == STEP_GO_ON)
		;
	if (s != STEP_ASK)
		return s != STEP_CANNOT;
	if (was_seen(m, &at))
		return true;
	if (m->n_seen == STATES_MAX)
		return false;
	m->seen[m->n_seen++] = at;
	uses(m, at.rule, (uint32_t)q.test);
	return collect(m, q.yes) && (q.no_ends || collect(m, q.no));
}

static struct place start_of(uint32_t rule)
{
	return (struct place){.rule = (uint16_t)rule, .pc = -N_CONDITIONS, .a = NONE, .x = NONE};
}

static void collect_all(struct maker *m)
{
	const uint32_t n = m->set->n;

	for (uint32_t i = 0; i < n; i++) {
		const struct program *p = m->set->rules[i].filter;
		uint32_t n_insns = 0;

		if (p)
			program_insns(p, &n_insns);
		m->n_seen = 0;
		m->n_insns += n_insns;
		m->runs[i] = m->n_insns > INSNS_MAX || !collect(m, start_of(i));
		if (m->runs[i])
			m->n_insns -= n_insns;
	}
	for (uint32_t i = n; i-- > 0;)
		for (uint32_t w = 0; w < WORDS; w++)
			m->later[i][w] |= m->later[i + 1][w];
}

/* ---- make ---- */

static uint16_t add_node(struct maker *m, struct node n)
{
	if (m->n_nodes == NODES_MAX) {
		m->full = true;
		return 0;
	}
	m->nodes[m->n_nodes] = n;
	return (uint16_t)m->n_nodes++;
}

static uint16_t make(struct maker *m, struct place at, struct facts f);

/* From the start of a rule, with what is remembered there. */
static uint16_t make_rule(struct maker *m, uint32_t rule, struct facts f)
{
	if (rule == m->set->n)
		return 0; /* K_ACCEPT */
	for (uint32_t w = 0; w < WORDS; w++) {
		f.known[w] &= m->kept[w];
		f.is[w] &= m->kept[w];
	}
	return make(m, start_of(rule), f);
}

static uint16_t make_hit(struct maker *m, uint32_t rule, struct facts f)
{
	const struct hook_rule *r = &m->set->rules[rule];
	struct node n = {.kind = K_HIT, .k = rule};

	for (uint32_t i = 0; i < m->n_tests && r->verdict == HOOK_MARK; i++) {
		const struct test *t = &m->tests[i];

		if (m->values[t->value].kind != K_MARK)
			continue;
		set_bit(f.known, i);
		f.is[i / 64] &= ~(1ULL << i % 64);
		f.is[i / 64] |= (uint64_t)(t->k == r->set_mark) << i % 64;
	}
	if (r->verdict == HOOK_MARK || r->verdict == HOOK_MIRROR)
		n.yes = make_rule(m, rule + 1, f);
	return add_node(m, n);
}

/* Whether the frame reaches to a word is answered by the test of it that follows, too. */
static struct node with_next(const struct maker *m, const struct node *reaches)
{
	const struct node *next = &m->nodes[reaches->yes];
	struct node r = *next;

	if (next->kind != reaches->kind || next->base != reaches->base ||
	    next->ofs != reaches->ofs || next->op == OP_REACHES)
		return *reaches;
	r.beyond = reaches->no;
	return r;
}

static uint16_t make_test(struct maker *m, const struct place *at, const struct asked *q,
			  const struct facts *f)
{
	const struct test *t = &m->tests[q->test];
	const struct value *v = &m->values[t->value];
	struct facts yes = *f, no = *f;
	struct node n = {.kind = v->kind,
			 .op = t->op,
			 .base = (uint16_t)v->base,
			 .ofs = v->ofs,
			 .mask = v->mask,
			 .k = t->k};

	if (v->kind == K_IN || v->kind == K_OUT)
		n.rule = (uint16_t)t->k;
	decision_learn(m, &yes, (uint32_t)q->test, true);
	decision_learn(m, &no, (uint32_t)q->test, false);
	n.yes = make(m, q->yes, yes);
	n.no = n.beyond = q->no_ends ? make_rule(m, at->rule + 1u, no) : make(m, q->no, no);
	/* Both ways lead to the same: no question. */
	if (n.yes == n.no)
		return n.yes;
	return add_node(m, t->op == OP_REACHES ? with_next(m, &n) : n);
}

static uint16_t make_run(struct maker *m, uint32_t rule, const struct facts *f)
{
	struct node n = {.kind = K_RUN, .k = rule};

	n.yes = make_hit(m, rule, *f);
	n.no = make_rule(m, rule + 1, *f);
	return add_node(m, n);
}

static uint32_t hash_state(const struct place *at, const struct facts *f)
{
	uint64_t h = at->rule * 0x9e3779b97f4a7c15ULL + (uint16_t)at->pc;

	h = (h << 16 | h >> 48) ^ (uint64_t)at->a << 8 ^ at->x;
	for (uint32_t w = 0; w < WORDS; w++) {
		h = (h ^ f->known[w]) * 0xbf58476d1ce4e5b9ULL;
		h = (h ^ h >> 29 ^ f->is[w]) * 0x94d049bb133111ebULL;
	}
	return (uint32_t)(h >> 40) & (HASH_SIZE - 1);
}

static bool same_state(const struct state *s, const struct place *at, const struct facts *f)
{
	return s->at.rule == at->rule && s->at.pc == at->pc && s->at.a == at->a &&
	       s->at.x == at->x && !memcmp(&s->facts, f, sizeof(*f));
}

static uint16_t make_new(struct maker *m, const struct place *at, const struct asked *q,
			 const struct facts *f, enum step s)
{
	if (s == STEP_CANNOT)
		return make_run(m, at->rule, f);
	if (s == STEP_MATCH)
		return make_hit(m, at->rule, *f);
	return make_test(m, at, q, f);
}

/* The node for a place with what is known there. */
static uint16_t make(struct maker *m, struct place at, struct facts f)
{
	struct asked q = {0};
	uint32_t bucket;
	uint16_t node;
	enum step s;

	for (uint32_t w = 0; w < WORDS; w++) {
		f.known[w] &= m->later[at.rule][w];
		f.is[w] &= f.known[w];
	}
	if (m->full)
		return 0;
	for (;;) {
		s = m->runs[at.rule] ? STEP_CANNOT : decision_step(m, &at, &q);
		if (s == STEP_ASK && bit(f.known, (uint32_t)q.test)) {
			if (!bit(f.is, (uint32_t)q.test) && q.no_ends)
				return make_rule(m, at.rule + 1u, f);
			at = bit(f.is, (uint32_t)q.test) ? q.yes : q.no;
		} else if (s != STEP_GO_ON) {
			break;
		}
	}
	if (s == STEP_NO_MATCH)
		return make_rule(m, at.rule + 1u, f);
	bucket = hash_state(&at, &f);
	for (int32_t i = m->buckets[bucket]; i >= 0; i = m->states[i].next)
		if (same_state(&m->states[i], &at, &f))
			return m->states[i].node;
	node = make_new(m, &at, &q, &f, s);
	if (m->full || m->n_states == NODES_MAX) {
		m->full = true;
		return 0;
	}
	m->states[m->n_states] = (struct state){at, node, m->buckets[bucket], f};
	m->buckets[bucket] = (int32_t)m->n_states++;
	return node;
}

/* With what at least `least` rules ask remembered from rule to rule. False: too large. */
static bool try_make(struct maker *m, uint32_t least, uint16_t *ret_start)
{
	const struct facts nothing = {{0}, {0}};

	memset(m->buckets, 0xff, sizeof(m->buckets));
	memset(m->kept, 0, sizeof(m->kept));
	for (uint32_t i = 0; i < m->n_tests; i++)
		if (m->n_rules_with[i] >= least)
			set_bit(m->kept, i);
	m->n_states = m->n_nodes = 0;
	m->full = false;
	add_node(m, (struct node){.kind = K_ACCEPT});
	*ret_start = make_rule(m, 0, nothing);
	return !m->full;
}

/*
 * Copies what can be reached from a node, each before its successors, and the one of `no` right
 * behind it if possible: frames mostly go that way.
 */
static uint16_t lay_out(struct decision *d, const struct node *from, uint16_t *moved, uint16_t i)
{
	const struct node *o = &from[i];
	struct node *n = &d->nodes[d->n];
	const uint16_t at = (uint16_t)d->n;

	if (moved[i] != UINT16_MAX)
		return moved[i];
	moved[i] = at;
	d->n++;
	*n = *o;
	if (o->kind == K_ACCEPT)
		return at;
	n->no = lay_out(d, from, moved, o->no);
	n->beyond = lay_out(d, from, moved, o->beyond);
	n->yes = lay_out(d, from, moved, o->yes);
	n->no_near = n->no == at + 1;
	n->yes_near = n->yes == at + 1;
	n->shift = o->kind <= K_IND32 ? 32 - 8 * size_of(o->kind) : 0;
	return at;
}

static struct decision *keep(const struct maker *m, uint16_t start)
{
	struct decision *d = malloc(sizeof(*d) + m->n_nodes * sizeof(d->nodes[0]));
	uint16_t *moved = malloc(m->n_nodes * sizeof(*moved));

	if (d && moved) {
		memset(moved, 0xff, m->n_nodes * sizeof(*moved));
		d->n = 0;
		lay_out(d, m->nodes, moved, start);
	} else {
		d = decision_free(d);
	}
	free(moved);
	return d;
}

struct decision *decision_new(const struct hook_set *s)
{
	const uint32_t least[] = {1, 2 + s->n / 8, 2 + s->n / 4, 2 + s->n / 2, UINT32_MAX};
	struct maker *m = s->n <= HOOK_RULES_MAX ? calloc(1, sizeof(*m)) : NULL;
	struct decision *d = NULL;
	uint16_t start = 0;

	if (!m)
		return NULL;
	m->set = s;
	collect_all(m);
	for (uint32_t i = 0; i < array_size(least); i++) {
		if (!try_make(m, least[i], &start))
			continue;
		d = keep(m, start);
		break;
	}
	free(m);
	return d;
}

struct decision *decision_free(struct decision *d)
{
	free(d);
	return NULL;
}

unsigned decision_size(const struct decision *d)
{
	return d->n;
}

/* ---- run ---- */

/*
 * Ifs instead of a switch, and the next node as a branch: the processor goes on with what it
 * expects and waits neither for the kind of a question (a jump by a table) nor for its answer. A
 * question takes 4 to 5 ns otherwise, and a third of that so (bench_features).
 */

/* The last bytes of a frame, where no four are left; false if it does not reach to the word. */
static _cold_ bool fetch_end(const struct frame *f, uint64_t at, uint32_t size, uint32_t *ret)
{
	if (at + size > f->len)
		return false;
	*ret = size == 1 ? f->data[at] : frame_be16(f->data + at);
	return true;
}

/* The word of a node of the kinds up to K_IND32; false if the frame does not reach to it. */
static inline bool fetch(const struct frame *f, const struct node *n, uint32_t *ret)
{
	uint64_t at = n->ofs;
	uint32_t v;

	if (n->kind >= K_IND8) {
		if (unlikely(n->base >= f->len))
			return false;
		at += (f->data[n->base] & 0xfu) * 4;
	}
	if (unlikely(at + sizeof(v) > f->len))
		return fetch_end(f, at, 4 - n->shift / 8u, ret);
	memcpy(&v, f->data + at, sizeof(v));
	*ret = __builtin_bswap32(v) >> n->shift;
	return true;
}

/* The value of a node of the kinds from K_LEN to K_MARK. */
static inline uint32_t fact_of(const struct node *n, const struct hook_frame *h)
{
	if (n->kind == K_IN)
		return h->in;
	if (n->kind == K_OUT)
		return h->out;
	if (n->kind == K_VLAN)
		return h->vlan;
	return n->kind == K_MARK ? h->mark : h->f->len;
}

static inline bool compare(const struct node *n, uint32_t v)
{
	if (likely(n->op == OP_EQ))
		return (v & n->mask) == n->k;
	v &= n->mask;
	if (n->op == OP_SET)
		return v & n->k;
	if (n->op == OP_GT)
		return v > n->k;
	return n->op != OP_GE || v >= n->k; /* else OP_REACHES, and it does */
}

void decision_bind(struct decision *d, const struct hook_set *s)
{
	for (uint32_t i = 0; i < d->n; i++) {
		struct node *n = &d->nodes[i];

		if (n->kind == K_IN)
			n->k = s->rules[n->rule].in;
		else if (n->kind == K_OUT)
			n->k = s->rules[n->rule].out;
	}
}

bool decision_run(const struct decision *d, struct hook_set *s, struct hook_frame *h)
{
	const struct node *n = d->nodes;
	uint32_t v;

	for (;;) {
		if (likely(n->kind <= K_MARK)) {
			if (n->kind > K_IND32) {
				v = fact_of(n, h);
			} else if (unlikely(!fetch(h->f, n, &v))) {
				n = &d->nodes[n->beyond];
				continue;
			}
			if (compare(n, v))
				n = likely(n->yes_near) ? n + 1 : &d->nodes[n->yes];
			else
				n = likely(n->no_near) ? n + 1 : &d->nodes[n->no];
		} else if (n->kind == K_HIT) {
			struct hook_rule *r = &s->rules[n->k];

			if (hook_rule_hit(r, h))
				return r->verdict != HOOK_DROP;
			n = &d->nodes[n->yes];
		} else if (n->kind == K_RUN) {
			const struct hook_rule *r = &s->rules[n->k];

			n = &d->nodes[hook_rule_meets(r, h) &&
						      (!r->filter || program_match(r->filter, h->f))
					      ? n->yes
					      : n->no];
		} else {
			return true;
		}
	}
}
