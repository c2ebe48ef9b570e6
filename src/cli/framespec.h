/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame as people describe it: bytes in hexadecimal, the n-th of a capture file, or fields of
 * which the others have defaults.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The longest: 65,535 bytes behind an Ethernet header. */
#define FRAMESPEC_LEN_MAX 65549u

struct framespec {
	size_t len;
	size_t captured; /* bytes that the file has; the others are taken as 0. Else as len */
	uint8_t bytes[FRAMESPEC_LEN_MAX];
};

/*
 * n words. 0 and *ret, or -1 with a sentence in why. Hexadecimal: digits, with blanks and colons as
 * one likes. File: "pcap FILE [N]", N from 1 on. Fields: "src MAC", "dst MAC" (broadcast if not
 * given), "vlan N" (again: a second tag), "type T" (IPv4), "len N" (60), "payload HEX".
 */
int framespec_parse(const char *const *words, size_t n, struct framespec *ret, char *why,
		    size_t size);
