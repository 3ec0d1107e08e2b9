#include "bnn/compare.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define TIE 1e-9

/* ---- Student's t ----------------------------------------------------------------------------------------- */

double bnn_student_within(double t, size_t freedom)
{
    const bool odd = freedom % 2;
    const double angle = atan(t / sqrt((double)freedom)), square = cos(angle) * cos(angle);
    double term = odd ? cos(angle) : 1, sum = freedom > 1 ? term : 0;
    for (size_t k = odd ? 3 : 2; k + 1 < freedom; k += 2) {
        term *= square * (double)(k - 1) / (double)k;
        sum += term;
    }
    return odd ? (angle + sin(angle) * sum) * M_2_PI : sin(angle) * sum;
}

double bnn_student_interval(double probability, size_t freedom)
{
    double low = 0, high = 1;
    while (bnn_student_within(high, freedom) < probability) low = high, high *= 2;
    for (;;) {
        const double middle = (low + high) / 2;
        if (middle <= low || middle >= high) return high;
        if (bnn_student_within(middle, freedom) < probability)
            low = middle;
        else
            high = middle;
    }
}

/* ---- pairs ----------------------------------------------------------------------------------------------- */

/* Of the 2^n sums that n further differences can lead to with either sign, those of at least `least`. */
static size_t count_flips(const double *run, const double *baseline, size_t n, double sum, double least)
{
    if (n == 0) return fabs(sum) >= least;
    const double d = *run - *baseline;
    return count_flips(run + 1, baseline + 1, n - 1, sum + d, least) +
           count_flips(run + 1, baseline + 1, n - 1, sum - d, least);
}

static size_t count_drawn_flips(const double *run, const double *baseline, size_t n, bnn_stream stream,
                                double least)
{
    bnn_pcg32 rng = bnn_stream_open(stream);
    size_t count = 0;
    for (size_t b = 0; b < BNN_SIGN_FLIPS; b++) {
        uint32_t bits = 0;
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            bits = i % 32 ? bits >> 1 : bnn_pcg32_next(&rng);
            sum += bits & 1 ? run[i] - baseline[i] : baseline[i] - run[i];
        }
        count += fabs(sum) >= least;
    }
    return count;
}

static void flip_signs(const double *run, const double *baseline, size_t n, bnn_stream stream,
                       bnn_comparison *c)
{
    double sum = 0, size = 0;
    for (size_t i = 0; i < n; i++) sum += run[i] - baseline[i], size += fabs(run[i] - baseline[i]);
    const double least = fabs(sum) - TIE * size;
    if (n <= BNN_MOST_FLIPPED) { /* every flip and its opposite have the same |sum|: the first sign stays */
        const double half = ldexp(1, (int)n - 1);
        c->p_value = (double)count_flips(run + 1, baseline + 1, n - 1, *run - *baseline, least) / half;
        c->least_p_value = 1 / half;
    } else {
        const double drawn = BNN_SIGN_FLIPS;
        c->p_value = (1 + (double)count_drawn_flips(run, baseline, n, stream, least)) / (1 + drawn);
        c->least_p_value = 1 / (1 + drawn);
    }
}

/* Mean and standard deviation of run - baseline; baseline NULL: of the run. */
static void moments(const double *run, const double *baseline, size_t n, double *mean, double *std)
{
    double squares = 0;
    *mean = 0;
    for (size_t i = 0; i < n; i++) *mean += (run[i] - (baseline ? baseline[i] : 0)) / (double)n;
    for (size_t i = 0; i < n; i++) squares += pow(run[i] - (baseline ? baseline[i] : 0) - *mean, 2);
    *std = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
}

void bnn_compare_pairs(const double *run, const double *baseline, size_t pairs, bnn_stream stream,
                       bnn_comparison *c)
{
    double std;
    c->pairs = pairs;
    moments(run, NULL, pairs, &c->mean, &c->std);
    moments(baseline, NULL, pairs, &c->baseline_mean, &c->baseline_std);
    moments(run, baseline, pairs, &c->mean_difference, &std);
    c->standard_error = std / sqrt((double)pairs);
    const double t = pairs > 1 ? bnn_student_interval(BNN_COMPARE_LEVEL, pairs - 1) : NAN;
    c->low = c->mean_difference - t * c->standard_error;
    c->high = c->mean_difference + t * c->standard_error;
    flip_signs(run, baseline, pairs, stream, c);
}

/* ---- images ---------------------------------------------------------------------------------------------- */

double bnn_mcnemar(size_t run_only, size_t baseline_only)
{
    const size_t n = run_only + baseline_only, least = run_only < baseline_only ? run_only : baseline_only;
    double tail = 0;
    for (size_t k = 0; k <= least; k++)
        tail += exp(lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) -
                    (double)n * M_LN2);
    return fmin(1, 2 * tail);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bnn_status bnn_bootstrap_means(const double *values, size_t n, size_t columns, bnn_stream stream, double *low,
                               double *high, bnn_error *error)
{
    enum { B = BNN_BOOTSTRAP_SAMPLES };
    const size_t outside = (size_t)lround((B + 1) * (1 - BNN_COMPARE_LEVEL) / 2);
    double *sums = bnn_alloc(columns, B * sizeof *sums); /* (columns, B) */
    bnn_pcg32 rng = bnn_stream_open(stream);
    if (!sums) return bnn_no_memory(error, "bootstrap samples", columns, B * sizeof *sums);
    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < n; i++) {
            const double *row = values + bnn_pcg32_below(&rng, (uint32_t)n) * columns;
            for (size_t c = 0; c < columns; c++) sums[c * B + b] += row[c];
        }
    for (size_t c = 0; c < columns; c++) {
        qsort(sums + c * B, B, sizeof *sums, ascending);
        low[c] = sums[c * B + outside - 1] / (double)n;
        high[c] = sums[c * B + B - outside] / (double)n;
    }
    free(sums);
    return BNN_OK;
}
