/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where frames that a netmap program gives back come from. For each frame lent to an RX ring there
 * is a record; a frame that returns is matched to one
 *
 *  1. by its buffer, when the program swapped buffers;
 *  2. by length and a digest of its first 128 bytes, oldest first, when it copied;
 *  3. by its source address (and tag) alone: no record, but the port where that was seen last;
 *  4. not at all.
 *
 * A record is consumed by its match, so a buffer that the program uses again carries nothing.
 * Theory of operation: core/origin.c. One `struct origins` for the NIC rings of an endpoint's
 * bridge, one for its host rings. Owner: the worker of the bridge. Nothing is allocated after
 * origins_new().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/frame.h"

/* How an origin was found. The value goes into frame.origin. */
enum origin_how {
	ORIGIN_PORT,    /* not from a program at all */
	ORIGIN_BUFFER,  /* by its buffer */
	ORIGIN_DIGEST,  /* by length and first bytes */
	ORIGIN_SOURCE,  /* by its source address */
	ORIGIN_UNKNOWN, /* not found: the program made it */
	ORIGIN_N
};

enum origin_flags {
	ORIGIN_COPY = 1 << 0,      /* the frame itself went on */
	ORIGIN_HOST_ONLY = 1 << 1, /* mode `local`: ports have it already */
	ORIGIN_STALE = 1 << 2,     /* revoked: the frame was passed on meanwhile */
};

/* What is remembered of a frame. Zeros mean a frame of unknown origin. */
struct origin {
	uint64_t time_ns;    /* when it was received */
	uint32_t generation; /* of the port: struct bport */
	uint32_t flow_hash;  /* 0: was not asked for */
	uint32_t group;      /* core/regroup.h, 0: none */
	uint16_t segment;    /* of that group */
	uint16_t port;       /* number of the port; 0: unknown */
	uint16_t vid;        /* VLAN id of its first tag, 0: none */
	uint8_t flags;       /* enum origin_flags */
	uint8_t reserved;    /* destination 01:80:C2:00:00:0X: X + 1; else 0 */
	uint8_t ring;        /* the RX ring it was shown in */
	uint8_t how;         /* enum origin_how */
	uint8_t mirrored;    /* as in struct frame */
	uint8_t journey;     /* trace_ticket() */
};

struct origins;

struct origins_config {
	uint32_t n_rings;      /* 1 to RINGS_MAX */
	uint32_t n_records;    /* per ring, a power of two: what a program may hold of it */
	uint32_t n_sources;    /* addresses that are remembered, a power of two from 4 on */
	uint32_t source_age_s; /* and for how long */
	uint8_t hash_key[16];  /* random */
};

struct origins_stats {
	uint64_t n_lent, n_by[ORIGIN_N]; /* returned frames, by method */
	uint64_t n_stale;                /* of them revoked before */
	uint64_t n_evicted;              /* records that made way for newer ones */
	bool copies; /* digests are made: the program copies, or did not show yet what it does */
};

/* NULL when there is no memory. */
struct origins *origins_new(const struct origins_config *cfg);
struct origins *origins_free(struct origins *os);

/*
 * Notes that the frame is shown in o->ring under the buffer f->buf (the one that the program sees,
 * also when f was copied into it). f is parsed. The ring's oldest record makes way if need be.
 */
void origins_lend(struct origins *os, const struct frame *f, const struct origin *o);
/*
 * The daemon has the buffer again, by other ways than a return: the program released its slot
 * unchanged. A copy of the frame may still come.
 */
void origins_release(struct origins *os, uint32_t buf);
/* A buffer is going to be asked for soon. */
void origins_prefetch(const struct origins *os, uint32_t buf);
/*
 * Origin of the frame that came back (it need not be parsed); consumes the record. Sets ret->how;
 * for ORIGIN_SOURCE only port and generation besides, for ORIGIN_UNKNOWN nothing. now_ns ages
 * addresses.
 */
void origins_match(struct origins *os, const struct frame *f, uint64_t now_ns, struct origin *ret);
/*
 * Takes the record of that buffer out, for a frame that is withdrawn before the program saw it.
 * False if there is none.
 */
bool origins_withdraw(struct origins *os, uint32_t buf, struct origin *ret);
/* All frames of the ring that are still out were passed on: they are stale when they come. */
void origins_revoke(struct origins *os, uint32_t ring);
/* Forgets all records, for the program is gone. Addresses stay. */
void origins_forget(struct origins *os);
void origins_stats(const struct origins *os, struct origins_stats *ret);
