/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Whose buffers a descriptor's rings hold is decided by who asks, not by who connected: requests
 * carry the credentials of their sender (SCM_CREDENTIALS), and who sends one on a descriptor has
 * it. So the process that registers a descriptor brings it into its domain (daemon/domain.h), and
 * another one that asks on it is found to share it: two domains become one then. So they do when
 * two descriptors bind the same ring, which anybody who has it may swap buffers with.
 *
 * Workers compare buffers with the owner that each ring has, so all workers with netmap ports
 * stand still while buffers change hands. That is 0.1 ms, and rare: programs share descriptors when
 * they start.
 */
#include <errno.h>

#include "base/log.h"
#include "daemon/bridges.h"
#include "daemon/endpoint_internal.h"
#include "daemon/worker.h"
#include "sys/clock.h"

LOG_MODULE("daemon/endpoint_domain");

struct merge_job {
	struct endpoints *es;
	struct domain *from, *to;
	struct worker *held[DAEMON_WORKERS_MAX];
	uint32_t n, next;
};

static void merge(struct endpoints *es, struct domain *from, struct domain *to)
{
	list_for_each (i, &es->ports) {
		struct nm_port *p = list_entry(i, struct nm_port, node);

		for (int kind = 0; kind < 4; kind++)
			for (uint32_t k = 0; k < RINGS_MAX; k++) {
				struct nm_ring *nr = p->rings[kind / 2][kind % 2][k];

				if (nr && nr->r.rc.owner == from->owner)
					nr->r.rc.owner = to->owner;
			}
	}
	list_for_each (i, &es->clients) {
		struct nm_client *c = list_entry(i, struct nm_client, node);

		if (c->domain == from)
			c->domain = to;
	}
	domains_merge(es->domains, from, to);
}

/* In each worker in turn, while those before it wait. */
static void merge_held(void *arg)
{
	struct merge_job *job = arg;

	if (job->next < job->n)
		worker_call(job->held[job->next++], merge_held, job);
	else
		merge(job->es, job->from, job->to);
}

static bool is_held(const struct merge_job *job, const struct worker *w)
{
	for (uint32_t i = 0; i < job->n; i++)
		if (job->held[i] == w)
			return true;
	return false;
}

static void join(struct endpoints *es, struct domain *a, struct domain *b)
{
	const bool swap =
		bufowner_count(es->owners, a->owner) > bufowner_count(es->owners, b->owner);
	struct merge_job job = {.es = es, .from = swap ? b : a, .to = swap ? a : b};

	list_for_each (i, &es->ports) {
		const struct nm_port *p = list_entry(i, struct nm_port, node);

		if (p->vb && !is_held(&job, p->vb->w))
			job.held[job.n++] = p->vb->w;
	}
	merge_held(&job);
}

int endpoint_join(struct nm_client *c, const struct domain_proc *from)
{
	uint64_t more;
	int r = domain_enter(c->es->domains, from, &c->domain);

	if (r && limit_take(&c->es->limit, clock_now_ns(), &more))
		log_warn("netmap: program %s pid=%d gets no memory: too many programs have some "
			 "(%u), "
			 "or too many processes share it (%u)",
			 c->program, (int)from->pid, BUFOWNER_N - BUF_OWNER_FIRST,
			 DOMAIN_PROCS_MAX);
	return r;
}

int endpoint_meet(struct nm_client *c, const struct domain_proc *from)
{
	struct domain *d = domains_find(c->es->domains, from);
	uint64_t more;
	int r;

	if (d && d != c->domain) {
		log_info("netmap: pid=%d shares a descriptor of program %s pid=%d: they own their "
			 "buffers together now",
			 (int)from->pid, c->program, (int)c->peer.pid);
		join(c->es, d, c->domain);
	}
	r = domain_note(c->es->domains, c->domain, from);
	if (r && limit_take(&c->es->limit, clock_now_ns(), &more))
		log_warn("netmap: pid=%d may not use a descriptor of program %s pid=%d: more than "
			 "%u processes share it",
			 (int)from->pid, c->program, (int)c->peer.pid, DOMAIN_PROCS_MAX);
	return r;
}

static bool share_rings(const struct nm_client *a, const struct nm_client *b)
{
	bool any = false;

	for (int host = 0; host < 2; host++)
		for (int tx = 0; tx < 2; tx++)
			any |= (a->ic.rings[host][tx] & b->ic.rings[host][tx]) != 0;
	return any;
}

void endpoint_meet_rings(struct nm_client *c)
{
	list_for_each (i, &c->es->clients) {
		struct nm_client *o = list_entry(i, struct nm_client, node);

		if (o->port == c->port && o->domain && o->domain != c->domain && share_rings(o, c))
			join(c->es, o->domain, c->domain);
	}
}

void endpoint_leave(struct nm_client *c)
{
	const uint32_t lost = domain_leave(c->es->domains, c->domain);

	c->domain = NULL;
	if (lost)
		log_info("memory region %u: %u buffers taken back that program %s pid=%d had lost",
			 c->es->d->region.id, lost, c->program, (int)c->peer.pid);
}
