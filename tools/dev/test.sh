# SPDX-License-Identifier: BSD-2-Clause
# ./dev test and ./dev san. Each step adds a line to $results: name passed failed skipped seconds.
# A step in which nothing ran counts as a failure: a suite that has lost its tests must not be green.

meson_suites=(unit style model sim fuzz compat)
results=

start_results()
{
    results=$(mktemp)
    # shellcheck disable=SC2064
    trap "rm -f '$results'" EXIT
}

# record NAME SECONDS COUNTS EXIT_STATUS
record()
{
    local name=$1 seconds=$2 passed failed skipped status=$4
    read -r passed failed skipped <<<"$3"
    if [ $((passed + failed)) = 0 ]; then
        if [ "$status" = 0 ] && [ "$skipped" -gt 0 ]; then
            echo "$name: every test was skipped"
        else
            echo "$name: no test ran"
            failed=1
        fi
    elif [ "$status" != 0 ] && [ "$failed" = 0 ]; then
        echo "$name: ended with exit status $status"
        failed=1
    fi
    echo "$name $passed $failed $skipped $seconds" >>"$results"
}

# suite_meson LABEL BUILD_DIR SUITE [ARGS...]
suite_meson()
{
    local label=$1 dir=$2 suite=$3 status=0 t0=$SECONDS json
    shift 3
    section "$label"
    json=$dir/meson-logs/dev-$suite.json
    rm -f "$json"
    "$meson" test -C "$dir" --no-rebuild --print-errorlogs --logbase "dev-$suite" \
        -t "${VIADUCT_TEST_SLOWNESS:-1}" --suite "$suite" "$@" | sed -E '/^$|^Full log|^(Ok|Expected Fail|Fail|Unexpected Pass|Skipped|Timeout): /d' || status=$?
    record "$label" $((SECONDS - t0)) "$("$python" tools/dev/count.py meson "$json")" $status
}

# suite_netns LABEL BUILD_DIR [PYTEST ARGS...]
suite_netns()
{
    local label=$1 dir=$2 status=0 t0=$SECONDS xml run=()
    shift 2
    section "$label"
    if ! compgen -G 'tests/netns/test_*.py' >/dev/null; then
        echo "$label: no test files"
        record "$label" 0 "0 0 0" 1
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        # Root inside namespaces of its own; /run is private so that `ip netns` works.
        run=(unshare --user --map-root-user --net --mount sh -c
            'mount -t tmpfs run /run && exec "$@"' sh)
    fi
    xml=$top/$dir/meson-logs/dev-netns.xml
    rm -f "$xml"
    # They wait more than they compute.
    VIADUCT_BUILD=$top/$dir PYTHONDONTWRITEBYTECODE=1 "${run[@]}" \
        "$python" -m pytest tests/netns -q -n "${VIADUCT_TEST_JOBS:-$((3 * jobs))}" \
        --junitxml="$xml" "$@" || status=$?
    record "$label" $((SECONDS - t0)) "$("$python" tools/dev/count.py pytest "$xml")" $status
}

build_san()
{
    configure build-san -Dbuildtype=debugoptimized -Db_sanitize=address,undefined &&
        compile build-san
}

# The sanitizers must end a program that they find fault with, not only print.
san_env()
{
    export ASAN_OPTIONS=abort_on_error=0:exitcode=86:detect_stack_use_after_return=1:strict_string_checks=1
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    export LSAN_OPTIONS=exitcode=87
    export VIADUCTD_ARGS=--no-seccomp # LeakSanitizer traces its own process
    export VIADUCT_TEST_DEADLINE=${VIADUCT_TEST_DEADLINE:-30}
}

# suites_san [PYTEST ARGS...]
suites_san()
{
    local s
    section "san: build"
    if ! build_san >build/dev-san.log 2>&1; then
        tail -40 build/dev-san.log
        record "san:build" 0 "0 1 0" 1
        return
    fi
    for s in unit model sim fuzz; do
        (san_env && VIADUCT_TEST_SLOWNESS=4 && suite_meson "san:$s" build-san "$s")
    done
    (san_env && suite_netns san:netns build-san "$@")
}

# Prints the table and, as the last line, the sum. Fails when a test failed.
summary()
{
    local bad=0
    section summary
    awk '{ printf "%-12s %6d passed %5d failed %5d skipped %6d s\n", $1, $2, $3, $4, $5
           p += $2; f += $3; s += $4; t += $5 }
         END { printf "%-12s %44s %3d s\n\n", "total", "", t
           printf "%d passed, %d failed, %d skipped\n", p, f, s
           exit f > 0 || p == 0 }' "$results" || bad=1
    return $bad
}

# The build, or the sum of a run that could not begin.
build_or_sum()
{
    section build
    if ! build; then
        record build 0 "0 1 0" 1
        summary
        exit 1
    fi
}

run_tests()
{
    local what=${1:-all} s
    [ $# -gt 0 ] && shift
    start_results
    case "$what" in
    all)
        build_or_sum
        for s in "${meson_suites[@]}"; do
            suite_meson "$s" build "$s"
        done
        suite_netns netns build "$@"
        suites_san "$@"
        ;;
    unit|style|model|sim|fuzz|compat)
        build_or_sum
        suite_meson "$what" build "$what" "$@"
        ;;
    netns)
        build_or_sum
        suite_netns netns build "$@"
        ;;
    san)
        suites_san "$@"
        ;;
    vm)
        build_or_sum
        . tools/dev/vm.sh
        run_vm "$@"
        ;;
    *)
        die "test $what: no such suite" "unit style model sim fuzz compat netns san vm"
        ;;
    esac
    summary
}

# Everything that has a test, under the sanitizers.
run_san()
{
    start_results
    suites_san "$@"
    summary
}
