/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The small machines of a port: timers (17.22), receive (17.23), protocol migration (17.24), bridge
 * detection (17.25), transmit (17.26), state transition (17.30), topology change (17.31).
 */
#include "core/stp_internal.h"

/* ---- timers ---- */

static void count_down(uint16_t *timer)
{
	if (*timer > 0)
		(*timer)--;
}

void stp_port_timers(struct stp_port *p)
{
	count_down(&p->helloWhen);
	count_down(&p->tcWhile);
	count_down(&p->fdWhile);
	count_down(&p->rcvdInfoWhile);
	count_down(&p->rrWhile);
	count_down(&p->rbWhile);
	count_down(&p->mdelayWhile);
	count_down(&p->edgeDelayWhile);
	count_down(&p->txCount);
	p->n_rx = 0;
}

/* ---- receive ---- */

static bool receive_step(struct stp_port *p)
{
	if (!p->portEnabled) {
		if (!p->rcvdBPDU && p->edgeDelayWhile == MIGRATE_TIME)
			return false;
		p->rcvdBPDU = p->rcvdRSTP = p->rcvdSTP = p->rcvdMsg = false;
		p->edgeDelayWhile = MIGRATE_TIME;
		return true;
	}
	if (!p->rcvdBPDU || p->rcvdMsg)
		return false;
	if (p->msg.kind == BPDU_RST)
		p->rcvdRSTP = true;
	else
		p->rcvdSTP = true;
	p->operEdge = p->rcvdBPDU = false;
	p->rcvdMsg = true;
	/* Not the shorter migrate time: on a shared medium it may be some hellos until the next. */
	p->edgeDelayWhile = EdgeDelay(p);
	return true;
}

/* ---- protocol migration ---- */

static bool check_rstp(struct stp_port *p)
{
	p->ppm = PPM_CHECKING_RSTP;
	p->mcheck = false;
	p->sendRSTP = rstp_version(p->s);
	p->mdelayWhile = MIGRATE_TIME;
	return true;
}

static bool sense(struct stp_port *p)
{
	p->ppm = PPM_SENSING;
	p->rcvdRSTP = p->rcvdSTP = false;
	return true;
}

static bool migration_step(struct stp_port *p)
{
	switch ((enum ppm_state)p->ppm) {
	case PPM_CHECKING_RSTP:
		if (p->mdelayWhile != MIGRATE_TIME && !p->portEnabled)
			return check_rstp(p);
		return p->mdelayWhile == 0 && sense(p);
	case PPM_SELECTING_STP:
		return (p->mdelayWhile == 0 || !p->portEnabled || p->mcheck) && sense(p);
	case PPM_SENSING:
		if (!p->portEnabled || p->mcheck ||
		    (rstp_version(p->s) && !p->sendRSTP && p->rcvdRSTP))
			return check_rstp(p);
		if (!p->sendRSTP || !p->rcvdSTP)
			return false;
		p->ppm = PPM_SELECTING_STP;
		p->sendRSTP = false;
		p->mdelayWhile = MIGRATE_TIME;
		return true;
	}
	return false;
}

/* ---- bridge detection ---- */

/*
 * Edge by command is so while there is no link, and from then on until a BPDU comes; edge found out
 * is so when nobody answered proposals for a while. operEdge itself is the machine's state.
 */
static bool edge_step(struct stp_port *p)
{
	bool edge = p->operEdge;

	if (!p->portEnabled)
		edge = p->set.edge == STP_ON;
	else if (!edge)
		edge = p->set.edge != STP_OFF && p->edgeDelayWhile == 0 && p->sendRSTP &&
		       p->proposing;
	if (edge == p->operEdge)
		return false;
	p->operEdge = edge;
	return true;
}

/* ---- transmit ---- */

static uint8_t role_on_wire(const struct stp_port *p)
{
	switch ((enum stp_role)p->role) {
	case STP_ROOT:
		return BPDU_ROLE_ROOT;
	case STP_ALTERNATE:
	case STP_BACKUP:
		return BPDU_ROLE_ALTERNATE;
	default:
		return BPDU_ROLE_DESIGNATED;
	}
}

static uint8_t flags_on_wire(const struct stp_port *p)
{
	uint8_t r = 0;

	if (p->tcWhile != 0)
		r |= BPDU_TC;
	if (!p->sendRSTP) {
		if (p->tcAck)
			r |= BPDU_TC_ACK;
		return r;
	}
	if (p->proposing)
		r |= BPDU_PROPOSAL;
	if (p->agree)
		r |= BPDU_AGREEMENT;
	if (p->learning)
		r |= BPDU_LEARNING;
	if (p->forwarding)
		r |= BPDU_FORWARDING;
	return r;
}

/* 17.21.19 to 17.21.21 */
static void transmit(struct stp_port *p, enum bpdu_kind kind)
{
	uint8_t frame[BPDU_FRAME_SIZE];
	struct bpdu b = {
		.kind = (uint8_t)kind,
		.role = role_on_wire(p),
		.flags = flags_on_wire(p),
		.root = p->designatedPriority.root,
		.cost = p->designatedPriority.cost,
		.bridge = p->designatedPriority.bridge,
		.port = p->designatedPriority.port,
		.times = p->designatedTimes,
	};

	p->newInfo = false;
	p->txCount++;
	if (kind != BPDU_TCN)
		p->tcAck = false;
	if (p->set.bpdu_filter)
		return;
	p->counters.tx_bpdu++;
	p->counters.tx_tcn += kind == BPDU_TCN;
	bpdu_build(&b, p->mac ? p->mac : p->s->mac, frame);
	p->s->ops.tx(p->s->ops.ctx, p->no, frame);
}

bool stp_transmit_step(struct stp_port *p)
{
	if (!p->portEnabled) {
		p->newInfo = true;
		p->txCount = 0;
		p->helloWhen = HelloTime(p);
		return false;
	}
	if (!p->selected || p->updtInfo)
		return false;
	if (p->helloWhen == 0) {
		p->newInfo |= p->role == STP_DESIGNATED || (p->role == STP_ROOT && p->tcWhile != 0);
		p->helloWhen = HelloTime(p);
		return true;
	}
	if (!p->newInfo || p->txCount >= p->s->set.tx_hold_count)
		return false;
	if (p->sendRSTP)
		transmit(p, BPDU_RST);
	else if (p->role == STP_DESIGNATED)
		transmit(p, BPDU_CONFIG);
	else if (p->role == STP_ROOT)
		transmit(p, BPDU_TCN);
	else
		return false;
	p->helloWhen = HelloTime(p);
	return true;
}

/* ---- state transition ---- */

static bool state_step(struct stp_port *p)
{
	bool learning = p->learn, forwarding = p->learn && p->forward;

	if (learning == p->learning && forwarding == p->forwarding)
		return false;
	p->counters.transition_fwd += forwarding && !p->forwarding;
	p->counters.transition_blk += !learning;
	p->learning = learning;
	p->forwarding = forwarding;
	return true;
}

/* ---- topology change ---- */

void stp_set_tc_prop_tree(struct stp_port *from)
{
	for_each_stp_port(p, from->s) if (p != from) p->tcProp = true;
}

/* 17.21.7 */
void stp_new_tc_while(struct stp_port *p)
{
	const struct bpdu_times *t = &p->s->rootTimes;

	if (p->tcWhile != 0)
		return;
	if (p->sendRSTP) {
		p->tcWhile = (uint16_t)(HelloTime(p) + 1);
		p->newInfo = true;
	} else {
		p->tcWhile = (uint16_t)(seconds_of(t->max_age, 6, 40) +
					seconds_of(t->forward_delay, 4, 30));
	}
}

static bool is_active_role(const struct stp_port *p)
{
	return p->role == STP_ROOT || p->role == STP_DESIGNATED;
}

/* Does it hear of a change that is not its own? */
static bool tc_is_pending(const struct stp_port *p)
{
	return p->rcvdTc || p->rcvdTcn || p->rcvdTcAck || p->tcProp;
}

static void count_topology_change(struct stp_port *p)
{
	struct stp *s = p->s;

	s->n_topology_changes++;
	s->topology_change_ns = s->now_ns;
	stp_event_emit(s, STP_EVENT_TOPOLOGY_CHANGE, p);
}

/* One change is told in several BPDUs, a hello apart. */
static void hear_topology_change(struct stp_port *p)
{
	struct stp *s = p->s;
	uint64_t same_ns = (HelloTime(p) + 1) * STP_SECOND_NS;

	if (s->tc_heard_ns == 0 || s->now_ns - s->tc_heard_ns > same_ns)
		count_topology_change(p);
	s->tc_heard_ns = s->now_ns;
}

static bool tc_learning(struct stp_port *p)
{
	/* A port that just lost its link is no edge any longer, but that is no change. */
	if (is_active_role(p) && p->forward && !p->operEdge && p->portEnabled) {
		stp_new_tc_while(p);
		stp_set_tc_prop_tree(p);
		p->newInfo = true;
		p->tcm = TCM_ACTIVE;
		count_topology_change(p);
		return true;
	}
	if (tc_is_pending(p)) {
		p->rcvdTc = p->rcvdTcn = p->rcvdTcAck = p->tcProp = false;
		return true;
	}
	if (is_active_role(p) || p->learn || p->learning)
		return false;
	p->tcm = TCM_INACTIVE;
	p->fdbFlush = true;
	p->tcWhile = 0;
	p->tcAck = false;
	return true;
}

static bool tc_active(struct stp_port *p)
{
	if (!is_active_role(p) || p->operEdge) {
		p->tcm = TCM_LEARNING;
		p->rcvdTc = p->rcvdTcn = p->rcvdTcAck = p->tcProp = false;
		return true;
	}
	if (p->rcvdTcn || p->rcvdTc) {
		if (p->rcvdTcn)
			stp_new_tc_while(p);
		hear_topology_change(p);
		p->rcvdTcn = p->rcvdTc = false;
		if (p->role == STP_DESIGNATED)
			p->tcAck = true;
		stp_set_tc_prop_tree(p);
		return true;
	}
	if (p->tcProp) {
		stp_new_tc_while(p);
		p->fdbFlush = true;
		p->tcProp = false;
		return true;
	}
	if (p->rcvdTcAck) {
		p->tcWhile = 0;
		p->rcvdTcAck = false;
		return true;
	}
	return false;
}

static bool topology_change_step(struct stp_port *p)
{
	if (p->fdbFlush) {
		p->s->ops.flush(p->s->ops.ctx, p->no);
		p->fdbFlush = false;
	}
	switch ((enum tcm_state)p->tcm) {
	case TCM_INACTIVE:
		if (!p->learn)
			return false;
		p->tcm = TCM_LEARNING;
		p->rcvdTc = p->rcvdTcn = p->rcvdTcAck = p->tcProp = false;
		return true;
	case TCM_LEARNING:
		return tc_learning(p);
	case TCM_ACTIVE:
		return tc_active(p);
	}
	return false;
}

/* ---- all of them ---- */

void stp_port_begin(struct stp_port *p)
{
	p->rcvdBPDU = p->rcvdRSTP = p->rcvdSTP = p->rcvdMsg = false;
	p->rcvdTc = p->rcvdTcn = p->rcvdTcAck = p->tcProp = p->tcAck = false;
	p->edgeDelayWhile = MIGRATE_TIME;
	check_rstp(p);
	p->operEdge = p->set.edge == STP_ON;
	p->newInfo = true;
	p->txCount = 0;
	p->rcvdInfoWhile = p->tcWhile = 0;
	p->helloWhen = HelloTime(p);
	p->learning = p->forwarding = p->disputed = false;
	p->tcm = TCM_INACTIVE;
	p->fdbFlush = true;
	p->pim = PIM_DISABLED;
	p->proposing = p->proposed = p->agree = p->agreed = p->updtInfo = false;
	p->infoIs = INFO_DISABLED;
	p->reselect = true;
	p->selected = false;
	p->selectedRole = STP_DISABLED;
	stp_roles_begin(p);
}

bool stp_port_step(struct stp_port *p)
{
	bool changed = receive_step(p);

	changed |= migration_step(p);
	changed |= edge_step(p);
	changed |= stp_info_step(p);
	changed |= stp_roles_step(p);
	changed |= state_step(p);
	changed |= topology_change_step(p);
	return changed;
}
