/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/domain.h"

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"

#define ANCESTORS_MAX 32

/* A process that was seen. Its number may be another's by now; when it began tells. */
struct member {
	struct list node;
	struct domain_proc who;
	uint64_t start;
};

struct domains {
	struct bufowner *owners;
	domain_look *look;
	struct list all;
};

struct domains *domains_new(struct bufowner *owners, domain_look *look)
{
	struct domains *ds = calloc(1, sizeof(*ds));

	if (!ds)
		return NULL;
	ds->owners = owners;
	ds->look = look;
	list_init(&ds->all);
	return ds;
}

struct domains *domains_free(struct domains *ds)
{
	assert(!ds || list_empty(&ds->all));
	free(ds);
	return NULL;
}

/* ---- processes ---- */

static bool look(const struct domains *ds, pid_t pid, struct proc_info *ret)
{
	*ret = (struct proc_info){0};
	return pid == 0 || ds->look(pid, ret);
}

static bool is_member(const struct member *m, const struct domain_proc *who, uint64_t start)
{
	return m->who.pid == who->pid && m->start == start && (who->pid || m->who.uid == who->uid);
}

static struct member *find_member(const struct domain *d, const struct domain_proc *who,
				  uint64_t start)
{
	list_for_each (i, &d->procs) {
		struct member *m = list_entry(i, struct member, node);

		if (is_member(m, who, start))
			return m;
	}
	return NULL;
}

/* same_user: only if it was the same user's when it was seen. */
static struct domain *find(const struct domains *ds, const struct domain_proc *who, uint64_t start,
			   bool same_user)
{
	list_for_each (i, &ds->all) {
		struct domain *d = list_entry(i, struct domain, node);
		const struct member *m = find_member(d, who, start);

		if (m)
			return !same_user || m->who.uid == who->uid ? d : NULL;
	}
	return NULL;
}

struct domain *domains_find(const struct domains *ds, const struct domain_proc *who)
{
	struct domain_proc p = *who;
	struct proc_info info;
	struct domain *d = NULL;

	for (int n = 0; !d && n < ANCESTORS_MAX && look(ds, p.pid, &info); n++) {
		d = find(ds, &p, info.start, n > 0);
		p.pid = info.parent;
		if (p.pid == 0)
			break;
	}
	return d;
}

/* Forgets those that are gone. */
static void prune(struct domains *ds, struct domain *d)
{
	list_for_each_safe (i, &d->procs) {
		struct member *m = list_entry(i, struct member, node);
		struct proc_info info;

		if (look(ds, m->who.pid, &info) && info.start == m->start)
			continue;
		list_del(&m->node);
		free(m);
		d->n_procs--;
	}
}

int domain_note(struct domains *ds, struct domain *d, const struct domain_proc *who)
{
	struct proc_info info;
	struct member *m;

	if (!look(ds, who->pid, &info) || find_member(d, who, info.start))
		return 0;
	if (d->n_procs >= DOMAIN_PROCS_MAX)
		prune(ds, d);
	m = d->n_procs < DOMAIN_PROCS_MAX ? calloc(1, sizeof(*m)) : NULL;
	if (!m)
		return error_origin(-ENOMEM);
	m->who = *who;
	m->start = info.start;
	list_append(&d->procs, &m->node);
	d->n_procs++;
	return 0;
}

/* ---- domains ---- */

static struct domain *domain_new(struct domains *ds)
{
	struct domain *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->owner = bufowner_add(ds->owners);
	if (!d->owner) {
		free(d);
		return NULL;
	}
	list_init(&d->procs);
	list_append(&ds->all, &d->node);
	return d;
}

static void domain_free(struct domain *d)
{
	list_for_each_safe (i, &d->procs)
		free(list_entry(i, struct member, node));
	list_del(&d->node);
	free(d);
}

int domain_enter(struct domains *ds, const struct domain_proc *who, struct domain **ret)
{
	struct domain *d = domains_find(ds, who);
	int r;

	if (!d)
		d = domain_new(ds);
	if (!d)
		return error_origin(-ENOMEM);
	d->n_users++;
	r = domain_note(ds, d, who);
	if (r) {
		domain_leave(ds, d);
		return error_trace(r);
	}
	*ret = d;
	return 0;
}

uint32_t domain_leave(struct domains *ds, struct domain *d)
{
	uint32_t lost;

	if (--d->n_users > 0)
		return 0;
	lost = bufowner_remove(ds->owners, d->owner);
	domain_free(d);
	return lost;
}

void domains_merge(struct domains *ds, struct domain *from, struct domain *to)
{
	bufowner_merge(ds->owners, from->owner, to->owner);
	list_for_each_safe (i, &from->procs) {
		list_del(i);
		list_append(&to->procs, i);
	}
	to->n_procs += from->n_procs;
	to->n_users += from->n_users;
	domain_free(from);
}
