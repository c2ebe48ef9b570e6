/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VLANs of a bridge, between batches: settings, the sets of its ports, counters. What happens to
 * frames is in input.c and forward.c, sets and tags themselves in vlan.c.
 *
 * Own addresses are in the FDB once, in VLAN 0, and hold in every VLAN (core/fdb.h): the table does
 * not grow by VLANs times ports.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "core/bridge_internal.h"

/* What IEEE 802.1Q lets pass through the customer side of a provider bridge: 00, 0b, 0c, 0d, 0f. */
#define PROVIDER_FWD 0xb801u

const struct vlan_settings *bridge_vlan_settings(const struct bridge *br)
{
	return &br->vlan.set;
}

/* ---- counters ---- */

static int counters_alloc(struct vlan_counters **p)
{
	if (!*p)
		*p = calloc(VLAN_N, sizeof(**p));
	return *p ? 0 : error_origin(-ENOMEM);
}

static void counters_free(struct vlan_counters **p)
{
	free(*p);
	*p = NULL;
}

static bool counts_ports(const struct vlan_settings *s)
{
	return s->stats && s->stats_per_port;
}

/* Allocates what s asks for. What is too much on failure stays for the next time. */
static int counters_for(struct bridge *br, const struct vlan_settings *s)
{
	int r = s->stats ? counters_alloc(&br->vlan.counters) : 0;

	for (uint32_t i = 0; i < br->n_ports && !r && counts_ports(s); i++)
		r = counters_alloc(&br->ports[i]->vlan_counters);
	return r;
}

static void counters_trim(struct bridge *br)
{
	if (!br->vlan.set.stats)
		counters_free(&br->vlan.counters);
	for (uint32_t i = 0; i < br->n_ports && !counts_ports(&br->vlan.set); i++)
		counters_free(&br->ports[i]->vlan_counters);
}

struct vlan_counters bridge_vlan_counters(const struct bridge *br, const struct bport *port,
					  uint16_t vid)
{
	const struct vlan_counters *c =
		port->vlan_counters ? port->vlan_counters : br->vlan.counters;

	return c ? c[vid] : (struct vlan_counters){0};
}

/* ---- sets ---- */

int bridge_vlan_port(const struct bridge *br, struct bport *p)
{
	const struct vlan_settings *s = &br->vlan.set;

	if (s->default_pvid)
		vlan_add(&p->vlans, s->default_pvid, s->default_pvid, VLAN_PVID | VLAN_UNTAGGED);
	return counts_ports(s) ? counters_alloc(&p->vlan_counters) : 0;
}

uint32_t bridge_vlan_add(struct bridge *br, struct bport *port, uint16_t first, uint16_t last,
			 unsigned int flags)
{
	(void)br;
	return vlan_add(&port->vlans, first, last, flags);
}

uint32_t bridge_vlan_del(struct bridge *br, struct bport *port, uint16_t first, uint16_t last)
{
	const struct fdb_flush learned = {.port = port->no, .vid = first, .vid_last = last};
	uint32_t n = vlan_del(&port->vlans, first, last);

	if (n > 0)
		fdb_flush(br->fdb, &learned);
	return n;
}

void bridge_vlan_replace(struct bridge *br, struct bport *port, const struct vlan_set *want)
{
	const struct fdb_flush learned = {.port = port->no, .vid = 1, .vid_last = VLAN_ID_MAX};
	uint64_t lost = 0;

	for (uint32_t i = 0; i < array_size(want->words); i++)
		lost |= port->vlans.words[i].member & ~want->words[i].member;
	port->vlans = *want;
	if (lost)
		fdb_flush(br->fdb, &learned);
}

/* ---- settings ---- */

/* Has the port the default PVID as it was given to it? */
static bool has_default(const struct bport *p, uint16_t pvid)
{
	return p->vlans.pvid == pvid && (!pvid || vlan_is_untagged(&p->vlans, pvid));
}

/* What a user has changed stays; and a port with the new VLAN already has it for a reason. */
static void follow_default(struct bridge *br, struct bport *p, uint16_t old, uint16_t new)
{
	if (!has_default(p, old) || (new &&vlan_has(&p->vlans, new)))
		return;
	if (old)
		bridge_vlan_del(br, p, old, old);
	if (new)
		bridge_vlan_add(br, p, new, new, VLAN_PVID | VLAN_UNTAGGED);
}

/* Frames from nowhere were made by a program: it may use any VLAN, and the default without a tag.
 */
static void set_nowhere(struct bridge *br)
{
	struct vlan_set *s = &br->nowhere.vlans;
	const uint16_t pvid = br->vlan.set.default_pvid;

	vlan_add(s, 1, VLAN_ID_MAX, 0);
	if (pvid)
		vlan_add(s, pvid, pvid, VLAN_PVID);
}

int bridge_vlan_set(struct bridge *br, const struct vlan_settings *s)
{
	const struct vlan_settings old = br->vlan.set;
	struct fdb_flush learned = {.port = -1, .vid = -1};
	int r = counters_for(br, s);

	if (r)
		return error_trace(r);
	/* commit */
	br->vlan.set = *s;
	br->vlan.on = s->filtering && br->kind == BRIDGE_OWN;
	br->vlan.group_fwd_required =
		br->vlan.on && s->protocol == FRAME_TAG_8021AD ? PROVIDER_FWD : 0;
	counters_trim(br);
	if (old.default_pvid != s->default_pvid) {
		for (uint32_t i = 0; i < br->n_ports; i++)
			follow_default(br, br->ports[i], old.default_pvid, s->default_pvid);
	}
	set_nowhere(br);
	if (old.filtering != s->filtering || old.protocol != s->protocol)
		fdb_flush(br->fdb, &learned);
	return 0;
}

void bridge_vlan_own(struct bridge *br, uint64_t mac)
{
	struct fdb_entry e;

	if (!br->vlan.on)
		return;
	for (uint16_t vid = 1; vid <= VLAN_ID_MAX; vid++) {
		if (fdb_get(br->fdb, mac, vid, &e) && !e.added_by_user)
			fdb_del(br->fdb, mac, vid, 0);
	}
}
