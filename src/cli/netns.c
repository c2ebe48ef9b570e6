/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_NAMES "/run/netns"

bool netns_name(uint64_t inode, char *buf, size_t size)
{
	DIR *d = opendir(DIR_NAMES);
	struct dirent *e;
	struct stat st;
	bool found = false;

	while (d && !found && (e = readdir(d))) {
		if (fstatat(dirfd(d), e->d_name, &st, 0) < 0 || st.st_ino != inode)
			continue;
		snprintf(buf, size, "%s", e->d_name);
		found = true;
	}
	if (d)
		closedir(d);
	return found;
}

/* Whether the namespace behind fd has the device; home is come back to. */
static bool has_device(int fd, int home, const char *ifname)
{
	bool has;

	if (setns(fd, CLONE_NEWNET) < 0)
		return false;
	has = if_nametoindex(ifname) != 0;
	/* In a wrong namespace everything that follows would be about other devices. */
	if (setns(home, CLONE_NEWNET) < 0)
		abort();
	return has;
}

json_t *netns_with_device(const char *ifname)
{
	const int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	json_t *names = json_array();
	DIR *d = home >= 0 ? opendir(DIR_NAMES) : NULL;
	struct stat mine, st;
	struct dirent *e;

	while (d && fstat(home, &mine) == 0 && (e = readdir(d))) {
		int fd = *e->d_name == '.' ? -1 : openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		if (fstat(fd, &st) == 0 && st.st_ino != mine.st_ino && has_device(fd, home, ifname))
			json_array_append_new(names, json_string(e->d_name));
		close(fd);
	}
	if (d)
		closedir(d);
	if (home >= 0)
		close(home);
	return names;
}
