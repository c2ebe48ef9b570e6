/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packet and tap drivers on real devices, in a network namespace of the test's own: host end
 * a0 - a1 port x[0], port x[1] b1 - b0 host end. Needs root and ip(8); skipped (77) otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "port/driver.h"
#include "port/netdev.h"
#include "port/vnet.h"

#define WAIT_MS 1000

struct world {
	struct region region;
	struct bufpool *pool;
	struct bufcache bufs;
	struct port_env *env;
	char run_dir[32];
	struct port *x[2];
	int host[2]; /* packet sockets with vnet headers on a0 and b0 */
	uint32_t n_free, n_big_free;
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

static struct port *open_port(struct world *w, const struct port_driver *d, const char *name)
{
	const struct port_config cfg = {
		.name = name, .bufs = &w->bufs, .pool = w->pool, .env = w->env, .create = true};
	const char *why = "?";
	struct port *p = NULL;

	if (d->open(&cfg, &p, &why))
		fail_msg("open %s: %s", name, why);
	return p;
}

static int host_socket(const char *name)
{
	const struct sockaddr_ll a = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(ETH_P_ALL),
				      .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0), one = 1, size = 64 << 20;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one));
	setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one));
	setsockopt(fd, SOL_PACKET, 23 /* PACKET_IGNORE_OUTGOING */, &one, sizeof(one));
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static int world_up(void **state)
{
	static struct world w;
	const struct mem_params m = {.buf_num = 8192};
	struct bufpool_stats s;
	const char *why;

	w = (struct world){.run_dir = "/tmp/packet_test.XXXXXX"};
	*state = &w;
	assert_non_null(mkdtemp(w.run_dir));
	assert_int_equal(region_init(&w.region, &m, 1, &why), 0);
	w.pool = bufpool_new(&w.region, 0);
	bufpool_stats(w.pool, &s);
	w.n_free = s.n_free;
	w.n_big_free = s.n_big_free;
	bufcache_init(&w.bufs, w.pool);
	assert_int_equal(port_env_new(w.run_dir, &w.env, &why), 0);
	run("ip link add a0 mtu 9000 type veth peer name a1 mtu 9000");
	run("ip link add b0 type veth peer name b1");
	run("for i in a0 b0; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done");
	run("for i in a0 a1 b0 b1; do ip link set $i up; done");
	w.x[0] = open_port(&w, &port_driver_packet, "a1");
	w.x[1] = open_port(&w, &port_driver_packet, "b1");
	w.host[0] = host_socket("a0");
	w.host[1] = host_socket("b0");
	return 0;
}

static int world_down(void **state)
{
	struct world *w = *state;
	struct bufpool_stats s;

	for (int i = 0; i < 2; i++) {
		close(w->host[i]);
		if (w->x[i])
			w->x[i]->driver->close(w->x[i]);
	}
	port_env_free(w->env);
	bufcache_deinit(&w->bufs);
	bufpool_stats(w->pool, &s);
	assert_int_equal(s.n_free, w->n_free); /* every buffer came home */
	assert_int_equal(s.n_big_free, w->n_big_free);
	bufpool_free(w->pool);
	region_deinit(&w->region);
	run("ip link del a0 2>/dev/null; ip link del b0 2>/dev/null; true");
	assert_int_equal(rmdir(w->run_dir), 0); /* no state left */
	return 0;
}

/* Moves what waits at port from to port to; returns how many frames. */
static uint32_t forward(struct port *from, struct port *to)
{
	static struct batch b;
	struct frame *list[BATCH_MAX];

	b.n = 0;
	from->driver->rx(from, &b);
	for (uint32_t i = 0; i < b.n; i++)
		list[i] = &b.frames[i];
	if (b.n)
		assert_int_equal(to->driver->tx(to, list, b.n), b.n);
	return b.n;
}

/* Until n frames went from x[0] to x[1], with a deadline; sleeping on the port's descriptor. */
static uint32_t forward_n(struct world *w, uint32_t n)
{
	uint32_t done = 0;

	for (int i = 0; i < 200 && done < n; i++) {
		struct pollfd p = {.fd = w->x[0]->fd, .events = POLLIN};
		uint32_t k = forward(w->x[0], w->x[1]);

		done += k;
		if (k == 0 && !w->x[0]->driver->arm(w->x[0]))
			poll(&p, 1, WAIT_MS / 20);
	}
	return done;
}

static void host_send(int fd, const struct virtio_net_hdr *h, const uint8_t *data, uint32_t len)
{
	const struct virtio_net_hdr none = {0};
	const struct iovec v[2] = {{(void *)(h ? h : &none), VNET_SIZE}, {(void *)data, len}};

	if (writev(fd, v, 2) < 0)
		fail_msg("host send: %s", strerror(errno));
}

/* One frame as it was on the wire, tags inside; 0 when none comes within wait_ms. */
static uint32_t host_recv(int fd, struct virtio_net_hdr *h, uint8_t *data, int wait_ms)
{
	struct iovec v[2] = {{h, VNET_SIZE}, {data + VNET_TAG_SIZE, 70000}};
	uint8_t control[128] __attribute__((aligned(8)));
	struct msghdr m = {.msg_iov = v,
			   .msg_iovlen = 2,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct pollfd p = {.fd = fd, .events = POLLIN};
	const struct tpacket_auxdata *aux = NULL;
	ssize_t n;

	poll(&p, 1, wait_ms);
	n = recvmsg(fd, &m, 0);
	if (n <= 0)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
			aux = (const void *)CMSG_DATA(c);
	if (aux && aux->tp_status & TP_STATUS_VLAN_VALID) {
		vnet_put_tag(data, data + VNET_TAG_SIZE, aux->tp_vlan_tpid, aux->tp_vlan_tci);
		return (uint32_t)n - VNET_SIZE + VNET_TAG_SIZE;
	}
	memmove(data, data + VNET_TAG_SIZE, (size_t)n - VNET_SIZE);
	return (uint32_t)n - VNET_SIZE;
}

/* Broadcast from a made-up host, EtherType type (several for tags), counting bytes behind. */
static void make_frame(uint8_t *d, uint32_t len, const char *types, uint32_t n_types)
{
	for (uint32_t i = 0; i < len; i++)
		d[i] = (uint8_t)i;
	memcpy(d, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x77", 12);
	memcpy(d + 12, types, n_types);
}

static void frames_pass_byte_for_byte(void **state)
{
	static const struct {
		const char *types;
		uint32_t n_types, len;
	} cases[] = {
		{"\x88\xb5", 2, 14},
		{"\x88\xb5", 2, 60},
		{"\x88\xb5", 2, 1514},
		{"\x81\x00\x20\x0a\x88\xb5", 6, 60},
		{"\x81\x00\x20\x0a\x88\xb5", 6, 1518},
		{"\x88\xa8\xe0\x14\x88\xb5", 6, 64},
		{"\x88\xa8\xe0\x14\x88\xb5", 6, 1518},
		{"\x81\x00\x00\x14\x81\x00\x20\x0a\x88\xb5", 10, 1522},
		{"\x88\xa8\x00\x14\x81\x00\x20\x0a\x88\xb5", 10, 1522},
	};
	struct world *w = *state;
	static uint8_t out[2000], in[70100];
	struct virtio_net_hdr h;

	for (size_t i = 0; i < array_size(cases); i++) {
		make_frame(out, cases[i].len, cases[i].types, cases[i].n_types);
		host_send(w->host[0], NULL, out, cases[i].len);
		assert_int_equal(forward_n(w, 1), 1);
		assert_int_equal(host_recv(w->host[1], &h, in, WAIT_MS), cases[i].len);
		assert_memory_equal(in, out, cases[i].len);
		assert_int_equal(host_recv(w->host[1], &h, in, 0), 0);
	}
	assert_int_equal(w->x[0]->stats.offload.tags_restored, 6);
	assert_int_equal(w->x[1]->stats.tx_packets, array_size(cases));
}

/* Small frames take another socket than large ones; what the host sent first comes first. */
static void order_is_kept_between_small_and_large(void **state)
{
	struct world *w = *state;
	static uint8_t d[9000], in[70100];
	struct virtio_net_hdr h;
	uint32_t n = 0, next = 0;

	run("ip link set b0 mtu 9000; ip link set b1 mtu 9000");
	w->x[1]->driver->close(w->x[1]);
	w->x[1] = open_port(w, &port_driver_packet, "b1");
	for (uint32_t i = 0; i < 300; i++) {
		uint32_t len = i % 7 == 3 || i % 11 == 5 ? 4000 + i : 60 + i;

		make_frame(d, len, "\x88\xb5", 2);
		memcpy(d + 14, &i, sizeof(i));
		host_send(w->host[0], NULL, d, len);
	}
	assert_int_equal(forward_n(w, 300), 300);
	while (host_recv(w->host[1], &h, in, n < 300 ? WAIT_MS : 0)) {
		memcpy(&next, in + 14, sizeof(next));
		assert_int_equal(next, n);
		n++;
	}
	assert_int_equal(n, 300);
}

static void gso_frame_passes_whole(void **state)
{
	struct world *w = *state;
	static uint8_t d[30000], in[70100];
	const struct virtio_net_hdr h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					 .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					 .gso_size = 1400,
					 .hdr_len = 54,
					 .csum_start = 34,
					 .csum_offset = 16};
	struct virtio_net_hdr back;

	make_frame(d, sizeof(d), "\x08\x00\x45\x00", 4);
	memcpy(d + 16, "\x75\x22\x00\x00\x40\x00\x40\x06\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02",
	       18);
	d[46] = 0x50; /* TCP header of 20 bytes */
	host_send(w->host[0], &h, d, sizeof(d));
	assert_int_equal(forward_n(w, 1), 1);
	assert_int_equal(host_recv(w->host[1], &back, in, WAIT_MS), sizeof(d));
	assert_memory_equal(in, d, sizeof(d));
	assert_int_equal(back.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(back.gso_size, 1400);
	assert_int_equal(back.csum_start, 34);
	assert_int_equal(back.csum_offset, 16);
	assert_int_equal(back.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_F_NEEDS_CSUM);
}

/* A kind that vnet headers cannot say must neither wedge the ring (TPACKET_V2) nor the queue. */
static void inexpressible_gso_is_one_counted_drop(void **state)
{
	struct world *w = *state;
	struct ifreq ifr = {.ifr_name = "vm0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	const struct virtio_net_hdr ufo = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					   .gso_type = VIRTIO_NET_HDR_GSO_UDP,
					   .gso_size = 400,
					   .hdr_len = 42,
					   .csum_start = 34,
					   .csum_offset = 6};
	int tap = open("/dev/net/tun", O_RDWR);
	static uint8_t d[1200];
	struct port *p;
	uint32_t n = 0;

	assert_int_equal(ioctl(tap, TUNSETIFF, &ifr), 0);
	run("ip link set vm0 up");
	p = open_port(w, &port_driver_packet, "vm0");
	make_frame(d, sizeof(d), "\x08\x00\x45\x00", 4);
	memcpy(d + 16, "\x04\xa2\x00\x00\x40\x00\x40\x11\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02",
	       18);
	host_send(tap, &ufo, d, sizeof(d));
	host_send(tap, NULL, d, sizeof(d));
	host_send(tap, &ufo, d, sizeof(d));
	host_send(tap, NULL, d, sizeof(d));
	for (int i = 0; i < 50 && (n < 2 || p->drops.n[DROP_GSO_KIND] < 2); i++)
		n += forward(p, w->x[1]);
	assert_int_equal(n, 2);
	assert_int_equal(p->drops.n[DROP_GSO_KIND], 2);
	p->driver->close(p);
	close(tap);
}

static void host_does_not_answer_for_the_port(void **state)
{
	struct world *w = *state;
	static uint8_t arp[60], in[70100];
	struct virtio_net_hdr h;

	run("ip addr add 10.9.0.1/24 dev a1");
	make_frame(arp, sizeof(arp), "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
	memcpy(arp + 22, "\x02\x00\x00\x00\x00\x77\x0a\x09\x00\x02\0\0\0\0\0\0\x0a\x09\x00\x01",
	       20);
	host_send(w->host[0], NULL, arp, sizeof(arp));
	assert_int_equal(forward_n(w, 1), 1);
	assert_int_equal(host_recv(w->host[1], &h, in, WAIT_MS), sizeof(arp));
	assert_int_equal(host_recv(w->host[0], &h, in, 50), 0);
}

static int ipv6_off(const char *name)
{
	int v = -1;

	netdev_ipv6_get(name, "disable_ipv6", &v);
	return v;
}

static void close_restores_the_device(void **state)
{
	struct world *w = *state;

	assert_int_equal(ipv6_off("a1"), 1);
	w->x[0]->driver->close(w->x[0]);
	w->x[0] = NULL;
	assert_int_equal(ipv6_off("a1"), 0);
	run("test -z \"$(tc filter show dev a1 ingress)\"");
	run("! ip -d link show a1 | grep -q 'promiscuity [1-9]'");
}

/* A daemon that dies restores nothing; the next one does. */
static void crash_is_recovered(void **state)
{
	struct world *w = *state;
	pid_t child;
	int status;

	run("ip link add c0 type veth peer name c1");
	child = fork();
	if (child == 0) {
		open_port(w, &port_driver_packet, "c1");
		_exit(ipv6_off("c1") == 1 ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(ipv6_off("c1"), 1);
	port_env_recover(w->env); /* takes x[0] and x[1] for a dead daemon's, too */
	assert_int_equal(ipv6_off("c1"), 0);
	run("ip link del c0");
}

/* Its descriptor stops waking us: other things that the kernel sends on a new link are few. */
static bool falls_silent(struct world *w, struct port *p)
{
	for (int i = 0; i < 200; i++) {
		forward(w->x[0], w->x[1]);
		if (!p->driver->arm(p) &&
		    poll(&(struct pollfd){.fd = p->fd, .events = POLLIN}, 1, 20) == 0)
			return true;
	}
	return false;
}

static void down_and_up_again(void **state)
{
	struct world *w = *state;
	static uint8_t d[60], in[70100];
	struct virtio_net_hdr h;

	make_frame(d, sizeof(d), "\x88\xb5", 2);
	run("ip link set b1 down");
	host_send(w->host[0], NULL, d, sizeof(d));
	assert_int_equal(forward_n(w, 1), 1);
	assert_int_equal(w->x[1]->drops.n[DROP_TX_DOWN], 1);
	run("ip link set b1 up");
	host_send(w->host[0], NULL, d, sizeof(d));
	assert_int_equal(forward_n(w, 1), 1);
	assert_int_equal(host_recv(w->host[1], &h, in, WAIT_MS), sizeof(d));
	assert_memory_equal(in, d, sizeof(d));

	/* The other way: down, up, and it still receives; no endless wake-ups. */
	run("ip link set a1 down; ip link set a1 up");
	assert_true(falls_silent(w, w->x[0]));
	host_send(w->host[0], NULL, d, sizeof(d));
	assert_int_equal(forward_n(w, 1), 1);
}

static void deleted_device_is_harmless(void **state)
{
	struct world *w = *state;
	static uint8_t d[60];

	make_frame(d, sizeof(d), "\x88\xb5", 2);
	host_send(w->host[0], NULL, d, sizeof(d));
	run("ip link del b0");
	assert_int_equal(forward_n(w, 1), 1);
	assert_int_equal(w->x[1]->drops.n[DROP_TX_DOWN], 1);
	assert_int_equal(forward(w->x[1], w->x[0]), 0);
}

static void kernel_drops_are_counted(void **state)
{
	struct world *w = *state;
	static uint8_t d[60];
	uint32_t n;

	make_frame(d, sizeof(d), "\x88\xb5", 2);
	for (uint32_t i = 0; i < 6000; i++)
		host_send(w->host[0], NULL, d, sizeof(d));
	n = forward_n(w, 6000);
	w->x[0]->driver->update_stats(w->x[0]);
	assert_true(n >= 4000 && n < 6000);
	/* On a busy machine the kernel's own backlog may lose some before the socket. */
	assert_true(w->x[0]->drops.n[DROP_RX_RING_FULL] > 0);
	assert_true(n + w->x[0]->drops.n[DROP_RX_RING_FULL] <= 6000);
}

static void too_long_for_the_port(void **state)
{
	struct world *w = *state;
	static struct drop_log log;
	static uint8_t d[3000];

	make_frame(d, sizeof(d), "\x88\xb5", 2);
	host_send(w->host[0], NULL, d, sizeof(d));
	log.now_ns = 5;
	w->x[1]->drop_log = &log;
	w->x[1]->drop_port = 7;
	assert_int_equal(forward_n(w, 1), 1);
	assert_int_equal(w->x[1]->drops.n[DROP_EGRESS_MTU], 1);
	assert_int_equal(log.last[DROP_EGRESS_MTU].time_ns, 5);
	assert_int_equal(log.last[DROP_EGRESS_MTU].port, 7);
	assert_int_equal(log.last[DROP_EGRESS_MTU].len, sizeof(d));
	assert_memory_equal(log.last[DROP_EGRESS_MTU].data, d, DROP_BYTES);
}

static void tap_round_trip_and_refusals(void **state)
{
	struct world *w = *state;
	struct port_config cfg = {.name = "t0", .bufs = &w->bufs, .env = w->env};
	struct port *t, *no = NULL;
	static uint8_t d[5000], in[70100];
	struct virtio_net_hdr h;
	const char *why;
	int fd;

	assert_int_equal(port_driver_tap.open(&cfg, &no, &why), -ENODEV);
	t = open_port(w, &port_driver_tap, "t0");
	assert_int_equal(port_driver_tap.open(&cfg, &no, &why), -EBUSY);
	assert_string_equal(why, "another process holds this TAP device");
	cfg.name = "b0";
	assert_int_equal(port_driver_tap.open(&cfg, &no, &why), -EINVAL);
	assert_string_equal(why, "a device of that name exists and is no TAP device");
	run("echo 1 > /proc/sys/net/ipv6/conf/t0/disable_ipv6; ip link set t0 mtu 9000 up");
	fd = host_socket("t0");
	make_frame(d, sizeof(d), "\x88\xb5", 2);
	host_send(w->host[0], NULL, d, sizeof(d));
	for (int i = 0; i < 100 && !forward(w->x[0], t); i++)
		usleep(1000);
	assert_int_equal(host_recv(fd, &h, in, WAIT_MS), sizeof(d));
	assert_memory_equal(in, d, sizeof(d));
	for (uint32_t len = 1500; len <= 5000; len += 3500) { /* in one buffer, and joined */
		host_send(fd, NULL, d, len);
		for (int i = 0; i < 100 && !forward(t, w->x[0]); i++)
			usleep(1000);
		assert_int_equal(host_recv(w->host[0], &h, in, WAIT_MS), len);
		assert_memory_equal(in, d, len);
	}
	close(fd);
	t->driver->close(t);
	assert_int_equal(if_nametoindex("t0"), 0);
}

static void auto_choices(void **state)
{
	const char *why;

	assert_ptr_equal(port_driver_auto("a1", &why), &port_driver_packet);
	assert_string_equal(why, "a virtual device: GSO frames pass whole");
	assert_ptr_equal(port_driver_auto("nothere", &why), &port_driver_packet);
	assert_string_equal(why, "no such device");
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_up, world_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(frames_pass_byte_for_byte),
		T(order_is_kept_between_small_and_large),
		T(gso_frame_passes_whole),
		T(inexpressible_gso_is_one_counted_drop),
		T(host_does_not_answer_for_the_port),
		T(close_restores_the_device),
		T(crash_is_recovered),
		T(down_and_up_again),
		T(deleted_device_is_harmless),
		T(kernel_drops_are_counted),
		T(too_long_for_the_port),
		T(tap_round_trip_and_refusals),
		T(auto_choices),
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNET) || system("ip link set lo up 2>/dev/null") != 0)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
