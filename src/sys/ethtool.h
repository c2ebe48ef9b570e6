/* SPDX-License-Identifier: BSD-2-Clause */
/* What a network device's link is like. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Speed in Mb/s (0: not known, or no link) and whether both ends may send at once (also when the
 * device does not say). 0 or -errno, nothing written then: devices of many kinds have no speed.
 */
int ethtool_link(const char *name, uint32_t *ret_mbps, bool *ret_full_duplex);
