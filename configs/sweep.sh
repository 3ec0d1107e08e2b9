#!/bin/sh
# Sweeps symmetrization modes x seeds and prints one table: mean and standard deviation over the seeds.
#
#   configs/sweep.sh [MODE...]          default: every mode that has a configuration beside this script
#
# Environment: BNN (the program, ./bnn), SEEDS ("1 2 3"), OUT (runs/sweep), DRAWS (shared or independent), and SET
# (further KEY=VALUE settings, separated by spaces, for every run). Finished runs are kept and not repeated.
set -eu
here=$(dirname "$0")
bnn=${BNN:-./bnn}
seeds=${SEEDS:-1 2 3}
out=${OUT:-runs/sweep}
draws=${DRAWS:-shared}
[ $# -gt 0 ] || set -- none augment group-elbo average project orbit-expansion orbit-expansion-held tie

for mode; do
    for seed in $seeds; do
        dir=$out/$mode-$seed
        [ -f "$dir/eval.json" ] && continue
        sets=
        for s in ${SET:-}; do sets="$sets --set $s"; done
        # shellcheck disable=SC2086 # the settings are words
        "$bnn" train "$here/$mode.json" --out "$dir" --quiet --set "seed=$seed" $sets
        "$bnn" eval "$dir/model.bin" --equivariance --draws "$draws" --json > "$dir/eval.tmp"
        mv "$dir/eval.tmp" "$dir/eval.json"
    done
done

# The number at a key of a JSON file printed one key a line; KEY is unique in it, or the first one counts.
figure() {
    sed -n "s/^[[:space:]]*\"$2\":[[:space:]]*\([-+0-9.eE]*\),*$/\1/p" "$1" | head -n 1
}

seconds() {
    sed -n 's/.*"seconds":\([-+0-9.eE]*\).*/\1/p' "$1" | awk '{ s += $1 } END { print s }'
}

for mode; do
    for seed in $seeds; do
        eval_json=$out/$mode-$seed/eval.json
        symmetric_kl=$(sed -n '/"symmetric_kl"/,/}/p' "$eval_json" | sed -n 's/.*"mean":[[:space:]]*\([-+0-9.eE]*\),*/\1/p')
        echo "$mode $(figure "$eval_json" accuracy) $(figure "$eval_json" accuracy_orbit)" \
            "$(figure "$eval_json" nll_orbit) $(figure "$eval_json" per_example)" \
            "$(figure "$eval_json" orbit_agreement) $symmetric_kl $(figure "$eval_json" plugin)" \
            "$(figure "$eval_json" unbiased) $(seconds "$out/$mode-$seed/metrics.jsonl")"
    done
done | awk '
    BEGIN {
        n = split("accuracy orbit-acc orbit-nll elbo/image agreement sym-KL defect unbiased train-s", title, " ")
        printf "%-22s", "mode"
        for (i = 1; i <= n; i++) printf " %18s", title[i]
        printf "\n"
    }
    !($1 in count) { order[++modes] = $1 }
    { count[$1]++; for (i = 1; i <= n; i++) { sum[$1, i] += $(i + 1); square[$1, i] += $(i + 1) ^ 2 } }
    END {
        for (m = 1; m <= modes; m++) {
            mode = order[m]; k = count[mode]
            printf "%-22s", mode
            for (i = 1; i <= n; i++) {
                mean = sum[mode, i] / k
                variance = k > 1 ? (square[mode, i] - k * mean ^ 2) / (k - 1) : 0
                printf " %18s", sprintf("%.4g +- %.1g", mean, variance > 0 ? sqrt(variance) : 0)
            }
            printf "\n"
        }
    }'
