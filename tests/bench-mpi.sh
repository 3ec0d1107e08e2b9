#!/bin/sh
# Speed of training on one rank and on two, of one thread each, in turns, so that what else the machine does meets both.
#
#   BENCH=build/release-mpi/bench tests/bench-mpi.sh [ROUNDS]      default 5
set -eu
rounds=${1:-5}
root=$([ "$(id -u)" != 0 ] || echo --allow-run-as-root)

rate() { # of $1 ranks
    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive mpirun $root --oversubscribe -np "$1" "$BENCH" --ranks
}

round=0
while [ $round -lt "$rounds" ]; do
    echo "$(rate 1) $(rate 2)"
    round=$((round + 1))
done | awk '
    { if ($1 > one) one = $1; if ($2 > two) two = $2 }
    END {
        printf "\nranks of one thread, the fastest of %d rounds: fcnn (128,256), S = 10, batch 128\n", NR
        printf "%8s %22s %8s\n%8d %22.0f\n%8d %22.0f %8.2f\n", "ranks", "training samples/s", "ratio", 1, one, 2, two, two / one }'
