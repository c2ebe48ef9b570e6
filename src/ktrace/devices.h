/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices of this network namespace, and which of them belong to the bridge. Who belongs to it
 * is as it was at the start, the rest is kept up to date.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/ktrace.h"
#include "sys/netlink.h"

struct ctl_error;
struct netlink;

struct device {
	uint32_t ifindex;
	uint32_t role; /* enum ktrace_role */
	uint32_t master;
	uint8_t state; /* of a member: BR_STATE_*, */
	bool isolated, locked;
	uint32_t mtu;
	char name[NETLINK_NAME_SIZE];
	char kind[NETLINK_NAME_SIZE];
};

struct devices {
	struct device *list;
	size_t n, room;
	size_t n_ours;  /* of the bridge, itself included */
	uint32_t netns; /* inode of the namespace */
	struct netlink *nl;
};

#define DEVICES_MAX 65536u

/* 0, or an error code with *err filled. */
int devices_read(struct devices *d, const char *bridge, struct ctl_error *err);
void devices_free(struct devices *d);
/* Readable when something has changed; then devices_update(). Main thread. */
int devices_fd(const struct devices *d);
void devices_update(struct devices *d);
/* NULL: none of this number, or of this name. */
const struct device *devices_find(const struct devices *d, uint32_t ifindex);
const struct device *devices_named(const struct devices *d, const char *name);
