/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/ktrace_cause.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "base/text.h"
#include "cli/fmt.h"
#include "cli/netfilter.h"

#define REASON     "NETFILTER_DROP"
#define PLACES_MAX 3 /* that are named */
#define AGE_S      1

struct ktrace_cause {
	char bridge[16];
	struct netfilter nf;
	bool looked;
	time_t when_s;
};

struct ktrace_cause *ktrace_cause_new(const char *bridge)
{
	struct ktrace_cause *kc = calloc(1, sizeof(*kc));

	if (kc)
		snprintf(kc->bridge, sizeof(kc->bridge), "%s", bridge);
	return kc;
}

struct ktrace_cause *ktrace_cause_free(struct ktrace_cause *kc)
{
	if (!kc)
		return NULL;
	if (kc->looked)
		netfilter_deinit(&kc->nf);
	free(kc);
	return NULL;
}

/* Which family's rules br_netfilter shows the frame to; NETFILTER_BRIDGE: none. */
static enum netfilter_family family_of(const struct netfilter *nf, const json_t *frame)
{
	static const struct {
		const char *ethertype;
		enum netfilter_family family;
	} rows[] = {
		{"0x0800", NETFILTER_IPV4}, {"0x86dd", NETFILTER_IPV6}, {"0x0806", NETFILTER_ARP}};

	if (json_object_get(frame, "vlan") && !nf->tagged)
		return NETFILTER_BRIDGE;
	for (size_t i = 0; i < array_size(rows); i++)
		if (!strcmp(row_text(frame, "ethertype"), rows[i].ethertype) &&
		    netfilter_handed(nf, rows[i].family))
			return rows[i].family;
	return NETFILTER_BRIDGE;
}

static bool may_be(const struct netfilter_drop *d, enum netfilter_family family, const char *in,
		   const char *at)
{
	if (d->family == NETFILTER_DEVICE)
		return netfilter_on_device(d, in) || netfilter_on_device(d, at);
	return d->family == family || d->family == NETFILTER_BRIDGE;
}

/* Up to PLACES_MAX places that may have dropped it, the surest first. */
static size_t find_places(const struct netfilter *nf, enum netfilter_family family, const char *in,
			  const char *at, const struct netfilter_drop **ret)
{
	size_t n = 0;

	for (int how = RULESET_DROPS_ALL; how <= RULESET_DROPS_SOME; how++)
		for (size_t i = 0; i < nf->n_drops && n < PLACES_MAX; i++)
			if ((int)nf->drops[i].how == how && may_be(&nf->drops[i], family, in, at))
				ret[n++] = &nf->drops[i];
	return n;
}

/* "br_netfilter hands bridged IPv4 frames to iptables (net.bridge.bridge-nf-call-iptables = 1), "
 */
static void handed_text(const struct netfilter *nf, enum netfilter_family family,
			const char *bridge, char *buf, size_t size)
{
	const char *sysctl = family < NETFILTER_HANDED_N ? netfilter_sysctl(family) : "";
	const char *tool = strrchr(sysctl, '-');

	if (!*sysctl)
		return;
	text_add(buf, size, "br_netfilter hands bridged %s to %s (", netfilter_frames(family),
		 tool ? tool + 1 : "netfilter");
	if (nf->handed[family].by_sysctl)
		text_add(buf, size, "%s = 1), ", sysctl);
	else
		text_add(buf, size, "a setting of bridge %s), ", bridge);
}

static void add_cures(const struct netfilter *nf, const struct netfilter_drop *d,
		      const char *bridge, json_t *cures)
{
	char cure[512];

	netfilter_cure_sysctl(nf, d, bridge, "", cure, sizeof(cure));
	if (cure[0])
		json_array_append_new(cures, json_string(cure));
	netfilter_cure_rule(d, bridge, "", cure, sizeof(cure));
	json_array_append_new(cures, json_string(cure));
}

/* The step at which it was dropped. */
static const json_t *drop_step(const json_t *journey)
{
	const json_t *s;
	size_t i;

	json_array_foreach(json_object_get(journey, "steps"), i, s)
	{
		if (!strcmp(row_text(s, "step"), "drop") && !strcmp(row_text(s, "reason"), REASON))
			return s;
	}
	return NULL;
}

void ktrace_cause_name(const struct netfilter *nf, const char *bridge, json_t *journey)
{
	json_t *end = json_object_get(journey, "end"), *cures = json_array();
	const json_t *step = drop_step(journey);
	const enum netfilter_family family = family_of(nf, json_object_get(journey, "frame"));
	const struct netfilter_drop *places[PLACES_MAX];
	char text[1024] = "dropped by netfilter: ", place[512];
	size_t n = find_places(nf, family, row_text(journey, "ifname"),
			       step ? row_text(step, "ifname") : "", places);

	handed_text(nf, family, bridge, text, sizeof(text));
	if (n == 0)
		text_add(text, sizeof(text), "which rule did it cannot be told%s%s",
			 nf->unread[0] ? ": " : "", nf->unread);
	else if (n > 1)
		text_add(text, sizeof(text), "where one of these drops it: ");
	for (size_t i = 0; i < n; i++) {
		text_add(text, sizeof(text), "%s%s", i > 0 ? "; " : "",
			 netfilter_text(places[i], place, sizeof(place)));
		add_cures(nf, places[i], bridge, cures);
	}
	json_object_set_new(end, "text", json_string(text));
	json_object_set_new(end, "cures", cures);
}

void ktrace_cause_explain(struct ktrace_cause *kc, json_t *journey)
{
	const json_t *end = json_object_get(journey, "end");
	time_t now_s = time(NULL);

	if (!kc || strcmp(row_text(end, "what"), "dropped") ||
	    strcmp(row_text(end, "reason"), REASON))
		return;
	if (kc->looked && (now_s < kc->when_s || now_s - kc->when_s > AGE_S)) {
		netfilter_deinit(&kc->nf);
		kc->looked = false;
	}
	if (!kc->looked) {
		netfilter_look(kc->bridge, &kc->nf);
		kc->looked = true;
		kc->when_s = now_s;
	}
	ktrace_cause_name(&kc->nf, kc->bridge, journey);
}
