/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/nmifreq.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/nmdev.h"
#include "lib/nmreal.h"

#ifndef SIOCETHTOOL
#define SIOCETHTOOL 0x8946
#endif
_Static_assert(SIOCGIFFLAGS == 0x8913 && SIOCSIFFLAGS == 0x8914 && SIOCETHTOOL == 0x8946,
	       "as in nmifreq.h");

/* Served by the daemon, or registered by this process. */
static bool is_served(const char *name)
{
	char n[IFNAMSIZ + 1];

	memcpy(n, name, IFNAMSIZ);
	n[IFNAMSIZ] = '\0';
	return n[0] && nmwire_serves(n);
}

static bool sets_offload(uint32_t ethcmd)
{
	switch (ethcmd) {
	case ETHTOOL_SRXCSUM:
	case ETHTOOL_STXCSUM:
	case ETHTOOL_SSG:
	case ETHTOOL_STSO:
	case ETHTOOL_SUFO:
	case ETHTOOL_SGSO:
	case ETHTOOL_SGRO:
	case ETHTOOL_SFLAGS:
	case ETHTOOL_SFEATURES:
		return true;
	default:
		return false;
	}
}

static bool asks_offload(uint32_t ethcmd)
{
	switch (ethcmd) {
	case ETHTOOL_GRXCSUM:
	case ETHTOOL_GTXCSUM:
	case ETHTOOL_GSG:
	case ETHTOOL_GTSO:
	case ETHTOOL_GUFO:
	case ETHTOOL_GGSO:
	case ETHTOOL_GGRO:
	case ETHTOOL_GFLAGS:
		return true;
	default:
		return false;
	}
}

/* Asks the kernel. True when it has no such device, and viaduct serves the name. */
static bool is_ours_alone(int fd, uint32_t cmd, struct ifreq *r, int *ret)
{
	*ret = nmreal()->ioctl(fd, cmd, r);
	return *ret < 0 && errno == ENODEV && is_served(r->ifr_name);
}

static void get_flags(int fd, struct ifreq *r, int *ret)
{
	if (!is_ours_alone(fd, SIOCGIFFLAGS, r, ret))
		return;
	r->ifr_flags = IFF_UP | IFF_RUNNING | IFF_BROADCAST | IFF_MULTICAST;
	*ret = 0;
}

static void get_offload(int fd, struct ifreq *r, int *ret)
{
	struct ethtool_value *v = (struct ethtool_value *)(void *)r->ifr_data;

	if (!is_ours_alone(fd, SIOCETHTOOL, r, ret))
		return;
	v->data = 0;
	*ret = 0;
}

/* IFF_PROMISC stays what it is; other flags are set, if they change. Without a device there are
 * none to set. */
static bool set_flags(int fd, const struct ifreq *want, int *ret)
{
	struct ifreq now, set = *want;

	memcpy(now.ifr_name, want->ifr_name, sizeof(now.ifr_name));
	if (nmreal()->ioctl(fd, SIOCGIFFLAGS, &now) < 0) {
		*ret = 0;
		return errno == ENODEV;
	}
	set.ifr_flags = (short)((want->ifr_flags & ~IFF_PROMISC) | (now.ifr_flags & IFF_PROMISC));
	*ret = set.ifr_flags == now.ifr_flags ? 0 : nmreal()->ioctl(fd, SIOCSIFFLAGS, &set);
	return true;
}

bool nmifreq_ioctl(int fd, uint32_t cmd, void *arg, int *ret)
{
	struct ifreq *r = arg;
	uint32_t ethcmd;

	if (!arg)
		return false;
	if (cmd == SIOCGIFFLAGS) {
		get_flags(fd, r, ret);
		return true;
	}
	if (cmd == SIOCSIFFLAGS)
		return is_served(r->ifr_name) && set_flags(fd, r, ret);
	if (!r->ifr_data)
		return false;
	memcpy(&ethcmd, r->ifr_data, sizeof(ethcmd));
	if (asks_offload(ethcmd)) {
		get_offload(fd, r, ret);
		return true;
	}
	if (!sets_offload(ethcmd) || !is_served(r->ifr_name))
		return false;
	*ret = 0;
	return true;
}
