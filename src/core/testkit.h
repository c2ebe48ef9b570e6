/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tests of the engine share: a bridge with its owner's side played by counters. Each frame
 * lies in a heap block of exactly its length, so a read past the end is one that ASan sees, and
 * each reference of each buffer is counted: kit_free() fails if one is missing or left over, or if
 * a drop was counted of which nobody was told.
 *
 * Used by unit tests, the simulator and the fuzz target; never by the product.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mac.h"
#include "core/bridge.h"

#define KIT_BUFS 8192u
#define KIT_MAC  0x0200000000ffULL /* of the bridge while it has no ports */

struct kit {
	struct bridge *br;
	struct batch *in;   /* being filled */
	struct batch *done; /* the one that the lists in out point into */
	struct egress *out;
	uint64_t now_ns;
	uint32_t n_live; /* buffers with references */
	uint32_t next;   /* where to look for a free handle */
	uint32_t n_events[BRIDGE_EVENT_N];
	uint32_t headroom, tailroom;  /* of new buffers: bytes around the frame */
	bool no_buffers;              /* there are none any more */
	struct bridge_event last;     /* of any kind */
	uint64_t told[DROP_N];        /* drops, by bridge_on_drop() */
	bool others_told;             /* of some of them others were told */
	uint32_t n_own;               /* frames that the bridge sent of its own */
	uint8_t own[BPDU_FRAME_SIZE]; /* the latest of them */
	uint16_t own_port;            /* and where it went */
	void (*on_own)(void *ctx, struct bport *p, const uint8_t *data); /* NULL: nobody */
	void *on_own_ctx;
	struct {
		uint8_t *block;
		uint32_t refs, size;
	} bufs[KIT_BUFS]; /* [0] is no buffer */
};

/* Our own mistakes, in any kind of test program. */
static inline void kit_check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "testkit: %s\n", what);
	abort();
}

static inline void kit_ref(void *ctx, uint32_t buf, uint32_t n)
{
	struct kit *k = ctx;

	kit_check(buf > 0 && buf < KIT_BUFS && k->bufs[buf].refs > 0, "reference to a free buffer");
	kit_check(n > 0, "zero references taken");
	k->bufs[buf].refs += n;
}

static inline void kit_put(void *ctx, const uint32_t *bufs, uint32_t n)
{
	struct kit *k = ctx;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t b = bufs[i];

		kit_check(b > 0 && b < KIT_BUFS && k->bufs[b].refs > 0,
			  "a free buffer was put back");
		if (--k->bufs[b].refs > 0)
			continue;
		free(k->bufs[b].block);
		k->bufs[b].block = NULL;
		k->n_live--;
	}
}

static inline uint32_t kit_refs(void *ctx, uint32_t buf)
{
	return ((struct kit *)ctx)->bufs[buf].refs;
}

static inline uint32_t kit_get(void *ctx, uint32_t size, uint8_t **ret_data)
{
	struct kit *k = ctx;

	for (uint32_t i = 1; i < KIT_BUFS && !k->no_buffers; i++) {
		uint32_t b = 1 + (k->next++ % (KIT_BUFS - 1));

		if (k->bufs[b].refs > 0)
			continue;
		k->bufs[b].size = k->headroom + size + k->tailroom;
		k->bufs[b].block = malloc(k->bufs[b].size ? k->bufs[b].size : 1);
		kit_check(k->bufs[b].block != NULL, "out of memory");
		k->bufs[b].refs = 1;
		k->n_live++;
		*ret_data = k->bufs[b].block + k->headroom;
		return b;
	}
	return 0;
}

static inline void kit_room(void *ctx, uint32_t buf, const uint8_t *data, uint32_t *ret_before,
			    uint32_t *ret_from)
{
	struct kit *k = ctx;

	*ret_before = (uint32_t)(data - k->bufs[buf].block);
	*ret_from = k->bufs[buf].size - *ret_before;
}

static inline void kit_event(void *ctx, const struct bridge_event *e)
{
	struct kit *k = ctx;

	if (e->kind == BRIDGE_FDB_GONE)
		kit_check(bridge_port(k->br, e->port), "the port of what is gone has a name");
	k->n_events[e->kind]++;
	k->last = *e;
}

static inline void kit_dropped(void *ctx, const struct bport *at, const struct frame *f,
			       enum drop_reason r)
{
	struct kit *k = ctx;

	kit_check(bridge_drop_log(k->br)->last[r].len == f->len, "the last dropped frame is noted");
	k->told[r]++;
}

static inline void kit_own(void *ctx, struct bport *p, const uint8_t *data, uint32_t len)
{
	struct kit *k = ctx;

	kit_check(p->link_up && len == BPDU_FRAME_SIZE, "a BPDU on a port with a link");
	k->n_own++;
	k->own_port = p->no;
	memcpy(k->own, data, len);
	if (k->on_own)
		k->on_own(k->on_own_ctx, p, data);
}

static inline struct kit *kit_new_kind(uint32_t fdb_capacity, enum bridge_kind kind)
{
	struct kit *k = calloc(1, sizeof(*k));
	struct bridge_config cfg = {
		.name = "br0",
		.kind = kind,
		.fdb_capacity = fdb_capacity,
		.hash_key = {1, 2, 3},
		.mac = KIT_MAC,
	};

	kit_check(k != NULL, "out of memory");
	k->in = calloc(1, sizeof(*k->in));
	k->done = calloc(1, sizeof(*k->done));
	k->out = calloc(1, sizeof(*k->out));
	kit_check(k->in && k->done && k->out, "out of memory");
	k->br = bridge_new(&cfg,
			   &(struct bridge_ops){.ctx = k, .event = kit_event, .send = kit_own},
			   &(struct buf_ops){.ctx = k,
					     .ref = kit_ref,
					     .put = kit_put,
					     .refs = kit_refs,
					     .get = kit_get,
					     .room = kit_room});
	kit_check(k->br != NULL, "no bridge");
	bridge_on_drop(k->br, kit_dropped, k);
	return k;
}

/* A bridge without ports, with room for fdb_capacity addresses (0: default). */
static inline struct kit *kit_new(uint32_t fdb_capacity)
{
	return kit_new_kind(fdb_capacity, BRIDGE_OWN);
}

/* The port's address is 02:00:00:00:01:<number>; its link is up, its MTU 1500. */
static inline struct bport *kit_port(struct kit *k, const char *name, bool host)
{
	struct bport_config cfg = {
		.mtu = 1500, .host = host, .self = !strcmp(name, "self"), .link_up = true};
	struct bport *p = NULL;
	uint32_t no = 1;

	while (bridge_port(k->br, (uint16_t)no))
		no++;
	cfg.mac = host ? bridge_mac(k->br) : 0x020000000100ULL + no;
	snprintf(cfg.name, sizeof(cfg.name), "%s", name);
	kit_check(bridge_port_add(k->br, &cfg, &p) == 0, "port not added");
	return p;
}

/* Puts what the egress lists hold back, as a driver that has sent it. */
static inline void kit_sent(struct kit *k)
{
	for (uint32_t i = 0; i < k->out->n_used; i++) {
		struct egress_list *l = &k->out->lists[k->out->used[i]];
		struct bport *p = bridge_port(k->br, k->out->used[i]);

		kit_check(p || EGRESS_IS_RING(k->out->used[i]),
			  "frames for a port that is not there");
		for (uint32_t j = 0; j < l->n; j++) {
			if (p)
				bridge_tx_done(p, 1, l->frames[j]->len);
			kit_put(k, &l->frames[j]->buf, 1);
		}
	}
	egress_reset(k->out);
}

/* What `drops` shows is what traces and captures are told; ports that have left took some along. */
static inline void kit_check_drops(const struct kit *k)
{
	for (enum drop_reason r = 0; r < DROP_N && !k->others_told; r++) {
		uint64_t n = bridge_nowhere(k->br)->counters.drops.n[r];
		const struct bport *p = NULL;

		while ((p = bridge_port_next(k->br, p)))
			n += p->counters.drops.n[r];
		kit_check(n <= k->told[r], drop_name(r));
	}
}

static inline struct kit *kit_free(struct kit *k)
{
	kit_sent(k);
	kit_check(k->n_live == 0, "buffers were lost");
	kit_check_drops(k);
	bridge_free(k->br);
	free(k->in);
	free(k->done);
	free(k->out);
	free(k);
	return NULL;
}

/* Appends a frame of len bytes to the batch: addresses, EtherType 0x0800, zeros. */
static inline struct frame *kit_frame(struct kit *k, uint64_t src, uint64_t dst, uint32_t len)
{
	struct frame *f = &k->in->frames[k->in->n++];
	uint8_t head[FRAME_HEADER_SIZE] = {[12] = 0x08};

	kit_check(k->in->n <= BATCH_MAX, "batch too long");
	memset(f, 0, sizeof(*f));
	f->buf = kit_get(k, len, &f->data);
	kit_check(f->buf != 0, "no buffer");
	f->len = len;
	mac_store(head, dst);
	mac_store(head + 6, src);
	memset(f->data, 0, len);
	memcpy(f->data, head, min_of(len, FRAME_HEADER_SIZE));
	return f;
}

/* Runs the batch through both passes; what was on the lists before is put back. */
static inline void kit_run(struct kit *k, struct bport *in)
{
	struct batch *b = k->in;

	kit_sent(k);
	b->now_ns = k->now_ns;
	b->alone = k->tailroom >= BATCH_ROOM;
	bridge_input(k->br, in, b);
	bridge_forward(k->br, b, k->out);
	k->in = k->done;
	k->in->n = 0;
	k->done = b;
}

/* One frame of 60 bytes. */
static inline void kit_send(struct kit *k, struct bport *in, uint64_t src, uint64_t dst)
{
	kit_frame(k, src, dst, 60);
	kit_run(k, in);
}

/* Frames that the latest kit_run() put on the port's list. */
static inline uint32_t kit_got(const struct kit *k, const struct bport *p)
{
	return k->out->lists[p->no].n;
}

/* Frames on all lists together. */
static inline uint32_t kit_got_all(const struct kit *k)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < k->out->n_used; i++)
		n += k->out->lists[k->out->used[i]].n;
	return n;
}

static inline uint64_t kit_drops(const struct bport *p, enum drop_reason r)
{
	return p->counters.drops.n[r];
}

/* Three ports and a host: what most tests of the passes start from. */
struct kit_lab {
	struct kit *k;
	struct bport *a, *b, *c, *host;
};

static inline int kit_lab_setup(void **state)
{
	struct kit_lab *l = calloc(1, sizeof(*l));

	l->k = kit_new(1024);
	l->host = kit_port(l->k, "br0", true);
	l->a = kit_port(l->k, "a", false);
	l->b = kit_port(l->k, "b", false);
	l->c = kit_port(l->k, "c", false);
	*state = l;
	return 0;
}

static inline int kit_lab_teardown(void **state)
{
	struct kit_lab *l = *state;

	kit_free(l->k);
	free(l);
	return 0;
}
