# SPDX-License-Identifier: BSD-2-Clause
# Part of ./dev interop suricata: packages from Debian 13's source, and the files that go with them.

# Debian 12's libhtp is too old for Suricata 7; the backports have that of Debian 13, built for 12.
fetch_libhtp()
{
    compgen -G "$dir/htp/libhtp-dev_*.deb" >/dev/null && return
    mkdir -p "$dir/htp"
    (
        interop_apt_update && cd "$dir/htp" && apt_retry download libhtp2 libhtp-dev
    ) >"$dir/htp/log" 2>&1 || die "libhtp: its packages could not be fetched" "see $dir/htp/log"
}

# The development package is used where it lies, and not installed.
unpack_libhtp()
{
    local deb pc
    for deb in "$dir"/htp/*.deb; do
        dpkg-deb -x "$deb" "$dir/htp/root"
    done
    pc=$(find "$dir/htp/root" -name htp.pc)
    sed -i "s,^prefix=.*,prefix=$dir/htp/root/usr," "$pc"
    export PKG_CONFIG_PATH=${pc%/*}
}

# netmap is switched on; DPDK and eBPF programs, which nothing here uses, are left out; our libraries
# belong to no package yet.
edit_rules()
{
    local htp
    htp=$(dpkg-deb -f "$dir"/htp/libhtp2_*.deb Version)
    sed -i -e "s,--enable-hiredis,& --enable-netmap --with-netmap-includes=$root/include," \
        -e "s,--enable-netmap,& --with-netmap-libraries=$build," \
        -e 's,^\(DPDK\|EBPF\)_ARCHS.*,\1_ARCHS =,' \
        -e "s,^LIBHTP_PKG_VERSION.*,LIBHTP_PKG_VERSION = $htp," debian/rules
    printf '\noverride_dh_shlibdeps:\n\tdh_shlibdeps -- --ignore-missing-info\n' >>debian/rules
}

# A version of its own: newer than Debian's of today, older than the next.
name_version()
{
    local version
    version=$(dpkg-parsechangelog -S Version)+viaduct1
    {
        printf 'suricata (%s) UNRELEASED; urgency=medium\n\n' "$version"
        printf '  * Built with netmap, on the library of viaduct.\n\n'
        printf ' -- viaduct <viaduct@localhost>  %s\n\n' "$(date -R)"
        cat debian/changelog
    } >debian/changelog.new
    mv debian/changelog.new debian/changelog
}

# Debian's own Rust, whatever else is in PATH; the crates are in the tarball.
compile_suricata()
{
    export PATH=/usr/sbin:/usr/bin:/sbin:/bin CARGO_NET_OFFLINE=true
    export DEB_BUILD_OPTIONS="nocheck noddebs parallel=$(nproc)"
    export LD_LIBRARY_PATH=$build:$dir/htp/root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
    name_version
    edit_rules
    nice -n 10 dpkg-buildpackage -d -b -us -uc
}

build_suricata()
{
    local source stamp start=$SECONDS
    interop_use_suites suricata "deb-src trixie" "deb bookworm-backports"
    source=$(interop_source suricata)
    fetch_libhtp
    stamp="$source $(cd "$dir/htp" && echo *.deb) $(interop_stamp "$ours/build.sh")"
    if [ "$(cat "$dir/build/stamp" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    echo "building ${source##*/}: about ten minutes; $dir/log tells how far it is"
    rm -rf "$dir/build" "$dir/packages" "$dir/htp/root"
    mkdir -p "$dir/packages"
    mkdir "$dir/build"
    cp -a "$source" "$dir/build/suricata"
    (
        unpack_libhtp
        cd "$dir/build/suricata"
        compile_suricata
    ) >"$dir/log" 2>&1 || die "suricata could not be built" "see $dir/log"
    cp "$dir"/build/*.deb "$dir"/htp/libhtp2_*.deb "$dir/packages"
    echo "$stamp" >"$dir/build/stamp"
    echo "built in $((SECONDS - start)) s"
}

# yaml_with PART: Debian's configuration, with our part in place of its section netmap.
yaml_with()
{
    dpkg-deb --fsys-tarfile "$dir"/packages/suricata_*.deb | tar -xO ./etc/suricata/suricata.yaml |
        awk -v part="$1" '
            /^netmap:/ { skip = 1; while ((getline line <part) > 0) print line; print "" }
            skip && /^[^ ]/ && !/^netmap:/ { skip = 0 }
            !skip'
}

write_files()
{
    yaml_with "$ours/ips.yaml" >"$dir/suricata.yaml"
    yaml_with "$ours/ids.yaml" >"$dir/suricata-ids.yaml"
    cp "$ours/viaduct.conf" "$dir"
}
