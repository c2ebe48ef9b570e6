/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Classic BPF (struct sock_filter, as libpcap compiles pcap-filter(7)), checked once and then run
 * over frames. The program sees the frame as a capture file has it: from the destination address
 * on, VLAN tags inside. What it returns is a number; 0 means "no match".
 *
 * A program is immutable: any number of threads may run it.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/frame.h"

#define PROGRAM_INSNS_MAX 4096u /* as in the kernel */

/* Why program_new() refuses. */
enum program_error {
	PROGRAM_E_SIZE = 1, /* no instruction, or more than PROGRAM_INSNS_MAX */
	PROGRAM_E_CODE,     /* an instruction that classic BPF does not have */
	PROGRAM_E_JUMP,     /* a jump beyond the end */
	PROGRAM_E_END,      /* the last instruction is no return */
	PROGRAM_E_ZERO,     /* a division by the constant 0 */
	PROGRAM_E_SHIFT,    /* a shift by a constant of 32 or more */
	PROGRAM_E_MEMORY,   /* there are 16 memory words */
};

struct program;

/*
 * Checks and copies n instructions. 0 and *ret, -ENOMEM, or PROGRAM_E_*. What passes ends after at
 * most n steps (all jumps go forward) and reads nothing but the frame and its own words, which
 * begin as 0; loads beyond the frame and divisions by a 0 in X end it with 0.
 */
int program_new(const struct sock_filter *insns, uint32_t n, struct program **ret);
struct program *program_free(struct program *p);
/* The instructions. */
const struct sock_filter *program_insns(const struct program *p, uint32_t *ret_n);
/* What the program returns for len bytes at data. */
uint32_t program_run(const struct program *p, const uint8_t *data, uint32_t len);

static inline bool program_match(const struct program *p, const struct frame *f)
{
	return program_run(p, f->data, f->len) != 0;
}
