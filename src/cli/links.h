/* SPDX-License-Identifier: BSD-2-Clause */
/* All devices of the caller's network namespace, as the kernel tells about them over rtnetlink. */
#pragma once

#include <jansson.h>

/*
 * {NAME: {ifname, ifindex, mtu, up, carrier, kind, slave_kind, master (ifindex, 0 = none), gro_max,
 * xdp: {id, if there is a program}, counters: {rx_dropped, tx_dropped, rx_errors, tx_errors}}}; of
 * a kernel bridge also bridge: {stp_state, vlan_filtering, fdb_n_learned, …}, of its member port:
 * {state, learning, flood, isolated, locked}, numbers all. up is the flag that an administrator
 * sets. A new object, empty when the kernel does not answer.
 */
json_t *links_look(void);
/*
 * VLANs of kernel bridges and their members: {NAME: {vlans: N, pvid: VID or 0}}. A new object; a
 * name without VLANs is not in it.
 */
json_t *links_vlans(void);
