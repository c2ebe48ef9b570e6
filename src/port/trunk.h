/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trunk: frames of devices that stay the kernel's, taken out and put back as if nothing had
 * happened. A tc program on a device redirects what it receives (or sends) into the trunk, a TAP of
 * ours, with the port's number as an outer 802.1ad tag beside the frame; a packet socket on that
 * TAP is where the worker reads. On the way back the socket mark names the port, and a tc program
 * at the TAP's egress flags the frame as seen (a random tc_index) and redirects it to where it was
 * taken: bpf_redirect() to the device's ingress, or its egress. Nobody writes to the TAP's file:
 * a filter drops what would be queued there. The TAP, the tcx links and all maps go with the
 * process, however it ends.
 *
 * One struct trunk for one adopted bridge or netdev. Main thread, except for the ports' rx, tx,
 * flush, arm and for trunk_plan(), which are the worker's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "port/driver.h"

/* Where frames are taken on a device, and where they go on. */
enum trunk_where {
	TRUNK_INGRESS, /* what it receives */
	TRUNK_EGRESS,  /* what is sent on it */
};

/* What is done with frames of one place. */
enum trunk_action {
	TRUNK_PASS, /* nothing: the kernel goes on */
	TRUNK_TAKE, /* into the trunk */
	TRUNK_COPY, /* a copy into the trunk, the frame goes on */
	TRUNK_DROP, /* fail closed, and nobody there */
};

struct sock_filter; /* linux/filter.h */
struct trunk;

struct trunk_config {
	const char *name; /* of the bridge or netdev, for people */
	struct port_env *env;
	struct bufcache *bufs; /* main thread's */
	uint32_t hang_ms;      /* a worker that reads nothing for so long hangs; 0 = never */
	bool closed; /* then, and at every place without a plan, frames are dropped; see gates */
};

/* 0 or -errno with a fragment for people; nothing is left behind then. */
int trunk_open(const struct trunk_config *cfg, struct trunk **ret, const char **ret_why);
/* All places are closed. Returns NULL; NULL is fine. */
struct trunk *trunk_close(struct trunk *t);

/*
 * The receiving end: a port without tx. rx() wants an empty batch, fills it with frames of one
 * place and sets batch->in_port to its number. A copy (TRUNK_COPY) has FRAME_COPY: it must not be
 * sent. After frames there may be more although the descriptor is not readable: arm() tells. Owned
 * by the trunk.
 */
struct port *trunk_port(struct trunk *t);
/* Can its device, which is up or not and has this MTU now, still do its work? */
bool trunk_fits(const struct trunk *t, bool up, uint32_t mtu);

/*
 * Attaches to a device. no: the place's number, 1 to 1023, unique in the trunk. *ret is a port
 * whose tx() puts frames back at that place (flagged as seen); no rx, fd -1, caps as the packet
 * driver's. Nothing is taken before trunk_plan(). 0 or -errno with a fragment.
 */
int trunk_place_open(struct trunk *t, uint32_t ifindex, enum trunk_where where, uint16_t no,
		     struct port **ret, const char **ret_why);
/* What was taken already may still come out of trunk_port(). */
void trunk_place_close(struct port *place);

/*
 * At an ingress: what is to be taken (TRUNK_TAKE) is taken by XDP, in front of the tc program,
 * which still has the rest: see port/take.h. trunk_xdp_use() is the worker's, while it does not
 * have the place among its ports: from then on (true) the place has rx() and a descriptor.
 * trunk_xdp_stop() ends taking, trunk_xdp_close() all of it, when it is not in use any more. 0 or
 * -errno with a fragment.
 */
int trunk_xdp_open(struct port *place, struct bufpool *pool, const char **ret_why);
void trunk_xdp_use(struct port *place, bool on);
void trunk_xdp_stop(struct port *place);
void trunk_xdp_close(struct port *place);
/* As trunk_set_exempt(), which comes first, for the XDP program of a place. */
int trunk_xdp_set_exempt(struct port *place, const struct sock_filter *prog, uint32_t n,
			 const char **ret_why);
/* How it runs ("native", "zero-copy"), NULL: not by XDP. Main thread. */
const char *trunk_xdp_mode(const struct port *place);
/* Why trunk_xdp_open() failed, "": it did not. Main thread. */
const char *trunk_xdp_why(const struct port *place);

/*
 * The gate of a closed trunk. Netlink tells of a new member after it has begun to forward, and a
 * daemon can die: so on the way out of the bridge (egress of its members, ingress of br0) only
 * frames pass that a place of this trunk let pass: by its plan, or put back. Reserved addresses and
 * exempt VLANs of the device pass, too. The kernel keeps the gate when the daemon or the trunk is
 * gone, and then nothing passes, until trunk_gate_close(), or trunk_gate_open() of the next one in
 * its place.
 *
 * 0; TRUNK_E_UNPINNED when it works, but goes with the trunk, and *ret_why says why; -errno with a
 * fragment. Main thread.
 */
#define TRUNK_E_UNPINNED 1
int trunk_gate_open(struct trunk *t, uint32_t ifindex, enum trunk_where where,
		    const char **ret_why);
/* Takes a gate away, also one of a trunk that is gone; t may be NULL then. */
void trunk_gate_close(struct trunk *t, uint32_t ifindex, enum trunk_where where);
/* Is there a gate, perhaps of a trunk that is gone? */
bool trunk_gate_left(uint32_t ifindex, enum trunk_where where);
/* Frames that this trunk's gates dropped. Any thread. */
uint64_t trunk_gate_drops(const struct trunk *t);

/* What is done with frames of a place from now on. Any thread; takes effect at once. */
void trunk_plan(struct port *place, enum trunk_action a);

/* What happened at a place, as the program there counts. */
struct trunk_counts {
	uint64_t taken;    /* into the trunk */
	uint64_t by_xdp;   /* taken before they could be taken into the trunk */
	uint64_t copied;   /* into the trunk, and gone on */
	uint64_t returned; /* put back, and seen again on their way */
	uint64_t hung;     /* gone on, or not copied, because the worker hangs */
	uint64_t exempt;   /* gone on because of their VLAN */
	uint64_t reserved; /* gone on because of their address */
	uint64_t dropped;  /* fail closed: no plan, TRUNK_DROP, or the worker hangs */
};
/* Any thread. */
void trunk_place_counts(const struct port *place, struct trunk_counts *ret);

/* Changes what trunk_config said. Gates come after closed = true, and go before it is false. */
void trunk_set_fail(struct trunk *t, bool closed, uint32_t hang_ms);
/*
 * Frames that this classic BPF program matches never leave the kernel, whatever the plan; n 0: none
 * do. Frames with a tag beside them are always taken, for user space to decide: sys/cbpf.h. 0 or
 * -errno with a fragment, and the former program stays. Main thread.
 */
int trunk_set_exempt(struct trunk *t, const struct sock_filter *prog, uint32_t n,
		     const char **ret_why);
/* Reserved addresses 01:80:C2:00:00:0X (other than 00 and 01, which never are) taken as well? */
void trunk_set_reserved(struct trunk *t, bool take);
/*
 * A VLAN device on top of the place's device (tpid 0x8100 or 0x88a8): frames of its VLAN never
 * leave the kernel there, nor does a gate on the device stop them; or they do again. True: that is
 * new. False: it was so, or cannot be: the map is full. Main thread.
 */
bool trunk_place_exempt_vlan(struct port *place, uint16_t tpid, uint16_t vid, bool exempt);
