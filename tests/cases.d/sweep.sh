# configs/sweep.sh: the table of a sweep does not depend on whether it was killed, on how many runs it makes at once, or on who makes
# them; and its figures are those of the runs. Sourced by tests/cases.sh.
# shellcheck shell=sh disable=SC2154
sweep_failed=0
sweep=$here/../configs/sweep.sh

# same NAME FILE FILE
same() {
    if [ -s "$2" ] && cmp -s "$2" "$3"; then
        echo "ok $1"
    else
        echo "FAILED $1: $(diff "$2" "$3" | head -4)"
        sweep_failed=1
    fi
}

# equals NAME FOUND EXPECTED
equals() {
    if [ "$2" = "$3" ]; then
        echo "ok $1"
    else
        echo "FAILED $1: found $2, expected $3"
        sweep_failed=1
    fi
}

# refused NAME TEXT COMMAND...
refused() {
    refused_name=$1 refused_text=$2
    shift 2
    "$@" > out.txt 2>&1
    code=$?
    if [ $code -eq 2 ] && grep -qF -e "$refused_text" out.txt; then
        echo "ok $refused_name"
    else
        echo "FAILED $refused_name: exit $code: $(cat out.txt)"
        sweep_failed=1
    fi
}

# The table's runs without times, which stand last.
runs_of() { sed 's/,[^,]*$//' "$1/table.csv"; }

# Images that two lines of shell make: 8 x 8, the class in the brightness of the upper half.
images() {
    printf '\000\000\010\003\000\000\000\024\000\000\000\010\000\000\000\010'
    awk 'BEGIN { for (i = 0; i < 20; i++) for (p = 0; p < 64; p++) printf "%c", 1 + (p < 32 && i % 2 ? 90 : 7) + (i * p) % 25 }'
}
labels() {
    printf '\000\000\010\001\000\000\000\024'
    awk 'BEGIN { for (i = 0; i < 20; i++) printf "%c", i % 2 }'
}
mkdir 'a folder'
images > 'a folder/images'
labels > 'a folder/labels'
cat > 'a folder/small.json' << 'EOF'
{"data": {"name": "idx", "train_images": "images", "train_labels": "labels", "test_images": "images", "test_labels": "labels"},
 "group": "C4", "model": {"type": "mlp", "hidden": [4]}, "train": {"epochs": 2, "batch_size": 8},
 "eval": {"samples": 2}}
EOF
printf '# how many draws\none train.samples=1\n\nthree   train.samples=3\n' > list.txt
export SEEDS='1 2' FIGURES='accuracy elbo/image sigma/prior config.train.samples'
set -- 'a folder/small.json' 'model.hidden=[4],[3,2]' @list.txt

OUT=whole "$sweep" "$@" > whole.txt 2> log.txt || echo "FAILED sweep: $(cat log.txt)"
runs_of whole > whole.csv
equals sweep_count "$("$sweep" --count "$@")" 8
equals sweep_rows "$(cut -d ' ' -f 1 whole.txt | tr '\n' ' ')" \
    'run model.hidden=[4],one model.hidden=[4],three model.hidden=[3,2],one model.hidden=[3,2],three '
equals sweep_keys "$(sed -n 8p whole.csv | cut -d , -f 1-9)" '"model.hidden=[3,2],three",1,"[3,2]",'"$(
    "$BNN" eval 'whole/model.hidden=[3,2],three-1' --equivariance --json > eval.json
    for name in accuracy nll ece; do sed -n "s/^\t\"$name\":\t\(.*\),$/\1/p" eval.json | head -n 1; done | paste -s -d , -
)"
equals sweep_constant "$(awk '$1 == "model.hidden=[4],three" { print $(NF - 1), $NF }' whole.txt)" '3 (0)'
equals sweep_markdown "$(sed -n '2p; s/^| model.hidden=\[4\],one .* | 1 (0) |$/one/p' whole/table.md | tr '\n' ' ')" \
    '| --- | --- | --- | --- | --- | one '

# A second time nothing is made anew; another configuration in a folder is.
OUT=whole "$sweep" "$@" > again.txt 2> log.txt
same sweep_again whole.txt again.txt
equals sweep_again_made "$(cat log.txt)" ''
cp -r 'whole/model.hidden=[3,2],one-1/.' 'whole/model.hidden=[4],one-2'
OUT=whole "$sweep" "$@" > again.txt 2> log.txt
same sweep_replaced whole.txt again.txt
equals sweep_replaced_made "$(cat log.txt)" '[2/8] model.hidden=[4],one 2'

# Killed in the midst: when some of its runs are made.
OUT=killed setsid "$sweep" "$@" > /dev/null 2>&1 &
group=$!
tries=0
while [ ! -f 'killed/model.hidden=[4],three-1/model.bin' ] && [ $tries -lt 1200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
kill -s KILL -- -$group
wait $group 2> /dev/null
if [ ! -d 'killed/model.hidden=[3,2],three-2' ]; then echo 'ok sweep_was_killed'; else echo 'ok sweep_was_killed_late'; fi
OUT=killed JOBS=2 "$sweep" "$@" > killed.txt 2> log.txt
runs_of killed > killed.csv
same sweep_killed whole.csv killed.csv
same sweep_killed_table whole.txt killed.txt

# A Slurm job trains, and evaluates what has all its epochs.
mkdir bin
printf '#!/bin/sh\necho "$OMP_NUM_THREADS $*"\n[ "$3" != train ] || [ ! -e stop ]\n' > bin/srun
chmod +x bin/srun
slurm() { PATH="$PWD/bin:$PATH" BNN=bnn SLURM_CPUS_PER_TASK=3 "$here/../configs/train.slurm" a.json runs/a; }
equals slurm_train "$(slurm)" "3 --mpi=pmix bnn train --resume a.json --out runs/a
3 --mpi=pmix bnn eval --equivariance runs/a"
touch stop
equals slurm_train_stopped "$(slurm)" "3 --mpi=pmix bnn train --resume a.json --out runs/a"

# Each run in a task of its own, as a cluster or GNU parallel makes them, from another folder, two at once.
export OUT="$PWD/tasks"
mkdir elsewhere
if command -v parallel > /dev/null; then
    make_tasks() { parallel -q -j 2 "$sweep" --task '{}' "$@" ::: 8 7 6 5 4 3 2 1; }
else
    make_tasks() { seq 8 | xargs -P 2 -I '{}' "$sweep" --task '{}' "$@"; }
fi
(cd "$here/.." && SLURM_ARRAY_TASK_ID=8 configs/sweep.slurm "$OLDPWD/a folder/small.json" 'model.hidden=[4],[3,2]' "@$OLDPWD/list.txt") \
    2> log.txt
equals sweep_slurm "$(ls tasks) $(cat log.txt)" 'model.hidden=[3,2],three-2 [8/8] model.hidden=[3,2],three 2'
(cd elsewhere && make_tasks "$OUT/../a folder/small.json" 'model.hidden=[4],[3,2]' "@$OUT/../list.txt") > /dev/null 2>&1
"$sweep" "$@" > tasks.txt 2> log.txt
runs_of tasks > tasks.csv
same sweep_tasks whole.csv tasks.csv
equals sweep_tasks_made "$(cat log.txt)" ''

# The same by the three tasks of an srun, each of which makes its share.
export OUT="$PWD/steps"
for task in 0 1 2; do
    SLURM_STEP_NUM_TASKS=3 SLURM_PROCID=$task "$sweep" "$@" > steps.txt 2> "step-$task.txt" &
done
wait
equals sweep_steps_shares "$(sed 's/ .*//' step-0.txt step-1.txt step-2.txt | tr '\n' ' ')" '[3/8] [6/8] [1/8] [4/8] [7/8] [2/8] [5/8] [8/8] '
"$sweep" "$@" > steps.txt 2> log.txt
same sweep_steps_table whole.txt steps.txt
equals sweep_steps_made "$(cat log.txt)" ''

# Against a baseline: a comparison for each other row, of the figures that bnn eval gives.
OUT=whole BASELINE='model.hidden=[4],three' "$sweep" "$@" > compared.txt 2> log.txt
head -n 5 compared.txt > compared-head.txt
same sweep_baseline_table whole.txt compared-head.txt
equals sweep_baseline_log "$(cat log.txt)" ''
equals sweep_baseline_rows "$(sed -n 's/^\(model[^ ]*\) *accuracy .*/\1/p' compared.txt | tr '\n' ' ')" \
    'model.hidden=[4],one model.hidden=[3,2],one model.hidden=[3,2],three '
# nll NAME SEED: of a run, by the table of all runs, of which it is the second figure.
nll() { sed -n "s/^\"\?$1\"\?,$2,\(\"[^\"]*\"\|[^,]*\),[^,]*,\([^,]*\),.*/\2/p" whole/table.csv; }
one='model.hidden=\[3,2\],one' three='model.hidden=\[4\],three'
equals sweep_baseline_difference \
    "$(sed -n "s/^\"$one\",nll,2,//p" whole/compare.csv | awk -F , '{ printf "%.6g", $5 }')" \
    "$(echo "$(nll "$one" 1) $(nll "$one" 2) $(nll "$three" 1) $(nll "$three" 2)" | awk '{ printf "%.6g", ($1 + $2 - $3 - $4) / 2 }')"
equals sweep_baseline_markdown "$(grep -c '^| model' whole/compare.md)" 6

# Mistakes are told before any run is made.
export OUT=never
refused sweep_bad_key 'train.epochs' "$sweep" "$1" train.epochz=1,2
refused sweep_bad_value 'train.epochs' "$sweep" "$1" train.epochs=1,none
refused sweep_no_config 'nosuch' "$sweep" nosuch
refused sweep_no_list 'no such file' "$sweep" "$1" @nosuch
refused sweep_seed 'SEEDS' "$sweep" "$1" seed=1,2
refused sweep_baseline 'BASELINE: found nosuch' env BASELINE=nosuch "$sweep" "$1" train.epochs=1,2
refused sweep_task 'expected 1 to 2' "$sweep" --task 3 "$1"
equals sweep_nothing_made "$(find never -name '*.bin')" ''
unset OUT SEEDS FIGURES
[ $sweep_failed -eq 0 ]
