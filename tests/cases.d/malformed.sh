# Malformed inputs, and what is written read back (tests/python). Sourced by tests/cases.sh, with BNN and python set.
# shellcheck shell=sh disable=SC2154
if [ -z "$python" ]; then
    echo 'skipped malformed inputs: there is no NumPy (Debian: python3-numpy)'
    return 0
fi
$python "$here/python/malformed.py"
malformed=$?
$python "$here/python/written.py" && return $malformed
