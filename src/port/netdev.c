/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mac.h"

int netdev_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? error_origin(-errno) : fd;
}

static struct ifreq request(const char *name)
{
	struct ifreq r = {0};

	strncpy(r.ifr_name, name, IFNAMSIZ - 1);
	return r;
}

static int set(int sock, unsigned long op, struct ifreq *r)
{
	return ioctl(sock, op, r) < 0 ? error_origin(-errno) : 0;
}

/* A question about the device with this number, under the name it has now. */
static bool ask(int sock, uint32_t ifindex, unsigned long op, struct ifreq *ret)
{
	*ret = (struct ifreq){.ifr_ifindex = (int)ifindex};
	return ioctl(sock, SIOCGIFNAME, ret) == 0 && ioctl(sock, op, ret) == 0;
}

uint32_t netdev_mtu(int sock, uint32_t ifindex)
{
	struct ifreq r;

	return ask(sock, ifindex, SIOCGIFMTU, &r) ? (uint32_t)r.ifr_mtu : 0;
}

bool netdev_is_up(int sock, uint32_t ifindex)
{
	struct ifreq r;

	return ask(sock, ifindex, SIOCGIFFLAGS, &r) && (r.ifr_flags & IFF_UP);
}

int netdev_set_up(int sock, const char *name)
{
	struct ifreq r = request(name);

	if (ioctl(sock, SIOCGIFFLAGS, &r) < 0)
		return error_origin(-errno);
	r.ifr_flags |= IFF_UP;
	return set(sock, SIOCSIFFLAGS, &r);
}

int netdev_set_mtu(int sock, const char *name, uint32_t mtu)
{
	struct ifreq r = request(name);

	r.ifr_mtu = (int)mtu;
	return set(sock, SIOCSIFMTU, &r);
}

int netdev_set_mac(int sock, const char *name, uint64_t mac)
{
	struct ifreq r = request(name);

	r.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	mac_store((uint8_t *)r.ifr_hwaddr.sa_data, mac);
	return set(sock, SIOCSIFHWADDR, &r);
}

/* Sends a request and takes the kernel's answer to it. */
static int netlink_call(struct nlmsghdr *h)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} answer = {0};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), r = 0;

	if (fd < 0)
		return error_origin(-errno);
	if (send(fd, h, h->nlmsg_len, 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), MSG_TRUNC) < (ssize_t)sizeof(answer))
		r = error_origin(-EIO);
	close(fd);
	return r ? r : answer.e.error;
}

int netdev_set_noqueue(uint32_t ifindex)
{
	struct {
		struct nlmsghdr h;
		struct tcmsg tc;
		struct rtattr kind;
		char name[8];
	} m = {
		.h = {.nlmsg_len = sizeof(m),
		      .nlmsg_type = RTM_NEWQDISC,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK},
		.tc = {.tcm_ifindex = (int)ifindex, .tcm_parent = TC_H_ROOT},
		.kind = {.rta_len = sizeof(m.kind) + sizeof(m.name), .rta_type = TCA_KIND},
		.name = "noqueue",
	};

	return netlink_call(&m.h);
}

static int open_conf(const char *name, const char *key, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, key);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int netdev_ipv6_get(const char *name, const char *key, int *ret)
{
	char text[16] = "";
	int fd = open_conf(name, key, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	*ret = atoi(text);
	return 0;
}

int netdev_ipv6_set(const char *name, const char *key, int value)
{
	char text[16];
	int fd = open_conf(name, key, O_WRONLY), n, r = 0;

	if (fd < 0)
		return fd;
	n = snprintf(text, sizeof(text), "%d", value);
	if (write(fd, text, (size_t)n) != n)
		r = -errno;
	close(fd);
	return r;
}
