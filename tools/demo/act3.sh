# SPDX-License-Identifier: BSD-2-Clause
# Act 3: a netmap program inspects what crosses the bridge, and drops one thing. Needs the hosts and
# the bridge of act 1.

title "Act 3: a netmap program between the hosts"
need_hosts
drawing <<'EOD'

          ns1                                                    ns2
    ┌──────────────┐       ┌───────────────────────┐       ┌──────────────┐
    │ 192.168.56.1 ├───────┤          br0          ├───────┤ 192.168.56.2 │
    └──────────────┘       └─┬───────────────────┬─┘       └──────────────┘
                       netmap:br0           netmap:br0^
                           ┌─┴───────────────────┴─┐
                           │   pass -f icmp br0    │
                           └───────────────────────┘
EOD

say "A TCP stream from ns1 to ns2, and pings:"
ip netns exec ns2 iperf3 -s -1 >/dev/null 2>&1 &
server=$!
until_true 5 ip netns exec ns2 bash -c 'ss -ltn | grep -q :5201' || fail "iperf3 does not listen"
start iperf ip netns exec ns1 iperf3 -c 192.168.56.2 -t 6 -i 1 -f m --forceflush
stream=$started
until_true 5 grep -qE ' 1\.0[0-9]-2' "$scratch/iperf" || fail "the stream does not run"
run ip netns exec ns1 ping -c 3 -i 0.2 192.168.56.2
check "no ping was lost" said ' 0% packet loss'

say "Now a netmap program, examples/pass.c: everything passes but what matches its expression."
start pass viaduct exec pass -f icmp br0
pass_pid=$started
until_true 5 rings_live || fail "pass does not read its rings"
attempt ip netns exec ns1 ping -c 5 -i 0.2 -W 1 192.168.56.2 || true
check "no ping comes through" said '5 packets transmitted, 0 received'

say "Who holds which ring, and what went through it:"
run viaduct rings
check "pass reads what the ports received" said 'nic0 rx +pass +[0-9]+ +live'
check "and it has seen the stream" said 'nic0 rx .* live .* ago +[0-9]+,[0-9]'
check "no frame was copied for it" said '^br0 +nic +[0-9,]+ +0 '

say "The stream ran on, through the program, with offloads untouched:"
wait "$stream" || fail "the stream broke: $(tail -1 "$scratch/iperf")"
wait "$server" || true
collect iperf 8
check "it moved data in its last second, too" said ' 5.0[0-9]-6.*sec +[1-9][0-9.]* +.Bytes'

say "The program ends; pings come through again."
show_command "kill $pass_pid"
kill "$pass_pid"
wait "$pass_pid" || true
collect pass 1
check "it dropped the five pings and nothing else" said 'dropped 5$'
run ip netns exec ns1 ping -c 3 -i 0.2 192.168.56.2
check "no ping was lost" said ' 0% packet loss'
