/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of the FDB that runs twice for each frame: hash, prefetch, look up, and learn when there
 * is nothing to learn. Inline because the calls cost more than the work: with 2 addresses a look-up
 * takes 2.5 ns inline and 3.3 ns as a call (bench_fdb). Only core/fdb.h includes this file; what
 * the fields mean and which invariants hold is written in core/fdb.c. Names that end in an
 * underscore are for the FDB itself.
 */
#pragma once

#include "core/fdb.h"

#define FDB_SLOTS 4u
/* An entry is at most this many buckets from its home, so no look-up reads more. */
#define FDB_REACH 32u

/* The word of a slot: address, VLAN id, kind, flags. 0 = free. */
#define FDB_VID_SHIFT  48
#define FDB_KIND_SHIFT 60
#define FDB_USER_      (1ULL << 62)
#define FDB_USED_      (1ULL << 63)
#define FDB_KEY_MASK_  ((1ULL << FDB_KIND_SHIFT) - 1)
#define FDB_MATCH_     (FDB_USED_ | FDB_KEY_MASK_)

struct fdb_slot {
	uint64_t word;
	uint32_t seen_s; /* when last seen as a source, in the time of fdb_set_now() */
	uint16_t port;
	uint8_t dist;   /* buckets between home and here */
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
	uint64_t secret[4]; /* of the hash */
};

enum fdb_learn_result fdb_learn_slow_(struct fdb *fdb, uint64_t mac, uint16_t vid, uint32_t hash,
				      uint16_t port, bool sticky, uint16_t *ret_old_port);

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
	return (mac | (uint64_t)vid << FDB_VID_SHIFT) & FDB_KEY_MASK_;
}

static inline enum fdb_kind fdb_kind_(uint64_t word)
{
	return (enum fdb_kind)(word >> FDB_KIND_SHIFT & 3);
}

/* Static and local entries stay, and sticky ones of a user. */
static inline bool fdb_ages_(uint64_t word)
{
	return fdb_kind_(word) == FDB_DYNAMIC ||
	       (fdb_kind_(word) == FDB_STICKY && !(word & FDB_USER_));
}

static inline bool fdb_expired_(const struct fdb_hot *f, const struct fdb_slot *s)
{
	return f->now_s - s->seen_s >= f->expire_s && fdb_ages_(s->word);
}

static inline struct fdb_bucket *fdb_home_(const struct fdb_hot *f, uint32_t hash)
{
	return &f->buckets[(uint64_t)hash * f->n_home >> 32];
}

/* The slot of a key, expired or not; NULL if there is none. */
static inline struct fdb_slot *fdb_find_(const struct fdb_hot *f, uint64_t key, uint32_t hash)
{
	struct fdb_bucket *b = fdb_home_(f, hash);
	const uint64_t want = FDB_USED_ | key;

	for (uint32_t d = 0; d < FDB_REACH; d++, b++) {
		struct fdb_slot *s = b->slots;
		/* No branch per slot: which slot it is cannot be predicted. */
		uint32_t hit1 = (s[1].word & FDB_MATCH_) == want;
		uint32_t hit2 = (s[2].word & FDB_MATCH_) == want;
		uint32_t hit3 = (s[3].word & FDB_MATCH_) == want;

		s += hit1 + 2 * hit2 + 3 * hit3;
		if ((s->word & FDB_MATCH_) == want)
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
	prefetch(fdb_home_((const struct fdb_hot *)fdb, hash));
}

static inline int fdb_lookup(const struct fdb *fdb, uint64_t mac, uint16_t vid, uint32_t hash,
			     enum fdb_kind *ret_kind)
{
	const struct fdb_hot *f = (const struct fdb_hot *)fdb;
	const struct fdb_slot *s = fdb_find_(f, fdb_key_(mac, vid), hash);

	if (!s || unlikely(fdb_expired_(f, s)))
		return -1;
	*ret_kind = fdb_kind_(s->word);
	return s->port;
}

static inline enum fdb_learn_result fdb_learn(struct fdb *fdb, uint64_t mac, uint16_t vid,
					      uint32_t hash, uint16_t port, bool sticky,
					      uint16_t *ret_old_port)
{
	const struct fdb_hot *f = (const struct fdb_hot *)fdb;
	struct fdb_slot *s = fdb_find_(f, fdb_key_(mac, vid), hash);

	if (likely(s && s->port == port && fdb_kind_(s->word) == FDB_DYNAMIC && !sticky &&
		   f->now_s - s->seen_s < f->expire_s)) {
		/* Once a second at most, so that the cache line stays clean. */
		if (s->seen_s != f->now_s)
			s->seen_s = f->now_s;
		return FDB_KNOWN;
	}
	return fdb_learn_slow_(fdb, mac, vid, hash, port, sticky, ret_old_port);
}
