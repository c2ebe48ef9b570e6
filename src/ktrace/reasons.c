/* SPDX-License-Identifier: BSD-2-Clause */
#include "ktrace/reasons.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/err.h"

#define ENUM_NAME   "skb_drop_reason"
#define PREFIX      "SKB_DROP_REASON_"
#define REASONS_MAX 4096u
#define PART_SHIFT  16 /* the upper half says whose reason it is; 0 = the network core's */

struct reasons {
	size_t n;
	char (*names)[64]; /* by number */
};

static void take(struct reasons *r, const struct btf *btf, const struct btf_enum *e)
{
	const char *name = btf__name_by_offset(btf, e->name_off);

	if (!name || e->val < 0 || (uint32_t)e->val >= r->n)
		return;
	if (strncmp(name, PREFIX, strlen(PREFIX)) == 0)
		name += strlen(PREFIX);
	snprintf(r->names[e->val], sizeof(r->names[0]), "%s", name);
}

static int fill(struct reasons *r, const struct btf *btf)
{
	const int id = btf__find_by_name_kind(btf, ENUM_NAME, BTF_KIND_ENUM);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	if (!t)
		return -ENOENT;
	r->n = btf_vlen(t) < REASONS_MAX ? btf_vlen(t) + 1u : REASONS_MAX;
	r->names = calloc(r->n, sizeof(*r->names));
	if (!r->names)
		return -ENOMEM;
	for (uint32_t i = 0; i < btf_vlen(t); i++)
		take(r, btf, btf_enum(t) + i);
	return 0;
}

int reasons_read(struct reasons **ret)
{
	struct reasons *r = calloc(1, sizeof(*r));
	struct btf *btf;
	int err;

	if (!r)
		return error_origin(-ENOMEM);
	btf = btf__load_vmlinux_btf();
	err = btf ? fill(r, btf) : -errno;
	btf__free(btf);
	if (err) {
		reasons_free(r);
		return error_origin(err);
	}
	*ret = r;
	return 0;
}

struct reasons *reasons_free(struct reasons *r)
{
	if (!r)
		return NULL;
	free(r->names);
	free(r);
	return NULL;
}

const char *reasons_name(const struct reasons *r, uint32_t reason, char *buf, size_t size)
{
	const uint32_t part = reason >> PART_SHIFT;

	if (part == 0 && r && reason < r->n && r->names[reason][0])
		snprintf(buf, size, "%s", r->names[reason]);
	else if (part == 0)
		snprintf(buf, size, "reason %u", reason);
	else
		snprintf(buf, size, "reason %u of part %u", reason & ((1u << PART_SHIFT) - 1),
			 part);
	return buf;
}
