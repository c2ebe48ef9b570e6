/* SPDX-License-Identifier: BSD-2-Clause */
#include "ktrace/devices.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "base/err.h"
#include "wire/msg.h"

/* The entry of a device, made if it is not there; NULL: no room. */
static struct device *entry(struct devices *d, uint32_t ifindex)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->list[i].ifindex == ifindex)
			return &d->list[i];
	if (d->n == DEVICES_MAX)
		return NULL;
	if (d->n == d->room) {
		size_t room = max_of(d->room * 2, (size_t)64);
		struct device *more = realloc(d->list, room * sizeof(*more));

		if (!more)
			return NULL;
		d->list = more;
		d->room = room;
	}
	d->list[d->n] = (struct device){.ifindex = ifindex};
	return &d->list[d->n++];
}

/* One that is gone keeps its name: frames may be told about that it had. */
static void take(void *ctx, bool gone, const struct netlink_link *l)
{
	struct device *dev = gone ? NULL : entry(ctx, l->ifindex);

	if (!dev)
		return;
	dev->master = l->master;
	dev->state = l->brport_state;
	dev->isolated = l->brport_isolated;
	dev->locked = l->brport_locked;
	dev->mtu = l->mtu;
	snprintf(dev->name, sizeof(dev->name), "%s", l->name);
	snprintf(dev->kind, sizeof(dev->kind), "%s", l->kind);
}

static int read_links(struct devices *d)
{
	int r = netlink_open(&d->nl);

	if (r == 0)
		r = netlink_links(d->nl, take, d);
	return error_trace(r);
}

int devices_fd(const struct devices *d)
{
	return netlink_fd(d->nl);
}

void devices_update(struct devices *d)
{
	/* -ENOBUFS: the kernel lost some. */
	if (netlink_events(d->nl, take, d) == -ENOBUFS)
		netlink_links(d->nl, take, d);
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
	if (d->nl)
		netlink_close(d->nl);
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
