/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * stp_save() notes the variables of all ports that have a link, when all machines rest; a bridge
 * that gets them back has the state of one that was paused meanwhile. That is safe as long as no
 * neighbour has acted upon our silence: what we said last on a designated port is good for three
 * hellos, of which a neighbour may already have counted a part of a second. It also needs the
 * neighbour's own word, rcvdInfoWhile less the time that passed. Timers that let a port open
 * (fdWhile, rrWhile, rbWhile) stand still, for nobody listened.
 *
 * A port that is not remembered begins anew, closed. One that is remembered and gone is as one that
 * was just removed.
 *
 * Held, before and after: a bridge that knows only some of its ports must not tell the others that
 * it is the root, and what was saved must stay true until the process ends.
 */
#include "core/stp_internal.h"

_Static_assert(sizeof(struct stp_memory) == 16, "no padding");
_Static_assert(sizeof(struct stp_port_memory) == 48, "no padding");

void stp_hold(struct stp *s)
{
	s->held = true;
	stp_run(s);
}

void stp_release(struct stp *s)
{
	if (!s->held)
		return;
	s->held = false;
	s->next_tick_ns = 0;
	if (s->hot.on)
		stp_begin(s);
}

/* ---- saving ---- */

static uint16_t flags_of(const struct stp_port *p)
{
	return (uint16_t)((p->learn ? STP_MEMORY_LEARN : 0) |
			  (p->forward ? STP_MEMORY_FORWARD : 0) |
			  (p->operEdge ? STP_MEMORY_EDGE : 0) |
			  (p->sendRSTP ? STP_MEMORY_RSTP : 0) | (p->agree ? STP_MEMORY_AGREE : 0) |
			  (p->agreed ? STP_MEMORY_AGREED : 0) |
			  (p->proposed ? STP_MEMORY_PROPOSED : 0) |
			  (p->proposing ? STP_MEMORY_PROPOSING : 0) |
			  (p->synced ? STP_MEMORY_SYNCED : 0) | (p->sync ? STP_MEMORY_SYNC : 0) |
			  (p->reRoot ? STP_MEMORY_REROOT : 0));
}

static void save_port(const struct stp_port *p, struct stp_port_memory *m)
{
	*m = (struct stp_port_memory){
		.root = p->portPriority.root,
		.bridge = p->portPriority.bridge,
		.cost = p->portPriority.cost,
		.path_cost = stp_port_cost(p),
		.port = p->portPriority.port,
		.no = p->no,
		.times = p->portTimes,
		.flags = flags_of(p),
		.priority = p->set.priority,
		.role = p->role,
		.p2p = is_p2p(p),
		.rcvdInfoWhile = p->infoIs == INFO_RECEIVED ? (uint8_t)p->rcvdInfoWhile : 0,
		.fdWhile = (uint8_t)p->fdWhile,
		.rrWhile = (uint8_t)p->rrWhile,
		.rbWhile = (uint8_t)p->rbWhile,
		.tcWhile = (uint8_t)p->tcWhile,
		.edgeDelayWhile = (uint8_t)p->edgeDelayWhile,
		.helloWhen = (uint8_t)p->helloWhen,
	};
}

bool stp_save(struct stp *s, struct stp_memory *ret, struct stp_port_memory *ports)
{
	bool any = false;

	for_each_stp_port(p, s) any |= p->portEnabled;
	if (!s->hot.on || s->held || !any)
		return false;
	for_each_stp_port(p, s) if (p->role == STP_DESIGNATED) p->helloWhen = 0;
	stp_run(s);
	*ret = (struct stp_memory){
		.bridge = bridge_id(s),
		.version = s->set.version,
		.hello = s->set.hello,
		.max_age = s->set.max_age,
		.forward_delay = s->set.forward_delay,
	};
	for_each_stp_port(p, s) if (p->portEnabled) save_port(p, &ports[ret->n_ports++]);
	stp_hold(s);
	return true;
}

/* ---- checking ---- */

static bool has(const struct stp_port_memory *m, enum stp_memory_flags f)
{
	return m->flags & f;
}

static bool port_is_sane(const struct stp_port_memory *m)
{
	const bool open = m->role == STP_ROOT || m->role == STP_DESIGNATED;

	return m->no > 0 && m->no < STP_PORTS && m->priority <= STP_PORT_PRIORITY_MAX &&
	       m->path_cost > 0 && m->path_cost <= STP_COST_MAX && m->role >= STP_ROOT &&
	       m->role < STP_ROLE_N && m->p2p <= 1 && m->flags <= STP_MEMORY_ALL &&
	       (open || !has(m, STP_MEMORY_LEARN)) &&
	       (has(m, STP_MEMORY_LEARN) || !has(m, STP_MEMORY_FORWARD)) &&
	       (m->role == STP_DESIGNATED || !has(m, STP_MEMORY_EDGE)) &&
	       (m->role == STP_DESIGNATED) == (m->rcvdInfoWhile == 0) && m->rcvdInfoWhile <= 30 &&
	       m->fdWhile <= 40 && m->rrWhile <= 30 && m->rbWhile <= 20 && m->tcWhile <= 70 &&
	       m->edgeDelayWhile <= 40 && m->helloWhen <= 10;
}

bool stp_memory_is_sane(const struct stp_memory *m, const struct stp_port_memory *ports)
{
	const struct stp_settings set = {.version = m->version,
					 .priority = (uint16_t)(m->bridge >> 48),
					 .hello = m->hello,
					 .max_age = m->max_age,
					 .forward_delay = m->forward_delay,
					 .tx_hold_count = 1};
	uint32_t n_roots = 0;

	if ((m->version != STP_VERSION_STP && m->version != STP_VERSION_RSTP) ||
	    stp_settings_check(&set) || m->n_ports == 0 || m->n_ports >= STP_PORTS)
		return false;
	for (uint32_t i = 0; i < m->n_ports; i++) {
		if (!port_is_sane(&ports[i]) || (i > 0 && ports[i].no <= ports[i - 1].no))
			return false;
		n_roots += ports[i].role == STP_ROOT;
	}
	return n_roots <= 1;
}

/* Is what was said on the port, by whoever says it, still good? */
static bool port_is_fresh(const struct stp *s, const struct stp_port_memory *m, uint64_t age_ms)
{
	uint32_t silent_s = s->set.hello - min_of(m->helloWhen, s->set.hello);

	if (m->rcvdInfoWhile > 0)
		return age_ms < (m->rcvdInfoWhile - 1u) * 1000u;
	return has(m, STP_MEMORY_EDGE) ||
	       age_ms + silent_s * 1000u < (3u * s->set.hello - 1) * 1000u;
}

static bool port_fits(const struct stp_port *p, const struct stp_port_memory *m)
{
	return p->set.priority == m->priority && stp_port_cost(p) == m->path_cost &&
	       is_p2p(p) == m->p2p && !(p->set.root_block && m->role == STP_ROOT) &&
	       !(has(m, STP_MEMORY_EDGE) && (p->set.edge == STP_OFF || p->n_rx > 0)) &&
	       (rstp_version(p->s) || !has(m, STP_MEMORY_RSTP));
}

/* ---- restoring ---- */

static void restore_port(struct stp_port *p, const struct stp_port_memory *m, uint32_t age_s)
{
	p->infoIs = m->rcvdInfoWhile > 0 ? INFO_RECEIVED : INFO_MINE;
	p->pim = PIM_CURRENT;
	p->portPriority = (struct vector){
		.root = m->root, .cost = m->cost, .bridge = m->bridge, .port = m->port};
	p->portTimes = m->times;
	p->role = m->role;
	p->learn = p->learning = has(m, STP_MEMORY_LEARN);
	p->forward = p->forwarding = has(m, STP_MEMORY_FORWARD);
	p->operEdge = has(m, STP_MEMORY_EDGE);
	p->sendRSTP = has(m, STP_MEMORY_RSTP);
	p->ppm = PPM_SENSING;
	p->mdelayWhile = 0;
	p->agree = has(m, STP_MEMORY_AGREE);
	p->agreed = has(m, STP_MEMORY_AGREED);
	p->proposed = has(m, STP_MEMORY_PROPOSED);
	p->proposing = has(m, STP_MEMORY_PROPOSING);
	p->synced = has(m, STP_MEMORY_SYNCED);
	p->sync = has(m, STP_MEMORY_SYNC);
	p->reRoot = has(m, STP_MEMORY_REROOT);
	p->rcvdInfoWhile = m->rcvdInfoWhile > 0 ? (uint16_t)(m->rcvdInfoWhile - age_s) : 0;
	p->fdWhile = m->fdWhile;
	p->rrWhile = m->rrWhile;
	p->rbWhile = m->rbWhile;
	p->tcWhile = m->tcWhile;
	p->edgeDelayWhile = m->edgeDelayWhile;
	p->tcm = !p->learn ? TCM_INACTIVE : p->forward && !p->operEdge ? TCM_ACTIVE : TCM_LEARNING;
	p->fdbFlush = false;
	/* Not from a root port: with STP that would be news of a change. */
	p->newInfo = p->role == STP_DESIGNATED;
}

static bool may_restore(const struct stp *s, const struct stp_memory *m,
			const struct stp_port_memory *ports, uint64_t age_ms, bool all)
{
	if (!s->hot.on || !s->held || m->bridge != bridge_id(s) || m->version != s->set.version ||
	    m->hello != s->set.hello || m->max_age != s->set.max_age ||
	    m->forward_delay != s->set.forward_delay)
		return false;
	for (uint32_t i = 0; i < m->n_ports; i++) {
		const struct stp_port *p = s->by_no[ports[i].no];
		const bool there = p && p->link_up;

		if (!port_is_fresh(s, &ports[i], age_ms) || (!there && all) ||
		    (there && !port_fits(p, &ports[i])))
			return false;
	}
	return true;
}

bool stp_restore(struct stp *s, const struct stp_memory *m, const struct stp_port_memory *ports,
		 uint64_t age_ms, bool all)
{
	const uint32_t age_s = (uint32_t)(min_of(age_ms, 1000000) + 999) / 1000;

	if (!may_restore(s, m, ports, age_ms, all))
		return false;
	s->held = false;
	s->next_tick_ns = 0;
	s->told_root = 0;
	for_each_stp_port(p, s) stp_begin_port(s, p);
	for (uint32_t i = 0; i < m->n_ports; i++) {
		struct stp_port *p = s->by_no[ports[i].no];

		if (p && p->portEnabled)
			restore_port(p, &ports[i], age_s);
	}
	s->reselect = true;
	stp_run(s);
	return true;
}
