/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mac.h"
#include "daemon/bridges.h"
#include "daemon/ports.h"
#include "daemon/tree_keep.h"
#include "sys/loop.h"

LOG_MODULE("daemon/snapshot");

#define MAGIC     "viaduct1"
#define PERIOD_MS 60000u
#define CHUNK     256u /* entries per call of the worker: some microseconds */
#define VID_MAX   4094u

static_assert(sizeof(struct snapshot_head) == 24, "no padding in the file");
static_assert(sizeof(struct snapshot_entry) == 16, "no padding in the file");
static_assert(BPORT_NAME_SIZE % 8 == 0, "entries are aligned behind the names");

/* What was read, and where its head, names and entries are. */
struct snapshot_file {
	void *bytes;
	struct snapshot_image s;
};

/* ---- parsing ---- */

static bool is_name(const char *name)
{
	return name[0] && memchr(name, '\0', BPORT_NAME_SIZE);
}

static bool is_entry(const struct snapshot_image *s, const struct snapshot_entry *e)
{
	return e->mac >> 48 == 0 && mac_is_valid_source(e->mac) && e->vid <= VID_MAX &&
	       e->port < s->head->n_ports;
}

bool snapshot_parse(const void *bytes, size_t size, struct snapshot_image *ret)
{
	const struct snapshot_head *h = bytes;
	uint64_t want = sizeof(*h);

	if (size < want || memcmp(h->magic, MAGIC, sizeof(h->magic)) || h->n_ports >= PORTS_MAX ||
	    h->n_entries > FDB_CAPACITY_MAX)
		return false;
	ret->head = h;
	ret->ports = (const void *)((const char *)bytes + want);
	want += (uint64_t)h->n_ports * BPORT_NAME_SIZE;
	ret->entries = (const void *)((const char *)bytes + want);
	want += (uint64_t)h->n_entries * sizeof(struct snapshot_entry);
	if (size != want)
		return false;
	for (uint32_t i = 0; i < h->n_ports; i++)
		if (!is_name(ret->ports[i]))
			return false;
	for (uint32_t i = 0; i < h->n_entries; i++)
		if (!is_entry(ret, &ret->entries[i]))
			return false;
	return true;
}

/* ---- files ---- */

static uint64_t wall_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec;
}

/* False: the daemon has no place for such files. */
static bool path_of(const struct vbridge *vb, const char *end, char *ret, size_t size)
{
	return vb->d->state_dir[0] &&
	       snprintf(ret, size, "%s/%s%s", vb->d->state_dir, vb->name, end) < (int)size;
}

static void *read_file(int fd, size_t *ret_size)
{
	struct stat st;
	size_t got = 0;
	char *bytes;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    st.st_size > (off_t)(sizeof(struct snapshot_head) + PORTS_MAX * BPORT_NAME_SIZE +
				 FDB_CAPACITY_MAX * sizeof(struct snapshot_entry)))
		return NULL;
	bytes = malloc((size_t)st.st_size);
	while (bytes && got < (size_t)st.st_size) {
		ssize_t n = read(fd, bytes + got, (size_t)st.st_size - got);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	*ret_size = got;
	return bytes;
}

static struct snapshot_file *file_free(struct snapshot_file *f)
{
	if (f)
		free(f->bytes);
	free(f);
	return NULL;
}

/* Seconds since it was saved; false for a time that is still to come. */
static bool age_of(const struct snapshot_image *s, uint64_t *ret)
{
	const uint64_t now = wall_s();

	*ret = now - s->head->saved_s;
	return s->head->saved_s <= now;
}

void snapshot_load(struct vbridge *vb)
{
	struct snapshot_file *f;
	char path[192];
	size_t size = 0;
	uint64_t age;
	int fd;

	if (!path_of(vb, ".fdb", path, sizeof(path)))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	f = calloc(1, sizeof(*f));
	if (f)
		f->bytes = read_file(fd, &size);
	close(fd);
	if (!f || !f->bytes || !snapshot_parse(f->bytes, size, &f->s)) {
		log_warn("bridge %s: %s is damaged and not used", vb->name, path);
		file_free(f);
		return;
	}
	if (!age_of(&f->s, &age) || age >= bridge_settings(vb->br)->ageing_time_s) {
		file_free(f);
		return;
	}
	vb->learned = f;
}

void snapshot_drop(struct vbridge *vb, bool remove)
{
	char path[192];

	vb->learned = file_free(vb->learned);
	if (remove && path_of(vb, ".fdb", path, sizeof(path)))
		unlink(path);
}

/* ---- restoring ---- */

struct restore_job {
	struct vport *vp;
	uint32_t first, n;
	uint64_t age;
	uint16_t port;
	uint32_t n_restored;
};

static void restore_chunk(void *arg)
{
	struct restore_job *job = arg;
	const struct bport *bp = job->vp->wp.bp;
	struct vbridge *vb = job->vp->vb;

	if (bp->state != BPORT_FORWARDING && bp->state != BPORT_LEARNING)
		return;
	for (uint32_t i = job->first; i < job->first + job->n; i++) {
		const struct snapshot_entry *e = &vb->learned->s.entries[i];
		uint64_t age = e->age_s + job->age;

		if (e->port == job->port && age <= UINT32_MAX)
			job->n_restored += fdb_restore(bridge_fdb(vb->br), e->mac, e->vid, bp->no,
						       (uint32_t)age);
	}
}

void snapshot_restore(struct vport *vp)
{
	struct vbridge *vb = vp->vb;
	struct restore_job job = {.vp = vp};
	const struct snapshot_image *s;

	if (!vb->learned || vp->host || !vp->up)
		return;
	s = &vb->learned->s;
	if (!age_of(s, &job.age) || job.age >= bridge_settings(vb->br)->ageing_time_s) {
		vb->learned = file_free(vb->learned);
		return;
	}
	while (job.port < s->head->n_ports && strcmp(s->ports[job.port], vp->name))
		job.port++;
	if (job.port == s->head->n_ports)
		return;
	for (; job.first < s->head->n_entries; job.first += CHUNK) {
		job.n = (uint32_t)min_of(s->head->n_entries - job.first, CHUNK);
		worker_call(vb->w, restore_chunk, &job);
	}
	if (job.n_restored)
		log_info("port %s: %u learned addresses are known again", vp->name, job.n_restored);
}

/* ---- saving ---- */

struct save_job {
	struct vbridge *vb;
	FILE *to;
	uint16_t index[PORTS_MAX]; /* of port numbers */
	uint64_t rx_packets;
	uint32_t n_ports, n_entries;
	uint32_t cursor, n;
	bool failed;
	struct fdb_entry chunk[CHUNK];
	char names[PORTS_MAX][BPORT_NAME_SIZE];
};

static void list_ports(void *arg)
{
	struct save_job *job = arg;

	for (struct bport *p = NULL; (p = bridge_port_next(job->vb->br, p));) {
		job->rx_packets += p->counters.rx_packets;
		if (p->host)
			continue;
		job->index[p->no] = (uint16_t)job->n_ports;
		memcpy(job->names[job->n_ports++], p->name, BPORT_NAME_SIZE);
	}
}

static void dump_chunk(void *arg)
{
	struct save_job *job = arg;

	job->n = fdb_dump(bridge_fdb(job->vb->br), &job->cursor, job->chunk, CHUNK);
}

static void put(struct save_job *job, const void *p, size_t size)
{
	if (fwrite(p, size, 1, job->to) != 1)
		job->failed = true;
}

static void put_entries(struct save_job *job)
{
	for (uint32_t i = 0; i < job->n; i++) {
		const struct fdb_entry *e = &job->chunk[i];
		const struct snapshot_entry out = {e->mac, e->age_s, e->vid, job->index[e->port]};

		if (e->kind != FDB_DYNAMIC || e->added_by_user)
			continue;
		put(job, &out, sizeof(out));
		job->n_entries++;
	}
}

static void put_all(struct save_job *job)
{
	struct snapshot_head h = {.magic = MAGIC, .saved_s = wall_s(), .n_ports = job->n_ports};

	put(job, &h, sizeof(h));
	for (uint32_t i = 0; i < job->n_ports; i++)
		put(job, job->names[i], BPORT_NAME_SIZE);
	do {
		worker_call(job->vb->w, dump_chunk, job);
		put_entries(job);
	} while (job->n > 0);
	h.n_entries = job->n_entries;
	if (fseek(job->to, 0, SEEK_SET))
		job->failed = true;
	put(job, &h, sizeof(h));
	if (fclose(job->to))
		job->failed = true;
}

/* The last one stays until the new one is whole. */
static int write_file(struct save_job *job)
{
	char path[192], new[192];
	int fd;

	if (!path_of(job->vb, ".fdb", path, sizeof(path)) ||
	    !path_of(job->vb, ".new", new, sizeof(new)))
		return 0;
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	job->to = fdopen(fd, "w");
	if (!job->to) {
		close(fd);
		return -ENOMEM;
	}
	put_all(job);
	if (!job->failed && rename(new, path) == 0)
		return 0;
	unlink(new);
	return -EIO;
}

/* Ages change with each frame, so without frames there is nothing to save. */
static void save(struct vbridge *vb)
{
	struct save_job *job;
	int r;

	if (vb->adopted || !vb->d->state_dir[0])
		return;
	job = calloc(1, sizeof(*job));
	if (!job)
		return;
	job->vb = vb;
	worker_call(vb->w, list_ports, job);
	if (job->rx_packets != vb->saved_at) {
		r = write_file(job);
		if (r && !vb->save_failed)
			log_warn("bridge %s: what it learned cannot be kept in %s: %s", vb->name,
				 vb->d->state_dir, err_text(r));
		vb->save_failed = r != 0;
		vb->saved_at = job->rx_packets;
	}
	free(job);
}

static void save_all(void *ctx, unsigned int events)
{
	struct daemon *d = ctx;

	for_each_bridge(vb, d) save(vb);
}

/* ---- start and stop ---- */

void snapshot_start(struct daemon *d)
{
	if (strcmp(d->run_dir, CTL_RUN_DIR))
		snprintf(d->state_dir, sizeof(d->state_dir), "%s/state", d->run_dir);
	else
		snprintf(d->state_dir, sizeof(d->state_dir), "%s", SNAPSHOT_DIR);
	if (mkdir(d->state_dir, 0700) && errno != EEXIST) {
		log_warn("viaductd: learned addresses will not outlive it: %s: %s", d->state_dir,
			 err_text(-errno));
		d->state_dir[0] = '\0';
		return;
	}
	d->snapshot_timer = loop_timer(d->loop, PERIOD_MS, PERIOD_MS, save_all, d);
}

void snapshot_stop(struct daemon *d)
{
	if (!d->snapshot_timer)
		return;
	save_all(d, 0);
	for_each_bridge(vb, d) tree_keep_save(vb);
	loop_del(d->snapshot_timer);
	d->snapshot_timer = NULL;
}
