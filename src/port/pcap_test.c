/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "port/driver.h"

#define ETHERNET 1u
#define RAW_IP   101u

struct fixture {
	struct region region;
	struct bufpool *pool;
	struct bufcache c;
	char path[64];
	FILE *file;
	struct batch batch;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *why;

	if (region_init(&f->region, &(struct mem_params){.buf_num = 256}, 1, &why) < 0)
		return -1;
	f->pool = bufpool_new(&f->region, 1);
	bufcache_init(&f->c, f->pool);
	snprintf(f->path, sizeof(f->path), "/tmp/viaduct-pcap-XXXXXX");
	f->file = fdopen(mkstemp(f->path), "w");
	*state = f;
	return f->file ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct bufpool_stats s;

	unlink(f->path);
	bufcache_deinit(&f->c);
	bufpool_stats(f->pool, &s);
	assert_int_equal(s.n_free, s.n_total);
	bufpool_free(f->pool);
	region_deinit(&f->region);
	free(f);
	return 0;
}

static void put32(struct fixture *f, uint32_t v)
{
	fwrite(&v, sizeof(v), 1, f->file);
}

static void put_header(struct fixture *f, uint32_t linktype)
{
	put32(f, 0xa1b2c3d4); /* classic pcap, host byte order */
	put32(f, 4 << 16 | 2);
	put32(f, 0);
	put32(f, 0);
	put32(f, 65535);
	put32(f, linktype);
}

/* A frame of len bytes with the given value, of which the capture holds caplen. */
static void put_frame(struct fixture *f, uint8_t value, uint32_t caplen, uint32_t len)
{
	put32(f, 1000);
	put32(f, 0);
	put32(f, caplen);
	put32(f, len);
	for (uint32_t i = 0; i < caplen; i++)
		fputc(value, f->file);
}

static int open_path(struct fixture *f, const char *path, struct port **ret, const char **ret_why)
{
	struct port_config cfg = {.name = "replay", .arg = path, .bufs = &f->c, .pool = f->pool};

	return port_driver_pcap.open(&cfg, ret, ret_why);
}

static struct port *open_file(struct fixture *f)
{
	struct port *p = NULL;
	const char *why = "";

	fclose(f->file);
	assert_int_equal(open_path(f, f->path, &p, &why), 0);
	return p;
}

static void assert_refused(struct fixture *f, int r, const char *cause)
{
	struct port *p = NULL;
	const char *why = NULL;

	fclose(f->file);
	assert_int_equal(open_path(f, f->path, &p, &why), r);
	assert_null(p);
	assert_non_null(strstr(why, cause));
	assert_non_null(strstr(why, f->path));
	assert_null(strchr(why, '\n'));
}

static uint32_t rx(struct fixture *f, struct port *p)
{
	f->batch.n = 0;
	return p->driver->rx(p, &f->batch);
}

static void put_batch(struct fixture *f)
{
	for (uint32_t i = 0; i < f->batch.n; i++)
		buf_put_one(&f->c, f->batch.frames[i].buf);
}

static void test_replays_in_a_loop(void **state)
{
	struct fixture *f = *state;
	struct port *p;

	put_header(f, ETHERNET);
	for (uint8_t i = 0; i < 3; i++)
		put_frame(f, i, 60u + i, 60u + i);
	p = open_file(f);
	assert_true(p->driver->arm(p));
	assert_int_equal(rx(f, p), BATCH_MAX);
	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		assert_int_equal(f->batch.frames[i].len, 60 + i % 3);
		assert_int_equal(f->batch.frames[i].data[0], i % 3);
		assert_int_equal(f->batch.frames[i].data[59 + i % 3], i % 3);
	}
	put_batch(f);
	assert_int_equal(rx(f, p), BATCH_MAX);
	assert_int_equal(f->batch.frames[0].data[0], BATCH_MAX % 3);
	put_batch(f);
	assert_int_equal(p->stats.rx_packets, 2 * BATCH_MAX);
	p->driver->close(p);
}

static void test_what_does_not_fit_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct port *p;

	put_header(f, ETHERNET);
	put_frame(f, 1, 1793, 1793);
	put_frame(f, 2, 1792, 1792);
	put_frame(f, 3, 64, 65);
	put_frame(f, 4, 0, 0);
	p = open_file(f);
	assert_int_equal(rx(f, p), BATCH_MAX / 2);
	assert_int_equal(f->batch.frames[0].len, 1792);
	assert_int_equal(f->batch.frames[1].len, 0);
	assert_int_equal(p->drops.n[DROP_OVERSIZE], BATCH_MAX / 4);
	assert_int_equal(p->drops.n[DROP_RX_TRUNCATED], BATCH_MAX / 4);
	put_batch(f);
	p->driver->close(p);
}

static void test_nothing_fits(void **state)
{
	struct fixture *f = *state;
	struct port *p;

	put_header(f, ETHERNET);
	put_frame(f, 1, 9000, 9000);
	p = open_file(f);
	assert_int_equal(rx(f, p), 0);
	assert_int_equal(p->drops.n[DROP_OVERSIZE], BATCH_MAX);
	p->driver->close(p);
}

static void test_tx_counts_and_frees(void **state)
{
	struct fixture *f = *state;
	struct frame *list[BATCH_MAX];
	struct port *p;

	put_header(f, ETHERNET);
	put_frame(f, 1, 60, 60);
	p = open_file(f);
	assert_int_equal(rx(f, p), BATCH_MAX);
	for (uint32_t i = 0; i < BATCH_MAX; i++)
		list[i] = &f->batch.frames[i];
	assert_int_equal(p->driver->tx(p, list, BATCH_MAX), BATCH_MAX);
	assert_int_equal(p->stats.tx_packets, BATCH_MAX);
	assert_int_equal(p->stats.tx_bytes, 60 * BATCH_MAX);
	p->driver->close(p);
}

/* Waits for buffers and loses no frame meanwhile. */
static void test_no_buffers(void **state)
{
	struct fixture *f = *state;
	uint32_t bufs[254], n = buf_get(&f->c, bufs, 254);
	struct port *p;

	put_header(f, ETHERNET);
	put_frame(f, 1, 60, 60);
	p = open_file(f);
	assert_int_equal(rx(f, p), 0);
	buf_put(&f->c, bufs, n);
	assert_int_equal(rx(f, p), BATCH_MAX);
	put_batch(f);
	p->driver->close(p);
}

static void test_pcapng(void **state)
{
	struct fixture *f = *state;
	const uint32_t blocks[] = {
		0x0a0d0d0a, 28, 0x1a2b3c4d, 1,     UINT32_MAX, UINT32_MAX, 28, /* section header */
		1,          20, ETHERNET,   65535, 20,                         /* interface */
		6,          48, 0,          0,     0,          16,         16, 0x01010101,
		0x02020202, 3,  4,          48, /* packet */
	};
	struct port *p;

	fwrite(blocks, sizeof(blocks), 1, f->file);
	p = open_file(f);
	assert_int_equal(rx(f, p), BATCH_MAX);
	assert_int_equal(f->batch.frames[1].len, 16);
	assert_memory_equal(f->batch.frames[1].data, blocks + 19, 16);
	put_batch(f);
	p->driver->close(p);
}

static void test_empty_file(void **state)
{
	assert_refused(*state, -EINVAL, "empty file");
}

static void test_no_frames(void **state)
{
	put_header(*state, ETHERNET);
	assert_refused(*state, -EINVAL, "without frames");
}

static void test_not_ethernet(void **state)
{
	put_header(*state, RAW_IP);
	put_frame(*state, 1, 60, 60);
	assert_refused(*state, -EINVAL, "not a capture of Ethernet");
}

static void test_garbage(void **state)
{
	for (uint32_t i = 0; i < 100; i++)
		put32(*state, i * 2654435761u);
	assert_refused(*state, -EINVAL, "not a capture");
}

static void test_cut_off(void **state)
{
	struct fixture *f = *state;

	put_header(f, ETHERNET);
	put_frame(f, 1, 60, 60);
	put_frame(f, 1, 60, 60);
	fflush(f->file);
	assert_int_equal(ftruncate(fileno(f->file), ftell(f->file) - 10), 0);
	assert_refused(f, -EINVAL, "truncated");
}

static void test_no_file(void **state)
{
	struct fixture *f = *state;
	struct port *p = NULL;
	const char *why = NULL;

	fclose(f->file);
	assert_int_equal(open_path(f, "/nonexistent/a.pcap", &p, &why), -ENOENT);
	assert_non_null(strstr(why, "/nonexistent/a.pcap: No such file"));
	assert_int_equal(open_path(f, "/tmp", &p, &why), -EINVAL);
	assert_non_null(strstr(why, "not a regular file"));
	assert_int_equal(open_path(f, NULL, &p, &why), -EINVAL);
	assert_null(p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_replays_in_a_loop), T(test_what_does_not_fit_is_dropped),
		T(test_nothing_fits),      T(test_tx_counts_and_frees),
		T(test_no_buffers),        T(test_pcapng),
		T(test_empty_file),        T(test_no_frames),
		T(test_not_ethernet),      T(test_garbage),
		T(test_cut_off),           T(test_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
