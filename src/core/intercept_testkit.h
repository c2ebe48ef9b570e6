/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bridge with three ports and a host, and a netmap program played by the test: it takes what is
 * on the lists of rings and gives back what it likes, by swapping buffers or by copying.
 */
#pragma once

#include "core/inject.h"
#include "core/testkit.h"

#define AA    0x0200000000aaULL /* behind port a */
#define BB    0x0200000000bbULL /* behind port b */
#define XX    0x020000000077ULL /* nobody knows where */
#define MCAST 0x01005e000001ULL
#define LLDP  (MAC_RESERVED_BASE + 0xe)
#define BPDU  MAC_RESERVED_BASE
#define LIVE  (INTERCEPT_BOUND | INTERCEPT_SYNCED)

struct ilab {
	struct kit *k;
	struct bport *a, *b, *c, *host;
	struct intercept *ic;
	struct origins *os[INTERCEPT_SIDE_N];
	/* what the program holds, oldest first */
	struct frame held[BATCH_MAX];
	struct origin origins[BATCH_MAX];
	uint32_t n_held[INTERCEPT_SIDE_N]; /* seen in the latest round, of each side */
	uint32_t n;
};

static inline void ilab_set(struct ilab *l, enum intercept_mode mode, enum intercept_fail fail)
{
	struct intercept_settings s = l->ic->set;

	s.mode = (uint8_t)mode;
	s.fail = (uint8_t)fail;
	intercept_set(l->ic, &s);
}

/* A program opens and syncs all rings; state: enum intercept_ring_state. */
static inline void ilab_rings(struct ilab *l, uint8_t state)
{
	for (uint32_t side = 0; side < INTERCEPT_SIDE_N; side++) {
		for (uint32_t i = 0; i < l->ic->set.n_rings[side]; i++)
			intercept_set_ring(l->ic, side, i, state);
	}
}

static inline void ilab_tx(struct ilab *l, bool bound)
{
	intercept_set_tx(l->ic, INTERCEPT_NIC, bound);
	intercept_set_tx(l->ic, INTERCEPT_HOST, bound);
}

/* Of the kernel's bridges `c` is the interface itself, and ports have learned nothing. */
static inline struct ilab *ilab_new_kind(enum bridge_kind kind)
{
	struct ilab *l = calloc(1, sizeof(*l));
	struct origins_config cfg = {
		.n_rings = RINGS_MAX,
		.n_records = 64,
		.n_sources = 64,
		.source_age_s = 300,
		.hash_key = {5},
	};

	kit_check(l != NULL, "out of memory");
	l->k = kit_new_kind(1024, kind);
	l->host = kit_port(l->k, "br0", true);
	l->a = kit_port(l->k, "a", false);
	l->b = kit_port(l->k, "b", false);
	l->c = kit_port(l->k, kind == BRIDGE_OWN ? "c" : "self", false);
	l->ic = bridge_intercept(l->k->br);
	kit_send(l->k, l->a, AA, XX);
	kit_send(l->k, l->b, BB, XX);
	kit_sent(l->k);
	for (int i = 0; i < INTERCEPT_SIDE_N; i++)
		l->os[i] = origins_new(&cfg);
	return l;
}

static inline struct ilab *ilab_new(void)
{
	return ilab_new_kind(BRIDGE_OWN);
}

/* The program drops what it holds. */
static inline void ilab_forget(struct ilab *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		kit_put(l->k, &l->held[i].buf, 1);
	l->n = 0;
}

static inline struct ilab *ilab_free(struct ilab *l)
{
	ilab_forget(l);
	for (int i = 0; i < INTERCEPT_SIDE_N; i++)
		origins_free(l->os[i]);
	kit_free(l->k);
	free(l);
	return NULL;
}

/* A frame of which only the program has the buffer: what goes on keeps the other. */
static inline struct frame ilab_private(struct ilab *l, const struct frame *f)
{
	struct frame r = *f;

	if (kit_refs(l->k, f->buf) == 1)
		return r;
	r.buf = kit_get(l->k, f->len, &r.data);
	memcpy(r.data, f->data, f->len);
	kit_put(l->k, &f->buf, 1);
	return r;
}

/* The program takes all that is on lists of rings. */
static inline void ilab_take(struct ilab *l)
{
	struct egress *e = l->k->out;

	l->n_held[0] = l->n_held[1] = 0;
	for (uint32_t i = 0; i < e->n_used; i++) {
		struct egress_list *list = &e->lists[e->used[i]];

		if (!EGRESS_IS_RING(e->used[i]))
			continue;
		for (uint32_t j = 0; j < list->n; j++) {
			struct frame f = ilab_private(l, list->frames[j]);

			bridge_origin(l->k->br, list->frames[j], l->k->now_ns, &l->origins[l->n]);
			origins_lend(l->os[EGRESS_SIDE_OF(e->used[i])], &f, &l->origins[l->n]);
			l->held[l->n++] = f;
			l->n_held[EGRESS_SIDE_OF(e->used[i])]++;
		}
		list->n = 0;
	}
}

/* Sends one frame of 60 bytes in, and the program takes what it gets. */
static inline void ilab_send(struct ilab *l, struct bport *in, uint64_t src, uint64_t dst)
{
	kit_send(l->k, in, src, dst);
	ilab_take(l);
}

enum give { SWAPPED, COPIED };

/*
 * The program writes what it holds to the host TX ring (NIC) or the NIC TX ring (HOST). Lists hold
 * the outcome.
 */
static inline void ilab_give(struct ilab *l, enum intercept_side side, enum give how)
{
	struct batch *b = l->k->in;
	struct origin o[BATCH_MAX];

	kit_sent(l->k);
	b->now_ns = l->k->now_ns;
	for (b->n = 0; b->n < l->n; b->n++) {
		struct frame f = l->held[b->n], *to = &b->frames[b->n];

		frame_parse(&f);
		if (how == COPIED) {
			uint8_t *data = NULL;
			uint32_t buf = kit_get(l->k, f.len, &data);

			memcpy(data, f.data, f.len);
			origins_release(l->os[side], f.buf);
			kit_put(l->k, &f.buf, 1);
			f.buf = buf;
			f.data = data;
			frame_parse(&f);
		}
		origins_match(l->os[side], &f, b->now_ns, &o[b->n]);
		*to = (struct frame){.data = f.data, .len = f.len, .buf = f.buf};
	}
	l->n = 0;
	if (side == INTERCEPT_NIC)
		bridge_inject(l->k->br, b, o);
	else
		bridge_inject_host(l->k->br, b, o);
	bridge_forward(l->k->br, b, l->k->out);
	l->k->in = l->k->done;
	l->k->in->n = 0;
	l->k->done = b;
}

/* A frame that the program makes itself. */
static inline struct frame *ilab_make(struct ilab *l, uint64_t src, uint64_t dst)
{
	struct frame *f = kit_frame(l->k, src, dst, 60);

	l->held[l->n] = *f;
	l->k->in->n = 0;
	return &l->held[l->n++];
}

/* Who got frames: letters of abch; n and H for the program's NIC and host rings. Upper limit 1. */
static inline const char *ilab_got(struct ilab *l, char buf[8])
{
	const struct bport *p[] = {l->a, l->b, l->c, l->host};
	char *s = buf;

	for (int i = 0; i < 4; i++) {
		if (!p[i])
			continue;
		if (kit_got(l->k, p[i]) > 0)
			*s++ = "abch"[i];
		kit_check(kit_got(l->k, p[i]) <= 1, "a frame went out twice");
	}
	if (l->n_held[INTERCEPT_NIC])
		*s++ = 'n';
	if (l->n_held[INTERCEPT_HOST])
		*s++ = 'H';
	l->n_held[0] = l->n_held[1] = 0;
	*s = 0;
	return buf;
}

/* Sum of a counter of drops over all ports, and of frames without one. */
static inline uint64_t ilab_drops(struct ilab *l, enum drop_reason r)
{
	uint64_t n = bridge_nowhere(l->k->br)->counters.drops.n[r];

	for (struct bport *p = NULL; (p = bridge_port_next(l->k->br, p));)
		n += p->counters.drops.n[r];
	return n;
}

/* Two rings with a live program. */
static inline int ilab_setup(void **state)
{
	struct ilab *l = ilab_new();

	ilab_rings(l, LIVE);
	ilab_tx(l, true);
	*state = l;
	return 0;
}

static inline int ilab_teardown(void **state)
{
	ilab_free(*state);
	return 0;
}

#define assert_got(l, who)                                                                         \
	do {                                                                                       \
		char buf_[8];                                                                      \
		assert_string_equal(ilab_got(l, buf_), who);                                       \
	} while (0)
