/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Netmap ports and who has them open: names, requests (NIOCCTRL), rings and their users. A netmap
 * port is made when a descriptor is bound to a bridge first, and goes with the last one. What flows
 * through its rings is inspect.h's.
 *
 * Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "daemon/daemon.h"
#include "daemon/domain.h"
#include "daemon/inspect.h"
#include "mem/nmobj.h"
#include "mem/shadow.h"
#include "sys/sock.h"
#include "wire/attach.h"

#define ENDPOINT_SLOTS     1024u /* of a ring */
#define ENDPOINT_RINGS_MAX 30    /* of each kind: what a netmap_if of 1,024 bytes can name */

struct vbridge;

/* One ring of a netmap port. */
struct nm_ring {
	struct inspect_ring r;
	uint64_t ofs;   /* in the region */
	uint32_t users; /* descriptors */
	bool exclusive;
};

struct nm_port {
	struct list node;
	struct endpoints *es;
	struct vbridge *vb; /* NULL: the bridge is gone */
	char name[BPORT_NAME_SIZE];
	struct inspect *in;
	struct shadow shadow;
	struct ring_counts counts;
	uint32_t n_clients;
	struct nm_ring *rings[2][2][RINGS_MAX]; /* by [host][tx]; NULL: nobody has it */
};

/* Where frames may lie in their buffers: OPT_OFFSETS. */
struct nm_offsets {
	uint64_t mask; /* of slot.ptr; 0: at their start only */
	uint64_t initial;
	uint32_t max, gap;
};

/* A connection on netmap.sock: a netmap descriptor. */
struct nm_client {
	struct list node;
	struct endpoints *es;
	struct loop *es_loop;
	struct loop_source *source; /* until it is registered, and when its port is gone */
	struct sock_peer peer;
	char program[16];
	int fd;
	uint64_t accepted_ns;
	bool spoke; /* it has sent a request */
	bool registered;
	bool has_if;
	_Atomic bool asked;    /* the worker saw a request, or the end */
	struct nm_port *port;  /* NULL: none, or a null port */
	struct domain *domain; /* NULL: it has no memory */
	struct inspect_client ic;
	uint64_t if_ofs;
	uint32_t mode, n_extra;
	struct nm_offsets offsets;
	struct nmreq_register answer; /* to its REGISTER */
	bool exclusive;
	double since; /* wall clock */
};

/* Answer to a request. Descriptors are borrowed. */
struct nm_reply {
	struct attach_reply h;
	uint8_t body[ATTACH_BODY_MAX];
	struct nmreq_opt_offsets offsets;
	struct attach_ring rings[ATTACH_RINGS_MAX];
	int fds[2]; /* region and shadow */
	uint32_t n_fds;
};

struct endpoints;

/* NULL after a sentence in the log. */
struct endpoints *endpoints_new(struct daemon *d);
/* All clients are gone. */
struct endpoints *endpoints_free(struct endpoints *es);

/* By its credentials, and the bridge's list; vb NULL: is there anything that it may open? */
bool endpoint_may_open(const struct nm_client *c, const struct vbridge *vb);
/*
 * Executes a request of process `from`; its options get their statuses. c->peer and c->program are
 * set.
 */
void endpoint_request(struct nm_client *c, const struct domain_proc *from, struct attach_msg *m,
		      struct nm_reply *ret);
/* The descriptor is gone: its rings, its interface, perhaps the port. Does not close c->fd. */
void endpoint_release(struct nm_client *c);
/* The bridge goes: its clients keep their memory, and every sync of theirs fails. */
void endpoint_bridge_gone(struct daemon *d, struct vbridge *vb);

/* The worker stopped listening to some clients: they have a request, or are gone. */
void endpoints_set_request(struct endpoints *es, void (*fn)(struct nm_client *c));
/* The worker listens to the client again. */
void endpoint_listen(struct nm_client *c);

/* The netmap port of the bridge; NULL: nobody has it open. */
struct nm_port *endpoint_port_find(const struct endpoints *es, const struct vbridge *vb);
struct list *endpoints_ports(struct endpoints *es);   /* of struct nm_port */
struct list *endpoints_clients(struct endpoints *es); /* of struct nm_client */
