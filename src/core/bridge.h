/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge: ports, FDB, settings, and the two passes over a batch. No I/O, no clock, no threads:
 * frames come in as a batch of one port, leave as lists per port, time is a parameter. One owner,
 * the worker that runs the bridge; all functions are called from it (tests call them from main).
 *
 * Life of a frame: docs/frame.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/batch.h"
#include "core/bport.h"
#include "core/fdb.h"
#include "core/hook.h"
#include "core/intercept.h"
#include "core/mirror.h"
#include "core/stp.h"
#include "core/vlan.h"

/* Positive outcomes. */
enum bridge_error {
	BRIDGE_E_FULL = 1, /* no port number left; MIRRORS_MAX mirrors */
};

enum bridge_event_kind {
	BRIDGE_FDB_NEW,
	BRIDGE_FDB_MOVED,   /* old_port is set */
	BRIDGE_FDB_GONE,    /* aged, flushed, deleted or replaced; local entries are not told */
	BRIDGE_FDB_FULL,    /* an address was not learned: table or port limit */
	BRIDGE_OWN_SOURCE,  /* a frame came in with one of our own addresses as its source */
	BRIDGE_MAC_CHANGED, /* the bridge's own address follows its ports */
	BRIDGE_MTU_CHANGED, /* the bridge's MTU follows its ports */
	/* enum stp_event_kind, in its order; port, role, state and root as there */
	BRIDGE_STP_ROLE,
	BRIDGE_STP_STATE,
	BRIDGE_STP_ROOT,
	BRIDGE_STP_TOPOLOGY_CHANGE,
	BRIDGE_STP_BPDU_GUARD,
	BRIDGE_STP_ROOT_BLOCK,
	BRIDGE_EVENT_N
};

struct bridge_event {
	enum bridge_event_kind kind;
	uint64_t mac;
	uint16_t vid, port, old_port;
	uint32_t mtu;
	uint8_t role, state; /* enum stp_role, enum bport_state */
	uint64_t root;       /* bridge identifier */
};

/* How the engine tells its owner. Called from inside engine functions, in the worker. */
struct bridge_ops {
	void *ctx;
	void (*event)(void *ctx, const struct bridge_event *e); /* may be NULL */
	/* Sends a frame of the bridge's own, a BPDU, on a port that has a link; may be NULL. */
	void (*send)(void *ctx, struct bport *port, const uint8_t *data, uint32_t len);
};

/*
 * Who bridges. Frames of a bridge or device that stays the kernel's (core/through.c) only come by:
 * each goes on at the port where it was taken.
 */
enum bridge_kind {
	BRIDGE_OWN,     /* we */
	BRIDGE_ADOPTED, /* the kernel: a bridge */
	BRIDGE_NETDEV,  /* nobody: one device of the kernel and the host behind it */
};

struct bridge_config {
	char name[BPORT_NAME_SIZE];
	enum bridge_kind kind;
	uint32_t fdb_capacity; /* entries; 0 = 65,536 */
	uint8_t hash_key[16];  /* random */
	uint64_t mac;          /* until the first port joins; random and locally administered */
};

/* Settings of a bridge that commands read and change, Linux names. */
struct bridge_settings {
	uint32_t ageing_time_s;   /* 300 */
	uint32_t fdb_max_learned; /* 0 = capacity */
	uint16_t group_fwd_mask;  /* never bits 0, 1, 2 */
	bool no_linklocal_learn;
	bool monitor; /* FreeBSD's flag: count and capture, forward nothing */
	bool mac_set; /* address was set by a user and no longer follows the ports */
	bool mtu_set; /* same for the MTU */
	bool promisc; /* copy forwarded frames up to the host's port, once each */
};

struct bridge;
struct trace;

struct bridge *bridge_new(const struct bridge_config *cfg, const struct bridge_ops *ops,
			  const struct buf_ops *bufs);
struct bridge *bridge_free(struct bridge *br);

const char *bridge_name(const struct bridge *br);
enum bridge_kind bridge_kind(const struct bridge *br);
uint64_t bridge_mac(const struct bridge *br);
uint32_t bridge_mtu(const struct bridge *br);
/*
 * Sets the address or the MTU for good; 0 lets it follow the ports again. With no ports it is the
 * address of bridge_config, and 1500.
 */
void bridge_set_mac(struct bridge *br, uint64_t mac);
void bridge_set_mtu(struct bridge *br, uint32_t mtu);
const struct bridge_settings *bridge_settings(const struct bridge *br);
/* Applies all settings. group_fwd_mask bits 0 to 2 are cleared. */
void bridge_set(struct bridge *br, const struct bridge_settings *s);
struct fdb *bridge_fdb(struct bridge *br);
/* Settings, ring state and counters of interception: core/intercept.h changes them. */
struct intercept *bridge_intercept(struct bridge *br);
/*
 * The spanning tree, by core/stp.h: settings and status of the bridge and of its ports by number.
 * NULL: a bridge of the kernel. While it is on it owns the states of all ports but the host's.
 */
struct stp *bridge_stp(const struct bridge *br);
/*
 * No port: where the drops of frames count that a program made (core/inject.h) and of which nobody
 * knows a port. Only its counters.drops mean something.
 */
const struct bport *bridge_nowhere(const struct bridge *br);

/*
 * Rules (core/hook.h). The set of one hook as a whole, NULL: none; returns the former one, which
 * is the caller's. Counters go on as `inherits` says. Not for the kernel's bridges.
 */
struct hook_set *bridge_set_hook(struct bridge *br, enum hook h, struct hook_set *s);
const struct hook_set *bridge_hook(const struct bridge *br, enum hook h);
/*
 * Mirrors (core/mirror.h). Adding takes m over: 0, -ENOMEM, BRIDGE_E_FULL. Its destination becomes
 * a span port as long as a mirror has it and it is there. The caller sees to it that names differ
 * and that no destination is a source. Deleting gives it back, NULL if there is none of that name.
 */
int bridge_mirror_add(struct bridge *br, struct mirror *m);
struct mirror *bridge_mirror_del(struct bridge *br, const char *name);
const struct mirror *bridge_mirror(const struct bridge *br, const char *name);
/* A port's name has changed: rules and mirrors name ports. */
void bridge_bind(struct bridge *br);

/* What a port is when it joins. */
struct bport_config {
	char name[BPORT_NAME_SIZE];
	uint64_t mac; /* 0: none of its own (a file, a TAP whose other end is a station) */
	uint32_t mtu;
	bool host;   /* the bridge's own interface; at most one. Kernel's: what the host sends on it
		      */
	bool self;   /* kernel's only, at most one: what its interface receives */
	bool lazy;   /* for mirrors only, which rest while it has no link; of no MTU that counts */
	uint16_t no; /* 0: the lowest that is free; else a free one */
	bool link_up;
	void *owner;
};

/*
 * Adds a port with the lowest free number and default flags; its address becomes a local FDB entry,
 * bridge address and MTU follow (lowest port address, smallest MTU, unless set). 0, -ENOMEM or
 * BRIDGE_E_FULL. The host's port does not count for address and MTU, takes the highest number
 * (PORTS_MAX - 1) so that the others count from 1 as in Linux, and there is at most one. The
 * address of the host's port must be kept equal to bridge_mac() by the owner.
 */
int bridge_port_add(struct bridge *br, const struct bport_config *cfg, struct bport **ret);
/* Takes the port and all its FDB entries out; the struct is freed. */
void bridge_port_del(struct bridge *br, struct bport *port);
/* Port by number, NULL if there is none. */
struct bport *bridge_port(const struct bridge *br, uint16_t no);
/* The port after `after` (NULL: the first) in ascending order of numbers, NULL at the end. */
struct bport *bridge_port_next(const struct bridge *br, const struct bport *after);
/*
 * The device changed: address, MTU and link as they are now. As in Linux: link down makes the state
 * DISABLED and flushes what was learned on the port; link up makes it FORWARDING, or what spanning
 * tree says.
 */
void bridge_port_link(struct bridge *br, struct bport *port, uint64_t mac, uint32_t mtu, bool up);
/* Changes flags: those in mask take the value in flags. The host's port has none to change. */
void bridge_port_set_flags(struct bridge *br, struct bport *port, uint8_t mask, uint8_t flags);
/*
 * Spanning tree state, also by command; a state that does not learn flushes what was learned on the
 * port. Without a link only DISABLED is possible: anything else is ignored. A span port is always
 * DISABLED. Not for commands while spanning tree is on.
 */
void bridge_port_set_state(struct bridge *br, struct bport *port, enum bport_state state);
void bridge_port_set_fdb_limit(struct bridge *br, struct bport *port, uint32_t max_learned);

/*
 * VLANs (bridge_vlan.c). Sets of ports are kept whether VLANs are filtered or not; a port begins
 * with the default PVID, untagged, and so does the host's. Bridges of the kernel filter nothing.
 */
const struct vlan_settings *bridge_vlan_settings(const struct bridge *br);
/*
 * Applies all settings. Filtering or protocol changed: what was learned is forgotten. Another
 * default PVID: ports that have the old one as it was given to them get the new one, unless they
 * have that already. 0, or -ENOMEM and nothing is changed.
 */
int bridge_vlan_set(struct bridge *br, const struct vlan_settings *s);
/* vlan_add() for a port. Returns how many VLANs are not as before. */
uint32_t bridge_vlan_add(struct bridge *br, struct bport *port, uint16_t first, uint16_t last,
			 unsigned int flags);
/* vlan_del(); what was learned on the port in these VLANs is forgotten. */
uint32_t bridge_vlan_del(struct bridge *br, struct bport *port, uint16_t first, uint16_t last);
/* Makes the port's set this one; when VLANs leave it, all that was learned on it is forgotten. */
void bridge_vlan_replace(struct bridge *br, struct bport *port, const struct vlan_set *want);
/* Counters of a VLAN on that port, or of the bridge if they are not counted per port. */
struct vlan_counters bridge_vlan_counters(const struct bridge *br, const struct bport *port,
					  uint16_t vid);

/*
 * Pass 1 (input.c). Decides each frame of a batch that came in on `in`: counts, checks, learns,
 * looks up. Dropped frames are counted and their buffers put back; the others carry a verdict.
 */
void bridge_input(struct bridge *br, struct bport *in, struct batch *b);
/*
 * Pass 2 (forward.c). Sorts the batch into lists per egress port, taking references for floods.
 * Frames that no port takes are dropped with a reason. The caller transmits, counts what a driver
 * refused with bridge_tx_done(), and resets `out`.
 */
void bridge_forward(struct bridge *br, struct batch *b, struct egress *out);
/* A batch of a port that has left meanwhile: dropped (ORIGIN_GONE), counted at bridge_nowhere(). */
void bridge_disown(struct bridge *br, struct batch *b);
/*
 * Looking at single frames: the bridge writes journeys (core/trace.h) into t, the caller's, and
 * hands them out when trace_round_end() is called, after each batch that was transmitted. NULL:
 * stops. Between batches.
 */
void bridge_set_trace(struct bridge *br, struct trace *t);
struct trace *bridge_trace(const struct bridge *br);
/*
 * Tells of each frame or copy that is dropped, before its buffer is given back; fn NULL: stops.
 * at: the port where it is counted. Of a frame that a driver dropped only data and len, of the
 * bytes that are there, and in_port mean something.
 */
typedef void bridge_dropped_fn(void *ctx, const struct bport *at, const struct frame *f,
			       enum drop_reason r);
void bridge_on_drop(struct bridge *br, bridge_dropped_fn *fn, void *ctx);
/* The same for drops that happen outside of the bridge, and are counted there. */
void bridge_tell_drop(struct bridge *br, const struct bport *at, const struct frame *f,
		      enum drop_reason r);

/* After tx: n frames and bytes went out on the port. */
void bridge_tx_done(struct bport *port, uint32_t n, uint64_t bytes);
/* Counts a dropped frame at a port and notes how it began. Its buffer remains the caller's. */
void bport_drop(struct bport *port, enum drop_reason r, const struct frame *f);
/* The last frame dropped for each reason, for whoever counts drops himself: port/driver.h. */
struct drop_log *bridge_drop_log(struct bridge *br);

/*
 * Timers: sweeps a share of the FDB, and those of the spanning tree. Call at least once a second;
 * early calls cost nothing. Returns when to call again, in the same nanoseconds.
 */
uint64_t bridge_tick(struct bridge *br, uint64_t now_ns);
/* Is there anything that only time can change? If not, nobody needs to wake up for a tick. */
bool bridge_needs_ticks(const struct bridge *br);
