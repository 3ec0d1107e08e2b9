#!/bin/sh
# The equivariance defect as a function of the number of weight draws T = 1, 2, 4, ..., with independent repeats, on test
# and on training images (arXiv:2606.26273, sample complexity): the deviation falls as 1/sqrt(T).
#
#   configs/sample-sweep.sh             a minute on 2 cores
#   FULL=1 configs/sample-sweep.sh      the paper's size: 5000 images, channels 32 and 64, 500 epochs, T up to 256
#
# Environment: BNN (the program), OUT (runs/sample-sweep).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=configs/figures.sh
. "$here/figures.sh"
out=${OUT:-runs/sample-sweep}
sets=
samples=64
if [ -n "${FULL:-}" ]; then
    sets='--set data.train_size=5000 --set data.test_size=0 --set model.channels=[32,64] --set train.epochs=500 --set train.samples=10'
    samples=256
fi
# shellcheck disable=SC2086 # the settings are words
train_once "$out" "$here/sample-sweep.json" $sets
"$bnn" eval "$out/model.bin" --sample-sweep --samples "$samples" --repeats 32
