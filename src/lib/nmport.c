/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libnetmap: ports, from a name to rings that can be used. The calls on "/dev/netmap" are plain
 * libc calls: in this library they arrive at our own device, with netmap's kernel module loaded and
 * no daemon about they would work on that.
 *
 * What closes or undoes keeps errno: programs look at it after nmport_close().
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define NETMAP_WITH_LIBS /* nm_fill_slots_() and nm_frame_fits_() */
#include "lib/nmport_internal.h"
#include "libnetmap.h"

void *port_alloc(struct nmport_d *d, size_t size)
{
	void *p = nmctx_malloc(d->ctx, size);

	if (!p) {
		nmctx_ferror(d->ctx, "%s: out of memory", d->hdr.nr_name);
		errno = ENOMEM;
		return NULL;
	}
	return memset(p, 0, size);
}

void port_push_cleanup(struct nmport_d *d, struct nmport_cleanup_d *c,
		       void (*undo)(struct nmport_cleanup_d *, struct nmport_d *))
{
	c->undo = undo;
	c->next = d->clist;
	d->clist = c;
}

static void cleanup_down_to(struct nmport_d *d, const struct nmport_cleanup_d *end)
{
	int saved = errno;

	while (d->clist && d->clist != end) {
		struct nmport_cleanup_d *c = d->clist;

		d->clist = c->next;
		c->undo(c, d);
	}
	errno = saved;
}

void nmport_do_cleanup(struct nmport_d *d)
{
	cleanup_down_to(d, NULL);
}

static struct nmport_d *port_new(struct nmctx *ctx)
{
	struct nmport_d *d = nmctx_malloc(ctx, sizeof(*d));

	if (!d) {
		nmctx_ferror(ctx, "port: out of memory");
		errno = ENOMEM;
		return NULL;
	}
	memset(d, 0, sizeof(*d));
	d->ctx = ctx;
	d->fd = -1;
	return d;
}

struct nmport_d *nmport_new(void)
{
	return port_new(nmctx_get());
}

void nmport_delete(struct nmport_d *d)
{
	int saved = errno;

	if (d)
		nmctx_free(d->ctx, d);
	errno = saved;
}

int nmport_parse(struct nmport_d *d, const char *portspec)
{
	const struct nmport_cleanup_d *clist = d->clist;
	struct nmreq_register reg = d->reg;
	struct nmreq_header hdr = d->hdr;
	const char *rest = portspec;

	nmreq_header_init(&d->hdr, NETMAP_REQ_REGISTER, &d->reg);
	d->hdr.nr_options = hdr.nr_options; /* a program may have pushed some */
	if (nmreq_header_decode(&rest, &d->hdr, d->ctx) == 0 &&
	    nmreq_register_decode(&rest, &d->reg, d->ctx) == 0 &&
	    nmreq_options_decode(rest, port_options(), d, d->ctx) == 0)
		return 0;
	cleanup_down_to(d, clist);
	d->hdr = hdr;
	d->reg = reg;
	return -1;
}

void nmport_undo_parse(struct nmport_d *d)
{
	nmport_do_cleanup(d);
	memset(&d->reg, 0, sizeof(d->reg));
	memset(&d->hdr, 0, sizeof(d->hdr));
}

struct nmport_d *nmport_prepare(const char *portspec)
{
	struct nmport_d *d = nmport_new();

	if (!d)
		return NULL;
	if (nmport_parse(d, portspec) < 0) {
		nmport_delete(d);
		return NULL;
	}
	return d;
}

void nmport_undo_prepare(struct nmport_d *d)
{
	if (!d)
		return;
	nmport_undo_parse(d);
	nmport_delete(d);
}

static const char *hint(int err)
{
	switch (err) {
	case ENXIO:
		return ": there is no such interface";
	case EBUSY:
		return ": somebody has these rings for himself";
	case EINVAL:
		return ": no such ring, mode or memory id for this port";
	case ENOMEM:
		return ": the region is full, ask for fewer or smaller rings";
	default:
		return "";
	}
}

/* Says why the device refused; options first, they are the more precise. Keeps errno. */
static void tell_refusal(struct nmport_d *d)
{
	int saved = errno;
	struct nmreq_option *o;
	int n = 0;

	nmreq_foreach_option(&d->hdr, o)
	{
		if (!o->nro_status)
			continue;
		errno = (int)o->nro_status;
		nmctx_ferror(d->ctx, "%s: option %s refused: %m", d->hdr.nr_name,
			     nmreq_option_name(o->nro_reqtype));
		n++;
	}
	errno = saved;
	if (n == 0)
		nmctx_ferror(d->ctx, "%s: cannot register: %m%s", d->hdr.nr_name, hint(saved));
}

int nmport_register(struct nmport_d *d)
{
	if (d->register_done) {
		nmctx_ferror(d->ctx, "%s: already registered", d->hdr.nr_name);
		errno = EINVAL;
		return -1;
	}
	d->fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	if (d->fd < 0) {
		nmctx_ferror(d->ctx, "%s: cannot open " NETMAP_DEVICE_NAME ": %m", d->hdr.nr_name);
		return -1;
	}
	d->hdr.nr_body = (uintptr_t)&d->reg;
	if (ioctl(d->fd, NIOCCTRL, &d->hdr) < 0) {
		tell_refusal(d);
		nmport_undo_register(d);
		return -1;
	}
	d->register_done = 1;
	return 0;
}

void nmport_undo_register(struct nmport_d *d)
{
	int saved = errno;

	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	d->register_done = 0;
	errno = saved;
}

/* The mapped region that d is in, or NULL. Under the lock. */
static struct nmem_d *find_region(const struct nmport_d *d)
{
	struct nmem_d *m = d->ctx->mem_descs;

	while (m &&
	       !(m->mem_id == d->reg.nr_mem_id && (m->is_extmem || m->size == d->reg.nr_memsize)))
		m = m->next;
	return m;
}

static int map_region(struct nmport_d *d, struct nmem_d *m)
{
	if (d->extmem) {
		m->mem = (void *)(uintptr_t)d->extmem->nro_usrptr;
		m->size = d->extmem->nro_info.nr_memsize;
		m->is_extmem = 1;
		return 0;
	}
	m->size = d->reg.nr_memsize;
	m->mem = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	if (m->mem != MAP_FAILED)
		return 0;
	nmctx_ferror(d->ctx, "%s: cannot map %zu bytes: %m", d->hdr.nr_name, m->size);
	return -1;
}

/* Finds or maps the region of d and takes a reference. Under the lock. */
static struct nmem_d *get_region(struct nmport_d *d)
{
	struct nmem_d *m = find_region(d);

	if (!m) {
		m = port_alloc(d, sizeof(*m));
		if (!m)
			return NULL;
		if (map_region(d, m) < 0) {
			int saved = errno;

			nmctx_free(d->ctx, m);
			errno = saved;
			return NULL;
		}
		m->mem_id = d->reg.nr_mem_id;
		m->next = d->ctx->mem_descs;
		if (m->next)
			m->next->prev = m;
		d->ctx->mem_descs = m;
	}
	m->refcount++;
	return m;
}

/* Gives the reference back. Under the lock. */
static void put_region(struct nmctx *ctx, struct nmem_d *m)
{
	if (--m->refcount > 0)
		return;
	if (m->prev)
		m->prev->next = m->next;
	else
		ctx->mem_descs = m->next;
	if (m->next)
		m->next->prev = m->prev;
	if (!m->is_extmem)
		munmap(m->mem, m->size);
	nmctx_free(ctx, m);
}

/* The first run of bound rings among n, whose offsets start at ofs. */
static void find_rings(const ssize_t *ofs, uint32_t n, uint16_t *ret_first, uint16_t *ret_last)
{
	uint32_t first = 0, end;

	while (first < n && !ofs[first])
		first++;
	for (end = first; end < n && ofs[end];)
		end++;
	*ret_first = (uint16_t)first;
	*ret_last = (uint16_t)(end - 1);
}

int nmport_mmap(struct nmport_d *d)
{
	uint32_t n_tx;

	if (d->mmap_done || !d->register_done) {
		nmctx_ferror(d->ctx, "%s: %s", d->hdr.nr_name,
			     d->mmap_done ? "already mapped" : "register before mapping");
		errno = EINVAL;
		return -1;
	}
	nmctx_lock(d->ctx);
	d->mem = get_region(d);
	nmctx_unlock(d->ctx);
	if (!d->mem)
		return -1;
	d->nifp = NETMAP_IF(d->mem->mem, d->reg.nr_offset);
	n_tx = d->nifp->ni_tx_rings + d->nifp->ni_host_tx_rings;
	find_rings(d->nifp->ring_ofs, n_tx, &d->first_tx_ring, &d->last_tx_ring);
	find_rings(d->nifp->ring_ofs + n_tx, d->nifp->ni_rx_rings + d->nifp->ni_host_rx_rings,
		   &d->first_rx_ring, &d->last_rx_ring);
	d->cur_tx_ring = d->first_tx_ring;
	d->cur_rx_ring = d->first_rx_ring;
	d->mmap_done = 1;
	return 0;
}

void nmport_undo_mmap(struct nmport_d *d)
{
	int saved = errno;

	if (!d->mmap_done)
		return;
	nmctx_lock(d->ctx);
	put_region(d->ctx, d->mem);
	nmctx_unlock(d->ctx);
	d->mem = NULL;
	d->nifp = NULL;
	d->first_tx_ring = d->last_tx_ring = d->cur_tx_ring = 0;
	d->first_rx_ring = d->last_rx_ring = d->cur_rx_ring = 0;
	d->mmap_done = 0;
	errno = saved;
}

int nmport_open_desc(struct nmport_d *d)
{
	if (nmport_register(d) < 0)
		return -1;
	if (nmport_mmap(d) == 0)
		return 0;
	nmport_undo_register(d);
	return -1;
}

void nmport_undo_open_desc(struct nmport_d *d)
{
	nmport_undo_mmap(d);
	nmport_undo_register(d);
}

struct nmport_d *nmport_open(const char *portspec)
{
	struct nmport_d *d = nmport_prepare(portspec);

	if (!d)
		return NULL;
	if (nmport_open_desc(d) < 0) {
		nmport_undo_prepare(d);
		return NULL;
	}
	return d;
}

void nmport_close(struct nmport_d *d)
{
	if (!d)
		return;
	nmport_undo_open_desc(d);
	nmport_undo_prepare(d);
}

struct nmport_d *nmport_clone(struct nmport_d *d)
{
	struct nmport_d *c = port_new(d->ctx);

	if (!c)
		return NULL;
	c->hdr = d->hdr;
	c->hdr.nr_options = 0;
	c->hdr.nr_body = (uintptr_t)&c->reg;
	c->reg = d->reg;
	return c;
}

int nmport_inject(struct nmport_d *d, const void *buf, size_t size)
{
	int n = d->last_tx_ring - d->first_tx_ring + 1;

	if (!d->mmap_done)
		return 0;
	for (int i = 0; i < n; i++) {
		struct netmap_ring *r = NETMAP_TXRING(d->nifp, d->cur_tx_ring);

		if (nm_frame_fits_(r, size)) {
			nm_fill_slots_(r, buf, size);
			return (int)size;
		}
		if (d->cur_tx_ring++ >= d->last_tx_ring)
			d->cur_tx_ring = d->first_tx_ring;
	}
	return 0;
}
