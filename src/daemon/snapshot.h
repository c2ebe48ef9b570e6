/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a bridge of ours has learned, over a restart of the daemon: a file per bridge, DIR/NAME.fdb,
 * written once a minute while frames arrive, and at the end. When the bridge and a port are there
 * again, its addresses are, with the age that they have by then; removing the bridge removes the
 * file. DIR is /var/lib/viaduct, or "state" in any other run directory.
 *
 * A file that is damaged, or older than the bridge's ageing time, counts for nothing.
 *
 * Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bport.h"

#define SNAPSHOT_DIR "/var/lib/viaduct"

struct daemon;
struct vbridge;
struct vport;

/*
 * The file, in the byte order of this machine: this head, n_ports names of BPORT_NAME_SIZE bytes,
 * n_entries entries, nothing else.
 */
struct snapshot_head {
	char magic[8];    /* "viaduct1" */
	uint64_t saved_s; /* CLOCK_REALTIME: a reboot may lie between */
	uint32_t n_ports, n_entries;
};

struct snapshot_entry {
	uint64_t mac;
	uint32_t age_s; /* when saved */
	uint16_t vid;
	uint16_t port; /* index of its name */
};

/* Pointers into the file's bytes. */
struct snapshot_image {
	const struct snapshot_head *head;
	const char (*ports)[BPORT_NAME_SIZE];
	const struct snapshot_entry *entries;
};

/* False when the bytes (8-byte aligned) are no such file in every detail. */
bool snapshot_parse(const void *bytes, size_t size, struct snapshot_image *ret);

/* The directory, made when it is not there; starts the timer. Trouble is logged and no error. */
void snapshot_start(struct daemon *d);
/* All bridges once more, for the last time; their spanning trees too. */
void snapshot_stop(struct daemon *d);
/* The bridge was made: its file, if it has a good one. */
void snapshot_load(struct vbridge *vb);
/* The port has joined, or its spanning tree goes on: its addresses come back, if it forwards. */
void snapshot_restore(struct vport *vp);
/* The bridge goes. remove: for good, with its file. */
void snapshot_drop(struct vbridge *vb, bool remove);
