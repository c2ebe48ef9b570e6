# SPDX-License-Identifier: BSD-2-Clause
# What the acts of the demo and ./dev shell share: a world of namespaces, commands that are printed
# before they run, and checks.

root=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
build=${VIADUCT_BUILD:-$root/build}
completion=$root/src/cli/viaduct.bash
quiet=no
n_checks=0

bold= green= red= dim= plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' dim=$'\e[2m' plain=$'\e[0m'
fi
yes_mark=ok no_mark=FAILED unicode=no
case "${LC_ALL:-${LC_CTYPE:-${LANG:-}}}" in
*[uU][tT][fF]*8*) yes_mark=✓ no_mark=✗ unicode=yes ;;
esac

# Starts SCRIPT again inside new namespaces; does not return.
enter_world()
{
    local script=$1
    shift
    if [ "$(id -u)" != 0 ]; then
        echo "demo: needs root: it makes network namespaces and loads BPF programs. sudo ./dev demo" >&2
        exit 1
    fi
    [ -x "$build/viaductd" ] && [ -x "$build/viaduct" ] || {
        echo "demo: $build/viaductd is not built: ./dev build" >&2
        exit 1
    }
    exec unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private \
        bash "$script" --inside "$@"
}

# Private /run (names of namespaces, the daemon's sockets) and /sys (this network's devices).
make_world()
{
    mount -t tmpfs -o mode=755 run /run
    # The machine's must not be found: tc -n looks for one in the list of mounts, not where it is.
    while umount -l /sys/fs/bpf 2>/dev/null; do :; done
    mount -t sysfs sysfs /sys
    mount -t bpf bpf /sys/fs/bpf
    mkdir -p /run/netns
    ip link set lo up
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/viaduct-demo.XXXXXX")
    export VIADUCT_RUN_DIR=/run/viaduct PATH="$build:$build/examples:$PATH"
    trap 'exit 130' INT TERM
}

# What has to happen on every way out. Processes need no care: the script is process 1 of its world,
# and the kernel ends the others with it.
end_world()
{
    rm -rf "$scratch"
}

# The polite end: the bridge goes, its ports are as they were, the daemon stops.
leave_world()
{
    run viaduct delbr br0
    check "the bridge's interface is gone" bash -c '! ip link show dev br0'
    check "veth10 is as it was before" port_is_clean veth10
    check "veth30 is as it was before" port_is_clean veth30
    run viaduct shutdown
    check "the daemon has ended" until_true 5 bash -c '! viaduct status'
}

# Nothing of ours is left on a device: no promiscuity, no tc and no XDP program.
port_is_clean()
{
    ip -d link show dev "$1" | tee "$scratch/link"
    grep -q 'promiscuity 0' "$scratch/link" && ! grep -q xdp "$scratch/link" &&
        [ -z "$(tc filter show dev "$1" ingress 2>/dev/null)" ]
}

title()
{
    [ "$quiet" = yes ] || printf '\n%s== %s ==%s\n' "$bold" "$*" "$plain"
}

say()
{
    [ "$quiet" = yes ] || printf '\n%s\n' "$*"
}

show_command()
{
    [ "$quiet" = yes ] || printf '%s$ %s%s\n' "$bold" "$*" "$plain"
}

indent()
{
    sed 's/^/    /'
}

fail()
{
    printf '%s  %s %s%s\n' "$red" "$no_mark" "$1" "$plain"
    exit 1
}

# attempt COMMAND...: prints it, runs it, shows what it says; the result is the command's.
attempt()
{
    local status=0
    show_command "$*"
    "$@" >"$scratch/last" 2>&1 || status=$?
    if [ "$quiet" = no ] || [ "$status" != 0 ]; then
        sed '/^$/d' "$scratch/last" | indent
    fi
    return $status
}

# run COMMAND...: the same, but a failure ends the demo.
run()
{
    attempt "$@" || fail "exit status $?: $*"
}

# check TEXT COMMAND...: the demo is only worth something if it looks at the results.
check()
{
    local text=$1
    shift
    if ! "$@" >"$scratch/check" 2>&1; then
        indent <"$scratch/check"
        fail "$text"
    fi
    n_checks=$((n_checks + 1))
    [ "$quiet" = yes ] || printf '%s  %s %s%s\n' "$green" "$yes_mark" "$text" "$plain"
}

# Does the output of the last command have a line like this (extended regular expression)?
said()
{
    grep -qE "$1" "$scratch/last" || { cat "$scratch/last"; return 1; }
}

# until_true SECONDS COMMAND...: polls a condition.
until_true()
{
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { "$@"; return; }
        sleep 0.05
    done
}

# Prints a drawing from standard input, in ASCII where the terminal has no lines.
drawing()
{
    if [ $unicode = yes ]; then
        cat
    else
        sed 's/┌/+/g; s/┐/+/g; s/└/+/g; s/┘/+/g; s/├/+/g; s/┤/+/g; s/┬/+/g; s/┴/+/g
             s/─/-/g; s/│/|/g'
    fi
}

draw()
{
    drawing <<'EOF'

          ns1                                                    ns2
    ┌──────────────┐       ┌───────────────────────┐       ┌──────────────┐
    │ 192.168.56.1 │       │          br0          │       │ 192.168.56.2 │
    │       veth20 ├───────┤ veth10         veth30 ├───────┤ veth40       │
    └──────────────┘       └───────────────────────┘       └──────────────┘
EOF
}

# ns1 and ns2, each with one end of a cable whose other end is here.
two_hosts()
{
    run ip netns add ns1
    run ip netns add ns2
    run ip link add veth10 type veth peer name veth20 netns ns1
    run ip link add veth30 type veth peer name veth40 netns ns2
    run ip -n ns1 addr add 192.168.56.1/24 dev veth20
    run ip -n ns2 addr add 192.168.56.2/24 dev veth40
    run ip -n ns1 link set veth20 up
    run ip -n ns2 link set veth40 up
    run ip link set veth10 up
    run ip link set veth30 up
}

# A bridge between them, in brctl's words.
bridge_between()
{
    run viaduct addbr br0
    run viaduct addif br0 veth10 veth30
    run ip link set br0 up
    until_true 5 ip netns exec ns1 ping -c 1 -W 1 192.168.56.2 || fail "no connection"
}

# For an act that is started by itself: the hosts and the bridge of act 1, quietly.
need_hosts()
{
    if ! ip netns exec ns1 true 2>/dev/null; then
        quiet=yes
        two_hosts
        bridge_between
        quiet=no
    fi
}

# start FILE COMMAND...: prints it, runs it in the background; its output goes to scratch/FILE.
start()
{
    local file=$1
    shift
    show_command "$* &"
    "$@" >"$scratch/$file" 2>&1 &
    started=$!
}

# The rings of a program are in use: the bridge inspects.
rings_live()
{
    viaduct rings >"$scratch/rings" && grep -q ' live ' "$scratch/rings" &&
        ! grep -qE ' (unread|stalled) ' "$scratch/rings"
}

# collect FILE [LINES]: what a background command said (its last LINES are shown) counts as said().
collect()
{
    cp "$scratch/$1" "$scratch/last"
    tail -n "${2:-+1}" "$scratch/last" | sed '/^$/d' | indent
}
