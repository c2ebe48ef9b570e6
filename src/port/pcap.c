/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver "pcap": a capture file (pcap or pcapng) replayed in a loop, as fast as the worker
 * asks. The file is read once, at open. What is sent to the port is counted and thrown away.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "port/driver.h"

#define BYTES_MAX  (256u << 20) /* of frames kept in memory */
#define FRAMES_MAX (8u << 20)

struct record {
	uint32_t ofs; /* of its bytes in the arena */
	uint32_t len;
	bool truncated; /* the capture holds only its beginning */
};

struct pcap_port {
	struct port port;
	uint8_t *arena;
	struct record *records;
	uint32_t n, n_room;       /* records in use, allocated */
	uint32_t size, size_room; /* bytes of the arena in use, allocated */
	uint32_t next;            /* record that rx() gives next */
	uint32_t max_len;         /* longest frame that fits a region buffer */
	uint8_t rx_flags;
};

static _Thread_local char why[256];

static int fail(int r, const char *file, const char *cause, const char **ret_why)
{
	snprintf(why, sizeof(why), "%.160s: %.80s", file, cause);
	*ret_why = why;
	return error_origin(r);
}

static struct pcap_port *pcap_port(struct port *p)
{
	return container_of(p, struct pcap_port, port);
}

/* Makes room for n more items in *items of item_size bytes each, doubling. */
static bool grow(void **items, uint32_t *room, uint32_t used, uint32_t n, size_t item_size)
{
	uint64_t want = max_of((uint64_t)used + n, 64u);
	void *bigger;

	if (want <= *room)
		return true;
	want = max_of(want, (uint64_t)*room * 2);
	bigger = realloc(*items, want * item_size);
	if (!bigger)
		return false;
	*items = bigger;
	*room = (uint32_t)want;
	return true;
}

/* Keeps one record; those that rx() drops anyway leave no bytes. 0 or -errno. */
static int keep(struct pcap_port *pp, const struct pcap_pkthdr *h, const uint8_t *bytes)
{
	struct record rec = {.ofs = pp->size, .len = h->len, .truncated = h->caplen < h->len};
	uint32_t size = rec.truncated || rec.len > pp->max_len ? 0 : rec.len;

	if (pp->n == FRAMES_MAX || size > BYTES_MAX - pp->size)
		return -EFBIG;
	if (!grow((void **)&pp->records, &pp->n_room, pp->n, 1, sizeof(rec)) ||
	    !grow((void **)&pp->arena, &pp->size_room, pp->size, size, 1))
		return -ENOMEM;
	memcpy(pp->arena + pp->size, bytes, size);
	pp->size += size;
	pp->records[pp->n++] = rec;
	return 0;
}

static int load(struct pcap_port *pp, pcap_t *cap, const char *file, const char **ret_why)
{
	struct pcap_pkthdr *h;
	const uint8_t *bytes;
	int got, r;

	if (pcap_datalink(cap) != DLT_EN10MB)
		return fail(-EINVAL, file, "not a capture of Ethernet frames", ret_why);
	while ((got = pcap_next_ex(cap, &h, &bytes)) == 1) {
		r = keep(pp, h, bytes);
		if (r == -EFBIG)
			return fail(r, file, "more than 256 MB or 8 million frames", ret_why);
		if (r < 0)
			return fail(r, file, "no memory for its frames", ret_why);
	}
	if (got == PCAP_ERROR)
		return fail(-EINVAL, file, pcap_geterr(cap), ret_why);
	if (!pp->n)
		return fail(-EINVAL, file, "a capture without frames", ret_why);
	return 0;
}

static int load_file(struct pcap_port *pp, const char *file, const char **ret_why)
{
	char text[PCAP_ERRBUF_SIZE];
	struct stat st;
	pcap_t *cap;
	int r;

	if (stat(file, &st) < 0) {
		r = -errno;
		return fail(r, file, err_text(r), ret_why);
	}
	if (!S_ISREG(st.st_mode)) /* opening a FIFO would wait */
		return fail(-EINVAL, file, "not a regular file", ret_why);
	if (!st.st_size)
		return fail(-EINVAL, file, "an empty file", ret_why);
	cap = pcap_open_offline(file, text);
	if (!cap)
		return fail(-EINVAL, file, "not a capture that libpcap can read", ret_why);
	r = load(pp, cap, file, ret_why);
	pcap_close(cap);
	return r;
}

static void pcap_port_close(struct port *p)
{
	struct pcap_port *pp = pcap_port(p);

	free(pp->arena);
	free(pp->records);
	free(pp);
}

static int pcap_port_open(const struct port_config *cfg, struct port **ret, const char **ret_why)
{
	struct pcap_port *pp;
	int r;

	if (!cfg->arg) {
		*ret_why = "needs a capture file";
		return error_origin(-EINVAL);
	}
	pp = calloc(1, sizeof(*pp));
	if (!pp) {
		*ret_why = "no memory";
		return error_origin(-ENOMEM);
	}
	pp->port = (struct port){.driver = &port_driver_pcap, .bufs = cfg->bufs, .fd = -1};
	snprintf(pp->port.name, sizeof(pp->port.name), "%s", cfg->name);
	snprintf(pp->port.mode, sizeof(pp->port.mode), "replay");
	pp->rx_flags = cfg->host ? FRAME_LOCAL : 0;
	pp->max_len = buf_room(cfg->bufs, MEM_BUF_FIRST);
	r = load_file(pp, cfg->arg, ret_why);
	if (r < 0) {
		pcap_port_close(&pp->port);
		return error_trace(r);
	}
	*ret = &pp->port;
	return 0;
}

/* The reason why a record cannot be replayed, or DROP_N. */
static enum drop_reason unfit(const struct pcap_port *pp, const struct record *rec)
{
	if (rec->len > pp->max_len)
		return DROP_OVERSIZE;
	return rec->truncated ? DROP_RX_TRUNCATED : DROP_N;
}

static uint32_t pcap_port_rx(struct port *p, struct batch *b)
{
	struct pcap_port *pp = pcap_port(p);
	uint32_t bufs[BATCH_MAX], n_bufs, n = 0;

	n_bufs = buf_get(p->bufs, bufs, BATCH_MAX - b->n);
	/* A round looks at as many records as it has buffers, so that it ends also when none fits.
	 */
	for (uint32_t i = 0; i < n_bufs; i++) {
		const struct record *rec = &pp->records[pp->next];
		enum drop_reason drop = unfit(pp, rec);
		struct frame *f = &b->frames[b->n];

		if (++pp->next == pp->n)
			pp->next = 0;
		if (drop != DROP_N) {
			port_drop(p, drop, NULL, 0, rec->len); /* its bytes were not kept */
			continue;
		}
		*f = (struct frame){.buf = bufs[n], .len = rec->len, .flags = pp->rx_flags};
		f->data = buf_data(p->bufs, f->buf);
		memcpy(f->data, pp->arena + rec->ofs, rec->len);
		p->stats.rx_bytes += rec->len;
		b->n++;
		n++;
	}
	buf_put(p->bufs, bufs + n, n_bufs - n);
	p->stats.rx_packets += n;
	return n;
}

static uint32_t pcap_port_tx(struct port *p, struct frame *const *frames, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		p->stats.tx_bytes += frames[i]->len;
		buf_put_one(p->bufs, frames[i]->buf);
	}
	p->stats.tx_packets += n;
	return n;
}

/* There is always a next frame. */
static bool pcap_port_arm(struct port *p)
{
	return true;
}

const struct port_driver port_driver_pcap = {
	.name = "pcap",
	.open = pcap_port_open,
	.close = pcap_port_close,
	.rx = pcap_port_rx,
	.tx = pcap_port_tx,
	.arm = pcap_port_arm,
};
