/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The translation against libpcap: expressions and random programs, each run by the kernel on
 * many frames, must say what bpf_filter() says. What needs BPF is skipped (77) without.
 */
#include "sys/cbpf.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/pkt_cls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define bpf_insn pcap_insn /* linux/bpf.h has another struct of this name */
#include <pcap/pcap.h>
#undef bpf_insn

#include <cmocka.h>

#define TAKEN       77u /* what the program in SLOT_TAKE returns */
#define EXEMPT      ((uint32_t)TC_ACT_UNSPEC)
#define SLOT_TAKE   2u
#define NOT_CALLED  99u /* a member without the generated program */
#define SLOT_EXEMPT 1u
#define FRAME_MAX   1500u
#define FRAMES_MAX  4000u

struct bytes_of_frame {
	const uint8_t *data;
	uint32_t len;
};

static struct bytes_of_frame frames[FRAMES_MAX];
static uint32_t n_frames;
static int array_fd = -1, taker_fd = -1, member_fd = -1;
static int xdp_array_fd = -1, xdp_taker_fd = -1, xdp_member_fd = -1;

#define MACS          "020000000001 020000000002 "
#define IP4(frag, ip) MACS "0800 45000064 0001" frag "40" ip "0000 0a000001 c0a80102 "
#define IP4_OPT(ip)                                                                                \
	MACS "0800 48000064 0001 0000 40" ip "0000 0a000001 c0a80102 940400000101010101010100 "
#define IP6_HEAD           "60000000 0040 "
#define IP6_ADDRS          " 40 20010db8000000000000000000000001 20010db8000000000000000000000002 "
#define IP6(next)          MACS "86dd " IP6_HEAD next IP6_ADDRS
#define TCP(sp, dp, flags) sp dp "00000001 00000002 50" flags "2000 0000 0000 "
#define UDP(sp, dp)        sp dp "0020 0000 "
#define DATA               "000102030405060708090a0b0c0d0e0f"

static const char *const hex_frames[] = {
	IP4("0000", "06") TCP("c000", "0016", "02") DATA,
	IP4("4000", "06") TCP("0050", "c001", "12") DATA,
	IP4("0000", "06") TCP("c000", "1f90", "11") DATA,
	IP4_OPT("06") TCP("c000", "0016", "18") DATA,
	IP4("2000", "06") TCP("c000", "0016", "10") DATA,
	IP4("00b9", "06") "c00000160000" DATA,
	IP4("0000", "11") UDP("c000", "0035") DATA,
	IP4("2000", "11") UDP("0035", "c000") DATA,
	IP4_OPT("11") UDP("c000", "12b5") DATA,
	IP4("0000", "01") "08001234 00010001" DATA,
	IP4("0000", "01") "03011234 00000000" DATA,
	IP4("0000", "02") "16000904 e00000fb",
	IP4("0000", "84") "0b0c0b0d 00000000 00000000" DATA,
	IP6("06") TCP("c000", "0016", "02") DATA,
	IP6("11") UDP("c000", "0035") DATA,
	IP6("3a") "8000 0000 00010001" DATA,
	IP6("00") "0600 0502 0000 0100" TCP("c000", "0016", "02"),
	IP6("2c") "1100 0001 00000001" UDP("c000", "0035"),
	"ffffffffffff 020000000002 0806 0001 0800 0604 0001 020000000002 0a000001 000000000000 "
	"c0a80102",
	"020000000001 020000000002 0806 0001 0800 0604 0002 020000000002 0a000001 020000000001 "
	"c0a80102",
	MACS
	"8100 0064 0800 45000064 0001 0000 40060000 0a000001 c0a80102" TCP("c000", "0016", "02"),
	MACS "88a8 0005 8100 0064 86dd" IP6_HEAD "06" IP6_ADDRS TCP("c000", "0016", "10"),
	"0180c2000000 020000000002 0026 424203 0000000000 8000020000000002 00000000 "
	"8000020000000002",
	MACS "0020 aaaa03 000000 809b" DATA DATA,
	MACS "8864 1100 0001 0030 0021 45000064 0001 0000 40060000 0a000001 c0a80102" DATA,
	MACS "8847 00010140 45000064 0001 0000 40060000 0a000001 c0a80102" DATA,
	"01005e0000fb 020000000002 0800 45000064 0001 0000 01110000 0a000001 e00000fb" UDP(
		"14e9", "14e9") DATA,
	"333300000001 020000000002 86dd" IP6_HEAD "3a ff fe800000000000000000000000000001"
	"ff020000000000000000000000000001 8700 0000 00000000" DATA,
	MACS "9000" DATA DATA DATA,
};

static const char *const expressions[] = {
	"ip",
	"ip6",
	"arp",
	"tcp",
	"udp",
	"icmp",
	"icmp6",
	"sctp",
	"igmp",
	"tcp port 22",
	"udp port 53",
	"port 53",
	"src port 80",
	"dst port 22",
	"portrange 1000-9000",
	"tcp dst portrange 20-25",
	"host 10.0.0.1",
	"src host 10.0.0.1",
	"dst host 192.168.1.2",
	"net 192.168.0.0/16",
	"not net 10.0.0.0/8",
	"host 2001:db8::1",
	"net 2001:db8::/32",
	"ether host 02:00:00:00:00:01",
	"ether src 02:00:00:00:00:02",
	"ether broadcast",
	"ether multicast",
	"ip multicast",
	"ether proto 0x9000",
	"ether[6:4] = 0x02000000",
	"stp",
	"vlan",
	"vlan 100 and tcp port 22",
	"vlan and vlan and ip6",
	"mpls",
	"pppoes and ip",
	"greater 1000",
	"less 60",
	"len > 64 and len <= 90",
	"ip[6:2] & 0x1fff != 0",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
	"icmp[icmptype] = icmp-echo",
	"tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x00010203",
	"ip[0] & 0xf > 5",
	"ip[2:2] * 3 - 8 / 2 + 1 = 297",
	"ip[8] % 7 = 1 and ip[9] ^ 6 = 0",
	"ip[2:2] / (ip[6:2] & 0xff) = 0 or ip[9] % (ip[8] - 47) = 0",
	"(ip[8] << ip[0:1]) + (ip[8] << 2) = 256",
	"ether[ether[14] & 0xf] = 2",
	"-ip[8] & 0xff = 0xc0",
	"ip and len - ip[2:2] < 20",
	"ip6[6] = 0 and ip6[40] = 6",
	"ip6 protochain 6 or ip",
	"not (tcp port 22 or arp or icmp)",
	"tcp port 22 or tcp port 80 or udp port 53 or udp portrange 4000-5000 or host 10.9.9.9 or "
	"net 172.16.0.0/12 or ether host 02:00:00:00:00:09 or arp or stp",
	"ip proto 89 or (ip6 and not tcp) or (ip and src 10.0.0.1 and greater 80)",
	"",
};

static uint64_t rnd(void)
{
	static uint64_t s = 0x9e3779b97f4a7c15u;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s;
}

/* Each frame in a block of its size. */
static void add_frame(const uint8_t *data, uint32_t len)
{
	uint8_t *copy = test_malloc(len);

	assert_true(n_frames < FRAMES_MAX);
	memcpy(copy, data, len);
	frames[n_frames++] = (struct bytes_of_frame){copy, len};
}

static uint32_t from_hex(const char *s, uint8_t *out)
{
	uint32_t digits = 0;

	memset(out, 0, FRAME_MAX);
	for (; *s; s++) {
		if (*s == ' ')
			continue;
		assert_non_null(strchr("0123456789abcdef", *s));
		out[digits / 2] =
			(uint8_t)(out[digits / 2] << 4 | (*s <= '9' ? *s - '0' : *s - 'a' + 10));
		digits++;
	}
	assert_int_equal(digits % 2, 0);
	return digits / 2;
}

/* Not shorter than the Ethernet header: the kernel's test run takes none. */
static void make_frames(void)
{
	uint8_t b[FRAME_MAX];

	for (size_t i = 0; i < sizeof(hex_frames) / sizeof(hex_frames[0]); i++) {
		uint32_t len = from_hex(hex_frames[i], b);

		for (uint32_t cut = 14; cut <= len; cut++)
			add_frame(b, cut);
		add_frame(b, FRAME_MAX - 100); /* padded */
		for (uint32_t n = 0; n < 4; n++) {
			uint32_t at = 12 + (uint32_t)rnd() % (len - 12);
			uint8_t was = b[at];

			b[at] = (uint8_t)rnd();
			add_frame(b, len);
			b[at] = was;
		}
	}
	for (uint32_t n = 0; n < 100; n++) {
		for (uint32_t i = 0; i < 200; i++)
			b[i] = (uint8_t)rnd();
		add_frame(b, 14 + (uint32_t)rnd() % 186);
	}
}

static int load(const struct bpf_insn *insns, size_t n)
{
	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "vd_test", "Dual BSD/GPL", insns, n, NULL);
}

static const struct cbpf_target *target(void)
{
	static struct cbpf_target t;

	t = (struct cbpf_target){.map_fd = array_fd, .index = SLOT_TAKE};
	return &t;
}

/*
 * As a member of a bridge has one: tail-calls the generated program. Before that it makes of what
 * the kernel lets us send the frame that we mean: the kernel's test run takes no truncated IP, so
 * the EtherType comes as the mark; a priority puts a tag beside the frame, TCI = priority - 1.
 */
static int load_member(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1},
		{.code = BPF_LDX | BPF_MEM | BPF_W,
		 .src_reg = 6,
		 .off = offsetof(struct __sk_buff, mark)},
		{.code = BPF_STX | BPF_MEM | BPF_H, .dst_reg = 10, .off = -8},
		{.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 12},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 3, .src_reg = 10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 3, .imm = -8},
		{.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 4, .imm = 2},
		{.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 5},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_store_bytes},
		{.code = BPF_JMP | BPF_JNE | BPF_K, .off = 12},
		{.code = BPF_LDX | BPF_MEM | BPF_W,
		 .src_reg = 6,
		 .off = offsetof(struct __sk_buff, priority)},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .off = 5},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 6},
		{.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 2, .imm = ntohs(0x8100)},
		{.code = BPF_ALU | BPF_MOV | BPF_X, .dst_reg = 3, .src_reg = 0},
		{.code = BPF_ALU | BPF_SUB | BPF_K, .dst_reg = 3, .imm = 1},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 6},
		{.code = BPF_LD | BPF_IMM | BPF_DW,
		 .dst_reg = 2,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = array_fd},
		{0},
		{.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 3, .imm = SLOT_EXEMPT},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_tail_call},
		{.code = BPF_ALU | BPF_MOV | BPF_K, .imm = NOT_CALLED},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return load(insns, sizeof(insns) / sizeof(insns[0]));
}

static int set_slot(uint32_t slot, int fd)
{
	return bpf_map_update_elem(array_fd, &slot, &fd, BPF_ANY);
}

/* What becomes of the frame at the member, with the program in SLOT_EXEMPT. tag: TCI + 1. */
static uint32_t run(const struct bytes_of_frame *f, uint32_t tag)
{
	struct __sk_buff ctx = {.priority = tag};
	uint8_t b[FRAME_MAX];
	uint16_t type;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = b, .data_size_in = f->len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);

	memcpy(b, f->data, f->len);
	memcpy(&type, b + 12, sizeof(type));
	ctx.mark = type;
	memset(b + 12, 0, sizeof(type));
	assert_int_equal(bpf_prog_test_run_opts(member_fd, &o), 0);
	return o.retval;
}

static int load_xdp(const struct bpf_insn *insns, size_t n)
{
	LIBBPF_OPTS(bpf_prog_load_opts, o, .prog_flags = BPF_F_XDP_HAS_FRAGS,
		    .expected_attach_type = BPF_XDP);

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "vd_test", "Dual BSD/GPL", insns, n, &o);
}

/* The same for XDP: an array, who takes, and who calls; the frame needs no change. */
static int make_xdp_member(void)
{
	const struct bpf_insn taker[] = {
		{.code = BPF_ALU | BPF_MOV | BPF_K, .imm = TAKEN},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct bpf_insn insns[] = {
		{.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 2, .src_reg = BPF_PSEUDO_MAP_FD},
		{0},
		{.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 3, .imm = SLOT_EXEMPT},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_tail_call},
		{.code = BPF_ALU | BPF_MOV | BPF_K, .imm = NOT_CALLED},
		{.code = BPF_JMP | BPF_EXIT},
	};
	const uint32_t slot = SLOT_TAKE;
	int r;

	xdp_taker_fd = load_xdp(taker, 2);
	xdp_array_fd = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "vd_slots", 4, 4, 4, NULL);
	r = bpf_map_update_elem(xdp_array_fd, &slot, &xdp_taker_fd, BPF_ANY);
	insns[0].imm = xdp_array_fd;
	xdp_member_fd = load_xdp(insns, sizeof(insns) / sizeof(insns[0]));
	return r || xdp_member_fd < 0;
}

static uint32_t run_xdp(const struct bytes_of_frame *f)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = f->data, .data_size_in = f->len, .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(xdp_member_fd, &o), 0);
	return o.retval;
}

static const struct sock_filter *insns_of(const struct bpf_program *p)
{
	return (const struct sock_filter *)p->bf_insns;
}

static int load_for_xdp(const struct bpf_program *p, const char *what)
{
	const struct cbpf_target t = {.map_fd = xdp_array_fd, .index = SLOT_TAKE, .xdp = true};
	const uint32_t slot = SLOT_EXEMPT;
	const char *why = "nothing said";
	int fd = cbpf_load(insns_of(p), p->bf_len, &t, &why);

	if (fd < 0)
		fail_msg("%s: for XDP: %s (%d)", what, why, fd);
	assert_int_equal(bpf_map_update_elem(xdp_array_fd, &slot, &fd, BPF_ANY), 0);
	return fd;
}

/* Runs it on each step-th frame, both kinds. How many are exempt. */
static uint32_t compare(const struct bpf_program *p, const char *what, uint32_t step)
{
	const char *why = "nothing said";
	uint32_t n_exempt = 0;
	int fd = cbpf_load(insns_of(p), p->bf_len, target(), &why), xdp_fd;

	if (fd < 0)
		fail_msg("%s: %s (%d)", what, why, fd);
	assert_int_equal(set_slot(SLOT_EXEMPT, fd), 0);
	xdp_fd = load_for_xdp(p, what);
	for (uint32_t i = (uint32_t)rnd() % step; i < n_frames; i += step) {
		const struct bytes_of_frame *f = &frames[i];
		bool match = bpf_filter(p->bf_insns, f->data, f->len, f->len) != 0;
		uint32_t r = run(f, 0);

		if (r != (match ? EXEMPT : TAKEN))
			fail_msg("%s: frame %u of %u bytes: %u, libpcap says %d", what, i, f->len,
				 r, match);
		r = run_xdp(f);
		if (r != (match ? XDP_PASS : TAKEN))
			fail_msg("%s: XDP, frame %u of %u bytes: %u, libpcap says %d", what, i,
				 f->len, r, match);
		n_exempt += match;
	}
	close(fd);
	close(xdp_fd);
	return n_exempt;
}

static void compile(const char *text, int optimize, struct bpf_program *ret_p)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);

	assert_non_null(p);
	if (pcap_compile(p, ret_p, text, optimize, PCAP_NETMASK_UNKNOWN))
		fail_msg("%s: %s", text, pcap_geterr(p));
	pcap_close(p);
}

static bool goes_back(const struct bpf_program *p)
{
	for (uint32_t i = 0; i < p->bf_len; i++)
		if (insns_of(p)[i].code == (BPF_JMP | BPF_JA) && insns_of(p)[i].k > INT32_MAX)
			return true;
	return false;
}

static void as_libpcap_says(void **state)
{
	uint32_t n_both = 0;

	for (size_t i = 0; i < sizeof(expressions) / sizeof(expressions[0]); i++) {
		for (int optimize = 0; optimize < 2; optimize++) {
			struct bpf_program p;
			uint32_t n;

			compile(expressions[i], optimize, &p);
			if (goes_back(&p)) {
				const char *why;

				assert_int_equal(cbpf_load(insns_of(&p), p.bf_len, target(), &why),
						 -EOPNOTSUPP);
				assert_non_null(strstr(why, "protochain"));
			} else {
				n = compare(&p, expressions[i], 1);
				n_both += n > 0 && n < n_frames;
				if (n == 0)
					print_message("%s: matches no frame\n", expressions[i]);
			}
			pcap_freecode(&p);
		}
	}
	print_message("%u programs on %u frames saw both ends\n", n_both, n_frames);
	assert_true(n_both >= 90);
}

/* All instructions; those that read have small offsets, mostly. */
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
		BPF_LD | BPF_LEN,
		BPF_LD | BPF_MEM,
		BPF_LDX | BPF_IMM,
		BPF_LDX | BPF_LEN,
		BPF_LDX | BPF_MEM,
		BPF_LDX | BPF_MSH | BPF_B,
		BPF_ST,
		BPF_STX,
		BPF_MISC | BPF_TAX,
		BPF_MISC | BPF_TXA,
		BPF_ALU | BPF_NEG,
		BPF_ALU | BPF_ADD,
		BPF_ALU | BPF_SUB,
		BPF_ALU | BPF_MUL,
		BPF_ALU | BPF_DIV,
		BPF_ALU | BPF_MOD,
		BPF_ALU | BPF_AND,
		BPF_ALU | BPF_OR,
		BPF_ALU | BPF_XOR,
		BPF_ALU | BPF_LSH,
		BPF_ALU | BPF_RSH,
		BPF_ALU | BPF_ADD | BPF_X,
		BPF_ALU | BPF_SUB | BPF_X,
		BPF_ALU | BPF_MUL | BPF_X,
		BPF_ALU | BPF_DIV | BPF_X,
		BPF_ALU | BPF_MOD | BPF_X,
		BPF_ALU | BPF_AND | BPF_X,
		BPF_ALU | BPF_OR | BPF_X,
		BPF_ALU | BPF_XOR | BPF_X,
		BPF_ALU | BPF_LSH | BPF_X,
		BPF_ALU | BPF_RSH | BPF_X,
		BPF_JMP | BPF_JA,
		BPF_JMP | BPF_JEQ,
		BPF_JMP | BPF_JGT,
		BPF_JMP | BPF_JGE,
		BPF_JMP | BPF_JSET,
		BPF_JMP | BPF_JEQ | BPF_X,
		BPF_JMP | BPF_JGT | BPF_X,
		BPF_JMP | BPF_JGE | BPF_X,
		BPF_JMP | BPF_JSET | BPF_X,
	};
	struct sock_filter f = {.code = codes[rnd() % (sizeof(codes) / sizeof(codes[0]))]};

	f.k = rnd() % 4 ? (uint32_t)rnd() % 64 : (uint32_t)(rnd() >> rnd() % 32);
	if (BPF_CLASS(f.code) == BPF_JMP) {
		f.jt = (uint8_t)(rnd() % (left < 4 ? left : 4));
		f.jf = (uint8_t)(rnd() % (left < 4 ? left : 4));
	}
	if (f.code == (BPF_JMP | BPF_JA))
		f.k = f.jt;
	else if (BPF_CLASS(f.code) == BPF_ST || BPF_CLASS(f.code) == BPF_STX ||
		 (BPF_CLASS(f.code) < BPF_ST && BPF_MODE(f.code) == BPF_MEM))
		f.k %= BPF_MEMWORDS;
	else if (BPF_CLASS(f.code) < BPF_ST && BPF_MODE(f.code) != BPF_IMM)
		f.k = rnd() % 16 ? f.k % 14 : f.k & INT32_MAX;
	else if (f.code == (BPF_ALU | BPF_DIV) || f.code == (BPF_ALU | BPF_MOD))
		f.k |= 1;
	else if (f.code == (BPF_ALU | BPF_LSH) || f.code == (BPF_ALU | BPF_RSH))
		f.k &= 31;
	return f;
}

/* libpcap does not clear M[]: each word is stored first. In the end one bit of A decides. */
static uint32_t random_program(struct sock_filter *p, uint32_t n_random)
{
	uint32_t n = 0;

	p[n++] = (struct sock_filter){.code = BPF_LD | BPF_W | BPF_ABS, .k = 10};
	for (uint32_t k = 0; k < BPF_MEMWORDS; k++)
		p[n++] = (struct sock_filter){.code = BPF_ST, .k = k};
	for (; n_random; n_random--)
		p[n++] = random_insn(n_random);
	p[n++] = (struct sock_filter){.code = BPF_JMP | BPF_JSET, .jf = 1, .k = 1u << rnd() % 32};
	if (rnd() & 1)
		p[n++] = (struct sock_filter){.code = BPF_RET | BPF_A};
	else
		p[n++] = (struct sock_filter){.code = BPF_RET | BPF_K, .k = (uint32_t)rnd() | 1};
	p[n++] = (struct sock_filter){.code = BPF_RET | BPF_K, .k = 0};
	return n;
}

static void random_programs(void **state)
{
	struct sock_filter p[64];
	uint32_t n_exempt = 0;

	for (uint32_t i = 0; i < 250; i++) {
		struct bpf_program prog = {.bf_insns = (struct pcap_insn *)p};
		char what[32];

		prog.bf_len = random_program(p, 1 + (uint32_t)rnd() % 12);
		assert_true(bpf_validate(prog.bf_insns, (int)prog.bf_len));
		snprintf(what, sizeof(what), "random program %u", i);
		n_exempt += compare(&prog, what, 10);
	}
	print_message("%u runs of random programs matched\n", n_exempt);
	assert_in_range(n_exempt, n_frames, 20 * n_frames); /* of 25 times as many */
}

/* An expression with n terms. */
static char *or_list(const char *fmt, uint32_t n)
{
	char *text = test_malloc(n * 48), *p = text;

	for (uint32_t i = 0; i < n; i++) {
		p += sprintf(p, "%s", i ? " or " : "");
		p += sprintf(p, fmt, i / 250 + 1, i % 250 + 1);
	}
	return text;
}

static void long_lists(void **state)
{
	static const char *const terms[] = {"host 10.1.%u.%u", "ip proto 17 and port 1%u%03u",
					    "ether host 02:00:00:00:%02u:%02x"};
	struct bpf_program p;
	const char *why;
	char *text;

	for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]); i++) {
		text = or_list(terms[i], 300);
		compile(text, 1, &p);
		print_message("300 of %s: %u instructions\n", terms[i], p.bf_len);
		compare(&p, terms[i], 4);
		pcap_freecode(&p);
		test_free(text);
	}
	text = or_list(terms[0], 200);
	compile(text, 0, &p);
	assert_true(p.bf_len > CBPF_IN_MAX);
	assert_int_equal(cbpf_load(insns_of(&p), p.bf_len, target(), &why), -E2BIG);
	assert_non_null(strstr(why, "too long"));
	pcap_freecode(&p);
	test_free(text);
}

static int load_text(const char *text)
{
	struct bpf_program p;
	const char *why;
	int fd;

	compile(text, 1, &p);
	fd = cbpf_load(insns_of(&p), p.bf_len, target(), &why);
	assert_true(fd >= 0);
	pcap_freecode(&p);
	return fd;
}

static void tag_beside_the_frame(void **state)
{
	static const char *const texts[] = {"ip", "vlan", "not vlan", ""};
	const uint32_t slot = SLOT_EXEMPT;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int fd = load_text(texts[i]);

		assert_int_equal(set_slot(SLOT_EXEMPT, fd), 0);
		assert_int_equal(run(&frames[40], 0), i == 1 ? TAKEN : EXEMPT);
		assert_int_equal(run(&frames[40], 101), TAKEN);
		assert_int_equal(run(&frames[40], 1), TAKEN);
		assert_int_equal(bpf_map_delete_elem(array_fd, &slot), 0);
		assert_int_equal(run(&frames[40], 101), NOT_CALLED);
		close(fd);
	}
}

static void empty_slot_drops(void **state)
{
	const uint32_t slot = SLOT_TAKE;
	int fd = load_text("arp");

	assert_int_equal(set_slot(SLOT_EXEMPT, fd), 0);
	assert_int_equal(run(&frames[0], 0), TAKEN);
	assert_int_equal(bpf_map_delete_elem(array_fd, &slot), 0);
	assert_int_equal(run(&frames[0], 0), TC_ACT_SHOT);
	assert_int_equal(set_slot(SLOT_TAKE, taker_fd), 0);
	assert_int_equal(run(&frames[0], 0), TAKEN);
	close(fd);
}

/* Then the tc program behind it decides. */
static void empty_slot_passes_xdp(void **state)
{
	const uint32_t slot = SLOT_TAKE;
	struct bpf_program p;
	int fd;

	compile("arp", 1, &p);
	fd = load_for_xdp(&p, "arp");
	pcap_freecode(&p);
	assert_int_equal(run_xdp(&frames[0]), TAKEN);
	assert_int_equal(bpf_map_delete_elem(xdp_array_fd, &slot), 0);
	assert_int_equal(run_xdp(&frames[0]), XDP_PASS);
	close(fd);
	assert_int_equal(bpf_map_update_elem(xdp_array_fd, &slot, &xdp_taker_fd, BPF_ANY), 0);
}

static void no_array(void **state)
{
	const struct sock_filter all[] = {{.code = BPF_RET | BPF_K, .k = 1}};
	const struct cbpf_target t = {.map_fd = -1};
	const char *why = NULL;

	assert_int_equal(cbpf_load(all, 1, &t, &why), -EBADF);
	assert_non_null(why);
}

/* One instruction, then RET: what cbpf_translate() says. */
static int say(uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	const struct sock_filter p[] = {{.code = code, .jt = jt, .jf = jf, .k = k},
					{.code = BPF_RET | BPF_K, .k = 1}};
	const struct cbpf_target t = {0};
	struct bpf_insn out[64];
	uint32_t n;

	return cbpf_translate(p, 2, &t, out, 64, &n);
}

static void refused(void **state)
{
	const uint32_t ad = (uint32_t)SKF_AD_OFF;

	assert_int_equal(say(BPF_LD | BPF_W | BPF_ABS, 0, 0, INT32_MAX), 0);
	assert_int_equal(say(BPF_LD | BPF_W | BPF_ABS, 0, 0, ad + SKF_AD_MARK), CBPF_E_OPERAND);
	assert_int_equal(say(BPF_LD | BPF_B | BPF_IND, 0, 0, ad), CBPF_E_OPERAND);
	assert_int_equal(say(BPF_LDX | BPF_B | BPF_MSH, 0, 0, ad), CBPF_E_OPERAND);
	assert_int_equal(say(BPF_LD | BPF_MEM, 0, 0, 15), 0);
	assert_int_equal(say(BPF_LD | BPF_MEM, 0, 0, 16), CBPF_E_OPERAND);
	assert_int_equal(say(BPF_LDX | BPF_MEM, 0, 0, 16), CBPF_E_OPERAND);
	assert_int_equal(say(BPF_ST, 0, 0, UINT32_MAX), CBPF_E_OPERAND);
	assert_int_equal(say(BPF_STX, 0, 0, 16), CBPF_E_OPERAND);
	assert_int_equal(say(BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0), CBPF_E_OPERAND);
	assert_int_equal(say(BPF_ALU | BPF_MOD | BPF_K, 0, 0, 0), CBPF_E_OPERAND);
	assert_int_equal(say(BPF_ALU | BPF_LSH | BPF_K, 0, 0, 32), CBPF_E_OPERAND);
	assert_int_equal(say(BPF_ALU | BPF_RSH | BPF_K, 0, 0, 31), 0);
	assert_int_equal(say(BPF_JMP | BPF_JA, 0, 0, 0), 0);
	assert_int_equal(say(BPF_JMP | BPF_JA, 0, 0, 1), CBPF_E_JUMP);
	assert_int_equal(say(BPF_JMP | BPF_JA, 0, 0, (uint32_t)-2), CBPF_E_JUMP);
	assert_int_equal(say(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0), CBPF_E_JUMP);
	assert_int_equal(say(BPF_JMP | BPF_JSET | BPF_X, 0, 255, 0), CBPF_E_JUMP);
	assert_int_equal(say(BPF_LD | BPF_W | BPF_MSH, 0, 0, 0), CBPF_E_OPCODE);
	assert_int_equal(say(BPF_RET | BPF_X, 0, 0, 0), CBPF_E_OPCODE);
	assert_int_equal(say(0x100 | BPF_RET, 0, 0, 0), CBPF_E_OPCODE);
	assert_int_equal(say(BPF_JMP | BPF_JNE, 0, 0, 0), CBPF_E_OPCODE);
	assert_int_equal(say(BPF_ALU | BPF_ARSH, 0, 0, 1), CBPF_E_OPCODE);
	for (int e = CBPF_E_END; e <= CBPF_E_JUMP; e++)
		assert_string_not_equal(cbpf_text(e), cbpf_text(0));
	assert_string_equal(cbpf_text(CBPF_E_JUMP + 1), cbpf_text(0));
}

/* Nothing is written when it does not fit, and nothing beyond what is said. */
static void sizes(void **state)
{
	static struct sock_filter p[CBPF_IN_MAX + 1];
	static struct bpf_insn out[CBPF_ROOM_MAX + 1], clean;
	const struct cbpf_target t = {.map_fd = 5, .index = 6};
	uint32_t n = 0, again;

	assert_int_equal(cbpf_translate(p, 0, &t, out, CBPF_ROOM_MAX, &n), CBPF_E_END);
	for (uint32_t i = 0; i < CBPF_IN_MAX + 1; i++)
		p[i] = (struct sock_filter){.code = BPF_ALU | BPF_ADD | BPF_K, .k = 1};
	assert_int_equal(cbpf_translate(p, CBPF_IN_MAX, &t, out, CBPF_ROOM_MAX, &n), CBPF_E_END);
	p[CBPF_IN_MAX - 1] = p[CBPF_IN_MAX] = (struct sock_filter){.code = BPF_RET | BPF_A};
	assert_int_equal(cbpf_translate(p, CBPF_IN_MAX + 1, &t, out, CBPF_ROOM_MAX, &n),
			 CBPF_E_LONG);
	assert_int_equal(n, 0);
	assert_memory_equal(&out[0], &clean, sizeof(clean));
	assert_int_equal(cbpf_translate(p, CBPF_IN_MAX, &t, out, CBPF_ROOM_MAX, &n), 0);
	assert_in_range(n, CBPF_IN_MAX, CBPF_IN_MAX + 20);
	assert_memory_equal(&out[n], &clean, sizeof(clean));
	memset(out, 0, sizeof(out));
	assert_int_equal(cbpf_translate(p, CBPF_IN_MAX, &t, out, n - 1, &again), CBPF_E_LONG);
	assert_memory_equal(&out[0], &clean, sizeof(clean));
	assert_int_equal(cbpf_translate(p, CBPF_IN_MAX, &t, out, n, &again), 0);
	assert_int_equal(again, n);
	for (uint32_t i = 0; i < CBPF_IN_MAX - 1; i++)
		p[i] = (struct sock_filter){.code = BPF_LD | BPF_IND | BPF_W, .k = 1};
	assert_int_equal(cbpf_translate(p, CBPF_IN_MAX, &t, out, CBPF_ROOM_MAX + 1, &n),
			 CBPF_E_LONG);
}

/* The verifier refuses code that is never reached; so it is not there. */
static void unreachable_left_out(void **state)
{
	const struct sock_filter p[] = {
		{.code = BPF_JMP | BPF_JA, .k = 2},
		{.code = BPF_LD | BPF_W | BPF_ABS, .k = 30},
		{.code = BPF_RET | BPF_K, .k = 1},
		{.code = BPF_RET | BPF_K, .k = 0},
	};
	const struct cbpf_target t = {0};
	struct bpf_insn out[64];
	uint32_t n, short_n;

	assert_int_equal(cbpf_translate(p, 4, &t, out, 64, &n), 0);
	assert_int_equal(cbpf_translate(p + 3, 1, &t, out, 64, &short_n), 0);
	assert_int_equal(n, short_n + 1); /* the jump */
}

static void unreachable_loads(void **state)
{
	struct sock_filter p[] = {
		{.code = BPF_JMP | BPF_JA, .k = 2},
		{.code = BPF_LD | BPF_MEM, .k = 3},
		{.code = BPF_RET | BPF_A},
		{.code = BPF_RET | BPF_K, .k = 0},
	};
	const struct bpf_program prog = {.bf_insns = (struct pcap_insn *)p, .bf_len = 4};

	assert_int_equal(compare(&prog, "unreachable", 1), 0);
	p[3].k = 1;
	assert_int_equal(compare(&prog, "unreachable", 1), n_frames);
}

/* The sum of X and k is no 32-bit one: such offsets do not come round to the frame. */
static void offsets_do_not_wrap(void **state)
{
	static const uint32_t x_k[][2] = {
		{0xfffffff8, 8}, {0xfffffff8, 20}, {0x80000000, INT32_MAX}, {INT32_MAX, INT32_MAX}};
	struct sock_filter p[] = {
		{.code = BPF_LDX | BPF_IMM},
		{.code = BPF_LD | BPF_IND | BPF_B},
		{.code = BPF_RET | BPF_K, .k = 1},
	};
	const struct bpf_program prog = {.bf_insns = (struct pcap_insn *)p, .bf_len = 3};

	for (size_t i = 0; i < sizeof(x_k) / sizeof(x_k[0]); i++) {
		p[0].k = x_k[i][0];
		p[1].k = x_k[i][1];
		assert_int_equal(compare(&prog, "far offset", 9), 0);
	}
	p[0].k = p[1].k = 6;
	assert_int_equal(compare(&prog, "near offset", 1), n_frames);
}

static int setup(void **state)
{
	const struct bpf_insn taker[] = {
		{.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 0, .imm = TAKEN},
		{.code = BPF_JMP | BPF_EXIT},
	};

	taker_fd = load(taker, 2);
	array_fd = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "vd_slots", 4, 4, 4, NULL);
	if (taker_fd < 0 || array_fd < 0 || set_slot(SLOT_TAKE, taker_fd))
		return -1;
	member_fd = load_member();
	make_frames();
	return member_fd < 0 || make_xdp_member();
}

static int teardown(void **state)
{
	while (n_frames)
		test_free((void *)frames[--n_frames].data);
	close(member_fd);
	close(taker_fd);
	close(array_fd);
	close(xdp_member_fd);
	close(xdp_taker_fd);
	close(xdp_array_fd);
	return 0;
}

static bool may_load(void)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = load(pass, 2);

	if (fd >= 0)
		close(fd);
	return fd != -EPERM && fd != -ENOSYS;
}

int main(void)
{
	const struct CMUnitTest pure[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(sizes),
		cmocka_unit_test(unreachable_left_out),
	};
	const struct CMUnitTest kernel[] = {
		cmocka_unit_test(no_array),
		cmocka_unit_test(as_libpcap_says),
		cmocka_unit_test(random_programs),
		cmocka_unit_test(offsets_do_not_wrap),
		cmocka_unit_test(long_lists),
		cmocka_unit_test(tag_beside_the_frame),
		cmocka_unit_test(empty_slot_drops),
		cmocka_unit_test(unreachable_loads),
		cmocka_unit_test(empty_slot_passes_xdp),
	};
	int failed = cmocka_run_group_tests(pure, NULL, NULL);

	if (failed)
		return failed;
	if (!may_load()) {
		fprintf(stderr, "cbpf: the kernel lets us load no BPF program: skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(kernel, setup, teardown);
}
