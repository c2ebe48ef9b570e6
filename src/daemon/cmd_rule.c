/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about rules and mirrors: rule.add, .del, .replace, .show, mirror.add, .del, .show. */
#include <string.h>

#include "base/compiler.h"
#include "daemon/bridges.h"
#include "daemon/cmd.h"
#include "daemon/mirrors.h"
#include "daemon/rules.h"

static const struct key add_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"hook", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"pos", KEY_INT, KEY_PLAIN, 1, HOOK_RULES_MAX},
};
static const struct key del_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"hook", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"name", KEY_STRING, KEY_REQUIRED, 0, 0},
};
static const struct key replace_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"hook", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"rules", KEY_OBJECTS, KEY_REQUIRED, 0, 0},
};
static const struct key show_args[] = {
	{"bridge", KEY_STRING, KEY_PLAIN, 0, 0},
	{"hook", KEY_STRING, KEY_PLAIN, 0, 0},
};
static const struct key mirror_add_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"replace", KEY_BOOL, KEY_PLAIN, 0, 0},
};
static const struct key mirror_del_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"name", KEY_STRING, KEY_REQUIRED, 0, 0},
};
static const struct key mirror_show_args[] = {{"bridge", KEY_STRING, KEY_PLAIN, 0, 0}};

/* Bridge and hook of the arguments. */
static int need_hook(struct cmd_call *c, struct vbridge **ret_vb, enum hook *ret_hook)
{
	int r = bridges_need_own(c->d, cmd_arg(c, "bridge"), ret_vb, &c->err);

	return r ? r : rules_hook(cmd_arg(c, "hook"), ret_hook, &c->err);
}

/* ---- rules ---- */

static int rule_missing(struct cmd_call *c, const char *name)
{
	return ctl_fail(&c->err, CTL_E_RULE_NONE, "rule %.31s: %s %s has none of that name", name,
			cmd_arg(c, "bridge"), cmd_arg(c, "hook"));
}

static int rule_add(struct cmd_call *c)
{
	struct vbridge *vb;
	enum hook h;
	int r = need_hook(c, &vb, &h);
	json_t *rules, *rule, *note;
	size_t pos, n;

	if (r)
		return r;
	rules = json_deep_copy(rules_get(vb, h));
	rule = cmd_settings(c, &keys_rule);
	n = json_array_size(rules);
	pos = (size_t)cmd_arg_int(c, "pos", (int64_t)n + 1);
	json_array_insert_new(rules, min_of(pos - 1, n), rule);
	rules_name(rules);
	r = rules_replace(vb, h, rules, &c->err);
	if (!r) {
		c->result = json_pack("{s:O}", "name", json_object_get(rule, "name"));
		note = rules_note(vb, rule);
		if (note)
			json_object_set_new(c->result, "note", note);
	}
	json_decref(rules);
	return r;
}

static int rule_del(struct cmd_call *c)
{
	const char *name = cmd_arg(c, "name");
	bool all = !strcmp(name, "all"), found = all;
	struct vbridge *vb;
	enum hook h;
	int r = need_hook(c, &vb, &h);
	json_t *rules;

	if (r)
		return r;
	rules = all ? json_array() : json_deep_copy(rules_get(vb, h));
	for (size_t i = 0; i < json_array_size(rules) && !found; i++) {
		const json_t *rule = json_array_get(rules, i);

		if (strcmp(json_string_value(json_object_get(rule, "name")), name))
			continue;
		found = true;
		json_array_remove(rules, i);
	}
	r = found ? rules_replace(vb, h, rules, &c->err) : rule_missing(c, name);
	json_decref(rules);
	return r;
}

static int rule_replace(struct cmd_call *c)
{
	json_t *rules = json_object_get(c->args, "rules"), *rule;
	struct vbridge *vb;
	enum hook h;
	size_t i;
	int r = need_hook(c, &vb, &h);

	if (r)
		return r;
	json_array_foreach(rules, i, rule)
	{
		char object[32];

		snprintf(object, sizeof(object), "rule %zu", i + 1);
		r = keys_check(&keys_rule, 1, rule, object, &c->err);
		if (r)
			return r;
	}
	rules = json_deep_copy(rules);
	rules_name(rules);
	r = rules_replace(vb, h, rules, &c->err);
	if (!r)
		c->result = json_pack("{s:i}", "rules", (int)json_array_size(rules));
	json_decref(rules);
	return r;
}

static int rule_show(struct cmd_call *c)
{
	const char *bridge = cmd_arg(c, "bridge"), *hook = cmd_arg(c, "hook");
	struct vbridge *only = NULL;
	enum hook only_hook = HOOK_N;
	int r = bridge ? bridges_need_own(c->d, bridge, &only, &c->err) : 0;

	if (!r && hook)
		r = rules_hook(hook, &only_hook, &c->err);
	if (r)
		return r;
	for_each_bridge(vb, c->d)
	{
		if (vb->adopted || (only && vb != only))
			continue;
		for (enum hook h = 0; h < HOOK_N; h++) {
			json_t *rows, *row;
			size_t i;

			if (only_hook != HOOK_N && h != only_hook)
				continue;
			rows = rules_show(vb, h);
			json_array_foreach(rows, i, row) cmd_row(c, json_incref(row));
			json_decref(rows);
		}
	}
	return 0;
}

/* ---- mirrors ---- */

static int mirror_add(struct cmd_call *c)
{
	struct vbridge *vb;
	int r = bridges_need_own(c->d, cmd_arg(c, "bridge"), &vb, &c->err);
	json_t *mirror, *note;

	if (r)
		return r;
	mirror = cmd_settings(c, &keys_mirror);
	r = mirrors_add(vb, mirror, cmd_arg_bool(c, "replace"), &c->err);
	if (!r) {
		note = mirrors_note(vb, mirror);
		c->result = note ? json_pack("{s:o}", "note", note) : NULL;
	}
	json_decref(mirror);
	return r;
}

static int mirror_del(struct cmd_call *c)
{
	struct vbridge *vb;
	int r = bridges_need_own(c->d, cmd_arg(c, "bridge"), &vb, &c->err);

	return r ? r : mirrors_del(vb, cmd_arg(c, "name"), &c->err);
}

static int mirror_show(struct cmd_call *c)
{
	const char *bridge = cmd_arg(c, "bridge");
	struct vbridge *only = NULL;
	int r = bridge ? bridges_need_own(c->d, bridge, &only, &c->err) : 0;

	if (r)
		return r;
	for_each_bridge(vb, c->d)
	{
		json_t *rows, *row;
		size_t i;

		if (vb->adopted || (only && vb != only))
			continue;
		rows = mirrors_show(vb);
		json_array_foreach(rows, i, row) cmd_row(c, json_incref(row));
		json_decref(rows);
	}
	return 0;
}

static const struct cmd cmds[] = {
	{"rule.add", rule_add, CMD_WRITE, KEY_TABLE(add_args), &keys_rule},
	{"rule.del", rule_del, CMD_WRITE, KEY_TABLE(del_args), NULL},
	{"rule.replace", rule_replace, CMD_WRITE, KEY_TABLE(replace_args), NULL},
	{"rule.show", rule_show, CMD_ROWS, KEY_TABLE(show_args), NULL},
	{"mirror.add", mirror_add, CMD_WRITE, KEY_TABLE(mirror_add_args), &keys_mirror},
	{"mirror.del", mirror_del, CMD_WRITE, KEY_TABLE(mirror_del_args), NULL},
	{"mirror.show", mirror_show, CMD_ROWS, KEY_TABLE(mirror_show_args), NULL},
};
const struct cmd_table cmds_rule = {cmds, array_size(cmds)};
