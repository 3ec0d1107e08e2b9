# Runs that are made once, figures read from what `bnn eval --json` and `bnn train` write, and tables of them. Sourced by the
# scripts beside it, which set here.
# shellcheck shell=sh
# shellcheck disable=SC2154

bnn=${BNN:-}
if [ -z "$bnn" ]; then
    bnn=$here/../bnn
    [ -x "$bnn" ] || bnn=bnn
fi

# ---- runs

# is_finished DIR: whether DIR holds a run whose last epoch is in its log; the model is written before that.
is_finished() {
    [ -f "$1/model.bin" ] && [ -f "$1/metrics.jsonl" ] && [ -f "$1/config.json" ] &&
        [ "$(sed -n '$s/.*"epoch":\([0-9]*\).*/\1/p' "$1/metrics.jsonl")" = \
            "$(numbers_of "$1/config.json" | sed -n 's/^train\.epochs\t//p')" ]
}

# is_trained DIR CONFIG [OPTION...]: whether DIR holds the finished run of this very configuration: every key as the run
# recorded it. Ends with 2 where bnn does not take the configuration.
is_trained() (
    directory=$1
    shift
    wanted=$("$bnn" train "$@" --out "$directory" --dry-run) || exit 2
    is_finished "$directory" && [ "$wanted" = "$(cat "$directory/config.json")" ]
)

# train_once DIR CONFIG [OPTION...]: trains into DIR, unless it is_trained.
train_once() (
    if is_trained "$@"; then exit 0; fi
    directory=$1
    shift
    "$bnn" train "$@" --out "$directory" --overwrite --quiet
)

# is_evaluated FILE.json MODEL [OPTION...]: whether the file has the figures of this very model, program and options:
# FILE.made-from tells.
is_evaluated() (
    json=$1
    model=$2
    shift 2
    [ -f "$json" ] && [ -f "${json%.json}.made-from" ] &&
        [ "$(cat "${json%.json}.made-from")" = "$(made_from "$model" "$@")" ]
)

# made_from MODEL [OPTION...]
made_from() {
    model_sum=$(cksum < "$1")
    shift
    echo "$model_sum $("$bnn" --version) $*"
}

# evaluate_once FILE.json MODEL [OPTION...]: writes the figures of `bnn eval --json`, unless it is_evaluated.
evaluate_once() (
    if is_evaluated "$@"; then exit 0; fi
    json=$1
    shift
    rm -f "${json%.json}.made-from"
    "$bnn" eval "$@" --json > "$json.tmp"
    mv "$json.tmp" "$json"
    made_from "$@" > "${json%.json}.made-from"
)

# ---- figures

# numbers_of FILE: the numbers of a JSON file printed one key a line: "path.of.key<tab>number"; of those in lists, without the
# place.
numbers_of() {
    awk '
        {
            depth = match($0, /[^\t]/) - 1
            line = substr($0, depth + 1)
            if (line !~ /^"/) next
            key = line; sub(/^"/, "", key); sub(/":.*/, "", key)
            value = line; sub(/^[^:]*:[ \t]*/, "", value); sub(/,$/, "", value)
            name[depth] = key
            for (d in name) if (d + 0 > depth) delete name[d]
            if (value !~ /^[-+0-9]/) next
            path = ""
            for (d = 1; d <= depth; d++) if (d in name) path = path (path == "" ? "" : ".") name[d]
            print path "\t" value
        }' "$1"
}

# The names that figures have in tables, and their paths in the JSON of bnn eval. Two more are no figures of bnn eval: sigma/prior,
# the mean over the weights of sigma over the prior's deviation, and seconds, those that the epochs took.
known_figures='accuracy=accuracy nll=nll ece=ece brier=brier
    orbit-accuracy=accuracy_orbit orbit-nll=nll_orbit orbit-ece=ece_orbit orbit-brier=brier_orbit
    elbo/image=elbo.per_example kl=elbo.kl agreement=equivariance.orbit_agreement
    symmetric-kl=equivariance.symmetric_kl.mean defect=equivariance.defect.plugin
    unbiased=equivariance.defect.unbiased residual=equivariance.certificate.residual'

# all_figures NAMES: every known name, those of NAMES that are none, and seconds last, between blanks.
all_figures() {
    # shellcheck disable=SC2086 # the names are words
    printf '%s\n' $known_figures sigma/prior $1 | sed 's/=.*//' |
        awk '!seen[$1]++ && $1 != "seconds" { printf "%s ", $1 } END { print "seconds" }'
}

# figures_of DIR FILE.json NAME...: the figures of a run, of which bnn eval wrote the file in its folder, in one line between tabs,
# "-" where there is none.
figures_of() {
    folder=$1
    json=$2
    shift 2
    {
        numbers_of "$folder/$json"
        sed -n 's/.*"seconds":\([-+0-9.eE]*\).*/\1/p' "$folder/metrics.jsonl" |
            awk '{ s += $1 } END { print "seconds\t" s }'
        "$bnn" info "$folder/model.bin" --json > "$folder/info.tmp"
        numbers_of "$folder/info.tmp" | awk -F '\t' '
            $1 == "layers.parameters" { n = $2 }
            $1 == "layers.sigma_over_prior" { sum += n * $2; all += n }
            END { print "sigma/prior\t" sum / all }'
        rm "$folder/info.tmp"
    } | awk -F '\t' -v known="$(echo "$known_figures" | tr -s '\n ' ' ')" -v names="$*" '
        BEGIN { n = split(known, pair, " "); for (i = 1; i <= n; i++) { split(pair[i], part, "="); path[part[1]] = part[2] } }
        !($1 in value) { value[$1] = $2 }
        END {
            n = split(names, name, " ")
            for (i = 1; i <= n; i++) {
                at = name[i] in path ? path[name[i]] : name[i]
                printf "%s%s", at in value ? value[at] : "-", i < n ? "\t" : "\n"
            }
        }'
}

# ---- tables, whose first line has the titles; cells stand between tabs

# mean_and_deviation TITLE...: a row for each name in the first column, in order of appearance: mean (standard deviation) over its
# rows of the columns of these titles; "-" where one of them has no number.
mean_and_deviation() {
    awk -F '\t' -v titles="$*" '
        NR == 1 {
            for (i = 1; i <= NF; i++) column[$i] = i
            n = split(titles, title, " ")
            printf "%s", $1
            for (i = 1; i <= n; i++) printf "\t%s", title[i]
            printf "\n"
            next
        }
        !($1 in count) { order[++rows] = $1 }
        {
            count[$1]++
            for (i = 1; i <= n; i++) {
                x = $column[title[i]]
                if (x !~ /^[-+0-9.]*[0-9]/) { missing[$1, i] = 1; x = 0 }
                sum[$1, i] += x; square[$1, i] += x ^ 2
            }
        }
        END {
            for (r = 1; r <= rows; r++) {
                name = order[r]; k = count[name]
                printf "%s", name
                for (i = 1; i <= n; i++) {
                    mean = sum[name, i] / k
                    variance = k > 1 ? (square[name, i] - k * mean ^ 2) / (k - 1) : 0
                    if ((name, i) in missing) printf "\t-"
                    else printf "\t%.3g (%.1g)", mean, (variance > 0 ? sqrt(variance) : 0)
                }
                printf "\n"
            }
        }'
}

# as_text: in columns, the first one to the left. They are wide enough for any number, so that no width depends on times.
as_text() {
    awk -F '\t' '
        NR == 1 { for (i = 1; i <= NF; i++) width[i] = i == 1 ? 24 : 16 }
        { for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
        END {
            for (r = 1; r <= NR; r++) {
                printf "%-" width[1] "s", cell[r, 1]
                for (i = 2; i <= NF; i++) printf " %" width[i] "s", cell[r, i]
                printf "\n"
            }
        }'
}

as_markdown() {
    awk -F '\t' '
        function row(left, between, right,   i) {
            printf "%s", left
            for (i = 1; i <= NF; i++) printf "%s%s", $i, i < NF ? between : right "\n"
        }
        { gsub(/\|/, "\\|"); row("| ", " | ", " |") }
        NR == 1 { for (i = 1; i <= NF; i++) $i = "---"; row("| ", " | ", " |") }'
}

# as_csv: cells with commas or quotes in quotes (RFC 4180).
as_csv() {
    awk -F '\t' '{
        for (i = 1; i <= NF; i++) {
            if ($i ~ /[",]/) { gsub(/"/, "\"\"", $i); $i = "\"" $i "\"" }
            printf "%s%s", $i, i < NF ? "," : "\n"
        }
    }'
}
