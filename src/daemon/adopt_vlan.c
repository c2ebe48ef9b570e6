/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/adopt_vlan.h"

#include "base/log.h"
#include "daemon/adopt.h"
#include "daemon/ports.h"
#include "port/trunk.h"

LOG_MODULE("daemon/adopt_vlan");

void adopt_vlan_follow(struct adopted *ad, bool gone, const struct netlink_link *l)
{
	if (!ad->trunk || !l->vlan_on)
		return;
	for_each_port(vp, ad->vb)
	{
		if (vp->host || vp->self || vp->ifindex != l->vlan_on || !vp->port)
			continue;
		if (trunk_place_exempt_vlan(vp->port, l->vlan_tpid, l->vlan_id, !gone))
			log_info("port %s: VLAN %u %s", vp->name, l->vlan_id,
				 gone ? "is inspected, its device is gone"
				      : "is left to the device that has it");
	}
}

static void follow(void *ctx, bool gone, const struct netlink_link *l)
{
	adopt_vlan_follow(ctx, gone, l);
}

void adopt_vlan_all(struct adopted *ad)
{
	if (ad->trunk)
		netlink_links(ad->vb->d->nl, follow, ad);
}
