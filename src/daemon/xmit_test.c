/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/xmit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mac.h"
#include "core/testkit.h"

#define SRC      0x02000000aa01ULL
#define SEEN_MAX 64

/* A port whose driver notes what it gets and puts it back at once. */
struct sink {
	struct port port; /* first: the driver gets a pointer to it */
	struct worker_port wp;
	struct kit *k;
	uint32_t room; /* frames that it takes until the next flush */
	uint32_t refill;
	uint32_t n;
	uint32_t lens[SEEN_MAX], bufs[SEEN_MAX];
	uint8_t flags[SEEN_MAX];
	uint16_t csums[SEEN_MAX]; /* at offset 40 */
};

static uint32_t sink_tx(struct port *p, struct frame *const *frames, uint32_t n)
{
	struct sink *s = (struct sink *)p;
	uint32_t i;

	for (i = 0; i < n && s->room > 0; i++, s->room--) {
		const struct frame *f = frames[i];

		s->lens[s->n] = f->len;
		s->bufs[s->n] = f->buf;
		s->flags[s->n] = f->flags;
		s->csums[s->n++] = (uint16_t)(f->data[40] << 8 | f->data[41]);
		kit_put(s->k, &f->buf, 1);
	}
	return i;
}

static void sink_flush(struct port *p)
{
	struct sink *s = (struct sink *)p;

	s->room = s->refill;
}

static const struct port_driver sink_driver = {.name = "sink", .tx = sink_tx, .flush = sink_flush};

struct lab {
	struct kit *k;
	struct bport *in;
	struct sink a, b;
	struct xmit *x;
	struct worker_port *by_no[PORTS_MAX];
};

static void sink_init(struct lab *l, struct sink *s, const char *name, uint32_t caps)
{
	s->k = l->k;
	s->room = s->refill = SEEN_MAX;
	s->port.driver = &sink_driver;
	s->port.caps = caps;
	s->wp.port = &s->port;
	s->wp.bp = kit_port(l->k, name, false);
	l->by_no[s->wp.bp->no] = &s->wp;
}

static int setup(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));
	struct buf_ops ops;

	l->k = kit_new(64);
	ops = (struct buf_ops){
		.ctx = l->k, .ref = kit_ref, .put = kit_put, .refs = kit_refs, .get = kit_get};
	l->in = kit_port(l->k, "in", false);
	sink_init(l, &l->a, "a", 0);
	sink_init(l, &l->b, "b", OFFLOAD_CSUM);
	l->x = calloc(1, sizeof(*l->x));
	xmit_init(l->x, &ops, l->k->in, l->k->out);
	xmit_begin(l->x, l->k->br, NULL);
	*state = l;
	return 0;
}

/* kit_free() fails if a reference was lost or given back twice. */
static int teardown(void **state)
{
	struct lab *l = *state;

	kit_free(l->k);
	free(l->x);
	free(l);
	return 0;
}

/* What the worker does with a batch. */
static void run(struct lab *l)
{
	struct egress *e;

	kit_run(l->k, l->in);
	l->x->batch = l->k->done;
	e = l->k->out;
	for (uint32_t i = 0; i < e->n_used; i++)
		xmit_send(l->x, l->by_no[e->used[i]], bridge_port(l->k->br, e->used[i]),
			  e->lists[e->used[i]].frames, e->lists[e->used[i]].n);
	xmit_end(l->x);
	egress_reset(e);
}

/* UDP over IPv4 whose checksum field (at 40) holds the sum of an all-zero pseudo header. */
static struct frame *partial(struct lab *l, uint64_t dst)
{
	struct frame *f = kit_frame(l->k, SRC, dst, 60);

	f->data[14] = 0x45;
	f->data[17] = 46;
	f->data[23] = 17;
	f->data[39] = 26; /* length */
	f->data[50] = 0x12;
	f->data[51] = 0x34;
	f->flags = FRAME_CSUM_PARTIAL;
	f->csum_start = 34;
	f->csum_offset = 6;
	return f;
}

static void plain_frames_pass(void **state)
{
	struct lab *l = *state;

	kit_frame(l->k, SRC, MAC_BROADCAST, 60);
	kit_frame(l->k, SRC, MAC_BROADCAST, 1514);
	run(l);
	assert_int_equal(l->a.n, 2);
	assert_int_equal(l->a.lens[1], 1514);
	assert_int_equal(l->a.bufs[0], l->b.bufs[0]); /* shared */
	assert_int_equal(l->a.wp.bp->counters.tx_packets, 2);
	assert_int_equal(l->a.wp.bp->counters.tx_bytes, 1574);
	assert_true(l->a.wp.touched);
}

static void a_flooded_checksum_is_finished_in_a_copy(void **state)
{
	struct lab *l = *state;

	partial(l, MAC_BROADCAST);
	run(l);
	assert_int_equal(l->a.n, 1);
	assert_int_equal(l->b.n, 1);
	/* a cannot finish it, b can: only a's is complete, and b's bytes are untouched. */
	assert_false(l->a.flags[0] & FRAME_CSUM_PARTIAL);
	assert_true(l->b.flags[0] & FRAME_CSUM_PARTIAL);
	assert_int_equal(l->b.csums[0], 0);
	assert_int_equal(l->a.csums[0], (uint16_t) ~(26 + 0x1234));
	assert_int_equal(l->a.wp.offload.csum_finished, 1);
	assert_int_equal(l->b.wp.offload.csum_finished, 0);
}

static void finished_once_for_many(void **state)
{
	struct lab *l = *state;
	struct sink c = {0};

	l->b.port.caps = 0;
	sink_init(l, &c, "c", 0);
	partial(l, MAC_BROADCAST);
	run(l);
	assert_int_equal(l->a.csums[0], (uint16_t) ~(26 + 0x1234));
	assert_int_equal(l->b.csums[0], l->a.csums[0]);
	assert_int_equal(c.csums[0], l->a.csums[0]);
	assert_int_equal(l->a.bufs[0], l->b.bufs[0]); /* the same copy */
	assert_int_equal(l->a.wp.offload.csum_finished + l->b.wp.offload.csum_finished, 1);
}

/* The tagged form of an untagged frame goes to three ports: it is shared, too. */
static void forms_are_finished_once_for_many(void **state)
{
	struct lab *l = *state;
	struct vlan_settings s = vlan_settings_default();
	struct sink c = {0};

	l->b.port.caps = 0;
	sink_init(l, &c, "c", OFFLOAD_CSUM);
	s.filtering = true;
	assert_int_equal(bridge_vlan_set(l->k->br, &s), 0);
	bridge_vlan_add(l->k->br, l->a.wp.bp, 1, 1, 0);
	bridge_vlan_add(l->k->br, l->b.wp.bp, 1, 1, 0);
	bridge_vlan_add(l->k->br, c.wp.bp, 1, 1, 0);
	partial(l, MAC_BROADCAST);
	run(l);
	assert_int_equal(l->a.n + l->b.n + c.n, 3);
	assert_false(l->a.flags[0] & FRAME_CSUM_PARTIAL);
	assert_false(l->b.flags[0] & FRAME_CSUM_PARTIAL);
	assert_true(c.flags[0] & FRAME_CSUM_PARTIAL);
	assert_int_equal(l->a.bufs[0], l->b.bufs[0]);
	assert_int_not_equal(l->a.bufs[0], c.bufs[0]);
	assert_int_equal(l->a.wp.offload.csum_finished + l->b.wp.offload.csum_finished, 1);
}

static void a_mirrored_checksum_is_finished_in_a_copy(void **state)
{
	struct lab *l = *state;
	struct mirror *m = mirror_new("m", "c", 1);
	struct sink c = {0};

	l->b.port.caps = 0;
	sink_init(l, &c, "c", 0);
	strcpy(m->sources[0].port, "in");
	m->sources[0].dirs = MIRROR_RX;
	assert_int_equal(bridge_mirror_add(l->k->br, m), 0);
	partial(l, MAC_BROADCAST);
	run(l);
	assert_int_equal(l->a.csums[0], (uint16_t) ~(26 + 0x1234));
	assert_int_equal(l->b.csums[0], l->a.csums[0]);
	assert_int_equal(c.csums[0], l->a.csums[0]);
	assert_int_not_equal(c.bufs[0], l->a.bufs[0]);
}

static void a_checksum_out_of_range_is_dropped(void **state)
{
	struct lab *l = *state;

	partial(l, MAC_BROADCAST)->csum_start = 59;
	run(l);
	assert_int_equal(l->a.n, 0);
	assert_int_equal(kit_drops(l->a.wp.bp, DROP_CSUM_RANGE), 1);
}

static void a_full_queue_is_kicked_once(void **state)
{
	struct lab *l = *state;

	l->a.room = 2;
	l->a.refill = 3;
	for (int i = 0; i < 8; i++)
		kit_frame(l->k, SRC, MAC_BROADCAST, 60);
	run(l);
	assert_int_equal(l->a.n, 5);
	assert_int_equal(l->b.n, 8);
	assert_int_equal(kit_drops(l->a.wp.bp, DROP_TX_FULL), 3);
	assert_int_equal(l->a.wp.bp->counters.tx_packets, 5);
}

static void a_port_without_device_drops(void **state)
{
	struct lab *l = *state;

	l->a.wp.port = NULL;
	kit_frame(l->k, SRC, MAC_BROADCAST, 60);
	run(l);
	assert_int_equal(kit_drops(l->a.wp.bp, DROP_TX_DOWN), 1);
	assert_int_equal(l->b.n, 1);
}

/* TCP over IPv4 with 3,000 bytes of payload, MSS 1,000, between two plain frames. */
static void a_gso_frame_keeps_its_place(void **state)
{
	struct lab *l = *state;
	struct frame *f;

	kit_frame(l->k, SRC, MAC_BROADCAST, 61);
	f = kit_frame(l->k, SRC, MAC_BROADCAST, 54 + 3000);
	f->data[14] = 0x45;
	f->data[16] = (3040 >> 8) & 0xff;
	f->data[17] = 3040 & 0xff;
	f->data[23] = 6;
	f->data[46] = 0x50;
	f->gso = FRAME_GSO_TCPV4;
	f->gso_size = 1000;
	f->flags = FRAME_CSUM_PARTIAL;
	f->csum_start = 34;
	f->csum_offset = 16;
	f->hdr_len = 54;
	kit_frame(l->k, SRC, MAC_BROADCAST, 62);
	l->b.port.caps = OFFLOAD_CSUM | OFFLOAD_TSO4;
	run(l);
	assert_int_equal(l->a.n, 5);
	assert_int_equal(l->a.lens[0], 61);
	for (int i = 1; i < 4; i++) {
		assert_int_equal(l->a.lens[i], 1054);
		assert_false(l->a.flags[i] & FRAME_CSUM_PARTIAL);
	}
	assert_int_equal(l->a.lens[4], 62);
	assert_int_equal(l->a.wp.offload.gso_segmented, 1);
	assert_int_equal(l->a.wp.offload.gso_segments, 3);
	assert_int_equal(l->b.n, 3);
	assert_int_equal(l->b.lens[1], 3054);
	assert_int_equal(l->b.wp.offload.gso_passed, 1);
}

static void a_gso_frame_that_makes_no_sense(void **state)
{
	struct lab *l = *state;
	struct frame *f = kit_frame(l->k, SRC, MAC_BROADCAST, 3000);

	f->gso = FRAME_GSO_TCPV4;
	f->gso_size = 1000;
	run(l);
	assert_int_equal(l->a.n, 0);
	assert_int_equal(kit_drops(l->a.wp.bp, DROP_GSO_MALFORMED) +
				 kit_drops(l->a.wp.bp, DROP_GSO_KIND),
			 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plain_frames_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flooded_checksum_is_finished_in_a_copy, setup,
						teardown),
		cmocka_unit_test_setup_teardown(finished_once_for_many, setup, teardown),
		cmocka_unit_test_setup_teardown(forms_are_finished_once_for_many, setup, teardown),
		cmocka_unit_test_setup_teardown(a_mirrored_checksum_is_finished_in_a_copy, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_checksum_out_of_range_is_dropped, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_full_queue_is_kicked_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_port_without_device_drops, setup, teardown),
		cmocka_unit_test_setup_teardown(a_gso_frame_keeps_its_place, setup, teardown),
		cmocka_unit_test_setup_teardown(a_gso_frame_that_makes_no_sense, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
