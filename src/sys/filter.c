/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys/filter.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <pcap/pcap.h>

#define SNAPLEN 65535

size_t filter_characters(const char *text, size_t bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < bytes; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

/* What libpcap has against it, and where. A line end in its words would end ours. */
static void explain(const char *text, const char *message, char *why, size_t size)
{
	const size_t column = filter_column(text, message);
	const char *at = column > 0 ? text + column - 1 : NULL;
	const size_t n = at ? strcspn(at, " \t\r\n") : 0;
	char where[32] = "";

	if (column > 0)
		snprintf(where, sizeof(where),
			 "column %zu: ", filter_characters(text, column - 1) + 1);
	if (!filter_is_syntax(message))
		snprintf(why, size, "%s%s", where, message);
	else if (n > 0)
		snprintf(why, size, "%ssyntax error at \"%.*s\"", where, (int)(n < 32 ? n : 32),
			 at);
	else
		snprintf(why, size, "%ssyntax error%s", where, at ? ", it ends too soon" : "");
	why[strcspn(why, "\n")] = '\0';
}

int filter_compile(const char *text, struct bpf_program *ret, char *why, size_t size)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	int r = FILTER_E_WRONG;

	assert(text);
	snprintf(why, size, "no memory");
	if (!p)
		return r;
	if (pcap_compile(p, ret, text, 1, PCAP_NETMASK_UNKNOWN))
		explain(text, pcap_geterr(p), why, size);
	else
		r = 0;
	pcap_close(p);
	return r;
}
