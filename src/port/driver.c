/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/driver.h"

#include <string.h>

#include "base/probe.h"

/* A driver's file and its line here go together. */
static const struct port_driver *const drivers[] = {
	&port_driver_mem, &port_driver_pcap, &port_driver_packet,
	&port_driver_tap, &port_driver_xdp,  &port_driver_ring,
};

const struct port_driver *port_driver_find(const char *name)
{
	for (size_t i = 0; i < array_size(drivers); i++)
		if (!strcmp(drivers[i]->name, name))
			return drivers[i];
	return NULL;
}

void port_drop(struct port *p, enum drop_reason r, const uint8_t *data, uint32_t caplen,
	       uint32_t len)
{
	p->drops.n[r]++;
	PROBE(drop, p->name, r, drop_name(r), len);
	drop_note(p->drop_log, p->drop_port, r, data, caplen, len);
	if (p->drop_log && unlikely(p->drop_log->tell))
		p->drop_log->tell(p->drop_log->tell_ctx, p->drop_port, r, data, caplen);
}

void port_drop_frame(struct port *p, enum drop_reason r, const struct frame *f)
{
	port_drop(p, r, f->data, f->len, f->len);
}
