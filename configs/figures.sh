# Runs that are made once, and figures read from what `bnn eval --json` and `bnn train` write. Sourced by the scripts beside
# it, which set bnn.
# shellcheck shell=sh

# is_finished DIR: whether DIR holds a run whose last epoch is in its log.
is_finished() {
    [ -f "$1/model.bin" ] && [ -f "$1/metrics.jsonl" ] && [ -f "$1/config.json" ] &&
        [ "$(sed -n '$s/.*"epoch":\([0-9]*\).*/\1/p' "$1/metrics.jsonl")" = "$(figure "$1/config.json" epochs)" ]
}

# train_once DIR CONFIG [OPTION...]: trains into DIR, unless it holds the finished run of this very configuration: every key as
# the run recorded it.
train_once() (
    directory=$1
    shift
    wanted=$("$bnn" train "$@" --out "$directory" --dry-run)
    if is_finished "$directory" && [ "$wanted" = "$(cat "$directory/config.json")" ]; then exit 0; fi
    "$bnn" train "$@" --out "$directory" --overwrite --quiet
)

# evaluate_once FILE.json MODEL [OPTION...]: writes the figures of `bnn eval --json`, unless the file has those of this very
# model under these options: FILE.made-from tells.
evaluate_once() (
    json=$1
    model=$2
    record=${json%.json}.made-from
    shift 2
    made_from="$(cksum < "$model") $*"
    if [ -f "$json" ] && [ -f "$record" ] && [ "$made_from" = "$(cat "$record")" ]; then exit 0; fi
    rm -f "$record"
    "$bnn" eval "$model" "$@" --json > "$json.tmp"
    mv "$json.tmp" "$json"
    echo "$made_from" > "$record"
)

# figure FILE KEY: the number at a key of a JSON file printed one key a line; the first one counts.
figure() {
    sed -n "s/^[[:space:]]*\"$2\":[[:space:]]*\([-+0-9.eE]*\),*$/\1/p" "$1" | head -n 1
}

# figure_in FILE OBJECT KEY: the same inside an object.
figure_in() {
    sed -n "/\"$2\":/,/}/p" "$1" | sed -n "s/^[[:space:]]*\"$3\":[[:space:]]*\([-+0-9.eE]*\),*$/\1/p" | head -n 1
}

# train_seconds DIR: the seconds that a run's epochs took.
train_seconds() {
    sed -n 's/.*"seconds":\([-+0-9.eE]*\).*/\1/p' "$1/metrics.jsonl" | awk '{ s += $1 } END { print s }'
}

# mean_and_deviation TITLE...: reads lines "NAME FIGURE..." and prints a table, a row a name in order of appearance: mean
# (standard deviation) over the lines of that name.
mean_and_deviation() {
    awk -v titles="$*" '
        BEGIN {
            n = split(titles, title, " ")
            printf "%-24s", title[1]
            for (i = 2; i <= n; i++) printf " %16s", title[i]
            printf "\n"
        }
        !($1 in count) { order[++rows] = $1 }
        { count[$1]++; for (i = 2; i <= n; i++) { sum[$1, i] += $i; square[$1, i] += $i ^ 2 } }
        END {
            for (r = 1; r <= rows; r++) {
                name = order[r]; k = count[name]
                printf "%-24s", name
                for (i = 2; i <= n; i++) {
                    mean = sum[name, i] / k
                    variance = k > 1 ? (square[name, i] - k * mean ^ 2) / (k - 1) : 0
                    printf " %16s", sprintf("%.3g (%.1g)", mean, variance > 0 ? sqrt(variance) : 0)
                }
                printf "\n"
            }
        }'
}
