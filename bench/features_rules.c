/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/features_rules.h"

#include <stdio.h>
#include <stdlib.h>

#include <pcap/pcap.h>

#include "base/compiler.h"
#include "core/bridge.h"
#include "core/program.h"

/* What people write: hosts, nets, services. None is about the frames of the bench. */
static const char *const expressions[] = {
	"tcp port 23",
	"udp port 53",
	"udp dst port 67 or udp dst port 68",
	"host 192.0.2.1",
	"src net 198.51.100.0/24",
	"tcp dst portrange 6000-6063",
	"icmp",
	"arp",
	"ip6 and udp port 546",
	"udp port 161",
	"net 203.0.113.0/24 and tcp port 80",
	"ether src 00:00:5e:00:53:01",
	"udp port 1900 and dst host 239.255.255.250",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) = (tcp-syn|tcp-fin)",
	"vlan 99",
	"udp port 5353",
};
#define N_RULES array_size(expressions)

static void fail(const char *what)
{
	fprintf(stderr, "bench_features: %s\n", what);
	exit(2);
}

static struct program *compile(const char *text)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
	struct bpf_program prog;
	struct program *r = NULL;

	if (!p || pcap_compile(p, &prog, text, 1, PCAP_NETMASK_UNKNOWN))
		fail(text);
	/* The same structure under another name. */
	if (program_new((const struct sock_filter *)prog.bf_insns, prog.bf_len, &r))
		fail(text);
	pcap_freecode(&prog);
	pcap_close(p);
	return r;
}

static void set(struct bridge *br, enum hook h, uint32_t n, enum rules_row row)
{
	struct hook_set *s = hook_set_new(n);

	if (!s)
		fail("no memory");
	for (uint32_t i = 0; i < n; i++) {
		struct hook_rule *r = &s->rules[i];

		r->verdict = i + 1 < n || row == RULES_NONE ? HOOK_DROP : HOOK_ACCEPT;
		r->filter = compile(i + 1 == n && row <= RULES_LAST ? "udp port 12288"
								    : expressions[i]);
		if (row == RULES_PORTS)
			snprintf(r->in_name, sizeof(r->in_name), "c%u", i);
	}
	hook_set_finish(s);
	hook_set_free(bridge_set_hook(br, h, s));
}

void rules_set_up(struct bridge *br, enum rules_row row)
{
	if (row != RULES_ALL_HOOKS) {
		set(br, HOOK_FORWARD, row == RULES_FIRST ? 1 : N_RULES, row);
		return;
	}
	for (enum hook h = 0; h < HOOK_N; h++)
		set(br, h, 4, row);
}

void rules_mirror(struct bridge *br)
{
	struct mirror *m = mirror_new("m", "nobody", 1);

	if (!m)
		fail("no memory");
	snprintf(m->sources[0].port, sizeof(m->sources[0].port), "c");
	m->sources[0].dirs = MIRROR_BOTH;
	if (bridge_mirror_add(br, m))
		fail("no mirror");
}
