/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver between real devices: two veth pairs in a network namespace of the test's own,
 * host end a0 - a1 port x[0], port x[1] b1 - b0 host end. Needs root, ip(8); skipped (77)
 * otherwise.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/offload.h"
#include "port/driver.h"
#include "sys/bpf.h"

#define DRV       (&port_driver_xdp)
#define N_BUFS    8192u
#define WAIT_MS   2000
#define TCP_BYTES (8u << 20)

struct world {
	struct region region;
	struct bufpool *pool;
	struct bufcache bufs;
	struct port_env *env;
	char run_dir[32];
	struct bufpool_stats before; /* with nothing open */
	struct port *x[2];           /* a1, b1 */
	int host[2];                 /* packet sockets on a0, b0 */
};

static void run(const char *fmt, ...)
{
	char cmd[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) != 0)
		fail_msg("%s", cmd);
}

static int packet_socket(const char *dev)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(dev),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0), on = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void make_pair(const char *host, const char *port, uint32_t mtu)
{
	run("ip link add %s mtu %u type veth peer name %s mtu %u", host, mtu, port, mtu);
	run("ip link set %s up && ip link set %s up", host, port);
}

static struct port *open_port(struct world *w, const char *name)
{
	struct port_config cfg = {.name = name, .bufs = &w->bufs, .pool = w->pool, .env = w->env};
	const char *why = NULL;
	struct port *p = NULL;

	if (DRV->open(&cfg, &p, &why) != 0)
		fail_msg("%s: %s", name, why);
	return p;
}

static void open_all(struct world *w, uint32_t mtu)
{
	make_pair("a0", "a1", mtu);
	make_pair("b0", "b1", mtu);
	bufpool_stats(w->pool, &w->before);
	w->x[0] = open_port(w, "a1");
	w->x[1] = open_port(w, "b1");
	w->host[0] = packet_socket("a0");
	w->host[1] = packet_socket("b0");
}

static int set_up(void **state)
{
	struct mem_params params = {.buf_num = N_BUFS};
	struct world *w = calloc(1, sizeof(*w));
	const char *why;

	assert_int_equal(region_init(&w->region, &params, 1, &why), 0);
	w->pool = bufpool_new(&w->region, 64);
	bufcache_init(&w->bufs, w->pool);
	strcpy(w->run_dir, "/tmp/xdp-test-XXXXXX");
	assert_non_null(mkdtemp(w->run_dir));
	assert_int_equal(port_env_new(w->run_dir, &w->env, &why), 0);
	open_all(w, 1500);
	*state = w;
	return 0;
}

/* Every test ends with this: no buffer is lost, no program stays. */
static int tear_down(void **state)
{
	struct world *w = *state;
	struct bufpool_stats after;
	uint32_t id = 1, index;

	for (int i = 0; i < 2; i++) {
		if (w->x[i])
			DRV->close(w->x[i]);
		close(w->host[i]);
	}
	index = if_nametoindex("a1");
	if (index) {
		assert_int_equal(sys_bpf_xdp_query(index, &id), 0);
		assert_int_equal(id, 0);
	}
	bufcache_deinit(&w->bufs);
	bufpool_stats(w->pool, &after);
	assert_int_equal(after.n_free, w->before.n_free);
	assert_int_equal(after.n_big_free, w->before.n_big_free);
	(void)system("ip link del a0 2>/dev/null; ip link del b0 2>/dev/null");
	port_env_free(w->env);
	assert_int_equal(rmdir(w->run_dir), 0); /* nothing left to restore */
	bufpool_free(w->pool);
	region_deinit(&w->region);
	free(w);
	return 0;
}

static void fill_random(uint8_t *p, uint32_t len, uint32_t seed)
{
	memcpy(p, "\x02\0\0\0\0\2\x02\0\0\0\0\1\x88\xb5", 14);
	for (uint32_t i = 14; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)(seed >> 24);
	}
}

/* Moves what waits at port `from` to the other one; returns the number of frames. */
static uint32_t forward(struct world *w, int from)
{
	struct port *in = w->x[from], *out = w->x[!from];
	struct frame *list[BATCH_MAX];
	struct batch b = {0};
	uint32_t n = DRV->rx(in, &b);

	for (uint32_t i = 0; i < n; i++) {
		list[i] = &b.frames[i];
		if (b.frames[i].flags & FRAME_CSUM_PARTIAL) {
			assert_int_equal(offload_finish_csum(list[i]), 0);
			in->stats.offload.csum_finished++;
		}
	}
	for (uint32_t took = n ? DRV->tx(out, list, n) : 0; took < n; took++)
		buf_put(&w->bufs, &list[took]->buf, 1);
	DRV->flush(out);
	return n;
}

static void forward_n(struct world *w, int from, uint32_t n)
{
	struct pollfd p = {.fd = w->x[from]->fd, .events = POLLIN};

	while (n > 0) {
		uint32_t got = forward(w, from);

		assert_true(got <= n);
		n -= got;
		if (got == 0 && !DRV->arm(w->x[from]))
			assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	}
}

static void expect_frame(int fd, const uint8_t *want, uint32_t len)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	static uint8_t got[70000];

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(recv(fd, got, sizeof(got), 0), len);
	assert_memory_equal(got, want, len);
}

/* --- tests --- */

static void frames_pass_unchanged(void **state)
{
	static const uint32_t sizes[] = {14, 15, 60, 61, 64, 1000, 1513, 1514};
	struct world *w = *state;
	uint8_t f[2048];

	for (uint32_t i = 0; i < array_size(sizes); i++) {
		fill_random(f, sizes[i], i);
		assert_int_equal(send(w->host[0], f, sizes[i], 0), sizes[i]);
	}
	forward_n(w, 0, array_size(sizes));
	for (uint32_t i = 0; i < array_size(sizes); i++) {
		fill_random(f, sizes[i], i);
		expect_frame(w->host[1], f, sizes[i]);
	}
	assert_int_equal(w->x[0]->stats.rx_packets, array_size(sizes));
	assert_int_equal(w->x[1]->stats.tx_packets, array_size(sizes));
	assert_string_equal(w->x[0]->mode, "native");
}

/* More than the rings hold, both ways, in order. */
static void rings_go_round(void **state)
{
	struct world *w = *state;
	uint8_t f[60];

	for (uint32_t i = 0; i < 20000; i++) {
		int from = (int)(i / 16 & 1);

		fill_random(f, sizeof(f), i);
		assert_int_equal(send(w->host[from], f, sizeof(f), 0), sizeof(f));
		if (i % 16 != 15)
			continue;
		forward_n(w, from, 16);
		for (uint32_t k = i - 15; k <= i; k++) {
			fill_random(f, sizeof(f), k);
			expect_frame(w->host[!from], f, sizeof(f));
		}
	}
}

static void one_buffer_to_two_ports(void **state)
{
	struct world *w = *state;
	struct batch b = {0};
	struct frame *f = b.frames;
	uint8_t bytes[100];

	fill_random(bytes, sizeof(bytes), 7);
	assert_int_equal(send(w->host[0], bytes, sizeof(bytes), 0), sizeof(bytes));
	while (DRV->rx(w->x[0], &b) == 0)
		;
	assert_ptr_equal(f->data, region_buf(&w->region, f->buf));
	buf_ref(&w->bufs, f->buf, 1);
	assert_int_equal(DRV->tx(w->x[0], &f, 1), 1);
	assert_int_equal(DRV->tx(w->x[1], &f, 1), 1);
	DRV->flush(w->x[0]);
	DRV->flush(w->x[1]);
	expect_frame(w->host[0], bytes, sizeof(bytes));
	expect_frame(w->host[1], bytes, sizeof(bytes));
}

/* A frame in a large buffer is copied; above a chunk it takes several descriptors, both ways. */
static void large_buffers_and_jumbo_frames(void **state)
{
	static const uint32_t sizes[] = {60, 1792, 1793, 5000, 9014};
	struct world *w = *state;
	uint8_t bytes[9014];

	for (int i = 0; i < 2; i++) {
		DRV->close(w->x[i]);
		close(w->host[i]);
	}
	run("ip link del a0 && ip link del b0");
	open_all(w, 9000);
	for (uint32_t i = 0; i < array_size(sizes); i++) {
		struct frame f = {.len = sizes[i]}, *list = &f;

		fill_random(bytes, sizes[i], i);
		f.buf = buf_get_big(&w->bufs);
		f.data = buf_data(&w->bufs, f.buf);
		memcpy(f.data, bytes, f.len);
		assert_int_equal(DRV->tx(w->x[1], &list, 1), 1);
		DRV->flush(w->x[1]);
		expect_frame(w->host[1], bytes, sizes[i]);

		assert_int_equal(send(w->host[0], bytes, sizes[i], 0), sizes[i]);
		forward_n(w, 0, 1);
		expect_frame(w->host[1], bytes, sizes[i]);
	}
	assert_int_equal(w->x[1]->drops.n[DROP_OVERSIZE], 0);
}

static void too_long_is_a_named_drop(void **state)
{
	struct world *w = *state;
	struct frame f = {.len = 60000}, *list = &f;

	f.buf = buf_get_big(&w->bufs);
	f.data = buf_data(&w->bufs, f.buf);
	memset(f.data, 0, f.len);
	assert_int_equal(DRV->tx(w->x[1], &list, 1), 1);
	assert_int_equal(w->x[1]->drops.n[DROP_OVERSIZE], 1);

	/* What the device itself refuses comes back as a refused frame. */
	f = (struct frame){.len = 1700};
	assert_int_equal(buf_get(&w->bufs, &f.buf, 1), 1);
	f.data = buf_data(&w->bufs, f.buf);
	memset(f.data, 0, f.len);
	assert_int_equal(DRV->tx(w->x[1], &list, 1), 1);
	DRV->flush(w->x[1]);
	assert_int_equal(w->x[1]->drops.n[DROP_TX_REFUSED], 1);
}

static void full_ring_is_counted(void **state)
{
	struct world *w = *state;
	uint8_t f[60];

	fill_random(f, sizeof(f), 1);
	for (int i = 0; i < 4000; i++)
		assert_int_equal(send(w->host[0], f, sizeof(f), 0), sizeof(f));
	DRV->update_stats(w->x[0]);
	assert_int_equal(w->x[0]->drops.n[DROP_RX_RING_FULL], 4000 - 2048);
	DRV->update_stats(w->x[0]); /* not counted twice */
	assert_int_equal(w->x[0]->drops.n[DROP_RX_RING_FULL], 4000 - 2048);
	forward_n(w, 0, 2048);
}

static void fd_tells_of_frames(void **state)
{
	struct world *w = *state;
	struct pollfd p = {.fd = w->x[0]->fd, .events = POLLIN};
	uint8_t f[60];

	assert_false(DRV->arm(w->x[0]));
	assert_int_equal(poll(&p, 1, 20), 0);
	fill_random(f, sizeof(f), 1);
	assert_int_equal(send(w->host[0], f, sizeof(f), 0), sizeof(f));
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_true(DRV->arm(w->x[0]));
	forward_n(w, 0, 1);
	assert_false(DRV->arm(w->x[0]));
	assert_int_equal(poll(&p, 1, 20), 0);
}

static void send_one(struct world *w, uint32_t n_down)
{
	struct frame f = {.len = 60}, *list = &f;
	uint8_t bytes[60];

	fill_random(bytes, sizeof(bytes), 3);
	assert_int_equal(buf_get(&w->bufs, &f.buf, 1), 1);
	f.data = buf_data(&w->bufs, f.buf);
	memcpy(f.data, bytes, sizeof(bytes));
	assert_int_equal(DRV->tx(w->x[1], &list, 1), 1);
	DRV->flush(w->x[1]);
	assert_int_equal(w->x[1]->drops.n[DROP_TX_DOWN], n_down);
}

static void device_down_and_up(void **state)
{
	struct world *w = *state;
	uint8_t bytes[60];

	run("ip link set b1 down");
	send_one(w, 0); /* finds out */
	send_one(w, 1);
	run("ip link set b1 up");
	send_one(w, 1);
	fill_random(bytes, sizeof(bytes), 3);
	expect_frame(w->host[1], bytes, sizeof(bytes));
	expect_frame(w->host[1], bytes, sizeof(bytes)); /* the one that was queued */
}

static void device_vanishes(void **state)
{
	struct world *w = *state;
	struct pollfd p = {.fd = w->x[1]->fd, .events = POLLIN};
	struct batch b = {0};

	run("ip link del b0");
	for (int i = 0; i < 20; i++) {
		assert_int_equal(DRV->rx(w->x[1], &b), 0);
		assert_false(DRV->arm(w->x[1]));
	}
	assert_int_equal(poll(&p, 1, 20), 0); /* it does not keep the worker awake */
	send_one(w, 1);
}

static void refused_with_a_reason(void **state)
{
	struct world *w = *state;
	struct port_config cfg = {.name = "a1", .bufs = &w->bufs, .pool = w->pool};
	const char *why = NULL;
	struct port *p = NULL;

	assert_true(DRV->open(&cfg, &p, &why) < 0); /* a program of another port is there */
	assert_non_null(strstr(why, "another XDP program"));
	cfg.name = "nosuch0";
	assert_int_equal(DRV->open(&cfg, &p, &why), -ENODEV);
	assert_string_equal(why, "no such interface");
	cfg.name = "lo";
	assert_int_equal(DRV->open(&cfg, &p, &why), -EINVAL);
	assert_non_null(strstr(why, "loopback"));
	assert_null(p);
}

static void program_and_promiscuity_go_with_the_port(void **state)
{
	struct world *w = *state;
	uint32_t id = 0;

	assert_int_equal(sys_bpf_xdp_query(if_nametoindex("a1"), &id), 0);
	assert_int_not_equal(id, 0);
	run("ip -d link show a1 | grep -q 'promiscuity 1'");
	DRV->close(w->x[0]);
	w->x[0] = NULL;
	run("ip -d link show a1 | grep -q 'promiscuity 0'");
}

/* tc program: bpf_skb_vlan_push(skb, 802.1ad, 0x600a), which leaves the tag beside the frame. */
static int load_push(void)
{
	struct bpf_insn prog[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = htons(ETH_P_8021AD)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = 0x600a},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "push", "Dual BSD/GPL", prog,
			     array_size(prog), NULL);
}

static void tag_beside_the_frame_is_put_back(void **state)
{
	struct world *w = *state;
	struct sys_bpf_attachment at = {0};
	const char *why;
	uint8_t f[1514], want[1518];
	struct batch b = {0};
	int fd = load_push();

	assert_true(fd >= 0);
	assert_int_equal(sys_bpf_attach_tc(&at, fd, if_nametoindex("a0"), true, &why), 0);
	fill_random(f, sizeof(f), 5);
	memcpy(want, f, 12);
	memcpy(want + 12, "\x88\xa8\x60\x0a", 4);
	memcpy(want + 16, f + 12, sizeof(f) - 12);
	assert_int_equal(send(w->host[0], f, sizeof(f), 0), sizeof(f));
	while (DRV->rx(w->x[0], &b) == 0)
		;
	assert_int_equal(b.frames[0].len, sizeof(want));
	assert_memory_equal(b.frames[0].data, want, sizeof(want));
	assert_ptr_equal(b.frames[0].data, region_buf(&w->region, b.frames[0].buf));
	buf_put(&w->bufs, &b.frames[0].buf, 1);
	DRV->update_stats(w->x[0]);
	assert_int_equal(w->x[0]->stats.offload.tags_restored, 1);
	assert_int_equal(w->x[0]->drops.n[DROP_RX_TRUNCATED], 0);
	sys_bpf_detach(&at);
	close(fd);
}

/* 1,500 bytes behind two tags inside the frame: one less inside and veth takes it. */
static void full_size_with_two_tags(void **state)
{
	struct world *w = *state;
	struct frame f = {.len = 1522, .n_tags = 2}, *list = &f;
	static uint8_t got[2048];
	struct pollfd p = {.fd = w->host[1], .events = POLLIN};

	assert_int_equal(buf_get(&w->bufs, &f.buf, 1), 1);
	f.data = buf_data(&w->bufs, f.buf);
	fill_random(f.data, f.len, 9);
	memcpy(f.data + 12, "\x88\xa8\0\x0a\x81\0\0\x14\x88\xb5", 10);
	buf_ref(&w->bufs, f.buf, 1);
	assert_int_equal(DRV->tx(w->x[1], &list, 1), 1);
	DRV->flush(w->x[1]);
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	/* A packet socket shows the outer tag beside the frame. */
	assert_int_equal(recv(w->host[1], got, sizeof(got), 0), 1518);
	assert_memory_equal(got, f.data, 12);
	assert_memory_equal(got + 12, f.data + 16, 1506);
	assert_int_equal(w->x[1]->drops.n[DROP_TX_REFUSED], 0);
	buf_put(&w->bufs, &f.buf, 1);
}

/* --- TCP between two hosts, offloads as they are --- */

/* In a child: waits until `dev` is here, then configures it. */
static void be_host(const char *dev, const char *addr, int ready)
{
	char cmd[256];

	if (unshare(CLONE_NEWNET) || write(ready, "x", 1) != 1)
		_exit(2);
	for (int i = 0; i < 200 && !if_nametoindex(dev); i++)
		usleep(10000);
	snprintf(cmd, sizeof(cmd),
		 "ip link set lo up && ip addr add %s dev %s && ip link set %s up", addr, dev, dev);
	if (system(cmd) != 0)
		_exit(3);
}

static void tcp_server(int ready)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(5000)};
	int s, c;
	uint8_t buf[65536];
	uint32_t got = 0;
	ssize_t n;

	be_host("b0", "192.168.56.2/24", ready);
	s = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 1))
		_exit(4);
	c = accept(s, NULL, NULL);
	while ((n = read(c, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++, got++)
			if (buf[i] != (uint8_t)(got * 7))
				_exit(5);
	}
	_exit(got == TCP_BYTES ? 0 : 6);
}

static void tcp_client(int ready)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(5000)};
	uint8_t *p = malloc(TCP_BYTES);
	int s = -1, r = -1;
	ssize_t n;

	be_host("a0", "192.168.56.1/24", ready);
	inet_pton(AF_INET, "192.168.56.2", &a.sin_addr);
	for (uint32_t i = 0; i < TCP_BYTES; i++)
		p[i] = (uint8_t)(i * 7);
	for (int i = 0; i < 100 && r != 0; i++) {
		s = socket(AF_INET, SOCK_STREAM, 0);
		r = connect(s, (struct sockaddr *)&a, sizeof(a));
		if (r != 0)
			usleep(20000);
	}
	for (uint32_t sent = 0; sent < TCP_BYTES; sent += (uint32_t)n) {
		n = write(s, p + sent, TCP_BYTES - sent);
		if (n <= 0)
			_exit(7);
	}
	close(s);
	_exit(0);
}

static pid_t start_host(void (*host)(int), const char *dev)
{
	int p[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		host(p[1]);
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	close(p[1]);
	run("ip link set %s netns %d", dev, (int)pid);
	return pid;
}

static void tcp_with_default_offloads(void **state)
{
	struct world *w = *state;
	pid_t left = 2;
	struct pollfd p[2];
	int status;

	start_host(tcp_server, "b0");
	start_host(tcp_client, "a0");
	while (left > 0) {
		uint32_t n = forward(w, 0) + forward(w, 1);

		for (int i = 0; i < 2; i++) {
			p[i] = (struct pollfd){.fd = w->x[i]->fd, .events = POLLIN};
			n += n == 0 && DRV->arm(w->x[i]);
		}
		if (n == 0)
			poll(p, 2, 20);
		if (n == 0 && waitpid(-1, &status, WNOHANG) > 0) {
			assert_int_equal(status, 0);
			left--;
		}
	}
	assert_true(w->x[0]->stats.offload.csum_finished > TCP_BYTES / 1500);
	/* The host ends are gone with their namespaces. */
	assert_true(w->x[0]->stats.rx_packets > TCP_BYTES / 1500);
}

/* Namespaces and BPF, or skip. */
static bool have_rights(void)
{
	int fd = unshare(CLONE_NEWNET) ? -1 : load_push();

	if (fd < 0)
		return false;
	close(fd);
	return system("ip link set lo up && sysctl -qw net.ipv6.conf.all.disable_ipv6=1 "
		      "net.ipv6.conf.default.disable_ipv6=1") == 0;
}

/* Before 6.8 an XDP program cannot see a tag beside the frame, and the driver refuses veths. */
static bool kernel_tells_tags(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	assert(uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2);
	return major > 6 || (major == 6 && minor >= 8);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(frames_pass_unchanged),
		T(rings_go_round),
		T(one_buffer_to_two_ports),
		T(large_buffers_and_jumbo_frames),
		T(too_long_is_a_named_drop),
		T(full_ring_is_counted),
		T(fd_tells_of_frames),
		T(device_down_and_up),
		T(device_vanishes),
		T(refused_with_a_reason),
		T(program_and_promiscuity_go_with_the_port),
		T(tag_beside_the_frame_is_put_back),
		T(full_size_with_two_tags),
		T(tcp_with_default_offloads),
	};

	if (!have_rights()) {
		printf("skipped: needs root, BPF and ip(8)\n");
		return 77;
	}
	if (!kernel_tells_tags()) {
		printf("skipped: veth with XDP needs Linux 6.8\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
