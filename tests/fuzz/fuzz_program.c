/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any instructions at all: what program_new() accepts runs over any frame without reading past its
 * end (ASan watches), and returns what libpcap's interpreter returns. Two rules with it decide the
 * same as one graph and one by one.
 *
 * Input: length of the frame (8 bits), frame, then instructions as in struct sock_filter,
 * little-endian.
 */
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#include "core/hook.h"
#include "core/program.h"

#define N_WORDS (BPF_MEMWORDS + 1u)
#define IN_MAX  256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
	if (!ok)
		abort();
}

/* A mark for what matches, then the rest of the program for what has it. */
static struct hook_set *rules(const struct sock_filter *insns, uint32_t n)
{
	struct hook_set *s = hook_set_new(2);

	expect(s && program_new(insns, n, &s->rules[0].filter) == 0);
	s->rules[0].verdict = HOOK_MARK;
	s->rules[0].set_mark = 1;
	s->rules[1].verdict = HOOK_DROP;
	s->rules[1].has_mark = true;
	s->rules[1].mark = n > 1;
	expect(program_new(insns + n / 2, n - n / 2, &s->rules[1].filter) == 0);
	return s;
}

static void compare_rules(const struct sock_filter *insns, uint32_t n, uint8_t *data, uint32_t len)
{
	struct frame f = {.data = data, .len = len};
	struct hook_frame a = {.f = &f}, b = a;
	struct hook_set *graph = rules(insns, n), *plain = rules(insns, n);

	hook_set_finish(graph);
	expect(hook_run(graph, &a) == hook_run(plain, &b) && a.mark == b.mark);
	for (int i = 0; i < 2; i++)
		expect(graph->rules[i].packets == plain->rules[i].packets);
	hook_set_free(graph);
	hook_set_free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sock_filter insns[N_WORDS + IN_MAX];
	struct program *bare = NULL, *p = NULL;
	uint32_t n = 0, len;
	uint8_t *frame;
	int r;

	if (size < 1)
		return 0;
	len = data[0] < size - 1 ? data[0] : (uint32_t)(size - 1);
	/* libpcap's words begin as anything, so they are written first. */
	insns[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 0);
	for (uint32_t i = 0; i < BPF_MEMWORDS; i++)
		insns[n++] = (struct sock_filter)BPF_STMT(BPF_ST, i);
	for (size_t at = 1 + len; at + 8 <= size && n < N_WORDS + IN_MAX; at += 8) {
		const uint8_t *i = data + at;

		insns[n++] = (struct sock_filter){
			.code = (uint16_t)(i[0] | i[1] << 8),
			.jt = i[2],
			.jf = i[3],
			.k = i[4] | (uint32_t)i[5] << 8 | (uint32_t)i[6] << 16 |
			     (uint32_t)i[7] << 24,
		};
	}
	r = program_new(insns + N_WORDS, n - N_WORDS, &bare);
	if (r) {
		expect(r >= PROGRAM_E_SIZE && r <= PROGRAM_E_MEMORY && !bare);
		return 0;
	}
	expect(program_new(insns, n, &p) == 0);
	frame = malloc(len ? len : 1);
	expect(frame);
	memcpy(frame, data + 1, len);
	expect(program_run(p, frame, len) ==
	       bpf_filter((const struct bpf_insn *)insns, frame, len, len));
	expect(program_run(bare, frame, len) == program_run(p, frame, len));
	compare_rules(insns + N_WORDS, n - N_WORDS, frame, len);
	free(frame);
	program_free(p);
	program_free(bare);
	return 0;
}
