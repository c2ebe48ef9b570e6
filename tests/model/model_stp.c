/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spanning trees against arithmetic: random networks of bridges and LANs in which links break,
 * bridges die or restart and settings change. Whenever nothing is on its way, ports that forward
 * must not form a loop; when it has been quiet for long enough, roots, costs and roles must be
 * those that follow from identifiers and costs alone (shortest paths, computed naively).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "core/stp.h"

#define N_NETS      150u
#define N_STEPS     60u
#define BRIDGES_MAX 7u
#define LANS_MAX    9u
#define PORTS_MAX_  5u
#define QUEUE_SIZE  8192u
#define SECOND_NS   1000000000ULL
#define QUIET_S     150u /* old word, at most 40 s; STP: two forward delays */

struct port {
	unsigned lan;
	bool up;
	uint8_t state;
};

struct node {
	struct stp *stp;
	uint64_t mac;
	bool dead;
	uint32_t n_ports;
	struct port ports[PORTS_MAX_ + 1]; /* by number, from 1 */
};

struct msg {
	uint32_t from, port;
	uint8_t data[BPDU_FRAME_SIZE];
};

struct net {
	uint32_t n, n_lans;
	struct node nodes[BRIDGES_MAX];
	struct msg queue[QUEUE_SIZE];
	uint32_t head, tail;
	uint64_t now_ns;
};

static uint64_t seed, rng_state;
static uint32_t net_no, step_no, n_restarts, n_restored;
static struct net net;

#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			die(#cond, __LINE__);                                                      \
	} while (0)

static void __attribute__((noreturn)) die(const char *what, int line)
{
	printf("line %d: not so: %s (net %u, step %u, %llu s); repeat with VIADUCT_SEED=%llu\n",
	       line, what, net_no, step_no, (unsigned long long)(net.now_ns / SECOND_NS),
	       (unsigned long long)seed);
	exit(1);
}

static uint32_t rnd(uint32_t n)
{
	uint64_t x = rng_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((x ^ x >> 31) % n);
}

/* ---- the network ---- */

static void on_tx(void *ctx, uint16_t no, const uint8_t *frame)
{
	struct msg *m = &net.queue[net.head % QUEUE_SIZE];

	check(net.head - net.tail < QUEUE_SIZE);
	net.head++;
	m->from = (uint32_t)((struct node *)ctx - net.nodes);
	m->port = no;
	memcpy(m->data, frame, BPDU_FRAME_SIZE);
}

static void on_state(void *ctx, uint16_t no, enum bport_state state)
{
	((struct node *)ctx)->ports[no].state = (uint8_t)state;
}

static void on_flush(void *ctx, uint16_t no)
{
	check(no >= 1 && no <= ((struct node *)ctx)->n_ports);
}

static void on_event(void *ctx, const struct stp_event *e)
{
	check(e->kind <= STP_EVENT_ROOT_BLOCK);
}

static void carry(const struct msg *m)
{
	const struct node *from = &net.nodes[m->from];
	unsigned lan = from->ports[m->port].lan;

	if (from->dead || !from->ports[m->port].up)
		return;
	for (uint32_t i = 0; i < net.n; i++) {
		struct node *to = &net.nodes[i];

		for (uint16_t no = 1; no <= to->n_ports && !to->dead; no++) {
			if (to->ports[no].lan != lan || !to->ports[no].up ||
			    (i == m->from && no == m->port))
				continue;
			stp_rx_frame(to->stp, no, m->data, BPDU_FRAME_SIZE);
		}
	}
}

static unsigned find(const unsigned *parent, unsigned x)
{
	while (parent[x] != x)
		x = parent[x];
	return x;
}

static bool has_loop(void)
{
	unsigned parent[BRIDGES_MAX + LANS_MAX];

	for (unsigned i = 0; i < array_size(parent); i++)
		parent[i] = i;
	for (uint32_t i = 0; i < net.n; i++) {
		const struct node *b = &net.nodes[i];

		for (uint16_t no = 1; no <= b->n_ports && !b->dead; no++) {
			unsigned x, y;

			if (b->ports[no].state != BPORT_FORWARDING)
				continue;
			check(b->ports[no].up);
			x = find(parent, i);
			y = find(parent, BRIDGES_MAX + b->ports[no].lan);
			if (x == y)
				return true;
			parent[x] = y;
		}
	}
	return false;
}

static void settle(void)
{
	while (net.tail != net.head) {
		struct msg m = net.queue[net.tail++ % QUEUE_SIZE];

		carry(&m);
	}
	check(!has_loop());
}

/* Bridges tick one after the other, each at its own moment of the second. */
static void run(uint32_t seconds)
{
	for (uint32_t s = 0; s < seconds; s++) {
		for (uint32_t i = 0; i < net.n; i++) {
			net.now_ns += SECOND_NS / net.n;
			if (net.nodes[i].dead)
				continue;
			stp_tick(net.nodes[i].stp, net.now_ns);
			settle();
		}
	}
}

/* ---- what must come out ---- */

struct plan {
	uint64_t root[BRIDGES_MAX], id[BRIDGES_MAX];
	uint32_t cost[BRIDGES_MAX];
	int designated[LANS_MAX]; /* bridge * 16 + port; -1: nobody there */
};

static bool is_there(const struct node *b, uint32_t no)
{
	return !b->dead && b->ports[no].up;
}

static uint16_t id_of(const struct node *b, uint32_t no)
{
	return (uint16_t)(stp_port_settings(b->stp, (uint16_t)no)->priority << 10 | no);
}

static uint32_t cost_of(const struct node *b, uint32_t no)
{
	struct stp_port_status st;

	check(stp_port_status(b->stp, (uint16_t)no, &st));
	return st.cost;
}

/* Is bridge a with port pa the better one for a LAN? */
static bool better(const struct plan *p, uint32_t a, uint32_t pa, uint32_t b, uint32_t pb)
{
	if (p->root[a] != p->root[b])
		return p->root[a] < p->root[b];
	if (p->cost[a] != p->cost[b])
		return p->cost[a] < p->cost[b];
	if (p->id[a] != p->id[b])
		return p->id[a] < p->id[b];
	return id_of(&net.nodes[a], pa) < id_of(&net.nodes[b], pb);
}

static void choose_designated(struct plan *p)
{
	memset(p->designated, 0xff, sizeof(p->designated));
	for (uint32_t i = 0; i < net.n; i++) {
		const struct node *b = &net.nodes[i];

		for (uint32_t no = 1; no <= b->n_ports; no++) {
			int *d = &p->designated[b->ports[no].lan];

			if (is_there(b, no) &&
			    (*d < 0 || better(p, i, no, (uint32_t)*d / 16, *d % 16)))
				*d = (int)(i * 16 + no);
		}
	}
}

/* One round of "what do I hear from the designated bridges?"; true: somebody learned something. */
static bool improve(struct plan *p)
{
	bool changed = false;

	choose_designated(p);
	for (uint32_t i = 0; i < net.n; i++) {
		const struct node *b = &net.nodes[i];

		for (uint32_t no = 1; no <= b->n_ports; no++) {
			uint32_t d, cost;

			if (!is_there(b, no))
				continue;
			d = (uint32_t)p->designated[b->ports[no].lan] / 16;
			cost = p->cost[d] + cost_of(b, no);
			if (d == i || p->root[d] > p->root[i] ||
			    (p->root[d] == p->root[i] && cost >= p->cost[i]))
				continue;
			p->root[i] = p->root[d];
			p->cost[i] = cost;
			changed = true;
		}
	}
	return changed;
}

static void make_plan(struct plan *p)
{
	for (uint32_t i = 0; i < net.n; i++) {
		const struct node *b = &net.nodes[i];

		p->id[i] = (uint64_t)stp_settings(b->stp)->priority << 48 | b->mac;
		p->root[i] = b->dead ? UINT64_MAX : p->id[i];
		p->cost[i] = 0;
	}
	while (improve(p))
		;
}

/* The port where bridge i hears best of its root; 0: it is the root. */
static uint32_t root_port(const struct plan *p, uint32_t i)
{
	const struct node *b = &net.nodes[i];
	uint32_t best = 0;

	for (uint32_t no = 1; no <= b->n_ports && p->root[i] != p->id[i]; no++) {
		uint32_t d = (uint32_t)p->designated[b->ports[no].lan];
		uint32_t o = best ? (uint32_t)p->designated[b->ports[best].lan] : 0;

		if (!is_there(b, no) || d / 16 == i || p->root[d / 16] != p->root[i] ||
		    p->cost[d / 16] + cost_of(b, no) != p->cost[i])
			continue;
		if (!best || p->id[d / 16] < p->id[o / 16] ||
		    (d / 16 == o / 16 &&
		     (id_of(&net.nodes[d / 16], d % 16) < id_of(&net.nodes[o / 16], o % 16) ||
		      (d == o && id_of(b, no) < id_of(b, best)))))
			best = no;
	}
	return best;
}

static void compare_port(const struct plan *p, uint32_t i, uint32_t no)
{
	const struct node *b = &net.nodes[i];
	struct stp_port_status st;
	int d = p->designated[b->ports[no].lan];

	check(stp_port_status(b->stp, (uint16_t)no, &st));
	if (!b->ports[no].up) {
		check(st.role == STP_DISABLED && b->ports[no].state == BPORT_DISABLED);
	} else if (no == root_port(p, i)) {
		check(st.role == STP_ROOT && b->ports[no].state == BPORT_FORWARDING);
	} else if (d == (int)(i * 16 + no)) {
		check(st.role == STP_DESIGNATED && b->ports[no].state == BPORT_FORWARDING);
	} else {
		check(st.role == (d / 16 == (int)i ? STP_BACKUP : STP_ALTERNATE));
		check(b->ports[no].state == BPORT_BLOCKING);
	}
	check(st.state == b->ports[no].state);
}

static void compare(void)
{
	struct plan p;

	make_plan(&p);
	for (uint32_t i = 0; i < net.n; i++) {
		struct stp_status st;

		if (net.nodes[i].dead)
			continue;
		stp_status(net.nodes[i].stp, &st);
		check(st.root == p.root[i] && st.root_cost == p.cost[i]);
		check(st.root_port == root_port(&p, i));
		for (uint32_t no = 1; no <= net.nodes[i].n_ports; no++)
			compare_port(&p, i, no);
	}
}

/* ---- what happens ---- */

/* More than two ports in a LAN: an agreement of one says nothing of the others. */
static bool is_shared(unsigned lan)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < net.n; i++) {
		for (uint32_t no = 1; no <= net.nodes[i].n_ports; no++)
			n += net.nodes[i].ports[no].lan == lan;
	}
	return n > 2;
}

static void random_port_settings(struct node *b, uint16_t no)
{
	struct stp_port_settings set = *stp_port_settings(b->stp, no);

	set.cost = rnd(2) ? 0 : 1 + rnd(5000);
	set.priority = (uint8_t)(rnd(3) ? 32 : rnd(64));
	set.p2p = (uint8_t)(rnd(4) && !is_shared(b->ports[no].lan) ? STP_AUTO : STP_OFF);
	set.edge = (uint8_t)(rnd(3) ? STP_AUTO : STP_OFF);
	stp_port_set(b->stp, no, &set);
}

static void random_settings(struct node *b, bool on)
{
	struct stp_settings set = *stp_settings(b->stp);

	set.enabled = on;
	set.priority = (uint16_t)(rnd(16) * 4096);
	set.hello = (uint8_t)(1 + rnd(2));
	set.tx_hold_count = (uint8_t)(3 + rnd(8));
	if (!rnd(8))
		set.version = set.version ? STP_VERSION_STP : STP_VERSION_RSTP;
	check(!stp_settings_check(&set));
	stp_set(b->stp, &set);
}

static void set_link(struct node *b, uint16_t no, bool up)
{
	b->ports[no].up = up;
	stp_port_link(b->stp, no, up, b->mac + no);
}

/* Stopped in order and started again; meanwhile it hears nothing, and links of others change. */
static void restart(struct node *b)
{
	static struct stp_port_memory ports[STP_PORTS];
	struct stp_memory m;
	const uint64_t start_ns = net.now_ns;
	const bool saved = !b->dead && stp_save(b->stp, &m, ports);

	if (!saved)
		return;
	check(stp_memory_is_sane(&m, ports));
	settle();
	b->dead = true;
	for (uint32_t n = rnd(7); n > 0; n--) {
		struct node *o = &net.nodes[rnd(net.n)];
		const uint16_t no = (uint16_t)(1 + rnd(o->n_ports));

		if (o != b && !rnd(3))
			set_link(o, no, !o->ports[no].up);
		run(1);
	}
	b->dead = false;
	if (stp_restore(b->stp, &m, ports, (net.now_ns - start_ns) / 1000000, true))
		n_restored++;
	else
		stp_release(b->stp);
	n_restarts++;
	stp_tick(b->stp, net.now_ns);
}

static void step(void)
{
	struct node *b = &net.nodes[rnd(net.n)];
	uint16_t no = (uint16_t)(1 + rnd(b->n_ports));

	switch (rnd(13)) {
	case 0:
		random_settings(b, true);
		break;
	case 1:
		random_port_settings(b, no);
		break;
	case 2:
		b->dead = !b->dead;
		if (!b->dead) /* it was not there for a while, or its tick is not due */
			stp_tick(b->stp, net.now_ns);
		break;
	case 3:
	case 4:
	case 5:
		set_link(b, no, !b->ports[no].up);
		break;
	case 6:
		stp_port_mcheck(b->stp, no);
		break;
	case 12:
		restart(b);
		break;
	case 7:
		run(QUIET_S);
		compare();
		break;
	default:
		run(1 + rnd(6));
		break;
	}
	settle();
}

static void random_net(void)
{
	static const struct stp_ops ops = {
		.tx = on_tx, .set_state = on_state, .flush = on_flush, .event = on_event};

	memset(&net, 0, sizeof(net));
	net.n = 2 + rnd(BRIDGES_MAX - 1);
	net.n_lans = 1 + rnd(LANS_MAX);
	for (uint32_t i = 0; i < net.n; i++) {
		struct node *b = &net.nodes[i];
		struct stp_ops mine = ops;

		mine.ctx = b;
		b->stp = stp_new(&mine);
		check(b->stp);
		b->mac = 0x020000000000ULL | rnd(1u << 16) << 8 | i << 4;
		stp_set_mac(b->stp, b->mac);
		b->n_ports = 1 + rnd(PORTS_MAX_);
		for (uint16_t no = 1; no <= b->n_ports; no++) {
			b->ports[no].lan = rnd(net.n_lans);
			check(stp_port_add(b->stp, no, b->mac + no) == 0);
			set_link(b, no, rnd(8));
		}
	}
	for (uint32_t i = 0; i < net.n; i++) {
		for (uint16_t no = 1; no <= net.nodes[i].n_ports; no++)
			random_port_settings(&net.nodes[i], no);
	}
	for (uint32_t i = 0; i < net.n; i++) {
		random_settings(&net.nodes[i], true);
		stp_tick(net.nodes[i].stp, net.now_ns);
	}
	settle();
}

int main(void)
{
	const char *env = getenv("VIADUCT_SEED");

	seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);
	rng_state = seed;
	for (net_no = 0; net_no < N_NETS; net_no++) {
		random_net();
		for (step_no = 0; step_no < N_STEPS; step_no++)
			step();
		run(QUIET_S);
		compare();
		for (uint32_t i = 0; i < net.n; i++)
			stp_free(net.nodes[i].stp);
	}
	check(n_restored > 0 && n_restored < n_restarts);
	printf("%u networks, %u steps each, %u of %u restarted bridges went on, seed %llu\n",
	       N_NETS, N_STEPS, n_restored, n_restarts, (unsigned long long)seed);
	return 0;
}
