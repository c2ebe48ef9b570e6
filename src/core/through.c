/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bridges and devices that stay the kernel's. Their ports are places where frames are taken out on
 * their way through the kernel and put back: what each member receives, what the bridge's own
 * interface receives (`self`), what the host sends on it (`host`). Nothing is learned or looked up
 * here, for the kernel does that when the frame is back: a frame goes on at the port where it came
 * in. Only a frame that a program made needs a choice:
 *
 *	written to a NIC TX ring: as if the host had sent it, so it goes on at `host`;
 *	written to a host TX ring: as if the interface had received it from nowhere. Of a device
 *	that is `self`. Of a bridge: own addresses to `self`, others to `host`, from where the
 *	kernel forwards or floods it; groups to both.
 *
 * Own addresses are the local entries of the FDB, which has no others here.
 */
#include "base/mac.h"
#include "core/bridge_internal.h"

void through_input(struct bridge *br, struct bport *in, struct batch *b, struct drop_set *d)
{
	const enum intercept_side no = in->host ? INTERCEPT_HOST : INTERCEPT_NIC;
	const bool taken = intercept_is_on(&br->intercept, no);

	for (uint32_t i = 0; i < b->n; i++) {
		struct frame *f = &b->frames[i];

		if (f->verdict == FRAME_DROP)
			continue;
		f->out_port = in->no;
		f->verdict = FRAME_UNICAST;
		if (unlikely(f->flags & FRAME_COPY) && !taken)
			give_copy_back(&br->intercept.sides[no], f, d);
	}
}

void through_decide(struct bridge *br, struct bport *in, struct frame *f)
{
	enum fdb_kind kind;

	if (likely(in != &br->nowhere)) {
		f->out_port = in->no;
		f->verdict = FRAME_UNICAST;
	} else if (br->kind == BRIDGE_NETDEV ||
		   (!mac_is_group(f->dst) &&
		    fdb_lookup(br->fdb, f->dst, f->vid, f->dst_hash, &kind) >= 0)) {
		f->verdict = FRAME_HOST;
	}
}

/* Out of the host and, if it is for a group, up to it. */
static _cold_ void flood(struct bridge *br, struct bport *in, struct frame *f, struct egress *out,
			 struct drop_set *d)
{
	const bool up = mac_is_group(f->dst) && br->self;

	if (br->host)
		egress_add(out, br->host->no, f);
	if (up)
		egress_add(out, br->self->no, f);
	if (br->host && up)
		br->bufs.ref(br->bufs.ctx, f->buf, 1);
	else if (!br->host && !up)
		drop_set_add(d, in, f, DROP_NO_EGRESS);
}

void through_forward(struct bridge *br, struct bport *in, struct frame *f, struct egress *out,
		     struct drop_set *d)
{
	switch (f->verdict) {
	case FRAME_UNICAST:
		if (likely(port_by_no(br, f->out_port)))
			egress_add(out, f->out_port, f);
		else
			drop_set_add(d, in, f, DROP_NO_EGRESS);
		break;
	case FRAME_HOST:
		if (br->self)
			egress_add(out, br->self->no, f);
		else
			drop_set_add(d, in, f, DROP_HOST_DOWN);
		break;
	case FRAME_FLOOD:
		flood(br, in, f, out, d);
		break;
	case FRAME_RING:
		egress_add(out, (uint16_t)f->ring, f);
		break;
	default: /* dropped in pass 1 */
		break;
	}
}
