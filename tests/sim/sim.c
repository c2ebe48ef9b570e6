/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text simulator: bridges joined by LANs in virtual time, driven by a scenario file. The
 * language (README.md beside this file) follows that of Open vSwitch's test-stp; the engine is the
 * real one.
 *
 *   sim [--program] [--look] FILE...   runs scenarios; the first expectation that fails ends with
 *                                      status 1
 *
 * With --program each bridge has a netmap program in its path, which gives back at once whatever it
 * is shown: every scenario must end just so. With --look frames are traced: sim_look.c.
 *
 * A port belongs to a LAN of the same name; what a bridge sends there arrives at all other bridges
 * with a port in that LAN. Each bridge also has the port "host".
 */
#include "sim.h"

#include <ctype.h>
#include <stdarg.h>

#include "core/inject.h"

void fail(const struct sim *s, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%u: ", s->file, s->line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

char *word(struct sim *s, unsigned i)
{
	if (i >= s->n_words)
		fail(s, "%s: too few words", s->words[0]);
	return s->words[i];
}

bool is(struct sim *s, unsigned i, const char *text)
{
	return i < s->n_words && strcmp(s->words[i], text) == 0;
}

uint64_t number(struct sim *s, const char *text)
{
	char *end;
	uint64_t r = strtoull(text, &end, 0);

	if (end == text || *end)
		fail(s, "%s: not a number", text);
	return r;
}

bool on_off(struct sim *s, const char *text)
{
	if (strcmp(text, "on") && strcmp(text, "off"))
		fail(s, "%s: neither on nor off", text);
	return text[1] == 'n';
}

struct bridge_sim *bridge_at(struct sim *s, const char *text)
{
	uint64_t n = number(s, text);

	if (n >= BRIDGES_MAX || !s->bridges[n].k)
		fail(s, "bridge %s: there is none", text);
	return &s->bridges[n];
}

struct bport *port_named(struct sim *s, struct bridge_sim *b, const char *name)
{
	for (struct bport *p = bridge_port_next(b->k->br, NULL); p;
	     p = bridge_port_next(b->k->br, p)) {
		if (strcmp(p->name, name) == 0)
			return p;
	}
	fail(s, "port %s: there is none", name);
}

struct bport *port_at(struct sim *s, const char *text, struct bridge_sim **ret_bridge)
{
	char copy[32], *dot;

	snprintf(copy, sizeof(copy), "%s", text);
	dot = strchr(copy, '.');
	if (!dot)
		fail(s, "%s: not BRIDGE.PORT", text);
	*dot = 0;
	*ret_bridge = bridge_at(s, copy);
	return port_named(s, *ret_bridge, dot + 1);
}

/* "aa": a station; "bcast"; "mcast"; "r0" to "rf": reserved; "@0", "@0.a": a bridge's, a port's;
 * or in full with colons. */
uint64_t address(struct sim *s, const char *text)
{
	struct bridge_sim *b;
	uint64_t mac;
	char *end;

	if (strcmp(text, "bcast") == 0)
		return MAC_BROADCAST;
	if (strcmp(text, "mcast") == 0)
		return 0x01005e000001ULL;
	if (text[0] == '@' && strchr(text, '.'))
		return port_at(s, text + 1, &b)->mac;
	if (text[0] == '@')
		return bridge_mac(bridge_at(s, text + 1)->k->br);
	if (text[0] == 'r' && isxdigit((unsigned char)text[1]) && !text[2])
		return MAC_RESERVED_BASE + strtoul(text + 1, NULL, 16);
	if (strchr(text, ':')) {
		if (mac_parse(text, &mac) < 0)
			fail(s, "%s: not an address", text);
		return mac;
	}
	mac = strtoull(text, &end, 16);
	if (*end || mac > 0xffffff)
		fail(s, "%s: not an address", text);
	return STATION_BASE + mac;
}

/* A program that has all rings open, and has synced. */
static void add_program(struct kit *k)
{
	struct intercept *ic = bridge_intercept(k->br);

	for (int side = 0; side < INTERCEPT_SIDE_N; side++) {
		intercept_set_ring(ic, (enum intercept_side)side, 0,
				   INTERCEPT_BOUND | INTERCEPT_SYNCED);
		intercept_set_tx(ic, (enum intercept_side)side, true);
	}
}

static void add_port(struct sim *s, struct bridge_sim *b, const char *name)
{
	bool host = strcmp(name, "host") == 0;
	struct bport_config cfg = {.mtu = 1500, .link_up = true, .host = host};
	struct bport *p;

	snprintf(cfg.name, sizeof(cfg.name), "%s", name);
	cfg.mac = host ? bridge_mac(b->k->br) : 0;
	if (bridge_port_add(b->k->br, &cfg, &p) != 0)
		fail(s, "port %s: not added", name);
	if (!host)
		bridge_port_link(b->k->br, p, b->base + 0x100u * p->no, 1500, true);
}

/* bridge 0 0x42 = a b */
static void cmd_bridge(struct sim *s)
{
	uint64_t n = number(s, word(s, 1));
	struct bridge_sim *b;

	if (n >= BRIDGES_MAX || s->bridges[n].k)
		fail(s, "bridge %s: not a free number below %u", s->words[1], BRIDGES_MAX);
	b = &s->bridges[n];
	b->k = kit_new(FDB_CAPACITY);
	b->k->tailroom = BATCH_ROOM; /* as frames of drivers have it */
	b->base = 0x02b000000000ULL + (n << 24) + number(s, word(s, 2));
	b->k->now_ns = s->now_ns;
	b->s = s;
	stp_watch(b);
	bridge_set_mac(b->k->br, b->base);
	if (!is(s, 3, "="))
		fail(s, "bridge: expected NUMBER ADDRESS = LAN...");
	add_port(s, b, "host");
	if (s->program)
		add_program(b->k);
	if (s->look)
		look_at_bridge(b);
	for (unsigned i = 4; i < s->n_words; i++)
		add_port(s, b, s->words[i]);
}

/* run 1000 (seconds) */
static void cmd_run(struct sim *s)
{
	uint64_t end = s->now_ns + number(s, word(s, 1)) * SECOND_NS;

	for (;;) {
		uint64_t next = end;

		for (unsigned i = 0; i < BRIDGES_MAX; i++) {
			uint64_t t;

			if (!s->bridges[i].k || s->bridges[i].dead)
				continue;
			t = bridge_tick(s->bridges[i].k->br, s->now_ns);
			if (t <= s->now_ns)
				fail(s, "bridge_tick() asks to be called in the past");
			next = min_of(next, t);
			stp_settle(s);
		}
		if (s->now_ns == end)
			break;
		s->now_ns = next;
	}
	for (unsigned i = 0; i < BRIDGES_MAX; i++) {
		if (s->bridges[i].k)
			s->bridges[i].k->now_ns = s->now_ns;
	}
}

static void forget_txs(struct sim *s)
{
	for (unsigned i = 0; i < s->n_txs; i++)
		free(s->txs[i].data);
	s->n_txs = 0;
	s->storm = false;
}

/* Notes what lists of ports hold, with a copy of the bytes. */
static void note_lists(struct sim *s, unsigned bridge)
{
	struct kit *k = s->bridges[bridge].k;

	for (uint32_t i = 0; i < k->out->n_used; i++) {
		struct egress_list *l = &k->out->lists[k->out->used[i]];

		for (uint32_t j = 0; j < l->n && !EGRESS_IS_RING(k->out->used[i]); j++) {
			const struct frame *f = l->frames[j];
			struct tx *t = &s->txs[s->n_txs];

			if (s->n_txs == TX_MAX) {
				s->storm = true;
				break;
			}
			s->n_txs++;
			*t = (struct tx){.bridge = bridge, .len = f->len, .meta = *f};
			t->port = bridge_port(k->br, k->out->used[i]);
			t->data = malloc(f->len);
			kit_check(t->data != NULL, "out of memory");
			memcpy(t->data, f->data, f->len);
		}
	}
}

static void round_end(struct kit *k)
{
	if (bridge_trace(k->br))
		trace_round_end(bridge_trace(k->br));
}

/* The program takes what is on its list of a side, into the next batch. */
static uint32_t take(struct kit *k, enum intercept_side side, struct origin *o)
{
	struct egress_list *l = &k->out->lists[EGRESS_RING(side, 0)];

	for (uint32_t i = 0; i < l->n; i++) {
		bridge_origin(k->br, l->frames[i], k->now_ns, &o[i]);
		o[i].how = ORIGIN_BUFFER;
		if (bridge_trace(k->br))
			trace_step(bridge_trace(k->br), l->frames[i], NULL,
				   (struct trace_record){
					   .step = TRACE_RING,
					   .result = (o[i].flags & ORIGIN_COPY) != 0,
					   .value = EGRESS_RING(side, 0),
				   });
		kit_ref(k, l->frames[i]->buf, 1);
		k->in->frames[i] = *l->frames[i];
	}
	return l->n;
}

/* While a program takes everything, only mirrors send before it has had the frame. */
static bool goes_round(const struct kit *k)
{
	bool taken = false, passed = false;

	for (uint32_t i = 0; i < k->out->n_used; i++) {
		const uint16_t no = k->out->used[i];

		if (EGRESS_IS_RING(no))
			taken = true;
		else
			passed |= !bridge_port(k->br, no)->span;
	}
	return taken && passed;
}

/* What the program has seen on one side comes back, and takes the place of what was on the lists.
 */
static bool give_back(struct kit *k, enum intercept_side side)
{
	struct origin o[BATCH_MAX];
	struct batch *b = k->in;

	b->n = take(k, side, o);
	if (b->n == 0)
		return false;
	kit_sent(k);
	round_end(k);
	b->now_ns = k->now_ns;
	if (side == INTERCEPT_NIC)
		bridge_inject(k->br, b, o);
	else
		bridge_inject_host(k->br, b, o);
	bridge_forward(k->br, b, k->out);
	k->in = k->done;
	k->in->n = 0;
	k->done = b;
	return true;
}

/* The waiting frame through both passes. */
static void pass(struct bridge_sim *b, struct bport *p)
{
	if (b->s->look)
		look_before(b, p, &b->k->in->frames[0]);
	kit_run(b->k, p);
}

/* And then nobody has it any more. */
static void passed(struct bridge_sim *b)
{
	round_end(b->k);
	if (b->s->look)
		look_after(b);
}

void run_bridge(struct bridge_sim *b, struct bport *p)
{
	pass(b, p);
	if (!give_back(b->k, INTERCEPT_NIC))
		give_back(b->k, INTERCEPT_HOST);
	passed(b);
}

/* What bridges sent, with a program in between if there is one; buffers go back. */
static void collect(struct sim *s, unsigned bridge)
{
	struct kit *k = s->bridges[bridge].k;

	if (bridge_intercept(k->br)->set.mode <= INTERCEPT_ALL)
		kit_check(!goes_round(k), "a frame went round the program");
	note_lists(s, bridge);
	for (enum intercept_side side = 0; side < INTERCEPT_SIDE_N; side++) {
		if (give_back(k, side))
			note_lists(s, bridge);
	}
	kit_sent(k);
}

static void run_frame(struct sim *s, unsigned bridge, struct bport *p)
{
	struct bridge_sim *b = &s->bridges[bridge];

	pass(b, p);
	collect(s, bridge);
	passed(b);
}

void lan_of(const struct bport *p, char lan[BPORT_NAME_SIZE])
{
	snprintf(lan, BPORT_NAME_SIZE, "%.*s", (int)strcspn(p->name, "'"), p->name);
}

bool is_cut(const struct sim *s, const char *lan)
{
	for (unsigned i = 0; i < s->n_cut; i++) {
		if (strcmp(s->cut[i], lan) == 0)
			return true;
	}
	return false;
}

static void receive(struct sim *s, unsigned bridge, struct bport *p, const struct tx *t)
{
	struct kit *k = s->bridges[bridge].k;
	struct frame *f = kit_frame(k, 0, 0, t->len);

	memcpy(f->data, t->data, t->len);
	f->gso = t->meta.gso;
	f->gso_size = t->meta.gso_size;
	f->csum_start = t->meta.csum_start;
	run_frame(s, bridge, p);
}

/* What was sent into a LAN arrives at the other bridges there, until all is quiet or a storm. */
static void spread(struct sim *s)
{
	for (unsigned i = 0; i < s->n_txs && !s->storm; i++) {
		struct tx t = s->txs[i];
		char lan[BPORT_NAME_SIZE], other[BPORT_NAME_SIZE];

		lan_of(t.port, lan);
		if (t.port->host || is_cut(s, lan))
			continue;
		for (unsigned n = 0; n < BRIDGES_MAX; n++) {
			struct bport *p = NULL;

			if (!s->bridges[n].k || s->bridges[n].dead)
				continue;
			while ((p = bridge_port_next(s->bridges[n].k->br, p))) {
				lan_of(p, other);
				if (!p->host && p->link_up && p != t.port && !strcmp(other, lan))
					receive(s, n, p, &t);
			}
		}
	}
}

/* Options of send: len N, tag V, stag V, prio P (of the tag before), gso SIZE, udp PORT. */
struct send_options {
	uint32_t len, gso_size, n_tags, udp;
	uint16_t tags[2];
	bool service[2]; /* 802.1ad */
};

static struct send_options send_options(struct sim *s)
{
	struct send_options o = {.len = 60};

	for (unsigned i = 3; i < s->n_words; i += 2) {
		uint64_t v = number(s, word(s, i + 1));

		if (is(s, i, "len"))
			o.len = (uint32_t)min_of(v, FRAME_SIZE_MAX);
		else if (is(s, i, "gso"))
			o.gso_size = (uint32_t)v;
		else if (is(s, i, "udp"))
			o.udp = (uint32_t)v;
		else if (is(s, i, "tag") && o.n_tags < 2)
			o.tags[o.n_tags++] = (uint16_t)v;
		else if (is(s, i, "stag") && o.n_tags < 2)
			o.service[o.n_tags] = true, o.tags[o.n_tags++] = (uint16_t)v;
		else if (is(s, i, "prio") && o.n_tags > 0)
			o.tags[o.n_tags - 1] |= (uint16_t)(v << 13);
		else
			fail(s, "send: %s: unknown option", s->words[i]);
	}
	return o;
}

/* Addresses, tags, and for GSO the least of IPv4 and TCP that the MTU check reads. */
static void write_frame(struct frame *f, const struct send_options *o)
{
	uint32_t at = 12;

	for (uint32_t i = 0; i < o->n_tags && f->len >= at + 6; i++, at += 4) {
		bool service = o->service[i] || (o->n_tags == 2 && i == 0 && !o->service[1]);

		memcpy(f->data + at, service ? "\x88\xa8" : "\x81\x00", 2);
		f->data[at + 2] = (uint8_t)(o->tags[i] >> 8);
		f->data[at + 3] = (uint8_t)o->tags[i];
	}
	if (f->len >= at + 2)
		memcpy(f->data + at, "\x08\x00", 2);
	if (o->udp && f->len >= at + 42) {
		f->data[at + 2] = 0x45;
		f->data[at + 2 + 9] = 17;
		f->data[at + 24] = (uint8_t)(o->udp >> 8); /* destination port */
		f->data[at + 25] = (uint8_t)o->udp;
	}
	if (o->gso_size && f->len >= at + 42) {
		f->gso = FRAME_GSO_TCPV4;
		f->gso_size = (uint16_t)o->gso_size;
		f->csum_start = (uint16_t)(at + 22);
		f->data[at + 22 + 12] = 5 << 4;
	}
}

/* send 0.a aa->bb [len N] [tag V] [gso SIZE] [udp PORT] */
static void cmd_send(struct sim *s)
{
	struct send_options o = send_options(s);
	char *from = word(s, 2), *arrow = strstr(from, "->");
	struct bridge_sim *b;
	struct bport *p = port_at(s, word(s, 1), &b);
	struct frame *f;

	if (!arrow)
		fail(s, "send: %s: not SOURCE->DESTINATION", from);
	*arrow = 0;
	forget_txs(s);
	s->from = p;
	f = kit_frame(b->k, address(s, from), address(s, arrow + 2), o.len);
	write_frame(f, &o);
	run_frame(s, (unsigned)(b - s->bridges), p);
	spread(s);
}

/* "u", "10", "10/3" with a priority, "s10" of 802.1ad; of two tags the outer. */
static void describe_tag(const struct tx *t, char *buf, size_t size)
{
	const uint16_t type = t->len >= 18 ? frame_be16(t->data + 12) : 0;
	const unsigned tci = frame_is_tag(type) ? frame_be16(t->data + 14) : 0;

	if (!frame_is_tag(type))
		snprintf(buf, size, "u");
	else if (tci >> 13)
		snprintf(buf, size, "%s%u/%u", type == FRAME_TAG_8021AD ? "s" : "", tci & 0xfff,
			 tci >> 13);
	else
		snprintf(buf, size, "%s%u", type == FRAME_TAG_8021AD ? "s" : "", tci & 0xfff);
}

/* tag: as above; NULL: any. */
static bool take_tx(struct sim *s, const struct bridge_sim *b, const struct bport *p,
		    const char *tag)
{
	for (unsigned i = 0; i < s->n_txs; i++) {
		struct tx *t = &s->txs[i];
		char got[16];

		if (t->expected || &s->bridges[t->bridge] != b || t->port != p)
			continue;
		describe_tag(t, got, sizeof(got));
		if (tag && strcmp(tag, got))
			continue;
		t->expected = true;
		return true;
	}
	return false;
}

static void expect_drop(struct sim *s, const char *where, const char *name)
{
	struct bridge_sim *b = bridge_at(s, where);

	for (unsigned r = 0; r < DROP_N; r++) {
		uint64_t n = 0;
		struct bport *p = NULL;

		if (strcmp(drop_name(r), name))
			continue;
		while ((p = bridge_port_next(b->k->br, p)))
			n += kit_drops(p, r);
		if (n != b->drops_seen[r] + 1)
			fail(s, "bridge %s: %lu new drops %s, expected 1", where,
			     (unsigned long)(n - b->drops_seen[r]), name);
		b->drops_seen[r] = n;
		if (s->look)
			look_for_drop(b, (enum drop_reason)r);
		return;
	}
	fail(s, "%s: no such drop reason", name);
}

/* Every bridge's host got it once, and so did every LAN. */
static void expect_once(struct sim *s)
{
	for (unsigned i = 0; i < s->n_txs; i++) {
		char a[BPORT_NAME_SIZE], b[BPORT_NAME_SIZE];

		s->txs[i].expected = true;
		lan_of(s->txs[i].port, a);
		for (unsigned j = 0; j < i; j++) {
			lan_of(s->txs[j].port, b);
			if (!strcmp(a, b) &&
			    (!s->txs[i].port->host || s->txs[i].port == s->txs[j].port))
				fail(s, "it came to %s twice", a);
		}
	}
	for (unsigned n = 0; n < BRIDGES_MAX; n++) {
		bool got =
			!s->bridges[n].k || s->bridges[n].dead ||
			(s->from->host && bridge_port(s->bridges[n].k->br, s->from->no) == s->from);

		for (unsigned i = 0; i < s->n_txs; i++)
			got |= s->txs[i].bridge == n && s->txs[i].port->host;
		if (!got)
			fail(s, "bridge %u did not get it", n);
	}
}

/* expect none | storm | once | drop BRIDGE REASON | BRIDGE.PORT[:TAG]...: exactly these, each once
 */
static void cmd_expect(struct sim *s)
{
	if (s->storm != is(s, 1, "storm"))
		fail(s, s->storm ? "a storm" : "no storm");
	if (s->storm)
		return;
	if (is(s, 1, "once")) {
		expect_once(s);
		return;
	}
	if (is(s, 1, "drop")) {
		expect_drop(s, word(s, 2), word(s, 3));
		return;
	}
	for (unsigned i = 1; i < s->n_words && !is(s, 1, "none"); i++) {
		char *tag = strchr(s->words[i], ':');
		struct bridge_sim *b;
		struct bport *p;

		if (tag)
			*tag++ = 0;
		p = port_at(s, s->words[i], &b);
		if (!take_tx(s, b, p, tag))
			fail(s, "%s sent nothing (more)%s%s", s->words[i], tag ? " with tag " : "",
			     tag ? tag : "");
	}
	for (unsigned i = 0; i < s->n_txs; i++) {
		char tag[16];

		describe_tag(&s->txs[i], tag, sizeof(tag));
		if (!s->txs[i].expected)
			fail(s, "%u.%s sent a frame too, with tag %s", s->txs[i].bridge,
			     s->txs[i].port->name, tag);
	}
}

static void cmd_addif(struct sim *s)
{
	add_port(s, bridge_at(s, word(s, 1)), word(s, 2));
}

static void cmd_delif(struct sim *s)
{
	struct bridge_sim *b = bridge_at(s, word(s, 1));

	forget_txs(s); /* they point to ports */
	bridge_port_del(b->k->br, port_named(s, b, word(s, 2)));
}

static const char *const event_names[] = {
	[BRIDGE_FDB_NEW] = "new",
	[BRIDGE_FDB_MOVED] = "moved",
	[BRIDGE_FDB_GONE] = "gone",
	[BRIDGE_FDB_FULL] = "full",
	[BRIDGE_OWN_SOURCE] = "own-source",
	[BRIDGE_MAC_CHANGED] = "mac",
	[BRIDGE_MTU_CHANGED] = "mtu",
	[BRIDGE_STP_ROLE] = "role",
	[BRIDGE_STP_STATE] = "state",
	[BRIDGE_STP_ROOT] = "root",
	[BRIDGE_STP_BPDU_GUARD] = "guard",
	[BRIDGE_STP_ROOT_BLOCK] = "root-block",
	[BRIDGE_STP_TOPOLOGY_CHANGE] = "topology-change",
};
_Static_assert(array_size(event_names) == BRIDGE_EVENT_N, "a name for each event");

/* events B KIND N|any: so many since the latest such line */
static void cmd_events(struct sim *s)
{
	struct bridge_sim *b = bridge_at(s, word(s, 1));

	for (unsigned i = 0; i < BRIDGE_EVENT_N; i++) {
		uint32_t n = b->k->n_events[i] - b->events_seen[i];

		if (strcmp(word(s, 2), event_names[i]))
			continue;
		b->events_seen[i] = b->k->n_events[i];
		if (!is(s, 3, "any") && n != number(s, word(s, 3)))
			fail(s, "%u events %s", n, s->words[2]);
		return;
	}
	fail(s, "events: %s: no such kind", s->words[2]);
}

/* check B mtu N | check B.P state S */
static void cmd_check(struct sim *s)
{
	struct bridge_sim *b;

	if (stp_check(s))
		return;
	if (is(s, 2, "mtu")) {
		b = bridge_at(s, word(s, 1));
		if (bridge_mtu(b->k->br) != number(s, word(s, 3)))
			fail(s, "the MTU is %u", bridge_mtu(b->k->br));
	} else if (is(s, 2, "state")) {
		const char *name = bport_state_name(port_at(s, word(s, 1), &b)->state);

		if (strcmp(name, word(s, 3)))
			fail(s, "the state is %s", name);
	} else {
		fail(s, "check: %s: mtu or state", word(s, 2));
	}
}

static const struct {
	const char *name;
	void (*run)(struct sim *s);
} commands[] = {
	{"bridge", cmd_bridge},   {"run", cmd_run},     {"send", cmd_send},
	{"expect", cmd_expect},   {"fdb", cmd_fdb},     {"set", cmd_set},
	{"port", cmd_port},       {"addif", cmd_addif}, {"delif", cmd_delif},
	{"events", cmd_events},   {"check", cmd_check}, {"vlan", cmd_vlan},

	{"stp", cmd_stp},         {"bpdu", cmd_bpdu},   {"cut", cmd_cut},
	{"join", cmd_cut},        {"kill", cmd_kill},   {"revive", cmd_kill},

	{"rule", cmd_rule},       {"hits", cmd_hits},   {"mirror", cmd_mirror},
	{"program", cmd_program},
};

static void run_line(struct sim *s, char *line)
{
	char *save = NULL;

	line[strcspn(line, "#\n")] = 0;
	s->n_words = 0;
	for (char *w = strtok_r(line, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
		if (s->n_words == WORDS_MAX)
			fail(s, "too many words");
		s->words[s->n_words++] = w;
	}
	if (s->n_words == 0)
		return;
	for (unsigned i = 0; i < array_size(commands); i++) {
		if (strcmp(commands[i].name, s->words[0]) == 0) {
			commands[i].run(s);
			stp_settle(s);
			return;
		}
	}
	fail(s, "%s: no such command", s->words[0]);
}

static void run_file(const char *path, bool program, bool look)
{
	struct sim *s = calloc(1, sizeof(*s));
	FILE *f = fopen(path, "re");
	char line[1024];

	kit_check(s != NULL, "out of memory");
	s->file = path;
	s->program = program;
	s->look = look;
	if (!f)
		fail(s, "cannot be read");
	while (fgets(line, sizeof(line), f)) {
		s->line++;
		run_line(s, line);
	}
	fclose(f);
	forget_txs(s);
	for (unsigned i = 0; i < BRIDGES_MAX; i++) {
		if (s->bridges[i].k)
			kit_free(s->bridges[i].k);
		trace_free(s->bridges[i].trace);
	}
	free(s);
}

int main(int argc, char **argv)
{
	bool program = false, look = false;
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		program |= strcmp(argv[i], "--program") == 0;
		look |= strcmp(argv[i], "--look") == 0;
	}
	if (i == argc) {
		fprintf(stderr, "usage: sim [--program] [--look] FILE...\n");
		return 2;
	}
	for (; i < argc; i++)
		run_file(argv[i], program, look);
	return 0;
}
