/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inline programs that use parts of netmap's API which `pass` does not, through libnetmap:
 *
 *	nmuse offsets BRIDGE    passes frames between ports opened with data offsets
 *	nmuse forward BRIDGE    lets the device pass them, by NS_FORWARD
 *	nmuse forward BRIDGE/R  the same without a TX ring
 *
 * Both drop ICMP longer than 1,000 bytes. Prints "ready", and the number of frames passed when it
 * is told to end by SIGTERM. Ends with 1 and a sentence when a ring is not as it should be.
 */
#include <libnetmap.h>
#include <net/netmap_user.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFSET 64u

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	stop = 1;
}

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "nmuse: %s\n", what);
	exit(1);
}

static struct nmport_d *open_port(const char *bridge, const char *rest)
{
	struct nmport_d *d;
	char name[64];

	snprintf(name, sizeof(name), "netmap:%s%s", bridge, rest);
	d = nmport_open(name);
	check(d != NULL, name);
	return d;
}

static bool keep(const uint8_t *f, uint32_t len)
{
	return len <= 1000 || f[12] != 8 || f[13] != 0 || f[23] != 1;
}

/* ---- offsets ---- */

static void check_slots(const struct netmap_ring *r)
{
	check(r->offset_mask == UINT64_MAX, "no offset_mask");
	for (uint32_t i = 0; i < r->num_slots; i++)
		check(r->slot[i].ptr == OFFSET, "a slot does not start with the initial offset");
}

/* Where the next frame of slot i shall lie. */
static uint64_t wanted(uint32_t i)
{
	return i % 3 * 32;
}

/* Every other frame is copied to another offset. */
static void move(struct netmap_ring *rx, struct netmap_slot *r, struct netmap_ring *tx,
		 struct netmap_slot *t, bool copy)
{
	const uint32_t buf = t->buf_idx;

	t->len = r->len;
	t->flags = 0;
	if (copy) {
		NETMAP_WOFFSET(tx, t, OFFSET - NETMAP_ROFFSET(rx, r));
		memcpy(NETMAP_BUF_OFFSET(tx, t), NETMAP_BUF_OFFSET(rx, r), r->len);
		return;
	}
	NETMAP_WOFFSET(tx, t, NETMAP_ROFFSET(rx, r));
	t->buf_idx = r->buf_idx;
	r->buf_idx = buf;
	t->flags = r->flags = NS_BUF_CHANGED;
}

static unsigned long long pass(struct nmport_d *from, struct nmport_d *to)
{
	struct netmap_ring *rx = NETMAP_RXRING(from->nifp, from->first_rx_ring);
	struct netmap_ring *tx = NETMAP_TXRING(to->nifp, to->first_tx_ring);
	static uint32_t n_seen;
	unsigned long long n = 0;

	while (!nm_ring_empty(rx) && !nm_ring_empty(tx)) {
		struct netmap_slot *r = &rx->slot[rx->head];

		/* As it was left, or as it was in the first round. */
		check(r->ptr == OFFSET || r->ptr == wanted(rx->head), "a frame lies elsewhere");
		if (keep((uint8_t *)NETMAP_BUF_OFFSET(rx, r), r->len)) {
			move(rx, r, tx, &tx->slot[tx->head], n_seen++ % 2);
			tx->head = tx->cur = nm_ring_next(tx, tx->head);
			n++;
		}
		NETMAP_WOFFSET(rx, r, wanted(rx->head));
		rx->head = rx->cur = nm_ring_next(rx, rx->head);
	}
	return n;
}

static unsigned long long run_offsets(const char *bridge)
{
	struct nmport_d *nic, *host;
	unsigned long long n = 0;

	check(nmport_enable_option("offset") == 0, "the option cannot be enabled");
	nic = open_port(bridge, "@offset=64");
	host = open_port(bridge, "^@offset:initial=64,bits=0");
	check_slots(NETMAP_RXRING(nic->nifp, nic->first_rx_ring));
	check_slots(NETMAP_TXRING(nic->nifp, nic->first_tx_ring));
	check_slots(NETMAP_RXRING(host->nifp, host->first_rx_ring));
	check_slots(NETMAP_TXRING(host->nifp, host->first_tx_ring));
	printf("ready\n");
	fflush(stdout);
	while (!stop) {
		struct pollfd p[2] = {{nic->fd, POLLIN, 0}, {host->fd, POLLIN, 0}};

		if (poll(p, 2, 1000) > 0)
			check(!((p[0].revents | p[1].revents) & POLLERR), "POLLERR");
		n += pass(nic, host) + pass(host, nic);
	}
	nmport_close(nic);
	nmport_close(host);
	return n;
}

/* ---- forward ---- */

static unsigned long long mark(struct netmap_ring *rx)
{
	unsigned long long n = 0;

	for (; !nm_ring_empty(rx); rx->head = rx->cur = nm_ring_next(rx, rx->head)) {
		struct netmap_slot *r = &rx->slot[rx->head];

		check(!(r->flags & NS_FORWARD), "a new frame is marked");
		if (keep((uint8_t *)NETMAP_BUF(rx, r->buf_idx), r->len)) {
			r->flags |= NS_FORWARD;
			n++;
		}
	}
	return n;
}

static unsigned long long run_forward(char *bridge)
{
	char *flags = strchr(bridge, '/');
	struct nmport_d *d;
	unsigned long long n = 0;

	if (flags)
		*flags = '\0';
	d = open_port(bridge, flags ? "*/R" : "*");
	for (int i = d->first_rx_ring; i <= d->last_rx_ring; i++)
		NETMAP_RXRING(d->nifp, i)->flags |= NR_FORWARD;
	printf("ready\n");
	fflush(stdout);
	while (!stop) {
		struct pollfd p = {d->fd, POLLIN, 0};

		if (poll(&p, 1, 1000) > 0)
			check(!(p.revents & POLLERR), "POLLERR");
		for (int i = d->first_rx_ring; i <= d->last_rx_ring; i++)
			n += mark(NETMAP_RXRING(d->nifp, i));
	}
	nmport_close(d);
	return n;
}

int main(int argc, char **argv)
{
	unsigned long long n;

	check(argc == 3, "usage: nmuse offsets|forward BRIDGE");
	signal(SIGTERM, on_term);
	n = strcmp(argv[1], "forward") ? run_offsets(argv[2]) : run_forward(argv[2]);
	printf("%llu\n", n);
	return 0;
}
