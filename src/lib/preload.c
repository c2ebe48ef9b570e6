/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libc functions that a netmap program calls on its descriptor, and nothing but dispatch: what
 * concerns a netmap descriptor goes to nmdev.c and nmpoll.c, everything else to libc (nmreal.h).
 *
 * They are exported without a version (libnetmap.map), so that references to open@GLIBC_2.2.5 find
 * them, when the library is linked to the program or preloaded. The twins are needed: the 64-bit
 * names of large-file builds, and those that _FORTIFY_SOURCE makes of the plain ones.
 */
#undef _FILE_OFFSET_BITS /* open() and open64() are two functions here */
#undef _TIME_BITS
#undef _FORTIFY_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/nmdev.h"
#include "lib/nmifreq.h"
#include "lib/nmpoll.h"
#include "lib/nmreal.h"
#include "net/netmap.h"

/* libc's header says that poll writes its set only; whoever forwards it reads it, too. */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#define EXPORT __attribute__((visibility("default")))

/* The compiler believes libc's headers that some pointers are never NULL. */
static bool is_device(const char *path)
{
	__asm__("" : "+r"(path));
	return path && path[0] == '/' && strcmp(path, "/dev/netmap") == 0;
}

static bool has_mode(int flags)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

#define MODE_OF(_flags, _mode)                                                                     \
	do {                                                                                       \
		if (has_mode(_flags)) {                                                            \
			va_list ap;                                                                \
			va_start(ap, _flags);                                                      \
			(_mode) = va_arg(ap, unsigned int);                                        \
			va_end(ap);                                                                \
		}                                                                                  \
	} while (0)

/*
 * A number that we still know but that the kernel has just given out was closed without us (by
 * libc's own fclose(), for example).
 */
static int opened(int fd)
{
	if (fd >= 0 && unlikely(nmfd_any()))
		nmfd_clear(fd);
	return fd;
}

EXPORT int open(const char *path, int flags, ...)
{
	unsigned int mode = 0;

	MODE_OF(flags, mode);
	return is_device(path) ? nmdev_open(flags) : opened(nmreal()->open(path, flags, mode));
}

EXPORT int open64(const char *path, int flags, ...)
{
	unsigned int mode = 0;

	MODE_OF(flags, mode);
	return is_device(path) ? nmdev_open(flags) : opened(nmreal()->open64(path, flags, mode));
}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
	unsigned int mode = 0;

	MODE_OF(flags, mode);
	return is_device(path) ? nmdev_open(flags)
			       : opened(nmreal()->openat(dir, path, flags, mode));
}

EXPORT int openat64(int dir, const char *path, int flags, ...)
{
	unsigned int mode = 0;

	MODE_OF(flags, mode);
	return is_device(path) ? nmdev_open(flags)
			       : opened(nmreal()->openat64(dir, path, flags, mode));
}

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

/* libc aborts on O_CREAT here, and so do we. */
static void need_no_mode(int flags)
{
	if (has_mode(flags))
		abort();
}

EXPORT int __open_2(const char *path, int flags)
{
	need_no_mode(flags);
	return open(path, flags);
}

EXPORT int __open64_2(const char *path, int flags)
{
	need_no_mode(flags);
	return open64(path, flags);
}

EXPORT int __openat_2(int dir, const char *path, int flags)
{
	need_no_mode(flags);
	return openat(dir, path, flags);
}

EXPORT int __openat64_2(int dir, const char *path, int flags)
{
	need_no_mode(flags);
	return openat64(dir, path, flags);
}

/* The entry goes first: once closed, another thread may get the number. */
EXPORT int close(int fd)
{
	if (unlikely(nmfd_any()))
		nmfd_clear(fd);
	return nmreal()->close(fd);
}

EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	if (!(flags & CLOSE_RANGE_CLOEXEC))
		nmfd_clear_range(first, last);
	return nmreal()->close_range(first, last, flags);
}

EXPORT void closefrom(int first)
{
	nmfd_clear_range(first > 0 ? (unsigned int)first : 0, NMFD_MAX - 1);
	nmreal()->closefrom(first);
}

/* A duplicate that we cannot follow is no use to anybody. */
static int duplicated(int from, int to)
{
	if (to < 0 || likely(!nmfd_any()) || nmfd_dup(from, to))
		return to;
	nmreal()->close(to);
	errno = EMFILE;
	return -1;
}

EXPORT int dup(int fd)
{
	return duplicated(fd, nmreal()->dup(fd));
}

EXPORT int dup2(int from, int to)
{
	return duplicated(from, nmreal()->dup2(from, to));
}

EXPORT int dup3(int from, int to, int flags)
{
	return duplicated(from, nmreal()->dup3(from, to, flags));
}

static int control(int fd, int cmd, void *arg)
{
	int r = nmreal()->fcntl(fd, cmd, arg);

	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? duplicated(fd, r) : r;
}

EXPORT int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return control(fd, cmd, arg);
}

EXPORT int fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return control(fd, cmd, arg);
}

static bool is_netmap_request(uint32_t cmd)
{
	return cmd == NIOCTXSYNC || cmd == NIOCRXSYNC || cmd == NIOCCTRL || cmd == NIOCREGIF ||
	       cmd == NIOCGINFO;
}

/* Some callers pass the request as an int: its upper half may be anything. */
EXPORT int ioctl(int fd, unsigned long request, ...)
{
	struct nmdev *d = nmdev_get(fd);
	const uint32_t cmd = (uint32_t)request;
	va_list ap;
	void *arg;
	int r;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (unlikely(!d && is_netmap_request(cmd)))
		d = nmdev_recognise(fd);
	if (d)
		return nmdev_ioctl(d, fd, cmd, arg);
	if (nmifreq_concerns(cmd) && nmifreq_ioctl(fd, cmd, arg, &r))
		return r;
	return nmreal()->ioctl(fd, request, arg);
}

/* A socket of this kind cannot be mapped: time to look whether it is one of ours. */
static void *map(void *addr, size_t size, int prot, int flags, int fd, off64_t ofs)
{
	struct nmdev *d = flags & MAP_ANONYMOUS ? NULL : nmdev_get(fd);
	void *p;

	if (!d) {
		int saved = errno;

		p = nmreal_mmap(addr, size, prot, flags, fd, ofs);
		if (p != MAP_FAILED || errno != ENODEV)
			return p;
		d = nmdev_recognise(fd);
		if (!d)
			return p;
		errno = saved;
	}
	return nmdev_mmap(d, fd, addr, size, flags, ofs);
}

EXPORT void *mmap(void *addr, size_t size, int prot, int flags, int fd, off_t ofs)
{
	return map(addr, size, prot, flags, fd, ofs);
}

EXPORT void *mmap64(void *addr, size_t size, int prot, int flags, int fd, off64_t ofs)
{
	return map(addr, size, prot, flags, fd, ofs);
}

EXPORT int munmap(void *addr, size_t size)
{
	int r;

	return nmdev_munmap(addr, size, &r) ? r : nmreal_munmap(addr, size);
}

EXPORT ssize_t read(int fd, void *buf, size_t size)
{
	if (likely(!nmdev_get(fd)))
		return nmreal()->read(fd, buf, size);
	errno = EINVAL;
	return -1;
}

EXPORT ssize_t write(int fd, const void *buf, size_t size)
{
	if (likely(!nmdev_get(fd)))
		return nmreal()->write(fd, buf, size);
	errno = EINVAL;
	return -1;
}

EXPORT int poll(struct pollfd *fds, nfds_t n, int ms)
{
	struct timespec t;

	if (!nmpoll_concerns(fds, n))
		return nmreal()->poll(fds, n, ms);
	return nmpoll(fds, n, nmpoll_ms(ms, &t), NULL);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask)
{
	return nmpoll_concerns(fds, n) ? nmpoll(fds, n, t, mask) : nmreal()->ppoll(fds, n, t, mask);
}

int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask,
		size_t size);

EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t size)
{
	if (size / sizeof(*fds) < n)
		abort();
	return poll(fds, n, ms);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask,
		       size_t size)
{
	if (size / sizeof(*fds) < n)
		abort();
	return ppoll(fds, n, t, mask);
}

/* As the kernel does, and pselect() does not: the time that is left goes back. */
EXPORT int select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *tv)
{
	struct timespec t = {0};
	uint64_t end = 0, now;
	int found;

	if (!nmpoll_select_concerns(n, r, w, x))
		return nmreal()->select(n, r, w, x, tv);
	if (tv) {
		t = (struct timespec){tv->tv_sec + tv->tv_usec / 1000000,
				      tv->tv_usec % 1000000 * 1000};
		end = nmdev_now_ns() + (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	}
	found = nmpoll_select(n, r, w, x, tv ? &t : NULL, NULL);
	now = tv ? nmdev_now_ns() : 0;
	if (tv) {
		end = end > now ? end - now : 0;
		tv->tv_sec = (time_t)(end / 1000000000u);
		tv->tv_usec = (suseconds_t)(end % 1000000000u / 1000u);
	}
	return found;
}

EXPORT int pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *t,
		   const sigset_t *mask)
{
	if (!nmpoll_select_concerns(n, r, w, x))
		return nmreal()->pselect(n, r, w, x, t, mask);
	return nmpoll_select(n, r, w, x, t, mask);
}

/* epoll_create() needs nothing: a set is ours from its first netmap descriptor on. */
EXPORT int epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	return nmdev_get(fd) ? nmepoll_ctl(ep, op, fd, ev) : nmreal()->epoll_ctl(ep, op, fd, ev);
}

static bool is_our_set(int ep)
{
	struct nmfd *f = nmfd_get(ep);

	return unlikely(f) && f->kind == NMFD_EPOLL;
}

EXPORT int epoll_wait(int ep, struct epoll_event *ev, int max, int ms)
{
	struct timespec t;

	if (!is_our_set(ep))
		return nmreal()->epoll_wait(ep, ev, max, ms);
	return nmepoll_wait(ep, ev, max, nmpoll_ms(ms, &t), NULL);
}

EXPORT int epoll_pwait(int ep, struct epoll_event *ev, int max, int ms, const sigset_t *mask)
{
	struct timespec t;

	if (!is_our_set(ep))
		return nmreal()->epoll_pwait(ep, ev, max, ms, mask);
	return nmepoll_wait(ep, ev, max, nmpoll_ms(ms, &t), mask);
}

EXPORT int epoll_pwait2(int ep, struct epoll_event *ev, int max, const struct timespec *t,
			const sigset_t *mask)
{
	if (!is_our_set(ep))
		return nmreal()->epoll_pwait2(ep, ev, max, t, mask);
	return nmepoll_wait(ep, ev, max, t, mask);
}
