# SPDX-License-Identifier: BSD-2-Clause
# ./dev interop PROGRAM: what its scripts share. Sources come from Debian, by a configuration of apt
# that lives in build-interop/ (the machine's own is only read); nothing of them is in this tree.
#
# build-interop/apt/         private lists and cache
# build-interop/PROGRAM/     source, build, log
# build-interop/result.txt   the last result of each PROGRAM, all lines of it together

interop=$PWD/build-interop
n_failed=0

. tools/dev/common.sh
. tools/demo/lib.sh

# The machine's sources of Debian itself, for source packages; others may not offer any.
interop_apt_sources()
{
    local dir=$interop/apt f
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

# interop_source PACKAGE: prints the directory of its source, which is fetched once.
interop_source()
{
    local dir=$interop/$1
    if ! compgen -G "$dir/$1-*/debian/changelog" >/dev/null; then
        mkdir -p "$dir"
        {
            interop_apt_sources
            export APT_CONFIG=$interop/apt/apt.conf
            apt_retry update -qq && (cd "$dir" && apt_retry source -qq "$1")
        } >"$dir/fetch.log" 2>&1 || die "$1: its source could not be fetched" "see $dir/fetch.log"
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
