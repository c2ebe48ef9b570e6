/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A gate has to outlive the daemon, or a closed bridge would open when it dies. A tcx link lives as
 * long as its pin: /sys/fs/bpf/viaduct/NETNS/gate-IFINDEX-DIRECTION, with the network namespace's
 * inode, since interface numbers are the namespace's. A clsact filter stays by itself.
 */
#include "port/trunk_gate.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/err.h"

#define BPFFS       "/sys/fs/bpf"
#define BPFFS_MAGIC 0xcafe4a11u
#define PROG_NAME   "vd_gate"

struct gate_path {
	char dir[64], file[96];
};

static int find_path(struct gate_path *p, uint32_t ifindex, bool egress)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st))
		return error_origin(-errno);
	snprintf(p->dir, sizeof(p->dir), BPFFS "/viaduct/%lu", (unsigned long)st.st_ino);
	snprintf(p->file, sizeof(p->file), "%s/gate-%u-%d", p->dir, ifindex, egress);
	return 0;
}

static bool have_bpffs(void)
{
	struct statfs fs;

	return statfs(BPFFS, &fs) == 0 && (uint32_t)fs.f_type == BPFFS_MAGIC;
}

static bool keep(struct sys_bpf_attachment *a, const char **ret_why)
{
	struct gate_path p;

	if (a->how == SYS_BPF_CLSACT)
		return true;
	if (!have_bpffs()) {
		*ret_why = "no bpf file system is mounted at " BPFFS;
		return false;
	}
	if (find_path(&p, a->ifindex, a->egress) == 0) {
		mkdir(BPFFS "/viaduct", 0700);
		mkdir(p.dir, 0700);
		sys_bpf_unpin(p.file);
		if (sys_bpf_pin(a, p.file) == 0)
			return true;
	}
	*ret_why = "the kernel refuses a pin under " BPFFS;
	return false;
}

int gate_attach(struct sys_bpf_attachment *a, int prog_fd, uint32_t ifindex, bool egress,
		const struct sys_bpf_attachment *front, const char **ret_why)
{
	int r;

	/* A filter has one place; a link of a daemon before us makes room when ours is there. */
	sys_bpf_tc_clean(ifindex, egress, PROG_NAME, false);
	r = sys_bpf_attach_tc_behind(a, prog_fd, ifindex, egress, front, ret_why);
	if (r)
		return error_trace(r);
	return keep(a, ret_why) ? 0 : 1;
}

bool gate_left(uint32_t ifindex, bool egress)
{
	struct gate_path p;

	if (find_path(&p, ifindex, egress) == 0 && access(p.file, F_OK) == 0)
		return true;
	return sys_bpf_tc_find(ifindex, egress, PROG_NAME);
}

void gate_remove(uint32_t ifindex, bool egress, bool made_clsact)
{
	struct gate_path p;

	sys_bpf_tc_clean(ifindex, egress, PROG_NAME, made_clsact);
	if (find_path(&p, ifindex, egress))
		return;
	sys_bpf_unpin(p.file);
	rmdir(p.dir);
	rmdir(BPFFS "/viaduct");
}
