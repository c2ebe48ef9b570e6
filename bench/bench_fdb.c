/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the FDB costs, in nanoseconds: one core, addresses in random order, batches of 64 that are
 * hashed and prefetched first, as the engine does. `bench_fdb --json` prints one JSON object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "core/fdb.h"

#define BATCH    64u
#define SEQ      (1u << 20) /* addresses in the order in which they are seen */
#define N_REPEAT 5u

static const uint8_t key[16] = "0123456789abcdef";
static const uint32_t sizes[] = {2, 8192, 1048576};
static uint64_t seq[SEQ];
static volatile uint64_t sink;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t rng_state = 42;

static uint64_t rng(void)
{
	uint64_t x = rng_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* Unicast, so the group bit is off. */
static uint64_t address(uint64_t i)
{
	return (0x020000000000ULL | (i * 0x9e3779b97f4a7c15ULL >> 24)) & ~0x010000000000ULL;
}

static uint16_t port_of(uint64_t mac)
{
	return (uint16_t)(1 + (mac & 7));
}

static void fill_seq(uint32_t n)
{
	for (uint32_t i = 0; i < SEQ; i++)
		seq[i] = n == SEQ ? i : rng() % n;
	for (uint32_t i = SEQ - 1; n == SEQ && i > 0; i--) {
		uint32_t j = (uint32_t)(rng() % (i + 1));
		uint64_t t = seq[i];

		seq[i] = seq[j];
		seq[j] = t;
	}
	for (uint32_t i = 0; i < SEQ; i++)
		seq[i] = address(seq[i]);
}

static void hash_batch(struct fdb *fdb, const uint64_t *macs, uint32_t hash[BATCH])
{
	for (uint32_t i = 0; i < BATCH; i++) {
		hash[i] = fdb_hash(fdb, macs[i], 0);
		fdb_prefetch(fdb, hash[i]);
	}
}

static void lookup_batch(struct fdb *fdb, const uint64_t *macs)
{
	uint32_t hash[BATCH];
	enum fdb_kind kind;
	uint64_t sum = 0;

	hash_batch(fdb, macs, hash);
	for (uint32_t i = 0; i < BATCH; i++)
		sum += (uint64_t)fdb_lookup(fdb, macs[i], 0, hash[i], &kind);
	sink = sum;
}

static void miss_batch(struct fdb *fdb, const uint64_t *macs)
{
	uint64_t other[BATCH];

	for (uint32_t i = 0; i < BATCH; i++)
		other[i] = macs[i] ^ 0x040000000000ULL;
	lookup_batch(fdb, other);
}

static void learn_batch(struct fdb *fdb, const uint64_t *macs)
{
	uint32_t hash[BATCH];
	uint16_t old;
	uint64_t sum = 0;

	hash_batch(fdb, macs, hash);
	for (uint32_t i = 0; i < BATCH; i++)
		sum += fdb_learn(fdb, macs[i], 0, hash[i], port_of(macs[i]), false, &old);
	sink = sum;
}

static void move_batch(struct fdb *fdb, const uint64_t *macs)
{
	static uint16_t turn;
	uint32_t hash[BATCH];
	uint16_t old;

	turn++;
	hash_batch(fdb, macs, hash);
	for (uint32_t i = 0; i < BATCH; i++)
		fdb_learn(fdb, macs[i], 0, hash[i], 10 + turn % 7, false, &old);
}

/* Both look-ups of a frame, as the engine does them. */
static void frame_batch(struct fdb *fdb, const uint64_t *macs)
{
	uint32_t src[BATCH], dst[BATCH];
	const uint64_t *to = macs == seq ? seq + SEQ - BATCH : macs - BATCH;
	enum fdb_kind kind;
	uint16_t old;
	uint64_t sum = 0;

	hash_batch(fdb, macs, src);
	hash_batch(fdb, to, dst);
	for (uint32_t i = 0; i < BATCH; i++) {
		sum += fdb_learn(fdb, macs[i], 0, src[i], port_of(macs[i]), false, &old);
		sum += (uint64_t)fdb_lookup(fdb, to[i], 0, dst[i], &kind);
	}
	sink = sum;
}

/* New addresses of one port into a table that is full: the attack. */
static void flood_batch(struct fdb *fdb, const uint64_t *macs)
{
	static uint64_t next = 1u << 28;
	uint64_t fresh[BATCH];
	uint32_t hash[BATCH];
	uint16_t old;

	(void)macs;
	for (uint32_t i = 0; i < BATCH; i++)
		fresh[i] = address(next++);
	hash_batch(fdb, fresh, hash);
	for (uint32_t i = 0; i < BATCH; i++)
		fdb_learn(fdb, fresh[i], 0, hash[i], 9, false, &old);
}

static void flood_old_batch(struct fdb *fdb, const uint64_t *macs)
{
	static uint32_t t = 1000;

	fdb_set_now(fdb, t++);
	flood_batch(fdb, macs);
}

static void __attribute__((noinline)) noop_batch(struct fdb *fdb, const uint64_t *macs)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < BATCH; i++)
		sum += macs[i];
	sink = sum;
}

/* Best of many short runs: others on the machine only ever make it slower. */
static double measure(struct fdb *fdb, void (*batch)(struct fdb *, const uint64_t *))
{
	double best = 1e9;

	for (uint32_t r = 0; r < N_REPEAT; r++) {
		uint64_t start = now_ns();

		for (uint32_t i = 0; i < SEQ; i += BATCH)
			batch(fdb, seq + i);
		best = min_of(best, (double)(now_ns() - start) / SEQ);
	}
	return best;
}

/* SipHash-1-3 of one word, the alternative that fdb.c speaks of. */
#define ROTL(x, n) ((x) << (n) | (x) >> (64 - (n)))
#define SIP_ROUND                                                                                  \
	(v0 += v1, v1 = ROTL(v1, 13) ^ v0, v0 = ROTL(v0, 32), v2 += v3, v3 = ROTL(v3, 16) ^ v2,    \
	 v0 += v3, v3 = ROTL(v3, 21) ^ v0, v2 += v1, v1 = ROTL(v1, 17) ^ v2, v2 = ROTL(v2, 32))

static uint64_t sip13(uint64_t m, uint64_t k0, uint64_t k1)
{
	uint64_t v0 = k0 ^ 0x736f6d6570736575ULL, v1 = k1 ^ 0x646f72616e646f6dULL;
	uint64_t v2 = k0 ^ 0x6c7967656e657261ULL, v3 = k1 ^ 0x7465646279746573ULL;
	const uint64_t len = 8ULL << 56;

	v3 ^= m;
	SIP_ROUND;
	v0 ^= m;
	v3 ^= len;
	SIP_ROUND;
	v0 ^= len;
	v2 ^= 0xff;
	SIP_ROUND;
	SIP_ROUND;
	SIP_ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

static uint64_t sip_k0 = 0x0706050403020100ULL, sip_k1 = 0x0f0e0d0c0b0a0908ULL;

static void sip_batch(struct fdb *fdb, const uint64_t *macs)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < BATCH; i++)
		sum += sip13(macs[i], sip_k0, sip_k1);
	sink = sum;
}

static void sip_chain_batch(struct fdb *fdb, const uint64_t *macs)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i < BATCH; i++)
		h = sip13(macs[i] ^ h, sip_k0, sip_k1);
	sink = h;
}

static void fold_batch(struct fdb *fdb, const uint64_t *macs)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < BATCH; i++)
		sum += fdb_hash(fdb, macs[i], 0);
	sink = sum;
}

static void fold_chain_batch(struct fdb *fdb, const uint64_t *macs)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i < BATCH; i++)
		h = fdb_hash(fdb, macs[i] ^ h, 0);
	sink = h;
}

static double fill(struct fdb *fdb, uint32_t n)
{
	uint64_t start = now_ns();
	uint16_t old;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t mac = address(i);

		fdb_learn(fdb, mac, 0, fdb_hash(fdb, mac, 0), port_of(mac), false, &old);
	}
	return (double)(now_ns() - start) / n;
}

static bool json;
static const char *comma = "";

static void put(const char *name, uint32_t n, double v)
{
	if (json)
		printf("%s\"%s_%u\": %.2f", comma, name, n, v);
	else
		printf("%-14s %8u  %8.2f\n", name, n, v);
	comma = ", ";
}

static void bench_size(uint32_t n)
{
	struct fdb *fdb = fdb_new(max_of(n, 65536u), key);
	const struct fdb_flush one = {.port = 3, .vid = -1}, all = {.port = -1, .vid = -1};
	uint64_t start;

	if (!fdb)
		abort();
	fill_seq(n);
	put("learn_new", n, fill(fdb, n));
	put("lookup", n, measure(fdb, lookup_batch));
	put("miss", n, measure(fdb, miss_batch));
	put("learn", n, measure(fdb, learn_batch));
	put("frame", n, measure(fdb, frame_batch));
	put("move", n, measure(fdb, move_batch));
	fdb_flush(fdb, &all);
	fill(fdb, n);
	fdb_set_limit(fdb, n);
	put("flood", n, measure(fdb, flood_batch));
	put("flood_replaces", n, measure(fdb, flood_old_batch));
	fdb_flush(fdb, &all);
	fill(fdb, n);
	start = now_ns();
	fdb_flush(fdb, &one);
	put("flush_port_us", n, (double)(now_ns() - start) / 1000);
	start = now_ns();
	fdb_sweep(fdb, UINT32_MAX);
	put("sweep_us", n, (double)(now_ns() - start) / 1000);
	start = now_ns();
	fdb_flush(fdb, &all);
	put("flush_all_us", n, (double)(now_ns() - start) / 1000);
	fdb_free(fdb);
}

int main(int argc, char **argv)
{
	struct fdb *fdb = fdb_new(1, key);

	json = argc > 1 && strcmp(argv[1], "--json") == 0;
	fill_seq(8192);
	printf(json ? "{\"fdb\": {" : "ns each unless named otherwise; batches of %u\n", BATCH);
	put("empty_loop", 0, measure(fdb, noop_batch));
	put("hash", 0, measure(fdb, fold_batch));
	put("hash_chained", 0, measure(fdb, fold_chain_batch));
	put("sip13", 0, measure(fdb, sip_batch));
	put("sip13_chained", 0, measure(fdb, sip_chain_batch));
	fdb_free(fdb);
	for (size_t i = 0; i < array_size(sizes); i++)
		bench_size(sizes[i]);
	printf(json ? "}}\n" : "");
	return 0;
}
