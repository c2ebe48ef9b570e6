/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the ports of one daemon share (driver.h announces it): BPF programs, the outbox, and the
 * memory of what was changed on devices, so that a daemon started after a crash puts it back.
 * Main thread, except for the members that say otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/redirect.h"
#include "port/helper.h"
#include "sys/bpf.h"
#include "sys/janitor.h"

struct redirect_bpf;

/* Program descriptors of bpf/redirect.bpf.c. */
struct env_progs {
	int small_only, large_only; /* socket filters */
	int steal;                  /* tc, ingress */
};

/* The helper device through which frames leave that a packet socket on the port itself refuses. */
struct env_outbox {
	struct helper tap;
	int fd; /* packet socket on it; any worker may send, each message marked with an ifindex */
	struct sys_bpf_attachment tc;
};

struct port_env {
	char *run_dir;
	struct redirect_bpf *bpf; /* NULL until the first packet port or trunk */
	struct env_progs progs;
	const struct redirect_counter *large; /* map of large frames' arrivals, read by workers */
	struct env_outbox outbox;
	bool uso;               /* this kernel's vnet headers know UDP segmentation (6.2) */
	int sock;               /* for ioctls, any thread */
	uint32_t n_packet;      /* packet ports and trunks open */
	struct janitor janitor; /* from the first clsact place to the end */
	pid_t pid;              /* of this daemon */
};

/* Loads the programs at the first call. 0 or -errno with a fragment. */
int port_env_load(struct port_env *e, const char **ret_why);
/* The same, and makes the outbox. 0 or -errno with a fragment. */
int port_env_prepare(struct port_env *e, const char **ret_why);

/*
 * A device that becomes a port: IPv6 off (the host has no business on it, its router solicitations
 * and MLD reports would go out between other people's frames), old values noted in run_dir first.
 */
struct env_claim {
	uint32_t ifindex; /* 0: nothing claimed */
	int disable_ipv6; /* old values; -1: not changed */
	int keep_addr;    /* keep_addr_on_down: static addresses survive */
	bool made_clsact;
};
/* 0 or -errno with a fragment; nothing is changed then. */
int env_claim(struct port_env *e, struct env_claim *c, const char *name, uint32_t ifindex,
	      const char **ret_why);
/* Notes that a clsact qdisc was made for it. */
void env_claim_clsact(struct port_env *e, struct env_claim *c);
/* Puts the device back and forgets it. Harmless when it is gone. */
void env_release(struct port_env *e, struct env_claim *c);

/*
 * Notes that a trunk has left filters of its own at a device (clsact: before kernel 6.6 they stay
 * when the daemon is killed), and starts a child that removes them within moments of our end.
 * made_clsact: the qdisc as well, when nobody else's filter is there.
 */
void env_note_place(struct port_env *e, uint32_t ifindex, bool egress, bool made_clsact);
void env_forget_place(struct port_env *e, uint32_t ifindex, bool egress);
