/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls on "/dev/netmap" for tests that run on a daemon. Each ends the program when it cannot go
 * on. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <net/netmap.h>
#include <net/netmap_user.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static inline int dev(void)
{
	int fd = open("/dev/netmap", O_RDWR);

	if (fd < 0) {
		perror("/dev/netmap");
		exit(2);
	}
	return fd;
}

/* A request with everything; its errno, 0 for success. */
static inline int ctl_full(int fd, unsigned int version, int type, const char *name, void *body,
			   void *options)
{
	struct nmreq_header h = {.nr_version = (uint16_t)version,
				 .nr_reqtype = (uint16_t)type,
				 .nr_options = (uintptr_t)options,
				 .nr_body = (uintptr_t)body};

	snprintf(h.nr_name, sizeof(h.nr_name), "%s", name);
	return ioctl(fd, NIOCCTRL, &h) < 0 ? errno : 0;
}

static inline int ctl(int fd, int type, const char *name, void *body)
{
	return ctl_full(fd, NETMAP_API, type, name, body, NULL);
}

/* The same on a descriptor of its own. */
static inline int ctl_once(int type, const char *name, void *body, void *options)
{
	int fd = dev(), err = ctl_full(fd, NETMAP_API, type, name, body, options);

	close(fd);
	return err;
}

static inline int legacy(unsigned long cmd, struct nmreq *r)
{
	int fd = dev(), err = ioctl(fd, cmd, r) < 0 ? errno : 0;

	close(fd);
	return err;
}

/* A registered descriptor and its memory. fd -1 and err: it was refused. */
struct port {
	int fd, err;
	struct nmreq_register reg;
	char *mem;
	struct netmap_if *nifp;
};

static inline struct port port_open(const char *name, struct nmreq_register reg, void *options)
{
	struct port p = {.fd = dev(), .reg = reg};

	p.err = ctl_full(p.fd, NETMAP_API, NETMAP_REQ_REGISTER, name, &p.reg, options);
	if (p.err) {
		close(p.fd);
		p.fd = -1;
		return p;
	}
	p.mem = mmap(NULL, p.reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, 0);
	if (p.mem == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	p.nifp = NETMAP_IF(p.mem, p.reg.nr_offset);
	return p;
}

static inline void port_close(struct port *p)
{
	if (p->fd < 0)
		return;
	munmap(p->mem, p->reg.nr_memsize);
	close(p->fd);
	p->fd = -1;
}

/* The errno of a REGISTER on a descriptor of its own; *ret as it came back. */
static inline int reg(const char *name, uint32_t mode, uint16_t ring, uint64_t flags,
		      struct nmreq_register *ret)
{
	struct nmreq_register r = {.nr_mode = mode, .nr_ringid = ring, .nr_flags = flags};
	int err = ctl_once(NETMAP_REQ_REGISTER, name, &r, NULL);

	if (ret)
		*ret = r;
	return err;
}

static inline short poll_now(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}
