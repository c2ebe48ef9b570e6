/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How frames are taken from what members receive, and from what a device receives that is no
 * bridge: `via tc`, or `via xdp` in front of it where the device can (port/take.h). Everything else
 * of an adopted bridge is the same. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct vbridge;
struct vport;

/* Its place was opened: makes it take by XDP, if that is wanted and can be. */
void adopt_via_open(struct vport *vp);
/* Before a place is closed, or all are (only NULL): what was taken by XDP goes on. */
void adopt_via_stop(struct vbridge *vb, struct vport *only);
/* From now on, where frames are taken already. */
void adopt_via_set(struct vbridge *vb, bool xdp);
/* The MTU of its device may have changed; vp has the old one. */
void adopt_via_follow(struct vport *vp, uint32_t mtu);
/* `exempt` was set; the trunk knows already. */
void adopt_via_exempt(struct vbridge *vb);
