/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rapid spanning tree protocol (IEEE 802.1D-2004, clause 17) of one bridge, with its
 * compatibility to the older STP. Theory of operation: core/stp.c.
 *
 * Pure: link changes, BPDUs and time go in by functions; BPDUs, port states and flushes come out
 * by struct stp_ops, called from inside those functions. Owner: the bridge, in its worker.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/bpdu.h"
#include "core/bport.h"

#define STP_PORTS 1024u /* port numbers are below: PORTS_MAX of core/batch.h */

enum stp_role {
	STP_DISABLED, /* no link, or shut by BPDU guard */
	STP_ROOT,
	STP_DESIGNATED,
	STP_ALTERNATE,
	STP_BACKUP,
	STP_ROLE_N
};

/* The value is that of the standard's ForceProtocolVersion. */
enum stp_version {
	STP_VERSION_STP = 0,
	STP_VERSION_RSTP = 2,
};

/* Off, on, or found out. */
enum stp_choice {
	STP_OFF,
	STP_ON,
	STP_AUTO,
};

/* Settings of a bridge (17.13, 17.14). Seconds. */
struct stp_settings {
	bool enabled;
	bool short_costs;      /* automatic path costs are those of 16 bits */
	uint8_t version;       /* enum stp_version: 2 */
	uint16_t priority;     /* 0x8000; a multiple of 4096 */
	uint8_t hello;         /* 2: 1 to 2, with version 0 to 10 */
	uint8_t max_age;       /* 20: 6 to 40 */
	uint8_t forward_delay; /* 15: 4 to 30 */
	uint8_t tx_hold_count; /* 6: 1 to 10 */
};

#define STP_COST_MAX       200000000u
#define STP_COST_SHORT_MAX 65535u
#define STP_PORT_PRIORITY_MAX                                                                      \
	63u /* of 6 bits, as in Linux; 4 times that in the standard's units                        \
	     */

/* Settings of a port. */
struct stp_port_settings {
	uint32_t cost;    /* 0: by the speed of the link */
	uint8_t priority; /* 32 */
	uint8_t edge;     /* enum stp_choice: auto */
	uint8_t p2p;      /* enum stp_choice: auto, which is on if the link is full duplex */
	bool bpdu_guard;  /* a BPDU shuts the port until its link comes again or this is set anew */
	bool root_block;  /* never the root port */
	bool bpdu_filter; /* neither sends BPDUs nor takes any */
};

void stp_settings_default(struct stp_settings *ret);
void stp_port_settings_default(struct stp_port_settings *ret);
/* NULL if the settings are in range and fit together, else why not: "hello_time ..." */
const char *stp_settings_check(const struct stp_settings *s);
/* Path cost of a link by its speed in Mb/s; 0 = not known, taken for 10 Gb/s. */
uint32_t stp_cost_of_speed(uint32_t mbps, bool short_costs);

enum stp_event_kind {
	STP_EVENT_ROLE,            /* of a port; state is told too */
	STP_EVENT_STATE,           /* of a port, role unchanged */
	STP_EVENT_ROOT,            /* another root bridge */
	STP_EVENT_TOPOLOGY_CHANGE, /* port: where it was seen or heard of */
	STP_EVENT_BPDU_GUARD,      /* the port was shut */
	STP_EVENT_ROOT_BLOCK,      /* the port would be the root port */
};

struct stp_event {
	enum stp_event_kind kind;
	uint16_t port;
	uint8_t role, state; /* enum stp_role, enum bport_state */
	uint64_t root;       /* bridge identifier of the root */
};

struct stp_ops {
	void *ctx;
	/* Send these BPDU_FRAME_SIZE bytes. */
	void (*tx)(void *ctx, uint16_t port, const uint8_t *frame);
	void (*set_state)(void *ctx, uint16_t port, enum bport_state state);
	/* Forget what was learned there. */
	void (*flush)(void *ctx, uint16_t port);
	void (*event)(void *ctx, const struct stp_event *e);
};

struct stp;

/* Off, with default settings. NULL: no memory. */
struct stp *stp_new(const struct stp_ops *ops);
struct stp *stp_free(struct stp *s);
const struct stp_settings *stp_settings(const struct stp *s);
static inline bool stp_is_on(const struct stp *s);
/* Applies settings that stp_settings_check() passed. */
void stp_set(struct stp *s, const struct stp_settings *set);
/* The bridge's address; part of its identifier. */
void stp_set_mac(struct stp *s, uint64_t mac);

/* 0 or -ENOMEM. mac: source of its BPDUs; 0: the bridge's. */
int stp_port_add(struct stp *s, uint16_t no, uint64_t mac);
void stp_port_del(struct stp *s, uint16_t no);
const struct stp_port_settings *stp_port_settings(const struct stp *s, uint16_t no);
void stp_port_set(struct stp *s, uint16_t no, const struct stp_port_settings *set);
/* The device changed. mbps: 0 = not known. */
void stp_port_link(struct stp *s, uint16_t no, bool up, uint64_t mac);
void stp_port_speed(struct stp *s, uint16_t no, uint32_t mbps, bool full_duplex);
/* Opens a port that BPDU guard has shut. */
void stp_port_guard_clear(struct stp *s, uint16_t no);
/* Speak RSTP again, if the neighbour has learned it meanwhile (17.19.13). */
void stp_port_mcheck(struct stp *s, uint16_t no);

/* What became of a received frame. */
enum stp_rx {
	STP_RX_TAKEN,
	STP_RX_IGNORED, /* the port does not take part: no link */
	STP_RX_MALFORMED,
	STP_RX_AGE,
	STP_RX_OWN,    /* sent by this very port */
	STP_RX_GUARD,  /* BPDU guard shut the port, or had before */
	STP_RX_FILTER, /* BPDU filter */
	STP_RX_RATE,   /* more in a second than a port takes */
};
/* A frame to 01:80:C2:00:00:00, from its first address on. Spanning tree is on. */
enum stp_rx stp_rx_frame(struct stp *s, uint16_t no, const uint8_t *frame, uint32_t len);
/* What it would answer. */
enum stp_rx stp_would_rx_frame(const struct stp *s, uint16_t no, const uint8_t *frame,
			       uint32_t len);

/* Returns when to call again; UINT64_MAX while off. Early calls do nothing. */
uint64_t stp_tick(struct stp *s, uint64_t now_ns);

/*
 * What outlives the process: a bridge that goes on from it soon enough behaves like one that was
 * paused. Whoever stores it may do so byte by byte: it has no padding. Theory: core/stp_keep.c.
 */
struct stp_memory {
	uint64_t bridge; /* identifier */
	uint8_t version, hello, max_age, forward_delay;
	uint32_t n_ports;
};

struct stp_port_memory {
	uint64_t root, bridge; /* the port's priority vector, its own or received: */
	uint32_t cost;
	uint32_t path_cost;
	uint16_t port;
	uint16_t no;
	struct bpdu_times times;
	uint16_t flags;        /* enum stp_memory_flags */
	uint8_t priority;      /* setting */
	uint8_t role;          /* enum stp_role: root and below */
	uint8_t p2p;           /* 0, 1: in force */
	uint8_t rcvdInfoWhile; /* timers, as they were */
	uint8_t fdWhile, rrWhile, rbWhile, tcWhile, edgeDelayWhile, helloWhen;
};

enum stp_memory_flags {
	STP_MEMORY_LEARN = 1,
	STP_MEMORY_FORWARD = 2,
	STP_MEMORY_EDGE = 4,
	STP_MEMORY_RSTP = 8, /* is what it sends */
	STP_MEMORY_AGREE = 16,
	STP_MEMORY_AGREED = 32,
	STP_MEMORY_PROPOSED = 64,
	STP_MEMORY_PROPOSING = 128,
	STP_MEMORY_SYNCED = 256,
	STP_MEMORY_SYNC = 512,
	STP_MEMORY_REROOT = 1024,
	STP_MEMORY_ALL = 2047,
};

/* Until stp_restore() succeeds or stp_release(): all ports are disabled, and nothing is sent. */
void stp_hold(struct stp *s);
/*
 * The last word to neighbours, then what is to be kept, and then the tree is held. ports: room for
 * STP_PORTS. False: there is nothing to keep, and nothing was done.
 */
bool stp_save(struct stp *s, struct stp_memory *ret, struct stp_port_memory *ports);
/* Are these values that stp_save() may have written? */
bool stp_memory_is_sane(const struct stp_memory *m, const struct stp_port_memory *ports);
/*
 * A held bridge goes on, age_ms after stp_save(). all: only if every port is there. False if
 * anything that matters is different or too old; then nothing has changed.
 */
bool stp_restore(struct stp *s, const struct stp_memory *m, const struct stp_port_memory *ports,
		 uint64_t age_ms, bool all);
/* Held no longer: everything begins anew. */
void stp_release(struct stp *s);

/* What is shown. Timers in seconds. */
struct stp_status {
	uint64_t bridge, root;
	uint32_t root_cost;
	uint16_t root_port;      /* number; 0: none, the bridge is the root */
	struct bpdu_times times; /* in force: those of the root */
	bool topology_change;    /* in progress */
	bool topology_change_detected;
	uint32_t n_topology_changes;
	uint64_t topology_change_ns; /* time of the latest; 0: none */
	uint16_t hello_timer, tcn_timer, topology_change_timer;
};
void stp_status(const struct stp *s, struct stp_status *ret);

struct stp_port_counters {
	uint64_t rx_bpdu, tx_bpdu, rx_tcn, tx_tcn, rx_bad;
	uint64_t transition_fwd, transition_blk;
};

struct stp_port_status {
	uint8_t role, state; /* enum stp_role, enum bport_state */
	uint16_t id;
	uint32_t cost;
	uint64_t root, designated_bridge;
	uint32_t designated_cost;
	uint16_t designated_port;
	uint16_t message_age_timer, forward_delay_timer, hold_timer;
	bool topology_change_ack, config_pending;
	bool edge, p2p, rstp; /* in force; rstp: what it sends */
	bool proposing, agreed;
	bool guarded;      /* shut by BPDU guard */
	bool root_blocked; /* root_block keeps it from being the root port */
	struct stp_port_counters counters;
};
/* False: no such port. */
bool stp_port_status(const struct stp *s, uint16_t no, struct stp_port_status *ret);

/* "root" and the like. */
const char *stp_role_name(enum stp_role r);

/* First member of struct stp. */
struct stp_hot {
	bool on;
};

static inline bool stp_is_on(const struct stp *s)
{
	return s && ((const struct stp_hot *)s)->on;
}
