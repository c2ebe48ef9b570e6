/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XDP program of one device: loaded, attached by bpf_link (it goes when the daemon goes), its
 * map of sockets. Main thread, but for the counters.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "port/xdp_dev.h"
#include "sys/bpf.h"

struct take_bpf;
struct take_config;
struct take_tag_bpf;
struct xsk_bpf;
struct xsk_tag_bpf;

/* All zero: nothing attached. */
struct xdp_prog {
	/* one of these, or those for a place of a trunk */
	struct xsk_bpf *plain;
	struct xsk_tag_bpf *tag; /* puts VLAN tags back */
	struct take_bpf *take;   /* with tags: only what its slots call */
	struct take_tag_bpf *take_tag;
	/* of whichever it is */
	int fd, xsks;                    /* the program that is attached, its map of sockets */
	const uint64_t *restored, *lost; /* its counters, or NULL */
	struct sys_bpf_attachment link;
	bool native; /* runs in the driver; else generic */
};

/*
 * Loads the program that suits the device and attaches it, natively if possible. frags: frames in
 * several pieces are taken too. take: only what a place of a trunk takes (port/take.h), and
 * natively; NULL: all. 0 or -errno with a sentence fragment; nothing is left.
 */
int xdp_prog_attach(struct xdp_prog *p, const struct xdp_dev *dev, bool frags,
		    const struct take_config *take, const char **ret_why);
/* Frames of queue go to this socket from now on. 0 or -errno. */
int xdp_prog_set_socket(struct xdp_prog *p, uint32_t queue, int fd);
/* Tags put back and frames lost because that failed, since attach. Any thread. */
void xdp_prog_counters(const struct xdp_prog *p, uint64_t *ret_restored, uint64_t *ret_lost);
void xdp_prog_detach(struct xdp_prog *p);

/* What a place needs (xdp_take.c): loads into p->take and p->take_tag; 0 or -errno as libbpf. */
int xdp_take_load(struct xdp_prog *p, const struct xdp_dev *dev, const struct take_config *take);
void xdp_take_unload(struct xdp_prog *p);
