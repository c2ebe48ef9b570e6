/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our interpreter against libpcap's own: random programs of all instructions, and random
 * expressions of pcap-filter(7), over random frames that are likely to match something. And sets of
 * random rules as one graph of questions against the same rules one by one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pcap/pcap.h>

#include "base/compiler.h"
#include "core/decision.h"
#include "core/hook.h"
#include "core/program.h"

#define N_PROGRAMS 20000u
#define N_EXPRS    3000u
#define N_FRAMES   30u
#define N_SETS     1500u
#define RULES_MAX  24u
#define INSNS_MAX  40u
#define N_WORDS    (BPF_MEMWORDS + 1u)

static uint64_t seed, rng_state;

static void __attribute__((noreturn)) die(const char *what)
{
	printf("%s; repeat with VIADUCT_SEED=%llu\n", what, (unsigned long long)seed);
	exit(1);
}

static uint32_t rnd(uint32_t n)
{
	uint64_t x = rng_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((x ^ x >> 31) % n);
}

/* ---- frames ---- */

static uint8_t frame[128];

static void put16(uint32_t at, uint32_t v)
{
	frame[at] = (uint8_t)(v >> 8);
	frame[at + 1] = (uint8_t)v;
}

/* IPv4 or IPv6 with TCP, UDP, or something else; few values, so that expressions match. */
static void network(uint32_t at)
{
	static const uint8_t protos[] = {6, 17, 1, 58, 132};
	const uint32_t proto = protos[rnd(array_size(protos))];
	uint32_t l4 = at + 40;

	if (rnd(2)) {
		l4 = at + 20 + 4 * rnd(3);
		put16(at - 2, 0x0800);
		frame[at] = (uint8_t)(0x40 | (l4 - at) / 4);
		put16(at + 6, rnd(4) ? 0 : rnd(65536));
		frame[at + 9] = (uint8_t)proto;
		memcpy(frame + at + 12, "\x0a\0\0", 3);
		memcpy(frame + at + 16, "\x0a\0\0", 3);
		frame[at + 15] = (uint8_t)rnd(4);
		frame[at + 19] = (uint8_t)rnd(4);
	} else {
		put16(at - 2, 0x86dd);
		frame[at] = 0x60;
		frame[at + 6] = (uint8_t)proto;
	}
	put16(l4, 50 + rnd(8));
	put16(l4 + 2, 50 + rnd(8));
}

/* Returns the length. */
static uint32_t make_frame(void)
{
	uint32_t at = 14;

	for (uint32_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(rnd(3) ? rnd(4) : rnd(256));
	if (!rnd(4))
		memset(frame, 0xff, 6);
	for (uint32_t tags = rnd(3); tags > 0; tags--, at += 4) {
		put16(at - 2, rnd(5) ? 0x8100 : 0x88a8);
		put16(at, rnd(4));
	}
	if (rnd(5))
		network(at);
	return rnd(8) ? 64 + rnd(65) : rnd(129);
}

/* ---- programs ---- */

static uint32_t small(void)
{
	return rnd(4) ? rnd(70) : rnd(2) ? rnd(256) << 8 : (uint32_t)(rng_state >> 13);
}

/* An instruction with `left` more behind it. */
static struct sock_filter random_insn(uint32_t left)
{
	static const uint16_t codes[] = {
		BPF_LD | BPF_W | BPF_ABS,
		BPF_LD | BPF_H | BPF_ABS,
		BPF_LD | BPF_B | BPF_ABS,
		BPF_LD | BPF_W | BPF_IND,
		BPF_LD | BPF_H | BPF_IND,
		BPF_LD | BPF_B | BPF_IND,
		BPF_LD | BPF_IMM,
		BPF_LD | BPF_W | BPF_LEN,
		BPF_LD | BPF_MEM,
		BPF_LDX | BPF_IMM,
		BPF_LDX | BPF_MEM,
		BPF_LDX | BPF_W | BPF_LEN,
		BPF_LDX | BPF_B | BPF_MSH,
		BPF_ST,
		BPF_STX,
		BPF_ALU | BPF_NEG,
		BPF_MISC | BPF_TAX,
		BPF_MISC | BPF_TXA,
		BPF_RET | BPF_A,
		BPF_RET | BPF_K,
	};
	struct sock_filter f = {.k = small()};

	switch (rnd(3)) {
	case 0:
		f.code = (uint16_t)(BPF_ALU | rnd(11) << 4 | (rnd(2) ? BPF_X : BPF_K));
		if (BPF_OP(f.code) == BPF_NEG)
			f.code = BPF_ALU | BPF_NEG;
		if (BPF_OP(f.code) == BPF_LSH || BPF_OP(f.code) == BPF_RSH)
			f.k %= 32;
		f.k += f.k == 0;
		break;
	case 1:
		f.code = (uint16_t)(BPF_JMP | rnd(5) << 4 | (rnd(2) ? BPF_X : BPF_K));
		f.jt = (uint8_t)rnd(left);
		f.jf = (uint8_t)rnd(left);
		if (BPF_OP(f.code) == BPF_JA) {
			f.code = BPF_JMP | BPF_JA;
			f.k = rnd(left);
		}
		break;
	default:
		f.code = codes[rnd(array_size(codes))];
		if (BPF_CLASS(f.code) == BPF_ST || BPF_CLASS(f.code) == BPF_STX ||
		    (BPF_CLASS(f.code) <= BPF_LDX && BPF_MODE(f.code) == BPF_MEM))
			f.k %= BPF_MEMWORDS;
	}
	return f;
}

/* All words are written first: libpcap's begin as anything. */
static uint32_t random_program(struct sock_filter *p)
{
	uint32_t n = 0, end = N_WORDS + 1 + rnd(INSNS_MAX);

	p[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 0);
	for (uint32_t i = 0; i < BPF_MEMWORDS; i++)
		p[n++] = (struct sock_filter)BPF_STMT(BPF_ST, i);
	for (; n < end; n++)
		p[n] = random_insn(end - n);
	p[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	return n;
}

static void compare(const struct sock_filter *insns, uint32_t n, uint64_t *n_matches)
{
	struct program *p;

	if (program_new(insns, n, &p))
		die("a program is refused");
	for (uint32_t i = 0; i < N_FRAMES; i++) {
		const uint32_t len = make_frame();
		/* Exactly so long, for ASan. */
		uint8_t *copy = malloc(len ? len : 1);
		uint32_t ours, theirs;

		if (!copy)
			die("no memory");
		memcpy(copy, frame, len);
		ours = program_run(p, copy, len);
		/* The same structure under another name. */
		theirs = bpf_filter((const struct bpf_insn *)insns, copy, len, len);
		*n_matches += ours != 0;
		free(copy);
		if (ours != theirs) {
			for (uint32_t j = 0; j < n; j++)
				printf("%2u: { 0x%02x, %u, %u, 0x%08x },\n", j, insns[j].code,
				       insns[j].jt, insns[j].jf, insns[j].k);
			printf("libpcap returns 0x%x, we 0x%x, for %u bytes\n", theirs, ours, len);
			die("a program returns something else");
		}
	}
	program_free(p);
}

/* ---- expressions ---- */

static void primitive(char *to, size_t size)
{
	static const char *const words[] = {
		"ip",
		"ip6",
		"arp",
		"tcp",
		"udp",
		"icmp",
		"icmp6",
		"sctp",
		"vlan",
		"vlan 2",
		"broadcast",
		"multicast",
		"ip host 10.0.0.1",
		"src net 10.0.0.0/30",
		"dst host 10.0.0.3",
		"tcp port 53",
		"udp port 55",
		"port 51",
		"src port 52",
		"dst portrange 50-54",
		"tcp[tcpflags] & tcp-syn != 0",
		"ip[6:2] & 0x1fff = 0",
		"ether[0] & 1 = 1",
		"len > 80",
		"less 70",
		"greater 100",
		"ether proto 0x0800",
		"ip[8] < 3",
		"udp[0:2] + udp[2:2] = 106",
		"ip proto 17",
		"ip6 proto 58",
		"ip[2:2] / ip[8] > 3",
		"ether src 00:01:02:03:00:01",
		"net 10.0.0.0 mask 255.255.255.254",
		"ip6[6] = 17",
		"ip[ip[0] & 15] > 1",
		"tcp[13] << 2 > 7",
	};

	snprintf(to, size, "%s%s", rnd(4) ? "" : "not ", words[rnd(array_size(words))]);
}

static void expression(char *to, size_t size)
{
	char part[64];

	to[0] = '\0';
	for (uint32_t n = 1 + rnd(4), i = 0; i < n; i++) {
		const size_t at = strlen(to);

		primitive(part, sizeof(part));
		snprintf(to + at, size - at, "%s(%s)",
			 i == 0   ? ""
			 : rnd(2) ? " and "
				  : " or ",
			 part);
	}
}

/* ---- rules ---- */

static struct program *random_filter(pcap_t *dead)
{
	struct sock_filter insns[N_WORDS + INSNS_MAX + 2];
	struct program *p = NULL;
	struct bpf_program prog;
	char text[512];
	int r;

	if (!rnd(12)) {
		r = program_new(insns, random_program(insns), &p);
	} else {
		expression(text, sizeof(text));
		if (pcap_compile(dead, &prog, text, 1, PCAP_NETMASK_UNKNOWN))
			return NULL; /* any frame will do */
		r = program_new((const struct sock_filter *)prog.bf_insns, prog.bf_len, &p);
		pcap_freecode(&prog);
	}
	if (r)
		die("a program is refused");
	return p;
}

static struct program *copy_program(const struct program *p)
{
	struct program *copy = NULL;
	const struct sock_filter *insns;
	uint32_t n;

	if (!p)
		return NULL;
	insns = program_insns(p, &n);
	if (program_new(insns, n, &copy))
		die("a copy is refused");
	return copy;
}

static void random_rule(struct hook_rule *r, pcap_t *dead)
{
	r->filter = rnd(8) ? random_filter(dead) : NULL;
	r->verdict = rnd(3) ? (uint8_t)(HOOK_MIRROR + rnd(2)) : (uint8_t)rnd(2);
	r->mirror = (uint8_t)rnd(8);
	r->set_mark = rnd(3);
	r->has_mark = !rnd(4);
	r->mark = rnd(3);
	r->vlan = rnd(4) ? HOOK_ANY_VLAN : (int16_t)rnd(4);
	if (!rnd(4))
		snprintf(r->in_name, sizeof(r->in_name), "%u", rnd(4));
	if (!rnd(4))
		snprintf(r->out_name, sizeof(r->out_name), "%u", rnd(4));
}

/* Port 3 is not there. */
static uint16_t number(const void *ctx, const char *name)
{
	(void)ctx;
	return name[0] == '3' ? HOOK_NO_PORT : (uint16_t)(name[0] - '0' + 1);
}

/* Not what a rule's name says. */
static uint16_t no_mirror(const void *ctx, const char *name)
{
	(void)ctx;
	return (uint16_t)strlen(name);
}

static bool same_run(struct hook_set *a, struct hook_set *b, uint8_t *data, uint32_t len)
{
	struct frame f = {.data = data, .len = len};
	struct hook_frame ha = {.f = &f,
				.in = (uint16_t)rnd(5),
				.out = (uint16_t)rnd(5),
				.vlan = (uint16_t)rnd(4),
				.mark = rnd(3)},
			  hb = ha;
	const bool ra = hook_run(a, &ha), rb = hook_run(b, &hb);

	return ra == rb && ha.mark == hb.mark && ha.mirrors == hb.mirrors;
}

static void compare_sets(struct hook_set *a, struct hook_set *b, uint64_t *n_matches)
{
	for (uint32_t i = 0; i < 2 * N_FRAMES; i++) {
		const uint32_t len = make_frame();
		uint8_t *copy = malloc(len ? len : 1);

		if (!copy)
			die("no memory");
		memcpy(copy, frame, len);
		if (!same_run(a, b, copy, len))
			die("a graph decides otherwise than its rules");
		free(copy);
	}
	for (uint32_t i = 0; i < a->n; i++) {
		if (a->rules[i].packets != b->rules[i].packets ||
		    a->rules[i].bytes != b->rules[i].bytes)
			die("a graph counts otherwise than its rules");
		*n_matches += a->rules[i].packets;
	}
}

static uint64_t compare_rules(pcap_t *dead)
{
	uint64_t n_matches = 0;
	uint32_t n_graphs = 0;

	for (uint32_t i = 0; i < N_SETS; i++) {
		struct hook_set *a = hook_set_new(1 + rnd(RULES_MAX)),
				*b = hook_set_new(a ? a->n : 0);

		if (!a || !b)
			die("no memory");
		for (uint32_t k = 0; k < a->n; k++) {
			random_rule(&a->rules[k], dead);
			b->rules[k] = a->rules[k];
			b->rules[k].filter = copy_program(a->rules[k].filter);
		}
		hook_set_finish(a);
		n_graphs += a->decision != NULL;
		hook_set_bind(a, number, no_mirror, NULL);
		hook_set_bind(b, number, no_mirror, NULL);
		compare_sets(a, b, &n_matches);
		hook_set_free(a);
		hook_set_free(b);
	}
	if (n_graphs < N_SETS * 9 / 10)
		die("hardly any graph was made");
	return n_matches;
}

int main(void)
{
	const char *given = getenv("VIADUCT_SEED");
	struct sock_filter p[N_WORDS + INSNS_MAX + 2];
	uint64_t n_matches = 0, n_expr_matches = 0, n_rule_matches;
	uint32_t n_compiled = 0;
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	rng_state = seed;
	if (!dead)
		die("no libpcap");
	for (uint32_t i = 0; i < N_PROGRAMS; i++)
		compare(p, random_program(p), &n_matches);
	for (uint32_t i = 0; i < N_EXPRS; i++) {
		struct bpf_program prog;
		char text[512];

		expression(text, sizeof(text));
		/* Some contradict themselves. */
		if (pcap_compile(dead, &prog, text, (int)rnd(2), PCAP_NETMASK_UNKNOWN))
			continue;
		n_compiled++;
		compare((const struct sock_filter *)prog.bf_insns, prog.bf_len, &n_expr_matches);
		pcap_freecode(&prog);
	}
	n_rule_matches = compare_rules(dead);
	pcap_close(dead);
	if (n_compiled < N_EXPRS / 4 || !n_matches || !n_expr_matches || !n_rule_matches)
		die("hardly anything was compared");
	printf("%u programs, %u expressions, %u sets of rules; %llu, %llu, %llu matches; seed "
	       "%llu\n",
	       N_PROGRAMS, n_compiled, N_SETS, (unsigned long long)n_matches,
	       (unsigned long long)n_expr_matches, (unsigned long long)n_rule_matches,
	       (unsigned long long)seed);
	return 0;
}
