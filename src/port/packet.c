/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any Ethernet device through AF_PACKET with vnet headers (Linux, networking/packet_mmap):
 * checksums may stay unfinished and 64 KB GSO frames pass whole. Receiving: afpacket_rx.c, which
 * has the theory; sending: afpacket_tx.c.
 *
 * The host's stack must not see the frames: a tc program drops them behind the packet sockets.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/err.h"
#include "port/afpacket_rx.h"
#include "port/afpacket_tx.h"
#include "port/driver.h"
#include "port/env.h"

struct packet_port {
	struct port head;
	struct afpacket_rx rx;
	struct afpacket_tx tx;
	struct port_env *env;
	struct env_claim claim;
	struct sys_bpf_attachment steal;
};

static void packet_close(struct port *head)
{
	struct packet_port *p = container_of(head, struct packet_port, head);

	afpacket_rx_close(&p->rx, p->head.bufs);
	sys_bpf_detach(&p->steal);
	env_release(p->env, &p->claim);
	p->env->n_packet--;
	free(p);
}

static int set_up(struct packet_port *p, const char **ret_why)
{
	int r = port_env_prepare(p->env, ret_why);

	if (r == 0)
		r = env_claim(p->env, &p->claim, p->head.name, p->head.ifindex, ret_why);
	if (r == 0)
		r = sys_bpf_attach_tc(&p->steal, p->env->progs.steal, p->head.ifindex, false,
				      ret_why);
	if (r)
		return error_trace(r);
	if (p->steal.made_clsact)
		env_claim_clsact(p->env, &p->claim);
	r = afpacket_rx_open(&p->rx, &p->head, AFPACKET_INCOMING, p->env, ret_why);
	p->head.fd = p->rx.fd;
	return error_trace(r);
}

static int packet_open(const struct port_config *cfg, struct port **ret, const char **ret_why)
{
	uint32_t ifindex = if_nametoindex(cfg->name);
	struct packet_port *p;
	int r;

	if (ifindex == 0) {
		*ret_why = "no such device";
		return error_origin(-ENODEV);
	}
	p = calloc(1, sizeof(*p));
	if (!p) {
		*ret_why = "no memory";
		return error_origin(-ENOMEM);
	}
	p->env = cfg->env;
	afpacket_rx_init(&p->rx);
	p->head = (struct port){.driver = &port_driver_packet,
				.bufs = cfg->bufs,
				.fd = -1,
				.ifindex = ifindex,
				.mode = "ring v2 + queue"};
	strncpy(p->head.name, cfg->name, sizeof(p->head.name) - 1);
	p->env->n_packet++;
	r = set_up(p, ret_why);
	if (r) {
		packet_close(&p->head);
		return error_trace(r);
	}
	p->head.caps = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_TSO_ECN |
		       (p->env->uso ? OFFLOAD_USO : 0);
	afpacket_tx_init(&p->tx, &p->head, p->env);
	*ret = &p->head;
	return 0;
}

static uint32_t packet_rx(struct port *head, struct batch *b)
{
	struct packet_port *p = container_of(head, struct packet_port, head);

	return afpacket_rx(&p->rx, head, b);
}

static uint32_t packet_tx(struct port *head, struct frame *const *frames, uint32_t n)
{
	struct packet_port *p = container_of(head, struct packet_port, head);

	return afpacket_tx(&p->tx, head, p->rx.queue_fd, frames, n);
}

static bool packet_arm(struct port *head)
{
	struct packet_port *p = container_of(head, struct packet_port, head);

	return afpacket_rx_arm(&p->rx, head);
}

static void packet_update_stats(struct port *head)
{
	struct packet_port *p = container_of(head, struct packet_port, head);

	head->drops.n[DROP_RX_RING_FULL] += afpacket_rx_overruns(&p->rx);
}

const struct port_driver port_driver_packet = {
	.name = "packet",
	.alone = true,
	.open = packet_open,
	.close = packet_close,
	.rx = packet_rx,
	.tx = packet_tx,
	.arm = packet_arm,
	.update_stats = packet_update_stats,
};
