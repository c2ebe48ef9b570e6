/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libnetmap: port names into requests. A name comes from a command line or a configuration file:
 * anything may be in it. The grammar is in libnetmap.h; tests/compat/names_test.c has its rows and
 * tests/fuzz/fuzz_nmreq.c the rest. What cannot be read is EINVAL, and nothing has changed then.
 *
 * The device reads nr_name again, for pipes and switches, so only what cannot be right for any
 * port is refused here.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define NETMAP_WITH_LIBS /* nm_name_len_(): one rule for dashes */
#include "libnetmap.h"

#define RING_MAX 4095    /* of -N and ^N, not included */
#define ENDS     "-*^/@" /* what ends a name */

/* A name that is being read. */
struct spec {
	const char *all; /* for messages */
	const char *at;  /* what is left */
	struct nmctx *ctx;
};

/* What the modifiers say. */
struct modifiers {
	uint32_t mode;
	uint16_t ring;
	uint16_t mem_id;
	uint64_t flags;
};

static int bad(const struct spec *s, const char *why)
{
	nmctx_ferror(s->ctx, "%s: %s", s->all, why);
	errno = EINVAL;
	return -1;
}

static bool is_ident(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits at *at, which moves behind them; -1 if there are none. Stops at INT32_MAX. */
static int32_t number(const char **at)
{
	int64_t n = 0;

	if (!is_digit(**at))
		return -1;
	for (; is_digit(**at); (*at)++) {
		n = n * 10 + (**at - '0');
		if (n > INT32_MAX)
			n = INT32_MAX;
	}
	return (int32_t)n;
}

/* "{" ident or "}" ident, if there is one; it must reach to the end of the name. */
static int read_pipe(struct spec *s)
{
	if (*s->at != '{' && *s->at != '}')
		return 0;
	s->at++;
	if (!is_ident(*s->at))
		return bad(s, "letters, digits or '_' must follow '{' or '}' of a pipe");
	while (is_ident(*s->at))
		s->at++;
	if (*s->at && !strchr(ENDS, *s->at))
		return bad(s, "only letters, digits and '_' make the id of a pipe");
	return 0;
}

/* "vale" [ident] ":" */
static int read_switch(struct spec *s)
{
	s->at += strlen("vale");
	while (is_ident(*s->at))
		s->at++;
	if (*s->at != ':')
		return bad(s, "a switch is \"vale\", letters, digits or '_', and ':'");
	s->at++;
	return 0;
}

static int read_name(struct spec *s, bool vale)
{
	const char *start = s->at;
	const char *end = s->at + (vale ? strcspn(s->at, ENDS "{}") : nm_name_len_(s->at));

	while (s->at < end && (is_ident(*s->at) || *s->at == '.' || *s->at == '-'))
		s->at++;
	if (s->at < end)
		return bad(s, "only letters, digits, '_', '.' and a dash make a port's name");
	if (s->at == start)
		return bad(s, "the name is empty");
	return read_pipe(s);
}

void nmreq_header_init(struct nmreq_header *hdr, uint16_t reqtype, void *body)
{
	memset(hdr, 0, sizeof(*hdr));
	hdr->nr_version = NETMAP_API;
	hdr->nr_reqtype = reqtype;
	hdr->nr_body = (uintptr_t)body;
}

int nmreq_header_decode(const char **ppspec, struct nmreq_header *hdr, struct nmctx *ctx)
{
	struct spec s = {.all = *ppspec, .at = *ppspec, .ctx = ctx};
	const char *name = s.at;
	bool vale = strncmp(s.at, "vale", 4) == 0;
	size_t len;

	if (vale) {
		if (read_switch(&s) < 0)
			return -1;
	} else if (strncmp(s.at, "netmap:", 7) == 0) {
		s.at += 7;
		name = s.at;
	} else {
		return bad(&s, "a port starts with \"netmap:\" or with \"vale\"");
	}
	if (read_name(&s, vale) < 0)
		return -1;
	len = (size_t)(s.at - name);
	if (len >= sizeof(hdr->nr_name))
		return bad(&s, "the name is longer than 63 characters");
	memset(hdr->nr_name, 0, sizeof(hdr->nr_name));
	memcpy(hdr->nr_name, name, len);
	*ppspec = s.at;
	return 0;
}

static int read_rings(struct spec *s, struct modifiers *m)
{
	char c = *s->at;
	int32_t n;

	m->mode = NR_REG_ALL_NIC;
	if (c != '^' && c != '*' && c != '-')
		return 0;
	s->at++;
	if (c == '*') {
		m->mode = NR_REG_NIC_SW;
		return 0;
	}
	if (c == '^' && !is_digit(*s->at)) {
		m->mode = NR_REG_SW;
		return 0;
	}
	n = number(&s->at);
	if (n < 0)
		return bad(s, "the number of a ring must follow '-'; there is no interface whose "
			      "name has this dash");
	if (n >= RING_MAX)
		return bad(s, "rings have numbers from 0 to 4094");
	m->mode = c == '-' ? NR_REG_ONE_NIC : NR_REG_ONE_SW;
	m->ring = (uint16_t)n;
	return 0;
}

static uint64_t flag_of(char c)
{
	switch (c) {
	case 'x':
		return NR_EXCLUSIVE;
	case 'z':
		return NR_ZCOPY_MON;
	case 't':
		return NR_MONITOR_TX;
	case 'r':
		return NR_MONITOR_RX;
	case 'R':
		return NR_RX_RINGS_ONLY;
	case 'T':
		return NR_TX_RINGS_ONLY;
	default:
		return 0;
	}
}

static int read_flags(struct spec *s, struct modifiers *m)
{
	s->at++;
	if (!*s->at)
		return bad(s, "letters must follow '/': x z t r R T");
	for (; *s->at && *s->at != '@'; s->at++) {
		uint64_t flag = flag_of(*s->at);

		if (!flag)
			return bad(s, "unknown letter behind '/', known are x z t r R T");
		m->flags |= flag;
	}
	return 0;
}

static int read_mem_id(struct spec *s, struct modifiers *m)
{
	uint16_t id;

	s->at++;
	id = (uint16_t)number(&s->at); /* netmap cuts, too */
	if (id == 0)
		return bad(s, "memory ids behind '@' count from 1");
	if (m->mem_id && m->mem_id != id)
		return bad(s, "two different memory ids");
	m->mem_id = id;
	return 0;
}

int nmreq_register_decode(const char **pmspec, struct nmreq_register *reg, struct nmctx *ctx)
{
	struct spec s = {.all = *pmspec, .at = *pmspec, .ctx = ctx};
	struct modifiers m = {0};
	int r = read_rings(&s, &m);

	while (r == 0 && *s.at) {
		if (*s.at == '/')
			r = read_flags(&s, &m);
		else if (*s.at == '@' && is_digit(s.at[1]))
			r = read_mem_id(&s, &m);
		else if (*s.at == '@' && s.at[1])
			break;
		else if (*s.at == '@')
			r = bad(&s, "a memory id or an option must follow '@'");
		else
			r = bad(&s, "only '/' and '@' may follow the rings");
	}
	if (r < 0)
		return -1;
	reg->nr_mode = m.mode;
	reg->nr_ringid = m.ring;
	reg->nr_flags = m.flags;
	reg->nr_mem_id = m.mem_id;
	*pmspec = s.at;
	return 0;
}

void nmreq_push_option(struct nmreq_header *h, struct nmreq_option *o)
{
	o->nro_next = h->nr_options;
	h->nr_options = (uintptr_t)o;
}

void nmreq_remove_option(struct nmreq_header *h, struct nmreq_option *o)
{
	uint64_t *link = &h->nr_options;

	while (*link && *link != (uintptr_t)o)
		link = &((struct nmreq_option *)(uintptr_t)*link)->nro_next;
	if (!*link)
		return;
	*link = o->nro_next;
	o->nro_next = 0;
}

struct nmreq_option *nmreq_find_option(struct nmreq_header *h, uint32_t type)
{
	struct nmreq_option *o;

	nmreq_foreach_option(h, o)
	{
		if (o->nro_reqtype == type)
			return o;
	}
	return NULL;
}

void nmreq_free_options(struct nmreq_header *h)
{
	struct nmreq_option *o = (struct nmreq_option *)(uintptr_t)h->nr_options;

	while (o) {
		struct nmreq_option *next = (struct nmreq_option *)(uintptr_t)o->nro_next;

		nmctx_free(nmctx_get(), o);
		o = next;
	}
	h->nr_options = 0;
}

const char *nmreq_option_name(uint32_t type)
{
	static const char *const names[NETMAP_REQ_OPT_MAX] = {
		[NETMAP_REQ_OPT_EXTMEM] = "extmem",
		[NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS] = "sync-kloop-eventfds",
		[NETMAP_REQ_OPT_CSB] = "csb",
		[NETMAP_REQ_OPT_SYNC_KLOOP_MODE] = "sync-kloop-mode",
		[NETMAP_REQ_OPT_OFFSETS] = "offsets",
	};

	return type < NETMAP_REQ_OPT_MAX && names[type] ? names[type] : "unknown";
}
