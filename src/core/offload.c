/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation. walk() follows the headers from the outside to the transport header that
 * the GSO type is about, and notes each layer with a length, an id or a checksum. With a partial
 * checksum csum_start says where that header is, so a tunnel is recognised by structure and not by
 * port number: a reading of the bytes counts only if it ends exactly there.
 *
 * Segmentation works on a private copy of the headers, because the frame may lie in memory that a
 * program can change while we read. All offsets come from that copy and are checked against the
 * frame's length. Fields that differ between segments are zero in the copy, and each layer's bytes
 * are summed once per frame. A segment gets the headers and its share of the payload, then its
 * fields from the innermost layer outwards; a running sum of everything from the layer to the end
 * of the frame serves all checksums. It works because all headers have an even length. Reading the
 * headers back for each sum instead cost 50 ns a segment, stalled behind the stores.
 */
#include "core/offload.h"

#include <string.h>

#include "base/bytes.h"

#define HEADERS_MAX  512u /* outer and inner headers together; Geneve and IP options included */
#define LAYERS_MAX   6u
#define IPV6_EXT_MAX 8u /* extension headers of one layer */

enum {
	ETH_IPV4 = 0x0800,
	ETH_IPV6 = 0x86dd,
	ETH_TEB = 0x6558, /* Ethernet inside GRE, Geneve */
};

enum {
	PROTO_HOPOPTS = 0,
	PROTO_IPIP = 4,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_IPV6 = 41,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_GRE = 47,
	PROTO_DSTOPTS = 60,
};

enum {
	TCP_SIZE = 20,
	TCP_SEQ = 4,
	TCP_FLAGS = 13,
	TCP_CSUM = 16,
	TCP_FIN = 0x01,
	TCP_PSH = 0x08,
	TCP_CWR = 0x80,
	UDP_SIZE = 8,
	UDP_LEN = 4,
	UDP_CSUM = 6,
	IPV4_SIZE = 20,
	IPV4_LEN = 2,
	IPV4_ID = 4,
	IPV4_CSUM = 10,
	IPV6_SIZE = 40,
	IPV6_LEN = 4,
	GRE_SIZE = 4,
	GRE_CSUM = 4,
	TUNNEL_SIZE = 8, /* VXLAN, Geneve without options */
};

#define GRE_HAS_CSUM 0x8000u
#define GRE_HAS_KEY  0x2000u

enum layer_kind { LAYER_IPV4, LAYER_IPV6, LAYER_UDP, LAYER_GRE };

/* A header around the transport header that changes from segment to segment. */
struct layer {
	uint8_t kind;    /* enum layer_kind */
	bool has_csum;   /* UDP, GRE: there is a checksum to renew */
	bool routed;     /* IPv6: a routing header hides the final destination */
	uint16_t ofs;    /* from the frame's first byte */
	uint16_t id;     /* IPv4: of the first segment */
	uint16_t sum;    /* of its bytes up to the next layer; variable fields count as zero */
	uint16_t pseudo; /* UDP with a checksum: sum of the pseudo-header but for the length */
};

struct headers {
	const uint8_t *p; /* first byte of the frame */
	uint32_t size;    /* bytes at p that may be read */
	bool partial;     /* csum_start and csum_offset are valid */
	uint8_t gso;      /* enum frame_gso */
	uint16_t csum_start, csum_offset;
	/* found by walk() */
	uint32_t n;
	struct layer layers[LAYERS_MAX]; /* outermost first */
	bool tcp;                        /* the transport header: TCP, else UDP */
	uint16_t l4;                     /* its offset */
	uint16_t end;                    /* offset of the payload */
};

static uint16_t load16(const uint8_t *p)
{
	return frame_be16(p);
}

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)load16(p) << 16 | load16(p + 2);
}

static void store16(uint8_t *p, uint32_t v)
{
	uint16_t be = __builtin_bswap16((uint16_t)v);

	memcpy(p, &be, sizeof(be));
}

static void store32(uint8_t *p, uint32_t v)
{
	store16(p, v >> 16);
	store16(p + 2, v);
}

static bool has(const struct headers *h, uint32_t ofs, uint32_t size)
{
	return ofs <= h->size && size <= h->size - ofs;
}

static struct layer *push(struct headers *h, enum layer_kind kind, uint32_t ofs)
{
	struct layer *l;

	if (h->n == LAYERS_MAX)
		return NULL;
	l = &h->layers[h->n++];
	*l = (struct layer){.kind = (uint8_t)kind, .ofs = (uint16_t)ofs};
	return l;
}

static int walk_l3(struct headers *h, uint32_t ofs, uint16_t ethertype);

static int walk_ethernet(struct headers *h, uint32_t ofs)
{
	uint16_t type;

	for (uint32_t tags = 0;; tags++, ofs += FRAME_TAG_SIZE) {
		if (!has(h, ofs, FRAME_HEADER_SIZE))
			return -DROP_GSO_MALFORMED;
		type = load16(h->p + ofs + FRAME_HEADER_SIZE - 2);
		if (tags == FRAME_TAGS_MAX || !frame_is_tag(type))
			break;
	}
	return walk_l3(h, ofs + FRAME_HEADER_SIZE, type);
}

/* What a tunnel header's EtherType says is inside. */
static int walk_inner(struct headers *h, uint32_t ofs, uint16_t ethertype)
{
	return ethertype == ETH_TEB ? walk_ethernet(h, ofs) : walk_l3(h, ofs, ethertype);
}

static int walk_gre(struct headers *h, uint32_t ofs)
{
	uint32_t size = GRE_SIZE;
	struct layer *l;
	uint16_t flags;

	if (!has(h, ofs, GRE_SIZE))
		return -DROP_GSO_MALFORMED;
	flags = load16(h->p + ofs);
	/* No sequence numbers (each segment would need its own), no source routes, version 0. */
	if (flags & ~(GRE_HAS_CSUM | GRE_HAS_KEY))
		return -DROP_GSO_KIND;
	l = push(h, LAYER_GRE, ofs);
	if (!l)
		return -DROP_GSO_KIND;
	l->has_csum = flags & GRE_HAS_CSUM;
	size += flags & GRE_HAS_CSUM ? 4 : 0;
	size += flags & GRE_HAS_KEY ? 4 : 0;
	if (!has(h, ofs, size))
		return -DROP_GSO_MALFORMED;
	return walk_inner(h, ofs + size, load16(h->p + ofs + 2));
}

/* VXLAN (RFC 7348) and its generic protocol extension. */
static int walk_vxlan(struct headers *h, uint32_t ofs)
{
	const uint8_t *p = h->p + ofs;

	if (!(p[0] & 0x08)) /* VNI present */
		return -DROP_GSO_KIND;
	ofs += TUNNEL_SIZE;
	if (!(p[0] & 0x04) || p[3] == 3)
		return walk_ethernet(h, ofs);
	return p[3] == 1   ? walk_l3(h, ofs, ETH_IPV4)
	       : p[3] == 2 ? walk_l3(h, ofs, ETH_IPV6)
			   : -DROP_GSO_KIND;
}

/* Geneve (RFC 8926), version 0. */
static int walk_geneve(struct headers *h, uint32_t ofs)
{
	const uint8_t *p = h->p + ofs;

	if (p[0] >> 6)
		return -DROP_GSO_KIND;
	return walk_inner(h, ofs + TUNNEL_SIZE + (p[0] & 0x3fu) * 4, load16(p + 2));
}

/* An IP packet straight behind the UDP header (foo-over-UDP). */
static int walk_fou(struct headers *h, uint32_t ofs)
{
	return walk_l3(h, ofs, h->p[ofs] >> 4 == 4 ? ETH_IPV4 : ETH_IPV6);
}

static int walk_udp_tunnel(struct headers *h, uint32_t ofs)
{
	static int (*const readings[])(struct headers *, uint32_t) = {walk_vxlan, walk_geneve,
								      walk_fou};
	struct layer *l;
	uint32_t n;

	if (!has(h, ofs, UDP_SIZE + TUNNEL_SIZE))
		return -DROP_GSO_MALFORMED;
	l = push(h, LAYER_UDP, ofs);
	if (!l)
		return -DROP_GSO_KIND;
	l->has_csum = load16(h->p + ofs + UDP_CSUM) != 0;
	n = h->n;
	for (size_t i = 0; i < array_size(readings); i++) {
		if (readings[i](h, ofs + UDP_SIZE) == 0)
			return 0;
		h->n = n;
	}
	return -DROP_GSO_KIND;
}

/* The transport header at ofs is the one to cut behind: does it agree with what f claims? */
static int arrive(struct headers *h, uint32_t ofs, uint8_t proto)
{
	const uint8_t l3 = h->layers[h->n - 1].kind;
	uint32_t size = UDP_SIZE;

	h->tcp = proto == PROTO_TCP;
	if (h->tcp != (h->gso != FRAME_GSO_UDP_L4) ||
	    (h->gso == FRAME_GSO_TCPV4 && l3 != LAYER_IPV4) ||
	    (h->gso == FRAME_GSO_TCPV6 && l3 != LAYER_IPV6) ||
	    (h->partial && h->csum_offset != (h->tcp ? TCP_CSUM : UDP_CSUM)))
		return -DROP_GSO_MALFORMED;
	if (h->tcp) {
		if (!has(h, ofs, TCP_SIZE))
			return -DROP_GSO_MALFORMED;
		size = (h->p[ofs + 12] >> 4) * 4u;
		if (size < TCP_SIZE)
			return -DROP_GSO_MALFORMED;
	}
	if (!has(h, ofs, size))
		return -DROP_GSO_MALFORMED;
	h->l4 = (uint16_t)ofs;
	h->end = (uint16_t)(ofs + size);
	return 0;
}

static int walk_l4(struct headers *h, uint32_t ofs, uint8_t proto)
{
	const uint8_t wanted = h->gso == FRAME_GSO_UDP_L4 ? PROTO_UDP : PROTO_TCP;

	if (h->partial && ofs > h->csum_start)
		return -DROP_GSO_MALFORMED;
	if (h->partial ? ofs == h->csum_start : proto == wanted)
		return proto == PROTO_TCP || proto == PROTO_UDP ? arrive(h, ofs, proto)
								: -DROP_GSO_MALFORMED;
	switch (proto) {
	case PROTO_IPIP:
		return walk_l3(h, ofs, ETH_IPV4);
	case PROTO_IPV6:
		return walk_l3(h, ofs, ETH_IPV6);
	case PROTO_GRE:
		return walk_gre(h, ofs);
	case PROTO_UDP:
		return walk_udp_tunnel(h, ofs);
	case PROTO_TCP:
		return -DROP_GSO_MALFORMED; /* carries no other header, csum_start is wrong */
	default:
		return -DROP_GSO_KIND;
	}
}

static int walk_ipv4(struct headers *h, uint32_t ofs)
{
	const uint8_t *p = h->p + ofs;
	struct layer *l;
	uint32_t size;

	if (!has(h, ofs, IPV4_SIZE) || p[0] >> 4 != 4)
		return -DROP_GSO_MALFORMED;
	size = (p[0] & 0xfu) * 4;
	if (size < IPV4_SIZE || !has(h, ofs, size))
		return -DROP_GSO_MALFORMED;
	if (load16(p + 6) & 0x3fff) /* a fragment */
		return -DROP_GSO_MALFORMED;
	l = push(h, LAYER_IPV4, ofs);
	if (!l)
		return -DROP_GSO_KIND;
	l->id = load16(p + IPV4_ID);
	return walk_l4(h, ofs + size, p[9]);
}

static int walk_ipv6(struct headers *h, uint32_t ofs)
{
	struct layer *l;
	uint8_t proto;

	if (!has(h, ofs, IPV6_SIZE) || h->p[ofs] >> 4 != 6)
		return -DROP_GSO_MALFORMED;
	l = push(h, LAYER_IPV6, ofs);
	if (!l)
		return -DROP_GSO_KIND;
	proto = h->p[ofs + 6];
	ofs += IPV6_SIZE;
	for (uint32_t i = 0; i < IPV6_EXT_MAX; i++) {
		const uint8_t *p = h->p + ofs;

		if (proto == PROTO_FRAGMENT)
			return -DROP_GSO_MALFORMED;
		if (proto != PROTO_HOPOPTS && proto != PROTO_ROUTING && proto != PROTO_DSTOPTS)
			return walk_l4(h, ofs, proto);
		if (!has(h, ofs, 8))
			return -DROP_GSO_MALFORMED;
		l->routed |= proto == PROTO_ROUTING && p[3]; /* segments left */
		proto = p[0];
		ofs += 8 + p[1] * 8u;
	}
	return -DROP_GSO_KIND;
}

static int walk_l3(struct headers *h, uint32_t ofs, uint16_t ethertype)
{
	switch (ethertype) {
	case ETH_IPV4:
		return walk_ipv4(h, ofs);
	case ETH_IPV6:
		return walk_ipv6(h, ofs);
	default:
		return -DROP_GSO_KIND;
	}
}

/* Reads the headers of GSO frame f at p, of which size bytes may be read. 0 or -DROP_*. */
static int walk(struct headers *h, const struct frame *f, const uint8_t *p, uint32_t size)
{
	if (f->gso == FRAME_GSO_NONE || f->gso >= FRAME_GSO_N)
		return -DROP_GSO_KIND;
	if (!f->gso_size)
		return -DROP_GSO_MALFORMED;
	h->p = p;
	h->size = size;
	h->partial = f->flags & FRAME_CSUM_PARTIAL;
	h->gso = f->gso;
	h->csum_start = f->csum_start;
	h->csum_offset = f->csum_offset;
	h->n = 0;
	return walk_ethernet(h, 0);
}

/* The checksum field lies in the frame, behind what the bridge decides on. */
static bool csum_in_range(const struct frame *f)
{
	const uint32_t field = (uint32_t)f->csum_start + f->csum_offset;

	return field + 2 <= f->len &&
	       field >= FRAME_HEADER_SIZE + min_of(f->n_tags, FRAME_TAGS_MAX) * FRAME_TAG_SIZE;
}

static uint32_t caps_of_gso(const struct frame *f)
{
	static const uint32_t caps[FRAME_GSO_N] = {
		[FRAME_GSO_TCPV4] = OFFLOAD_CSUM | OFFLOAD_TSO4,
		[FRAME_GSO_TCPV6] = OFFLOAD_CSUM | OFFLOAD_TSO6,
		[FRAME_GSO_UDP_L4] = OFFLOAD_CSUM | OFFLOAD_USO,
	};

	return f->gso >= FRAME_GSO_N
		       ? 0
		       : caps[f->gso] | (f->flags & FRAME_GSO_ECN ? OFFLOAD_TSO_ECN : 0);
}

bool offload_fits(const struct frame *f, uint32_t caps)
{
	const uint32_t needed = caps_of_gso(f);
	struct headers h;

	if (f->gso == FRAME_GSO_NONE)
		return !(f->flags & FRAME_CSUM_PARTIAL) ||
		       (caps & OFFLOAD_CSUM && csum_in_range(f));
	if ((needed & caps) != needed || !(f->flags & FRAME_CSUM_PARTIAL))
		return false;
	return walk(&h, f, f->data, min_of(f->len, HEADERS_MAX)) == 0 && h.n == 1;
}

int offload_finish_csum(struct frame *f)
{
	uint16_t csum;

	if (!csum_in_range(f))
		return DROP_CSUM_RANGE;
	/* The field itself holds the pseudo-header's sum. */
	csum = ~bytes_sum(f->data + f->csum_start, f->len - f->csum_start, 0);
	if (!csum && f->csum_offset == UDP_CSUM)
		csum = 0xffff;
	store16(f->data + f->csum_start + f->csum_offset, csum);
	f->flags &= (uint8_t)~FRAME_CSUM_PARTIAL;
	return 0;
}

/* What is the same for all segments of a frame. */
struct cut {
	struct headers h;
	uint32_t pseudo; /* sum of the transport's pseudo-header but for the length */
	uint32_t l4_sum; /* sum of the transport header; variable fields count as zero */
	uint32_t seq;    /* TCP, of the first segment */
	uint8_t flags;   /* TCP, of the whole frame */
	bool l4_csum;    /* the transport has a checksum */
	uint8_t bytes[HEADERS_MAX];
};

/* Sum of addresses and protocol of the IP header at layer l, without the length. */
static uint16_t pseudo_sum(const uint8_t *bytes, const struct layer *l, uint8_t proto)
{
	if (l->kind == LAYER_IPV4)
		return bytes_sum(bytes + l->ofs + 12, 8, proto);
	return bytes_sum(bytes + l->ofs + 8, 32, proto);
}

/* Notes the transport's values of the whole frame and clears its variable fields. */
static int prepare_l4(struct cut *c, uint32_t len)
{
	const struct headers *h = &c->h;
	const struct layer *l3 = &h->layers[h->n - 1];
	uint8_t *l4 = c->bytes + h->l4;
	uint8_t *field = l4 + (h->tcp ? TCP_CSUM : UDP_CSUM);

	if (h->partial) {
		/* From the field, which also knows the destination behind a source route. */
		c->pseudo = (uint32_t)load16(field) + (uint16_t) ~(len - h->l4);
	} else if (l3->routed) {
		return -DROP_GSO_KIND;
	} else {
		c->pseudo = pseudo_sum(c->bytes, l3, h->tcp ? PROTO_TCP : PROTO_UDP);
	}
	c->l4_csum = h->tcp || h->partial || load16(field);
	store16(field, 0);
	if (h->tcp) {
		c->seq = load32(l4 + TCP_SEQ);
		c->flags = l4[TCP_FLAGS];
		store32(l4 + TCP_SEQ, 0);
		l4[TCP_FLAGS] = 0;
	} else {
		store16(l4 + UDP_LEN, 0);
	}
	c->l4_sum = bytes_sum(l4, h->end - h->l4, 0);
	return 0;
}

/* Clears the variable fields of layer i and sums the rest. */
static int prepare_layer(struct cut *c, uint32_t i)
{
	struct layer *l = &c->h.layers[i];
	uint8_t *p = c->bytes + l->ofs;
	uint32_t next = i + 1 < c->h.n ? c->h.layers[i + 1].ofs : c->h.l4;

	switch ((enum layer_kind)l->kind) {
	case LAYER_IPV4:
		store16(p + IPV4_LEN, 0);
		store16(p + IPV4_ID, 0);
		store16(p + IPV4_CSUM, 0);
		break;
	case LAYER_IPV6:
		store16(p + IPV6_LEN, 0);
		break;
	case LAYER_UDP:
		store16(p + UDP_LEN, 0);
		if (!l->has_csum)
			break;
		if (l[-1].routed)
			return -DROP_GSO_KIND;
		store16(p + UDP_CSUM, 0);
		l->pseudo = pseudo_sum(c->bytes, l - 1, PROTO_UDP);
		break;
	case LAYER_GRE:
		if (l->has_csum)
			store16(p + GRE_CSUM, 0);
		break;
	}
	l->sum = bytes_sum(p, next - l->ofs, 0);
	return 0;
}

/* Copies and reads the headers of f. 0 or -DROP_*. */
static int prepare(struct cut *c, const struct frame *f)
{
	const uint32_t size = min_of(f->len, HEADERS_MAX);
	int r;

	memcpy(c->bytes, f->data, size);
	r = walk(&c->h, f, c->bytes, size);
	if (r < 0)
		return r;
	/* Lengths are 16 bits wide; the first layer's is the largest. */
	if (f->len - c->h.l4 > UINT16_MAX ||
	    c->h.end - c->h.layers[0].ofs + min_of(f->gso_size, f->len - c->h.end) > UINT16_MAX)
		return -DROP_GSO_MALFORMED;
	r = prepare_l4(c, f->len);
	for (uint32_t i = 0; i < c->h.n && r == 0; i++)
		r = prepare_layer(c, i);
	return r;
}

/* The checksum for a sum of 16-bit words, of which there are fewer than 65,536. */
static uint16_t csum_of(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint16_t not_zero(uint16_t csum)
{
	return csum ? csum : 0xffff;
}

/* Writes the transport's fields of segment `index`; returns the sum of its header as sent. */
static uint32_t finish_tcp(const struct cut *c, const struct frame *f, struct frame *s,
			   uint32_t index, uint32_t payload_sum)
{
	const uint32_t ofs = index * f->gso_size, size = s->len - c->h.l4;
	const bool last = s->len - c->h.end + ofs == f->len - c->h.end;
	const uint8_t clear = (last ? 0 : TCP_FIN | TCP_PSH) | (index ? TCP_CWR : 0);
	const uint32_t seq = c->seq + ofs;
	const uint8_t flags = c->flags & (uint8_t)~clear;
	const uint32_t sum = c->l4_sum + (seq >> 16) + (seq & 0xffff) + flags;
	const uint16_t csum = csum_of(sum + c->pseudo + size + payload_sum);
	uint8_t *l4 = s->data + c->h.l4;

	store32(l4 + TCP_SEQ, seq);
	l4[TCP_FLAGS] = flags;
	store16(l4 + TCP_CSUM, csum);
	return sum + csum;
}

static uint32_t finish_udp(const struct cut *c, struct frame *s, uint32_t payload_sum)
{
	const uint32_t size = s->len - c->h.l4, sum = c->l4_sum + size;
	uint8_t *l4 = s->data + c->h.l4;
	uint16_t csum = 0;

	store16(l4 + UDP_LEN, size);
	if (c->l4_csum) {
		csum = not_zero(csum_of(sum + c->pseudo + size + payload_sum));
		store16(l4 + UDP_CSUM, csum);
	}
	return sum + csum;
}

/*
 * Length, id and checksum of layer i. inner: sum of all bytes behind the layer. Returns the sum
 * from the layer on, folded once, so that it stays far from 32 bits.
 */
static uint32_t finish_layer(const struct cut *c, struct frame *s, uint32_t i, uint32_t index,
			     uint32_t inner)
{
	const struct layer *l = &c->h.layers[i];
	const uint32_t size = s->len - l->ofs;
	uint8_t *p = s->data + l->ofs;
	uint32_t sum = l->sum;
	uint16_t csum = 0;

	switch ((enum layer_kind)l->kind) {
	case LAYER_IPV4:
		sum += size + (uint16_t)(l->id + index);
		csum = csum_of(sum);
		store16(p + IPV4_LEN, size);
		store16(p + IPV4_ID, l->id + index);
		store16(p + IPV4_CSUM, csum);
		break;
	case LAYER_IPV6:
		sum += size - IPV6_SIZE;
		store16(p + IPV6_LEN, size - IPV6_SIZE);
		break;
	case LAYER_UDP:
		sum += size;
		store16(p + UDP_LEN, size);
		if (l->has_csum) {
			csum = not_zero(csum_of(sum + l->pseudo + size + inner));
			store16(p + UDP_CSUM, csum);
		}
		break;
	case LAYER_GRE:
		if (l->has_csum) {
			csum = csum_of(sum + inner);
			store16(p + GRE_CSUM, csum);
		}
		break;
	}
	sum += csum + inner;
	return (sum & 0xffff) + (sum >> 16);
}

/* Fills segment number index, whose buffer s->data has room for it. */
static void fill_segment(const struct cut *c, const struct frame *f, struct frame *s,
			 uint32_t index)
{
	const uint32_t size = s->len - c->h.end;
	uint32_t sum;

	memcpy(s->data, c->bytes, c->h.end);
	sum = bytes_copy_sum(s->data + c->h.end, f->data + c->h.end + index * f->gso_size, size);
	sum += c->h.tcp ? finish_tcp(c, f, s, index, sum) : finish_udp(c, s, sum);
	for (uint32_t i = c->h.n; i-- > 0;)
		sum = finish_layer(c, s, i, index, sum);
}

int offload_segment(const struct frame *f, const struct buf_ops *bufs, struct frame *ret,
		    uint32_t max)
{
	uint32_t n, payload;
	struct cut c;
	int r;

	r = prepare(&c, f);
	if (r < 0)
		return r;
	payload = f->len - c.h.end;
	n = payload ? (payload + f->gso_size - 1) / f->gso_size : 1;
	if (n > max)
		return -DROP_GSO_KIND;
	for (uint32_t i = 0; i < n; i++) {
		struct frame *s = &ret[i];

		*s = *f;
		s->len = c.h.end + min_of(f->gso_size, payload - i * f->gso_size);
		s->gso = FRAME_GSO_NONE;
		s->gso_size = s->csum_start = s->csum_offset = s->hdr_len = 0;
		s->flags &= FRAME_LOCAL;
		s->buf = bufs->get(bufs->ctx, s->len, &s->data);
		if (!s->buf) {
			while (i-- > 0)
				bufs->put(bufs->ctx, &ret[i].buf, 1);
			return -DROP_NO_BUFFER;
		}
		fill_segment(&c, f, s, i);
	}
	return (int)n;
}
