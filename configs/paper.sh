#!/bin/sh
# The experiments of arXiv:2606.26273 and what they are to be compared with (README.md beside this script).
#
#   configs/paper.sh [main | times | triggers | arrangements | families | prior | samples]...     default: main
#   FULL=1 configs/paper.sh ...          at full size (configs/paper), days on 2 cores, instead of configs/paper-small
#
# main: the modes, and beside them, of the same runs, the group-averaged predictive; deterministic networks trained on augmented data, as
# they are, averaged over the group, and as ensembles; each row against `augment`. times: the seconds that training takes, of seed 1, one run
# after the other. Environment:
#
#   SETTINGS  "published recipe": the optimiser, prior and initial sigma of the published code, or those of the recipes
#   SEEDS     5: so many, 1, 2, 3 ...
#   OUT       runs/paper-small, or runs/paper: a folder for each setting, with table.md of main
#   JOBS      as in sweep.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=configs/figures.sh
. "$here/figures.sh"
size=paper-small
[ -z "${FULL:-}" ] || size=paper
configs=$here/$size
root=${OUT:-runs/$size}
count=${SEEDS:-5}
seeds=$(seq -s ' ' "$count")
# shellcheck disable=SC2154
export SEEDS="$seeds" BNN="$bnn" FIGURES="orbit-accuracy orbit-nll orbit-ece elbo/image unbiased single-draw residual seconds"

# members_of SEED MEMBERS: the seeds of an ensemble, none of which is in another.
members_of() {
    i=0
    while [ $i -lt "$2" ]; do
        echo $(($1 + i * count))
        i=$((i + 1))
    done
}

# derive NAME SEED MODEL... -- OPTION...: evaluates models as a row of their own.
derive() {
    folder=$out/$1-$2
    mkdir -p "$folder"
    shift 2
    "$bnn" eval "$@" --equivariance --json > "$folder/eval.tmp"
    mv "$folder/eval.tmp" "$folder/eval.json"
}

# rows NAME...: the folders of these rows' runs.
rows() {
    for name; do
        for seed in $seeds; do echo "$out/$name-$seed"; done
    done
}

main() {
    OUT=$out "$here/sweep.sh" "$configs/$setting.json" "@$configs/main.txt" > "$out/modes.txt"
    # seeds 1 .. 10 count: ten members for each of the ensembles
    SEEDS=$(seq -s ' ' $((10 * count))) OUT=$out "$here/sweep.sh" "$configs/$setting-point.json" "@$configs/point.txt" > "$out/point.txt"
    for seed in $seeds; do
        derive group-averaged "$seed" --predictive group-averaged "$out/augment-$seed"
        derive point-averaged "$seed" --predictive group-averaged "$out/point-$seed"
        for members in 5 10; do
            set --
            for member in $(members_of $seed $members); do set -- "$@" "$out/point-$member/model.bin"; done
            derive "ensemble-$members" "$seed" "$@"
        done
    done
    figures=accuracy_orbit,nll_orbit,ece_orbit,equivariance.defect.single_draw,equivariance.defect.unbiased,elbo.per_example,timing.forward_passes
    # shellcheck disable=SC2046,SC2086 # names without blanks
    "$bnn" compare $(rows $(sed -n 's/^\([a-z][^ ]*\) .*/\1/p' "$configs/main.txt" | grep -vx augment) \
        group-averaged point point-averaged ensemble-5 ensemble-10) --baseline $(rows augment) \
        --wide --markdown --figures $figures > "$out/table.md"
    cat "$out/table.md"
}

time_runs() {
    export SEEDS=1 JOBS=1 FIGURES=seconds
    OUT=$out/times "$here/sweep.sh" "$configs/$setting.json" "@$configs/main.txt"
    OUT=$out/times/points "$here/sweep.sh" "$configs/$setting-point.json" "@$configs/point.txt"
}

[ $# -gt 0 ] || set -- main
for experiment; do
    case $experiment in
    prior | samples)
        script=$here/prior-invariance.sh
        [ "$experiment" = prior ] || script=$here/sample-sweep.sh
        OUT=$root/$experiment "$script"
        continue
        ;;
    main | times | triggers | arrangements | families) ;;
    *) echo "paper.sh: found $experiment, expected main, times, triggers, arrangements, families, prior or samples" >&2 && exit 2 ;;
    esac
    for setting in ${SETTINGS:-published recipe}; do
        out=$root/$setting
        mkdir -p "$out"
        echo "$experiment, $setting"
        case $experiment in
        main) (main) ;;
        times) (time_runs) ;;
        *) OUT=$out/$experiment "$here/sweep.sh" "$configs/$setting.json" "@$configs/$experiment.txt" ;;
        esac
    done
done
