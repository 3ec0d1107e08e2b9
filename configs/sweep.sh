#!/bin/sh
# Sweeps symmetrization modes x seeds and prints one table: mean and standard deviation over the seeds.
#
#   configs/sweep.sh [MODE...]          default: every mode that has a configuration beside this script
#
# Environment: BNN (the program, ./bnn), SEEDS ("1 2 3"), OUT (runs/sweep), DRAWS (shared or independent), and SET
# (further KEY=VALUE settings, separated by spaces, for every run). A finished run of the same configuration is not repeated,
# one of another is replaced; what a new bnn would change is not seen: choose another OUT then.
set -eu
here=$(dirname "$0")
. "$here/figures.sh"
bnn=${BNN:-./bnn}
seeds=${SEEDS:-1 2 3}
out=${OUT:-runs/sweep}
draws=${DRAWS:-shared}
[ $# -gt 0 ] || set -- none augment group-elbo average project orbit-expansion orbit-expansion-held tie

for mode; do
    for seed in $seeds; do
        dir=$out/$mode-$seed
        sets=
        for s in ${SET:-}; do sets="$sets --set $s"; done
        # shellcheck disable=SC2086 # the settings are words
        train_once "$dir" "$here/$mode.json" --set "seed=$seed" $sets
        evaluate_once "$dir/eval-$draws.json" "$dir/model.bin" --equivariance --draws "$draws"
    done
done

for mode; do
    for seed in $seeds; do
        dir=$out/$mode-$seed
        eval_json=$dir/eval-$draws.json
        echo "$mode $(figure "$eval_json" accuracy) $(figure "$eval_json" accuracy_orbit)" \
            "$(figure "$eval_json" nll_orbit) $(figure "$eval_json" per_example)" \
            "$(figure "$eval_json" orbit_agreement) $(figure_in "$eval_json" symmetric_kl mean)" \
            "$(figure "$eval_json" plugin) $(figure "$eval_json" unbiased) $(train_seconds "$dir")"
    done
done | mean_and_deviation mode accuracy orbit-accuracy orbit-nll elbo/image agreement symmetric-kl defect unbiased seconds
