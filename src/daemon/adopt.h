/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bridges and devices that stay the kernel's, while programs look at what passes them. Each is a
 * struct vbridge whose engine forwards nothing itself (core/through.c); its ports are places of a
 * trunk (port/trunk.h): one per member, one for what the interface receives and one for what the
 * host sends on it. This module makes and removes them, follows the kernel, and tells the trunk
 * what is taken.
 *
 * Main thread, except for adopt_follow_plan().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/bridges.h"
#include "sys/netlink.h"

#define ADOPT_HANG_MS 1000u /* of the worker, until the kernel goes round it */

struct loop_source;
struct trunk;

struct adopted {
	struct vbridge *vb;
	uint32_t ifindex;    /* of the interface; 0: it is away */
	struct trunk *trunk; /* NULL: nothing is attached, for it is away or not needed */
	struct worker_port rx;
	uint16_t next_no;            /* for the next place */
	uint8_t n_replaced;          /* trunks, because somebody changed them */
	bool replacing;              /* one of them, now: a closed bridge stays closed */
	bool by_open;                /* goes with the last program that has it open */
	bool xdp;                    /* members by XDP where that can be: daemon/adopt_via.h */
	bool gated;                  /* the kernel drops what was not inspected: port/trunk.h */
	struct loop_source *confirm; /* releases it; NULL: for good */
	/* the worker's */
	bool dirty;                 /* places came or changed */
	uint8_t member, self, host; /* enum trunk_action, as told to places */
	bool reserved;
};

/*
 * Adopts a bridge of the kernel, or a device that is no bridge. by_open: for a program, not for an
 * operator. 0 and *ret, or an error code with *err filled; nothing is left behind then.
 */
int adopt_add(struct daemon *d, const char *name, bool by_open, struct vbridge **ret,
	      struct ctl_error *err);
/* The same checks, and nothing else. */
int adopt_check(struct daemon *d, const char *name, struct netlink_link *ret_link,
		struct ctl_error *err);
/*
 * A program is about to open it, or it is about to fail closed: puts programs on the kernel's
 * devices. Nothing to do for one that is away: they come with it. 0, or an error code with *err
 * filled.
 */
int adopt_use(struct vbridge *vb, struct ctl_error *err);
/*
 * Nobody has it open any more: one that was adopted for a program goes, from another the kernel's
 * devices are freed of programs, unless it fails closed.
 */
void adopt_unused(struct vbridge *vb);
/* Ends it, whoever has it open. */
void adopt_release(struct vbridge *vb);
/*
 * Opens gates that a daemon left on a bridge when it ended: one that failed closed stays closed.
 * False when there were none.
 */
bool adopt_open_gates(struct daemon *d, const struct netlink_link *bridge);
/* `fail` was set, after adopt_use() if closed: gates come or go. `exempt` was: what never leaves
 * the kernel. */
void adopt_follow_fail(struct vbridge *vb);
void adopt_follow_exempt(struct vbridge *vb);
/* Members by XDP (daemon/adopt_via.h) or not, from now on. With XDP programs stay attached. */
void adopt_set_via(struct vbridge *vb, bool xdp);
/*
 * Takes programs off the kernel's devices, but gates stay; netmap programs are gone already. Of
 * bridges_close().
 */
void adopt_detach(struct vbridge *vb);
void adopt_free(struct adopted *ad);
/* "attached", "idle" (nothing is, for no program has it open), "away"; or "failed": see the log. */
const char *adopt_state(const struct adopted *ad);

/* A device is as l says now, or gone. */
void adopt_follow_link(struct daemon *d, bool gone, const struct netlink_link *l);
/* All devices there are, after lost events. */
void adopt_follow_all(struct daemon *d, const struct netlink_link *links, size_t n);
