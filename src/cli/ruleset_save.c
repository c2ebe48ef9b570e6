/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the listings of iptables-save(8) and its kin. */
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/ruleset.h"

/* Cuts the next word off; "quoted words" lose their quotes. NULL at the end. */
static char *next_word(char **at)
{
	char *p = *at + strspn(*at, " \t"), *word = p, *to = p;

	if (!*p)
		return NULL;
	if (*p != '"') {
		p += strcspn(p, " \t");
	} else {
		for (p++; *p && *p != '"'; *to++ = *p++)
			p += *p == '\\' && p[1];
		p += *p == '"';
		*at = *p ? p + 1 : p;
		*to = '\0';
		return word;
	}
	*at = *p ? p + 1 : p;
	*p = '\0';
	return word;
}

static enum ruleset_match both(enum ruleset_match a, enum ruleset_match b)
{
	return min_of(a, b);
}

static enum ruleset_match known(bool fits, bool inverted)
{
	return fits != inverted ? RULESET_YES : RULESET_NO;
}

/*
 * What one option says about frames of the bridge. To iptables they come from the bridge's own
 * interface and leave by it; the ports are physdev's. Where a frame leaves is not known yet in
 * PREROUTING.
 */
static enum ruleset_match option(const struct ruleset *rs, enum ruleset_hook hook, const char *word,
				 bool inverted, char **at)
{
	const bool leaves = hook != RULESET_PREROUTING;
	const char *value;

	if (!strcmp(word, "-i") || !strcmp(word, "-o")) {
		value = next_word(at);
		return known(value && ruleset_name_fits(value, '+', rs->bridge), inverted);
	}
	if (!strcmp(word, "-m") || !strcmp(word, "--comment")) {
		next_word(at);
		return RULESET_YES;
	}
	if (!strcmp(word, "--physdev-is-in"))
		return known(true, inverted);
	if (!strcmp(word, "--physdev-is-bridged") || !strcmp(word, "--physdev-is-out"))
		return known(leaves, inverted);
	return RULESET_MAYBE;
}

static void set_target(struct ruleset_rule *rule, const char *word, bool is_goto)
{
	static const struct {
		const char *name;
		enum ruleset_verdict verdict;
	} targets[] = {
		{"ACCEPT", RULESET_ACCEPT},   {"DROP", RULESET_DROP},
		{"REJECT", RULESET_DROP},     {"RETURN", RULESET_RETURN},
		{"QUEUE", RULESET_ACCEPT},    {"NFQUEUE", RULESET_ACCEPT},
		{"DNAT", RULESET_ACCEPT},     {"SNAT", RULESET_ACCEPT},
		{"REDIRECT", RULESET_ACCEPT}, {"MASQUERADE", RULESET_ACCEPT},
		{"NETMAP", RULESET_ACCEPT},
	};

	for (size_t i = 0; i < array_size(targets); i++) {
		if (!strcmp(word, targets[i].name)) {
			rule->verdict = targets[i].verdict;
			return;
		}
	}
	/* A chain; or LOG, MARK and so on, which no chain has the name of. */
	rule->verdict = is_goto ? RULESET_GOTO : RULESET_JUMP;
	rule->target = strdup(word);
	if (!rule->target)
		rule->verdict = RULESET_NEXT;
}

/* "-A CHAIN …" */
static void read_rule(struct ruleset *rs, const char *table, char *line)
{
	char *text = strdup(line), *at = line, *word;
	struct ruleset_chain *chain;
	struct ruleset_rule *rule;
	bool inverted = false;

	next_word(&at); /* -A */
	word = next_word(&at);
	chain = word ? ruleset_chain(rs, table, word) : NULL;
	rule = chain ? ruleset_rule(chain) : NULL;
	if (!rule) {
		free(text);
		return;
	}
	rule->text = text;
	rule->match = RULESET_YES;
	/* What follows the target belongs to it. */
	while (!rule->verdict && (word = next_word(&at))) {
		if (!strcmp(word, "-j") || !strcmp(word, "-g")) {
			const char *target = next_word(&at);

			if (!target)
				return;
			set_target(rule, target, word[1] == 'g');
		} else if (!strcmp(word, "!")) {
			inverted = true;
			continue;
		} else if (*word == '-') {
			rule->match =
				both(rule->match, option(rs, chain->hook, word, inverted, &at));
		}
		inverted = false;
	}
}

/* ":CHAIN POLICY [packets:bytes]" */
static void read_chain(struct ruleset *rs, const char *table, char *line)
{
	char *at = line + 1, *name = next_word(&at), *policy = next_word(&at);
	struct ruleset_chain *chain = name ? ruleset_chain(rs, table, name) : NULL;

	if (!chain || !policy || !strcmp(policy, "-"))
		return;
	chain->hook = ruleset_hook_parse(name);
	chain->policy_drop = !strcmp(policy, "DROP");
}

void ruleset_read_save(struct ruleset *rs, char *text)
{
	char *rest = NULL, table[64] = "";

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *end = *line == '[' ? strstr(line, "] ") : NULL;

		if (end) /* counters, with -c */
			line = end + 2;
		if (*line == '*') {
			size_t n = min_of(strlen(line + 1), sizeof(table) - 1);

			memcpy(table, line + 1, n);
			table[n] = '\0';
		} else if (*line == ':') {
			read_chain(rs, table, line);
		} else if (!strncmp(line, "-A ", 3)) {
			read_rule(rs, table, line);
		}
	}
}
