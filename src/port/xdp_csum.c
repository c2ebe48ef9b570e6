/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/xdp_csum.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "base/compiler.h"

#define TAGS_MAX   4
#define LEVELS_MAX 3 /* the frame itself and two tunnels in it */
#define EXT_MAX    4 /* IPv6 extension headers */

#define PORT_VXLAN       4789
#define PORT_VXLAN_LINUX 8472 /* what Linux uses unless told otherwise */
#define PORT_GENEVE      6081

#define GRE_CSUM 0x8000
#define GRE_KEY  0x2000
#define GRE_SEQ  0x1000
#define GRE_REST 0x4fff /* routing, version and reserved bits: not looked through */

/* Where the walk is and what it knows of the packet around it. */
struct walk {
	const uint8_t *p;
	uint32_t len;    /* of the frame */
	uint32_t ofs;    /* of the header that comes next */
	uint32_t end;    /* of the packet, as its IP header says; at most len */
	uint32_t pseudo; /* sum of the addresses, in memory order */
	uint8_t proto;   /* of the header at ofs, once an IP header was read */
};

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Sum of n bytes (a multiple of four) as 16-bit words in memory order, not folded. */
static uint32_t sum_words(const uint8_t *p, uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i += 4) {
		uint32_t v;

		memcpy(&v, p + i, sizeof(v));
		sum += v;
	}
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	return ((uint32_t)sum & 0xffff) + ((uint32_t)sum >> 16);
}

/* EtherType behind tags; w->ofs moves behind it. 0: too short. */
static uint16_t read_ethernet(struct walk *w)
{
	uint32_t ofs = w->ofs + 12;

	for (int i = 0; i <= TAGS_MAX; i++, ofs += 4) {
		uint16_t type;

		if (ofs + 2 > w->len)
			return 0;
		type = be16(w->p + ofs);
		if (type != ETH_P_8021Q && type != ETH_P_8021AD) {
			w->ofs = ofs + 2;
			return type;
		}
	}
	return 0;
}

static bool read_ipv4(struct walk *w)
{
	const uint8_t *ip = w->p + w->ofs;
	uint32_t hlen, total;

	if (w->ofs + 20 > w->len)
		return false;
	hlen = (ip[0] & 15u) * 4;
	total = be16(ip + 2);
	if (ip[0] >> 4 != 4 || hlen < 20 || total < hlen || w->ofs + total > w->len)
		return false;
	if (be16(ip + 6) & 0x3fff) /* a fragment: its sender has finished the checksum */
		return false;
	w->proto = ip[9];
	w->pseudo = sum_words(ip + 12, 8);
	w->end = w->ofs + total;
	w->ofs += hlen;
	return true;
}

static bool read_ipv6(struct walk *w)
{
	const uint8_t *ip = w->p + w->ofs;
	uint32_t plen;

	if (w->ofs + 40 > w->len)
		return false;
	plen = be16(ip + 4);
	if (ip[0] >> 4 != 6 || w->ofs + 40 + plen > w->len)
		return false;
	w->proto = ip[6];
	w->pseudo = sum_words(ip + 8, 32);
	w->ofs += 40;
	w->end = w->ofs + plen;
	for (int i = 0; i < EXT_MAX; i++) {
		const uint8_t *ext = w->p + w->ofs;

		if (w->proto != IPPROTO_HOPOPTS && w->proto != IPPROTO_ROUTING &&
		    w->proto != IPPROTO_DSTOPTS)
			break;
		if (w->ofs + 8 > w->end)
			return false;
		w->proto = ext[0];
		w->ofs += 8 + ext[1] * 8u;
	}
	return w->ofs <= w->end;
}

/* Does the field at ofs hold the pseudo header's sum and nothing else? */
static bool is_partial(const struct walk *w, uint32_t field)
{
	uint32_t sum = w->pseudo + htons(w->proto) + htons((uint16_t)(w->end - w->ofs));
	uint16_t v;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	memcpy(&v, w->p + w->ofs + field, sizeof(v));
	return v == sum;
}

static uint16_t enter_gre(struct walk *w)
{
	uint16_t flags, type;
	uint32_t hlen = 4;

	if (w->ofs + 4 > w->end)
		return 0;
	flags = be16(w->p + w->ofs);
	type = be16(w->p + w->ofs + 2);
	if (flags & GRE_REST)
		return 0;
	hlen += (flags & GRE_CSUM ? 4u : 0) + (flags & GRE_KEY ? 4u : 0) +
		(flags & GRE_SEQ ? 4u : 0);
	w->ofs += hlen;
	return type;
}

/* A VXLAN header as everybody writes it: only the flag that there is an identifier. */
static bool is_vxlan(const uint8_t *p)
{
	return p[0] == 0x08 && !p[1] && !p[2] && !p[3] && !p[7];
}

/* A Geneve header around Ethernet, no reserved bit set. */
static bool is_geneve(const uint8_t *p)
{
	return !(p[0] & 0xc0) && !(p[1] & 0x3f) && be16(p + 2) == ETH_P_TEB && !p[7];
}

/*
 * On any port, for those are configured. What only looks like a tunnel would need an IP packet of
 * the right length in it as well, and a sum that is no checksum yet.
 */
static uint16_t enter_udp_tunnel(struct walk *w)
{
	const uint8_t *udp = w->p + w->ofs;
	uint16_t port = be16(udp + 2);

	if (w->ofs + 16 > w->end)
		return 0;
	if (port == PORT_VXLAN || port == PORT_VXLAN_LINUX || is_vxlan(udp + 8)) {
		w->ofs += 16;
		return ETH_P_TEB;
	}
	if (port == PORT_GENEVE || is_geneve(udp + 8)) {
		w->ofs += 16 + (udp[8] & 0x3fu) * 4;
		return be16(udp + 10);
	}
	return 0;
}

/* The EtherType of what a tunnel header at w->ofs carries, with w->ofs behind it. 0: no tunnel. */
static uint16_t enter_tunnel(struct walk *w)
{
	switch (w->proto) {
	case IPPROTO_UDP:
		return enter_udp_tunnel(w);
	case IPPROTO_GRE:
		return enter_gre(w);
	case IPPROTO_IPIP:
		return ETH_P_IP;
	case IPPROTO_IPV6:
		return ETH_P_IPV6;
	default:
		return 0;
	}
}

bool xdp_csum_partial(const uint8_t *p, uint32_t len, uint16_t *ret_start, uint16_t *ret_offset)
{
	struct walk w = {.p = p, .len = len, .end = len};
	uint16_t type = ETH_P_TEB;

	for (int level = 0; level < LEVELS_MAX; level++) {
		uint32_t field;

		if (type == ETH_P_TEB)
			type = read_ethernet(&w);
		if (!(type == ETH_P_IP ? read_ipv4(&w) : type == ETH_P_IPV6 && read_ipv6(&w)))
			return false;
		field = w.proto == IPPROTO_TCP ? 16 : w.proto == IPPROTO_UDP ? 6 : 0;
		if (field && w.ofs + (field == 16 ? 20 : 8) > w.end)
			return false;
		if (field && is_partial(&w, field)) {
			*ret_start = (uint16_t)w.ofs;
			*ret_offset = (uint16_t)field;
			return w.ofs <= UINT16_MAX;
		}
		if (w.proto == IPPROTO_TCP)
			return false;
		type = enter_tunnel(&w);
		if (type == 0)
			return false;
		w.len = w.end; /* an inner packet does not leave its outer one */
	}
	return false;
}
