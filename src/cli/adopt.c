/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about bridges and devices of the kernel: adopt, release. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/table.h"

static void show_dry_run(struct cli *c, const json_t *rows)
{
	static const struct table_column cols[] = {{"dev"}, {"what"}};
	struct table *t = table_new(c->out, c->color, true, cols, array_size(cols));
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		table_cell(t, STYLE_PLAIN, "%s", row_text(row, "ifname"));
		table_cell(t, STYLE_PLAIN, "%s", row_text(row, "what"));
	}
	table_end(t);
}

/* "CLIENT PORT SERVER PORT", as sshd(8) writes it, as an expression. False: no such connection. */
static bool ssh_expression(char *buf, size_t size)
{
	const char *ssh = getenv("SSH_CONNECTION");
	char client[64], server[64], extra;
	unsigned int from, to;

	if (!ssh || strspn(ssh, "0123456789abcdefABCDEF.: ") != strlen(ssh) ||
	    sscanf(ssh, "%63s %u %63s %u%c", client, &from, server, &to, &extra) != 4)
		return false;
	snprintf(buf, size, "tcp and host %s and host %s and port %u and port %u", client, server,
		 from, to);
	return true;
}

int cmd_adopt(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *rows = NULL, *req = json_copy(args);
	char text[256];
	int r;

	/* Whoever adopts from afar keeps the connection that the command came in on. */
	if (!json_object_get(req, "exempt") && !row_bool(req, "dry_run") &&
	    ssh_expression(text, sizeof(text))) {
		json_object_set_new(req, "exempt", json_string(text));
		cli_note(c, "exempt: %s", text);
	}
	r = cli_rows(c, cmd->request, req, &rows);

	if (r)
		return r;
	if (c->json)
		cli_json(c, rows);
	else if (json_array_size(rows))
		show_dry_run(c, rows);
	json_decref(rows);
	return CLI_OK;
}
