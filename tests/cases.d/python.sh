# Model files and exported graphs in Python (tests/python). Sourced by tests/cases.sh, with BNN set.
# shellcheck shell=sh disable=SC2154
export PYTHONDONTWRITEBYTECODE=1
modules=$(dirname "$BNN")/../npm/node_modules # of make onnx-test
python=
for candidate in python3 /usr/bin/python3; do # the first may be another than Debian's, to which its packages belong
    [ -n "$python" ] || ! $candidate -c 'import numpy' 2>/dev/null || python=$candidate
done
if [ -z "$python" ]; then
    echo 'skipped model files and graphs in Python: there is no NumPy (Debian: python3-numpy)'
    return 0
fi
$python "$here/python/files.py" || return
if ! $python -c 'import onnx' 2>/dev/null; then
    echo 'skipped graphs in Python: there is no onnx (Debian: python3-onnx)'
elif [ -e "$modules/onnxruntime-node" ] && command -v node >/dev/null; then
    $python "$here/python/onnx_graphs.py" "$modules"
else
    echo 'skipped graphs under onnxruntime: make onnx-test fetches it'
    $python "$here/python/onnx_graphs.py"
fi
