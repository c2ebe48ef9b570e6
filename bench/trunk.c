/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ceiling of an adopted bridge, for bench/e2e.py: takes what devices receive out of the kernel
 * through the trunk, and puts it back at once.
 *
 *     trunk [-n] DEVICE...
 *
 * The daemon's loop without anything between receiving and sending: looks for more frames for 20 us
 * after the last one, then sleeps. -n: only make the trunk, take nothing. Ends when it is killed.
 */
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem/bufpool.h"
#include "port/driver.h"
#include "port/trunk.h"
#include "sys/clock.h"

#define SPIN_NS    20000u
#define PLACES_MAX 16

static struct port *places[PLACES_MAX];

_Noreturn static void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static struct trunk *open_all(struct bufcache *bufs, char **devices, int n, enum trunk_action a)
{
	struct trunk_config cfg = {.name = "bench", .bufs = bufs, .hang_ms = 1000};
	const char *why = "?";
	struct trunk *t;

	if (port_env_new("/tmp", &cfg.env, &why) || trunk_open(&cfg, &t, &why))
		die("trunk", why);
	for (int i = 0; i < n; i++) {
		if (trunk_place_open(t, if_nametoindex(devices[i]), TRUNK_INGRESS,
				     (uint16_t)(i + 1), &places[i], &why))
			die(devices[i], why);
		trunk_plan(places[i], a);
	}
	return t;
}

static uint32_t serve(struct port *trunk, struct batch *b)
{
	struct frame *list[BATCH_MAX];
	struct port *p;

	b->n = 0;
	b->now_ns = clock_now_ns();
	if (!trunk->driver->rx(trunk, b))
		return 0;
	for (uint32_t i = 0; i < b->n; i++)
		list[i] = &b->frames[i];
	p = places[b->in_port - 1];
	p->driver->tx(p, list, b->n);
	return b->n;
}

int main(int argc, char **argv)
{
	const struct mem_params m = {.buf_num = 8192};
	const bool idle = argc > 1 && !strcmp(argv[1], "-n");
	static struct bufcache bufs;
	static struct region region;
	static struct batch b;
	const char *why = "?";
	struct port *trunk;
	uint64_t last_ns = 0;

	argv += 1 + idle;
	argc -= 1 + idle;
	if (argc < 1 || argc > PLACES_MAX)
		die("usage", "trunk [-n] DEVICE...");
	if (region_init(&region, &m, 1, &why))
		die("memory", why);
	bufcache_init(&bufs, bufpool_new(&region, 0));
	trunk = trunk_port(open_all(&bufs, argv, argc, idle ? TRUNK_PASS : TRUNK_TAKE));
	for (;;) {
		struct pollfd p = {.fd = trunk->fd, .events = POLLIN};

		if (serve(trunk, &b))
			last_ns = b.now_ns;
		else if (b.now_ns - last_ns > SPIN_NS && !trunk->driver->arm(trunk))
			poll(&p, 1, -1);
	}
}
