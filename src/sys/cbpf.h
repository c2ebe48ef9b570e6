/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Classic BPF, as libpcap compiles an expression for Ethernet, becomes a tc program: it says of a
 * frame in the kernel whether the expression matches it. A match returns TC_ACT_UNSPEC, and the
 * kernel goes on with the frame. No match tail-calls a slot of a program array, whose program takes
 * the frame. When that slot is empty the frame is dropped (TC_ACT_SHOT): what should be inspected
 * never passes uninspected.
 *
 * The answer is that of pcap_offline_filter() on the same bytes, with one exception: a frame whose
 * VLAN tag lies beside it (skb->vlan_present) never matches here. The bytes that an expression is
 * about have the tag inside; user space sees the frame so, and decides about it itself.
 *
 * As in classic BPF a read beyond the frame's end, and a division by X = 0, mean "no match". The
 * generated program reads by bpf_skb_load_bytes() and looks at its result; LD_ABS and LD_IND would
 * end it with 0 = TC_ACT_OK there. M[] is zero at the start. Needs kernel 5.1 (32-bit jumps).
 *
 * The same for XDP, before the kernel has made a packet of the frame (cbpf_target.xdp): a match
 * returns XDP_PASS, and so does an empty slot, for a tc program behind it decides again. The caller
 * sees to frames with a tag beside them. Programs there can take frames in several pieces.
 *
 * Reached by tail call from a tc program; both need the same expected_attach_type, here 0.
 * Threads: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bpf_insn;    /* linux/bpf.h */
struct sock_filter; /* linux/filter.h; libpcap's struct bpf_insn has the same layout */

/* Outcomes of cbpf_translate(). */
enum cbpf_error {
	CBPF_E_END = 1, /* no instructions, or the last one is no RET */
	CBPF_E_LONG,    /* more than CBPF_IN_MAX instructions, or does not fit into room */
	CBPF_E_OPCODE,  /* not one of libpcap's instructions */
	CBPF_E_OPERAND, /* k: ancillary data (negative), a word beyond M[], zero divisor, shift > 31
			 */
	CBPF_E_JUMP,    /* beyond the end, or backwards ("protochain") */
};

#define CBPF_IN_MAX   4096u  /* as many as the kernel's own socket filters may have */
#define CBPF_ROOM_MAX 32768u /* what 16-bit jumps span */

/* Who takes a frame that does not match. */
struct cbpf_target {
	int map_fd;     /* BPF_MAP_TYPE_PROG_ARRAY of tc programs, or of XDP programs */
	uint32_t index; /* slot of the program that takes the frame */
	bool xdp;       /* needs kernel 5.18 */
};

/*
 * Writes at most room (of which CBPF_ROOM_MAX are used) instructions to out. 0 or CBPF_E_*. in is
 * not trusted. Of the target only the numbers are used.
 */
int cbpf_translate(const struct sock_filter *in, uint32_t n, const struct cbpf_target *t,
		   struct bpf_insn *out, uint32_t room, uint32_t *ret_n);

/* Fragment for people about a CBPF_E_* ("uses an instruction that ..."). Static text. */
const char *cbpf_text(int e);

/*
 * Translates and loads. A descriptor, to be put into a program array and closed by the caller, or
 * -errno: -E2BIG and -EOPNOTSUPP for what cannot be translated, otherwise what the kernel said.
 * *ret_why is static text, set on failure; it goes on after the name of the expression.
 */
int cbpf_load(const struct sock_filter *in, uint32_t n, const struct cbpf_target *t,
	      const char **ret_why);
