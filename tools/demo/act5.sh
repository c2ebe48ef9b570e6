# SPDX-License-Identifier: BSD-2-Clause
# Act 5: a bridge of the kernel, inspected without a change to it. Hosts, bridge and daemon of its own
# (need_hosts is for the end of the demo).

title "Act 5: a bridge that is already there"
need_hosts
say "Two more hosts, and a bridge of the kernel between them, as ip(8) makes it:"
run ip netns add ns3
run ip netns add ns4
run ip link add veth50 type veth peer name veth60 netns ns3
run ip link add veth70 type veth peer name veth80 netns ns4
run ip -n ns3 addr add 192.168.57.1/24 dev veth60
run ip -n ns4 addr add 192.168.57.2/24 dev veth80
run ip -n ns3 link set veth60 up
run ip -n ns4 link set veth80 up
run ip link add lan0 type bridge
run ip link set veth50 master lan0 up
run ip link set veth70 master lan0 up
run ip link set lan0 up
until_true 5 ip netns exec ns3 ping -c 1 -W 1 192.168.57.2 || fail "no connection"
drawing <<'EOD'

          ns3                                                    ns4
    ┌──────────────┐       ┌───────────────────────┐       ┌──────────────┐
    │ 192.168.57.1 ├───────┤ veth50  lan0   veth70 ├───────┤ 192.168.57.2 │
    └──────────────┘       └──┬─────────────────┬──┘       └──────────────┘
                              │     kernel      │
                        ──────┼─────────────────┼──────
                           ┌──┴─────────────────┴──┐
                           │       pass lan0       │
                           └───────────────────────┘
EOD

# All that an administrator can see of the bridge, without counters, ages and timers.
lan0_state()
{
    ip -d link show | grep -v -e altname
    bridge -d link show
    bridge fdb show br lan0
    for dev in lan0 veth50 veth70; do
        ethtool -k "$dev"
        tc qdisc show dev "$dev"
        tc filter show dev "$dev" ingress
        tc filter show dev "$dev" egress
        grep -s . /proc/sys/net/ipv[46]/conf/$dev/* | grep -v stable_secret || true
    done
}
without_times='s/(hello_timer|tcn_timer|topology_change_timer|gc_timer|hold_timer|message_age_timer|forward_delay_timer) +[0-9.]+//g; s/(fdb_n_learned|used) +[0-9]+//g'
lan0_state_file()
{
    lan0_state 2>/dev/null | sed -E "$without_times" | sort >"$scratch/$1"
}
sleep 2 # addresses of the new devices settle
lan0_state_file before

say "A TCP stream over it, and pings:"
start server5 ip netns exec ns4 iperf3 -s -1
server=$started
until_true 5 ip netns exec ns4 bash -c 'ss -ltn | grep -q :5201' || fail "iperf3 does not listen"
start iperf5 ip netns exec ns3 iperf3 -c 192.168.57.2 -t 9 -i 1 -f m --forceflush
stream=$started
start ping5 ip netns exec ns3 ping -n -i 0.1 192.168.57.2
ping_pid=$started
until_true 10 grep -qE ' 1\.0[0-9]-2' "$scratch/iperf5" || fail "the stream does not run"

say "One command, and nothing else is configured:"
old_run_dir=$VIADUCT_RUN_DIR
export VIADUCT_RUN_DIR=/run/viaduct-act5
start pass5 viaduct exec pass lan0
pass_pid=$started
until_true 5 rings_live || fail "pass does not read its rings"
sleep 1.5
run viaduct show
check "lan0 is adopted" said '^adopted'
run viaduct rings lan0
check "pass sees what its members receive" said 'nic0 rx +pass +[0-9]+ +live .* ago +[0-9]+,[0-9]'

say "The daemon is killed:"
daemon_pid=$(viaduct -j status | sed -E 's/.*"pid": *([0-9]+).*/\1/')
run kill -9 "$daemon_pid"
until_true 5 bash -c '! ip -br link show | grep -q "^vdt-"' || fail "its helper devices are still there"
kill "$pass_pid" 2>/dev/null || true
wait "$pass_pid" 2>/dev/null || true

say "Traffic goes on, for lan0 is a plain bridge of the kernel again:"
wait "$stream" || fail "the stream broke: $(tail -1 "$scratch/iperf5")"
wait "$server" || true
collect iperf5 12
check "it moved data in its last second, too" said ' 8.0[0-9]-9.*sec +[1-9][0-9.]* +.Bytes'
kill -INT "$ping_pid"
wait "$ping_pid" || true
collect ping5 3
check "hardly a ping was lost" said ', [0-5](\.[0-9]+)?% packet loss'

say "And nothing has changed: links, FDB, offloads, tc and sysctls are what they were."
lan0_state_file after
show_command "diff before after"
check "before and after are the same" diff "$scratch/before" "$scratch/after"
export VIADUCT_RUN_DIR=$old_run_dir
run ip link del lan0
run ip netns del ns3
run ip netns del ns4
