#!/bin/sh
# Kills training runs at random moments (kill -9) and resumes them, on one thread or two, until they end; then compares model.bin,
# and metrics.jsonl but for the times, with an undisturbed run's.
#
#   BNN=./bnn tests/torture.sh [KILLS]      default 1000
#
# The last line is "N kills, N runs alike"; exit code 1 at the first that differs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bnn=$(realpath "${BNN:-./bnn}")
wanted=${1:-1000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cp "$here"/cases/float-scale/[xy].npy .
# shellcheck source=tests/trainings.sh
. "$here/trainings.sh"

# A random number of hundredths of a second, at most $1 of them.
moment() {
    od -An -N2 -tu2 /dev/urandom | awk -v most="$1" '{ printf "%.2f", ($1 % most + 1) / 100 }'
}

kills=0
runs=0
while [ "$kills" -lt "$wanted" ]; do
    case $((runs % 4)) in
    0) configuration "$runs" tie 60 adamw ;;
    1) configuration "$runs" orbit-expansion 20 adamw ;;
    2) configuration "$runs" augment 20 sgd ;;
    3) configuration "$runs" tie 60 ivon ;;
    esac > config.json
    rm -rf whole parts
    "$bnn" train config.json --out whole --quiet
    while :; do
        threads=$((kills % 2 + 1))
        "$bnn" train config.json --out parts --resume --quiet --threads $threads &
        process=$!
        sleep "$(moment 20)"
        expected=137
        kill -9 $process 2> /dev/null || expected=0 # it has ended by itself
        status=0
        wait $process 2> /dev/null || status=$?
        [ $status -ne 0 ] || break
        [ $status -eq $expected ] || { echo "exit code $status, expected 0 or $expected" >&2; exit 1; }
        kills=$((kills + 1))
    done
    cmp whole/model.bin parts/model.bin
    untimed whole/metrics.jsonl > whole.jsonl
    untimed parts/metrics.jsonl > parts.jsonl
    cmp whole.jsonl parts.jsonl
    [ -z "$(find parts -name '*.tmp')" ] || { echo "parts: a temporary file is left" >&2; exit 1; }
    runs=$((runs + 1))
done
echo "$kills kills, $runs runs alike"
