/* SPDX-License-Identifier: BSD-2-Clause */
/* What the spanning tree shows of itself, in the words of Linux. */
#include "core/stp_internal.h"

static const char *const roles[] = {
	[STP_DISABLED] = "disabled",   [STP_ROOT] = "root",     [STP_DESIGNATED] = "designated",
	[STP_ALTERNATE] = "alternate", [STP_BACKUP] = "backup",
};
_Static_assert(array_size(roles) == STP_ROLE_N, "a name for each role");

const char *stp_role_name(enum stp_role r)
{
	return r < STP_ROLE_N ? roles[r] : NULL;
}

/* Timers of the bridge are the ports' here: the one that runs longest, or the next to end. */
static void show_timers(const struct stp *s, struct stp_status *ret)
{
	for_each_stp_port(p, s)
	{
		bool root = p->role == STP_ROOT;

		if (!p->portEnabled)
			continue;
		if (p->role == STP_DESIGNATED &&
		    (ret->hello_timer == 0 || p->helloWhen < ret->hello_timer))
			ret->hello_timer = p->helloWhen;
		if (root && !p->sendRSTP && p->tcWhile)
			ret->tcn_timer = p->helloWhen;
		ret->topology_change_timer = max_of(ret->topology_change_timer, p->tcWhile);
	}
}

void stp_status(const struct stp *s, struct stp_status *ret)
{
	*ret = (struct stp_status){
		.bridge = bridge_id(s),
		.root = bridge_id(s),
		.times = {.max_age = (uint16_t)(s->set.max_age * BPDU_SECOND),
			  .hello = (uint16_t)(s->set.hello * BPDU_SECOND),
			  .forward_delay = (uint16_t)(s->set.forward_delay * BPDU_SECOND)},
		.n_topology_changes = s->n_topology_changes,
		.topology_change_ns = s->topology_change_ns,
	};
	if (!s->hot.on)
		return;
	ret->root = s->rootPriority.root;
	ret->root_cost = s->rootPriority.cost;
	ret->root_port = s->rootPort;
	ret->times = s->rootTimes;
	show_timers(s, ret);
	ret->topology_change = ret->topology_change_timer != 0;
	ret->topology_change_detected = ret->topology_change;
}

/* Is the port on its way to forwarding? */
static bool state_waits(const struct stp_port *p)
{
	return (p->role == STP_ROOT || p->role == STP_DESIGNATED) && !p->forwarding;
}

static const struct stp_port *port_at(const struct stp *s, uint16_t no)
{
	return no < STP_PORTS ? s->by_no[no] : NULL;
}

bool stp_port_status(const struct stp *s, uint16_t no, struct stp_port_status *ret)
{
	const struct stp_port *p = port_at(s, no);

	if (!p)
		return false;
	*ret = (struct stp_port_status){
		.role = s->hot.on ? p->role : STP_DISABLED,
		.state = p->told_state,
		.id = port_id(p),
		.cost = stp_port_cost(p),
		.root = bridge_id(s),
		.designated_bridge = bridge_id(s),
		.designated_port = port_id(p),
		.p2p = is_p2p(p),
		.guarded = p->guarded,
		.root_blocked = p->root_blocked,
		.counters = p->counters,
	};
	if (!s->hot.on)
		return true;
	if (p->infoIs == INFO_MINE || p->infoIs == INFO_RECEIVED) {
		ret->root = p->portPriority.root;
		ret->designated_bridge = p->portPriority.bridge;
		ret->designated_port = p->portPriority.port;
		ret->designated_cost = p->portPriority.cost;
	}
	ret->message_age_timer = p->infoIs == INFO_RECEIVED ? p->rcvdInfoWhile : 0;
	ret->forward_delay_timer = state_waits(p) ? p->fdWhile : 0;
	ret->hold_timer = p->txCount >= s->set.tx_hold_count;
	ret->topology_change_ack = p->tcAck;
	ret->config_pending = p->newInfo && p->portEnabled;
	ret->edge = p->operEdge;
	ret->rstp = p->sendRSTP;
	ret->proposing = p->proposing;
	ret->agreed = p->agreed;
	return true;
}
