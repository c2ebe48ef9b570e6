/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/vlans.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "4094 pvid untagged, " */
#define RANGE_TEXT_SIZE 40u
/* Each second VLAN alone is the longest set. */
#define SET_TEXT_SIZE (VLAN_N * RANGE_TEXT_SIZE)

/* Digits up to `end`; -1 if it is anything else. */
static int number(const char *s, const char *end)
{
	int n = 0;

	if (s == end)
		return -1;
	for (; s < end; s++) {
		if (!isdigit((unsigned char)*s))
			return -1;
		n = n > (int)VLAN_N ? n : n * 10 + (*s - '0');
	}
	return n;
}

int vlans_parse_range(const char *text, const char *object, uint16_t *ret_first, uint16_t *ret_last,
		      struct ctl_error *err)
{
	const char *end = text + strlen(text), *dash = strchr(text, '-');
	const int first = number(text, dash ? dash : end);
	const int last = dash ? number(dash + 1, end) : first;

	if (first < 0 || last < 0)
		return ctl_fail(err, CTL_E_VALUE, "%s: vlan %.32s: neither a number nor a range",
				object, text);
	if (first < 1 || first > (int)VLAN_ID_MAX || last < 1 || last > (int)VLAN_ID_MAX)
		return ctl_fail(err, CTL_E_VALUE, "%s: vlan %.32s is out of range 1 to %u", object,
				text, VLAN_ID_MAX);
	if (first > last)
		return ctl_fail(err, CTL_E_VALUE, "%s: vlan %.32s: the range is reversed", object,
				text);
	*ret_first = (uint16_t)first;
	*ret_last = (uint16_t)last;
	return 0;
}

/* One item of a set, which is cut into words. */
static int parse_item(char *item, const char *object, struct vlan_set *s, struct ctl_error *err)
{
	uint16_t first = 0, last = 0;
	unsigned int flags = 0;
	char *rest, *word = strtok_r(item, " \t", &rest);
	int r;

	if (!word)
		return ctl_fail(err, CTL_E_VALUE, "%s: vlans: an empty item", object);
	r = vlans_parse_range(word, object, &first, &last, err);
	if (r)
		return r;
	while ((word = strtok_r(NULL, " \t", &rest))) {
		if (!strcmp(word, "pvid"))
			flags |= VLAN_PVID;
		else if (!strcmp(word, "untagged"))
			flags |= VLAN_UNTAGGED;
		else
			return ctl_fail(err, CTL_E_VALUE,
					"%s: vlan %u: no word \"%.32s\" (pvid, untagged)", object,
					first, word);
	}
	if (flags & VLAN_PVID && first != last)
		return ctl_fail(err, CTL_E_VALUE, "%s: vlan %u-%u: a PVID is one VLAN, not a range",
				object, first, last);
	if (flags & VLAN_PVID && s->pvid && s->pvid != first)
		return ctl_fail(err, CTL_E_VALUE, "%s: vlan %u: %u is the PVID already", object,
				first, s->pvid);
	vlan_add(s, first, last, flags);
	return 0;
}

int vlans_parse(const char *text, const char *object, struct vlan_set *ret, struct ctl_error *err)
{
	struct vlan_set s = {0};
	char *copy = strdup(text), *rest = copy, *item;
	int r = copy ? 0 : ctl_fail(err, CTL_E_INTERNAL, "%s: no memory", object);

	if (copy && !copy[strspn(copy, " \t")])
		rest = NULL;
	while (!r && (item = strsep(&rest, ",")))
		r = parse_item(item, object, &s, err);
	free(copy);
	if (!r)
		*ret = s;
	return r;
}

json_t *vlans_text(const struct vlan_set *s)
{
	struct vlan_range r = {0};
	char *text = malloc(SET_TEXT_SIZE);
	size_t n = 0;
	json_t *v;

	if (!text)
		return NULL;
	text[0] = '\0';
	while (vlan_next(s, &r)) {
		n += (size_t)snprintf(text + n, SET_TEXT_SIZE - n, "%s%u", n ? ", " : "", r.first);
		if (r.last > r.first)
			n += (size_t)snprintf(text + n, SET_TEXT_SIZE - n, "-%u", r.last);
		n += (size_t)snprintf(text + n, SET_TEXT_SIZE - n, "%s%s",
				      r.flags & VLAN_PVID ? " pvid" : "",
				      r.flags & VLAN_UNTAGGED ? " untagged" : "");
	}
	v = json_string(text);
	free(text);
	return v;
}

json_t *vlans_default_text(uint16_t default_pvid)
{
	struct vlan_set s = {0};

	if (default_pvid)
		vlan_add(&s, default_pvid, default_pvid, VLAN_PVID | VLAN_UNTAGGED);
	return vlans_text(&s);
}

static const struct {
	const char *name;
	uint16_t protocol;
} protocols[] = {{"802.1Q", FRAME_TAG_8021Q}, {"802.1ad", FRAME_TAG_8021AD}};

const char *vlans_protocol_name(uint16_t protocol)
{
	return protocols[protocol == FRAME_TAG_8021AD].name;
}

uint16_t vlans_protocol(const char *name)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (!strcmp(protocols[i].name, name))
			return protocols[i].protocol;
	return 0;
}
