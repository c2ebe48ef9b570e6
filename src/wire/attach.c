/* SPDX-License-Identifier: BSD-2-Clause */
#include "wire/attach.h"

#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "base/err.h"

static size_t padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

/* The list of options in exactly len bytes. */
static int parse_options(const uint8_t *p, size_t len, struct attach_msg *ret)
{
	while (len > 0) {
		struct attach_opt *o = &ret->options[ret->n_options];
		struct attach_option h;

		if (len < sizeof(h))
			return error_origin(-EPROTO);
		memcpy(&h, p, sizeof(h));
		p += sizeof(h);
		len -= sizeof(h);
		if (h.size > len || padded(h.size) > len)
			return error_origin(-EPROTO);
		*o = (struct attach_opt){h.reqtype, 0, h.size, p, NULL};
		ret->n_options++;
		p += padded(h.size);
		len -= padded(h.size);
	}
	return 0;
}

int attach_parse(const void *packet, size_t len, struct attach_msg *ret)
{
	const uint8_t *p = packet;
	struct attach_request *h = &ret->h;

	memset(ret->body, 0, sizeof(ret->body));
	ret->n_options = 0;
	if (len < sizeof(*h))
		return error_origin(-EPROTO);
	memcpy(h, p, sizeof(*h));
	p += sizeof(*h);
	len -= sizeof(*h);
	if (h->magic != ATTACH_MAGIC || h->body_size > ATTACH_BODY_MAX ||
	    h->options_size > ATTACH_OPTIONS_MAX || len != (size_t)h->body_size + h->options_size)
		return error_origin(-EPROTO);
	if (!memchr(h->name, 0, sizeof(h->name)) || !memchr(h->program, 0, sizeof(h->program)))
		return error_origin(-EPROTO);
	memcpy(ret->body, p, h->body_size);
	return parse_options(p + h->body_size, h->options_size, ret);
}

size_t attach_build(uint8_t *buf, struct attach_reply *h, const void *body,
		    const struct attach_msg *m, const struct attach_ring *rings)
{
	uint8_t *p = buf + sizeof(*h);

	if (h->body_size)
		memcpy(p, body, h->body_size);
	p += h->body_size;
	for (uint32_t i = 0; i < m->n_options; i++) {
		const struct attach_opt *from = &m->options[i];
		const struct attach_option o = {from->reqtype, from->status, from->size, 0};

		memcpy(p, &o, sizeof(o));
		p += sizeof(o);
		memset(p, 0, padded(o.size));
		memcpy(p, from->answer ? from->answer : from->data, o.size);
		p += padded(o.size);
	}
	h->magic = ATTACH_MAGIC;
	h->options_size = (uint32_t)(p - buf - sizeof(*h) - h->body_size);
	memcpy(buf, h, sizeof(*h));
	if (h->n_rings)
		memcpy(p, rings, h->n_rings * sizeof(*rings));
	return (size_t)(p - buf) + h->n_rings * sizeof(*rings);
}
