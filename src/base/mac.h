/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MAC addresses as integers: the 48 bits of an address in the low bits of a uint64_t, first octet
 * on the wire most significant. Converted at the edge, compared as numbers inside.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MAC_BROADCAST 0xffffffffffffULL
#define MAC_TEXT_SIZE 18 /* bytes of "aa:bb:cc:dd:ee:ff" and NUL */
/* 01:80:C2:00:00:00, first of the 16 addresses of IEEE 802.1D table 7-10 / 802.1Q table 8-1. */
#define MAC_RESERVED_BASE 0x0180c2000000ULL

/* Reads six octets. The caller guarantees that they are there. */
static inline uint64_t mac_load(const uint8_t *p)
{
	uint32_t hi;
	uint16_t lo;

	memcpy(&hi, p, 4);
	memcpy(&lo, p + 4, 2);
	return ((uint64_t)__builtin_bswap32(hi) << 16) | __builtin_bswap16(lo);
}

static inline void mac_store(uint8_t *p, uint64_t mac)
{
	uint32_t hi = __builtin_bswap32((uint32_t)(mac >> 16));
	uint16_t lo = __builtin_bswap16((uint16_t)mac);

	memcpy(p, &hi, 4);
	memcpy(p + 4, &lo, 2);
}

/* Group bit set: broadcast or multicast. */
static inline bool mac_is_group(uint64_t mac)
{
	return mac & 0x010000000000ULL;
}

/* One of 01:80:C2:00:00:00 to 01:80:C2:00:00:0F. */
static inline bool mac_is_reserved(uint64_t mac)
{
	return (mac & ~0xfULL) == MAC_RESERVED_BASE;
}

/* An address that may be the source of a frame: not zero, not a group. */
static inline bool mac_is_valid_source(uint64_t mac)
{
	return mac != 0 && !mac_is_group(mac);
}

/*
 * Parses six colon- or dash-separated hexadecimal octets of one or two digits and nothing else.
 * 0, or -EINVAL and *ret_mac untouched.
 */
int mac_parse(const char *text, uint64_t *ret_mac);

/* Writes "aa:bb:cc:dd:ee:ff" and returns buf. */
const char *mac_format(uint64_t mac, char buf[MAC_TEXT_SIZE]);
