/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/bytes.h"

#include <string.h>

#include "base/mac.h"

void bytes_init(struct bytes *b, const void *p, size_t size)
{
	b->p = p;
	b->end = b->p + size;
	b->failed = false;
}

size_t bytes_left(const struct bytes *b)
{
	return (size_t)(b->end - b->p);
}

/* The next size bytes, or NULL and failed. */
static const uint8_t *take(struct bytes *b, size_t size)
{
	const uint8_t *p = b->p;

	if (bytes_left(b) < size) {
		b->failed = true;
		b->p = b->end;
		return NULL;
	}
	b->p += size;
	return p;
}

uint8_t bytes_u8(struct bytes *b)
{
	const uint8_t *p = take(b, 1);

	return p ? *p : 0;
}

uint16_t bytes_be16(struct bytes *b)
{
	const uint8_t *p = take(b, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

uint32_t bytes_be32(struct bytes *b)
{
	uint32_t hi = bytes_be16(b);

	return hi << 16 | bytes_be16(b);
}

uint64_t bytes_mac(struct bytes *b)
{
	const uint8_t *p = take(b, 6);

	return p ? mac_load(p) : 0;
}

void bytes_skip(struct bytes *b, size_t size)
{
	take(b, size);
}

uint16_t bytes_sum(const void *data, size_t size, uint32_t start)
{
	const uint8_t *p = data;
	uint64_t sum = 0;

	/* Summed as native words: the sum of swapped words is the swapped sum (RFC 1071, 2 (B)). */
	for (; size >= 8; size -= 8, p += 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		sum += w & 0xffffffff;
		sum += w >> 32;
	}
	for (; size >= 2; size -= 2, p += 2) {
		uint16_t w;

		memcpy(&w, p, 2);
		sum += w;
	}
	if (size) {
		uint8_t last[2] = {*p, 0};
		uint16_t w;

		memcpy(&w, last, 2);
		sum += w;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	sum = __builtin_bswap16((uint16_t)sum);
#endif
	sum += start;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}
