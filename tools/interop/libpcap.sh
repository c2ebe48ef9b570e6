#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ./dev interop libpcap: Debian's libpcap, built with our headers, below Debian's own tcpdump, which
# captures on netmap:br0. Pings and a TCP stream cross the bridge meanwhile; nothing may disturb them.
set -euo pipefail

cd "${BASH_SOURCE[0]%/*}/../.."
. tools/interop/lib.sh

pcap=$interop/libpcap/build
quiet=yes

# The interface of programs is all there is: configure looks for net/netmap_user.h, nothing is linked.
build_libpcap()
{
    local source stamp
    source=$(interop_source libpcap)
    stamp="$source $(interop_stamp tools/interop/libpcap.sh)"
    if [ "$(cat "$pcap/stamp" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    echo "building ${source##*/} with our headers"
    rm -rf "$pcap"
    cp -a "$source" "$pcap"  # Debian's patches count on building in the tree
    (
        cd "$pcap"
        CFLAGS="-O2 -g -I$root/include" ./configure --without-libnl --disable-bluetooth \
            --disable-dbus --disable-rdma
        make -j "$(nproc)" shared
    ) >"$pcap/log" 2>&1 || die "libpcap could not be built" "see $pcap/log"
    echo "$stamp" >"$pcap/stamp"
}

# start_tcpdump PORT OUTPUT ARGUMENTS...: returns when it listens. Its messages: OUTPUT.err.
start_tcpdump()
{
    local port=$1 out=$2
    shift 2
    LD_LIBRARY_PATH=$pcap viaduct exec tcpdump -n -i "$port" "$@" >"$out" 2>"$out.err" &
    dump_pid=$!
    until_true 10 listens
}

stop_tcpdump()
{
    kill -"${1:-TERM}" "$dump_pid"
    wait "$dump_pid" 2>/dev/null || [ "${1:-TERM}" = KILL ]
    until_true 5 no_rings
}

# It has its rings, and has synced each that it receives from.
listens()
{
    viaduct rings >"$scratch/rings"
    grep -q tcpdump "$scratch/rings" && ! grep -qE 'unread|stalled' "$scratch/rings"
}

# lines NUMBER PATTERN FILE: exactly so many lines match.
lines()
{
    local n
    n=$(grep -cE "$2" "$3") || true
    [ "$n" = "$1" ] || { echo "$n lines, $1 expected"; head -5 "$3"; tail -5 "$3"; return 1; }
}

# frames FILE FILTER: how many frames of a capture match.
frames()
{
    tcpdump -n -r "$1" "$2" 2>/dev/null | wc -l
}

some_frames()
{
    [ "$(frames "$1" "$2")" -gt 0 ]
}

ping_across()
{
    ip netns exec ns1 ping -n "$@" 192.168.56.2 >"$scratch/ping" 2>&1 || true
}

# Should tcpdump be too slow for the stream, it misses copies, and the bridge nothing.
test_together()
{
    local w=$scratch/all.pcap wrong
    start_tcpdump netmap:br0 "$scratch/w" -Z root -s 0 -w "$w"
    result "br0 is unchanged while tcpdump captures" same_bridge
    ip netns exec ns1 ping -n -i 0.02 -c 100 192.168.56.2 >"$scratch/ping" 2>&1 &
    local ping_pid=$!
    result "a TCP stream of 32 MB arrives while tcpdump captures" fetch_file
    result "its bytes are right" cmp "$scratch/www/sent" "$scratch/got"
    wait $ping_pid || true
    result "no ping was lost or doubled beside it" no_loss
    stop_tcpdump
    result "tcpdump's file has the stream" some_frames "$w" 'tcp port 8000'
    result "and pings" some_frames "$w" icmp
    result "its frames are whole segments (none over 1514 bytes)" \
        test "$(frames "$w" 'greater 1515')" = 0
    tcpdump -n -v -r "$w" >"$scratch/v" 2>/dev/null
    wrong=$(grep -cE 'incorrect|bad cksum' "$scratch/v") || true
    result "with correct checksums" test "$wrong" = 0
    note "of the stream and the pings $(frames "$w" '') frames were captured," \
        "$(frames "$w" icmp) of the 200 of the pings among them"
}

# By itself tcpdump gives its privileges up when it has opened the port.
test_pings()
{
    start_tcpdump netmap:br0 "$scratch/text" -l icmp
    ping_across -i 0.02 -c 50
    result "no ping is lost or doubled while tcpdump captures" no_loss
    until_true 5 lines 50 'echo reply' "$scratch/text" || true
    stop_tcpdump
    result "tcpdump shows all 50 requests, once" lines 50 'echo request' "$scratch/text"
    result "and all 50 replies, once" lines 50 'echo reply' "$scratch/text"
    result "tcpdump ended by itself when told to" grep -q 'packets captured' "$scratch/text.err"
}

test_kill()
{
    start_tcpdump netmap:br0 "$scratch/killed" -Z root -w "$scratch/killed.pcap"
    ip netns exec ns1 ping -n -i 0.02 -c 50 192.168.56.2 >"$scratch/ping" 2>&1 &
    local ping_pid=$!
    sleep 0.4
    stop_tcpdump KILL
    wait $ping_pid || true
    result "no ping is lost when tcpdump is killed" no_loss
}

# With the host's rings open for sending too, only mode copy makes a reader of it.
test_host()
{
    viaduct intercept br0 mode copy
    ip addr add 192.168.56.254/24 dev br0
    start_tcpdump 'netmap:br0*' "$scratch/host" -l icmp and host 192.168.56.254
    ping -n -i 0.02 -c 50 192.168.56.1 >"$scratch/ping" 2>&1 || true
    result "no ping of the host is lost or doubled (netmap:br0*, mode copy)" no_loss
    until_true 5 lines 50 'echo reply' "$scratch/host" || true
    stop_tcpdump
    result "tcpdump shows all 50 requests of the host, once" lines 50 'echo request' "$scratch/host"
    result "and all 50 replies to it, once" lines 50 'echo reply' "$scratch/host"
    ip addr del 192.168.56.254/24 dev br0
    viaduct intercept br0 mode auto
}

# A name without a device.
test_mirror()
{
    viaduct mirror add br0 m to netmap:ids both veth10,veth30
    start_tcpdump netmap:ids "$scratch/mirror" -l icmp
    ping_across -i 0.02 -c 50
    result "no ping is lost or doubled while tcpdump captures on a mirror (netmap:ids)" no_loss
    until_true 5 lines 50 'echo reply' "$scratch/mirror" || true
    stop_tcpdump
    result "tcpdump shows all 50 requests, once" lines 50 'echo request' "$scratch/mirror"
    result "and all 50 replies, once" lines 50 'echo reply' "$scratch/mirror"
    viaduct mirror del br0 m
}

has_netmap()
{
    LD_LIBRARY_PATH=$pcap tcpdump --version
    grep -q 'define PCAP_SUPPORT_NETMAP 1' "$pcap/config.h" &&
        LD_LIBRARY_PATH=$pcap ldd "$(command -v tcpdump)" | grep "$pcap/libpcap.so"
}

# If Debian's own knew netmap ports, the tests below would say nothing about ours.
debian_has_not()
{
    ! viaduct exec timeout 5 tcpdump -n -c 1 -i netmap:br0 2>"$scratch/stock" &&
        grep -i 'no such device' "$scratch/stock"
}

if [ "${1:-}" != --inside ]; then
    build_libpcap
    enter_world tools/interop/libpcap.sh --inside
fi

make_world
trap end_world EXIT
two_hosts
bridge_between
serve_file
state_of_bridge >"$scratch/before"
: >"$scratch/result"
note "$(LD_LIBRARY_PATH=$pcap tcpdump --version 2>&1 | head -2 | paste -sd, | sed 's/,/, /')"
result "libpcap has netmap, and tcpdump uses it" has_netmap
result "Debian's own libpcap cannot open netmap:br0" debian_has_not
test_pings
test_together
test_kill
test_host
test_mirror
result "br0 is unchanged afterwards" same_bridge
result "the bridge still forwards" ip netns exec ns1 ping -c 3 -i 0.1 192.168.56.2
interop_record libpcap
