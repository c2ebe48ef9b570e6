/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a file of learned addresses, and as one of a spanning tree. What is accepted lies
 * inside it; addresses are such as stations have, and a spanning tree can go on from it.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mac.h"
#include "daemon/snapshot.h"
#include "daemon/tree_keep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void tx(void *ctx, uint16_t port, const uint8_t *frame)
{
}

static void set_state(void *ctx, uint16_t port, enum bport_state state)
{
}

static void flush(void *ctx, uint16_t port)
{
}

static void event(void *ctx, const struct stp_event *e)
{
}

/* As the bridge that the file is about. */
static struct stp *bridge_of(const struct tree_image *t)
{
	const struct stp_ops ops = {
		.tx = tx, .set_state = set_state, .flush = flush, .event = event};
	struct stp *s = stp_new(&ops);
	struct stp_settings set = *stp_settings(s);

	stp_hold(s);
	stp_set_mac(s, t->head->tree.bridge & 0xffffffffffffULL);
	set.enabled = true;
	set.priority = (uint16_t)(t->head->tree.bridge >> 48);
	set.version = t->head->tree.version;
	set.hello = t->head->tree.hello;
	set.max_age = t->head->tree.max_age;
	set.forward_delay = t->head->tree.forward_delay;
	stp_set(s, &set);
	for (uint32_t i = 0; i < t->head->tree.n_ports; i++) {
		const struct stp_port_memory *m = &t->ports[i].tree;
		struct stp_port_settings ps;

		stp_port_settings_default(&ps);
		ps.cost = m->path_cost;
		ps.priority = m->priority;
		ps.p2p = m->p2p;
		check(stp_port_add(s, m->no, 0) == 0);
		stp_port_set(s, m->no, &ps);
		stp_port_link(s, m->no, true, 0);
	}
	return s;
}

static void go_on(const struct tree_image *t)
{
	struct stp_port_memory *ports = calloc(STP_PORTS, sizeof(*ports));
	struct stp *s = bridge_of(t);
	struct stp_memory again;

	for (uint32_t i = 0; i < t->head->tree.n_ports; i++)
		ports[i] = t->ports[i].tree;
	if (stp_restore(s, &t->head->tree, ports, 0, true)) {
		for (uint64_t i = 1; i < 100; i++)
			stp_tick(s, i * 1000000000);
		check(stp_save(s, &again, ports) && stp_memory_is_sane(&again, ports));
	}
	stp_free(s);
	free(ports);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *bytes = malloc(size); /* aligned, and what is read beyond it is noticed */
	struct snapshot_image s;
	struct tree_image t;

	if (size)
		memcpy(bytes, data, size);
	if (snapshot_parse(bytes, size, &s)) {
		check((const uint8_t *)(s.entries + s.head->n_entries) == (uint8_t *)bytes + size);
		for (uint32_t i = 0; i < s.head->n_ports; i++)
			check(strlen(s.ports[i]) < BPORT_NAME_SIZE);
		for (uint32_t i = 0; i < s.head->n_entries; i++)
			check(s.entries[i].port < s.head->n_ports && s.entries[i].vid < 4095 &&
			      mac_is_valid_source(s.entries[i].mac));
	}
	if (tree_keep_parse(bytes, size, &t))
		go_on(&t);
	free(bytes);
	return 0;
}
