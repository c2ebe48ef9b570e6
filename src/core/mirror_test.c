/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is mirrored, when, how often; and that a span port does nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/intercept_testkit.h"
#include "core/program.h"

/* A fourth port m beside those of the lab; it is nobody's destination yet. */
static struct bport *m_port(struct ilab *l)
{
	return bridge_port(l->k->br, 4);
}

static int setup(void **state)
{
	struct ilab *l;

	ilab_setup(state);
	l = *state;
	ilab_set(l, INTERCEPT_NONE, INTERCEPT_OPEN);
	assert_int_equal(kit_port(l->k, "m", false)->no, 4);
	return 0;
}

/* Mirror `name` of up to two ports to `to`; port "": none. */
static struct mirror *mirror(struct ilab *l, const char *name, const char *to, const char *port,
			     uint8_t dirs, const char *port2, uint8_t dirs2)
{
	struct mirror *m = mirror_new(name, to, 2);

	strcpy(m->sources[0].port, port);
	m->sources[0].dirs = dirs;
	strcpy(m->sources[1].port, port2);
	m->sources[1].dirs = dirs2;
	assert_int_equal(bridge_mirror_add(l->k->br, m), 0);
	return m;
}

/* Frames that the latest round mirrored to p. */
static uint32_t copies(struct ilab *l, const struct bport *p)
{
	return kit_got(l->k, p);
}

static void directions(void **state)
{
	struct ilab *l = *state;
	struct bport *m = m_port(l);
	static const struct {
		uint8_t dirs;
		bool a_to_b, b_to_a;
	} rows[] = {{MIRROR_RX, true, false}, {MIRROR_TX, false, true}, {MIRROR_BOTH, true, true}};

	for (size_t i = 0; i < array_size(rows); i++) {
		mirror(l, "s", "m", "a", rows[i].dirs, "", 0);
		ilab_send(l, l->a, AA, BB);
		assert_got(l, "b");
		assert_int_equal(copies(l, m), rows[i].a_to_b);
		ilab_send(l, l->b, BB, AA);
		assert_got(l, "a");
		assert_int_equal(copies(l, m), rows[i].b_to_a);
		kit_sent(l->k);
		mirror_free(bridge_mirror_del(l->k->br, "s"));
	}
	assert_null(bridge_mirror_del(l->k->br, "s"));
	assert_null(bridge_mirror(l->k->br, "s"));
}

static void once(void **state)
{
	struct ilab *l = *state;
	struct bport *m = m_port(l);
	struct mirror *s = mirror(l, "s", "m", "a", MIRROR_BOTH, "b", MIRROR_BOTH);

	/* Received and sent, sent by two, and by a second mirror with that destination. */
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(copies(l, m), 1);
	ilab_send(l, l->c, XX, MCAST);
	assert_int_equal(copies(l, m), 1);
	mirror(l, "t", "m", "b", MIRROR_BOTH, "c", MIRROR_BOTH);
	ilab_send(l, l->b, BB, MCAST);
	assert_int_equal(copies(l, m), 1);
	assert_int_equal(s->counters.packets, 3);
	assert_int_equal(s->counters.bytes, 180);
	assert_int_equal(bridge_mirror(l->k->br, "t")->counters.packets, 0);
}

static void two_destinations_get_one_each(void **state)
{
	struct ilab *l = *state;
	struct bport *m = m_port(l), *n = kit_port(l->k, "n", false);

	mirror(l, "s", "m", "a", MIRROR_RX, "", 0);
	mirror(l, "t", "n", "a", MIRROR_RX, "", 0);
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(copies(l, m), 1);
	assert_int_equal(copies(l, n), 1);
	assert_int_equal(kit_got_all(l->k), 3);
}

static void once_with_a_program(void **state)
{
	static const enum intercept_mode modes[] = {INTERCEPT_ALL, INTERCEPT_LOCAL, INTERCEPT_COPY};
	struct ilab *l = *state;
	struct bport *m = m_port(l);
	struct mirror *s = mirror(l, "s", "m", "a", MIRROR_BOTH, "b", MIRROR_TX);
	struct mirror *t = mirror(l, "t", "m", "br0", MIRROR_TX, "", 0);
	uint64_t want = 0;

	for (size_t i = 0; i < 2 * array_size(modes); i++) {
		ilab_set(l, modes[i / 2], INTERCEPT_OPEN);
		ilab_send(l, l->a, AA, BB);
		assert_int_equal(copies(l, m), 1); /* when it was received */
		ilab_give(l, INTERCEPT_NIC, i & 1 ? COPIED : SWAPPED);
		assert_int_equal(copies(l, m), 0);
		ilab_send(l, l->c, XX, MCAST);
		ilab_give(l, INTERCEPT_NIC, i & 1 ? COPIED : SWAPPED);
		ilab_send(l, l->host, KIT_MAC, BB);
		ilab_give(l, INTERCEPT_HOST, i & 1 ? COPIED : SWAPPED);
		want += 3;
		assert_int_equal(s->counters.packets, want);
		assert_int_equal(t->counters.packets, 0);
	}
}

static void what_a_program_drops_was_mirrored(void **state)
{
	struct ilab *l = *state;
	struct mirror *s = mirror(l, "s", "m", "a", MIRROR_RX, "b", MIRROR_TX);

	ilab_set(l, INTERCEPT_ALL, INTERCEPT_OPEN);
	ilab_send(l, l->a, AA, BB);
	ilab_forget(l);
	assert_int_equal(s->counters.packets, 1);
	/* What it made is sent, not received. */
	ilab_make(l, XX, BB);
	ilab_give(l, INTERCEPT_NIC, SWAPPED);
	assert_int_equal(s->counters.packets, 2);
}

static void received_frames_before_everything_else(void **state)
{
	struct ilab *l = *state;
	struct bport *m = m_port(l);
	struct bridge_settings set = *bridge_settings(l->k->br);

	mirror(l, "s", "m", "a", MIRROR_RX, "", 0);
	ilab_send(l, l->a, AA, AA); /* same-port */
	assert_int_equal(copies(l, m), 1);
	ilab_send(l, l->a, AA, MAC_RESERVED_BASE + 1); /* pause */
	assert_int_equal(copies(l, m), 1);
	bridge_port_set_state(l->k->br, l->a, BPORT_BLOCKING);
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(copies(l, m), 1);
	set.monitor = true;
	bridge_set(l->k->br, &set);
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(copies(l, m), 1);
	kit_frame(l->k, AA, BB, 13); /* is no frame */
	kit_run(l->k, l->a);
	assert_int_equal(copies(l, m), 0);
}

static void a_span_port_does_nothing_else(void **state)
{
	struct ilab *l = *state;
	struct bport *m = m_port(l);

	kit_send(l->k, m, 0x020000000066ULL, XX);
	mirror(l, "s", "m", "", 0, "", 0);
	assert_true(m->span);
	assert_int_equal(m->state, BPORT_DISABLED);
	ilab_send(l, l->a, AA, MCAST);
	assert_got(l, "bch");
	assert_int_equal(copies(l, m), 0);
	ilab_send(l, l->a, AA, 0x020000000066ULL); /* no longer known there */
	assert_got(l, "bc");
	ilab_send(l, m, 0x020000000066ULL, BB);
	assert_got(l, "");
	assert_int_equal(kit_drops(m, DROP_SPAN), 1);
	ilab_send(l, m, 0x020000000066ULL, LLDP);
	assert_int_equal(kit_drops(m, DROP_SPAN), 2);
	/* Neither a command nor its link make it forward. */
	bridge_port_set_state(l->k->br, m, BPORT_FORWARDING);
	bridge_port_link(l->k->br, m, m->mac, 1500, false);
	bridge_port_link(l->k->br, m, m->mac, 1500, true);
	assert_int_equal(m->state, BPORT_DISABLED);
	mirror_free(bridge_mirror_del(l->k->br, "s"));
	assert_int_equal(m->state, BPORT_FORWARDING);
	ilab_send(l, m, 0x020000000066ULL, BB);
	assert_got(l, "b");
}

static void destinations_come_and_go(void **state)
{
	struct ilab *l = *state;
	struct mirror *s = mirror(l, "s", "x", "a", MIRROR_RX, "b", MIRROR_TX);
	struct bport *x;

	ilab_send(l, l->a, AA, BB);
	assert_int_equal(s->counters.lost, 1);
	x = kit_port(l->k, "x", false);
	assert_true(x->span);
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(copies(l, x), 1);
	bridge_port_link(l->k->br, x, x->mac, 1500, false);
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(s->counters.lost, 2);
	kit_sent(l->k);
	bridge_port_del(l->k->br, x);
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(s->counters.lost, 3);
	assert_int_equal(s->counters.packets, 1);
}

static void a_lazy_destination_costs_nothing_while_nobody_listens(void **state)
{
	struct ilab *l = *state;
	struct bport *m = m_port(l);
	struct mirror *s = mirror(l, "s", "m", "a", MIRROR_BOTH, "b", MIRROR_TX);
	struct hook_set *pre = hook_set_new(1);

	s->has_vlans = true;
	s->vlans[0] = 1; /* without a tag */
	pre->rules[0].verdict = HOOK_MIRROR;
	strcpy(pre->rules[0].mirror_name, "s");
	m->lazy = true;
	bridge_port_link(l->k->br, m, m->mac, 1000, false);
	assert_int_equal(l->a->mirror_rx | l->a->mirror_tx | l->b->mirror_tx, 0);
	assert_int_equal(bridge_mtu(l->k->br), 1500); /* no frame passes there */
	ilab_send(l, l->c, XX, MCAST);
	bridge_set_hook(l->k->br, HOOK_PRE_ROUTING, pre);
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(copies(l, m), 0);
	bridge_port_link(l->k->br, m, m->mac, 1000, true);
	assert_int_equal(m->state, BPORT_DISABLED);
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(copies(l, m), 1);
	ilab_send(l, l->c, XX, MCAST);
	assert_int_equal(copies(l, m), 1);
	assert_int_equal(s->counters.packets, 2);
	assert_int_equal(s->counters.lost, 0);
	/* Nor does it forward when no mirror wants it any more. */
	hook_set_free(bridge_set_hook(l->k->br, HOOK_PRE_ROUTING, NULL));
	mirror_free(bridge_mirror_del(l->k->br, "s"));
	assert_int_equal(m->state, BPORT_DISABLED);
	ilab_send(l, l->a, AA, MCAST);
	assert_got(l, "bch");
}

static void vlans(void **state)
{
	struct ilab *l = *state;
	struct bport *m = m_port(l);
	struct mirror *s = mirror_new("s", "m", 0);
	struct frame *f;

	s->has_vlans = true;
	s->vlans[0] = 1u << 7;
	assert_int_equal(bridge_mirror_add(l->k->br, s), 0);
	for (uint8_t vid = 6; vid <= 7; vid++) {
		f = kit_frame(l->k, AA, BB, 60);
		memcpy(f->data + 12, (uint8_t[]){0x81, 0, 0xe0, vid, 8, 0}, 6);
		kit_run(l->k, l->a);
		assert_int_equal(copies(l, m), vid == 7);
	}
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(copies(l, m), 0);
}

static void filters_and_snap_lengths(void **state)
{
	const struct sock_filter long_ones[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 60, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct ilab *l = *state;
	struct bport *m = m_port(l);
	struct mirror *s = mirror(l, "s", "m", "a", MIRROR_RX, "", 0);
	struct frame *f;

	assert_int_equal(program_new(long_ones, 4, &s->filter), 0);
	s->snap = 64;
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(copies(l, m), 0);
	f = kit_frame(l->k, AA, BB, 1000);
	f->gso = FRAME_GSO_TCPV4;
	f->gso_size = 100;
	f->csum_start = 34;
	f->flags = FRAME_CSUM_PARTIAL;
	kit_run(l->k, l->a);
	assert_int_equal(copies(l, m), 1);
	f = l->k->out->lists[m->no].frames[0];
	assert_int_equal(f->len, 64);
	assert_int_equal(f->gso, FRAME_GSO_NONE);
	assert_int_equal(f->flags & FRAME_CSUM_PARTIAL, 0);
	/* The frame itself is what it was, in the same buffer. */
	assert_int_equal(l->k->out->lists[l->b->no].frames[0]->len, 1000);
	assert_int_equal(l->k->out->lists[l->b->no].frames[0]->gso, FRAME_GSO_TCPV4);
	assert_int_equal(f->buf, l->k->out->lists[l->b->no].frames[0]->buf);
	assert_int_equal(s->counters.cut, 1);
	assert_int_equal(s->counters.bytes, 1000);
}

static void too_long_for_the_destination(void **state)
{
	struct ilab *l = *state;
	struct mirror *s = mirror(l, "s", "m", "a", MIRROR_RX, "", 0);

	bridge_port_link(l->k->br, l->a, l->a->mac, 9000, true);
	kit_frame(l->k, AA, KIT_MAC, 2000);
	kit_run(l->k, l->a);
	assert_int_equal(copies(l, m_port(l)), 0);
	assert_int_equal(kit_drops(m_port(l), DROP_EGRESS_MTU), 1);
	assert_int_equal(s->counters.lost, 1);
}

static void rules_choose(void **state)
{
	struct ilab *l = *state;
	struct bport *m = m_port(l);
	struct hook_set *pre = hook_set_new(2), *fwd = hook_set_new(1);

	mirror(l, "s", "m", "", 0, "", 0);
	pre->rules[0].verdict = HOOK_MIRROR;
	strcpy(pre->rules[0].mirror_name, "s");
	pre->rules[1].verdict = HOOK_MIRROR;
	strcpy(pre->rules[1].mirror_name, "t"); /* there is none */
	bridge_set_hook(l->k->br, HOOK_PRE_ROUTING, pre);
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(copies(l, m), 1);
	fwd->rules[0].verdict = HOOK_MIRROR;
	strcpy(fwd->rules[0].mirror_name, "s");
	bridge_set_hook(l->k->br, HOOK_FORWARD, fwd);
	ilab_send(l, l->a, AA, MCAST); /* again for each copy, but it has it */
	assert_int_equal(copies(l, m), 1);
	hook_set_free(bridge_set_hook(l->k->br, HOOK_PRE_ROUTING, NULL));
	ilab_send(l, l->a, AA, MCAST);
	assert_int_equal(copies(l, m), 1);
	assert_got(l, "bch");
}

static void dropped_copies_are_not_sent(void **state)
{
	struct ilab *l = *state;
	struct hook_set *s = hook_set_new(1);

	mirror(l, "s", "m", "b", MIRROR_TX, "", 0);
	s->rules[0].verdict = HOOK_DROP;
	bridge_set_hook(l->k->br, HOOK_POST_ROUTING, s);
	ilab_send(l, l->a, AA, BB);
	assert_int_equal(copies(l, m_port(l)), 0);
}

static void only_so_many(void **state)
{
	struct ilab *l = *state;
	struct mirror *m;
	char name[] = "m0";

	for (; name[1] < '0' + (int)MIRRORS_MAX; name[1]++)
		mirror(l, name, "m", "a", MIRROR_BOTH, "b", MIRROR_BOTH);
	m = mirror_new("more", "m", 0);
	assert_int_equal(bridge_mirror_add(l->k->br, m), BRIDGE_E_FULL);
	mirror_free(m);
	assert_null(mirror_free(NULL));
	/* A whole batch to each of so many destinations has room. */
	for (int i = 0; i < BATCH_MAX; i++)
		kit_frame(l->k, AA, BB, 60);
	kit_run(l->k, l->a);
	assert_int_equal(copies(l, m_port(l)), BATCH_MAX);
}

int main(void)
{
#define LAB(f) cmocka_unit_test_setup_teardown(f, setup, ilab_teardown)
	const struct CMUnitTest tests[] = {
		LAB(directions),
		LAB(once),
		LAB(two_destinations_get_one_each),
		LAB(once_with_a_program),
		LAB(what_a_program_drops_was_mirrored),
		LAB(received_frames_before_everything_else),
		LAB(a_span_port_does_nothing_else),
		LAB(destinations_come_and_go),
		LAB(a_lazy_destination_costs_nothing_while_nobody_listens),
		LAB(vlans),
		LAB(filters_and_snap_lengths),
		LAB(too_long_for_the_destination),
		LAB(rules_choose),
		LAB(dropped_copies_are_not_sent),
		LAB(only_so_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
