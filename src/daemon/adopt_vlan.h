/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VLAN devices on top of members of an adopted bridge. The kernel gives them the frames of their
 * VLAN before its bridge sees any, so these belong to no bridge, and no program gets them. Main
 * thread.
 */
#pragma once

#include <stdbool.h>

#include "sys/netlink.h"

struct adopted;

/* Places were opened: all VLAN devices there are. */
void adopt_vlan_all(struct adopted *ad);
/* A device is as l says now, or gone. */
void adopt_vlan_follow(struct adopted *ad, bool gone, const struct netlink_link *l);
