/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends frames of one flow at a given rate from one device, for bench/e2e.py:
 *
 *     paced DEVICE DST-MAC SIZE RATE SECONDS [udp]
 *
 * udp: frames are UDP over IPv4, to an address that is nobody's; else of an experimental EtherType.
 * RATE is frames a second, 0 = as fast as it goes. Bursts of at most 32 frames, released by the
 * clock, without catching up more than one millisecond, so that a scheduling gap is no flood
 * afterwards. Prints frames sent and nanoseconds taken. AF_PACKET with PACKET_QDISC_BYPASS,
 * packet(7).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mac.h"

#define BURST 32

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int open_device(const char *dev)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(dev)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1, size = 8 << 20;

	if (fd < 0 || !to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		fprintf(stderr, "%s: %s\n", dev, strerror(errno));
		exit(1);
	}
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

/* Sends until the end; returns the number of frames that the kernel took. */
static uint64_t blast(int fd, uint8_t *frame, size_t size, double per_ns, uint64_t start,
		      uint64_t end)
{
	struct iovec iov = {.iov_base = frame, .iov_len = size};
	struct mmsghdr msgs[BURST] = {0};
	uint64_t sent = 0, skipped = 0, now;

	for (int i = 0; i < BURST; i++) {
		msgs[i].msg_hdr.msg_iov = &iov;
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	while ((now = now_ns()) < end) {
		uint64_t due = BURST;
		int n;

		if (per_ns > 0) {
			uint64_t target = (uint64_t)((double)(now - start) * per_ns);
			uint64_t late = (uint64_t)(1e6 * per_ns) + BURST;

			if (target > sent + skipped + late)
				skipped = target - late - sent;
			due = target - sent - skipped;
		}
		if (due == 0)
			continue;
		n = sendmmsg(fd, msgs, due < BURST ? (unsigned)due : BURST, 0);
		if (n > 0)
			sent += (uint64_t)n;
	}
	return sent;
}

/* 192.0.2.1 to 192.0.2.2 (RFC 5737), port 9; no UDP checksum. */
static void fill_udp(uint8_t *frame, size_t size)
{
	uint8_t *ip = frame + ETH_HLEN;
	uint16_t len = (uint16_t)(size - ETH_HLEN);
	static const uint8_t head[24] = {0x45, 0, 0, 0, 0,   0, 0, 0, 64, 17, 0, 0,
					 192,  0, 2, 1, 192, 0, 2, 2, 0,  9,  0, 9};
	uint32_t sum = 0;

	frame[12] = 0x08;
	frame[13] = 0x00;
	memcpy(ip, head, sizeof(head));
	ip[2] = (uint8_t)(len >> 8);
	ip[3] = (uint8_t)len;
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16)) & 0xffff;
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	len -= 20;
	ip[24] = (uint8_t)(len >> 8);
	ip[25] = (uint8_t)len;
}

int main(int argc, char **argv)
{
	uint8_t frame[1514] = {0};
	uint64_t mac, start, sent;
	size_t size;
	bool udp = argc == 7 && strcmp(argv[6], "udp") == 0;

	if (argc != 6 + udp || mac_parse(argv[2], &mac) < 0) {
		fprintf(stderr, "usage: paced DEVICE DST-MAC SIZE RATE SECONDS [udp]\n");
		return 2;
	}
	size = strtoul(argv[3], NULL, 10);
	if (size < (udp ? 60 : ETH_HLEN) || size > sizeof(frame))
		return 2;
	mac_store(frame, mac);
	mac_store(frame + 6, 0x020000000001ULL);
	frame[12] = 0x88; /* local experimental EtherType 1 (IEEE 802) */
	frame[13] = 0xb5;
	if (udp)
		fill_udp(frame, size);
	start = now_ns();
	sent = blast(open_device(argv[1]), frame, size, strtod(argv[4], NULL) / 1e9, start,
		     start + (uint64_t)(strtod(argv[5], NULL) * 1e9));
	printf("%llu %llu\n", (unsigned long long)sent, (unsigned long long)(now_ns() - start));
	return 0;
}
