# SPDX-License-Identifier: BSD-2-Clause
# Act 1: two hosts, a bridge between them in brctl's words.

title "Act 1: two hosts and a bridge"
say "Two network namespaces play two hosts. Their cables end here, in a third one."
two_hosts

say "The bridge, in brctl's words. The first command also starts the daemon."
bridge_between
draw

say "Do they reach each other?"
run ip netns exec ns1 ping -c 5 -i 0.2 192.168.56.2
check "no ping was lost" said ' 0% packet loss'

say "And one TCP stream for three seconds:"
ip netns exec ns2 iperf3 -s -1 >/dev/null 2>&1 &
until_true 5 ip netns exec ns2 bash -c 'ss -ltn | grep -q :5201' || fail "iperf3 does not listen"
run ip netns exec ns1 iperf3 -c 192.168.56.2 -t 3 -i 0 -f g
check "the stream moved data" said '[1-9][0-9.]* GBytes .*receiver|[0-9]{2,} MBytes .*receiver'
wait $! || true

say "What the bridge knows:"
run viaduct show
check "veth10 is listed" said veth10
check "veth30 is listed" said veth30
run viaduct showmacs br0
mac20=$(ip -n ns1 -o link show veth20 | sed 's/.*ether \([0-9a-f:]*\).*/\1/')
mac40=$(ip -n ns2 -o link show veth40 | sed 's/.*ether \([0-9a-f:]*\).*/\1/')
check "it has learned the address of ns1 ($mac20)" said "$mac20[[:space:]]+no"
check "it has learned the address of ns2 ($mac40)" said "$mac40[[:space:]]+no"

say "The host has an interface on the bridge too, named like it:"
run ip addr add 192.168.56.254/24 dev br0
run ping -c 3 -i 0.2 192.168.56.1
check "the host reaches ns1" said ' 0% packet loss'

say "Every dropped frame has a reason:"
run viaduct drops
