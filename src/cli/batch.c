/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "wire/msg.h"

#define WORDS_MAX 512

/* Copies one word to its own place, without quotes. Returns what follows it, NULL: quote open. */
static char *take_word(char *in)
{
	char *out = in, quote = 0;

	for (; *in; in++) {
		if (quote ? *in == quote : *in == '\'' || *in == '"') {
			quote = quote ? 0 : *in;
			continue;
		}
		if (!quote && (*in == ' ' || *in == '\t' || *in == '\n' || *in == '\r'))
			break;
		if (*in == '\\' && quote != '\'' && in[1])
			in++;
		*out++ = *in;
	}
	if (quote)
		return NULL;
	in += *in != '\0';
	*out = '\0';
	return in;
}

int batch_split(char *line, char **words, size_t max)
{
	size_t n = 0;

	for (;;) {
		line += strspn(line, " \t\r\n");
		if (!*line || *line == '#')
			return (int)n;
		if (n == max)
			return -1;
		words[n++] = line;
		line = take_word(line);
		if (!line)
			return -1;
	}
}

static int run_line(struct cli *c, char *line, unsigned int number)
{
	char *words[WORDS_MAX], text[128];
	int n = batch_split(line, words, WORDS_MAX);
	int r = CLI_OK;

	if (n < 0) {
		snprintf(text, sizeof(text), "%.40s:%u: a quote is open, or too many words",
			 c->batch, number);
		return cli_usage(c, NULL, CTL_E_ARGS, text, NULL);
	}
	if (n > 0)
		r = cli_run(c, n, words);
	if (r)
		cli_note(c, "%s:%u: failed", c->batch, number);
	fflush(c->out);
	return r;
}

int batch_run(struct cli *c)
{
	FILE *f = strcmp(c->batch, "-") ? fopen(c->batch, "re") : stdin;
	unsigned int number = 0;
	char *line = NULL;
	size_t size = 0;
	int r, worst = CLI_OK;

	if (!f)
		return cli_fail(c, CTL_E_ARGS, NULL, "%s: %s", c->batch, strerror(errno));
	while (getline(&line, &size, f) >= 0) {
		r = run_line(c, line, ++number);
		if (r && !worst)
			worst = r;
		if (r && !c->force)
			break;
	}
	free(line);
	if (f != stdin)
		fclose(f);
	return worst;
}
