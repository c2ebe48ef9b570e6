# SPDX-License-Identifier: BSD-2-Clause
# ./dev test vm [PYTEST ARGS]: boots Debian's own kernel in QEMU with this machine's root file system
# (read-only over 9p, changes go to memory) and runs the unit and network tests there. That kernel
# has what a newer or smaller one may lack (VLAN devices, VLAN filtering), and the reverse. QEMU
# emulates the processor (KVM may be missing or broken inside a VM), so it is slow: minutes.
#
# build-vm/          pkg/ the package, root/ unpacked, initramfs.cpio, out/ what the guest wrote
# build-vm/result.txt  the kernel, the sums, the names of what failed

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

run_vm()
{
    local release status=0 t0=$SECONDS
    need vm
    section "vm: kernel"
    vm_kernel
    release=$(ls $vm/root/lib/modules)
    vm_initramfs "$release"
    echo "$release"
    rm -rf $vm/out
    mkdir -p $vm/out
    printf '%s\n' "$@" >$vm/out/pytest-args
    {
        echo "top=$top"
        echo "jobs=$jobs"
    } >$vm/out/settings

    section "vm: boot"
    timeout --foreground "${VIADUCT_VM_TIMEOUT:-5400}" qemu-system-x86_64 \
        -accel tcg,thread=multi -cpu max -smp "$jobs" -m "${VIADUCT_VM_MEMORY:-3072}" \
        -nodefaults -no-user-config -display none -no-reboot -serial stdio \
        -kernel "$vm/root/boot/vmlinuz-$release" -initrd $vm/initramfs.cpio \
        -append "console=ttyS0 loglevel=4 panic=-1 mitigations=off" \
        -device virtio-rng-pci \
        -virtfs local,path=/,mount_tag=root,security_model=passthrough,readonly=on,multidevs=remap \
        -virtfs local,path=$vm/out,mount_tag=out,security_model=none \
        </dev/null || status=$?
    vm_result "$release" $status $((SECONDS - t0))
}

# vm_result RELEASE QEMU_STATUS SECONDS
vm_result()
{
    local unit netns status=1
    unit=$(cat $vm/out/unit-counts 2>/dev/null || echo "0 0 0")
    netns=$("$python" tools/dev/count.py pytest $vm/out/netns.xml)
    [ "$2" = 0 ] && [ -f $vm/out/done ] && status=$(cat $vm/out/done)
    record vm:unit "$(cat $vm/out/unit-seconds 2>/dev/null || echo 0)" "$unit" 0
    record vm:netns "$3" "$netns" "$status"
    {
        echo "kernel $1, QEMU with an emulated processor, $(date -u +%F), $3 s"
        echo "unit:  $unit (passed failed skipped)"
        echo "netns: $netns (passed failed skipped)"
        [ -f $vm/out/done ] || echo "the guest did not finish (QEMU status $2)"
        grep -hoE '(FAILED|ERROR) (build|tests|test_)[^ ]*' $vm/out/*.txt 2>/dev/null | sort -u || true
    } >$vm/result.txt
    echo "recorded in $vm/result.txt"
}
