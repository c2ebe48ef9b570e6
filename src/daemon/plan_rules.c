/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mirrors and rules of a configuration. Rules of a hook are replaced as a whole when they differ
 * from what is written; a hook that the text does not name is nobody's business, unless the former
 * text named it. Mirrors are compared one by one. Rules name mirrors, so what rules need comes
 * before them and goes after them.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/bridges.h"
#include "daemon/config.h"
#include "daemon/mirrors.h"
#include "daemon/plan_internal.h"
#include "daemon/rules.h"

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* The values of items ({"line", "values"}); new. */
static json_t *values_of(const json_t *items)
{
	json_t *list = json_array(), *item;
	size_t i;

	json_array_foreach((json_t *)items, i, item)
		json_array_append_new(list, json_deep_copy(json_object_get(item, "values")));
	return list;
}

static const json_t *item_named(const json_t *items, const char *name)
{
	json_t *item;
	size_t i;

	json_array_foreach((json_t *)items, i,
			   item) if (!strcmp(text_of(json_object_get(item, "values"), "name"),
					     name)) return item;
	return NULL;
}

/* ---- checks ---- */

int plan_check_rules(const struct config *c, const json_t *bridge, struct ctl_error *err)
{
	json_t *mirrors = json_object_get(bridge, "mirrors"), *item, *before = json_array();
	const char *name = text_of(bridge, "name");
	char object[32];
	size_t i, at;
	int r = 0;

	snprintf(object, sizeof(object), "bridge %.15s", name);
	json_array_foreach(mirrors, i, item)
	{
		json_t *m = json_object_get(item, "values");

		if (!r && mirrors_check(name, m, before, err))
			r = config_error_at(c, item, err);
		json_array_append(before, m);
	}
	for (enum hook h = 0; h < HOOK_N && !r; h++) {
		const json_t *items =
			json_object_get(json_object_get(bridge, "rules"), hook_name(h));
		json_t *rules = values_of(items);

		rules_name(rules);
		if (rules_check(object, h, rules, before, &at, err))
			r = config_error_at(c, json_array_get(items, at), err);
		json_decref(rules);
	}
	json_decref(before);
	return r;
}

/* ---- steps ---- */

static json_t *mirror_args(const char *bridge, const json_t *values)
{
	json_t *args = json_deep_copy(values);

	json_object_set_new(args, "bridge", json_string(bridge));
	return args;
}

static json_t *mirror_name(const char *bridge, const char *name)
{
	return json_pack("{s:s, s:s}", "bridge", bridge, "name", name);
}

static json_t *replacing(json_t *args)
{
	json_object_set_new(args, "replace", json_true());
	return args;
}

static int put_mirror(struct plan *p, const json_t *item, struct vbridge *vb)
{
	const json_t *values = json_object_get(item, "values");
	const char *name = text_of(values, "name");
	const json_t *now = mirrors_find(vb, name);
	json_t *undo;
	int r;

	if (now && json_equal(now, values))
		return 0;
	undo = now ? replacing(mirror_args(vb->name, now)) : mirror_name(vb->name, name);
	r = plan_step(p, item, "mirror.add", replacing(mirror_args(vb->name, values)));
	if (r) {
		json_decref(undo);
		return r;
	}
	plan_push_undo(p, now ? "mirror.add" : "mirror.del", undo);
	plan_note(p, json_sprintf("mirror %s %s %s", now ? "replace" : "add", vb->name, name));
	return 0;
}

static int put_mirrors(struct plan *p, const json_t *b, struct vbridge *vb)
{
	json_t *item;
	size_t i;
	int r = 0;

	json_array_foreach(json_object_get(b, "mirrors"), i, item) if (!r) r =
		put_mirror(p, item, vb);
	return r;
}

/* Those that only the former text has; one that a rule needs is left for later. */
static int del_mirrors(struct plan *p, const json_t *b, struct vbridge *vb)
{
	const json_t *before = json_object_get(config_bridge(p->old, vb->name), "mirrors");
	json_t *now = json_deep_copy(vb->mirrors), *m;
	enum hook h;
	size_t i;
	int r = 0;

	json_array_foreach(now, i, m)
	{
		const char *name = text_of(m, "name");

		if (r || item_named(json_object_get(b, "mirrors"), name) ||
		    !item_named(before, name) || rules_use_mirror(vb, name, &h))
			continue;
		r = plan_step(p, b, "mirror.del", mirror_name(vb->name, name));
		if (r)
			continue;
		plan_push_undo(p, "mirror.add", mirror_args(vb->name, m));
		plan_note(p, json_sprintf("mirror del %s %s", vb->name, name));
	}
	json_decref(now);
	return r;
}

static json_t *replace_args(const char *bridge, enum hook h, const json_t *rules)
{
	return json_pack("{s:s, s:s, s:o}", "bridge", bridge, "hook", hook_name(h), "rules",
			 json_deep_copy(rules));
}

static int put_rules(struct plan *p, const json_t *item, struct vbridge *vb, enum hook h,
		     const json_t *rules)
{
	json_t *undo = replace_args(vb->name, h, rules_get(vb, h));
	int r = plan_step(p, item, "rule.replace", replace_args(vb->name, h, rules));

	if (r) {
		json_decref(undo);
		return r;
	}
	plan_push_undo(p, "rule.replace", undo);
	plan_note(p, json_sprintf("rule replace %s %s: %zu rules", vb->name, hook_name(h),
				  json_array_size(rules)));
	return 0;
}

static int put_hooks(struct plan *p, const json_t *b, struct vbridge *vb)
{
	const json_t *new = json_object_get(b, "rules");
	const json_t *old = json_object_get(config_bridge(p->old, vb->name), "rules");
	int r = 0;

	for (enum hook h = 0; h < HOOK_N && !r; h++) {
		const json_t *items = json_object_get(new, hook_name(h));
		const json_t *first = json_array_get(items, 0);
		json_t *want;

		if (!items && !json_object_get(old, hook_name(h)))
			continue;
		want = values_of(items);
		rules_name(want);
		if (!json_equal(want, rules_get(vb, h)))
			r = put_rules(p, first ? first : b, vb, h, want);
		json_decref(want);
	}
	return r;
}

int plan_rules(struct plan *p)
{
	const json_t *list = json_object_get(p->new->root, "bridges");
	int r = 0;

	for (size_t i = 0; i < json_array_size(list) && !r; i++) {
		const json_t *b = json_array_get(list, i);
		struct vbridge *vb = bridges_find(p->d, text_of(b, "name"));

		r = del_mirrors(p, b, vb);
		if (!r)
			r = put_mirrors(p, b, vb);
		if (!r)
			r = put_hooks(p, b, vb);
		if (!r)
			r = del_mirrors(p, b, vb);
	}
	return r;
}
