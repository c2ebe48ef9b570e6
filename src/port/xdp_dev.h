/* SPDX-License-Identifier: BSD-2-Clause */
/* What the xdp driver has to know of a device before it opens it. Main thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct xdp_dev {
	uint32_t ifindex;
	uint32_t mtu;
	uint32_t n_queues; /* RX queues in use, at least 1 */
	bool loopback;
	bool has_peer;        /* veth, netkit: hands over what its peer sends */
	bool may_strip_tags;  /* its driver may keep a VLAN tag beside the frame */
	bool tags_by_feature; /* may_strip_tags only because rx-vlan-offload is on */
	char driver[32];      /* "veth"; empty if the device does not say */
};

/* 0 or -errno with a sentence fragment. */
int xdp_dev_query(const char *name, struct xdp_dev *ret, const char **ret_why);

/*
 * A packet socket that receives nothing and keeps the device promiscuous as long as it is open;
 * the kernel undoes it when the socket closes. The descriptor or -errno.
 */
int xdp_dev_promisc(uint32_t ifindex);
