/* SPDX-License-Identifier: BSD-2-Clause */
/* showstp, in the layout of brctl(8). Timers have whole seconds here. */
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/fmt.h"
#include "cli/table.h"
#include "wire/msg.h"

/* Two columns: the timer of a line's first half, and of its second. */
static void two_times(struct cli *c, const char *left, long long a, const char *right, long long b)
{
	fprintf(c->out, " %s%4lld.00\t\t\t%s%4lld.00\n", left, a, right, b);
}

static void print_bridge(struct cli *c, const json_t *row)
{
	const json_t *d = row_at(row, "linkinfo.info_data");

	fprintf(c->out, "%s\n bridge id\t\t%s\n designated root\t%s\n", row_text(row, "ifname"),
		row_text(d, "bridge_id"), row_text(d, "root_id"));
	fprintf(c->out, " root port\t\t%4lld\t\t\tpath cost\t\t%4lld\n",
		(long long)row_int(d, "root_port"), (long long)row_int(d, "root_path_cost"));
	two_times(c, "max age\t\t", row_int(d, "root_max_age"), "bridge max age\t\t",
		  row_int(d, "max_age"));
	two_times(c, "hello time\t\t", row_int(d, "root_hello_time"), "bridge hello time\t",
		  row_int(d, "hello_time"));
	two_times(c, "forward delay\t\t", row_int(d, "root_forward_delay"),
		  "bridge forward delay\t", row_int(d, "forward_delay"));
	fprintf(c->out, " ageing time\t\t%4lld.00\n", (long long)row_int(d, "ageing_time"));
	two_times(c, "hello timer\t\t", row_int(d, "hello_timer"), "tcn timer\t\t",
		  row_int(d, "tcn_timer"));
	two_times(c, "topology change timer\t", row_int(d, "topology_change_timer"), "gc timer\t\t",
		  0);
	fprintf(c->out, " flags\t\t\t%s%s\n\n\n",
		row_bool(d, "topology_change") ? "TOPOLOGY_CHANGE " : "",
		row_bool(d, "topology_change_detected") ? "TOPOLOGY_CHANGE_DETECTED " : "");
}

static void print_port(struct cli *c, const json_t *row)
{
	const json_t *d = row_at(row, "linkinfo.info_slave_data");
	const char *id = row_text(d, "id");
	char safe[64];

	fprintf(c->out, "%s (%lld)\n", text_safe(row_text(row, "ifname"), safe, sizeof(safe)),
		(long long)row_int(row, "port_no"));
	fprintf(c->out, " port id\t\t%s\t\t\tstate\t\t%15s\n", *id ? id + 2 : "",
		row_text(d, "state"));
	fprintf(c->out, " designated root\t%s\tpath cost\t\t%4lld\n", row_text(d, "root_id"),
		(long long)row_int(d, "cost"));
	fprintf(c->out, " designated bridge\t%s\tmessage age timer\t%4lld.00\n",
		row_text(d, "bridge_id"), (long long)row_int(d, "message_age_timer"));
	fprintf(c->out, " designated port\t%.4llx\t\t\tforward delay timer\t%4lld.00\n",
		(unsigned long long)row_int(d, "designated_port"),
		(long long)row_int(d, "forward_delay_timer"));
	fprintf(c->out, " designated cost\t%4lld\t\t\thold timer\t\t%4lld.00\n",
		(long long)row_int(d, "designated_cost"), (long long)row_int(d, "hold_timer"));
	fprintf(c->out, " flags\t\t\t%s%s%s%s\n\n",
		row_bool(d, "config_pending") ? "CONFIG_PENDING " : "",
		row_bool(d, "topology_change_ack") ? "TOPOLOGY_CHANGE_ACK " : "",
		row_bool(d, "guarded") ? "BPDU_GUARD " : "",
		row_bool(d, "root_blocked") ? "ROOT_BLOCK " : "");
}

int cmd_showstp(struct cli *c, const struct command *cmd, json_t *args)
{
	const char *name = row_text(args, "bridge");
	json_t *bridges = NULL, *ports = NULL, *row, *both;
	size_t i;
	int r = cli_rows(c, "bridge.show", json_pack("{s:s}", "bridge", name), &bridges);

	if (r)
		return r;
	row = json_array_get(bridges, 0);
	if (row_bool(row, "kernel"))
		r = cli_fail(c, CTL_E_KERNEL_BRIDGE, "brctl showstp, bridge link",
			     "bridge %s: a bridge of the kernel, not of viaduct", name);
	if (!r)
		r = cli_rows(c, "port.show", json_pack("{s:s}", "bridge", name), &ports);
	if (!r && c->json) {
		both = json_pack("{s:O, s:O}", "bridge", row, "ports", ports);
		cli_json(c, both);
		json_decref(both);
	} else if (!r) {
		print_bridge(c, row);
		json_array_foreach(ports, i, row) if (!row_bool(row, "host")) print_port(c, row);
	}
	json_decref(bridges);
	json_decref(ports);
	return r;
}
