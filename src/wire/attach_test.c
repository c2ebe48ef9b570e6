/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "wire/attach.h"

struct packet {
	uint8_t bytes[8192];
	size_t len;
};

static void add(struct packet *p, const void *from, size_t n)
{
	memcpy(p->bytes + p->len, from, n);
	p->len += n;
}

/* A request with a body of n bytes 1, 2, ... */
static struct packet request(uint32_t n)
{
	struct packet p = {.len = 0};
	struct attach_request h = {.magic = ATTACH_MAGIC,
				   .nr_version = 14,
				   .nr_reqtype = 1,
				   .body_size = n,
				   .name = "br0",
				   .program = "pass"};

	add(&p, &h, sizeof(h));
	for (uint32_t i = 0; i < n; i++)
		p.bytes[p.len++] = (uint8_t)(i + 1);
	return p;
}

static void add_option(struct packet *p, uint32_t type, uint32_t size)
{
	const struct attach_option o = {.reqtype = type, .size = size};
	struct attach_request *h = (struct attach_request *)p->bytes;
	uint8_t data[64];

	memset(data, (int)type, sizeof(data));
	add(p, &o, sizeof(o));
	add(p, data, (size + 7) & ~7u);
	h->options_size += (uint32_t)sizeof(o) + ((size + 7) & ~7u);
}

static void test_request(void **state)
{
	struct packet p = request(56);
	static struct attach_msg m;

	add_option(&p, 5, 12);
	add_option(&p, 1, 0);
	assert_int_equal(attach_parse(p.bytes, p.len, &m), 0);
	assert_string_equal(m.h.name, "br0");
	assert_int_equal(m.body[55], 56);
	assert_int_equal(m.body[56], 0);
	assert_int_equal(m.n_options, 2);
	assert_int_equal(m.options[0].size, 12);
	assert_int_equal(m.options[0].data[11], 5);
	assert_int_equal(m.options[1].reqtype, 1);
}

/* Every truncation, and every length that lies. */
static void test_cut(void **state)
{
	struct packet p = request(56);
	static struct attach_msg m;

	add_option(&p, 5, 12);
	for (size_t len = 0; len < p.len; len++)
		assert_int_equal(attach_parse(p.bytes, len, &m), -EPROTO);
	assert_int_equal(attach_parse(p.bytes, p.len + 1, &m), -EPROTO);
}

static void test_lies(void **state)
{
	static struct attach_msg m;
	struct packet p = request(8);
	struct attach_request *h = (struct attach_request *)p.bytes;

	h->magic++;
	assert_int_equal(attach_parse(p.bytes, p.len, &m), -EPROTO);
	p = request(8);
	memset(h->name, 'x', sizeof(h->name));
	assert_int_equal(attach_parse(p.bytes, p.len, &m), -EPROTO);
	p = request(8);
	memset(h->program, 'x', sizeof(h->program));
	assert_int_equal(attach_parse(p.bytes, p.len, &m), -EPROTO);
	p = request(ATTACH_BODY_MAX + 1);
	assert_int_equal(attach_parse(p.bytes, p.len, &m), -EPROTO);
	p = request(8);
	add_option(&p, 5, 8);
	((struct attach_option *)(p.bytes + sizeof(*h) + 8))->size = UINT32_MAX;
	assert_int_equal(attach_parse(p.bytes, p.len, &m), -EPROTO);
	((struct attach_option *)(p.bytes + sizeof(*h) + 8))->size = 9;
	assert_int_equal(attach_parse(p.bytes, p.len, &m), -EPROTO);
}

static void test_reply(void **state)
{
	struct packet p = request(8);
	static struct attach_msg m;
	static uint8_t out[ATTACH_PACKET_MAX];
	struct attach_reply h = {.error = 0, .body_size = 8, .n_rings = 2}, got;
	const struct attach_ring rings[2] = {{.ofs = 1}, {.ofs = 2}};
	struct attach_ring ring;
	size_t len;

	add_option(&p, 5, 12);
	assert_int_equal(attach_parse(p.bytes, p.len, &m), 0);
	m.options[0].status = EOPNOTSUPP;
	len = attach_build(out, &h, m.body, &m, rings);
	assert_int_equal(len, sizeof(h) + 8 + sizeof(struct attach_option) + 16 + sizeof(rings));
	memcpy(&got, out, sizeof(got));
	assert_int_equal(got.options_size, sizeof(struct attach_option) + 16);
	assert_int_equal(got.magic, ATTACH_MAGIC);
	assert_int_equal(((struct attach_option *)(out + sizeof(h) + 8))->status, EOPNOTSUPP);
	memcpy(&ring, out + len - sizeof(ring), sizeof(ring));
	assert_int_equal(ring.ofs, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
