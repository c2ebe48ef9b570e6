/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/expression.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#include "sys/filter.h"

struct expression {
	struct program *prog;
	char *text;
};

/* Compiled by libpcap, but not by our rules. */
static void explain_program(const char *text, int r, uint32_t n, char *why, size_t size)
{
	const char *loop = strstr(text, "protochain");

	if (r == PROGRAM_E_JUMP && loop)
		snprintf(why, size, "column %zu: protochain needs a loop, and frames wait for none",
			 filter_characters(text, (size_t)(loop - text)) + 1);
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
	struct bpf_program prog;
	int r = filter_compile(e->text, &prog, why, size);

	if (r)
		return r;
	/* libpcap's struct bpf_insn is the same. */
	r = program_new((const struct sock_filter *)prog.bf_insns, prog.bf_len, &e->prog);
	explain_program(e->text, r, prog.bf_len, why, size);
	pcap_freecode(&prog);
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
