/* SPDX-License-Identifier: BSD-2-Clause */
#include "wire/msg.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

/* Small enough that an idle connection costs little, large enough for any ordinary request. */
#define LINES_CAP_FIRST 4096u
#define NEAREST_LEN_MAX 64u

struct code_entry {
	int code;
	const char *name, *text;
};

static const struct code_entry codes[] = {
#define X(code, name, text) {code, #name, text},
	CTL_ERROR_LIST(X)
#undef X
};

static const struct code_entry *code_find(int code)
{
	for (size_t i = 0; i < array_size(codes); i++)
		if (codes[i].code == code)
			return &codes[i];
	return NULL;
}

const char *ctl_code_name(int code)
{
	const struct code_entry *e = code_find(code);

	return e ? e->name : "E_INTERNAL";
}

const char *ctl_code_text(int code)
{
	const struct code_entry *e = code_find(code);

	return e ? e->text : "unexpected failure";
}

int ctl_fail(struct ctl_error *err, enum ctl_code code, const char *fmt, ...)
{
	va_list ap;

	err->code = code;
	err->hint[0] = '\0';
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return err->code;
}

int ctl_hint(struct ctl_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	return err->code;
}

/* ---- lines ---- */

void ctl_lines_init(struct ctl_lines *l, size_t max)
{
	memset(l, 0, sizeof(*l));
	l->max = max;
}

void ctl_lines_deinit(struct ctl_lines *l)
{
	free(l->buf);
	ctl_lines_init(l, l->max);
}

/* Moves what is not handed out yet to the front, so that a long line can use all of the buffer. */
static void lines_compact(struct ctl_lines *l)
{
	if (l->start == 0)
		return;
	memmove(l->buf, l->buf + l->start, l->end - l->start);
	l->end -= l->start;
	l->scanned -= l->start;
	l->start = 0;
}

int ctl_lines_room(struct ctl_lines *l, char **ret_p, size_t *ret_room)
{
	size_t cap = l->cap ? l->cap : LINES_CAP_FIRST;
	char *p;

	if (l->buf)
		lines_compact(l);
	if (l->end >= l->max)
		return CTL_LINES_E_LONG;
	if (cap > l->max)
		cap = l->max;
	while (cap <= l->end)
		cap = min_of(cap * 2, l->max);
	if (cap != l->cap) {
		p = realloc(l->buf, cap);
		if (!p)
			return error_origin(-ENOMEM);
		l->buf = p;
		l->cap = cap;
	}
	*ret_p = l->buf + l->end;
	*ret_room = l->cap - l->end;
	return 0;
}

void ctl_lines_filled(struct ctl_lines *l, size_t n)
{
	l->end += n;
}

char *ctl_lines_next(struct ctl_lines *l, size_t *ret_len)
{
	char *line, *nl;
	size_t len;

	if (l->scanned == l->end)
		return NULL;
	nl = memchr(l->buf + l->scanned, '\n', l->end - l->scanned);
	if (!nl) {
		l->scanned = l->end;
		return NULL;
	}
	line = l->buf + l->start;
	len = (size_t)(nl - line);
	l->start += len + 1;
	l->scanned = l->start;
	if (len > 0 && line[len - 1] == '\r')
		len--;
	line[len] = '\0';
	*ret_len = len;
	return line;
}

bool ctl_lines_pending(const struct ctl_lines *l)
{
	return l->scanned < l->end && memchr(l->buf + l->scanned, '\n', l->end - l->scanned);
}

/* ---- building ---- */

json_t *ctl_greeting(const char *version, int64_t pid, uint64_t netns)
{
	return json_pack("{s:s, s:i, s:I, s:I}", "viaduct", version, "protocol", CTL_PROTOCOL,
			 "pid", (json_int_t)pid, "netns", (json_int_t)netns);
}

json_t *ctl_request(int64_t id, const char *cmd, json_t *args)
{
	return json_pack("{s:I, s:s, s:o*}", "id", (json_int_t)id, "cmd", cmd, "args", args);
}

json_t *ctl_result(int64_t id, json_t *body)
{
	return json_pack("{s:I, s:o}", "id", (json_int_t)id, "result", body ? body : json_object());
}

json_t *ctl_row(int64_t id, json_t *row)
{
	return json_pack("{s:I, s:o}", "id", (json_int_t)id, "row", row);
}

json_t *ctl_end(int64_t id, uint64_t rows)
{
	return json_pack("{s:I, s:b, s:I}", "id", (json_int_t)id, "end", 1, "rows",
			 (json_int_t)rows);
}

/* A text may quote what a peer sent: bytes that are not UTF-8 become '?'. */
static json_t *text_new(const char *text)
{
	json_t *s = json_string(text);
	char copy[sizeof(((struct ctl_error *)0)->text)];

	if (s)
		return s;
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return json_string(copy);
}

json_t *ctl_error_reply(int64_t id, const struct ctl_error *err)
{
	json_t *e = json_pack("{s:i, s:s, s:o}", "code", err->code, "name",
			      ctl_code_name(err->code), "text", text_new(err->text));

	if (e && err->hint[0])
		json_object_set_new(e, "hint", text_new(err->hint));
	return json_pack("{s:I, s:o}", "id", (json_int_t)id, "error", e);
}

json_t *ctl_event(int64_t id, json_t *event)
{
	return json_pack("{s:I, s:o}", "id", (json_int_t)id, "event", event);
}

char *ctl_encode(json_t *msg, size_t *ret_len)
{
	size_t len;
	char *p;

	if (!msg)
		return NULL;
	p = json_dumps(msg, JSON_COMPACT);
	json_decref(msg);
	if (!p)
		return NULL;
	len = strlen(p);
	/* The terminating NUL makes room for the newline: a line is length and bytes, not text. */
	p[len] = '\n';
	*ret_len = len + 1;
	return p;
}

/* ---- taking apart ---- */

/* Members of a request; false if there is one that is none of them. */
static bool request_known_member(const char *key)
{
	return !strcmp(key, "id") || !strcmp(key, "cmd") || !strcmp(key, "args");
}

static int request_check(const json_t *root, struct ctl_request_msg *ret, struct ctl_error *err)
{
	const json_t *id = json_object_get(root, "id");
	const json_t *cmd = json_object_get(root, "cmd");
	json_t *args = json_object_get(root, "args");
	const char *key;
	json_t *value;

	if (id && !json_is_integer(id))
		return ctl_fail(err, CTL_E_ARGS, "request: \"id\" must be an integer");
	ret->id = json_integer_value(id);
	if (!cmd)
		return ctl_fail(err, CTL_E_ARGS, "request: \"cmd\" is missing");
	if (!json_is_string(cmd))
		return ctl_fail(err, CTL_E_ARGS, "request: \"cmd\" must be a string");
	if (args && !json_is_object(args))
		return ctl_fail(err, CTL_E_ARGS, "request: \"args\" must be an object");
	json_object_foreach((json_t *)root, key, value) if (
		!request_known_member(key)) return ctl_fail(err, CTL_E_ARGS,
							    "request: unknown member \"%.64s\"",
							    key);
	ret->cmd = json_string_value(cmd);
	ret->args = args;
	return 0;
}

int ctl_request_parse(const char *line, size_t len, struct ctl_request_msg *ret,
		      struct ctl_error *err)
{
	json_error_t je;
	json_t *root;
	int r;

	memset(ret, 0, sizeof(*ret));
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	if (!root)
		return ctl_fail(err, CTL_E_SYNTAX, "request: not JSON: %s at byte %d", je.text,
				je.position);
	if (!json_is_object(root)) {
		json_decref(root);
		return ctl_fail(err, CTL_E_SYNTAX, "request: not a JSON object");
	}
	r = request_check(root, ret, err);
	if (r) {
		json_decref(root);
		return r;
	}
	ret->root = root;
	return 0;
}

static void copy_text(char *to, size_t size, const json_t *from)
{
	const char *s = json_string_value(from);

	snprintf(to, size, "%s", s ? s : "");
}

static bool reply_error(const json_t *e, struct ctl_error *err)
{
	const json_t *code = json_object_get(e, "code");

	if (!json_is_integer(code) || json_integer_value(code) <= 0 ||
	    json_integer_value(code) > INT_MAX)
		return false;
	err->code = (int)json_integer_value(code);
	copy_text(err->text, sizeof(err->text), json_object_get(e, "text"));
	copy_text(err->hint, sizeof(err->hint), json_object_get(e, "hint"));
	if (!err->text[0])
		snprintf(err->text, sizeof(err->text), "%s", ctl_code_text(err->code));
	return true;
}

static bool reply_body(json_t *root, struct ctl_reply_msg *ret)
{
	static const struct {
		const char *key;
		enum ctl_reply_kind kind;
	} kinds[] = {
		{"result", CTL_RESULT},
		{"row", CTL_ROW},
		{"event", CTL_EVENT},
		{"error", CTL_ERROR},
	};

	for (size_t i = 0; i < array_size(kinds); i++) {
		ret->body = json_object_get(root, kinds[i].key);
		if (!ret->body)
			continue;
		ret->kind = kinds[i].kind;
		if (!json_is_object(ret->body))
			return false;
		return ret->kind != CTL_ERROR || reply_error(ret->body, &ret->err);
	}
	if (json_is_true(json_object_get(root, "end"))) {
		json_int_t rows = json_integer_value(json_object_get(root, "rows"));

		ret->kind = CTL_END;
		ret->rows = rows > 0 ? (uint64_t)rows : 0;
		return true;
	}
	ret->kind = CTL_GREETING;
	ret->body = root;
	return json_is_string(json_object_get(root, "viaduct")) &&
	       json_is_integer(json_object_get(root, "protocol"));
}

int ctl_reply_parse(const char *line, size_t len, struct ctl_reply_msg *ret)
{
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	memset(ret, 0, sizeof(*ret));
	if (!root)
		return error_origin(-EPROTO);
	ret->id = json_integer_value(json_object_get(root, "id"));
	if (!json_is_object(root) || !reply_body(root, ret)) {
		json_decref(root);
		ret->body = NULL;
		return error_origin(-EPROTO);
	}
	ret->root = root;
	return 0;
}

/* ---- nearest ---- */

/* Optimal string alignment distance of two short strings, case ignored. */
static unsigned int edit_distance(const char *a, const char *b)
{
	unsigned int rows[3][NEAREST_LEN_MAX + 1];
	unsigned int *before = rows[0], *above = rows[1], *cur = rows[2], *t;
	size_t la = strlen(a), lb = strlen(b);

	for (size_t j = 0; j <= lb; j++)
		above[j] = (unsigned int)j;
	for (size_t i = 1; i <= la; i++) {
		cur[0] = (unsigned int)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned int same = strncasecmp(&a[i - 1], &b[j - 1], 1) == 0;
			unsigned int best = above[j - 1] + !same;

			best = min_of(best, above[j] + 1);
			best = min_of(best, cur[j - 1] + 1);
			if (i > 1 && j > 1 && strncasecmp(&a[i - 1], &b[j - 2], 1) == 0 &&
			    strncasecmp(&a[i - 2], &b[j - 1], 1) == 0)
				best = min_of(best, before[j - 2] + 1);
			cur[j] = best;
		}
		t = before;
		before = above;
		above = cur;
		cur = t;
	}
	return above[lb];
}

const char *ctl_nearest(const char *word, const char *const *among, size_t n)
{
	const char *found = NULL;
	unsigned int best;
	size_t len = strlen(word);

	if (len == 0 || len > NEAREST_LEN_MAX)
		return NULL;
	/* A third of the letters wrong is a slip; more is another word. */
	best = (unsigned int)len / 3 + 2;
	for (size_t i = 0; i < n; i++) {
		unsigned int d;

		if (strlen(among[i]) > NEAREST_LEN_MAX)
			continue;
		d = edit_distance(word, among[i]);
		if (d < best) {
			best = d;
			found = among[i];
		}
	}
	return found;
}
