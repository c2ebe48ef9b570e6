/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The receiving half of a trunk's place, by XDP: frames that the tc program of the place would take
 * into the trunk are taken before the kernel has made a packet of them, to AF_XDP sockets whose
 * memory is the region. What goes on still goes by the trunk. The XDP program (bpf/take.h) goes by
 * the trunk's state and passes whatever it is not sure of, so the tc program stays behind it.
 *
 * Native XDP only: where the kernel runs the program for each packet (generic XDP) it would meet
 * those again that go on. Implemented by the xdp driver's parts (port/xdp_take.c), for
 * port/trunk.c.
 *
 * Main thread, except for the port's rx, arm and update_stats.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "port/driver.h"

struct sock_filter; /* linux/filter.h */

struct take_config {
	const char *name; /* of the device */
	struct bufpool *pool;
	int state_fd;        /* map of one value: the trunk's variables */
	int vlans_fd;        /* map of the VLANs that stay in the kernel */
	uint32_t shared_ofs; /* in it: struct trunk_shared */
	uint32_t place_ofs;  /* and this place's struct trunk_place */
};

/*
 * Attaches to a device. *ret is a port with rx and arm, and no tx; port->bufs is to be set to the
 * worker's before rx. 0, or -errno with a fragment for people; nothing is left then.
 */
int take_open(const struct take_config *cfg, struct port **ret, const char **ret_why);
/* Nothing is taken any more; what was taken already still comes out of rx. */
void take_stop(struct port *p);
/*
 * The expression of exempt frames, n 0: none. Where it cannot be run the program leaves all frames
 * to the tc program while there is one: -errno with a fragment.
 */
int take_set_exempt(struct port *p, const struct sock_filter *prog, uint32_t n,
		    const char **ret_why);
/* Do frames of a device of this MTU fit the buffers? Longer ones would be overtaken by others. */
bool take_fits(struct bufpool *pool, uint32_t mtu);
/* Could it be opened, as far as can be told without? 0 or -errno with a fragment. */
int take_check(const char *name, struct bufpool *pool, const char **ret_why);
