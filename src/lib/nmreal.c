/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/nmreal.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct nmreal nmreal_;
int nmreal_ready_;

/* Newer than the oldest libc that we run on: the system call itself. */
static int raw_epoll_pwait2(int ep, struct epoll_event *ev, int n, const struct timespec *t,
			    const sigset_t *mask)
{
	return (int)syscall(SYS_epoll_pwait2, ep, ev, n, t, mask, (size_t)(_NSIG / 8));
}

/* Several threads may do this at once; they find the same. */
const struct nmreal *nmreal_init(void)
{
	struct nmreal *r = &nmreal_;

	if (__atomic_load_n(&nmreal_ready_, __ATOMIC_ACQUIRE))
		return r;
#define FIND(_name) *(void **)&r->_name = dlsym(RTLD_NEXT, #_name)
	FIND(open);
	FIND(open64);
	FIND(openat);
	FIND(openat64);
	FIND(close);
	FIND(close_range);
	FIND(closefrom);
	FIND(dup);
	FIND(dup2);
	FIND(dup3);
	FIND(fcntl);
	FIND(ioctl);
	FIND(read);
	FIND(write);
	FIND(poll);
	FIND(ppoll);
	FIND(select);
	FIND(pselect);
	FIND(epoll_ctl);
	FIND(epoll_wait);
	FIND(epoll_pwait);
	FIND(epoll_pwait2);
#undef FIND
	if (!r->epoll_pwait2)
		r->epoll_pwait2 = raw_epoll_pwait2;
	__atomic_store_n(&nmreal_ready_, 1, __ATOMIC_RELEASE);
	return r;
}

void *nmreal_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t ofs)
{
	return (void *)syscall(SYS_mmap, addr, size, prot, flags, fd, ofs);
}

int nmreal_munmap(void *addr, size_t size)
{
	return (int)syscall(SYS_munmap, addr, size);
}
