# What is read of data, and how pixels are told of. Sourced by tests/cases.sh inside a copy of tests/cases, with BNN set: prints
# "ok NAME" or "FAILED NAME: why" for each check, and ends with a status of 1 if one failed.
# shellcheck shell=sh

# data_judge NAME REASON: by what the check found wrong, "" for nothing.
data_judge() {
    if [ -z "$2" ]; then
        echo "ok $1"
    else
        echo "FAILED $1: $2"
        data_failed=1
    fi
}

# data_same_score PROBS LABELS: prints what is wrong unless these files give the figures of probs.npy and labels.npy.
data_same_score() {
    "$BNN" score --json --probs probs.npy --labels "${3:-labels.npy}" >expected.txt 2>&1 || cat expected.txt
    "$BNN" score --json --probs "$1" --labels "$2" >found.txt 2>&1 || { cat found.txt; return; }
    cmp expected.txt found.txt 2>&1
}

npy_in_fortran_order() (cd npy && data_same_score probs-fortran-order.npy labels.npy)
npy_in_one_dimension() (cd npy && data_same_score probs.npy labels-1d-fortran-true.npy)
npy_of_python_2() (cd npy && data_same_score probs-python2-long.npy labels.npy)

gzip_padded_with_zeros() (
    cd gzip || exit
    gzip -dcq labels-zero-padded.npy.gz >plain.npy # says of the padding what it does with it: status 2 at most
    data_same_score probs.npy labels-zero-padded.npy.gz plain.npy
)

# pixels_of NAME INPUT LINE: images of NAME.npy train under model.input INPUT, and what is said of them holds LINE.
pixels_of() (
    cd pixels || exit
    rm -rf "O-$1"
    "$BNN" train config.json --out "O-$1" --set "data.train_images=$1.npy" --set "data.test_images=$1.npy" \
        --set "model.input=$2" >out.txt 2>&1 || cat out.txt
    grep -qF "$3" out.txt || echo "does not say '$3': $(cat out.txt)"
    "$BNN" eval "O-$1/model.bin" >out.txt 2>&1 || cat out.txt
)

pixels_in_five_channels() { pixels_of x-5-channels '[5,8,8]' 'images 5 x 8 x 8 (C x H x W)'; }
pixels_in_five_channels_unsaid() { pixels_of x-5-channels '[]' 'images 5 x 8 x 8 (C x H x W)'; }
pixels_in_two_channels() { pixels_of x-2-channels '[2,8,8]' 'images 2 x 8 x 8 (C x H x W)'; }
pixels_in_two_channels_unsaid() { pixels_of x-2-channels '[]' 'images 2 x 8 x 8 (C x H x W)'; }
pixels_of_int64() { pixels_of x-int64 '[1,8,8]' '(int64), background 0'; }
pixels_of_bool() { pixels_of x-bool '[1,8,8]' 'pixels from 0 to 1 (bool), background 0'; }

# A model of float-scale in F, trained once.
float_model() {
    [ -f F/model.bin ] || "$BNN" train config.json --out F --quiet
}

float_of_another_scale() (
    cd float-scale || exit
    float_model
    "$BNN" eval F/model.bin --images x-float-0-1.npy --labels y.npy >out.txt 2>err.txt || cat err.txt
    grep -q 'x-float-0-1.npy: pixels from 0 to 0.98[0-9]*, .* -1 to 0.96' err.txt || echo "no warning of both ranges: $(cat err.txt)"
    [ "$(wc -l <err.txt)" -eq 1 ] || echo "expected one line: $(cat err.txt)"
    for images in x x-float-pm1; do
        "$BNN" eval F/model.bin --images $images.npy --labels y.npy >out.txt 2>err.txt || cat err.txt
        [ ! -s err.txt ] || echo "$images.npy: $(cat err.txt)"
    done
)

# The same pixels, as uint8 and as floats: the same defects under turns that show what is beside the images.
float_of_one_background() (
    cd float-scale || exit
    float_model
    for images in x x-float-pm1; do
        "$BNN" eval F/model.bin --images $images.npy --labels y.npy --equivariance --group C8 --json |
            sed -n 's/.*"plugin":[[:space:]]*\([0-9.e-]*\).*/\1/p' >$images.txt
    done
    paste x.txt x-float-pm1.txt | awk '
        { difference = $1 - $2; if (difference < 0) difference = -difference
          if (!($1 > 0 && difference < 1e-5 * $1)) print "defects " $1 " and " $2 }
        END { if (NR != 1) print NR " defects, expected one" }'
    grep -q '"background":[[:space:]]*-1,$' F/config.json || echo "config.json does not tell the background"
)

seed_beyond_exact_integers() (
    cd seed || exit
    "$BNN" train config.json --out O --quiet >out.txt 2>&1
    code=$?
    [ $code -eq 2 ] || echo "exit $code, expected 2"
    grep -q 'config.json: seed: .*not exact beyond 2^53' out.txt || echo "does not tell why: $(cat out.txt)"
    [ ! -e O ] || echo "O was made"
)

data_failed=0
for data_check in npy_in_fortran_order npy_in_one_dimension npy_of_python_2 gzip_padded_with_zeros \
    pixels_in_five_channels pixels_in_five_channels_unsaid pixels_in_two_channels pixels_in_two_channels_unsaid \
    pixels_of_int64 pixels_of_bool float_of_another_scale float_of_one_background seed_beyond_exact_integers; do
    data_judge $data_check "$($data_check)"
done
[ $data_failed -eq 0 ]
