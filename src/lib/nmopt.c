/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libnetmap: the options of a port name, "@option=value" and "@option:key=value,key=value". This
 * file knows how they are written; what they mean is in nmport_opt.c, or in the program.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "libnetmap.h"

static int bad(struct nmctx *ctx, const char *option, const char *why, const char *what)
{
	nmctx_ferror(ctx, "option \"%s\": %s%s%s%s", option, why, what ? " \"" : "",
		     what ? what : "", what ? "\"" : "");
	errno = EINVAL;
	return -1;
}

/* Equal but for '-' in what the user wrote where the program's name has '_'. */
static bool same_word(const char *written, const char *known)
{
	for (; *written && *known; written++, known++)
		if (*written != *known && !(*written == '-' && *known == '_'))
			return false;
	return *written == *known;
}

static struct nmreq_opt_parser *find_parser(struct nmreq_opt_parser *p, const char *name)
{
	while (p && !same_word(name, p->prefix))
		p = p->next;
	return p;
}

static const struct nmreq_opt_key *find_key(const struct nmreq_opt_parser *p, const char *name)
{
	for (int i = 0; i < p->nr_keys && i < NMREQ_OPT_MAXKEYS; i++)
		if (same_word(name, p->keys[i].key))
			return &p->keys[i];
	return NULL;
}

/* "key=value", or "key" where that is allowed. Cuts the text. */
static int parse_key(const struct nmreq_opt_parser *p, char *text, struct nmreq_parse_ctx *c)
{
	char *value = strchr(text, '=');
	const struct nmreq_opt_key *k;

	if (value)
		*value++ = '\0';
	k = find_key(p, text);
	if (!k || k->id < 0 || k->id >= NMREQ_OPT_MAXKEYS)
		return bad(c->ctx, p->prefix, "unknown key", text);
	if (c->keys[k->id])
		return bad(c->ctx, p->prefix, "given twice: key", text);
	if ((!value || !*value) && !(k->flags & NMREQ_OPTK_ALLOWEMPTY))
		return bad(c->ctx, p->prefix, "no value for key", text);
	c->keys[k->id] = value ? value : "";
	return 0;
}

static int parse_keys(const struct nmreq_opt_parser *p, char *text, struct nmreq_parse_ctx *c)
{
	for (;;) {
		char *comma = strchr(text, ',');

		if (comma)
			*comma = '\0';
		if (parse_key(p, text, c) < 0)
			return -1;
		if (!comma)
			return 0;
		text = comma + 1;
	}
}

static int check_mandatory(const struct nmreq_opt_parser *p, struct nmreq_parse_ctx *c)
{
	for (int i = 0; i < p->nr_keys && i < NMREQ_OPT_MAXKEYS; i++) {
		const struct nmreq_opt_key *k = &p->keys[i];

		if ((k->flags & NMREQ_OPTK_MUSTSET) && k->id >= 0 && k->id < NMREQ_OPT_MAXKEYS &&
		    !c->keys[k->id])
			return bad(c->ctx, p->prefix, "missing key", k->key);
	}
	return 0;
}

/* One option without its '@'. Cuts the text. */
static int parse_option(char *text, struct nmreq_opt_parser *parsers, void *token,
			struct nmctx *ctx)
{
	struct nmreq_parse_ctx c = {.ctx = ctx, .token = token};
	char *rest = text + strcspn(text, ":=");
	char sep = *rest;
	struct nmreq_opt_parser *p;

	if (sep)
		*rest++ = '\0';
	p = find_parser(parsers, text);
	if (!p)
		return bad(ctx, text, "there is no such option", NULL);
	if (p->flags & NMREQ_OPTF_DISABLED) {
		nmctx_ferror(ctx, "option \"%s\": disabled in this program", p->prefix);
		errno = EOPNOTSUPP;
		return -1;
	}
	if (!sep && !(p->flags & NMREQ_OPTF_ALLOWEMPTY))
		return bad(ctx, p->prefix, "'=' or ':' must follow", NULL);
	if (sep == '=') {
		if (p->default_key < 0 || p->default_key >= NMREQ_OPT_MAXKEYS)
			return bad(ctx, p->prefix, "there is no default key, name one", NULL);
		if (!*rest)
			return bad(ctx, p->prefix, "no value", NULL);
		c.keys[p->default_key] = rest;
	}
	if (sep == ':' && parse_keys(p, rest, &c) < 0)
		return -1;
	if (check_mandatory(p, &c) < 0)
		return -1;
	return p->parse(&c);
}

static int parse_all(char *text, struct nmreq_opt_parser *parsers, void *token, struct nmctx *ctx)
{
	while (text) {
		char *next = strchr(text, '@');

		if (next)
			*next++ = '\0';
		if (parse_option(text, parsers, token, ctx) < 0)
			return -1;
		text = next;
	}
	return 0;
}

int nmreq_options_decode(const char *opt, struct nmreq_opt_parser *parsers, void *token,
			 struct nmctx *ctx)
{
	size_t size;
	char *copy;
	int r, saved;

	if (!*opt)
		return 0;
	if (*opt != '@')
		return bad(ctx, opt, "an option starts with '@'", NULL);
	size = strlen(opt); /* of what follows the '@', with its end */
	copy = nmctx_malloc(ctx, size);
	if (!copy) {
		nmctx_ferror(ctx, "options \"%s\": out of memory", opt);
		errno = ENOMEM;
		return -1;
	}
	memcpy(copy, opt + 1, size);
	r = parse_all(copy, parsers, token, ctx);
	saved = errno;
	nmctx_free(ctx, copy);
	if (r < 0)
		errno = saved;
	return r;
}
