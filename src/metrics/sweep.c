#include "bnn/sweep.h"

#include <math.h>
#include <stdlib.h>

struct bnn_sweep {
    size_t max_draws, repeats, order, classes;
    size_t levels, images;
    double *plugin, *unbiased; /* (levels, repeats): sums over images and group elements */
};

bnn_status bnn_sweep_create(size_t max_draws, size_t repeats, size_t order, size_t classes, bnn_sweep **sweep,
                            bnn_error *error)
{
    *sweep = NULL;
    if (!max_draws || !repeats || !order || !classes)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "sample sweep: %zu draws, %zu repeats, %zu group elements, %zu classes, expected at least "
            "1 of each",
            max_draws, repeats, order, classes);
    bnn_sweep *s = bnn_alloc(1, sizeof *s);
    if (!s) return bnn_no_memory(error, "the sample sweep", 1, sizeof *s);
    s->max_draws = max_draws, s->repeats = repeats, s->order = order, s->classes = classes;
    for (size_t draws = max_draws; draws; draws /= 2) s->levels++;
    s->plugin = bnn_alloc(repeats, s->levels * sizeof(double));
    s->unbiased = bnn_alloc(repeats, s->levels * sizeof(double));
    if (!s->plugin || !s->unbiased) {
        bnn_sweep_free(s);
        return bnn_no_memory(error, "the sample sweep", repeats, sizeof(double));
    }
    *sweep = s;
    return BNN_OK;
}

void bnn_sweep_free(bnn_sweep *sweep)
{
    if (!sweep) return;
    free(sweep->unbiased);
    free(sweep->plugin);
    free(sweep);
}

/* One number of d_t(g) = p_t(g.x) - p_t(x) over the draws t of a repeat: with S_T = sum_{t < T} d_t, adds
 * (S_T/T)^2 and (S_T^2 - sum_{t < T} d_t^2)/(T(T-1)) at every level. */
static void add_number(bnn_sweep *sweep, size_t repeat, const double *moved, const double *base,
                       size_t stride)
{
    double sum = 0, squares = 0;
    for (size_t t = 0, level = 0; level < sweep->levels; t++) {
        const double difference = moved[t * stride] - base[t * stride], draws = (double)(t + 1);
        sum += difference;
        squares += difference * difference;
        if (t + 1 != (size_t)1 << level) continue;
        sweep->plugin[level * sweep->repeats + repeat] += sum * sum / (draws * draws);
        sweep->unbiased[level * sweep->repeats + repeat] += (sum * sum - squares) / (draws * (draws - 1));
        level++;
    }
}

void bnn_sweep_add(bnn_sweep *sweep, const double *probabilities, size_t images)
{
    const size_t plane = images * sweep->classes, stride = sweep->order * plane;
    sweep->images += images;
    for (size_t r = 0; r < sweep->repeats; r++) {
        const double *base = probabilities + r * sweep->max_draws * stride;
        for (size_t g = 0; g < sweep->order; g++)
            for (size_t k = 0; k < plane; k++) add_number(sweep, r, base + g * plane + k, base + k, stride);
    }
}

size_t bnn_sweep_levels(const bnn_sweep *sweep)
{
    return sweep->levels;
}

/* Mean and standard deviation of n sums, each divided by `count`. */
static void summarise(const double *sums, size_t n, double count, double *mean, double *std)
{
    double squares = 0;
    *mean = 0;
    for (size_t r = 0; r < n; r++) *mean += sums[r] / count / (double)n;
    for (size_t r = 0; r < n; r++) squares += (sums[r] / count - *mean) * (sums[r] / count - *mean);
    *std = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
}

void bnn_sweep_end(const bnn_sweep *sweep, bnn_sweep_row *rows)
{
    const double count = (double)sweep->images * (double)sweep->order;
    const size_t repeats = sweep->repeats;
    for (size_t level = 0; level < sweep->levels; level++) {
        bnn_sweep_row *row = &rows[level];
        row->draws = (size_t)1 << level;
        summarise(sweep->plugin + level * repeats, repeats, count, &row->plugin_mean, &row->plugin_std);
        summarise(sweep->unbiased + level * repeats, repeats, count, &row->unbiased_mean, &row->unbiased_std);
    }
}
