/* SPDX-License-Identifier: BSD-2-Clause */
/* Options of requests. Only OPT_OFFSETS, with REGISTER, is served. */
#include <errno.h>
#include <string.h>

#include "daemon/endpoint_internal.h"

int endpoint_options_check(struct attach_msg *m)
{
	int r = 0;

	for (uint32_t i = 0; i < m->n_options; i++) {
		struct attach_opt *o = &m->options[i];

		o->status = EOPNOTSUPP;
		if (o->reqtype == 0) {
			o->status = EINVAL;
			r = -EINVAL;
		}
		for (uint32_t k = 0; k < i; k++)
			if (m->options[k].reqtype == o->reqtype) {
				m->options[k].status = o->status = EINVAL;
				r = -EINVAL;
			}
	}
	return r;
}

static struct attach_opt *find(struct attach_msg *m, uint32_t type)
{
	for (uint32_t i = 0; i < m->n_options; i++)
		if (m->options[i].reqtype == type)
			return &m->options[i];
	return NULL;
}

const struct attach_opt *endpoint_options_find(const struct attach_msg *m, uint32_t type)
{
	return find((struct attach_msg *)m, type);
}

/* 0 or -EINVAL. */
static int parse_offsets(const struct nmreq_opt_offsets *o, uint32_t buf_size,
			 struct nm_offsets *ret)
{
	const uint32_t bits = o->nro_offset_bits;
	const uint64_t mask = bits == 0 || bits == 64 ? UINT64_MAX : (1ULL << (bits & 63)) - 1;

	if (bits > 64 || o->nro_max_offset > buf_size || (o->nro_max_offset & ~mask) ||
	    o->nro_initial_offset > o->nro_max_offset ||
	    o->nro_min_gap > buf_size - o->nro_max_offset)
		return -EINVAL;
	*ret = (struct nm_offsets){
		.mask = mask,
		.initial = o->nro_initial_offset,
		.max = (uint32_t)o->nro_max_offset,
		.gap = (uint32_t)o->nro_min_gap,
	};
	return 0;
}

/* Bytes of the option behind its header. */
#define OFFSETS_SIZE (sizeof(struct nmreq_opt_offsets) - sizeof(struct nmreq_option))

int endpoint_options_register(struct nm_client *c, struct attach_msg *m)
{
	const uint32_t buf_size = c->es->d->region.layout.params.buf_size;
	struct attach_opt *opt = find(m, NETMAP_REQ_OPT_OFFSETS);
	struct nmreq_opt_offsets o = {0};

	c->offsets = (struct nm_offsets){0};
	if (opt) {
		if (opt->size == OFFSETS_SIZE)
			memcpy((uint8_t *)&o + sizeof(o.nro_opt), opt->data, OFFSETS_SIZE);
		if (opt->size != OFFSETS_SIZE || parse_offsets(&o, buf_size, &c->offsets)) {
			opt->status = EINVAL;
			return -EINVAL;
		}
	}
	if (m->n_options == (opt != NULL))
		return 0;
	if (opt) /* that one was all right */
		opt->status = 0;
	return -EOPNOTSUPP;
}

void endpoint_options_busy(struct attach_msg *m)
{
	struct attach_opt *opt = find(m, NETMAP_REQ_OPT_OFFSETS);

	if (opt)
		opt->status = EBUSY;
}

void endpoint_options_done(struct nm_client *c, struct attach_msg *m, struct nm_reply *ret)
{
	struct attach_opt *opt = find(m, NETMAP_REQ_OPT_OFFSETS);
	struct nmreq_opt_offsets *o = &ret->offsets;

	if (!opt)
		return;
	opt->status = 0;
	memcpy((uint8_t *)o + sizeof(o->nro_opt), opt->data, OFFSETS_SIZE);
	o->nro_max_offset = c->offsets.max;
	o->nro_tx_align = 0;
	opt->answer = (const uint8_t *)o + sizeof(o->nro_opt);
}
