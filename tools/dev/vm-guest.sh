#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs in the guest of ./dev test vm as process 1, in the host's root: mounts, modules, tests.
out=/mnt/vm-out
. $out/settings
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
export PYTHONDONTWRITEBYTECODE=1
bin=$top/build-vm/build

finish()
{
    sync
    /bin/busybox poweroff -f
}
trap finish EXIT

mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mkdir -p /run/netns /dev/shm /dev/pts
mount -t devpts devpts /dev/pts
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t debugfs debugfs /sys/kernel/debug

# Modules of the unpacked package, loaded on demand: the host's root may have no modprobe.
release=$(uname -r)
mkdir -p "/lib/modules/$release"
mount --bind "$top/build-vm/root/lib/modules/$release" "/lib/modules/$release"
mkdir -p /run/vm
printf '#!/bin/sh\nexec /bin/busybox modprobe "$@"\n' >/run/vm/modprobe
chmod +x /run/vm/modprobe
echo /run/vm/modprobe >/proc/sys/kernel/modprobe
for m in tun veth bridge 8021q vxlan ip_gre sch_ingress cls_bpf sch_clsact dummy br_netfilter; do
    busybox modprobe $m 2>/dev/null
done
mkdir -p /dev/net
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
ip link set lo up
echo "vm: Linux $release, $(nproc) processors, $(awk '/MemTotal/{print int($2/1024)}' /proc/meminfo) MiB, up $(cut -d' ' -f1 /proc/uptime) s"

cd "$top" || exit 1

# The programs themselves, Meson would want to write to the build directory.
unit_test()
{
    local name=${1##*/} status=0 t0=$SECONDS n reason
    local text=/tmp/unit/$name
    timeout 900 "$1" >"$text" 2>&1 || status=$?
    n=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test(s)\./\1/p' "$text")
    case $status in
    0) echo "passed ${n:-1} $name $((SECONDS - t0))" ;;
    77)
        reason=$(grep -v '^\[' "$text" | tail -1)
        echo "skipped 1 $name $((SECONDS - t0)) ${reason:-it does not say why}"
        ;;
    *)
        echo "failed 1 $name $((SECONDS - t0)) exit status $status"
        { echo "== $name"; cat "$text"; } >>$out/unit.txt
        ;;
    esac
}

run_unit()
{
    mkdir -p /tmp/unit
    export out
    export -f unit_test
    printf '%s\n' "$bin"/*_test | xargs -P "$jobs" -I{} bash -c 'unit_test {}' | tee $out/unit-journal
    echo 0 >$out/unit-status
}

run_netns()
{
    local status args done=()
    if [ -s $out/journal ]; then
        cp $out/journal /tmp/passed # workers that start later must see the same
        done=(--passed /tmp/passed)
    fi
    mapfile -t args < <(sed '/^$/d' $out/pytest-args)
    VIADUCT_BUILD=$bin VIADUCT_TEST_DEADLINE=${VIADUCT_TEST_DEADLINE:-120} /usr/bin/python3 -m pytest tests/netns \
        -v -n "$jobs" -o timeout=1800 --journal $out/journal "${done[@]}" "${args[@]}" 2>&1 | tee -a $out/netns.txt
    status=${PIPESTATUS[0]}
    # 5: nothing was left to run
    [ "$status" = 5 ] && [ -s $out/journal ] && status=0
    echo "$status" >$out/netns-status
}

# In one piece: the file may be edited meanwhile, and bash reads as it goes.
{
    case $suites in *unit*) [ -f $out/unit-status ] || run_unit ;; esac
    case $suites in *netns*) run_netns ;; esac
    exit
}
