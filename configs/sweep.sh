#!/bin/sh
# Sweeps symmetrization modes x seeds and prints one table: mean and standard deviation over the seeds.
#
#   configs/sweep.sh [MODE...]          default: every mode that has a configuration beside this script
#
# Environment: BNN (the program, ./bnn), SEEDS ("1 2 3"), OUT (runs/sweep), DRAWS (shared or independent), and SET
# (further KEY=VALUE settings, separated by spaces, for every run). Finished runs are kept and not repeated.
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
        eval_json=$dir/eval-$draws.json
        sets=
        for s in ${SET:-}; do sets="$sets --set $s"; done
        # shellcheck disable=SC2086 # the settings are words
        [ -f "$dir/done" ] || "$bnn" train "$here/$mode.json" --out "$dir" --quiet --set "seed=$seed" $sets
        touch "$dir/done"
        [ -f "$eval_json" ] && continue
        "$bnn" eval "$dir/model.bin" --equivariance --draws "$draws" --json > "$dir/eval.tmp"
        mv "$dir/eval.tmp" "$eval_json"
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
