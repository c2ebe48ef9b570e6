/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/mirrors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/bridges.h"
#include "daemon/events.h"
#include "daemon/expression.h"
#include "daemon/keys.h"
#include "daemon/mirror_end.h"
#include "daemon/ports.h"
#include "daemon/rules.h"

LOG_MODULE("daemon/mirrors");

#define VLAN_MAX 4094

static const struct {
	const char *key;
	uint8_t dirs;
} lists[] = {{"rx", MIRROR_RX}, {"tx", MIRROR_TX}, {"both", MIRROR_BOTH}};

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* Is the destination written with that prefix? */
static bool wants(const json_t *mirror, const char *prefix)
{
	return !strncmp(text_of(mirror, "to"), prefix, strlen(prefix));
}

/* The next of words with commas, in buf; NULL at the end. What is too long is cut. */
static const char *next_word(const char **list, char *buf, size_t size)
{
	size_t n;

	if (!*list || !**list)
		return NULL;
	n = strcspn(*list, ",");
	snprintf(buf, size, "%.*s", (int)n, *list);
	*list += n + ((*list)[n] == ',');
	return buf;
}

/* The destination's name, without what says that it is to be made. */
static const char *dest_of(const json_t *mirror)
{
	const char *to = text_of(mirror, "to"), *colon = strchr(to, ':');

	return wants(mirror, "tap:") || wants(mirror, "netmap:") ? colon + 1 : to;
}

static bool is_source(const json_t *mirror, const char *port)
{
	char word[64];

	for (size_t i = 0; i < array_size(lists); i++) {
		const char *list = text_of(mirror, lists[i].key);

		while (next_word(&list, word, sizeof(word)))
			if (!strcmp(word, port))
				return true;
	}
	return false;
}

/* ---- checks ---- */

/* "mirror ids: " and a sentence. */
static int _printf_(4, 5)
	bad(const json_t *mirror, struct ctl_error *err, enum ctl_code code, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return ctl_fail(err, code, "mirror %.31s: %s", text_of(mirror, "name"), text);
}

/* Reads the lists of ports into m, if there is one, and counts them. */
static int take_sources(const json_t *mirror, struct mirror *m, uint32_t *ret_n,
			struct ctl_error *err)
{
	char word[64];

	*ret_n = 0;
	for (size_t i = 0; i < array_size(lists); i++) {
		const char *list = text_of(mirror, lists[i].key);

		while (next_word(&list, word, sizeof(word))) {
			struct ctl_error why;

			if (key_check_ifname(lists[i].key, word, &why))
				return bad(mirror, err, CTL_E_VALUE, "%s", why.text);
			if (m) {
				memcpy(m->sources[*ret_n].port, word, BPORT_NAME_SIZE - 1);
				m->sources[*ret_n].dirs = lists[i].dirs;
			}
			(*ret_n)++;
		}
	}
	return 0;
}

static int take_vlans(const json_t *mirror, struct mirror *m, struct ctl_error *err)
{
	const char *list = text_of(mirror, "vlan");
	char word[64], *end;

	while (next_word(&list, word, sizeof(word))) {
		const unsigned long v = strtoul(word, &end, 10);

		if (*end || end == word || v < 1 || v > VLAN_MAX)
			return bad(mirror, err, CTL_E_VALUE,
				   "vlan %.32s: not a number from 1 to %d", word, VLAN_MAX);
		m->vlans[v / 64] |= 1ULL << v % 64;
		m->has_vlans = true;
	}
	return 0;
}

/* A copy that is copied again would never end. */
static int check_loops(const char *bridge, const json_t *mirror, const json_t *others,
		       struct ctl_error *err)
{
	const char *to = dest_of(mirror);
	json_t *o;
	size_t i;

	if (!strcmp(to, bridge))
		return bad(mirror, err, CTL_E_MIRROR_LOOP,
			   "to %s: the bridge itself cannot be the destination", to);
	if (is_source(mirror, to))
		return bad(mirror, err, CTL_E_MIRROR_LOOP, "to %s: it is a source as well", to);
	json_array_foreach((json_t *)others, i, o)
	{
		if (is_source(o, to))
			return bad(
				mirror, err, CTL_E_MIRROR_LOOP,
				"to %s: it is a source of mirror %s, which would copy the copies",
				to, text_of(o, "name"));
		if (is_source(mirror, dest_of(o)))
			return bad(mirror, err, CTL_E_MIRROR_LOOP,
				   "%s cannot be a source: it is the destination of mirror %s",
				   dest_of(o), text_of(o, "name"));
	}
	return 0;
}

static const json_t *find(const json_t *list, const char *name)
{
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)list, i, o) if (!strcmp(text_of(o, "name"), name)) return o;
	return NULL;
}

/* *ret is the engine's mirror. */
static int build(const char *bridge, const json_t *mirror, const json_t *others,
		 struct mirror **ret, struct ctl_error *err)
{
	const char *filter = text_of(mirror, "filter"), *name = text_of(mirror, "name");
	struct expression *e = NULL;
	struct ctl_error port;
	char why[256];
	struct mirror *m;
	uint32_t n;
	int r;

	if (find(others, name))
		return bad(mirror, err, CTL_E_MIRROR_EXISTS, "%s has one of that name", bridge);
	if (json_array_size(others) >= MIRRORS_MAX)
		return bad(mirror, err, CTL_E_VALUE, "a bridge has at most %u mirrors",
			   MIRRORS_MAX);
	if (key_check_ifname("to", dest_of(mirror), &port))
		return bad(mirror, err, CTL_E_VALUE, "%s", port.text);
	if (wants(mirror, "netmap:") && !mirror_end_can_be_opened(dest_of(mirror)))
		return bad(mirror, err, CTL_E_VALUE,
			   "to %s: a name of letters, digits, \".\" and \"_\" is needed that does "
			   "not begin with \"vale\"",
			   text_of(mirror, "to"));
	r = take_sources(mirror, NULL, &n, err);
	if (!r)
		r = check_loops(bridge, mirror, others, err);
	if (r)
		return r;
	if (filter && *filter) {
		e = expression_new(filter, why, sizeof(why));
		if (!e)
			return bad(mirror, err, CTL_E_VALUE, "filter: %s", why);
	}
	m = mirror_new(name, dest_of(mirror), n);
	if (!m) {
		expression_free(e);
		return bad(mirror, err, CTL_E_INTERNAL, "no memory");
	}
	m->filter = e ? expression_take(e) : NULL;
	m->snap = (uint32_t)json_integer_value(json_object_get(mirror, "snap"));
	take_sources(mirror, m, &n, err);
	r = take_vlans(mirror, m, err);
	if (r)
		mirror_free(m);
	else
		*ret = m;
	return r;
}

int mirrors_check(const char *bridge, const json_t *mirror, const json_t *others,
		  struct ctl_error *err)
{
	struct mirror *m;
	int r = build(bridge, mirror, others, &m, err);

	if (!r)
		mirror_free(m);
	return r;
}

/* ---- of a bridge ---- */

struct mirror_job {
	struct bridge *br;
	struct mirror *m, *old;
	const char *name;
	int r;
};

/* One that is replaced leaves in the same moment. */
static void add_in_worker(void *arg)
{
	struct mirror_job *job = arg;

	job->old = job->name ? bridge_mirror_del(job->br, job->name) : NULL;
	job->r = bridge_mirror_add(job->br, job->m);
}

static void del_in_worker(void *arg)
{
	struct mirror_job *job = arg;

	job->m = bridge_mirror_del(job->br, job->name);
}

/* Makes the TAP or endpoint that the mirror wants, unless the bridge has it. *ret: made, or NULL.
 */
static int need_dest(struct vbridge *vb, const json_t *mirror, struct vport **ret,
		     struct ctl_error *err)
{
	const struct port_request req = {.name = dest_of(mirror), .tap = true};
	const struct vport *vp = ports_find(vb->d, vb, req.name);
	const bool end = wants(mirror, "netmap:");

	*ret = NULL;
	if (req.name == text_of(mirror, "to"))
		return 0;
	if (vp && (vp->end != NULL) != end)
		return bad(mirror, err, CTL_E_PORT_MEMBER, "to %s: %s is another port of %s",
			   text_of(mirror, "to"), req.name, vb->name);
	if (vp)
		return 0;
	return end ? mirror_end_add(vb, req.name, ret, err) : ports_add(vb, &req, ret, err);
}

static bool has_dest(const json_t *mirrors, const char *port)
{
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)mirrors, i, o) if (!strcmp(dest_of(o), port)) return true;
	return false;
}

/* Takes the mirror called name off the list, and what it made if nothing needs that any more. */
static void forget(struct vbridge *vb, const char *name)
{
	char to[BPORT_NAME_SIZE] = "";
	struct vport *vp;
	json_t *o;
	size_t i;

	json_array_foreach(vb->mirrors, i, o)
	{
		if (strcmp(text_of(o, "name"), name))
			continue;
		snprintf(to, sizeof(to), "%s", dest_of(o));
		json_array_remove(vb->mirrors, i);
		break;
	}
	vp = ports_find(vb->d, vb, to);
	if (vp && vp->for_mirror && !has_dest(vb->mirrors, to))
		ports_del(vp);
}

/* All mirrors but the one called name; new. */
static json_t *others_than(const json_t *mirrors, const char *name)
{
	json_t *list = json_array(), *o;
	size_t i;

	json_array_foreach((json_t *)mirrors, i, o) if (strcmp(text_of(o, "name"), name))
		json_array_append(list, o);
	return list;
}

/* Frees the engine's part when it fails. */
static int add_built(struct vbridge *vb, const json_t *mirror, struct mirror *m, bool replace,
		     struct ctl_error *err)
{
	struct mirror_job job = {.br = vb->br, .m = m, .name = replace ? m->name : NULL};
	struct vport *made;
	int r = need_dest(vb, mirror, &made, err);

	if (r) {
		mirror_free(m);
		return r;
	}
	worker_call(vb->w, add_in_worker, &job);
	mirror_free(job.old);
	if (job.r) { /* memory, and only for the first one */
		mirror_free(m);
		if (made)
			ports_del(made);
		return bad(mirror, err, CTL_E_INTERNAL, "%s", err_text(-ENOMEM));
	}
	if (made)
		made->for_mirror = true;
	return 0;
}

int mirrors_add(struct vbridge *vb, const json_t *mirror, bool replace, struct ctl_error *err)
{
	const char *name = text_of(mirror, "name");
	json_t *others = replace ? others_than(vb->mirrors, name) : json_incref(vb->mirrors);
	struct mirror *m = NULL;
	int r = build(vb->name, mirror, others, &m, err);

	json_decref(others);
	if (!r)
		r = add_built(vb, mirror, m, replace, err);
	if (r)
		return r;
	if (!vb->mirrors)
		vb->mirrors = json_array();
	json_array_append_new(vb->mirrors, json_deep_copy(mirror));
	if (mirrors_find(vb, name) != json_array_get(vb->mirrors, json_array_size(vb->mirrors) - 1))
		forget(vb, name); /* the one before it */
	log_info("bridge %s: mirror %s to %s", vb->name, name, dest_of(mirror));
	events_config(vb->d, "mirror-add", vb, NULL,
		      json_pack("{s:s, s:s}", "name", name, "to", text_of(mirror, "to")));
	return 0;
}

int mirrors_del(struct vbridge *vb, const char *name, struct ctl_error *err)
{
	const json_t *mirror = mirrors_find(vb, name);
	struct mirror_job job = {.br = vb->br, .name = name};
	const char *user;
	enum hook h;

	if (!mirror)
		return ctl_fail(err, CTL_E_MIRROR_NONE, "mirror %.31s: %s has none of that name",
				name, vb->name);
	user = rules_use_mirror(vb, name, &h);
	if (user) {
		bad(mirror, err, CTL_E_MIRROR_BUSY, "rule %s of %s %s copies to it", user, vb->name,
		    hook_name(h));
		return ctl_hint(err, "viaduct rule del %s %s %s", vb->name, hook_name(h), user);
	}
	/* commit */
	worker_call(vb->w, del_in_worker, &job);
	mirror_free(job.m);
	events_config(vb->d, "mirror-del", vb, NULL, json_pack("{s:s}", "name", name));
	forget(vb, name);
	return 0;
}

const json_t *mirrors_find(const struct vbridge *vb, const char *name)
{
	return find(vb->mirrors, name);
}

struct read_job {
	const struct bridge *br;
	const char *name;
	struct mirror_counters n;
};

static void read_counters(void *arg)
{
	struct read_job *job = arg;
	const struct mirror *m = bridge_mirror(job->br, job->name);

	if (m)
		job->n = m->counters;
}

static bool is_there(const struct vbridge *vb, const char *port)
{
	return !strcmp(port, vb->name) || ports_find(vb->d, (struct vbridge *)vb, port);
}

/* Names of the mirror's ports that are not there. */
static json_t *absent_ports(const struct vbridge *vb, const json_t *mirror)
{
	json_t *list = json_array();
	char word[64];

	if (!is_there(vb, dest_of(mirror)))
		json_array_append_new(list, json_string(dest_of(mirror)));
	for (size_t i = 0; i < array_size(lists); i++) {
		const char *words = text_of(mirror, lists[i].key);

		while (next_word(&words, word, sizeof(word)))
			if (!is_there(vb, word))
				json_array_append_new(list, json_string(word));
	}
	return list;
}

json_t *mirrors_show(struct vbridge *vb)
{
	json_t *rows = vb->mirrors ? json_deep_copy(vb->mirrors) : json_array(), *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		struct read_job job = {.br = vb->br, .name = text_of(row, "name")};
		const struct vport *vp = ports_find(vb->d, vb, dest_of(row));

		worker_call(vb->w, read_counters, &job);
		json_object_update_new(row, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o}",
						      "bridge", vb->name, "state",
						      !vp || !vp->port ? "away"
						      : vp->up         ? "up"
								       : "down",
						      "packets", (json_int_t)job.n.packets, "bytes",
						      (json_int_t)job.n.bytes, "cut",
						      (json_int_t)job.n.cut, "lost",
						      (json_int_t)job.n.lost, "absent",
						      absent_ports(vb, row)));
	}
	return rows;
}

json_t *mirrors_note(const struct vbridge *vb, const json_t *mirror)
{
	json_t *list = absent_ports(vb, mirror), *note = NULL;

	if (json_array_size(list) > 0)
		note = json_sprintf("mirror %s: %s is no port of %s now; it is used when it is",
				    text_of(mirror, "name"),
				    json_string_value(json_array_get(list, 0)), vb->name);
	json_decref(list);
	return note;
}

void mirrors_drop(struct vbridge *vb)
{
	json_decref(vb->mirrors);
}
