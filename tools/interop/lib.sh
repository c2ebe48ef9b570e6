# SPDX-License-Identifier: BSD-2-Clause
# ./dev interop PROGRAM: what its scripts share. Sources come from Debian, by a configuration of apt
# that lives in build-interop/ (the machine's own is only read); nothing of them is in this tree.
#
# build-interop/apt/         private lists and cache; build-interop/PROGRAM/apt/ for another release's
# build-interop/PROGRAM/     source, build, log
# build-interop/result.txt   the last result of each PROGRAM, all lines of it together

interop=$PWD/build-interop
interop_apt=$interop/apt
interop_suites=()  # "TYPE SUITE" each, instead of those of the machine: interop_use_suites
n_failed=0

. tools/dev/common.sh
. tools/demo/lib.sh

# The machine's sources of Debian itself, for source packages; others may not offer any.
interop_apt_sources()
{
    local dir=$interop_apt f
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/parts"
    for f in /etc/apt/sources.list.d/*.sources; do
        [ ! -r "$f" ] || sed 's/^Types:.*/Types: deb-src/' "$f"
        echo
    done | awk 'BEGIN { RS = ""; ORS = "\n\n" } /URIs:[^\n]*\/debian/' >"$dir/parts/debian.sources"
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -r "$f" ] || sed -nE 's/^deb ((\[[^]]*\] *)?[^ ]*\/debian.*)/deb-src \1/p' "$f"
    done >"$dir/sources.list"
    cat >"$dir/apt.conf" <<END
Dir::Etc::SourceList "$dir/sources.list";
Dir::Etc::SourceParts "$dir/parts";
Dir::State::Lists "$dir/lists";
Dir::Cache "$dir/cache";
APT::Sandbox::User "root";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
END
}

# interop_use_suites PROGRAM "TYPE SUITE"...: take packages from there, and from the machine's mirror.
interop_use_suites()
{
    interop_apt=$interop/$1/apt
    shift
    interop_suites=("$@")
}

# Replaces the sources by the chosen suites. Debian 12's keyring knows the later releases too.
interop_apt_suites()
{
    local parts=$interop_apt/parts uri s
    uri=$(grep -hoE 'https?://[^ ]*/debian/?( |$)' "$parts/debian.sources" "$interop_apt/sources.list") || true
    uri=${uri%%[[:space:]]*}
    [ -n "$uri" ] || die "interop: apt's sources name no mirror of Debian"
    : >"$interop_apt/sources.list"
    for s in "${interop_suites[@]}"; do
        printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "${s% *}" \
            "$uri" "${s#* }" \
            /usr/share/keyrings/debian-archive-keyring.gpg
    done >"$parts/debian.sources"
}

# Lists of the packages there; apt-get of this shell uses them from here on.
interop_apt_update()
{
    interop_apt_sources
    [ ${#interop_suites[@]} = 0 ] || interop_apt_suites
    export APT_CONFIG=$interop_apt/apt.conf
    apt_retry update -qq
}

# interop_source PACKAGE: prints the directory of its source, which is fetched once.
interop_source()
{
    local dir=$interop/$1
    if ! compgen -G "$dir/$1-*/debian/changelog" >/dev/null; then
        mkdir -p "$dir"
        (
            interop_apt_update && cd "$dir" && apt_retry source -qq "$1"
        ) >"$dir/fetch.log" 2>&1 || die "$1: its source could not be fetched" "see $dir/fetch.log"
    fi
    compgen -G "$dir/$1-*/debian/changelog" | sed 's,/debian/changelog$,,'
}

# Changes when what was built must be built again: the headers, or the arguments (files).
interop_stamp()
{
    cat include/*.h include/net/*.h "$@" | sha256sum | cut -d' ' -f1
}

# result TEXT COMMAND...: a line "pass TEXT" or "FAIL TEXT" with what the command said; all are run.
result()
{
    local text=$1
    shift
    if "$@" >"$scratch/check" 2>&1; then
        echo "pass  $text"
    else
        echo "FAIL  $text"
        tail -15 "$scratch/check" | indent
    fi | tee -a "$scratch/result"
    n_failed=$(grep -c ^FAIL "$scratch/result" || true)
}

# A line that is only information.
note()
{
    echo "note  $*" | tee -a "$scratch/result"
}

# interop_record PROGRAM: its lines replace those of its last run. Returns the verdict.
interop_record()
{
    local all=$interop/result.txt old=$scratch/result.old
    touch "$all"
    awk -v head="== $1" 'index($0, "== ") == 1 { mine = index($0, head) == 1 } !mine' "$all" >"$old"
    {
        cat "$old"
        echo "== $1: $(date -u +%F), kernel $(uname -r), $(git describe --always --dirty 2>/dev/null || true)"
        cat "$scratch/result"
    } >"$all"
    echo "interop $1: $(grep -c ^pass "$scratch/result") passed, $n_failed failed; in $all"
    [ "$n_failed" = 0 ]
}

# ---- what is looked at in the world of the tests (tools/demo/lib.sh makes it) ----

no_rings()
{
    viaduct rings | grep '^no netmap program'
}

# What a program might have changed of br0, and of its $members: flags, promiscuity, offloads, queues,
# programs. Without what changes by itself.
state_of_bridge()
{
    local dev
    for dev in br0 ${members:-}; do
        ip -d link show dev "$dev"
        ethtool -k "$dev"
        cat "/sys/class/net/$dev/flags"
        tc qdisc show dev "$dev"
    done | sed -E 's/(hello|tcn|topology_change|gc|hold|message_age|forward_delay)_timer +[0-9.]+//g
        s/(fdb_n_learned|used) +[0-9]+//g'
}

same_bridge()
{
    state_of_bridge | diff "$scratch/before" -
}

no_loss()
{
    cat "$scratch/ping"
    grep -q ' 0% packet loss' "$scratch/ping" && ! grep -q DUP "$scratch/ping"
}

# 32 MB from ns2 to ns1, to be compared. Another address, or another client (ip netns exec NAME), may
# be given.
fetch_file()
{
    local address=${1:-192.168.56.2}
    [ $# = 0 ] || shift
    [ $# -gt 0 ] || set -- ip netns exec ns1
    rm -f "$scratch/got"
    "$@" timeout 60 /usr/bin/python3 -c 'import sys, urllib.request
urllib.request.urlretrieve(f"http://{sys.argv[1]}:8000/sent", sys.argv[2])' "$address" "$scratch/got"
}

serve_file()
{
    mkdir "$scratch/www"
    head -c 32M /dev/urandom >"$scratch/www/sent"
    ip netns exec ns2 /usr/bin/python3 -m http.server 8000 -d "$scratch/www" >/dev/null 2>&1 &
    until_true 10 ip netns exec ns2 bash -c 'ss -ltn | grep -q :8000'
}
