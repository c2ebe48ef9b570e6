# SPDX-License-Identifier: BSD-2-Clause
# ./dev test vm [--resume] [unit|netns] [PYTEST ARGS]: boots Debian's own kernel in QEMU with this machine's root file system
# (read-only over 9p, changes go to memory) and runs the unit and network tests there. That kernel
# has what a newer or smaller one may lack (VLAN devices, VLAN filtering), and the reverse. QEMU
# emulates the processor (KVM may be missing or broken inside a VM), so it is slow: minutes.
#
# build-vm/            pkg/ the package, root/ unpacked, initramfs.cpio, build/ a copy of the programs
# build-vm/out/        what the guest wrote: a journal with a line for each test that ended, the
#                      output; --resume leaves out what passed according to it
# build-vm/result.txt  the kernel, the sums, what failed, what was skipped and why

vm=build-vm

# The kernel is unpacked, never installed.
vm_kernel()
{
    local package
    if compgen -G "$vm/root/lib/modules/*/modules.dep" >/dev/null; then
        return
    fi
    mkdir -p $vm/pkg
    if ! compgen -G "$vm/pkg/*.deb" >/dev/null; then
        [ "$(id -u)" != 0 ] || apt_retry update -qq
        package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-/{print $2; exit}')
        [ -n "$package" ] || die "test vm: linux-image-amd64 is not in the package lists" "apt-get update"
        (cd $vm/pkg && apt-get -qq -o APT::Sandbox::User=root download "$package") ||
            die "test vm: could not download $package"
    fi
    dpkg -x $vm/pkg/*.deb $vm/root
    busybox depmod -b $vm/root "$(ls $vm/root/lib/modules)"
}

# busybox, the modules that are needed to mount the root, and the first script.
vm_initramfs()
{
    local release=$1 dir=$vm/initramfs m mods=$vm/root/lib/modules/$1
    rm -rf $dir
    mkdir -p $dir/{bin,proc,sys,dev,root,ro,rw} "$dir/lib/modules/$release"
    cp "$(command -v busybox)" $dir/bin/busybox
    for m in virtio_pci 9pnet_virtio 9p overlay virtio_rng; do
        vm_module "$mods" $m
    done | awk '!seen[$0]++' >$vm/modules.list
    while read -r m; do
        cp "$mods/$m" "$dir/lib/modules/"
        echo "${m##*/}"
    done <$vm/modules.list >$dir/lib/modules/order
    cp tools/dev/vm-init.sh $dir/init
    chmod +x $dir/init
    (cd $dir && find . | cpio -o -H newc --quiet) >$vm/initramfs.cpio
}

# Files of a module and of what it depends on, in the order of loading.
vm_module()
{
    awk -v want="$2" '
    function name(f) { sub(/.*\//, "", f); sub(/\.ko$/, "", f); gsub(/-/, "_", f); return f }
    { sub(/:/, "", $1); file[name($1)] = $1
      for (i = NF; i > 1; i--) deps[name($1)] = deps[name($1)] " " $i }
    function load(m, n, i, d) {
        if (m in done || !(m in file)) return
        done[m] = 1
        n = split(deps[m], d, " ")
        for (i = 1; i <= n; i++) load(name(d[i]))
        print file[m]
    }
    END { load(name(want ".ko")) }' "$1/modules.dep"
}

# The programs, out of reach of the next build: the guest sees this machine's files as they are.
vm_programs()
{
    local f
    rm -rf $vm/build
    (cd build && find . -name '*.p' -prune -o \( -type f -executable -o -name '*.so*' -o -type l \) -print) |
        while read -r f; do
            mkdir -p "$vm/build/${f%/*}"
            cp -P "build/$f" "$vm/build/$f"
        done
}

# vm_settings SUITES RESUME PYTEST_ARGS...
vm_settings()
{
    local suites=$1 resume=$2
    shift 2
    [ "$resume" = yes ] || rm -rf $vm/out
    mkdir -p $vm/out
    rm -f $vm/out/netns-status
    cat $vm/build/{viaductd,viaduct,libnetmap.so.0} | sha256sum >>$vm/out/programs
    printf '%s\n' "$@" >$vm/out/pytest-args
    {
        echo "top=$top"
        echo "jobs=$jobs"
        echo "suites='$suites'"
    } >$vm/out/settings
}

run_vm()
{
    local release status=0 t0=$SECONDS suites="unit netns" resume=no
    need vm
    while :; do
        case "${1:-}" in
        --resume) resume=yes ;;
        unit|netns) suites=$1 ;;
        *) break ;;
        esac
        shift
    done
    section "vm: kernel"
    vm_kernel
    release=$(ls $vm/root/lib/modules)
    vm_initramfs "$release"
    echo "$release"
    vm_programs
    vm_settings "$suites" $resume "$@"

    section "vm: boot"
    # Without the 5th level of page tables, the emulated processor walks one less.
    timeout --foreground "${VIADUCT_VM_TIMEOUT:-10800}" qemu-system-x86_64 \
        -accel tcg,thread=multi -cpu max,la57=off -smp "$jobs" -m "${VIADUCT_VM_MEMORY:-3072}" \
        -nodefaults -no-user-config -display none -no-reboot -serial stdio \
        -kernel "$vm/root/boot/vmlinuz-$release" -initrd $vm/initramfs.cpio \
        -append "console=ttyS0 loglevel=4 panic=-1 mitigations=off rcupdate.rcu_expedited=1" \
        -device virtio-rng-pci \
        -virtfs local,path=/,mount_tag=root,security_model=passthrough,readonly=on,multidevs=remap \
        -virtfs local,path=$vm/out,mount_tag=out,security_model=none \
        </dev/null || status=$?
    vm_result "$release" $status $((SECONDS - t0)) "$suites"
}

# vm_result RELEASE QEMU_STATUS SECONDS SUITES
vm_result()
{
    local s
    {
        echo "kernel $1, QEMU with an emulated processor, $(date -u +%F), $3 s"
        for s in $4; do
            [ -f "$vm/out/$s-status" ] ||
                echo "$s: the guest did not finish (QEMU status $2); ./dev test vm --resume goes on"
        done
        [ "$(sort -u $vm/out/programs | wc -l)" = 1 ] || echo "the programs have changed between the runs"
        "$python" tools/dev/vm_result.py $vm/out
    } | tee $vm/result.txt
    for s in $4; do
        record "vm:$s" "$3" "$("$python" tools/dev/vm_result.py $vm/out --count "$s")" \
            "$(cat "$vm/out/$s-status" 2>/dev/null || echo 1)"
    done
    echo "recorded in $vm/result.txt"
}
