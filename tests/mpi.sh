#!/bin/sh
# Ranks under mpirun: they train and predict to the bits of the build without MPI, whatever their number, and end together.
#
#   BNN=build/release/bnn BNN_MPI=build/release-mpi/bnn tests/mpi.sh
#
# The last line counts the checks; exit code 1 when one failed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bnn=$(realpath "${BNN:-build/release/bnn}")
ranked=$(realpath "${BNN_MPI:-build/release-mpi/bnn}")
work=$(mktemp -d)
job=
trap '[ -z "$job" ] || kill $job 2> /dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
cp "$here"/cases/float-scale/[xy].npy .
# shellcheck source=tests/trainings.sh
. "$here/trainings.sh"
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
mpirun="mpirun -q $([ "$(id -u)" != 0 ] || echo --allow-run-as-root) --oversubscribe --mca mpi_yield_when_idle 1"
passed=0
failed=0

check() { # NAME COMMAND...
    check_name=$1
    shift
    if "$@" > check.txt 2>&1; then
        echo "ok $check_name"
        passed=$((passed + 1))
    else
        echo "FAILED $check_name: $(head -5 check.txt)"
        failed=$((failed + 1))
    fi
}

same_run() { # DIR DIR
    cmp "$1/model.bin" "$2/model.bin" || return 1
    untimed "$1/metrics.jsonl" > one.jsonl
    untimed "$2/metrics.jsonl" > other.jsonl
    cmp one.jsonl other.jsonl
}

# ---- training: the bits of one process ------------------------------------------------------------------------

trains_alike() { # RANKS OPTION...: the run "whole"
    ranks=$1
    shift
    rm -rf parts
    $mpirun -np "$ranks" "$ranked" train config.json --out parts --quiet "$@" && same_run whole parts
}

compare() { # NAME RANKS... -- OPTION...
    name=$1 numbers=
    shift
    while [ "$1" != -- ]; do
        numbers="$numbers $1"
        shift
    done
    shift
    rm -rf whole
    "$bnn" train config.json --out whole --quiet "$@"
    for n in $numbers; do check "$name, $n ranks" trains_alike "$n" "$@"; done
}

seed=1
for mode in augment orbit-expansion group-elbo tie equivariant; do
    for optimizer in sgd ivon; do
        for samples in 1 3; do
            configuration $seed $mode 4 $optimizer > config.json
            compare "$mode, $optimizer, $samples samples" 1 2 3 4 -- --set train.samples=$samples
            seed=$((seed + 1))
        done
    done
done
trains_alone() { # OPTION...: the build with MPI, without mpirun
    rm -rf parts
    "$ranked" train config.json --out parts --quiet "$@" && same_run whole parts
}

compare 'more ranks than units' 9 -- --set train.samples=1
check 'one process without mpirun' trains_alone --set train.samples=1
configuration 1 tie 3 adamw > config.json
compare flipout 2 3 -- --set train.estimator=flipout --set train.samples=3 --set train.batch_size=24
compare local 2 3 -- --set train.estimator=local --set train.samples=4 --set train.detect_anomaly=true
compare 'a wider network' 3 4 -- --set 'model.channels=[32,64]' --set train.samples=4 --set train.batch_size=24
compare hold 2 3 -- --set symmetrization.mode=orbit-expansion --set symmetrization.hold=true
compare 'map epochs, two threads' 3 -- --set train.map_epochs=2 --threads 2

# ---- predictions ------------------------------------------------------------------------------------------------

without_times() { # FILE
    sed '/"seconds":/d; /"image_samples_per_second":/d' "$1"
}

says_alike() { # RANKS WORD...: the same on standard output
    ranks=$1
    shift
    "$bnn" "$@" > alone.txt 2> alone.log && $mpirun -np "$ranks" "$ranked" "$@" > together.txt 2> together.log &&
        without_times alone.txt > one.txt && without_times together.txt > other.txt && cmp one.txt other.txt && cmp alone.log together.log
}

writes_alike() { # RANKS WORD...: the same file --out
    ranks=$1
    shift
    rm -f alone.out together.out
    "$bnn" "$@" --out alone.out > alone.txt && $mpirun -np "$ranks" "$ranked" "$@" --out together.out > together.txt &&
        cmp alone.out together.out && cmp alone.txt together.txt
}

configuration 7 augment 4 sgd > config.json
for seed in 7 8; do "$bnn" train config.json --out member$seed --quiet --set seed=$seed --set data.validation_size=16; done
figures='--json --equivariance --uncertainty --images x.npy --labels y.npy'
for n in 1 2 3 4; do
    check "eval, $n ranks" says_alike "$n" eval member7 $figures
    check "group-averaged, $n ranks" says_alike "$n" eval member7 $figures --predictive group-averaged --samples 3
    check "mixture and sample sweep, $n ranks" says_alike "$n" eval member7 member8 $figures --sample-sweep --samples 20 --repeats 3
    check "predict, $n ranks" writes_alike "$n" predict member7 --images x.npy --each-draw
    check "calibrate, $n ranks" writes_alike "$n" calibrate member7 --json
done
check 'group that interpolates, 3 ranks' says_alike 3 eval member7 --json --equivariance --images x.npy --labels y.npy \
    --group C8 --predictive group-averaged --draws independent
check 'info, 3 ranks: printed once' says_alike 3 info member7
check 'help, 3 ranks: printed once' says_alike 3 --help

# ---- checkpoints, and what goes wrong ------------------------------------------------------------------------------

resumes() { # RANKS, 0: without MPI
    if [ "$1" = 0 ]; then
        "$bnn" train config.json --out parts --resume --quiet
    else
        $mpirun -np "$1" "$ranked" train config.json --out parts --resume --quiet
    fi && same_run whole parts
}

log_has() { # LINES: waits for them
    waited=0
    while [ ! -e parts/metrics.jsonl ] || [ "$(wc -l < parts/metrics.jsonl)" -lt "$1" ]; do
        waited=$((waited + 1))
        [ $waited -lt 600 ] || return 1
        sleep 0.05
    done
}

begin_parts() { # OPTION...: three ranks, until they have trained a while; the process of rank 1 in the file "process"
    rm -rf parts process
    # shellcheck disable=SC2016 # the variables of ranks
    $mpirun "$@" -np 3 sh -c '[ "$OMPI_COMM_WORLD_RANK" != 1 ] || echo $$ > process; exec "$@"' sh \
        "$ranked" train config.json --out parts --quiet > job.txt 2>&1 &
    job=$!
    log_has 20
}

ends_with() { # CODE TEXT: the job, within 30 seconds, and with that as its only line
    since=$(date +%s)
    wait $job
    code=$?
    job=
    cat job.txt
    [ $code -eq "$1" ] && [ $(($(date +%s) - since)) -lt 30 ] && [ "$(grep -c '^bnn: ' job.txt)" = 1 ] && grep -q "^bnn: $2" job.txt
}

configuration 9 tie 400 adamw > config.json
rm -rf whole
"$bnn" train config.json --out whole --quiet
begin_parts
kill -9 "$(cat process)"
check 'a rank is killed' ends_with 137 'rank 1 of 3: lost contact'
cp -r parts killed
check 'the killed run resumes on 2 ranks' resumes 2
rm -rf parts && mv killed parts
check 'the killed run resumes without MPI' resumes 0
begin_parts -x BNN_RANKS_PATIENCE=2
kill -STOP "$(cat process)"
check 'a rank hangs' ends_with 1 'rank 1 of 3: lost contact'
begin_parts
kill -USR1 $job # which mpirun hands on
check 'the job is asked to end' ends_with 138 'interrupted in epoch'
check 'the stopped run resumes on 4 ranks' resumes 4

refused() { # TEXT WORD...: mpirun, exit code 2 and one line
    text=$1
    shift
    rm -rf parts
    $mpirun "$@" > job.txt 2>&1
    code=$?
    cat job.txt
    [ $code -eq 2 ] && [ "$(grep -c '^bnn: ' job.txt)" = 1 ] && grep -q "^bnn: $text" job.txt && [ ! -e parts ]
}

train="$ranked train config.json --out parts --quiet"
reading() { # FILE: what trains with it as descriptor 9
    printf 'exec 9<%s; exec %s train descriptor.json --out parts --quiet' "$1" "$ranked"
}
sed 's|"y.npy"|"/dev/fd/9"|' config.json > descriptor.json
{ head -c 128 y.npy && tail -c +130 y.npy && head -c 129 y.npy | tail -c 1; } > other-y.npy
mkdir elsewhere
cp ./*.npy elsewhere
sed 's/"seed": 9/"seed": 10/' config.json > elsewhere/config.json
LC_ALL=C sed 's/0\.1\.0/0.1.x/g' "$ranked" > other-version
chmod +x other-version
{
    check 'other words' refused 'rank 1: command line: ' -np 1 $train : -np 1 $train --set seed=3
    check 'another configuration' refused 'rank 2: configuration: ' -np 2 $train : --wdir elsewhere -np 1 $train
    check 'other data' refused 'rank 1: training images: ' -np 1 sh -c "$(reading y.npy)" : -np 1 sh -c "$(reading other-y.npy)"
    check 'no data' refused 'rank 1: .*/dev/fd/9: cannot open' -np 1 sh -c "$(reading y.npy)" : \
        -np 1 $ranked train descriptor.json --out parts --quiet
    check 'another version' refused 'rank 2: version: ' -np 2 $train : -np 1 ./other-version train config.json --out parts --quiet
}
check 'nowhere to write, found before the work' refused 'rank 0: nowhere/x.npy: ' -np 2 "$ranked" predict member7 --images x.npy --out nowhere/x.npy
check 'what all refuse is said once' refused '--set train.epochs=0: ' -np 3 "$ranked" train config.json --out parts --set train.epochs=0

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
