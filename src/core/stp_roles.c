/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port role transitions machine (17.29). A port's state here is its role; each of the
 * standard's other states is one of the actions below, after which the machine is back in its
 * role's state.
 */
#include "core/stp_internal.h"

static void set_sync_tree(struct stp *s)
{
	for_each_stp_port(p, s) p->sync = true;
}

static void set_re_root_tree(struct stp *s)
{
	for_each_stp_port(p, s) p->reRoot = true;
}

/* 17.20.3: every other port has its role and cannot be part of a loop. */
static bool all_synced(const struct stp *s)
{
	for_each_stp_port(p, s)
	{
		if (!p->selected || p->role != p->selectedRole || p->updtInfo)
			return false;
		if (p->role != STP_ROOT && !p->synced)
			return false;
	}
	return true;
}

/* 17.20.10: no other port was the root port a short while ago. */
static bool re_rooted(const struct stp_port *self)
{
	for_each_stp_port(p, self->s) if (p != self && p->rrWhile != 0) return false;
	return true;
}

static bool stop_forwarding(struct stp_port *p)
{
	bool r = p->learn || p->forward;

	p->learn = p->forward = false;
	return r;
}

/* A role that neither learns nor forwards. */
static bool take_role(struct stp_port *p)
{
	p->role = p->selectedRole;
	stop_forwarding(p);
	return true;
}

static bool disabled_port(struct stp_port *p)
{
	if (p->learning || p->forwarding)
		return false;
	if (p->fdWhile == MaxAge(p) && !p->sync && !p->reRoot && p->synced)
		return false;
	p->fdWhile = MaxAge(p);
	p->synced = true;
	p->rrWhile = 0;
	p->sync = p->reRoot = false;
	return true;
}

/* Proposed to, or agreed with: common to root, alternate and backup ports. */
static bool answer_proposal(struct stp_port *p)
{
	if (p->proposed && !p->agree) {
		set_sync_tree(p->s);
		p->proposed = false;
		return true;
	}
	if ((p->proposed && p->agree) || (!p->agree && all_synced(p->s))) {
		p->proposed = false;
		if (p->role == STP_ROOT)
			p->sync = false;
		p->agree = p->newInfo = true;
		return true;
	}
	return false;
}

static bool alternate_port(struct stp_port *p)
{
	if (p->learning || p->forwarding)
		return false;
	if (answer_proposal(p))
		return true;
	if (p->role == STP_BACKUP && p->rbWhile != 2 * HelloTime(p)) {
		p->rbWhile = (uint16_t)(2 * HelloTime(p));
		return true;
	}
	if (p->fdWhile == forward_delay(p) && !p->sync && !p->reRoot && p->synced)
		return false;
	p->fdWhile = forward_delay(p);
	p->synced = true;
	p->rrWhile = 0;
	p->sync = p->reRoot = false;
	return true;
}

/*
 * Not of the standard: a neighbour cannot be told yet what is new, for the hold count is used up.
 * In a storm of changes that is how loops come about, so until then nobody opens. A second at most.
 */
static bool is_mute(const struct stp *s)
{
	for_each_stp_port(p, s)
	{
		if (p->newInfo && p->txCount >= s->set.tx_hold_count && p->portEnabled &&
		    !p->operEdge && !p->set.bpdu_filter)
			return true;
	}
	return false;
}

/* May a root port take its next step towards forwarding? */
static bool root_may_advance(const struct stp_port *p)
{
	return (p->fdWhile == 0 || (rstp_version(p->s) && p->rbWhile == 0 && re_rooted(p))) &&
	       !is_mute(p->s);
}

static bool root_actions(struct stp_port *p)
{
	if (answer_proposal(p))
		return true;
	if ((p->agreed && !p->synced) || (p->sync && p->synced)) {
		p->synced = true;
		p->sync = false;
		return true;
	}
	if (!p->forward && !p->reRoot) {
		set_re_root_tree(p->s);
		return true;
	}
	if (p->forward && p->reRoot) {
		p->reRoot = false;
		return true;
	}
	if (!p->learn && root_may_advance(p)) {
		p->fdWhile = forward_delay(p);
		p->learn = true;
		return true;
	}
	if (p->learn && !p->forward && root_may_advance(p)) {
		p->fdWhile = 0;
		p->forward = true;
		return true;
	}
	return false;
}

static bool root_port(struct stp_port *p)
{
	bool changed = root_actions(p);

	if (p->rrWhile == FwdDelay(p))
		return changed;
	p->rrWhile = FwdDelay(p);
	return true;
}

/* May a designated port take its next step towards forwarding? */
static bool designated_may_advance(const struct stp_port *p)
{
	return (p->fdWhile == 0 || p->agreed || p->operEdge) && (p->rrWhile == 0 || !p->reRoot) &&
	       !p->sync && (p->operEdge || !is_mute(p->s));
}

static bool designated_must_stop(const struct stp_port *p)
{
	return ((p->sync && !p->synced) || (p->reRoot && p->rrWhile != 0) || p->disputed) &&
	       !p->operEdge && (p->learn || p->forward);
}

static bool designated_port(struct stp_port *p)
{
	if (!p->forward && !p->agreed && !p->proposing && !p->operEdge) {
		p->proposing = p->newInfo = true;
		p->edgeDelayWhile = EdgeDelay(p);
		return true;
	}
	if (!p->synced ? (!p->learning && !p->forwarding) || p->agreed || p->operEdge : p->sync) {
		p->rrWhile = 0;
		p->synced = true;
		p->sync = false;
		return true;
	}
	if (p->rrWhile == 0 && p->reRoot) {
		p->reRoot = false;
		return true;
	}
	if (designated_must_stop(p)) {
		stop_forwarding(p);
		p->disputed = false;
		p->fdWhile = forward_delay(p);
		return true;
	}
	if (!p->learn && designated_may_advance(p)) {
		p->learn = true;
		p->fdWhile = forward_delay(p);
		return true;
	}
	if (p->learn && !p->forward && designated_may_advance(p)) {
		p->forward = true;
		p->fdWhile = 0;
		p->agreed = p->sendRSTP;
		return true;
	}
	return false;
}

void stp_roles_begin(struct stp_port *p)
{
	p->role = STP_DISABLED;
	p->learn = p->forward = p->synced = false;
	p->sync = p->reRoot = true;
	p->rrWhile = FwdDelay(p);
	p->fdWhile = MaxAge(p);
	p->rbWhile = 0;
}

static bool change_role(struct stp_port *p)
{
	if (p->selectedRole == STP_ROOT || p->selectedRole == STP_DESIGNATED) {
		p->role = p->selectedRole;
		if (p->role == STP_ROOT)
			p->rrWhile = FwdDelay(p);
		return true;
	}
	return take_role(p);
}

bool stp_roles_step(struct stp_port *p)
{
	if (!p->selected || p->updtInfo)
		return false;
	if (p->role != p->selectedRole)
		return change_role(p);
	switch ((enum stp_role)p->role) {
	case STP_ROOT:
		return root_port(p);
	case STP_DESIGNATED:
		return designated_port(p);
	case STP_ALTERNATE:
	case STP_BACKUP:
		return alternate_port(p);
	default:
		return disabled_port(p);
	}
}
