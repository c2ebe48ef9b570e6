/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The forwarding database (IEEE 802.1Q-2018, 8.8; br_fdb.c of Linux for what users expect).
 *
 * Theory of operation
 *
 * One array of 64-byte buckets of four 16-byte slots, a bucket a cache line. The hash of {MAC,
 * VLAN} names a home bucket; an entry that finds it full goes to the first bucket after it that has
 * room, at most FDB_REACH - 1 further. An entry never moves in memory, so a dump needs only a
 * position. There is no wrap: FDB_REACH - 1 buckets more than a hash can name lie at the end.
 *
 * When is a look-up over? Each bucket counts the entries that passed it on their way (`passed`),
 * each entry knows how far it is from home (`dist`), so taking one out can undo its counts without
 * hashing. Invariants:
 *
 *  1. An entry with home h and distance d is in bucket h + d, d < FDB_REACH.
 *  2. passed(b) = number of entries with home <= b and place > b. 0 in the last bucket. At most
 *     4 * (FDB_REACH - 1) = 124, so a byte holds it.
 *  3. Hence: a key that is not in its home nor in a bucket reached over passed > 0 is not there.
 *  4. n_used <= capacity, and 15/8 slots for each entry of the capacity: a load of 0.53 at most.
 *
 * At that load 95 % of the entries are at home; in 1,000 full tables of 65,536 with random keys
 * none was further than 14 buckets, and two more make it ten times less likely. FDB_REACH is out of
 * reach unless somebody knows the secret; then the address is not learned (FDB_FULL), nothing else
 * suffers.
 *
 * Why linear and not cuckoo: the next line is on the same page, nothing is relocated, and misses
 * (unknown addresses) read 1.1 lines, not two.
 *
 * Hash. Senders choose addresses, but see neither the secret nor any output. Two rounds of multiply
 * and fold (64 x 64 -> 128 bits, halves xored) with four secret words. Measured (bench_fdb, AMD
 * EPYC of family 25, ns per hash in a batch / each waiting for the last): this 1.3 / 3.6,
 * SipHash-1-3 7.2 / 9.6. A frame needs two hashes and has about 30 ns, so SipHash would take half
 * of it. What could be gained by finding colliding addresses through timing? One round alone would
 * be nearly linear in the differences of inputs; after two, one collision does not give the next.
 * And the gain is bounded: reads of FDB_REACH lines, and addresses with a home there that are
 * flooded, not learned.
 *
 * Age. Entries carry the second in which they were last seen; what is too old is not found, whether
 * it was swept or not. Sweeping only makes room and tells. A refresh writes once a second.
 *
 * Limits and fairness. `most` is a tournament over the learned counts of all ports: its root is the
 * port that has most, kept up in at most ten steps. When the table is full, a hand goes round the
 * occupied buckets (a bit each tells which); it looks at about VICTIM_CHOICE entries of the port
 * that has to give one up and takes the oldest. If the newcomer's port is itself (one of) the
 * biggest, it may replace only its own entries, and only those not seen in this second; after a
 * search in vain there is no other for that port in that second. A flooded frame costs 10 to 50 ns
 * while nothing is replaced, 25 to 150 ns else: the tournament and at most VICTIM_LOOK buckets.
 *
 *  5. A port never loses an entry to a port that has as many, or one fewer.
 *  6. root(most) is a port with the highest learned count.
 *
 * Against Linux: a static entry there moves to another port unless it is sticky too; here it stays.
 * A user's dynamic entry ages and moves, and does not count as learned, as there.
 *
 * Flushing reads the occupied buckets: 5 to 10 ms for a million entries, 0.1 ms for 8,192. The
 * counts per port make it stop after the port's last entry and cost nothing for ports without
 * entries. That is too long for a spanning tree that flushes many ports at once while frames wait.
 * So fdb_flush_port() only gives the port its next generation, if there is much to read: entries
 * carry the generation of their port, and with an old one they are as good as aged. Six bits of it
 * fit beside the port's number; a look-up pays 0.5 ns for it, 3.4 and not 2.9 (bench_fdb). So
 *
 *  7. a port gets at most GENERATIONS - 1 new generations (bumps) while an entry of an old one may
 *     be in the table. Rounds of the sweep tell: old before a round, gone after it.
 *
 * An entry that does not age keeps its generation, whatever it is.
 */
#include "core/fdb.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define N_HOME_MIN    64u /* small tables: keeps luck out of it */
#define VICTIM_LOOK   256u
#define VICTIM_CHOICE 8u
#define GENERATIONS   (1u << (16 - FDB_PORT_BITS_))
#define FLUSH_FEW     1024u /* entries in a table that is simply read: 20 us */

struct fdb {
	struct fdb_hot hot;
	uint64_t *occupied; /* bit b: bucket b holds an entry; lies behind the buckets */

	uint32_t n_buckets; /* n_home + FDB_REACH - 1 */
	uint32_t capacity;
	uint32_t max_learned; /* in force: 1 to capacity */
	uint32_t ageing_s;
	uint32_t n_used;    /* slots in use */
	uint32_t n_learned; /* of them, counted by the limits */
	uint32_t sweep_at;  /* bucket */
	uint32_t hand;      /* bucket: where the search for a victim goes on */
	void (*gone)(void *ctx, const struct fdb_entry *e); /* may be NULL */
	void *gone_ctx;
	uint64_t n_new, n_moved, n_aged, n_flushed, n_full, n_evicted;

	uint32_t port_learned[FDB_PORTS];
	uint32_t port_used[FDB_PORTS];
	uint32_t port_limit[FDB_PORTS]; /* UINT32_MAX = none */
	/* Second of the last search in vain for an entry of the port to replace, plus 1. */
	uint32_t port_vain_s[FDB_PORTS];
	/* New generations in this round of the sweep, and in the one before. */
	uint8_t port_bumps[FDB_PORTS], port_old_bumps[FDB_PORTS];
	uint32_t n_bumps, n_old_bumps; /* of all ports */
	/* Winner of each match; [1] is the root, leaf p would be [FDB_PORTS + p]. */
	uint16_t most[FDB_PORTS];
};

static_assert(sizeof(struct fdb_slot) == 16, "16 bytes an entry");
static_assert(sizeof(struct fdb_bucket) == 64, "a bucket is a cache line");
static_assert(FDB_SLOTS * (FDB_REACH - 1) <= UINT8_MAX, "passed fits its field");
static_assert(FDB_KIND_N <= 4, "kind fits its bits");

static uint16_t port_of(const struct fdb_slot *s)
{
	return (uint16_t)FDB_PORT_(s->place);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* Four words from 16 random bytes; all that matters is that they cannot be foreseen. */
static void make_secret(uint64_t secret[4], const uint8_t key[16])
{
	uint64_t a, b;

	memcpy(&a, key, 8);
	memcpy(&b, key + 8, 8);
	for (uint32_t i = 0; i < 4; i++)
		secret[i] = mix(mix(a + (i + 1) * 0x9e3779b97f4a7c15ULL) ^ b);
	/* Factors are odd, thus never 0. */
	secret[1] |= 1;
	secret[3] |= 1;
}

/* The port of the two that has more learned entries. */
static uint16_t match(const struct fdb *f, uint32_t node)
{
	uint32_t l = 2 * node, r = l + 1;
	uint16_t pl = l < FDB_PORTS ? f->most[l] : (uint16_t)(l - FDB_PORTS);
	uint16_t pr = r < FDB_PORTS ? f->most[r] : (uint16_t)(r - FDB_PORTS);

	return f->port_learned[pr] > f->port_learned[pl] ? pr : pl;
}

static void replay_all(struct fdb *f)
{
	for (uint32_t node = FDB_PORTS - 1; node > 0; node--)
		f->most[node] = match(f, node);
}

static void learned_inc(struct fdb *f, uint16_t port)
{
	uint32_t n = ++f->port_learned[port];

	f->n_learned++;
	if (f->most[1] == port)
		return;
	for (uint32_t node = (FDB_PORTS + port) / 2; node > 0; node /= 2) {
		if (f->most[node] == port)
			continue;
		if (f->port_learned[f->most[node]] >= n)
			break;
		f->most[node] = port;
	}
}

/* Without the tournament: for mass changes, which replay it as a whole. */
static void learned_dec_only(struct fdb *f, uint16_t port)
{
	f->port_learned[port]--;
	f->n_learned--;
}

static void learned_dec(struct fdb *f, uint16_t port)
{
	learned_dec_only(f, port);
	for (uint32_t node = (FDB_PORTS + port) / 2; node > 0 && f->most[node] == port; node /= 2)
		f->most[node] = match(f, node);
}

/* Counted by the limits. */
static bool is_learned(uint64_t word)
{
	return fdb_ages_(word) && !(word & FDB_USER_);
}

static struct fdb_entry entry_of(const struct fdb *f, const struct fdb_slot *s)
{
	return (struct fdb_entry){
		.mac = s->word >> FDB_MAC_SHIFT_ & 0xffffffffffffULL,
		.vid = (uint16_t)(s->word >> FDB_VID_SHIFT_),
		.port = port_of(s),
		.kind = (uint8_t)fdb_kind_(s->word),
		.added_by_user = s->word & FDB_USER_,
		.age_s = f->hot.now_s - s->seen_s,
	};
}

static uint64_t word_of(uint64_t key, enum fdb_kind kind, bool by_user)
{
	return key | (by_user ? FDB_USER_ : 0) | (uint64_t)kind;
}

/* The first bucket from b on that holds an entry; n_buckets if there is none. */
static uint32_t next_occupied(const struct fdb *f, uint32_t b)
{
	uint32_t n_words = (f->n_buckets + 63) / 64, w = b / 64;
	uint64_t bits;

	if (b >= f->n_buckets)
		return f->n_buckets;
	bits = f->occupied[w] >> (b % 64) << (b % 64);
	while (!bits) {
		if (++w == n_words)
			return f->n_buckets;
		bits = f->occupied[w];
	}
	return w * 64 + (uint32_t)__builtin_ctzll(bits);
}

static bool is_empty(const struct fdb_bucket *b)
{
	return !(b->slots[0].word | b->slots[1].word | b->slots[2].word | b->slots[3].word);
}

/* Takes a slot out of use; the counts of learned entries are the caller's. */
static void vacate(struct fdb *f, struct fdb_slot *s)
{
	uint32_t no = (uint32_t)(s - f->hot.buckets->slots) / FDB_SLOTS;
	struct fdb_bucket *b = &f->hot.buckets[no];

	if (f->gone) {
		struct fdb_entry e = entry_of(f, s);

		f->gone(f->gone_ctx, &e);
	}
	for (uint32_t d = 1; d <= s->dist; d++)
		b[-(int)d].slots[0].passed--;
	s->word = 0;
	if (is_empty(b))
		f->occupied[no / 64] &= ~(1ULL << (no % 64));
	f->n_used--;
	f->port_used[port_of(s)]--;
}

static void take_out(struct fdb *f, struct fdb_slot *s)
{
	if (is_learned(s->word))
		learned_dec(f, port_of(s));
	vacate(f, s);
}

static struct fdb_slot *free_slot(struct fdb_bucket *b)
{
	for (uint32_t i = 0; i < FDB_SLOTS; i++)
		if (!b->slots[i].word)
			return &b->slots[i];
	return NULL;
}

/* Puts a new entry in. False when all buckets in reach are full. */
static bool put_in(struct fdb *f, uint64_t word, uint32_t hash, uint16_t port)
{
	struct fdb_bucket *b = fdb_home_(&f->hot, hash);
	uint32_t no = (uint32_t)(b - f->hot.buckets);

	for (uint32_t dist = 0; dist < FDB_REACH; dist++) {
		struct fdb_slot *s = free_slot(&b[dist]);

		if (!s)
			continue;
		s->word = word;
		s->seen_s = f->hot.now_s;
		s->place = f->hot.places[port];
		s->dist = (uint8_t)dist;
		for (uint32_t d = 0; d < dist; d++)
			b[d].slots[0].passed++;
		no += dist;
		f->occupied[no / 64] |= 1ULL << (no % 64);
		f->n_used++;
		f->port_used[port]++;
		if (is_learned(word))
			learned_inc(f, port);
		return true;
	}
	return false;
}

/* An entry that was not found any longer is about to go: why was that? */
static void count_expired(struct fdb *f, const struct fdb_slot *s)
{
	*(f->hot.places[port_of(s)] != s->place ? &f->n_flushed : &f->n_aged) += 1;
}

/* The live slot of a key. An entry that is too old goes on the way. */
static struct fdb_slot *find_live(struct fdb *f, uint64_t key, uint32_t hash)
{
	struct fdb_slot *s = fdb_find_(&f->hot, key, hash);

	if (!s || !fdb_expired_(&f->hot, s))
		return s;
	count_expired(f, s);
	take_out(f, s);
	return NULL;
}

/* Who has to make way. */
struct search {
	uint32_t n_learned; /* entries of ports that have so many, */
	uint16_t port;      /* or, if that is 0, of this port, */
	uint32_t look;      /* among so many buckets */
};

static bool is_candidate(const struct fdb *f, const struct fdb_slot *s, const struct search *q)
{
	return q->n_learned ? f->port_learned[port_of(s)] == q->n_learned : port_of(s) == q->port;
}

/*
 * The oldest of a few entries that have to make way, NULL if none was met or all were seen in
 * this second and belong to the newcomer's own port. An aged entry is taken at once. The hand
 * goes round once at most.
 */
static struct fdb_slot *find_victim(struct fdb *f, const struct search *q)
{
	struct fdb_slot *oldest = NULL;
	uint32_t min_age = q->n_learned ? 0 : 1, n = 0, left = f->n_buckets;

	for (uint32_t i = 0; i < q->look && n < VICTIM_CHOICE; i++) {
		uint32_t b = next_occupied(f, f->hand);

		if (b == f->n_buckets)
			b += next_occupied(f, 0);
		if (b - f->hand >= left)
			break;
		left -= b - f->hand + 1;
		b %= f->n_buckets;
		f->hand = b + 1;
		for (uint32_t k = 0; k < FDB_SLOTS; k++) {
			struct fdb_slot *s = &f->hot.buckets[b].slots[k];

			if (!s->word || !is_learned(s->word))
				continue;
			if (fdb_expired_(&f->hot, s))
				return s;
			if (!is_candidate(f, s, q))
				continue;
			n++;
			if (f->hot.now_s - s->seen_s >= min_age) {
				min_age = f->hot.now_s - s->seen_s + 1;
				oldest = s;
			}
		}
	}
	return oldest;
}

static bool make_room(struct fdb *f, const struct search *q)
{
	struct fdb_slot *s = find_victim(f, q);

	if (!s)
		return false;
	if (fdb_expired_(&f->hot, s))
		count_expired(f, s);
	else
		f->n_evicted++;
	take_out(f, s);
	return true;
}

static bool is_full(const struct fdb *f)
{
	return f->n_learned >= f->max_learned || f->n_used >= f->capacity;
}

static bool make_room_for(struct fdb *f, uint16_t port)
{
	uint32_t top = f->port_learned[f->most[1]];
	struct search q = {.port = port, .look = VICTIM_LOOK};

	if (top >= f->port_learned[port] + 2) {
		q.n_learned = top;
	} else if (f->port_vain_s[port] == f->hot.now_s + 1) {
		return false;
	}
	if (make_room(f, &q))
		return !is_full(f);
	if (!q.n_learned)
		f->port_vain_s[port] = f->hot.now_s + 1;
	return false;
}

static enum fdb_learn_result learn_new(struct fdb *f, uint64_t key, uint32_t hash, uint16_t port,
				       bool sticky)
{
	uint64_t word = word_of(key, sticky ? FDB_STICKY : FDB_DYNAMIC, false);

	if (f->port_learned[port] >= f->port_limit[port] ||
	    (is_full(f) && !make_room_for(f, port)) || !put_in(f, word, hash, port)) {
		f->n_full++;
		return FDB_FULL;
	}
	f->n_new++;
	return FDB_NEW;
}

static enum fdb_learn_result move(struct fdb *f, struct fdb_slot *s, uint16_t port, bool sticky)
{
	if (is_learned(s->word)) {
		if (f->port_learned[port] >= f->port_limit[port]) {
			f->n_full++;
			return FDB_FULL;
		}
		learned_dec(f, port_of(s));
		learned_inc(f, port);
		if (sticky)
			s->word = word_of(s->word & ~(FDB_KEY_UNIT_ - 1ULL), FDB_STICKY, false);
	}
	f->port_used[port_of(s)]--;
	f->port_used[port]++;
	s->place = f->hot.places[port];
	s->seen_s = f->hot.now_s;
	f->n_moved++;
	return FDB_MOVED;
}

/* fdb_learn() when there is something to do, or an unusual entry. */
enum fdb_learn_result fdb_learn_slow_(struct fdb *f, uint64_t mac, uint16_t vid, uint32_t hash,
				      uint16_t port, bool sticky, uint16_t *ret_old_port)
{
	uint64_t key = fdb_key_(mac, vid);
	enum fdb_learn_result r;
	enum fdb_kind local;
	struct fdb_slot *s;
	uint16_t old_port;

	assert(port < FDB_PORTS);
	if (!f->hot.expire_s)
		return FDB_DISABLED;
	s = find_live(f, key, hash);
	if (!s && vid && fdb_lookup_local_(f, mac, &local) >= 0)
		return FDB_KEPT;
	if (!s)
		return learn_new(f, key, hash, port, sticky);
	if (fdb_kind_(s->word) == FDB_LOCAL)
		return FDB_KEPT;
	if (port_of(s) == port) {
		if (sticky && is_learned(s->word))
			s->word = word_of(key, FDB_STICKY, false);
		s->seen_s = f->hot.now_s;
		return FDB_KNOWN;
	}
	if (fdb_kind_(s->word) != FDB_DYNAMIC)
		return FDB_KEPT;
	old_port = port_of(s);
	r = move(f, s, port, sticky);
	if (r == FDB_MOVED)
		*ret_old_port = old_port;
	return r;
}

/* As learn_new(): a full table has room if somebody would have to make way. */
static bool has_room_for(const struct fdb *f, uint16_t port)
{
	if (f->port_learned[port] >= f->port_limit[port])
		return false;
	return !is_full(f) || f->port_learned[f->most[1]] >= f->port_learned[port] + 2 ||
	       (f->port_learned[port] > 0 && f->port_vain_s[port] != f->hot.now_s + 1);
}

enum fdb_learn_result fdb_would_learn(const struct fdb *f, uint64_t mac, uint16_t vid,
				      uint16_t port, uint16_t *ret_old_port)
{
	const struct fdb_slot *s;
	enum fdb_kind local;

	if (!f->hot.expire_s)
		return FDB_DISABLED;
	s = fdb_find_(&f->hot, fdb_key_(mac, vid), fdb_hash(f, mac, vid));
	if (s && fdb_expired_(&f->hot, s))
		s = NULL;
	if (!s && vid && fdb_lookup_local_(f, mac, &local) >= 0)
		return FDB_KEPT;
	if (!s)
		return has_room_for(f, port) ? FDB_NEW : FDB_FULL;
	if (fdb_kind_(s->word) != FDB_LOCAL && port_of(s) == port)
		return FDB_KNOWN;
	if (fdb_kind_(s->word) != FDB_DYNAMIC)
		return FDB_KEPT;
	if (f->port_learned[port] >= f->port_limit[port])
		return FDB_FULL;
	*ret_old_port = port_of(s);
	return FDB_MOVED;
}

bool fdb_restore(struct fdb *f, uint64_t mac, uint16_t vid, uint16_t port, uint32_t age_s)
{
	const uint64_t key = fdb_key_(mac, vid);
	const uint32_t hash = fdb_hash(f, mac, vid);

	assert(port < FDB_PORTS);
	if (age_s >= f->hot.expire_s || find_live(f, key, hash) || is_full(f) ||
	    f->port_learned[port] >= f->port_limit[port] ||
	    !put_in(f, word_of(key, FDB_DYNAMIC, false), hash, port))
		return false;
	fdb_find_(&f->hot, key, hash)->seen_s = f->hot.now_s - age_s;
	return true;
}

/* The other look of fdb_lookup(): an address that is ours is in VLAN 0. */
int fdb_lookup_local_(const struct fdb *f, uint64_t mac, enum fdb_kind *ret_kind)
{
	const struct fdb_slot *s = fdb_find_(&f->hot, fdb_key_(mac, 0), fdb_hash(f, mac, 0));

	if (!s || fdb_kind_(s->word) != FDB_LOCAL)
		return -1;
	*ret_kind = FDB_LOCAL;
	return port_of(s);
}

/* Buckets and their bits, in whole cache lines. */
static size_t memory_of(uint32_t n_buckets)
{
	return ((size_t)n_buckets + (n_buckets + 511) / 512) * sizeof(struct fdb_bucket);
}

struct fdb *fdb_new(uint32_t capacity, const uint8_t key[16])
{
	uint64_t n_home = ((uint64_t)capacity * 15 / 8 + FDB_SLOTS - 1) / FDB_SLOTS;
	struct fdb *f;
	size_t size;

	if (capacity == 0 || capacity > FDB_CAPACITY_MAX)
		return NULL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->hot.n_home = (uint32_t)max_of(n_home, N_HOME_MIN);
	f->n_buckets = f->hot.n_home + FDB_REACH - 1;
	size = memory_of(f->n_buckets);
	f->hot.buckets = aligned_alloc(sizeof(struct fdb_bucket), size);
	if (!f->hot.buckets)
		return fdb_free(f);
	memset(f->hot.buckets, 0, size);
	f->occupied = (uint64_t *)&f->hot.buckets[f->n_buckets];
	make_secret(f->hot.secret, key);
	for (uint32_t port = 0; port < FDB_PORTS; port++)
		f->hot.places[port] = (uint16_t)port;
	f->capacity = f->max_learned = capacity;
	memset(f->port_limit, 0xff, sizeof(f->port_limit));
	replay_all(f);
	fdb_set_ageing(f, FDB_AGEING_DEFAULT_S);
	return f;
}

struct fdb *fdb_free(struct fdb *f)
{
	if (f)
		free(f->hot.buckets);
	free(f);
	return NULL;
}

bool fdb_get(const struct fdb *f, uint64_t mac, uint16_t vid, struct fdb_entry *ret)
{
	const struct fdb_slot *s = fdb_find_(&f->hot, fdb_key_(mac, vid), fdb_hash(f, mac, vid));

	if (!s || fdb_expired_(&f->hot, s))
		return false;
	*ret = entry_of(f, s);
	return true;
}

static void change(struct fdb *f, struct fdb_slot *s, uint16_t port, uint64_t word)
{
	if (is_learned(s->word))
		learned_dec(f, port_of(s));
	f->port_used[port_of(s)]--;
	f->port_used[port]++;
	s->word = word;
	s->place = f->hot.places[port];
	s->seen_s = f->hot.now_s;
}

int fdb_add(struct fdb *f, uint64_t mac, uint16_t vid, uint16_t port, enum fdb_kind kind,
	    bool replace)
{
	uint64_t key = fdb_key_(mac, vid), word = word_of(key, kind, kind != FDB_LOCAL);
	uint32_t hash = fdb_hash(f, mac, vid);
	struct fdb_slot *s;

	assert(port < FDB_PORTS);
	s = find_live(f, key, hash);
	if (s && !replace)
		return FDB_E_EXISTS;
	if (s) {
		change(f, s, port, word);
		return 0;
	}
	if (f->n_used >= f->capacity) {
		struct search q = {f->port_learned[f->most[1]], port, f->n_buckets};

		if (!f->n_learned || !make_room(f, &q))
			return FDB_E_FULL;
	}
	return put_in(f, word, hash, port) ? 0 : FDB_E_FULL;
}

int fdb_del(struct fdb *f, uint64_t mac, uint16_t vid, uint16_t port)
{
	struct fdb_slot *s = find_live(f, fdb_key_(mac, vid), fdb_hash(f, mac, vid));

	if (!s || (port && port_of(s) != port))
		return FDB_E_NOT_FOUND;
	take_out(f, s);
	return 0;
}

static bool flush_matches(const struct fdb_slot *s, const struct fdb_flush *what)
{
	const int vid = (int)(s->word >> FDB_VID_SHIFT_);

	return (what->port < 0 || port_of(s) == what->port) &&
	       (what->vid < 0 || (vid >= what->vid && vid <= max_of(what->vid, what->vid_last))) &&
	       (what->all_kinds || fdb_ages_(s->word));
}

/* Takes an entry out for good in the course of a flush; the tournament is not replayed. */
static bool flush_one(struct fdb *f, struct fdb_slot *s)
{
	bool live = !fdb_expired_(&f->hot, s);

	if (live)
		f->n_flushed++;
	else
		count_expired(f, s);
	if (is_learned(s->word))
		learned_dec_only(f, port_of(s));
	vacate(f, s);
	return live;
}

uint32_t fdb_flush(struct fdb *f, const struct fdb_flush *what)
{
	uint32_t n = 0, left = f->n_used;

	if (what->port >= (int)FDB_PORTS)
		return 0;
	if (what->port >= 0)
		left = f->port_used[what->port];
	for (uint32_t b = next_occupied(f, 0); left > 0; b = next_occupied(f, b + 1)) {
		for (uint32_t k = 0; k < FDB_SLOTS; k++) {
			struct fdb_slot *s = &f->hot.buckets[b].slots[k];

			if (!s->word || (what->port >= 0 && port_of(s) != what->port))
				continue;
			left--;
			if (flush_matches(s, what))
				n += flush_one(f, s);
		}
	}
	replay_all(f);
	return n;
}

void fdb_flush_port(struct fdb *f, uint16_t port)
{
	struct fdb_flush all = {.port = port, .vid = -1};

	assert(port < FDB_PORTS);
	if (f->port_used[port] == 0)
		return;
	/* Entries that nobody finds any longer would still count for a limit. */
	if (f->n_used <= FLUSH_FEW || f->port_limit[port] != UINT32_MAX ||
	    f->port_bumps[port] + f->port_old_bumps[port] == GENERATIONS - 1) {
		fdb_flush(f, &all);
		return;
	}
	f->hot.places[port] = (uint16_t)(f->hot.places[port] + FDB_PORTS);
	f->port_bumps[port]++;
	f->n_bumps++;
}

bool fdb_has_flushed(const struct fdb *f)
{
	return f->n_bumps + f->n_old_bumps > 0;
}

/* The sweep has been everywhere. */
static void end_round(struct fdb *f)
{
	if (!fdb_has_flushed(f))
		return;
	memcpy(f->port_old_bumps, f->port_bumps, sizeof(f->port_bumps));
	memset(f->port_bumps, 0, sizeof(f->port_bumps));
	f->n_old_bumps = f->n_bumps;
	f->n_bumps = 0;
}

void fdb_set_now(struct fdb *f, uint32_t now_s)
{
	f->hot.now_s = now_s;
}

void fdb_set_ageing(struct fdb *f, uint32_t ageing_s)
{
	f->ageing_s = ageing_s;
	/* An entry of exactly the ageing time is still good. */
	f->hot.expire_s = ageing_s == 0 || ageing_s == UINT32_MAX ? ageing_s : ageing_s + 1;
}

uint32_t fdb_ageing(const struct fdb *f)
{
	return f->ageing_s;
}

void fdb_on_gone(struct fdb *f, void (*gone)(void *ctx, const struct fdb_entry *e), void *ctx)
{
	f->gone = gone;
	f->gone_ctx = ctx;
}

static void sweep_bucket(struct fdb *f, struct fdb_bucket *b)
{
	for (struct fdb_slot *s = b->slots; s < b->slots + FDB_SLOTS; s++) {
		if (!s->word || !fdb_expired_(&f->hot, s))
			continue;
		count_expired(f, s);
		take_out(f, s);
	}
}

void fdb_sweep(struct fdb *f, uint32_t n_buckets)
{
	uint32_t left = min_of(n_buckets, f->n_buckets);

	while (left > 0) {
		uint32_t from = f->sweep_at, end = from + min_of(left, f->n_buckets - from);

		left -= end - from;
		f->sweep_at = end < f->n_buckets ? end : 0;
		for (uint32_t b = next_occupied(f, from); b < end; b = next_occupied(f, b + 1))
			sweep_bucket(f, &f->hot.buckets[b]);
		if (f->sweep_at == 0)
			end_round(f);
	}
}

uint32_t fdb_n_buckets(const struct fdb *f)
{
	return f->n_buckets;
}

void fdb_set_limit(struct fdb *f, uint32_t max_learned)
{
	f->max_learned = max_learned == 0 ? f->capacity : min_of(max_learned, f->capacity);
}

void fdb_set_port_limit(struct fdb *f, uint16_t port, uint32_t max_learned)
{
	assert(port < FDB_PORTS);
	f->port_limit[port] = max_learned == 0 ? UINT32_MAX : max_learned;
}

void fdb_stats(const struct fdb *f, struct fdb_stats *ret)
{
	*ret = (struct fdb_stats){
		.n_learned = f->n_learned,
		.n_fixed = f->n_used - f->n_learned,
		.max_learned = f->max_learned,
		.capacity = f->capacity,
		.n_new = f->n_new,
		.n_moved = f->n_moved,
		.n_aged = f->n_aged,
		.n_flushed = f->n_flushed,
		.n_full = f->n_full,
		.n_evicted = f->n_evicted,
		.memory = sizeof(*f) + memory_of(f->n_buckets),
	};
}

uint32_t fdb_port_learned(const struct fdb *f, uint16_t port)
{
	assert(port < FDB_PORTS);
	return f->port_learned[port];
}

uint32_t fdb_dump(const struct fdb *f, uint32_t *cursor, struct fdb_entry *ret, uint32_t max)
{
	uint32_t n = 0;

	while (n < max) {
		uint32_t b = next_occupied(f, *cursor / FDB_SLOTS);
		const struct fdb_slot *s;

		if (b >= f->n_buckets)
			break;
		*cursor = max_of(*cursor, b * FDB_SLOTS);
		s = &f->hot.buckets->slots[(*cursor)++];
		if (s->word && !fdb_expired_(&f->hot, s))
			ret[n++] = entry_of(f, s);
	}
	return n;
}
