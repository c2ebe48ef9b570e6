/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame in one line, for people: addresses, tags, and what it carries as far as that helps to
 * recognize it. The bytes are somebody else's and may be cut short: nothing is read past them. Any
 * thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FRAME_SUMMARY_SIZE 400 /* for the longest there is; a shorter buffer gets the beginning */

/*
 * "02:..:01 > 02:..:02, vlan 10, IPv4 10.0.0.1 > 10.0.0.2 ICMP echo request, 98 bytes": the first
 * caplen bytes at data of a frame of len bytes, into buf of size bytes. Where the bytes end before
 * a header does, the line says so. Returns buf, with a NUL if size is not 0.
 */
const char *frame_summary(const uint8_t *data, uint32_t caplen, uint32_t len, char *buf,
			  size_t size);
