/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings through the macros and helpers of the headers: nm_open() and what goes with it, and
 * nmport_inject(). The fake device has 2 tx rings, 3 rx rings, one host ring each, 8 slots.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NETMAP_WITH_LIBS
#include <libnetmap.h>

#include "fakedev.h"

static int setup(void **state)
{
	fake_reset();
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(fake_leaks(), 0);
	assert_int_equal(fake.wrong, 0);
	return 0;
}

static void test_arithmetic(void **state)
{
	struct nm_desc *d = nm_open("netmap:eth0", NULL, 0, NULL);
	struct netmap_ring *r = NETMAP_TXRING(d->nifp, 1), *rx = NETMAP_RXRING(d->nifp, 2);

	assert_int_equal((char *)r - (char *)d->nifp, d->nifp->ring_ofs[1]);
	assert_int_equal((char *)rx - (char *)d->nifp, d->nifp->ring_ofs[FAKE_TX + 1 + 2]);
	assert_int_equal(nm_ring_next(r, 0), 1);
	assert_int_equal(nm_ring_next(r, FAKE_SLOTS - 1), 0);
	assert_int_equal(nm_ring_space(r), FAKE_SLOTS - 1);
	assert_false(nm_tx_pending(r));
	assert_true(nm_ring_empty(rx));
	r->head = 5;
	r->tail = 3;
	r->cur = 3; /* neither space nor empty looks at it */
	assert_int_equal(nm_ring_space(r), 6);
	assert_false(nm_ring_empty(r));
	assert_true(nm_tx_pending(r));
	assert_int_equal(NETMAP_BUF(r, 3) - NETMAP_BUF(r, 2), FAKE_BUF_SIZE);
	assert_int_equal(NETMAP_BUF(r, 0) - (char *)r, r->buf_ofs);
	assert_ptr_equal(NETMAP_BUF(r, 9), NETMAP_BUF(rx, 9));
	assert_int_equal(NETMAP_BUF_IDX(r, NETMAP_BUF(r, 9) + 100), 9);
	assert_ptr_equal(d->buf_start, NETMAP_BUF(r, 0));
	assert_ptr_equal(d->buf_end, (char *)d->mem + FAKE_MEMSIZE);
	assert_true(IS_NETMAP_DESC(d));
	assert_int_equal(NETMAP_FD(d), d->fd);
	nm_close(d);
	assert_int_equal(NS_RFRAGS(&((struct netmap_slot){.flags = 0x1242})), 0x12);
}

static void test_offsets(void **state)
{
	struct nm_desc *d = nm_open("netmap:eth0", NULL, 0, NULL);
	struct netmap_ring *r = NETMAP_TXRING(d->nifp, 0);
	struct netmap_slot *s = &r->slot[0];

	s->ptr = 0xabcdef0000000040;
	assert_int_equal(NETMAP_ROFFSET(r, s), 0);
	assert_ptr_equal(NETMAP_BUF_OFFSET(r, s), NETMAP_BUF(r, s->buf_idx));
	memcpy((void *)(uintptr_t)&r->offset_mask, &(uint64_t){0xffff}, 8);
	assert_int_equal(NETMAP_ROFFSET(r, s), 0x40);
	NETMAP_WOFFSET(r, s, 0x10080);
	assert_true(s->ptr == 0xabcdef0000000080);
	assert_ptr_equal(NETMAP_BUF_OFFSET(r, s), NETMAP_BUF(r, s->buf_idx) + 0x80);
	assert_int_equal(nm_inject(d, "frame", 6), 6);
	assert_string_equal(NETMAP_BUF(r, s->buf_idx) + 0x80, "frame");
	nm_close(d);
}

static void check_old_rings(const char *name, int first_tx, int last_tx, int first_rx, int last_rx)
{
	struct nm_desc *d = nm_open(name, NULL, 0, NULL);

	if (!d)
		fail_msg("%s: %s", name, strerror(errno));
	if (d->first_tx_ring != first_tx || d->last_tx_ring != last_tx ||
	    d->first_rx_ring != first_rx || d->last_rx_ring != last_rx)
		fail_msg("%s: tx %u..%u rx %u..%u", name, d->first_tx_ring, d->last_tx_ring,
			 d->first_rx_ring, d->last_rx_ring);
	assert_int_equal(nm_close(d), 0);
}

static void test_nm_open(void **state)
{
	struct nmreq req = {.nr_arg3 = 5, .nr_ringid = 0x4fff, .nr_arg2 = 1};
	struct nm_desc *d, *c;

	check_old_rings("netmap:eth0", 0, 1, 0, 2);
	check_old_rings("netmap:eth0^", 2, 2, 3, 3);
	check_old_rings("netmap:eth0*", 0, 2, 0, 3);
	check_old_rings("netmap:eth0-1", 1, 1, 1, 1);
	check_old_rings("netmap:eth0/T", 0, 1, 0, 2);
	d = nm_open("netmap:eth0-1", &req, NETMAP_NO_TX_POLL | NETMAP_DO_RX_POLL, NULL);
	assert_string_equal(fake.legacy.nr_name, "eth0");
	assert_int_equal(fake.legacy.nr_version, 14);
	assert_int_equal(fake.legacy.nr_ringid, 0x9001);
	assert_int_equal(fake.legacy.nr_flags, NR_REG_ONE_NIC);
	assert_int_equal(fake.legacy.nr_arg3, 5);
	assert_int_equal(fake.legacy.nr_arg2, 1);
	/* A child borrows the mapping of the same region, and takes name and rings over. */
	c = nm_open("netmap:other", NULL, NM_OPEN_IFNAME | NM_OPEN_ARG3, d);
	assert_string_equal(fake.legacy.nr_name, "eth0");
	assert_int_equal(fake.legacy.nr_flags, NR_REG_ONE_NIC);
	assert_int_equal(fake.legacy.nr_ringid, 1);
	assert_int_equal(fake.legacy.nr_arg3, 5);
	assert_ptr_equal(c->mem, d->mem);
	assert_false(c->done_mmap);
	assert_ptr_not_equal(c->nifp, d->nifp);
	nm_close(c);
	c = nm_open("vale0:1", NULL, 0, d); /* another region */
	assert_ptr_not_equal(c->mem, d->mem);
	nm_close(c);
	c = nm_open("netmap:eth0", NULL, NM_OPEN_NO_MMAP, NULL);
	assert_null(c->mem);
	assert_int_equal(nm_mmap(c, d), 0);
	assert_ptr_equal(c->mem, d->mem);
	nm_close(c);
	nm_close(d);
}

static void test_nm_open_fails(void **state)
{
	errno = EDOM;
	assert_null(nm_open("eth0", NULL, 0, NULL));
	assert_int_equal(errno, 0);
	assert_int_equal(fake.n_open, 0);
	fake.close_errno = ENOTTY;
	assert_null(nm_open("netmap:none", NULL, 0, NULL));
	assert_int_equal(errno, ENXIO);
	assert_null(nm_open("netmap:eth0/q", NULL, 0, NULL));
	assert_int_equal(errno, EINVAL);
	fake.fail_mmap = ENOMEM;
	assert_null(nm_open("netmap:eth0", NULL, 0, NULL));
	assert_int_equal(errno, ENOMEM);
	fake.fail_open = EACCES;
	assert_null(nm_open("netmap:eth0", NULL, 0, NULL));
	assert_int_equal(errno, EACCES);
	assert_int_equal(nm_close(NULL), EINVAL);
}

typedef int (*inject_fn)(void *, const void *, size_t);
static int inject_old(void *d, const void *b, size_t n)
{
	return nm_inject(d, b, n);
}
static int inject_new(void *d, const void *b, size_t n)
{
	return nmport_inject(d, b, n);
}

/* A frame goes whole into one ring, over as many slots as it takes; then into the next ring. */
static void check_inject(void *d, struct netmap_if *nifp, inject_fn inject)
{
	static char big[FAKE_BUF_SIZE * 8 + 1];
	struct netmap_ring *r0 = NETMAP_TXRING(nifp, 0), *r1 = NETMAP_TXRING(nifp, 1);
	const size_t three = FAKE_BUF_SIZE * 2 + 10;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i / FAKE_BUF_SIZE + i);
	r0->slot[1].flags = NS_BUF_CHANGED | NS_REPORT;
	assert_int_equal(inject(d, "hello", 5), 5);
	assert_int_equal(r0->head, 1);
	assert_int_equal(r0->cur, 1);
	assert_int_equal(r0->slot[0].len, 5);
	assert_memory_equal(NETMAP_BUF(r0, r0->slot[0].buf_idx), "hello", 5);
	assert_int_equal(inject(d, big, three), three);
	assert_int_equal(r0->head, 4);
	assert_int_equal(r0->slot[1].flags, NS_BUF_CHANGED | NS_MOREFRAG);
	assert_int_equal(r0->slot[2].flags, NS_MOREFRAG);
	assert_int_equal(r0->slot[3].flags, 0);
	assert_int_equal(r0->slot[3].len, 10);
	assert_memory_equal(NETMAP_BUF(r0, r0->slot[2].buf_idx), big + FAKE_BUF_SIZE,
			    FAKE_BUF_SIZE);
	assert_int_equal(inject(d, big, three), three); /* exactly full */
	assert_int_equal(nm_ring_space(r0), 0);
	assert_int_equal(inject(d, big, three), three);
	assert_int_equal(r1->head, 3);
	assert_int_equal(inject(d, big, sizeof(big)), 0);
	assert_int_equal(r1->head, 3);
	assert_int_equal(inject(d, big, FAKE_BUF_SIZE * 4), FAKE_BUF_SIZE * 4);
	assert_int_equal(r1->slot[6].flags, 0);
	errno = ERANGE;
	assert_int_equal(inject(d, "x", 1), 0);
	assert_int_equal(errno, ERANGE);
	r0->tail = 1; /* one slot came back: the first ring is found again, around the end */
	assert_int_equal(inject(d, "x", 1), 1);
	assert_int_equal(r0->head, 0);
}

static void test_inject(void **state)
{
	struct nm_desc *d = nm_open("netmap:eth0", NULL, 0, NULL);
	struct nmport_d *p;

	check_inject(d, d->nifp, inject_old);
	nm_close(d);
	fake_reset();
	p = nmport_open("netmap:eth0");
	check_inject(p, p->nifp, inject_new);
	assert_int_equal(nmport_inject(p, "", 0), 0);
	nmport_close(p);
	p = nmport_open("netmap:eth0/R"); /* nothing to send with */
	assert_int_equal(nmport_inject(p, "x", 1), 0);
	nmport_close(p);
	d = nm_open("netmap:eth0/R", NULL, 0, NULL);
	assert_int_equal(nm_inject(d, "x", 1), 0);
	assert_int_equal(nm_dispatch(d, -1, NULL, NULL), 0);
	nm_close(d);
}

/* Puts a frame into a ring as the device would. */
static void arrive(struct netmap_ring *r, const char *text, uint16_t flags)
{
	struct netmap_slot *s = &r->slot[r->tail];

	s->len = (uint16_t)strlen(text);
	s->flags = flags;
	memcpy(NETMAP_BUF(r, s->buf_idx), text, s->len);
	r->tail = nm_ring_next(r, r->tail);
	r->ts.tv_sec = 1234;
}

struct got {
	int n;
	char text[256];
};

static void collect(u_char *arg, const struct nm_pkthdr *h, const u_char *frame)
{
	struct got *g = (struct got *)arg;
	size_t at = strlen(g->text);

	g->n++;
	assert_ptr_equal(frame, h->buf);
	assert_int_equal(h->ts.tv_sec, 1234);
	snprintf(g->text + at, sizeof(g->text) - at, "%.*s%s", (int)h->caplen, frame,
		 h->flags & NM_MORE_PKTS ? "+" : ".");
}

static void test_receive(void **state)
{
	struct nm_desc *d = nm_open("netmap:eth0", NULL, 0, NULL);
	struct netmap_ring *r[FAKE_RX];
	struct got g = {0};
	struct nm_pkthdr h;

	for (uint32_t i = 0; i < FAKE_RX; i++)
		r[i] = NETMAP_RXRING(d->nifp, i);
	assert_int_equal(nm_dispatch(d, -1, collect, (u_char *)&g), 0);
	assert_null(nm_nextpkt(d, &h));
	arrive(r[0], "a", 0);
	arrive(r[0], "b", 0);
	arrive(r[2], "c", 0);
	assert_int_equal(nm_dispatch(d, 0, collect, (u_char *)&g), 3);
	assert_string_equal(g.text, "a+b+c.");
	assert_true(nm_ring_empty(r[0]) && nm_ring_empty(r[2]) && r[0]->cur == 2);
	/* As many as wanted; the ring where it stopped goes on. */
	g.text[0] = '\0';
	arrive(r[1], "d", 0);
	arrive(r[1], "e", 0);
	assert_int_equal(nm_dispatch(d, 1, collect, (u_char *)&g), 1);
	assert_string_equal(g.text, "d.");
	assert_memory_equal(nm_nextpkt(d, &h), "e", 1);
	assert_int_equal(h.len, 1);
	assert_ptr_equal(h.slot, &r[1]->slot[1]);
	assert_ptr_equal(h.d, d);
	assert_null(nm_nextpkt(d, &h));
	/* Several slots: one frame, shown as far as it lies together. */
	arrive(r[0], "first", NS_MOREFRAG);
	arrive(r[0], "second", 0);
	arrive(r[0], "next", 0);
	assert_memory_equal(nm_nextpkt(d, &h), "first", 5);
	assert_int_equal(h.len, 11);
	assert_int_equal(h.caplen, 5);
	assert_memory_equal(nm_nextpkt(d, &h), "next", 4);
	assert_int_equal(h.len, 4);
	arrive(r[0], "torn", NS_MOREFRAG); /* the device would not; it must end anyhow */
	assert_memory_equal(nm_nextpkt(d, &h), "torn", 4);
	assert_true(nm_ring_empty(r[0]));
	nm_close(d);
}

static void test_receive_neighbours(void **state)
{
	struct nm_desc *d = nm_open("netmap:eth0", NULL, 0, NULL);
	struct netmap_ring *r = NETMAP_RXRING(d->nifp, 0);
	struct nm_pkthdr h = {0};

	arrive(r, "x", NS_MOREFRAG);
	r->slot[0].len = FAKE_BUF_SIZE; /* full, and slot 1 has the next buffer */
	arrive(r, "tail", 0);
	assert_non_null(nm_nextpkt(d, &h));
	assert_int_equal(h.len, FAKE_BUF_SIZE + 4);
	assert_int_equal(h.caplen, FAKE_BUF_SIZE + 4);
	assert_memory_equal(h.buf + FAKE_BUF_SIZE, "tail", 4);
	/* Behind a gap nothing is together again, whatever the sums say. */
	arrive(r, "start", NS_MOREFRAG);
	arrive(r, "middle", NS_MOREFRAG);
	arrive(r, "end", 0);
	r->slot[3].len = FAKE_BUF_SIZE * 2 - 5;
	assert_non_null(nm_nextpkt(d, &h));
	assert_int_equal(h.caplen, 5);
	assert_int_equal(h.len, FAKE_BUF_SIZE * 2 + 3);
	nm_close(d);
}

static void test_debug_macros(void **state)
{
	int n = 0;

	D("%s", "one line on stderr");
	for (int i = 0; i < 50; i++)
		RD(2, "at most two of 50 in a second (%d)", n++);
	assert_true(n >= 2 && n <= 4); /* two, or four where a second began */
	ND("%d", n++);
	char a[4] = "xyz";
	nm_pkt_copy("ab", a, 2);
	nm_pkt_copy("q", a, 0);
	assert_string_equal(a, "abz");
}

int main(void)
{
#define T(_f) cmocka_unit_test_setup_teardown(_f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_arithmetic),         T(test_offsets),      T(test_nm_open),
		T(test_nm_open_fails),      T(test_inject),       T(test_receive),
		T(test_receive_neighbours), T(test_debug_macros),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
