/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mirrors: copies of what ports receive and send, and of what rules choose, to a port of the bridge
 * that does nothing else (a span port). A copy is one more reference of the buffer with a
 * descriptor of its own, so that what the bridge does to the frame afterwards does not show.
 *
 * A destination gets a frame once, however many mirrors and directions ask for it: a frame is
 * judged when it is received, and when it leaves only if no mirror of that destination had a say
 * before. That holds over interception too: what a program gives back is not received again.
 *
 * A mirror is made by the main thread and then belongs to the bridge (bridge_mirror_add), whose
 * worker is the only one to touch it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/bport.h"
#include "core/frame.h"

struct egress;
struct program;

#define MIRRORS_MAX       8u /* of a bridge: a bit each in frame.mirrored */
#define MIRROR_NAME_SIZE  32u
#define MIRROR_VLAN_WORDS (4096u / 64u)

enum mirror_dir { MIRROR_RX = 1, MIRROR_TX = 2, MIRROR_BOTH = 3 };

struct mirror_source {
	char port[BPORT_NAME_SIZE];
	uint8_t dirs; /* enum mirror_dir */
};

struct mirror_counters {
	uint64_t packets, bytes; /* copies handed over; as long as the frames were */
	uint64_t cut;            /* of them, shortened */
	uint64_t lost; /* the destination was away or down, or they were too long for it */
};

struct mirror {
	char name[MIRROR_NAME_SIZE];
	char to[BPORT_NAME_SIZE]; /* the destination */
	struct program *filter;   /* owned; NULL: all */
	uint32_t snap;            /* bytes that a copy keeps; 0: all */
	uint32_t n_sources;
	struct mirror_source *sources;     /* owned */
	uint64_t vlans[MIRROR_VLAN_WORDS]; /* received in these, on whatever port */
	bool has_vlans;
	struct mirror_counters counters;
	/* the bridge's, by mirrors_bind() */
	uint16_t to_no;   /* number of the destination; 0: not there */
	uint8_t dest_bit; /* of the destination, in frame.mirrored */
};

/* NULL: no memory. */
struct mirror *mirror_new(const char *name, const char *to, uint32_t n_sources);
struct mirror *mirror_free(struct mirror *m);

/* Of one bridge. Embedded there. */
struct mirrors {
	/* hot */
	uint8_t n;                         /* mirrors */
	uint8_t vlans;                     /* bit per mirror that has VLANs as source */
	struct mirror *by_no[MIRRORS_MAX]; /* NULL: free */
	struct mirror_queue *queue;        /* copies on their way; NULL while there is no mirror */
};
