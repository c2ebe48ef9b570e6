/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation. The trunk is a TAP whose file nobody reads. What tc programs redirect into
 * it (bpf/trunk.bpf.c) passes its egress, where two packet sockets (afpacket_rx.c) have a copy of
 * it, and reaches the TAP's transmit function, where a filter throws it away. So it is never
 * queued, and the device says "dropped" of each frame. What we send on it never gets there: its
 * egress program redirects it back to the place.
 *
 * The kernel makes frames fit the TAP before the sockets see them: GSO of TCP and UDP stays whole,
 * checksums stay unfinished; tunnels are cut and SCTP checksums finished, since vnet headers cannot
 * say them. The tag that names the place stays beside the frame, because a TAP takes 802.1ad tags
 * beside frames; one that was there before is in the bytes then. (Kernel 6.1 puts it into the bytes
 * of frames that encapsulate; afpacket_place.h takes it out there.)
 *
 * One batch of the sockets may be of several places. rx() hands out the frames of one and holds the
 * others for the next calls: order within a place is kept, between places nobody can tell.
 *
 * A worker that hangs: a place notes the time of a frame when there was none waiting; rx() moves
 * the note up while it makes progress, and takes it away when it has read all. A note that is older
 * than hang_ms makes the places leave the trunk alone, without anybody's help. A frame that is lost
 * between the note and the socket (no memory) would leave a note that nobody takes away, so a place
 * that finds an old note rings: it sends an empty tag that wakes a worker which only sleeps.
 */
#include "port/trunk.h"

#include <arpa/inet.h>
#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/log.h"
#include "bpf/trunk.h"
#include "bpf/trunk.skel.h"
#include "port/afpacket_rx.h"
#include "port/afpacket_tx.h"
#include "port/env.h"
#include "port/helper.h"
#include "port/take.h"
#include "port/trunk_gate.h"
#include "sys/cbpf.h"
#include "sys/clock.h"

LOG_MODULE("port/trunk");

#define SNDBUF (64 << 20)

_Static_assert(TRUNK_DO_PASS == TRUNK_PASS + 1 && TRUNK_DO_TAKE == TRUNK_TAKE + 1 &&
		       TRUNK_DO_COPY == TRUNK_COPY + 1 && TRUNK_DO_DROP == TRUNK_DROP + 1,
	       "an action is one more in the program, where 0 is none yet");
_Static_assert(TRUNK_PLACES == PORTS_MAX, "places have the numbers of ports");

struct place {
	struct port head;
	struct trunk *trunk;
	uint16_t no;
	enum trunk_where where;
	struct sys_bpf_attachment tc;
	uint64_t refused; /* of the program's count, already in head.drops */
	struct afpacket_tx tx;
	struct port *xdp;  /* what takes frames in front of the tc program, or NULL */
	char xdp_why[112]; /* why there is none, if that was tried */
};

struct gate {
	struct gate *next;
	bool kept; /* by the kernel, when we go */
	struct sys_bpf_attachment tc;
};

struct trunk {
	struct port head;
	struct port_env *env;
	struct helper tap;
	struct afpacket_rx rx;
	struct trunk_bpf *bpf;
	struct sys_bpf_attachment tc;
	uint32_t n_held;
	struct frame held[BATCH_MAX]; /* read, of other places than the batch before */
	struct gate *gates;
	struct place *places[TRUNK_PLACES];
};

/* ---- the receiving end ---- */

/* Frames of one place from what is held to b, which is empty. */
static void hand_out(struct trunk *t, struct batch *b)
{
	const uint16_t no = t->held[0].in_port;
	uint32_t left = 0;

	for (uint32_t i = 0; i < t->n_held; i++) {
		if (t->held[i].in_port == no)
			b->frames[b->n++] = t->held[i];
		else
			t->held[left++] = t->held[i];
	}
	t->n_held = left;
	b->in_port = no;
}

static bool of_one_place(const struct batch *b)
{
	for (uint32_t i = 1; i < b->n; i++)
		if (b->frames[i].in_port != b->frames[0].in_port)
			return false;
	return true;
}

/* We are alive: nothing waits, or something does since now at most. more: in some other place. */
static void note_progress(struct trunk *t, uint64_t now_ns, bool more)
{
	unsigned long long *oldest_ns = &t->bpf->bss->vd_shared.oldest_ns;
	const bool waiting = more || t->n_held || afpacket_rx_pending(&t->rx);

	if (waiting)
		__atomic_store_n(oldest_ns, now_ns ? now_ns : clock_now_ns(), __ATOMIC_RELAXED);
	else if (__atomic_load_n(oldest_ns, __ATOMIC_RELAXED))
		__atomic_store_n(oldest_ns, 0, __ATOMIC_RELAXED);
}

static uint32_t trunk_rx(struct port *head, struct batch *b)
{
	struct trunk *t = container_of(head, struct trunk, head);

	assert(b->n == 0);
	if (t->n_held) {
		hand_out(t, b);
	} else if (afpacket_rx(&t->rx, head, b)) {
		b->in_port = b->frames[0].in_port;
		if (!of_one_place(b)) {
			t->n_held = b->n;
			memcpy(t->held, b->frames, b->n * sizeof(b->frames[0]));
			b->n = 0;
			hand_out(t, b);
		}
	}
	note_progress(t, b->now_ns, false);
	return b->n;
}

static bool trunk_arm(struct port *head)
{
	struct trunk *t = container_of(head, struct trunk, head);

	if (t->n_held) {
		head->stats.wakeups++;
		return true;
	}
	/* First this, then look: what comes in between notes its time again. */
	__atomic_store_n(&t->bpf->bss->vd_shared.oldest_ns, 0, __ATOMIC_SEQ_CST);
	return afpacket_rx_arm(&t->rx, head);
}

static void trunk_update_stats(struct port *head)
{
	struct trunk *t = container_of(head, struct trunk, head);

	head->drops.n[DROP_RX_RING_FULL] += afpacket_rx_overruns(&t->rx);
}

static const struct port_driver driver_trunk = {
	.name = "trunk",
	.rx = trunk_rx,
	.arm = trunk_arm,
	.update_stats = trunk_update_stats,
};

/* ---- opening ---- */

static int load(struct trunk *t, const struct trunk_config *cfg, const char **ret_why)
{
	struct trunk_bpf *o;
	socklen_t size = sizeof(o->rodata->vd_cookie);
	int r;

	o = t->bpf = trunk_bpf__open();
	if (!o) {
		*ret_why = "no memory for its BPF programs";
		return error_origin(-ENOMEM);
	}
	o->rodata->vd_trunk = t->tap.ifindex;
	while (!o->rodata->vd_seen || o->rodata->vd_seen == UINT16_MAX)
		if (getrandom((void *)&o->rodata->vd_seen, sizeof(o->rodata->vd_seen), 0) < 0)
			return error_origin(-errno);
	*(uint16_t *)&o->rodata->vd_passed = (uint16_t)(o->rodata->vd_seen + 1);
	if (getsockopt(t->rx.queue_fd, SOL_SOCKET, SO_COOKIE, (void *)&o->rodata->vd_cookie, &size))
		return error_origin(-errno);
	r = trunk_bpf__load(o);
	if (r) {
		*ret_why = r == -EPERM || r == -EACCES
				   ? "needs CAP_BPF and CAP_NET_ADMIN to load its BPF programs"
				   : "the kernel refuses its BPF programs";
		return error_origin(r);
	}
	trunk_set_fail(t, cfg->closed, cfg->hang_ms);
	return 0;
}

/* The end of the way up, and the beginning of the way down. */
static int set_up_tap(struct trunk *t, const char **ret_why)
{
	const int end = bpf_program__fd(t->bpf->progs.vd_trunk_end), size = SNDBUF;

	if (ioctl(t->tap.fd, TUNSETFILTEREBPF, &end) < 0) {
		*ret_why = "the kernel refuses a filter on its helper device";
		return error_origin(-errno);
	}
	setsockopt(t->rx.queue_fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return error_trace(sys_bpf_attach_tc(&t->tc, bpf_program__fd(t->bpf->progs.vd_trunk_out),
					     t->tap.ifindex, true, ret_why));
}

static int set_up(struct trunk *t, const struct trunk_config *cfg, const char **ret_why)
{
	int r;

	*ret_why = "the kernel refuses what it needs";
	r = port_env_load(t->env, ret_why);
	if (r == 0)
		r = helper_open(&t->tap, t->env->sock, PORT_ENV_TRUNK "%d", ret_why);
	if (r)
		return error_trace(r);
	t->head.ifindex = t->tap.ifindex;
	memcpy(t->head.name, t->tap.name, sizeof(t->head.name));
	r = afpacket_rx_open(&t->rx, &t->head, AFPACKET_TRUNK, t->env, ret_why);
	t->head.fd = t->rx.fd;
	if (r == 0)
		r = load(t, cfg, ret_why);
	if (r == 0)
		r = set_up_tap(t, ret_why);
	return error_trace(r);
}

int trunk_open(const struct trunk_config *cfg, struct trunk **ret, const char **ret_why)
{
	struct trunk *t = calloc(1, sizeof(*t));
	int r;

	if (!t) {
		*ret_why = "no memory";
		return error_origin(-ENOMEM);
	}
	t->env = cfg->env;
	t->head = (struct port){
		.driver = &driver_trunk, .bufs = cfg->bufs, .fd = -1, .mode = "ring v2 + queue"};
	t->tap.fd = -1;
	afpacket_rx_init(&t->rx);
	t->env->n_packet++;
	r = set_up(t, cfg, ret_why);
	if (r) {
		trunk_close(t);
		return error_trace(r);
	}
	log_debug("%s: trunk %s, %s", cfg->name, t->head.name, t->tap.uso ? "uso" : "no uso");
	*ret = t;
	return 0;
}

bool trunk_fits(const struct trunk *t, bool up, uint32_t mtu)
{
	return up && mtu >= HELPER_MTU;
}

static struct gate **find_gate(struct trunk *t, uint32_t ifindex, bool egress)
{
	struct gate **at = &t->gates;

	while (*at && ((*at)->tc.ifindex != ifindex || (*at)->tc.egress != egress))
		at = &(*at)->next;
	return at;
}

static void forget_gate(struct gate **at)
{
	struct gate *g = *at;

	*at = g->next;
	if (g->kept)
		sys_bpf_let_go(&g->tc);
	else
		sys_bpf_detach(&g->tc);
	free(g);
}

struct trunk *trunk_close(struct trunk *t)
{
	if (!t)
		return NULL;
	for (uint32_t i = 0; i < TRUNK_PLACES; i++)
		if (t->places[i])
			trunk_place_close(&t->places[i]->head);
	while (t->gates)
		forget_gate(&t->gates);
	for (uint32_t i = 0; i < t->n_held; i++)
		buf_put_one(t->head.bufs, t->held[i].buf);
	sys_bpf_detach(&t->tc);
	trunk_bpf__destroy(t->bpf);
	afpacket_rx_close(&t->rx, t->head.bufs);
	helper_close(&t->tap);
	t->env->n_packet--;
	free(t);
	return NULL;
}

struct port *trunk_port(struct trunk *t)
{
	return &t->head;
}

/* ---- places ---- */

static struct trunk_place *state_of(const struct place *p)
{
	return &p->trunk->bpf->bss->vd_places[p->no];
}

static uint32_t place_tx(struct port *head, struct frame *const *frames, uint32_t n)
{
	struct place *p = container_of(head, struct place, head);

	return afpacket_tx(&p->tx, head, -1, frames, n);
}

/* What the XDP half counts is the place's. */
static void merge_stats(struct place *p)
{
	struct port *x = p->xdp;
	struct port_stats *to = &p->head.stats;

	x->driver->update_stats(x);
	for (int i = 0; i < DROP_N; i++)
		p->head.drops.n[i] += x->drops.n[i];
	to->rx_packets += x->stats.rx_packets;
	to->rx_bytes += x->stats.rx_bytes;
	to->rx_calls += x->stats.rx_calls;
	to->wakeups += x->stats.wakeups;
	to->offload.tags_restored += x->stats.offload.tags_restored;
	x->stats = (struct port_stats){0};
	x->drops = (struct drop_counters){0};
}

static void place_update_stats(struct port *head)
{
	struct place *p = container_of(head, struct place, head);
	struct trunk_place *s = state_of(p);
	uint64_t refused = __atomic_load_n(&s->refused, __ATOMIC_RELAXED);

	if (p->xdp)
		merge_stats(p);
	head->drops.n[DROP_NOT_INSPECTED] = __atomic_load_n(&s->dropped, __ATOMIC_RELAXED);
	head->drops.n[DROP_NO_BUFFER] += refused - p->refused;
	p->refused = refused;
}

static const struct port_driver driver_place = {
	.name = "trunk",
	.close = trunk_place_close,
	.tx = place_tx,
	.update_stats = place_update_stats,
};

static int attach(struct place *p, const char **ret_why)
{
	const struct trunk *t = p->trunk;
	const bool egress = p->where == TRUNK_EGRESS;
	const uint32_t key = TRUNK_KEY(p->head.ifindex, egress), no = p->no;
	const struct bpf_program *prog =
		egress ? t->bpf->progs.vd_place_out : t->bpf->progs.vd_place_in;
	int map = bpf_map__fd(t->bpf->maps.vd_numbers), r;

	if (bpf_map_update_elem(map, &key, &no, BPF_NOEXIST)) {
		*ret_why = errno == EEXIST ? "its frames are taken already"
					   : "the kernel refuses an entry in its BPF map";
		return error_origin(-errno);
	}
	r = sys_bpf_attach_tc(&p->tc, bpf_program__fd(prog), p->head.ifindex, egress, ret_why);
	if (r)
		bpf_map_delete_elem(map, &key);
	return error_trace(r);
}

/* Did we make the device's qdisc for another place? Then whichever goes last takes it away. */
static bool made_clsact(const struct trunk *t, uint32_t ifindex)
{
	for (uint32_t i = 0; i < TRUNK_PLACES; i++)
		if (t->places[i] && t->places[i]->head.ifindex == ifindex &&
		    t->places[i]->tc.made_clsact)
			return true;
	return false;
}

int trunk_place_open(struct trunk *t, uint32_t ifindex, enum trunk_where where, uint16_t no,
		     struct port **ret, const char **ret_why)
{
	struct place *p;
	int r;

	assert(no > 0 && no < TRUNK_PLACES && !t->places[no]);
	p = calloc(1, sizeof(*p));
	if (!p) {
		*ret_why = "no memory";
		return error_origin(-ENOMEM);
	}
	p->trunk = t;
	p->no = no;
	p->where = where;
	p->head = (struct port){.driver = &driver_place,
				.bufs = t->head.bufs,
				.fd = -1,
				.ifindex = ifindex,
				.caps = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 |
					OFFLOAD_TSO_ECN | (t->tap.uso ? OFFLOAD_USO : 0)};
	if (!if_indextoname(ifindex, p->head.name)) {
		*ret_why = "no such device";
		r = error_origin(-ENODEV);
	} else {
		*state_of(p) = (struct trunk_place){0};
		r = attach(p, ret_why);
	}
	if (r) {
		free(p);
		return error_trace(r);
	}
	snprintf(p->head.mode, sizeof(p->head.mode), "%s",
		 p->tc.how == SYS_BPF_TCX ? "tcx" : "clsact");
	if (p->tc.how == SYS_BPF_CLSACT) {
		p->tc.made_clsact |= made_clsact(t, ifindex);
		env_note_place(t->env, ifindex, where == TRUNK_EGRESS, p->tc.made_clsact);
	}
	afpacket_tx_init_marked(&p->tx, t->env->sock, t->rx.queue_fd,
				ifindex | (where == TRUNK_INGRESS ? TRUNK_MARK_INGRESS : 0));
	t->places[no] = p;
	*ret = &p->head;
	return 0;
}

bool trunk_place_exempt_vlan(struct port *place, uint16_t tpid, uint16_t vid, bool exempt)
{
	const struct place *p = container_of(place, struct place, head);
	const uint64_t key = TRUNK_VLAN_KEY(place->ifindex, htons(tpid), vid);
	const uint8_t yes = 1;
	int map;

	if (place->driver != &driver_place) /* one of another kind, which has no map */
		return false;
	map = bpf_map__fd(p->trunk->bpf->maps.vd_vlans);
	return exempt ? !bpf_map_update_elem(map, &key, &yes, BPF_NOEXIST)
		      : !bpf_map_delete_elem(map, &key);
}

/* The device may be something else when it comes back. */
static void forget_vlans(const struct trunk *t, uint32_t ifindex)
{
	const int map = bpf_map__fd(t->bpf->maps.vd_vlans);
	uint64_t key, next;
	bool any = !bpf_map_get_next_key(map, NULL, &next);

	while (any) {
		key = next;
		any = !bpf_map_get_next_key(map, &key, &next);
		if (TRUNK_VLAN_DEV(key) == ifindex)
			bpf_map_delete_elem(map, &key);
	}
}

void trunk_place_close(struct port *place)
{
	struct place *p = container_of(place, struct place, head);
	struct trunk *t = p->trunk;
	const uint32_t key = TRUNK_KEY(place->ifindex, p->where == TRUNK_EGRESS);
	const bool clsact = p->tc.how == SYS_BPF_CLSACT;

	trunk_xdp_close(place);
	sys_bpf_detach(&p->tc);
	if (clsact)
		env_forget_place(t->env, place->ifindex, p->where == TRUNK_EGRESS);
	bpf_map_delete_elem(bpf_map__fd(t->bpf->maps.vd_numbers), &key);
	if (p->where == TRUNK_INGRESS)
		forget_vlans(t, place->ifindex);
	t->places[p->no] = NULL;
	free(p);
}

/* ---- places by XDP ---- */

static uint32_t xdp_place_rx(struct port *head, struct batch *b)
{
	struct place *p = container_of(head, struct place, head);
	uint32_t n;

	p->xdp->bufs = head->bufs;
	n = p->xdp->driver->rx(p->xdp, b);
	note_progress(p->trunk, b->now_ns, n == BATCH_MAX);
	return n;
}

static bool xdp_place_arm(struct port *head)
{
	struct place *p = container_of(head, struct place, head);

	p->xdp->bufs = head->bufs;
	/* As in trunk_arm(). */
	__atomic_store_n(&p->trunk->bpf->bss->vd_shared.oldest_ns, 0, __ATOMIC_SEQ_CST);
	return p->xdp->driver->arm(p->xdp);
}

static const struct port_driver driver_xdp_place = {
	.name = "trunk",
	.close = trunk_place_close,
	.rx = xdp_place_rx,
	.arm = xdp_place_arm,
	.tx = place_tx,
	.update_stats = place_update_stats,
};

int trunk_xdp_open(struct port *place, struct bufpool *pool, const char **ret_why)
{
	struct place *p = container_of(place, struct place, head);
	const struct trunk_bpf *o = p->trunk->bpf;
	const uint8_t *bss = (const uint8_t *)o->bss;
	const struct take_config cfg = {
		.name = place->name,
		.pool = pool,
		.state_fd = bpf_map__fd(o->maps.bss),
		.vlans_fd = bpf_map__fd(o->maps.vd_vlans),
		.shared_ofs = (uint32_t)((const uint8_t *)&o->bss->vd_shared - bss),
		.place_ofs = (uint32_t)((const uint8_t *)state_of(p) - bss),
	};

	int r;

	assert(!p->xdp && p->where == TRUNK_INGRESS);
	r = take_open(&cfg, &p->xdp, ret_why);
	snprintf(p->xdp_why, sizeof(p->xdp_why), "%s", r ? *ret_why : "");
	return error_trace(r);
}

void trunk_xdp_use(struct port *place, bool on)
{
	struct place *p = container_of(place, struct place, head);

	place->driver = on ? &driver_xdp_place : &driver_place;
	place->fd = on ? p->xdp->fd : -1;
}

void trunk_xdp_stop(struct port *place)
{
	struct place *p = container_of(place, struct place, head);

	if (p->xdp)
		take_stop(p->xdp);
}

void trunk_xdp_close(struct port *place)
{
	struct place *p = container_of(place, struct place, head);

	if (p->xdp)
		p->xdp->driver->close(p->xdp);
	p->xdp = NULL;
	p->xdp_why[0] = '\0';
}

int trunk_xdp_set_exempt(struct port *place, const struct sock_filter *prog, uint32_t n,
			 const char **ret_why)
{
	struct place *p = container_of(place, struct place, head);

	return p->xdp ? error_trace(take_set_exempt(p->xdp, prog, n, ret_why)) : 0;
}

const char *trunk_xdp_mode(const struct port *place)
{
	const struct place *p = container_of(place, struct place, head);

	return p->xdp ? p->xdp->mode : NULL;
}

const char *trunk_xdp_why(const struct port *place)
{
	return container_of(place, struct place, head)->xdp_why;
}

/* ---- plans ---- */

void trunk_plan(struct port *place, enum trunk_action a)
{
	struct place *p = container_of(place, struct place, head);

	__atomic_store_n(&state_of(p)->what, (unsigned int)a + 1, __ATOMIC_RELEASE);
}

void trunk_place_counts(const struct port *place, struct trunk_counts *ret)
{
	const struct trunk_place *s = state_of(container_of(place, struct place, head));

	*ret = (struct trunk_counts){
		.taken = __atomic_load_n(&s->taken, __ATOMIC_RELAXED),
		.by_xdp = __atomic_load_n(&s->by_xdp, __ATOMIC_RELAXED),
		.copied = __atomic_load_n(&s->copied, __ATOMIC_RELAXED),
		.returned = __atomic_load_n(&s->returned, __ATOMIC_RELAXED),
		.hung = __atomic_load_n(&s->hung, __ATOMIC_RELAXED),
		.exempt = __atomic_load_n(&s->exempt, __ATOMIC_RELAXED),
		.reserved = __atomic_load_n(&s->reserved, __ATOMIC_RELAXED),
		.dropped = __atomic_load_n(&s->dropped, __ATOMIC_RELAXED),
	};
}

/* ---- gates ---- */

/* The attachment of the place on that side of a device; NULL: there is none. */
static const struct sys_bpf_attachment *place_at(const struct trunk *t, uint32_t ifindex,
						 bool egress)
{
	for (uint32_t i = 0; i < TRUNK_PLACES; i++) {
		const struct place *p = t->places[i];

		if (p && p->head.ifindex == ifindex && p->tc.egress == egress)
			return &p->tc;
	}
	return NULL;
}

/* Behind the place: what that takes must not meet the gate before, nor lose its mark there. */
int trunk_gate_open(struct trunk *t, uint32_t ifindex, enum trunk_where where, const char **ret_why)
{
	const bool egress = where == TRUNK_EGRESS;
	struct gate *g = calloc(1, sizeof(*g)), **old = find_gate(t, ifindex, egress);
	int r;

	assert(t->bpf->bss->vd_shared.closed); /* nothing would pass */
	if (!g) {
		*ret_why = "no memory";
		return error_origin(-ENOMEM);
	}
	if (*old)
		forget_gate(old);
	r = gate_attach(&g->tc, bpf_program__fd(t->bpf->progs.vd_gate), ifindex, egress,
			place_at(t, ifindex, egress), ret_why);
	if (r < 0) {
		free(g);
		return error_trace(r);
	}
	g->kept = r == 0;
	g->tc.made_clsact |= g->tc.how == SYS_BPF_CLSACT && made_clsact(t, ifindex);
	g->next = t->gates;
	t->gates = g;
	return g->kept ? 0 : TRUNK_E_UNPINNED;
}

bool trunk_gate_left(uint32_t ifindex, enum trunk_where where)
{
	return gate_left(ifindex, where == TRUNK_EGRESS);
}

void trunk_gate_close(struct trunk *t, uint32_t ifindex, enum trunk_where where)
{
	const bool egress = where == TRUNK_EGRESS;
	struct gate **g = t ? find_gate(t, ifindex, egress) : NULL;
	const bool made = g && *g && (*g)->tc.made_clsact;

	if (g && *g)
		forget_gate(g);
	gate_remove(ifindex, egress, made);
}

uint64_t trunk_gate_drops(const struct trunk *t)
{
	return __atomic_load_n(&t->bpf->bss->vd_shared.gated, __ATOMIC_RELAXED);
}

/* ---- the whole trunk ---- */

void trunk_set_fail(struct trunk *t, bool closed, uint32_t hang_ms)
{
	struct trunk_shared *s = &t->bpf->bss->vd_shared;

	__atomic_store_n(&s->closed, closed, __ATOMIC_RELEASE);
	__atomic_store_n(&s->hang_ns, (uint64_t)hang_ms * 1000000u, __ATOMIC_RELEASE);
}

static int set_slot(const struct trunk *t, uint32_t slot, int fd)
{
	int r = bpf_map_update_elem(bpf_map__fd(t->bpf->maps.vd_slots), &slot, &fd, BPF_ANY);

	return r ? error_origin(-errno) : 0;
}

int trunk_set_exempt(struct trunk *t, const struct sock_filter *prog, uint32_t n,
		     const char **ret_why)
{
	const struct cbpf_target rest = {bpf_map__fd(t->bpf->maps.vd_slots), TRUNK_SLOT_TAKE};
	unsigned int *any = &t->bpf->bss->vd_shared.exempt_expr;
	const unsigned int before = *any;
	const uint32_t slot = TRUNK_SLOT_EXEMPT;
	int fd, r;

	if (n == 0) {
		__atomic_store_n(any, 0, __ATOMIC_RELEASE);
		bpf_map_delete_elem(rest.map_fd, &slot);
		return 0;
	}
	*ret_why = "the kernel refuses its program";
	r = set_slot(t, TRUNK_SLOT_TAKE, bpf_program__fd(t->bpf->progs.vd_take));
	if (r)
		return error_trace(r);
	fd = cbpf_load(prog, n, &rest, ret_why);
	if (fd < 0)
		return error_trace(fd);
	__atomic_store_n(any, 1, __ATOMIC_RELEASE);
	r = set_slot(t, slot, fd);
	if (r)
		__atomic_store_n(any, before, __ATOMIC_RELEASE);
	close(fd);
	return error_trace(r);
}

void trunk_set_reserved(struct trunk *t, bool take)
{
	__atomic_store_n(&t->bpf->bss->vd_shared.take_reserved, take, __ATOMIC_RELEASE);
}
