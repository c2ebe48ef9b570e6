/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/mirror_end.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "daemon/inspect.h"
#include "daemon/ports.h"
#include "sys/netlink.h"

struct mirror_end {
	struct ring_sink sink;
	struct vbridge *vb; /* among netmap ports */
	struct vport *vp;   /* of the bridge */
};

static struct mirror_end *end_of(struct ring_sink *s)
{
	return container_of(s, struct mirror_end, sink);
}

/* In the worker. */
static void put(struct ring_sink *s, struct frame *const *frames, uint32_t n)
{
	const struct mirror_end *end = end_of(s);

	if (end->vb->wb.inspect) {
		inspect_copy(end->vb->wb.inspect, frames, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		buf_put_one(worker_bufs(end->vb->w), frames[i]->buf);
}

struct vbridge *mirror_end_find(struct daemon *d, const char *name)
{
	list_for_each (i, &d->mirror_ends) {
		struct vbridge *vb = list_entry(i, struct vbridge, node);

		if (!strcmp(vb->name, name))
			return vb;
	}
	return NULL;
}

/* Other characters end the name in what programs open, or mean something else there. */
bool mirror_end_can_be_opened(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.')
			return false;
	return strncmp(name, "vale", 4) != 0;
}

static int check_device(struct daemon *d, const char *name, struct ctl_error *err)
{
	struct netlink_link l;

	if (netlink_get(d->nl, name, &l) != -ENODEV)
		return ctl_fail(err, CTL_E_DEV_BUSY,
				"netmap:%s: there is a device of that name, which programs would "
				"mean by it",
				name);
	return 0;
}

int mirror_end_add(struct vbridge *of, const char *name, struct vport **ret, struct ctl_error *err)
{
	struct mirror_end *end = calloc(1, sizeof(*end));
	struct port_request req = {.name = name, .driver = "ring", .end = end};
	int r;

	if (!end)
		return ctl_fail(err, CTL_E_INTERNAL, "netmap:%s: no memory", name);
	end->sink.put = put;
	req.sink = &end->sink;
	r = check_device(of->d, name, err);
	if (!r) {
		end->vb = bridges_new_end(of, name, &end->sink);
		r = end->vb ? ports_add(of, &req, &end->vp, err)
			    : ctl_fail(err, CTL_E_INTERNAL, "netmap:%s: no memory", name);
	}
	if (r) {
		mirror_end_free(end);
		return r;
	}
	*ret = end->vp;
	return 0;
}

void mirror_end_free(struct mirror_end *end)
{
	if (end && end->vb)
		bridges_close(end->vb);
	free(end);
}

void mirror_end_follow(struct vbridge *vb, bool open)
{
	struct vport *vp = end_of(vb->sink)->vp;

	if (vp)
		ports_set_up(vp, open);
}
