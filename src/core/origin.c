/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Records lie in one array, each ring's share used round and round: the slot of a new record is the
 * one of the ring's oldest. A record is found through two hash tables with chains: by buffer and by
 * digest. New records go to the end of their digest's chain, so of identical frames the oldest is
 * matched first, and at once: a flood of one and the same frame costs no search. A walk along a
 * chain ends after WALK_MAX records, for who makes frames may try to make chains long; digests are
 * keyed, so he must do it blindly.
 *
 * A record that is in use has a length; its buffer link is gone (buf 0) once the daemon has the
 * buffer back. A record without a digest (made while none were) is found by its buffer only.
 *
 * Digests cost about as much as all the rest, and a program that swaps buffers needs none. So they
 * are made until QUIET frames in a row came back by buffer, and again from the first frame on whose
 * buffer was not lent.
 *
 * Addresses: 4-way sets of 16-byte entries, the least recently seen makes way.
 */
#include "core/origin.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/fdb.h" /* fdb_fold_() */
#include "core/flowhash.h"

#define NONE        UINT32_MAX
#define WALK_MAX    32u
#define DIGEST_SIZE 128u
#define QUIET       4096u
#define WAYS        4u
#define SECOND_NS   1000000000ULL

struct record {
	struct origin o;
	uint64_t digest; /* 0: none */
	uint32_t buf;    /* 0: not by buffer any more */
	uint32_t len;    /* 0: not in use */
	uint32_t buf_next;
	uint32_t digest_next, digest_prev;
	uint32_t unused;
};
_Static_assert(sizeof(struct record) == 64, "one cache line");

struct chain {
	uint32_t first, last;
};

struct source {
	uint64_t key; /* address and VLAN id, 0: free */
	uint32_t generation;
	uint16_t port;
	uint16_t seen; /* in units of 2^32 ns; wraps after three days */
};

struct origins {
	struct record *records; /* n_rings times n_records */
	uint32_t *by_buf;       /* first record of each chain */
	struct chain *by_digest;
	struct source *sources;
	uint32_t n_rings, n_records;
	uint32_t hash_mask;  /* of both tables */
	uint32_t set_mask;   /* of sources */
	uint32_t quiet;      /* frames in a row that came back by buffer */
	uint32_t source_age; /* in the units of struct source */
	struct flowhash_key key;
	struct origins_stats stats;
	struct ring {
		uint32_t next; /* slot of the next record */
		uint32_t n;    /* records in use */
	} rings[];
};

static uint32_t pow2_above(uint32_t n)
{
	uint32_t r = 1;

	while (r < n)
		r *= 2;
	return r;
}

static void clear_records(struct origins *os)
{
	memset(os->records, 0, sizeof(*os->records) * os->n_rings * os->n_records);
	memset(os->by_buf, 0xff, sizeof(*os->by_buf) * (os->hash_mask + 1));
	memset(os->by_digest, 0xff, sizeof(*os->by_digest) * (os->hash_mask + 1));
	memset(os->rings, 0, sizeof(os->rings[0]) * os->n_rings);
}

struct origins *origins_new(const struct origins_config *cfg)
{
	const uint32_t n = cfg->n_rings * cfg->n_records;
	struct origins *os = calloc(1, sizeof(*os) + cfg->n_rings * sizeof(os->rings[0]));

	if (!os)
		return NULL;
	os->n_rings = cfg->n_rings;
	os->n_records = cfg->n_records;
	os->hash_mask = pow2_above(n) - 1;
	os->set_mask = cfg->n_sources / WAYS - 1;
	os->source_age = (uint32_t)(cfg->source_age_s * SECOND_NS >> 32);
	os->records = aligned_alloc(64, sizeof(*os->records) * n);
	os->by_buf = malloc(sizeof(*os->by_buf) * (os->hash_mask + 1));
	os->by_digest = malloc(sizeof(*os->by_digest) * (os->hash_mask + 1));
	os->sources = aligned_alloc(64, sizeof(*os->sources) * cfg->n_sources);
	if (!os->records || !os->by_buf || !os->by_digest || !os->sources)
		return origins_free(os);
	memset(os->sources, 0, sizeof(*os->sources) * cfg->n_sources);
	flowhash_init(&os->key, cfg->hash_key);
	clear_records(os);
	return os;
}

struct origins *origins_free(struct origins *os)
{
	if (!os)
		return NULL;
	free(os->records);
	free(os->by_buf);
	free(os->by_digest);
	free(os->sources);
	free(os);
	return NULL;
}

/* ---- chains ---- */

static inline uint32_t *buf_chain(struct origins *os, uint32_t buf)
{
	return &os->by_buf[buf & os->hash_mask]; /* numbers of buffers are dense, and ours */
}

static inline struct chain *digest_chain(struct origins *os, uint64_t digest)
{
	return &os->by_digest[(uint32_t)digest & os->hash_mask];
}

static inline void link_buf(struct origins *os, struct record *r, uint32_t i)
{
	uint32_t *first = buf_chain(os, r->buf);

	r->buf_next = *first;
	*first = i;
}

static inline void unlink_buf(struct origins *os, struct record *r, uint32_t i)
{
	uint32_t *p = buf_chain(os, r->buf);

	if (r->buf == 0)
		return;
	while (*p != i)
		p = &os->records[*p].buf_next;
	*p = r->buf_next;
	r->buf = 0;
}

static inline void link_digest(struct origins *os, struct record *r, uint32_t i)
{
	struct chain *c = digest_chain(os, r->digest);

	r->digest_next = NONE;
	r->digest_prev = c->last;
	if (c->last == NONE)
		c->first = i;
	else
		os->records[c->last].digest_next = i;
	c->last = i;
}

static inline void unlink_digest(struct origins *os, struct record *r)
{
	struct chain *c = digest_chain(os, r->digest);

	if (r->digest == 0)
		return;
	if (r->digest_prev == NONE)
		c->first = r->digest_next;
	else
		os->records[r->digest_prev].digest_next = r->digest_next;
	if (r->digest_next == NONE)
		c->last = r->digest_prev;
	else
		os->records[r->digest_next].digest_prev = r->digest_prev;
}

static inline void remove_record(struct origins *os, struct record *r)
{
	struct ring *ring = &os->rings[r->o.ring];

	unlink_buf(os, r, (uint32_t)(r - os->records));
	unlink_digest(os, r);
	r->len = 0;
	/* From the start again when all are back, for those records are still in the cache. */
	if (--ring->n == 0)
		ring->next = 0;
}

static inline struct record *find_buf(struct origins *os, uint32_t buf)
{
	uint32_t i = *buf_chain(os, buf);

	while (i != NONE && os->records[i].buf != buf)
		i = os->records[i].buf_next;
	return i == NONE ? NULL : &os->records[i];
}

static struct record *find_digest(struct origins *os, uint64_t digest, uint32_t len)
{
	uint32_t i = digest_chain(os, digest)->first;

	for (uint32_t n = 0; i != NONE && n < WALK_MAX; n++) {
		struct record *r = &os->records[i];

		if (r->digest == digest && r->len == len)
			return r;
		i = r->digest_next;
	}
	return NULL;
}

/* ---- digest ---- */

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/*
 * Of the length and the first bytes; never 0. The products do not wait for each other, and each has
 * a key of its own: else two blocks that change places would make no difference.
 */
static uint64_t digest_of(const struct origins *os, const struct frame *f)
{
	const uint64_t *k = os->key.k;
	const uint32_t size = min_of(f->len, DIGEST_SIZE);
	uint64_t tail[2] = {0}, a = k[2], b = k[1], sum = f->len;
	uint32_t at = 0;

	for (; at + 16 <= size; at += 16) {
		sum += fdb_fold_(a ^ load64(f->data + at), b ^ load64(f->data + at + 8));
		a += k[3];
		b -= k[0];
	}
	if (at < size && size >= 16)
		memcpy(tail, f->data + size - 16, 16); /* some of it again: no harm */
	else
		memcpy(tail, f->data + at, size - at);
	sum += fdb_fold_(a ^ tail[0], b ^ tail[1]);
	return fdb_fold_(sum ^ k[0], k[3]) | 1;
}

/* ---- addresses ---- */

static inline uint16_t first_vid(const struct frame *f)
{
	return f->n_tags ? frame_be16(f->data + FRAME_HEADER_SIZE) & 0xfff : 0;
}

static inline uint16_t source_time(uint64_t now_ns)
{
	return (uint16_t)(now_ns >> 32);
}

static inline struct source *source_set(struct origins *os, uint64_t key)
{
	uint32_t h = (uint32_t)(fdb_fold_(key ^ os->key.k[2], os->key.k[3]) >> 32);

	return &os->sources[(h & os->set_mask) * WAYS];
}

static inline uint64_t source_key(uint64_t mac, uint16_t vid)
{
	return mac << 12 | vid;
}

/* A new address takes the place of the one that was not seen for longest; a free one is oldest. */
static _cold_ struct source *oldest_source(struct source *s, uint16_t now)
{
	struct source *r = s;

	for (uint32_t i = 1; i < WAYS && r->key; i++) {
		if (!s[i].key || (uint16_t)(now - s[i].seen) > (uint16_t)(now - r->seen))
			r = &s[i];
	}
	return r;
}

static inline void note_source(struct origins *os, const struct frame *f, const struct origin *o,
			       uint16_t vid)
{
	const uint64_t key = source_key(f->src, vid);
	const uint16_t now = source_time(o->time_ns);
	struct source *s = source_set(os, key), *r;

	/* Computed, not branched to: which one it is cannot be predicted. */
	r = s + (s[1].key == key) + (s[2].key == key) * 2 + (s[3].key == key) * 3;
	if (likely(r->key == key && r->seen == now && r->port == o->port &&
		   r->generation == o->generation))
		return; /* the cache line stays clean */
	if (r->key != key)
		r = oldest_source(s, now);
	*r = (struct source){key, o->generation, o->port, now};
}

static bool find_source(struct origins *os, const struct frame *f, uint64_t now_ns,
			struct origin *ret)
{
	const uint64_t key = source_key(f->src, first_vid(f));
	const struct source *s = source_set(os, key);

	for (uint32_t i = 0; i < WAYS; i++) {
		if (s[i].key != key || key == 0)
			continue;
		if ((uint16_t)(source_time(now_ns) - s[i].seen) > os->source_age)
			return false;
		ret->port = s[i].port;
		ret->generation = s[i].generation;
		return true;
	}
	return false;
}

/* ---- lending and matching ---- */

void origins_lend(struct origins *os, const struct frame *f, const struct origin *o)
{
	struct ring *ring = &os->rings[o->ring];
	uint32_t i = o->ring * os->n_records + ring->next;
	struct record *r = &os->records[i], *old = find_buf(os, f->buf);
	const uint16_t vid = first_vid(f);

	assert(o->ring < os->n_rings && f->buf != 0 && f->len != 0);
	if (unlikely(old)) /* the caller missed a release: the buffer means the new frame */
		unlink_buf(os, old, (uint32_t)(old - os->records));
	if (unlikely(r->len)) {
		remove_record(os, r);
		os->stats.n_evicted++;
	}
	ring->next = (i + 1) & (os->n_records - 1);
	ring->n++;
	prefetch(r + 1);
	r->buf = f->buf;
	r->len = f->len;
	r->digest = os->quiet < QUIET ? digest_of(os, f) : 0;
	link_buf(os, r, i);
	if (r->digest)
		link_digest(os, r, i);
	note_source(os, f, o, vid);
	os->stats.n_lent++;
	/* Last, because it reads in large pieces what was just written in small ones. */
	r->o = *o;
	r->o.vid = vid;
}

void origins_release(struct origins *os, uint32_t buf)
{
	struct record *r = find_buf(os, buf);

	if (!r)
		return;
	unlink_buf(os, r, (uint32_t)(r - os->records));
	if (!r->digest) /* nothing finds it any more */
		remove_record(os, r);
}

void origins_prefetch(const struct origins *os, uint32_t buf)
{
	prefetch(&os->by_buf[buf & os->hash_mask]);
}

/* The origin of a record, which is consumed. */
static void consume(struct origins *os, struct record *r, enum origin_how how, struct origin *ret)
{
	*ret = r->o;
	ret->how = (uint8_t)how;
	os->stats.n_stale += (r->o.flags & ORIGIN_STALE) != 0;
	remove_record(os, r);
}

/* Without the buffer: by what the frame says. */
static void match_bytes(struct origins *os, const struct frame *frame, uint64_t now_ns,
			struct origin *ret)
{
	struct record *r = find_digest(os, digest_of(os, frame), frame->len);
	struct frame f;

	if (likely(r)) {
		consume(os, r, ORIGIN_DIGEST, ret);
		return;
	}
	memset(ret, 0, sizeof(*ret));
	ret->how = ORIGIN_UNKNOWN;
	f = *frame;
	if (frame_parse(&f) && find_source(os, &f, now_ns, ret))
		ret->how = ORIGIN_SOURCE;
}

void origins_match(struct origins *os, const struct frame *f, uint64_t now_ns, struct origin *ret)
{
	struct record *r = find_buf(os, f->buf);

	if (likely(r)) {
		consume(os, r, ORIGIN_BUFFER, ret);
		os->quiet += os->quiet < QUIET;
	} else {
		os->quiet = 0;
		match_bytes(os, f, now_ns, ret);
	}
	os->stats.n_by[ret->how]++;
}

bool origins_withdraw(struct origins *os, uint32_t buf, struct origin *ret)
{
	struct record *r = find_buf(os, buf);

	if (!r)
		return false;
	consume(os, r, ORIGIN_BUFFER, ret);
	return true;
}

void origins_revoke(struct origins *os, uint32_t ring)
{
	struct record *r = &os->records[ring * os->n_records];

	for (uint32_t i = 0; i < os->n_records; i++) {
		if (r[i].len)
			r[i].o.flags |= ORIGIN_STALE;
	}
}

void origins_forget(struct origins *os)
{
	clear_records(os);
	os->quiet = 0;
}

void origins_stats(const struct origins *os, struct origins_stats *ret)
{
	*ret = os->stats;
	ret->copies = os->quiet < QUIET;
}
