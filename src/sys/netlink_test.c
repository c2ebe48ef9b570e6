/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys/netlink.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include <cmocka.h>

/* A message as the kernel writes it for `ip link show veth10` in bridge br0. */
static struct nlmsghdr *canned(char *buf, uint16_t type)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0x10};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;
	struct nlattr *nest, *slave;

	nlh->nlmsg_type = type;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = 8;
	ifi->ifi_type = ARPHRD_ETHER;
	ifi->ifi_flags = IFF_UP | IFF_RUNNING;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, "veth10");
	mnl_attr_put_u32(nlh, IFLA_MTU, 9000);
	mnl_attr_put_u32(nlh, IFLA_MASTER, 12);
	mnl_attr_put_u32(nlh, IFLA_PROMISCUITY, 2);
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(mac), mac);
	mnl_attr_put_strz(nlh, IFLA_IFALIAS, "to the lab");
	nest = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	mnl_attr_put_strz(nlh, IFLA_INFO_SLAVE_KIND, "bridge");
	slave = mnl_attr_nest_start(nlh, IFLA_INFO_SLAVE_DATA);
	mnl_attr_put_u8(nlh, IFLA_BRPORT_STATE, 3);
	mnl_attr_nest_end(nlh, slave);
	mnl_attr_nest_end(nlh, nest);
	return nlh;
}

static void link_with_everything(void **state)
{
	char buf[4096] = {0};
	struct netlink_link l;

	assert_true(netlink_parse(canned(buf, RTM_NEWLINK), &l));
	assert_int_equal(l.ifindex, 8);
	assert_string_equal(l.name, "veth10");
	assert_string_equal(l.kind, "veth");
	assert_string_equal(l.alias, "to the lab");
	assert_int_equal(l.type, ARPHRD_ETHER);
	assert_int_equal(l.flags, IFF_UP | IFF_RUNNING);
	assert_int_equal(l.mtu, 9000);
	assert_int_equal(l.master, 12);
	assert_int_equal(l.promiscuity, 2);
	assert_int_equal(l.mac, 0x020000000010ULL);
	assert_true(l.brport);
	assert_int_equal(l.brport_state, 3);
	assert_false(l.moved);
}

/* eth1.10, as `ip link add link eth1 name eth1.10 type vlan id 10` makes it. */
static struct nlmsghdr *canned_vlan(char *buf, const char *kind)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;
	struct nlattr *nest, *data;

	nlh->nlmsg_type = RTM_NEWLINK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = 9;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, "eth1.10");
	mnl_attr_put_u32(nlh, IFLA_LINK, 8);
	nest = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, kind);
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put_u16(nlh, IFLA_VLAN_PROTOCOL, htons(0x88a8));
	mnl_attr_put_u16(nlh, IFLA_VLAN_ID, 10);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, nest);
	return nlh;
}

static void vlan_device(void **state)
{
	char buf[4096] = {0};
	struct netlink_link l;
	struct nlmsghdr *nlh;

	assert_true(netlink_parse(canned_vlan(buf, "vlan"), &l));
	assert_int_equal(l.vlan_on, 8);
	assert_int_equal(l.vlan_tpid, 0x88a8);
	assert_int_equal(l.vlan_id, 10);
	/* What is below is a number of another namespace. */
	memset(buf, 0, sizeof(buf));
	nlh = canned_vlan(buf, "vlan");
	mnl_attr_put_u32(nlh, IFLA_LINK_NETNSID, 0);
	assert_true(netlink_parse(nlh, &l));
	assert_int_equal(l.vlan_on, 0);
	/* Data of another kind has other numbers. */
	memset(buf, 0, sizeof(buf));
	assert_true(netlink_parse(canned_vlan(buf, "veth"), &l));
	assert_int_equal(l.vlan_on, 0);
	assert_int_equal(l.vlan_tpid, 0);
}

static void moved_to_another_namespace(void **state)
{
	char buf[4096] = {0};
	struct nlmsghdr *nlh = canned(buf, RTM_DELLINK);
	struct netlink_link l;

	mnl_attr_put_u32(nlh, IFLA_NEW_IFINDEX, 3);
	assert_true(netlink_parse(nlh, &l));
	assert_true(l.moved);
}

static void other_messages_are_refused(void **state)
{
	char buf[4096] = {0};
	struct nlmsghdr *nlh = canned(buf, RTM_NEWLINK);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct netlink_link l;

	nlh->nlmsg_type = RTM_NEWADDR;
	assert_false(netlink_parse(nlh, &l));
	nlh->nlmsg_type = RTM_NEWLINK;
	ifi->ifi_family = AF_BRIDGE;
	assert_false(netlink_parse(nlh, &l));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = 0;
	assert_false(netlink_parse(nlh, &l));
	ifi->ifi_index = 8;
	nlh->nlmsg_len = NLMSG_LENGTH(sizeof(*ifi)) - 1;
	assert_false(netlink_parse(nlh, &l));
	nlh->nlmsg_len = NLMSG_LENGTH(sizeof(*ifi));
	assert_false(netlink_parse(nlh, &l)); /* no name */
}

static void odd_attributes_stay_in_bounds(void **state)
{
	char buf[4096] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;
	struct netlink_link l;
	char longname[100];

	memset(longname, 'n', sizeof(longname));
	nlh->nlmsg_type = RTM_NEWLINK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = 9;
	mnl_attr_put(nlh, IFLA_IFNAME, sizeof(longname), longname);
	mnl_attr_put(nlh, IFLA_MTU, 2, "ab");
	mnl_attr_put(nlh, IFLA_ADDRESS, 20, longname); /* InfiniBand has twenty octets */
	assert_true(netlink_parse(nlh, &l));
	assert_int_equal(strlen(l.name), NETLINK_NAME_SIZE - 1);
	assert_int_equal(l.mtu, 0);
	assert_int_equal(l.mac, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(link_with_everything),
		cmocka_unit_test(vlan_device),
		cmocka_unit_test(moved_to_another_namespace),
		cmocka_unit_test(other_messages_are_refused),
		cmocka_unit_test(odd_attributes_stay_in_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
