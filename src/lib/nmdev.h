/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "/dev/netmap" in the process: what the kernel module would do on its descriptor.
 *
 * Theory of operation. The descriptor is a socket connected to the daemon (wire/attach.h). The
 * daemon answers requests (NIOCCTRL); REGISTER also brings the region and the indexes behind the
 * bound rings (mem/shadow.h), which are mapped at once and their descriptors closed: nothing but
 * the socket stays open, so a program that closes descriptors in a loop breaks nothing. From then
 * on syncs run here, on shared memory, without a system call while the daemon is awake.
 *
 * - A region is mapped once per process, at an address of its own, however many descriptors share
 *   it and however often it is mmapped: programs move buffers between ports by pointer.
 * - A process that got the descriptor from elsewhere (SCM_RIGHTS, exec) recognises it by the name
 *   of the socket's peer, at the first ioctl or mmap, and asks the daemon for its rings.
 * - Nothing here trusts that a number still means what it did: before a byte is sent as doorbell
 *   the socket's inode is compared.
 *
 * Functions return results as the call they stand for would, -1 with errno, and any thread may call
 * them; errno is kept where they succeed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/nmfd.h"
#include "mem/nmsync.h"

/* A region in this process. Under the lock of nmfd.h, but base and size for readers. */
struct nmregion {
	uint64_t token;
	char *base;      /* NULL: free entry */
	uint64_t size;   /* bytes mapped */
	uint32_t refs;   /* devices and mmaps */
	uint32_t n_maps; /* of refs, the program's mmaps */
};

struct nmdev {
	struct nmfd file;
	uint64_t ino;    /* of the socket */
	bool registered; /* set last */
	bool asked;      /* the daemon said that it is not registered */
	bool gone;       /* the daemon's end is closed */
	struct nmregion *region;
	uint64_t memsize; /* what may be mapped */
	struct shadow shadow;
	struct nmsync_ring *tx, *rx; /* one allocation */
	uint32_t n_tx, n_rx;
	uint64_t flags;    /* nr_flags of REGISTER */
	char name[64];     /* nr_name of REGISTER */
	uint32_t n_idle;   /* syncs in a row that found nothing */
	uint32_t sleepers; /* threads that wait on this descriptor */
	uint64_t error_ns; /* when "gone" was told last */
};

/* The device behind fd, NULL for anything else. */
static inline struct nmdev *nmdev_get(int fd)
{
	struct nmfd *f = nmfd_get(fd);

	return f && f->kind == NMFD_DEV ? (struct nmdev *)f : (struct nmdev *)0;
}

/* open("/dev/netmap", flags): connects. ENOENT: no daemon; EACCES: not for this user. */
int nmdev_open(int flags);
/* A descriptor that is not in the table: is it one of ours all the same? NULL if not. */
struct nmdev *nmdev_recognise(int fd);
/* Asks the daemon for the rings if this process does not know them; true: registered. */
bool nmdev_ask_state(struct nmdev *d, int fd);
/*
 * Shows the daemon, once in a process, that it has the devices which it inherited by fork(): what
 * it opens from now on may swap buffers with them.
 */
void nmdev_announce(void);
static inline bool nmdev_registered(struct nmdev *d, int fd)
{
	return likely(__atomic_load_n(&d->registered, __ATOMIC_ACQUIRE)) || nmdev_ask_state(d, fd);
}

int nmdev_ioctl(struct nmdev *d, int fd, uint32_t cmd, void *arg);
void *nmdev_mmap(struct nmdev *d, int fd, void *addr, size_t size, int flags, off_t ofs);
/* True if the address is in a region: *ret is the result. */
bool nmdev_munmap(void *addr, size_t size, int *ret);

/* Sends a doorbell. */
void nmdev_ring(struct nmdev *d, int fd);
/* Takes doorbells off the socket; notes a closed one. */
void nmdev_drain(struct nmdev *d, int fd);
/* Waits, so that a program that spins on the error of a daemon that is gone does so slowly. */
void nmdev_slow_down(struct nmdev *d);
/* Now and then: is the daemon still there? */
void nmdev_idle_check(struct nmdev *d, int fd);

/* The calling thread's number, for locks in shared memory. */
uint32_t nmdev_tid_slow(void);
extern __thread uint32_t nmdev_tid_ __attribute__((tls_model("initial-exec")));
static inline uint32_t nmdev_tid(void)
{
	return likely(nmdev_tid_) ? nmdev_tid_ : nmdev_tid_slow();
}

/* Monotonic nanoseconds. */
uint64_t nmdev_now_ns(void);

/* nmdev_region.c */
struct attach_reply;
/* Maps a region, or takes the mapping that this process has. NULL and errno. Under the lock. */
struct nmregion *nmregion_get(uint64_t token, uint64_t size, int fd);
void nmregion_put(struct nmregion *r);

/* nmdev_ctl.c: NIOCCTRL and its older forms. 0 or a positive errno. */
struct nmreq_header;
struct nmreq;
int nmdev_ctl(struct nmdev *d, int fd, void *arg);
int nmdev_legacy(struct nmdev *d, int fd, uint32_t cmd, void *arg);

/* A request in memory of ours; options as they go over the wire. */
struct nmctl {
	uint16_t version, type;
	uint32_t body_size, options_size;
	char name[64];
	uint8_t body[64];
	uint8_t options[4096];
};
/* Checks what needs no daemon, asks it, and binds rings. Results in q->body, q->options. */
int nmctl_run(struct nmdev *d, int fd, struct nmctl *q);
/* Bytes of a request's body, 0 for none or an unknown type. */
uint32_t nmctl_body_size(uint16_t type);

/* nmdev_wire.c: one request and its answer; binds rings when there are any. 0 or an errno. */
int nmwire_request(struct nmdev *d, int fd, struct nmctl *q);
/* A new connection to the daemon. -1 and errno. */
int nmwire_connect(int flags);
/* Is name a port of the daemon? */
bool nmwire_serves(const char *name);
