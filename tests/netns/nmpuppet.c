/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A netmap program that a test pulls by strings: one command a line, one line of answer.
 *
 *	nmpuppet BRIDGE both|nic|host
 *
 *	recv SIDE MS            waits for a frame: hex of its slots, joined by +, or -
 *	pass SIDE swap|copy     what recv showed, to the other side
 *	edit SIDE OFFSET HEX    writes into what recv showed
 *	free SIDE               lets go of it
 *	send SIDE HEX           a frame of its own into a TX ring, in as many slots as it takes
 *	index SIDE rx|tx        the number of the buffer that the next slot has
 *	name SIDE tx INDEX      sends what that buffer holds, whoever has it
 *	name SIDE rx INDEX      writes it into the slot that the next frame will come into
 *	list SIDE INDEX         makes it the list of extra buffers
 *	poll SIDE               ok, or err: POLLERR
 *	auto swap|copy|free     deals so with all that comes until the next line; frames dealt with
 *
 * Names of sides: nic, host. Ring 0 of each is used. Errors end it.
 */
#include <err.h>
#include <libnetmap.h>
#include <net/netmap_user.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 16384

enum how { SWAP, COPY, FREE };

struct side {
	struct nmport_d *d;
	struct netmap_ring *rx, *tx;
};

static struct side sides[2];

static struct side *side_of(const char *name)
{
	struct side *s = &sides[name && !strcmp(name, "host")];

	if (!s->d)
		errx(2, "no such side: %s", name ? name : "");
	return s;
}

static struct side *other(const struct side *s)
{
	return &sides[s == &sides[0]];
}

static enum how how_of(const char *name)
{
	return !strcmp(name, "swap") ? SWAP : !strcmp(name, "copy") ? COPY : FREE;
}

static void open_side(struct side *s, const char *bridge, const char *suffix)
{
	char name[64];

	snprintf(name, sizeof(name), "netmap:%s%s", bridge, suffix);
	s->d = nmport_open(name);
	if (!s->d)
		err(1, "%s", name);
	s->rx = NETMAP_RXRING(s->d->nifp, s->d->first_rx_ring);
	s->tx = NETMAP_TXRING(s->d->nifp, s->d->first_tx_ring);
	ioctl(s->d->fd, NIOCRXSYNC, NULL);
}

static void sync_side(const struct side *s, unsigned long what)
{
	if (s->d && ioctl(s->d->fd, what, NULL) < 0)
		err(1, "sync");
}

static uint8_t *slot_data(struct netmap_ring *r, uint32_t i)
{
	return (uint8_t *)NETMAP_BUF(r, r->slot[i].buf_idx);
}

/* Slots of the first frame of an RX ring; 0: there is none. */
static uint32_t frame_slots(const struct netmap_ring *r)
{
	uint32_t n = 0;

	for (uint32_t i = r->head; i != r->tail; i = nm_ring_next(r, i)) {
		n++;
		if (!(r->slot[i].flags & NS_MOREFRAG))
			return n;
	}
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void receive(struct side *s, int ms)
{
	const uint64_t end = now_ms() + (uint64_t)ms;
	uint32_t n, i;

	sync_side(s, NIOCRXSYNC);
	while (!(n = frame_slots(s->rx)) && now_ms() < end) {
		struct pollfd p = {s->d->fd, POLLIN, 0};

		if (poll(&p, 1, (int)(end - now_ms())) < 0 || p.revents & POLLERR)
			err(1, "poll");
	}
	if (!n)
		putchar('-');
	i = s->rx->head;
	while (n--) {
		for (uint32_t k = 0; k < s->rx->slot[i].len; k++)
			printf("%02x", slot_data(s->rx, i)[k]);
		if (n)
			putchar('+');
		i = nm_ring_next(s->rx, i);
	}
	putchar('\n');
}

static void move_slot(struct netmap_ring *rx, struct netmap_ring *tx, enum how how)
{
	struct netmap_slot *r = &rx->slot[rx->head], *t = &tx->slot[tx->head];
	const uint32_t buf = t->buf_idx;

	t->len = r->len;
	t->flags = r->flags & NS_MOREFRAG;
	if (how == COPY) {
		memcpy(slot_data(tx, tx->head), slot_data(rx, rx->head), r->len);
	} else {
		t->buf_idx = r->buf_idx;
		r->buf_idx = buf;
		t->flags |= NS_BUF_CHANGED;
		r->flags |= NS_BUF_CHANGED;
	}
	tx->head = tx->cur = nm_ring_next(tx, tx->head);
}

/* The first frame of one side to the other, or nowhere. False: none, or no room. */
static bool deal(struct side *from, enum how how)
{
	struct netmap_ring *rx = from->rx, *tx = other(from)->tx;
	uint32_t n = frame_slots(rx);

	if (!n || (how != FREE && nm_ring_space(tx) < n))
		return false;
	while (n--) {
		if (how != FREE)
			move_slot(rx, tx, how);
		rx->head = rx->cur = nm_ring_next(rx, rx->head);
	}
	return true;
}

static uint32_t unhex(const char *hex, uint8_t *to)
{
	uint32_t n = 0;
	unsigned int x;

	while (n < FRAME_MAX && sscanf(hex + (size_t)2 * n, "%2x", &x) == 1)
		to[n++] = (uint8_t)x;
	return n;
}

static void send_frame(struct side *s, const char *hex)
{
	static uint8_t f[FRAME_MAX];
	uint32_t len = unhex(hex, f), at = 0, room = s->tx->nr_buf_size;

	if (room > 1792)
		room = 1792;
	sync_side(s, NIOCTXSYNC);
	do {
		const uint32_t n = len - at < room ? len - at : room;
		struct netmap_slot *t = &s->tx->slot[s->tx->head];

		if (nm_ring_space(s->tx) == 0)
			errx(1, "no room");
		memcpy(slot_data(s->tx, s->tx->head), f + at, n);
		at += n;
		t->len = (uint16_t)n;
		t->flags = at < len ? NS_MOREFRAG : 0;
		s->tx->head = s->tx->cur = nm_ring_next(s->tx, s->tx->head);
	} while (at < len);
	sync_side(s, NIOCTXSYNC);
}

static struct netmap_ring *ring_of(const struct side *s, const char *dir)
{
	return strcmp(dir, "tx") ? s->rx : s->tx;
}

/* Writes a number that may be anybody's buffer into a slot. */
static void name_buffer(struct side *s, const char *dir, uint32_t index)
{
	struct netmap_ring *r = ring_of(s, dir);
	struct netmap_slot *slot = &r->slot[r == s->tx ? r->head : r->tail];

	slot->buf_idx = index;
	slot->flags = NS_BUF_CHANGED;
	if (r == s->rx)
		return;
	slot->len = 60;
	r->head = r->cur = nm_ring_next(r, r->head);
	sync_side(s, NIOCTXSYNC);
}

static const char *poll_side(const struct side *s)
{
	struct pollfd p = {s->d->fd, POLLIN | POLLOUT, 0};

	return poll(&p, 1, 0) < 0 || p.revents & POLLERR ? "err" : "ok";
}

static void run_auto(enum how how)
{
	unsigned long long n = 0;
	struct pollfd p[3] = {{STDIN_FILENO, POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};

	for (int i = 0; i < 2; i++)
		if (sides[i].d)
			p[1 + i].fd = sides[i].d->fd;
	do {
		for (int i = 0; i < 2; i++)
			while (sides[i].d && deal(&sides[i], how))
				n++;
		if (poll(p, 3, 100) < 0 || (p[1].revents | p[2].revents) & POLLERR)
			err(1, "poll");
	} while (!p[0].revents);
	printf("%llu\n", n);
}

static void command(char *line)
{
	const char *word = strtok(line, " \n"), *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n");
	const char *c = strtok(NULL, " \n");
	struct side *s;

	if (!word || !a)
		errx(2, "what?");
	if (!strcmp(word, "auto")) {
		printf("ok\n");
		fflush(stdout);
		run_auto(how_of(a));
		return;
	}
	s = side_of(a);
	if (!strcmp(word, "recv") && b) {
		receive(s, atoi(b));
		return;
	}
	if (!strcmp(word, "index") && b) {
		printf("%u\n", ring_of(s, b)->slot[ring_of(s, b)->head].buf_idx);
		return;
	}
	if (!strcmp(word, "poll")) {
		printf("%s\n", poll_side(s));
		return;
	}
	if (!strcmp(word, "name") && b && c)
		name_buffer(s, b, (uint32_t)atoi(c));
	else if (!strcmp(word, "list") && b)
		s->d->nifp->ni_bufs_head = (uint32_t)atoi(b);
	else if (!strcmp(word, "send") && b)
		send_frame(s, b);
	else if (!strcmp(word, "edit") && b && c)
		unhex(c, slot_data(s->rx, s->rx->head) + atoi(b));
	else if (!deal(s, b ? how_of(b) : FREE))
		errx(1, "nothing to deal with, or no room");
	sync_side(s, NIOCRXSYNC);
	sync_side(other(s), NIOCTXSYNC);
	printf("ok\n");
}

int main(int argc, char **argv)
{
	static char line[2 * FRAME_MAX + 64];

	if (argc < 3)
		return 2;
	if (strcmp(argv[2], "host") != 0)
		open_side(&sides[0], argv[1], "");
	if (strcmp(argv[2], "nic") != 0)
		open_side(&sides[1], argv[1], "^");
	printf("ready\n");
	fflush(stdout);
	setvbuf(stdin, NULL, _IONBF, 0); /* run_auto() polls it */
	while (fgets(line, sizeof(line), stdin)) {
		command(line);
		fflush(stdout);
	}
	return 0;
}
