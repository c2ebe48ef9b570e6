/* SPDX-License-Identifier: BSD-2-Clause */
/* libnetmap: what nmport.c and nmport_opt.c share. Not exported. */
#pragma once

#include "libnetmap.h"

/* Something to undo when a port is closed; its maker embeds it. Owned by the port's list. */
struct nmport_cleanup_d {
	struct nmport_cleanup_d *next;
	/* Has been taken off the list; frees c. */
	void (*undo)(struct nmport_cleanup_d *c, struct nmport_d *d);
};

/* Allocates size bytes, zeroed, with a cleanup at their start that is not on the list yet. */
void *port_alloc(struct nmport_d *d, size_t size);
void port_push_cleanup(struct nmport_d *d, struct nmport_cleanup_d *c,
		       void (*undo)(struct nmport_cleanup_d *, struct nmport_d *));

/* The options of port names; token is the struct nmport_d. Static. */
struct nmreq_opt_parser *port_options(void);
