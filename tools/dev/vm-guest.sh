#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs in the guest of ./dev test vm as process 1, in the host's root: mounts, modules, tests.
out=/mnt/vm-out
. $out/settings
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
export PYTHONDONTWRITEBYTECODE=1

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
for m in tun veth bridge 8021q vxlan ip_gre sch_ingress cls_bpf sch_clsact dummy; do
    busybox modprobe $m 2>/dev/null
done
mkdir -p /dev/net
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
ip link set lo up
echo "vm: Linux $release, $(nproc) processors, $(awk '/MemTotal/{print int($2/1024)}' /proc/meminfo) MiB, up $(cut -d' ' -f1 /proc/uptime) s"

cd "$top" || exit 1

# Unit tests: the programs themselves, Meson would want to write to the build directory.
t0=$SECONDS passed=0 failed=0 skipped=0
for t in build/*_test; do
    status=0
    timeout 600 "$t" >/tmp/unit.txt 2>&1 || status=$?
    n=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test(s)\./\1/p' /tmp/unit.txt)
    case $status in
    0) passed=$((passed + ${n:-1})) ;;
    77) skipped=$((skipped + 1)) ;;
    *)
        failed=$((failed + 1))
        echo "FAILED $t" | tee -a $out/unit.txt
        cat /tmp/unit.txt >>$out/unit.txt
        grep -m5 -E 'ERROR|rror:|answers' /tmp/unit.txt
        ;;
    esac
done
echo "$passed $failed $skipped" >$out/unit-counts
echo $((SECONDS - t0)) >$out/unit-seconds
echo "vm: unit: $passed passed, $failed failed, $skipped skipped, $((SECONDS - t0)) s"

if [ -x build/viaductd ]; then
    ip netns add vm-first
    export VIADUCT_RUN_DIR=/run/vm/first
    mkdir -p $VIADUCT_RUN_DIR
    ip netns exec vm-first build/viaduct addbr br0 && ip netns exec vm-first build/viaduct status
    ip netns pids vm-first | xargs -r kill
    unset VIADUCT_RUN_DIR
    sleep 1
    ip netns del vm-first
fi

mapfile -t args < <(sed '/^$/d' $out/pytest-args)
VIADUCT_TEST_DEADLINE=${VIADUCT_TEST_DEADLINE:-90} VIADUCT_TEST_VM=1 /usr/bin/python3 -m pytest tests/netns \
    -v -n "$jobs" -o timeout=1200 --junitxml=/tmp/netns.xml "${args[@]}" 2>&1 | tee $out/netns.txt
status=${PIPESTATUS[0]}
cp /tmp/netns.xml $out/
echo "$status" >$out/done
