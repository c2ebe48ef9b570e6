/* SPDX-License-Identifier: BSD-2-Clause */
/* Small questions to and settings of a network device, by ioctl and /proc. Mostly main thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A socket for the calls below; -errno. The owner closes it. */
int netdev_socket(void);
/* The first two go by number: a port may be renamed. MTU, or 0 when the device is gone. */
uint32_t netdev_mtu(int sock, uint32_t ifindex);
/* False when it is down or gone. */
bool netdev_is_up(int sock, uint32_t ifindex);
/* 0 or -errno. */
int netdev_set_up(int sock, const char *name);
int netdev_set_mtu(int sock, const char *name, uint32_t mtu);
int netdev_set_mac(int sock, const char *name, uint64_t mac);
/* No queue in front of the device: who sends is in its driver at once. 0 or -errno. */
int netdev_set_noqueue(uint32_t ifindex);

/* /proc/sys/net/ipv6/conf/NAME/KEY. -ENOENT: no IPv6 there. Values fit an int, as in the kernel. */
int netdev_ipv6_get(const char *name, const char *key, int *ret);
int netdev_ipv6_set(const char *name, const char *key, int value);
