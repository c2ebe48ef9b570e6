/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "daemon/events.h"
#include "daemon/server.h"

static const struct cmd_table *const tables[] = {
	&cmds_status, &cmds_bridge, &cmds_port, &cmds_fdb,   &cmds_vlan,  &cmds_config,
	&cmds_netmap, &cmds_adopt,  &cmds_rule, &cmds_drops, &cmds_trace, &cmds_capture,
};

#define CMDS_MAX 64

const struct cmd *cmd_find(const char *name, struct ctl_error *err)
{
	const char *names[CMDS_MAX], *near;
	size_t n = 0;

	for (size_t t = 0; t < array_size(tables); t++)
		for (size_t i = 0; i < tables[t]->n; i++) {
			if (!strcmp(tables[t]->cmds[i].name, name))
				return &tables[t]->cmds[i];
			if (n < CMDS_MAX)
				names[n++] = tables[t]->cmds[i].name;
		}
	near = ctl_nearest(name, names, n);
	ctl_fail(err, CTL_E_COMMAND, "command %.64s: no such command", name);
	if (near)
		ctl_hint(err, "%s", near);
	return NULL;
}

/* What an error is about: the port or bridge that the request names, else the command. */
static const char *object_of(const struct cmd *cmd, const json_t *args, char *buf, size_t size)
{
	static const char *const nouns[] = {"port", "bridge"};

	for (size_t i = 0; i < array_size(nouns); i++) {
		const char *name = json_string_value(json_object_get(args, nouns[i]));

		if (!name)
			continue;
		snprintf(buf, size, "%s %.64s", nouns[i], name);
		return buf;
	}
	return cmd->name;
}

int cmd_run(const struct cmd *cmd, struct cmd_call *c)
{
	struct key_table keys[2] = {cmd->args};
	char object[80];
	size_t n = 1;
	int r;

	if (cmd->settings)
		keys[n++] = *cmd->settings;
	r = keys_check(keys, n, c->args, object_of(cmd, c->args, object, sizeof(object)), &c->err);
	if (!r)
		r = cmd->fn(c);
	events_drain(c->d->events);
	return r;
}

int cmd_exec(struct daemon *d, const char *name, json_t *args, struct ctl_error *err)
{
	struct cmd_call c = {.d = d, .args = args};
	const struct cmd *cmd = cmd_find(name, &c.err);
	int r = cmd ? cmd_run(cmd, &c) : c.err.code;

	if (r)
		*err = c.err;
	json_decref(c.result);
	json_decref(args);
	return r;
}

const char *cmd_arg(const struct cmd_call *c, const char *name)
{
	return json_string_value(json_object_get(c->args, name));
}

bool cmd_arg_bool(const struct cmd_call *c, const char *name)
{
	return json_is_true(json_object_get(c->args, name));
}

int64_t cmd_arg_int(const struct cmd_call *c, const char *name, int64_t otherwise)
{
	const json_t *v = json_object_get(c->args, name);

	return v ? json_integer_value(v) : otherwise;
}

void cmd_row(struct cmd_call *c, json_t *row)
{
	c->rows++;
	if (c->conn)
		server_send(c->conn, ctl_row(c->id, row));
	else
		json_decref(row);
}

json_t *cmd_settings(const struct cmd_call *c, const struct key_table *table)
{
	json_t *o = json_object();

	for (size_t i = 0; i < table->n; i++) {
		json_t *v = json_object_get(c->args, table->keys[i].name);

		if (v)
			json_object_set(o, table->keys[i].name, v);
	}
	return o;
}
