# Little address space (ulimit -v, as Slurm sets it): every command ends within seconds, with exit code 0, or 1 and one line. Sourced by
# tests/cases.sh, with BNN set. The sanitizers' own memory does not fit into any of these limits.
# shellcheck shell=sh disable=SC2154,SC3045
(ulimit -v 350000 && "$BNN" --version >/dev/null 2>&1) 2>/dev/null || return 0

# within KIB NAME COMMAND...: 0 where the command is done or says in one line that it cannot be.
within() (
    limit=$1 name=$2
    shift 2
    ulimit -v "$limit"
    timeout 30 "$BNN" "$@" >limit.out 2>limit.err
    code=$?
    if [ $code -eq 0 ] || { [ $code -eq 1 ] && [ "$(wc -l <limit.err)" -eq 1 ]; }; then
        return 0
    fi
    echo "FAILED $name within $limit KiB: exit code $code: $(head -c 300 limit.err)"
    return 1
)

cd check-model || exit 1
model="model-header-2592.bin"
failures=0
for limit in 60000 80000 120000 160000 220000 280000 350000; do
    within $limit version --version || failures=1
    within $limit info info $model || failures=1
    within $limit check check $model || failures=1
    within $limit predict predict $model --images x.npy --out p.npy || failures=1
    within $limit eval eval $model --images x.npy --labels y.npy || failures=1
    within $limit train train config.json --out run --overwrite --quiet || failures=1
done
[ $failures -eq 0 ] && echo 'ok little address space'

# A folder that goes away while a run trains into it is a failure of the machine, said in one line.
"$BNN" train config.json --out moved --quiet --set train.epochs=100000 --set train.checkpoint_minutes=0 >moved.out 2>moved.err &
run=$!
turns=0
while [ ! -s moved/metrics.jsonl ] && [ $turns -lt 300 ]; do
    sleep 0.1
    turns=$((turns + 1))
done
mv moved elsewhere
wait $run
code=$?
if [ $code -eq 1 ] && [ "$(wc -l <moved.err)" -eq 1 ] && grep -q 'is moved still where it was' moved.err; then
    echo 'ok a folder that goes away'
else
    echo "FAILED a folder that goes away: exit code $code: $(head -c 300 moved.err)"
    failures=1
fi
[ $failures -eq 0 ]
