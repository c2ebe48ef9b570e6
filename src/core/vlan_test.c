/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of VLANs, the VLAN of a frame, and tags put into frames and taken out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/testkit.h"

#define Q  FRAME_TAG_8021Q
#define AD FRAME_TAG_8021AD

/* ---- sets ---- */

static void defaults_are_those_of_linux(void **state)
{
	struct vlan_settings s = vlan_settings_default();

	assert_false(s.filtering || s.stats || s.stats_per_port);
	assert_int_equal(s.protocol, 0x8100);
	assert_int_equal(s.default_pvid, 1);
}

static void ranges_come_and_go(void **state)
{
	struct vlan_set s = {0};

	assert_int_equal(vlan_add(&s, 60, 70, 0), 11); /* over the border of a word */
	assert_int_equal(vlan_add(&s, 65, 65, VLAN_UNTAGGED), 1);
	assert_int_equal(vlan_add(&s, 1, VLAN_ID_MAX, 0), VLAN_ID_MAX - 10);
	assert_false(vlan_has(&s, 0) || vlan_has(&s, 4095));
	assert_true(vlan_has(&s, 1) && vlan_has(&s, VLAN_ID_MAX));
	assert_false(vlan_is_untagged(&s, 65));
	assert_int_equal(vlan_del(&s, 2, 4000), 3999);
	assert_int_equal(vlan_del(&s, 2, 4000), 0);
	assert_true(vlan_has(&s, 1) && !vlan_has(&s, 2) && vlan_has(&s, 4001));
}

static void what_is_so_already_is_no_change(void **state)
{
	struct vlan_set s = {0};

	assert_int_equal(vlan_add(&s, 10, 12, VLAN_UNTAGGED), 3);
	assert_int_equal(vlan_add(&s, 11, 13, VLAN_UNTAGGED), 1);
	assert_int_equal(vlan_add(&s, 11, 11, VLAN_UNTAGGED | VLAN_PVID), 1);
	assert_int_equal(vlan_add(&s, 11, 11, VLAN_UNTAGGED | VLAN_PVID), 0);
}

static void there_is_one_pvid_at_most(void **state)
{
	struct vlan_set s = {0};

	vlan_add(&s, 10, 10, VLAN_PVID | VLAN_UNTAGGED);
	vlan_add(&s, 20, 20, VLAN_PVID);
	assert_int_equal(s.pvid, 20);
	assert_true(vlan_has(&s, 10) && vlan_is_untagged(&s, 10)); /* but no PVID any more */
	vlan_add(&s, 15, 25, 0);
	assert_int_equal(s.pvid, 0);
	vlan_add(&s, 20, 20, VLAN_PVID);
	vlan_del(&s, 1, 30);
	assert_int_equal(s.pvid, 0);
}

static void ranges_are_found_by_their_flags(void **state)
{
	struct vlan_range r = {0};
	struct vlan_set s = {0};

	assert_false(vlan_next(&s, &r));
	vlan_add(&s, 10, 30, 0);
	vlan_add(&s, 20, 22, VLAN_UNTAGGED);
	vlan_add(&s, 25, 25, VLAN_PVID);
	vlan_add(&s, VLAN_ID_MAX, VLAN_ID_MAX, 0);
	static const struct vlan_range want[] = {
		{10, 19, 0}, {20, 22, VLAN_UNTAGGED},       {23, 24, 0}, {25, 25, VLAN_PVID},
		{26, 30, 0}, {VLAN_ID_MAX, VLAN_ID_MAX, 0},
	};
	for (size_t i = 0; i < array_size(want); i++) {
		assert_true(vlan_next(&s, &r));
		assert_int_equal(r.first, want[i].first);
		assert_int_equal(r.last, want[i].last);
		assert_int_equal(r.flags, want[i].flags);
	}
	assert_false(vlan_next(&s, &r));
}

/* ---- which VLAN ---- */

/* A frame of the kit with tags in front of its EtherType, 0 = none. */
static struct frame *tagged(struct kit *k, uint16_t tpid, uint16_t tci, uint16_t tpid2,
			    uint16_t tci2, uint32_t len)
{
	struct frame *f = kit_frame(k, 0x02aa, 0x02bb, len);
	const uint16_t words[] = {tpid, tci, tpid2 ? tpid2 : 0x0800, tci2, 0x0800};

	for (uint32_t i = 0; i < (tpid ? array_size(words) : 0) && 14 + 2 * i <= len; i++) {
		f->data[12 + 2 * i] = (uint8_t)(words[i] >> 8);
		f->data[13 + 2 * i] = (uint8_t)words[i];
	}
	for (uint32_t i = 22; i < len; i++)
		f->data[i] = (uint8_t)i;
	assert_true(frame_parse(f));
	return f;
}

static void the_vlan_of_a_frame(void **state)
{
	static const struct {
		uint16_t tpid, tci, pvid, protocol;
		uint32_t len;
		uint16_t vid;
		int reason;
	} rows[] = {
		{0, 0, 7, Q, 60, 7, 0},
		{0, 0, 0, Q, 60, 0, DROP_VLAN_NO_PVID},
		{Q, 10, 7, Q, 60, 10, 0},
		{Q, 0xe00a, 7, Q, 60, 10, 0}, /* priority 7 */
		{Q, 11, 7, Q, 60, 0, DROP_VLAN_INGRESS},
		{Q, 4095, 7, Q, 60, 0, DROP_VLAN_INGRESS},
		{Q, 0, 7, Q, 60, 7, 0},
		{Q, 0xa000, 7, Q, 60, 7, 0},
		{Q, 0, 0, Q, 60, 0, DROP_VLAN_NO_PVID},
		{AD, 10, 7, Q, 60, 7, 0}, /* of another protocol: payload */
		{Q, 10, 7, AD, 60, 7, 0},
		{AD, 10, 7, AD, 60, 10, 0},
		{Q, 10, 7, Q, 17, 0, DROP_RUNT}, /* cut off */
		{Q, 10, 7, Q, 18, 10, 0},
		{AD, 10, 7, Q, 17, 7, 0},
	};
	struct kit *k = kit_new(16);

	for (size_t i = 0; i < array_size(rows); i++) {
		struct vlan_set s = {0};
		struct frame *f;

		vlan_add(&s, 10, 10, 0);
		if (rows[i].pvid)
			vlan_add(&s, rows[i].pvid, rows[i].pvid, VLAN_PVID);
		f = tagged(k, rows[i].tpid, rows[i].tci, 0, 0, rows[i].len);
		assert_int_equal(vlan_of(&s, rows[i].protocol, f), rows[i].vid);
		if (!rows[i].vid)
			assert_int_equal(vlan_refuses(&s, rows[i].protocol, f), rows[i].reason);
		kit_put(k, &f->buf, 1);
	}
	kit_free(k);
}

static void what_a_port_needs(void **state)
{
	static const struct {
		uint16_t tpid, tci, vid;
		bool untagged;
		enum vlan_edit edit;
	} rows[] = {
		{0, 0, 10, true, VLAN_KEEP},   {0, 0, 10, false, VLAN_PUSH},
		{Q, 10, 10, true, VLAN_POP},   {Q, 10, 10, false, VLAN_KEEP},
		{Q, 0, 10, true, VLAN_POP},    {Q, 0x6000, 10, false, VLAN_SET},
		{AD, 10, 10, true, VLAN_KEEP}, {AD, 10, 10, false, VLAN_PUSH},
	};
	struct kit *k = kit_new(16);

	for (size_t i = 0; i < array_size(rows); i++) {
		struct frame *f = tagged(k, rows[i].tpid, rows[i].tci, 0, 0, 60);
		struct vlan_set s = {0};

		vlan_add(&s, 10, 10, rows[i].untagged ? VLAN_UNTAGGED : 0);
		f->vid = rows[i].vid;
		assert_int_equal(vlan_edit_for(&s, Q, f), rows[i].edit);
		kit_put(k, &f->buf, 1);
	}
	kit_free(k);
}

/* ---- edits ---- */

enum how { IN_FRONT, BEHIND, COPIED, HOW_N };

struct edit_case {
	uint16_t tpid, tci, tpid2, tci2;
	enum vlan_edit edit;
	uint16_t protocol, vid;
	uint16_t want[5]; /* words from byte 12 on */
	uint8_t n_tags;
};

static void check_edit(const struct edit_case *c, enum how how, uint32_t len)
{
	struct kit *k = kit_new(16);
	const struct buf_ops ops = {.ctx = k, .get = kit_get, .room = kit_room};
	const int32_t by = vlan_growth(c->edit);
	struct frame *f, copy, before;

	k->headroom = how == IN_FRONT ? 4 : 0;
	k->tailroom = how == BEHIND ? 4 : 3;
	f = tagged(k, c->tpid, c->tci, c->tpid2, c->tci2, len);
	f->vid = c->vid;
	f->flags = FRAME_CSUM_PARTIAL;
	f->csum_start = 42;
	f->hdr_len = 62;
	before = *f;
	if (how == COPIED) {
		if (c->edit == VLAN_PUSH)
			assert_false(vlan_edit(f, c->edit, c->protocol, &ops));
		assert_memory_equal(f, &before, sizeof(before));
		assert_true(vlan_edit_copy(f, c->edit, c->protocol, &ops, &copy));
		assert_memory_equal(f, &before, sizeof(before));
		assert_int_not_equal(copy.buf, f->buf);
		assert_int_equal(kit_refs(k, copy.buf), 1);
		kit_put(k, &f->buf, 1);
		f = &copy;
	} else {
		assert_true(vlan_edit(f, c->edit, c->protocol, &ops));
		assert_int_equal(f->buf, before.buf);
	}
	assert_int_equal(f->len, (int32_t)len + by);
	assert_int_equal(frame_mac(f->data), 0x02bb);
	assert_int_equal(frame_mac(f->data + 6), 0x02aa);
	for (uint32_t i = 0; i < (uint32_t)(3 + by / 4) && 14 + 2 * i <= f->len; i++)
		assert_int_equal(frame_be16(f->data + 12 + 2 * i), c->want[i]);
	for (uint32_t i = 22; i < len; i++) /* the payload moved as a whole */
		assert_int_equal(f->data[(int32_t)i + by], (uint8_t)i);
	assert_int_equal(f->csum_start, 42 + by);
	assert_int_equal(f->hdr_len, 62 + by);
	assert_int_equal(f->n_tags, c->n_tags);
	before = *f;
	assert_true(frame_parse(f)); /* says the same */
	assert_memory_equal(f, &before, sizeof(before));
	kit_put(k, &f->buf, 1);
	kit_free(k);
}

static const struct edit_case edits[] = {
	{0, 0, 0, 0, VLAN_PUSH, Q, 10, {Q, 10, 0x0800}, 1},
	{0, 0, 0, 0, VLAN_PUSH, AD, 4094, {AD, 4094, 0x0800}, 1},
	{Q, 5, 0, 0, VLAN_PUSH, AD, 10, {AD, 10, Q, 5, 0x0800}, 2},
	{AD, 6, Q, 5, VLAN_PUSH, Q, 10, {Q, 10, AD, 6, Q}, 2}, /* the third is not looked at */
	{Q, 0xe00a, 0, 0, VLAN_POP, Q, 10, {0x0800}, 0},
	{AD, 10, Q, 5, VLAN_POP, AD, 10, {Q, 5, 0x0800}, 1},
	{Q, 0xe000, 0, 0, VLAN_SET, Q, 10, {Q, 0xe00a, 0x0800}, 1},
	{Q, 0, AD, 6, VLAN_SET, Q, 10, {Q, 10, AD, 6, 0x0800}, 2},
};

static void tags_come_and_go(void **state)
{
	static const uint32_t lens[] = {22, 60, 1514, 1518};

	for (size_t i = 0; i < array_size(edits); i++)
		for (enum how how = 0; how < HOW_N; how++)
			for (size_t n = 0; n < array_size(lens); n++)
				check_edit(&edits[i], how, lens[n]);
}

static void the_shortest_frames(void **state)
{
	static const struct edit_case push = {0, 0, 0, 0, VLAN_PUSH, Q, 10, {Q, 10, 0x0800}, 1};
	static const struct edit_case pop = {Q, 10, 0, 0, VLAN_POP, Q, 10, {0x0800}, 0};

	for (enum how how = 0; how < HOW_N; how++) {
		check_edit(&push, how, 14);
		check_edit(&pop, how, 18);
	}
}

/* The short way does the same, and is taken by what most frames are. */
static void check_plain(const struct edit_case *c, uint32_t len, bool partial, bool taken)
{
	struct kit *k = kit_new(16);
	const struct buf_ops ops = {.ctx = k, .get = kit_get, .room = kit_room};
	struct frame *f, *g;

	k->tailroom = BATCH_ROOM;
	f = tagged(k, c->tpid, c->tci, c->tpid2, c->tci2, len);
	g = tagged(k, c->tpid, c->tci, c->tpid2, c->tci2, len);
	f->vid = g->vid = c->vid;
	f->flags = g->flags = partial ? FRAME_CSUM_PARTIAL : 0;
	assert_int_equal(vlan_edit_plain(f, c->edit, c->protocol), taken);
	assert_true(taken || f->len == len);
	if (taken) {
		assert_true(vlan_edit(g, c->edit, c->protocol, &ops));
		assert_int_equal(f->len, g->len);
		assert_int_equal(f->n_tags, g->n_tags);
		assert_memory_equal(f->data, g->data, f->len);
	}
	kit_put(k, &f->buf, 1);
	kit_put(k, &g->buf, 1);
	kit_free(k);
}

static void plain_frames(void **state)
{
	static const uint32_t lens[] = {22, 60, 76, 77, 1518};

	for (size_t i = 0; i < array_size(edits); i++)
		for (size_t n = 0; n < array_size(lens); n++) {
			const struct edit_case *c = &edits[i];
			const bool taken =
				(c->edit == VLAN_POP || (c->edit == VLAN_PUSH && lens[n] <= 76)) &&
				!c->tpid2;

			check_plain(c, lens[n], false, taken);
			check_plain(c, lens[n], true, false);
		}
}

static void no_buffer_no_copy(void **state)
{
	struct kit *k = kit_new(16);
	const struct buf_ops ops = {.ctx = k, .get = kit_get, .room = kit_room};
	struct frame *f = tagged(k, 0, 0, 0, 0, 60), copy;

	f->vid = 10;
	k->no_buffers = true;
	assert_false(vlan_edit_copy(f, VLAN_PUSH, Q, &ops, &copy));
	kit_put(k, &f->buf, 1);
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_linux),
		cmocka_unit_test(ranges_come_and_go),
		cmocka_unit_test(what_is_so_already_is_no_change),
		cmocka_unit_test(there_is_one_pvid_at_most),
		cmocka_unit_test(ranges_are_found_by_their_flags),
		cmocka_unit_test(the_vlan_of_a_frame),
		cmocka_unit_test(what_a_port_needs),
		cmocka_unit_test(tags_come_and_go),
		cmocka_unit_test(the_shortest_frames),
		cmocka_unit_test(plain_frames),
		cmocka_unit_test(no_buffer_no_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
