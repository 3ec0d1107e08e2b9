#!/bin/sh
# Prediction sets of 90 % coverage (bnn calibrate), on FashionMNIST: a tied model a seed is trained on 20,000 images, calibrated
# on 5000 others and measured on the 10,000 test images in the four poses.
#
#   configs/conformal.sh                minutes on 2 cores
#
# Environment: SEEDS ("1 2 3 4"), OUT (runs/conformal), BNN (the program).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=configs/figures.sh
. "$here/figures.sh"
out=${OUT:-runs/conformal}

# measure SEED NAME OPTION...: calibrates the seed's model by the options, which belong to a prediction but for --method, and prints
# a line of its figures.
measure() {
    seed=$1
    name=$2
    method=$3
    shift 3
    model=$out/$seed/$name.bin
    "$bnn" calibrate "$out/$seed" --method "$method" "$@" --out "$model" > "$model.txt"
    "$bnn" eval "$model" "$@" --equivariance --json > "$out/$seed/$name.json"
    poses=$(sed -n '/"conformal"/,$ s/.*"per_element":.*\[\(.*\)\].*/\1/p' "$out/$seed/$name.json")
    numbers_of "$out/$seed/$name.json" | awk -F '\t' -v row="$name" -v seed="$seed" -v poses="$poses" '
        !($1 in value) { value[$1] = $2 }
        END {
            n = split(poses, pose, ", *")
            least = most = pose[1]
            for (i = 2; i <= n; i++) { least = pose[i] < least ? pose[i] : least; most = pose[i] > most ? pose[i] : most }
            error = sqrt(value["conformal.coverage_standard_error"] ^ 2 + value["conformal.calibration_standard_error"] ^ 2)
            printf "%-20s %4s %9.4f %8.4f %10.4f %10.4f %9.3f %10.4f\n", row, seed, value["conformal.coverage"], error,
                least, most, value["conformal.mean_size"], value["conformal.orbit_agreement"]
        }'
}

printf '%-20s %4s %9s %8s %10s %10s %9s %10s\n' sets seed coverage error least-pose most-pose mean-size agreement
for seed in ${SEEDS:-1 2 3 4}; do
    train_once "$out/$seed" "$here/quickstart.json" --set "seed=$seed" --set data.train_size=20000 \
        --set data.validation_size=5000 --set train.epochs=4
    measure "$seed" lac-group-averaged lac --predictive group-averaged --samples 4
    measure "$seed" aps-group-averaged aps --predictive group-averaged --samples 4
    measure "$seed" lac lac --samples 16
done
