/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the bridge share: bridge.c (the object), input.c (pass 1), forward.c (pass 2).
 * Nobody else includes this.
 */
#pragma once

#include "core/bridge.h"

struct bridge {
	/* hot: read for each frame or batch */
	struct fdb *fdb;
	struct bport *host; /* the bridge's own interface; NULL: none */
	uint32_t n_ports;
	uint32_t now_s; /* what the FDB was told last */
	struct bridge_settings set;
	struct buf_ops bufs;
	struct bridge_ops ops;
	struct bport *by_no[PORTS_MAX] _cacheline_; /* by port number; NULL: free */
	struct bport *ports[PORTS_MAX]; /* the same, n_ports of them, ascending: for floods */
	/* cold */
	char name[BPORT_NAME_SIZE];
	uint64_t mac, own_mac; /* in force; of the configuration, while there are no ports */
	uint64_t local_mac;    /* the bridge's own FDB entry; 0: a port of that address has it */
	uint32_t mtu;
	uint64_t next_tick_ns;
};

/* Frames dropped in one pass: their buffers go back together. */
struct drop_set {
	uint32_t n;
	uint32_t bufs[BATCH_MAX];
};

/* Counts the frame at port `at` and notes its buffer for drop_set_put(). */
static inline void drop_set_add(struct drop_set *d, struct bport *at, struct frame *f,
				enum drop_reason r)
{
	bport_drop(at, r, 1);
	f->verdict = FRAME_DROP;
	d->bufs[d->n++] = f->buf;
}

static inline void drop_set_put(const struct drop_set *d, const struct bridge *br)
{
	if (d->n > 0)
		br->bufs.put(br->bufs.ctx, d->bufs, d->n);
}

/* Port by number, NULL if there is none or the number is out of range. */
static inline struct bport *port_by_no(const struct bridge *br, uint16_t no)
{
	return no < PORTS_MAX ? br->by_no[no] : NULL;
}

/* Tells the owner, if it listens. */
void bridge_emit(const struct bridge *br, const struct bridge_event *e);
/* Lets the FDB know the time of a batch or tick. */
void bridge_set_now(struct bridge *br, uint64_t now_ns);
