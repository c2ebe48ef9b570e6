/* SPDX-License-Identifier: BSD-2-Clause */
/* The trunk under a kernel bridge. Needs root, ip(8), tc(8), ethtool(8), iperf3; else skipped (77).
 */
#include "port/trunk_testkit.h"

struct tag_case {
	const char *types;
	uint32_t n_types, len;
};

static const struct tag_case tag_cases[] = {
	{"\x88\xb5", 2, 14},
	{"\x88\xb5", 2, 60},
	{"\x88\xb5", 2, 1514},
	{"\x81\x00\x20\x0a\x88\xb5", 6, 60},
	{"\x81\x00\x20\x0a\x88\xb5", 6, 1518},
	{"\x88\xa8\xe0\x14\x88\xb5", 6, 64},
	{"\x88\xa8\xe0\x14\x88\xb5", 6, 1514},
	{"\x81\x00\x00\x14\x81\x00\x20\x0a\x88\xb5", 10, 1514},
	{"\x88\xa8\x00\x14\x81\x00\x20\x0a\x88\xb5", 10, 1514},
};

static void frames_pass_byte_for_byte(void **state)
{
	struct world *w = *state;
	static uint8_t out[2000], in[70100];
	struct virtio_net_hdr h;

	plan(w, TRUNK_TAKE);
	for (size_t i = 0; i < 2 * array_size(tag_cases); i++) {
		const struct tag_case *c = &tag_cases[i / 2];
		const uint32_t from = i % 2, to = !from, before = w->seen[member_no[from]];

		make_frame(out, c->len, c->types, c->n_types);
		host_send(w->sock[from], NULL, out, c->len);
		assert_int_equal(serve_n(w, 1), 1);
		assert_int_equal(w->seen[member_no[from]], before + 1);
		assert_int_equal(host_recv(w->sock[to], &h, in, WAIT_MS), c->len);
		assert_memory_equal(in, out, c->len);
		assert_int_equal(host_recv(w->sock[to], &h, in, 0), 0);
		assert_int_equal(host_recv(w->sock[from], &h, in, 0), 0);
		assert_int_equal(serve(w), 0);
	}
	/* Nothing is queued in the TAP: it has dropped each one. */
	run("ip -s -j link show %s | grep -qE '\"tx\":.*\"dropped\":%u,'",
	    trunk_port(w->trunk)->name, w->seen[10] + w->seen[20]);
}

/* Frames that are read are as they were sent, whatever was beside them. */
static void bytes_are_those_of_the_device(void **state)
{
	struct world *w = *state;
	struct port *t = trunk_port(w->trunk);
	static struct batch b;
	static uint8_t out[2000];

	plan(w, TRUNK_TAKE);
	for (size_t i = 0; i < array_size(tag_cases); i++) {
		const struct tag_case *c = &tag_cases[i];

		make_frame(out, c->len, c->types, c->n_types);
		host_send(w->sock[0], NULL, out, c->len);
		b.n = 0;
		for (int k = 0; k < 100 && !t->driver->rx(t, &b); k++)
			usleep(1000);
		assert_int_equal(b.n, 1);
		assert_int_equal(b.in_port, member_no[0]);
		assert_int_equal(b.frames[0].len, c->len);
		assert_memory_equal(b.frames[0].data, out, c->len);
		buf_put_one(&w->bufs, b.frames[0].buf);
	}
}

static void counts_add_up(struct world *w, int i)
{
	struct trunk_counts c;

	for (int k = 0; k < 100; k++) { /* hosts may still say something */
		serve_all(w);
		trunk_place_counts(w->place[member_no[i]], &c);
		if (c.taken == w->seen[member_no[i]])
			break;
	}
	assert_int_equal(c.taken, w->seen[member_no[i]]);
	assert_int_equal(c.returned, c.taken);
	assert_int_equal(c.taken, w->place[member_no[i]]->stats.tx_packets);
	assert_int_equal(c.hung + c.copied + c.dropped, 0);
}

static void hosts_talk(void **state)
{
	struct world *w = *state;

	plan(w, TRUNK_TAKE);
	shell(w, "nsenter -t %d -n ping -q -c 3 -i 0.05 -W 1 10.7.0.2 >/dev/null", w->ns[0]);
	shell(w, "nsenter -t %d -n ping -q -c 3 -i 0.05 -W 1 10.7.0.1 >/dev/null", w->ns[1]);
	assert_true(w->seen[10] >= 7 && w->seen[20] >= 7); /* ARP as well */
	for (int i = 0; i < N_HOSTS; i++)
		run("nsenter -t %d -n sh -c 'echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad;"
		    "echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6;"
		    "ip addr add fd00::%d/64 dev eth0 nodad'",
		    w->ns[i], i + 1);
	shell(w, "nsenter -t %d -n ping -q -c 3 -i 0.05 -W 1 fd00::2 >/dev/null", w->ns[0]);
	counts_add_up(w, 0);
	counts_add_up(w, 1);
}

static void tcp_streams_go_in_large_frames(void **state)
{
	struct world *w = *state;

	plan(w, TRUNK_TAKE);
	stream(w, 0, 1, "10.7.0", STREAM_MB);
	assert_true(w->longest > 10000);
	assert_true(w->n_gso > 100 && w->n_partial > w->n_gso);
	stream(w, 1, 0, "10.7.0", STREAM_MB);
	assert_int_equal(trunk_port(w->trunk)->drops.n[DROP_GSO_KIND], 0);
}

/* A TCP segment of 30,000 bytes behind any tags, as its sender's device hands it over. */
static void make_gso(uint8_t *d, uint32_t len, const struct tag_case *c, struct virtio_net_hdr *h)
{
	const uint16_t l3 = (uint16_t)(12 + c->n_types);
	uint32_t sum = 0;

	*h = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				     .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				     .gso_size = 1400,
				     .hdr_len = (uint16_t)(l3 + 40),
				     .csum_start = (uint16_t)(l3 + 20),
				     .csum_offset = 16};
	make_frame(d, len, c->types, c->n_types);
	memcpy(d + l3,
	       "\x45\x00\x00\x00\x00\x00\x40\x00\x40\x06\x00\x00\x0a\x07\x00\x01\x0a\x07\x00\x02",
	       20);
	d[l3 + 2] = (uint8_t)((len - l3) >> 8);
	d[l3 + 3] = (uint8_t)(len - l3);
	for (uint32_t i = 0; i < 20; i += 2)
		sum += (uint32_t)d[l3 + i] << 8 | d[l3 + i + 1];
	sum = ~(sum + (sum >> 16));
	d[l3 + 10] = (uint8_t)(sum >> 8); /* br_netfilter looks at it */
	d[l3 + 11] = (uint8_t)sum;
	d[l3 + 32] = 0x50; /* TCP header of 20 bytes */
}

static void gso_frame_passes_whole(void **state)
{
	static const struct tag_case cases[] = {
		{"\x08\x00", 2, 0},
		{"\x81\x00\x20\x0a\x08\x00", 6, 0},
		{"\x88\xa8\x00\x14\x81\x00\x20\x0a\x08\x00", 10, 0},
	};
	struct world *w = *state;
	static uint8_t d[30000], in[70100];
	struct virtio_net_hdr h, back;

	plan(w, TRUNK_TAKE);
	for (uint32_t i = 0; i < array_size(cases); i++) {
		make_gso(d, sizeof(d), &cases[i], &h);
		host_send(w->sock[0], &h, d, sizeof(d));
		assert_int_equal(serve_n(w, 1), 1);
		assert_int_equal(w->longest, sizeof(d));
		assert_int_equal(w->n_gso, i + 1);
		assert_int_equal(w->n_partial, i + 1);
		assert_int_equal(host_recv(w->sock[1], &back, in, WAIT_MS), sizeof(d));
		assert_memory_equal(in, d, sizeof(d));
		assert_int_equal(back.gso_size, 1400);
		assert_int_equal(back.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
				 VIRTIO_NET_HDR_F_NEEDS_CSUM);
	}
}

/* A GSO kind that vnet headers cannot say: the kernel makes segments of it before we see it. */
static void tcp_in_vxlan_arrives(void **state)
{
	struct world *w = *state;

	if (system("ip link add vx type vxlan id 1 dstport 4789 2>/dev/null"))
		skip();
	run("ip link del vx");
	for (int i = 0; i < N_HOSTS; i++)
		run("nsenter -t %d -n sh -c 'ip link add vx0 type vxlan id 7 dstport 4789 dev eth0 "
		    "remote 10.7.0.%d; ip addr add 10.8.0.%d/24 dev vx0; ip link set vx0 up'",
		    w->ns[i], 2 - i, i + 1);
	plan(w, TRUNK_TAKE);
	stream(w, 0, 1, "10.8.0", 8);
	assert_true(w->seen[10] > 4000); /* segments, not GSO frames of the inner TCP */
	assert_int_equal(trunk_port(w->trunk)->drops.n[DROP_GSO_KIND], 0);
}

static void jumbo_frames_pass(void **state)
{
	struct world *w = *state;
	static uint8_t out[9014], in[70100];
	struct virtio_net_hdr h;

	run("ip link set m0 mtu 9000; ip link set m1 mtu 9000; ip link set br0 mtu 9000");
	for (int i = 0; i < N_HOSTS; i++)
		run("nsenter -t %d -n ip link set eth0 mtu 9000", w->ns[i]);
	plan(w, TRUNK_TAKE);
	make_frame(out, sizeof(out), "\x88\xb5", 2);
	host_send(w->sock[0], NULL, out, sizeof(out));
	assert_int_equal(serve_n(w, 1), 1);
	assert_int_equal(host_recv(w->sock[1], &h, in, WAIT_MS), sizeof(out));
	assert_memory_equal(in, out, sizeof(out));
}

/* A batch of the sockets is of two places; each call hands out one, in order. */
static void places_come_one_at_a_time_and_in_order(void **state)
{
	struct world *w = *state;
	struct port *t = trunk_port(w->trunk);
	static struct batch b;
	static uint8_t d[4000];
	uint32_t next[N_HOSTS] = {0}, calls = 0;
	bool armed = false;

	run("for i in m0 m1; do ip link set $i mtu 9000; done");
	for (int i = 0; i < N_HOSTS; i++)
		run("nsenter -t %d -n ip link set eth0 mtu 9000", w->ns[i]);
	plan(w, TRUNK_TAKE);
	for (uint32_t i = 0; i < 200; i++) {
		make_frame(d, sizeof(d), "\x88\xb5", 2);
		memcpy(d + 14, &i, sizeof(i));
		for (int k = 0; k < N_HOSTS; k++)
			host_send(w->sock[k], NULL, d, i % 7 == 3 ? sizeof(d) : 60);
	}
	for (int i = 0; i < 1000 && next[0] + next[1] < 400; i++) {
		b.n = 0;
		if (!t->driver->rx(t, &b)) {
			armed = !t->driver->arm(t);
			continue;
		}
		assert_false(armed); /* nothing may be left when it says that we can sleep */
		calls++;
		for (uint32_t k = 0; k < b.n; k++) {
			const int host = b.in_port == member_no[1];
			uint32_t n;

			assert_int_equal(b.frames[k].in_port, member_no[host]);
			memcpy(&n, b.frames[k].data + 14, sizeof(n));
			assert_int_equal(n, next[host]++);
			buf_put_one(&w->bufs, b.frames[k].buf);
		}
	}
	assert_int_equal(next[0], 200);
	assert_int_equal(next[1], 200);
	assert_true(calls < 100);
}

/* What the host behind br0 sends leaves the kernel at the bridge's own egress. */
static void host_traffic_is_taken_at_the_bridge(void **state)
{
	struct world *w = *state;
	struct trunk_counts c;

	trunk_plan(add_place(w, "br0", TRUNK_EGRESS, NO_BR0), TRUNK_TAKE);
	plan(w, TRUNK_TAKE);
	shell(w, "ping -q -c 3 -i 0.05 -W 1 10.7.0.2 >/dev/null");
	trunk_place_counts(w->place[NO_BR0], &c);
	assert_true(c.taken >= 4); /* ARP as well */
	assert_int_equal(c.taken, w->seen[NO_BR0]);
	assert_int_equal(c.returned, c.taken);
	assert_true(w->seen[member_no[1]] >= 4);
	/* A frame that was seen at a member is new where the bridge's host receives it. */
	trunk_plan(add_place(w, "br0", TRUNK_INGRESS, NO_BR0 + 1), TRUNK_TAKE);
	w->seen[10] = 0;
	send_one(w);
	assert_int_equal(serve_n(w, 2), 2);
	assert_int_equal(w->seen[10], 1);
	assert_int_equal(w->seen[NO_BR0 + 1], 1);
	/* Its own TCP, with frames as its stack makes them. */
	w->longest = 0;
	shell(w,
	      "nsenter -t %d -n iperf3 -s -1 >/dev/null & sleep 0.3;"
	      "iperf3 -c 10.7.0.1 -n 32M >/dev/null",
	      w->ns[0]);
	assert_true(w->longest > 10000);
}

static void copies_are_copies(void **state)
{
	struct world *w = *state;
	struct port *t = trunk_port(w->trunk);
	static struct batch b;
	static uint8_t out[2000], in[70100];
	struct virtio_net_hdr h;

	plan(w, TRUNK_COPY);
	for (size_t i = 0; i < array_size(tag_cases); i++) {
		const struct tag_case *c = &tag_cases[i];

		make_frame(out, c->len, c->types, c->n_types);
		host_send(w->sock[0], NULL, out, c->len);
		assert_int_equal(host_recv(w->sock[1], &h, in, WAIT_MS), c->len);
		assert_memory_equal(in, out, c->len);
		assert_int_equal(host_recv(w->sock[1], &h, in, 0), 0);
		b.n = 0;
		assert_int_equal(t->driver->rx(t, &b), 1);
		assert_int_equal(b.in_port, member_no[0]);
		assert_true(b.frames[0].flags & FRAME_COPY);
		assert_int_equal(b.frames[0].len, c->len);
		assert_memory_equal(b.frames[0].data, out, c->len);
		buf_put_one(&w->bufs, b.frames[0].buf);
	}
	stream(w, 0, 1, "10.7.0", 8);
	assert_true(w->longest > 10000);
	assert_int_equal(w->n_copies, w->seen[10] + w->seen[20]);
}

/* A frame to 01:80:C2:00:00:0X at m0: the trunk must get it, or must not. */
static void reserved(struct world *w, uint8_t x, bool taken)
{
	static uint8_t d[60];
	uint32_t before = w->seen[member_no[0]];

	make_frame(d, sizeof(d), "\x88\xb5", 2);
	memcpy(d, "\x01\x80\xc2\x00\x00", 5);
	d[5] = x;
	host_send(w->sock[0], NULL, d, sizeof(d));
	memset(d, 0xff, 6); /* behind it one that is taken */
	host_send(w->sock[0], NULL, d, sizeof(d));
	serve_n(w, 1 + taken);
	serve_all(w);
	assert_int_equal(w->seen[member_no[0]] - before, 1 + taken);
}

static void reserved_addresses(void **state)
{
	struct world *w = *state;
	struct trunk_counts c;

	plan(w, TRUNK_TAKE);
	reserved(w, 0x00, false);
	reserved(w, 0x01, false);
	reserved(w, 0x0e, false);
	trunk_set_reserved(w->trunk, true);
	reserved(w, 0x00, false);
	reserved(w, 0x01, false);
	reserved(w, 0x0e, true);
	reserved(w, 0x10, true); /* no reserved address */
	trunk_place_counts(w->place[member_no[0]], &c);
	assert_int_equal(c.reserved, 5);
}

/* A frame with this tag from a host reaches the other, byte for byte; through the trunk, or not. */
static void tagged(struct world *w, int from, uint16_t tpid, uint16_t vid, bool taken)
{
	const uint8_t types[] = {(uint8_t)(tpid >> 8), (uint8_t)tpid, (uint8_t)(0x20 | vid >> 8),
				 (uint8_t)vid,         0x88,          0xb5};
	const struct port *place = w->place[member_no[from]];
	static uint8_t out[64], in[70100];
	struct trunk_counts before, after;
	struct virtio_net_hdr h;
	bool arrived = false;

	make_frame(out, sizeof(out), (const char *)types, sizeof(types));
	out[11] = (uint8_t)(0x70 + from); /* a station of this host's */
	trunk_place_counts(place, &before);
	host_send(w->sock[from], NULL, out, sizeof(out));
	for (int i = 0; i < 20 && !arrived; i++) {
		serve_all(w);
		arrived = host_recv(w->sock[!from], &h, in, WAIT_MS / 20) == sizeof(out) &&
			  !memcmp(in, out, sizeof(out));
	}
	assert_true(arrived);
	trunk_place_counts(place, &after);
	assert_int_equal(after.exempt - before.exempt, !taken);
}

/* What a VLAN device on a member receives: its tag, its id, its member. */
static void exempt_vlans_stay_in_the_kernel(void **state)
{
	struct world *w = *state;
	struct port *m0 = w->place[member_no[0]];

	plan(w, TRUNK_TAKE);
	tagged(w, 0, 0x8100, 100, true);
	assert_true(trunk_place_exempt_vlan(m0, 0x8100, 100, true));
	assert_false(trunk_place_exempt_vlan(m0, 0x8100, 100, true));
	tagged(w, 0, 0x8100, 100, false);
	tagged(w, 0, 0x8100, 101, true);
	tagged(w, 0, 0x88a8, 100, true);
	tagged(w, 1, 0x8100, 100, true);
	assert_true(trunk_place_exempt_vlan(m0, 0x88a8, 4094, true));
	tagged(w, 0, 0x88a8, 4094, false);
	tagged(w, 0, 0x8100, 4094, true);
	assert_true(trunk_place_exempt_vlan(m0, 0x8100, 100, false));
	assert_false(trunk_place_exempt_vlan(m0, 0x8100, 100, false));
	tagged(w, 0, 0x8100, 100, true);
	/* A member that leaves and comes back has none. */
	trunk_place_close(m0);
	m0 = add_place(w, "m0", TRUNK_INGRESS, member_no[0]);
	trunk_plan(m0, TRUNK_TAKE);
	tagged(w, 0, 0x88a8, 4094, true);
}

/* Copied or dropped are they as little as taken. */
static void exempt_vlans_have_no_other_plan(void **state)
{
	static const enum trunk_action plans[] = {TRUNK_COPY, TRUNK_DROP};
	struct world *w = *state;

	trunk_place_exempt_vlan(w->place[member_no[0]], 0x8100, 7, true);
	for (size_t i = 0; i < array_size(plans); i++) {
		plan(w, plans[i]);
		tagged(w, 0, 0x8100, 7, false);
	}
}

/* Nobody reads for longer than hang_ms: frames go on without us, until somebody reads again. */
static void a_hanging_worker_is_passed_by(void **state)
{
	struct world *w = *state;
	struct trunk_counts c;

	reopen_trunk(w, false, HANG_MS);
	plan(w, TRUNK_TAKE);
	send_one(w);
	send_one(w);
	assert_false(arrives(w));
	usleep((HANG_MS + 20) * 1000);
	send_one(w);
	assert_true(arrives(w));
	trunk_place_counts(w->place[10], &c);
	assert_int_equal(c.taken, 2);
	assert_int_equal(c.hung, 1);
	assert_int_equal(serve_n(w, 2), 2); /* late, not lost; the bell is no frame */
	assert_true(arrives(w) && arrives(w));
	assert_int_equal(serve_all(w), 0);
	send_one(w);
	assert_false(arrives(w));
	assert_int_equal(serve_n(w, 1), 1);
	assert_true(arrives(w));
	/* An idle worker does not hang. */
	usleep((HANG_MS + 20) * 1000);
	send_one(w);
	assert_false(arrives(w));
	assert_int_equal(serve_n(w, 1), 1);
	assert_true(arrives(w));
}

/* The note of a frame that got lost: the bell wakes the worker, which takes the note away. */
static void the_bell_wakes_a_sleeping_worker(void **state)
{
	struct world *w = *state;
	static struct batch b;
	struct pollfd p;
	struct port *t;

	reopen_trunk(w, false, HANG_MS);
	t = trunk_port(w->trunk);
	p = (struct pollfd){.fd = t->fd, .events = POLLIN};
	plan(w, TRUNK_TAKE);
	run("ip link set %s down", t->name);
	do /* until the sockets have said so */
		assert_int_equal(serve_all(w), 0);
	while (poll(&p, 1, 0));
	send_one(w); /* taken, and lost in the trunk */
	run("ip link set %s up", t->name);
	assert_int_equal(poll(&p, 1, HANG_MS + 20), 0);
	send_one(w);
	assert_true(arrives(w)); /* passed by */
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(t->driver->rx(t, &b), 0);
	send_one(w);
	assert_false(arrives(w));
	assert_int_equal(serve_n(w, 1), 1);
}

static void device_that_somebody_changed(void **state)
{
	struct world *w = *state;

	assert_true(trunk_fits(w->trunk, true, 65521)); /* as it was made */
	assert_false(trunk_fits(w->trunk, false, 65521));
	assert_false(trunk_fits(w->trunk, true, 1500));
}

static void closed_means_dropped(void **state)
{
	struct world *w = *state;
	struct port *p;

	reopen_trunk(w, true, HANG_MS);
	p = w->place[10];
	send_one(w); /* no plan yet */
	assert_false(arrives(w));
	plan(w, TRUNK_DROP);
	send_one(w);
	assert_false(arrives(w));
	plan(w, TRUNK_PASS);
	send_one(w);
	assert_true(arrives(w));
	plan(w, TRUNK_TAKE);
	send_one(w);
	usleep((HANG_MS + 20) * 1000);
	send_one(w);
	assert_int_equal(serve_n(w, 1), 1);
	assert_true(arrives(w));
	assert_false(arrives(w));
	p->driver->update_stats(p);
	assert_int_equal(p->drops.n[DROP_NOT_INSPECTED], 3);
}

/* ---- what an expression excepts ---- */

/* Classic BPF as of "ether proto N": its frames are exempt. */
static void exempt_type(struct world *w, uint16_t type)
{
	const struct sock_filter prog[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, type, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 65535),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const char *why = NULL;

	assert_int_equal(
		trunk_set_exempt(w->trunk, type ? prog : NULL, type ? array_size(prog) : 0, &why),
		0);
}

static void exempt_frames_stay_in_the_kernel(void **state)
{
	static const enum trunk_action plans[] = {TRUNK_TAKE, TRUNK_COPY, TRUNK_DROP};
	struct world *w = *state;

	for (size_t i = 0; i < array_size(plans); i++) {
		plan(w, plans[i]);
		exempt_type(w, 0x88b5); /* what send_one() sends */
		send_one(w);
		assert_true(arrives(w));
		assert_int_equal(serve_all(w), 0);
		exempt_type(w, 0x88b6);
		send_one(w);
		assert_int_equal(arrives(w), plans[i] == TRUNK_COPY);
		if (plans[i] == TRUNK_DROP)
			continue;
		assert_int_equal(serve_n(w, 1), 1);
		assert_int_equal(arrives(w), plans[i] == TRUNK_TAKE);
	}
	plan(w, TRUNK_TAKE);
	exempt_type(w, 0);
	send_one(w);
	assert_int_equal(serve_n(w, 1), 1);
	assert_true(arrives(w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(frames_pass_byte_for_byte),
		T(bytes_are_those_of_the_device),
		T(hosts_talk),
		T(tcp_streams_go_in_large_frames),
		T(gso_frame_passes_whole),
		T(tcp_in_vxlan_arrives),
		T(jumbo_frames_pass),
		T(places_come_one_at_a_time_and_in_order),
		T(host_traffic_is_taken_at_the_bridge),
		T(copies_are_copies),
		T(reserved_addresses),
		T(exempt_vlans_stay_in_the_kernel),
		T(exempt_vlans_have_no_other_plan),
		T(exempt_frames_stay_in_the_kernel),
		T(a_hanging_worker_is_passed_by),
		T(the_bell_wakes_a_sleeping_worker),
		T(device_that_somebody_changed),
		T(closed_means_dropped),
	};

	if (!trunk_tests_can_run())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
