# The guide of the README: data/example.py makes files of one's own, and the configurations of configs/ train on them as they are.
# Sourced by tests/cases.sh, like data.sh. Python is needed, and without it nothing is checked; with NumPy, what it writes is read too.
# shellcheck shell=sh disable=SC2154
if ! command -v python3 >/dev/null; then
    echo 'ok own_files (python3 is missing: not tested)'
    return 0
fi

own_failed=0
own_judge() { # NAME REASON: "" for nothing wrong
    if [ -z "$2" ]; then
        echo "ok $1"
    else
        echo "FAILED $1: $2"
        own_failed=1
    fi
}

# Each configuration trains one epoch, and the files of all three formats give the same figures.
own_configurations() (
    mkdir -p own/data
    cp -r "$here/../configs" own && cp "$here/../data/example.py" own/data && cd own || exit
    data/example.py >out.txt 2>&1 || cat out.txt
    for kind in npy npz png; do
        "$BNN" train configs/own-$kind.json --out $kind --set train.epochs=1 --set data.train_size=60 \
            --set eval.samples=2 >out.txt 2>&1 || cat out.txt
        grep -q 'images 3 x 64 x 64 (C x H x W): .* 3 classes of ' out.txt || echo "$kind: $(cat out.txt)"
        sed 's/"\(seconds\|image_samples_per_second\)":[^,]*,//g' $kind/metrics.jsonl >$kind.txt
        cmp npy.txt $kind.txt 2>&1
    done
)

own_numpy() (
    cd own || exit
    $numpy_python - <<'PYTHON' 2>&1
import numpy
images, labels = numpy.load("data/example/train-images.npy"), numpy.load("data/example/train-labels.npy")
archive = numpy.load("data/example/cells.npz")
assert images.shape == (600, 3, 64, 64) and images.dtype == numpy.uint8 and labels.shape == (600,)
assert (archive["train_images"].transpose(0, 3, 1, 2) == images).all() and (archive["train_labels"][:, 0] == labels).all()
numpy.savez_compressed("packed.npz", **{key: archive[key] for key in archive.files})
numpy.savez("plain.npz", train_images=images, train_labels=labels.astype(numpy.int64),
            val_images=archive["val_images"], val_labels=archive["val_labels"])
PYTHON
    for kind in packed plain; do
        "$BNN" train configs/own-npz.json --out $kind --set "data.path=$PWD/$kind.npz" --set train.epochs=1 \
            --set data.train_size=60 --set eval.samples=2 >out.txt 2>&1 || cat out.txt
        sed 's/"\(seconds\|image_samples_per_second\)":[^,]*,//g' $kind/metrics.jsonl >$kind.txt
        cmp npy.txt $kind.txt 2>&1
    done
)

own_judge own_configurations "$(own_configurations)"
numpy_python=
for candidate in python3 /usr/bin/python3; do # the system's, where another comes first in PATH
    $candidate -c 'import numpy' 2>/dev/null && numpy_python=$candidate
done
if [ -n "$numpy_python" ]; then
    own_judge own_numpy "$(own_numpy)"
else
    echo 'ok own_numpy (python3-numpy is missing: not tested)'
fi
[ $own_failed -eq 0 ]
