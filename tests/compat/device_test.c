/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device of libnetmap.so as programs meet it: what the real module answered
 * (row numbers of its table of observations are in the comments), against a daemon of the test's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <net/netmap_user.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fakedaemon.h"

static int start(void **state)
{
	return faked_start();
}

static int stop(void **state)
{
	faked_stop();
	return 0;
}

static int dev(void)
{
	int fd = open("/dev/netmap", O_RDWR);

	assert_true(fd >= 0);
	return fd;
}

/* The errno of a request, 0 for success. */
static int ctl_version(int fd, int version, int type, const char *name, void *body, void *options)
{
	struct nmreq_header h = {.nr_version = (uint16_t)version,
				 .nr_reqtype = (uint16_t)type,
				 .nr_options = (uintptr_t)options,
				 .nr_body = (uintptr_t)body};

	strcpy(h.nr_name, name);
	return ioctl(fd, NIOCCTRL, &h) < 0 ? errno : 0;
}

static int ctl(int fd, int type, const char *name, void *body)
{
	return ctl_version(fd, 14, type, name, body, NULL);
}

static int reg_mode(int fd, const char *name, uint32_t mode, uint64_t flags,
		    struct nmreq_register *ret)
{
	struct nmreq_register r = {.nr_mode = mode, .nr_flags = flags};
	int err = ctl(fd, NETMAP_REQ_REGISTER, name, &r);

	if (ret)
		*ret = r;
	return err;
}

static int order(const char *what)
{
	struct nmreq_port_info_get info = {0};
	int fd = dev(), err = ctl(fd, NETMAP_REQ_PORT_INFO_GET, what, &info);

	close(fd);
	return err;
}

struct port {
	int fd;
	struct nmreq_register reg;
	char *mem;
	struct netmap_if *nifp;
	struct netmap_ring *tx, *rx;
};

static struct port open_port(const char *name, uint32_t mode, uint64_t flags)
{
	struct port p = {.fd = dev()};

	assert_int_equal(reg_mode(p.fd, name, mode, flags, &p.reg), 0);
	p.mem = mmap(NULL, p.reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, 0);
	assert_ptr_not_equal(p.mem, MAP_FAILED);
	p.nifp = NETMAP_IF(p.mem, p.reg.nr_offset);
	p.tx = NETMAP_TXRING(p.nifp, 0);
	p.rx = NETMAP_RXRING(p.nifp, 0);
	return p;
}

static void close_port(struct port *p)
{
	assert_int_equal(munmap(p->mem, p->reg.nr_memsize), 0);
	assert_int_equal(close(p->fd), 0);
}

static void put(struct port *p, int n)
{
	for (; n > 0; n--) {
		struct netmap_slot *s = &p->tx->slot[p->tx->head];

		s->len = 60;
		memset(NETMAP_BUF(p->tx, s->buf_idx), n, 60);
		p->tx->head = p->tx->cur = nm_ring_next(p->tx, p->tx->head);
	}
}

static void take_all(struct port *p)
{
	p->rx->head = p->rx->cur = p->rx->tail;
}

static int poll_one(int fd, short events, int ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n = poll(&p, 1, ms);

	assert_int_equal(n, p.revents != 0);
	return p.revents;
}

static int64_t ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void unregistered(void **state)
{
	int fd = dev();
	char c;

	assert_int_equal(ioctl(fd, NIOCTXSYNC, NULL), -1); /* 1, 2 */
	assert_int_equal(errno, ENXIO);
	assert_int_equal(ioctl(fd, NIOCRXSYNC, NULL), -1);
	assert_int_equal(errno, ENXIO);
	assert_int_equal(poll_one(fd, POLLIN | POLLOUT, 0), POLLERR); /* 3 */
	assert_int_equal(ioctl(fd, _IO('i', 42), NULL), -1);          /* 4 */
	assert_int_equal(errno, EOPNOTSUPP);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED); /* 5 */
	assert_int_equal(errno, EINVAL);
	assert_int_equal(read(fd, &c, 1), -1); /* 6 */
	assert_int_equal(errno, EINVAL);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(lseek(fd, 0, SEEK_SET), -1);
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0); /* 7 */
	close(fd);
}

static void versions(void **state)
{
	struct nmreq_port_info_get info = {0};
	int fd = dev();

	for (int v = 10; v <= 17; v++) { /* 8 to 15 */
		int err = ctl_version(fd, v, NETMAP_REQ_PORT_INFO_GET, "v1", &info, NULL);

		assert_int_equal(err, v == 14 || v == 15 ? 0 : EINVAL);
	}
	for (unsigned int v = 10; v <= 17; v++) { /* 18 to 25 */
		struct nmreq r = {.nr_name = "v1", .nr_version = v};

		errno = 0;
		ioctl(fd, NIOCGINFO, &r);
		assert_int_equal(errno, v < 14 ? EINVAL : 0);
	}
	close(fd);
}

static void requests(void **state)
{
	struct nmreq_port_info_get info = {0};
	struct nmreq_header h = {.nr_version = 14, .nr_reqtype = NETMAP_REQ_PORT_INFO_GET};
	int fd = dev();

	assert_int_equal(ctl(fd, NETMAP_REQ_PORT_INFO_GET, "v1", &info), 0); /* 26 */
	assert_int_equal(info.nr_tx_slots, FAKED_SLOTS);
	assert_int_equal(info.nr_mem_id, 1);
	info.nr_tx_slots = 7;
	assert_int_equal(ctl(fd, NETMAP_REQ_PORT_INFO_GET, "nosuch", &info), ENXIO); /* 27 */
	assert_int_equal(info.nr_tx_slots, 7);                             /* not copied back */
	assert_int_equal(ctl(fd, NETMAP_REQ_PORT_INFO_GET, "", &info), 0); /* 28 */
	assert_int_equal(ctl(fd, NETMAP_REQ_PORT_INFO_GET, "v1", NULL), EINVAL); /* 29 */
	assert_int_equal(ctl(fd, NETMAP_REQ_CSB_ENABLE, "v1", &info), EINVAL);
	assert_int_equal(ctl(fd, 0, "v1", NULL), EINVAL);  /* 32 */
	assert_int_equal(ctl(fd, 99, "v1", NULL), EINVAL); /* 33 */
	assert_int_equal(ctl(fd, NETMAP_REQ_PORT_INFO_GET, "v1", (void *)16), EFAULT);
	assert_int_equal(ioctl(fd, NIOCCTRL, NULL), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ioctl(fd, NIOCCTRL, (void *)16), -1);
	assert_int_equal(errno, EFAULT);
	h.nr_body = (uintptr_t)&info;
	h.nr_reserved = 1;
	assert_int_equal(ioctl(fd, NIOCCTRL, &h), -1);
	assert_int_equal(errno, EINVAL);
	h.nr_reserved = 0; /* passed as an int, whose sign is extended */
	assert_int_equal(ioctl(fd, (unsigned long)(int)NIOCCTRL, &h), 0);
	close(fd);
}

static void modes(void **state)
{
	static const struct {
		uint32_t mode;
		uint64_t flags;
		int err;
		const char *rings; /* tx, host tx, rx, host rx */
	} rows[] = {
		{0, 0, EINVAL, NULL}, /* 35 */
		{NR_REG_ALL_NIC, 0, 0, "x0x0"},
		{NR_REG_SW, 0, 0, "0x0x"},
		{NR_REG_NIC_SW, 0, 0, "xxxx"},
		{NR_REG_ONE_NIC, 0, 0, "x0x0"},
		{NR_REG_PIPE_MASTER, 0, EINVAL, NULL}, /* 43 */
		{9, 0, EINVAL, NULL},
		{NR_REG_ALL_NIC, NR_RX_RINGS_ONLY, 0, "00x0"}, /* 47 */
		{NR_REG_ALL_NIC, NR_RX_RINGS_ONLY | NR_TX_RINGS_ONLY, 0, "0000"},
		{NR_REG_ALL_NIC, 1ull << 40, 0, "x0x0"}, /* 49 */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct port p;

		if (rows[i].err) {
			int fd = dev();

			assert_int_equal(reg_mode(fd, "v1", rows[i].mode, 0, NULL), rows[i].err);
			close(fd);
			continue;
		}
		p = open_port("v1", rows[i].mode, rows[i].flags);
		for (int k = 0; k < 4; k++)
			assert_int_equal(p.nifp->ring_ofs[k] != 0, rows[i].rings[k] == 'x');
		assert_int_equal(p.reg.nr_flags, rows[i].flags);
		assert_int_equal(reg_mode(p.fd, "v1", NR_REG_ALL_NIC, 0, NULL), EBUSY); /* 62 */
		close_port(&p);
	}
}

static void options(void **state)
{
	struct nmreq_register r = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_option a = {.nro_reqtype = 77}, b = {.nro_reqtype = 0};
	struct nmreq_opt_offsets o = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS};
	struct nmreq_opt_offsets o2 = o;
	int fd = dev();

	assert_int_equal(ctl_version(fd, 14, NETMAP_REQ_REGISTER, "v1", &r, &a), EOPNOTSUPP);
	assert_int_equal(a.nro_status, EOPNOTSUPP); /* 82 */
	assert_int_equal(ctl_version(fd, 14, NETMAP_REQ_REGISTER, "v1", &r, &b), EINVAL);
	assert_int_equal(b.nro_status, EINVAL);
	o.nro_opt.nro_next = (uintptr_t)&o2;
	assert_int_equal(ctl_version(fd, 14, NETMAP_REQ_REGISTER, "v1", &r, &o), EINVAL);
	assert_int_equal(o.nro_opt.nro_status, EINVAL);
	assert_int_equal(o2.nro_opt.nro_status, EINVAL);
	o2.nro_opt.nro_next = (uintptr_t)&o; /* a circle */
	assert_int_equal(ctl_version(fd, 14, NETMAP_REQ_REGISTER, "v1", &r, &o), EMSGSIZE);
	o.nro_opt.nro_next = 16;
	assert_int_equal(ctl_version(fd, 14, NETMAP_REQ_REGISTER, "v1", &r, &o), EFAULT);
	o.nro_opt.nro_next = 0;
	o.nro_opt.nro_status = 5;
	assert_int_equal(ctl_version(fd, 14, NETMAP_REQ_REGISTER, "v1", &r, &o), 0); /* 84 */
	assert_int_equal(o.nro_opt.nro_status, 0);
	close(fd);
}

static void legacy(void **state)
{
	struct nmreq r = {
		.nr_name = "v1", .nr_version = 16, .nr_flags = NR_REG_NIC_SW, .nr_arg3 = 4};
	int fd = dev();

	assert_int_equal(ioctl(fd, NIOCREGIF, &r), 0); /* 100 */
	assert_int_equal(r.nr_tx_slots, FAKED_SLOTS);
	assert_int_equal(r.nr_arg2, 1);
	assert_int_equal(r.nr_arg3, 4);
	assert_int_equal(r.nr_flags, NR_REG_NIC_SW);
	assert_int_equal(r.nr_version, 16);
	assert_true(r.nr_memsize > 0);
	close(fd);
	fd = dev();
	strcpy(r.nr_name, "nosuch");
	assert_int_equal(ioctl(fd, NIOCREGIF, &r), -1); /* 104 */
	assert_int_equal(errno, ENXIO);
	r.nr_cmd = 42;
	assert_int_equal(ioctl(fd, NIOCREGIF, &r), -1);
	assert_int_equal(errno, EINVAL);
	r.nr_cmd = NETMAP_PT_HOST_CREATE;
	assert_int_equal(ioctl(fd, NIOCREGIF, &r), -1);
	assert_int_equal(errno, ENOMEM);
	close(fd);
}

static void mapping(void **state)
{
	struct port a = open_port("v1", NR_REG_ALL_NIC, 0), b = open_port("v2", NR_REG_ALL_NIC, 0);
	char *p;

	assert_ptr_equal(a.mem, b.mem); /* one region, one address */
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, a.fd, 8192);
	assert_ptr_equal(p, a.mem + 8192);
	assert_int_equal(munmap(p, 4096), 0);
	p = mmap(NULL, a.reg.nr_memsize + 4096, PROT_READ, MAP_SHARED, a.fd, 0);
	assert_ptr_equal(p, MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	p = mmap(NULL, a.reg.nr_memsize, PROT_READ, MAP_SHARED, a.fd, 4096);
	assert_ptr_equal(p, MAP_FAILED);
	assert_int_equal(munmap(MAP_FAILED, 0), -1); /* libdaq does that */
	assert_int_equal(errno, EINVAL);
	errno = 4711; /* success keeps it */
	close_port(&b);
	assert_int_equal(errno, 4711);
	close(a.fd);
	assert_int_equal(a.tx->num_slots, FAKED_SLOTS); /* the mapping outlives the descriptor */
	munmap(a.mem, a.reg.nr_memsize);
}

static void rings(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);

	assert_int_equal(p.tx->tail, FAKED_SLOTS - 1); /* 68, 69 */
	assert_int_equal(p.rx->tail, 0);
	assert_int_equal(poll_one(p.fd, 0, 0), 0); /* 71 to 73 */
	assert_int_equal(poll_one(p.fd, POLLIN, 0), 0);
	assert_int_equal(poll_one(p.fd, POLLOUT, 0), POLLOUT);
	put(&p, 3);
	assert_int_equal(ioctl(p.fd, NIOCTXSYNC, NULL), 0);
	assert_int_equal(poll_one(p.fd, POLLIN, 1000), POLLIN);
	for (int i = 0; i < 500 && nm_ring_space(p.rx) < 3; i++) {
		usleep(1000);
		ioctl(p.fd, NIOCRXSYNC, NULL);
	}
	assert_int_equal(nm_ring_space(p.rx), 3);
	assert_int_equal(NETMAP_BUF(p.rx, p.rx->slot[0].buf_idx)[0], 3);
	assert_true(p.rx->ts.tv_sec > 1600000000);
	assert_int_equal(poll_one(p.fd, POLLIN, 0), POLLIN); /* level-triggered */
	take_all(&p);
	assert_int_equal(poll_one(p.fd, POLLIN, 0), 0);
	for (int i = 0; i < 500 && nm_tx_pending(p.tx); i++) {
		usleep(1000);
		ioctl(p.fd, NIOCTXSYNC, NULL);
	}
	assert_false(nm_tx_pending(p.tx));
	p.tx->head += FAKED_SLOTS * 3; /* 79 */
	assert_int_equal(ioctl(p.fd, NIOCTXSYNC, NULL), 0);
	assert_int_equal(p.tx->head, 3);
	p.tx->head = 9999;
	assert_true(poll_one(p.fd, POLLOUT, 0) & POLLERR);
	close_port(&p);
}

/* Sends are flushed by a poll that asks for input only, but not with NR_NO_TX_POLL. */
static void flush(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);
	struct port q = open_port("v1", NR_REG_ALL_NIC, NR_NO_TX_POLL);

	put(&p, 1);
	assert_int_equal(poll_one(p.fd, POLLIN, 1000), POLLIN);
	put(&q, 1);
	assert_int_equal(poll_one(q.fd, POLLIN, 50), 0);
	assert_int_equal(poll_one(q.fd, POLLIN | POLLOUT, 0) & POLLOUT, POLLOUT);
	assert_int_equal(poll_one(q.fd, POLLIN, 1000), POLLIN);
	close_port(&p);
	close_port(&q);
}

/* Sleeps, is woken by a frame, not by anything else, and other descriptors go on working. */
static void sleeping(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);
	int64_t t = ms_now();
	struct pollfd set[2];
	int pipefd[2];

	assert_int_equal(poll_one(p.fd, POLLIN, 60), 0);
	assert_in_range(ms_now() - t, 59, 500);
	order("!feed");
	t = ms_now();
	assert_int_equal(poll_one(p.fd, POLLIN, 5000), POLLIN);
	assert_in_range(ms_now() - t, 0, 2500); /* by a doorbell, not by the timeout */
	take_all(&p);
	assert_int_equal(pipe(pipefd), 0);
	set[0] = (struct pollfd){.fd = p.fd, .events = POLLIN};
	set[1] = (struct pollfd){.fd = pipefd[0], .events = POLLIN};
	assert_int_equal(write(pipefd[1], "x", 1), 1);
	assert_int_equal(poll(set, 2, 2000), 1);
	assert_int_equal(set[0].revents, 0);
	assert_int_equal(set[1].revents, POLLIN);
	order("!feed");
	usleep(60000);
	assert_int_equal(poll(set, 2, 2000), 2);
	take_all(&p);
	assert_int_equal(read(pipefd[0], &t, 1), 1);
	order("!feed");
	assert_int_equal(poll(set, 2, 2000), 1);
	assert_int_equal(set[0].revents, POLLIN);
	close(pipefd[0]);
	close(pipefd[1]);
	close_port(&p);
}

static void on_alarm(int sig)
{
}

static void interrupted(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);
	struct sigaction sa = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &sa, NULL);
	ualarm(30000, 0);
	assert_int_equal(poll(&(struct pollfd){.fd = p.fd, .events = POLLIN}, 1, 2000), -1);
	assert_int_equal(errno, EINTR);
	close_port(&p);
}

static void selecting(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);
	struct timeval tv = {.tv_usec = 30000};
	fd_set r, w;
	int bare = dev();

	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(p.fd, &r);
	assert_int_equal(select(p.fd + 1, &r, NULL, NULL, &tv), 0);
	assert_false(FD_ISSET(p.fd, &r));
	assert_int_equal(tv.tv_usec, 0);
	put(&p, 1);
	FD_SET(p.fd, &r);
	tv.tv_sec = 2;
	assert_int_equal(select(p.fd + 1, &r, NULL, NULL, &tv), 1);
	assert_true(FD_ISSET(p.fd, &r));
	FD_SET(p.fd, &w);
	assert_int_equal(pselect(p.fd + 1, &r, &w, NULL, NULL, NULL), 2);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(bare, &r); /* not registered: an error, readable and writable */
	FD_SET(bare, &w);
	assert_int_equal(select(bare + 1, &r, &w, NULL, NULL), 2);
	close(bare);
	close_port(&p);
}

static void epolling(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 0xdeadbeef12345678}, got[4];
	int ep = epoll_create1(EPOLL_CLOEXEC), pipefd[2];

	assert_int_equal(epoll_ctl(p.fd, EPOLL_CTL_ADD, p.fd, &ev), -1); /* no set */
	assert_int_equal(errno, EINVAL);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, p.fd, &ev), 0);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, p.fd, &ev), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(epoll_wait(ep, got, 4, 0), 0);
	assert_int_equal(epoll_wait(ep, got, 4, 30), 0);
	order("!feed");
	assert_int_equal(epoll_wait(ep, got, 4, 2000), 1);
	assert_true(got[0].data.u64 == ev.data.u64 && got[0].events == EPOLLIN);
	assert_int_equal(epoll_wait(ep, got, 4, 2000), 1); /* level-triggered */
	take_all(&p);
	assert_int_equal(epoll_wait(ep, got, 4, 0), 0);
	assert_int_equal(pipe(pipefd), 0);
	ev.data.u64 = 7;
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, pipefd[0], &ev), 0);
	assert_int_equal(write(pipefd[1], "x", 1), 1);
	assert_int_equal(epoll_wait(ep, got, 4, -1), 1);
	assert_int_equal(got[0].data.u64, 7);
	ev.events = EPOLLOUT | EPOLLET;
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_MOD, p.fd, &ev), 0);
	assert_int_equal(epoll_wait(ep, got, 4, 100), 2);
	assert_int_equal(epoll_wait(ep, got, 4, 100), 1); /* the edge was told */
	ev.events = EPOLLOUT | EPOLLONESHOT;
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_MOD, p.fd, &ev), 0);
	assert_int_equal(epoll_wait(ep, got, 4, 100), 2);
	assert_int_equal(epoll_wait(ep, got, 4, 100), 1);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_DEL, p.fd, NULL), 0);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_DEL, p.fd, NULL), -1);
	assert_int_equal(errno, ENOENT);
	close(pipefd[0]);
	close(pipefd[1]);
	close(ep);
	close_port(&p);
}

static void wait_open(unsigned int n)
{
	for (int i = 0; i < 1000 && faked_open() != n; i++)
		usleep(1000);
	assert_int_equal(faked_open(), n);
}

static void duplicates(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);
	int a = dup(p.fd), b = dup2(p.fd, 200), c = fcntl(p.fd, F_DUPFD_CLOEXEC, 100), d;

	close(p.fd);
	assert_int_equal(b, 200);
	assert_int_equal(ioctl(a, NIOCTXSYNC, NULL), 0);
	assert_int_equal(ioctl(b, NIOCTXSYNC, NULL), 0);
	assert_int_equal(ioctl(c, NIOCTXSYNC, NULL), 0);
	d = open("/dev/null", O_RDWR);
	assert_int_equal(dup2(d, b), b); /* not ours any more */
	assert_int_equal(write(b, "x", 1), 1);
	wait_open(1);
	assert_int_equal(close_range(100, 250, 0), 0);
	assert_int_equal(ioctl(c, NIOCTXSYNC, NULL), -1);
	assert_int_equal(errno, EBADF);
	p.fd = a;
	close(d);
	close_port(&p);
	wait_open(0);
}

static int count_maps(const char *what)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	while (fgets(line, sizeof(line), f))
		n += strstr(line, what) != NULL;
	fclose(f);
	return n;
}

/* Some closed devices are kept a while, for threads that are still in them; not more. */
static void nothing_stays(void **state)
{
	for (int i = 0; i < 60; i++) {
		struct port p = open_port("v1", NR_REG_ALL_NIC, 0);

		close_port(&p);
	}
	assert_in_range(count_maps("viaduct-shadow"), 0, 16);
}

static void forked(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		put(&p, 2);
		_exit(poll_one(p.fd, POLLIN, 1000) == POLLIN ? 42 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 42);
	wait_open(1);
	assert_int_equal(poll_one(p.fd, POLLIN, 0), POLLIN);
	close_port(&p);
}

/* A child shows what it has inherited before it opens more; who opened it himself need not. */
static void inherited(void **state)
{
	unsigned int before = faked_states();
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0), q;
	struct port also = open_port("v2", NR_REG_ALL_NIC, 0);
	int status;
	pid_t pid;

	assert_int_equal(faked_states(), before);
	close_port(&also);
	pid = fork();
	if (pid == 0) {
		q = open_port("v2", NR_REG_ALL_NIC, 0);
		if (faked_states() != before + 1)
			_exit(1);
		close_port(&q);
		q = open_port("v2", NR_REG_ALL_NIC, 0);
		_exit(faked_states() == before + 1 ? 42 : 2);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 42);
	close_port(&p);
}

/* Handed over by SCM_RIGHTS to a process that had no device. */
static void received(void **state)
{
	unsigned int before = faked_states();
	int pair[2], fd, status;
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} c = {.h = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	struct port p;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		if (recvmsg(pair[1], &m, 0) != 1)
			_exit(1);
		memcpy(&fd, CMSG_DATA(&c.h), sizeof(fd));
		if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
			_exit(2);
		if (ioctl(fd, NIOCTXSYNC, NULL) < 0)
			_exit(3);
		if (poll_one(fd, POLLOUT, 0) != POLLOUT)
			_exit(4);
		_exit(42);
	}
	p = open_port("v1", NR_REG_ALL_NIC, 0);
	memcpy(CMSG_DATA(&c.h), &p.fd, sizeof(p.fd));
	assert_int_equal(sendmsg(pair[0], &m, 0), 1);
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 42);
	assert_int_equal(faked_states(), before + 1);
	close(pair[0]);
	close(pair[1]);
	close_port(&p);
}

static void executed(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);
	char number[16];
	pid_t pid;
	int status;

	snprintf(number, sizeof(number), "%d", p.fd);
	pid = fork();
	if (pid == 0) {
		execl("/proc/self/exe", "device", number, NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 42);
	close_port(&p);
}

/* The same program after exec, with an inherited descriptor. */
static int after_exec(int fd)
{
	if (ioctl(fd, NIOCRXSYNC, NULL) < 0 || ioctl(fd, NIOCTXSYNC, NULL) < 0)
		return 1;
	return poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 0) == 1 ? 42 : 2;
}

static void spin(int n)
{
	for (volatile int i = 0; i < n; i++)
		;
}

/*
 * Frame by frame: send, sync, receive, sync, poll. In strict mode any system call but read, write
 * and exit is the end of the process.
 */
static void per_frame(struct port *p)
{
	struct pollfd set = {.fd = p->fd, .events = POLLIN};
	int got = 0;

	/* The first round learns the thread's number and rings for the daemon, which slept. */
	put(p, 1);
	if (poll(&set, 1, 1000) != 1)
		_exit(6);
	take_all(p);
	ioctl(p->fd, NIOCRXSYNC, NULL);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
		_exit(3);
	for (int sent = 0; sent < 2000 || got < 2000;) {
		if (sent < 2000 && sent - got < (int)FAKED_SLOTS / 2) {
			put(p, 1);
			sent++;
		} else {
			spin(200000); /* not worth a sync yet */
		}
		if (ioctl(p->fd, NIOCTXSYNC, NULL) < 0 || ioctl(p->fd, NIOCRXSYNC, NULL) < 0)
			syscall(SYS_exit, 4);
		if (!nm_ring_empty(p->rx) && (poll(&set, 1, -1) != 1 || set.revents != POLLIN))
			syscall(SYS_exit, 5);
		got += (int)nm_ring_space(p->rx);
		take_all(p);
	}
	syscall(SYS_exit, 42);
}

static void no_system_calls(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);
	int status;
	pid_t pid;

	order("!awake");
	pid = fork();
	if (pid == 0)
		per_frame(&p);
	waitpid(pid, &status, 0);
	order("!rest");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
		skip();                 /* no seccomp here */
	assert_true(WIFEXITED(status)); /* a signal: a system call */
	assert_int_equal(WEXITSTATUS(status), 42);
	close_port(&p);
}

static double ns_each(const struct timespec *from, int n)
{
	struct timespec to;

	clock_gettime(CLOCK_MONOTONIC, &to);
	return ((double)(to.tv_sec - from->tv_sec) * 1e9 + (double)(to.tv_nsec - from->tv_nsec)) /
	       n;
}

/* Printed, not judged: the machine may be busy. */
static void figures(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);
	struct pollfd set = {.fd = p.fd, .events = POLLIN};
	const int n = 1000000;
	struct timespec t;

	put(&p, 4);
	assert_int_equal(poll(&set, 1, 1000), 1);
	clock_gettime(CLOCK_MONOTONIC, &t);
	for (int i = 0; i < n; i++)
		ioctl(p.fd, NIOCRXSYNC, NULL);
	print_message("rx sync, nothing to do: %.1f ns\n", ns_each(&t, n));
	clock_gettime(CLOCK_MONOTONIC, &t);
	for (int i = 0; i < n; i++)
		ioctl(p.fd, NIOCTXSYNC, NULL);
	print_message("tx sync, nothing to do: %.1f ns\n", ns_each(&t, n));
	clock_gettime(CLOCK_MONOTONIC, &t);
	for (int i = 0; i < n; i++)
		assert_true(poll(&set, 1, -1) == 1);
	print_message("poll with frames waiting: %.1f ns\n", ns_each(&t, n));
	close_port(&p);
}

static void stopped(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);

	order("!stop");
	assert_int_equal(poll_one(p.fd, POLLIN, 1000), POLLERR);
	assert_int_equal(ioctl(p.fd, NIOCTXSYNC, NULL), -1);
	assert_int_equal(errno, EIO);
	close_port(&p);
}

/* Last: the daemon dies. Errors come at once, but a loop on them does not spin. */
static void daemon_gone(void **state)
{
	struct port p = open_port("v1", NR_REG_ALL_NIC, 0);
	int64_t t;
	int fd;

	assert_int_equal(order("!die"), EIO);
	t = ms_now();
	assert_int_equal(poll_one(p.fd, POLLIN, 5000), POLLERR);
	assert_in_range(ms_now() - t, 0, 1000);
	t = ms_now();
	for (int i = 0; i < 10; i++) {
		assert_int_equal(ioctl(p.fd, NIOCRXSYNC, NULL), -1);
		assert_int_equal(errno, EIO);
	}
	assert_in_range(ms_now() - t, 80, 2000);
	fd = open("/dev/netmap", O_RDWR);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, ENOENT);
	close_port(&p);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unregistered),  cmocka_unit_test(versions),
		cmocka_unit_test(requests),      cmocka_unit_test(modes),
		cmocka_unit_test(options),       cmocka_unit_test(legacy),
		cmocka_unit_test(mapping),       cmocka_unit_test(rings),
		cmocka_unit_test(flush),         cmocka_unit_test(sleeping),
		cmocka_unit_test(interrupted),   cmocka_unit_test(selecting),
		cmocka_unit_test(epolling),      cmocka_unit_test(duplicates),
		cmocka_unit_test(nothing_stays), cmocka_unit_test(forked),
		cmocka_unit_test(inherited),     cmocka_unit_test(received),
		cmocka_unit_test(executed),      cmocka_unit_test(no_system_calls),
		cmocka_unit_test(figures),       cmocka_unit_test(stopped),
		cmocka_unit_test(daemon_gone),
	};

	if (argc == 2)
		return after_exec(atoi(argv[1]));
	return cmocka_run_group_tests(tests, start, stop);
}
