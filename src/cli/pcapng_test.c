/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_MAX (1u << 20)

/* A file in memory, and what is in it. */
struct file {
	int fd;
	uint8_t bytes[FILE_MAX];
	size_t n;
};

static struct file *file_new(void)
{
	struct file *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->fd = memfd_create("pcapng", MFD_CLOEXEC);
	assert_true(f->fd >= 0);
	return f;
}

static void file_read(struct file *f)
{
	const ssize_t n = pread(f->fd, f->bytes, sizeof(f->bytes), 0);

	assert_true(n >= 0);
	f->n = (size_t)n;
}

static void file_free(struct file *f)
{
	close(f->fd);
	free(f);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The n-th block of that type, 0 is the first; checks all on the way. */
static const uint8_t *block(const struct file *f, uint32_t type, unsigned n, uint32_t *ret_len)
{
	size_t at = 0;

	while (at < f->n) {
		const uint32_t len = get32(f->bytes + at + 4);

		assert_true(len >= 12 && len % 4 == 0 && at + len <= f->n);
		assert_int_equal(get32(f->bytes + at + len - 4), len);
		if (get32(f->bytes + at) == type && n-- == 0) {
			*ret_len = len;
			return f->bytes + at;
		}
		at += len;
	}
	return NULL;
}

/* The value of an option among those that begin at byte `at` of the block. */
static const uint8_t *option(const uint8_t *b, uint32_t len, size_t at, uint16_t code,
			     uint16_t *ret_n)
{
	while (at + 4 <= len - 4) {
		const uint16_t c = get16(b + at), n = get16(b + at + 2);

		if (c == code && code) {
			*ret_n = n;
			return b + at + 4;
		}
		at += 4 + ((n + 3u) & ~3u);
		if (c == 0) {
			assert_int_equal(n, 0);
			assert_int_equal(at, len - 4); /* nothing behind the end of options */
			return NULL;
		}
	}
	fail_msg("options without an end");
	return NULL;
}

static void assert_text(const uint8_t *b, uint32_t len, size_t at, uint16_t code, const char *text)
{
	uint16_t n = 0;
	const uint8_t *v = option(b, len, at, code, &n);

	assert_non_null(v);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(v, text, n);
}

static void test_section_and_interface(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
	const struct pcapng_if i = {"veth1", "port 1", "icmp", mac, 96};
	struct file *f = file_new();
	uint32_t len, id;
	const uint8_t *b;
	struct pcapng w;
	uint16_t n;

	assert_int_equal(pcapng_init(&w, f->fd), 0);
	assert_int_equal(pcapng_section(&w, "viaduct"), 0);
	assert_int_equal(pcapng_interface(&w, &i, &id), 0);
	assert_int_equal(id, 0);
	assert_int_equal(pcapng_interface(&w, &(struct pcapng_if){.name = "p2"}, &id), 0);
	assert_int_equal(id, 1);
	assert_int_equal(pcapng_flush(&w), 0);
	file_read(f);
	assert_int_equal(get32(f->bytes), 0x0a0d0d0a);
	assert_int_equal(get32(f->bytes + 8), 0x1a2b3c4d);
	b = block(f, 0x0a0d0d0a, 0, &len);
	assert_text(b, len, 24, 4, "viaduct");
	b = block(f, 1, 0, &len);
	assert_int_equal(get16(b + 8), 1);
	assert_int_equal(get32(b + 12), 96);
	assert_text(b, len, 16, 2, "veth1");
	assert_text(b, len, 16, 3, "port 1");
	assert_int_equal(*option(b, len, 16, 9, &n), 9);
	assert_int_equal(n, 1);
	assert_memory_equal(option(b, len, 16, 6, &n), mac, 6);
	assert_memory_equal(option(b, len, 16, 11, &n), "\0icmp", 5);
	assert_int_equal(n, 5);
	pcapng_deinit(&w);
	file_free(f);
}

/* Data and comments of all lengths around the padding. */
static void test_packets(void **state)
{
	struct file *f = file_new();
	char comment[16];
	uint8_t data[64];
	struct pcapng w;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i + 1);
	assert_int_equal(pcapng_init(&w, f->fd), 0);
	for (uint32_t n = 0; n < 9; n++) {
		struct pcapng_packet p = {.interface = n,
					  .time_ns = 0x123456789abcdef0ULL + n,
					  .data = data,
					  .caplen = n,
					  .len = n + 1000,
					  .direction = n % 3,
					  .comment = comment};

		memset(comment, 'c', sizeof(comment));
		comment[n] = '\0';
		assert_int_equal(pcapng_packet(&w, &p), 0);
	}
	assert_int_equal(w.n_written, 0);
	assert_int_equal(pcapng_flush(&w), 0);
	assert_int_equal(w.n_written, 9);
	file_read(f);
	for (uint32_t n = 0; n < 9; n++) {
		const size_t at = 28 + ((n + 3) & ~3u);
		uint32_t len;
		const uint8_t *b = block(f, 6, n, &len), *v;
		uint16_t size;

		assert_non_null(b);
		assert_int_equal(get32(b + 8), n);
		assert_int_equal(get32(b + 12), 0x12345678);
		assert_int_equal(get32(b + 16), 0x9abcdef0 + n);
		assert_int_equal(get32(b + 20), n);
		assert_int_equal(get32(b + 24), n + 1000);
		assert_memory_equal(b + 28, data, n);
		memset(comment, 'c', sizeof(comment));
		comment[n] = '\0';
		if (n)
			assert_text(b, len, at, 1, comment);
		v = option(b, len, at, 2, &size);
		assert_int_equal(v ? get32(v) : 0, n % 3);
	}
	pcapng_deinit(&w);
	file_free(f);
}

static void test_stats(void **state)
{
	const struct pcapng_stats s = {1,          5ULL << 32, 3ULL << 32, 4ULL << 32 | 7,
				       1ULL << 40, 10,         20,         30};
	struct file *f = file_new();
	struct pcapng w;
	const uint8_t *b;
	uint64_t v;
	uint32_t len;
	uint16_t n;

	assert_int_equal(pcapng_init(&w, f->fd), 0);
	assert_int_equal(pcapng_stats(&w, &s), 0);
	assert_int_equal(pcapng_flush(&w), 0);
	file_read(f);
	b = block(f, 5, 0, &len);
	assert_int_equal(get32(b + 8), 1);
	assert_int_equal(get32(b + 12), 5);
	assert_int_equal(get32(option(b, len, 20, 3, &n)), 4);
	assert_int_equal(get32(option(b, len, 20, 3, &n) + 4), 7);
	memcpy(&v, option(b, len, 20, 4, &n), sizeof(v));
	assert_int_equal(v, 1ULL << 40);
	memcpy(&v, option(b, len, 20, 5, &n), sizeof(v));
	assert_int_equal(v, 20);
	memcpy(&v, option(b, len, 20, 6, &n), sizeof(v));
	assert_int_equal(v, 10);
	memcpy(&v, option(b, len, 20, 8, &n), sizeof(v));
	assert_int_equal(v, 30);
	pcapng_deinit(&w);
	file_free(f);
}

/* More than gathers in memory, the largest frames, and texts that are cut. */
static void test_many_large(void **state)
{
	static uint8_t data[65549];
	static char comment[5000];
	struct file *f = file_new();
	struct pcapng w;
	uint32_t len;

	memset(data, 0xaa, sizeof(data));
	memset(comment, 'x', sizeof(comment) - 1);
	assert_int_equal(pcapng_init(&w, f->fd), 0);
	for (uint32_t i = 0; i < 12; i++) {
		const struct pcapng_packet p = {.data = data,
						.caplen = sizeof(data) - i,
						.len = sizeof(data),
						.comment = comment};

		assert_int_equal(pcapng_packet(&w, &p), 0);
	}
	assert_int_equal(pcapng_flush(&w), 0);
	assert_int_equal(w.n_written, 12);
	file_read(f);
	assert_non_null(block(f, 6, 11, &len));
	assert_int_equal(get32(block(f, 6, 11, &len) + 20), sizeof(data) - 11);
	assert_null(block(f, 6, 12, &len));
	assert_int_equal(
		pcapng_packet(&w, &(struct pcapng_packet){.data = data, .caplen = 1u << 30}),
		-EMSGSIZE);
	pcapng_deinit(&w);
	file_free(f);
}

/* The disk is full in the middle of a block: the file ends before it. */
static void test_full_disk(void **state)
{
	char path[] = "/tmp/pcapng-test-XXXXXX";
	struct rlimit old, lim;
	struct file f = {.fd = mkstemp(path)};
	struct pcapng w;
	uint8_t data[1000] = {0};
	uint32_t len;

	assert_true(f.fd >= 0);
	unlink(path);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	lim = old;
	lim.rlim_cur = 5000;
	assert_int_equal(pcapng_init(&w, f.fd), 0);
	for (int i = 0; i < 10; i++)
		pcapng_packet(&w,
			      &(struct pcapng_packet){.data = data, .caplen = 1000, .len = 1000});
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	assert_int_equal(pcapng_flush(&w), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(w.n_written, 4);
	assert_int_equal(pcapng_packet(&w, &(struct pcapng_packet){.data = data}), -EFBIG);
	file_read(&f);
	assert_int_equal(f.n, 4 * (32 + 1000));
	assert_non_null(block(&f, 6, 3, &len));
	pcapng_deinit(&w);
	close(f.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_section_and_interface),
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_many_large),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
