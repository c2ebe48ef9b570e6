/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration files: the command reads them, the daemon judges and applies them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/spawn.h"
#include "wire/msg.h"

#ifndef CONFIG_FILE
#define CONFIG_FILE "/etc/viaduct/viaduct.yaml"
#endif

/* A request holds the file as JSON, whose escapes take room too. */
#define FILE_MAX (CTL_LINE_MAX / 2)

/* The text of the file, or NULL after an error that was said. */
static char *read_file(struct cli *c, const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *text = f ? malloc(FILE_MAX + 1) : NULL;
	size_t n = text ? fread(text, 1, FILE_MAX + 1, f) : 0;

	if (!text || ferror(f)) {
		cli_fail(c, CTL_E_CONFIG, NULL, "%s: %s", path, strerror(errno));
	} else if (n > FILE_MAX) {
		cli_fail(c, CTL_E_CONFIG, NULL, "%s: longer than %u bytes", path, FILE_MAX);
	} else if (memchr(text, 0, n)) {
		cli_fail(c, CTL_E_CONFIG, NULL, "%s: not a text file", path);
	} else {
		text[n] = '\0';
		if (f != stdin)
			fclose(f);
		return text;
	}
	if (f && f != stdin)
		fclose(f);
	free(text);
	return NULL;
}

/* Sends the file with the request. *ret_result as cli_request(). */
static int send_file(struct cli *c, const char *request, const char *path, json_t **ret_result)
{
	char *text = read_file(c, path);
	json_t *args;
	int r;

	if (!text)
		return CLI_FAILED;
	args = json_pack("{s:s, s:s}", "text", text, "file", path);
	free(text);
	if (!args)
		return cli_fail(c, CTL_E_CONFIG, NULL, "%s: not valid UTF-8", path);
	r = cli_request(c, request, args, ret_result);
	return r;
}

int cmd_check(struct cli *c, const struct command *cmd, json_t *args)
{
	int r = spawn_check(c, row_text(args, "file"));

	if (!r && !c->json)
		fprintf(c->out, "%s: good\n", row_text(args, "file"));
	else if (!r)
		fputs("{}\n", c->out);
	return r;
}

int cmd_reload(struct cli *c, const struct command *cmd, json_t *args)
{
	const char *file = row_text(args, "file");
	json_t *result = NULL, *change;
	size_t i;
	int r = send_file(c, "config.reload", *file ? file : CONFIG_FILE, &result);

	if (r)
		return r;
	if (c->json) {
		cli_json(c, result);
	} else {
		if (json_array_size(json_object_get(result, "changes")) == 0)
			fputs("nothing to change\n", c->out);
		json_array_foreach(json_object_get(result, "changes"), i, change)
			fprintf(c->out, "%s\n", json_string_value(change));
	}
	json_decref(result);
	return CLI_OK;
}
