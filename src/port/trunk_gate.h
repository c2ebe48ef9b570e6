/* SPDX-License-Identifier: BSD-2-Clause */
/* The gates of closed trunks, as the kernel keeps them. For port/trunk.c. Main thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sys/bpf.h"

/*
 * Attaches the program, behind the place's (NULL: there is none on that side), and has the kernel
 * keep it, in place of one that is there. 0; 1 when nobody keeps it and *ret_why says why; -errno
 * with a fragment.
 */
int gate_attach(struct sys_bpf_attachment *a, int prog_fd, uint32_t ifindex, bool egress,
		const struct sys_bpf_attachment *front, const char **ret_why);
/* Takes away what is kept, whoever attached it; made_clsact: with the qdisc, if that is unused. */
/* Is there one? */
bool gate_left(uint32_t ifindex, bool egress);
void gate_remove(uint32_t ifindex, bool egress, bool made_clsact);
