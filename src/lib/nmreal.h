/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libc's own functions behind those that preload.c defines. The device (nmdev.c and what belongs to
 * it) calls these, so that it never meets itself.
 *
 * Any thread, any time, also before constructors have run: each member is looked up at its first
 * use. mmap and munmap are system calls, because allocators call them before anything can be looked
 * up.
 */
#pragma once

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/types.h>

struct nmreal {
	int (*open)(const char *, int, ...);
	int (*open64)(const char *, int, ...);
	int (*openat)(int, const char *, int, ...);
	int (*openat64)(int, const char *, int, ...);
	int (*close)(int);
	int (*close_range)(unsigned int, unsigned int, int);
	void (*closefrom)(int);
	int (*dup)(int);
	int (*dup2)(int, int);
	int (*dup3)(int, int, int);
	int (*fcntl)(int, int, ...);
	int (*ioctl)(int, unsigned long, ...);
	ssize_t (*read)(int, void *, size_t);
	ssize_t (*write)(int, const void *, size_t);
	int (*poll)(struct pollfd *, nfds_t, int);
	int (*ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
	int (*select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
	int (*pselect)(int, fd_set *, fd_set *, fd_set *, const struct timespec *,
		       const sigset_t *);
	int (*epoll_ctl)(int, int, int, struct epoll_event *);
	int (*epoll_wait)(int, struct epoll_event *, int, int);
	int (*epoll_pwait)(int, struct epoll_event *, int, int, const sigset_t *);
	int (*epoll_pwait2)(int, struct epoll_event *, int, const struct timespec *,
			    const sigset_t *);
};

/* All members set. */
const struct nmreal *nmreal_init(void);

extern struct nmreal nmreal_;
extern int nmreal_ready_;

static inline const struct nmreal *nmreal(void)
{
	if (__builtin_expect(__atomic_load_n(&nmreal_ready_, __ATOMIC_ACQUIRE), 1))
		return &nmreal_;
	return nmreal_init();
}

void *nmreal_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t ofs);
int nmreal_munmap(void *addr, size_t size);
