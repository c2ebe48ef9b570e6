/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of the devices under a bridge: link, MTU, offloads, programs of others. */
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/fmt.h"

#define GSO_MAX 65536 /* the largest frame that our buffers and virtio_net_hdr take */

static const json_t *ports(const struct doctor *d)
{
	return json_object_get(d->picture, "ports");
}

static const json_t *link_of(const json_t *port)
{
	return json_object_get(port, "link");
}

/* ---- up, carrier ---- */

static void bridge_up(struct doctor *d, const json_t *link)
{
	if (!link && doctor_is_kernel(d)) {
		doctor_say(d, DOCTOR_PROBLEM, d->bridge,
			   "it is adopted, but there is no such device now");
		doctor_hint(d, "%s release %s", d->viaduct, d->bridge);
		return;
	}
	if (!link)
		doctor_say(d, DOCTOR_PROBLEM, d->bridge,
			   "its own interface is gone, so the host has no part in it");
	else if (row_bool(link, "up"))
		return;
	else if (doctor_is_kernel(d))
		doctor_say(d, json_array_size(ports(d)) ? DOCTOR_PROBLEM : DOCTOR_WARNING,
			   d->bridge, "is down, so it forwards nothing");
	else
		doctor_say(d, DOCTOR_WARNING, d->bridge,
			   "its interface is down: ports are bridged, but the host gets and sends "
			   "nothing");
	if (link)
		doctor_hint(d, "%sip link set %s up", d->prefix, d->bridge);
	else
		doctor_hint(d, "%s delbr %s, and make it again", d->viaduct, d->bridge);
}

void doctor_check_up(struct doctor *d)
{
	json_t *port;
	size_t i;

	bridge_up(d, json_object_get(d->picture, "link"));
	json_array_foreach(ports(d), i, port)
	{
		const char *name = row_text(port, "ifname");

		if (!link_of(port) || row_bool(link_of(port), "up") || !strcmp(name, d->bridge))
			continue;
		doctor_say(d, DOCTOR_WARNING, name, "this port of %s is down", d->bridge);
		doctor_hint(d, "%sip link set %s up", d->prefix, name);
	}
}

/* Why a device of this kind has no carrier. */
static const char *no_carrier(const char *kind)
{
	if (!strcmp(kind, "veth"))
		return "the other end of the veth pair is down";
	if (!strcmp(kind, "tun"))
		return "no program has the TAP open";
	return "no cable is plugged in, or the other end is off";
}

void doctor_check_carrier(struct doctor *d)
{
	json_t *port;
	size_t i;

	json_array_foreach(ports(d), i, port)
	{
		const json_t *link = link_of(port);
		const char *name = row_text(port, "ifname"), *kind = row_text(link, "kind");

		if (!link || !row_bool(link, "up") || row_bool(link, "carrier"))
			continue;
		doctor_say(d, DOCTOR_WARNING, name, "has no carrier: %s", no_carrier(kind));
		if (!strcmp(kind, "veth"))
			doctor_hint(d,
				    "%sip link show %s names the other end; ip link set OTHER up",
				    d->prefix, name);
		else
			doctor_hint(d, "%sethtool %s", d->prefix, name);
	}
}

void doctor_check_namespace(struct doctor *d)
{
	json_t *port;
	size_t i;

	json_array_foreach(ports(d), i, port)
	{
		const char *name = row_text(port, "ifname");
		const char *where =
			json_string_value(json_array_get(json_object_get(port, "elsewhere"), 0));
		const json_t *row = json_object_get(port, "row");

		if (link_of(port) || strcmp(row_text(row, "operstate"), "NOTPRESENT") != 0)
			continue;
		if (!where) {
			doctor_say(d, DOCTOR_PROBLEM, name,
				   "the device of this port of %s has vanished; a device of that "
				   "name takes its place when it comes",
				   d->bridge);
			doctor_hint(d, "%s delif %s %s", d->viaduct, d->bridge, name);
			continue;
		}
		doctor_say(
			d, DOCTOR_PROBLEM, name,
			"the device of this port of %s is not here, but there is one of that name "
			"in network namespace %s",
			d->bridge, where);
		doctor_hint(d, "ip -n %s link set %s netns %lld", where, name,
			    (long long)row_int(d->picture, "pid"));
	}
}

/* ---- MTU ---- */

static json_int_t largest_mtu(const struct doctor *d)
{
	json_int_t most = row_int(json_object_get(d->picture, "row"), "mtu");
	json_t *port;
	size_t i;

	most = max_of(most, row_int(json_object_get(d->picture, "link"), "mtu"));
	json_array_foreach(ports(d), i, port)
	{
		const json_int_t mtu = row_int(link_of(port), "mtu");

		most = max_of(most, mtu);
	}
	return most;
}

void doctor_check_mtu(struct doctor *d)
{
	const json_int_t most = largest_mtu(d),
			 own = row_int(json_object_get(d->picture, "link"), "mtu");
	json_int_t least = most;
	json_t *port;
	size_t i;

	json_array_foreach(ports(d), i, port)
	{
		const char *name = row_text(port, "ifname");
		const json_int_t mtu = row_int(link_of(port), "mtu");

		if (!mtu || mtu >= most)
			continue;
		least = min_of(least, mtu);
		doctor_say(
			d, DOCTOR_WARNING, name,
			"its MTU is %lld, but %s has others of %lld: what is longer than fits is "
			"dropped on its way out here",
			(long long)mtu, d->bridge, (long long)most);
		doctor_hint(d, "%sip link set %s mtu %lld", d->prefix, name, (long long)most);
	}
	if (!own || own >= least || json_array_size(ports(d)) == 0)
		return;
	doctor_say(d, DOCTOR_WARNING, d->bridge,
		   "its own MTU is %lld, that of all its ports at least %lld: the host sends and "
		   "accepts less than the ports",
		   (long long)own, (long long)least);
	doctor_hint(d, "%sip link set %s mtu %lld", d->prefix, d->bridge, (long long)least);
}

/* ---- offloads ---- */

static bool has_feature(const json_t *port, const char *name)
{
	json_t *f;
	size_t i;

	json_array_foreach(json_object_get(port, "features"), i,
			   f) if (!strcmp(json_string_value(f), name)) return true;
	return false;
}

void doctor_check_offloads(struct doctor *d)
{
	json_t *port;
	size_t i;

	json_array_foreach(ports(d), i, port)
	{
		const char *name = row_text(port, "ifname");
		const json_int_t gro = row_int(link_of(port), "gro_max");

		if (has_feature(port, "rx-lro")) {
			doctor_say(d, DOCTOR_PROBLEM, name,
				   "LRO is on, and frames that it has merged cannot be bridged");
			doctor_hint(d, "%sethtool -K %s lro off", d->prefix, name);
		}
		if (has_feature(port, "rx-fcs")) {
			doctor_say(d, DOCTOR_WARNING, name,
				   "rx-fcs is on: frames are bridged with 4 bytes too many, their "
				   "checksum");
			doctor_hint(d, "%sethtool -K %s rx-fcs off", d->prefix, name);
		}
		if (gro > GSO_MAX && doctor_is_ours(d)) {
			doctor_say(d, DOCTOR_WARNING, name,
				   "GRO merges up to %lld bytes (BIG TCP), and frames above %d "
				   "bytes are dropped",
				   (long long)gro, GSO_MAX);
			doctor_hint(d, "%sip link set %s gro_max_size %d gro_ipv4_max_size %d",
				    d->prefix, name, GSO_MAX, GSO_MAX);
		}
	}
}

/* ---- programs of others ---- */

/*
 * All of ours have names that begin with vd_. At a port of ours a program without one may be ours,
 * if the kernel did not tell its name for want of CAP_BPF.
 */
static bool may_be_ours(const struct doctor *d, const char *program, json_int_t id)
{
	return !strncmp(program, "vd_", 3) || (id && !*program && doctor_is_ours(d));
}

static void check_xdp(struct doctor *d, const json_t *port)
{
	const char *name = row_text(port, "ifname"), *program = row_text(port, "program");
	const json_int_t id = row_int(json_object_get(link_of(port), "xdp"), "id");

	if (!id || may_be_ours(d, program, id))
		return;
	doctor_say(d, DOCTOR_WARNING, name,
		   "an XDP program of others (%s%sid %lld) sees its frames before %s does, and may "
		   "drop or redirect them",
		   program, *program ? ", " : "", (long long)id, d->bridge);
	doctor_hint(d, "%sbpftool prog show id %lld", d->prefix, (long long)id);
	doctor_hint(d, "%sip link set %s xdp off", d->prefix, name);
}

static void check_tc(struct doctor *d, const char *name, const json_t *tc)
{
	const char *program = row_text(tc, "name"), *where = row_text(tc, "where");
	const char *how = row_text(tc, "how");
	const bool tcx = !strcmp(how, "tcx");
	char id[32] = "";

	if (may_be_ours(d, program, row_int(tc, "id")))
		return;
	if (row_int(tc, "id"))
		snprintf(id, sizeof(id), ", id %lld", (long long)row_int(tc, "id"));
	doctor_say(d, DOCTOR_WARNING, name,
		   "a tc %s of others (%s%s%s%s) sees its frames at %s, and may drop, change or "
		   "redirect them",
		   tcx || *id ? "program" : "filter", how, *program ? ", " : "", program, id,
		   where);
	if (tcx)
		doctor_hint(d, "%sbpftool prog show id %lld tells whose it is; end that", d->prefix,
			    (long long)row_int(tc, "id"));
	else
		doctor_hint(d, "%stc filter del dev %s %s pref %lld", d->prefix, name, where,
			    (long long)row_int(tc, "pref"));
}

void doctor_check_programs(struct doctor *d)
{
	json_t *port, *tc;
	size_t i, j;

	json_array_foreach(ports(d), i, port)
	{
		check_xdp(d, port);
		json_array_foreach(json_object_get(port, "tc"), j, tc)
			check_tc(d, row_text(port, "ifname"), tc);
	}
}
