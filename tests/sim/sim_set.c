/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulator's commands that change bridges and ports, and look into the FDB. */
#include "sim.h"

static const char *const kinds[] = {"dynamic", "static", "sticky", "local"};
_Static_assert(array_size(kinds) == FDB_KIND_N, "a name for each kind");

static enum fdb_kind kind_named(struct sim *s, const char *name)
{
	for (unsigned i = 0; i < FDB_KIND_N; i++) {
		if (strcmp(kinds[i], name) == 0)
			return i;
	}
	fail(s, "%s: no kind of entry", name);
}

/* "vlan N" at the end of the line, taken off it; 0 without. */
static uint16_t fdb_vlan(struct sim *s)
{
	if (s->n_words < 3 || !is(s, s->n_words - 2, "vlan"))
		return 0;
	s->n_words -= 2;
	return (uint16_t)number(s, s->words[s->n_words + 1]);
}

/* fdb B has M [on PORT] [KIND] [vlan N] */
static void fdb_has(struct sim *s, struct bridge_sim *b, uint16_t vid)
{
	struct fdb_entry e;
	unsigned i = 4;

	if (!fdb_get(bridge_fdb(b->k->br), address(s, word(s, 3)), vid, &e))
		fail(s, "%s is not known", s->words[3]);
	if (is(s, i, "on")) {
		const struct bport *p = port_named(s, b, word(s, i + 1));

		if (e.port != (p->host ? 0 : p->no))
			fail(s, "%s is on port %u", s->words[3], e.port);
		i += 2;
	}
	if (i < s->n_words && e.kind != kind_named(s, s->words[i]))
		fail(s, "%s is %s", s->words[3], kinds[e.kind]);
}

/* fdb B add M on PORT KIND [vlan N] */
static void fdb_enter(struct sim *s, struct bridge_sim *b, uint16_t vid)
{
	struct bport *p;

	if (!is(s, 4, "on"))
		fail(s, "fdb add: expected ADDRESS on PORT KIND");
	p = port_named(s, b, word(s, 5));
	if (fdb_add(bridge_fdb(b->k->br), address(s, word(s, 3)), vid, p->no,
		    kind_named(s, word(s, 6)), false) != 0)
		fail(s, "%s: not added", s->words[3]);
}

static void fdb_flush_words(struct sim *s, struct bridge_sim *b)
{
	struct fdb_flush what = {.port = -1, .vid = -1};

	if (s->n_words > 3)
		what.port = port_named(s, b, s->words[3])->no;
	fdb_flush(bridge_fdb(b->k->br), &what);
}

void cmd_fdb(struct sim *s)
{
	struct bridge_sim *b = bridge_at(s, word(s, 1));
	struct fdb *fdb = bridge_fdb(b->k->br);
	const uint16_t vid = fdb_vlan(s);
	struct fdb_entry e;
	struct fdb_stats st;

	if (is(s, 2, "has")) {
		fdb_has(s, b, vid);
	} else if (is(s, 2, "lacks")) {
		if (fdb_get(fdb, address(s, word(s, 3)), vid, &e))
			fail(s, "%s is known, on port %u", s->words[3], e.port);
	} else if (is(s, 2, "add")) {
		fdb_enter(s, b, vid);
	} else if (is(s, 2, "del")) {
		if (fdb_del(fdb, address(s, word(s, 3)), vid, 0) != 0)
			fail(s, "%s: not there", s->words[3]);
	} else if (is(s, 2, "flush")) {
		fdb_flush_words(s, b);
	} else if (is(s, 2, "learned")) {
		fdb_stats(fdb, &st);
		if (st.n_learned != number(s, word(s, 3)))
			fail(s, "%u addresses are learned", st.n_learned);
	} else {
		fail(s, "fdb: %s: has, lacks, add, del, flush or learned", word(s, 2));
	}
}

/* vlan B filtering on|off | protocol 802.1Q|802.1ad | pvid N: the default one */
static void vlan_settings(struct sim *s)
{
	struct bridge_sim *b = bridge_at(s, s->words[1]);
	struct vlan_settings set = *bridge_vlan_settings(b->k->br);
	const char *name = word(s, 2), *value = word(s, 3);

	if (strcmp(name, "filtering") == 0)
		set.filtering = on_off(s, value);
	else if (strcmp(name, "protocol") == 0)
		set.protocol = strcmp(value, "802.1ad") ? FRAME_TAG_8021Q : FRAME_TAG_8021AD;
	else if (strcmp(name, "pvid") == 0)
		set.default_pvid = (uint16_t)number(s, value);
	else
		fail(s, "vlan: %s: filtering, protocol or pvid", name);
	if (bridge_vlan_set(b->k->br, &set) < 0)
		fail(s, "vlan: no memory");
}

/* vlan B.P add N[-M] [pvid] [untagged] | del N[-M]; or settings of B */
void cmd_vlan(struct sim *s)
{
	const bool add = is(s, 2, "add");
	struct bridge_sim *b;
	struct bport *p;
	uint16_t first, last;
	unsigned flags = 0;
	char *dash;

	if (!strchr(word(s, 1), '.')) {
		vlan_settings(s);
		return;
	}
	p = port_at(s, s->words[1], &b);
	dash = strchr(word(s, 3), '-');
	if (dash)
		*dash++ = 0;
	first = (uint16_t)number(s, s->words[3]);
	last = dash ? (uint16_t)number(s, dash) : first;
	for (unsigned i = 4; i < s->n_words; i++)
		flags |= is(s, i, "pvid") ? VLAN_PVID : is(s, i, "untagged") ? VLAN_UNTAGGED : 0u;
	if (add)
		bridge_vlan_add(b->k->br, p, first, last, flags);
	else if (is(s, 2, "del"))
		bridge_vlan_del(b->k->br, p, first, last);
	else
		fail(s, "vlan: %s: add or del", s->words[2]);
}

/* set B NAME VALUE */
void cmd_set(struct sim *s)
{
	struct bridge_sim *b = bridge_at(s, word(s, 1));
	struct bridge_settings set = *bridge_settings(b->k->br);
	const char *name = word(s, 2), *value = word(s, 3);

	if (strcmp(name, "ageing") == 0)
		set.ageing_time_s = (uint32_t)number(s, value);
	else if (strcmp(name, "fdb_max_learned") == 0)
		set.fdb_max_learned = (uint32_t)number(s, value);
	else if (strcmp(name, "group_fwd_mask") == 0)
		set.group_fwd_mask = (uint16_t)number(s, value);
	else if (strcmp(name, "no_linklocal_learn") == 0)
		set.no_linklocal_learn = on_off(s, value);
	else if (strcmp(name, "monitor") == 0)
		set.monitor = on_off(s, value);
	else if (strcmp(name, "promisc") == 0)
		set.promisc = on_off(s, value);
	else
		fail(s, "set: %s: no such setting", name);
	bridge_set(b->k->br, &set);
}

/* port B.P FLAG on|off | state S | link up|down | mtu N | mac M | limit N | group_fwd_mask N */
void cmd_port(struct sim *s)
{
	struct bridge_sim *b;
	struct bport *p = port_at(s, word(s, 1), &b);
	const char *name = word(s, 2), *value = word(s, 3);
	enum bport_flag flag = bport_flag_parse(name);
	struct bridge *br = b->k->br;

	if (flag) {
		bridge_port_set_flags(br, p, (uint8_t)flag, on_off(s, value) ? (uint8_t)flag : 0);
	} else if (strcmp(name, "link") == 0) {
		bridge_port_link(br, p, p->mac, p->mtu, strcmp(value, "up") == 0);
	} else if (strcmp(name, "mtu") == 0) {
		bridge_port_link(br, p, p->mac, (uint32_t)number(s, value), p->link_up);
	} else if (strcmp(name, "mac") == 0) {
		bridge_port_link(br, p, address(s, value), p->mtu, p->link_up);
	} else if (strcmp(name, "limit") == 0) {
		bridge_port_set_fdb_limit(br, p, (uint32_t)number(s, value));
	} else if (strcmp(name, "group_fwd_mask") == 0) {
		p->group_fwd_mask = (uint16_t)number(s, value);
	} else if (strcmp(name, "state") == 0) {
		for (unsigned i = 0; i < BPORT_STATE_N; i++) {
			if (strcmp(value, bport_state_name(i)) == 0) {
				bridge_port_set_state(br, p, i);
				return;
			}
		}
		fail(s, "port: %s: no such state", value);
	} else {
		fail(s, "port: %s: no such flag or attribute", name);
	}
}
