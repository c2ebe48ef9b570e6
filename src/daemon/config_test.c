/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"

static struct config *good(const char *text)
{
	struct config *c = NULL;
	struct ctl_error err;

	if (config_parse(text, strlen(text), "v.yaml", &c, &err))
		fail_msg("%s", err.text);
	return c;
}

/* Fails, and says what it must say. */
static void bad(const char *text, const char *sentence)
{
	struct config *c = NULL;
	struct ctl_error err;

	assert_int_equal(config_parse(text, strlen(text), "v.yaml", &c, &err), CTL_E_CONFIG);
	assert_null(c);
	assert_string_equal(err.text, sentence);
}

static const char *string_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static const char *vlans_of(const struct config *c, const char *port)
{
	const json_t *o = config_bridge(c, "br0");

	o = json_object_get(port ? config_port(o, port) : o, "values");
	return string_of(o, "vlans");
}

static void vlans(void **state)
{
	struct config *c = good("bridges:\n"
				"  br0:\n"
				"    vlan_filtering: on\n"
				"    vlan_protocol: 802.1ad\n"
				"    vlan_default_pvid: 0\n"
				"    vlans: [20, 10-19, \"5  untagged pvid\"]\n"
				"    ports:\n"
				"      - name: a\n"
				"        vlans: []\n"
				"      - name: b\n"
				"        vlans:\n"
				"          - 1-4094\n"
				"          - 7 pvid\n"
				"      - name: c\n");
	const json_t *v = json_object_get(config_bridge(c, "br0"), "values");

	assert_true(json_is_true(json_object_get(v, "vlan_filtering")));
	assert_string_equal(string_of(v, "vlan_protocol"), "802.1ad");
	assert_int_equal(json_integer_value(json_object_get(v, "vlan_default_pvid")), 0);
	assert_string_equal(vlans_of(c, NULL), "5 pvid untagged, 10-20");
	assert_string_equal(vlans_of(c, "a"), "");
	assert_string_equal(vlans_of(c, "b"), "1-6, 7 pvid, 8-4094");
	assert_null(vlans_of(c, "c"));
	config_free(c);
	bad("bridges:\n  br0:\n    vlan_filtring: on\n",
	    "v.yaml:3: unknown key \"vlan_filtring\", did you mean \"vlan_filtering\"?");
	bad("bridges:\n  br0:\n    vlan_protocol: 802.1x\n",
	    "v.yaml:3: bridge br0: vlan_protocol 802.1x: not one of 802.1Q, 802.1ad");
	bad("bridges:\n  br0:\n    vlan_default_pvid: 4095\n",
	    "v.yaml:3: bridge br0: vlan_default_pvid 4095 is out of range 0 to 4094");
	bad("bridges:\n  br0:\n    vlans: 10\n", "v.yaml:3: vlans must be a list");
	bad("bridges:\n  br0:\n    vlans: [0]\n",
	    "v.yaml:3: bridge br0: vlan 0 is out of range 1 to 4094");
	bad("bridges:\n  br0:\n    ports:\n      - name: a\n        vlans: [20-10]\n",
	    "v.yaml:5: port: vlan 20-10: the range is reversed");
	bad("bridges:\n  br0:\n    ports:\n      - name: a\n        vlans: [1 pvid, 2 pvid]\n",
	    "v.yaml:5: port: vlan 2: 1 is the PVID already");
	bad("bridges:\n  br0:\n    ports:\n      - name: a\n        vlans: [[1]]\n",
	    "v.yaml:5: vlans: an item is like \"10-20 untagged\"");
}

static void interception(void **state)
{
	struct config *c = good("bridges:\n"
				"  br0:\n"
				"    intercept:\n"
				"      mode: copy\n"
				"      fail: closed\n"
				"      overflow: pass\n"
				"      stall-ms: 250\n"
				"      reserved: take\n"
				"      reserved-tx: on\n"
				"      oversize: multislot\n"
				"      rings: 4\n"
				"      filter: tcp port 80\n"
				"      exempt: none\n"
				"  br1:\n");
	json_t *o = json_object_get(config_bridge(c, "br0"), "intercept");
	json_t *want = json_pack("{s:s, s:s, s:s, s:i, s:s, s:b, s:s, s:i, s:s, s:s}", "mode",
				 "copy", "fail", "closed", "overflow", "pass", "stall_ms", 250,
				 "reserved", "take", "reserved_tx", 1, "oversize", "multislot",
				 "rings", 4, "filter", "tcp port 80", "exempt", "");

	assert_true(json_equal(json_object_get(o, "values"), want));
	o = json_object_get(o, "lines");
	assert_int_equal(json_integer_value(json_object_get(o, "stall_ms")), 7);
	assert_int_equal(json_integer_value(json_object_get(o, "filter")), 12);
	o = json_object_get(json_object_get(config_bridge(c, "br1"), "intercept"), "values");
	assert_int_equal(json_object_size(o), 0);
	json_decref(want);
	config_free(c);
}

static void access_lists(void **state)
{
	struct config *c = good("bridges:\n"
				"  br0:\n"
				"    access:\n"
				"      users: [alice, 1001]\n"
				"      groups:\n"
				"        - ids\n"
				"  br1:\n"
				"    access: {groups: [7]}\n");
	const json_t *o = json_object_get(config_bridge(c, "br0"), "intercept");

	assert_string_equal(string_of(json_object_get(o, "values"), "access"), "alice,1001,@ids");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "lines"), "access")),
			 3);
	o = json_object_get(config_bridge(c, "br1"), "intercept");
	assert_string_equal(string_of(json_object_get(o, "values"), "access"), "@7");
	config_free(c);
	bad("bridges:\n  br0:\n    access:\n      user: [a]\n",
	    "v.yaml:4: unknown key \"user\", did you mean \"users\"?");
	bad("bridges:\n  br0:\n    access:\n      users: alice\n",
	    "v.yaml:4: users must be a list");
	bad("bridges:\n  br0:\n    access:\n      users: ['a,b']\n",
	    "v.yaml:4: access: not the name or number of a user or group");
	bad("bridges:\n  br0:\n    access: [alice]\n",
	    "v.yaml:3: access must be a mapping of keys to values");
}

static void adoptions(void **state)
{
	struct config *c = good("adopt:\n"
				"  br0:\n"
				"  eth1:\n"
				"    intercept:\n"
				"      fail: closed\n"
				"      exempt: tcp port 22\n"
				"    access: {users: [alice]}\n"
				"bridges:\n"
				"  br1:\n");
	const json_t *o = json_object_get(config_adopt(c, "eth1"), "intercept"), *v;

	assert_null(config_adopt(c, "br1"));
	assert_null(config_bridge(c, "br0"));
	v = json_object_get(json_object_get(config_adopt(c, "br0"), "intercept"), "values");
	assert_int_equal(json_object_size(v), 0);
	v = json_object_get(o, "values");
	assert_string_equal(string_of(v, "fail"), "closed");
	assert_string_equal(string_of(v, "exempt"), "tcp port 22");
	assert_string_equal(string_of(v, "access"), "alice");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "lines"), "exempt")),
			 6);
	config_free(c);
	bad("adopt:\n  br0:\n    acces: {}\n",
	    "v.yaml:3: unknown key \"acces\", did you mean \"access\"?");
	bad("adopt:\n  br0:\n    via: wire\n", "v.yaml:3: adopt br0: via wire: not one of tc, xdp");
	bad("adopt:\n  br0:\n    intercept: {fail: half}\n",
	    "v.yaml:3: adopt br0: fail half: not one of open, closed");
	bad("adopt:\n  br/0:\n",
	    "v.yaml:2: adopt br/0: a name may not have spaces, \"/\", \":\", \"%\", quotes or "
	    "characters outside ASCII");
	bad("adopt: [br0]\n", "v.yaml:1: adopt must be a mapping of keys to values");
	bad("adopt:\n  br0:\nbridges:\n  br0:\n",
	    "v.yaml:2: adopt br0: a bridge of viaduct's own in line 4");
	bad("bridges:\n  br0:\n    ports: [{name: eth1}]\nadopt:\n  eth1:\n",
	    "v.yaml:5: adopt eth1: a port in line 3");
}

static void who_adopts(void **state)
{
	struct config *c = good("daemon:\n  adopt-on-open: group\n");

	assert_string_equal(string_of(json_object_get(c->root, "daemon"), "adopt-on-open"),
			    "group");
	config_free(c);
	/* YAML's own word for false is a word here. */
	c = good("daemon:\n  adopt-on-open: no\n");
	assert_string_equal(string_of(json_object_get(c->root, "daemon"), "adopt-on-open"), "no");
	config_free(c);
	bad("daemon:\n  adopt-on-open: perhaps\n",
	    "v.yaml:2: daemon: adopt-on-open perhaps: not one of root, group, no");
}

#define INTERCEPT(line) "bridges:\n  br0:\n    intercept:\n      " line "\n"

static void interception_errors(void **state)
{
	bad(INTERCEPT("stall_ms: 5"),
	    "v.yaml:4: unknown key \"stall_ms\", did you mean \"stall-ms\"?");
	bad(INTERCEPT("mood: all"), "v.yaml:4: unknown key \"mood\", did you mean \"mode\"?");
	bad(INTERCEPT("mode: some"),
	    "v.yaml:4: bridge br0: mode some: not one of auto, all, local, copy, none");
	bad(INTERCEPT("rings: 31"), "v.yaml:4: bridge br0: rings 31 is out of range 1 to 30");
	bad(INTERCEPT("stall-ms: 0"),
	    "v.yaml:4: bridge br0: stall-ms 0 is out of range 1 to 3600000");
	bad(INTERCEPT("reserved-tx: perhaps"),
	    "v.yaml:4: reserved-tx must be true or false, not \"perhaps\"");
	bad("bridges:\n  br0:\n    intercept: all\n",
	    "v.yaml:3: intercept must be a mapping of keys to values");
	bad("bridges:\n  br0:\n    intercep:\n      mode: all\n",
	    "v.yaml:3: unknown key \"intercep\", did you mean \"intercept\"?");
}

static void rules_and_mirrors(void **state)
{
	struct config *c = good("bridges:\n"
				"  br0:\n"
				"    rules:\n"
				"      forward:\n"
				"        - {verdict: drop, in: p1, vlan: 0, filter: tcp port 23}\n"
				"        - {verdict: mark, set: 0xffffffff, name: x}\n"
				"      local_in:\n"
				"    mirrors:\n"
				"      - name: ids\n"
				"        to: tap:mon0\n"
				"        both: p1,p2\n"
				"        snap: 64\n");
	const json_t *b = config_bridge(c, "br0"), *rules = json_object_get(b, "rules");
	const json_t *list = json_object_get(rules, "forward"), *m;
	json_t *want = json_pack("{s:s, s:s, s:i, s:s}", "verdict", "drop", "in", "p1", "vlan", 0,
				 "filter", "tcp port 23");

	assert_int_equal(json_array_size(list), 2);
	assert_true(json_equal(json_object_get(json_array_get(list, 0), "values"), want));
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "line")), 6);
	assert_int_equal(json_array_size(json_object_get(rules, "local_in")), 0);
	assert_true(
		json_is_array(json_object_get(rules, "local_in"))); /* no rules there, says it */
	m = json_object_get(json_array_get(json_object_get(b, "mirrors"), 0), "values");
	assert_string_equal(string_of(m, "both"), "p1,p2");
	assert_int_equal(json_integer_value(json_object_get(m, "snap")), 64);
	json_decref(want);
	config_free(c);
}

#define FORWARD(rule) "bridges:\n  br0:\n    rules:\n      forward:\n        - {" rule "}\n"

static void errors_of_rules(void **state)
{
	bad(FORWARD("verdict: reject"),
	    "v.yaml:5: a rule: verdict reject: not one of accept, drop, mirror, mark");
	bad(FORWARD("filter: arp"), "v.yaml:5: a rule: verdict is missing");
	bad(FORWARD("verdict: drop, prot: x"), "v.yaml:5: unknown key \"prot\"");
	bad(FORWARD("verdict: drop, vlan: 4095"),
	    "v.yaml:5: a rule: vlan 4095 is out of range 0 to 4094");
	bad("bridges:\n  br0:\n    rules:\n      input:\n",
	    "v.yaml:4: hook input: not one of pre_routing, local_in, forward, local_out, "
	    "post_routing");
	bad("bridges:\n  br0:\n    mirrors:\n      - {name: ids}\n",
	    "v.yaml:4: a mirror: to is missing");
	bad("bridges:\n  br0:\n    mirrors:\n      - {to: p1}\n",
	    "v.yaml:4: a mirror: name is missing");
	bad("bridges:\n  br0:\n    mirrors:\n      - {name: m, to: p1, snap: 13}\n",
	    "v.yaml:4: a mirror: snap 13 is out of range 14 to 65535");
}

static void everything(void **state)
{
	struct config *c = good("daemon:\n"
				"  workers: 2\n"
				"  spin-us: 0\n"
				"  group: adm\n"
				"  buf-size: 4096\n"
				"bridges:\n"
				"  br0:\n"
				"    ageing_time: 60\n"
				"    group_fwd_mask: 0x4000\n"
				"    monitor: yes\n"
				"    address: 02:00:00:00:00:01\n"
				"    fdb_size: 1024\n"
				"    ports:\n"
				"      - name: veth10\n"
				"        hairpin: on\n"
				"      - match: \"vnet*\"\n"
				"        isolated: true\n"
				"      - name: tap:vm0\n"
				"    fdb:\n"
				"      - mac: 02:00:00:00:00:02\n"
				"        port: veth10\n"
				"        kind: sticky\n"
				"        vlan: 7\n"
				"  br1:\n");
	const json_t *d = json_object_get(c->root, "daemon"), *b = config_bridge(c, "br0"), *p, *v;

	assert_int_equal(json_integer_value(json_object_get(d, "workers")), 2);
	assert_string_equal(string_of(d, "group"), "adm");
	v = json_object_get(b, "values");
	assert_int_equal(json_integer_value(json_object_get(v, "group_fwd_mask")), 0x4000);
	assert_true(json_is_true(json_object_get(v, "monitor")));
	assert_string_equal(string_of(v, "address"), "02:00:00:00:00:01");
	p = config_port(b, "veth10");
	assert_true(json_is_true(json_object_get(json_object_get(p, "values"), "hairpin")));
	assert_int_equal(json_integer_value(json_object_get(p, "line")), 14);
	assert_string_equal(string_of(config_port(b, "vnet3"), "match"), "vnet*");
	assert_true(json_is_true(json_object_get(config_port(b, "vm0"), "tap")));
	assert_null(config_port(b, "eth0"));
	v = json_array_get(json_object_get(b, "fdb"), 0);
	assert_string_equal(string_of(v, "kind"), "sticky");
	assert_int_equal(json_integer_value(json_object_get(v, "vlan")), 7);
	assert_non_null(config_bridge(c, "br1"));
	assert_null(config_bridge(c, "br2"));
	config_free(c);
}

static void nothing_is_a_configuration_too(void **state)
{
	static const char *const texts[] = {"", "# only a comment\n", "bridges:\n", "daemon: {}\n"};

	for (size_t i = 0; i < array_size(texts); i++) {
		struct config *c = good(texts[i]);

		assert_int_equal(json_array_size(json_object_get(c->root, "bridges")), 0);
		config_free(c);
	}
}

static void a_name_goes_before_a_pattern(void **state)
{
	struct config *c = good("bridges:\n  br0:\n    ports:\n"
				"      - match: p*\n        isolated: true\n"
				"      - name: p1\n        hairpin: true\n");
	const json_t *b = config_bridge(c, "br0");

	assert_string_equal(string_of(config_port(b, "p1"), "name"), "p1");
	assert_string_equal(string_of(config_port(b, "p2"), "match"), "p*");
	config_free(c);
}

static void unknown_keys_name_the_nearest(void **state)
{
	bad("bridges:\n  br0:\n    agein_time: 10\n",
	    "v.yaml:3: unknown key \"agein_time\", did you mean \"ageing_time\"?");
	bad("bridge:\n", "v.yaml:1: unknown key \"bridge\", did you mean \"bridges\"?");
	bad("daemon:\n  worker: 2\n",
	    "v.yaml:2: unknown key \"worker\", did you mean \"workers\"?");
	bad("bridges:\n  br0:\n    ports:\n      - name: p1\n        isolatd: true\n",
	    "v.yaml:5: unknown key \"isolatd\", did you mean \"isolated\"?");
	bad("bridges:\n  br0:\n    fdb:\n      - mac: 02:00:00:00:00:02\n        prt: p1\n",
	    "v.yaml:5: unknown key \"prt\", did you mean \"port\"?");
	bad("bridges:\n  br0:\n    zebra: 1\n", "v.yaml:3: unknown key \"zebra\"");
}

static void wrong_types_and_ranges(void **state)
{
	bad("bridges:\n  br0:\n    ageing_time: soon\n",
	    "v.yaml:3: ageing_time must be an integer, not \"soon\"");
	bad("bridges:\n  br0:\n    monitor: 7\n",
	    "v.yaml:3: monitor must be true or false, not \"7\"");
	bad("bridges:\n  br0:\n    ageing_time: -1\n",
	    "v.yaml:3: bridge br0: ageing_time -1 is out of range 0 to 1000000");
	bad("bridges:\n  br0:\n    mtu: 67\n",
	    "v.yaml:3: bridge br0: mtu 67 is out of range 68 to 65521 (0: follow the ports)");
	bad("bridges:\n  br0:\n    address: 01:00:00:00:00:01\n",
	    "v.yaml:3: bridge br0: address 01:00:00:00:00:01: a group address, not one of a "
	    "station");
	bad("daemon:\n  buf-size: 3000\n", "v.yaml:2: daemon: buf-size 3000 is not a power of two");
	bad("bridges:\n  br0:\n    ageing_time: [1]\n", "v.yaml:3: ageing_time must be an integer");
	bad("bridges: 5\n", "v.yaml:1: bridges must be a mapping of keys to values");
	bad("bridges:\n  br0:\n    ports: p1\n", "v.yaml:3: ports must be a list");
}

static void what_does_not_fit_together(void **state)
{
	bad("bridges:\n  br0:\n    ports:\n      - driver: packet\n",
	    "v.yaml:4: a port needs either name or match");
	bad("bridges:\n  br0:\n    ports:\n      - name: p1\n        match: p*\n",
	    "v.yaml:4: a port needs either name or match");
	bad("bridges:\n  br0:\n    ports:\n      - name: p1\n  br1:\n    ports:\n      - name: "
	    "p1\n",
	    "v.yaml:7: port p1 is in line 4 already");
	bad("bridges:\n  br0:\n  br0:\n", "v.yaml:3: key \"br0\" is there twice");
	bad("bridges:\n  a/b:\n",
	    "v.yaml:2: bridge a/b: a name may not have spaces, \"/\", \":\", \"%\", quotes or "
	    "characters outside ASCII");
	bad("bridges:\n  br0:\n    fdb:\n      - port: p1\n", "v.yaml:4: an FDB entry needs mac");
	bad("bridges:\n  br0:\n    fdb:\n      - mac: 02:00:00:00:00:02\n",
	    "v.yaml:4: an FDB entry needs port, unless its kind is local");
	bad("bridges:\n  br0:\n    fdb:\n      - mac: 02:00:00:00:00:02\n        kind: odd\n",
	    "v.yaml:4: kind must be static, sticky, local or dynamic");
}

static void not_yaml(void **state)
{
	static const char *const texts[] = {"bridges: [\n", "\t- x\n",          "a: b: c\n",
					    "\xff\xfe\xfd", "%YAML 9.9\n---\n", "&a [*a",
					    "? [x]\n: y\n"};

	for (size_t i = 0; i < array_size(texts); i++) {
		struct config *c = NULL;
		struct ctl_error err;

		assert_int_equal(config_parse(texts[i], strlen(texts[i]), "v.yaml", &c, &err),
				 CTL_E_CONFIG);
		assert_null(c);
		assert_memory_equal(err.text, "v.yaml:", 7);
	}
}

static void a_file_that_is_not_there(void **state)
{
	struct config *c = NULL;
	struct ctl_error err;

	assert_int_equal(config_load("/nonexistent/v.yaml", &c, &err), CTL_E_CONFIG);
	assert_string_equal(err.text, "/nonexistent/v.yaml: No such file or directory");
}

static json_t *difference(const char *now, const char *before, const char *want)
{
	json_t *n = json_loads(now, 0, NULL), *w = json_loads(want, 0, NULL);
	json_t *b = before ? json_loads(before, 0, NULL) : NULL;
	json_t *defaults = json_loads("{\"a\":1,\"b\":2,\"c\":3}", 0, NULL);
	json_t *diff = config_difference(n, b, w, defaults);

	json_decref(n);
	json_decref(b);
	json_decref(w);
	json_decref(defaults);
	return diff;
}

static void difference_is(const char *now, const char *before, const char *want, const char *expect)
{
	json_t *d = difference(now, before, want), *e = json_loads(expect, 0, NULL);

	assert_true(json_equal(d, e));
	json_decref(d);
	json_decref(e);
}

static void difference_of_settings(void **state)
{
	assert_null(difference("{\"a\":1,\"b\":2}", NULL, "{}"));
	assert_null(difference("{\"a\":9,\"b\":2}", NULL, "{\"b\":2}")); /* by hand: stays */
	assert_null(difference("{\"a\":9}", "{\"a\":9}", "{\"a\":9}"));
	difference_is("{\"a\":1,\"b\":2}", NULL, "{\"a\":5}", "{\"a\":5}");
	difference_is("{\"a\":7}", "{\"a\":5}", "{\"a\":5}", "{\"a\":5}");
	difference_is("{\"a\":5,\"b\":6}", "{\"a\":5}", "{\"b\":7}", "{\"a\":1,\"b\":7}");
	assert_null(difference("{\"a\":1}", "{\"a\":5}", "{}"));        /* at its default already */
	assert_null(difference("{\"a\":1}", NULL, "{\"fdb_size\":5}")); /* only for new ones */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything),
		cmocka_unit_test(vlans),
		cmocka_unit_test(interception),
		cmocka_unit_test(interception_errors),
		cmocka_unit_test(access_lists),
		cmocka_unit_test(adoptions),
		cmocka_unit_test(who_adopts),
		cmocka_unit_test(rules_and_mirrors),
		cmocka_unit_test(errors_of_rules),
		cmocka_unit_test(nothing_is_a_configuration_too),
		cmocka_unit_test(a_name_goes_before_a_pattern),
		cmocka_unit_test(unknown_keys_name_the_nearest),
		cmocka_unit_test(wrong_types_and_ranges),
		cmocka_unit_test(what_does_not_fit_together),
		cmocka_unit_test(not_yaml),
		cmocka_unit_test(a_file_that_is_not_there),
		cmocka_unit_test(difference_of_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
