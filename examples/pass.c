/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Passes frames between two netmap ports, both ways, and drops those that match an expression: an
 * inline filter. Copy this file and put your own decision into keep().
 *   pass br0                               ports of the bridge on one side, the host on the other
 *   pass -i netmap:br0 -i netmap:br0^      the same in long
 *   pass -f 'udp port 53' br0              drop what matches, pcap-filter(7)
 *
 * The two slots exchange their buffers; with --copy, and between two memories, frames are copied.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <libnetmap.h>
#include <net/netmap_user.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stats {
	unsigned long long passed, dropped, bytes;
};

static volatile sig_atomic_t stop;
static struct bpf_program filter;
static bool filtering;

static void on_signal(int sig)
{
	stop = 1;
}

/* The decision. frame has len bytes in this slot. */
static bool keep(const uint8_t *frame, uint32_t len)
{
	const struct pcap_pkthdr h = {.caplen = len, .len = len};
	return !filtering || !pcap_offline_filter(&filter, &h, frame);
}

/* One frame from slot r of rx to slot t of tx: the buffers change places. */
static void move(struct netmap_ring *rx, struct netmap_slot *r, struct netmap_ring *tx,
		 struct netmap_slot *t, bool copy)
{
	const uint32_t buf = t->buf_idx;

	t->len = r->len;
	t->flags = r->flags & NS_MOREFRAG;
	if (copy) {
		nm_pkt_copy(NETMAP_BUF(rx, r->buf_idx), NETMAP_BUF(tx, buf), r->len);
		return;
	}
	t->buf_idx = r->buf_idx;
	r->buf_idx = buf;
	t->flags |= NS_BUF_CHANGED;
	r->flags |= NS_BUF_CHANGED;
}

/* As much as fits, between one pair of rings. */
static void pass_ring(struct netmap_ring *rx, struct netmap_ring *tx, bool copy, struct stats *s)
{
	uint32_t r = rx->head, t = tx->head;

	while (r != rx->tail && t != tx->tail) {
		struct netmap_slot *slot = &rx->slot[r];

		if (keep((uint8_t *)NETMAP_BUF(rx, slot->buf_idx), slot->len)) {
			s->passed++;
			s->bytes += slot->len;
			move(rx, slot, tx, &tx->slot[t], copy);
			t = nm_ring_next(tx, t);
		} else {
			s->dropped++;
		}
		r = nm_ring_next(rx, r);
	}
	rx->head = rx->cur = r; /* published by the next poll() or NIOC*SYNC, */
	tx->head = tx->cur = t; /* not before */
}

/* Returns whether frames wait for room at the other side. */
static bool pass(struct nmport_d *from, struct nmport_d *to, bool copy, struct stats *s)
{
	uint16_t k = to->first_tx_ring;
	bool waiting = false;

	for (uint16_t i = from->first_rx_ring; i <= from->last_rx_ring; i++) {
		struct netmap_ring *rx = NETMAP_RXRING(from->nifp, i);

		pass_ring(rx, NETMAP_TXRING(to->nifp, k), copy, s);
		waiting |= !nm_ring_empty(rx);
		if (++k > to->last_tx_ring) /* the same flow takes the same ring */
			k = to->first_tx_ring;
	}
	return waiting;
}

static void print_rates(const struct stats *now, struct stats *last)
{
	printf("%llu frames/s, %.1f Mbit/s, dropped %llu/s\n", now->passed - last->passed,
	       (double)(now->bytes - last->bytes) * 8 / 1e6, now->dropped - last->dropped);
	*last = *now;
}

static int run(struct nmport_d *a, struct nmport_d *b, bool copy)
{
	struct pollfd p[2] = {{a->fd, POLLIN, 0}, {b->fd, POLLIN, 0}};
	struct stats s = {0}, last = {0};
	time_t second = time(NULL);

	while (!stop) {
		/* poll() sends what was filled and releases what was read, then waits. */
		if (poll(p, 2, 1000) < 0 && errno != EINTR)
			break;
		if ((p[0].revents | p[1].revents) & POLLERR) {
			fprintf(stderr, "pass: a port is gone, or its ring was wrong\n");
			return 1;
		}
		/* Where one side is full, wait for room there, not for more to read here. */
		p[0].events = p[1].events = 0;
		if (pass(a, b, copy, &s))
			p[1].events |= POLLOUT;
		else
			p[0].events |= POLLIN;
		if (pass(b, a, copy, &s))
			p[0].events |= POLLOUT;
		else
			p[1].events |= POLLIN;
		if (time(NULL) != second) {
			second = time(NULL);
			print_rates(&s, &last);
		}
	}
	ioctl(a->fd, NIOCTXSYNC, NULL);
	ioctl(b->fd, NIOCTXSYNC, NULL); /* close() sends nothing */
	fprintf(stderr, "passed %llu, dropped %llu\n", s.passed, s.dropped);
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: pass [-f EXPRESSION] [--copy] BRIDGE | -i PORT -i PORT\n");
	return 2;
}

static void compile(const char *expr)
{
	pcap_t *pc = pcap_open_dead(DLT_EN10MB, 65535);

	if (pcap_compile(pc, &filter, expr, 1, PCAP_NETMASK_UNKNOWN) < 0)
		errx(2, "%s: %s", expr, pcap_geterr(pc));
	pcap_close(pc);
	filtering = true;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"copy", no_argument, NULL, 'c'}, {0}};
	const char *names[2] = {NULL, NULL};
	char first[80], second[84];
	struct nmport_d *a, *b;
	int n = 0, o, r;
	bool copy = false;

	while ((o = getopt_long(argc, argv, "i:f:c", longs, NULL)) >= 0) {
		if (o == 'i' && n < 2)
			names[n++] = optarg;
		else if (o == 'f')
			compile(optarg);
		else if (o == 'c')
			copy = true;
		else
			return usage();
	}
	if (n == 0 && argc - optind == 1) {
		snprintf(first, sizeof(first), "netmap:%s", argv[optind++]);
		snprintf(second, sizeof(second), "%s^", first);
		names[0] = first;
		names[1] = second;
	} else if (n != 2) {
		return usage();
	}
	setlinebuf(stdout);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	a = nmport_open(names[0]);
	b = a ? nmport_open(names[1]) : NULL;
	if (!a || !b) {
		fprintf(stderr, "pass: %s: %s\n", names[a ? 1 : 0], strerror(errno));
		return 1;
	}
	r = run(a, b, copy || a->mem != b->mem);
	nmport_close(b);
	nmport_close(a);
	return r;
}
