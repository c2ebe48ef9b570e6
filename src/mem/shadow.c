/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/shadow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"

/* The size never changes, so that neither side can make the other fault. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static size_t size_of(uint32_t n)
{
	return n * sizeof(struct shadow_ring);
}

static int map(struct shadow *s, int fd, uint32_t n)
{
	void *p = mmap(NULL, size_of(n), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return error_origin(-errno);
	s->rings = p;
	s->n = n;
	return 0;
}

int shadow_init(struct shadow *s, uint32_t n)
{
	int r;

	*s = (struct shadow){.fd = -1};
	if (n == 0 || n > SHADOW_RINGS_MAX)
		return error_origin(-EINVAL);
	s->fd = memfd_create("viaduct-shadow", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (s->fd < 0)
		return error_origin(-errno);
	if (ftruncate(s->fd, (off_t)size_of(n)) < 0 || fcntl(s->fd, F_ADD_SEALS, SEALS) < 0)
		r = error_origin(-errno);
	else
		r = map(s, s->fd, n);
	if (r < 0)
		shadow_deinit(s);
	return r;
}

int shadow_attach(struct shadow *s, int fd, uint32_t n)
{
	struct stat st;

	*s = (struct shadow){.fd = -1};
	if (n == 0 || n > SHADOW_RINGS_MAX)
		return error_origin(-EINVAL);
	if (fstat(fd, &st) < 0)
		return error_origin(-errno);
	if (st.st_size < (off_t)size_of(n))
		return error_origin(-EINVAL);
	return error_trace(map(s, fd, n));
}

void shadow_deinit(struct shadow *s)
{
	if (s->fd > 0 || (s->fd == 0 && s->rings)) /* 0 without a mapping: never set up */
		close(s->fd);
	if (s->rings)
		munmap(s->rings, size_of(s->n));
	*s = (struct shadow){.fd = -1};
}

void shadow_reset(struct shadow_ring *r, bool tx, uint32_t n)
{
	const uint32_t tail = tx ? n - 1 : 0;

	memset(r, 0, sizeof(*r));
	r->prog.shown = tail;
	r->daemon.tail = tail;
}

/* A process that was killed but not yet waited for still has its number: look at its state. */
static bool is_zombie(uint32_t tid)
{
	char path[32], text[256], *end;
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n <= 0)
		return false;
	text[n] = 0;
	end = strrchr(text, ')'); /* the name in front of it may hold anything */
	return end && end[1] == ' ' && (end[2] == 'Z' || end[2] == 'X');
}

/* Threads are asked for by their own number: kill() would find processes only. */
static bool is_dead(uint32_t tid)
{
	if (syscall(SYS_tkill, tid, 0) < 0)
		return errno == ESRCH || errno == EINVAL;
	return is_zombie(tid);
}

bool shadow_lock_slow(struct shadow_ring *r, uint32_t tid, uint32_t owner)
{
	const int saved = errno;
	/* Its own number: the thread that had it is gone, or a signal handler syncs. */
	bool taken = owner != tid && is_dead(owner) &&
		     __atomic_compare_exchange_n(&r->prog.lock, &owner, tid, false,
						 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);

	errno = saved;
	return taken;
}
