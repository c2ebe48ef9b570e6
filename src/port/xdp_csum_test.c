/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/xdp_csum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A frame that is written front to back. */
struct maker {
	uint8_t b[512];
	uint32_t n;
};

static void put(struct maker *m, const void *p, uint32_t n)
{
	memcpy(m->b + m->n, p, n);
	m->n += n;
}

static void put16(struct maker *m, uint16_t v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	put(m, b, 2);
}

static void ethernet(struct maker *m, uint16_t type)
{
	put(m, "\x02\0\0\0\0\1\x02\0\0\0\0\2", 12);
	put16(m, type);
}

static void tag(struct maker *m, uint16_t vid, uint16_t type)
{
	put16(m, vid);
	put16(m, type);
}

/* Header of a packet with 10.0.0.1 > 10.0.0.2; payload bytes follow. */
static void ipv4(struct maker *m, uint8_t proto, uint16_t payload)
{
	put(m, "\x45\0", 2);
	put16(m, (uint16_t)(20 + payload));
	put(m, "\0\0\0\0\x40", 5);
	put(m, &proto, 1);
	put(m, "\0\0\x0a\0\0\1\x0a\0\0\2", 10);
}

static void ipv6(struct maker *m, uint8_t next, uint16_t payload)
{
	put(m, "\x60\0\0\0", 4);
	put16(m, payload);
	put(m, &next, 1);
	put(m, "\x40", 1);
	put(m, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 32);
}

/* Pseudo sums by hand: 0x0a00+1+0x0a00+2 = 0x1403; 0xfd00*2+3 folded = 0xfa04. */
#define SUM4 0x1403
#define SUM6 0xfa04

static void udp(struct maker *m, uint16_t port, uint16_t len, uint16_t csum)
{
	put16(m, 1000);
	put16(m, port);
	put16(m, len);
	put16(m, csum);
}

static void tcp(struct maker *m, uint16_t csum)
{
	put(m, "\x03\xe8\0\x50\0\0\0\1\0\0\0\0\x50\x10\x20\0", 16);
	put16(m, csum);
	put(m, "\0\0", 2);
}

static void expect(const struct maker *m, bool partial, uint32_t start, uint32_t offset)
{
	/* An exact allocation, so that a sanitizer sees a read past the end. */
	uint8_t *p = malloc(m->n);
	uint16_t s = 0, o = 0;

	memcpy(p, m->b, m->n);
	assert_int_equal(xdp_csum_partial(p, m->n, &s, &o), partial);
	assert_int_equal(s, partial ? start : 0);
	assert_int_equal(o, partial ? offset : 0);
	free(p);
	for (uint32_t n = 0; n < m->n; n++) { /* cut short anywhere: nothing bad happens */
		p = malloc(n ? n : 1);
		memcpy(p, m->b, n);
		(void)xdp_csum_partial(p, n, &s, &o);
		free(p);
	}
}

static void plain_tcp_and_udp(void **state)
{
	struct maker m = {0};

	ethernet(&m, 0x0800);
	ipv4(&m, 6, 24);
	tcp(&m, SUM4 + 6 + 24);
	put(&m, "data", 4);
	expect(&m, true, 34, 16);
	m.b[34 + 17] ^= 1; /* any other value is a finished one */
	expect(&m, false, 0, 0);

	m = (struct maker){0};
	ethernet(&m, 0x0800);
	ipv4(&m, 17, 12);
	udp(&m, 53, 12, SUM4 + 17 + 12);
	put(&m, "data", 4);
	expect(&m, true, 34, 6);
	memset(m.b + 34 + 6, 0, 2); /* UDP without checksum */
	expect(&m, false, 0, 0);
}

static void padding_is_not_payload(void **state)
{
	struct maker m = {0};

	ethernet(&m, 0x0800);
	ipv4(&m, 17, 10);
	udp(&m, 53, 10, SUM4 + 17 + 10);
	put(&m, "xy", 2);
	m.n = 60;
	expect(&m, true, 34, 6);
}

static void ipv6_and_extension_headers(void **state)
{
	struct maker m = {0};

	ethernet(&m, 0x86dd);
	ipv6(&m, 6, 20);
	tcp(&m, SUM6 + 6 + 20);
	expect(&m, true, 54, 16);

	m = (struct maker){0};
	ethernet(&m, 0x86dd);
	ipv6(&m, 0, 28);
	put(&m, "\x11\0\1\4\0\0\0\0", 8); /* hop-by-hop, then UDP */
	udp(&m, 53, 20, SUM6 + 17 + 20);
	put(&m, "twelve bytes", 12);
	expect(&m, true, 62, 6);
}

static void tags_are_looked_through(void **state)
{
	struct maker m = {0};

	ethernet(&m, 0x88a8);
	tag(&m, 10, 0x8100);
	tag(&m, 20, 0x0800);
	ipv4(&m, 6, 20);
	tcp(&m, SUM4 + 6 + 20);
	expect(&m, true, 42, 16);
}

static void fragments_and_others_are_left_alone(void **state)
{
	struct maker m = {0};

	ethernet(&m, 0x0800);
	ipv4(&m, 17, 12);
	m.b[20] = 0x20; /* more fragments */
	udp(&m, 53, 12, SUM4 + 17 + 12);
	put(&m, "data", 4);
	expect(&m, false, 0, 0);

	m = (struct maker){0};
	ethernet(&m, 0x0806);
	put(&m, "an ARP packet, as far as anybody can see", 40);
	expect(&m, false, 0, 0);
}

/* An outer checksum that is finished (or absent) around an inner one that is not. */
static void tunnels(void **state)
{
	struct maker m = {0};

	ethernet(&m, 0x0800);
	ipv4(&m, 17, 8 + 8 + 14 + 40);
	udp(&m, 4789, 8 + 8 + 14 + 40, 0);
	put(&m, "\x08\0\0\0\0\0\1\0", 8);
	ethernet(&m, 0x0800);
	ipv4(&m, 6, 20);
	tcp(&m, SUM4 + 6 + 20);
	expect(&m, true, 34 + 16 + 34, 16);

	m = (struct maker){0};
	ethernet(&m, 0x0800);
	ipv4(&m, 47, 8 + 60);
	put(&m, "\x20\0\x86\xdd\0\0\0\1", 8); /* GRE with a key */
	ipv6(&m, 6, 20);
	tcp(&m, SUM6 + 6 + 20);
	expect(&m, true, 34 + 8 + 40, 16);

	m = (struct maker){0};
	ethernet(&m, 0x0800);
	ipv4(&m, 17, 8 + 12 + 40);
	udp(&m, 6081, 8 + 12 + 40, 0x1234);
	put(&m, "\1\0\x08\0\0\0\1\0optn", 12);
	ipv4(&m, 6, 20);
	tcp(&m, SUM4 + 6 + 20);
	expect(&m, true, 34 + 20 + 20, 16);

	m = (struct maker){0};
	ethernet(&m, 0x86dd);
	ipv6(&m, 4, 40);
	ipv4(&m, 6, 20);
	tcp(&m, SUM4 + 6 + 20);
	expect(&m, true, 54 + 20, 16);
}

static void tunnels_on_other_ports(void **state)
{
	for (int geneve = 0; geneve < 2; geneve++) {
		for (int partial = 0; partial < 2; partial++) {
			struct maker m = {0};

			ethernet(&m, 0x0800);
			ipv4(&m, 17, 8 + 8 + 14 + 40);
			udp(&m, 4790, 8 + 8 + 14 + 40, 0xbeef);
			put(&m, geneve ? "\0\0\x65\x58\0\0\1\0" : "\x08\0\0\0\0\0\1\0", 8);
			ethernet(&m, 0x0800);
			ipv4(&m, 6, 20);
			tcp(&m, partial ? SUM4 + 6 + 20 : 0x1234);
			expect(&m, partial, 34 + 16 + 34, 16);
			m.b[34 + 8 + 7] = 1; /* reserved: it is something else */
			expect(&m, false, 0, 0);
		}
	}
}

/* An inner packet that claims to be longer than the outer one. */
static void inner_stays_inside(void **state)
{
	struct maker m = {0};

	ethernet(&m, 0x0800);
	ipv4(&m, 4, 40);
	ipv4(&m, 6, 40);
	tcp(&m, SUM4 + 6 + 40);
	put(&m, "behind the outer end", 20);
	expect(&m, false, 0, 0);
}

static void random_bytes(void **state)
{
	uint32_t x = 12345;

	for (int i = 0; i < 20000; i++) {
		struct maker m = {0};

		ethernet(&m, i & 1 ? 0x0800 : 0x86dd);
		ipv4(&m, 47, 200);
		m.n = 14 + (x >> 8) % 200;
		for (uint32_t k = 15; k < m.n; k++) {
			x = x * 1664525 + 1013904223;
			m.b[k] = (uint8_t)(x >> 24);
		}
		uint16_t s = 0, o = 0;
		uint8_t *p = malloc(m.n);

		memcpy(p, m.b, m.n);
		if (xdp_csum_partial(p, m.n, &s, &o))
			assert_true(s + o + 2u <= m.n);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_tcp_and_udp),
		cmocka_unit_test(padding_is_not_payload),
		cmocka_unit_test(ipv6_and_extension_headers),
		cmocka_unit_test(tags_are_looked_through),
		cmocka_unit_test(fragments_and_others_are_left_alone),
		cmocka_unit_test(tunnels),
		cmocka_unit_test(tunnels_on_other_ports),
		cmocka_unit_test(inner_stays_inside),
		cmocka_unit_test(random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
