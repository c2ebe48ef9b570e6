/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys/privs.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cap-ng.h>
#include <seccomp.h>

#include "base/compiler.h"
#include "base/err.h"

#ifndef CAP_BPF
#define CAP_BPF 39
#endif

/* CAP_SYS_ADMIN includes CAP_BPF; it is kept only when it is what there is. */
static const struct {
	unsigned int cap;
	unsigned int instead; /* 0 = nothing */
	const char *name;
} needed[] = {
	{CAP_NET_ADMIN, 0, "CAP_NET_ADMIN"},
	{CAP_NET_RAW, 0, "CAP_NET_RAW"},
	{CAP_BPF, CAP_SYS_ADMIN, "CAP_BPF"},
	{CAP_IPC_LOCK, 0, "CAP_IPC_LOCK"},
};

static bool have(unsigned int cap)
{
	return capng_have_capability(CAPNG_EFFECTIVE, cap);
}

int privs_check(char *ret_missing, size_t size)
{
	size_t n = 0;

	ret_missing[0] = '\0';
	if (capng_get_caps_process())
		return error_origin(-EIO);
	for (size_t i = 0; i < array_size(needed); i++) {
		size_t len = strlen(needed[i].name);

		if (have(needed[i].cap) || (needed[i].instead && have(needed[i].instead)))
			continue;
		if (n + len + 3 > size)
			break;
		if (n > 0) {
			memcpy(ret_missing + n, ", ", 2);
			n += 2;
		}
		memcpy(ret_missing + n, needed[i].name, len + 1);
		n += len;
	}
	return n > 0 ? -EPERM : 0;
}

int privs_drop(void)
{
	bool use[array_size(needed)];

	if (capng_get_caps_process())
		return error_origin(-EIO);
	for (size_t i = 0; i < array_size(needed); i++)
		use[i] = have(needed[i].cap);
	capng_clear(CAPNG_SELECT_CAPS);
	for (size_t i = 0; i < array_size(needed); i++)
		if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
				 use[i] ? needed[i].cap : needed[i].instead))
			return error_origin(-EIO);
	return capng_apply(CAPNG_SELECT_CAPS) ? error_origin(-EPERM) : 0;
}

/* By name: a call that this architecture or library does not know is skipped. */
static const char *const denied[] = {
	"execve",
	"execveat",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"kcmp",
	"init_module",
	"finit_module",
	"delete_module",
	"kexec_load",
	"kexec_file_load",
	"reboot",
	"mount",
	"umount2",
	"pivot_root",
	"chroot",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsconfig",
	"fsmount",
	"fspick",
	"mount_setattr",
	"swapon",
	"swapoff",
	"acct",
	"quotactl",
	"settimeofday",
	"clock_settime",
	"clock_adjtime",
	"adjtimex",
	"sethostname",
	"setdomainname",
	"iopl",
	"ioperm",
	"add_key",
	"keyctl",
	"request_key",
	"userfaultfd",
	"open_by_handle_at",
	"name_to_handle_at",
	"unshare",
	"setuid",
	"setgid",
	"setreuid",
	"setregid",
	"setresuid",
	"setresgid",
	"setgroups",
	"personality",
	"uselib",
	"vhangup",
	"lookup_dcookie",
	"syslog",
	"mknod",
	"mknodat",
};

int privs_seccomp(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = 0;

	if (!ctx)
		return error_origin(-ENOMEM);
	for (size_t i = 0; i < array_size(denied) && !r; i++) {
		int nr = seccomp_syscall_resolve_name(denied[i]);

		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r ? error_origin(r) : 0;
}

#define NOBODY 65534

static const char *const kept[] = {
	"read",         "write",          "writev",
	"sendto",       "recvfrom",       "recvmsg",
	"close",        "fstat",          "newfstatat",
	"lseek",        "poll",           "ppoll",
	"epoll_wait",   "epoll_pwait",    "clock_gettime",
	"gettimeofday", "mmap",           "munmap",
	"mremap",       "madvise",        "mprotect",
	"brk",          "futex",          "rt_sigreturn",
	"rt_sigaction", "rt_sigprocmask", "restart_syscall",
	"exit",         "exit_group",
};

static int keep_calls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = 0;

	if (!ctx)
		return error_origin(-ENOMEM);
	for (size_t i = 0; i < array_size(kept) && !r; i++) {
		int nr = seccomp_syscall_resolve_name(kept[i]);

		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r ? error_origin(r) : 0;
}

/* Files of root are not for who was root once. */
static int become_nobody(void)
{
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return error_origin(-errno);
	return 0;
}

int privs_give_up(bool filter_calls)
{
	int r;

	/* Fails at the first that there is not, or without CAP_SETPCAP: no new privileges is
	 * enough. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	r = become_nobody();
	if (r)
		return error_trace(r);
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return error_origin(-EPERM);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return error_origin(-errno);
	return filter_calls ? error_trace(keep_calls()) : 0;
}
