/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Helper devices: TAPs of ours that carry frames inside the kernel, between a packet socket and tc
 * programs. Nobody reads or writes their file; it is there so that the device goes with it, also
 * after kill -9. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HELPER_MTU 65521 /* the most a TAP takes: 65,535 less an Ethernet header */

struct helper {
	int fd; /* -1: there is none */
	uint32_t ifindex;
	char name[16];
	bool uso; /* this kernel's vnet headers know UDP segmentation (6.2) */
};

/*
 * Makes a device called pattern ("vdo-%d") and brings it up: largest MTU, IPv6 off, GSO of TCP and
 * UDP whole, checksums unfinished; what vnet headers cannot say (tunnels, SCTP) the kernel finishes
 * before it gets there. sock: netdev_socket(). 0 or -errno with a fragment for people; then there
 * is none.
 */
int helper_open(struct helper *h, int sock, const char *pattern, const char **ret_why);
/* Harmless when there is none. */
void helper_close(struct helper *h);
