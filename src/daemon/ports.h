/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's ports: a device, its driver, the engine's port, and what happens when the device
 * changes. A port whose device vanished stays (NOTPRESENT) and takes the device back.
 *
 * Main thread.
 */
#pragma once

#include <jansson.h>

#include "daemon/bridges.h"
#include "sys/netlink.h"

#define ECHO_SIZE 8u

/*
 * A value of a device that we write and that the kernel then reports, some time later and maybe
 * after we have written the next one. What comes back is told from what an administrator changed.
 */
struct echo {
	uint64_t seen;               /* last reported */
	uint64_t written[ECHO_SIZE]; /* not reported yet, oldest first */
	uint32_t n;
};
void echo_init(struct echo *e, uint64_t value);
/* We are about to write it. */
void echo_write(struct echo *e, uint64_t value);
/* Reported by the kernel: true if somebody else wrote it. */
bool echo_foreign(struct echo *e, uint64_t value);
/* The value that the device has or is about to have. */
uint64_t echo_last(const struct echo *e);

struct vport {
	struct list node;
	struct vbridge *vb;
	struct worker_port wp; /* wp.bp is the engine's port; the worker's */
	struct port *port;     /* as wp.port, but the main thread's to read; NULL while away */
	char name[BPORT_NAME_SIZE];
	char want_driver[16]; /* as asked: "auto" */
	char *arg;            /* driver's own (pcap: the file), or NULL */
	const char *reason;   /* why auto chose the driver; static */
	char why[96];         /* why the device could not be opened again */
	uint32_t ifindex;     /* 0 while away or without a device */
	uint64_t mac;
	uint32_t mtu;
	struct echo mac_echo, mtu_echo; /* of the host's port */
	bool up;
	bool host;
	bool self;              /* of an adopted bridge or device: what its interface receives */
	bool tap;               /* we made the device */
	bool for_mirror;        /* a mirror made it, and takes it along */
	struct mirror_end *end; /* it goes to netmap programs; NULL: it does not */
	bool from_config;       /* the configuration file has a place for it */
	bool moved;             /* our TAP lives in another namespace now */
};

/* What port.add says. Strings are borrowed. */
struct port_request {
	const char *name;
	const char *driver; /* NULL: auto */
	const char *file;
	bool tap;               /* make a TAP of that name */
	bool host;              /* the bridge's own interface: bridges.c only */
	struct mirror_end *end; /* driver ring: mirror_end.c only; stays the caller's on failure */
	struct ring_sink *sink; /* likewise */
};

#define for_each_port(vp, vb)                                                                      \
	list_for_each (vp##_node, &(vb)->ports)                                                    \
		for (struct vport *vp = list_entry(vp##_node, struct vport, node); vp; vp = NULL)

/* Port by name in one bridge, or in all with vb NULL; hosts' ports are not found. */
struct vport *ports_find(struct daemon *d, struct vbridge *vb, const char *name);
/* ports_find() or CTL_E_PORT_NONE. */
int ports_need(struct daemon *d, struct vbridge *vb, const char *name, struct vport **ret,
	       struct ctl_error *err);
/* Would ports_add() refuse for reasons that can be known before? For the configuration. */
int ports_check(struct daemon *d, struct vbridge *vb, const struct port_request *req,
		struct netlink_link *ret_link, struct ctl_error *err);
/* The driver of a request: known, and usable for it? */
int ports_check_driver(const struct port_request *req, struct ctl_error *err);
/* 0 and *ret, or an error code with *err filled; nothing is left behind then. */
int ports_add(struct vbridge *vb, const struct port_request *req, struct vport **ret,
	      struct ctl_error *err);
/* A place of a trunk, for adopt.c: without a driver at first. */
struct place_request {
	const struct netlink_link *l;
	uint16_t no; /* which the engine's port gets */
	bool host, self;
	bool blocked; /* the kernel's bridge does not let it forward */
};
int ports_add_place(struct vbridge *vb, const struct place_request *req, struct vport **ret,
		    struct ctl_error *err);
/*
 * Frames go by this place of the trunk from now on, which becomes the vport's; and no more. In
 * between the port is known, but has no driver.
 */
void ports_plug_place(struct vport *vp, struct port *place);
void ports_unplug_place(struct vport *vp);
/* A port without a device gets or loses its link. */
void ports_set_up(struct vport *vp, bool up);
/* Its device is as l says now. */
void ports_follow_place(struct vport *vp, const struct netlink_link *l);
void ports_del(struct vport *vp);
/* Applies checked flags and values. */
void ports_set(struct vport *vp, const json_t *values);
/* All flags and values; new reference. */
json_t *ports_get(struct vport *vp);

/* A device is as l says now, or gone: everything that follows from it. */
void ports_follow_link(struct daemon *d, bool gone, const struct netlink_link *l);
/* At start: notes which devices are there, so that those that appear can be told from them. */
void ports_note_links(struct daemon *d);
/* Compares all ports with a snapshot: at start and after lost events. */
void ports_follow_all(struct daemon *d);

/* "UP", "DOWN", "NOTPRESENT" */
const char *ports_operstate(const struct vport *vp);
