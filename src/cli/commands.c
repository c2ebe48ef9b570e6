/* SPDX-License-Identifier: BSD-2-Clause */
/* Only a list: the words, and what stands behind them. parse.h explains the fields. */
#include "cli/commands.h"

#define BRIDGE                                                                                     \
	{                                                                                          \
		"bridge", NULL, ARG_BRIDGE, ARG_REQUIRED, "BR"                                     \
	}
#define MAC                                                                                        \
	{                                                                                          \
		"mac", NULL, ARG_MAC, ARG_REQUIRED, "MAC"                                          \
	}
#define VLAN                                                                                       \
	{                                                                                          \
		"vlan", "vlan", ARG_UINT, 0, "VLAN"                                                \
	}
#define NAMED(f)                                                                                   \
	{                                                                                          \
		"name", "dev", ARG_PORT, ARG_BARE | (f), "DEV"                                     \
	}
#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}
#define DRIVERS "auto|packet|xdp|tap|pcap"

/* Settings of a bridge and of a port, as docs/control.md names them. */
#define BRIDGE_ONLY_SETTINGS                                                                       \
	{"ageing_time", "ageing_time", ARG_UINT, 0, "SECONDS"},                                    \
		{"no_linklocal_learn", "no_linklocal_learn", ARG_ONOFF},                           \
		{"monitor", "monitor", ARG_ONOFF},                                                 \
		{"address", "address", ARG_TEXT, 0, "MAC|auto"},                                   \
		{"mtu", "mtu", ARG_UINT, 0, "BYTES"},                                              \
		{"vlan_filtering", "vlan_filtering", ARG_ONOFF},                                   \
		{"vlan_protocol", "vlan_protocol", ARG_CHOICE, 0, NULL, "802.1Q|802.1ad"},         \
		{"vlan_default_pvid", "vlan_default_pvid", ARG_UINT, 0, "VLAN"},                   \
		{"vlan_stats_enabled", "vlan_stats_enabled", ARG_ONOFF},                           \
	{                                                                                          \
		"vlan_stats_per_port", "vlan_stats_per_port", ARG_ONOFF                            \
	}
#define STP_SETTINGS                                                                               \
	{"stp_state", "stp_state", ARG_ONOFF},                                                     \
		{"stp_version", "stp_version", ARG_CHOICE, 0, NULL, "rstp|stp"},                   \
		{"hello_time", "hello_time", ARG_UINT, 0, "SECONDS"},                              \
		{"max_age", "max_age", ARG_UINT, 0, "SECONDS"},                                    \
		{"forward_delay", "forward_delay", ARG_UINT, 0, "SECONDS"},                        \
		{"tx_hold_count", "tx_hold_count", ARG_UINT, 0, "N"},                              \
	{                                                                                          \
		"path_cost_method", "path_cost_method", ARG_CHOICE, 0, NULL, "long|short"          \
	}
#define STP_PORT_SETTINGS                                                                          \
	{"cost", "cost", ARG_UINT, 0, "COST"},                                                     \
		{"edge", "edge", ARG_CHOICE, 0, NULL, "auto|on|off"},                              \
		{"p2p", "p2p", ARG_CHOICE, 0, NULL, "auto|on|off"}, {"guard", "guard", ARG_ONOFF}, \
		{"root_block", "root_block", ARG_ONOFF},                                           \
	{                                                                                          \
		"bpdu_filter", "bpdu_filter", ARG_ONOFF                                            \
	}
#define SHARED_SETTINGS                                                                            \
	{"priority", "priority", ARG_UINT, 0, "PRIORITY"},                                         \
		{"group_fwd_mask", "group_fwd_mask", ARG_UINT, 0, "MASK"},                         \
	{                                                                                          \
		"fdb_max_learned", "fdb_max_learned", ARG_UINT, 0, "N"                             \
	}
#define PORT_SETTINGS                                                                              \
	{"learning", "learning", ARG_ONOFF}, {"flood", "flood", ARG_ONOFF},                        \
		{"mcast_flood", "mcast_flood", ARG_ONOFF},                                         \
		{"bcast_flood", "bcast_flood", ARG_ONOFF}, {"hairpin", "hairpin", ARG_ONOFF},      \
		{"isolated", "isolated", ARG_ONOFF},                                               \
	{                                                                                          \
		"sticky", "sticky", ARG_ONOFF                                                      \
	}

static const struct arg_spec args_bridge[] = {BRIDGE, END};
static const struct arg_spec args_addbr[] = {{"bridge", NULL, ARG_NEW, ARG_REQUIRED, "BR"}, END};
static const struct arg_spec args_addif[] = {
	BRIDGE,
	{"ports", NULL, ARG_DEV, ARG_REQUIRED | ARG_MANY, "DEV"},
	{"driver", "driver", ARG_CHOICE, 0, NULL, DRIVERS},
	END};
static const struct arg_spec args_delif[] = {
	BRIDGE, {"ports", NULL, ARG_PORT, ARG_REQUIRED | ARG_MANY, "DEV"}, END};
static const struct arg_spec args_hairpin[] = {BRIDGE,
					       {"port", NULL, ARG_PORT, ARG_REQUIRED, "DEV"},
					       {"hairpin", NULL, ARG_ONOFF, ARG_REQUIRED},
					       END};
static const struct arg_spec args_show[] = {{"bridges", NULL, ARG_BRIDGE, ARG_MANY, "BR"}, END};
static const struct arg_spec args_setageing[] = {
	BRIDGE, {"ageing_time", NULL, ARG_UINT, ARG_REQUIRED, "SECONDS"}, END};
static const struct arg_spec args_stp[] = {
	BRIDGE, {"stp_state", NULL, ARG_ONOFF, ARG_REQUIRED}, END};
static const struct arg_spec args_prio[] = {
	BRIDGE, {"priority", NULL, ARG_UINT, ARG_REQUIRED, "PRIORITY"}, END};
static const struct arg_spec args_setfd[] = {
	BRIDGE, {"forward_delay", NULL, ARG_UINT, ARG_REQUIRED, "SECONDS"}, END};
static const struct arg_spec args_sethello[] = {
	BRIDGE, {"hello_time", NULL, ARG_UINT, ARG_REQUIRED, "SECONDS"}, END};
static const struct arg_spec args_setmaxage[] = {
	BRIDGE, {"max_age", NULL, ARG_UINT, ARG_REQUIRED, "SECONDS"}, END};
static const struct arg_spec args_cost[] = {BRIDGE,
					    {"port", NULL, ARG_PORT, ARG_REQUIRED, "DEV"},
					    {"cost", NULL, ARG_UINT, ARG_REQUIRED, "COST"},
					    END};
static const struct arg_spec args_portprio[] = {
	BRIDGE,
	{"port", NULL, ARG_PORT, ARG_REQUIRED, "DEV"},
	{"priority", NULL, ARG_UINT, ARG_REQUIRED, "PRIORITY"},
	END};
static const struct arg_spec args_bridge_port[] = {
	BRIDGE, {"port", NULL, ARG_PORT, ARG_REQUIRED, "DEV"}, END};

static const struct arg_spec args_link_add[] = {
	{"bridge", "name", ARG_NEW, ARG_REQUIRED | ARG_BARE, "BR"},
	{"type", "type", ARG_CHOICE, ARG_REQUIRED, NULL, "bridge"},
	BRIDGE_ONLY_SETTINGS,
	STP_SETTINGS,
	SHARED_SETTINGS,
	{"fdb_size", "fdb_size", ARG_UINT, 0, "N"},
	END};
static const struct arg_spec args_link_del[] = {
	{"bridge", "dev", ARG_BRIDGE, ARG_REQUIRED | ARG_BARE, "BR"},
	{"type", "type", ARG_CHOICE, 0, NULL, "bridge"},
	END};
static const struct arg_spec args_link_set[] = {
	NAMED(ARG_REQUIRED),
	{"master", "master", ARG_BRIDGE, 0, "BR"},
	{"nomaster", "nomaster", ARG_FLAG, ARG_OR},
	{"driver", "driver", ARG_CHOICE, 0, NULL, DRIVERS},
	{"type", "type", ARG_CHOICE, 0, NULL, "bridge|bridge_slave"},
	PORT_SETTINGS,
	STP_PORT_SETTINGS,
	SHARED_SETTINGS,
	BRIDGE_ONLY_SETTINGS,
	STP_SETTINGS,
	{"up", "up", ARG_FLAG, ARG_HIDDEN},
	{"down", "down", ARG_FLAG, ARG_HIDDEN | ARG_OR},
	END};
static const struct arg_spec args_link_show[] = {NAMED(0), END};

static const struct arg_spec args_fdb_show[] = {
	{"bridge", "br", ARG_BRIDGE, 0, "BR"},
	{"dev", "dev", ARG_PORT, ARG_OR, "DEV"},
	{"brport", "brport", ARG_PORT, ARG_OR, "DEV"},
	VLAN,
	{"kind", NULL, ARG_CHOICE, 0, NULL, "learned|static|sticky|local"},
	END};
static const struct arg_spec args_fdb_add[] = {
	MAC,
	{"port", "dev", ARG_PORT, ARG_REQUIRED, "DEV"},
	{"master", "master", ARG_FLAG},
	VLAN,
	{"kind", NULL, ARG_CHOICE, 0, NULL, "static|sticky|dynamic|local"},
	END};
static const struct arg_spec args_fdb_del[] = {MAC,
					       {"port", "dev", ARG_PORT, ARG_REQUIRED, "DEV"},
					       {"bridge", "br", ARG_BRIDGE, ARG_OR, "BR"},
					       {"master", "master", ARG_FLAG},
					       VLAN,
					       END};
static const struct arg_spec args_fdb_flush[] = {{"bridge", "br", ARG_BRIDGE, ARG_REQUIRED, "BR"},
						 {"port", "dev", ARG_PORT, ARG_OR, "DEV"},
						 VLAN,
						 {"all", "all", ARG_FLAG},
						 END};
static const struct arg_spec args_fdb_get[] = {
	MAC, {"bridge", "br", ARG_BRIDGE, ARG_REQUIRED, "BR"}, VLAN, END};

static const struct arg_spec args_vlan_show[] = {{"port", "dev", ARG_PORT, ARG_BARE, "DEV"},
						 {"bridge", "br", ARG_BRIDGE, ARG_OR, "BR"},
						 END};
static const struct arg_spec args_vlan_change[] = {{"port", "dev", ARG_PORT, ARG_REQUIRED, "DEV"},
						   {"vid", "vid", ARG_TEXT, ARG_REQUIRED, "N[-M]"},
						   {"pvid", "pvid", ARG_FLAG},
						   {"untagged", "untagged", ARG_FLAG},
						   {"self", "self", ARG_FLAG},
						   {"master", "master", ARG_FLAG, ARG_OR},
						   END};

static const struct arg_spec args_name[] = {{"name", NULL, ARG_PORT, 0, "BR|DEV"}, END};
static const struct arg_spec args_drops[] = {{"name", NULL, ARG_PORT, 0, "BR|DEV"},
					     {"port", NULL, ARG_PORT, 0, "DEV"},
					     {"all", "all", ARG_FLAG},
					     END};
static const struct arg_spec args_trace[] = {BRIDGE,
					     {"port", "from", ARG_PORT, 0, "DEV"},
					     {"count", "count", ARG_UINT, 0, "N"},
					     {"seconds", "for", ARG_UINT, 0, "SECONDS"},
					     {"every", "every", ARG_UINT, 0, "N"},
					     {"filter", "filter", ARG_TEXT, 0, "EXPRESSION"},
					     END};
static const struct arg_spec args_explain[] = {
	BRIDGE,
	{"port", "from", ARG_PORT, ARG_REQUIRED, "DEV"},
	{"frame", NULL, ARG_TEXT, ARG_REQUIRED | ARG_MANY, "FRAME"},
	END};
static const struct arg_spec args_doctor[] = {
	{"bridge", NULL, ARG_ANY, 0, "BR"}, {"for", "for", ARG_UINT, 0, "SECONDS"}, END};
static const struct arg_spec args_monitor[] = {
	{"group", NULL, ARG_CHOICE, 0, NULL, "fdb|link|stp|config|all"}, END};
static const struct arg_spec args_log[] = {
	{"module", NULL, ARG_TEXT, ARG_REQUIRED, "MODULE|all"},
	{"level", NULL, ARG_CHOICE, ARG_REQUIRED, NULL, "err|warn|info|debug"},
	END};
static const struct arg_spec args_file[] = {{"file", NULL, ARG_FILE, ARG_REQUIRED, "FILE"}, END};
static const struct arg_spec args_reload[] = {{"file", NULL, ARG_FILE, 0, "FILE"}, END};
static const struct arg_spec args_run[] = {{"bridge", NULL, ARG_NEW, ARG_REQUIRED, "BR"},
					   {"ports", NULL, ARG_DEV, ARG_REQUIRED | ARG_MANY, "DEV"},
					   {"driver", "driver", ARG_CHOICE, 0, NULL, DRIVERS},
					   END};
static const struct arg_spec args_exec[] = {{"program", NULL, ARG_TEXT, ARG_REQUIRED, "PROGRAM"},
					    {"args", NULL, ARG_TEXT, ARG_MANY, "ARG"},
					    END};
static const struct arg_spec args_help[] = {{"words", NULL, ARG_COMMAND, ARG_MANY, "COMMAND"}, END};
static const struct arg_spec args_rings[] = {{"bridge", NULL, ARG_BRIDGE, 0, "BR"}, END};
static const struct arg_spec args_intercept[] = {
	{"bridge", NULL, ARG_BRIDGE, 0, "BR"},
	{"mode", "mode", ARG_CHOICE, 0, NULL, "auto|all|local|copy|none"},
	{"fail", "fail", ARG_CHOICE, 0, NULL, "open|closed"},
	{"overflow", "overflow", ARG_CHOICE, 0, NULL, "drop|pass"},
	{"stall_ms", "stall-ms", ARG_UINT, 0, "MS"},
	{"reserved", "reserved", ARG_CHOICE, 0, NULL, "hide|copy|take"},
	{"reserved_tx", "reserved-tx", ARG_ONOFF},
	{"oversize", "oversize", ARG_CHOICE, 0, NULL, "pass|multislot|drop"},
	{"rings", "rings", ARG_UINT, 0, "N"},
	{"filter", "filter", ARG_TEXT, 0, "EXPRESSION|none"},
	{"exempt", "exempt", ARG_TEXT, 0, "EXPRESSION|none"},
	{"access", "access", ARG_TEXT, 0, "USER,@GROUP,...|none"},
	END};
static const struct arg_spec args_adopt[] = {{"bridge", NULL, ARG_DEV, ARG_REQUIRED, "BR|DEV"},
					     {"via", "via", ARG_CHOICE, 0, NULL, "tc|xdp"},
					     {"fail", "fail", ARG_CHOICE, 0, NULL, "open|closed"},
					     {"exempt", "exempt", ARG_TEXT, 0, "EXPRESSION|none"},
					     {"confirm", "confirm", ARG_UINT, 0, "SECONDS"},
					     {"dry_run", "dry-run", ARG_FLAG},
					     END};
static const struct arg_spec args_release[] = {{"bridge", NULL, ARG_DEV, ARG_REQUIRED, "BR|DEV"},
					       END};
#define HOOKS "pre_routing|local_in|forward|local_out|post_routing"
#define HOOK                                                                                       \
	{                                                                                          \
		"hook", NULL, ARG_CHOICE, ARG_REQUIRED, NULL, HOOKS                                \
	}
static const struct arg_spec args_rule_add[] = {
	BRIDGE,
	HOOK,
	{"verdict", NULL, ARG_CHOICE, ARG_REQUIRED, NULL, "accept|drop|mirror|mark"},
	{"to", "to", ARG_TEXT, 0, "MIRROR"},
	{"set", "set", ARG_UINT, 0, "MARK"},
	{"in", "in", ARG_PORT, 0, "DEV"},
	{"out", "out", ARG_PORT, 0, "DEV"},
	{"vlan", "vlan", ARG_UINT, 0, "VLAN"},
	{"mark", "mark", ARG_UINT, 0, "MARK"},
	{"name", "name", ARG_TEXT, 0, "NAME"},
	{"pos", "pos", ARG_UINT, 0, "N"},
	{"filter", "filter", ARG_TEXT, 0, "EXPRESSION"},
	END};
static const struct arg_spec args_rule_del[] = {
	BRIDGE, HOOK, {"name", NULL, ARG_TEXT, ARG_REQUIRED, "NAME|all"}, END};
static const struct arg_spec args_rule_replace[] = {
	BRIDGE, HOOK, {"file", NULL, ARG_FILE, ARG_REQUIRED, "FILE"}, END};
static const struct arg_spec args_rule_show[] = {
	{"bridge", NULL, ARG_BRIDGE, 0, "BR"}, {"hook", NULL, ARG_CHOICE, 0, NULL, HOOKS}, END};
static const struct arg_spec args_mirror_add[] = {
	BRIDGE,
	{"name", NULL, ARG_TEXT, ARG_REQUIRED, "NAME"},
	{"to", "to", ARG_PORT, ARG_REQUIRED, "DEV|tap:NAME|netmap:NAME"},
	{"rx", "rx", ARG_PORT, 0, "DEV,..."},
	{"tx", "tx", ARG_PORT, 0, "DEV,..."},
	{"both", "both", ARG_PORT, 0, "DEV,..."},
	{"vlan", "vlan", ARG_TEXT, 0, "VLAN,..."},
	{"snap", "snap", ARG_UINT, 0, "BYTES"},
	{"filter", "filter", ARG_TEXT, 0, "EXPRESSION"},
	{"replace", "replace", ARG_FLAG},
	END};
static const struct arg_spec args_mirror_del[] = {
	BRIDGE, {"name", NULL, ARG_TEXT, ARG_REQUIRED, "NAME"}, END};
static const struct arg_spec args_capture[] = {
	BRIDGE,
	{"file", "-w", ARG_FILE, 0, "FILE|-"},
	{"points", "point", ARG_CHOICE, ARG_MANY, NULL, "in|out|drop|before|after"},
	{"port", "port", ARG_PORT, 0, "DEV"},
	{"snaplen", "snaplen", ARG_UINT, 0, "BYTES"},
	{"count", "count", ARG_UINT, 0, "N"},
	{"seconds", "for", ARG_UINT, 0, "SECONDS"},
	{"filter", "filter", ARG_TEXT, 0, "EXPRESSION"},
	END};
static const struct arg_spec args_none[] = {END};

const struct command commands[] = {
	{"addbr", NULL, args_addbr, cmd_simple, "bridge.add", "make a bridge",
	 "Starts viaductd when none runs. The bridge's own interface has its name.",
	 .starts_daemon = true},
	{"delbr", NULL, args_bridge, cmd_simple, "bridge.del", "remove a bridge and free its ports",
	 NULL},
	{"addif", NULL, args_addif, cmd_addif, NULL, "let devices join a bridge",
	 "DEV is a device, tap:NAME (a TAP that viaduct makes) or pcap:FILE (a capture, replayed "
	 "in a "
	 "loop; the port has the file's name). With -d it says which driver was chosen, and why."},
	{"delif", NULL, args_delif, cmd_delif, NULL, "take devices out of a bridge", NULL},
	{"hairpin", NULL, args_hairpin, cmd_simple, "port.set",
	 "may frames leave through the port they came from?", NULL},
	{"show", NULL, args_show, cmd_show, NULL, "list bridges, and kernel bridges beside them",
	 "The columns are those of brctl(8). Bridges of the kernel are listed apart, as not "
	 "adopted."},
	{"showmacs", NULL, args_bridge, cmd_showmacs, NULL, "list the addresses of a bridge",
	 "The columns are those of brctl(8); `viaduct fdb show` has VLANs and states too."},
	{"setageing", NULL, args_setageing, cmd_simple, "bridge.set",
	 "seconds until an unseen address is forgotten", "300 at first; 0 learns nothing."},
	{"stp", NULL, args_stp, cmd_simple, "bridge.set", "spanning tree on or off",
	 "Off at first. RSTP, or STP where a neighbour knows no better; see viaduct-stp(7)."},
	{"setbridgeprio", NULL, args_prio, cmd_simple, "bridge.set",
	 "bridge priority: the lowest is the root", "32768 at first; a multiple of 4096 to 61440."},
	{"setfd", NULL, args_setfd, cmd_simple, "bridge.set", "forward delay",
	 "15 at first, 4 to 30; max_age may be 2 * (forward_delay - 1) at most."},
	{"sethello", NULL, args_sethello, cmd_simple, "bridge.set", "hello time",
	 "2 at first, 1 to 2; with stp_version stp to 10."},
	{"setmaxage", NULL, args_setmaxage, cmd_simple, "bridge.set", "maximum message age",
	 "20 at first, 6 to 40, and at least 2 * (hello_time + 1)."},
	{"setpathcost", NULL, args_cost, cmd_simple, "port.set", "path cost of a port",
	 "1 to 200000000; 0, as at first: by the speed of the link."},
	{"setportprio", NULL, args_portprio, cmd_simple, "port.set", "priority of a port",
	 "32 at first, 0 to 63: a quarter of what IEEE 802.1D calls priority."},
	{"mcheck", NULL, args_bridge_port, cmd_simple, "port.mcheck",
	 "speak RSTP again on a port that fell back to STP", NULL},
	{"showstp", NULL, args_bridge, cmd_showstp, NULL, "spanning tree state",
	 "In the layout of brctl(8); roles and more: viaduct -d link show."},

	{"link show", "list|lst|ls", args_link_show, cmd_link_show, NULL, "list bridges and ports",
	 "With -d every attribute of a port by its name in /sys/class/net/DEV/brport, with -s "
	 "counters."},
	{"link add", NULL, args_link_add, cmd_link_add, "bridge.add", "make a bridge",
	 "Times are in seconds (ip(8) has hundredths).", .starts_daemon = true},
	{"link del", "delete", args_link_del, cmd_link_del, "bridge.del", "remove a bridge", NULL},
	{"link set", NULL, args_link_set, cmd_link_set, NULL,
	 "join, leave, change flags and settings",
	 "DEV is a port, or a bridge with `type bridge`; what only bridges have (ageing_time, "
	 "address, mtu, vlan_..., stp_state and more) says so by itself. Several changes may stand "
	 "in "
	 "one line."},

	{"fdb show", "list|lst|ls", args_fdb_show, cmd_fdb_show, NULL, "list addresses", NULL},
	{"fdb add", "append", args_fdb_add, cmd_fdb_add, "fdb.add",
	 "add an entry; static by default", NULL},
	{"fdb replace", "change", args_fdb_add, cmd_fdb_add, "fdb.add",
	 "add an entry or change the one that is there", NULL},
	{"fdb del", "delete", args_fdb_del, cmd_fdb_del, "fdb.del", "remove an entry", NULL},
	{"fdb flush", NULL, args_fdb_flush, cmd_fdb_flush, "fdb.flush", "forget learned addresses",
	 "With `all` static entries go too."},
	{"fdb get", NULL, args_fdb_get, cmd_fdb_get, "fdb.get", "look one address up", NULL},

	{"vlan show", "list|lst|ls", args_vlan_show, cmd_vlan_show, NULL,
	 "list the VLANs of ports and of the bridges' own interfaces",
	 "Of one port or a bridge's own interface (`dev`), of all of a bridge (`br`), or of all. "
	 "With -s counters, which vlan_stats_enabled of a bridge switches on."},
	{"vlan add", NULL, args_vlan_change, cmd_vlan_change, "vlan.add",
	 "let a port be in VLANs, or change how it is",
	 "Frames without a tag belong to the `pvid`; in an `untagged` VLAN they leave without one. "
	 "`self` is for the bridge's own interface. They count while vlan_filtering of the bridge "
	 "is on."},
	{"vlan del", "delete", args_vlan_change, cmd_vlan_change, "vlan.del",
	 "take a port out of VLANs", NULL},

	{"adopt", NULL, args_adopt, cmd_adopt, "adopt.add",
	 "let netmap programs open a bridge or device of the kernel",
	 "It stays the kernel's; nothing is taken while no program reads. With `confirm` it is "
	 "released after SECONDS unless the command is given again. `dry-run` lists what would be "
	 "touched. `via xdp` takes what members receive by XDP where they can. Programs of root "
	 "adopt by opening, without this command. See viaduct-adopt(7).",
	 .starts_daemon = true},
	{"release", NULL, args_release, cmd_simple, "adopt.release",
	 "end that; programs that have it open lose it",
	 "Opens the gates, too, that a bridge which fails closed kept when its daemon ended.",
	 .starts_daemon = true},
	{"rings", NULL, args_rings, cmd_rings, NULL, "netmap programs and the rings they hold",
	 "For each ring who has it, what waits in it, what was dropped; for each side of a bridge "
	 "how frames that came back were recognised."},
	{"intercept", NULL, args_intercept, cmd_intercept, "intercept.set",
	 "what netmap programs get to see of a bridge",
	 "Without a setting it shows them. An expression is one quoted word in the syntax of "
	 "pcap-filter(7). `access` lists who may open the bridge besides root. See "
	 "viaduct-netmap(4)."},

	{"rule show", "list|lst|ls", args_rule_show, cmd_rule_show, "rule.show",
	 "list the rules of hooks, with counters", NULL},
	{"rule add", NULL, args_rule_add, cmd_rule_add, "rule.add",
	 "add a rule to a hook of a bridge",
	 "At the end, or at place N. The first rule that accepts or drops a frame decides; without "
	 "one "
	 "it goes on. An expression is one quoted word in the syntax of pcap-filter(7). `mirror` "
	 "copies "
	 "to a mirror, `mark` sets a number that later rules can ask for; both go on to the next "
	 "rule. "
	 "Without a name it gets one, which is printed."},
	{"rule del", "delete", args_rule_del, cmd_simple, "rule.del", "remove a rule", NULL},
	{"rule replace", NULL, args_rule_replace, cmd_rule_replace, "rule.replace",
	 "put the rules of a file in place of all rules of a hook, at once",
	 "Each line is what stands behind `rule add BR HOOK`; # begins a comment, - is the "
	 "standard "
	 "input. Rules of the same name and text keep their counters."},
	{"mirror show", "list|lst|ls", args_rings, cmd_mirror_show, "mirror.show",
	 "list mirrors, with counters", NULL},
	{"mirror add", NULL, args_mirror_add, cmd_mirror_add, "mirror.add",
	 "copy what ports receive and send to another port",
	 "The destination does nothing else meanwhile; tap:NAME makes a TAP, netmap:NAME a port "
	 "that "
	 "netmap programs open. Sources are ports (received, sent, or both) and VLANs (received); "
	 "a "
	 "mirror without any is for rules. "
	 "`snap` cuts copies."},
	{"mirror del", "delete", args_mirror_del, cmd_simple, "mirror.del", "remove a mirror",
	 NULL},

	{"stats", NULL, args_name, cmd_stats, NULL, "counters of each port",
	 "With -d also what the driver and the offload code did."},
	{"drops", NULL, args_drops, cmd_drops, NULL, "why frames were dropped",
	 "Every dropped frame has one reason. With `all` reasons without a drop are listed too."},
	{"trace", NULL, args_trace, cmd_trace, "trace.start", "follow frames through the bridge",
	 "Each frame that comes in (`from` one port, every N-th, those that match) is followed "
	 "step "
	 "by step, with the time of each, to what became of it and why: 10 frames or 10 seconds, "
	 "unless `count` and `for` say otherwise. An expression is one quoted word in the syntax "
	 "of "
	 "pcap-filter(7). With -j one JSON object a line. Ends with 1 if nothing matched."},
	{"explain", NULL, args_explain, cmd_explain, "explain.run",
	 "what would become of a frame, and why",
	 "Asks the bridge itself; nothing is sent, learned or counted. FRAME is its bytes in "
	 "hexadecimal; or `pcap FILE [N]`, the N-th of a capture; or what of this matters: `src "
	 "MAC`, "
	 "`dst MAC`, `vlan VLAN`, `type TYPE` (a number, or ip, ip6, arp), `len BYTES`, `payload "
	 "HEX`."},
	{"doctor", NULL, args_doctor, cmd_doctor, NULL,
	 "what is not as one would expect, why, and what cures it",
	 "Of one bridge or all, the kernel's too; needs no daemon for those. Looks for SECONDS (1) "
	 "at "
	 "what grows. Ends with 0 (fine), 1 (warning), 2 (problem) or 3 (could not look), as "
	 "monitoring wants it."},
	{"capture", NULL, args_capture, cmd_capture, NULL,
	 "write frames to a pcapng file, or a line for each",
	 "Each frame with its port, direction, time, what became of it, and why. FILE - is the "
	 "standard output: viaduct capture br0 -w - | wireshark -k -i -. `point` may be given "
	 "several times; without one it is `in`, what ports receive. An expression is one quoted "
	 "word in the syntax of pcap-filter(7)."},
	{"status", NULL, args_none, cmd_status, NULL, "the daemon, its memory and workers", NULL},
	{"monitor", NULL, args_monitor, cmd_monitor, NULL, "print events as they come",
	 "With -j one JSON object a line."},

	{"run", NULL, args_run, cmd_run, NULL, "a bridge in the foreground, gone on ctrl-C",
	 "Starts a daemon of its own, makes the bridge, lets the devices join, prints events; the "
	 "end "
	 "of the command puts everything back."},
	{"exec", NULL, args_exec, cmd_exec, NULL, "run a netmap program on the daemon's ports",
	 "Preloads libnetmap, so that a program that was built for the kernel module opens bridges "
	 "and interfaces of viaduct and, for root, of the kernel. Starts viaductd when none runs "
	 "(root). Options after PROGRAM are the program's."},
	{"check", NULL, args_file, cmd_check, NULL, "is a configuration file right?", NULL},
	{"reload", NULL, args_reload, cmd_reload, NULL,
	 "apply what changed in a configuration file, all or nothing", NULL},
	{"log", NULL, args_log, cmd_log, "log.set", "how much a part of the daemon logs",
	 "`all` sets the level of every part; `daemon/ports` of one."},
	{"debug objects", NULL, args_none, cmd_debug_objects, NULL, "what is alive in the daemon",
	 NULL},
	{"shutdown", NULL, args_none, cmd_shutdown, "shutdown",
	 "end the daemon and put its devices back; bridges' interfaces stay", NULL},
	{"help", NULL, args_help, cmd_help, NULL, "this text, or that of a command", NULL},
	{0},
};
