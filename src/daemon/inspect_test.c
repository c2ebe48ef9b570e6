/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker with a bridge of two ports in memory; the test is the main thread and the program. */
#include "daemon/inspect.h"
#include "sys/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "mem/nmobj.h"
#include "mem/nmsync.h"
#include "port/mem.h"

#define SLOTS     64u
#define TID       4711
#define TRIES     2000 /* milliseconds */
#define FRAME_LEN 100u

struct lab {
	struct region region;
	struct bufpool *pool;
	struct bufowner *owners;
	struct nmobj *objects;
	uint16_t owner;
	struct shadow shadow;
	struct worker *w;
	struct worker_bridge wb;
	struct port *ports[2];
	struct worker_port wp[2];
	struct inspect *in;
	struct inspect_client client;
	struct inspect_ring rings[2][2]; /* [host][tx] */
	uint64_t ofs[2][2];
	struct nmsync_ring app[2][2];
	int fds[2];
	uint32_t n_stalls, n_returns;
	/* of the next call into the worker */
	uint8_t bytes[FRAME_LEN];
	uint32_t port, n;
	struct frame got[4];
	struct inspect_ring *ring;
};

static void on_event(void *ctx, enum inspect_event e, const struct inspect_ring *r)
{
	struct lab *l = ctx;

	l->n_stalls += e == INSPECT_STALL;
	l->n_returns += e == INSPECT_RETURN;
}

static void on_request(void *ctx, struct inspect_client *c)
{
}

static void start(void *arg)
{
	struct lab *l = arg;

	assert_int_equal(worker_bridge_add(l->w, &l->wb), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(worker_port_attach(l->w, &l->wp[i]), 0);
	inspect_start(l->in);
	assert_int_equal(inspect_client_add(l->in, &l->client), 0);
	for (int host = 0; host < 2; host++)
		for (int tx = 0; tx < 2; tx++)
			inspect_ring_add(l->in, &l->rings[host][tx]);
}

static void end(void *arg)
{
	struct lab *l = arg;

	inspect_client_del(l->in, &l->client);
	for (int host = 0; host < 2; host++)
		for (int tx = 0; tx < 2; tx++)
			inspect_ring_del(l->in, &l->rings[host][tx]);
	inspect_stop(l->in);
	for (int i = 0; i < 2; i++)
		worker_port_detach(l->w, &l->wp[i]);
	worker_bridge_del(l->w, &l->wb);
}

static void make_ring(struct lab *l, bool host, bool tx)
{
	struct inspect_ring *r = &l->rings[host][tx];
	const struct nmobj_ring_params np = {.owner = l->owner, .tx = tx, .n_slots = SLOTS};
	struct ringcheck_params cp = {.shadow = &l->shadow.rings[host * 2 + tx],
				      .n_slots = SLOTS,
				      .buf_size = 2048,
				      .owner = l->owner,
				      .tx = tx};

	assert_int_equal(nmobj_ring_new(l->objects, &np, &l->ofs[host][tx]), 0);
	cp.ring = nmobj_ring(l->objects, l->ofs[host][tx]);
	assert_int_equal(ringcheck_init(&r->rc, &cp), 0);
	r->host = host;
	r->side = (tx ? !host : host) ? INTERCEPT_HOST : INTERCEPT_NIC;
	nmsync_init(&l->app[host][tx], cp.ring, cp.shadow, 4096);
}

static void make_port(struct lab *l, int i)
{
	const char *why;
	struct bport_config bc = {.name = "p",
				  .mac = 0x020000000010ULL + (unsigned int)i,
				  .mtu = 1500,
				  .link_up = true};
	const struct port_config pc = {.name = "p", .bufs = worker_bufs(l->w), .pool = l->pool};

	assert_int_equal(port_driver_mem.open(&pc, &l->ports[i], &why), 0);
	assert_int_equal(bridge_port_add(l->wb.br, &bc, &l->wp[i].bp), 0);
	l->wp[i].port = l->ports[i];
	l->wp[i].bridge = &l->wb;
}

static int setup_of(void **state, struct ring_sink *sink)
{
	struct lab *l = calloc(1, sizeof(*l));
	const struct mem_params mp = {.buf_num = 4096};
	const struct bridge_config bc = {.name = "br0", .fdb_capacity = 64, .mac = 0x020000000001};
	const struct bridge_ops none = {0};
	struct inspect_config ic = {
		.counts = {{{1, 1}, {1, 1}}}, .n_slots = SLOTS, .ops = {l, on_event, on_request}};
	const char *why;

	*state = l;
	assert_int_equal(region_init(&l->region, &mp, 1, &why), 0);
	l->pool = bufpool_new(&l->region, 8);
	l->owners = bufowner_new(l->pool);
	l->objects = nmobj_new(l->owners);
	l->owner = bufowner_add(l->owners);
	assert_int_equal(shadow_init(&l->shadow, 4), 0);
	l->w = worker_start(0, l->pool, 0);
	assert_non_null(l->w);
	l->wb.br = bridge_new(&bc, &none, worker_buf_ops(l->w));
	make_port(l, 0);
	make_port(l, 1);
	for (int host = 0; host < 2; host++)
		for (int tx = 0; tx < 2; tx++)
			make_ring(l, host, tx);
	ic.w = l->w;
	ic.wb = &l->wb;
	ic.sink = sink;
	l->in = inspect_new(&ic);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, l->fds), 0);
	l->client.bell.fd = l->fds[0];
	memset(l->client.rings, 0, sizeof(l->client.rings));
	for (int i = 0; i < 4; i++)
		l->client.rings[i / 2][i % 2] = 1;
	worker_call(l->w, start, l);
	return 0;
}

static int setup(void **state)
{
	return setup_of(state, NULL);
}

/* The endpoint of a mirror. */
static struct ring_sink mirrored;

static int setup_end(void **state)
{
	memset(&mirrored, 0, sizeof(mirrored));
	return setup_of(state, &mirrored);
}

/* Everything is given back: the pool is full again. */
static int teardown(void **state)
{
	struct lab *l = *state;
	struct bufpool_stats st;

	worker_call(l->w, end, l);
	for (int i = 0; i < 2; i++)
		port_driver_mem.close(l->ports[i]);
	bridge_free(l->wb.br);
	inspect_free(l->in);
	l->w = worker_stop(l->w);
	for (int i = 0; i < 4; i++) {
		ringcheck_deinit(&l->rings[i / 2][i % 2].rc);
		nmobj_ring_free(l->objects, l->ofs[i / 2][i % 2], l->owner);
	}
	assert_int_equal(bufowner_remove(l->owners, l->owner), 0);
	bufowner_flush(l->owners);
	bufpool_stats(l->pool, &st);
	assert_int_equal(st.n_free, st.n_total);
	assert_int_equal(st.n_big_free, st.n_big_total);
	nmobj_free(l->objects);
	bufowner_free(l->owners);
	bufpool_free(l->pool);
	shadow_deinit(&l->shadow);
	region_deinit(&l->region);
	close(l->fds[0]);
	close(l->fds[1]);
	free(l);
	return 0;
}

/* ---- the world outside ---- */

static void inject_here(void *arg)
{
	struct lab *l = arg;

	assert_int_equal(mem_inject_bytes(l->ports[l->port], l->bytes, FRAME_LEN), 0);
}

/* A frame from port 0 to an unknown address; seq tells one from another. */
static void send_frame(struct lab *l, uint8_t seq)
{
	static const uint8_t head[14] = {2, 0, 0, 0, 0, 0xbb, 2, 0, 0, 0, 0, 0xaa, 0x88, 0xb5};

	memcpy(l->bytes, head, sizeof(head));
	memset(l->bytes + sizeof(head), seq, FRAME_LEN - sizeof(head));
	l->port = 0;
	worker_call(l->w, inject_here, l);
}

static void collect_here(void *arg)
{
	struct lab *l = arg;

	l->n = mem_collect(l->ports[1], l->got, 1);
	if (l->n == 1) {
		memcpy(l->bytes, l->got[0].data, FRAME_LEN);
		buf_put_one(worker_bufs(l->w), l->got[0].buf);
	}
}

/* What leaves by port 1, in time; false: nothing. */
static bool receive_frame(struct lab *l, int tries)
{
	for (; tries > 0; tries--) {
		worker_call(l->w, collect_here, l);
		if (l->n)
			return true;
		usleep(1000);
	}
	return false;
}

/* ---- the program ---- */

static void sync_all(struct lab *l)
{
	for (int host = 0; host < 2; host++) {
		nmsync_rx(&l->app[host][0], TID);
		nmsync_tx(&l->app[host][1], TID);
	}
}

/* Syncs until the worker has seen the program's first sync, and n frames are in the NIC ring. */
static void wait_for_frames(struct lab *l, uint32_t n)
{
	struct netmap_ring *r = l->app[0][0].ring;

	for (int i = 0; i < TRIES; i++) {
		sync_all(l);
		if (ring_distance(r->head, r->tail, SLOTS) >= n)
			return;
		usleep(1000);
	}
	fail();
}

static void become_reader(struct lab *l)
{
	sync_all(l);
	for (int i = 0; i < TRIES && l->rings[0][0].state != 3; i++)
		usleep(1000);
	assert_int_equal(l->rings[0][0].state, INTERCEPT_BOUND | INTERCEPT_SYNCED);
}

/* Swaps the first frame of the NIC ring into the host ring. */
static void pass_one(struct lab *l)
{
	struct netmap_ring *rx = l->app[0][0].ring, *tx = l->app[1][1].ring;
	struct netmap_slot *r = &rx->slot[rx->head], *t = &tx->slot[tx->head];
	const uint32_t buf = t->buf_idx;

	t->buf_idx = r->buf_idx;
	t->len = r->len;
	r->buf_idx = buf;
	r->flags = t->flags = NS_BUF_CHANGED;
	rx->head = rx->cur = ring_next(rx->head, SLOTS);
	tx->head = tx->cur = ring_next(tx->head, SLOTS);
	sync_all(l);
}

/* ---- tests ---- */

static void test_passed_without_a_copy(void **state)
{
	struct lab *l = *state;
	struct origins_stats o[INTERCEPT_SIDE_N];
	struct regroup_stats g[INTERCEPT_SIDE_N];

	become_reader(l);
	for (uint8_t i = 0; i < 200; i++) {
		send_frame(l, i);
		wait_for_frames(l, 1);
		assert_false(receive_frame(l, 1)); /* nothing goes by it */
		pass_one(l);
		assert_true(receive_frame(l, TRIES));
		assert_int_equal(l->bytes[50], i);
	}
	assert_int_equal(l->rings[0][0].counters.n_copied, 0);
	assert_int_equal(l->rings[0][0].counters.n_frames, 200);
	inspect_stats(l->in, o, g);
	assert_int_equal(o[INTERCEPT_NIC].n_by[ORIGIN_BUFFER], 200);
}

static void test_not_synced_diverts_nothing(void **state)
{
	struct lab *l = *state;

	send_frame(l, 7);
	assert_true(receive_frame(l, TRIES));
	assert_int_equal(l->bytes[50], 7);
	assert_int_equal(l->rings[0][0].counters.n_frames, 0);
}

static void remove_here(void *arg)
{
	struct lab *l = arg;

	inspect_ring_del(l->in, l->ring);
}

static void no_room_here(void *arg)
{
	struct lab *l = arg;
	struct intercept_settings s = bridge_intercept(l->wb.br)->set;

	s.oversize = INTERCEPT_OVERSIZE_MULTISLOT;
	intercept_set(bridge_intercept(l->wb.br), &s);
	inspect_ring_offsets(l->in, &l->rings[0][0], 0xffff, 2048, 0);
}

/* Offsets that leave no room: nothing is written behind a buffer. */
static void test_offsets_without_room(void **state)
{
	struct lab *l = *state;
	struct netmap_ring *rx = l->app[0][0].ring;

	worker_call(l->w, no_room_here, l);
	assert_int_equal(bridge_intercept(l->wb.br)->set.slot_len, 1);
	become_reader(l);
	for (uint32_t i = 0; i < SLOTS; i++)
		rx->slot[i].ptr = 2048;
	send_frame(l, 1);
	assert_false(receive_frame(l, 20));
	sync_all(l);
	assert_int_equal(rx->tail, 0);
	assert_int_equal(l->wp[0].bp->counters.drops.n[DROP_RING_OVERSIZE], 1);
}

static void drop_host_tx_here(void *arg)
{
	struct lab *l = arg;

	inspect_ring_del(l->in, &l->rings[1][1]);
}

/* Marked frames go on from the RX ring, with no TX ring there; the others are the program's end. */
static void test_forward(void **state)
{
	struct lab *l = *state;
	struct netmap_ring *rx = l->app[0][0].ring;
	struct origins_stats o[INTERCEPT_SIDE_N];
	struct regroup_stats g[INTERCEPT_SIDE_N];

	worker_call(l->w, drop_host_tx_here, l);
	assert_int_equal(bridge_intercept(l->wb.br)->sides[INTERCEPT_NIC].tx_bound, false);
	rx->flags = NR_FORWARD;
	become_reader(l);
	for (uint8_t i = 0; i < 200; i++) {
		send_frame(l, i);
		wait_for_frames(l, 1);
		assert_false(receive_frame(l, 1)); /* it is no copy */
		if (i % 2)
			rx->slot[rx->head].flags |= NS_FORWARD;
		rx->head = rx->cur = ring_next(rx->head, SLOTS);
		if (nmsync_rx(&l->app[0][0], TID) & NMSYNC_DOORBELL)
			assert_int_equal(send(l->fds[1], "D", 1, 0), 1);
		if (i % 2) {
			assert_true(receive_frame(l, TRIES));
			assert_int_equal(l->bytes[50], i);
		}
	}
	assert_int_equal(l->rings[0][0].counters.n_forwarded, 100);
	assert_int_equal(l->rings[0][0].rc.n_errors, 0);
	inspect_stats(l->in, o, g);
	assert_int_equal(o[INTERCEPT_NIC].n_by[ORIGIN_BUFFER], 100);
	assert_false(receive_frame(l, 5));
	/* What it had released with a mark when it died goes on, the rest as usual. */
	send_frame(l, 1);
	wait_for_frames(l, 1);
	l->ring = &l->rings[0][0];
	worker_call(l->w, remove_here, l);
	assert_true(receive_frame(l, TRIES));
	assert_false(bridge_intercept(l->wb.br)->sides[INTERCEPT_NIC].tx_bound);
}

static void set_offsets_here(void *arg)
{
	struct lab *l = arg;

	inspect_ring_offsets(l->in, &l->rings[0][0], 0xffff, 200, 100);
	inspect_ring_offsets(l->in, &l->rings[1][1], 0xffff, 200, 0);
}

/* Frames are shown where the program wants them, and sent from where it put them. */
static void test_offsets(void **state)
{
	struct lab *l = *state;
	struct netmap_ring *rx = l->app[0][0].ring, *tx = l->app[1][1].ring;

	worker_call(l->w, set_offsets_here, l);
	assert_int_equal(bridge_intercept(l->wb.br)->set.slot_len, 1792 - 200 - 100);
	become_reader(l);
	for (uint32_t i = 0; i < SLOTS; i++)
		rx->slot[i].ptr = i % 3 * 100; /* 0: without a copy */
	for (uint8_t i = 0; i < 100; i++) {
		struct netmap_slot *s;
		uint32_t where, out = i % 7 * 30;

		send_frame(l, i);
		wait_for_frames(l, 1);
		s = &rx->slot[rx->head];
		where = (uint32_t)s->ptr;
		assert_int_equal(where, rx->head % 3 * 100);
		assert_int_equal(region_buf(&l->region, s->buf_idx)[where + 50], i);
		memmove(region_buf(&l->region, s->buf_idx) + out,
			region_buf(&l->region, s->buf_idx) + where, s->len);
		tx->slot[tx->head].ptr = out;
		pass_one(l);
		assert_true(receive_frame(l, TRIES));
		assert_int_equal(l->bytes[50], i);
	}
	assert_in_range(l->rings[0][0].counters.n_copied, 60, 70);
	/* What is withdrawn lies there, too. */
	rx->slot[rx->head].ptr = 150;
	send_frame(l, 111);
	wait_for_frames(l, 1);
	l->ring = &l->rings[0][0];
	worker_call(l->w, remove_here, l);
	assert_true(receive_frame(l, TRIES));
	assert_int_equal(l->bytes[50], 111);
	assert_int_equal(bridge_intercept(l->wb.br)->set.slot_len, 1792);
}

/* What a dead program had not released goes on, in order. */
static void test_death(void **state)
{
	struct lab *l = *state;

	become_reader(l);
	for (uint8_t i = 1; i <= 3; i++)
		send_frame(l, i);
	wait_for_frames(l, 3);
	l->ring = &l->rings[0][0];
	worker_call(l->w, remove_here, l);
	for (uint8_t i = 1; i <= 3; i++) {
		assert_true(receive_frame(l, TRIES));
		assert_int_equal(l->bytes[50], i);
	}
	send_frame(l, 4);
	assert_true(receive_frame(l, TRIES));
}

/* All four rings go, TX before RX, as when the last descriptor closes. */
static void die_here(void *arg)
{
	struct lab *l = arg;

	for (int tx = 1; tx >= 0; tx--)
		for (int host = 0; host < 2; host++)
			inspect_ring_del(l->in, &l->rings[host][tx]);
}

/* Copies the first frame of the NIC ring that is not copied yet into the host ring. */
static void copy_one(struct lab *l, uint32_t at)
{
	struct netmap_ring *rx = l->app[0][0].ring, *tx = l->app[1][1].ring;
	struct netmap_slot *t = &tx->slot[tx->head];

	memcpy(region_buf(&l->region, t->buf_idx), region_buf(&l->region, rx->slot[at].buf_idx),
	       rx->slot[at].len);
	t->len = rx->slot[at].len;
	tx->head = tx->cur = ring_next(tx->head, SLOTS);
}

/* A frame that came back as a copy is not passed on again because its slot was not released. */
static void test_death_after_a_copy(void **state)
{
	struct lab *l = *state;

	become_reader(l);
	for (uint8_t i = 1; i <= 3; i++)
		send_frame(l, i);
	wait_for_frames(l, 3);
	copy_one(l, 0);
	copy_one(l, 1);
	nmsync_tx(&l->app[1][1], TID);
	for (uint8_t i = 1; i <= 2; i++) {
		assert_true(receive_frame(l, TRIES));
		assert_int_equal(l->bytes[50], i);
	}
	worker_call(l->w, die_here, l);
	assert_true(receive_frame(l, TRIES));
	assert_int_equal(l->bytes[50], 3);
	assert_false(receive_frame(l, 5));
}

static void remove_tx_here(void *arg)
{
	struct lab *l = arg;

	inspect_ring_del(l->in, &l->rings[1][1]);
}

static void remove_rx_here(void *arg)
{
	struct lab *l = arg;

	inspect_ring_del(l->in, &l->rings[0][0]);
}

/* The descriptor of its TX rings is closed first: what comes then does not overtake. */
static void test_tx_goes_first(void **state)
{
	struct lab *l = *state;

	become_reader(l);
	send_frame(l, 1);
	send_frame(l, 2);
	worker_call(l->w, remove_tx_here, l);
	send_frame(l, 3);
	worker_call(l->w, remove_rx_here, l);
	send_frame(l, 4);
	for (uint8_t i = 1; i <= 4; i++) {
		assert_true(receive_frame(l, TRIES));
		assert_int_equal(l->bytes[50], i);
	}
	assert_false(receive_frame(l, 5));
}

/* It keeps its RX rings: after a while it is one that gets copies. */
static void test_tx_goes_alone(void **state)
{
	struct lab *l = *state;

	become_reader(l);
	send_frame(l, 1);
	worker_call(l->w, remove_tx_here, l);
	send_frame(l, 2);
	for (uint8_t i = 1; i <= 2; i++) {
		assert_true(receive_frame(l, TRIES));
		assert_int_equal(l->bytes[50], i);
	}
	send_frame(l, 3);
	assert_true(receive_frame(l, TRIES));
	assert_int_equal(l->bytes[50], 3);
	wait_for_frames(l, 1);
}

static void sync_and_remove_here(void *arg)
{
	struct lab *l = arg;

	nmsync_tx(&l->app[1][1], TID);
	inspect_ring_del(l->in, &l->rings[0][0]);
}

/* Nor when the copy is still on its way in the ring of another descriptor. */
static void test_rx_goes_first(void **state)
{
	struct lab *l = *state;

	become_reader(l);
	send_frame(l, 1);
	send_frame(l, 2);
	wait_for_frames(l, 2);
	copy_one(l, 0);
	worker_call(l->w, sync_and_remove_here, l);
	for (uint8_t i = 1; i <= 2; i++) {
		assert_true(receive_frame(l, TRIES));
		assert_int_equal(l->bytes[50], i);
	}
	assert_false(receive_frame(l, 5));
}

/*
 * A frame that the program had put into a TX ring, and died before it said so by a sync, goes on;
 * what it made itself does not (as with netmap), nor does a frame that it released.
 */
static void test_death_before_a_sync(void **state)
{
	struct lab *l = *state;
	struct netmap_ring *rx = l->app[0][0].ring, *tx = l->app[1][1].ring;

	become_reader(l);
	for (uint8_t i = 1; i <= 4; i++)
		send_frame(l, i);
	wait_for_frames(l, 4);
	for (int i = 0; i < 2; i++) { /* 1 and 2: swapped, no sync */
		struct netmap_slot *r = &rx->slot[rx->head], *t = &tx->slot[tx->head];
		const uint32_t buf = t->buf_idx;

		t->buf_idx = r->buf_idx;
		t->len = r->len;
		r->buf_idx = buf;
		rx->head = rx->cur = ring_next(rx->head, SLOTS);
		tx->head = tx->cur = ring_next(tx->head, SLOTS);
	}
	memset(region_buf(&l->region, tx->slot[tx->head].buf_idx), 0x22, 60); /* its own */
	tx->slot[tx->head].len = 60;
	tx->head = tx->cur = ring_next(tx->head, SLOTS);
	rx->head = rx->cur = ring_next(rx->head, SLOTS); /* 3: dropped */
	nmsync_rx(&l->app[0][0], TID);
	worker_call(l->w, die_here, l);
	for (uint8_t i = 1; i <= 4; i++) {
		if (i == 3)
			continue;
		assert_true(receive_frame(l, TRIES));
		assert_int_equal(l->bytes[50], i);
	}
	assert_false(receive_frame(l, 5));
}

static void set_stall_here(void *arg)
{
	struct lab *l = arg;
	struct intercept_settings s = bridge_intercept(l->wb.br)->set;

	s.stall_ms = 20;
	intercept_set(bridge_intercept(l->wb.br), &s);
}

/* What it had not seen goes round it; it is back when it takes frames again; nothing comes twice.
 */
static void test_stall(void **state)
{
	struct lab *l = *state;

	worker_call(l->w, set_stall_here, l);
	become_reader(l);
	send_frame(l, 1);
	wait_for_frames(l, 1); /* seen */
	send_frame(l, 2);      /* not seen */
	assert_true(receive_frame(l, TRIES));
	assert_int_equal(l->bytes[50], 2);
	assert_int_equal(l->n_stalls, 1);
	send_frame(l, 3);
	assert_true(receive_frame(l, TRIES));
	assert_int_equal(l->bytes[50], 3);
	pass_one(l);
	assert_true(receive_frame(l, TRIES));
	assert_int_equal(l->bytes[50], 1);
	for (int i = 0; i < TRIES && !l->n_returns; i++)
		usleep(1000);
	assert_int_equal(l->n_returns, 1);
	send_frame(l, 4);
	wait_for_frames(l, 1);
	pass_one(l);
	assert_true(receive_frame(l, TRIES));
	assert_int_equal(l->bytes[50], 4);
	assert_false(receive_frame(l, 5));
}

static void sleep_here(void *arg)
{
	struct lab *l = arg;
	uint64_t until = 0;

	/* As the worker: what the program has just done comes first. */
	for (int i = 0; i < TRIES && !inspect_sleep(l->in, 1, &until); i++) {
		inspect_wake(l->in);
		inspect_poll(l->in, clock_now_ns());
	}
	l->n = (uint32_t)min_of(until, UINT32_MAX);
	inspect_wake(l->in);
}

/* All frames have gone round it, so nothing that it does rings a bell, and no traffic need come. */
static void test_stalled_and_empty(void **state)
{
	struct lab *l = *state;

	worker_call(l->w, set_stall_here, l);
	become_reader(l);
	worker_call(l->w, sleep_here, l);
	assert_int_equal(l->n, UINT32_MAX); /* nothing to look for */
	send_frame(l, 1);
	assert_true(receive_frame(l, TRIES));
	assert_int_equal(l->n_stalls, 1);
	worker_call(l->w, sleep_here, l);
	assert_in_range(l->n, 1, 200000000);
	sync_all(l);
	for (int i = 0; i < TRIES && !l->n_returns; i++)
		usleep(1000);
	assert_int_equal(l->n_returns, 1);
}

static void inject_many_here(void *arg)
{
	struct lab *l = arg;

	for (uint32_t i = 0; i < l->n; i++)
		inject_here(l);
}

#define SOON_NS 1000u
#define LATE_NS 10000000u

/* l->n: nanoseconds after the ring was found too full. The answer goes there, too. */
static void ask_for_room_here(void *arg)
{
	struct lab *l = arg;

	inspect_poll(l->in, l->rings[0][0].behind_ns + l->n);
	assert_true(inspect_has_room(l->in, true));
	l->n = inspect_has_room(l->in, false);
}

static bool has_room(struct lab *l, uint32_t after_ns)
{
	l->n = after_ns;
	worker_call(l->w, ask_for_room_here, l);
	return l->n;
}

/* Ports wait for a program that is behind, for a while, until it has caught up. */
static void test_behind(void **state)
{
	struct lab *l = *state;

	become_reader(l);
	assert_true(has_room(l, SOON_NS));
	send_frame(l, 1);
	l->n = SLOTS / 2;
	worker_call(l->w, inject_many_here, l);
	wait_for_frames(l, SLOTS / 2 + 1);
	assert_false(has_room(l, SOON_NS));
	assert_true(has_room(l, LATE_NS));
	assert_true(l->rings[0][0].behind_ns); /* it has had its time */
	pass_one(l);
	pass_one(l);
	assert_true(has_room(l, SOON_NS));
	assert_int_equal(l->rings[0][0].behind_ns, 0);
	assert_int_equal(l->rings[0][0].counters.n_full, 0);
}

/* A batch that fits but for its last frame. */
static void test_full(void **state)
{
	struct lab *l = *state;

	become_reader(l);
	send_frame(l, 1);
	l->n = SLOTS - 1;
	worker_call(l->w, inject_many_here, l);
	wait_for_frames(l, SLOTS - 1);
	assert_int_equal(l->rings[0][0].counters.n_frames, SLOTS - 1);
	assert_int_equal(l->rings[0][0].counters.n_full, 1);
	for (uint32_t i = 0; i < SLOTS - 1; i++) {
		pass_one(l);
		assert_true(receive_frame(l, TRIES));
		assert_int_equal(l->bytes[50], 1);
	}
	assert_false(receive_frame(l, 5));
}

static void rung_just_now_here(void *arg)
{
	((struct lab *)arg)->rings[0][0].bell_ns = UINT64_MAX / 2;
}

/* A doorbell that has to wait for the one before comes before the worker sleeps. */
static void test_bell_before_sleep(void **state)
{
	struct lab *l = *state;
	const struct timeval soon = {.tv_sec = 5};
	uint8_t byte;

	assert_int_equal(setsockopt(l->fds[1], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)), 0);
	become_reader(l);
	for (uint8_t i = 0; i < 3; i++) {
		assert_true(shadow_want_wakeup(&l->shadow.rings[0]));
		worker_call(l->w, rung_just_now_here, l);
		send_frame(l, i);
		assert_int_equal(recv(l->fds[1], &byte, 1, 0), 1);
		wait_for_frames(l, 1);
		pass_one(l);
	}
	assert_int_equal(l->rings[0][0].counters.n_bells, 3);
}

/* Nothing can be put into a ring whose next slot is wrong: it is not waited for. */
static void test_wrong_slot(void **state)
{
	struct lab *l = *state;
	struct netmap_slot *s = &l->app[0][0].ring->slot[0];
	const uint32_t buf = s->buf_idx;

	worker_call(l->w, set_stall_here, l);
	become_reader(l);
	s->buf_idx = UINT32_MAX;
	send_frame(l, 1); /* finds out */
	for (int i = 0; i < TRIES && !l->n_stalls; i++)
		usleep(1000);
	for (uint8_t i = 2; i < 5; i++) {
		sync_all(l); /* alive as it may be */
		send_frame(l, i);
		assert_true(receive_frame(l, TRIES));
		assert_int_equal(l->bytes[50], i);
	}
	assert_int_equal(l->n_stalls, 1);
	s->buf_idx = buf;
	for (int i = 0; i < TRIES && !l->n_returns; i++) {
		sync_all(l);
		usleep(1000);
	}
	assert_int_equal(l->n_returns, 1);
	send_frame(l, 5);
	wait_for_frames(l, 1);
	pass_one(l);
	assert_true(receive_frame(l, TRIES));
	assert_int_equal(l->bytes[50], 5);
}

static void copy_here(void *arg)
{
	struct lab *l = arg;
	struct bufcache *c = worker_bufs(l->w);
	struct frame f = {.len = FRAME_LEN}, *list = &f;

	assert_int_equal(buf_get(c, &f.buf, 1), 1);
	f.data = buf_data(c, f.buf);
	memset(f.data, (int)l->n, FRAME_LEN);
	assert_true(frame_parse(&f));
	f.verdict = FRAME_UNICAST;
	f.in_port = 900; /* of the bridge, which has others */
	if (l->port)
		buf_ref(c, f.buf, 1); /* others have it, too */
	inspect_copy(l->in, &list, 1);
	if (l->port)
		buf_put_one(c, f.buf);
}

static void copy_frame(struct lab *l, uint8_t seq, bool shared)
{
	l->n = seq;
	l->port = shared;
	worker_call(l->w, copy_here, l);
}

static void nothing_here(void *arg)
{
}

/* As many have been dropped for that reason. */
static void wait_for_drops(struct lab *l, enum drop_reason r, uint64_t n)
{
	for (int i = 0; i < TRIES && mirrored.drops.n[r] < n; i++) {
		usleep(1000);
		worker_call(l->w, nothing_here, l);
	}
	assert_int_equal(mirrored.drops.n[r], n);
}

/* Copies wait for a program that has not even begun to read; what has no room is counted. */
static void test_copies_of_a_mirror(void **state)
{
	struct lab *l = *state;
	struct netmap_ring *rx = l->app[0][0].ring;

	for (uint8_t i = 0; i < SLOTS + 4; i++)
		copy_frame(l, i, i % 3 == 0);
	assert_int_equal(mirrored.drops.n[DROP_RING_FULL], 5);
	wait_for_frames(l, SLOTS - 1);
	for (uint8_t i = 0; i < SLOTS - 1; i++) {
		const struct netmap_slot *s = &rx->slot[(rx->head + i) % SLOTS];

		assert_int_equal(s->len, FRAME_LEN);
		assert_int_equal(
			((uint8_t *)rx + rx->buf_ofs)[(size_t)s->buf_idx * rx->nr_buf_size + 50],
			i);
	}
	assert_int_equal(l->rings[0][0].counters.n_copied, SLOTS / 3);
	rx->head = rx->cur = rx->tail;
	sync_all(l);
	copy_frame(l, 77, false);
	wait_for_frames(l, 1);
	assert_int_equal(mirrored.drops.n[DROP_RING_FULL], 5);
}

/* Nothing gets into the bridge by it: neither copies that are given back nor what was made up. */
static void test_nothing_goes_back_by_a_mirror(void **state)
{
	struct lab *l = *state;

	become_reader(l);
	copy_frame(l, 1, false);
	wait_for_frames(l, 1);
	pass_one(l);
	wait_for_drops(l, DROP_SPAN, 1);
	l->app[0][1].ring->slot[0].len = 60;
	l->app[0][1].ring->head = l->app[0][1].ring->cur = 1;
	sync_all(l);
	wait_for_drops(l, DROP_SPAN, 2);
	assert_false(receive_frame(l, 5));
	copy_frame(l, 2, false); /* and what it has is its own until it ends */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_passed_without_a_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_synced_diverts_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offsets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offsets_without_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forward, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death_after_a_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rx_goes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tx_goes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tx_goes_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death_before_a_sync, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stall, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stalled_and_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bell_before_sleep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copies_of_a_mirror, setup_end, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_goes_back_by_a_mirror, setup_end,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
