/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of the FDB that runs twice for each frame: hash, prefetch, look up, and learn when there
 * is nothing to learn. Inline because calls are a fifth of the cost: with 2 addresses
 * hash, prefetch and look-up take 4.1 ns inline and 5.2 ns as calls (bench_fdb). Only core/fdb.h
 * includes this file; what the fields mean and which invariants hold is written in core/fdb.c.
 * Names that end in an underscore are for the FDB itself.
 */
#pragma once

#include "core/fdb.h"

#define FDB_SLOTS 4u
/* An entry is at most this many buckets from its home, so no look-up reads more. */
#define FDB_REACH 32u

/*
 * The word of a slot, from the top: VLAN id (12 bits), address (48), used, by user, kind (2). 0 =
 * free. The key is all but the lowest three bits, so words of the same key differ by less than
 * FDB_KEY_UNIT_.
 */
#define FDB_VID_SHIFT_ 52
#define FDB_MAC_SHIFT_ 4
#define FDB_USED_      8u
#define FDB_USER_      4u
#define FDB_KIND_MASK_ 3u
#define FDB_KEY_UNIT_  8u

/* The place of a slot: port number and, above it, generation. */
#define FDB_PORT_BITS_   10
#define FDB_PORT_(place) ((place) & (FDB_PORTS - 1u))

struct fdb_slot {
	uint64_t word;
	uint32_t seen_s; /* when last seen as a source, in the time of fdb_set_now() */
	uint16_t place;  /* port, and its generation when the entry was made or moved: FDB_PORT_ */
	uint8_t dist;    /* buckets between home and here */
	uint8_t passed; /* of a bucket's first slot: entries that passed this bucket on their way */
};

struct fdb_bucket {
	struct fdb_slot slots[FDB_SLOTS];
} _cacheline_;

/* First member of struct fdb. */
struct fdb_hot {
	struct fdb_bucket *buckets;
	uint32_t n_home; /* buckets that a hash can name; FDB_REACH - 1 more follow them */
	uint32_t now_s;
	uint32_t expire_s; /* entries of this age are gone; 0 = learn nothing */
	uint32_t unused;
	uint64_t secret[4];         /* of the hash */
	uint16_t places[FDB_PORTS]; /* by port: the place of what is learned there now */
};

enum fdb_learn_result fdb_learn_slow_(struct fdb *fdb, uint64_t mac, uint16_t vid, uint32_t hash,
				      uint16_t port, bool sticky, uint16_t *ret_old_port);

int fdb_lookup_local_(const struct fdb *fdb, uint64_t mac, enum fdb_kind *ret_kind);

/* The 128-bit product, folded to 64. */
static inline uint64_t fdb_fold_(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
#else
	uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
	uint64_t mid = ah * bl + (al * bl >> 32);
	uint64_t mid2 = al * bh + (uint32_t)mid;

	return a * b ^ (ah * bh + (mid >> 32) + (mid2 >> 32));
#endif
}

static inline uint64_t fdb_key_(uint64_t mac, uint16_t vid)
{
	return (uint64_t)vid << FDB_VID_SHIFT_ | mac << FDB_MAC_SHIFT_ | FDB_USED_;
}

static inline bool fdb_has_key_(const struct fdb_slot *s, uint64_t key)
{
	return (s->word ^ key) < FDB_KEY_UNIT_;
}

static inline enum fdb_kind fdb_kind_(uint64_t word)
{
	return (enum fdb_kind)(word & FDB_KIND_MASK_);
}

/* Static and local entries stay, and sticky ones of a user. */
static inline bool fdb_ages_(uint64_t word)
{
	return fdb_kind_(word) == FDB_DYNAMIC ||
	       (fdb_kind_(word) == FDB_STICKY && !(word & FDB_USER_));
}

static inline bool fdb_expired_(const struct fdb_hot *f, const struct fdb_slot *s)
{
	return (f->now_s - s->seen_s >= f->expire_s ||
		f->places[FDB_PORT_(s->place)] != s->place) &&
	       fdb_ages_(s->word);
}

static inline struct fdb_bucket *fdb_home_(const struct fdb_hot *f, uint32_t hash)
{
	return &f->buckets[(uint64_t)hash * f->n_home >> 32];
}

/* The slot of a key, expired or not; NULL if there is none. */
static inline struct fdb_slot *fdb_find_(const struct fdb_hot *f, uint64_t key, uint32_t hash)
{
	struct fdb_bucket *b = fdb_home_(f, hash);

	for (uint32_t d = 0; d < FDB_REACH; d++, b++) {
		struct fdb_slot *s = b->slots;

		/* Selected, not branched to: which slot it is cannot be predicted. */
		s = fdb_has_key_(&b->slots[1], key) ? &b->slots[1] : s;
		s = fdb_has_key_(&b->slots[2], key) ? &b->slots[2] : s;
		s = fdb_has_key_(&b->slots[3], key) ? &b->slots[3] : s;
		if (likely(fdb_has_key_(s, key)))
			return s;
		if (likely(!b->slots[0].passed))
			return NULL;
	}
	return NULL;
}

static inline uint32_t fdb_hash(const struct fdb *fdb, uint64_t mac, uint16_t vid)
{
	const uint64_t *k = ((const struct fdb_hot *)fdb)->secret;

	return (uint32_t)(fdb_fold_(fdb_fold_(fdb_key_(mac, vid) ^ k[0], k[1]) ^ k[2], k[3]) >> 32);
}

static inline void fdb_prefetch(const struct fdb *fdb, uint32_t hash)
{
	/* Not the next bucket too: one look-up in 12 needs it, all would pay in memory bandwidth.
	 */
	prefetch(fdb_home_((const struct fdb_hot *)fdb, hash));
}

static inline int fdb_lookup(const struct fdb *fdb, uint64_t mac, uint16_t vid, uint32_t hash,
			     enum fdb_kind *ret_kind)
{
	const struct fdb_hot *f = (const struct fdb_hot *)fdb;
	const struct fdb_slot *s = fdb_find_(f, fdb_key_(mac, vid), hash);

	if (!s || unlikely(fdb_expired_(f, s)))
		return vid ? fdb_lookup_local_(fdb, mac, ret_kind) : -1;
	*ret_kind = fdb_kind_(s->word);
	return (int)FDB_PORT_(s->place);
}

static inline enum fdb_learn_result fdb_learn(struct fdb *fdb, uint64_t mac, uint16_t vid,
					      uint32_t hash, uint16_t port, bool sticky,
					      uint16_t *ret_old_port)
{
	const struct fdb_hot *f = (const struct fdb_hot *)fdb;
	struct fdb_slot *s = fdb_find_(f, fdb_key_(mac, vid), hash);

	if (likely(s && s->place == f->places[port] && fdb_kind_(s->word) == FDB_DYNAMIC &&
		   !sticky && f->now_s - s->seen_s < f->expire_s)) {
		/* Once a second at most, so that the cache line stays clean. */
		if (s->seen_s != f->now_s)
			s->seen_s = f->now_s;
		return FDB_KNOWN;
	}
	return fdb_learn_slow_(fdb, mac, vid, hash, port, sticky, ret_old_port);
}
