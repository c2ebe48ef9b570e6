/* SPDX-License-Identifier: BSD-2-Clause */
/* Bridges and devices of the kernel that the configuration adopts. */
#include <string.h>

#include "base/log.h"
#include "daemon/adopt.h"
#include "daemon/config.h"
#include "daemon/diversion.h"
#include "daemon/plan_internal.h"

LOG_MODULE("daemon/plan_adopt");

/* "tc", or what the text says. */
static const char *via_of(const json_t *a)
{
	const char *via = plan_text(a, "via");

	return via ? via : "tc";
}

int plan_adopt_one(struct plan *p, const json_t *a)
{
	const char *name = plan_text(a, "name");
	const json_t *before = config_adopt(p->old, name);
	struct vbridge *vb = bridges_find(p->d, name);
	struct netlink_link l;
	int r;

	if (!vb && netlink_get(p->d->nl, name, &l)) {
		if (!before)
			log_info("config: %s: not there yet, it is adopted when it appears", name);
		return 0;
	}
	if (!vb || !vb->adopted || vb->adopted->by_open) {
		r = plan_step(p, a, "adopt.add",
			      json_pack("{s:s, s:s}", "bridge", name, "via", via_of(a)));
		if (r)
			return r;
		if (!vb)
			plan_push_undo(p, "adopt.release", json_pack("{s:s}", "bridge", name));
		plan_note(p, json_sprintf("adopt %s", name));
	} else if (before && strcmp(via_of(before), via_of(a))) {
		r = plan_step(p, a, "adopt.add",
			      json_pack("{s:s, s:s}", "bridge", name, "via", via_of(a)));
		if (r)
			return r;
		plan_push_undo(p, "adopt.add",
			       json_pack("{s:s, s:s}", "bridge", name, "via", via_of(before)));
		plan_note(p, json_sprintf("adopt %s via %s", name, via_of(a)));
	}
	return plan_intercept(p, a, before);
}

int plan_adopt(struct plan *p)
{
	const json_t *list = json_object_get(p->new->root, "adopt");
	int r = 0;

	for (size_t i = 0; i < json_array_size(list) && !r; i++)
		r = plan_adopt_one(p, json_array_get(list, i));
	return r;
}

/* Does the new text have another use for it? */
static bool moves(const struct plan *p, const char *name)
{
	const json_t *list = json_object_get(p->new->root, "bridges");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (config_port(json_array_get(list, i), name))
			return true;
	return config_bridge(p->new, name);
}

/* In reverse order: first it is adopted, then it gets its settings. */
static void push_undo_release(struct plan *p, const struct vbridge *vb)
{
	json_t *values = diversion_get(vb);

	json_object_set_new(values, "bridge", json_string(vb->name));
	plan_push_undo(p, "intercept.set", values);
	plan_push_undo(p, "adopt.add",
		       json_pack("{s:s, s:s}", "bridge", vb->name, "via",
				 vb->adopted->xdp ? "xdp" : "tc"));
}

void plan_release(struct plan *p, bool moving)
{
	const json_t *list = p->old ? json_object_get(p->old->root, "adopt") : NULL;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = plan_text(json_array_get(list, i), "name");
		struct vbridge *vb = bridges_find(p->d, name);

		if (!vb || !vb->adopted || vb->adopted->by_open || config_adopt(p->new, name) ||
		    moving != moves(p, name))
			continue;
		push_undo_release(p, vb);
		plan_note(p, json_sprintf("release %s", name));
		adopt_release(vb);
	}
}
