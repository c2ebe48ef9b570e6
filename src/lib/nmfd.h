/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands behind which descriptor of this process: netmap devices, and epoll sets that contain
 * some. The kernel counts the references to the connection itself; this table follows dup, close
 * and their relatives for the process's own part of it.
 *
 * A look-up is one load, without a lock. An object whose last descriptor is closed is not freed at
 * once: a thread may still be using it (a program's mistake, but the kernel survives it, too). It
 * waits until some more objects have gone the same way.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NMFD_MAX 65536 /* descriptors above are not served: open answers EMFILE */

enum nmfd_kind { NMFD_DEV, NMFD_EPOLL };

struct nmfd {
	enum nmfd_kind kind;
	uint32_t refs;                   /* descriptors of this process; under the lock */
	bool dead;                       /* no descriptor left */
	void (*release)(struct nmfd *f); /* frees it */
};

extern struct nmfd *nmfd_table_[NMFD_MAX];
extern uint32_t nmfd_n_; /* descriptors in the table */

/* NULL for anything else. */
static inline struct nmfd *nmfd_get(int fd)
{
	if ((unsigned int)fd >= NMFD_MAX)
		return (struct nmfd *)0;
	return __atomic_load_n(&nmfd_table_[fd], __ATOMIC_ACQUIRE);
}

/* Is there any? Lets most processes skip everything. */
static inline bool nmfd_any(void)
{
	return __atomic_load_n(&nmfd_n_, __ATOMIC_RELAXED) != 0;
}

/* fd stands for f from now on, whatever it was before. False: fd is too large. */
bool nmfd_set(int fd, struct nmfd *f);
/* As nmfd_set(), unless fd stands for something already; returns what it stands for. */
struct nmfd *nmfd_offer(int fd, struct nmfd *f);
/* fd has been closed, or is about to be. errno is kept. */
void nmfd_clear(int fd);
void nmfd_clear_range(unsigned int first, unsigned int last);
/* to is now a duplicate of from. False: the number is too large for a netmap descriptor. */
bool nmfd_dup(int from, int to);

/* One lock for everything in this library that is not the packet path. */
void nmfd_lock(void);
void nmfd_unlock(void);
