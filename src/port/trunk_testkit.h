/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel bridge with a trunk, in namespaces of the test's own: host 0 - m0 br0 m1 - host 1,
 * offloads as they are by default. The test plays the worker: what it reads it puts back.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "port/driver.h"
#include "port/env.h"
#include "port/trunk.h"
#include "port/vnet.h"
#include "sys/clock.h"

#define WAIT_MS    1000
#define HANG_MS    100
#define NO_HANG_MS 10000 /* more than a busy machine takes */
#define N_HOSTS    2
#define NO_BR0     900 /* number of the place at br0's egress */
#define STREAM_MB  64

struct world {
	struct region region;
	struct bufpool *pool;
	struct bufcache bufs;
	struct port_env *env;
	char run_dir[32];
	int own;            /* the test's own namespace */
	int ns_fd[N_HOSTS]; /* the hosts' */
	pid_t ns[N_HOSTS];  /* processes that keep them */
	int sock[N_HOSTS];  /* packet sockets with vnet headers at the hosts */
	struct trunk *trunk;
	struct port *place[PORTS_MAX]; /* by number: 10 and 20 are m0 and m1, ingress */
	uint32_t seen[PORTS_MAX];      /* frames read, by place */
	uint32_t longest, n_gso, n_partial, n_copies;
	bool no_janitor;
	char before[65536];
	uint32_t n_free, n_big_free;
};

static const uint16_t member_no[N_HOSTS] = {10, 20};

static inline void run(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) != 0)
		fail_msg("%s", cmd);
}

/* ---- hosts ---- */

/* Devices that this process's namespace will get are quiet. */
static inline bool no_ipv6(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	bool done = fd < 0 || write(fd, "1", 1) == 1;

	close(fd);
	return done;
}

/* A process that keeps a network namespace. */
static inline pid_t new_namespace(void)
{
	int fds[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || !no_ipv6() || write(fds[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static inline int namespace_of(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static inline void enter(int ns_fd)
{
	if (setns(ns_fd, CLONE_NEWNET))
		fail_msg("setns: %s", strerror(errno));
}

static inline int packet_socket(const char *name)
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

static inline void add_host(struct world *w, int i)
{
	const pid_t pid = w->ns[i] = new_namespace();

	run("ip link add m%d type veth peer name eth0 netns %d", i, pid);
	run("ip link set m%d master br0 up", i);
	run("nsenter -t %d -n sh -c 'ip link set lo up;"
	    "ip link set eth0 address 02:00:00:00:00:0%d up; ip addr add 10.7.0.%d/24 dev eth0'",
	    pid, i + 1, i + 1);
	w->ns_fd[i] = namespace_of(pid);
	enter(w->ns_fd[i]);
	w->sock[i] = packet_socket("eth0");
	enter(w->own);
}

static inline void host_send(int fd, const struct virtio_net_hdr *h, const uint8_t *data,
			     uint32_t len)
{
	const struct virtio_net_hdr none = {0};
	const struct iovec v[2] = {{(void *)(h ? h : &none), VNET_SIZE}, {(void *)data, len}};

	if (writev(fd, v, 2) < 0)
		fail_msg("host send: %s", strerror(errno));
}

/* One frame as it was on the wire, tags inside; 0 when none comes within wait_ms. */
static inline uint32_t host_recv(int fd, struct virtio_net_hdr *h, uint8_t *data, int wait_ms)
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
static inline void make_frame(uint8_t *d, uint32_t len, const char *types, uint32_t n_types)
{
	for (uint32_t i = 0; i < len; i++)
		d[i] = (uint8_t)i;
	memcpy(d, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x77", 12);
	memcpy(d + 12, types, n_types);
}

/* ---- the world ---- */

/* All that somebody could see of the devices. */
static inline void look(char *ret, size_t size)
{
	FILE *f = popen("(for d in br0 m0 m1; do ip -d link show $d; tc qdisc show dev $d;"
			"tc filter show dev $d ingress; tc filter show dev $d egress;"
			"ethtool -k $d; cat /proc/sys/net/ipv6/conf/$d/disable_ipv6; done;"
			"bridge -d link; ip link | grep -c vd) 2>/dev/null |"
			"sed 's/_timer  *[0-9.]*//g'",
			"r");
	size_t n;

	assert_non_null(f);
	n = fread(ret, 1, size - 1, f);
	ret[n] = '\0';
	pclose(f);
	assert_true(n > 1000 && n < size - 1);
}

/* Is all as it was? Else says the first line that is not. */
static inline bool as_before(struct world *w, bool say)
{
	static char now[65536];
	const char *a = w->before, *b = now;

	look(now, sizeof(now));
	if (!strcmp(now, w->before))
		return true;
	while (strcspn(a, "\n") == strcspn(b, "\n") && !strncmp(a, b, strcspn(a, "\n") + 1)) {
		a += strcspn(a, "\n") + 1;
		b += strcspn(b, "\n") + 1;
	}
	if (say)
		print_error("was: %.*s\nis:  %.*s\n", (int)strcspn(a, "\n"), a,
			    (int)strcspn(b, "\n"), b);
	return false;
}

static inline struct port *add_place(struct world *w, const char *dev, enum trunk_where where,
				     uint16_t no)
{
	const char *why = "?";

	if (trunk_place_open(w->trunk, if_nametoindex(dev), where, no, &w->place[no], &why))
		fail_msg("%s: %s", dev, why);
	return w->place[no];
}

static inline void open_trunk(struct world *w, bool closed, uint32_t hang_ms)
{
	const struct trunk_config cfg = {.name = "br0",
					 .env = w->env,
					 .bufs = &w->bufs,
					 .hang_ms = hang_ms,
					 .closed = closed};
	const char *why = "?";

	if (trunk_open(&cfg, &w->trunk, &why))
		fail_msg("trunk: %s", why);
	add_place(w, "m0", TRUNK_INGRESS, member_no[0]);
	add_place(w, "m1", TRUNK_INGRESS, member_no[1]);
}

static inline void reopen_trunk(struct world *w, bool closed, uint32_t hang_ms)
{
	w->trunk = trunk_close(w->trunk);
	open_trunk(w, closed, hang_ms);
}

static inline void plan(struct world *w, enum trunk_action a)
{
	trunk_plan(w->place[member_no[0]], a);
	trunk_plan(w->place[member_no[1]], a);
}

static inline int world_up(void **state)
{
	static struct world w;
	const struct mem_params m = {.buf_num = 8192};
	struct bufpool_stats s;
	const char *why;

	memset(&w, 0, sizeof(w));
	strcpy(w.run_dir, "/tmp/trunk_test.XXXXXX");
	*state = &w;
	w.own = namespace_of(getpid());
	assert_non_null(mkdtemp(w.run_dir));
	assert_int_equal(region_init(&w.region, &m, 1, &why), 0);
	w.pool = bufpool_new(&w.region, 0);
	bufpool_stats(w.pool, &s);
	w.n_free = s.n_free;
	w.n_big_free = s.n_big_free;
	bufcache_init(&w.bufs, w.pool);
	assert_int_equal(port_env_new(w.run_dir, &w.env, &why), 0);
	run("ip link add br0 type bridge mcast_snooping 0");
	run("ip link set br0 address 02:00:00:00:00:09 up; ip addr add 10.7.0.9/24 dev br0");
	add_host(&w, 0);
	add_host(&w, 1);
	look(w.before, sizeof(w.before));
	open_trunk(&w, false, NO_HANG_MS);
	return 0;
}

static inline int world_down(void **state)
{
	struct world *w = *state;
	struct bufpool_stats s;

	w->trunk = trunk_close(w->trunk);
	port_env_free(w->env);
	bufcache_deinit(&w->bufs);
	bufpool_stats(w->pool, &s);
	assert_int_equal(s.n_free, w->n_free); /* every buffer came home */
	assert_int_equal(s.n_big_free, w->n_big_free);
	bufpool_free(w->pool);
	region_deinit(&w->region);
	run("for i in m0 m1 br0; do ip link del $i 2>/dev/null; done; true");
	for (int i = 0; i < N_HOSTS; i++) {
		close(w->sock[i]);
		close(w->ns_fd[i]);
		kill(w->ns[i], SIGKILL);
		waitpid(w->ns[i], NULL, 0);
	}
	close(w->own);
	assert_int_equal(rmdir(w->run_dir), 0); /* no state left */
	return 0;
}

/* ---- the worker ---- */

static inline void note(struct world *w, const struct batch *b)
{
	assert_true(b->in_port > 0 && b->in_port < PORTS_MAX && w->place[b->in_port]);
	w->seen[b->in_port] += b->n;
	for (uint32_t i = 0; i < b->n; i++) {
		const struct frame *f = &b->frames[i];

		assert_int_equal(f->in_port, b->in_port);
		w->longest = max_of(w->longest, f->len);
		w->n_gso += f->gso != FRAME_GSO_NONE;
		w->n_partial += (f->flags & FRAME_CSUM_PARTIAL) != 0;
		w->n_copies += (f->flags & FRAME_COPY) != 0;
	}
}

/* One batch up, and down again at the same place; copies stay here. How many. */
static inline uint32_t serve(struct world *w)
{
	static struct batch b;
	struct port *trunk = trunk_port(w->trunk);
	struct frame *list[BATCH_MAX];
	uint32_t n = 0;

	b.n = 0;
	b.now_ns = clock_now_ns();
	if (trunk->driver->rx(trunk, &b) == 0)
		return 0;
	note(w, &b);
	for (uint32_t i = 0; i < b.n; i++) {
		if (b.frames[i].flags & FRAME_COPY)
			buf_put_one(&w->bufs, b.frames[i].buf);
		else
			list[n++] = &b.frames[i];
	}
	if (n) {
		struct port *p = w->place[b.in_port];

		assert_int_equal(p->driver->tx(p, list, n), n);
	}
	return b.n;
}

/* Works until n frames were read, or the deadline. */
static inline uint32_t serve_n(struct world *w, uint32_t n)
{
	struct port *t = trunk_port(w->trunk);
	uint32_t done = 0;

	for (int i = 0; i < 200 && done < n; i++) {
		struct pollfd p = {.fd = t->fd, .events = POLLIN};
		uint32_t k = serve(w);

		done += k;
		if (k == 0 && !t->driver->arm(t))
			poll(&p, 1, WAIT_MS / 20);
	}
	return done;
}

/* Works until it may sleep. */
static inline uint32_t serve_all(struct world *w)
{
	struct port *t = trunk_port(w->trunk);
	uint32_t done = 0, k;

	do {
		k = serve(w);
		done += k;
	} while (k || t->driver->arm(t));
	return done;
}

/* Works until the process ends; true when it was content. */
static inline bool serve_while(struct world *w, pid_t pid)
{
	struct port *t = trunk_port(w->trunk);
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct pollfd p = {.fd = t->fd, .events = POLLIN};

		if (serve(w) == 0 && !t->driver->arm(t))
			poll(&p, 1, 5);
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static inline void shell(struct world *w, const char *fmt, ...)
{
	char cmd[512];
	va_list ap;
	pid_t pid;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", cmd, NULL);
		_exit(127);
	}
	if (!serve_while(w, pid))
		fail_msg("%s", cmd);
}

/* ---- a TCP stream between the hosts ---- */

static inline int stream_listen(int ns, struct sockaddr_in *a)
{
	int fd, one = 1;

	enter(ns);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)a, sizeof(*a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

_Noreturn static inline void stream_send(int ns, const struct sockaddr_in *a, uint32_t mb)
{
	static uint8_t d[1 << 20];
	int fd;

	enter(ns);
	for (uint32_t i = 0; i < sizeof(d); i++)
		d[i] = (uint8_t)(i * 7 + (i >> 8));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)))
		_exit(1);
	for (uint32_t i = 0; i < mb; i++)
		for (size_t at = 0; at < sizeof(d);) {
			ssize_t n = write(fd, d + at, sizeof(d) - at);

			if (n <= 0)
				_exit(2);
			at += (size_t)n;
		}
	_exit(0);
}

/* Every byte is looked at. */
_Noreturn static inline void stream_receive(int listener, uint32_t mb)
{
	static uint8_t d[1 << 20];
	int fd;

	alarm(60);
	fd = accept(listener, NULL, NULL);
	for (uint32_t i = 0; i < mb; i++) {
		if (recv(fd, d, sizeof(d), MSG_WAITALL) != (ssize_t)sizeof(d))
			_exit(3);
		for (uint32_t k = 0; k < sizeof(d); k++)
			if (d[k] != (uint8_t)(k * 7 + (k >> 8)))
				_exit(4);
	}
	_exit(0);
}

/* From one host to the other over the network net; the test works meanwhile. */
static inline void stream(struct world *w, int from, int to, const char *net, uint32_t mb)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(5201)};
	char addr[32];
	pid_t tx, rx;
	int fd;

	snprintf(addr, sizeof(addr), "%s.%d", net, to + 1);
	inet_pton(AF_INET, addr, &a.sin_addr);
	fd = stream_listen(w->ns_fd[to], &a);
	enter(w->own);
	rx = fork();
	if (rx == 0)
		stream_receive(fd, mb);
	close(fd);
	tx = fork();
	if (tx == 0)
		stream_send(w->ns_fd[from], &a, mb);
	assert_true(serve_while(w, rx));
	waitpid(tx, NULL, 0);
}

/* ---- single frames from host 0 to host 1 ---- */

static inline void send_one(struct world *w)
{
	static uint8_t d[60];

	make_frame(d, sizeof(d), "\x88\xb5", 2);
	host_send(w->sock[0], NULL, d, sizeof(d));
}

static inline bool arrives(struct world *w)
{
	static uint8_t in[70100];
	struct virtio_net_hdr h;

	return host_recv(w->sock[1], &h, in, 20) > 0;
}

static inline void wait_until_as_before(struct world *w)
{
	const uint64_t end_ns = clock_now_ns() + WAIT_MS * 1000000ull;

	while (!as_before(w, false) && clock_now_ns() < end_ns)
		usleep(10000);
	assert_true(as_before(w, true));
	send_one(w);
	assert_true(arrives(w));
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_up, world_down)

/* The machine may have some mounted; this process has a name space of its own. */
static inline bool no_bpffs(void)
{
	while (umount2("/sys/fs/bpf", MNT_DETACH) == 0)
		;
	return errno == EINVAL;
}

/* False: this machine cannot have them. Everything happens in name spaces of this process. */
static inline bool trunk_tests_can_run(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 && no_ipv6() &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && no_bpffs() &&
	       mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) == 0 &&
	       system("ip link set lo up 2>/dev/null") == 0;
}
