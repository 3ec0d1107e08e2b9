#!/bin/sh
# An invariant prior (zero means) against a random one, over training sizes (arXiv:2606.26273, invariance of the
# posterior): with full augmentation q stays equivariant when the prior and the initial q, which starts at the prior here,
# are invariant, and does not when they are a random draw.
#
#   configs/prior-invariance.sh         some minutes on 2 cores
#   FULL=1 configs/prior-invariance.sh  the paper's size: up to 50000 images, channels 32 and 64, 500 epochs
#
# Environment: BNN (./bnn), SEEDS ("1 2 3"), SIZES, OUT (runs/prior-invariance).
set -eu
here=$(dirname "$0")
. "$here/figures.sh"
bnn=${BNN:-./bnn}
out=${OUT:-runs/prior-invariance}
sets=
sizes=${SIZES:-250 500 1000 2000}
if [ -n "${FULL:-}" ]; then
    sets='--set data.test_size=0 --set model.channels=[32,64] --set train.epochs=500 --set train.samples=10'
    sizes=${SIZES:-1000 5000 10000 50000}
fi

for prior in zero random; do
    for size in $sizes; do
        for seed in ${SEEDS:-1 2 3}; do
            dir=$out/$prior-$size-$seed
            # shellcheck disable=SC2086 # the settings are words
            train_once "$dir" "$here/prior-invariance.json" --set "seed=$seed" --set "prior.mean=$prior" \
                --set "data.train_size=$size" $sets
            evaluate_once "$dir/eval.json" "$dir/model.bin" --equivariance
        done
    done
done

for prior in zero random; do
    for size in $sizes; do
        for seed in ${SEEDS:-1 2 3}; do
            eval_json=$out/$prior-$size-$seed/eval.json
            echo "$prior-prior,N0=$size $(figure "$eval_json" accuracy_orbit) $(figure "$eval_json" orbit_agreement)" \
                "$(figure_in "$eval_json" symmetric_kl mean) $(figure "$eval_json" unbiased) $(figure "$eval_json" plugin)"
        done
    done
done | mean_and_deviation prior orbit-accuracy agreement symmetric-kl defect-unbiased defect-plugin
