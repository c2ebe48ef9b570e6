#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ./dev demo [ACT...]: runs the acts, tools/demo/act*.sh, in a world of their own: new network, mount
# and process namespaces. Nothing outside is touched, and whatever goes wrong, all of it is gone when
# the last process is.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

if [ "${1:-}" != --inside ]; then
    enter_world "$here/demo.sh" "$@"
fi
shift

make_world
trap end_world EXIT

[ $# -gt 0 ] || set -- $(cd "$here" && ls act*.sh | sed 's/^act//; s/\.sh$//' | sort -n)
for act; do
    [ -f "$here/act$act.sh" ] || fail "demo: there is no act $act"
    . "$here/act$act.sh"
done

title "The end"
leave_world
printf '\n%sdemo: %d checks passed in %d s%s\n' "$green" "$n_checks" "$SECONDS" "$plain"
