#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ./dev interop suricata: Suricata 7 of Debian 13, built on Debian 12 with our headers and library as
# packages, then installed from them into a world of its own (namespaces, layers above /usr, /etc and
# /var) and run by the command of the unit's drop-in: as IDS, and inline, on a bridge of viaduct's and
# on one of the kernel's that is adopted. With the argument "own" or "adopted" only that.
#
# build-interop/suricata/packages/          suricata, and the libhtp that it needs
# build-interop/suricata/suricata.yaml      inline: Debian's, with the part tools/interop/suricata/ips.yaml
# build-interop/suricata/suricata-ids.yaml  the same with ids.yaml
# build-interop/suricata/viaduct.conf       the drop-in of suricata.service
set -euo pipefail

cd "${BASH_SOURCE[0]%/*}/../.."
. tools/interop/lib.sh

ours=$PWD/tools/interop/suricata
dir=$interop/suricata
eve=/var/log/suricata/eve.json
pid_file=/run/suricata.pid
quiet=yes
. "$ours/build.sh"

# ---- the world ----

# Writing goes to layers in memory; the machine's own files stay.
layer()
{
    local d
    for d; do
        mkdir -p "/run/layers/$d/upper" "/run/layers/$d/work"
        mount -t overlay overlay \
            -o "lowerdir=/$d,upperdir=/run/layers/$d/upper,workdir=/run/layers/$d/work" "/$d"
    done
}

install_packages()
{
    layer usr etc var
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d  # start nothing
    chmod 755 /usr/sbin/policy-rc.d
    DEBIAN_FRONTEND=noninteractive dpkg -i "$dir"/packages/*.deb
    mkdir -p /etc/systemd/system/suricata.service.d /var/log/suricata
    cp "$dir"/suricata.yaml "$dir"/suricata-ids.yaml /etc/suricata
    cp "$dir"/viaduct.conf /etc/systemd/system/suricata.service.d
    ln -sf "$build/viaduct" "$build/viaductd" /usr/local/bin
    sed "s,@bindir@,/usr/local/bin,g" tools/viaduct.service.in >/etc/systemd/system/viaduct.service
    export LD_LIBRARY_PATH=$build  # as if viaduct were installed
}

has_netmap()
{
    suricata --build-info | grep -E 'Netmap support: +yes' && ldd /usr/bin/suricata | grep "$build/libnetmap"
}

unit_is_right()
{
    local said
    said=$(systemd-analyze verify /lib/systemd/system/suricata.service 2>&1) || true
    ! grep -E 'suricata|viaduct' <<<"$said" | grep -v "Command 'man "
}

# vlan_host NAMESPACE CABLE ADDRESS: an interface there whose frames are tagged on the cable.
vlan_host()
{
    local in="ip netns exec $1" object=$scratch/$1.vlan.o
    ip -n "$1" link add vlan5 type veth peer name inner
    ip -n "$1" addr add "$3/24" dev vlan5
    ip -n "$1" link set vlan5 up
    ip -n "$1" link set inner up
    clang -O2 -g -target bpf -I"/usr/include/$(uname -m)-linux-gnu" \
        -DCABLE="$($in cat "/sys/class/net/$2/ifindex")" \
        -DINNER="$($in cat /sys/class/net/inner/ifindex)" -c "$ours/vlan.bpf.c" -o "$object"
    tc -n "$1" qdisc add dev inner clsact
    tc -n "$1" qdisc add dev "$2" clsact
    tc -n "$1" filter add dev inner ingress bpf direct-action object-file "$object" section push
    tc -n "$1" filter add dev "$2" ingress bpf direct-action object-file "$object" section pop
}

# A tagged network beside the first one.
add_vlan()
{
    vlan_host ns1 veth20 192.168.5.1
    vlan_host ns2 veth40 192.168.5.2
}

start_servers()
{
    serve_file
    echo needle >"$scratch/www/needle"
    echo forbidden >"$scratch/www/forbidden"
    ip netns exec ns2 /usr/bin/python3 -m http.server 7777 -d "$scratch/www" >/dev/null 2>&1 &
    ip netns exec ns2 iperf3 -s >/dev/null 2>&1 &
    until_true 10 ip netns exec ns2 bash -c 'ss -ltn | grep -q :7777 && ss -ltn | grep -q :5201'
}

# ---- Suricata ----

# What the unit would run: its ExecStartPre with the given number of rings, then ExecStart.
unit_line()
{
    sed -n "s/^$1=\(..*\)/\1/p" /etc/systemd/system/suricata.service.d/viaduct.conf
}

# start_suricata CONFIG RINGS ARGUMENTS...: returns when it inspects; it has gone into the background.
start_suricata()
{
    local config=$1 rings=$2 line
    shift 2
    rm -f "$eve" "$pid_file"
    line=$(unit_line ExecStartPre)
    ${line/rings 1/rings $rings}
    line=$(unit_line ExecStart)
    ${line/suricata.yaml/$config} -S "$ours/test.rules" -l /var/log/suricata "$@" >"$scratch/start" 2>&1 || {
        cat "$scratch/start"
        return 1
    }
    pid=$(cat "$pid_file")
    until_true 20 inspects
}

inspects()
{
    viaduct rings >"$scratch/rings"
    grep -q ' live ' "$scratch/rings" && ! grep -E ' rx .*(unread|stalled)' "$scratch/rings"
}

stop_suricata()
{
    kill -TERM "$pid"
    until_true 20 gone && no_rings
}

gone()
{
    ! kill -0 "$pid" 2>/dev/null
}

# ---- what is looked at ----

# alerts NUMBER SID KEY=VALUE...: so many of them appear.
alerts()
{
    local n=$1
    shift
    until_true 5 alerts_now "$n" "$@"
}

alerts_now()
{
    local n
    n=$(/usr/bin/python3 "$ours/eve.py" "$eve" "${@:2}")
    [ "$n" = "$1" ] || { echo "$n alerts, $1 expected: ${*:2}"; return 1; }
}

some_alerts()
{
    until_true 5 some_now "$@"
}

some_now()
{
    ! alerts_now 0 "$@"
}

# To the port that a rule drops.
connects()
{
    timeout 2 ip netns exec ns1 bash -c "exec 3<>/dev/tcp/$1/7777"
}

blocked()
{
    ! timeout 1 ip netns exec ns1 bash -c "exec 3<>/dev/tcp/$1/7777"
}

get()
{
    ip netns exec ns1 timeout 10 /usr/bin/python3 -c 'import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=2).read())' "http://$1:8000/$2"
}

get_fails()
{
    ! get "$@"
}

# in_world NAMESPACE|host COMMAND...
in_world()
{
    if [ "$1" = host ]; then
        "${@:2}"
    else
        ip netns exec "$@"
    fi
}

# Echo replies that arrived there. ping itself waits for its last one as long as for two others only, so
# that on a busy machine it misses what came.
replies()
{
    in_world "$1" cat /proc/net/snmp |
        awk '/^Icmp:/ { for (i in name) if (name[i] == "InEchoReps") print $i; split($0, name) }'
}

replied()
{
    local n
    n=$(($(replies "$1") - $2))
    echo "$n of $4 replies arrived"
    [ "$n" -ge "$3" ] && [ "$n" -le "$4" ]
}

# pings_pass NAMESPACE|host ADDRESS: all arrive, and none twice.
pings_pass()
{
    local before
    before=$(replies "$1")
    in_world "$1" ping -n -q -i 0.02 -c 20 "$2" || true
    until_true 3 replied "$1" "$before" 20 20 && sleep 0.1 && replied "$1" "$before" 20 20
}

fetches()
{
    fetch_file "$@" && cmp "$scratch/www/sent" "$scratch/got"
}

offloads_are_on()
{
    ip netns exec ns1 ethtool -k veth20 | grep -E 'tcp-segmentation-offload: on' &&
        ip netns exec ns2 ethtool -k veth40 | grep -E 'tcp-segmentation-offload: on' &&
        ethtool -k br0 | grep -E 'tcp-segmentation-offload: on'
}

# of_sides EXPRESSION: its sum over the sides r of the bridge: what its ports received, what the host sent.
of_sides()
{
    viaduct -j rings | /usr/bin/python3 -c 'import json, sys
print(sum(eval(sys.argv[1]) for r in json.load(sys.stdin) if r["kind"] == "side"))' "$1"
}

# Frames that went on without Suricata, whatever the reason.
not_inspected()
{
    of_sides 'r["uninspected"] + r["oversize"] + r["exempted"] + r["overflow_pass"]'
}

all_inspected()
{
    local n
    n=$(not_inspected)
    [ "$n" = "$1" ] || { echo "$((n - $1)) frames went on uninspected"; viaduct rings; return 1; }
}

some_uninspected()
{
    ! all_inspected "$1"
}

# What an IDS gets.
only_copies()
{
    [ "$(of_sides 'r["copied"]')" -gt 0 ] && [ "$(of_sides 'r["taken"]')" = 0 ]
}

# Frames that Suricata gave back.
frames_back()
{
    viaduct -j rings | /usr/bin/python3 -c 'import json, sys
print(sum(r["frames"] for r in json.load(sys.stdin) if r["kind"] == "ring" and r["dir"] == "tx"))'
}

# One TCP stream for three seconds.
stream()
{
    ip netns exec ns1 timeout 30 iperf3 -c 192.168.56.2 -t 3 -J >"$scratch/iperf" || true
    /usr/bin/python3 -c 'import json, sys
r = json.load(sys.stdin)["end"]
print("%.2f Gbit/s, %d segments sent again" % (
    r["sum_received"]["bits_per_second"] / 1e9, r["sum_sent"]["retransmits"]))' <"$scratch/iperf"
}

# The same, with how much of it Suricata has seen.
note_stream()
{
    local how=$1 back uninspected rate
    back=$(frames_back)
    uninspected=$(not_inspected)
    rate=$(stream)
    note "$how: one TCP stream runs at $rate; $(($(frames_back) - back)) frames came back from" \
        "Suricata, $(($(not_inspected) - uninspected)) went on without it"
}

# ---- tests ----

# Pings, TCP, and the rules, between two addresses; VLAN as eve.json shows it.
test_rules()
{
    local how=$1 net=$2 vlan=$3
    result "$how: no ping is lost or doubled" pings_pass ns1 "$net.2"
    result "$how: each ping is one alert with its addresses" \
        alerts 20 9000003 "src=$net.1" "dst=$net.2" "vlan=$vlan"
    result "$how: 32 MB of TCP arrive, all bytes right" fetches "$net.2"
    result "$how: a rule that drops a port drops it" blocked "$net.2"
    result "$how: and its alert says so" \
        some_alerts 9000001 "src=$net.1" "dst=$net.2" port=7777 action=blocked "vlan=$vlan"
    result "$how: a rule that drops an address in HTTP drops it" get_fails "$net.2" forbidden
    result "$how: and its alert says so" \
        some_alerts 9000002 "src=$net.1" "dst=$net.2" port=8000 action=blocked "vlan=$vlan"
    result "$how: another address passes" get "$net.2" needle
    result "$how: with one alert" \
        alerts 1 9000004 "src=$net.1" "dst=$net.2" port=8000 action=allowed "vlan=$vlan"
}

# Frames of the host come by br0^.
test_host()
{
    local how=$1
    result "$how: no ping from the host is lost or doubled" pings_pass host 192.168.56.2
    result "$how: each is one alert with its addresses" \
        alerts 20 9000003 src=192.168.56.254 dst=192.168.56.2
    result "$how: no ping to the host is lost or doubled" pings_pass ns1 192.168.56.254
    result "$how: each is one alert with its addresses" \
        alerts 20 9000003 src=192.168.56.1 dst=192.168.56.254
    result "$how: 32 MB of TCP reach the host, all bytes right" fetches 192.168.56.2 env
}

# Stopped for longer than stall-ms, with a connection that goes on meanwhile.
test_stop()
{
    local how=$1 uninspected
    uninspected=$(not_inspected)
    ip netns exec ns1 timeout 40 iperf3 -c 192.168.56.2 -b 20M -t 8 -J >"$scratch/across" 2>&1 &
    local across=$!
    sleep 1
    kill -STOP "$pid"
    result "$how stopped: what it dropped passes" until_true 4 connects 192.168.56.2
    result "$how stopped: no ping is lost or doubled" pings_pass ns1 192.168.56.2
    result "$how stopped: 32 MB of TCP arrive, all bytes right" fetches
    result "$how stopped: and are counted as not inspected" some_uninspected "$uninspected"
    kill -CONT "$pid"
    result "$how continued: it is back by itself" is_back
    until_true 5 inspects
    uninspected=$(not_inspected)
    result "$how continued: no ping is lost or doubled" pings_pass ns1 192.168.56.2
    result "$how continued: 32 MB of TCP arrive, all bytes right" fetches
    result "$how continued: nothing of that went on uninspected" all_inspected "$uninspected"
    wait $across || true
    result "$how: a connection from before lives on" lived_on
}

is_back()
{
    until_true 5 blocked 192.168.56.2 || { viaduct rings; viaduct drops; return 1; }
}

# The last second of the connection carried something, and it ended in order.
lived_on()
{
    /usr/bin/python3 -c 'import json, sys
r = json.load(sys.stdin)
rates = [round(i["sum"]["bits_per_second"] / 1e6, 1) for i in r["intervals"]]
print(r.get("error", ""), "Mbit/s per second:", *rates)
sys.exit("error" in r or rates[-1] < 1)' <"$scratch/across"
}

test_kill()
{
    local how=$1 before
    before=$(replies ns1)
    ip netns exec ns1 ping -n -q -i 0.02 -c 100 192.168.56.2 >/dev/null 2>&1 &
    local ping_pid=$!
    sleep 0.6
    kill -KILL "$pid"
    wait $ping_pid || true
    result "$how killed: at most one ping of 100 is lost, none doubled" \
        until_true 3 replied ns1 "$before" 99 100
    result "$how killed: what it dropped passes" connects 192.168.56.2
    result "$how killed: 32 MB of TCP arrive, all bytes right" fetches
    until_true 5 no_rings
}

test_ips()
{
    local rings=$1 mode=$2 how="${kind}IPS, $2, threads: $1" uninspected
    result "$how: it starts and inspects" start_suricata suricata.yaml "$rings" --runmode "$mode"
    inspects || return 0
    pid=$(cat "$pid_file")
    result "$how: br0 is unchanged" same_bridge
    uninspected=$(not_inspected)
    test_rules "$how" 192.168.56 ""
    test_rules "$how, VLAN" 192.168.5 5
    test_host "$how"
    note_stream "$how"
    result "$how: nothing went on uninspected so far" all_inspected "$uninspected"
    test_stop "$how"
    test_kill "$how"
    result "$how: br0 is unchanged afterwards" same_bridge
}

test_ids()
{
    local rings=$1 mode=$2 how="${kind}IDS, $2, threads: $1"
    result "$how: it starts and inspects" start_suricata suricata-ids.yaml "$rings" --runmode "$mode"
    inspects || return 0
    pid=$(cat "$pid_file")
    result "$how: br0 is unchanged" same_bridge
    result "$how: no ping is lost or doubled" pings_pass ns1 192.168.56.2
    result "$how: each ping is one alert with its addresses" \
        alerts 20 9000003 src=192.168.56.1 dst=192.168.56.2
    result "$how, VLAN: no ping is lost or doubled" pings_pass ns1 192.168.5.2
    result "$how, VLAN: each ping is one alert with its addresses" \
        alerts 20 9000003 src=192.168.5.1 dst=192.168.5.2 vlan=5
    result "$how: 32 MB of TCP arrive, all bytes right" fetches
    result "$how: nothing is dropped by rule" connects 192.168.56.2
    result "$how: but shown" some_alerts 9000001 src=192.168.56.1 dst=192.168.56.2 action=allowed
    result "$how: an address in HTTP is one alert" get_and_alert
    result "$how: it gets copies, and takes nothing" only_copies
    note "$how: one TCP stream runs at $(stream) beside it"
    kill -STOP "$pid"
    result "$how stopped: no ping is lost or doubled" pings_pass ns1 192.168.56.2
    result "$how stopped: 32 MB of TCP arrive, all bytes right" fetches
    kill -CONT "$pid"
    result "$how continued: it sees again" sees_again
    result "$how: it ends when told to" stop_suricata
    result "$how: br0 is unchanged afterwards" same_bridge
}

get_and_alert()
{
    get 192.168.56.2 needle && alerts 1 9000004 src=192.168.56.1 dst=192.168.56.2 port=8000
}

sees_again()
{
    until_true 5 inspects && get 192.168.5.2 needle &&
        alerts 1 9000004 src=192.168.5.1 dst=192.168.5.2 vlan=5
}

# test_bad_start TEXT EDIT: with the configuration edited (sed) it looks at br0 first, and fails then.
test_bad_start()
{
    local text=$kind$1
    sed "$2" /etc/suricata/suricata.yaml >/etc/suricata/bad.yaml
    result "$text: it does not start" fails_to_start -c /etc/suricata/bad.yaml --runmode autofp
    result "$text: br0 is unchanged" same_bridge
    result "$text: no ring is left open" until_true 5 no_rings
    result "$text: no ping is lost" pings_pass ns1 192.168.56.2
}

fails_to_start()
{
    local status=0
    timeout 30 suricata --netmap -S "$ours/test.rules" -l /var/log/suricata "$@" || status=$?
    tail -3 /var/log/suricata/suricata.log
    [ $status != 0 ] && [ $status != 124 ]  # 124: it ran until its time was up
}

test_bad_starts()
{
    test_bad_start "bad start, no such bridge" 's/copy-iface: br0^/copy-iface: br9^/'
    test_bad_start "bad start, more threads than rings" 's/threads: auto/threads: 5/'
    result "${kind}offloads are still on" offloads_are_on
}

# ---- the two bridges ----

# What is so without it; the state of the bridge is remembered.
test_without()
{
    state_of_bridge >"$scratch/before"
    result "${kind}offloads are on" offloads_are_on
    result "${kind}without Suricata port 7777 is open" connects 192.168.56.2
    result "${kind}and /forbidden is there" get 192.168.56.2 forbidden
    note "${kind}without Suricata one TCP stream runs at $(stream)"
}

test_own()
{
    local rings mode
    bridge_between
    ip addr add 192.168.56.254/24 dev br0
    test_without
    test_ids 1 workers
    test_ids 2 workers
    for mode in workers autofp; do
        for rings in 1 2; do
            test_ips $rings $mode
        done
    done
    test_bad_starts
    viaduct delbr br0
}

test_adopted()
{
    kind="adopted, "
    ip link add br0 type bridge
    ip link set veth10 master br0
    ip link set veth30 master br0
    ip link set br0 up
    ip addr add 192.168.56.254/24 dev br0
    until_true 5 ip netns exec ns1 ping -c 1 -W 1 192.168.56.2 || fail "no connection"
    test_without
    result "${kind}by one command" viaduct adopt br0
    test_ids 1 workers
    test_ips 1 workers
    test_ips 2 autofp
    test_bad_starts
    result "${kind}released" viaduct release br0
    result "${kind}released: br0 and its members are as before" same_bridge
    result "${kind}released: 32 MB of TCP arrive, all bytes right" fetches
    result "${kind}released: nothing is inspected" connects 192.168.56.2
}

kind=
members="veth10 veth30"
if [ "${1:-}" != --inside ]; then
    case ${1:-} in
    "" | own | adopted) ;;
    *) die "interop suricata: \"$1\" is neither own nor adopted" ;;
    esac
    build_suricata
    write_files
    enter_world tools/interop/suricata.sh "${1:-}"
fi

make_world
trap end_world EXIT
: >"$scratch/result"
result "its packages can be installed" install_packages
export LD_LIBRARY_PATH=$build  # as if viaduct were installed
two_hosts
add_vlan
start_servers
note "$(suricata -V), of the package $(dpkg-query -W -f '${Version}' suricata)"
result "it has netmap, by our library" has_netmap
[ ! -x /usr/bin/systemd-analyze ] || result "systemd reads the drop-in" unit_is_right
[ "${2:-}" = adopted ] || test_own
[ "${2:-}" = own ] || test_adopted
interop_record suricata
