/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/programs.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/compiler.h"
#include "cli/nldump.h"

/* Kernel 6.6; Debian 12's headers lack them. */
#define TCX_INGRESS 46
#define TCX_EGRESS  47

#define PROGRAMS_MAX 64 /* the kernel's limit of one side of a device */
#define FEATURES_MAX 256

static const char *const sides[] = {"ingress", "egress"};

/* ---- BPF ---- */

const char *programs_name(unsigned int id, char *buf, size_t size)
{
	struct bpf_prog_info info = {0};
	union bpf_attr attr = {.prog_id = id};
	long fd = id ? syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &attr, sizeof(attr)) : -1;
	size_t len;

	buf[0] = '\0';
	if (fd < 0)
		return buf;
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) == 0) {
		len = min_of(strnlen(info.name, sizeof(info.name)), size - 1);
		memcpy(buf, info.name, len);
		buf[len] = '\0';
	}
	close((int)fd);
	return buf;
}

static json_t *row(bool egress, const char *how, unsigned int id, const char *other)
{
	char name[32];

	programs_name(id, name, sizeof(name));
	return json_pack("{s:s, s:s, s:I, s:s}", "where", sides[egress], "how", how, "id",
			 (json_int_t)id, "name", *name ? name : other);
}

static void add_tcx(json_t *rows, int ifindex, bool egress)
{
	uint32_t ids[PROGRAMS_MAX];
	union bpf_attr attr = {0};

	attr.query.target_fd = (uint32_t)ifindex; /* target_ifindex shares its place */
	attr.query.attach_type = egress ? TCX_EGRESS : TCX_INGRESS;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = PROGRAMS_MAX;
	if (syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) < 0)
		return;
	for (uint32_t i = 0; i < min_of(attr.query.prog_cnt, (uint32_t)PROGRAMS_MAX); i++)
		json_array_append_new(rows, row(egress, "tcx", ids[i], ""));
}

/* ---- filters of clsact ---- */

struct filter {
	const char *kind, *name;
	unsigned int id;
};

static int take_bpf(const struct nlattr *a, void *ctx)
{
	struct filter *f = ctx;

	if (mnl_attr_get_type(a) == TCA_BPF_NAME)
		f->name = mnl_attr_get_str(a);
	else if (mnl_attr_get_type(a) == TCA_BPF_ID && mnl_attr_get_payload_len(a) >= 4)
		f->id = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int take_attr(const struct nlattr *a, void *ctx)
{
	struct filter *f = ctx;

	if (mnl_attr_get_type(a) == TCA_KIND)
		f->kind = mnl_attr_get_str(a);
	else if (mnl_attr_get_type(a) == TCA_OPTIONS && !strcmp(f->kind, "bpf"))
		mnl_attr_parse_nested(a, take_bpf, f);
	return MNL_CB_OK;
}

struct filters {
	json_t *rows;
	bool egress;
};

/* A classifier lists what it keeps beside its filters, too: one row for each place is enough. */
static bool is_known(const json_t *rows, const json_t *row)
{
	json_t *old;
	size_t i;

	json_array_foreach(rows, i, old)
	{
		if (json_equal(old, row))
			return true;
	}
	return false;
}

static int take_filter(const struct nlmsghdr *h, void *ctx)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(h);
	const struct filters *to = ctx;
	struct filter f = {"", "", 0};
	json_t *o;

	mnl_attr_parse(h, sizeof(*tc), take_attr, &f);
	/* A classifier is also there without any filter, as a handle of nothing. */
	if (h->nlmsg_type != RTM_NEWTFILTER || !tc->tcm_handle)
		return MNL_CB_OK;
	o = row(to->egress, f.kind, f.id, f.name);
	json_object_set_new(o, "pref", json_integer(TC_H_MAJ(tc->tcm_info) >> 16));
	if (!is_known(to->rows, o))
		json_array_append(to->rows, o);
	json_decref(o);
	return MNL_CB_OK;
}

static void add_filters(json_t *rows, int ifindex, bool egress)
{
	struct filters to = {rows, egress};
	char buf[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct tcmsg *tc;

	h->nlmsg_type = RTM_GETTFILTER;
	tc = mnl_nlmsg_put_extra_header(h, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = ifindex;
	tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
	nldump(h, take_filter, &to);
}

json_t *programs_tc(int ifindex)
{
	json_t *rows = json_array();

	for (int egress = 0; egress < 2; egress++) {
		add_tcx(rows, ifindex, egress);
		add_filters(rows, ifindex, egress);
	}
	return rows;
}

/* ---- features ---- */

/* One question of ethtool(8) about ifname; false if it is refused. */
static bool ask(int fd, const char *ifname, void *question)
{
	struct ifreq ifr = {.ifr_data = question};

	strncpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name) - 1);
	return ioctl(fd, SIOCETHTOOL, &ifr) == 0;
}

/* How many features this kernel knows; 0 if it does not say. */
static uint32_t count(int fd, const char *ifname)
{
	struct {
		struct ethtool_sset_info info;
		uint32_t n;
	} q = {.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES}};

	return ask(fd, ifname, &q) && q.info.sset_mask ? min_of(q.n, (uint32_t)FEATURES_MAX) : 0;
}

json_t *programs_features(const char *ifname)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const uint32_t n = fd >= 0 ? count(fd, ifname) : 0, blocks = (n + 31) / 32;
	struct ethtool_gstrings *names =
		calloc(1, sizeof(*names) + (size_t)FEATURES_MAX * ETH_GSTRING_LEN);
	struct ethtool_gfeatures *on =
		calloc(1, sizeof(*on) + FEATURES_MAX / 32 * sizeof(on->features[0]));
	json_t *list = json_array();
	char name[ETH_GSTRING_LEN + 1] = "";

	if (names && on && n) {
		*names = (struct ethtool_gstrings){ETHTOOL_GSTRINGS, ETH_SS_FEATURES, n};
		*on = (struct ethtool_gfeatures){ETHTOOL_GFEATURES, blocks};
		if (!ask(fd, ifname, names) || !ask(fd, ifname, on))
			on->size = 0;
	}
	for (uint32_t i = 0; on && names && i < on->size * 32 && i < n; i++) {
		memcpy(name, names->data + (size_t)i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
		if (on->features[i / 32].active & 1u << i % 32)
			json_array_append_new(list, json_string(name));
	}
	if (fd >= 0)
		close(fd);
	free(names);
	free(on);
	return list;
}
