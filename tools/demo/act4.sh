# SPDX-License-Identifier: BSD-2-Clause
# Act 4: the inspecting program hangs, then dies. Needs the hosts and the bridge of act 1.

title "Act 4: the program hangs, and is killed"
need_hosts

say "After 300 ms without a sign of life the bridge goes round a program (fail open):"
run viaduct intercept br0 stall-ms 300
run viaduct intercept br0

start monitor viaduct monitor
monitor_pid=$started
start pass viaduct exec pass br0
pass_pid=$started
disown "$pass_pid" # no "Killed" from this shell later
until_true 5 rings_live || fail "pass does not read its rings"
start ping ip netns exec ns1 ping -n -i 0.1 192.168.56.2
ping_pid=$started
until_true 5 grep -q 'icmp_seq=8 ' "$scratch/ping" || fail "no answers to the pings"

say "It hangs:"
run kill -STOP "$pass_pid"
until_true 5 bash -c 'viaduct rings | grep -q " stalled "' || fail "the bridge does not go round it"
sleep 0.7
run viaduct rings
check "its ring is marked" said 'nic0 rx +pass +[0-9]+ +stalled'

say "It goes on:"
run kill -CONT "$pass_pid"
until_true 5 rings_live || fail "pass is not back"
sleep 0.5
run viaduct rings br0
check "it inspects again" said 'nic0 rx +pass +[0-9]+ +live'

say "It is killed:"
run kill -9 "$pass_pid"
until_true 5 bash -c 'viaduct rings | grep -q "no netmap program"' || fail "its rings are still there"
sleep 0.7
run viaduct rings

say "What the pings say that ran all the while:"
kill -INT "$ping_pid"
wait "$ping_pid" || true
collect ping 3
check "there were many" said '^([2-9][0-9]|[0-9]{3,}) packets transmitted'
check "none was lost, but for one in the program's hands when it was killed" \
    said ', [0-5](\.[0-9]+)?% packet loss'

say "And what the monitor tells:"
kill "$monitor_pid"
wait "$monitor_pid" || true
collect monitor
for event in attach inspect stall return detach; do
    check "$event" said "link +br0 +$event"
done
check "each names the program and why" said 'stall +pass pid [0-9]+ ring nic0: took no frame for [0-9]+ ms'
check "and what it means" said 'traffic goes round it'
check "the end, too" said 'detach +pass pid [0-9]+ .*(ended|killed).*; traffic goes on without it'
run viaduct intercept br0 stall-ms 1000
