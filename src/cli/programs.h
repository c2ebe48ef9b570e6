/* SPDX-License-Identifier: BSD-2-Clause */
/* What sits at a device and touches its frames: programs of tc and XDP, offloads. */
#pragma once

#include <jansson.h>

/*
 * Rows {where: "ingress" or "egress", how: "tcx" or the kind of a tc filter, id, name, pref of a
 * filter} of the programs and filters in the device's tc, in no order. id 0: no BPF program. A new
 * array.
 */
json_t *programs_tc(int ifindex);
/* Name of a BPF program, "" if it has none or may not be asked. Returns buf. */
const char *programs_name(unsigned int id, char *buf, size_t size);
/* Names of the features that are on, as ethtool -k has them in the kernel ("rx-lro"). A new array.
 */
json_t *programs_features(const char *ifname);
