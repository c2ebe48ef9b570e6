/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any frames, 0 to 65,549 bytes, through both passes of a bridge whose ports, rules and mirrors
 * change all the time, with a netmap program that takes frames and gives them back, edited, late,
 * or ones it made up. ASan watches the reads; the test kit aborts if a reference of a buffer is
 * lost or given back twice. All frames are traced, and the first of a batch is explained before: as
 * far as no program has its say, that must be the same. The input is a list of operations; each
 * takes what it needs from the front, zeros when the input has ended.
 */
#include <stddef.h>

#include "base/bytes.h"
#include "core/explain.h"
#include "core/inject.h"
#include "core/testkit.h"

#define N_PORTS   5u
#define CAPACITY  32u /* so that limits are met */
#define STATIONS  64u
#define STEPS_MAX 2000u
#define HELD_MAX  200u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct bytes in;
	struct kit *k;
	struct bport *ports[N_PORTS + 1]; /* [0]: the host's */
	struct origins *os[INTERCEPT_SIDE_N];
	struct frame held[HELD_MAX]; /* by the program */
	uint32_t n_held;
	struct trace *trace;
	struct journey explained, traced; /* of the first frame of the latest batch */
	bool wanted;                      /* its trace, because it was explained */
	bool full;                        /* the table was, then */
};

/* ---- journeys ---- */

static void traced(void *ctx, const struct journey *j)
{
	struct fuzz *z = ctx;

	if (!z->wanted || j->records[0].step != TRACE_RX || j->len != z->explained.len ||
	    memcmp(j->bytes, z->explained.bytes, j->n_bytes))
		return;
	z->traced = *j;
	z->wanted = false;
}

/* A frame that can be described by its bytes, and by what is known before. */
static void explain_first(struct fuzz *z, const struct bport *in)
{
	const struct frame f = z->k->in->frames[0];
	struct fdb_stats st;

	z->explained.n = z->traced.n = 0;
	z->wanted = z->k->in->n > 0 && f.len > 0 && !f.gso && !f.flags;
	if (!z->wanted)
		return;
	kit_check(bridge_explain(z->k->br, in, f.data, f.len, z->k->now_ns, &z->explained) == 0,
		  "out of memory");
	fdb_stats(bridge_fdb(z->k->br), &st);
	z->full = st.n_learned >= st.max_learned || st.n_learned + st.n_fixed >= st.capacity;
}

static void compare(const struct fuzz *z)
{
	const struct journey *x = &z->explained, *t = &z->traced;

	for (uint32_t i = 0; i < x->n && i < t->n; i++) {
		const struct trace_record *a = &x->records[i], *b = &t->records[i];

		if (a->step == TRACE_INTERCEPT || b->step == TRACE_INTERCEPT)
			return;
		if (a->step == TRACE_LEARN && z->full && a->result != FDB_KNOWN)
			return; /* who will make way? */
		if (a->step == b->step && a->port == b->port && a->vid == b->vid &&
		    a->result == b->result)
			continue;
		fprintf(stderr, "step %u: %s %u at %u, and %s %u at %u\n", i,
			trace_step_name(a->step), a->result, a->port, trace_step_name(b->step),
			b->result, b->port);
		kit_check(false, "explain and trace differ");
	}
}

static struct bport *pick(struct fuzz *z, uint8_t n)
{
	return z->ports[n % (N_PORTS + 1)];
}

/* An address that is likely to have been seen, or to mean something. */
static uint64_t address(struct fuzz *z)
{
	uint8_t n = bytes_u8(&z->in);
	struct bport *p = pick(z, n);

	if (n < STATIONS)
		return 0x020000000000ULL + n;
	if (n < 128)
		return MAC_RESERVED_BASE + (n & 0xf);
	if (n < 160 && p)
		return p->mac;
	if (n < 176)
		return bridge_mac(z->k->br);
	if (n < 192)
		return MAC_BROADCAST;
	return bytes_mac(&z->in);
}

static void set_offload(struct fuzz *z, struct frame *f)
{
	f->gso = bytes_u8(&z->in) % FRAME_GSO_N;
	f->flags = bytes_u8(&z->in) & (FRAME_CSUM_PARTIAL | FRAME_CSUM_VALID | FRAME_GSO_ECN);
	f->gso_size = bytes_be16(&z->in);
	f->csum_start = bytes_be16(&z->in);
	f->csum_offset = bytes_be16(&z->in);
	f->hdr_len = bytes_be16(&z->in);
}

/* A frame of the kit's batch: shape, addresses, then up to 32 bytes behind them. */
static void add_frame(struct fuzz *z)
{
	uint8_t shape = bytes_u8(&z->in);
	uint32_t len = bytes_be16(&z->in);
	struct frame *f;

	if (shape & 1)
		len %= 128;
	else if (shape & 2)
		len = FRAME_SIZE_MAX - len % 64;
	f = kit_frame(z->k, address(z), address(z), len);
	for (uint32_t i = 12; i < len && i < 44 && shape & 4; i++)
		f->data[i] = bytes_u8(&z->in);
	if (shape & 8)
		set_offload(z, f);
	if (shape & 16 && len >= 16)
		memcpy(f->data + 12, "\x81\x00", 2);
	if (shape & 32 && len >= 16) {
		f->data[14] &= 0xf0;
		f->data[15] &= 7;
	}
}

/* The program takes what is for it, or some of it; the rest did not fit. */
static void take(struct fuzz *z, uint32_t n_room)
{
	struct kit *k = z->k;
	struct egress *e = k->out;

	for (uint32_t i = 0; i < e->n_used; i++) {
		struct egress_list *l = &e->lists[e->used[i]];
		struct origins *os;
		uint32_t n = 0;

		if (!EGRESS_IS_RING(e->used[i]))
			continue;
		os = z->os[EGRESS_SIDE_OF(e->used[i])];
		for (; n < l->n && n_room > 0 && z->n_held < HELD_MAX; n++, n_room--) {
			struct frame *f = l->frames[n];
			struct origin o;

			bridge_origin(k->br, f, k->now_ns, &o);
			origins_lend(os, f, &o);
			trace_step(z->trace, f, NULL, (struct trace_record){.step = TRACE_RING});
			z->held[z->n_held++] = *f;
		}
		bridge_intercept_refused(k->br, l->frames + n, l->n - n, e);
		l->n = 0;
	}
}

/* Gives frames of the program and new ones back, by whichever way. */
static void op_give(struct fuzz *z)
{
	struct kit *k = z->k;
	struct batch *b = k->in;
	struct origin o[BATCH_MAX];
	uint8_t how = bytes_u8(&z->in), n = bytes_u8(&z->in) % (BATCH_MAX + 1);
	enum intercept_side side = how & 1;

	kit_sent(k);
	b->now_ns = k->now_ns;
	while (b->n < n && z->n_held > 0) {
		struct frame f = z->held[--z->n_held];
		uint8_t edit = bytes_u8(&z->in);

		if (edit & 1 && f.len >= 6 && kit_refs(k, f.buf) == 1)
			mac_store(f.data, address(z));
		if (edit & 2)
			origins_release(z->os[side], f.buf);
		b->frames[b->n++] = (struct frame){.data = f.data, .len = f.len, .buf = f.buf};
	}
	while (b->n < n && bytes_left(&z->in) > 0)
		add_frame(z);
	for (uint32_t i = 0; i < b->n; i++) {
		o[i] = (struct origin){.how = ORIGIN_UNKNOWN};
		if (how & 8 && !origins_withdraw(z->os[side], b->frames[i].buf, &o[i]))
			continue;
		if (!(how & 8) && frame_parse(&b->frames[i]))
			origins_match(z->os[side], &b->frames[i], b->now_ns, &o[i]);
	}
	if (how & 8)
		bridge_withdraw(k->br, side, b, o);
	else if (side == INTERCEPT_HOST)
		bridge_inject_host(k->br, b, how & 2 ? NULL : o);
	else
		bridge_inject(k->br, b, how & 2 ? NULL : o);
	bridge_forward(k->br, b, k->out);
	trace_round_end(z->trace);
	k->in = k->done;
	k->in->n = 0;
	k->done = b;
}

static bool odd_address(void *ctx, const struct frame *f)
{
	return f->dst & 1;
}

static void op_intercept(struct fuzz *z)
{
	struct intercept *ic = bridge_intercept(z->k->br);
	struct intercept_settings s = ic->set;
	uint8_t bits = bytes_u8(&z->in);

	s.mode = bytes_u8(&z->in) % (INTERCEPT_MODE_N + 1);
	s.fail = bits & 1;
	s.overflow = bits >> 1 & 1;
	s.reserved_tx = bits & 4;
	s.reserved = bytes_u8(&z->in) % (INTERCEPT_RESERVED_N + 1);
	s.oversize = bytes_u8(&z->in) % (INTERCEPT_OVERSIZE_N + 1);
	s.n_rings[INTERCEPT_NIC] = bytes_u8(&z->in) % (RINGS_MAX + 2);
	s.n_rings[INTERCEPT_HOST] = (uint16_t)(RINGS_MAX + 1 - s.n_rings[INTERCEPT_NIC]);
	s.slot_len = bytes_be16(&z->in);
	s.filter.fn = bits & 8 ? odd_address : NULL;
	s.exempt.fn = bits & 16 ? odd_address : NULL;
	intercept_set(ic, &s);
	for (uint32_t i = 0; i < 2 * RINGS_MAX; i++)
		intercept_set_ring(ic, i & 1, i / 2, bits & 32 ? bytes_u8(&z->in) & 7 : 3);
	intercept_set_tx(ic, INTERCEPT_NIC, bits & 64);
	intercept_set_tx(ic, INTERCEPT_HOST, bits & 128);
}

/* VLANs of a port, or settings of all. Few VLANs, so that ports meet in them. */
static void change_vlans(struct fuzz *z)
{
	struct vlan_settings s = *bridge_vlan_settings(z->k->br);
	uint8_t bits = bytes_u8(&z->in);
	struct bport *p = pick(z, bytes_u8(&z->in));
	uint16_t first = 1 + bytes_u8(&z->in) % 4, last = (uint16_t)(first + (bits >> 4) % 3);

	z->k->headroom = bits & 4;
	z->k->tailroom = (bits & 8) * BATCH_ROOM / 8;
	if (bits & 1) {
		s.filtering = bits & 2;
		s.stats = bits & 16;
		s.stats_per_port = bits & 32;
		s.protocol = bits & 64 ? FRAME_TAG_8021AD : FRAME_TAG_8021Q;
		s.default_pvid = bits & 128 ? 0 : first;
		kit_check(bridge_vlan_set(z->k->br, &s) == 0, "out of memory");
	} else if (p && bits & 2) {
		bridge_vlan_del(z->k->br, p, first, last);
	} else if (p) {
		bridge_vlan_add(z->k->br, p, first, last,
				first == last ? bits >> 6 : bits >> 6 & (unsigned)VLAN_UNTAGGED);
	}
}

static void op_program(struct fuzz *z)
{
	uint8_t what = bytes_u8(&z->in), ring = bytes_u8(&z->in) % RINGS_MAX;

	switch (what % 4) {
	case 0:
		origins_revoke(z->os[what >> 2 & 1], ring);
		break;
	case 1:
		origins_forget(z->os[what >> 2 & 1]);
		break;
	case 2:
		change_vlans(z);
		break;
	default: /* drops what it has */
		while (z->n_held > 0)
			kit_put(z->k, &z->held[--z->n_held].buf, 1);
	}
}

static void op_frames(struct fuzz *z)
{
	struct bport *in = pick(z, bytes_u8(&z->in));
	uint32_t n = bytes_u8(&z->in) % (BATCH_MAX + 1);

	while (n-- > 0 && bytes_left(&z->in) > 0)
		add_frame(z);
	if (in) {
		explain_first(z, in);
		kit_run(z->k, in);
		take(z, z->k->in->n + z->k->done->n / 2 + HELD_MAX / 16);
		trace_round_end(z->trace);
		compare(z);
		z->wanted = false;
		return;
	}
	for (uint32_t i = 0; i < z->k->in->n; i++)
		kit_put(z->k, &z->k->in->frames[i].buf, 1);
	z->k->in->n = 0;
}

static void op_flags(struct fuzz *z)
{
	struct bport *p = pick(z, bytes_u8(&z->in));

	if (!p)
		return;
	bridge_port_set_flags(z->k->br, p, 0xff, bytes_u8(&z->in));
	p->group_fwd_mask = bytes_be16(&z->in);
}

static void op_state(struct fuzz *z)
{
	struct bport *p = pick(z, bytes_u8(&z->in));

	if (p)
		bridge_port_set_state(z->k->br, p, bytes_u8(&z->in) % BPORT_STATE_N);
}

static void op_link(struct fuzz *z)
{
	struct bport *p = pick(z, bytes_u8(&z->in));
	uint64_t mac = address(z);

	if (p)
		bridge_port_link(z->k->br, p, mac, bytes_be16(&z->in), bytes_u8(&z->in) & 1);
}

static void op_settings(struct fuzz *z)
{
	struct bridge_settings s = *bridge_settings(z->k->br);
	uint8_t bits = bytes_u8(&z->in);

	s.no_linklocal_learn = bits & 1;
	s.monitor = (bits & 6) == 6;
	s.promisc = bits & 8;
	s.mac_set = bits & 16;
	s.mtu_set = bits & 32;
	s.group_fwd_mask = bytes_be16(&z->in);
	s.ageing_time_s = bytes_u8(&z->in);
	s.fdb_max_learned = bytes_u8(&z->in);
	bridge_set(z->k->br, &s);
}

static void op_fdb(struct fuzz *z)
{
	struct fdb *fdb = bridge_fdb(z->k->br);
	uint8_t what = bytes_u8(&z->in);
	uint16_t port = bytes_u8(&z->in) % (N_PORTS + 3), vid = what >> 4 & 3;
	uint64_t mac = address(z);
	enum fdb_kind kind = what >> 1 & 3;

	/* What leaves is told with its port's name; only local ones are not told. */
	if (what & 1)
		fdb_del(fdb, mac, vid, port);
	else if (kind == FDB_LOCAL || bridge_port(z->k->br, port)) /* as who gives commands */
		fdb_add(fdb, mac, vid, port, kind, what & 8);
}

/* Rules without filters (fuzz_program.c has those) that fit some frames, at any hook. */
static void op_rules(struct fuzz *z)
{
	uint8_t bits = bytes_u8(&z->in);
	struct hook_set *s = bits & 0xe0 ? hook_set_new(bits >> 5) : NULL;

	for (uint32_t i = 0; s && i < s->n; i++) {
		struct hook_rule *r = &s->rules[i];
		uint8_t what = bytes_u8(&z->in);

		r->verdict = what % HOOK_VERDICT_N;
		r->has_mark = what & 4;
		r->mark = what >> 3 & 1;
		r->set_mark = what >> 4 & 1;
		r->vlan = what & 32 ? 0 : HOOK_ANY_VLAN;
		snprintf(r->in_name, sizeof(r->in_name), "%s", what & 64 ? "1" : "");
		snprintf(r->mirror_name, sizeof(r->mirror_name), "%c", 'a' + (what >> 6 & 1));
		r->inherits = (int32_t)i;
	}
	kit_sent(z->k);
	hook_set_free(bridge_set_hook(z->k->br, bits % HOOK_N, s));
}

/* A mirror of that name goes, or comes: ports have names that say their place. */
static void op_mirror(struct fuzz *z)
{
	uint8_t what = bytes_u8(&z->in), who = bytes_u8(&z->in);
	char name[2] = {(char)('a' + what % 3)}, to[2] = {(char)('0' + who % (N_PORTS + 1))};
	struct mirror *m;

	kit_sent(z->k);
	m = bridge_mirror_del(z->k->br, name);
	if (m) {
		mirror_free(m);
		return;
	}
	m = mirror_new(name, to, 1);
	kit_check(m != NULL, "out of memory");
	m->sources[0].port[0] = (char)('0' + (who >> 4) % (N_PORTS + 1));
	m->sources[0].dirs = what >> 2 & MIRROR_BOTH;
	m->has_vlans = what & 16;
	m->vlans[0] = 1;
	m->snap = what & 32 ? what : 0;
	kit_check(bridge_mirror_add(z->k->br, m) == 0, "a mirror was refused");
}

/* A port of the place i. */
static struct bport *join(struct fuzz *z, uint32_t i)
{
	char name[2] = {(char)('0' + i)};

	return kit_port(z->k, name, i == 0);
}

/* Takes a port out, or puts one in where there is none. */
static void op_join(struct fuzz *z)
{
	uint32_t i = bytes_u8(&z->in) % (N_PORTS + 1);

	kit_sent(z->k);
	if (z->ports[i]) {
		bridge_port_del(z->k->br, z->ports[i]);
		z->ports[i] = NULL;
	} else {
		z->ports[i] = join(z, i);
	}
}

static void op_time(struct fuzz *z)
{
	z->k->now_ns += (uint64_t)bytes_be16(&z->in) << 26; /* up to 73 minutes */
	bridge_tick(z->k->br, z->k->now_ns);
}

static void (*const ops[])(struct fuzz *z) = {
	op_frames,   op_frames, op_frames, op_flags, op_state, op_link,      op_fdb,
	op_settings, op_join,   op_time,   op_give,  op_give,  op_intercept, op_program,
};

/* The highest numbers are what was added later: inputs of the corpus still mean what they did. */
static void step(struct fuzz *z, uint8_t n)
{
	if (n < 252)
		ops[n % array_size(ops)](z);
	else if (n < 254)
		op_rules(z);
	else
		op_mirror(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct origins_config cfg = {RINGS_MAX, 8, 16, 300, {1}};
	static const struct trace_watch all = {.count = UINT64_MAX};
	struct fuzz z = {.k = kit_new(CAPACITY)};
	const struct trace_config tc = {.done = traced, .ctx = &z};

	z.os[0] = origins_new(&cfg);
	z.os[1] = origins_new(&cfg);
	z.trace = trace_new(&tc);
	kit_check(z.os[0] && z.os[1] && z.trace, "out of memory");
	trace_add(z.trace, &all);
	bridge_set_trace(z.k->br, z.trace);
	bytes_init(&z.in, data, size);
	for (uint32_t i = 0; i <= N_PORTS; i++)
		z.ports[i] = join(&z, i);
	for (uint32_t i = 0; i < STEPS_MAX && bytes_left(&z.in) > 0; i++)
		step(&z, bytes_u8(&z.in));
	while (z.n_held > 0)
		kit_put(z.k, &z.held[--z.n_held].buf, 1);
	bridge_set_trace(z.k->br, NULL);
	trace_free(z.trace);
	kit_free(z.k);
	origins_free(z.os[0]);
	origins_free(z.os[1]);
	return 0;
}
