/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/links.h"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/nldump.h"

/* Not in Debian 12's headers: kernel 6.3 and 6.7. */
#define LINK_GRO_IPV4_MAX_SIZE 64
#define BRIDGE_FDB_N_LEARNED   48
#define BRIDGE_FDB_MAX_LEARNED 49

static void set_int(json_t *o, const char *key, json_int_t n)
{
	json_object_set_new(o, key, json_integer(n));
}

static json_int_t number(const struct nlattr *a)
{
	switch (mnl_attr_get_payload_len(a)) {
	case 1:
		return mnl_attr_get_u8(a);
	case 2:
		return mnl_attr_get_u16(a);
	case 4:
		return mnl_attr_get_u32(a);
	default:
		return 0;
	}
}

/* The attributes of a nest that have a name in the table, as numbers. */
struct nest {
	json_t *to;
	const char *const *names; /* by attribute type */
	uint16_t n_names;
};

static int take_number(const struct nlattr *a, void *ctx)
{
	const struct nest *nest = ctx;
	const uint16_t type = mnl_attr_get_type(a);

	if (type < nest->n_names && nest->names[type])
		set_int(nest->to, nest->names[type], number(a));
	return MNL_CB_OK;
}

static json_t *numbers(const struct nlattr *a, const char *const *names, size_t n)
{
	struct nest nest = {json_object(), names, (uint16_t)n};

	mnl_attr_parse_nested(a, take_number, &nest);
	return nest.to;
}

static const char *const bridge_names[] = {
	[IFLA_BR_STP_STATE] = "stp_state",
	[IFLA_BR_FORWARD_DELAY] = "forward_delay",
	[IFLA_BR_VLAN_FILTERING] = "vlan_filtering",
	[IFLA_BR_VLAN_DEFAULT_PVID] = "vlan_default_pvid",
	[BRIDGE_FDB_N_LEARNED] = "fdb_n_learned",
	[BRIDGE_FDB_MAX_LEARNED] = "fdb_max_learned",
};
static const char *const port_names[] = {
	[IFLA_BRPORT_STATE] = "state",         [IFLA_BRPORT_LEARNING] = "learning",
	[IFLA_BRPORT_UNICAST_FLOOD] = "flood", [IFLA_BRPORT_ISOLATED] = "isolated",
	[IFLA_BRPORT_LOCKED] = "locked",
};
static const char *const xdp_names[] = {
	[IFLA_XDP_PROG_ID] = "id",
	[IFLA_XDP_DRV_PROG_ID] = "id",
	[IFLA_XDP_SKB_PROG_ID] = "id",
	[IFLA_XDP_HW_PROG_ID] = "id",
};

static int take_info(const struct nlattr *a, void *ctx)
{
	json_t *link = ctx;

	switch (mnl_attr_get_type(a)) {
	case IFLA_INFO_KIND:
		json_object_set_new(link, "kind", json_string(mnl_attr_get_str(a)));
		break;
	case IFLA_INFO_DATA:
		if (!strcmp(json_string_value(json_object_get(link, "kind")), "bridge"))
			json_object_set_new(link, "bridge",
					    numbers(a, bridge_names, array_size(bridge_names)));
		break;
	case IFLA_INFO_SLAVE_KIND:
		json_object_set_new(link, "slave_kind", json_string(mnl_attr_get_str(a)));
		break;
	case IFLA_INFO_SLAVE_DATA:
		if (!strcmp(json_string_value(json_object_get(link, "slave_kind")), "bridge"))
			json_object_set_new(link, "port",
					    numbers(a, port_names, array_size(port_names)));
		break;
	}
	return MNL_CB_OK;
}

/* What a device loses, as ip -s shows it. */
static json_t *counters(const struct nlattr *a)
{
	struct rtnl_link_stats64 s = {0};
	size_t len = mnl_attr_get_payload_len(a);

	memcpy(&s, mnl_attr_get_payload(a), min_of(len, sizeof(s)));
	return json_pack("{s:I, s:I, s:I, s:I}", "rx_dropped", (json_int_t)s.rx_dropped,
			 "tx_dropped", (json_int_t)s.tx_dropped, "rx_errors",
			 (json_int_t)s.rx_errors, "tx_errors", (json_int_t)s.tx_errors);
}

static int take_attr(const struct nlattr *a, void *ctx)
{
	json_t *link = ctx;

	switch (mnl_attr_get_type(a)) {
	case IFLA_IFNAME:
		json_object_set_new(link, "ifname", json_string(mnl_attr_get_str(a)));
		break;
	case IFLA_MTU:
		set_int(link, "mtu", number(a));
		break;
	case IFLA_MASTER:
		set_int(link, "master", number(a));
		break;
	case IFLA_CARRIER:
		json_object_set_new(link, "carrier", json_boolean(number(a) != 0));
		break;
	case IFLA_GRO_MAX_SIZE:
	case LINK_GRO_IPV4_MAX_SIZE:
		if (number(a) > json_integer_value(json_object_get(link, "gro_max")))
			set_int(link, "gro_max", number(a));
		break;
	case IFLA_XDP:
		json_object_set_new(link, "xdp", numbers(a, xdp_names, array_size(xdp_names)));
		break;
	case IFLA_STATS64:
		json_object_set_new(link, "counters", counters(a));
		break;
	case IFLA_LINKINFO:
		mnl_attr_parse_nested(a, take_info, link);
		break;
	}
	return MNL_CB_OK;
}

static int take_link(const struct nlmsghdr *h, void *ctx)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	json_t *link = json_pack("{s:i, s:b, s:i, s:s, s:s}", "ifindex", ifi->ifi_index, "up",
				 (ifi->ifi_flags & IFF_UP) != 0, "master", 0, "kind", "",
				 "slave_kind", "");
	const char *name;

	mnl_attr_parse(h, sizeof(*ifi), take_attr, link);
	name = json_string_value(json_object_get(link, "ifname"));
	if (name)
		json_object_set(ctx, name, link);
	json_decref(link);
	return MNL_CB_OK;
}

/* ---- VLANs ---- */

struct vlans {
	json_int_t n, pvid, begin;
};

static int take_vlan(const struct nlattr *a, void *ctx)
{
	const struct bridge_vlan_info *info = mnl_attr_get_payload(a);
	struct vlans *v = ctx;

	if (mnl_attr_get_type(a) != IFLA_BRIDGE_VLAN_INFO ||
	    mnl_attr_get_payload_len(a) < sizeof(*info))
		return MNL_CB_OK;
	if (info->flags & BRIDGE_VLAN_INFO_RANGE_BEGIN)
		v->begin = info->vid;
	else
		v->n += info->flags & BRIDGE_VLAN_INFO_RANGE_END ? info->vid - v->begin + 1 : 1;
	if (info->flags & BRIDGE_VLAN_INFO_PVID)
		v->pvid = info->vid;
	return MNL_CB_OK;
}

struct spec {
	const char *name;
	struct vlans vlans;
};

static int take_spec(const struct nlattr *a, void *ctx)
{
	struct spec *s = ctx;

	if (mnl_attr_get_type(a) == IFLA_IFNAME)
		s->name = mnl_attr_get_str(a);
	else if (mnl_attr_get_type(a) == IFLA_AF_SPEC)
		mnl_attr_parse_nested(a, take_vlan, &s->vlans);
	return MNL_CB_OK;
}

static int take_bridge_link(const struct nlmsghdr *h, void *ctx)
{
	struct spec s = {.name = NULL};

	mnl_attr_parse(h, sizeof(struct ifinfomsg), take_spec, &s);
	if (s.name)
		json_object_set_new(
			ctx, s.name,
			json_pack("{s:I, s:I}", "vlans", s.vlans.n, "pvid", s.vlans.pvid));
	return MNL_CB_OK;
}

/* ---- dumps ---- */

static void dump(unsigned char family, uint32_t mask, mnl_cb_t take, json_t *to)
{
	char buf[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	h->nlmsg_type = RTM_GETLINK;
	ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	ifi->ifi_family = family;
	mnl_attr_put_u32(h, IFLA_EXT_MASK, mask);
	nldump(h, take, to);
}

json_t *links_look(void)
{
	json_t *links = json_object();

	dump(AF_UNSPEC, 0, take_link, links);
	return links;
}

json_t *links_vlans(void)
{
	json_t *vlans = json_object();

	dump(AF_BRIDGE, RTEXT_FILTER_BRVLAN_COMPRESSED, take_bridge_link, vlans);
	return vlans;
}
