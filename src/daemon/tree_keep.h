/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spanning tree of a bridge of ours over a restart of the daemon: a file per bridge, beside
 * that of its addresses (daemon/snapshot.h), DIR/NAME.tree. It is written when the daemon ends in
 * order and removed as soon as it is read: what was true once must not be believed a second time.
 * After a crash there is none, and the tree begins anew.
 *
 * From the bridge's making the tree is held (stp_hold()) until all ports of the file are there, or
 * a second has passed since the daemon was ready; then it goes on, and the addresses come back.
 * A file that is damaged, too old or about something else counts for nothing: the tree begins anew.
 *
 * Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bport.h"
#include "core/stp.h"

struct tree_kept;
struct vbridge;

/* The file, in the byte order of this machine: this head, tree.n_ports ports, nothing else. */
struct tree_keep_head {
	char magic[8];    /* "vdtree01" */
	uint64_t wall_ms; /* when it was saved: by the clock of people, */
	uint64_t boot_ms; /* and since the machine started, which nobody sets */
	struct stp_memory tree;
};

struct tree_keep_port {
	char name[BPORT_NAME_SIZE];
	uint32_t ifindex; /* 0: no device */
	uint32_t carrier; /* changes so far: nobody has moved its cable */
	struct stp_port_memory tree;
};

struct tree_image {
	const struct tree_keep_head *head;
	const struct tree_keep_port *ports;
};

/* False when the bytes (8-byte aligned) are no such file in every detail. */
bool tree_keep_parse(const void *bytes, size_t size, struct tree_image *ret);

/* The daemon ends. The tree is held from then on. */
void tree_keep_save(struct vbridge *vb);
/* The bridge was made, and has neither settings nor ports. */
void tree_keep_load(struct vbridge *vb);
/* The bridge goes. */
void tree_keep_drop(struct vbridge *vb);
