/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of ports share: ports.c (a port's life), ports_follow.c (its device's). */
#pragma once

#include "daemon/ports.h"
#include "sys/netlink.h"

/* Can this device be a port? 0 or an error code. */
int vport_check_device(const struct netlink_link *l, struct ctl_error *err);
/* Opens the device by its driver. 0 or an error code. */
int vport_open_driver(struct vport *vp, struct ring_sink *sink, struct ctl_error *err);
/* Buffers that the port still has go home by the main thread's stock. */
void vport_close_driver(struct daemon *d, struct port *port);
bool vport_link_is_up(const struct vport *vp, const struct netlink_link *l);
/* What the device is like now: by a message, or by asking after it was opened. */
void vport_take_link(struct vport *vp, const struct netlink_link *l);
void vport_learn_link(struct vport *vp);
/* The device may have another name now. ports_follow.c */
void vport_follow_name(struct vport *vp, const struct netlink_link *l);

/* ---- in the worker ---- */

struct join_job {
	struct vport *vp;
	uint16_t no; /* of a place of a trunk */
	bool blocked;
	int r;
};

/* The device is away; it is there again (struct join_job); link or name have changed. */
void vport_unplug(void *arg);
void vport_plug(void *arg);
void vport_change_link(void *arg);
void vport_change_name(void *arg);
