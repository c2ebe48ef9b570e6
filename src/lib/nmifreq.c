/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/nmifreq.h"

#include <linux/ethtool.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/nmdev.h"
#include "lib/nmreal.h"

#ifndef SIOCETHTOOL
#define SIOCETHTOOL 0x8946
#endif
_Static_assert(SIOCSIFFLAGS == 0x8914 && SIOCETHTOOL == 0x8946, "as in nmifreq.h");

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

/* IFF_PROMISC stays what it is; other flags are set, if they change. */
static bool set_flags(int fd, const struct ifreq *want, int *ret)
{
	struct ifreq now, set = *want;

	memcpy(now.ifr_name, want->ifr_name, sizeof(now.ifr_name));
	if (nmreal()->ioctl(fd, SIOCGIFFLAGS, &now) < 0)
		return false;
	set.ifr_flags = (short)((want->ifr_flags & ~IFF_PROMISC) | (now.ifr_flags & IFF_PROMISC));
	*ret = set.ifr_flags == now.ifr_flags ? 0 : nmreal()->ioctl(fd, SIOCSIFFLAGS, &set);
	return true;
}

bool nmifreq_ioctl(int fd, uint32_t cmd, void *arg, int *ret)
{
	const struct ifreq *r = arg;
	uint32_t ethcmd;

	if (!arg)
		return false;
	if (cmd == SIOCSIFFLAGS)
		return is_served(r->ifr_name) && set_flags(fd, r, ret);
	if (!r->ifr_data)
		return false;
	memcpy(&ethcmd, r->ifr_data, sizeof(ethcmd));
	if (!sets_offload(ethcmd) || !is_served(r->ifr_name))
		return false;
	*ret = 0;
	return true;
}
