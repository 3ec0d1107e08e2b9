# Out of memory: whichever allocation fails, a command ends with 1 and a line on standard error, or does its work as if none
# had (the libraries that it loads can do without some). It never calls the input bad, and never leaves out part of a result.
# Where the C library has no other names for its allocators, or the program brings allocators of its own (the sanitizers), there is
# nothing to check.
# shellcheck shell=sh disable=SC2154
case $BNN in */coverage/*) return 0 ;; esac # what gcov writes as a program ends fails without memory
cc=${CC:-cc}
$cc -shared -fPIC -o shim.so "$here/out_of_memory.c" 2> /dev/null || return 0
OUT_OF_MEMORY_AT=0 LD_PRELOAD=./shim.so "$BNN" --version > out 2> err || return 0
[ ! -s err ] || return 0
export OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# every NAME STEP COMMAND...: lets every STEP-th allocation of the command fail, up to the last that it makes.
every() {
    name=$1 step=$2
    shift 2
    "$@" > expected 2> /dev/null
    good=$?
    at=1 last=0 whole=0
    while [ $whole -lt 5 ]; do # beyond the last, nothing fails any more
        OUT_OF_MEMORY_AT=$at LD_PRELOAD=./shim.so "$@" > out 2> err
        code=$?
        if [ $code -eq $good ] && [ ! -s err ] && cmp -s out expected; then
            whole=$((whole + 1))
        elif [ $code -eq 1 ] && [ -s err ]; then
            whole=0 last=$at
        else
            echo "FAILED $name: allocation $at: exit code $code: $(head -1 err)"
            return
        fi
        at=$((at + step))
    done
    if [ $last -gt 0 ]; then echo "ok $name"; else echo "FAILED $name: no allocation failed"; fi
}

cd check-model || exit 1
mv ../shim.so .
model="model-header-2592.bin"
every check-model 7 "$BNN" check $model
every check-json 7 "$BNN" check --json $model
every check-other-group 7 "$BNN" check --group D4 $model
every info 7 "$BNN" info $model
every info-json 7 "$BNN" info --json $model
every symmetrize 7 "$BNN" symmetrize --project $model --out m.bin
every predict 7 "$BNN" predict $model --images x.npy --out p.npy
every export 7 "$BNN" export $model --onnx --samples 2 --group-average --out x.onnx
{ head -c 128 x.npy; tail -c +129 x.npy | tr '\000-\376' '\001-\377'; } > z.npy # others, nearly the same
{ head -c 128 y.npy; tail -c +129 y.npy | tr '\000\001\002\003' '\002\003\000\001'; } > l.npy # which predict something
every calibrate 7 "$BNN" calibrate $model --images z.npy --labels l.npy --out m.bin
"$BNN" calibrate $model --images z.npy --labels l.npy --out m.bin > /dev/null
every info-calibrated 7 "$BNN" info m.bin
every predict-sets 7 "$BNN" predict m.bin --sets --images x.npy --out p.npy
cp shim.so ../check-other-group
cd ../check-other-group || exit 1
every check-config 1 "$BNN" check config.json
every keys 1 "$BNN" train --keys
