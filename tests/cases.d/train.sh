# What `bnn train` does when it goes wrong, and with a directory that holds a run. Sourced by tests/cases.sh inside a copy of
# tests/cases, with BNN set: prints "ok NAME" or "FAILED NAME: why" for each check.
# shellcheck shell=sh

# train_judge NAME REASON: by what the check found wrong, "" for nothing.
train_judge() {
    if [ -z "$2" ]; then
        echo "ok $1"
    else
        echo "FAILED $1: $2"
    fi
}

# train_says EXIT PATTERN ARGUMENT...: runs bnn train ARGUMENT...; prints what is wrong unless it exits so, with one line that
# matches the pattern and no -nan.
train_says() (
    wanted=$1
    pattern=$2
    shift 2
    "$BNN" train "$@" --quiet >out.txt 2>err.txt
    code=$?
    if [ $code -ne "$wanted" ]; then echo "exit $code, expected $wanted: $(cat err.txt)"
    elif ! grep -q "$pattern" err.txt; then echo "does not say '$pattern': $(cat err.txt)"
    elif [ "$(wc -l <err.txt)" -ne 1 ]; then echo "$(wc -l <err.txt) lines, expected one"
    elif grep -qi -e '-nan' err.txt; then echo "says -nan: $(cat err.txt)"
    fi
)

stale_run_is_refused() (
    cd stale-run || exit
    "$BNN" train first.json --out O --quiet || echo "the first run failed"
    cksum O/* >before.txt
    train_says 2 'O: holds a run already (.*model\.bin.*).*--overwrite' second-diverges.json --out O
    cksum O/* | cmp -s before.txt - || echo "the first run's files have changed"
)

stale_run_is_replaced_whole() (
    cd stale-run || exit
    train_says 1 'epoch [0-9]*, step [0-9]*.*last good checkpoint: none' second-diverges.json --out O --overwrite \
        --set train.kl_weight=1e30 --set prior.std=1e-30 # at once, in double too
    for file in model.bin checkpoint.bin; do
        if [ -e O/$file ]; then echo "O/$file is still that of the first run"; fi
    done
    grep -q '"seed":[[:space:]]*99' O/config.json || echo "O/config.json is not that of the second run"
)

second_run_at_once_is_refused() (
    cd stale-run || exit
    "$BNN" train first.json --out B --set train.epochs=1000000 --quiet 2>first.txt &
    first=$!
    tries=0
    until [ -s B/checkpoint.bin ] || [ $tries -eq 200 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    train_says 2 'B: another bnn is training into this directory' first.json --out B --overwrite
    [ -s B/checkpoint.bin ] || echo "the first run's checkpoint is gone"
    kill $first
    wait $first
    code=$?
    [ $code -eq 143 ] || echo "the first run ended with exit $code, expected 143: $(cat first.txt)"
)

diverged_with_validation() (
    cd diverged || exit
    train_says 1 'epoch [0-9]*, step [0-9]*.*layers\..*last good checkpoint: .*checkpoint\.bin' config.json --out V \
        --set train.epochs=20
    "$BNN" info V/model.bin >/dev/null 2>&1 || echo "V/model.bin, the best before, cannot be read"
    "$BNN" eval V/checkpoint.bin --json >/dev/null 2>&1 || echo "the last good checkpoint cannot be evaluated"
)

diverged_without_validation() (
    cd diverged || exit
    train_says 1 'epoch [0-9]*, step [0-9]*.*layers\..*last good checkpoint: .*checkpoint\.bin' config.json --out W \
        --set train.epochs=20 --set data.validation_size=0
    if [ -e W/model.bin ]; then echo "W/model.bin was written"; fi
    "$BNN" eval W/checkpoint.bin --json >/dev/null 2>&1 || echo "the last good checkpoint cannot be evaluated"
)

for train_check in stale_run_is_refused stale_run_is_replaced_whole second_run_at_once_is_refused \
    diverged_with_validation diverged_without_validation; do
    train_judge $train_check "$($train_check)"
done
