/* SPDX-License-Identifier: BSD-2-Clause */
/* Other network namespaces of this machine, as far as they have a name under /run/netns. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The name of a namespace; false if it has none. */
bool netns_name(uint64_t inode, char *buf, size_t size);
/*
 * Names of the other namespaces that have a device of this name; needs CAP_SYS_ADMIN. A new array,
 * empty if there is none or it may not be asked. Enters them and comes back: for a process of one
 * thread.
 */
json_t *netns_with_device(const char *ifname);
