/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/testkit.h"
#include "daemon/expression.h"
#include "daemon/worker.h"

#define SRC    0x02000000aa01ULL
#define DST    0x02000000aa02ULL
#define ALL    0xffffffffffffULL
#define SIZE   16384u
#define BIT(p) (1U << CAPRING_##p)

/* A capture and its client. */
struct client {
	struct capture c;
	void *memory;
	struct capring_reader r;
	char names[CAPRING_PORTS][CAPRING_NAME];
	unsigned int n_ports;
};

struct lab {
	struct kit_lab *l;
	struct worker_bridge wb;
	struct captures *cs;
	struct client a, b;
};

static void client_init(struct client *c, uint32_t points)
{
	c->memory = aligned_alloc(4096, CAPRING_DATA + SIZE);
	memset(c->memory, 0, CAPRING_DATA + SIZE);
	capring_init(&c->c.ring, c->memory, SIZE);
	capring_open(&c->r, c->memory, SIZE);
	c->c.bell_fd = eventfd(0, EFD_NONBLOCK);
	c->c.points = points;
	c->c.snaplen = CAPRING_SNAP_MAX;
}

static void client_deinit(struct client *c)
{
	free(c->memory);
	if (c->c.bell_fd > 0)
		close(c->c.bell_fd);
}

static int setup(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));

	kit_lab_setup((void **)&l->l);
	l->wb.br = l->l->k->br;
	l->l->k->others_told = true;
	l->cs = captures_new(&l->wb);
	*state = l;
	return 0;
}

static int teardown(void **state)
{
	struct lab *l = *state;

	if (l->b.memory)
		captures_del(l->cs, &l->b.c);
	assert_true(captures_del(l->cs, &l->a.c));
	assert_null(l->wb.captures);
	captures_free(l->cs);
	client_deinit(&l->a);
	client_deinit(&l->b);
	kit_lab_teardown((void **)&l->l);
	free(l);
	return 0;
}

static void start(struct lab *l, struct client *c, uint32_t points)
{
	client_init(c, points);
	captures_add(l->cs, &c->c);
	assert_ptr_equal(l->wb.captures, l->cs);
}

/* The next frame; ports are noted on the way. NULL: none. */
static const struct capring_record *next(struct client *c)
{
	const struct capring_record *r;

	do {
		capring_release(&c->r);
		assert_int_equal(capring_next(&c->r, &r), 0);
		if (r && r->type == CAPRING_PORT) {
			memcpy(c->names[r->port], r->data, CAPRING_NAME);
			c->n_ports++;
		}
	} while (r && r->type == CAPRING_PORT);
	return r;
}

static void begin(struct lab *l, struct bport *in)
{
	capture_in(l->cs, in, l->l->k->in);
	kit_run(l->l->k, in);
}

static void done(struct lab *l)
{
	capture_done(l->cs, l->l->k->done, l->l->k->out);
}

/* What the worker does with one frame; its record. */
static const struct capring_record *pass(struct lab *l, struct bport *in, uint64_t src,
					 uint64_t dst)
{
	const struct capring_record *r;

	kit_frame(l->l->k, src, dst, 60);
	begin(l, in);
	assert_null(next(&l->a)); /* not before its verdict is known */
	done(l);
	r = next(&l->a);
	assert_non_null(r);
	assert_int_equal(r->port, in->no);
	assert_int_equal(r->in_port, in->no);
	assert_int_equal(r->len, 60);
	return r;
}

static void test_verdicts(void **state)
{
	struct lab *l = *state;
	struct kit_lab *k = l->l;
	const struct capring_record *r;

	start(l, &l->a, BIT(IN));
	r = pass(l, k->a, SRC, ALL);
	assert_int_equal(r->verdict, CAPRING_FLOOD);
	assert_int_equal(r->n_takers, 3);
	assert_int_equal(r->n_dropped, 0);
	assert_string_equal(l->a.names[k->a->no], "a");
	assert_int_equal(l->a.n_ports, 4);
	r = pass(l, k->b, DST, SRC);
	assert_int_equal(r->verdict, CAPRING_UNICAST);
	assert_int_equal(r->to_port, k->a->no);
	r = pass(l, k->b, DST, bridge_mac(k->k->br));
	assert_int_equal(r->verdict, CAPRING_HOST);
	r = pass(l, k->host, bridge_mac(k->k->br), DST);
	assert_int_equal(r->verdict, CAPRING_UNICAST);
	assert_true(r->flags & CAPRING_LOCAL);
	r = pass(l, k->b, SRC + 9, DST);
	assert_int_equal(r->verdict, CAPRING_DROPPED);
	assert_int_equal(r->reason, DROP_SAME_PORT);
	r = pass(l, k->b, DST, 0x0180c2000001ULL);
	assert_int_equal(r->reason, DROP_PAUSE);
	assert_int_equal(l->a.r.shared->ports[k->b->no].seen, 4);
}

static void test_dropped_in_pass_2(void **state)
{
	struct lab *l = *state;
	struct kit_lab *k = l->l;
	const struct capring_record *r;

	start(l, &l->a, BIT(IN));
	pass(l, k->b, DST, ALL);
	bridge_port_set_flags(k->k->br, k->a, BPORT_ISOLATED_FLAG, BPORT_ISOLATED_FLAG);
	bridge_port_set_flags(k->k->br, k->b, BPORT_ISOLATED_FLAG, BPORT_ISOLATED_FLAG);
	r = pass(l, k->a, SRC, DST);
	assert_int_equal(r->verdict, CAPRING_DROPPED);
	assert_int_equal(r->reason, DROP_ISOLATED);
	/* One of three takers is too narrow: flooded all the same. */
	bridge_port_set_flags(k->k->br, k->a, BPORT_ISOLATED_FLAG, 0);
	bridge_port_link(k->k->br, k->c, k->c->mac, 68, true);
	kit_frame(k->k, SRC, ALL, 200);
	begin(l, k->a);
	done(l);
	r = next(&l->a);
	assert_int_equal(r->verdict, CAPRING_FLOOD);
	assert_int_equal(r->n_takers, 2);
	assert_int_equal(r->n_dropped, 1);
	assert_int_equal(r->reason, DROP_EGRESS_MTU);
	assert_int_equal(r->drop_port, k->c->no);
}

/* On its list, but the driver had no room. */
static void test_dropped_late(void **state)
{
	struct lab *l = *state;
	struct kit_lab *k = l->l;
	const struct capring_record *r;

	start(l, &l->a, BIT(IN) | BIT(DROP));
	pass(l, k->b, DST, ALL);
	kit_frame(k->k, SRC, DST, 60);
	kit_frame(k->k, SRC, ALL, 60);
	begin(l, k->a);
	bridge_tell_drop(k->k->br, k->b, k->k->out->lists[k->b->no].frames[0], DROP_TX_FULL);
	bridge_tell_drop(k->k->br, k->b, k->k->out->lists[k->b->no].frames[1], DROP_TX_FULL);
	done(l);
	r = next(&l->a);
	assert_int_equal(r->verdict, CAPRING_DROPPED);
	assert_int_equal(r->reason, DROP_TX_FULL);
	r = next(&l->a);
	assert_int_equal(r->verdict, CAPRING_FLOOD);
	assert_int_equal(r->n_dropped, 1);
	for (int i = 0; i < 2; i++) {
		r = next(&l->a);
		assert_int_equal(r->point, CAPRING_DROP);
		assert_int_equal(r->port, k->b->no);
		assert_int_equal(r->in_port, k->a->no);
		assert_true(r->flags & CAPRING_EGRESS);
	}
	assert_null(next(&l->a));
}

/* Each reason is recorded under its number, at once when no batch is on its way. */
static void test_all_reasons(void **state)
{
	struct lab *l = *state;
	struct kit_lab *k = l->l;
	uint8_t bytes[60] = {0};
	const struct frame f = {.data = bytes, .len = 60, .in_port = k->a->no};

	start(l, &l->a, BIT(DROP));
	for (enum drop_reason why = 0; why < DROP_N; why++) {
		const struct capring_record *r;

		bridge_tell_drop(k->k->br, k->a, &f, why);
		r = next(&l->a);
		assert_non_null(r);
		assert_int_equal(r->reason, why);
		assert_int_equal(r->verdict, CAPRING_DROPPED);
		assert_int_equal(!!(r->flags & CAPRING_EGRESS),
				 !strncmp(drop_name(why), "tx-", 3) || why == DROP_OVERSIZE ||
					 why == DROP_EGRESS_MTU);
	}
	bridge_tell_drop(k->k->br, NULL, &f, DROP_RUNT);
	assert_int_equal(next(&l->a)->port, 0);
	assert_string_equal(l->a.names[0], "program");
}

/* Bytes as they came, though pass 2 changes tags where they are. */
static void test_bytes_as_received(void **state)
{
	struct lab *l = *state;
	struct kit_lab *k = l->l;
	struct vlan_settings s = *bridge_vlan_settings(k->k->br);
	const struct capring_record *r;
	uint8_t sent[64];

	start(l, &l->a, BIT(IN));
	pass(l, k->b, DST, ALL);
	s.filtering = true;
	assert_int_equal(bridge_vlan_set(k->k->br, &s), 0);
	k->k->headroom = k->k->tailroom = 8;
	bridge_vlan_add(k->k->br, k->b, 1, 1, VLAN_PVID); /* tagged there */
	pass(l, k->b, DST, ALL);
	kit_frame(k->k, SRC, DST, 60);
	memcpy(sent, k->k->in->frames[0].data, 60);
	begin(l, k->a);
	assert_int_equal(k->k->out->lists[k->b->no].frames[0]->len, 64);
	done(l);
	r = next(&l->a);
	assert_int_equal(r->len, 60);
	assert_memory_equal(r->data, sent, 60);
	assert_int_equal(r->verdict, CAPRING_UNICAST);
}

static void test_sent(void **state)
{
	struct lab *l = *state;
	struct kit_lab *k = l->l;
	uint8_t bytes[60] = {0};
	struct frame f[3], *list[3];
	const struct capring_record *r;

	start(l, &l->a, BIT(OUT));
	for (uint32_t i = 0; i < 3; i++) {
		f[i] = (struct frame){.data = bytes, .len = 40 + i, .in_port = k->a->no};
		list[i] = &f[i];
	}
	capture_tx(l->cs, k->b, list, 3);
	assert_null(next(&l->a));
	capture_tx_done(l->cs, 2);
	for (uint32_t i = 0; i < 2; i++) {
		r = next(&l->a);
		assert_int_equal(r->len, 40 + i);
		assert_int_equal(r->port, k->b->no);
		assert_int_equal(r->point, CAPRING_OUT);
	}
	assert_null(next(&l->a));
}

static void test_shown(void **state)
{
	struct lab *l = *state;
	struct kit_lab *k = l->l;
	uint8_t bytes[60] = {0};
	struct frame f[3], *list[3];

	start(l, &l->a, BIT(BEFORE));
	for (uint32_t i = 0; i < 3; i++) {
		f[i] = (struct frame){.data = bytes, .len = 40 + i, .in_port = k->a->no};
		list[i] = &f[i];
	}
	capture_show(l->cs, EGRESS_RING(INTERCEPT_NIC, 5), list, 3);
	bridge_tell_drop(k->k->br, k->a, list[0], DROP_NO_BUFFER);
	capture_shown(l->cs, &list[2], 1);
	assert_int_equal(next(&l->a)->len, 41);
	assert_null(next(&l->a));
}

static void test_filter_snaplen_port(void **state)
{
	struct lab *l = *state;
	struct kit_lab *k = l->l;
	const struct capring_record *r;
	struct expression *e;
	char why[128];

	e = expression_new("ether src 02:00:00:00:aa:01", why, sizeof(why));
	assert_non_null(e);
	l->a.c.filter = expression_program(e);
	client_init(&l->a, BIT(IN));
	l->a.c.snaplen = 20;
	snprintf(l->a.c.port_name, sizeof(l->a.c.port_name), "a");
	captures_add(l->cs, &l->a.c);
	kit_frame(k->k, SRC, ALL, 60);
	kit_frame(k->k, DST, ALL, 60);
	begin(l, k->a);
	done(l);
	kit_frame(k->k, SRC, ALL, 60);
	begin(l, k->b);
	done(l);
	r = next(&l->a);
	assert_int_equal(r->caplen, 20);
	assert_int_equal(r->len, 60);
	assert_null(next(&l->a));
	assert_int_equal(l->a.n_ports, 1);
	assert_int_equal(l->a.r.shared->ports[k->a->no].seen, 2);
	assert_int_equal(l->a.r.shared->ports[k->a->no].accepted, 1);
	assert_int_equal(l->a.r.shared->ports[k->b->no].seen, 0);
	expression_free(e);
}

/* A client that does not read. */
static void test_lost(void **state)
{
	struct lab *l = *state;
	struct kit_lab *k = l->l;
	uint32_t n = 0;

	start(l, &l->a, BIT(IN));
	for (int i = 0; i < 20; i++) {
		for (int j = 0; j < BATCH_MAX; j++)
			kit_frame(k->k, SRC, ALL, 60);
		begin(l, k->a);
		done(l);
	}
	while (next(&l->a))
		n++;
	assert_in_range(n, 100, 200);
	assert_int_equal(l->a.r.shared->ports[k->a->no].lost, 20 * BATCH_MAX - n);
	pass(l, k->a, SRC, ALL); /* and it goes on */
}

/* Ports that join are told, also under the number of one that has left. */
static void test_ports(void **state)
{
	struct lab *l = *state;
	struct kit_lab *k = l->l;
	const uint16_t no = k->c->no;
	struct bport *p;

	start(l, &l->a, BIT(IN));
	assert_null(next(&l->a));
	assert_string_equal(l->a.names[no], "c");
	bridge_port_del(k->k->br, k->c);
	p = kit_port(k->k, "new", false);
	assert_int_equal(p->no, no);
	capture_port(l->cs, p);
	assert_null(next(&l->a));
	assert_string_equal(l->a.names[no], "new");
	assert_int_equal(l->a.n_ports, 5);
	bridge_port_del(k->k->br, p);
	p = kit_port(k->k, "third", false); /* nobody tells */
	pass(l, p, SRC, ALL);
	assert_string_equal(l->a.names[no], "third");
}

/* Two, at different points; one goes. */
static void test_two(void **state)
{
	struct lab *l = *state;
	struct kit_lab *k = l->l;

	start(l, &l->a, BIT(IN));
	start(l, &l->b, BIT(DROP));
	assert_true(capring_sleep(&l->b.r) == false); /* its ports */
	assert_null(next(&l->b));
	assert_true(capring_sleep(&l->b.r));
	pass(l, k->a, SRC, ALL);
	assert_null(next(&l->b));
	pass(l, k->a, DST, SRC);
	assert_int_equal(next(&l->b)->reason, DROP_SAME_PORT);
	assert_int_equal(eventfd_read(l->b.c.bell_fd, &(eventfd_t){0}), 0);
	assert_int_equal(eventfd_read(l->a.c.bell_fd, &(eventfd_t){0}), -1);
	assert_false(captures_del(l->cs, &l->b.c));
	pass(l, k->a, DST, SRC);
	assert_null(next(&l->b));
}

/* What a program gives back, from a port and from nowhere. */
static void test_after(void **state)
{
	struct lab *l = *state;
	struct kit_lab *k = l->l;
	const struct origin o[] = {
		{.port = k->a->no, .generation = k->a->generation, .how = ORIGIN_BUFFER},
		{.how = ORIGIN_UNKNOWN},
		{.port = k->a->no,
		 .generation = k->a->generation,
		 .how = ORIGIN_BUFFER,
		 .flags = ORIGIN_STALE},
	};
	const struct capring_record *r;
	struct batch *b = k->k->in;

	start(l, &l->a, BIT(AFTER));
	for (int i = 0; i < 3; i++)
		kit_frame(k->k, SRC, ALL, 60);
	capture_after(l->cs, INTERCEPT_NIC, b, o);
	bridge_inject(k->k->br, b, o);
	bridge_forward(k->k->br, b, k->k->out);
	capture_done(l->cs, b, k->k->out);
	r = next(&l->a);
	assert_int_equal(r->port, k->a->no);
	assert_int_equal(r->verdict, CAPRING_FLOOD);
	assert_int_equal(r->n_takers, 3);
	assert_false(r->flags & CAPRING_MADE);
	r = next(&l->a);
	assert_int_equal(r->port, 0);
	assert_int_equal(r->n_takers, 4);
	assert_true(r->flags & CAPRING_MADE);
	r = next(&l->a);
	assert_int_equal(r->verdict, CAPRING_DROPPED);
	assert_int_equal(r->reason, DROP_STALE_RETURN);
	kit_sent(k->k);
	b->n = 0;
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_verdicts),
		TEST(test_dropped_in_pass_2),
		TEST(test_dropped_late),
		TEST(test_all_reasons),
		TEST(test_bytes_as_received),
		TEST(test_sent),
		TEST(test_shown),
		TEST(test_filter_snaplen_port),
		TEST(test_lost),
		TEST(test_ports),
		TEST(test_two),
		TEST(test_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
