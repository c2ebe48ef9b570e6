/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bridge that filters VLANs, or does not, against a table that says for each frame who must get
 * it and with which bytes. Sets, settings, flags and frames are random; after each frame the bytes
 * that every port sent are compared, and from time to time what is learned. Every third bridge has
 * a netmap program in its path, another gives it copies: it must see exactly the frames that
 * somebody gets, as they came in, and nothing else may change.
 */
#include <time.h>

#include "core/intercept_testkit.h"

#define N_BRIDGES  60u
#define N_STEPS    2000u
#define N_PORTS    6u /* 0 is the host's */
#define N_STATIONS 8u
#define LEN_MAX    1540u
#define STATION    0x020000001100ULL

static const uint16_t vids[] = {1, 2, 3, 63, 64, 4094};
#define N_VIDS array_size(vids)

struct naive_port {
	struct bport *p;
	bool member[VLAN_N], untagged[VLAN_N];
	uint16_t pvid;
	bool isolated, hairpin, flood, mcast, bcast, learning;
};

struct bytes_of {
	uint8_t b[LEN_MAX + 8];
	uint32_t len; /* 0: nothing */
};

struct model {
	struct ilab *l;
	enum { NO_PROGRAM, IN_THE_PATH, COPIES, PROGRAM_N } program;
	bool filtering, promisc;
	uint16_t protocol, default_pvid;
	struct naive_port ports[N_PORTS];
	int where[N_STATIONS][VLAN_N]; /* port + 1; 0: not learned */
	struct bytes_of want[N_PORTS];
};

static uint64_t seed, rng_state;
static uint32_t bridge_no, step_no;

#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			die(#cond, __LINE__);                                                      \
	} while (0)

static void __attribute__((noreturn)) die(const char *what, int line)
{
	printf("line %d: not so: %s (bridge %u, step %u); repeat with VIADUCT_SEED=%llu\n", line,
	       what, bridge_no, step_no, (unsigned long long)seed);
	exit(1);
}

static uint32_t rnd(uint32_t n)
{
	uint64_t x = rng_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((x ^ x >> 31) % n);
}

static uint16_t any_vid(void)
{
	return vids[rnd(N_VIDS)];
}

/* ---- what must happen ---- */

static uint16_t word_at(const struct bytes_of *f, uint32_t at)
{
	return (uint16_t)(f->b[at] << 8 | f->b[at + 1]);
}

static bool any_tag(const struct bytes_of *f)
{
	return f->len >= 18 && (word_at(f, 12) == 0x8100 || word_at(f, 12) == 0x88a8);
}

static bool our_tag(const struct model *m, const struct bytes_of *f)
{
	return f->len >= 18 && word_at(f, 12) == m->protocol;
}

/* The VLAN of a frame that comes in; 0: none. */
static uint16_t vlan_in(const struct model *m, const struct naive_port *in,
			const struct bytes_of *f)
{
	uint16_t vid;

	if (word_at(f, 12) == m->protocol && f->len < 18)
		return 0;
	if (!our_tag(m, f))
		return in->pvid;
	vid = word_at(f, 14) & 0xfff;
	if (vid == 0)
		return in->pvid;
	return in->member[vid] ? vid : 0;
}

/* f as it leaves through p; untouched where VLANs do not matter (vid 0). */
static struct bytes_of form(const struct model *m, const struct naive_port *p,
			    const struct bytes_of *f, uint16_t vid)
{
	struct bytes_of plain = *f, r;
	uint16_t tci = vid;

	if (vid == 0)
		return plain;
	if (our_tag(m, f)) {
		tci |= word_at(f, 14) & 0xf000;
		memmove(plain.b + 12, plain.b + 16, plain.len - 16);
		plain.len -= 4;
	}
	if (p->member[vid] && p->untagged[vid])
		return plain;
	r = plain;
	memcpy(r.b + 16, plain.b + 12, plain.len - 12);
	r.b[12] = (uint8_t)(m->protocol >> 8);
	r.b[13] = (uint8_t)m->protocol;
	r.b[14] = (uint8_t)(tci >> 8);
	r.b[15] = (uint8_t)tci;
	r.len = plain.len + 4;
	return r;
}

static bool too_long(const struct bytes_of *f)
{
	return f->len > 1518u + (any_tag(f) ? 4 : 0);
}

/* Own addresses: the bridge's and its ports'. */
static bool is_own(const struct model *m, uint64_t mac)
{
	for (uint32_t i = 0; i < N_PORTS; i++)
		if (m->ports[i].p->mac == mac)
			return true;
	return mac == bridge_mac(m->l->k->br);
}

static void want(struct model *m, uint32_t to, const struct bytes_of *f, uint16_t vid)
{
	struct bytes_of r = form(m, &m->ports[to], f, vid);

	if (to == 0 || !too_long(&r))
		m->want[to] = r;
}

static bool host_takes(const struct model *m, uint16_t vid)
{
	return vid == 0 || m->promisc || m->ports[0].member[vid];
}

static bool may_pass(const struct model *m, uint32_t from, uint32_t to, uint16_t vid)
{
	const struct naive_port *a = &m->ports[from], *b = &m->ports[to];

	return !(a->isolated && b->isolated) && (from != to || a->hairpin) &&
	       (vid == 0 || b->member[vid]);
}

static void want_flood(struct model *m, uint32_t from, const struct bytes_of *f, uint64_t dst,
		       uint16_t vid)
{
	for (uint32_t i = 1; i < N_PORTS; i++) {
		const struct naive_port *p = &m->ports[i];
		bool flag = !mac_is_group(dst)     ? p->flood
			    : from == 0            ? true
			    : dst == MAC_BROADCAST ? p->bcast
						   : p->mcast;

		if (flag && may_pass(m, from, i, vid))
			want(m, i, f, vid);
	}
	if (from != 0 && (mac_is_group(dst) || m->promisc) && host_takes(m, vid))
		want(m, 0, f, vid);
}

static void want_unicast(struct model *m, uint32_t from, const struct bytes_of *f, uint64_t dst,
			 uint16_t vid)
{
	uint64_t n = dst - STATION;
	int to = n < N_STATIONS ? m->where[n][vid] - 1 : -1;

	if (is_own(m, dst)) {
		if (from != 0 && host_takes(m, vid))
			want(m, 0, f, vid);
	} else if (to < 0) {
		want_flood(m, from, f, dst, vid);
	} else if (may_pass(m, from, (uint32_t)to, vid)) {
		want(m, (uint32_t)to, f, vid);
		if (from != 0 && m->promisc && m->want[to].len)
			want(m, 0, f, vid);
	}
}

static bool reserved_passes_on(const struct model *m, unsigned x)
{
	return x == 0 || (m->filtering && m->protocol == 0x88a8 && 0xb801 >> x & 1);
}

/* Fills m->want, and learns. */
static void expect(struct model *m, uint32_t from, const struct bytes_of *f, uint64_t src,
		   uint64_t dst)
{
	const struct naive_port *in = &m->ports[from];
	const uint16_t vid = m->filtering ? vlan_in(m, in, f) : 0;
	const bool refused = m->filtering && vid == 0;
	const bool reserved = mac_is_reserved(dst);
	const bool for_host = reserved && from != 0 && !reserved_passes_on(m, dst & 0xf);

	memset(m->want, 0, sizeof(m->want));
	if (reserved && (dst & 0xf) == 1)
		return;
	if (!refused && from != 0 && in->learning && src - STATION < N_STATIONS)
		m->where[src - STATION][vid] = (int)from + 1;
	if (for_host)
		want(m, 0, f, 0);
	else if (refused)
		return;
	else if (mac_is_group(dst))
		want_flood(m, from, f, dst, vid);
	else
		want_unicast(m, from, f, dst, vid);
}

/* ---- what happens ---- */

static void compare_sent(struct model *m)
{
	struct kit *k = m->l->k;

	for (uint32_t i = 0; i < N_PORTS; i++) {
		const struct egress_list *list = &k->out->lists[m->ports[i].p->no];
		struct frame f;

		check(list->n == (m->want[i].len > 0));
		if (list->n == 0)
			continue;
		f = *list->frames[0];
		check(f.len == m->want[i].len);
		check(memcmp(f.data, m->want[i].b, f.len) == 0);
		check(frame_parse(&f) && f.n_tags == list->frames[0]->n_tags &&
		      f.ethertype == list->frames[0]->ethertype);
	}
}

static bool anybody(const struct model *m)
{
	for (uint32_t i = 0; i < N_PORTS; i++)
		if (m->want[i].len)
			return true;
	return false;
}

/* The program has it, just as it came in, and gives it back in one way or the other. */
static void through_program(struct model *m, uint32_t from, const struct bytes_of *f)
{
	const enum intercept_side side = from == 0 ? INTERCEPT_HOST : INTERCEPT_NIC;

	ilab_take(m->l);
	check(m->l->n == anybody(m));
	check(kit_got_all(m->l->k) == 0);
	if (m->l->n == 0)
		return;
	check(m->l->n_held[side] == 1);
	check(m->l->held[0].len == f->len && !memcmp(m->l->held[0].data, f->b, f->len));
	ilab_give(m->l, side, rnd(2) ? SWAPPED : COPIED);
}

/* The program has a copy, just as it came in, while the frame goes on. */
static void copied(struct model *m, const struct bytes_of *f)
{
	ilab_take(m->l);
	check(m->l->n == anybody(m));
	if (m->l->n)
		check(m->l->held[0].len == f->len && !memcmp(m->l->held[0].data, f->b, f->len));
	ilab_forget(m->l);
}

static uint64_t any_destination(const struct model *m)
{
	switch (rnd(8)) {
	case 0:
		return MAC_BROADCAST;
	case 1:
		return MCAST;
	case 2:
		return MAC_RESERVED_BASE + rnd(16);
	case 3:
		return m->ports[rnd(N_PORTS)].p->mac;
	default:
		return STATION + rnd(N_STATIONS + 1);
	}
}

static void put_word(struct bytes_of *f, uint32_t at, uint32_t v)
{
	f->b[at] = (uint8_t)(v >> 8);
	f->b[at + 1] = (uint8_t)v;
}

static struct bytes_of any_frame(uint64_t src, uint64_t dst)
{
	struct bytes_of f;
	uint32_t at = 12;

	for (uint32_t i = 0; i < sizeof(f.b); i++)
		f.b[i] = (uint8_t)rnd(256);
	f.len = rnd(8) == 0 ? 14 + rnd(8) : rnd(4) == 0 ? 1500 + rnd(40) : 22 + rnd(100);
	mac_store(f.b, dst);
	mac_store(f.b + 6, src);
	for (uint32_t n = rnd(4); n > 0; n--, at += 4) {
		put_word(&f, at, rnd(3) ? 0x8100 : 0x88a8);
		put_word(&f, at + 2,
			 (rnd(4)   ? any_vid()
			  : rnd(2) ? 0
				   : rnd(VLAN_N)) |
				 rnd(8) << 13);
	}
	put_word(&f, at, 0x0800);
	return f;
}

static void op_frame(struct model *m)
{
	const uint64_t src = STATION + rnd(N_STATIONS), dst = any_destination(m);
	const struct bytes_of b = any_frame(src, dst);
	const uint32_t from = rnd(N_PORTS);
	struct frame *f;

	m->l->k->headroom = rnd(3) * 4;
	m->l->k->tailroom = rnd(2) ? BATCH_ROOM : rnd(3) * 4;
	kit_sent(m->l->k);
	f = kit_frame(m->l->k, src, dst, b.len);
	memcpy(f->data, b.b, b.len);
	expect(m, from, &b, src, dst);
	kit_run(m->l->k, m->ports[from].p);
	/* Hidden from programs, but never from who it is for. */
	if (m->program == IN_THE_PATH && !(mac_is_reserved(dst) && (dst & 0xf) != 0))
		through_program(m, from, &b);
	if (m->program == COPIES)
		copied(m, &b);
	compare_sent(m);
}

/* ---- changes ---- */

static void forget(struct model *m, uint32_t port, uint32_t first, uint32_t last)
{
	for (uint32_t s = 0; s < N_STATIONS; s++)
		for (uint32_t v = first; v <= last; v++)
			if (port == N_PORTS || m->where[s][v] == (int)port + 1)
				m->where[s][v] = 0;
}

static void naive_add(struct naive_port *p, uint32_t first, uint32_t last, bool pvid, bool untagged)
{
	for (uint32_t v = first; v <= last; v++) {
		p->member[v] = true;
		p->untagged[v] = untagged;
		if (pvid)
			p->pvid = (uint16_t)v;
		else if (p->pvid == v)
			p->pvid = 0;
	}
}

static void naive_del(struct model *m, uint32_t port, uint32_t first, uint32_t last)
{
	struct naive_port *p = &m->ports[port];

	for (uint32_t v = first; v <= last; v++) {
		if (p->member[v])
			forget(m, port, v, v);
		p->member[v] = p->untagged[v] = false;
		if (p->pvid == v)
			p->pvid = 0;
	}
}

static void op_vlan(struct model *m)
{
	const uint32_t port = rnd(N_PORTS);
	const bool add = rnd(5) < 3, pvid = add && rnd(3) == 0, untagged = rnd(2);
	uint16_t a = any_vid(), b = pvid || rnd(2) ? a : any_vid();
	const uint16_t first = min_of(a, b), last = max_of(a, b);
	struct bport *p = m->ports[port].p;

	if (add) {
		naive_add(&m->ports[port], first, last, pvid, untagged);
		bridge_vlan_add(m->l->k->br, p, first, last,
				(pvid ? VLAN_PVID : 0) | (untagged ? VLAN_UNTAGGED : 0));
	} else {
		naive_del(m, port, first, last);
		bridge_vlan_del(m->l->k->br, p, first, last);
	}
}

static void naive_default(struct model *m, uint16_t pvid)
{
	const uint16_t old = m->default_pvid;

	for (uint32_t i = 0; i < N_PORTS && pvid != old; i++) {
		struct naive_port *p = &m->ports[i];

		if (p->pvid != old || (old && !p->untagged[old]) || (pvid && p->member[pvid]))
			continue;
		if (old)
			naive_del(m, i, old, old);
		if (pvid)
			naive_add(p, pvid, pvid, true, true);
	}
	m->default_pvid = pvid;
}

static void op_settings(struct model *m)
{
	struct vlan_settings s = *bridge_vlan_settings(m->l->k->br);
	struct bridge_settings bs = *bridge_settings(m->l->k->br);

	switch (rnd(5)) {
	case 0:
		s.filtering = rnd(4) > 0;
		if (s.filtering == m->filtering)
			return;
		m->filtering = s.filtering;
		forget(m, N_PORTS, 0, VLAN_N - 1);
		break;
	case 1:
		if (rnd(3))
			return;
		s.protocol = m->protocol = m->protocol == 0x8100 ? 0x88a8 : 0x8100;
		forget(m, N_PORTS, 0, VLAN_N - 1);
		break;
	case 2:
		s.default_pvid = rnd(4) ? any_vid() : 0;
		naive_default(m, s.default_pvid);
		break;
	case 3:
		s.stats = rnd(2);
		s.stats_per_port = rnd(2);
		break;
	default:
		bs.promisc = m->promisc = rnd(3) == 0;
		bridge_set(m->l->k->br, &bs);
		return;
	}
	check(bridge_vlan_set(m->l->k->br, &s) == 0);
}

static void op_flag(struct model *m)
{
	static const enum bport_flag flags[] = {BPORT_ISOLATED_FLAG,    BPORT_HAIRPIN_FLAG,
						BPORT_FLOOD_FLAG,       BPORT_MCAST_FLOOD_FLAG,
						BPORT_BCAST_FLOOD_FLAG, BPORT_LEARNING_FLAG};
	struct naive_port *p = &m->ports[1 + rnd(N_PORTS - 1)];
	bool *const naive[] = {&p->isolated, &p->hairpin, &p->flood,
			       &p->mcast,    &p->bcast,   &p->learning};
	const uint32_t i = rnd(array_size(flags));
	const bool usual = i >= 2;

	*naive[i] = rnd(4) ? usual : !usual;
	bridge_port_set_flags(m->l->k->br, p->p, flags[i], *naive[i] ? flags[i] : 0);
}

/* Sets and what is learned are as they should be. */
static void compare_state(const struct model *m)
{
	for (uint32_t i = 0; i < N_PORTS; i++) {
		const struct naive_port *p = &m->ports[i];

		check(p->p->vlans.pvid == p->pvid);
		for (uint32_t v = 0; v < VLAN_N; v++) {
			check(vlan_has(&p->p->vlans, (uint16_t)v) == p->member[v]);
			check(vlan_is_untagged(&p->p->vlans, (uint16_t)v) == p->untagged[v]);
		}
	}
	for (uint32_t s = 0; s < N_STATIONS; s++) {
		for (uint32_t n = 0; n <= N_VIDS; n++) {
			const uint16_t vid = n < N_VIDS ? vids[n] : 0;
			struct fdb_entry e;
			const bool there = fdb_get(bridge_fdb(m->l->k->br), STATION + s, vid, &e);

			check(there == (m->where[s][vid] != 0));
			check(!there || e.port == m->ports[m->where[s][vid] - 1].p->no);
		}
	}
}

/* ---- */

static void set_up(struct model *m)
{
	struct ilab *l = ilab_new();

	memset(m, 0, sizeof(*m));
	m->l = l;
	m->program = bridge_no % PROGRAM_N;
	m->protocol = 0x8100;
	m->default_pvid = 1;
	m->ports[0].p = l->host;
	m->ports[1].p = l->a;
	m->ports[2].p = l->b;
	m->ports[3].p = l->c;
	m->ports[4].p = kit_port(l->k, "d", false);
	m->ports[5].p = kit_port(l->k, "e", false);
	for (uint32_t i = 0; i < N_PORTS; i++) {
		struct naive_port *p = &m->ports[i];

		naive_add(p, 1, 1, true, true);
		p->flood = p->mcast = p->bcast = p->learning = true;
	}
	if (m->program) {
		ilab_rings(l, LIVE);
		ilab_tx(l, true);
	}
	if (m->program == COPIES)
		ilab_set(l, INTERCEPT_COPY, INTERCEPT_OPEN);
}

static void run_bridge(void)
{
	static struct model m;

	set_up(&m);
	for (step_no = 0; step_no < N_STEPS; step_no++) {
		uint32_t dice = rnd(100);

		if (dice < 75)
			op_frame(&m);
		else if (dice < 90)
			op_vlan(&m);
		else if (dice < 95)
			op_settings(&m);
		else
			op_flag(&m);
		if (step_no % 16 == 0)
			compare_state(&m);
	}
	ilab_free(m.l);
}

int main(void)
{
	const char *text = getenv("VIADUCT_SEED");

	seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
	rng_state = seed;
	printf("VIADUCT_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (bridge_no = 0; bridge_no < N_BRIDGES; bridge_no++)
		run_bridge();
	printf("%u steps of %u bridges agree\n", N_STEPS * N_BRIDGES, N_BRIDGES);
	return 0;
}
