/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/ring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "port/driver.h"

/* A program is shown segments with complete checksums; whoever has the rings makes them. */
#define CAPS_ALL (OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_TSO_ECN | OFFLOAD_USO)

struct ring_port {
	struct port port;
	struct ring_sink *sink;
};

static int ring_open(const struct port_config *cfg, struct port **ret, const char **ret_why)
{
	struct ring_port *r;

	if (!cfg->sink) {
		*ret_why = "made by mirrors only";
		return error_origin(-EINVAL);
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		*ret_why = "no memory";
		return error_origin(-ENOMEM);
	}
	r->port = (struct port){
		.driver = &port_driver_ring, .bufs = cfg->bufs, .caps = CAPS_ALL, .fd = -1};
	r->sink = cfg->sink;
	snprintf(r->port.name, sizeof(r->port.name), "%s", cfg->name);
	snprintf(r->port.mode, sizeof(r->port.mode), "netmap");
	*ret = &r->port;
	return 0;
}

static void ring_close(struct port *p)
{
	free(container_of(p, struct ring_port, port));
}

static uint32_t ring_tx(struct port *p, struct frame *const *frames, uint32_t n)
{
	struct ring_port *r = container_of(p, struct ring_port, port);

	for (uint32_t i = 0; i < n; i++)
		p->stats.tx_bytes += frames[i]->len;
	p->stats.tx_packets += n;
	r->sink->put(r->sink, frames, n);
	return n;
}

static void ring_update_stats(struct port *p)
{
	p->drops = container_of(p, struct ring_port, port)->sink->drops;
}

const struct port_driver port_driver_ring = {
	.name = "ring",
	.open = ring_open,
	.close = ring_close,
	.tx = ring_tx,
	.update_stats = ring_update_stats,
};
