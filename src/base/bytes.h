/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bounds-checked reader over bytes that somebody else wrote. A read past the end returns 0 and
 * sets `failed`, which stays set: parse all fields, then check once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	const uint8_t *p;   /* next byte */
	const uint8_t *end; /* one past the last */
	bool failed;        /* a read went past the end */
};

void bytes_init(struct bytes *b, const void *p, size_t size);
size_t bytes_left(const struct bytes *b);
uint8_t bytes_u8(struct bytes *b);
/* Big-endian fields. */
uint16_t bytes_be16(struct bytes *b);
uint32_t bytes_be32(struct bytes *b);
uint64_t bytes_mac(struct bytes *b);
/* Steps over size bytes. */
void bytes_skip(struct bytes *b, size_t size);

/* RFC 1071 sum of size bytes, folded to 16 bits but not complemented, as big-endian words. */
uint16_t bytes_sum(const void *p, size_t size, uint32_t start);
/* The same of bytes that are copied meanwhile, to a place that does not overlap; start is 0. */
uint16_t bytes_copy_sum(void *to, const void *from, size_t size);
