/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each decoder takes its fields with the bounds-checked reader, asks cut() once, and writes. What a
 * decoder does not know it leaves out: this names a frame, it does not judge it.
 */
#include "wire/summary.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/mac.h"

#define TAGS_MAX     4 /* shown; more are an EtherType like any other */
#define TYPE_MIN     1536u
#define IPV6_EXT_MAX 8 /* extension headers walked through */

struct summary {
	struct bytes in;
	char *buf; /* what is written so far, with a NUL */
	size_t size, at;
};

struct name {
	uint16_t number;
	const char *name;
};

static _printf_(2, 3) void add(struct summary *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (s->at >= s->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(s->buf + s->at, s->size - s->at, fmt, ap);
	va_end(ap);
	if (n > 0)
		s->at += min_of((size_t)n, s->size - s->at);
}

/* Did the bytes end before what was read? Says so. */
static bool cut(struct summary *s)
{
	if (s->in.failed)
		add(s, ", cut short");
	return s->in.failed;
}

static const char *name_of(const struct name *names, size_t n, uint16_t number)
{
	for (size_t i = 0; i < n; i++) {
		if (names[i].number == number)
			return names[i].name;
	}
	return NULL;
}

/* ---- above IP ---- */

static const struct name icmp_types[] = {
	{0, "echo reply"},       {3, "destination unreachable"}, {5, "redirect"},
	{8, "echo request"},     {9, "router advertisement"},    {10, "router solicitation"},
	{11, "time exceeded"},   {12, "parameter problem"},      {13, "timestamp request"},
	{14, "timestamp reply"},
};

static const struct name unreachable_codes[] = {
	{0, "network"},     {1, "host"}, {2, "protocol"}, {3, "port"}, {4, "fragmentation needed"},
	{13, "prohibited"},
};

static const struct name icmpv6_types[] = {
	{1, "destination unreachable"},
	{2, "packet too big"},
	{3, "time exceeded"},
	{4, "parameter problem"},
	{128, "echo request"},
	{129, "echo reply"},
	{130, "multicast listener query"},
	{131, "multicast listener report"},
	{132, "multicast listener done"},
	{133, "router solicitation"},
	{134, "router advertisement"},
	{135, "neighbour solicitation"},
	{136, "neighbour advertisement"},
	{137, "redirect"},
	{143, "multicast listener report"},
};

static const struct name protocols[] = {
	{1, "ICMP"},   {2, "IGMP"},  {4, "IPv4"},  {6, "TCP"},    {17, "UDP"},
	{41, "IPv6"},  {47, "GRE"},  {50, "ESP"},  {51, "AH"},    {58, "ICMPv6"},
	{88, "EIGRP"}, {89, "OSPF"}, {103, "PIM"}, {112, "VRRP"}, {132, "SCTP"},
};

/* Ports whose traffic people look for when something does not get an address or a name. */
static const struct name services[] = {
	{53, "DNS"},     {67, "DHCP"},    {68, "DHCP"},    {123, "NTP"},
	{546, "DHCPv6"}, {547, "DHCPv6"}, {4789, "VXLAN"}, {5353, "mDNS"},
};

static void add_protocol(struct summary *s, uint8_t protocol)
{
	const char *name = name_of(protocols, array_size(protocols), protocol);

	if (name)
		add(s, " %s", name);
	else
		add(s, " protocol %u", protocol);
}

static void icmp(struct summary *s)
{
	const uint8_t type = bytes_u8(&s->in), code = bytes_u8(&s->in);
	const char *name = name_of(icmp_types, array_size(icmp_types), type), *why;

	add(s, " ICMP");
	if (cut(s))
		return;
	if (name)
		add(s, " %s", name);
	else
		add(s, " type %u", type);
	why = type == 3 ? name_of(unreachable_codes, array_size(unreachable_codes), code) : NULL;
	if (why)
		add(s, " (%s)", why);
	if (type != 0 && type != 8)
		return;
	bytes_skip(&s->in, 4);
	add(s, " seq %u", bytes_be16(&s->in));
	cut(s);
}

static void add_ipv6(struct summary *s, const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN];

	add(s, "%s", inet_ntop(AF_INET6, address, text, sizeof(text)));
}

static void icmpv6(struct summary *s)
{
	const uint8_t type = bytes_u8(&s->in);
	const char *name = name_of(icmpv6_types, array_size(icmpv6_types), type);
	const uint8_t *target;

	add(s, " ICMPv6");
	if (cut(s))
		return;
	if (name)
		add(s, " %s", name);
	else
		add(s, " type %u", type);
	bytes_skip(&s->in, 3);
	if (type == 128 || type == 129) {
		bytes_skip(&s->in, 2);
		add(s, " seq %u", bytes_be16(&s->in));
	} else if (type == 135 || type == 136) {
		bytes_skip(&s->in, 4);
		target = s->in.p;
		bytes_skip(&s->in, 16);
		if (!s->in.failed) {
			add(s, " ");
			add_ipv6(s, target);
		}
	}
	cut(s);
}

static void tcp_flags(struct summary *s)
{
	static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK"};
	uint8_t flags;

	bytes_skip(&s->in, 9);
	flags = bytes_u8(&s->in);
	if (cut(s))
		return;
	for (size_t i = 0; i < array_size(names); i++) {
		if (flags & 1u << i)
			add(s, " %s", names[i]);
	}
}

static void transport(struct summary *s, uint8_t protocol)
{
	const char *service;
	uint16_t from, to;

	if (protocol == 1) {
		icmp(s);
		return;
	}
	if (protocol == 58) {
		icmpv6(s);
		return;
	}
	add_protocol(s, protocol);
	if (protocol != 6 && protocol != 17 && protocol != 132)
		return;
	from = bytes_be16(&s->in);
	to = bytes_be16(&s->in);
	if (cut(s))
		return;
	add(s, " %u > %u", from, to);
	if (protocol == 6)
		tcp_flags(s);
	service = name_of(services, array_size(services), to);
	if (!service)
		service = name_of(services, array_size(services), from);
	if (protocol == 17 && service)
		add(s, " (%s)", service);
}

/* ---- IP and ARP ---- */

static void add_ipv4(struct summary *s, uint32_t address)
{
	add(s, "%u.%u.%u.%u", address >> 24, address >> 16 & 0xff, address >> 8 & 0xff,
	    address & 0xff);
}

/* The packet has n more bytes: what lies behind them is padding of the frame. */
static void limit(struct summary *s, uint32_t n)
{
	if (n < bytes_left(&s->in))
		s->in.end = s->in.p + n;
}

static void ipv4(struct summary *s)
{
	const uint8_t first = bytes_u8(&s->in);
	const uint32_t header = (first & 0xf) * 4u;
	uint32_t src, dst;
	uint16_t total, fragment;
	uint8_t protocol;

	add(s, ", IPv4");
	bytes_skip(&s->in, 1);
	total = bytes_be16(&s->in);
	bytes_skip(&s->in, 2);
	fragment = bytes_be16(&s->in);
	bytes_skip(&s->in, 1);
	protocol = bytes_u8(&s->in);
	bytes_skip(&s->in, 2);
	src = bytes_be32(&s->in);
	dst = bytes_be32(&s->in);
	if (cut(s))
		return;
	if (first >> 4 != 4 || header < 20) {
		add(s, " with a malformed header");
		return;
	}
	add(s, " ");
	add_ipv4(s, src);
	add(s, " > ");
	add_ipv4(s, dst);
	if (total >= 20) /* 0: left to whoever cuts it into segments */
		limit(s, total - 20u);
	bytes_skip(&s->in, header - 20);
	if (fragment & 0x1fff) {
		add_protocol(s, protocol);
		add(s, ", fragment at %u", (fragment & 0x1fffu) * 8);
		return;
	}
	transport(s, protocol);
	if (fragment & 0x2000)
		add(s, ", first fragment");
}

/* Over extension headers. False when there is nothing more to tell. */
static bool ipv6_extensions(struct summary *s, uint8_t *next)
{
	for (int i = 0; i < IPV6_EXT_MAX; i++) {
		uint8_t size;
		uint16_t offset;

		switch (*next) {
		case 0: /* hop by hop, routing, destination options */
		case 43:
		case 60:
			*next = bytes_u8(&s->in);
			size = bytes_u8(&s->in);
			bytes_skip(&s->in, size * 8u + 6);
			break;
		case 44: /* fragment */
			*next = bytes_u8(&s->in);
			bytes_skip(&s->in, 1);
			offset = bytes_be16(&s->in) & 0xfff8;
			bytes_skip(&s->in, 4);
			if (s->in.failed || !offset)
				break;
			add_protocol(s, *next);
			add(s, ", fragment at %u", offset);
			return false;
		default:
			return true;
		}
		if (cut(s))
			return false;
	}
	add(s, " with many extension headers");
	return false;
}

static void ipv6(struct summary *s)
{
	const uint8_t version = bytes_u8(&s->in) >> 4;
	const uint8_t *src, *dst;
	uint16_t size;
	uint8_t next;

	add(s, ", IPv6");
	bytes_skip(&s->in, 3);
	size = bytes_be16(&s->in);
	next = bytes_u8(&s->in);
	bytes_skip(&s->in, 1);
	src = s->in.p;
	bytes_skip(&s->in, 16);
	dst = s->in.p;
	bytes_skip(&s->in, 16);
	if (cut(s))
		return;
	if (version != 6) {
		add(s, " with a malformed header");
		return;
	}
	add(s, " ");
	add_ipv6(s, src);
	add(s, " > ");
	add_ipv6(s, dst);
	if (size > 0) /* 0: a jumbogram, or left to whoever cuts it into segments */
		limit(s, size);
	if (ipv6_extensions(s, &next))
		transport(s, next);
}

static void arp(struct summary *s)
{
	const uint16_t hardware = bytes_be16(&s->in), protocol = bytes_be16(&s->in);
	const uint8_t hardware_size = bytes_u8(&s->in), protocol_size = bytes_u8(&s->in);
	const uint16_t op = bytes_be16(&s->in);
	const uint64_t mac = bytes_mac(&s->in);
	const uint32_t sender = bytes_be32(&s->in);
	char text[MAC_TEXT_SIZE];
	uint32_t target;

	bytes_skip(&s->in, 6);
	target = bytes_be32(&s->in);
	add(s, ", ARP");
	if (cut(s))
		return;
	if (hardware != 1 || protocol != 0x0800 || hardware_size != 6 || protocol_size != 4 ||
	    op < 1 || op > 2) {
		add(s, " op %u", op);
		return;
	}
	if (op == 2 || sender == target) {
		add(s, op == 2 ? " " : " announces ");
		add_ipv4(s, sender);
		add(s, " is-at %s", mac_format(mac, text));
		return;
	}
	add(s, " who-has ");
	add_ipv4(s, target);
	if (sender) {
		add(s, " tell ");
		add_ipv4(s, sender);
	} else {
		add(s, " (probe)");
	}
}

/* ---- this link ---- */

static void bpdu(struct summary *s)
{
	const uint16_t protocol = bytes_be16(&s->in);
	const uint8_t version = bytes_u8(&s->in), type = bytes_u8(&s->in);
	uint64_t root;
	uint32_t cost;
	uint16_t priority;
	uint8_t flags;

	add(s, ", BPDU");
	if (cut(s) || protocol != 0)
		return;
	if (type == 0x80) {
		add(s, " topology change notification");
		return;
	}
	if (type != 0 && type != 2) {
		add(s, " type %u", type);
		return;
	}
	flags = bytes_u8(&s->in);
	priority = bytes_be16(&s->in);
	root = bytes_mac(&s->in);
	cost = bytes_be32(&s->in);
	add(s, "%s", type == 0 ? " STP" : version >= 3 ? " MSTP" : " RSTP");
	if (cut(s))
		return;
	add(s, " root %04x.%012llx cost %u", priority, (unsigned long long)root, cost);
	if (flags & 1)
		add(s, " topology change");
}

static void slow(struct summary *s)
{
	const uint8_t subtype = bytes_u8(&s->in);

	if (s->in.failed)
		add(s, ", slow protocol");
	else if (subtype == 1)
		add(s, ", LACP");
	else if (subtype == 2)
		add(s, ", LACP marker");
	else if (subtype == 3)
		add(s, ", OAM");
	else
		add(s, ", slow protocol %u", subtype);
	cut(s);
}

static void mac_control(struct summary *s)
{
	const uint16_t op = bytes_be16(&s->in), quanta = bytes_be16(&s->in);

	if (s->in.failed)
		add(s, ", MAC control");
	else if (op == 1)
		add(s, ", pause %u", quanta);
	else if (op == 0x0101)
		add(s, ", priority pause");
	else
		add(s, ", MAC control op %u", op);
	cut(s);
}

/* 802.3: a length where others have a type. */
static void llc(struct summary *s, uint16_t length)
{
	uint8_t dsap, ssap, control;
	uint32_t oui;
	uint16_t type;

	limit(s, length);
	dsap = bytes_u8(&s->in);
	ssap = bytes_u8(&s->in);
	control = bytes_u8(&s->in);
	if (s->in.failed) {
		add(s, ", LLC");
		cut(s);
		return;
	}
	if (dsap == 0x42 && ssap == 0x42 && control == 3) {
		bpdu(s);
		return;
	}
	if (dsap != 0xaa || ssap != 0xaa) {
		add(s, ", LLC 0x%02x > 0x%02x", ssap, dsap);
		return;
	}
	oui = (uint32_t)bytes_u8(&s->in) << 16;
	oui |= bytes_be16(&s->in);
	type = bytes_be16(&s->in);
	add(s, ", SNAP");
	if (!cut(s))
		add(s, " 0x%06x 0x%04x", oui, type);
}

/* ---- the frame ---- */

static const struct name ethertypes[] = {
	{0x22f0, "AVTP"},          {0x6558, "bridged Ethernet"},
	{0x8035, "RARP"},          {0x8847, "MPLS"},
	{0x8848, "MPLS"},          {0x8863, "PPPoE discovery"},
	{0x8864, "PPPoE"},         {0x888e, "EAPOL"},
	{0x88cc, "LLDP"},          {0x88e5, "MACsec"},
	{0x88f7, "PTP"},           {0x8902, "CFM"},
	{0x9000, "loopback test"},
};

static bool is_tag(uint16_t type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* Over VLAN tags. Returns the EtherType behind them. */
static uint16_t tags(struct summary *s)
{
	uint16_t type = bytes_be16(&s->in);

	for (int i = 0; i < TAGS_MAX && is_tag(type); i++) {
		const uint16_t tci = bytes_be16(&s->in), inner = bytes_be16(&s->in);

		if (s->in.failed)
			return type;
		add(s, ", ");
		if (type == 0x88a8)
			add(s, "802.1ad ");
		add(s, "vlan %u", tci & 0xfff);
		if (tci >> 13)
			add(s, " priority %u", tci >> 13);
		type = inner;
	}
	return type;
}

static void payload(struct summary *s, uint16_t type)
{
	const char *name;

	switch (type) {
	case 0x0800:
		ipv4(s);
		return;
	case 0x86dd:
		ipv6(s);
		return;
	case 0x0806:
		arp(s);
		return;
	case 0x8808:
		mac_control(s);
		return;
	case 0x8809:
		slow(s);
		return;
	default:
		break;
	}
	if (type < TYPE_MIN) {
		llc(s, type);
		return;
	}
	name = name_of(ethertypes, array_size(ethertypes), type);
	if (name)
		add(s, ", %s", name);
	else
		add(s, ", EtherType 0x%04x", type);
}

const char *frame_summary(const uint8_t *data, uint32_t caplen, uint32_t len, char *buf,
			  size_t size)
{
	struct summary s = {.buf = buf, .size = size};
	char dst[MAC_TEXT_SIZE], src[MAC_TEXT_SIZE];
	uint64_t to, from;
	uint16_t type;

	if (size > 0)
		buf[0] = '\0';
	bytes_init(&s.in, data, caplen);
	to = bytes_mac(&s.in);
	from = bytes_mac(&s.in);
	if (caplen == 0 && len > 0) {
		add(&s, "bytes unknown");
	} else if (s.in.failed) {
		add(&s, "no whole Ethernet header");
	} else {
		add(&s, "%s > %s", mac_format(from, src), mac_format(to, dst));
		type = tags(&s);
		if (!s.in.failed)
			payload(&s, type);
		else
			cut(&s);
	}
	add(&s, ", %u byte%s", len, len == 1 ? "" : "s");
	return buf;
}
