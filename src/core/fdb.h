/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The forwarding database: {MAC, VLAN id} -> port, as IEEE 802.1Q 8.8 and the Linux bridge have it.
 * Theory of operation: core/fdb.c.
 *
 * Owner and only user: the worker that runs the bridge. Fixed capacity; nothing is allocated after
 * fdb_new(). At most 32 bytes of memory an entry.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define FDB_AGEING_DEFAULT_S 300u

enum fdb_kind {
	FDB_DYNAMIC, /* learned; ages; moves */
	FDB_STATIC,  /* added by a user; neither ages nor moves */
	FDB_STICKY,  /* learned or added; ages unless added, never moves to another port */
	FDB_LOCAL,   /* an address of the bridge or of one of its ports: deliver to the host */
	FDB_KIND_N
};

/* Outcome of fdb_learn(). */
enum fdb_learn_result {
	FDB_KNOWN,    /* was there, on this port: refreshed */
	FDB_NEW,      /* entered */
	FDB_MOVED,    /* was on another port: moved; *ret_old_port says from where */
	FDB_KEPT,     /* static, sticky or local entry of another port: left as it is */
	FDB_FULL,     /* table or a limit is full: not entered */
	FDB_DISABLED, /* ageing time is 0: nothing is learned */
};

/* Positive outcomes of fdb_add() and fdb_del(). */
enum fdb_error {
	FDB_E_FULL = 1,
	FDB_E_EXISTS,
	FDB_E_NOT_FOUND,
};

/* One entry as callers see it. */
struct fdb_entry {
	uint64_t mac;
	uint16_t vid;
	uint16_t port;	   /* 0 for the bridge's own address */
	uint8_t kind;	   /* enum fdb_kind */
	bool added_by_user;
	uint32_t age_s;	   /* since last seen as a source */
};

struct fdb;

/*
 * capacity: entries that must fit (rounded up inside); key: 16 random bytes for the hash, because
 * addresses are chosen by whoever sends frames. NULL when there is no memory.
 */
struct fdb *fdb_new(uint32_t capacity, const uint8_t key[16]);
struct fdb *fdb_free(struct fdb *fdb);

/* Hash of a key, for fdb_prefetch and the look-ups; compute once per address. */
uint32_t fdb_hash(const struct fdb *fdb, uint64_t mac, uint16_t vid);
/* Starts loading the bucket of that hash. */
void fdb_prefetch(const struct fdb *fdb, uint32_t hash);

/* Port number where mac is, and its kind; -1 if unknown, aged out or flushed. */
int fdb_lookup(const struct fdb *fdb, uint64_t mac, uint16_t vid, uint32_t hash,
	       enum fdb_kind *ret_kind);
/* Notes that mac was seen as a source on port. sticky: the port has the sticky flag. */
enum fdb_learn_result fdb_learn(struct fdb *fdb, uint64_t mac, uint16_t vid, uint32_t hash,
				uint16_t port, bool sticky, uint16_t *ret_old_port);
/* fdb_lookup() of a whole entry. False if unknown. */
bool fdb_get(const struct fdb *fdb, uint64_t mac, uint16_t vid, struct fdb_entry *ret);

/* Enters by command. 0, FDB_E_FULL or FDB_E_EXISTS (with replace, the entry changes instead). */
int fdb_add(struct fdb *fdb, uint64_t mac, uint16_t vid, uint16_t port, enum fdb_kind kind,
	    bool replace);
/* Takes an entry of any kind out. port 0: whichever port. 0 or FDB_E_NOT_FOUND. */
int fdb_del(struct fdb *fdb, uint64_t mac, uint16_t vid, uint16_t port);

/* What fdb_flush() takes out: -1 in port or vid matches all; static and local entries stay
 * unless all_kinds. Returns the number of entries. */
struct fdb_flush {
	int port;
	int vid;
	bool all_kinds;
};
uint32_t fdb_flush(struct fdb *fdb, const struct fdb_flush *what);

/* Time since an arbitrary start, in seconds; entries are stamped with it. Set once per round. */
void fdb_set_now(struct fdb *fdb, uint32_t now_s);
/* 0 = learn nothing. Entries older than this are not found, whether swept or not. */
void fdb_set_ageing(struct fdb *fdb, uint32_t ageing_s);
uint32_t fdb_ageing(const struct fdb *fdb);
/*
 * Looks at the next n_buckets buckets and frees aged entries, calling gone() for each. Called from
 * the bridge's tick with a share of the table, so that no round is long.
 */
void fdb_sweep(struct fdb *fdb, uint32_t n_buckets,
	       void (*gone)(void *ctx, const struct fdb_entry *e), void *ctx);
/* Buckets in the table, for the caller of fdb_sweep(). */
uint32_t fdb_n_buckets(const struct fdb *fdb);

/*
 * Limits on learned entries: of the whole table (0 = capacity) and of one port (0 = none). Static,
 * local and user-added entries do not count (as fdb_max_learned of the Linux bridge). Fairness:
 * when the table is full, a new address may take the place of an older learned entry of the port
 * that has most, or of the same port, so one port cannot flush the others.
 */
void fdb_set_limit(struct fdb *fdb, uint32_t max_learned);
void fdb_set_port_limit(struct fdb *fdb, uint16_t port, uint32_t max_learned);

struct fdb_stats {
	uint32_t n_learned, n_fixed; /* entries now: counted by the limits; all others */
	uint32_t max_learned;	     /* the limit in force */
	uint32_t capacity;
	uint64_t n_new, n_moved, n_aged, n_flushed, n_full, n_evicted;
	uint64_t memory;	     /* bytes */
};
void fdb_stats(const struct fdb *fdb, struct fdb_stats *ret);
uint32_t fdb_port_learned(const struct fdb *fdb, uint16_t port);

/*
 * Iterates: *cursor starts at 0; fills at most max entries and returns how many; 0 = the end. Entries
 * that come or go meanwhile may be missed or seen; none is seen twice unless it was moved.
 */
uint32_t fdb_dump(const struct fdb *fdb, uint32_t *cursor, struct fdb_entry *ret, uint32_t max);
