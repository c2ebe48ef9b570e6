/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys/ethtool.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

#define WORDS_MAX 127 /* of a mask of link modes: what fits in its field */

/* The kernel first says how long its masks are; we only want what stands before them. */
static int read_settings(int fd, const char *name, struct ethtool_link_settings *s)
{
	struct ifreq ifr = {.ifr_data = (void *)s};

	strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
	s->cmd = ETHTOOL_GLINKSETTINGS;
	if (ioctl(fd, SIOCETHTOOL, &ifr) < 0)
		return -errno;
	if (s->link_mode_masks_nwords >= 0 || s->cmd != ETHTOOL_GLINKSETTINGS)
		return -EOPNOTSUPP;
	s->link_mode_masks_nwords = (int8_t)-s->link_mode_masks_nwords;
	return ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

int ethtool_link(const char *name, uint32_t *ret_mbps, bool *ret_full_duplex)
{
	struct {
		struct ethtool_link_settings s;
		uint32_t masks[3 * WORDS_MAX];
	} buf = {.masks = {0}};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return error_origin(-errno);
	r = read_settings(fd, name, &buf.s);
	close(fd);
	if (r)
		return r;
	*ret_mbps = buf.s.speed == (uint32_t)SPEED_UNKNOWN ? 0 : buf.s.speed;
	*ret_full_duplex = buf.s.duplex != DUPLEX_HALF;
	return 0;
}
