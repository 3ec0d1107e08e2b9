# bnn check: models that look like text, configurations with a byte order mark, pipes, and groups other than the model's.
# Each check prints "ok NAME" or "FAILED NAME: why"; the script's status says whether one failed.
# shellcheck shell=sh
failed=0

ok() { echo "ok $1"; }

failed() {
    echo "FAILED $1: $2"
    failed=1
}

# exits NAME CODE COMMAND...: the command ends with this code; its output stands in the file `out`.
exits() {
    name=$1 code=$2
    shift 2
    "$@" > out 2>&1
    found=$?
    if [ $found -eq "$code" ]; then
        ok "$name"
    else
        failed "$name" "exit code $found, expected $code: $(head -1 out)"
    fi
}

# says NAME PATTERN: `out` has a line that matches; denies NAME PATTERN: it has none.
says() {
    if grep -q -- "$2" out; then ok "$1"; else failed "$1" "no line \"$2\""; fi
}
denies() {
    if grep -q -- "$2" out; then failed "$1" "$(grep -m 1 -- "$2" out)"; else ok "$1"; fi
}

cd check-model || exit 1
for length in 2592 3328 3360 8192; do
    exits "header-$length" 0 "$BNN" check model-header-$length.bin
    says "header-$length-told" '^kept  *q invariant'
done
exits config 0 "$BNN" check config.json
cp out expected
exits config-with-bom 0 "$BNN" check config-with-bom.json
if cmp -s out expected; then ok config-with-bom-told; else failed config-with-bom-told 'differs from that without'; fi
cat config-with-bom.json | exits config-in-a-pipe 0 "$BNN" check /dev/stdin
cat model-header-2592.bin | exits model-in-a-pipe 0 "$BNN" check /dev/stdin
exits eval-of-a-config 2 "$BNN" eval config.json
says eval-of-a-config-told 'config.json: is a JSON text, expected a model'

cd ../check-other-group || exit 1
exits train 0 "$BNN" train config.json --out O --quiet
exits other-group 1 "$BNN" check --group D4 O/model.bin
says other-group-data '^BROKEN  *data complete over G .*no reflection'
exits own-group 1 "$BNN" check O
says own-group-data '^kept  *data complete over G'

# Channels of C4: a subgroup restricts its action, another group is not judged.
exits tie 0 "$BNN" train config.json --out P --quiet --set symmetrization.mode=tie
for group in C4 C2 C1; do exits "subgroup-$group" 0 "$BNN" check --group $group P; done
exits not-judged 1 "$BNN" check --group D4 P
says not-judged-told "^not judged q invariant .*the model's channels carry C4"
denies not-judged-gradients 'every gradient is projected'
exits eval-not-judged 0 "$BNN" eval --equivariance --json --group D4 P
says eval-not-judged-told "not judged: the model's channels carry C4"

# Threads are those of OMP_NUM_THREADS: five tasks besides none of OpenBLAS's.
if [ -d /proc/self/task ]; then
    OMP_NUM_THREADS=5 OPENBLAS_NUM_THREADS=1 "$BNN" train config.json --out T --quiet --set train.epochs=1000000 \
        --set eval.every=1000000 > out 2>&1 &
    task=$!
    tries=0 tasks=0
    while [ "$tasks" -ne 5 ] && [ $tries -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
        tasks=$(ls /proc/$task/task 2> /dev/null | wc -l)
    done
    kill $task 2> /dev/null
    wait $task
    if [ "$tasks" -eq 5 ]; then ok omp-num-threads; else failed omp-num-threads "found $tasks threads"; fi
fi
[ $failed -eq 0 ]
