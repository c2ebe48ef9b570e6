/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/pcapng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"

#define GATHER   262144u /* bytes that are written together, when there are many */
#define TEXT_MAX 2000u   /* bytes of an option's text */

#define BLOCK_SECTION   0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_STATS     5u
#define BLOCK_PACKET    6u
#define BYTE_ORDER_MARK 0x1a2b3c4du
#define LINK_ETHERNET   1u
#define NANOSECONDS     9u /* if_tsresol: 10 to the minus ninth */

enum {
	OPT_END = 0,
	OPT_COMMENT = 1,
	OPT_SHB_USERAPPL = 4,
	OPT_IF_NAME = 2,
	OPT_IF_DESCRIPTION = 3,
	OPT_IF_MAC = 6,
	OPT_IF_TSRESOL = 9,
	OPT_IF_FILTER = 11,
	OPT_EPB_FLAGS = 2,
	OPT_ISB_STARTTIME = 2,
	OPT_ISB_ENDTIME = 3,
	OPT_ISB_IFRECV = 4,
	OPT_ISB_IFDROP = 5,
	OPT_ISB_FILTERACCEPT = 6,
	OPT_ISB_USRDELIV = 8,
};

int pcapng_init(struct pcapng *w, int fd)
{
	*w = (struct pcapng){.fd = fd, .cap = 2 * GATHER};
	w->buf = malloc(w->cap);
	return w->buf ? 0 : -ENOMEM;
}

void pcapng_deinit(struct pcapng *w)
{
	free(w->buf);
	w->buf = NULL;
}

/* ---- writing ---- */

static uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Of n bytes of the buffer: those in whole blocks, and the packets in them. */
static size_t whole_blocks(const struct pcapng *w, size_t n, uint64_t *ret_packets)
{
	size_t at = 0;

	*ret_packets = 0;
	while (at + 8 <= n && at + load32(w->buf + at + 4) <= n) {
		*ret_packets += load32(w->buf + at) == BLOCK_PACKET;
		at += load32(w->buf + at + 4);
	}
	return at;
}

/* `extra` bytes of a block that did not fit were written. Pipes keep them. */
static void cut_back(const struct pcapng *w, size_t extra)
{
	const off_t end = lseek(w->fd, 0, SEEK_CUR);
	struct stat st;

	if (extra == 0 || end < (off_t)extra || fstat(w->fd, &st) || !S_ISREG(st.st_mode))
		return;
	if (ftruncate(w->fd, end - (off_t)extra) == 0)
		lseek(w->fd, end - (off_t)extra, SEEK_SET);
}

int pcapng_flush(struct pcapng *w)
{
	size_t done = 0, whole;
	uint64_t n;

	while (!w->error && done < w->len) {
		const ssize_t r = write(w->fd, w->buf + done, w->len - done);

		if (r > 0)
			done += (size_t)r;
		else if (r < 0 && errno != EINTR)
			w->error = -errno;
	}
	whole = whole_blocks(w, done, &n);
	w->n_written += n;
	if (w->error)
		cut_back(w, done - whole);
	w->len = 0;
	return w->error;
}

/* ---- blocks ---- */

static void put(struct pcapng *w, const void *data, size_t n)
{
	const size_t padded = (n + 3) & ~(size_t)3;

	if (n)
		memcpy(w->buf + w->len, data, n);
	memset(w->buf + w->len + n, 0, padded - n);
	w->len += padded;
}

static void put32(struct pcapng *w, uint32_t v)
{
	put(w, &v, sizeof(v));
}

/* Time stamps and other values of two words, high first, as blocks have them. */
static void put_time(struct pcapng *w, uint64_t ns)
{
	put32(w, (uint32_t)(ns >> 32));
	put32(w, (uint32_t)ns);
}

static void put_option(struct pcapng *w, uint16_t code, const void *value, size_t n)
{
	const uint16_t head[2] = {code, (uint16_t)n};

	put(w, head, sizeof(head));
	put(w, value, n);
}

static void put_text(struct pcapng *w, uint16_t code, const char *text)
{
	if (text && *text)
		put_option(w, code, text, strnlen(text, TEXT_MAX));
}

static void put_option_time(struct pcapng *w, uint16_t code, uint64_t ns)
{
	const uint32_t v[2] = {(uint32_t)(ns >> 32), (uint32_t)ns};

	put_option(w, code, v, sizeof(v));
}

/* Room for a block with n bytes of data; returns where it starts. */
static int begin(struct pcapng *w, uint32_t type, size_t n, size_t *ret_at)
{
	const size_t need = n + 4 * TEXT_MAX + 256;

	if (w->len > GATHER)
		pcapng_flush(w);
	if (!w->error && w->cap - w->len < need)
		pcapng_flush(w);
	if (!w->error && w->cap < need)
		w->error = -EMSGSIZE;
	if (w->error)
		return w->error;
	*ret_at = w->len;
	put32(w, type);
	put32(w, 0); /* its length: end() */
	return 0;
}

static int end(struct pcapng *w, size_t at)
{
	const uint32_t len = (uint32_t)(w->len - at) + 4;

	memcpy(w->buf + at + 4, &len, sizeof(len));
	put32(w, len);
	return 0;
}

int pcapng_section(struct pcapng *w, const char *application)
{
	const uint16_t version[2] = {1, 0};
	size_t at;
	int r = begin(w, BLOCK_SECTION, 0, &at);

	if (r)
		return r;
	put32(w, BYTE_ORDER_MARK);
	put(w, version, sizeof(version));
	put_time(w, UINT64_MAX); /* length of the section: not known */
	put_text(w, OPT_SHB_USERAPPL, application);
	put_option(w, OPT_END, NULL, 0);
	return end(w, at);
}

/* A string behind a byte that says what it is. */
static void put_filter(struct pcapng *w, const char *filter)
{
	char value[TEXT_MAX + 1] = "";
	size_t n = filter ? strnlen(filter, TEXT_MAX) : 0;

	if (n == 0)
		return;
	memcpy(value + 1, filter, n);
	put_option(w, OPT_IF_FILTER, value, n + 1);
}

int pcapng_interface(struct pcapng *w, const struct pcapng_if *i, uint32_t *ret_id)
{
	const uint16_t link[2] = {LINK_ETHERNET, 0};
	const uint8_t resolution = NANOSECONDS;
	size_t at;
	int r = begin(w, BLOCK_INTERFACE, 0, &at);

	if (r)
		return r;
	put(w, link, sizeof(link));
	put32(w, i->snaplen);
	put_text(w, OPT_IF_NAME, i->name);
	put_text(w, OPT_IF_DESCRIPTION, i->text);
	if (i->mac)
		put_option(w, OPT_IF_MAC, i->mac, 6);
	put_option(w, OPT_IF_TSRESOL, &resolution, 1);
	put_filter(w, i->filter);
	put_option(w, OPT_END, NULL, 0);
	*ret_id = w->n_ifs++;
	return end(w, at);
}

int pcapng_packet(struct pcapng *w, const struct pcapng_packet *p)
{
	const uint32_t flags = (uint32_t)p->direction;
	size_t at;
	int r = begin(w, BLOCK_PACKET, p->caplen, &at);

	if (r)
		return r;
	put32(w, p->interface);
	put_time(w, p->time_ns);
	put32(w, p->caplen);
	put32(w, p->len);
	put(w, p->data, p->caplen);
	put_text(w, OPT_COMMENT, p->comment);
	if (p->direction)
		put_option(w, OPT_EPB_FLAGS, &flags, sizeof(flags));
	if (p->direction || p->comment)
		put_option(w, OPT_END, NULL, 0);
	return end(w, at);
}

int pcapng_stats(struct pcapng *w, const struct pcapng_stats *s)
{
	size_t at;
	int r = begin(w, BLOCK_STATS, 0, &at);

	if (r)
		return r;
	put32(w, s->interface);
	put_time(w, s->time_ns);
	put_option_time(w, OPT_ISB_STARTTIME, s->start_ns);
	put_option_time(w, OPT_ISB_ENDTIME, s->end_ns);
	put_option(w, OPT_ISB_IFRECV, &s->received, sizeof(s->received));
	put_option(w, OPT_ISB_IFDROP, &s->lost, sizeof(s->lost));
	put_option(w, OPT_ISB_FILTERACCEPT, &s->accepted, sizeof(s->accepted));
	put_option(w, OPT_ISB_USRDELIV, &s->delivered, sizeof(s->delivered));
	put_option(w, OPT_END, NULL, 0);
	return end(w, at);
}
