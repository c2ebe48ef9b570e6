/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VLANs as people and files write them: "1 pvid untagged, 10-20, 30 untagged" is a set, as the
 * value `vlans` of ports and bridges has it; "10-20" is a range of a command. Pure; any thread.
 */
#pragma once

#include <jansson.h>

#include "core/vlan.h"
#include "wire/msg.h"

/*
 * A range: "10" or "10-20". object: what the error sentence starts with. 0, or CTL_E_VALUE with
 * *err filled: not a number, 0, above 4094, reversed.
 */
int vlans_parse_range(const char *text, const char *object, uint16_t *ret_first, uint16_t *ret_last,
		      struct ctl_error *err);
/*
 * A set; the empty text is the empty set. Also CTL_E_VALUE: an unknown word, a PVID that is a
 * range, two PVIDs.
 */
int vlans_parse(const char *text, const char *object, struct vlan_set *ret, struct ctl_error *err);
/* The one spelling of a set, which vlans_parse() reads; new reference. */
json_t *vlans_text(const struct vlan_set *s);
/* What a new port has where that is the default PVID; new reference. */
json_t *vlans_default_text(uint16_t default_pvid);

/* "802.1Q" and the EtherType; 0 for other names. */
const char *vlans_protocol_name(uint16_t protocol);
uint16_t vlans_protocol(const char *name);
