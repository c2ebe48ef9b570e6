/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Some sources include this beside net/netmap.h. In netmap it describes the emulated PCI devices of
 * "passthrough" guests to their drivers; a program has no use for that and viaduct serves no such
 * devices, so nothing is defined here beyond net/netmap.h. A virtual machine uses a tap, or a
 * netmap port that its emulator opens.
 */
#ifndef NET_NETMAP_VIRT_H_
#define NET_NETMAP_VIRT_H_

#include <net/netmap.h>

#endif
