/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What trunk.bpf.c and the trunk (port/trunk.c) agree on. */
#pragma once

/* Numbers of places are 1 to 1023. */
#define TRUNK_PLACES 1024u

/* The 802.1ad tag of a frame in the trunk: where it was taken. Number 0 is a bell: no frame. */
#define TRUNK_TAG_NO   0x3ffu
#define TRUNK_TAG_COPY 0x400u /* the frame itself went on */

/* The mark of a frame that is put back: the device, and this bit for its ingress. */
#define TRUNK_MARK_INGRESS 0x80000000u

/* Slots of the program array: what an expression excepts (sys/cbpf.h), and who takes the rest. */
#define TRUNK_SLOT_EXEMPT 0u
#define TRUNK_SLOT_TAKE   1u
#define TRUNK_SLOTS       2u

/* Key of a place in the map of numbers. */
#define TRUNK_KEY(ifindex, egress) ((ifindex) << 1 | (egress))

/* What is done at a place. */
enum trunk_do {
	TRUNK_DO_NOTHING_YET, /* as TRUNK_DO_PASS, or TRUNK_DO_DROP in a closed trunk */
	TRUNK_DO_PASS,
	TRUNK_DO_TAKE,
	TRUNK_DO_COPY,
	TRUNK_DO_DROP,
};

/* One place. The daemon writes what is to be done, the program counts. */
struct trunk_place {
	unsigned int what; /* enum trunk_do */
	unsigned int pad[15];
	unsigned long long taken;    /* into the trunk */
	unsigned long long copied;   /* a copy of each into the trunk */
	unsigned long long returned; /* back here after they were taken */
	unsigned long long hung;     /* passed because the worker hangs */
	unsigned long long exempt;   /* passed because of their VLAN */
	unsigned long long reserved; /* passed because of their address */
	unsigned long long dropped;  /* fail closed: TRUNK_DO_DROP, or the worker hangs */
	unsigned long long refused;  /* lost: the kernel had no memory for a tag */
	unsigned long long by_xdp;   /* taken by XDP: bpf/take.h; not in `taken` */
	unsigned long long pad_xdp[7];
};

/* The trunk as a whole. */
struct trunk_shared {
	/*
	 * CLOCK_MONOTONIC of the oldest frame in the trunk that the worker has not read yet, about:
	 * set by a place when it is 0, set to 0 or to the present by the worker.
	 */
	unsigned long long oldest_ns;
	unsigned long long pad[7];
	unsigned long long gated;   /* dropped at gates */
	unsigned long long bell_ns; /* when a place rang for the worker */
	unsigned long long hang_ns; /* a worker that reads nothing for so long hangs; 0 = never */
	unsigned int closed;        /* then frames are dropped, and where no plan is yet */
	unsigned int take_reserved; /* all but 00 and 01 */
	unsigned int exempt_expr;   /* an expression says what is exempt */
	unsigned int pad_expr;
};

/*
 * Key of a VLAN that has a device on top of this one; tpid in network order. A number and no
 * struct: kernel 6.1 does not let a program fill 8 bytes of its stack in pieces unless it has
 * CAP_PERFMON.
 */
#define TRUNK_VLAN_KEY(ifindex, tpid, vid)                                                         \
	((unsigned long long)(ifindex) << 32 | (unsigned int)(tpid) << 16 | (vid))
#define TRUNK_VLAN_DEV(key) ((unsigned int)((key) >> 32))
#define TRUNK_VLANS         65536u
