/* SPDX-License-Identifier: BSD-2-Clause */
/* The port information machine (17.27): what a neighbour says, and how long it is good for. */
#include "core/stp_internal.h"

#include "base/mac.h"

enum received_info {
	SUPERIOR_DESIGNATED,
	REPEATED_DESIGNATED,
	INFERIOR_DESIGNATED,
	INFERIOR_ROOT_ALTERNATE,
	RESIGNED, /* not of the standard: see classify() */
	OTHER_INFO,
};

static struct vector vector_of(const struct bpdu *b)
{
	return (struct vector){
		.root = b->root, .cost = b->cost, .bridge = b->bridge, .port = b->port};
}

/* The same bridge and port as before, whatever their priorities are now. */
static bool is_same_sender(const struct vector *a, const struct vector *b)
{
	return ((a->bridge ^ b->bridge) & 0xffffffffffffULL) == 0 &&
	       ((a->port ^ b->port) & 0xfff) == 0;
}

/*
 * 17.21.8; and one more: the port from which we have what we know says that it is no longer the
 * designated one. The standard would believe the old word for three hellos, which is longer than
 * the new designated port may need to forward.
 */
static enum received_info classify(const struct stp_port *p)
{
	const struct vector v = vector_of(&p->msg);
	int cmp = vector_compare(&v, &p->portPriority);

	if (p->msg.kind == BPDU_TCN)
		return OTHER_INFO;
	if (p->msg.role != BPDU_ROLE_DESIGNATED && p->infoIs == INFO_RECEIVED &&
	    is_same_sender(&v, &p->portPriority))
		return RESIGNED;
	if (p->msg.role != BPDU_ROLE_DESIGNATED)
		return cmp >= 0 ? INFERIOR_ROOT_ALTERNATE : OTHER_INFO;
	if (cmp == 0 && times_equal(&p->msg.times, &p->portTimes))
		return p->infoIs == INFO_RECEIVED ? REPEATED_DESIGNATED : OTHER_INFO;
	/* 17.6: better, or from whom we have what is there already */
	if (cmp <= 0 || (p->infoIs == INFO_RECEIVED && is_same_sender(&v, &p->portPriority)))
		return SUPERIOR_DESIGNATED;
	return INFERIOR_DESIGNATED;
}

/* 17.21.1 */
static bool better_or_same_info(const struct stp_port *p, enum info_is new_info)
{
	const struct vector v = vector_of(&p->msg);

	if (p->infoIs != new_info)
		return false;
	if (new_info == INFO_RECEIVED)
		return vector_compare(&v, &p->portPriority) <= 0;
	return vector_compare(&p->designatedPriority, &p->portPriority) <= 0;
}

/*
 * 17.21.9; and the neighbour must mean our root: an agreement may have been on its way while roots
 * changed, and its sender may have changed its mind without being allowed to send that yet.
 */
static void record_agreement(struct stp_port *p)
{
	p->agreed = rstp_version(p->s) && is_p2p(p) && p->msg.flags & BPDU_AGREEMENT &&
		    p->msg.root == p->portPriority.root;
	if (p->agreed)
		p->proposing = false;
}

/* 17.21.10: a port that we thought would listen to us forwards. */
static void record_dispute(struct stp_port *p)
{
	if (p->msg.kind != BPDU_RST || !(p->msg.flags & BPDU_LEARNING))
		return;
	p->disputed = true;
	p->agreed = false;
}

/* 17.21.11 */
static void record_proposal(struct stp_port *p)
{
	if (p->msg.flags & BPDU_PROPOSAL)
		p->proposed = true;
}

/* 17.21.17; a TCN has its flag from stp_rx_frame() on. */
static void set_tc_flags(struct stp_port *p)
{
	if (p->msg.flags & BPDU_TC)
		p->rcvdTc = true;
	if (p->msg.flags & BPDU_TC_ACK)
		p->rcvdTcAck = true;
}

/*
 * 17.21.23: information is good for three hellos, unless it is too old to be passed on. The
 * standard keeps it one bridge longer; but nobody would listen to a bridge that passes it on, which
 * then forwards where others do not know of it.
 */
static void update_rcvd_info_while(struct stp_port *p)
{
	const struct bpdu_times *t = &p->portTimes;

	p->rcvdInfoWhile = 0;
	if ((uint32_t)t->message_age + BPDU_SECOND < t->max_age)
		p->rcvdInfoWhile = (uint16_t)(3 * seconds_of(t->hello, 1, 10));
}

static void ask_for_roles(struct stp_port *p, enum info_is info)
{
	p->infoIs = (uint8_t)info;
	p->reselect = true;
	p->selected = false;
}

static void superior(struct stp_port *p)
{
	p->agreed = p->proposing = false;
	record_proposal(p);
	set_tc_flags(p);
	p->agree = p->agree && better_or_same_info(p, INFO_RECEIVED);
	p->portPriority = vector_of(&p->msg);
	p->portTimes = p->msg.times;
	update_rcvd_info_while(p);
	ask_for_roles(p, INFO_RECEIVED);
}

static void receive(struct stp_port *p)
{
	switch (classify(p)) {
	case SUPERIOR_DESIGNATED:
		superior(p);
		break;
	case REPEATED_DESIGNATED:
		record_proposal(p);
		set_tc_flags(p);
		update_rcvd_info_while(p);
		break;
	case INFERIOR_DESIGNATED:
		record_dispute(p);
		break;
	case INFERIOR_ROOT_ALTERNATE:
		record_agreement(p);
		set_tc_flags(p);
		break;
	case RESIGNED:
		set_tc_flags(p);
		p->rcvdInfoWhile = 0;
		break;
	case OTHER_INFO:
		break;
	}
	p->rcvdMsg = false;
}

static void enter_disabled(struct stp_port *p)
{
	p->pim = PIM_DISABLED;
	p->rcvdMsg = p->proposing = p->proposed = p->agree = p->agreed = false;
	p->rcvdInfoWhile = 0;
	ask_for_roles(p, INFO_DISABLED);
}

static void enter_aged(struct stp_port *p)
{
	p->pim = PIM_AGED;
	ask_for_roles(p, INFO_AGED);
}

/*
 * Not of the standard: who had agreed to something better has to agree anew before the port goes on
 * forwarding. Worse news may be old news on its way round a ring.
 */
static void enter_update(struct stp_port *p)
{
	const bool had_agreed = p->agreed;

	p->pim = PIM_CURRENT;
	p->proposing = p->proposed = false;
	p->agreed = p->agreed && better_or_same_info(p, INFO_MINE);
	p->synced = p->synced && p->agreed;
	p->sync = p->sync || (had_agreed && !p->agreed);
	p->portPriority = p->designatedPriority;
	p->portTimes = p->designatedTimes;
	p->updtInfo = false;
	p->infoIs = INFO_MINE;
	p->newInfo = true;
}

bool stp_info_step(struct stp_port *p)
{
	if (!p->portEnabled && p->infoIs != INFO_DISABLED) {
		enter_disabled(p);
		return true;
	}
	if (p->pim == PIM_DISABLED) {
		p->rcvdMsg = false;
		if (!p->portEnabled)
			return false;
		enter_aged(p);
		return true;
	}
	if (p->selected && p->updtInfo) {
		enter_update(p);
		return true;
	}
	if (p->pim == PIM_AGED)
		return false;
	if (p->infoIs == INFO_RECEIVED && p->rcvdInfoWhile == 0 && !p->updtInfo && !p->rcvdMsg) {
		enter_aged(p);
		return true;
	}
	if (p->rcvdMsg && !p->updtInfo) {
		receive(p);
		return true;
	}
	return false;
}
