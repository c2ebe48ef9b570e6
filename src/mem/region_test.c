/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/region.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct mem_params small = {.if_num = 10, .ring_num = 2, .buf_num = 64};

static void test_object_is_sealed(void **state)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const char *why = NULL;
	struct region r;

	assert_int_equal(region_init(&r, &small, 1, &why), 0);
	assert_int_equal(r.id, 1);
	assert_int_equal(fcntl(r.fd, F_GET_SEALS), seals);
	assert_int_equal(ftruncate(r.fd, 4096), -1);
	assert_int_equal(ftruncate(r.fd, (off_t)r.layout.file_size * 2), -1);
	assert_int_equal(fcntl(r.fd, F_GETFD), FD_CLOEXEC);
	region_deinit(&r);
	region_deinit(&r); /* harmless */
}

/* A peer that maps nr_memsize bytes sees what we write. */
static void test_mapping_is_shared(void **state)
{
	const char *why = NULL;
	struct region r;
	uint8_t *peer;

	assert_int_equal(region_init(&r, &small, 2, &why), 0);
	peer = mmap(NULL, r.layout.size, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	assert_true(peer != MAP_FAILED);
	region_buf(&r, 5)[0] = 0x5a;
	assert_int_equal(peer[mem_buf(&r.layout, 5)], 0x5a);
	region_buf(&r, 63)[2047] = 1; /* the last byte of the last buffer is ours */
	munmap(peer, r.layout.size);
	region_deinit(&r);
}

static void test_pages_come_when_touched(void **state)
{
	const char *why = NULL;
	struct region r;
	struct stat st;

	assert_int_equal(region_init(&r, &(struct mem_params){0}, 1, &why), 0);
	assert_int_equal(fstat(r.fd, &st), 0);
	assert_int_equal(st.st_size, 343019520 + 4096);
	assert_int_equal(st.st_blocks, 0);
	*region_buf(&r, 1000) = 1;
	assert_int_equal(fstat(r.fd, &st), 0);
	assert_in_range(st.st_blocks, 1, 8192);
	assert_int_equal((uintptr_t)region_umem(&r) % 4096, 0);
	assert_int_equal(region_umem_size(&r), 163840ull * 2048);
	region_deinit(&r);
}

static void test_bad_parameters_leave_nothing(void **state)
{
	const char *why = NULL;
	struct region r = {.fd = -1};
	int before = dup(0), after;

	close(before);
	assert_int_equal(region_init(&r, &(struct mem_params){.buf_num = 1}, 1, &why), -EINVAL);
	assert_non_null(why);
	assert_null(r.base);
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object_is_sealed),
		cmocka_unit_test(test_mapping_is_shared),
		cmocka_unit_test(test_pages_come_when_touched),
		cmocka_unit_test(test_bad_parameters_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
