/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/netfilter.h"

#include <libmnl/libmnl.h>
#include <limits.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "cli/tool.h"

#define OUTPUT_MAX (32u << 20) /* of one tool */
#define TIMEOUT_MS 10000

/* Of each family that br_netfilter knows. */
static const struct {
	const char *frames;
	const char *sysctl;
	const char *option; /* of the bridge, in ip(8)'s words */
	const char *names;  /* file that lists the tables of the old iptables */
	const char *tool;
	const char *nft; /* nft's family, or NULL: it has no such hook */
} families[NETFILTER_HANDED_N] = {
	{"IPv4 frames", "net.bridge.bridge-nf-call-iptables", "nf_call_iptables",
	 "/proc/net/ip_tables_names", "iptables", "ip"},
	{"IPv6 frames", "net.bridge.bridge-nf-call-ip6tables", "nf_call_ip6tables",
	 "/proc/net/ip6_tables_names", "ip6tables", "ip6"},
	{"ARP frames", "net.bridge.bridge-nf-call-arptables", "nf_call_arptables",
	 "/proc/net/arp_tables_names", "arptables", NULL},
};

bool netfilter_handed(const struct netfilter *nf, enum netfilter_family family)
{
	return nf->loaded && family < NETFILTER_HANDED_N &&
	       (nf->handed[family].by_sysctl || nf->handed[family].by_bridge);
}

const char *netfilter_frames(enum netfilter_family family)
{
	return family < NETFILTER_HANDED_N ? families[family].frames : "frames";
}

const char *netfilter_sysctl(enum netfilter_family family)
{
	return families[family].sysctl;
}

/* ---- sysctls and the bridge ---- */

/* A number in a file under /proc; false if there is no such file. */
static bool read_number(const char *path, bool *ret_on)
{
	FILE *f = fopen(path, "re");
	int n = 0;

	if (!f)
		return false;
	*ret_on = fscanf(f, "%d", &n) == 1 && n != 0;
	fclose(f);
	return true;
}

static void read_sysctls(struct netfilter *nf)
{
	char path[96];

	for (size_t i = 0; i < NETFILTER_HANDED_N; i++) {
		snprintf(path, sizeof(path), "/proc/sys/net/bridge/%s",
			 strrchr(families[i].sysctl, '.') + 1);
		nf->loaded |= read_number(path, &nf->handed[i].by_sysctl);
	}
	read_number("/proc/sys/net/bridge/bridge-nf-filter-vlan-tagged", &nf->tagged);
}

static int take_option(const struct nlattr *a, void *ctx)
{
	struct netfilter *nf = ctx;
	const uint16_t type = mnl_attr_get_type(a);

	if (type >= IFLA_BR_NF_CALL_IPTABLES && type <= IFLA_BR_NF_CALL_ARPTABLES)
		nf->handed[type - IFLA_BR_NF_CALL_IPTABLES].by_bridge = mnl_attr_get_u8(a) != 0;
	return MNL_CB_OK;
}

static int take_info(const struct nlattr *a, void *ctx)
{
	if (mnl_attr_get_type(a) == IFLA_INFO_DATA)
		mnl_attr_parse_nested(a, take_option, ctx);
	return MNL_CB_OK;
}

static int take_attr(const struct nlattr *a, void *ctx)
{
	if (mnl_attr_get_type(a) == IFLA_LINKINFO)
		mnl_attr_parse_nested(a, take_info, ctx);
	return MNL_CB_OK;
}

static int take_link(const struct nlmsghdr *h, void *ctx)
{
	mnl_attr_parse(h, sizeof(struct ifinfomsg), take_attr, ctx);
	return MNL_CB_OK;
}

/* nf_call_iptables and so on of the bridge itself. */
static void read_bridge(const char *bridge, struct netfilter *nf)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_ROUTE);
	char buf[32768];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;
	ssize_t n = -1;

	h->nlmsg_type = RTM_GETLINK;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = (uint32_t)time(NULL);
	ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = (int)if_nametoindex(bridge);
	if (nl && ifi->ifi_index && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_sendto(nl, h, h->nlmsg_len) >= 0)
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	if (n > 0)
		mnl_cb_run(buf, (size_t)n, 0, mnl_socket_get_portid(nl), take_link, nf);
	if (nl)
		mnl_socket_close(nl);
}

/* ---- rules ---- */

/* One look. */
struct look {
	const char *bridge;
	json_t *listings; /* what tools have printed, by their names */
	struct netfilter *nf;
};

/* Where drops of one listing go. */
struct listing {
	struct netfilter *nf;
	enum netfilter_family family;
	const char *command;
};

static void note(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

/* nft before 1.0.8 or so leaves the devices of a chain out of its JSON; its text has them. */
static void read_devices(struct netfilter_drop *d)
{
	char table[sizeof(d->table)], *name, *text, *at, *word, *rest = NULL;
	const char *const argv[] = {"nft", "list", "chain", "netdev", NULL, d->base, NULL};
	const char *args[array_size(argv)];

	snprintf(table, sizeof(table), "%s", d->table);
	name = strchr(table, ' ');
	memcpy(args, argv, sizeof(args));
	args[4] = name ? name + 1 : table;
	text = tool_read(args, OUTPUT_MAX, TIMEOUT_MS);
	at = text ? strstr(text, " device") : NULL;
	if (at)
		strtok_r(at, " ={},\"", &rest);
	while (at && (word = strtok_r(NULL, " ={},\"", &rest)) && strcmp(word, "priority") != 0) {
		size_t len = strlen(d->devices);

		snprintf(d->devices + len, sizeof(d->devices) - len, "%s%s", len ? "," : "", word);
	}
	free(text);
}

static void take_drop(void *ctx, const struct ruleset_drop *drop)
{
	struct listing *l = ctx;
	struct netfilter *nf = l->nf;
	struct netfilter_drop *more, *d;

	more = reallocarray(nf->drops, nf->n_drops + 1, sizeof(*more));
	if (!more)
		return;
	nf->drops = more;
	d = &more[nf->n_drops++];
	*d = (struct netfilter_drop){.family = l->family,
				     .how = drop->how,
				     .hook = drop->hook,
				     .n_before = drop->n_before,
				     .handle = drop->rule ? drop->rule->handle : 0};
	note(d->command, sizeof(d->command), l->command);
	note(d->table, sizeof(d->table), drop->chain->table);
	note(d->chain, sizeof(d->chain), drop->chain->name);
	note(d->base, sizeof(d->base), drop->base->name);
	note(d->devices, sizeof(d->devices), drop->base->devices);
	note(d->rule, sizeof(d->rule), drop->rule ? drop->rule->text : "");
	if (d->family == NETFILTER_DEVICE && !*d->devices)
		read_devices(d);
}

static void cannot(struct netfilter *nf, const char *what, const char *why)
{
	const size_t len = strlen(nf->unread);

	snprintf(nf->unread + len, sizeof(nf->unread) - len, "%s%s: %s", len ? "; " : "", what,
		 why);
}

/*
 * What to type for a table that "NAME-save" listed: iptables itself if it is of the same kind, else
 * iptables-legacy or iptables-nft.
 */
static const char *command_of(const char *tool, const char *kind, char *buf, size_t size)
{
	char path[PATH_MAX], real[PATH_MAX];

	if (tool_find(tool, path, sizeof(path)) && realpath(path, real) && strstr(real, kind))
		snprintf(buf, size, "%s", tool);
	else
		snprintf(buf, size, "%s-%s", tool, kind);
	return buf;
}

/*
 * What the tool prints, asked once; NULL if it fails. Its bytes need not be UTF-8. The caller's.
 */
static char *ask(const struct look *k, const char *const *argv)
{
	json_t *kept = json_object_get(k->listings, argv[0]);
	char *text;

	if (kept)
		return json_is_string(kept) ? strdup(json_string_value(kept)) : NULL;
	text = tool_read(argv, OUTPUT_MAX, TIMEOUT_MS);
	json_object_set_new(k->listings, argv[0], text ? json_string_nocheck(text) : json_null());
	return text;
}

/* False: there is no such tool. */
static bool read_save(const struct look *k, enum netfilter_family family, const char *kind)
{
	const char *tool = families[family].tool;
	char name[48], path[PATH_MAX], command[24], *text;
	const char *const argv[] = {name, NULL};
	struct ruleset rs;
	struct listing l = {k->nf, family, command};

	snprintf(name, sizeof(name), "%s%s%s-save", tool, *kind ? "-" : "", kind);
	if (!tool_find(name, path, sizeof(path)))
		return false;
	text = ask(k, argv);
	if (!text) {
		cannot(k->nf, name, "failed");
		return true;
	}
	if (*kind)
		command_of(tool, kind, command, sizeof(command));
	else
		snprintf(command, sizeof(command), "%s", tool);
	ruleset_init(&rs, k->bridge);
	ruleset_read_save(&rs, text);
	ruleset_drops(&rs, take_drop, &l);
	ruleset_deinit(&rs);
	free(text);
	return true;
}

/* Has the old iptables of this family any table? Without one its tools are not asked. */
static bool has_legacy(enum netfilter_family family)
{
	FILE *f = fopen(families[family].names, "re");
	int c = f ? fgetc(f) : EOF;

	if (f)
		fclose(f);
	return c != EOF;
}

/* True: what iptables-nft keeps has been read. others: nft can be asked about its own tables. */
static bool read_iptables(const struct look *k, enum netfilter_family family, bool others)
{
	const bool by_nft = families[family].nft != NULL;
	const bool nft = by_nft && read_save(k, family, "nft");
	bool read = nft;

	if (has_legacy(family)) {
		read = read_save(k, family, "legacy") || (!nft && read_save(k, family, ""));
		if (!read)
			cannot(k->nf, families[family].tool,
			       "has rules, but its -save is not installed");
	} else if (by_nft && !nft && !others && !read_save(k, family, "")) {
		cannot(k->nf, families[family].frames,
		       "neither nft nor iptables-save is installed to list the rules");
	}
	return nft;
}

static void read_nft(const struct look *k, enum netfilter_family family, const json_t *listing,
		     const char *nft, bool skip_iptables)
{
	struct listing l = {k->nf, family, "nft"};
	struct ruleset rs;

	ruleset_init(&rs, k->bridge);
	if (ruleset_read_nft(&rs, listing, nft, skip_iptables))
		ruleset_drops(&rs, take_drop, &l);
	ruleset_deinit(&rs);
}

/* What nft lists; NULL without nft, or when it fails, which is noted. */
static json_t *nft_listing(const struct look *k)
{
	static const char *const argv[] = {"nft", "-j", "list", "ruleset", NULL};
	char path[PATH_MAX], *text;
	json_t *listing;

	if (!tool_find(argv[0], path, sizeof(path)))
		return NULL;
	text = ask(k, argv);
	listing = text ? json_loads(text, 0, NULL) : NULL;
	free(text);
	if (!listing)
		cannot(k->nf, "rules of nftables", "`nft -j list ruleset` failed");
	return listing;
}

void netfilter_look_again(const char *bridge, json_t *listings, struct netfilter *ret)
{
	const struct look k = {bridge, listings, ret};
	json_t *listing;

	*ret = (struct netfilter){0};
	read_sysctls(ret);
	read_bridge(bridge, ret);
	listing = nft_listing(&k);
	for (int i = 0; i < NETFILTER_HANDED_N; i++) {
		const enum netfilter_family f = (enum netfilter_family)i;
		bool nft_tables;

		if (!netfilter_handed(ret, f))
			continue;
		nft_tables = read_iptables(&k, f, listing != NULL);
		if (listing && families[f].nft)
			read_nft(&k, f, listing, families[f].nft, nft_tables);
	}
	if (listing) {
		read_nft(&k, NETFILTER_BRIDGE, listing, "bridge", false);
		read_nft(&k, NETFILTER_DEVICE, listing, "netdev", false);
	}
	json_decref(listing);
}

void netfilter_look(const char *bridge, struct netfilter *ret)
{
	json_t *listings = json_object();

	netfilter_look_again(bridge, listings, ret);
	json_decref(listings);
}

void netfilter_deinit(struct netfilter *nf)
{
	free(nf->drops);
	*nf = (struct netfilter){0};
}

/* ---- as text ---- */

bool netfilter_on_device(const struct netfilter_drop *drop, const char *device)
{
	char list[sizeof(drop->devices)], *rest = NULL;

	snprintf(list, sizeof(list), "%s", drop->devices);
	for (char *d = strtok_r(list, ",", &rest); d; d = strtok_r(NULL, ",", &rest))
		if (!strcmp(d, device))
			return true;
	return false;
}

const char *netfilter_text(const struct netfilter_drop *drop, char *buf, size_t size)
{
	snprintf(buf, size, "chain %s of table %s (%s): %s%s", drop->chain, drop->table,
		 drop->command, *drop->rule ? "rule " : "policy DROP", drop->rule);
	return buf;
}

const char *netfilter_cure_sysctl(const struct netfilter *nf, const struct netfilter_drop *drop,
				  const char *bridge, const char *prefix, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	if (!netfilter_handed(nf, drop->family))
		return buf;
	if (nf->handed[drop->family].by_sysctl)
		len = (size_t)snprintf(buf, size, "%ssysctl -w %s=0", prefix,
				       families[drop->family].sysctl);
	if (nf->handed[drop->family].by_bridge && len < size)
		snprintf(buf + len, size - len, "%s%sip link set %s type bridge %s 0",
			 len ? " && " : "", prefix, bridge, families[drop->family].option);
	return buf;
}

/* A rule of iptables in front that accepts what is bridged; in PREROUTING all from bridges. */
static void cure_iptables(const struct netfilter_drop *drop, const char *prefix, char *buf,
			  size_t size)
{
	const char *what = drop->hook == RULESET_PREROUTING ? "is-in" : "is-bridged";
	const bool filter = !strcmp(drop->table, "filter");

	if (drop->family == NETFILTER_ARP)
		snprintf(buf, size, "%s%s -P %s ACCEPT", prefix, drop->command, drop->base);
	else
		snprintf(buf, size, "%s%s %s%s%s-I %s -m physdev --physdev-%s -j ACCEPT", prefix,
			 drop->command, filter ? "" : "-t ", filter ? "" : drop->table,
			 filter ? "" : " ", drop->base, what);
}

/* In the inet, ip and ip6 tables of nft a bridged frame comes from the bridge and leaves by it. */
static void cure_nft(const struct netfilter_drop *drop, const char *bridge, const char *prefix,
		     char *buf, size_t size)
{
	char in[40] = "", out[40] = "";

	if (drop->hook != RULESET_POSTROUTING)
		snprintf(in, sizeof(in), " iifname \"%s\"", bridge);
	if (drop->hook != RULESET_PREROUTING)
		snprintf(out, sizeof(out), " oifname \"%s\"", bridge);
	snprintf(buf, size, "%snft 'insert rule %s %s%s%s accept'", prefix, drop->table, drop->base,
		 in, out);
}

const char *netfilter_cure_rule(const struct netfilter_drop *drop, const char *bridge,
				const char *prefix, char *buf, size_t size)
{
	if (strcmp(drop->command, "nft") != 0)
		cure_iptables(drop, prefix, buf, size);
	else if (drop->family < NETFILTER_HANDED_N)
		cure_nft(drop, bridge, prefix, buf, size);
	else if (*drop->rule)
		snprintf(buf, size, "%snft delete rule %s %s handle %u", prefix, drop->table,
			 drop->chain, drop->handle);
	else
		snprintf(buf, size, "%snft 'chain %s %s { policy accept; }'", prefix, drop->table,
			 drop->base);
	return buf;
}
