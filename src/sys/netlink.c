/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "base/err.h"
#include "base/mac.h"

#define EVENT_RCVBUF (8 << 20) /* 256 devices that change at once must not overrun it */
#define BUF_SIZE     65536

struct netlink {
	struct mnl_socket *events, *request;
	uint32_t seq;
	char buf[BUF_SIZE];       /* of the request socket */
	char event_buf[BUF_SIZE]; /* of the event socket: a callback may ask in between */
};

/* ---- parsing ---- */

static void copy_name(char *to, size_t size, const struct nlattr *a)
{
	size_t len = strnlen(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));

	if (len >= size)
		len = size - 1;
	memcpy(to, mnl_attr_get_payload(a), len);
	to[len] = '\0';
}

static uint32_t attr_u32(const struct nlattr *a)
{
	uint32_t v = 0;

	if (mnl_attr_get_payload_len(a) >= sizeof(v))
		memcpy(&v, mnl_attr_get_payload(a), sizeof(v));
	return v;
}

/* What a bridge of the kernel says about its member. */
static void parse_brport(const struct nlattr *nest, struct netlink_link *l)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest)
	{
		if (mnl_attr_get_payload_len(a) < 1)
			continue;
		if (mnl_attr_get_type(a) == IFLA_BRPORT_STATE)
			l->brport_state = mnl_attr_get_u8(a);
		else if (mnl_attr_get_type(a) == IFLA_BRPORT_ISOLATED)
			l->brport_isolated = mnl_attr_get_u8(a) != 0;
		else if (mnl_attr_get_type(a) == IFLA_BRPORT_LOCKED)
			l->brport_locked = mnl_attr_get_u8(a) != 0;
	}
}

static void parse_vlan(const struct nlattr *nest, struct netlink_link *l)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest)
	{
		if (mnl_attr_get_payload_len(a) < sizeof(uint16_t))
			continue;
		if (mnl_attr_get_type(a) == IFLA_VLAN_ID)
			l->vlan_id = mnl_attr_get_u16(a);
		else if (mnl_attr_get_type(a) == IFLA_VLAN_PROTOCOL)
			l->vlan_tpid = ntohs(mnl_attr_get_u16(a));
	}
}

static void parse_info(const struct nlattr *nest, struct netlink_link *l)
{
	char slave_kind[NETLINK_NAME_SIZE] = "";
	const struct nlattr *a, *slave = NULL, *data = NULL;

	mnl_attr_for_each_nested(a, nest)
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_INFO_KIND:
			copy_name(l->kind, sizeof(l->kind), a);
			break;
		case IFLA_INFO_DATA:
			data = a;
			break;
		case IFLA_INFO_SLAVE_KIND:
			copy_name(slave_kind, sizeof(slave_kind), a);
			break;
		case IFLA_INFO_SLAVE_DATA:
			slave = a;
			break;
		}
	}
	l->brport = !strcmp(slave_kind, "bridge");
	if (l->brport && slave)
		parse_brport(slave, l);
	if (!strcmp(l->kind, "vlan") && data)
		parse_vlan(data, l);
}

static void parse_attr(const struct nlattr *a, struct netlink_link *l)
{
	switch (mnl_attr_get_type(a)) {
	case IFLA_LINK:
		l->vlan_on = attr_u32(a);
		break;
	case IFLA_IFNAME:
		copy_name(l->name, sizeof(l->name), a);
		break;
	case IFLA_IFALIAS:
		copy_name(l->alias, sizeof(l->alias), a);
		break;
	case IFLA_MTU:
		l->mtu = attr_u32(a);
		break;
	case IFLA_MASTER:
		l->master = attr_u32(a);
		break;
	case IFLA_CARRIER_CHANGES:
		l->carrier_changes = attr_u32(a);
		break;
	case IFLA_PROMISCUITY:
		l->promiscuity = attr_u32(a);
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(a) == 6)
			l->mac = mac_load(mnl_attr_get_payload(a));
		break;
	case IFLA_LINKINFO:
		parse_info(a, l);
		break;
	case IFLA_NEW_NETNSID:
	case IFLA_NEW_IFINDEX:
		l->moved = true;
		break;
	}
}

static bool has_attr(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, nlh,
			  sizeof(struct ifinfomsg)) if (mnl_attr_get_type(a) == type) return true;
	return false;
}

bool netlink_parse(const struct nlmsghdr *nlh, struct netlink_link *ret)
{
	const struct ifinfomsg *ifi;
	const struct nlattr *a;

	if (nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK)
		return false;
	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*ifi)))
		return false;
	ifi = mnl_nlmsg_get_payload(nlh);
	/* The kernel's bridge tells about its ports in the same messages, with its own family. */
	if (ifi->ifi_family != AF_UNSPEC || ifi->ifi_index <= 0)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->ifindex = (uint32_t)ifi->ifi_index;
	ret->type = ifi->ifi_type;
	ret->flags = ifi->ifi_flags;
	mnl_attr_for_each(a, nlh, sizeof(*ifi)) parse_attr(a, ret);
	/* Others have a link, too: the peer of a veth. And numbers are those of a namespace. */
	if (!ret->vlan_tpid || has_attr(nlh, IFLA_LINK_NETNSID))
		ret->vlan_on = 0;
	return ret->name[0] != '\0';
}

/* ---- sockets ---- */

static struct mnl_socket *socket_open(unsigned int groups)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (s && mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID)) {
		mnl_socket_close(s);
		return NULL;
	}
	return s;
}

int netlink_open(struct netlink **ret)
{
	struct netlink *nl = calloc(1, sizeof(*nl));
	int size = EVENT_RCVBUF, fd, r;

	if (!nl)
		return error_origin(-ENOMEM);
	nl->events = socket_open(RTMGRP_LINK);
	nl->request = socket_open(0);
	if (!nl->events || !nl->request) {
		r = -errno;
		netlink_close(nl);
		return error_origin(r);
	}
	fd = mnl_socket_get_fd(nl->events);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	*ret = nl;
	return 0;
}

struct netlink *netlink_close(struct netlink *nl)
{
	if (!nl)
		return NULL;
	if (nl->events)
		mnl_socket_close(nl->events);
	if (nl->request)
		mnl_socket_close(nl->request);
	free(nl);
	return NULL;
}

int netlink_fd(const struct netlink *nl)
{
	return mnl_socket_get_fd(nl->events);
}

struct receiver {
	netlink_fn *fn;
	void *ctx;
	struct netlink *nl; /* of events only */
};

/* The device that a kernel bridge's message about a member means; 0: it is no such message. */
static uint32_t member_of_message(const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	if ((nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK) ||
	    nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*ifi)) || ifi->ifi_family != AF_BRIDGE ||
	    ifi->ifi_index <= 0)
		return 0;
	return (uint32_t)ifi->ifi_index;
}

static int on_message(const struct nlmsghdr *nlh, void *data)
{
	const struct receiver *r = data;
	struct netlink_link l;
	uint32_t member;

	if (netlink_parse(nlh, &l)) {
		r->fn(r->ctx, nlh->nlmsg_type == RTM_DELLINK, &l);
		return MNL_CB_OK;
	}
	member = r->nl ? member_of_message(nlh) : 0;
	if (member && netlink_get_index(r->nl, member, &l) == 0)
		r->fn(r->ctx, false, &l);
	return MNL_CB_OK;
}

int netlink_events(struct netlink *nl, netlink_fn *fn, void *ctx)
{
	struct receiver rcv = {fn, ctx, nl};
	int fd = mnl_socket_get_fd(nl->events);

	for (;;) {
		ssize_t n = recv(fd, nl->event_buf, sizeof(nl->event_buf), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return -errno;
		mnl_cb_run(nl->event_buf, (size_t)n, 0, 0, on_message, &rcv);
	}
}

/* Sends nlh and handles all of the answer. 0 or -errno, the kernel's own error included. */
static int talk(struct netlink *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *data)
{
	unsigned int port = mnl_socket_get_portid(nl->request);
	uint32_t seq = ++nl->seq;
	int r;

	nlh->nlmsg_seq = seq;
	if (mnl_socket_sendto(nl->request, nlh, nlh->nlmsg_len) < 0)
		return error_origin(-errno);
	do {
		ssize_t n = mnl_socket_recvfrom(nl->request, nl->buf, sizeof(nl->buf));

		if (n < 0 && errno == EINTR) {
			r = MNL_CB_OK;
			continue;
		}
		if (n < 0)
			return error_origin(-errno);
		r = mnl_cb_run(nl->buf, (size_t)n, seq, port, cb, data);
		/* An answer to an older request that failed half-way: not ours. */
		if (r == MNL_CB_ERROR && errno == ESRCH && cb)
			return -errno;
	} while (r == MNL_CB_OK);
	return r == MNL_CB_ERROR ? -errno : 0;
}

static struct nlmsghdr *link_request(void *buf, uint16_t type, uint16_t flags, uint32_t ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = (int)ifindex;
	return nlh;
}

int netlink_links(struct netlink *nl, netlink_fn *fn, void *ctx)
{
	struct receiver rcv = {fn, ctx, NULL};
	char buf[512];

	return talk(nl, link_request(buf, RTM_GETLINK, NLM_F_DUMP, 0), on_message, &rcv);
}

static void take_link(void *ctx, bool gone, const struct netlink_link *l)
{
	*(struct netlink_link *)ctx = *l;
}

static int get(struct netlink *nl, struct nlmsghdr *nlh, struct netlink_link *ret)
{
	struct netlink_link l = {0};
	struct receiver rcv = {take_link, &l, NULL};
	int r = talk(nl, nlh, on_message, &rcv);

	if (r)
		return r;
	if (!l.ifindex)
		return -ENODEV;
	*ret = l;
	return 0;
}

int netlink_get(struct netlink *nl, const char *name, struct netlink_link *ret)
{
	char buf[512];
	struct nlmsghdr *nlh = link_request(buf, RTM_GETLINK, NLM_F_ACK, 0);

	if (strlen(name) >= NETLINK_NAME_SIZE)
		return -ENODEV;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return get(nl, nlh, ret);
}

int netlink_get_index(struct netlink *nl, uint32_t ifindex, struct netlink_link *ret)
{
	char buf[512];

	return get(nl, link_request(buf, RTM_GETLINK, NLM_F_ACK, ifindex), ret);
}

int netlink_set_mac(struct netlink *nl, uint32_t ifindex, uint64_t mac)
{
	char buf[512];
	struct nlmsghdr *nlh = link_request(buf, RTM_NEWLINK, NLM_F_ACK, ifindex);
	uint8_t octets[6];

	mac_store(octets, mac);
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(octets), octets);
	return talk(nl, nlh, NULL, NULL);
}

int netlink_set_mtu(struct netlink *nl, uint32_t ifindex, uint32_t mtu)
{
	char buf[512];
	struct nlmsghdr *nlh = link_request(buf, RTM_NEWLINK, NLM_F_ACK, ifindex);

	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	return talk(nl, nlh, NULL, NULL);
}

int netlink_set_alias(struct netlink *nl, uint32_t ifindex, const char *alias)
{
	char buf[512];
	struct nlmsghdr *nlh = link_request(buf, RTM_NEWLINK, NLM_F_ACK, ifindex);

	if (strlen(alias) >= NETLINK_ALIAS_SIZE)
		return error_origin(-ENAMETOOLONG);
	mnl_attr_put(nlh, IFLA_IFALIAS, strlen(alias), alias);
	return talk(nl, nlh, NULL, NULL);
}

int netlink_del(struct netlink *nl, uint32_t ifindex)
{
	char buf[512];

	return talk(nl, link_request(buf, RTM_DELLINK, NLM_F_ACK, ifindex), NULL, NULL);
}
