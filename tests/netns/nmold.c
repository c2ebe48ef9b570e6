/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A netmap program of the old kind: headers only, not linked to our library, fortified, with the
 * interface ioctls that such programs do. Prints "flags ok" when promiscuous mode stayed off, then
 * "ready", then how many frames it read when COUNT have come or five seconds nothing has.
 *
 *	nmold PORT INTERFACE COUNT [epoll]
 */
#define NETMAP_WITH_LIBS
#include <linux/ethtool.h>
#include <net/netmap_user.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

#ifndef SIOCETHTOOL
#define SIOCETHTOOL 0x8946
#endif

/* What libpcap and Suricata do before they open a port. */
static int prepare(const char *dev)
{
	struct ethtool_value tso = {.cmd = ETHTOOL_STSO, .data = 0}, is = {.cmd = ETHTOOL_GTSO};
	struct ifreq r = {0}, again;
	uint32_t before;
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	strncpy(r.ifr_name, dev, sizeof(r.ifr_name) - 1);
	again = r;
	again.ifr_data = (void *)&is;
	if (ioctl(s, SIOCETHTOOL, &again) < 0)
		return -1;
	before = is.data;
	again.ifr_data = (void *)&tso;
	if (ioctl(s, SIOCETHTOOL, &again) < 0)
		return -1;
	again.ifr_data = (void *)&is;
	if (ioctl(s, SIOCETHTOOL, &again) < 0 || is.data != before)
		return -1;
	if (ioctl(s, SIOCGIFFLAGS, &r) < 0)
		return -1;
	r.ifr_flags = (short)(r.ifr_flags | IFF_PROMISC);
	if (ioctl(s, SIOCSIFFLAGS, &r) < 0 || ioctl(s, SIOCGIFFLAGS, &r) < 0)
		return -1;
	close(s);
	return r.ifr_flags & IFF_PROMISC ? -1 : 0;
}

/* A number that the compiler does not know makes it __poll_chk. */
static volatile nfds_t one = 1;

static int wait_for_frames(int ep, struct pollfd *p, int timeout_ms)
{
	struct epoll_event e;

	return ep >= 0 ? epoll_wait(ep, &e, 1, timeout_ms) : poll(p, one, timeout_ms);
}

int main(int argc, char **argv)
{
	struct epoll_event e = {.events = EPOLLIN};
	struct pollfd p[2] = {{.fd = -1}, {.fd = -1}}; /* poll looks at one of them */
	struct nm_pkthdr h;
	struct nm_desc *d;
	int n = 0, ep = -1;

	if (argc < 4)
		return 2;
	if (prepare(argv[2]) == 0)
		printf("flags ok\n");
	d = nm_open(argv[1], NULL, 0, NULL);
	if (!d) {
		printf("%s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	p[0] = (struct pollfd){.fd = NETMAP_FD(d), .events = POLLIN};
	if (argc > 4) {
		ep = epoll_create1(0);
		epoll_ctl(ep, EPOLL_CTL_ADD, NETMAP_FD(d), &e);
	}
	poll(p, one, 0);
	printf("ready\n");
	fflush(stdout);
	/* Who sends has yet to start, which an emulated machine takes its time for. */
	while (n < atoi(argv[3]) && wait_for_frames(ep, p, n ? 5000 : 60000) > 0)
		while (nm_nextpkt(d, &h))
			n++;
	printf("%d\n", n);
	nm_close(d);
	return 0;
}
