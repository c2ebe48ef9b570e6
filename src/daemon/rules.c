/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/log.h"
#include "daemon/bridges.h"
#include "daemon/events.h"
#include "daemon/expression.h"
#include "daemon/keys.h"
#include "daemon/ports.h"

LOG_MODULE("daemon/rules");

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

int rules_hook(const char *name, enum hook *ret, struct ctl_error *err)
{
	char list[96] = "";

	for (enum hook h = 0; h < HOOK_N; h++) {
		const size_t n = strlen(list);

		if (!strcmp(name, hook_name(h))) {
			*ret = h;
			return 0;
		}
		snprintf(list + n, sizeof(list) - n, "%s%s", h ? ", " : "", hook_name(h));
	}
	return ctl_fail(err, CTL_E_VALUE, "hook %.32s: not one of %s", name, list);
}

/* ---- names ---- */

static int find(const json_t *rules, const char *name)
{
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const char *other = text_of(json_array_get(rules, i), "name");

		if (other && !strcmp(other, name))
			return (int)i;
	}
	return -1;
}

void rules_name(json_t *rules)
{
	char name[16];
	unsigned n = 1;

	for (size_t i = 0; i < json_array_size(rules); i++) {
		json_t *r = json_array_get(rules, i);

		if (json_object_get(r, "name"))
			continue;
		do
			snprintf(name, sizeof(name), "r%u", n++);
		while (find(rules, name) >= 0);
		json_object_set_new(r, "name", json_string(name));
	}
}

/* ---- from values to a set ---- */

struct build {
	const char *object; /* "bridge br0" */
	enum hook hook;
	const json_t *rules, *mirrors;
	struct ctl_error *err;
};

static int _printf_(3, 4) bad(const struct build *b, const json_t *rule, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return ctl_fail(b->err, CTL_E_VALUE, "%s: %s: rule %.31s: %s", b->object,
			hook_name(b->hook), text_of(rule, "name"), text);
}

static int take_port(const struct build *b, const json_t *rule, const char *key, char *to)
{
	const char *name = text_of(rule, key);
	struct ctl_error why;

	if (!name)
		return 0;
	if (b->hook == HOOK_PRE_ROUTING && !strcmp(key, "out"))
		return bad(b, rule, "out: pre_routing does not know yet where a frame will go");
	if (key_check_ifname(key, name, &why))
		return bad(b, rule, "%s", why.text);
	snprintf(to, BPORT_NAME_SIZE, "%s", name);
	return 0;
}

static int take_verdict(const struct build *b, const json_t *rule, struct hook_rule *r)
{
	const char *to = text_of(rule, "to");
	const json_t *set = json_object_get(rule, "set");

	while (strcmp(hook_verdict_name(r->verdict), text_of(rule, "verdict")))
		r->verdict++;
	if (r->verdict == HOOK_MIRROR && !to)
		return bad(b, rule, "mirror needs a mirror to copy to (to NAME)");
	if (r->verdict != HOOK_MIRROR && to)
		return bad(b, rule, "to %.31s: only mirror copies", to);
	if (r->verdict == HOOK_MARK && !set)
		return bad(b, rule, "mark needs a number (set N)");
	if (r->verdict != HOOK_MARK && set)
		return bad(b, rule, "set: only mark sets one");
	if (to && find(b->mirrors, to) < 0)
		return bad(b, rule, "to %.31s: no such mirror", to);
	snprintf(r->mirror_name, sizeof(r->mirror_name), "%s", to ? to : "");
	r->set_mark = (uint32_t)json_integer_value(set);
	return 0;
}

static int take_filter(const struct build *b, const json_t *rule, struct hook_rule *r)
{
	const char *text = text_of(rule, "filter");
	struct expression *e;
	char why[256];

	if (!text || !*text)
		return 0;
	e = expression_new(text, why, sizeof(why));
	if (!e)
		return bad(b, rule, "filter: %s", why);
	r->filter = expression_take(e);
	return 0;
}

static int build_rule(const struct build *b, const json_t *rule, struct hook_rule *r)
{
	const json_t *mark = json_object_get(rule, "mark"), *vlan = json_object_get(rule, "vlan");
	int e;

	snprintf(r->name, sizeof(r->name), "%s", text_of(rule, "name"));
	e = take_verdict(b, rule, r);
	if (!e)
		e = take_port(b, rule, "in", r->in_name);
	if (!e)
		e = take_port(b, rule, "out", r->out_name);
	if (e)
		return e;
	r->has_mark = mark;
	r->mark = (uint32_t)json_integer_value(mark);
	if (vlan)
		r->vlan = (int16_t)json_integer_value(vlan);
	return take_filter(b, rule, r);
}

/* *ret is the set, NULL if there are no rules. */
static int build(const struct build *b, struct hook_set **ret, size_t *ret_at)
{
	const size_t n = json_array_size(b->rules);
	struct hook_set *s;
	int r = 0;

	*ret = NULL;
	*ret_at = n ? n - 1 : 0;
	if (n > HOOK_RULES_MAX)
		return ctl_fail(b->err, CTL_E_VALUE, "%s: %s: %zu rules, at most %u are possible",
				b->object, hook_name(b->hook), n, HOOK_RULES_MAX);
	if (n == 0)
		return 0;
	s = hook_set_new((uint32_t)n);
	if (!s)
		return ctl_fail(b->err, CTL_E_INTERNAL, "%s: no memory", b->object);
	for (size_t i = 0; i < n && !r; i++) {
		const json_t *rule = json_array_get(b->rules, i);

		*ret_at = i;
		if (find(b->rules, text_of(rule, "name")) != (int)i)
			r = bad(b, rule, "there is another of that name");
		else
			r = build_rule(b, rule, &s->rules[i]);
	}
	if (r) {
		hook_set_free(s);
		return r;
	}
	hook_set_finish(s);
	*ret = s;
	return 0;
}

int rules_check(const char *object, enum hook h, const json_t *rules, const json_t *mirrors,
		size_t *ret_at, struct ctl_error *err)
{
	const struct build b = {object, h, rules, mirrors, err};
	struct hook_set *s;
	int r = build(&b, &s, ret_at);

	if (!r)
		hook_set_free(s);
	return r;
}

/* ---- of a bridge ---- */

const json_t *rules_get(const struct vbridge *vb, enum hook h)
{
	if (!vb->rules[h])
		((struct vbridge *)vb)->rules[h] = json_array();
	return vb->rules[h];
}

struct swap_job {
	struct bridge *br;
	enum hook hook;
	struct hook_set *set; /* in: the new one; out: the old one */
};

static void swap(void *arg)
{
	struct swap_job *job = arg;

	job->set = bridge_set_hook(job->br, job->hook, job->set);
}

int rules_replace(struct vbridge *vb, enum hook h, json_t *rules, struct ctl_error *err)
{
	const json_t *old = rules_get(vb, h);
	struct swap_job job = {.br = vb->br, .hook = h};
	struct build b = {.hook = h, .rules = rules, .mirrors = vb->mirrors, .err = err};
	char object[32];
	size_t at;
	int r;

	snprintf(object, sizeof(object), "bridge %s", vb->name);
	b.object = object;
	r = build(&b, &job.set, &at);
	if (r)
		return r;
	for (uint32_t i = 0; job.set && i < job.set->n; i++) {
		int was = find(old, job.set->rules[i].name);

		if (was >= 0 &&
		    json_equal(json_array_get(old, (size_t)was), json_array_get(rules, i)))
			job.set->rules[i].inherits = was;
	}
	/* commit */
	worker_call(vb->w, swap, &job);
	hook_set_free(job.set);
	json_decref(vb->rules[h]);
	vb->rules[h] = json_deep_copy(rules);
	log_info("bridge %s: %s has %zu rules", vb->name, hook_name(h), json_array_size(rules));
	events_config(vb->d, "rules", vb, NULL,
		      json_pack("{s:s, s:i}", "hook", hook_name(h), "rules",
				(int)json_array_size(rules)));
	return 0;
}

struct read_job {
	const struct bridge *br;
	enum hook hook;
	uint64_t n[HOOK_RULES_MAX][2]; /* packets, bytes */
};

static void read_counters(void *arg)
{
	struct read_job *job = arg;
	const struct hook_set *s = bridge_hook(job->br, job->hook);

	for (uint32_t i = 0; s && i < s->n; i++) {
		job->n[i][0] = s->rules[i].packets;
		job->n[i][1] = s->rules[i].bytes;
	}
}

static bool is_there(const struct vbridge *vb, const char *port)
{
	return !strcmp(port, vb->name) || ports_find(vb->d, (struct vbridge *)vb, port);
}

/* Names of the rule's ports that are not there. */
static json_t *absent_ports(const struct vbridge *vb, const json_t *rule)
{
	static const char *const keys[] = {"in", "out"};
	json_t *list = json_array();

	for (size_t i = 0; i < array_size(keys); i++) {
		const char *name = text_of(rule, keys[i]);

		if (name && !is_there(vb, name))
			json_array_append_new(list, json_string(name));
	}
	return list;
}

json_t *rules_show(struct vbridge *vb, enum hook h)
{
	struct read_job *job = calloc(1, sizeof(*job));
	json_t *rows = json_deep_copy(rules_get(vb, h)), *row;
	size_t i;

	if (job) {
		job->br = vb->br;
		job->hook = h;
		worker_call(vb->w, read_counters, job);
	}
	json_array_foreach(rows, i, row)
	{
		json_object_set_new(row, "bridge", json_string(vb->name));
		json_object_set_new(row, "hook", json_string(hook_name(h)));
		json_object_set_new(row, "pos", json_integer((json_int_t)i + 1));
		json_object_set_new(row, "packets",
				    json_integer(job ? (json_int_t)job->n[i][0] : 0));
		json_object_set_new(row, "bytes", json_integer(job ? (json_int_t)job->n[i][1] : 0));
		json_object_set_new(row, "absent", absent_ports(vb, row));
	}
	free(job);
	return rows;
}

const char *rules_use_mirror(const struct vbridge *vb, const char *mirror, enum hook *ret_hook)
{
	for (enum hook h = 0; h < HOOK_N; h++)
		for (size_t i = 0; i < json_array_size(vb->rules[h]); i++) {
			const json_t *r = json_array_get(vb->rules[h], i);

			if (!text_of(r, "to") || strcmp(text_of(r, "to"), mirror))
				continue;
			*ret_hook = h;
			return text_of(r, "name");
		}
	return NULL;
}

json_t *rules_note(const struct vbridge *vb, const json_t *rule)
{
	json_t *list = absent_ports(vb, rule), *note = NULL;

	if (json_array_size(list) > 0)
		note = json_sprintf(
			"rule %s: %s is no port of %s now; until it is, no frame matches",
			text_of(rule, "name"), json_string_value(json_array_get(list, 0)),
			vb->name);
	json_decref(list);
	return note;
}

void rules_free(struct vbridge *vb)
{
	for (enum hook h = 0; h < HOOK_N; h++)
		json_decref(vb->rules[h]);
}
