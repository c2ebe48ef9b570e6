/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys/proc.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define EXITING 0x4u /* PF_EXITING, of the field `flags` */

/* /proc/PID/stat without pid and name; NULL: there is no such process. */
static const char *read_stat(pid_t pid, char *buf, size_t size)
{
	char path[32];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	n = fread(buf, 1, size - 1, f);
	fclose(f);
	buf[n] = '\0';
	/* The name is in brackets and may have some of its own. */
	buf = strrchr(buf, ')');
	return buf ? buf + 1 : NULL;
}

bool proc_ended(pid_t pid, int *ret_signal)
{
	char buf[1024], state = 'X';
	unsigned int flags = 0;
	const char *at = read_stat(pid, buf, sizeof(buf)), *last;
	int code = 0;

	*ret_signal = 0;
	if (!at || sscanf(at, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2)
		return true;
	if (state != 'Z' && state != 'X' && !(flags & EXITING))
		return false;
	last = strrchr(at, ' ');
	if (last && sscanf(last, "%d", &code) == 1)
		*ret_signal = code & 0x7f;
	return true;
}

bool proc_look(pid_t pid, struct proc_info *ret)
{
	char buf[1024];
	const char *at = read_stat(pid, buf, sizeof(buf));
	unsigned long long start = 0;
	int parent = 0;

	/* Fields 4 and 22. */
	if (at && sscanf(at,
			 " %*c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s"
			 " %*s %llu",
			 &parent, &start) != 2)
		return false;
	*ret = (struct proc_info){.parent = parent, .start = start};
	return at || kill(pid, 0) == 0 || errno == EPERM;
}
