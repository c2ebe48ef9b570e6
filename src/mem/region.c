/* SPDX-License-Identifier: BSD-2-Clause */
#include "mem/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"

/* The size never changes, so that no peer can make an access of ours fault by truncating. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* A sealed memory object of size bytes: its descriptor, or -errno with *ret_why. */
static int object_new(uint16_t id, uint64_t size, const char **ret_why)
{
	char name[32];
	int fd, r;

	snprintf(name, sizeof(name), "viaduct-region-%u", id);
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		*ret_why = "the kernel made no memory object for the region";
		return error_origin(-errno);
	}
	if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
		r = -errno;
		*ret_why = "the region's memory object took no size or seals";
		close(fd);
		return error_origin(r);
	}
	return fd;
}

int region_init(struct region *r, const struct mem_params *p, uint16_t id, const char **ret_why)
{
	struct mem_layout layout;
	void *base;
	int fd, rc;

	rc = mem_layout_init(&layout, p, ret_why);
	if (rc < 0)
		return error_trace(rc);
	fd = object_new(id, layout.file_size, ret_why);
	if (fd < 0)
		return error_trace(fd);
	base = mmap(NULL, layout.file_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		rc = -errno;
		*ret_why = "no address space for the region";
		close(fd);
		return error_origin(rc);
	}
	*r = (struct region){.layout = layout, .base = base, .fd = fd, .id = id};
	return 0;
}

void region_deinit(struct region *r)
{
	if (!r->base)
		return;
	munmap(r->base, r->layout.file_size);
	close(r->fd);
	*r = (struct region){.fd = -1};
}
