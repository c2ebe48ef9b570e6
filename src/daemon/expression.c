/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/expression.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#define SNAPLEN 65535

struct expression {
	struct program *prog;
	char *text;
};

/* Characters, not bytes, up to a place in text. */
static size_t characters(const char *text, size_t bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < bytes; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

/* What libpcap has against it, and where. A line end in its words would end ours. */
static void explain(const char *text, const char *message, char *why, size_t size)
{
	const size_t column = expression_column(text, message);
	const char *at = column > 0 ? text + column - 1 : NULL;
	const size_t n = at ? strcspn(at, " \t\r\n") : 0;
	char where[32] = "";

	if (column > 0)
		snprintf(where, sizeof(where), "column %zu: ", characters(text, column - 1) + 1);
	if (!expression_is_syntax(message))
		snprintf(why, size, "%s%s", where, message);
	else if (n > 0)
		snprintf(why, size, "%ssyntax error at \"%.*s\"", where, (int)(n < 32 ? n : 32),
			 at);
	else
		snprintf(why, size, "%ssyntax error%s", where, at ? ", it ends too soon" : "");
	why[strcspn(why, "\n")] = '\0';
}

/* Compiled by libpcap, but not by our rules. */
static void explain_program(const char *text, int r, uint32_t n, char *why, size_t size)
{
	const char *loop = strstr(text, "protochain");

	if (r == PROGRAM_E_JUMP && loop)
		snprintf(why, size, "column %zu: protochain needs a loop, and frames wait for none",
			 characters(text, (size_t)(loop - text)) + 1);
	else if (r == PROGRAM_E_SIZE)
		snprintf(why, size, "too long: %u instructions, at most %u are possible", n,
			 PROGRAM_INSNS_MAX);
	else if (r > 0)
		snprintf(why, size,
			 "it needs what no filter of the bridge has (a loop, a shift by "
			 "32 or more, a division by 0)");
}

static int compile(struct expression *e, char *why, size_t size)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	struct bpf_program prog;
	int r = -1;

	if (!p)
		return r;
	if (pcap_compile(p, &prog, e->text, 1, PCAP_NETMASK_UNKNOWN)) {
		explain(e->text, pcap_geterr(p), why, size);
	} else {
		/* libpcap's struct bpf_insn is the same. */
		r = program_new((const struct sock_filter *)prog.bf_insns, prog.bf_len, &e->prog);
		explain_program(e->text, r, prog.bf_len, why, size);
		pcap_freecode(&prog);
	}
	pcap_close(p);
	return r;
}

struct expression *expression_new(const char *text, char *why, size_t size)
{
	struct expression *e = calloc(1, sizeof(*e));

	snprintf(why, size, "no memory");
	if (e)
		e->text = strdup(text);
	if (!e || !e->text || compile(e, why, size))
		return expression_free(e);
	return e;
}

struct expression *expression_free(struct expression *e)
{
	if (!e)
		return NULL;
	program_free(e->prog);
	free(e->text);
	free(e);
	return NULL;
}

const char *expression_text(const struct expression *e)
{
	return e->text;
}

const struct program *expression_program(const struct expression *e)
{
	return e->prog;
}

struct program *expression_take(struct expression *e)
{
	struct program *p = e->prog;

	e->prog = NULL;
	expression_free(e);
	return p;
}

bool expression_match(void *ctx, const struct frame *f)
{
	const struct expression *e = ctx;

	return program_match(e->prog, f);
}
