/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/offload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/offload_testkit.h"

#define MAX_SEGS 64

/* Buffers for the code under test: exactly as large as asked for. */
struct heap {
	uint32_t n_live, n_left;
	uint8_t *bufs[MAX_SEGS + 1];
};

static uint32_t heap_get(void *ctx, uint32_t size, uint8_t **ret_data)
{
	struct heap *h = ctx;

	if (!h->n_left)
		return 0;
	h->n_left--;
	for (uint32_t i = 1; i <= MAX_SEGS; i++) {
		if (!h->bufs[i]) {
			*ret_data = h->bufs[i] = malloc(size);
			h->n_live++;
			return i;
		}
	}
	return 0;
}

static void heap_put(void *ctx, const uint32_t *bufs, uint32_t n)
{
	struct heap *h = ctx;

	for (; n--; bufs++) {
		free(h->bufs[*bufs]);
		h->bufs[*bufs] = NULL;
		h->n_live--;
	}
}

static struct heap heap;
static const struct buf_ops ops = {.ctx = &heap, .get = heap_get, .put = heap_put};
static struct frame segs[MAX_SEGS];

static int segment(const struct pkt *p)
{
	heap.n_left = MAX_SEGS;
	return offload_segment(&p->f, &ops, segs, MAX_SEGS);
}

static void release(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		heap_put(&heap, &segs[i].buf, 1);
	assert_int_equal(heap.n_live, 0);
}

static void check_ipv4(const struct frame *s, const uint8_t *orig, const struct mark *m, uint32_t i)
{
	const uint8_t *h = s->data + m->ofs;

	assert_int_equal(get16(h + 2), s->len - m->ofs);
	assert_int_equal(get16(h + 4), (get16(orig + m->ofs + 4) + i) & 0xffff);
	assert_int_equal(slow_add(0, h, (h[0] & 15) * 4u), 0xffff);
}

static void check_l4(const struct frame *s, const struct mark *m, uint8_t proto)
{
	const uint8_t *h = s->data + m->ofs;
	uint32_t size = s->len - m->ofs, sum;

	if (proto == 17)
		assert_int_equal(get16(h + 4), size);
	if (!m->csum) {
		assert_int_equal(get16(h + 6), 0);
		return;
	}
	sum = slow_add(slow_pseudo(s->data, m - 1, proto, size), h, size);
	assert_int_equal(sum, 0xffff);
	if (proto == 17)
		assert_int_not_equal(get16(h + 6), 0);
}

static void check_tcp(const struct pkt *p, const struct frame *s, const struct mark *m, uint32_t i,
		      bool last)
{
	const uint8_t *h = s->data + m->ofs, *o = p->b + m->ofs;
	uint8_t flags = o[13];

	assert_int_equal(get32(h + 4), get32(o + 4) + i * p->f.gso_size);
	if (!last)
		flags &= (uint8_t)~0x09; /* FIN, PSH */
	if (i)
		flags &= 0x7f; /* CWR */
	assert_int_equal(h[13], flags);
	check_l4(s, m, 6);
}

static void check_headers(const struct pkt *p, const struct frame *s, uint32_t i, bool last)
{
	for (uint32_t j = 0; j < p->n; j++) {
		const struct mark *m = &p->marks[j];

		switch (m->kind) {
		case V4:
			check_ipv4(s, p->b, m, i);
			break;
		case V6:
			assert_int_equal(get16(s->data + m->ofs + 4), s->len - m->ofs - 40);
			break;
		case UDP:
			check_l4(s, m, 17);
			break;
		case TCP:
			check_tcp(p, s, m, i, last);
			break;
		case GRE:
			if (m->csum)
				assert_int_equal(slow_add(0, s->data + m->ofs, s->len - m->ofs),
						 0xffff);
			break;
		}
	}
}

/* Clears in headers b what may differ between a frame and its segments. */
static void blank(const struct pkt *p, uint8_t *b)
{
	static const struct {
		uint8_t ofs, size;
	} fields[][3] = {
		[V4] = {{2, 4}, {10, 2}},           [V6] = {{4, 2}},  [UDP] = {{4, 4}},
		[TCP] = {{4, 4}, {13, 1}, {16, 2}}, [GRE] = {{4, 0}},
	};

	for (uint32_t i = 0; i < p->n; i++)
		for (int j = 0; j < 3; j++)
			memset(b + p->marks[i].ofs + fields[p->marks[i].kind][j].ofs, 0,
			       p->marks[i].kind == GRE && p->marks[i].csum && !j
				       ? 2
				       : fields[p->marks[i].kind][j].size);
}

static void check_rest_of_headers(const struct pkt *p, const struct frame *s)
{
	uint8_t ours[512], theirs[512];

	memcpy(ours, s->data, p->f.hdr_len);
	memcpy(theirs, p->b, p->f.hdr_len);
	blank(p, ours);
	blank(p, theirs);
	assert_memory_equal(ours, theirs, p->f.hdr_len);
}

/* Segments p, checks everything about the segments and frees p. */
static void check(struct pkt *p)
{
	const uint32_t hdr = p->f.hdr_len, payload = p->len - hdr, mss = p->f.gso_size;
	const uint32_t want = payload ? (payload + mss - 1) / mss : 1;
	int n = segment(p);

	assert_int_equal(n, want);
	assert_memory_equal(p->b, p->room, p->len); /* the original is untouched */
	for (uint32_t i = 0; i < want; i++) {
		const struct frame *s = &segs[i];
		const uint32_t size = min_of(mss, payload - i * mss);

		assert_int_equal(s->len, hdr + size);
		assert_memory_equal(s->data + hdr, p->b + hdr + i * mss, size);
		check_rest_of_headers(p, s);
		assert_int_equal(s->flags, FRAME_LOCAL);
		assert_int_equal(s->gso, FRAME_GSO_NONE);
		assert_int_equal(s->gso_size, 0);
		assert_int_equal(s->n_tags, p->f.n_tags);
		assert_int_equal(s->in_port, 3);
		check_headers(p, s, i, i == want - 1);
	}
	release(want);
	pkt_free(p);
}

static void test_tcp4(void **state)
{
	for (uint32_t tags = 0; tags < 3; tags++) {
		struct pkt *p = pkt_new();

		eth(p, tags, 0x0800);
		ipv4(p, 6, 0);
		tcp(p, 0x19, 12); /* FIN PSH ACK */
		complete(p, FRAME_GSO_TCPV4, 1448, 5000);
		check(p);
	}
}

/* The ids run over, the last segment is full, the payload is odd. */
static void test_tcp4_sizes(void **state)
{
	static const uint16_t sizes[][2] = {{1000, 4000}, {1001, 3003}, {999, 2500},
					    {1448, 1},    {1448, 1448}, {1448, 1449},
					    {1448, 0},    {1, 9},       {1460, 65483}};

	for (size_t i = 0; i < array_size(sizes); i++) {
		struct pkt *p = pkt_new();

		eth(p, 0, 0x0800);
		ipv4(p, 6, 8);
		tcp(p, 0x18, 0);
		complete(p, FRAME_GSO_TCPV4, sizes[i][0], sizes[i][1]);
		check(p);
	}
}

static void test_tcp6(void **state)
{
	struct pkt *p = pkt_new();

	eth(p, 1, 0x86dd);
	ipv6(p, 6);
	tcp(p, 0x18, 12);
	complete(p, FRAME_GSO_TCPV6, 1428, 4000);
	check(p);

	p = pkt_new();
	eth(p, 0, 0x86dd);
	ipv6(p, 0);
	ext(p, 60, 0);
	ext(p, 6, 1);
	tcp(p, 0x18, 0);
	complete(p, FRAME_GSO_TCPV6, 1400, 2801);
	check(p);
}

static void test_cwr_only_in_the_first(void **state)
{
	struct pkt *p = pkt_new();

	eth(p, 0, 0x0800);
	ipv4(p, 6, 0);
	tcp(p, 0xd8, 0); /* CWR ECE PSH ACK */
	complete(p, FRAME_GSO_TCPV4, 100, 300);
	p->f.flags |= FRAME_GSO_ECN;
	assert_int_equal(segment(p), 3);
	assert_int_equal(segs[0].data[34 + 13], 0xd0);
	assert_int_equal(segs[1].data[34 + 13], 0x50);
	assert_int_equal(segs[2].data[34 + 13], 0x58);
	release(3);
	check(p);
}

static void test_udp(void **state)
{
	struct pkt *p = pkt_new();

	eth(p, 2, 0x0800);
	ipv4(p, 17, 0);
	udp(p, 443, true);
	complete(p, FRAME_GSO_UDP_L4, 1200, 6001);
	check(p);

	p = pkt_new();
	eth(p, 0, 0x86dd);
	ipv6(p, 17);
	udp(p, 443, true);
	complete(p, FRAME_GSO_UDP_L4, 1200, 2400);
	check(p);
}

static void test_vxlan(void **state)
{
	static const uint8_t vxlan[8] = {8, 0, 0, 0, 0, 0, 42, 0};

	for (int variant = 0; variant < 8; variant++) {
		const bool v6 = variant & 2, inner6 = variant & 4;
		struct pkt *p = pkt_new();

		eth(p, variant & 1, v6 ? 0x86dd : 0x0800);
		if (v6)
			ipv6(p, 17);
		else
			ipv4(p, 17, 4);
		udp(p, 8472, variant & 1);
		add(p, vxlan, 8);
		eth(p, variant & 1, inner6 ? 0x86dd : 0x0800);
		if (inner6)
			ipv6(p, 6);
		else
			ipv4(p, 6, 0);
		tcp(p, 0x18, 12);
		complete(p, inner6 ? FRAME_GSO_TCPV6 : FRAME_GSO_TCPV4, 1398, 5001);
		assert_false(offload_fits(&p->f, UINT32_MAX));
		check(p);
	}
}

/* The policy id of VXLAN-GBP where Geneve has a protocol; Geneve with options; a UDP payload. */
static void test_udp_tunnels(void **state)
{
	static const uint8_t gbp[8] = {0x88, 0, 0x65, 0x58, 0, 0, 42, 0};
	static const uint8_t gpe[8] = {0x0c, 0, 0, 1, 0, 0, 42, 0};
	static const uint8_t geneve[16] = {2, 0, 0x65, 0x58, 0, 0, 42, 0, 1, 2, 3, 1};
	/* Its options look like IPv4 and TCP to who takes it for VXLAN. */
	static const uint8_t twofold[40] = {8,  0, 0x65,     0x58,        0,       0,
					    42, 0, [20] = 8, [22] = 0x45, [31] = 6};
	static const struct {
		const uint8_t *bytes;
		uint32_t size;
		bool ethernet;
	} kinds[] = {{gbp, 8, true},
		     {gpe, 8, false},
		     {geneve, 16, true},
		     {twofold, 40, true},
		     {NULL, 0, false}};

	for (size_t i = 0; i < array_size(kinds); i++) {
		struct pkt *p = pkt_new();

		eth(p, 0, 0x0800);
		ipv4(p, 17, 0);
		udp(p, 6081, true);
		if (kinds[i].size)
			add(p, kinds[i].bytes, kinds[i].size);
		if (kinds[i].ethernet)
			eth(p, 0, 0x0800);
		ipv4(p, 17, 0);
		udp(p, 53, true);
		complete(p, FRAME_GSO_UDP_L4, 1300, 4000);
		assert_false(offload_fits(&p->f, UINT32_MAX));
		check(p);
	}
}

/* A word that makes a sum come out as zero: the checksum is sent as 0xffff, inside and outside. */
static void test_udp_sums_of_zero(void **state)
{
	uint32_t csum_outer = 0, csum_inner = 0;

	for (int round = 0; round < 2; round++) {
		struct pkt *p = pkt_new();
		uint8_t vxlan[8] = {8}, word[2];

		put16(vxlan + 4, csum_outer);
		put16(word, csum_inner);
		eth(p, 0, 0x0800);
		ipv4(p, 17, 0);
		udp(p, 4789, true);
		add(p, vxlan, 8);
		eth(p, 0, 0x86dd);
		ipv6(p, 17);
		udp(p, 53, true);
		complete(p, FRAME_GSO_UDP_L4, 2, 2);
		memcpy(p->b + p->f.hdr_len, word, 2);
		assert_int_equal(segment(p), 1);
		csum_outer = get16(segs[0].data + p->marks[1].ofs + 6);
		csum_inner = get16(segs[0].data + p->marks[3].ofs + 6);
		release(1);
		pkt_free(p);
	}
	assert_int_equal(csum_outer, 0xffff);
	assert_int_equal(csum_inner, 0xffff);
}

static void test_gre_and_ipip(void **state)
{
	static const uint16_t flags[] = {0, 0x2000, 0x8000, 0xa000};

	for (size_t i = 0; i < array_size(flags) * 2; i++) {
		struct pkt *p = pkt_new();

		eth(p, 0, 0x0800);
		ipv4(p, 47, 0);
		gre(p, flags[i / 2], i & 1 ? 0x6558 : 0x0800);
		if (i & 1)
			eth(p, 0, 0x0800);
		ipv4(p, 6, 0);
		tcp(p, 0x19, 12);
		complete(p, FRAME_GSO_TCPV4, 1400, 4300);
		assert_false(offload_fits(&p->f, UINT32_MAX));
		check(p);
	}
	for (int i = 0; i < 4; i++) {
		struct pkt *p = pkt_new();

		eth(p, 0, i & 1 ? 0x86dd : 0x0800);
		if (i & 1)
			ipv6(p, i & 2 ? 41 : 4);
		else
			ipv4(p, i & 2 ? 41 : 4, 0);
		if (i & 2)
			ipv6(p, 6);
		else
			ipv4(p, 6, 0);
		tcp(p, 0x10, 0);
		complete(p, i & 2 ? FRAME_GSO_TCPV6 : FRAME_GSO_TCPV4, 1000, 2500);
		assert_false(offload_fits(&p->f, UINT32_MAX));
		check(p);
	}
}

/* Without a partial checksum the transport is the first of its kind, its field is not believed. */
static void test_gso_without_partial_checksum(void **state)
{
	struct pkt *p = pkt_new();

	eth(p, 0, 0x0800);
	ipv4(p, 6, 0);
	tcp(p, 0x18, 12);
	complete(p, FRAME_GSO_TCPV4, 1448, 5000);
	p->f.flags &= (uint8_t)~FRAME_CSUM_PARTIAL;
	p->f.csum_start = p->f.csum_offset = 0xffff;
	put16(p->b + p->marks[1].ofs + 16, 0x1234);
	put16(p->room + p->marks[1].ofs + 16, 0x1234);
	assert_false(offload_fits(&p->f, UINT32_MAX));
	check(p);

	p = pkt_new();
	eth(p, 0, 0x0800);
	ipv4(p, 17, 0);
	udp(p, 443, false);
	complete(p, FRAME_GSO_UDP_L4, 1200, 5000);
	p->f.flags &= (uint8_t)~FRAME_CSUM_PARTIAL;
	put16(p->b + p->marks[1].ofs + 6, 0);
	put16(p->room + p->marks[1].ofs + 6, 0);
	check(p); /* a UDP checksum of 0 stays 0 */
}

/* Source routing: the field's pseudo-header has another destination than the IP header. */
static void test_routing_header(void **state)
{
	struct pkt *p = pkt_new();
	uint8_t routing[24] = {6, 2, 4, 1, 0, 0, 0, 0, 0xfd, 9};
	struct mark final;
	uint8_t copy[2000];
	uint32_t sum;

	eth(p, 0, 0x86dd);
	ipv6(p, 43);
	add(p, routing, sizeof(routing));
	tcp(p, 0x10, 0);
	complete(p, FRAME_GSO_TCPV6, 1000, 1500);
	/* The pseudo-header as the sender computes it: with the routing header's address. */
	final = p->marks[0];
	memcpy(copy, p->b, p->len);
	memcpy(copy + 14 + 24, routing + 8, 16);
	put16(p->b + p->marks[1].ofs + 16, slow_pseudo(copy, &final, 6, p->len - p->marks[1].ofs));
	assert_int_equal(segment(p), 2);
	memcpy(copy, segs[1].data, segs[1].len);
	memcpy(copy + 14 + 24, routing + 8, 16);
	sum = slow_pseudo(copy, &final, 6, segs[1].len - p->marks[1].ofs);
	sum = slow_add(sum, copy + p->marks[1].ofs, segs[1].len - p->marks[1].ofs);
	assert_int_equal(sum, 0xffff);
	release(2);
	p->f.flags = 0;
	assert_int_equal(segment(p), -DROP_GSO_KIND);
	assert_int_equal(heap.n_live, 0);
	pkt_free(p);

	/* In front of a tunnel's UDP header nothing tells the destination of its checksum. */
	p = pkt_new();
	routing[0] = 17;
	eth(p, 0, 0x86dd);
	ipv6(p, 43);
	add(p, routing, sizeof(routing));
	udp(p, 4789, true);
	add(p, "\010\0\0\0\0\0\0\1", 8);
	eth(p, 0, 0x0800);
	ipv4(p, 6, 0);
	tcp(p, 0x10, 0);
	complete(p, FRAME_GSO_TCPV4, 1000, 1500);
	assert_int_equal(segment(p), -DROP_GSO_KIND);
	pkt_free(p);
}

static struct pkt *plain_tcp(uint32_t payload)
{
	struct pkt *p = pkt_new();

	eth(p, 0, 0x0800);
	ipv4(p, 6, 0);
	tcp(p, 0x18, 0);
	complete(p, FRAME_GSO_TCPV4, 1000, payload);
	return p;
}

static void test_fits(void **state)
{
	const uint32_t tso = OFFLOAD_CSUM | OFFLOAD_TSO4;
	struct pkt *p = plain_tcp(3000);
	struct frame f = p->f;

	assert_true(offload_fits(&f, tso));
	assert_false(offload_fits(&f, OFFLOAD_CSUM | OFFLOAD_TSO6));
	assert_false(offload_fits(&f, OFFLOAD_TSO4));
	f.flags |= FRAME_GSO_ECN;
	assert_false(offload_fits(&f, tso));
	assert_true(offload_fits(&f, tso | OFFLOAD_TSO_ECN));

	f = p->f;
	f.gso = FRAME_GSO_NONE;
	assert_true(offload_fits(&f, OFFLOAD_CSUM));
	assert_false(offload_fits(&f, 0));
	f.csum_start = (uint16_t)(f.len - 17);
	assert_false(offload_fits(&f, OFFLOAD_CSUM));
	f.flags = 0;
	assert_true(offload_fits(&f, 0));
	pkt_free(p);
}

/* Headers that contradict the GSO type are never sent whole, and never cut. */
static void test_contradictions(void **state)
{
	struct pkt *p = plain_tcp(3000);
	const struct frame good = p->f;
	struct frame *f = &p->f;

#define BAD(reason)                                                                                \
	do {                                                                                       \
		assert_false(offload_fits(f, UINT32_MAX));                                         \
		assert_int_equal(segment(p), -DROP_##reason);                                      \
		assert_int_equal(heap.n_live, 0);                                                  \
		*f = good;                                                                         \
		memcpy(p->b, p->room, p->len);                                                     \
	} while (0)
	f->gso = FRAME_GSO_TCPV6;
	BAD(GSO_MALFORMED);
	f->gso = FRAME_GSO_UDP_L4;
	BAD(GSO_MALFORMED);
	f->gso = FRAME_GSO_N;
	BAD(GSO_KIND);
	f->gso = 7;
	BAD(GSO_KIND);
	f->gso_size = 0;
	BAD(GSO_MALFORMED);
	f->csum_start = 33;
	BAD(GSO_MALFORMED);
	f->csum_start = 35;
	BAD(GSO_MALFORMED);
	f->csum_start = 0;
	BAD(GSO_MALFORMED);
	f->csum_offset = 6;
	BAD(GSO_MALFORMED);
	p->b[14] = 0x44; /* IP header too short */
	BAD(GSO_MALFORMED);
	p->b[14] = 0x65; /* wrong version */
	BAD(GSO_MALFORMED);
	p->b[20] = 0x20; /* more fragments */
	BAD(GSO_MALFORMED);
	p->b[23] = 17; /* TCP GSO, UDP header */
	BAD(GSO_MALFORMED);
	p->b[23] = 50; /* ESP where TCP should be */
	BAD(GSO_MALFORMED);
	p->b[34 + 12] = 0x40; /* TCP header too short */
	BAD(GSO_MALFORMED);
	p->b[12] = 0x88;
	p->b[13] = 0x64; /* PPPoE */
	BAD(GSO_KIND);
	assert_true(offload_fits(f, UINT32_MAX));
	pkt_free(p);
}

static void test_gre_that_cannot_be_cut(void **state)
{
	static const uint16_t flags[] = {0x1000, 0x4000, 0x0001};

	for (size_t i = 0; i < array_size(flags); i++) {
		struct pkt *p = pkt_new();

		eth(p, 0, 0x0800);
		ipv4(p, 47, 0);
		gre(p, flags[i], 0x0800);
		if (flags[i] & 0x1000)
			add(p, "seq!", 4);
		ipv4(p, 6, 0);
		tcp(p, 0x10, 0);
		complete(p, FRAME_GSO_TCPV4, 1000, 2000);
		assert_int_equal(segment(p), -DROP_GSO_KIND);
		pkt_free(p);
	}
}

/* A tower of headers has an end. */
static void test_too_many_layers(void **state)
{
	struct pkt *p = pkt_new();

	eth(p, 0, 0x0800);
	for (int i = 0; i < 7; i++)
		ipv4(p, 4, 0);
	p->n = 1;
	tcp(p, 0x10, 0);
	complete(p, FRAME_GSO_TCPV4, 1000, 2000);
	assert_int_equal(segment(p), -DROP_GSO_KIND);
	pkt_free(p);
}

static void test_limits(void **state)
{
	struct pkt *p = plain_tcp(3500);

	heap.n_left = MAX_SEGS;
	assert_int_equal(offload_segment(&p->f, &ops, segs, 3), -DROP_GSO_KIND);
	heap.n_left = 3; /* one buffer short */
	assert_int_equal(offload_segment(&p->f, &ops, segs, MAX_SEGS), -DROP_NO_BUFFER);
	assert_int_equal(heap.n_live, 0);
	pkt_free(p);

	/* An IP header cannot say more than 65,535. */
	p = plain_tcp(65535);
	assert_int_equal(segment(p), -DROP_GSO_MALFORMED);
	p->f.len = 14 + 65535;
	p->f.gso_size = 65535;
	assert_int_equal(segment(p), 1);
	release(1);
	pkt_free(p);
}

/* Every frame cut off at every length: an error or good segments, and never a byte too far. */
static void test_truncated_everywhere(void **state)
{
	static const uint8_t geneve[16] = {2, 0, 0x65, 0x58, 0, 0, 42, 0};
	struct pkt *p = pkt_new();

	eth(p, 2, 0x86dd);
	ipv6(p, 60);
	ext(p, 17, 1);
	udp(p, 6081, true);
	add(p, geneve, 16);
	eth(p, 2, 0x0800);
	ipv4(p, 47, 8);
	gre(p, 0xa000, 0x0800);
	ipv4(p, 6, 4);
	tcp(p, 0x18, 12);
	complete(p, FRAME_GSO_TCPV4, 10, 30);
	for (uint32_t len = 0; len <= p->len; len++) {
		struct frame f = p->f;
		int n;

		f.data = malloc(len ? len : 1);
		memcpy(f.data, p->b, len);
		f.len = len;
		heap.n_left = MAX_SEGS;
		n = offload_segment(&f, &ops, segs, MAX_SEGS);
		assert_false(offload_fits(&f, UINT32_MAX));
		if (len < p->f.hdr_len)
			assert_true(n == -DROP_GSO_MALFORMED || n == -DROP_GSO_KIND);
		else
			release((uint32_t)n);
		if (len < f.csum_start + 18u)
			assert_int_equal(offload_finish_csum(&f), DROP_CSUM_RANGE);
		free(f.data);
	}
	check(p);
}

/* Finishes the checksum of a plain frame and compares with the slow sum of everything. */
static void check_finish(struct pkt *p, uint8_t proto)
{
	const struct mark *l4 = &p->marks[p->n - 1];

	p->f.gso = FRAME_GSO_NONE;
	assert_int_equal(offload_finish_csum(&p->f), 0);
	assert_int_equal(p->f.flags, FRAME_LOCAL);
	check_l4(&p->f, l4, proto);
	put16(p->room + p->f.csum_start + p->f.csum_offset,
	      get16(p->b + p->f.csum_start + p->f.csum_offset));
	assert_memory_equal(p->b, p->room, p->len); /* and nothing else changed */
	pkt_free(p);
}

static void test_finish(void **state)
{
	for (uint32_t tags = 0; tags < 3; tags++) {
		struct pkt *p = pkt_new();

		eth(p, tags, 0x0800);
		ipv4(p, 6, 0);
		tcp(p, 0x18, 12);
		complete(p, FRAME_GSO_TCPV4, 1448, 1001);
		check_finish(p, 6);

		p = pkt_new();
		eth(p, tags, 0x86dd);
		ipv6(p, 60);
		ext(p, 17, 1);
		udp(p, 53, true);
		complete(p, FRAME_GSO_UDP_L4, 1448, 9);
		check_finish(p, 17);
	}
}

/* A UDP sum of zero is sent as 0xffff (RFC 768); other protocols keep their zero. */
static void test_finish_zero(void **state)
{
	uint8_t bytes[50] = {0};
	struct frame f = {.data = bytes, .len = sizeof(bytes), .csum_start = 34, .csum_offset = 6};

	bytes[44] = bytes[45] = 0xff;
	f.flags = FRAME_CSUM_PARTIAL;
	assert_int_equal(offload_finish_csum(&f), 0);
	assert_int_equal(get16(bytes + 40), 0xffff);
	put16(bytes + 40, 0);
	f.csum_offset = 8; /* SCTP's place, say */
	assert_int_equal(offload_finish_csum(&f), 0);
	assert_int_equal(get16(bytes + 42), 0);
}

static void test_finish_out_of_range(void **state)
{
	uint8_t bytes[60] = {0};
	const struct {
		uint16_t start, offset;
		uint8_t tags;
		int want;
	} t[] = {
		{34, 24, 0, 0},
		{34, 25, 0, DROP_CSUM_RANGE},
		{58, 0, 0, 0},
		{59, 0, 0, DROP_CSUM_RANGE},
		{60, 0, 0, DROP_CSUM_RANGE},
		{0xffff, 0xffff, 0, DROP_CSUM_RANGE},
		{0, 0xffff, 0, DROP_CSUM_RANGE},
		{0, 0, 0, DROP_CSUM_RANGE},
		{12, 0, 0, DROP_CSUM_RANGE},
		{14, 0, 0, 0},
		{14, 0, 1, DROP_CSUM_RANGE},
		{18, 2, 2, DROP_CSUM_RANGE},
		{18, 4, 2, 0},
	};

	for (size_t i = 0; i < array_size(t); i++) {
		struct frame f = {.data = bytes,
				  .len = 60,
				  .csum_start = t[i].start,
				  .csum_offset = t[i].offset,
				  .n_tags = t[i].tags,
				  .flags = FRAME_CSUM_PARTIAL};

		assert_int_equal(offload_finish_csum(&f), t[i].want);
		assert_int_equal(f.flags, t[i].want ? FRAME_CSUM_PARTIAL : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp4),
		cmocka_unit_test(test_tcp4_sizes),
		cmocka_unit_test(test_tcp6),
		cmocka_unit_test(test_cwr_only_in_the_first),
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_vxlan),
		cmocka_unit_test(test_udp_tunnels),
		cmocka_unit_test(test_udp_sums_of_zero),
		cmocka_unit_test(test_gre_and_ipip),
		cmocka_unit_test(test_gso_without_partial_checksum),
		cmocka_unit_test(test_routing_header),
		cmocka_unit_test(test_fits),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_gre_that_cannot_be_cut),
		cmocka_unit_test(test_too_many_layers),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_truncated_everywhere),
		cmocka_unit_test(test_finish),
		cmocka_unit_test(test_finish_zero),
		cmocka_unit_test(test_finish_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
