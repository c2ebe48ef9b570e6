/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an inline filter is without netmap: takes every packet from NFQUEUE 0, passes it on. For
 * bench/bench_netmap.py.
 *
 *	nfpass [BATCH]
 *
 * GSO packets arrive whole, as they do with pass. With BATCH, one verdict accepts all packets so
 * far, at most after so many or when no more wait; without, every packet gets its own, as in most
 * programs. Ends when it is killed; prints "ready" when the queue is bound.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define QUEUE_LEN 8192
#define RCVBUF    (64 << 20)

static struct {
	uint32_t batch, n, last; /* packets without a verdict, the last one's id */
	volatile uint8_t sink;
} state;

static void die(const char *what)
{
	fprintf(stderr, "nfpass: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int on_packet(struct nfq_q_handle *q, struct nfgenmsg *msg, struct nfq_data *data, void *ctx)
{
	const struct nfqnl_msg_packet_hdr *h = nfq_get_msg_packet_hdr(data);
	unsigned char *payload;

	(void)msg;
	(void)ctx;
	if (!h)
		return 0;
	if (nfq_get_payload(data, &payload) > 0)
		state.sink = payload[0]; /* it could look at it */
	state.last = ntohl(h->packet_id);
	if (!state.batch)
		return nfq_set_verdict(q, state.last, NF_ACCEPT, 0, NULL);
	state.n++;
	return 0;
}

static void flush(struct nfq_q_handle *q)
{
	if (state.n && nfq_set_verdict_batch(q, state.last, NF_ACCEPT) < 0)
		die("verdict");
	state.n = 0;
}

static struct nfq_q_handle *open_queue(struct nfq_handle *h)
{
	struct nfq_q_handle *q = nfq_create_queue(h, 0, on_packet, NULL);

	if (!q || nfq_set_mode(q, NFQNL_COPY_PACKET, 0xffff) < 0)
		die("queue 0");
	if (nfq_set_queue_maxlen(q, QUEUE_LEN) < 0 ||
	    nfq_set_queue_flags(q, NFQA_CFG_F_GSO, NFQA_CFG_F_GSO) < 0)
		die("queue 0: settings");
	return q;
}

int main(int argc, char **argv)
{
	static char buf[1 << 17] __attribute__((aligned(8)));
	int fd, on = 1, size = RCVBUF;
	struct nfq_handle *h = nfq_open();
	struct nfq_q_handle *q;

	if (argc > 1)
		state.batch = (uint32_t)strtoul(argv[1], NULL, 10);
	if (!h)
		die("nfnetlink");
	q = open_queue(h);
	fd = nfq_fd(h);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on));
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), state.n ? MSG_DONTWAIT : 0);

		if (n > 0)
			nfq_handle_packet(h, buf, (int)n);
		else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
			die("receive");
		if (n <= 0 || state.n >= state.batch)
			flush(q);
	}
}
