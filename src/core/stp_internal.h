/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the spanning tree share: stp.c (the object, role selection), stp_port.c (the
 * small machines of a port), stp_info.c (what neighbours say), stp_roles.c (role transitions),
 * stp_keep.c (what outlives the process). Names of variables are those of clause 17, so that one
 * can be read beside the other.
 */
#pragma once

#include <string.h>

#include "core/stp.h"

#define MIGRATE_TIME  3u /* seconds (table 17-1) */
#define STP_SECOND_NS 1000000000ULL

/* A priority vector (17.5): less is better, compared from the top. */
struct vector {
	uint64_t root;
	uint32_t cost;
	uint64_t bridge;
	uint16_t port, rx_port;
};

enum info_is {
	INFO_DISABLED,
	INFO_MINE,
	INFO_AGED,
	INFO_RECEIVED,
};

/* States of the machines in which they rest. */
enum ppm_state { PPM_CHECKING_RSTP, PPM_SELECTING_STP, PPM_SENSING };
enum pim_state { PIM_DISABLED, PIM_AGED, PIM_CURRENT };
enum tcm_state { TCM_INACTIVE, TCM_LEARNING, TCM_ACTIVE };

struct stp_port {
	struct stp *s;
	uint16_t no;
	uint64_t mac;
	struct stp_port_settings set;
	struct stp_port_counters counters;
	uint32_t mbps;
	bool link_up, full_duplex;
	bool guarded;      /* shut by BPDU guard */
	bool root_blocked; /* would have been the root port in the latest role selection */

	/* timers (17.17), seconds */
	uint16_t edgeDelayWhile, fdWhile, helloWhen, mdelayWhile, rbWhile, rcvdInfoWhile, rrWhile,
		tcWhile;
	uint16_t txCount;
	uint16_t n_rx; /* BPDUs in this second */

	/* variables (17.19) */
	bool agree, agreed, disputed, fdbFlush, forward, forwarding, learn, learning, mcheck;
	bool newInfo, operEdge, portEnabled, proposed, proposing, rcvdBPDU, rcvdMsg, rcvdRSTP,
		rcvdSTP;
	bool rcvdTc, rcvdTcAck, rcvdTcn, reRoot, reselect, selected, sendRSTP, sync, synced, tcAck,
		tcProp, updtInfo;
	uint8_t infoIs;             /* enum info_is */
	uint8_t role, selectedRole; /* enum stp_role */
	struct vector designatedPriority, portPriority;
	struct bpdu_times designatedTimes, portTimes;
	struct bpdu msg; /* valid while rcvdMsg or rcvdBPDU */

	uint8_t ppm, pim, tcm;         /* where these machines are */
	uint8_t told_role, told_state; /* to the bridge */
	bool told_blocked;
};

struct stp {
	struct stp_hot hot; /* first: stp_is_on() */
	struct stp_ops ops;
	struct stp_settings set;
	uint64_t mac;
	uint64_t now_ns, next_tick_ns;
	bool reselect; /* roles are to be selected, whatever ports say */
	bool held;     /* stp_hold() */

	uint16_t rootPort; /* number; 0: none */
	struct vector rootPriority;
	struct bpdu_times rootTimes;
	uint64_t told_root;
	uint32_t n_topology_changes;
	uint64_t topology_change_ns, tc_heard_ns; /* the latest one; the latest word of one */

	uint32_t n_ports;
	struct stp_port *ports[STP_PORTS]; /* n_ports of them, ascending */
	struct stp_port *by_no[STP_PORTS];
};

#define for_each_stp_port(p, s)                                                                    \
	for (uint32_t p##_i = 0; p##_i < (s)->n_ports; p##_i++)                                    \
		for (struct stp_port *p = (s)->ports[p##_i]; p; p = NULL)

static inline uint64_t bridge_id(const struct stp *s)
{
	return (uint64_t)s->set.priority << 48 | s->mac;
}

static inline uint16_t port_id(const struct stp_port *p)
{
	return (uint16_t)(p->set.priority << 10 | p->no);
}

static inline bool rstp_version(const struct stp *s)
{
	return s->set.version >= STP_VERSION_RSTP;
}

/*
 * A time of a BPDU as the seconds of a timer: rounded up, and kept in a sane range, for these come
 * from outside. What we pass on is what we heard.
 */
static inline uint16_t seconds_of(uint16_t t, uint16_t lo, uint16_t hi)
{
	uint16_t r = (uint16_t)((t + BPDU_SECOND - 1u) / BPDU_SECOND);

	return r < lo ? lo : r > hi ? hi : r;
}

/* 17.20: parameters that a port's machines use. */
static inline uint16_t MaxAge(const struct stp_port *p)
{
	return seconds_of(p->designatedTimes.max_age, 6, 40);
}

static inline uint16_t FwdDelay(const struct stp_port *p)
{
	return seconds_of(p->designatedTimes.forward_delay, 4, 30);
}

static inline uint16_t HelloTime(const struct stp_port *p)
{
	return seconds_of(p->designatedTimes.hello, 1, 10);
}

/*
 * 17.20.5, where it is a hello with RSTP. Twice that here, and of the longest hello that RSTP
 * allows: what a neighbour has heard is good for three of its hellos, and while it is, the
 * neighbour may act on something that is no longer so. Both steps together are longer now.
 */
static inline uint16_t forward_delay(const struct stp_port *p)
{
	return p->sendRSTP ? (uint16_t)(2 * max_of(HelloTime(p), 2)) : FwdDelay(p);
}

static inline bool is_p2p(const struct stp_port *p)
{
	return p->set.p2p == STP_AUTO ? p->full_duplex : p->set.p2p == STP_ON;
}

static inline uint16_t EdgeDelay(const struct stp_port *p)
{
	return is_p2p(p) ? MIGRATE_TIME : MaxAge(p);
}

/* Below 0: a is better. The receiving port is compared only among our own ports' vectors. */
static inline int vector_compare(const struct vector *a, const struct vector *b)
{
	if (a->root != b->root)
		return a->root < b->root ? -1 : 1;
	if (a->cost != b->cost)
		return a->cost < b->cost ? -1 : 1;
	if (a->bridge != b->bridge)
		return a->bridge < b->bridge ? -1 : 1;
	return (a->port > b->port) - (a->port < b->port);
}

static inline bool times_equal(const struct bpdu_times *a, const struct bpdu_times *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Runs all machines to rest and tells what is new. */
void stp_run(struct stp *s);
/* Everything begins anew; one port does, without running. */
void stp_begin(struct stp *s);
void stp_begin_port(struct stp *s, struct stp_port *p);

uint32_t stp_port_cost(const struct stp_port *p);
void stp_event_emit(struct stp *s, enum stp_event_kind kind, const struct stp_port *p);

/* 17.21.18: the other ports are to propagate a topology change. */
void stp_set_tc_prop_tree(struct stp_port *from);
void stp_new_tc_while(struct stp_port *p);

/* One step of machines; true when something changed. */
bool stp_port_step(struct stp_port *p);     /* receive, migration, edge, states, topology change */
bool stp_transmit_step(struct stp_port *p); /* port transmit */
bool stp_info_step(struct stp_port *p);     /* port information */
bool stp_roles_step(struct stp_port *p);    /* port role transitions */
/* What BEGIN does to the machines of a port. */
void stp_port_begin(struct stp_port *p);
void stp_roles_begin(struct stp_port *p);
/* A second passed. */
void stp_port_timers(struct stp_port *p);
