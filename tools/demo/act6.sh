# SPDX-License-Identifier: BSD-2-Clause
# Act 6: the lost ping, on a bridge of the kernel. Hosts and bridge of its own; no daemon takes part
# (need_hosts is for the end of the demo).

title "Act 6: the lost ping"
need_hosts
# Those of act 5 had the same names, and namespaces go when they have time.
until_true 10 bash -c '! ip link show veth50 && ! ip link show veth70' || fail "devices of act 5 are still there"
say "A bridge of the kernel between two more hosts. It works:"
run ip netns add ns3
run ip netns add ns4
run ip link add veth50 type veth peer name veth60 netns ns3
run ip link add veth70 type veth peer name veth80 netns ns4
run ip -n ns3 addr add 192.168.58.1/24 dev veth60
run ip -n ns4 addr add 192.168.58.2/24 dev veth80
run ip -n ns3 link set veth60 up
run ip -n ns4 link set veth80 up
run ip link add lan1 type bridge
run ip link set veth50 master lan1 up
run ip link set veth70 master lan1 up
run ip link set lan1 up
until_true 5 ip netns exec ns3 ping -c 1 -W 1 192.168.58.2 || fail "no connection"
run ip netns exec ns3 ping -c 3 -i 0.2 192.168.58.2
check "no ping was lost" said ' 0% packet loss'
drawing <<'EOD'

          ns3                                                    ns4
    ┌──────────────┐       ┌───────────────────────┐       ┌──────────────┐
    │ 192.168.58.1 ├───────┤ veth50  lan1   veth70 ├───────┤ 192.168.58.2 │
    └──────────────┘       └───────────────────────┘       └──────────────┘
EOD

say "Then somebody installs software for containers, which does this:"
run sysctl -w net.bridge.bridge-nf-call-iptables=1
run iptables -P FORWARD DROP
attempt ip netns exec ns3 ping -c 3 -i 0.2 -W 1 192.168.58.2 || true
check "every ping is lost" said '3 packets transmitted, 0 received'

say "Everything looks right. The bridge forwards and knows both hosts, and the pings come in:"
run bridge link show
check "both ports forward" said 'veth70.* master lan1 state forwarding'
start ping6 ip netns exec ns3 ping -n -i 0.2 192.168.58.2
ping_pid=$started
run timeout 10 tcpdump -n -t -c 2 -i veth50 icmp
check "tcpdump sees them come in" said 'ICMP echo request'
attempt timeout 2 tcpdump -n -t -c 1 -i veth70 icmp || true
check "and never leave" said '^0 packets captured'

say "What is wrong with this bridge?"
attempt viaduct doctor lan1 || true
check "doctor names the setting" said 'net.bridge.bridge-nf-call-iptables is 1'
check "and the chain that drops them" said 'chain FORWARD of table filter .*policy DROP'
check "and a cure" said 'sysctl -w net.bridge.bridge-nf-call-iptables=0'

say "Where does this very ping end?"
run viaduct trace lan1 from veth50 count 1 filter icmp
check "it came in on veth50" said 'received on veth50'
check "the kernel dropped it, and says where" said 'NETFILTER_DROP in (nft_do_chain|nf_hook_slow)'
check "trace names who did it" said 'bridge-nf-call-iptables = 1.*chain FORWARD of table filter .*policy DROP'

say "The cure, as both print it:"
run sysctl -w net.bridge.bridge-nf-call-iptables=0
run viaduct trace lan1 from veth50 count 1 filter icmp
check "now it leaves on veth70" said 'sent on veth70'
kill -INT "$ping_pid"
wait "$ping_pid" || true
run ip netns exec ns3 ping -c 3 -i 0.2 192.168.58.2
check "no ping is lost" said ' 0% packet loss'
attempt viaduct doctor lan1 || true
check "doctor no longer finds the chain" bash -c "! grep -q 'chain FORWARD' '$scratch/last'"
run iptables -P FORWARD ACCEPT
run ip link del lan1
run ip netns del ns3
run ip netns del ns4
