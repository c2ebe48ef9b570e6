/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds GSO frames header by header for offload_test.c and notes where each header is; plain
 * byte-by-byte checksums to judge the results with. Nothing of the code under test takes part.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "core/frame.h"

enum kind { V4, V6, UDP, TCP, GRE };

struct mark {
	enum kind kind;
	uint32_t ofs;
	bool csum; /* has a checksum */
};

struct pkt {
	struct frame f;
	uint8_t *b; /* allocated to the exact length when complete, so that ASan sees overreads */
	uint32_t len;
	uint32_t n;
	struct mark marks[8];
	uint8_t room[70000];
};

static struct pkt *pkt_new(void)
{
	struct pkt *p = calloc(1, sizeof(*p));

	p->b = p->room;
	return p;
}

static void pkt_free(struct pkt *p)
{
	free(p->f.data);
	free(p);
}

static uint32_t add(struct pkt *p, const void *bytes, uint32_t size)
{
	memcpy(p->room + p->len, bytes, size);
	p->len += size;
	return p->len - size;
}

static uint32_t mark(struct pkt *p, enum kind kind, bool csum)
{
	p->marks[p->n++] = (struct mark){kind, p->len, csum};
	return p->len;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void eth(struct pkt *p, uint32_t n_tags, uint16_t type)
{
	uint8_t h[22] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	uint32_t at = 12;

	if (n_tags == 2) {
		put16(h + at, 0x88a8);
		put16(h + at + 2, 100);
		at += 4;
	}
	if (n_tags) {
		put16(h + at, 0x8100);
		put16(h + at + 2, 7);
		at += 4;
	}
	put16(h + at, type);
	add(p, h, at + 2);
}

static void ipv4(struct pkt *p, uint8_t proto, uint32_t n_options)
{
	uint8_t h[60] = {0x45, 0,    0,  0, 0xff, 0xfe, 0x40, 0, 64, 0,
			 0xde, 0xad, 10, 0, 0,    1,    10,   0, 0,  2};

	h[0] = (uint8_t)(0x45 + n_options / 4);
	h[9] = proto;
	memset(h + 20, 1, n_options);
	mark(p, V4, true);
	add(p, h, 20 + n_options);
}

static inline void ipv6(struct pkt *p, uint8_t next)
{
	uint8_t h[40] = {0x60, 0, 0, 0, 0, 0, 0, 64, 0xfd, 1};

	h[6] = next;
	h[23] = 1;
	h[24] = 0xfd;
	h[39] = 2;
	mark(p, V6, false);
	add(p, h, 40);
}

/* Destination options of 8 or 16 bytes. */
static inline void ext(struct pkt *p, uint8_t next, uint8_t units)
{
	uint8_t h[16] = {next, units};

	add(p, h, 8 + units * 8u);
}

static inline void udp(struct pkt *p, uint16_t port, bool csum)
{
	uint8_t h[8] = {0xc0, 0};

	put16(h + 2, port);
	put16(h + 6, csum ? 0xbeef : 0);
	mark(p, UDP, csum);
	add(p, h, 8);
}

static void tcp(struct pkt *p, uint8_t flags, uint32_t n_options)
{
	uint8_t h[60] = {0x1f, 0x90, 0x1f, 0x91, 0xff, 0xff, 0xf0, 0, 0, 0, 0, 9};

	h[12] = (uint8_t)((20 + n_options) / 4 << 4);
	h[13] = flags;
	memset(h + 20, 1, n_options);
	mark(p, TCP, true);
	add(p, h, 20 + n_options);
}

static inline void gre(struct pkt *p, uint16_t flags, uint16_t type)
{
	uint8_t h[12] = {0};

	put16(h, flags);
	put16(h + 2, type);
	mark(p, GRE, flags & 0x8000);
	add(p, h, 4 + (flags & 0x8000 ? 4u : 0) + (flags & 0x2000 ? 4u : 0));
}

static uint32_t slow_add(uint32_t sum, const uint8_t *p, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Sum of the pseudo-header (RFC 793, RFC 8200 8.1) for the L4 header behind the IP one at l3. */
static uint32_t slow_pseudo(const uint8_t *b, const struct mark *l3, uint8_t proto, uint32_t size)
{
	uint8_t tail[4] = {0, proto, (uint8_t)(size >> 8), (uint8_t)size};
	uint32_t sum = l3->kind == V4 ? slow_add(0, b + l3->ofs + 12, 8)
				      : slow_add(0, b + l3->ofs + 8, 32);

	return slow_add(sum, tail, 4);
}

/* Adds the payload and the state of an unfinished GSO frame whose transport is the last mark. */
static void complete(struct pkt *p, enum frame_gso gso, uint16_t gso_size, uint32_t payload)
{
	const struct mark *l4 = &p->marks[p->n - 1];
	const bool is_tcp = l4->kind == TCP;
	uint16_t hdr_len = (uint16_t)p->len;

	for (uint32_t i = 0; i < payload; i++)
		p->room[p->len++] = (uint8_t)(i * 7 + (i >> 8) * 13);
	p->f = (struct frame){
		.len = p->len,
		.buf = 99,
		.gso = (uint8_t)gso,
		.gso_size = gso_size,
		.hdr_len = hdr_len,
		.flags = FRAME_CSUM_PARTIAL | FRAME_LOCAL,
		.csum_start = (uint16_t)l4->ofs,
		.csum_offset = is_tcp ? 16 : 6,
		.in_port = 3,
	};
	if (!is_tcp)
		put16(p->room + l4->ofs + 4, p->len - l4->ofs);
	put16(p->room + l4->ofs + p->f.csum_offset,
	      slow_pseudo(p->room, l4 - 1, is_tcp ? 6 : 17, p->len - l4->ofs));
	p->f.data = malloc(p->len);
	p->b = memcpy(p->f.data, p->room, p->len);
	frame_parse(&p->f);
}
