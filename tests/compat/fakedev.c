/* SPDX-License-Identifier: BSD-2-Clause */
#include "fakedev.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/netmap_user.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define N_FDS     64
#define RINGS_OFS 65536u
#define RING_SIZE 512u
#define BUFS_OFS  131072u
#define N_RINGS   (FAKE_TX + 1 + FAKE_RX + 1)
#define REGIONS   3

struct fake fake;

static struct {
	bool used, registered;
	int mem_id;
} fds[N_FDS];
static int memfd[REGIONS];
static char *view[REGIONS];
static uint32_t n_ifs[REGIONS];

int __real_open64(const char *path, int flags, ...);
int __real_close(int fd);
int __real_ioctl(int fd, unsigned long req, ...);
void *__real_mmap64(void *a, size_t n, int prot, int flags, int fd, off_t ofs);
int __real_munmap(void *a, size_t n);

int __wrap_open64(const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_ioctl(int fd, unsigned long req, ...);
void *__wrap_mmap64(void *a, size_t n, int prot, int flags, int fd, off_t ofs);
int __wrap_munmap(void *a, size_t n);
unsigned __wrap_if_nametoindex(const char *name);

static bool ours(int fd)
{
	return fd >= 0 && fd < N_FDS && fds[fd].used;
}

/* Members that are const for programs are the device's to write. */
static void set(const void *member, uint64_t value, size_t size)
{
	memcpy((void *)(uintptr_t)member, &value, size);
}
#define SET(_lvalue, _value) set(&(_lvalue), (uint64_t)(_value), sizeof(_lvalue))

static void make_region(int id)
{
	if (view[id])
		return;
	memfd[id] = memfd_create("fake", MFD_CLOEXEC);
	if (ftruncate(memfd[id], FAKE_MEMSIZE) < 0)
		fake.wrong++;
	view[id] =
		__real_mmap64(NULL, FAKE_MEMSIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd[id], 0);
	for (uint32_t i = 0; i < N_RINGS; i++) {
		uint32_t ofs = RINGS_OFS + i * RING_SIZE;
		struct netmap_ring *r = (void *)(view[id] + ofs);

		SET(r->buf_ofs, BUFS_OFS - ofs);
		SET(r->num_slots, FAKE_SLOTS);
		SET(r->nr_buf_size, FAKE_BUF_SIZE);
		r->tail = i <= FAKE_TX ? FAKE_SLOTS - 1 : 0;
		for (uint32_t s = 0; s < FAKE_SLOTS; s++)
			r->slot[s].buf_idx = 2 + i * FAKE_SLOTS + s;
	}
}

/* Which rings a mode binds, for the one direction that starts at first and has n, then one host. */
static bool bound(uint32_t mode, uint32_t ring, uint32_t i, uint32_t n)
{
	switch (mode) {
	case NR_REG_SW:
		return i == n;
	case NR_REG_NIC_SW:
		return true;
	case NR_REG_ONE_NIC:
		return i == (ring < n ? ring : 0);
	case NR_REG_ONE_SW:
		return i == n + ring;
	default:
		return i < n;
	}
}

/* Makes a netmap_if and returns its offset. */
static uint32_t make_if(int id, uint32_t mode, uint32_t ring, uint64_t flags)
{
	uint32_t ofs = 1024 * (n_ifs[id]++ % (RINGS_OFS / 1024));
	struct netmap_if *nifp = (void *)(view[id] + ofs);

	memset(nifp, 0, 1024);
	SET(nifp->ni_tx_rings, FAKE_TX);
	SET(nifp->ni_rx_rings, FAKE_RX);
	SET(nifp->ni_host_tx_rings, 1);
	SET(nifp->ni_host_rx_rings, 1);
	for (uint32_t i = 0; i < N_RINGS; i++) {
		bool tx = i <= FAKE_TX;
		bool b = tx ? bound(mode, ring, i, FAKE_TX)
			    : bound(mode, ring, i - FAKE_TX - 1, FAKE_RX);

		if (flags & (tx ? NR_RX_RINGS_ONLY : NR_TX_RINGS_ONLY))
			b = false;
		if (b)
			SET(nifp->ring_ofs[i], RINGS_OFS + i * RING_SIZE - ofs);
	}
	return ofs;
}

static int refuse(int err)
{
	errno = err;
	return -1;
}

static int refuse_name(const char *name)
{
	return strcmp(name, "none") == 0 ? ENXIO : strcmp(name, "busy") == 0 ? EBUSY : 0;
}

static int id_of(const char *name)
{
	return strcmp(name, "priv") == 0 || strncmp(name, "vale", 4) == 0 ? 2 : 1;
}

static int do_options(struct nmreq_header *h)
{
	struct nmreq_option *o = (void *)(uintptr_t)h->nr_options;
	int r = 0;

	for (; o; o = (void *)(uintptr_t)o->nro_next) {
		bool ok = o->nro_reqtype == NETMAP_REQ_OPT_OFFSETS ||
			  o->nro_reqtype == NETMAP_REQ_OPT_EXTMEM;

		o->nro_status = ok ? 0 : EOPNOTSUPP;
		if (!ok)
			r = EOPNOTSUPP;
	}
	return r;
}

static int do_register(int fd, struct nmreq_header *h)
{
	struct nmreq_register *reg = (void *)(uintptr_t)h->nr_body;
	int err = refuse_name(h->nr_name);

	if (h->nr_version != NETMAP_API || h->nr_reserved || !reg)
		fake.wrong++;
	fake.reg = *reg;
	memcpy(fake.name, h->nr_name, sizeof(fake.name));
	if (!err)
		err = do_options(h);
	if (!err && fds[fd].registered)
		err = EBUSY;
	if (err)
		return refuse(err);
	if (!reg->nr_mem_id)
		reg->nr_mem_id = (uint16_t)id_of(h->nr_name);
	if (reg->nr_mem_id >= REGIONS)
		return refuse(EINVAL);
	make_region(reg->nr_mem_id);
	fds[fd].registered = true;
	fds[fd].mem_id = reg->nr_mem_id;
	reg->nr_offset = make_if(reg->nr_mem_id, reg->nr_mode, reg->nr_ringid, reg->nr_flags);
	reg->nr_memsize = FAKE_MEMSIZE;
	reg->nr_tx_rings = FAKE_TX;
	reg->nr_rx_rings = FAKE_RX;
	return 0;
}

static int do_legacy(int fd, struct nmreq *q)
{
	struct nmreq_register reg = {.nr_mode = q->nr_flags & NR_REG_MASK,
				     .nr_flags = q->nr_flags & ~NR_REG_MASK,
				     .nr_ringid = q->nr_ringid & NETMAP_RING_MASK,
				     .nr_mem_id = q->nr_arg2};
	struct nmreq_header h = {.nr_version = q->nr_version, .nr_body = (uintptr_t)&reg};

	fake.legacy = *q;
	memcpy(h.nr_name, q->nr_name, sizeof(q->nr_name));
	if (do_register(fd, &h) < 0)
		return -1;
	q->nr_offset = (uint32_t)reg.nr_offset;
	q->nr_memsize = (uint32_t)reg.nr_memsize;
	q->nr_tx_rings = reg.nr_tx_rings;
	q->nr_rx_rings = reg.nr_rx_rings;
	q->nr_arg2 = reg.nr_mem_id;
	return 0;
}

static int do_info(struct nmreq_header *h)
{
	struct nmreq_port_info_get *info = (void *)(uintptr_t)h->nr_body;
	int err = refuse_name(h->nr_name);

	if (err)
		return refuse(err);
	info->nr_mem_id = (uint16_t)id_of(h->nr_name);
	return 0;
}

int __wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	if (strcmp(path, NETMAP_DEVICE_NAME) != 0) {
		fd = __real_open64(path, flags, flags & O_CREAT ? va_arg(ap, int) : 0);
		va_end(ap);
		return fd;
	}
	va_end(ap);
	if (flags != O_RDWR)
		fake.wrong++;
	if (fake.fail_open) {
		errno = fake.fail_open;
		fake.fail_open = 0;
		return -1;
	}
	fd = __real_open64("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd >= 0 && fd < N_FDS) {
		fds[fd].used = true;
		fds[fd].registered = false;
		fake.n_open++;
	}
	return fd;
}

int __wrap_close(int fd)
{
	if (ours(fd)) {
		fds[fd].used = false;
		fake.n_close++;
		__real_close(fd);
		errno = fake.close_errno;
		return 0;
	}
	return __real_close(fd);
}

int __wrap_ioctl(int fd, unsigned long req, ...)
{
	struct nmreq_header *h;
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!ours(fd))
		return __real_ioctl(fd, req, arg);
	if (req == NIOCREGIF)
		return do_legacy(fd, arg);
	h = arg;
	if (req == NIOCCTRL && h->nr_reqtype == NETMAP_REQ_REGISTER)
		return do_register(fd, h);
	if (req == NIOCCTRL && h->nr_reqtype == NETMAP_REQ_PORT_INFO_GET)
		return do_info(h);
	return refuse(EOPNOTSUPP);
}

void *__wrap_mmap64(void *a, size_t n, int prot, int flags, int fd, off_t ofs)
{
	void *p;

	if (!ours(fd))
		return __real_mmap64(a, n, prot, flags, fd, ofs);
	if (a || n != FAKE_MEMSIZE || prot != (PROT_READ | PROT_WRITE) || flags != MAP_SHARED ||
	    ofs || !fds[fd].registered)
		fake.wrong++;
	if (fake.fail_mmap) {
		errno = fake.fail_mmap;
		fake.fail_mmap = 0;
		return MAP_FAILED;
	}
	p = __real_mmap64(NULL, n, prot, flags, memfd[fds[fd].mem_id], 0);
	fake.n_mmap += p != MAP_FAILED;
	return p;
}

int __wrap_munmap(void *a, size_t n)
{
	int r = __real_munmap(a, n);

	if (n == FAKE_MEMSIZE) {
		fake.n_munmap++;
		errno = fake.close_errno;
	}
	return r;
}

unsigned __wrap_if_nametoindex(const char *name)
{
	errno = ENODEV;
	for (unsigned i = 0; fake.devices && fake.devices[i]; i++)
		if (strcmp(fake.devices[i], name) == 0)
			return i + 1;
	return 0;
}

void fake_reset(void)
{
	for (int id = 0; id < REGIONS; id++) {
		if (!view[id])
			continue;
		__real_munmap(view[id], FAKE_MEMSIZE);
		__real_close(memfd[id]);
		view[id] = NULL;
		n_ifs[id] = 0;
	}
	memset(&fake, 0, sizeof(fake));
}

int fake_leaks(void)
{
	return fake.n_open - fake.n_close + fake.n_mmap - fake.n_munmap;
}
