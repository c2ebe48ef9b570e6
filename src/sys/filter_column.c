/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where an expression is wrong. libpcap says what, never where, so it is asked about beginnings of
 * the text:
 *
 *  - A syntax error is at the word behind the longest beginning that can still become an
 * expression, which is tried with a list of endings. Longest, so that an ending which the list
 * lacks moves the answer only if nothing longer works either.
 *  - Anything else is at the last word of the shortest beginning of which libpcap says the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#include "base/compiler.h"
#include "sys/filter.h"

#define SNAPLEN   65535
#define TEXT_MAX  4096u /* longer ones are not searched */
#define WORDS_MAX 256u
#define OPERATORS "=<>!&|"

struct word {
	size_t at, end; /* bytes */
};

bool filter_is_syntax(const char *message)
{
	return strstr(message, "syntax error") != NULL;
}

/* Splits as libpcap's scanner does, or coarser: never inside one of its words. */
static size_t split(const char *text, struct word *words)
{
	bool in_brackets = false;
	size_t n = 0, i = 0;

	while (text[i] && n < WORDS_MAX) {
		const char *stops =
			in_brackets ? " \t\r\n()[]:+-*/" OPERATORS : " \t\r\n()[]" OPERATORS;
		size_t len = strcspn(text + i, stops);

		if (strchr(" \t\r\n", text[i])) {
			i++;
			continue;
		}
		if (len == 0)
			len = strspn(text + i, OPERATORS);
		if (len == 0)
			len = 1;
		in_brackets = text[i] == '[' || (in_brackets && text[i] != ']');
		words[n++] = (struct word){i, i + len};
		i += len;
	}
	return n;
}

/* What libpcap says of the first `bytes` of text and an ending; "" when it is content. */
static void ask(const char *text, size_t bytes, const char *ending, char *ret, size_t size)
{
	char copy[TEXT_MAX + 64];
	pcap_t *p = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	struct bpf_program prog;
	size_t n, open = 0;

	ret[0] = '\0';
	if (!p)
		return;
	n = (size_t)snprintf(copy, sizeof(copy), "%.*s%s", (int)bytes, text, ending);
	for (size_t i = 0; i < bytes; i++)
		open += text[i] == '(' ? 1 : text[i] == ')' && open > 0 ? -(size_t)1 : 0;
	for (; open > 0 && n + 1 < sizeof(copy) && *ending != '\0'; open--)
		copy[n++] = ')';
	copy[n] = '\0';
	if (pcap_compile(p, &prog, copy, 1, PCAP_NETMASK_UNKNOWN))
		snprintf(ret, size, "%s", pcap_geterr(p));
	else
		pcap_freecode(&prog);
	pcap_close(p);
}

static bool can_go_on(const char *text, size_t bytes)
{
	/* The first is for what is whole, but for parentheses. */
	static const char *const endings[] = {
		" ",          " 1",           " ip",
		" 1.2.3.4",   " = 1",         " 1 = 1",
		" > 1",       "] = 1",        "0] = 1",
		"1] = 1",     " 1:2:3:4:5:6", " proto 1",
		" broadcast", " src 1",       " host 1.2.3.4",
		" port 1",    " dst 1.2.3.4", " 1.2.3.0 mask 255.255.255.0",
	};
	char why[PCAP_ERRBUF_SIZE];

	for (size_t i = 0; i < array_size(endings); i++) {
		ask(text, bytes, endings[i], why, sizeof(why));
		if (!filter_is_syntax(why))
			return true;
	}
	return false;
}

static size_t syntax_column(const char *text, const struct word *words, size_t n)
{
	for (size_t i = n; i > 0; i--) {
		if (!can_go_on(text, words[i - 1].end))
			continue;
		return i < n ? words[i].at + 1 : strlen(text) + 1;
	}
	return n > 0 ? words[0].at + 1 : 1;
}

static size_t meaning_column(const char *text, const struct word *words, size_t n,
			     const char *message)
{
	char why[PCAP_ERRBUF_SIZE];

	for (size_t i = 0; i < n; i++) {
		ask(text, words[i].end, "", why, sizeof(why));
		if (strcmp(why, message))
			continue;
		/* What is inside is judged when the bracket closes. */
		if (i > 0 && text[words[i].at] == ']')
			i--;
		return words[i].at + 1;
	}
	return 0;
}

size_t filter_column(const char *text, const char *message)
{
	struct word words[WORDS_MAX];
	char copy[PCAP_ERRBUF_SIZE];
	size_t n;

	if (strlen(text) > TEXT_MAX)
		return 0;
	n = split(text, words);
	if (n == WORDS_MAX)
		return 0;
	if (filter_is_syntax(message))
		return syntax_column(text, words, n);
	snprintf(copy, sizeof(copy), "%s", message);
	return meaning_column(text, words, n, copy);
}
