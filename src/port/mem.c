/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "port/driver.h"

#define CAPS_ALL (OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_TSO_ECN | OFFLOAD_USO)

/* Frames first to last-1; both start again at 0 when it runs empty, which keeps it in the cache. */
struct queue {
	uint32_t first, last;
	struct frame frames[MEM_QUEUE];
};

struct mem_port {
	struct port port;
	struct mem_port *peer; /* other end, NULL = none */
	uint8_t rx_flags;      /* FRAME_LOCAL for the host's port */
	struct queue rx;       /* for our rx() */
	struct queue out;      /* what a single end transmitted */
};

static struct mem_port *mem_port(struct port *p)
{
	assert(p->driver == &port_driver_mem);
	return container_of(p, struct mem_port, port);
}

static struct frame *queue_add(struct queue *q)
{
	if (unlikely(q->last == MEM_QUEUE)) {
		if (!q->first)
			return NULL;
		memmove(q->frames, q->frames + q->first,
			(q->last - q->first) * sizeof(q->frames[0]));
		q->last -= q->first;
		q->first = 0;
	}
	return &q->frames[q->last++];
}

static const struct frame *queue_take(struct queue *q)
{
	const struct frame *f;

	if (q->first == q->last)
		return NULL;
	f = &q->frames[q->first++];
	if (q->first == q->last)
		q->first = q->last = 0;
	return f;
}

static void queue_drain(struct queue *q, struct bufcache *bufs)
{
	const struct frame *f;

	while ((f = queue_take(q)))
		buf_put_one(bufs, f->buf);
}

static int mem_open(const struct port_config *cfg, struct port **ret, const char **ret_why)
{
	struct mem_port *m = calloc(1, sizeof(*m));

	if (!m) {
		*ret_why = "no memory";
		return error_origin(-ENOMEM);
	}
	m->port = (struct port){
		.driver = &port_driver_mem, .bufs = cfg->bufs, .caps = CAPS_ALL, .fd = -1};
	snprintf(m->port.name, sizeof(m->port.name), "%s", cfg->name);
	snprintf(m->port.mode, sizeof(m->port.mode), "in-process");
	m->rx_flags = cfg->host ? FRAME_LOCAL : 0;
	*ret = &m->port;
	return 0;
}

static void mem_close(struct port *p)
{
	struct mem_port *m = mem_port(p);

	if (m->peer)
		m->peer->peer = NULL;
	queue_drain(&m->rx, p->bufs);
	queue_drain(&m->out, p->bufs);
	free(m);
}

static uint32_t mem_rx(struct port *p, struct batch *b)
{
	struct mem_port *m = mem_port(p);
	uint32_t n = 0;

	for (; b->n < BATCH_MAX; n++) {
		const struct frame *f = queue_take(&m->rx);

		if (!f)
			break;
		p->stats.rx_bytes += f->len;
		/* What the sender's bridge noted in the descriptor stays behind. */
		b->frames[b->n++] = (struct frame){
			.data = f->data,
			.len = f->len,
			.buf = f->buf,
			.gso = f->gso,
			.gso_size = f->gso_size,
			.hdr_len = f->hdr_len,
			.csum_start = f->csum_start,
			.csum_offset = f->csum_offset,
			.flags = (f->flags & (uint8_t)~FRAME_LOCAL) | m->rx_flags,
		};
	}
	p->stats.rx_packets += n;
	return n;
}

static uint32_t mem_tx(struct port *p, struct frame *const *frames, uint32_t n)
{
	struct mem_port *m = mem_port(p);
	struct queue *q = m->peer ? &m->peer->rx : &m->out;
	uint32_t done;

	for (done = 0; done < n; done++) {
		struct frame *f = queue_add(q);

		if (!f)
			break;
		*f = *frames[done];
		p->stats.tx_bytes += f->len;
	}
	p->stats.tx_packets += done;
	return done;
}

static bool mem_arm(struct port *p)
{
	struct mem_port *m = mem_port(p);

	return m->rx.first != m->rx.last;
}

void mem_pair(struct port *a, struct port *b)
{
	struct mem_port *ma = mem_port(a), *mb = mem_port(b);

	assert(ma != mb && !ma->peer && !mb->peer && a->bufs == b->bufs);
	ma->peer = mb;
	mb->peer = ma;
}

uint32_t mem_inject(struct port *p, const struct frame *frames, uint32_t n)
{
	struct mem_port *m = mem_port(p);
	uint32_t done;

	for (done = 0; done < n; done++) {
		struct frame *f = queue_add(&m->rx);

		if (!f)
			break;
		*f = frames[done];
	}
	return done;
}

int mem_inject_bytes(struct port *p, const void *bytes, uint32_t size)
{
	struct frame f = {.len = size};

	if (!buf_get(p->bufs, &f.buf, 1))
		return -ENOBUFS;
	if (size > buf_room(p->bufs, f.buf)) {
		buf_put_one(p->bufs, f.buf);
		f.buf = buf_get_big(p->bufs);
		if (!f.buf)
			return -ENOBUFS;
	}
	assert(size <= buf_room(p->bufs, f.buf));
	f.data = buf_data(p->bufs, f.buf);
	memcpy(f.data, bytes, size);
	if (mem_inject(p, &f, 1))
		return 0;
	buf_put_one(p->bufs, f.buf);
	return -ENOBUFS;
}

uint32_t mem_collect(struct port *p, struct frame *ret, uint32_t n)
{
	struct mem_port *m = mem_port(p);
	const struct frame *f;
	uint32_t done = 0;

	while (done < n && (f = queue_take(&m->out)))
		ret[done++] = *f;
	return done;
}

const struct port_driver port_driver_mem = {
	.name = "mem",
	.open = mem_open,
	.close = mem_close,
	.rx = mem_rx,
	.tx = mem_tx,
	.arm = mem_arm,
};
