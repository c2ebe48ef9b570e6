/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/diversion.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "daemon/access.h"
#include "daemon/adopt.h"
#include "daemon/bridges.h"
#include "daemon/endpoint.h"
#include "daemon/events.h"
#include "daemon/expression.h"
#include "daemon/keys.h"
#include "daemon/netmap_sock.h"

/* Settings that are words: where their enum is. */
static const struct choice {
	const char *key;
	size_t ofs; /* in struct intercept_settings */
} choices[] = {
	{"mode", offsetof(struct intercept_settings, mode)},
	{"fail", offsetof(struct intercept_settings, fail)},
	{"overflow", offsetof(struct intercept_settings, overflow)},
	{"reserved", offsetof(struct intercept_settings, reserved)},
	{"oversize", offsetof(struct intercept_settings, oversize)},
};

/* ---- to values ---- */

static json_t *to_values(const struct intercept_settings *s, uint32_t n_rings)
{
	json_t *o = json_pack("{s:i, s:i, s:b}", "stall_ms", (int)s->stall_ms, "rings",
			      (int)n_rings, "reserved_tx", s->reserved_tx);

	for (size_t i = 0; i < array_size(choices); i++) {
		const struct key *k = key_find(&keys_intercept, 1, choices[i].key);

		json_object_set_new(o, k->name,
				    json_string(k->choices[((const uint8_t *)s)[choices[i].ofs]]));
	}
	json_object_set_new(o, "filter", json_string(""));
	json_object_set_new(o, "exempt", json_string(""));
	json_object_set_new(o, "access", json_string(""));
	return o;
}

json_t *diversion_get(const struct vbridge *vb)
{
	/* Settings change only by worker_call() from this thread: reading them needs none. */
	json_t *o = to_values(&bridge_intercept(vb->br)->set, vb->n_rings);

	if (vb->filter)
		json_object_set_new(o, "filter", json_string(expression_text(vb->filter)));
	if (vb->exempt)
		json_object_set_new(o, "exempt", json_string(expression_text(vb->exempt)));
	if (vb->access)
		json_object_set_new(o, "access", json_string(access_text(vb->access)));
	return o;
}

json_t *diversion_defaults(const struct vbridge *vb)
{
	struct intercept_settings s;

	intercept_settings_init(&s);
	if (bridge_kind(vb->br) == BRIDGE_NETDEV)
		s.mode = INTERCEPT_ALL; /* bridges.c */
	return to_values(&s, 1);
}

json_t *diversion_pending(const struct vbridge *vb)
{
	list_for_each (i, endpoints_clients(vb->d->endpoints)) {
		const struct nm_client *c = list_entry(i, struct nm_client, node);

		if (c->port && c->port->vb == vb && c->port->counts.n[0][0] != vb->n_rings)
			return json_sprintf("bridge %s: it gets %u rings when the programs that "
					    "have it open with %u let go of it (%s, pid %d)",
					    vb->name, vb->n_rings, c->port->counts.n[0][0],
					    c->program, (int)c->peer.pid);
	}
	return NULL;
}

/* ---- from values ---- */

/* *ret is the new expression, NULL for "none"; *ret_given: whether there is one among the values.
 */
static int parse_expression(const json_t *values, const char *key, const char *object,
			    struct expression **ret, bool *ret_given, struct ctl_error *err)
{
	const char *text = json_string_value(json_object_get(values, key));
	char why[256];

	*ret = NULL;
	*ret_given = text;
	if (!text || !text[0] || !strcmp(text, "none"))
		return 0;
	*ret = expression_new(text, why, sizeof(why));
	return *ret ? 0 : ctl_fail(err, CTL_E_VALUE, "%s: %s: %s", object, key, why);
}

/* As parse_expression(), for the list of who may open the bridge. */
static int parse_access(const json_t *values, const char *object, struct access **ret,
			bool *ret_given, struct ctl_error *err)
{
	const char *text = json_string_value(json_object_get(values, "access"));
	char why[96];

	*ret = NULL;
	*ret_given = text;
	if (!text || !text[0] || !strcmp(text, "none"))
		return 0;
	*ret = access_new(text, why, sizeof(why));
	return *ret ? 0 : ctl_fail(err, CTL_E_VALUE, "%s: access: %s", object, why);
}

int diversion_check(const json_t *values, const char *object, const char **ret_key,
		    struct ctl_error *err)
{
	static const char *const keys[] = {"filter", "exempt"};
	struct access *a;
	bool given;
	int r;

	for (size_t i = 0; i < array_size(keys); i++) {
		struct expression *e;

		r = parse_expression(values, keys[i], object, &e, &given, err);
		expression_free(e);
		if (r) {
			*ret_key = keys[i];
			return r;
		}
	}
	*ret_key = "access";
	r = parse_access(values, object, &a, &given, err);
	access_free(a);
	return r;
}

struct set_job {
	struct vbridge *vb;
	struct intercept_settings s;
};

static void set_in_worker(void *arg)
{
	const struct set_job *job = arg;

	intercept_set(bridge_intercept(job->vb->br), &job->s);
}

static void set_plain(struct intercept_settings *s, const json_t *values)
{
	const json_t *v = json_object_get(values, "stall_ms");

	if (v)
		s->stall_ms = (uint32_t)json_integer_value(v);
	v = json_object_get(values, "reserved_tx");
	if (v)
		s->reserved_tx = json_is_true(v);
	for (size_t i = 0; i < array_size(choices); i++) {
		const struct key *k = key_find(&keys_intercept, 1, choices[i].key);
		const char *text = json_string_value(json_object_get(values, k->name));

		for (uint8_t n = 0; text && k->choices[n]; n++)
			if (!strcmp(text, k->choices[n]))
				((uint8_t *)s)[choices[i].ofs] = n;
	}
}

static struct intercept_match match_of(struct expression *e)
{
	return (struct intercept_match){.fn = e ? expression_match : NULL, .ctx = e};
}

/* Keeps a new expression in place of an old one, which no worker uses any more. */
static void swap_expression(struct expression **at, struct expression *e)
{
	expression_free(*at);
	*at = e;
}

int diversion_set(struct vbridge *vb, const json_t *values, struct ctl_error *err)
{
	struct set_job job = {.vb = vb, .s = bridge_intercept(vb->br)->set};
	const json_t *rings = json_object_get(values, "rings");
	struct expression *filter = NULL, *exempt = NULL;
	bool has_filter = false, has_exempt = false, has_access = false;
	struct access *access = NULL;
	json_t *before;
	char object[32];
	int r;

	snprintf(object, sizeof(object), "bridge %s", vb->name);
	r = parse_expression(values, "filter", object, &filter, &has_filter, err);
	if (!r)
		r = parse_expression(values, "exempt", object, &exempt, &has_exempt, err);
	if (!r)
		r = parse_access(values, object, &access, &has_access, err);
	set_plain(&job.s, values);
	if (!r && job.s.fail == INTERCEPT_CLOSED)
		r = adopt_use(vb, err);
	if (r) {
		expression_free(filter);
		expression_free(exempt);
		access_free(access);
		return r;
	}
	if (has_filter)
		job.s.filter = match_of(filter);
	if (has_exempt)
		job.s.exempt = match_of(exempt);
	before = diversion_get(vb);
	/* commit */
	if (rings)
		vb->n_rings = (uint32_t)json_integer_value(rings);
	worker_call(vb->w, set_in_worker, &job);
	if (has_filter)
		swap_expression(&vb->filter, filter);
	if (has_exempt)
		swap_expression(&vb->exempt, exempt);
	if (vb->adopted)
		adopt_follow_fail(vb);
	if (vb->adopted && has_exempt)
		adopt_follow_exempt(vb);
	if (has_access) {
		access_free(vb->access);
		vb->access = access;
		netmap_sock_follow(vb->d->netmap_sock);
	}
	events_changed(vb->d, "intercept", vb, NULL, before, diversion_get(vb));
	return 0;
}
