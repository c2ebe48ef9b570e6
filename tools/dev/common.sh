# SPDX-License-Identifier: BSD-2-Clause
# Shared by the subcommands of ./dev: messages, packages, configuring and building.

# "dev: object: cause", a hint if there is one, exit 1.
die()
{
    echo "dev: $1" >&2
    [ -z "${2:-}" ] || echo "     $2" >&2
    exit 1
}

section()
{
    printf '\n== %s\n' "$*"
}

root_only()
{
    [ "$(id -u)" = 0 ] || die "$1: needs root: it makes network namespaces and loads BPF programs" "sudo ./dev $1"
}

# Where the chatter of a build goes when the user asked for something else.
quiet_log()
{
    mkdir -p build
    echo "build/dev-$1.log"
}

# C sources and headers of ours.
c_files()
{
    find src include tests bench examples -type f \( -name '*.c' -o -name '*.h' \) 2>/dev/null | sort
}

packages_of()
{
    awk -v set="$1" '!/^#/ && $1 == set { for (i = 2; i <= NF; i++) print $i }' tools/packages
}

# Packages of the sets that are not installed. One dpkg-query for all: this runs at every start.
missing_of()
{
    local set want
    want=$(for set; do packages_of "$set"; done)
    # shellcheck disable=SC2086
    awk 'NR == FNR { if ($2 == "ii") have[$1] = 1; next } !($1 in have)' \
        <(dpkg-query -W -f='${Package} ${db:Status-Abbrev}\n' $want 2>/dev/null || true) \
        <(echo "$want")
}

apt_retry()
{
    local n
    for n in 1 2 3; do
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 "$@" && return
        [ "$n" = 3 ] || { echo "dev: apt-get failed; again in 5 s" >&2; sleep 5; }
    done
    return 1
}

# Makes sure that the packages of these sets are there.
need()
{
    local missing answer
    if ! command -v dpkg-query >/dev/null; then
        [ -d build ] || echo "dev: not a Debian system: install what tools/packages lists" >&2
        return 0
    fi
    missing=$(missing_of "$@" | tr '\n' ' ')
    missing=${missing% }
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        die "packages are missing. Run:" "sudo apt-get install --no-install-recommends $missing"
    fi
    {
        echo "dev: packages to install:"
        # shellcheck disable=SC2086
        printf '  %s\n' $missing
    } >&2
    if [ "$yes" = no ] && [ -t 0 ] && [ -t 2 ]; then
        read -r -p "Install them? [Y/n] " answer
        case "$answer" in
        ''|[yY]*) ;;
        *) exit 1 ;;
        esac
    fi
    apt_retry update -qq >&2 || die "apt-get update failed" "are the package sources reachable?"
    # shellcheck disable=SC2086
    apt_retry install -y -qq --no-install-recommends $missing >&2 ||
        die "apt-get could not install the packages" "its messages are above"
    hash -r
}

# configure DIR OPTIONS...: sets a build directory up, again when the options have changed.
configure()
{
    local dir=$1 stamp
    shift
    stamp="CC=${CC:-} $*"
    if [ -f "$dir/build.ninja" ] && [ "$(cat "$dir/.dev-options" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    # A directory that somebody else set up with the default options is fine as it is.
    if [ -f "$dir/build.ninja" ] && [ ! -f "$dir/.dev-options" ] && [ $# = 0 ]; then
        echo "$stamp" >"$dir/.dev-options"
        return
    fi
    if [ -f "$dir/meson-private/coredata.dat" ]; then
        "$meson" setup --wipe "$dir" "$@"
    else
        "$meson" setup "$dir" "$@"
    fi || return
    echo "$stamp" >"$dir/.dev-options"
}

# The programs are promised at the top of the build directory.
link_products()
{
    local p
    for p in daemon/viaductd cli/viaduct; do
        if [ ! -e "$1/${p#*/}" ] && [ -e "$1/src/$p" ]; then
            ln -s "src/$p" "$1/${p#*/}"
        fi
    done
}

# compile DIR: written so that a failure shows also where the shell ignores errors ("if ! build").
compile()
{
    ninja -C "$1" -j "$jobs" && link_products "$1"
}

build()
{
    configure build && compile build
}
