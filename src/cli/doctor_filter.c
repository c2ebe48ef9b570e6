/* SPDX-License-Identifier: BSD-2-Clause */
/* The classic: tcpdump sees the ping go in, and iptables, of which nobody thought, drops it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "cli/fmt.h"
#include "cli/netfilter.h"

#define SOME_MAX 3 /* rules that drop some frames, and are told one by one */

/* Is one of the bridge's members, or the bridge's interface, a device that the drop is about? */
static bool is_here(const struct doctor *d, const struct netfilter_drop *drop)
{
	json_t *port;
	size_t i;

	if (drop->family != NETFILTER_DEVICE)
		return true;
	/* A packet socket takes a frame before the ingress hook. */
	if (drop->hook == RULESET_INGRESS && !doctor_is_kernel(d))
		return false;
	json_array_foreach(json_object_get(d->picture, "ports"), i, port)
	{
		if (netfilter_on_device(drop, row_text(port, "ifname")))
			return true;
	}
	return false;
}

/* "net.bridge.bridge-nf-call-iptables is 1": what makes br_netfilter hand frames over. */
static void why_handed(const struct doctor *d, const struct netfilter_drop *drop, char *buf,
		       size_t size)
{
	const bool sysctl = d->nf->handed[drop->family].by_sysctl;
	const char *name = netfilter_sysctl(drop->family);

	if (sysctl)
		snprintf(buf, size, "%s is 1", name);
	else
		snprintf(buf, size, "nf_%s of the bridge is 1", strstr(name, "call-"));
	if (!sysctl && strchr(buf, '-'))
		*strchr(buf, '-') = '_';
}

/* "chain FORWARD of table filter (iptables) drops them all: policy DROP" */
static void what_drops(const struct netfilter_drop *drop, char *buf, size_t size)
{
	static const char *const much[] = {
		[RULESET_DROPS_ALL] = "drops them all",
		[RULESET_DROPS_REST] = "drops those that no rule before accepts",
		[RULESET_DROPS_SOME] = "drops some",
	};

	snprintf(buf, size, "chain %s of table %s (%s) %s: %s%s", drop->chain, drop->table,
		 drop->command, much[drop->how], *drop->rule ? "rule " : "policy DROP", drop->rule);
}

static enum doctor_severity severity_of(const struct doctor *d, const struct netfilter_drop *drop)
{
	const size_t n_ports = json_array_size(json_object_get(d->picture, "ports"));

	/* With one port nothing is forwarded; what the host gets and sends takes other hooks. */
	if (n_ports < 2 && (drop->hook == RULESET_FORWARD || drop->hook == RULESET_POSTROUTING))
		return DOCTOR_OK;
	if (drop->how == RULESET_DROPS_ALL)
		return DOCTOR_PROBLEM;
	/* Rules that drop some frames are what a packet filter is for. */
	return drop->how == RULESET_DROPS_REST ? DOCTOR_WARNING : DOCTOR_OK;
}

static void say(struct doctor *d, const struct netfilter_drop *drop)
{
	const enum doctor_severity severity = severity_of(d, drop);
	char why[96], what[512], cure[512];

	what_drops(drop, what, sizeof(what));
	if (netfilter_handed(d->nf, drop->family)) {
		why_handed(d, drop, why, sizeof(why));
		doctor_say(d, severity, d->bridge,
			   "br_netfilter hands bridged %s to netfilter's hook %s (%s), and %s",
			   netfilter_frames(drop->family), ruleset_hook_name(drop->hook), why,
			   what);
	} else if (drop->family == NETFILTER_DEVICE) {
		doctor_say(d, severity, drop->devices, "frames pass netfilter's hook %s, and %s",
			   ruleset_hook_name(drop->hook), what);
	} else {
		doctor_say(d, severity, d->bridge,
			   "bridged frames pass netfilter's hook %s for bridges, and %s",
			   ruleset_hook_name(drop->hook), what);
	}
	netfilter_cure_sysctl(d->nf, drop, d->bridge, d->prefix, cure, sizeof(cure));
	if (*cure)
		doctor_hint(d, "%s", cure);
	doctor_hint(d, "%s", netfilter_cure_rule(drop, d->bridge, d->prefix, cure, sizeof(cure)));
}

static void say_more(struct doctor *d, unsigned int n)
{
	doctor_say(d, DOCTOR_OK, d->bridge, "%u more rules of netfilter drop some of its frames",
		   n);
	doctor_hint(d, "%snft list ruleset; %siptables-save", d->prefix, d->prefix);
}

void doctor_check_filter(struct doctor *d)
{
	unsigned int n_some = 0;

	if (!d->nf)
		return;
	for (size_t i = 0; i < d->nf->n_drops; i++) {
		const struct netfilter_drop *drop = &d->nf->drops[i];

		/* Frames of our own bridges meet only the hooks of devices. */
		if (!is_here(d, drop) || (!doctor_is_kernel(d) && drop->family != NETFILTER_DEVICE))
			continue;
		if (drop->how != RULESET_DROPS_SOME || ++n_some <= SOME_MAX)
			say(d, drop);
	}
	if (n_some > SOME_MAX)
		say_more(d, n_some - SOME_MAX);
	if (*d->nf->unread && doctor_is_kernel(d)) {
		doctor_say(d, DOCTOR_UNKNOWN, d->bridge,
			   "rules of netfilter that its frames pass cannot be read (%s)",
			   d->nf->unread);
		doctor_hint(d, "%s",
			    geteuid() == 0 ? "apt-get install iptables nftables" : "be root");
	}
}
