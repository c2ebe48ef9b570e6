/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the simulator share: sim.c (the language, frames), sim_hooks.c (rules,
 * mirrors), sim_stp.c (spanning tree), sim_look.c (journeys), sim_set.c
 * (settings).
 */
#pragma once

#include "core/testkit.h"
#include "core/trace.h"

#define SECOND_NS    1000000000ULL
#define BRIDGES_MAX  16u
#define WORDS_MAX    64u
#define TX_MAX       512u  /* transmissions that one send may cause; more is a storm */
#define BPDUS_MAX    4096u /* on their way */
#define LANS_MAX     64u
#define STATION_BASE 0x020000000000ULL
#define FDB_CAPACITY 256u

struct sim;

struct bridge_sim {
	struct sim *s;
	struct kit *k;
	uint64_t base; /* ports are base + 0x100 * number */
	bool dead;     /* stopped: its links are up, but it neither hears nor says anything */
	uint32_t events_seen[BRIDGE_EVENT_N];
	uint64_t drops_seen[DROP_N];
	uint64_t hits_seen[HOOK_N][HOOK_RULES_MAX];
	/* with --look */
	struct trace *trace;
	struct journey explained, traced; /* of the frame that is on its way */
	struct journey made;              /* of what a program sent besides */
	uint32_t n_traced;
};

/* A frame that a bridge sent. */
struct tx {
	unsigned bridge;
	struct bport *port;
	uint8_t *data;
	uint32_t len;
	struct frame meta;
	bool expected;
};

/* A BPDU in a LAN. */
struct bpdu_tx {
	unsigned bridge;
	uint16_t port;
	char lan[BPORT_NAME_SIZE];
	uint8_t data[BPDU_FRAME_SIZE];
};

struct sim {
	const char *file;
	unsigned line;
	uint64_t now_ns;
	struct bridge_sim bridges[BRIDGES_MAX];
	struct tx txs[TX_MAX]; /* since the latest send */
	unsigned n_txs;
	bool storm;
	bool program, look;
	const struct bport *from;        /* where the latest send went in */
	struct bpdu_tx bpdus[BPDUS_MAX]; /* a ring */
	unsigned bpdu_head, bpdu_tail;
	char cut[LANS_MAX][BPORT_NAME_SIZE]; /* LANs that carry nothing */
	unsigned n_cut;
	char *words[WORDS_MAX];
	unsigned n_words;
};

void __attribute__((noreturn, format(printf, 2, 3)))
fail(const struct sim *s, const char *fmt, ...);
/* Word i of the line; it must be there. */
char *word(struct sim *s, unsigned i);
bool is(struct sim *s, unsigned i, const char *text);
uint64_t number(struct sim *s, const char *text);
bool on_off(struct sim *s, const char *text);
struct bridge_sim *bridge_at(struct sim *s, const char *text);
/* Port of a bridge by name. */
struct bport *port_named(struct sim *s, struct bridge_sim *b, const char *name);
/* "0.a": bridge and port. */
struct bport *port_at(struct sim *s, const char *text, struct bridge_sim **ret_bridge);
/* The LAN of a port: its name up to an apostrophe, so that a bridge can have two in one. */
void lan_of(const struct bport *p, char lan[BPORT_NAME_SIZE]);
bool is_cut(const struct sim *s, const char *lan);
uint64_t address(struct sim *s, const char *text);
/* The frame that is waiting, through the bridge and, if there is one, its program. */
void run_bridge(struct bridge_sim *b, struct bport *p);

/* sim_look.c */
void look_at_bridge(struct bridge_sim *b);
/* Around a frame's way through a bridge. */
void look_before(struct bridge_sim *b, const struct bport *in, const struct frame *f);
void look_after(struct bridge_sim *b);
/* The journey of the latest frame must have that drop. */
void look_for_drop(struct bridge_sim *b, enum drop_reason r);

/* sim_stp.c */
void stp_watch(struct bridge_sim *b);
/* BPDUs arrive, and what they cause, until all is quiet; then there must be no loop. */
void stp_settle(struct sim *s);
void cmd_stp(struct sim *s);
void cmd_bpdu(struct sim *s);
void cmd_cut(struct sim *s);
void cmd_kill(struct sim *s);
/* check ... of the spanning tree; false: it is something else. */
bool stp_check(struct sim *s);

/* sim_set.c */
void cmd_fdb(struct sim *s);
void cmd_vlan(struct sim *s);
void cmd_set(struct sim *s);
void cmd_port(struct sim *s);

/* sim_hooks.c */
void cmd_program(struct sim *s);
void cmd_rule(struct sim *s);
void cmd_hits(struct sim *s);
void cmd_mirror(struct sim *s);
