# What `bnn eval` and `bnn score` make of predictions. Sourced by tests/cases.sh inside a copy of tests/cases, with BNN set:
# prints "ok NAME" or "FAILED NAME: why" for each check, and ends with a status of 1 if one failed.
# shellcheck shell=sh

# metrics_judge NAME REASON: by what the check found wrong, "" for nothing.
metrics_judge() {
    if [ -z "$2" ]; then
        echo "ok $1"
    else
        echo "FAILED $1: $2"
        metrics_failed=1
    fi
}

# metrics_figure NAME: the number of the first key of that name in the JSON on standard input.
metrics_figure() {
    sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\([-+0-9.eE]*\),*$/\1/p" | head -n 1
}

# metrics_close FOUND EXPECTED WHAT: prints what is wrong unless they agree to 1e-4.
metrics_close() {
    awk -v found="$1" -v expected="$2" -v what="$3" 'BEGIN {
        difference = found - expected; size = expected < 0 ? -expected : expected
        if (found == "" || difference > 1e-4 * size || difference < -1e-4 * size)
            print what ": found " found ", expected " expected }'
}

# metrics_rows FILE WIDTH: the rows of an .npy file of floats, header of 128 bytes, a line each.
metrics_rows() {
    case $(head -c 128 "$1") in
        *f8*) tail -c +129 "$1" | od -An -v -tf8 -w$((8 * $2)) ;;
        *) tail -c +129 "$1" | od -An -v -tf4 -w$((4 * $2)) ;;
    esac
}

# metrics_refuses PATTERN ARGUMENT...: bnn score ARGUMENT... exits with 2 and one line that matches.
metrics_refuses() {
    pattern=$1
    shift
    "$BNN" score "$@" >out.txt 2>err.txt
    code=$?
    [ $code -eq 2 ] || echo "exit $code, expected 2"
    [ ! -s out.txt ] || echo "prints figures"
    grep -q "$pattern" err.txt || echo "does not say '$pattern': $(cat err.txt)"
}

# The expected log-likelihood by log-softmax of the same draws' logits: none of it is lost where a softmax is 0.
elbo_of_logits() (
    cd elbo || exit
    "$BNN" train config.json --out O --quiet 2>&1
    "$BNN" predict O/model.bin --images x.npy --logits --each-draw --out logits.npy 2>&1
    tail -c 64 y.npy | od -An -v -tu1 -w1 >labels.txt
    right=$(metrics_rows logits.npy 4 | awk '
        NR == FNR { label[n++] = $1; next }
        { most = $1; for (c = 2; c <= 4; c++) if ($c > most) most = $c
          all = 0; for (c = 1; c <= 4; c++) all += exp($c - most)
          sum += $(label[rows++ % n] + 1) - most - log(all) }
        END { printf "%.9g", sum / rows }' labels.txt -)
    "$BNN" eval O/model.bin --json >eval.json 2>&1
    metrics_close "$(metrics_figure expected_log_likelihood <eval.json)" "$right" "expected log-likelihood"
    metrics_close "$(metrics_figure n <eval.json)" 64 "N0"
    metrics_close "$(metrics_figure total <eval.json)" "$(echo "$right" | awk '{ print 64 * $1 }')" "ELBO" # KL is 0 here
    awk -v right="$right" 'BEGIN { if (!(right < -2000)) print "log-likelihoods of " right " would show no clamp" }'
)

# Every confidence is 1: whatever the order, the area is the share of errors.
aurc_of_ties() (
    cd aurc-ties || exit
    for order in as-given wrong-first right-first; do
        "$BNN" score --json --probs probs-$order.npy --labels labels-$order.npy >score.json 2>&1
        right=$(metrics_figure accuracy <score.json | awk '{ print 1 - $1 }')
        metrics_close "$(metrics_figure aurc <score.json)" "$right" "$order"
    done
)

score_names_the_empty_shape() (
    cd npy && metrics_refuses 'probs-empty.npy: .*(0, 4).*(N,C)' --probs probs-empty.npy --labels labels.npy
)

score_takes_one_label_an_image() (
    cd npy && metrics_refuses 'labels-20x2.npy: .*(20, 2).*(N,1)' --probs probs.npy --labels labels-20x2.npy
)

score_names_the_tolerance() (
    cd npy && metrics_refuses 'image [0-9]*: .*sum to 0.998844.*within 0.001; --renormalize' \
        --probs probs-bfloat16.npy --labels labels10.npy
)

score_renormalizes() (
    cd npy || exit
    "$BNN" score --json --renormalize --probs probs-bfloat16.npy --labels labels10.npy >score.json 2>&1
    tail -c 320 labels10.npy | od -An -v -td8 -w8 >labels.txt
    right=$(metrics_rows probs-bfloat16.npy 10 | awk '
        NR == FNR { label[n++] = $1; next }
        { all = 0; for (c = 1; c <= 10; c++) all += $c
          sum -= log($(label[rows++] + 1) / all) }
        END { printf "%.9g", sum / rows }' labels.txt -)
    metrics_close "$(metrics_figure nll <score.json)" "$right" "NLL"
)

metrics_failed=0
for metrics_check in elbo_of_logits aurc_of_ties score_names_the_empty_shape score_takes_one_label_an_image \
    score_names_the_tolerance score_renormalizes; do
    metrics_judge $metrics_check "$($metrics_check)"
done
[ $metrics_failed -eq 0 ]
