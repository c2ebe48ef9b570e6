/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attaching BPF programs. tcx goes through bpf(2) directly: libbpf 1.1 (Debian 12) has no call for
 * it, and Debian's headers (6.1) lack the constants, so both are carried here.
 */
#include "sys/bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/membarrier.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

LOG_MODULE("sys/bpf");

/* Kernel 6.6. */
#define TCX_INGRESS    46
#define TCX_EGRESS     47
#define TCX_FLAG_FIRST (1u << 3)            /* BPF_F_BEFORE with no relative: head of the chain */
#define TCX_FLAG_AFTER (1u << 4 | 1u << 13) /* BPF_F_AFTER a link: BPF_F_LINK */

/* Where our clsact filters sit: in front of the priorities that tc picks by itself (49152 down). */
#define CLSACT_PRIORITY        1u
#define CLSACT_PRIORITY_BEHIND 2u
#define CLSACT_HANDLE          0x7664u

/* The part of union bpf_attr that BPF_LINK_CREATE reads for tcx. */
struct link_create_tcx {
	uint32_t prog_fd;
	uint32_t ifindex;
	uint32_t attach_type;
	uint32_t flags;
	uint32_t relative;
	uint32_t pad;
	uint64_t revision;
};

_printf_(2, 0) static int libbpf_line(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[512];
	int n = vsnprintf(line, sizeof(line), fmt, ap);

	if (n > 0 && n < (int)sizeof(line) && line[n - 1] == '\n')
		line[n - 1] = '\0';
	if (level != LIBBPF_DEBUG)
		log_debug("libbpf: %s", line);
	return n;
}

void sys_bpf_init(void)
{
	libbpf_set_print(libbpf_line);
}

static bool no_tcx;

void sys_bpf_allow_tcx(bool allowed)
{
	no_tcx = !allowed;
}

/* And BPF_PROG_QUERY. */
struct query_tcx {
	uint32_t ifindex;
	uint32_t attach_type;
	uint32_t flags;
	uint32_t attach_flags;
	uint64_t prog_ids;
	uint32_t count;
	uint32_t pad;
	uint64_t prog_attach_flags, link_ids, link_attach_flags, revision;
};

uint32_t sys_bpf_tcx_count(uint32_t ifindex, bool egress)
{
	struct query_tcx attr = {
		.ifindex = ifindex,
		.attach_type = egress ? TCX_EGRESS : TCX_INGRESS,
	};

	return syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) < 0 ? 0 : attr.count;
}

static int link_create_tcx(int prog_fd, uint32_t ifindex, bool egress,
			   const struct sys_bpf_attachment *front)
{
	const bool after = front && front->how == SYS_BPF_TCX;
	struct link_create_tcx attr = {
		.prog_fd = (uint32_t)prog_fd,
		.ifindex = ifindex,
		.attach_type = egress ? TCX_EGRESS : TCX_INGRESS,
		.flags = after ? TCX_FLAG_AFTER : TCX_FLAG_FIRST,
		.relative = after ? (uint32_t)front->link_fd : 0,
	};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}

static struct bpf_tc_hook hook_of(uint32_t ifindex, bool egress)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	return hook;
}

static int count_filter(const struct nlmsghdr *nlh, void *data)
{
	if (nlh->nlmsg_type == RTM_NEWTFILTER)
		++*(uint32_t *)data;
	return MNL_CB_OK;
}

/* Calls cb for each filter on one side of the device's clsact. 0 or -errno. */
static int dump_filters(struct mnl_socket *s, uint32_t ifindex, bool egress, mnl_cb_t cb,
			void *data)
{
	char buf[16384];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct tcmsg *tc;
	ssize_t len;
	int r = MNL_CB_OK;

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = 1 + egress;
	tc = mnl_nlmsg_put_extra_header(nlh, sizeof(*tc));
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
	if (mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		len = mnl_socket_recvfrom(s, buf, sizeof(buf));
		if (len < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)len, 1 + egress, mnl_socket_get_portid(s), cb, data);
	}
	return r < 0 ? -errno : 0;
}

/* A rtnetlink socket, or NULL. */
static struct mnl_socket *open_netlink(void)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0)
		return s;
	if (s)
		mnl_socket_close(s);
	return NULL;
}

/* Takes a clsact qdisc that we made away again, unless somebody has put filters of theirs on it. */
static void drop_clsact(uint32_t ifindex)
{
	struct bpf_tc_hook hook = hook_of(ifindex, false);
	struct mnl_socket *s = open_netlink();
	uint32_t n = 0;
	bool known;

	if (!s)
		return;
	known = dump_filters(s, ifindex, false, count_filter, &n) == 0 &&
		dump_filters(s, ifindex, true, count_filter, &n) == 0;
	mnl_socket_close(s);
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	if (known && n == 0)
		bpf_tc_hook_destroy(&hook);
}

static int attach_clsact(struct sys_bpf_attachment *a, int prog_fd, const char **ret_why)
{
	struct bpf_tc_hook hook = hook_of(a->ifindex, a->egress);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE,
		    .priority = a->behind ? CLSACT_PRIORITY_BEHIND : CLSACT_PRIORITY,
		    .prog_fd = prog_fd);
	int r = bpf_tc_hook_create(&hook);

	if (r && r != -EEXIST) {
		*ret_why = "the kernel refuses a clsact qdisc on it";
		return error_origin(r);
	}
	a->made_clsact = r == 0;
	r = bpf_tc_attach(&hook, &opts);
	if (r) {
		if (a->made_clsact)
			drop_clsact(a->ifindex);
		*ret_why = r == -EEXIST ? "a tc filter has our place (priority 1 or 2) on it"
					: "the kernel refuses our tc filter on it";
		return error_origin(r);
	}
	a->how = SYS_BPF_CLSACT;
	return 0;
}

/* a says where. */
static int attach_tc(struct sys_bpf_attachment *a, int prog_fd,
		     const struct sys_bpf_attachment *front, const char **ret_why)
{
	int fd = no_tcx ? -EINVAL : link_create_tcx(prog_fd, a->ifindex, a->egress, front);

	if (fd >= 0) {
		a->how = SYS_BPF_TCX;
		a->link_fd = fd;
		return 0;
	}
	if (fd == -EPERM || fd == -EACCES) {
		*ret_why = "attaching a tc program needs CAP_BPF and CAP_NET_ADMIN";
		return error_origin(fd);
	}
	if (fd == -ENODEV) {
		*ret_why = "no such device";
		return error_origin(fd);
	}
	/* EINVAL: a kernel before 6.6 does not know the attach type. */
	return error_trace(attach_clsact(a, prog_fd, ret_why));
}

int sys_bpf_attach_tc(struct sys_bpf_attachment *a, int prog_fd, uint32_t ifindex, bool egress,
		      const char **ret_why)
{
	*a = (struct sys_bpf_attachment){.link_fd = -1, .ifindex = ifindex, .egress = egress};
	return error_trace(attach_tc(a, prog_fd, NULL, ret_why));
}

int sys_bpf_attach_tc_behind(struct sys_bpf_attachment *a, int prog_fd, uint32_t ifindex,
			     bool egress, const struct sys_bpf_attachment *front,
			     const char **ret_why)
{
	*a = (struct sys_bpf_attachment){
		.link_fd = -1, .ifindex = ifindex, .egress = egress, .behind = true};
	return error_trace(attach_tc(a, prog_fd, front, ret_why));
}

int sys_bpf_attach_xdp(struct sys_bpf_attachment *a, int prog_fd, uint32_t ifindex, uint32_t flags,
		       const char **ret_why)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
	int fd = bpf_link_create(prog_fd, (int)ifindex, BPF_XDP, &opts);

	*a = (struct sys_bpf_attachment){.link_fd = -1, .ifindex = ifindex};
	if (fd < 0) {
		if (fd == -EBUSY || fd == -EEXIST)
			*ret_why = "another XDP program is attached to it";
		else if (fd == -EPERM || fd == -EACCES)
			*ret_why = "attaching an XDP program needs CAP_BPF and CAP_NET_ADMIN";
		else if (fd == -EOPNOTSUPP)
			*ret_why = "its driver does not have this XDP mode";
		else
			*ret_why = "the kernel refuses the XDP program on it";
		return error_origin(fd);
	}
	a->how = SYS_BPF_XDP;
	a->link_fd = fd;
	return 0;
}

static void detach_clsact(uint32_t ifindex, bool egress, bool behind, bool made_clsact)
{
	struct bpf_tc_hook hook = hook_of(ifindex, egress);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE,
		    .priority = behind ? CLSACT_PRIORITY_BEHIND : CLSACT_PRIORITY);

	bpf_tc_detach(&hook, &opts);
	if (made_clsact)
		drop_clsact(ifindex);
}

void sys_bpf_detach(struct sys_bpf_attachment *a)
{
	switch (a->how) {
	case SYS_BPF_TCX:
	case SYS_BPF_XDP:
		close(a->link_fd);
		break;
	case SYS_BPF_CLSACT:
		detach_clsact(a->ifindex, a->egress, a->behind, a->made_clsact);
		break;
	case SYS_BPF_NONE:
		break;
	}
	*a = (struct sys_bpf_attachment){.link_fd = -1};
}

int sys_bpf_pin(const struct sys_bpf_attachment *a, const char *path)
{
	return bpf_obj_pin(a->link_fd, path) ? error_origin(-errno) : 0;
}

void sys_bpf_unpin(const char *path)
{
	int fd = bpf_obj_get(path);

	/* Without a pin it would go as well, but a moment later. */
	if (fd >= 0) {
		bpf_link_detach(fd);
		close(fd);
	}
	unlink(path);
}

void sys_bpf_let_go(struct sys_bpf_attachment *a)
{
	if (a->link_fd >= 0)
		close(a->link_fd);
	*a = (struct sys_bpf_attachment){.link_fd = -1};
}

/* A filter to look for: in our place, with a program of this name. */
struct wanted {
	const char *prog_name;
	bool found, behind;
};

/* libbpf names a filter "program:[id]". Asking for the program by its id would need CAP_SYS_ADMIN.
 */
static int find_ours(const struct nlmsghdr *nlh, void *data)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(nlh);
	struct wanted *w = data;
	const size_t len = strlen(w->prog_name);
	const uint32_t priority = TC_H_MAJ(tc->tcm_info) >> 16;
	const struct nlattr *options, *a;

	if (nlh->nlmsg_type != RTM_NEWTFILTER || tc->tcm_handle != CLSACT_HANDLE ||
	    (priority != CLSACT_PRIORITY && priority != CLSACT_PRIORITY_BEHIND))
		return MNL_CB_OK;
	mnl_attr_for_each(options, nlh, sizeof(*tc))
	{
		if (mnl_attr_get_type(options) != TCA_OPTIONS)
			continue;
		mnl_attr_for_each_nested(a, options)
		{
			const char *name = mnl_attr_get_payload(a);

			if (mnl_attr_get_type(a) == TCA_BPF_NAME &&
			    mnl_attr_get_payload_len(a) > len &&
			    strncmp(name, w->prog_name, len) == 0 && name[len] == ':') {
				w->found = true;
				w->behind = priority == CLSACT_PRIORITY_BEHIND;
			}
		}
	}
	return MNL_CB_OK;
}

bool sys_bpf_tc_find(uint32_t ifindex, bool egress, const char *prog_name)
{
	struct wanted w = {.prog_name = prog_name};
	struct mnl_socket *s = open_netlink();

	if (!s)
		return false;
	dump_filters(s, ifindex, egress, find_ours, &w);
	mnl_socket_close(s);
	return w.found;
}

void sys_bpf_tc_clean(uint32_t ifindex, bool egress, const char *prog_name, bool made_clsact)
{
	struct wanted w = {.prog_name = prog_name};
	struct mnl_socket *s = open_netlink();

	if (!s)
		return;
	dump_filters(s, ifindex, egress, find_ours, &w);
	mnl_socket_close(s);
	if (w.found)
		detach_clsact(ifindex, egress, w.behind, made_clsact);
	else if (made_clsact)
		drop_clsact(ifindex);
}

int sys_bpf_xdp_query(uint32_t ifindex, uint32_t *ret_prog_id)
{
	int r = bpf_xdp_query_id((int)ifindex, 0, ret_prog_id);

	return r ? error_origin(r) : 0;
}

/* Waits for an RCU grace period, and programs run inside RCU sections; one processor has no other.
 */
void sys_bpf_synchronize(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		log_debug("membarrier: %s", err_text(-errno));
}
