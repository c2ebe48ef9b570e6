/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about the configuration: config.check, config.reload. */
#include <string.h>

#include "base/compiler.h"
#include "daemon/cmd.h"
#include "daemon/config.h"
#include "daemon/events.h"
#include "daemon/plan.h"

static const struct key args[] = {
	{"text", KEY_STRING, KEY_PLAIN, 0, 0},
	{"file", KEY_STRING, KEY_PLAIN, 0, 0},
};

/* From the text that the client read, with its own rights; else from the daemon's own file. */
static int read_config(struct cmd_call *c, struct config **ret)
{
	const char *text = cmd_arg(c, "text"), *file = cmd_arg(c, "file");

	if (text)
		return config_parse(text, strlen(text), file ? file : "(text)", ret, &c->err);
	if (file)
		return ctl_fail(&c->err, CTL_E_ARGS, "config: text is missing");
	if (!c->d->config_path)
		return ctl_fail(&c->err, CTL_E_CONFIG,
				"config: the daemon has no configuration file");
	return config_load(c->d->config_path, ret, &c->err);
}

static int config_check(struct cmd_call *c)
{
	struct config *conf = NULL;
	int r = read_config(c, &conf);

	if (r)
		return r;
	r = plan_check(c->d, conf, &c->err);
	config_free(conf);
	return r;
}

static int config_reload(struct cmd_call *c)
{
	struct config *conf = NULL;
	json_t *changes = NULL;
	int r = read_config(c, &conf);

	if (r)
		events_config(c->d, "reload-failed", NULL, NULL,
			      json_pack("{s:s}", "text", c->err.text));
	else
		r = plan_apply(c->d, conf, &changes, &c->err);
	if (!r)
		c->result = json_pack("{s:o}", "changes", changes);
	return r;
}

static const struct cmd cmds[] = {
	{"config.check", config_check, 0, KEY_TABLE(args), NULL},
	{"config.reload", config_reload, CMD_WRITE, KEY_TABLE(args), NULL},
};
const struct cmd_table cmds_config = {cmds, array_size(cmds)};
