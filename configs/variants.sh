#!/bin/sh
# Trains variants of a configuration over seeds, evaluates each over the orbit, and prints one table: mean and standard deviation
# over the seeds.
#
#   configs/variants.sh CONFIG.json < LIST      each line of LIST: NAME KEY=VALUE...
#   configs/variants.sh configs/quickstart.json < configs/optimizers.txt
#
# sigma/prior is the mean over the weights of sigma over the prior's deviation. Environment: BNN (the program, ./bnn), SEEDS
# ("1"), OUT (runs/variants), SET (further KEY=VALUE settings, for every run). A finished run of the same configuration is not
# repeated, one of another is replaced.
set -eu
here=$(dirname "$0")
. "$here/figures.sh"
bnn=${BNN:-./bnn}
seeds=${SEEDS:-1}
out=${OUT:-runs/variants}
config=${1:?expected a configuration}

# sigma_over_prior MODEL: over all weights.
sigma_over_prior() {
    "$bnn" info "$1" --json | sed -n 's/^[[:space:]]*"\(parameters\|sigma_over_prior\)":[[:space:]]*\([-+0-9.eE]*\),*$/\1 \2/p' |
        awk '$1 == "parameters" { n = $2 } $1 == "sigma_over_prior" { sum += n * $2; all += n } END { print sum / all }'
}

rows=$(grep -v '^#' || true)
names=$(echo "$rows" | while read -r name sets; do echo "$name"; done)

echo "$rows" | while read -r name sets; do
    for seed in $seeds; do
        dir=$out/$name-$seed
        words=
        for s in ${SET:-} $sets; do words="$words --set $s"; done
        # shellcheck disable=SC2086 # the settings are words
        train_once "$dir" "$config" --set "seed=$seed" $words < /dev/null
        evaluate_once "$dir/eval.json" "$dir/model.bin" --equivariance < /dev/null
    done
done

for name in $names; do
    for seed in $seeds; do
        dir=$out/$name-$seed
        eval_json=$dir/eval.json
        echo "$name $(figure "$eval_json" accuracy_orbit) $(figure "$eval_json" nll_orbit) $(figure "$eval_json" ece_orbit)" \
            "$(figure "$eval_json" per_example) $(figure "$eval_json" kl) $(sigma_over_prior "$dir/model.bin")" \
            "$(figure "$eval_json" residual) $(train_seconds "$dir")"
    done
done | mean_and_deviation run orbit-accuracy orbit-nll orbit-ece elbo/image kl sigma/prior residual seconds
