# A training whose disk is full ends with exit code 1 and one line, and goes on to the same bits once there is room. Sourced by
# tests/cases.sh, with BNN set. The disk is in memory, and mounted where nobody else sees it.
# shellcheck shell=sh disable=SC2154
cd stale-run || exit 1
cat >config.json <<'END'
{"seed": 5, "data": {"name": "npy", "train_images": "x.npy", "train_labels": "y.npy"}, "group": "C4",
 "model": {"type": "fcnn", "channels": [8, 8]}, "symmetrization": {"mode": "tie"}, "train": {"epochs": 3, "batch_size": 8}}
END
cat >within.sh <<'END'
mount -t tmpfs -o size=512k tmpfs small
"$BNN" train config.json --out whole --quiet
"$BNN" train config.json --out small/run --quiet --set train.epochs=1
full=0
head -c 512k /dev/zero >small/filler 2>/dev/null
until "$BNN" train config.json --out small/run --resume --quiet --threads 2 2>err.txt; do
    code=$?
    [ $code -eq 1 ] || echo "exit code $code, expected 1: $(cat err.txt)"
    if ! grep -q 'No space left on device' err.txt || [ "$(wc -l <err.txt)" -ne 1 ]; then
        echo "not one line that says so: $(cat err.txt)"
    fi
    "$BNN" info small/run/model.bin >/dev/null 2>err.txt || echo "model.bin cannot be read: $(cat err.txt)"
    [ -z "$(find small/run -name '*.tmp')" ] || echo "a temporary file is left"
    full=$((full + 1))
    [ $full -lt 60 ] || exit 0
    head -c $((512 - 10 * full))k /dev/zero >small/filler 2>/dev/null # room, a little more each time
done
[ $full -gt 3 ] || echo "the disk was full $full times"
cmp whole/model.bin small/run/model.bin
END
mkdir small
disk_mount= # how a process may mount: as root, or in a user namespace of its own
for candidate in 'unshare -m' 'unshare -rm'; do
    [ -n "$disk_mount" ] || ! $candidate mount -t tmpfs -o size=512k tmpfs small 2>/dev/null || disk_mount=$candidate
done
if [ -z "$disk_mount" ]; then
    echo 'ok full_disk (nothing may be mounted here: test_faults alone fills disks)'
    return 0
fi
disk_wrong=$($disk_mount sh within.sh 2>&1)
if [ -z "$disk_wrong" ]; then echo 'ok full_disk'; else echo "FAILED full_disk: $disk_wrong"; fi
