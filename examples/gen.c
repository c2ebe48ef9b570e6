/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends, counts and answers frames on a netmap port.
 *
 *	gen -f tx -i netmap:v1 -n 1000000 -l 60 -R 100000	send UDP frames, 100,000 a second
 *	gen -f rx -i netmap:v2					count what comes
 *	gen -f ping -i netmap:v1 -n 100			round-trip times ...
 *	gen -f pong -i netmap:v2				... if this runs at the other end
 *
 * Letters as with pkt-gen: -i port, -f function, -n frames (0 = no end), -l length without
 *checksum, -R frames a second (0 = as fast as possible), -S and -D source and destination MAC, -s
 *and -d the same for IPv4, -w seconds to wait first, -T milliseconds between reports.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libnetmap.h>
#include <net/ethernet.h>
#include <net/netmap_user.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MIN 60
#define FRAME_MAX 1792
#define BATCH     256
#define MARK      0x76696164u /* in each ping */

struct payload {
	uint32_t mark, seq;
	uint64_t sent_ns;
} __attribute__((packed));

struct headers {
	struct ether_header eth;
	struct iphdr ip;
	struct udphdr udp;
	struct payload data;
} __attribute__((packed));

struct gen {
	struct nmport_d *port;
	uint64_t count, rate, report_ns;
	unsigned int len, wait_s;
	struct headers h;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	stop = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint16_t ip_sum(const void *p, size_t n)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i < n; i += 2) {
		memcpy(&word, (const char *)p + i, 2);
		sum += word;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void make_headers(struct gen *g)
{
	struct headers *h = &g->h;

	h->eth.ether_type = htons(ETHERTYPE_IP);
	h->ip.version = 4;
	h->ip.ihl = 5;
	h->ip.ttl = 64;
	h->ip.protocol = IPPROTO_UDP;
	h->ip.tot_len = htons((uint16_t)(g->len - sizeof(h->eth)));
	h->ip.check = 0;
	h->ip.check = ip_sum(&h->ip, sizeof(h->ip));
	h->udp.source = htons(1234);
	h->udp.dest = htons(1234);
	h->udp.len = htons((uint16_t)(g->len - sizeof(h->eth) - sizeof(h->ip)));
	h->data.mark = htonl(MARK);
}

static void report(const char *verb, uint64_t n, uint64_t ns)
{
	printf("%s %.3f Mframe/s (%llu frames in %.3f s)\n", verb, (double)n * 1e3 / (double)ns,
	       (unsigned long long)n, (double)ns / 1e9);
	fflush(stdout);
}

/* Fills up to n slots; how many. */
static unsigned int send_some(struct gen *g, unsigned int n, uint32_t seq)
{
	unsigned int done = 0;

	for (uint16_t i = g->port->first_tx_ring; i <= g->port->last_tx_ring && done < n; i++) {
		struct netmap_ring *r = NETMAP_TXRING(g->port->nifp, i);

		for (; done < n && !nm_ring_empty(r); done++) {
			struct netmap_slot *s = &r->slot[r->head];
			char *frame = NETMAP_BUF(r, s->buf_idx);

			g->h.data.seq = htonl(seq++);
			memset(frame + sizeof(g->h), 0, g->len - sizeof(g->h));
			memcpy(frame, &g->h, sizeof(g->h));
			s->len = (uint16_t)g->len;
			s->flags = 0;
			r->head = r->cur = nm_ring_next(r, r->head);
		}
	}
	return done;
}

/* What was handed over comes back when it has been sent. */
static void finish(struct gen *g)
{
	const uint64_t end = now_ns() + 2000000000u;
	bool pending = true;

	while (pending && now_ns() < end) {
		ioctl(g->port->fd, NIOCTXSYNC, NULL);
		pending = false;
		for (uint16_t i = g->port->first_tx_ring; i <= g->port->last_tx_ring; i++)
			pending |= nm_tx_pending(NETMAP_TXRING(g->port->nifp, i));
		usleep(50);
	}
}

/* How many may be sent by now. */
static uint64_t allowed(const struct gen *g, uint64_t start, uint64_t done)
{
	uint64_t n = BATCH;

	if (g->rate) {
		const uint64_t due = (now_ns() - start) * g->rate / 1000000000u + 1;

		n = due > done ? due - done : 0;
	}
	if (g->count && n > g->count - done)
		n = g->count - done;
	return n > BATCH ? BATCH : n;
}

static int do_tx(struct gen *g)
{
	struct pollfd p = {.fd = g->port->fd, .events = POLLOUT};
	const uint64_t start = now_ns();
	uint64_t done = 0, told = 0, at = start;

	while (!stop && (!g->count || done < g->count)) {
		const uint64_t n = allowed(g, start, done);

		if (n)
			done += send_some(g, (unsigned int)n, (uint32_t)done);
		else
			usleep(20);
		if (poll(&p, 1, 1000) < 0 && errno != EINTR)
			return 1;
		if (p.revents & POLLERR)
			return fprintf(stderr, "gen: the port is gone\n"), 1;
		if (now_ns() - at > g->report_ns) {
			report("sent", done - told, now_ns() - at);
			told = done;
			at = now_ns();
		}
	}
	at = now_ns();
	finish(g);
	report("in all sent", done, at - start);
	printf("the last came back after %.1f ms\n", (double)(now_ns() - at) / 1e6);
	return 0;
}

/* Calls use for each frame that is there; how many. */
static uint64_t receive(struct gen *g, void (*use)(struct gen *g, char *frame, unsigned int len))
{
	uint64_t n = 0;

	for (uint16_t i = g->port->first_rx_ring; i <= g->port->last_rx_ring; i++) {
		struct netmap_ring *r = NETMAP_RXRING(g->port->nifp, i);

		for (; !nm_ring_empty(r); n++) {
			struct netmap_slot *s = &r->slot[r->head];

			if (use)
				use(g, NETMAP_BUF(r, s->buf_idx), s->len);
			r->head = r->cur = nm_ring_next(r, r->head);
		}
	}
	return n;
}

static int do_rx(struct gen *g)
{
	struct pollfd p = {.fd = g->port->fd, .events = POLLIN};
	uint64_t done = 0, told = 0, at = now_ns(), start = 0;

	while (!stop && (!g->count || done < g->count)) {
		if (poll(&p, 1, 100) < 0 && errno != EINTR)
			return 1;
		if (p.revents & POLLERR)
			return fprintf(stderr, "gen: the port is gone\n"), 1;
		done += receive(g, NULL);
		if (done && !start)
			start = now_ns();
		if (now_ns() - at > g->report_ns) {
			report("received", done - told, now_ns() - at);
			told = done;
			at = now_ns();
		}
	}
	report("in all received", done, start ? now_ns() - start : 1);
	return 0;
}

static uint64_t rtts[1u << 16];
static uint32_t n_rtts, wanted;

static bool is_ping(const char *frame, unsigned int len, struct headers *h)
{
	if (len < sizeof(*h))
		return false;
	memcpy(h, frame, sizeof(*h));
	return h->data.mark == htonl(MARK);
}

static void take_pong(struct gen *g, char *frame, unsigned int len)
{
	struct headers h;

	if (is_ping(frame, len, &h) && ntohl(h.data.seq) == wanted && n_rtts < 1u << 16)
		rtts[n_rtts++] = now_ns() - h.data.sent_ns;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double rtt_us(uint32_t i)
{
	return (double)rtts[i] / 1e3;
}

static int do_ping(struct gen *g)
{
	struct pollfd p = {.fd = g->port->fd, .events = POLLIN};
	uint64_t sent = 0;

	for (; !stop && (!g->count || sent < g->count); sent++) {
		const uint32_t before = n_rtts;
		const uint64_t end = now_ns() + 1000000000u;

		wanted = (uint32_t)sent;
		g->h.data.sent_ns = now_ns();
		send_some(g, 1, wanted);
		while (!stop && n_rtts == before && now_ns() < end)
			if (poll(&p, 1, 100) > 0)
				receive(g, take_pong);
		usleep(g->rate ? (useconds_t)(1000000u / g->rate) : 1000);
	}
	qsort(rtts, n_rtts, sizeof(rtts[0]), by_size);
	printf("%llu sent, %u came back", (unsigned long long)sent, n_rtts);
	if (n_rtts)
		printf(", min %.1f median %.1f 99%% %.1f max %.1f us", rtt_us(0),
		       rtt_us(n_rtts / 2), rtt_us(n_rtts * 99 / 100), rtt_us(n_rtts - 1));
	putchar('\n');
	return n_rtts == 0;
}

/* Back to the sender, with addresses exchanged. */
static void send_back(struct gen *g, char *frame, unsigned int len)
{
	struct headers h;
	struct ether_header eth;

	if (!is_ping(frame, len, &h))
		return;
	memcpy(eth.ether_dhost, h.eth.ether_shost, 6);
	memcpy(eth.ether_shost, h.eth.ether_dhost[0] & 1 ? g->h.eth.ether_shost : h.eth.ether_dhost,
	       6);
	eth.ether_type = h.eth.ether_type;
	memcpy(frame, &eth, sizeof(eth));
	nmport_inject(g->port, frame, len);
}

static int do_pong(struct gen *g)
{
	struct pollfd p = {.fd = g->port->fd, .events = POLLIN};

	while (!stop) {
		if (poll(&p, 1, 1000) > 0 && p.revents & POLLERR)
			return fprintf(stderr, "gen: the port is gone\n"), 1;
		if (receive(g, send_back))
			ioctl(g->port->fd, NIOCTXSYNC, NULL);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct gen *g);
} functions[] = {{"tx", do_tx}, {"rx", do_rx}, {"ping", do_ping}, {"pong", do_pong}};

static int usage(void)
{
	fprintf(stderr, "usage: gen -f tx|rx|ping|pong -i PORT [-n COUNT] [-l LENGTH] [-R RATE]\n"
			"           [-S MAC] [-D MAC] [-s IP] [-d IP] [-w SECONDS] [-T MS]\n");
	return 2;
}

static bool set_mac(uint8_t *mac, const char *text)
{
	struct ether_addr a;

	return ether_aton_r(text, &a) && memcpy(mac, &a, sizeof(a));
}

static bool set_option(struct gen *g, int o, const char *text)
{
	switch (o) {
	case 'n':
		g->count = strtoull(text, NULL, 0);
		return true;
	case 'R':
		g->rate = strtoull(text, NULL, 0);
		return true;
	case 'l':
		g->len = (unsigned int)strtoul(text, NULL, 0);
		return g->len >= FRAME_MIN && g->len <= FRAME_MAX;
	case 'w':
		g->wait_s = (unsigned int)strtoul(text, NULL, 0);
		return true;
	case 'T':
		g->report_ns = strtoull(text, NULL, 0) * 1000000u;
		return g->report_ns > 0;
	case 'S':
		return set_mac(g->h.eth.ether_shost, text);
	case 'D':
		return set_mac(g->h.eth.ether_dhost, text);
	case 's':
		return inet_pton(AF_INET, text, &g->h.ip.saddr) == 1;
	case 'd':
		return inet_pton(AF_INET, text, &g->h.ip.daddr) == 1;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	struct gen g = {.len = FRAME_MIN, .report_ns = 1000000000u};
	const char *name = NULL;
	size_t f = 4;
	int o, r;

	set_option(&g, 'S', "02:00:00:00:00:01");
	set_option(&g, 'D', "ff:ff:ff:ff:ff:ff");
	set_option(&g, 's', "10.0.0.1");
	set_option(&g, 'd', "10.1.0.1");
	while ((o = getopt(argc, argv, "f:i:n:l:R:S:D:s:d:w:T:")) >= 0) {
		if (o == 'i')
			name = optarg;
		else if (o == 'f')
			for (f = 0; f < 4 && strcmp(functions[f].name, optarg) != 0;)
				f++;
		else if (!set_option(&g, o, optarg))
			return usage();
	}
	if (!name || f == 4 || optind < argc)
		return usage();
	make_headers(&g);
	g.port = nmport_open(name);
	if (!g.port) {
		fprintf(stderr, "gen: %s: %s\n", name, strerror(errno));
		return 1;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	sleep(g.wait_s);
	r = functions[f].run(&g);
	nmport_close(g.port);
	return r;
}
