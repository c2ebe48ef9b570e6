/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "port/bufops.h"
#include "port/driver.h"

struct fixture {
	struct region region;
	struct bufpool *pool;
	struct bufcache c;
	struct port *a, *b;
	struct batch batch;
};

static struct port *open_port(struct fixture *f, const char *name, bool host)
{
	struct port_config cfg = {.name = name, .bufs = &f->c, .pool = f->pool, .host = host};
	struct port *p = NULL;
	const char *why;

	assert_int_equal(port_driver_find("mem")->open(&cfg, &p, &why), 0);
	return p;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *why;

	if (region_init(&f->region, &(struct mem_params){.buf_num = 4096}, 1, &why) < 0)
		return -1;
	f->pool = bufpool_new(&f->region, 16);
	bufcache_init(&f->c, f->pool);
	f->a = open_port(f, "a", false);
	f->b = open_port(f, "b", true);
	*state = f;
	return 0;
}

/* Closing gives every queued frame's buffer back. */
static int teardown(void **state)
{
	struct fixture *f = *state;
	struct bufpool_stats s;

	f->a->driver->close(f->a);
	f->b->driver->close(f->b);
	bufcache_deinit(&f->c);
	bufpool_stats(f->pool, &s);
	assert_int_equal(s.n_free, s.n_total);
	assert_int_equal(s.n_big_free, s.n_big_total);
	bufpool_free(f->pool);
	region_deinit(&f->region);
	free(f);
	return 0;
}

static uint32_t rx(struct fixture *f, struct port *p)
{
	f->batch.n = 0;
	return p->driver->rx(p, &f->batch);
}

static struct frame make(struct fixture *f, uint32_t len)
{
	struct frame fr = {.len = len};

	assert_int_equal(buf_get(&f->c, &fr.buf, 1), 1);
	fr.data = buf_data(&f->c, fr.buf);
	return fr;
}

static void test_pair_hands_buffers_over(void **state)
{
	struct fixture *f = *state;
	struct frame fr = make(f, 100), *list[] = {&fr};

	fr.flags = FRAME_CSUM_PARTIAL;
	fr.csum_start = 34;
	fr.csum_offset = 16;
	fr.gso = FRAME_GSO_TCPV4;
	fr.gso_size = 1448;
	fr.hdr_len = 66;
	fr.origin = 7;
	fr.in_port = 3;
	mem_pair(f->a, f->b);
	assert_false(f->b->driver->arm(f->b));
	assert_int_equal(f->a->driver->tx(f->a, list, 1), 1);
	assert_true(f->b->driver->arm(f->b));
	assert_int_equal(rx(f, f->a), 0);
	assert_int_equal(rx(f, f->b), 1);
	assert_ptr_equal(f->batch.frames[0].data, fr.data);
	assert_int_equal(f->batch.frames[0].buf, fr.buf);
	assert_int_equal(f->batch.frames[0].len, 100);
	assert_int_equal(f->batch.frames[0].csum_start, 34);
	assert_int_equal(f->batch.frames[0].csum_offset, 16);
	assert_int_equal(f->batch.frames[0].gso, FRAME_GSO_TCPV4);
	assert_int_equal(f->batch.frames[0].gso_size, 1448);
	assert_int_equal(f->batch.frames[0].hdr_len, 66);
	assert_int_equal(f->batch.frames[0].origin, 0);
	assert_int_equal(f->batch.frames[0].in_port, 0);
	/* b is a host's port. */
	assert_int_equal(f->batch.frames[0].flags, FRAME_CSUM_PARTIAL | FRAME_LOCAL);
	assert_int_equal(f->a->stats.tx_packets, 1);
	assert_int_equal(f->b->stats.rx_bytes, 100);
	buf_put(&f->c, &fr.buf, 1);
}

static void test_inject_and_collect(void **state)
{
	struct fixture *f = *state;
	struct frame got[4], *list[BATCH_MAX];

	for (uint8_t i = 0; i < 3; i++)
		assert_int_equal(mem_inject_bytes(f->a, &i, 1), 0);
	assert_int_equal(rx(f, f->a), 3);
	for (uint32_t i = 0; i < 3; i++)
		list[i] = &f->batch.frames[i];
	assert_int_equal(f->b->driver->tx(f->b, list, 3), 3);
	assert_int_equal(mem_collect(f->b, got, 2), 2);
	assert_int_equal(got[0].data[0], 0);
	assert_int_equal(got[1].data[0], 1);
	assert_int_equal(mem_collect(f->b, got + 2, 2), 1);
	assert_int_equal(got[2].data[0], 2);
	for (uint32_t i = 0; i < 3; i++)
		buf_put_one(&f->c, got[i].buf);
}

static void test_large_frame_gets_a_large_buffer(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[9000] = {[8999] = 9};

	assert_int_equal(mem_inject_bytes(f->a, bytes, sizeof(bytes)), 0);
	assert_int_equal(rx(f, f->a), 1);
	assert_true(f->batch.frames[0].buf & BUF_BIG);
	assert_int_equal(f->batch.frames[0].data[8999], 9);
	buf_put_one(&f->c, f->batch.frames[0].buf);
}

static void test_batch_and_queue_limits(void **state)
{
	struct fixture *f = *state;
	struct frame fr = make(f, 60), *list[] = {&fr};
	uint32_t n = 0;

	while (mem_inject_bytes(f->a, "x", 1) == 0)
		n++;
	assert_int_equal(n, MEM_QUEUE);
	assert_int_equal(rx(f, f->a), BATCH_MAX);
	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		assert_int_equal(mem_inject(f->a, &f->batch.frames[i], 1), 1);
	}
	assert_int_equal(mem_inject(f->a, &fr, 1), 0);
	mem_pair(f->a, f->b);
	assert_int_equal(f->b->driver->tx(f->b, list, 1), 0); /* a's queue is full */
	buf_put_one(&f->c, fr.buf);
}

/* The survivor of a pair is a single end again. */
static void test_close_of_the_peer(void **state)
{
	struct fixture *f = *state;
	struct frame fr = make(f, 60), *list[] = {&fr}, got;

	mem_pair(f->a, f->b);
	f->b->driver->close(f->b);
	assert_int_equal(f->a->driver->tx(f->a, list, 1), 1);
	assert_int_equal(mem_collect(f->a, &got, 1), 1);
	assert_int_equal(got.buf, fr.buf);
	buf_put_one(&f->c, got.buf);
	f->b = open_port(f, "b", false);
}

static void test_room(const struct buf_ops *o)
{
	uint32_t small, big, before, from;
	uint8_t *data;

	small = o->get(o->ctx, 60, &data);
	o->room(o->ctx, small, data, &before, &from);
	assert_int_equal(before, 0); /* a program may have what is there */
	assert_int_equal(from, 1792);
	o->room(o->ctx, small, data + 4, &before, &from);
	assert_int_equal(before, 4);
	assert_int_equal(from, 1788);
	o->room(o->ctx, small, data + 1900, &before, &from);
	assert_int_equal(from, 0);
	big = o->get(o->ctx, 1793, &data);
	o->room(o->ctx, big, data, &before, &from);
	assert_int_equal(before, BUF_HEADROOM);
	assert_int_equal(from, BUF_BIG_SIZE - BUF_HEADROOM);
	o->room(o->ctx, big, data - BUF_HEADROOM, &before, &from);
	assert_int_equal(before, 0);
	o->put(o->ctx, &small, 1);
	o->put(o->ctx, &big, 1);
}

static void test_bufops(void **state)
{
	struct fixture *f = *state;
	struct buf_ops o = bufops_init(&f->c);
	uint32_t small, big, bufs[4094], n;
	uint8_t *data;

	small = o.get(o.ctx, 1792, &data);
	assert_ptr_equal(data, buf_data(&f->c, small));
	assert_false(small & BUF_BIG);
	o.ref(o.ctx, small, 1);
	assert_int_equal(o.refs(o.ctx, small), 2);
	o.put(o.ctx, &small, 1);
	o.put(o.ctx, &small, 1);
	assert_int_equal(buf_refs(&f->c, small), 0);

	big = o.get(o.ctx, 1793, &data);
	assert_true(big & BUF_BIG);
	memset(data - 64, 0, 64 + 1793);
	o.put(o.ctx, &big, 1);
	assert_int_equal(o.get(o.ctx, BUF_BIG_SIZE, &data), 0);

	test_room(&o);
	n = buf_get(&f->c, bufs, array_size(bufs));
	big = o.get(o.ctx, 60, &data);
	assert_true(big & BUF_BIG);
	buf_put_one(&f->c, big);
	buf_put(&f->c, bufs, n);
}

static void test_find(void **state)
{
	assert_ptr_equal(port_driver_find("mem"), &port_driver_mem);
	assert_ptr_equal(port_driver_find("pcap"), &port_driver_pcap);
	assert_null(port_driver_find("me"));
	assert_null(port_driver_find(""));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_pair_hands_buffers_over),
		T(test_inject_and_collect),
		T(test_large_frame_gets_a_large_buffer),
		T(test_batch_and_queue_limits),
		T(test_close_of_the_peer),
		T(test_bufops),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
