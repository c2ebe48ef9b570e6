/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NIOCCTRL as the module takes it: which errors come before which, what is copied back and when
 * (the manual's "Requests"), and the older ioctls, translated to it. Pointers come from the
 * program: they are read and written by system calls on this process, which answer EFAULT.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/nmdev.h"
#include "net/netmap.h"
#include "wire/attach.h"

#define N_OPTIONS (NETMAP_REQ_MAXSIZE / sizeof(struct nmreq_option))

struct option {
	uint64_t at; /* the program's address */
	struct nmreq_option h;
	uint32_t size;   /* bytes behind h */
	uint32_t offset; /* of them in nmctl.options */
};

struct ctl {
	struct nmreq_header h;
	struct nmctl q;
	struct option options[N_OPTIONS];
	uint32_t n_options;
};

/* Where the kernel forbids this (a sandbox), a bad pointer is a SIGSEGV. */
static int copy_in(void *to, uint64_t from, size_t n)
{
	struct iovec l = {to, n}, r = {(void *)(uintptr_t)from, n};
	ssize_t got;

	if (!from)
		return EFAULT;
	got = process_vm_readv(getpid(), &l, 1, &r, 1, 0);
	if (got < 0 && errno != EFAULT) {
		memcpy(to, r.iov_base, n);
		got = (ssize_t)n;
	}
	return got == (ssize_t)n ? 0 : EFAULT;
}

static int copy_out(uint64_t to, const void *from, size_t n)
{
	struct iovec l = {(void *)from, n}, r = {(void *)(uintptr_t)to, n};
	ssize_t put = process_vm_writev(getpid(), &l, 1, &r, 1, 0);

	if (put < 0 && errno != EFAULT) {
		memcpy(r.iov_base, from, n);
		put = (ssize_t)n;
	}
	return put == (ssize_t)n ? 0 : EFAULT;
}

uint32_t nmctl_body_size(uint16_t type)
{
	static const uint8_t sizes[] = {
		[NETMAP_REQ_REGISTER] = sizeof(struct nmreq_register),
		[NETMAP_REQ_PORT_INFO_GET] = sizeof(struct nmreq_port_info_get),
		[NETMAP_REQ_VALE_ATTACH] = sizeof(struct nmreq_vale_attach),
		[NETMAP_REQ_VALE_DETACH] = sizeof(struct nmreq_vale_detach),
		[NETMAP_REQ_VALE_LIST] = sizeof(struct nmreq_vale_list),
		[NETMAP_REQ_PORT_HDR_SET] = sizeof(struct nmreq_port_hdr),
		[NETMAP_REQ_PORT_HDR_GET] = sizeof(struct nmreq_port_hdr),
		[NETMAP_REQ_VALE_NEWIF] = sizeof(struct nmreq_vale_newif),
		[NETMAP_REQ_VALE_POLLING_ENABLE] = sizeof(struct nmreq_vale_polling),
		[NETMAP_REQ_VALE_POLLING_DISABLE] = sizeof(struct nmreq_vale_polling),
		[NETMAP_REQ_POOLS_INFO_GET] = sizeof(struct nmreq_pools_info),
		[NETMAP_REQ_SYNC_KLOOP_START] = sizeof(struct nmreq_sync_kloop_start),
		[NETMAP_REQ_CSB_ENABLE] = 0,
	};

	return type < array_size(sizes) ? sizes[type] : 0;
}

/* With the header; 0: a size that cannot be. */
static uint64_t option_size(const struct nmreq_option *o)
{
	switch (o->nro_reqtype) {
	case NETMAP_REQ_OPT_EXTMEM:
		return sizeof(struct nmreq_opt_extmem);
	case NETMAP_REQ_OPT_CSB:
		return sizeof(struct nmreq_opt_csb);
	case NETMAP_REQ_OPT_OFFSETS:
		return sizeof(struct nmreq_opt_offsets);
	case NETMAP_REQ_OPT_SYNC_KLOOP_MODE:
		return sizeof(struct nmreq_opt_sync_kloop_mode);
	case NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS:
		return o->nro_size < sizeof(struct nmreq_opt_sync_kloop_eventfds) ? 0 : o->nro_size;
	default:
		return sizeof(*o);
	}
}

/* The list of options, with a bound on its length, so a circle ends. */
static int read_options(struct ctl *c)
{
	uint64_t total = c->q.body_size, at = c->h.nr_options;
	uint32_t used = 0;
	int err;

	for (; at; at = c->options[c->n_options++].h.nro_next) {
		struct option *o = &c->options[c->n_options];
		struct attach_option *w = (void *)(c->q.options + used);
		uint64_t size;

		if (c->n_options == N_OPTIONS)
			return EMSGSIZE;
		err = copy_in(&o->h, at, sizeof(o->h));
		if (err)
			return err;
		size = option_size(&o->h);
		total += size;
		if (size == 0 || total > NETMAP_REQ_MAXSIZE)
			return size ? EMSGSIZE : EINVAL;
		o->at = at;
		o->size = (uint32_t)(size - sizeof(o->h));
		o->offset = used + sizeof(*w);
		*w = (struct attach_option){
			.reqtype = o->h.nro_reqtype, .status = EOPNOTSUPP, .size = o->size};
		err = o->size ? copy_in(w + 1, at + sizeof(o->h), o->size) : 0;
		if (err)
			return err;
		used += (uint32_t)sizeof(*w) + (o->size + 7) / 8 * 8;
	}
	c->q.options_size = used;
	return 0;
}

static struct attach_option *wire_option(struct ctl *c, const struct option *o)
{
	return (void *)(c->q.options + o->offset - sizeof(struct attach_option));
}

/* Type 0, and each type at most once. */
static int check_options(struct ctl *c)
{
	int err = 0;

	for (uint32_t i = 0; i < c->n_options; i++) {
		const uint32_t type = c->options[i].h.nro_reqtype;

		if (type == 0) {
			wire_option(c, &c->options[i])->status = EINVAL;
			err = EINVAL;
		}
		for (uint32_t j = 0; j < i && type < NETMAP_REQ_OPT_MAX; j++) {
			if (c->options[j].h.nro_reqtype != type)
				continue;
			wire_option(c, &c->options[i])->status = EINVAL;
			wire_option(c, &c->options[j])->status = EINVAL;
			err = EINVAL;
		}
	}
	return err;
}

/* Statuses always, contents of those that were used. */
static int write_options(struct ctl *c)
{
	int err = 0;

	for (uint32_t i = 0; i < c->n_options; i++) {
		struct option *o = &c->options[i];

		o->h.nro_status = wire_option(c, o)->status;
		if (copy_out(o->at, &o->h, sizeof(o->h)) ||
		    (o->h.nro_status == 0 && o->size &&
		     copy_out(o->at + sizeof(o->h), c->q.options + o->offset, o->size)))
			err = EFAULT;
	}
	return err;
}

int nmctl_run(struct nmdev *d, int fd, struct nmctl *q)
{
	int err;

	if (q->type < NETMAP_REQ_REGISTER || q->type > NETMAP_REQ_CSB_ENABLE)
		return EINVAL;
	if (d->gone)
		return EIO;
	if (q->type == NETMAP_REQ_REGISTER && nmdev_registered(d, fd))
		return EBUSY;
	if (q->type == NETMAP_REQ_REGISTER)
		nmdev_announce();
	err = nmwire_request(d, fd, q);
	if (err == EBUSY) /* perhaps because another process has registered it */
		d->asked = false;
	return err;
}

/* After version and name; what has to be undone is nothing. */
static int take_request(struct nmdev *d, int fd, struct ctl *c)
{
	struct nmreq_header *h = &c->h;
	int err, late;

	c->q.body_size = nmctl_body_size(h->nr_reqtype);
	if (h->nr_reserved || !c->q.body_size != !h->nr_body)
		return EINVAL;
	err = read_options(c);
	if (err)
		return err;
	err = c->q.body_size ? copy_in(c->q.body, h->nr_body, c->q.body_size) : 0;
	if (!err)
		err = check_options(c);
	if (!err)
		err = nmctl_run(d, fd, &c->q);
	late = write_options(c);
	if (!err && !late && c->q.body_size)
		late = copy_out(h->nr_body, c->q.body, c->q.body_size);
	return err ? err : late;
}

int nmdev_ctl(struct nmdev *d, int fd, void *arg)
{
	struct ctl *c;
	int err, saved = errno;

	if (!arg)
		return EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return ENOMEM;
	err = copy_in(&c->h, (uintptr_t)arg, sizeof(c->h));
	if (!err && (c->h.nr_version < NETMAP_MIN_API || c->h.nr_version > NETMAP_MAX_API))
		err = EINVAL;
	c->h.nr_name[sizeof(c->h.nr_name) - 1] = '\0';
	c->q.version = c->h.nr_version;
	c->q.type = c->h.nr_reqtype;
	memcpy(c->q.name, c->h.nr_name, sizeof(c->q.name));
	if (!err)
		err = take_request(d, fd, c);
	/* A listing answers with a name. */
	if (!err && c->h.nr_reqtype == NETMAP_REQ_VALE_LIST)
		err = copy_out((uintptr_t)arg + offsetof(struct nmreq_header, nr_name), c->q.name,
			       sizeof(c->q.name));
	free(c);
	errno = saved;
	return err;
}

/* The older structure's rings to a mode. */
static uint32_t legacy_mode(const struct nmreq *r)
{
	if (r->nr_flags & NR_REG_MASK)
		return r->nr_flags & NR_REG_MASK;
	if (r->nr_ringid & NETMAP_HW_RING)
		return NR_REG_ONE_NIC;
	return r->nr_ringid & NETMAP_SW_RING ? NR_REG_SW : NR_REG_ALL_NIC;
}

static void legacy_register(const struct nmreq *r, char *name, size_t size,
			    struct nmreq_register *reg)
{
	uint32_t mode = legacy_mode(r);
	char pipe[16];

	*reg = (struct nmreq_register){
		.nr_tx_slots = r->nr_tx_slots,
		.nr_rx_slots = r->nr_rx_slots,
		.nr_tx_rings = r->nr_tx_rings,
		.nr_rx_rings = r->nr_rx_rings,
		.nr_mem_id = r->nr_arg2,
		.nr_ringid = r->nr_ringid & NETMAP_RING_MASK,
		.nr_mode = mode,
		.nr_extra_bufs = r->nr_arg3,
		.nr_flags = r->nr_flags & ~(uint64_t)NR_REG_MASK,
	};
	if (r->nr_ringid & NETMAP_NO_TX_POLL)
		reg->nr_flags |= NR_NO_TX_POLL;
	if (r->nr_ringid & NETMAP_DO_RX_POLL)
		reg->nr_flags |= NR_DO_RX_POLL;
	if (mode != NR_REG_PIPE_MASTER && mode != NR_REG_PIPE_SLAVE)
		return;
	snprintf(pipe, sizeof(pipe), "%c%u", mode == NR_REG_PIPE_MASTER ? '{' : '}',
		 (unsigned int)reg->nr_ringid);
	strncat(name, pipe, size - strlen(name) - 1);
	reg->nr_mode = NR_REG_ALL_NIC;
	reg->nr_ringid = 0;
}

/* Which request an older one is; 0 and *err where there is none. */
static uint16_t legacy_type(const struct nmreq *r, uint32_t cmd, int *err)
{
	*err = EINVAL;
	if (cmd == (uint32_t)NIOCGINFO)
		return r->nr_cmd == NETMAP_BDG_LIST ? NETMAP_REQ_VALE_LIST
						    : NETMAP_REQ_PORT_INFO_GET;
	switch (r->nr_cmd) {
	case 0:
		return NETMAP_REQ_REGISTER;
	case NETMAP_BDG_ATTACH:
		return NETMAP_REQ_VALE_ATTACH;
	case NETMAP_BDG_DETACH:
		return NETMAP_REQ_VALE_DETACH;
	case NETMAP_BDG_NEWIF:
		return NETMAP_REQ_VALE_NEWIF;
	case NETMAP_BDG_DELIF:
		return NETMAP_REQ_VALE_DELIF;
	case NETMAP_BDG_VNET_HDR:
		return NETMAP_REQ_PORT_HDR_SET;
	case NETMAP_VNET_HDR_GET:
		return NETMAP_REQ_PORT_HDR_GET;
	case NETMAP_BDG_POLLING_ON:
		return NETMAP_REQ_VALE_POLLING_ENABLE;
	case NETMAP_BDG_POLLING_OFF:
		return NETMAP_REQ_VALE_POLLING_DISABLE;
	case NETMAP_PT_HOST_CREATE:
	case NETMAP_PT_HOST_DELETE:
		*err = ENOMEM;
		return 0;
	default:
		return 0;
	}
}

union body {
	struct nmreq_register reg;
	struct nmreq_port_info_get info;
	struct nmreq_vale_attach attach;
	struct nmreq_vale_list list;
	struct nmreq_port_hdr hdr;
	struct nmreq_vale_newif newif;
	struct nmreq_vale_polling polling;
	uint8_t bytes[64];
};

static void legacy_body(const struct nmreq *r, struct nmctl *q, union body *b)
{
	switch (q->type) {
	case NETMAP_REQ_REGISTER:
		legacy_register(r, q->name, sizeof(q->name), &b->reg);
		break;
	case NETMAP_REQ_VALE_ATTACH:
		legacy_register(r, q->name, sizeof(q->name), &b->attach.reg);
		b->attach.reg.nr_mode =
			r->nr_arg1 & NETMAP_BDG_HOST ? NR_REG_NIC_SW : NR_REG_ALL_NIC;
		break;
	case NETMAP_REQ_PORT_INFO_GET:
		b->info.nr_mem_id = r->nr_arg2;
		break;
	case NETMAP_REQ_VALE_LIST:
		b->list.nr_bridge_idx = r->nr_arg1;
		b->list.nr_port_idx = r->nr_arg2;
		break;
	case NETMAP_REQ_PORT_HDR_SET:
		b->hdr.nr_hdr_len = r->nr_arg1;
		break;
	case NETMAP_REQ_VALE_NEWIF:
		b->newif = (struct nmreq_vale_newif){r->nr_tx_slots, r->nr_rx_slots, r->nr_tx_rings,
						     r->nr_rx_rings, r->nr_arg2,     0};
		break;
	case NETMAP_REQ_VALE_POLLING_ENABLE:
	case NETMAP_REQ_VALE_POLLING_DISABLE:
		b->polling.nr_mode = r->nr_flags & NR_REG_MASK ? NETMAP_POLLING_MODE_MULTI_CPU
							       : NETMAP_POLLING_MODE_SINGLE_CPU;
		b->polling.nr_first_cpu_id = r->nr_ringid & NETMAP_RING_MASK;
		b->polling.nr_num_polling_cpus = r->nr_arg1;
		break;
	default:
		break;
	}
}

/* Only where it succeeded. Flags, ring id and, except in lists, the name are not written. */
static void legacy_results(struct nmreq *r, const struct nmctl *q, const union body *b)
{
	switch (q->type) {
	case NETMAP_REQ_REGISTER:
		r->nr_offset = (uint32_t)b->reg.nr_offset;
		r->nr_memsize = (uint32_t)b->reg.nr_memsize;
		r->nr_tx_slots = b->reg.nr_tx_slots;
		r->nr_rx_slots = b->reg.nr_rx_slots;
		r->nr_tx_rings = b->reg.nr_tx_rings;
		r->nr_rx_rings = b->reg.nr_rx_rings;
		r->nr_arg2 = b->reg.nr_mem_id;
		r->nr_arg3 = b->reg.nr_extra_bufs;
		break;
	case NETMAP_REQ_PORT_INFO_GET:
		r->nr_memsize = (uint32_t)b->info.nr_memsize;
		r->nr_tx_slots = b->info.nr_tx_slots;
		r->nr_rx_slots = b->info.nr_rx_slots;
		r->nr_tx_rings = b->info.nr_tx_rings;
		r->nr_rx_rings = b->info.nr_rx_rings;
		r->nr_arg2 = b->info.nr_mem_id;
		break;
	case NETMAP_REQ_VALE_ATTACH:
		r->nr_arg2 = b->attach.reg.nr_mem_id;
		break;
	case NETMAP_REQ_VALE_LIST:
		memcpy(r->nr_name, q->name, sizeof(r->nr_name) - 1);
		r->nr_arg1 = b->list.nr_bridge_idx;
		r->nr_arg2 = (uint16_t)b->list.nr_port_idx;
		break;
	case NETMAP_REQ_PORT_HDR_GET:
	case NETMAP_REQ_PORT_HDR_SET:
		r->nr_arg1 = (uint16_t)b->hdr.nr_hdr_len;
		break;
	default:
		break;
	}
}

int nmdev_legacy(struct nmdev *d, int fd, uint32_t cmd, void *arg)
{
	struct nmctl q = {.version = NETMAP_API};
	union body b = {0};
	struct nmreq r;
	int err, saved = errno;

	if (!arg)
		return EINVAL;
	err = copy_in(&r, (uintptr_t)arg, sizeof(r));
	if (err)
		return err;
	if (r.nr_version < NETMAP_API)
		return EINVAL;
	q.type = legacy_type(&r, cmd, &err);
	if (!q.type)
		return err;
	memcpy(q.name, r.nr_name, sizeof(r.nr_name) - 1);
	legacy_body(&r, &q, &b);
	q.body_size = nmctl_body_size(q.type);
	memcpy(q.body, &b, q.body_size);
	err = nmctl_run(d, fd, &q);
	if (!err) {
		memcpy(&b, q.body, sizeof(b));
		legacy_results(&r, &q, &b);
		err = copy_out((uintptr_t)arg, &r, sizeof(r));
	}
	errno = saved;
	return err;
}
