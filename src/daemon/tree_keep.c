/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/tree_keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/bridges.h"
#include "daemon/ports.h"
#include "daemon/snapshot.h"
#include "sys/clock.h"
#include "sys/loop.h"

LOG_MODULE("daemon/tree_keep");

#define MAGIC    "vdtree01"
#define POLL_MS  20u
#define WAIT_NS  CLOCK_SECOND_NS
#define FILE_MAX (sizeof(struct tree_keep_head) + STP_PORTS * sizeof(struct tree_keep_port))

static_assert(sizeof(struct tree_keep_head) == 40, "no padding in the file");
static_assert(sizeof(struct tree_keep_port) == 72, "no padding in the file");

/* What was read, while the tree is held. */
struct tree_kept {
	void *bytes;
	struct tree_image image;
	struct stp_port_memory ports[STP_PORTS];
	struct loop_source *timer;
	uint64_t until_ns; /* 0: the daemon is not ready yet */
};

bool tree_keep_parse(const void *bytes, size_t size, struct tree_image *ret)
{
	struct stp_port_memory ports[STP_PORTS];
	const struct tree_keep_head *h = bytes;

	if (size < sizeof(*h) || memcmp(h->magic, MAGIC, sizeof(h->magic)) ||
	    h->tree.n_ports >= STP_PORTS ||
	    size != sizeof(*h) + h->tree.n_ports * sizeof(struct tree_keep_port))
		return false;
	ret->head = h;
	ret->ports = (const void *)(h + 1);
	for (uint32_t i = 0; i < h->tree.n_ports; i++) {
		const char *name = ret->ports[i].name;

		if (!name[0] || !memchr(name, '\0', BPORT_NAME_SIZE))
			return false;
		ports[i] = ret->ports[i].tree;
	}
	return stp_memory_is_sane(&h->tree, ports);
}

/* False: the daemon has no place for such files. */
static bool path_of(const struct vbridge *vb, char *ret, size_t size)
{
	return vb->d->state_dir[0] &&
	       snprintf(ret, size, "%s/%s.tree", vb->d->state_dir, vb->name) < (int)size;
}

static uint64_t wall_ms(void)
{
	return (uint64_t)(clock_wall_s() * 1000);
}

/* How often its carrier changed, and whose device it is; both 0 without a device. */
static void identify(const struct vport *vp, struct tree_keep_port *ret)
{
	struct netlink_link l;

	if (!vp->ifindex || netlink_get(vp->vb->d->nl, vp->name, &l))
		return;
	ret->ifindex = l.ifindex;
	ret->carrier = l.carrier_changes;
}

static struct vport *port_by_no(struct vbridge *vb, uint16_t no)
{
	for_each_port(vp, vb) if (!vp->host && vp->wp.bp->no == no) return vp;
	return NULL;
}

/* ---- saving ---- */

struct save_job {
	struct vbridge *vb;
	struct stp_memory tree;
	struct stp_port_memory ports[STP_PORTS];
	bool saved;
};

static void save_in_worker(void *arg)
{
	struct save_job *job = arg;

	job->saved = stp_save(bridge_stp(job->vb->br), &job->tree, job->ports);
}

static bool put(FILE *to, const void *p, size_t size)
{
	return fwrite(p, size, 1, to) == 1;
}

static bool put_all(FILE *to, const struct save_job *job, const struct tree_keep_head *h)
{
	bool ok = put(to, h, sizeof(*h));

	for (uint32_t i = 0; ok && i < job->tree.n_ports; i++) {
		struct tree_keep_port out = {.tree = job->ports[i]};
		const struct vport *vp = port_by_no(job->vb, out.tree.no);

		if (!vp)
			return false;
		memcpy(out.name, vp->name, sizeof(out.name));
		identify(vp, &out);
		ok = put(to, &out, sizeof(out));
	}
	return ok;
}

static int write_file(const struct save_job *job, const struct tree_keep_head *h, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
	bool ok;

	if (fd >= 0 && !to)
		close(fd);
	if (!to)
		return -errno;
	ok = put_all(to, job, h);
	ok = fclose(to) == 0 && ok;
	if (!ok)
		unlink(path);
	return ok ? 0 : -EIO;
}

void tree_keep_save(struct vbridge *vb)
{
	struct tree_keep_head h = {.magic = MAGIC};
	struct save_job *job;
	char path[192];
	int r;

	if (!bridge_stp(vb->br) || !path_of(vb, path, sizeof(path)))
		return;
	job = calloc(1, sizeof(*job));
	if (!job)
		return;
	job->vb = vb;
	h.wall_ms = wall_ms();
	h.boot_ms = clock_boot_ms();
	worker_call(vb->w, save_in_worker, job);
	unlink(path);
	if (job->saved) {
		h.tree = job->tree;
		r = write_file(job, &h, path);
		if (r)
			log_warn("bridge %s: its spanning tree cannot be kept in %s: %s", vb->name,
				 vb->d->state_dir, err_text(r));
	}
	free(job);
}

/* ---- restoring ---- */

struct restore_job {
	struct vbridge *vb;
	uint64_t age_ms;
	bool all;
	bool restored;
};

static void restore_in_worker(void *arg)
{
	struct restore_job *job = arg;
	const struct tree_kept *k = job->vb->kept;

	job->restored = stp_restore(bridge_stp(job->vb->br), &k->image.head->tree, k->ports,
				    job->age_ms, job->all);
}

static void hold_in_worker(void *arg)
{
	stp_hold(bridge_stp(arg));
}

static void release_in_worker(void *arg)
{
	stp_release(bridge_stp(arg));
}

static struct tree_kept *kept_free(struct tree_kept *k)
{
	if (!k)
		return NULL;
	loop_del(k->timer);
	free(k->bytes);
	free(k);
	return NULL;
}

/* By the clock that says more; false for a time that is still to come. */
static bool age_of(const struct tree_keep_head *h, uint64_t *ret_ms)
{
	const uint64_t wall = wall_ms(), boot = clock_boot_ms();

	if (h->wall_ms > wall || h->boot_ms > boot)
		return false;
	*ret_ms = max_of(wall - h->wall_ms, boot - h->boot_ms);
	return true;
}

/* Are the ports that are there those of the file? */
static bool ports_are_the_same(struct vbridge *vb)
{
	const struct tree_image *f = &vb->kept->image;

	for (uint32_t i = 0; i < f->head->tree.n_ports; i++) {
		const struct tree_keep_port *p = &f->ports[i];
		const struct vport *vp = port_by_no(vb, p->tree.no);
		struct tree_keep_port now = {.ifindex = 0};

		if (!vp)
			continue;
		identify(vp, &now);
		if (strcmp(vp->name, p->name) || now.ifindex != p->ifindex ||
		    now.carrier != p->carrier)
			return false;
	}
	return true;
}

static bool try_to_restore(struct vbridge *vb, bool all)
{
	struct restore_job job = {.vb = vb, .all = all};

	if (!age_of(vb->kept->image.head, &job.age_ms) || !ports_are_the_same(vb))
		return false;
	worker_call(vb->w, restore_in_worker, &job);
	if (!job.restored)
		return false;
	log_info("bridge %s: its spanning tree goes on where it was %u ms ago", vb->name,
		 (unsigned)job.age_ms);
	vb->kept = kept_free(vb->kept);
	for_each_port(vp, vb) snapshot_restore(vp);
	return true;
}

static void on_poll(void *ctx, unsigned int events)
{
	struct vbridge *vb = ctx;
	struct tree_kept *k = vb->kept;
	const uint64_t now_ns = clock_now_ns();

	if (!k->until_ns)
		k->until_ns = now_ns + WAIT_NS;
	if (try_to_restore(vb, now_ns < k->until_ns) || now_ns < k->until_ns)
		return;
	if (stp_is_on(bridge_stp(vb->br)))
		log_info("bridge %s: its spanning tree begins anew: what was kept is too old, or "
			 "not about these ports and settings",
			 vb->name);
	vb->kept = kept_free(vb->kept);
	worker_call(vb->w, release_in_worker, vb->br);
}

static void *read_file(int fd, size_t *ret_size)
{
	char *bytes = malloc(FILE_MAX + 1);
	size_t got = 0;
	ssize_t n = 0;

	while (bytes && got <= FILE_MAX && (n = read(fd, bytes + got, FILE_MAX + 1 - got)) > 0)
		got += (size_t)n;
	*ret_size = n < 0 ? 0 : got;
	return bytes;
}

static bool take(struct tree_kept *k, int fd)
{
	size_t size = 0;

	k->bytes = read_file(fd, &size);
	if (!k->bytes || !tree_keep_parse(k->bytes, size, &k->image))
		return false;
	for (uint32_t i = 0; i < k->image.head->tree.n_ports; i++)
		k->ports[i] = k->image.ports[i].tree;
	return true;
}

void tree_keep_load(struct vbridge *vb)
{
	struct tree_kept *k;
	char path[192];
	uint64_t age_ms;
	int fd;

	if (!bridge_stp(vb->br) || !path_of(vb, path, sizeof(path)))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	k = unlink(path) ? NULL : calloc(1, sizeof(*k));
	if (!k || !take(k, fd)) {
		log_warn("bridge %s: %s is damaged or cannot be removed, and not used", vb->name,
			 path);
		k = kept_free(k);
	}
	close(fd);
	/* No word is good for longer than three hellos of 10 s. */
	if (k && age_of(k->image.head, &age_ms) && age_ms < 30000)
		k->timer = loop_timer(vb->d->loop, 1, POLL_MS, on_poll, vb);
	if (!k || !k->timer) {
		kept_free(k);
		return;
	}
	vb->kept = k;
	worker_call(vb->w, hold_in_worker, vb->br);
}

void tree_keep_drop(struct vbridge *vb)
{
	vb->kept = kept_free(vb->kept);
}
