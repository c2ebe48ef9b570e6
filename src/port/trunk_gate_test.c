/* SPDX-License-Identifier: BSD-2-Clause */
/* Gates of a closed bridge. Needs what trunk_test.c needs. */
#include "port/trunk_testkit.h"

static void open_gates(struct world *w, int expect)
{
	static const struct {
		const char *dev;
		enum trunk_where where;
	} gates[] = {{"m0", TRUNK_EGRESS}, {"m1", TRUNK_EGRESS}, {"br0", TRUNK_INGRESS}};
	const char *why = "?";

	for (size_t i = 0; i < array_size(gates); i++)
		assert_int_equal(trunk_gate_open(w->trunk, if_nametoindex(gates[i].dev),
						 gates[i].where, &why),
				 expect);
	if (expect)
		assert_string_equal(why, "no bpf file system is mounted at /sys/fs/bpf");
}

static void close_gates(struct trunk *t)
{
	trunk_gate_close(t, if_nametoindex("m0"), TRUNK_EGRESS);
	trunk_gate_close(t, if_nametoindex("m1"), TRUNK_EGRESS);
	trunk_gate_close(t, if_nametoindex("br0"), TRUNK_INGRESS);
}

/* Those of clsact gates that outlived who made them (docs/drivers.md). */
static void remove_qdiscs(void)
{
	run("for i in m0 m1 br0; do tc qdisc del dev $i clsact 2>/dev/null; done; true");
}

/* A closed trunk with gates, also at what the host sends; all of it inspected. */
static void open_closed(struct world *w, int expect)
{
	open_trunk(w, true, NO_HANG_MS);
	trunk_plan(add_place(w, "br0", TRUNK_EGRESS, NO_BR0), TRUNK_TAKE);
	plan(w, TRUNK_TAKE);
	open_gates(w, expect);
}

static void everything_inspected_passes(struct world *w)
{
	shell(w, "nsenter -t %d -n ping -q -c 1 -W 1 10.7.0.2 >/dev/null", w->ns[0]);
	shell(w, "ping -q -c 1 -W 1 10.7.0.2 >/dev/null");
	assert_int_equal(trunk_gate_drops(w->trunk), 0);
	while (arrives(w))
		;
}

/* A member without a place, as one that is new: nothing of it gets out. */
static void gates_let_only_inspected_frames_pass(void **state)
{
	struct world *w = *state;
	static uint8_t d[64];

	w->trunk = trunk_close(w->trunk);
	open_closed(w, 0);
	everything_inspected_passes(w);
	plan(w, TRUNK_PASS); /* a plan is an inspection, too */
	send_one(w);
	assert_true(arrives(w));
	plan(w, TRUNK_COPY);
	send_one(w);
	assert_true(arrives(w));
	serve_all(w);
	assert_int_equal(trunk_gate_drops(w->trunk), 0);

	trunk_place_close(w->place[10]);
	send_one(w);
	assert_false(arrives(w));
	assert_int_equal(trunk_gate_drops(w->trunk),
			 2); /* to host 1, and up to the bridge's host */
	/* What the host sends by a VLAN device on m1 comes by no place. */
	make_frame(d, sizeof(d), "\x81\x00\x00\x40\x88\xb5", 6);
	host_send(w->sock[0], NULL, d, sizeof(d));
	assert_false(arrives(w));
	trunk_place_exempt_vlan(w->place[20], 0x8100, 64, true);
	host_send(w->sock[0], NULL, d, sizeof(d));
	assert_true(arrives(w));
	close_gates(w->trunk);
	send_one(w);
	assert_true(arrives(w));
}

static void gates_outlive_the_daemon(void **state)
{
	struct world *w = *state;

	w->trunk = trunk_close(w->trunk);
	open_closed(w, 0);
	everything_inspected_passes(w);
	w->trunk = trunk_close(w->trunk);
	send_one(w);
	assert_false(arrives(w));
	/* The next daemon has gates of its own in their place. */
	open_closed(w, 0);
	everything_inspected_passes(w);
	w->trunk = trunk_close(w->trunk);
	send_one(w);
	assert_false(arrives(w));
	close_gates(NULL);
	remove_qdiscs();
	wait_until_as_before(w);
	run("test ! -e /sys/fs/bpf/viaduct");
}

static void gates_without_bpffs_go_with_the_trunk(void **state)
{
	struct world *w = *state;

	while (umount("/sys/fs/bpf") == 0) /* the machine's own below it, too */
		;
	w->trunk = trunk_close(w->trunk);
	open_closed(w, TRUNK_E_UNPINNED);
	everything_inspected_passes(w);
	trunk_place_close(w->place[10]);
	send_one(w);
	assert_false(arrives(w));
	w->trunk = trunk_close(w->trunk);
	wait_until_as_before(w);
	assert_int_equal(mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL), 0);
}

static void gates_by_clsact(void **state)
{
	struct world *w = *state;

	w->trunk = trunk_close(w->trunk);
	sys_bpf_allow_tcx(false);
	open_closed(w, 0);
	everything_inspected_passes(w);
	w->trunk = trunk_close(w->trunk);
	send_one(w);
	assert_false(arrives(w));
	close_gates(NULL);
	remove_qdiscs();
	open_closed(w, 0);
	sys_bpf_allow_tcx(true);
	everything_inspected_passes(w);
	close_gates(w->trunk);
	w->trunk = trunk_close(w->trunk);
	wait_until_as_before(w);
}

/* Who sends on the trunk's device is not us, whatever it says. */
static void strangers_on_the_trunk_get_nowhere(void **state)
{
	struct world *w = *state;
	const char *name = trunk_port(w->trunk)->name;
	int fd = packet_socket(name), mark = (int)(if_nametoindex("m0") | 0x80000000u);
	static uint8_t d[VNET_SIZE + 60];

	plan(w, TRUNK_TAKE);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	make_frame(d + VNET_SIZE, 60, "\x88\xb5", 2);
	assert_int_equal(send(fd, d, sizeof(d), 0), -1);
	assert_int_equal(errno, ENOBUFS);
	make_frame(d + VNET_SIZE, 60, "\x88\xa8\x00\x0a\x88\xb5", 6); /* place 10 */
	assert_int_equal(send(fd, d, sizeof(d), 0), -1);
	assert_false(arrives(w));
	assert_int_equal(serve(w), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(gates_let_only_inspected_frames_pass),  T(gates_outlive_the_daemon),
		T(gates_without_bpffs_go_with_the_trunk), T(gates_by_clsact),
		T(strangers_on_the_trunk_get_nowhere),
	};

	if (!trunk_tests_can_run())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
