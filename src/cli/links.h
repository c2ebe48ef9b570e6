/* SPDX-License-Identifier: BSD-2-Clause */
/* All devices of the caller's network namespace, as the kernel tells about them over rtnetlink. */
#pragma once

#include <jansson.h>

/*
 * {NAME: {ifname, ifindex, mtu, up, carrier, kind, master (ifindex, 0 = none), slave_kind, state
 * (of a bridge's member), gro_max, xdp: id, bridge: {…} of a kernel bridge, counters: {…}}}. up is
 * the flag that an administrator sets. A new object, empty when the kernel does not answer.
 */
json_t *links_look(void);
/*
 * VLANs of kernel bridges and their members: {NAME: {vlans: N, pvid: VID or 0}}. A new object; a
 * name without VLANs is not in it.
 */
json_t *links_vlans(void);
