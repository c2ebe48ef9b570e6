/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about bridges and devices of the kernel: adopt, release. */
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

int cmd_adopt(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *rows = NULL;
	int r = cli_rows(c, cmd->request, json_incref(args), &rows);

	if (r)
		return r;
	if (c->json)
		cli_json(c, rows);
	else if (json_array_size(rows))
		show_dry_run(c, rows);
	json_decref(rows);
	return r;
}
