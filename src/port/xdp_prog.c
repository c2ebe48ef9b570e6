/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/xdp_prog.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <string.h>

#include "base/err.h"
#include "bpf/xsk.skel.h"
#include "bpf/xsk_tag.skel.h"

/* Newer than Debian 12's headers or libbpf. */
#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)
#endif
#ifndef BPF_F_XDP_DEV_BOUND_ONLY
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6)
#endif

static int prepare(struct bpf_program *prog, struct bpf_map *xsks, const struct xdp_dev *dev,
		   uint32_t flags)
{
	int r = bpf_map__set_max_entries(xsks, dev->n_queues);

	return r < 0 ? r : bpf_program__set_flags(prog, flags);
}

static int load_plain(struct xdp_prog *p, const struct xdp_dev *dev, bool frags)
{
	int r;

	p->plain = xsk_bpf__open();
	if (!p->plain)
		return -errno;
	r = prepare(p->plain->progs.vd_xsk, p->plain->maps.xsks, dev,
		    frags ? BPF_F_XDP_HAS_FRAGS : 0);
	if (r == 0)
		r = xsk_bpf__load(p->plain);
	p->fd = bpf_program__fd(p->plain->progs.vd_xsk);
	p->xsks = bpf_map__fd(p->plain->maps.xsks);
	return r;
}

/* Fails where the kernel (before 6.8) or the driver cannot say what tag a frame had. */
static int load_tag(struct xdp_prog *p, const struct xdp_dev *dev, bool frags)
{
	int r;

	p->tag = xsk_tag_bpf__open();
	if (!p->tag)
		return -errno;
	bpf_program__set_ifindex(p->tag->progs.vd_xsk_tag, dev->ifindex);
	r = prepare(p->tag->progs.vd_xsk_tag, p->tag->maps.xsks, dev,
		    BPF_F_XDP_DEV_BOUND_ONLY | (frags ? BPF_F_XDP_HAS_FRAGS : 0));
	if (r == 0)
		r = xsk_tag_bpf__load(p->tag);
	if (r)
		return r;
	p->fd = bpf_program__fd(p->tag->progs.vd_xsk_tag);
	p->xsks = bpf_map__fd(p->tag->maps.xsks);
	p->restored = (const uint64_t *)&p->tag->bss->n_restored;
	p->lost = (const uint64_t *)&p->tag->bss->n_lost;
	return 0;
}

static void unload(struct xdp_prog *p)
{
	xsk_bpf__destroy(p->plain);
	xsk_tag_bpf__destroy(p->tag);
	xdp_take_unload(p);
	memset(p, 0, sizeof(*p));
}

static int load_failed(int r, const char **ret_why)
{
	if (r == -EPERM)
		*ret_why = "loading an XDP program needs CAP_BPF and CAP_NET_ADMIN";
	else
		*ret_why = "the kernel refuses the XDP program (log level debug shows why)";
	return error_origin(r);
}

/* Whether tags would be lost depends on the attached program, so this comes in one piece. */
static int load(struct xdp_prog *p, const struct xdp_dev *dev, bool frags,
		const struct take_config *take, const char **ret_why)
{
	int r;

	if (!dev->may_strip_tags) {
		r = take ? xdp_take_load(p, dev, take) : load_plain(p, dev, frags);
		return r < 0 ? load_failed(r, ret_why) : 0;
	}
	r = take ? xdp_take_load(p, dev, take) : load_tag(p, dev, frags);
	if (r == 0)
		return 0;
	if (r == -EPERM)
		return load_failed(r, ret_why);
	*ret_why = take ? "the kernel cannot tell XDP the VLAN tags that this device keeps beside "
			  "frames"
		   : dev->tags_by_feature
			   ? "XDP would lose VLAN tags that the device strips: switch that off "
			     "(ethtool -K DEV rxvlan off) or use driver packet"
			   : "XDP would lose VLAN tags that this kind of device keeps beside the "
			     "frame (kernel 6.8 can tell them): use driver packet";
	return error_origin(-EOPNOTSUPP);
}

int xdp_prog_attach(struct xdp_prog *p, const struct xdp_dev *dev, bool frags,
		    const struct take_config *take, const char **ret_why)
{
	int r;

	memset(p, 0, sizeof(*p));
	r = load(p, dev, frags, take, ret_why);
	if (r < 0) {
		unload(p);
		return error_trace(r);
	}
	p->native = true;
	r = sys_bpf_attach_xdp(&p->link, p->fd, dev->ifindex, XDP_FLAGS_DRV_MODE, ret_why);
	/* Generic XDP shows no tags, and a program bound to a device cannot run there. */
	if (r < 0 && r != -EBUSY && r != -EEXIST && r != -EPERM && p->plain) {
		p->native = false;
		r = sys_bpf_attach_xdp(&p->link, p->fd, dev->ifindex, XDP_FLAGS_SKB_MODE, ret_why);
	}
	if (r == -EOPNOTSUPP && take)
		*ret_why = "its driver has no native XDP";
	if (r < 0) {
		unload(p);
		return error_trace(r);
	}
	return 0;
}

int xdp_prog_set_socket(struct xdp_prog *p, uint32_t queue, int fd)
{
	return bpf_map_update_elem(p->xsks, &queue, &fd, BPF_ANY) < 0 ? error_origin(-errno) : 0;
}

void xdp_prog_counters(const struct xdp_prog *p, uint64_t *ret_restored, uint64_t *ret_lost)
{
	*ret_restored = p->restored ? __atomic_load_n(p->restored, __ATOMIC_RELAXED) : 0;
	*ret_lost = p->lost ? __atomic_load_n(p->lost, __ATOMIC_RELAXED) : 0;
}

void xdp_prog_detach(struct xdp_prog *p)
{
	sys_bpf_detach(&p->link);
	unload(p);
}
