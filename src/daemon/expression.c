/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/expression.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#define SNAPLEN 65535

struct expression {
	struct bpf_program prog;
	char *text;
};

/* A comma after a sentence fragment of libpcap would end it; lines would end ours. */
static void keep_why(const char *from, char *why, size_t size)
{
	snprintf(why, size, "%s", from);
	why[strcspn(why, "\n")] = '\0';
}

struct expression *expression_new(const char *text, char *why, size_t size)
{
	struct expression *e = calloc(1, sizeof(*e));
	pcap_t *p = pcap_open_dead(DLT_EN10MB, SNAPLEN);

	keep_why("no memory", why, size);
	if (e)
		e->text = strdup(text);
	if (!e || !p || !e->text) {
		if (p)
			pcap_close(p);
		return expression_free(e);
	}
	if (pcap_compile(p, &e->prog, text, 1, PCAP_NETMASK_UNKNOWN)) {
		keep_why(pcap_geterr(p), why, size);
		e = expression_free(e);
	}
	pcap_close(p);
	return e;
}

struct expression *expression_free(struct expression *e)
{
	if (!e)
		return NULL;
	pcap_freecode(&e->prog);
	free(e->text);
	free(e);
	return NULL;
}

const char *expression_text(const struct expression *e)
{
	return e->text;
}

const struct sock_filter *expression_program(const struct expression *e, uint32_t *ret_n)
{
	*ret_n = e->prog.bf_len;
	/* libpcap's struct bpf_insn is the same. */
	return (const struct sock_filter *)e->prog.bf_insns;
}

bool expression_match(void *ctx, const struct frame *f)
{
	const struct expression *e = ctx;

	return bpf_filter(e->prog.bf_insns, f->data, f->len, f->len) != 0;
}
