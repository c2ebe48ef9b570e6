/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulator's commands for rules, mirrors and netmap programs. */
#include "sim.h"

#include <pcap/pcap.h>

#include "core/program.h"

/* program B all|local|copy|none: a netmap program that gives back all that it gets */
void cmd_program(struct sim *s)
{
	struct intercept *ic = bridge_intercept(bridge_at(s, word(s, 1))->k->br);
	struct intercept_settings set = ic->set;
	const char *name;

	set.mode = 0;
	while ((name = intercept_mode_name(set.mode)) && strcmp(name, word(s, 2)))
		set.mode++;
	if (!name)
		fail(s, "program: %s: no such mode", s->words[2]);
	intercept_set(ic, &set);
	for (enum intercept_side side = 0; side < INTERCEPT_SIDE_N; side++) {
		intercept_set_ring(ic, side, 0, INTERCEPT_BOUND | INTERCEPT_SYNCED);
		intercept_set_tx(ic, side, true);
	}
}

/* The expression that words from i on make. */
static struct program *filter(struct sim *s, unsigned i)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
	struct bpf_program prog;
	struct program *r = NULL;
	char text[512] = "";

	for (; i < s->n_words; i++) {
		size_t at = strlen(text);

		snprintf(text + at, sizeof(text) - at, " %s", s->words[i]);
	}
	kit_check(p != NULL, "no libpcap");
	if (pcap_compile(p, &prog, text, 1, PCAP_NETMASK_UNKNOWN))
		fail(s, "filter: %s", pcap_geterr(p));
	/* The same structure under another name. */
	if (program_new((const struct sock_filter *)prog.bf_insns, prog.bf_len, &r))
		fail(s, "filter: not a program");
	pcap_freecode(&prog);
	pcap_close(p);
	return r;
}

static enum hook hook_at(struct sim *s, const char *name)
{
	for (enum hook h = 0; h < HOOK_N; h++)
		if (strcmp(hook_name(h), name) == 0)
			return h;
	fail(s, "%s: no such hook", name);
}

static void read_rule(struct sim *s, struct hook_rule *r)
{
	while (hook_verdict_name(r->verdict) && strcmp(hook_verdict_name(r->verdict), word(s, 3)))
		r->verdict++;
	if (r->verdict == HOOK_VERDICT_N)
		fail(s, "%s: no such verdict", s->words[3]);
	for (unsigned i = 4; i < s->n_words; i += 2) {
		if (is(s, i, "filter")) {
			r->filter = filter(s, i + 1);
			return;
		}
		if (is(s, i, "in"))
			snprintf(r->in_name, sizeof(r->in_name), "%s", word(s, i + 1));
		else if (is(s, i, "out"))
			snprintf(r->out_name, sizeof(r->out_name), "%s", word(s, i + 1));
		else if (is(s, i, "to"))
			snprintf(r->mirror_name, sizeof(r->mirror_name), "%s", word(s, i + 1));
		else if (is(s, i, "vlan"))
			r->vlan = (int16_t)number(s, word(s, i + 1));
		else if (is(s, i, "set"))
			r->set_mark = (uint32_t)number(s, word(s, i + 1));
		else if (is(s, i, "mark"))
			r->mark = (uint32_t)number(s, word(s, i + 1));
		else
			fail(s, "rule: %s: unknown", s->words[i]);
		r->has_mark |= is(s, i, "mark");
	}
}

/* rule B HOOK VERDICT [in P] [out P] [vlan V] [mark N] [set N] [to M] [filter EXPR...]: at the end;
 * rule B HOOK none: no rules */
void cmd_rule(struct sim *s)
{
	struct bridge_sim *b = bridge_at(s, word(s, 1));
	enum hook h = hook_at(s, word(s, 2));
	const struct hook_set *now = bridge_hook(b->k->br, h);
	uint32_t n = now ? now->n : 0;
	struct hook_set *set, *old;

	if (is(s, 3, "none")) {
		hook_set_free(bridge_set_hook(b->k->br, h, NULL));
		memset(b->hits_seen[h], 0, sizeof(b->hits_seen[h]));
		return;
	}
	set = hook_set_new(n + 1);
	kit_check(set != NULL, "out of memory");
	for (uint32_t i = 0; i < n; i++) {
		set->rules[i] = now->rules[i];
		set->rules[i].inherits = (int32_t)i;
	}
	read_rule(s, &set->rules[n]);
	old = bridge_set_hook(b->k->br, h, set);
	for (uint32_t i = 0; i < n; i++)
		old->rules[i].filter = NULL; /* moved */
	hook_set_free(old);
}

/* hits B HOOK N...: how many frames matched each rule since the latest such line */
void cmd_hits(struct sim *s)
{
	struct bridge_sim *b = bridge_at(s, word(s, 1));
	enum hook h = hook_at(s, word(s, 2));
	const struct hook_set *set = bridge_hook(b->k->br, h);

	if (!set || set->n != s->n_words - 3)
		fail(s, "hits: %u rules", set ? set->n : 0);
	for (uint32_t i = 0; i < set->n; i++) {
		uint64_t n = set->rules[i].packets - b->hits_seen[h][i];

		b->hits_seen[h][i] = set->rules[i].packets;
		if (n != number(s, s->words[i + 3]))
			fail(s, "rule %u of %s matched %lu times", i, hook_name(h),
			     (unsigned long)n);
	}
}

/* mirror B NAME to P [rx P] [tx P] [both P] [vlan V] [snap N] [filter EXPR...]; mirror B NAME none
 */
void cmd_mirror(struct sim *s)
{
	struct bridge *br = bridge_at(s, word(s, 1))->k->br;
	struct mirror *m;
	uint32_t n = 0;

	if (is(s, 3, "none")) {
		m = bridge_mirror_del(br, word(s, 2));
		if (!m)
			fail(s, "mirror %s: there is none", s->words[2]);
		mirror_free(m);
		return;
	}
	m = mirror_new(word(s, 2), word(s, 4), WORDS_MAX / 2);
	kit_check(m != NULL, "out of memory");
	for (unsigned i = 5; i < s->n_words; i += 2) {
		uint8_t dirs = is(s, i, "rx")   ? MIRROR_RX
			       : is(s, i, "tx") ? MIRROR_TX
						: MIRROR_BOTH;

		if (is(s, i, "filter")) {
			m->filter = filter(s, i + 1);
			break;
		}
		if (is(s, i, "vlan")) {
			m->vlans[number(s, word(s, i + 1)) / 64] |=
				1ULL << number(s, s->words[i + 1]) % 64;
			m->has_vlans = true;
		} else if (is(s, i, "snap")) {
			m->snap = (uint32_t)number(s, word(s, i + 1));
		} else {
			snprintf(m->sources[n].port, sizeof(m->sources[n].port), "%s",
				 word(s, i + 1));
			m->sources[n++].dirs = dirs;
		}
	}
	if (bridge_mirror_add(br, m) != 0)
		fail(s, "mirror %s: not added", s->words[2]);
}
