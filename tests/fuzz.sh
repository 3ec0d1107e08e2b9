#!/bin/sh
# Runs every reader of tests/fuzz.c under libFuzzer, from the files of the tests as seeds.
#
#   tests/fuzz.sh PROGRAM [SECONDS]      SECONDS for each reader, default 60
#
# Prints the inputs that each was given; ends with 1 at the first that crashes, whose input is left in fuzz-READER/.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1")
seconds=${2:-60}
medmnist='
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as z:
    for part in ("train", "test"):
        for name, shape in (("images", (4, 8, 8)), ("labels", (4, 1))):
            size = 256 if len(shape) == 3 else 4
            head = str({"descr": "|u1", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
            z.writestr(f"{part}_{name}.npy", b"\x93NUMPY\x01\x00v\x00" + head.encode() + bytes(i % 3 for i in range(size)))
'
for reader in model checkpoint config set array png npz cifar; do
    mkdir -p "fuzz-$reader"
    seeds=$(mktemp -d)
    case $reader in
    model | checkpoint) find "$here" -name '*.bin' -size -200k ;;
    config) find "$here" "$here/../configs" -name '*.json' ;;
    set) find "$here/../configs" -name '*.txt' ;;
    array)
        find "$here" -name '*.npy*' -size -64k
        printf '\0\0\010\003\0\0\0\002\0\0\0\002\0\0\0\00212345678' > "$seeds/idx"
        gzip -c "$seeds/idx" > "$seeds/idx.gz"
        ;;
    png) find "$here/../configs" -name '*.png' -size -100k ;;
    npz) python3 -c "$medmnist" "$seeds/medmnist.npz" ;;
    cifar) head -c 6148 /dev/zero > "$seeds/two" ;;
    esac | while read -r seed; do cp "$seed" "$seeds/$(echo "$seed" | cksum | tr -d ' ')"; done
    BNN_FUZZ=$reader "$program" -max_total_time="$seconds" -rss_limit_mb=4096 -malloc_limit_mb=2048 -timeout=20 -print_final_stats=1 \
        -artifact_prefix="fuzz-$reader/" "$seeds" > "fuzz-$reader/log" 2>&1 || { tail -n 40 "fuzz-$reader/log"; exit 1; }
    echo "$reader: $(sed -n 's/^stat::number_of_executed_units: *//p' "fuzz-$reader/log") inputs in $seconds seconds"
    rm -rf "$seeds" "fuzz-$reader"
done
