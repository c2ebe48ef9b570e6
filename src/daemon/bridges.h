/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's bridges: engine object, worker, and the TAP of the same name that is the host's
 * port. The TAP is persistent: its addresses survive the daemon, a later one takes it over by its
 * alias. Only bridges_del() removes it.
 *
 * Main thread.
 */
#pragma once

#include <jansson.h>
#include <stdatomic.h>

#include "base/list.h"
#include "daemon/daemon.h"
#include "daemon/limit.h"
#include "daemon/worker.h"
#include "wire/msg.h"

#define BRIDGE_ALIAS "viaduct bridge" /* IFLA_IFALIAS of our TAPs */

struct access;
struct adopted;
struct expression;
struct ring_sink;
struct snapshot_file;
struct traced;
struct tree_kept;
struct vport;

struct vbridge {
	struct list node;
	struct daemon *d;
	char name[BPORT_NAME_SIZE];
	struct worker *w;
	struct bridge *br; /* the worker's */
	struct worker_bridge wb;
	struct list ports; /* of struct vport, the host's first */
	struct vport *host;
	uint32_t fdb_size;
	uint32_t n_rings; /* of a netmap port that is opened on it, of each kind */
	struct expression *filter, *exempt; /* of interception; NULL: none */
	struct adopted *adopted;            /* NULL: a bridge of ours; else daemon/adopt.h */
	json_t *rules[HOOK_N];              /* of each hook, daemon/rules.h; NULL: none yet */
	json_t *mirrors;                    /* daemon/mirrors.h; NULL: none yet */
	struct snapshot_file *learned;      /* by an earlier daemon; NULL: nothing, or no longer */
	struct tree_kept *kept; /* its spanning tree, while that is held; see tree_keep.c */
	uint64_t saved_at;      /* frames received when what it learned was saved; see snapshot.c */
	bool save_failed;
	struct traced *traced; /* NULL: nobody traces; see traces.h */
	uint8_t n_traced;      /* how often somebody began to, modulo 256 */
	struct access *access; /* who may open it; NULL: root and the daemon's group */
	/* Of a mirror's netmap endpoint, which is a bridge for endpoint.c alone; else NULL. */
	struct vbridge *end_of;
	struct ring_sink *sink;
	/* the worker's, see events.c */
	struct limit limits[BRIDGE_EVENT_N];
	uint64_t n_events[BRIDGE_EVENT_N];
};

#define for_each_bridge(vb, d)                                                                     \
	list_for_each (vb##_node, &(d)->bridges)                                                   \
		for (struct vbridge *vb = list_entry(vb##_node, struct vbridge, node); vb;         \
		     vb = NULL)

struct vbridge *bridges_find(struct daemon *d, const char *name);
/* bridges_need(), and it must be ours: CTL_E_KERNEL_BRIDGE for adopted ones. */
int bridges_need_own(struct daemon *d, const char *name, struct vbridge **ret,
		     struct ctl_error *err);
/* bridges_find() or CTL_E_BRIDGE_NONE, CTL_E_KERNEL_BRIDGE. */
int bridges_need(struct daemon *d, const char *name, struct vbridge **ret, struct ctl_error *err);
/*
 * Makes a bridge. values: settings (checked), or NULL. 0 or an error code with *err filled; nothing
 * is left behind then.
 */
int bridges_add(struct daemon *d, const char *name, const json_t *values, struct ctl_error *err);
/* The daemon's side of a bridge or device of the kernel, for adopt.c; NULL: no memory. */
struct vbridge *bridges_new_kernel(struct daemon *d, const char *name, bool is_bridge);
/* What stands for a mirror's netmap endpoint, for mirror_end.c, in the worker of its bridge; NULL:
 * no memory. bridges_close() ends it. */
struct vbridge *bridges_new_end(struct vbridge *of, const char *name, struct ring_sink *sink);
/* Removes the bridge, its ports and its interface. */
void bridges_del(struct vbridge *vb);
/* At the end of the daemon, and of adoption: as bridges_del(), but the interface stays. */
void bridges_close(struct vbridge *vb);
/* Applies checked settings; those that are missing stay. 0, or CTL_E_INTERNAL and nothing is set.
 */
int bridges_set(struct vbridge *vb, const json_t *values, struct ctl_error *err);
/* Puts the settings of VLANs into an object, but not the set of the interface. */
void bridges_get_vlans(struct vbridge *vb, json_t *to);
/* The settings as commands and configuration write them; new reference. */
json_t *bridges_get(struct vbridge *vb);
/* The bridge's own address or MTU changed in the engine: its interface follows. */
void bridges_follow(struct vbridge *vb);
