/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/kbridge.h"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/mac.h"
#include "cli/nldump.h"

/* Two passes over one dump would race: everything is kept, then sorted out. */
struct dump {
	json_t *bridges; /* rows */
	json_t *members; /* {ifname, master (ifindex)} */
};

struct link {
	const char *name, *kind;
	const struct nlattr *data; /* IFLA_INFO_DATA */
	const uint8_t *address;
	uint32_t mtu, master;
	uint8_t operstate;
};

static const char *operstate_name(uint8_t state)
{
	static const char *const names[] = {"UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN",
					    "TESTING", "DORMANT",    "UP"};

	return state < array_size(names) ? names[state] : "UNKNOWN";
}

static int take_info(const struct nlattr *a, void *ctx)
{
	struct link *l = ctx;

	if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
		l->kind = mnl_attr_get_str(a);
	else if (mnl_attr_get_type(a) == IFLA_INFO_DATA)
		l->data = a;
	return MNL_CB_OK;
}

static int take_attr(const struct nlattr *a, void *ctx)
{
	struct link *l = ctx;

	switch (mnl_attr_get_type(a)) {
	case IFLA_IFNAME:
		l->name = mnl_attr_get_str(a);
		break;
	case IFLA_MASTER:
		l->master = mnl_attr_get_u32(a);
		break;
	case IFLA_MTU:
		l->mtu = mnl_attr_get_u32(a);
		break;
	case IFLA_OPERSTATE:
		l->operstate = mnl_attr_get_u8(a);
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(a) == 6)
			l->address = mnl_attr_get_payload(a);
		break;
	case IFLA_LINKINFO:
		mnl_attr_parse_nested(a, take_info, l);
		break;
	}
	return MNL_CB_OK;
}

static int take_bridge_data(const struct nlattr *a, void *ctx)
{
	const struct ifla_bridge_id *id;
	char text[32];

	if (mnl_attr_get_type(a) == IFLA_BR_STP_STATE)
		json_object_set_new(ctx, "stp_state", json_integer(mnl_attr_get_u32(a)));
	if (mnl_attr_get_type(a) == IFLA_BR_BRIDGE_ID &&
	    mnl_attr_get_payload_len(a) >= sizeof(*id)) {
		id = mnl_attr_get_payload(a);
		snprintf(text, sizeof(text), "%02x%02x.%02x%02x%02x%02x%02x%02x", id->prio[0],
			 id->prio[1], id->addr[0], id->addr[1], id->addr[2], id->addr[3],
			 id->addr[4], id->addr[5]);
		json_object_set_new(ctx, "bridge_id", json_string(text));
	}
	return MNL_CB_OK;
}

static json_t *bridge_row(const struct link *l, int ifindex)
{
	json_t *data = json_object();
	char mac[MAC_TEXT_SIZE] = "";

	if (l->address)
		mac_format(mac_load(l->address), mac);
	if (l->data)
		mnl_attr_parse_nested(l->data, take_bridge_data, data);
	return json_pack("{s:s, s:i, s:s, s:i, s:s, s:b, s:b, s:[], s:{s:s, s:o}}", "ifname",
			 l->name, "ifindex", ifindex, "address", mac, "mtu", (int)l->mtu,
			 "operstate", operstate_name(l->operstate), "kernel", 1, "adopted", 0,
			 "ports", "linkinfo", "info_kind", "bridge", "info_data", data);
}

static int take_link(const struct nlmsghdr *h, void *ctx)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	struct dump *d = ctx;
	struct link l = {0};

	mnl_attr_parse(h, sizeof(*ifi), take_attr, &l);
	if (!l.name)
		return MNL_CB_OK;
	if (l.kind && strcmp(l.kind, "bridge") == 0)
		json_array_append_new(d->bridges, bridge_row(&l, ifi->ifi_index));
	if (l.master)
		json_array_append_new(d->members, json_pack("{s:s, s:i}", "ifname", l.name,
							    "master", (int)l.master));
	return MNL_CB_OK;
}

static void dump_links(struct dump *d)
{
	char buf[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	h->nlmsg_type = RTM_GETLINK;
	ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	nldump(h, take_link, d);
}

json_t *kbridge_rows(void)
{
	struct dump d = {.bridges = json_array(), .members = json_array()};
	json_t *row, *m;
	size_t i, j;

	dump_links(&d);
	json_array_foreach(d.members, i, m) json_array_foreach(
		d.bridges, j, row) if (json_integer_value(json_object_get(row, "ifindex")) ==
				       json_integer_value(json_object_get(m, "master")))
		json_array_append(json_object_get(row, "ports"), json_object_get(m, "ifname"));
	json_decref(d.members);
	return d.bridges;
}
