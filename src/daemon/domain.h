/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains: who owns a region's buffers together (mem/bufowner.h), and which processes those are. A
 * process has one domain for all its descriptors, so that it may swap buffers between them;
 * processes that share descriptors or rings are in the same.
 *
 * A domain lasts as long as a descriptor of it is open. Processes are remembered until then, for
 * what they have done with their buffers is not known.
 *
 * Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "mem/bufowner.h"
#include "sys/proc.h"

/* Of one domain, as long as they live. */
#define DOMAIN_PROCS_MAX 256u

/*
 * A process, as the kernel says. pid 0: one that the daemon cannot see (another pid namespace);
 * those of a user cannot be told apart.
 */
struct domain_proc {
	pid_t pid;
	uid_t uid;
};

struct domain {
	struct list node;
	struct list procs;
	uint32_t n_procs;
	uint32_t n_users; /* descriptors */
	uint16_t owner;   /* of its buffers */
};

struct domains;
typedef bool domain_look(pid_t pid, struct proc_info *ret); /* proc_look(), or a test's */

/* owners outlives it. NULL when there is no memory. */
struct domains *domains_new(struct bufowner *owners, domain_look *look);
/* All domains are gone. Returns NULL; NULL is fine. */
struct domains *domains_free(struct domains *ds);

/*
 * The domain of a process: the one that it is in, or else that of its nearest ancestor that has one
 * and is the same user's, since a child has the descriptors of its parent. NULL: none, or the
 * process is gone.
 */
struct domain *domains_find(const struct domains *ds, const struct domain_proc *who);

/*
 * The process has one descriptor more: in its domain, or in a new one. 0 or -ENOMEM: no number for
 * one more domain, or too many processes in this one.
 */
int domain_enter(struct domains *ds, const struct domain_proc *who, struct domain **ret);
/*
 * The process is in d from now on; it is in no other. One that is gone is not noted. 0 or -ENOMEM.
 */
int domain_note(struct domains *ds, struct domain *d, const struct domain_proc *who);
/* A descriptor less. With the last one the domain goes; returns how many buffers were lost in it.
 */
uint32_t domain_leave(struct domains *ds, struct domain *d);
/* Two become one: buffers, processes and descriptors of `from` are those of `to`. For workers see
 * bufowner_merge(). */
void domains_merge(struct domains *ds, struct domain *from, struct domain *to);
