/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring through which a capture's frames come from the daemon to the client that writes them: a
 * sealed memory object that both map, and an eventfd, its bell.
 *
 * Theory of operation. One producer, the worker of the bridge; one consumer, the client. The
 * producer never waits: what finds no room is counted. Records are published together, so what was
 * reserved may still be changed until then: the verdict of a frame is known later than its bytes.
 * Who is about to wait for the bell says so (`asleep`) and looks once more; who publishes looks at
 * that flag afterwards, clears it, and owes one ring of the bell.
 *
 * The producer reads nothing of the memory but `tail` and `asleep`, once, and a tail that cannot be
 * is a full ring: a client that scribbles harms itself. The consumer checks each record before it
 * believes its sizes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPRING_PORTS 1024u      /* numbers of ports; 0: frames of programs that have none */
#define CAPRING_SIZE  (4u << 20) /* bytes for records of a capture */
#define CAPRING_NAME  16u

#define CAPRING_LAYOUT   1  /* version of what is in this file */
#define CAPRING_MAX      8u /* captures of a daemon at a time */
#define CAPRING_SNAP_MAX 262144u

enum capring_type {
	CAPRING_SKIP,   /* nothing; the end of the memory, or a frame that was not sent after all */
	CAPRING_PORT,   /* struct capring_port follows: from now on `port` is this one */
	CAPRING_PACKET, /* `caplen` bytes of a frame follow */
};

/* Where the frame was seen. Names: capring_point_name(). */
enum capring_point {
	CAPRING_IN,     /* as received on `port` */
	CAPRING_OUT,    /* as sent on `port` */
	CAPRING_DROP,   /* where it was dropped; counted at `port` */
	CAPRING_BEFORE, /* goes to a netmap program; came in on `port` */
	CAPRING_AFTER,  /* came back from one */
	CAPRING_POINT_N
};

enum capring_verdict {
	CAPRING_NONE,     /* see the point */
	CAPRING_UNICAST,  /* to to_port */
	CAPRING_FLOOD,    /* to n_takers ports; 0: unknown how many */
	CAPRING_HOST,     /* up to the host only */
	CAPRING_PROGRAM,  /* to a program's ring `ring`, until it comes back */
	CAPRING_DROPPED,  /* reason */
	CAPRING_CONSUMED, /* by the bridge itself: spanning tree */
	CAPRING_KERNEL,   /* on its way through the kernel's bridge, at to_port */
	CAPRING_COPY,     /* a copy that ends here; the frame itself went on */
	CAPRING_VERDICT_N
};

enum capring_flags {
	CAPRING_CSUM_PARTIAL = 1, /* the checksum in it is unfinished */
	CAPRING_SHOWN = 2,        /* a program got a copy, in `ring` */
	CAPRING_LOCAL = 4,        /* the host sent it */
	CAPRING_EGRESS = 8,       /* DROP: `port` is where it would have gone out */
	CAPRING_MADE = 16,        /* AFTER: the program made it, nobody knows its port */
};

struct capring_record {
	uint32_t size; /* of the record, a multiple of 8 */
	uint8_t type, point, verdict, flags;
	uint64_t time_ns; /* since 1970 */
	uint32_t caplen, len;
	uint16_t port, to_port, in_port;
	uint16_t reason; /* why it, or copies of it, were dropped: number of the start's list */
	uint16_t n_dropped, n_takers; /* copies */
	uint16_t drop_port;           /* where the first copy was dropped */
	uint16_t gso_size;            /* payload of each segment; 0: not GSO */
	uint8_t gso;                  /* 1 TCPv4, 2 TCPv6, 3 UDP */
	uint8_t ring;
	uint8_t pad[6];
	uint8_t data[];
};
_Static_assert(sizeof(struct capring_record) == 48, "no holes, and 8 bytes aligned");

struct capring_port {
	char name[CAPRING_NAME];
	char text[104]; /* for people */
	uint8_t mac[6];
	uint8_t pad[2];
};

enum capring_end { CAPRING_GOES_ON, CAPRING_BRIDGE_GONE };

/* Of one port. Written by the producer. */
struct capring_counters {
	uint64_t seen;     /* frames at the points of this capture */
	uint64_t accepted; /* of them by the filter */
	uint64_t lost;     /* of those: no room */
};

/* The beginning of the memory; records follow at CAPRING_DATA. */
struct capring_shared {
	_Alignas(128) uint64_t head; /* producer: bytes published */
	uint32_t ended;              /* enum capring_end */
	_Alignas(128) uint64_t tail; /* consumer: bytes done with */
	uint32_t asleep;             /* consumer: ring the bell */
	_Alignas(128) struct capring_counters ports[CAPRING_PORTS];
};
#define CAPRING_DATA 32768u /* whole pages */
_Static_assert(sizeof(struct capring_shared) <= CAPRING_DATA, "in front of the records");

/* "in", "out", "drop", "before", "after". */
const char *capring_point_name(enum capring_point p);

/* ---- producer ---- */

struct capring {
	struct capring_shared *shared;
	uint8_t *data;
	uint64_t head, published, tail; /* own copies */
	uint64_t size;                  /* a power of two */
};

/* Maps nothing: base is the memory, of CAPRING_DATA + size bytes, zeros. */
void capring_init(struct capring *r, void *base, uint64_t size);
/*
 * Room for a record with n bytes of data; its size and type are set and the rest is zero. It is the
 * caller's to change until capring_publish(). NULL: full.
 */
struct capring_record *capring_reserve(struct capring *r, enum capring_type type, uint32_t n);
/* Shows the consumer what was reserved. True: the bell is to be rung. */
bool capring_publish(struct capring *r);
/* Nothing comes any more. The bell is to be rung. */
void capring_end(struct capring *r, enum capring_end why);

/* ---- consumer ---- */

struct capring_reader {
	struct capring_shared *shared;
	const uint8_t *data;
	uint64_t size, tail;
};

void capring_open(struct capring_reader *r, void *base, uint64_t size);
/*
 * The next record that is no SKIP, valid until capring_release(); *ret NULL: none now. 0, or
 * -EPROTO: the memory does not make sense.
 */
int capring_next(struct capring_reader *r, const struct capring_record **ret);
/* Done with that record and all before it. */
void capring_release(struct capring_reader *r);
/* Before waiting for the bell: false if there is something already. */
bool capring_sleep(struct capring_reader *r);
enum capring_end capring_ended(const struct capring_reader *r);
