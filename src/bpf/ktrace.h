/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What ktrace.bpf.c tells the program that follows frames through a bridge of the kernel. */
#pragma once

/* Devices of the bridge, itself included. */
#define KTRACE_DEVS 2048u
/* So much of each frame is copied. */
#define KTRACE_DATA 192u
/* Of the ring; a power of two. */
#define KTRACE_RING (16u << 20)

enum ktrace_role { KTRACE_FOREIGN, KTRACE_MEMBER, KTRACE_BRIDGE };

enum ktrace_what {
	KTRACE_RECEIVE, /* a member received it; the bridge: it goes up to the host */
	KTRACE_QUEUE,   /* handed to a device's queue */
	KTRACE_START,   /* handed to a device's driver; the bridge: the host sends it */
	KTRACE_SENT,    /* the driver has returned; `reason` is what, and there are no bytes */
	KTRACE_DROP,    /* dropped at `location` for `reason` */
	KTRACE_CONSUME, /* freed, and that is no drop; only of frames that were seen before */
};

struct ktrace_event {
	unsigned long long time_ns;  /* CLOCK_MONOTONIC */
	unsigned long long skb;      /* the address: who it is until it is freed */
	unsigned long long head;     /* of its bytes, which clones share */
	unsigned long long location; /* an address of code, of drops */
	unsigned int what;           /* enum ktrace_what */
	unsigned int role;           /* enum ktrace_role of the device */
	unsigned int ifindex;
	unsigned int netns;  /* inode of the device's namespace */
	unsigned int reason; /* enum skb_drop_reason of the running kernel, or a result */
	unsigned int len;    /* from the Ethernet header, without the tag beside the frame */
	unsigned short caplen;
	unsigned short vlan_tpid; /* tag beside the frame, both in host order; 0 = none */
	unsigned short vlan_tci;
	unsigned short pad;
	unsigned char data[KTRACE_DATA];
};
