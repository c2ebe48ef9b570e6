/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/ktrace_cause.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/fmt.h"
#include "cli/netfilter.h"

static struct netfilter_drop policy(enum netfilter_family family, const char *command)
{
	struct netfilter_drop d = {
		.family = family, .how = RULESET_DROPS_REST, .hook = RULESET_FORWARD};

	strcpy(d.command, command);
	strcpy(d.table, "filter");
	strcpy(d.chain, "FORWARD");
	strcpy(d.base, "FORWARD");
	return d;
}

static json_t *journey(const char *ethertype, bool tagged)
{
	json_t *j = json_pack("{s:s, s:{s:s}, s:[{s:s}, {s:s, s:s, s:s, s:s}], s:{s:s, s:s, s:s}}",
			      "ifname", "p1", "frame", "ethertype", ethertype, "steps", "step",
			      "receive", "step", "drop", "reason", "NETFILTER_DROP", "ifname", "p2",
			      "text", "?", "end", "what", "dropped", "reason", "NETFILTER_DROP",
			      "text", "?");

	assert_non_null(j);
	if (tagged)
		json_object_set_new(json_object_get(j, "frame"), "vlan", json_integer(7));
	return j;
}

static void expect(const struct netfilter *nf, json_t *j, const char *text, size_t n_cures)
{
	json_t *end = json_object_get(j, "end");

	ktrace_cause_name(nf, "lan0", j);
	assert_string_equal(row_text(end, "text"), text);
	assert_int_equal(json_array_size(json_object_get(end, "cures")), n_cures);
	json_decref(j);
}

static void test_policy(void **state)
{
	struct netfilter_drop d = policy(NETFILTER_IPV4, "iptables");
	struct netfilter nf = {.loaded = true, .drops = &d, .n_drops = 1};

	nf.handed[NETFILTER_IPV4].by_sysctl = true;
	expect(&nf, journey("0x0800", false),
	       "dropped by netfilter: br_netfilter hands bridged IPv4 frames to iptables "
	       "(net.bridge.bridge-nf-call-iptables = 1), "
	       "chain FORWARD of table filter (iptables): policy DROP",
	       2);
	/* Other protocols are not shown to it, nor are tagged frames. */
	expect(&nf, journey("0x86dd", false),
	       "dropped by netfilter: which rule did it cannot be told", 0);
	expect(&nf, journey("0x0800", true),
	       "dropped by netfilter: which rule did it cannot be told", 0);
	nf.tagged = true;
	nf.handed[NETFILTER_IPV4].by_sysctl = false;
	nf.handed[NETFILTER_IPV4].by_bridge = true;
	expect(&nf, journey("0x0800", true),
	       "dropped by netfilter: br_netfilter hands bridged IPv4 frames to iptables "
	       "(a setting of bridge lan0), "
	       "chain FORWARD of table filter (iptables): policy DROP",
	       2);
}

/* Rules of nft for bridges need no br_netfilter; the surer place is named first. */
static void test_several(void **state)
{
	struct netfilter_drop d[3] = {policy(NETFILTER_BRIDGE, "nft"),
				      policy(NETFILTER_DEVICE, "nft"),
				      policy(NETFILTER_DEVICE, "nft")};
	struct netfilter nf = {.drops = d, .n_drops = 3};

	strcpy(d[0].rule, "ip protocol icmp drop");
	strcpy(d[0].chain, "one");
	d[0].how = RULESET_DROPS_SOME;
	strcpy(d[1].devices, "p2,p3");
	strcpy(d[1].chain, "two");
	d[1].how = RULESET_DROPS_ALL;
	strcpy(d[2].devices, "p4");
	expect(&nf, journey("0x0800", false),
	       "dropped by netfilter: where one of these drops it: "
	       "chain two of table filter (nft): policy DROP; "
	       "chain one of table filter (nft): rule ip protocol icmp drop",
	       2);
}

static void test_unread(void **state)
{
	struct netfilter nf = {.unread = "nft is not installed"};

	expect(&nf, journey("0x0800", false),
	       "dropped by netfilter: which rule did it cannot be told: nft is not installed", 0);
}

/* What netfilter did not drop stays as it is, and nothing is asked. */
static void test_others(void **state)
{
	struct ktrace_cause *kc = ktrace_cause_new("lan0");
	json_t *j = journey("0x0800", false), *end = json_object_get(j, "end");

	json_object_set_new(end, "reason", json_string("NO_TX_TARGET"));
	ktrace_cause_explain(kc, j);
	assert_string_equal(row_text(end, "text"), "?");
	ktrace_cause_free(kc);
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_unread),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
