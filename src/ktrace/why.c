/* SPDX-License-Identifier: BSD-2-Clause */
#include "ktrace/why.h"

#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"

#define VLAN_TAG_LEN 4

#define ISOLATED                                                                                   \
	"the port of its destination does not send it: it is isolated, not forwarding, not in "    \
	"its VLAN, or where it came from"
#define NOWHERE "no port may send it"

/* %s is the device. The first row that fits counts; reasons say more than functions. */
static const struct {
	const char *reason;   /* NULL = any */
	const char *function; /* NULL = any */
	const char *text;
} rows[] = {
	{"NETFILTER_DROP", NULL, "a rule or policy of netfilter (iptables, nftables) dropped it"},
	{"BRIDGE_INGRESS_STP_STATE", NULL, "port %s does not forward"},
	{"MAC_INVALID_SOURCE", NULL, "its source address is none that a station can have"},
	{"LOCAL_MAC", NULL, "its source address is one of the bridge itself"},
	{"NO_TX_TARGET", "br_forward", ISOLATED},
	{"NO_TX_TARGET", "__br_forward", ISOLATED},
	{"NO_TX_TARGET", NULL, NOWHERE},
	{"PKT_TOO_BIG", NULL, "it is longer than the MTU of %s"},
	{"TC_INGRESS", NULL, "a tc filter or program at the ingress of %s dropped it"},
	{"TC_EGRESS", NULL, "a tc filter or program at the egress of %s dropped it"},
	{"XDP", NULL, "an XDP program on %s dropped it"},
	{"QDISC_DROP", NULL, "the queueing discipline of %s dropped it"},
	{"QDISC_OVERLIMIT", NULL, "the queue of %s is full"},
	{"QDISC_CONGESTED", NULL, "the queue of %s is full"},
	{"CPU_BACKLOG", NULL, "the processor's backlog is full"},
	{"FULL_RING", NULL, "the ring of %s is full"},
	{"DEV_READY", NULL, "%s is not up"},
	{"NOMEM", NULL, "the kernel had no memory"},
	{"UNHANDLED_PROTO", NULL, "the host knows nobody for its EtherType"},
	{"OTHERHOST", NULL, "it is for another station's address"},
	{"NO_SOCKET", NULL, "no program of the host listens there"},
	{"SOCKET_RCVBUFF", NULL, "the program that it is for does not read fast enough"},
	{NULL, "br_handle_frame", "port %s does not forward, or its source address is none"},
	{NULL, "br_handle_frame_finish",
	 "port %s does not forward or is locked, or the port of its destination does not send it"},
	{NULL, "br_allowed_ingress", "its VLAN may not come in on %s"},
	{NULL, "__allowed_ingress", "its VLAN may not come in on %s"},
	{NULL, "br_handle_vlan", "its VLAN may not go out"},
	{NULL, "br_forward", ISOLATED},
	{NULL, "__br_forward", ISOLATED},
	{NULL, "br_flood", NOWHERE},
	{NULL, "br_multicast_flood", NOWHERE},
	{NULL, "br_dev_queue_push_xmit", "it is longer than the MTU of %s, or %s is down"},
	{NULL, "br_nf_dev_queue_xmit", "it is longer than the MTU of %s, or %s is down"},
	{NULL, "nf_hook_slow", "a rule or policy of netfilter (iptables, nftables) dropped it"},
};

/* Is it this function? The compiler makes parts of one, "br_flood.part.0". */
static bool is_function(const char *function, const char *name)
{
	const size_t len = strlen(name);

	return strncmp(function, name, len) == 0 && (!function[len] || function[len] == '.');
}

static void fill_in(const char *text, const char *ifname, char *buf, size_t size)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++) {
		if (text[0] == '%' && text[1] == 's') {
			n += (size_t)snprintf(buf + n, size - n, "%s", ifname);
			n = min_of(n, size - 1);
			text++;
		} else {
			buf[n++] = *text;
		}
	}
	buf[n] = '\0';
}

static bool is_one_of(const char *function, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_function(function, names[i]))
			return true;
	return false;
}

static const char *state_name(uint8_t state)
{
	static const char *const names[] = {"disabled", "listening", "learning", "forwarding",
					    "blocking"};

	return state < array_size(names) ? names[state] : "unknown";
}

/* What the bridge decides by its ports. */
static bool port_text(const char *reason, const char *function, const struct why_device *d,
		      char *buf, size_t size)
{
	static const char *const functions[] = {"br_handle_frame", "br_handle_frame_finish",
						"br_forward",      "__br_forward",
						"br_flood",        "br_multicast_flood"};

	if (!d->member ||
	    (strcmp(reason, "BRIDGE_INGRESS_STP_STATE") && strcmp(reason, "NO_TX_TARGET") &&
	     !is_one_of(function, functions, array_size(functions))))
		return false;
	if (d->state != BR_STATE_FORWARDING)
		snprintf(buf, size, "port %s does not forward: its state is %s", d->name,
			 state_name(d->state));
	else if (d->isolated)
		snprintf(buf, size, "port %s is isolated, and so are those that would send it",
			 d->name);
	else if (d->locked)
		snprintf(buf, size, "port %s is locked, and has no entry for its source address",
			 d->name);
	else
		return false;
	return true;
}

/* The one thing besides a device that is down that these functions drop for. */
static bool length_text(const char *function, const struct why_device *d, uint32_t len, char *buf,
			size_t size)
{
	static const char *const functions[] = {"br_dev_queue_push_xmit", "br_nf_dev_queue_xmit"};

	/* A VLAN tag may come on top. */
	if (!d->member || !d->mtu || len <= d->mtu + ETH_HLEN + VLAN_TAG_LEN ||
	    !is_one_of(function, functions, array_size(functions)))
		return false;
	snprintf(buf, size, "its %u bytes behind the header are more than the MTU of %s, %u",
		 len - ETH_HLEN, d->name, d->mtu);
	return true;
}

const char *why_text(const char *reason, const char *function, const struct why_device *d,
		     uint32_t len, char *buf, size_t size)
{
	buf[0] = '\0';
	if (port_text(reason, function, d, buf, size) || length_text(function, d, len, buf, size))
		return buf;
	for (size_t i = 0; i < array_size(rows); i++) {
		if (rows[i].reason && strcmp(rows[i].reason, reason))
			continue;
		if (rows[i].function && !is_function(function, rows[i].function))
			continue;
		fill_in(rows[i].text, d->name, buf, size);
		break;
	}
	return buf;
}

bool why_is_listener(const char *function)
{
	static const char *const beginnings[] = {"packet_", "tpacket_", "skb_queue_purge",
						 "inet_sock_destruct"};

	for (size_t i = 0; i < array_size(beginnings); i++)
		if (strncmp(function, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

bool why_is_bpdu(const char *function)
{
	return is_function(function, "br_stp_rcv") || is_function(function, "stp_pdu_rcv");
}
