/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Symmetry: each end of a flow (address and port) is hashed by itself, and the two are added. That
 * keeps what an exclusive-or of the addresses would lose, and needs no comparison that cannot be
 * predicted.
 */
#include "core/flowhash.h"

#include <string.h>

#include "core/fdb.h" /* fdb_fold_() */

#define ETH_IPV4 0x0800
#define ETH_IPV6 0x86dd

#define PROTO_HOPOPTS  0
#define PROTO_TCP      6
#define PROTO_UDP      17
#define PROTO_ROUTING  43
#define PROTO_FRAGMENT 44
#define PROTO_AH       51
#define PROTO_DSTOPTS  60
#define PROTO_SCTP     132

#define EXT_MAX 8 /* IPv6 extension headers that are looked through */

/* What a header says that the hash is about. */
struct flow {
	uint64_t ends[2]; /* hashes of the addresses, then with the ports */
	uint32_t ports;   /* where the ports are, from data; 0: there are none */
	uint8_t proto;    /* 0 without ports */
};

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* SplitMix64: makes four words of two. */
static uint64_t next_word(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

void flowhash_init(struct flowhash_key *key, const uint8_t random[16])
{
	uint64_t a = load64(random), b = load64(random + 8);

	key->k[0] = next_word(&a);
	key->k[1] = next_word(&b) | 1;
	key->k[2] = next_word(&a);
	key->k[3] = next_word(&b) | 1;
}

static inline bool has_ports(uint8_t proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP;
}

static inline bool read_ipv4(const struct flowhash_key *key, const struct frame *f, uint32_t at,
			     struct flow *ret)
{
	const uint8_t *p = f->data + at;
	uint32_t size;
	uint8_t first;

	if (f->len < at + 20)
		return false;
	first = p[0];
	size = (first & 0xfu) * 4;
	if (first >> 4 != 4 || size < 20)
		return false;
	ret->ends[0] = load32(p + 12) ^ key->k[0];
	ret->ends[1] = load32(p + 16) ^ key->k[0];
	ret->proto = p[9];
	/* more fragments, or not the first */
	if (!has_ports(ret->proto) || frame_be16(p + 6) & 0x3fff)
		return true;
	ret->ports = at + size;
	return true;
}

/* Steps over extension headers. Sets ports if a header with ports follows. */
static void walk_ipv6(const struct frame *f, uint32_t at, uint8_t next, struct flow *ret)
{
	for (int i = 0; i < EXT_MAX; i++) {
		if (has_ports(next)) {
			ret->proto = next;
			ret->ports = at;
			return;
		}
		if (next != PROTO_HOPOPTS && next != PROTO_ROUTING && next != PROTO_DSTOPTS &&
		    next != PROTO_AH)
			return; /* fragments too */
		if (f->len < at + 8)
			return;
		if (next == PROTO_AH)
			next = f->data[at], at += (f->data[at + 1] + 2u) * 4;
		else
			next = f->data[at], at += (f->data[at + 1] + 1u) * 8;
	}
}

static bool read_ipv6(const struct flowhash_key *key, const struct frame *f, uint32_t at,
		      struct flow *ret)
{
	const uint8_t *p = f->data + at;

	if (f->len < at + 40 || p[0] >> 4 != 6)
		return false;
	ret->ends[0] = fdb_fold_(load64(p + 8) ^ key->k[0], load64(p + 16) ^ key->k[1]);
	ret->ends[1] = fdb_fold_(load64(p + 24) ^ key->k[0], load64(p + 32) ^ key->k[1]);
	walk_ipv6(f, at + 40, p[6], ret);
	return true;
}

static inline uint32_t finish(const struct flowhash_key *key, const struct flow *fl, uint64_t kind)
{
	uint64_t sum = fdb_fold_(fl->ends[0], key->k[1]) + fdb_fold_(fl->ends[1], key->k[1]);

	return (uint32_t)(fdb_fold_(sum ^ kind ^ key->k[2], key->k[3]) >> 32);
}

uint32_t flowhash(const struct flowhash_key *key, const struct frame *f)
{
	const uint32_t at = FRAME_HEADER_SIZE + f->n_tags * FRAME_TAG_SIZE;
	struct flow fl = {.ports = 0};
	bool ip = false;

	if (f->ethertype == ETH_IPV4)
		ip = read_ipv4(key, f, at, &fl);
	else if (f->ethertype == ETH_IPV6)
		ip = read_ipv6(key, f, at, &fl);
	if (!ip) {
		/* 802.3 lengths are no types: all LLC frames of a pair are one flow */
		fl.ends[0] = f->src ^ key->k[0];
		fl.ends[1] = f->dst ^ key->k[0];
		return finish(key, &fl, (uint64_t)(f->ethertype < 1536 ? 0 : f->ethertype) << 32);
	}
	if (!fl.ports || f->len < fl.ports + 4)
		return finish(key, &fl, 0);
	fl.ends[0] ^= (uint64_t)frame_be16(f->data + fl.ports) << 32;
	fl.ends[1] ^= (uint64_t)frame_be16(f->data + fl.ports + 2) << 32;
	return finish(key, &fl, fl.proto);
}
