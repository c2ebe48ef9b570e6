/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/parse.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "wire/msg.h"

#define WORDS_MAX 128 /* candidates for the nearest word */

static _printf_(2, 3) void *complain(struct parse_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return NULL;
}

/* ---- words with alternatives: "a|b|c" ---- */

/* Steps through the words of list; NULL at the end. */
static const char *next_word(const char **list, size_t *ret_len)
{
	const char *word = *list;

	if (!word || !*word)
		return NULL;
	*ret_len = strcspn(word, "|");
	*list = word + *ret_len + (word[*ret_len] == '|');
	return word;
}

static bool is_one_of(const char *list, const char *word)
{
	const char *w;
	size_t len;

	while ((w = next_word(&list, &len)))
		if (strlen(word) == len && strncmp(w, word, len) == 0)
			return true;
	return false;
}

/* ---- finding the command ---- */

static size_t group_len(const struct command *cmd)
{
	const char *space = strchr(cmd->name, ' ');

	return space ? (size_t)(space - cmd->name) : strlen(cmd->name);
}

static const char *last_word(const struct command *cmd)
{
	const char *space = strchr(cmd->name, ' ');

	return space ? space + 1 : cmd->name;
}

enum match { MATCH_NONE, MATCH_PREFIX, MATCH_EXACT };

static enum match match_word(const char *name, size_t len, const char *typed)
{
	size_t typed_len = strlen(typed);

	if (typed_len == 0 || typed_len > len || strncmp(name, typed, typed_len) != 0)
		return MATCH_NONE;
	return typed_len == len ? MATCH_EXACT : MATCH_PREFIX;
}

static bool same_group(const struct command *a, const struct command *b)
{
	return group_len(a) == group_len(b) && strncmp(a->name, b->name, group_len(a)) == 0;
}

/* The words that could have been meant, for "did you mean". */
struct candidates {
	const char *words[WORDS_MAX]; /* owned copies */
	size_t n;
};

static void candidate_add(struct candidates *c, const char *word, size_t len)
{
	char *copy;

	if (c->n == WORDS_MAX)
		return;
	copy = strndup(word, len);
	if (copy)
		c->words[c->n++] = copy;
}

static void candidates_nearest(struct candidates *c, const char *typed, struct parse_error *err)
{
	const char *near = ctl_nearest(typed, c->words, c->n);

	if (near)
		snprintf(err->hint, sizeof(err->hint), "did you mean %s?", near);
	for (size_t i = 0; i < c->n; i++)
		free((void *)c->words[i]);
	c->n = 0;
}

/* "ambiguous: show, showmacs" */
static void complain_ambiguous(const struct command *first, const struct command *table,
			       const char *typed, bool second, struct parse_error *err)
{
	size_t n = (size_t)snprintf(err->text, sizeof(err->text), "%s: ambiguous:", typed);
	const struct command *shown = NULL;

	for (const struct command *c = table; c->name && n < sizeof(err->text); c++) {
		const char *name = second ? last_word(c) : c->name;
		size_t len = second ? strlen(name) : group_len(c);

		if (c->hidden || (second && !same_group(c, first)) ||
		    (!second && shown && same_group(shown, c)) ||
		    match_word(name, len, typed) == MATCH_NONE)
			continue;
		n += (size_t)snprintf(err->text + n, sizeof(err->text) - n, "%s %.*s",
				      shown ? "," : "", (int)len, name);
		shown = c;
	}
}

/* The first command of the group that typed names. */
static const struct command *find_group(const struct command *table, const char *typed,
					struct parse_error *err)
{
	const struct command *found = NULL;
	struct candidates near = {0};
	bool several = false;

	for (const struct command *c = table; c->name; c++) {
		enum match m = match_word(c->name, group_len(c), typed);

		if (m == MATCH_EXACT)
			return c;
		if (m == MATCH_NONE || c->hidden)
			continue;
		if (found && !same_group(found, c))
			several = true;
		else if (!found)
			found = c;
	}
	if (several) {
		complain_ambiguous(found, table, typed, false, err);
		return NULL;
	}
	if (found)
		return found;
	complain(err, "%s: unknown command", typed);
	for (const struct command *c = table; c->name; c++)
		if (!c->hidden && (c == table || !same_group(c - 1, c)))
			candidate_add(&near, c->name, group_len(c));
	candidates_nearest(&near, typed, err);
	return NULL;
}

static const struct command *find_in_group(const struct command *table, const struct command *group,
					   const char *typed, struct parse_error *err)
{
	const struct command *found = NULL;
	struct candidates near = {0};
	bool several = false;

	for (const struct command *c = table; c->name; c++) {
		enum match m;

		if (!same_group(c, group))
			continue;
		m = match_word(last_word(c), strlen(last_word(c)), typed);
		if (m == MATCH_EXACT || (c->aliases && is_one_of(c->aliases, typed)))
			return c;
		if (m == MATCH_PREFIX && found)
			several = true;
		else if (m == MATCH_PREFIX)
			found = c;
	}
	if (several) {
		complain_ambiguous(group, table, typed, true, err);
		return NULL;
	}
	if (found)
		return found;
	complain(err, "%.*s %s: unknown command", (int)group_len(group), group->name, typed);
	for (const struct command *c = table; c->name; c++)
		if (same_group(c, group))
			candidate_add(&near, last_word(c), strlen(last_word(c)));
	candidates_nearest(&near, typed, err);
	return NULL;
}

const struct command *parse_command(const struct command *table, int argc, char **argv,
				    int *ret_used, struct parse_error *err)
{
	const struct command *group, *cmd;

	memset(err, 0, sizeof(*err));
	group = find_group(table, argv[0], err);
	if (!group)
		return NULL;
	if (!strchr(group->name, ' ')) {
		*ret_used = 1;
		return group;
	}
	/* "fdb" alone is "fdb show", as in bridge(8). */
	cmd = find_in_group(table, group, argc > 1 ? argv[1] : "show", err);
	if (!cmd && argc == 1) {
		err->hint[0] = '\0';
		complain(err, "%.*s: which command of it?", (int)group_len(group), group->name);
		err->cmd = group;
	}
	if (cmd)
		*ret_used = argc > 1 ? 2 : 1;
	return cmd;
}

/* ---- arguments ---- */

static bool is_positional(const struct arg_spec *a)
{
	return (!a->word || (a->flags & ARG_BARE)) && a->kind != ARG_FLAG &&
	       !(a->kind == ARG_CHOICE && !a->word && !(a->flags & ARG_REQUIRED));
}

static const char *arg_name(const struct arg_spec *a)
{
	if (a->word && !(a->flags & ARG_BARE))
		return a->word;
	return a->meta ? a->meta : a->values ? a->values : "on|off";
}

static bool parse_uint(const char *text, json_int_t *ret)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	unsigned long long n;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	n = strtoull(text, &end, hex ? 16 : 10);
	if (errno || *end || end == text || n > INT64_MAX)
		return false;
	*ret = (json_int_t)n;
	return true;
}

/* on, off and the other spellings of them that people have in their fingers. -1 = neither. */
static int parse_onoff(const char *text)
{
	if (is_one_of("on|yes|true|1", text))
		return 1;
	return is_one_of("off|no|false|0", text) ? 0 : -1;
}

static json_t *arg_value(const struct arg_spec *a, const char *text, struct parse_error *err)
{
	json_int_t n;
	json_t *s;
	int b;

	switch (a->kind) {
	case ARG_UINT:
		if (parse_uint(text, &n))
			return json_integer(n);
		return complain(err, "%s: \"%s\" is not a whole number", arg_name(a), text);
	case ARG_ONOFF:
		b = parse_onoff(text);
		if (b >= 0)
			return json_boolean(b);
		return complain(err, "%s: \"%s\" is neither on nor off", arg_name(a), text);
	case ARG_CHOICE:
		if (!is_one_of(a->values, text))
			return complain(err, "%s: \"%s\" is none of %s", arg_name(a), text,
					a->values);
		break;
	default:
		break;
	}
	s = json_string(text);
	return s ? s : complain(err, "%s: not valid UTF-8", arg_name(a));
}

/* The parse in progress. */
struct parse {
	const struct command *cmd;
	json_t *args; /* result */
	struct parse_error *err;
};

static bool is_filled(const struct parse *p, const struct arg_spec *a)
{
	return json_object_get(p->args, a->key) != NULL;
}

/* Two arguments joined with ARG_OR must not both be there. */
static bool check_exclusive(const struct parse *p, const struct arg_spec *a)
{
	const struct arg_spec *first = a, *b;

	while (first->flags & ARG_OR)
		first--;
	for (b = first; b == first || (b->key && (b->flags & ARG_OR)); b++) {
		if (b == a || !is_filled(p, b) || !strcmp(b->key, a->key))
			continue;
		complain(p->err, "%s and %s exclude each other", arg_name(b), arg_name(a));
		return false;
	}
	return true;
}

static bool arg_store(struct parse *p, const struct arg_spec *a, const char *text)
{
	json_t *v;

	if (!check_exclusive(p, a))
		return false;
	if (is_filled(p, a) && !(a->flags & ARG_MANY)) {
		complain(p->err, "%s is given twice", arg_name(a));
		return false;
	}
	v = a->kind == ARG_FLAG ? json_true() : arg_value(a, text, p->err);
	if (!v)
		return false;
	if (a->flags & ARG_MANY) {
		if (!is_filled(p, a))
			json_object_set_new(p->args, a->key, json_array());
		return json_array_append_new(json_object_get(p->args, a->key), v) == 0;
	}
	return json_object_set_new(p->args, a->key, v) == 0;
}

/* The first positional argument that has no value yet; only_required as it says. */
static const struct arg_spec *open_positional(const struct parse *p, bool only_required)
{
	for (const struct arg_spec *a = p->cmd->args; a && a->key; a++) {
		if (!is_positional(a) || (only_required && !(a->flags & ARG_REQUIRED)))
			continue;
		if (!is_filled(p, a) || (!only_required && (a->flags & ARG_MANY)))
			return a;
	}
	return NULL;
}

static const struct arg_spec *by_keyword(const struct parse *p, const char *typed)
{
	for (const struct arg_spec *a = p->cmd->args; a && a->key; a++)
		if (a->word && strcmp(a->word, typed) == 0)
			return a;
	return NULL;
}

static const struct arg_spec *by_bare_choice(const struct parse *p, const char *typed)
{
	for (const struct arg_spec *a = p->cmd->args; a && a->key; a++)
		if (!a->word && a->kind == ARG_CHOICE && !is_positional(a) &&
		    is_one_of(a->values, typed))
			return a;
	return NULL;
}

/* A required argument that is still missing is not taken for an element of a list. */
static bool comes_before_list(const struct parse *p, const struct arg_spec *k,
			      const struct arg_spec *list)
{
	return (list->flags & ARG_MANY) && (k->flags & ARG_REQUIRED) && !is_filled(p, k);
}

/*
 * Decides what the word at argv[0] is. A required positional argument comes first, so that a device
 * may be called "driver"; a MAC address cannot be taken for a word. *ret_at: where its value
 * stands.
 */
static const struct arg_spec *classify(const struct parse *p, int argc, char **argv, int *ret_at)
{
	const struct arg_spec *a = open_positional(p, true), *k = by_keyword(p, argv[0]);

	*ret_at = 0;
	if (a && !(k && (a->kind == ARG_MAC || (a == k && argc > 1) || comes_before_list(p, k, a))))
		return a;
	if (k) {
		*ret_at = k->kind == ARG_FLAG ? 0 : 1;
		return k;
	}
	a = by_bare_choice(p, argv[0]);
	return a ? a : open_positional(p, false);
}

static void complain_unexpected(const struct parse *p, const char *typed)
{
	struct candidates near = {0};

	complain(p->err, "%s: unexpected word \"%s\"", p->cmd->name, typed);
	for (const struct arg_spec *a = p->cmd->args; a && a->key; a++) {
		const char *list = a->kind == ARG_CHOICE && !a->word ? a->values : NULL;
		const char *w;
		size_t len;

		if (a->word)
			candidate_add(&near, a->word, strlen(a->word));
		while ((w = next_word(&list, &len)))
			candidate_add(&near, w, len);
	}
	candidates_nearest(&near, typed, p->err);
}

static bool parse_words(struct parse *p, int argc, char **argv)
{
	int at;

	for (int i = 0; i < argc; i += at + 1) {
		const struct arg_spec *a = classify(p, argc - i, argv + i, &at);

		if (!a) {
			complain_unexpected(p, argv[i]);
			return false;
		}
		if (i + at >= argc) {
			complain(p->err, "%s: %s needs a value", p->cmd->name, argv[i]);
			return false;
		}
		if (!arg_store(p, a, argv[i + at]))
			return false;
	}
	return true;
}

static bool check_required(const struct parse *p)
{
	bool met;

	for (const struct arg_spec *a = p->cmd->args; a && a->key; a++) {
		if (!(a->flags & ARG_REQUIRED))
			continue;
		met = is_filled(p, a);
		for (const struct arg_spec *b = a + 1; b->key && (b->flags & ARG_OR); b++)
			met = met || is_filled(p, b);
		if (met)
			continue;
		if (a->word && !(a->flags & ARG_BARE))
			complain(p->err, "%s: %s %s is missing", p->cmd->name, a->word,
				 a->meta ? a->meta : a->values);
		else
			complain(p->err, "%s: %s is missing", p->cmd->name, arg_name(a));
		return false;
	}
	return true;
}

json_t *parse_args(const struct command *cmd, int argc, char **argv, struct parse_error *err)
{
	struct parse p = {.cmd = cmd, .args = json_object(), .err = err};

	memset(err, 0, sizeof(*err));
	if (parse_words(&p, argc, argv) && check_required(&p))
		return p.args;
	err->cmd = cmd;
	json_decref(p.args);
	return NULL;
}

/* ---- usage ---- */

static _printf_(3, 4) size_t add(char *buf, size_t size, const char *fmt, ...)
{
	size_t n = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + n, size - n, fmt, ap);
	va_end(ap);
	return strlen(buf);
}

static void usage_arg(const struct arg_spec *a, char *buf, size_t size)
{
	const char *value = a->kind == ARG_FLAG     ? NULL
			    : a->kind == ARG_ONOFF  ? "on|off"
			    : a->kind == ARG_CHOICE ? a->values
						    : a->meta;

	if (a->word && (a->flags & ARG_BARE) && (a->flags & ARG_REQUIRED))
		add(buf, size, "[%s] ", a->word);
	else if (a->word && (a->flags & ARG_BARE))
		add(buf, size, "%s", "");
	else if (a->word)
		add(buf, size, "%s%s", a->word, value ? " " : "");
	if (value)
		add(buf, size, "%s%s", value, a->flags & ARG_MANY && !a->word ? "..." : "");
}

const char *parse_usage(const struct command *cmd, char *buf, size_t size)
{
	snprintf(buf, size, "%s", cmd->name);
	for (const struct arg_spec *a = cmd->args; a && a->key; a++) {
		bool optional = !(a->flags & ARG_REQUIRED);
		bool more = a[1].key && (a[1].flags & ARG_OR);
		const struct arg_spec *first = a;

		if (a->flags & ARG_HIDDEN)
			continue;
		while (first->flags & ARG_OR)
			first--;
		optional = !(first->flags & ARG_REQUIRED);
		add(buf, size, "%s", a->flags & ARG_OR ? "|" : optional ? " [" : " ");
		usage_arg(a, buf, size);
		if (optional && !more)
			add(buf, size, "]%s", a->flags & ARG_MANY && a->word ? "..." : "");
	}
	return buf;
}

/* ---- completion ---- */

static void offer_list(const struct complete_ops *ops, const char *list, const char *typed)
{
	const char *w;
	size_t len;

	while ((w = next_word(&list, &len)))
		if (strncmp(w, typed, min_of(len, strlen(typed))) == 0 && strlen(typed) <= len)
			ops->word(ops->ctx, w, len);
}

static void offer_value(const struct complete_ops *ops, const struct arg_spec *a, const char *typed)
{
	if (a->kind == ARG_CHOICE)
		offer_list(ops, a->values, typed);
	else if (a->kind == ARG_ONOFF)
		offer_list(ops, "on|off", typed);
	else
		ops->value(ops->ctx, a->kind);
}

static void complete_commands(const struct command *table, const struct command *group,
			      const char *typed, const struct complete_ops *ops)
{
	for (const struct command *c = table; c->name; c++) {
		if (c->hidden || (group && !same_group(c, group)))
			continue;
		if (group)
			offer_list(ops, last_word(c), typed);
		else if (c == table || !same_group(c - 1, c))
			if (strncmp(c->name, typed, strlen(typed)) == 0 &&
			    strlen(typed) <= group_len(c))
				ops->word(ops->ctx, c->name, group_len(c));
	}
}

/* Every word that may come next, given what is already filled. */
static void offer_args(const struct parse *p, const char *typed, const struct complete_ops *ops)
{
	const struct arg_spec *open = open_positional(p, true);

	if (open) {
		if (open->word)
			offer_list(ops, open->word, typed);
		offer_value(ops, open, typed);
		return;
	}
	open = open_positional(p, false);
	if (open)
		offer_value(ops, open, typed);
	for (const struct arg_spec *a = p->cmd->args; a && a->key; a++) {
		const bool done = is_filled(p, a) && !(a->word && a->flags & ARG_MANY);

		if (a->flags & ARG_HIDDEN || done || !check_exclusive(p, a))
			continue;
		if (a->word)
			offer_list(ops, a->word, typed);
		else if (a->kind == ARG_CHOICE && a != open)
			offer_list(ops, a->values, typed);
	}
}

static void complete_args(const struct command *cmd, int argc, char **argv,
			  const struct complete_ops *ops)
{
	struct parse_error err;
	struct parse p = {.cmd = cmd, .args = json_object(), .err = &err};
	int i = 0, at;

	while (i < argc - 1) {
		const struct arg_spec *a = classify(&p, argc - i, argv + i, &at);

		if (!a)
			goto out;
		if (i + at >= argc - 1) {
			offer_value(ops, a, argv[argc - 1]);
			goto out;
		}
		if (!arg_store(&p, a, argv[i + at]))
			goto out;
		i += at + 1;
	}
	offer_args(&p, argv[argc - 1], ops);
out:
	json_decref(p.args);
}

void parse_complete(const struct command *table, int argc, char **argv,
		    const struct complete_ops *ops)
{
	const struct command *group, *cmd;
	struct parse_error err = {0};
	int used;

	if (argc <= 1) {
		complete_commands(table, NULL, argc ? argv[0] : "", ops);
		return;
	}
	group = find_group(table, argv[0], &err);
	if (!group)
		return;
	if (argc == 2 && strchr(group->name, ' ')) {
		complete_commands(table, group, argv[1], ops);
		return;
	}
	cmd = parse_command(table, argc, argv, &used, &err);
	if (!cmd)
		return;
	/* help takes the words of another command. */
	if (cmd->args && cmd->args[0].key && cmd->args[0].kind == ARG_COMMAND)
		parse_complete(table, argc - used, argv + used, ops);
	else
		complete_args(cmd, argc - used, argv + used, ops);
}
