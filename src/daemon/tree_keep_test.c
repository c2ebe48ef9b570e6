/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/tree_keep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"

struct image {
	struct tree_keep_head head;
	struct tree_keep_port ports[2];
};

static struct image good(void)
{
	const struct stp_port_memory port = {
		.root = 0x8000020000000001ULL,
		.bridge = 0x8000020000000001ULL,
		.path_cost = 2000,
		.port = 0x8001,
		.no = 1,
		.times = {0, 20 * BPDU_SECOND, 2 * BPDU_SECOND, 15 * BPDU_SECOND},
		.flags = STP_MEMORY_LEARN | STP_MEMORY_FORWARD | STP_MEMORY_RSTP,
		.priority = 32,
		.role = STP_ROOT,
		.p2p = 1,
		.rcvdInfoWhile = 6,
	};
	struct image f = {
		{"vdtree01", 1000, 500, {0x8000020000000002ULL, STP_VERSION_RSTP, 2, 20, 15, 2}},
		{{"veth10", 3, 2, port}, {"veth30", 4, 2, port}},
	};

	f.ports[1].tree.no = 2;
	f.ports[1].tree.role = STP_DESIGNATED;
	f.ports[1].tree.rcvdInfoWhile = 0;
	return f;
}

static void good_file(void **state)
{
	const struct image f = good();
	struct tree_image t;

	assert_true(tree_keep_parse(&f, sizeof(f), &t));
	assert_int_equal(t.head->boot_ms, 500);
	assert_int_equal(t.head->tree.n_ports, 2);
	assert_string_equal(t.ports[1].name, "veth30");
	assert_int_equal(t.ports[1].tree.no, 2);
}

static void sizes_must_fit(void **state)
{
	static const uint32_t counts[] = {0, 1, 3, STP_PORTS, UINT32_MAX};
	struct image f = good();
	struct tree_image t;

	for (size_t n = 0; n < sizeof(f); n++)
		assert_false(tree_keep_parse(&f, n, &t));
	for (size_t i = 0; i < array_size(counts); i++) {
		f.head.tree.n_ports = counts[i];
		assert_false(tree_keep_parse(&f, sizeof(f), &t));
	}
	f.head.tree.n_ports = 0; /* no port, nothing to keep */
	assert_false(tree_keep_parse(&f, sizeof(f.head), &t));
}

/* Values of the tree's own: core-stp_keep_test. */
static void contents_must_fit(void **state)
{
	struct tree_image t;
	struct image f;

#define REFUSED(change) (f = good(), (void)(change), !tree_keep_parse(&f, sizeof(f), &t))
	assert_false(REFUSED(0));
	assert_true(REFUSED(f.head.magic[7] = '2'));
	assert_true(REFUSED(f.ports[0].name[0] = '\0'));
	assert_true(REFUSED(memset(f.ports[1].name, 'x', BPORT_NAME_SIZE)));
	assert_true(REFUSED(f.head.tree.hello = 0));
	assert_true(REFUSED(f.ports[1].tree.role = STP_ROOT));
	assert_true(REFUSED(f.ports[1].tree.no = 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_file),
		cmocka_unit_test(sizes_must_fit),
		cmocka_unit_test(contents_must_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
