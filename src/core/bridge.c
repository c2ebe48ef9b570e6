/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A bridge is ports, an FDB, settings, and two passes over a batch: input.c decides where frames
 * go, forward.c sorts them into lists per port. This file is everything that is not per frame.
 *
 * Invariants:
 *  - by_no[] and ports[] hold the same ports; ports[] is dense and ascending. They change only
 *    between batches, in the worker that owns the bridge, so the passes need no lock.
 *  - A port without a link is DISABLED and has no learned entries.
 *  - For each address of a port and for the bridge's own there is exactly one local FDB entry. If
 *    several ports share an address, one of them has it; when that one leaves, another takes over.
 *    The bridge's own (port 0) exists only while no port has that address. The host's port counts
 *    as the bridge itself.
 *  - The FDB knows the time of the latest batch or tick. Time never runs backwards.
 *
 * The FDB is swept in shares, so that no tick is long; nothing depends on the sweep, for look-ups
 * do not find aged entries. The FDB tells of every entry that leaves it, whatever the cause.
 */
#include "core/bridge_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mac.h"
#include "base/probe.h"

#define FDB_CAPACITY_DEFAULT 65536u
#define MTU_DEFAULT          1500u /* of a bridge without ports, as in Linux */
#define HOST_PORT_NO         (PORTS_MAX - 1)

_Static_assert(FDB_PORTS == PORTS_MAX, "the FDB knows every port number");

#define SECOND_NS         1000000000ULL
#define TICK_MIN_NS       (SECOND_NS / 100)
#define TICK_MAX_NS       SECOND_NS
#define SWEEP_BUCKETS     4096u /* per tick; about 20 us */
#define SWEEPS_PER_AGEING 10u   /* a whole table this often per ageing time */

void bridge_emit(const struct bridge *br, const struct bridge_event *e)
{
	if (br->ops.event)
		br->ops.event(br->ops.ctx, e);
}

void bridge_set_now(struct bridge *br, uint64_t now_ns)
{
	uint32_t now_s = (uint32_t)(now_ns / SECOND_NS);

	br->drop_log.now_ns = now_ns;
	if (now_s <= br->now_s)
		return;
	br->now_s = now_s;
	fdb_set_now(br->fdb, now_s);
}

/* The FDB's port number for a local entry of p. */
static uint16_t local_no(const struct bport *p)
{
	return p->host ? 0 : p->no;
}

/* Makes mac a local entry of port no. One that another port has already stays there. */
static void local_add(struct bridge *br, uint64_t mac, uint16_t no)
{
	struct fdb_entry e;

	if (mac == 0)
		return;
	if (fdb_get(br->fdb, mac, 0, &e) && e.kind == FDB_LOCAL && e.port != 0)
		return;
	fdb_add(br->fdb, mac, 0, no, FDB_LOCAL, true);
	bridge_vlan_own(br, mac);
}

/* Gives mac to whoever still has it: a port, else the bridge. */
static void local_inherit(struct bridge *br, uint64_t mac)
{
	for (uint32_t i = 0; i < br->n_ports; i++) {
		if (br->ports[i]->mac == mac)
			local_add(br, mac, local_no(br->ports[i]));
	}
	if (br->mac == mac)
		local_add(br, mac, 0);
}

/* Port no does not have mac any longer. */
static void local_del(struct bridge *br, uint64_t mac, uint16_t no)
{
	struct fdb_entry e;

	if (!fdb_get(br->fdb, mac, 0, &e) || e.kind != FDB_LOCAL || e.port != no)
		return;
	fdb_del(br->fdb, mac, 0, no);
	local_inherit(br, mac);
}

/* The numerically lowest address of a port that has one. */
static uint64_t lowest_mac(const struct bridge *br)
{
	uint64_t r = 0;

	for (uint32_t i = 0; i < br->n_ports; i++) {
		const struct bport *p = br->ports[i];

		if (!p->host && p->mac && (r == 0 || p->mac < r))
			r = p->mac;
	}
	return r ? r : br->own_mac;
}

static uint32_t smallest_mtu(const struct bridge *br)
{
	uint32_t r = 0;

	for (uint32_t i = 0; i < br->n_ports; i++) {
		const struct bport *p = br->ports[i];

		if (!p->host && !p->lazy && (r == 0 || p->mtu < r))
			r = p->mtu;
	}
	return r ? r : MTU_DEFAULT;
}

static void change_mac(struct bridge *br, uint64_t mac)
{
	struct bridge_event e = {.kind = BRIDGE_MAC_CHANGED, .mac = mac};
	uint64_t old = br->mac;

	if (mac == old)
		return;
	br->mac = mac;
	if (br->stp)
		stp_set_mac(br->stp, mac);
	local_del(br, old, 0);
	local_add(br, mac, 0);
	bridge_emit(br, &e);
}

static void change_mtu(struct bridge *br, uint32_t mtu)
{
	struct bridge_event e = {.kind = BRIDGE_MTU_CHANGED, .mac = br->mac, .mtu = mtu};

	if (mtu == br->mtu)
		return;
	br->mtu = mtu;
	bridge_emit(br, &e);
}

/* Address and MTU follow the ports, unless a user has set them. */
static void follow_ports(struct bridge *br)
{
	if (!br->set.mac_set)
		change_mac(br, lowest_mac(br));
	if (!br->set.mtu_set)
		change_mtu(br, smallest_mtu(br));
}

/* An entry leaves the FDB. Local ones follow the ports and are nobody's news. */
static void gone(void *ctx, const struct fdb_entry *entry)
{
	struct bridge_event e = {
		.kind = BRIDGE_FDB_GONE,
		.mac = entry->mac,
		.vid = entry->vid,
		.port = entry->port,
	};

	if (entry->kind != FDB_LOCAL)
		bridge_emit(ctx, &e);
}

struct bridge *bridge_new(const struct bridge_config *cfg, const struct bridge_ops *ops,
			  const struct buf_ops *bufs)
{
	uint32_t capacity = cfg->fdb_capacity ? cfg->fdb_capacity : FDB_CAPACITY_DEFAULT;
	struct bridge *br = aligned_alloc(64, sizeof(*br));

	if (!br)
		return NULL;
	memset(br, 0, sizeof(*br));
	br->fdb = fdb_new(capacity, cfg->hash_key);
	if (!br->fdb || (cfg->kind == BRIDGE_OWN && bridge_stp_init(br)))
		return bridge_free(br);
	fdb_on_gone(br->fdb, gone, br);
	memcpy(br->name, cfg->name, sizeof(br->name) - 1);
	if (ops)
		br->ops = *ops;
	br->bufs = *bufs;
	br->own_mac = cfg->mac;
	br->kind = cfg->kind;
	br->mtu = MTU_DEFAULT;
	br->set.ageing_time_s = FDB_AGEING_DEFAULT_S;
	br->mac = cfg->mac;
	if (br->stp)
		stp_set_mac(br->stp, br->mac);
	br->nowhere.link_up = true;
	br->nowhere.drop_log = &br->drop_log;
	br->nowhere.state = BPORT_FORWARDING;
	br->vlan.set = vlan_settings_default();
	bridge_vlan_set(br, &br->vlan.set); /* without counters it does not fail */
	intercept_init(&br->intercept, cfg->hash_key);
	local_add(br, br->mac, 0);
	return br;
}

static void port_free(struct bport *p)
{
	free(p->vlan_counters);
	free(p);
}

struct bridge *bridge_free(struct bridge *br)
{
	if (!br)
		return NULL;
	for (uint32_t i = 0; i < br->n_ports; i++)
		port_free(br->ports[i]);
	hooks_free(br);
	mirrors_free(br);
	fdb_free(br->fdb);
	free(br->vlan.counters);
	stp_free(br->stp);
	free(br);
	return NULL;
}

const char *bridge_name(const struct bridge *br)
{
	return br->name;
}

enum bridge_kind bridge_kind(const struct bridge *br)
{
	return br->kind;
}

uint64_t bridge_mac(const struct bridge *br)
{
	return br->mac;
}

uint32_t bridge_mtu(const struct bridge *br)
{
	return br->mtu;
}

void bridge_set_mac(struct bridge *br, uint64_t mac)
{
	br->set.mac_set = mac != 0;
	change_mac(br, mac ? mac : lowest_mac(br));
}

void bridge_set_mtu(struct bridge *br, uint32_t mtu)
{
	br->set.mtu_set = mtu != 0;
	change_mtu(br, mtu ? mtu : smallest_mtu(br));
}

const struct bridge_settings *bridge_settings(const struct bridge *br)
{
	return &br->set;
}

void bridge_set(struct bridge *br, const struct bridge_settings *s)
{
	br->set = *s;
	br->set.group_fwd_mask &= (uint16_t)~7u;
	fdb_set_ageing(br->fdb, s->ageing_time_s);
	fdb_set_limit(br->fdb, s->fdb_max_learned);
	follow_ports(br);
}

struct fdb *bridge_fdb(struct bridge *br)
{
	return br->fdb;
}

struct intercept *bridge_intercept(struct bridge *br)
{
	return &br->intercept;
}

struct stp *bridge_stp(const struct bridge *br)
{
	return br->stp;
}

struct drop_log *bridge_drop_log(struct bridge *br)
{
	return &br->drop_log;
}

const struct bport *bridge_nowhere(const struct bridge *br)
{
	return &br->nowhere;
}

/* The number for a new port; 0 when all are taken. */
static uint16_t free_no(const struct bridge *br, bool host, uint16_t wanted)
{
	if (wanted)
		return port_by_no(br, wanted) || wanted >= HOST_PORT_NO ? 0 : wanted;
	if (host)
		return br->host ? 0 : HOST_PORT_NO;
	for (uint16_t no = 1; no < HOST_PORT_NO; no++) {
		if (!br->by_no[no])
			return no;
	}
	return 0;
}

/* Rebuilds the dense array after by_no[] changed. */
static void list_ports(struct bridge *br)
{
	br->n_ports = 0;
	for (uint32_t no = 1; no < PORTS_MAX; no++) {
		if (br->by_no[no])
			br->ports[br->n_ports++] = br->by_no[no];
	}
}

int bridge_port_add(struct bridge *br, const struct bport_config *cfg, struct bport **ret)
{
	uint16_t no = free_no(br, cfg->host, cfg->no);
	struct bport *p;
	int r;

	if (no == 0)
		return BRIDGE_E_FULL;
	p = aligned_alloc(64, sizeof(*p));
	if (!p)
		return error_origin(-ENOMEM);
	memset(p, 0, sizeof(*p));
	r = bridge_vlan_port(br, p);
	if (!r && br->stp && !cfg->host)
		r = stp_port_add(br->stp, no, cfg->mac);
	if (r) {
		port_free(p);
		return error_trace(r);
	}
	/* commit */
	memcpy(p->name, cfg->name, sizeof(p->name) - 1);
	p->no = no;
	p->flags = bport_flags_default();
	p->host = cfg->host;
	p->self = cfg->self;
	p->lazy = cfg->lazy;
	p->link_up = cfg->link_up;
	p->state = (uint8_t)state_with_link(br, p);
	p->max_len = bport_max_len(cfg->mtu);
	p->mac = cfg->mac;
	p->mtu = cfg->mtu;
	p->owner = cfg->owner;
	p->generation = ++br->generation;
	p->drop_log = &br->drop_log;
	br->by_no[no] = p;
	if (p->host)
		br->host = p;
	if (p->self)
		br->self = p;
	list_ports(br);
	bridge_bind(br);
	local_add(br, p->mac, local_no(p));
	follow_ports(br);
	if (br->stp)
		stp_port_link(br->stp, no, takes_part(p), p->mac);
	*ret = p;
	return 0;
}

void bridge_port_del(struct bridge *br, struct bport *port)
{
	struct fdb_flush all = {.port = port->no, .vid = -1, .all_kinds = true};

	fdb_flush(br->fdb, &all); /* while the port's number still says its name */
	br->by_no[port->no] = NULL;
	if (br->stp)
		stp_port_del(br->stp, port->no);
	if (port->host)
		br->host = NULL;
	if (port->self)
		br->self = NULL;
	list_ports(br);
	bridge_bind(br);
	local_del(br, port->mac, local_no(port)); /* the host's is at 0, thus not flushed */
	local_inherit(br, port->mac);
	/* the number may get another owner */
	fdb_set_port_limit(br->fdb, port->no, 0);
	follow_ports(br);
	port_free(port);
}

struct bport *bridge_port(const struct bridge *br, uint16_t no)
{
	return port_by_no(br, no);
}

struct bport *bridge_port_next(const struct bridge *br, const struct bport *after)
{
	for (uint32_t no = after ? after->no + 1u : 1; no < PORTS_MAX; no++) {
		if (br->by_no[no])
			return br->by_no[no];
	}
	return NULL;
}

void bridge_port_set_state(struct bridge *br, struct bport *port, enum bport_state state)
{
	if (!port->link_up && state != BPORT_DISABLED)
		return;
	if (port->span)
		state = BPORT_DISABLED;
	port->state = (uint8_t)state;
	if (state != BPORT_FORWARDING && state != BPORT_LEARNING)
		fdb_flush_port(br->fdb, port->no);
}

void bridge_port_link(struct bridge *br, struct bport *port, uint64_t mac, uint32_t mtu, bool up)
{
	uint64_t old_mac = port->mac;

	port->mtu = mtu;
	port->max_len = bport_max_len(mtu);
	if (mac != old_mac) {
		port->mac = mac;
		local_del(br, old_mac, local_no(port));
		local_add(br, mac, local_no(port));
	}
	if (up != port->link_up) {
		port->link_up = up;
		bridge_port_set_state(br, port, state_with_link(br, port));
		if (port->lazy)
			bridge_bind(br);
	}
	follow_ports(br);
	if (br->stp)
		stp_port_link(br->stp, port->no, takes_part(port), port->mac);
}

void bridge_port_set_flags(struct bridge *br, struct bport *port, uint8_t mask, uint8_t flags)
{
	if (port->host)
		return;
	port->flags = (uint8_t)((port->flags & ~mask) | (flags & mask));
}

void bridge_port_set_fdb_limit(struct bridge *br, struct bport *port, uint32_t max_learned)
{
	port->fdb_max_learned = max_learned;
	fdb_set_port_limit(br->fdb, port->no, max_learned);
}

void bridge_disown(struct bridge *br, struct batch *b)
{
	struct drop_set d;

	drop_set_init(&d, br);
	br->drop_log.now_ns = b->now_ns;
	for (uint32_t i = 0; i < b->n; i++)
		drop_set_add(&d, &br->nowhere, &b->frames[i], DROP_ORIGIN_GONE);
	drop_set_put(&d);
	b->n = 0;
}

void bridge_set_trace(struct bridge *br, struct trace *t)
{
	br->trace = t;
}

struct trace *bridge_trace(const struct bridge *br)
{
	return br->trace;
}

/* The port with that generation; nowhere if it has left. */
static const struct bport *port_of_generation(const struct bridge *br, uint32_t generation)
{
	for (uint32_t i = 0; i < br->n_ports; i++)
		if (br->ports[i]->generation == generation)
			return br->ports[i];
	return &br->nowhere;
}

static void driver_dropped(void *ctx, uint32_t port, enum drop_reason r, const uint8_t *data,
			   uint32_t caplen)
{
	struct bridge *br = ctx;
	const struct bport *at = port_of_generation(br, port);
	const struct frame f = {.data = (uint8_t *)data, .len = caplen, .in_port = at->no};

	br->dropped(br->dropped_ctx, at, &f, r);
}

void bridge_on_drop(struct bridge *br, bridge_dropped_fn *fn, void *ctx)
{
	br->dropped = fn;
	br->dropped_ctx = ctx;
	br->drop_log.tell = fn ? driver_dropped : NULL;
	br->drop_log.tell_ctx = br;
}

void bridge_tell_drop(struct bridge *br, const struct bport *at, const struct frame *f,
		      enum drop_reason r)
{
	if (f->flags & FRAME_TRACED)
		trace_step(br->trace, f, at,
			   (struct trace_record){.step = TRACE_DROP, .result = (uint8_t)r});
	if (br->dropped)
		br->dropped(br->dropped_ctx, at, f, r);
}

void bport_drop(struct bport *port, enum drop_reason r, const struct frame *f)
{
	port->counters.drops.n[r]++;
	PROBE(drop, port->name, r, drop_name(r), f->len);
	drop_note(port->drop_log, port->generation, r, f->data, f->len, f->len);
}

void bridge_tx_done(struct bport *port, uint32_t n, uint64_t bytes)
{
	port->counters.tx_packets += n;
	port->counters.tx_bytes += bytes;
}

/* Time between two ticks, so that the whole table is swept several times per ageing time. */
static uint64_t tick_period(const struct bridge *br)
{
	uint64_t n_ticks = fdb_n_buckets(br->fdb) / SWEEP_BUCKETS + 1;
	uint64_t round_ns = br->set.ageing_time_s * SECOND_NS / SWEEPS_PER_AGEING;
	uint64_t r = round_ns / n_ticks;

	if (fdb_has_flushed(br->fdb))
		return TICK_MIN_NS;
	if (br->set.ageing_time_s == 0) /* nothing is learned, nothing ages */
		return TICK_MAX_NS;
	return max_of(min_of(r, TICK_MAX_NS), TICK_MIN_NS);
}

uint64_t bridge_tick(struct bridge *br, uint64_t now_ns)
{
	uint32_t n = fdb_n_buckets(br->fdb);
	uint64_t stp_ns;

	bridge_set_now(br, now_ns);
	stp_ns = br->stp ? stp_tick(br->stp, now_ns) : UINT64_MAX;
	if (now_ns >= br->next_tick_ns) {
		fdb_sweep(br->fdb, min_of(n, SWEEP_BUCKETS));
		br->next_tick_ns = now_ns + tick_period(br);
	}
	return min_of(br->next_tick_ns, stp_ns);
}

bool bridge_needs_ticks(const struct bridge *br)
{
	struct fdb_stats st;

	if (stp_is_on(br->stp))
		return true;
	fdb_stats(br->fdb, &st);
	return st.n_learned > 0;
}
