/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/xmit.h"

#include <string.h>

#include "base/probe.h"
#include "daemon/capture.h"

_Static_assert(XMIT_SHARED % 64 == 0, "a bit per frame, in whole words");

void xmit_init(struct xmit *x, const struct buf_ops *bufs, const struct batch *batch,
	       const struct egress *out)
{
	x->bufs = *bufs;
	x->batch = batch;
	x->out = out;
	x->br = NULL;
	x->captures = NULL;
	x->trace = NULL;
	memset(x->has_finished, 0, sizeof(x->has_finished));
	for (uint32_t i = 0; i < XMIT_SEGMENTS; i++)
		x->segment_list[i] = &x->segments[i];
}

void xmit_begin(struct xmit *x, struct bridge *br, struct captures *captures)
{
	struct trace *t = bridge_trace(br);

	x->br = br;
	x->captures = captures;
	x->trace = unlikely(t) && trace_is_live(t) ? t : NULL;
}

static void step(struct xmit *x, const struct bport *bp, const struct frame *f,
		 struct trace_record r)
{
	if (unlikely(x->trace) && f->flags & FRAME_TRACED)
		trace_step(x->trace, f, bp, r);
}

static void put_frames(struct xmit *x, struct frame *const *frames, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		x->bufs.put(x->bufs.ctx, &frames[i]->buf, 1);
}

static void drop(struct xmit *x, struct bport *bp, struct frame *const *frames, uint32_t n,
		 enum drop_reason reason)
{
	for (uint32_t i = 0; i < n; i++) {
		bport_drop(bp, reason, frames[i]);
		bridge_tell_drop(x->br, bp, frames[i], reason);
	}
	put_frames(x, frames, n);
}

/* Frames that the port can take as they are. */
static void hand_over(struct xmit *x, struct worker_port *wp, struct frame *const *frames,
		      uint32_t n)
{
	struct port *p = wp->port;
	uint64_t bytes = 0;
	uint32_t sent;

	if (n == 0)
		return;
	if (unlikely(x->captures))
		capture_tx(x->captures, wp->bp, frames, n);
	sent = p->driver->tx(p, frames, n);
	/* A queue that is full may have room once it was kicked. */
	if (sent < n && p->driver->flush) {
		PROBE(flush, p->name);
		p->driver->flush(p);
		sent += p->driver->tx(p, frames + sent, n - sent);
	}
	PROBE(tx, p->name, n, sent);
	if (unlikely(x->captures))
		capture_tx_done(x->captures, sent);
	for (uint32_t i = 0; i < sent; i++)
		bytes += frames[i]->len;
	for (uint32_t i = 0; unlikely(x->trace) && i < sent; i++)
		step(x, wp->bp, frames[i],
		     (struct trace_record){.step = TRACE_TX, .value = frames[i]->len});
	bridge_tx_done(wp->bp, sent, bytes);
	drop(x, wp->bp, frames + sent, n - sent, DROP_TX_FULL);
	wp->touched = true;
}

/* A GSO frame that the port cannot express: its segments. */
static void send_segments(struct xmit *x, struct worker_port *wp, struct frame *f)
{
	int n = offload_segment(f, &x->bufs, x->segments, XMIT_SEGMENTS);

	if (n <= 0) {
		drop(x, wp->bp, &f, 1, n < 0 ? (enum drop_reason) - n : DROP_GSO_MALFORMED);
		return;
	}
	wp->offload.gso_segmented++;
	wp->offload.gso_segments += (uint32_t)n;
	step(x, wp->bp, f,
	     (struct trace_record){
		     .step = TRACE_OFFLOAD, .result = TRACE_OFFLOAD_SEGMENT, .value = (uint32_t)n});
	for (int i = 0; i < n; i += BATCH_MAX)
		hand_over(x, wp, x->segment_list + i, (uint32_t)min_of(n - i, BATCH_MAX));
	put_frames(x, &f, 1);
}

/* A private copy of f with its bytes. False without a buffer. */
static bool copy_frame(struct xmit *x, const struct frame *f, struct frame *ret)
{
	uint8_t *data;
	uint32_t buf = x->bufs.get(x->bufs.ctx, f->len, &data);

	if (!buf)
		return false;
	memcpy(data, f->data, f->len);
	*ret = *f;
	ret->data = data;
	ret->buf = buf;
	return true;
}

/* The slot of a frame that may be shared, -1 for others (what the bridge itself sends, mirrors). */
static int shared_index(const struct xmit *x, const struct frame *f)
{
	if (f >= x->batch->frames && f < x->batch->frames + BATCH_MAX)
		return (int)(f - x->batch->frames);
	if (f >= x->out->forms && f < x->out->forms + EGRESS_FORMS_MAX)
		return (int)(f - x->out->forms) + BATCH_MAX;
	return -1;
}

/*
 * Makes *f a frame whose checksum is complete, with a reference for this port; the one of the
 * original is given back when a copy takes its place. 0 or a reason for the drop.
 */
static int finish(struct xmit *x, struct worker_port *wp, struct frame **f)
{
	struct frame *orig = *f, *copy, own;
	int i = shared_index(x, orig), r;

	if (x->bufs.refs(x->bufs.ctx, orig->buf) == 1) {
		wp->offload.csum_finished++;
		return offload_finish_csum(orig);
	}
	if (i < 0) { /* a mirror's: nobody else has the descriptor, but others have the buffer */
		if (!copy_frame(x, orig, &own))
			return DROP_NO_BUFFER;
		x->bufs.put(x->bufs.ctx, &orig->buf, 1);
		*orig = own;
		wp->offload.csum_finished++;
		return offload_finish_csum(orig);
	}
	copy = &x->finished[i];
	if (!(x->has_finished[i / 64] >> (i % 64) & 1)) {
		if (!copy_frame(x, orig, copy))
			return DROP_NO_BUFFER;
		r = offload_finish_csum(copy);
		if (r) {
			x->bufs.put(x->bufs.ctx, &copy->buf, 1);
			return r;
		}
		wp->offload.csum_finished++;
		x->has_finished[i / 64] |= 1ULL << (i % 64);
	}
	x->bufs.ref(x->bufs.ctx, copy->buf, 1);
	if (unlikely(x->trace) && orig->flags & FRAME_TRACED)
		trace_alias(x->trace, orig, copy->buf);
	x->bufs.put(x->bufs.ctx, &orig->buf, 1);
	*f = copy;
	return 0;
}

void xmit_send(struct xmit *x, struct worker_port *wp, struct bport *bp,
	       struct frame *const *frames, uint32_t n)
{
	struct frame *out[EGRESS_MAX];
	uint32_t n_out = 0;

	if (!wp || !wp->port) {
		drop(x, bp, frames, n, DROP_TX_DOWN);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct frame *f = frames[i];
		int r = 0;

		if (offload_fits(f, wp->port->caps)) {
			wp->offload.gso_passed += f->gso != FRAME_GSO_NONE;
		} else if (f->gso) {
			/* Order within a flow: what came before goes first. */
			hand_over(x, wp, out, n_out);
			n_out = 0;
			send_segments(x, wp, f);
			continue;
		} else {
			r = finish(x, wp, &f);
			if (!r)
				step(x, wp->bp, frames[i],
				     (struct trace_record){.step = TRACE_OFFLOAD,
							   .result = TRACE_OFFLOAD_CSUM});
		}
		if (r)
			drop(x, bp, &f, 1, (enum drop_reason)r);
		else
			out[n_out++] = f;
	}
	hand_over(x, wp, out, n_out);
}

void xmit_end(struct xmit *x)
{
	for (uint32_t w = 0; w < array_size(x->has_finished); w++) {
		uint64_t left = x->has_finished[w];

		for (; left; left &= left - 1)
			x->bufs.put(x->bufs.ctx,
				    &x->finished[w * 64 + (uint32_t)__builtin_ctzll(left)].buf, 1);
		x->has_finished[w] = 0;
	}
	if (unlikely(x->trace))
		trace_round_end(x->trace);
}
