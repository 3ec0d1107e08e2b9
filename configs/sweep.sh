#!/bin/sh
# Trains configurations under every combination of settings and over seeds, evaluates each run over the orbit, and prints one
# table: mean and, in parentheses, standard deviation over the seeds. With a BASELINE, also whether rows differ from it.
#
#   configs/sweep.sh [CONFIG.json | KEY=VALUE,VALUE... | @LIST]...
#   configs/sweep.sh configs/augment.json train.optimizer.lr=0.005,0.01 model.channels=[8,16],[16,32]
#   configs/sweep.sh configs/quickstart.json @configs/optimizers.txt
#
# A row is a CONFIG (the name of one beside this script will do), a value of each KEY (a comma within brackets is the value's)
# and a line of LIST, which is NAME KEY=VALUE...; without CONFIG, the configurations of the modes. Environment:
#
#   SEEDS    "1 2 3"
#   OUT      runs/sweep: a folder for each run, the table as table.md, and every run's figures as table.csv
#   JOBS     1: runs at once, which share the processors unless OMP_NUM_THREADS is set
#   SET      KEY=VALUE settings for every run, between blanks
#   DRAWS    shared: weight draws over the orbit, or independent
#   FIGURES  the table's columns: names of figures.sh, or paths in the JSON of bnn eval
#   BASELINE the name of a row: how the others differ from it, seed by seed, by bnn compare; also as compare.csv and compare.md
#   BNN      the program: bnn of this folder's parent, or of PATH
#
# A run is passed over when its folder holds it whole and the configuration that it recorded is the one asked for, so a sweep
# that was stopped goes on where it was when it is started again; a run of another configuration is replaced. What a new bnn would
# change is not seen in the training: choose another OUT then. Under srun each task makes its share of the runs, and none the table.
# For an array of jobs (sweep.slurm) and GNU parallel (README.md):
#
#   configs/sweep.sh --count WORD...     prints the number of runs that these words ask for
#   configs/sweep.sh --task I WORD...    makes run I = 1, 2, ... alone, and no table
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=configs/figures.sh
. "$here/figures.sh"
out=${OUT:-runs/sweep}
draws=${DRAWS:-shared}
modes='none augment group-elbo average project orbit-expansion orbit-expansion-held tie equivariant'
tab=$(printf '\t')

die() {
    echo "sweep.sh: $*" >&2
    exit 2
}

# parse_words WORD...: a line each for expand: "config NAME PATH", "key KEY=VALUE,..." and "line NAME KEY=VALUE...", between tabs.
parse_words() {
    found=
    for word; do
        case $word in
        *.json) found=yes ;;
        @*)
            [ -f "${word#@}" ] || die "$word: no such file of lines NAME KEY=VALUE..."
            sed -e '/^#/d' -e '/^[[:space:]]*$/d' -e 's/[[:space:]][[:space:]]*/'"$tab"'/g' -e "s/^/line$tab/" "${word#@}"
            continue
            ;;
        seed=*) die "$word: expected the environment's SEEDS" ;;
        *=*)
            echo "key$tab$word"
            continue
            ;;
        *) found=yes ;;
        esac
        config=$word
        [ -f "$config" ] || config=$here/${word%.json}.json
        [ -f "$config" ] || die "$word: expected a configuration, KEY=VALUE,... or @LIST"
        echo "config$tab$(basename "$config" .json)$tab$config"
    done
    [ -n "$found" ] || for mode in $modes; do echo "config$tab$mode$tab$here/$mode.json"; done
}

# expand: every run in a line between tabs: NAME, SEED, CONFIG and each KEY=VALUE. Its name leaves out what all have in common.
expand() {
    awk -F '\t' -v seeds="${SEEDS:-1 2 3}" -v common="${SET:-}" '
        function add(name, more) { return name == "" ? more : more == "" ? name : name "," more }
        function values(text, list,   n, i, c, depth) { # what is between the commas that are in no brackets
            n = 1; depth = 0; list[1] = ""
            for (i = 1; i <= length(text); i++) {
                c = substr(text, i, 1)
                depth += (c == "[") - (c == "]")
                if (c == "," && depth == 0) list[++n] = ""; else list[n] = list[n] c
            }
            return n
        }
        function grid(k, name, sets,   list, n, i, set) { # the keys from k on
            if (k > keys) { lines_of(name, sets); return }
            n = values(value[k], list)
            for (i = 1; i <= n; i++) { set = key[k] "=" list[i]; grid(k + 1, add(name, set), sets "\t" set) }
        }
        function lines_of(name, sets,   l) {
            if (!lines) runs(name, sets)
            for (l = 1; l <= lines; l++) runs(add(name, line_name[l]), sets line_sets[l])
        }
        function runs(name, sets,   s) {
            for (s = 1; s <= seed_count; s++)
                print (name == "" ? "run" : name) "\t" seed[s] "\t" path "\tseed=" seed[s] everywhere sets
        }
        $1 == "config" { config_name[++configs] = $2; config_path[configs] = $3 }
        $1 == "key" { at = index($2, "="); key[++keys] = substr($2, 1, at - 1); value[keys] = substr($2, at + 1) }
        $1 == "line" { line_name[++lines] = $2; for (i = 3; i <= NF; i++) line_sets[lines] = line_sets[lines] "\t" $i }
        END {
            seed_count = split(seeds, seed, " ")
            n = split(common, word, " ")
            for (i = 1; i <= n; i++) everywhere = everywhere "\t" word[i]
            for (c = 1; c <= configs; c++) {
                path = config_path[c]
                grid(1, configs > 1 || !(keys + lines) ? config_name[c] : "", "")
            }
        }'
}

# folder_of NAME SEED
folder_of() { echo "$out/$(printf '%s\n' "$1" | tr / %)-$2"; }

# with_run LINE COMMAND...: the command with the run's folder, its configuration and its settings as further words.
with_run() (
    IFS=$tab
    read -r name seed config sets << EOF
$1
EOF
    shift
    set -f
    set -- "$@" "$(folder_of "$name" "$seed")" "$config"
    for set in $sets; do set -- "$@" --set "$set"; done
    IFS=' '
    "$@"
)

# make_run FOLDER CONFIG OPTION...
make_run() {
    train_once "$@"
    evaluate_once "$1/eval-$draws.json" "$1/model.bin" --equivariance --draws "$draws"
}

# is_made FOLDER CONFIG OPTION...; ends with 2 where the configuration is not good.
is_made() {
    is_trained "$@" && is_evaluated "$1/eval-$draws.json" "$1/model.bin" --equivariance --draws "$draws"
}

# due_runs: the numbers of those of $runs that have yet to be made. A configuration that is not good ends the sweep before any
# run begins.
due_runs() {
    i=0
    printf '%s\n' "$runs" | while read -r run; do
        i=$((i + 1))
        status=0
        with_run "$run" is_made < /dev/null || status=$?
        case $status in
        0) ;;
        1) echo $i ;;
        *) exit $status ;;
        esac
    done
}

# The tasks of an srun, and which of them this is.
tasks=${SLURM_STEP_NUM_TASKS:-1}
task=${SLURM_PROCID:-0}

# measure: a line for each of $runs between tabs, after one of titles: run, seed, the value of each KEY, and figures.
measure() {
    echo "run${tab}seed$tab$(echo "$keys" | tr ' ' '\t')$(echo "$titles" | tr ' ' '\t')"
    printf '%s\n' "$runs" | while read -r run; do
        printf '%s\n' "$run" | awk -F '\t' -v keys="$keys" '{
            for (i = 4; i <= NF; i++) { at = index($i, "="); value[substr($i, 1, at - 1)] = substr($i, at + 1) }
            n = split(keys, key, " ")
            printf "%s\t%s\t", $1, $2
            for (i = 1; i <= n; i++) printf "%s\t", value[key[i]]
        }'
        with_run "$run" measure_run < /dev/null
    done
}

# measure_run FOLDER...
# shellcheck disable=SC2086 # the titles are words
measure_run() { figures_of "$1" "eval-$draws.json" $titles; }

# compare_runs OPTION...: bnn compare of all rows with that of BASELINE.
compare_runs() (
    for side in rows baseline; do
        [ $side = rows ] || set -- "$@" --baseline
        while IFS=$tab read -r name seed _; do
            if [ "$name" = "$BASELINE" ]; then of=baseline; else of=rows; fi
            [ $side != $of ] || set -- "$@" "$(folder_of "$name" "$seed")/eval-$draws.json"
        done << EOF
$runs
EOF
    done
    "$bnn" compare "$@"
)

# check_baseline: BASELINE is one of several rows.
check_baseline() {
    names=$(printf '%s\n' "$runs" | cut -f 1 | sort -u)
    others=$(printf '%s\n' "$names" | grep -vxF -e "$BASELINE" || true)
    if [ -z "$others" ] || [ "$others" = "$names" ]; then
        die "BASELINE: found $BASELINE, expected one of several rows: $(printf '%s\n' "$names" | paste -s -d ' ' -)"
    fi
}

action=sweep
case ${1:-} in
--count | --task) action=${1#--} && shift ;;
-*) die "$1: expected --count or --task I" ;;
esac
if [ "$action" = task ]; then
    number=${1:?expected a number after --task} && shift
fi
words=$(parse_words "$@")
runs=$(printf '%s\n' "$words" | expand)
count=$(printf '%s\n' "$runs" | wc -l)
case $action in
count) echo "$count" ;;
task)
    run=$(printf '%s\n' "$runs" | sed -n "${number}p")
    [ -n "$run" ] || die "--task $number: expected 1 to $count"
    echo "[$number/$count] $(printf '%s\n' "$run" | cut -f 1,2 | tr '\t' ' ')" >&2
    with_run "$run" make_run
    ;;
sweep)
    [ -z "${BASELINE:-}" ] || check_baseline
    mkdir -p "$out"
    due=$(due_runs)
    due=$(printf '%s\n' "$due" | awk -v tasks="$tasks" -v task="$task" 'NF && $1 % tasks == task')
    jobs=${JOBS:-1}
    processors=$(getconf _NPROCESSORS_ONLN)
    [ "$jobs" -eq 1 ] || export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$((processors > jobs ? processors / jobs : 1))}"
    if [ -n "$due" ]; then
        printf '%s\n' "$due" | xargs -P "$jobs" -I '{}' "$here/sweep.sh" --task '{}' "$@" ||
            { echo "sweep.sh: a run failed; when the sweep is started again, those that were made are kept" >&2; exit 1; }
    fi
    [ "$tasks" -eq 1 ] || exit 0
    figures=${FIGURES:-accuracy orbit-accuracy orbit-nll elbo/image agreement symmetric-kl defect unbiased seconds}
    keys=$(printf '%s\n' "$words" | sed -n "s/^key$tab\([^=]*\)=.*/\1/p" | tr '\n' ' ') # each ends with a blank
    titles=$(all_figures "$figures")
    measure > "$out/table.tsv"
    as_csv < "$out/table.tsv" > "$out/table.csv"
    # shellcheck disable=SC2086 # the titles are words
    mean_and_deviation $figures < "$out/table.tsv" > "$out/means.tsv"
    as_markdown < "$out/means.tsv" > "$out/table.md"
    as_text < "$out/means.tsv"
    rm "$out/table.tsv" "$out/means.tsv"
    if [ -n "${BASELINE:-}" ]; then
        # shellcheck disable=SC2086 # the names are words
        chosen=$(eval_figures $figures)
        echo
        compare_runs ${chosen:+"--figures=$chosen"}
        compare_runs --csv > "$out/compare.csv"
        compare_runs --markdown ${chosen:+"--figures=$chosen"} > "$out/compare.md"
    fi
    ;;
esac
