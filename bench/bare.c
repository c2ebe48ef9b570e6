/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floor for a user-space bridge, for bench/e2e.py: joins two devices and does nothing else.
 *
 *     bare DEVICE DEVICE
 *
 * Two packet sockets with vnet headers, one thread, one frame a call: what comes in on one is sent
 * on the other, nothing is looked at. Sleeps in poll() when both are empty. No program that takes
 * each frame to user space and back by system calls has a shorter ping. packet(7).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

static int open_device(const char *dev)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(dev),
	};
	struct packet_mreq promisc = {.mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0), on = 1, size = 32 << 20;

	if (fd >= 0) {
		setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on));
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
		setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
		setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc, sizeof(promisc));
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	}
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		fprintf(stderr, "%s: %s\n", dev, strerror(errno));
		exit(1);
	}
	return fd;
}

/* One frame from a to b. False when there was none. */
static int forward(int a, int b)
{
	static char frame[70000];
	ssize_t n = recv(a, frame, sizeof(frame), 0);

	return n > 0 && send(b, frame, (size_t)n, 0) >= 0;
}

int main(int argc, char **argv)
{
	struct pollfd p[2];

	if (argc != 3) {
		fprintf(stderr, "usage: bare DEVICE DEVICE\n");
		return 2;
	}
	for (int i = 0; i < 2; i++)
		p[i] = (struct pollfd){.fd = open_device(argv[1 + i]), .events = POLLIN};
	for (;;) {
		if (forward(p[0].fd, p[1].fd) + forward(p[1].fd, p[0].fd) == 0)
			poll(p, 2, -1);
	}
}
