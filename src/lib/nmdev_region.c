/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions of this process, each mapped once; mmap() and munmap() of the device. */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "lib/nmdev.h"
#include "lib/nmreal.h"

#define N_REGIONS 64
#define PAGE      4096u

static struct nmregion regions[N_REGIONS];
static uint32_t n_regions; /* in use; lets munmap() of other memory pass at once */

static struct nmregion *find_token(uint64_t token)
{
	for (int i = 0; i < N_REGIONS; i++)
		if (regions[i].base && regions[i].token == token)
			return &regions[i];
	return NULL;
}

static struct nmregion *find_free(void)
{
	for (int i = 0; i < N_REGIONS; i++)
		if (!regions[i].base)
			return &regions[i];
	return NULL;
}

struct nmregion *nmregion_get(uint64_t token, uint64_t size, int fd)
{
	struct nmregion *r = find_token(token);
	void *p;

	if (r && r->size != size) {
		errno = EIO;
		return NULL;
	}
	if (!r) {
		r = find_free();
		if (!r || fd < 0) {
			errno = r ? EIO : ENOMEM;
			return NULL;
		}
		p = nmreal_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED)
			return NULL;
		*r = (struct nmregion){.token = token, .base = p, .size = size};
		__atomic_add_fetch(&n_regions, 1, __ATOMIC_RELEASE);
	}
	r->refs++;
	return r;
}

void nmregion_put(struct nmregion *r)
{
	if (!r || --r->refs > 0)
		return;
	nmreal_munmap(r->base, r->size);
	r->base = NULL;
	__atomic_sub_fetch(&n_regions, 1, __ATOMIC_RELEASE);
}

/* The same memory once more, where the caller wants it. */
static void *map_fixed(struct nmregion *r, void *addr, size_t size, off_t ofs)
{
	void *p = mremap(r->base, 0, r->size, MREMAP_MAYMOVE);

	if (p == MAP_FAILED)
		return MAP_FAILED;
	addr = mremap((char *)p + ofs, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, addr);
	if (ofs)
		nmreal_munmap(p, (size_t)ofs);
	if ((uint64_t)ofs + size < r->size)
		nmreal_munmap((char *)p + ofs + size, r->size - (uint64_t)ofs - size);
	return addr;
}

void *nmdev_mmap(struct nmdev *d, int fd, void *addr, size_t size, int flags, off_t ofs)
{
	uint64_t end = ((uint64_t)ofs + size + PAGE - 1) / PAGE * PAGE;
	void *p;

	if (!nmdev_registered(d, fd) || size == 0 || ofs < 0 || ofs % PAGE || end < size ||
	    end > (d->memsize + PAGE - 1) / PAGE * PAGE) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	if (flags & MAP_FIXED)
		return map_fixed(d->region, addr, (size + PAGE - 1) / PAGE * PAGE, ofs);
	nmfd_lock();
	d->region->refs++;
	d->region->n_maps++;
	p = d->region->base + ofs;
	nmfd_unlock();
	return p;
}

bool nmdev_munmap(void *addr, size_t size, int *ret)
{
	const uintptr_t at = (uintptr_t)addr;
	bool found = false;
	int saved = errno;

	if (likely(!__atomic_load_n(&n_regions, __ATOMIC_ACQUIRE)))
		return false;
	nmfd_lock();
	for (int i = 0; i < N_REGIONS && !found; i++) {
		struct nmregion *r = &regions[i];
		const uintptr_t base = (uintptr_t)r->base;

		if (!base || at < base || at - base >= r->size)
			continue;
		found = true;
		*ret = 0;
		if (at % PAGE || size == 0 || size > r->size - (at - base)) {
			saved = EINVAL;
			*ret = -1;
		} else if (r->n_maps > 0) {
			r->n_maps--;
			nmregion_put(r);
		}
	}
	nmfd_unlock();
	errno = saved;
	return found;
}
