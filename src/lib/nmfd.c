/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/nmfd.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#define N_WAITING 16 /* objects that wait to be freed */

struct nmfd *nmfd_table_[NMFD_MAX];
uint32_t nmfd_n_;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct nmfd *waiting[N_WAITING];
static unsigned int waiting_at;

void nmfd_lock(void)
{
	pthread_mutex_lock(&lock);
}

void nmfd_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

/* A child must not inherit a lock that another thread holds. */
__attribute__((constructor)) static void follow_forks(void)
{
	pthread_atfork(nmfd_lock, nmfd_unlock, nmfd_unlock);
}

/* Under the lock. Returns an object to free, or NULL. */
static struct nmfd *put(struct nmfd *f)
{
	struct nmfd *old;

	if (!f || --f->refs > 0)
		return NULL;
	f->dead = true;
	old = waiting[waiting_at];
	waiting[waiting_at] = f;
	waiting_at = (waiting_at + 1) % N_WAITING;
	return old;
}

/* Under the lock; returns an object to free. */
static struct nmfd *replace(unsigned int fd, struct nmfd *f)
{
	struct nmfd *old = nmfd_table_[fd];

	if (f)
		f->refs++;
	__atomic_store_n(&nmfd_table_[fd], f, __ATOMIC_RELEASE);
	__atomic_store_n(&nmfd_n_, nmfd_n_ + !!f - !!old, __ATOMIC_RELAXED);
	return put(old);
}

static void release(struct nmfd *f)
{
	int saved = errno;

	if (f)
		f->release(f);
	errno = saved;
}

bool nmfd_set(int fd, struct nmfd *f)
{
	struct nmfd *old;

	if ((unsigned int)fd >= NMFD_MAX)
		return false;
	nmfd_lock();
	old = replace((unsigned int)fd, f);
	nmfd_unlock();
	release(old);
	return true;
}

struct nmfd *nmfd_offer(int fd, struct nmfd *f)
{
	struct nmfd *now;

	if ((unsigned int)fd >= NMFD_MAX)
		return NULL;
	nmfd_lock();
	now = nmfd_table_[fd];
	if (!now) {
		replace((unsigned int)fd, f);
		now = f;
	}
	nmfd_unlock();
	return now;
}

void nmfd_clear(int fd)
{
	if (nmfd_get(fd))
		nmfd_set(fd, NULL);
}

void nmfd_clear_range(unsigned int first, unsigned int last)
{
	for (; nmfd_any() && first <= last && first < NMFD_MAX; first++)
		nmfd_clear((int)first);
}

bool nmfd_dup(int from, int to)
{
	struct nmfd *f = nmfd_get(from);

	if (!f) {
		nmfd_clear(to);
		return true;
	}
	return from == to || nmfd_set(to, f);
}
