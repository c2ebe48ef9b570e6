/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Rings are looked at in each round of the worker while it is awake; before it sleeps it arms those
 * whose head says something: all TX rings, and RX rings that nobody reads yet, that are full, or
 * whose program hangs. A program that sleeps is woken by a byte on each descriptor that binds the
 * ring.
 *
 * A ring hangs when frames wait in it and its head has not moved for stall_ms, or when nothing can
 * be put into it because the program wrote a buffer into its next slot that is not its own. Then
 * what no sync has shown to the program goes on without it, and no more is put in until its head
 * moves again. What it has seen stays its own: if it comes back later, it goes on then, so nothing
 * goes out twice. Copies of a mirror hold up nobody: they wait for their program.
 */
#include "daemon/inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/inspect_internal.h"
#include "sys/clock.h"
#include "wire/attach.h"

#define GROUPS       64u   /* GSO frames that a side can have with programs at a time */
#define SOURCES      4096u /* addresses whose port is remembered */
#define SOURCE_AGE_S 300u
#define NEVER        UINT64_MAX
#define PARTING_NS   50000000u /* from a dying program's first descriptor to its last, at most */
#define NS_PER_MS    1000000ULL
#define BELL_GAP_NS  20000u     /* between two doorbells, unless the ring fills up */
#define BELL_SHARE   4u         /* that is: a quarter of it */
#define BEHIND_NS    2000000u   /* for so long frames wait for a program that is behind */
#define ASK_NS       100000000u /* between two looks whether a program syncs again */

/* Slots that the program has not given back, as far as the last look at its head says. */
static uint32_t used_slots(const struct inspect_ring *r)
{
	return ring_distance(r->rc.head, r->rc.pos, r->rc.n);
}

/* ---- doorbells ---- */

static void ring_bell(struct inspect *in, struct inspect_ring *r)
{
	const uint8_t byte = ATTACH_DOORBELL;

	r->counters.n_bells++;
	list_for_each (i, &in->clients) {
		struct inspect_client *c = list_entry(i, struct inspect_client, node);

		/* A socket that is full of bells wakes its reader as well. */
		if (c->rings[r->host][r->rc.tx] >> r->index & 1)
			send(c->bell.fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

void inspect_publish(struct inspect *in, struct inspect_ring *r)
{
	if (r->rc.tx) {
		if (ringcheck_publish(&r->rc, 0)) /* only RX syncs take the time over */
			ring_bell(in, r);
	} else if (ringcheck_publish_quietly(&r->rc, (uint64_t)(clock_wall_s() * 1e6))) {
		r->bell_due = true;
	}
}

/* Frames wait; their program is woken if it sleeps and was not woken a moment ago. */
static void look_at_bell(struct inspect *in, struct inspect_ring *r, uint64_t now_ns)
{
	if (now_ns < r->bell_ns + BELL_GAP_NS && used_slots(r) < r->rc.n / BELL_SHARE)
		return;
	r->bell_due = false;
	if (!ringcheck_needs_bell(&r->rc))
		return;
	r->bell_ns = now_ns;
	ring_bell(in, r);
}

/* Takes doorbells off the descriptor; what is no doorbell is the main thread's. */
static void on_bell(struct worker_bell *bell)
{
	struct inspect_client *c = (struct inspect_client *)bell;
	uint8_t byte;

	for (;;) {
		ssize_t n = recv(bell->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n != 1)
			break;
		if (recv(bell->fd, &byte, 1, MSG_DONTWAIT) < 0)
			break;
	}
	worker_bell_del(c->in->w, bell);
	c->listening = false;
	c->in->ops.request(c->in->ops.ctx, c);
}

/* ---- rings ---- */

static void set_state(struct inspect *in, struct inspect_ring *r, uint8_t state)
{
	r->state = state;
	intercept_set_ring(bridge_intercept(in->wb->br), (enum intercept_side)r->side, r->index,
			   state);
}

/* Can frames of a side come back? What the NIC side took does by host TX rings, and the other way
 * round; or from the RX ring itself, by NR_FORWARD. */
/*
 * A program that dies closes one descriptor after the other. When that of its TX rings is the
 * first, frames that are still in its RX rings are waiting for the other; later ones, which nobody
 * would take any more (mode `auto`), must not go by them. So for a moment they go behind them.
 */
static bool parts(const struct inspect *in, enum intercept_side side)
{
	if (!bridge_intercept(in->wb->br)->sides[side].tx_bound)
		return false;
	for_each_ring(in, r, side == INTERCEPT_HOST,
		      0) if (r->bound && ringcheck_rx_waiting(&r->rc) > 0) return true;
	return false;
}

static void update_returns(struct inspect *in, enum intercept_side side)
{
	bool any = false;

	for_each_ring(in, r, side == INTERCEPT_NIC, 1) any |= r->bound;
	for_each_ring(in, r, side == INTERCEPT_HOST, 0) any |= r->bound && r->forwards;
	if (!any && parts(in, side)) {
		if (!in->parting_ns[side])
			in->parting_ns[side] = clock_now_ns() + PARTING_NS;
		return;
	}
	in->parting_ns[side] = 0;
	intercept_set_tx(bridge_intercept(in->wb->br), side, any);
}

/* It has not closed the rest, or there is no room for more: what it has not seen goes on. */
static void look_at_parting(struct inspect *in, enum intercept_side side, uint64_t now_ns)
{
	bool full = false;

	for_each_ring(in, r, side == INTERCEPT_HOST, 0) full |= ringcheck_rx_space(&r->rc) == 0;
	if (!full && now_ns < in->parting_ns[side])
		return;
	in->parting_ns[side] = 0;
	for_each_ring(in, r, side == INTERCEPT_HOST, 0)
		inspect_withdraw(in, r, RINGCHECK_UNSEEN, now_ns);
	intercept_set_tx(bridge_intercept(in->wb->br), side, false);
}

uint32_t inspect_room(const struct inspect *in, const struct inspect_ring *r)
{
	const uint32_t room = buf_room(in->bufs, MEM_BUF_FIRST), used = r->rc.max_offset + r->gap;

	return used < room ? room - used : 0;
}

/* Which frames are too long is asked before it is known which ring they go to. */
static void update_slot_len(struct inspect *in)
{
	struct intercept *ic = bridge_intercept(in->wb->br);
	struct intercept_settings s = ic->set;

	s.slot_len = buf_room(in->bufs, MEM_BUF_FIRST);
	for (int host = 0; host < 2; host++)
		for_each_ring(in, r, host, 0)
		{
			/* 0 would be the default. */
			const uint32_t room = max_of(inspect_room(in, r), 1u);

			s.slot_len = min_of(s.slot_len, room);
		}
	if (s.slot_len != ic->set.slot_len)
		intercept_set(ic, &s);
}

void inspect_ring_offsets(struct inspect *in, struct inspect_ring *r, uint64_t mask, uint32_t max,
			  uint32_t gap)
{
	ringcheck_set_offsets(&r->rc, mask, max);
	r->gap = gap;
	update_slot_len(in);
}

void inspect_ring_add(struct inspect *in, struct inspect_ring *r)
{
	in->rings[r->host][r->rc.tx][r->index] = r;
	r->bound = true;
	r->moved_ns = clock_now_ns();
	if (r->rc.tx) {
		update_returns(in, (enum intercept_side)r->side);
	} else {
		update_slot_len(in);
		set_state(in, r, INTERCEPT_BOUND);
	}
}

/* A hostile ring has an end, too. */
static void take_all(struct inspect *in, struct inspect_ring *r, uint64_t now_ns)
{
	for (uint32_t left = r->rc.n; left > 0; left--)
		if (!in->wb->br || !inspect_take(in, r, now_ns))
			break;
}

void inspect_ring_del(struct inspect *in, struct inspect_ring *r)
{
	const uint64_t now_ns = clock_now_ns();

	if (!r->bound)
		return;
	r->bound = false;
	if (r->rc.tx) {
		/* What was synced before it died was sent. */
		take_all(in, r, now_ns);
		r->closing = ringcheck_tx_finish(&r->rc);
		if (r->closing)
			take_all(in, r, now_ns);
		in->rings[r->host][1][r->index] = NULL;
		update_returns(in, (enum intercept_side)r->side);
		return;
	}
	set_state(in, r, 0);
	/* What came back by other descriptors, as copies perhaps, is not withdrawn. */
	for_each_ring(in, t, r->side == INTERCEPT_NIC, 1) take_all(in, t, now_ns);
	for (uint32_t left = r->rc.n; left > 0; left--)
		if (!inspect_forward(in, r, now_ns))
			break;
	inspect_withdraw(in, r, RINGCHECK_UNRELEASED, now_ns);
	in->rings[r->host][0][r->index] = NULL;
	update_slot_len(in);
	update_returns(in, (enum intercept_side)r->side);
}

int inspect_client_add(struct inspect *in, struct inspect_client *c)
{
	int r;

	c->in = in;
	c->bell.ring = on_bell;
	r = worker_bell_add(in->w, &c->bell);
	if (r)
		return r;
	c->listening = true;
	list_append(&in->clients, &c->node);
	return 0;
}

void inspect_client_del(struct inspect *in, struct inspect_client *c)
{
	if (c->listening)
		worker_bell_del(in->w, &c->bell);
	c->listening = false;
	list_del(&c->node);
}

void inspect_client_listen(struct inspect_client *c)
{
	if (!c->listening && worker_bell_add(c->in->w, &c->bell) == 0)
		c->listening = true;
}

void inspect_shut(struct inspect *in)
{
	for (int host = 0; host < 2; host++)
		for (int tx = 0; tx < 2; tx++)
			for_each_ring(in, r, host, tx)
			{
				if (shadow_set_state(r->rc.shadow, SHADOW_STOPPED))
					ring_bell(in, r);
			}
}

/* ---- rounds ---- */

static bool is_stalled(const struct inspect *in, struct inspect_ring *r, uint64_t now_ns)
{
	const struct intercept_settings *s = &bridge_intercept(in->wb->br)->set;

	if (r->state != (INTERCEPT_BOUND | INTERCEPT_SYNCED))
		return false;
	return ringcheck_rx_blocked(&r->rc, in->bufs) ||
	       (!in->sink && now_ns >= r->moved_ns + s->stall_ms * NS_PER_MS &&
		ringcheck_rx_waiting(&r->rc) > 0);
}

static void stall(struct inspect *in, struct inspect_ring *r, uint64_t now_ns)
{
	r->counters.n_stalls++;
	r->still_ns = now_ns - r->moved_ns;
	r->moved_ns = now_ns;
	set_state(in, r, r->state | INTERCEPT_STALLED);
	inspect_withdraw(in, r, RINGCHECK_UNSEEN, now_ns);
	in->ops.event(in->ops.ctx, INSPECT_STALL, r);
}

/* The program synced the ring: it has become a reader, or gave slots back. */
static void moved(struct inspect *in, struct inspect_ring *r, uint64_t now_ns)
{
	/* stall() has begun to count anew. */
	r->still_ns = (r->state & INTERCEPT_STALLED ? r->still_ns : 0) + now_ns - r->moved_ns;
	r->moved_ns = now_ns;
	if (r->state & INTERCEPT_STALLED) {
		set_state(in, r, INTERCEPT_BOUND | INTERCEPT_SYNCED);
		in->ops.event(in->ops.ctx, INSPECT_RETURN, r);
	} else if (r->rc.synced && !(r->state & INTERCEPT_SYNCED)) {
		set_state(in, r, INTERCEPT_BOUND | INTERCEPT_SYNCED);
		in->ops.event(in->ops.ctx, INSPECT_READER, r);
	}
}

/*
 * A ring without room for a burst: nothing is taken from ports for a while, so that the program,
 * which may be waiting for our processor, catches up. Once; a program that is too slow, or hangs,
 * does not hold up others.
 */
static void look_at_room(struct inspect *in, struct inspect_ring *r, uint64_t now_ns)
{
	const struct intercept *ic = bridge_intercept(in->wb->br);
	const uint32_t burst = min_of(max_of(r->burst, r->rc.n / 2), r->rc.n - 1);

	if (r->rc.n - 1 - used_slots(r) >= burst ||
	    r->state != (INTERCEPT_BOUND | INTERCEPT_SYNCED)) {
		r->behind_ns = 0;
		return;
	}
	if (r->behind_ns == 0)
		r->behind_ns = now_ns;
	if (now_ns < r->behind_ns + BEHIND_NS && ic->sides[r->side].action == INTERCEPT_DO_TAKE)
		in->behind[r->side] = true;
}

bool inspect_has_room(const struct inspect *in, bool host)
{
	return !in->behind[host ? INTERCEPT_HOST : INTERCEPT_NIC];
}

static void look_at_rx(struct inspect *in, struct inspect_ring *r, uint64_t now_ns)
{
	const uint64_t stall_ns = bridge_intercept(in->wb->br)->set.stall_ms * NS_PER_MS;
	const uint32_t n_syncs = ring_read(&r->rc.shadow->prog.n_syncs);
	bool changed;

	/* Puts and withdrawals look at the head, too, so it is compared with the last round's. */
	ringcheck_poll(&r->rc);
	if (unlikely(r->forwards != ringcheck_rx_forwards(&r->rc))) {
		r->forwards = !r->forwards;
		update_returns(in, (enum intercept_side)r->side);
	}
	changed = r->rc.head != r->head || (r->rc.synced && !(r->state & INTERCEPT_SYNCED));
	/* With nothing to take, coming to look is all that a program can do. */
	if (r->state & INTERCEPT_STALLED && n_syncs != r->n_syncs &&
	    ringcheck_rx_waiting(&r->rc) == 0)
		changed = true;
	/* A ring that nothing can be put into is back when it can, but not each moment. */
	if (unlikely(r->state & INTERCEPT_STALLED && r->rc.blocked))
		changed =
			now_ns >= r->moved_ns + stall_ns && !ringcheck_rx_blocked(&r->rc, in->bufs);
	if (changed)
		moved(in, r, now_ns);
	r->head = r->rc.head;
	r->n_syncs = n_syncs;
	if (unlikely(is_stalled(in, r, now_ns)))
		stall(in, r, now_ns);
	look_at_room(in, r, now_ns);
}

/* Groups that came back in part, and those that the program let go of. */
static void look_at_groups(struct inspect *in, bool quiet, uint64_t now_ns)
{
	const struct regroup_sink sink = inspect_sink(in);

	in->next_group_ns = NEVER;
	for (int side = 0; side < INTERCEPT_SIDE_N; side++) {
		uint64_t next;

		inspect_begin(in, (enum intercept_side)side, false, now_ns);
		for_each_ring(in, r, side, 0)
		{
			/* As of the round before: what was sent until then has been taken. */
			if (quiet)
				regroup_released(in->groups[side], r->index, r->released, now_ns,
						 &sink);
			r->released = r->rc.n_slots - ringcheck_rx_waiting(&r->rc);
		}
		next = regroup_tick(in->groups[side], now_ns, &sink);
		in->next_group_ns = min_of(in->next_group_ns, next);
		inspect_end(in);
	}
}

bool inspect_poll(struct inspect *in, uint64_t now_ns)
{
	uint32_t n = 0;

	for (int host = 0; host < 2; host++)
		for_each_ring(in, r, host, 0) if (r->bell_due) look_at_bell(in, r, now_ns);
	for (int host = 0; host < 2; host++)
		for_each_ring(in, r, host, 1) n += inspect_take(in, r, now_ns);
	in->behind[0] = in->behind[1] = false;
	for (int host = 0; host < 2; host++)
		for_each_ring(in, r, host, 0)
		{
			n += inspect_forward(in, r, now_ns);
			look_at_rx(in, r, now_ns);
		}
	for (int side = 0; side < INTERCEPT_SIDE_N; side++)
		if (unlikely(in->parting_ns[side]))
			look_at_parting(in, (enum intercept_side)side, now_ns);
	look_at_groups(in, n == 0, now_ns);
	return n > 0;
}

static bool is_live(const struct inspect_ring *r)
{
	return r->state == (INTERCEPT_BOUND | INTERCEPT_SYNCED);
}

/* Is the head of an RX ring of interest while the worker sleeps? */
static bool head_matters(const struct inspect *in, const struct inspect_ring *r)
{
	return !is_live(r) || r->rc.forward || (r->behind_ns && in->behind[r->side]);
}

/* False when the program has synced the ring; else when to look at it again. */
static bool sleep_on_rx(struct inspect *in, struct inspect_ring *r, uint64_t now_ns,
			uint64_t *ret_until_ns)
{
	const struct intercept_settings *s = &bridge_intercept(in->wb->br)->set;

	if (r->bell_due) {
		r->bell_ns = 0;
		look_at_bell(in, r, now_ns);
	}
	*ret_until_ns = NEVER;
	if (head_matters(in, r)) {
		if (!ringcheck_sleep(&r->rc))
			return false;
		if (r->behind_ns)
			*ret_until_ns = r->behind_ns + BEHIND_NS;
	}
	/* Seen since by another look at the head, or there are no buffers. */
	if (unlikely(r->rc.scan != r->rc.head)) {
		if (!r->rc.starved)
			return false;
		*ret_until_ns = min_of(*ret_until_ns, now_ns + NS_PER_MS);
	}
	/* With nothing to give back its head stays where it is, and no bell is rung. */
	if (r->state & INTERCEPT_STALLED && ringcheck_rx_waiting(&r->rc) == 0)
		*ret_until_ns = min_of(*ret_until_ns, now_ns + ASK_NS);
	if (is_live(r) && !in->sink && ringcheck_rx_waiting(&r->rc) > 0)
		*ret_until_ns = min_of(*ret_until_ns, r->moved_ns + s->stall_ms * NS_PER_MS);
	return true;
}

bool inspect_sleep(struct inspect *in, uint64_t now_ns, uint64_t *ret_until_ns)
{
	*ret_until_ns = in->next_group_ns;
	for (int side = 0; side < INTERCEPT_SIDE_N; side++)
		if (in->parting_ns[side])
			*ret_until_ns = min_of(*ret_until_ns, in->parting_ns[side]);
	for (int host = 0; host < 2; host++) {
		for_each_ring(in, r, host, 1) if (!ringcheck_sleep(&r->rc)) return false;
		for_each_ring(in, r, host, 0)
		{
			uint64_t until;

			if (!sleep_on_rx(in, r, now_ns, &until))
				return false;
			*ret_until_ns = min_of(*ret_until_ns, until);
		}
	}
	return true;
}

void inspect_wake(struct inspect *in)
{
	for (int host = 0; host < 2; host++)
		for (int tx = 0; tx < 2; tx++)
			for_each_ring(in, r, host, tx) shadow_daemon_awake(r->rc.shadow);
}

/* ---- life ---- */

struct inspect *inspect_new(const struct inspect_config *cfg)
{
	struct inspect *in = calloc(1, sizeof(*in));
	struct origins_config oc = {
		.n_records = 16,
		.n_sources = SOURCES,
		.source_age_s = SOURCE_AGE_S,
	};

	if (!in)
		return NULL;
	/* A program may hold on to a ring's worth and be shown another. */
	while (oc.n_records < 2 * cfg->n_slots)
		oc.n_records *= 2;
	memcpy(oc.hash_key, cfg->hash_key, sizeof(oc.hash_key));
	in->w = cfg->w;
	in->wb = cfg->wb;
	in->ops = cfg->ops;
	in->sink = cfg->sink;
	in->counts = cfg->counts;
	in->bufs = worker_bufs(cfg->w);
	in->buf_ops = worker_buf_ops(cfg->w);
	in->batch = worker_batch(cfg->w);
	in->next_group_ns = NEVER;
	list_init(&in->clients);
	in->slots = calloc(cfg->n_slots, sizeof(*in->slots));
	for (int i = 0; i < INTERCEPT_SIDE_N; i++) {
		oc.n_rings = cfg->counts.n[i][0];
		in->origins[i] = origins_new(&oc);
		in->groups[i] = regroup_new(GROUPS, in->buf_ops);
		if (!in->origins[i] || !in->groups[i])
			return inspect_free(in);
	}
	return in->slots ? in : inspect_free(in);
}

struct inspect *inspect_free(struct inspect *in)
{
	if (!in)
		return NULL;
	for (int i = 0; i < INTERCEPT_SIDE_N; i++) {
		origins_free(in->origins[i]);
		regroup_free(in->groups[i]);
	}
	free(in->slots);
	free(in);
	return NULL;
}

void inspect_start(struct inspect *in)
{
	struct intercept *ic = bridge_intercept(in->wb->br);
	struct intercept_settings s = ic->set;

	for (int i = 0; i < INTERCEPT_SIDE_N; i++)
		s.n_rings[i] = in->counts.n[i][0];
	s.slot_len = buf_room(in->bufs, MEM_BUF_FIRST);
	intercept_set(ic, &s);
	in->wb->inspect = in;
}

void inspect_stop(struct inspect *in)
{
	const struct regroup_sink sink = inspect_sink(in);

	/* Frames that came back in part are the last. */
	for (int side = 0; side < INTERCEPT_SIDE_N; side++) {
		inspect_begin(in, (enum intercept_side)side, false, clock_now_ns());
		regroup_flush(in->groups[side], &sink);
		inspect_end(in);
	}
	in->wb->inspect = NULL;
}

void inspect_stats(const struct inspect *in, struct origins_stats ret[INTERCEPT_SIDE_N],
		   struct regroup_stats ret_groups[INTERCEPT_SIDE_N])
{
	for (int i = 0; i < INTERCEPT_SIDE_N; i++) {
		origins_stats(in->origins[i], &ret[i]);
		regroup_stats(in->groups[i], &ret_groups[i]);
	}
}
