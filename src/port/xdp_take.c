/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The xdp driver without its sending half, for places of a trunk: see port/take.h. Sockets, rings
 * and buffers are the driver's; the program is another one, and the device is left as it is (its
 * bridge has made it promiscuous, and the host may use it).
 *
 * What is left to the tc program may be overtaken by what is not. So frames of one flow take one
 * way: no device with an MTU larger than a buffer, and no TAP, whose user sends GSO frames among
 * others. The program's check of the length is for what comes nevertheless.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "bpf/take.skel.h"
#include "bpf/take_tag.skel.h"
#include "bpf/trunk.h"
#include "core/frame.h"
#include "port/take.h"
#include "port/xdp_internal.h"
#include "sys/cbpf.h"

LOG_MODULE("port/xdp_take");

/* Newer than Debian 12's headers or libbpf. */
#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)
#endif
#ifndef BPF_F_XDP_DEV_BOUND_ONLY
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6)
#endif

/* ---- programs ---- */

/* Bytes of the longest frame that fits a buffer, when a tag was put back into it. */
static uint32_t len_max(struct bufpool *pool)
{
	return bufpool_region(pool)->layout.params.buf_size - MEM_BUF_OFFSET - TAGS_SIZE;
}

bool take_fits(struct bufpool *pool, uint32_t mtu)
{
	return mtu + FRAME_HEADER_SIZE + TAGS_SIZE <= len_max(pool);
}

/* What a program needs of the trunk before it is loaded. Both skeletons have the same parts. */
#define SET_UP(o, cfg)                                                                             \
	({                                                                                         \
		(o)->rodata->vd_shared_ofs = (cfg)->shared_ofs;                                    \
		(o)->rodata->vd_place_ofs = (cfg)->place_ofs;                                      \
		(o)->rodata->vd_len_max = len_max((cfg)->pool);                                    \
		bpf_map__reuse_fd((o)->maps.vd_take_vlans, (cfg)->vlans_fd)                        \
			?: bpf_map__reuse_fd((o)->maps.vd_state, (cfg)->state_fd);                 \
	})

/* slots: the program may call others. */
static int load_tag(struct xdp_prog *p, const struct xdp_dev *dev, const struct take_config *cfg,
		    bool slots)
{
	struct take_tag_bpf *o = p->take_tag = take_tag_bpf__open();
	struct bpf_program *prog;
	int r;

	if (!o)
		return -errno;
	prog = slots ? o->progs.vd_take_xdp_tag : o->progs.vd_take_xdp_alone;
	bpf_program__set_autoload(slots ? o->progs.vd_take_xdp_alone : o->progs.vd_take_xdp_tag,
				  false);
	bpf_program__set_ifindex(prog, dev->ifindex);
	r = bpf_program__set_flags(prog, BPF_F_XDP_HAS_FRAGS | BPF_F_XDP_DEV_BOUND_ONLY);
	if (r == 0)
		r = bpf_map__set_max_entries(o->maps.vd_xsks, dev->n_queues);
	if (r == 0)
		r = SET_UP(o, cfg);
	if (r == 0)
		r = take_tag_bpf__load(o);
	if (r) {
		p->take_tag = NULL;
		take_tag_bpf__destroy(o);
		return r;
	}
	p->fd = bpf_program__fd(prog);
	p->xsks = bpf_map__fd(o->maps.vd_xsks);
	p->restored = (const uint64_t *)&o->bss->vd_restored;
	p->lost = (const uint64_t *)&o->bss->vd_lost;
	return 0;
}

/* With p->take_tag: only what its slots call. */
static int load_plain(struct xdp_prog *p, const struct xdp_dev *dev, const struct take_config *cfg)
{
	struct take_bpf *o = p->take = take_bpf__open();
	int r;

	if (!o)
		return -errno;
	bpf_program__set_autoload(o->progs.vd_take_xdp, !p->take_tag);
	r = bpf_program__set_flags(o->progs.vd_take_xdp, BPF_F_XDP_HAS_FRAGS);
	if (r == 0)
		r = bpf_program__set_flags(o->progs.vd_take_rest, BPF_F_XDP_HAS_FRAGS);
	if (r == 0)
		r = SET_UP(o, cfg);
	if (r == 0 && p->take_tag)
		r = bpf_map__reuse_fd(o->maps.vd_xsks, p->xsks);
	else if (r == 0)
		r = bpf_map__set_max_entries(o->maps.vd_xsks, dev->n_queues);
	if (r == 0 && p->take_tag)
		r = bpf_map__reuse_fd(o->maps.vd_take_slots,
				      bpf_map__fd(p->take_tag->maps.vd_take_slots));
	if (r == 0)
		r = take_bpf__load(o);
	if (r == 0 && !p->take_tag) {
		p->fd = bpf_program__fd(o->progs.vd_take_xdp);
		p->xsks = bpf_map__fd(o->maps.vd_xsks);
	}
	return r;
}

int xdp_take_load(struct xdp_prog *p, const struct xdp_dev *dev, const struct take_config *take)
{
	int r;

	if (!dev->may_strip_tags)
		return load_plain(p, dev, take);
	r = load_tag(p, dev, take, true);
	if (r == 0)
		return load_plain(p, dev, take);
	return r == -EPERM ? r : load_tag(p, dev, take, false);
}

void xdp_take_unload(struct xdp_prog *p)
{
	take_bpf__destroy(p->take);
	take_tag_bpf__destroy(p->take_tag);
}

static int set_slot(const struct xdp_prog *p, uint32_t slot, int fd)
{
	return bpf_map_update_elem(bpf_map__fd(p->take->maps.vd_take_slots), &slot, &fd, BPF_ANY)
		       ? error_origin(-errno)
		       : 0;
}

int take_set_exempt(struct port *port, const struct sock_filter *prog, uint32_t n,
		    const char **ret_why)
{
	const struct xdp_prog *p = &to_xdp(port)->prog;
	struct cbpf_target rest = {.index = TRUNK_SLOT_TAKE, .xdp = true};
	const uint32_t slot = TRUNK_SLOT_EXEMPT;
	int fd, r;

	if (!p->take) { /* never called, so none is there */
		*ret_why = "is left to tc on this kernel";
		return n ? error_origin(-EOPNOTSUPP) : 0;
	}
	rest.map_fd = bpf_map__fd(p->take->maps.vd_take_slots);
	bpf_map_delete_elem(rest.map_fd, &slot);
	if (n == 0)
		return 0;
	*ret_why = "is refused by the kernel";
	r = set_slot(p, TRUNK_SLOT_TAKE, bpf_program__fd(p->take->progs.vd_take_rest));
	if (r)
		return error_trace(r);
	fd = cbpf_load(prog, n, &rest, ret_why);
	if (fd < 0)
		return error_trace(fd);
	r = set_slot(p, slot, fd);
	close(fd);
	return error_trace(r);
}

/* ---- opening ---- */

static const struct port_driver driver_take = {
	.name = "xdp",
	.close = xdp_close,
	.rx = xdp_rx,
	.arm = xdp_arm,
	.update_stats = xdp_update_stats,
};

/* Buffers that wait for frames are of no use to others: half of them stay free. */
static bool has_buffers(struct bufpool *pool, uint32_t n_queues)
{
	struct bufpool_stats st;

	bufpool_stats(pool, &st);
	return st.n_free >= st.n_total / 2 + n_queues * RX_SIZE;
}

static int check(const struct port_config *cfg, struct xdp_dev *dev, const char **ret_why)
{
	int r = xdp_dev_query(cfg->name, dev, ret_why);

	if (r == 0)
		r = xdp_check_config(cfg, dev, ret_why);
	if (r)
		return error_trace(r);
	*ret_why = NULL;
	if (strcmp(dev->driver, "bonding") == 0)
		*ret_why = "a bond: XDP would run on the devices in it";
	else if (strcmp(dev->driver, "tun") == 0)
		*ret_why = "a TAP: its user's GSO frames have to stay whole";
	else if (!take_fits(cfg->pool, dev->mtu))
		*ret_why = "its MTU is larger than a buffer";
	if (*ret_why)
		return error_origin(-EOPNOTSUPP);
	if (!has_buffers(cfg->pool, dev->n_queues)) {
		*ret_why = "too few free buffers for its queues";
		return error_origin(-ENOBUFS);
	}
	return 0;
}

int take_check(const char *name, struct bufpool *pool, const char **ret_why)
{
	const struct port_config pc = {.name = name, .pool = pool};
	struct xdp_dev dev;
	uint32_t id = 0;
	int r = check(&pc, &dev, ret_why);

	if (r)
		return error_trace(r);
	if (sys_bpf_xdp_query(dev.ifindex, &id) == 0 && id) {
		*ret_why = "another XDP program is attached to it";
		return error_origin(-EBUSY);
	}
	return 0;
}

int take_open(const struct take_config *cfg, struct port **ret, const char **ret_why)
{
	const struct port_config pc = {.name = cfg->name, .pool = cfg->pool};
	struct xdp_dev dev;
	int r = check(&pc, &dev, ret_why);

	if (r == 0)
		r = xdp_open_as(&pc, &dev, false, cfg, ret, ret_why);
	if (r)
		return error_trace(r);
	(*ret)->driver = &driver_take;
	log_debug("%s: taken by XDP, %u queues, %s", cfg->name, dev.n_queues, (*ret)->mode);
	return 0;
}

void take_stop(struct port *p)
{
	sys_bpf_detach(&to_xdp(p)->prog.link);
}
