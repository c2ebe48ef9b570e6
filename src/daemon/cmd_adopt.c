/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about bridges and devices of the kernel: adopt.add, adopt.release. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/log.h"
#include "daemon/adopt.h"
#include "daemon/cmd.h"
#include "daemon/events.h"
#include "daemon/ports.h"
#include "port/driver.h"
#include "port/take.h"
#include "sys/loop.h"

LOG_MODULE("daemon/cmd_adopt");

#define CONFIRM_MAX_S 86400
#define WHILE_OPEN    "while a program has it open or it fails closed"

static const char *const ways[] = {"tc", "xdp", NULL};

static const struct key add_args[] = {
	{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0},
	{"fail", KEY_STRING, KEY_PLAIN, 0, 0},
	{"exempt", KEY_STRING, KEY_PLAIN, 0, 0},
	{"via", KEY_STRING, KEY_PLAIN, 0, 0, ways},
	{"confirm", KEY_INT, KEY_PLAIN, 1, CONFIRM_MAX_S},
	{"dry_run", KEY_BOOL, KEY_PLAIN, 0, 0},
};
static const struct key release_args[] = {{"bridge", KEY_STRING, KEY_REQUIRED, 0, 0}};

/* ---- what would be touched ---- */

struct dry_run {
	struct cmd_call *c;
	uint32_t master;
	bool xdp;
};

static void would(struct cmd_call *c, const char *dev, const char *what)
{
	cmd_row(c, json_pack("{s:s, s:s}", "ifname", dev, "what", what));
}

/* What a member gets, or a device that is no bridge. */
static void would_take(const struct dry_run *dry, const char *dev)
{
	const char *why;
	char text[160];

	would(dry->c, dev, "tc program at ingress, " WHILE_OPEN);
	if (!dry->xdp)
		return;
	if (take_check(dev, dry->c->d->pool, &why) == 0)
		snprintf(text, sizeof(text),
			 "XDP program in front of it, if its driver has native XDP");
	else
		snprintf(text, sizeof(text), "no XDP program: %s", why);
	would(dry->c, dev, text);
}

static void would_attach(void *ctx, bool gone, const struct netlink_link *l)
{
	const struct dry_run *dry = ctx;

	if (l->master == dry->master)
		would_take(dry, l->name);
}

static int dry_run(struct cmd_call *c, const char *name)
{
	struct netlink_link l;
	const char *via = cmd_arg(c, "via");
	struct dry_run dry = {.c = c, .xdp = via && !strcmp(via, "xdp")};
	int r = adopt_check(c->d, name, &l, &c->err);

	if (r)
		return r;
	would(c, PORT_ENV_TRUNK "*", "helper device, made " WHILE_OPEN);
	dry.master = l.ifindex;
	if (!strcmp(l.kind, "bridge"))
		would(c, l.name, "tc program at ingress, " WHILE_OPEN);
	else
		would_take(&dry, l.name);
	would(c, l.name, "tc program at egress, " WHILE_OPEN);
	if (!strcmp(l.kind, "bridge"))
		netlink_links(c->d->nl, would_attach, &dry);
	return 0;
}

/* ---- adopt.add ---- */

static void not_confirmed(void *ctx, unsigned int events)
{
	struct vbridge *vb = ctx;

	log_warn("%s: released, for nobody confirmed that it was adopted", vb->name);
	adopt_release(vb);
}

/* The settings that the command may have brought along. */
static int set_up(struct cmd_call *c, struct vbridge *vb)
{
	static const char *const keys[] = {"fail", "exempt"};
	json_t *args = json_pack("{s:s}", "bridge", vb->name);
	size_t n = 0;

	for (size_t i = 0; i < array_size(keys); i++)
		if (cmd_arg(c, keys[i])) {
			json_object_set_new(args, keys[i], json_string(cmd_arg(c, keys[i])));
			n++;
		}
	if (n)
		return cmd_exec(c->d, "intercept.set", args, &c->err);
	json_decref(args);
	return 0;
}

static int adopt_cmd(struct cmd_call *c)
{
	const char *name = cmd_arg(c, "bridge"), *via = cmd_arg(c, "via");
	const uint64_t confirm_s = (uint64_t)cmd_arg_int(c, "confirm", 0);
	struct vbridge *vb = bridges_find(c->d, name);
	const bool there = vb && vb->adopted;
	int r;

	if (cmd_arg_bool(c, "dry_run"))
		return dry_run(c, name);
	r = there ? 0 : adopt_add(c->d, name, false, &vb, &c->err);
	if (r)
		return r;
	r = set_up(c, vb);
	if (r) {
		if (!there)
			adopt_release(vb);
		return r;
	}
	/* commit: for good now, whoever had asked for it before */
	if (via)
		adopt_set_via(vb, !strcmp(via, "xdp"));
	vb->adopted->by_open = false;
	vb->adopted->confirm = loop_del(vb->adopted->confirm);
	if (confirm_s)
		vb->adopted->confirm =
			loop_timer(c->d->loop, confirm_s * 1000, 0, not_confirmed, vb);
	return 0;
}

static int release_cmd(struct cmd_call *c)
{
	const char *name = cmd_arg(c, "bridge");
	struct vbridge *vb = bridges_find(c->d, name);
	struct netlink_link l;

	if (vb && vb->adopted) {
		log_info("%s: released by command", vb->name);
		adopt_release(vb);
		return 0;
	}
	if (!vb && netlink_get(c->d->nl, name, &l) == 0 && adopt_open_gates(c->d, &l)) {
		log_info("%s: gates of an adoption that is gone were opened", name);
		return 0;
	}
	return ctl_fail(&c->err, CTL_E_BRIDGE_NONE, "%.64s: not adopted", name);
}

static const struct cmd cmds[] = {
	{"adopt.add", adopt_cmd, CMD_WRITE | CMD_ROWS, KEY_TABLE(add_args), NULL},
	{"adopt.release", release_cmd, CMD_WRITE, KEY_TABLE(release_args), NULL},
};
const struct cmd_table cmds_adopt = {cmds, array_size(cmds)};
