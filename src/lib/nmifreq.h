/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ioctls on network interfaces. Programs that open a port with netmap switch its offloads off and
 * promiscuous mode on, and leave that behind. On names that viaduct serves neither is needed nor
 * wanted: such requests succeed without effect. Questions go to the kernel; where it has no device
 * of a name that viaduct serves (a mirror's netmap port), it is up and has no offloads.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Could request cmd be one of those? Cheap. */
static inline bool nmifreq_concerns(uint32_t cmd)
{
	return cmd == 0x8913u /* SIOCGIFFLAGS */ || cmd == 0x8914u /* SIOCSIFFLAGS */ ||
	       cmd == 0x8946u /* SIOCETHTOOL */;
}

/* True: *ret is the result, errno set if -1. False: for the kernel. */
bool nmifreq_ioctl(int fd, uint32_t cmd, void *arg, int *ret);
