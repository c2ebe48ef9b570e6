/* SPDX-License-Identifier: BSD-2-Clause */
/* Flow hash: symmetry, what counts and what does not, fragments, spread, and no read past the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mac.h"
#include "core/flowhash.h"

static const uint8_t random_a[16] = {1, 2, 3}, random_b[16] = {9};
static struct flowhash_key key;

struct spec {
	uint32_t n_tags;
	uint8_t version, proto;
	uint8_t n_options; /* IPv4: words; IPv6: extension headers of 8 bytes */
	uint16_t frag;     /* flags and offset field as on the wire */
	uint32_t src, dst; /* last octets of the addresses */
	uint16_t sport, dport;
	uint8_t payload;
};

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t build_ip(uint8_t *p, const struct spec *s)
{
	uint32_t at;

	if (s->version == 4) {
		p[0] = (uint8_t)(0x45 + s->n_options);
		put16(p + 6, s->frag);
		p[9] = s->proto;
		memcpy(p + 12, &s->src, 4);
		memcpy(p + 16, &s->dst, 4);
		return 20 + s->n_options * 4u;
	}
	p[0] = 0x60;
	p[6] = s->n_options ? 60 : s->frag ? 44 : s->proto;
	memcpy(p + 20, &s->src, 4);
	memcpy(p + 36, &s->dst, 4);
	at = 40;
	for (uint32_t i = 0; i < s->n_options; i++, at += 8)
		p[at] = i + 1u < s->n_options ? 60 : s->frag ? 44 : s->proto;
	if (s->frag) {
		p[at] = s->proto;
		put16(p + at + 2, s->frag);
		at += 8;
	}
	return at;
}

/* In a heap block of exactly its length. */
static struct frame build(const struct spec *s)
{
	uint8_t b[256] = {0};
	uint32_t at = 12;
	struct frame f = {0};

	mac_store(b, 0x020000000000ULL + s->dst);
	mac_store(b + 6, 0x020000000000ULL + s->src);
	for (uint32_t i = 0; i < s->n_tags; i++, at += 4)
		put16(b + at, i + 1 < s->n_tags ? 0x88a8 : 0x8100);
	put16(b + at, s->version == 4 ? 0x0800 : s->version == 6 ? 0x86dd : 0x1234);
	at += 2;
	if (s->version)
		at += build_ip(b + at, s);
	put16(b + at, s->sport);
	put16(b + at + 2, s->dport);
	f.len = at + 4 + s->payload;
	f.data = malloc(f.len);
	memcpy(f.data, b, f.len);
	assert_true(frame_parse(&f));
	return f;
}

static uint32_t hash(const struct spec *s)
{
	struct frame f = build(s);
	uint32_t r = flowhash(&key, &f);

	free(f.data);
	return r;
}

static struct spec reversed(struct spec s)
{
	return (struct spec){s.n_tags, s.version, s.proto, s.n_options, s.frag,
			     s.dst,    s.src,     s.dport, s.sport,     s.payload};
}

static const struct spec rows[] = {
	{0, 4, 6, 0, 0, 1, 2, 1000, 80, 0},   {1, 4, 17, 3, 0, 1, 2, 1000, 80, 9},
	{2, 4, 132, 10, 0, 1, 2, 7, 9, 0},    {0, 6, 6, 0, 0, 1, 2, 1000, 80, 0},
	{1, 6, 17, 2, 0, 1, 2, 53, 53, 20},   {2, 6, 132, 1, 0, 1, 2, 5, 6, 0},
	{0, 4, 1, 0, 0, 1, 2, 0, 0, 0},       {0, 4, 17, 0, 0x2000, 1, 2, 3, 4, 0},
	{0, 6, 17, 0, 0x0001, 1, 2, 3, 4, 0}, {0, 0, 0, 0, 0, 1, 2, 0, 0, 30},
};

static void both_directions_are_one_flow(void **state)
{
	for (unsigned i = 0; i < array_size(rows); i++) {
		struct spec r = reversed(rows[i]);

		assert_int_equal(hash(&rows[i]), hash(&r));
	}
}

static void tags_options_and_payload_do_not_count(void **state)
{
	for (unsigned i = 0; i < array_size(rows); i++) {
		struct spec s = rows[i];

		s.n_tags = (s.n_tags + 1) % 3;
		s.payload = 77;
		if (s.version)
			s.n_options = (uint8_t)((s.n_options + 1) % 4);
		assert_int_equal(hash(&rows[i]), hash(&s));
	}
}

static void each_part_of_a_flow_counts(void **state)
{
	const struct spec s = rows[0];
	struct spec v[] = {s, s, s, s, s, s};

	v[0].src = 3;
	v[1].dst = 3;
	v[2].sport++;
	v[3].dport++;
	v[4].proto = 17;
	v[5].sport = s.dport, v[5].dport = s.sport; /* ends: address and port belong together */
	for (unsigned i = 0; i < array_size(v); i++)
		assert_int_not_equal(hash(&s), hash(&v[i]));
}

static void fragments_go_one_way(void **state)
{
	for (unsigned version = 4; version <= 6; version += 2) {
		/* first (more fragments), middle, last; what follows is ports or payload */
		const uint16_t v4[] = {0x2000, 0x2010, 0x0020}, v6[] = {0x0001, 0x0011, 0x0020};
		struct spec s = {0, (uint8_t)version, 17, 0, 0, 1, 2, 3, 4, 0};
		uint32_t first = 0;

		for (unsigned i = 0; i < 3; i++) {
			s.frag = version == 4 ? v4[i] : v6[i];
			s.sport = (uint16_t)(i * 999);
			if (i == 0)
				first = hash(&s);
			assert_int_equal(hash(&s), first);
		}
		s.src = 9;
		assert_int_not_equal(hash(&s), first);
	}
}

static void what_is_no_ip_counts_by_its_addresses(void **state)
{
	struct spec s = rows[9], other = s;
	struct frame f = build(&s);
	uint32_t plain = flowhash(&key, &f), llc;

	put16(f.data + 12, 0x1235);
	frame_parse(&f);
	assert_int_not_equal(flowhash(&key, &f), plain);
	put16(f.data + 12, 60);
	frame_parse(&f);
	llc = flowhash(&key, &f);
	put16(f.data + 12, 400); /* another length, the same stations */
	frame_parse(&f);
	assert_int_equal(flowhash(&key, &f), llc);
	free(f.data);
	other.src = 5;
	assert_int_not_equal(hash(&other), plain);
}

static void a_wrong_version_or_header_length_is_no_ip(void **state)
{
	struct spec s = rows[0];
	struct frame f = build(&s);
	uint32_t good = flowhash(&key, &f), bad;

	f.data[14] = 0x44;
	bad = flowhash(&key, &f);
	assert_int_not_equal(bad, good);
	f.data[14] = 0x65;
	assert_int_equal(flowhash(&key, &f), bad);
	free(f.data);
}

/* Each frame of the table, cut at each length: ASan watches. Whole again: the same hash. */
static void never_reads_past_the_end(void **state)
{
	for (unsigned i = 0; i < array_size(rows); i++) {
		struct frame f = build(&rows[i]);

		for (uint32_t len = FRAME_HEADER_SIZE; len <= f.len; len++) {
			struct frame cut = {.data = malloc(len), .len = len};

			memcpy(cut.data, f.data, len);
			frame_parse(&cut);
			if (len == f.len)
				assert_int_equal(flowhash(&key, &cut), flowhash(&key, &f));
			else
				flowhash(&key, &cut);
			free(cut.data);
		}
		free(f.data);
	}
}

/* Extension headers that say any length. */
static void long_chains_of_headers_end(void **state)
{
	struct spec s = {0, 6, 6, 12, 0, 1, 2, 3, 4, 0}, other = s;
	struct frame f;

	other.sport = 99; /* behind more headers than are looked through */
	assert_int_equal(hash(&s), hash(&other));
	s.n_options = 3;
	f = build(&s);
	for (unsigned v = 0; v < 256; v++) {
		f.data[14 + 41] = (uint8_t)v;
		flowhash(&key, &f);
	}
	free(f.data);
}

static void the_key_decides(void **state)
{
	struct flowhash_key other;
	struct frame f = build(&rows[0]);

	flowhash_init(&other, random_b);
	assert_int_not_equal(flowhash(&key, &f), flowhash(&other, &f));
	free(f.data);
}

/* Neighbouring addresses and ports over 8 rings: none gets twice its share. */
static void flows_spread(void **state)
{
	uint32_t n[8] = {0};

	for (uint32_t i = 0; i < 8192; i++) {
		struct spec s = {0, 4, 6, 0, 0, i / 64 << 24, 2, (uint16_t)(1024 + i % 64), 80, 0};

		n[(uint64_t)hash(&s) * 8 >> 32]++;
	}
	for (unsigned i = 0; i < 8; i++)
		assert_in_range(n[i], 900, 1150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_directions_are_one_flow),
		cmocka_unit_test(tags_options_and_payload_do_not_count),
		cmocka_unit_test(each_part_of_a_flow_counts),
		cmocka_unit_test(fragments_go_one_way),
		cmocka_unit_test(what_is_no_ip_counts_by_its_addresses),
		cmocka_unit_test(a_wrong_version_or_header_length_is_no_ip),
		cmocka_unit_test(never_reads_past_the_end),
		cmocka_unit_test(long_chains_of_headers_end),
		cmocka_unit_test(the_key_decides),
		cmocka_unit_test(flows_spread),
	};

	flowhash_init(&key, random_a);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
