/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/neigh.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mac.h"

#define RCVBUF (4 << 20) /* what comes while nobody reads */

struct neigh {
	struct mnl_socket *nl;
	json_t *last;  /* {"BRIDGE MAC VLAN": ifindex of the port} */
	json_t *moves; /* {"BRIDGE": number} */
};

struct neigh *neigh_open(void)
{
	struct neigh *n = calloc(1, sizeof(*n));
	const int size = RCVBUF;

	if (!n)
		return NULL;
	n->nl = mnl_socket_open(NETLINK_ROUTE);
	if (!n->nl || mnl_socket_bind(n->nl, RTMGRP_NEIGH, MNL_SOCKET_AUTOPID) < 0 ||
	    fcntl(mnl_socket_get_fd(n->nl), F_SETFL, O_NONBLOCK) < 0) {
		json_decref(neigh_close(n));
		return NULL;
	}
	setsockopt(mnl_socket_get_fd(n->nl), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	n->last = json_object();
	n->moves = json_object();
	return n;
}

struct entry {
	const uint8_t *mac;
	uint32_t bridge;
	uint16_t vlan;
};

static int take_attr(const struct nlattr *a, void *ctx)
{
	struct entry *e = ctx;

	if (mnl_attr_get_type(a) == NDA_LLADDR && mnl_attr_get_payload_len(a) == 6)
		e->mac = mnl_attr_get_payload(a);
	else if (mnl_attr_get_type(a) == NDA_MASTER)
		e->bridge = mnl_attr_get_u32(a);
	else if (mnl_attr_get_type(a) == NDA_VLAN)
		e->vlan = mnl_attr_get_u16(a);
	return MNL_CB_OK;
}

static int take_entry(const struct nlmsghdr *h, void *ctx)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	struct neigh *n = ctx;
	struct entry e = {NULL, 0, 0};
	char key[64], bridge[16];
	json_int_t before;

	if (h->nlmsg_type != RTM_NEWNEIGH || nd->ndm_family != AF_BRIDGE)
		return MNL_CB_OK;
	mnl_attr_parse(h, sizeof(*nd), take_attr, &e);
	if (!e.mac || !e.bridge)
		return MNL_CB_OK;
	snprintf(bridge, sizeof(bridge), "%u", e.bridge);
	snprintf(key, sizeof(key), "%u %llx %u", e.bridge, (unsigned long long)mac_load(e.mac),
		 e.vlan);
	before = json_integer_value(json_object_get(n->last, key));
	if (before && before != nd->ndm_ifindex)
		json_object_set_new(
			n->moves, bridge,
			json_integer(json_integer_value(json_object_get(n->moves, bridge)) + 1));
	json_object_set_new(n->last, key, json_integer(nd->ndm_ifindex));
	return MNL_CB_OK;
}

json_t *neigh_close(struct neigh *n)
{
	char buf[32768];
	json_t *moves;
	ssize_t got;

	if (!n)
		return json_object();
	/* More than the socket holds has been lost (ENOBUFS): enough moves are left to tell. */
	while (n->moves &&
	       ((got = mnl_socket_recvfrom(n->nl, buf, sizeof(buf))) > 0 || errno == ENOBUFS)) {
		if (got > 0)
			mnl_cb_run(buf, (size_t)got, 0, 0, take_entry, n);
	}
	moves = n->moves ? n->moves : json_object();
	json_decref(n->last);
	if (n->nl)
		mnl_socket_close(n->nl);
	free(n);
	return moves;
}
