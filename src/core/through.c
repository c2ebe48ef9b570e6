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
		STEP(br, f, in, LOOKUP, .mac = f->dst, .result = TRACE_LOOKUP_KERNEL);
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
	STEP(br, f, in == &br->nowhere ? NULL : in, LOOKUP, .mac = f->dst,
	     .result = TRACE_LOOKUP_KERNEL);
}

static inline void put_on(struct bridge *br, const struct bport *p, struct frame *f,
			  struct egress *out)
{
	STEP(br, f, p, EGRESS);
	egress_add(out, p->no, f);
}

/* Out of the host and, if it is for a group, up to it. */
static _cold_ void flood(struct bridge *br, struct bport *in, struct frame *f, struct egress *out,
			 struct drop_set *d)
{
	const bool up = mac_is_group(f->dst) && br->self;

	if (br->host)
		put_on(br, br->host, f, out);
	if (up)
		put_on(br, br->self, f, out);
	if (br->host && up)
		br->bufs.ref(br->bufs.ctx, f->buf, 1);
	else if (!br->host && !up)
		drop_set_add(d, in, f, DROP_NO_EGRESS);
}

void through_forward(struct bridge *br, struct bport *in, struct frame *f, struct egress *out,
		     struct drop_set *d)
{
	const struct bport *p;

	switch (f->verdict) {
	case FRAME_UNICAST:
		p = port_by_no(br, f->out_port);
		if (likely(p))
			put_on(br, p, f, out);
		else
			drop_set_add(d, in, f, DROP_NO_EGRESS);
		break;
	case FRAME_HOST:
		if (br->self)
			put_on(br, br->self, f, out);
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
