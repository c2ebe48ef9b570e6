#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ./dev shell [COMMAND...]: a shell beside two namespaces joined by a running bridge; the world of the
# demo, gone with the shell. With COMMAND: runs it there instead.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

if [ "${1:-}" != --inside ]; then
    enter_world "$here/shell.sh" "$@"
fi
shift

make_world
trap end_world EXIT
quiet=yes
two_hosts
bridge_between
trap - INT

if [ $# -gt 0 ]; then
    "$@"
    exit
fi
draw
cat <<TEXT
You are beside the bridge, the daemon runs in $VIADUCT_RUN_DIR. Try:

  ip netns exec ns1 ping 192.168.56.2
  viaduct show          viaduct showmacs br0      viaduct drops
  viaduct monitor       viaduct -d link show      tcpdump -ni br0

"exit" leaves, and all of this is gone.

TEXT
cat >"$scratch/rc" <<'RC'
[ -f ~/.bashrc ] && . ~/.bashrc
[ -f "$demo_completion" ] && . "$demo_completion"
PATH=$demo_path
PS1='viaduct \w # '
RC
demo_path=$PATH demo_completion=$completion bash --rcfile "$scratch/rc" -i || true
