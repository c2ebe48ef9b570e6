/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies are noted in a queue in either pass and put on their destinations' lists at the end of
 * pass 2, for pass 1 has no lists, and a frame that it drops is mirrored all the same. A round
 * (mirror_begin() to mirror_flush()) has at most one batch and a destination takes each frame once,
 * so the queue and the lists have room for all.
 */
#include "core/mirror.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/bridge_internal.h"
#include "core/eligible.h"
#include "core/program.h"

struct mirror_queue {
	uint32_t n, n_flushed;
	uint16_t to[BATCH_MAX * MIRRORS_MAX]; /* port numbers */
	struct frame frames[BATCH_MAX * MIRRORS_MAX];
};

/* ---- objects ---- */

struct mirror *mirror_new(const char *name, const char *to, uint32_t n_sources)
{
	struct mirror *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->sources = calloc(n_sources ? n_sources : 1, sizeof(m->sources[0]));
	m->n_sources = n_sources;
	if (!m->sources)
		return mirror_free(m);
	memcpy(m->name, name, strnlen(name, sizeof(m->name) - 1));
	memcpy(m->to, to, strnlen(to, sizeof(m->to) - 1));
	return m;
}

struct mirror *mirror_free(struct mirror *m)
{
	if (!m)
		return NULL;
	program_free(m->filter);
	free(m->sources);
	free(m);
	return NULL;
}

/* ---- of a bridge ---- */

int bridge_mirror_add(struct bridge *br, struct mirror *m)
{
	struct mirrors *ms = &br->mirrors;
	uint32_t no = 0;

	while (no < MIRRORS_MAX && ms->by_no[no])
		no++;
	if (no == MIRRORS_MAX)
		return BRIDGE_E_FULL;
	if (!ms->queue)
		ms->queue = calloc(1, sizeof(*ms->queue));
	if (!ms->queue)
		return error_origin(-ENOMEM);
	/* commit */
	ms->by_no[no] = m;
	ms->n++;
	bridge_bind(br);
	return 0;
}

static int find(const struct bridge *br, const char *name)
{
	for (uint32_t i = 0; i < MIRRORS_MAX; i++)
		if (br->mirrors.by_no[i] && !strcmp(br->mirrors.by_no[i]->name, name))
			return (int)i;
	return -1;
}

struct mirror *bridge_mirror_del(struct bridge *br, const char *name)
{
	int no = find(br, name);
	struct mirror *m;

	if (no < 0)
		return NULL;
	m = br->mirrors.by_no[no];
	br->mirrors.by_no[no] = NULL;
	br->mirrors.n--;
	bridge_bind(br);
	return m;
}

const struct mirror *bridge_mirror(const struct bridge *br, const char *name)
{
	int no = find(br, name);

	return no < 0 ? NULL : br->mirrors.by_no[no];
}

uint16_t mirror_number(const void *ctx, const char *name)
{
	int no = find(ctx, name);

	return no < 0 ? HOOK_NO_PORT : (uint16_t)no;
}

void mirrors_free(struct bridge *br)
{
	for (uint32_t i = 0; i < MIRRORS_MAX; i++)
		mirror_free(br->mirrors.by_no[i]);
	free(br->mirrors.queue);
}

bool mirrors_copy(const struct mirrors *of, struct mirrors *ret)
{
	*ret = *of;
	memset(ret->by_no, 0, sizeof(ret->by_no));
	ret->queue = calloc(1, sizeof(*ret->queue));
	for (uint32_t i = 0; ret->queue && i < MIRRORS_MAX; i++) {
		if (!of->by_no[i])
			continue;
		ret->by_no[i] = malloc(sizeof(*ret->by_no[i]));
		if (!ret->by_no[i])
			return false;
		*ret->by_no[i] = *of->by_no[i];
	}
	return ret->queue != NULL;
}

void mirrors_free_copy(struct mirrors *copy)
{
	for (uint32_t i = 0; i < MIRRORS_MAX; i++)
		free(copy->by_no[i]);
	free(copy->queue);
}

/* The lowest mirror with that destination names its bit. */
static uint8_t dest_bit(const struct mirrors *ms, uint32_t no)
{
	for (uint32_t i = 0; i < no && ms->by_no[no]->to_no; i++)
		if (ms->by_no[i] && ms->by_no[i]->to_no == ms->by_no[no]->to_no)
			return (uint8_t)(1u << i);
	return (uint8_t)(1u << no);
}

/* Nobody listens at the destination, and nobody misses what it does not get. */
static bool rests(const struct bport *to)
{
	return to && to->lazy && !to->link_up;
}

static void bind_sources(struct bridge *br, uint32_t no)
{
	const struct mirror *m = br->mirrors.by_no[no];

	br->mirrors.vlans |= (uint8_t)(m->has_vlans << no);
	for (uint32_t i = 0; i < m->n_sources; i++) {
		struct bport *p = bridge_port(br, bridge_port_number(br, m->sources[i].port));

		if (!p)
			continue;
		p->mirror_rx |= (uint8_t)((m->sources[i].dirs & MIRROR_RX ? 1u : 0) << no);
		p->mirror_tx |= (uint8_t)((m->sources[i].dirs & MIRROR_TX ? 1u : 0) << no);
	}
}

/* A port that becomes a destination, or ceases to be one. Spanning tree sees its link go and come.
 */
static void set_span(struct bridge *br, struct bport *p, bool span)
{
	if (p->span == span)
		return;
	p->span = span;
	bridge_port_set_state(br, p, state_with_link(br, p));
	if (br->stp)
		stp_port_link(br->stp, p->no, takes_part(p), p->mac);
}

bool mirrors_bind(struct bridge *br)
{
	struct mirrors *ms = &br->mirrors;
	bool is_dest[PORTS_MAX] = {false}, any_tx = false;

	ms->vlans = 0;
	for (uint32_t i = 0; i < br->n_ports; i++)
		br->ports[i]->mirror_rx = br->ports[i]->mirror_tx = 0;
	for (uint32_t i = 0; i < MIRRORS_MAX; i++) {
		struct mirror *m = ms->by_no[i];

		if (!m)
			continue;
		m->to_no = bridge_port_number(br, m->to);
		if (m->to_no == HOOK_NO_PORT)
			m->to_no = 0;
		m->dest_bit = dest_bit(ms, i);
		is_dest[m->to_no] = true;
		if (!rests(port_by_no(br, m->to_no)))
			bind_sources(br, i);
	}
	for (uint32_t i = 0; i < br->n_ports; i++) {
		struct bport *p = br->ports[i];

		set_span(br, p, !p->host && (p->lazy || is_dest[p->no]));
		any_tx |= p->mirror_tx != 0;
	}
	return any_tx;
}

/* ---- frames ---- */

/* As a capture with a snap length has it: what the kernel was to finish is not finished. */
static void cut(struct mirror *m, struct frame *f)
{
	f->len = m->snap;
	f->gso = FRAME_GSO_NONE;
	f->gso_size = 0;
	f->flags &= (uint8_t) ~(FRAME_CSUM_PARTIAL | FRAME_CSUM_VALID | FRAME_GSO_ECN);
	m->counters.cut++;
}

static _cold_ void step_mirror(struct bridge *br, const struct mirror *m, const struct bport *to,
			       const struct frame *f)
{
	struct trace_record r = {.step = TRACE_MIRROR};

	_Static_assert(MIRROR_NAME_SIZE <= TRACE_NAME_SIZE, "a record has room for the name");
	memcpy(r.name, m->name, MIRROR_NAME_SIZE);
	trace_step(br->trace, f, to, r);
}

/* A copy for m's destination, unless that has one. */
static void copy(struct bridge *br, struct mirror *m, struct frame *f)
{
	struct mirror_queue *q = br->mirrors.queue;
	struct bport *p = port_by_no(br, m->to_no);
	struct frame *c;

	if (f->mirrored & m->dest_bit)
		return;
	f->mirrored |= m->dest_bit;
	if (!p || !p->link_up || q->n == array_size(q->frames)) {
		m->counters.lost += !rests(p);
		return;
	}
	c = &q->frames[q->n];
	*c = *f;
	c->flags &= (uint8_t)~FRAME_STALE_FLAGS;
	c->out_port = p->no;
	c->vid = 0; /* its tag is not the bridge's to change any more */
	if (m->snap && c->len > m->snap)
		cut(m, c);
	if (exceeds_mtu(br, p, c)) {
		count_drop(br, p, c, DROP_EGRESS_MTU);
		m->counters.lost++;
		return;
	}
	br->bufs.ref(br->bufs.ctx, c->buf, 1);
	q->to[q->n++] = p->no;
	m->counters.packets++;
	m->counters.bytes += f->len;
	if (unlikely(f->flags & FRAME_TRACED))
		step_mirror(br, m, p, f);
}

static bool has_vlan(const struct mirror *m, uint16_t vlan)
{
	return m->vlans[vlan / 64] >> vlan % 64 & 1;
}

/* Bit per mirror that wants what comes in on `in`. */
static inline uint8_t receives(const struct bridge *br, const struct bport *in)
{
	return in->span ? 0 : in->mirror_rx | br->mirrors.vlans;
}

static bool wants_rx(const struct bport *in, const struct mirror *m, uint32_t no,
		     const struct frame *f)
{
	return (in->mirror_rx >> no & 1 || has_vlan(m, frame_tag_vid(f))) &&
	       (!m->filter || program_match(m->filter, f));
}

void mirror_begin(struct bridge *br)
{
	struct mirror_queue *q = br->mirrors.queue;

	if (likely(!q))
		return;
	assert(q->n == q->n_flushed);
	q->n = q->n_flushed = 0;
}

void mirror_rx(struct bridge *br, struct bport *in, struct batch *b)
{
	const uint8_t all = receives(br, in);

	for (uint32_t i = 0; all && i < b->n; i++) {
		struct frame *f = &b->frames[i];

		if (f->verdict == FRAME_DROP)
			continue;
		for (uint32_t left = all; left; left &= left - 1) {
			const uint32_t no = (uint32_t)__builtin_ctz(left);
			struct mirror *m = br->mirrors.by_no[no];

			if (wants_rx(in, m, no, f))
				copy(br, m, f);
		}
	}
}

void mirror_returned(struct bridge *br, const struct bport *in, struct frame *f)
{
	for (uint32_t left = receives(br, in); left; left &= left - 1) {
		const uint32_t no = (uint32_t)__builtin_ctz(left);
		const struct mirror *m = br->mirrors.by_no[no];

		if (wants_rx(in, m, no, f))
			f->mirrored |= m->dest_bit;
	}
}

void mirror_tx(struct bridge *br, const struct bport *p, struct frame *f)
{
	for (uint32_t left = p->mirror_tx; left; left &= left - 1) {
		struct mirror *m = br->mirrors.by_no[__builtin_ctz(left)];

		if (!(f->mirrored & m->dest_bit) && (!m->filter || program_match(m->filter, f)))
			copy(br, m, f);
	}
}

void mirror_chosen(struct bridge *br, uint8_t mirrors, struct frame *f)
{
	for (uint32_t left = mirrors; left; left &= left - 1) {
		struct mirror *m = br->mirrors.by_no[__builtin_ctz(left)];

		if (m && (!m->filter || program_match(m->filter, f)))
			copy(br, m, f);
	}
}

void mirror_flush(struct bridge *br, struct egress *out)
{
	struct mirror_queue *q = br->mirrors.queue;

	for (; q->n_flushed < q->n; q->n_flushed++)
		egress_add(out, q->to[q->n_flushed], &q->frames[q->n_flushed]);
}
