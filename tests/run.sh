#!/bin/sh
# Runs tests, and counts what cmocka says of them.
#
#   tests/run.sh DIR TEST...        runs each DIR/TEST; its output goes on to standard output and to DIR/TEST.log
#   tests/run.sh --total DIR...     adds up the logs of several such runs
#
# The last line is "N passed, N failed"; exit code 1 when a test failed or a program ended otherwise.
set -u

total() { # the sum over logs of the numbers behind a word of cmocka's
    word=$1
    shift
    sed -n "s/^\[  $word  \] \([0-9]*\) test(s).*/\1/p" "$@" 2>/dev/null | awk '{ n += $1 } END { print n + 0 }'
}

if [ "$1" = --total ]; then
    shift
    logs=
    for directory; do logs="$logs $directory/*.log"; done
    # shellcheck disable=SC2086 # words and patterns
    set -- $logs
    echo "$(total PASSED "$@") passed, $(total FAILED "$@") failed"
    exit 0
fi

directory=$1
shift
rm -f "$directory"/*.log
broken=0
for test; do
    echo "== $directory/$test"
    OMP_WAIT_POLICY=passive BNN=$directory/bnn "$directory/$test" > "$directory/$test.log" 2>&1 || broken=1
    grep -v '^\[ RUN\|^\[       OK' "$directory/$test.log"
done
echo "== tests/cases.sh"
BNN=$directory/bnn "$(dirname "$0")/cases.sh" > "$directory/cases.log" 2>&1 || broken=1
grep -v '^ok ' "$directory/cases.log"
echo "$(total PASSED "$directory"/*.log) passed, $(total FAILED "$directory"/*.log) failed"
exit $broken
