/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BPF programs on devices: attach so that they go when the daemon goes (links), and leave other
 * people's programs alone. Loading is done by the skeletons that src/bpf/meson.build generates
 * ("bpf/redirect.skel.h"); their objects give the program descriptors that these functions take.
 *
 * tc programs: tcx, first in the chain, by BPF_LINK_CREATE (kernel 6.6; libbpf 1.1 has no call for
 * it); on older kernels clsact filters, which stay when the daemon is killed: who attaches notes
 * the device and calls sys_bpf_tc_clean() at the next start. XDP: always a link.
 *
 * Threads: the main thread. *ret_why is static text and set on every failure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum sys_bpf_how { SYS_BPF_NONE, SYS_BPF_TCX, SYS_BPF_CLSACT, SYS_BPF_XDP };

/* One program on one device. All zero is "not attached". Embedded by whoever attaches. */
struct sys_bpf_attachment {
	enum sys_bpf_how how;
	int link_fd; /* TCX, XDP */
	uint32_t ifindex;
	bool egress;      /* tc direction */
	bool behind;      /* by sys_bpf_attach_tc_behind() */
	bool made_clsact; /* we created the device's clsact qdisc */
};

/* Sends libbpf's own messages to our log at level debug. Call once before loading anything. */
void sys_bpf_init(void);

/* For tests: false = as on a kernel before 6.6. */
void sys_bpf_allow_tcx(bool allowed);

/* Attaches in front of all others. 0 or -errno; nothing is left behind on failure. */
int sys_bpf_attach_tc(struct sys_bpf_attachment *a, int prog_fd, uint32_t ifindex, bool egress,
		      const char **ret_why);
/* The same, but behind `front`, which sys_bpf_attach_tc() put on that side; NULL: nothing of ours
 * is there now. What is attached in front of all later is in front of this, too. */
int sys_bpf_attach_tc_behind(struct sys_bpf_attachment *a, int prog_fd, uint32_t ifindex,
			     bool egress, const struct sys_bpf_attachment *front,
			     const char **ret_why);
/*
 * Attaches by bpf_link. flags: XDP_FLAGS_DRV_MODE or XDP_FLAGS_SKB_MODE (linux/if_link.h).
 * -EBUSY: somebody else's program is there; it stays.
 */
int sys_bpf_attach_xdp(struct sys_bpf_attachment *a, int prog_fd, uint32_t ifindex, uint32_t flags,
		       const char **ret_why);
/*
 * Waits until programs that run at this moment have ended, and what they redirected has reached the
 * other device. Does not wait with nohz_full=, where the kernel does not offer it.
 */
void sys_bpf_synchronize(void);
/* Undoes either; harmless when nothing is attached or the device is gone. */
void sys_bpf_detach(struct sys_bpf_attachment *a);

/* Has bpffs keep a link (TCX, XDP) at path, where nothing is yet. 0 or -errno. */
int sys_bpf_pin(const struct sys_bpf_attachment *a, const char *path);
/* Detaches the link that is pinned at path, and removes the pin. Harmless when there is none. */
void sys_bpf_unpin(const char *path);
/* Forgets it: what is pinned, or a filter, stays attached; else it goes. */
void sys_bpf_let_go(struct sys_bpf_attachment *a);

/*
 * Removes what sys_bpf_attach_tc() of a killed daemon left on a device: clsact filters whose
 * program is called prog_name, and the qdisc when made_clsact and no other filter uses it.
 */
void sys_bpf_tc_clean(uint32_t ifindex, bool egress, const char *prog_name, bool made_clsact);

/* How many tcx programs there are on that side, everybody's; 0 also where the kernel has no tcx. */
uint32_t sys_bpf_tcx_count(uint32_t ifindex, bool egress);

/* Is there such a filter of ours on the device? */
bool sys_bpf_tc_find(uint32_t ifindex, bool egress, const char *prog_name);

/* Id of the XDP program on the device in any mode, 0 = none. -errno if the kernel does not say. */
int sys_bpf_xdp_query(uint32_t ifindex, uint32_t *ret_prog_id);
