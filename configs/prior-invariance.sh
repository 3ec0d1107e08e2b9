#!/bin/sh
# An invariant prior (zero means) against a random one, over training sizes (arXiv:2606.26273, invariance of the
# posterior): with full augmentation q stays equivariant when the prior and the initial q, which starts at the prior here,
# are invariant, and does not when they are a random draw.
#
#   configs/prior-invariance.sh         some minutes on 2 cores
#   FULL=1 configs/prior-invariance.sh  the paper's size: up to 50000 images, channels 32 and 64, 500 epochs
#
# Environment: SIZES ("250,500,1000,2000"), OUT (runs/prior-invariance), and those of sweep.sh.
set -eu
here=$(dirname "$0")
sizes=${SIZES:-250,500,1000,2000}
if [ -n "${FULL:-}" ]; then
    SET="data.test_size=0 model.channels=[32,64] train.epochs=500 train.samples=10 ${SET:-}"
    sizes=${SIZES:-1000,5000,10000,50000}
    export SET
fi
export OUT="${OUT:-runs/prior-invariance}" FIGURES="orbit-accuracy agreement symmetric-kl unbiased defect"
exec "$here/sweep.sh" "$here/prior-invariance.json" prior.mean=zero,random "data.train_size=$sizes" "$@"
