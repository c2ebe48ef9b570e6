/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/xdp_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

void xdp_ring_init(struct xdp_ring *r, void *map, const struct xdp_ring_offset *ofs, uint32_t size)
{
	uint8_t *p = map;

	r->prod = (uint32_t *)(p + ofs->producer);
	r->cons = (uint32_t *)(p + ofs->consumer);
	r->flags = (uint32_t *)(p + ofs->flags);
	r->entries = p + ofs->desc;
	r->size = size;
	r->mask = size - 1;
	r->cached_prod = *r->prod;
	r->cached_cons = *r->cons;
}

static int set_option(int fd, int name, uint32_t value)
{
	return setsockopt(fd, SOL_XDP, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int register_umem(int fd, const struct xdp_sock_config *cfg)
{
	struct xdp_umem_reg reg = {
		.addr = (uintptr_t)cfg->umem,
		.len = cfg->umem_size,
		.chunk_size = cfg->chunk_size,
	};

	return setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) < 0 ? -errno : 0;
}

static int map_ring(struct xdp_sock *s, int i, struct xdp_ring *r,
		    const struct xdp_ring_offset *ofs, uint32_t size, size_t entry, uint64_t pgoff)
{
	size_t len = ofs->desc + size * entry;
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, s->fd,
		       (off_t)pgoff);

	if (p == MAP_FAILED)
		return -errno;
	s->maps[i].p = p;
	s->maps[i].size = len;
	xdp_ring_init(r, p, ofs, size);
	return 0;
}

static int make_rings(struct xdp_sock *s, const struct xdp_sock_config *cfg)
{
	/* The kernel wants a completion ring even where nothing is sent. */
	uint32_t comp_size = cfg->tx_size ? cfg->tx_size : 64;
	struct xdp_mmap_offsets ofs;
	socklen_t len = sizeof(ofs);
	int r;

	r = set_option(s->fd, XDP_UMEM_FILL_RING, cfg->fill_size);
	if (r == 0)
		r = set_option(s->fd, XDP_UMEM_COMPLETION_RING, comp_size);
	if (r == 0)
		r = set_option(s->fd, XDP_RX_RING, cfg->rx_size);
	if (r == 0 && cfg->tx_size)
		r = set_option(s->fd, XDP_TX_RING, cfg->tx_size);
	if (r == 0 && getsockopt(s->fd, SOL_XDP, XDP_MMAP_OFFSETS, &ofs, &len) < 0)
		r = -errno;
	if (r == 0)
		r = map_ring(s, 0, &s->fill, &ofs.fr, cfg->fill_size, sizeof(uint64_t),
			     XDP_UMEM_PGOFF_FILL_RING);
	if (r == 0)
		r = map_ring(s, 1, &s->comp, &ofs.cr, comp_size, sizeof(uint64_t),
			     XDP_UMEM_PGOFF_COMPLETION_RING);
	if (r == 0)
		r = map_ring(s, 2, &s->rx, &ofs.rx, cfg->rx_size, sizeof(struct xdp_desc),
			     XDP_PGOFF_RX_RING);
	if (r == 0 && cfg->tx_size)
		r = map_ring(s, 3, &s->tx, &ofs.tx, cfg->tx_size, sizeof(struct xdp_desc),
			     XDP_PGOFF_TX_RING);
	return r;
}

int xdp_sock_open(struct xdp_sock *s, const struct xdp_sock_config *cfg, const char **ret_why)
{
	int r;

	memset(s, 0, sizeof(*s));
	s->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (s->fd < 0) {
		r = -errno;
		*ret_why = r == -EPERM          ? "AF_XDP sockets need CAP_NET_RAW"
			   : r == -EAFNOSUPPORT ? "this kernel has no AF_XDP sockets"
						: err_text(r);
		return error_origin(r);
	}
	r = register_umem(s->fd, cfg);
	if (r < 0) {
		*ret_why = r == -ENOBUFS || r == -ENOMEM
				   ? "registering the buffers needs CAP_IPC_LOCK or a larger "
				     "RLIMIT_MEMLOCK"
				   : "the kernel does not accept the buffers as UMEM";
		goto fail;
	}
	r = make_rings(s, cfg);
	if (r < 0) {
		*ret_why = "the kernel does not give the rings of an AF_XDP socket";
		goto fail;
	}
	/* One send call may carry a whole round in copy mode; absent before kernel 6.17. */
	if (cfg->tx_size)
		(void)set_option(s->fd, XDP_MAX_TX_SKB_BUDGET, cfg->tx_size);
	return 0;
fail:
	xdp_sock_close(s);
	return error_origin(r);
}

int xdp_sock_bind(struct xdp_sock *s, uint32_t ifindex, uint32_t queue, uint16_t flags)
{
	struct sockaddr_xdp a = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = flags,
		.sxdp_ifindex = ifindex,
		.sxdp_queue_id = queue,
	};

	return bind(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
}

bool xdp_sock_zero_copy(const struct xdp_sock *s)
{
	struct xdp_options o = {0};
	socklen_t len = sizeof(o);

	return getsockopt(s->fd, SOL_XDP, XDP_OPTIONS, &o, &len) == 0 &&
	       (o.flags & XDP_OPTIONS_ZEROCOPY);
}

int xdp_sock_statistics(const struct xdp_sock *s, struct xdp_statistics *ret)
{
	struct xdp_statistics st = {0};
	socklen_t len = sizeof(st);

	if (getsockopt(s->fd, SOL_XDP, XDP_STATISTICS, &st, &len) < 0)
		return error_origin(-errno);
	*ret = st;
	return 0;
}

void xdp_sock_close(struct xdp_sock *s)
{
	for (unsigned int i = 0; i < array_size(s->maps); i++) {
		if (s->maps[i].p)
			munmap(s->maps[i].p, s->maps[i].size);
	}
	if (s->fd >= 0)
		close(s->fd);
	memset(s, 0, sizeof(*s));
	s->fd = -1;
}
