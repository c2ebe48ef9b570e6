# SPDX-License-Identifier: BSD-2-Clause
# Act 2: a tap joins and leaves while traffic flows. Needs the hosts and the bridge of act 1.

title "Act 2: a port joins while traffic flows"
need_hosts
drawing <<'EOF'

          ns1                                                    ns2
    ┌──────────────┐       ┌───────────────────────┐       ┌──────────────┐
    │ 192.168.56.1 ├───────┤          br0          ├───────┤ 192.168.56.2 │
    └──────────────┘       └───────────┬───────────┘       └──────────────┘
                                     tap50
                           ┌───────────┴───────────┐
                           │      192.168.56.3     │  ns3
                           └───────────────────────┘
EOF

say "Ten pings a second from ns1 to ns2, all the time:"
show_command "ip netns exec ns1 ping -i 0.1 192.168.56.2 &"
ip netns exec ns1 ping -i 0.1 192.168.56.2 >"$scratch/ping" 2>&1 &
ping_pid=$!
until_true 5 grep -q 'icmp_seq=5 ' "$scratch/ping" || fail "no answers to the pings"

say "A tap, made by the bridge, goes to a third host:"
run viaduct addif br0 tap:tap50
run ip netns add ns3
run ip link set tap50 netns ns3
run ip -n ns3 addr add 192.168.56.3/24 dev tap50
run ip -n ns3 link set tap50 up
until_true 5 ip netns exec ns1 ping -c 1 -W 1 192.168.56.3 || fail "ns3 cannot be reached"
run ip netns exec ns1 ping -c 3 -i 0.2 192.168.56.3
check "ns3 answers" said ' 0% packet loss'
run viaduct -d link show tap50

say "And it leaves again:"
run viaduct delif br0 tap50
until_true 10 grep -qE 'icmp_seq=(3[5-9]|[4-9].) ' "$scratch/ping" || true

say "What the pings say that ran all the while:"
kill -INT "$ping_pid"
wait "$ping_pid" || true
cp "$scratch/ping" "$scratch/last"
tail -3 "$scratch/last" | indent
check "none was lost while the port came and went" said ', 0% packet loss'
check "and there were many" said '^([3-9][0-9]|[0-9]{3,}) packets transmitted'
run ip netns del ns3
