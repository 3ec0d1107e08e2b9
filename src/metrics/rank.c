/* Figures that need only an order: AURC and AUROC. */
#include "bnn/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ranked {
    double confidence, correct;
};

static int most_confident_first(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    return (a->confidence < b->confidence) - (a->confidence > b->confidence);
}

/* A block of m equal confidences with e errors, after a more confident images with E errors: over the orders of the block,
 * its first j images hold e j/m errors on average, so it adds sum_{j=1..m} (E + e j/m)/(a + j). */
double bnn_aurc(const double *confidence, const double *correct, size_t n)
{
    struct ranked *items = n ? bnn_alloc(n, sizeof *items) : NULL;
    double errors = 0, sum = 0;
    if (!items) return NAN;
    for (size_t i = 0; i < n; i++) items[i] = (struct ranked){confidence[i], correct[i]};
    qsort(items, n, sizeof *items, most_confident_first);
    for (size_t a = 0, end; a < n; a = end) {
        double wrong = 0;
        for (end = a; end < n && items[end].confidence == items[a].confidence; end++)
            wrong += 1 - items[end].correct;
        const double share = wrong / (double)(end - a);
        for (size_t j = 1; j <= end - a; j++) sum += (errors + share * (double)j) / (double)(a + j);
        errors += wrong;
    }
    free(items);
    return sum / (double)n;
}

static int smallest_first(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* A sorted copy, or NULL when it is empty, holds a NaN or memory is short. */
static double *sorted_copy(const double *scores, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(scores[i])) return NULL;
    double *copy = n ? bnn_alloc(n, sizeof *copy) : NULL;
    if (!copy) return NULL;
    memcpy(copy, scores, n * sizeof *copy);
    qsort(copy, n, sizeof *copy, smallest_first);
    return copy;
}

double bnn_auroc(const double *in_distribution, size_t n, const double *out_of_distribution, size_t m)
{
    double *in = sorted_copy(in_distribution, n), *out = sorted_copy(out_of_distribution, m);
    double result = NAN;
    if (in && out) {
        double wins = 0;
        for (size_t j = 0, below = 0, not_above = 0; j < m; j++) {
            while (below < n && in[below] < out[j]) below++;
            while (not_above < n && in[not_above] <= out[j]) not_above++;
            wins += ((double)below + (double)not_above) / 2;
        }
        result = wins / ((double)n * (double)m);
    }
    free(out);
    free(in);
    return result;
}

void bnn_histogram(const double *values, size_t n, double most, size_t bins, double *counts)
{
    for (size_t b = 0; b < bins; b++) counts[b] = 0;
    for (size_t i = 0; i < n; i++) {
        const double place = values[i] / most * (double)bins;
        if (isnan(place)) continue;
        counts[place < 0 ? 0 : place < (double)bins ? (size_t)place : bins - 1]++;
    }
}
