/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the bridge and its spanning tree (core/stp.c): BPDUs in and out, states, flushes, events.
 */
#include "core/bridge_internal.h"

#include <errno.h>

#include "base/err.h"

_Static_assert(STP_PORTS == PORTS_MAX, "the spanning tree knows every port number");
_Static_assert(BRIDGE_STP_ROOT_BLOCK - BRIDGE_STP_ROLE == STP_EVENT_ROOT_BLOCK - STP_EVENT_ROLE,
	       "both list the same events");

static void tx(void *ctx, uint16_t no, const uint8_t *frame)
{
	const struct bridge *br = ctx;
	struct bport *p = br->by_no[no];

	if (p && p->link_up && br->ops.send)
		br->ops.send(br->ops.ctx, p, frame, BPDU_FRAME_SIZE);
}

static void set_state(void *ctx, uint16_t no, enum bport_state state)
{
	struct bridge *br = ctx;

	if (br->by_no[no] && br->by_no[no]->state != state)
		bridge_port_set_state(br, br->by_no[no], state);
}

static void flush(void *ctx, uint16_t no)
{
	const struct bridge *br = ctx;

	if (br->by_no[no])
		fdb_flush_port(br->fdb, no);
}

static void event(void *ctx, const struct stp_event *e)
{
	bridge_emit(ctx, &(struct bridge_event){
				 .kind = (enum bridge_event_kind)(BRIDGE_STP_ROLE + e->kind),
				 .port = e->port,
				 .role = e->role,
				 .state = e->state,
				 .root = e->root,
			 });
}

int bridge_stp_init(struct bridge *br)
{
	const struct stp_ops ops = {
		.ctx = br, .tx = tx, .set_state = set_state, .flush = flush, .event = event};

	br->stp = stp_new(&ops);
	return br->stp ? 0 : error_origin(-ENOMEM);
}

void bridge_stp_input(struct bridge *br, struct bport *in, struct frame *f, struct drop_set *d)
{
	static const enum drop_reason reasons[] = {
		[STP_RX_IGNORED] = DROP_PORT_DISABLED, [STP_RX_MALFORMED] = DROP_BPDU_MALFORMED,
		[STP_RX_AGE] = DROP_BPDU_AGE,          [STP_RX_OWN] = DROP_BPDU_OWN,
		[STP_RX_GUARD] = DROP_BPDU_GUARD,      [STP_RX_FILTER] = DROP_BPDU_FILTER,
		[STP_RX_RATE] = DROP_BPDU_RATE,
	};
	enum stp_rx r;

	if (in->host) {
		drop_set_add(d, in, f, DROP_BPDU_SENT);
		return;
	}
	if (br->dry)
		r = stp_would_rx_frame(br->stp, in->no, f->data, f->len);
	else
		r = stp_rx_frame(br->stp, in->no, f->data, f->len);
	if (r != STP_RX_TAKEN) {
		drop_set_add(d, in, f, r == STP_RX_IGNORED && in->span ? DROP_SPAN : reasons[r]);
		return;
	}
	/* It has arrived: no drop. */
	f->verdict = FRAME_DROP;
	d->bufs[d->n++] = f->buf;
}
