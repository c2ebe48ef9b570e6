/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "port/netdev.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20 /* kernel 6.2 */
#define TUN_F_USO6 0x40
#endif

static int make(struct helper *h, const char *pattern, const char **ret_why)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

	h->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (h->fd < 0) {
		*ret_why = "cannot open /dev/net/tun for its helper device";
		return error_origin(-errno);
	}
	strncpy(ifr.ifr_name, pattern, IFNAMSIZ - 1);
	if (ioctl(h->fd, TUNSETIFF, &ifr) < 0) {
		*ret_why = errno == EPERM ? "needs CAP_NET_ADMIN to make its helper device"
					  : "cannot make its helper device";
		return error_origin(-errno);
	}
	memcpy(h->name, ifr.ifr_name, sizeof(h->name));
	h->ifindex = if_nametoindex(h->name);
	return 0;
}

static void set_offload(struct helper *h)
{
	const unsigned int base = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

	h->uso = ioctl(h->fd, TUNSETOFFLOAD, base | TUN_F_USO4 | TUN_F_USO6) == 0;
	if (!h->uso)
		ioctl(h->fd, TUNSETOFFLOAD, base);
}

int helper_open(struct helper *h, int sock, const char *pattern, const char **ret_why)
{
	int r;

	*h = (struct helper){.fd = -1};
	r = make(h, pattern, ret_why);
	if (r) {
		helper_close(h);
		return error_trace(r);
	}
	set_offload(h);
	netdev_ipv6_set(h->name, "disable_ipv6", 1);
	r = netdev_set_mtu(sock, h->name, HELPER_MTU);
	if (r == 0)
		r = netdev_set_noqueue(h->ifindex);
	if (r == 0)
		r = netdev_set_up(sock, h->name);
	if (r) {
		helper_close(h);
		*ret_why = "cannot set up its helper device";
	}
	return error_trace(r);
}

void helper_close(struct helper *h)
{
	if (h->fd >= 0)
		close(h->fd);
	*h = (struct helper){.fd = -1};
}
