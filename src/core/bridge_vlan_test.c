/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VLAN filtering in both passes and through a program: who gets a frame with which tag, what is
 * learned, counted, dropped. Which of all combinations is right is asked by
 * tests/model/model_vlan.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/intercept_testkit.h"
#include "core/mirror.h"

#define Q   FRAME_TAG_8021Q
#define AD  FRAME_TAG_8021AD
#define PU  (VLAN_PVID | VLAN_UNTAGGED)
#define ALL (VLAN_N) /* no tag */

/* a is an access port of VLAN 10, b a trunk of 10 and 20, c an access port of 20; the host is in 1.
 */
static int setup(void **state)
{
	struct ilab *l = ilab_new();
	struct vlan_settings s = *bridge_vlan_settings(l->k->br);
	struct bridge *br = l->k->br;

	s.filtering = true;
	assert_int_equal(bridge_vlan_set(br, &s), 0);
	bridge_vlan_add(br, l->a, 10, 10, PU);
	bridge_vlan_del(br, l->a, 1, 1);
	bridge_vlan_del(br, l->b, 1, 1);
	bridge_vlan_add(br, l->b, 10, 10, 0);
	bridge_vlan_add(br, l->b, 20, 20, 0);
	bridge_vlan_add(br, l->c, 20, 20, PU);
	bridge_vlan_del(br, l->c, 1, 1);
	memset(l->k->n_events, 0, sizeof(l->k->n_events));
	*state = l;
	return 0;
}

static void change(struct ilab *l, bool stats, bool per_port, uint16_t protocol)
{
	struct vlan_settings s = *bridge_vlan_settings(l->k->br);

	s.stats = stats;
	s.stats_per_port = per_port;
	s.protocol = protocol;
	assert_int_equal(bridge_vlan_set(l->k->br, &s), 0);
}

static void promisc(struct ilab *l)
{
	struct bridge_settings s = *bridge_settings(l->k->br);

	s.promisc = true;
	bridge_set(l->k->br, &s);
}

/* Puts a tag in front of a frame of the batch. */
static void put_tag(struct frame *f, uint16_t tpid, uint16_t tci)
{
	memmove(f->data + 16, f->data + 12, f->len - 16);
	f->data[12] = (uint8_t)(tpid >> 8);
	f->data[13] = (uint8_t)tpid;
	f->data[14] = (uint8_t)(tci >> 8);
	f->data[15] = (uint8_t)tci;
}

/* A frame of 64 bytes with a tag, or of 60 without one (ALL). The program takes what it gets. */
static void send(struct ilab *l, struct bport *in, uint64_t src, uint64_t dst, uint32_t tci)
{
	struct frame *f = kit_frame(l->k, src, dst, tci == ALL ? 60 : 64);

	if (tci != ALL)
		put_tag(f, Q, (uint16_t)tci);
	kit_run(l->k, in);
	ilab_take(l);
}

/* "u" untagged, "10" a tag, "10/7" with a priority. */
static void describe(char *s, size_t size, const struct frame *f)
{
	const uint16_t type = frame_be16(f->data + 12), tci = frame_be16(f->data + 14);

	if (!frame_is_tag(type))
		snprintf(s, size, "u");
	else
		snprintf(s, size, "%s%u%s%.0u", type == AD ? "s" : "", tci & 0xfff,
			 tci >> 13 ? "/" : "", tci >> 13);
	/* The frame behind it is whole, and the descriptor knows it. */
	assert_int_equal(f->len, frame_is_tag(type) ? 64 : 60);
	assert_int_equal(f->n_tags, frame_is_tag(type));
	assert_int_equal(frame_be16(f->data + (frame_is_tag(type) ? 16 : 12)), 0x0800);
}

/* "a:u b:10": exactly these got the frame, so. */
static void assert_forms(struct ilab *l, const char *want)
{
	const struct bport *p[] = {l->a, l->b, l->c, l->host};
	char got[64] = "", form[16];

	for (int i = 0; i < 4; i++) {
		const struct egress_list *list = &l->k->out->lists[p[i]->no];

		for (uint32_t n = 0; n < list->n; n++) {
			describe(form, sizeof(form), list->frames[n]);
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%c:%s",
				 *got ? " " : "", "abch"[i], form);
		}
	}
	assert_string_equal(got, want);
}

static void knows(struct ilab *l, uint64_t mac, uint16_t vid, const struct bport *p)
{
	struct fdb_entry e;

	assert_true(fdb_get(bridge_fdb(l->k->br), mac, vid, &e));
	assert_int_equal(e.port, p->no);
}

static void lacks(struct ilab *l, uint64_t mac, uint16_t vid)
{
	struct fdb_entry e;

	assert_false(fdb_get(bridge_fdb(l->k->br), mac, vid, &e));
}

/* ---- who gets it, and how ---- */

static void off_is_as_if_there_were_no_vlans(void **state)
{
	struct ilab *l = *state;
	struct vlan_settings s = vlan_settings_default();

	bridge_vlan_set(l->k->br, &s);
	send(l, l->a, AA, MAC_BROADCAST, 77);
	assert_forms(l, "b:77 c:77 h:77");
	knows(l, AA, 0, l->a);
	send(l, l->b, BB, AA, 10);
	assert_forms(l, "a:10");
}

static void floods_stay_in_their_vlan(void **state)
{
	struct ilab *l = *state;

	for (int room = 0; room < 2; room++) {
		l->k->headroom = l->k->tailroom = room ? 8 : 0;
		send(l, l->a, AA, MAC_BROADCAST, ALL);
		assert_forms(l, "b:10");
		send(l, l->b, BB, MAC_BROADCAST, 10);
		assert_forms(l, "a:u");
		send(l, l->b, BB, MCAST, 20);
		assert_forms(l, "c:u");
		send(l, l->c, XX, 0x020000000066ULL, ALL);
		assert_forms(l, "b:20");
		send(l, l->host, KIT_MAC, MAC_BROADCAST, ALL);
		assert_forms(l, "");
	}
	assert_int_equal(kit_drops(l->host, DROP_NO_EGRESS), 2);
}

static void one_flood_has_both_forms(void **state)
{
	struct ilab *l = *state;

	bridge_vlan_add(l->k->br, l->c, 10, 10, VLAN_UNTAGGED);
	bridge_vlan_add(l->k->br, l->host, 10, 10, 0);
	send(l, l->a, AA, MAC_BROADCAST, ALL);
	assert_forms(l, "b:10 c:u h:10");
	/* the two tagged ones share the copy */
	assert_int_equal(l->k->out->lists[l->b->no].frames[0]->buf,
			 l->k->out->lists[l->host->no].frames[0]->buf);
	send(l, l->b, BB, MAC_BROADCAST, 10);
	assert_forms(l, "a:u c:u h:10");
}

static void what_nobody_else_has_is_edited_where_it_is(void **state)
{
	struct ilab *l = *state;
	uint32_t buf;

	l->k->headroom = 4;
	kit_frame(l->k, AA, MAC_BROADCAST, 60);
	buf = l->k->in->frames[0].buf;
	kit_run(l->k, l->a);
	assert_forms(l, "b:10");
	assert_int_equal(l->k->out->lists[l->b->no].frames[0]->buf, buf);
	assert_int_equal(l->k->out->n_forms, 0);
}

static void what_somebody_else_has_is_copied(void **state)
{
	struct ilab *l = *state;
	struct frame *f;
	uint32_t buf;

	l->k->headroom = 4;
	f = kit_frame(l->k, AA, BB, 60);
	buf = f->buf;
	kit_ref(l->k, buf, 1);
	kit_run(l->k, l->a);
	assert_forms(l, "b:10");
	assert_int_not_equal(l->k->out->lists[l->b->no].frames[0]->buf, buf);
	assert_int_equal(frame_be16(f->data + 12), 0x0800);
	assert_int_equal(kit_refs(l->k, buf), 1);
	kit_put(l->k, &buf, 1);
}

static void no_buffer_for_a_form(void **state)
{
	struct ilab *l = *state;

	bridge_vlan_add(l->k->br, l->c, 10, 10, VLAN_UNTAGGED);
	kit_frame(l->k, AA, MAC_BROADCAST, 60);
	kit_frame(l->k, AA, BB, 60);
	l->k->no_buffers = true;
	kit_run(l->k, l->a);
	l->k->no_buffers = false;
	assert_int_equal(kit_got(l->k, l->b), 0);
	assert_int_equal(kit_got(l->k, l->c), 2);
	assert_int_equal(kit_drops(l->b, DROP_NO_BUFFER), 2);
}

static void unicast_by_vlan(void **state)
{
	struct ilab *l = *state;

	send(l, l->b, BB, MAC_BROADCAST, 10);
	send(l, l->c, BB, MAC_BROADCAST, ALL); /* the same station in another VLAN */
	knows(l, BB, 10, l->b);
	knows(l, BB, 20, l->c);
	send(l, l->a, AA, BB, ALL);
	assert_forms(l, "b:10");
	send(l, l->b, AA, BB, 20);
	assert_forms(l, "c:u");
	send(l, l->b, XX, AA, 10);
	assert_forms(l, "a:u");
}

static void an_entry_of_a_port_that_is_not_in_the_vlan(void **state)
{
	struct ilab *l = *state;

	fdb_add(bridge_fdb(l->k->br), XX, 10, l->c->no, FDB_STATIC, false);
	send(l, l->a, AA, XX, ALL);
	assert_forms(l, "");
	assert_int_equal(kit_drops(l->a, DROP_VLAN_EGRESS), 1);
}

static void priorities_survive_where_there_is_a_tag(void **state)
{
	struct ilab *l = *state;

	bridge_vlan_add(l->k->br, l->c, 10, 10, VLAN_UNTAGGED);
	for (int room = 0; room < 2; room++) {
		l->k->headroom = room ? 4 : 0;
		send(l, l->a, AA, MAC_BROADCAST, 0xe000);
		assert_forms(l, "b:10/7 c:u");
		knows(l, AA, 10, l->a);
		send(l, l->b, BB, MAC_BROADCAST, 0x600a);
		assert_forms(l, "a:u c:u");
	}
	send(l, l->a, AA, BB, 0xa000);
	assert_forms(l, "b:10/5");
	bridge_vlan_del(l->k->br, l->b, 10, 10);
	send(l, l->a, AA, MAC_BROADCAST, 0x2000);
	assert_forms(l, "c:u");
}

static void a_provider_bridge_takes_customers_tags_for_payload(void **state)
{
	struct ilab *l = *state;

	change(l, false, false, AD);
	for (int room = 0; room < 2; room++) {
		struct frame *f;

		l->k->headroom = room ? 4 : 0;
		f = kit_frame(l->k, AA, MAC_BROADCAST, 64);
		put_tag(f, Q, 20);
		kit_run(l->k, l->a);
		assert_int_equal(kit_got_all(l->k), 1);
		f = l->k->out->lists[l->b->no].frames[0];
		assert_int_equal(f->len, 68);
		assert_int_equal(f->n_tags, 2);
		assert_int_equal(frame_be16(f->data + 12), AD);
		assert_int_equal(frame_be16(f->data + 14), 10);
		assert_int_equal(frame_be16(f->data + 16), Q);
		assert_int_equal(frame_be16(f->data + 18), 20);
		knows(l, AA, 10, l->a);

		f = kit_frame(l->k, BB, MAC_BROADCAST, 68);
		put_tag(f, Q, 20);
		put_tag(f, AD, 10);
		kit_run(l->k, l->b);
		assert_forms(l, "a:20");
	}
	/* what customers' bridges say to each other passes */
	kit_send(l->k, l->a, AA, MAC_RESERVED_BASE + 0xd);
	assert_int_equal(kit_got(l->k, l->b), 1);
	kit_send(l->k, l->a, AA, MAC_RESERVED_BASE + 0xe);
	assert_int_equal(kit_got(l->k, l->b), 0);
}

/* ---- what may not come in ---- */

static void refused(struct ilab *l, struct bport *in, uint32_t tci, enum drop_reason r)
{
	uint64_t n = kit_drops(in, r);

	send(l, in, XX, MAC_BROADCAST, tci);
	assert_forms(l, "");
	assert_int_equal(kit_drops(in, r), n + 1);
	for (uint16_t vid = 0; vid < VLAN_N; vid++)
		lacks(l, XX, vid);
}

static void frames_of_other_vlans_are_refused(void **state)
{
	struct ilab *l = *state;

	refused(l, l->a, 20, DROP_VLAN_INGRESS);
	refused(l, l->a, 4095, DROP_VLAN_INGRESS);
	refused(l, l->b, 11, DROP_VLAN_INGRESS);
	refused(l, l->b, ALL, DROP_VLAN_NO_PVID);
	refused(l, l->b, 0xe000, DROP_VLAN_NO_PVID);
	refused(l, l->host, 10, DROP_VLAN_INGRESS);
	bridge_port_set_state(l->k->br, l->a, BPORT_LEARNING);
	refused(l, l->a, 20, DROP_VLAN_INGRESS);
	bridge_port_set_state(l->k->br, l->a, BPORT_BLOCKING);
	refused(l, l->a, 20, DROP_INGRESS_STATE);
}

static void a_cut_off_tag_is_no_frame(void **state)
{
	struct ilab *l = *state;
	struct frame *f = kit_frame(l->k, AA, MAC_BROADCAST, 17);

	f->data[12] = 0x81;
	f->data[13] = 0;
	kit_run(l->k, l->a);
	assert_int_equal(kit_got_all(l->k), 0);
	assert_int_equal(kit_drops(l->a, DROP_RUNT), 1);
}

static void a_learning_port_learns_by_vlan(void **state)
{
	struct ilab *l = *state;

	bridge_port_set_state(l->k->br, l->b, BPORT_LEARNING);
	send(l, l->b, BB, MAC_BROADCAST, 20);
	assert_forms(l, "");
	knows(l, BB, 20, l->b);
	lacks(l, BB, 10);
}

static void reserved_frames_are_of_no_vlan(void **state)
{
	struct ilab *l = *state;

	send(l, l->b, BB, LLDP, ALL); /* no PVID there, and the host is in neither */
	assert_forms(l, "h:u");
	lacks(l, BB, 0);
	send(l, l->b, XX, LLDP, 10);
	assert_forms(l, "h:10");
	knows(l, XX, 10, l->b);
	send(l, l->b, BB, LLDP, 11);
	assert_forms(l, "h:11");
	lacks(l, BB, 11);
}

/* ---- the host ---- */

static void own_addresses_are_known_in_every_vlan(void **state)
{
	struct ilab *l = *state;
	const uint64_t mac = bridge_mac(l->k->br);

	bridge_vlan_add(l->k->br, l->host, 10, 10, VLAN_UNTAGGED);
	send(l, l->a, AA, mac, ALL);
	assert_forms(l, "h:u");
	send(l, l->b, AA, l->c->mac, 10); /* any port's */
	assert_forms(l, "h:u");
	send(l, l->b, AA, mac, 20); /* the host is not in there */
	assert_forms(l, "");
	assert_int_equal(kit_drops(l->b, DROP_VLAN_EGRESS), 1);
	/* and nobody can take one away */
	send(l, l->b, mac, MAC_BROADCAST, 10);
	lacks(l, mac, 10);
	assert_int_equal(l->k->n_events[BRIDGE_OWN_SOURCE], 1);
}

static void what_becomes_ours_is_nobody_elses(void **state)
{
	struct ilab *l = *state;

	bridge_vlan_add(l->k->br, l->host, 10, 10, VLAN_UNTAGGED);
	send(l, l->b, XX, MAC_BROADCAST, 10);
	knows(l, XX, 10, l->b);
	bridge_port_link(l->k->br, l->c, XX, 1500, true);
	send(l, l->a, AA, XX, ALL);
	assert_forms(l, "h:u");
}

static void the_host_is_a_member_like_others(void **state)
{
	struct ilab *l = *state;

	bridge_vlan_add(l->k->br, l->host, 20, 20, 0);
	bridge_vlan_add(l->k->br, l->host, 10, 10, PU);
	send(l, l->host, KIT_MAC, MAC_BROADCAST, ALL);
	assert_forms(l, "a:u b:10");
	send(l, l->host, KIT_MAC, MAC_BROADCAST, 20);
	assert_forms(l, "b:20 c:u");
	send(l, l->c, XX, MAC_BROADCAST, ALL);
	assert_forms(l, "b:20 h:20");
}

static void a_promiscuous_host_sees_the_tag_of_vlans_it_is_not_in(void **state)
{
	struct ilab *l = *state;

	promisc(l);
	send(l, l->a, AA, MAC_BROADCAST, ALL);
	assert_forms(l, "b:10 h:10");
	send(l, l->b, BB, AA, 10);
	assert_forms(l, "a:u h:10");
	bridge_vlan_add(l->k->br, l->host, 10, 10, VLAN_UNTAGGED);
	send(l, l->b, BB, AA, 10);
	assert_forms(l, "a:u h:u");
	bridge_port_set_flags(l->k->br, l->a, BPORT_ISOLATED_FLAG, BPORT_ISOLATED_FLAG);
	bridge_port_set_flags(l->k->br, l->b, BPORT_ISOLATED_FLAG, BPORT_ISOLATED_FLAG);
	send(l, l->b, BB, AA, 10);
	assert_forms(l, "");
	assert_int_equal(kit_drops(l->b, DROP_ISOLATED), 1);
}

/* ---- lengths and offloads ---- */

static void the_mtu_is_asked_of_what_leaves(void **state)
{
	static const struct {
		uint32_t len, tci;
		bool from_trunk, passes;
	} rows[] = {
		{1518, ALL, false, true}, /* leaves with 1522 bytes, the tag not counted */
		{1519, ALL, false, false},
		{1522, 10, true, true}, /* leaves with 1518 */
		{1523, 10, true, false},
	};
	struct ilab *l = *state;

	for (size_t i = 0; i < array_size(rows); i++) {
		struct bport *in = rows[i].from_trunk ? l->b : l->a;
		struct bport *out = rows[i].from_trunk ? l->a : l->b;
		struct frame *f = kit_frame(l->k, XX, MAC_BROADCAST, rows[i].len);
		uint64_t n = kit_drops(out, DROP_EGRESS_MTU);

		if (rows[i].tci != ALL)
			put_tag(f, Q, (uint16_t)rows[i].tci);
		kit_run(l->k, in);
		assert_int_equal(kit_got(l->k, out), rows[i].passes);
		assert_int_equal(kit_drops(out, DROP_EGRESS_MTU), n + !rows[i].passes);
	}
}

static void offload_fields_follow_the_tag(void **state)
{
	struct ilab *l = *state;

	for (int room = 0; room < 2; room++) {
		struct frame *f;

		l->k->headroom = room ? 64 : 0;
		f = kit_frame(l->k, AA, MAC_BROADCAST, 9000);
		f->gso = FRAME_GSO_TCPV4;
		f->gso_size = 1448;
		f->flags = FRAME_CSUM_PARTIAL;
		f->csum_start = 34;
		f->csum_offset = 16;
		f->hdr_len = 66;
		f->data[34 + 12] = 8 << 4;
		kit_run(l->k, l->a);
		f = l->k->out->lists[l->b->no].frames[0];
		assert_int_equal(f->len, 9004);
		assert_int_equal(f->csum_start, 38);
		assert_int_equal(f->csum_offset, 16);
		assert_int_equal(f->hdr_len, 70);
		assert_int_equal(f->data[38 + 12], 8 << 4);
	}
}

/* ---- sets, settings, counters ---- */

static void a_new_port_has_the_default(void **state)
{
	struct ilab *l = *state;
	struct vlan_settings s = *bridge_vlan_settings(l->k->br);
	struct bport *d = kit_port(l->k, "d", false), *e;

	assert_int_equal(d->vlans.pvid, 1);
	assert_int_equal(vlan_flags_of(&d->vlans, 1), PU);
	s.default_pvid = 0;
	bridge_vlan_set(l->k->br, &s);
	e = kit_port(l->k, "e", false);
	assert_int_equal(e->vlans.pvid, 0);
	assert_false(vlan_has(&e->vlans, 1));
	assert_false(vlan_has(&d->vlans, 1)); /* had it by default only */
	assert_int_equal(l->host->vlans.pvid, 0);
	assert_int_equal(l->a->vlans.pvid, 10); /* a user's */
}

static void another_default_spares_what_users_chose(void **state)
{
	struct ilab *l = *state;
	struct vlan_settings s = *bridge_vlan_settings(l->k->br);
	struct bport *d = kit_port(l->k, "d", false), *e = kit_port(l->k, "e", false);

	bridge_vlan_add(l->k->br, d, 1, 1, VLAN_PVID); /* tagged now */
	bridge_vlan_add(l->k->br, e, 30, 30, 0);
	s.default_pvid = 30;
	bridge_vlan_set(l->k->br, &s);
	assert_int_equal(l->host->vlans.pvid, 30);
	assert_int_equal(vlan_flags_of(&l->host->vlans, 30), PU);
	assert_false(vlan_has(&l->host->vlans, 1));
	assert_int_equal(d->vlans.pvid, 1);
	assert_int_equal(e->vlans.pvid, 1);
	assert_int_equal(l->a->vlans.pvid, 10);
	assert_int_equal(l->b->vlans.pvid, 0);
}

static void a_vlan_that_leaves_takes_its_addresses_along(void **state)
{
	struct ilab *l = *state;

	send(l, l->b, BB, MAC_BROADCAST, 10);
	send(l, l->b, BB, MAC_BROADCAST, 20);
	fdb_add(bridge_fdb(l->k->br), XX, 10, l->b->no, FDB_STATIC, false);
	assert_int_equal(bridge_vlan_del(l->k->br, l->b, 5, 15), 1);
	lacks(l, BB, 10);
	knows(l, XX, 10, l->b);
	knows(l, BB, 20, l->b);
	assert_int_equal(bridge_vlan_del(l->k->br, l->b, 5, 15), 0);
}

static void a_set_is_replaced_whole(void **state)
{
	struct ilab *l = *state;
	struct vlan_set want = {0};

	vlan_add(&want, 20, 20, PU);
	send(l, l->b, BB, MAC_BROADCAST, 20);
	bridge_vlan_replace(l->k->br, l->b, &want);
	assert_memory_equal(&l->b->vlans, &want, sizeof(want));
	lacks(l, BB, 20);
	send(l, l->b, BB, MAC_BROADCAST, ALL);
	assert_forms(l, "c:u");
	vlan_add(&want, 21, 30, 0);
	bridge_vlan_replace(l->k->br, l->b, &want);
	knows(l, BB, 20, l->b);
}

static void what_was_learned_otherwise_is_forgotten(void **state)
{
	struct ilab *l = *state;
	struct vlan_settings s = *bridge_vlan_settings(l->k->br);

	send(l, l->a, AA, MAC_BROADCAST, ALL);
	knows(l, AA, 10, l->a);
	s.stats = true;
	bridge_vlan_set(l->k->br, &s);
	knows(l, AA, 10, l->a);
	s.filtering = false;
	bridge_vlan_set(l->k->br, &s);
	lacks(l, AA, 10);
}

static void assert_counted(struct ilab *l, const struct bport *p, uint16_t vid, uint64_t rx_packets,
			   uint64_t rx_bytes, uint64_t tx_packets, uint64_t tx_bytes)
{
	struct vlan_counters c = bridge_vlan_counters(l->k->br, p, vid);

	assert_int_equal(c.rx_packets, rx_packets);
	assert_int_equal(c.rx_bytes, rx_bytes);
	assert_int_equal(c.tx_packets, tx_packets);
	assert_int_equal(c.tx_bytes, tx_bytes);
}

static void frames_are_counted_by_vlan(void **state)
{
	struct ilab *l = *state;

	send(l, l->a, AA, MAC_BROADCAST, ALL);
	assert_counted(l, l->a, 10, 0, 0, 0, 0); /* not asked for */
	change(l, true, false, Q);
	send(l, l->a, AA, MAC_BROADCAST, ALL);
	send(l, l->b, BB, AA, 10);
	send(l, l->a, AA, BB, 11);
	assert_counted(l, l->a, 10, 2, 60 + 64, 2, 64 + 60);
	assert_counted(l, l->b, 10, 2, 60 + 64, 2, 64 + 60); /* the bridge's */
	assert_counted(l, l->a, 20, 0, 0, 0, 0);
	change(l, true, true, Q);
	send(l, l->a, AA, MAC_BROADCAST, ALL);
	send(l, l->b, BB, AA, 10);
	assert_counted(l, l->a, 10, 1, 60, 1, 60);
	assert_counted(l, l->b, 10, 1, 64, 1, 64);
	assert_counted(l, l->c, 10, 0, 0, 0, 0);
	assert_counted(l, kit_port(l->k, "d", false), 10, 0, 0, 0, 0);
	change(l, true, false, Q);
	assert_counted(l, l->a, 10, 4, 248, 4, 248);
	change(l, false, true, Q);
	assert_counted(l, l->a, 10, 0, 0, 0, 0);
}

/* ---- programs ---- */

static void with_a_program(struct ilab *l)
{
	ilab_rings(l, LIVE);
	ilab_tx(l, true);
}

static void a_program_sees_frames_as_they_came_in(void **state)
{
	struct ilab *l = *state;

	with_a_program(l);
	change(l, true, true, Q);
	for (int how = SWAPPED; how <= COPIED; how++) {
		l->k->headroom = how ? 4 : 0;
		send(l, l->a, AA, MAC_BROADCAST, ALL);
		assert_int_equal(l->n, 1);
		assert_int_equal(l->held[0].len, 60);
		assert_forms(l, "");
		ilab_give(l, INTERCEPT_NIC, how);
		assert_forms(l, "b:10");
		send(l, l->b, BB, AA, 0x600a);
		assert_int_equal(l->held[0].len, 64);
		ilab_give(l, INTERCEPT_NIC, how);
		assert_forms(l, "a:u");
	}
	knows(l, AA, 10, l->a);
	assert_counted(l, l->a, 10, 2, 120, 2, 120); /* coming in once, going out once */
	assert_counted(l, l->b, 10, 2, 128, 2, 128);
}

static void a_program_never_sees_what_is_refused(void **state)
{
	struct ilab *l = *state;

	with_a_program(l);
	refused(l, l->a, 20, DROP_VLAN_INGRESS);
	assert_int_equal(l->n, 0);
	fdb_add(bridge_fdb(l->k->br), BB, 10, l->c->no, FDB_STATIC, false);
	send(l, l->a, AA, BB, ALL); /* nor what nobody would get */
	assert_int_equal(l->n, 0);
	assert_int_equal(kit_drops(l->a, DROP_VLAN_EGRESS), 1);
	bridge_vlan_del(l->k->br, l->b, 10, 10);
	send(l, l->a, AA, MAC_BROADCAST, ALL);
	assert_int_equal(l->n, 0);
	assert_int_equal(kit_drops(l->a, DROP_NO_EGRESS), 1);
}

static void on_return_the_vlan_is_decided_again(void **state)
{
	struct ilab *l = *state;

	with_a_program(l);
	change(l, true, false, Q);
	send(l, l->a, AA, MAC_BROADCAST, ALL);
	bridge_vlan_del(l->k->br, l->a, 10, 10);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_forms(l, "");
	assert_int_equal(kit_drops(l->a, DROP_VLAN_NO_PVID), 1);

	bridge_vlan_add(l->k->br, l->a, 20, 20, PU);
	send(l, l->a, AA, MAC_BROADCAST, ALL);
	bridge_vlan_add(l->k->br, l->a, 10, 10, PU);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_forms(l, "b:10");
	knows(l, AA, 20, l->a); /* when it came in */
	lacks(l, AA, 10);       /* not learned again */

	send(l, l->b, BB, MAC_BROADCAST, 10);
	l->held[0].data[15] = 20; /* a program may choose, among the port's */
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_forms(l, "a:u c:u");
}

static void what_a_program_makes_up(void **state)
{
	struct ilab *l = *state;

	with_a_program(l);
	put_tag(ilab_make(l, XX, MAC_BROADCAST), Q, 10);
	l->held[0].len = 60;
	ilab_give(l, INTERCEPT_NIC, SWAPPED); /* from nowhere: a VLAN by its tag */
	assert_int_equal(kit_got(l->k, l->a), 1);
	assert_int_equal(kit_got(l->k, l->b), 1);
	assert_int_equal(kit_got(l->k, l->c), 0);
	assert_int_equal(kit_got(l->k, l->host), 0);
	ilab_make(l, XX, MAC_BROADCAST);
	ilab_give(l, INTERCEPT_NIC, SWAPPED); /* the default PVID */
	assert_forms(l, "h:u");
	ilab_make(l, XX, MAC_BROADCAST);
	bridge_vlan_add(l->k->br, l->host, 20, 20, PU);
	ilab_give(l, INTERCEPT_HOST, SWAPPED); /* as if the host had sent it */
	assert_forms(l, "b:20 c:u");
}

static void copies_and_the_hosts_share(void **state)
{
	struct ilab *l = *state;

	with_a_program(l);
	bridge_vlan_add(l->k->br, l->host, 10, 10, VLAN_UNTAGGED);
	ilab_set(l, INTERCEPT_COPY, INTERCEPT_OPEN);
	l->k->headroom = 4;
	send(l, l->b, BB, MAC_BROADCAST, 10);
	assert_forms(l, "a:u h:u");
	assert_int_equal(l->held[0].len, 64); /* the program's is as it was */
	assert_int_equal(frame_be16(l->held[0].data + 14), 10);
	ilab_forget(l);
	ilab_set(l, INTERCEPT_LOCAL, INTERCEPT_OPEN);
	send(l, l->b, BB, MAC_BROADCAST, 10);
	assert_forms(l, "a:u");
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_forms(l, "h:u");
	send(l, l->b, BB, MAC_BROADCAST, 20); /* the host is not in there: nothing to take */
	assert_int_equal(l->n, 0);
	assert_forms(l, "c:u");
}

/* Drivers say that nobody else has the frames of a batch; mirrors and programs may have them later.
 */
static void what_others_have_is_not_changed(void **state)
{
	struct ilab *l = *state;
	struct mirror *s = mirror_new("s", "m", 1);
	struct bport *m;
	char form[16];

	with_a_program(l);
	ilab_set(l, INTERCEPT_COPY, INTERCEPT_OPEN);
	l->k->tailroom = BATCH_ROOM;
	send(l, l->a, AA, MAC_BROADCAST, ALL);
	send(l, l->b, BB, MAC_BROADCAST, 10);
	ilab_forget(l);
	send(l, l->b, BB, AA, 10);
	assert_forms(l, "a:u");
	assert_int_equal(l->held[0].len, 64);
	assert_int_equal(frame_be16(l->held[0].data + 14), 10);
	ilab_forget(l);
	send(l, l->a, AA, BB, ALL);
	assert_forms(l, "b:10");
	assert_int_equal(l->held[0].len, 60);
	assert_int_not_equal(frame_be16(l->held[0].data + 12), Q);
	ilab_forget(l);
	ilab_set(l, INTERCEPT_NONE, INTERCEPT_OPEN);
	m = kit_port(l->k, "m", false);
	strcpy(s->sources[0].port, "b");
	s->sources[0].dirs = MIRROR_BOTH;
	assert_int_equal(bridge_mirror_add(l->k->br, s), 0);
	send(l, l->b, BB, AA, 10);
	assert_forms(l, "a:u");
	describe(form, sizeof(form), l->k->out->lists[m->no].frames[0]);
	assert_string_equal(form, "10");
	send(l, l->a, AA, BB, ALL);
	assert_forms(l, "b:10");
	describe(form, sizeof(form), l->k->out->lists[m->no].frames[0]);
	assert_string_equal(form, "u");
}

static void a_full_ring_that_lets_frames_pass(void **state)
{
	struct ilab *l = *state;
	struct intercept_settings s = l->ic->set;
	struct egress *e = l->k->out;
	struct egress_list *ring;

	with_a_program(l);
	s.overflow = INTERCEPT_OVERFLOW_PASS;
	intercept_set(l->ic, &s);
	kit_frame(l->k, AA, MAC_BROADCAST, 60);
	kit_run(l->k, l->a);
	e = l->k->out;
	ring = &e->lists[EGRESS_RING(INTERCEPT_NIC, 0)];
	assert_int_equal(ring->n, 1);
	bridge_intercept_refused(l->k->br, ring->frames, ring->n, e);
	ring->n = 0;
	assert_forms(l, "b:10");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, ilab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(off_is_as_if_there_were_no_vlans),
		T(floods_stay_in_their_vlan),
		T(one_flood_has_both_forms),
		T(what_nobody_else_has_is_edited_where_it_is),
		T(what_somebody_else_has_is_copied),
		T(no_buffer_for_a_form),
		T(unicast_by_vlan),
		T(an_entry_of_a_port_that_is_not_in_the_vlan),
		T(priorities_survive_where_there_is_a_tag),
		T(a_provider_bridge_takes_customers_tags_for_payload),
		T(frames_of_other_vlans_are_refused),
		T(a_cut_off_tag_is_no_frame),
		T(a_learning_port_learns_by_vlan),
		T(reserved_frames_are_of_no_vlan),
		T(own_addresses_are_known_in_every_vlan),
		T(what_becomes_ours_is_nobody_elses),
		T(the_host_is_a_member_like_others),
		T(a_promiscuous_host_sees_the_tag_of_vlans_it_is_not_in),
		T(the_mtu_is_asked_of_what_leaves),
		T(offload_fields_follow_the_tag),
		T(a_new_port_has_the_default),
		T(another_default_spares_what_users_chose),
		T(a_vlan_that_leaves_takes_its_addresses_along),
		T(a_set_is_replaced_whole),
		T(what_was_learned_otherwise_is_forgotten),
		T(frames_are_counted_by_vlan),
		T(a_program_sees_frames_as_they_came_in),
		T(a_program_never_sees_what_is_refused),
		T(on_return_the_vlan_is_decided_again),
		T(what_a_program_makes_up),
		T(copies_and_the_hosts_share),
		T(what_others_have_is_not_changed),
		T(a_full_ring_that_lets_frames_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
