/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Journeys: what happens to single frames on their way through the bridge, step by step. A watch
 * chooses frames as they come in (by port, expression, every n-th); each gets a journey, a fixed
 * number of records, into which the passes write what they decide. A frame that goes to a netmap
 * program takes its journey along in its origin, and goes on with it when it comes back.
 *
 * Cost: the files of the passes are compiled twice (core/meson.build), and only the second instance
 * writes records; it runs for batches of which a frame was chosen. Without a trace that is one test
 * per batch.
 *
 * Owner: the worker of the bridge. Nothing is allocated after trace_new(). What is handed out when
 * a journey has ended is in numbers and names as they were then; daemon/trace_text.c makes
 * sentences of it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/batch.h"
#include "core/bport.h"
#include "core/drop.h"

#define TRACE_WATCHES_MAX  8u   /* of a bridge at a time */
#define TRACE_JOURNEYS_MAX 31u  /* on their way at a time; others of that moment are missed */
#define TRACE_RECORDS_MAX  96u  /* of one journey; what comes after them is counted */
#define TRACE_BYTES_MAX    128u /* of the frame as it came in */
#define TRACE_NAME_SIZE    32u
#define TRACE_LEARN_OFF    255u /* instead of a fdb_learn_result: the port does not learn */

/* X(enum suffix, name that users see): what the record's fields mean is written at the enum below.
 */
#define TRACE_STEP_LIST(X)                                                                         \
	X(RX, "rx")                                                                                \
	X(PARSE, "parse")                                                                          \
	X(STATE, "state")                                                                          \
	X(STP, "stp")                                                                              \
	X(VLAN, "vlan")                                                                            \
	X(LEARN, "learn")                                                                          \
	X(LOOKUP, "lookup")                                                                        \
	X(INTERCEPT, "intercept")                                                                  \
	X(RING, "ring")                                                                            \
	X(RETURN, "return")                                                                        \
	X(HOOK, "hook")                                                                            \
	X(MIRROR, "mirror")                                                                        \
	X(EGRESS, "egress")                                                                        \
	X(TAG, "tag")                                                                              \
	X(OFFLOAD, "offload")                                                                      \
	X(TX, "tx")                                                                                \
	X(DROP, "drop")

/*
 * Fields besides ns and step. port and name are those of the port in question, where not said
 * otherwise.
 *
 *	RX         the ingress port. value: length. vid: of the tag in front
 *	PARSE      result: tags. value: EtherType behind them
 *	STATE      the ingress port. result: enum bport_state
 *	STP        handed to the spanning tree
 *	VLAN       the ingress port. vid: VLAN found, 0: refused
 *	LEARN      the ingress port. mac, vid. result: enum fdb_learn_result. value: port before
 *	LOOKUP     the port found, if any. mac, vid. result: enum trace_lookup. value: age in s
 *	INTERCEPT  result: enum trace_intercept. value: list of the ring, as EGRESS_RING()
 *	RING       by the owner of the rings. value: list of the ring. value2: slot
 *	           result: 0 if the program has the frame now, 1 if it has a copy
 *	RETURN     the port where it came in; the first record of what a program made
 *	           result: enum origin_how; ORIGIN_PORT: it was never taken. value: list of the ring
 *	HOOK       port: egress, 0: none. name: of the rule. value: enum hook
 *	           result: enum hook_verdict. value2: number of the rule from 1 on, 0: none decided
 *	           mac: the mark that it sets
 *	MIRROR     its destination. name: of the mirror
 *	EGRESS     that it was put on the list of
 *	TAG        the port that wants it so. result: enum vlan_edit. vid
 *	OFFLOAD    by who transmits. result: enum trace_offload. value: segments
 *	TX         by who transmits: the driver took it. value: length
 *	DROP       where it is counted. result: enum drop_reason
 */
enum trace_step {
#define X(id, name) TRACE_##id,
	TRACE_STEP_LIST(X)
#undef X
		TRACE_STEP_N
};

enum trace_lookup {
	TRACE_LOOKUP_UNKNOWN, /* no entry: flooded */
	TRACE_LOOKUP_GROUP,   /* a group address: flooded */
	TRACE_LOOKUP_DYNAMIC, /* enum fdb_kind + 2 */
	TRACE_LOOKUP_STATIC,
	TRACE_LOOKUP_STICKY,
	TRACE_LOOKUP_LOCAL,  /* an own address: to the host */
	TRACE_LOOKUP_LINK,   /* reserved: for this link alone, to the host */
	TRACE_LOOKUP_KERNEL, /* a bridge of the kernel: it decides */
	TRACE_LOOKUP_N
};

enum trace_intercept {
	TRACE_INTERCEPT_TAKEN,
	TRACE_INTERCEPT_LOCAL,  /* what the host would get goes to the program */
	TRACE_INTERCEPT_COPIED, /* and it goes on */
	TRACE_INTERCEPT_EXEMPT,
	TRACE_INTERCEPT_NOBODY,    /* goes on uninspected */
	TRACE_INTERCEPT_OVERSIZE,  /* likewise */
	TRACE_INTERCEPT_OVERFLOW,  /* the ring is full: it goes on */
	TRACE_INTERCEPT_WITHDRAWN, /* the program did not take it */
	TRACE_INTERCEPT_N
};

enum trace_offload {
	TRACE_OFFLOAD_CSUM,   /* checksum finished */
	TRACE_OFFLOAD_SEGMENT /* cut into segments */
};

struct trace_record {
	uint64_t ns; /* on the clock of trace_config; 0 without one */
	uint64_t mac;
	uint32_t value, value2;
	uint16_t port; /* number; 0: none */
	uint16_t vid;
	uint8_t step;   /* enum trace_step */
	uint8_t result; /* depends on the step */
	char name[TRACE_NAME_SIZE];
};

/* Why a journey was closed. */
enum journey_end {
	JOURNEY_ENDED, /* nobody has the frame any more */
	JOURNEY_LENT,  /* a program still has it */
};

struct journey {
	uint64_t id;       /* counts per bridge */
	uint64_t start_ns; /* when it came in, on the clock */
	uint8_t watches;   /* bit per watch that chose it */
	uint8_t end;       /* enum journey_end */
	uint16_t in_port;  /* 0, and no name: a program made it; see RETURN */
	char in_name[BPORT_NAME_SIZE];
	uint32_t len;
	uint32_t n_bytes;
	uint32_t n, n_lost; /* records; that found no room */
	uint8_t bytes[TRACE_BYTES_MAX];
	struct trace_record records[TRACE_RECORDS_MAX];
};

struct trace_config {
	/* Nanoseconds; NULL: no times. */
	uint64_t (*clock)(void *ctx);
	/* The journey has ended; it is used again when this returns. */
	void (*done)(void *ctx, const struct journey *j);
	void *ctx;
	/* How many traces the bridge had before: programs may still have frames of those. */
	uint8_t serial;
};

/* Which frames are chosen. */
struct trace_watch {
	uint16_t port;  /* that they came in on; 0: any */
	uint32_t every; /* the n-th each of those that match; 0 or 1: all */
	uint64_t count; /* that many, then none */
	/* NULL: any. Before the frame is parsed. */
	bool (*match)(void *ctx, const struct frame *f);
	void *ctx;
};

struct trace_stats {
	uint64_t chosen; /* by this watch */
	uint64_t missed; /* too many were on their way */
};

struct trace;

/* NULL when there is no memory. */
struct trace *trace_new(const struct trace_config *cfg);
/* After bridge_set_trace(br, NULL). Journeys on their way are forgotten. Returns NULL. */
struct trace *trace_free(struct trace *t);

/* Adds a watch: its number, or TRACE_WATCHES_MAX: no more fit. */
uint32_t trace_add(struct trace *t, const struct trace_watch *w);
/* Takes it away; journeys that only it wanted and that a program still has end now. */
void trace_del(struct trace *t, uint32_t watch);
bool trace_has_watches(const struct trace *t);
struct trace_stats trace_stats(const struct trace *t, uint32_t watch);
/* Ends journeys that a program has had since before that time. */
void trace_expire(struct trace *t, uint64_t before_ns);
/* After a batch was transmitted: journeys end, but those that a program has. */
void trace_round_end(struct trace *t);

/*
 * For the passes. Chooses frames of a batch that came in: false if none was.
 */
bool trace_select(struct trace *t, const struct bport *in, const struct batch *b);
/* Frame i of that batch; begins its journey if it was chosen. */
void trace_begin(struct trace *t, const struct bport *in, struct frame *f, uint32_t i);
/*
 * The same for frames from a program (o NULL: nobody knows an origin): true if one goes on with its
 * journey, or one that the program made was chosen. Frames that are back and were not chosen when
 * they came in are not chosen now. Then for frame i of them, at the port it is from.
 */
struct origin;
bool trace_select_returns(struct trace *t, const struct batch *b, const struct origin *o);
void trace_resume(struct trace *t, const struct bport *in, struct frame *f, uint32_t i,
		  const struct origin *o);
/* What the origin of f has to carry for that; 0: nothing. */
uint8_t trace_ticket(const struct trace *t, const struct frame *f);

/* Adds a record to the journey of f, if it has one; ns is filled in, and port and name from `at` if
 * that is not NULL. */
void trace_step(struct trace *t, const struct frame *f, const struct bport *at,
		struct trace_record r);
/* A copy of f's bytes lies in buf and is the same journey: another form of it. */
void trace_alias(struct trace *t, const struct frame *f, uint32_t buf);
/* Whether frames of this round have journeys. */
bool trace_is_live(const struct trace *t);

/* "look-up" and the like */
const char *trace_step_name(enum trace_step s);

/* What became of the frame, all in all. */
enum journey_outcome {
	OUTCOME_SENT,      /* on at least one port */
	OUTCOME_DELIVERED, /* to the host, and on no port */
	OUTCOME_DROPPED,   /* *ret_reason says why */
	OUTCOME_LENT,      /* a program has it still */
	OUTCOME_CONSUMED,  /* by the spanning tree */
	OUTCOME_NOTHING,   /* no copy went anywhere, and that is no drop: see the records */
	OUTCOME_N
};
/* Record i says that the frame was sent on a port, and nothing after it that it was not. */
bool journey_sent(const struct journey *j, uint32_t i);
/* From its records. host_port: number of the host's port, 0: none. */
enum journey_outcome journey_outcome(const struct journey *j, uint16_t host_port,
				     enum drop_reason *ret_reason);
