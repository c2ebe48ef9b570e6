/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/events.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mac.h"
#include "daemon/bridges.h"
#include "daemon/ports.h"
#include "daemon/server.h"
#include "daemon/tree.h"
#include "sys/clock.h"
#include "sys/loop.h"

LOG_MODULE("daemon/events");

#define QUEUE_SIZE 4096u /* power of two */

/* Names are resolved when it happens: the port may be gone when it is told. */
struct event {
	struct vbridge *vb;
	struct bridge_event e;
	double time;
	char port[BPORT_NAME_SIZE], old_port[BPORT_NAME_SIZE];
	uint64_t suppressed;
	bool to_log;
};

struct events {
	struct daemon *d;
	struct loop_source *bell;
	uint64_t lost_told;    /* main thread's: what monitors know of */
	_Atomic bool want_fdb; /* of the spanning tree they are always wanted: they are few */
	pthread_mutex_t lock;  /* for the rest */
	uint32_t head, tail;
	uint64_t lost;
	struct event queue[QUEUE_SIZE];
};

static const char *const kinds[] = {
	[BRIDGE_FDB_NEW] = "new",
	[BRIDGE_FDB_MOVED] = "moved",
	[BRIDGE_FDB_GONE] = "gone",
	[BRIDGE_FDB_FULL] = "full",
	[BRIDGE_OWN_SOURCE] = "own-source",
	[BRIDGE_MAC_CHANGED] = "address",
	[BRIDGE_MTU_CHANGED] = "mtu",
	[BRIDGE_STP_ROLE] = "role",
	[BRIDGE_STP_STATE] = "state",
	[BRIDGE_STP_ROOT] = "root",
	[BRIDGE_STP_BPDU_GUARD] = "guard",
	[BRIDGE_STP_ROOT_BLOCK] = "root-block",
	[BRIDGE_STP_TOPOLOGY_CHANGE] = "topology-change",
};
_Static_assert(array_size(kinds) == BRIDGE_EVENT_N, "a name for each kind");

static void on_bell(void *ctx, unsigned int events)
{
	events_drain(ctx);
}

struct events *events_new(struct daemon *d)
{
	struct events *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->d = d;
	pthread_mutex_init(&e->lock, NULL);
	e->bell = loop_bell(d->loop, on_bell, e);
	if (!e->bell)
		return events_free(e);
	return e;
}

struct events *events_free(struct events *e)
{
	if (!e)
		return NULL;
	loop_del(e->bell);
	free(e);
	return NULL;
}

void events_want_fdb(struct events *e, bool wanted)
{
	atomic_store(&e->want_fdb, wanted);
}

uint64_t events_lost(struct events *e)
{
	uint64_t n;

	pthread_mutex_lock(&e->lock);
	n = e->lost;
	pthread_mutex_unlock(&e->lock);
	return n;
}

/* Does the log get this kind? The limit is taken here, so that a flood is not even queued. */
static bool log_wanted(struct vbridge *vb, enum bridge_event_kind kind, uint64_t *ret_suppressed)
{
	switch (kind) {
	case BRIDGE_FDB_MOVED:
	case BRIDGE_FDB_FULL:
	case BRIDGE_OWN_SOURCE:
		return limit_take(&vb->limits[kind], clock_now_ns(), ret_suppressed);
	case BRIDGE_MAC_CHANGED:
	case BRIDGE_MTU_CHANGED:
	case BRIDGE_STP_ROLE:
	case BRIDGE_STP_STATE:
		return true;
	case BRIDGE_STP_ROOT:
	case BRIDGE_STP_TOPOLOGY_CHANGE:
	case BRIDGE_STP_BPDU_GUARD:
	case BRIDGE_STP_ROOT_BLOCK:
		return limit_take(&vb->limits[kind], clock_now_ns(), ret_suppressed);
	default:
		return false;
	}
}

static void name_port(const struct vbridge *vb, uint16_t no, char *to)
{
	const struct bport *p = no ? bridge_port(vb->br, no) : NULL;

	snprintf(to, BPORT_NAME_SIZE, "%s", p ? p->name : vb->name);
}

void events_push(void *ctx, const struct bridge_event *be)
{
	struct vbridge *vb = ctx;
	struct events *e = vb->d->events;
	struct event ev = {.vb = vb, .e = *be};
	bool first = false;

	vb->n_events[be->kind]++;
	ev.to_log = log_wanted(vb, be->kind, &ev.suppressed);
	if (!ev.to_log && !atomic_load_explicit(&e->want_fdb, memory_order_relaxed))
		return;
	ev.time = clock_wall_s();
	/* While a bridge is being made its engine object is not known yet. */
	if (vb->br) {
		name_port(vb, be->port, ev.port);
		name_port(vb, be->old_port, ev.old_port);
	}
	pthread_mutex_lock(&e->lock);
	if (e->head - e->tail < QUEUE_SIZE) {
		first = e->head == e->tail;
		e->queue[e->head++ % QUEUE_SIZE] = ev;
	} else {
		e->lost++;
	}
	pthread_mutex_unlock(&e->lock);
	if (first) /* else it has rung, or the queue is being drained to its end */
		loop_ring(e->bell);
}

static void log_stp(const struct event *ev, const char *more)
{
	char root[TREE_ID_SIZE];

	switch (ev->e.kind) {
	case BRIDGE_STP_ROLE:
		log_debug("port %s: role %s, %s", ev->port, stp_role_name(ev->e.role),
			  bport_state_name(ev->e.state));
		break;
	case BRIDGE_STP_STATE:
		log_debug("port %s: %s", ev->port, bport_state_name(ev->e.state));
		break;
	case BRIDGE_STP_ROOT:
		log_info("bridge %s: root of the spanning tree is %s%s%s", ev->vb->name,
			 tree_id(ev->e.root, root), ev->e.port ? "" : ", itself", more);
		break;
	case BRIDGE_STP_TOPOLOGY_CHANGE:
		log_info("bridge %s: topology change on %s%s", ev->vb->name, ev->port, more);
		break;
	case BRIDGE_STP_BPDU_GUARD:
		log_warn("port %s: a BPDU came in, BPDU guard has shut the port%s", ev->port, more);
		break;
	default:
		log_warn("port %s: a better root is behind it, root_block keeps it out%s", ev->port,
			 more);
		break;
	}
}

static void log_event(const struct event *ev)
{
	char mac[MAC_TEXT_SIZE], more[48] = "";

	mac_format(ev->e.mac, mac);
	if (ev->suppressed)
		snprintf(more, sizeof(more), " (%llu more not shown)",
			 (unsigned long long)ev->suppressed);
	switch (ev->e.kind) {
	case BRIDGE_FDB_MOVED:
		log_info("bridge %s: %s moved from %s to %s vlan=%u%s", ev->vb->name, mac,
			 ev->old_port, ev->port, ev->e.vid, more);
		break;
	case BRIDGE_FDB_FULL:
		log_warn("bridge %s: %s on %s not learned, the table or a limit is full%s",
			 ev->vb->name, mac, ev->port, more);
		break;
	case BRIDGE_OWN_SOURCE:
		log_warn("bridge %s: received on %s a frame with our own address %s as its source: "
			 "a "
			 "loop?%s",
			 ev->vb->name, ev->port, mac, more);
		break;
	case BRIDGE_MAC_CHANGED:
		log_info("bridge %s: address is %s", ev->vb->name, mac);
		break;
	case BRIDGE_MTU_CHANGED:
		log_info("bridge %s: MTU is %u", ev->vb->name, ev->e.mtu);
		break;
	default:
		log_stp(ev, more);
		break;
	}
}

static void send_fdb_event(struct events *e, const struct event *ev)
{
	char mac[MAC_TEXT_SIZE];
	json_t *j = json_pack("{s:f, s:s, s:s, s:s, s:s, s:s}", "time", ev->time, "group", "fdb",
			      "kind", kinds[ev->e.kind], "bridge", ev->vb->name, "mac",
			      mac_format(ev->e.mac, mac), "ifname", ev->port);

	if (ev->e.kind == BRIDGE_FDB_MOVED)
		json_object_set_new(j, "old_ifname", json_string(ev->old_port));
	if (ev->e.vid)
		json_object_set_new(j, "vlan", json_integer(ev->e.vid));
	server_event(e->d->server, SERVER_FDB, j);
}

static void send_stp_event(struct events *e, const struct event *ev)
{
	char root[TREE_ID_SIZE];
	json_t *j;

	if (!e->d->server)
		return;
	j = json_pack("{s:f, s:s, s:s, s:s, s:s}", "time", ev->time, "group", "stp", "kind",
		      kinds[ev->e.kind], "bridge", ev->vb->name, "ifname", ev->port);
	if (ev->e.kind == BRIDGE_STP_ROLE)
		json_object_set_new(j, "role", json_string(stp_role_name(ev->e.role)));
	if (ev->e.kind == BRIDGE_STP_ROLE || ev->e.kind == BRIDGE_STP_STATE)
		json_object_set_new(j, "state", json_string(bport_state_name(ev->e.state)));
	if (ev->e.kind == BRIDGE_STP_ROOT)
		json_object_set_new(j, "root_id", json_string(tree_id(ev->e.root, root)));
	server_event(e->d->server, SERVER_STP, j);
}

/* Address or MTU of the bridge itself. */
static void follow_told(struct events *e, const struct event *ev)
{
	char mac[MAC_TEXT_SIZE];
	json_t *more = ev->e.kind == BRIDGE_MTU_CHANGED
			       ? json_pack("{s:i}", "mtu", (int)ev->e.mtu)
			       : json_pack("{s:s}", "address", mac_format(ev->e.mac, mac));

	events_link_more(e->d, kinds[ev->e.kind], ev->vb, NULL, more);
}

static void handle(struct events *e, const struct event *ev)
{
	if (ev->to_log)
		log_event(ev);
	if (ev->e.kind == BRIDGE_MAC_CHANGED || ev->e.kind == BRIDGE_MTU_CHANGED) {
		bridges_follow(ev->vb);
		follow_told(e, ev);
		return;
	}
	if (ev->e.kind >= BRIDGE_STP_ROLE)
		send_stp_event(e, ev);
	else if (atomic_load(&e->want_fdb))
		send_fdb_event(e, ev);
}

/* Those that found the queue full, since the last time. */
static void tell_lost(struct events *e)
{
	const uint64_t lost = events_lost(e), n = lost - e->lost_told;

	if (n == 0)
		return;
	e->lost_told = lost;
	events_daemon(e->d, "lost",
		      json_pack("{s:s, s:I}", "where", "queue", "count", (json_int_t)n));
}

void events_drain(struct events *e)
{
	for (;;) {
		struct event ev;
		bool have;

		pthread_mutex_lock(&e->lock);
		have = e->tail != e->head;
		if (have)
			ev = e->queue[e->tail++ % QUEUE_SIZE];
		pthread_mutex_unlock(&e->lock);
		if (!have)
			break;
		handle(e, &ev);
	}
	tell_lost(e);
}

static json_t *event_of(const char *group, const char *kind, const struct vbridge *vb,
			const char *ifname)
{
	json_t *j =
		json_pack("{s:f, s:s, s:s}", "time", clock_wall_s(), "group", group, "kind", kind);

	if (vb) {
		json_object_set_new(j, "bridge", json_string(vb->name));
		json_object_set_new(j, "ifname", json_string(ifname ? ifname : vb->name));
	}
	return j;
}

/* Steals j and more, which may be NULL. */
static void send_event(struct daemon *d, enum server_group group, json_t *j, json_t *more)
{
	if (more)
		json_object_update_new(j, more);
	if (d->server)
		server_event(d->server, group, j);
	else
		json_decref(j);
}

void events_link(struct daemon *d, const char *kind, const struct vbridge *vb, const char *ifname)
{
	events_link_more(d, kind, vb, ifname, NULL);
}

void events_link_more(struct daemon *d, const char *kind, const struct vbridge *vb,
		      const char *ifname, json_t *more)
{
	send_event(d, SERVER_LINK, event_of("link", kind, vb, ifname), more);
}

void events_program(struct daemon *d, const char *kind, const struct vbridge *vb, json_t *more)
{
	events_link_more(d, kind, vb, NULL, more);
}

void events_config(struct daemon *d, const char *kind, const struct vbridge *vb, const char *ifname,
		   json_t *more)
{
	send_event(d, SERVER_CONFIG, event_of("config", kind, vb, ifname), more);
}

void events_changed(struct daemon *d, const char *kind, const struct vbridge *vb,
		    const char *ifname, json_t *before, json_t *after)
{
	json_t *changed = json_object(), *v;
	const char *key;

	json_object_foreach(after, key, v)
	{
		if (!json_equal(v, json_object_get(before, key)))
			json_object_set(changed, key, v);
	}
	if (json_object_size(changed) > 0)
		events_config(d, kind, vb, ifname, json_pack("{s:O}", "changed", changed));
	json_decref(changed);
	json_decref(before);
	json_decref(after);
}

void events_state(struct daemon *d, const struct vbridge *vb, const char *ifname,
		  enum bport_state state)
{
	send_event(d, SERVER_STP, event_of("stp", "state", vb, ifname),
		   json_pack("{s:s}", "state", bport_state_name(state)));
}

void events_daemon(struct daemon *d, const char *kind, json_t *more)
{
	send_event(d, SERVER_ALL, event_of("daemon", kind, NULL, NULL), more);
}
