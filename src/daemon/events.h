/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the engine reports, on its way from workers to the log and to monitors. Workers push into
 * one bounded queue; the main thread drains it. What nobody would read is only counted.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/bridge.h"

struct daemon;
struct events;
struct vbridge;

struct events *events_new(struct daemon *d);
struct events *events_free(struct events *e);
/* The `event` of struct bridge_ops; ctx is the vbridge. Worker. */
void events_push(void *ctx, const struct bridge_event *e);
/* Handles what was pushed. Main thread; also before a bridge is freed. */
void events_drain(struct events *e);
/* Does some monitor read FDB events? Then all of them are pushed. Main thread. */
void events_want_fdb(struct events *e, bool wanted);
/* Events that found the queue full. */
uint64_t events_lost(struct events *e);

/* An event of the group "link": logged and sent. ifname NULL: of the bridge itself. Main thread. */
void events_link(struct daemon *d, const char *kind, const struct vbridge *vb, const char *ifname);
/* The same, with more members, which are stolen. */
void events_link_more(struct daemon *d, const char *kind, const struct vbridge *vb,
		      const char *ifname, json_t *more);
/* Of the group "config". vb NULL: of the whole daemon. Steals more: members of the event. */
void events_config(struct daemon *d, const char *kind, const struct vbridge *vb, const char *ifname,
		   json_t *more);
/* The same if before and after, objects, differ: "changed" has what does, as it is now. Steals
 * both. */
void events_changed(struct daemon *d, const char *kind, const struct vbridge *vb,
		    const char *ifname, json_t *before, json_t *after);
/* The kernel's spanning tree has changed the state of a member. */
void events_state(struct daemon *d, const struct vbridge *vb, const char *ifname,
		  enum bport_state state);
/* Of the daemon itself, to every monitor. Steals more. */
void events_daemon(struct daemon *d, const char *kind, json_t *more);
/* The same about a netmap program on the bridge. Steals more: members of the event. */
void events_program(struct daemon *d, const char *kind, const struct vbridge *vb, json_t *more);
