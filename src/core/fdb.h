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
#define FDB_PORTS            1024u      /* port numbers are below: PORTS_MAX of core/batch.h */
#define FDB_CAPACITY_MAX     (1u << 26) /* fdb_new() gives no more */

enum fdb_kind {
	FDB_DYNAMIC, /* learned; ages; moves */
	FDB_STATIC,  /* added by a user; neither ages nor moves */
	FDB_STICKY,  /* learned (on a sticky port) or added; ages unless added; never moves */
	/*
	 * An address of the bridge or of one of its ports: deliver to the host. In VLAN 0 it holds
	 * in every VLAN that has no entry of its own for the address.
	 */
	FDB_LOCAL,
	FDB_KIND_N
};

/* Outcome of fdb_learn(). */
enum fdb_learn_result {
	FDB_KNOWN,    /* was there, on this port: refreshed */
	FDB_NEW,      /* entered */
	FDB_MOVED,    /* was on another port: moved; *ret_old_port says from where */
	FDB_KEPT,     /* static or sticky entry of another port, or local: left as it is */
	FDB_FULL,     /* table or a limit is full: not entered, not moved */
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
	uint16_t port; /* 0 for the bridge's own address */
	uint8_t kind;  /* enum fdb_kind */
	bool added_by_user;
	uint32_t age_s; /* since last seen as a source */
};

struct fdb;

/*
 * capacity: entries that must fit, and no more than that do (1 to FDB_CAPACITY_MAX); key: 16 random
 * bytes for the hash, because addresses are chosen by whoever sends frames. NULL when there is no
 * memory. Writes all of its memory, so that no frame pays for the first touch of a page.
 */
struct fdb *fdb_new(uint32_t capacity, const uint8_t key[16]);
struct fdb *fdb_free(struct fdb *fdb);

/* Hash of a key, for fdb_prefetch and the look-ups; compute once per address. */
static inline uint32_t fdb_hash(const struct fdb *fdb, uint64_t mac, uint16_t vid);
/* Starts loading the bucket of that hash. */
static inline void fdb_prefetch(const struct fdb *fdb, uint32_t hash);

/* Port number where mac is, and its kind; -1 if unknown, aged out or flushed. An address that is
 * not known in its VLAN may be local. */
static inline int fdb_lookup(const struct fdb *fdb, uint64_t mac, uint16_t vid, uint32_t hash,
			     enum fdb_kind *ret_kind);
/* Notes that mac was seen as a source on port. sticky: the port has the sticky flag. */
static inline enum fdb_learn_result fdb_learn(struct fdb *fdb, uint64_t mac, uint16_t vid,
					      uint32_t hash, uint16_t port, bool sticky,
					      uint16_t *ret_old_port);
/* What fdb_learn() would answer on a port that is not sticky, which is the same. */
enum fdb_learn_result fdb_would_learn(const struct fdb *fdb, uint64_t mac, uint16_t vid,
				      uint16_t port, uint16_t *ret_old_port);
/* fdb_lookup() of a whole entry. False if unknown. */
bool fdb_get(const struct fdb *fdb, uint64_t mac, uint16_t vid, struct fdb_entry *ret);

/*
 * Enters by command: an entry of a user, unless kind is FDB_LOCAL. No limit on learned entries
 * applies, and in a full table it takes the place of a learned one. 0, FDB_E_FULL or FDB_E_EXISTS
 * (with replace, the entry changes instead).
 */
int fdb_add(struct fdb *fdb, uint64_t mac, uint16_t vid, uint16_t port, enum fdb_kind kind,
	    bool replace);
/* Takes an entry of any kind out. port 0: whichever port. 0 or FDB_E_NOT_FOUND. */
int fdb_del(struct fdb *fdb, uint64_t mac, uint16_t vid, uint16_t port);

/*
 * What fdb_flush() takes out: -1 in port or vid matches all; what does not age (static, local,
 * sticky of a user) stays unless all_kinds. Returns the number of entries. Reads the table until
 * the last entry of the port is found: 5 to 10 ms for a million entries, nothing for a port
 * without entries.
 */
struct fdb_flush {
	int port;
	int vid;
	int vid_last; /* of a range that begins with vid; 0: vid alone */
	bool all_kinds;
};
uint32_t fdb_flush(struct fdb *fdb, const struct fdb_flush *what);

/*
 * What spanning tree and link changes need: forgets what ages on the port, at once and in constant
 * time. In a table of more than a thousand entries they are only not found any longer (nor dumped);
 * the sweep takes them out and tells, as it does with aged ones.
 */
void fdb_flush_port(struct fdb *fdb, uint16_t port);
/* Entries may be waiting for that: the next two rounds of the sweep had better be soon. */
bool fdb_has_flushed(const struct fdb *fdb);

/*
 * Time since an arbitrary start, in seconds; entries are stamped with it. Set once per round; may
 * wrap around, but never goes back.
 */
void fdb_set_now(struct fdb *fdb, uint32_t now_s);
/* 0 = learn nothing, and know nothing that ages. Older entries are not found, swept or not. */
void fdb_set_ageing(struct fdb *fdb, uint32_t ageing_s);
uint32_t fdb_ageing(const struct fdb *fdb);
/*
 * Looks at the next n_buckets buckets and frees aged entries. Called from the bridge's tick with a
 * share of the table, so that no round is long.
 */
void fdb_sweep(struct fdb *fdb, uint32_t n_buckets);
/*
 * gone() is called for each entry that leaves the table, just before it does, whatever the cause:
 * aged (found so by a sweep or on the way), deleted, flushed, or replaced by another. It may read
 * the table and not change it. NULL: nobody is told.
 */
void fdb_on_gone(struct fdb *fdb, void (*gone)(void *ctx, const struct fdb_entry *e), void *ctx);
/* Buckets in the table, for the caller of fdb_sweep(). */
uint32_t fdb_n_buckets(const struct fdb *fdb);

/*
 * Limits on learned entries: of the whole table (0 = capacity) and of one port (0 = none). Static,
 * local and user-added entries do not count (as fdb_max_learned of the Linux bridge); aged ones do
 * until they are swept. Lower limits take nothing out at once.
 *
 * Fairness: when the table is full, a new address takes the place of an aged entry; else of one of
 * the port that has most learned entries, if that is at least two more than its own port has; else
 * of an entry of its own port that was not seen in this second. So a port never loses an entry to
 * another that has as many. At its own limit a port gets no new address (FDB_FULL).
 */
void fdb_set_limit(struct fdb *fdb, uint32_t max_learned);
void fdb_set_port_limit(struct fdb *fdb, uint16_t port, uint32_t max_learned);

struct fdb_stats {
	uint32_t n_learned, n_fixed; /* entries now (aged ones too): counted by limits; others */
	uint32_t max_learned;        /* the limit in force */
	uint32_t capacity;
	/* since fdb_new(): learned as new, moved, aged out, flushed, refused, made way */
	uint64_t n_new, n_moved, n_aged, n_flushed, n_full, n_evicted;
	uint64_t memory; /* bytes */
};
void fdb_stats(const struct fdb *fdb, struct fdb_stats *ret);
uint32_t fdb_port_learned(const struct fdb *fdb, uint16_t port);

/*
 * Enters what an earlier table learned on the port, last seen age_s ago. False when the address is
 * in the table already, when it is too old, or when there is no room that nobody else has.
 */
bool fdb_restore(struct fdb *fdb, uint64_t mac, uint16_t vid, uint16_t port, uint32_t age_s);

/*
 * Iterates: *cursor starts at 0; fills at most max entries and returns how many; 0 = the end.
 * Entries that come or go meanwhile may be missed or seen; all others are seen exactly once.
 */
uint32_t fdb_dump(const struct fdb *fdb, uint32_t *cursor, struct fdb_entry *ret, uint32_t max);

#include "core/fdb_inline.h"
