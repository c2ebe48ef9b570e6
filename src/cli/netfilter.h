/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What netfilter does with the frames of a kernel bridge: does br_netfilter hand them to iptables,
 * and which chain drops them there? Reads sysctls, the bridge over rtnetlink, and the rules through
 * whichever of iptables-save, ip6tables-save, arptables-save and nft there are; changes nothing, in
 * the network namespace of the caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/ruleset.h"

enum netfilter_family {
	NETFILTER_IPV4, /* what br_netfilter hands over, as the next two */
	NETFILTER_IPV6,
	NETFILTER_ARP,
	NETFILTER_BRIDGE, /* nft's tables for bridges, ebtables: without br_netfilter */
	NETFILTER_DEVICE, /* nft's tables for one device: ingress and egress */
	NETFILTER_FAMILY_N
};

#define NETFILTER_HANDED_N (NETFILTER_ARP + 1)

/* A place that drops frames of the bridge. */
struct netfilter_drop {
	enum netfilter_family family;
	enum ruleset_how how; /* all of them, those that no rule before may have accepted, some */
	enum ruleset_hook hook;
	unsigned int n_before; /* rules that may accept before */
	unsigned int handle;   /* nft's number of the rule, or 0 */
	char command[24];      /* whose table it is: "iptables", "nft" */
	char table[80];        /* "filter"; of nft "inet filter" */
	char chain[64];        /* where the rule stands, or whose policy it is */
	char base[64];         /* the chain that the hook calls */
	char devices[128];     /* NETFILTER_DEVICE: "p1,p2" */
	char rule[256];        /* the rule as its tool prints it; empty: the policy */
};

struct netfilter {
	bool loaded; /* br_netfilter is there */
	struct {
		bool by_sysctl; /* netfilter_sysctl() is 1 */
		bool by_bridge; /* nf_call_iptables and so on of this bridge is 1 */
	} handed[NETFILTER_HANDED_N];
	bool tagged; /* frames with a VLAN tag are handed over, too: bridge-nf-filter-vlan-tagged */
	struct netfilter_drop *drops;
	size_t n_drops;
	char unread[256]; /* what could not be read and why, a sentence; empty: all was read */
};

/* Looks. Always fills *ret, which netfilter_deinit() frees. bridge: its name. */
void netfilter_look(const char *bridge, struct netfilter *ret);
/*
 * The same for one bridge after the other: what the tools have listed is kept in listings, an
 * object of the caller's, empty at first.
 */
void netfilter_look_again(const char *bridge, json_t *listings, struct netfilter *ret);
void netfilter_deinit(struct netfilter *nf);

/* Does br_netfilter hand frames of this family over? */
bool netfilter_handed(const struct netfilter *nf, enum netfilter_family family);
/* "IPv4 frames"; "frames" of those that are not about a protocol. */
const char *netfilter_frames(enum netfilter_family family);
/* "net.bridge.bridge-nf-call-iptables"; one of the first three. */
const char *netfilter_sysctl(enum netfilter_family family);
/* Is a device one that the drop is about? */
bool netfilter_on_device(const struct netfilter_drop *drop, const char *device);

/* "chain FORWARD of table filter (iptables): policy DROP". Returns buf. */
const char *netfilter_text(const struct netfilter_drop *drop, char *buf, size_t size);
/*
 * The commands that cure it: no longer handing over (empty if it is not about that), and a rule or
 * policy that lets bridged frames pass. prefix goes before each command ("ip netns exec NAME ").
 * Return buf.
 */
const char *netfilter_cure_sysctl(const struct netfilter *nf, const struct netfilter_drop *drop,
				  const char *bridge, const char *prefix, char *buf, size_t size);
const char *netfilter_cure_rule(const struct netfilter_drop *drop, const char *bridge,
				const char *prefix, char *buf, size_t size);
