/* SPDX-License-Identifier: BSD-2-Clause */
/* VLANs of ports, in the words of bridge(8). */
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/table.h"
#include "wire/msg.h"

/* `pvid` and `untagged` of vlan del are there for lines that were copied from vlan add. */
int cmd_vlan_change(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *req = json_copy(args), *result;
	int r;

	json_object_del(req, "master");
	if (!strcmp(cmd->request, "vlan.del")) {
		json_object_del(req, "pvid");
		json_object_del(req, "untagged");
	}
	r = cli_request(c, cmd->request, req, &result);
	if (!r && c->json)
		cli_json(c, result);
	if (!r)
		json_decref(result);
	return r;
}

static void range_text(const json_t *v, char *buf, size_t size)
{
	const int first = (int)row_int(v, "vlan"), last = (int)row_int(v, "vlanEnd");

	if (last)
		snprintf(buf, size, "%d-%d", first, last);
	else
		snprintf(buf, size, "%d", first);
}

static void flags_text(const json_t *v, char *buf, size_t size)
{
	const json_t *flags = json_object_get(v, "flags");
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < json_array_size(flags) && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%s", i ? ", " : "",
				      json_string_value(json_array_get(flags, i)));
}

static void vlan_cells(struct cli *c, struct table *t, const char *ifname, const json_t *v)
{
	static const char *const counters[] = {"rx_packets", "rx_bytes", "tx_packets", "tx_bytes"};
	char range[32] = "none", flags[64] = "", count[32];

	if (v) {
		range_text(v, range, sizeof(range));
		flags_text(v, flags, sizeof(flags));
	}
	table_cell(t, STYLE_PLAIN, "%s", ifname);
	table_cell(t, STYLE_PLAIN, "%s", range);
	table_cell(t, STYLE_PLAIN, "%s", flags);
	for (size_t i = 0; c->stats && i < array_size(counters); i++)
		table_cell(t, STYLE_PLAIN, "%s",
			   v ? fmt_count(row_int(v, counters[i]), count, sizeof(count)) : "");
}

static void vlan_table(struct cli *c, const json_t *rows)
{
	static const struct table_column cols[] = {
		{"port"},           {"vlan-id"},          {"flags"},         {"rx packets", true},
		{"rx bytes", true}, {"tx packets", true}, {"tx bytes", true}};
	struct table *t = table_new(c->out, c->color, true, cols, c->stats ? array_size(cols) : 3);
	const json_t *row, *v;
	size_t i, j;

	json_array_foreach(rows, i, row)
	{
		const json_t *vlans = json_object_get(row, "vlans");

		if (json_array_size(vlans) == 0)
			vlan_cells(c, t, row_text(row, "ifname"), NULL);
		json_array_foreach(vlans, j, v)
			vlan_cells(c, t, j ? "" : row_text(row, "ifname"), v);
	}
	table_end(t);
}

int cmd_vlan_show(struct cli *c, const struct command *cmd, json_t *args)
{
	json_t *req = json_copy(args), *rows;
	int r;

	if (c->stats)
		json_object_set_new(req, "stats", json_true());
	r = cli_rows(c, "vlan.show", req, &rows);
	if (r)
		return r;
	if (c->json)
		cli_json(c, rows);
	else
		vlan_table(c, rows);
	json_decref(rows);
	return 0;
}
