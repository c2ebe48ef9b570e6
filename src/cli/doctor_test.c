/* SPDX-License-Identifier: BSD-2-Clause */
/* Pictures of bridges, and what the checks find in them. */
#include "cli/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/fmt.h"
#include "cli/netfilter.h"

static struct doctor doc;
static json_t *picture;

/* Examines a bridge; single quotes stand for double ones. */
static void look(const char *text, const struct netfilter *nf)
{
	char *copy = strdup(text);
	json_error_t err;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	json_decref(picture);
	json_decref(doc.findings);
	picture = json_loads(copy, 0, &err);
	if (!picture)
		fail_msg("%s at %d: %s", err.text, err.position, copy + err.position);
	free(copy);
	doc = (struct doctor){.picture = picture,
			      .bridge = row_text(picture, "bridge"),
			      .nf = nf,
			      .findings = json_array(),
			      .viaduct = "viaduct"};
	doctor_examine(&doc);
}

/* The findings, a line each: "warning mtu p1: ... [hint] [hint]". */
static const char *findings(void)
{
	static char buf[8192];
	size_t i, j, n = 0;
	json_t *f, *h;

	buf[0] = '\0';
	json_array_foreach(doc.findings, i, f)
	{
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s %s %s", row_text(f, "severity"),
				      row_text(f, "check"), row_text(f, "text"));
		json_array_foreach(json_object_get(f, "hints"), j, h) n +=
			(size_t)snprintf(buf + n, sizeof(buf) - n, " [%s]", json_string_value(h));
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "\n");
		assert_true(n < sizeof(buf));
	}
	return buf;
}

/* One finding, of that severity and check, in which the words occur. */
static void expect_one(const char *begin, const char *words)
{
	if (json_array_size(doc.findings) != 1 || strncmp(findings(), begin, strlen(begin)) ||
	    !strstr(findings(), words))
		fail_msg("not one \"%s … %s\":\n%s", begin, words, findings());
}

static void expect_none(void)
{
	assert_string_equal(findings(), "");
}

#define LINK        "'up':true,'carrier':true,'kind':'veth','mtu':1500"
#define KERNEL_PORT "'link':{" LINK ",'port':{'state':3}}"
#define KERNEL(bridge, ports)                                                                      \
	"{'bridge':'br0','kind':'kernel','link':{" LINK ",'bridge':{" bridge "}},'ports':[" ports  \
	"]}"
#define OWN_PORT(data)                                                                             \
	"'link':{" LINK "},'row':{'linkinfo':{'info_slave_data':{'state':'forwarding'" data "}}}"
#define OWN(info, ports, more)                                                                     \
	"{'bridge':'br0','kind':'own','link':{" LINK "},'row':{'mtu':1500,'linkinfo':{'info_data'" \
	":{" info "}}},'ports':[" ports "]" more "}"

static void severity_to_exit(void **state)
{
	json_t *f = json_array();

	assert_int_equal(doctor_worst(f), DOCTOR_OK);
	json_array_append_new(f, json_pack("{s:s}", "severity", "ok"));
	assert_int_equal(doctor_exit(doctor_worst(f)), 0);
	json_array_append_new(f, json_pack("{s:s}", "severity", "unknown"));
	assert_int_equal(doctor_exit(doctor_worst(f)), 3);
	json_array_append_new(f, json_pack("{s:s}", "severity", "warning"));
	assert_int_equal(doctor_exit(doctor_worst(f)), 1);
	json_array_append_new(f, json_pack("{s:s}", "severity", "problem"));
	json_array_append_new(f, json_pack("{s:s}", "severity", "ok"));
	assert_int_equal(doctor_exit(doctor_worst(f)), 2);
	json_decref(f);
}

static void healthy_bridges(void **state)
{
	look(KERNEL("'stp_state':0", "{'ifname':'p1'," KERNEL_PORT "}"), NULL);
	expect_none();
	look(KERNEL("'stp_state':1,'vlan_filtering':1",
		    "{'ifname':'p1','vlans':{'vlans':1,'pvid':1}," KERNEL_PORT "}"),
	     NULL);
	expect_none();
	look(OWN("'fdb_size':100,'fdb_n_learned':3", "{'ifname':'p1'," OWN_PORT("") "}", ""), NULL);
	expect_none();
	/* A bridge without ports has no carrier; that is no surprise. */
	look("{'bridge':'docker0','kind':'kernel','link':{'up':true,'carrier':false},'ports':[]}",
	     NULL);
	expect_none();
	/* An empty picture is strange, but no reason to fall over. */
	look("{}", NULL);
	assert_int_equal(doctor_worst(doc.findings), DOCTOR_PROBLEM);
}

static void links(void **state)
{
	look("{'bridge':'br0','kind':'kernel','link':{'up':false},'ports':[]}", NULL);
	expect_one("warning up br0: is down", "[ip link set br0 up]");
	look("{'bridge':'br0','kind':'kernel','link':{'up':false},'ports':[{'ifname':'p1'}]}",
	     NULL);
	expect_one("problem up br0: is down", "[ip link set br0 up]");
	look(KERNEL("", "{'ifname':'p1','link':{'up':false,'mtu':1500}}"), NULL);
	expect_one("warning up p1: this port of br0 is down", "[ip link set p1 up]");
	look(KERNEL("",
		    "{'ifname':'p1','link':{'up':true,'carrier':false,'kind':'tun','mtu':1500}}"),
	     NULL);
	expect_one("warning carrier p1: ", "no program has the TAP open");
	look(KERNEL("", "{'ifname':'p1','link':{'up':true,'carrier':false,'kind':'','mtu':1500}}"),
	     NULL);
	expect_one("warning carrier p1: ", "no cable is plugged in");
	look(OWN("", "{'ifname':'p1','row':{'operstate':'NOTPRESENT'},'elsewhere':['h1','h2']}",
		 ",'pid':77"),
	     NULL);
	expect_one("problem namespace p1: ", "[ip -n h1 link set p1 netns 77]");
}

static void sizes(void **state)
{
	look(KERNEL("", "{'ifname':'p1'," KERNEL_PORT "},{'ifname':'p2','link':{'up':true,"
			"'carrier':true,'mtu':9000}}"),
	     NULL);
	expect_one("warning mtu p1: its MTU is 1500, but br0 has others of 9000",
		   "[ip link set p1 mtu 9000]");
	look("{'bridge':'br0','kind':'kernel','link':{'up':true,'mtu':1400},'ports':["
	     "{'ifname':'p1'," KERNEL_PORT "}]}",
	     NULL);
	expect_one("warning mtu br0: its own MTU is 1400", "[ip link set br0 mtu 1500]");
}

static void offloads_and_programs(void **state)
{
	look(KERNEL("", "{'ifname':'p1','features':['rx-gro','rx-lro']," KERNEL_PORT "}"), NULL);
	expect_one("problem offloads p1: LRO is on", "[ethtool -K p1 lro off]");
	look(KERNEL("", "{'ifname':'p1','features':['rx-fcs']," KERNEL_PORT "}"), NULL);
	expect_one("warning offloads p1: rx-fcs is on", "[ethtool -K p1 rx-fcs off]");
	look(KERNEL("", "{'ifname':'p1','tc':[{'where':'ingress','how':'tcx','id':7,'name':"
			"'vd_take'}]," KERNEL_PORT "}"),
	     NULL);
	expect_none();
	look(KERNEL("", "{'ifname':'p1','tc':[{'where':'egress','how':'tcx','id':7,'name':"
			"'cil_to_host'}]," KERNEL_PORT "}"),
	     NULL);
	expect_one("warning programs p1: a tc program of others (tcx, cil_to_host, id 7)",
		   "[bpftool prog show id 7 tells");
	/* Without a name it may be ours where we have a hand in it. */
	look(OWN("",
		 "{'ifname':'p1','tc':[{'where':'ingress','how':'tcx','id':7,'name':''}]," OWN_PORT(
			 "") "}",
		 ""),
	     NULL);
	expect_none();
	look(KERNEL("", "{'ifname':'p1','program':'vd_xsk','link':{" LINK ",'xdp':{'id':4}}}"),
	     NULL);
	expect_none();
	look(KERNEL("", "{'ifname':'p1','program':'x','link':{" LINK ",'xdp':{'id':4}}}"), NULL);
	expect_one("warning programs p1: an XDP program of others (x, id 4)", "xdp off]");
}

static void spanning_tree(void **state)
{
	static const struct {
		const char *port, *begin, *words;
	} cases[] = {
		{"'link':{" LINK ",'port':{'state':2}}",
		 "warning stp p1: ", "learning: it forwards"},
		{"'link':{" LINK ",'port':{'state':4}}", "ok stp p1: ", "another way to the root"},
		{"'link':{" LINK ",'port':{'state':0}}", "warning stp p1: ", "has shut this port"},
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		char text[512];

		snprintf(text, sizeof(text),
			 "{'bridge':'br0','kind':'kernel','link':{" LINK
			 ",'bridge':{'stp_state':1}},'ports':[{'ifname':'p1',%s}]}",
			 cases[i].port);
		look(text, NULL);
		expect_one(cases[i].begin, cases[i].words);
	}
	look(KERNEL("'stp_state':0", "{'ifname':'p1','link':{" LINK ",'port':{'state':4}}}"), NULL);
	expect_one("warning stp p1: this port of br0 is blocking, though no", "state 3]");
	look(OWN("'stp_state':1", "{'ifname':'p1'," OWN_PORT(",'guarded':true") "}", ""), NULL);
	expect_one("problem stp p1: BPDU guard has shut", "viaduct link set p1 guard on]");
	look(OWN("'stp_state':1", "{'ifname':'p1'," OWN_PORT(",'root_blocked':true") "}", ""),
	     NULL);
	expect_one("warning stp p1: root guard blocks", "setbridgeprio br0");
	/* A mirror's destination is shut on purpose. */
	look(OWN("'stp_state':1",
		 "{'ifname':'p1','link':{" LINK "},'row':{'linkinfo':{"
		 "'info_slave_data':{'state':'disabled','span':true}}}}",
		 ""),
	     NULL);
	expect_none();
}

static void vlans(void **state)
{
	look(KERNEL("'vlan_filtering':1", "{'ifname':'p1'," KERNEL_PORT "}"), NULL);
	expect_one("warning vlan p1: br0 filters VLANs, and this port is in none",
		   "[bridge vlan add dev p1 vid 1 pvid untagged]");
	look(KERNEL("'vlan_filtering':1",
		    "{'ifname':'p1','vlans':{'vlans':9,'pvid':0}," KERNEL_PORT "}"),
	     NULL);
	expect_one("ok vlan p1: ", "has no PVID");
	look(OWN("'vlan_filtering':true", "{'ifname':'p1'," OWN_PORT(",'vlans':'10-20'") "}", ""),
	     NULL);
	expect_one("ok vlan p1: ", "[viaduct vlan add dev p1 vid 1 pvid untagged]");
}

static void flags(void **state)
{
	look(KERNEL("", "{'ifname':'p1','link':{" LINK ",'port':{'state':3,'isolated':1}}},"
			"{'ifname':'p2','link':{" LINK ",'port':{'state':3,'learning':1}}}"),
	     NULL);
	expect_none(); /* one alone reaches all */
	look(KERNEL("", "{'ifname':'p1','link':{" LINK ",'port':{'state':3,'locked':1}}}"), NULL);
	expect_one("ok flags p1: this port of br0 is locked",
		   "[bridge link set dev p1 locked off]");
	look(OWN("", "{'ifname':'p1'," OWN_PORT(",'learning':false,'flood':true") "}", ""), NULL);
	expect_one("ok flags p1: ", "[viaduct link set p1 learning on]");
	look(OWN("", "{'ifname':'p1'," OWN_PORT(",'learning':true,'flood':false") "}", ""), NULL);
	expect_one("ok flags p1: ", "[viaduct link set p1 flood on]");
}

static void addresses(void **state)
{
	look(KERNEL("'fdb_n_learned':7,'fdb_max_learned':7", ""), NULL);
	expect_one("warning fdb br0: 7 learned addresses",
		   "[ip link set br0 type bridge fdb_max_learned 14]");
	look(OWN("'fdb_size':100,'fdb_n_learned':95", "", ""), NULL);
	expect_one("warning fdb br0: its table of addresses is full (95 learned, room for 100)",
		   "fdb_size 400]");
	look(OWN("'fdb_size':100,'fdb_n_learned':5,'n_full':3", "", ""), NULL);
	expect_one("ok fdb br0: 3 times", "there is room now");
	look(OWN("", "", ",'grown':{'seconds':1,'moved':2}"), NULL);
	expect_none();
	look(OWN("", "", ",'grown':{'seconds':2,'moved':3}"), NULL);
	expect_one("warning moves br0: addresses moved between its ports 3 times in 2 s",
		   "[viaduct monitor fdb]");
	look(OWN("'n_own_source':9", "", ",'grown':{'seconds':1,'own_source':1}"), NULL);
	expect_one("problem moves br0: 1 frames came in", "stp br0 on]");
}

static void drops(void **state)
{
#define GROWN(drops) ",'grown':{'seconds':1,'drops':[" drops "]}"
	look(OWN("", "", GROWN("{'port':'p1','reason':'same-port','text':'t','count':9}")), NULL);
	expect_none();
	look(OWN("", "", GROWN("{'port':'p1','reason':'tx-full','text':'the queue','count':9}")),
	     NULL);
	expect_one("warning drops p1: 9 frames were dropped in 1 s (tx-full): the queue",
		   "[viaduct drops br0]");
	look(OWN("", "", GROWN("{'port':'-','reason':'not-inspected','text':'t','count':1}")),
	     NULL);
	expect_one("problem drops br0: 1 frames", "[viaduct rings]");
	look(OWN("", "", GROWN("{'port':'p1','reason':'gso-kind','text':'t','count':1}")), NULL);
	expect_one("warning drops p1: 1 frames", "[ethtool -K p1 gro off lro off; of a veth");
	/* The host ignores what it gets by a TAP. */
	look("{'bridge':'br0','kind':'own','link':{" LINK
	     "},'ports':[{'ifname':'p1','row':{'driver'"
	     ":'tap'}}],'grown':{'seconds':1,'devices':{'p1':{'rx_dropped':99}}}}",
	     NULL);
	expect_none();
	look("{'bridge':'br0','kind':'kernel','link':{" LINK
	     "},'ports':[{'ifname':'p1'," KERNEL_PORT
	     "}],'grown':{'seconds':1,'devices':{'p1':{'rx_dropped':4,'tx_dropped':5}}}}",
	     NULL);
	expect_one("warning drops p1: 5 frames that it was to send were dropped", "(tx_dropped)");
}

#define RINGS(state, more)                                                                         \
	",'intercept':{'mode':'auto','oversize':'pass'" more "},'rings':[{'kind':'ring','dir':"    \
	"'rx','ring':'nic0','program':'ids','pid':8,'state':'" state "','lag':5,'bad':0},"         \
	"{'kind':'ring','dir':'tx','state':'live','bad':0}]"

static void programs(void **state)
{
	look(OWN("", "", RINGS("live", "")), NULL);
	expect_none();
	look(OWN("", "", RINGS("live", ",'fail':'closed'")), NULL);
	expect_none();
	look(OWN("", "", RINGS("stalled", "")), NULL);
	expect_one("warning inspection br0: program ids (pid 8) takes no frames from ring nic0",
		   "uninspected");
	look(OWN("", "", RINGS("stopped", ",'fail':'closed'")), NULL);
	expect_one("problem inspection br0: ", "fails closed");
	look(OWN("", "", RINGS("unread", "")), NULL);
	expect_one("ok inspection br0: ", "has not synced it yet");
	look(OWN("", "", RINGS("unread", ",'fail':'closed'")), NULL);
	expect_one("problem inspection br0: ", "has not synced it yet");
	look(OWN("", "", ",'intercept':{'mode':'auto','fail':'closed'},'rings':[]"), NULL);
	expect_one("problem inspection br0: it fails closed, and no netmap program", "fail open]");
	look(OWN("", "", ",'intercept':{'mode':'none','fail':'closed'},'rings':[]"), NULL);
	expect_none();
	look("{'bridge':'br0','kind':'adopted','link':{" LINK "},'ports':[],'state':{'state':"
	     "'failed'}}",
	     NULL);
	expect_one("problem inspection br0: it is adopted, but nothing", "viaduct adopt br0");
	look("{'bridge':'br0','kind':'adopted','link':{" LINK "},'ports':[],'state':{'attached':["
	     "{'ifname':'p1','no_xdp':'its MTU is too large'},{'ifname':'p2'}]}}",
	     NULL);
	expect_one("ok inspection p1: br0 is adopted via xdp", "tc: its MTU is too large");
	look("{'bridge':'br0','kind':'adopted','ports':[]}", NULL);
	expect_one("problem up br0: it is adopted, but there is no such device", "release br0]");
}

static void slots_and_memory(void **state)
{
#define JUMBO                                                                                      \
	"{'ifname':'p1','link':{'up':true,'carrier':true,'mtu':%d},'row':{'linkinfo':{"            \
	"'info_slave_data':{'state':'forwarding'}}}}"
	static const struct {
		int mtu;
		bool said;
	} cases[] = {{1778, false}, {1779, true}, {9000, true}};

	for (size_t i = 0; i < array_size(cases); i++) {
		char text[1024];

		snprintf(text, sizeof(text),
			 "{'bridge':'br0','kind':'own','link':{'up':true,'mtu':%d},'ports':[" JUMBO
			 "],'memory':{'slot_size':1792}" RINGS("live", "") "}",
			 cases[i].mtu, cases[i].mtu);
		look(text, NULL);
		if (cases[i].said)
			expect_one("warning slots br0: ", "uninspected");
		else
			expect_none();
	}
	assert_non_null(strstr(findings(), "[buf-size: 16384 "));
	look(OWN("", "", ",'memory':{'buffers':1000,'buffers_free':20,'big':10,'big_free':10}"),
	     NULL);
	expect_none();
	look(OWN("", "", ",'memory':{'buffers':1000,'buffers_free':19,'big':10,'big_free':10}"),
	     NULL);
	expect_one("warning memory br0: only 19 of the daemon's 1000 frame buffers",
		   "buffers: 2000");
}

static struct netfilter_drop a_drop(enum netfilter_family family, enum ruleset_how how)
{
	return (struct netfilter_drop){.family = family,
				       .how = how,
				       .hook = RULESET_FORWARD,
				       .command = "iptables",
				       .table = "filter",
				       .chain = "FORWARD",
				       .base = "FORWARD"};
}

#define TWO "{'ifname':'p1'," KERNEL_PORT "},{'ifname':'p2'," KERNEL_PORT "}"

static void filters(void **state)
{
	struct netfilter_drop drops[8];
	struct netfilter nf = {.loaded = true, .drops = drops, .n_drops = 1};

	nf.handed[NETFILTER_IPV4].by_sysctl = true;
	nf.handed[NETFILTER_IPV4].by_bridge = true;
	drops[0] = a_drop(NETFILTER_IPV4, RULESET_DROPS_ALL);
	look(KERNEL("", TWO), &nf);
	assert_string_equal(
		findings(),
		"problem netfilter br0: br_netfilter hands bridged IPv4 frames to netfilter's hook "
		"forward (net.bridge.bridge-nf-call-iptables is 1), and chain FORWARD of table "
		"filter (iptables) drops them all: policy DROP "
		"[sysctl -w net.bridge.bridge-nf-call-iptables=0 && ip link set br0 type bridge "
		"nf_call_iptables 0] "
		"[iptables -I FORWARD -m physdev --physdev-is-bridged -j ACCEPT]\n");
	/* With one port nothing is forwarded. */
	look(KERNEL("", "{'ifname':'p1'," KERNEL_PORT "}"), &nf);
	expect_one("ok netfilter br0: ", "drops them all");
	drops[0].hook = RULESET_PREROUTING;
	look(KERNEL("", ""), &nf);
	expect_one("problem netfilter br0: ", "--physdev-is-in");
	/* Our own bridge does not meet them. */
	look(OWN("", "", ""), &nf);
	expect_none();
	for (size_t i = 0; i < 8; i++)
		drops[i] = a_drop(NETFILTER_IPV4, RULESET_DROPS_SOME);
	nf.n_drops = 8;
	look(KERNEL("", ""), &nf);
	assert_int_equal(json_array_size(doc.findings), 4);
	assert_int_equal(doctor_worst(doc.findings), DOCTOR_OK);
	assert_non_null(strstr(findings(), "5 more rules of netfilter"));
	nf.n_drops = 0;
	strcpy(nf.unread, "nft failed");
	look(KERNEL("", ""), &nf);
	expect_one("unknown netfilter br0: ", "(nft failed)");
}

/* A rule's comment may be of any bytes, and its text is cut somewhere. */
static void strange_bytes(void **state)
{
	struct netfilter_drop drop = a_drop(NETFILTER_IPV4, RULESET_DROPS_ALL);
	const struct netfilter nf = {
		.loaded = true, .handed = {{true, false}}, .drops = &drop, .n_drops = 1};

	strcpy(drop.rule, "-A FORWARD -m comment --comment gr\xc3\xbc\xc3");
	look(KERNEL("", TWO), &nf);
	expect_one("problem netfilter br0: ", "--comment gr??? [sysctl");
	strcpy(drop.rule, "-A FORWARD -m comment --comment gr\xc3\xbcn\033[2J");
	look(KERNEL("", TWO), &nf);
	expect_one("problem netfilter br0: ", "--comment gr\xc3\xbcn?[2J [sysctl");
}

/* At the hook of a device: of a member only, and of ours where frames leave. */
static void filters_of_devices(void **state)
{
	struct netfilter_drop drop = {.family = NETFILTER_DEVICE,
				      .hook = RULESET_INGRESS,
				      .command = "nft",
				      .table = "netdev t",
				      .chain = "c",
				      .base = "c",
				      .devices = "p0,p1",
				      .rule = "drop",
				      .handle = 4};
	const struct netfilter nf = {.drops = &drop, .n_drops = 1};

	look(KERNEL("", "{'ifname':'p1'," KERNEL_PORT "}"), &nf);
	expect_one("problem netfilter p0,p1: frames pass netfilter's hook ingress",
		   "[nft delete rule netdev t c handle 4]");
	look(KERNEL("", "{'ifname':'p10'," KERNEL_PORT "}"), &nf);
	expect_none();
	look(OWN("", "{'ifname':'p1'," OWN_PORT("") "}", ""), &nf);
	expect_none();
	drop.hook = RULESET_EGRESS;
	look(OWN("", "{'ifname':'p1'," OWN_PORT("") "}", ""), &nf);
	expect_one("problem netfilter p0,p1: frames pass netfilter's hook egress",
		   "drops them all");
}

static int end(void **state)
{
	json_decref(picture);
	json_decref(doc.findings);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(severity_to_exit),
		cmocka_unit_test(healthy_bridges),
		cmocka_unit_test(links),
		cmocka_unit_test(sizes),
		cmocka_unit_test(offloads_and_programs),
		cmocka_unit_test(spanning_tree),
		cmocka_unit_test(vlans),
		cmocka_unit_test(flags),
		cmocka_unit_test(addresses),
		cmocka_unit_test(drops),
		cmocka_unit_test(programs),
		cmocka_unit_test(slots_and_memory),
		cmocka_unit_test(filters),
		cmocka_unit_test(strange_bytes),
		cmocka_unit_test(filters_of_devices),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
