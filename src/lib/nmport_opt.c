/* SPDX-License-Identifier: BSD-2-Clause */
/* libnetmap: the options that the name of a port may carry: share, conf, extmem, offset. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/nmport_internal.h"
#include "libnetmap.h"

struct extmem_cleanup {
	struct nmport_cleanup_d up;
	void *base; /* of the file, NULL = the program's memory */
	size_t size;
};

struct offset_cleanup {
	struct nmport_cleanup_d up;
	struct nmreq_opt_offsets opt;
};

int32_t nmreq_get_mem_id(const char **portname, struct nmctx *ctx)
{
	struct nmreq_port_info_get info = {0};
	const char *rest = *portname;
	struct nmreq_header hdr;
	int fd, r;

	nmreq_header_init(&hdr, NETMAP_REQ_PORT_INFO_GET, &info);
	if (nmreq_header_decode(&rest, &hdr, ctx) < 0)
		return -1;
	fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	if (fd < 0) {
		nmctx_ferror(ctx, "%s: cannot open " NETMAP_DEVICE_NAME ": %m", *portname);
		return -1;
	}
	r = ioctl(fd, NIOCCTRL, &hdr);
	if (r < 0) {
		int saved = errno;

		nmctx_ferror(ctx, "%s: cannot ask for its memory id: %m", *portname);
		close(fd);
		errno = saved;
		return -1;
	}
	close(fd);
	*portname = rest;
	return info.nr_mem_id;
}

enum { SHARE_PORT };

static int parse_share(struct nmreq_parse_ctx *c)
{
	struct nmport_d *d = c->token;
	const char *port = c->keys[SHARE_PORT];
	int32_t id = nmreq_get_mem_id(&port, c->ctx);

	if (id < 0)
		return -1;
	if (*port) {
		nmctx_ferror(c->ctx,
			     "option \"share\": nothing may follow the name of the port: "
			     "\"%s\"",
			     port);
		errno = EINVAL;
		return -1;
	}
	if (d->reg.nr_mem_id && d->reg.nr_mem_id != id) {
		nmctx_ferror(c->ctx, "option \"share\": that port has memory id %d, here %u is set",
			     id, d->reg.nr_mem_id);
		errno = EINVAL;
		return -1;
	}
	d->reg.nr_mem_id = (uint16_t)id;
	return 0;
}

enum {
	CONF_RINGS,
	CONF_HOST_RINGS,
	CONF_SLOTS,
	CONF_TX_RINGS,
	CONF_RX_RINGS,
	CONF_HOST_TX_RINGS,
	CONF_HOST_RX_RINGS,
	CONF_TX_SLOTS,
	CONF_RX_SLOTS
};

static uint32_t value(const struct nmreq_parse_ctx *c, int key, uint32_t otherwise)
{
	return c->keys[key] ? (uint32_t)atoi(c->keys[key]) : otherwise;
}

/* The more precise key wins: "rings=4,tx-rings=2". */
static int parse_conf(struct nmreq_parse_ctx *c)
{
	struct nmreq_register *r = &((struct nmport_d *)c->token)->reg;

	r->nr_tx_rings = (uint16_t)value(c, CONF_TX_RINGS, value(c, CONF_RINGS, r->nr_tx_rings));
	r->nr_rx_rings = (uint16_t)value(c, CONF_RX_RINGS, value(c, CONF_RINGS, r->nr_rx_rings));
	r->nr_host_tx_rings = (uint16_t)value(c, CONF_HOST_TX_RINGS,
					      value(c, CONF_HOST_RINGS, r->nr_host_tx_rings));
	r->nr_host_rx_rings = (uint16_t)value(c, CONF_HOST_RX_RINGS,
					      value(c, CONF_HOST_RINGS, r->nr_host_rx_rings));
	r->nr_tx_slots = value(c, CONF_TX_SLOTS, value(c, CONF_SLOTS, r->nr_tx_slots));
	r->nr_rx_slots = value(c, CONF_RX_SLOTS, value(c, CONF_SLOTS, r->nr_rx_slots));
	return 0;
}

void nmport_extmem_cleanup(struct nmport_cleanup_d *c, struct nmport_d *d)
{
	if (d->extmem) {
		nmreq_remove_option(&d->hdr, &d->extmem->nro_opt);
		nmctx_free(d->ctx, d->extmem);
		d->extmem = NULL;
	}
	nmctx_free(d->ctx, c);
}

void nmport_extmem_cleanup_from_file(struct nmport_cleanup_d *c, struct nmport_d *d)
{
	struct extmem_cleanup *e = (struct extmem_cleanup *)c;

	munmap(e->base, e->size);
	nmctx_free(d->ctx, c);
}

int nmport_extmem(struct nmport_d *d, void *base, size_t size)
{
	struct nmport_cleanup_d *c;
	struct nmreq_opt_extmem *o;

	if (d->register_done || d->extmem) {
		nmctx_ferror(d->ctx, "%s: %s", d->hdr.nr_name,
			     d->extmem ? "external memory is set already"
				       : "external memory must be set before registering");
		errno = EINVAL;
		return -1;
	}
	c = port_alloc(d, sizeof(*c));
	o = c ? port_alloc(d, sizeof(*o)) : NULL;
	if (!o) {
		nmctx_free(d->ctx, c);
		errno = ENOMEM;
		return -1;
	}
	o->nro_opt.nro_reqtype = NETMAP_REQ_OPT_EXTMEM;
	o->nro_usrptr = (uintptr_t)base;
	o->nro_info.nr_memsize = size;
	d->extmem = o;
	nmreq_push_option(&d->hdr, &o->nro_opt);
	port_push_cleanup(d, c, nmport_extmem_cleanup);
	return 0;
}

/* Maps a file. NULL with errno; *ret_size its bytes. */
static void *map_file(struct nmport_d *d, const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), saved;
	void *base = MAP_FAILED;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		*ret_size = (size_t)st.st_size;
		base = mmap(NULL, *ret_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	saved = errno;
	if (base == MAP_FAILED)
		nmctx_ferror(d->ctx, "%s: cannot map: %m", path);
	if (fd >= 0)
		close(fd);
	errno = saved;
	return base == MAP_FAILED ? NULL : base;
}

int nmport_extmem_from_file(struct nmport_d *d, const char *path)
{
	struct extmem_cleanup *c = port_alloc(d, sizeof(*c));
	int saved;

	if (!c)
		return -1;
	c->base = map_file(d, path, &c->size);
	if (c->base && nmport_extmem(d, c->base, c->size) == 0) {
		struct nmport_cleanup_d *option = d->clist;

		/* Under the option's: the pages go last. */
		port_push_cleanup(d, &c->up, nmport_extmem_cleanup_from_file);
		d->clist = option;
		c->up.next = option->next;
		option->next = &c->up;
		return 0;
	}
	saved = errno;
	if (c->base)
		munmap(c->base, c->size);
	nmctx_free(d->ctx, c);
	errno = saved;
	return -1;
}

struct nmreq_pools_info *nmport_extmem_getinfo(struct nmport_d *d)
{
	return d->extmem ? &d->extmem->nro_info : NULL;
}

enum {
	EXTMEM_FILE,
	EXTMEM_IF_NUM,
	EXTMEM_IF_SIZE,
	EXTMEM_RING_NUM,
	EXTMEM_RING_SIZE,
	EXTMEM_BUF_NUM,
	EXTMEM_BUF_SIZE
};

static int parse_extmem(struct nmreq_parse_ctx *c)
{
	struct nmport_d *d = c->token;
	struct nmreq_pools_info *p;

	if (nmport_extmem_from_file(d, c->keys[EXTMEM_FILE]) < 0)
		return -1;
	p = nmport_extmem_getinfo(d);
	p->nr_if_pool_objtotal = value(c, EXTMEM_IF_NUM, 0);
	p->nr_if_pool_objsize = value(c, EXTMEM_IF_SIZE, 0);
	p->nr_ring_pool_objtotal = value(c, EXTMEM_RING_NUM, 0);
	p->nr_ring_pool_objsize = value(c, EXTMEM_RING_SIZE, 0);
	p->nr_buf_pool_objtotal = value(c, EXTMEM_BUF_NUM, 0);
	p->nr_buf_pool_objsize = value(c, EXTMEM_BUF_SIZE, 0);
	return 0;
}

static void offset_undo(struct nmport_cleanup_d *c, struct nmport_d *d)
{
	struct offset_cleanup *o = (struct offset_cleanup *)c;

	nmreq_remove_option(&d->hdr, &o->opt.nro_opt);
	nmctx_free(d->ctx, o);
}

int nmport_offset(struct nmport_d *d, uint64_t initial, uint64_t maxoff, uint64_t bits,
		  uint64_t mingap)
{
	struct offset_cleanup *o = port_alloc(d, sizeof(*o));

	if (!o)
		return -1;
	o->opt.nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS;
	o->opt.nro_initial_offset = initial;
	o->opt.nro_max_offset = maxoff;
	o->opt.nro_offset_bits = (uint32_t)bits;
	o->opt.nro_min_gap = mingap;
	nmreq_push_option(&d->hdr, &o->opt.nro_opt);
	port_push_cleanup(d, &o->up, offset_undo);
	return 0;
}

enum { OFFSET_INITIAL, OFFSET_BITS };

static int parse_offset(struct nmreq_parse_ctx *c)
{
	uint64_t initial = value(c, OFFSET_INITIAL, 0);

	return nmport_offset(c->token, initial, initial, value(c, OFFSET_BITS, 0), 0);
}

#define DEFAULT_KEY (NMREQ_OPTK_DEFAULT | NMREQ_OPTK_MUSTSET)

/* The only thing that changes is the flag "disabled", atomically. */
static struct nmreq_opt_parser options[] = {
	{
		.prefix = "share",
		.parse = parse_share,
		.default_key = SHARE_PORT,
		.nr_keys = 1,
		.next = &options[1],
		.keys = {{"port", SHARE_PORT, DEFAULT_KEY}},
	},
	{
		.prefix = "conf",
		.parse = parse_conf,
		.default_key = -1,
		.nr_keys = 9,
		.next = &options[2],
		.keys = {{"rings", CONF_RINGS, 0},
			 {"host_rings", CONF_HOST_RINGS, 0},
			 {"slots", CONF_SLOTS, 0},
			 {"tx_rings", CONF_TX_RINGS, 0},
			 {"rx_rings", CONF_RX_RINGS, 0},
			 {"host_tx_rings", CONF_HOST_TX_RINGS, 0},
			 {"host_rx_rings", CONF_HOST_RX_RINGS, 0},
			 {"tx_slots", CONF_TX_SLOTS, 0},
			 {"rx_slots", CONF_RX_SLOTS, 0}},
	},
	{
		.prefix = "extmem",
		.parse = parse_extmem,
		.default_key = EXTMEM_FILE,
		.nr_keys = 7,
		.next = &options[3],
		.keys = {{"file", EXTMEM_FILE, DEFAULT_KEY},
			 {"if_num", EXTMEM_IF_NUM, 0},
			 {"if_size", EXTMEM_IF_SIZE, 0},
			 {"ring_num", EXTMEM_RING_NUM, 0},
			 {"ring_size", EXTMEM_RING_SIZE, 0},
			 {"buf_num", EXTMEM_BUF_NUM, 0},
			 {"buf_size", EXTMEM_BUF_SIZE, 0}},
	},
	{
		.prefix = "offset",
		.parse = parse_offset,
		.default_key = OFFSET_INITIAL,
		.nr_keys = 2,
		.flags = NMREQ_OPTF_DISABLED,
		.keys = {{"initial", OFFSET_INITIAL, DEFAULT_KEY}, {"bits", OFFSET_BITS, 0}},
	},
};

struct nmreq_opt_parser *port_options(void)
{
	return options;
}

static struct nmreq_opt_parser *find_option(const char *opt)
{
	struct nmreq_opt_parser *p = options;

	while (p && strcmp(p->prefix, opt) != 0)
		p = p->next;
	return p;
}

void nmport_disable_option(const char *opt)
{
	struct nmreq_opt_parser *p = find_option(opt);

	if (p)
		__atomic_fetch_or(&p->flags, NMREQ_OPTF_DISABLED, __ATOMIC_RELAXED);
}

int nmport_enable_option(const char *opt)
{
	struct nmreq_opt_parser *p = find_option(opt);

	if (!p) {
		errno = EOPNOTSUPP;
		return -1;
	}
	__atomic_fetch_and(&p->flags, ~NMREQ_OPTF_DISABLED, __ATOMIC_RELAXED);
	return 0;
}
