/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads what `nft -j list ruleset` prints: libnftables-json(5). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/fmt.h"
#include "cli/ruleset.h"

#define TEXT_SIZE 256

/* A rule as text, as far as it fits. */
struct text {
	char buf[TEXT_SIZE];
	size_t len;
};

static void add(struct text *t, const char *fmt, ...) _printf_(2, 3);

static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, sizeof(t->buf) - t->len, fmt, ap);
	va_end(ap);
	t->len = min_of(t->len + (size_t)max_of(n, 0), sizeof(t->buf) - 1);
}

/* The only member of {"drop": null} and the like. */
static const char *only_key(json_t *o, json_t **ret_value)
{
	void *i = json_object_iter(o);

	*ret_value = i ? json_object_iter_value(i) : NULL;
	return i ? json_object_iter_key(i) : "";
}

static void add_value(struct text *t, json_t *v, int depth)
{
	json_t *in, *one;
	const char *key;
	size_t i;

	if (json_is_string(v)) {
		add(t, "%s", json_string_value(v));
	} else if (json_is_integer(v)) {
		add(t, "%lld", (long long)json_integer_value(v));
	} else if (json_is_array(v) && depth < 4) {
		json_array_foreach(v, i, one)
		{
			add(t, "%s", i ? "," : "");
			add_value(t, one, depth + 1);
		}
	} else if (json_is_object(v) && depth < 4) {
		key = only_key(v, &in);
		if (!strcmp(key, "payload"))
			add(t, "%s %s", row_text(in, "protocol"), row_text(in, "field"));
		else if (!strcmp(key, "meta"))
			add(t, "%s", row_text(in, "key"));
		else if (!strcmp(key, "ct"))
			add(t, "ct %s", row_text(in, "key"));
		else if (!strcmp(key, "prefix"))
			add(t, "%s/%lld", row_text(in, "addr"), (long long)row_int(in, "len"));
		else if (!strcmp(key, "set"))
			add_value(t, in, depth + 1);
		else
			add(t, "(%s)", key);
	} else {
		add(t, "...");
	}
}

static void add_match(struct text *t, json_t *match)
{
	const char *op = row_text(match, "op");
	const bool plain = !strcmp(op, "==") || !strcmp(op, "in");

	add_value(t, json_object_get(match, "left"), 0);
	add(t, plain ? " " : " %s ", op);
	add_value(t, json_object_get(match, "right"), 0);
}

/* ---- matches ---- */

/* Does right, a name or a set of names, have the name? */
static bool has_name(const json_t *right, const char *name)
{
	const json_t *set = json_object_get(right, "set"), *one;
	size_t i;

	if (json_is_string(right))
		return ruleset_name_fits(json_string_value(right), '*', name);
	json_array_foreach(set ? set : right, i, one) if (json_is_string(one) &&
							  ruleset_name_fits(json_string_value(one),
									    '*', name)) return true;
	return false;
}

static bool is_names(const json_t *right)
{
	return json_is_string(right) ? json_string_value(right)[0] != '@'
				     : json_is_array(right) || json_object_get(right, "set");
}

/* What the frames of the bridge have under a key of meta, or NULL: not known. */
static const char *meta_value(const struct ruleset *rs, const char *key, const char *family)
{
	static const char *const inet[] = {"iifname", "oifname", "iif", "oif"};
	static const char *const bridge[] = {"ibrname", "obrname", "ibridgename", "obridgename"};
	const bool of_bridge = !strcmp(family, "bridge");
	const char *const *names = of_bridge ? bridge : inet;

	for (size_t i = 0; i < array_size(inet) && strcmp(family, "netdev") != 0; i++)
		if (!strcmp(key, names[i]))
			return rs->bridge;
	if (!strcmp(key, "nfproto") && !strcmp(family, "ip"))
		return "ipv4";
	if (!strcmp(key, "nfproto") && !strcmp(family, "ip6"))
		return "ipv6";
	return NULL;
}

static enum ruleset_match match(const struct ruleset *rs, const json_t *m, const char *family)
{
	const char *op = row_text(m, "op");
	const json_t *left = json_object_get(m, "left"), *right = json_object_get(m, "right");
	const char *value = meta_value(rs, row_text(json_object_get(left, "meta"), "key"), family);
	const bool differs = !strcmp(op, "!=");

	if (!value || !is_names(right) || (!differs && strcmp(op, "==") && strcmp(op, "in")))
		return RULESET_MAYBE;
	return has_name(right, value) != differs ? RULESET_YES : RULESET_NO;
}

/* ---- rules and chains ---- */

static bool set_verdict(struct ruleset_rule *rule, const char *key, const json_t *value)
{
	static const struct {
		const char *key;
		enum ruleset_verdict verdict;
	} verdicts[] = {
		{"accept", RULESET_ACCEPT}, {"drop", RULESET_DROP},   {"reject", RULESET_DROP},
		{"queue", RULESET_ACCEPT},  {"jump", RULESET_JUMP},   {"goto", RULESET_GOTO},
		{"return", RULESET_RETURN}, {"dnat", RULESET_ACCEPT}, {"snat", RULESET_ACCEPT},
		{"fwd", RULESET_ACCEPT},
	};

	for (size_t i = 0; i < array_size(verdicts); i++) {
		if (strcmp(key, verdicts[i].key) != 0)
			continue;
		rule->verdict = verdicts[i].verdict;
		rule->target = strdup(row_text(value, "target"));
		if (!rule->target)
			rule->verdict = RULESET_NEXT;
		return true;
	}
	return false;
}

/* Statements that let every frame go on to the next one. */
static bool is_neutral(const char *key)
{
	static const char *const keys[] = {"counter", "log", "mangle", "notrack", "set", "dup"};

	for (size_t i = 0; i < array_size(keys); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

static void read_statement(const struct ruleset *rs, struct ruleset_rule *rule, struct text *t,
			   json_t *statement, const char *family)
{
	enum ruleset_match m = RULESET_YES;
	json_t *value;
	const char *key = only_key(statement, &value);

	add(t, "%s", t->len ? " " : "");
	if (!strcmp(key, "match")) {
		m = match(rs, value, family);
		add_match(t, value);
	} else {
		if (!set_verdict(rule, key, value) && !is_neutral(key))
			m = RULESET_MAYBE;
		add(t, "%s%s%s", key, *row_text(value, "target") ? " " : "",
		    row_text(value, "target"));
	}
	rule->match = min_of(rule->match, m);
}

static void read_rule(struct ruleset *rs, const json_t *r, const char *table, const char *family)
{
	struct ruleset_chain *chain = ruleset_chain(rs, table, row_text(r, "chain"));
	struct ruleset_rule *rule = chain ? ruleset_rule(chain) : NULL;
	struct text t = {.len = 0};
	json_t *statement;
	size_t i;

	if (!rule)
		return;
	rule->match = RULESET_YES;
	rule->handle = (unsigned int)row_int(r, "handle");
	/* What follows a verdict is never reached. */
	json_array_foreach(json_object_get(r, "expr"), i, statement)
	{
		if (!rule->verdict)
			read_statement(rs, rule, &t, statement, family);
	}
	rule->text = strdup(t.buf);
}

static void read_chain(struct ruleset *rs, const json_t *c, const char *table)
{
	struct ruleset_chain *chain = ruleset_chain(rs, table, row_text(c, "name"));
	struct text devices = {.len = 0};

	if (!chain || !json_object_get(c, "hook"))
		return;
	chain->hook = ruleset_hook_parse(row_text(c, "hook"));
	chain->policy_drop = !strcmp(row_text(c, "policy"), "drop");
	if (json_object_get(c, "dev")) {
		char *names;

		add_value(&devices, json_object_get(c, "dev"), 0);
		names = strdup(devices.buf);
		if (names) {
			free(chain->devices);
			chain->devices = names;
		}
	}
}

/*
 * iptables-nft keeps the tables of iptables, with its chains in capitals. Nothing else says whose
 * a table is.
 */
static bool is_iptables(const char *family, const char *table, const char *chain)
{
	static const char *const tables[] = {"filter", "nat", "mangle", "raw", "security"};
	static const char *const chains[] = {"PREROUTING", "INPUT", "FORWARD", "OUTPUT",
					     "POSTROUTING"};
	bool table_fits = false, chain_fits = !*chain;

	if (strcmp(family, "ip") != 0 && strcmp(family, "ip6") != 0)
		return false;
	for (size_t i = 0; i < array_size(tables); i++) {
		table_fits |= !strcmp(table, tables[i]);
		chain_fits |= !strcmp(chain, chains[i]);
	}
	return table_fits && chain_fits;
}

/* Is the table of this object one that iptables-nft keeps? It has a chain that only those have. */
static bool of_iptables(const json_t *list, const json_t *object)
{
	const char *family = row_text(object, "family"), *table = row_text(object, "table");
	json_t *item;
	size_t i;

	if (!is_iptables(family, table, ""))
		return false;
	json_array_foreach(list, i, item)
	{
		const json_t *c = json_object_get(item, "chain");

		if (c && !strcmp(row_text(c, "family"), family) &&
		    !strcmp(row_text(c, "table"), table) && json_object_get(c, "hook") &&
		    is_iptables(family, table, row_text(c, "name")))
			return true;
	}
	return false;
}

bool ruleset_read_nft(struct ruleset *rs, const json_t *listing, const char *family,
		      bool skip_iptables)
{
	const json_t *list = json_object_get(listing, "nftables");
	const bool ip = !strcmp(family, "ip") || !strcmp(family, "ip6");
	char table[128];
	json_t *item, *o;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *kind = only_key(item, &o), *of = row_text(o, "family");

		if (strcmp(of, family) != 0 && !(ip && !strcmp(of, "inet")))
			continue;
		if (skip_iptables && of_iptables(list, o))
			continue;
		/* Tables of one name in two families are two. */
		snprintf(table, sizeof(table), "%s %s", of, row_text(o, "table"));
		if (!strcmp(kind, "chain"))
			read_chain(rs, o, table);
		else if (!strcmp(kind, "rule"))
			read_rule(rs, o, table, family);
	}
	return json_is_array(list);
}
