/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/bpdu.h"

#include <string.h>

#include "base/bytes.h"
#include "base/mac.h"

#define ADDRESSES_SIZE 12u
#define HEADER_SIZE    14u
#define LLC_SIZE       3u
#define LLC_SAPS       0x4242u /* service access points: destination, source */
#define LLC_UI         0x03u
#define LENGTH_MAX     1500u /* above: an EtherType, no length */

#define TYPE_CONFIG 0x00u
#define TYPE_RST    0x02u
#define TYPE_TCN    0x80u

#define ROLE_SHIFT       2
#define ROLE_MASK        0x03u
#define CONFIG_FLAG_MASK (BPDU_TC | BPDU_TC_ACK)

/* The kind of BPDU that its header says, and the bytes that it must have; -1: none of ours. */
static int kind_of(uint8_t version, uint8_t type, size_t *ret_size)
{
	switch (type) {
	case TYPE_TCN:
		*ret_size = BPDU_TCN_SIZE;
		return BPDU_TCN;
	case TYPE_CONFIG:
		*ret_size = BPDU_CONFIG_SIZE;
		return BPDU_CONFIG;
	case TYPE_RST:
		*ret_size = BPDU_RST_SIZE;
		return version >= 2 ? BPDU_RST : -1;
	default:
		return -1;
	}
}

static uint64_t read_id(struct bytes *b)
{
	uint64_t priority = bytes_be16(b);

	return priority << 48 | bytes_mac(b);
}

static void read_body(struct bytes *b, struct bpdu *r)
{
	uint8_t flags = bytes_u8(b);

	r->role = BPDU_ROLE_DESIGNATED;
	r->flags = flags & CONFIG_FLAG_MASK;
	if (r->kind == BPDU_RST && (flags >> ROLE_SHIFT & ROLE_MASK) != BPDU_ROLE_UNKNOWN) {
		r->role = flags >> ROLE_SHIFT & ROLE_MASK;
		r->flags = (uint8_t)(flags & ~(ROLE_MASK << ROLE_SHIFT));
	}
	r->root = read_id(b);
	r->cost = bytes_be32(b);
	r->bridge = read_id(b);
	r->port = bytes_be16(b);
	r->times.message_age = bytes_be16(b);
	r->times.max_age = bytes_be16(b);
	r->times.hello = bytes_be16(b);
	r->times.forward_delay = bytes_be16(b);
}

int bpdu_parse(const uint8_t *frame, uint32_t len, struct bpdu *ret)
{
	struct bpdu r = {0};
	struct bytes b;
	size_t length, size = 0;
	uint8_t version;
	int kind;

	bytes_init(&b, frame, len);
	bytes_skip(&b, ADDRESSES_SIZE);
	length = bytes_be16(&b);
	if (b.failed || length > LENGTH_MAX || length > bytes_left(&b) || length < LLC_SIZE)
		return BPDU_E_MALFORMED;
	b.end = b.p + length; /* what follows is padding */
	if (bytes_be16(&b) != LLC_SAPS || bytes_u8(&b) != LLC_UI)
		return BPDU_E_MALFORMED;
	length = bytes_left(&b);
	if (bytes_be16(&b) != 0) /* protocol identifier */
		return BPDU_E_MALFORMED;
	version = bytes_u8(&b);
	kind = kind_of(version, bytes_u8(&b), &size);
	if (b.failed || kind < 0 || length < size)
		return BPDU_E_MALFORMED;
	r.kind = (uint8_t)kind;
	if (kind != BPDU_TCN)
		read_body(&b, &r);
	if (b.failed)
		return BPDU_E_MALFORMED;
	*ret = r;
	return kind != BPDU_TCN && r.times.message_age >= r.times.max_age ? BPDU_E_AGE : 0;
}

static uint8_t *put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put_be32(uint8_t *p, uint32_t v)
{
	return put_be16(put_be16(p, (uint16_t)(v >> 16)), (uint16_t)v);
}

static uint8_t *put_id(uint8_t *p, uint64_t id)
{
	p = put_be16(p, (uint16_t)(id >> 48));
	mac_store(p, id & 0xffffffffffffULL);
	return p + 6;
}

static void put_body(uint8_t *p, const struct bpdu *b)
{
	uint8_t flags = b->flags & CONFIG_FLAG_MASK;

	if (b->kind == BPDU_RST)
		flags = (uint8_t)(b->flags | b->role << ROLE_SHIFT);
	*p++ = flags;
	p = put_id(p, b->root);
	p = put_be32(p, b->cost);
	p = put_id(p, b->bridge);
	p = put_be16(p, b->port);
	p = put_be16(p, b->times.message_age);
	p = put_be16(p, b->times.max_age);
	p = put_be16(p, b->times.hello);
	put_be16(p, b->times.forward_delay); /* an RST BPDU ends with a version 1 length of 0 */
}

void bpdu_build(const struct bpdu *b, uint64_t source, uint8_t frame[BPDU_FRAME_SIZE])
{
	static const uint8_t types[] = {
		[BPDU_TCN] = TYPE_TCN, [BPDU_CONFIG] = TYPE_CONFIG, [BPDU_RST] = TYPE_RST};
	static const uint8_t sizes[] = {[BPDU_TCN] = BPDU_TCN_SIZE,
					[BPDU_CONFIG] = BPDU_CONFIG_SIZE,
					[BPDU_RST] = BPDU_RST_SIZE};
	uint8_t *p = frame;

	memset(frame, 0, BPDU_FRAME_SIZE);
	mac_store(p, MAC_RESERVED_BASE);
	mac_store(p + 6, source);
	p = put_be16(p + ADDRESSES_SIZE, (uint16_t)(LLC_SIZE + sizes[b->kind]));
	p = put_be16(p, LLC_SAPS);
	*p++ = LLC_UI;
	p = put_be16(p, 0);
	*p++ = b->kind == BPDU_RST ? 2 : 0;
	*p++ = types[b->kind];
	if (b->kind != BPDU_TCN)
		put_body(p, b);
}
