/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which driver suits a device. Virtual devices carry bulk TCP in 64 KB GSO frames, which only vnet
 * headers pass whole (packet). A NIC gets AF_XDP when its driver runs XDP natively and no VLAN tag
 * would be lost on the way. The kernel is asked by rtnetlink (kind) and, from 6.3 on, by the
 * netdev family of generic netlink (XDP features).
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/compiler.h"
#include "port/driver.h"
#include "port/xdp_dev.h"

/* include/uapi/linux/netdev.h, kernel 6.3 and (metadata) 6.8. */
#define NETDEV_CMD_DEV_GET        1
#define NETDEV_A_DEV_IFINDEX      1
#define NETDEV_A_DEV_XDP_FEATURES 3
#define NETDEV_A_DEV_RX_METADATA  5
#define NETDEV_XDP_NEEDED         (1u | 2u) /* in the driver, with redirect */
#define NETDEV_RX_METADATA_VLAN   4u

/* What the kernel says of one device. */
struct facts {
	char kind[16]; /* rtnetlink's word for virtual devices; empty for NICs */
	uint64_t xdp_features, rx_metadata;
};

static int read_info(const struct nlattr *a, void *data)
{
	struct facts *f = data;

	if (mnl_attr_get_type(a) == IFLA_INFO_KIND && mnl_attr_validate(a, MNL_TYPE_STRING) == 0)
		strncpy(f->kind, mnl_attr_get_str(a), sizeof(f->kind) - 1);
	return MNL_CB_OK;
}

static int read_link_attr(const struct nlattr *a, void *data)
{
	if (mnl_attr_get_type(a) == IFLA_LINKINFO)
		mnl_attr_parse_nested(a, read_info, data);
	return MNL_CB_OK;
}

static int read_link(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct ifinfomsg), read_link_attr, data);
}

static int read_family_attr(const struct nlattr *a, void *data)
{
	if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID)
		*(uint16_t *)data = mnl_attr_get_u16(a);
	return MNL_CB_OK;
}

static int read_family(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), read_family_attr, data);
}

static int read_dev_attr(const struct nlattr *a, void *data)
{
	struct facts *f = data;

	if (mnl_attr_get_type(a) == NETDEV_A_DEV_XDP_FEATURES)
		f->xdp_features = mnl_attr_get_u64(a);
	else if (mnl_attr_get_type(a) == NETDEV_A_DEV_RX_METADATA)
		f->rx_metadata = mnl_attr_get_u64(a);
	return MNL_CB_OK;
}

static int read_dev(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), read_dev_attr, data);
}

/* Sends a request and has its one answer read. False when the kernel refuses. */
static bool ask(int family, struct nlmsghdr *nlh, mnl_cb_t reader, void *data)
{
	struct mnl_socket *s = mnl_socket_open2(family, SOCK_CLOEXEC);
	char buf[32768]; /* a link message with all its statistics is long */
	ssize_t n = -1;
	bool ok = false;

	if (!s)
		return false;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_sendto(s, nlh, nlh->nlmsg_len) >= 0)
		n = mnl_socket_recvfrom(s, buf, sizeof(buf));
	if (n > 0)
		ok = mnl_cb_run(buf, (size_t)n, nlh->nlmsg_seq, mnl_socket_get_portid(s), reader,
				data) >= MNL_CB_STOP;
	mnl_socket_close(s);
	return ok;
}

static bool ask_link(uint32_t ifindex, struct facts *f)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = 1;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = (int)ifindex;
	return ask(NETLINK_ROUTE, nlh, read_link, f);
}

static struct nlmsghdr *genl_request(char *buf, uint16_t family, uint8_t cmd)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *g;

	nlh->nlmsg_type = family;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = 1;
	g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));
	g->cmd = cmd;
	g->version = 1;
	return nlh;
}

static bool ask_xdp(uint32_t ifindex, struct facts *f)
{
	char buf[256];
	struct nlmsghdr *nlh = genl_request(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	uint16_t family = 0;

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, "netdev");
	if (!ask(NETLINK_GENERIC, nlh, read_family, &family) || family == 0)
		return false;
	nlh = genl_request(buf, family, NETDEV_CMD_DEV_GET);
	mnl_attr_put_u32(nlh, NETDEV_A_DEV_IFINDEX, ifindex);
	return ask(NETLINK_GENERIC, nlh, read_dev, f);
}

static const struct port_driver *choose_nic(const char *name, uint32_t ifindex, struct facts *f,
					    const char **ret_reason)
{
	struct xdp_dev dev;
	const char *why;

	*ret_reason = "the kernel does not say whether the NIC's driver runs XDP natively";
	if (!ask_xdp(ifindex, f))
		return &port_driver_packet;
	*ret_reason = "the NIC's driver does not run XDP natively";
	if ((f->xdp_features & NETDEV_XDP_NEEDED) != NETDEV_XDP_NEEDED)
		return &port_driver_packet;
	*ret_reason = "AF_XDP would lose the VLAN tags that the NIC takes off its frames";
	if (xdp_dev_query(name, &dev, &why) ||
	    (dev.may_strip_tags && !(f->rx_metadata & NETDEV_RX_METADATA_VLAN)))
		return &port_driver_packet;
	*ret_reason = "AF_XDP takes frames of more than 1,500 bytes only in pieces";
	if (dev.mtu > 1500)
		return &port_driver_packet;
	*ret_reason = "a NIC whose driver runs XDP natively";
	return &port_driver_xdp;
}

const struct port_driver *port_driver_auto(const char *ifname, const char **ret_reason)
{
	uint32_t ifindex = if_nametoindex(ifname);
	struct facts f = {0};

	*ret_reason = "no such device";
	if (ifindex == 0)
		return &port_driver_packet;
	*ret_reason = "works with every Ethernet device";
	if (!ask_link(ifindex, &f))
		return &port_driver_packet;
	if (f.kind[0] == '\0')
		return choose_nic(ifname, ifindex, &f, ret_reason);
	*ret_reason = strcmp(f.kind, "tun") ? "a virtual device: GSO frames pass whole"
					    : "the network side of somebody's TAP device";
	return &port_driver_packet;
}
