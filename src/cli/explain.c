/* SPDX-License-Identifier: BSD-2-Clause */
/* `viaduct explain`: describes a frame to the daemon and shows what would become of it. */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/framespec.h"
#include "cli/journey.h"
#include "wire/msg.h"

static int parse_words(const json_t *list, struct framespec *ret, char *why, size_t size)
{
	const size_t n = json_array_size(list);
	const char **words = calloc(n ? n : 1, sizeof(*words));
	int r = -1;

	snprintf(why, size, "no memory");
	if (words) {
		for (size_t i = 0; i < n; i++)
			words[i] = json_string_value(json_array_get(list, i));
		r = framespec_parse(words, n, ret, why, size);
	}
	free(words);
	return r;
}

/* The bytes as a string of hexadecimal digits; NULL: no memory. */
static json_t *hex_of(const struct framespec *f)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * f->len + 1);
	json_t *v = NULL;

	if (!text)
		return NULL;
	for (size_t i = 0; i < f->len; i++) {
		text[2 * i] = digits[f->bytes[i] >> 4];
		text[2 * i + 1] = digits[f->bytes[i] & 15];
	}
	text[2 * f->len] = '\0';
	v = json_string(text);
	free(text);
	return v;
}

static int explain(struct cli *c, const struct command *cmd, const json_t *args,
		   struct framespec *f)
{
	json_t *journey;
	char why[512];
	int r;

	if (parse_words(json_object_get(args, "frame"), f, why, sizeof(why)))
		return cli_usage(c, cmd, CTL_E_ARGS, why, NULL);
	if (f->captured < f->len)
		cli_note(c,
			 "the file has the first %zu of its %zu bytes; the others are taken as 0",
			 f->captured, f->len);
	r = cli_request(c, cmd->request,
			json_pack("{s:O, s:O, s:o}", "bridge", json_object_get(args, "bridge"),
				  "port", json_object_get(args, "port"), "frame", hex_of(f)),
			&journey);
	if (r)
		return r;
	journey_print(c, journey);
	json_decref(journey);
	return CLI_OK;
}

int cmd_explain(struct cli *c, const struct command *cmd, json_t *args)
{
	struct framespec *f = malloc(sizeof(*f));
	int r;

	if (!f)
		return cli_fail(c, VIADUCT_E_INTERNAL, NULL, "no memory");
	r = explain(c, cmd, args, f);
	free(f);
	return r;
}
