#!/bin/sh
# Runs the checks of tests/cases.d on copies of the inputs in tests/cases: what a user once saw go wrong, and what is right.
#
#   BNN=./bnn tests/cases.sh [NAME...]     NAME: a file of tests/cases.d without .sh; default: all
#
# Counts as cmocka does; exit code 1 when a check failed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
BNN=$(realpath "${BNN:-./bnn}")
export BNN
python= # one that has NumPy: the first may be another than Debian's, to which its packages belong
for candidate in python3 /usr/bin/python3; do
    [ -n "$python" ] || ! $candidate -c 'import numpy' 2>/dev/null || python=$candidate
done
export PYTHONDONTWRITEBYTECODE=1
# shellcheck disable=SC2046 # names without blanks
[ $# -gt 0 ] || set -- $(cd "$here/cases.d" && printf '%s\n' *.sh | sed 's/\.sh$//')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name; do
    cp -r "$here/cases" "$work/$name"
    # shellcheck source=/dev/null
    (cd "$work/$name" && . "$here/cases.d/$name.sh") || echo "FAILED $name: ended with status $?"
done > "$work/log" 2>&1
cat "$work/log"
echo "[  PASSED  ] $(grep -c '^ok ' "$work/log") test(s)."
if grep -q '^FAILED ' "$work/log"; then
    echo "[  FAILED  ] $(grep -c '^FAILED ' "$work/log") test(s)"
    exit 1
fi
