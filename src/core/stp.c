/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * The machines of IEEE 802.1D-2004, clause 17, one set for each port and one, role selection, for
 * the bridge. Each has a step function that makes one transition if its condition holds. run()
 * calls them until none changes anything; only then ports transmit, so a BPDU tells of the result
 * and not of the way there; then states and events go out. All of that happens inside the call that
 * brought a BPDU, a link change, a setting or a second, between two batches of frames.
 *
 * Invariants between calls:
 *  - No machine can make a transition; in particular no message waits.
 *  - A port that learns or forwards is a root or designated port.
 *  - What the bridge was told (told_state, told_role) is what the machines say.
 *
 * Time: all timers count whole seconds, as in the standard. A tick that comes a little late is one
 * tick. When it is later than neighbours wait for us (the process was stopped), they have gone on
 * without us, and may forward where we think they do not: then all ports begin anew.
 *
 * Against the standard:
 *  - Port identifiers have 6 bits of priority and 10 of number, as in Linux.
 *  - Addresses are flushed at once also where STP would shorten the ageing time.
 *  - The timers that we run ourselves are bounded, whatever times a BPDU carries.
 *  - A port that is an edge by command and has lost that to a BPDU becomes an edge again like one
 *    that finds out by itself.
 *  - RSTP as it stands lets loops come about for seconds, while word of a root that is gone goes
 *    round in a ring (count to infinity). Random networks (tests/model/model_stp.c) showed how.
 *    Eight small rules keep that from happening there: what is too old to be passed on is not kept
 *    (update_rcvd_info_while), and a too old RST BPDU revokes what its sender had said (revoke);
 *    so does word that it is no longer the designated port (RESIGNED); agreements are for one root
 *    (record_agreement) and end with worse news (enter_update); nobody opens while the hold count
 *    keeps news back (is_mute); without agreement two hellos pass and not one (forward_delay); on
 *    a shared medium an edge is found by max age only (receive_step). None changes what BPDUs say.
 */
#include "core/stp_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"

_Static_assert(sizeof(struct bpdu_times) == 8, "compared as bytes");

#define PASSES_MAX 1000u /* of run(); a dozen are usual */
/* A second's BPDUs of a dozen neighbours at their hold counts; a flood of them costs no more. */
#define RX_MAX             128u
#define SPEED_UNKNOWN_MBPS 10000u

/* ---- settings ---- */

void stp_settings_default(struct stp_settings *ret)
{
	*ret = (struct stp_settings){
		.version = STP_VERSION_RSTP,
		.priority = 0x8000,
		.hello = 2,
		.max_age = 20,
		.forward_delay = 15,
		.tx_hold_count = 6,
	};
}

void stp_port_settings_default(struct stp_port_settings *ret)
{
	*ret = (struct stp_port_settings){.priority = 32, .edge = STP_AUTO, .p2p = STP_AUTO};
}

const char *stp_settings_check(const struct stp_settings *s)
{
	if (s->priority % 4096 != 0)
		return "priority is not a multiple of 4096";
	if (s->hello < 1 || s->hello > 10)
		return "hello_time is not 1 to 10 seconds";
	if (s->version >= STP_VERSION_RSTP && s->hello > 2)
		return "hello_time is more than the 2 seconds that RSTP allows";
	if (s->max_age < 6 || s->max_age > 40)
		return "max_age is not 6 to 40 seconds";
	if (s->forward_delay < 4 || s->forward_delay > 30)
		return "forward_delay is not 4 to 30 seconds";
	if (s->tx_hold_count < 1 || s->tx_hold_count > 10)
		return "tx_hold_count is not 1 to 10";
	if (2 * (s->forward_delay - 1) < s->max_age)
		return "max_age is more than 2 * (forward_delay - 1 s)";
	if (s->max_age < 2 * (s->hello + 1))
		return "max_age is less than 2 * (hello_time + 1 s)";
	return NULL;
}

/* Table 17-3 for speeds between its lines, too; the short ones are what Linux has. */
uint32_t stp_cost_of_speed(uint32_t mbps, bool short_costs)
{
	uint32_t cost;

	if (mbps == 0)
		mbps = SPEED_UNKNOWN_MBPS;
	if (short_costs)
		return mbps >= 10000  ? 2
		       : mbps >= 2500 ? 4
		       : mbps >= 1000 ? 5
		       : mbps >= 100  ? 19
				      : 100;
	cost = 20000000u / mbps;
	return cost ? cost : 1;
}

uint32_t stp_port_cost(const struct stp_port *p)
{
	return p->set.cost ? p->set.cost : stp_cost_of_speed(p->mbps, p->s->set.short_costs);
}

/* ---- role selection (17.28) ---- */

/* 17.21.25, first half: the best of what ports have heard, and what we are ourselves. */
static void select_root(struct stp *s)
{
	s->rootPort = 0;
	s->rootPriority = (struct vector){.root = bridge_id(s), .bridge = bridge_id(s)};
	s->rootTimes = (struct bpdu_times){
		.max_age = (uint16_t)(s->set.max_age * BPDU_SECOND),
		.hello = (uint16_t)(s->set.hello * BPDU_SECOND),
		.forward_delay = (uint16_t)(s->set.forward_delay * BPDU_SECOND),
	};
	for_each_stp_port(p, s)
	{
		struct vector v = p->portPriority;
		uint32_t cost = stp_port_cost(p);
		int cmp;

		if (p->infoIs != INFO_RECEIVED || (v.bridge & 0xffffffffffffULL) == s->mac)
			continue;
		v.cost = v.cost > UINT32_MAX - cost ? UINT32_MAX : v.cost + cost;
		v.rx_port = port_id(p);
		cmp = vector_compare(&v, &s->rootPriority);
		if (cmp > 0 || (cmp == 0 && v.rx_port > s->rootPriority.rx_port))
			continue;
		if (p->set.root_block)
			continue;
		s->rootPort = p->no;
		s->rootPriority = v;
	}
}

/* The root's times, as they are by now. */
static void take_root_times(struct stp *s)
{
	const struct stp_port *root = s->rootPort ? s->by_no[s->rootPort] : NULL;
	uint32_t age;

	if (!root)
		return;
	s->rootTimes = root->portTimes;
	age = (root->portTimes.message_age + BPDU_SECOND + BPDU_SECOND / 2) / BPDU_SECOND;
	age *= BPDU_SECOND;
	s->rootTimes.message_age = (uint16_t)min_of(age, UINT16_MAX);
}

/* 17.21.25, second half: the role of one port. */
static void select_role(struct stp *s, struct stp_port *p)
{
	p->designatedPriority = (struct vector){
		.root = s->rootPriority.root,
		.cost = s->rootPriority.cost,
		.bridge = bridge_id(s),
		.port = port_id(p),
	};
	p->designatedTimes = s->rootTimes;
	p->designatedTimes.hello = (uint16_t)(s->set.hello * BPDU_SECOND);
	p->root_blocked = false;
	p->updtInfo = false;
	switch ((enum info_is)p->infoIs) {
	case INFO_DISABLED:
		p->selectedRole = STP_DISABLED;
		return;
	case INFO_AGED:
		p->updtInfo = true;
		p->selectedRole = STP_DESIGNATED;
		return;
	case INFO_MINE:
		p->updtInfo = vector_compare(&p->portPriority, &p->designatedPriority) != 0 ||
			      !times_equal(&p->portTimes, &p->designatedTimes);
		p->selectedRole = STP_DESIGNATED;
		return;
	case INFO_RECEIVED:
		break;
	}
	if (p->no == s->rootPort) {
		p->selectedRole = STP_ROOT;
	} else if (vector_compare(&p->designatedPriority, &p->portPriority) < 0) {
		p->selectedRole = STP_DESIGNATED;
		p->updtInfo = true;
	} else if ((p->portPriority.bridge & 0xffffffffffffULL) == s->mac) {
		p->selectedRole = STP_BACKUP;
	} else {
		p->selectedRole = STP_ALTERNATE;
		p->root_blocked = p->set.root_block;
	}
}

static bool role_selection_step(struct stp *s)
{
	bool wanted = s->reselect;

	for_each_stp_port(p, s) wanted |= p->reselect;
	if (!wanted)
		return false;
	s->reselect = false;
	select_root(s);
	take_root_times(s);
	for_each_stp_port(p, s)
	{
		p->reselect = false;
		select_role(s, p);
		p->selected = true;
	}
	return true;
}

/* ---- running ---- */

void stp_event_emit(struct stp *s, enum stp_event_kind kind, const struct stp_port *p)
{
	struct stp_event e = {.kind = kind, .root = s->rootPriority.root};

	if (p) {
		e.port = p->no;
		e.role = p->told_role;
		e.state = p->told_state;
	}
	s->ops.event(s->ops.ctx, &e);
}

static enum bport_state state_of(const struct stp_port *p)
{
	if (!p->portEnabled)
		return BPORT_DISABLED;
	if (p->learning)
		return p->forwarding ? BPORT_FORWARDING : BPORT_LEARNING;
	return p->role == STP_ROOT || p->role == STP_DESIGNATED ? BPORT_LISTENING : BPORT_BLOCKING;
}

/* Tells the bridge what is new. First all states, for an event's reader may look around. */
static void publish(struct stp *s)
{
	for_each_stp_port(p, s)
	{
		if (state_of(p) != p->told_state)
			s->ops.set_state(s->ops.ctx, p->no, state_of(p));
	}
	if (s->rootPriority.root != s->told_root) {
		s->told_root = s->rootPriority.root;
		stp_event_emit(s, STP_EVENT_ROOT, s->rootPort ? s->by_no[s->rootPort] : NULL);
	}
	for_each_stp_port(p, s)
	{
		bool new_role = p->role != p->told_role, new_state = state_of(p) != p->told_state;
		bool new_block = p->root_blocked && !p->told_blocked;

		p->told_role = p->role;
		p->told_state = (uint8_t)state_of(p);
		p->told_blocked = p->root_blocked;
		if (new_role || new_state)
			stp_event_emit(s, new_role ? STP_EVENT_ROLE : STP_EVENT_STATE, p);
		if (new_block)
			stp_event_emit(s, STP_EVENT_ROOT_BLOCK, p);
	}
}

/* One transition of each machine but transmit; false: nothing is left to do. */
static bool step(struct stp *s)
{
	bool changed = false;

	for_each_stp_port(p, s) changed |= stp_port_step(p);
	changed |= role_selection_step(s);
	return changed;
}

/* Held: no port forwards, nobody hears of us. */
static void keep_shut(struct stp *s)
{
	for_each_stp_port(p, s)
	{
		s->ops.set_state(s->ops.ctx, p->no, BPORT_DISABLED);
		p->told_state = BPORT_DISABLED;
	}
}

void stp_run(struct stp *s)
{
	unsigned n = 0;
	bool changed;

	if (!s->hot.on)
		return;
	if (s->held) {
		keep_shut(s);
		return;
	}
	do {
		while (step(s) && n < PASSES_MAX)
			n++;
		changed = false;
		for_each_stp_port(p, s) changed |= stp_transmit_step(p);
	} while (changed && n++ < PASSES_MAX);
	assert(n < PASSES_MAX);
	publish(s);
}

void stp_begin_port(struct stp *s, struct stp_port *p)
{
	p->portEnabled = p->link_up && !p->guarded;
	p->told_state = BPORT_STATE_N; /* whatever it is, it is to be told */
	p->told_role = STP_ROLE_N;
	p->told_blocked = false;
	select_role(s, p);
	stp_port_begin(p);
}

void stp_begin(struct stp *s)
{
	select_root(s);
	s->told_root = 0;
	for_each_stp_port(p, s) p->infoIs = INFO_DISABLED;
	for_each_stp_port(p, s) stp_begin_port(s, p);
	s->reselect = true;
	stp_run(s);
}

/* Off: every port that has a link forwards, as without spanning tree. */
static void end(struct stp *s)
{
	for_each_stp_port(p, s)
	{
		p->guarded = p->root_blocked = false;
		p->role = STP_DISABLED;
		p->told_state = p->link_up ? BPORT_FORWARDING : BPORT_DISABLED;
		s->ops.set_state(s->ops.ctx, p->no, p->told_state);
	}
}

struct stp *stp_new(const struct stp_ops *ops)
{
	struct stp *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->ops = *ops;
	stp_settings_default(&s->set);
	return s;
}

struct stp *stp_free(struct stp *s)
{
	if (!s)
		return NULL;
	for_each_stp_port(p, s) free(p);
	free(s);
	return NULL;
}

const struct stp_settings *stp_settings(const struct stp *s)
{
	return &s->set;
}

void stp_set(struct stp *s, const struct stp_settings *set)
{
	bool restart = set->enabled && (!s->set.enabled || s->set.version != set->version);
	bool stop = s->set.enabled && !set->enabled;

	if (set->tx_hold_count != s->set.tx_hold_count) /* 17.13.12 */
		for_each_stp_port(p, s) p->txCount = 0;
	s->set = *set;
	s->hot.on = set->enabled;
	if (restart) {
		stp_begin(s);
	} else if (stop) {
		end(s);
	} else {
		s->reselect = true;
		stp_run(s);
	}
}

void stp_set_mac(struct stp *s, uint64_t mac)
{
	if (mac == s->mac)
		return;
	s->mac = mac;
	s->reselect = true;
	stp_run(s);
}

/* ---- ports ---- */

static struct stp_port *port_at(const struct stp *s, uint16_t no)
{
	return no < STP_PORTS ? s->by_no[no] : NULL;
}

static void list_ports(struct stp *s)
{
	s->n_ports = 0;
	for (uint32_t no = 0; no < STP_PORTS; no++) {
		if (s->by_no[no])
			s->ports[s->n_ports++] = s->by_no[no];
	}
}

int stp_port_add(struct stp *s, uint16_t no, uint64_t mac)
{
	struct stp_port *p = calloc(1, sizeof(*p));

	assert(no < STP_PORTS && !s->by_no[no]);
	if (!p)
		return error_origin(-ENOMEM);
	p->s = s;
	p->no = no;
	p->mac = mac;
	p->full_duplex = true;
	stp_port_settings_default(&p->set);
	s->by_no[no] = p;
	list_ports(s);
	if (s->hot.on) {
		stp_begin_port(s, p);
		stp_run(s);
	}
	return 0;
}

void stp_port_del(struct stp *s, uint16_t no)
{
	struct stp_port *p = port_at(s, no);

	if (!p)
		return;
	s->by_no[no] = NULL;
	list_ports(s);
	free(p);
	s->reselect = true;
	if (s->rootPort == no)
		s->rootPort = 0;
	stp_run(s);
}

const struct stp_port_settings *stp_port_settings(const struct stp *s, uint16_t no)
{
	const struct stp_port *p = port_at(s, no);

	return p ? &p->set : NULL;
}

void stp_port_set(struct stp *s, uint16_t no, const struct stp_port_settings *set)
{
	struct stp_port *p = port_at(s, no);
	bool new_edge;

	if (!p)
		return;
	new_edge = set->edge != p->set.edge;
	p->set = *set;
	/* What is said of an edge counts at once, unless a bridge is known to be there. */
	if (new_edge)
		p->operEdge = set->edge == STP_ON && p->infoIs != INFO_RECEIVED;
	p->portEnabled = p->link_up && !p->guarded;
	s->reselect = true;
	stp_run(s);
}

void stp_port_guard_clear(struct stp *s, uint16_t no)
{
	struct stp_port *p = port_at(s, no);

	if (!p)
		return;
	p->guarded = false;
	p->portEnabled = p->link_up;
	stp_run(s);
}

void stp_port_link(struct stp *s, uint16_t no, bool up, uint64_t mac)
{
	struct stp_port *p = port_at(s, no);

	if (!p)
		return;
	p->mac = mac;
	p->link_up = up;
	if (!up)
		p->guarded = false;
	p->portEnabled = up && !p->guarded;
	stp_run(s);
}

void stp_port_speed(struct stp *s, uint16_t no, uint32_t mbps, bool full_duplex)
{
	struct stp_port *p = port_at(s, no);

	if (!p || (p->mbps == mbps && p->full_duplex == full_duplex))
		return;
	p->mbps = mbps;
	p->full_duplex = full_duplex;
	s->reselect = true;
	stp_run(s);
}

void stp_port_mcheck(struct stp *s, uint16_t no)
{
	struct stp_port *p = port_at(s, no);

	if (!p || !rstp_version(s))
		return;
	p->mcheck = true;
	stp_run(s);
}

/* ---- receiving ---- */

static void shut(struct stp *s, struct stp_port *p)
{
	p->guarded = true;
	p->portEnabled = false;
	stp_run(s);
	stp_event_emit(s, STP_EVENT_BPDU_GUARD, p);
}

/*
 * An RST BPDU that is too old. It counts for nothing, but if it comes from whom we have what we
 * know, that is no longer true either. The standard takes it in and ages it at once; the difference
 * is that word of others is not lost to it.
 */
static void revoke(struct stp *s, struct stp_port *p, const struct bpdu *b)
{
	if (b->kind != BPDU_RST || p->infoIs != INFO_RECEIVED ||
	    p->portPriority.bridge != b->bridge || p->portPriority.port != b->port ||
	    b->role != BPDU_ROLE_DESIGNATED)
		return;
	p->rcvdInfoWhile = 0;
	stp_run(s);
}

static enum stp_rx refused(enum stp_rx why, struct stp_port *p)
{
	p->counters.rx_bad++;
	return why;
}

/* What becomes of a frame; *b is filled in if it was read that far. */
static enum stp_rx judge(const struct stp *s, const struct stp_port *p, const uint8_t *frame,
			 uint32_t len, struct bpdu *b)
{
	int r;

	if (!p || !s->hot.on || !p->link_up)
		return STP_RX_IGNORED;
	if (p->set.bpdu_filter)
		return STP_RX_FILTER;
	if (p->guarded)
		return STP_RX_GUARD;
	if (p->n_rx == RX_MAX)
		return STP_RX_RATE;
	if (s->held)
		return STP_RX_IGNORED;
	r = bpdu_parse(frame, len, b);
	if (r == BPDU_E_MALFORMED)
		return STP_RX_MALFORMED;
	if (p->set.bpdu_guard)
		return STP_RX_GUARD;
	if (r == BPDU_E_AGE)
		return STP_RX_AGE;
	if (b->kind != BPDU_TCN && b->bridge == bridge_id(s) && b->port == port_id(p))
		return STP_RX_OWN;
	return STP_RX_TAKEN;
}

enum stp_rx stp_would_rx_frame(const struct stp *s, uint16_t no, const uint8_t *frame, uint32_t len)
{
	struct bpdu b;

	return judge(s, port_at(s, no), frame, len, &b);
}

enum stp_rx stp_rx_frame(struct stp *s, uint16_t no, const uint8_t *frame, uint32_t len)
{
	struct stp_port *p = port_at(s, no);
	struct bpdu b;
	enum stp_rx r = judge(s, p, frame, len, &b);

	switch (r) {
	case STP_RX_IGNORED:
		if (s->held && p && p->link_up)
			p->n_rx++; /* somebody is there: stp_restore() asks */
		return r;
	case STP_RX_FILTER:
		return r;
	case STP_RX_RATE:
		return refused(r, p);
	case STP_RX_GUARD:
		if (!p->guarded)
			shut(s, p);
		return r;
	default:
		p->n_rx++;
		break;
	}
	if (r == STP_RX_AGE) {
		p->operEdge = false; /* somebody is there */
		p->edgeDelayWhile = EdgeDelay(p);
		revoke(s, p, &b);
	}
	if (r != STP_RX_TAKEN)
		return refused(r, p);
	p->counters.rx_bpdu++;
	if (b.kind == BPDU_TCN) {
		p->counters.rx_tcn++;
		p->rcvdTcn = true;
	}
	p->msg = b;
	p->rcvdBPDU = true;
	stp_run(s);
	return STP_RX_TAKEN;
}

uint64_t stp_tick(struct stp *s, uint64_t now_ns)
{
	uint64_t late_ns;

	s->now_ns = now_ns;
	if (!s->hot.on) {
		s->next_tick_ns = 0;
		return UINT64_MAX;
	}
	if (s->next_tick_ns == 0)
		s->next_tick_ns = now_ns + STP_SECOND_NS;
	if (now_ns < s->next_tick_ns)
		return s->next_tick_ns;
	late_ns = now_ns - s->next_tick_ns;
	s->next_tick_ns += STP_SECOND_NS;
	if (s->next_tick_ns <= now_ns)
		s->next_tick_ns = now_ns + STP_SECOND_NS;
	if (s->held)
		return s->next_tick_ns;
	/* Three hellos after our last, which may have been one before. */
	if (late_ns >= (2u * s->set.hello - 1) * STP_SECOND_NS) {
		stp_begin(s);
		return s->next_tick_ns;
	}
	for_each_stp_port(p, s) stp_port_timers(p);
	stp_run(s);
	return s->next_tick_ns;
}
