/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtnetlink: which network devices there are in our namespace, what changes about them, and the few
 * changes that we make. Two sockets: one hears events, one asks and is answered, so that an answer
 * never waits behind events.
 *
 * Threads: one at a time per struct netlink; the daemon uses it in its main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct nlmsghdr;

#define NETLINK_NAME_SIZE  16
#define NETLINK_ALIAS_SIZE 64

/* One device as the kernel describes it (struct ifinfomsg and IFLA_*). */
struct netlink_link {
	uint32_t ifindex;
	char name[NETLINK_NAME_SIZE];
	char kind[NETLINK_NAME_SIZE];   /* "veth", "bridge", "tun"; empty for hardware */
	char alias[NETLINK_ALIAS_SIZE]; /* cut off if longer */
	uint16_t type;                  /* ARPHRD_* */
	uint32_t flags;                 /* IFF_* */
	uint32_t mtu;
	uint32_t master;      /* ifindex, 0 = none */
	uint8_t brport_state; /* of a member of a kernel bridge: BR_STATE_*; else 0 */
	bool brport;          /* it is one */
	bool brport_isolated, brport_locked;
	uint32_t carrier_changes; /* so far */
	uint32_t promiscuity;     /* users of promiscuous mode */
	uint64_t mac;             /* 0 unless it has six octets */
	uint32_t vlan_on;   /* of a VLAN device: the device below it, if that is in our namespace */
	uint16_t vlan_tpid; /* its tag: 0x8100 or 0x88a8, */
	uint16_t vlan_id;   /* and the VLAN */
	bool moved;         /* in an event of a vanished device: it went to another namespace */
};

struct netlink;

/* Present, or as it is now; or gone. */
typedef void netlink_fn(void *ctx, bool gone, const struct netlink_link *l);

/* 0 or -errno. */
int netlink_open(struct netlink **ret);
struct netlink *netlink_close(struct netlink *nl);
/* Readable when there are events. */
int netlink_fd(const struct netlink *nl);
/*
 * Hands over all events that wait, also those of kernel bridges about their members: each with the
 * whole device as it is now. Returns 0, -errno, or -ENOBUFS when the kernel dropped some: the
 * caller then takes a snapshot and compares.
 */
int netlink_events(struct netlink *nl, netlink_fn *fn, void *ctx);
/* A snapshot: fn for each device. 0 or -errno. */
int netlink_links(struct netlink *nl, netlink_fn *fn, void *ctx);
/* One device by name or number, with what is true now. 0, -ENODEV or another -errno. */
int netlink_get(struct netlink *nl, const char *name, struct netlink_link *ret);
int netlink_get_index(struct netlink *nl, uint32_t ifindex, struct netlink_link *ret);

/* Changes of one device; each 0 or -errno from the kernel. */
int netlink_set_mac(struct netlink *nl, uint32_t ifindex, uint64_t mac);
int netlink_set_mtu(struct netlink *nl, uint32_t ifindex, uint32_t mtu);
int netlink_set_alias(struct netlink *nl, uint32_t ifindex, const char *alias);
int netlink_del(struct netlink *nl, uint32_t ifindex);

/* Parses RTM_NEWLINK or RTM_DELLINK. False if it is neither, is cut short, or has no name. */
bool netlink_parse(const struct nlmsghdr *nlh, struct netlink_link *ret);
