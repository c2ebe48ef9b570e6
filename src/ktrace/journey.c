/* SPDX-License-Identifier: BSD-2-Clause */
#include "ktrace/journey.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#define REFS         8192u
#define BUCKETS      4096u
#define DIGEST_BYTES 64u
#define ADDRESSES    12u /* bytes in front of a tag */
#define TAG          4u
#define ALIKE_BYTES  32u /* of what is behind addresses and tag */
#define NONE         (-1)

/* By what a journey is found. */
enum ref_kind { REF_FREE, REF_SKB, REF_CLONE, REF_DIGEST };

struct ref {
	uint64_t key;
	uint32_t slot; /* of the journey */
	int32_t next;  /* in its bucket, or the list of free ones */
	uint8_t kind;  /* enum ref_kind */
	bool queued;   /* this copy waits in a queue */
	bool started;  /* or a driver has it */
};

struct slot {
	struct journey j;
	bool busy;
};

struct journeys {
	struct journeys_options o;
	uint64_t n_seen, n_begun, n_hurried;
	uint32_t n_busy;
	int32_t free_refs;
	int32_t buckets[BUCKETS];
	struct ref refs[REFS];
	struct slot slots[JOURNEY_MAX];
};

/* ---- references ---- */

static uint32_t bucket_of(enum ref_kind kind, uint64_t key)
{
	return (uint32_t)((key + kind) * 0x9e3779b97f4a7c15ull >> 40) % BUCKETS;
}

/* The place that holds the number of the youngest one with this key, or of none. */
static int32_t *find_place(struct journeys *js, enum ref_kind kind, uint64_t key)
{
	int32_t *p = &js->buckets[bucket_of(kind, key)];

	while (*p != NONE && (js->refs[*p].kind != kind || js->refs[*p].key != key))
		p = &js->refs[*p].next;
	return p;
}

static struct ref *find_ref(struct journeys *js, enum ref_kind kind, uint64_t key)
{
	int32_t i = *find_place(js, kind, key);

	return i == NONE ? NULL : &js->refs[i];
}

static void remove_at(struct journeys *js, int32_t *place)
{
	int32_t i = *place;

	*place = js->refs[i].next;
	js->refs[i] = (struct ref){.kind = REF_FREE, .next = js->free_refs};
	js->free_refs = i;
}

static void remove_key(struct journeys *js, enum ref_kind kind, uint64_t key)
{
	int32_t *p = find_place(js, kind, key);

	while (*p != NONE) {
		remove_at(js, p);
		p = find_place(js, kind, key);
	}
}

/* NULL: there is no room, so this copy will be found by something else or not at all. */
static struct ref *add_ref(struct journeys *js, enum ref_kind kind, uint64_t key, uint32_t slot)
{
	int32_t i = js->free_refs, *bucket = &js->buckets[bucket_of(kind, key)];

	if (i == NONE)
		return NULL;
	js->free_refs = js->refs[i].next;
	js->refs[i] =
		(struct ref){.key = key, .slot = slot, .next = *bucket, .kind = (uint8_t)kind};
	*bucket = i;
	return &js->refs[i];
}

/* All that lead to a journey. They are few, and so are journeys: looked for everywhere. */
static void remove_all_of(struct journeys *js, uint32_t slot)
{
	for (uint32_t b = 0; b < BUCKETS; b++) {
		int32_t *p = &js->buckets[b];

		while (*p != NONE)
			if (js->refs[*p].slot == slot)
				remove_at(js, p);
			else
				p = &js->refs[*p].next;
	}
}

static uint64_t hash(uint64_t h, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

/* Bytes of a tag behind the addresses. */
static uint32_t tag_inside(const uint8_t *data, uint32_t caplen)
{
	const uint8_t *type = data + ADDRESSES;

	return caplen >= ADDRESSES + TAG && ((type[0] == 0x81 && type[1] == 0) ||
					     (type[0] == 0x88 && type[1] == 0xa8))
		       ? TAG
		       : 0;
}

/*
 * FNV-1a of how it begins, and of its length, without the outer tag: the kernel takes it out of the
 * bytes on its way, and may leave it out at the end.
 */
static uint64_t digest(const struct ktrace_event *e)
{
	const uint32_t skip = e->vlan_tpid ? 0 : tag_inside(e->data, e->caplen);
	const uint32_t end = min_of(e->caplen, DIGEST_BYTES + skip);
	const uint32_t front = min_of(end, ADDRESSES);
	uint64_t h = hash(0xcbf29ce484222325ull ^ (e->len - skip), e->data, front);

	return end > front + skip ? hash(h, e->data + front + skip, end - front - skip) : h;
}

/* A clone has the same bytes at the same place; the place alone may be another frame's by now. */
static uint64_t clone_key(const struct ktrace_event *e)
{
	return digest(e) ^ e->head * 0x9e3779b97f4a7c15ull;
}

/* ---- beginning and end ---- */

static void add_step(struct journey *j, const struct ktrace_event *e)
{
	j->last_ns = e->time_ns;
	if (j->n_steps == JOURNEY_STEPS) {
		j->n_more++;
		return;
	}
	j->steps[j->n_steps++] = (struct journey_step){
		.time_ns = e->time_ns,
		.location = e->location,
		.what = e->what,
		.role = e->role,
		.ifindex = e->ifindex,
		.netns = e->netns,
		.reason = e->reason,
	};
}

static void end(struct journeys *js, struct slot *s)
{
	s->busy = false;
	js->n_busy--;
	remove_all_of(js, (uint32_t)(s - js->slots));
	js->o.done(js->o.ctx, &s->j);
}

/* Slots are taken in turn, so the next one is free or has the oldest journey, about. */
static struct slot *take_slot(struct journeys *js)
{
	struct slot *s = &js->slots[js->n_begun % JOURNEY_MAX];

	if (s->busy) {
		js->n_hurried++;
		end(js, s);
	}
	return s;
}

/* The bytes as they are on the wire. */
static void copy_frame(struct journey *j, const struct ktrace_event *e)
{
	const uint32_t caplen = min_of(e->caplen, KTRACE_DATA);

	j->caplen = caplen;
	j->len = max_of(e->len, caplen);
	if (!e->vlan_tpid || caplen < ADDRESSES) {
		memcpy(j->data, e->data, caplen);
		return;
	}
	memcpy(j->data, e->data, ADDRESSES);
	j->data[ADDRESSES] = (uint8_t)(e->vlan_tpid >> 8);
	j->data[ADDRESSES + 1] = (uint8_t)e->vlan_tpid;
	j->data[ADDRESSES + 2] = (uint8_t)(e->vlan_tci >> 8);
	j->data[ADDRESSES + 3] = (uint8_t)e->vlan_tci;
	memcpy(j->data + ADDRESSES + TAG, e->data + ADDRESSES, caplen - ADDRESSES);
	j->caplen += TAG;
	j->len += TAG;
}

static bool is_wanted(const struct journeys *js, const struct journey *j)
{
	if (js->o.count && js->n_begun >= js->o.count)
		return false;
	if (js->o.from && js->o.from != j->ifindex)
		return false;
	return !js->o.match || js->o.match(js->o.ctx, j->data, j->caplen, j->len);
}

/* Begins a journey with its first step, if the frame is wanted; else NULL. */
static struct slot *begin(struct journeys *js, const struct ktrace_event *e, uint32_t ifindex)
{
	struct journey head = {.start_ns = e->time_ns, .ifindex = ifindex};
	struct slot *s;
	uint32_t slot;

	copy_frame(&head, e);
	if (!is_wanted(js, &head))
		return NULL;
	s = take_slot(js);
	slot = (uint32_t)(s - js->slots);
	s->j = head;
	s->j.id = ++js->n_begun;
	s->busy = true;
	js->n_busy++;
	add_ref(js, REF_SKB, e->skb, slot);
	add_ref(js, REF_CLONE, clone_key(e), slot);
	add_ref(js, REF_DIGEST, digest(e), slot);
	add_step(&s->j, e);
	return s;
}

/* ---- events ---- */

/* Does the frame of the event begin as the journey's, whatever became of its tag and padding? */
static bool begins_alike(const struct journey *j, const struct ktrace_event *e)
{
	const uint32_t caplen = min_of(e->caplen, KTRACE_DATA);
	const uint32_t mine = ADDRESSES + tag_inside(j->data, j->caplen);
	const uint32_t its = ADDRESSES + (e->vlan_tpid ? 0 : tag_inside(e->data, caplen));
	uint32_t n;

	if (j->caplen < mine || caplen < its)
		return false;
	n = min_of(j->caplen - mine, caplen - its);
	return memcmp(j->data, e->data, ADDRESSES) == 0 &&
	       memcmp(j->data + mine, e->data + its, min_of(n, ALIKE_BYTES)) == 0;
}

/*
 * By its address. An event may have been missed (a program of the kernel's side does not run while
 * it is interrupted by itself), and somebody else has the address now: at a device that is not the
 * bridge's, the bytes must be the same.
 */
static struct ref *find_by_address(struct journeys *js, const struct ktrace_event *e)
{
	struct ref *r = find_ref(js, REF_SKB, e->skb);

	if (r && e->role == KTRACE_FOREIGN && e->what != KTRACE_START &&
	    !begins_alike(&js->slots[r->slot].j, e))
		return NULL;
	return r;
}

/* The reference to the copy that the event is about; a copy that is new gets one. Or NULL. */
static struct ref *find_copy(struct journeys *js, const struct ktrace_event *e)
{
	struct ref *r = find_by_address(js, e);

	if (r || e->role == KTRACE_FOREIGN)
		return r;
	r = find_ref(js, REF_CLONE, clone_key(e));
	if (!r)
		r = find_ref(js, REF_DIGEST, digest(e));
	return r ? add_ref(js, REF_SKB, e->skb, r->slot) : NULL;
}

static void came_in(struct journeys *js, const struct ktrace_event *e)
{
	js->n_seen++;
	/* What had these addresses is no more. */
	remove_key(js, REF_SKB, e->skb);
	remove_key(js, REF_CLONE, clone_key(e));
	begin(js, e, e->ifindex);
}

static void went_up(struct journeys *js, const struct ktrace_event *e)
{
	struct ref *r = find_copy(js, e);

	if (!r)
		return;
	js->slots[r->slot].j.up = true;
	add_step(&js->slots[r->slot].j, e);
}

static void queued(struct journeys *js, const struct ktrace_event *e)
{
	struct ref *r = find_copy(js, e);
	struct journey *j = r ? &js->slots[r->slot].j : NULL;

	if (!r || r->queued)
		return;
	r->queued = true;
	j->n_queued++;
	add_step(j, e);
}

static void left_queue(struct journey *j, struct ref *r)
{
	if (!r->queued)
		return;
	r->queued = false;
	j->n_queued--;
}

static void started(struct journeys *js, const struct ktrace_event *e)
{
	struct ref *r = find_copy(js, e);
	struct journey *j = r ? &js->slots[r->slot].j : NULL;

	if (!r)
		return;
	left_queue(j, r);
	r->started = e->role == KTRACE_MEMBER;
	j->n_sent += r->started;
	j->redirected = j->redirected || !r->started;
	add_step(j, e);
}

/* From now on its address says nothing: it belongs to whom it was sent to. */
static void was_sent(struct journeys *js, const struct ktrace_event *e)
{
	remove_key(js, REF_SKB, e->skb);
}

/* The driver that was to send it has dropped it. */
static void undo_sent(struct journey *j, uint32_t ifindex)
{
	j->n_sent--;
	for (uint32_t i = j->n_steps; i > 0; i--) {
		struct journey_step *s = &j->steps[i - 1];

		if (s->what != KTRACE_START || s->ifindex != ifindex)
			continue;
		s->failed = true;
		return;
	}
}

static void was_dropped(struct journeys *js, const struct ktrace_event *e)
{
	struct ref *r = find_copy(js, e);
	struct journey *j;

	/* It came in before this began, or is a copy of one that did. */
	if (!r && !js->o.from && e->role != KTRACE_FOREIGN && begin(js, e, 0))
		r = find_ref(js, REF_SKB, e->skb);
	else if (r)
		add_step(&js->slots[r->slot].j, e);
	if (!r)
		return;
	j = &js->slots[r->slot].j;
	left_queue(j, r);
	if (r->started && j->n_sent > 0)
		undo_sent(j, e->ifindex);
	j->n_dropped++;
	remove_key(js, REF_SKB, e->skb);
}

static void was_consumed(struct journeys *js, const struct ktrace_event *e)
{
	struct ref *r = find_by_address(js, e);
	struct journey *j = r ? &js->slots[r->slot].j : NULL;

	if (!r)
		return;
	/* A large frame is cut into segments that are new frames, after it left the queue. */
	if (r->queued)
		j->n_sent++;
	left_queue(j, r);
	j->consumed = true;
	j->last_ns = e->time_ns;
	remove_key(js, REF_SKB, e->skb);
}

void journeys_event(struct journeys *js, const struct ktrace_event *e)
{
	switch (e->what) {
	case KTRACE_RECEIVE:
		if (e->role == KTRACE_MEMBER)
			came_in(js, e);
		else
			went_up(js, e);
		break;
	case KTRACE_QUEUE:
		queued(js, e);
		break;
	case KTRACE_START:
		if (e->role == KTRACE_BRIDGE)
			came_in(js, e);
		else
			started(js, e);
		break;
	case KTRACE_SENT:
		was_sent(js, e);
		break;
	case KTRACE_DROP:
		was_dropped(js, e);
		break;
	case KTRACE_CONSUME:
		was_consumed(js, e);
		break;
	}
}

static bool is_over(const struct journey *j, uint64_t now_ns)
{
	const bool something = j->n_sent || j->n_dropped || j->up || j->redirected || j->consumed;

	if (now_ns >= j->start_ns + JOURNEY_EXPIRE_NS)
		return true;
	return something && !j->n_queued && now_ns >= j->last_ns + JOURNEY_QUIET_NS;
}

/* Ends, in the order in which they began, those that are over, or all. */
static void end_some(struct journeys *js, bool all, uint64_t now_ns)
{
	for (uint32_t i = 0; i < JOURNEY_MAX && js->n_busy > 0; i++) {
		struct slot *s = &js->slots[(js->n_begun + i) % JOURNEY_MAX];

		if (s->busy && (all || is_over(&s->j, now_ns)))
			end(js, s);
	}
}

void journeys_tick(struct journeys *js, uint64_t now_ns)
{
	end_some(js, false, now_ns);
}

void journeys_flush(struct journeys *js)
{
	end_some(js, true, 0);
}

/* ---- the whole ---- */

struct journeys *journeys_new(const struct journeys_options *o)
{
	struct journeys *js = calloc(1, sizeof(*js));

	assert(o->done);
	if (!js)
		return NULL;
	js->o = *o;
	js->free_refs = NONE;
	for (uint32_t i = 0; i < BUCKETS; i++)
		js->buckets[i] = NONE;
	for (int32_t i = (int32_t)REFS - 1; i >= 0; i--) {
		js->refs[i].next = js->free_refs;
		js->free_refs = i;
	}
	return js;
}

struct journeys *journeys_free(struct journeys *js)
{
	free(js);
	return NULL;
}

bool journeys_finished(const struct journeys *js)
{
	return js->o.count && js->n_begun >= js->o.count && js->n_busy == 0;
}

uint64_t journeys_seen(const struct journeys *js)
{
	return js->n_seen;
}

uint64_t journeys_matched(const struct journeys *js)
{
	return js->n_begun;
}

uint64_t journeys_hurried(const struct journeys *js)
{
	return js->n_hurried;
}

enum journey_end journey_end(const struct journey *j)
{
	if (j->n_sent)
		return JOURNEY_SENT;
	if (j->redirected)
		return JOURNEY_REDIRECTED;
	if (j->n_dropped)
		return JOURNEY_DROPPED;
	if (j->up)
		return JOURNEY_DELIVERED;
	if (j->n_queued)
		return JOURNEY_QUEUED;
	return j->consumed ? JOURNEY_CONSUMED : JOURNEY_LOST_SIGHT;
}

const struct journey_step *journey_drop(const struct journey *j)
{
	const struct journey_step *found = NULL;

	for (uint32_t i = 0; i < j->n_steps; i++) {
		const struct journey_step *s = &j->steps[i];

		if (s->what == KTRACE_DROP && (!found || found->role == KTRACE_BRIDGE))
			found = s;
	}
	return found;
}
