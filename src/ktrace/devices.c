/* SPDX-License-Identifier: BSD-2-Clause */
#include "ktrace/devices.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "base/err.h"
#include "wire/msg.h"

struct reading {
	struct devices *d;
	size_t room;
	bool failed;
};

static void take(void *ctx, bool gone, const struct netlink_link *l)
{
	struct reading *r = ctx;
	struct devices *d = r->d;

	if (gone || r->failed)
		return;
	if (d->n == r->room) {
		size_t room = max_of(r->room * 2, (size_t)64);
		struct device *more = realloc(d->list, room * sizeof(*more));

		r->failed = !more;
		if (!more)
			return;
		d->list = more;
		r->room = room;
	}
	d->list[d->n] = (struct device){
		.ifindex = l->ifindex,
		.master = l->master,
		.state = l->brport_state,
		.isolated = l->brport_isolated,
		.locked = l->brport_locked,
		.mtu = l->mtu,
	};
	snprintf(d->list[d->n].name, sizeof(d->list[0].name), "%s", l->name);
	snprintf(d->list[d->n++].kind, sizeof(d->list[0].kind), "%s", l->kind);
}

static int read_links(struct devices *d)
{
	struct reading reading = {.d = d};
	struct netlink *nl;
	int r = netlink_open(&nl);

	if (r)
		return error_trace(r);
	r = netlink_links(nl, take, &reading);
	netlink_close(nl);
	return r ? error_trace(r) : reading.failed ? error_origin(-ENOMEM) : 0;
}

static int read_netns(struct devices *d)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st))
		return error_origin(-errno);
	d->netns = (uint32_t)st.st_ino;
	return 0;
}

int devices_read(struct devices *d, const char *bridge, struct ctl_error *err)
{
	const struct device *br;
	int r;

	*d = (struct devices){0};
	r = read_links(d);
	if (r == 0)
		r = read_netns(d);
	if (r)
		return ctl_fail(err, CTL_E_INTERNAL,
				"bridge %s: the kernel does not list devices: %s", bridge,
				err_text(r));
	br = devices_named(d, bridge);
	if (!br || strcmp(br->kind, "bridge")) {
		ctl_fail(err, CTL_E_BRIDGE_NONE, "bridge %s: %s", bridge,
			 br ? "this device is no bridge of the kernel" : "no such bridge");
		return ctl_hint(err, "viaduct show");
	}
	for (size_t i = 0; i < d->n; i++) {
		struct device *dev = &d->list[i];

		if (dev == br)
			dev->role = KTRACE_BRIDGE;
		else if (dev->master == br->ifindex)
			dev->role = KTRACE_MEMBER;
		d->n_ours += dev->role != KTRACE_FOREIGN;
	}
	if (d->n_ours > KTRACE_DEVS)
		return ctl_fail(err, CTL_E_ARGS,
				"bridge %s: has %zu ports, at most %u can be followed", bridge,
				d->n_ours - 1, KTRACE_DEVS - 1);
	return 0;
}

void devices_free(struct devices *d)
{
	free(d->list);
	*d = (struct devices){0};
}

const struct device *devices_find(const struct devices *d, uint32_t ifindex)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->list[i].ifindex == ifindex)
			return &d->list[i];
	return NULL;
}

const struct device *devices_named(const struct devices *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (!strcmp(d->list[i].name, name))
			return &d->list[i];
	return NULL;
}
