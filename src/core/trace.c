/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * A frame with a journey has FRAME_TRACED; whose it is says its buffer, by a short list of this
 * round's. Descriptors may be copied with the flag on, so a buffer that is not on the list is no
 * error. At the end of a round the list is emptied: a journey ends then, unless the frame was put
 * into a program's ring. Then its ticket is in the frame's origin: number of the journey and how
 * often that number was used, so that a frame that comes back late does not go on with another's.
 */
#include "core/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "core/origin.h"

#define USES     8u /* of a journey's number, 0 is none: a ticket is a byte */
#define LIVE_MAX (2 * BATCH_MAX)
#define NUMBERS  32u
_Static_assert(TRACE_JOURNEYS_MAX < NUMBERS && NUMBERS * USES == 256, "a ticket is a byte");

struct watch {
	struct trace_watch w;
	uint32_t next; /* that many matching frames before the next one */
	struct trace_stats stats;
};

struct slot {
	bool used, lent;
	uint8_t use;
	uint64_t lent_ns;
	struct journey j;
};

struct trace {
	struct trace_config cfg;
	uint8_t watching; /* bit per watch that there is */
	bool any_chosen;  /* chosen_by has bits */
	struct watch watches[TRACE_WATCHES_MAX];
	uint64_t last_id;
	uint8_t chosen_by[BATCH_MAX]; /* bit per watch, of the latest batch */
	uint32_t n_live;
	struct {
		uint32_t buf, slot;
	} live[LIVE_MAX];
	struct slot slots[TRACE_JOURNEYS_MAX];
};

static const char *const step_names[] = {
#define X(id, name) [TRACE_##id] = name,
	TRACE_STEP_LIST(X)
#undef X
};

const char *trace_step_name(enum trace_step s)
{
	return step_names[s];
}

struct trace *trace_new(const struct trace_config *cfg)
{
	struct trace *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->cfg = *cfg;
	for (uint32_t i = 0; i < TRACE_JOURNEYS_MAX; i++)
		t->slots[i].use = cfg->serial % (USES - 1);
	return t;
}

struct trace *trace_free(struct trace *t)
{
	free(t);
	return NULL;
}

static uint64_t now(const struct trace *t)
{
	return t->cfg.clock ? t->cfg.clock(t->cfg.ctx) : 0;
}

/* ---- watches ---- */

uint32_t trace_add(struct trace *t, const struct trace_watch *w)
{
	for (uint32_t i = 0; i < TRACE_WATCHES_MAX; i++) {
		if (t->watching >> i & 1)
			continue;
		t->watches[i] = (struct watch){.w = *w};
		t->watching |= (uint8_t)(1u << i);
		return i;
	}
	return TRACE_WATCHES_MAX;
}

static void finish(struct trace *t, struct slot *s)
{
	s->used = false;
	s->j.end = s->lent ? JOURNEY_LENT : JOURNEY_ENDED;
	t->cfg.done(t->cfg.ctx, &s->j);
}

void trace_del(struct trace *t, uint32_t watch)
{
	const uint8_t bit = (uint8_t)(1u << watch);

	for (uint32_t i = 0; i < TRACE_JOURNEYS_MAX; i++) {
		struct slot *s = &t->slots[i];

		if (!s->used || !(s->j.watches & bit))
			continue;
		if (s->j.watches == bit)
			finish(t, s);
		s->j.watches &= (uint8_t)~bit;
	}
	t->watching &= (uint8_t)~bit;
}

bool trace_has_watches(const struct trace *t)
{
	return t->watching != 0;
}

struct trace_stats trace_stats(const struct trace *t, uint32_t watch)
{
	return t->watches[watch].stats;
}

/* ---- choosing ---- */

static const struct origin unknown = {.how = ORIGIN_UNKNOWN};

/* What is no return of a frame that came in by a port. */
static bool made_by_program(const struct origin *o)
{
	return o->how == ORIGIN_UNKNOWN || o->how == ORIGIN_SOURCE ||
	       o->flags & (ORIGIN_COPY | ORIGIN_STALE);
}

/* True when w does not look at the frame at all. o NULL: it came in by a port. */
static bool passes_over(const struct watch *w, const struct frame *f, const struct origin *o)
{
	if (o && ((w->w.port && w->w.port != o->port) || !made_by_program(o)))
		return true;
	return w->w.match && !w->w.match(w->w.ctx, f);
}

/* o: of frames from a program, one for all unless `each`. True if one was chosen. */
static bool choose(struct trace *t, uint32_t no, const struct batch *b, const struct origin *o,
		   bool each)
{
	struct watch *w = &t->watches[no];
	const uint64_t before = w->stats.chosen;

	if (!o && !w->w.match && w->next >= b->n) { /* no need to look at them */
		w->next -= b->n;
		return false;
	}
	for (uint32_t i = 0; i < b->n && w->stats.chosen < w->w.count; i++) {
		if (passes_over(w, &b->frames[i], each ? &o[i] : o))
			continue;
		if (w->next > 0) {
			w->next--;
			continue;
		}
		w->next = max_of(w->w.every, 1u) - 1;
		w->stats.chosen++;
		t->chosen_by[i] |= (uint8_t)(1u << no);
	}
	return w->stats.chosen != before;
}

/* Of the batch before. */
static inline void choose_none(struct trace *t)
{
	if (t->any_chosen)
		memset(t->chosen_by, 0, sizeof(t->chosen_by));
	t->any_chosen = false;
}

bool trace_select(struct trace *t, const struct bport *in, const struct batch *b)
{
	choose_none(t);
	for (uint32_t left = t->watching; left; left &= left - 1) {
		const uint32_t i = (uint32_t)__builtin_ctz(left);
		const uint16_t port = t->watches[i].w.port;

		if (!port || port == in->no)
			t->any_chosen |= choose(t, i, b, NULL, false);
	}
	return t->any_chosen;
}

/* ---- journeys ---- */

static struct slot *slot_of(struct trace *t, uint32_t buf)
{
	/* The newest: a buffer may have been given back and taken again in this round. */
	for (uint32_t i = t->n_live; i-- > 0;)
		if (t->live[i].buf == buf)
			return &t->slots[t->live[i].slot];
	return NULL;
}

static void enlist(struct trace *t, uint32_t buf, const struct slot *s)
{
	if (t->n_live == LIVE_MAX)
		return;
	t->live[t->n_live].buf = buf;
	t->live[t->n_live++].slot = (uint32_t)(s - t->slots);
}

static struct slot *free_slot(struct trace *t)
{
	for (uint32_t i = 0; i < TRACE_JOURNEYS_MAX; i++)
		if (!t->slots[i].used)
			return &t->slots[i];
	return NULL;
}

static void count_missed(struct trace *t, uint8_t watches)
{
	for (uint32_t i = 0; i < TRACE_WATCHES_MAX; i++)
		if (watches >> i & 1)
			t->watches[i].stats.missed++;
}

/* False: not chosen. */
static bool begin(struct trace *t, const struct bport *in, struct frame *f, uint32_t i)
{
	struct slot *s;
	struct journey *j;

	if (likely(!t->chosen_by[i]))
		return false;
	s = free_slot(t);
	if (!s) {
		count_missed(t, t->chosen_by[i]);
		return false;
	}
	s->used = true;
	s->lent = false;
	s->use = (uint8_t)(s->use % (USES - 1) + 1);
	j = &s->j;
	j->id = ++t->last_id;
	j->start_ns = now(t);
	j->watches = t->chosen_by[i];
	j->in_port = in->no;
	memcpy(j->in_name, in->name, sizeof(j->in_name));
	j->len = f->len;
	j->n_bytes = min_of(f->len, TRACE_BYTES_MAX);
	memcpy(j->bytes, f->data, j->n_bytes);
	j->n = j->n_lost = 0;
	enlist(t, f->buf, s);
	f->flags |= FRAME_TRACED;
	return true;
}

void trace_begin(struct trace *t, const struct bport *in, struct frame *f, uint32_t i)
{
	if (begin(t, in, f, i))
		trace_step(t, f, in, (struct trace_record){.step = TRACE_RX, .value = f->len});
}

void trace_step(struct trace *t, const struct frame *f, const struct bport *at,
		struct trace_record r)
{
	struct slot *s = t ? slot_of(t, f->buf) : NULL;

	if (!s)
		return;
	r.ns = now(t);
	if (at) {
		r.port = at->no;
		if (!r.name[0])
			memcpy(r.name, at->name, sizeof(at->name));
	}
	if (r.step == TRACE_RING && r.result == 0) {
		s->lent = true;
		s->lent_ns = r.ns;
	}
	if (s->j.n < TRACE_RECORDS_MAX)
		s->j.records[s->j.n++] = r;
	else
		s->j.n_lost++;
}

void trace_alias(struct trace *t, const struct frame *f, uint32_t buf)
{
	const struct slot *s = t ? slot_of(t, f->buf) : NULL;

	if (s)
		enlist(t, buf, s);
}

bool trace_is_live(const struct trace *t)
{
	return t->n_live > 0;
}

void trace_round_end(struct trace *t)
{
	if (likely(t->n_live == 0))
		return;
	for (uint32_t i = 0; i < t->n_live; i++) {
		struct slot *s = &t->slots[t->live[i].slot];

		if (s->used && !s->lent)
			finish(t, s);
	}
	t->n_live = 0;
}

/* ---- with programs ---- */

uint8_t trace_ticket(const struct trace *t, const struct frame *f)
{
	for (uint32_t i = t->n_live; i-- > 0;) {
		const uint32_t no = t->live[i].slot;

		if (t->live[i].buf == f->buf)
			return (uint8_t)(t->slots[no].use * NUMBERS + no);
	}
	return 0;
}

static struct slot *by_ticket(const struct trace *t, uint8_t ticket)
{
	const uint32_t no = ticket % NUMBERS;
	const struct slot *s = &t->slots[no];

	if (no >= TRACE_JOURNEYS_MAX || !s->used || s->use != ticket / NUMBERS || !s->lent)
		return NULL;
	return (struct slot *)s;
}

static bool resumes(const struct trace *t, const struct origin *o)
{
	return unlikely(o->journey) && by_ticket(t, o->journey);
}

bool trace_select_returns(struct trace *t, const struct batch *b, const struct origin *o)
{
	bool any = false;

	for (uint32_t i = 0; o && i < b->n && !any; i++)
		any = resumes(t, &o[i]);
	choose_none(t);
	for (uint32_t left = t->watching; left; left &= left - 1)
		t->any_chosen |=
			choose(t, (uint32_t)__builtin_ctz(left), b, o ? o : &unknown, o != NULL);
	return any || t->any_chosen;
}

void trace_resume(struct trace *t, const struct bport *in, struct frame *f, uint32_t i,
		  const struct origin *o)
{
	struct slot *s = resumes(t, o) ? by_ticket(t, o->journey) : NULL;

	if (!s) {
		begin(t, in, f, i);
		return;
	}
	s->lent = false;
	enlist(t, f->buf, s);
	f->flags |= FRAME_TRACED;
}

void trace_expire(struct trace *t, uint64_t before_ns)
{
	for (uint32_t i = 0; i < TRACE_JOURNEYS_MAX; i++) {
		struct slot *s = &t->slots[i];

		if (s->used && s->lent && s->lent_ns < before_ns)
			finish(t, s);
	}
}

/* ---- the end ---- */

bool journey_sent(const struct journey *j, uint32_t i)
{
	if (j->records[i].step != TRACE_EGRESS)
		return false;
	for (uint32_t k = i + 1; k < j->n; k++) {
		const struct trace_record *r = &j->records[k];

		if (r->step == TRACE_DROP && r->port == j->records[i].port &&
		    drop_is_late((enum drop_reason)r->result))
			return false;
	}
	return true;
}

enum journey_outcome journey_outcome(const struct journey *j, uint16_t host_port,
				     enum drop_reason *ret_reason)
{
	uint32_t n_sent = 0, n_host = 0, n_dropped = 0;
	bool consumed = false;

	for (uint32_t i = 0; i < j->n; i++) {
		const struct trace_record *r = &j->records[i];

		if (r->step == TRACE_STP) {
			consumed = true;
		} else if (r->step == TRACE_DROP) {
			n_dropped++;
			*ret_reason = (enum drop_reason)r->result;
		} else if (journey_sent(j, i)) {
			*(host_port && r->port == host_port ? &n_host : &n_sent) += 1;
		}
	}
	if (n_sent > 0)
		return OUTCOME_SENT;
	if (n_host > 0)
		return OUTCOME_DELIVERED;
	if (j->end == JOURNEY_LENT)
		return OUTCOME_LENT;
	if (n_dropped > 0)
		return OUTCOME_DROPPED;
	return consumed ? OUTCOME_CONSUMED : OUTCOME_NOTHING;
}
