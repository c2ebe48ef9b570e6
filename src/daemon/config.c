/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/compiler.h"
#include "base/err.h"
#include "daemon/keys.h"
#include "daemon/rules.h"
#include "daemon/tree.h"
#include "daemon/vlans.h"

struct parse {
	yaml_document_t doc;
	const char *file;
	struct ctl_error *err;
	json_t *seen_ports; /* name -> line: a device belongs to one bridge */
};

static const struct key port_own_keys[] = {
	{"name", KEY_STRING, KEY_PLAIN, 0, 0},
	{"match", KEY_STRING, KEY_PLAIN, 0, 0},
	{"driver", KEY_STRING, KEY_PLAIN, 0, 0},
	{"file", KEY_STRING, KEY_PLAIN, 0, 0},
};
static const struct key fdb_keys[] = {
	{"mac", KEY_STRING, KEY_MAC, 0, 0},
	{"port", KEY_STRING, KEY_PLAIN, 0, 0},
	{"kind", KEY_STRING, KEY_PLAIN, 0, 0},
	{"vlan", KEY_INT, KEY_PLAIN, 0, 4094},
};
static const struct key bridge_own_keys[] = {
	{"fdb_size", KEY_INT, KEY_PLAIN, 16, 1 << 26}, {"ports", KEY_STRINGS, KEY_PLAIN, 0, 0},
	{"fdb", KEY_STRINGS, KEY_PLAIN, 0, 0},         {"intercept", KEY_STRINGS, KEY_PLAIN, 0, 0},
	{"access", KEY_STRINGS, KEY_PLAIN, 0, 0},      {"rules", KEY_STRINGS, KEY_PLAIN, 0, 0},
	{"mirrors", KEY_STRINGS, KEY_PLAIN, 0, 0},
};
static const struct key access_keys[] = {
	{"users", KEY_STRINGS, KEY_PLAIN, 0, 0},
	{"groups", KEY_STRINGS, KEY_PLAIN, 0, 0},
};
static const char *const vias[] = {"tc", "xdp", NULL};
static const struct key adopt_keys[] = {
	{"via", KEY_STRING, KEY_PLAIN, 0, 0, vias},
	{"intercept", KEY_STRINGS, KEY_PLAIN, 0, 0},
	{"access", KEY_STRINGS, KEY_PLAIN, 0, 0},
};
static const struct key top_keys[] = {
	{"daemon", KEY_STRINGS, KEY_PLAIN, 0, 0},
	{"bridges", KEY_STRINGS, KEY_PLAIN, 0, 0},
	{"adopt", KEY_STRINGS, KEY_PLAIN, 0, 0},
};

/* ---- errors ---- */

static int fail_at(struct parse *p, size_t line, const char *fmt, ...) _printf_(3, 4);

static int fail_at(struct parse *p, size_t line, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return ctl_fail(p->err, CTL_E_CONFIG, "%.100s:%zu: %s", p->file, line, text);
}

static size_t line_of(const yaml_node_t *n)
{
	return n->start_mark.line + 1;
}

int config_error_at(const struct config *c, const json_t *item, struct ctl_error *err)
{
	char text[sizeof(err->text)];
	int line = (int)json_integer_value(json_object_get(item, "line"));

	memcpy(text, err->text, sizeof(text));
	err->code = CTL_E_CONFIG;
	snprintf(err->text, sizeof(err->text), "%.100s:%d: %.390s", c->file, line, text);
	return err->code;
}

/* ---- nodes ---- */

static const char *scalar(const yaml_node_t *n)
{
	return n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

static bool is_null(const yaml_node_t *n)
{
	const char *s = scalar(n);

	return s && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*s || !strcmp(s, "~") || !strcmp(s, "null"));
}

typedef int member_fn(struct parse *p, const char *key, yaml_node_t *knode, yaml_node_t *value,
		      void *ctx);

/* Calls fn for each member of a mapping; nothing for an empty value. */
static int each_member(struct parse *p, yaml_node_t *n, const char *what, member_fn *fn, void *ctx)
{
	json_t *seen;
	int r = 0;

	if (is_null(n))
		return 0;
	if (n->type != YAML_MAPPING_NODE)
		return fail_at(p, line_of(n), "%s must be a mapping of keys to values", what);
	seen = json_object();
	for (yaml_node_pair_t *i = n->data.mapping.pairs.start; i < n->data.mapping.pairs.top && !r;
	     i++) {
		yaml_node_t *k = yaml_document_get_node(&p->doc, i->key);
		yaml_node_t *v = yaml_document_get_node(&p->doc, i->value);
		const char *key = scalar(k);

		if (!key)
			r = fail_at(p, line_of(k), "a key must be a word");
		else if (json_object_get(seen, key))
			r = fail_at(p, line_of(k), "key \"%.64s\" is there twice", key);
		else if (json_object_set_new(seen, key, json_true()))
			r = fail_at(p, line_of(k), "a key is not UTF-8");
		else
			r = fn(p, key, k, v, ctx);
	}
	json_decref(seen);
	return r;
}

typedef int item_fn(struct parse *p, yaml_node_t *item, void *ctx);

static int each_item(struct parse *p, yaml_node_t *n, const char *what, item_fn *fn, void *ctx)
{
	int r = 0;

	if (is_null(n))
		return 0;
	if (n->type != YAML_SEQUENCE_NODE)
		return fail_at(p, line_of(n), "%s must be a list", what);
	for (yaml_node_item_t *i = n->data.sequence.items.start;
	     i < n->data.sequence.items.top && !r; i++)
		r = fn(p, yaml_document_get_node(&p->doc, *i), ctx);
	return r;
}

static int unknown_key(struct parse *p, const yaml_node_t *k, const struct key_table *tables,
		       size_t n)
{
	const char *near = key_nearest(tables, n, scalar(k));

	if (near)
		return fail_at(p, line_of(k), "unknown key \"%.64s\", did you mean \"%s\"?",
			       scalar(k), near);
	return fail_at(p, line_of(k), "unknown key \"%.64s\"", scalar(k));
}

static const char *type_wanted(const struct key *k)
{
	return k->type == KEY_BOOL  ? "true or false"
	       : k->type == KEY_INT ? "an integer"
				    : "a string";
}

/* Checks a scalar against its key and puts it into `to`. */
static int take_value(struct parse *p, const struct key *k, yaml_node_t *v, const char *object,
		      json_t *to)
{
	const char *text = scalar(v);
	struct ctl_error err;
	json_t *value;

	if (!text)
		return fail_at(p, line_of(v), "%s must be %s", k->name, type_wanted(k));
	value = key_value_parse(k, text);
	if (!value)
		return fail_at(p, line_of(v), "%s must be %s, not \"%.64s\"", k->name,
			       type_wanted(k), text);
	json_object_set_new(to, k->name, value);
	if (key_check(k, value, object, &err))
		return fail_at(p, line_of(v), "%s", err.text);
	return 0;
}

/* ---- VLANs ---- */

static int vlan_item(struct parse *p, yaml_node_t *n, void *ctx)
{
	const char *word = scalar(n);
	json_t **text = ctx, *longer;

	if (!word || strchr(word, ','))
		return fail_at(p, line_of(n), "vlans: an item is like \"10-20 untagged\"");
	longer = json_sprintf("%s%s%s", json_string_value(*text),
			      *json_string_value(*text) ? "," : "", word);
	if (!longer)
		return fail_at(p, line_of(n), "vlans: an item is not UTF-8");
	json_decref(*text);
	*text = longer;
	return 0;
}

/* A list of items, which becomes the one spelling of the set: it is compared with what runs. */
static int vlan_list(struct parse *p, yaml_node_t *k, yaml_node_t *v, const char *object,
		     json_t *values)
{
	json_t *text = json_string("");
	struct ctl_error err;
	struct vlan_set s;
	int r = each_item(p, v, "vlans", vlan_item, &text);

	if (!r && vlans_parse(json_string_value(text), object, &s, &err))
		r = fail_at(p, line_of(k), "%s", err.text);
	if (!r)
		json_object_set_new(values, "vlans", vlans_text(&s));
	json_decref(text);
	return r;
}

/* ---- ports ---- */

struct item {
	json_t *own;    /* name, driver and so on */
	json_t *values; /* settings */
	const char *object;
};

static int port_member(struct parse *p, const char *key, yaml_node_t *k, yaml_node_t *v, void *ctx)
{
	const struct key_table tables[] = {KEY_TABLE(port_own_keys), keys_port};
	struct item *it = ctx;
	const struct key *def = key_find(tables, 2, key);

	if (!def)
		return unknown_key(p, k, tables, 2);
	if (def->rule == KEY_VLANS)
		return vlan_list(p, k, v, it->object, it->values);
	return take_value(p, def, v, it->object, key_find(tables, 1, key) ? it->own : it->values);
}

static int check_port_name(struct parse *p, size_t line, json_t *port)
{
	const char *name = json_string_value(json_object_get(port, "name"));
	const json_t *other;
	struct ctl_error err;

	if (!strncmp(name, "tap:", 4)) {
		json_object_set_new(port, "tap", json_true());
		name += 4;
	}
	if (key_check_ifname("port", name, &err))
		return fail_at(p, line, "%s", err.text);
	other = json_object_get(p->seen_ports, name);
	if (other)
		return fail_at(p, line, "port %s is in line %d already", name,
			       (int)json_integer_value(other));
	json_object_set_new(p->seen_ports, name, json_integer((json_int_t)line));
	/* name may lie in the value that is replaced. */
	return json_object_set_new(port, "name", json_string(name)) ? fail_at(p, line, "no memory")
								    : 0;
}

static int port_item(struct parse *p, yaml_node_t *n, void *ctx)
{
	json_t *port = json_object(), *values = json_object();
	struct item it = {port, values, "port"};
	int r;

	json_object_set_new(port, "line", json_integer((json_int_t)line_of(n)));
	json_object_set_new(port, "values", values);
	json_array_append_new(ctx, port);
	r = each_member(p, n, "a port", port_member, &it);
	if (r)
		return r;
	if (!json_object_get(port, "name") == !json_object_get(port, "match"))
		return fail_at(p, line_of(n), "a port needs either name or match");
	if (json_object_get(port, "match"))
		return 0;
	return check_port_name(p, line_of(n), port);
}

/* ---- FDB entries ---- */

static int fdb_member(struct parse *p, const char *key, yaml_node_t *k, yaml_node_t *v, void *ctx)
{
	const struct key_table table = KEY_TABLE(fdb_keys);
	const struct key *def = key_find(&table, 1, key);

	if (!def)
		return unknown_key(p, k, &table, 1);
	return take_value(p, def, v, "fdb", ctx);
}

static int fdb_item(struct parse *p, yaml_node_t *n, void *ctx)
{
	static const char *const kinds[] = {"static", "sticky", "local", "dynamic"};
	json_t *entry = json_object();
	const char *kind;
	int r;

	json_object_set_new(entry, "line", json_integer((json_int_t)line_of(n)));
	json_array_append_new(ctx, entry);
	r = each_member(p, n, "an FDB entry", fdb_member, entry);
	if (r)
		return r;
	if (!json_object_get(entry, "mac"))
		return fail_at(p, line_of(n), "an FDB entry needs mac");
	kind = json_string_value(json_object_get(entry, "kind"));
	for (size_t i = 0; kind && i < array_size(kinds); i++)
		if (!strcmp(kind, kinds[i]))
			kind = NULL;
	if (kind)
		return fail_at(p, line_of(n), "kind must be static, sticky, local or dynamic");
	kind = json_string_value(json_object_get(entry, "kind"));
	if (!json_object_get(entry, "port") && (!kind || strcmp(kind, "local")))
		return fail_at(p, line_of(n), "an FDB entry needs port, unless its kind is local");
	return 0;
}

/* ---- interception ---- */

/* Keys are the words of `viaduct intercept`: stall-ms, where the protocol has stall_ms. */
static void swap_char(char *text, char from, char to)
{
	for (; *text; text++)
		if (*text == from)
			*text = to;
}

static int unknown_intercept_key(struct parse *p, const yaml_node_t *k, const char *name)
{
	const char *near = key_nearest(&keys_intercept, 1, name);
	char word[32];

	if (!near)
		return unknown_key(p, k, NULL, 0);
	snprintf(word, sizeof(word), "%s", near);
	swap_char(word, '_', '-');
	return fail_at(p, line_of(k), "unknown key \"%.64s\", did you mean \"%s\"?", scalar(k),
		       word);
}

static int intercept_member(struct parse *p, const char *key, yaml_node_t *k, yaml_node_t *v,
			    void *ctx)
{
	struct item *it = ctx;
	const struct key *def;
	struct key written;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "%s", key);
	swap_char(name, '-', '_');
	def = key_find(&keys_intercept, 1, name);
	/* Who may open the bridge is a key of the bridge. */
	if (!def || strchr(key, '_') || !strcmp(key, "access"))
		return unknown_intercept_key(p, k, name);
	written = *def;
	written.name = key;
	r = take_value(p, &written, v, it->object, it->values);
	if (!r && strcmp(key, name)) {
		json_object_set(it->values, name, json_object_get(it->values, key));
		json_object_del(it->values, key);
	}
	/* No expression has one spelling inside: it is compared with what runs. */
	if (!r && !def->choices && def->type == KEY_STRING && !strcmp(scalar(v), "none"))
		json_object_set_new(it->values, name, json_string(""));
	json_object_set_new(it->own, name, json_integer((json_int_t)line_of(v)));
	return r;
}

static int intercept_settings(struct parse *p, yaml_node_t *v, json_t *bridge, const char *object)
{
	json_t *o = json_object_get(bridge, "intercept");
	struct item it = {json_object_get(o, "lines"), json_object_get(o, "values"), object};

	return each_member(p, v, "intercept", intercept_member, &it);
}

/* ---- access ---- */

struct access_words {
	const char *prefix; /* of each word: "@" for groups */
	json_t **text;      /* the list so far */
};

static int access_item(struct parse *p, yaml_node_t *n, void *ctx)
{
	const struct access_words *w = ctx;
	const char *word = scalar(n), *before = json_string_value(*w->text);
	json_t *longer;

	if (!word || !*word || strpbrk(word, ",@ "))
		return fail_at(p, line_of(n), "access: not the name or number of a user or group");
	longer = json_sprintf("%s%s%s%s", before, *before ? "," : "", w->prefix, word);
	if (!longer)
		return fail_at(p, line_of(n), "access: a name is not UTF-8");
	json_decref(*w->text);
	*w->text = longer;
	return 0;
}

static int access_member(struct parse *p, const char *key, yaml_node_t *k, yaml_node_t *v,
			 void *ctx)
{
	const struct key_table table = KEY_TABLE(access_keys);
	struct access_words w = {strcmp(key, "groups") ? "" : "@", ctx};

	if (!key_find(&table, 1, key))
		return unknown_key(p, k, &table, 1);
	return each_item(p, v, key, access_item, &w);
}

/* Becomes one of the values of `intercept`, as the command writes it. */
static int access_list(struct parse *p, yaml_node_t *k, yaml_node_t *v, json_t *bridge)
{
	json_t *o = json_object_get(bridge, "intercept"), *text = json_string("");
	int r = each_member(p, v, "access", access_member, &text);

	json_object_set_new(json_object_get(o, "values"), "access", text);
	json_object_set_new(json_object_get(o, "lines"), "access",
			    json_integer((json_int_t)line_of(k)));
	return r;
}

/* ---- rules and mirrors ---- */

struct rows {
	const char *what; /* "a rule" */
	const struct key_table *keys;
	json_t *to;
};

struct row {
	const struct rows *rows;
	json_t *values;
};

static int row_member(struct parse *p, const char *key, yaml_node_t *k, yaml_node_t *v, void *ctx)
{
	const struct row *row = ctx;
	const struct key *def = key_find(row->rows->keys, 1, key);

	if (!def)
		return unknown_key(p, k, row->rows->keys, 1);
	return take_value(p, def, v, row->rows->what, row->values);
}

static int row_item(struct parse *p, yaml_node_t *n, void *ctx)
{
	const struct rows *rows = ctx;
	json_t *values = json_object();
	struct row row = {rows, values};
	struct ctl_error err;
	int r;

	json_array_append_new(rows->to, json_pack("{s:o, s:I}", "values", values, "line",
						  (json_int_t)line_of(n)));
	r = each_member(p, n, rows->what, row_member, &row);
	if (!r && keys_check(rows->keys, 1, values, rows->what, &err))
		r = fail_at(p, line_of(n), "%s", err.text);
	return r;
}

/* The rules of one hook. */
static int rules_member(struct parse *p, const char *key, yaml_node_t *k, yaml_node_t *v, void *ctx)
{
	struct rows rows = {"a rule", &keys_rule, json_array()};
	struct ctl_error err;
	enum hook h;

	json_object_set_new(ctx, key, rows.to);
	if (rules_hook(key, &h, &err))
		return fail_at(p, line_of(k), "%s", err.text);
	return each_item(p, v, key, row_item, &rows);
}

/* ---- bridges ---- */

static int bridge_member(struct parse *p, const char *key, yaml_node_t *k, yaml_node_t *v,
			 void *ctx)
{
	const struct key_table tables[] = {KEY_TABLE(bridge_own_keys), keys_bridge};
	struct item *it = ctx;
	const struct key *def = key_find(tables, 2, key);

	if (!def)
		return unknown_key(p, k, tables, 2);
	if (!strcmp(key, "ports"))
		return each_item(p, v, "ports", port_item, json_object_get(it->own, "ports"));
	if (!strcmp(key, "fdb"))
		return each_item(p, v, "fdb", fdb_item, json_object_get(it->own, "fdb"));
	if (!strcmp(key, "intercept"))
		return intercept_settings(p, v, it->own, it->object);
	if (!strcmp(key, "access"))
		return access_list(p, k, v, it->own);
	if (!strcmp(key, "rules"))
		return each_member(p, v, key, rules_member, json_object_get(it->own, key));
	if (!strcmp(key, "mirrors")) {
		struct rows rows = {"a mirror", &keys_mirror, json_object_get(it->own, key)};

		return each_item(p, v, key, row_item, &rows);
	}
	if (def->rule == KEY_VLANS)
		return vlan_list(p, k, v, it->object, it->values);
	return take_value(p, def, v, it->object, it->values);
}

static int bridge_item(struct parse *p, const char *name, yaml_node_t *k, yaml_node_t *v, void *ctx)
{
	json_t *values = json_object();
	json_t *bridge =
		json_pack("{s:s, s:I, s:o, s:[], s:[], s:{s:{}, s:{}}, s:{}, s:[]}", "name", name,
			  "line", (json_int_t)line_of(k), "values", values, "ports", "fdb",
			  "intercept", "values", "lines", "rules", "mirrors");
	char object[32];
	struct item it = {bridge, values, object};
	struct ctl_error err;

	json_array_append_new(ctx, bridge);
	if (key_check_ifname("bridge", name, &err))
		return fail_at(p, line_of(k), "%s", err.text);
	snprintf(object, sizeof(object), "bridge %s", name);
	if (each_member(p, v, object, bridge_member, &it))
		return CTL_E_CONFIG;
	if (tree_check(NULL, values, object, &err))
		return fail_at(p, line_of(k), "%s", err.text);
	return 0;
}

/* ---- bridges and devices of the kernel ---- */

static int adopt_member(struct parse *p, const char *key, yaml_node_t *k, yaml_node_t *v, void *ctx)
{
	const struct key_table table = KEY_TABLE(adopt_keys);
	const struct key *def = key_find(&table, 1, key);
	struct item *it = ctx;

	if (!def)
		return unknown_key(p, k, &table, 1);
	if (!strcmp(key, "via"))
		return take_value(p, def, v, it->object, it->own);
	if (!strcmp(key, "access"))
		return access_list(p, k, v, it->own);
	return intercept_settings(p, v, it->own, it->object);
}

static int adopt_item(struct parse *p, const char *name, yaml_node_t *k, yaml_node_t *v, void *ctx)
{
	json_t *own = json_pack("{s:s, s:I, s:{s:{}, s:{}}}", "name", name, "line",
				(json_int_t)line_of(k), "intercept", "values", "lines");
	char object[32];
	struct item it = {own, NULL, object};
	struct ctl_error err;

	json_array_append_new(ctx, own);
	if (key_check_ifname("adopt", name, &err))
		return fail_at(p, line_of(k), "%s", err.text);
	snprintf(object, sizeof(object), "adopt %s", name);
	return each_member(p, v, object, adopt_member, &it);
}

/* What is adopted stays the kernel's: it is no bridge or port of ours. */
static int check_adopted(struct parse *p, const struct config *c)
{
	const json_t *list = json_object_get(c->root, "adopt");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *a = json_array_get(list, i), *other;
		const char *name = json_string_value(json_object_get(a, "name"));
		const size_t line = (size_t)json_integer_value(json_object_get(a, "line"));

		other = json_object_get(config_bridge(c, name), "line");
		if (other)
			return fail_at(p, line, "adopt %s: a bridge of viaduct's own in line %d",
				       name, (int)json_integer_value(other));
		other = json_object_get(p->seen_ports, name);
		if (other)
			return fail_at(p, line, "adopt %s: a port in line %d", name,
				       (int)json_integer_value(other));
	}
	return 0;
}

static int daemon_member(struct parse *p, const char *key, yaml_node_t *k, yaml_node_t *v,
			 void *ctx)
{
	const struct key *def = key_find(&keys_daemon, 1, key);

	if (!def)
		return unknown_key(p, k, &keys_daemon, 1);
	return take_value(p, def, v, "daemon", ctx);
}

static int top_member(struct parse *p, const char *key, yaml_node_t *k, yaml_node_t *v, void *ctx)
{
	const struct key_table table = KEY_TABLE(top_keys);

	if (!strcmp(key, "daemon"))
		return each_member(p, v, "daemon", daemon_member, json_object_get(ctx, "daemon"));
	if (!strcmp(key, "bridges"))
		return each_member(p, v, "bridges", bridge_item, json_object_get(ctx, "bridges"));
	if (!strcmp(key, "adopt"))
		return each_member(p, v, "adopt", adopt_item, json_object_get(ctx, "adopt"));
	return unknown_key(p, k, &table, 1);
}

/* ---- the whole ---- */

static int parse_document(struct parse *p, json_t *root)
{
	yaml_node_t *n = yaml_document_get_root_node(&p->doc);

	return n ? each_member(p, n, "the file", top_member, root) : 0;
}

static int parse_yaml(yaml_parser_t *parser, struct parse *p, json_t *root)
{
	int r;

	if (!yaml_parser_load(parser, &p->doc))
		return fail_at(p, parser->problem_mark.line + 1, "not YAML: %s",
			       parser->problem ? parser->problem : "unknown problem");
	r = parse_document(p, root);
	yaml_document_delete(&p->doc);
	return r;
}

int config_parse(const char *text, size_t len, const char *file, struct config **ret,
		 struct ctl_error *err)
{
	struct parse p = {.file = file, .err = err};
	struct config *c = calloc(1, sizeof(*c));
	yaml_parser_t parser;
	int r;

	if (!c || !yaml_parser_initialize(&parser)) {
		free(c);
		return ctl_fail(err, CTL_E_INTERNAL, "%.100s: no memory", file);
	}
	c->file = strdup(file);
	c->root = json_pack("{s:{}, s:[], s:[]}", "daemon", "bridges", "adopt");
	p.seen_ports = json_object();
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	r = parse_yaml(&parser, &p, c->root);
	if (!r)
		r = check_adopted(&p, c);
	yaml_parser_delete(&parser);
	json_decref(p.seen_ports);
	if (r) {
		config_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int config_load(const char *path, struct config **ret, struct ctl_error *err)
{
	FILE *f = fopen(path, "re");
	char *text;
	size_t n;
	int r;

	if (!f)
		return ctl_fail(err, CTL_E_CONFIG, "%.100s: %s", path, err_text(-errno));
	text = malloc(CONFIG_SIZE_MAX + 1);
	n = text ? fread(text, 1, CONFIG_SIZE_MAX + 1, f) : 0;
	if (!text || ferror(f))
		r = ctl_fail(err, CTL_E_CONFIG, "%.100s: cannot be read", path);
	else if (n > CONFIG_SIZE_MAX)
		r = ctl_fail(err, CTL_E_CONFIG, "%.100s: longer than %u bytes", path,
			     CONFIG_SIZE_MAX);
	else
		r = config_parse(text, n, path, ret, err);
	free(text);
	fclose(f);
	return r;
}

struct config *config_free(struct config *c)
{
	if (!c)
		return NULL;
	json_decref(c->root);
	free(c->file);
	free(c);
	return NULL;
}

static const json_t *find_item(const struct config *c, const char *section, const char *name)
{
	const json_t *list = c ? json_object_get(c->root, section) : NULL;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *b = json_array_get(list, i);

		if (!strcmp(json_string_value(json_object_get(b, "name")), name))
			return b;
	}
	return NULL;
}

const json_t *config_bridge(const struct config *c, const char *name)
{
	return find_item(c, "bridges", name);
}

const json_t *config_adopt(const struct config *c, const char *name)
{
	return find_item(c, "adopt", name);
}

const json_t *config_port(const json_t *bridge, const char *ifname)
{
	const json_t *list = json_object_get(bridge, "ports"), *found = NULL;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *p = json_array_get(list, i);
		const char *name = json_string_value(json_object_get(p, "name"));
		const char *match = json_string_value(json_object_get(p, "match"));

		if (name && !strcmp(name, ifname))
			return p;
		if (match && !found && fnmatch(match, ifname, 0) == 0)
			found = p;
	}
	return found;
}

json_t *config_difference(const json_t *now, const json_t *before, const json_t *want,
			  const json_t *defaults)
{
	json_t *diff = json_object(), *v;
	const char *key;

	json_object_foreach(
		(json_t *)before, key,
		v) if (!json_object_get(want, key) && json_object_get(defaults, key) &&
		       !json_equal(json_object_get(now, key), json_object_get(defaults, key)))
		json_object_set(diff, key, json_object_get(defaults, key));
	json_object_foreach((json_t *)want, key, v) if (json_object_get(now, key) &&
							!json_equal(json_object_get(now, key), v))
		json_object_set(diff, key, v);
	if (json_object_size(diff) == 0) {
		json_decref(diff);
		return NULL;
	}
	return diff;
}
