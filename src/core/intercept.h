/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interception: which frames a netmap program gets, and what becomes of them when it cannot take
 * them. Settings of a bridge and the state of the rings that programs hold go in, and what is to be
 * done with a frame comes out; the steps that do it are in core/divert.c and core/inject.c.
 *
 * Owner: the bridge and its worker. The daemon tells of descriptors between batches.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/batch.h"
#include "core/flowhash.h"

enum intercept_mode {
	INTERCEPT_AUTO,  /* `all` while somebody can give frames back, else `copy` */
	INTERCEPT_ALL,   /* all that the ports receive, all that the host sends */
	INTERCEPT_LOCAL, /* only what is for the host, and all that it sends */
	INTERCEPT_COPY,  /* all of it as copies; forwarding goes on */
	INTERCEPT_NONE,
	INTERCEPT_MODE_N
};

/* What happens to frames when no program can inspect them. */
enum intercept_fail { INTERCEPT_OPEN, INTERCEPT_CLOSED, INTERCEPT_FAIL_N };
/* What happens when its ring is full. */
enum intercept_overflow { INTERCEPT_OVERFLOW_DROP, INTERCEPT_OVERFLOW_PASS, INTERCEPT_OVERFLOW_N };
/* Reserved addresses other than pause, and than 00 with spanning tree on: those are never shown. */
enum intercept_reserved { INTERCEPT_HIDE, INTERCEPT_SHOW, INTERCEPT_TAKE, INTERCEPT_RESERVED_N };
/* Frames longer than a slot, unless GSO (that is shown as its segments). */
enum intercept_oversize {
	INTERCEPT_OVERSIZE_PASS, /* uninspected */
	INTERCEPT_OVERSIZE_MULTISLOT,
	INTERCEPT_OVERSIZE_DROP,
	INTERCEPT_OVERSIZE_N
};

/* NIC side: what ports received. Host side: what the host sends. As in EGRESS_RING(). */
enum intercept_side { INTERCEPT_NIC, INTERCEPT_HOST, INTERCEPT_SIDE_N };

/* An expression, compiled by the daemon. fn NULL: none. */
struct intercept_match {
	bool (*fn)(void *ctx, const struct frame *f);
	void *ctx;
};

struct intercept_settings {
	uint8_t mode;     /* enum intercept_mode */
	uint8_t fail;     /* enum intercept_fail */
	uint8_t overflow; /* enum intercept_overflow */
	uint8_t reserved; /* enum intercept_reserved */
	uint8_t oversize; /* enum intercept_oversize */
	bool reserved_tx; /* programs may send to reserved addresses on their own */
	uint16_t n_rings[INTERCEPT_SIDE_N]; /* RX rings, 1 to RINGS_MAX */
	uint32_t stall_ms;
	uint32_t slot_len;             /* longest frame in one slot */
	struct intercept_match filter; /* only what it matches is intercepted */
	struct intercept_match exempt; /* what it matches never is */
};
/* auto, open, drop, hide, pass, 1 ring, 1000 ms, 2048 bytes, no expressions. */
void intercept_settings_init(struct intercept_settings *s);

/* State of an RX ring. It is live when it is bound and synced and not stalled. */
enum intercept_ring_state {
	INTERCEPT_BOUND = 1 << 0,   /* a descriptor has it, and has not released it */
	INTERCEPT_SYNCED = 1 << 1,  /* it was synced for reception at least once since */
	INTERCEPT_STALLED = 1 << 2, /* frames wait and its head does not move */
};

/* What is done with a frame that the settings select. */
enum intercept_action {
	INTERCEPT_DO_NOTHING,
	INTERCEPT_DO_COPY,
	INTERCEPT_DO_LOCAL, /* take what the host would get */
	INTERCEPT_DO_TAKE,
};

struct intercept_counters {
	uint64_t taken, copied;
	uint64_t uninspected;   /* would have been taken, but nobody was there; they went on */
	uint64_t oversize;      /* went on uninspected for their length */
	uint64_t exempted;      /* by `exempt` or for not matching `filter` */
	uint64_t overflow_pass; /* did not fit and went on */
	uint64_t copies_lost;   /* did not fit, or were withdrawn */
	uint64_t returned;      /* came back, drops included */
};

struct intercept_side_state {
	/* the plan: follows from settings and rings */
	uint8_t action; /* enum intercept_action */
	uint64_t live;  /* bit per ring */
	/* what it follows from */
	bool tx_bound; /* some descriptor binds a TX ring that frames of this side go back to */
	uint8_t rings[RINGS_MAX]; /* enum intercept_ring_state */
	struct intercept_counters counters;
};

struct intercept {
	struct intercept_side_state sides[INTERCEPT_SIDE_N];
	struct flowhash_key key;
	struct intercept_settings set;
};

/* Nothing bound, default settings. */
void intercept_init(struct intercept *ic, const uint8_t random[16]);
/* Applies all settings; values out of range take their default. */
void intercept_set(struct intercept *ic, const struct intercept_settings *s);
/* A ring's state changed: enum intercept_ring_state bits, 0 for released. */
void intercept_set_ring(struct intercept *ic, enum intercept_side side, uint32_t ring,
			uint8_t state);
/*
 * Whether some descriptor binds a TX ring by which frames of the side come back: a host TX ring for
 * the NIC side, a NIC TX ring for the host side.
 */
void intercept_set_tx(struct intercept *ic, enum intercept_side side, bool bound);

static inline bool intercept_is_on(const struct intercept *ic, enum intercept_side side)
{
	return ic->sides[side].action != INTERCEPT_DO_NOTHING;
}

/* "auto", "all", "local", "copy", "none"; NULL past the end. */
const char *intercept_mode_name(enum intercept_mode m);
