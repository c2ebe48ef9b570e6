/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nanoseconds of the calls that a netmap program makes all the time, at a real daemon: for
 * bench/bench_netmap.py.
 *
 *	nmcalls PORT
 *
 * Opens the port, measures with empty rings, prints "ready", waits until frames have come, leaves
 * them in the ring and measures poll() on them. Prints a line of JSON. Every figure is the median
 *of several runs.
 */
#include <errno.h>
#include <libnetmap.h>
#include <net/netmap_user.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define CALLS 200000
#define RUNS  9

static struct nmport_d *port;

static void die(const char *what)
{
	fprintf(stderr, "nmcalls: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int rxsync(void)
{
	return ioctl(port->fd, NIOCRXSYNC, NULL);
}

static int txsync(void)
{
	return ioctl(port->fd, NIOCTXSYNC, NULL);
}

/* Nothing there, and no wish to wait: 0 is the answer. */
static int poll_empty(void)
{
	struct pollfd p = {.fd = port->fd, .events = POLLIN};

	return poll(&p, 1, 0);
}

static int poll_frames(void)
{
	struct pollfd p = {.fd = port->fd, .events = POLLIN};

	return poll(&p, 1, -1) == 1 && p.revents == POLLIN ? 0 : -1;
}

static int poll_room(void)
{
	struct pollfd p = {.fd = port->fd, .events = POLLOUT};

	return poll(&p, 1, -1) == 1 && p.revents == POLLOUT ? 0 : -1;
}

static int order(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void drain(void)
{
	struct netmap_ring *rx = NETMAP_RXRING(port->nifp, port->first_rx_ring);

	rx->head = rx->cur = rx->tail;
	rxsync();
}

/* Nanoseconds a call; negative when one did not answer 0: a frame came in between, perhaps. */
static double run(int (*call)(void))
{
	const uint64_t start = now_ns();
	int bad = 0;

	for (int i = 0; i < CALLS; i++)
		bad |= call();
	return bad ? -1 : (double)(now_ns() - start) / CALLS;
}

/* The median of RUNS. With empty, a run that a frame disturbed is repeated. */
static double measure(const char *name, int (*call)(void), bool empty)
{
	double ns[RUNS];

	for (int r = 0, tries = 0; r < RUNS;) {
		if (empty)
			drain();
		ns[r] = run(call);
		if (ns[r] >= 0)
			r++;
		else if (!empty || ++tries > RUNS)
			die(name);
	}
	qsort(ns, RUNS, sizeof(ns[0]), order);
	return ns[RUNS / 2];
}

int main(int argc, char **argv)
{
	struct netmap_ring *rx;
	double rs, ts, pe, pr, pf;
	struct pollfd p;

	if (argc != 2) {
		fprintf(stderr, "usage: nmcalls PORT\n");
		return 2;
	}
	port = nmport_open(argv[1]);
	if (!port)
		die(argv[1]);
	rx = NETMAP_RXRING(port->nifp, port->first_rx_ring);
	rs = measure("NIOCRXSYNC", rxsync, true);
	ts = measure("NIOCTXSYNC", txsync, true);
	pe = measure("poll, nothing there", poll_empty, true);
	pr = measure("poll for room", poll_room, true);
	puts("ready");
	fflush(stdout);
	p = (struct pollfd){.fd = port->fd, .events = POLLIN};
	while (nm_ring_empty(rx))
		if (poll(&p, 1, 10000) != 1)
			die("no frames came");
	pf = measure("poll with frames", poll_frames, false);
	printf("{\"rxsync_ns\": %.1f, \"txsync_ns\": %.1f, \"poll_frames_ns\": %.1f, "
	       "\"poll_room_ns\": %.1f, \"poll_empty_ns\": %.1f}\n",
	       rs, ts, pf, pr, pe);
	nmport_close(port);
	return 0;
}
