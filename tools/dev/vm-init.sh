#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# First program of the guest of ./dev test vm: mounts the host's root under a layer in memory.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs dev /dev
while read -r m; do
    $bb insmod /lib/modules/$m || echo "vm: cannot load $m"
done </lib/modules/order
opt=trans=virtio,version=9p2000.L,msize=512000
$bb mount -t 9p -o $opt,ro,cache=loose root /ro || echo "vm: cannot mount the root"
$bb mount -t tmpfs -o size=1500m rw /rw
$bb mkdir /rw/up /rw/work
$bb mount -t overlay -o lowerdir=/ro,upperdir=/rw/up,workdir=/rw/work root /root ||
    echo "vm: cannot mount the overlay"
$bb mkdir -p /root/mnt/vm-out
$bb mount -t 9p -o $opt out /root/mnt/vm-out
. /root/mnt/vm-out/settings
for d in proc sys dev; do
    $bb mount --move /$d /root/$d
done
exec $bb switch_root /root /bin/bash "$top/tools/dev/vm-guest.sh"
