/* SPDX-License-Identifier: BSD-2-Clause */
/* What endpoint.c (ports, rings, users) and endpoint_request.c (what programs ask) share. */
#pragma once

#include <pthread.h>

#include "daemon/endpoint.h"

#define N_NOTES 64u

/* What becomes of a side's frames, as the engine sees it after something happened to a ring. */
enum effect {
	EFFECT_NONE,      /* programs get copies or nothing: it goes on as before */
	EFFECT_INSPECTED, /* some program still takes frames */
	EFFECT_ROUND,     /* it goes on uninspected */
	EFFECT_DROPPED,
};

struct note {
	struct nm_port *port;
	enum inspect_event event;
	bool host;
	uint8_t index;
	enum effect effect;
	uint32_t still_ms; /* how long its head had not moved */
};

struct endpoints {
	struct daemon *d;
	struct list ports, clients;
	struct bufowner *owners;
	struct nmobj *objects;
	struct domains *domains;
	uint64_t token;
	void (*request)(struct nm_client *c);
	struct loop_source *bell;
	struct limit limit;   /* of lines about programs that are refused */
	pthread_mutex_t lock; /* for the rest */
	struct note notes[N_NOTES];
	uint32_t n_notes;
};

#define for_each_bit(i, mask)                                                                      \
	for (uint32_t i = 0; i < RINGS_MAX; i++)                                                   \
		if ((mask) >> i & 1)

/* Calls fn for each ring of the client, in the order of shadow indexes. */
#define for_each_bound(host, tx, i, c)                                                             \
	for (int host = 0; host < 2; host++)                                                       \
		for (int tx = 0; tx < 2; tx++)                                                     \
	for_each_bit(i, (c)->ic.rings[host][tx])

/* endpoint_domain.c */
/* The client gets memory of the region, registered by process `from`. 0 or -ENOMEM. */
int endpoint_join(struct nm_client *c, const struct domain_proc *from);
/* Process `from` asks on a registered descriptor, so it has it. 0 or -ENOMEM. */
int endpoint_meet(struct nm_client *c, const struct domain_proc *from);
/* It is bound to rings that others may have, too. */
void endpoint_meet_rings(struct nm_client *c);
/* Its memory has been given back. */
void endpoint_leave(struct nm_client *c);

/*
 * Releases whom the program closed: the news of it may come later than another request of the same
 * program, which must find that done, as with the kernel's close().
 */
void endpoint_reap(struct endpoints *es);

/* With so many rings. 0 or -ENOMEM. */
int endpoint_port_new(struct endpoints *es, struct vbridge *vb, const struct ring_counts *n,
		      struct nm_port **ret);
/* Nobody has it open any more. */
void endpoint_port_close(struct nm_port *p);

/* Place of a ring in the port's shadow object. */
uint32_t endpoint_shadow_index(const struct nm_port *p, bool host, bool tx, uint32_t i);
/* Up to `want` extra buffers for the client's netmap_if; returns how many. */
uint32_t endpoint_grant_extra(struct endpoints *es, struct nm_client *c, uint32_t want);
/* Binds the client to the rings in c->ic.rings. 0 or -errno; nothing is left behind then. */
int endpoint_bind(struct nm_port *p, struct nm_client *c, uint32_t extra);
/* NULL: there is none of that type. */
const struct attach_opt *endpoint_options_find(const struct attach_msg *m, uint32_t type);
/* Gives each option its first status. 0, or -EINVAL: a type twice, or 0. */
int endpoint_options_check(struct attach_msg *m);
/* Those of REGISTER into c->offsets. 0, -EINVAL, or -EOPNOTSUPP: there is one that we do not have.
 */
int endpoint_options_register(struct nm_client *c, struct attach_msg *m);
/* It was bound so; or rings that others have do not allow it. Says so in the reply. */
void endpoint_options_done(struct nm_client *c, struct attach_msg *m, struct nm_reply *ret);
void endpoint_options_busy(struct attach_msg *m);
/* What the log calls it. */
const char *endpoint_noun(const struct vbridge *vb);
/* Who it is and what it has open, for an event. New reference. */
json_t *endpoint_event(const struct nm_client *c);
/* Who it is, for the log. */
void endpoint_describe(struct nm_client *c, char *to, size_t size);
