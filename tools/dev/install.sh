# SPDX-License-Identifier: BSD-2-Clause
# ./dev install and ./dev uninstall. The list of what was installed lies in PREFIX/share/viaduct; uninstall
# removes the files on it and the directories that did not exist before, and nothing else.

parse_prefix()
{
    prefix=/usr/local
    while [ $# -gt 0 ]; do
        case "$1" in
        --prefix) prefix=${2:?--prefix: which directory?}; shift ;;
        --prefix=*) prefix=${1#*=} ;;
        *) die "install: $1: unknown argument" "./dev install [--prefix DIR]" ;;
        esac
        shift
    done
    [[ $prefix = /* ]] || die "prefix $prefix: not an absolute path"
    prefix=${prefix%/}
    manifest=${DESTDIR:-}$prefix/share/viaduct/installed
}

# Where systemd looks for units of such a prefix.
unit_dir()
{
    case "$prefix" in
    /usr) echo /lib/systemd/system ;;
    /usr/local) echo /usr/local/lib/systemd/system ;;
    *) echo /etc/systemd/system ;;
    esac
}

# Directories on the way to the files of standard input that do not exist yet, parents first.
new_directories()
{
    local file dir
    while read -r file; do
        dir=$(dirname "$file")
        while [ "$dir" != / ] && [ ! -d "$dir" ]; do
            echo "$dir"
            dir=$(dirname "$dir")
        done
    done | sort -u
}

# Caches that others keep of what we put or took away.
tell_others()
{
    [ -z "${DESTDIR:-}" ] || return 0
    [ "$(id -u)" != 0 ] || ldconfig
    if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
        systemctl daemon-reload || true
    fi
}

do_install()
{
    local files dirs old=
    parse_prefix "$@"
    configure build-install -Dprefix="$prefix" -Dsystemdsystemunitdir="$(unit_dir)" \
        -Dbuildtype=debugoptimized -Dtests=disabled
    compile build-install
    files=$("$meson" introspect build-install --installed |
        "$python" -c 'import json, sys; print(*json.load(sys.stdin).values(), sep="\n")' |
        sed "s|^|${DESTDIR:-}|")
    files+=$'\n'$manifest
    dirs=$(new_directories <<<"$files")
    if [ -f "$manifest" ]; then
        old=$(cat "$manifest")
        dirs+=$'\n'$(sed -n 's/^dir //p' <<<"$old")
    fi
    mkdir -p "$(dirname "$manifest")" || die "install: cannot write below ${DESTDIR:-}$prefix" "sudo ./dev install"
    # The list first: an installation that breaks off can still be undone.
    {
        sed '/^$/d; s/^/file /' <<<"$files"
        sed '/^$/d; s/^/dir /' <<<"$dirs" | sort -u
    } >"$manifest"
    "$meson" install -C build-install --no-rebuild --quiet
    # What an older version had and this one has not.
    comm -23 <(sed -n 's/^file //p' <<<"$old" | sort) <(sort <<<"$files") | while read -r f; do
        [ -z "$f" ] || rm -f "$f"
    done
    tell_others
    sed -n 's/^file /  /p' "$manifest"
    echo "installed. Start it: systemctl enable --now viaduct; or just: viaduct addbr br0"
}

do_uninstall()
{
    parse_prefix "$@"
    [ -f "$manifest" ] || die "uninstall: $manifest: no such file; nothing was installed below $prefix" \
        "./dev uninstall --prefix DIR, with the prefix of ./dev install"
    if [ -z "${DESTDIR:-}" ] && [ -d /run/systemd/system ] && systemctl -q is-active viaduct 2>/dev/null; then
        die "uninstall: viaduct.service is running" "systemctl disable --now viaduct"
    fi
    local list
    list=$(cat "$manifest")
    sed -n 's/^file //p' <<<"$list" | while read -r f; do
        rm -f "$f"
        echo "  removed $f"
    done
    # Deepest first; a directory that somebody else uses by now stays.
    sed -n 's/^dir //p' <<<"$list" | sort -r | while read -r d; do
        rmdir "$d" 2>/dev/null || true
    done
    tell_others
}
